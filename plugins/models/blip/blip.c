/* SPDX-License-Identifier: MIT */
/*
 * BLIP for retrieval (Li et al. 2022), transformers' BlipForImageTextRetrieval:
 * a vision transformer and BERT. The embeddings are those of the contrastive
 * head (ITC): class token and first token, projected.
 *
 * Taps: image.patch (class token and patches with positions), image.block.<i>,
 * image.embed; text.token (word and position embeddings after their norm),
 * text.block.<i>, text.embed.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/base.h"

/* The names are those of transformers; q, k and v of an image block are one
 * matrix in its files. */
static const struct block_names block = {
    .norm1 = "layer_norm1", .q = "self_attn.q_proj", .k = "self_attn.k_proj",
    .v = "self_attn.v_proj", .out = "self_attn.projection",
    .norm2 = "layer_norm2", .fc1 = "mlp.fc1", .fc2 = "mlp.fc2",
};

#define IMAGE "vision_model."
#define IMAGE_BLOCKS "vision_model.encoder.layers."
#define TEXT "text_encoder."
#define TEXT_BLOCKS "text_encoder.encoder.layer."

static const struct rename transformers[] = {
    { IMAGE_BLOCKS "#.self_attn.q_proj.*", IMAGE_BLOCKS "#.self_attn.qkv.*", 0,
      3 },
    { IMAGE_BLOCKS "#.self_attn.k_proj.*", IMAGE_BLOCKS "#.self_attn.qkv.*", 1,
      3 },
    { IMAGE_BLOCKS "#.self_attn.v_proj.*", IMAGE_BLOCKS "#.self_attn.qkv.*", 2,
      3 },
    { NULL, NULL, 0, 0 },
};

/* BLIP cuts captions to this many tokens, when it trains and when it ranks. */
enum { CONTEXT = 35 };

struct blip {
    struct base base;
    struct tower image, text;
    uint32_t patch, positions, text_positions;
    int has_scale;
};

/* ---- BERT ---- */

static struct mohs_tensor *project(struct net *n, struct mohs_tensor *x,
                                   const char *part, const char *name,
                                   uint32_t width)
{
    char full[NET_NAME];
    snprintf(full, sizeof full, "%s.%s", part, name);
    return net_linear(n, x, &(struct linear) { .name = full, .out = width,
                                               .in = width, .std = 0.02f });
}

/* norm(x + dense(y)): BERT normalises last. */
static struct mohs_tensor *finish(struct net *n, struct mohs_tensor *x,
                                  struct mohs_tensor *y, const char *part,
                                  uint32_t in, const struct tower *t)
{
    char dense[NET_NAME], norm[NET_NAME];
    snprintf(dense, sizeof dense, "%s.dense", part);
    snprintf(norm, sizeof norm, "%s.LayerNorm", part);
    x = net_linear(n, y, &(struct linear) { .name = dense, .out = t->width,
                                            .in = in, .std = 0.02f,
                                            .residual = x });
    return net_norm(n, x, norm, t->width, t->eps);
}

/* k and v of a block's self-attention, from all tokens x. */
struct keys {
    struct mohs_tensor *k, *v;
};

static struct keys keys_of(struct net *n, struct mohs_tensor *x,
                           const struct tower *t)
{
    struct keys s = { NULL, NULL };
    s.k = project(n, x, "attention.self", "key", t->width);
    s.v = project(n, x, "attention.self", "value", t->width);
    return s;
}

/* One block on the tokens x [n, t, w], or on one of each sample [n, w]. */
static struct mohs_tensor *text_block(struct net *n, struct mohs_tensor *x,
                                      struct keys s, struct mohs_tensor *last,
                                      const struct tower *t, int one)
{
    uint32_t w = t->width, rows = net_dim(n, x, 0);
    struct mohs_tensor *q = project(n, x, "attention.self", "query", w);
    if (one)
        q = net_reshape(n, q, DIMS(rows, 1, w));
    struct mohs_tensor *y =
        net_attention(n, q, s.k, s.v, last, t->heads, MOHS_MASK_LAST);
    if (one)
        y = net_reshape(n, y, DIMS(rows, w));
    x = finish(n, x, y, "attention.output", w, t);
    y = net_linear(n, x, &(struct linear) { .name = "intermediate.dense",
                                            .out = t->mlp, .in = w,
                                            .std = 0.02f, .act = t->act });
    return finish(n, x, y, "output", t->mlp, t);
}

/* All blocks, and of them the first token [n, w]. Only that is made in the
 * last block, as long as its tap is left alone. */
static struct mohs_tensor *text_blocks(const struct tower *t, struct net *n,
                                       struct mohs_tensor *x,
                                       struct mohs_tensor *last)
{
    struct mohs_tensor *short_cut = NULL;
    for (uint32_t i = 0; i < t->layers; i++) {
        char tap[32];
        net_at(n, "%s%u.", TEXT_BLOCKS, i);
        struct keys s = keys_of(n, x, t);
        if (n->g && i + 1 == t->layers)
            short_cut = text_block(n, net_token(n, x, 0), s, last, t, 1);
        x = text_block(n, x, s, last, t, 0);
        snprintf(tap, sizeof tap, "text.block.%u", i);
        struct mohs_tensor *seen = x;
        x = net_tap(n, tap, x);
        if (x != seen)
            short_cut = NULL; // perturbed: it must be the one that is used
    }
    return short_cut ? short_cut : net_token(n, x, 0);
}

/* ---- the towers ---- */

static struct mohs_tensor *text_tower(const struct blip *m, struct net *n,
                                      const struct mohs_tower_inputs *in)
{
    const struct tower *t = &m->text;
    net_at(n, "%s", TEXT "embeddings.");
    struct mohs_tensor *x = net_embedding(
        n, in->tokens, "word_embeddings.weight", m->base.info.vocab_size, t->width);
    x = net_add(n, x, net_normal(n, "position_embeddings.weight", 0.02f,
                                 DIMS(m->text_positions, t->width)));
    x = net_tap(n, "text.token", net_norm(n, x, "LayerNorm", t->width, t->eps));
    x = text_blocks(t, n, x, in->last);
    net_at(n, "%s", "");
    x = net_linear(n, x, &(struct linear) { .name = "text_proj",
                                            .out = m->base.info.embed_dim,
                                            .in = t->width });
    return net_tap(n, "text.embed", x);
}

static struct mohs_tensor *image_tower(const struct blip *m, struct net *n,
                                       struct mohs_tensor *pixels)
{
    const struct tower *t = &m->image;
    net_at(n, "%s", IMAGE "embeddings.");
    struct mohs_tensor *x =
        net_patches(n, pixels, "patch_embedding", t->width, m->patch, 0);
    x = net_prepend(n, x, net_normal(n, "class_embedding", 0.02f,
                                     DIMS(1, t->width)));
    x = net_add(n, x, net_normal(n, "position_embedding", 0.02f,
                                 DIMS(m->positions, t->width)));
    x = net_tap(n, "image.patch", x);
    x = net_blocks(n, x, t, "image", MOHS_MASK_NONE, 0);
    net_at(n, "%s", IMAGE);
    x = net_norm(n, x, "post_layernorm", t->width, t->eps);
    net_at(n, "%s", "");
    x = net_linear(n, x, &(struct linear) { .name = "vision_proj",
                                            .out = m->base.info.embed_dim,
                                            .in = t->width });
    return net_tap(n, "image.embed", x);
}

/* The temperature that BLIP starts from: 0.07. */
#define LOG_SCALE 2.6592f

static struct mohs_tensor *walk(const void *model, struct net *n,
                                uint32_t tower,
                                const struct mohs_tower_inputs *in)
{
    const struct blip *m = model;
    if (tower == MOHS_TOWER_IMAGE)
        return image_tower(m, n, in->pixels);
    if (tower == MOHS_TOWER_TEXT)
        return text_tower(m, n, in);
    if (m->has_scale)
        net_constant(n, "logit_scale", LOG_SCALE, 0, NULL);
    return NULL;
}

/* ---- configuration: absent keys have transformers' defaults ---- */

static void read_tower(struct config *c, const char *section, struct tower *t,
                       double eps)
{
    c->section = section;
    t->width = config_count(c, "hidden_size", 768, 16384);
    t->mlp = config_count(c, "intermediate_size", 3072, 65536);
    t->layers = config_count(c, "num_hidden_layers", 12, NET_LAYERS_MAX);
    t->heads = config_count(c, "num_attention_heads", 12, 256);
    t->act = config_activation(c, "hidden_act", "gelu");
    t->eps = config_number(c, "layer_norm_eps", eps, 1e-12, 1);
    tower_check(c, t, "num_attention_heads");
}

static void read_config(struct config *c, struct blip *m)
{
    struct mohs_model_info *i = &m->base.info;
    read_tower(c, "vision_config", &m->image, 1e-5);
    m->image.at = IMAGE_BLOCKS;
    m->image.names = &block;
    m->patch = config_count(c, "patch_size", 16, 256);
    i->image_height = config_count(c, "image_size", 384, 4096);
    i->image_width = i->image_height;
    m->positions = i->image_height / m->patch;
    m->positions = m->positions * m->positions + 1;
    if (m->positions < 2)
        config_fail(c, "image_size", "is smaller than patch_size");
    read_tower(c, "text_config", &m->text, 1e-12);
    m->text_positions = config_count(c, "max_position_embeddings", 512, 65536);
    i->context_length = m->text_positions < CONTEXT ? m->text_positions
                                                    : CONTEXT;
    i->vocab_size = config_count(c, "vocab_size", 30524, 1 << 24);
    c->section = "";
    i->embed_dim = config_count(c, "image_text_hidden_size", 256, 65536);
    i->logit_scale =
        expf((float)config_number(c, "logit_scale_init_value",
                                  (double)LOG_SCALE, -20, 20));
    // a checkpoint for retrieval has none: it ranks by the cosine
    m->has_scale = has_tensor(c, "logit_scale") || !c->api->name(c->w, 0);
    if (has_tensor(c, "logit_scale"))
        i->logit_scale = expf(read_scalar(c, "logit_scale", LOG_SCALE));
}

/* ---- the plugin ---- */

static int32_t probe(const struct mohs_host *host, const struct mohs_weights *w)
{
    struct config c = { .api = config_api(host), .w = w };
    const char *type = "";
    if (!c.api)
        return 0;
    c.api->config_string(w, "model_type", &type);
    if (!strcmp(type, "blip"))
        return 90;
    return !*type && has_tensor(&c, TEXT "embeddings.word_embeddings.weight") &&
                   has_tensor(&c, "vision_proj.weight")
               ? 60
               : 0;
}

static void read_all(struct config *c, void *model, uint32_t *blocks,
                     uint32_t *text_blocks)
{
    struct blip *m = model;
    if (has_tensor(c, IMAGE_BLOCKS "0.self_attn.qkv.weight"))
        m->base.map = c->map = transformers;
    // no token sees what comes after the end, so padding may be cut
    m->base.info.flags = MOHS_MODEL_CAUSAL_TEXT;
    m->base.info.towers = MOHS_TOWER_IMAGE | MOHS_TOWER_TEXT;
    read_config(c, m);
    *blocks = m->image.layers;
    *text_blocks = m->text.layers;
}

static mohs_status create(const struct mohs_host *host, const void *params,
                          const struct mohs_weights *w, void **self,
                          struct mohs_error *err)
{
    static const char *const whole[] = { IMAGE, TEXT "embeddings.", NULL };
    static const struct base_plan plan = { "blip", sizeof(struct blip), walk,
                                           read_all, whole };
    (void)params;
    return base_create(&plan, host, w, self, err);
}

static const struct mohs_model_ops ops = BASE_OPS(probe, create);

static const struct mohs_item blip = {
    .size = sizeof blip,
    .param_stride = sizeof(struct mohs_param),
    .kind = MOHS_KIND_MODEL,
    .id = "blip",
    .summary = "BLIP for retrieval: vision transformer and BERT, names of "
               "transformers",
    .ops = &ops,
};

static const struct mohs_item *const items[] = { &blip, NULL };
static const struct mohs_plugin plugin = {
    .size = sizeof plugin,
    .abi = MOHS_ABI,
    .id = "mohs.blip",
    .name = "BLIP",
    .version = "1.0",
    .license = "MIT",
    .items = items,
};

const struct mohs_plugin *mohs_plugin_v1(uint32_t host_abi)
{
    (void)host_abi;
    return &plugin;
}
