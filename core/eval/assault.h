/* SPDX-License-Identifier: MIT */
/* What assault.c (attacks of a cell) and shown.c (what they leave to be looked
 * at) share. */
#ifndef CORE_ASSAULT_H
#define CORE_ASSAULT_H

#include "eval/guard.h"
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
    struct assault *surrogate;  /* NULL, or the same samples before another model,
                                   which the attack sees */
    void *params;
    const struct mohs_attack_ops *ops;
    void *self;
};

/* Rows r of the cell's samples on one side; freed with assault_free. */
void assault_init(struct assault *a, struct eval *e, const struct eval_cell *c,
                  uint32_t tower, const struct attack_rows *r);
void assault_free(struct assault *a);

/* Some of the samples at once: a victim, what it borrows, and what stands
 * around it. */
struct chunk {
    struct mohs_victim *v;
    struct guard *guard;
    struct state *state;
    const uint8_t **rgb;
    const char **text;
    uint64_t *key;
    uint32_t *first, *positive;
    uint8_t *owned;
    float *clean;
};
void chunk_prepare(const struct assault *a, const uint32_t *sample, uint32_t n,
                   struct chunk *ch);
/* captions: the guard of pair's texts, or NULL as pair may be. */
mohs_status chunk_open(const struct assault *a, const uint32_t *sample, uint32_t n,
                       const struct mohs_victim_pair *pair, struct guard *captions,
                       struct chunk *ch, struct mohs_error *err);
/* done: nothing is left that a killed process would have to do again. */
void chunk_close(struct chunk *ch, bool done);

/* Lets an attack that learns (mohs.attack_fit/1) learn from its data, through
 * the cache. */
mohs_status assault_fit(struct assault *a, struct mohs_error *err);
/* Fills a->key, freed by the caller: the cache keys of embeddings. */
void attack_keys(struct assault *a);
/* Of what else is kept of a sample: "audit", "delta", "text". */
struct hash128 attack_derived(struct hash128 k, const char *what);
/* The text that the attack left of a sample whose audit is given, "" when it
 * was not kept; fresh. */
char *attack_text(const struct assault *a, uint32_t sample, const float *audit);

#endif
