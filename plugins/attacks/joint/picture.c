/* SPDX-License-Identifier: MIT */
/* Steps on pixels, with gradients summed over scales. */
#include "picture.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <mohs/rng.h>
#include <mohs/util.h>

#include "../common/ball.h"
#include "../common/resume.h"
#include "../common/sites.h"

enum { FOR_START = 0x57, FOR_NOISE = 0x4E };

mohs_status scales_read(const char *list, const char *what, struct scales *out,
                        struct mohs_error *err)
{
    out->n = 0;
    for (const char *p = list; *(p += strspn(p, ", "));) {
        char *end;
        double x = strtod(p, &end);
        if (end == p || (*end && !strchr(", ", *end)) || !(x > 0 && x <= 4))
            return mohs_fail(err, MOHS_E_ARG, "%s: scales '%.80s': each is a number above 0, "
                             "at most 4", what, list);
        if (out->n == SCALES_MAX)
            return mohs_fail(err, MOHS_E_ARG, "%s: more than %d scales in '%.80s'", what,
                             SCALES_MAX, list);
        out->of[out->n++] = x;
        p = end;
    }
    return MOHS_OK;
}

struct climb {
    const struct picture_climb *c;
    struct mohs_site site;
    size_t floats;        /* of a picture */
    float *delta, *grad;  /* n pictures: what is climbing, gradients summed */
    float *x;             /* a picture */
    float *kept;          /* n times what a view keeps */
    uint32_t *all;
    struct view view[SCALES_MAX];
    uint32_t n_views;
    uint32_t t, seen; /* steps done, and passes of the next one */
    struct resume resume;
};

static int climb_make(struct climb *k, const struct picture_climb *c)
{
    size_t n = c->v->n, most = 0;
    uint32_t h, w;
    k->floats = (size_t)k->site.tokens * k->site.width;
    picture_size(&k->site, &h, &w);
    for (; k->n_views < c->scales.n; k->n_views++) {
        struct view *v = &k->view[k->n_views];
        if (!view_make(v, h, w, c->scales.of[k->n_views]))
            return 0;
        most = view_kept(v) > most ? view_kept(v) : most;
    }
    k->delta = malloc(n * k->floats * sizeof *k->delta + 1);
    k->grad = calloc(n * k->floats + 1, sizeof *k->grad);
    k->x = malloc(k->floats * sizeof *k->x);
    k->kept = malloc(n * most * sizeof *k->kept + 1);
    k->all = malloc((n + 1) * sizeof *k->all);
    return k->delta && k->grad && k->x && k->kept && k->all;
}

static void climb_free(struct climb *k)
{
    // the last one may be half made
    for (uint32_t i = 0; i < SCALES_MAX; i++)
        view_free(&k->view[i]);
    free(k->delta);
    free(k->grad);
    free(k->x);
    free(k->kept);
    free(k->all);
}

static struct group group_of(const struct climb *k, uint32_t i)
{
    size_t at = i * k->floats;
    return (struct group) { k->delta + at, k->grad + at, k->site.clean + at, k->floats,
                            k->c->eps, k->site.lo, k->site.hi };
}

static void start(struct climb *k)
{
    uint64_t seed = mohs_rng_fork(k->c->seed, FOR_START);
    for (uint32_t i = 0; i < k->c->v->n; i++) {
        struct group g = group_of(k, i);
        k->all[i] = i;
        for (size_t j = 0; j < k->floats; j++) {
            double u = (double)mohs_rng_uniform(seed, k->c->v->key[i], j);
            g.delta[j] = (float)(k->c->eps * (k->c->one_sided ? u : 2 * u - 1));
        }
        group_project(&g, BALL_LINF);
    }
}

/* Puts every picture as view s sees it into the victim. */
static void look(struct climb *k, uint32_t s, uint32_t step)
{
    const struct picture_climb *c = k->c;
    uint64_t seed = mohs_rng_fork(mohs_rng_fork(mohs_rng_fork(c->seed, FOR_NOISE), s), step);
    for (uint32_t i = 0; i < c->v->n; i++) {
        const float *clean = k->site.clean + i * k->floats;
        float *to = k->site.delta + i * k->floats;
        for (size_t j = 0; j < k->floats; j++) {
            float noise = c->noise > 0 ? (float)c->noise *
                                             mohs_rng_normal(seed, c->v->key[i], j)
                                       : 0;
            k->x[j] = clean[j] + k->delta[i * k->floats + j] + noise;
        }
        view_apply(&k->view[s], k->x, to, k->kept + i * view_kept(&k->view[s]));
        for (size_t j = 0; j < k->floats; j++)
            to[j] -= clean[j];
    }
}

static mohs_status one_pass(struct climb *k, struct mohs_error *err)
{
    struct mohs_victim *v = k->c->v;
    struct pull pull = k->c->pull;
    return v->pass(v, v->n, k->all, MOHS_OUT_EMBED, pull_on_outputs, &pull, NULL, 1, err);
}

/* One more pass of the step: the picture itself, then a view of it. */
static mohs_status gradient(struct climb *k, struct mohs_error *err)
{
    uint32_t n = k->c->v->n, s = k->seen - 1;
    size_t all = n * k->floats;
    mohs_status st;
    if (!k->seen) {
        memcpy(k->site.delta, k->delta, all * sizeof *k->delta);
        st = one_pass(k, err);
        if (st >= 0)
            memcpy(k->grad, k->site.grad, all * sizeof *k->grad);
        return st;
    }
    look(k, s, k->t);
    st = one_pass(k, err);
    for (uint32_t i = 0; st >= 0 && i < n; i++)
        view_back(&k->view[s], k->kept + i * view_kept(&k->view[s]),
                  k->site.grad + i * k->floats, k->grad + i * k->floats);
    return st;
}

static mohs_status step(struct climb *k, struct mohs_error *err)
{
    mohs_status st = gradient(k, err);
    if (st < 0)
        return st;
    if (++k->seen > k->n_views) {
        for (uint32_t i = 0; i < k->c->v->n; i++) {
            struct group g = group_of(k, i);
            group_step(&g, BALL_LINF, k->c->alpha);
        }
        k->t++;
        k->seen = 0;
    }
    return resume_point(&k->resume, 0, NULL, err);
}

static int32_t enter(struct climb *k, struct mohs_error *err)
{
    struct resume *r = &k->resume;
    if (!k->c->keep)
        return 0;
    resume_init(r, k->c->v);
    resume_part(r, &k->t, sizeof k->t);
    resume_part(r, &k->seen, sizeof k->seen);
    resume_rows(r, k->delta, k->floats * sizeof *k->delta);
    resume_rows(r, k->grad, k->floats * sizeof *k->grad);
    return resume_enter(r, "pictures", err);
}

mohs_status picture_climb(const struct picture_climb *c, struct mohs_error *err)
{
    struct climb k = { .c = c, .site = { .size = sizeof k.site } };
    int32_t st = c->v->site(c->v, "pixels", &k.site, err);
    if (st < 0 || c->eps == 0)
        return st;
    if (!climb_make(&k, c))
        st = mohs_fail(err, MOHS_E_NOMEM, "%s: no memory for %u pictures", c->what, c->v->n);
    if (st >= 0) {
        start(&k);
        st = enter(&k, err);
    }
    while (st >= 0 && k.t < c->steps)
        st = step(&k, err);
    resume_leave(&k.resume);
    if (st >= 0)
        memcpy(k.site.delta, k.delta, c->v->n * k.floats * sizeof *k.delta);
    climb_free(&k);
    return st < 0 ? st : MOHS_OK;
}
