/* SPDX-License-Identifier: MIT */
/* Constants and reference of spatter. */
#ifndef CORRUPTIONS_SPATTER_H
#define CORRUPTIONS_SPATTER_H

#include "../common/blur.h"

struct spatter {
    double loc, scale, sigma, threshold;
    double weight; /* of water; sigma of mud */
    int mud;
};

struct spatter spatter_of(const struct job *j);
void spatter_reference(struct job *j, uint32_t n, uint8_t *out);

#endif
