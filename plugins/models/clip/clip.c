/* SPDX-License-Identifier: MIT */
/*
 * CLIP with Vision Transformer and causal text transformer (Radford et al.
 * 2021), in Hugging Face's configuration and tensor names.
 *
 * Taps: image.patch (patch embeddings with class token and positions, before
 * the first layer norm), image.block.<i> (output of block i), image.embed
 * (projected); text.token (token embeddings with positions), text.block.<i>,
 * text.embed.
 */
#include <stdlib.h>
#include <string.h>

#include <mohs/plugin.h>

enum { LAYERS_MAX = 128, NAME = 128 };

struct tower {
    uint32_t width, mlp, layers, heads;
    int act;
    double eps;
};

struct clip {
    struct tower image, text;
    uint32_t patch;
    char tap_text[2 * LAYERS_MAX + 8][24];
    const char *taps[2 * LAYERS_MAX + 9];
    struct mohs_model_info info;
    int sigmoid; /* has logit_bias */
};

/* The host's table: the same for every call, set whenever a host comes by. */
static const struct mohs_weights_api *weights;

static int find_weights(const struct mohs_host *host)
{
    weights = host->get_extension(host, MOHS_EXT_WEIGHTS);
    return weights != NULL;
}

/* ---- configuration ---- */

struct reader {
    const struct mohs_weights *w;
    const char *section; /* "vision_config" or "text_config" */
    mohs_status st;
    struct mohs_error *err;
};

static void complain(struct reader *r, const char *key, const char *what)
{
    if (r->st >= 0)
        r->st = mohs_fail(r->err, MOHS_E_FORMAT, "%s: config %s.%s %s",
                          weights->path(r->w), r->section, key, what);
}

static double number(struct reader *r, const char *key, double def, double min,
                     double max)
{
    char path[NAME];
    double x = def;
    snprintf(path, sizeof path, "%s.%s", r->section, key);
    if (weights->config_number(r->w, path, &x) < 0)
        complain(r, key, "is not a number");
    else if (!(x >= min && x <= max))
        complain(r, key, "is out of range");
    return r->st < 0 ? def : x;
}

static uint32_t count(struct reader *r, const char *key, double def, double max)
{
    double x = number(r, key, def, 1, max);
    if (x != (double)(uint32_t)x)
        complain(r, key, "is not an integer");
    return (uint32_t)x;
}

static int activation(struct reader *r)
{
    static const struct {
        const char *name;
        int act;
    } known[] = {
        { "quick_gelu", MOHS_ACT_QUICK_GELU }, { "gelu", MOHS_ACT_GELU },
        { "gelu_new", MOHS_ACT_GELU_TANH },    { "gelu_pytorch_tanh", MOHS_ACT_GELU_TANH },
        { "relu", MOHS_ACT_RELU },             { "silu", MOHS_ACT_SILU },
    };
    const char *name = "quick_gelu";
    char path[NAME];
    snprintf(path, sizeof path, "%s.hidden_act", r->section);
    if (weights->config_string(r->w, path, &name) < 0)
        complain(r, "hidden_act", "is not a string");
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (!strcmp(known[i].name, name))
            return known[i].act;
    complain(r, "hidden_act", "is an unknown activation");
    return MOHS_ACT_NONE;
}

/* Keys that are absent have transformers' defaults, whatever the others say:
 * `width`, 4 width, 12, width / 64 and so on, for a width of 768 or 512. */
static void read_tower(struct reader *r, const char *section, struct tower *t,
                       double width)
{
    r->section = section;
    t->width = count(r, "hidden_size", width, 16384);
    t->mlp = count(r, "intermediate_size", 4 * width, 65536);
    t->layers = count(r, "num_hidden_layers", 12, LAYERS_MAX);
    t->heads = count(r, "num_attention_heads", width / 64, 256);
    t->act = activation(r);
    t->eps = number(r, "layer_norm_eps", 1e-5, 1e-12, 1);
    if (r->st >= 0 && t->width % t->heads)
        complain(r, "num_attention_heads", "does not divide hidden_size");
}

static void name_taps(struct clip *c)
{
    size_t n = 0;
    snprintf(c->tap_text[n++], 24, "image.patch");
    for (uint32_t i = 0; i < c->image.layers; i++)
        snprintf(c->tap_text[n++], 24, "image.block.%u", i);
    snprintf(c->tap_text[n++], 24, "image.embed");
    snprintf(c->tap_text[n++], 24, "text.token");
    for (uint32_t i = 0; i < c->text.layers; i++)
        snprintf(c->tap_text[n++], 24, "text.block.%u", i);
    snprintf(c->tap_text[n++], 24, "text.embed");
    for (size_t i = 0; i < n; i++)
        c->taps[i] = c->tap_text[i];
}

static int has_tensor(const struct mohs_weights *w, const char *name)
{
    uint32_t dims[MOHS_DIMS_MAX];
    return weights->shape(w, name, dims) >= 0;
}

static int32_t probe(const struct mohs_host *host, const struct mohs_weights *w)
{
    const char *type = "";
    if (!find_weights(host))
        return 0;
    weights->config_string(w, "model_type", &type);
    if (!strcmp(type, "clip"))
        return 90;
    return !*type && has_tensor(w, "vision_model.pre_layrnorm.weight") ? 50 : 0;
}

static mohs_status read_scalar(const struct mohs_weights *w, const char *name,
                               float def, float *out, struct mohs_error *err)
{
    *out = def;
    return has_tensor(w, name) ? weights->read(w, name, out, 1, err) : MOHS_OK;
}

static mohs_status describe(void *self,
                            mohs_status (*put)(void *user,
                                               const struct mohs_weight_spec *,
                                               struct mohs_error *),
                            void *user, struct mohs_error *err);

struct check {
    const struct mohs_weights *w;
};

static mohs_status check_tensor(void *user, const struct mohs_weight_spec *s,
                                struct mohs_error *err)
{
    struct check *c = user;
    return weights->fits(c->w, s, err);
}

static void destroy(void *self)
{
    free(self);
}

static mohs_status create(const struct mohs_host *host, const void *params,
                          const struct mohs_weights *w, void **self,
                          struct mohs_error *err)
{
    struct clip *c = calloc(1, sizeof *c);
    struct reader r = { w, "", MOHS_OK, err };
    double x = 512;
    (void)params;
    if (!find_weights(host)) {
        free(c);
        return mohs_fail(err, MOHS_E_UNSUPPORTED, "clip: the host has no %s",
                         MOHS_EXT_WEIGHTS);
    }
    if (!c)
        return mohs_fail(err, MOHS_E_NOMEM, "clip: no memory");
    read_tower(&r, "vision_config", &c->image, 768);
    c->patch = count(&r, "patch_size", 32, 256);
    uint32_t size = count(&r, "image_size", 224, 4096);
    if (r.st >= 0 && size % c->patch)
        complain(&r, "image_size", "is no multiple of patch_size");
    read_tower(&r, "text_config", &c->text, 512);
    uint32_t context = count(&r, "max_position_embeddings", 77, 65536);
    uint32_t vocab = count(&r, "vocab_size", 49408, 1 << 24);
    if (context < 2)
        complain(&r, "max_position_embeddings", "is below 2");
    if (weights->config_number(w, "projection_dim", &x) < 0 || !(x >= 1 && x <= 65536)) {
        r.section = "(top)";
        complain(&r, "projection_dim", "is out of range");
    }
    c->sigmoid = has_tensor(w, "logit_bias");
    double sigmoid = 0;
    if (weights->config_number(w, "mohs_sigmoid_loss", &sigmoid) > 0 && sigmoid)
        c->sigmoid = 1;
    name_taps(c);
    float scale = 0, bias = 0;
    if (r.st >= 0)
        r.st = read_scalar(w, "logit_scale", 2.6592f, &scale, err);
    if (r.st >= 0)
        r.st = read_scalar(w, "logit_bias", 0, &bias, err);
    c->info = (struct mohs_model_info) {
        .size = sizeof c->info,
        .flags = MOHS_MODEL_CAUSAL_TEXT,
        .towers = MOHS_TOWER_IMAGE | MOHS_TOWER_TEXT,
        .image_height = size,
        .image_width = size,
        .context_length = context,
        .vocab_size = vocab,
        .embed_dim = (uint32_t)x,
        .logit_scale = expf(scale),
        .logit_bias = bias,
        .taps = c->taps,
    };
    // a set without tensors is a model to be trained from nothing
    if (r.st >= 0 && weights->name(w, 0)) {
        struct check k = { w };
        r.st = describe(c, check_tensor, &k, err);
    }
    if (r.st < 0) {
        free(c);
        return r.st;
    }
    *self = c;
    return MOHS_OK;
}

static const struct mohs_model_info *info(void *self)
{
    return &((struct clip *)self)->info;
}

/* ---- parameters ---- */

struct lister {
    mohs_status (*put)(void *, const struct mohs_weight_spec *, struct mohs_error *);
    void *user;
    struct mohs_error *err;
    mohs_status st;
};

static void list(struct lister *l, uint32_t init, float scale, const char *prefix,
                 const char *name, uint32_t n, uint32_t d0, uint32_t d1, uint32_t d2,
                 uint32_t d3)
{
    char full[NAME];
    struct mohs_weight_spec s = { .size = sizeof s, .name = full, .n_dims = n,
                                  .dims = { d0, d1, d2, d3 }, .init = init,
                                  .scale = scale, .decay = n >= 2 };
    snprintf(full, sizeof full, "%s%s", prefix, name);
    if (l->st >= 0)
        l->st = l->put(l->user, &s, l->err);
}

static void list_norm(struct lister *l, const char *prefix, const char *name,
                      uint32_t width)
{
    char full[NAME];
    snprintf(full, sizeof full, "%s.weight", name);
    list(l, MOHS_INIT_CONSTANT, 1, prefix, full, 1, width, 0, 0, 0);
    snprintf(full, sizeof full, "%s.bias", name);
    list(l, MOHS_INIT_CONSTANT, 0, prefix, full, 1, width, 0, 0, 0);
}

static void list_linear(struct lister *l, const char *prefix, const char *name,
                        uint32_t out, uint32_t in, float scale)
{
    char full[NAME];
    snprintf(full, sizeof full, "%s.weight", name);
    list(l, MOHS_INIT_NORMAL, scale, prefix, full, 2, out, in, 0, 0);
    snprintf(full, sizeof full, "%s.bias", name);
    list(l, MOHS_INIT_CONSTANT, 0, prefix, full, 1, out, 0, 0, 0);
}

/* Standard deviations of OpenAI's initialisation (CLIP, appendix). */
static void list_blocks(struct lister *l, const char *root, const struct tower *t)
{
    float attn = 1 / sqrtf((float)t->width), fc = 1 / sqrtf(2 * (float)t->width);
    float proj = attn / sqrtf(2 * (float)t->layers);
    for (uint32_t i = 0; i < t->layers; i++) {
        char p[NAME / 2];
        snprintf(p, sizeof p, "%s.encoder.layers.%u.", root, i);
        list_norm(l, p, "layer_norm1", t->width);
        list_linear(l, p, "self_attn.q_proj", t->width, t->width, attn);
        list_linear(l, p, "self_attn.k_proj", t->width, t->width, attn);
        list_linear(l, p, "self_attn.v_proj", t->width, t->width, attn);
        list_linear(l, p, "self_attn.out_proj", t->width, t->width, proj);
        list_norm(l, p, "layer_norm2", t->width);
        list_linear(l, p, "mlp.fc1", t->mlp, t->width, fc);
        list_linear(l, p, "mlp.fc2", t->width, t->mlp, proj);
    }
}

static uint32_t tokens_of(const struct clip *c)
{
    uint32_t side = c->info.image_height / c->patch;
    return side * side + 1;
}

static mohs_status describe(void *self,
                            mohs_status (*put)(void *user,
                                               const struct mohs_weight_spec *,
                                               struct mohs_error *),
                            void *user, struct mohs_error *err)
{
    const struct clip *c = self;
    struct lister l = { put, user, err, MOHS_OK };
    uint32_t iw = c->image.width, tw = c->text.width, d = c->info.embed_dim;
    float is = 1 / sqrtf((float)iw), ts = 1 / sqrtf((float)tw);
    list(&l, MOHS_INIT_CONSTANT, 2.6592f, "", "logit_scale", 0, 0, 0, 0, 0);
    if (c->sigmoid)
        list(&l, MOHS_INIT_CONSTANT, -10, "", "logit_bias", 0, 0, 0, 0, 0);
    const char *v = "vision_model.embeddings.", *t = "text_model.embeddings.";
    list(&l, MOHS_INIT_NORMAL, is, v, "class_embedding", 1, iw, 0, 0, 0);
    list(&l, MOHS_INIT_NORMAL, is, v, "patch_embedding.weight", 4, iw, 3, c->patch,
         c->patch);
    list(&l, MOHS_INIT_NORMAL, is, v, "position_embedding.weight", 2, tokens_of(c), iw,
         0, 0);
    list_norm(&l, "vision_model.", "pre_layrnorm", iw);
    list_blocks(&l, "vision_model", &c->image);
    list_norm(&l, "vision_model.", "post_layernorm", iw);
    list(&l, MOHS_INIT_NORMAL, is, "", "visual_projection.weight", 2, d, iw, 0, 0);
    list(&l, MOHS_INIT_NORMAL, 0.02f, t, "token_embedding.weight", 2,
         c->info.vocab_size, tw, 0, 0);
    list(&l, MOHS_INIT_NORMAL, 0.01f, t, "position_embedding.weight", 2,
         c->info.context_length, tw, 0, 0);
    list_blocks(&l, "text_model", &c->text);
    list_norm(&l, "text_model.", "final_layer_norm", tw);
    list(&l, MOHS_INIT_NORMAL, ts, "", "text_projection.weight", 2, d, tw, 0, 0);
    return l.st;
}

/* ---- the graph ---- */

struct builder {
    const struct mohs_graph_api *api;
    struct mohs_graph *g;
    const char *root; /* "vision_model" */
    uint32_t layer;
};

static struct mohs_tensor *weight(const struct builder *b, const char *name, uint32_t n,
                                  uint32_t d0, uint32_t d1)
{
    uint32_t dims[] = { d0, d1 };
    return b->api->weight(b->g, name, n, dims);
}

static struct mohs_tensor *norm(const struct builder *b, struct mohs_tensor *x,
                                const char *name, uint32_t width, double eps)
{
    char gain[NAME], bias[NAME];
    snprintf(gain, sizeof gain, "%s.weight", name);
    snprintf(bias, sizeof bias, "%s.bias", name);
    return mohs_layer_norm(b->api, b->g, x, weight(b, gain, 1, width, 0),
                           weight(b, bias, 1, width, 0), eps);
}

static struct mohs_tensor *linear(const struct builder *b, struct mohs_tensor *x,
                                  const char *name, uint32_t out, uint32_t in,
                                  struct mohs_tensor *residual, int act)
{
    char full[NAME], bias[NAME];
    const char *p = b->root;
    snprintf(full, sizeof full, "%s.encoder.layers.%u.%s.weight", p, b->layer, name);
    snprintf(bias, sizeof bias, "%s.encoder.layers.%u.%s.bias", p, b->layer, name);
    return mohs_linear(b->api, b->g, x, weight(b, full, 2, out, in),
                       weight(b, bias, 1, out, 0), residual, act);
}

static struct mohs_tensor *block_norm(const struct builder *b, struct mohs_tensor *x,
                                      const char *name, const struct tower *t)
{
    char full[NAME];
    snprintf(full, sizeof full, "%s.encoder.layers.%u.%s", b->root, b->layer, name);
    return norm(b, x, full, t->width, t->eps);
}

/* The MLP half of a block, on tokens [n, t, w] or on one each [n, w]. */
static struct mohs_tensor *mlp(const struct builder *b, struct mohs_tensor *x,
                               const struct tower *t)
{
    struct mohs_tensor *y = block_norm(b, x, "layer_norm2", t);
    y = linear(b, y, "mlp.fc1", t->mlp, t->width, NULL, t->act);
    return linear(b, y, "mlp.fc2", t->width, t->mlp, x, MOHS_ACT_NONE);
}

static struct mohs_tensor *reshape(const struct builder *b, struct mohs_tensor *x,
                                   uint32_t d0, uint32_t d1, uint32_t d2)
{
    struct mohs_attr at[] = { { "d0", d0 }, { "d1", d1 }, { "d2", d2 } };
    return b->api->op(b->g, "reshape", &x, 1, at, 3);
}

/* The block's output at token 0 alone: keys and values of all tokens, the
 * rest for one. y is the normed input x. */
static struct mohs_tensor *first_token(const struct builder *b, struct mohs_tensor *x,
                                       struct mohs_tensor *y, struct mohs_tensor *k,
                                       struct mohs_tensor *v, const struct tower *t)
{
    uint32_t dims[MOHS_DIMS_MAX] = { 0 }, w = t->width;
    if (!b->api->shape(b->g, x, dims))
        return NULL;
    struct mohs_tensor *q = mohs_take(b->api, b->g, y, NULL);
    q = linear(b, q, "self_attn.q_proj", w, w, NULL, MOHS_ACT_NONE);
    y = mohs_attention(b->api, b->g, reshape(b, q, dims[0], 1, w), k, v, NULL,
                       (int)t->heads, MOHS_MASK_NONE);
    x = linear(b, reshape(b, y, dims[0], w, 0), "self_attn.out_proj", w, w,
               mohs_take(b->api, b->g, x, NULL), MOHS_ACT_NONE);
    return mlp(b, x, t);
}

/* All blocks; the result is of all tokens, or, with `first`, of token 0. What
 * nobody reads is never computed, so when the last tap is left alone the last
 * block runs for token 0 only: the same numbers, less work. */
static struct mohs_tensor *blocks(struct builder *b, struct mohs_tensor *x,
                                  const struct tower *t, const char *side, int mask,
                                  int first)
{
    uint32_t w = t->width;
    struct mohs_tensor *short_cut = NULL;
    for (b->layer = 0; b->layer < t->layers; b->layer++) {
        struct mohs_tensor *y = block_norm(b, x, "layer_norm1", t);
        struct mohs_tensor *q = linear(b, y, "self_attn.q_proj", w, w, NULL, 0);
        struct mohs_tensor *k = linear(b, y, "self_attn.k_proj", w, w, NULL, 0);
        struct mohs_tensor *v = linear(b, y, "self_attn.v_proj", w, w, NULL, 0);
        if (first && b->layer + 1 == t->layers)
            short_cut = first_token(b, x, y, k, v, t);
        y = mohs_attention(b->api, b->g, q, k, v, NULL, (int)t->heads, mask);
        x = mlp(b, linear(b, y, "self_attn.out_proj", w, w, x, MOHS_ACT_NONE), t);
        char tap[24];
        snprintf(tap, sizeof tap, "%s.block.%u", side, b->layer);
        struct mohs_tensor *seen = x;
        x = b->api->tap(b->g, tap, x);
        if (x != seen)
            short_cut = NULL; // perturbed: it must be the one that is used
    }
    if (!first)
        return x;
    return short_cut ? short_cut : mohs_take(b->api, b->g, x, NULL);
}

static struct mohs_tensor *image_tower(const struct clip *c, struct builder *b,
                                       struct mohs_tensor *pixels)
{
    const struct tower *t = &c->image;
    uint32_t dims[] = { t->width, 3, c->patch, c->patch };
    b->root = "vision_model";
    struct mohs_tensor *w =
        b->api->weight(b->g, "vision_model.embeddings.patch_embedding.weight", 4, dims);
    struct mohs_tensor *x = mohs_patch_embed(b->api, b->g, pixels, w, NULL);
    x = mohs_prepend(b->api, b->g, x,
                     weight(b, "vision_model.embeddings.class_embedding", 1, t->width, 0));
    x = mohs_add(b->api, b->g, x,
                 weight(b, "vision_model.embeddings.position_embedding.weight", 2,
                        tokens_of(c), t->width));
    x = b->api->tap(b->g, "image.patch", x);
    x = norm(b, x, "vision_model.pre_layrnorm", t->width, t->eps);
    x = blocks(b, x, t, "image", MOHS_MASK_NONE, 1);
    x = norm(b, x, "vision_model.post_layernorm", t->width, t->eps);
    x = mohs_linear(b->api, b->g, x,
                    weight(b, "visual_projection.weight", 2, c->info.embed_dim, t->width),
                    NULL, NULL, MOHS_ACT_NONE);
    return b->api->tap(b->g, "image.embed", x);
}

static struct mohs_tensor *text_tower(const struct clip *c, struct builder *b,
                                      struct mohs_tensor *tokens,
                                      struct mohs_tensor *last)
{
    const struct tower *t = &c->text;
    b->root = "text_model";
    struct mohs_tensor *x = mohs_embedding(
        b->api, b->g, tokens,
        weight(b, "text_model.embeddings.token_embedding.weight", 2, c->info.vocab_size,
               t->width));
    x = mohs_add(b->api, b->g, x,
                 weight(b, "text_model.embeddings.position_embedding.weight", 2,
                        c->info.context_length, t->width));
    x = b->api->tap(b->g, "text.token", x);
    x = blocks(b, x, t, "text", MOHS_MASK_CAUSAL, 0);
    // the norm is per token, so it may follow the choice of the last token
    x = mohs_take(b->api, b->g, x, last);
    x = norm(b, x, "text_model.final_layer_norm", t->width, t->eps);
    x = mohs_linear(b->api, b->g, x,
                    weight(b, "text_projection.weight", 2, c->info.embed_dim, t->width),
                    NULL, NULL, MOHS_ACT_NONE);
    return b->api->tap(b->g, "text.embed", x);
}

static mohs_status build(void *self, const struct mohs_graph_api *api,
                         struct mohs_graph *g, uint32_t tower,
                         const struct mohs_tower_inputs *in,
                         struct mohs_tensor **out, struct mohs_error *err)
{
    struct builder b = { .api = api, .g = g };
    if (tower == MOHS_TOWER_IMAGE)
        *out = image_tower(self, &b, in->pixels);
    else if (tower == MOHS_TOWER_TEXT)
        *out = text_tower(self, &b, in->tokens, in->last);
    else
        return mohs_fail(err, MOHS_E_ARG, "clip: no tower %u", tower);
    return MOHS_OK;
}

/* ---- the plugin ---- */

static const struct mohs_model_ops ops = {
    .size = sizeof ops,
    .probe = probe,
    .create = create,
    .destroy = destroy,
    .info = info,
    .describe = describe,
    .build = build,
};

static const struct mohs_item clip = {
    .size = sizeof clip,
    .param_stride = sizeof(struct mohs_param),
    .kind = MOHS_KIND_MODEL,
    .id = "clip",
    .summary = "CLIP: Vision Transformer and causal text transformer, Hugging Face names",
    .ops = &ops,
};

static const struct mohs_item *const items[] = { &clip, NULL };
static const struct mohs_plugin plugin = {
    .size = sizeof plugin,
    .abi = MOHS_ABI,
    .id = "mohs.clip",
    .name = "CLIP",
    .version = "1.0",
    .license = "MIT",
    .items = items,
};

const struct mohs_plugin *mohs_plugin_v1(uint32_t host_abi)
{
    (void)host_abi;
    return &plugin;
}
