/* SPDX-License-Identifier: MIT */
/* Blocks and stages of ResNets; see resnet.h. */
#include <stdio.h>
#include <string.h>

#include "resnet/resnet.h"

static struct mohs_tensor *halve(struct net *n, struct mohs_tensor *x,
                                 uint32_t stride)
{
    return stride > 1 ? net_pool(n, "avg_pool2d", x, stride, stride, 0) : x;
}

/* The branch beside a stage's first block. */
static struct mohs_tensor *shortcut(const struct resnet *m, struct net *n,
                                    struct mohs_tensor *x, uint32_t in,
                                    const struct stage *s, uint32_t stride)
{
    if (!s->shortcut)
        return x;
    return net_conv(n, m->antialias ? halve(n, x, stride) : x,
                    &(struct conv) { .name = "downsample.0",
                                     .norm = "downsample.1", .out = s->out,
                                     .in = in, .k = 1,
                                     .stride = m->antialias ? 1 : stride });
}

static struct mohs_tensor *bottleneck(const struct resnet *m, struct net *n,
                                      struct mohs_tensor *x,
                                      struct mohs_tensor *residual, uint32_t in,
                                      const struct stage *s, uint32_t stride)
{
    struct conv c = { .name = "conv1", .norm = "bn1", .out = s->mid, .in = in,
                      .k = 1, .stride = 1, .act = MOHS_ACT_RELU };
    x = net_conv(n, x, &c);
    c = (struct conv) { .name = "conv2", .norm = "bn2", .out = s->mid,
                        .in = s->per_group, .k = 3, .pad = 1,
                        .stride = m->antialias ? 1 : stride,
                        .groups = s->mid / s->per_group, .act = MOHS_ACT_RELU };
    x = net_conv(n, x, &c);
    if (m->antialias)
        x = halve(n, x, stride);
    c = (struct conv) { .name = "conv3", .norm = "bn3", .out = s->out,
                        .in = s->mid, .k = 1, .stride = 1,
                        .act = MOHS_ACT_RELU, .residual = residual };
    return net_conv(n, x, &c);
}

static struct mohs_tensor *basic(struct net *n, struct mohs_tensor *x,
                                 struct mohs_tensor *residual, uint32_t in,
                                 const struct stage *s, uint32_t stride)
{
    struct conv c = { .name = "conv1", .norm = "bn1", .out = s->mid, .in = in,
                      .k = 3, .pad = 1, .stride = stride,
                      .act = MOHS_ACT_RELU };
    x = net_conv(n, x, &c);
    c = (struct conv) { .name = "conv2", .norm = "bn2", .out = s->out,
                        .in = s->mid, .k = 3, .pad = 1, .stride = 1,
                        .act = MOHS_ACT_RELU, .residual = residual };
    return net_conv(n, x, &c);
}

struct mohs_tensor *resnet_stages(const struct resnet *m, struct net *n,
                                  struct mohs_tensor *x)
{
    uint32_t in = m->stem, block = 0;
    for (int k = 0; k < RESNET_STAGES; k++) {
        const struct stage *s = &m->stage[k];
        for (uint32_t i = 0; i < s->blocks; i++) {
            char tap[24];
            uint32_t stride = i == 0 && k > 0 ? 2 : 1;
            net_at(n, "%slayer%d.%u.", m->at, k + 1, i);
            struct mohs_tensor *r =
                i == 0 ? shortcut(m, n, x, in, s, stride) : x;
            x = m->bottleneck ? bottleneck(m, n, x, r, in, s, stride)
                              : basic(n, x, r, in, s, stride);
            in = s->out;
            snprintf(tap, sizeof tap, "image.block.%u", block++);
            x = net_tap_picture(n, tap, x);
        }
    }
    return x;
}

uint32_t resnet_blocks(const struct resnet *m)
{
    uint32_t n = 0;
    for (int k = 0; k < RESNET_STAGES; k++)
        n += m->stage[k].blocks;
    return n;
}

/* ---- sizes ------------------------------------------------------------- */

static uint32_t block_dim(const struct config *c, const struct resnet *m, int k,
                          const char *part, int axis, uint32_t def)
{
    char name[CONFIG_NAME];
    snprintf(name, sizeof name, "%slayer%d.0.%s", m->at, k + 1, part);
    return tensor_dim(c, name, axis, def);
}

static void read_stage(struct config *c, struct resnet *m, int k)
{
    static const uint32_t blocks[RESNET_STAGES] = { 3, 4, 6, 3 };
    struct stage *s = &m->stage[k];
    char name[CONFIG_NAME];
    snprintf(name, sizeof name, "%slayer%d.", m->at, k + 1);
    s->blocks = config_entry(c, "layers", k, blocks[k], NET_LAYERS_MAX);
    s->blocks = config_entry(c, "depths", k, s->blocks, NET_LAYERS_MAX);
    s->blocks = count_tensors(c, name, ".conv1.weight", s->blocks);
    uint32_t wider = m->bottleneck ? 4 : 1; // than inside a block
    s->out = config_entry(c, "hidden_sizes", k, (double)(wider * m->stem << k),
                          1 << 16);
    s->mid = block_dim(c, m, k, "bn1.weight", 0, (s->out + wider - 1) / wider);
    s->out = block_dim(c, m, k, m->bottleneck ? "bn3.weight" : "bn2.weight", 0,
                       s->out);
    s->per_group = block_dim(c, m, k, "conv2.weight", 1, s->mid);
    snprintf(name, sizeof name, "%slayer%d.0.downsample.0.weight", m->at, k + 1);
    s->shortcut = !c->api->name(c->w, 0) || has_tensor(c, name);
    if (c->st >= 0 && (!s->per_group || s->mid % s->per_group))
        c->st = mohs_fail(c->err, MOHS_E_FORMAT,
                          "%s: layer%d.0.conv2 sees %u of %u channels",
                          c->api->path(c->w), k + 1, s->per_group, s->mid);
}

void resnet_read(struct config *c, struct resnet *m)
{
    char name[CONFIG_NAME];
    snprintf(name, sizeof name, "%slayer1.0.conv3.weight", m->at);
    m->bottleneck = c->api->name(c->w, 0)
                        ? has_tensor(c, name)
                        : strcmp(config_string(c, "layer_type", ""), "basic") != 0;
    for (int k = 0; k < RESNET_STAGES; k++)
        read_stage(c, m, k);
    if (c->st >= 0 && resnet_blocks(m) > NET_LAYERS_MAX)
        c->st = mohs_fail(c->err, MOHS_E_FORMAT, "%s: %u blocks, at most %d",
                          c->api->path(c->w), resnet_blocks(m), NET_LAYERS_MAX);
}
