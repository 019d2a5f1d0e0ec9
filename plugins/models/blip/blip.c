/* SPDX-License-Identifier: MIT */
/*
 * BLIP for retrieval (Li et al. 2022), transformers'
 * BlipForImageTextRetrieval or Salesforce's own checkpoints: a vision
 * transformer and BERT. The embeddings are those of the contrastive head
 * (ITC): class token and first token, projected. Pairs are scored by the head
 * of image-text matching (ITM).
 *
 * Taps: image.patch (class token and patches with positions), image.block.<i>,
 * image.embed; text.token (word and position embeddings after their norm),
 * text.block.<i>, text.embed.
 */
#include <string.h>

#include "blip/blip.h"

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

static struct mohs_tensor *walk(const void *model, struct net *n,
                                uint32_t tower,
                                const struct mohs_tower_inputs *in)
{
    const struct blip *m = model;
    if (tower == MOHS_TOWER_IMAGE)
        return image_tower(m, n, in->pixels);
    if (tower == MOHS_TOWER_TEXT)
        return blip_text(m, n, in);
    if (m->has_scale) // what exp() of gives the scale: 1 / 0.07
        net_constant(n, "logit_scale", 2.6592f, 0, NULL);
    return NULL;
}

/* ---- pairs ---- */

static struct mohs_tensor *walk_pairs(const void *model, struct net *n,
                                      uint32_t tower,
                                      const struct mohs_tower_inputs *in)
{
    (void)tower;
    (void)in;
    blip_list_pairs(model, n);
    return NULL;
}

/* All that a file of the model holds. */
static struct mohs_tensor *walk_file(const void *model, struct net *n,
                                     uint32_t tower,
                                     const struct mohs_tower_inputs *in)
{
    if (!tower && ((const struct blip *)model)->has_itm)
        blip_list_pairs(model, n);
    net_at(n, "%s", "");
    return walk(model, n, tower, in);
}

static void read_all(struct config *c, void *model, uint32_t *blocks,
                     uint32_t *text_blocks)
{
    blip_read(c, model, blocks, text_blocks);
    ((struct blip *)model)->base.file = walk_file;
}

static const struct mohs_pair_info *pair_info(void *self)
{
    const struct blip *m = self;
    return m->has_itm ? &m->pair : NULL;
}

static mohs_status pair_describe(
    void *self,
    mohs_status (*put)(void *user, const struct mohs_weight_spec *,
                       struct mohs_error *),
    void *user, struct mohs_error *err)
{
    const struct blip *m = self;
    return net_list(walk_pairs, m, 0, m->base.map, put, user, err);
}

static mohs_status pair_build(void *self, const struct mohs_graph_api *api,
                              struct mohs_graph *g,
                              const struct mohs_pair_inputs *in,
                              struct mohs_tensor **out, struct mohs_error *err)
{
    const struct blip *m = self;
    struct net n = { .api = api, .g = g };
    if (!m->has_itm)
        return mohs_fail(err, MOHS_E_UNSUPPORTED,
                         "blip: the file has no matching head (" ITM_HEAD ")");
    *out = blip_pairs(m, &n, in);
    return MOHS_OK;
}

static const struct mohs_pair_scores pair_scores = {
    .size = sizeof pair_scores,
    .info = pair_info,
    .describe = pair_describe,
    .build = pair_build,
};

static const void *extension(void *self, const char *id)
{
    return strcmp(id, MOHS_EXT_PAIR_SCORES) ? base_extension(self, id)
                                            : &pair_scores;
}

/* ---- the plugin ---- */

/* The first token of a text that is scored with an image. */
enum { FIRST_AUTO, FIRST_CLS, FIRST_ENC };
static const char *const firsts[] = { "auto", "cls", "enc", NULL };

struct params {
    int32_t first;
};

static const struct mohs_param params[] = {
    { "itm_token",
      "first token of a text that is scored with an image: the tokenizer's "
      "[CLS], as transformers leaves it, or [ENC], the last of the "
      "vocabulary, as BLIP's own evaluation puts it; auto: by whose the "
      "file's names are",
      MOHS_P_CHOICE, offsetof(struct params, first), FIRST_AUTO, 0, 2, firsts,
      NULL },
};

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

static mohs_status create(const struct mohs_host *host, const void *given,
                          const struct mohs_weights *w, void **self,
                          struct mohs_error *err)
{
    // without its head the cross-attention of a file has no use
    static const char *const whole[] = { IMAGE, "visual_encoder.",
                                         TEXT "embeddings.", NULL };
    static const struct base_plan plan = { "blip", sizeof(struct blip), walk,
                                           read_all, whole };
    const struct params *p = given;
    mohs_status st = base_create(&plan, host, w, self, err);
    if (st < 0)
        return st;
    struct blip *m = *self;
    int first = p ? p->first : FIRST_AUTO;
    m->enc = first == FIRST_ENC || (first == FIRST_AUTO && m->original)
                 ? (int32_t)m->base.info.vocab_size - 1
                 : -1;
    return st;
}

static const struct mohs_model_ops ops = {
    .size = sizeof ops,
    .probe = probe,
    .create = create,
    .destroy = base_destroy,
    .info = base_info,
    .describe = base_describe,
    .build = base_build,
    .get_extension = extension,
};

static const struct mohs_item blip = {
    .size = sizeof blip,
    .param_stride = sizeof *params,
    .kind = MOHS_KIND_MODEL,
    .id = "blip",
    .summary = "BLIP for retrieval: vision transformer and BERT, with the "
               "matching head",
    .params = params,
    .n_params = 1,
    .params_size = sizeof(struct params),
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
