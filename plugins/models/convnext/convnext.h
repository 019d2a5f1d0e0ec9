/* SPDX-License-Identifier: MIT */
/* The trunk that ConvNeXt classifiers and CLIP's towers share. */
#ifndef MODELS_CONVNEXT_H
#define MODELS_CONVNEXT_H

#include "common/conv.h"

enum { CONVNEXT_STAGES = 4 };

struct convnext {
    const char *at; /* put before names: "visual.trunk." or "" */
    uint32_t blocks[CONVNEXT_STAGES], width[CONVNEXT_STAGES];
    uint32_t patch, kernel, mlp; /* mlp: times the width */
    int scaled, grn; /* layer scale (V1), response norm (V2) */
    int act;              /* of the MLP */
    double eps, head_eps; /* of norms, and of the last */
};

/* Sizes from the tensors; without any from the configuration, whose section is
 * set: depths, hidden_sizes, patch_size of transformers; else ConvNeXt-T's. */
void convnext_read(struct config *c, struct convnext *m);
uint32_t convnext_blocks(const struct convnext *m);
/* Pixels -> normed features [n, width of the last stage]; taps image.patch,
 * image.block.<i>. */
struct mohs_tensor *convnext_trunk(const struct convnext *m, struct net *n,
                                   struct mohs_tensor *pixels);

extern const struct mohs_item convnext_item, clip_convnext_item;

#endif
