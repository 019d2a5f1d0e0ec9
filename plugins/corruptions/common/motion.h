/* SPDX-License-Identifier: MIT */
/*
 * Motion blur: half a Gaussian along a line of whole-pixel steps, as
 * ImageMagick's MotionBlurImage has it. The package imagecorruptions does the
 * same, but stops where a step leaves the picture.
 */
#ifndef CORRUPTIONS_MOTION_H
#define CORRUPTIONS_MOTION_H

#include "corruption.h"

enum { MOTION_MAX = 64 };

struct motion {
    int n, width; /* taps in use, and without the stop */
    int dx[MOTION_MAX], dy[MOTION_MAX];
    double weight[MOTION_MAX];
};

/* angle in degrees; 2 radius < MOTION_MAX. Pixel (x, y) becomes the sum of
 * weight[i] times (x + dx[i], y + dy[i]). */
static inline void motion_make(struct motion *m, int radius, double sigma,
                               double angle, int width, int height, int stops)
{
    double rad = angle * (3.14159265358979323846 / 180), sum = 0;
    m->width = 2 * radius + 1;
    m->n = 0;
    double along = m->width * cos(rad), down = m->width * sin(rad);
    double length = hypot(down, along);
    for (int i = 0; i < m->width; i++)
        sum += m->weight[i] = exp(-(double)(i * i) / (2 * sigma * sigma)) /
                              (2.50662827463100050242 * sigma);
    for (int i = 0; i < m->width; i++) {
        m->weight[i] /= sum;
        m->dx[i] = (int)ceil(i * along / length - 0.5);
        m->dy[i] = (int)ceil(i * down / length - 0.5);
        if (stops && (abs(m->dx[i]) >= width || abs(m->dy[i]) >= height))
            break;
        m->n = i + 1;
    }
}

/* A draw in low..low + 90 degrees. */
static inline double motion_angle(const struct job *j, uint32_t i, double low)
{
    return low + 90.0 * (double)mohs_rng_uniform(j->seed, j->key[i], 0);
}

#endif
