/* SPDX-License-Identifier: MIT */
/*
 * What changed between two results files, and why: cells are paired by their
 * axes, values compared exactly, causes read from the provenance, and where
 * both cells kept samples of the same rows the columns are compared row by
 * row (paired cluster bootstrap; exact McNemar on columns of 0 and 1).
 */
#include "config.h"

#include "results/results.h"
#include "results/results_store.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { RESAMPLES = 1000 };
static const double level = 0.95;

struct file {
    const char *path;
    struct results *r;
    struct cell_list l;
    const char **key; /* pairing key of each cell */
};

/* An axis that is one thing throughout A and another throughout B, such as
 * the model of two files of one model each. It does not hinder pairing. */
struct renamed {
    const char *key, *a, *b;
};

struct cause {
    const char *key, *a, *b;
    size_t cells;
};

struct diff {
    struct file a, b;
    struct arena *arena;
    struct renamed *renamed;
    size_t n_renamed;
    struct cause *cause;
    size_t n_causes;
    struct str out;
    bool json;
    size_t pairs, changed, only_a, only_b;
};

/* The value that `key` has in every cell, or NULL. */
static const char *constant_axis(const struct cell_list *l, const char *key)
{
    const char *x = l->n ? results_axis(&l->v[0], key) : NULL;
    for (size_t i = 1; x && i < l->n; i++) {
        const char *y = results_axis(&l->v[i], key);
        if (!y || strcmp(x, y))
            x = NULL;
    }
    return x;
}

static void find_renamed(struct diff *d)
{
    if (!d->a.l.n)
        return;
    const struct result_cell *c = &d->a.l.v[0];
    d->renamed = xcalloc(c->n_axes + 1, sizeof *d->renamed);
    for (size_t i = 0; i < c->n_axes; i++) {
        const char *a = constant_axis(&d->a.l, c->axis[i].key);
        const char *b = constant_axis(&d->b.l, c->axis[i].key);
        if (a && b && strcmp(a, b))
            d->renamed[d->n_renamed++] = (struct renamed) { c->axis[i].key, a, b };
    }
}

static int by_key(const void *a, const void *b)
{
    const struct result_pair *x = a, *y = b;
    int o = strcmp(x->key, y->key);
    return o ? o : strcmp(x->value, y->value);
}

/* Sorted "key=value" lines without the renamed axes. */
static const char *pairing_key(const struct diff *d, const struct result_cell *c)
{
    struct result_pair *p = xcalloc(c->n_axes + 1, sizeof *p);
    struct str b = { 0 };
    size_t n = 0;
    for (size_t i = 0; i < c->n_axes; i++) {
        bool skip = false;
        for (size_t k = 0; k < d->n_renamed; k++)
            skip |= !strcmp(d->renamed[k].key, c->axis[i].key);
        if (!skip)
            p[n++] = c->axis[i];
    }
    qsort(p, n, sizeof *p, by_key);
    for (size_t i = 0; i < n; i++)
        str_addf(&b, "%s=%s\n", p[i].key, p[i].value);
    const char *s = arena_strdup(d->arena, b.n ? b.s : "");
    str_free(&b);
    free(p);
    return s;
}

static mohs_status file_load(struct file *f, const char *path,
                             struct mohs_error *err)
{
    f->path = path;
    RET_IF_ERR(results_open_readonly(path, &f->r, err));
    RET_IF_ERR(results_load(f->r, &f->l, err));
    f->key = xcalloc(f->l.n + 1, sizeof *f->key);
    return MOHS_OK;
}

static void file_free(struct file *f)
{
    results_unload(&f->l);
    results_close(f->r);
    free(f->key);
}

/* ---- samples --------------------------------------------------------- */

struct column_diff {
    const char *name;
    double a, b, low, high;
    uint64_t gained, lost; /* discordant rows of a 0/1 column */
    double p;              /* NaN: not 0/1 */
};

static bool same_rows(const struct result_samples *a,
                      const struct result_samples *b)
{
    if (!a->n_rows || a->n_rows != b->n_rows || a->n_columns != b->n_columns ||
        !a->row_id != !b->row_id ||
        memcmp(a->cluster, b->cluster, a->n_rows * sizeof *a->cluster))
        return false;
    for (uint32_t j = 0; j < a->n_columns; j++)
        if (strcmp(a->columns[j], b->columns[j]))
            return false;
    for (uint32_t i = 0; a->row_id && i < a->n_rows; i++)
        if (strcmp(a->row_id[i], b->row_id[i]))
            return false;
    return true;
}

static int by_number(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* Clusters renumbered without holes; returns their number. */
static uint32_t dense_clusters(const struct result_samples *s, uint32_t *out)
{
    uint32_t *sorted = xmalloc(s->n_rows * sizeof *sorted), n = 0;
    memcpy(sorted, s->cluster, s->n_rows * sizeof *sorted);
    qsort(sorted, s->n_rows, sizeof *sorted, by_number);
    for (uint32_t i = 0; i < s->n_rows; i++)
        if (!i || sorted[i] != sorted[n - 1])
            sorted[n++] = sorted[i];
    for (uint32_t i = 0; i < s->n_rows; i++) {
        const uint32_t *p = bsearch(&s->cluster[i], sorted, n, sizeof *sorted,
                                    by_number);
        out[i] = (uint32_t)(p - sorted);
    }
    free(sorted);
    return n;
}

struct paired {
    const struct result_samples *a, *b;
    uint32_t n_clusters;
    uint32_t *cluster, *scratch, *weight, *ids;
    double *sum, *count; /* per cluster: differences, rows */
    double *boot;
};

static void column_compare(struct paired *p, uint32_t j, struct column_diff *out)
{
    const uint32_t m = p->a->n_columns;
    double sa = 0, sb = 0, n = 0;
    bool binary = true;
    *out = (struct column_diff) { .name = p->a->columns[j], .p = NAN };
    memset(p->sum, 0, p->n_clusters * sizeof *p->sum);
    memset(p->count, 0, p->n_clusters * sizeof *p->count);
    for (uint32_t i = 0; i < p->a->n_rows; i++) {
        double x = p->a->value[(size_t)i * m + j];
        double y = p->b->value[(size_t)i * m + j];
        if (isnan(x) || isnan(y))
            continue;
        binary = binary && (x == 0 || x == 1) && (y == 0 || y == 1);
        out->gained += y > x;
        out->lost += y < x;
        sa += x;
        sb += y;
        n += 1;
        p->sum[p->cluster[i]] += y - x;
        p->count[p->cluster[i]] += 1;
    }
    out->a = n > 0 ? sa / n : NAN;
    out->b = n > 0 ? sb / n : NAN;
    if (binary && n > 0)
        out->p = stats_mcnemar(out->gained, out->lost);
    for (uint32_t k = 0; k < RESAMPLES; k++) {
        double s = 0, c = 0;
        stats_resample(p->ids, p->n_clusters, p->n_clusters, 0, k, p->scratch,
                       p->weight);
        for (uint32_t i = 0; i < p->n_clusters; i++) {
            s += p->weight[i] * p->sum[i];
            c += p->weight[i] * p->count[i];
        }
        p->boot[k] = c > 0 ? s / c : NAN;
    }
    stats_percentile(p->boot, RESAMPLES, level, &out->low, &out->high);
}

/* Differences of every column, or none when the rows do not match. */
static struct column_diff *samples_compare(const struct result_samples *a,
                                           const struct result_samples *b)
{
    if (!same_rows(a, b))
        return NULL;
    struct column_diff *out = xcalloc(a->n_columns + 1, sizeof *out);
    struct paired p = { .a = a, .b = b };
    p.cluster = xmalloc(a->n_rows * sizeof *p.cluster);
    p.n_clusters = dense_clusters(a, p.cluster);
    p.scratch = xcalloc(p.n_clusters, sizeof *p.scratch);
    p.weight = xcalloc(p.n_clusters, sizeof *p.weight);
    p.ids = xcalloc(p.n_clusters, sizeof *p.ids);
    p.sum = xcalloc(p.n_clusters, sizeof *p.sum);
    p.count = xcalloc(p.n_clusters, sizeof *p.count);
    p.boot = xcalloc(RESAMPLES, sizeof *p.boot);
    for (uint32_t i = 0; i < p.n_clusters; i++)
        p.ids[i] = i;
    for (uint32_t j = 0; j < a->n_columns; j++)
        column_compare(&p, j, &out[j]);
    free(p.cluster);
    free(p.scratch);
    free(p.weight);
    free(p.ids);
    free(p.sum);
    free(p.count);
    free(p.boot);
    return out;
}

/* ---- output ---------------------------------------------------------- */

static void note_cause(struct diff *d, const char *key, const char *a,
                       const char *b)
{
    for (size_t i = 0; i < d->n_causes; i++) {
        struct cause *c = &d->cause[i];
        if (!strcmp(c->key, key) && !strcmp(c->a, a) && !strcmp(c->b, b)) {
            c->cells++;
            return;
        }
    }
    d->cause = xrealloc(d->cause, (d->n_causes + 1) * sizeof *d->cause);
    d->cause[d->n_causes++] = (struct cause) { key, a, b, 1 };
}

static const char *pair_get(const struct result_pair *p, size_t n,
                            const char *key)
{
    for (size_t i = 0; i < n; i++)
        if (!strcmp(p[i].key, key))
            return p[i].value;
    return NULL;
}

static void json_cause(struct str *b, bool *first, const char *key,
                       const char *x, const char *y)
{
    str_add(b, *first ? "" : ",");
    *first = false;
    str_add_json(b, key);
    str_add(b, ":[");
    str_add_json(b, x);
    str_add(b, ",");
    str_add_json(b, y);
    str_add(b, "]");
}

static void explain(struct diff *d, const struct result_cell *a,
                    const struct result_cell *b)
{
    bool first = true;
    static const char *const absent = "(absent)";
    if (d->json)
        str_add(&d->out, ",\"causes\":{");
    if (a->hash.hi == b->hash.hi && a->hash.lo == b->hash.lo) {
        const char *same = "same inputs", *other = "different values";
        note_cause(d, "not deterministic", same, other);
        if (d->json)
            json_cause(&d->out, &first, "not deterministic", same, other);
    }
    for (size_t i = 0; i < a->n_provenance; i++) {
        const char *key = a->provenance[i].key, *x = a->provenance[i].value;
        const char *y = pair_get(b->provenance, b->n_provenance, key);
        if (y && !strcmp(x, y))
            continue;
        note_cause(d, key, x, y ? y : absent);
        if (d->json)
            json_cause(&d->out, &first, key, x, y ? y : absent);
    }
    for (size_t i = 0; i < b->n_provenance; i++) {
        const char *key = b->provenance[i].key;
        if (pair_get(a->provenance, a->n_provenance, key))
            continue;
        note_cause(d, key, absent, b->provenance[i].value);
        if (d->json)
            json_cause(&d->out, &first, key, absent, b->provenance[i].value);
    }
    if (d->json)
        str_add(&d->out, "}");
}

static const struct result_value *value_get(const struct result_cell *c,
                                            const char *name)
{
    for (size_t i = 0; i < c->n_values; i++)
        if (!strcmp(c->value[i].name, name))
            return &c->value[i];
    return NULL;
}

static bool same_number(double x, double y)
{
    return x == y || (isnan(x) && isnan(y));
}

/* Names that are in one cell only count as changed. */
static bool cells_differ(const struct result_cell *a, const struct result_cell *b)
{
    if (a->n_values != b->n_values)
        return true;
    for (size_t i = 0; i < a->n_values; i++) {
        const struct result_value *v = value_get(b, a->value[i].name);
        if (!v || !same_number(a->value[i].value, v->value) ||
            !same_number(a->value[i].low, v->low) ||
            !same_number(a->value[i].high, v->high))
            return true;
    }
    return false;
}

static const char *title(struct arena *a, const char *key)
{
    char *s = arena_strdup(a, *key ? key : "(all)");
    for (char *p = s; *p; p++)
        if (*p == '\n')
            *p = p[1] ? ' ' : 0;
    return s;
}

static void put_number(struct text_table *t, const char *fmt, double x)
{
    char text[48];
    snprintf(text, sizeof text, fmt, x);
    table_add(t, "%s", isnan(x) ? "-" : text);
}

static void put_value(struct diff *d, struct text_table *t, const char *name,
                      const struct result_value *x, const struct result_value *y,
                      bool *first)
{
    double a = x ? x->value : NAN, b = y ? y->value : NAN;
    bool same = x && y && same_number(a, b);
    bool same_interval = x && y && same_number(x->low, y->low) &&
                         same_number(x->high, y->high);
    if (same && same_interval)
        return;
    if (!d->json) {
        table_add(t, "  %s", name);
        put_number(t, "%.6g", a);
        put_number(t, "%.6g", b);
        put_number(t, "%+.4g", b - a);
        table_add(t, "%s", same ? "intervals differ" : "");
        table_add(t, "%s", "");
        return;
    }
    str_add(&d->out, *first ? "{\"name\":" : ",{\"name\":");
    *first = false;
    str_add_json(&d->out, name);
    str_add(&d->out, ",\"a\":");
    json_number(&d->out, a);
    str_add(&d->out, ",\"b\":");
    json_number(&d->out, b);
    str_add(&d->out, "}");
}

static void put_column(struct diff *d, struct text_table *t,
                       const struct column_diff *c, bool *first)
{
    if (!d->json) {
        if (!c->gained && !c->lost)
            return; // the same in every row
        table_add(t, "  mean of %s", c->name);
        table_add(t, "%.4g", c->a);
        table_add(t, "%.4g", c->b);
        table_add(t, "%+.4g", c->b - c->a);
        table_add(t, "[%+.4g, %+.4g]", c->low, c->high);
        if (isnan(c->p))
            table_add(t, "%s", "");
        else
            table_add(t, "p=%.3g (+%" PRIu64 " -%" PRIu64 ")", c->p, c->gained,
                      c->lost);
        return;
    }
    str_add(&d->out, *first ? "{\"name\":" : ",{\"name\":");
    *first = false;
    str_add_json(&d->out, c->name);
    static const char *const key[] = { "a", "b", "low", "high", "mcnemar_p" };
    const double x[] = { c->a, c->b, c->low, c->high, c->p };
    for (int i = 0; i < 5; i++) {
        str_addf(&d->out, ",\"%s\":", key[i]);
        json_number(&d->out, x[i]);
    }
    str_addf(&d->out, ",\"gained\":%" PRIu64 ",\"lost\":%" PRIu64 "}",
             c->gained, c->lost);
}

static mohs_status put_pair(struct diff *d, size_t i, size_t k,
                            struct mohs_error *err)
{
    const struct result_cell *a = &d->a.l.v[i], *b = &d->b.l.v[k];
    struct result_samples sa = { 0 }, sb = { 0 };
    struct text_table t;
    bool first = true;
    mohs_status st = results_samples(d->a.r, a->hash, &sa, err);
    if (st >= 0)
        st = results_samples(d->b.r, b->hash, &sb, err);
    struct column_diff *c = st >= 0 ? samples_compare(&sa, &sb) : NULL;
    table_init(&t, 6, 1);
    if (d->json) {
        str_add(&d->out, d->changed ? ",\n{\"axes\":" : "\n{\"axes\":");
        json_pairs(&d->out, a->axis, a->n_axes);
        str_add(&d->out, ",\"values\":[");
    } else {
        str_addf(&d->out, "%s\n", title(d->arena, d->a.key[i]));
        table_add(&t, "%s", "");
        static const char *const head[] = { "A", "B", "B - A", "95 %", "McNemar" };
        for (int h = 0; h < 5; h++)
            table_add(&t, "%s", head[h]);
    }
    for (size_t v = 0; v < a->n_values; v++)
        put_value(d, &t, a->value[v].name, &a->value[v],
                  value_get(b, a->value[v].name), &first);
    for (size_t v = 0; v < b->n_values; v++)
        if (!value_get(a, b->value[v].name))
            put_value(d, &t, b->value[v].name, NULL, &b->value[v], &first);
    if (d->json)
        str_add(&d->out, "],\"samples\":[");
    first = true;
    for (uint32_t j = 0; c && j < sa.n_columns; j++)
        put_column(d, &t, &c[j], &first);
    if (d->json)
        str_add(&d->out, "]");
    table_end(&t, 0, &d->out);
    explain(d, a, b);
    str_add(&d->out, d->json ? "}" : "\n");
    d->changed++;
    free(c);
    results_samples_free(&sa);
    results_samples_free(&sb);
    return st;
}

static void put_single(struct diff *d, const char *which, const char *key,
                       bool *first)
{
    if (d->json) {
        str_add(&d->out, *first ? "" : ",");
        str_add_json(&d->out, title(d->arena, key));
    } else {
        str_addf(&d->out, "only in %s: %s\n", which, title(d->arena, key));
    }
    *first = false;
}

/* The cell of l that goes with key: the same hash if there is one, else the
 * latest. */
static size_t partner(const struct file *f, const char *key, struct hash128 hash)
{
    size_t found = SIZE_MAX;
    for (size_t i = 0; i < f->l.n; i++) {
        if (strcmp(f->key[i], key))
            continue;
        found = i;
        if (f->l.v[i].hash.hi == hash.hi && f->l.v[i].hash.lo == hash.lo)
            break;
    }
    return found;
}

static mohs_status put_pairs_all(struct diff *d, struct mohs_error *err)
{
    for (size_t i = 0; i < d->a.l.n; i++) {
        size_t k = partner(&d->b, d->a.key[i], d->a.l.v[i].hash);
        if (k == SIZE_MAX)
            continue;
        d->pairs++;
        if (cells_differ(&d->a.l.v[i], &d->b.l.v[k]))
            RET_IF_ERR(put_pair(d, i, k, err));
    }
    return MOHS_OK;
}

static size_t put_singles(struct diff *d, const struct file *f,
                          const struct file *other, const char *which)
{
    bool first = true;
    size_t n = 0;
    if (d->json)
        str_addf(&d->out, ",\"only_%s\":[", which);
    for (size_t i = 0; i < f->l.n; i++) {
        if (partner(other, f->key[i], f->l.v[i].hash) != SIZE_MAX)
            continue;
        put_single(d, which, f->key[i], &first);
        n++;
    }
    if (d->json)
        str_add(&d->out, "]");
    return n;
}

static void put_summary(struct diff *d)
{
    if (d->json) {
        str_addf(&d->out, ",\"pairs\":%zu,\"changed\":%zu}\n", d->pairs,
                 d->changed);
        return;
    }
    if (d->n_causes)
        str_add(&d->out, "what differs in their provenance (cells):\n");
    for (size_t i = 0; i < d->n_causes; i++)
        str_addf(&d->out, "  %s: %s -> %s (%zu)\n", d->cause[i].key,
                 d->cause[i].a, d->cause[i].b, d->cause[i].cells);
    str_addf(&d->out, "%zu pairs, %zu changed, %zu only in A, %zu only in B\n",
             d->pairs, d->changed, d->only_a, d->only_b);
}

static void put_head(struct diff *d)
{
    if (d->json) {
        str_add(&d->out, "{\"format\":\"mohs-diff/1\",\"a\":");
        str_add_json(&d->out, d->a.path);
        str_add(&d->out, ",\"b\":");
        str_add_json(&d->out, d->b.path);
        str_add(&d->out, ",\"renamed\":{");
        bool first = true;
        for (size_t i = 0; i < d->n_renamed; i++)
            json_cause(&d->out, &first, d->renamed[i].key, d->renamed[i].a,
                       d->renamed[i].b);
        str_add(&d->out, "},\"cells\":[");
        return;
    }
    str_addf(&d->out, "A: %s\nB: %s\n", d->a.path, d->b.path);
    for (size_t i = 0; i < d->n_renamed; i++)
        str_addf(&d->out, "paired across %s: %s -> %s\n", d->renamed[i].key,
                 d->renamed[i].a, d->renamed[i].b);
    str_add(&d->out, "\n");
}

mohs_status results_diff(const char *a, const char *b, bool json,
                         struct mohs_error *err)
{
    struct diff d = { .json = json, .arena = arena_new() };
    mohs_status st = MOHS_OK;
    OUT_IF_ERR(file_load(&d.a, a, err));
    OUT_IF_ERR(file_load(&d.b, b, err));
    find_renamed(&d);
    for (size_t i = 0; i < d.a.l.n; i++)
        d.a.key[i] = pairing_key(&d, &d.a.l.v[i]);
    for (size_t i = 0; i < d.b.l.n; i++)
        d.b.key[i] = pairing_key(&d, &d.b.l.v[i]);
    put_head(&d);
    OUT_IF_ERR(put_pairs_all(&d, err));
    if (json)
        str_add(&d.out, "]");
    d.only_a = put_singles(&d, &d.a, &d.b, json ? "a" : "A");
    d.only_b = put_singles(&d, &d.b, &d.a, json ? "b" : "B");
    put_summary(&d);
    st = print_out(&d.out, err);
    if (st >= 0)
        st = d.changed || d.only_a || d.only_b;
out:
    file_free(&d.a);
    file_free(&d.b);
    free(d.renamed);
    free(d.cause);
    str_free(&d.out);
    arena_free(d.arena);
    return st;
}
