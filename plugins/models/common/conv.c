/* SPDX-License-Identifier: MIT */
/* Convolutional layers; see conv.h. */
#include "common/conv.h"

#include <math.h>
#include <stdio.h>

static struct mohs_tensor *vector(struct net *n, const char *name,
                                  const char *part, float value, uint32_t size)
{
    char full[NET_NAME];
    snprintf(full, sizeof full, "%s.%s", name, part);
    return net_constant(n, full, value, DIMS(size));
}

static struct mohs_tensor *statistic(struct net *n, const char *name,
                                     const char *part, float value,
                                     uint32_t size)
{
    char full[NET_NAME];
    snprintf(full, sizeof full, "%s.%s", name, part);
    return net_fixed(n, full, value, DIMS(size));
}

/* Scale and shift of a batch norm at its running statistics. */
static struct mohs_tensor *batch_norm(struct net *n, const char *name,
                                      uint32_t size)
{
    struct mohs_tensor *gain = vector(n, name, "weight", 1, size);
    struct mohs_tensor *bias = vector(n, name, "bias", 0, size);
    struct mohs_tensor *mean = statistic(n, name, "running_mean", 0, size);
    struct mohs_tensor *var = statistic(n, name, "running_var", 1, size);
    struct mohs_tensor *in[] = { mean, var, gain, bias };
    return net_op(n, "batch_norm_fold", in, 4, NULL, 0);
}

struct mohs_tensor *net_conv(struct net *n, struct mohs_tensor *x,
                             const struct conv *c)
{
    char name[NET_NAME];
    float std = sqrtf(2.0f / (float)(c->in * c->k * c->k));
    snprintf(name, sizeof name, "%s.weight", c->name);
    struct mohs_tensor *w =
        net_normal(n, name, std, DIMS(c->out, c->in, c->k, c->k));
    struct mohs_tensor *norm = c->norm ? batch_norm(n, c->norm, c->out) : NULL;
    struct mohs_tensor *b = NULL;
    if (!c->norm && !c->no_bias)
        b = vector(n, c->name, "bias", 0, c->out);
    struct mohs_tensor *in[] = { x, w, b, norm, c->residual };
    struct mohs_attr at[] = { { "stride", c->stride }, { "pad", c->pad },
                              { "groups", c->groups ? c->groups : 1 },
                              { "act", c->act } };
    return net_op(n, "conv2d", in, 5, at, 4);
}

struct mohs_tensor *net_depthwise(struct net *n, struct mohs_tensor *x,
                                  const char *name, uint32_t c, uint32_t k)
{
    char full[NET_NAME];
    snprintf(full, sizeof full, "%s.weight", name);
    struct mohs_tensor *w = net_normal(n, full, 1 / (float)k, DIMS(c, 1, k, k));
    struct mohs_tensor *in[] = { x, w, vector(n, name, "bias", 0, c) };
    struct mohs_attr at[] = { { "pad", k / 2 } };
    return net_op(n, "depthwise_conv2d", in, 3, at, 1);
}

struct mohs_tensor *net_pool(struct net *n, const char *op,
                             struct mohs_tensor *x, uint32_t k, uint32_t stride,
                             uint32_t pad)
{
    struct mohs_attr at[] = { { "k", k }, { "stride", stride }, { "pad", pad } };
    return net_op(n, op, &x, 1, at, 3);
}

struct mohs_tensor *net_channels_last(struct net *n, struct mohs_tensor *x)
{
    return net_op(n, "channels_last", &x, 1, NULL, 0);
}

struct mohs_tensor *net_global_pool(struct net *n, struct mohs_tensor *x)
{
    return net_op(n, "global_avg_pool", &x, 1, NULL, 0);
}

struct mohs_tensor *net_tap_picture(struct net *n, const char *name,
                                    struct mohs_tensor *x)
{
    uint32_t d[4];
    for (uint32_t i = 0; i < 4; i++)
        d[i] = net_dim(n, x, i);
    x = net_reshape(n, x, DIMS(d[0], d[1] * d[2], d[3]));
    return net_reshape(n, net_tap(n, name, x), 4, d);
}
