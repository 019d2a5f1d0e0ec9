/* SPDX-License-Identifier: MIT */
/* Balls, in double over floats: what is stored never leaves them. */
#include "ball.h"

#include <math.h>
#include <string.h>

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

/* ---- l1 ---- */

/* What stays of an entry after a threshold, within its range. */
static double shrunk(const struct group *g, size_t i, double threshold)
{
    double d = fabs((double)g->delta[i]) - threshold;
    double room = g->delta[i] > 0 ? (double)g->hi - g->clean[i]
                                  : (double)g->clean[i] - g->lo;
    return d <= 0 || room <= 0 ? 0 : d < room ? d : room;
}

static double shrunk_sum(const struct group *g, double threshold)
{
    double s = 0;
    for (size_t i = 0; i < g->count; i++)
        s += shrunk(g, i, threshold);
    return s;
}

/* The nearest point of ball and box together: soft thresholds cut to the box
 * (Croce and Hein, "Mind the box", ICML 2021), the threshold by bisection. */
static void project_l1(const struct group *g)
{
    double low = 0, high = 0;
    if (shrunk_sum(g, 0) <= g->radius)
        return; // the range is cut afterwards
    for (size_t i = 0; i < g->count; i++)
        high = fmax(high, fabs((double)g->delta[i]));
    for (int k = 0; k < 60; k++) {
        double middle = (low + high) / 2;
        if (shrunk_sum(g, middle) > g->radius)
            low = middle;
        else
            high = middle;
    }
    for (size_t i = 0; i < g->count; i++)
        g->delta[i] = (float)copysign(shrunk(g, i, high) * (1 - 1e-7),
                                      (double)g->delta[i]);
}

static uint32_t magnitude(float x)
{
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    return u & 0x7FFFFFFF; // as integers, floats are in order
}

/* The k-th largest magnitude, k >= 1, by halving the range of its bits. */
static uint32_t kth_largest(const float *x, size_t n, size_t k)
{
    uint32_t low = 0, high = 0x7FFFFFFF;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2 + 1;
        size_t above = 0;
        for (size_t i = 0; i < n; i++)
            above += magnitude(x[i]) >= middle;
        if (above >= k)
            low = middle;
        else
            high = middle - 1;
    }
    return low;
}

static void step_l1(const struct group *g, double alpha)
{
    size_t k = (g->count + 19) / 20, taken = 0;
    uint32_t least = kth_largest(g->grad, g->count, k);
    for (int ties = 0; ties < 2; ties++) // of ties, the first
        for (size_t i = 0; i < g->count && taken < k; i++) {
            uint32_t m = magnitude(g->grad[i]);
            if (m == 0 || (ties ? m != least : m <= least))
                continue;
            g->delta[i] += (float)copysign(alpha / (double)k, (double)g->grad[i]);
            taken++;
        }
}

/* Uniform: exponential magnitudes over their sum are uniform on the sphere. */
static void random_l1(const struct group *g, int surface, uint64_t seed, uint64_t key,
                      uint64_t at)
{
    uint64_t signs = mohs_rng_fork(seed, 2);
    double sum = 0;
    for (size_t i = 0; i < g->count; i++) {
        double e = -log((double)mohs_rng_uniform(seed, key, at + i));
        sum += e;
        g->delta[i] = (float)(mohs_rng_u32(signs, key, at + i) & 1 ? -e : e);
    }
    double u = surface ? 1 : mohs_rng_uniform(mohs_rng_fork(seed, 1), key, at);
    double k = sum > 0 ? g->radius * pow(u, 1.0 / (double)g->count) / sum : 0;
    for (size_t i = 0; i < g->count; i++)
        g->delta[i] = (float)(g->delta[i] * k);
}

void group_project(const struct group *g, int norm)
{
    if (norm == BALL_L1) {
        project_l1(g);
    } else if (norm == BALL_LINF) {
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
    if (norm == BALL_L1) {
        step_l1(g, alpha);
    } else if (norm == BALL_LINF) {
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
    if (norm == BALL_L1) {
        random_l1(g, surface, seed, key, at);
    } else if (norm == BALL_LINF) {
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
