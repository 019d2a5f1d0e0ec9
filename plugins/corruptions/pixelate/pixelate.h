/* SPDX-License-Identifier: MIT */
/* The box filter of Pillow, and the reference of pixelate. */
#ifndef CORRUPTIONS_PIXELATE_H
#define CORRUPTIONS_PIXELATE_H

#include "../common/corruption.h"

enum { BOX_BITS = 22 };

/* Along one side: pixel i of `to` is made of `count` pixels from `first`,
 * each with weight[i * most + k] / 2^22. */
struct box {
    uint32_t from, to, most;
    int32_t *first, *count, *weight;
};

/* int(size * c), at least 1. */
uint32_t pixelate_size(const struct job *j, uint32_t size);
/* From job_scratch(); all NULL after a failure. */
struct box box_make(struct job *j, uint32_t from, uint32_t to);
/* Which pixel of `small` each of `size` shows when enlarged. */
void pixelate_grow(const struct job *j, uint32_t small, uint32_t size,
                   int32_t *at);
void pixelate_reference(struct job *j, uint32_t n, uint8_t *out);

#endif
