/* SPDX-License-Identifier: MIT */
/*
 * PNG through libpng, with Pillow's conversions to RGB: alpha and tRNS are
 * dropped, 16-bit colour keeps its high byte, 16-bit grey saturates at 255,
 * palette indices past the palette are black. (Checked against Pillow 13.)
 */
#include "config.h"

#include "image/codec.h"

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <png.h>

enum {
    CHUNK_MAX_BYTES = 1 << 26,
    DEFLATE_MAX_RATIO = 1040 /* zlib cannot expand further (it is 1032) */
};

struct reader {
    const struct decoding *d;
    size_t at;
    png_structp png;
    png_infop info;
    char text[160];
    uint8_t *raw;
    png_bytepp rows;
    uint32_t width, height;
    int depth, type;
    png_color palette[256];
};

static void on_error(png_structp png, png_const_charp text)
{
    struct reader *r = png_get_error_ptr(png);
    snprintf(r->text, sizeof r->text, "%s", text);
    longjmp(png_jmpbuf(png), 1);
}

static void on_warning(png_structp png, png_const_charp text)
{
    (void)png;
    (void)text;
}

static void on_read(png_structp png, png_bytep to, size_t n)
{
    struct reader *r = png_get_io_ptr(png);
    if (n > r->d->n - r->at)
        png_error(png, "truncated");
    memcpy(to, r->d->data + r->at, n);
    r->at += n;
}

/* The size that the first chunk, IHDR, claims against the limit: before libpng
 * reads on and stumbles over something that matters less. */
static mohs_status check_claim(const struct decoding *d, struct mohs_error *err)
{
    if (d->n < 24)
        return mohs_fail(err, MOHS_E_FORMAT, "%s: damaged PNG: truncated",
                         d->name);
    uint32_t width = png_get_uint_32(d->data + 16);
    uint32_t height = png_get_uint_32(d->data + 20);
    if ((uint64_t)width * height > IMAGE_MAX_PIXELS)
        return mohs_fail(err, MOHS_E_FORMAT,
                         "%s: size %u x %u exceeds the limit of %d pixels",
                         d->name, width, height, IMAGE_MAX_PIXELS);
    return MOHS_OK;
}

static void read_header(struct reader *r)
{
    png_set_read_fn(r->png, r, on_read);
    png_set_user_limits(r->png, 0x7fffffff, 0x7fffffff);
    png_set_chunk_malloc_max(r->png, CHUNK_MAX_BYTES);
    png_set_chunk_cache_max(r->png, 1000);
    png_read_info(r->png, r->info);
    png_get_IHDR(r->png, r->info, &r->width, &r->height, &r->depth, &r->type,
                 NULL, NULL, NULL);
}

/* Size against what the file can hold, before anything is allocated. */
static mohs_status check_size(const struct reader *r, struct mohs_error *err)
{
    const struct decoding *d = r->d;
    uint64_t pixels = (uint64_t)r->width * r->height;
    uint64_t bits = png_get_channels(r->png, r->info) * (uint64_t)r->depth;
    if (pixels * bits / 8 / DEFLATE_MAX_RATIO > d->n)
        return mohs_fail(err, MOHS_E_FORMAT,
                         "%s: %zu bytes cannot hold %u x %u pixels", d->name,
                         d->n, r->width, r->height);
    return MOHS_OK;
}

/* The picture in its own layout into r->raw. */
static mohs_status read_raw(struct reader *r, struct mohs_error *err)
{
    const struct decoding *d = r->d;
    if (r->type == PNG_COLOR_TYPE_GRAY && r->depth < 8)
        png_set_expand_gray_1_2_4_to_8(r->png);
    if (r->type == PNG_COLOR_TYPE_PALETTE)
        png_set_packing(r->png);
    if (r->type != PNG_COLOR_TYPE_GRAY && r->depth == 16)
        png_set_strip_16(r->png);
    png_set_interlace_handling(r->png);
    png_read_update_info(r->png, r->info);
    size_t stride = png_get_rowbytes(r->png, r->info);
    r->raw = try_calloc(r->height, stride, d->name, err);
    r->rows = r->raw ? try_calloc(r->height, sizeof *r->rows, d->name, err)
                     : NULL;
    if (!r->rows)
        return MOHS_E_NOMEM;
    for (uint32_t y = 0; y < r->height; y++)
        r->rows[y] = r->raw + y * stride;
    png_read_image(r->png, r->rows);
    return MOHS_OK;
}

static void copy_palette(struct reader *r)
{
    png_colorp p = NULL;
    int n = 0;
    if (png_get_PLTE(r->png, r->info, &p, &n) && n > 0)
        memcpy(r->palette, p, (size_t)(n < 256 ? n : 256) * sizeof *p);
}

static void row_to_rgb(const struct reader *r, const uint8_t *in, uint8_t *rgb)
{
    size_t step = r->type == PNG_COLOR_TYPE_RGB_ALPHA    ? 4
                  : r->type == PNG_COLOR_TYPE_GRAY_ALPHA ? 2
                                                         : 1;
    for (uint32_t x = 0; x < r->width; x++, rgb += 3) {
        switch (r->type) {
        case PNG_COLOR_TYPE_RGB_ALPHA: memcpy(rgb, in + x * step, 3); break;
        case PNG_COLOR_TYPE_PALETTE: {
            const png_color *c = &r->palette[in[x]];
            rgb[0] = c->red;
            rgb[1] = c->green;
            rgb[2] = c->blue;
            break;
        }
        default:
            if (r->depth == 16 && r->type == PNG_COLOR_TYPE_GRAY)
                memset(rgb, in[2 * (size_t)x] ? 255 : in[2 * (size_t)x + 1], 3);
            else
                memset(rgb, in[x * step], 3);
        }
    }
}

/* All that may leave through libpng's longjmp; owns nothing but what is in
 * *r and *out. */
static mohs_status read_picture(struct reader *r, struct decoding *d,
                                struct mohs_error *err)
{
    read_header(r);
    RET_IF_ERR(check_size(r, err));
    RET_IF_ERR(image_alloc(d->out, r->width, r->height, d->name, err));
    copy_palette(r);
    RET_IF_ERR(read_raw(r, err));
    for (uint32_t y = 0; y < r->height; y++) {
        uint8_t *to = d->out->rgb + (size_t)y * r->width * 3;
        if (r->type == PNG_COLOR_TYPE_RGB)
            memcpy(to, r->rows[y], (size_t)r->width * 3);
        else
            row_to_rgb(r, r->rows[y], to);
    }
    png_bytep exif = NULL;
    png_uint_32 n = 0;
    if (png_get_eXIf_1(r->png, r->info, &n, &exif))
        d->orientation = exif_orientation(exif, n);
    return MOHS_OK;
}

static mohs_status reader_open(struct reader *r, const struct decoding *d,
                               struct mohs_error *err)
{
    r->d = d;
    RET_IF_ERR(check_claim(d, err));
    r->png = png_create_read_struct(PNG_LIBPNG_VER_STRING, r, on_error,
                                    on_warning);
    r->info = r->png ? png_create_info_struct(r->png) : NULL;
    if (!r->info)
        return mohs_fail(err, MOHS_E_NOMEM, "%s: no memory for libpng", d->name);
    return MOHS_OK;
}

static void reader_close(struct reader *r)
{
    if (r->png)
        png_destroy_read_struct(&r->png, &r->info, NULL);
    free(r->rows);
    free(r->raw);
    free(r);
}

mohs_status png_decode(struct decoding *d, struct mohs_error *err)
{
    struct reader *r = xcalloc(1, sizeof *r);
    mohs_status st = reader_open(r, d, err);
    if (st >= 0) {
        if (setjmp(png_jmpbuf(r->png)))
            st = mohs_fail(err, MOHS_E_FORMAT, "%s: damaged PNG: %s", d->name,
                           r->text);
        else
            st = read_picture(r, d, err);
    }
    reader_close(r);
    return st;
}

/* ---- 16-bit grey ------------------------------------------------------- */

static mohs_status read_grey16(struct reader *r, struct mohs_error *err)
{
    const char *name = r->d->name;
    read_header(r);
    if (r->type != PNG_COLOR_TYPE_GRAY || r->depth != 16)
        return mohs_fail(err, MOHS_E_FORMAT,
                         "%s: colour type %d with %d bits is not 16-bit grey",
                         name, r->type, r->depth);
    RET_IF_ERR(check_size(r, err));
    RET_IF_ERR(read_raw(r, err));
    size_t n = (size_t)r->width * r->height;
    uint16_t *v = (uint16_t *)(void *)r->raw;
    for (size_t i = 0; i < n; i++)
        v[i] = (uint16_t)(r->raw[2 * i] << 8 | r->raw[2 * i + 1]);
    return MOHS_OK;
}

mohs_status image_decode_png16(const void *data, size_t n, const char *name,
                               uint32_t *width, uint32_t *height,
                               uint16_t **out, struct mohs_error *err)
{
    struct decoding d = { data, n, name, NULL, 1 };
    *out = NULL;
    if (n < 8 || png_sig_cmp(data, 0, 8))
        return mohs_fail(err, MOHS_E_FORMAT, "%s: not a PNG file", name);
    struct reader *r = xcalloc(1, sizeof *r);
    mohs_status st = reader_open(r, &d, err);
    if (st >= 0) {
        if (setjmp(png_jmpbuf(r->png)))
            st = mohs_fail(err, MOHS_E_FORMAT, "%s: damaged PNG: %s", name,
                           r->text);
        else
            st = read_grey16(r, err);
    }
    if (st >= 0) {
        *width = r->width;
        *height = r->height;
        *out = (uint16_t *)(void *)r->raw;
        r->raw = NULL;
    }
    reader_close(r);
    return st;
}

void png_version(struct str *out)
{
    str_addf(out, "libpng %s", png_get_libpng_ver(NULL));
}
