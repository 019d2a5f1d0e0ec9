/* SPDX-License-Identifier: MIT */
/*
 * A data set's pictures at a model's size, the hashes of what they are made
 * from, and their corrupted copies.
 */
#include "config.h"

#include "eval/session.h"

#include <stdlib.h>
#include <string.h>

enum { KEEP_BYTES = 256 << 20 }; /* pictures kept decoded */

/* ---- decoded ---- */

struct decode {
    const struct eval_data *d;
    const struct preprocess *p;
    const uint32_t *index; /* NULL: i itself */
    uint8_t **to;
    struct hash128 *content;
};

static mohs_status decode_one(void *user, size_t i, struct mohs_error *err)
{
    struct decode *w = user;
    const struct dataset *set = w->d->set;
    size_t k = w->index ? w->index[i] : i;
    struct image raw = { 0 }, out = { 0 };
    RET_IF_ERR(data_picture(set, k, IMAGE_KEEP_ORIENTATION, &raw, err));
    mohs_status st = preprocess_pixels(w->p, &raw, &out, err);
    image_free(&raw);
    if (st < 0)
        return err_prefix(err, st, "%s", set->image[k].id);
    memcpy(w->to[i], out.rgb, (size_t)out.width * out.height * 3);
    image_free(&out);
    return MOHS_OK;
}

static mohs_status keep_pixels(struct eval *e, struct eval_data *d,
                               const struct preprocess *p, size_t bytes,
                               struct mohs_error *err)
{
    size_t n = d->set->n_images;
    struct hash128 h = preprocess_hash(p);
    if (d->pixels && d->pixels_of.hi == h.hi && d->pixels_of.lo == h.lo)
        return MOHS_OK;
    if (d->pixels)
        free(d->pixels[0]);
    free(d->pixels);
    d->pixels = xcalloc(n, sizeof *d->pixels);
    uint8_t *all = try_calloc(n, bytes, "pictures", err);
    if (!all) {
        free(d->pixels);
        d->pixels = NULL;
        return MOHS_E_NOMEM;
    }
    for (size_t i = 0; i < n; i++)
        d->pixels[i] = all + i * bytes;
    struct decode w = { d, p, NULL, d->pixels, NULL };
    mohs_status st = pool_run(e->pool, n, decode_one, &w, err);
    if (st < 0) {
        free(all);
        free(d->pixels);
        d->pixels = NULL;
        return st;
    }
    d->pixels_of = h;
    return MOHS_OK;
}

mohs_status data_pixels(struct eval *e, struct eval_data *d,
                        struct encoder *enc, const uint32_t *index, uint32_t n,
                        const uint8_t **rgb, uint8_t **owned,
                        struct mohs_error *err)
{
    const struct preprocess *p = encoder_preprocess(enc);
    size_t bytes = (size_t)p->height * p->width * 3;
    *owned = NULL;
    if (d->set->n_images <= KEEP_BYTES / bytes) {
        RET_IF_ERR(keep_pixels(e, d, p, bytes, err));
        for (uint32_t i = 0; i < n; i++)
            rgb[i] = d->pixels[index[i]];
        return MOHS_OK;
    }
    uint8_t *all = try_calloc(n, bytes, "pictures", err);
    uint8_t **to = xcalloc(n, sizeof *to);
    mohs_status st = all ? MOHS_OK : MOHS_E_NOMEM;
    for (uint32_t i = 0; all && i < n; i++)
        rgb[i] = to[i] = all + i * bytes;
    struct decode w = { d, p, index, to, NULL };
    if (st >= 0)
        st = pool_run(e->pool, n, decode_one, &w, err);
    free(to);
    if (st < 0)
        free(all);
    else
        *owned = all;
    return st;
}

static mohs_status hash_one(void *user, size_t i, struct mohs_error *err)
{
    struct decode *w = user;
    char *data;
    size_t n;
    RET_IF_ERR(data_bytes(w->d->set, i, &data, &n, err));
    w->content[i] = hash_bytes(data, n);
    free(data);
    return MOHS_OK;
}

mohs_status data_content(struct eval *e, struct eval_data *d,
                         struct mohs_error *err)
{
    if (d->content)
        return MOHS_OK;
    size_t n = d->set->n_images;
    d->content = try_calloc(n, sizeof *d->content, "hashes", err);
    if (!d->content)
        return MOHS_E_NOMEM;
    struct decode w = { .d = d, .content = d->content };
    mohs_status st = pool_run(e->pool, n, hash_one, &w, err);
    if (st < 0) {
        free(d->content);
        d->content = NULL;
    }
    return st;
}

static mohs_status hash_depth(void *user, size_t i, struct mohs_error *err)
{
    struct decode *w = user;
    const struct data_image *im = &w->d->set->image[i];
    char *data;
    size_t n;
    if (!im->depth_path)
        return mohs_fail(err, MOHS_E_ARG, "image %s has no depth map", im->id);
    RET_IF_ERR(file_read(im->depth_path, 0, &data, &n, err));
    w->content[i] = hash_bytes(data, n);
    free(data);
    return MOHS_OK;
}

/* Of the maps that the cell's corruption sees; *out NULL when it sees none,
 * else the caller's to free. */
mohs_status depth_hashes(struct eval *e, const struct eval_cell *c,
                         struct hash128 **out, struct mohs_error *err)
{
    const struct mohs_corruption_ops *ops =
        c->corruption.item ? c->corruption.item->item->ops : NULL;
    size_t n = c->data->set->n_images;
    *out = NULL;
    if (!ops || !(ops->flags & MOHS_CORRUPTION_DEPTH))
        return MOHS_OK;
    *out = try_calloc(n, sizeof **out, "hashes", err);
    if (!*out)
        return MOHS_E_NOMEM;
    struct decode w = { .d = c->data, .content = *out };
    mohs_status st = pool_run(e->pool, n, hash_depth, &w, err);
    if (st < 0) {
        free(*out);
        *out = NULL;
    }
    return st;
}

/* ---- corruption ---- */

bool corrupts_text(const struct eval_item *corruption)
{
    if (!corruption->item)
        return false;
    const struct mohs_corruption_ops *ops = corruption->item->item->ops;
    return ops->flags & MOHS_CORRUPTION_TEXT;
}

/* The size of the picture that a map lies over; only its shape matters. */
static mohs_status picture_size(const struct dataset *d, size_t i,
                                const struct preprocess *p, uint32_t *w,
                                uint32_t *h, struct mohs_error *err)
{
    struct image im;
    *w = p->width;
    *h = p->height;
    if (p->resize_height)
        return MOHS_OK;
    RET_IF_ERR(data_picture(d, i, IMAGE_KEEP_ORIENTATION, &im, err));
    *w = im.width;
    *h = im.height;
    image_free(&im);
    return MOHS_OK;
}

/* The map of an image, resized and cropped as its pixels are; each pixel the
 * one whose centre is nearest. Beyond a border the border goes on. */
static mohs_status read_depth(const struct dataset *set, size_t i,
                              const struct preprocess *p, float *out,
                              struct mohs_error *err)
{
    const struct data_image *im = &set->image[i];
    uint32_t w, h, rw, rh;
    int32_t x0, y0;
    float *d;
    if (!im->depth_path)
        return mohs_fail(err, MOHS_E_ARG, "image %s has no depth map", im->id);
    RET_IF_ERR(picture_size(set, i, p, &w, &h, err));
    preprocess_window(p, w, h, &rw, &rh, &x0, &y0);
    RET_IF_ERR(data_depth(im->depth_path, &w, &h, &d, err));
    for (uint32_t y = 0; y < p->height; y++)
        for (uint32_t x = 0; x < p->width; x++) {
            int64_t cx = (2 * ((int64_t)x + x0) + 1) * w / (2 * (int64_t)rw);
            int64_t cy = (2 * ((int64_t)y + y0) + 1) * h / (2 * (int64_t)rh);
            cx = cx < 0 ? 0 : cx < w ? cx : w - 1;
            cy = cy < 0 ? 0 : cy < h ? cy : h - 1;
            out[(size_t)y * p->width + x] = d[(size_t)cy * w + (size_t)cx];
        }
    free(d);
    return MOHS_OK;
}

mohs_status corruptor_open(struct eval *e, const struct eval_item *it,
                           struct corruptor *c, struct mohs_error *err)
{
    c->ops = it->item->item->ops;
    c->severity = it->severity;
    c->seed = op_seed(e->o.seed, it->item->item->id, it->severity);
    if (c->ops->flags & MOHS_CORRUPTION_TEXT)
        return MOHS_OK;
    mohs_status st =
        c->ops->create(registry_host(e->registry), it->params, &c->self, err);
    scratch_reset();
    return st;
}

void corruptor_close(struct corruptor *c)
{
    if (c->self)
        c->ops->destroy(c->self);
}

/* Replaces rgb[0..n) by corrupted copies in one fresh block. */
mohs_status corruptor_apply(struct corruptor *c, const struct eval_data *d,
                            const struct preprocess *p, const uint32_t *index,
                            uint32_t n, const uint8_t **rgb, uint8_t **block,
                            struct mohs_error *err)
{
    size_t bytes = (size_t)p->height * p->width * 3;
    uint8_t *in = try_calloc(n, bytes, "pictures", err);
    uint8_t *out = try_calloc(n, bytes, "pictures", err);
    uint64_t *key = xcalloc(n, sizeof *key);
    float *depth = NULL;
    mohs_status st = in && out ? MOHS_OK : MOHS_E_NOMEM;
    if (st < 0)
        goto out;
    for (uint32_t i = 0; i < n; i++) {
        memcpy(in + i * bytes, rgb[i], bytes);
        key[i] = d->set->image[index[i]].key;
    }
    if (c->ops->flags & MOHS_CORRUPTION_DEPTH) {
        depth = try_calloc(n, bytes / 3 * sizeof *depth, "depth", err);
        st = depth ? MOHS_OK : MOHS_E_NOMEM;
        for (uint32_t i = 0; st >= 0 && i < n; i++)
            st = read_depth(d->set, index[i], p, depth + i * bytes / 3, err);
        if (st < 0)
            goto out;
    }
    struct mohs_images a = { sizeof a, n, p->height, p->width, in, key, depth };
    struct mohs_images b = {
        sizeof b, n, p->height, p->width, out, key, depth
    };
    st = c->ops->apply(c->self, &a, &b, c->severity, c->seed, err);
    scratch_reset();
    if (st < 0)
        goto out;
    for (uint32_t i = 0; i < n; i++)
        rgb[i] = out + i * bytes;
    *block = out;
    out = NULL;
out:
    free(in);
    free(out);
    free(key);
    free(depth);
    return st;
}
