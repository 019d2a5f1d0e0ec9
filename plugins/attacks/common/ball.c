/* SPDX-License-Identifier: MIT */
/* Balls, in double over floats: what is stored never leaves them. */
#include "ball.h"

#include <math.h>

#include <mohs/rng.h>

/* Largest float not above x >= 0: a ball in double must not grow in float. */
static float ball_floor(double x)
{
    float f = (float)x;
    return (double)f > x ? nextafterf(f, 0) : f;
}

static void group_clip(const struct group *g)
{
    if (!(g->lo > -INFINITY) && !(g->hi < INFINITY))
        return;
    for (size_t i = 0; i < g->count; i++) {
        float x = g->clean[i], d = g->delta[i];
        if (x + d < g->lo)
            d = g->lo - x;
        if (x + d > g->hi)
            d = g->hi - x;
        // x + (hi - x) may round past hi; a clean value outside stays put
        while (d != 0 && (x + d > g->hi || x + d < g->lo))
            d = nextafterf(d, 0);
        g->delta[i] = d;
    }
}

double group_norm(const float *x, size_t n)
{
    double s = 0;
    for (size_t i = 0; i < n; i++)
        s += (double)x[i] * x[i];
    return sqrt(s);
}

void group_project(const struct group *g, int norm)
{
    if (norm == BALL_LINF) {
        float r = ball_floor(g->radius);
        for (size_t i = 0; i < g->count; i++)
            g->delta[i] = g->delta[i] > r ? r : g->delta[i] < -r ? -r : g->delta[i];
    } else {
        double n = group_norm(g->delta, g->count);
        // the margin covers the rounding of each entry to float
        double k = n > g->radius ? g->radius / n * (1 - 1e-7) : 1;
        for (size_t i = 0; k < 1 && i < g->count; i++)
            g->delta[i] = (float)(g->delta[i] * k);
    }
    group_clip(g);
}

void group_step(const struct group *g, int norm, double alpha)
{
    if (norm == BALL_LINF) {
        for (size_t i = 0; i < g->count; i++)
            g->delta[i] += (float)(alpha * ((g->grad[i] > 0) - (g->grad[i] < 0)));
    } else {
        double n = group_norm(g->grad, g->count);
        for (size_t i = 0; n > 0 && i < g->count; i++)
            g->delta[i] += (float)(alpha / n * g->grad[i]);
    }
    group_project(g, norm);
}

void group_random(const struct group *g, int norm, int surface, uint64_t seed,
                  uint64_t key, uint64_t at)
{
    if (norm == BALL_LINF) {
        float r = ball_floor(g->radius);
        for (size_t i = 0; i < g->count; i++) {
            float u = mohs_rng_uniform(seed, key, at + i);
            g->delta[i] = surface ? (u < 0.5f ? -r : r) : (float)(g->radius * (2.0 * u - 1));
        }
    } else {
        for (size_t i = 0; i < g->count; i++)
            g->delta[i] = mohs_rng_normal(seed, key, at + i);
        double n = group_norm(g->delta, g->count);
        double u = surface ? 1 : mohs_rng_uniform(mohs_rng_fork(seed, 1), key, at);
        double k = n > 0 ? g->radius * pow(u, 1.0 / (double)g->count) / n : 0;
        for (size_t i = 0; i < g->count; i++)
            g->delta[i] = (float)(g->delta[i] * k);
    }
    group_project(g, norm);
}
