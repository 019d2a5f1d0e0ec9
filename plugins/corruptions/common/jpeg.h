/* SPDX-License-Identifier: MIT */
/* A picture through libjpeg and back, as Pillow calls it: 4:2:0, standard
 * tables, accurate integer transform. */
#ifndef CORRUPTIONS_JPEG_H
#define CORRUPTIONS_JPEG_H

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

#include <mohs/plugin.h>

struct jpeg_trap {
    struct jpeg_error_mgr mgr;
    jmp_buf out;
    char text[JMSG_LENGTH_MAX];
};

static inline void jpeg_on_error(j_common_ptr c)
{
    struct jpeg_trap *t = (struct jpeg_trap *)c->err;
    c->err->format_message(c, t->text);
    longjmp(t->out, 1);
}

static inline void jpeg_silent(j_common_ptr c)
{
    (void)c;
}

static inline struct jpeg_error_mgr *jpeg_trap_init(struct jpeg_trap *t)
{
    jpeg_std_error(&t->mgr);
    t->mgr.error_exit = jpeg_on_error;
    t->mgr.output_message = jpeg_silent;
    t->text[0] = 0;
    return &t->mgr;
}

/* *data is libjpeg's to grow and the caller's to free, also on failure. */
static inline mohs_status jpeg_encode(const char *id, const uint8_t *rgb,
                                      uint32_t width, uint32_t height,
                                      int quality, unsigned char **data,
                                      unsigned long *n, struct mohs_error *err)
{
    struct jpeg_compress_struct c;
    struct jpeg_trap t;
    memset(&c, 0, sizeof c);
    c.err = jpeg_trap_init(&t);
    if (setjmp(t.out)) {
        jpeg_destroy_compress(&c);
        return mohs_fail(err, MOHS_E_FORMAT, "%s: %s", id, t.text);
    }
    jpeg_create_compress(&c);
    jpeg_mem_dest(&c, data, n);
    c.image_width = width;
    c.image_height = height;
    c.input_components = 3;
    c.in_color_space = JCS_RGB;
    jpeg_set_defaults(&c);
    jpeg_set_quality(&c, quality, TRUE);
    jpeg_start_compress(&c, TRUE);
    while (c.next_scanline < height) {
        JSAMPROW row = (JSAMPROW)(rgb + (size_t)c.next_scanline * width * 3);
        jpeg_write_scanlines(&c, &row, 1);
    }
    jpeg_finish_compress(&c);
    jpeg_destroy_compress(&c);
    return MOHS_OK;
}

static inline mohs_status jpeg_decode(const char *id, const unsigned char *data,
                                      unsigned long n, uint32_t width,
                                      uint8_t *rgb, struct mohs_error *err)
{
    struct jpeg_decompress_struct d;
    struct jpeg_trap t;
    memset(&d, 0, sizeof d);
    d.err = jpeg_trap_init(&t);
    if (setjmp(t.out)) {
        jpeg_destroy_decompress(&d);
        return mohs_fail(err, MOHS_E_FORMAT, "%s: %s", id, t.text);
    }
    jpeg_create_decompress(&d);
    jpeg_mem_src(&d, data, n);
    jpeg_read_header(&d, TRUE);
    d.out_color_space = JCS_RGB;
    jpeg_start_decompress(&d);
    while (d.output_scanline < d.output_height) {
        JSAMPROW row = rgb + (size_t)d.output_scanline * width * 3;
        jpeg_read_scanlines(&d, &row, 1);
    }
    jpeg_finish_decompress(&d);
    jpeg_destroy_decompress(&d);
    return MOHS_OK;
}

/* `in` and `out` may be the same. */
static inline mohs_status jpeg_round_trip(const char *id, const uint8_t *in,
                                          uint8_t *out, uint32_t width,
                                          uint32_t height, int quality,
                                          struct mohs_error *err)
{
    unsigned char *data = NULL;
    unsigned long n = 0;
    if (width > JPEG_MAX_DIMENSION || height > JPEG_MAX_DIMENSION)
        return mohs_fail(err, MOHS_E_ARG,
                         "%s: %u x %u pixels, JPEG allows %ld a side", id,
                         width, height, (long)JPEG_MAX_DIMENSION);
    mohs_status st =
        jpeg_encode(id, in, width, height, quality, &data, &n, err);
    if (st >= 0)
        st = jpeg_decode(id, data, n, width, out, err);
    free(data);
    return st;
}

#endif
