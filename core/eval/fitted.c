/* SPDX-License-Identifier: MIT */
/*
 * Attacks that learn from many samples before they attack any: the samples in
 * an order drawn from the seed, batches of the attack's own size, and what was
 * learnt after each epoch in the cache.
 */
#include "config.h"

#include "eval/assault.h"

#include <stdlib.h>
#include <string.h>

#include <mohs/rng.h>

enum { FOR_ORDER = 0x0F17, MOST = 1 << 24 };

struct fit {
    struct assault own; /* of the fitting data */
    struct eval_cell cell;
    struct attack_rows rows;
    float *image, *text;
    const struct mohs_attack_fit *api;
    void *self;
    uint64_t seed;
    uint32_t n; /* samples */
};

static struct hash128 epoch_key(const struct fit *f, uint32_t epoch, const char *what)
{
    char name[64];
    snprintf(name, sizeof name, "fit %s after %u", what, epoch);
    return attack_derived(f->own.key[0], name);
}

/* 1 when what was learnt after so many epochs is known. */
static int32_t recall(struct fit *f, uint32_t epoch, struct mohs_error *err)
{
    float size;
    int32_t found = row_lookup(f->own.e, epoch_key(f, epoch, "size"), &size, 1, err);
    if (found <= 0 || !(size >= 0 && size <= MOST))
        return found < 0 ? found : 0;
    uint32_t count = (uint32_t)size;
    float *data = try_calloc((size_t)count + 1, sizeof *data, "what was learnt", err);
    if (!data)
        return MOHS_E_NOMEM;
    found = count ? row_lookup(f->own.e, epoch_key(f, epoch, "state"), data, count, err) : 1;
    if (found > 0) {
        mohs_status st = f->api->restore(f->self, data, count, err);
        found = st < 0 ? st : 1;
    }
    free(data);
    return found;
}

static mohs_status remember(struct fit *f, uint32_t epoch, struct mohs_error *err)
{
    struct eval *e = f->own.e;
    const float *data;
    uint32_t count;
    RET_IF_ERR(f->api->state(f->self, &data, &count, err));
    float size = (float)count;
    if (count > MOST)
        return MOHS_OK;
    if (count)
        RET_IF_ERR(row_keep(e, epoch_key(f, epoch, "state"), data, count, err));
    RET_IF_ERR(row_keep(e, epoch_key(f, epoch, "size"), &size, 1, err));
    return e->cache ? cache_flush(e->cache, err) : MOHS_OK;
}

/* The samples in the order of an epoch. */
static void shuffle(const struct fit *f, uint32_t epoch, uint32_t *order)
{
    uint64_t seed = mohs_rng_fork(mohs_rng_fork(f->seed, FOR_ORDER), epoch);
    for (uint32_t i = 0; i < f->n; i++)
        order[i] = i;
    for (uint32_t i = f->n; i > 1; i--) {
        uint32_t j = mohs_rng_below(seed, 0, i, i), t = order[i - 1];
        order[i - 1] = order[j];
        order[j] = t;
    }
}

static mohs_status epoch_run(struct fit *f, const uint32_t *order, struct mohs_error *err)
{
    uint32_t batch = f->api->batch(f->self);
    for (uint32_t i = 0; i < f->n; i += batch) {
        uint32_t n = f->n - i < batch ? f->n - i : batch;
        struct chunk ch = { 0 };
        chunk_prepare(&f->own, order + i, n, &ch);
        mohs_status st = chunk_open(&f->own, order + i, n, NULL, NULL, &ch, err);
        if (st >= 0)
            st = f->api->chunk(f->self, guard_victim(ch.guard), err);
        scratch_reset();
        chunk_close(&ch, true);
        RET_IF_ERR(st);
        progress_note("learning from %u/%u", i + n, f->n);
    }
    return MOHS_OK;
}

static mohs_status learn(struct fit *f, struct mohs_error *err)
{
    uint32_t epochs = f->api->epochs(f->self), done = epochs;
    RET_IF_ERR(f->api->begin(f->self, f->seed, err));
    int32_t found = 0;
    for (; done > 0 && !found; done -= !found) {
        found = recall(f, done, err);
        if (found < 0)
            return found;
    }
    uint32_t *order = xcalloc((size_t)f->n + 1, sizeof *order);
    mohs_status st = MOHS_OK;
    for (uint32_t k = done; st >= 0 && k < epochs; k++) {
        shuffle(f, k, order);
        st = epoch_run(f, order, err);
        if (st >= 0)
            st = remember(f, k + 1, err);
    }
    free(order);
    return st;
}

/* Embeddings of the fitting data, the assault's own where it is the same. */
static mohs_status fit_rows(struct fit *f, const struct assault *a, struct mohs_error *err)
{
    const struct dataset *d = f->cell.data->set;
    if (f->cell.data == a->c->data) {
        f->rows = (struct attack_rows) { .clean_image = a->image, .clean_text = a->text };
        return MOHS_OK;
    }
    f->image = try_calloc(d->n_images, a->dim * sizeof *f->image, "embeddings", err);
    if (f->cell.prompts)
        RET_IF_ERR(classes_fill(a->e, &f->cell, err));
    f->text = try_calloc(cell_candidates(&f->cell), a->dim * sizeof *f->text, "embeddings",
                         err);
    if (!f->image || !f->text)
        return MOHS_E_NOMEM;
    RET_IF_ERR(embed_images(a->e, &f->cell, f->image, err));
    RET_IF_ERR(embed_texts(a->e, &f->cell, f->text, err));
    f->rows = (struct attack_rows) { .clean_image = f->image, .clean_text = f->text };
    return MOHS_OK;
}

mohs_status assault_fit(struct assault *a, struct mohs_error *err)
{
    const struct assault *sees = a->surrogate ? a->surrogate : a;
    struct fit f = { .api = attack_extension(a->ops, a->self, MOHS_EXT_ATTACK_FIT) };
    const char *id = a->c->attack.item->item->id;
    if (!f.api && a->c->fit)
        return mohs_fail(err, MOHS_E_ARG, "cell: fit: attack %s learns from nothing", id);
    if (!f.api)
        return MOHS_OK;
    f.cell = *sees->c;
    f.cell.fit = NULL;
    f.cell.attack.budget = (struct budget) { 0 };
    if (a->c->fit)
        f.cell.data = a->c->fit;
    f.self = a->self;
    f.seed = op_seed(a->e->o.seed, id, 0);
    mohs_status st = data_content(a->e, f.cell.data, err);
    if (st >= 0)
        st = fit_rows(&f, sees, err);
    if (st >= 0) {
        assault_init(&f.own, a->e, &f.cell, a->tower, &f.rows);
        uint32_t most = f.api->samples(f.self);
        f.n = most && most < f.own.n ? most : f.own.n;
        st = learn(&f, err);
        assault_free(&f.own);
    }
    free(f.image);
    free(f.text);
    return st;
}
