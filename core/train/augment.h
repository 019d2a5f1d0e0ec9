/* SPDX-License-Identifier: MIT */
/* Random changes of training pictures, drawn from Philox streams. */
#ifndef CORE_AUGMENT_H
#define CORE_AUGMENT_H

#include "image/image.h"

/* Whether a caption names a side, so that its picture must not be mirrored:
 * a word that begins with left or right. */
bool says_side(const char *text);

/*
 * Crops a window that keeps the picture's shape and, uniformly, crop_min .. 1
 * of its area, resized back (bicubic); then mirrors half of the pictures when
 * `flip` allows it. In place; a function of (seed, key, draw).
 */
mohs_status augment(struct image *im, float crop_min, bool flip, uint64_t seed,
                    uint64_t key, uint32_t draw, struct mohs_error *err);

#endif
