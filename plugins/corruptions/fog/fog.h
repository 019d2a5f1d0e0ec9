/* SPDX-License-Identifier: MIT */
/* Constants and reference of fog. */
#ifndef CORRUPTIONS_FOG_H
#define CORRUPTIONS_FOG_H

#include "../common/corruption.h"

struct fog {
    double density, decay;
};

struct fog fog_of(const struct job *j);
/* The side of the map, a power of two no less than the picture's sides. */
uint32_t fog_side(const struct job *j);
void fog_reference(struct job *j, uint32_t n, uint8_t *out);

#endif
