/* SPDX-License-Identifier: MIT */
/* BLIP's parts: what the towers (blip.c), the configuration (blip_config.c)
 * and BERT with its cross-attention (blip_bert.c) share. */
#ifndef MODELS_BLIP_H
#define MODELS_BLIP_H

#include "common/base.h"

#define IMAGE "vision_model."
#define IMAGE_BLOCKS "vision_model.encoder.layers."
#define TEXT "text_encoder."
#define TEXT_BLOCKS "text_encoder.encoder.layer."
#define ITM_HEAD "itm_head"

struct blip {
    struct base base;
    struct tower image, text;
    uint32_t patch, positions, text_positions;
    int has_scale;
    int original; /* names of Salesforce's checkpoints */
    int has_itm;
    int32_t enc; /* what the first token of a pair becomes; -1: it stays */
    struct mohs_pair_info pair;
    char image_tap[24];
};

/* blip_config.c: fills the model; errors go into c. */
void blip_read(struct config *c, void *model, uint32_t *blocks,
               uint32_t *text_blocks);

/* blip_bert.c */

/* Of the text alone: [n, embed_dim]. */
struct mohs_tensor *blip_text(const struct blip *m, struct net *n,
                              const struct mohs_tower_inputs *in);
/* The parameters that only pairs need. */
void blip_list_pairs(const struct blip *m, struct net *n);
/* Logits of no match and match [n, 2]. */
struct mohs_tensor *blip_pairs(const struct blip *m, struct net *n,
                               const struct mohs_pair_inputs *in);

#endif
