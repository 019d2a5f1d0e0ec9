/* SPDX-License-Identifier: MIT */
/*
 * What a table of corruption x severity says about a model, in the field's
 * standard numbers. Scores are percentages, larger is better; the error of a
 * score x is 100 - x.
 *
 *   drop         clean - mean over corruptions and severities, in points
 *   kept         RR = score / clean of one cell; mean over severities, then
 *                over corruptions: mRR. MMI = 100 - mRR (Qiu et al. 2022,
 *                arXiv:2212.08044)
 *   CE           100 * sum of errors over severities / the baseline's; mean
 *                over corruptions: mCE (Hendrycks & Dietterich 2019)
 *   relative CE  the same of (error - clean error)
 *   relative     mean corrupted score minus the baseline's, in points, and
 *   effective    mean corrupted score minus what the line through other
 *                models, in logits of clean and corrupted score, predicts
 *                (Taori et al. 2020)
 */
#ifndef CORE_RESULTS_ROBUSTNESS_H
#define CORE_RESULTS_ROBUSTNESS_H

#include "results/results.h"

enum { SEVERITIES = 5 };

struct robustness_options {
    const char *value;    /* name of the score; NULL: top1, else mean_recall */
    const char *baseline; /* a model of the results, "alexnet" for the
                             published top-1 errors on ImageNet-C, or NULL */
    const char *fit;      /* comma list of models the line of effective
                             robustness goes through (at least two), or NULL */
    const char *only;     /* comma list of corruptions; "common": the 15 of
                             ImageNet-C; "all"; NULL: common if any is there */
};

/* NaN wherever a number does not exist: no clean cell, a severity missing,
 * no baseline, a baseline that lacks the corruption. */
struct robustness_corruption {
    const char *name;
    double score[SEVERITIES];
    double mean, kept, ce, relative_ce;
};

struct robustness_model {
    const char *set;   /* what is compared: the other axes of its cells */
    const char *model;
    double clean, mean, drop, kept, mmi, mce, relative_mce, relative, effective;
    uint32_t n_mce; /* corruptions that mce is a mean of */
    struct robustness_corruption *corruption;
    size_t n;
};

struct robustness;
struct robustness *robustness_new(void);
void robustness_free(struct robustness *r); /* NULL is fine */
/* Visitor for results_each(): keeps what it needs of a cell, which may be any;
 * of equal conditions the latest counts. */
mohs_status robustness_take(void *r, const struct result_cell *cell,
                            struct mohs_error *err);
/* Sets in the order of their cells, models within. *out lives as long as r.
 * Fails for a score, baseline, model or corruption that is not there, and for
 * scores that are no percentages. */
mohs_status robustness_make(struct robustness *r,
                            const struct robustness_options *o,
                            const struct robustness_model **out, size_t *n,
                            struct mohs_error *err);

/* CLI body: tables, or JSON, of one file on stdout. */
mohs_status results_robustness(const char *path,
                               const struct robustness_options *o, bool json,
                               struct mohs_error *err);

#endif
