/* SPDX-License-Identifier: MIT */
/*
 * CLIP with Vision Transformer and causal text transformer (Radford et al.
 * 2021), in the names of transformers, open_clip and OpenAI's archives, with
 * what open_clip added: other poolings, no first norm, layer scale, no mask.
 *
 * Taps: image.patch (patch embeddings with class token and positions, before
 * the first layer norm), image.block.<i> (output of block i), image.embed
 * (projected); text.token (token embeddings with positions), text.block.<i>,
 * text.embed.
 */
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "clip/clip.h"

/* ---- the layers -------------------------------------------------------- */

static struct mohs_tensor *mean_of_patches(struct net *n, struct mohs_tensor *x)
{
    x = net_slice(n, x, 1, 1, n->g ? net_dim(n, x, 1) - 1 : 1);
    return net_op(n, "mean_tokens", &x, 1, NULL, 0);
}

/* A norm or projection without bias, at the top of the model. */
static struct mohs_tensor *project(struct net *n, struct mohs_tensor *x,
                                   const char *name, uint32_t out, uint32_t in)
{
    net_at(n, "%s", "");
    return net_linear(n, x, &(struct linear) { .name = name, .out = out,
                                               .in = in, .no_bias = 1 });
}

static struct mohs_tensor *image_tower(const struct clip *m, struct net *n,
                                       struct mohs_tensor *pixels)
{
    const struct tower *t = &m->image;
    const float std = 1 / sqrtf((float)t->width);
    net_at(n, "%s", IMAGE);
    struct mohs_tensor *cls = net_normal(n, "embeddings.class_embedding", std,
                                         DIMS(t->width));
    struct mohs_tensor *w =
        net_normal(n, "embeddings.patch_embedding.weight", std,
                   DIMS(t->width, 3, m->patch, m->patch));
    struct mohs_tensor *x =
        n->g ? mohs_patch_embed(n->api, n->g, pixels, w, NULL) : NULL;
    if (n->g)
        x = mohs_prepend(n->api, n->g, x, cls);
    x = net_add(n, x, net_normal(n, "embeddings.position_embedding.weight", std,
                                 DIMS(m->positions, t->width)));
    x = net_tap(n, "image.patch", x);
    if (m->norm_first)
        x = net_norm(n, x, "pre_layrnorm", t->width, t->eps);
    x = net_blocks(n, x, t, "image", MOHS_MASK_NONE,
                   m->image_pool == POOL_FIRST ? 0 : NET_ALL);
    net_at(n, "%s", IMAGE);
    // the norm is per token, so with one token the order does not matter
    if (m->image_pool == POOL_MEAN && m->norm_after_pool)
        x = mean_of_patches(n, x);
    x = net_norm(n, x, "post_layernorm", t->width, t->eps);
    if (m->image_pool == POOL_MEAN && !m->norm_after_pool)
        x = mean_of_patches(n, x);
    x = project(n, x, "visual_projection", m->info.embed_dim, t->width);
    return net_tap(n, "image.embed", x);
}

static struct mohs_tensor *text_tower(const struct clip *m, struct net *n,
                                      const struct mohs_tower_inputs *in)
{
    const struct tower *t = &m->text;
    net_at(n, "%s", TEXT);
    struct mohs_tensor *x =
        net_embedding(n, in->tokens, "embeddings.token_embedding.weight",
                      m->info.vocab_size, t->width);
    x = net_add(n, x, net_normal(n, "embeddings.position_embedding.weight",
                                 0.01f,
                                 DIMS(m->info.context_length, t->width)));
    x = net_tap(n, "text.token", x);
    int token = m->text_pool == POOL_FIRST ? 0
                : m->text_pool == POOL_LAST ? -1 : NET_ALL;
    // the last block's one token may look at all keys only without a mask,
    // or as the last one
    if (token == 0 && m->text_mask != MOHS_MASK_NONE)
        token = NET_ALL;
    x = net_blocks(n, x, t, "text", m->text_mask, token);
    struct mohs_tensor *pair[] = { x, m->text_pool == POOL_END ? in->last : NULL };
    if (token == NET_ALL)
        x = net_op(n, "take", pair, 2, NULL, 0);
    net_at(n, "%s", TEXT);
    x = net_norm(n, x, "final_layer_norm", t->width, t->eps);
    x = project(n, x, "text_projection", m->info.embed_dim, t->width);
    return net_tap(n, "text.embed", x);
}

static struct mohs_tensor *walk(const void *model, struct net *n, uint32_t tower,
                                const struct mohs_tower_inputs *in)
{
    const struct clip *m = model;
    if (tower == MOHS_TOWER_IMAGE)
        return image_tower(m, n, in->pixels);
    if (tower == MOHS_TOWER_TEXT)
        return text_tower(m, n, in);
    net_constant(n, "logit_scale", 2.6592f, 0, NULL);
    if (m->sigmoid)
        net_constant(n, "logit_bias", -10, 0, NULL);
    return NULL;
}

/* ---- the plugin -------------------------------------------------------- */

static int32_t probe(const struct mohs_host *host, const struct mohs_weights *w)
{
    struct config c = { .api = config_api(host), .w = w, .section = "" };
    return c.api ? clip_probe(&c) : 0;
}

static void destroy(void *self)
{
    free(self);
}

/* Parts of the file that must all have their place. */
static const char *const parts[] = { IMAGE, TEXT, "visual.", "text.",
                                     "transformer.", NULL };

static mohs_status create(const struct mohs_host *host, const void *params,
                          const struct mohs_weights *w, void **self,
                          struct mohs_error *err)
{
    struct config c = { .api = config_api(host), .w = w, .section = "",
                        .err = err };
    if (!c.api)
        return mohs_fail(err, MOHS_E_UNSUPPORTED, "clip: the host has no %s",
                         MOHS_EXT_WEIGHTS);
    struct clip *m = calloc(1, sizeof *m);
    if (!m)
        return mohs_fail(err, MOHS_E_NOMEM, "clip: no memory");
    m->info.size = sizeof m->info;
    clip_read(&c, params, m);
    if (c.st >= 0) {
        if (m->info.towers & MOHS_TOWER_IMAGE)
            taps_add(&m->taps, "image", "patch", m->image.layers);
        if (m->info.towers & MOHS_TOWER_TEXT)
            taps_add(&m->taps, "text", "token", m->text.layers);
        m->info.taps = m->taps.name;
    }
    // a set without tensors is a model to be trained from nothing
    if (c.st >= 0 && c.api->name(w, 0))
        c.st = net_check_whole(walk, m, m->info.towers, &c, parts);
    if (c.st < 0) {
        free(m);
        return c.st;
    }
    *self = m;
    return MOHS_OK;
}

static const struct mohs_model_info *info(void *self)
{
    return &((struct clip *)self)->info;
}

static mohs_status describe(void *self,
                            mohs_status (*put)(void *user,
                                               const struct mohs_weight_spec *,
                                               struct mohs_error *),
                            void *user, struct mohs_error *err)
{
    const struct clip *m = self;
    return net_list(walk, m, m->info.towers, m->map, put, user, err);
}

static mohs_status build(void *self, const struct mohs_graph_api *api,
                         struct mohs_graph *g, uint32_t tower,
                         const struct mohs_tower_inputs *in,
                         struct mohs_tensor **out, struct mohs_error *err)
{
    if (tower != MOHS_TOWER_IMAGE && tower != MOHS_TOWER_TEXT)
        return mohs_fail(err, MOHS_E_ARG, "clip: no tower %u", tower);
    return net_build(walk, self, api, g, tower, in, out);
}

static const struct mohs_model_ops ops = {
    .size = sizeof ops,
    .probe = probe,
    .create = create,
    .destroy = destroy,
    .info = info,
    .describe = describe,
    .build = build,
};

#define AT(field) offsetof(struct clip_params, field)
static const struct mohs_param params[] = {
    { "activation", "of the blocks; auto: as the checkpoint says", MOHS_P_CHOICE,
      AT(activation), 0, 0, 3, clip_activations, NULL },
    { "image_heads", "attention heads of the image tower; 0: as the checkpoint says",
      MOHS_P_INT, AT(image_heads), 0, 0, 256, NULL, NULL },
    { "text_heads", "attention heads of the text tower; 0: as the checkpoint says",
      MOHS_P_INT, AT(text_heads), 0, 0, 256, NULL, NULL },
};

static const struct mohs_item clip = {
    .size = sizeof clip,
    .param_stride = sizeof(struct mohs_param),
    .kind = MOHS_KIND_MODEL,
    .id = "clip",
    .summary = "CLIP: Vision Transformer and text transformer; names of "
               "transformers, open_clip or OpenAI",
    .params = params,
    .n_params = sizeof params / sizeof *params,
    .params_size = sizeof(struct clip_params),
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
