/* SPDX-License-Identifier: MIT */
/*
 * A checkpoint: tensors by name, its configuration, tokenizer and
 * preprocessor texts, wherever they come from. safetensors.c knows the file
 * format.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "model/tokenizer.h"
#include "model/weights.h"

/* Texts beside the tensors: configurations are small, tokenizers are not. */
enum { CONFIG_MAX = 16 << 20 };

/* ---- the set of tensors ----------------------------------------------- */

static size_t slot_of(const struct mohs_weights *w, const char *name)
{
    size_t i = (size_t)hash_str64(name) & (w->n_slots - 1);
    while (w->slot[i] && strcmp(w->v[w->slot[i] - 1].name, name))
        i = (i + 1) & (w->n_slots - 1);
    return i;
}

static void slots_grow(struct mohs_weights *w)
{
    if (w->n_slots >= 2 * (w->n + 1))
        return;
    free(w->slot);
    w->n_slots = w->n_slots ? 2 * w->n_slots : 64;
    w->slot = xcalloc(w->n_slots, sizeof *w->slot);
    for (size_t i = 0; i < w->n; i++)
        w->slot[slot_of(w, w->v[i].name)] = (uint32_t)i + 1;
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

/* ---- opening ---------------------------------------------------------- */

static struct mohs_weights *weights_blank(const char *path)
{
    struct mohs_weights *w = xcalloc(1, sizeof *w);
    w->path = xstrdup(path);
    w->meta = json_object();
    pthread_mutex_init(&w->lock, NULL);
    return w;
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
    free(w->path);
    pthread_mutex_destroy(&w->lock);
    free(w);
}

/* The JSON object in a text; an absent text is fine. */
static mohs_status check_part(const char *text, const char *owner,
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
    OUT_IF_ERR(check_part(config, w->path, "config", &w->config_json, err));
    OUT_IF_ERR(check_part(tokenizer, w->path, "tokenizer", NULL, err));
    OUT_IF_ERR(check_part(preprocessor, w->path, "preprocessor", NULL, err));
    *out = w;
    w = NULL;
out:
    weights_close(w);
    return st;
}

/* Reads DIR/name into *text when it exists and *text is still empty. */
static mohs_status part_from_file(const char *dir, const char *name, size_t max,
                                  char **text, struct mohs_error *err)
{
    if (*text)
        return MOHS_OK;
    char *path = path_join(dir, name);
    mohs_status st = MOHS_OK;
    if (file_exists(path))
        st = file_read(path, max, text, NULL, err);
    free(path);
    return st;
}

static void part_from_meta(const struct mohs_weights *w, const char *key,
                           char **text)
{
    const char *s = weights_meta(w, key);
    if (!*text && s)
        *text = xstrdup(s);
}

static mohs_status parts_from_dir(struct mohs_weights *w, const char *dir,
                                  struct mohs_error *err)
{
    RET_IF_ERR(part_from_file(dir, "config.json", CONFIG_MAX, &w->config, err));
    RET_IF_ERR(part_from_file(dir, "preprocessor_config.json", CONFIG_MAX,
                              &w->preprocessor, err));
    RET_IF_ERR(part_from_file(dir, "tokenizer.json", TOKENIZER_BYTES_MAX,
                              &w->tokenizer, err));
    if (w->tokenizer)
        return MOHS_OK;
    return tokenizer_json_from_dir(dir, &w->tokenizer, err);
}

static void parts_from_meta(struct mohs_weights *w)
{
    part_from_meta(w, "config", &w->config);
    part_from_meta(w, "tokenizer", &w->tokenizer);
    part_from_meta(w, "preprocessor", &w->preprocessor);
}

/* A file that an index names: beside it, never elsewhere. */
static bool is_plain_name(const char *s)
{
    return s && *s && *s != '.' && !strchr(s, '/');
}

static mohs_status check_index(const struct mohs_weights *w, const json_t *map,
                               const char *path, struct mohs_error *err)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)map, key, value) {
        if (!weights_find(w, key))
            return mohs_fail(err, MOHS_E_FORMAT,
                             "%s: tensor \"%s\" is not in \"%s\"", path, key,
                             json_string_value(value));
    }
    return MOHS_OK;
}

/* model.safetensors.index.json: {"weight_map": {tensor: file}}. */
static mohs_status open_shards(struct mohs_weights *w, const char *dir,
                               const char *path, struct mohs_error *err)
{
    char *text = NULL;
    size_t n;
    json_t *index = NULL, *seen = json_object();
    const char *key;
    json_t *value;
    mohs_status st;
    OUT_IF_ERR(file_read(path, TOKENIZER_BYTES_MAX, &text, &n, err));
    index = json_text(text, n, path, err);
    st = index ? MOHS_OK : MOHS_E_FORMAT;
    json_t *map = json_object_get(index, "weight_map");
    if (st >= 0 && !json_is_object(map))
        st = mohs_fail(err, MOHS_E_FORMAT, "%s: no \"weight_map\"", path);
    if (st < 0)
        goto out;
    json_object_foreach(map, key, value) {
        const char *file = json_string_value(value);
        if (!is_plain_name(file)) {
            st = mohs_fail(err, MOHS_E_FORMAT,
                           "%s: tensor \"%s\": no plain file name", path, key);
            goto out;
        }
        if (json_object_get(seen, file))
            continue;
        json_object_set_new(seen, file, json_true());
        char *shard = path_join(dir, file);
        st = safetensors_map(w, shard, err);
        free(shard);
        if (st < 0)
            goto out;
    }
    st = check_index(w, map, path, err);
out:
    json_decref(index);
    json_decref(seen);
    free(text);
    return st;
}

static mohs_status open_dir(struct mohs_weights *w, const char *dir,
                            struct mohs_error *err)
{
    char *one = path_join(dir, "model.safetensors");
    char *index = path_join(dir, "model.safetensors.index.json");
    mohs_status st;
    if (file_exists(one))
        st = safetensors_map(w, one, err);
    else if (file_exists(index))
        st = open_shards(w, dir, index, err);
    else
        st = mohs_fail(err, MOHS_E_IO,
                       "%s: no model.safetensors and no "
                       "model.safetensors.index.json in this directory",
                       dir);
    free(one);
    free(index);
    RET_IF_ERR(st);
    RET_IF_ERR(parts_from_dir(w, dir, err));
    parts_from_meta(w);
    return MOHS_OK;
}

static mohs_status open_file(struct mohs_weights *w, const char *path,
                             struct mohs_error *err)
{
    RET_IF_ERR(safetensors_map(w, path, err));
    parts_from_meta(w);
    char *dir = path_dir(path);
    mohs_status st = parts_from_dir(w, dir, err);
    free(dir);
    return st;
}

mohs_status weights_open(const char *path, struct mohs_weights **out,
                         struct mohs_error *err)
{
    struct mohs_weights *w = weights_blank(path);
    mohs_status st;
    OUT_IF_ERR(dir_exists(path) ? open_dir(w, path, err)
                                : open_file(w, path, err));
    OUT_IF_ERR(check_part(w->config, path, "config", &w->config_json, err));
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

static int by_name(const void *a, const void *b)
{
    const struct wtensor *const *ta = a, *const *tb = b;
    return strcmp((*ta)->name, (*tb)->name);
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
        hasher_bytes(h, t->data,
                     (size_t)(t->count * dtype_table[t->dtype].bytes));
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
    mohs_status st = dtype_to_f32(t->dtype, t->data, out, count, err);
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
