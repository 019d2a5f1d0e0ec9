/* SPDX-License-Identifier: MIT */
/*
 * What a row of class scores says of one image; shared by the metrics of this
 * plugin. Ties are broken at random, in expectation: with `a` classes above
 * the true one and g equal to it (itself included), it is among the first k
 * with probability (k - a) / g, within 0..1.
 */
#ifndef ZEROSHOT_CLASSIFY_H
#define ZEROSHOT_CLASSIFY_H

#include <mohs/plugin.h>

struct outcome {
    uint32_t label, predicted; /* label UINT32_MAX: of no class */
    uint32_t above, equal;
    double confidence;  /* softmax of the predicted class, of scale * score */
    double probability; /* of the true one; NaN without */
    double margin;      /* score of the true class minus the best other; NaN */
};

/* Probability that the true class is among the first k. */
double outcome_hit(const struct outcome *o, uint32_t k);

typedef mohs_status (*outcome_fn)(void *user, uint32_t image,
                                  const struct outcome *o);
/* Visits all images in order. `who` names the metric in errors. Fails when
 * the task is no classification or a score is not a number. */
mohs_status classify(const struct mohs_eval *e, const char *who, outcome_fn fn,
                     void *user, struct mohs_error *err);

extern const struct mohs_item zeroshot_item, factors_item;

#endif
