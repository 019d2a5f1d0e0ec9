/* SPDX-License-Identifier: MIT */
/* Opening taps, walking groups, keeping copies. */
#include "sites.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <mohs/rng.h>
#include <mohs/util.h>

mohs_status taps_split(const char *list, char tap[SITES_MAX][TAP_MAX], uint32_t *n,
                       const char *what, struct mohs_error *err)
{
    *n = 0;
    for (const char *p = list; *(p += strspn(p, ", "));) {
        size_t len = strcspn(p, ", ");
        if (*n == SITES_MAX)
            return mohs_fail(err, MOHS_E_ARG, "%s: more than %d taps in '%s'", what,
                             SITES_MAX, list);
        if (len >= TAP_MAX)
            return mohs_fail(err, MOHS_E_ARG, "%s: no tap has a name as long as '%.80s'",
                             what, p);
        memcpy(tap[*n], p, len);
        tap[*n][len] = 0;
        for (uint32_t i = 0; i < *n; i++)
            if (!strcmp(tap[i], tap[*n]))
                return mohs_fail(err, MOHS_E_ARG, "%s: tap %s twice in '%s'", what, tap[i],
                                 list);
        (*n)++;
        p += len;
    }
    return *n ? MOHS_OK : mohs_fail(err, MOHS_E_ARG, "%s: tap is empty", what);
}

mohs_status sites_open(struct sites *s, struct mohs_victim *v,
                       const char (*tap)[TAP_MAX], uint32_t n, struct mohs_error *err)
{
    s->v = v;
    s->n = n;
    for (uint32_t k = 0; k < n; k++) {
        s->site[k].size = sizeof s->site[k];
        mohs_status st = v->site(v, tap[k], &s->site[k], err);
        if (st < 0)
            return st;
    }
    return MOHS_OK;
}

size_t sites_floats(const struct sites *s, uint32_t k)
{
    return (size_t)s->site[k].tokens * s->site[k].width;
}

void sites_zero(struct sites *s)
{
    for (uint32_t k = 0; k < s->n; k++)
        memset(s->site[k].delta, 0, s->v->n * sites_floats(s, k) * sizeof(float));
}

void picture_size(const struct mohs_site *pixels, uint32_t *h, uint32_t *w)
{
    uint32_t area = pixels->width;
    *h = MOHS_HAS(struct mohs_site, pixels, height) ? pixels->height
                                                    : (uint32_t)sqrt((double)area);
    while (area % *h)
        --*h;
    *w = area / *h;
}

static double radius_of(const struct sites *s, const float *clean, size_t count)
{
    if (s->radius == RADIUS_ABSOLUTE)
        return s->eps;
    if (s->norm == BALL_L2)
        return s->eps * group_norm(clean, count);
    double mean = 0, square = 0;
    for (size_t i = 0; i < count; i++)
        mean += clean[i];
    mean /= (double)count;
    for (size_t i = 0; i < count; i++)
        square += (clean[i] - mean) * (clean[i] - mean);
    return s->eps * sqrt(square / (double)count);
}

void sites_groups(const struct sites *s, uint32_t k, uint32_t i, group_fn fn, void *user)
{
    const struct mohs_site *x = &s->site[k];
    const uint8_t *mask = x->mask ? x->mask + (size_t)i * x->tokens : NULL;
    size_t sample = i * sites_floats(s, k);
    uint32_t step = s->per_sample ? x->tokens : 1;
    for (uint32_t t = 0; t < x->tokens; t += step) {
        uint32_t tokens = step;
        // padding comes last, so the unmasked tokens are one run
        while (mask && tokens && !mask[t + tokens - 1])
            tokens--;
        if (!tokens)
            continue;
        size_t at = (size_t)t * x->width;
        struct group g = { x->delta + sample + at, x->grad + sample + at,
                           x->clean + sample + at, (size_t)tokens * x->width, 0, x->lo,
                           x->hi };
        g.radius = radius_of(s, g.clean, g.count);
        fn(s, k, i, &g, at, user);
    }
}

struct draw {
    int surface;
    uint64_t seed;
};

static void draw_group(const struct sites *s, uint32_t k, uint32_t i,
                       const struct group *g, size_t at, void *user)
{
    const struct draw *d = user;
    group_random(g, s->norm, d->surface, mohs_rng_fork(d->seed, k), s->v->key[i], at);
}

void sites_random(const struct sites *s, uint32_t i, int surface, uint64_t seed)
{
    struct draw d = { surface, seed };
    for (uint32_t k = 0; k < s->n; k++)
        sites_groups(s, k, i, draw_group, &d);
}

/* ---- copies ---- */

mohs_status kept_new(const struct sites *s, float *kept[SITES_MAX], struct mohs_error *err)
{
    for (uint32_t k = 0; k < s->n; k++) {
        kept[k] = calloc(s->v->n * sites_floats(s, k) + 1, sizeof(float));
        if (!kept[k])
            return mohs_fail(err, MOHS_E_NOMEM, "attack: no memory for %u samples at %s",
                             s->v->n, s->site[k].tap);
    }
    return MOHS_OK;
}

void kept_free(float *kept[SITES_MAX])
{
    for (int k = 0; k < SITES_MAX; k++)
        free(kept[k]);
}

void kept_store(const struct sites *s, uint32_t i, float *const kept[SITES_MAX])
{
    for (uint32_t k = 0; k < s->n; k++) {
        size_t n = sites_floats(s, k);
        memcpy(kept[k] + i * n, s->site[k].delta + i * n, n * sizeof(float));
    }
}

void kept_restore(const struct sites *s, uint32_t i, float *const kept[SITES_MAX])
{
    for (uint32_t k = 0; k < s->n; k++) {
        size_t n = sites_floats(s, k);
        memcpy(s->site[k].delta + i * n, kept[k] + i * n, n * sizeof(float));
    }
}
