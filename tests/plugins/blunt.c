/* SPDX-License-Identifier: MIT */
/*
 * A model of the parts at both ends of a CLIP checkpoint (patches or tokens,
 * their mean, projection) which gives no gradients: `without` says in which
 * tower, `how` whether an op there has none or lets none through.
 */
#include <stdlib.h>
#include <string.h>

#include <mohs/plugin.h>
#include <mohs/util.h>

struct params {
    int32_t without, how;
};

enum { NOTHING, IMAGE, TEXT, BOTH };
static const char *const places[] = { "nothing", "image", "text", "both",
                                      NULL };
static const char *const ways[] = { "op", "detach", NULL };

struct blunt {
    struct params p;
    struct mohs_model_info info;
    uint32_t patch[5], table[5], image[5], text[5]; /* shapes of the weights */
};

static const char *const taps[] = { "image.patch", "text.token", NULL };
static const struct weight_of {
    const char *name;
    size_t shape;
    uint32_t n_dims;
} weights[] = {
    { "vision_model.embeddings.patch_embedding.weight",
      offsetof(struct blunt, patch), 4 },
    { "text_model.embeddings.token_embedding.weight",
      offsetof(struct blunt, table), 2 },
    { "visual_projection.weight", offsetof(struct blunt, image), 2 },
    { "text_projection.weight", offsetof(struct blunt, text), 2 },
};
enum { N_WEIGHTS = sizeof weights / sizeof *weights };

static uint32_t *shape_of(struct blunt *b, int i)
{
    return (uint32_t *)(void *)((char *)b + weights[i].shape);
}

static int32_t probe(const struct mohs_host *host, const struct mohs_weights *w)
{
    (void)host;
    (void)w;
    return 0;
}

static void destroy(void *self)
{
    free(self);
}

static mohs_status create(const struct mohs_host *host, const void *params,
                          const struct mohs_weights *w, void **self,
                          struct mohs_error *err)
{
    const struct mohs_weights_api *api =
        host->get_extension(host, MOHS_EXT_WEIGHTS);
    struct blunt *b = calloc(1, sizeof *b);
    double size = 0, context = 0;
    if (!b || !api)
        goto bad;
    memcpy(&b->p, params, sizeof b->p);
    for (int i = 0; i < N_WEIGHTS; i++)
        if (api->shape(w, weights[i].name, shape_of(b, i)) !=
            (int32_t)weights[i].n_dims)
            goto bad;
    if (api->config_number(w, "vision_config.image_size", &size) != 1 ||
        api->config_number(w, "text_config.max_position_embeddings",
                           &context) != 1)
        goto bad;
    b->info = (struct mohs_model_info) {
        .size = sizeof b->info,
        .towers = MOHS_TOWER_IMAGE | MOHS_TOWER_TEXT,
        .image_height = (uint32_t)size,
        .image_width = (uint32_t)size,
        .context_length = (uint32_t)context,
        .vocab_size = b->table[0],
        .embed_dim = b->image[0],
        .logit_scale = 10,
        .taps = taps,
    };
    *self = b;
    return MOHS_OK;
bad:
    destroy(b);
    return mohs_fail(err, MOHS_E_FORMAT, "blunt: no CLIP checkpoint");
}

static const struct mohs_model_info *get_info(void *self)
{
    return &((struct blunt *)self)->info;
}

static mohs_status describe(void *self,
                            mohs_status (*put)(void *user,
                                               const struct mohs_weight_spec *,
                                               struct mohs_error *),
                            void *user, struct mohs_error *err)
{
    mohs_status st = MOHS_OK;
    for (int i = 0; i < N_WEIGHTS && st >= 0; i++) {
        struct mohs_weight_spec s = { .size = sizeof s,
                                      .name = weights[i].name,
                                      .n_dims = weights[i].n_dims,
                                      .scale = 0.1f };
        memcpy(s.dims, shape_of(self, i), sizeof s.dims);
        st = put(user, &s, err);
    }
    return st;
}

/* x [n, k] as it is, but no gradient comes back. */
static struct mohs_tensor *block(const struct blunt *b,
                                 const struct mohs_graph_api *api,
                                 struct mohs_graph *g, struct mohs_tensor *x)
{
    uint32_t dims[MOHS_DIMS_MAX] = { 1, 1 };
    api->shape(g, x, dims);
    struct mohs_attr four[] = {
        { "d0", dims[0] }, { "d1", 1 }, { "d2", 1 }, { "d3", dims[1] }
    };
    struct mohs_attr two[] = { { "d0", dims[0] }, { "d1", dims[1] } };
    if (b->p.how)
        return api->op(g, "detach", &x, 1, NULL, 0);
    x = api->op(g, "reshape", &x, 1, four, 4);
    x = api->op(g, "windows", &x, 1, NULL, 0);
    return api->op(g, "reshape", &x, 1, two, 2);
}

static mohs_status build(void *self, const struct mohs_graph_api *api,
                         struct mohs_graph *g, uint32_t tower,
                         const struct mohs_tower_inputs *in,
                         struct mohs_tensor **out, struct mohs_error *err)
{
    struct blunt *b = self;
    int image = tower == MOHS_TOWER_IMAGE;
    int first = image ? 0 : 1, last = image ? 2 : 3;
    struct mohs_tensor *w = api->weight(
        g, weights[first].name, weights[first].n_dims, shape_of(b, first));
    struct mohs_tensor *x;
    (void)err;
    if (image)
        x = api->tap(g, "image.patch",
                     mohs_patch_embed(api, g, in->pixels, w, NULL));
    else
        x = api->tap(g, "text.token", mohs_embedding(api, g, in->tokens, w));
    x = api->op(g, "mean_tokens", &x, 1, NULL, 0);
    if (b->p.without == BOTH || b->p.without == (image ? IMAGE : TEXT))
        x = block(b, api, g, x);
    w = api->weight(g, weights[last].name, 2, shape_of(b, last));
    *out = mohs_linear(api, g, x, w, NULL, NULL, MOHS_ACT_NONE);
    return MOHS_OK;
}

static const struct mohs_param table[] = {
    { "without", "towers that have no gradient", MOHS_P_CHOICE,
      offsetof(struct params, without), BOTH, 0, BOTH, places, NULL },
    { "how", "why they have none", MOHS_P_CHOICE, offsetof(struct params, how),
      0, 0, 1, ways, NULL },
};
static const struct mohs_model_ops ops = { .size = sizeof ops,
                                           .probe = probe,
                                           .create = create,
                                           .destroy = destroy,
                                           .info = get_info,
                                           .describe = describe,
                                           .build = build };
static const struct mohs_item blunt_item = {
    .size = sizeof blunt_item,
    .param_stride = sizeof(struct mohs_param),
    .kind = MOHS_KIND_MODEL,
    .id = "blunt",
    .summary = "both ends of CLIP, no gradients",
    .params = table,
    .n_params = 2,
    .params_size = sizeof(struct params),
    .ops = &ops
};
static const struct mohs_item *const items[] = { &blunt_item, NULL };
static const struct mohs_plugin plugin = { .size = sizeof plugin,
                                           .abi = MOHS_ABI,
                                           .id = "test.blunt",
                                           .name = "blunt",
                                           .version = "1.0",
                                           .license = "MIT",
                                           .items = items };

const struct mohs_plugin *mohs_plugin_v1(uint32_t host_abi)
{
    (void)host_abi;
    return &plugin;
}
