/* SPDX-License-Identifier: MIT */
/*
 * PNG through libpng, with the conversions of Pillow's convert("RGB"): alpha
 * is dropped, not composited; palettes are looked up; 16-bit grey is cut to
 * 255, 16-bit colour loses its low bytes.
 */
#include "config.h"

#include "image/image.h"

#include <stdlib.h>
#include <string.h>

#include <png.h>

#include "image/codec.h"

struct reader {
    const uint8_t *data;
    size_t n, at;
    char text[160];
};

static void on_error(png_structp p, png_const_charp text)
{
    struct reader *r = png_get_error_ptr(p);
    snprintf(r->text, sizeof r->text, "%s", text);
    longjmp(png_jmpbuf(p), 1);
}

static void on_warning(png_structp p, png_const_charp text)
{
    (void)p;
    (void)text;
}

static void feed(png_structp p, png_bytep out, size_t n)
{
    struct reader *r = png_get_io_ptr(p);
    if (n > r->n - r->at)
        png_error(p, "truncated PNG");
    memcpy(out, r->data + r->at, n);
    r->at += n;
}

/* 16-bit grey rows, big-endian, to RGB: values above 255 become 255. */
static void grey16_row(const uint8_t *in, uint32_t width, uint8_t *out)
{
    for (uint32_t x = 0; x < width; x++, in += 2, out += 3) {
        uint8_t v = in[0] ? 255 : in[1];
        out[0] = out[1] = out[2] = v;
    }
}

/* Sets libpng's transformations; true when rows stay 16-bit grey. */
static bool transform(png_structp p, png_infop info)
{
    int type = png_get_color_type(p, info), depth = png_get_bit_depth(p, info);
    if (type == PNG_COLOR_TYPE_GRAY && depth == 16)
        return true;
    if (type == PNG_COLOR_TYPE_PALETTE)
        png_set_palette_to_rgb(p);
    if (depth == 16)
        png_set_strip_16(p);
    if (type == PNG_COLOR_TYPE_GRAY && depth < 8)
        png_set_expand_gray_1_2_4_to_8(p);
    if (type == PNG_COLOR_TYPE_GRAY || type == PNG_COLOR_TYPE_GRAY_ALPHA)
        png_set_gray_to_rgb(p);
    png_set_strip_alpha(p);
    return false;
}

static int orientation_of(png_structp p, png_infop info)
{
#ifdef PNG_eXIf_SUPPORTED
    png_bytep exif = NULL;
    png_uint_32 n = 0;
    if (png_get_eXIf_1(p, info, &n, &exif) && exif)
        return exif_orientation(exif, n);
#endif
    return 1;
}

mohs_status png_decode(const uint8_t *data, size_t n, const char *name,
                       struct image *out, struct mohs_error *err)
{
    struct reader r = { data, n, 0, { 0 } };
    png_structp p = png_create_read_struct(PNG_LIBPNG_VER_STRING, &r, on_error,
                                           on_warning);
    png_infop info = p ? png_create_info_struct(p) : NULL;
    png_bytep *volatile rows = NULL;
    uint8_t *volatile wide = NULL;
    volatile mohs_status st = MOHS_OK;
    if (!info) {
        png_destroy_read_struct(&p, NULL, NULL);
        return mohs_fail(err, MOHS_E_NOMEM, "%s: no memory", name);
    }
    if (setjmp(png_jmpbuf(p))) {
        st = mohs_fail(err, MOHS_E_FORMAT, "%s: %s", name, r.text);
        goto out;
    }
    png_set_user_limits(p, 1000000, 1000000);
    png_set_read_fn(p, &r, feed);
    png_read_info(p, info);
    uint32_t w = png_get_image_width(p, info), h = png_get_image_height(p, info);
    st = image_alloc(w, h, name, out, err);
    if (st < 0)
        goto out;
    bool grey16 = transform(p, info);
    png_set_interlace_handling(p);
    png_read_update_info(p, info);
    size_t stride = png_get_rowbytes(p, info);
    rows = try_calloc(h, sizeof *rows, name, err);
    if (grey16)
        wide = try_calloc(h, stride, name, err);
    if (!rows || (grey16 && !wide)) {
        st = MOHS_E_NOMEM;
        goto out;
    }
    if (!grey16 && stride != (size_t)w * 3)
        png_error(p, "unexpected row size");
    for (uint32_t y = 0; y < h; y++)
        rows[y] = grey16 ? wide + y * stride : out->rgb + (size_t)y * w * 3;
    png_read_image(p, rows);
    png_read_end(p, info);
    for (uint32_t y = 0; grey16 && y < h; y++)
        grey16_row(wide + y * stride, w, out->rgb + (size_t)y * w * 3);
    st = orientation_of(p, info);
out:
    png_destroy_read_struct(&p, &info, NULL);
    free((void *)rows);
    free(wide);
    if (st < 0)
        image_free(out);
    return st;
}

/* ---- writing ---- */

static void gather(png_structp p, png_bytep data, size_t n)
{
    str_addn(png_get_io_ptr(p), (char *)data, n);
}

static void no_flush(png_structp p)
{
    (void)p;
}

mohs_status image_encode_png(const struct image *im, struct str *out,
                             struct mohs_error *err)
{
    struct reader r = { 0 };
    png_structp p = png_create_write_struct(PNG_LIBPNG_VER_STRING, &r, on_error,
                                            on_warning);
    png_infop info = p ? png_create_info_struct(p) : NULL;
    volatile mohs_status st = MOHS_OK;
    if (!info) {
        png_destroy_write_struct(&p, NULL);
        return mohs_fail(err, MOHS_E_NOMEM, "png: no memory");
    }
    if (setjmp(png_jmpbuf(p))) {
        st = mohs_fail(err, MOHS_E_FORMAT, "png: %s", r.text);
        goto out;
    }
    png_set_write_fn(p, out, gather, no_flush);
    png_set_IHDR(p, info, im->width, im->height, 8, PNG_COLOR_TYPE_RGB,
                 PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
                 PNG_FILTER_TYPE_DEFAULT);
    png_set_compression_level(p, 3);
    png_set_filter(p, 0, PNG_FILTER_SUB);
    png_write_info(p, info);
    for (uint32_t y = 0; y < im->height; y++)
        png_write_row(p, im->rgb + (size_t)y * im->width * 3);
    png_write_end(p, info);
out:
    png_destroy_write_struct(&p, &info);
    return st;
}

mohs_status image_write_png(const char *path, const struct image *im,
                            struct mohs_error *err)
{
    struct str s = { 0 };
    mohs_status st = image_encode_png(im, &s, err);
    if (st >= 0)
        st = file_write(path, s.s, s.n, err);
    str_free(&s);
    return st;
}

/* ---- 16-bit grey: depth maps ---- */

mohs_status image_encode_png16(const uint16_t *grey, uint32_t width, uint32_t height,
                               struct str *out, struct mohs_error *err)
{
    struct reader r = { 0 };
    png_structp p = png_create_write_struct(PNG_LIBPNG_VER_STRING, &r, on_error,
                                            on_warning);
    png_infop info = p ? png_create_info_struct(p) : NULL;
    uint8_t *volatile row = xmalloc((size_t)width * 2);
    volatile mohs_status st = MOHS_OK;
    if (!info) {
        st = mohs_fail(err, MOHS_E_NOMEM, "png: no memory");
        goto out;
    }
    if (setjmp(png_jmpbuf(p))) {
        st = mohs_fail(err, MOHS_E_FORMAT, "png: %s", r.text);
        goto out;
    }
    png_set_write_fn(p, out, gather, no_flush);
    png_set_IHDR(p, info, width, height, 16, PNG_COLOR_TYPE_GRAY, PNG_INTERLACE_NONE,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_set_compression_level(p, 3);
    png_set_filter(p, 0, PNG_FILTER_SUB);
    png_write_info(p, info);
    for (uint32_t y = 0; y < height; y++) {
        for (uint32_t x = 0; x < width; x++) {
            uint16_t v = grey[(size_t)y * width + x];
            row[2 * x] = (uint8_t)(v >> 8);
            row[2 * x + 1] = (uint8_t)v;
        }
        png_write_row(p, row);
    }
    png_write_end(p, info);
out:
    png_destroy_write_struct(&p, &info);
    free(row);
    return st;
}

mohs_status image_decode_png16(const void *data, size_t n, const char *name,
                               uint32_t *width, uint32_t *height, uint16_t **out,
                               struct mohs_error *err)
{
    struct reader r = { data, n, 0, { 0 } };
    png_structp p = png_create_read_struct(PNG_LIBPNG_VER_STRING, &r, on_error,
                                           on_warning);
    png_infop info = p ? png_create_info_struct(p) : NULL;
    uint8_t *volatile all = NULL;
    png_bytep *volatile rows = NULL;
    volatile mohs_status st = MOHS_OK;
    if (!info) {
        png_destroy_read_struct(&p, NULL, NULL);
        return mohs_fail(err, MOHS_E_NOMEM, "%s: no memory", name);
    }
    if (setjmp(png_jmpbuf(p))) {
        st = mohs_fail(err, MOHS_E_FORMAT, "%s: %s", name, r.text);
        goto out;
    }
    png_set_read_fn(p, &r, feed);
    png_read_info(p, info);
    uint64_t w = png_get_image_width(p, info), h = png_get_image_height(p, info);
    if (png_get_color_type(p, info) != PNG_COLOR_TYPE_GRAY ||
        png_get_bit_depth(p, info) != 16 || w * h > IMAGE_MAX_PIXELS) {
        st = mohs_fail(err, MOHS_E_FORMAT, "%s: not a 16-bit grey PNG", name);
        goto out;
    }
    all = try_calloc(w * h, 2, name, err);
    rows = try_calloc(h, sizeof *rows, name, err);
    if (!all || !rows) {
        st = MOHS_E_NOMEM;
        goto out;
    }
    for (uint64_t y = 0; y < h; y++)
        rows[y] = all + y * w * 2;
    png_read_image(p, rows);
    for (uint64_t i = 0; i < w * h; i++)
        ((uint16_t *)(void *)all)[i] = (uint16_t)(all[2 * i] << 8 | all[2 * i + 1]);
    *width = (uint32_t)w;
    *height = (uint32_t)h;
    *out = (uint16_t *)(void *)all;
    all = NULL;
out:
    png_destroy_read_struct(&p, &info, NULL);
    free(all);
    free((void *)rows);
    return st;
}
