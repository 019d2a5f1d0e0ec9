/* SPDX-License-Identifier: MIT */
/* Between the decoders of this room: one function per format, and the
 * helpers they share. */
#ifndef CORE_CODEC_H
#define CORE_CODEC_H

#include "image/image.h"

/* One encoded picture and what came of it. */
struct decoding {
    const uint8_t *data;
    size_t n;
    const char *name;      /* for messages */
    struct image *out;     /* filled on success */
    unsigned orientation;  /* EXIF 1..8; 1 when there is none */
};

/* "libpng 1.6.39": appended. */
void jpeg_version(struct str *out);
void png_version(struct str *out);
void webp_version(struct str *out);
mohs_status jpeg_decode(struct decoding *d, struct mohs_error *err);
mohs_status png_decode(struct decoding *d, struct mohs_error *err);
mohs_status webp_decode(struct decoding *d, struct mohs_error *err);

/* Checks the size against IMAGE_MAX_PIXELS and allocates the pixels. */
mohs_status image_alloc(struct image *im, uint32_t width, uint32_t height,
                        const char *name, struct mohs_error *err);
/* Orientation tag of a TIFF block as EXIF holds it; 1 when absent or
 * unreadable. */
unsigned exif_orientation(const uint8_t *tiff, size_t n);

#endif
