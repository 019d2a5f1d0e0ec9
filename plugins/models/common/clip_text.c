/* SPDX-License-Identifier: MIT */
/* The text tower of CLIP; see clip_text.h. */
#include "common/clip_text.h"

#include <math.h>

static const struct block_names block = {
    .norm1 = "layer_norm1", .q = "self_attn.q_proj", .k = "self_attn.k_proj",
    .v = "self_attn.v_proj", .out = "self_attn.out_proj",
    .norm2 = "layer_norm2", .fc1 = "mlp.fc1", .fc2 = "mlp.fc2",
};

#define SECTION "model_cfg.text_cfg"

/* OpenAI's weights come without a configuration and are made for quick gelu;
 * open_clip's configuration says so when they are. */
static int activation(struct config *c)
{
    double x;
    if (c->api->config_number(c->w, SECTION ".width", &x) <= 0)
        return MOHS_ACT_QUICK_GELU;
    c->section = "model_cfg";
    return config_number(c, "quick_gelu", 0, 0, 1) > 0 ? MOHS_ACT_QUICK_GELU
                                                        : MOHS_ACT_GELU;
}

/* A size: open_clip's key, else transformers', else `def`. */
#define SIZE(c, key, other, def, max) \
    config_either(c, SECTION "." key, "text_config." other, def, max)

const struct rename *clip_text_map(const struct config *c,
                                   const struct rename *published)
{
    struct config own = *c;
    own.map = NULL;
    return has_tensor(&own, CLIP_TEXT "final_layer_norm.weight") ? NULL : published;
}

static void read_tower(struct config *c, struct tower *t)
{
    t->act = activation(c);
    t->at = CLIP_TEXT_BLOCKS;
    t->names = &block;
    t->width = SIZE(c, "width", "hidden_size",
                    tensor_dim(c, CLIP_TEXT "final_layer_norm.weight", 0, 512),
                    16384);
    c->section = "text_config";
    t->mlp = config_count(
        c, "intermediate_size",
        tensor_dim(c, CLIP_TEXT_BLOCKS "0.mlp.fc1.bias", 0, 4 * t->width),
        65536);
    t->layers = SIZE(c, "layers", "num_hidden_layers",
                     count_tensors(c, CLIP_TEXT_BLOCKS, ".mlp.fc1.bias", 12),
                     NET_LAYERS_MAX);
    t->heads = SIZE(c, "heads", "num_attention_heads", (t->width + 63) / 64,
                    256);
    c->section = SECTION;
    t->eps = config_number(c, "norm_kwargs.eps", 1e-5, 1e-12, 1);
    tower_check(c, t, "heads");
}

void clip_text_read(struct config *c, struct clip_text *t,
                    struct mohs_model_info *info)
{
    read_tower(c, &t->tower);
    t->embed = info->embed_dim;
    t->context = SIZE(
        c, "context_length", "max_position_embeddings",
        tensor_dim(c, CLIP_TEXT "embeddings.position_embedding.weight", 0, 77),
        65536);
    t->vocab = SIZE(
        c, "vocab_size", "vocab_size",
        tensor_dim(c, CLIP_TEXT "embeddings.token_embedding.weight", 0, 49408),
        1 << 24);
    if (t->context < 2)
        config_fail(c, "context_length", "is below 2");
    c->section = "";
    info->flags = MOHS_MODEL_CAUSAL_TEXT;
    info->towers = MOHS_TOWER_IMAGE | MOHS_TOWER_TEXT;
    info->context_length = t->context;
    info->vocab_size = t->vocab;
    info->logit_scale = expf(read_scalar(c, "logit_scale", 2.6592f));
}

struct mohs_tensor *clip_text_walk(const struct clip_text *t, struct net *n,
                                   const struct mohs_tower_inputs *in)
{
    const struct tower *w = &t->tower;
    net_at(n, "%s", CLIP_TEXT "embeddings.");
    struct mohs_tensor *x = net_embedding(n, in->tokens, "token_embedding.weight",
                                          t->vocab, w->width);
    x = net_add(n, x, net_normal(n, "position_embedding.weight", 0.01f,
                                 DIMS(t->context, w->width)));
    x = net_tap(n, "text.token", x);
    x = net_blocks(n, x, w, "text", MOHS_MASK_CAUSAL, NET_ALL);
    // the norm is per token, so it may follow the choice of the last token
    x = n->g ? mohs_take(n->api, n->g, x, in->last) : NULL;
    net_at(n, "%s", CLIP_TEXT);
    x = net_norm(n, x, "final_layer_norm", w->width, w->eps);
    net_at(n, "%s", "");
    x = net_linear(n, x, &(struct linear) { .name = "text_projection",
                                            .out = t->embed, .in = w->width,
                                            .no_bias = 1 });
    return net_tap(n, "text.embed", x);
}
