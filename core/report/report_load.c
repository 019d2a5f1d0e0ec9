/* SPDX-License-Identifier: MIT */
/* Reads a results file and finds the coordinates of its cells. */
#include "config.h"

#include "report/report_doc.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *dup_text(struct arena *a, const char *s)
{
    return arena_strdup(a, s ? s : "");
}

int labels_add(struct labels *l, struct arena *a, const char *s)
{
    for (int i = 0; i < l->n; i++)
        if (!strcmp(l->v[i], s))
            return i;
    l->v = xrealloc(l->v, ((size_t)l->n + 1) * sizeof *l->v);
    l->v[l->n] = dup_text(a, s);
    return l->n++;
}

static const struct result_pair *dup_pairs(struct arena *a,
                                           const struct result_pair *p, size_t n)
{
    struct result_pair *out = arena_alloc(a, (n + 1) * sizeof *out);
    for (size_t i = 0; i < n; i++)
        out[i] = (struct result_pair) { dup_text(a, p[i].key),
                                        dup_text(a, p[i].value) };
    return out;
}

static mohs_status take_run(void *user, const struct result_run *x,
                            struct mohs_error *err)
{
    struct doc *d = user;
    (void)err;
    d->run = xrealloc(d->run, (d->n_runs + 1) * sizeof *d->run);
    struct result_run *r = &d->run[d->n_runs++];
    *r = *x;
    r->recipe_name = dup_text(d->arena, x->recipe_name);
    r->recipe_text = dup_text(d->arena, x->recipe_text);
    r->args_json = dup_text(d->arena, x->args_json);
    r->state = dup_text(d->arena, x->state);
    r->started = dup_text(d->arena, x->started);
    r->facts = dup_pairs(d->arena, x->facts, x->n_facts);
    return MOHS_OK;
}

/* Pictures are many and the same for several models; the page takes this much
 * of them and says how many it left out. */
static const uint64_t artefact_budget = 24u << 20;

static mohs_status take_cell(void *user, const struct result_cell *x,
                             struct mohs_error *err)
{
    struct doc *d = user;
    struct arena *a = d->arena;
    (void)err;
    if (d->n_cells == d->cap_cells)
        d->cell = xrealloc(d->cell,
                           (d->cap_cells = d->cap_cells ? 2 * d->cap_cells : 64) *
                               sizeof *d->cell);
    struct doc_cell *c = &d->cell[d->n_cells++];
    *c = (struct doc_cell) { .c = *x, .block = NONE, .model = NONE,
                             .corruption = NONE, .severity = NONE,
                             .attack = NONE };
    c->c.axis = dup_pairs(a, x->axis, x->n_axes);
    c->c.provenance = dup_pairs(a, x->provenance, x->n_provenance);
    struct result_value *v = arena_alloc(a, (x->n_values + 1) * sizeof *v);
    for (size_t i = 0; i < x->n_values; i++) {
        v[i] = x->value[i];
        v[i].name = dup_text(a, x->value[i].name);
        v[i].unit = dup_text(a, x->value[i].unit);
        v[i].doc = dup_text(a, x->value[i].doc);
    }
    c->c.value = v;
    struct result_artefact *f = arena_alloc(a, (x->n_artefacts + 1) * sizeof *f);
    for (size_t i = 0; i < x->n_artefacts; i++) {
        const struct result_artefact *from = &x->artefact[i];
        f[i] = (struct result_artefact) { dup_text(a, from->name),
                                          dup_text(a, from->media_type), NULL, 0 };
        c->curve |= !strncmp(f[i].name, "curve:", 6);
        if (!from->n || d->artefact_bytes + from->n > artefact_budget)
            continue;
        d->artefact_bytes += from->n;
        f[i].data = memcpy(arena_alloc(a, from->n), from->data, from->n);
        f[i].n = from->n;
    }
    c->c.artefact = f;
    return MOHS_OK;
}

/* ---- coordinates ----------------------------------------------------- */

static bool main_axis(const char *key)
{
    return !strcmp(key, "model") || !strcmp(key, "corruption") ||
           !strcmp(key, "severity") || !strcmp(key, "attack");
}

/* An axis of a recipe (arm, seed) that each model has one value of says what
 * the model is and parts no blocks; eval's own axes always do. */
static bool of_model(const struct doc *d, const char *key)
{
    struct labels models = { 0 };
    const char **value = xcalloc(d->n_cells + 1, sizeof *value);
    bool one = strcmp(key, "data") && strcmp(key, "metric") && strcmp(key, "prompt");
    for (size_t i = 0; i < d->n_cells && one; i++) {
        const struct result_cell *c = &d->cell[i].c;
        const char *model = result_axis(c, "model"), *v = result_axis(c, key);
        if (d->cell[i].curve)
            continue;
        int m = labels_add(&models, d->arena, model ? model : "");
        one = v && model && (!value[m] || !strcmp(value[m], v));
        value[m] = v;
    }
    one = one && models.n > 1;
    free(models.v);
    free(value);
    return one;
}

static void find_model_axes(struct doc *d)
{
    struct labels keys = { 0 };
    for (size_t i = 0; i < d->n_cells; i++)
        for (size_t k = 0; k < d->cell[i].c.n_axes && !d->cell[i].curve; k++)
            labels_add(&keys, d->arena, d->cell[i].c.axis[k].key);
    for (int k = 0; k < keys.n; k++)
        if (!main_axis(keys.v[k]) && of_model(d, keys.v[k]))
            labels_add(&d->model_axes, d->arena, keys.v[k]);
    free(keys.v);
}

static bool model_axis(const struct doc *d, const char *key)
{
    for (int i = 0; i < d->model_axes.n; i++)
        if (!strcmp(d->model_axes.v[i], key))
            return true;
    return false;
}

/* An axis that no clean cell has, though there are clean cells. */
static bool condition_axis(const struct doc *d, const char *key)
{
    bool clean = false;
    for (size_t i = 0; i < d->n_cells; i++) {
        const struct result_cell *c = &d->cell[i].c;
        if (d->cell[i].curve || result_axis(c, "corruption") || result_axis(c, "attack"))
            continue;
        clean = true;
        if (result_axis(c, key))
            return false;
    }
    return clean;
}

/* "pgd", or "pgd (attack_params: eps=4/255)". An axis belongs to the attack
 * when its name says so or there is no corruption to own it. */
static const char *condition(struct doc *d, const struct result_cell *c,
                             const char *kind)
{
    const char *name = result_axis(c, kind);
    bool attack = !strcmp(kind, "attack");
    struct str b = { 0 };
    if (!name)
        return NULL;
    str_add(&b, name);
    int n = 0;
    for (size_t i = 0; i < c->n_axes; i++) {
        const char *key = c->axis[i].key, *own = key;
        if (main_axis(key) || !condition_axis(d, key))
            continue;
        bool says_attack = !strncmp(key, "attack", 6);
        bool says_corruption = !strncmp(key, "corruption", 10);
        bool mine = attack ? says_attack || (!says_corruption)
                           : says_corruption ||
                                 (!says_attack && !result_axis(c, "attack"));
        if (!mine)
            continue;
        // "attack_params: eps=1" reads better as "eps=1".
        if (str_ends(key, "_params"))
            own = "";
        str_addf(&b, "%s%s%s%s", n++ ? ", " : " (", own, *own ? " " : "",
                 c->axis[i].value);
    }
    str_add(&b, n ? ")" : "");
    const char *s = arena_strdup(d->arena, b.s);
    str_free(&b);
    return s;
}

static const char *block_name(struct doc *d, const struct result_cell *c)
{
    struct str b = { 0 };
    for (size_t i = 0; i < c->n_axes; i++) {
        const char *key = c->axis[i].key;
        if (main_axis(key) || model_axis(d, key) || condition_axis(d, key))
            continue;
        str_addf(&b, "%s%s: %s", b.n ? " · " : "", key, c->axis[i].value);
    }
    const char *s = arena_strdup(d->arena, b.n ? b.s : "all cells");
    str_free(&b);
    return s;
}

static int block_find(struct doc *d, const char *name)
{
    for (int i = 0; i < d->n_blocks; i++)
        if (!strcmp(d->block[i].name, name))
            return i;
    if (d->n_blocks == MAX_BLOCKS) {
        d->more_blocks++;
        return NONE;
    }
    d->block = xrealloc(d->block, ((size_t)d->n_blocks + 1) * sizeof *d->block);
    d->block[d->n_blocks] = (struct block) { .name = name };
    return d->n_blocks++;
}

static void place(struct doc *d, struct doc_cell *c)
{
    const char *model = result_axis(&c->c, "model");
    c->model = labels_add(&d->models, d->arena, model ? model : "");
    if (c->curve || !c->c.n_values)
        return;
    c->block = block_find(d, block_name(d, &c->c));
    if (c->block == NONE)
        return;
    struct block *b = &d->block[c->block];
    const char *corruption = condition(d, &c->c, "corruption");
    const char *severity = result_axis(&c->c, "severity");
    const char *attack = condition(d, &c->c, "attack");
    if (corruption)
        c->corruption = labels_add(&b->corruptions, d->arena, corruption);
    if (corruption || severity)
        c->severity = labels_add(&b->severities, d->arena,
                                 severity ? severity : "");
    if (attack)
        c->attack = labels_add(&b->attacks, d->arena, attack);
    // The same condition measured again (other weights, other code): the
    // latest is shown, all of them are in the last table.
    for (struct doc_cell *o = d->cell; o < c; o++)
        if (o->block == c->block && o->model == c->model &&
            o->corruption == c->corruption && o->severity == c->severity &&
            o->attack == c->attack)
            o->block = NONE;
    int i = 0;
    while (i < b->n_models && b->models[i] != c->model)
        i++;
    if (i < b->n_models)
        return;
    b->models = xrealloc(b->models, ((size_t)i + 1) * sizeof *b->models);
    b->models[b->n_models++] = c->model;
}

/* Severities in numeric order, whatever order the cells came in. */
static void sort_severities(struct doc *d, int block)
{
    struct block *b = &d->block[block];
    for (int i = 1; i < b->severities.n; i++) {
        for (int k = i; k > 0; k--) {
            double x = 0, y = 0;
            bool nx = str_to_double(b->severities.v[k - 1], &x);
            bool ny = str_to_double(b->severities.v[k], &y);
            if (!ny || (nx && x <= y))
                break;
            const char *t = b->severities.v[k];
            b->severities.v[k] = b->severities.v[k - 1];
            b->severities.v[k - 1] = t;
            for (size_t c = 0; c < d->n_cells; c++) {
                struct doc_cell *e = &d->cell[c];
                if (e->block != block)
                    continue;
                if (e->severity == k)
                    e->severity = k - 1;
                else if (e->severity == k - 1)
                    e->severity = k;
            }
        }
    }
}

/* Values that clean cells have (or, without any, all) can be chosen; what
 * only attacked cells have goes to a table of its own. */
static void find_values(struct doc *d, int block)
{
    struct block *b = &d->block[block];
    bool clean = false;
    for (size_t i = 0; i < d->n_cells; i++)
        clean |= d->cell[i].block == block && d->cell[i].corruption == NONE &&
                 d->cell[i].attack == NONE;
    for (size_t i = 0; i < d->n_cells; i++) {
        const struct doc_cell *c = &d->cell[i];
        bool is_clean = c->corruption == NONE && c->attack == NONE;
        if (c->block != block || (clean && !is_clean))
            continue;
        for (size_t k = 0; k < c->c.n_values && b->values.n < MAX_PICKS; k++) {
            int at = labels_add(&b->values, d->arena, c->c.value[k].name);
            if (!b->value_of[at])
                b->value_of[at] = &c->c.value[k];
        }
    }
    for (size_t i = 0; i < d->n_cells; i++) {
        const struct doc_cell *c = &d->cell[i];
        for (size_t k = 0; c->block == block && k < c->c.n_values; k++) {
            int at = 0;
            while (at < b->values.n &&
                   strcmp(b->values.v[at], c->c.value[k].name))
                at++;
            if (at == b->values.n)
                labels_add(&b->extra, d->arena, c->c.value[k].name);
        }
    }
    // A mean of several rates says most; else the first one.
    for (int i = b->values.n - 1; i >= 0; i--)
        if (!strncmp(b->values.v[i], "mean", 4) && b->value_of[i]->direction > 0)
            b->first = i;
}

mohs_status doc_load(struct doc *d, struct results *r, struct mohs_error *err)
{
    d->arena = arena_new();
    d->source = r;
    RET_IF_ERR(results_each_run(r, take_run, d, err));
    RET_IF_ERR(results_each(r, take_cell, d, err));
    find_model_axes(d);
    for (size_t i = 0; i < d->n_cells; i++)
        place(d, &d->cell[i]);
    for (int b = 0; b < d->n_blocks; b++) {
        sort_severities(d, b);
        find_values(d, b);
    }
    return MOHS_OK;
}

void doc_free(struct doc *d)
{
    for (int i = 0; i < d->n_blocks; i++) {
        struct block *b = &d->block[i];
        free(b->corruptions.v);
        free(b->severities.v);
        free(b->attacks.v);
        free(b->values.v);
        free(b->extra.v);
        free(b->models);
    }
    free(d->models.v);
    free(d->model_axes.v);
    free(d->block);
    free(d->cell);
    free(d->run);
    str_free(&d->out);
    arena_free(d->arena);
}

/* ---- questions ------------------------------------------------------- */

static const struct result_value *value_named(const struct result_cell *c,
                                              const char *name)
{
    for (size_t i = 0; i < c->n_values; i++)
        if (!strcmp(c->value[i].name, name))
            return &c->value[i];
    return NULL;
}

const struct result_value *doc_value(const struct doc *d, int block, int model,
                                     int corruption, int severity, int attack,
                                     const char *name)
{
    const struct result_value *found = NULL;
    for (size_t i = 0; i < d->n_cells; i++) {
        const struct doc_cell *c = &d->cell[i];
        if (c->block == block && c->model == model &&
            c->corruption == corruption && c->severity == severity &&
            c->attack == attack)
            found = value_named(&c->c, name); // the latest counts
    }
    return found;
}

double doc_mean(const struct doc *d, int block, int model, int corruption,
                const char *name, int *n)
{
    double sum = 0;
    *n = 0;
    for (size_t i = 0; i < d->n_cells; i++) {
        const struct doc_cell *c = &d->cell[i];
        if (c->block != block || c->model != model || c->attack != NONE ||
            c->corruption == NONE ||
            (corruption != NONE && c->corruption != corruption))
            continue;
        const struct result_value *v = value_named(&c->c, name);
        if (!v || isnan(v->value))
            continue;
        sum += v->value;
        ++*n;
    }
    return *n ? sum / *n : NAN;
}

double loss_of(const struct result_value *v, double clean, double x)
{
    return v->direction < 0 ? x - clean : clean - x;
}

double doc_worst_attack(const struct doc *d, int block, int model,
                        const struct result_value *v, int *attack)
{
    double worst = NAN;
    for (int i = 0; i < d->block[block].attacks.n; i++) {
        const struct result_value *x = doc_value(d, block, model, NONE, NONE, i,
                                                 v->name);
        if (!x || isnan(x->value))
            continue;
        if (isnan(worst) || loss_of(v, worst, x->value) > 0) {
            worst = x->value;
            *attack = i;
        }
    }
    return worst;
}
