/* SPDX-License-Identifier: MIT */
/*
 * ResNet classifiers (He et al. 2016, with the stride in the 3 x 3
 * convolution, as published since), ResNeXt and wide ResNets, in the names of
 * torchvision and timm, which are the same, and of transformers.
 *
 * Taps: image.patch (behind the stem's pool), image.block.<i> (pixels as
 * tokens), image.embed (what the head takes). The result is the logits.
 */
#include <string.h>

#include "common/base.h"
#include "resnet/resnet.h"

#define PART(part, source)                                            \
    { "layer1.#." part, "resnet.encoder.stages.0.layers.#." source, 0, 0 }, \
    { "layer2.#." part, "resnet.encoder.stages.1.layers.#." source, 0, 0 }, \
    { "layer3.#." part, "resnet.encoder.stages.2.layers.#." source, 0, 0 }, \
    { "layer4.#." part, "resnet.encoder.stages.3.layers.#." source, 0, 0 }
#define STEM "resnet.embedder.embedder."

static const struct rename transformers[] = {
    { "conv1.*", STEM "convolution.*", 0, 0 },
    { "bn1.*", STEM "normalization.*", 0, 0 },
    PART("conv1.*", "layer.0.convolution.*"),
    PART("bn1.*", "layer.0.normalization.*"),
    PART("conv2.*", "layer.1.convolution.*"),
    PART("bn2.*", "layer.1.normalization.*"),
    PART("conv3.*", "layer.2.convolution.*"),
    PART("bn3.*", "layer.2.normalization.*"),
    PART("downsample.0.*", "shortcut.convolution.*"),
    PART("downsample.1.*", "shortcut.normalization.*"),
    { "fc.*", "classifier.1.*", 0, 0 },
    { NULL, NULL, 0, 0 },
};

struct classifier {
    struct base base;
    struct resnet net;
};

/* ---- the layers -------------------------------------------------------- */

static struct mohs_tensor *walk(const void *model, struct net *n,
                                uint32_t tower,
                                const struct mohs_tower_inputs *in)
{
    const struct classifier *m = model;
    const struct resnet *r = &m->net;
    if (tower != MOHS_TOWER_IMAGE)
        return NULL;
    net_at(n, "%s", "");
    struct conv stem = { .name = "conv1", .norm = "bn1", .out = r->stem, .in = 3,
                         .k = 7, .stride = 2, .pad = 3, .act = MOHS_ACT_RELU };
    struct mohs_tensor *x =
        net_conv(n, net_channels_last(n, in->pixels), &stem);
    x = net_pool(n, "max_pool2d", x, 3, 2, 1);
    x = resnet_stages(r, n, net_tap_picture(n, "image.patch", x));
    x = net_tap(n, "image.embed", net_global_pool(n, x));
    net_at(n, "%s", "");
    return net_linear(n, x, &(struct linear) {
                                .name = "fc", .out = m->base.info.embed_dim,
                                .in = r->stage[RESNET_STAGES - 1].out });
}

/* ---- the plugin -------------------------------------------------------- */

static int32_t probe(const struct mohs_host *host, const struct mohs_weights *w)
{
    struct config c = { .api = config_api(host), .w = w };
    const char *type = "";
    if (!c.api)
        return 0;
    c.api->config_string(w, "model_type", &type);
    if (!strcmp(type, "resnet"))
        return 90;
    return !*type && has_tensor(&c, "conv1.weight") &&
                   has_tensor(&c, "layer4.0.conv2.weight") &&
                   has_tensor(&c, "fc.weight")
               ? 70 : 0;
}

static void read_all(struct config *c, void *model, uint32_t *blocks,
                     uint32_t *text)
{
    struct classifier *m = model;
    (void)text;
    c->map = transformers;
    m->base.map = c->map = has_tensor(c, "conv1.weight") ? transformers : NULL;
    m->net.at = "";
    m->net.stem = tensor_dim(
        c, "bn1.weight", 0, config_count(c, "embedding_size", 64, 1 << 14));
    resnet_read(c, &m->net);
    base_classifier(c, &m->base, "fc.bias");
    base_image_size(c, &m->base, 224);
    m->base.info.preprocessor =
        c->map ? PREPROCESS_HF("ConvNextImageProcessor")
               : PREPROCESS_TIMM("0.875", "bilinear");
    if (config_number(c, "downsample_in_bottleneck", 0, 0, 1) > 0)
        config_fail(c, "downsample_in_bottleneck", "is true: the stride must be "
                                                   "in the 3 x 3 convolution");
    if (config_number(c, "downsample_in_first_stage", 0, 0, 1) > 0)
        config_fail(c, "downsample_in_first_stage", "is true: stages begin to "
                                                    "halve with the second");
    if (c->map && strcmp(config_string(c, "hidden_act", "relu"), "relu"))
        config_fail(c, "hidden_act", "is not relu");
    base_refuse(c, "resnetaa", "strides are blurred");
    base_refuse(c, "resnetblur", "strides are blurred");
    *blocks = resnet_blocks(&m->net);
}

static mohs_status create(const struct mohs_host *host, const void *params,
                          const struct mohs_weights *w, void **self,
                          struct mohs_error *err)
{
    static const char *const whole[] = { "conv1.", "bn1.", "layer", "fc.",
                                         "resnet.", "classifier.", NULL };
    static const struct base_plan plan = { "resnet", sizeof(struct classifier),
                                           walk, read_all, whole };
    (void)params;
    return base_create(&plan, host, w, self, err);
}

static const struct mohs_model_ops ops = BASE_OPS(probe, create);

const struct mohs_item resnet_item = {
    .size = sizeof resnet_item,
    .param_stride = sizeof(struct mohs_param),
    .kind = MOHS_KIND_MODEL,
    .id = "resnet",
    .summary = "ResNet, ResNeXt and wide ResNet classifiers: names of "
               "torchvision, timm or transformers",
    .ops = &ops,
};

static const struct mohs_item *const items[] = { &resnet_item,
                                                 &clip_resnet_item, NULL };
static const struct mohs_plugin plugin = {
    .size = sizeof plugin,
    .abi = MOHS_ABI,
    .id = "mohs.resnet",
    .name = "ResNet",
    .version = "1.0",
    .license = "MIT",
    .items = items,
};

const struct mohs_plugin *mohs_plugin_v1(uint32_t host_abi)
{
    (void)host_abi;
    return &plugin;
}
