/* SPDX-License-Identifier: MIT */
/*
 * Scores of a cell's pairs for its metric, each looked up in the cache by its
 * picture, its text and the model, and computed only when missing: image by
 * image, kept as it goes, so that a killed run loses seconds.
 */
#include "config.h"

#include "eval/session.h"

#include <stdlib.h>
#include <string.h>

#include "eval/pairs.h"

enum { CHUNK_BYTES = 64 << 20, CHUNK_MAX = 64 };
static const double KEEP_EVERY_S = 2;

/* ---- what a metric needs ---- */

mohs_status cell_pairs(struct eval *e, const struct eval_cell *c, uint64_t *out,
                       struct mohs_error *err)
{
    const struct mohs_metric_ops *ops = c->metric.item->item->ops;
    const struct dataset *d = c->data->set;
    void *self = NULL;
    *out = 0;
    if (!ops->get_extension)
        return MOHS_OK;
    mohs_status st = ops->create(registry_host(e->registry), c->metric.params, &self, err);
    scratch_reset();
    RET_IF_ERR(st);
    const struct mohs_pair_need *need = ops->get_extension(self, MOHS_EXT_PAIR_NEED);
    if (need)
        *out = need->pairs(self, (uint32_t)d->n_images, (uint32_t)d->n_texts);
    ops->destroy(self);
    return MOHS_OK;
}

mohs_status check_pairs(struct eval *e, const struct eval_cell *c,
                        struct mohs_error *err)
{
    const char *id = c->metric.item->item->id;
    uint64_t pairs;
    RET_IF_ERR(cell_pairs(e, c, &pairs, err));
    if (!pairs)
        return MOHS_OK;
    if (c->data->set->embeddings)
        return mohs_fail(err, MOHS_E_UNSUPPORTED,
                         "%s: scores pairs, which takes a model; %s is embeddings", id,
                         c->data->label);
    if (c->prompts)
        return mohs_fail(err, MOHS_E_UNSUPPORTED, "%s: scores pairs; classes are none", id);
    if (c->attack.item)
        return mohs_fail(err, MOHS_E_UNSUPPORTED,
                         "%s: scores pairs of pictures and texts as they are, not under "
                         "an attack (%s)", id, c->attack.item->item->id);
    if (!pairs_info(c->model->encoder))
        return mohs_fail(err, MOHS_E_UNSUPPORTED,
                         "%s: scores pairs, but model %s (%s) has no matching head (%s)", id,
                         c->model->label, encoder_path(c->model->encoder),
                         MOHS_EXT_PAIR_SCORES);
    return MOHS_OK;
}

/* ---- one request ---- */

struct work {
    struct eval *e;
    const struct eval_cell *c;
    struct pairs *pairs;
    uint32_t wide, context; /* scores of a pair; tokens of a text */
    const uint32_t *text;   /* of each pair */
    struct hash128 *key;    /* of each pair */
    float *out;
    uint32_t *todo;  /* pairs not in the cache, by image */
    uint32_t *first; /* of each image in todo, and the end */
    int32_t *ids, *last; /* of each text */
    double kept; /* when the cache was last flushed */
};

/* Pairs in the order of their images. */
static void by_image(uint32_t n, const uint32_t *image, uint32_t n_images,
                     uint32_t *order)
{
    uint32_t *at = xcalloc((size_t)n_images + 1, sizeof *at);
    for (uint32_t i = 0; i < n; i++)
        at[image[i] + 1]++;
    for (uint32_t i = 0; i < n_images; i++)
        at[i + 1] += at[i];
    for (uint32_t i = 0; i < n; i++)
        order[at[image[i]]++] = i;
    free(at);
}

/* Keys of all pairs; those found are written, the others go into todo. */
static mohs_status look_up(struct work *w, uint32_t n, const uint32_t *image,
                           char *const *text, const struct hash128 *of_image,
                           struct mohs_error *err)
{
    size_t nt = w->c->data->set->n_texts;
    uint32_t ni = (uint32_t)w->c->data->set->n_images, n_todo = 0, at = 0;
    struct hash128 model = encoder_text_hash(w->c->model->encoder);
    struct hash128 *of_text = xcalloc(nt, sizeof *of_text);
    uint32_t *order = xcalloc(n, sizeof *order);
    mohs_status st = MOHS_OK;
    for (size_t t = 0; t < nt; t++)
        of_text[t] = hash_bytes(text[t], strlen(text[t]));
    by_image(n, image, ni, order);
    for (uint32_t i = 0; i < n && st >= 0; i++) {
        uint32_t k = order[i];
        struct hash128 all[] = { model, of_image[image[k]], of_text[w->text[k]] };
        struct hasher *h = hasher_new();
        hasher_str(h, "pair/1");
        for (int j = 0; j < 3; j++) {
            hasher_u64(h, all[j].hi);
            hasher_u64(h, all[j].lo);
        }
        w->key[k] = hasher_end(h);
        int32_t found = row_lookup(w->e, w->key[k], w->out + (size_t)k * w->wide,
                                   w->wide, err);
        if (found < 0)
            st = found;
        if (found)
            continue;
        for (; at <= image[k]; at++)
            w->first[at] = n_todo;
        w->todo[n_todo++] = k;
    }
    for (; at <= ni; at++)
        w->first[at] = n_todo;
    free(of_text);
    free(order);
    return st;
}

/* The missing pairs of image i, whose side is `state`. */
static mohs_status score_image(struct work *w, uint32_t i, const float *state,
                               struct mohs_error *err)
{
    uint32_t n = w->first[i + 1] - w->first[i];
    const uint32_t *pair = w->todo + w->first[i];
    int32_t *ids = xcalloc((size_t)n * w->context, sizeof *ids);
    int32_t *last = xcalloc(n, sizeof *last);
    float *rows = xcalloc((size_t)n * w->wide, sizeof *rows);
    for (uint32_t j = 0; j < n; j++) {
        uint32_t t = w->text[pair[j]];
        memcpy(ids + (size_t)j * w->context, w->ids + (size_t)t * w->context,
               w->context * sizeof *ids);
        last[j] = w->last[t];
    }
    mohs_status st = pairs_score(w->pairs, state, n, ids, last, rows, err);
    for (uint32_t j = 0; j < n && st >= 0; j++) {
        const float *row = rows + (size_t)j * w->wide;
        memcpy(w->out + (size_t)pair[j] * w->wide, row, w->wide * sizeof *row);
        st = row_keep(w->e, w->key[pair[j]], row, w->wide, err);
    }
    if (st >= 0 && w->e->cache && now_s() - w->kept > KEEP_EVERY_S) {
        st = cache_flush(w->e->cache, err);
        w->kept = now_s();
    }
    free(ids);
    free(last);
    free(rows);
    return st;
}

/* Images index[0..n): their side, then their pairs. */
static mohs_status score_chunk(struct work *w, struct corruptor *co,
                               const uint32_t *index, uint32_t n, float *state,
                               struct mohs_error *err)
{
    struct encoder *enc = w->c->model->encoder;
    const uint8_t *rgb[CHUNK_MAX];
    uint8_t *owned = NULL, *block = NULL;
    uint64_t count = pairs_image_count(w->pairs);
    mohs_status st;
    OUT_IF_ERR(data_pixels(w->e, w->c->data, enc, index, n, rgb, &owned, err));
    if (co->self)
        OUT_IF_ERR(corruptor_apply(co, w->c->data, encoder_preprocess(enc), index, n,
                                   rgb, &block, err));
    OUT_IF_ERR(pairs_images(w->pairs, n, rgb, state, err));
    for (uint32_t j = 0; j < n; j++) {
        OUT_IF_ERR(score_image(w, index[j], state + j * count, err));
        progress_note("pairs %u/%u", w->first[index[j] + 1],
                      w->first[w->c->data->set->n_images]);
    }
out:
    free(owned);
    free(block);
    return st;
}

static mohs_status score_missing(struct work *w, char *const *text,
                                 struct mohs_error *err)
{
    struct encoder *enc = w->c->model->encoder;
    const struct dataset *d = w->c->data->set;
    uint32_t ni = (uint32_t)d->n_images, nt = (uint32_t)d->n_texts, images = 0;
    uint32_t index[CHUNK_MAX], chunk, n = 0;
    struct corruptor co = { 0 };
    float *state = NULL;
    mohs_status st;
    for (uint32_t i = 0; i < ni; i++)
        images += w->first[i + 1] > w->first[i];
    w->context = encoder_info(enc)->context_length;
    w->ids = try_calloc((size_t)nt * w->context, sizeof *w->ids, "tokens", err);
    w->last = xcalloc(nt, sizeof *w->last);
    if (!w->ids)
        return MOHS_E_NOMEM;
    RET_IF_ERR(encoder_tokens(enc, nt, (const char *const *)text, w->ids, w->last, err));
    RET_IF_ERR(pairs_open(enc, w->first[ni] / images, &w->pairs, err));
    uint64_t bytes = pairs_image_count(w->pairs) * sizeof *state;
    chunk = bytes < CHUNK_BYTES / CHUNK_MAX ? CHUNK_MAX
                                            : (uint32_t)(CHUNK_BYTES / bytes) + 1;
    chunk = chunk < CHUNK_MAX ? chunk : CHUNK_MAX;
    state = try_calloc(chunk, (size_t)bytes, "images of pairs", err);
    st = state ? MOHS_OK : MOHS_E_NOMEM;
    if (st >= 0 && w->c->corruption.item && !corrupts_text(&w->c->corruption))
        st = corruptor_open(w->e, &w->c->corruption, &co, err);
    for (uint32_t i = 0; i < ni && st >= 0; i++) {
        if (w->first[i + 1] > w->first[i])
            index[n++] = i;
        if (n && (n == chunk || i + 1 == ni)) {
            st = score_chunk(w, &co, index, n, state, err);
            n = 0;
        }
    }
    corruptor_close(&co);
    free(state);
    return st;
}

mohs_status pair_rows(struct eval *e, const struct eval_cell *c, uint64_t n,
                      const uint32_t *image, const uint32_t *text, float *out,
                      struct mohs_error *err)
{
    const struct dataset *d = c->data->set;
    const struct mohs_pair_info *info = pairs_info(c->model->encoder);
    struct work w = { .e = e, .c = c, .text = text, .out = out, .kept = now_s() };
    struct hash128 *of_image = NULL, base;
    char **texts = NULL;
    mohs_status st;
    if (!info || n > UINT32_MAX)
        return mohs_fail(err, MOHS_E_ARG, "pair_scores: %llu pairs of %s",
                         (unsigned long long)n, c->model->label);
    for (uint64_t i = 0; i < n; i++)
        if (image[i] >= d->n_images || text[i] >= d->n_texts)
            return mohs_fail(err, MOHS_E_ARG, "pair_scores: pair %u, %u of %zu x %zu",
                             image[i], text[i], d->n_images, d->n_texts);
    w.wide = info->n_scores;
    w.key = try_calloc((size_t)n + 1, sizeof *w.key, "pairs", err);
    w.todo = try_calloc((size_t)n + 1, sizeof *w.todo, "pairs", err);
    w.first = xcalloc(d->n_images + 1, sizeof *w.first);
    if (!w.key || !w.todo) {
        st = MOHS_E_NOMEM;
        goto out;
    }
    OUT_IF_ERR(cell_texts(e, c, &texts, err));
    OUT_IF_ERR(image_keys(e, c, &of_image, &base, err));
    OUT_IF_ERR(look_up(&w, (uint32_t)n, image, texts, of_image, err));
    if (w.first[d->n_images]) {
        rows_note(e, c, "pairs", base);
        OUT_IF_ERR(score_missing(&w, texts, err));
    }
out:
    pairs_close(w.pairs);
    strv_free(texts);
    free(of_image);
    free(w.key);
    free(w.todo);
    free(w.first);
    free(w.ids);
    free(w.last);
    return st;
}
