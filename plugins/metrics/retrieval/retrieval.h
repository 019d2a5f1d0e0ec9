/* SPDX-License-Identifier: MIT */
/* What counting (retrieval.c) and re-ranking (rerank.c) share. */
#ifndef METRICS_RETRIEVAL_H
#define METRICS_RETRIEVAL_H

#include <mohs/plugin.h>

/* By what candidates are ranked anew. */
enum { RERANK_SUM, RERANK_MATCH, RERANK_PROBABILITY };

struct retrieval {
    int n_k;
    uint32_t k[MOHS_INTS_MAX];
    uint32_t rerank; /* candidates of a query; 0: none */
    int rerank_by;
    const char *column[2 * MOHS_INTS_MAX + 4];
    struct mohs_value value[2 * MOHS_INTS_MAX + 5];
    char text[4 * MOHS_INTS_MAX + 16][24];
    uint32_t n_columns, n_values;
};

/* Candidates around the best positive of each query. */
struct counts {
    float *best;     /* similarity of the best positive */
    uint32_t *above; /* candidates strictly above it: all negatives */
    uint32_t *equal; /* candidates at exactly it */
    uint32_t *own;   /* of those, positives */
};

struct work {
    const struct retrieval *r;
    const struct mohs_eval *e;
    struct mohs_samples *s;
    float *tile;
    uint32_t rows; /* images in a tile */
    uint64_t room; /* floats in it */
    struct counts image, text;
};

/* Counts anew, for queries of which a positive is among the first r->rerank,
 * with the model's pair scores. After all is counted. */
mohs_status rerank(struct work *w, struct mohs_error *err);

/* About how many pairs that asks for. */
uint64_t rerank_pairs(const struct retrieval *r, uint32_t n_images,
                      uint32_t n_texts);

#endif
