/* SPDX-License-Identifier: MIT */
/*
 * A picture seen at another scale: resized, cut to 0..1, resized back; and the
 * way of gradients through that. Bicubic as PyTorch's interpolate has it: a =
 * -0.75, centres of pixels aligned, borders repeated, no antialiasing.
 */
#ifndef ATTACKS_VIEW_H
#define ATTACKS_VIEW_H

#include <stddef.h>
#include <stdint.h>

struct view_axis {
    uint32_t from, to; /* pixels before and after */
    uint32_t (*at)[4]; /* `to` of each: what a pixel is the sum of */
    float (*weight)[4];
};

struct view {
    uint32_t height, width, scaled_height, scaled_width;
    struct view_axis down[2], up[2]; /* rows, columns */
    float *half, *scaled, *back; /* scratch of one channel */
};

/* 0 without memory. Sides are cut to whole pixels, at least one. */
int view_make(struct view *v, uint32_t height, uint32_t width, double scale);
void view_free(struct view *v);
/* Floats of `scaled` that apply() keeps for back(): 3 channels. */
size_t view_kept(const struct view *v);
/* Three planes of height * width; kept[view_kept()]. */
void view_apply(struct view *v, const float *x, float *out, float *kept);
/* Adds to dx what dout is with respect to x. */
void view_back(struct view *v, const float *kept, const float *dout, float *dx);

#endif
