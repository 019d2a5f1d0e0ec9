/* SPDX-License-Identifier: MIT */
/* What clip.c builds and clip_config.c reads out of a checkpoint. */
#ifndef MODELS_CLIP_H
#define MODELS_CLIP_H

#include "common/net.h"

#define IMAGE "vision_model."
#define TEXT "text_model."
#define IMAGE_BLOCKS IMAGE "encoder.layers."
#define TEXT_BLOCKS TEXT "encoder.layers."

struct clip_params {
    int32_t activation; /* 0: as the checkpoint says */
    int32_t image_heads, text_heads; /* 0: likewise */
};
extern const char *const clip_activations[]; /* NULL-terminated */

/* What of the last block's tokens becomes the embedding. */
enum clip_pool { POOL_FIRST, POOL_MEAN, POOL_LAST, POOL_END };

struct clip {
    const struct rename *map; /* NULL: the plugin's own names */
    struct tower image, text;
    uint32_t patch, positions;
    enum clip_pool image_pool, text_pool;
    int norm_first;      /* a norm before the first block */
    int norm_after_pool; /* of the image tower: pooled, then normed */
    int text_mask;
    int sigmoid; /* has logit_bias */
    struct taps taps;
    struct mohs_model_info info;
};

/* How sure it is that these are CLIP's weights, 0..100. */
int32_t clip_probe(const struct config *c);
/* Fills m but for the taps; what does not fit is in c. */
void clip_read(struct config *c, const struct clip_params *p, struct clip *m);

#endif
