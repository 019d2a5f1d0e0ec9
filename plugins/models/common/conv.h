/* SPDX-License-Identifier: MIT */
/* Layers of convolutional towers, on pictures [n, h, w, c]. */
#ifndef MODELS_CONV_H
#define MODELS_CONV_H

#include "common/net.h"

/* Parameters NAME.weight and, without `norm`, NAME.bias; batch norm's own
 * four under the name `norm`. */
struct conv {
    const char *name, *norm;
    uint32_t out, in; /* `in`: channels that one result sees */
    uint32_t k, stride, pad;
    uint32_t groups; /* 0: 1 */
    int act, no_bias;
    struct mohs_tensor *residual; /* added before the activation */
};
struct mohs_tensor *net_conv(struct net *n, struct mohs_tensor *x,
                             const struct conv *c);
/* NAME.weight [c, 1, k, k] and NAME.bias, padded to keep the size. */
struct mohs_tensor *net_depthwise(struct net *n, struct mohs_tensor *x,
                                  const char *name, uint32_t c, uint32_t k);
/* "avg_pool2d" or "max_pool2d" */
struct mohs_tensor *net_pool(struct net *n, const char *op,
                             struct mohs_tensor *x, uint32_t k, uint32_t stride,
                             uint32_t pad);
/* Pixels [n, 3, h, w] to [n, h, w, 3]. */
struct mohs_tensor *net_channels_last(struct net *n, struct mohs_tensor *x);
/* Mean over the pixels: [n, c]. */
struct mohs_tensor *net_global_pool(struct net *n, struct mohs_tensor *x);
/* A tap that sees pixels as tokens [n, h w, c]. */
struct mohs_tensor *net_tap_picture(struct net *n, const char *name,
                                    struct mohs_tensor *x);

#endif
