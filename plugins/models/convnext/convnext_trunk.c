/* SPDX-License-Identifier: MIT */
/* Blocks and stages of ConvNeXt, in timm's names; see convnext.h. */
#include <stdio.h>

#include "convnext/convnext.h"

/* Global response normalisation (Woo et al. 2023): x + bias + gain x times
 * |x| of the channel over the pixels, by its mean over the channels. */
static struct mohs_tensor *grn(struct net *n, struct mohs_tensor *x, uint32_t c)
{
    uint32_t d[4];
    for (uint32_t i = 0; i < 4; i++)
        d[i] = net_dim(n, x, i);
    struct mohs_tensor *gain = net_constant(n, "mlp.grn.weight", 0, DIMS(c));
    struct mohs_tensor *bias = net_constant(n, "mlp.grn.bias", 0, DIMS(c));
    struct mohs_attr pixels[] = { { "from", 1 }, { "to", 3 } };
    struct mohs_attr mean[] = { { "from", 1 }, { "scale", 1.0 / c } };
    struct mohs_attr eps[] = { { "add", 1e-6 } };
    struct mohs_attr wide[] = { { "from", 1 }, { "to", 2 }, { "d0", d[0] },
                                { "d1", c } };
    struct mohs_attr back[] = { { "from", 1 }, { "to", 3 }, { "d0", d[0] },
                                { "d1", d[1] }, { "d2", d[2] }, { "d3", c } };
    struct mohs_tensor *g = net_op(n, "square", &x, 1, NULL, 0);
    g = net_op(n, "reduce", &g, 1, pixels, 2);
    g = net_op(n, "sqrt", &g, 1, NULL, 0);
    struct mohs_tensor *m = net_op(n, "reduce", &g, 1, mean, 2);
    m = net_op(n, "affine", &m, 1, eps, 1);
    struct mohs_tensor *in[] = { g, net_op(n, "expand", &m, 1, wide, 4) };
    g = net_mul(n, net_op(n, "div", in, 2, NULL, 0), gain);
    g = net_op(n, "expand", &g, 1, back, 6);
    return net_add(n, net_add(n, x, net_mul(n, x, g)), bias);
}

/* x + scale * mlp(norm(depthwise(x))) */
static struct mohs_tensor *block(const struct convnext *m, struct net *n,
                                 struct mohs_tensor *x, uint32_t w)
{
    struct mohs_tensor *y = net_depthwise(n, x, "conv_dw", w, m->kernel);
    struct linear l = { .name = "mlp.fc1", .out = m->mlp * w, .in = w,
                        .act = m->act };
    y = net_linear(n, net_norm(n, y, "norm", w, m->eps), &l);
    if (m->grn)
        y = grn(n, y, m->mlp * w);
    l = (struct linear) { .name = "mlp.fc2", .out = w, .in = m->mlp * w,
                          .residual = m->scaled ? NULL : x };
    y = net_linear(n, y, &l);
    if (!m->scaled)
        return y;
    return net_add(n, x, net_mul(n, y, net_constant(n, "gamma", 1, DIMS(w))));
}

struct mohs_tensor *convnext_trunk(const struct convnext *m, struct net *n,
                                   struct mohs_tensor *pixels)
{
    uint32_t done = 0;
    net_at(n, "%s", m->at);
    struct conv c = { .name = "stem.0", .out = m->width[0], .in = 3,
                      .k = m->patch, .stride = m->patch };
    struct mohs_tensor *x = net_conv(n, net_channels_last(n, pixels), &c);
    x = net_norm(n, x, "stem.1", m->width[0], m->eps);
    x = net_tap_picture(n, "image.patch", x);
    for (int k = 0; k < CONVNEXT_STAGES; k++) {
        net_at(n, "%sstages.%d.downsample.", m->at, k);
        if (k > 0) {
            c = (struct conv) { .name = "1", .out = m->width[k],
                                .in = m->width[k - 1], .k = 2, .stride = 2 };
            x = net_norm(n, x, "0", m->width[k - 1], m->eps);
            x = net_conv(n, x, &c);
        }
        for (uint32_t i = 0; i < m->blocks[k]; i++) {
            char tap[24];
            net_at(n, "%sstages.%d.blocks.%u.", m->at, k, i);
            x = block(m, n, x, m->width[k]);
            snprintf(tap, sizeof tap, "image.block.%u", done++);
            x = net_tap_picture(n, tap, x);
        }
    }
    net_at(n, "%s", m->at);
    return net_norm(n, net_global_pool(n, x), "head.norm",
                    m->width[CONVNEXT_STAGES - 1], m->head_eps);
}

uint32_t convnext_blocks(const struct convnext *m)
{
    uint32_t n = 0;
    for (int k = 0; k < CONVNEXT_STAGES; k++)
        n += m->blocks[k];
    return n;
}

/* ---- sizes ------------------------------------------------------------- */

static uint32_t dim_of(const struct config *c, const struct convnext *m,
                       const char *name, int axis, uint32_t def)
{
    char full[CONFIG_NAME];
    snprintf(full, sizeof full, "%s%s", m->at, name);
    return tensor_dim(c, full, axis, def);
}

static int has(const struct config *c, const struct convnext *m,
               const char *name)
{
    char full[CONFIG_NAME];
    snprintf(full, sizeof full, "%s%s", m->at, name);
    return has_tensor(c, full);
}

void convnext_read(struct config *c, struct convnext *m)
{
    static const uint32_t blocks[CONVNEXT_STAGES] = { 3, 3, 9, 3 };
    char name[CONFIG_NAME];
    for (int k = 0; k < CONVNEXT_STAGES; k++) {
        snprintf(name, sizeof name, "%sstages.%d.blocks.", m->at, k);
        m->blocks[k] = count_tensors(
            c, name, ".conv_dw.weight",
            config_entry(c, "depths", k, blocks[k], NET_LAYERS_MAX));
        snprintf(name, sizeof name, "stages.%d.blocks.0.norm.weight", k);
        m->width[k] = dim_of(c, m, name, 0,
                             config_entry(c, "hidden_sizes", k, 96u << k, 1 << 16));
    }
    m->patch = dim_of(c, m, "stem.0.weight", -1,
                      config_count(c, "patch_size", 4, 256));
    m->kernel = dim_of(c, m, "stages.0.blocks.0.conv_dw.weight", -1, 7);
    m->mlp = dim_of(c, m, "stages.0.blocks.0.mlp.fc1.bias", 0,
                    4 * m->width[0]) / m->width[0];
    m->grn = has(c, m, "stages.0.blocks.0.mlp.grn.weight");
    m->scaled = !c->api->name(c->w, 0) ||
                has(c, m, "stages.0.blocks.0.gamma");
    // timm's xxlarge, which CLIP uses, has the larger one
    m->eps = m->width[0] == 384 ? 1e-5 : 1e-6;
    m->head_eps = config_number(c, "layer_norm_eps", m->eps, 1e-12, 1);
    m->act = config_activation(c, "hidden_act", "gelu");
    if (c->st >= 0 && convnext_blocks(m) > NET_LAYERS_MAX)
        c->st = mohs_fail(c->err, MOHS_E_FORMAT, "%s: %u blocks, at most %d",
                          c->api->path(c->w), convnext_blocks(m),
                          NET_LAYERS_MAX);
}
