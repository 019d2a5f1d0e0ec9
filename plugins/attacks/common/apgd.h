/* SPDX-License-Identifier: MIT */
/*
 * Auto-PGD (Croce and Hein, "Reliable evaluation of adversarial robustness
 * with an ensemble of diverse parameter-free attacks", ICML 2020) over any
 * groups of any sites: momentum, a step of 2 radii that is halved, from the
 * best point, whenever the loss rose in fewer than rho of the steps since the
 * last checkpoint or neither step nor best loss changed there.
 */
#ifndef ATTACKS_APGD_H
#define ATTACKS_APGD_H

#include "loss.h"
#include "sites.h"

struct apgd {
    const char *what; /* the attack's id, for errors */
    struct sites *s;  /* opened */
    struct loss *loss;
    uint32_t steps, restart; /* which restart: other random starts */
    double rho;
    int early_stop; /* a sample is done once a wrong candidate leads */
    uint64_t seed;
};

/* Attacks samples sample[0..n). Leaves, for each, the perturbation of the
 * highest loss among those that fool, else of the highest loss; its loss in
 * best[i], i the sample's index, and in fooled[i] whether it fools. */
mohs_status apgd_run(const struct apgd *a, uint32_t n, const uint32_t *sample, double *best,
                     uint8_t *fooled, struct mohs_error *err);

#endif
