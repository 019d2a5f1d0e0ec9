/* SPDX-License-Identifier: MIT */
/* What metrics are checked on: images with two captions each, or with classes,
 * and a matching head that scores pairs. */
#ifndef CORE_CHECK_WORLD_H
#define CORE_CHECK_WORLD_H

#include "plugin/check.h"

enum {
    DIM = 16,
    N_IMAGES = 14,
    N_TEXTS = 2 * N_IMAGES,
    N_CLASSES = 7,
    N_FACTORS = 3,
    N_PAIR_SCORES = 3,
    PAIR_MATCH = 1
};
enum { RETRIEVAL, CLASSES, N_TASKS };

struct world {
    struct mohs_eval e;
    float image[N_IMAGES * DIM], text[N_TEXTS * DIM];
    uint32_t owner[N_TEXTS], label[N_IMAGES];
    uint8_t factor[N_IMAGES * N_FACTORS];
    uint32_t turn;
    /* The matching head: another key, other scores; asked: pairs so far,
     * twice: those asked for again. It fails from pair number `most` on. */
    uint64_t key, asked, twice, most;
    bool seen[N_IMAGES * N_TEXTS];
};

/* Image number i of the world is number (i + turn) % N_IMAGES of the series.
 * The world has no matching head in classification. */
void world_make(struct world *w, int task, uint32_t turn);

#endif
