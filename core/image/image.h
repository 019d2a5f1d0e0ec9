/* SPDX-License-Identifier: MIT */
/*
 * Images on the host: decoding JPEG, PNG and WebP exactly as Pillow does,
 * Pillow-exact resampling, PNG writing. 8-bit RGB, row-major, interleaved.
 */
#ifndef CORE_IMAGE_H
#define CORE_IMAGE_H

#include "base/base.h"

struct image {
    uint32_t width, height;
    uint8_t *rgb; /* width * height * 3, malloc'ed */
};

/* Largest accepted picture, in pixels (a decompression bomb guard; Pillow's
 * is 179 M). */
enum { IMAGE_MAX_PIXELS = 178956970 };

enum { IMAGE_KEEP_ORIENTATION = 1u /* ignore EXIF orientation, as
                                      Image.open().convert("RGB") does */ };

/* Decodes a file or memory to RGB like PIL's Image.open(p).convert("RGB"):
 * palette, tRNS, 16-bit, grey, CMYK and Adobe-inverted CMYK included.
 * Animated files: the first frame. `name` is for messages. */
mohs_status image_read(const char *path, unsigned flags, struct image *out,
                       struct mohs_error *err);
mohs_status image_decode(const void *data, size_t n, const char *name,
                         unsigned flags, struct image *out,
                         struct mohs_error *err);
/* A file's EXIF orientation, 1..8, and its size as stored. Decodes it. */
mohs_status image_orientation(const char *path, unsigned *orientation,
                              uint32_t *width, uint32_t *height,
                              struct mohs_error *err);
/* From pixel (*x, *y) of an upright picture to the one it has in the picture
 * of width x height as stored. */
void image_turned_from(unsigned orientation, uint32_t width, uint32_t height,
                       uint32_t *x, uint32_t *y);
void image_free(struct image *im);
/* "libjpeg-turbo 2.1.5, libpng 1.6.39, libwebp 1.2.4": pixels of a JPEG
 * depend on the first. */
void image_versions(struct str *out);
/* Atomic write. */
mohs_status image_write_png(const char *path, const struct image *im,
                            struct mohs_error *err);
mohs_status image_encode_png(const struct image *im, struct str *out,
                             struct mohs_error *err);
/* The same at a zlib level, 0..9; low levels are quick, for many small
 * files. */
mohs_status image_encode_png_level(const struct image *im, int level,
                                   struct str *out, struct mohs_error *err);
/* libjpeg as Pillow calls it: quality 1..100, 4:2:0. */
mohs_status image_encode_jpeg(const struct image *im, int quality,
                              struct str *out, struct mohs_error *err);

/* 16-bit grey PNG, for depth maps; *out is malloc'ed. */
mohs_status image_encode_png16(const uint16_t *grey, uint32_t width, uint32_t height,
                               struct str *out, struct mohs_error *err);
mohs_status image_decode_png16(const void *data, size_t n, const char *name,
                               uint32_t *width, uint32_t *height, uint16_t **out,
                               struct mohs_error *err);

enum image_filter {
    FILTER_NEAREST,
    FILTER_BOX,
    FILTER_BILINEAR,
    FILTER_BICUBIC,
    FILTER_LANCZOS,
    FILTER_HAMMING
};
const char *image_filter_name(enum image_filter filter); /* "bicubic" */
/* Pillow's Image.resize((w, h), filter): 22-bit fixed point, bit-exact to
 * Pillow 13 (see rows_first in resample.c for where 12 differs). */
mohs_status image_resize(const struct image *in, uint32_t width, uint32_t height,
                         enum image_filter filter, struct image *out,
                         struct mohs_error *err);
/* torchvision's antialiased resize of a tensor of bytes, which PyTorch does
 * with weights of 16 bits, columns first: bilinear, bicubic, Lanczos. */
mohs_status image_resize_tensor(const struct image *in, uint32_t width,
                                uint32_t height, enum image_filter filter,
                                struct image *out, struct mohs_error *err);
/* Window at (x, y); parts outside the image are zero. */
mohs_status image_crop(const struct image *in, int32_t x, int32_t y,
                       uint32_t width, uint32_t height, struct image *out,
                       struct mohs_error *err);
/* The same on a colour. */
mohs_status image_crop_on(const struct image *in, int32_t x, int32_t y,
                          uint32_t width, uint32_t height,
                          const uint8_t colour[3], struct image *out,
                          struct mohs_error *err);
void image_flip(struct image *im); /* left-right, in place */

#endif
