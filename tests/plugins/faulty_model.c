/* SPDX-License-Identifier: MIT */
/* Image towers of one patch each, broken in one way each. */
#include "config.h"

#include <mohs/plugin.h>

#include "faulty.h"

enum { FINE, SHAPE, TWICE, UNUSED, NO_TAP, CONSTANT, MISSING, BLIND,
       UNREADY };
enum { WIDTH = 12, SIZE = 16, PATCH = 8 };

struct params {
    int32_t mode;
};
static struct params modes[16];

static const char *const taps[] = { "image.patch", NULL };
static const char *const more_taps[] = { "image.patch", "image.block.7", NULL };
static struct mohs_model_info info[3] = {
    { .size = sizeof info[0],
      .towers = MOHS_TOWER_IMAGE,
      .image_height = SIZE,
      .image_width = SIZE,
      .embed_dim = WIDTH,
      .logit_scale = 10,
      .taps = taps },
    { .size = sizeof info[0],
      .towers = MOHS_TOWER_IMAGE,
      .image_height = SIZE,
      .image_width = SIZE,
      .embed_dim = WIDTH,
      .logit_scale = 10,
      .taps = more_taps },
    { .size = sizeof info[0],
      .towers = MOHS_TOWER_IMAGE,
      .image_height = SIZE,
      .image_width = SIZE,
      .embed_dim = WIDTH,
      .logit_scale = 10,
      .taps = taps,
      .preprocessor = "{\"size\": 0}" },
};

static int32_t probe(const struct mohs_host *host, const struct mohs_weights *w)
{
    (void)host;
    (void)w;
    return 50;
}

static int32_t blind(const struct mohs_host *host, const struct mohs_weights *w)
{
    (void)host;
    (void)w;
    return 0;
}

static mohs_status create(const struct mohs_host *host, const void *params,
                          const struct mohs_weights *w, void **self,
                          struct mohs_error *err)
{
    const struct params *p = params;
    (void)host;
    (void)w;
    (void)err;
    modes[p->mode] = *p;
    *self = &modes[p->mode];
    return MOHS_OK;
}

static void destroy(void *self)
{
    (void)self;
}

static const struct mohs_model_info *get_info(void *self)
{
    int mode = ((struct params *)self)->mode;
    return &info[mode == NO_TAP ? 1 : mode == UNREADY ? 2 : 0];
}

static mohs_status describe(void *self,
                            mohs_status (*put)(void *user,
                                               const struct mohs_weight_spec *,
                                               struct mohs_error *),
                            void *user, struct mohs_error *err)
{
    int mode = ((struct params *)self)->mode;
    struct mohs_weight_spec s = { .size = sizeof s,
                                  .name = "patch",
                                  .n_dims = 4,
                                  .dims = { WIDTH, 3, PATCH, PATCH },
                                  .scale = 0.1f };
    mohs_status st = put(user, &s, err);
    if (st >= 0 && mode == TWICE)
        st = put(user, &s, err);
    s.name = "extra";
    s.n_dims = 1;
    if (st >= 0 && mode == UNUSED)
        st = put(user, &s, err);
    return st;
}

static mohs_status build(void *self, const struct mohs_graph_api *api,
                         struct mohs_graph *g, uint32_t tower,
                         const struct mohs_tower_inputs *in,
                         struct mohs_tensor **out, struct mohs_error *err)
{
    int mode = ((struct params *)self)->mode;
    uint32_t dims[] = { WIDTH, 3, PATCH, PATCH };
    (void)tower;
    (void)err;
    struct mohs_tensor *w =
        api->weight(g, mode == MISSING ? "ptach" : "patch", 4, dims);
    struct mohs_tensor *x = mohs_patch_embed(api, g, in->pixels, w, NULL);
    x = api->tap(g, "image.patch", x);
    if (mode == CONSTANT) {
        struct mohs_attr zero[] = { { "mul", 0 }, { "add", 1 } };
        x = api->op(g, "affine", &x, 1, zero, 2);
    }
    *out = mode == SHAPE ? x : mohs_take(api, g, x, NULL);
    return MOHS_OK;
}

#define OPS(name, p)                                                  \
    static const struct mohs_model_ops name = { .size = sizeof name,  \
                                                .probe = p,           \
                                                .create = create,     \
                                                .destroy = destroy,   \
                                                .info = get_info,     \
                                                .describe = describe, \
                                                .build = build };
OPS(ops, probe)
OPS(blind_ops, blind)

#define MODEL(name, m, o) FAULTY(name, MOHS_KIND_MODEL, m, o)
MODEL(g_fine, FINE, ops)
MODEL(g_shape, SHAPE, ops)
MODEL(g_twice, TWICE, ops)
MODEL(g_unused, UNUSED, ops)
MODEL(g_no_tap, NO_TAP, ops)
MODEL(g_constant, CONSTANT, ops)
MODEL(g_missing, MISSING, ops)
MODEL(g_blind, BLIND, blind_ops)
MODEL(g_unready, UNREADY, ops)

static const struct mohs_item *const items[] = {
    &g_fine,     &g_shape,   &g_twice, &g_unused, &g_no_tap,
    &g_constant, &g_missing, &g_blind, &g_unready, NULL
};
static const struct mohs_plugin plugin = { .size = sizeof plugin,
                                           .abi = MOHS_ABI,
                                           .id = "test.faulty_model",
                                           .name = "faulty_model",
                                           .version = "1.0",
                                           .license = "MIT",
                                           .items = items };

const struct mohs_plugin *mohs_plugin_v1(uint32_t host_abi)
{
    (void)host_abi;
    return &plugin;
}
