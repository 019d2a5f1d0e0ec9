/* SPDX-License-Identifier: MIT */
/* Checks of metrics: tables, weights, order of items, threads. */
#include "config.h"

#include <mohs/ext/pair_scores.h>

#include "plugin/check_world.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { VALUES_MAX = 256 };
static const char *const task_names[] = { "retrieval", "classification" };

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

/* Pairs that measure() will ask for, by its own word. */
static uint64_t announced(struct check_run *c, void *self)
{
    const struct mohs_metric_ops *ops = c->it->item->ops;
    const struct mohs_pair_need *need =
        ops->get_extension ? ops->get_extension(self, MOHS_EXT_PAIR_NEED) : NULL;
    return need ? need->pairs(self, N_IMAGES, N_TEXTS) : 0;
}

/* A table as it must be, of pairs as they were announced. */
static bool table_valid(struct check_run *c, void *self, int task,
                        const struct world *w, const struct table *t)
{
    uint64_t said = announced(c, self);
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
    if (w->asked > 2 * said)
        return check_fail(c, "asks for the scores of %llu pairs, by "
                             MOHS_EXT_PAIR_NEED " %llu",
                          (unsigned long long)w->asked, (unsigned long long)said);
    return !w->twice || check_fail(c, "asks for the scores of %llu pairs again",
                                   (unsigned long long)w->twice);
}

/* measure() on a world; st tells whether it took it. False: broke a rule. */
static bool measure_world(struct check_run *c, void *self, int task,
                          struct world *w, struct table *t, mohs_status *st)
{
    const struct mohs_metric_ops *ops = c->it->item->ops;
    struct mohs_error err = MOHS_ERROR_INIT;
    struct table fresh = { .s = { .size = sizeof fresh.s, .alloc = alloc } };
    *t = fresh;
    t->s.ctx = t;
    if (!ops->columns(self, &t->s.n_columns) || !t->s.n_columns)
        return check_fail(c, "columns: none");
    *st = ops->measure(self, &w->e, &t->s, &err);
    scratch_reset();
    return *st < 0 ? check_refusal(c, task_names[task], *st, &err)
                   : table_valid(c, self, task, w, t);
}

static bool measure(struct check_run *c, void *self, int task, uint32_t turn,
                    struct table *t, mohs_status *st)
{
    struct world w;
    world_make(&w, task, turn);
    return measure_world(c, self, task, &w, t, st);
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

/* ---- scores of pairs ---- */

/* A setting of one parameter, and what the metric then announces. */
struct wish {
    const struct mohs_param *p; /* NULL: the defaults */
    double number;
    const char *choice;
    uint64_t pairs;
};

static mohs_status wish_params(struct check_run *c, const struct wish *w,
                               void **params)
{
    *params = item_params_new(c->it);
    if (!w->p)
        return MOHS_OK;
    return w->choice ? item_param_set_text(c->it, *params, w->p->name, w->choice,
                                           NULL)
                     : item_param_set_number(c->it, *params, w->p->name,
                                             w->number, NULL);
}

/* Keeps in *best the setting with which most pairs are asked for. */
static void try_wish(struct check_run *c, struct wish w, struct wish *best)
{
    struct instance in;
    void *params;
    if (wish_params(c, &w, &params) < 0) {
        item_params_free(c->it, params);
        return;
    }
    if (instance_make(c, params, create, &in, NULL) < 0)
        return;
    w.pairs = announced(c, in.self);
    if (w.pairs > best->pairs)
        *best = w;
    close_it(c, &in);
}

static struct wish best_wish(struct check_run *c)
{
    struct wish best = { 0 };
    const struct mohs_param *p;
    try_wish(c, best, &best);
    for (size_t i = 0; (p = item_param(c->it, i)); i++) {
        const double numbers[] = { 1, 4, p->min, p->max };
        struct wish w = { .p = p };
        if (p->type == MOHS_P_INT || p->type == MOHS_P_FLOAT)
            for (size_t k = 0; k < sizeof numbers / sizeof *numbers; k++) {
                w.number = numbers[k];
                try_wish(c, w, &best);
            }
        for (size_t k = 0; p->type == MOHS_P_CHOICE && p->choices[k]; k++) {
            w.choice = p->choices[k];
            try_wish(c, w, &best);
        }
        w.choice = "1";
        if (p->type == MOHS_P_BOOL)
            try_wish(c, w, &best);
    }
    return best;
}

/* Values of the retrieval world with other scores or in another order. */
static bool pair_values(struct check_run *c, void *self, uint64_t key,
                        uint32_t turn, uint64_t *asked, double *out)
{
    struct world w;
    struct table t = { 0 };
    mohs_status st = MOHS_OK;
    world_make(&w, RETRIEVAL, turn);
    w.key = key;
    bool ok = measure_world(c, self, RETRIEVAL, &w, &t, &st);
    if (ok && st < 0)
        ok = check_fail(c, "asks for pairs, but takes no retrieval");
    if (ok && !w.asked)
        ok = check_fail(c, "announces pairs and asks for none");
    ok = ok && summarise(c, self, &t, NULL, out);
    *asked = w.asked;
    table_free(&t);
    return ok;
}

/* Without a head, or with one that fails after `most` pairs, it must say so. */
static bool pair_refusal(struct check_run *c, void *self, bool head,
                         uint64_t most)
{
    struct world w;
    struct table t = { 0 };
    mohs_status st = MOHS_OK;
    world_make(&w, RETRIEVAL, 0);
    w.most = most;
    if (!head)
        w.e.pair_scores = NULL;
    bool ok = measure_world(c, self, RETRIEVAL, &w, &t, &st);
    if (ok && st >= 0)
        ok = check_fail(c, head ? "goes on after pair_scores() failed"
                                : "works without pair_scores()");
    else if (ok && head && st != MOHS_E_DEVICE)
        ok = check_fail(c, "pair_scores() fails with %d, measure() with %d",
                        MOHS_E_DEVICE, st);
    table_free(&t);
    return ok;
}

static bool run_pairs(struct check_run *c)
{
    double a[VALUES_MAX], b[VALUES_MAX];
    uint64_t asked, again;
    struct instance in;
    struct wish w = best_wish(c);
    void *params;
    if (!w.pairs)
        return check_note(c, "asks for no scores of pairs");
    wish_params(c, &w, &params);
    if (instance_make(c, params, create, &in, NULL) < 0)
        return check_fail(c, "made once, not again");
    bool ok = pair_values(c, in.self, 0, 0, &asked, a) &&
              pair_values(c, in.self, 0, 5, &again, b) &&
              equal(c, in.self, a, b, 1e-6, "images in another order") &&
              pair_values(c, in.self, 1, 0, &again, b);
    bool same = ok;
    for (uint32_t i = 0; same && i < value_count(c, in.self); i++)
        same = near(a[i], b[i], 0);
    if (same)
        ok = check_fail(c, "other scores of pairs change nothing");
    ok = ok && pair_refusal(c, in.self, false, 0) &&
         pair_refusal(c, in.self, true, asked / 2);
    close_it(c, &in);
    return ok && check_note(c, "%llu pairs", (unsigned long long)asked);
}

const struct check metric_checks[] = {
    { "params", run_params },   { "tables", run_tables },
    { "values", run_values },   { "determinism", run_determinism },
    { "weights", run_weights }, { "order", run_order },
    { "threads", run_threads }, { "pairs", run_pairs }, { 0 },
};
