/* SPDX-License-Identifier: MIT */
/*
 * JPEG compression of ImageNet-C: libjpeg as Pillow calls it (4:2:0, its
 * standard tables), encoded and decoded in memory. Runs on the host: the
 * codec is the definition.
 */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

#include <mohs/plugin.h>

static const int quality[] = { 25, 18, 15, 10, 7 };

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

static mohs_status encode(const uint8_t *rgb, uint32_t width, uint32_t height, int q,
                          unsigned char **data, unsigned long *n, struct mohs_error *err)
{
    struct jpeg_compress_struct c;
    struct trap t;
    memset(&c, 0, sizeof c);
    c.err = jpeg_std_error(&t.mgr);
    t.mgr.error_exit = on_error;
    if (setjmp(t.out)) {
        jpeg_destroy_compress(&c);
        return mohs_fail(err, MOHS_E_FORMAT, "jpeg_compression: %s", t.text);
    }
    jpeg_create_compress(&c);
    jpeg_mem_dest(&c, data, n);
    c.image_width = width;
    c.image_height = height;
    c.input_components = 3;
    c.in_color_space = JCS_RGB;
    jpeg_set_defaults(&c);
    jpeg_set_quality(&c, q, TRUE);
    jpeg_start_compress(&c, TRUE);
    while (c.next_scanline < height) {
        JSAMPROW row = (JSAMPROW)(rgb + (size_t)c.next_scanline * width * 3);
        jpeg_write_scanlines(&c, &row, 1);
    }
    jpeg_finish_compress(&c);
    jpeg_destroy_compress(&c);
    return MOHS_OK;
}

static mohs_status decode(const unsigned char *data, unsigned long n, uint32_t width,
                          uint8_t *rgb, struct mohs_error *err)
{
    struct jpeg_decompress_struct d;
    struct trap t;
    memset(&d, 0, sizeof d);
    d.err = jpeg_std_error(&t.mgr);
    t.mgr.error_exit = on_error;
    if (setjmp(t.out)) {
        jpeg_destroy_decompress(&d);
        return mohs_fail(err, MOHS_E_FORMAT, "jpeg_compression: %s", t.text);
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

static mohs_status create(const struct mohs_host *host, const void *params, void **self,
                          struct mohs_error *err)
{
    (void)params;
    (void)err;
    *self = (void *)host;
    return MOHS_OK;
}

static void destroy(void *self)
{
    (void)self;
}

static mohs_status apply(void *self, const struct mohs_images *in,
                         struct mohs_images *out, uint32_t severity, uint64_t seed,
                         struct mohs_error *err)
{
    size_t bytes = (size_t)in->height * in->width * 3;
    (void)self;
    (void)seed;
    if (severity < 1 || severity > 5)
        return mohs_fail(err, MOHS_E_ARG, "jpeg_compression: severity %u is outside 1..5",
                         severity);
    if (in->width > JPEG_MAX_DIMENSION || in->height > JPEG_MAX_DIMENSION)
        return mohs_fail(err, MOHS_E_ARG,
                         "jpeg_compression: %u x %u pixels, JPEG allows %ld a side",
                         in->width, in->height, JPEG_MAX_DIMENSION);
    for (uint32_t i = 0; i < in->n; i++) {
        unsigned char *data = NULL;
        unsigned long n = 0;
        mohs_status st = encode(in->rgb + i * bytes, in->width, in->height,
                                quality[severity - 1], &data, &n, err);
        if (st >= 0)
            st = decode(data, n, in->width, out->rgb + i * bytes, err);
        free(data);
        if (st < 0)
            return st;
    }
    return MOHS_OK;
}

static const struct mohs_corruption_ops ops = {
    .size = sizeof ops,
    .create = create,
    .destroy = destroy,
    .apply = apply,
};

static const struct mohs_item item = {
    .size = sizeof item,
    .param_stride = sizeof(struct mohs_param),
    .kind = MOHS_KIND_CORRUPTION,
    .id = "jpeg_compression",
    .summary = "JPEG at low quality (ImageNet-C)",
    .ops = &ops,
};

static const struct mohs_item *const items[] = { &item, NULL };
static const struct mohs_plugin plugin = {
    .size = sizeof plugin, .abi = MOHS_ABI, .id = "mohs.jpeg_compression",
    .name = "JPEG compression", .version = "1.0", .license = "MIT", .items = items,
};

const struct mohs_plugin *mohs_plugin_v1(uint32_t host_abi)
{
    (void)host_abi;
    return &plugin;
}
