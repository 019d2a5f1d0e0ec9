/* SPDX-License-Identifier: MIT */
/* What assault.c (attacks of a cell) and shown.c (what they leave to be looked
 * at) share. */
#ifndef CORE_ASSAULT_H
#define CORE_ASSAULT_H

#include "eval/session.h"
#include "eval/victim.h"

/* One side of an attack on a data set. */
struct assault {
    struct eval *e;
    const struct eval_cell *c;
    uint32_t tower, n, dim;
    const float *image, *text; /* clean */
    float *out, *audit;
    struct hash128 *key;
    uint32_t *first, *positive; /* of all samples */
    struct assault *captions;   /* NULL, or the other side of a pair */
    void *params;
    const struct mohs_attack_ops *ops;
    void *self;
};

/* Fills a->key, freed by the caller: the cache keys of embeddings. */
void attack_keys(struct assault *a);
/* Of what else is kept of a sample: "audit", "delta", "text". */
struct hash128 attack_derived(struct hash128 k, const char *what);
/* The text that the attack left of a sample whose audit is given, "" when it
 * was not kept; fresh. */
char *attack_text(const struct assault *a, uint32_t sample, const float *audit);

#endif
