/* SPDX-License-Identifier: MIT */
/*
 * Fast adaptive boundary attack (Croce and Hein, "Minimally distorted
 * adversarial examples with a fast adaptive boundary attack", ICML 2020),
 * towards one wrong candidate: steps to where the linearised decision boundary
 * is nearest, in the box of pixels, biased to the clean sample.
 */
#ifndef ATTACKS_FAB_H
#define ATTACKS_FAB_H

#include "loss.h"
#include "sites.h"

struct fab {
    const char *what; /* the attack's id, for errors */
    struct sites *s;  /* one site with a range, one ball a sample */
    struct loss *loss; /* LOSS_TARGETED: difference to target[i] */
    uint32_t steps, restart; /* restart 0 starts at the clean sample */
    double alpha_max, eta, beta;
    uint64_t seed;
};

/* Attacks samples sample[0..n). Leaves, for each, the smallest perturbation
 * that fools, and its norm in size[i], i the sample's index; zero and INFINITY
 * where there is none. May leave the ball of s: the smallest is looked for. */
mohs_status fab_run(const struct fab *f, uint32_t n, const uint32_t *sample, double *size,
                    struct mohs_error *err);

#endif
