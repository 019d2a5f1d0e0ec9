/* SPDX-License-Identifier: MIT */
/*
 * Reads what kind of CLIP a checkpoint is. In Hugging Face's naming the
 * configuration says everything, as transformers does. In OpenAI's and
 * open_clip's naming the tensors' shapes say all sizes, as OpenAI's
 * build_model reads them; what shapes cannot say (heads, activation,
 * pooling) is in open_clip's model_cfg, else in Hugging Face's configuration
 * beside it, else it is OpenAI's rule.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "clip/clip_names.h"

static const struct rename openai[] = OPENAI_NAMES("");
static const struct rename custom_text[] = OPENAI_NAMES("text.");

#define POSITIONS "embeddings.position_embedding.weight"
#define TOKENS TEXT "embeddings.token_embedding.weight"
#define CLASS IMAGE "embeddings.class_embedding"

static const struct block_names plain = {
    .norm1 = "layer_norm1", .q = "self_attn.q_proj", .k = "self_attn.k_proj",
    .v = "self_attn.v_proj", .out = "self_attn.out_proj",
    .norm2 = "layer_norm2", .fc1 = "mlp.fc1", .fc2 = "mlp.fc2",
};
/* Layer scale, in open_clip's "-alt" models. */
static const struct block_names scaled = {
    .norm1 = "layer_norm1", .q = "self_attn.q_proj", .k = "self_attn.k_proj",
    .v = "self_attn.v_proj", .out = "self_attn.out_proj",
    .norm2 = "layer_norm2", .fc1 = "mlp.fc1", .fc2 = "mlp.fc2",
    .scale1 = "ls_1.gamma", .scale2 = "ls_2.gamma",
};

const char *const clip_activations[] = { "auto", "quick_gelu", "gelu",
                                         "gelu_pytorch_tanh", NULL };

/* ---- which kind -------------------------------------------------------- */

static int file_has(const struct config *c, const char *name)
{
    uint32_t dims[MOHS_DIMS_MAX];
    return c->api->shape(c->w, name, dims) >= 0;
}

static const struct rename *find_names(const struct config *c)
{
    if (file_has(c, "text.token_embedding.weight"))
        return custom_text;
    return file_has(c, "visual.class_embedding") ||
                   file_has(c, "token_embedding.weight")
               ? openai : NULL;
}

int32_t clip_probe(const struct config *c)
{
    const char *type = "";
    c->api->config_string(c->w, "model_type", &type);
    if (*type && strcmp(type, "clip"))
        return 0;
    if (file_has(c, "visual.class_embedding") && file_has(c, "visual.conv1.weight"))
        return file_has(c, "token_embedding.weight") ||
                       file_has(c, "text.token_embedding.weight")
                   ? 90 : 40;
    if (*type)
        return file_has(c, "visual.conv1.weight") ? 0 : 90;
    // SigLIP has no class token, BLIP another text tower
    return file_has(c, IMAGE "pre_layrnorm.weight") ||
                   (file_has(c, CLASS) && file_has(c, TOKENS)) ? 50 : 0;
}

/* A tower is there when its first tensor is; without any tensors both are, to
 * be trained. */
static uint32_t find_towers(const struct config *c)
{
    uint32_t towers = 0;
    if (!c->api->name(c->w, 0))
        return MOHS_TOWER_IMAGE | MOHS_TOWER_TEXT;
    if (has_tensor(c, CLASS))
        towers |= MOHS_TOWER_IMAGE;
    if (has_tensor(c, TOKENS))
        towers |= MOHS_TOWER_TEXT;
    return towers ? towers : MOHS_TOWER_IMAGE | MOHS_TOWER_TEXT;
}

/* ---- sizes ------------------------------------------------------------- */

/* What transformers' CLIPConfig has for absent keys, or, without any
 * configuration, what the tensors say. */
static uint32_t or_shape(const struct config *c, int configured, double def,
                         const char *name, int axis)
{
    return configured ? (uint32_t)def : tensor_dim(c, name, axis, (uint32_t)def);
}

/* Heads are 64 wide but for open_clip's larger image towers, which have 16. */
static uint32_t usual_heads(uint32_t width, int text)
{
    if (width > 1024 && !text)
        return 16;
    return width >= 64 ? width / 64 : 1;
}

static void hf_tower(struct config *c, struct tower *t, int text, int configured)
{
    const char *blocks = text ? TEXT_BLOCKS : IMAGE_BLOCKS;
    double width = text ? 512 : 768;
    c->section = text ? "text_config" : "vision_config";
    t->at = blocks;
    t->names = &plain;
    t->width = config_count(
        c, "hidden_size",
        or_shape(c, configured, width,
                 text ? TEXT "final_layer_norm.weight" : CLASS, 0), 16384);
    t->mlp = config_count(c, "intermediate_size",
                          or_shape(c, configured, 4 * width,
                                   text ? TEXT_BLOCKS "0.mlp.fc1.bias"
                                        : IMAGE_BLOCKS "0.mlp.fc1.bias", 0),
                          65536);
    t->layers = config_count(c, "num_hidden_layers",
                             configured ? 12
                                        : count_tensors(c, blocks,
                                                        ".mlp.fc1.bias", 12),
                             NET_LAYERS_MAX);
    t->heads = config_count(c, "num_attention_heads",
                            configured ? width / 64
                                       : usual_heads(t->width, text), 256);
    t->act = config_activation(c, "hidden_act", "quick_gelu");
    t->eps = config_number(c, "layer_norm_eps", 1e-5, 1e-12, 1);
}

static void hf_read(struct config *c, struct clip *m)
{
    struct mohs_model_info *i = &m->info;
    const char *type = "";
    int configured = c->api->config_string(c->w, "model_type", &type) > 0 ||
                     !c->api->name(c->w, 0);
    hf_tower(c, &m->image, 0, configured);
    m->patch = config_count(
        c, "patch_size",
        or_shape(c, configured, 32, IMAGE "embeddings.patch_embedding.weight",
                 3), 256);
    uint32_t there = tensor_dim(c, IMAGE POSITIONS, 0, 50) - 1;
    i->image_height = config_count(
        c, "image_size",
        configured ? 224 : (double)(lround(sqrt(there)) * m->patch), 4096);
    if (c->st >= 0 && i->image_height % m->patch)
        config_fail(c, "image_size", "is no multiple of patch_size");
    i->image_width = i->image_height;
    hf_tower(c, &m->text, 1, configured);
    i->context_length = config_count(c, "max_position_embeddings",
                                     or_shape(c, configured, 77,
                                              TEXT POSITIONS, 0), 65536);
    if (c->st >= 0 && i->context_length < 2)
        config_fail(c, "max_position_embeddings", "is below 2");
    i->vocab_size = config_count(c, "vocab_size",
                                 or_shape(c, configured, 49408, TOKENS, 0),
                                 1 << 24);
    c->section = "";
    i->embed_dim = config_count(
        c, "projection_dim",
        or_shape(c, configured, 512, "visual_projection.weight", 0), 65536);
    m->norm_first = 1;
    m->text_pool = POOL_END;
    m->text_mask = MOHS_MASK_CAUSAL;
}

/* ---- OpenAI's and open_clip's naming ----------------------------------- */

/* Whether open_clip's configuration is there, or that of transformers. */
static int has_model_cfg(const struct config *c)
{
    double x;
    return c->api->config_number(c->w, "model_cfg.embed_dim", &x) > 0;
}

static int has_hf_config(const struct config *c)
{
    const char *type = "";
    return c->api->config_string(c->w, "model_type", &type) > 0 &&
           !strcmp(type, "clip");
}

/* OpenAI's archives carry three numbers beside the weights; whoever has them
 * has OpenAI's activation. Others say it, or use torch's. */
static const char *default_activation(struct config *c)
{
    if (has_model_cfg(c)) {
        c->section = "model_cfg";
        return config_number(c, "quick_gelu", 0, 0, 1) > 0 ? "quick_gelu"
                                                           : "gelu";
    }
    return file_has(c, "input_resolution") && file_has(c, "vocab_size")
               ? "quick_gelu" : "gelu";
}

static void tower_activation(struct config *c, struct tower *t, int text,
                             const char *usual)
{
    if (!has_model_cfg(c) && has_hf_config(c)) {
        c->section = text ? "text_config" : "vision_config";
        usual = config_string(c, "hidden_act", "quick_gelu");
    } else if (has_model_cfg(c)) {
        c->section = text ? "model_cfg.text_cfg" : "model_cfg.vision_cfg";
        if (!strcmp(config_string(c, "act_kwargs.approximate", ""), "tanh"))
            usual = "gelu_pytorch_tanh";
    }
    t->act = config_activation(c, "", usual);
}

static void tower_heads(struct config *c, struct tower *t, int text)
{
    uint32_t heads = usual_heads(t->width, text);
    if (!has_model_cfg(c) && has_hf_config(c)) {
        c->section = text ? "text_config" : "vision_config";
        heads = config_count(c, "num_attention_heads", text ? 8 : 12, 256);
    } else if (has_model_cfg(c) && text) {
        c->section = "model_cfg.text_cfg";
        heads = config_count(c, "heads", 8, 256);
    } else if (has_model_cfg(c)) {
        c->section = "model_cfg.vision_cfg";
        heads = t->width / config_count(c, "head_width", 64, 16384);
    }
    t->heads = heads;
}

/* open_clip's configuration beside tensors, also under the names that training
 * writes. */
static int as_open_clip(const struct config *c, const struct clip *m)
{
    return m->map || (has_model_cfg(c) && !has_hf_config(c) && c->api->name(c->w, 0));
}

static void openai_tower(struct config *c, struct tower *t, int text,
                         const char *act)
{
    const char *blocks = text ? TEXT_BLOCKS : IMAGE_BLOCKS;
    char scale[CONFIG_NAME];
    t->at = blocks;
    snprintf(scale, sizeof scale, "%s0.ls_1.gamma", blocks);
    t->names = has_tensor(c, scale) ? &scaled : &plain;
    t->width = tensor_dim(c, text ? TEXT "final_layer_norm.weight" : CLASS, 0, 1);
    t->mlp = tensor_dim(c, text ? TEXT_BLOCKS "0.mlp.fc1.bias"
                                : IMAGE_BLOCKS "0.mlp.fc1.bias", 0, 1);
    t->layers = count_tensors(c, blocks, ".mlp.fc1.bias", 0);
    tower_activation(c, t, text, act);
    tower_heads(c, t, text);
    c->section = text ? "model_cfg.text_cfg" : "model_cfg.vision_cfg";
    t->eps = config_number(c, "norm_kwargs.eps", 1e-5, 1e-12, 1);
}

static enum clip_pool pool_named(struct config *c, const char *def)
{
    static const struct {
        const char *name;
        enum clip_pool pool;
    } known[] = {
        { "tok", POOL_FIRST }, { "first", POOL_FIRST },  { "avg", POOL_MEAN },
        { "last", POOL_LAST }, { "argmax", POOL_END }, { "eos", POOL_END },
    };
    const char *s = config_string(c, "pool_type", def);
    char text[80];
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (!strcmp(s, known[i].name))
            return known[i].pool;
    snprintf(text, sizeof text, "is \"%.40s\", an unknown pooling", s);
    config_fail(c, "pool_type", text);
    return POOL_FIRST;
}

/* The grid that the position table is for: image_size, a number or a pair,
 * or a square. */
static void openai_image_size(struct config *c, struct clip *m)
{
    struct mohs_model_info *i = &m->info;
    double pair[2] = { 0, 0 };
    uint32_t grid = m->positions ? m->positions - 1 : 0;
    uint32_t side = (uint32_t)lround(sqrt(grid));
    c->section = "model_cfg.vision_cfg";
    for (int k = 0; k < 2; k++)
        c->api->config_number(c->w, k ? "model_cfg.vision_cfg.image_size.1"
                                      : "model_cfg.vision_cfg.image_size.0",
                              &pair[k]);
    if (pair[0] >= 1 && pair[0] <= 4096 && pair[1] >= 1 && pair[1] <= 4096) {
        i->image_height = (uint32_t)pair[0];
        i->image_width = (uint32_t)pair[1];
    } else {
        i->image_height = i->image_width =
            config_count(c, "image_size", side * (double)m->patch, 4096);
    }
    if (c->st >= 0 && (!m->patch || (uint64_t)(i->image_height / m->patch) *
                                            (i->image_width / m->patch) != grid))
        config_fail(c, "image_size", "is not that of the position embeddings");
}

static void openai_read(struct config *c, struct clip *m)
{
    struct mohs_model_info *i = &m->info;
    const char *act = default_activation(c);
    if (i->towers & MOHS_TOWER_IMAGE) {
        openai_tower(c, &m->image, 0, act);
        m->patch = tensor_dim(c, IMAGE "embeddings.patch_embedding.weight", 3, 1);
        m->positions = tensor_dim(c, IMAGE POSITIONS, 0, 0);
        openai_image_size(c, m);
        c->section = "model_cfg.vision_cfg";
        m->image_pool = pool_named(c, "tok");
        m->norm_after_pool = config_number(c, "final_ln_after_pool", 0, 0, 1) > 0;
        m->norm_first = has_tensor(c, IMAGE "pre_layrnorm.weight");
    }
    if (i->towers & MOHS_TOWER_TEXT) {
        openai_tower(c, &m->text, 1, act);
        i->context_length = tensor_dim(c, TEXT POSITIONS, 0, 1);
        i->vocab_size = tensor_dim(c, TOKENS, 0, 1);
        c->section = "model_cfg.text_cfg";
        m->text_pool = pool_named(c, "argmax");
        m->text_mask = config_number(c, "no_causal_mask", 0, 0, 1) > 0
                           ? MOHS_MASK_NONE : MOHS_MASK_CAUSAL;
    }
    // stored [width, dim] under the published names
    i->embed_dim = tensor_dim(c, i->towers & MOHS_TOWER_IMAGE
                                     ? "visual_projection.weight"
                                     : "text_projection.weight", m->map ? 1 : 0, 1);
}

/* ---- both -------------------------------------------------------------- */

static void override(struct config *c, const struct clip_params *p,
                     struct clip *m)
{
    if (p->activation) {
        c->section = "";
        m->image.act = m->text.act =
            config_activation(c, "", clip_activations[p->activation]);
    }
    if (p->image_heads)
        m->image.heads = (uint32_t)p->image_heads;
    if (p->text_heads)
        m->text.heads = (uint32_t)p->text_heads;
}

void clip_read(struct config *c, const struct clip_params *p, struct clip *m)
{
    struct mohs_model_info *i = &m->info;
    double sigmoid = 0;
    c->map = m->map = find_names(c);
    i->towers = find_towers(c);
    int open_clip = as_open_clip(c, m);
    if (open_clip)
        openai_read(c, m);
    else
        hf_read(c, m);
    if (p)
        override(c, p, m);
    c->section = open_clip ? "model_cfg.vision_cfg" : "vision_config";
    if (i->towers & MOHS_TOWER_IMAGE)
        tower_check(c, &m->image, open_clip ? "heads" : "num_attention_heads");
    c->section = open_clip ? "model_cfg.text_cfg" : "text_config";
    if (i->towers & MOHS_TOWER_TEXT)
        tower_check(c, &m->text, open_clip ? "heads" : "num_attention_heads");
    if (c->st >= 0 && m->patch)
        m->positions = (i->image_height / m->patch) *
                           (i->image_width / m->patch) + 1;
    m->sigmoid = has_tensor(c, "logit_bias") ||
                 (c->api->config_number(c->w, "mohs_sigmoid_loss", &sigmoid) > 0 &&
                  sigmoid > 0);
    i->logit_scale = expf(read_scalar(c, "logit_scale", 2.6592f));
    i->logit_bias = read_scalar(c, "logit_bias", 0);
    // the host may cut what follows the end token when nothing looks at it
    if (m->text_mask == MOHS_MASK_CAUSAL && m->text_pool == POOL_END)
        i->flags |= MOHS_MODEL_CAUSAL_TEXT;
}
