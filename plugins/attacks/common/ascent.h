/* SPDX-License-Identifier: MIT */
/*
 * Projected gradient ascent (Madry et al. 2018) over any groups of any sites:
 * the loop that pgd and feature_pgd share. Keeps, per sample, the
 * perturbation of the highest loss over all steps and restarts.
 */
#ifndef ATTACKS_ASCENT_H
#define ATTACKS_ASCENT_H

#include <stdlib.h>

#include "ball.h"
#include "loss.h"

enum { ASCENT_SITES = 8 };

struct ascent {
    struct mohs_victim *v;
    struct mohs_site site[ASCENT_SITES];
    uint32_t n_sites;
    int norm, loss;
    uint32_t steps, restarts;
    double alpha; /* in units of the radius */
    int random_start;
    uint64_t seed;
    /* Tokens per group of site s: 1, or all of a sample. */
    uint32_t (*group_tokens)(const struct ascent *a, const struct mohs_site *s);
    /* Radius of a group of `clean`. */
    double (*radius)(const struct ascent *a, const float *clean, size_t count);
    void *user;
};

typedef void (*ascent_fn)(const struct ascent *a, const struct group *g, uint64_t seed,
                          uint64_t key, uint64_t at);

/* Visits the groups of sample i at site s; masked tokens are left out. */
static inline void ascent_groups(const struct ascent *a, const struct mohs_site *s,
                                 uint32_t i, uint64_t seed, ascent_fn fn)
{
    uint32_t step = a->group_tokens(a, s);
    size_t sample = (size_t)i * s->tokens * s->width;
    for (uint32_t t = 0; t < s->tokens; t += step) {
        if (s->mask && !s->mask[(size_t)i * s->tokens + t])
            continue;
        uint32_t tokens = step;
        // padding comes last, so the unmasked tokens are one run
        while (s->mask && tokens > 1 && !s->mask[(size_t)i * s->tokens + t + tokens - 1])
            tokens--;
        size_t at = sample + (size_t)t * s->width;
        struct group g = { s->delta + at, s->grad + at, s->clean + at,
                           (size_t)tokens * s->width, 0, s->lo, s->hi };
        g.radius = a->radius(a, g.clean, g.count);
        fn(a, &g, seed, a->v->key[i], (uint64_t)t * s->width);
    }
}

static inline void ascent_step(const struct ascent *a, const struct group *g,
                               uint64_t seed, uint64_t key, uint64_t at)
{
    (void)seed;
    (void)key;
    (void)at;
    group_step(g, a->norm, a->alpha * g->radius);
}

static inline void ascent_random(const struct ascent *a, const struct group *g,
                                 uint64_t seed, uint64_t key, uint64_t at)
{
    group_random(g, a->norm, seed, key, at);
}

static inline size_t ascent_floats(const struct mohs_site *s)
{
    return (size_t)s->tokens * s->width;
}

static inline mohs_status ascent_pass(struct ascent *a, const uint32_t *all, float *loss,
                                      int gradient, struct mohs_error *err)
{
    return a->v->pass(a->v, a->v->n, all, loss_output(a->loss), loss_function(a->loss),
                      a->v, loss, gradient, err);
}

/* Keeps the deltas of the samples that got worse. */
static inline void ascent_keep(struct ascent *a, const float *loss, float *best,
                               float *const *kept)
{
    for (uint32_t i = 0; i < a->v->n; i++) {
        if (!(loss[i] > best[i]))
            continue;
        best[i] = loss[i];
        for (uint32_t s = 0; s < a->n_sites; s++) {
            size_t n = ascent_floats(&a->site[s]);
            memcpy(kept[s] + i * n, a->site[s].delta + i * n, n * sizeof(float));
        }
    }
}

static inline mohs_status ascent_climb(struct ascent *a, uint32_t restart,
                                       const uint32_t *all, float *loss, float *best,
                                       float *const *kept, struct mohs_error *err)
{
    for (uint32_t s = 0; s < a->n_sites; s++) {
        memset(a->site[s].delta, 0, a->v->n * ascent_floats(&a->site[s]) * sizeof(float));
        uint64_t seed = mohs_rng_fork(mohs_rng_fork(a->seed, restart), s);
        for (uint32_t i = 0; a->random_start && i < a->v->n; i++)
            ascent_groups(a, &a->site[s], i, seed, ascent_random);
    }
    for (uint32_t k = 0; k < a->steps; k++) {
        mohs_status st = ascent_pass(a, all, loss, 1, err);
        if (st < 0)
            return st;
        ascent_keep(a, loss, best, kept);
        for (uint32_t s = 0; s < a->n_sites; s++)
            for (uint32_t i = 0; i < a->v->n; i++)
                ascent_groups(a, &a->site[s], i, 0, ascent_step);
    }
    mohs_status st = ascent_pass(a, all, loss, 0, err);
    if (st >= 0)
        ascent_keep(a, loss, best, kept);
    return st;
}

static inline mohs_status ascent_run(struct ascent *a, struct mohs_error *err)
{
    uint32_t n = a->v->n;
    float *kept[ASCENT_SITES] = { NULL };
    float *best = malloc((n + 1) * sizeof *best), *loss = malloc((n + 1) * sizeof *loss);
    uint32_t *all = malloc((n + 1) * sizeof *all);
    mohs_status st = MOHS_OK;
    for (uint32_t s = 0; s < a->n_sites; s++) {
        kept[s] = calloc(n * ascent_floats(&a->site[s]) + 1, sizeof(float));
        if (!kept[s])
            st = mohs_fail(err, MOHS_E_NOMEM, "attack: no memory");
    }
    if (!best || !loss || !all)
        st = mohs_fail(err, MOHS_E_NOMEM, "attack: no memory");
    for (uint32_t i = 0; st >= 0 && i < n; i++) {
        best[i] = -INFINITY;
        all[i] = i;
    }
    for (uint32_t r = 0; st >= 0 && r < a->restarts; r++)
        st = ascent_climb(a, r, all, loss, best, kept, err);
    for (uint32_t s = 0; s < a->n_sites; s++) {
        if (st >= 0)
            memcpy(a->site[s].delta, kept[s],
                   n * ascent_floats(&a->site[s]) * sizeof(float));
        free(kept[s]);
    }
    free(best);
    free(loss);
    free(all);
    return st;
}

#endif
