/* SPDX-License-Identifier: MIT */
/* BLIP's configuration and its names in files: transformers', and those of
 * Salesforce's own checkpoints, which have no configuration. */
#include "blip/blip.h"

#include <math.h>
#include <stdio.h>

/* The names are those of transformers; q, k and v of an image block are one
 * matrix in files. */
static const struct block_names block = {
    .norm1 = "layer_norm1", .q = "self_attn.q_proj", .k = "self_attn.k_proj",
    .v = "self_attn.v_proj", .out = "self_attn.projection",
    .norm2 = "layer_norm2", .fc1 = "mlp.fc1", .fc2 = "mlp.fc2",
};

static const struct rename transformers[] = {
    { IMAGE_BLOCKS "#.self_attn.q_proj.*", IMAGE_BLOCKS "#.self_attn.qkv.*", 0,
      3 },
    { IMAGE_BLOCKS "#.self_attn.k_proj.*", IMAGE_BLOCKS "#.self_attn.qkv.*", 1,
      3 },
    { IMAGE_BLOCKS "#.self_attn.v_proj.*", IMAGE_BLOCKS "#.self_attn.qkv.*", 2,
      3 },
    { NULL, NULL, 0, 0 },
};

/* The image tower is timm's; the text encoder is named as transformers'. */
#define TIMM "visual_encoder."
#define TIMM_BLOCK "visual_encoder.blocks.#."

static const struct rename original[] = {
    { IMAGE_BLOCKS "#.self_attn.q_proj.*", TIMM_BLOCK "attn.qkv.*", 0, 3 },
    { IMAGE_BLOCKS "#.self_attn.k_proj.*", TIMM_BLOCK "attn.qkv.*", 1, 3 },
    { IMAGE_BLOCKS "#.self_attn.v_proj.*", TIMM_BLOCK "attn.qkv.*", 2, 3 },
    { IMAGE_BLOCKS "#.self_attn.projection.*", TIMM_BLOCK "attn.proj.*", 0, 0 },
    { IMAGE_BLOCKS "#.layer_norm1.*", TIMM_BLOCK "norm1.*", 0, 0 },
    { IMAGE_BLOCKS "#.layer_norm2.*", TIMM_BLOCK "norm2.*", 0, 0 },
    { IMAGE_BLOCKS "#.mlp.*", TIMM_BLOCK "mlp.*", 0, 0 },
    { IMAGE "embeddings.class_embedding", TIMM "cls_token", 0, 0 },
    { IMAGE "embeddings.position_embedding", TIMM "pos_embed", 0, 0 },
    { IMAGE "embeddings.patch_embedding.*", TIMM "patch_embed.proj.*", 0, 0 },
    { IMAGE "post_layernorm.*", TIMM "norm.*", 0, 0 },
    { NULL, NULL, 0, 0 },
};

/* BLIP cuts captions to this many tokens, when it trains and when it ranks. */
enum { CONTEXT = 35 };
/* The temperature that BLIP starts from: 0.07. */
#define LOG_SCALE 2.6592f

/* Absent keys have transformers' defaults, or what the tensors say. */
static void read_tower(struct config *c, const char *section, struct tower *t,
                       const char *norm, const char *fc1, const char *blocks,
                       const char *last)
{
    c->section = section;
    t->width = config_count(c, "hidden_size", tensor_dim(c, norm, 0, 768),
                            16384);
    t->mlp = config_count(c, "intermediate_size", tensor_dim(c, fc1, 0, 3072),
                          65536);
    t->layers = config_count(c, "num_hidden_layers",
                             count_tensors(c, blocks, last, 12),
                             NET_LAYERS_MAX);
    t->act = config_activation(c, "hidden_act", "gelu");
}

static void read_heads(struct config *c, const struct blip *m, struct tower *t,
                       double eps)
{
    // ViT-B, ViT-L and BERT: 64 a head
    t->heads = config_count(c, "num_attention_heads",
                            m->original ? (t->width + 63) / 64 : 12, 256);
    t->eps = config_number(c, "layer_norm_eps", eps, 1e-12, 1);
    tower_check(c, t, "num_attention_heads");
}

/* The side of a picture, from the positions of its patches. */
static uint32_t image_size(const struct config *c, const struct blip *m)
{
    uint32_t n = tensor_dim(c, IMAGE "embeddings.position_embedding", 0, 577);
    uint32_t side = (uint32_t)sqrt((double)n);
    return m->original && side ? side * m->patch : 384;
}

static void read_image(struct config *c, struct blip *m)
{
    struct mohs_model_info *i = &m->base.info;
    read_tower(c, "vision_config", &m->image, IMAGE "post_layernorm.weight",
               IMAGE_BLOCKS "0.mlp.fc1.bias", IMAGE_BLOCKS, ".mlp.fc1.bias");
    read_heads(c, m, &m->image, m->original ? 1e-6 : 1e-5);
    m->image.at = IMAGE_BLOCKS;
    m->image.names = &block;
    m->patch = config_count(
        c, "patch_size",
        tensor_dim(c, IMAGE "embeddings.patch_embedding.weight", -1, 16), 256);
    i->image_height = config_count(c, "image_size", image_size(c, m), 4096);
    i->image_width = i->image_height;
    m->positions = i->image_height / m->patch;
    m->positions = m->positions * m->positions + 1;
    if (m->positions < 2)
        config_fail(c, "image_size", "is smaller than patch_size");
}

static void read_text(struct config *c, struct blip *m)
{
    struct mohs_model_info *i = &m->base.info;
    read_tower(c, "text_config", &m->text, TEXT "embeddings.LayerNorm.weight",
               TEXT_BLOCKS "0.intermediate.dense.bias", TEXT_BLOCKS,
               ".intermediate.dense.bias");
    read_heads(c, m, &m->text, 1e-12);
    m->text_positions = config_count(
        c, "max_position_embeddings",
        tensor_dim(c, TEXT "embeddings.position_embeddings.weight", 0, 512),
        65536);
    i->context_length = m->text_positions < CONTEXT ? m->text_positions
                                                    : CONTEXT;
    i->vocab_size = config_count(
        c, "vocab_size",
        tensor_dim(c, TEXT "embeddings.word_embeddings.weight", 0, 30524),
        1 << 24);
}

static void read_both(struct config *c, struct blip *m)
{
    struct mohs_model_info *i = &m->base.info;
    c->section = "";
    i->embed_dim = config_count(c, "image_text_hidden_size",
                                tensor_dim(c, "vision_proj.bias", 0, 256),
                                65536);
    i->logit_scale =
        expf((float)config_number(c, "logit_scale_init_value",
                                  (double)LOG_SCALE, -20, 20));
    // a checkpoint for retrieval has none: it ranks by the cosine
    m->has_scale = has_tensor(c, "logit_scale") || !c->api->name(c->w, 0);
    if (has_tensor(c, "logit_scale"))
        i->logit_scale = expf(read_scalar(c, "logit_scale", LOG_SCALE));
    else if (has_tensor(c, "temp"))
        i->logit_scale = 1 / read_scalar(c, "temp", 0.07f);
    if (!(i->logit_scale > 0) || !isfinite(i->logit_scale))
        i->logit_scale = expf(LOG_SCALE);
}

void blip_read(struct config *c, void *model, uint32_t *blocks,
               uint32_t *text_blocks)
{
    struct blip *m = model;
    struct mohs_model_info *i = &m->base.info;
    const char *type = "";
    c->api->config_string(c->w, "model_type", &type);
    if (has_tensor(c, "visual_encoder.blocks.0.attn.qkv.weight"))
        m->base.map = c->map = original;
    else if (has_tensor(c, IMAGE_BLOCKS "0.self_attn.qkv.weight"))
        m->base.map = c->map = transformers;
    // it has no configuration, nor has what training makes of it
    m->original = m->base.map == original ||
                  (!m->base.map && !*type && c->api->name(c->w, 0));
    // no token sees what comes after the end, so padding may be cut
    i->flags = MOHS_MODEL_CAUSAL_TEXT;
    i->towers = MOHS_TOWER_IMAGE | MOHS_TOWER_TEXT;
    read_image(c, m);
    read_text(c, m);
    read_both(c, m);
    i->preprocessor = "{\"image_processor_type\": \"BlipImageProcessor\"}";
    m->has_itm = has_tensor(c, ITM_HEAD ".weight");
    snprintf(m->image_tap, sizeof m->image_tap, "image.block.%u",
             m->image.layers - 1);
    m->pair = (struct mohs_pair_info) { .size = sizeof m->pair, .n_scores = 2,
                                        .match = 1,
                                        .image_tap = m->image_tap };
    *blocks = m->image.layers;
    *text_blocks = m->text.layers;
}
