/* SPDX-License-Identifier: MIT */
/* Reading runs and cells, and the blob that holds a cell's samples. A file
 * may come from anywhere: text is made valid, sizes are checked first. */
#include "config.h"

#include "results/results.h"
#include "results/results_store.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

char *results_column(struct arena *a, sqlite3_stmt *s, int column)
{
    const char *text = (const char *)sqlite3_column_text(s, column);
    return results_text(a, text ? text : "", text ? strlen(text) : 0);
}

static double number(sqlite3_stmt *s, int column)
{
    return sqlite3_column_type(s, column) == SQLITE_NULL
               ? NAN
               : sqlite3_column_double(s, column);
}

const char *results_axis(const struct result_cell *c, const char *key)
{
    for (size_t i = 0; i < c->n_axes; i++)
        if (!strcmp(c->axis[i].key, key))
            return c->axis[i].value;
    return NULL;
}

const char *results_axes_text(struct arena *a, const struct result_cell *c)
{
    struct str b = { 0 };
    for (size_t i = 0; i < c->n_axes; i++)
        str_addf(&b, "%s%s=%s", i ? " " : "", c->axis[i].key, c->axis[i].value);
    const char *s = arena_strdup(a, b.n ? b.s : "(no axes)");
    str_free(&b);
    return s;
}

/* A growing array inside an arena. */
static void *grow(struct arena *a, void *v, size_t n, size_t *cap, size_t size)
{
    if (n < *cap)
        return v;
    *cap = *cap ? 2 * *cap : 16;
    void *p = arena_alloc(a, *cap * size);
    if (n)
        memcpy(p, v, n * size);
    return p;
}

static mohs_status load_pairs(struct results *r, enum query q, int64_t id,
                              struct arena *a, const struct result_pair **out,
                              size_t *n, struct mohs_error *err)
{
    sqlite3_stmt *s;
    struct result_pair *v = NULL;
    size_t cap = 0;
    int32_t more;
    *n = 0;
    RET_IF_ERR(results_bind(r, q, &s, err, "i", id));
    while ((more = results_step(r, s, err)) > 0) {
        v = grow(a, v, *n, &cap, sizeof *v);
        v[*n].key = results_column(a, s, 0);
        v[(*n)++].value = results_column(a, s, 1);
    }
    *out = v;
    return more;
}

static mohs_status load_values(struct results *r, int64_t id, struct arena *a,
                               struct result_cell *c, struct mohs_error *err)
{
    sqlite3_stmt *s;
    struct result_value *v = NULL;
    size_t cap = 0;
    int32_t more;
    RET_IF_ERR(results_bind(r, Q_VALUES, &s, err, "i", id));
    while ((more = results_step(r, s, err)) > 0) {
        v = grow(a, v, c->n_values, &cap, sizeof *v);
        v[c->n_values++] = (struct result_value) {
            .name = results_column(a, s, 0),
            .value = number(s, 1),
            .low = number(s, 2),
            .high = number(s, 3),
            .unit = results_column(a, s, 4),
            .direction = sqlite3_column_int(s, 5),
            .doc = results_column(a, s, 6),
        };
    }
    c->value = v;
    return more;
}

static mohs_status load_artefacts(struct results *r, int64_t id,
                                  struct arena *a, bool data,
                                  struct result_cell *c, struct mohs_error *err)
{
    sqlite3_stmt *s;
    struct result_artefact *v = NULL;
    size_t cap = 0;
    int32_t more;
    RET_IF_ERR(results_bind(r, Q_ARTEFACTS, &s, err, "i", id));
    while ((more = results_step(r, s, err)) > 0) {
        v = grow(a, v, c->n_artefacts, &cap, sizeof *v);
        struct result_artefact *x = &v[c->n_artefacts++];
        x->name = results_column(a, s, 0);
        x->media_type = results_column(a, s, 1);
        const void *blob = sqlite3_column_blob(s, 2);
        x->n = (size_t)sqlite3_column_bytes(s, 2);
        x->data = NULL;
        if (data && x->n)
            x->data = memcpy(arena_alloc(a, x->n), blob, x->n);
    }
    c->artefact = v;
    return more;
}

struct cell_key {
    int64_t id;
    struct hash128 hash;
    double seconds;
};

static mohs_status hex_hash(const char *hex, struct hash128 *out,
                            struct mohs_error *err)
{
    unsigned char x = 0;
    *out = (struct hash128) { 0, 0 };
    if (!hex || strlen(hex) != 32 || strspn(hex, "0123456789abcdef") != 32)
        return mohs_fail(err, MOHS_E_FORMAT, "\"%s\" is not a cell's hash",
                         hex ? hex : "");
    for (int i = 0; i < 32; i++) {
        x = (unsigned char)(hex[i] <= '9' ? hex[i] - '0' : hex[i] - 'a' + 10);
        uint64_t *half = i < 16 ? &out->hi : &out->lo;
        *half = *half << 4 | x;
    }
    return MOHS_OK;
}

static mohs_status cell_keys(struct results *r, struct cell_key **out, size_t *n,
                             struct mohs_error *err)
{
    sqlite3_stmt *s;
    struct cell_key *v = NULL;
    size_t cap = 0;
    int32_t more;
    *out = NULL;
    *n = 0;
    RET_IF_ERR(results_bind(r, Q_CELLS, &s, err, ""));
    while ((more = results_step(r, s, err)) > 0) {
        if (*n == cap)
            v = xrealloc(v, (cap = cap ? 2 * cap : 64) * sizeof *v);
        v[*n].id = sqlite3_column_int64(s, 0);
        v[*n].seconds = sqlite3_column_double(s, 2);
        more = hex_hash((const char *)sqlite3_column_text(s, 1), &v[*n].hash, err);
        if (more < 0) {
            sqlite3_reset(s);
            break;
        }
        ++*n;
    }
    if (more < 0) {
        free(v);
        return more;
    }
    *out = v;
    return MOHS_OK;
}

static mohs_status load_cell(struct results *r, const struct cell_key *k,
                             struct arena *a, bool data, struct result_cell *c,
                             struct mohs_error *err)
{
    *c = (struct result_cell) { .hash = k->hash, .seconds = k->seconds };
    RET_IF_ERR(load_pairs(r, Q_AXES, k->id, a, &c->axis, &c->n_axes, err));
    RET_IF_ERR(load_pairs(r, Q_PROVENANCE, k->id, a, &c->provenance,
                          &c->n_provenance, err));
    RET_IF_ERR(load_values(r, k->id, a, c, err));
    return load_artefacts(r, k->id, a, data, c, err);
}

typedef mohs_status cell_fn(void *user, const struct result_cell *cell,
                            struct mohs_error *err);

static mohs_status visit(struct results *r, const struct cell_key *k,
                         cell_fn *fn, void *user, struct mohs_error *err)
{
    struct arena *a = arena_new();
    struct result_cell c;
    mohs_status st = load_cell(r, k, a, true, &c, err);
    if (st >= 0)
        st = fn(user, &c, err);
    arena_free(a);
    return st;
}

mohs_status results_each(struct results *r,
                         mohs_status (*fn)(void *user,
                                           const struct result_cell *cell,
                                           struct mohs_error *err),
                         void *user, struct mohs_error *err)
{
    struct cell_key *k;
    size_t n;
    mohs_status st = cell_keys(r, &k, &n, err);
    for (size_t i = 0; st >= 0 && i < n; i++)
        st = visit(r, &k[i], fn, user, err);
    free(k);
    return st < 0 ? st : MOHS_OK;
}

mohs_status results_cell(struct results *r, struct hash128 cell,
                         mohs_status (*fn)(void *user,
                                           const struct result_cell *cell,
                                           struct mohs_error *err),
                         void *user, struct mohs_error *err)
{
    struct cell_key k = { .hash = cell };
    sqlite3_stmt *s;
    char hex[33];
    hash_hex(cell, hex);
    RET_IF_ERR(results_bind(r, Q_CELL_FIND, &s, err, "s", hex));
    int32_t found = results_step(r, s, err);
    RET_IF_ERR(found);
    if (!found)
        return mohs_fail(err, MOHS_E_ARG, "%s: no cell %s", r->path, hex);
    k.id = sqlite3_column_int64(s, 0);
    k.seconds = sqlite3_column_double(s, 1);
    sqlite3_reset(s);
    return visit(r, &k, fn, user, err);
}

mohs_status results_load(struct results *r, struct cell_list *out,
                         struct mohs_error *err)
{
    struct cell_key *k;
    size_t n;
    *out = (struct cell_list) { 0 };
    RET_IF_ERR(cell_keys(r, &k, &n, err));
    out->arena = arena_new();
    out->v = xcalloc(n + 1, sizeof *out->v);
    mohs_status st = MOHS_OK;
    for (size_t i = 0; st >= 0 && i < n; i++)
        st = load_cell(r, &k[i], out->arena, false, &out->v[i], err);
    out->n = n;
    free(k);
    if (st < 0)
        results_unload(out);
    return st;
}

void results_unload(struct cell_list *l)
{
    arena_free(l->arena);
    free(l->v);
    *l = (struct cell_list) { 0 };
}

/* ---- runs ------------------------------------------------------------ */

static mohs_status load_runs(struct results *r, struct arena *a,
                             struct result_run **out, size_t *n,
                             struct mohs_error *err)
{
    sqlite3_stmt *s;
    struct result_run *v = NULL;
    size_t cap = 0;
    int32_t more;
    *n = 0;
    RET_IF_ERR(results_bind(r, Q_RUNS, &s, err, ""));
    while ((more = results_step(r, s, err)) > 0) {
        v = grow(a, v, *n, &cap, sizeof *v);
        v[(*n)++] = (struct result_run) {
            .id = sqlite3_column_int64(s, 0),
            .recipe_name = results_column(a, s, 1),
            .recipe_text = results_column(a, s, 2),
            .args_json = results_column(a, s, 3),
            .seed = strtoull(results_column(a, s, 4), NULL, 10),
            .state = results_column(a, s, 5),
            .started = results_column(a, s, 6),
            .starts = (uint32_t)sqlite3_column_int64(s, 7),
            .seconds = sqlite3_column_double(s, 8),
            .peak_bytes = (uint64_t)sqlite3_column_int64(s, 9),
        };
    }
    *out = v;
    RET_IF_ERR(more);
    for (size_t i = 0; i < *n; i++) {
        RET_IF_ERR(load_pairs(r, Q_FACTS, v[i].id, a, &v[i].facts,
                              &v[i].n_facts, err));
        RET_IF_ERR(results_bind(r, Q_RUN_COUNT, &s, err, "i", v[i].id));
        more = results_step(r, s, err);
        RET_IF_ERR(more);
        v[i].n_cells = (uint64_t)sqlite3_column_int64(s, 0);
        sqlite3_reset(s);
    }
    return MOHS_OK;
}

mohs_status results_each_run(struct results *r,
                             mohs_status (*fn)(void *user,
                                               const struct result_run *run,
                                               struct mohs_error *err),
                             void *user, struct mohs_error *err)
{
    struct arena *a = arena_new();
    struct result_run *v;
    size_t n;
    mohs_status st = load_runs(r, a, &v, &n, err);
    for (size_t i = 0; st >= 0 && i < n; i++)
        st = fn(user, &v[i], err);
    arena_free(a);
    return st < 0 ? st : MOHS_OK;
}

/* ---- samples --------------------------------------------------------- */

static void split(const void *v, size_t n, size_t stride, size_t width,
                  uint8_t *out)
{
    const uint8_t *p = v;
    for (size_t i = 0; i < n; i++, p += stride) {
        uint64_t x = 0;
        uint32_t y;
        if (width == 8) {
            memcpy(&x, p, 8);
        } else {
            memcpy(&y, p, 4);
            x = y;
        }
        for (size_t k = 0; k < width; k++)
            out[k * n + i] = (uint8_t)(x >> 8 * k);
    }
}

static uint64_t joined(const uint8_t *p, size_t n, size_t i, size_t width)
{
    uint64_t x = 0;
    for (size_t k = 0; k < width; k++)
        x |= (uint64_t)p[k * n + i] << 8 * k;
    return x;
}

mohs_status samples_pack(const struct result_samples *s, struct str *out,
                         struct mohs_error *err)
{
    size_t n = s->n_rows, m = s->n_columns, ids = 0;
    ZSTD_CCtx *z = NULL;
    mohs_status st = MOHS_OK;
    for (size_t i = 0; s->row_id && i < n; i++)
        ids += strlen(s->row_id[i]) + 1;
    size_t raw = 1 + n * (8 * m + 4) + ids, bound = ZSTD_compressBound(raw);
    uint8_t *buf = try_calloc(raw, 1, "samples", err);
    char *packed = try_calloc(bound, 1, "samples", err);
    if (!buf || !packed || !(z = ZSTD_createCCtx())) {
        st = MOHS_E_NOMEM;
        goto out;
    }
    uint8_t *p = buf;
    *p++ = s->row_id != NULL;
    for (size_t j = 0; j < m; j++, p += 8 * n)
        split(s->value + j, n, m * sizeof *s->value, 8, p);
    if (s->cluster)
        split(s->cluster, n, sizeof *s->cluster, 4, p);
    p += 4 * n;
    for (size_t i = 0; s->row_id && i < n; i++) {
        size_t k = strlen(s->row_id[i]) + 1;
        memcpy(p, s->row_id[i], k);
        p += k;
    }
    ZSTD_CCtx_setParameter(z, ZSTD_c_compressionLevel, 6);
    ZSTD_CCtx_setParameter(z, ZSTD_c_checksumFlag, 1);
    size_t k = ZSTD_compress2(z, packed, bound, buf, raw);
    if (ZSTD_isError(k)) {
        st = mohs_fail(err, MOHS_E_NOMEM, "samples: zstd: %s",
                       ZSTD_getErrorName(k));
        goto out;
    }
    str_addn(out, packed, k);
out:
    ZSTD_freeCCtx(z);
    free(buf);
    free(packed);
    return st;
}

void results_samples_free(struct result_samples *s)
{
    if (!s)
        return;
    for (uint32_t i = 0; s->columns && i < s->n_columns; i++)
        free((void *)(uintptr_t)s->columns[i]);
    free((void *)(uintptr_t)s->columns);
    if (s->row_id && s->n_rows)
        free((void *)(uintptr_t)s->row_id[0]); // one block holds them all
    free((void *)(uintptr_t)s->row_id);
    free((void *)(uintptr_t)s->value);
    free((void *)(uintptr_t)s->cluster);
    *s = (struct result_samples) { 0 };
}

static mohs_status column_names(const char *json, struct result_samples *s,
                                struct mohs_error *err)
{
    json_t *j = json_loads(json, 0, NULL);
    mohs_status st = MOHS_OK;
    size_t n = json_array_size(j);
    if (!json_is_array(j) || n > SAMPLES_MAX_COLUMNS) {
        st = mohs_fail(err, MOHS_E_FORMAT, "samples: bad column names");
        goto out;
    }
    char **v = xcalloc(n + 1, sizeof *v);
    s->columns = (const char *const *)v;
    s->n_columns = (uint32_t)n;
    for (size_t i = 0; i < n; i++) {
        const char *name = json_string_value(json_array_get(j, i));
        v[i] = xstrdup(name ? name : "");
    }
out:
    json_decref(j);
    return st;
}

static mohs_status row_ids(const uint8_t *p, size_t n, struct result_samples *s,
                           struct mohs_error *err)
{
    char *text = try_calloc(n + 1, 1, "row ids", err);
    char **v = try_calloc((size_t)s->n_rows + 1, sizeof *v, "row ids", err);
    if (!text || !v) {
        free(text);
        free(v);
        return MOHS_E_NOMEM;
    }
    memcpy(text, p, n);
    v[0] = text; // freed through the first
    s->row_id = (const char *const *)v;
    size_t at = 0;
    for (uint32_t i = 0; i < s->n_rows; i++) {
        if (at >= n)
            return mohs_fail(err, MOHS_E_FORMAT, "samples: row ids are missing");
        v[i] = text + at;
        at += strlen(text + at) + 1;
    }
    return at == n ? MOHS_OK
                   : mohs_fail(err, MOHS_E_FORMAT, "samples: too many row ids");
}

static mohs_status fill(const uint8_t *p, size_t raw, struct result_samples *s,
                        struct mohs_error *err)
{
    size_t n = s->n_rows, m = s->n_columns, fixed = 1 + n * (8 * m + 4);
    if (raw < fixed || (!p[0] && raw != fixed))
        return mohs_fail(err, MOHS_E_FORMAT,
                         "samples: %zu bytes for %zu rows of %zu columns", raw,
                         n, m);
    double *value = try_calloc(n * m + 1, sizeof *value, "samples", err);
    s->value = value;
    uint32_t *cluster = try_calloc(n, sizeof *cluster, "samples", err);
    s->cluster = cluster;
    if (!value || !cluster)
        return MOHS_E_NOMEM;
    const uint8_t *q = p + 1;
    for (size_t j = 0; j < m; j++, q += 8 * n) {
        for (size_t i = 0; i < n; i++) {
            uint64_t x = joined(q, n, i, 8);
            memcpy(&value[i * m + j], &x, 8);
        }
    }
    for (size_t i = 0; i < n; i++)
        cluster[i] = (uint32_t)joined(q, n, i, 4);
    return p[0] ? row_ids(q + 4 * n, raw - fixed, s, err) : MOHS_OK;
}

mohs_status samples_unpack(const void *blob, size_t n, const char *columns,
                           uint32_t n_rows, struct result_samples *out,
                           struct mohs_error *err)
{
    uint8_t *buf = NULL;
    mohs_status st = MOHS_OK;
    *out = (struct result_samples) { .n_rows = n_rows };
    unsigned long long raw = blob ? ZSTD_getFrameContentSize(blob, n)
                                  : ZSTD_CONTENTSIZE_ERROR;
    if (raw == ZSTD_CONTENTSIZE_ERROR || raw == ZSTD_CONTENTSIZE_UNKNOWN ||
        raw > SAMPLES_MAX_BYTES || !raw || !n_rows || n_rows > SAMPLES_MAX_ROWS) {
        st = mohs_fail(err, MOHS_E_FORMAT, "samples: not a samples blob");
        goto out;
    }
    OUT_IF_ERR(column_names(columns, out, err));
    buf = try_calloc((size_t)raw, 1, "samples", err);
    if (!buf) {
        st = MOHS_E_NOMEM;
        goto out;
    }
    size_t got = ZSTD_decompress(buf, (size_t)raw, blob, n);
    if (ZSTD_isError(got) || got != raw) {
        st = mohs_fail(err, MOHS_E_FORMAT, "samples: zstd: %s",
                       ZSTD_isError(got) ? ZSTD_getErrorName(got) : "short");
        goto out;
    }
    st = fill(buf, (size_t)raw, out, err);
out:
    free(buf);
    if (st < 0)
        results_samples_free(out);
    return st;
}

mohs_status results_samples(struct results *r, struct hash128 cell,
                            struct result_samples *out, struct mohs_error *err)
{
    sqlite3_stmt *s;
    char hex[33];
    *out = (struct result_samples) { 0 };
    hash_hex(cell, hex);
    RET_IF_ERR(results_bind(r, Q_SAMPLES, &s, err, "s", hex));
    int32_t found = results_step(r, s, err);
    if (found <= 0)
        return found;
    int64_t n_rows = sqlite3_column_int64(s, 1);
    const char *columns = (const char *)sqlite3_column_text(s, 0);
    const void *blob = sqlite3_column_blob(s, 2);
    mohs_status st = samples_unpack(
        blob, (size_t)sqlite3_column_bytes(s, 2), columns ? columns : "",
        n_rows > 0 && n_rows <= SAMPLES_MAX_ROWS ? (uint32_t)n_rows : 0, out, err);
    sqlite3_reset(s);
    return st < 0 ? err_prefix(err, st, "%s: cell %s", r->path, hex) : MOHS_OK;
}

const char *result_axis(const struct result_cell *c, const char *key)
{
    for (size_t i = 0; i < c->n_axes; i++)
        if (!strcmp(c->axis[i].key, key))
            return c->axis[i].value;
    return NULL;
}

bool result_is_hit(const struct result_samples *s, uint32_t column)
{
    bool any = false, named = false;
    for (uint32_t c = 0; c < s->n_columns; c++)
        named |= strstr(s->columns[c], "hit") != NULL;
    if (named ? !strstr(s->columns[column], "hit")
              : strstr(s->columns[column], "rank") != NULL)
        return false;
    for (uint32_t r = 0; r < s->n_rows; r++) {
        double x = s->value[(size_t)r * s->n_columns + column];
        if (!isnan(x) && !(x >= 0 && x <= 1))
            return false;
        any |= !isnan(x);
    }
    return any;
}
