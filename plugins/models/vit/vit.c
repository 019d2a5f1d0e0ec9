/* SPDX-License-Identifier: MIT */
/*
 * Vision transformers with a classifier: ViT (Dosovitskiy et al. 2021), DeiT
 * with and without distillation token, DeiT III (Touvron et al. 2021, 2022),
 * in the names of timm, torchvision and transformers.
 *
 * Taps: image.patch (what the first block, or a norm before it, takes),
 * image.block.<i>, image.embed (what the head takes; of a distilled model
 * both tokens, one after the other). The result is the logits.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/base.h"

/* The plugin's own names are timm's, with q, k and v apart. */
static const struct block_names plain = {
    .norm1 = "norm1", .q = "attn.q", .k = "attn.k", .v = "attn.v",
    .out = "attn.proj", .norm2 = "norm2", .fc1 = "mlp.fc1", .fc2 = "mlp.fc2",
};
static const struct block_names scaled = {
    .norm1 = "norm1", .q = "attn.q", .k = "attn.k", .v = "attn.v",
    .out = "attn.proj", .norm2 = "norm2", .fc1 = "mlp.fc1", .fc2 = "mlp.fc2",
    .scale1 = "ls1.gamma", .scale2 = "ls2.gamma",
};

#define END { NULL, NULL, 0, 0 }

static const struct rename timm[] = {
    { "blocks.#.attn.q.*", "blocks.#.attn.qkv.*", 0, 3 },
    { "blocks.#.attn.k.*", "blocks.#.attn.qkv.*", 1, 3 },
    { "blocks.#.attn.v.*", "blocks.#.attn.qkv.*", 2, 3 },
    END,
};

/* mlp.0 and mlp.3 were mlp.linear_1 and mlp.linear_2 once. */
#define TV "encoder.layers.encoder_layer_#."
#define TORCHVISION(fc1, fc2)                                  \
    { "cls_token", "class_token", 0, 0 },                      \
        { "pos_embed", "encoder.pos_embedding", 0, 0 },        \
        { "patch_embed.proj.*", "conv_proj.*", 0, 0 },         \
        { "blocks.#.norm1.*", TV "ln_1.*", 0, 0 },             \
        { "blocks.#.attn.q.*", TV "self_attention.in_proj_*", 0, 3 }, \
        { "blocks.#.attn.k.*", TV "self_attention.in_proj_*", 1, 3 }, \
        { "blocks.#.attn.v.*", TV "self_attention.in_proj_*", 2, 3 }, \
        { "blocks.#.attn.proj.*", TV "self_attention.out_proj.*", 0, 0 }, \
        { "blocks.#.norm2.*", TV "ln_2.*", 0, 0 },             \
        { "blocks.#.mlp.fc1.*", TV fc1 ".*", 0, 0 },           \
        { "blocks.#.mlp.fc2.*", TV fc2 ".*", 0, 0 },           \
        { "norm.*", "encoder.ln.*", 0, 0 },                    \
        { "head.*", "heads.head.*", 0, 0 }
static const struct rename torchvision[] = { TORCHVISION("mlp.0", "mlp.3"),
                                             END };
static const struct rename torchvision_old[] = {
    TORCHVISION("mlp.linear_1", "mlp.linear_2"), END
};

#define TRANSFORMERS(root)                                                    \
    { "cls_token", root "embeddings.cls_token", 0, 0 },                       \
        { "dist_token", root "embeddings.distillation_token", 0, 0 },         \
        { "pos_embed", root "embeddings.position_embeddings", 0, 0 },         \
        { "patch_embed.proj.*", root "embeddings.patch_embeddings.projection.*", \
          0, 0 },                                                             \
        { "blocks.#.norm1.*", root "encoder.layer.#.layernorm_before.*", 0, 0 }, \
        { "blocks.#.attn.q.*", root "encoder.layer.#.attention.attention.query.*", \
          0, 0 },                                                             \
        { "blocks.#.attn.k.*", root "encoder.layer.#.attention.attention.key.*", \
          0, 0 },                                                             \
        { "blocks.#.attn.v.*", root "encoder.layer.#.attention.attention.value.*", \
          0, 0 },                                                             \
        { "blocks.#.attn.proj.*", root "encoder.layer.#.attention.output.dense.*", \
          0, 0 },                                                             \
        { "blocks.#.norm2.*", root "encoder.layer.#.layernorm_after.*", 0, 0 }, \
        { "blocks.#.mlp.fc1.*", root "encoder.layer.#.intermediate.dense.*", 0, \
          0 },                                                                \
        { "blocks.#.mlp.fc2.*", root "encoder.layer.#.output.dense.*", 0, 0 }, \
        { "norm.*", root "layernorm.*", 0, 0 }
static const struct rename vit_names[] = {
    TRANSFORMERS("vit."), { "head.*", "classifier.*", 0, 0 }, END
};
static const struct rename deit_names[] = {
    TRANSFORMERS("deit."), { "head.*", "classifier.*", 0, 0 }, END
};
static const struct rename teacher_names[] = {
    TRANSFORMERS("deit."),
    { "head.*", "cls_classifier.*", 0, 0 },
    { "head_dist.*", "distillation_classifier.*", 0, 0 },
    END
};

/* The first whose tensor is there. */
static const struct {
    const char *tensor;
    const struct rename *map;
    int sure;
} schemes[] = {
    { "encoder.layers.encoder_layer_0.mlp.0.weight", torchvision, 80 },
    { "encoder.layers.encoder_layer_0.mlp.linear_1.weight", torchvision_old,
      80 },
    { "blocks.0.attn.qkv.weight", timm, 60 },
    { "vit.embeddings.cls_token", vit_names, 80 },
    { "cls_classifier.weight", teacher_names, 80 },
    { "deit.embeddings.cls_token", deit_names, 80 },
};

enum pool { POOL_FIRST, POOL_BOTH, POOL_MEAN };

struct vit {
    struct base base;
    struct tower t;
    uint32_t patch, positions, prefix, registers;
    int has_class, has_dist, positions_for_all, pre_norm, late_norm;
    enum pool pool;
};

/* ---- the layers ---- */

static struct mohs_tensor *extra_tokens(const struct vit *m, struct net *n,
                                        struct mohs_tensor *x)
{
    uint32_t w = m->t.width;
    // each goes before what is there
    if (m->registers)
        x = net_prepend(n, x, net_normal(n, "reg_token", 0.02f,
                                         DIMS(m->registers, w)));
    if (m->has_dist)
        x = net_prepend(n, x, net_normal(n, "dist_token", 0.02f, DIMS(1, w)));
    if (m->has_class)
        x = net_prepend(n, x, net_normal(n, "cls_token", 0.02f, DIMS(1, w)));
    return x;
}

static struct mohs_tensor *embed(const struct vit *m, struct net *n,
                                 struct mohs_tensor *pixels)
{
    uint32_t w = m->t.width;
    struct mohs_tensor *x = net_patches(n, pixels, "patch_embed.proj", w,
                                        m->patch, m->pre_norm);
    struct mohs_tensor *p =
        net_normal(n, "pos_embed", 0.02f, DIMS(m->positions, w));
    if (m->positions_for_all)
        return net_add(n, extra_tokens(m, n, x), p);
    return extra_tokens(m, n, net_add(n, x, p));
}

static struct mohs_tensor *mean_patches(const struct vit *m, struct net *n,
                                        struct mohs_tensor *x)
{
    uint32_t t = net_dim(n, x, 1);
    if (m->prefix)
        x = net_slice(n, x, 1, m->prefix, t - m->prefix);
    return net_op(n, "mean_tokens", &x, 1, NULL, 0);
}

/* What the head takes: [n, w], or [n, 2 w] with a distillation token. */
static struct mohs_tensor *pooled(const struct vit *m, struct net *n,
                                  struct mohs_tensor *x)
{
    const struct tower *t = &m->t;
    const char *norm = m->late_norm ? "fc_norm" : "norm";
    if (m->pool == POOL_MEAN && m->late_norm)
        return net_norm(n, mean_patches(m, n, x), norm, t->width, t->eps);
    x = net_norm(n, x, norm, t->width, t->eps);
    if (m->pool == POOL_MEAN)
        return mean_patches(m, n, x);
    if (m->pool == POOL_FIRST)
        return x; // of that token already
    x = net_slice(n, x, 1, 0, 2);
    return net_reshape(n, x, DIMS(net_dim(n, x, 0), 2 * t->width));
}

static struct mohs_tensor *head(const struct vit *m, struct net *n,
                                struct mohs_tensor *x)
{
    uint32_t w = m->t.width;
    struct linear l = { .name = "head", .out = m->base.info.embed_dim, .in = w };
    struct mohs_attr half[] = { { "mul", 0.5 } };
    if (m->pool != POOL_BOTH)
        return net_linear(n, x, &l);
    struct mohs_tensor *y = net_linear(n, net_slice(n, x, 1, 0, w), &l);
    l.name = "head_dist";
    l.residual = y;
    y = net_linear(n, net_slice(n, x, 1, w, w), &l);
    return net_op(n, "affine", &y, 1, half, 1);
}

static struct mohs_tensor *walk(const void *model, struct net *n,
                                uint32_t tower,
                                const struct mohs_tower_inputs *in)
{
    const struct vit *m = model;
    if (tower != MOHS_TOWER_IMAGE)
        return NULL;
    net_at(n, "%s", "");
    struct mohs_tensor *x = net_tap(n, "image.patch", embed(m, n, in->pixels));
    if (m->pre_norm)
        x = net_norm(n, x, "norm_pre", m->t.width, m->t.eps);
    x = net_blocks(n, x, &m->t, "image", MOHS_MASK_NONE,
                   m->pool == POOL_FIRST ? 0 : NET_ALL);
    net_at(n, "%s", "");
    return head(m, n, net_tap(n, "image.embed", pooled(m, n, x)));
}

/* ---- configuration ---- */

static int is_timm(const struct config *c)
{
    const char *s = "";
    c->api->config_string(c->w, "architecture", &s);
    return *s || c->map == timm;
}

static void read_tower(struct config *c, struct tower *t)
{
    const char *name = config_string(c, "architecture", "");
    int named = is_timm(c) || c->map == torchvision ||
                c->map == torchvision_old;
    const char *act = strstr(name, "quickgelu") ? "quick_gelu" : "gelu";
    double eps = !named ? 1e-12 : has_tensor(c, "norm_pre.weight") ? 1e-5
                                                                   : 1e-6;
    t->at = "blocks.";
    t->names = has_tensor(c, "blocks.0.ls1.gamma") ? &scaled : &plain;
    t->width = config_count(c, "hidden_size",
                            tensor_dim(c, "patch_embed.proj.weight", 0, 768),
                            16384);
    t->mlp = config_count(c, "intermediate_size",
                          tensor_dim(c, "blocks.0.mlp.fc1.bias", 0, 3072),
                          65536);
    t->layers = config_count(c, "num_hidden_layers",
                             count_tensors(c, "blocks.", ".norm1.weight", 12),
                             NET_LAYERS_MAX);
    uint32_t heads = t->width > 1024 || strstr(name, "base_patch16_gap_224")
                         ? 16 : (t->width + 63) / 64;
    heads = config_count(c, "model_args.num_heads", heads, 256);
    t->heads = config_count(c, "num_attention_heads", heads, 256);
    t->act = config_activation(c, "hidden_act",
                               config_string(c, "model_args.act_layer", act));
    t->eps = config_number(c, "layer_norm_eps", eps, 1e-12, 1);
    t->no_qkv_bias = has_tensor(c, "blocks.0.attn.q.weight") &&
                     !has_tensor(c, "blocks.0.attn.q.bias");
    tower_check(c, t, "num_attention_heads");
}

/* Patches, and how many tokens stand before them. */
static void read_tokens(struct config *c, struct vit *m)
{
    uint32_t there = tensor_dim(c, "pos_embed", 0, 0);
    m->patch = config_count(c, "patch_size",
                            tensor_dim(c, "patch_embed.proj.weight", 3, 16),
                            256);
    m->has_class = has_tensor(c, "cls_token") || !c->api->name(c->w, 0);
    m->has_dist = has_tensor(c, "dist_token");
    m->registers = tensor_dim(c, "reg_token", 0, 0);
    if (m->registers == m->t.width) // [1, 1, w]
        m->registers = 1;
    m->prefix = (uint32_t)(m->has_class + m->has_dist) + m->registers;
    // a square of patches, with or without places for the tokens before them
    uint32_t side = (uint32_t)sqrt(there);
    m->positions_for_all = !there || side * side != there;
    if (there && m->positions_for_all)
        side = there > m->prefix ? (uint32_t)sqrt(there - m->prefix) : 0;
    uint32_t size = config_count(c, "image_size",
                                 there ? side * m->patch : 224, 4096);
    size = config_count(c, "pretrained_cfg.input_size.1", size, 4096);
    side = size / m->patch;
    m->positions = side * side + (m->positions_for_all ? m->prefix : 0);
    m->base.info.image_height = m->base.info.image_width = size;
    if (!side)
        config_fail(c, "image_size", "is smaller than a patch");
    if (config_number(c, "pretrained_cfg.input_size.2", size, 1, 4096) != size)
        config_fail(c, "pretrained_cfg.input_size", "is not a square");
}

static void read_head(struct config *c, struct vit *m)
{
    char text[80];
    base_classifier(c, &m->base, "head.bias");
    m->late_norm = has_tensor(c, "fc_norm.weight");
    const char *pool = config_string(
        c, "global_pool", m->late_norm || !m->has_class ? "avg" : "token");
    pool = config_string(c, "model_args.global_pool", pool);
    m->pool = has_tensor(c, "head_dist.weight") ? POOL_BOTH
              : !strcmp(pool, "avg")            ? POOL_MEAN
                                                : POOL_FIRST;
    if (strcmp(pool, "avg") && strcmp(pool, "token")) {
        snprintf(text, sizeof text, "is \"%.40s\", neither token nor avg", pool);
        config_fail(c, "global_pool", text);
    }
    if (c->st >= 0 && c->api->name(c->w, 0) && !has_tensor(c, "head.weight"))
        c->st = mohs_fail(c->err, MOHS_E_FORMAT,
                          "%s: no classifier: features only",
                          c->api->path(c->w));
}

/* What a file alone does not say: DeiT's own evaluation for timm's names,
 * torchvision's for its (its weights of 384 and more pixels are SWAG's). */
static const char *preprocessor(const struct vit *m)
{
    const struct rename *map = m->base.map;
    if (map == vit_names)
        return "{\"image_processor_type\": \"ViTImageProcessor\"}";
    if (map == deit_names || map == teacher_names)
        return PREPROCESS_HF("DeiTImageProcessor");
    if (map == timm)
        return PREPROCESS_TIMM("0.875", "bicubic");
    if (m->base.info.image_height > 224)
        return PREPROCESS_TIMM("1", "bicubic");
    return m->t.width == 1024 && m->patch == 16 // from 242
               ? PREPROCESS_TIMM("0.9256", "bilinear")
               : PREPROCESS_TIMM("0.875", "bilinear");
}

/* ---- the plugin ---- */

static int find_scheme(const struct config *c)
{
    int n = sizeof schemes / sizeof *schemes;
    for (int i = 0; i < n; i++)
        if (has_tensor(c, schemes[i].tensor))
            return i;
    return -1;
}

static int32_t probe(const struct mohs_host *host, const struct mohs_weights *w)
{
    struct config c = { .api = config_api(host), .w = w };
    const char *type = "", *name = "";
    if (!c.api)
        return 0;
    c.api->config_string(w, "model_type", &type);
    c.api->config_string(w, "architecture", &name);
    if (!strcmp(type, "vit") || !strcmp(type, "deit"))
        return 90;
    int i = find_scheme(&c);
    if (*type || i < 0)
        return 0;
    if (schemes[i].map != timm)
        return schemes[i].sure;
    if (!has_tensor(&c, "pos_embed") ||
        !has_tensor(&c, "patch_embed.proj.weight"))
        return 0;
    int known = !strncmp(name, "vit_", 4) || !strncmp(name, "deit", 4);
    return known ? 90 : *name ? 0 : schemes[i].sure;
}

static void read_all(struct config *c, void *model, uint32_t *blocks,
                     uint32_t *text_blocks)
{
    struct vit *m = model;
    int i = find_scheme(c);
    (void)text_blocks;
    m->base.map = c->map = i < 0 ? NULL : schemes[i].map;
    m->pre_norm = has_tensor(c, "norm_pre.weight");
    base_refuse(c, "_rpn_", "norms come last");
    read_tower(c, &m->t);
    read_tokens(c, m);
    read_head(c, m);
    m->base.info.preprocessor = preprocessor(m);
    *blocks = m->t.layers;
}

static mohs_status create(const struct mohs_host *host, const void *params,
                          const struct mohs_weights *w, void **self,
                          struct mohs_error *err)
{
    static const char *const whole[] = {
        "blocks.", "vit.", "deit.", "encoder.", "head", "norm", "fc_norm",
        "patch_embed", "attn_pool", NULL
    };
    static const struct base_plan plan = { "vit", sizeof(struct vit), walk,
                                           read_all, whole };
    (void)params;
    return base_create(&plan, host, w, self, err);
}

static const struct mohs_model_ops ops = BASE_OPS(probe, create);

static const struct mohs_item vit = {
    .size = sizeof vit,
    .param_stride = sizeof(struct mohs_param),
    .kind = MOHS_KIND_MODEL,
    .id = "vit",
    .summary = "ViT and DeiT classifiers: names of timm, torchvision or "
               "transformers",
    .ops = &ops,
};

static const struct mohs_item *const items[] = { &vit, NULL };
static const struct mohs_plugin plugin = {
    .size = sizeof plugin,
    .abi = MOHS_ABI,
    .id = "mohs.vit",
    .name = "Vision transformer classifiers",
    .version = "1.0",
    .license = "MIT",
    .items = items,
};

const struct mohs_plugin *mohs_plugin_v1(uint32_t host_abi)
{
    (void)host_abi;
    return &plugin;
}
