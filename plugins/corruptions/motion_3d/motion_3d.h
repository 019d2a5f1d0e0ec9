/* SPDX-License-Identifier: MIT */
/* A camera's path past a picture's points, for kernel and reference. */
#ifndef CORRUPTIONS_MOTION_3D_H
#define CORRUPTIONS_MOTION_3D_H

#include "../common/depth.h"

enum { FRAMES_MAX = 60, N_RAYS = 16 };

/* Parts of a pixel, and how near in 1 / depth two points are one surface. */
#define MOTION_GRID 128
#define MOTION_SAME 0.025f

/* One position: a point at column x (from the middle) and depth z >= 1 is
 * seen at ((x z + ox) / (z + oz), (y z + oy) / (z + oz)). */
struct view {
    float ox, oy, oz, unused;
};

/* A picture and its path. `left` and so on: mirrored pixels added beyond a
 * border, where the camera sees past it. */
struct path {
    uint32_t frames;
    struct view view[FRAMES_MAX];
    int32_t left, right, top, bottom;
};

void motion_path(const struct job *j, uint32_t n, int along,
                 struct path *p);
/* Depth of every pixel in units of the nearest; 0 on edges, whose points are
 * left out. */
void motion_depth(const struct job *j, uint32_t n, float *z);
void xy_motion_blur_reference(struct job *j, uint32_t n, uint8_t *out);
void z_motion_blur_reference(struct job *j, uint32_t n, uint8_t *out);

#endif
