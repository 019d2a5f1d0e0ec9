/* SPDX-License-Identifier: MIT */
/* Resampling of interleaved 8-bit pictures with any number of channels. */
#ifndef CORE_RESAMPLE_H
#define CORE_RESAMPLE_H

#include "image/image.h"

/* in: width * height * channels; out: new_width * new_height * channels,
 * given by the caller. */
mohs_status resample(const uint8_t *in, uint32_t width, uint32_t height,
                     uint32_t channels, uint32_t new_width, uint32_t new_height,
                     enum image_filter filter, uint8_t *out,
                     struct mohs_error *err);

#endif
