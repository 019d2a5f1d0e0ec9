/* SPDX-License-Identifier: MIT */
/*
 * CLIP with a modified ResNet (Radford et al. 2021: RN50, RN101, RN50x4, x16,
 * x64): a stem of three convolutions, mean pools in place of strides, and
 * attention from the mean of all pixels to them. Names of OpenAI and
 * open_clip, which are the same.
 *
 * Taps: image.patch (behind the stem's pool), image.block.<i> (pixels as
 * tokens), image.embed; text.token, text.block.<i>, text.embed.
 */
#include <math.h>
#include <string.h>

#include "common/base.h"
#include "common/clip_text.h"
#include "resnet/resnet.h"

static const struct rename names[] = { CLIP_TEXT_NAMES(""),
                                       { NULL, NULL, 0, 0 } };

struct clip_resnet {
    struct base base;
    struct resnet net;
    uint32_t inner; /* channels inside the stem */
    uint32_t width, side, heads; /* of the attention pool */
    struct clip_text text;
};

/* ---- the layers -------------------------------------------------------- */

static struct mohs_tensor *stem(const struct clip_resnet *m, struct net *n,
                                struct mohs_tensor *pixels)
{
    uint32_t inner = m->inner;
    struct conv c = { .name = "conv1", .norm = "bn1", .out = inner, .in = 3,
                      .k = 3, .stride = 2, .pad = 1, .act = MOHS_ACT_RELU };
    net_at(n, "%s", m->net.at);
    struct mohs_tensor *x = net_conv(n, net_channels_last(n, pixels), &c);
    c.name = "conv2", c.norm = "bn2", c.in = inner, c.stride = 1;
    x = net_conv(n, x, &c);
    c.name = "conv3", c.norm = "bn3", c.out = m->net.stem;
    x = net_conv(n, x, &c);
    return net_pool(n, "avg_pool2d", x, 2, 2, 0);
}

static struct mohs_tensor *project(struct net *n, struct mohs_tensor *x,
                                   const char *name, uint32_t out, uint32_t in)
{
    return net_linear(n, x, &(struct linear) { .name = name, .out = out,
                                               .in = in });
}

/* The mean of the pixels goes before them, and attends to all. */
static struct mohs_tensor *pool(const struct clip_resnet *m, struct net *n,
                                struct mohs_tensor *x)
{
    uint32_t w = m->width, rows = net_dim(n, x, 0), t = m->side * m->side;
    net_at(n, "%sattnpool.", m->net.at);
    x = net_reshape(n, x, DIMS(rows, t, w));
    struct mohs_tensor *mean = net_op(n, "mean_tokens", &x, 1, NULL, 0);
    struct mohs_tensor *in[] = { net_reshape(n, mean, DIMS(rows, 1, w)), x };
    struct mohs_attr at[] = { { "axis", 1 } };
    x = net_op(n, "concat", in, 2, at, 1);
    x = net_add(n, x, net_normal(n, "positional_embedding", 1 / sqrtf((float)w),
                                 DIMS(t + 1, w)));
    struct mohs_tensor *q = project(n, net_token(n, x, 0), "q_proj", w, w);
    x = net_attention_pool(n, q, x, "k_proj", "v_proj", w, w, m->heads);
    return project(n, x, "c_proj", m->base.info.embed_dim, w);
}

static struct mohs_tensor *walk(const void *model, struct net *n,
                                uint32_t tower,
                                const struct mohs_tower_inputs *in)
{
    const struct clip_resnet *m = model;
    if (tower == MOHS_TOWER_TEXT)
        return clip_text_walk(&m->text, n, in);
    if (tower == MOHS_TOWER_IMAGE) {
        struct mohs_tensor *x = stem(m, n, in->pixels);
        x = resnet_stages(&m->net, n, net_tap_picture(n, "image.patch", x));
        return net_tap(n, "image.embed", pool(m, n, x));
    }
    net_constant(n, "logit_scale", 2.6592f, 0, NULL);
    return NULL;
}

/* ---- configuration ----------------------------------------------------- */

static void read_image(struct config *c, struct clip_resnet *m)
{
    struct mohs_model_info *i = &m->base.info;
    uint32_t there =
        tensor_dim(c, "visual.attnpool.positional_embedding", 0, 0);
    c->section = config_vision(c);
    m->net.at = "visual.";
    m->net.antialias = 1;
    m->net.stem = config_count(c, "width", 64, 1 << 14);
    m->net.stem = config_count(c, "embedding_size", m->net.stem, 1 << 14);
    m->net.stem = tensor_dim(c, "visual.bn3.weight", 0, m->net.stem);
    m->inner = tensor_dim(c, "visual.bn1.weight", 0, m->net.stem / 2);
    resnet_read(c, &m->net);
    m->width = m->net.stage[RESNET_STAGES - 1].out;
    m->side = there > 1 ? (uint32_t)lround(sqrt(there - 1)) : 0;
    m->heads = m->width / 64;
    i->image_height = i->image_width =
        config_count(c, "image_size", m->side ? 32 * m->side : 224, 4096);
    if (!m->side && !c->api->name(c->w, 0))
        m->side = (i->image_height + 1) / 32;
    // mean pools round down, the first stride up
    if (c->st >= 0 && (i->image_height + 1) / 32 != m->side)
        config_fail(c, "image_size", "does not fit the positions of attnpool");
    if (c->st >= 0 && (!m->heads || m->width % 64))
        config_fail(c, "width", "gives no heads of 64");
    c->section = "";
}

static void read_all(struct config *c, void *model, uint32_t *blocks,
                     uint32_t *text_blocks)
{
    struct clip_resnet *m = model;
    m->base.map = c->map = clip_text_map(c, names);
    read_image(c, m);
    m->base.info.embed_dim =
        tensor_dim(c, "visual.attnpool.c_proj.bias", 0,
                   config_either(c, "model_cfg.embed_dim",
                                 "vision_config.projection_dim", 1024, 1 << 16));
    clip_text_read(c, &m->text, &m->base.info);
    *blocks = resnet_blocks(&m->net);
    *text_blocks = m->text.tower.layers;
}

/* ---- the plugin -------------------------------------------------------- */

static int32_t probe(const struct mohs_host *host, const struct mohs_weights *w)
{
    struct config c = { .api = config_api(host), .w = w };
    const char *type = "";
    if (!c.api)
        return 0;
    c.api->config_string(w, "model_type", &type);
    if (!strcmp(type, "clip_resnet"))
        return 90;
    return has_tensor(&c, "visual.attnpool.positional_embedding") &&
                   has_tensor(&c, "visual.layer1.0.conv1.weight")
               ? 95 : 0;
}

static mohs_status create(const struct mohs_host *host, const void *params,
                          const struct mohs_weights *w, void **self,
                          struct mohs_error *err)
{
    static const char *const whole[] = { "visual.", "transformer.",
                                         "token_embedding", "ln_final",
                                         "text_model.", NULL };
    static const struct base_plan plan = { "clip_resnet",
                                           sizeof(struct clip_resnet), walk,
                                           read_all, whole };
    (void)params;
    return base_create(&plan, host, w, self, err);
}

static const struct mohs_model_ops ops = BASE_OPS(probe, create);

const struct mohs_item clip_resnet_item = {
    .size = sizeof clip_resnet_item,
    .param_stride = sizeof(struct mohs_param),
    .kind = MOHS_KIND_MODEL,
    .id = "clip_resnet",
    .summary = "CLIP with a modified ResNet: RN50 to RN50x64, names of OpenAI "
               "and open_clip",
    .ops = &ops,
};
