/* SPDX-License-Identifier: MIT */
/*
 * From embeddings to values: the metric's sample table, its summary, and
 * intervals by cluster bootstrap; for attacks also what was lost and what
 * the audit found.
 */
#include "config.h"

#include "eval/session.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "eval/pairs.h"

/* ---- similarities on the device ---- */

struct similarity {
    struct compute *compute;
    struct mohs_buffer *image, *text, *tile;
    const uint32_t *first; /* of each class among the texts, or NULL: a text is
                              a class */
    struct eval *e;
    const struct eval_cell *c;
};

static mohs_status product(const struct mohs_eval *e, uint32_t i0, uint32_t i1,
                           uint32_t t0, uint32_t t1, float *out,
                           struct mohs_error *err)
{
    struct similarity *s = e->ctx;
    size_t bytes = (size_t)(i1 - i0) * (t1 - t0) * sizeof *out;
    if (!bytes)
        return MOHS_OK;
    if (!s->tile || buffer_bytes(s->tile) < bytes) {
        buffer_unref(s->tile);
        s->tile = NULL;
        RET_IF_ERR(buffer_new(s->compute, bytes, &s->tile, err));
    }
    struct gemm g = { .m = i1 - i0, .n = t1 - t0, .k = e->dim, .b_trans = true,
                      .alpha = 1, .a = s->image, .b = s->text, .c = s->tile,
                      .a_off = (size_t)i0 * e->dim, .b_off = (size_t)t0 * e->dim,
                      .lda = e->dim, .ldb = e->dim, .ldc = t1 - t0 };
    RET_IF_ERR(gemm_run(s->compute, &g, err));
    return buffer_read(s->tile, 0, out, bytes, err);
}

/* The best prompt of each class. */
static mohs_status best_of_class(const struct mohs_eval *e, uint32_t i0,
                                 uint32_t i1, uint32_t t0, uint32_t t1,
                                 float *out, struct mohs_error *err)
{
    const struct similarity *s = e->ctx;
    const uint32_t *first = s->first;
    size_t n = first[t1] - first[t0];
    // some rows at once, so that 30 prompts a class cost no 30 times the room
    size_t rows = (4u << 20) / (n ? n : 1) + 1;
    float *wide = try_calloc(rows, n * sizeof *wide, "similarities", err);
    mohs_status st = wide ? MOHS_OK : MOHS_E_NOMEM;
    for (uint32_t i = i0; i < i1 && st >= 0; i += (uint32_t)rows) {
        uint32_t end = i1 - i < rows ? i1 : i + (uint32_t)rows;
        st = product(e, i, end, first[t0], first[t1], wide, err);
        for (uint32_t k = i; k < end && st >= 0; k++)
            for (uint32_t t = t0; t < t1; t++) {
                const float *x = wide + (k - i) * n - first[t0];
                float best = -INFINITY;
                for (uint32_t p = first[t]; p < first[t + 1]; p++)
                    best = x[p] > best || isnan(x[p]) ? x[p] : best;
                *out++ = best;
            }
    }
    free(wide);
    return st;
}

static mohs_status similarity(const struct mohs_eval *e, uint32_t i0, uint32_t i1,
                              uint32_t t0, uint32_t t1, float *out,
                              struct mohs_error *err)
{
    const struct similarity *s = e->ctx;
    if (i0 > i1 || i1 > e->n_images || t0 > t1 || t1 > e->n_texts)
        return mohs_fail(err, MOHS_E_ARG, "similarity: [%u,%u) x [%u,%u) of %u x %u",
                         i0, i1, t0, t1, e->n_images, e->n_texts);
    return s->first ? best_of_class(e, i0, i1, t0, t1, out, err)
                    : product(e, i0, i1, t0, t1, out, err);
}

static mohs_status pair_scores(const struct mohs_eval *e, uint64_t n,
                               const uint32_t *image, const uint32_t *text, float *out,
                               struct mohs_error *err)
{
    const struct similarity *s = e->ctx;
    return pair_rows(s->e, s->c, n, image, text, out, err);
}

static mohs_status upload(struct compute *c, const float *x, size_t n,
                          struct mohs_buffer **out, struct mohs_error *err)
{
    RET_IF_ERR(buffer_new(c, n * sizeof *x, out, err));
    return buffer_write(*out, 0, x, n * sizeof *x, err);
}

/* ---- the sample table ---- */

static mohs_status alloc_samples(struct mohs_samples *s, uint32_t n_rows,
                                 uint32_t n_clusters, struct mohs_error *err)
{
    if (s->value)
        return mohs_fail(err, MOHS_E_PLUGIN, "metric: sample table made twice");
    s->value = try_calloc((size_t)n_rows * s->n_columns, sizeof *s->value, "samples",
                          err);
    s->cluster = try_calloc(n_rows, sizeof *s->cluster, "samples", err);
    if (!s->value || !s->cluster)
        return MOHS_E_NOMEM;
    s->n_rows = n_rows;
    s->n_clusters = n_clusters;
    return MOHS_OK;
}

static void samples_free(struct mohs_samples *s)
{
    free(s->value);
    free(s->cluster);
    s->value = NULL;
    s->cluster = NULL;
}

struct table {
    struct eval *e;
    const struct eval_cell *c;
    const struct mohs_metric_ops *ops;
    void *self;
    uint32_t *owner, *label; /* one of them */
};

/* What the metric sees but the embeddings. */
static void task_of(const struct table *t, struct similarity *sim,
                    struct mohs_eval *me)
{
    const struct dataset *d = t->c->data->set;
    const struct data_embeddings *given = d->embeddings;
    const struct mohs_model_info *info =
        given ? NULL : encoder_info(t->c->model->encoder);
    *me = (struct mohs_eval) { .size = sizeof *me,
                               .n_images = (uint32_t)d->n_images,
                               .n_texts = (uint32_t)d->n_texts,
                               .dim = cell_dim(t->c),
                               .owner = t->owner,
                               .label = t->label,
                               .logit_scale = given ? given->logit_scale : info->logit_scale,
                               .logit_bias = given ? given->logit_bias : info->logit_bias,
                               .ctx = sim,
                               .similarity = similarity,
                               .n_factors = (uint32_t)d->n_factors,
                               .factor_name = d->factors,
                               .factor = d->factor };
    sim->e = t->e;
    sim->c = t->c;
    const struct mohs_pair_info *pairs = given ? NULL : pairs_info(t->c->model->encoder);
    if (pairs && !t->c->prompts && !t->c->attack.item) {
        me->n_pair_scores = pairs->n_scores;
        me->pair_match = pairs->match;
        me->pair_scores = pair_scores;
    }
    if (!t->c->prompts)
        return;
    const struct class_texts *k = class_texts_of(t->c);
    me->n_texts = (uint32_t)k->n_classes;
    sim->first = cell_has_wide_classes(t->c) ? k->first : NULL;
}

static mohs_status fill_table(struct table *t, const float *image,
                              const float *text, struct mohs_samples *s,
                              struct mohs_error *err)
{
    struct similarity sim = { 0 };
    struct mohs_eval me;
    mohs_status st;
    *s = (struct mohs_samples) { .size = sizeof *s, .alloc = alloc_samples };
    t->ops->columns(t->self, &s->n_columns);
    task_of(t, &sim, &me);
    me.image = image;
    me.text = sim.first ? NULL : text;
    OUT_IF_ERR(registry_compute(t->e->registry, &sim.compute, err));
    OUT_IF_ERR(upload(sim.compute, image, (size_t)me.n_images * me.dim, &sim.image,
                      err));
    OUT_IF_ERR(upload(sim.compute, text, cell_candidates(t->c) * me.dim, &sim.text,
                      err));
    st = t->ops->measure(t->self, &me, s, err);
    scratch_reset();
    if (st >= 0 && !s->value)
        st = mohs_fail(err, MOHS_E_PLUGIN, "%s: measure() made no sample table",
                       t->c->metric.item->item->id);
    for (uint32_t i = 0; st >= 0 && i < s->n_rows; i++)
        if (s->cluster[i] >= s->n_clusters)
            st = mohs_fail(err, MOHS_E_PLUGIN, "%s: row %u is in cluster %u of %u",
                           t->c->metric.item->item->id, i, s->cluster[i],
                           s->n_clusters);
out:
    buffer_unref(sim.image);
    buffer_unref(sim.text);
    buffer_unref(sim.tile);
    if (st < 0)
        samples_free(s);
    return st;
}

/* ---- intervals ---- */

typedef mohs_status (*summary_fn)(void *user, const uint32_t *weight, double *out,
                                  struct mohs_error *err);

struct boot {
    const struct mohs_samples *s;
    uint64_t seed;
    uint32_t n_values;
    double *value; /* resample-major */
    summary_fn fn;
    void *user;
};

static mohs_status boot_one(void *user, size_t b, struct mohs_error *err)
{
    struct boot *w = user;
    uint32_t *clusters = xcalloc(w->s->n_clusters, sizeof *clusters);
    uint32_t *weight = xcalloc(w->s->n_rows, sizeof *weight);
    stats_resample(w->s->cluster, w->s->n_rows, w->s->n_clusters, w->seed, b,
                   clusters, weight);
    mohs_status st = w->fn(w->user, weight, w->value + b * w->n_values, err);
    scratch_reset();
    free(clusters);
    free(weight);
    return st;
}

/* Values of fn over all rows, each with its 95 % interval. */
static mohs_status with_intervals(struct eval *e, const struct mohs_samples *s,
                                  uint32_t n, summary_fn fn, void *user,
                                  struct result_value *out, struct mohs_error *err)
{
    uint32_t b = e->o.bootstrap;
    double *point = xcalloc(n, sizeof *point), *one = xcalloc(b + 1, sizeof *one);
    struct boot w = { s, e->o.seed, n, NULL, fn, user };
    mohs_status st;
    w.value = try_calloc((size_t)b * n, sizeof *w.value, "resamples", err);
    if (!w.value) {
        st = MOHS_E_NOMEM;
        goto out;
    }
    OUT_IF_ERR(fn(user, NULL, point, err));
    OUT_IF_ERR(pool_run(e->pool, b, boot_one, &w, err));
    for (uint32_t v = 0; v < n; v++) {
        out[v].value = point[v];
        out[v].low = out[v].high = NAN;
        for (uint32_t i = 0; i < b; i++)
            one[i] = w.value[(size_t)i * n + v];
        if (b)
            stats_percentile(one, b, 0.95, &out[v].low, &out[v].high);
    }
out:
    free(point);
    free(one);
    free(w.value);
    return st;
}

static mohs_status metric_summary(void *user, const uint32_t *weight, double *out,
                                  struct mohs_error *err)
{
    struct measured *m = user;
    return m->ops->summarise(m->self, &m->samples, weight, out, err);
}

/* ---- what an attack took ---- */

/* Columns whose clean entries are hits. */
struct loss_of_hits {
    const struct mohs_samples *clean, *attacked;
    uint32_t *column;
    uint32_t n;
};

enum { PER_COLUMN = 3 };
/* Values of a column: the share of clean hits lost (Lu et al. 2023), the share
 * missed, and how far the score fell (Zhang et al. 2022). */
static mohs_status hits_lost(void *user, const uint32_t *weight, double *out,
                             struct mohs_error *err)
{
    struct loss_of_hits *l = user;
    (void)err;
    for (uint32_t k = 0; k < l->n; k++) {
        double had = 0, lost = 0, missed = 0, rows = 0;
        for (uint32_t r = 0; r < l->clean->n_rows; r++) {
            size_t at = (size_t)r * l->clean->n_columns + l->column[k];
            double w = weight ? weight[r] : 1;
            double c = l->clean->value[at], a = l->attacked->value[at];
            if (isnan(c) || isnan(a))
                continue;
            had += w * c;
            lost += w * fmax(0, c - a);
            missed += w * (1 - a);
            rows += w;
        }
        out[PER_COLUMN * k] = had > 0 ? 100 * lost / had : NAN;
        out[PER_COLUMN * k + 1] = rows > 0 ? 100 * missed / rows : NAN;
        out[PER_COLUMN * k + 2] = rows > 0 ? 100 * (had - rows + missed) / rows : NAN;
    }
    return MOHS_OK;
}

/* How the audits of samples become one value. */
enum fold { FOLD_MAX, FOLD_MEAN, FOLD_SUM };
/* Of deltas: where texts are replaced those of images; of texts: only there. */
enum whose { OF_DELTAS, OF_TEXTS, OF_ALL };
struct audit_value {
    int column;
    enum fold fold;
    enum whose whose;
    const char *name, *doc;
};

static const struct audit_value audit_kinds[] = {
    { AUDIT_LINF, FOLD_MAX, OF_DELTAS, "delta_linf_max", "largest |delta|" },
    { AUDIT_L2, FOLD_MEAN, OF_DELTAS, "delta_l2_mean", "mean L2 norm of delta" },
    { AUDIT_REL_L2, FOLD_MAX, OF_DELTAS, "delta_relative_l2_max",
      "largest norm(delta) / norm(clean) of a token" },
    { AUDIT_RANGE, FOLD_SUM, OF_DELTAS, "audit_out_of_range",
      "entries outside the allowed range" },
    { AUDIT_PADDING, FOLD_SUM, OF_DELTAS, "audit_on_padding", "padding entries touched" },
    { AUDIT_BAD, FOLD_SUM, OF_DELTAS, "audit_non_finite", "NaN or infinite entries" },
    { AUDIT_WORDS, FOLD_MAX, OF_TEXTS, "edit_words_max", "most words changed in a text" },
    { AUDIT_WORDS, FOLD_MEAN, OF_TEXTS, "edit_words_mean", "mean of words changed" },
    { AUDIT_CHARS, FOLD_MAX, OF_TEXTS, "edit_chars_max", "most characters edited in a text" },
    { AUDIT_CHARS, FOLD_MEAN, OF_TEXTS, "edit_chars_mean", "mean of characters edited" },
    { AUDIT_TOKENS, FOLD_MAX, OF_TEXTS, "edit_tokens_max", "most tokens changed in a text" },
    { AUDIT_TOKENS, FOLD_MEAN, OF_TEXTS, "edit_tokens_mean", "mean of tokens changed" },
    { AUDIT_OVER, FOLD_SUM, OF_TEXTS, "audit_over_budget",
      "texts with more edits than the attack may make" },
    { AUDIT_FORWARD, FOLD_MEAN, OF_ALL, "attack_forward",
      "forward passes of a sample, mean" },
    { AUDIT_BACKWARD, FOLD_MEAN, OF_ALL, "attack_backward",
      "backward passes of a sample, mean" },
    { AUDIT_CUT, FOLD_SUM, OF_ALL, "attack_cut",
      "samples whose budget of passes or time ran out" },
};
enum { N_AUDIT_KINDS = sizeof audit_kinds / sizeof *audit_kinds };

static double fold_audits(const struct audit_value *k, const float *audit, size_t n)
{
    double x = 0;
    for (size_t i = 0; i < n; i++) {
        double y = audit[i * AUDIT_DIM + k->column];
        if (k->fold == FOLD_MAX)
            x = fmax(x, y);
        else
            x += k->fold == FOLD_MEAN ? y / (double)n : y;
    }
    return x;
}

/* Of n images (0: not attacked) and n_texts texts, in one array. */
static void audit_values(struct measured *m, const struct eval_item *attack,
                         const float *audit, size_t n, size_t n_texts)
{
    bool texts = attacks_texts(attack);
    for (int i = 0; i < N_AUDIT_KINDS; i++) {
        const struct audit_value *k = &audit_kinds[i];
        if (k->whose == OF_TEXTS && !texts)
            continue;
        const float *from = k->whose == OF_TEXTS ? audit + n * AUDIT_DIM : audit;
        size_t count = k->whose == OF_TEXTS             ? n_texts
                       : k->whose == OF_DELTAS && texts ? n
                                                        : n + n_texts;
        m->value[m->n_values++] = (struct result_value) {
            .name = k->name, .doc = k->doc, .unit = "",
            .value = fold_audits(k, from, count), .low = NAN, .high = NAN };
    }
}

static mohs_status attack_values(struct eval *e, struct measured *m,
                                 const struct mohs_samples *clean,
                                 struct mohs_error *err)
{
    const struct mohs_samples *a = &m->samples;
    struct loss_of_hits l = { clean, a, NULL, 0 };
    if (clean->n_rows != a->n_rows)
        return mohs_fail(err, MOHS_E_PLUGIN,
                         "metric: %u rows clean, %u attacked", clean->n_rows,
                         a->n_rows);
    l.column = xcalloc(m->n_columns, sizeof *l.column);
    struct result_samples seen = { .columns = m->columns, .n_columns = m->n_columns,
                                   .n_rows = clean->n_rows, .value = clean->value };
    for (uint32_t c = 0; c < m->n_columns; c++)
        if (result_is_hit(&seen, c))
            l.column[l.n++] = c;
    size_t n = m->n_values + PER_COLUMN * l.n;
    m->value = xrealloc(m->value, (n + N_AUDIT_KINDS) * sizeof *m->value);
    struct result_value *v = m->value + m->n_values;
    for (uint32_t k = 0; k < l.n; k++) {
        const char *name = m->columns[l.column[k]];
        v[PER_COLUMN * k] = (struct result_value) {
            .name = arena_printf(m->arena, "asr_flip:%s", name), .unit = "%",
            .doc = "share of clean hits that the attack took", .direction = -1 };
        v[PER_COLUMN * k + 1] = (struct result_value) {
            .name = arena_printf(m->arena, "asr_miss:%s", name), .unit = "%",
            .doc = "share of queries that miss under attack", .direction = -1 };
        v[PER_COLUMN * k + 2] = (struct result_value) {
            .name = arena_printf(m->arena, "asr_drop:%s", name), .unit = "%",
            .doc = "score that the attack took: clean minus attacked", .direction = -1 };
    }
    mohs_status st = with_intervals(e, a, PER_COLUMN * l.n, hits_lost, &l, v, err);
    if (st >= 0)
        m->n_values = n;
    free(l.column);
    return st;
}

/* ---- one cell ---- */

struct rows {
    float *image, *text, *audit;
    size_t n_images, n_texts; /* audited */
};

static mohs_status attack_rows(struct eval *e, const struct eval_cell *c,
                               const struct rows *clean, struct rows *r,
                               struct mohs_error *err)
{
    size_t ni = c->data->set->n_images, nt = c->data->set->n_texts;
    uint32_t towers = attack_towers(&c->attack);
    if (!towers)
        return mohs_fail(err, MOHS_E_ARG, "%s: no tap given",
                         c->attack.item->item->id);
    r->audit = try_calloc(ni + nt, AUDIT_DIM * sizeof *r->audit, "audit", err);
    if (!r->audit)
        return MOHS_E_NOMEM;
    r->n_images = towers & MOHS_TOWER_IMAGE ? ni : 0;
    r->n_texts = towers & MOHS_TOWER_TEXT ? nt : 0;
    struct attack_rows a = { clean->image, clean->text, r->image, r->text, r->audit,
                             r->audit + r->n_images * AUDIT_DIM };
    if (towers & MOHS_TOWER_IMAGE)
        RET_IF_ERR(embed_attacked(e, c, MOHS_TOWER_IMAGE, &a, err));
    if ((towers & MOHS_TOWER_TEXT) && !attacks_pairs(&c->attack))
        RET_IF_ERR(embed_attacked(e, c, MOHS_TOWER_TEXT, &a, err));
    return MOHS_OK;
}

static void rows_free(struct rows *r)
{
    free(r->image);
    free(r->text);
    free(r->audit);
}

static mohs_status rows_alloc(const struct eval_cell *c, struct rows *r,
                              struct mohs_error *err)
{
    size_t dim = encoder_info(c->model->encoder)->embed_dim;
    r->image = try_calloc(c->data->set->n_images * dim, sizeof(float), "embeddings",
                          err);
    r->text = try_calloc(cell_candidates(c) * dim, sizeof(float), "embeddings", err);
    return r->image && r->text ? MOHS_OK : MOHS_E_NOMEM;
}

static mohs_status measure_attack(struct eval *e, const struct eval_cell *c,
                                  struct table *t, struct rows *clean,
                                  struct measured *m, struct mohs_error *err)
{
    struct rows r = { 0 };
    struct mohs_samples before = { 0 };
    size_t dim = encoder_info(c->model->encoder)->embed_dim;
    mohs_status st;
    OUT_IF_ERR(rows_alloc(c, &r, err));
    memcpy(r.image, clean->image, c->data->set->n_images * dim * sizeof(float));
    memcpy(r.text, clean->text, cell_candidates(c) * dim * sizeof(float));
    OUT_IF_ERR(attack_rows(e, c, clean, &r, err));
    OUT_IF_ERR(fill_table(t, clean->image, clean->text, &before, err));
    OUT_IF_ERR(fill_table(t, r.image, r.text, &m->samples, err));
    OUT_IF_ERR(with_intervals(e, &m->samples, (uint32_t)m->n_values, metric_summary,
                              m, m->value, err));
    OUT_IF_ERR(attack_values(e, m, &before, err));
    audit_values(m, &c->attack, r.audit, r.n_images, r.n_texts);
out:
    samples_free(&before);
    rows_free(&r);
    return st;
}

/* Whose text, or which class. */
static void truth(struct table *t)
{
    const struct dataset *d = t->c->data->set;
    bool classes = t->c->prompts || (d->embeddings && d->embeddings->classes);
    size_t n = classes ? d->n_images : d->n_texts;
    uint32_t *v = xcalloc(n + 1, sizeof *v);
    for (size_t i = 0; i < n; i++)
        v[i] = classes ? d->image[i].label : d->text[i].image;
    *(classes ? &t->label : &t->owner) = v;
}

mohs_status measure_cell(struct eval *e, const struct eval_cell *c,
                         struct measured *m, struct mohs_error *err)
{
    struct rows r = { 0 };
    struct table t = { .e = e, .c = c, .ops = c->metric.item->item->ops };
    mohs_status st;
    memset(m, 0, sizeof *m);
    m->ops = t.ops;
    m->arena = arena_new();
    truth(&t);
    OUT_IF_ERR(t.ops->create(registry_host(e->registry), c->metric.params, &t.self,
                             err));
    scratch_reset();
    m->self = t.self;
    m->columns = t.ops->columns(t.self, &m->n_columns);
    uint32_t n;
    const struct mohs_value *named = t.ops->values(t.self, &n);
    m->value = xcalloc(n + 1, sizeof *m->value);
    m->n_values = n;
    for (uint32_t i = 0; i < n; i++)
        m->value[i] = (struct result_value) { .name = named[i].name,
                                              .unit = named[i].unit,
                                              .doc = named[i].doc,
                                              .direction = named[i].direction };
    const struct data_embeddings *given = c->data->set->embeddings;
    if (!given) {
        OUT_IF_ERR(rows_alloc(c, &r, err));
        OUT_IF_ERR(embed_images(e, c, r.image, err));
        OUT_IF_ERR(embed_texts(e, c, r.text, err));
    }
    if (c->attack.item) {
        OUT_IF_ERR(measure_attack(e, c, &t, &r, m, err));
    } else {
        OUT_IF_ERR(fill_table(&t, given ? given->image : r.image,
                              given ? given->text : r.text, &m->samples, err));
        OUT_IF_ERR(with_intervals(e, &m->samples, n, metric_summary, m, m->value,
                                  err));
    }
out:
    free(t.owner);
    free(t.label);
    rows_free(&r);
    if (st < 0)
        measured_free(m);
    return st;
}

void measured_free(struct measured *m)
{
    samples_free(&m->samples);
    free(m->value);
    if (m->self)
        m->ops->destroy(m->self);
    arena_free(m->arena);
    memset(m, 0, sizeof *m);
}
