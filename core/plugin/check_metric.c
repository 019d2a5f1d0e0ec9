/* SPDX-License-Identifier: MIT */
/* Checks of metrics: tables, weights, order of items, threads. */
#include "config.h"

#include "plugin/check.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum {
    DIM = 16,
    N_IMAGES = 14,
    N_TEXTS = 2 * N_IMAGES,
    N_CLASSES = 7,
    N_FACTORS = 3,
    VALUES_MAX = 256
};
enum { RETRIEVAL, CLASSES, N_TASKS };
static const char *const task_names[] = { "retrieval", "classification" };

/* ---- what a metric sees ---- */

struct world {
    struct mohs_eval e;
    float image[N_IMAGES * DIM], text[N_TEXTS * DIM];
    uint32_t owner[N_TEXTS], label[N_IMAGES];
    uint8_t factor[N_IMAGES * N_FACTORS];
};
static const char *const factor_names[N_FACTORS] = { "pose", "background", "smaller" };

static mohs_status similarity(const struct mohs_eval *e, uint32_t i0,
                              uint32_t i1, uint32_t t0, uint32_t t1, float *out,
                              struct mohs_error *err)
{
    if (i0 > i1 || i1 > e->n_images || t0 > t1 || t1 > e->n_texts)
        return mohs_fail(err, MOHS_E_ARG,
                         "similarity: tile %u..%u x %u..%u of %u x %u", i0, i1,
                         t0, t1, e->n_images, e->n_texts);
    for (uint32_t i = i0; i < i1; i++)
        for (uint32_t t = t0; t < t1; t++) {
            float s = 0;
            for (uint32_t k = 0; k < e->dim; k++)
                s = fmaf(e->image[i * e->dim + k], e->text[t * e->dim + k], s);
            out[(size_t)(i - i0) * (t1 - t0) + t - t0] = s;
        }
    return MOHS_OK;
}

static void draw(float *v, const float *near, float spread, uint64_t key)
{
    double norm = 0;
    for (uint32_t k = 0; k < DIM; k++) {
        v[k] = (near ? near[k] : 0) + spread * mohs_rng_normal(11, key, k);
        norm += (double)v[k] * v[k];
    }
    for (uint32_t k = 0; k < DIM; k++)
        v[k] = (float)(v[k] / sqrt(norm));
}

/* Images and two captions each, or images and class texts; image number i of
 * the world is number (i + turn) % N_IMAGES of the series. */
static void world_make(struct world *w, int task, uint32_t turn)
{
    float classes[N_CLASSES * DIM];
    memset(w, 0, sizeof *w);
    w->e.size = sizeof w->e;
    w->e.n_images = N_IMAGES;
    w->e.dim = DIM;
    w->e.image = w->image;
    w->e.text = w->text;
    w->e.logit_scale = 20;
    w->e.similarity = similarity;
    for (uint32_t k = 0; k < N_CLASSES; k++)
        draw(&classes[k * DIM], NULL, 1, 900 + k);
    for (uint32_t i = 0; i < N_IMAGES; i++) {
        uint32_t src = (i + turn) % N_IMAGES;
        float *v = &w->image[i * DIM];
        w->label[i] = src % N_CLASSES;
        for (uint32_t f = 0; f < N_FACTORS; f++)
            w->factor[i * N_FACTORS + f] = src % 6 == 5 ? 255 : src % (f + 2) == 0;
        draw(v, &classes[w->label[i] * DIM], task == CLASSES ? 0.35f : 0.6f,
             src);
        for (uint32_t t = 0; t < 2; t++) {
            w->owner[2 * i + t] = i;
            draw(&w->text[(2 * i + t) * DIM], v, 0.25f, 100 + 2 * src + t);
        }
    }
    if (task == CLASSES) {
        memcpy(w->text, classes, sizeof classes);
        w->e.n_texts = N_CLASSES;
        w->e.label = w->label;
        w->e.n_factors = N_FACTORS;
        w->e.factor_name = factor_names;
        w->e.factor = w->factor;
    } else {
        w->e.n_texts = N_TEXTS;
        w->e.owner = w->owner;
    }
}

/* ---- the table ---- */

struct table {
    struct mohs_samples s;
    int allocs;
};

static mohs_status alloc(struct mohs_samples *s, uint32_t n_rows,
                         uint32_t n_clusters, struct mohs_error *err)
{
    struct table *t = s->ctx;
    if (t->allocs++)
        return mohs_fail(err, MOHS_E_ARG, "alloc() twice in one measure()");
    if (!n_rows || !n_clusters || n_rows > 1u << 20)
        return mohs_fail(err, MOHS_E_ARG, "alloc() of %u rows and %u clusters",
                         n_rows, n_clusters);
    s->n_rows = n_rows;
    s->n_clusters = n_clusters;
    s->value = xcalloc((size_t)n_rows * s->n_columns, sizeof *s->value);
    s->cluster = xcalloc(n_rows, sizeof *s->cluster);
    return MOHS_OK;
}

static void table_free(struct table *t)
{
    free(t->s.value);
    free(t->s.cluster);
}

/* ---- instances ---- */

static mohs_status create(struct check_run *c, const void *params, void **self,
                          struct mohs_error *err)
{
    const struct mohs_metric_ops *ops = c->it->item->ops;
    return ops->create(c->host, params, self, err);
}

static void destroy(struct check_run *c, void *self)
{
    const struct mohs_metric_ops *ops = c->it->item->ops;
    ops->destroy(self);
    scratch_reset();
}

static bool open_it(struct check_run *c, struct instance *in)
{
    struct mohs_error err = MOHS_ERROR_INIT;
    mohs_status st = instance_make(c, item_params_new(c->it), create, in, &err);
    return check_status(c, "create", st, &err);
}

static void close_it(struct check_run *c, struct instance *in)
{
    destroy(c, in->self);
    instance_free(c, in);
}

/* measure() on a task; st tells whether it took it. False: broke a rule. */
static bool measure(struct check_run *c, void *self, int task, uint32_t turn,
                    struct table *t, mohs_status *st)
{
    const struct mohs_metric_ops *ops = c->it->item->ops;
    struct mohs_error err = MOHS_ERROR_INIT;
    struct table fresh = { .s = { .size = sizeof fresh.s, .alloc = alloc } };
    struct world w;
    world_make(&w, task, turn);
    *t = fresh;
    t->s.ctx = t;
    if (!ops->columns(self, &t->s.n_columns) || !t->s.n_columns)
        return check_fail(c, "columns: none");
    *st = ops->measure(self, &w.e, &t->s, &err);
    scratch_reset();
    if (*st < 0)
        return check_refusal(c, task_names[task], *st, &err);
    if (t->allocs != 1)
        return check_fail(c, "%s: measure() called alloc() %d times",
                          task_names[task], t->allocs);
    for (uint32_t r = 0; r < t->s.n_rows; r++)
        if (t->s.cluster[r] >= t->s.n_clusters)
            return check_fail(c, "%s: row %u is in cluster %u of %u",
                              task_names[task], r, t->s.cluster[r],
                              t->s.n_clusters);
    for (size_t i = 0; i < (size_t)t->s.n_rows * t->s.n_columns; i++)
        if (isinf(t->s.value[i]))
            return check_fail(c, "%s: infinity in row %zu", task_names[task],
                              i / t->s.n_columns);
    return true;
}

static bool summarise(struct check_run *c, void *self, const struct table *t,
                      const uint32_t *weight, double *out)
{
    const struct mohs_metric_ops *ops = c->it->item->ops;
    struct mohs_error err = MOHS_ERROR_INIT;
    uint32_t n = 0;
    const struct mohs_value *v = ops->values(self, &n);
    if (!v || !n || n > VALUES_MAX)
        return check_fail(c, "values: %u of them", n);
    for (uint32_t i = 0; i < n; i++)
        out[i] = -12345.678; // an entry never written shows
    mohs_status st = ops->summarise(self, &t->s, weight, out, &err);
    scratch_reset();
    if (!check_status(c, "summarise", st, &err))
        return false;
    for (uint32_t i = 0; i < n; i++)
        if (out[i] == -12345.678)
            return check_fail(c, "summarise did not write '%s'", v[i].name);
    return true;
}

static uint32_t value_count(struct check_run *c, void *self)
{
    const struct mohs_metric_ops *ops = c->it->item->ops;
    uint32_t n = 0;
    return ops->values(self, &n) ? n : 0;
}

static const char *value_name(struct check_run *c, void *self, uint32_t i)
{
    const struct mohs_metric_ops *ops = c->it->item->ops;
    uint32_t n = 0;
    return ops->values(self, &n)[i].name;
}

/* Bit-equal, or both NaN; or within tol of their size. */
static bool near(double a, double b, double tol)
{
    if (isnan(a) || isnan(b))
        return isnan(a) && isnan(b);
    return a == b || fabs(a - b) <= tol * (fabs(a) + fabs(b));
}

static bool equal(struct check_run *c, void *self, const double *a,
                  const double *b, double tol, const char *what)
{
    for (uint32_t i = 0; i < value_count(c, self); i++)
        if (!near(a[i], b[i], tol))
            return check_fail(c, "%s: %s is %.9g, was %.9g", what,
                              value_name(c, self, i), b[i], a[i]);
    return true;
}

/* Calls fn for every task that the metric takes; one it must take. */
static bool each_task(struct check_run *c,
                      bool (*fn)(struct check_run *c, void *self, int task,
                                 struct table *t))
{
    struct instance in;
    int taken = 0;
    bool ok = true;
    if (!open_it(c, &in))
        return false;
    for (int task = 0; task < N_TASKS && ok; task++) {
        struct table t = { 0 };
        mohs_status st = MOHS_OK;
        ok = measure(c, in.self, task, 0, &t, &st);
        if (ok && st >= 0) {
            taken |= 1 << task;
            ok = fn(c, in.self, task, &t);
        }
        table_free(&t);
    }
    close_it(c, &in);
    if (ok && !taken)
        return check_fail(c, "takes neither retrieval nor classification");
    return ok;
}

/* ---- the checks ---- */

static bool run_params(struct check_run *c)
{
    return check_params(c, create, destroy);
}

static bool name_ok(const char *s)
{
    return s && *s && strlen(s) < 64 &&
           !s[strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789_")];
}

static bool run_tables(struct check_run *c)
{
    const struct mohs_metric_ops *ops = c->it->item->ops;
    struct instance in;
    uint32_t nc = 0, nv = 0;
    bool ok = true;
    if (!open_it(c, &in))
        return false;
    const char *const *col = ops->columns(in.self, &nc);
    const struct mohs_value *v = ops->values(in.self, &nv);
    if (!col || !nc || !v || !nv || nv > VALUES_MAX)
        ok = check_fail(c, "%u columns, %u values", nc, nv);
    for (uint32_t i = 0; ok && i < nc; i++)
        if (!col[i] || !*col[i] || strlen(col[i]) > 63 ||
            strpbrk(col[i], " ,\"\n"))
            ok = check_fail(c, "column %u has no name fit for a table head", i);
    for (uint32_t i = 0; ok && i < nv; i++) {
        if (!name_ok(v[i].name))
            ok = check_fail(c, "value %u has no name of [a-z0-9_]", i);
        else if (!v[i].doc || !*v[i].doc || !v[i].unit)
            ok = check_fail(c, "value %s: doc or unit is missing", v[i].name);
        else if (v[i].direction < -1 || v[i].direction > 1)
            ok = check_fail(c, "value %s: direction %d", v[i].name,
                            v[i].direction);
        for (uint32_t j = 0; ok && j < i; j++)
            if (!strcmp(v[i].name, v[j].name))
                ok = check_fail(c, "value %s is there twice", v[i].name);
    }
    close_it(c, &in);
    return ok && check_note(c, "%u columns, %u values", nc, nv);
}

static bool finite_task(struct check_run *c, void *self, int task,
                        struct table *t)
{
    double out[VALUES_MAX];
    if (!summarise(c, self, t, NULL, out))
        return false;
    for (uint32_t i = 0; i < value_count(c, self); i++)
        // NaN says that a value does not exist; they cannot all do that
        if (isinf(out[i]) || (!i && isnan(out[i])))
            return check_fail(c, "%s: %s is %g", task_names[task],
                              value_name(c, self, i), out[i]);
    snprintf(c->detail, sizeof c->detail, "%s: %s = %.4g", task_names[task],
             value_name(c, self, 0), out[0]);
    return true;
}

static bool run_values(struct check_run *c)
{
    return each_task(c, finite_task);
}

static bool repeat_task(struct check_run *c, void *self, int task,
                        struct table *t)
{
    double a[VALUES_MAX], b[VALUES_MAX];
    struct table again = { 0 };
    mohs_status st = MOHS_OK;
    bool ok = summarise(c, self, t, NULL, a) &&
              summarise(c, self, t, NULL, b) &&
              equal(c, self, a, b, 0, "summarise twice") &&
              measure(c, self, task, 0, &again, &st);
    if (ok && (again.s.n_rows != t->s.n_rows ||
               memcmp(again.s.value, t->s.value,
                      (size_t)t->s.n_rows * t->s.n_columns * sizeof(double))))
        ok = check_fail(c, "%s: measure twice gives different tables",
                        task_names[task]);
    table_free(&again);
    return ok;
}

static bool run_determinism(struct check_run *c)
{
    return each_task(c, repeat_task);
}

/* NULL is all ones; weights w are w copies of a row. */
static bool weights_task(struct check_run *c, void *self, int task,
                         struct table *t)
{
    double plain[VALUES_MAX], ones[VALUES_MAX], some[VALUES_MAX],
        copy[VALUES_MAX];
    uint32_t n = t->s.n_rows, rows = 0;
    uint32_t *w = xcalloc(n, sizeof *w);
    for (uint32_t r = 0; r < n; r++)
        w[r] = 1;
    bool ok = summarise(c, self, t, NULL, plain) &&
              summarise(c, self, t, w, ones) &&
              equal(c, self, plain, ones, 0, "weights of one");
    for (uint32_t r = 0; r < n; r++)
        rows += w[r] = t->s.cluster[r] * 2654435761u >> 30;
    struct table big = *t;
    big.s.n_rows = rows;
    big.s.value = xcalloc((size_t)rows * t->s.n_columns, sizeof(double));
    big.s.cluster = xcalloc(rows, sizeof(uint32_t));
    for (uint32_t r = 0, at = 0; r < n; r++)
        for (uint32_t k = 0; k < w[r]; k++, at++) {
            memcpy(&big.s.value[(size_t)at * t->s.n_columns],
                   &t->s.value[(size_t)r * t->s.n_columns],
                   t->s.n_columns * sizeof(double));
            big.s.cluster[at] = t->s.cluster[r];
        }
    ok = ok && rows && summarise(c, self, t, w, some) &&
         summarise(c, self, &big, NULL, copy) &&
         equal(c, self, copy, some, 1e-9, "weighted rows and copied rows");
    if (ok)
        check_note(c, "%s: %u rows in %u clusters", task_names[task], n,
                   t->s.n_clusters);
    table_free(&big);
    free(w);
    return ok;
}

static bool run_weights(struct check_run *c)
{
    return each_task(c, weights_task);
}

/* The same images in another order have the same values. */
static bool order_task(struct check_run *c, void *self, int task,
                       struct table *t)
{
    double a[VALUES_MAX], b[VALUES_MAX];
    struct table turned = { 0 };
    mohs_status st = MOHS_OK;
    bool ok = summarise(c, self, t, NULL, a) &&
              measure(c, self, task, 5, &turned, &st);
    if (ok && st < 0)
        ok = check_fail(c, "%s: refused in another order", task_names[task]);
    ok = ok && summarise(c, self, &turned, NULL, b) &&
         equal(c, self, a, b, 1e-6, "images in another order");
    table_free(&turned);
    return ok;
}

static bool run_order(struct check_run *c)
{
    return each_task(c, order_task);
}

/* ---- threads: summarise is called from many at once ---- */

struct worker {
    struct check_run c;
    void *self;
    const struct table *t;
    double out[VALUES_MAX];
    bool ok;
};

static void *work(void *user)
{
    struct worker *w = user;
    w->ok = true;
    for (int i = 0; i < 200 && w->ok; i++)
        w->ok = summarise(&w->c, w->self, w->t, NULL, w->out);
    return NULL;
}

static bool threads_task(struct check_run *c, void *self, int task,
                         struct table *t)
{
    struct worker w[2] = { { .c = *c, .self = self, .t = t },
                           { .c = *c, .self = self, .t = t } };
    double alone[VALUES_MAX];
    pthread_t id[2];
    (void)task;
    if (!summarise(c, self, t, NULL, alone))
        return false;
    for (int i = 0; i < 2; i++)
        if (pthread_create(&id[i], NULL, work, &w[i]))
            return check_fail(c, "cannot start a thread");
    for (int i = 0; i < 2; i++)
        pthread_join(id[i], NULL);
    for (int i = 0; i < 2; i++) {
        if (!w[i].ok)
            return check_fail(c, "%s", w[i].c.detail);
        if (!equal(c, self, alone, w[i].out, 0, "in two threads"))
            return false;
    }
    return true;
}

static bool run_threads(struct check_run *c)
{
    return each_task(c, threads_task);
}

const struct check metric_checks[] = {
    { "params", run_params },   { "tables", run_tables },
    { "values", run_values },   { "determinism", run_determinism },
    { "weights", run_weights }, { "order", run_order },
    { "threads", run_threads }, { 0 },
};
