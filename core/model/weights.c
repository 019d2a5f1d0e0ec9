/* SPDX-License-Identifier: MIT */
/*
 * A checkpoint: tensors by name, its configuration, tokenizer and
 * preprocessor texts, wherever they come from. weights_open.c finds them in
 * files, safetensors.c and torch_file.c know the formats.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "model/tokenizer.h"
#include "model/weights.h"

/* Of a file, looked at before its pages are given back. */
enum { CHUNK_BYTES = 4 << 20 };

/* ---- the set of tensors ----------------------------------------------- */

static size_t slot_of(const struct mohs_weights *w, const char *name)
{
    size_t i = (size_t)hash_str64(name) & (w->n_slots - 1);
    while (w->slot[i] && strcmp(w->v[w->slot[i] - 1].name, name))
        i = (i + 1) & (w->n_slots - 1);
    return i;
}

static void slots_fill(struct mohs_weights *w)
{
    if (w->n_slots)
        memset(w->slot, 0, w->n_slots * sizeof *w->slot);
    for (size_t i = 0; i < w->n; i++)
        w->slot[slot_of(w, w->v[i].name)] = (uint32_t)i + 1;
}

static void slots_grow(struct mohs_weights *w)
{
    if (w->n_slots >= 2 * (w->n + 1))
        return;
    free(w->slot);
    w->n_slots = w->n_slots ? 2 * w->n_slots : 64;
    w->slot = xcalloc(w->n_slots, sizeof *w->slot);
    slots_fill(w);
}

struct wtensor *weights_find(const struct mohs_weights *w, const char *name)
{
    if (!w->n_slots)
        return NULL;
    uint32_t i = w->slot[slot_of(w, name)];
    return i ? &w->v[i - 1] : NULL;
}

mohs_status weights_add(struct mohs_weights *w, const struct wtensor *t,
                        struct mohs_error *err)
{
    if (weights_find(w, t->name)) {
        mohs_fail(err, MOHS_E_FORMAT, "tensor \"%s\" is there twice", t->name);
        free(t->name);
        free(t->own);
        return MOHS_E_FORMAT;
    }
    if (w->n == w->cap) {
        w->cap = w->cap ? 2 * w->cap : 64;
        w->v = xrealloc(w->v, w->cap * sizeof *w->v);
    }
    slots_grow(w);
    w->v[w->n++] = *t;
    w->slot[slot_of(w, t->name)] = (uint32_t)w->n;
    return MOHS_OK;
}

mohs_status weights_put(struct mohs_weights *w, const char *name,
                        uint32_t n_dims, const uint32_t *dims,
                        const float *data, struct mohs_error *err)
{
    struct wtensor t = { .dtype = DT_F32, .n_dims = n_dims, .count = 1 };
    if (n_dims > WEIGHTS_DIMS_MAX)
        return mohs_fail(err, MOHS_E_ARG, "tensor \"%s\": %u dims, at most %d",
                         name, n_dims, WEIGHTS_DIMS_MAX);
    if (!utf8_valid(name, strlen(name)) || !strcmp(name, "__metadata__"))
        return mohs_fail(err, MOHS_E_ARG, "\"%s\" cannot be a tensor's name",
                         name);
    for (uint32_t i = 0; i < n_dims; i++) {
        t.dims[i] = dims[i];
        if (dims[i] && t.count > SIZE_MAX / 8 / dims[i])
            return mohs_fail(err, MOHS_E_ARG,
                             "tensor \"%s\": its size overflows", name);
        t.count *= dims[i];
    }
    t.own = try_aligned((size_t)t.count * sizeof *data + 1, name, err);
    if (!t.own)
        return MOHS_E_NOMEM;
    if (t.count)
        memcpy(t.own, data, (size_t)t.count * sizeof *data);
    t.data = t.own;
    w->hashed = false;
    struct wtensor *old = weights_find(w, name);
    if (old) {
        t.name = old->name;
        free(old->own);
        *old = t;
        return MOHS_OK;
    }
    t.name = xstrdup(name);
    return weights_add(w, &t, err);
}

/* ---- values ------------------------------------------------------------ */

void weights_forget(const struct mohs_weights *w, const uint8_t *data, size_t n)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), at = (uintptr_t)data;
    for (size_t i = 0; i < w->n_maps; i++) {
        uintptr_t first = (uintptr_t)w->map[i].p;
        if (at < first || at - first >= w->map[i].n)
            continue;
        // nothing was written to them: they come back from the file
        uintptr_t from = at / page * page;
        madvise((void *)from, at + n - from, MADV_DONTNEED);
    }
}

mohs_status weights_values(const struct mohs_weights *w, const struct wtensor *t,
                           uint64_t first, float *out, uint64_t n,
                           struct mohs_error *err)
{
    uint32_t bytes = dtype_table[t->dtype].bytes;
    for (uint64_t k; n; n -= k, first += k, out += k) {
        const uint8_t *at = t->data + first * bytes;
        k = n < CHUNK_BYTES / sizeof *out ? n : CHUNK_BYTES / sizeof *out;
        RET_IF_ERR(dtype_to_f32(t->dtype, at, out, k, err));
        weights_forget(w, at, (size_t)k * bytes);
    }
    return MOHS_OK;
}

/* ---- life -------------------------------------------------------------- */

struct mohs_weights *weights_blank(const char *path)
{
    struct mohs_weights *w = xcalloc(1, sizeof *w);
    w->path = xstrdup(path);
    w->meta = json_object();
    pthread_mutex_init(&w->lock, NULL);
    return w;
}

void weights_strip(struct mohs_weights *w, const char *prefix)
{
    size_t n = strlen(prefix);
    for (size_t i = 0; i < w->n; i++)
        if (strncmp(w->v[i].name, prefix, n) || !w->v[i].name[n])
            return;
    for (size_t i = 0; i < w->n; i++)
        memmove(w->v[i].name, w->v[i].name + n, strlen(w->v[i].name + n) + 1);
    slots_fill(w);
}

void weights_close(struct mohs_weights *w)
{
    if (!w)
        return;
    for (size_t i = 0; i < w->n; i++) {
        free(w->v[i].name);
        free(w->v[i].own);
    }
    for (size_t i = 0; i < w->n_maps; i++)
        munmap(w->map[i].p, w->map[i].n);
    free(w->v);
    free(w->slot);
    free(w->map);
    json_decref(w->meta);
    json_decref(w->config_json);
    free(w->config);
    free(w->tokenizer);
    free(w->preprocessor);
    free(w->config_from);
    free(w->path);
    pthread_mutex_destroy(&w->lock);
    free(w);
}

mohs_status weights_check_part(const char *text, const char *owner,
                               const char *part, json_t **keep,
                               struct mohs_error *err)
{
    if (!text)
        return MOHS_OK;
    char *name = xasprintf("%s: %s", owner, part);
    json_t *j = json_text(text, strlen(text), name, err);
    free(name);
    if (!j)
        return MOHS_E_FORMAT;
    if (keep)
        *keep = j;
    else
        json_decref(j);
    return MOHS_OK;
}

mohs_status weights_new(const char *config, const char *tokenizer,
                        const char *preprocessor, struct mohs_weights **out,
                        struct mohs_error *err)
{
    struct mohs_weights *w = weights_blank("new weights");
    mohs_status st;
    w->config = config ? xstrdup(config) : NULL;
    w->tokenizer = tokenizer ? xstrdup(tokenizer) : NULL;
    w->preprocessor = preprocessor ? xstrdup(preprocessor) : NULL;
    OUT_IF_ERR(weights_check_part(config, w->path, "config", &w->config_json, err));
    OUT_IF_ERR(weights_check_part(tokenizer, w->path, "tokenizer", NULL, err));
    OUT_IF_ERR(weights_check_part(preprocessor, w->path, "preprocessor", NULL, err));
    *out = w;
    w = NULL;
out:
    weights_close(w);
    return st;
}

/* ---- parts and hash ---------------------------------------------------- */

const char *weights_path(const struct mohs_weights *w)
{
    return w->path;
}

const char *weights_config(const struct mohs_weights *w)
{
    return w->config;
}

mohs_status weights_set_config(struct mohs_weights *w, const char *config,
                               struct mohs_error *err)
{
    json_t *j = NULL;
    RET_IF_ERR(weights_check_part(config, w->path, "config", &j, err));
    free(w->config);
    json_decref(w->config_json);
    w->config = xstrdup(config);
    w->config_json = j;
    return MOHS_OK;
}

const char *weights_tokenizer(const struct mohs_weights *w)
{
    return w->tokenizer;
}

const char *weights_preprocessor(const struct mohs_weights *w)
{
    return w->preprocessor;
}

const char *weights_meta(const struct mohs_weights *w, const char *key)
{
    return json_string_value(json_object_get(w->meta, key));
}

const json_t *weights_object(const struct mohs_weights *w, const char *key)
{
    const json_t *j = json_object_get(w->config_json, key);
    return json_is_object(j) ? j : NULL;
}

static int by_name(const void *a, const void *b)
{
    const struct wtensor *const *ta = a, *const *tb = b;
    return strcmp((*ta)->name, (*tb)->name);
}

void weights_summary(const struct mohs_weights *w, struct weights_summary *out)
{
    size_t of[DT_COUNT] = { 0 }, at = 0;
    *out = (struct weights_summary) { .format = w->format,
                                      .config_from = w->config_from,
                                      .files = w->n_files,
                                      .tensors = w->n };
    for (size_t i = 0; i < w->n; i++) {
        out->numbers += w->v[i].count;
        out->bytes += w->v[i].count * dtype_table[w->v[i].dtype].bytes;
        of[w->v[i].dtype]++;
    }
    for (int d = 0; d < DT_COUNT; d++)
        if (of[d] && at < sizeof out->dtypes)
            at += (size_t)snprintf(out->dtypes + at, sizeof out->dtypes - at,
                                   "%s%s %zu", at ? ", " : "",
                                   dtype_table[d].name, of[d]);
}

static void hash_data(struct hasher *h, const struct mohs_weights *w,
                      const struct wtensor *t)
{
    uint64_t bytes = t->count * dtype_table[t->dtype].bytes;
    for (uint64_t at = 0; at < bytes; at += CHUNK_BYTES) {
        size_t n = (size_t)(bytes - at < CHUNK_BYTES ? bytes - at : CHUNK_BYTES);
        hasher_bytes(h, t->data + at, n);
        weights_forget(w, t->data + at, n);
    }
}

/* In order of names, so that the order in the file does not matter. */
static struct hash128 hash_all(const struct mohs_weights *w)
{
    const struct wtensor **v = xcalloc(w->n, sizeof *v);
    for (size_t i = 0; i < w->n; i++)
        v[i] = &w->v[i];
    qsort(v, w->n, sizeof *v, by_name);
    struct hasher *h = hasher_new();
    hasher_str(h, "weights/1");
    for (size_t i = 0; i < w->n; i++) {
        const struct wtensor *t = v[i];
        hasher_str(h, t->name);
        hasher_str(h, dtype_table[t->dtype].name);
        hasher_u64(h, t->n_dims);
        for (uint32_t d = 0; d < t->n_dims; d++)
            hasher_u64(h, t->dims[d]);
        hash_data(h, w, t);
    }
    char *config = w->config_json
                       ? json_dumps(w->config_json, JSON_COMPACT | JSON_SORT_KEYS)
                       : NULL;
    hasher_str(h, config ? config : "");
    free(config);
    free(v);
    return hasher_end(h);
}

struct hash128 weights_hash(const struct mohs_weights *w)
{
    struct mohs_weights *m = (struct mohs_weights *)w; // the cached hash only
    pthread_mutex_lock(&m->lock);
    if (!m->hashed) {
        m->hash = hash_all(w);
        m->hashed = true;
    }
    struct hash128 h = m->hash;
    pthread_mutex_unlock(&m->lock);
    return h;
}

/* ---- what plugins see -------------------------------------------------- */

static int32_t api_shape(const struct mohs_weights *w, const char *name,
                         uint32_t dims[5])
{
    const struct wtensor *t = weights_find(w, name);
    if (!t)
        return -1;
    if (dims)
        memcpy(dims, t->dims, sizeof t->dims);
    return (int32_t)t->n_dims;
}

static mohs_status api_read(const struct mohs_weights *w, const char *name,
                            float *out, uint64_t count, struct mohs_error *err)
{
    const struct wtensor *t = weights_find(w, name);
    if (!t)
        return mohs_fail(err, MOHS_E_FORMAT, "%s: no tensor \"%s\"", w->path,
                         name);
    if (t->count != count)
        return mohs_fail(err, MOHS_E_FORMAT,
                         "%s: tensor \"%s\" has %llu values, not %llu", w->path,
                         name, (unsigned long long)t->count,
                         (unsigned long long)count);
    mohs_status st = weights_values(w, t, 0, out, count, err);
    return st < 0 ? err_prefix(err, st, "%s: tensor \"%s\"", w->path, name) : st;
}

/* The value at a dotted path; parts that are numbers index arrays. NULL when
 * absent or null. */
static const json_t *config_at(const struct mohs_weights *w, const char *path)
{
    const json_t *j = w->config_json;
    while (j) {
        char key[128];
        size_t n = strcspn(path, ".");
        int64_t index;
        if (n >= sizeof key)
            return NULL;
        memcpy(key, path, n);
        key[n] = 0;
        if (json_is_array(j))
            j = str_to_i64(key, &index) && index >= 0
                    ? json_array_get(j, (size_t)index)
                    : NULL;
        else
            j = json_object_get(j, key);
        if (!path[n])
            return json_is_null(j) ? NULL : j;
        path += n + 1;
    }
    return NULL;
}

static int32_t api_number(const struct mohs_weights *w, const char *path,
                          double *out)
{
    const json_t *j = config_at(w, path);
    if (!j)
        return 0;
    if (!json_is_number(j) && !json_is_boolean(j))
        return -1;
    *out = json_is_boolean(j) ? json_is_true(j) : json_number_value(j);
    return 1;
}

static int32_t api_string(const struct mohs_weights *w, const char *path,
                          const char **out)
{
    const json_t *j = config_at(w, path);
    if (!j)
        return 0;
    if (!json_is_string(j))
        return -1;
    *out = json_string_value(j);
    return 1;
}

static const char *api_name(const struct mohs_weights *w, uint32_t index)
{
    return index < w->n ? w->v[index].name : NULL;
}

const struct mohs_weights_api weights_api = {
    .size = sizeof weights_api,
    .shape = api_shape,
    .read = api_read,
    .config_number = api_number,
    .config_string = api_string,
    .name = api_name,
    .path = weights_path,
    .fits = weights_fits,
    .read_param = weights_read_param,
};
