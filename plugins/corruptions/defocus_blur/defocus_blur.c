/* SPDX-License-Identifier: MIT */
/*
 * Defocus blur of ImageNet-C: correlation with a disk of radius r, its edge
 * softened by a small Gaussian; borders mirrored (reflect-101). The disk lies
 * on a grid of half-width max(8, r); the Gaussian is 3x3 up to r = 8, else
 * 5x5. Kernel and reference round differently by at most 1.
 */
#include "../common/device.h"

static const unsigned char text[] = {
#include "defocus_blur.clh"
};
static const struct device_source source = { "defocus_blur", text, sizeof text };
static const struct {
    int radius;
    double alias;
} level[] = { { 3, .1 }, { 4, .5 }, { 6, .5 }, { 8, .5 }, { 10, .5 } };
enum { HALF_MAX = 10, SIDE_MAX = 2 * HALF_MAX + 1 };

struct disk {
    int half, side;
    double weight[SIDE_MAX * SIDE_MAX];
};

static int mirror(int i, int n)
{
    if (n == 1)
        return 0;
    int period = 2 * n - 2;
    i %= period;
    i = i < 0 ? i + period : i;
    return i < n ? i : period - i;
}

/* One pass of the small Gaussian along rows (step 1) or columns (side). */
static void soften(double *w, int side, const double *g, int reach, int rows)
{
    double line[SIDE_MAX];
    for (int j = 0; j < side; j++) {
        for (int i = 0; i < side; i++) {
            line[i] = 0;
            for (int k = -reach; k <= reach; k++) {
                int at = mirror(i + k, side);
                line[i] += g[k + reach] * w[rows ? j * side + at : at * side + j];
            }
        }
        for (int i = 0; i < side; i++)
            w[rows ? j * side + i : i * side + j] = line[i];
    }
}

static void disk_make(int radius, double alias, struct disk *d)
{
    int reach = radius <= 8 ? 1 : 2;
    double g[5], sum = 0, total = 0;
    d->half = radius <= 8 ? 8 : radius;
    d->side = 2 * d->half + 1;
    for (int y = -d->half; y <= d->half; y++)
        for (int x = -d->half; x <= d->half; x++) {
            double in = x * x + y * y <= radius * radius;
            d->weight[(y + d->half) * d->side + x + d->half] = in;
            total += in;
        }
    for (int i = 0; i < d->side * d->side; i++)
        d->weight[i] /= total;
    for (int k = -reach; k <= reach; k++)
        sum += g[k + reach] = exp(-k * k / (2 * alias * alias));
    for (int k = 0; k <= 2 * reach; k++)
        g[k] /= sum;
    soften(d->weight, d->side, g, reach, 1);
    soften(d->weight, d->side, g, reach, 0);
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

static mohs_status upload(struct device_call *d, const struct disk *k,
                          struct mohs_buffer **weight, struct mohs_buffer **rows,
                          struct mohs_error *err)
{
    float w[SIDE_MAX * SIDE_MAX];
    int32_t span[2 * SIDE_MAX];
    for (int j = 0; j < k->side; j++) {
        span[2 * j] = k->side;
        span[2 * j + 1] = -1;
        for (int i = 0; i < k->side; i++) {
            float x = (float)k->weight[j * k->side + i];
            w[j * k->side + i] = x;
            if (x > 0 && i < span[2 * j])
                span[2 * j] = i;
            if (x > 0)
                span[2 * j + 1] = i;
        }
    }
    size_t wn = (size_t)(k->side * k->side) * sizeof *w, sn = 2 * (size_t)k->side * sizeof *span;
    mohs_status st = d->api->buffer_new(d->host, wn, weight, err);
    if (st >= 0)
        st = d->api->buffer_new(d->host, sn, rows, err);
    if (st >= 0)
        st = d->api->write(*weight, 0, w, wn, err);
    return st < 0 ? st : d->api->write(*rows, 0, span, sn, err);
}

static mohs_status apply(void *self, const struct mohs_images *in,
                         struct mohs_images *out, uint32_t severity, uint64_t seed,
                         struct mohs_error *err)
{
    struct device_call d = { .api = NULL };
    struct mohs_buffer *weight = NULL, *rows = NULL;
    struct disk k;
    mohs_status st = bad_severity("defocus_blur", severity, err);
    (void)seed;
    if (st >= 0)
        st = device_begin(&d, self, &source, in, err);
    if (st >= 0) {
        disk_make(level[severity - 1].radius, level[severity - 1].alias, &k);
        st = upload(&d, &k, &weight, &rows, err);
    }
    if (st >= 0) {
        size_t global[] = { in->width, in->height, in->n };
        struct mohs_arg args[] = { mohs_arg_buffer(weight), mohs_arg_buffer(rows),
                                   mohs_arg_i32(k.half), mohs_arg_u32(in->width),
                                   mohs_arg_u32(in->height) };
        st = device_run(&d, "defocus_blur", 3, global, args, 5, err);
    }
    if (st >= 0)
        st = device_fetch(&d, out, err);
    if (d.api) {
        d.api->buffer_unref(weight);
        d.api->buffer_unref(rows);
    }
    device_end(&d);
    return st;
}

static mohs_status reference(void *self, const struct mohs_images *in,
                             struct mohs_images *out, uint32_t severity, uint64_t seed,
                             struct mohs_error *err)
{
    int w = (int)in->width, h = (int)in->height;
    struct disk k;
    mohs_status st = bad_severity("defocus_blur", severity, err);
    (void)self;
    (void)seed;
    if (st < 0)
        return st;
    disk_make(level[severity - 1].radius, level[severity - 1].alias, &k);
    for (uint32_t n = 0; n < in->n; n++) {
        size_t first = (size_t)n * in->height * in->width * 3;
        for (int y = 0; y < h; y++)
            for (int x = 0; x < w; x++)
                for (int c = 0; c < 3; c++) {
                    double s = 0;
                    for (int j = 0; j < k.side; j++)
                        for (int i = 0; i < k.side; i++) {
                            int px = mirror(x + i - k.half, w), py = mirror(y + j - k.half, h);
                            s += k.weight[j * k.side + i] *
                                 in->rgb[first + 3 * ((size_t)py * in->width + (size_t)px) +
                                         (size_t)c];
                        }
                    out->rgb[first + 3 * ((size_t)y * in->width + (size_t)x) + (size_t)c] =
                        to_byte(s / 255);
                }
    }
    return st;
}

static const struct mohs_reference_api reference_api = { sizeof reference_api, reference };

static const void *get_extension(void *self, const char *id)
{
    (void)self;
    return strcmp(id, MOHS_EXT_REFERENCE) ? NULL : &reference_api;
}

static const struct mohs_corruption_ops ops = {
    .size = sizeof ops,
    .create = create,
    .destroy = destroy,
    .apply = apply,
    .get_extension = get_extension,
};

static const struct mohs_item item = {
    .size = sizeof item,
    .param_stride = sizeof(struct mohs_param),
    .kind = MOHS_KIND_CORRUPTION,
    .id = "defocus_blur",
    .summary = "out of focus: correlation with a soft disk (ImageNet-C)",
    .ops = &ops,
};

static const struct mohs_item *const items[] = { &item, NULL };
static const struct mohs_plugin plugin = {
    .size = sizeof plugin, .abi = MOHS_ABI, .id = "mohs.defocus_blur",
    .name = "Defocus blur", .version = "1.0", .license = "MIT", .items = items,
};

const struct mohs_plugin *mohs_plugin_v1(uint32_t host_abi)
{
    (void)host_abi;
    return &plugin;
}
