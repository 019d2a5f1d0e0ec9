/* SPDX-License-Identifier: MIT */
/*
 * What a run would take, without running it: cells, passes, device memory
 * and an estimate of the time from the device's measured rate.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "eval/pairs.h"
#include "eval/session.h"
#include "eval/victim.h"

/* Before anything was measured: a modest rate per compute unit. */
static const double GUESS_FLOPS_PER_UNIT = 40e9;

struct tally {
    uint64_t forward, backward; /* samples */
    double flops;
    bool guessed; /* an attack does not say what it takes */
};

struct model_plan {
    const struct eval_model *m;
    uint64_t bytes;
    double image_flops, text_flops; /* per sample */
    struct pairs_cost pairs; /* bytes 0: not asked for yet */
};

static mohs_status plan_model(struct eval_model *m, uint32_t images,
                              uint32_t texts, struct model_plan *out,
                              struct mohs_error *err)
{
    struct graph_cost c;
    uint32_t batch;
    memset(out, 0, sizeof *out);
    out->m = m;
    if (!m->encoder)
        return MOHS_OK; // embeddings are there
    RET_IF_ERR(encoder_cost(m->encoder, MOHS_TOWER_IMAGE, images, &c, &batch, err));
    out->bytes = c.arena_bytes + c.weight_bytes + c.packed_bytes;
    out->image_flops = c.flops / batch;
    if (!encoder_is_classifier(m->encoder)) {
        RET_IF_ERR(encoder_cost(m->encoder, MOHS_TOWER_TEXT, texts, &c, &batch, err));
        out->bytes += c.arena_bytes + c.weight_bytes + c.packed_bytes;
        out->text_flops = c.flops / batch;
    }
    return MOHS_OK;
}

/* Texts of a cell: captions, or all prompts of its classes. */
static size_t text_count(const struct eval_cell *c)
{
    return c->prompts ? class_texts_of(c)->n_texts : c->data->set->n_texts;
}

/* Passes of a sample, at most; *learning: passes of samples before any. */
static mohs_status attack_passes(struct eval *e, const struct eval_cell *c, uint32_t tower,
                                 uint64_t *forward, uint64_t *backward, uint64_t *learning,
                                 bool *guessed, struct mohs_error *err)
{
    const struct mohs_attack_ops *ops = c->attack.item->item->ops;
    const struct dataset *d = c->data->set, *from = c->fit ? c->fit->set : d;
    uint32_t most = c->attack.budget.max_queries;
    void *params, *self = NULL;
    RET_IF_ERR(attack_side_params(&c->attack, tower, &params, err));
    mohs_status st = ops->create(registry_host(e->registry), params, &self, err);
    item_params_free(c->attack.item, params);
    scratch_reset();
    RET_IF_ERR(st);
    const struct mohs_attack_cost *cost = attack_extension(ops, self, MOHS_EXT_ATTACK_COST);
    const struct mohs_attack_fit *fit = attack_extension(ops, self, MOHS_EXT_ATTACK_FIT);
    // what attacks conventionally call theirs
    *backward = (uint64_t)attack_int(&c->attack, "steps", 1) *
                (uint64_t)attack_int(&c->attack, "restarts", 1);
    *forward = *backward + 1;
    *learning = 0;
    int32_t edits;
    // attacks on texts: see text_trials()
    *guessed |= !cost && !most && !attack_budget(&c->attack, &edits);
    if (cost)
        cost->passes(self, (uint32_t)(tower == MOHS_TOWER_IMAGE ? cell_candidates(c) : d->n_images),
                     forward, backward);
    if (fit) {
        uint64_t n = tower == MOHS_TOWER_IMAGE ? from->n_images : from->n_texts;
        uint64_t some = fit->samples(self);
        *learning = (some && some < n ? some : n) * fit->epochs(self);
    }
    ops->destroy(self);
    if (most && *forward > most)
        *forward = most;
    if (*backward > *forward)
        *backward = *forward;
    return MOHS_OK;
}

/* Class rows are kept from cell to cell, so prompts cost once a model. */
static bool prompts_known(const struct eval *e, size_t at)
{
    const struct eval_cell *c = &e->cell[at].spec, *o;
    if (!c->prompts || corrupts_text(&c->corruption))
        return false;
    if (encoder_is_classifier(c->model->encoder))
        return true;
    for (size_t i = 0; i < at; i++) {
        o = &e->cell[i].spec;
        if (o->model == c->model && o->prompts && !corrupts_text(&o->corruption) &&
            class_texts_of(o) == class_texts_of(c))
            return true;
    }
    return false;
}

/* Texts that an attack tries at most, by the parameters that attacks on texts
 * conventionally have; twice where images are attacked in between. */
static uint64_t text_trials(const struct eval_cell *c)
{
    enum { EDITS_OF_A_CHARACTER = 28 }; // 26 letters, removal, exchange
    const struct dataset *d = c->data->set;
    uint64_t top_k = (uint64_t)attack_int(&c->attack, "top_k", 1), n = 0;
    uint64_t positions = (uint64_t)attack_int(&c->attack, "positions", 1);
    int32_t most;
    const char *unit = attack_budget(&c->attack, &most);
    for (size_t t = 0; unit && most && t < d->n_texts; t++) {
        const char *s = d->text[t].text;
        uint64_t words = edits_words(s, ""), places = 2 * strlen(s) + 1;
        n += 1 + (!strcmp(unit, "words")    ? words * (1 + top_k)
                  : !strcmp(unit, "tokens") ? (uint64_t)most * (1 + top_k)
                                            : (uint64_t)most *
                                               (places + positions * EDITS_OF_A_CHARACTER));
    }
    return attacks_pairs(&c->attack) ? 2 * n : n;
}

/* The pairs that a metric scores, and their images once more. */
static mohs_status plan_pairs(struct eval *e, const struct eval_cell *c,
                              struct model_plan *m, struct tally *t,
                              struct mohs_error *err)
{
    uint64_t pairs, ni = c->data->set->n_images;
    RET_IF_ERR(cell_pairs(e, c, &pairs, err));
    if (!pairs)
        return MOHS_OK;
    if (!m->pairs.bytes)
        RET_IF_ERR(pairs_plan(c->model->encoder, (uint32_t)(pairs / ni), &m->pairs, err));
    t->forward += pairs + ni;
    t->flops += (double)pairs * m->pairs.pair_flops + (double)ni * m->pairs.image_flops;
    return MOHS_OK;
}

static mohs_status plan_cell(struct eval *e, size_t at, struct model_plan *m,
                             struct tally *t, struct mohs_error *err)
{
    const struct eval_cell *c = &e->cell[at].spec;
    uint64_t ni = c->data->set->n_images;
    uint64_t nt = prompts_known(e, at) ? 0 : text_count(c);
    memset(t, 0, sizeof *t);
    if (!c->model->encoder)
        return MOHS_OK;
    t->forward = ni + nt;
    t->flops = (double)ni * m->image_flops + (double)nt * m->text_flops;
    RET_IF_ERR(plan_pairs(e, c, m, t, err));
    if (!c->attack.item)
        return MOHS_OK;
    uint32_t towers = attack_towers(&c->attack);
    for (uint32_t tower = MOHS_TOWER_IMAGE; tower <= MOHS_TOWER_TEXT; tower++) {
        if (!(towers & tower))
            continue;
        uint64_t n = tower == MOHS_TOWER_IMAGE ? ni : nt;
        double one = tower == MOHS_TOWER_IMAGE ? m->image_flops : m->text_flops;
        uint64_t forward, backward, learning;
        RET_IF_ERR(attack_passes(e, c, tower, &forward, &backward, &learning,
                                 &t->guessed, err));
        // and one to see what is left
        uint64_t ahead = n * (forward + 1) + learning, back = n * backward + learning;
        t->forward += ahead;
        t->backward += back;
        t->flops += one * (double)(ahead + back);
    }
    uint64_t trials = text_trials(c);
    t->forward += trials;
    t->flops += (double)trials * m->text_flops;
    return MOHS_OK;
}

static double measured_rate(struct compute *dev)
{
    char *path = path_join(cache_dir(), "rate");
    char *text = NULL;
    double rate = GUESS_FLOPS_PER_UNIT * compute_device(dev)->units, x;
    size_t n = strlen(compute_fingerprint(dev));
    if (file_exists(path) && file_read(path, 4096, &text, NULL, NULL) >= 0 &&
        !strncmp(text, compute_fingerprint(dev), n) && text[n] == ' ' &&
        str_to_double(text + n + 1, &x) && x > 0)
        rate = x;
    free(text);
    free(path);
    return rate;
}

void plan_learn(struct eval *e, const bool *computed, double seconds)
{
    struct model_plan m = { 0 };
    struct compute *dev;
    double flops = 0;
    // a warm run says nothing of the device
    if (seconds < 1 || e->cache_hits || registry_compute(e->registry, &dev, NULL) < 0)
        return;
    for (size_t i = 0; i < e->n_cells; i++) {
        const struct eval_cell *c = &e->cell[i].spec;
        struct tally t;
        if (!computed[i])
            continue;
        if (m.m != c->model &&
            plan_model(c->model, (uint32_t)c->data->set->n_images,
                       (uint32_t)text_count(c), &m, NULL) < 0)
            return;
        if (plan_cell(e, i, &m, &t, NULL) < 0)
            return;
        flops += t.flops;
    }
    char *path = path_join(cache_dir(), "rate");
    char *text = xasprintf("%s %.6g", compute_fingerprint(dev), flops / seconds);
    if (flops > 0)
        file_write(path, text, strlen(text), NULL);
    free(text);
    free(path);
}

static void print_cell(const struct cell *c, const struct tally *t, bool stored,
                       bool json, bool last)
{
    const struct eval_cell *s = &c->spec;
    struct str what = { 0 };
    cell_condition(s, &what);
    if (json) {
        struct str b = { 0 };
        str_add(&b, "    {\"model\": ");
        str_add_json(&b, s->model->label);
        str_add(&b, ", \"data\": ");
        str_add_json(&b, s->data->label);
        str_add(&b, ", \"condition\": ");
        str_add_json(&b, what.s);
        printf("%s, \"forward\": %llu, \"backward\": %llu, \"bound\": %s, "
               "\"flops\": %.6g, \"stored\": %s}%s\n", b.s,
               (unsigned long long)t->forward, (unsigned long long)t->backward,
               t->guessed ? "false" : "true", t->flops,
               stored ? "true" : "false", last ? "" : ",");
        str_free(&b);
    } else {
        printf("%-20s %-16s %-22s %9llu %9llu  %s\n", s->model->label,
               s->data->label, what.s, (unsigned long long)t->forward,
               (unsigned long long)t->backward, stored ? "stored" : "");
    }
    str_free(&what);
}

/* Device bytes of a cell's attack on one tower: its graph and candidates. */
static mohs_status side_bytes(const struct eval_cell *c, uint32_t tower, uint64_t *out,
                              struct mohs_error *err)
{
    const struct eval_model *seen = c->surrogate ? c->surrogate : c->model;
    uint32_t ni = (uint32_t)c->data->set->n_images, nt = (uint32_t)cell_candidates(c);
    bool images = tower == MOHS_TOWER_IMAGE;
    uint32_t n = images ? ni : nt;
    struct victim_options o = { .encoder = seen->encoder,
                                .tower = tower,
                                .n = n < ATTACK_CHUNK ? n : ATTACK_CHUNK,
                                .n_candidates = images ? nt : ni,
                                .attack = c->attack.item->item->id };
    char *list = attack_taps(&c->attack, tower), *save = NULL;
    const char *tap[16];
    size_t n_taps = 0;
    for (char *p = strtok_r(list, ",", &save); p && n_taps < 16;
         p = strtok_r(NULL, ",", &save))
        tap[n_taps++] = p;
    struct graph_cost cost = { .arena_bytes = 0 };
    mohs_status st = MOHS_OK;
    if (n_taps)
        st = victim_cost(&o, attack_needs_gradient(&c->attack, tower), tap, n_taps, &cost,
                         err);
    free(list);
    *out = cost.arena_bytes + cost.packed_bytes + cost.scratch_bytes;
    return st;
}

static mohs_status attack_bytes(const struct eval *e, uint64_t *out,
                                struct mohs_error *err)
{
    *out = 0;
    for (size_t i = 0; i < e->n_cells; i++) {
        const struct eval_cell *c = &e->cell[i].spec;
        for (uint32_t t = MOHS_TOWER_IMAGE; c->attack.item && t <= MOHS_TOWER_TEXT; t++) {
            uint64_t b;
            RET_IF_ERR(side_bytes(c, t, &b, err));
            *out = b > *out ? b : *out;
        }
    }
    return MOHS_OK;
}

/* Similarities of the largest data set: both sides and one tile. */
static uint64_t metric_bytes(const struct eval *e)
{
    uint64_t most = 0;
    for (size_t i = 0; i < e->n_cells; i++) {
        const struct eval_cell *c = &e->cell[i].spec;
        uint64_t ni = c->data->set->n_images, nt = cell_candidates(c);
        uint64_t b = (ni + nt) * cell_dim(c) * 4;
        most = b > most ? b : most;
    }
    return most;
}

mohs_status eval_plan(struct eval *e, bool json, struct mohs_error *err)
{
    struct model_plan *plans = NULL;
    size_t n_plans = 0, todo = 0;
    struct tally total = { 0 };
    uint64_t bytes = metric_bytes(e);
    struct compute *dev;
    mohs_status st;
    if (!e->results && file_exists(e->results_path))
        RET_IF_ERR(results_open_readonly(e->results_path, &e->results, err));
    OUT_IF_ERR(registry_compute(e->registry, &dev, err));
    if (json)
        printf("{\n  \"version\": 1,\n  \"cells\": [\n");
    else
        printf("%-20s %-16s %-22s %9s %9s\n", "model", "data", "condition",
               "forward", "backward");
    for (size_t i = 0; i < e->n_cells; i++) {
        struct cell *c = &e->cell[i];
        struct model_plan *m = NULL;
        for (size_t k = 0; k < n_plans; k++)
            if (plans[k].m == c->spec.model)
                m = &plans[k];
        if (!m) {
            plans = xrealloc(plans, (n_plans + 1) * sizeof *plans);
            m = &plans[n_plans++];
            OUT_IF_ERR(plan_model(c->spec.model,
                                  (uint32_t)c->spec.data->set->n_images,
                                  (uint32_t)text_count(&c->spec), m, err));
            bytes += m->bytes;
        }
        struct tally t;
        uint64_t before = m->pairs.bytes;
        OUT_IF_ERR(plan_cell(e, i, m, &t, err));
        bytes += m->pairs.bytes - before;
        bool stored = e->results && results_has(e->results, c->hash);
        bool mine = i % e->o.n_shards == e->o.shard;
        if (!stored && mine) {
            total.forward += t.forward;
            total.backward += t.backward;
            total.flops += t.flops;
            total.guessed |= t.guessed;
            todo++;
        }
        print_cell(c, &t, stored, json, i + 1 == e->n_cells);
    }
    uint64_t attack;
    OUT_IF_ERR(attack_bytes(e, &attack, err));
    bytes += attack;
    double seconds = total.flops / measured_rate(dev);
    double mib = (double)bytes / (1 << 20);
    if (json)
        printf("  ],\n  \"todo\": %zu, \"forward\": %llu, \"backward\": %llu,\n"
               "  \"flops\": %.6g, \"device_bytes\": %llu, \"seconds\": %.1f\n}\n",
               todo, (unsigned long long)total.forward,
               (unsigned long long)total.backward, total.flops,
               (unsigned long long)bytes, seconds);
    else
        printf("%zu of %zu cells to compute: %s %llu forward and %llu backward "
               "passes, %.3g Gflop, device memory %.1f MiB, about %.0f s on %s\n",
               todo, e->n_cells, total.guessed ? "about" : "at most",
               (unsigned long long)total.forward,
               (unsigned long long)total.backward, total.flops / 1e9, mib, seconds,
               compute_device(dev)->name);
    st = MOHS_OK;
out:
    free(plans);
    return st;
}
