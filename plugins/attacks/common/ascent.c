/* SPDX-License-Identifier: MIT */
/* The loop of projected gradient ascent. */
#include "ascent.h"

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
};

mohs_status ascent_check(const char *what, int32_t loss, int random_start,
                         int early_stop, struct mohs_error *err)
{
    if (loss == LOSS_EMBEDDING && !random_start)
        return mohs_fail(err, MOHS_E_ARG,
                         "%s: loss embedding is flat at the clean sample; "
                         "it needs random_start", what);
    if (loss == LOSS_EMBEDDING && early_stop)
        return mohs_fail(err, MOHS_E_ARG, "%s: early_stop needs a loss on scores, not "
                         "embedding", what);
    return MOHS_OK;
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

static void start(struct climb *c, uint32_t restart)
{
    struct ascent *a = c->a;
    sites_zero(&a->s);
    for (uint32_t k = 0; a->decay >= 0 && k < a->s.n; k++)
        memset(c->momentum[k], 0, a->s.v->n * sites_floats(&a->s, k) * sizeof(float));
    for (uint32_t j = 0; a->random_start && j < c->n_active; j++)
        sites_random(&a->s, c->active[j], 0, mohs_rng_fork(a->seed, restart));
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
        if (!done)
            c->active[left++] = i;
    }
    c->n_active = left;
}

static mohs_status climb(struct climb *c, uint32_t restart, struct mohs_error *err)
{
    struct ascent *a = c->a;
    start(c, restart);
    for (uint32_t t = 0; t <= a->steps && c->n_active; t++) {
        mohs_status st = loss_pass(&c->loss, c->n_active, c->active, c->value,
                                   t < a->steps, err);
        if (st < 0)
            return st;
        judge(c);
        for (uint32_t j = 0; t < a->steps && j < c->n_active; j++)
            for (uint32_t k = 0; k < a->s.n; k++) {
                if (a->decay >= 0)
                    gather_momentum(c, k, c->active[j]);
                sites_groups(&a->s, k, c->active[j], step_group, c);
            }
    }
    return MOHS_OK;
}

mohs_status ascent_run(struct ascent *a, struct mohs_error *err)
{
    uint32_t n = a->s.v->n;
    struct climb c = { .a = a };
    mohs_status st = loss_init(&c.loss, a->s.v, a->loss, a->seed, a->what, err);
    c.best = malloc(((size_t)n + 1) * sizeof *c.best);
    c.value = malloc(((size_t)n + 1) * sizeof *c.value);
    c.active = malloc(((size_t)n + 1) * sizeof *c.active);
    if (st >= 0 && (!c.best || !c.value || !c.active))
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
    for (uint32_t r = 0; st >= 0 && r < (a->random_start ? a->restarts : 1); r++)
        st = climb(&c, r, err);
    for (uint32_t i = 0; st >= 0 && i < n; i++)
        kept_restore(&a->s, i, c.kept);
    kept_free(c.kept);
    kept_free(c.momentum);
    loss_free(&c.loss);
    free(c.best);
    free(c.value);
    free(c.active);
    return st;
}
