/* SPDX-License-Identifier: MIT */
/* Attacks perturb what a victim (ext/victim.h) exposes, or replace texts. */
#ifndef MOHS_ATTACK_H
#define MOHS_ATTACK_H

#include <mohs/error.h>
#include <mohs/ext/victim.h>
#include <mohs/ext/victim_pair.h>
#include <mohs/ext/victim_text.h>
#include <mohs/host.h>

enum {
    MOHS_ATTACK_GRADIENT = 1u,  /* needs gradients */
    MOHS_ATTACK_STOCHASTIC = 2u, /* uses the seed */
    /* Puts other texts in the place of the samples, which are texts
     * (ext/victim_text.h). */
    MOHS_ATTACK_TEXT = 4u,
    /* Attacks images and their captions together (ext/victim_pair.h): the
     * samples are images; what is left on both sides is the result. */
    MOHS_ATTACK_PAIR = 8u
};

struct mohs_attack_ops {
    uint32_t size;
    uint32_t flags;
    mohs_status (*create)(const struct mohs_host *host, const void *params,
                          void **self, struct mohs_error *err); /* [main] */
    void (*destroy)(void *self);                                 /* [main] */
    /* Leaves its perturbation in the delta arrays of the sites it used, and
     * the texts it set. The result for a sample (of a pair: an image with its
     * captions) depends only on that sample, the seed and victim->key[i].
     * eps = 0 must leave every delta zero, max_words, max_chars or
     * max_tokens = 0 every text.
     * [one thread per self] */
    mohs_status (*run)(void *self, struct mohs_victim *victim, uint64_t seed,
                       struct mohs_error *err);
    const void *(*get_extension)(void *self, const char *id); /* may be NULL */
};

#endif
