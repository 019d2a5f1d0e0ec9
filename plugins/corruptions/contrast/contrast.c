/* SPDX-License-Identifier: MIT */
/*
 * Contrast of ImageNet-C: each channel is drawn towards its mean over the
 * picture, (x - mean) c + mean. Kernel and reference round differently by at
 * most 1.
 */
#include "../common/device.h"

static const unsigned char text[] = {
#include "contrast.clh"
};
static const struct device_source source = { "contrast", text, sizeof text };
static const float factor[] = { .4f, .3f, .2f, .1f, .05f };

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
    struct device_call d = { .api = NULL };
    struct mohs_buffer *sum = NULL;
    uint32_t pixels = in->height * in->width;
    mohs_status st = bad_severity("contrast", severity, err);
    (void)seed;
    if (st >= 0)
        st = device_begin(&d, self, &source, in, err);
    if (st >= 0)
        st = d.api->buffer_new(self, (size_t)in->n * 3 * sizeof(uint64_t), &sum, err);
    if (st >= 0) {
        size_t global[] = { 3, in->n };
        struct mohs_arg args[] = { mohs_arg_buffer(sum), mohs_arg_u32(pixels) };
        st = device_run(&d, "contrast_sum", 2, global, args, 2, err);
    }
    if (st >= 0) {
        size_t global[] = { (size_t)pixels * 3, in->n };
        struct mohs_arg args[] = { mohs_arg_buffer(sum), mohs_arg_u32(pixels),
                                   mohs_arg_f32(factor[severity - 1]) };
        st = device_run(&d, "contrast_apply", 2, global, args, 3, err);
    }
    if (st >= 0)
        st = device_fetch(&d, out, err);
    if (d.api)
        d.api->buffer_unref(sum);
    device_end(&d);
    return st;
}

static mohs_status reference(void *self, const struct mohs_images *in,
                             struct mohs_images *out, uint32_t severity, uint64_t seed,
                             struct mohs_error *err)
{
    uint32_t pixels = in->height * in->width;
    mohs_status st = bad_severity("contrast", severity, err);
    (void)self;
    (void)seed;
    for (uint32_t n = 0; st >= 0 && n < in->n; n++)
        for (uint32_t c = 0; c < 3; c++) {
            size_t first = (size_t)n * pixels * 3 + c;
            double mean = 0, k = factor[severity - 1];
            for (uint32_t i = 0; i < pixels; i++)
                mean += in->rgb[first + 3 * (size_t)i];
            mean /= pixels;
            for (uint32_t i = 0; i < pixels; i++) {
                size_t at = first + 3 * (size_t)i;
                out->rgb[at] = to_byte(((in->rgb[at] - mean) * k + mean) / 255);
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
    .id = "contrast",
    .summary = "less contrast, towards the mean of each channel (ImageNet-C)",
    .ops = &ops,
};

static const struct mohs_item *const items[] = { &item, NULL };
static const struct mohs_plugin plugin = {
    .size = sizeof plugin, .abi = MOHS_ABI, .id = "mohs.contrast", .name = "Contrast",
    .version = "1.0", .license = "MIT", .items = items,
};

const struct mohs_plugin *mohs_plugin_v1(uint32_t host_abi)
{
    (void)host_abi;
    return &plugin;
}
