/* SPDX-License-Identifier: MIT */
/* Constants and reference of the motion blur. */
#ifndef CORRUPTIONS_MOTION_BLUR_H
#define CORRUPTIONS_MOTION_BLUR_H

#include "../common/motion.h"

/* The taps of picture i of the batch. */
void motion_blur_taps(const struct job *j, uint32_t i, struct motion *m);
void motion_blur_reference(struct job *j, uint32_t n, uint8_t *out);

#endif
