/* SPDX-License-Identifier: MIT */
/*
 * A cell's attack on one side of a data set, or on images and their captions
 * together: what it depends on and what it did to each sample.
 */
#include "config.h"

#include "eval/assault.h"

#include <stdlib.h>
#include <string.h>

/* ---- taps ---- */

static const struct mohs_param *param_at(const struct mohs_item *it, uint32_t i)
{
    return (const struct mohs_param *)((const char *)it->params +
                                       (size_t)i * it->param_stride);
}

int32_t attack_int(const struct eval_item *a, const char *name, int32_t def)
{
    const struct mohs_item *it = a->item->item;
    for (uint32_t i = 0; i < it->n_params; i++) {
        const struct mohs_param *p = param_at(it, i);
        if (p->type == MOHS_P_INT && !strcmp(p->name, name))
            memcpy(&def, (const char *)a->params + p->offset, sizeof def);
    }
    return def;
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

static uint32_t flags_of(const struct eval_item *attack)
{
    const struct mohs_attack_ops *ops = attack->item->item->ops;
    return ops->flags;
}

bool attacks_pairs(const struct eval_item *attack)
{
    return flags_of(attack) & MOHS_ATTACK_PAIR;
}

bool attacks_texts(const struct eval_item *attack)
{
    return flags_of(attack) & (MOHS_ATTACK_TEXT | MOHS_ATTACK_PAIR);
}

char *attack_taps(const struct eval_item *attack, uint32_t tower)
{
    const char *tap = item_param_string(attack->item, attack->params, "tap");
    if (tap)
        return taps_of(tap, tower);
    // texts are replaced, perhaps by what the gradient at tokens says
    if (attacks_texts(attack) && tower == MOHS_TOWER_TEXT)
        return xstrdup("text.token");
    if (flags_of(attack) & MOHS_ATTACK_TEXT)
        return xstrdup("");
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
mohs_status attack_side_params(const struct eval_item *a, uint32_t tower,
                               void **out, struct mohs_error *err)
{
    const struct mohs_item *it = a->item->item;
    void *p = item_params_new(a->item);
    mohs_status st = MOHS_OK;
    for (uint32_t i = 0; i < it->n_params && st >= 0; i++) {
        const struct mohs_param *d = param_at(it, i);
        const char *from = (const char *)a->params + d->offset;
        if (param_is_string(d)) {
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

struct hash128 attack_derived(struct hash128 k, const char *what)
{
    struct hasher *h = hasher_new();
    hasher_u64(h, k.hi);
    hasher_u64(h, k.lo);
    hasher_str(h, what);
    return hasher_end(h);
}

void attack_keys(struct assault *a)
{
    const struct dataset *d = a->c->data->set;
    struct hash128 m = encoder_text_hash(a->c->model->encoder);
    struct hash128 p =
        preprocess_hash(encoder_preprocess(a->c->model->encoder));
    struct hasher *h = hasher_new();
    hasher_str(h, "attack/3");
    hasher_u64(h, m.hi);
    hasher_u64(h, m.lo);
    hasher_u64(h, p.hi);
    hasher_u64(h, p.lo);
    hasher_u64(h, d->hash.hi);
    hasher_u64(h, d->hash.lo);
    hasher_u64(h, a->tower);
    hasher_u64(h, a->e->o.seed);
    item_hash(h, &a->c->attack);
    attack_others_hash(h, a->c);
    // the candidates of the image side are the texts, and the other way round
    for (size_t i = 0; i < d->n_images; i++) {
        hasher_u64(h, a->c->data->content[i].hi);
        hasher_u64(h, a->c->data->content[i].lo);
    }
    if (a->c->prompts) {
        struct hash128 t = class_texts_of(a->c)->hash;
        hasher_u64(h, t.hi);
        hasher_u64(h, t.lo);
    }
    struct hash128 base = hasher_end(h);
    a->key = xcalloc(a->n, sizeof *a->key);
    for (uint32_t i = 0; i < a->n; i++) {
        char index[16];
        snprintf(index, sizeof index, "%u", i);
        a->key[i] = attack_derived(base, index);
    }
}

/* The prompts of each image's class. */
static void find_class(struct assault *a)
{
    uint32_t p0, p1;
    for (uint32_t i = 0; i < a->n; i++) {
        cell_class_of(a->c, i, &p0, &p1);
        a->first[i + 1] = a->first[i] + p1 - p0;
    }
    a->positive = xcalloc(a->first[a->n], sizeof *a->positive);
    for (uint32_t i = 0; i < a->n; i++) {
        cell_class_of(a->c, i, &p0, &p1);
        for (uint32_t p = p0; p < p1; p++)
            a->positive[a->first[i] + p - p0] = p;
    }
}

static void find_positives(struct assault *a)
{
    const struct dataset *d = a->c->data->set;
    a->first = xcalloc(a->n + 1, sizeof *a->first);
    if (a->c->prompts) {
        find_class(a);
        return;
    }
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

/* ---- what is kept of a sample ---- */

/* The choice parameter `name` as text, or NULL. */
static const char *choice_param(const struct eval_item *a, const char *name)
{
    const struct mohs_item *it = a->item->item;
    for (uint32_t i = 0; i < it->n_params; i++) {
        const struct mohs_param *p = param_at(it, i);
        int32_t x;
        if (p->type == MOHS_P_CHOICE && !strcmp(p->name, name)) {
            memcpy(&x, (const char *)a->params + p->offset, sizeof x);
            return p->choices[x];
        }
    }
    return NULL;
}

const char *attack_budget(const struct eval_item *attack, int32_t *most)
{
    static const char *const units[][2] = { { "words", "max_words" },
                                            { "tokens", "max_tokens" },
                                            { "chars", "max_chars" } };
    const char *unit = choice_param(attack, "unit");
    if (!attacks_texts(attack))
        return NULL;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        bool any = unit && !strcmp(unit, units[i][0]);
        *most = attack_int(attack, any ? "max_edits" : units[i][1], -1);
        if (*most >= 0)
            return units[i][0];
    }
    return NULL;
}

bool attack_needs_gradient(const struct eval_item *attack, uint32_t tower)
{
    int32_t most;
    const char *unit = attack_budget(attack, &most);
    if (!(flags_of(attack) & MOHS_ATTACK_GRADIENT))
        return false;
    // of words and characters a joint attack asks the outputs only
    return !attacks_pairs(attack) || tower == MOHS_TOWER_IMAGE ||
           (unit && !strcmp(unit, "tokens"));
}

static bool over_budget(const struct eval_item *attack, const struct victim_audit *u)
{
    int32_t most;
    const char *unit = attack_budget(attack, &most);
    uint64_t made = !unit                      ? 0
                    : !strcmp(unit, "words")   ? u->words
                    : !strcmp(unit, "tokens") ? u->tokens
                                               : u->chars;
    return unit && made > (uint64_t)most;
}

static void audit_row(const struct assault *a, const struct victim_audit *u,
                      struct guard_count took, const char *text, float *au)
{
    au[AUDIT_LINF] = (float)u->linf;
    au[AUDIT_L2] = (float)u->l2;
    au[AUDIT_REL_L2] = (float)u->rel_l2;
    au[AUDIT_RANGE] = (float)u->out_of_range;
    au[AUDIT_PADDING] = (float)u->on_padding;
    au[AUDIT_BAD] = (float)u->non_finite;
    au[AUDIT_WORDS] = (float)u->words;
    au[AUDIT_CHARS] = (float)u->chars;
    au[AUDIT_TOKENS] = (float)u->tokens;
    au[AUDIT_OVER] = over_budget(&a->c->attack, u);
    au[AUDIT_BYTES] = text ? (float)strlen(text) : 0;
    au[AUDIT_FORWARD] = (float)took.forward;
    au[AUDIT_BACKWARD] = (float)took.backward;
    au[AUDIT_CUT] = took.cut;
}

/* A text as a row of the cache, one number a byte. */
static mohs_status keep_text(const struct assault *a, uint32_t k, const char *text,
                             struct mohs_error *err)
{
    size_t n = strlen(text);
    if (!n)
        return MOHS_OK;
    float *row = try_calloc(n, sizeof *row, "a text", err);
    if (!row)
        return MOHS_E_NOMEM;
    for (size_t i = 0; i < n; i++)
        row[i] = (uint8_t)text[i];
    mohs_status st = row_keep(a->e, attack_derived(a->key[k], "text"), row, (uint32_t)n,
                              err);
    free(row);
    return st;
}

char *attack_text(const struct assault *a, uint32_t k, const float *audit)
{
    enum { MOST = 1 << 20 };
    float bytes = audit[AUDIT_BYTES];
    uint32_t n = bytes > 0 && bytes <= MOST ? (uint32_t)bytes : 0;
    float *row = xcalloc(n + 1, sizeof *row);
    char *text = xcalloc(n + 1, 1);
    if (n && row_lookup(a->e, attack_derived(a->key[k], "text"), row, n, NULL) > 0)
        for (uint32_t i = 0; i < n; i++)
            text[i] = (char)(uint8_t)row[i];
    free(row);
    return text;
}

/* took: whose passes count. */
static mohs_status keep_attacked(struct assault *a, const struct chunk *ch,
                                 const struct guard *took, const uint32_t *sample,
                                 struct mohs_error *err)
{
    struct mohs_victim *v = ch->v;
    float *rows =
        try_calloc((size_t)v->n * a->dim, sizeof *rows, "embeddings", err);
    bool texts = a->tower == MOHS_TOWER_TEXT && attacks_texts(&a->c->attack);
    const struct mohs_site *px = NULL, *s;
    for (size_t i = 0; (s = victim_site(v, i)); i++)
        if (!strcmp(s->tap, "pixels"))
            px = s;
    mohs_status st = rows ? victim_embed(v, rows, err) : MOHS_E_NOMEM;
    for (uint32_t i = 0; i < v->n && st >= 0; i++) {
        struct victim_audit u;
        uint32_t k = sample[i];
        const char *text = texts ? victim_text(v, i) : NULL;
        float *au = a->audit + (size_t)k * AUDIT_DIM;
        victim_audit(v, i, &u);
        audit_row(a, &u, guard_count(took, i), text, au);
        memcpy(a->out + (size_t)k * a->dim, rows + (size_t)i * a->dim,
               a->dim * sizeof *a->out);
        if (px && k < a->e->o.thumbnails)
            st = row_keep(a->e, attack_derived(a->key[k], "delta"),
                          px->delta + (size_t)i * 3 * px->width, 3 * px->width,
                          err);
        if (st >= 0 && text)
            st = keep_text(a, k, text, err);
        if (st >= 0)
            st = row_keep(a->e, attack_derived(a->key[k], "audit"), au,
                          AUDIT_DIM, err);
        if (st >= 0)
            st = row_keep(a->e, a->key[k], rows + (size_t)i * a->dim, a->dim,
                          err);
    }
    free(rows);
    return st;
}

/* ---- some samples at once ---- */

void chunk_close(struct chunk *ch, bool done)
{
    guard_free(ch->guard);
    state_close(ch->state, done);
    victim_free(ch->v);
    free(ch->clean);
    free(ch->rgb);
    free(ch->text);
    free(ch->key);
    free(ch->first);
    free(ch->positive);
    free(ch->owned);
}

void chunk_prepare(const struct assault *a, const uint32_t *sample, uint32_t n,
                          struct chunk *ch)
{
    const struct dataset *d = a->c->data->set;
    bool images = a->tower == MOHS_TOWER_IMAGE;
    ch->rgb = xcalloc(n, sizeof *ch->rgb);
    ch->text = xcalloc(n, sizeof *ch->text);
    ch->key = xcalloc(n, sizeof *ch->key);
    ch->first = xcalloc((size_t)n + 1, sizeof *ch->first);
    ch->positive = xcalloc(a->first[a->n] + 1, sizeof *ch->positive);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t k = sample[i], m = a->first[k + 1] - a->first[k];
        ch->text[i] = images ? NULL : d->text[k].text;
        ch->key[i] = images ? d->image[k].key : d->text[k].key;
        memcpy(ch->positive + ch->first[i], a->positive + a->first[k],
               m * sizeof *ch->positive);
        ch->first[i + 1] = ch->first[i] + m;
    }
}

/* The file in which a killed attack on these samples left its state; NULL. */
static struct state *chunk_state(const struct assault *a, const uint32_t *sample,
                                 uint32_t n)
{
    struct compute *dev;
    char hex[33];
    if (!a->e->cache || registry_compute(a->e->registry, &dev, NULL) < 0)
        return NULL;
    struct hasher *h = hasher_new();
    hasher_str(h, PACKAGE_VERSION);
    hasher_str(h, a->c->attack.item->hash);
    hasher_str(h, compute_fingerprint(dev));
    for (uint32_t i = 0; i < n; i++) {
        hasher_u64(h, a->key[sample[i]].hi);
        hasher_u64(h, a->key[sample[i]].lo);
    }
    struct hash128 tag = hasher_end(h);
    char *dir = path_join(a->e->o.cache, "attacks");
    hash_hex(tag, hex);
    char *path = xasprintf("%s/%s.state", dir, hex);
    struct state *s = dir_make(dir, NULL) >= 0 ? state_open(path, tag) : NULL;
    free(dir);
    free(path);
    return s;
}

static mohs_status chunk_guard(const struct assault *a, struct chunk *ch,
                               const float *candidate, struct guard *captions,
                               struct mohs_error *err)
{
    const struct mohs_model_info *info = encoder_info(a->c->model->encoder);
    struct guard_options o = { .candidate = candidate,
                               .scale = info->logit_scale,
                               .bias = info->logit_bias,
                               .budget = a->c->attack.budget,
                               .state = ch->state,
                               .also = captions };
    o.budget.max_seconds *= (double)ch->v->n / a->n;
    RET_IF_ERR(guard_new(ch->v, &o, &ch->guard, err));
    if (guard_resumed(ch->guard))
        log_info("%s: goes on where it was; %llu passes of samples to repeat",
                 a->c->attack.item->item->id,
                 (unsigned long long)guard_repeated(ch->guard));
    return MOHS_OK;
}

mohs_status chunk_open(const struct assault *a, const uint32_t *sample,
                              uint32_t n, const struct mohs_victim_pair *pair,
                              struct guard *captions, struct chunk *ch,
                              struct mohs_error *err)
{
    const struct dataset *d = a->c->data->set;
    bool images = a->tower == MOHS_TOWER_IMAGE;
    const float *own = images ? a->image : a->text;
    ch->clean = try_calloc(n, a->dim * sizeof *ch->clean, "embeddings", err);
    if (!ch->clean)
        return MOHS_E_NOMEM;
    for (uint32_t i = 0; i < n; i++)
        memcpy(ch->clean + (size_t)i * a->dim, own + (size_t)sample[i] * a->dim,
               a->dim * sizeof *own);
    if (images)
        RET_IF_ERR(data_pixels(a->e, a->c->data, a->c->model->encoder, sample,
                               n, ch->rgb, &ch->owned, err));
    struct victim_options o = {
        .encoder = a->c->model->encoder,
        .tower = a->tower,
        .n = n,
        .rgb = images ? ch->rgb : NULL,
        .text = images ? NULL : ch->text,
        .key = ch->key,
        .clean = ch->clean,
        .candidate = images ? a->text : a->image,
        .n_candidates =
            (uint32_t)(images ? cell_candidates(a->c) : d->n_images),
        .positive_first = ch->first,
        .positive = ch->positive,
        .pair = pair,
        .attack = a->c->attack.item->item->id,
    };
    RET_IF_ERR(victim_new(&o, &ch->v, err));
    return chunk_guard(a, ch, o.candidate, captions, err);
}

/* Images, or texts, and where the attack takes pairs their captions. */
struct scene {
    struct chunk own, captions;
    struct mohs_victim_pair pair;
};

static mohs_status scene_open(const struct assault *a, const uint32_t *sample, uint32_t n,
                              struct scene *s, struct mohs_error *err)
{
    struct chunk *ch = &s->own, *cap = &s->captions;
    chunk_prepare(a, sample, n, ch);
    if (!a->captions)
        return chunk_open(a, sample, n, NULL, NULL, ch, err);
    // the positives of these images, one after the other
    chunk_prepare(a->captions, ch->positive, ch->first[n], cap);
    RET_IF_ERR(chunk_open(a->captions, ch->positive, ch->first[n], NULL, NULL, cap, err));
    s->pair = (struct mohs_victim_pair) { sizeof s->pair, guard_victim(cap->guard),
                                          ch->first };
    return chunk_open(a, sample, n, &s->pair, cap->guard, ch, err);
}

static void scene_close(struct scene *s, bool done)
{
    chunk_close(&s->own, done);
    chunk_close(&s->captions, true);
}

/* What the attack did before its surrogate, done to the model. */
static mohs_status scene_transfer(const struct assault *a, struct scene *from,
                                  struct scene *to, struct mohs_error *err)
{
    const struct encoder *one = a->surrogate->c->model->encoder;
    const struct encoder *two = a->c->model->encoder;
    bool texts = attacks_texts(&a->c->attack);
    RET_IF_ERR(victim_transfer(one, from->own.v, two, to->own.v,
                               texts && a->tower == MOHS_TOWER_TEXT, err));
    if (!a->captions)
        return MOHS_OK;
    return victim_transfer(one, from->captions.v, two, to->captions.v, true, err);
}

static mohs_status attack_chunk(struct assault *a, const uint32_t *sample,
                                uint32_t n, struct mohs_error *err)
{
    struct scene own = { .pair = { 0 } }, other = own, *seen = &own;
    const struct assault *sees = a->surrogate ? a->surrogate : a;
    const char *id = a->c->attack.item->item->id;
    mohs_status st;
    if (a->surrogate)
        seen = &other;
    seen->own.state = chunk_state(a, sample, n);
    OUT_IF_ERR(scene_open(sees, sample, n, seen, err));
    st = a->ops->run(a->self, guard_victim(seen->own.guard), op_seed(a->e->o.seed, id, 0),
                     err);
    scratch_reset();
    if (st >= 0 && a->surrogate) {
        OUT_IF_ERR(scene_open(a, sample, n, &own, err));
        st = scene_transfer(a, &other, &own, err);
    }
    if (st >= 0)
        st = keep_attacked(a, &own.own, seen->own.guard, sample, err);
    if (st >= 0 && a->captions)
        st = keep_attacked(a->captions, &own.captions, seen->captions.guard,
                           own.own.positive, err);
    if (st >= 0 && a->e->cache)
        st = cache_flush(a->e->cache, err);
    if (seen->own.state)
        log_debug("%s: state kept in %.3f s", id, state_cost_s(seen->own.state));
out:
    scene_close(&other, st >= 0);
    scene_close(&own, st >= 0);
    return st;
}

/* Chunks are always the same samples, so that a state finds its own again. */
static mohs_status attack_missing(struct assault *a, const bool *missing,
                                  struct mohs_error *err)
{
    mohs_status st = attack_side_params(&a->c->attack, a->tower, &a->params, err);
    if (st < 0)
        return st;
    a->ops = a->c->attack.item->item->ops;
    st =
        a->ops->create(registry_host(a->e->registry), a->params, &a->self, err);
    scratch_reset();
    if (st >= 0)
        st = assault_fit(a, err);
    for (uint32_t i = 0; i < a->n && st >= 0; i += ATTACK_CHUNK) {
        uint32_t sample[ATTACK_CHUNK], m = 0;
        bool whole = true;
        for (; m < ATTACK_CHUNK && i + m < a->n; m++) {
            sample[m] = i + m;
            whole &= !missing[i + m];
        }
        if (!whole)
            st = attack_chunk(a, sample, m, err);
        progress_note("attacked %u/%u", i + m, a->n);
    }
    if (a->self)
        a->ops->destroy(a->self);
    item_params_free(a->c->attack.item, a->params);
    return st;
}

/* ---- all samples ---- */

void assault_init(struct assault *a, struct eval *e, const struct eval_cell *c,
                         uint32_t tower, const struct attack_rows *r)
{
    const struct dataset *d = c->data->set;
    bool images = tower == MOHS_TOWER_IMAGE;
    *a = (struct assault) {
        .e = e,
        .c = c,
        .tower = tower,
        .n = (uint32_t)(images ? d->n_images : d->n_texts),
        .dim = encoder_info(c->model->encoder)->embed_dim,
        .image = r->clean_image,
        .text = r->clean_text,
        .out = images ? r->image : r->text,
        .audit = images ? r->image_audit : r->text_audit,
    };
    attack_keys(a);
    find_positives(a);
}

void assault_free(struct assault *a)
{
    free(a->key);
    free(a->first);
    free(a->positive);
}

/* 1 when sample i is in the cache, 0 when not. */
static int32_t look_up(const struct assault *a, uint32_t i, struct mohs_error *err)
{
    int32_t row = row_lookup(a->e, a->key[i], a->out + (size_t)i * a->dim, a->dim, err);
    int32_t au = row_lookup(a->e, attack_derived(a->key[i], "audit"),
                            a->audit + (size_t)i * AUDIT_DIM, AUDIT_DIM, err);
    return row < 0 ? row : au < 0 ? au : row && au;
}

static int32_t look_up_pair(const struct assault *a, uint32_t i, struct mohs_error *err)
{
    int32_t found = look_up(a, i, err);
    for (uint32_t p = a->first[i]; a->captions && p < a->first[i + 1]; p++) {
        int32_t one = look_up(a->captions, a->positive[p], err);
        found = found < 0 ? found : one < 0 ? one : found && one;
    }
    return found;
}

static mohs_status check_captions(const struct assault *a, struct mohs_error *err)
{
    for (uint32_t i = 0; a->captions && i < a->n; i++)
        if (a->first[i] == a->first[i + 1])
            return mohs_fail(err, MOHS_E_ARG, "%s: image %s has no caption",
                             a->c->attack.item->item->id, a->c->data->set->image[i].id);
    return MOHS_OK;
}

/* The attack's samples before another model. */
struct stage {
    struct eval_cell cell;
    struct assault own, captions;
    struct attack_rows rows;
    float *image, *text;
};

static mohs_status stage_open(struct stage *s, struct assault *a, struct mohs_error *err)
{
    const struct dataset *d = a->c->data->set;
    s->cell = *a->c;
    s->cell.model = a->c->surrogate;
    s->cell.surrogate = NULL;
    uint32_t dim = encoder_info(s->cell.model->encoder)->embed_dim;
    s->image = try_calloc(d->n_images, dim * sizeof *s->image, "embeddings", err);
    if (s->cell.prompts)
        RET_IF_ERR(classes_fill(a->e, &s->cell, err));
    s->text = try_calloc(cell_candidates(&s->cell), dim * sizeof *s->text, "embeddings",
                         err);
    if (!s->image || !s->text)
        return MOHS_E_NOMEM;
    RET_IF_ERR(embed_images(a->e, &s->cell, s->image, err));
    RET_IF_ERR(embed_texts(a->e, &s->cell, s->text, err));
    s->rows = (struct attack_rows) { .clean_image = s->image, .clean_text = s->text };
    assault_init(&s->own, a->e, &s->cell, a->tower, &s->rows);
    a->surrogate = &s->own;
    if (!a->captions)
        return MOHS_OK;
    assault_init(&s->captions, a->e, &s->cell, MOHS_TOWER_TEXT, &s->rows);
    s->own.captions = &s->captions;
    return MOHS_OK;
}

static void stage_close(struct stage *s)
{
    assault_free(&s->own);
    assault_free(&s->captions);
    free(s->image);
    free(s->text);
}

mohs_status embed_attacked(struct eval *e, const struct eval_cell *c,
                           uint32_t tower, const struct attack_rows *r,
                           struct mohs_error *err)
{
    struct assault a, captions = { .e = NULL };
    RET_IF_ERR(data_content(e, c->data, err));
    assault_init(&a, e, c, tower, r);
    if (attacks_pairs(&c->attack)) {
        assault_init(&captions, e, c, MOHS_TOWER_TEXT, r);
        a.captions = &captions;
    }
    bool *missing = xcalloc(a.n, sizeof *missing), any = false;
    mohs_status st = check_captions(&a, err);
    for (uint32_t i = 0; i < a.n && st >= 0; i++) {
        st = look_up_pair(&a, i, err);
        if (!st)
            any = missing[i] = true;
    }
    if (st >= 0 && any) {
        rows_note(e, c,
                  a.captions                   ? "attacked pairs"
                  : tower == MOHS_TOWER_IMAGE ? "attacked images"
                                              : "attacked texts",
                  a.key[0]);
        struct stage stage = { .image = NULL };
        if (c->surrogate)
            st = stage_open(&stage, &a, err);
        if (st >= 0)
            st = attack_missing(&a, missing, err);
        stage_close(&stage);
    }
    free(missing);
    assault_free(&a);
    assault_free(&captions);
    return st < 0 ? st : MOHS_OK;
}
