/* SPDX-License-Identifier: MIT */
/* Auto-PGD. Names as in Algorithm 1 of the paper where it has some. */
#include "apgd.h"
#include "resume.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <mohs/rng.h>
#include <mohs/util.h>

/* Of one sample. */
struct climber {
    double step; /* in radii */
    double top, top_at_check; /* highest loss, now and at the last checkpoint */
    int halved;               /* at the last checkpoint */
    uint32_t rises;           /* since the last checkpoint */
    double last;              /* loss of the last step */
};

struct work {
    const struct apgd *a;
    struct climber *c;         /* one a sample of the batch */
    float *old[SITES_MAX];     /* the point before this one */
    float *top[SITES_MAX];     /* of the highest loss, and its gradient */
    float *slope[SITES_MAX];
    float *kept[SITES_MAX];    /* the result */
    float *value, *x; /* x: a group's point */
    uint32_t *active, n_active;
    uint32_t *asked;         /* those of the last pass */
    uint32_t t, gap, since;  /* the step to come; of checkpoints */
    struct resume resume;
};

/* ---- points ---- */

static void spread(const struct sites *s, uint32_t k, uint32_t i, const struct group *g,
                   size_t at, void *user)
{
    const struct work *w = user;
    uint64_t seed = mohs_rng_fork(mohs_rng_fork(w->a->seed, w->a->restart), k);
    double most = 0;
    (void)i;
    if (s->norm == BALL_L2) {
        group_random(g, s->norm, 1, seed, s->v->key[i], at);
        return;
    }
    // uniform, then as large as the ball allows
    for (size_t j = 0; j < g->count; j++) {
        g->delta[j] = 2 * mohs_rng_uniform(seed, s->v->key[i], at + j) - 1;
        most = fmax(most, fabs((double)g->delta[j]));
    }
    for (size_t j = 0; most > 0 && j < g->count; j++)
        g->delta[j] = (float)(g->delta[j] / most * g->radius);
    group_project(g, s->norm);
}

/* z = project(x + step), x' = project(x + a (z - x) + (1 - a) (x - x_old)) */
static void move_group(const struct sites *s, uint32_t k, uint32_t i, const struct group *g,
                       size_t at, void *user)
{
    const struct work *w = user;
    float *old = w->old[k] + i * sites_floats(s, k) + at;
    double a = w->c[i].last > -INFINITY ? 0.75 : 1;
    float *x = w->x;
    memcpy(x, g->delta, g->count * sizeof *x);
    group_step(g, s->norm, w->c[i].step * g->radius);
    for (size_t j = 0; j < g->count; j++) {
        g->delta[j] = (float)(x[j] + a * ((double)g->delta[j] - x[j]) +
                              (1 - a) * ((double)x[j] - old[j]));
        old[j] = x[j];
    }
    group_project(g, s->norm);
}

static void grad_store(const struct sites *s, uint32_t i, float *const to[SITES_MAX])
{
    for (uint32_t k = 0; k < s->n; k++) {
        size_t n = sites_floats(s, k);
        memcpy(to[k] + i * n, s->site[k].grad + i * n, n * sizeof(float));
    }
}

static void grad_restore(const struct sites *s, uint32_t i, float *const from[SITES_MAX])
{
    for (uint32_t k = 0; k < s->n; k++) {
        size_t n = sites_floats(s, k);
        memcpy(s->site[k].grad + i * n, from[k] + i * n, n * sizeof(float));
    }
}

/* ---- judging ---- */

static void judge(struct work *w, double *best, uint8_t *fooled)
{
    uint32_t left = 0;
    for (uint32_t j = 0; j < w->n_active; j++) {
        uint32_t i = w->active[j];
        int now = w->a->loss->fooled[i];
        if (now > fooled[i] || (now == fooled[i] && w->value[j] > best[i])) {
            best[i] = w->value[j];
            fooled[i] = (uint8_t)now;
            kept_store(w->a->s, i, w->kept);
        }
        if ((now && w->a->early_stop) || loss_spent(w->a->loss, i))
            continue;
        w->value[left] = w->value[j];
        w->active[left++] = i;
    }
    w->n_active = left;
}

static void note(struct work *w, int first)
{
    for (uint32_t j = 0; j < w->n_active; j++) {
        uint32_t i = w->active[j];
        struct climber *c = &w->c[i];
        // the authors' first comparison is with 0, not with the start
        double before = c->last > -INFINITY ? c->last : 0;
        c->rises += !first && w->value[j] > before;
        c->last = first ? -INFINITY : w->value[j];
        if (!first && !(w->value[j] > c->top))
            continue;
        c->top = w->value[j];
        kept_store(w->a->s, i, w->top);
        grad_store(w->a->s, i, w->slope);
    }
    for (uint32_t j = 0; first && j < w->n_active; j++)
        w->c[w->active[j]].top_at_check = w->c[w->active[j]].top;
}

static void checkpoint(struct work *w, uint32_t steps)
{
    for (uint32_t j = 0; j < w->n_active; j++) {
        uint32_t i = w->active[j];
        struct climber *c = &w->c[i];
        int stuck = !c->halved && c->top_at_check >= c->top;
        c->halved = c->rises <= steps * w->a->rho || stuck;
        c->top_at_check = c->top;
        c->rises = 0;
        if (!c->halved)
            continue;
        c->step /= 2;
        kept_restore(w->a->s, i, w->top);
        grad_restore(w->a->s, i, w->slope);
    }
}

static uint32_t part(uint32_t steps, double of)
{
    uint32_t n = (uint32_t)(of * steps);
    return n ? n : 1;
}

/* Checkpoints, and every sample's next point. */
static void move(struct work *w)
{
    const struct apgd *a = w->a;
    if (w->t > 0 && ++w->since == w->gap) {
        uint32_t less = part(a->steps, 0.03), least = part(a->steps, 0.06);
        checkpoint(w, w->gap);
        w->gap = w->gap > least + less ? w->gap - less : least;
        w->since = 0;
    }
    for (uint32_t j = 0; j < w->n_active; j++)
        for (uint32_t k = 0; k < a->s->n; k++)
            sites_groups(a->s, k, w->active[j], move_group, w);
}

static mohs_status climb(struct work *w, double *best, uint8_t *fooled,
                         struct mohs_error *err)
{
    const struct apgd *a = w->a;
    while (w->t <= a->steps && w->n_active) {
        uint32_t n = w->n_active;
        memcpy(w->asked, w->active, n * sizeof *w->asked);
        mohs_status st = loss_pass(a->loss, n, w->active, w->value, w->t < a->steps, err);
        if (st < 0)
            return st;
        judge(w, best, fooled);
        note(w, w->t == 0);
        if (w->t < a->steps)
            move(w);
        w->t++;
        st = resume_point(&w->resume, n, w->asked, err);
        if (st < 0)
            return st;
    }
    return MOHS_OK;
}

static int32_t enter(struct work *w, double *best, uint8_t *fooled, struct mohs_error *err)
{
    struct resume *r = &w->resume;
    const struct sites *s = w->a->s;
    uint32_t n = s->v->n;
    resume_init(r, s->v);
    resume_part(r, &w->t, sizeof w->t);
    resume_part(r, &w->gap, sizeof w->gap);
    resume_part(r, &w->since, sizeof w->since);
    resume_part(r, &w->n_active, sizeof w->n_active);
    resume_part(r, w->active, n * sizeof *w->active);
    resume_part(r, w->c, n * sizeof *w->c);
    resume_part(r, best, n * sizeof *best);
    resume_part(r, fooled, n);
    resume_kept(r, s, w->old);
    resume_kept(r, s, w->top);
    resume_kept(r, s, w->slope);
    resume_kept(r, s, w->kept);
    resume_deltas(r, s);
    return resume_enter(r, "apgd", err);
}

static void start(struct work *w, uint32_t n, const uint32_t *sample, double *best,
                  uint8_t *fooled)
{
    const struct sites *s = w->a->s;
    w->gap = part(w->a->steps, 0.22);
    w->n_active = n;
    for (uint32_t j = 0; j < n; j++) {
        uint32_t i = w->active[j] = sample[j];
        w->c[i] = (struct climber) { .step = 2, .top = -INFINITY, .halved = 1,
                                     .last = -INFINITY };
        best[i] = -INFINITY;
        fooled[i] = 0;
        for (uint32_t k = 0; k < s->n; k++)
            sites_groups(s, k, i, spread, w);
        kept_store(s, i, w->old);
    }
}

mohs_status apgd_run(const struct apgd *a, uint32_t n, const uint32_t *sample, double *best,
                     uint8_t *fooled, struct mohs_error *err)
{
    uint32_t all = a->s->v->n;
    struct work w = { .a = a };
    mohs_status st = MOHS_OK;
    float **copies[] = { w.old, w.top, w.slope, w.kept };
    w.c = calloc((size_t)all + 1, sizeof *w.c);
    w.value = malloc(((size_t)n + 1) * sizeof *w.value);
    w.active = calloc((size_t)all + 1, sizeof *w.active);
    w.asked = malloc(((size_t)n + 1) * sizeof *w.asked);
    size_t most = 1;
    for (uint32_t k = 0; k < a->s->n; k++)
        most = sites_floats(a->s, k) > most ? sites_floats(a->s, k) : most;
    w.x = malloc(most * sizeof *w.x);
    if (!w.c || !w.value || !w.active || !w.asked || !w.x)
        st = mohs_fail(err, MOHS_E_NOMEM, "%s: no memory for %u samples", a->what, n);
    for (int k = 0; k < 4 && st >= 0; k++)
        st = kept_new(a->s, copies[k], err);
    if (st >= 0)
        st = enter(&w, best, fooled, err);
    if (st == 0)
        start(&w, n, sample, best, fooled);
    if (st >= 0)
        st = climb(&w, best, fooled, err);
    resume_leave(&w.resume);
    for (uint32_t j = 0; st >= 0 && j < n; j++)
        kept_restore(a->s, sample[j], w.kept);
    for (int k = 0; k < 4; k++)
        kept_free(copies[k]);
    free(w.c);
    free(w.value);
    free(w.x);
    free(w.active);
    free(w.asked);
    return st;
}
