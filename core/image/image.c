/* SPDX-License-Identifier: MIT */
/* Which format, WebP, EXIF orientation, cropping and flipping. */
#include "config.h"

#include "image/image.h"

#include <stdlib.h>
#include <string.h>

#include <webp/decode.h>
#include <webp/types.h>

#include "image/codec.h"

mohs_status image_alloc(uint64_t width, uint64_t height, const char *name,
                        struct image *out, struct mohs_error *err)
{
    if (!width || !height || width * height > IMAGE_MAX_PIXELS ||
        width > UINT32_MAX || height > UINT32_MAX)
        return mohs_fail(err, MOHS_E_FORMAT, "%s: %llu x %llu pixels, the limit is %d",
                         name, (unsigned long long)width, (unsigned long long)height,
                         IMAGE_MAX_PIXELS);
    out->rgb = try_calloc((size_t)width * height, 3, name, err);
    if (!out->rgb)
        return MOHS_E_NOMEM;
    out->width = (uint32_t)width;
    out->height = (uint32_t)height;
    return MOHS_OK;
}

void image_free(struct image *im)
{
    free(im->rgb);
    memset(im, 0, sizeof *im);
}

mohs_status webp_decode(const uint8_t *data, size_t n, const char *name,
                        struct image *out, struct mohs_error *err)
{
    WebPBitstreamFeatures f;
    if (WebPGetFeatures(data, n, &f) != VP8_STATUS_OK)
        return mohs_fail(err, MOHS_E_FORMAT, "%s: damaged WebP header", name);
    if (f.has_animation)
        return mohs_fail(err, MOHS_E_UNSUPPORTED, "%s: animated WebP", name);
    RET_IF_ERR(image_alloc((uint64_t)f.width, (uint64_t)f.height, name, out, err));
    size_t size = (size_t)out->width * out->height * 3;
    if (!WebPDecodeRGBInto(data, n, out->rgb, size, (int)out->width * 3)) {
        image_free(out);
        return mohs_fail(err, MOHS_E_FORMAT, "%s: damaged or truncated WebP", name);
    }
    return 1;
}

/* ---- EXIF ---- */

static uint32_t get(const uint8_t *p, int n, bool big)
{
    uint32_t v = 0;
    for (int i = 0; i < n; i++)
        v |= (uint32_t)p[i] << (8 * (big ? n - 1 - i : i));
    return v;
}

int exif_orientation(const uint8_t *t, size_t n)
{
    if (n < 14 || (memcmp(t, "II", 2) && memcmp(t, "MM", 2)))
        return 1;
    bool big = *t == 'M';
    size_t at = get(t + 4, 4, big);
    if (at > n - 2)
        return 1;
    uint32_t count = get(t + at, 2, big);
    for (uint32_t i = 0; i < count; i++) {
        size_t e = at + 2 + 12 * (size_t)i;
        if (e + 12 > n)
            return 1;
        if (get(t + e, 2, big) == 0x0112) {
            uint32_t v = get(t + e + 8, 2, big);
            return v >= 1 && v <= 8 ? (int)v : 1;
        }
    }
    return 1;
}

/* Source pixel of (x, y) in the upright image of orientation o. */
static size_t source(int o, uint32_t w, uint32_t h, uint32_t x, uint32_t y)
{
    uint32_t sx = x, sy = y;
    if (o >= 5) { // transposed: the upright image is h wide
        sx = y;
        sy = x;
    }
    if (o == 2 || o == 3 || o == 7 || o == 8)
        sx = w - 1 - sx;
    if (o == 3 || o == 4 || o == 6 || o == 7)
        sy = h - 1 - sy;
    return (size_t)sy * w + sx;
}

static mohs_status upright(struct image *im, int o, const char *name,
                           struct mohs_error *err)
{
    struct image r;
    bool turned = o >= 5;
    if (o <= 1)
        return MOHS_OK;
    RET_IF_ERR(image_alloc(turned ? im->height : im->width,
                           turned ? im->width : im->height, name, &r, err));
    for (uint32_t y = 0; y < r.height; y++)
        for (uint32_t x = 0; x < r.width; x++)
            memcpy(r.rgb + 3 * ((size_t)y * r.width + x),
                   im->rgb + 3 * source(o, im->width, im->height, x, y), 3);
    image_free(im);
    *im = r;
    return MOHS_OK;
}

/* ---- any format ---- */

mohs_status image_decode(const void *data, size_t n, const char *name,
                         unsigned flags, struct image *out,
                         struct mohs_error *err)
{
    const uint8_t *p = data;
    mohs_status st;
    memset(out, 0, sizeof *out);
    if (n >= 3 && !memcmp(p, "\xff\xd8\xff", 3))
        st = jpeg_decode(p, n, name, out, err);
    else if (n >= 8 && !memcmp(p, "\x89PNG\r\n\x1a\n", 8))
        st = png_decode(p, n, name, out, err);
    else if (n >= 12 && !memcmp(p, "RIFF", 4) && !memcmp(p + 8, "WEBP", 4))
        st = webp_decode(p, n, name, out, err);
    else
        return mohs_fail(err, MOHS_E_FORMAT, "%s: not a JPEG, PNG or WebP picture",
                         name);
    if (st < 0)
        return st;
    if (flags & IMAGE_KEEP_ORIENTATION)
        return MOHS_OK;
    st = upright(out, st, name, err);
    if (st < 0)
        image_free(out);
    return st;
}

mohs_status image_read(const char *path, unsigned flags, struct image *out,
                       struct mohs_error *err)
{
    char *data;
    size_t n;
    memset(out, 0, sizeof *out);
    RET_IF_ERR(file_read(path, (size_t)1 << 30, &data, &n, err));
    mohs_status st = image_decode(data, n, path, flags, out, err);
    free(data);
    return st;
}

mohs_status image_crop(const struct image *in, int32_t x, int32_t y,
                       uint32_t width, uint32_t height, struct image *out,
                       struct mohs_error *err)
{
    RET_IF_ERR(image_alloc(width, height, "crop", out, err));
    for (uint32_t j = 0; j < height; j++) {
        int64_t sy = (int64_t)y + j, x0 = x < 0 ? -(int64_t)x : 0;
        int64_t x1 = (int64_t)in->width - x < width ? (int64_t)in->width - x : width;
        if (sy < 0 || sy >= in->height || x1 <= x0)
            continue;
        memcpy(out->rgb + 3 * ((size_t)j * width + (size_t)x0),
               in->rgb + 3 * ((size_t)sy * in->width + (size_t)(x + x0)),
               3 * (size_t)(x1 - x0));
    }
    return MOHS_OK;
}

void image_flip(struct image *im)
{
    for (uint32_t y = 0; y < im->height; y++) {
        uint8_t *row = im->rgb + (size_t)y * im->width * 3;
        for (uint32_t a = 0, b = im->width - 1; a < b; a++, b--)
            for (int c = 0; c < 3; c++) {
                uint8_t t = row[3 * a + c];
                row[3 * a + c] = row[3 * b + c];
                row[3 * b + c] = t;
            }
    }
}
