/* SPDX-License-Identifier: MIT */
/*
 * Joining files. Shards of one run are interleaved (cell k of shard 1, cell k
 * of shard 2, ...), which gives the order of the unsharded run; other files
 * follow one another as named. A cell in two files must have the same values
 * and samples in both.
 */
#include "config.h"

#include "results/results.h"
#include "results/results_store.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The fact that holds a shard as "I/N". */
static const char shard_fact[] = "shard";

struct input {
    const char *path;
    struct results *r;
    struct hash128 *hash; /* cells in order */
    size_t n, cap;
    uint64_t shard, n_shards; /* 0: none */
    struct hash128 recipe;
    int64_t *run_from, *run_to;
    size_t n_runs;
};

struct merge {
    struct results *out;
    struct input *in;
    size_t n;
    size_t current;
    const struct result_cell *other; /* while comparing */
};

static mohs_status add_hash(void *user, const struct result_cell *c,
                            struct mohs_error *err)
{
    struct input *in = user;
    (void)err;
    if (in->n == in->cap)
        in->hash = xrealloc(in->hash,
                            (in->cap = in->cap ? 2 * in->cap : 64) *
                                sizeof *in->hash);
    in->hash[in->n++] = c->hash;
    return MOHS_OK;
}

static mohs_status note_shard(void *user, const struct result_run *x,
                              struct mohs_error *err)
{
    struct input *in = user;
    (void)err;
    struct hasher *h = hasher_new();
    hasher_str(h, x->recipe_text);
    hasher_str(h, x->args_json);
    hasher_u64(h, x->seed);
    in->recipe = hasher_end(h);
    in->n_runs++;
    for (size_t i = 0; i < x->n_facts; i++)
        if (!strcmp(x->facts[i].key, shard_fact))
            sscanf(x->facts[i].value, "%" SCNu64 "/%" SCNu64, &in->shard,
                   &in->n_shards);
    return MOHS_OK;
}

/* True when the files are different shards of one run of one recipe. */
static bool all_shards(const struct merge *m)
{
    for (size_t i = 0; i < m->n; i++) {
        const struct input *a = &m->in[i], *b = &m->in[0];
        if (!a->n_shards || a->n_shards != b->n_shards ||
            a->recipe.hi != b->recipe.hi || a->recipe.lo != b->recipe.lo)
            return false;
        for (size_t k = 0; k < i; k++)
            if (m->in[k].shard == a->shard)
                return false;
    }
    return m->n > 0;
}

static int by_shard(const void *a, const void *b)
{
    const struct input *x = a, *y = b;
    return (x->shard > y->shard) - (x->shard < y->shard);
}

static bool same_number(double x, double y)
{
    return x == y || (isnan(x) && isnan(y));
}

static mohs_status compare_values(void *user, const struct result_cell *c,
                                  struct mohs_error *err)
{
    struct merge *m = user;
    const struct result_cell *o = m->other;
    const char *path = m->in[m->current].path;
    struct arena *a = arena_new();
    mohs_status st = MOHS_OK;
    if (c->n_values != o->n_values)
        st = mohs_fail(err, MOHS_E_FORMAT, "%s: cell %s has %zu values, an "
                       "earlier file has %zu", path, results_axes_text(a, o),
                       o->n_values, c->n_values);
    for (size_t i = 0; st >= 0 && i < c->n_values; i++) {
        const struct result_value *x = &c->value[i], *y = &o->value[i];
        if (strcmp(x->name, y->name) || !same_number(x->value, y->value) ||
            !same_number(x->low, y->low) || !same_number(x->high, y->high))
            st = mohs_fail(err, MOHS_E_FORMAT,
                           "%s: cell %s: %s is %.9g, an earlier file has %.9g",
                           path, results_axes_text(a, o), y->name, y->value,
                           x->value);
    }
    arena_free(a);
    return st;
}

static bool same_samples(const struct result_samples *a,
                         const struct result_samples *b)
{
    size_t n = (size_t)a->n_rows * a->n_columns;
    bool same = a->n_rows == b->n_rows && a->n_columns == b->n_columns;
    if (!same || !n)
        return same;
    return !memcmp(a->value, b->value, n * sizeof *a->value) &&
           !memcmp(a->cluster, b->cluster, a->n_rows * sizeof *a->cluster);
}

static mohs_status copy_cell(void *user, const struct result_cell *c,
                             struct mohs_error *err)
{
    struct merge *m = user;
    struct input *in = &m->in[m->current];
    struct result_samples s = { 0 }, have = { 0 };
    struct result_cell full = *c;
    mohs_status st = MOHS_OK;
    OUT_IF_ERR(results_samples(in->r, c->hash, &s, err));
    if (results_has(m->out, c->hash)) {
        m->other = c;
        OUT_IF_ERR(results_cell(m->out, c->hash, compare_values, m, err));
        OUT_IF_ERR(results_samples(m->out, c->hash, &have, err));
        if (!same_samples(&s, &have)) {
            struct arena *a = arena_new();
            st = mohs_fail(err, MOHS_E_FORMAT,
                           "%s: cell %s: samples differ from an earlier file's",
                           in->path, results_axes_text(a, c));
            arena_free(a);
        }
        goto out;
    }
    full.samples = s;
    st = results_put(m->out, in->run_to[0], &full, err);
out:
    results_samples_free(&s);
    results_samples_free(&have);
    return st;
}

static mohs_status copy_run(void *user, const struct result_run *x,
                            struct mohs_error *err)
{
    struct merge *m = user;
    struct input *in = &m->in[m->current];
    in->run_from[in->n_runs] = x->id;
    return results_run_copy(m->out, x, &in->run_to[in->n_runs++], err);
}

static mohs_status input_open(struct input *in, struct mohs_error *err)
{
    RET_IF_ERR(results_open_readonly(in->path, &in->r, err));
    RET_IF_ERR(results_each(in->r, add_hash, in, err));
    RET_IF_ERR(results_each_run(in->r, note_shard, in, err));
    if (in->n && !in->n_runs)
        return mohs_fail(err, MOHS_E_FORMAT, "%s: cells without a run", in->path);
    in->run_from = xcalloc(in->n_runs + 1, sizeof *in->run_from);
    in->run_to = xcalloc(in->n_runs + 1, sizeof *in->run_to);
    return MOHS_OK;
}

/* Cells that a run asked for, whichever of them had to compute it. */
static mohs_status copy_links(struct merge *m, struct input *in,
                              struct mohs_error *err)
{
    for (size_t i = 0; i < in->n_runs; i++) {
        sqlite3_stmt *s;
        int32_t more;
        RET_IF_ERR(results_bind(in->r, Q_RUN_CELLS, &s, err, "i",
                                in->run_from[i]));
        while ((more = results_step(in->r, s, err)) > 0) {
            sqlite3_stmt *f;
            RET_IF_ERR(results_bind(m->out, Q_CELL_FIND, &f, err, "s",
                                    (const char *)sqlite3_column_text(s, 0)));
            int32_t found = results_step(m->out, f, err);
            RET_IF_ERR(found);
            if (!found)
                continue;
            int64_t id = sqlite3_column_int64(f, 0);
            sqlite3_reset(f);
            RET_IF_ERR(results_do(m->out, Q_LINK, err, "ii", in->run_to[i], id));
        }
        RET_IF_ERR(more);
    }
    return MOHS_OK;
}

static mohs_status merge_all(struct merge *m, struct mohs_error *err)
{
    bool shards = all_shards(m);
    size_t longest = 0;
    if (shards)
        qsort(m->in, m->n, sizeof *m->in, by_shard);
    for (size_t i = 0; i < m->n; i++) {
        m->current = i;
        m->in[i].n_runs = 0;
        RET_IF_ERR(results_each_run(m->in[i].r, copy_run, m, err));
        longest = m->in[i].n > longest ? m->in[i].n : longest;
    }
    for (size_t k = 0; shards && k < longest; k++) {
        for (m->current = 0; m->current < m->n; m->current++) {
            struct input *in = &m->in[m->current];
            if (k < in->n)
                RET_IF_ERR(results_cell(in->r, in->hash[k], copy_cell, m, err));
        }
    }
    for (size_t i = 0; !shards && i < m->n; i++) {
        m->current = i;
        RET_IF_ERR(results_each(m->in[i].r, copy_cell, m, err));
    }
    // copy_cell linked each to its file's first run; take the real links.
    RET_IF_ERR(results_do(m->out, Q_LINKS_DROP, err, ""));
    for (size_t i = 0; i < m->n; i++)
        RET_IF_ERR(copy_links(m, &m->in[i], err));
    return MOHS_OK;
}

mohs_status results_merge(const char *out, const char *const *in, size_t n,
                          struct mohs_error *err)
{
    struct merge m = { .n = n };
    char *tmp = xasprintf("%s.%ld.tmp", out, (long)getpid());
    char *journal = xasprintf("%s-journal", tmp);
    mohs_status st = MOHS_OK;
    m.in = xcalloc(n + 1, sizeof *m.in);
    for (size_t i = 0; i < n; i++) {
        m.in[i].path = in[i];
        OUT_IF_ERR(input_open(&m.in[i], err));
    }
    unlink(tmp);
    OUT_IF_ERR(results_open(tmp, &m.out, err));
    OUT_IF_ERR(results_do(m.out, Q_BEGIN, err, ""));
    m.out->in_bulk = true;
    OUT_IF_ERR(merge_all(&m, err));
    OUT_IF_ERR(results_do(m.out, Q_COMMIT, err, ""));
    results_close(m.out);
    m.out = NULL;
    if (rename(tmp, out))
        st = err_errno(err, "%s", out);
out:
    results_close(m.out);
    for (size_t i = 0; i < n; i++) {
        results_close(m.in[i].r);
        free(m.in[i].hash);
        free(m.in[i].run_from);
        free(m.in[i].run_to);
    }
    unlink(tmp);
    unlink(journal);
    free(m.in);
    free(tmp);
    free(journal);
    return st;
}
