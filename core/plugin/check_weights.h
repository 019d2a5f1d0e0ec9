/* SPDX-License-Identifier: MIT */
/*
 * "mohs.weights/1" for the model checks: a tiny configuration with the names
 * of Hugging Face's dual encoders and the item's id as model_type, and the
 * parameters that describe() lists, held in memory. An image tower is 16 wide,
 * or four stages of a block each; they halve the picture down to 2 or 1.
 */
#ifndef CORE_CHECK_WEIGHTS_H
#define CORE_CHECK_WEIGHTS_H

#include <jansson.h>

#include "plugin/check.h"

enum { TINY_IMAGE = 64, TINY_CONTEXT = 8, TINY_VOCAB = 40 };

struct tiny_tensor {
    char *name;
    uint32_t n_dims, dims[MOHS_DIMS_MAX];
    bool fixed; /* gradients do not move it */
    uint64_t count;
    float *data;
};

struct mohs_weights {
    json_t *config;
    struct tiny_tensor *t;
    size_t n;
};

extern const struct mohs_weights_api tiny_weights_api;
void tiny_open(struct mohs_weights *w, const char *id);
void tiny_close(struct mohs_weights *w);
/* put() of describe() with user = the weights: keeps the parameter with values
 * as training starts; refuses nonsense. */
mohs_status tiny_take(void *user, const struct mohs_weight_spec *s,
                      struct mohs_error *err);

#endif
