/* SPDX-License-Identifier: MIT */
/*
 * Gaussian noise of ImageNet-C (Hendrycks & Dietterich 2019): x + N(0, c) on
 * pixels in 0..1, c by severity. Kernel and reference draw the same uniforms;
 * their normals differ by float rounding, so bytes differ by at most 1.
 */
#include "../common/device.h"

static const unsigned char text[] = {
#include "gaussian_noise.clh"
};
static const struct device_source source = { "gaussian_noise", text, sizeof text };
static const float sigma[] = { .08f, .12f, .18f, .26f, .38f };

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
    uint32_t values = in->height * in->width * 3;
    mohs_status st = bad_severity("gaussian_noise", severity, err);
    if (st >= 0)
        st = device_begin(&d, self, &source, in, err);
    if (st >= 0) {
        size_t global[] = { values, in->n };
        struct mohs_arg args[] = { mohs_arg_buffer(d.keys), mohs_arg_u64(seed),
                                   mohs_arg_f32(sigma[severity - 1]),
                                   mohs_arg_u32(values) };
        st = device_run(&d, "gaussian_noise", 2, global, args, 4, err);
    }
    if (st >= 0)
        st = device_fetch(&d, out, err);
    device_end(&d);
    return st;
}

static mohs_status reference(void *self, const struct mohs_images *in,
                             struct mohs_images *out, uint32_t severity, uint64_t seed,
                             struct mohs_error *err)
{
    uint32_t values = in->height * in->width * 3;
    mohs_status st = bad_severity("gaussian_noise", severity, err);
    (void)self;
    for (uint32_t n = 0; st >= 0 && n < in->n; n++)
        for (uint32_t i = 0; i < values; i++) {
            size_t at = (size_t)n * values + i;
            out->rgb[at] = to_byte(in->rgb[at] / 255.0 +
                                   (double)sigma[severity - 1] *
                                       mohs_rng_normal(seed, in->key[n], i));
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
    .flags = MOHS_CORRUPTION_STOCHASTIC,
    .create = create,
    .destroy = destroy,
    .apply = apply,
    .get_extension = get_extension,
};

static const struct mohs_item item = {
    .size = sizeof item,
    .param_stride = sizeof(struct mohs_param),
    .kind = MOHS_KIND_CORRUPTION,
    .id = "gaussian_noise",
    .summary = "additive Gaussian noise (ImageNet-C)",
    .ops = &ops,
};

static const struct mohs_item *const items[] = { &item, NULL };
static const struct mohs_plugin plugin = {
    .size = sizeof plugin, .abi = MOHS_ABI, .id = "mohs.gaussian_noise",
    .name = "Gaussian noise", .version = "1.0", .license = "MIT", .items = items,
};

const struct mohs_plugin *mohs_plugin_v1(uint32_t host_abi)
{
    (void)host_abi;
    return &plugin;
}
