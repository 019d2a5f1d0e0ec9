/* SPDX-License-Identifier: MIT */
/*
 * Checks of models: a tiny configuration with random parameters, built as a
 * graph on the device; rows, taps and gradients.
 */
#include "config.h"

#include "model/model.h"
#include "plugin/check_tower.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = CHECK_BATCH };

static const uint32_t all_samples[BATCH] = { 0, 1, 2 };

/* ---- the checks ---- */

static bool run_params(struct check_run *c)
{
    struct model m;
    bool ok = model_open(c, &m);
    ok = ok && check_params(c, model_create, model_destroy);
    model_close(c, &m);
    return ok;
}

static bool taps_valid(struct check_run *c, const struct mohs_model_info *info)
{
    for (size_t i = 0; info->taps && info->taps[i]; i++) {
        const char *s = info->taps[i];
        if (strncmp(s, "image.", 6) && strncmp(s, "text.", 5))
            return check_fail(c, "tap '%.40s' is neither image. nor text.", s);
        for (size_t j = 0; j < i; j++)
            if (!strcmp(s, info->taps[j]))
                return check_fail(c, "tap %s is there twice", s);
    }
    return true;
}

/* What it says of pictures is read as it will be for a file without. */
static bool pictures_valid(struct check_run *c, const struct mohs_model_info *i)
{
    struct mohs_error err = MOHS_ERROR_INIT;
    struct mohs_weights *file = NULL;
    struct preprocess p;
    if (!(i->towers & MOHS_TOWER_IMAGE))
        return true;
    mohs_status st = weights_new("{}", NULL, NULL, &file, &err);
    if (st >= 0)
        st = preprocess_from(file, i, &p, &err);
    weights_close(file);
    return check_status(c, "preprocessor", st, &err);
}

static bool run_info(struct check_run *c)
{
    const struct mohs_model_ops *ops = c->it->item->ops;
    struct model m;
    bool ok = model_open(c, &m);
    int32_t sure = ok ? ops->probe(c->host, &m.w) : 0;
    if (ok && (sure < 1 || sure > 100))
        ok = check_fail(c,
                        "probe of a configuration with model_type '%s' says %d",
                        c->it->item->id, sure);
    const struct mohs_model_info *i = m.info;
    uint32_t both = MOHS_TOWER_IMAGE | MOHS_TOWER_TEXT;
    if (ok && (!i->towers || (i->towers & ~both) || !i->embed_dim))
        ok = check_fail(c, "towers %u, embed_dim %u", i->towers, i->embed_dim);
    if (ok && (i->towers & MOHS_TOWER_IMAGE) &&
        (!i->image_height || !i->image_width))
        ok = check_fail(c, "an image tower of %u x %u", i->image_height,
                        i->image_width);
    if (ok && (i->towers & MOHS_TOWER_TEXT) &&
        (i->context_length < 4 || i->vocab_size < 4))
        ok = check_fail(c, "a text tower of %u tokens, %u words",
                        i->context_length, i->vocab_size);
    if (ok && !(isfinite(i->logit_scale) && i->logit_scale > 0))
        ok = check_fail(c, "logit_scale is %g", (double)i->logit_scale);
    if (ok && (i->flags & MOHS_MODEL_CLASSIFIER) &&
        (i->towers != MOHS_TOWER_IMAGE || i->logit_scale != 1 || i->logit_bias != 0))
        ok = check_fail(c, "a classifier with towers %u, logit_scale %g, logit_bias %g",
                        i->towers, (double)i->logit_scale, (double)i->logit_bias);
    ok = ok && taps_valid(c, i);
    ok = ok && pictures_valid(c, i);
    if (ok)
        check_note(c, "%zu parameters, %ux%u pixels, %u tokens, %u dims", m.w.n,
                   i->image_width, i->image_height, i->context_length,
                   i->embed_dim);
    model_close(c, &m);
    return ok;
}

/* Calls fn for each tower the model has, on the device. */
static bool each_tower(struct check_run *c,
                       bool (*fn)(struct check_run *c, struct model *m,
                                  uint32_t which))
{
    struct model m;
    bool ok = model_open(c, &m) && model_device(c, &m);
    for (uint32_t t = MOHS_TOWER_IMAGE; ok && t <= MOHS_TOWER_TEXT; t <<= 1)
        if (m.info->towers & t)
            ok = fn(c, &m, t);
    model_close(c, &m);
    return ok;
}

/* Rows are finite and the same in a batch, alone and in another order. */
static bool rows_tower(struct check_run *c, struct model *m, uint32_t which)
{
    static const uint32_t back[BATCH] = { 2, 1, 0 };
    struct tower all, one = { 0 };
    float *rows = NULL, *turned = NULL, *row = NULL;
    bool ok = tower_build(c, m, which, BATCH, TINY_CONTEXT, NULL, &all) &&
              tower_build(c, m, which, 1, TINY_CONTEXT, NULL, &one);
    if (ok) {
        size_t bytes = all.dim * sizeof *rows;
        rows = xmalloc(BATCH * bytes);
        turned = xmalloc(BATCH * bytes);
        row = xmalloc(bytes);
        ok = tower_plan(c, &all) && tower_plan(c, &one) &&
             tower_feed(c, &all, back, NULL, 0) && tower_run(c, &all, turned) &&
             tower_feed(c, &all, all_samples, NULL, 0) &&
             tower_run(c, &all, rows);
        for (uint32_t k = 0; ok && k < BATCH * all.dim; k++)
            if (!isfinite(rows[k]))
                ok = check_fail(c, "row %u is not finite", k / all.dim);
        for (uint32_t i = 0; ok && i < BATCH; i++) {
            ok = tower_feed(c, &one, &i, NULL, 0) && tower_run(c, &one, row);
            if (ok && memcmp(row, rows + (size_t)i * all.dim, bytes))
                ok = check_fail(c, "row %u differs in a batch and alone", i);
            if (ok && memcmp(row, turned + (size_t)(2 - i) * all.dim, bytes))
                ok = check_fail(c, "row %u depends on its place", i);
            if (ok && i && !memcmp(row, rows, bytes))
                ok = check_fail(c, "different inputs give the same row");
        }
    }
    free(rows);
    free(turned);
    free(row);
    graph_free(all.g);
    graph_free(one.g);
    return ok;
}

static bool run_rows(struct check_run *c)
{
    return each_tower(c, rows_tower);
}

/* Every named tap is met by the tower its name says. */
static bool taps_tower(struct check_run *c, struct model *m, uint32_t which)
{
    const char *prefix = which == MOHS_TOWER_IMAGE ? "image." : "text.";
    struct tower t;
    bool ok = tower_build(c, m, which, 1, TINY_CONTEXT, NULL, &t);
    for (size_t i = 0; ok && m->info->taps && m->info->taps[i]; i++)
        if (!strncmp(m->info->taps[i], prefix, strlen(prefix)) &&
            !graph_find_tap(t.g, m->info->taps[i]))
            ok = check_fail(c, "tap %s is named but not built",
                            m->info->taps[i]);
    graph_free(t.g);
    return ok;
}

static bool run_taps(struct check_run *c)
{
    return each_tower(c, taps_tower);
}

/* With the flag, what stands behind `last` must not matter. */
static bool run_causal(struct check_run *c)
{
    struct model m;
    struct tower full = { 0 }, cut = { 0 };
    float *a = NULL, *b = NULL;
    bool ok = model_open(c, &m) && model_device(c, &m);
    bool has = ok && (m.info->towers & MOHS_TOWER_TEXT) &&
               (m.info->flags & MOHS_MODEL_CAUSAL_TEXT);
    if (has) {
        ok = tower_build(c, &m, MOHS_TOWER_TEXT, BATCH, TINY_CONTEXT, NULL,
                         &full) &&
             tower_build(c, &m, MOHS_TOWER_TEXT, BATCH, 5, NULL, &cut);
        a = xmalloc(BATCH * m.info->embed_dim * sizeof *a);
        b = xmalloc(BATCH * m.info->embed_dim * sizeof *b);
        ok = ok && tower_plan(c, &full) && tower_plan(c, &cut) &&
             tower_feed(c, &full, all_samples, NULL, 0) &&
             tower_run(c, &full, a) &&
             tower_feed(c, &cut, all_samples, NULL, 0) && tower_run(c, &cut, b);
        for (uint32_t k = 0; ok && k < BATCH * m.info->embed_dim; k++)
            if (fabsf(a[k] - b[k]) > 1e-5f * (1 + fabsf(a[k])))
                ok = check_fail(c, "flagged causal, but padding changes row %u",
                                k / m.info->embed_dim);
    } else if (ok) {
        check_note(c, "not flagged causal");
    }
    free(a);
    free(b);
    graph_free(full.g);
    graph_free(cut.g);
    model_close(c, &m);
    return ok;
}

/* ---- gradients ---- */

/* <r, out> of the tower's rows. */
static double projected(const struct tower *t, const float *out)
{
    double sum = 0;
    for (uint32_t k = 0; k < t->n * t->dim; k++)
        sum += (double)out[k] * (double)mohs_rng_normal(63, 0, k);
    return sum;
}

static struct tensor *seed_tensor(struct tower *t)
{
    uint32_t dims[] = { t->n, t->dim };
    float *r = xmalloc((size_t)t->n * t->dim * sizeof *r);
    for (uint32_t k = 0; k < t->n * t->dim; k++)
        r[k] = mohs_rng_normal(63, 0, k);
    struct tensor *s = graph_constant(t->g, 2, dims, r);
    free(r);
    return s;
}

/* Where a gradient is taken: at an input of the graph. */
struct probe {
    struct tower t;
    struct tensor *at, *grad, *clean; /* clean: what the tap sees, or NULL */
    bool pixels;
};

/* f at input + step * direction. */
static bool value_at(struct check_run *c, struct probe *p, const float *dir,
                     double step, float *out, double *f)
{
    struct mohs_error err = MOHS_ERROR_INIT;
    bool ok = tower_feed(c, &p->t, all_samples, p->pixels ? dir : NULL, step);
    if (ok && !p->pixels) {
        size_t n = (size_t)tensor_count(p->at);
        float *d = xmalloc(n * sizeof *d);
        for (size_t i = 0; i < n; i++)
            d[i] = (float)(step * (double)dir[i]);
        ok = check_status(c, "delta", tensor_write(p->at, d, &err), &err);
        free(d);
    }
    ok = ok && tower_run(c, &p->t, out);
    if (ok)
        *f = projected(&p->t, out);
    return ok;
}

/* Steps are measured in what is there: pixels have size 1, token embeddings
 * perhaps 0.02. */
static bool scale_of(struct check_run *c, const struct probe *p, double *scale)
{
    struct mohs_error err = MOHS_ERROR_INIT;
    *scale = 1;
    if (!p->clean)
        return true;
    size_t n = (size_t)tensor_count(p->clean);
    float *x = xmalloc(n * sizeof *x);
    bool ok = check_status(c, "tap", tensor_read(p->clean, x, &err), &err);
    double sum = 0;
    for (size_t i = 0; ok && i < n; i++)
        sum += (double)x[i] * (double)x[i];
    free(x);
    if (sum > 0)
        *scale = sqrt(sum / (double)n);
    return ok;
}

/* Central differences with one Richardson step. Rounding wants them wide, the
 * kinks of a ReLU narrow: the widths are tried in turn until one agrees with
 * the graph's own slope, or the mean of all does, where there are so many kinks
 * that each meets some. The bound is 1 % of the gradient's size: float32 sums
 * leave about 0.1 %. */
static const double widths[] = { 0.02, 0.004, 0.0008, 0.0002, 0.00005 };

enum { N_WIDTHS = sizeof widths / sizeof *widths };

static double richardson(const double f[4], double h)
{
    double wide = (f[0] - f[1]) / (2 * h), fine = (f[2] - f[3]) / h;
    return (4 * fine - wide) / 3;
}

static bool close_to(double numeric, double exact, double size)
{
    return fabs(numeric - exact) <= 0.01 * (fabs(exact) + size);
}

/* The slope along dir, exact by the gradient. */
static bool slope_agrees(struct check_run *c, struct probe *p, const char *where,
                         const float *dir, double scale, double exact,
                         double size, float *out)
{
    double numeric = 0, sum = 0;
    for (size_t i = 0; i < N_WIDTHS; i++) {
        double f[4], h = widths[i] * scale;
        if (!value_at(c, p, dir, h, out, &f[0]) ||
            !value_at(c, p, dir, -h, out, &f[1]) ||
            !value_at(c, p, dir, h / 2, out, &f[2]) ||
            !value_at(c, p, dir, -h / 2, out, &f[3]))
            return false;
        numeric = richardson(f, h);
        sum += numeric;
        if (close_to(numeric, exact, size))
            return true;
    }
    return close_to(sum / N_WIDTHS, exact, size) ||
           check_fail(c, "%s: differences say %.5g, the gradient %.5g", where,
                      numeric, exact);
}

static bool differences(struct check_run *c, struct probe *p, const char *where)
{
    struct mohs_error err = MOHS_ERROR_INIT;
    size_t n = (size_t)tensor_count(p->at);
    float *g = xmalloc(n * sizeof *g), *dir = xcalloc(n, sizeof *dir);
    float *out = xmalloc((size_t)p->t.n * p->t.dim * sizeof *out);
    double f, size = 0, scale = 1;
    bool ok = value_at(c, p, dir, 0, out, &f) && scale_of(c, p, &scale) &&
              check_status(c, "gradient", tensor_read(p->grad, g, &err), &err);
    for (size_t i = 0; ok && i < n; i++)
        size += (double)g[i] * (double)g[i];
    size = sqrt(size);
    if (ok && !(size > 0 && isfinite(size)))
        ok = check_fail(c, "%s: the gradient is %s", where,
                        size == 0 ? "zero" : "not finite");
    for (uint32_t round = 0; ok && round < 3; round++) {
        double exact = 0;
        for (size_t i = 0; i < n; i++) {
            dir[i] = mohs_rng_normal(64, round, i);
            exact += (double)g[i] * (double)dir[i];
        }
        ok = slope_agrees(c, p, where, dir, scale, exact, size, out);
    }
    free(g);
    free(dir);
    free(out);
    return ok;
}

/* The gradient at pixels, or at the first tap of the text tower. */
static bool gradient_tower(struct check_run *c, struct model *m, uint32_t which)
{
    struct mohs_error err = MOHS_ERROR_INIT;
    const char *tap = NULL;
    struct probe p = { .pixels = which == MOHS_TOWER_IMAGE };
    for (size_t i = 0; !p.pixels && !tap && m->info->taps && m->info->taps[i];
         i++)
        if (!strncmp(m->info->taps[i], "text.", 5))
            tap = m->info->taps[i];
    if (!p.pixels && !tap)
        return true;
    bool ok = tower_build(c, m, which, BATCH, TINY_CONTEXT, tap, &p.t);
    if (ok) {
        p.at = p.pixels ? p.t.pixels : graph_find_delta(p.t.g, tap);
        ok = p.at || check_fail(c, "tap %s takes no delta", tap);
        p.clean = p.pixels ? NULL : graph_find_tap(p.t.g, tap);
    }
    ok = ok && check_status(c, "grad",
                            graph_grad(p.t.g, p.t.out, seed_tensor(&p.t), &p.at,
                                       1, &p.grad, &err),
                            &err);
    if (ok && !p.grad)
        ok = check_fail(c, "the result does not depend on %s",
                        tap ? tap : "the pixels");
    if (ok)
        graph_output(p.t.g, p.grad);
    if (ok && p.clean)
        graph_output(p.t.g, p.clean);
    ok = ok && tower_plan(c, &p.t) && differences(c, &p, tap ? tap : "pixels");
    graph_free(p.t.g);
    return ok;
}

static bool run_gradient(struct check_run *c)
{
    return each_tower(c, gradient_tower);
}

/* ---- gradients by the parameters ---- */

/* Moves every parameter by step times its own direction and size. */
static bool weights_move(struct check_run *c, struct model *m, double step)
{
    struct mohs_error err = MOHS_ERROR_INIT;
    bool ok = true;
    for (size_t i = 0; ok && i < m->w.n; i++) {
        const struct tiny_tensor *t = &m->w.t[i];
        if (!t->n_dims)
            continue;
        float *x = xmalloc(t->count * sizeof *x);
        for (uint64_t k = 0; k < t->count; k++)
            x[k] = t->data[k] +
                   (float)(step * 0.05 * (double)mohs_rng_normal(65, i, k));
        ok = check_status(
            c, t->name,
            params_set(m->params, t->name, t->n_dims, t->dims, x, &err), &err);
        free(x);
    }
    return ok;
}

static bool weights_value(struct check_run *c, struct model *m, struct tower *t,
                          double step, float *out, double *f)
{
    if (!weights_move(c, m, step) || !tower_run(c, t, out))
        return false;
    *f = projected(t, out);
    return true;
}

/* <gradient, direction> over all parameters, and the gradient's length along
 * such directions. */
static bool weights_slope(struct check_run *c, struct model *m,
                          struct tensor *const *grad, double *exact,
                          double *size)
{
    struct mohs_error err = MOHS_ERROR_INIT;
    bool ok = true;
    *exact = *size = 0;
    for (size_t i = 0; ok && i < m->w.n; i++) {
        const struct tiny_tensor *t = &m->w.t[i];
        if (!grad[i])
            continue;
        float *g = xmalloc(t->count * sizeof *g);
        ok = check_status(c, t->name, tensor_read(grad[i], g, &err), &err);
        for (uint64_t k = 0; ok && k < t->count; k++) {
            *exact += 0.05 * (double)g[k] * (double)mohs_rng_normal(65, i, k);
            *size += 0.0025 * (double)g[k] * (double)g[k];
        }
        free(g);
    }
    *size = sqrt(*size);
    return ok;
}

static bool weights_differences(struct check_run *c, struct model *m,
                                struct tower *t, struct tensor *const *grad)
{
    float *out = xmalloc((size_t)t->n * t->dim * sizeof *out);
    double f[4], exact = 0, size = 0, numeric = 0, sum = 0;
    bool ok = tower_feed(c, t, all_samples, NULL, 0) && tower_run(c, t, out) &&
              weights_slope(c, m, grad, &exact, &size), agrees = false;
    for (size_t i = 0; ok && !agrees && i < N_WIDTHS; i++) {
        double h = widths[i];
        ok = weights_value(c, m, t, h, out, &f[0]) &&
             weights_value(c, m, t, -h, out, &f[1]) &&
             weights_value(c, m, t, h / 2, out, &f[2]) &&
             weights_value(c, m, t, -h / 2, out, &f[3]);
        numeric = richardson(f, h);
        sum += numeric;
        agrees = close_to(numeric, exact, size) ||
                 (i + 1 == N_WIDTHS && close_to(sum / N_WIDTHS, exact, size));
    }
    ok = ok && weights_move(c, m, 0);
    if (ok && !agrees)
        ok = check_fail(c, "parameters: differences say %.5g, the gradient %.5g",
                        numeric, exact);
    free(out);
    return ok;
}

/* One tower's gradients by all parameters; used[i] is set for those that it
 * depends on. */
static bool weights_tower(struct check_run *c, struct model *m, uint32_t which,
                          bool *used)
{
    struct mohs_error err = MOHS_ERROR_INIT;
    struct tower t = { 0 };
    size_t n = 0;
    struct tensor **wrt = xcalloc(m->w.n, sizeof(struct tensor *));
    struct tensor **got = xcalloc(m->w.n, sizeof(struct tensor *));
    struct tensor **grad = xcalloc(m->w.n, sizeof(struct tensor *));
    bool ok = tower_build(c, m, which, BATCH, TINY_CONTEXT, NULL, &t);
    for (size_t i = 0; ok && i < m->w.n; i++)
        if (m->w.t[i].n_dims)
            wrt[n++] = graph_weight(t.g, m->w.t[i].name, m->w.t[i].n_dims,
                                    m->w.t[i].dims);
    ok = ok &&
         check_status(
             c, "grad",
             graph_grad(t.g, t.out, seed_tensor(&t), wrt, n, got, &err), &err);
    for (size_t i = 0, k = 0; ok && i < m->w.n; i++) {
        if (!m->w.t[i].n_dims)
            continue;
        grad[i] = got[k++];
        used[i] |= grad[i] != NULL;
        if (grad[i])
            graph_output(t.g, grad[i]);
    }
    ok = ok && tower_plan(c, &t) && weights_differences(c, m, &t, grad);
    graph_free(t.g);
    free(wrt);
    free(got);
    free(grad);
    return ok;
}

/* Finite differences over all parameters; and what describe() lists must be
 * used by a tower, scalars, fixed ones and the loss's own (logit_*) left out. */
static bool run_weights(struct check_run *c)
{
    struct model m;
    bool ok = model_open(c, &m) && model_device(c, &m);
    bool *used = xcalloc(m.w.n, sizeof *used);
    size_t n = 0;
    for (uint32_t t = MOHS_TOWER_IMAGE; ok && t <= MOHS_TOWER_TEXT; t <<= 1)
        if (m.info->towers & t)
            ok = weights_tower(c, &m, t, used);
    for (size_t i = 0; ok && i < m.w.n; i++) {
        const struct tiny_tensor *t = &m.w.t[i];
        n += used[i];
        if (t->n_dims && !t->fixed && !used[i] && strncmp(t->name, "logit_", 6))
            ok = check_fail(c, "parameter %s changes no embedding", t->name);
    }
    if (ok)
        check_note(c, "%zu parameters", n);
    free(used);
    model_close(c, &m);
    return ok;
}

const struct check model_checks[] = {
    { "params", run_params },   { "info", run_info },
    { "rows", run_rows },       { "taps", run_taps },
    { "causal", run_causal },   { "gradient", run_gradient },
    { "weights", run_weights }, { "pairs", check_model_pairs }, { 0 },
};
