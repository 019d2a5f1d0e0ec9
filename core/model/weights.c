/* SPDX-License-Identifier: MIT */
/*
 * Checkpoints: one safetensors file or a directory, mapped and validated, or
 * a set in memory; and writing them back.
 */
#include "config.h"

#include "model/weights.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HEADER_MAX = 100 << 20, TENSORS_MAX = 1 << 20 };

static const struct {
    const char *name;
    unsigned bytes;
    enum dtype type;
} dtypes[] = {
    { "F32", 4, DTYPE_F32 }, { "F16", 2, DTYPE_F16 }, { "BF16", 2, DTYPE_BF16 },
    { "F64", 8, DTYPE_F64 }, { "I64", 8, DTYPE_I64 }, { "I32", 4, DTYPE_I32 },
    { "I16", 2, DTYPE_OTHER }, { "I8", 1, DTYPE_OTHER }, { "U8", 1, DTYPE_OTHER },
    { "BOOL", 1, DTYPE_OTHER },
};

/* ---- half floats ---- */

float half_to_float(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, e = (h >> 10) & 31, m = h & 0x3FF;
    uint32_t u;
    if (e == 31) {
        u = sign | 0x7F800000 | m << 13;
    } else if (e) {
        u = sign | (e + 112) << 23 | m << 13;
    } else if (m) {
        float f = (float)m * 0x1p-24f;
        memcpy(&u, &f, sizeof u);
        u |= sign;
    } else {
        u = sign;
    }
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}

uint16_t float_to_half(float f)
{
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    uint16_t sign = (uint16_t)(u >> 16 & 0x8000);
    uint32_t a = u & 0x7FFFFFFF;
    if (a > 0x7F800000)
        return sign | 0x7E00;
    if (a >= 0x47800000) // 65536 and above, infinity
        return sign | 0x7C00;
    if (a < 0x38800000) { // subnormal half: value * 2^24, to nearest even
        float x;
        memcpy(&x, &a, sizeof x);
        return sign | (uint16_t)lrintf(x * 0x1p24f);
    }
    uint32_t r = a + 0xFFF + (a >> 13 & 1); // round to nearest even
    return sign | (uint16_t)((r >> 13) - (112 << 10));
}

/* ---- the tensor table ---- */

static void tensor_free(struct weight *t)
{
    free(t->name);
    free(t->owned);
}

static struct weight *find(const struct mohs_weights *w, const char *name)
{
    if (!w->n_slots)
        return NULL;
    for (size_t i = hash_str64(name) & (w->n_slots - 1);; i = (i + 1) & (w->n_slots - 1)) {
        if (!w->slot[i])
            return NULL;
        if (!strcmp(w->tensor[w->slot[i] - 1].name, name))
            return &w->tensor[w->slot[i] - 1];
    }
}

static void index_add(struct mohs_weights *w, size_t t)
{
    size_t i = hash_str64(w->tensor[t].name) & (w->n_slots - 1);
    while (w->slot[i])
        i = (i + 1) & (w->n_slots - 1);
    w->slot[i] = (uint32_t)t + 1;
}

static struct weight *add_tensor(struct mohs_weights *w, const char *name)
{
    if (w->n == w->cap) {
        w->cap = w->cap ? 2 * w->cap : 64;
        w->tensor = xrealloc(w->tensor, w->cap * sizeof *w->tensor);
    }
    if (2 * (w->n + 1) > w->n_slots) {
        w->n_slots = w->n_slots ? 4 * w->n_slots : 256;
        free(w->slot);
        w->slot = xcalloc(w->n_slots, sizeof *w->slot);
        for (size_t i = 0; i < w->n; i++)
            index_add(w, i);
    }
    struct weight *t = &w->tensor[w->n];
    memset(t, 0, sizeof *t);
    t->name = xstrdup(name);
    index_add(w, w->n++);
    return t;
}

uint64_t weight_count(const struct weight *t)
{
    uint64_t n = 1;
    for (uint32_t i = 0; i < t->n_dims; i++)
        n *= t->dims[i];
    return n;
}

/* ---- parsing safetensors ---- */

struct span {
    uint64_t begin, end;
    const char *name;
};

static int by_begin(const void *a, const void *b)
{
    const struct span *x = a, *y = b;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    return x->end < y->end ? -1 : x->end > y->end;
}

static mohs_status parse_shape(const json_t *shape, const char *path,
                               struct weight *t, struct mohs_error *err)
{
    if (!json_is_array(shape) || json_array_size(shape) > MOHS_DIMS_MAX)
        return mohs_fail(err, MOHS_E_FORMAT, "%s: tensor %s: bad shape", path, t->name);
    t->n_dims = (uint32_t)json_array_size(shape);
    for (uint32_t i = 0; i < t->n_dims; i++) {
        const json_t *d = json_array_get(shape, i);
        json_int_t x = json_integer_value(d);
        if (!json_is_integer(d) || x < 0 || x > UINT32_MAX)
            return mohs_fail(err, MOHS_E_FORMAT, "%s: tensor %s: bad dimension %u",
                             path, t->name, i);
        t->dims[i] = (uint32_t)x;
    }
    return MOHS_OK;
}

static mohs_status parse_tensor(const char *path, const json_t *v, const uint8_t *data,
                                uint64_t room, struct weight *t, struct span *s,
                                struct mohs_error *err)
{
    const char *dtype = json_string_value(json_object_get(v, "dtype"));
    const json_t *at = json_object_get(v, "data_offsets");
    unsigned bytes = 0;
    for (size_t i = 0; dtype && i < sizeof dtypes / sizeof *dtypes; i++)
        if (!strcmp(dtypes[i].name, dtype)) {
            bytes = dtypes[i].bytes;
            t->type = dtypes[i].type;
        }
    if (!bytes)
        return mohs_fail(err, MOHS_E_FORMAT, "%s: tensor %s: unknown dtype '%s'", path,
                         t->name, dtype ? dtype : "(none)");
    RET_IF_ERR(parse_shape(json_object_get(v, "shape"), path, t, err));
    const json_t *b = json_array_get(at, 0), *e = json_array_get(at, 1);
    if (!json_is_array(at) || json_array_size(at) != 2 || !json_is_integer(b) ||
        !json_is_integer(e) || json_integer_value(b) < 0 ||
        json_integer_value(e) < json_integer_value(b) ||
        (uint64_t)json_integer_value(e) > room)
        return mohs_fail(err, MOHS_E_FORMAT,
                         "%s: tensor %s: data_offsets outside the file", path, t->name);
    uint64_t size = bytes;
    for (uint32_t i = 0; i < t->n_dims; i++) {
        if (t->dims[i] && size > UINT64_MAX / t->dims[i])
            return mohs_fail(err, MOHS_E_FORMAT, "%s: tensor %s: shape too large", path,
                             t->name);
        size *= t->dims[i];
    }
    s->begin = (uint64_t)json_integer_value(b);
    s->end = (uint64_t)json_integer_value(e);
    s->name = t->name;
    if (s->end - s->begin != size)
        return mohs_fail(err, MOHS_E_FORMAT,
                         "%s: tensor %s: %llu bytes for a shape of %llu", path, t->name,
                         (unsigned long long)(s->end - s->begin),
                         (unsigned long long)size);
    t->data = data + s->begin;
    return MOHS_OK;
}

static mohs_status check_spans(const char *path, struct span *s, size_t n,
                               uint64_t room, struct mohs_error *err)
{
    uint64_t at = 0;
    qsort(s, n, sizeof *s, by_begin);
    for (size_t i = 0; i < n; i++) {
        if (s[i].begin != at)
            return mohs_fail(err, MOHS_E_FORMAT, "%s: tensor %s: %s at byte %llu", path,
                             s[i].name, s[i].begin < at ? "overlap" : "hole",
                             (unsigned long long)s[i].begin);
        at = s[i].end;
    }
    if (at != room)
        return mohs_fail(err, MOHS_E_FORMAT, "%s: %llu bytes after the last tensor",
                         path, (unsigned long long)(room - at));
    return MOHS_OK;
}

static mohs_status parse_header(struct mohs_weights *w, const char *path,
                                json_t *root, const uint8_t *data, uint64_t room,
                                struct mohs_error *err)
{
    const char *key;
    json_t *v;
    size_t n = 0;
    mohs_status st = MOHS_OK;
    struct span *span = try_calloc(json_object_size(root) + 1, sizeof *span, path, err);
    if (!span)
        return MOHS_E_NOMEM;
    json_object_foreach(root, key, v)
    {
        if (!strcmp(key, "__metadata__")) {
            if (!json_is_object(v)) {
                st = mohs_fail(err, MOHS_E_FORMAT, "%s: __metadata__ is no object", path);
                goto out;
            }
            if (!w->meta)
                w->meta = json_incref(v);
            continue;
        }
        if (!json_is_object(v) || w->n >= TENSORS_MAX) {
            st = mohs_fail(err, MOHS_E_FORMAT, "%s: tensor %.60s: not an object", path,
                           key);
            goto out;
        }
        if (find(w, key)) {
            st = mohs_fail(err, MOHS_E_FORMAT, "%s: tensor %.60s is there twice", path,
                           key);
            goto out;
        }
        struct weight *t = add_tensor(w, key);
        OUT_IF_ERR(parse_tensor(path, v, data, room, t, &span[n], err));
        n++;
    }
    st = check_spans(path, span, n, room, err);
out:
    free(span);
    return st;
}

static mohs_status map_file(struct mohs_weights *w, const char *path,
                            const uint8_t **data, uint64_t *n, struct mohs_error *err)
{
    struct stat sb;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, "%s", path);
    if (fstat(fd, &sb) || !S_ISREG(sb.st_mode) || sb.st_size < 8) {
        close(fd);
        return mohs_fail(err, MOHS_E_FORMAT, "%s: not a safetensors file (too short)",
                         path);
    }
    void *p = mmap(NULL, (size_t)sb.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    if (p == MAP_FAILED)
        return err_errno(err, "%s", path);
    w->map = xrealloc(w->map, (w->n_maps + 1) * sizeof *w->map);
    w->map[w->n_maps++] = (struct mapping) { p, (size_t)sb.st_size };
    *data = p;
    *n = (uint64_t)sb.st_size;
    return MOHS_OK;
}

mohs_status safetensors_parse(struct mohs_weights *w, const char *path,
                              const uint8_t *p, uint64_t n, struct mohs_error *err)
{
    uint64_t len = 0;
    json_error_t je;
    if (n < 8)
        return mohs_fail(err, MOHS_E_FORMAT, "%s: not a safetensors file (too short)",
                         path);
    for (int i = 0; i < 8; i++)
        len |= (uint64_t)p[i] << (8 * i);
    if (len > HEADER_MAX || len > n - 8)
        return mohs_fail(err, MOHS_E_FORMAT,
                         "%s: not a safetensors file (header of %llu bytes)", path,
                         (unsigned long long)len);
    json_t *root = json_loadb((const char *)p + 8, (size_t)len,
                              JSON_REJECT_DUPLICATES, &je);
    if (!root)
        return mohs_fail(err, MOHS_E_FORMAT, "%s: header: %s", path, je.text);
    mohs_status st = MOHS_OK;
    if (!json_is_object(root))
        st = mohs_fail(err, MOHS_E_FORMAT, "%s: header is no object", path);
    else
        st = parse_header(w, path, root, p + 8 + len, n - 8 - len, err);
    json_decref(root);
    return st;
}

static mohs_status add_file(struct mohs_weights *w, const char *path,
                            struct mohs_error *err)
{
    const uint8_t *p = NULL;
    uint64_t n = 0;
    RET_IF_ERR(map_file(w, path, &p, &n, err));
    return safetensors_parse(w, path, p, n, err);
}

/* ---- opening ---- */

static mohs_status add_sharded(struct mohs_weights *w, const char *dir,
                               const char *index, struct mohs_error *err)
{
    json_error_t je;
    json_t *root = json_load_file(index, JSON_REJECT_DUPLICATES, &je), *v;
    json_t *map = json_object_get(root, "weight_map"), *seen = json_object();
    const char *key;
    mohs_status st = MOHS_OK;
    if (!json_is_object(map))
        st = mohs_fail(err, MOHS_E_FORMAT, "%s: %s", index,
                       root ? "no weight_map" : je.text);
    else
        json_object_foreach(map, key, v)
        {
            const char *file = json_string_value(v);
            if (!file || strchr(file, '/')) {
                st = mohs_fail(err, MOHS_E_FORMAT, "%s: bad file name for %.60s", index,
                               key);
                break;
            }
            if (json_object_get(seen, file))
                continue;
            json_object_set_new(seen, file, json_true());
            char *path = path_join(dir, file);
            st = add_file(w, path, err);
            free(path);
            if (st < 0)
                break;
        }
    json_decref(seen);
    json_decref(root);
    return st;
}

/* A text part: a file beside the weights, else a metadata key. */
static mohs_status load_part(struct mohs_weights *w, const char *dir,
                             const char *file, const char *key, char **out,
                             struct mohs_error *err)
{
    const char *meta = weights_meta(w, key);
    if (meta && w->lone) {
        *out = xstrdup(meta);
        return MOHS_OK;
    }
    char *path = path_join(dir, file);
    mohs_status st = MOHS_OK;
    if (file_exists(path))
        st = file_read(path, 256u << 20, out, NULL, err);
    else if (meta)
        *out = xstrdup(meta);
    free(path);
    return st;
}

static mohs_status parse_config(struct mohs_weights *w, struct mohs_error *err)
{
    json_error_t je;
    w->config = json_loads(w->config_text ? w->config_text : "{}",
                           JSON_REJECT_DUPLICATES, &je);
    if (!json_is_object(w->config))
        return mohs_fail(err, MOHS_E_FORMAT, "%s: config: %s", w->path,
                         w->config ? "not an object" : je.text);
    return MOHS_OK;
}

mohs_status weights_open(const char *path, struct mohs_weights **out,
                         struct mohs_error *err)
{
    struct mohs_weights *w = xcalloc(1, sizeof *w);
    mohs_status st;
    w->path = xstrdup(path);
    w->lone = !dir_exists(path);
    w->dir = w->lone ? path_dir(path) : xstrdup(path);
    if (w->lone) {
        OUT_IF_ERR(add_file(w, path, err));
    } else {
        char *one = path_join(path, "model.safetensors");
        char *index = path_join(path, "model.safetensors.index.json");
        if (file_exists(one))
            st = add_file(w, one, err);
        else if (file_exists(index))
            st = add_sharded(w, path, index, err);
        else
            st = mohs_fail(err, MOHS_E_IO, "%s: no model.safetensors in it", path);
        free(one);
        free(index);
        if (st < 0)
            goto out;
    }
    OUT_IF_ERR(load_part(w, w->dir, "config.json", "config", &w->config_text, err));
    OUT_IF_ERR(load_part(w, w->dir, "tokenizer.json", "tokenizer", &w->tokenizer_text,
                         err));
    OUT_IF_ERR(load_part(w, w->dir, "preprocessor_config.json", "preprocessor",
                         &w->preprocessor_text, err));
    OUT_IF_ERR(parse_config(w, err));
    *out = w;
    w = NULL;
out:
    weights_close(w);
    return st;
}

mohs_status weights_new(const char *config, const char *tokenizer,
                        const char *preprocessor, struct mohs_weights **out,
                        struct mohs_error *err)
{
    struct mohs_weights *w = xcalloc(1, sizeof *w);
    w->path = xstrdup("(new)");
    w->dir = xstrdup(".");
    w->lone = true;
    w->config_text = xstrdup(config);
    w->tokenizer_text = tokenizer ? xstrdup(tokenizer) : NULL;
    w->preprocessor_text = preprocessor ? xstrdup(preprocessor) : NULL;
    mohs_status st = parse_config(w, err);
    if (st < 0)
        weights_close(w);
    else
        *out = w;
    return st;
}

mohs_status weights_put(struct mohs_weights *w, const char *name,
                        uint32_t n_dims, const uint32_t *dims,
                        const float *data, struct mohs_error *err)
{
    if (n_dims > MOHS_DIMS_MAX)
        return mohs_fail(err, MOHS_E_ARG, "tensor %s: %u dims", name, n_dims);
    struct weight *t = find(w, name);
    if (!t)
        t = add_tensor(w, name);
    t->type = DTYPE_F32;
    t->n_dims = n_dims;
    if (n_dims)
        memcpy(t->dims, dims, n_dims * sizeof *dims);
    uint64_t n = weight_count(t);
    float *copy = try_calloc(n, sizeof *copy, name, err);
    if (!copy)
        return MOHS_E_NOMEM;
    memcpy(copy, data, n * sizeof *copy);
    free(t->owned);
    t->owned = copy;
    t->data = (uint8_t *)copy;
    w->hashed = false;
    return MOHS_OK;
}

void weights_close(struct mohs_weights *w)
{
    if (!w)
        return;
    for (size_t i = 0; i < w->n; i++)
        tensor_free(&w->tensor[i]);
    for (size_t i = 0; i < w->n_maps; i++)
        munmap((void *)w->map[i].data, w->map[i].n);
    json_decref(w->config);
    json_decref(w->meta);
    free(w->tensor);
    free(w->slot);
    free(w->map);
    free(w->path);
    free(w->dir);
    free(w->config_text);
    free(w->tokenizer_text);
    free(w->preprocessor_text);
    free(w);
}

/* ---- looking ---- */

struct hash128 weights_hash(const struct mohs_weights *cw)
{
    struct mohs_weights *w = (struct mohs_weights *)cw;
    if (w->hashed)
        return w->hash;
    struct hasher *h = hasher_new();
    hasher_str(h, w->config_text ? w->config_text : "");
    for (size_t i = 0; i < w->n; i++) {
        const struct weight *t = &w->tensor[i];
        hasher_str(h, t->name);
        hasher_u64(h, t->type);
        hasher_u64(h, t->n_dims);
        for (uint32_t k = 0; k < t->n_dims; k++)
            hasher_u64(h, t->dims[k]);
        if (t->type != DTYPE_OTHER)
            hasher_bytes(h, t->data, weight_count(t) * weight_bytes(t->type));
    }
    w->hash = hasher_end(h);
    w->hashed = true;
    return w->hash;
}

unsigned weight_bytes(enum dtype t)
{
    return t == DTYPE_F16 || t == DTYPE_BF16 ? 2 : t == DTYPE_F64 || t == DTYPE_I64 ? 8 : 4;
}

const char *weights_path(const struct mohs_weights *w)
{
    return w->path;
}

const char *weights_dir(const struct mohs_weights *w)
{
    return w->dir;
}

const char *weights_config(const struct mohs_weights *w)
{
    return w->config_text;
}

const char *weights_tokenizer(const struct mohs_weights *w)
{
    return w->tokenizer_text;
}

const char *weights_preprocessor(const struct mohs_weights *w)
{
    return w->preprocessor_text;
}

const char *weights_meta(const struct mohs_weights *w, const char *key)
{
    return json_string_value(json_object_get(w->meta, key));
}

/* ---- "mohs.weights/1" ---- */

static int32_t api_shape(const struct mohs_weights *w, const char *name,
                         uint32_t dims[5])
{
    const struct weight *t = find(w, name);
    if (!t)
        return -1;
    memcpy(dims, t->dims, sizeof t->dims);
    return (int32_t)t->n_dims;
}

static mohs_status api_read(const struct mohs_weights *w, const char *name,
                            float *out, uint64_t count, struct mohs_error *err)
{
    const struct weight *t = find(w, name);
    if (!t)
        return mohs_fail(err, MOHS_E_FORMAT, "%s: no tensor '%s'", w->path, name);
    if (weight_count(t) != count)
        return mohs_fail(err, MOHS_E_FORMAT, "%s: tensor %s has %llu elements, not %llu",
                         w->path, name, (unsigned long long)weight_count(t),
                         (unsigned long long)count);
    const uint8_t *p = t->data;
    switch (t->type) {
    case DTYPE_F32: memcpy(out, p, count * sizeof *out); break;
    case DTYPE_F16:
        for (uint64_t i = 0; i < count; i++)
            out[i] = half_to_float((uint16_t)(p[2 * i] | p[2 * i + 1] << 8));
        break;
    case DTYPE_BF16:
        for (uint64_t i = 0; i < count; i++) {
            uint32_t u = (uint32_t)p[2 * i] << 16 | (uint32_t)p[2 * i + 1] << 24;
            memcpy(&out[i], &u, sizeof u);
        }
        break;
    case DTYPE_F64:
        for (uint64_t i = 0; i < count; i++) {
            double x;
            memcpy(&x, p + 8 * i, sizeof x);
            out[i] = (float)x;
        }
        break;
    case DTYPE_I64:
        for (uint64_t i = 0; i < count; i++) {
            int64_t x;
            memcpy(&x, p + 8 * i, sizeof x);
            out[i] = (float)x;
        }
        break;
    case DTYPE_I32:
        for (uint64_t i = 0; i < count; i++) {
            int32_t x;
            memcpy(&x, p + 4 * i, sizeof x);
            out[i] = (float)x;
        }
        break;
    default:
        return mohs_fail(err, MOHS_E_FORMAT, "%s: tensor %s is not of numbers mohs reads",
                         w->path, name);
    }
    return MOHS_OK;
}

/* The value at a dotted path, or NULL. */
static const json_t *config_at(const struct mohs_weights *w, const char *path)
{
    const json_t *v = w->config;
    while (*path) {
        size_t n = strcspn(path, ".");
        char key[128];
        if (n >= sizeof key)
            return NULL;
        memcpy(key, path, n);
        key[n] = 0;
        v = json_object_get(v, key);
        path += n + (path[n] == '.');
    }
    return v;
}

static int32_t api_number(const struct mohs_weights *w, const char *path, double *out)
{
    const json_t *v = config_at(w, path);
    if (!v || json_is_null(v))
        return 0;
    if (json_is_boolean(v))
        *out = json_is_true(v);
    else if (json_is_number(v))
        *out = json_number_value(v);
    else
        return -1;
    return 1;
}

static int32_t api_string(const struct mohs_weights *w, const char *path,
                          const char **out)
{
    const json_t *v = config_at(w, path);
    if (!v || json_is_null(v))
        return 0;
    if (!json_is_string(v))
        return -1;
    *out = json_string_value(v);
    return 1;
}

static const char *api_name(const struct mohs_weights *w, uint32_t index)
{
    return index < w->n ? w->tensor[index].name : NULL;
}

const struct mohs_weights_api weights_api = {
    .size = sizeof weights_api,
    .shape = api_shape,
    .read = api_read,
    .config_number = api_number,
    .config_string = api_string,
    .name = api_name,
    .path = weights_path,
};

/* ---- writing ---- */

static bool as_half(const struct weight *t, bool f16)
{
    return f16 && t->n_dims >= 2;
}

static void add_metadata(struct str *h, const struct mohs_weights *w,
                         const char *const *meta)
{
    const char *part[] = { "config", w->config_text, "tokenizer", w->tokenizer_text,
                           "preprocessor", w->preprocessor_text };
    str_add(h, "{\"__metadata__\":{\"format\":\"pt\"");
    for (int i = 0; i < 6; i += 2)
        if (part[i + 1]) {
            str_addf(h, ",\"%s\":", part[i]);
            str_add_json(h, part[i + 1]);
        }
    for (; meta && meta[0] && meta[1]; meta += 2) {
        str_add(h, ",");
        str_add_json(h, meta[0]);
        str_add(h, ":");
        str_add_json(h, meta[1]);
    }
    str_add(h, "}");
}

mohs_status weights_save(const struct mohs_weights *w, const char *path,
                         bool f16, const char *const *meta,
                         struct mohs_error *err)
{
    struct str h = { 0 }, file = { 0 };
    uint64_t at = 0;
    mohs_status st = MOHS_OK;
    add_metadata(&h, w, meta);
    for (size_t i = 0; i < w->n; i++) {
        const struct weight *t = &w->tensor[i];
        uint64_t bytes = weight_count(t) * (as_half(t, f16) ? 2 : 4);
        str_add(&h, ",");
        str_add_json(&h, t->name);
        str_addf(&h, ":{\"dtype\":\"%s\",\"shape\":[", as_half(t, f16) ? "F16" : "F32");
        for (uint32_t k = 0; k < t->n_dims; k++)
            str_addf(&h, "%s%u", k ? "," : "", t->dims[k]);
        str_addf(&h, "],\"data_offsets\":[%llu,%llu]}", (unsigned long long)at,
                 (unsigned long long)(at + bytes));
        at += bytes;
    }
    str_add(&h, "}");
    while (h.n % 8)
        str_add(&h, " ");
    for (int i = 0; i < 8; i++) {
        char b = (char)((uint64_t)h.n >> (8 * i));
        str_addn(&file, &b, 1);
    }
    str_addn(&file, h.s, h.n);
    for (size_t i = 0; i < w->n && st >= 0; i++) {
        const struct weight *t = &w->tensor[i];
        uint64_t n = weight_count(t);
        float *x = try_calloc(n, sizeof *x, t->name, err);
        st = x ? api_read(w, t->name, x, n, err) : MOHS_E_NOMEM;
        for (uint64_t k = 0; st >= 0 && as_half(t, f16) && k < n; k++) {
            uint16_t v = float_to_half(x[k]);
            ((uint8_t *)x)[2 * k] = (uint8_t)v;
            ((uint8_t *)x)[2 * k + 1] = (uint8_t)(v >> 8);
        }
        if (st >= 0)
            str_addn(&file, (char *)x, n * (as_half(t, f16) ? 2 : 4));
        free(x);
    }
    if (st >= 0)
        st = file_write(path, file.s, file.n, err);
    str_free(&h);
    str_free(&file);
    return st;
}
