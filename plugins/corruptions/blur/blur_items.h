/* SPDX-License-Identifier: MIT */
/* Constants and references of the two plain blurs. */
#ifndef CORRUPTIONS_BLUR_ITEMS_H
#define CORRUPTIONS_BLUR_ITEMS_H

#include "../common/blur.h"

enum { DISK_HALF_MAX = 10, DISK_SIDE_MAX = 2 * DISK_HALF_MAX + 1 };

/* A square filter of side 2 half + 1. */
struct disk {
    int half;
    float weight[DISK_SIDE_MAX * DISK_SIDE_MAX];
};

double gaussian_blur_sigma(const struct job *j);
void disk_make(const struct job *j, struct disk *d);
void gaussian_blur_reference(struct job *j, uint32_t n, uint8_t *out);
void defocus_blur_reference(struct job *j, uint32_t n, uint8_t *out);

#endif
