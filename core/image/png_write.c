/* SPDX-License-Identifier: MIT */
/* PNG writing. The bytes depend on the pixels, the level and the zlib
 * version only: no time stamps, no text chunks. */
#include "config.h"

#include "image/image.h"

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <png.h>

enum { PNG_LEVEL = 6, PNG16_LEVEL = 3 };

struct png_job {
    png_structp png;
    png_infop info;
    struct str *out;
    const uint8_t *pixels;
    uint32_t width, height;
    int depth, type, level;
    size_t stride;
    char text[160];
};

static void png_on_error(png_structp png, png_const_charp text)
{
    struct png_job *j = png_get_error_ptr(png);
    snprintf(j->text, sizeof j->text, "%s", text);
    longjmp(png_jmpbuf(png), 1);
}

static void png_on_warning(png_structp png, png_const_charp text)
{
    (void)png;
    (void)text;
}

static void png_on_write(png_structp png, png_bytep p, size_t n)
{
    struct png_job *j = png_get_io_ptr(png);
    str_addn(j->out, (const char *)p, n);
}

static void png_on_flush(png_structp png)
{
    (void)png;
}

static void png_write(struct png_job *j)
{
    png_set_write_fn(j->png, j, png_on_write, png_on_flush);
    png_set_user_limits(j->png, 0x7fffffff, 0x7fffffff);
    png_set_compression_level(j->png, j->level);
    // Quick levels are for many small files: one cheap filter.
    if (j->level <= PNG16_LEVEL)
        png_set_filter(j->png, 0, PNG_FILTER_SUB);
    png_set_IHDR(j->png, j->info, j->width, j->height, j->depth, j->type,
                 PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
                 PNG_FILTER_TYPE_DEFAULT);
    png_write_info(j->png, j->info);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    if (j->depth == 16)
        png_set_swap(j->png);
#endif
    for (uint32_t y = 0; y < j->height; y++)
        png_write_row(j->png, j->pixels + y * j->stride);
    png_write_end(j->png, j->info);
}

static mohs_status png_run(struct png_job *j, struct mohs_error *err)
{
    volatile mohs_status st = MOHS_OK;
    const size_t start = j->out->n;
    if (!j->pixels || !j->width || !j->height || j->level < 0 || j->level > 9)
        return mohs_fail(err, MOHS_E_ARG,
                         "png: %u x %u pixels at level %d cannot be written",
                         j->width, j->height, j->level);
    j->png = png_create_write_struct(PNG_LIBPNG_VER_STRING, j, png_on_error,
                                     png_on_warning);
    j->info = j->png ? png_create_info_struct(j->png) : NULL;
    if (!j->info) {
        st = mohs_fail(err, MOHS_E_NOMEM, "png: no memory for libpng");
    } else if (setjmp(png_jmpbuf(j->png))) {
        j->out->n = start;
        st = mohs_fail(err, MOHS_E_IO, "png: %s", j->text);
    } else {
        png_write(j);
    }
    if (j->png)
        png_destroy_write_struct(&j->png, &j->info);
    return st;
}

mohs_status image_encode_png_level(const struct image *im, int level,
                                   struct str *out, struct mohs_error *err)
{
    struct png_job j = { .out = out, .pixels = im->rgb, .width = im->width,
                         .height = im->height, .depth = 8,
                         .type = PNG_COLOR_TYPE_RGB, .level = level,
                         .stride = (size_t)im->width * 3 };
    return png_run(&j, err);
}

mohs_status image_encode_png(const struct image *im, struct str *out,
                             struct mohs_error *err)
{
    return image_encode_png_level(im, PNG_LEVEL, out, err);
}

mohs_status image_encode_png16(const uint16_t *grey, uint32_t width,
                               uint32_t height, struct str *out,
                               struct mohs_error *err)
{
    struct png_job j = { .out = out, .pixels = (const uint8_t *)grey,
                         .width = width, .height = height, .depth = 16,
                         .type = PNG_COLOR_TYPE_GRAY,
                         .level = PNG16_LEVEL,
                         .stride = (size_t)width * 2 };
    return png_run(&j, err);
}

mohs_status image_write_png(const char *path, const struct image *im,
                            struct mohs_error *err)
{
    struct str b = { 0 };
    mohs_status st = image_encode_png(im, &b, err);
    if (st >= 0)
        st = file_write(path, b.s, b.n, err);
    else
        st = err_prefix(err, st, "%s", path);
    str_free(&b);
    return st;
}
