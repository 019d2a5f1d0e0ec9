/* SPDX-License-Identifier: MIT */
/*
 * safetensors files: 8 bytes of header length, a JSON header, then the
 * tensors' bytes. A file is a stranger's: every claim of the header is
 * checked against the file before a byte of data is used.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "model/weights.h"

/* As the reference reader: larger headers are refused. */
enum { HEADER_MAX = 100000000 };

json_t *json_text(const char *s, size_t n, const char *name,
                  struct mohs_error *err)
{
    json_error_t je;
    json_t *j = json_loadb(s, n, JSON_REJECT_DUPLICATES, &je);
    if (!j) {
        mohs_fail(err, MOHS_E_FORMAT, "%s: line %d: %s", name, je.line, je.text);
        return NULL;
    }
    if (!json_is_object(j)) {
        mohs_fail(err, MOHS_E_FORMAT, "%s: not a JSON object", name);
        json_decref(j);
        return NULL;
    }
    return j;
}

/* ---- reading ---------------------------------------------------------- */

static mohs_status read_dtype(const json_t *j, struct wtensor *t,
                              const char *file, const char *name,
                              struct mohs_error *err)
{
    const char *s = json_string_value(json_object_get(j, "dtype"));
    if (!s)
        return mohs_fail(err, MOHS_E_FORMAT, "%s: tensor \"%s\": no dtype", file,
                         name);
    for (int d = 0; d < DT_COUNT; d++)
        if (!strcmp(s, dtype_table[d].name)) {
            t->dtype = (enum dtype)d;
            return MOHS_OK;
        }
    return mohs_fail(err, MOHS_E_UNSUPPORTED,
                     "%s: tensor \"%s\": unknown dtype \"%.20s\"", file, name, s);
}

static mohs_status read_shape(const json_t *j, struct wtensor *t,
                              const char *file, const char *name,
                              struct mohs_error *err)
{
    const json_t *shape = json_object_get(j, "shape");
    if (!json_is_array(shape))
        return mohs_fail(err, MOHS_E_FORMAT, "%s: tensor \"%s\": no shape", file,
                         name);
    if (json_array_size(shape) > WEIGHTS_DIMS_MAX)
        return mohs_fail(err, MOHS_E_UNSUPPORTED,
                         "%s: tensor \"%s\": %zu dims, at most %d are supported",
                         file, name, json_array_size(shape), WEIGHTS_DIMS_MAX);
    t->n_dims = (uint32_t)json_array_size(shape);
    t->count = 1;
    for (uint32_t i = 0; i < t->n_dims; i++) {
        const json_t *d = json_array_get(shape, i);
        json_int_t x = json_integer_value(d);
        if (!json_is_integer(d) || x < 0 || x > UINT32_MAX)
            return mohs_fail(err, MOHS_E_FORMAT,
                             "%s: tensor \"%s\": dim %u is no size", file, name,
                             i);
        t->dims[i] = (uint32_t)x;
        if (x && t->count > (UINT64_MAX >> 4) / (uint64_t)x)
            return mohs_fail(err, MOHS_E_FORMAT,
                             "%s: tensor \"%s\": its size overflows", file, name);
        t->count *= (uint64_t)x;
    }
    return MOHS_OK;
}

/* data_offsets must be inside the data and of the size that shape and dtype
 * say. */
static mohs_status read_range(const json_t *j, const struct wtensor *t,
                              uint64_t data_bytes, uint64_t range[2],
                              const char *file, const char *name,
                              struct mohs_error *err)
{
    const json_t *o = json_object_get(j, "data_offsets");
    const json_t *a = json_array_get(o, 0), *b = json_array_get(o, 1);
    if (!json_is_array(o) || json_array_size(o) != 2 || !json_is_integer(a) ||
        !json_is_integer(b) || json_integer_value(a) < 0 ||
        json_integer_value(b) < json_integer_value(a))
        return mohs_fail(err, MOHS_E_FORMAT,
                         "%s: tensor \"%s\": bad data_offsets", file, name);
    range[0] = (uint64_t)json_integer_value(a);
    range[1] = (uint64_t)json_integer_value(b);
    if (range[1] > data_bytes)
        return mohs_fail(err, MOHS_E_FORMAT,
                         "%s: tensor \"%s\" ends at byte %llu of %llu: the file "
                         "is cut off or lies",
                         file, name, (unsigned long long)range[1],
                         (unsigned long long)data_bytes);
    uint64_t want = t->count * dtype_table[t->dtype].bytes;
    if (range[1] - range[0] != want)
        return mohs_fail(err, MOHS_E_FORMAT,
                         "%s: tensor \"%s\" has %llu bytes, its shape and dtype "
                         "say %llu",
                         file, name, (unsigned long long)(range[1] - range[0]),
                         (unsigned long long)want);
    return MOHS_OK;
}

struct span {
    uint64_t from, to;
    const char *name;
    struct wtensor t;
};

static int by_place(const void *pa, const void *pb)
{
    const struct span *a = pa, *b = pb;
    if (a->from != b->from)
        return a->from < b->from ? -1 : 1;
    if (a->to != b->to)
        return a->to < b->to ? -1 : 1;
    return strcmp(a->name, b->name);
}

/* Tensors must follow one another without a gap up to the end. */
static mohs_status check_tiling(const struct span *s, size_t n, uint64_t bytes,
                                const char *file, struct mohs_error *err)
{
    uint64_t at = 0;
    for (size_t i = 0; i < n; i++) {
        if (s[i].from < at)
            return mohs_fail(err, MOHS_E_FORMAT,
                             "%s: tensors \"%s\" and \"%s\" overlap", file,
                             s[i - 1].name, s[i].name);
        if (s[i].from > at)
            return mohs_fail(err, MOHS_E_FORMAT,
                             "%s: a hole of %llu bytes before tensor \"%s\"",
                             file, (unsigned long long)(s[i].from - at),
                             s[i].name);
        at = s[i].to;
    }
    if (at != bytes)
        return mohs_fail(err, MOHS_E_FORMAT,
                         "%s: %llu bytes after the last tensor", file,
                         (unsigned long long)(bytes - at));
    return MOHS_OK;
}

static mohs_status read_meta(struct mohs_weights *w, const json_t *j,
                             const char *file, struct mohs_error *err)
{
    const char *key;
    json_t *value;
    if (!json_is_object(j))
        return mohs_fail(err, MOHS_E_FORMAT, "%s: __metadata__ is no object",
                         file);
    json_object_foreach((json_t *)j, key, value) {
        if (!json_is_string(value))
            return mohs_fail(err, MOHS_E_FORMAT,
                             "%s: __metadata__ key \"%.60s\" is not a string",
                             file, key);
        json_object_set(w->meta, key, value);
    }
    return MOHS_OK;
}

static mohs_status read_tensor(const json_t *j, const char *name,
                               uint64_t data_bytes, struct span *s,
                               const char *file, struct mohs_error *err)
{
    if (!json_is_object(j))
        return mohs_fail(err, MOHS_E_FORMAT,
                         "%s: tensor \"%s\": not a JSON object", file, name);
    uint64_t range[2] = { 0, 0 };
    s->name = name;
    RET_IF_ERR(read_dtype(j, &s->t, file, name, err));
    RET_IF_ERR(read_shape(j, &s->t, file, name, err));
    RET_IF_ERR(read_range(j, &s->t, data_bytes, range, file, name, err));
    s->from = range[0];
    s->to = range[1];
    return MOHS_OK;
}

static mohs_status read_header(struct mohs_weights *w, json_t *header,
                               const uint8_t *data, uint64_t bytes,
                               const char *file, struct mohs_error *err)
{
    mohs_status st = MOHS_OK;
    size_t n = 0, max = json_object_size(header);
    struct span *s = try_calloc(max + 1, sizeof *s, file, err);
    const char *key;
    json_t *value;
    if (!s)
        return MOHS_E_NOMEM;
    json_object_foreach(header, key, value) {
        if (!strcmp(key, "__metadata__"))
            OUT_IF_ERR(read_meta(w, value, file, err));
        else
            OUT_IF_ERR(read_tensor(value, key, bytes, &s[n++], file, err));
    }
    qsort(s, n, sizeof *s, by_place);
    OUT_IF_ERR(check_tiling(s, n, bytes, file, err));
    for (size_t i = 0; i < n; i++) {
        s[i].t.name = xstrdup(s[i].name);
        s[i].t.data = data + s[i].from;
        st = weights_add(w, &s[i].t, err);
        if (st < 0) {
            err_prefix(err, st, "%s", file);
            goto out;
        }
    }
out:
    free(s);
    return st;
}

mohs_status safetensors_parse(struct mohs_weights *w, const uint8_t *data,
                              size_t n, const char *name, struct mohs_error *err)
{
    uint64_t len = 0;
    if (n < 8)
        return mohs_fail(err, MOHS_E_FORMAT,
                         "%s: %zu bytes are no safetensors file", name, n);
    for (int i = 0; i < 8; i++)
        len |= (uint64_t)data[i] << 8 * i;
    if (len < 2 || len > HEADER_MAX || len > n - 8 || data[8] != '{')
        return mohs_fail(err, MOHS_E_FORMAT,
                         "%s: not a safetensors file (header of %llu bytes in a "
                         "file of %zu)",
                         name, (unsigned long long)len, n);
    char *what = xasprintf("%s: header", name);
    json_t *header = json_text((const char *)data + 8, len, what, err);
    free(what);
    if (!header)
        return MOHS_E_FORMAT;
    mohs_status st = read_header(w, header, data + 8 + len, n - 8 - len, name,
                                 err);
    json_decref(header);
    return st;
}

/* ---- writing ---------------------------------------------------------- */

static bool is_float(enum dtype d)
{
    return d == DT_F32 || d == DT_F16 || d == DT_BF16 || d == DT_F64;
}

/* How t is stored. Integers and bytes keep their form. */
static enum dtype stored_as(const struct wtensor *t, bool f16)
{
    if (!is_float(t->dtype))
        return t->dtype;
    return f16 && t->n_dims >= 2 ? DT_F16 : DT_F32;
}

struct entry {
    const struct wtensor *t;
    enum dtype as;
};

/* Wide types first, so that every tensor is aligned; then by name. */
static int by_width(const void *pa, const void *pb)
{
    const struct entry *a = pa, *b = pb;
    uint32_t wa = dtype_table[a->as].bytes, wb = dtype_table[b->as].bytes;
    return wa != wb ? (wa < wb ? 1 : -1) : strcmp(a->t->name, b->t->name);
}

static struct entry *entries(const struct mohs_weights *w, bool f16)
{
    struct entry *e = xcalloc(w->n, sizeof *e);
    for (size_t i = 0; i < w->n; i++)
        e[i] = (struct entry) { &w->v[i], stored_as(&w->v[i], f16) };
    qsort(e, w->n, sizeof *e, by_width);
    return e;
}

static void set_meta(json_t *meta, const char *key, const char *value)
{
    if (value)
        json_object_set_new(meta, key, json_string(value));
}

static mohs_status make_header(const struct mohs_weights *w,
                               const struct entry *e, const char *path,
                               const char *const *pairs, struct str *out,
                               struct mohs_error *err)
{
    json_t *meta = json_object();
    set_meta(meta, "format", "pt");
    set_meta(meta, "config", w->config);
    set_meta(meta, "tokenizer", w->tokenizer);
    set_meta(meta, "preprocessor", w->preprocessor);
    for (; pairs && pairs[0] && pairs[1]; pairs += 2)
        set_meta(meta, pairs[0], pairs[1]);
    char *text = json_dumps(meta, JSON_COMPACT | JSON_SORT_KEYS);
    json_decref(meta);
    if (!text)
        return mohs_fail(err, MOHS_E_ARG, "%s: metadata is not UTF-8", path);
    str_addf(out, "{\"__metadata__\":");
    str_add(out, text);
    free(text);
    uint64_t at = 0;
    for (size_t i = 0; i < w->n; i++) {
        const struct wtensor *t = e[i].t;
        uint64_t bytes = t->count * dtype_table[e[i].as].bytes;
        str_add(out, ",");
        str_add_json(out, t->name);
        str_addf(out, ":{\"dtype\":\"%s\",\"shape\":[",
                 dtype_table[e[i].as].name);
        for (uint32_t d = 0; d < t->n_dims; d++)
            str_addf(out, "%s%u", d ? "," : "", t->dims[d]);
        str_addf(out, "],\"data_offsets\":[%llu,%llu]}", (unsigned long long)at,
                 (unsigned long long)(at + bytes));
        at += bytes;
    }
    str_add(out, "}");
    while (out->n % 8)
        str_add(out, " ");
    if (out->n > HEADER_MAX)
        return mohs_fail(err, MOHS_E_UNSUPPORTED,
                         "%s: header of %zu bytes, readers take %d", path,
                         out->n, HEADER_MAX);
    return MOHS_OK;
}

enum { CHUNK = 16384 };

static mohs_status write_halves(FILE *f, const float *x, size_t n,
                                const char *name, struct mohs_error *err)
{
    uint16_t h[CHUNK];
    for (size_t i = 0; i < n; i++) {
        h[i] = half_from_float(x[i]);
        if ((h[i] & 0x7FFF) == 0x7C00 && x[i] - x[i] == 0)
            return mohs_fail(err, MOHS_E_NUMERIC,
                             "tensor \"%s\": %g does not fit in half precision",
                             name, (double)x[i]);
    }
    return fwrite(h, sizeof *h, n, f) == n ? MOHS_OK : MOHS_E_IO;
}

/* MOHS_E_IO without a text: the caller adds errno. */
static mohs_status write_tensor(FILE *f, const struct entry *e,
                                struct mohs_error *err)
{
    const struct wtensor *t = e->t;
    uint64_t bytes = t->count * dtype_table[t->dtype].bytes;
    if (e->as == t->dtype)
        return fwrite(t->data, 1, bytes, f) == bytes ? MOHS_OK : MOHS_E_IO;
    float x[CHUNK];
    for (uint64_t at = 0; at < t->count; at += CHUNK) {
        uint64_t n = t->count - at < CHUNK ? t->count - at : CHUNK;
        RET_IF_ERR(dtype_to_f32(t->dtype,
                                t->data + at * dtype_table[t->dtype].bytes, x,
                                n, err));
        if (e->as == DT_F16)
            RET_IF_ERR(write_halves(f, x, n, t->name, err));
        else if (fwrite(x, sizeof *x, n, f) != n)
            return MOHS_E_IO;
    }
    return MOHS_OK;
}

static mohs_status write_all(FILE *f, const struct mohs_weights *w,
                             const struct entry *e, const struct str *header,
                             struct mohs_error *err)
{
    uint8_t len[8];
    for (int i = 0; i < 8; i++)
        len[i] = (uint8_t)((uint64_t)header->n >> 8 * i);
    if (fwrite(len, 1, sizeof len, f) != sizeof len ||
        fwrite(header->s, 1, header->n, f) != header->n)
        return MOHS_E_IO;
    for (size_t i = 0; i < w->n; i++)
        RET_IF_ERR(write_tensor(f, &e[i], err));
    return fflush(f) || fsync(fileno(f)) ? MOHS_E_IO : MOHS_OK;
}

mohs_status weights_save(const struct mohs_weights *w, const char *path,
                         bool f16, const char *const *meta,
                         struct mohs_error *err)
{
    struct str header = { 0 };
    struct entry *e = entries(w, f16);
    char *tmp = xasprintf("%s.%ld.tmp", path, (long)getpid());
    FILE *f = NULL;
    mohs_status st;
    OUT_IF_ERR(make_header(w, e, path, meta, &header, err));
    f = fopen(tmp, "wb");
    if (!f) {
        st = err_errno(err, "%s", path);
        goto out;
    }
    st = write_all(f, w, e, &header, err);
    if (st == MOHS_E_IO)
        err_errno(err, "%s", path);
    else if (st < 0)
        err_prefix(err, st, "%s", path);
    if (fclose(f) && st >= 0)
        st = err_errno(err, "%s", path);
    if (st >= 0 && rename(tmp, path))
        st = err_errno(err, "%s", path);
    if (st < 0)
        unlink(tmp);
out:
    free(tmp);
    free(e);
    str_free(&header);
    return st;
}
