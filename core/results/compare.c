/* SPDX-License-Identifier: MIT */
/* Cells to sums by image, sums to differences. */
#include "config.h"

#include "results/compare.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SEED = 0 }; /* of the bootstrap */
#define NONE SIZE_MAX
static const char kept[] = "RR ";

/* A cell: hits and queries of each column and image. */
struct sums {
    const char *set, *arm, *seed, *condition, *group;
    const char *family; /* or NULL */
    size_t clean;       /* cell of the same arm and seed; NONE */
    struct hash128 hash;
    double *hit, *asked; /* n_columns * n_clusters */
    uint32_t n_columns, n_clusters;
    double score; /* under the weights at hand */
};

struct compare {
    struct arena *arena;
    const char *by;
    struct sums *cell;
    size_t n;
    struct compare_row *row;
    size_t n_rows;
    bool other_axis; /* cells that lack the axis */
};

struct compare *compare_new(void)
{
    struct compare *c = xcalloc(1, sizeof *c);
    c->arena = arena_new();
    return c;
}

void compare_free(struct compare *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < c->n; i++) {
        free(c->cell[i].hit);
        free(c->cell[i].asked);
    }
    free(c->cell);
    free(c->row);
    arena_free(c->arena);
    free(c);
}

/* ---- cells ----------------------------------------------------------- */

static char *joined(struct arena *a, const struct result_cell *c,
                    const char *const *keys, const char *between)
{
    struct str s = { 0 };
    str_add(&s, "");
    for (; *keys; keys++) {
        const char *v = result_axis(c, *keys);
        if (v)
            str_addf(&s, "%s%s", s.n ? between : "", v);
    }
    char *out = arena_strdup(a, s.s);
    str_free(&s);
    return out;
}

static mohs_status take(void *user, const struct result_cell *cell,
                        struct mohs_error *err)
{
    static const char *const sets[] = { "data", "metric", "prompt", NULL };
    static const char *const corruption[] = { "corruption", "corruption_params", NULL };
    static const char *const severity[] = { "corruption", "corruption_params",
                                            "severity", NULL };
    static const char *const attack[] = { "attack", "attack_params", NULL };
    struct compare *c = user;
    const char *arm = result_axis(cell, c->by), *seed = result_axis(cell, "seed");
    struct sums s = { .hash = cell->hash };
    (void)err;
    if (!arm) {
        c->other_axis = true;
        return MOHS_OK;
    }
    bool attacked = result_axis(cell, "attack");
    bool corrupted = result_axis(cell, "corruption");
    s.set = joined(c->arena, cell, sets, ", ");
    s.arm = arena_strdup(c->arena, arm);
    s.seed = arena_strdup(c->arena, seed ? seed : "");
    s.condition = attacked    ? joined(c->arena, cell, attack, " ")
                  : corrupted ? joined(c->arena, cell, severity, " ")
                              : "clean";
    const char *family = result_axis(cell, "family");
    s.family = family && *family ? arena_strdup(c->arena, family) : NULL;
    s.clean = NONE;
    s.group = corrupted ? joined(c->arena, cell, corruption, " ") : s.condition;
    size_t i = 0;
    while (i < c->n && (strcmp(c->cell[i].set, s.set) || strcmp(c->cell[i].arm, s.arm) ||
                        strcmp(c->cell[i].seed, s.seed) ||
                        strcmp(c->cell[i].condition, s.condition)))
        i++;
    if (i == c->n)
        c->cell = xrealloc(c->cell, ++c->n * sizeof *c->cell);
    c->cell[i] = s;
    return MOHS_OK;
}

static mohs_status sums_read(struct results *r, struct sums *s,
                             struct mohs_error *err)
{
    struct result_samples t;
    RET_IF_ERR(results_samples(r, s->hash, &t, err));
    for (uint32_t i = 0; i < t.n_rows; i++)
        if (t.cluster[i] >= s->n_clusters)
            s->n_clusters = t.cluster[i] + 1;
    size_t n = (size_t)t.n_columns * s->n_clusters + 1;
    s->hit = xcalloc(n, sizeof *s->hit);
    s->asked = xcalloc(n, sizeof *s->asked);
    for (uint32_t k = 0; k < t.n_columns; k++) {
        if (!result_is_hit(&t, k))
            continue;
        for (uint32_t i = 0; i < t.n_rows; i++) {
            double x = t.value[(size_t)i * t.n_columns + k];
            size_t at = (size_t)s->n_columns * s->n_clusters + t.cluster[i];
            s->hit[at] += isnan(x) ? 0 : x;
            s->asked[at] += !isnan(x);
        }
        s->n_columns++;
    }
    results_samples_free(&t);
    return MOHS_OK;
}

/* ---- differences ----------------------------------------------------- */

static double score(const struct sums *s, const uint32_t *weight)
{
    double sum = 0;
    for (uint32_t k = 0; k < s->n_columns; k++) {
        const double *hit = s->hit + (size_t)k * s->n_clusters;
        const double *asked = s->asked + (size_t)k * s->n_clusters;
        double a = 0, b = 0;
        for (uint32_t i = 0; i < s->n_clusters; i++) {
            a += weight[i] * hit[i];
            b += weight[i] * asked[i];
        }
        sum += b > 0 ? a / b : 0;
    }
    return s->n_columns ? 100 * sum / s->n_columns : NAN;
}

/* Cells of one arm and of the control under one condition and seed. */
struct pair {
    size_t mine, control;
    uint32_t seed;  /* index among the pairs' seeds */
};

struct pairs {
    struct pair *v;
    size_t n, cap;
    const char **seed;
    uint32_t n_seeds;
};

static void pairs_add(struct pairs *p, size_t mine, size_t control, const char *seed)
{
    uint32_t s = 0;
    while (s < p->n_seeds && strcmp(p->seed[s], seed))
        s++;
    if (s == p->n_seeds) {
        p->seed = xrealloc(p->seed, (s + 1) * sizeof *p->seed);
        p->seed[p->n_seeds++] = seed;
    }
    p->v = xrealloc(p->v, (p->n + 1) * sizeof *p->v);
    p->v[p->n++] = (struct pair) { mine, control, s };
}

static bool is_kept(const char *condition)
{
    return !strncmp(condition, kept, sizeof kept - 1);
}

static bool in_row(const struct sums *s, const char *condition)
{
    if (is_kept(condition)) {
        if (s->clean == NONE)
            return false;
        condition += sizeof kept - 1;
    }
    if (s->family && !strcmp(s->family, condition))
        return true;
    bool clean = !strcmp(s->condition, "clean");
    bool corrupted = strcmp(s->group, s->condition) != 0;
    if (!strcmp(condition, "corruptions"))
        return corrupted;
    if (!strcmp(condition, "attacks"))
        return !clean && !corrupted;
    return !strcmp(s->group, condition);
}

/* The pairs of a row; both cells with samples of equal shape. */
static void pairs_find(const struct compare *c, const struct compare_row *row,
                       const char *against, struct pairs *p)
{
    for (size_t i = 0; i < c->n; i++) {
        const struct sums *a = &c->cell[i];
        if (strcmp(a->set, row->set) || strcmp(a->arm, row->arm) || !a->n_columns ||
            !in_row(a, row->condition))
            continue;
        for (size_t k = 0; k < c->n; k++) {
            const struct sums *b = &c->cell[k];
            if (!strcmp(b->set, a->set) && !strcmp(b->arm, against) &&
                !strcmp(b->seed, a->seed) && !strcmp(b->condition, a->condition) &&
                b->n_columns == a->n_columns && b->n_clusters == a->n_clusters)
                pairs_add(p, i, k, a->seed);
        }
    }
}

static double value(const struct compare *c, const struct sums *s, bool kept_only)
{
    return kept_only ? 100 * s->score / c->cell[s->clean].score : s->score;
}

/* Means of both sides, the seeds weighted. */
static void means(const struct compare *c, const struct pairs *p, bool kept_only,
                  const uint32_t *seeds, double *mine, double *control)
{
    double a = 0, b = 0, n = 0;
    for (size_t i = 0; i < p->n; i++) {
        double w = seeds[p->v[i].seed];
        a += w * value(c, &c->cell[p->v[i].mine], kept_only);
        b += w * value(c, &c->cell[p->v[i].control], kept_only);
        n += w;
    }
    *mine = n > 0 ? a / n : NAN;
    *control = n > 0 ? b / n : NAN;
}

struct resample {
    uint32_t *weight, *scratch, *identity, n; /* of images */
};

static void draw(struct resample *s, uint64_t b)
{
    stats_resample(s->identity, s->n, s->n, SEED, b, s->scratch, s->weight);
}

static void row_make(struct compare *c, struct compare_row *row, const struct pairs *p,
                     struct resample *s, uint32_t bootstrap)
{
    uint32_t *seeds = xcalloc(p->n_seeds, sizeof *seeds);
    uint32_t *scratch = xcalloc(p->n_seeds + 1, sizeof *scratch);
    uint32_t *identity = xcalloc(p->n_seeds, sizeof *identity);
    double *d = xmalloc(bootstrap * sizeof *d);
    bool kept_only = is_kept(row->condition);
    for (uint32_t i = 0; i < p->n_seeds; i++) {
        seeds[i] = 1;
        identity[i] = i;
    }
    for (uint32_t b = 0; b <= bootstrap; b++) {
        double mine, control;
        for (uint32_t i = 0; i < s->n; i++)
            s->weight[i] = 1;
        if (b) {
            draw(s, b);
            stats_resample(identity, p->n_seeds, p->n_seeds, SEED + 1, b, scratch, seeds);
        }
        for (size_t i = 0; i < p->n; i++) {
            struct sums *x = &c->cell[p->v[i].mine], *y = &c->cell[p->v[i].control];
            x->score = score(x, s->weight);
            y->score = score(y, s->weight);
        }
        for (size_t i = 0; kept_only && i < p->n; i++)
            for (int k = 0; k < 2; k++) {
                size_t at = k ? p->v[i].mine : p->v[i].control;
                struct sums *x = &c->cell[c->cell[at].clean];
                x->score = score(x, s->weight);
            }
        means(c, p, kept_only, seeds, &mine, &control);
        if (b) {
            d[b - 1] = mine - control;
            continue;
        }
        row->mine = mine;
        row->control = control;
        row->difference = mine - control;
    }
    stats_percentile(d, bootstrap, 0.95, &row->low, &row->high);
    row->seeds = p->n_seeds;
    row->cells = (uint32_t)(p->n / (p->n_seeds ? p->n_seeds : 1));
    free(seeds);
    free(scratch);
    free(identity);
    free(d);
}

/* Appends the row unless nothing is paired in it. */
static void try_row(struct compare *c, const struct compare_options *o,
                    const struct sums *of, const char *condition, bool summary)
{
    struct compare_row row = { .set = of->set, .arm = of->arm, .condition = condition,
                               .summary = summary };
    struct pairs p = { 0 };
    for (size_t i = 0; i < c->n_rows; i++)
        if (!strcmp(c->row[i].set, row.set) && !strcmp(c->row[i].arm, row.arm) &&
            !strcmp(c->row[i].condition, condition))
            return;
    pairs_find(c, &row, o->against, &p);
    if (p.n) {
        uint32_t n = c->cell[p.v[0].mine].n_clusters;
        for (size_t i = 0; i < p.n; i++)
            if (c->cell[p.v[i].mine].n_clusters > n)
                n = c->cell[p.v[i].mine].n_clusters;
        struct resample s = { .n = n };
        s.weight = xcalloc(n, sizeof *s.weight);
        s.scratch = xcalloc(n, sizeof *s.scratch);
        s.identity = xcalloc(n, sizeof *s.identity);
        for (uint32_t i = 0; i < n; i++)
            s.identity[i] = i;
        row_make(c, &row, &p, &s, o->bootstrap ? o->bootstrap : 1000);
        c->row = xrealloc(c->row, (c->n_rows + 1) * sizeof *c->row);
        c->row[c->n_rows++] = row;
        free(s.weight);
        free(s.scratch);
        free(s.identity);
    }
    free(p.v);
    free(p.seed);
}

static void rows_of(struct compare *c, const struct compare_options *o,
                    const struct sums *of)
{
    try_row(c, o, of, "clean", true);
    try_row(c, o, of, "corruptions", true);
    try_row(c, o, of, "RR corruptions", true);
    for (size_t i = 0; i < c->n; i++) {
        const struct sums *s = &c->cell[i];
        if (!s->family || strcmp(s->arm, of->arm) || strcmp(s->set, of->set))
            continue;
        try_row(c, o, of, s->family, true);
        try_row(c, o, of, arena_printf(c->arena, "%s%s", kept, s->family), true);
    }
    try_row(c, o, of, "attacks", true);
    for (size_t i = 0; i < c->n; i++)
        if (!strcmp(c->cell[i].arm, of->arm) && !strcmp(c->cell[i].set, of->set))
            try_row(c, o, of, c->cell[i].group, false);
}

/* Each cell's clean one. */
static void find_clean(struct compare *c)
{
    for (size_t i = 0; i < c->n; i++)
        for (size_t k = 0; k < c->n; k++) {
            const struct sums *a = &c->cell[i], *b = &c->cell[k];
            if (!strcmp(b->condition, "clean") && strcmp(a->condition, "clean") &&
                !strcmp(a->set, b->set) && !strcmp(a->arm, b->arm) &&
                !strcmp(a->seed, b->seed) && b->n_columns)
                c->cell[i].clean = k;
        }
}

mohs_status compare_make(struct compare *c, struct results *r,
                         const struct compare_options *o,
                         const struct compare_row **out, size_t *n,
                         struct mohs_error *err)
{
    bool found = false;
    c->by = o->by ? o->by : "arm";
    RET_IF_ERR(results_each(r, take, c, err));
    if (!c->n)
        return mohs_fail(err, MOHS_E_ARG, "no cell has an axis '%.64s'", c->by);
    for (size_t i = 0; i < c->n; i++) {
        found |= !strcmp(c->cell[i].arm, o->against);
        RET_IF_ERR(sums_read(r, &c->cell[i], err));
    }
    find_clean(c);
    if (!found)
        return mohs_fail(err, MOHS_E_ARG, "no cell has %s '%.64s'", c->by, o->against);
    for (size_t i = 0; i < c->n; i++) {
        bool first = strcmp(c->cell[i].arm, o->against) != 0;
        for (size_t k = 0; k < i && first; k++)
            first = strcmp(c->cell[k].arm, c->cell[i].arm) ||
                    strcmp(c->cell[k].set, c->cell[i].set);
        if (first)
            rows_of(c, o, &c->cell[i]);
    }
    if (!c->n_rows)
        return mohs_fail(err, MOHS_E_ARG,
                         "nothing to compare with %s '%.64s': no condition and seed in "
                         "common, or no samples stored",
                         c->by, o->against);
    *out = c->row;
    *n = c->n_rows;
    return MOHS_OK;
}
