/* SPDX-License-Identifier: MIT */
/* Picture memory, format detection, orientation, crop and flip; the codecs
 * have their own files. */
#include "config.h"

#include "image/codec.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { FILE_MAX_BYTES = 1 << 30 };

mohs_status image_alloc(struct image *im, uint32_t width, uint32_t height,
                        const char *name, struct mohs_error *err)
{
    *im = (struct image) { 0 };
    if (!width || !height)
        return mohs_fail(err, MOHS_E_FORMAT, "%s: size %u x %u is empty", name,
                         width, height);
    if ((uint64_t)width * height > IMAGE_MAX_PIXELS)
        return mohs_fail(err, MOHS_E_FORMAT,
                         "%s: size %u x %u exceeds the limit of %d pixels",
                         name, width, height, IMAGE_MAX_PIXELS);
    im->rgb = malloc((size_t)width * height * 3);
    if (!im->rgb)
        return mohs_fail(err, MOHS_E_NOMEM, "%s: no memory for %u x %u pixels",
                         name, width, height);
    im->width = width;
    im->height = height;
    return MOHS_OK;
}

void image_free(struct image *im)
{
    if (!im)
        return;
    free(im->rgb);
    *im = (struct image) { 0 };
}

/* ---- orientation ------------------------------------------------------- */

static uint32_t tiff_int(const uint8_t *p, unsigned bytes, bool big)
{
    uint32_t v = 0;
    for (unsigned i = 0; i < bytes; i++)
        v |= (uint32_t)p[i] << 8 * (big ? bytes - 1 - i : i);
    return v;
}

unsigned exif_orientation(const uint8_t *tiff, size_t n)
{
    if (n < 8 || (memcmp(tiff, "II*\0", 4) && memcmp(tiff, "MM\0*", 4)))
        return 1;
    bool big = tiff[0] == 'M';
    size_t at = tiff_int(tiff + 4, 4, big);
    if (at > n - 2 || n < 2)
        return 1;
    uint32_t entries = tiff_int(tiff + at, 2, big);
    at += 2;
    for (uint32_t i = 0; i < entries && n - at >= 12; i++, at += 12) {
        const uint8_t *e = tiff + at;
        if (tiff_int(e, 2, big) != 0x0112)
            continue;
        uint32_t type = tiff_int(e + 2, 2, big);
        uint32_t v = type == 3   ? tiff_int(e + 8, 2, big)
                     : type == 4 ? tiff_int(e + 8, 4, big)
                                 : 1;
        return v >= 1 && v <= 8 ? v : 1;
    }
    return 1;
}

void image_turned_from(unsigned o, uint32_t width, uint32_t height,
                       uint32_t *x, uint32_t *y)
{
    // Source column runs backwards for 2, 3, 7, 8; source row for 3, 4, 6, 7.
    bool back_x = o == 2 || o == 3 || o == 7 || o == 8;
    bool back_y = o == 3 || o == 4 || o == 6 || o == 7;
    uint32_t sx = o >= 5 ? *y : *x, sy = o >= 5 ? *x : *y;
    *x = back_x ? width - 1 - sx : sx;
    *y = back_y ? height - 1 - sy : sy;
}

/* Turns and mirrors so that the picture stands as EXIF orientation o says. */
static mohs_status orient(struct image *im, unsigned o, const char *name,
                          struct mohs_error *err)
{
    if (o <= 1)
        return MOHS_OK;
    bool swap = o >= 5;
    uint32_t w = im->width, h = im->height;
    struct image to;
    RET_IF_ERR(image_alloc(&to, swap ? h : w, swap ? w : h, name, err));
    for (uint32_t y = 0; y < to.height; y++) {
        for (uint32_t x = 0; x < to.width; x++) {
            uint32_t sx = x, sy = y;
            image_turned_from(o, w, h, &sx, &sy);
            memcpy(to.rgb + ((size_t)y * to.width + x) * 3,
                   im->rgb + ((size_t)sy * w + sx) * 3, 3);
        }
    }
    image_free(im);
    *im = to;
    return MOHS_OK;
}

/* ---- decoding ---------------------------------------------------------- */

/* As stored; *orientation says how it stands. */
static mohs_status decode(const void *data, size_t n, const char *name,
                          struct image *out, unsigned *orientation,
                          struct mohs_error *err)
{
    static const uint8_t png[8] = { 0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n' };
    static const uint8_t jpeg[3] = { 0xff, 0xd8, 0xff };
    const uint8_t *p = data;
    struct decoding d = { p, n, name, out, 1 };
    mohs_status st;
    *out = (struct image) { 0 };
    if (n >= 3 && !memcmp(p, jpeg, 3))
        st = jpeg_decode(&d, err);
    else if (n >= 8 && !memcmp(p, png, 8))
        st = png_decode(&d, err);
    else if (n >= 12 && !memcmp(p, "RIFF", 4) && !memcmp(p + 8, "WEBP", 4))
        st = webp_decode(&d, err);
    else
        st = mohs_fail(err, MOHS_E_FORMAT, "%s: not a JPEG, PNG or WebP picture",
                       name);
    *orientation = d.orientation;
    if (st < 0)
        image_free(out);
    return st;
}

mohs_status image_decode(const void *data, size_t n, const char *name,
                         unsigned flags, struct image *out,
                         struct mohs_error *err)
{
    unsigned o;
    RET_IF_ERR(decode(data, n, name, out, &o, err));
    mohs_status st = flags & IMAGE_KEEP_ORIENTATION ? MOHS_OK
                                                    : orient(out, o, name, err);
    if (st < 0)
        image_free(out);
    return st;
}

mohs_status image_orientation(const char *path, unsigned *orientation,
                              uint32_t *width, uint32_t *height,
                              struct mohs_error *err)
{
    char *data;
    size_t n;
    struct image im;
    RET_IF_ERR(file_read(path, FILE_MAX_BYTES, &data, &n, err));
    mohs_status st = decode(data, n, path, &im, orientation, err);
    free(data);
    if (st < 0)
        return st;
    *width = im.width;
    *height = im.height;
    image_free(&im);
    return MOHS_OK;
}

mohs_status image_read(const char *path, unsigned flags, struct image *out,
                       struct mohs_error *err)
{
    char *data;
    size_t n;
    struct stat sb;
    *out = (struct image) { 0 };
    // opening a pipe that nobody writes to would wait for ever
    if (!stat(path, &sb) && S_ISFIFO(sb.st_mode))
        return mohs_fail(err, MOHS_E_FORMAT, "%s: a pipe, not a picture", path);
    RET_IF_ERR(file_read(path, FILE_MAX_BYTES, &data, &n, err));
    mohs_status st = image_decode(data, n, path, flags, out, err);
    free(data);
    return st;
}

void image_versions(struct str *out)
{
    jpeg_version(out);
    str_add(out, ", ");
    png_version(out);
    str_add(out, ", ");
    webp_version(out);
}

/* ---- windows ----------------------------------------------------------- */

static void paint(uint8_t *row, int64_t n, const uint8_t colour[3])
{
    for (int64_t i = 0; i < n; i++)
        memcpy(row + 3 * i, colour, 3);
}

mohs_status image_crop_on(const struct image *in, int32_t x, int32_t y,
                          uint32_t width, uint32_t height,
                          const uint8_t colour[3], struct image *out,
                          struct mohs_error *err)
{
    RET_IF_ERR(image_alloc(out, width, height, "crop", err));
    int64_t from = x < 0 ? -(int64_t)x : 0;
    int64_t to = (int64_t)in->width - x;
    if (to > width)
        to = width;
    for (uint32_t j = 0; j < height; j++) {
        uint8_t *row = out->rgb + (size_t)j * width * 3;
        int64_t sy = (int64_t)y + j;
        if (sy < 0 || sy >= in->height || from >= to) {
            paint(row, width, colour);
            continue;
        }
        paint(row, from, colour);
        memcpy(row + from * 3, in->rgb + (sy * in->width + x + from) * 3,
               (size_t)(to - from) * 3);
        paint(row + to * 3, width - to, colour);
    }
    return MOHS_OK;
}

mohs_status image_crop(const struct image *in, int32_t x, int32_t y,
                       uint32_t width, uint32_t height, struct image *out,
                       struct mohs_error *err)
{
    static const uint8_t black[3] = { 0 };
    return image_crop_on(in, x, y, width, height, black, out, err);
}

void image_flip(struct image *im)
{
    for (uint32_t y = 0; y < im->height; y++) {
        uint8_t *a = im->rgb + (size_t)y * im->width * 3;
        uint8_t *b = a + ((size_t)im->width - 1) * 3;
        for (; a < b; a += 3, b -= 3) {
            uint8_t t[3];
            memcpy(t, a, 3);
            memcpy(a, b, 3);
            memcpy(b, t, 3);
        }
    }
}
