/* SPDX-License-Identifier: MIT */
/* Perturbations inside a ball: the projected gradient step, random points. */
#ifndef ATTACKS_BALL_H
#define ATTACKS_BALL_H

#include <math.h>
#include <string.h>

#include <mohs/attack.h>
#include <mohs/rng.h>

enum { BALL_LINF = 0, BALL_L2 };
#define BALL_CHOICES { "linf", "l2", NULL }

/* `count` consecutive floats of one sample that share a radius. */
struct group {
    float *delta;
    const float *grad, *clean;
    size_t count;
    double radius;
    float lo, hi; /* range of clean + delta */
};

/* Largest float not above x: a ball in double must not grow in float. */
static inline float ball_floor(double x)
{
    float f = (float)x;
    return (double)f > x ? nextafterf(f, 0) : f;
}

static inline void group_clip(const struct group *g)
{
    if (!(g->lo > -INFINITY) && !(g->hi < INFINITY))
        return;
    for (size_t i = 0; i < g->count; i++) {
        float x = g->clean[i], d = g->delta[i];
        if (x + d < g->lo)
            d = g->lo - x;
        if (x + d > g->hi)
            d = g->hi - x;
        // x + (hi - x) may round past hi
        while (x + d > g->hi || x + d < g->lo)
            d = nextafterf(d, 0);
        g->delta[i] = d;
    }
}

static inline double group_norm(const float *x, size_t n)
{
    double s = 0;
    for (size_t i = 0; i < n; i++)
        s += (double)x[i] * x[i];
    return sqrt(s);
}

/* Back into the ball and the range. */
static inline void group_project(const struct group *g, int norm)
{
    if (norm == BALL_LINF) {
        float r = ball_floor(g->radius);
        for (size_t i = 0; i < g->count; i++)
            g->delta[i] = g->delta[i] > r ? r : g->delta[i] < -r ? -r : g->delta[i];
    } else {
        double n = group_norm(g->delta, g->count);
        if (n > g->radius) {
            double k = n > 0 ? g->radius / n * (1 - 1e-7) : 0;
            for (size_t i = 0; i < g->count; i++)
                g->delta[i] = (float)(g->delta[i] * k);
        }
    }
    group_clip(g);
}

/* delta = project(delta + alpha * direction): sign of the gradient, or the
 * gradient over its norm. alpha in the units of the radius. */
static inline void group_step(const struct group *g, int norm, double alpha)
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

/* A uniform point of the ball from stream (seed, key), draws from `at` on. */
static inline void group_random(const struct group *g, int norm, uint64_t seed,
                                uint64_t key, uint64_t at)
{
    if (norm == BALL_LINF) {
        for (size_t i = 0; i < g->count; i++)
            g->delta[i] = (float)(g->radius *
                                  (2.0 * mohs_rng_uniform(seed, key, at + i) - 1));
    } else {
        for (size_t i = 0; i < g->count; i++)
            g->delta[i] = mohs_rng_normal(seed, key, at + i);
        double n = group_norm(g->delta, g->count);
        double u = mohs_rng_uniform(mohs_rng_fork(seed, 1), key, at);
        double k = n > 0 ? g->radius * pow(u, 1.0 / (double)g->count) / n : 0;
        for (size_t i = 0; i < g->count; i++)
            g->delta[i] = (float)(g->delta[i] * k);
    }
    group_project(g, norm);
}

#endif
