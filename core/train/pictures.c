/* SPDX-License-Identifier: MIT */
/* Decoding and tokenizing a data set, on all threads. */
#include "config.h"

#include "train/pictures.h"

#include <stdlib.h>
#include <string.h>

struct pictures {
    const struct dataset *data;
    const struct preprocess *pre;
    size_t bytes; /* of one picture */
    uint8_t *rgb; /* NULL: decode when asked */
};

void planes(const uint8_t *rgb, uint32_t pixels, float *out)
{
    for (uint32_t c = 0; c < 3; c++)
        for (uint32_t i = 0; i < pixels; i++)
            out[(size_t)c * pixels + i] = (float)rgb[3 * (size_t)i + c] / 255.0f;
}

static mohs_status decode(const struct pictures *p, size_t i, uint8_t *rgb,
                          struct mohs_error *err)
{
    struct image raw, im;
    RET_IF_ERR(data_picture(p->data, i, IMAGE_KEEP_ORIENTATION, &raw, err));
    mohs_status st = preprocess_pixels(p->pre, &raw, &im, err);
    image_free(&raw);
    if (st < 0)
        return err_prefix(err, st, "%s", p->data->image[i].id);
    memcpy(rgb, im.rgb, p->bytes);
    image_free(&im);
    return MOHS_OK;
}

static mohs_status decode_one(void *user, size_t i, struct mohs_error *err)
{
    const struct pictures *p = user;
    return decode(p, i, p->rgb + i * p->bytes, err);
}

mohs_status pictures_new(const struct dataset *d, size_t n, const struct preprocess *pre,
                         uint64_t budget_bytes, struct pool *pool, struct pictures **out,
                         struct mohs_error *err)
{
    struct pictures *p = xcalloc(1, sizeof *p);
    *out = p;
    p->data = d;
    p->pre = pre;
    p->bytes = (size_t)pre->height * pre->width * 3;
    if (n > budget_bytes / p->bytes) {
        log_info("%s: %zu pictures of %zu bytes are more than fit the memory for them; "
                 "decoding batch by batch", d->name, n, p->bytes);
        return MOHS_OK;
    }
    p->rgb = try_calloc(n, p->bytes, "pictures", err);
    return p->rgb ? pool_run(pool, n, decode_one, p, err) : MOHS_E_NOMEM;
}

void pictures_free(struct pictures *p)
{
    if (p)
        free(p->rgb);
    free(p);
}

mohs_status pictures_get(const struct pictures *p, size_t i, uint8_t *rgb,
                         struct mohs_error *err)
{
    if (!p->rgb)
        return decode(p, i, rgb, err);
    memcpy(rgb, p->rgb + i * p->bytes, p->bytes);
    return MOHS_OK;
}

bool pictures_in_memory(const struct pictures *p)
{
    return p->rgb != NULL;
}

/* ---- captions ---- */

struct tokenizing {
    const struct dataset *data;
    const struct tokenizer *tokenizer;
    struct captions *c;
};

static mohs_status tokenize_one(void *user, size_t i, struct mohs_error *err)
{
    const struct tokenizing *k = user;
    const char *s = k->data->text[i].text;
    uint32_t last;
    RET_IF_ERR(tokenizer_encode(k->tokenizer, s, strlen(s), k->c->context,
                                k->c->ids + i * k->c->context, &last, err));
    k->c->last[i] = (int32_t)last;
    return MOHS_OK;
}

/* Texts of other images than the first n are left out. */
static mohs_status by_image(const struct dataset *d, uint32_t n, bool must,
                            struct captions *c, struct mohs_error *err)
{
    for (size_t k = 0; k < d->n_texts; k++)
        if (d->text[k].image < n)
            c->first[d->text[k].image + 1]++;
    for (uint32_t i = 0; i < n; i++) {
        if (must && !c->first[i + 1])
            return mohs_fail(err, MOHS_E_ARG, "%s: image %s has no caption", d->name,
                             d->image[i].id);
        c->first[i + 1] += c->first[i];
    }
    uint32_t *at = xcalloc(n, sizeof *at);
    for (uint32_t k = 0; k < d->n_texts; k++) {
        uint32_t i = d->text[k].image;
        if (i < n)
            c->text[c->first[i] + at[i]++] = k;
    }
    free(at);
    return MOHS_OK;
}

mohs_status captions_new(const struct dataset *d, size_t n_images, bool must,
                         const struct tokenizer *t, uint32_t context, struct pool *pool,
                         struct captions *c, struct mohs_error *err)
{
    struct tokenizing k = { d, t, c };
    *c = (struct captions) { .context = context };
    c->ids = try_calloc(d->n_texts, context * sizeof *c->ids, "tokens", err);
    c->last = try_calloc(d->n_texts, sizeof *c->last, "tokens", err);
    c->text = try_calloc(d->n_texts, sizeof *c->text, "captions", err);
    c->first = try_calloc(n_images + 1, sizeof *c->first, "captions", err);
    if (!c->ids || !c->last || !c->text || !c->first)
        return MOHS_E_NOMEM;
    RET_IF_ERR(by_image(d, (uint32_t)n_images, must, c, err));
    RET_IF_ERR(pool_run(pool, d->n_texts, tokenize_one, &k, err));
    for (size_t i = 0; i < d->n_texts; i++)
        if (c->longest < (uint32_t)c->last[i] + 1)
            c->longest = (uint32_t)c->last[i] + 1;
    return MOHS_OK;
}

void captions_free(struct captions *c)
{
    free(c->ids);
    free(c->last);
    free(c->first);
    free(c->text);
    memset(c, 0, sizeof *c);
}
