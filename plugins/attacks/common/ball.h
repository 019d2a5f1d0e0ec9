/* SPDX-License-Identifier: MIT */
/* Perturbations inside a ball: the projected gradient step, random points. */
#ifndef ATTACKS_BALL_H
#define ATTACKS_BALL_H

#include <stddef.h>
#include <stdint.h>

enum { BALL_LINF = 0, BALL_L2, BALL_L1 };
#define BALL_CHOICES { "linf", "l2", NULL }
#define BALL_CHOICES_L1 { "linf", "l2", "l1", NULL }

/* `count` consecutive floats of one sample that share a radius. */
struct group {
    float *delta;
    const float *grad, *clean;
    size_t count;
    double radius;
    float lo, hi; /* range of clean + delta */
};

double group_norm(const float *x, size_t n);
/* Back into the ball and the range. */
void group_project(const struct group *g, int norm);
/* delta = project(delta + alpha * direction): sign of the gradient, the
 * gradient over its norm, or (l1) the signs of its largest twentieth, which has
 * norm 1. alpha in the units of the radius. */
void group_step(const struct group *g, int norm, double alpha);
/* A random point from stream (seed, key), draws from `at` on: uniform in the
 * ball, or, `surface`, of norm exactly the radius (before the range cuts). */
void group_random(const struct group *g, int norm, int surface, uint64_t seed,
                  uint64_t key, uint64_t at);

#endif
