/* SPDX-License-Identifier: MIT */
/* FAB, in double; one sample at a time between passes. */
#include "fab.h"
#include "resume.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <mohs/rng.h>
#include <mohs/util.h>

/* ---- projection ---- */

struct room {
    double at; /* the multiplier at which the coordinate hits the box */
    uint32_t i;
};

static int by_room(const void *a, const void *b)
{
    double x = ((const struct room *)a)->at, y = ((const struct room *)b)->at;
    return (x > y) - (x < y);
}

/*
 * Along -sign(w), coordinate i moves by min(l c_i, room_i), c_i = 1 (linf) or
 * |w_i| (l2), and what is gained is sum |w_i| min(l c_i, room_i): piecewise
 * linear in l, so after sorting the breaks room_i / c_i, l is found in one
 * walk.
 */
static double multiplier(int norm, size_t n, const double *x, const float *w, double gap,
                         double lo, double hi, int down, struct room *r)
{
    double slope = 0, gained = 0, before = 0;
    size_t used = 0;
    for (size_t i = 0; i < n; i++) {
        double a = fabs((double)w[i]), c = norm == BALL_LINF ? 1 : a;
        if (a == 0)
            continue;
        double room = (w[i] > 0) == down ? x[i] - lo : hi - x[i];
        r[used].at = (room > 0 ? room : 0) / c;
        r[used++].i = (uint32_t)i;
        slope += a * c;
    }
    qsort(r, used, sizeof *r, by_room);
    for (size_t k = 0; k < used; k++) {
        double more = gained + slope * (r[k].at - before);
        if (more >= gap)
            return before + (gap - gained) / slope;
        double a = fabs((double)w[r[k].i]);
        gained = more;
        before = r[k].at;
        slope -= a * (norm == BALL_LINF ? 1 : a);
        slope = slope > 0 ? slope : 0;
    }
    return INFINITY; // beyond the box: every coordinate at its end
}

static void project(int norm, size_t n, const double *x, const float *w, double b,
                    double lo, double hi, double *z, struct room *r)
{
    double at = -b;
    for (size_t i = 0; i < n; i++)
        at += w[i] * x[i];
    int down = at >= 0;
    double l = multiplier(norm, n, x, w, fabs(at), lo, hi, down, r);
    for (size_t i = 0; i < n; i++) {
        double a = fabs((double)w[i]), c = norm == BALL_LINF ? 1 : a;
        int falls = (w[i] > 0) == down;
        double room = falls ? x[i] - lo : hi - x[i];
        double d = l < INFINITY ? l * c : room;
        d = a == 0 || room <= 0 ? 0 : d < room ? d : room;
        z[i] = falls ? x[i] - d : x[i] + d;
    }
}

/* ---- the attack ---- */

struct work {
    const struct fab *f;
    size_t floats;
    double *point;  /* n samples, between passes */
    double *clean, *here, *there;
    struct room *room;
    float *kept, *value;
    uint32_t *at, *live, n_live; /* whose budget is not spent: positions, samples */
    uint32_t t;                  /* the step to come */
    struct resume resume;
};

static double size_of(int norm, size_t n, const double *a, const double *b)
{
    double s = 0;
    for (size_t i = 0; i < n; i++)
        s = norm == BALL_LINF ? fmax(s, fabs(a[i] - b[i])) : s + (a[i] - b[i]) * (a[i] - b[i]);
    return norm == BALL_LINF ? s : sqrt(s);
}

static void delta_set(const struct work *w, uint32_t i, const double *point)
{
    const struct mohs_site *x = &w->f->s->site[0];
    const float *clean = x->clean + i * w->floats;
    float *delta = x->delta + i * w->floats;
    for (size_t k = 0; k < w->floats; k++) {
        float d = (float)(point[k] - clean[k]);
        while (d != 0 && (clean[k] + d > x->hi || clean[k] + d < x->lo))
            d = nextafterf(d, 0);
        delta[k] = d;
    }
}

static void clean_get(const struct work *w, uint32_t i, double *to)
{
    const float *clean = w->f->s->site[0].clean + i * w->floats;
    for (size_t k = 0; k < w->floats; k++)
        to[k] = clean[k];
}

/* One step of sample i, whose difference to the target is `value`. */
static void step(struct work *w, uint32_t i, double value, double *point)
{
    const struct fab *f = w->f;
    const struct mohs_site *x = &f->s->site[0];
    const float *g = x->grad + i * w->floats;
    size_t n = w->floats;
    double b = -value, near = 1e-8, far = 1e-8;
    clean_get(w, i, w->clean);
    for (size_t k = 0; k < n; k++)
        b += g[k] * point[k];
    project(f->s->norm, n, point, g, b, x->lo, x->hi, w->here, w->room);
    project(f->s->norm, n, w->clean, g, b, x->lo, x->hi, w->there, w->room);
    near = fmax(near, size_of(f->s->norm, n, w->here, point));
    far = fmax(far, size_of(f->s->norm, n, w->there, w->clean));
    double a = fmin(near / (near + far), f->alpha_max);
    for (size_t k = 0; k < n; k++) {
        double one = point[k] + f->eta * (w->here[k] - point[k]);
        double two = w->clean[k] + f->eta * (w->there[k] - w->clean[k]);
        double z = one * (1 - a) + two * a;
        point[k] = z < x->lo ? x->lo : z > x->hi ? x->hi : z;
    }
}

/* A point that fools: kept if it is the nearest, and back towards clean. */
static void found(struct work *w, uint32_t i, double *point, double *size)
{
    size_t n = w->floats;
    clean_get(w, i, w->clean);
    double now = size_of(w->f->s->norm, n, point, w->clean);
    if (now < size[i]) {
        size[i] = now;
        memcpy(w->kept + i * n, w->f->s->site[0].delta + i * n, n * sizeof(float));
    }
    for (size_t k = 0; k < n; k++)
        point[k] = w->clean[k] + (point[k] - w->clean[k]) * w->f->beta;
}

/* Half the ball away at random, for restarts. */
static void start(struct work *w, uint32_t i, double *point)
{
    const struct fab *f = w->f;
    clean_get(w, i, point);
    if (!f->restart)
        return;
    sites_random(f->s, i, 1, mohs_rng_fork(f->seed, f->restart));
    const struct mohs_site *x = &f->s->site[0];
    for (size_t k = 0; k < w->floats; k++)
        point[k] += 0.5 * (double)x->delta[i * w->floats + k];
}

/* Places the points and passes them; then without those that are spent. */
static mohs_status pass(struct work *w, int gradient, struct mohs_error *err)
{
    uint32_t left = 0;
    for (uint32_t j = 0; j < w->n_live; j++)
        delta_set(w, w->live[j], w->point + w->at[j] * w->floats);
    mohs_status st =
        loss_pass(w->f->loss, w->n_live, w->live, w->value, gradient, err);
    for (uint32_t j = 0; st >= 0 && j < w->n_live; j++) {
        if (loss_spent(w->f->loss, w->live[j]))
            continue;
        w->value[left] = w->value[j];
        w->at[left] = w->at[j];
        w->live[left++] = w->live[j];
    }
    w->n_live = left;
    return st;
}

/* Two passes a step: on even t the one with the gradient. */
static mohs_status run(struct work *w, double *size, struct mohs_error *err)
{
    const struct fab *f = w->f;
    while (w->t < 2 * f->steps && w->n_live) {
        mohs_status st = pass(w, w->t % 2 == 0, err);
        for (uint32_t j = 0; st >= 0 && j < w->n_live; j++) {
            double *point = w->point + w->at[j] * w->floats;
            if (w->t % 2 == 0)
                step(w, w->live[j], w->value[j], point);
            else if (f->loss->fooled[w->live[j]])
                found(w, w->live[j], point, size);
        }
        w->t++;
        if (st >= 0)
            st = resume_point(&w->resume, 0, NULL, err);
        if (st < 0)
            return st;
    }
    return MOHS_OK;
}

static int32_t enter(struct work *w, uint32_t n, double *size, struct mohs_error *err)
{
    struct resume *r = &w->resume;
    uint32_t all = w->f->s->v->n;
    resume_init(r, w->f->s->v);
    resume_part(r, &w->t, sizeof w->t);
    resume_part(r, &w->n_live, sizeof w->n_live);
    resume_part(r, w->at, n * sizeof *w->at);
    resume_part(r, w->live, n * sizeof *w->live);
    resume_part(r, size, all * sizeof *size);
    resume_part(r, w->point, n * w->floats * sizeof *w->point);
    resume_rows(r, w->kept, w->floats * sizeof *w->kept);
    return resume_enter(r, "fab", err);
}

mohs_status fab_run(const struct fab *f, uint32_t n, const uint32_t *sample, double *size,
                    struct mohs_error *err)
{
    struct work w = { .f = f, .floats = sites_floats(f->s, 0) };
    size_t all = f->s->v->n;
    mohs_status st = MOHS_OK;
    w.point = malloc(((size_t)n + 3) * w.floats * sizeof *w.point);
    w.room = malloc(w.floats * sizeof *w.room);
    w.kept = calloc(all * w.floats, sizeof *w.kept);
    w.value = malloc(((size_t)n + 1) * sizeof *w.value);
    w.at = malloc(((size_t)n + 1) * sizeof *w.at);
    w.live = malloc(((size_t)n + 1) * sizeof *w.live);
    if (!w.point || !w.room || !w.kept || !w.value || !w.at || !w.live)
        st = mohs_fail(err, MOHS_E_NOMEM, "%s: no memory for %u samples", f->what, n);
    if (st >= 0) {
        w.clean = w.point + (size_t)n * w.floats;
        w.here = w.clean + w.floats;
        w.there = w.here + w.floats;
        st = enter(&w, n, size, err);
        w.n_live = st == 0 ? n : w.n_live;
        for (uint32_t j = 0; st == 0 && j < n; j++) {
            w.at[j] = j;
            w.live[j] = sample[j];
            size[sample[j]] = INFINITY;
            start(&w, sample[j], w.point + j * w.floats);
        }
        if (st >= 0)
            st = run(&w, size, err);
        resume_leave(&w.resume);
    }
    for (uint32_t j = 0; st >= 0 && j < n; j++)
        memcpy(f->s->site[0].delta + sample[j] * w.floats, w.kept + sample[j] * w.floats,
               w.floats * sizeof(float));
    free(w.point);
    free(w.room);
    free(w.kept);
    free(w.value);
    free(w.at);
    free(w.live);
    return st;
}
