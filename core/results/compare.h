/* SPDX-License-Identifier: MIT */
/*
 * Arms of an experiment against a control, over the conditions both were
 * measured in: the difference of mean hits, with an interval from a bootstrap
 * over images and training seeds together. Images and seeds are drawn once for
 * both sides, so what they share cancels (paired cluster bootstrap).
 *
 * The score of a cell is the mean of its hit columns (in retrieval, mean
 * recall), in %. A seed counts when both arms have it for a condition. Where
 * the clean cell is there too, rows "RR ..." have what is kept of its score,
 * in %, the mean over the cells of a row. Cells with an axis "family" are also
 * taken together by it.
 */
#ifndef CORE_RESULTS_COMPARE_H
#define CORE_RESULTS_COMPARE_H

#include "results/results.h"

struct compare_options {
    const char *by;      /* the axis that says which arm; NULL: "arm" */
    const char *against; /* the control's value of it */
    uint32_t bootstrap;  /* resamples; 0: 1000 */
};

struct compare_row {
    const char *set, *arm;
    const char *condition; /* "clean", "corruptions", "attacks", a family, "RR"
                              and one of these, or one corruption or attack */
    bool summary;          /* of more than one corruption or attack, or clean */
    double mine, control, difference, low, high; /* % and points */
    uint32_t cells, seeds; /* conditions in the mean; seeds that both have */
};

struct compare;
struct compare *compare_new(void);
void compare_free(struct compare *c); /* NULL is fine */
/* Reads cells and samples. Rows: arms in the order of their cells, conditions
 * within. *out lives as long as c. Fails when the axis or the control is not
 * there, or nothing is to be paired. */
mohs_status compare_make(struct compare *c, struct results *r,
                         const struct compare_options *o,
                         const struct compare_row **out, size_t *n,
                         struct mohs_error *err);

/* CLI body: a table, or JSON, of one file on stdout. */
mohs_status results_compare(const char *path, const struct compare_options *o,
                            bool json, struct mohs_error *err);
/* Reads one file and hands the rows to `each`. */
mohs_status results_compared(const char *path, const struct compare_options *o,
                             mohs_status (*each)(void *user, const struct compare_row *row,
                                                 size_t n, struct mohs_error *err),
                             void *user, struct mohs_error *err);

#endif
