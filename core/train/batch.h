/* SPDX-License-Identifier: MIT */
/* Batches of training pairs: chosen, augmented and tokenized by the seed. */
#ifndef CORE_BATCH_H
#define CORE_BATCH_H

#include "model/model.h"
#include "train/train.h"

struct loader;

struct batch {
    float *pixels;         /* n * 3 * h * w, 0..1 */
    int32_t *tokens, *last; /* n * context, n */
    int32_t *mask;         /* n * context: 1 up to the end token */
    uint64_t *key;         /* n: of the images */
};

/* Decodes all pictures of o->data and tokenizes all texts. */
mohs_status loader_new(const struct train_options *o, const struct preprocess *p,
                       const struct tokenizer *t, uint32_t context,
                       struct pool *pool, struct loader **out,
                       struct mohs_error *err);
void loader_free(struct loader *l);
/* Fills b (allocated once with batch_alloc) for one step. */
void loader_fill(struct loader *l, uint32_t step, struct batch *b);
mohs_status batch_alloc(struct batch *b, uint32_t n, const struct preprocess *p,
                        uint32_t context, struct mohs_error *err);
void batch_free(struct batch *b);

/* HWC bytes to CHW floats in 0..1. */
void planes(const uint8_t *rgb, uint32_t pixels, float *out);

#endif
