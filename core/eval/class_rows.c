/* SPDX-License-Identifier: MIT */
/*
 * Classes as candidates: the prompts of a cell, filled once for each list of
 * classes, and their rows, made once for each model. Rows of whole classes
 * are cached beside those of single prompts, so that a class of eighty
 * prompts costs one look-up.
 */
#include "config.h"

#include "eval/session.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { TEXTS_AT_ONCE = 4096 };

struct eval_prompts *eval_add_prompts(struct eval *e, struct prompts *p)
{
    struct eval_prompts *x = xcalloc(1, sizeof *x);
    x->prompts = p;
    x->next = e->prompts;
    e->prompts = x;
    return x;
}

mohs_status class_outputs(struct eval *e, struct eval_prompts **out,
                          struct mohs_error *err)
{
    static const char *const name[] = { "{c}" };
    struct prompt_source s = { .name = "outputs", .templates = name, .n_templates = 1 };
    struct prompts *p;
    if (!e->outputs) {
        RET_IF_ERR(prompts_open(&s, &p, err));
        e->outputs = eval_add_prompts(e, p);
    }
    *out = e->outputs;
    return MOHS_OK;
}

const struct prompts *eval_prompts_set(const struct eval_prompts *p)
{
    return p->prompts;
}

static void set_free(struct class_set *s)
{
    for (struct class_rows *r = s->rows, *next; r; r = next) {
        next = r->next;
        free(r->row);
        free(r);
    }
    class_texts_free(&s->texts);
    free(s);
}

void eval_prompts_free(struct eval_prompts *p)
{
    for (struct class_set *s = p->sets, *next; s; s = next) {
        next = s->next;
        set_free(s);
    }
    for (struct class_use *u = p->uses, *next; u; u = next) {
        next = u->next;
        free(u);
    }
    prompts_free(p->prompts);
    free(p);
}

/* ---- texts ---- */

static struct class_set *find_set(const struct eval_cell *c)
{
    for (struct class_use *u = c->prompts->uses; u; u = u->next)
        if (u->of == c->data->set)
            return u->set;
    return NULL;
}

mohs_status classes_fill(struct eval *e, const struct eval_cell *c,
                         struct mohs_error *err)
{
    struct eval_prompts *p = c->prompts;
    (void)e;
    if (find_set(c))
        return MOHS_OK;
    struct class_set *s = xcalloc(1, sizeof *s), *old;
    mohs_status st = prompts_fill(p->prompts, c->data->set, &s->texts, err);
    if (st < 0) {
        free(s);
        return st;
    }
    // the severities of a corruption have one list of classes
    for (old = p->sets; old; old = old->next)
        if (old->texts.hash.hi == s->texts.hash.hi &&
            old->texts.hash.lo == s->texts.hash.lo)
            break;
    if (old) {
        set_free(s);
        s = old;
    } else {
        s->next = p->sets;
        p->sets = s;
    }
    struct class_use *u = xcalloc(1, sizeof *u);
    *u = (struct class_use) { c->data->set, s, p->uses };
    p->uses = u;
    return MOHS_OK;
}

const struct class_texts *class_texts_of(const struct eval_cell *c)
{
    return &find_set(c)->texts;
}

bool cell_has_wide_classes(const struct eval_cell *c)
{
    return c->prompts && prompts_merge(c->prompts->prompts) == PROMPT_MAX;
}

size_t cell_candidates(const struct eval_cell *c)
{
    if (!c->prompts)
        return c->data->set->n_texts;
    const struct class_texts *t = class_texts_of(c);
    return cell_has_wide_classes(c) ? t->n_texts : t->n_classes;
}

void cell_class_of(const struct eval_cell *c, size_t i, uint32_t *first,
                   uint32_t *end)
{
    uint32_t label = c->data->set->image[i].label;
    bool wide = cell_has_wide_classes(c);
    const uint32_t *at = class_texts_of(c)->first;
    *first = wide ? at[label] : label;
    *end = wide ? at[label + 1] : label + 1;
}

/* ---- rows ---- */

/* The mean of n unit rows, made a unit again or not. */
static void merge_rows(const float *row, uint32_t n, uint32_t dim,
                       enum prompt_merge merge, float *out)
{
    double norm = 0;
    for (uint32_t j = 0; j < dim; j++) {
        double sum = 0;
        for (uint32_t i = 0; i < n; i++)
            sum += row[(size_t)i * dim + j];
        out[j] = (float)(sum / n);
        norm += sum / n * (sum / n);
    }
    if (merge != PROMPT_EMBED || !(norm > 0))
        return;
    norm = sqrt(norm);
    for (uint32_t j = 0; j < dim; j++)
        out[j] = (float)(out[j] / norm);
}

struct merging {
    struct eval *e;
    const struct eval_cell *c;
    const struct class_texts *t;
    char **text;
    enum prompt_merge merge;
    uint32_t dim;
    float *out;
};

static struct hash128 class_key(const struct merging *m, size_t k)
{
    struct hash128 base = encoder_text_hash(m->c->model->encoder);
    struct hasher *h = hasher_new();
    hasher_str(h, "class/1");
    hasher_u64(h, base.hi);
    hasher_u64(h, base.lo);
    hasher_u64(h, m->merge);
    for (uint32_t i = m->t->first[k]; i < m->t->first[k + 1]; i++)
        hasher_str(h, m->text[i]);
    return hasher_end(h);
}

/* Classes k0 .. k1, none of which is cached. */
static mohs_status make_rows(struct merging *m, size_t k0, size_t k1,
                             struct mohs_error *err)
{
    const uint32_t *first = m->t->first;
    uint32_t n = first[k1] - first[k0];
    float *row = try_calloc(n, m->dim * sizeof *row, "prompts", err);
    mohs_status st = row ? MOHS_OK : MOHS_E_NOMEM;
    if (st >= 0)
        st = text_rows(m->e, m->c, n, (const char *const *)m->text + first[k0], row,
                       err);
    for (size_t k = k0; k < k1 && st >= 0; k++) {
        float *to = m->out + k * m->dim;
        merge_rows(row + (size_t)(first[k] - first[k0]) * m->dim,
                   first[k + 1] - first[k], m->dim, m->merge, to);
        st = row_keep(m->e, class_key(m, k), to, m->dim, err);
    }
    free(row);
    return st;
}

static mohs_status merged_rows(struct merging *m, struct mohs_error *err)
{
    const uint32_t *first = m->t->first;
    size_t waiting = 0; // classes from here to k are to be made
    for (size_t k = 0; k < m->t->n_classes; k++) {
        int32_t found = row_lookup(m->e, class_key(m, k), m->out + k * m->dim, m->dim,
                                   err);
        if (found < 0)
            return found;
        if (found || first[k + 1] - first[waiting] > TEXTS_AT_ONCE) {
            if (waiting < k)
                RET_IF_ERR(make_rows(m, waiting, k, err));
            waiting = found ? k + 1 : k;
        }
        progress_note("classes %zu/%zu", k + 1, m->t->n_classes);
    }
    return waiting < m->t->n_classes ? make_rows(m, waiting, m->t->n_classes, err)
                                     : MOHS_OK;
}

static mohs_status wide_rows(struct merging *m, struct mohs_error *err)
{
    for (size_t i = 0; i < m->t->n_texts; i += TEXTS_AT_ONCE) {
        size_t n = m->t->n_texts - i < TEXTS_AT_ONCE ? m->t->n_texts - i
                                                     : TEXTS_AT_ONCE;
        RET_IF_ERR(text_rows(m->e, m->c, n, (const char *const *)m->text + i,
                             m->out + i * m->dim, err));
    }
    return MOHS_OK;
}

/* Outputs of a classifier: by their place in the list that the folders were
 * named from, if it is as long as the outputs are many; else by name. */
static mohs_status output_rows(struct merging *m, struct mohs_error *err)
{
    const struct dataset *d = m->c->data->set;
    uint32_t n = (uint32_t)m->t->n_classes;
    char **number = NULL;
    if (d->class_parent && d->n_parent == m->dim && n == d->n_classes) {
        number = xcalloc((size_t)n + 1, sizeof *number);
        for (uint32_t i = 0; i < n; i++)
            number[i] = xasprintf("#%u", d->class_parent[i]);
    }
    mohs_status st = encoder_classes(m->c->model->encoder, n,
                                     number ? (const char *const *)number : m->t->name,
                                     m->out, err);
    strv_free(number);
    return st;
}

static struct class_rows *remembered(const struct class_set *s, struct hash128 model)
{
    for (struct class_rows *r = s->rows; r; r = r->next)
        if (r->model.hi == model.hi && r->model.lo == model.lo)
            return r;
    return NULL;
}

mohs_status embed_classes(struct eval *e, const struct eval_cell *c, float *out,
                          struct mohs_error *err)
{
    struct class_set *s = find_set(c);
    struct hash128 model = encoder_text_hash(c->model->encoder);
    struct merging m = { e, c, &s->texts, NULL, prompts_merge(c->prompts->prompts),
                         encoder_info(c->model->encoder)->embed_dim, out };
    size_t bytes = cell_candidates(c) * m.dim * sizeof *out;
    bool own = corrupts_text(&c->corruption);
    if (encoder_is_classifier(c->model->encoder))
        return output_rows(&m, err);
    struct class_rows *r = own ? NULL : remembered(s, model);
    if (r) {
        memcpy(out, r->row, bytes);
        return MOHS_OK;
    }
    RET_IF_ERR(cell_texts(e, c, &m.text, err));
    mohs_status st = m.merge == PROMPT_MAX ? wide_rows(&m, err) : merged_rows(&m, err);
    strv_free(m.text);
    if (st < 0 || own)
        return st;
    r = xcalloc(1, sizeof *r);
    *r = (struct class_rows) { model, memcpy(xmalloc(bytes), out, bytes), s->rows };
    s->rows = r;
    return MOHS_OK;
}
