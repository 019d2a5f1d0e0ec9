/* SPDX-License-Identifier: MIT */
/* The transformer block of vision transformers and their text towers; its
 * many names are data. */
#include "common/net.h"

#include <math.h>
#include <stdio.h>

/* Standard deviations of OpenAI's initialisation (CLIP, appendix). */
static float branch_std(const struct tower *t)
{
    return 1 / sqrtf((float)t->width) / sqrtf(2 * (float)t->layers);
}

static struct mohs_tensor *project(struct net *n, struct mohs_tensor *y,
                                   const struct tower *t, const char *name)
{
    return net_linear(n, y,
                      &(struct linear) { .name = name,
                                         .out = t->width,
                                         .in = t->width,
                                         .no_bias = t->no_qkv_bias });
}

/* x + scale * (y W^T + b). */
static struct mohs_tensor *branch(struct net *n, struct mohs_tensor *x,
                                  struct mohs_tensor *y, const char *name,
                                  const char *scale, uint32_t in,
                                  const struct tower *t)
{
    struct linear l = { .name = name,
                        .out = t->width,
                        .in = in,
                        .std = branch_std(t),
                        .residual = scale ? NULL : x };
    y = net_linear(n, y, &l);
    if (!scale)
        return y;
    return net_add(n, x,
                   net_mul(n, y, net_constant(n, scale, 1, DIMS(t->width))));
}

/* The MLP half of a block, on tokens [n, t, w] or on one each [n, w]. */
static struct mohs_tensor *mlp(struct net *n, struct mohs_tensor *x,
                               const struct tower *t)
{
    const struct block_names *b = t->names;
    struct mohs_tensor *y = net_norm(n, x, b->norm2, t->width, t->eps);
    struct linear l = { .name = b->fc1,
                        .out = t->mlp,
                        .in = t->width,
                        .std = 1 / sqrtf(2 * (float)t->width),
                        .act = t->act };
    if (b->norm_mlp)
        y = net_norm(n, y, b->norm_mlp, t->width, t->eps);
    struct mohs_tensor *h = net_linear(n, y, &l);
    if (b->gate) {
        l.name = b->gate;
        l.act = MOHS_ACT_NONE;
        h = net_mul(n, h, net_linear(n, y, &l));
    }
    return branch(n, x, h, b->fc2, b->scale2, t->mlp, t);
}

/* The block's output at one token: keys and values of all tokens, the rest
 * for one. y is the normed input x. */
static struct mohs_tensor *one_token(struct net *n, struct mohs_tensor *x,
                                     struct mohs_tensor *y,
                                     struct mohs_tensor *k,
                                     struct mohs_tensor *v,
                                     const struct tower *t, int token)
{
    uint32_t rows = net_dim(n, x, 0), w = t->width;
    struct mohs_tensor *q = project(n, net_token(n, y, token), t, t->names->q);
    y = net_attention(n, net_reshape(n, q, DIMS(rows, 1, w)), k, v, NULL,
                      t->heads, MOHS_MASK_NONE);
    x = branch(n, net_token(n, x, token), net_reshape(n, y, DIMS(rows, w)),
               t->names->out, t->names->scale1, w, t);
    return mlp(n, x, t);
}

struct mohs_tensor *net_blocks(struct net *n, struct mohs_tensor *x,
                               const struct tower *t, const char *side,
                               int mask, int token)
{
    const struct block_names *b = t->names;
    struct mohs_tensor *short_cut = NULL;
    for (uint32_t i = 0; i < t->layers; i++) {
        char tap[32];
        net_at(n, "%s%u.", t->at, i);
        struct mohs_tensor *y = net_norm(n, x, b->norm1, t->width, t->eps);
        struct mohs_tensor *q = project(n, y, t, b->q);
        struct mohs_tensor *k = project(n, y, t, b->k);
        struct mohs_tensor *v = project(n, y, t, b->v);
        if (n->g && token != NET_ALL && i + 1 == t->layers)
            short_cut = one_token(n, x, y, k, v, t, token);
        y = net_attention(n, q, k, v, NULL, t->heads, mask);
        x = mlp(n, branch(n, x, y, b->out, b->scale1, t->width, t), t);
        snprintf(tap, sizeof tap, "%s.block.%u", side, i);
        struct mohs_tensor *seen = x;
        x = net_tap(n, tap, x);
        if (x != seen)
            short_cut = NULL; // perturbed: it must be the one that is used
    }
    if (token == NET_ALL)
        return x;
    return short_cut ? short_cut : net_token(n, x, token);
}

void tower_check(struct config *c, const struct tower *t, const char *key)
{
    char text[64];
    if (c->st >= 0 && (!t->heads || t->width % t->heads)) {
        snprintf(text, sizeof text, "is %u, which does not divide the width %u",
                 t->heads, t->width);
        config_fail(c, key, text);
    }
    if (c->st >= 0 && (!t->layers || t->layers > NET_LAYERS_MAX)) {
        snprintf(text, sizeof text, "blocks: %u, not 1..%d", t->layers,
                 NET_LAYERS_MAX);
        config_fail(c, key, text);
    }
}
