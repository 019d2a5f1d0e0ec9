/* SPDX-License-Identifier: MIT */
/* Pictures and captions of a data set in the form that graphs take. */
#ifndef CORE_PICTURES_H
#define CORE_PICTURES_H

#include "data/data.h"
#include "model/model.h"

/* Pictures at the model's size, 8 bit: all decoded at once, or, when they
 * would take more than a budget, one by one as they are asked for. */
struct pictures;
/* The first n of d. Borrows d and p. */
mohs_status pictures_new(const struct dataset *d, size_t n, const struct preprocess *p,
                         uint64_t budget_bytes, struct pool *pool, struct pictures **out,
                         struct mohs_error *err);
void pictures_free(struct pictures *p);
/* Copies picture i to rgb (height * width * 3). [any thread] */
mohs_status pictures_get(const struct pictures *p, size_t i, uint8_t *rgb,
                         struct mohs_error *err);
bool pictures_in_memory(const struct pictures *p);

/* HWC bytes to CHW floats in 0..1. */
void planes(const uint8_t *rgb, uint32_t pixels, float *out);

/* All captions as tokens, and which belong to which image. */
struct captions {
    uint32_t context;      /* ids per text */
    int32_t *ids, *last;   /* n_texts * context, n_texts */
    uint32_t longest;      /* largest last + 1 */
    uint32_t *first, *text; /* those of image i: text[first[i]..first[i+1]) */
};
/* must: every one of the first n_images images must have a caption. */
mohs_status captions_new(const struct dataset *d, size_t n_images, bool must,
                         const struct tokenizer *t, uint32_t context, struct pool *pool,
                         struct captions *out, struct mohs_error *err);
void captions_free(struct captions *c);

#endif
