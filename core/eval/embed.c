/* SPDX-License-Identifier: MIT */
/*
 * Embedding rows of clean or corrupted images and texts, each looked up in
 * the cache by everything it depends on and computed only when missing.
 */
#include "config.h"

#include "eval/session.h"

#include <stdlib.h>
#include <string.h>

enum { IMAGE_CHUNK = 256 }; /* images corrupted and encoded at once */

/* ---- keys ---- */

void item_hash(struct hasher *h, const struct eval_item *i)
{
    if (!i->item) {
        hasher_str(h, "");
        return;
    }
    hasher_str(h, i->item->plugin->id);
    hasher_str(h, i->item->plugin->version);
    hasher_str(h, i->item->item->id);
    item_params_hash(i->item, i->params, h);
    hasher_u64(h, i->severity);
    if (budget_any(&i->budget)) {
        hasher_u64(h, i->budget.max_queries);
        hasher_f64(h, i->budget.max_seconds);
    }
}

void attack_others_hash(struct hasher *h, const struct eval_cell *c)
{
    if (c->surrogate) {
        struct encoder *enc = c->surrogate->encoder;
        struct hash128 m = encoder_text_hash(enc);
        struct hash128 p = preprocess_hash(encoder_preprocess(enc));
        hasher_str(h, "surrogate");
        hasher_u64(h, m.hi);
        hasher_u64(h, m.lo);
        hasher_u64(h, p.hi);
        hasher_u64(h, p.lo);
    }
    if (c->fit) {
        hasher_str(h, "fit");
        hasher_u64(h, c->fit->set->hash.hi);
        hasher_u64(h, c->fit->set->hash.lo);
    }
}

/* Everything a cell's image rows depend on but the picture itself. */
static void image_base(const struct eval *e, const struct eval_cell *c,
                       struct hasher *h)
{
    struct hash128 m = encoder_hash(c->model->encoder);
    struct hash128 p = preprocess_hash(encoder_preprocess(c->model->encoder));
    hasher_str(h, "image/1");
    hasher_u64(h, m.hi);
    hasher_u64(h, m.lo);
    hasher_u64(h, p.hi);
    hasher_u64(h, p.lo);
    if (c->corruption.item && !corrupts_text(&c->corruption)) {
        item_hash(h, &c->corruption);
        hasher_u64(h, e->o.seed);
    }
}

/* depth: hashes of the maps, or NULL. */
static struct hash128 image_key(struct hash128 base, const struct eval_data *d,
                                const struct hash128 *depth, size_t i,
                                bool seeded)
{
    struct hasher *h = hasher_new();
    hasher_u64(h, base.hi);
    hasher_u64(h, base.lo);
    hasher_u64(h, d->content[i].hi);
    hasher_u64(h, d->content[i].lo);
    hasher_u64(h, seeded ? d->set->image[i].key : 0);
    if (depth) {
        hasher_u64(h, depth[i].hi);
        hasher_u64(h, depth[i].lo);
    }
    return hasher_end(h);
}

static struct hash128 text_key(struct hash128 base, const char *text)
{
    struct hasher *h = hasher_new();
    hasher_u64(h, base.hi);
    hasher_u64(h, base.lo);
    hasher_str(h, text);
    return hasher_end(h);
}

int32_t row_lookup(struct eval *e, struct hash128 key, float *out, uint32_t dim,
                   struct mohs_error *err)
{
    int32_t found = e->cache ? cache_get(e->cache, key, out, dim, err) : 0;
    e->cache_hits += found > 0;
    return found;
}

mohs_status row_keep(struct eval *e, struct hash128 key, const float *row,
                     uint32_t dim, struct mohs_error *err)
{
    return e->cache ? cache_put(e->cache, key, row, dim, err) : MOHS_OK;
}

/* Fills out from the cache; *missing gets the indices not found. */
static mohs_status lookup_all(struct eval *e, const struct hash128 *key,
                              size_t n, uint32_t dim, float *out,
                              uint32_t **missing, uint32_t *n_missing,
                              struct mohs_error *err)
{
    *missing = xcalloc(n, sizeof **missing);
    *n_missing = 0;
    for (size_t i = 0; i < n; i++) {
        int32_t found = row_lookup(e, key[i], out + i * dim, dim, err);
        if (found < 0) {
            free(*missing);
            *missing = NULL;
            return found;
        }
        if (!found)
            (*missing)[(*n_missing)++] = (uint32_t)i;
    }
    return MOHS_OK;
}

void rows_note(struct eval *e, const struct eval_cell *c, const char *what,
               struct hash128 base)
{
    if (!e->cache)
        return;
    struct str s = { 0 };
    char hex[33];
    hash_hex(encoder_hash(c->model->encoder), hex);
    str_addf(&s, "rows=%s\nmodel=%s\nmodel_hash=%s\n", what, c->model->label,
             hex);
    hash_hex(preprocess_hash(encoder_preprocess(c->model->encoder)), hex);
    str_addf(&s, "preprocess=%s\ndata=%s\n", hex, c->data->label);
    if (c->corruption.item) {
        str_addf(&s, "corruption=%s\nseverity=%u\ncorruption_params=",
                 c->corruption.item->item->id, c->corruption.severity);
        item_params_text(c->corruption.item, c->corruption.params, true, &s);
        str_addf(&s, "\nseed=%llu\n", (unsigned long long)e->o.seed);
    }
    if (c->attack.item) {
        str_addf(&s, "attack=%s\nattack_params=", c->attack.item->item->id);
        struct str p = { 0 };
        item_params_text(c->attack.item, c->attack.params, true, &p);
        budget_text(&c->attack.budget, &p);
        str_add(&s, p.s);
        str_free(&p);
        str_addf(&s, "\nseed=%llu\n", (unsigned long long)e->o.seed);
    }
    cache_note(e->cache, base, s.s, NULL);
    str_free(&s);
}

/* ---- rows ---- */

static mohs_status encode_missing(struct eval *e, const struct eval_cell *c,
                                  const struct hash128 *key,
                                  const uint32_t *missing, uint32_t n,
                                  float *out, struct mohs_error *err)
{
    struct encoder *enc = c->model->encoder;
    uint32_t dim = encoder_info(enc)->embed_dim;
    struct corruptor co = { 0 };
    const uint8_t *rgb[IMAGE_CHUNK];
    float *rows = xcalloc((size_t)IMAGE_CHUNK * dim, sizeof *rows);
    mohs_status st = MOHS_OK;
    if (c->corruption.item && !corrupts_text(&c->corruption))
        st = corruptor_open(e, &c->corruption, &co, err);
    for (uint32_t i = 0; i < n && st >= 0; i += IMAGE_CHUNK) {
        uint32_t m = n - i < IMAGE_CHUNK ? n - i : IMAGE_CHUNK;
        uint8_t *owned = NULL, *block = NULL;
        st = data_pixels(e, c->data, enc, missing + i, m, rgb, &owned, err);
        if (st >= 0 && co.self)
            st = corruptor_apply(&co, c->data, encoder_preprocess(enc),
                                 missing + i, m, rgb, &block, err);
        if (st >= 0)
            st = encoder_images(enc, m, rgb, false, NULL, rows, err);
        for (uint32_t j = 0; j < m && st >= 0; j++) {
            uint32_t k = missing[i + j];
            memcpy(out + (size_t)k * dim, rows + (size_t)j * dim,
                   dim * sizeof *out);
            st = row_keep(e, key[k], rows + (size_t)j * dim, dim, err);
        }
        free(owned);
        free(block);
        progress_note("images %u/%u", i + m, n);
    }
    free(rows);
    corruptor_close(&co);
    return st;
}

mohs_status image_keys(struct eval *e, const struct eval_cell *c,
                       struct hash128 **out, struct hash128 *base,
                       struct mohs_error *err)
{
    size_t n = c->data->set->n_images;
    struct hash128 *depth;
    RET_IF_ERR(data_content(e, c->data, err));
    RET_IF_ERR(depth_hashes(e, c, &depth, err));
    struct hasher *h = hasher_new();
    image_base(e, c, h);
    *base = hasher_end(h);
    *out = xcalloc(n, sizeof **out);
    for (size_t i = 0; i < n; i++)
        (*out)[i] = image_key(*base, c->data, depth, i, c->corruption.item != NULL);
    free(depth);
    return MOHS_OK;
}

mohs_status embed_images(struct eval *e, const struct eval_cell *c, float *out,
                         struct mohs_error *err)
{
    size_t n = c->data->set->n_images;
    uint32_t dim = encoder_info(c->model->encoder)->embed_dim, *missing,
             n_missing;
    struct hash128 *key, base;
    RET_IF_ERR(image_keys(e, c, &key, &base, err));
    mohs_status st = lookup_all(e, key, n, dim, out, &missing, &n_missing, err);
    if (st >= 0 && n_missing) {
        rows_note(e, c, "images", base);
        st = encode_missing(e, c, key, missing, n_missing, out, err);
    }
    free(missing);
    free(key);
    return st;
}

struct texts {
    char **text;
    size_t unedited;
};

static mohs_status put_text(struct mohs_text_sink *s, uint32_t i,
                            const char *text, uint32_t edits,
                            struct mohs_error *err)
{
    struct texts *t = s->ctx;
    (void)err;
    t->unedited += !edits;
    free(t->text[i]);
    t->text[i] = xstrdup(text);
    return MOHS_OK;
}

/* The texts in[0..n), corrupted where the cell's corruption is of texts. */
static mohs_status corrupt_texts(struct eval *e, const struct eval_cell *c,
                                 size_t n, const char *const *in,
                                 const uint64_t *key, char **text,
                                 struct mohs_error *err)
{
    const struct mohs_corruption_ops *ops = c->corruption.item->item->ops;
    const char *id = c->corruption.item->item->id;
    uint32_t severity = c->corruption.severity;
    struct texts t = { text, 0 };
    struct mohs_text_sink sink = { sizeof sink, &t, put_text };
    struct mohs_texts ti = { sizeof ti, (uint32_t)n, in, key };
    void *self = NULL;
    mohs_status st = ops->create(registry_host(e->registry), c->corruption.params,
                                 &self, err);
    if (st >= 0)
        st = ops->apply_text(self, &ti, &sink, severity,
                             op_seed(e->o.seed, id, severity), err);
    if (self)
        ops->destroy(self);
    scratch_reset();
    if (st >= 0 && t.unedited)
        log_info("%s:%u: %zu of %zu texts left as they are: nothing to edit in them",
                 id, severity, t.unedited, n);
    return st;
}

mohs_status cell_texts(struct eval *e, const struct eval_cell *c, char ***out,
                       struct mohs_error *err)
{
    const struct dataset *d = c->data->set;
    const struct class_texts *k = c->prompts ? class_texts_of(c) : NULL;
    size_t n = k ? k->n_texts : d->n_texts;
    char **text = xcalloc(n + 1, sizeof *text);
    const char **in = xcalloc(n + 1, sizeof *in);
    uint64_t *key = xcalloc(n + 1, sizeof *key);
    mohs_status st = MOHS_OK;
    for (size_t i = 0; i < n; i++) {
        in[i] = k ? k->text[i] : d->text[i].text;
        key[i] = k ? hash_str64(in[i]) : d->text[i].key;
        text[i] = xstrdup(in[i]);
    }
    if (corrupts_text(&c->corruption))
        st = corrupt_texts(e, c, n, in, key, text, err);
    free(in);
    free(key);
    if (st < 0) {
        strv_free(text);
        return st;
    }
    *out = text;
    return MOHS_OK;
}

mohs_status text_rows(struct eval *e, const struct eval_cell *c, size_t n,
                      const char *const *text, float *out, struct mohs_error *err)
{
    struct encoder *enc = c->model->encoder;
    uint32_t dim = encoder_info(enc)->embed_dim, *missing = NULL, n_missing = 0;
    struct hash128 base = encoder_text_hash(enc);
    struct hash128 *key = xcalloc(n, sizeof *key);
    for (size_t i = 0; i < n; i++)
        key[i] = text_key(base, text[i]);
    mohs_status st = lookup_all(e, key, n, dim, out, &missing, &n_missing, err);
    if (st >= 0 && n_missing) {
        const char **in = xcalloc(n_missing, sizeof *in);
        float *rows =
            try_calloc((size_t)n_missing * dim, sizeof *rows, "texts", err);
        rows_note(e, c, "texts", base);
        for (uint32_t i = 0; i < n_missing; i++)
            in[i] = text[missing[i]];
        st = rows ? encoder_texts(enc, n_missing, in, false, NULL, rows, err)
                  : MOHS_E_NOMEM;
        for (uint32_t i = 0; i < n_missing && st >= 0; i++) {
            memcpy(out + (size_t)missing[i] * dim, rows + (size_t)i * dim,
                   dim * sizeof *out);
            st = row_keep(e, key[missing[i]], rows + (size_t)i * dim, dim, err);
        }
        free(in);
        free(rows);
    }
    free(missing);
    free(key);
    return st;
}

mohs_status embed_texts(struct eval *e, const struct eval_cell *c, float *out,
                        struct mohs_error *err)
{
    char **text;
    if (c->prompts)
        return embed_classes(e, c, out, err);
    RET_IF_ERR(cell_texts(e, c, &text, err));
    mohs_status st = text_rows(e, c, c->data->set->n_texts,
                               (const char *const *)text, out, err);
    strv_free(text);
    return st;
}
