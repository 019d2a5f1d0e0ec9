/* SPDX-License-Identifier: MIT */
/*
 * Projected gradient ascent (Madry et al. 2018) over any groups of any sites:
 * the loop that fgsm, pgd, mi_fgsm and feature_pgd share. Keeps, per sample,
 * the perturbation of the highest loss over all steps and restarts.
 */
#ifndef ATTACKS_ASCENT_H
#define ATTACKS_ASCENT_H

#include "loss.h"
#include "sites.h"

struct ascent {
    const char *what; /* the attack's id, for errors */
    struct sites s;   /* opened */
    int32_t loss;     /* LOSS_* */
    uint32_t steps, restarts;
    double alpha;     /* in units of the radius */
    int random_start;
    int early_stop;   /* a sample is done once a wrong candidate leads; the
                         perturbation that did it is kept */
    double decay;     /* of the momentum (Dong et al. 2018); < 0: none */
    uint64_t seed;
};

/* Whether these options can work: a text for the caller's create(). */
mohs_status ascent_check(const char *what, int32_t loss, int random_start,
                         int early_stop, struct mohs_error *err);
/* Upper bounds of passes a sample (mohs_attack_cost). */
void ascent_passes(uint32_t steps, uint32_t restarts, int random_start, uint64_t *forward,
                   uint64_t *backward);
/* Leaves the best perturbations in the deltas. */
mohs_status ascent_run(struct ascent *a, struct mohs_error *err);

#endif
