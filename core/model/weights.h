/* SPDX-License-Identifier: MIT */
/* The inside of struct mohs_weights, for this room's files and tests. */
#ifndef CORE_WEIGHTS_H
#define CORE_WEIGHTS_H

#include <jansson.h>

#include "model/model.h"

enum dtype { DTYPE_F32, DTYPE_F16, DTYPE_BF16, DTYPE_F64, DTYPE_I64, DTYPE_I32,
             DTYPE_OTHER };

struct weight {
    char *name;
    enum dtype type;
    uint32_t n_dims, dims[MOHS_DIMS_MAX];
    const uint8_t *data; /* little-endian, in a mapping or owned */
    float *owned;
};

struct mapping {
    const void *data;
    size_t n;
};

struct mohs_weights {
    char *path, *dir;
    bool lone; /* one file, not a directory */
    struct weight *tensor;
    size_t n, cap;
    uint32_t *slot; /* open hash of tensor index + 1 */
    size_t n_slots;
    struct mapping *map;
    size_t n_maps;
    json_t *config, *meta;
    char *config_text, *tokenizer_text, *preprocessor_text;
    struct hash128 hash;
    bool hashed;
};

uint64_t weight_count(const struct weight *t);
unsigned weight_bytes(enum dtype t);
/* Adds the tensors of a safetensors image in memory, which must outlive w. */
mohs_status safetensors_parse(struct mohs_weights *w, const char *path,
                              const uint8_t *p, uint64_t n, struct mohs_error *err);
/* Directory that the model's other files lie in. */
const char *weights_dir(const struct mohs_weights *w);
float half_to_float(uint16_t h);
uint16_t float_to_half(float f); /* to nearest even */

#endif
