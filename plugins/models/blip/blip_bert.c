/* SPDX-License-Identifier: MIT */
/*
 * BLIP's BERT (Li et al. 2022, section 3.1): a text encoder, and the same
 * weights with a cross-attention to the tokens of an image in every block,
 * whose first token the head of image-text matching (ITM) reads.
 */
#include "blip/blip.h"

#include <stdio.h>

static struct mohs_tensor *project(struct net *n, struct mohs_tensor *x,
                                   const char *part, const char *name,
                                   uint32_t width, uint32_t in)
{
    char full[NET_NAME];
    snprintf(full, sizeof full, "%s.self.%s", part, name);
    return net_linear(n, x, &(struct linear) { .name = full, .out = width,
                                               .in = in, .std = 0.02f });
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

/* k and v of a block's attention, from all tokens x of width `in`. */
struct keys {
    struct mohs_tensor *k, *v;
};

static struct keys keys_of(struct net *n, struct mohs_tensor *x,
                           const char *part, uint32_t in, const struct tower *t)
{
    struct keys s = { NULL, NULL };
    s.k = project(n, x, part, "key", t->width, in);
    s.v = project(n, x, part, "value", t->width, in);
    return s;
}

/* x [.., w], tokens of texts, after a look at the one image whose tokens gave
 * s. No query sees another, so all are one long sample. */
static struct mohs_tensor *look(struct net *n, struct mohs_tensor *x,
                                struct keys s, const struct tower *t)
{
    uint32_t dims[MOHS_DIMS_MAX] = { 1, 1, 1 }, w = t->width;
    uint32_t n_dims = n->g ? n->api->shape(n->g, x, dims) : 0, count = 1;
    for (uint32_t i = 0; i + 1 < n_dims; i++)
        count *= dims[i];
    struct mohs_tensor *q = project(n, x, "crossattention", "query", w, w);
    q = net_reshape(n, q, DIMS(1, count, w));
    struct mohs_tensor *y =
        net_attention(n, q, s.k, s.v, NULL, t->heads, MOHS_MASK_NONE);
    return finish(n, x, net_reshape(n, y, n_dims, dims),
                  "crossattention.output", w, t);
}

/* What a block looks at besides its own tokens. */
struct sight {
    struct mohs_tensor *last;
    struct keys own;
    const struct keys *image; /* NULL: none */
};

/* One block on the tokens x [n, t, w], or on one of each sample [n, w]. */
static struct mohs_tensor *text_block(struct net *n, struct mohs_tensor *x,
                                      const struct sight *s,
                                      const struct tower *t, int one)
{
    uint32_t w = t->width, rows = net_dim(n, x, 0);
    struct mohs_tensor *q = project(n, x, "attention", "query", w, w);
    if (one)
        q = net_reshape(n, q, DIMS(rows, 1, w));
    struct mohs_tensor *y = net_attention(n, q, s->own.k, s->own.v, s->last,
                                          t->heads, MOHS_MASK_LAST);
    if (one)
        y = net_reshape(n, y, DIMS(rows, w));
    x = finish(n, x, y, "attention.output", w, t);
    if (s->image)
        x = look(n, x, *s->image, t);
    y = net_linear(n, x, &(struct linear) { .name = "intermediate.dense",
                                            .out = t->mlp, .in = w,
                                            .std = 0.02f, .act = t->act });
    return finish(n, x, y, "output", t->mlp, t);
}

/* All blocks, and of them the first token [n, w]. Only that is made in the
 * last block, as long as its tap is left alone. image: [1, s, width of the
 * image tower], or NULL; then there are taps. */
static struct mohs_tensor *text_blocks(const struct blip *m, struct net *n,
                                       struct mohs_tensor *x,
                                       struct mohs_tensor *last,
                                       struct mohs_tensor *image)
{
    const struct tower *t = &m->text;
    struct mohs_tensor *short_cut = NULL;
    for (uint32_t i = 0; i < t->layers; i++) {
        char tap[32];
        net_at(n, "%s%u.", TEXT_BLOCKS, i);
        struct sight s = { .last = last };
        struct keys seen;
        s.own = keys_of(n, x, "attention", t->width, t);
        if (image) {
            seen = keys_of(n, image, "crossattention", m->image.width, t);
            s.image = &seen;
        }
        if (n->g && i + 1 == t->layers)
            short_cut = text_block(n, net_token(n, x, 0), &s, t, 1);
        if (image && short_cut)
            return short_cut;
        x = text_block(n, x, &s, t, 0);
        snprintf(tap, sizeof tap, "text.block.%u", i);
        struct mohs_tensor *before = x;
        if (!image)
            x = net_tap(n, tap, x);
        if (x != before)
            short_cut = NULL; // perturbed: it must be the one that is used
    }
    return short_cut ? short_cut : net_token(n, x, 0);
}

/* Vectors of tokens with positions, normed. enc >= 0: in the place of every
 * text's first token. */
static struct mohs_tensor *embed(const struct blip *m, struct net *n,
                                 struct mohs_tensor *tokens, int32_t enc)
{
    const struct tower *t = &m->text;
    uint32_t vocab = m->base.info.vocab_size;
    net_at(n, "%s", TEXT "embeddings.");
    struct mohs_tensor *x =
        net_embedding(n, tokens, "word_embeddings.weight", vocab, t->width);
    if (enc >= 0) {
        struct mohs_tensor *table = net_normal(n, "word_embeddings.weight",
                                               0.02f, DIMS(vocab, t->width));
        struct mohs_tensor *first = net_slice(n, table, 0, (uint32_t)enc, 1);
        uint32_t rest = net_dim(n, x, 1) - 1;
        x = net_prepend(n, net_slice(n, x, 1, 1, rest), first);
    }
    x = net_add(n, x, net_normal(n, "position_embeddings.weight", 0.02f,
                                 DIMS(m->text_positions, t->width)));
    return net_norm(n, x, "LayerNorm", t->width, t->eps);
}

struct mohs_tensor *blip_text(const struct blip *m, struct net *n,
                              const struct mohs_tower_inputs *in)
{
    struct mohs_tensor *x =
        net_tap(n, "text.token", embed(m, n, in->tokens, -1));
    x = text_blocks(m, n, x, in->last, NULL);
    net_at(n, "%s", "");
    x = net_linear(n, x, &(struct linear) { .name = "text_proj",
                                            .out = m->base.info.embed_dim,
                                            .in = m->text.width });
    return net_tap(n, "text.embed", x);
}

/* ---- image-text matching ---- */

static struct mohs_tensor *itm_head(const struct blip *m, struct net *n,
                                    struct mohs_tensor *x)
{
    net_at(n, "%s", "");
    return net_linear(n, x, &(struct linear) { .name = ITM_HEAD, .out = 2,
                                               .in = m->text.width });
}

void blip_list_pairs(const struct blip *m, struct net *n)
{
    for (uint32_t i = 0; i < m->text.layers; i++) {
        net_at(n, "%s%u.", TEXT_BLOCKS, i);
        look(n, NULL,
             keys_of(n, NULL, "crossattention", m->image.width, &m->text),
             &m->text);
    }
    itm_head(m, n, NULL);
}

struct mohs_tensor *blip_pairs(const struct blip *m, struct net *n,
                               const struct mohs_pair_inputs *in)
{
    net_at(n, "%s", IMAGE);
    // the tap is before the tower's last norm
    struct mohs_tensor *image =
        net_norm(n, in->image, "post_layernorm", m->image.width, m->image.eps);
    struct mohs_tensor *x = embed(m, n, in->tokens, m->enc);
    return itm_head(m, n, text_blocks(m, n, x, in->last, image));
}
