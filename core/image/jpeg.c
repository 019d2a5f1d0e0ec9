/* SPDX-License-Identifier: MIT */
/*
 * JPEG through libjpeg. Writing is libjpeg's defaults, as Pillow's
 * save(quality=q) uses them. Reading is fed as Pillow feeds it: the source suspends at the
 * end of the data, so a truncated file is an error and not grey pixels, and
 * decoder warnings are ignored.
 */
#include "config.h"

#include "image/codec.h"

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

/* A progressive file may ask for any number of passes over the picture;
 * encoders write about ten. */
enum { SCANS_MAX = 500 };

struct reader {
    struct jpeg_decompress_struct jpeg;
    struct jpeg_error_mgr errors;
    struct jpeg_source_mgr source;
    struct jpeg_progress_mgr progress;
    jmp_buf bail;
    char text[JMSG_LENGTH_MAX];
    uint8_t *row; /* CMYK only */
};

static void on_error(j_common_ptr c)
{
    struct reader *r = c->client_data;
    c->err->format_message(c, r->text);
    longjmp(r->bail, 1);
}

static void on_warning(j_common_ptr c, int level)
{
    (void)c;
    (void)level;
}

static void on_progress(j_common_ptr c)
{
    struct reader *r = c->client_data;
    if (r->jpeg.input_scan_number > SCANS_MAX) {
        snprintf(r->text, sizeof r->text, "more than %d scans", SCANS_MAX);
        longjmp(r->bail, 1);
    }
}

static void source_nop(j_decompress_ptr c)
{
    (void)c;
}

static boolean source_fill(j_decompress_ptr c)
{
    (void)c;
    return FALSE;
}

static void source_skip(j_decompress_ptr c, long n)
{
    struct jpeg_source_mgr *s = c->src;
    if (n <= 0)
        return;
    if ((size_t)n > s->bytes_in_buffer)
        n = (long)s->bytes_in_buffer;
    s->next_input_byte += n;
    s->bytes_in_buffer -= (size_t)n;
}

static void reader_init(struct reader *r, const struct decoding *d)
{
    r->jpeg.err = jpeg_std_error(&r->errors);
    r->jpeg.client_data = r;
    r->errors.error_exit = on_error;
    r->errors.emit_message = on_warning;
    r->source.next_input_byte = d->data;
    r->source.bytes_in_buffer = d->n;
    r->source.init_source = source_nop;
    r->source.fill_input_buffer = source_fill;
    r->source.skip_input_data = source_skip;
    r->source.resync_to_restart = jpeg_resync_to_restart;
    r->source.term_source = source_nop;
    r->progress.progress_monitor = on_progress;
}

static unsigned orientation_of(const struct jpeg_decompress_struct *c)
{
    for (jpeg_saved_marker_ptr m = c->marker_list; m; m = m->next)
        if (m->data_length > 6 && !memcmp(m->data, "Exif\0\0", 6))
            return exif_orientation(m->data + 6, m->data_length - 6);
    return 1;
}

/* Product of two 8-bit fractions, rounded as Pillow does. */
static unsigned mul_255(unsigned a, unsigned b)
{
    unsigned t = a * b + 128;
    return ((t >> 8) + t) >> 8;
}

/* Pillow takes every CMYK JPEG to be stored inverted, as Adobe does, and
 * converts without a colour profile. */
static void row_from_cmyk(const uint8_t *in, uint8_t *rgb, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++, in += 4, rgb += 3) {
        unsigned white = in[3];
        for (int c = 0; c < 3; c++)
            rgb[c] = (uint8_t)(white - mul_255(255u - in[c], white));
    }
}

static void row_from_grey(uint8_t *row, uint32_t n)
{
    for (uint32_t i = n; i-- > 0;)
        memset(row + (size_t)i * 3, row[i], 3);
}

static mohs_status truncated(const struct decoding *d, struct mohs_error *err)
{
    return mohs_fail(err, MOHS_E_FORMAT, "%s: truncated JPEG, %zu bytes",
                     d->name, d->n);
}

static mohs_status read_rows(struct reader *r, struct decoding *d,
                             struct mohs_error *err)
{
    struct jpeg_decompress_struct *c = &r->jpeg;
    uint32_t w = c->output_width;
    for (uint32_t y = 0; y < c->output_height; y++) {
        uint8_t *to = d->out->rgb + (size_t)y * w * 3;
        JSAMPROW row = r->row ? r->row : to;
        if (jpeg_read_scanlines(c, &row, 1) != 1)
            return truncated(d, err);
        if (c->out_color_space == JCS_CMYK)
            row_from_cmyk(row, to, w);
        else if (c->out_color_space == JCS_GRAYSCALE)
            row_from_grey(to, w);
    }
    return MOHS_OK;
}

static mohs_status read_picture(struct reader *r, struct decoding *d,
                                struct mohs_error *err)
{
    struct jpeg_decompress_struct *c = &r->jpeg;
    jpeg_create_decompress(c);
    c->src = &r->source;
    c->progress = &r->progress;
    jpeg_save_markers(c, JPEG_APP0 + 1, 0xffff);
    if (jpeg_read_header(c, TRUE) != JPEG_HEADER_OK)
        return truncated(d, err);
    d->orientation = orientation_of(c);
    switch (c->num_components) {
    case 1: c->out_color_space = JCS_GRAYSCALE; break;
    case 3: c->out_color_space = JCS_RGB; break;
    case 4: c->out_color_space = JCS_CMYK; break;
    default:
        return mohs_fail(err, MOHS_E_FORMAT, "%s: JPEG with %d components",
                         d->name, c->num_components);
    }
    RET_IF_ERR(image_alloc(d->out, c->image_width, c->image_height, d->name,
                           err));
    if (c->out_color_space == JCS_CMYK) {
        r->row = try_calloc(c->image_width, 4, d->name, err);
        if (!r->row)
            return MOHS_E_NOMEM;
    }
    if (!jpeg_start_decompress(c))
        return truncated(d, err);
    return read_rows(r, d, err);
}

mohs_status jpeg_decode(struct decoding *d, struct mohs_error *err)
{
    struct reader *r = xcalloc(1, sizeof *r);
    mohs_status st;
    reader_init(r, d);
    if (setjmp(r->bail))
        st = mohs_fail(err, MOHS_E_FORMAT, "%s: damaged JPEG: %s", d->name,
                       r->text);
    else
        st = read_picture(r, d, err);
    jpeg_destroy_decompress(&r->jpeg);
    free(r->row);
    free(r);
    return st;
}

/* ---- writing ----------------------------------------------------------- */

struct jpeg_job {
    struct jpeg_compress_struct jpeg;
    struct jpeg_error_mgr errors;
    jmp_buf bail;
    char text[JMSG_LENGTH_MAX];
    unsigned char *bytes;
    unsigned long n;
};

static void jpeg_on_error(j_common_ptr c)
{
    struct jpeg_job *j = c->client_data;
    c->err->format_message(c, j->text);
    longjmp(j->bail, 1);
}

static void jpeg_write(struct jpeg_job *j, const struct image *im, int quality)
{
    struct jpeg_compress_struct *c = &j->jpeg;
    jpeg_create_compress(c);
    jpeg_mem_dest(c, &j->bytes, &j->n);
    c->image_width = im->width;
    c->image_height = im->height;
    c->input_components = 3;
    c->in_color_space = JCS_RGB;
    jpeg_set_defaults(c);
    jpeg_set_quality(c, quality, TRUE);
    jpeg_start_compress(c, TRUE);
    for (uint32_t y = 0; y < im->height; y++) {
        JSAMPROW row = im->rgb + (size_t)y * im->width * 3;
        jpeg_write_scanlines(c, &row, 1);
    }
    jpeg_finish_compress(c);
}

mohs_status image_encode_jpeg(const struct image *im, int quality,
                              struct str *out, struct mohs_error *err)
{
    volatile mohs_status st = MOHS_OK;
    if (quality < 1 || quality > 100)
        return mohs_fail(err, MOHS_E_ARG, "jpeg: quality %d is outside 1..100",
                         quality);
    if (!im->width || !im->height || im->width > JPEG_MAX_DIMENSION ||
        im->height > JPEG_MAX_DIMENSION)
        return mohs_fail(err, MOHS_E_ARG, "jpeg: size %u x %u is outside 1..%ld",
                         im->width, im->height, JPEG_MAX_DIMENSION);
    struct jpeg_job *j = xcalloc(1, sizeof *j);
    j->jpeg.err = jpeg_std_error(&j->errors);
    j->jpeg.client_data = j;
    j->errors.error_exit = jpeg_on_error;
    if (setjmp(j->bail))
        st = mohs_fail(err, MOHS_E_IO, "jpeg: %s", j->text);
    else
        jpeg_write(j, im, quality);
    if (st >= 0)
        str_addn(out, (const char *)j->bytes, j->n);
    jpeg_destroy_compress(&j->jpeg);
    free(j->bytes);
    free(j);
    return st;
}

#define TEXT_OF(x) #x
#define TEXT(x) TEXT_OF(x)

void jpeg_version(struct str *out)
{
#ifdef LIBJPEG_TURBO_VERSION
    str_add(out, "libjpeg-turbo " TEXT(LIBJPEG_TURBO_VERSION));
#else
    str_addf(out, "libjpeg %d", JPEG_LIB_VERSION);
#endif
}
