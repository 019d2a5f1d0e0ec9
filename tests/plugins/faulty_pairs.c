/* SPDX-License-Identifier: MIT */
/* Two tiny towers with a matching head each, broken in one way each. */
#include "config.h"

#include <string.h>

#include <mohs/ext/pair_scores.h>
#include <mohs/plugin.h>

#include "faulty.h"

enum { FINE, MANY, MATCH, TAP, SHAPE, BLIND, DEAF, TAIL, UNUSED, MIX };
enum { WIDTH = 12, SIZE = 16, PATCH = 8, WORDS = 40, CONTEXT = 8 };

struct params {
    int32_t mode;
};
static struct params modes[16];

static const char *const taps[] = { "image.patch", "text.token", NULL };
static const struct mohs_model_info info = {
    .size = sizeof info,
    .flags = MOHS_MODEL_CAUSAL_TEXT,
    .towers = MOHS_TOWER_IMAGE | MOHS_TOWER_TEXT,
    .image_height = SIZE,
    .image_width = SIZE,
    .context_length = CONTEXT,
    .vocab_size = WORDS,
    .embed_dim = WIDTH,
    .logit_scale = 10,
    .taps = taps,
};

static int mode_of(void *self)
{
    return ((struct params *)self)->mode;
}

static int32_t probe(const struct mohs_host *host, const struct mohs_weights *w)
{
    (void)host;
    (void)w;
    return 50;
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
    (void)self;
    return &info;
}

typedef mohs_status (*put_fn)(void *user, const struct mohs_weight_spec *,
                              struct mohs_error *);

static mohs_status list(put_fn put, void *user, const char *name, uint32_t n,
                        const uint32_t *dims, struct mohs_error *err)
{
    struct mohs_weight_spec s = { .size = sizeof s, .name = name, .n_dims = n,
                                  .scale = 0.5f };
    memcpy(s.dims, dims, n * sizeof *dims);
    return put(user, &s, err);
}

static const uint32_t patch[] = { WIDTH, 3, PATCH, PATCH };
static const uint32_t words[] = { WORDS, WIDTH }, head[] = { 2, WIDTH };

static mohs_status describe(void *self, put_fn put, void *user,
                            struct mohs_error *err)
{
    (void)self;
    mohs_status st = list(put, user, "patch", 4, patch, err);
    return st < 0 ? st : list(put, user, "words", 2, words, err);
}

/* Word number 1 of each text [n, WIDTH]. */
static struct mohs_tensor *word(const struct mohs_graph_api *api,
                                struct mohs_graph *g, struct mohs_tensor *x)
{
    uint32_t dims[MOHS_DIMS_MAX] = { 0 };
    api->shape(g, x, dims);
    struct mohs_attr cut[] = { { "axis", 1 }, { "from", 1 }, { "n", 1 } };
    struct mohs_attr shape[] = { { "d0", dims[0] }, { "d1", WIDTH } };
    x = api->op(g, "slice", &x, 1, cut, 3);
    return api->op(g, "reshape", &x, 1, shape, 2);
}

static mohs_status build(void *self, const struct mohs_graph_api *api,
                         struct mohs_graph *g, uint32_t tower,
                         const struct mohs_tower_inputs *in,
                         struct mohs_tensor **out, struct mohs_error *err)
{
    (void)self;
    (void)err;
    if (tower == MOHS_TOWER_IMAGE) {
        struct mohs_tensor *w = api->weight(g, "patch", 4, patch);
        struct mohs_tensor *x = mohs_patch_embed(api, g, in->pixels, w, NULL);
        *out = mohs_take(api, g, api->tap(g, "image.patch", x), NULL);
    } else {
        struct mohs_tensor *w = api->weight(g, "words", 2, words);
        struct mohs_tensor *x = mohs_embedding(api, g, in->tokens, w);
        *out = word(api, g, api->tap(g, "text.token", x));
    }
    return MOHS_OK;
}

/* ---- pairs ---- */

static const struct mohs_pair_info *pair_info(void *self)
{
    static const struct mohs_pair_info fine = { sizeof fine, 2, 1, "image.patch" };
    static const struct mohs_pair_info many = { sizeof many, 17, 1, "image.patch" };
    static const struct mohs_pair_info match = { sizeof match, 2, 2, "image.patch" };
    static const struct mohs_pair_info tap = { sizeof tap, 2, 1, "text.token" };
    int mode = mode_of(self);
    return mode == MANY ? &many : mode == MATCH ? &match : mode == TAP ? &tap : &fine;
}

static mohs_status pair_describe(void *self, put_fn put, void *user,
                                 struct mohs_error *err)
{
    mohs_status st = list(put, user, "head", 2, head, err);
    return st < 0 || mode_of(self) != UNUSED
               ? st : list(put, user, "tail", 2, head, err);
}

/* What a text is to the head. */
static struct mohs_tensor *text_of(int mode, const struct mohs_graph_api *api,
                                   struct mohs_graph *g, struct mohs_tensor *x)
{
    struct mohs_attr all[] = { { "from", 0 }, { "to", 1 } };
    if (mode == DEAF) // the first token is everyone's
        return mohs_take(api, g, x, NULL);
    if (mode == TAIL)
        return api->op(g, "mean_tokens", &x, 1, NULL, 0);
    x = word(api, g, x);
    return mode == MIX ? mohs_add(api, g, x, api->op(g, "reduce", &x, 1, all, 2)) : x;
}

/* The head of the sum of the image's first patch and a text's word. */
static mohs_status pair_build(void *self, const struct mohs_graph_api *api,
                              struct mohs_graph *g,
                              const struct mohs_pair_inputs *in,
                              struct mohs_tensor **out, struct mohs_error *err)
{
    int mode = mode_of(self);
    struct mohs_attr shape[] = { { "d0", WIDTH } };
    (void)err;
    struct mohs_tensor *x = mohs_embedding(api, g, in->tokens,
                                           api->weight(g, "words", 2, words));
    x = text_of(mode, api, g, x);
    struct mohs_tensor *image = mohs_take(api, g, in->image, NULL);
    if (mode != BLIND)
        x = mohs_add(api, g, x, api->op(g, "reshape", &image, 1, shape, 1));
    *out = mode == SHAPE ? x
                         : mohs_linear(api, g, x, api->weight(g, "head", 2, head),
                                       NULL, NULL, MOHS_ACT_NONE);
    return MOHS_OK;
}

static const void *extension(void *self, const char *id)
{
    static const struct mohs_pair_scores scores = { .size = sizeof scores,
                                                    .info = pair_info,
                                                    .describe = pair_describe,
                                                    .build = pair_build };
    (void)self;
    return strcmp(id, MOHS_EXT_PAIR_SCORES) ? NULL : &scores;
}

static const struct mohs_model_ops ops = { .size = sizeof ops,
                                           .probe = probe,
                                           .create = create,
                                           .destroy = destroy,
                                           .info = get_info,
                                           .describe = describe,
                                           .build = build,
                                           .get_extension = extension };

#define MODEL(name, m) FAULTY(name, MOHS_KIND_MODEL, m, ops)
MODEL(p_fine, FINE)
MODEL(p_many, MANY)
MODEL(p_match, MATCH)
MODEL(p_tap, TAP)
MODEL(p_shape, SHAPE)
MODEL(p_blind, BLIND)
MODEL(p_deaf, DEAF)
MODEL(p_tail, TAIL)
MODEL(p_unused, UNUSED)
MODEL(p_mix, MIX)

static const struct mohs_item *const items[] = {
    &p_fine, &p_many, &p_match, &p_tap,    &p_shape, &p_blind,
    &p_deaf, &p_tail, &p_unused, &p_mix, NULL
};
static const struct mohs_plugin plugin = {
    .size = sizeof plugin,
    .abi = MOHS_ABI,
    .id = "test.faulty_pairs",
    .name = "faulty pairs",
    .version = "1",
    .license = "MIT",
    .items = items,
};

const struct mohs_plugin *mohs_plugin_v1(uint32_t host_abi)
{
    (void)host_abi;
    return &plugin;
}
