/* SPDX-License-Identifier: MIT */
/*
 * JPEG through libjpeg with its defaults, which are Pillow's: accurate
 * integer DCT, fancy upsampling. CMYK becomes RGB by Pillow's formula.
 */
#include "config.h"

#include "image/image.h"

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

#include "image/codec.h"

struct trap {
    struct jpeg_error_mgr mgr;
    jmp_buf out;
    char text[JMSG_LENGTH_MAX];
};

static void on_error(j_common_ptr c)
{
    struct trap *t = (struct trap *)c->err;
    c->err->format_message(c, t->text);
    longjmp(t->out, 1);
}

static void on_message(j_common_ptr c, int level)
{
    // Pillow takes truncated data as an error; libjpeg only warns
    if (level < 0 && c->err->msg_code == 120 /* JWRN_HIT_MARKER */)
        c->err->num_warnings++;
}

static void quiet(j_common_ptr c)
{
    (void)c;
}

static uint8_t mul_cut(int x, int not_k)
{
    int a = x * not_k + 128;
    a = ((a >> 8) + a) >> 8;
    int u = not_k - a;
    return (uint8_t)(u < 0 ? 0 : u);
}

static void cmyk_row(const uint8_t *in, uint32_t width, bool inverted, uint8_t *out)
{
    for (uint32_t x = 0; x < width; x++, in += 4, out += 3) {
        int k = inverted ? 255 - in[3] : in[3];
        for (int c = 0; c < 3; c++)
            out[c] = mul_cut(inverted ? 255 - in[c] : in[c], 255 - k);
    }
}

/* APP1 "Exif\0\0" of the saved markers. */
static int orientation_of(const struct jpeg_decompress_struct *d)
{
    for (jpeg_saved_marker_ptr m = d->marker_list; m; m = m->next)
        if (m->marker == JPEG_APP0 + 1 && m->data_length > 6 &&
            !memcmp(m->data, "Exif\0\0", 6))
            return exif_orientation(m->data + 6, m->data_length - 6);
    return 1;
}

static mohs_status scan(struct jpeg_decompress_struct *d, uint8_t *row,
                        struct image *out)
{
    bool cmyk = d->out_color_space == JCS_CMYK;
    while (d->output_scanline < d->output_height) {
        uint8_t *to = out->rgb + (size_t)d->output_scanline * out->width * 3;
        JSAMPROW p = cmyk ? row : to;
        jpeg_read_scanlines(d, &p, 1);
        if (cmyk)
            cmyk_row(row, out->width, d->saw_Adobe_marker, to);
    }
    return MOHS_OK;
}

mohs_status jpeg_decode(const uint8_t *data, size_t n, const char *name,
                        struct image *out, struct mohs_error *err)
{
    struct jpeg_decompress_struct d;
    struct trap t;
    uint8_t *volatile row = NULL;
    volatile mohs_status st = MOHS_OK;
    memset(&d, 0, sizeof d);
    d.err = jpeg_std_error(&t.mgr);
    t.mgr.error_exit = on_error;
    t.mgr.emit_message = on_message;
    t.mgr.output_message = quiet;
    if (setjmp(t.out)) {
        st = mohs_fail(err, MOHS_E_FORMAT, "%s: %s", name, t.text);
        goto out;
    }
    jpeg_create_decompress(&d);
    jpeg_save_markers(&d, JPEG_APP0 + 1, 0xFFFF);
    jpeg_mem_src(&d, data, n);
    jpeg_read_header(&d, TRUE);
    bool cmyk = d.jpeg_color_space == JCS_CMYK || d.jpeg_color_space == JCS_YCCK;
    d.out_color_space = cmyk ? JCS_CMYK : JCS_RGB;
    st = image_alloc(d.image_width, d.image_height, name, out, err);
    if (st < 0)
        goto out;
    if (cmyk)
        row = xmalloc((size_t)d.image_width * 4);
    jpeg_start_decompress(&d);
    scan(&d, row, out);
    if (d.err->num_warnings)
        st = mohs_fail(err, MOHS_E_FORMAT, "%s: truncated JPEG", name);
    else
        st = orientation_of(&d);
out:
    jpeg_destroy_decompress(&d);
    free(row);
    if (st < 0)
        image_free(out);
    return st;
}

mohs_status image_encode_jpeg(const struct image *im, int quality,
                              struct str *out, struct mohs_error *err)
{
    struct jpeg_compress_struct c;
    struct trap t;
    unsigned char *volatile mem = NULL;
    unsigned long len = 0;
    volatile mohs_status st = MOHS_OK;
    if (quality < 1 || quality > 100)
        return mohs_fail(err, MOHS_E_ARG, "jpeg: quality %d is outside 1..100", quality);
    memset(&c, 0, sizeof c);
    c.err = jpeg_std_error(&t.mgr);
    t.mgr.error_exit = on_error;
    t.mgr.output_message = quiet;
    if (setjmp(t.out)) {
        st = mohs_fail(err, MOHS_E_FORMAT, "jpeg: %s", t.text);
        goto out;
    }
    jpeg_create_compress(&c);
    jpeg_mem_dest(&c, (unsigned char **)&mem, &len);
    c.image_width = im->width;
    c.image_height = im->height;
    c.input_components = 3;
    c.in_color_space = JCS_RGB;
    jpeg_set_defaults(&c);
    jpeg_set_quality(&c, quality, TRUE);
    jpeg_start_compress(&c, TRUE);
    while (c.next_scanline < c.image_height) {
        JSAMPROW p = im->rgb + (size_t)c.next_scanline * im->width * 3;
        jpeg_write_scanlines(&c, &p, 1);
    }
    jpeg_finish_compress(&c);
    str_addn(out, (char *)mem, len);
out:
    jpeg_destroy_compress(&c);
    free(mem);
    return st;
}
