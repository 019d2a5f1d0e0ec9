/* SPDX-License-Identifier: MIT */
/*
 * Classification by the best score: accuracy among the first k, the mean of
 * the classes' accuracies (balanced accuracy), and how sure the model is.
 * With no more classes than k there is nothing to be among, and top k is not
 * a number. Images of no class have a prediction and a confidence only.
 */
#include "classify.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct params {
    struct mohs_ints k;
};

/* Columns in front of the hits, and behind them. */
enum { LABEL, PREDICTED, HITS };
enum { CONFIDENCE, PROBABILITY, MARGIN, BEHIND };

struct zeroshot {
    uint32_t n_k, k[MOHS_INTS_MAX], at_1; /* which of k is 1 */
    const char *column[HITS + MOHS_INTS_MAX + BEHIND];
    struct mohs_value value[MOHS_INTS_MAX + 3];
    char text[2 * MOHS_INTS_MAX][24], doc[MOHS_INTS_MAX][64];
};

static void name_all(struct zeroshot *z)
{
    static const char *const behind[] = { "confidence", "probability", "margin" };
    uint32_t v = 0;
    z->column[LABEL] = "label";
    z->column[PREDICTED] = "predicted";
    for (uint32_t i = 0; i < z->n_k; i++) {
        char *hit = z->text[2 * i], *top = z->text[2 * i + 1];
        snprintf(hit, sizeof z->text[0], "hit@%u", z->k[i]);
        snprintf(top, sizeof z->text[0], "top%u", z->k[i]);
        z->column[HITS + i] = hit;
        snprintf(z->doc[i], sizeof z->doc[i],
                 z->k[i] == 1 ? "accuracy: the true class is the first"
                              : "accuracy: the true class is among the first %u", z->k[i]);
        z->value[v++] = (struct mohs_value) { top, z->doc[i], "%", 1 };
    }
    for (uint32_t i = 0; i < BEHIND; i++)
        z->column[HITS + z->n_k + i] = behind[i];
    z->value[v++] = (struct mohs_value) { "balanced_accuracy",
                                          "mean over classes of their accuracies", "%", 1 };
    z->value[v++] = (struct mohs_value) {
        "confidence", "mean softmax probability of the predicted class", "%", 0 };
    z->value[v++] = (struct mohs_value) {
        "margin", "mean score of the true class above the best other", "", 1 };
}

static mohs_status create(const struct mohs_host *host, const void *params, void **self,
                          struct mohs_error *err)
{
    const struct params *p = params;
    struct zeroshot *z = calloc(1, sizeof *z);
    (void)host;
    if (!z)
        return mohs_fail(err, MOHS_E_NOMEM, "zeroshot: no memory");
    z->n_k = (uint32_t)p->k.n;
    z->at_1 = z->n_k;
    for (uint32_t i = 0; i < z->n_k; i++) {
        z->k[i] = (uint32_t)p->k.v[i];
        z->at_1 = z->k[i] == 1 ? i : z->at_1;
    }
    if (z->at_1 == z->n_k) {
        free(z);
        return mohs_fail(err, MOHS_E_ARG, "zeroshot: k lacks 1");
    }
    name_all(z);
    *self = z;
    return MOHS_OK;
}

static void destroy(void *self)
{
    free(self);
}

static const char *const *columns(void *self, uint32_t *n)
{
    struct zeroshot *z = self;
    *n = HITS + z->n_k + BEHIND;
    return z->column;
}

static const struct mohs_value *values(void *self, uint32_t *n)
{
    struct zeroshot *z = self;
    *n = z->n_k + 3;
    return z->value;
}

/* ---- outcomes ---- */

struct work {
    const struct zeroshot *z;
    struct mohs_samples *s;
    uint32_t n_classes;
};

static mohs_status put_row(void *user, uint32_t image, const struct outcome *o)
{
    struct work *w = user;
    const struct zeroshot *z = w->z;
    double *row = w->s->value + (size_t)image * w->s->n_columns;
    int known = o->label != UINT32_MAX;
    row[LABEL] = known ? o->label : NAN;
    row[PREDICTED] = o->predicted;
    for (uint32_t i = 0; i < z->n_k; i++)
        row[HITS + i] = known && z->k[i] < w->n_classes ? outcome_hit(o, z->k[i]) : NAN;
    row += HITS + z->n_k;
    row[CONFIDENCE] = o->confidence;
    row[PROBABILITY] = o->probability;
    row[MARGIN] = o->margin;
    w->s->cluster[image] = image;
    return MOHS_OK;
}

static mohs_status measure(void *self, const struct mohs_eval *e, struct mohs_samples *s,
                           struct mohs_error *err)
{
    struct work w = { self, s, e->n_texts };
    mohs_status st = s->alloc(s, e->n_images, e->n_images, err);
    return st < 0 ? st : classify(e, "zeroshot", put_row, &w, err);
}

/* ---- summary ---- */

/* Mean of column c over the rows that have it. */
static double mean_of(const struct mohs_samples *s, const uint32_t *weight, uint32_t c)
{
    double sum = 0, n = 0;
    for (uint32_t r = 0; r < s->n_rows; r++) {
        double x = s->value[(size_t)r * s->n_columns + c];
        double w = weight ? weight[r] : 1;
        if (isnan(x))
            continue;
        sum += w * x;
        n += w;
    }
    return n > 0 ? sum / n : NAN;
}

/* Over the classes that occur. */
static mohs_status balanced(const struct mohs_samples *s, const uint32_t *weight,
                            uint32_t hit, double *out, struct mohs_error *err)
{
    double most = -1, sum = 0, n = 0;
    for (uint32_t r = 0; r < s->n_rows; r++) {
        double label = s->value[(size_t)r * s->n_columns + LABEL];
        most = label > most ? label : most;
    }
    size_t classes = (size_t)(most + 1);
    double *had = calloc(2 * classes + 1, sizeof *had), *hits = had + classes;
    if (!had)
        return mohs_fail(err, MOHS_E_NOMEM, "zeroshot: no memory for %zu classes", classes);
    for (uint32_t r = 0; r < s->n_rows; r++) {
        const double *row = s->value + (size_t)r * s->n_columns;
        double w = weight ? weight[r] : 1;
        if (isnan(row[LABEL]) || isnan(row[hit]))
            continue;
        had[(size_t)row[LABEL]] += w;
        hits[(size_t)row[LABEL]] += w * row[hit];
    }
    for (size_t k = 0; k < classes; k++)
        if (had[k] > 0) {
            sum += hits[k] / had[k];
            n++;
        }
    free(had);
    *out = n > 0 ? 100 * sum / n : NAN;
    return MOHS_OK;
}

static mohs_status summarise(void *self, const struct mohs_samples *s,
                             const uint32_t *weight, double *out, struct mohs_error *err)
{
    const struct zeroshot *z = self;
    uint32_t n = z->n_k, behind = HITS + z->n_k;
    for (uint32_t i = 0; i < n; i++)
        out[i] = 100 * mean_of(s, weight, HITS + i);
    out[n + 1] = 100 * mean_of(s, weight, behind + CONFIDENCE);
    out[n + 2] = mean_of(s, weight, behind + MARGIN);
    return balanced(s, weight, HITS + z->at_1, &out[n], err);
}

static const struct mohs_metric_ops ops = {
    .size = sizeof ops,
    .create = create,
    .destroy = destroy,
    .columns = columns,
    .values = values,
    .measure = measure,
    .summarise = summarise,
};

static const struct mohs_param params[] = {
    { "k", "cut-offs of accuracy, 1 among them", MOHS_P_INTS, offsetof(struct params, k), 0,
      1, 1e6, NULL, "1,5" },
};

const struct mohs_item zeroshot_item = {
    .size = sizeof zeroshot_item,
    .param_stride = sizeof *params,
    .kind = MOHS_KIND_METRIC,
    .id = "zeroshot",
    .summary = "classification: top 1 and 5, balanced accuracy, confusions, confidence",
    .params = params,
    .n_params = 1,
    .params_size = sizeof(struct params),
    .ops = &ops,
};
