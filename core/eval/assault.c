/* SPDX-License-Identifier: MIT */
/*
 * A cell's attack on one side of a data set: what it depends on, what it did
 * to each sample, and the pictures that show it.
 */
#include "config.h"

#include "eval/session.h"
#include "eval/victim.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { DELTA_SCALE = 16 }; /* how much a shown perturbation is grown */

/* ---- taps ---- */

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
            char *mine =
                strcmp(d->name, "tap") ? xstrdup(s) : taps_of(s, tower);
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

/* ---- samples ---- */

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
    struct hash128 p =
        preprocess_hash(encoder_preprocess(a->c->model->encoder));
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
                                 const uint32_t *sample, float *out,
                                 float *audit, struct mohs_error *err)
{
    float *rows =
        try_calloc((size_t)v->n * a->dim, sizeof *rows, "embeddings", err);
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
            st = row_keep(a->e, derived(a->key[k], "delta"),
                          px->delta + (size_t)i * 3 * px->width, 3 * px->width,
                          err);
        if (st >= 0)
            st =
                row_keep(a->e, derived(a->key[k], "audit"), au, AUDIT_DIM, err);
        if (st >= 0)
            st = row_keep(a->e, a->key[k], rows + (size_t)i * a->dim, a->dim,
                          err);
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
        memcpy(positive + first[i], a->positive + a->first[k],
               m * sizeof *positive);
        first[i + 1] = first[i] + m;
    }
    if (images)
        OUT_IF_ERR(data_pixels(a->e, a->c->data, a->c->model->encoder, sample,
                               n, rgb, &owned, err));
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
    st = a->ops->run(
        a->self, v, op_seed(a->e->o.seed, a->c->attack.item->item->id, 0), err);
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
    st =
        a->ops->create(registry_host(a->e->registry), a->params, &a->self, err);
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
                           uint32_t tower, const float *image,
                           const float *text, float *out, float *audit,
                           struct mohs_error *err)
{
    const struct dataset *d = c->data->set;
    struct assault a = { .e = e,
                         .c = c,
                         .tower = tower,
                         .image = image,
                         .text = text,
                         .dim = encoder_info(c->model->encoder)->embed_dim };
    a.n = (uint32_t)(tower == MOHS_TOWER_IMAGE ? d->n_images : d->n_texts);
    RET_IF_ERR(data_content(e, c->data, err));
    attack_keys(&a);
    find_positives(&a);
    uint32_t *missing = xcalloc(a.n, sizeof *missing), n_missing = 0;
    mohs_status st = MOHS_OK;
    for (uint32_t i = 0; i < a.n && st >= 0; i++) {
        int32_t row =
            row_lookup(e, a.key[i], out + (size_t)i * a.dim, a.dim, err);
        int32_t au = row_lookup(e, derived(a.key[i], "audit"),
                                audit + (size_t)i * AUDIT_DIM, AUDIT_DIM, err);
        if (row < 0 || au < 0)
            st = row < 0 ? row : au;
        else if (!row || !au)
            missing[n_missing++] = i;
    }
    if (st >= 0 && n_missing) {
        rows_note(e, c,
                  tower == MOHS_TOWER_IMAGE ? "attacked images"
                                            : "attacked texts",
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

static void show_delta(const float *delta, uint32_t pixels,
                       const uint8_t *clean, bool magnified, uint8_t *out)
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

bool thumbnail(struct eval *e, const struct eval_cell *c, uint32_t i,
               bool delta, struct str *png)
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
    if (ok && c->corruption.item && !corrupts_text(&c->corruption))
        ok = corruptor_open(e, &c->corruption, &co, NULL) >= 0 &&
             corruptor_apply(&co, c->data, p, &i, 1, &rgb, &block, NULL) >= 0;
    if (ok)
        memcpy(shown, rgb, bytes);
    if (ok && c->attack.item) {
        struct assault a = { .e = e, .c = c, .tower = MOHS_TOWER_IMAGE };
        a.n = (uint32_t)c->data->set->n_images;
        attack_keys(&a);
        d = xmalloc(bytes * sizeof *d);
        ok = row_lookup(e, derived(a.key[i], "delta"), d, (uint32_t)bytes,
                        NULL) > 0;
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
