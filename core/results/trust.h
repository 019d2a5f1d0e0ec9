/* SPDX-License-Identifier: MIT */
/*
 * Whether attacked numbers can be believed: what the authors of "On Evaluating
 * Adversarial Robustness" (Carlini et al. 2019, arXiv:1902.06705) ask of an
 * evaluation, as far as a results file can answer it.
 *
 *   audit     no perturbation left its range, touched padding or is not finite
 *   ball      none is larger than eps, where the norm that was measured is the
 *             one of the ball
 *   eps       a larger ball is no weaker attack
 *   seeds     runs that differ in the seed only are within 2 points
 *   restarts  more random starts leave no more
 *   gradient  Square, which sees no gradients, is not stronger than the
 *             gradient attacks in the same ball: else gradients are masked
 *   steps     one step (fgsm) is not stronger than many (pgd, apgd)
 *   ensemble  autoattack is no weaker than its members in the same ball
 *
 * Scores are percentages, larger is better; differences below SLACK points are
 * no finding. The worst case takes, for each sample, the worst of all attacks
 * in one ball; robust accuracy is that.
 */
#ifndef CORE_RESULTS_TRUST_H
#define CORE_RESULTS_TRUST_H

#include "results/results.h"

struct trust_finding {
    const char *set, *model; /* what is looked at: data, metric; the model */
    const char *check;       /* "audit", "ball", ... */
    bool good;
    const char *text;        /* one sentence */
};

struct trust_worst {
    const char *set, *model, *norm, *column; /* of the samples: hits */
    double eps, clean, worst, single; /* %; single: the best single attack */
    uint32_t attacks;
};

struct trust;
struct trust *trust_new(void);
void trust_free(struct trust *t); /* NULL is fine */
/* Visitor for results_each(): keeps what it needs of a cell, which may be any;
 * of equal conditions the latest counts. */
mohs_status trust_take(void *t, const struct result_cell *cell,
                       struct mohs_error *err);
/* `value` names the score; NULL: top1, else i2t_r1. No finding for what the
 * file has no cells for. *out lives as long as t. */
mohs_status trust_make(struct trust *t, const char *value,
                       const struct trust_finding **out, size_t *n,
                       struct mohs_error *err);
/* Worst cases over at least two attacks on pixels, from the samples in r. */
mohs_status trust_worst(struct trust *t, struct results *r,
                        const struct trust_worst **out, size_t *n,
                        struct mohs_error *err);

/* CLI body: what was found, or JSON, of one file on stdout; 1 when a check
 * failed. */
mohs_status results_trust(const char *path, const char *value, bool json,
                          struct mohs_error *err);

#endif
