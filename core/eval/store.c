/* SPDX-License-Identifier: MIT */
/* What the results keep of a cell: axes, provenance, artefacts. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "eval/eval.h"
#include "eval/session.h"
#include "eval/victim.h"

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

mohs_status cell_store(struct eval *e, const struct cell *c, struct measured *m,
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
