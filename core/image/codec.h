/* SPDX-License-Identifier: MIT */
/* The decoders behind image_decode; each owns one format. */
#ifndef CORE_CODEC_H
#define CORE_CODEC_H

#include "image/image.h"

mohs_status jpeg_decode(const uint8_t *data, size_t n, const char *name,
                        struct image *out, struct mohs_error *err);
mohs_status png_decode(const uint8_t *data, size_t n, const char *name,
                       struct image *out, struct mohs_error *err);
mohs_status webp_decode(const uint8_t *data, size_t n, const char *name,
                        struct image *out, struct mohs_error *err);
/* Allocates out->rgb after checking the size against IMAGE_MAX_PIXELS. */
mohs_status image_alloc(uint64_t width, uint64_t height, const char *name,
                        struct image *out, struct mohs_error *err);
/* EXIF orientation 1..8 in a TIFF block; 1 when there is none. */
int exif_orientation(const uint8_t *tiff, size_t n);

#endif
