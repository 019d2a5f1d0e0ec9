/* SPDX-License-Identifier: MIT */
/*
 * The results file (SQLite, STRICT tables): runs, cells, values with
 * intervals, sample-level outcomes, provenance, artefacts. Every cell is
 * written in one transaction: it is there whole or not at all.
 */
#ifndef CORE_RESULTS_H
#define CORE_RESULTS_H

#include "base/base.h"

struct results;

/* Creates or opens for writing. A file of a newer format fails. */
mohs_status results_open(const char *path, struct results **out,
                         struct mohs_error *err);
mohs_status results_open_readonly(const char *path, struct results **out,
                                  struct mohs_error *err);
void results_close(struct results *r);

struct result_pair {
    const char *key, *value;
};
/* Starts a run, or continues the last one with the same recipe, arguments,
 * seed and facts that is not "done": recipe path and text, arguments as JSON,
 * seed, mohs version, device. Returns its id. Cells are deduplicated by hash
 * across runs of one file. */
mohs_status results_run(struct results *r, const char *recipe_name,
                        const char *recipe_text, const char *args_json,
                        uint64_t seed, const struct result_pair *facts,
                        size_t n_facts, int64_t *run, struct mohs_error *err);
mohs_status results_run_end(struct results *r, int64_t run, const char *state,
                            double seconds, uint64_t peak_bytes,
                            struct mohs_error *err);

struct result_value {
    const char *name, *unit, *doc;
    int32_t direction;
    double value, low, high; /* low, high NaN: no interval */
};
struct result_samples {
    const char *const *columns;
    uint32_t n_columns, n_rows;
    const double *value;       /* n_rows * n_columns */
    const uint32_t *cluster;   /* n_rows */
    const char *const *row_id; /* n_rows item ids, or NULL */
};
struct result_artefact {
    const char *name, *media_type; /* "image/png" */
    const void *data;
    size_t n;
};
struct result_cell {
    struct hash128 hash;
    /* The axes, for tables and plots: "model", "data", "corruption",
     * "severity", "attack", "metric", "prompt" ...; provenance: anything. */
    const struct result_pair *axis;
    size_t n_axes;
    const struct result_pair *provenance;
    size_t n_provenance;
    const struct result_value *value;
    size_t n_values;
    struct result_samples samples;
    const struct result_artefact *artefact;
    size_t n_artefacts;
    double seconds;
};
bool results_has(struct results *r, struct hash128 cell);
mohs_status results_put(struct results *r, int64_t run,
                        const struct result_cell *cell, struct mohs_error *err);
/* Links an already stored cell to this run. */
mohs_status results_link(struct results *r, int64_t run, struct hash128 cell,
                         struct mohs_error *err);

/* ---- reading ---- */
/* The value of an axis, or NULL. */
const char *result_axis(const struct result_cell *c, const char *key);
/* Visits cells in insertion order with everything but samples. */
mohs_status results_each(struct results *r,
                         mohs_status (*fn)(void *user,
                                           const struct result_cell *cell,
                                           struct mohs_error *err),
                         void *user, struct mohs_error *err);
/* The same for one cell; MOHS_E_ARG when it is not there. */
mohs_status results_cell(struct results *r, struct hash128 cell,
                         mohs_status (*fn)(void *user,
                                           const struct result_cell *cell,
                                           struct mohs_error *err),
                         void *user, struct mohs_error *err);
struct result_run {
    int64_t id;
    const char *recipe_name, *recipe_text, *args_json;
    const char *state;   /* "running" also after a kill; "done", ... */
    const char *started; /* UTC, ISO 8601 */
    uint64_t seed, peak_bytes, n_cells;
    uint32_t starts;
    double seconds;
    const struct result_pair *facts;
    size_t n_facts;
};
/* Visits runs in the order of their start. */
mohs_status results_each_run(struct results *r,
                             mohs_status (*fn)(void *user,
                                               const struct result_run *run,
                                               struct mohs_error *err),
                             void *user, struct mohs_error *err);
/* Samples of a cell (n_rows 0: none stored); free with
 * results_samples_free. */
mohs_status results_samples(struct results *r, struct hash128 cell,
                            struct result_samples *out, struct mohs_error *err);
void results_samples_free(struct result_samples *s);
/* True for a column of hits: 0, 1, or between for a tie. Columns with "hit" in
 * their names, or without such names any that stay in 0..1 and are no ranks. */
bool result_is_hit(const struct result_samples *s, uint32_t column);

/* CLI bodies: print to stdout. */
mohs_status results_show(const char *path, bool json, struct mohs_error *err);
mohs_status results_list(const char *path, bool json, struct mohs_error *err);
mohs_status results_export(const char *path, bool json, struct mohs_error *err);
/* Values that differ between two files, each with the provenance keys that
 * explain it, paired bootstrap and McNemar where samples allow. Returns
 * 1 when something differs. */
mohs_status results_diff(const char *a, const char *b, bool json,
                         struct mohs_error *err);
/* Joins shard files into out (made anew, atomically); refuses cells that are
 * in two files with different values. */
mohs_status results_merge(const char *out, const char *const *in, size_t n,
                          struct mohs_error *err);

/* ---- statistics ---- */
/* Percentile interval of `level` (0.95) of n bootstrap values (sorted in
 * place). */
void stats_percentile(double *v, size_t n, double level, double *low,
                      double *high);
/* weight[0..n_rows) for resample b of a cluster bootstrap: multiplicities
 * of clusters drawn with replacement from stream (seed, b). */
void stats_resample(const uint32_t *cluster, uint32_t n_rows,
                    uint32_t n_clusters, uint64_t seed, uint64_t b,
                    uint32_t *scratch_clusters, uint32_t *weight);
/* Two-sided exact McNemar p-value for b and c discordant pairs. */
double stats_mcnemar(uint64_t b, uint64_t c);
/* Wilson score interval. */
void stats_wilson(uint64_t hits, uint64_t n, double level, double *low,
                  double *high);

#endif
