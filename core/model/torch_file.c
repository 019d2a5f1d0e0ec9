/* SPDX-License-Identifier: MIT */
/*
 * PyTorch's zip archives (torch.save since 1.6, TorchScript): data.pkl says
 * which tensors there are, data/N holds the bytes of storage N. Tensors that
 * lie in one piece are used where they are in the file; others, turned or
 * strided views, are copied together.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "model/pickle.h"
#include "model/weights.h"
#include "model/zip.h"

/* Pickles of state dicts take some 100 bytes a tensor. Copies of strided
 * views may not exceed the file by more than COPY_SLACK: an expanded view
 * can claim any size. */
enum { PICKLE_BYTES_MAX = 64 << 20, DEPTH_MAX = 64, VISITS_MAX = 1 << 20,
       NAME_BYTES = 512, COPY_SLACK = 1 << 20 };

struct reader {
    struct mohs_weights *w;
    const uint8_t *data;
    size_t n;
    const char *file;
    char *root; /* "archive/" */
    struct zip zip;
    uint64_t copied;
    size_t visits;
    struct mohs_error *err;
};

/* ---- tensors ----------------------------------------------------------- */

static const struct {
    const char *storage, *dtype;
    enum dtype type;
} types[] = {
    { "torch.FloatStorage", "torch.float32", DT_F32 },
    { "torch.HalfStorage", "torch.float16", DT_F16 },
    { "torch.BFloat16Storage", "torch.bfloat16", DT_BF16 },
    { "torch.DoubleStorage", "torch.float64", DT_F64 },
    { "torch.LongStorage", "torch.int64", DT_I64 },
    { "torch.IntStorage", "torch.int32", DT_I32 },
    { "torch.ShortStorage", "torch.int16", DT_I16 },
    { "torch.CharStorage", "torch.int8", DT_I8 },
    { "torch.ByteStorage", "torch.uint8", DT_U8 },
    { "torch.BoolStorage", "torch.bool", DT_BOOL },
    { "torch.Float8_e5m2Storage", "torch.float8_e5m2", DT_F8_E5M2 },
    { "torch.Float8_e4m3fnStorage", "torch.float8_e4m3fn", DT_F8_E4M3 },
};

static mohs_status bad_tensor(const struct reader *r, const char *name,
                              const char *what)
{
    return mohs_fail(r->err, MOHS_E_FORMAT, "%s: tensor \"%.100s\": %s", r->file,
                     name, what);
}

static mohs_status type_of(const struct reader *r, const char *name,
                           const struct pickle_value *v, enum dtype *out)
{
    const char *s = v && v->kind == PICKLE_NAME ? v->s : "?";
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (!strcmp(s, types[i].storage) || !strcmp(s, types[i].dtype) ||
            (!strncmp(s, "torch.cuda.", 11) &&
             !strcmp(s + 11, types[i].storage + 6))) {
            *out = types[i].type;
            return MOHS_OK;
        }
    return mohs_fail(r->err, MOHS_E_UNSUPPORTED,
                     "%s: tensor \"%.80s\": values of %.60s cannot be read",
                     r->file, name, s);
}

static const struct pickle_value *item(const struct pickle_value *v, size_t i)
{
    return v && (v->kind == PICKLE_TUPLE || v->kind == PICKLE_LIST) && i < v->n
               ? v->v[i] : NULL;
}

static bool natural(const struct pickle_value *v, uint64_t *out)
{
    if (!v || v->kind != PICKLE_INT || v->i < 0)
        return false;
    *out = (uint64_t)v->i;
    return true;
}

/* A view of a storage, in elements. */
struct view {
    uint64_t offset, stride[WEIGHTS_DIMS_MAX];
};

static mohs_status read_dims(const struct reader *r, const char *name,
                             const struct pickle_value *size,
                             const struct pickle_value *stride,
                             struct wtensor *t, struct view *v)
{
    if (!size || !stride || size->kind != PICKLE_TUPLE ||
        stride->kind != PICKLE_TUPLE || size->n != stride->n)
        return bad_tensor(r, name, "no shape and strides");
    if (size->n > WEIGHTS_DIMS_MAX)
        return mohs_fail(r->err, MOHS_E_UNSUPPORTED,
                         "%s: tensor \"%.100s\": %zu dims, at most %d are "
                         "supported", r->file, name, size->n, WEIGHTS_DIMS_MAX);
    t->n_dims = (uint32_t)size->n;
    t->count = 1;
    for (uint32_t i = 0; i < t->n_dims; i++) {
        uint64_t d;
        if (!natural(size->v[i], &d) || d > UINT32_MAX ||
            !natural(stride->v[i], &v->stride[i]))
            return bad_tensor(r, name, "a size or stride is none");
        t->dims[i] = (uint32_t)d;
        if (d && t->count > (UINT64_MAX >> 5) / d)
            return bad_tensor(r, name, "its size overflows");
        t->count *= d;
    }
    return MOHS_OK;
}

/* Whether the elements follow one another; the index of the last one. False
 * in *fits when that does not fit in 64 bits. */
static bool in_one_piece(const struct wtensor *t, const struct view *v,
                         uint64_t *last, bool *fits)
{
    uint64_t step = 1;
    bool whole = true;
    *last = v->offset;
    *fits = true;
    for (uint32_t i = t->n_dims; i-- > 0;) {
        uint64_t most = t->dims[i] ? t->dims[i] - 1 : 0;
        if (t->dims[i] > 1 && v->stride[i] != step)
            whole = false;
        if (v->stride[i] && most > (UINT64_MAX >> 4) / v->stride[i])
            *fits = false;
        else
            *last += most * v->stride[i];
        if (*last > UINT64_MAX >> 2)
            *fits = false;
        step *= t->dims[i] ? t->dims[i] : 1;
    }
    return whole;
}

static void gather(const struct wtensor *t, const struct view *v,
                   const uint8_t *from, uint32_t bytes, uint8_t *to)
{
    uint32_t at[WEIGHTS_DIMS_MAX] = { 0 };
    for (uint64_t i = 0; i < t->count; i++) {
        uint64_t k = v->offset;
        for (uint32_t d = 0; d < t->n_dims; d++)
            k += at[d] * v->stride[d];
        memcpy(to + i * bytes, from + k * bytes, bytes);
        for (uint32_t d = t->n_dims; d-- > 0 && ++at[d] == t->dims[d];)
            at[d] = 0;
    }
}

/* The bytes of the view inside storage `m`, copied when they are scattered. */
static mohs_status place(struct reader *r, const char *name,
                         const struct zip_member *m, const struct view *v,
                         struct wtensor *t)
{
    uint32_t bytes = dtype_table[t->dtype].bytes;
    uint64_t last, have = m->bytes / bytes;
    bool fits, whole = in_one_piece(t, v, &last, &fits);
    const uint8_t *base = r->data + m->offset;
    if (!m->stored)
        return mohs_fail(r->err, MOHS_E_UNSUPPORTED,
                         "%s: %.80s is compressed, which torch.save never does",
                         r->file, m->name);
    if (!fits || (t->count ? last >= have : v->offset > have))
        return mohs_fail(r->err, MOHS_E_FORMAT,
                         "%s: tensor \"%.80s\" does not fit in its storage %.60s "
                         "of %llu bytes", r->file, name, m->name,
                         (unsigned long long)m->bytes);
    if (whole || !t->count) {
        t->data = base + v->offset * bytes;
        return MOHS_OK;
    }
    if (t->count * bytes > r->n + COPY_SLACK - r->copied)
        return bad_tensor(r, name, "a view larger than the file");
    r->copied += t->count * bytes;
    t->own = try_aligned((size_t)t->count * bytes + 1, name, r->err);
    if (!t->own)
        return MOHS_E_NOMEM;
    gather(t, v, base, bytes, t->own);
    t->data = t->own;
    return MOHS_OK;
}

/* ('storage', type, key, location, elements) -> the member of the archive. */
static mohs_status find_storage(const struct reader *r, const char *name,
                                const struct pickle_value *v,
                                const struct pickle_value **type,
                                const struct zip_member **out)
{
    const struct pickle_value *id =
        v && v->kind == PICKLE_PERSISTENT ? v->args : NULL;
    const struct pickle_value *kind = item(id, 0), *key = item(id, 2);
    if (!kind || kind->kind != PICKLE_STRING || strcmp(kind->s, "storage") ||
        !key || key->kind != PICKLE_STRING || key->n > 64)
        return bad_tensor(r, name, "no storage");
    char *path = xasprintf("%sdata/%s", r->root, key->s);
    *out = zip_find(&r->zip, path);
    *type = item(id, 1);
    mohs_status st = *out ? MOHS_OK
                          : mohs_fail(r->err, MOHS_E_FORMAT,
                                      "%s: tensor \"%.80s\": no member %.80s",
                                      r->file, name, path);
    free(path);
    return st;
}

/* What a record rebuilds: its function's arguments, through wrappers. NULL
 * when it is no tensor. */
static const struct pickle_value *tensor_args(const struct pickle_value *v,
                                              bool *typed)
{
    for (int depth = 0; v && v->kind == PICKLE_OBJECT && depth < 4; depth++) {
        if (pickle_is(v->what, "torch._utils._rebuild_tensor_v2") ||
            pickle_is(v->what, "torch._utils._rebuild_tensor_v3") ||
            pickle_is(v->what, "torch._utils._rebuild_tensor")) {
            *typed = pickle_is(v->what, "torch._utils._rebuild_tensor_v3");
            return v->args;
        }
        if (pickle_is(v->what, "torch._tensor._rebuild_from_type_v2")) {
            const struct pickle_value *f = item(v->args, 0);
            *typed = pickle_is(f, "torch._utils._rebuild_tensor_v3");
            return *typed || pickle_is(f, "torch._utils._rebuild_tensor_v2")
                       ? item(v->args, 2) : NULL;
        }
        if (!pickle_is(v->what, "torch._utils._rebuild_parameter") &&
            !pickle_is(v->what, "torch._utils._rebuild_parameter_with_state"))
            return NULL;
        v = item(v->args, 0);
    }
    return NULL;
}

static mohs_status add_tensor(struct reader *r, const char *name,
                              const struct pickle_value *args, bool typed)
{
    struct wtensor t = { .own = NULL };
    struct view v;
    const struct pickle_value *type = NULL;
    const struct zip_member *m = NULL;
    RET_IF_ERR(find_storage(r, name, item(args, 0), &type, &m));
    RET_IF_ERR(type_of(r, name, typed ? item(args, 6) : type, &t.dtype));
    if (!natural(item(args, 1), &v.offset) || v.offset > UINT64_MAX >> 4)
        return bad_tensor(r, name, "no offset");
    RET_IF_ERR(read_dims(r, name, item(args, 2), item(args, 3), &t, &v));
    RET_IF_ERR(place(r, name, m, &v, &t));
    t.name = xstrdup(name);
    mohs_status st = weights_add(r->w, &t, r->err);
    return st < 0 ? err_prefix(r->err, st, "%s", r->file) : st;
}

/* ---- state dicts and modules ------------------------------------------- */

static mohs_status walk(struct reader *r, const struct pickle_value *v,
                        const char *prefix, int depth);

static const char *key_text(const struct pickle_value *k, char number[24])
{
    if (k->kind == PICKLE_STRING && strlen(k->s) == k->n && utf8_valid(k->s, k->n))
        return k->s;
    if (k->kind != PICKLE_INT)
        return NULL;
    snprintf(number, 24, "%lld", (long long)k->i);
    return number;
}

static mohs_status walk_items(struct reader *r, const struct pickle_value *dict,
                              const char *prefix, int depth)
{
    for (size_t i = 0; i + 1 < dict->n; i += 2) {
        char number[24], name[NAME_BYTES];
        const char *key = key_text(dict->v[i], number);
        if (!key)
            continue;
        // torch.nn.Module keeps its own in three dictionaries
        bool inner = !strcmp(key, "_parameters") || !strcmp(key, "_buffers") ||
                     !strcmp(key, "_modules");
        int n = inner ? snprintf(name, sizeof name, "%s", prefix)
                      : snprintf(name, sizeof name, "%s%s%s", prefix,
                                 *prefix ? "." : "", key);
        if (n >= (int)sizeof name)
            return mohs_fail(r->err, MOHS_E_FORMAT, "%s: a name of %d bytes",
                             r->file, n);
        RET_IF_ERR(walk(r, dict->v[i + 1], name, depth + 1));
    }
    return MOHS_OK;
}

/* Adds the tensors below v. Numbers, strings and lists are passed over. */
static mohs_status walk(struct reader *r, const struct pickle_value *v,
                        const char *prefix, int depth)
{
    bool typed = false;
    if (depth > DEPTH_MAX || ++r->visits > VISITS_MAX)
        return mohs_fail(r->err, MOHS_E_FORMAT,
                         "%s: data.pkl is nested too deep or too wide", r->file);
    const struct pickle_value *args = tensor_args(v, &typed);
    if (args)
        return add_tensor(r, prefix, args, typed);
    if (v->kind == PICKLE_OBJECT && v->n)
        return walk_items(r, v, prefix, depth);
    if (v->kind == PICKLE_OBJECT)
        v = v->state;
    return v && v->kind == PICKLE_DICT ? walk_items(r, v, prefix, depth) : MOHS_OK;
}

static bool has_tensors(const struct pickle_value *v)
{
    bool typed;
    for (size_t i = 0; v && v->kind == PICKLE_DICT && i + 1 < v->n; i += 2)
        if (tensor_args(v->v[i + 1], &typed))
            return true;
    return false;
}

/* The state dict in what was saved: itself, or under the key that trainers
 * use. */
static const struct pickle_value *state_of(const struct pickle_value *root)
{
    static const char *const keys[] = { "state_dict", "model_state_dict",
                                        "model_state", "model", "params",
                                        "network", "net" };
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const struct pickle_value *v = pickle_get(root, keys[i]);
        if (has_tensors(v) || (v && v->kind == PICKLE_OBJECT && v->state))
            return v;
    }
    return root;
}

/* ---- the archive ------------------------------------------------------- */

/* data.pkl, at the top or in the one folder. */
static mohs_status find_pickle(struct reader *r, const struct zip_member **out)
{
    const struct zip_member *found = NULL;
    for (size_t i = 0; i < r->zip.n; i++) {
        const struct zip_member *m = &r->zip.v[i];
        const char *slash = strchr(m->name, '/');
        const char *base = slash ? slash + 1 : m->name;
        if (strcmp(base, "data.pkl"))
            continue;
        if (found)
            return mohs_fail(r->err, MOHS_E_FORMAT, "%s: %.60s and %.60s", r->file,
                             found->name, m->name);
        found = m;
        free(r->root);
        r->root = xasprintf("%.*s", (int)(base - m->name), m->name);
    }
    if (!found)
        return mohs_fail(r->err, MOHS_E_FORMAT,
                         "%s: a zip archive without data.pkl: not saved by "
                         "PyTorch", r->file);
    if (!found->stored || found->bytes > PICKLE_BYTES_MAX)
        return mohs_fail(r->err, MOHS_E_FORMAT, "%s: %.60s is %s", r->file,
                         found->name, found->stored ? "too large" : "compressed");
    *out = found;
    return MOHS_OK;
}

static mohs_status check_byteorder(const struct reader *r)
{
    char *path = xasprintf("%sbyteorder", r->root);
    const struct zip_member *m = zip_find(&r->zip, path);
    free(path);
    if (m && m->bytes == 3 && !memcmp(r->data + m->offset, "big", 3))
        return mohs_fail(r->err, MOHS_E_UNSUPPORTED,
                         "%s: saved on a big-endian machine", r->file);
    return MOHS_OK;
}

mohs_status torch_parse(struct mohs_weights *w, const uint8_t *data, size_t n,
                        const char *name, struct mohs_error *err)
{
    struct reader r = { .w = w, .data = data, .n = n, .file = name, .err = err };
    const struct zip_member *m = NULL;
    struct pickle *p = NULL;
    char *what = NULL;
    size_t before = w->n;
    mohs_status st;
    OUT_IF_ERR(zip_open(data, n, name, &r.zip, err));
    OUT_IF_ERR(find_pickle(&r, &m));
    OUT_IF_ERR(check_byteorder(&r));
    what = xasprintf("%s: %s", name, m->name);
    OUT_IF_ERR(pickle_open(data + m->offset, (size_t)m->bytes, what, &p, err));
    OUT_IF_ERR(walk(&r, state_of(pickle_root(p)), "", 0));
    if (w->n == before)
        st = mohs_fail(err, MOHS_E_FORMAT, "%s: no tensors in it", name);
    char *code = xasprintf("%sconstants.pkl", r.root);
    w->format = zip_find(&r.zip, code) ? "TorchScript" : "PyTorch";
    free(code);
out:
    pickle_close(p);
    zip_close(&r.zip);
    free(r.root);
    free(what);
    return st;
}
