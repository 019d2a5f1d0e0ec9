/* SPDX-License-Identifier: MIT */
/*
 * The plugin's own names are those of transformers' CLIPModel; here is what
 * OpenAI's code and open_clip call the same parameters. `t` is put before the
 * text tower's: "" or, in open_clip's CustomTextCLIP, "text.".
 */
#ifndef MODELS_CLIP_NAMES_H
#define MODELS_CLIP_NAMES_H

#include "clip/clip.h"

#define NAMED(own, theirs) { own, theirs, 0, 0 }
#define TURNED(own, theirs) { own, theirs, 0, RENAME_TURNED }
#define FUSED(own, theirs, i) { own, theirs, i, 3 }

#define BLOCK_NAMES(own, theirs)                                          \
    NAMED(own "#.layer_norm1.*", theirs "#.ln_1.*"),                      \
    NAMED(own "#.layer_norm2.*", theirs "#.ln_2.*"),                      \
    FUSED(own "#.self_attn.q_proj.*", theirs "#.attn.in_proj_*", 0),      \
    FUSED(own "#.self_attn.k_proj.*", theirs "#.attn.in_proj_*", 1),      \
    FUSED(own "#.self_attn.v_proj.*", theirs "#.attn.in_proj_*", 2),      \
    NAMED(own "#.self_attn.out_proj.*", theirs "#.attn.out_proj.*"),      \
    NAMED(own "#.mlp.fc1.*", theirs "#.mlp.c_fc.*"),                      \
    NAMED(own "#.mlp.fc2.*", theirs "#.mlp.c_proj.*"),                    \
    NAMED(own "#.ls_1.gamma", theirs "#.ls_1.gamma"),                     \
    NAMED(own "#.ls_2.gamma", theirs "#.ls_2.gamma")

#define OPENAI_NAMES(t)                                                   \
    {                                                                     \
        NAMED(IMAGE "embeddings.class_embedding",                         \
              "visual.class_embedding"),                                  \
        NAMED(IMAGE "embeddings.patch_embedding.weight",                  \
              "visual.conv1.weight"),                                     \
        NAMED(IMAGE "embeddings.position_embedding.weight",               \
              "visual.positional_embedding"),                             \
        NAMED(IMAGE "pre_layrnorm.*", "visual.ln_pre.*"),                 \
        BLOCK_NAMES(IMAGE_BLOCKS, "visual.transformer.resblocks."),       \
        NAMED(IMAGE "post_layernorm.*", "visual.ln_post.*"),              \
        TURNED("visual_projection.weight", "visual.proj"),                \
        NAMED(TEXT "embeddings.token_embedding.weight",                   \
              t "token_embedding.weight"),                                \
        NAMED(TEXT "embeddings.position_embedding.weight",                \
              t "positional_embedding"),                                  \
        BLOCK_NAMES(TEXT_BLOCKS, t "transformer.resblocks."),             \
        NAMED(TEXT "final_layer_norm.*", t "ln_final.*"),                 \
        TURNED("text_projection.weight", t "text_projection"),            \
        { NULL, NULL, 0, 0 },                                             \
    }

#endif
