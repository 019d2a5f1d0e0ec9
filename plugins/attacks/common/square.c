/* SPDX-License-Identifier: MIT */
/* Random search by squares. Draws of a sample: those of its start, then
 * DRAWS a query, each query's from its own fork. */
#include "square.h"
#include "resume.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <mohs/rng.h>
#include <mohs/util.h>

struct work {
    const struct square *q;
    uint32_t h, w, channels;
    float *best[SITES_MAX]; /* deltas */
    float *value;
    uint32_t *active, n_active;
    uint32_t *asked; /* those of the last pass */
    uint32_t t;      /* the query to come */
    double *window;  /* h * w, for l2 */
    struct resume resume;
};

/* The share of pixels at a query; the authors' schedule, not rescaled. */
static double share(double p, uint32_t query)
{
    static const uint32_t after[] = { 10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000 };
    for (size_t k = 0; k < sizeof after / sizeof *after; k++)
        if (query > after[k])
            p /= 2;
    return p;
}

struct draws {
    uint64_t seed, key, next;
};

static uint32_t below(struct draws *d, uint32_t n)
{
    return n < 2 ? 0 : mohs_rng_below(d->seed, d->key, d->next++, n);
}

static double sign(struct draws *d)
{
    return mohs_rng_u32(d->seed, d->key, d->next++) & 1 ? 1 : -1;
}

static struct draws draws_of(const struct work *w, uint32_t i, uint32_t query)
{
    const struct square *q = w->q;
    uint64_t seed = mohs_rng_fork(mohs_rng_fork(q->seed, q->restart), query);
    return (struct draws) { seed, q->s->v->key[i], 0 };
}

static struct group group_of(const struct work *w, uint32_t i)
{
    const struct mohs_site *x = &w->q->s->site[0];
    size_t n = sites_floats(w->q->s, 0);
    return (struct group) { x->delta + i * n, x->grad + i * n, x->clean + i * n, n,
                            w->q->s->eps, x->lo, x->hi };
}

/* ---- linf ---- */

static void stripes(const struct work *w, uint32_t i)
{
    struct draws d = draws_of(w, i, 0);
    struct group g = group_of(w, i);
    for (uint32_t c = 0; c < w->channels; c++)
        for (uint32_t x = 0; x < w->w; x++) {
            float v = (float)(sign(&d) * g.radius);
            for (uint32_t y = 0; y < w->h; y++)
                g.delta[(c * w->h + y) * w->w + x] = v;
        }
    group_project(&g, BALL_LINF);
}

static uint32_t side(const struct work *w, uint32_t query, uint32_t least)
{
    double s = rint(sqrt(share(w->q->p, query) * w->h * w->w));
    uint32_t most = w->h < w->w ? w->h : w->w;
    uint32_t n = s > least ? (uint32_t)s : least;
    return n < most ? n : most;
}

static void square_linf(const struct work *w, uint32_t i, uint32_t query)
{
    struct draws d = draws_of(w, i, query);
    struct group g = group_of(w, i);
    uint32_t s = side(w, query - 1, 1);
    uint32_t top = below(&d, w->h - s), left = below(&d, w->w - s);
    for (uint32_t c = 0; c < w->channels; c++) {
        float v = (float)(2 * g.radius * sign(&d));
        for (uint32_t y = top; y < top + s; y++)
            for (uint32_t x = left; x < left + s; x++)
                g.delta[(c * w->h + y) * w->w + x] += v;
    }
    group_project(&g, BALL_LINF);
}

/* ---- l2 ---- */

/* Two pyramids of opposite sign, one above or beside the other; norm 1. */
static void bumps(uint32_t s, int turned, double *out)
{
    double sum = 0;
    memset(out, 0, (size_t)s * s * sizeof *out);
    for (uint32_t half = 0; half < 2; half++) {
        int h = (int)(half ? s - s / 2 : s / 2), w = (int)s;
        int y = h / 2, x = w / 2, rings = (h > w ? h : w) / 2 + 1;
        for (int k = 0; k < rings; k++, y--, x--)
            for (int a = y > 0 ? y : 0; a < y + 2 * k + 1 && a < h; a++)
                for (int b = x > 0 ? x : 0; b < x + 2 * k + 1 && b < w; b++) {
                    int row = a + (half ? (int)s / 2 : 0);
                    out[turned ? b * (int)s + row : row * (int)s + b] +=
                        (half ? -1.0 : 1.0) / ((k + 1) * (k + 1));
                }
        // each half has norm 1 by itself
        double own = 0;
        for (int a = 0; a < h; a++)
            for (int b = 0; b < w; b++) {
                int row = a + (half ? (int)s / 2 : 0);
                double v = out[turned ? b * (int)s + row : row * (int)s + b];
                own += v * v;
            }
        for (int a = 0; own > 0 && a < h; a++)
            for (int b = 0; b < w; b++) {
                int row = a + (half ? (int)s / 2 : 0);
                out[turned ? b * (int)s + row : row * (int)s + b] /= sqrt(own);
            }
    }
    for (uint32_t k = 0; k < s * s; k++)
        sum += out[k] * out[k];
    for (uint32_t k = 0; sum > 0 && k < s * s; k++)
        out[k] /= sqrt(sum);
}

static void to_surface(struct group *g)
{
    double n = group_norm(g->delta, g->count);
    for (size_t k = 0; n > 0 && k < g->count; k++)
        g->delta[k] = (float)(g->delta[k] * (g->radius / n));
    group_project(g, BALL_L2);
}

/* Tiles of a fifth of the height, each with bumps of random sign. */
static void tiles(const struct work *w, uint32_t i)
{
    struct draws d = draws_of(w, i, 0);
    struct group g = group_of(w, i);
    uint32_t s = w->h / 5 ? w->h / 5 : 1, first = (w->h - s * (w->h / s < 5 ? w->h / s : 5)) / 2;
    memset(g.delta, 0, g.count * sizeof *g.delta);
    for (uint32_t y = first; y + s <= w->h; y += s)
        for (uint32_t x = first; x + s <= w->w; x += s) {
            bumps(s, below(&d, 2) != 0, w->window);
            for (uint32_t c = 0; c < w->channels; c++) {
                double v = sign(&d);
                for (uint32_t k = 0; k < s * s; k++)
                    g.delta[(c * w->h + y + k / s) * w->w + x + k % s] =
                        (float)(v * w->window[k]);
            }
        }
    to_surface(&g);
}

struct place {
    uint32_t top, left, s;
};

static int inside(struct place p, uint32_t y, uint32_t x)
{
    return y >= p.top && y < p.top + p.s && x >= p.left && x < p.left + p.s;
}

/* Bumps go to window a; what they need comes from window b, and from what the
 * ball still has; by channels. */
static void square_l2(const struct work *w, uint32_t i, uint32_t query)
{
    struct draws d = draws_of(w, i, query);
    struct group g = group_of(w, i);
    uint32_t most = w->h < w->w ? w->h : w->w, s = side(w, query, most < 3 ? most : 3);
    s += s % 2 == 0 && s < most;
    struct place a = { below(&d, w->h - s), below(&d, w->w - s), s };
    struct place b = { below(&d, w->h - s), below(&d, w->w - s), s };
    double all = group_norm(g.delta, g.count);
    double left = fmax(g.radius * g.radius - all * all, 0) / w->channels;
    bumps(s, below(&d, 2) != 0, w->window);
    for (uint32_t c = 0; c < w->channels; c++) {
        float *plane = g.delta + (size_t)c * w->h * w->w;
        double own = 0, both = 0, unit = 0, v = sign(&d);
        for (uint32_t k = 0; k < w->h * w->w; k++) {
            double square = (double)plane[k] * plane[k];
            int in_a = inside(a, k / w->w, k % w->w);
            own += in_a ? square : 0;
            both += in_a || inside(b, k / w->w, k % w->w) ? square : 0;
        }
        for (uint32_t k = 0; k < s * s; k++) {
            double old = plane[(a.top + k / s) * w->w + a.left + k % s];
            double now = v * w->window[k] + old / (1e-12 + sqrt(own));
            unit += now * now;
        }
        double scale = sqrt(left + both) / (1e-12 + sqrt(unit));
        for (uint32_t k = 0; k < w->h * w->w; k++) {
            uint32_t y = k / w->w, x = k % w->w;
            if (inside(a, y, x)) {
                double bump = v * w->window[(y - a.top) * s + x - a.left];
                plane[k] = (float)(scale * (bump + plane[k] / (1e-12 + sqrt(own))));
            } else if (inside(b, y, x)) {
                plane[k] = 0;
            }
        }
    }
    to_surface(&g);
}

/* ---- the search ---- */

static void judge(struct work *w, double *best)
{
    uint32_t left = 0;
    for (uint32_t j = 0; j < w->n_active; j++) {
        uint32_t i = w->active[j];
        int fooled = w->q->loss->fooled[i];
        if (fooled || w->value[j] > best[i]) {
            best[i] = w->value[j];
            kept_store(w->q->s, i, w->best);
        }
        if (!fooled && !loss_spent(w->q->loss, i))
            w->active[left++] = i;
    }
    w->n_active = left;
}

static mohs_status search(struct work *w, double *best, struct mohs_error *err)
{
    int l2 = w->q->s->norm == BALL_L2;
    while (w->t < w->q->queries && w->n_active) {
        uint32_t n = w->n_active;
        for (uint32_t j = 0; j < n; j++) {
            uint32_t i = w->asked[j] = w->active[j];
            if (!w->t) {
                (l2 ? tiles : stripes)(w, i);
                continue;
            }
            kept_restore(w->q->s, i, w->best);
            (l2 ? square_l2 : square_linf)(w, i, w->t);
        }
        mohs_status st = loss_pass(w->q->loss, n, w->active, w->value, 0, err);
        if (st < 0)
            return st;
        judge(w, best);
        w->t++;
        st = resume_point(&w->resume, n, w->asked, err);
        if (st < 0)
            return st;
    }
    return MOHS_OK;
}

static int32_t enter(struct work *w, double *best, struct mohs_error *err)
{
    struct resume *r = &w->resume;
    uint32_t n = w->q->s->v->n;
    resume_init(r, w->q->s->v);
    resume_part(r, &w->t, sizeof w->t);
    resume_part(r, &w->n_active, sizeof w->n_active);
    resume_part(r, w->active, n * sizeof *w->active);
    resume_part(r, best, n * sizeof *best);
    resume_kept(r, w->q->s, w->best);
    return resume_enter(r, "square", err);
}

mohs_status square_run(const struct square *q, uint32_t n, const uint32_t *sample,
                       double *best, struct mohs_error *err)
{
    struct work w = { .q = q, .channels = q->s->site[0].tokens };
    mohs_status st = MOHS_OK;
    picture_size(&q->s->site[0], &w.h, &w.w);
    w.value = malloc(((size_t)n + 1) * sizeof *w.value);
    w.active = calloc((size_t)q->s->v->n + 1, sizeof *w.active);
    w.asked = malloc(((size_t)n + 1) * sizeof *w.asked);
    w.window = malloc((size_t)w.h * w.w * sizeof *w.window);
    if (!w.value || !w.active || !w.asked || !w.window)
        st = mohs_fail(err, MOHS_E_NOMEM, "%s: no memory for %u samples", q->what, n);
    if (st >= 0)
        st = kept_new(q->s, w.best, err);
    if (st >= 0)
        st = enter(&w, best, err);
    w.n_active = st == 0 ? n : w.n_active;
    for (uint32_t j = 0; st == 0 && j < n; j++) {
        w.active[j] = sample[j];
        best[sample[j]] = -INFINITY;
    }
    if (st >= 0)
        st = search(&w, best, err);
    resume_leave(&w.resume);
    for (uint32_t j = 0; st >= 0 && j < n; j++)
        kept_restore(q->s, sample[j], w.best);
    kept_free(w.best);
    free(w.value);
    free(w.active);
    free(w.asked);
    free(w.window);
    return st;
}
