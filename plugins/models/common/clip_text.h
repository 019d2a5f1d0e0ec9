/* SPDX-License-Identifier: MIT */
/*
 * CLIP's causal text transformer, which goes with many image towers. The
 * parameters have transformers' names ("text_model.encoder.layers.0...",
 * "text_projection.weight"); CLIP_TEXT_NAMES(at) maps them to OpenAI's, which
 * open_clip has too, below `at` ("text." in its models with a text tower of
 * their own).
 */
#ifndef MODELS_CLIP_TEXT_H
#define MODELS_CLIP_TEXT_H

#include "common/net.h"

struct clip_text {
    struct tower tower;
    uint32_t context, vocab, embed;
};

/* Sizes from open_clip's configuration or transformers' text_config, and where
 * they are silent from the tensors; c->map and info->embed_dim are set. Fills in
 * what info says of such a model but for its pictures. */
void clip_text_read(struct config *c, struct clip_text *t,
                    struct mohs_model_info *info);
/* The embedding [n, embed], at taps text.token, text.block.<i>, text.embed. */
/* `published`, unless the file's text tower has this plugin's own names, as
 * training writes them: NULL. */
const struct rename *clip_text_map(const struct config *c,
                                   const struct rename *published);
struct mohs_tensor *clip_text_walk(const struct clip_text *t, struct net *n,
                                   const struct mohs_tower_inputs *in);

#define CLIP_TEXT "text_model."
#define CLIP_TEXT_BLOCKS "text_model.encoder.layers."
#define CLIP_TEXT_PART(at, name, part)                              \
    { CLIP_TEXT_BLOCKS "#.self_attn." name ".*",                    \
      at "transformer.resblocks.#.attn.in_proj_*", part, 3 }
#define CLIP_TEXT_SAME(at, name, source)                            \
    { CLIP_TEXT_BLOCKS "#." name ".*",                              \
      at "transformer.resblocks.#." source ".*", 0, 0 }
#define CLIP_TEXT_NAMES(at)                                         \
    { CLIP_TEXT "embeddings.token_embedding.*",                     \
      at "token_embedding.*", 0, 0 },                               \
        { CLIP_TEXT "embeddings.position_embedding.weight",         \
          at "positional_embedding", 0, 0 },                        \
        CLIP_TEXT_SAME(at, "layer_norm1", "ln_1"),                  \
        CLIP_TEXT_PART(at, "q_proj", 0),                            \
        CLIP_TEXT_PART(at, "k_proj", 1),                            \
        CLIP_TEXT_PART(at, "v_proj", 2),                            \
        CLIP_TEXT_SAME(at, "self_attn.out_proj", "attn.out_proj"),  \
        CLIP_TEXT_SAME(at, "layer_norm2", "ln_2"),                  \
        CLIP_TEXT_SAME(at, "mlp.fc1", "mlp.c_fc"),                  \
        CLIP_TEXT_SAME(at, "mlp.fc2", "mlp.c_proj"),                \
        { CLIP_TEXT "final_layer_norm.*", at "ln_final.*", 0, 0 },  \
        { "text_projection.weight", at "text_projection", 0,        \
          RENAME_TURNED }

#endif
