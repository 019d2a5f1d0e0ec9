/* SPDX-License-Identifier: MIT */
/*
 * "mohs.victim/1" over the batch of a training step, so that any attack
 * plugin can be the adversary: the samples of one tower with the weights as
 * they are, one positive each.
 */
#ifndef CORE_BATCH_VICTIM_H
#define CORE_BATCH_VICTIM_H

#include <mohs/attack.h>
#include <mohs/ext/victim_raw.h>

#include "train/step.h"

struct batch_victim;

/* Deltas may go to the taps of s that are of this tower. */
mohs_status batch_victim_new(const struct stepper *s, uint32_t tower,
                             struct batch_victim **out, struct mohs_error *err);
void batch_victim_free(struct batch_victim *v);

/* Takes a batch: clean embeddings of its samples, as the model gives them
 * (raw) or L2-normalised. Borrowed until the next call of either kind. */
mohs_status batch_victim_load(struct batch_victim *v, const struct batch *b, bool raw,
                              const float **rows, struct mohs_error *err);

/* What the batch loaded (normalised) is attacked with; arrays are borrowed for the call. */
struct batch_targets {
    const float *candidate; /* n_candidates * dim, L2-normalised */
    uint32_t n_candidates;
    const uint32_t *positive; /* n */
    float scale, bias;        /* scores = scale * cosine + bias */
    const float *anchor;      /* n * dim: mohs.victim_raw/1; NULL: the batch's own */
};
mohs_status batch_victim_attack(struct batch_victim *v, const struct batch_targets *t,
                                const struct mohs_attack_ops *ops, void *self,
                                uint64_t seed, struct mohs_error *err);
/* The perturbation at tap i of the stepper, n * floats of a sample; NULL when
 * the attack left that tap alone. */
const float *batch_victim_delta(const struct batch_victim *v, size_t i);

#endif
