/* SPDX-License-Identifier: MIT */
/*
 * A victim around a victim, through which the host keeps an attack in bounds:
 * it counts each sample's passes, ends budgets of passes and of time for any
 * attack, and keeps what a killed attack needs to go on (state.h).
 */
#ifndef CORE_EVAL_GUARD_H
#define CORE_EVAL_GUARD_H

#include "eval/eval.h"
#include "eval/state.h"

struct guard_options {
    const float *candidate;  /* n_candidates * dim, as the victim's */
    float scale, bias;       /* scores are scale * cosine + bias */
    struct budget budget;    /* max_seconds: of this victim's samples */
    struct state *state;     /* borrowed; NULL: nothing is kept */
    struct guard *also;      /* the guard of these images' captions, made without a
                                state, whose counts this one keeps; NULL */
};

struct guard;
/* inner is borrowed and must outlive the guard. */
mohs_status guard_new(struct mohs_victim *inner, const struct guard_options *o,
                      struct guard **out, struct mohs_error *err);
void guard_free(struct guard *g);
/* What the attack is to see; the guard's. */
struct mohs_victim *guard_victim(struct guard *g);

struct guard_count {
    uint32_t forward, backward; /* passes */
    uint8_t cut;                /* asked for more than its budget */
};
/* Of one sample, over all the runs that its attack took. */
struct guard_count guard_count(const struct guard *g, uint32_t sample);
/* Sample passes that the killed process had done and this one does again. */
uint64_t guard_repeated(const struct guard *g);
/* Whether it went on from a kept state. */
bool guard_resumed(const struct guard *g);

#endif
