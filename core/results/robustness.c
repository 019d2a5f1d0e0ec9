/* SPDX-License-Identifier: MIT */
/* Cells to scores, scores to mCE and the like. */
#include "config.h"

#include "results/robustness.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* AlexNet's top-1 errors in %, mean over severities, 224 px, as published
 * with ImageNet-C and ImageNet-C-bar; clean 43.5. First the common fifteen. */
static const double alexnet_clean = 43.5;
static const struct known {
    const char *name;
    double alexnet;
} known[] = {
    { "gaussian_noise", 88.6428 },    { "shot_noise", 89.4468 },
    { "impulse_noise", 92.2640 },     { "defocus_blur", 81.9880 },
    { "glass_blur", 82.6268 },        { "motion_blur", 78.5948 },
    { "zoom_blur", 79.8360 },         { "snow", 86.6816 },
    { "frost", 82.6572 },             { "fog", 81.9324 },
    { "brightness", 56.4592 },        { "contrast", 85.3204 },
    { "elastic_transform", 64.6056 }, { "pixelate", 71.7840 },
    { "jpeg_compression", 60.6500 },  { "speckle_noise", 84.5388 },
    { "gaussian_blur", 78.7108 },     { "spatter", 71.7512 },
    { "saturate", 65.8248 },
};
enum { COMMON = 15, N_KNOWN = sizeof known / sizeof *known };

struct list {
    const char **v;
    size_t n;
};

/* One score of one cell. severity 0: clean. `all` is the set by all axes,
 * `set` by those of the evaluation; see use_sets(). */
struct score {
    size_t set, all, model, corruption, value;
    int severity;
    double x;
};

struct robustness {
    struct arena *arena;
    struct list sets, models, corruptions, values;
    bool *percent; /* of each value */
    struct score *score;
    size_t n, cap;
    struct robustness_model *out;
    size_t n_out;
};

struct robustness *robustness_new(void)
{
    struct robustness *r = xcalloc(1, sizeof *r);
    r->arena = arena_new();
    return r;
}

static void clear(struct robustness *r)
{
    for (size_t i = 0; i < r->n_out; i++)
        free(r->out[i].corruption);
    free(r->out);
    r->out = NULL;
    r->n_out = 0;
}

void robustness_free(struct robustness *r)
{
    if (!r)
        return;
    clear(r);
    free(r->sets.v);
    free(r->models.v);
    free(r->corruptions.v);
    free(r->values.v);
    free(r->percent);
    free(r->score);
    arena_free(r->arena);
    free(r);
}

static size_t list_find(const struct list *l, const char *s, size_t n)
{
    size_t i = 0;
    while (i < l->n && (strncmp(l->v[i], s, n) || l->v[i][n]))
        i++;
    return i;
}

static size_t list_add(struct robustness *r, struct list *l, const char *s)
{
    size_t i = list_find(l, s, strlen(s));
    if (i == l->n) {
        l->v = xrealloc(l->v, (l->n + 1) * sizeof *l->v);
        l->v[l->n++] = arena_strdup(r->arena, s);
    }
    return i;
}

/* ---- cells ----------------------------------------------------------- */

/* The axes that eval gives to every cell, or all but the coordinates. */
static size_t set_of(struct robustness *r, const struct result_cell *c, bool all)
{
    struct str b = { 0 };
    str_add(&b, "");
    for (size_t i = 0; i < c->n_axes; i++) {
        const char *key = c->axis[i].key;
        bool own = !strcmp(key, "data") || !strcmp(key, "metric") ||
                   !strcmp(key, "prompt");
        if (own || (all && strcmp(key, "model") && strcmp(key, "severity") &&
                    strncmp(key, "corruption", 10)))
            str_addf(&b, "%s%s: %s", b.n ? ", " : "", key, c->axis[i].value);
    }
    size_t i = list_add(r, &r->sets, b.s);
    str_free(&b);
    return i;
}

static size_t corruption_of(struct robustness *r, const struct result_cell *c)
{
    const char *name = result_axis(c, "corruption");
    const char *params = result_axis(c, "corruption_params");
    if (!name)
        return SIZE_MAX;
    return list_add(r, &r->corruptions,
                    params ? arena_printf(r->arena, "%s (%s)", name, params) : name);
}

static void put_score(struct robustness *r, const struct score *s)
{
    if (r->n == r->cap)
        r->score = xrealloc(r->score, (r->cap = r->cap ? 2 * r->cap : 256) *
                                          sizeof *r->score);
    r->score[r->n++] = *s;
}

mohs_status robustness_take(void *user, const struct result_cell *c,
                            struct mohs_error *err)
{
    struct robustness *r = user;
    const char *model = result_axis(c, "model"), *severity = result_axis(c, "severity");
    int64_t at = 0;
    (void)err;
    if (!model || result_axis(c, "attack"))
        return MOHS_OK;
    if (severity && (!str_to_i64(severity, &at) || at < 1 || at > SEVERITIES))
        return MOHS_OK;
    if (!at != !result_axis(c, "corruption"))
        return MOHS_OK;
    struct score s = { .set = set_of(r, c, false),
                       .all = set_of(r, c, true),
                       .model = list_add(r, &r->models, model),
                       .corruption = corruption_of(r, c),
                       .severity = (int)at };
    for (size_t i = 0; i < c->n_values; i++) {
        const struct result_value *v = &c->value[i];
        size_t before = r->values.n;
        s.value = list_add(r, &r->values, v->name);
        if (r->values.n > before) {
            r->percent = xrealloc(r->percent, r->values.n * sizeof *r->percent);
            r->percent[s.value] = v->direction > 0 && v->unit &&
                                  !strcmp(v->unit, "%");
        }
        s.x = v->value;
        put_score(r, &s);
    }
    return MOHS_OK;
}

/* ---- what is asked ---------------------------------------------------- */

struct ask {
    size_t value, baseline; /* baseline: SIZE_MAX none */
    bool alexnet;
    bool *fit;  /* of each model */
    size_t n_fit;
    bool *want; /* of each corruption: counts in means */
    bool use_all;
};

static bool is_common(const char *name)
{
    for (size_t i = 0; i < COMMON; i++)
        if (!strcmp(name, known[i].name))
            return true;
    return false;
}

static mohs_status mark(const struct list *l, const char *names, bool *mark_of,
                        size_t *n, const char *what, struct mohs_error *err)
{
    for (const char *p = names; *p;) {
        size_t len = strcspn(p, ",");
        size_t i = list_find(l, p, len);
        if (i == l->n)
            return mohs_fail(err, MOHS_E_ARG,
                             "robustness: no %s '%.*s' in the results", what,
                             (int)(len < 80 ? len : 80), p);
        *n += !mark_of[i];
        mark_of[i] = true;
        p += len + (p[len] == ',');
    }
    return MOHS_OK;
}

static mohs_status ask_corruptions(const struct robustness *r, const char *only,
                                   struct ask *a, struct mohs_error *err)
{
    size_t n = 0;
    if (only && strcmp(only, "common") && strcmp(only, "all"))
        return mark(&r->corruptions, only, a->want, &n, "corruption", err);
    for (size_t i = 0; i < r->corruptions.n; i++)
        n += a->want[i] = is_common(r->corruptions.v[i]);
    if (only ? !strcmp(only, "all") : !n)
        for (size_t i = 0; i < r->corruptions.n; i++)
            a->want[i] = true;
    else if (!n)
        return mohs_fail(err, MOHS_E_ARG,
                         "robustness: none of the 15 common corruptions is in "
                         "the results");
    return MOHS_OK;
}

static mohs_status ask_value(const struct robustness *r, const char *name,
                             struct ask *a, struct mohs_error *err)
{
    static const char *const first[] = { "top1", "mean_recall" };
    a->value = r->values.n;
    if (name)
        a->value = list_find(&r->values, name, strlen(name));
    for (size_t i = 0; !name && a->value == r->values.n && i < 2; i++)
        a->value = list_find(&r->values, first[i], strlen(first[i]));
    if (!r->values.n)
        return mohs_fail(err, MOHS_E_ARG,
                         "robustness: the results have no clean or corrupted cells");
    if (a->value == r->values.n)
        return mohs_fail(err, MOHS_E_ARG, "robustness: no value '%.80s' in the results",
                         name ? name : "top1' or 'mean_recall");
    if (!r->percent[a->value])
        return mohs_fail(err, MOHS_E_ARG,
                         "robustness: value '%.80s' is no percentage of which "
                         "more is better", r->values.v[a->value]);
    return MOHS_OK;
}

static mohs_status ask_models(const struct robustness *r,
                              const struct robustness_options *o, struct ask *a,
                              struct mohs_error *err)
{
    a->baseline = SIZE_MAX;
    if (o->baseline && *o->baseline) {
        a->baseline = list_find(&r->models, o->baseline, strlen(o->baseline));
        if (a->baseline == r->models.n) {
            a->baseline = SIZE_MAX;
            a->alexnet = !strcmp(o->baseline, "alexnet");
            if (!a->alexnet)
                return mohs_fail(err, MOHS_E_ARG,
                                 "robustness: no model '%.80s' in the results",
                                 o->baseline);
            if (strcmp(r->values.v[a->value], "top1"))
                return mohs_fail(err, MOHS_E_ARG,
                                 "robustness: AlexNet's errors are of top1 on "
                                 "ImageNet, not of '%.80s'; take a model as baseline",
                                 r->values.v[a->value]);
        }
    }
    if (!o->fit || !*o->fit)
        return MOHS_OK;
    RET_IF_ERR(mark(&r->models, o->fit, a->fit, &a->n_fit, "model", err));
    if (a->n_fit < 2)
        return mohs_fail(err, MOHS_E_ARG,
                         "robustness: a line needs two models, '%.80s' is one",
                         o->fit);
    return MOHS_OK;
}

/* ---- sums ------------------------------------------------------------- */

/* Scores of one model in one set, by corruption and severity. */
struct row {
    bool any;
    double clean;
    double *x; /* corruptions * SEVERITIES */
};

static size_t set_in(const struct ask *a, const struct score *s)
{
    return a->use_all ? s->all : s->set;
}

/* Further axes of a recipe (arm, seed) that say something of the model do not
 * part what is compared; those that part the cells of one model do. */
static void use_sets(const struct robustness *r, struct ask *a)
{
    for (size_t i = 0; i < r->n; i++)
        for (size_t k = 0; k < i && r->score[i].value == a->value; k++)
            a->use_all |= r->score[k].value == a->value &&
                          r->score[i].set == r->score[k].set &&
                          r->score[i].all != r->score[k].all &&
                          r->score[i].model == r->score[k].model &&
                          r->score[i].corruption == r->score[k].corruption &&
                          r->score[i].severity == r->score[k].severity;
}

/* Of equal conditions the latest stays. */
static void fill_rows(const struct robustness *r, const struct ask *a, size_t set,
                      struct row *row)
{
    for (size_t m = 0; m < r->models.n; m++) {
        row[m].any = false;
        row[m].clean = NAN;
        for (size_t i = 0; i < r->corruptions.n * SEVERITIES; i++)
            row[m].x[i] = NAN;
    }
    for (size_t i = 0; i < r->n; i++) {
        const struct score *s = &r->score[i];
        if (set_in(a, s) != set || s->value != a->value)
            continue;
        row[s->model].any = true;
        if (!s->severity)
            row[s->model].clean = s->x;
        else
            row[s->model].x[s->corruption * SEVERITIES + (size_t)s->severity - 1] =
                s->x;
    }
}

/* Sum over severities; NaN when one is missing. */
static double sum5(const double *x)
{
    double s = 0;
    for (int i = 0; i < SEVERITIES; i++)
        s += x[i];
    return s;
}

/* The baseline's summed errors for a corruption, and its clean error. */
static void base_errors(const struct robustness *r, const struct ask *a,
                        const struct row *row, size_t c, double *sum, double *clean)
{
    *sum = *clean = NAN;
    if (a->baseline != SIZE_MAX) {
        *sum = 100 * SEVERITIES - sum5(row[a->baseline].x + c * SEVERITIES);
        *clean = 100 - row[a->baseline].clean;
    }
    for (size_t k = 0; a->alexnet && k < N_KNOWN; k++)
        if (!strcmp(known[k].name, r->corruptions.v[c])) {
            *sum = SEVERITIES * known[k].alexnet;
            *clean = alexnet_clean;
        }
}

static void one_corruption(const struct robustness *r, const struct ask *a,
                           const struct row *row, size_t m, size_t c,
                           struct robustness_corruption *out)
{
    const double *x = row[m].x + c * SEVERITIES;
    double base, base_clean, kept = 0, error = 100 * SEVERITIES - sum5(x);
    base_errors(r, a, row, c, &base, &base_clean);
    *out = (struct robustness_corruption) { .name = r->corruptions.v[c] };
    memcpy(out->score, x, sizeof out->score);
    out->mean = sum5(x) / SEVERITIES;
    for (int s = 0; s < SEVERITIES; s++)
        kept += row[m].clean > 0 ? 100 * x[s] / row[m].clean : NAN;
    out->kept = kept / SEVERITIES;
    out->ce = base > 0 ? 100 * error / base : NAN;
    error -= SEVERITIES * (100 - row[m].clean);
    base -= SEVERITIES * base_clean;
    out->relative_ce = base > 0 ? 100 * error / base : NAN;
}

/* Mean of the field at `offset` over wanted corruptions that have one. */
static double mean_of(const struct robustness *r, const struct ask *a,
                      const struct robustness_model *m, size_t offset, uint32_t *n)
{
    double s = 0;
    *n = 0;
    for (size_t i = 0; i < m->n; i++) {
        double x = *(const double *)((const char *)&m->corruption[i] + offset);
        size_t c = list_find(&r->corruptions, m->corruption[i].name,
                             strlen(m->corruption[i].name));
        if (isnan(x) || !a->want[c])
            continue;
        s += x;
        ++*n;
    }
    return *n ? s / *n : NAN;
}

static void one_model(const struct robustness *r, const struct ask *a, size_t set,
                      const struct row *row, size_t m, struct robustness_model *out)
{
    uint32_t n;
    *out = (struct robustness_model) { .set = r->sets.v[set],
                                       .model = r->models.v[m],
                                       .clean = row[m].clean };
    out->corruption = xcalloc(r->corruptions.n + 1, sizeof *out->corruption);
    for (size_t c = 0; c < r->corruptions.n; c++) {
        bool any = false;
        for (int s = 0; s < SEVERITIES; s++)
            any |= !isnan(row[m].x[c * SEVERITIES + (size_t)s]);
        if (any)
            one_corruption(r, a, row, m, c, &out->corruption[out->n++]);
    }
#define MEAN(field) \
    mean_of(r, a, out, offsetof(struct robustness_corruption, field), &n)
    out->relative_mce = MEAN(relative_ce);
    out->kept = MEAN(kept);
    out->mean = MEAN(mean);
    out->mce = MEAN(ce);
    out->n_mce = n;
#undef MEAN
    out->drop = out->clean - out->mean;
    out->mmi = 100 - out->kept;
    out->relative = out->effective = NAN;
}

static double logit(double percent)
{
    return log(percent / (100 - percent));
}

/* Least squares through the chosen models of a set, in logits. */
static void effective(struct robustness_model *m, size_t n, const bool *fit)
{
    double sx = 0, sy = 0, sxx = 0, sxy = 0, k = 0;
    for (size_t i = 0; i < n; i++) {
        double x = logit(m[i].clean), y = logit(m[i].mean);
        if (!fit[i] || !isfinite(x) || !isfinite(y))
            continue;
        sx += x;
        sy += y;
        sxx += x * x;
        sxy += x * y;
        k++;
    }
    double var = k * sxx - sx * sx;
    if (k < 2 || !(var > 1e-12 * (1 + k * sxx)))
        return;
    double slope = (k * sxy - sx * sy) / var, at0 = (sy - slope * sx) / k;
    for (size_t i = 0; i < n; i++)
        m[i].effective =
            m[i].mean - 100 / (1 + exp(-(at0 + slope * logit(m[i].clean))));
}

static void one_set(struct robustness *r, const struct ask *a, size_t set,
                    struct row *row)
{
    size_t first = r->n_out;
    bool *fit = xcalloc(r->models.n + 1, sizeof *fit);
    double base = NAN;
    fill_rows(r, a, set, row);
    for (size_t m = 0; m < r->models.n; m++) {
        if (!row[m].any)
            continue;
        r->out = xrealloc(r->out, (r->n_out + 1) * sizeof *r->out);
        fit[r->n_out - first] = a->fit[m];
        one_model(r, a, set, row, m, &r->out[r->n_out++]);
        if (m == a->baseline)
            base = r->out[r->n_out - 1].mean;
    }
    for (size_t i = first; i < r->n_out; i++)
        r->out[i].relative = r->out[i].mean - base;
    if (a->n_fit)
        effective(r->out + first, r->n_out - first, fit);
    free(fit);
    bool corrupted = false;
    for (size_t i = first; i < r->n_out; i++)
        corrupted |= r->out[i].n > 0;
    while (!corrupted && r->n_out > first)
        free(r->out[--r->n_out].corruption);
}

mohs_status robustness_make(struct robustness *r,
                            const struct robustness_options *o,
                            const struct robustness_model **out, size_t *n,
                            struct mohs_error *err)
{
    struct ask a = { .fit = xcalloc(r->models.n + 1, sizeof *a.fit),
                     .want = xcalloc(r->corruptions.n + 1, sizeof *a.want) };
    struct row *row = xcalloc(r->models.n + 1, sizeof *row);
    mohs_status st;
    for (size_t m = 0; m < r->models.n; m++)
        row[m].x = xcalloc(r->corruptions.n * SEVERITIES + 1, sizeof *row[m].x);
    clear(r);
    OUT_IF_ERR(ask_value(r, o->value, &a, err));
    OUT_IF_ERR(ask_models(r, o, &a, err));
    OUT_IF_ERR(ask_corruptions(r, o->only, &a, err));
    use_sets(r, &a);
    for (size_t s = 0; s < r->sets.n; s++)
        one_set(r, &a, s, row);
    *out = r->out;
    *n = r->n_out;
    st = MOHS_OK;
out:
    for (size_t m = 0; m < r->models.n; m++)
        free(row[m].x);
    free(row);
    free(a.fit);
    free(a.want);
    return st;
}
