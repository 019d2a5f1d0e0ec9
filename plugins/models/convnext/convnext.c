/* SPDX-License-Identifier: MIT */
/*
 * ConvNeXt classifiers, V1 and V2 (Liu et al. 2022, Woo et al. 2023), in the
 * names of timm, torchvision and transformers.
 *
 * Taps: image.patch (behind the stem's norm), image.block.<i> (pixels as
 * tokens), image.embed (what the head takes). The result is the logits.
 */
#include <string.h>

#include "common/base.h"
#include "convnext/convnext.h"

#define TV_STAGE(i, j, before)                                            \
    { "stages." #i ".blocks.#.conv_dw.*", "features." #j ".#.block.0.*", 0, 0 }, \
    { "stages." #i ".blocks.#.norm.*", "features." #j ".#.block.2.*", 0, 0 },    \
    { "stages." #i ".blocks.#.mlp.fc1.*", "features." #j ".#.block.3.*", 0, 0 }, \
    { "stages." #i ".blocks.#.mlp.fc2.*", "features." #j ".#.block.5.*", 0, 0 }, \
    { "stages." #i ".blocks.#.gamma", "features." #j ".#.layer_scale", 0, 0 },   \
    { "stages." #i ".downsample.*", "features." #before ".*", 0, 0 }

static const struct rename torchvision[] = {
    { "stem.*", "features.0.*", 0, 0 }, // .0.0 and .0.1
    TV_STAGE(0, 1, 0),
    TV_STAGE(1, 3, 2),
    TV_STAGE(2, 5, 4),
    TV_STAGE(3, 7, 6),
    { "head.norm.*", "classifier.0.*", 0, 0 },
    { "head.fc.*", "classifier.2.*", 0, 0 },
    { NULL, NULL, 0, 0 },
};

#define HF_PART(root, part, source)                                        \
    { "stages.#.blocks.#." part, root "encoder.stages.#.layers.#." source, 0, 0 }
#define HF_NAMES(root)                                                     \
    {                                                                      \
        { "stem.0.*", root "embeddings.patch_embeddings.*", 0, 0 },        \
        { "stem.1.*", root "embeddings.layernorm.*", 0, 0 },               \
        HF_PART(root, "conv_dw.*", "dwconv.*"),                            \
        HF_PART(root, "norm.*", "layernorm.*"),                            \
        HF_PART(root, "mlp.fc1.*", "pwconv1.*"),                           \
        HF_PART(root, "mlp.fc2.*", "pwconv2.*"),                           \
        HF_PART(root, "mlp.grn.*", "grn.*"),                               \
        HF_PART(root, "gamma", "layer_scale_parameter"),                   \
        { "stages.#.downsample.*",                                         \
          root "encoder.stages.#.downsampling_layer.*", 0, 0 },            \
        { "head.norm.*", root "layernorm.*", 0, 0 },                       \
        { "head.fc.*", "classifier.*", 0, 0 },                             \
        { NULL, NULL, 0, 0 },                                              \
    }
static const struct rename hf[] = HF_NAMES("convnext.");
static const struct rename hf_v2[] = HF_NAMES("convnextv2.");

static const struct {
    const char *tensor;
    const struct rename *map;
} schemes[] = {
    { "stages.0.blocks.0.conv_dw.weight", NULL },
    { "features.1.0.block.0.weight", torchvision },
    { "convnext.encoder.stages.0.layers.0.dwconv.weight", hf },
    { "convnextv2.encoder.stages.0.layers.0.dwconv.weight", hf_v2 },
};

struct classifier {
    struct base base;
    struct convnext net;
};

static struct mohs_tensor *walk(const void *model, struct net *n,
                                uint32_t tower,
                                const struct mohs_tower_inputs *in)
{
    const struct classifier *m = model;
    if (tower != MOHS_TOWER_IMAGE)
        return NULL;
    struct mohs_tensor *x = convnext_trunk(&m->net, n, in->pixels);
    x = net_tap(n, "image.embed", x);
    return net_linear(n, x, &(struct linear) {
                                .name = "head.fc", .out = m->base.info.embed_dim,
                                .in = m->net.width[CONVNEXT_STAGES - 1] });
}

/* ---- the plugin -------------------------------------------------------- */

/* The naming scheme, by a tensor that only it has; -1: none. */
static int find_scheme(const struct config *c)
{
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++)
        if (has_tensor(c, schemes[i].tensor))
            return (int)i;
    return -1;
}

static int32_t probe(const struct mohs_host *host, const struct mohs_weights *w)
{
    struct config c = { .api = config_api(host), .w = w };
    const char *type = "";
    if (!c.api)
        return 0;
    c.api->config_string(w, "model_type", &type);
    if (!strcmp(type, "convnext") || !strcmp(type, "convnextv2"))
        return 90;
    return !*type && find_scheme(&c) >= 0 ? 70 : 0;
}

/* torchvision resizes each size to its own: 236, 230 and 232. */
static const char *preprocessor(const struct classifier *m)
{
    if (!m->base.map)
        return PREPROCESS_TIMM("0.875", "bicubic");
    if (m->base.map != torchvision)
        return PREPROCESS_HF("ConvNextImageProcessor");
    return m->net.width[0] > 96   ? PREPROCESS_TIMM("0.9655", "bilinear")
           : m->net.blocks[2] > 9 ? PREPROCESS_TIMM("0.9739", "bilinear")
                                 : PREPROCESS_TIMM("0.949", "bilinear");
}

static void read_all(struct config *c, void *model, uint32_t *blocks,
                     uint32_t *text)
{
    struct classifier *m = model;
    int i = find_scheme(c);
    (void)text;
    m->base.map = c->map = i < 0 ? NULL : schemes[i].map;
    m->net.at = "";
    convnext_read(c, &m->net);
    base_classifier(c, &m->base, "head.fc.bias");
    base_image_size(c, &m->base, 224);
    m->base.info.preprocessor = preprocessor(m);
    if (c->st >= 0 && c->api->name(c->w, 0) && !has_tensor(c, "head.fc.weight"))
        c->st = mohs_fail(c->err, MOHS_E_FORMAT,
                          "%s: no classifier: features only",
                          c->api->path(c->w));
    *blocks = convnext_blocks(&m->net);
}

static mohs_status create(const struct mohs_host *host, const void *params,
                          const struct mohs_weights *w, void **self,
                          struct mohs_error *err)
{
    static const char *const whole[] = { "stem.", "stages.", "head.",
                                         "features.", "classifier.",
                                         "convnext", NULL };
    static const struct base_plan plan = { "convnext",
                                           sizeof(struct classifier), walk,
                                           read_all, whole };
    (void)params;
    return base_create(&plan, host, w, self, err);
}

static const struct mohs_model_ops ops = BASE_OPS(probe, create);

const struct mohs_item convnext_item = {
    .size = sizeof convnext_item,
    .param_stride = sizeof(struct mohs_param),
    .kind = MOHS_KIND_MODEL,
    .id = "convnext",
    .summary = "ConvNeXt and ConvNeXt V2 classifiers: names of timm, "
               "torchvision or transformers",
    .ops = &ops,
};

static const struct mohs_item *const items[] = { &convnext_item,
                                                 &clip_convnext_item, NULL };
static const struct mohs_plugin plugin = {
    .size = sizeof plugin,
    .abi = MOHS_ABI,
    .id = "mohs.convnext",
    .name = "ConvNeXt",
    .version = "1.0",
    .license = "MIT",
    .items = items,
};

const struct mohs_plugin *mohs_plugin_v1(uint32_t host_abi)
{
    (void)host_abi;
    return &plugin;
}
