/* SPDX-License-Identifier: MIT */
/* Constants and reference of the glass blur. */
#ifndef CORRUPTIONS_GLASS_BLUR_H
#define CORRUPTIONS_GLASS_BLUR_H

#include "../common/blur.h"

struct glass {
    double sigma;
    int delta, turns; /* how far a pixel looks, how often */
};

struct glass glass_of(const struct job *j);
void glass_blur_reference(struct job *j, uint32_t n, uint8_t *out);

#endif
