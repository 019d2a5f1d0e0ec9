/* SPDX-License-Identifier: MIT */
/*
 * A small model with known gradients for tests of attacks: pixels x (3 tokens
 * of 12), features h = A x, embedding e = normalise(B tanh(h)), scores = s
 * <e, c_j>. Taps: "pixels"; "image.patch", h as 4 tokens of 5; "image.block.0",
 * tanh(h); with `masked` set, the last tokens of h are padding that reaches
 * nothing. All in double but for what it hands out. golden/attacks.py has
 * the same model.
 */
#ifndef TESTS_ATTACK_VICTIM_H
#define TESTS_ATTACK_VICTIM_H

#include <mohs/attack.h>

#include "plugin/registry.h"

enum { AV_N = 5, AV_PIXELS = 36, AV_TOKENS = 4, AV_WIDTH = 5,
       AV_HIDDEN = AV_TOKENS * AV_WIDTH, AV_DIM = 6, AV_CANDIDATES = 7,
       AV_SCALE = 8, AV_SITES = 3, AV_FLOATS = AV_PIXELS + 2 * AV_HIDDEN };

struct attack_victim {
    struct mohs_victim v;
    struct mohs_site site[AV_SITES];
    int open[AV_SITES];
    float candidate[AV_CANDIDATES * AV_DIM];
    uint32_t micro_batch;
    uint32_t passes, samples; /* calls of pass(), samples in them */
    uint32_t die_at;          /* > 0: the pass of this number fails */
};

/* The built attacks, and one of them with parameters "eps=0.1 steps=4". */
mohs_status av_registry(struct registry **out, struct mohs_error *err);
mohs_status av_attack(struct registry *r, const char *id, const char *params,
                      const struct mohs_attack_ops **ops, void **self,
                      struct mohs_error *err);

/* Samples first .. first + n - 1 of the AV_N; keys are theirs. */
struct attack_victim *av_new(int masked, uint32_t first, uint32_t n);
void av_free(struct attack_victim *a);
/* Scores of sample i (of this batch) under the deltas as they are. */
void av_scores(struct attack_victim *a, uint32_t i, double score[AV_CANDIDATES]);
/* -log softmax mass on the positives, and best wrong minus best right. */
double av_cross_entropy(struct attack_victim *a, uint32_t i);
double av_margin(struct attack_victim *a, uint32_t i);

#endif
