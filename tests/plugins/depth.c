/* SPDX-License-Identifier: MIT */
/* A corruption that shows its depth: 1 in 255 of a unit as grey. */
#include <mohs/plugin.h>

static mohs_status create(const struct mohs_host *host, const void *params,
                          void **self, struct mohs_error *err)
{
    (void)host;
    (void)params;
    (void)err;
    *self = NULL;
    return MOHS_OK;
}

static void destroy(void *self)
{
    (void)self;
}

static mohs_status apply(void *self, const struct mohs_images *in,
                         struct mohs_images *out, uint32_t severity,
                         uint64_t seed, struct mohs_error *err)
{
    size_t n = (size_t)in->n * in->height * in->width;
    (void)self;
    (void)severity;
    (void)seed;
    if (!in->depth)
        return mohs_fail(err, MOHS_E_ARG, "t_depth: no depth");
    for (size_t i = 0; i < n; i++)
        for (int c = 0; c < 3; c++)
            out->rgb[3 * i + c] = (uint8_t)in->depth[i];
    return MOHS_OK;
}

static const struct mohs_corruption_ops ops = { .size = sizeof ops,
                                                .flags = MOHS_CORRUPTION_DEPTH,
                                                .create = create,
                                                .destroy = destroy,
                                                .apply = apply };
static const struct mohs_item item = { .size = sizeof item,
                                       .param_stride =
                                           sizeof(struct mohs_param),
                                       .kind = MOHS_KIND_CORRUPTION,
                                       .id = "t_depth",
                                       .summary = "depth as grey",
                                       .ops = &ops };
static const struct mohs_item *const items[] = { &item, NULL };
static const struct mohs_plugin plugin = { .size = sizeof plugin,
                                           .abi = MOHS_ABI,
                                           .id = "test.depth",
                                           .name = "depth",
                                           .version = "1.0",
                                           .license = "MIT",
                                           .items = items };

const struct mohs_plugin *mohs_plugin_v1(uint32_t host_abi)
{
    (void)host_abi;
    return &plugin;
}
