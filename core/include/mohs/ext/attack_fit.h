/* SPDX-License-Identifier: MIT */
/*
 * "mohs.attack_fit/1": an attack that learns from many samples before it
 * attacks any, such as one perturbation for all pictures. From
 * mohs_attack_ops.get_extension(self, id). The host calls
 *
 *     begin, (chunk for each batch of the fitting samples) for each epoch
 *
 * before run(), or restore() with what state() gave in an earlier process
 * for the same samples and seed. What the samples of a chunk are depends on
 * the seed, the epoch and the samples only.
 */
#ifndef MOHS_EXT_ATTACK_FIT_H
#define MOHS_EXT_ATTACK_FIT_H

#include <mohs/ext/victim.h>

#define MOHS_EXT_ATTACK_FIT "mohs.attack_fit/1"

struct mohs_attack_fit {
    uint32_t size;
    uint32_t (*epochs)(void *self);
    uint32_t (*batch)(void *self);   /* samples of a chunk, the last has fewer */
    uint32_t (*samples)(void *self); /* the first so many only; 0: all */
    /* Forgets what was learnt. [as run, all of these] */
    mohs_status (*begin)(void *self, uint64_t seed, struct mohs_error *err);
    mohs_status (*chunk)(void *self, struct mohs_victim *victim,
                         struct mohs_error *err);
    /* What was learnt: *count numbers, valid until the next call. */
    mohs_status (*state)(void *self, const float **data, uint32_t *count,
                         struct mohs_error *err);
    /* The state of a victim with so many pixels may differ in `count` from
     * this one's: MOHS_E_ARG. */
    mohs_status (*restore)(void *self, const float *data, uint32_t count,
                           struct mohs_error *err);
};

#endif
