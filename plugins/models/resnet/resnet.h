/* SPDX-License-Identifier: MIT */
/* The four stages that all ResNets share, classifiers and CLIP's. */
#ifndef MODELS_RESNET_H
#define MODELS_RESNET_H

#include "common/conv.h"

enum { RESNET_STAGES = 4 };

struct stage {
    uint32_t blocks, mid, out; /* channels inside a block and behind it */
    uint32_t per_group;        /* channels that one group of conv2 sees */
    int shortcut;              /* the first block's has a convolution */
};

struct resnet {
    const char *at; /* put before names: "visual." or "" */
    uint32_t stem;
    int bottleneck;
    int antialias; /* CLIP's: strides are mean pools before a convolution */
    struct stage stage[RESNET_STAGES];
};

/* Sizes from the tensors; without any from the configuration, whose section is
 * set: depths, hidden_sizes and layer_type of transformers, layers of
 * open_clip; else those of ResNet-50. m->stem is known. */
void resnet_read(struct config *c, struct resnet *m);
uint32_t resnet_blocks(const struct resnet *m);
/* x after the stem -> the last stage's picture; taps image.block.<i>. */
struct mohs_tensor *resnet_stages(const struct resnet *m, struct net *n,
                                  struct mohs_tensor *x);

extern const struct mohs_item resnet_item, clip_resnet_item;

#endif
