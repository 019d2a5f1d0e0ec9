/* SPDX-License-Identifier: MIT */
/*
 * Opening and writing. One transaction per cell with a truncated rollback
 * journal and synchronous=FULL: a cell survives kill -9 and power loss or is
 * not there at all (about 3 ms a cell on an SSD, nothing beside computing
 * one). No WAL: it does not work on network file systems.
 */
#include "config.h"

#include "results/results.h"
#include "results/results_store.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char *const sql[Q_N] = {
    [Q_BEGIN] = "BEGIN IMMEDIATE",
    [Q_COMMIT] = "COMMIT",
    [Q_ROLLBACK] = "ROLLBACK",
    [Q_CELL_FIND] = "SELECT id, seconds FROM cell WHERE hash = ?",
    [Q_CELL_ADD] = "INSERT INTO cell (hash, seconds) VALUES (?, ?)",
    [Q_LINK] = "INSERT OR IGNORE INTO run_cell (run, cell) VALUES (?, ?)",
    [Q_AXIS_ADD] = "INSERT INTO axis VALUES (?, ?, ?, ?)",
    [Q_PROVENANCE_ADD] = "INSERT INTO provenance VALUES (?, ?, ?, ?)",
    [Q_VALUE_ADD] = "INSERT INTO value VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
    [Q_SAMPLES_ADD] = "INSERT INTO samples VALUES (?, ?, ?, ?)",
    [Q_ARTEFACT_ADD] = "INSERT INTO artefact VALUES (?, ?, ?, ?, ?)",
    [Q_RUN_FIND] = "SELECT id FROM run WHERE recipe_name = ? AND "
                   "recipe_text = ? AND args_json = ? AND seed = ? AND "
                   "state <> 'done' ORDER BY id DESC",
    [Q_RUN_ADD] = "INSERT INTO run (recipe_name, recipe_text, args_json, seed, "
                  "state, started, starts, seconds, peak_bytes) "
                  "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
    [Q_RUN_AGAIN] = "UPDATE run SET state = 'running', starts = starts + 1 "
                    "WHERE id = ?",
    [Q_RUN_END] = "UPDATE run SET state = ?, seconds = seconds + ?, "
                  "peak_bytes = max(peak_bytes, ?) WHERE id = ?",
    [Q_FACT_ADD] = "INSERT INTO run_fact VALUES (?, ?, ?, ?)",
    [Q_FACTS_DROP] = "DELETE FROM run_fact WHERE run = ?",
    [Q_CELLS] = "SELECT id, hash, seconds FROM cell ORDER BY id",
    [Q_AXES] = "SELECT key, value FROM axis WHERE cell = ? ORDER BY pos",
    [Q_PROVENANCE] = "SELECT key, value FROM provenance WHERE cell = ? "
                     "ORDER BY pos",
    [Q_VALUES] = "SELECT name, value, low, high, unit, direction, doc "
                 "FROM value WHERE cell = ? ORDER BY pos",
    [Q_SAMPLES] = "SELECT columns, n_rows, data FROM samples WHERE cell = "
                  "(SELECT id FROM cell WHERE hash = ?)",
    [Q_ARTEFACTS] = "SELECT name, media_type, data FROM artefact "
                    "WHERE cell = ? ORDER BY pos",
    [Q_RUNS] = "SELECT id, recipe_name, recipe_text, args_json, seed, state, "
               "started, starts, seconds, peak_bytes FROM run ORDER BY id",
    [Q_FACTS] = "SELECT key, value FROM run_fact WHERE run = ? ORDER BY pos",
    [Q_RUN_COUNT] = "SELECT count(*) FROM run_cell WHERE run = ?",
    [Q_LINKS_DROP] = "DELETE FROM run_cell",
    [Q_RUN_CELLS] = "SELECT c.hash FROM run_cell r JOIN cell c ON c.id = r.cell "
                    "WHERE r.run = ? ORDER BY c.id",
};

/* ---- statements ------------------------------------------------------ */

mohs_status results_sql_error(struct results *r, int rc, struct mohs_error *err)
{
    mohs_status st = MOHS_E_IO;
    int kind = rc & 0xFF;
    if (kind == SQLITE_NOMEM)
        st = MOHS_E_NOMEM;
    else if (kind == SQLITE_CORRUPT || kind == SQLITE_NOTADB ||
             kind == SQLITE_ERROR || kind == SQLITE_CONSTRAINT)
        st = MOHS_E_FORMAT;
    mohs_fail(err, st, "%s: %s", r->path,
              r->db ? sqlite3_errmsg(r->db) : sqlite3_errstr(rc));
    if (err)
        err->native = rc;
    return st;
}

/* Bytes of the UTF-8 character at s, 0 when there is none. */
static size_t utf8_len(const char *s, size_t n)
{
    for (size_t k = 1; k <= 4 && k <= n; k++)
        if (utf8_valid(s, k))
            return k;
    return 0;
}

char *results_text(struct arena *a, const char *s, size_t n)
{
    if (utf8_valid(s, n)) {
        char *copy = arena_alloc(a, n + 1);
        memcpy(copy, s, n);
        return copy;
    }
    struct str b = { 0 };
    while (n) {
        size_t k = utf8_len(s, n);
        str_addn(&b, k ? s : "\xef\xbf\xbd", k ? k : 3);
        s += k ? k : 1;
        n -= k ? k : 1;
    }
    char *copy = arena_strdup(a, b.s);
    str_free(&b);
    return copy;
}

static int bind_text(sqlite3_stmt *s, int i, const char *text)
{
    if (!text || utf8_valid(text, strlen(text)))
        return sqlite3_bind_text(s, i, text, -1, SQLITE_TRANSIENT);
    struct arena *a = arena_new();
    int rc = sqlite3_bind_text(s, i, results_text(a, text, strlen(text)), -1,
                               SQLITE_TRANSIENT);
    arena_free(a);
    return rc;
}

static int bind_all(sqlite3_stmt *s, const char *fmt, va_list ap)
{
    int rc = SQLITE_OK;
    char num[24];
    for (int i = 1; *fmt && rc == SQLITE_OK; fmt++, i++) {
        switch (*fmt) {
        case 'i':
            rc = sqlite3_bind_int64(s, i, va_arg(ap, int64_t));
            break;
        case 'u':
            snprintf(num, sizeof num, "%" PRIu64, va_arg(ap, uint64_t));
            rc = sqlite3_bind_text(s, i, num, -1, SQLITE_TRANSIENT);
            break;
        case 's':
            rc = bind_text(s, i, va_arg(ap, const char *));
            break;
        case 'd':
            rc = sqlite3_bind_double(s, i, va_arg(ap, double));
            break;
        default: {
            const void *p = va_arg(ap, const void *);
            size_t n = va_arg(ap, size_t);
            rc = n ? sqlite3_bind_blob64(s, i, p, n, SQLITE_STATIC)
                   : sqlite3_bind_zeroblob(s, i, 0);
        }
        }
    }
    return rc;
}

static mohs_status bind_va(struct results *r, enum query q, sqlite3_stmt **out,
                           struct mohs_error *err, const char *fmt, va_list ap)
{
    int rc = SQLITE_OK;
    if (!r->stmt[q])
        rc = sqlite3_prepare_v3(r->db, sql[q], -1, SQLITE_PREPARE_PERSISTENT,
                                &r->stmt[q], NULL);
    if (rc != SQLITE_OK)
        return results_sql_error(r, rc, err);
    sqlite3_reset(r->stmt[q]);
    rc = bind_all(r->stmt[q], fmt, ap);
    *out = r->stmt[q];
    return rc == SQLITE_OK ? MOHS_OK : results_sql_error(r, rc, err);
}

mohs_status results_bind(struct results *r, enum query q, sqlite3_stmt **out,
                         struct mohs_error *err, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    mohs_status st = bind_va(r, q, out, err, fmt, ap);
    va_end(ap);
    return st;
}

int32_t results_step(struct results *r, sqlite3_stmt *s, struct mohs_error *err)
{
    int rc = sqlite3_step(s);
    if (rc == SQLITE_ROW)
        return 1;
    mohs_status st = MOHS_OK;
    if (rc != SQLITE_DONE)
        st = results_sql_error(r, rc, err);
    sqlite3_reset(s);
    sqlite3_clear_bindings(s);
    return st;
}

mohs_status results_do(struct results *r, enum query q, struct mohs_error *err,
                       const char *fmt, ...)
{
    sqlite3_stmt *s = NULL;
    va_list ap;
    va_start(ap, fmt);
    mohs_status st = bind_va(r, q, &s, err, fmt, ap);
    va_end(ap);
    RET_IF_ERR(st);
    int32_t more;
    while ((more = results_step(r, s, err)) > 0)
        ;
    return more;
}

/* ---- open ------------------------------------------------------------ */

static mohs_status pragma(struct results *r, const char *name, int64_t *out,
                          struct mohs_error *err)
{
    sqlite3_stmt *s = NULL;
    char text[64];
    snprintf(text, sizeof text, "PRAGMA %s", name);
    int rc = sqlite3_prepare_v2(r->db, text, -1, &s, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(s);
    if (rc == SQLITE_ROW)
        *out = sqlite3_column_int64(s, 0);
    mohs_status st = rc == SQLITE_ROW ? MOHS_OK : results_sql_error(r, rc, err);
    sqlite3_finalize(s);
    return st;
}

static mohs_status exec(struct results *r, const char *text,
                        struct mohs_error *err)
{
    int rc = sqlite3_exec(r->db, text, NULL, NULL, NULL);
    return rc == SQLITE_OK ? MOHS_OK : results_sql_error(r, rc, err);
}

static mohs_status schema_make(struct results *r, struct mohs_error *err)
{
    char *tail = xasprintf("PRAGMA application_id = %d;"
                           "PRAGMA user_version = %d; COMMIT",
                           RESULTS_APP, RESULTS_VERSION);
    char *text = xasprintf("BEGIN IMMEDIATE; %s %s", results_schema, tail);
    mohs_status st = exec(r, text, err);
    if (st < 0)
        sqlite3_exec(r->db, "ROLLBACK", NULL, NULL, NULL);
    free(text);
    free(tail);
    return st;
}

static mohs_status schema_check(struct results *r, bool make,
                                struct mohs_error *err)
{
    int64_t app = 0, version = 0, pages = 0;
    RET_IF_ERR(pragma(r, "application_id", &app, err));
    RET_IF_ERR(pragma(r, "user_version", &version, err));
    RET_IF_ERR(pragma(r, "page_count", &pages, err));
    if (!pages && make)
        return schema_make(r, err);
    if (app != RESULTS_APP)
        return mohs_fail(err, MOHS_E_FORMAT, "%s: not a results file of mohs",
                         r->path);
    if (version > RESULTS_VERSION)
        return mohs_fail(err, MOHS_E_FORMAT,
                         "%s: written by a newer mohs (format %" PRId64
                         ", this one knows %d)",
                         r->path, version, RESULTS_VERSION);
    return MOHS_OK;
}

static mohs_status open_file(const char *path, bool write, struct results **out,
                             struct mohs_error *err)
{
    if (!write && !file_exists(path)) {
        errno = ENOENT;
        return err_errno(err, "%s", path);
    }
    struct results *r = xcalloc(1, sizeof *r);
    r->path = xstrdup(path);
    // Also to read: a killed run leaves a journal that must be rolled back.
    int flags = SQLITE_OPEN_READWRITE | (write ? SQLITE_OPEN_CREATE : 0);
    mohs_status st = MOHS_OK;
    int rc = sqlite3_open_v2(path, &r->db, flags, NULL);
    if (rc != SQLITE_OK) {
        st = results_sql_error(r, rc, err);
        goto out;
    }
    sqlite3_extended_result_codes(r->db, 1);
    sqlite3_busy_timeout(r->db, 20000);
    sqlite3_db_config(r->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    OUT_IF_ERR(exec(r, "PRAGMA trusted_schema = OFF;"
                       "PRAGMA cell_size_check = ON;"
                       "PRAGMA synchronous = FULL", err));
    OUT_IF_ERR(schema_check(r, write, err));
    OUT_IF_ERR(exec(r, write ? "PRAGMA journal_mode = TRUNCATE"
                             : "PRAGMA query_only = ON", err));
    *out = r;
    r = NULL;
out:
    results_close(r);
    return st;
}

mohs_status results_open(const char *path, struct results **out,
                         struct mohs_error *err)
{
    return open_file(path, true, out, err);
}

mohs_status results_open_readonly(const char *path, struct results **out,
                                  struct mohs_error *err)
{
    return open_file(path, false, out, err);
}

void results_close(struct results *r)
{
    if (!r)
        return;
    for (int i = 0; i < Q_N; i++)
        sqlite3_finalize(r->stmt[i]);
    // Takes the empty journal away.
    if (r->db && !sqlite3_db_readonly(r->db, "main"))
        sqlite3_exec(r->db, "PRAGMA journal_mode = DELETE", NULL, NULL, NULL);
    sqlite3_close(r->db);
    free(r->path);
    free(r);
}

/* ---- runs ------------------------------------------------------------ */

static mohs_status begin(struct results *r, struct mohs_error *err)
{
    return r->in_bulk ? MOHS_OK : results_do(r, Q_BEGIN, err, "");
}

/* Commits when st is good, else rolls back; returns the first failure. */
static mohs_status end(struct results *r, mohs_status st, struct mohs_error *err)
{
    if (r->in_bulk)
        return st;
    if (st >= 0)
        st = results_do(r, Q_COMMIT, err, "");
    if (st < 0 && !sqlite3_get_autocommit(r->db))
        results_do(r, Q_ROLLBACK, NULL, "");
    return st;
}

static mohs_status put_facts(struct results *r, int64_t run,
                             const struct result_pair *fact, size_t n,
                             struct mohs_error *err)
{
    RET_IF_ERR(results_do(r, Q_FACTS_DROP, err, "i", run));
    for (size_t i = 0; i < n; i++)
        RET_IF_ERR(results_do(r, Q_FACT_ADD, err, "iiss", run, (int64_t)i,
                              fact[i].key, fact[i].value));
    return MOHS_OK;
}

static bool same_facts(struct results *r, int64_t run,
                       const struct result_pair *fact, size_t n)
{
    sqlite3_stmt *s;
    size_t i = 0;
    bool same = results_bind(r, Q_FACTS, &s, NULL, "i", run) >= 0;
    while (same && results_step(r, s, NULL) > 0) {
        const char *key = (const char *)sqlite3_column_text(s, 0);
        const char *value = (const char *)sqlite3_column_text(s, 1);
        same = i < n && key && value && !strcmp(key, fact[i].key) &&
               !strcmp(value, fact[i].value);
        i++;
    }
    if (!same)
        sqlite3_reset(s);
    return same && i == n;
}

static mohs_status run_begin(struct results *r, const char *recipe_name,
                             const char *recipe_text, const char *args_json,
                             uint64_t seed, const struct result_pair *facts,
                             size_t n_facts, int64_t *run,
                             struct mohs_error *err)
{
    sqlite3_stmt *s;
    int32_t more;
    RET_IF_ERR(results_bind(r, Q_RUN_FIND, &s, err, "sssu", recipe_name,
                            recipe_text, args_json, seed));
    while ((more = results_step(r, s, err)) > 0) {
        *run = sqlite3_column_int64(s, 0);
        if (!same_facts(r, *run, facts, n_facts))
            continue;
        sqlite3_reset(s);
        return results_do(r, Q_RUN_AGAIN, err, "i", *run);
    }
    RET_IF_ERR(more);
    char now[32];
    time_t t = time(NULL);
    struct tm tm;
    strftime(now, sizeof now, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&t, &tm));
    RET_IF_ERR(results_do(r, Q_RUN_ADD, err, "sssussidi", recipe_name,
                          recipe_text, args_json, seed, "running", now,
                          (int64_t)1, 0.0, (int64_t)0));
    *run = sqlite3_last_insert_rowid(r->db);
    return put_facts(r, *run, facts, n_facts, err);
}

mohs_status results_run(struct results *r, const char *recipe_name,
                        const char *recipe_text, const char *args_json,
                        uint64_t seed, const struct result_pair *facts,
                        size_t n_facts, int64_t *run, struct mohs_error *err)
{
    RET_IF_ERR(begin(r, err));
    return end(r, run_begin(r, recipe_name ? recipe_name : "",
                            recipe_text ? recipe_text : "",
                            args_json ? args_json : "{}", seed, facts, n_facts,
                            run, err), err);
}

mohs_status results_run_end(struct results *r, int64_t run, const char *state,
                            double seconds, uint64_t peak_bytes,
                            struct mohs_error *err)
{
    return results_do(r, Q_RUN_END, err, "sdii", state, seconds,
                      (int64_t)peak_bytes, run);
}

mohs_status results_run_copy(struct results *r, const struct result_run *x,
                             int64_t *run, struct mohs_error *err)
{
    RET_IF_ERR(results_do(r, Q_RUN_ADD, err, "sssussidi", x->recipe_name,
                          x->recipe_text, x->args_json, x->seed, x->state,
                          x->started, (int64_t)x->starts, x->seconds,
                          (int64_t)x->peak_bytes));
    *run = sqlite3_last_insert_rowid(r->db);
    return put_facts(r, *run, x->facts, x->n_facts, err);
}

/* ---- cells ----------------------------------------------------------- */

static int32_t cell_find(struct results *r, struct hash128 hash, int64_t *id,
                         struct mohs_error *err)
{
    char hex[33];
    sqlite3_stmt *s;
    hash_hex(hash, hex);
    RET_IF_ERR(results_bind(r, Q_CELL_FIND, &s, err, "s", hex));
    int32_t found = results_step(r, s, err);
    if (found <= 0)
        return found;
    *id = sqlite3_column_int64(s, 0);
    sqlite3_reset(s);
    return 1;
}

bool results_has(struct results *r, struct hash128 cell)
{
    int64_t id;
    return cell_find(r, cell, &id, NULL) > 0;
}

static mohs_status put_pairs(struct results *r, enum query q, int64_t id,
                             const struct result_pair *p, size_t n,
                             struct mohs_error *err)
{
    for (size_t i = 0; i < n; i++)
        RET_IF_ERR(results_do(r, q, err, "iiss", id, (int64_t)i, p[i].key,
                              p[i].value));
    return MOHS_OK;
}

static mohs_status put_samples(struct results *r, int64_t id,
                               const struct result_samples *s,
                               struct mohs_error *err)
{
    struct str blob = { 0 }, names = { 0 };
    mohs_status st = MOHS_OK;
    if (!s->n_rows)
        return MOHS_OK;
    str_add(&names, "[");
    for (uint32_t i = 0; i < s->n_columns; i++) {
        str_add(&names, i ? "," : "");
        str_add_json(&names, s->columns[i]);
    }
    str_add(&names, "]");
    OUT_IF_ERR(samples_pack(s, &blob, err));
    OUT_IF_ERR(results_do(r, Q_SAMPLES_ADD, err, "isib", id, names.s,
                          (int64_t)s->n_rows, blob.s, blob.n));
out:
    str_free(&blob);
    str_free(&names);
    return st;
}

static mohs_status put_cell(struct results *r, const struct result_cell *c,
                            int64_t *id, struct mohs_error *err)
{
    char hex[33];
    hash_hex(c->hash, hex);
    RET_IF_ERR(results_do(r, Q_CELL_ADD, err, "sd", hex, c->seconds));
    *id = sqlite3_last_insert_rowid(r->db);
    RET_IF_ERR(put_pairs(r, Q_AXIS_ADD, *id, c->axis, c->n_axes, err));
    RET_IF_ERR(put_pairs(r, Q_PROVENANCE_ADD, *id, c->provenance,
                         c->n_provenance, err));
    for (size_t i = 0; i < c->n_values; i++) {
        const struct result_value *v = &c->value[i];
        RET_IF_ERR(results_do(r, Q_VALUE_ADD, err, "iisdddsis", *id, (int64_t)i,
                              v->name, v->value, v->low, v->high,
                              v->unit ? v->unit : "", (int64_t)v->direction,
                              v->doc ? v->doc : ""));
    }
    RET_IF_ERR(put_samples(r, *id, &c->samples, err));
    for (size_t i = 0; i < c->n_artefacts; i++) {
        const struct result_artefact *a = &c->artefact[i];
        RET_IF_ERR(results_do(r, Q_ARTEFACT_ADD, err, "iissb", *id, (int64_t)i,
                              a->name, a->media_type, a->data, a->n));
    }
    return MOHS_OK;
}

mohs_status results_put(struct results *r, int64_t run,
                        const struct result_cell *cell, struct mohs_error *err)
{
    int64_t id;
    RET_IF_ERR(begin(r, err));
    int32_t st = cell_find(r, cell->hash, &id, err);
    if (st == 0)
        st = put_cell(r, cell, &id, err);
    if (st >= 0)
        st = results_do(r, Q_LINK, err, "ii", run, id);
    return end(r, st, err);
}

mohs_status results_link(struct results *r, int64_t run, struct hash128 cell,
                         struct mohs_error *err)
{
    int64_t id;
    int32_t found = cell_find(r, cell, &id, err);
    RET_IF_ERR(found);
    if (!found) {
        char hex[33];
        hash_hex(cell, hex);
        return mohs_fail(err, MOHS_E_ARG, "%s: no cell %s", r->path, hex);
    }
    return results_do(r, Q_LINK, err, "ii", run, id);
}
