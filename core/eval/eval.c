/* SPDX-License-Identifier: MIT */
/* The session: what a recipe makes, its cells, and running them once each. */
#include "config.h"

#include "eval/eval.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "eval/session.h"
#include "eval/victim.h"

mohs_status eval_open(struct registry *r, const struct eval_options *o,
                      struct eval **out, struct mohs_error *err)
{
    struct eval *e = xcalloc(1, sizeof *e);
    mohs_status st;
    e->registry = r;
    e->o = *o;
    e->arena = arena_new();
    if (!e->o.memory_bytes)
        e->o.memory_bytes = (uint64_t)1 << 30;
    if (!e->o.n_shards)
        e->o.n_shards = 1;
    if (e->o.shard >= e->o.n_shards) {
        st = mohs_fail(err, MOHS_E_ARG, "shard %u of %u", e->o.shard, e->o.n_shards);
        goto out;
    }
    e->results_path = xstrdup(o->results);
    e->pool = pool_new(o->workers);
    if (o->cache)
        OUT_IF_ERR(cache_open(o->cache, &e->cache, err));
    *out = e;
    return MOHS_OK;
out:
    eval_close(e);
    return st;
}

static void data_free(struct eval_data *d)
{
    if (d->pixels)
        free(d->pixels[0]);
    free(d->pixels);
    free(d->content);
    free(d->label);
    dataset_free(d->set);
    free(d);
}

static void item_drop(struct eval_item *i)
{
    if (i->item && i->params)
        item_params_free(i->item, i->params);
    i->params = NULL;
}

void eval_close(struct eval *e)
{
    if (!e)
        return;
    for (size_t i = 0; i < e->n_cells; i++) {
        struct cell *c = &e->cell[i];
        item_drop(&c->spec.corruption);
        item_drop(&c->spec.attack);
        item_drop(&c->spec.metric);
        free(c->corruption_params);
        free(c->attack_params);
        free(c->metric_params);
    }
    free(e->cell);
    for (struct eval_model *m = e->models, *next; m; m = next) {
        next = m->next;
        encoder_close(m->encoder);
        free(m->label);
        free(m);
    }
    for (struct eval_prompts *p = e->prompts, *next; p; p = next) {
        next = p->next;
        eval_prompts_free(p);
    }
    for (struct eval_data *d = e->data, *next; d; d = next) {
        next = d->next;
        data_free(d);
    }
    results_close(e->results);
    cache_close(e->cache);
    pool_free(e->pool);
    arena_free(e->arena);
    free(e->results_path);
    free(e);
}

mohs_status eval_add_model(struct eval *e, const char *id, const char *path,
                           const char *label, const char *const *settings,
                           struct eval_model **out, struct mohs_error *err)
{
    struct encoder *enc;
    RET_IF_ERR(encoder_open_with(e->registry, id, path, settings, &enc, err));
    encoder_limits(enc, e->o.memory_bytes, e->o.micro_batch);
    struct eval_model *m = xcalloc(1, sizeof *m);
    m->encoder = enc;
    m->label = label ? xstrdup(label) : path_stem(path);
    m->next = e->models;
    e->models = m;
    *out = m;
    return MOHS_OK;
}

struct eval_data *eval_add_data(struct eval *e, struct dataset *d,
                                const char *label)
{
    struct eval_data *x = xcalloc(1, sizeof *x);
    x->set = d;
    x->label = xstrdup(label ? label : d->name);
    x->next = e->data;
    e->data = x;
    return x;
}

struct encoder *eval_model_encoder(struct eval_model *m)
{
    return m->encoder;
}

const char *eval_model_label(const struct eval_model *m)
{
    return m->label;
}

const struct dataset *eval_data_set(const struct eval_data *d)
{
    return d->set;
}

const char *eval_data_label(const struct eval_data *d)
{
    return d->label;
}

const char *eval_results_path(const struct eval *e)
{
    return e->results_path;
}

/* ---- cells ---- */

uint32_t cell_dim(const struct eval_cell *c)
{
    const struct data_embeddings *given = c->data->set->embeddings;
    return given ? given->dim : encoder_info(c->model->encoder)->embed_dim;
}

struct hash128 eval_cell_hash(const struct eval *e, const struct eval_cell *c)
{
    const struct data_embeddings *given = c->data->set->embeddings;
    struct hasher *h = hasher_new();
    struct hash128 m = given ? given->hash : encoder_text_hash(c->model->encoder);
    struct hash128 p = { 0 };
    if (!given)
        p = preprocess_hash(encoder_preprocess(c->model->encoder));
    hasher_str(h, "cell/1");
    hasher_u64(h, m.hi);
    hasher_u64(h, m.lo);
    hasher_u64(h, p.hi);
    hasher_u64(h, p.lo);
    hasher_u64(h, c->data->set->hash.hi);
    hasher_u64(h, c->data->set->hash.lo);
    item_hash(h, &c->corruption);
    item_hash(h, &c->attack);
    attack_others_hash(h, c);
    if (c->surrogate)
        hasher_str(h, c->surrogate->label);
    item_hash(h, &c->metric);
    hasher_u64(h, e->o.seed);
    hasher_u64(h, e->o.bootstrap);
    hasher_str(h, c->model->label);
    hasher_str(h, c->data->label);
    if (c->prompts) {
        struct hash128 t = class_texts_of(c)->hash;
        hasher_u64(h, t.hi);
        hasher_u64(h, t.lo);
        hasher_str(h, prompts_name(c->prompts->prompts));
    }
    for (size_t i = 0; i < c->n_extra; i++) {
        hasher_str(h, c->extra[i].key);
        hasher_str(h, c->extra[i].value);
    }
    return hasher_end(h);
}

static char *params_of(const struct eval_item *i, bool all)
{
    struct str s = { 0 };
    str_add(&s, "");
    if (i->item)
        item_params_text(i->item, i->params, all, &s);
    budget_text(&i->budget, &s);
    return s.s;
}

/* Pixels and texts can be handed over; pixels where both models see the same
 * part of a picture. */
static mohs_status check_surrogate(const struct eval_cell *c, struct mohs_error *err)
{
    const char *id = c->attack.item->item->id;
    const struct preprocess *one = encoder_preprocess(c->surrogate->encoder);
    const struct preprocess *two = encoder_preprocess(c->model->encoder);
    uint32_t towers = attack_towers(&c->attack);
    for (uint32_t t = MOHS_TOWER_IMAGE; t <= MOHS_TOWER_TEXT; t++) {
        char *taps = attack_taps(&c->attack, t);
        bool fine = !*taps || !strcmp(taps, "pixels") ||
                    (t == MOHS_TOWER_TEXT && attacks_texts(&c->attack));
        mohs_status st = fine ? MOHS_OK
                              : mohs_fail(err, MOHS_E_UNSUPPORTED,
                                          "%s: tap %s of surrogate %s is nothing to %s: only "
                                          "pixels and texts are handed over", id, taps,
                                          c->surrogate->label, c->model->label);
        free(taps);
        RET_IF_ERR(st);
    }
    if ((towers & MOHS_TOWER_IMAGE) && geometry_of(one, two) == GEOMETRY_OTHER)
        return mohs_fail(err, MOHS_E_UNSUPPORTED,
                         "%s: surrogate %s (%s %ux%u) sees another part of a picture than %s "
                         "(%s %ux%u)", id, c->surrogate->label, one->profile, one->width,
                         one->height, c->model->label, two->profile, two->width, two->height);
    return MOHS_OK;
}

/* What zero-shot classification needs. */
static mohs_status check_classes(struct eval *e, const struct eval_cell *c,
                                 struct mohs_error *err)
{
    const struct dataset *d = c->data->set;
    RET_IF_ERR(classes_fill(e, c, err));
    size_t n = class_texts_of(c)->n_classes;
    if (c->attack.item && attack_towers(&c->attack) & MOHS_TOWER_TEXT)
        return mohs_fail(err, MOHS_E_UNSUPPORTED,
                         "%s: changes texts; with class prompts only images are attacked",
                         c->attack.item->item->id);
    for (size_t i = 0; i < d->n_images; i++) {
        uint32_t label = d->image[i].label;
        if (label == UINT32_MAX ? c->attack.item != NULL : label >= n)
            return mohs_fail(err, MOHS_E_ARG, "%s: image %s is of no class",
                             c->data->label, d->image[i].id);
    }
    return MOHS_OK;
}

/* What can be scored without a model. */
static mohs_status check_embedded(struct eval *e, const struct eval_cell *c,
                                  struct mohs_error *err)
{
    const char *what = c->model             ? "model"
                       : c->prompts         ? "prompts"
                       : c->corruption.item ? "corruption"
                       : c->attack.item     ? "attack"
                                            : NULL;
    if (!c->metric.item)
        return mohs_fail(err, MOHS_E_ARG, "cell: no metric");
    return what ? mohs_fail(err, MOHS_E_ARG, "%s: embeddings, which take no %s",
                            c->data->label, what)
                : check_pairs(e, c, err);
}

/* Stands for the model that data's embeddings are of. */
static struct eval_model *absent_model(struct eval *e, const char *label)
{
    struct eval_model *m = e->models;
    while (m && (m->encoder || strcmp(m->label, label)))
        m = m->next;
    if (m)
        return m;
    m = xcalloc(1, sizeof *m);
    m->label = xstrdup(label);
    m->next = e->models;
    e->models = m;
    return m;
}

static mohs_status check_cell(struct eval *e, const struct eval_cell *c,
                              struct mohs_error *err)
{
    if (!c->model)
        return mohs_fail(err, MOHS_E_ARG, "cell: no model");
    const struct mohs_model_info *info = encoder_info(c->model->encoder);
    const struct dataset *d = c->data->set;
    const struct mohs_corruption_ops *ops =
        c->corruption.item ? c->corruption.item->item->ops : NULL;
    if (!c->metric.item)
        return mohs_fail(err, MOHS_E_ARG, "cell: no metric");
    bool outputs = c->prompts && c->prompts == e->outputs;
    if (encoder_is_classifier(c->model->encoder) && !outputs)
        return mohs_fail(err, MOHS_E_ARG, "%s: a classifier, which %s", c->model->label,
                         c->prompts ? "takes no prompts" : "needs data with classes");
    if (info->towers != (MOHS_TOWER_IMAGE | MOHS_TOWER_TEXT) && !outputs)
        return mohs_fail(err, MOHS_E_UNSUPPORTED, "%s: needs an image and a text tower",
                         c->model->label);
    if (!d->n_images || (!d->n_texts && !c->prompts))
        return mohs_fail(err, MOHS_E_ARG, "%s: %zu images and %zu texts%s",
                         c->data->label, d->n_images, d->n_texts,
                         d->n_classes ? "; class folders need prompts" : "");
    if (ops && (c->corruption.severity < 1 || c->corruption.severity > 5))
        return mohs_fail(err, MOHS_E_ARG, "%s: severity %u is outside 1..5",
                         c->corruption.item->item->id, c->corruption.severity);
    if (ops && (ops->flags & MOHS_CORRUPTION_DEPTH) && !d->image[0].depth_path)
        return mohs_fail(err, MOHS_E_ARG, "%s: data set %s has no depth maps",
                         c->corruption.item->item->id, c->data->label);
    if ((c->surrogate || c->fit) && !c->attack.item)
        return mohs_fail(err, MOHS_E_ARG, "cell: %s without attack",
                         c->surrogate ? "surrogate" : "fit");
    if (c->surrogate)
        RET_IF_ERR(check_surrogate(c, err));
    if (ops && c->attack.item)
        return mohs_fail(err, MOHS_E_UNSUPPORTED,
                         "cell: %s and %s in one cell; attacks take clean pictures",
                         c->corruption.item->item->id, c->attack.item->item->id);
    if (c->corruption.item && d->corruption)
        return mohs_fail(err, MOHS_E_UNSUPPORTED,
                         "%s: data set %s is corrupted already, by %s",
                         c->corruption.item->item->id, c->data->label, d->corruption);
    RET_IF_ERR(check_pairs(e, c, err));
    return c->prompts ? check_classes(e, c, err) : MOHS_OK;
}

static struct result_pair *copy_pairs(struct arena *a, const struct result_pair *p,
                                      size_t n)
{
    struct result_pair *out = arena_alloc(a, n * sizeof *out);
    for (size_t i = 0; i < n; i++) {
        out[i].key = arena_strdup(a, p[i].key);
        out[i].value = arena_strdup(a, p[i].value);
    }
    return out;
}

mohs_status eval_add(struct eval *e, const struct eval_cell *spec,
                     struct mohs_error *err)
{
    struct cell c = { .spec = *spec };
    mohs_status st = MOHS_OK;
    const struct data_embeddings *given = spec->data->set->embeddings;
    if (given) {
        st = check_embedded(e, spec, err);
        c.spec.model = absent_model(e, given->model);
    } else {
        if (spec->model && encoder_is_classifier(spec->model->encoder) && !spec->prompts &&
            spec->data->set->n_classes)
            st = class_outputs(e, &c.spec.prompts, err);
        if (st >= 0)
            st = check_cell(e, &c.spec, err);
    }
    if (st >= 0)
        c.hash = eval_cell_hash(e, &c.spec);
    for (size_t i = 0; st >= 0 && i < e->n_cells; i++)
        if (e->cell[i].hash.hi == c.hash.hi && e->cell[i].hash.lo == c.hash.lo)
            st = 1;
    if (st != MOHS_OK) {
        item_drop(&c.spec.corruption);
        item_drop(&c.spec.attack);
        item_drop(&c.spec.metric);
        return st < 0 ? st : MOHS_OK;
    }
    c.spec.extra = copy_pairs(e->arena, spec->extra, spec->n_extra);
    c.corruption_params = params_of(&c.spec.corruption, false);
    c.attack_params = params_of(&c.spec.attack, false);
    c.metric_params = params_of(&c.spec.metric, true);
    if (e->n_cells == e->cap_cells) {
        e->cap_cells = e->cap_cells ? 2 * e->cap_cells : 64;
        e->cell = xrealloc(e->cell, e->cap_cells * sizeof *e->cell);
    }
    e->cell[e->n_cells++] = c;
    return MOHS_OK;
}

size_t eval_count(const struct eval *e)
{
    return e->n_cells;
}

/* ---- storing ---- */

enum { PAIRS_MAX = 64 };

struct pairs {
    struct result_pair v[PAIRS_MAX];
    size_t n;
};

static void pair(struct pairs *p, const char *key, const char *value)
{
    if (p->n < PAIRS_MAX)
        p->v[p->n++] = (struct result_pair) { key, value };
}

static void hex_pair(struct arena *a, struct pairs *p, const char *key,
                     struct hash128 h)
{
    char *s = arena_alloc(a, 33);
    hash_hex(h, s);
    pair(p, key, s);
}

static void item_pairs(struct arena *a, struct pairs *p, const char *kind,
                       const struct eval_item *i)
{
    if (!i->item)
        return;
    struct str s = { 0 };
    str_add(&s, "");
    item_params_text(i->item, i->params, true, &s);
    budget_text(&i->budget, &s);
    pair(p, arena_printf(a, "%s_params", kind), arena_strdup(a, s.s));
    str_free(&s);
    pair(p, arena_printf(a, "%s_plugin", kind),
         arena_printf(a, "%s %s", i->item->plugin->id, i->item->plugin->version));
    pair(p, arena_printf(a, "%s_plugin_hash", kind), i->item->hash);
    struct hash128 files;
    if (item_files_hash(i->item, i->params, &files))
        hex_pair(a, p, arena_printf(a, "%s_files_hash", kind), files);
}

static void axes_of(struct arena *a, const struct cell *c, struct pairs *p)
{
    const struct eval_cell *s = &c->spec;
    pair(p, "model", s->model->label);
    pair(p, "data", s->data->label);
    if (s->corruption.item) {
        pair(p, "corruption", s->corruption.item->item->id);
        pair(p, "severity", arena_printf(a, "%u", s->corruption.severity));
        if (*c->corruption_params)
            pair(p, "corruption_params", c->corruption_params);
    } else if (s->data->set->corruption) {
        pair(p, "corruption", s->data->set->corruption);
        pair(p, "severity", arena_printf(a, "%u", s->data->set->severity));
    }
    if (s->attack.item) {
        pair(p, "attack", s->attack.item->item->id);
        if (*c->attack_params)
            pair(p, "attack_params", c->attack_params);
        if (s->surrogate)
            pair(p, "surrogate", s->surrogate->label);
        if (s->fit)
            pair(p, "fit", s->fit->label);
    }
    if (s->prompts && !encoder_is_classifier(s->model->encoder))
        pair(p, "prompt", prompts_name(s->prompts->prompts));
    pair(p, "metric", s->metric.item->item->id);
    for (size_t i = 0; i < s->n_extra; i++)
        pair(p, s->extra[i].key, s->extra[i].value);
}

static void model_provenance(struct arena *a, const struct eval_cell *s,
                             struct pairs *p)
{
    struct encoder *enc = s->model->encoder;
    if (!enc) {
        pair(p, "embeddings", s->data->set->root);
        hex_pair(a, p, "embeddings_hash", s->data->set->embeddings->hash);
        return;
    }
    const struct preprocess *pre = encoder_preprocess(enc);
    pair(p, "weights", encoder_path(enc));
    hex_pair(a, p, "model_hash", encoder_hash(enc));
    hex_pair(a, p, "tokenizer_hash", encoder_text_hash(enc));
    pair(p, "model_plugin", encoder_item(enc)->plugin->id);
    pair(p, "model_plugin_hash", encoder_item(enc)->hash);
    pair(p, "preprocess", arena_printf(a, "%s %ux%u", pre->profile, pre->width,
                                       pre->height));
    hex_pair(a, p, "preprocess_hash", preprocess_hash(pre));
}

static void attack_provenance(struct arena *a, const struct eval_cell *s,
                              struct pairs *p)
{
    struct result_pair threat[THREAT_MAX];
    if (!s->attack.item)
        return;
    struct encoder *enc = s->model->encoder;
    struct encoder *seen = s->surrogate ? s->surrogate->encoder : enc;
    const struct preprocess *pre = encoder_preprocess(seen);
    size_t n = threat_pairs(a, &s->attack, pre, threat);
    for (size_t i = 0; i < n; i++)
        pair(p, threat[i].key, threat[i].value);
    if (s->surrogate) {
        hex_pair(a, p, "surrogate_hash", encoder_hash(seen));
        hex_pair(a, p, "surrogate_preprocess_hash", preprocess_hash(pre));
        pair(p, "surrogate_pixels",
             geometry_name(geometry_of(pre, encoder_preprocess(enc))));
    }
    if (s->fit)
        hex_pair(a, p, "fit_hash", s->fit->set->hash);
    if (s->attack.budget.max_seconds > 0)
        pair(p, "reproducible", "no: max_seconds depends on the machine");
}

static void provenance_of(const struct eval *e, struct arena *a,
                          const struct cell *c, struct pairs *p)
{
    const struct eval_cell *s = &c->spec;
    struct encoder *enc = s->model->encoder;
    struct compute *dev;
    pair(p, "mohs", PACKAGE_VERSION);
    model_provenance(a, s, p);
    hex_pair(a, p, "data_hash", s->data->set->hash);
    pair(p, "split", s->data->set->split ? s->data->set->split : "");
    pair(p, "images", arena_printf(a, "%zu", s->data->set->n_images));
    pair(p, "texts", arena_printf(a, "%zu", s->data->set->n_texts));
    if (s->prompts) {
        const struct class_texts *t = class_texts_of(s);
        hex_pair(a, p, "prompt_hash", t->hash);
        if (!encoder_is_classifier(enc)) {
            pair(p, "prompt_merge", prompts_merge_name(s->prompts->prompts));
            pair(p, "prompt_text", prompts_text(s->prompts->prompts));
            pair(p, "prompt_example", t->text[0]);
            pair(p, "prompts", arena_printf(a, "%zu", t->n_texts));
        }
        pair(p, "classes", arena_printf(a, "%zu", t->n_classes));
    }
    item_pairs(a, p, "corruption", &s->corruption);
    item_pairs(a, p, "attack", &s->attack);
    item_pairs(a, p, "metric", &s->metric);
    attack_provenance(a, s, p);
    pair(p, "seed", arena_printf(a, "%llu", (unsigned long long)e->o.seed));
    pair(p, "bootstrap", arena_printf(a, "%u", e->o.bootstrap));
    if (registry_compute(e->registry, &dev, NULL) >= 0) {
        pair(p, "device", compute_device(dev)->name);
        pair(p, "device_hash", compute_fingerprint(dev));
    }
}

static void add_thumbnails(struct eval *e, struct arena *a, const struct cell *c,
                           struct result_artefact *out, size_t *n, struct str *png)
{
    const struct dataset *d = c->spec.data->set;
    for (uint32_t i = 0; i < e->o.thumbnails && i < d->n_images && !d->embeddings; i++)
        for (int delta = 0; delta < (c->spec.attack.item ? 2 : 1); delta++) {
            struct str *s = &png[*n];
            if (!thumbnail(e, &c->spec, i, delta, s))
                continue;
            out[*n] = (struct result_artefact) {
                .name = arena_printf(a, "%s:%s", delta ? "delta" : "thumb",
                                     d->image[i].id),
                .media_type = "image/png", .data = s->s, .n = s->n };
            ++*n;
        }
}

static void add_texts(struct eval *e, const struct cell *c, struct result_artefact *out,
                      size_t *n, struct str *json)
{
    if (!attacked_texts(e, &c->spec, json))
        return;
    out[*n] = (struct result_artefact) { .name = "texts:attacked",
                                         .media_type = "application/json",
                                         .data = json->s, .n = json->n };
    ++*n;
}

/* Names of the classes that a sample table has indices of. */
static void add_classes(const struct cell *c, struct result_artefact *out, size_t *n,
                        struct str *names)
{
    if (!c->spec.prompts)
        return;
    const struct class_texts *t = class_texts_of(&c->spec);
    for (size_t i = 0; i < t->n_classes; i++)
        str_addf(names, "%s\n", t->name[i]);
    out[(*n)++] = (struct result_artefact) { .name = "classes", .media_type = "text/plain",
                                             .data = names->s, .n = names->n };
}

static mohs_status store(struct eval *e, struct cell *c, struct measured *m,
                         double seconds, struct mohs_error *err)
{
    struct arena *a = arena_new();
    struct pairs axes = { .n = 0 }, prov = { .n = 0 };
    struct str names = { 0 };
    size_t n = 0, cap = 2 * (size_t)e->o.thumbnails + 3;
    struct result_artefact *art = xcalloc(cap, sizeof *art);
    struct str *png = xcalloc(cap, sizeof *png);
    axes_of(a, c, &axes);
    provenance_of(e, a, c, &prov);
    add_thumbnails(e, a, c, art, &n, png);
    add_texts(e, c, art, &n, &png[n]);
    add_classes(c, art, &n, &names);
    struct result_cell rc = {
        .hash = c->hash,
        .axis = axes.v,
        .n_axes = axes.n,
        .provenance = prov.v,
        .n_provenance = prov.n,
        .value = m->value,
        .n_values = m->n_values,
        .samples = { m->columns, m->n_columns, m->samples.n_rows, m->samples.value,
                     m->samples.cluster, NULL },
        .artefact = art,
        .n_artefacts = n,
        .seconds = seconds,
    };
    mohs_status st = results_put(e->results, e->run, &rc, err);
    for (size_t i = 0; i < cap; i++)
        str_free(&png[i]);
    str_free(&names);
    free(png);
    free(art);
    arena_free(a);
    return st;
}

mohs_status eval_store(struct eval *e, const struct result_cell *cell,
                       struct mohs_error *err)
{
    if (!e->results)
        RET_IF_ERR(results_open(e->results_path, &e->results, err));
    if (!e->run)
        RET_IF_ERR(results_run(e->results, "", "", "{}", e->o.seed, NULL, 0, &e->run,
                               err));
    return results_put(e->results, e->run, cell, err);
}

/* ---- running ---- */

void cell_condition(const struct eval_cell *c, struct str *out)
{
    const struct dataset *d = c->data->set;
    if (c->corruption.item)
        str_addf(out, "%s:%u", c->corruption.item->item->id, c->corruption.severity);
    else if (d->corruption && !c->attack.item)
        str_addf(out, "%s:%u", d->corruption, d->severity);
    else
        str_add(out, c->attack.item ? c->attack.item->item->id : "clean");
}

static const char *cell_name(struct arena *a, const struct cell *c)
{
    const struct eval_cell *s = &c->spec;
    struct str what = { 0 };
    cell_condition(s, &what);
    const char *name = arena_printf(a, "%s on %s, %s", s->model->label, s->data->label,
                                    what.s);
    str_free(&what);
    return name;
}

static mohs_status run_cell(struct eval *e, struct cell *c, struct mohs_error *err)
{
    struct measured m;
    double t0 = now_s();
    RET_IF_ERR(measure_cell(e, &c->spec, &m, err));
    mohs_status st = store(e, c, &m, now_s() - t0, err);
    measured_free(&m);
    if (st >= 0 && e->cache)
        st = cache_flush(e->cache, err);
    return st;
}

static mohs_status run_cells(struct eval *e, bool *computed, struct mohs_error *err)
{
    struct arena *a = arena_new();
    mohs_status st = MOHS_OK;
    for (size_t i = e->o.shard; i < e->n_cells && st >= 0; i += e->o.n_shards) {
        struct cell *c = &e->cell[i];
        const char *name = cell_name(a, c);
        progress_note("%s", name);
        if (results_has(e->results, c->hash)) {
            st = results_link(e->results, e->run, c->hash, err);
        } else {
            st = run_cell(e, c, err);
            computed[i] = st >= 0;
            if (st < 0)
                err_prefix(err, st, "%s", name);
        }
        progress_set(i + 1);
        if (st >= 0 && interrupted)
            st = mohs_fail(err, MOHS_E_CANCELLED, "interrupted");
    }
    arena_free(a);
    return st;
}

mohs_status eval_run(struct eval *e, const struct eval_run_info *info,
                     struct mohs_error *err)
{
    double t0 = now_s();
    size_t done = 0;
    if (!e->results)
        RET_IF_ERR(results_open(e->results_path, &e->results, err));
    bool *computed = xcalloc(e->n_cells, sizeof *computed);
    char shard[32];
    snprintf(shard, sizeof shard, "%u/%u", e->o.shard, e->o.n_shards);
    struct result_pair facts[] = { { "mohs", PACKAGE_VERSION }, { "shard", shard } };
    mohs_status st = e->run ? MOHS_OK
                            : results_run(e->results, info->recipe_name,
                                          info->recipe_text, info->args_json,
                                          e->o.seed, facts, 2, &e->run, err);
    progress_start("cells", e->n_cells);
    if (st >= 0)
        st = run_cells(e, computed, err);
    progress_end();
    for (size_t i = 0; i < e->n_cells; i++)
        done += computed[i];
    plan_learn(e, computed, now_s() - t0);
    free(computed);
    uint64_t now, peak = 0;
    struct compute *dev;
    if (done && registry_compute(e->registry, &dev, NULL) >= 0)
        compute_memory(dev, &now, &peak);
    mohs_status end = results_run_end(e->results, e->run,
                                      st >= 0 ? "done" : status_name(st),
                                      now_s() - t0, peak, st >= 0 ? err : NULL);
    if (st < 0)
        return st;
    log_info("%zu cells, %zu computed, %.1f s; peak memory: device %.1f MiB, "
             "process %.1f MiB", e->n_cells, done, now_s() - t0,
             (double)peak / (1 << 20), (double)rss_peak_bytes() / (1 << 20));
    return end;
}

struct visit {
    struct eval *e;
    mohs_status (*fn)(void *, const struct result_cell *, struct mohs_error *);
    void *user;
};

static mohs_status visit_own(void *user, const struct result_cell *rc,
                             struct mohs_error *err)
{
    struct visit *v = user;
    for (size_t i = 0; i < v->e->n_cells; i++)
        if (v->e->cell[i].hash.hi == rc->hash.hi && v->e->cell[i].hash.lo == rc->hash.lo)
            return v->fn(v->user, rc, err);
    return MOHS_OK;
}

mohs_status eval_each(struct eval *e,
                      mohs_status (*fn)(void *user,
                                        const struct result_cell *cell,
                                        struct mohs_error *err),
                      void *user, struct mohs_error *err)
{
    struct visit v = { e, fn, user };
    if (!e->results)
        return MOHS_OK;
    return results_each(e->results, visit_own, &v, err);
}
