/* SPDX-License-Identifier: MIT */
/*
 * The training set in memory, and one batch a step. Which pairs, which
 * caption, which crop: all are functions of (seed, step, item).
 */
#include "config.h"

#include "train/batch.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <mohs/rng.h>

/* Purposes of sub-streams. */
enum { FOR_ORDER = 1, FOR_CAPTION, FOR_CROP, FOR_FLIP };

struct loader {
    const struct train_options *o;
    const struct preprocess *pre;
    uint32_t context, n;
    uint8_t *rgb;
    size_t bytes; /* of one picture */
    int32_t *ids, *last;
    uint32_t *first, *text; /* captions of image i: text[first[i]..first[i+1]) */
    uint8_t *sided;         /* per text: says left or right */
    uint32_t *order, epoch; /* permutation of the epoch */
};

void planes(const uint8_t *rgb, uint32_t pixels, float *out)
{
    for (uint32_t c = 0; c < 3; c++)
        for (uint32_t i = 0; i < pixels; i++)
            out[(size_t)c * pixels + i] = (float)rgb[3 * (size_t)i + c] / 255.0f;
}

static mohs_status decode(void *user, size_t i, struct mohs_error *err)
{
    struct loader *l = user;
    const char *path = l->o->data->image[i].path;
    struct image raw, im;
    RET_IF_ERR(image_read(path, IMAGE_KEEP_ORIENTATION, &raw, err));
    mohs_status st = preprocess_pixels(l->pre, &raw, &im, err);
    image_free(&raw);
    if (st < 0)
        return err_prefix(err, st, "%s", path);
    memcpy(l->rgb + i * l->bytes, im.rgb, l->bytes);
    image_free(&im);
    return MOHS_OK;
}

static bool says_side(const char *s)
{
    return strcasestr(s, "left") || strcasestr(s, "right");
}

static mohs_status read_texts(struct loader *l, const struct tokenizer *t,
                              struct mohs_error *err)
{
    const struct dataset *d = l->o->data;
    l->ids = try_calloc(d->n_texts, l->context * sizeof *l->ids, "tokens", err);
    l->last = try_calloc(d->n_texts, sizeof *l->last, "tokens", err);
    l->text = try_calloc(d->n_texts, sizeof *l->text, "captions", err);
    l->first = try_calloc((size_t)l->n + 1, sizeof *l->first, "captions", err);
    l->sided = try_calloc(d->n_texts, 1, "captions", err);
    if (!l->ids || !l->last || !l->text || !l->first || !l->sided)
        return MOHS_E_NOMEM;
    for (size_t i = 0; i < d->n_texts; i++) {
        uint32_t last;
        const char *s = d->text[i].text;
        RET_IF_ERR(tokenizer_encode(t, s, strlen(s), l->context,
                                    l->ids + i * l->context, &last, err));
        l->last[i] = (int32_t)last;
        l->sided[i] = says_side(s);
        l->first[d->text[i].image + 1]++;
    }
    for (uint32_t i = 0; i < l->n; i++) {
        if (!l->first[i + 1])
            return mohs_fail(err, MOHS_E_ARG, "%s: image %s has no caption", d->name,
                             d->image[i].id);
        l->first[i + 1] += l->first[i];
    }
    uint32_t *at = xcalloc(l->n, sizeof *at);
    for (uint32_t k = 0; k < d->n_texts; k++) {
        uint32_t i = d->text[k].image;
        l->text[l->first[i] + at[i]++] = k;
    }
    free(at);
    return MOHS_OK;
}

mohs_status loader_new(const struct train_options *o, const struct preprocess *p,
                       const struct tokenizer *t, uint32_t context,
                       struct pool *pool, struct loader **out,
                       struct mohs_error *err)
{
    struct loader *l = xcalloc(1, sizeof *l);
    mohs_status st;
    l->o = o;
    l->pre = p;
    l->context = context;
    l->n = (uint32_t)o->data->n_images;
    l->bytes = (size_t)p->height * p->width * 3;
    l->epoch = UINT32_MAX;
    l->rgb = try_calloc(l->n, l->bytes, "training pictures", err);
    l->order = try_calloc(l->n, sizeof *l->order, "training order", err);
    if (!l->rgb || !l->order) {
        st = MOHS_E_NOMEM;
        goto out;
    }
    OUT_IF_ERR(read_texts(l, t, err));
    OUT_IF_ERR(pool_run(pool, l->n, decode, l, err));
    *out = l;
    l = NULL;
out:
    loader_free(l);
    return st;
}

void loader_free(struct loader *l)
{
    if (!l)
        return;
    free(l->rgb);
    free(l->ids);
    free(l->last);
    free(l->first);
    free(l->text);
    free(l->sided);
    free(l->order);
    free(l);
}

static void shuffle(struct loader *l, uint32_t epoch)
{
    uint64_t seed = mohs_rng_fork(l->o->seed, FOR_ORDER);
    if (l->epoch == epoch)
        return;
    for (uint32_t i = 0; i < l->n; i++)
        l->order[i] = i;
    for (uint32_t i = l->n - 1; i > 0; i--) {
        uint32_t j = mohs_rng_below(seed, epoch, i, i + 1), t = l->order[i];
        l->order[i] = l->order[j];
        l->order[j] = t;
    }
    l->epoch = epoch;
}

/* A square-ish crop that keeps the picture's shape, resized back. */
static bool random_crop(const struct loader *l, struct image *im, uint64_t draw,
                        uint64_t key)
{
    uint64_t seed = mohs_rng_fork(l->o->seed, FOR_CROP);
    float area = l->o->crop_min +
                 (1 - l->o->crop_min) * mohs_rng_uniform(seed, key, 4 * draw);
    float side = sqrtf(area);
    uint32_t w = (uint32_t)lrintf(side * (float)im->width);
    uint32_t h = (uint32_t)lrintf(side * (float)im->height);
    if (w >= im->width && h >= im->height)
        return true;
    w = w ? w : 1;
    h = h ? h : 1;
    uint32_t x = mohs_rng_below(seed, key, 4 * draw + 1, im->width - w + 1);
    uint32_t y = mohs_rng_below(seed, key, 4 * draw + 2, im->height - h + 1);
    struct image cut, out;
    if (image_crop(im, (int32_t)x, (int32_t)y, w, h, &cut, NULL) < 0)
        return false;
    bool ok = image_resize(&cut, im->width, im->height, FILTER_BICUBIC, &out, NULL) >= 0;
    image_free(&cut);
    if (!ok)
        return false;
    memcpy(im->rgb, out.rgb, l->bytes);
    image_free(&out);
    return true;
}

static void fill_one(struct loader *l, uint32_t step, uint32_t i, uint32_t item,
                     uint8_t *room, struct batch *b)
{
    const struct train_options *o = l->o;
    uint64_t key = o->data->image[item].key;
    struct image im = { l->pre->width, l->pre->height, room };
    uint32_t pixels = im.width * im.height;
    uint32_t n = l->first[item + 1] - l->first[item];
    uint32_t pick = mohs_rng_below(mohs_rng_fork(o->seed, FOR_CAPTION), key, step, n);
    uint32_t text = l->text[l->first[item] + pick];
    memcpy(room, l->rgb + (size_t)item * l->bytes, l->bytes);
    if (o->crop_min < 1)
        random_crop(l, &im, step, key);
    if (o->flip && !l->sided[text] &&
        mohs_rng_u32(mohs_rng_fork(o->seed, FOR_FLIP), key, step) & 1)
        image_flip(&im);
    planes(room, pixels, b->pixels + (size_t)i * 3 * pixels);
    memcpy(b->tokens + (size_t)i * l->context, l->ids + (size_t)text * l->context,
           l->context * sizeof *b->tokens);
    b->last[i] = l->last[text];
    for (uint32_t t = 0; t < l->context; t++)
        b->mask[(size_t)i * l->context + t] = (int32_t)t <= b->last[i];
    b->key[i] = key;
}

void loader_fill(struct loader *l, uint32_t step, struct batch *b)
{
    uint32_t per_epoch = l->n / l->o->batch, at = step % per_epoch * l->o->batch;
    uint8_t *room = xmalloc(l->bytes);
    shuffle(l, step / per_epoch);
    for (uint32_t i = 0; i < l->o->batch; i++)
        fill_one(l, step, i, l->order[at + i], room, b);
    free(room);
}

mohs_status batch_alloc(struct batch *b, uint32_t n, const struct preprocess *p,
                        uint32_t context, struct mohs_error *err)
{
    size_t bytes = (size_t)3 * p->height * p->width * sizeof *b->pixels;
    b->pixels = try_calloc(n, bytes, "a batch", err);
    b->tokens = try_calloc(n, context * sizeof *b->tokens, "a batch", err);
    b->mask = try_calloc(n, context * sizeof *b->mask, "a batch", err);
    b->last = try_calloc(n, sizeof *b->last, "a batch", err);
    b->key = try_calloc(n, sizeof *b->key, "a batch", err);
    return b->pixels && b->tokens && b->mask && b->last && b->key ? MOHS_OK
                                                                  : MOHS_E_NOMEM;
}

void batch_free(struct batch *b)
{
    free(b->pixels);
    free(b->tokens);
    free(b->mask);
    free(b->last);
    free(b->key);
    memset(b, 0, sizeof *b);
}
