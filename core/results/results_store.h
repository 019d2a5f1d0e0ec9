/* SPDX-License-Identifier: MIT */
/* The inside of a results file, shared by the files of this room only. */
#ifndef CORE_RESULTS_STORE_H
#define CORE_RESULTS_STORE_H

#include <sqlite3.h>

#include "results/results.h"

enum {
    RESULTS_VERSION = 1,         /* user_version */
    RESULTS_APP = 0x6d6f6873,    /* application_id: "mohs" */
    SAMPLES_MAX_ROWS = 1 << 28,
    SAMPLES_MAX_COLUMNS = 1 << 12
};
/* Decoded samples of one cell. */
#define SAMPLES_MAX_BYTES ((uint64_t)1 << 32)

extern const char results_schema[];

/* Statements, prepared on first use. */
enum query {
    Q_BEGIN,
    Q_COMMIT,
    Q_ROLLBACK,
    Q_CELL_FIND,
    Q_CELL_ADD,
    Q_LINK,
    Q_AXIS_ADD,
    Q_PROVENANCE_ADD,
    Q_VALUE_ADD,
    Q_SAMPLES_ADD,
    Q_ARTEFACT_ADD,
    Q_RUN_FIND,
    Q_RUN_ADD,
    Q_RUN_AGAIN,
    Q_RUN_END,
    Q_FACT_ADD,
    Q_FACTS_DROP,
    Q_CELLS,
    Q_AXES,
    Q_PROVENANCE,
    Q_VALUES,
    Q_SAMPLES,
    Q_ARTEFACTS,
    Q_RUNS,
    Q_FACTS,
    Q_RUN_COUNT,
    Q_RUN_CELLS,
    Q_LINKS_DROP,
    Q_N
};

struct results {
    char *path;
    sqlite3 *db;
    sqlite3_stmt *stmt[Q_N];
    bool in_bulk; /* one transaction around many puts */
};

/* Status and text of the last SQLite failure. */
mohs_status results_sql_error(struct results *r, int rc, struct mohs_error *err);
/* A reset statement with its parameters bound from a format: i int64_t,
 * u uint64_t as decimal text, s text (NULL is fine), d double (NaN becomes
 * NULL), b blob (pointer, size_t). */
mohs_status results_bind(struct results *r, enum query q, sqlite3_stmt **out,
                         struct mohs_error *err, const char *fmt, ...);
/* Binds and runs to the end. */
mohs_status results_do(struct results *r, enum query q, struct mohs_error *err,
                       const char *fmt, ...);
/* One row: 1 there, 0 end, < 0 error. */
int32_t results_step(struct results *r, sqlite3_stmt *s, struct mohs_error *err);

/* Adds a run as another file has it. */
mohs_status results_run_copy(struct results *r, const struct result_run *x,
                             int64_t *run, struct mohs_error *err);

/* Text as valid UTF-8: what is not becomes U+FFFD. Never NULL. */
char *results_text(struct arena *a, const char *s, size_t n);
char *results_column(struct arena *a, sqlite3_stmt *s, int column);
/* "key=value key=value", for messages. */
const char *results_axes_text(struct arena *a, const struct result_cell *c);
const char *results_axis(const struct result_cell *c, const char *key);

/* Every cell of a file in memory, samples and artefact data left out. */
struct cell_list {
    struct arena *arena;
    struct result_cell *v;
    size_t n;
};
mohs_status results_load(struct results *r, struct cell_list *out,
                         struct mohs_error *err);
void results_unload(struct cell_list *l);
/* The samples blob. */
mohs_status samples_pack(const struct result_samples *s, struct str *out,
                         struct mohs_error *err);
mohs_status samples_unpack(const void *blob, size_t n, const char *columns,
                           uint32_t n_rows, struct result_samples *out,
                           struct mohs_error *err);

/* ---- output ---- */
void json_number(struct str *b, double x); /* null when not finite */
/* "key": value of an object that is being written, a comma before it unless it
 * is the first. */
void json_field(struct str *b, const char *key, double x);
void json_field_text(struct str *b, const char *key, const char *value);
void json_pairs(struct str *b, const struct result_pair *p, size_t n);
/* A text table: cells are added row by row, the first row is the head. */
struct text_table {
    struct arena *arena;
    const char **cell;
    size_t n, cap, n_columns;
    size_t n_fixed; /* columns repeated when the table is folded */
};
void table_init(struct text_table *t, size_t n_columns, size_t n_fixed);
MOHS_PRINTF(2, 3)
void table_add(struct text_table *t, const char *fmt, ...);
/* Folds to `width` characters; 0: no limit. Frees the table. */
void table_end(struct text_table *t, size_t width, struct str *out);
size_t terminal_width(void); /* of stdout; 0 when it is no terminal */
mohs_status print_out(const struct str *b, struct mohs_error *err);

#endif
