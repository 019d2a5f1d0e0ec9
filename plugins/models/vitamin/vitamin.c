/* SPDX-License-Identifier: MIT */
/*
 * ViTamin (Chen et al. 2024) with CLIP's text tower, as open_clip saves it:
 * two stages of inverted bottlenecks, then a transformer whose MLP is gated,
 * averaged over the patches.
 *
 * Taps: image.patch (what the convolutions give, with positions),
 * image.block.<i> of the transformer, image.embed; text.* as in CLIP.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/base.h"
#include "common/clip_text.h"
#include "common/conv.h"

#define TRUNK "visual.trunk."
#define BACKBONE "visual.trunk.patch_embed.backbone."
#define BLOCKS "visual.trunk.blocks."

/* The names are open_clip's, but for q, k and v and for the text. */
static const struct block_names block = {
    .norm1 = "norm1", .q = "attn.q", .k = "attn.k", .v = "attn.v",
    .out = "attn.proj", .norm2 = "norm2", .fc1 = "mlp.w0", .gate = "mlp.w1",
    .fc2 = "mlp.w2", .norm_mlp = "mlp.norm",
};

static const struct rename names[] = {
    { BLOCKS "#.attn.q.*", BLOCKS "#.attn.qkv.*", 0, 3 },
    { BLOCKS "#.attn.k.*", BLOCKS "#.attn.qkv.*", 1, 3 },
    { BLOCKS "#.attn.v.*", BLOCKS "#.attn.qkv.*", 2, 3 },
    CLIP_TEXT_NAMES("text."),
    { NULL, NULL, 0, 0 },
};

enum {
    STAGES = 2,
    REDUCTION = 16, /* stem, two stages and pool halve */
    XLARGE = 1152,  /* the width that has no positions */
};

struct vitamin {
    struct base base;
    struct tower t;
    struct clip_text text;
    uint32_t stem, width[STAGES], depth[STAGES];
    uint32_t positions;
    int no_positions; /* XL: the convolutions know where they are */
};

/* ---- convolutions, on pictures [n, h, w, c] ---- */

#define CONV_EPS 1e-6

static struct mohs_tensor *conv3(struct net *n, struct mohs_tensor *x,
                                 const char *name, uint32_t out, uint32_t in,
                                 uint32_t stride)
{
    return net_conv(n, x, &(struct conv) { .name = name, .out = out, .in = in,
                                           .k = 3, .stride = stride,
                                           .pad = 1 });
}

static struct mohs_tensor *stem(const struct vitamin *m, struct net *n,
                                struct mohs_tensor *pixels)
{
    net_at(n, "%s", BACKBONE "stem.");
    struct mohs_tensor *x = net_channels_last(n, pixels);
    x = conv3(n, x, "conv1", m->stem, 3, 2);
    x = net_norm(n, x, "norm1", m->stem, CONV_EPS);
    x = net_op(n, "gelu", &x, 1, NULL, 0);
    return conv3(n, x, "conv2", m->stem, m->stem, 1);
}

/* The mean of the pixels of a 3 x 3 window that are inside the picture. */
static struct mohs_tensor *halved(struct net *n, struct mohs_tensor *x)
{
    struct mohs_attr zero[] = { { "mul", 0 }, { "add", 1 } };
    struct mohs_tensor *one = net_slice(n, x, 3, 0, 1);
    one = net_op(n, "detach", &one, 1, NULL, 0);
    one = net_op(n, "affine", &one, 1, zero, 2);
    one = net_pool(n, "avg_pool2d", one, 3, 2, 1);
    x = net_pool(n, "avg_pool2d", x, 3, 2, 1);
    struct mohs_attr at[] = { { "from", 3 }, { "to", 4 },
                              { "d0", net_dim(n, x, 0) },
                              { "d1", net_dim(n, x, 1) },
                              { "d2", net_dim(n, x, 2) },
                              { "d3", net_dim(n, x, 3) } };
    struct mohs_tensor *in[] = { x, net_op(n, "expand", &one, 1, at, 6) };
    return net_op(n, "div", in, 2, NULL, 0);
}

static struct mohs_tensor *depthwise(struct net *n, struct mohs_tensor *x,
                                     const char *name, uint32_t c,
                                     uint32_t stride)
{
    char weight[NET_NAME], bias[NET_NAME];
    snprintf(weight, sizeof weight, "%s.weight", name);
    snprintf(bias, sizeof bias, "%s.bias", name);
    struct mohs_attr at[] = { { "stride", stride }, { "pad", 1 },
                              { "act", MOHS_ACT_GELU } };
    struct mohs_tensor *in[] = { x, NULL, NULL };
    in[1] = net_normal(n, weight, sqrtf(2.0f / 9), DIMS(c, 1, 3, 3));
    in[2] = net_constant(n, bias, 0, DIMS(c));
    return net_op(n, "depthwise_conv2d", in, 3, at, 3);
}

/* 1 x 1 convolutions are linear layers over the channels. */
static struct mohs_tensor *bottleneck(struct net *n, struct mohs_tensor *x,
                                      uint32_t out, uint32_t in, int halve)
{
    uint32_t mid = 4 * out;
    struct mohs_tensor *side = halve ? halved(n, x) : x;
    if (in != out)
        side = net_linear(n, side, &(struct linear) {
            .name = halve ? "shortcut.expand" : "shortcut", .out = out,
            .in = in });
    struct mohs_tensor *y = net_norm(n, x, "pre_norm", in, CONV_EPS);
    y = net_linear(n, y, &(struct linear) { .name = "conv1_1x1", .out = mid,
                                            .in = in, .act = MOHS_ACT_GELU });
    y = depthwise(n, y, "conv2_kxk", mid, halve ? 2 : 1);
    return net_linear(n, y, &(struct linear) { .name = "conv3_1x1", .out = out,
                                               .in = mid, .residual = side });
}

static struct mohs_tensor *backbone(const struct vitamin *m, struct net *n,
                                    struct mohs_tensor *pixels)
{
    struct mohs_tensor *x = stem(m, n, pixels);
    uint32_t in = m->stem;
    for (int s = 0; s < STAGES; s++)
        for (uint32_t i = 0; i < m->depth[s]; i++) {
            net_at(n, BACKBONE "stages.%d.%u.", s, i);
            x = bottleneck(n, x, m->width[s], in, !i);
            in = m->width[s];
        }
    net_at(n, "%s", BACKBONE "pool.");
    x = net_norm(n, x, "norm", in, CONV_EPS);
    return conv3(n, x, "proj", m->t.width, in, 2);
}

/* ---- the towers ---- */

static struct mohs_tensor *image_tower(const struct vitamin *m, struct net *n,
                                       struct mohs_tensor *pixels)
{
    uint32_t w = m->t.width, p = m->positions;
    struct mohs_tensor *x = backbone(m, n, pixels);
    x = net_reshape(n, x, DIMS(net_dim(n, x, 0), p, w));
    net_at(n, "%s", TRUNK);
    if (!m->no_positions)
        x = net_add(n, x, net_normal(n, "pos_embed", 0.02f, DIMS(p, w)));
    x = net_tap(n, "image.patch", x);
    x = net_blocks(n, x, &m->t, "image", MOHS_MASK_NONE, NET_ALL);
    x = net_op(n, "mean_tokens", &x, 1, NULL, 0);
    net_at(n, "%s", TRUNK);
    x = net_norm(n, x, "fc_norm", w, m->t.eps);
    net_at(n, "%s", "visual.");
    x = net_linear(n, x, &(struct linear) { .name = "head.proj",
                                            .out = m->base.info.embed_dim, .in = w,
                                            .no_bias = 1 });
    return net_tap(n, "image.embed", x);
}

static struct mohs_tensor *walk(const void *model, struct net *n,
                                uint32_t tower,
                                const struct mohs_tower_inputs *in)
{
    const struct vitamin *m = model;
    if (tower == MOHS_TOWER_IMAGE)
        return image_tower(m, n, in->pixels);
    if (tower == MOHS_TOWER_TEXT)
        return clip_text_walk(&m->text, n, in);
    net_constant(n, "logit_scale", 2.6592f, 0, NULL);
    return NULL;
}

/* ---- configuration: what it leaves to timm's name, the tensors show ---- */

/* transformers' keys for one image tower stand in when there is no tensor. */
static void read_image(struct config *c, struct vitamin *m)
{
    struct tower *t = &m->t;
    c->section = "vision_config";
    uint32_t width = config_count(c, "hidden_size", 768, 16384);
    t->at = BLOCKS;
    t->names = &block;
    t->width = tensor_dim(c, TRUNK "fc_norm.weight", 0, width);
    t->mlp = tensor_dim(c, BLOCKS "0.mlp.w0.bias", 0, 2 * t->width);
    t->layers = count_tensors(
        c, BLOCKS, ".norm1.weight",
        config_count(c, "num_hidden_layers", 14, NET_LAYERS_MAX));
    t->heads = t->width > 1024 ? 16 : (t->width + 63) / 64;
    t->act = MOHS_ACT_GELU;
    t->eps = 1e-6;
    m->stem = tensor_dim(c, BACKBONE "stem.conv1.bias", 0,
                         (t->width + 5) / 6);
    m->width[0] = tensor_dim(c, BACKBONE "stages.0.0.conv3_1x1.bias", 0,
                             (t->width + 5) / 6);
    m->width[1] = tensor_dim(c, BACKBONE "stages.1.0.conv3_1x1.bias", 0,
                             (t->width + 2) / 3);
    m->depth[0] =
        count_tensors(c, BACKBONE "stages.0.", ".pre_norm.weight", 2);
    m->depth[1] =
        count_tensors(c, BACKBONE "stages.1.", ".pre_norm.weight", 4);
    uint32_t size = config_count(c, "image_size", 224, 4096);
    m->positions = tensor_dim(c, TRUNK "pos_embed", 0, 0);
    if (!tensor_dim(c, TRUNK "pos_embed", 1, 0)) // [1, 1, w], or not there
        m->positions = (uint32_t)has_tensor(c, TRUNK "pos_embed");
    if (m->positions)
        size = (uint32_t)lround(sqrt(m->positions)) * REDUCTION;
    c->section = "model_cfg.vision_cfg";
    m->no_positions = !m->positions &&
                      (t->width == XLARGE ||
                       strstr(config_string(c, "timm_model_name", ""), "xlarge"));
    size = config_count(c, "image_size", size, 4096);
    if (c->st >= 0 && size % REDUCTION)
        config_fail(c, "image_size", "is no multiple of 16");
    size /= REDUCTION;
    if (c->st >= 0 && m->positions && m->positions != size * size)
        config_fail(c, "image_size", "does not fit " TRUNK "pos_embed");
    m->positions = size * size;
    m->base.info.image_height = m->base.info.image_width = size * REDUCTION;
    tower_check(c, t, "heads");
}

static void read_config(struct config *c, struct vitamin *m)
{
    double x;
    read_image(c, m);
    c->section = "";
    uint32_t dim = config_count(c, "projection_dim", 512, 65536);
    m->base.info.embed_dim = tensor_dim(c, "visual.head.proj.weight", 0, dim);
    clip_text_read(c, &m->text, &m->base.info);
    // open_clip alone saves these, and without quick gelu
    if (c->api->config_number(c->w, "model_cfg.text_cfg.width", &x) <= 0)
        m->text.tower.act = MOHS_ACT_GELU;
}

/* ---- the plugin ---- */

static int32_t probe(const struct mohs_host *host, const struct mohs_weights *w)
{
    struct config c = { .api = config_api(host), .w = w };
    const char *type = "";
    if (!c.api)
        return 0;
    c.api->config_string(w, "model_type", &type);
    if (!strcmp(type, "vitamin"))
        return 90;
    return has_tensor(&c, BACKBONE "stem.conv1.weight") &&
                   has_tensor(&c, "visual.head.proj.weight")
               ? 90
               : 0;
}

static void read_all(struct config *c, void *model, uint32_t *blocks,
                     uint32_t *text_blocks)
{
    struct vitamin *m = model;
    if (has_tensor(c, BLOCKS "0.attn.qkv.weight"))
        m->base.map = c->map = names;
    read_config(c, m);
    *blocks = m->t.layers;
    *text_blocks = m->text.tower.layers;
}

static mohs_status create(const struct mohs_host *host, const void *params,
                          const struct mohs_weights *w, void **self,
                          struct mohs_error *err)
{
    static const char *const whole[] = { "visual.", "text.", NULL };
    static const struct base_plan plan = { "vitamin", sizeof(struct vitamin), walk,
                                           read_all, whole };
    (void)params;
    return base_create(&plan, host, w, self, err);
}

static const struct mohs_model_ops ops = BASE_OPS(probe, create);

static const struct mohs_item vitamin = {
    .size = sizeof vitamin,
    .param_stride = sizeof(struct mohs_param),
    .kind = MOHS_KIND_MODEL,
    .id = "vitamin",
    .summary = "ViTamin: convolutions, then a gated transformer, and CLIP's "
               "text tower; names of open_clip",
    .ops = &ops,
};

static const struct mohs_item *const items[] = { &vitamin, NULL };
static const struct mohs_plugin plugin = {
    .size = sizeof plugin,
    .abi = MOHS_ABI,
    .id = "mohs.vitamin",
    .name = "ViTamin",
    .version = "1.0",
    .license = "MIT",
    .items = items,
};

const struct mohs_plugin *mohs_plugin_v1(uint32_t host_abi)
{
    (void)host_abi;
    return &plugin;
}
