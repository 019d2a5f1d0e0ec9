/* SPDX-License-Identifier: MIT */
/*
 * Square attack (Andriushchenko et al., "Square Attack: a query-efficient
 * black-box adversarial attack via random search", ECCV 2020): random squares
 * at the ball's surface, kept when the margin rises. Scores only.
 */
#ifndef ATTACKS_SQUARE_H
#define ATTACKS_SQUARE_H

#include "loss.h"
#include "sites.h"

struct square {
    const char *what; /* the attack's id, for errors */
    struct sites *s;  /* pixels: channels as tokens, one ball a sample */
    struct loss *loss; /* LOSS_MARGIN */
    uint32_t queries, restart;
    double p; /* share of the pixels in a square at first */
    uint64_t seed;
};

/* Attacks samples sample[0..n); a sample is done once a wrong candidate
 * leads. Leaves the best perturbations, their margins in best[i], i the
 * sample's index. */
mohs_status square_run(const struct square *q, uint32_t n, const uint32_t *sample,
                       double *best, struct mohs_error *err);

#endif
