/* SPDX-License-Identifier: MIT */
/*
 * "mohs.victim_pair/1": images together with their captions, for attacks on
 * both sides (MOHS_ATTACK_PAIR). Asked of the victim that run() is given,
 * whose samples are the images.
 */
#ifndef MOHS_EXT_VICTIM_PAIR_H
#define MOHS_EXT_VICTIM_PAIR_H

#include <mohs/ext/victim.h>

#define MOHS_EXT_VICTIM_PAIR "mohs.victim_pair/1"

struct mohs_victim_pair {
    uint32_t size;
    /* The captions as samples, with "mohs.victim_text/1"; their candidates
     * are the clean images. */
    struct mohs_victim *texts;
    /* Captions of image i: samples first[i] .. first[i+1] of `texts`, at least
     * one; n + 1 numbers, n the images. */
    const uint32_t *first;
};

#endif
