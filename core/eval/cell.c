/* SPDX-License-Identifier: MIT */
/* A cell: its identity, what it must have, and joining the session. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "eval/eval.h"
#include "eval/session.h"
#include "eval/victim.h"

uint32_t cell_dim(const struct eval_cell *c)
{
    const struct data_embeddings *given = c->data->set->embeddings;
    return given ? given->dim : encoder_info(c->model->encoder)->embed_dim;
}

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

static void item_drop(struct eval_item *i)
{
    if (i->item && i->params)
        item_params_free(i->item, i->params);
    i->params = NULL;
}

void cell_drop(struct cell *c)
{
    item_drop(&c->spec.corruption);
    item_drop(&c->spec.attack);
    item_drop(&c->spec.metric);
    free(c->corruption_params);
    free(c->attack_params);
    free(c->metric_params);
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
        cell_drop(&c);
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
