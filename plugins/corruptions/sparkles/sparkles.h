/* SPDX-License-Identifier: MIT */
/* Drawn parameters and references of the sparkles of ImageNet-C-bar. */
#ifndef CORRUPTIONS_SPARKLES_H
#define CORRUPTIONS_SPARKLES_H

#include "../common/c_bar.h"

/* Rays go out from (x, y), `rays` of them at equal angles; ray i has
 * length[i], in pixels, and two more repeat the first. */
enum { N_SPARKLES = 5, RAYS_MAX = 200, RAYS_LINE = RAYS_MAX + 2 };
struct sparkle {
    float x, y;
    uint32_t rays;
    float length[RAYS_LINE];
};

void sparkle_draw(const struct job *j, uint32_t n, uint32_t which,
                  struct sparkle *s);
void inverse_draw(const struct job *j, uint32_t n, struct sparkle *s);
/* The exponent of the fall-off. */
double inverse_fall(const struct job *j);

void sparkles_reference(struct job *j, uint32_t n, uint8_t *out);
void inverse_sparkles_reference(struct job *j, uint32_t n, uint8_t *out);

#endif
