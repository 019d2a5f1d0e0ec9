/* SPDX-License-Identifier: MIT */
/* Constants, geometry and reference of snow. */
#ifndef CORRUPTIONS_SNOW_H
#define CORRUPTIONS_SNOW_H

#include "../common/motion.h"
#include "../common/zoom.h"

struct snow {
    double loc, scale, zoom, threshold;
    int radius;
    double sigma, keep;
};

/* What is kept of the enlarged layer: from zx.trim, zy.trim on. The scripts
 * cut to the picture before the motion blur, the package after it. */
struct snow_layer {
    struct zoom_side zx, zy;
    int width, height;
};

enum { SNOW_FIELD = 1 }; /* the fork of the seed for the flakes */

struct snow snow_of(const struct job *j);
struct snow_layer snow_layer_of(const struct job *j);
void snow_taps(const struct job *j, uint32_t i, struct motion *m);
void snow_reference(struct job *j, uint32_t n, uint8_t *out);

#endif
