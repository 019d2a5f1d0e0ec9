/* SPDX-License-Identifier: MIT */
/*
 * Accuracy by what images were annotated with (ImageNet-X, Idrissi et al.
 * 2023): acc_f over the images with factor f, and the error ratio
 * (1 - acc_f) / (1 - average), the average over all annotated images.
 */
#include "classify.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 64, NAME = 48 };
enum { LABEL, PREDICTED, HIT, FACTORS }; /* columns */
enum { AVERAGE, WORST, IN_FRONT };       /* values; then two a factor */

struct params {
    const char *names;
};

struct factors {
    uint32_t n;
    char name[MOST][NAME];
    char text[3 * MOST][NAME + 16];
    const char *column[FACTORS + MOST];
    struct mohs_value value[IN_FRONT + 2 * MOST];
};

static mohs_status read_names(struct factors *f, const char *list, struct mohs_error *err)
{
    for (const char *s = list; *s;) {
        size_t n = strcspn(s, ", ");
        if (n >= NAME)
            return mohs_fail(err, MOHS_E_ARG, "factors: '%.40s...' is too long a name", s);
        if (n && f->n == MOST)
            return mohs_fail(err, MOHS_E_ARG, "factors: more than %d names", MOST);
        if (n)
            memcpy(f->name[f->n++], s, n);
        s += n;
        s += strspn(s, ", ");
    }
    return f->n ? MOHS_OK : mohs_fail(err, MOHS_E_ARG, "factors: names is empty");
}

static void name_all(struct factors *f)
{
    f->column[LABEL] = "label";
    f->column[PREDICTED] = "predicted";
    f->column[HIT] = "hit@1";
    f->value[AVERAGE] = (struct mohs_value) {
        "average", "accuracy over all annotated images", "%", 1 };
    f->value[WORST] = (struct mohs_value) {
        "worst", "accuracy under the factor that costs most", "%", 1 };
    for (uint32_t i = 0; i < f->n; i++) {
        char *column = f->text[3 * i], *accuracy = f->text[3 * i + 1];
        char *ratio = f->text[3 * i + 2];
        snprintf(column, sizeof f->text[0], "factor_%s", f->name[i]);
        snprintf(accuracy, sizeof f->text[0], "accuracy_%s", f->name[i]);
        snprintf(ratio, sizeof f->text[0], "error_ratio_%s", f->name[i]);
        f->column[FACTORS + i] = column;
        f->value[IN_FRONT + i] = (struct mohs_value) {
            accuracy, "accuracy over the images with this factor", "%", 1 };
        f->value[IN_FRONT + f->n + i] = (struct mohs_value) {
            ratio, "error with this factor over the average error", "", -1 };
    }
}

static mohs_status create(const struct mohs_host *host, const void *params, void **self,
                          struct mohs_error *err)
{
    const struct params *p = params;
    struct factors *f = calloc(1, sizeof *f);
    (void)host;
    if (!f)
        return mohs_fail(err, MOHS_E_NOMEM, "factors: no memory");
    mohs_status st = read_names(f, p->names, err);
    if (st < 0) {
        free(f);
        return st;
    }
    name_all(f);
    *self = f;
    return MOHS_OK;
}

static void destroy(void *self)
{
    free(self);
}

static const char *const *columns(void *self, uint32_t *n)
{
    struct factors *f = self;
    *n = FACTORS + f->n;
    return f->column;
}

static const struct mohs_value *values(void *self, uint32_t *n)
{
    struct factors *f = self;
    *n = IN_FRONT + 2 * f->n;
    return f->value;
}

/* ---- outcomes ---- */

struct work {
    const struct factors *f;
    const struct mohs_eval *e;
    struct mohs_samples *s;
    uint32_t of[MOST]; /* where the data set has each factor; its n: nowhere */
    uint32_t row;
};

/* Annotated and of a class. */
static int counts(const struct mohs_eval *e, uint32_t image)
{
    return e->factor[(size_t)image * e->n_factors] <= 1 && e->label[image] != UINT32_MAX;
}

static mohs_status put_row(void *user, uint32_t image, const struct outcome *o)
{
    struct work *w = user;
    if (!counts(w->e, image))
        return MOHS_OK;
    const uint8_t *factor = w->e->factor + (size_t)image * w->e->n_factors;
    double *row = w->s->value + (size_t)w->row * w->s->n_columns;
    row[LABEL] = o->label;
    row[PREDICTED] = o->predicted;
    row[HIT] = outcome_hit(o, 1);
    for (uint32_t i = 0; i < w->f->n; i++)
        row[FACTORS + i] = w->of[i] < w->e->n_factors ? factor[w->of[i]] : NAN;
    w->s->cluster[w->row++] = image;
    return MOHS_OK;
}

static mohs_status measure(void *self, const struct mohs_eval *e, struct mohs_samples *s,
                           struct mohs_error *err)
{
    struct work w = { .f = self, .e = e, .s = s };
    uint32_t found = 0, rows = 0;
    if (!MOHS_HAS(struct mohs_eval, e, factor) || !e->n_factors)
        return mohs_fail(err, MOHS_E_ARG, "factors: the data set has no factors");
    for (uint32_t i = 0; i < w.f->n; i++) {
        while (w.of[i] < e->n_factors && strcmp(e->factor_name[w.of[i]], w.f->name[i]))
            w.of[i]++;
        found += w.of[i] < e->n_factors;
    }
    if (!found)
        return mohs_fail(err, MOHS_E_ARG, "factors: the data set has '%s' and others, none "
                         "of those in names", e->factor_name[0]);
    for (uint32_t i = 0; e->label && i < e->n_images; i++)
        rows += (uint32_t)counts(e, i);
    mohs_status st = s->alloc(s, rows, e->n_images, err);
    return st < 0 ? st : classify(e, "factors", put_row, &w, err);
}

/* ---- summary ---- */

static double accuracy(double hits, double n)
{
    return n > 0 ? hits / n : NAN;
}

static mohs_status summarise(void *self, const struct mohs_samples *s,
                             const uint32_t *weight, double *out, struct mohs_error *err)
{
    const struct factors *f = self;
    double hits[MOST + 1] = { 0 }, n[MOST + 1] = { 0 };
    (void)err;
    for (uint32_t r = 0; r < s->n_rows; r++) {
        const double *row = s->value + (size_t)r * s->n_columns;
        double w = weight ? weight[r] : 1;
        hits[f->n] += w * row[HIT];
        n[f->n] += w;
        for (uint32_t i = 0; i < f->n; i++)
            if (row[FACTORS + i] == 1) {
                hits[i] += w * row[HIT];
                n[i] += w;
            }
    }
    double average = accuracy(hits[f->n], n[f->n]), worst = NAN;
    for (uint32_t i = 0; i < f->n; i++) {
        double a = accuracy(hits[i], n[i]);
        out[IN_FRONT + i] = 100 * a;
        out[IN_FRONT + f->n + i] = average < 1 ? (1 - a) / (1 - average) : NAN;
        worst = fmin(worst, a); // passes NaN over
    }
    out[AVERAGE] = 100 * average;
    out[WORST] = 100 * worst;
    return MOHS_OK;
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
    { "names", "factors, a comma list; the default is ImageNet-X's", MOHS_P_STRING,
      offsetof(struct params, names), 0, 0, 0, NULL,
      "pose,background,pattern,color,smaller,shape,partial_view,subcategory,texture,larger,"
      "darker,object_blocking,person_blocking,style,brighter,multiple_objects" },
};

const struct mohs_item factors_item = {
    .size = sizeof factors_item,
    .param_stride = sizeof *params,
    .kind = MOHS_KIND_METRIC,
    .id = "factors",
    .summary = "classification by annotated factors: accuracy and error ratio of each",
    .params = params,
    .n_params = 1,
    .params_size = sizeof(struct params),
    .ops = &ops,
};
