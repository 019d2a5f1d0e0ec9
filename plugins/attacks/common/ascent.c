/* SPDX-License-Identifier: MIT */
/* The loop of projected gradient ascent. */
#include "ascent.h"
#include "resume.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <mohs/rng.h>
#include <mohs/util.h>

struct climb {
    struct ascent *a;
    struct loss loss;
    float *kept[SITES_MAX], *momentum[SITES_MAX];
    float *best, *value;
    uint32_t *active, n_active; /* samples still climbing */
    uint32_t *asked;            /* those of the last pass */
    uint32_t restart, t;        /* the step to come */
    int started;
    struct resume resume;
};

mohs_status ascent_check(const char *what, int32_t loss, int random_start,
                         int early_stop, struct mohs_error *err)
{
    if (loss_is_distance(loss) && !random_start)
        return mohs_fail(err, MOHS_E_ARG,
                         "%s: a distance from the embedding is flat at the clean sample; "
                         "it needs random_start", what);
    if (loss_is_distance(loss) && early_stop)
        return mohs_fail(err, MOHS_E_ARG, "%s: early_stop needs a loss on scores, not "
                         "on embeddings", what);
    return MOHS_OK;
}

void ascent_passes(uint32_t steps, uint32_t restarts, int random_start, uint64_t *forward,
                   uint64_t *backward)
{
    uint64_t runs = random_start ? restarts : 1;
    *forward = runs * (steps + (uint64_t)1);
    *backward = runs * steps;
}

static void step_group(const struct sites *s, uint32_t k, uint32_t i,
                       const struct group *g, size_t at, void *user)
{
    const struct climb *c = user;
    struct group h = *g;
    if (c->momentum[k])
        h.grad = c->momentum[k] + i * sites_floats(s, k) + at;
    group_step(&h, s->norm, c->a->alpha * g->radius);
}

/* m = decay m + gradient / mean |gradient|, over the sample at site k */
static void gather_momentum(struct climb *c, uint32_t k, uint32_t i)
{
    size_t n = sites_floats(&c->a->s, k);
    const float *g = c->a->s.site[k].grad + i * n;
    float *m = c->momentum[k] + i * n;
    double sum = 0;
    for (size_t j = 0; j < n; j++)
        sum += fabs((double)g[j]);
    for (size_t j = 0; j < n; j++)
        m[j] = (float)(c->a->decay * m[j] + (sum > 0 ? g[j] * ((double)n / sum) : 0));
}

static void start(struct climb *c)
{
    struct ascent *a = c->a;
    sites_zero(&a->s);
    for (uint32_t k = 0; a->decay >= 0 && k < a->s.n; k++)
        memset(c->momentum[k], 0, a->s.v->n * sites_floats(&a->s, k) * sizeof(float));
    for (uint32_t j = 0; a->random_start && j < c->n_active; j++)
        sites_random(&a->s, c->active[j], 0, mohs_rng_fork(a->seed, c->restart));
}

/* Keeps what is better than before; drops samples that are done. */
static void judge(struct climb *c)
{
    uint32_t left = 0;
    for (uint32_t j = 0; j < c->n_active; j++) {
        uint32_t i = c->active[j];
        int done = c->a->early_stop && c->loss.fooled[i];
        if (c->value[j] > c->best[i] || done) {
            c->best[i] = c->value[j];
            kept_store(&c->a->s, i, c->kept);
        }
        if (!done && !loss_spent(&c->loss, i))
            c->active[left++] = i;
    }
    c->n_active = left;
}

static mohs_status step(struct climb *c, struct mohs_error *err)
{
    struct ascent *a = c->a;
    uint32_t n = c->n_active;
    int moves = c->t < a->steps;
    memcpy(c->asked, c->active, n * sizeof *c->asked);
    mohs_status st = loss_pass(&c->loss, n, c->active, c->value, moves, err);
    if (st < 0)
        return st;
    judge(c);
    for (uint32_t j = 0; moves && j < c->n_active; j++)
        for (uint32_t k = 0; k < a->s.n; k++) {
            if (a->decay >= 0)
                gather_momentum(c, k, c->active[j]);
            sites_groups(&a->s, k, c->active[j], step_group, c);
        }
    c->t++;
    return resume_point(&c->resume, n, c->asked, err);
}

/* From where it is: anew, or in the middle of a restart. */
static mohs_status climb(struct climb *c, struct mohs_error *err)
{
    mohs_status st = MOHS_OK;
    uint32_t restarts = c->a->random_start ? c->a->restarts : 1;
    for (; st >= 0 && c->restart < restarts; c->restart++) {
        if (!c->started) {
            start(c);
            c->started = 1;
            c->t = 0;
        }
        while (st >= 0 && c->t <= c->a->steps && c->n_active)
            st = step(c, err);
        c->started = 0;
    }
    return st;
}

static int32_t enter(struct climb *c, struct mohs_error *err)
{
    struct resume *r = &c->resume;
    uint32_t n = c->a->s.v->n;
    resume_init(r, c->a->s.v);
    resume_part(r, &c->restart, sizeof c->restart);
    resume_part(r, &c->t, sizeof c->t);
    resume_part(r, &c->started, sizeof c->started);
    resume_part(r, &c->n_active, sizeof c->n_active);
    resume_part(r, c->active, n * sizeof *c->active);
    resume_part(r, c->best, n * sizeof *c->best);
    resume_kept(r, &c->a->s, c->kept);
    if (c->a->decay >= 0)
        resume_kept(r, &c->a->s, c->momentum);
    resume_deltas(r, &c->a->s);
    return resume_enter(r, "ascent", err);
}

mohs_status ascent_run(struct ascent *a, struct mohs_error *err)
{
    uint32_t n = a->s.v->n;
    struct climb c = { .a = a };
    mohs_status st = loss_init(&c.loss, a->s.v, a->loss, a->seed, a->what, err);
    c.best = malloc(((size_t)n + 1) * sizeof *c.best);
    c.value = malloc(((size_t)n + 1) * sizeof *c.value);
    c.active = malloc(((size_t)n + 1) * sizeof *c.active);
    c.asked = malloc(((size_t)n + 1) * sizeof *c.asked);
    if (st >= 0 && (!c.best || !c.value || !c.active || !c.asked))
        st = mohs_fail(err, MOHS_E_NOMEM, "%s: no memory for %u samples", a->what, n);
    if (st >= 0)
        st = kept_new(&a->s, c.kept, err);
    if (st >= 0 && a->decay >= 0)
        st = kept_new(&a->s, c.momentum, err);
    for (uint32_t i = 0; st >= 0 && i < n; i++) {
        c.best[i] = -INFINITY;
        c.active[i] = i;
    }
    c.n_active = n;
    if (st >= 0)
        st = enter(&c, err);
    if (st >= 0)
        st = climb(&c, err);
    resume_leave(&c.resume);
    for (uint32_t i = 0; st >= 0 && i < n; i++)
        kept_restore(&a->s, i, c.kept);
    kept_free(c.kept);
    kept_free(c.momentum);
    loss_free(&c.loss);
    free(c.best);
    free(c.value);
    free(c.active);
    free(c.asked);
    return st;
}
