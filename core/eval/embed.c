/* SPDX-License-Identifier: MIT */
/*
 * Embedding rows: clean, corrupted or attacked, each looked up in the cache
 * by everything it depends on and computed only when missing.
 */
#include "config.h"

#include "eval/session.h"
#include "eval/victim.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    CHUNK = 256,                     /* images corrupted and encoded at once */
    KEEP_BYTES = 256 << 20,          /* pictures kept decoded */
    DELTA_SCALE = 16                 /* how much a shown perturbation is grown */
};

/* ---- pictures ---- */

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
    const struct data_image *im = &w->d->set->image[w->index ? w->index[i] : i];
    struct image raw = { 0 }, out = { 0 };
    RET_IF_ERR(image_read(im->path, IMAGE_KEEP_ORIENTATION, &raw, err));
    mohs_status st = preprocess_pixels(w->p, &raw, &out, err);
    image_free(&raw);
    if (st < 0)
        return err_prefix(err, st, "%s", im->path);
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

mohs_status data_pixels(struct eval *e, struct eval_data *d, struct encoder *enc,
                        const uint32_t *index, uint32_t n, const uint8_t **rgb,
                        uint8_t **owned, struct mohs_error *err)
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
    RET_IF_ERR(file_read(w->d->set->image[i].path, 0, &data, &n, err));
    w->content[i] = hash_bytes(data, n);
    free(data);
    return MOHS_OK;
}

static mohs_status content_hashes(struct eval *e, struct eval_data *d,
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
static mohs_status depth_hashes(struct eval *e, const struct eval_cell *c,
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

/* The size of the picture that a map lies over; only its shape matters. */
static mohs_status picture_size(const struct data_image *im,
                                const struct preprocess *p, uint32_t *w,
                                uint32_t *h, struct mohs_error *err)
{
    unsigned o;
    *w = p->width;
    *h = p->height;
    return p->resize_height ? MOHS_OK
                            : image_orientation(im->path, &o, w, h, err);
}

/* The map of an image, resized and cropped as its pixels are; each pixel the
 * one whose centre is nearest. Beyond a border the border goes on. */
static mohs_status read_depth(const struct data_image *im,
                              const struct preprocess *p, float *out,
                              struct mohs_error *err)
{
    uint32_t w, h, rw, rh;
    int32_t x0, y0;
    float *d;
    if (!im->depth_path)
        return mohs_fail(err, MOHS_E_ARG, "image %s has no depth map", im->id);
    RET_IF_ERR(picture_size(im, p, &w, &h, err));
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

struct corruptor {
    const struct mohs_corruption_ops *ops;
    void *self;
    uint32_t severity;
    uint64_t seed;
};

static mohs_status corruptor_open(struct eval *e, const struct eval_item *it,
                                  struct corruptor *c, struct mohs_error *err)
{
    c->ops = it->item->item->ops;
    c->severity = it->severity;
    c->seed = op_seed(e->o.seed, it->item->item->id, it->severity);
    if (c->ops->flags & MOHS_CORRUPTION_TEXT)
        return MOHS_OK;
    mohs_status st = c->ops->create(registry_host(e->registry), it->params, &c->self,
                                    err);
    scratch_reset();
    return st;
}

static void corruptor_close(struct corruptor *c)
{
    if (c->self)
        c->ops->destroy(c->self);
}

/* Replaces rgb[0..n) by corrupted copies in one fresh block. */
static mohs_status corrupt(struct corruptor *c, const struct eval_data *d,
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
            st = read_depth(&d->set->image[index[i]], p, depth + i * bytes / 3,
                            err);
        if (st < 0)
            goto out;
    }
    struct mohs_images a = { sizeof a, n, p->height, p->width, in, key, depth };
    struct mohs_images b = { sizeof b, n, p->height, p->width, out, key, depth };
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
}

static bool is_text(const struct eval_item *corruption)
{
    if (!corruption->item)
        return false;
    const struct mohs_corruption_ops *ops = corruption->item->item->ops;
    return ops->flags & MOHS_CORRUPTION_TEXT;
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
    if (c->corruption.item && !is_text(&c->corruption)) {
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

static int32_t lookup(struct eval *e, struct hash128 key, float *out, uint32_t dim,
                      struct mohs_error *err)
{
    int32_t found = e->cache ? cache_get(e->cache, key, out, dim, err) : 0;
    e->cache_hits += found > 0;
    return found;
}

static mohs_status remember(struct eval *e, struct hash128 key, const float *row,
                            uint32_t dim, struct mohs_error *err)
{
    return e->cache ? cache_put(e->cache, key, row, dim, err) : MOHS_OK;
}

/* Fills out from the cache; *missing gets the indices not found. */
static mohs_status lookup_all(struct eval *e, const struct hash128 *key, size_t n,
                              uint32_t dim, float *out, uint32_t **missing,
                              uint32_t *n_missing, struct mohs_error *err)
{
    *missing = xcalloc(n, sizeof **missing);
    *n_missing = 0;
    for (size_t i = 0; i < n; i++) {
        int32_t found = lookup(e, key[i], out + i * dim, dim, err);
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

static void note(struct eval *e, const struct eval_cell *c, const char *what,
                 struct hash128 base)
{
    if (!e->cache)
        return;
    struct str s = { 0 };
    char hex[33];
    hash_hex(encoder_hash(c->model->encoder), hex);
    str_addf(&s, "rows=%s\nmodel=%s\nmodel_hash=%s\n", what, c->model->label, hex);
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
        item_params_text(c->attack.item, c->attack.params, true, &s);
        str_addf(&s, "\nseed=%llu\n", (unsigned long long)e->o.seed);
    }
    cache_note(e->cache, base, s.s, NULL);
    str_free(&s);
}

/* ---- rows ---- */

static mohs_status encode_missing(struct eval *e, const struct eval_cell *c,
                                  const struct hash128 *key,
                                  const uint32_t *missing, uint32_t n, float *out,
                                  struct mohs_error *err)
{
    struct encoder *enc = c->model->encoder;
    uint32_t dim = encoder_info(enc)->embed_dim;
    struct corruptor co = { 0 };
    const uint8_t *rgb[CHUNK];
    float *rows = xcalloc((size_t)CHUNK * dim, sizeof *rows);
    mohs_status st = MOHS_OK;
    if (c->corruption.item && !is_text(&c->corruption))
        st = corruptor_open(e, &c->corruption, &co, err);
    for (uint32_t i = 0; i < n && st >= 0; i += CHUNK) {
        uint32_t m = n - i < CHUNK ? n - i : CHUNK;
        uint8_t *owned = NULL, *block = NULL;
        st = data_pixels(e, c->data, enc, missing + i, m, rgb, &owned, err);
        if (st >= 0 && co.self)
            st = corrupt(&co, c->data, encoder_preprocess(enc), missing + i, m, rgb,
                         &block, err);
        if (st >= 0)
            st = encoder_images(enc, m, rgb, false, NULL, rows, err);
        for (uint32_t j = 0; j < m && st >= 0; j++) {
            uint32_t k = missing[i + j];
            memcpy(out + (size_t)k * dim, rows + (size_t)j * dim, dim * sizeof *out);
            st = remember(e, key[k], rows + (size_t)j * dim, dim, err);
        }
        free(owned);
        free(block);
        progress_note("images %u/%u", i + m, n);
    }
    free(rows);
    corruptor_close(&co);
    return st;
}

mohs_status embed_images(struct eval *e, const struct eval_cell *c, float *out,
                         struct mohs_error *err)
{
    size_t n = c->data->set->n_images;
    uint32_t dim = encoder_info(c->model->encoder)->embed_dim, *missing, n_missing;
    struct hash128 *depth;
    RET_IF_ERR(content_hashes(e, c->data, err));
    RET_IF_ERR(depth_hashes(e, c, &depth, err));
    struct hasher *h = hasher_new();
    image_base(e, c, h);
    struct hash128 base = hasher_end(h);
    struct hash128 *key = xcalloc(n, sizeof *key);
    for (size_t i = 0; i < n; i++)
        key[i] = image_key(base, c->data, depth, i, c->corruption.item != NULL);
    free(depth);
    mohs_status st = lookup_all(e, key, n, dim, out, &missing, &n_missing, err);
    if (st >= 0 && n_missing) {
        note(e, c, "images", base);
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

static mohs_status put_text(struct mohs_text_sink *s, uint32_t i, const char *text,
                            uint32_t edits, struct mohs_error *err)
{
    struct texts *t = s->ctx;
    (void)err;
    t->unedited += !edits;
    free(t->text[i]);
    t->text[i] = xstrdup(text);
    return MOHS_OK;
}

/* The cell's texts, corrupted where the corruption is of texts. Fresh. */
static mohs_status cell_texts(struct eval *e, const struct eval_cell *c,
                              char ***out, struct mohs_error *err)
{
    const struct dataset *d = c->data->set;
    char **text = xcalloc(d->n_texts + 1, sizeof *text);
    for (size_t i = 0; i < d->n_texts; i++)
        text[i] = xstrdup(d->text[i].text);
    mohs_status st = MOHS_OK;
    if (is_text(&c->corruption)) {
        const struct mohs_corruption_ops *ops = c->corruption.item->item->ops;
        const char **in = xcalloc(d->n_texts, sizeof *in);
        uint64_t *key = xcalloc(d->n_texts, sizeof *key);
        struct texts t = { text, 0 };
        struct mohs_text_sink sink = { sizeof sink, &t, put_text };
        void *self = NULL;
        for (size_t i = 0; i < d->n_texts; i++) {
            in[i] = d->text[i].text;
            key[i] = d->text[i].key;
        }
        struct mohs_texts ti = { sizeof ti, (uint32_t)d->n_texts, in, key };
        st = ops->create(registry_host(e->registry), c->corruption.params, &self, err);
        if (st >= 0)
            st = ops->apply_text(self, &ti, &sink, c->corruption.severity,
                                 op_seed(e->o.seed,
                                              c->corruption.item->item->id,
                                              c->corruption.severity),
                                 err);
        if (self)
            ops->destroy(self);
        scratch_reset();
        if (st >= 0 && t.unedited)
            log_info("%s:%u: %zu of %zu texts left as they are: nothing to "
                     "edit in them",
                     c->corruption.item->item->id, c->corruption.severity,
                     t.unedited, (size_t)d->n_texts);
        free(in);
        free(key);
    }
    if (st < 0) {
        strv_free(text);
        return st;
    }
    *out = text;
    return MOHS_OK;
}

mohs_status embed_texts(struct eval *e, const struct eval_cell *c, float *out,
                        struct mohs_error *err)
{
    struct encoder *enc = c->model->encoder;
    size_t n = c->data->set->n_texts;
    uint32_t dim = encoder_info(enc)->embed_dim, *missing = NULL, n_missing = 0;
    char **text;
    RET_IF_ERR(cell_texts(e, c, &text, err));
    struct hash128 base = encoder_text_hash(enc);
    struct hash128 *key = xcalloc(n, sizeof *key);
    for (size_t i = 0; i < n; i++)
        key[i] = text_key(base, text[i]);
    mohs_status st = lookup_all(e, key, n, dim, out, &missing, &n_missing, err);
    if (st >= 0 && n_missing) {
        const char **in = xcalloc(n_missing, sizeof *in);
        float *rows = try_calloc((size_t)n_missing * dim, sizeof *rows, "texts", err);
        note(e, c, "texts", base);
        for (uint32_t i = 0; i < n_missing; i++)
            in[i] = text[missing[i]];
        st = rows ? encoder_texts(enc, n_missing, in, false, NULL, rows, err)
                  : MOHS_E_NOMEM;
        for (uint32_t i = 0; i < n_missing && st >= 0; i++) {
            memcpy(out + (size_t)missing[i] * dim, rows + (size_t)i * dim,
                   dim * sizeof *out);
            st = remember(e, key[missing[i]], rows + (size_t)i * dim, dim, err);
        }
        free(in);
        free(rows);
    }
    free(missing);
    free(key);
    strv_free(text);
    return st;
}

/* ---- attacks ---- */

static const struct mohs_param *param_at(const struct mohs_item *it, uint32_t i)
{
    return (const struct mohs_param *)((const char *)it->params +
                                       (size_t)i * it->param_stride);
}

/* The value of string parameter `name`, or NULL. */
static const char *string_param(const struct eval_item *a, const char *name)
{
    const struct mohs_item *it = a->item->item;
    for (uint32_t i = 0; i < it->n_params; i++) {
        const struct mohs_param *p = param_at(it, i);
        if (p->type == MOHS_P_STRING && !strcmp(p->name, name)) {
            const char *s;
            memcpy(&s, (const char *)a->params + p->offset, sizeof s);
            return s;
        }
    }
    return NULL;
}

/* The taps of one tower in a comma list, as a fresh comma list. */
static char *taps_of(const char *list, uint32_t tower)
{
    struct str s = { 0 };
    str_add(&s, "");
    for (const char *p = list; *p;) {
        size_t n = strcspn(p, ", ");
        bool text = n > 5 && !strncmp(p, "text.", 5);
        if (n && text == (tower == MOHS_TOWER_TEXT)) {
            if (s.n)
                str_add(&s, ",");
            str_addn(&s, p, n);
        }
        p += n;
        p += strspn(p, ", ");
    }
    return s.s;
}

char *attack_taps(const struct eval_item *attack, uint32_t tower)
{
    const char *tap = string_param(attack, "tap");
    if (tap)
        return taps_of(tap, tower);
    return xstrdup(tower == MOHS_TOWER_IMAGE ? "pixels" : "");
}

uint32_t attack_towers(const struct eval_item *attack)
{
    uint32_t towers = 0;
    for (uint32_t t = MOHS_TOWER_IMAGE; t <= MOHS_TOWER_TEXT; t++) {
        char *s = attack_taps(attack, t);
        towers |= *s ? t : 0;
        free(s);
    }
    return towers;
}

/* The attack's parameters with only this tower's taps. */
static mohs_status side_params(const struct eval_item *a, uint32_t tower,
                               void **out, struct mohs_error *err)
{
    const struct mohs_item *it = a->item->item;
    void *p = item_params_new(a->item);
    mohs_status st = MOHS_OK;
    for (uint32_t i = 0; i < it->n_params && st >= 0; i++) {
        const struct mohs_param *d = param_at(it, i);
        const char *from = (const char *)a->params + d->offset;
        if (d->type == MOHS_P_STRING) {
            const char *s;
            memcpy(&s, from, sizeof s);
            char *mine = strcmp(d->name, "tap") ? xstrdup(s) : taps_of(s, tower);
            st = item_param_set_text(a->item, p, d->name, mine, err);
            free(mine);
        } else {
            memcpy((char *)p + d->offset, from,
                   d->type == MOHS_P_INTS ? sizeof(struct mohs_ints) : 4);
        }
    }
    if (st < 0) {
        item_params_free(a->item, p);
        return st;
    }
    *out = p;
    return MOHS_OK;
}

/* One side of an attack on a data set. */
struct assault {
    struct eval *e;
    const struct eval_cell *c;
    uint32_t tower, n, dim;
    const float *image, *text;
    struct hash128 *key;
    uint32_t *first, *positive; /* of all samples */
    void *params;
    const struct mohs_attack_ops *ops;
    void *self;
};

static struct hash128 derived(struct hash128 k, const char *what)
{
    struct hasher *h = hasher_new();
    hasher_u64(h, k.hi);
    hasher_u64(h, k.lo);
    hasher_str(h, what);
    return hasher_end(h);
}

static void attack_keys(struct assault *a)
{
    const struct dataset *d = a->c->data->set;
    struct hash128 m = encoder_text_hash(a->c->model->encoder);
    struct hash128 p = preprocess_hash(encoder_preprocess(a->c->model->encoder));
    struct hasher *h = hasher_new();
    hasher_str(h, "attack/1");
    hasher_u64(h, m.hi);
    hasher_u64(h, m.lo);
    hasher_u64(h, p.hi);
    hasher_u64(h, p.lo);
    hasher_u64(h, d->hash.hi);
    hasher_u64(h, d->hash.lo);
    hasher_u64(h, a->tower);
    hasher_u64(h, a->e->o.seed);
    item_hash(h, &a->c->attack);
    // the candidates of the image side are the texts, and the other way round
    for (size_t i = 0; i < d->n_images; i++) {
        hasher_u64(h, a->c->data->content[i].hi);
        hasher_u64(h, a->c->data->content[i].lo);
    }
    struct hash128 base = hasher_end(h);
    a->key = xcalloc(a->n, sizeof *a->key);
    for (uint32_t i = 0; i < a->n; i++) {
        char index[16];
        snprintf(index, sizeof index, "%u", i);
        a->key[i] = derived(base, index);
    }
}

static void find_positives(struct assault *a)
{
    const struct dataset *d = a->c->data->set;
    a->first = xcalloc(a->n + 1, sizeof *a->first);
    a->positive = xcalloc(d->n_texts, sizeof *a->positive);
    if (a->tower == MOHS_TOWER_TEXT) {
        for (uint32_t i = 0; i < a->n; i++) {
            a->first[i + 1] = i + 1;
            a->positive[i] = d->text[i].image;
        }
        return;
    }
    for (size_t t = 0; t < d->n_texts; t++)
        a->first[d->text[t].image + 1]++;
    for (uint32_t i = 0; i < a->n; i++)
        a->first[i + 1] += a->first[i];
    uint32_t *at = xcalloc(a->n, sizeof *at);
    for (uint32_t t = 0; t < d->n_texts; t++) {
        uint32_t i = d->text[t].image;
        a->positive[a->first[i] + at[i]++] = t;
    }
    free(at);
}

static mohs_status keep_attacked(struct assault *a, struct mohs_victim *v,
                                 const uint32_t *sample, float *out, float *audit,
                                 struct mohs_error *err)
{
    float *rows = try_calloc((size_t)v->n * a->dim, sizeof *rows, "embeddings", err);
    const struct mohs_site *px = NULL, *s;
    for (size_t i = 0; (s = victim_site(v, i)); i++)
        if (!strcmp(s->tap, "pixels"))
            px = s;
    mohs_status st = rows ? victim_embed(v, rows, err) : MOHS_E_NOMEM;
    for (uint32_t i = 0; i < v->n && st >= 0; i++) {
        struct victim_audit u;
        uint32_t k = sample[i];
        victim_audit(v, i, &u);
        float *au = audit + (size_t)k * AUDIT_DIM;
        au[AUDIT_LINF] = (float)u.linf;
        au[AUDIT_L2] = (float)u.l2;
        au[AUDIT_REL_L2] = (float)u.rel_l2;
        au[AUDIT_RANGE] = (float)u.out_of_range;
        au[AUDIT_PADDING] = (float)u.on_padding;
        au[AUDIT_BAD] = (float)u.non_finite;
        memcpy(out + (size_t)k * a->dim, rows + (size_t)i * a->dim,
               a->dim * sizeof *out);
        if (px && k < a->e->o.thumbnails)
            st = remember(a->e, derived(a->key[k], "delta"),
                          px->delta + (size_t)i * 3 * px->width, 3 * px->width, err);
        if (st >= 0)
            st = remember(a->e, derived(a->key[k], "audit"), au, AUDIT_DIM, err);
        if (st >= 0)
            st = remember(a->e, a->key[k], rows + (size_t)i * a->dim, a->dim, err);
    }
    free(rows);
    return st;
}

static mohs_status attack_chunk(struct assault *a, const uint32_t *sample,
                                uint32_t n, float *out, float *audit,
                                struct mohs_error *err)
{
    const struct dataset *d = a->c->data->set;
    bool images = a->tower == MOHS_TOWER_IMAGE;
    const uint8_t *rgb[ATTACK_CHUNK];
    const char *text[ATTACK_CHUNK];
    uint64_t key[ATTACK_CHUNK];
    uint32_t first[ATTACK_CHUNK + 1] = { 0 };
    uint8_t *owned = NULL;
    struct mohs_victim *v = NULL;
    uint32_t *positive = xcalloc(d->n_texts, sizeof *positive);
    mohs_status st;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t k = sample[i], m = a->first[k + 1] - a->first[k];
        text[i] = images ? NULL : d->text[k].text;
        key[i] = images ? d->image[k].key : d->text[k].key;
        memcpy(positive + first[i], a->positive + a->first[k], m * sizeof *positive);
        first[i + 1] = first[i] + m;
    }
    if (images)
        OUT_IF_ERR(data_pixels(a->e, a->c->data, a->c->model->encoder, sample, n, rgb,
                               &owned, err));
    struct victim_options o = {
        .encoder = a->c->model->encoder,
        .tower = a->tower,
        .n = n,
        .rgb = images ? rgb : NULL,
        .text = images ? NULL : text,
        .key = key,
        .candidate = images ? a->text : a->image,
        .n_candidates = (uint32_t)(images ? d->n_texts : d->n_images),
        .positive_first = first,
        .positive = positive,
    };
    OUT_IF_ERR(victim_new(&o, &v, err));
    st = a->ops->run(a->self, v, op_seed(a->e->o.seed, a->c->attack.item->item->id,
                                              0), err);
    scratch_reset();
    if (st >= 0)
        st = keep_attacked(a, v, sample, out, audit, err);
out:
    victim_free(v);
    free(owned);
    free(positive);
    return st;
}

static mohs_status attack_missing(struct assault *a, const uint32_t *missing,
                                  uint32_t n, float *out, float *audit,
                                  struct mohs_error *err)
{
    mohs_status st = side_params(&a->c->attack, a->tower, &a->params, err);
    if (st < 0)
        return st;
    a->ops = a->c->attack.item->item->ops;
    st = a->ops->create(registry_host(a->e->registry), a->params, &a->self, err);
    scratch_reset();
    for (uint32_t i = 0; i < n && st >= 0; i += ATTACK_CHUNK) {
        uint32_t m = n - i < ATTACK_CHUNK ? n - i : ATTACK_CHUNK;
        st = attack_chunk(a, missing + i, m, out, audit, err);
        if (st >= 0 && a->e->cache)
            st = cache_flush(a->e->cache, err);
        progress_note("attacked %u/%u", i + m, n);
    }
    if (a->self)
        a->ops->destroy(a->self);
    item_params_free(a->c->attack.item, a->params);
    return st;
}

mohs_status embed_attacked(struct eval *e, const struct eval_cell *c,
                           uint32_t tower, const float *image, const float *text,
                           float *out, float *audit, struct mohs_error *err)
{
    const struct dataset *d = c->data->set;
    struct assault a = { .e = e, .c = c, .tower = tower, .image = image,
                         .text = text,
                         .dim = encoder_info(c->model->encoder)->embed_dim };
    a.n = (uint32_t)(tower == MOHS_TOWER_IMAGE ? d->n_images : d->n_texts);
    RET_IF_ERR(content_hashes(e, c->data, err));
    attack_keys(&a);
    find_positives(&a);
    uint32_t *missing = xcalloc(a.n, sizeof *missing), n_missing = 0;
    mohs_status st = MOHS_OK;
    for (uint32_t i = 0; i < a.n && st >= 0; i++) {
        int32_t row = lookup(e, a.key[i], out + (size_t)i * a.dim, a.dim, err);
        int32_t au = lookup(e, derived(a.key[i], "audit"),
                            audit + (size_t)i * AUDIT_DIM, AUDIT_DIM, err);
        if (row < 0 || au < 0)
            st = row < 0 ? row : au;
        else if (!row || !au)
            missing[n_missing++] = i;
    }
    if (st >= 0 && n_missing) {
        note(e, c, tower == MOHS_TOWER_IMAGE ? "attacked images" : "attacked texts",
             a.key[0]);
        st = attack_missing(&a, missing, n_missing, out, audit, err);
    }
    free(missing);
    free(a.key);
    free(a.first);
    free(a.positive);
    return st;
}

/* ---- thumbnails ---- */

static void show_delta(const float *delta, uint32_t pixels, const uint8_t *clean,
                       bool magnified, uint8_t *out)
{
    for (uint32_t i = 0; i < pixels; i++)
        for (uint32_t c = 0; c < 3; c++) {
            float d = delta[(size_t)c * pixels + i] * 255.0f;
            float x = magnified ? 127.5f + DELTA_SCALE * d
                                : (float)clean[3 * (size_t)i + c] + d;
            x = fminf(fmaxf(x + 0.5f, 0), 255);
            out[3 * (size_t)i + c] = (uint8_t)x;
        }
}

bool thumbnail(struct eval *e, const struct eval_cell *c, uint32_t i, bool delta,
               struct str *png)
{
    struct encoder *enc = c->model->encoder;
    const struct preprocess *p = encoder_preprocess(enc);
    size_t bytes = (size_t)p->height * p->width * 3;
    const uint8_t *rgb = NULL;
    uint8_t *owned = NULL, *block = NULL;
    struct corruptor co = { 0 };
    float *d = NULL;
    uint8_t *shown = xmalloc(bytes);
    bool ok = data_pixels(e, c->data, enc, &i, 1, &rgb, &owned, NULL) >= 0;
    if (ok && c->corruption.item && !is_text(&c->corruption))
        ok = corruptor_open(e, &c->corruption, &co, NULL) >= 0 &&
             corrupt(&co, c->data, p, &i, 1, &rgb, &block, NULL) >= 0;
    if (ok)
        memcpy(shown, rgb, bytes);
    if (ok && c->attack.item) {
        struct assault a = { .e = e, .c = c, .tower = MOHS_TOWER_IMAGE };
        a.n = (uint32_t)c->data->set->n_images;
        attack_keys(&a);
        d = xmalloc(bytes * sizeof *d);
        ok = lookup(e, derived(a.key[i], "delta"), d, (uint32_t)bytes, NULL) > 0;
        if (ok)
            show_delta(d, (uint32_t)(bytes / 3), rgb, delta, shown);
        free(a.key);
    } else if (delta) {
        ok = false;
    }
    struct image im = { p->width, p->height, shown };
    ok = ok && image_encode_png(&im, png, NULL) >= 0;
    corruptor_close(&co);
    free(d);
    free(shown);
    free(owned);
    free(block);
    return ok;
}
