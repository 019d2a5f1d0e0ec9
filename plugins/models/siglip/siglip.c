/* SPDX-License-Identifier: MIT */
/*
 * SigLIP and, at a fixed resolution, SigLIP 2 (Zhai et al. 2023, Tschannen et
 * al. 2025): a vision transformer with attention pooling and a text
 * transformer without a mask, pooled at the last position, padding or not.
 * Names of transformers, or of open_clip with its timm trunk.
 *
 * Taps: image.patch (patch embeddings with positions), image.block.<i>,
 * image.embed; text.token (token embeddings with positions), text.block.<i>,
 * text.embed.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/base.h"

/* The plugin's own names are those of transformers, but for the pooling's
 * attention, which both keep fused. */
static const struct block_names block = {
    .norm1 = "layer_norm1", .q = "self_attn.q_proj", .k = "self_attn.k_proj",
    .v = "self_attn.v_proj", .out = "self_attn.out_proj",
    .norm2 = "layer_norm2", .fc1 = "mlp.fc1", .fc2 = "mlp.fc2",
};

#define IMAGE "vision_model."
#define TEXT "text_model."
#define IMAGE_BLOCKS "vision_model.encoder.layers."
#define TEXT_BLOCKS "text_model.encoder.layers."
#define POOL "vision_model.head."

static const struct rename transformers[] = {
    { POOL "attention.q_proj.*", POOL "attention.in_proj_*", 0, 3 },
    { POOL "attention.k_proj.*", POOL "attention.in_proj_*", 1, 3 },
    { POOL "attention.v_proj.*", POOL "attention.in_proj_*", 2, 3 },
    { NULL, NULL, 0, 0 },
};

#define TRUNK "visual.trunk."
#define OF_IMAGE(name, source) \
    { IMAGE_BLOCKS "#." name ".*", TRUNK "blocks.#." source ".*", 0, 0 }
#define OF_TEXT(name, source)                                            \
    { TEXT_BLOCKS "#." name ".*", "text.transformer.resblocks.#." source \
      ".*", 0, 0 }
#define PART(name, source, i, of) { name, source, i, of }

static const struct rename open_clip[] = {
    { IMAGE "embeddings.patch_embedding.*", TRUNK "patch_embed.proj.*", 0, 0 },
    { IMAGE "embeddings.position_embedding.weight", TRUNK "pos_embed", 0, 0 },
    OF_IMAGE("layer_norm1", "norm1"),
    PART(IMAGE_BLOCKS "#.self_attn.q_proj.*", TRUNK "blocks.#.attn.qkv.*", 0,
         3),
    PART(IMAGE_BLOCKS "#.self_attn.k_proj.*", TRUNK "blocks.#.attn.qkv.*", 1,
         3),
    PART(IMAGE_BLOCKS "#.self_attn.v_proj.*", TRUNK "blocks.#.attn.qkv.*", 2,
         3),
    OF_IMAGE("self_attn.out_proj", "attn.proj"),
    OF_IMAGE("layer_norm2", "norm2"),
    OF_IMAGE("mlp.fc1", "mlp.fc1"),
    OF_IMAGE("mlp.fc2", "mlp.fc2"),
    { IMAGE "post_layernorm.*", TRUNK "norm.*", 0, 0 },
    { POOL "probe", TRUNK "attn_pool.latent", 0, 0 },
    { POOL "attention.q_proj.*", TRUNK "attn_pool.q.*", 0, 0 },
    PART(POOL "attention.k_proj.*", TRUNK "attn_pool.kv.*", 0, 2),
    PART(POOL "attention.v_proj.*", TRUNK "attn_pool.kv.*", 1, 2),
    { POOL "attention.out_proj.*", TRUNK "attn_pool.proj.*", 0, 0 },
    { POOL "layernorm.*", TRUNK "attn_pool.norm.*", 0, 0 },
    { POOL "mlp.*", TRUNK "attn_pool.mlp.*", 0, 0 },
    { TEXT "embeddings.token_embedding.weight", "text.token_embedding.weight",
      0, 0 },
    { TEXT "embeddings.position_embedding.weight",
      "text.positional_embedding", 0, 0 },
    OF_TEXT("layer_norm1", "ln_1"),
    PART(TEXT_BLOCKS "#.self_attn.q_proj.*",
         "text.transformer.resblocks.#.attn.in_proj_*", 0, 3),
    PART(TEXT_BLOCKS "#.self_attn.k_proj.*",
         "text.transformer.resblocks.#.attn.in_proj_*", 1, 3),
    PART(TEXT_BLOCKS "#.self_attn.v_proj.*",
         "text.transformer.resblocks.#.attn.in_proj_*", 2, 3),
    OF_TEXT("self_attn.out_proj", "attn.out_proj"),
    OF_TEXT("layer_norm2", "ln_2"),
    OF_TEXT("mlp.fc1", "mlp.c_fc"),
    OF_TEXT("mlp.fc2", "mlp.c_proj"),
    { TEXT "final_layer_norm.*", "text.ln_final.*", 0, 0 },
    { TEXT "head.*", "text.text_projection.*", 0, 0 },
    { NULL, NULL, 0, 0 },
};

struct siglip {
    struct base base;
    struct tower image, text;
    uint32_t patch, positions, pool_mlp;
};

/* ---- the layers ---- */

static struct mohs_tensor *project(struct net *n, struct mohs_tensor *x,
                                   const char *name, uint32_t width)
{
    return net_linear(n, x, &(struct linear) { .name = name, .out = width,
                                               .in = width });
}

/* Attention from one trained query to all tokens, then an MLP. */
static struct mohs_tensor *pool(const struct siglip *m, struct net *n,
                                struct mohs_tensor *x)
{
    uint32_t w = m->image.width, rows = net_dim(n, x, 0);
    net_at(n, "%s", POOL);
    struct mohs_tensor *q =
        net_normal(n, "probe", 1 / sqrtf((float)w), DIMS(1, w));
    q = net_repeat(n, project(n, q, "attention.q_proj", w), x, w);
    x = net_attention_pool(n, net_reshape(n, q, DIMS(rows, w)), x,
                           "attention.k_proj", "attention.v_proj", w, w,
                           m->image.heads);
    x = project(n, x, "attention.out_proj", w);
    struct mohs_tensor *y = net_norm(n, x, "layernorm", w, m->image.eps);
    y = net_linear(n, y, &(struct linear) { .name = "mlp.fc1",
                                            .out = m->pool_mlp, .in = w,
                                            .act = m->image.act });
    return net_linear(n, y, &(struct linear) { .name = "mlp.fc2", .out = w,
                                               .in = m->pool_mlp,
                                               .residual = x });
}

static struct mohs_tensor *image_tower(const struct siglip *m, struct net *n,
                                       struct mohs_tensor *pixels)
{
    const struct tower *t = &m->image;
    float std = 1 / sqrtf((float)t->width);
    net_at(n, "%s", IMAGE);
    struct mohs_tensor *x = net_patches(
        n, pixels, "embeddings.patch_embedding", t->width, m->patch, 0);
    x = net_add(n, x, net_normal(n, "embeddings.position_embedding.weight", std,
                                 DIMS(m->positions, t->width)));
    x = net_tap(n, "image.patch", x);
    x = net_blocks(n, x, t, "image", MOHS_MASK_NONE, NET_ALL);
    net_at(n, "%s", IMAGE);
    x = net_norm(n, x, "post_layernorm", t->width, t->eps);
    return net_tap(n, "image.embed", pool(m, n, x));
}

static struct mohs_tensor *text_tower(const struct siglip *m, struct net *n,
                                      struct mohs_tensor *tokens)
{
    const struct tower *t = &m->text;
    net_at(n, "%s", TEXT);
    struct mohs_tensor *x =
        net_embedding(n, tokens, "embeddings.token_embedding.weight",
                      m->base.info.vocab_size, t->width);
    x = net_add(n, x, net_normal(n, "embeddings.position_embedding.weight",
                                 0.01f,
                                 DIMS(m->base.info.context_length, t->width)));
    x = net_tap(n, "text.token", x);
    x = net_blocks(n, x, t, "text", MOHS_MASK_NONE, -1);
    net_at(n, "%s", TEXT);
    // the norm is per token, so it may follow the choice of the last one
    x = net_norm(n, x, "final_layer_norm", t->width, t->eps);
    x = net_linear(n, x, &(struct linear) { .name = "head",
                                            .out = m->base.info.embed_dim,
                                            .in = t->width });
    return net_tap(n, "text.embed", x);
}

static struct mohs_tensor *walk(const void *model, struct net *n,
                                uint32_t tower,
                                const struct mohs_tower_inputs *in)
{
    const struct siglip *m = model;
    if (tower == MOHS_TOWER_IMAGE)
        return image_tower(m, n, in->pixels);
    if (tower == MOHS_TOWER_TEXT)
        return text_tower(m, n, in->tokens);
    net_constant(n, "logit_scale", logf(10), 0, NULL);
    net_constant(n, "logit_bias", -10, 0, NULL);
    return NULL;
}

/* ---- configuration ---- */

/*
 * Sizes come from the configuration, and where it is silent from the tensors
 * (or, without any, are those of transformers' defaults). open_clip says the
 * rest in keys of its own, or only by the name of timm's model.
 */
struct source {
    const char *image, *text; /* sections */
    int open_clip;
};

static struct source find_source(const struct config *c)
{
    static const struct source of_transformers = { "vision_config",
                                                   "text_config", 0 };
    static const struct source whole = { "model_cfg.vision_cfg",
                                         "model_cfg.text_cfg", 1 };
    static const struct source part = { "vision_cfg", "text_cfg", 1 };
    const char *s = "";
    double x;
    c->api->config_string(c->w, "model_type", &s);
    if (c->map == transformers || (*s && c->map != open_clip))
        return of_transformers;
    return c->api->config_number(c->w, "model_cfg.embed_dim", &x) > 0 ? whole
                                                                      : part;
}

static void read_tower(struct config *c, const struct source *s, int text,
                       struct tower *t)
{
    const char *blocks = text ? TEXT_BLOCKS : IMAGE_BLOCKS;
    c->section = text ? s->text : s->image;
    t->at = blocks;
    t->names = &block;
    t->width = config_count(
        c, "hidden_size",
        tensor_dim(c, text ? TEXT "final_layer_norm.weight"
                           : IMAGE "post_layernorm.weight", 0, 768),
        16384);
    t->mlp = config_count(
        c, "intermediate_size",
        tensor_dim(c, text ? TEXT_BLOCKS "0.mlp.fc1.bias"
                           : IMAGE_BLOCKS "0.mlp.fc1.bias", 0, 3072),
        65536);
    t->layers =
        config_count(c, "num_hidden_layers",
                     count_tensors(c, blocks, ".mlp.fc1.bias", 12),
                     NET_LAYERS_MAX);
    // 16 heads in the shape-optimised models, heads of 64 elsewhere
    uint32_t heads =
        t->width > 1024 ? 16 : (t->width + 63) / 64;
    if (s->open_clip)
        heads = config_count(c, "heads", heads, 256);
    t->heads = config_count(c, "num_attention_heads",
                            s->open_clip ? heads : 12, 256);
    double eps = config_number(c, "norm_kwargs.eps", 1e-6, 1e-12, 1);
    t->eps = config_number(c, "layer_norm_eps", eps, 1e-12, 1);
    tower_check(c, t, "num_attention_heads");
}

/* transformers name it; timm has it in the model's name, or it can be told
 * from the size; open_clip's text tower has a key, or Gemma's vocabulary. */
static const char *gelu(struct config *c, const struct siglip *m, int text)
{
    const char *name = text ? "" : config_string(c, "timm_model_name", "");
    double x;
    uint32_t width = m->image.width;
    int tanh = width == 1536 || (width == 1152 && m->patch == 16) ||
               (width == 768 && m->patch == 32) ||
               (width == 1024 && m->base.info.image_height == 512);
    if (*name)
        tanh = strstr(name, "so400m_patch16") || strstr(name, "giantopt") ||
               strstr(name, "base_patch32") ||
               strstr(name, "large_patch16_siglip_512");
    if (text) {
        int silent = c->api->config_number(
            c->w, !strcmp(c->section, "text_cfg")
                      ? "text_cfg.context_length"
                      : "model_cfg.text_cfg.context_length", &x) <= 0;
        tanh = silent && m->base.info.vocab_size == 256000;
        tanh |= !strcmp(config_string(c, "act_kwargs.approximate", ""), "tanh");
    }
    return tanh ? "gelu_pytorch_tanh" : "gelu";
}

static void read_image(struct config *c, const struct source *s,
                       struct siglip *m)
{
    struct mohs_model_info *i = &m->base.info;
    read_tower(c, s, 0, &m->image);
    m->pool_mlp = tensor_dim(c, POOL "mlp.fc1.bias", 0, m->image.mlp);
    m->patch = config_count(
        c, "patch_size",
        tensor_dim(c, IMAGE "embeddings.patch_embedding.weight", 3, 16), 256);
    uint32_t there = tensor_dim(c, IMAGE "embeddings.position_embedding.weight",
                                0, 196);
    i->image_height =
        config_count(c, "image_size",
                     s->open_clip ? lround(sqrt(there)) * m->patch : 224, 4096);
    i->image_width = i->image_height;
    m->positions = i->image_height / m->patch;
    m->positions *= m->positions;
    m->image.act = config_activation(
        c, "hidden_act", s->open_clip ? gelu(c, m, 0) : "gelu_pytorch_tanh");
    if (!m->positions)
        config_fail(c, "image_size", "is smaller than patch_size");
    if (config_number(c, "vision_use_head", 1, 0, 1) < 1)
        config_fail(c, "vision_use_head", "is false: nothing pools the patches");
}

static void read_text(struct config *c, const struct source *s,
                      struct siglip *m)
{
    struct mohs_model_info *i = &m->base.info;
    const char *tokens = TEXT "embeddings.token_embedding.weight";
    char text[64];
    read_tower(c, s, 1, &m->text);
    i->vocab_size = config_count(c, "vocab_size",
                                 tensor_dim(c, tokens, 0, 32000), 1 << 24);
    i->context_length = config_count(
        c, s->open_clip ? "context_length" : "max_position_embeddings",
        tensor_dim(c, TEXT "embeddings.position_embedding.weight", 0, 64),
        65536);
    i->embed_dim =
        config_count(c, "projection_size",
                     tensor_dim(c, TEXT "head.bias", 0, m->text.width), 65536);
    m->text.act = config_activation(
        c, "hidden_act", s->open_clip ? gelu(c, m, 1) : "gelu_pytorch_tanh");
    if (c->st >= 0 && i->embed_dim != m->image.width) {
        snprintf(text, sizeof text, "is %u, the image tower gives %u",
                 i->embed_dim, m->image.width);
        config_fail(c, "projection_size", text);
    }
}

/* ---- the plugin ---- */

/* Which names the file has; NULL: the plugin's own, or no tensors at all. */
static const struct rename *find_names(const struct config *c)
{
    if (has_tensor(c, "visual.trunk.attn_pool.latent"))
        return open_clip;
    return has_tensor(c, POOL "attention.in_proj_weight") ? transformers : NULL;
}

static int32_t probe(const struct mohs_host *host, const struct mohs_weights *w)
{
    struct config c = { .api = config_api(host), .w = w };
    const char *type = "";
    if (!c.api)
        return 0;
    c.api->config_string(w, "model_type", &type);
    if (!strcmp(type, "siglip") || !strcmp(type, "siglip2"))
        return 90; // the latter to say what is wrong with it
    if (*type)
        return 0;
    if (has_tensor(&c, "visual.trunk.attn_pool.latent") &&
        has_tensor(&c, "text.text_projection.bias"))
        return 80;
    return has_tensor(&c, POOL "probe") ? 50 : 0;
}

static void read_all(struct config *c, void *model, uint32_t *blocks,
                     uint32_t *text_blocks)
{
    struct siglip *m = model;
    const char *type = "";
    c->api->config_string(c->w, "model_type", &type);
    if (!strcmp(type, "siglip2")) {
        config_fail(c, "model_type", "is siglip2, NaFlex: it takes pictures of "
                                     "any shape, what is read is SigLIP 2 at a "
                                     "fixed resolution");
        return;
    }
    m->base.map = c->map = find_names(c);
    struct source s = find_source(c);
    read_image(c, &s, m);
    read_text(c, &s, m);
    c->section = "";
    m->base.info.towers = MOHS_TOWER_IMAGE | MOHS_TOWER_TEXT;
    m->base.info.logit_scale = expf(read_scalar(c, "logit_scale", logf(10)));
    m->base.info.logit_bias = read_scalar(c, "logit_bias", -10);
    m->base.info.preprocessor =
        "{\"image_processor_type\": \"SiglipImageProcessor\"}";
    *blocks = m->image.layers;
    *text_blocks = m->text.layers;
}

static mohs_status create(const struct mohs_host *host, const void *params,
                          const struct mohs_weights *w, void **self,
                          struct mohs_error *err)
{
    static const char *const whole[] = { IMAGE, TEXT, "visual.", "text.", NULL };
    static const struct base_plan plan = { "siglip", sizeof(struct siglip), walk,
                                           read_all, whole };
    (void)params;
    return base_create(&plan, host, w, self, err);
}

static const struct mohs_model_ops ops = BASE_OPS(probe, create);

static const struct mohs_item siglip = {
    .size = sizeof siglip,
    .param_stride = sizeof(struct mohs_param),
    .kind = MOHS_KIND_MODEL,
    .id = "siglip",
    .summary = "SigLIP and SigLIP 2: sigmoid loss, attention pooling; names of "
               "transformers or open_clip",
    .ops = &ops,
};

static const struct mohs_item *const items[] = { &siglip, NULL };
static const struct mohs_plugin plugin = {
    .size = sizeof plugin,
    .abi = MOHS_ABI,
    .id = "mohs.siglip",
    .name = "SigLIP",
    .version = "1.0",
    .license = "MIT",
    .items = items,
};

const struct mohs_plugin *mohs_plugin_v1(uint32_t host_abi)
{
    (void)host_abi;
    return &plugin;
}
