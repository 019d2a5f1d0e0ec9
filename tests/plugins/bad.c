/* SPDX-License-Identifier: MIT */
/* One way to be wrong per build: -DBAD_<something>. Without any, healthy. */
#include <stdlib.h>

#include <mohs/plugin.h>

#ifndef ID
#define ID "t_bad"
#endif

struct params {
    float x;
};

#ifdef BAD_TABLE
#define OFFSET 4096
#else
#define OFFSET 0
#endif
static const struct mohs_param table[] = {
    { "x", "a number", MOHS_P_FLOAT, OFFSET, 1, 0, 2, NULL, NULL },
};

#ifdef BAD_UNDEFINED
void nobody_defines_this(void);
#endif

static mohs_status create(const struct mohs_host *host, const void *params,
                          void **self, struct mohs_error *err)
{
    (void)host;
    (void)params;
    (void)err;
    *self = NULL;
#ifdef BAD_UNDEFINED
    nobody_defines_this();
#endif
    return MOHS_OK;
}

static mohs_status apply(void *self, const struct mohs_images *in,
                         struct mohs_images *out, uint32_t severity,
                         uint64_t seed, struct mohs_error *err)
{
    size_t n = (size_t)in->n * in->height * in->width * 3;
    (void)self;
    (void)severity;
    (void)seed;
    (void)err;
    for (size_t i = 0; i < n; i++)
        out->rgb[i] = (uint8_t)(255 - in->rgb[i]);
    return MOHS_OK;
}

static const struct mohs_corruption_ops ops = {
    .size = sizeof ops, .create = create, .destroy = free, .apply = apply
};
static const struct mohs_item item = { .size = sizeof item,
                                       .param_stride = sizeof *table,
                                       .kind = MOHS_KIND_CORRUPTION,
                                       .id = ID,
                                       .summary = "a test",
                                       .params = table,
                                       .n_params = 1,
                                       .params_size = sizeof(struct params),
                                       .ops = &ops };
static const struct mohs_item *const items[] = { &item, NULL };

static mohs_status init(const struct mohs_host *host, struct mohs_error *err)
{
    (void)host;
#ifdef BAD_INIT
    return mohs_fail(err, MOHS_E_UNSUPPORTED, "the moon is not full");
#else
    (void)err;
    return MOHS_OK;
#endif
}

static const struct mohs_plugin plugin = {
#ifdef BAD_SHORT
    .size = 16,
#else
    .size = sizeof plugin,
#endif
#ifdef BAD_ABI
    .abi = 7u << 16,
#else
    .abi = MOHS_ABI,
#endif
#ifndef BAD_NULL
    .name = "bad",
#endif
    .id = "test." ID,
    .version = "1.0",
    .license = "MIT",
    .items = items,
    .init = init
};

#ifdef BAD_ENTRY
MOHS_EXPORT const struct mohs_plugin *mohs_plugin_v7(uint32_t host_abi);
const struct mohs_plugin *mohs_plugin_v7(uint32_t host_abi)
#else
const struct mohs_plugin *mohs_plugin_v1(uint32_t host_abi)
#endif
{
#ifdef BAD_NOTHING
    return host_abi >> 16 == 99 ? &plugin : NULL;
#else
    (void)host_abi;
    return &plugin;
#endif
}
