/* SPDX-License-Identifier: MIT */
/*
 * Metrics work in two steps. measure() turns embeddings into a table of
 * sample-level outcomes (one row a query); summarise() turns a weighted
 * table into named values. The host stores the table, and bootstraps by
 * calling summarise() with the multiplicities of resampled clusters, so a
 * metric gets confidence intervals and paired comparisons for nothing. One
 * that asks for scores of pairs says how many by "mohs.pair_need/1"
 * (ext/pair_scores.h).
 */
#ifndef MOHS_METRIC_H
#define MOHS_METRIC_H

#include <mohs/error.h>
#include <mohs/host.h>

/*
 * What a metric sees: L2-normalised embeddings and the ground truth. In
 * classification texts are classes: owner is NULL, label is not, and a row of
 * text may be shorter than 1 (a mean over prompts), or there may be none
 * (the best of several prompts counts), so ask similarity(). Of a classifier
 * (MOHS_MODEL_CLASSIFIER) the image rows are logits and the text rows unit
 * vectors, so that similarity() gives logits.
 */
struct mohs_eval {
    uint32_t size;
    uint32_t n_images, n_texts, dim;
    const float *image;    /* n_images * dim */
    const float *text;     /* n_texts * dim; NULL in some classification */
    const uint32_t *owner; /* n_texts: index of the image a text describes;
                              NULL in classification */
    const uint32_t *label; /* n_images: index of the true class, UINT32_MAX for
                              an image of none; or NULL */
    float logit_scale, logit_bias;
    void *ctx;
    /* out[(i-i0)*(t1-t0) + t-t0] = <image i, text t>, for i in [i0,i1), t in
     * [t0,t1). Values do not depend on the tiling. [main] */
    mohs_status (*similarity)(const struct mohs_eval *e, uint32_t i0,
                              uint32_t i1, uint32_t t0, uint32_t t1, float *out,
                              struct mohs_error *err);
    /* What images were annotated with, read through MOHS_HAS. factor:
     * n_images * n_factors of 0, 1, or 255 for an image that is left out;
     * NULL: none. */
    uint32_t n_factors;
    const char *const *factor_name;
    const uint8_t *factor;
    /* Scores of pairs by the model's matching head (ext/pair_scores.h), read
     * through MOHS_HAS; NULL: it has none. Pair k is image[k] with text[k];
     * out[k * n_pair_scores ..] are its logits, of which number pair_match
     * says that they belong together. Expensive: ask once, for each pair once,
     * as many metrics as ask for a pair pay for it once. Any order; a score
     * does not depend on the other pairs. [main] */
    uint32_t n_pair_scores, pair_match;
    mohs_status (*pair_scores)(const struct mohs_eval *e, uint64_t n,
                               const uint32_t *image, const uint32_t *text,
                               float *out, struct mohs_error *err);
};

/* Sample-level outcomes: n_rows rows of n_columns doubles, row-major. */
struct mohs_samples {
    uint32_t size;
    uint32_t n_rows, n_columns;
    double *value;     /* n_rows * n_columns; NaN marks "does not apply" */
    uint32_t *cluster; /* n_rows: the resampling unit (the image index) */
    uint32_t n_clusters;
    void *ctx;
    /* Allocates n_rows rows (zeroed), once per measure(). Host-owned. */
    mohs_status (*alloc)(struct mohs_samples *s, uint32_t n_rows,
                         uint32_t n_clusters, struct mohs_error *err);
};

/* A named result of summarise(). */
struct mohs_value {
    const char *name; /* "i2t_r1" */
    const char *doc;
    const char *unit;  /* "%", "rank", "" */
    int32_t direction; /* +1: larger is better, -1: smaller, 0: neither */
};

struct mohs_metric_ops {
    uint32_t size;
    uint32_t flags; /* 0 */
    mohs_status (*create)(const struct mohs_host *host, const void *params,
                          void **self, struct mohs_error *err);
    void (*destroy)(void *self);
    /* Columns of the sample table and values of the summary; borrowed until
     * destroy(). Columns with "hit" in their names hold 0 for a miss and 1
     * for a hit, between for ties; without such names all columns do that
     * stay in 0..1 and are no ranks. Attacks are judged by them. Columns
     * "label" and "predicted" hold indices of classes, of which reports
     * show the confusions. [any thread] */
    const char *const *(*columns)(void *self, uint32_t *n);
    const struct mohs_value *(*values)(void *self, uint32_t *n);
    /* Fills the table through s->alloc(). [main] */
    mohs_status (*measure)(void *self, const struct mohs_eval *e,
                           struct mohs_samples *s, struct mohs_error *err);
    /* out[n values] from the table with row r counted weight[r] times
     * (NULL: once each). Pure; called thousands of times. [any thread] */
    mohs_status (*summarise)(void *self, const struct mohs_samples *s,
                             const uint32_t *weight, double *out,
                             struct mohs_error *err);
    const void *(*get_extension)(void *self, const char *id); /* may be NULL */
};

#endif
