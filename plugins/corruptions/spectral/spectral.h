/* SPDX-License-Identifier: MIT */
/* Constants and references of the coloured noises of ImageNet-C-bar. */
#ifndef CORRUPTIONS_SPECTRAL_H
#define CORRUPTIONS_SPECTRAL_H

#include "../common/c_bar.h"

double blue_threshold(const struct job *j);
double brownish_intensity(const struct job *j);

/* Random phases of a plane; the rest mirrors them. */
static inline uint32_t phases_of(uint32_t w, uint32_t h)
{
    return h * (w / 2) + (w % 2 ? h / 2 : 0);
}

void blue_noise_sample_reference(struct job *j, uint32_t n, uint8_t *out);
void brownish_noise_reference(struct job *j, uint32_t n, uint8_t *out);

#endif
