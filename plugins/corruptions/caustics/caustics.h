/* SPDX-License-Identifier: MIT */
/* Drawn parameters and the reference of caustic refraction. */
#ifndef CORRUPTIONS_CAUSTICS_H
#define CORRUPTIONS_CAUSTICS_H

#include "../common/c_bar.h"

/* time 0.5..2; `size` pixels are a period. */
struct water {
    double time, size;
};

enum { CAUSTIC_STEPS = 5, SOFT = 4 }; /* taps of the blur on either side */

struct water water_draw(const struct job *j, uint32_t n);
/* Pixels a ray is bent by at most, and light a unit of slope. */
double lens_scale(const struct job *j);
double lighting(const struct job *j);
/* The taps 0..SOFT of a Gaussian of 1 pixel, cut at 4. */
void soft_taps(double tap[SOFT + 1]);

void caustic_refraction_reference(struct job *j, uint32_t n, uint8_t *out);

#endif
