/* SPDX-License-Identifier: MIT */
/* Choosing pairs, filling batches, and the thread that does it ahead. */
#include "config.h"

#include "train/batch.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <mohs/rng.h>

#include "train/augment.h"

/* Purposes of sub-streams; augment.c has the next two. */
enum { FOR_ORDER = 1, FOR_CAPTION };

mohs_status batch_alloc(struct batch *b, uint32_t n, const struct preprocess *p,
                        uint32_t context, struct mohs_error *err)
{
    size_t bytes = (size_t)3 * p->height * p->width * sizeof *b->pixels;
    b->pixels = try_calloc(n, bytes, "a batch", err);
    b->tokens = try_calloc(n, context * sizeof *b->tokens, "a batch", err);
    b->mask = try_calloc(n, context * sizeof *b->mask, "a batch", err);
    b->last = try_calloc(n, sizeof *b->last, "a batch", err);
    b->key = try_calloc(n, sizeof *b->key, "a batch", err);
    b->label = try_calloc(n, sizeof *b->label, "a batch", err);
    return b->pixels && b->tokens && b->mask && b->last && b->key && b->label
               ? MOHS_OK
               : MOHS_E_NOMEM;
}

void batch_free(struct batch *b)
{
    free(b->pixels);
    free(b->tokens);
    free(b->mask);
    free(b->last);
    free(b->key);
    free(b->label);
    memset(b, 0, sizeof *b);
}

/* ---- one batch ---- */

mohs_status loader_init(struct loader *l, const struct train_options *o,
                        const struct preprocess *p, const struct pictures *pictures,
                        const struct captions *captions, uint32_t context,
                        struct pool *pool, struct mohs_error *err)
{
    *l = (struct loader) { o, p, pictures, captions, context, pool, NULL, UINT32_MAX };
    l->order = try_calloc(o->data->n_images, sizeof *l->order, "training order", err);
    return l->order ? MOHS_OK : MOHS_E_NOMEM;
}

void loader_free(struct loader *l)
{
    free(l->order);
    l->order = NULL;
}

static void shuffle(struct loader *l, uint32_t epoch)
{
    uint64_t seed = mohs_rng_fork(l->o->seed, FOR_ORDER);
    uint32_t n = (uint32_t)l->o->data->n_images;
    if (l->epoch == epoch)
        return;
    for (uint32_t i = 0; i < n; i++)
        l->order[i] = i;
    for (uint32_t i = n - 1; i > 0; i--) {
        uint32_t j = mohs_rng_below(seed, epoch, i, i + 1), t = l->order[i];
        l->order[i] = l->order[j];
        l->order[j] = t;
    }
    l->epoch = epoch;
}

struct filling {
    const struct loader *l;
    struct batch *b;
    uint32_t step, first; /* place in the epoch's order */
};

/* text: the caption, or NULL. */
static mohs_status fill_pixels(const struct filling *f, size_t i, uint32_t item,
                               uint64_t key, const char *text, struct mohs_error *err)
{
    const struct loader *l = f->l;
    const struct train_options *o = l->o;
    struct image im = { l->pre->width, l->pre->height, NULL };
    uint32_t pixels = im.width * im.height;
    bool flip = o->flip && !(text && says_side(text));
    im.rgb = xmalloc((size_t)pixels * 3);
    mohs_status st = pictures_get(l->pictures, item, im.rgb, err);
    if (st >= 0)
        st = augment(&im, o->crop_min, flip, o->seed, key, f->step, err);
    if (st >= 0)
        planes(im.rgb, pixels, f->b->pixels + i * 3 * pixels);
    image_free(&im);
    return st;
}

static mohs_status fill_one(void *user, size_t i, struct mohs_error *err)
{
    const struct filling *f = user;
    const struct loader *l = f->l;
    const struct captions *c = l->captions;
    struct batch *b = f->b;
    const struct dataset *d = l->o->data;
    uint32_t item = l->order[f->first + i], n = c->first[item + 1] - c->first[item];
    uint64_t key = d->image[item].key;
    b->key[i] = key;
    b->label[i] = d->image[item].label < d->n_classes ? (int32_t)d->image[item].label : -1;
    if (!n) // the loss needs no texts
        return fill_pixels(f, i, item, key, NULL, err);
    uint32_t pick = mohs_rng_below(mohs_rng_fork(l->o->seed, FOR_CAPTION), key, f->step, n);
    uint32_t text = c->text[c->first[item] + pick];
    b->last[i] = c->last[text];
    memcpy(b->tokens + i * l->context, c->ids + (size_t)text * c->context,
           l->context * sizeof *b->tokens);
    for (uint32_t t = 0; t < l->context; t++)
        b->mask[i * l->context + t] = (int32_t)t <= b->last[i];
    return fill_pixels(f, i, item, key, d->text[text].text, err);
}

mohs_status loader_fill(struct loader *l, uint32_t step, struct batch *b,
                        struct mohs_error *err)
{
    uint32_t n = l->o->batch, per_epoch = (uint32_t)l->o->data->n_images / n;
    struct filling f = { l, b, step, step % per_epoch * n };
    shuffle(l, step / per_epoch);
    return pool_run(l->pool, n, fill_one, &f, err);
}

/* ---- ahead of time ---- */

struct feeder {
    struct loader *loader;
    struct batch batch[2]; /* step s is in batch[s % 2] */
    pthread_t thread;
    bool started, stop;
    pthread_mutex_t lock;
    pthread_cond_t change;
    uint32_t made, taken; /* steps before these are done */
    mohs_status st;
    struct mohs_error err;
};

static void *feed(void *arg)
{
    struct feeder *f = arg;
    pthread_mutex_lock(&f->lock);
    while (!f->stop && f->st >= 0 && f->made < f->loader->o->steps) {
        // the batch of the step before the last one taken is free again
        if (f->made > f->taken) {
            pthread_cond_wait(&f->change, &f->lock);
            continue;
        }
        uint32_t step = f->made;
        struct mohs_error err = MOHS_ERROR_INIT;
        pthread_mutex_unlock(&f->lock);
        mohs_status st = loader_fill(f->loader, step, &f->batch[step % 2], &err);
        pthread_mutex_lock(&f->lock);
        f->st = st < 0 ? st : MOHS_OK;
        f->err = err;
        f->made++;
        pthread_cond_signal(&f->change);
    }
    pthread_mutex_unlock(&f->lock);
    return NULL;
}

mohs_status feeder_new(struct loader *l, uint32_t first_step, struct feeder **out,
                       struct mohs_error *err)
{
    struct feeder *f = xcalloc(1, sizeof *f);
    *out = f;
    f->loader = l;
    f->made = f->taken = first_step;
    pthread_mutex_init(&f->lock, NULL);
    pthread_cond_init(&f->change, NULL);
    for (int i = 0; i < 2; i++)
        RET_IF_ERR(batch_alloc(&f->batch[i], l->o->batch, l->pre, l->context, err));
    if (pthread_create(&f->thread, NULL, feed, f))
        return mohs_fail(err, MOHS_E_NOMEM, "train: no thread for batches");
    f->started = true;
    return MOHS_OK;
}

void feeder_free(struct feeder *f)
{
    if (!f)
        return;
    if (f->started) {
        pthread_mutex_lock(&f->lock);
        f->stop = true;
        pthread_cond_signal(&f->change);
        pthread_mutex_unlock(&f->lock);
        pthread_join(f->thread, NULL);
    }
    pthread_mutex_destroy(&f->lock);
    pthread_cond_destroy(&f->change);
    batch_free(&f->batch[0]);
    batch_free(&f->batch[1]);
    free(f);
}

mohs_status feeder_next(struct feeder *f, const struct batch **out,
                        struct mohs_error *err)
{
    mohs_status st = MOHS_OK;
    pthread_mutex_lock(&f->lock);
    uint32_t step = f->taken;
    while (f->made <= step && f->st >= 0)
        pthread_cond_wait(&f->change, &f->lock);
    // a failure while making a later batch waits for its turn
    if (f->st < 0 && f->made <= step + 1) {
        st = f->st;
        if (err) {
            uint32_t size = err->size;
            *err = f->err;
            err->size = size;
        }
    }
    *out = &f->batch[step % 2];
    f->taken++;
    pthread_cond_signal(&f->change);
    pthread_mutex_unlock(&f->lock);
    return st;
}
