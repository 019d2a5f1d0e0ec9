/* SPDX-License-Identifier: MIT */
/* The plan of a refocused picture, for kernel and reference. */
#ifndef CORRUPTIONS_FOCUS_H
#define CORRUPTIONS_FOCUS_H

#include "../common/depth.h"

enum { FOCUS_LAYERS = 9 };

/* Layer k is the picture blurred as at depth value[k]; a depth between two
 * values is a mix of both layers. */
struct focus {
    float value[FOCUS_LAYERS];   /* quantiles k / 8 of the depth */
    double sigma[FOCUS_LAYERS];
    uint32_t reach[FOCUS_LAYERS]; /* taps on each side; 0: sharp */
};

/* depth: normalised. */
void focus_plan(struct job *j, const float *depth, int far, struct focus *f);
/* 2 reach + 1 weights that sum up to 1. */
void focus_weights(const struct focus *f, int layer, float *w);
void near_focus_reference(struct job *j, uint32_t n, uint8_t *out);
void far_focus_reference(struct job *j, uint32_t n, uint8_t *out);

#endif
