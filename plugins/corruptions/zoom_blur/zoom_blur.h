/* SPDX-License-Identifier: MIT */
/* Constants and reference of the zoom blur. */
#ifndef CORRUPTIONS_ZOOM_BLUR_H
#define CORRUPTIONS_ZOOM_BLUR_H

#include "../common/zoom.h"

enum { ZOOMS_MAX = 32 };

/* The zooms of a severity; how many. */
int zoom_blur_zooms(const struct job *j, double zoom[ZOOMS_MAX]);
void zoom_blur_reference(struct job *j, uint32_t n, uint8_t *out);

#endif
