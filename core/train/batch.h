/* SPDX-License-Identifier: MIT */
/*
 * Batches of training pairs: chosen, augmented and tokenized by the seed. One
 * batch is made ahead on other threads while the device works.
 */
#ifndef CORE_BATCH_H
#define CORE_BATCH_H

#include "model/model.h"
#include "train/pictures.h"
#include "train/train.h"

struct batch {
    float *pixels;          /* n * 3 * h * w, 0..1 */
    int32_t *tokens, *last; /* n * context, n */
    int32_t *mask;          /* n * context: 1 up to the end token */
    uint64_t *key;          /* n: of the images */
    int32_t *label;         /* n: classes, -1 where there are none */
};
mohs_status batch_alloc(struct batch *b, uint32_t n, const struct preprocess *p,
                        uint32_t context, struct mohs_error *err);
void batch_free(struct batch *b);

/* Which pairs, which caption, which crop: functions of (seed, step, item). */
struct loader {
    const struct train_options *o;
    const struct preprocess *pre;
    const struct pictures *pictures;
    const struct captions *captions;
    uint32_t context; /* tokens per text in a batch, <= captions->context */
    struct pool *pool;
    uint32_t *order, epoch; /* permutation of the epoch */
};
/* Borrows what it is given. */
mohs_status loader_init(struct loader *l, const struct train_options *o,
                        const struct preprocess *p, const struct pictures *pictures,
                        const struct captions *captions, uint32_t context,
                        struct pool *pool, struct mohs_error *err);
void loader_free(struct loader *l);
mohs_status loader_fill(struct loader *l, uint32_t step, struct batch *b,
                        struct mohs_error *err);

/* A thread that fills the next batch. While it lives the loader and its pool
 * are its own. */
struct feeder;
mohs_status feeder_new(struct loader *l, uint32_t first_step, struct feeder **out,
                       struct mohs_error *err);
void feeder_free(struct feeder *f);
/* The batch of the next step, valid until the next call. */
mohs_status feeder_next(struct feeder *f, const struct batch **out,
                        struct mohs_error *err);

#endif
