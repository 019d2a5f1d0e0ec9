/* SPDX-License-Identifier: MIT */
/*
 * CLIP with a ConvNeXt of timm as its image tower (open_clip's convnext_base
 * to convnext_xxlarge): mean over the pixels, norm, and a linear projection
 * or an MLP.
 *
 * Taps: image.patch (behind the stem's norm), image.block.<i> (pixels as
 * tokens), image.embed; text.token, text.block.<i>, text.embed.
 */
#include <string.h>

#include "common/base.h"
#include "common/clip_text.h"
#include "convnext/convnext.h"

static const struct rename names[] = { CLIP_TEXT_NAMES(""),
                                       { NULL, NULL, 0, 0 } };

struct clip_convnext {
    struct base base;
    struct convnext net;
    uint32_t hidden; /* of the projection's MLP; 0: it is linear */
    int bias;        /* of its last layer */
    struct clip_text text;
};

static struct mohs_tensor *image_tower(const struct clip_convnext *m,
                                       struct net *n,
                                       struct mohs_tensor *pixels)
{
    struct linear l = { .name = "proj", .out = m->base.info.embed_dim,
                        .in = m->net.width[CONVNEXT_STAGES - 1],
                        .no_bias = !m->bias };
    struct mohs_tensor *x = convnext_trunk(&m->net, n, pixels);
    net_at(n, "%s", "visual.head.");
    if (m->hidden) {
        struct linear first = { .name = "mlp.fc1", .out = m->hidden, .in = l.in,
                                .act = MOHS_ACT_GELU };
        x = net_linear(n, x, &first);
        l.name = "mlp.fc2";
        l.in = m->hidden;
    }
    return net_tap(n, "image.embed", net_linear(n, x, &l));
}

static struct mohs_tensor *walk(const void *model, struct net *n,
                                uint32_t tower,
                                const struct mohs_tower_inputs *in)
{
    const struct clip_convnext *m = model;
    if (tower == MOHS_TOWER_TEXT)
        return clip_text_walk(&m->text, n, in);
    if (tower == MOHS_TOWER_IMAGE)
        return image_tower(m, n, in->pixels);
    net_constant(n, "logit_scale", 2.6592f, 0, NULL);
    return NULL;
}

static int32_t probe(const struct mohs_host *host, const struct mohs_weights *w)
{
    struct config c = { .api = config_api(host), .w = w };
    const char *type = "";
    if (!c.api)
        return 0;
    c.api->config_string(w, "model_type", &type);
    if (!strcmp(type, "clip_convnext"))
        return 90;
    return has_tensor(&c, "visual.trunk.stages.0.blocks.0.conv_dw.weight") &&
                   (has_tensor(&c, "transformer.resblocks.0.ln_1.weight") ||
                    has_tensor(&c, CLIP_TEXT "final_layer_norm.weight"))
               ? 95 : 0;
}

static void read_all(struct config *c, void *model, uint32_t *blocks,
                     uint32_t *text_blocks)
{
    struct clip_convnext *m = model;
    struct mohs_model_info *i = &m->base.info;
    m->base.map = c->map = clip_text_map(c, names);
    m->net.at = "visual.trunk.";
    c->section = config_vision(c);
    convnext_read(c, &m->net);
    m->hidden = tensor_dim(c, "visual.head.mlp.fc1.bias", 0, 0);
    const char *last = m->hidden ? "visual.head.mlp.fc2.weight"
                                 : "visual.head.proj.weight";
    m->bias = has_tensor(c, m->hidden ? "visual.head.mlp.fc2.bias"
                                      : "visual.head.proj.bias");
    i->embed_dim = tensor_dim(c, last, 0,
                              config_either(c, "model_cfg.embed_dim",
                                            "vision_config.projection_dim", 640,
                                            1 << 16));
    i->image_height = i->image_width = config_count(c, "image_size", 256, 4096);
    const char *pool = config_string(c, "timm_pool", "");
    if (*pool && strcmp(pool, "avg"))
        config_fail(c, "timm_pool", "is neither empty nor avg");
    clip_text_read(c, &m->text, i);
    *blocks = convnext_blocks(&m->net);
    *text_blocks = m->text.tower.layers;
}

static mohs_status create(const struct mohs_host *host, const void *params,
                          const struct mohs_weights *w, void **self,
                          struct mohs_error *err)
{
    static const char *const whole[] = { "visual.", "transformer.",
                                         "token_embedding", "ln_final",
                                         "text_model.", NULL };
    static const struct base_plan plan = { "clip_convnext",
                                           sizeof(struct clip_convnext), walk,
                                           read_all, whole };
    (void)params;
    return base_create(&plan, host, w, self, err);
}

static const struct mohs_model_ops ops = BASE_OPS(probe, create);

const struct mohs_item clip_convnext_item = {
    .size = sizeof clip_convnext_item,
    .param_stride = sizeof(struct mohs_param),
    .kind = MOHS_KIND_MODEL,
    .id = "clip_convnext",
    .summary = "CLIP with a ConvNeXt: convnext_base to convnext_xxlarge, names "
               "of open_clip",
    .ops = &ops,
};
