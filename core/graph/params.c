/* SPDX-License-Identifier: MIT */
/*
 * Named parameters on the device, and their packed forms for gemm. Values that
 * were declared with a reader come from it whenever they are wanted: a weight
 * that only products read is kept in its packed form alone, or, streamed, in
 * none and packed again for each product.
 */
#include "config.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "graph/graph_internal.h"

enum { STREAMING = 450 };

struct packed {
    struct packed *next;
    struct pack_form form;
    uint64_t generation;
    struct mohs_buffer *buf;
};

struct param {
    char *name;
    uint32_t n_dims, dims[MOHS_DIMS_MAX];
    uint64_t count, generation;
    struct mohs_buffer *buf; /* NULL: still where `from` finds it */
    const struct params_source *from;
    void *user;
    struct packed *packed;
    bool streamed;
};

struct params {
    struct compute *c;
    struct param *v;
    size_t n, cap;
    uint64_t version;
    double streaming;
    struct mohs_buffer *staging; /* values on their way to a packed form */
    struct mohs_buffer *passing; /* the packed form of what is streamed */
};

static double streaming_wanted(void)
{
    const char *text = getenv("MOHS_STREAM");
    char *end = NULL;
    double x = text ? strtod(text, &end) : STREAMING;
    if (!text || (end > text && !*end && isfinite(x) && x >= 0))
        return x;
    log_warn("MOHS_STREAM=%s: not a number of operations; %d it is", text,
             STREAMING);
    return STREAMING;
}

struct params *params_new(struct compute *c)
{
    struct params *p = xcalloc(1, sizeof *p);
    p->c = c;
    p->streaming = streaming_wanted();
    return p;
}

void params_set_streaming(struct params *p, double flops)
{
    p->streaming = flops;
}

double params_streaming(const struct params *p)
{
    return p ? p->streaming : 0;
}

void params_free(struct params *p)
{
    if (!p)
        return;
    for (size_t i = 0; i < p->n; i++) {
        struct packed *next;
        for (struct packed *k = p->v[i].packed; k; k = next) {
            next = k->next;
            buffer_unref(k->buf);
            free(k);
        }
        buffer_unref(p->v[i].buf);
        free(p->v[i].name);
    }
    buffer_unref(p->staging);
    buffer_unref(p->passing);
    free(p->v);
    free(p);
}

size_t params_find(const struct params *p, const char *name)
{
    for (size_t i = 0; p && i < p->n; i++)
        if (strcmp(p->v[i].name, name) == 0)
            return i;
    return SIZE_MAX;
}

static mohs_status param_add(struct params *p, const char *name,
                             uint32_t n_dims, const uint32_t *dims,
                             size_t *index, struct mohs_error *err)
{
    struct param v = { .n_dims = n_dims, .count = 1 };
    if (n_dims > MOHS_DIMS_MAX)
        return mohs_fail(err, MOHS_E_ARG,
                         "parameter \"%s\": %u dims, not 0..%d", name, n_dims,
                         MOHS_DIMS_MAX);
    for (uint32_t i = 0; i < n_dims; i++) {
        v.dims[i] = dims[i];
        v.count *= dims[i];
        if (dims[i] == 0 || v.count > UINT32_MAX)
            return mohs_fail(err, MOHS_E_ARG,
                             "parameter \"%s\": dim %u is %u", name, i,
                             dims[i]);
    }
    if (p->n == p->cap) {
        p->cap = p->cap ? 2 * p->cap : 64;
        p->v = xrealloc(p->v, p->cap * sizeof *p->v);
    }
    v.name = xstrdup(name);
    p->v[p->n] = v;
    *index = p->n++;
    return MOHS_OK;
}

/* The parameter of that name, new or of the same shape. */
static mohs_status param_at(struct params *p, const char *name, uint32_t n_dims,
                            const uint32_t *dims, size_t *index,
                            struct mohs_error *err)
{
    size_t i = params_find(p, name);
    if (i == SIZE_MAX)
        return param_add(p, name, n_dims, dims, index, err);
    const struct param *v = &p->v[i];
    bool same = v->n_dims == n_dims;
    for (uint32_t d = 0; same && d < n_dims; d++)
        same = v->dims[d] == dims[d];
    *index = i;
    return same ? MOHS_OK
                : mohs_fail(err, MOHS_E_ARG,
                            "parameter \"%s\": its shape is fixed", name);
}

static mohs_status param_buffer(struct params *p, const struct param *v,
                                size_t bytes, struct mohs_buffer **out,
                                struct mohs_error *err)
{
    mohs_status st = buffer_new(p->c, bytes, out, err);
    return st < 0 ? err_prefix(err, st, "parameter \"%s\"", v->name) : st;
}

/* *buf for all weights in turn: what is queued keeps the smaller one alive. */
static mohs_status shared_buffer(struct params *p, const struct param *v,
                                 size_t bytes, struct mohs_buffer **buf,
                                 struct mohs_error *err)
{
    if (*buf && buffer_bytes(*buf) >= bytes)
        return MOHS_OK;
    buffer_unref(*buf);
    *buf = NULL;
    return param_buffer(p, v, bytes, buf, err);
}

mohs_status params_set(struct params *p, const char *name, uint32_t n_dims,
                       const uint32_t *dims, const float *data,
                       struct mohs_error *err)
{
    size_t i;
    RET_IF_ERR(param_at(p, name, n_dims, dims, &i, err));
    struct param *v = &p->v[i];
    if (!v->buf)
        RET_IF_ERR(param_buffer(p, v, (size_t)v->count * 4, &v->buf, err));
    RET_IF_ERR(buffer_write(v->buf, 0, data, (size_t)v->count * 4, err));
    params_touch(p, i);
    return MOHS_OK;
}

mohs_status params_declare(struct params *p, const char *name, uint32_t n_dims,
                           const uint32_t *dims,
                           const struct params_source *from, void *user,
                           struct mohs_error *err)
{
    size_t i;
    RET_IF_ERR(param_at(p, name, n_dims, dims, &i, err));
    struct param *v = &p->v[i];
    buffer_unref(v->buf);
    v->buf = NULL;
    v->from = from;
    v->user = user;
    params_touch(p, i);
    return MOHS_OK;
}

static mohs_status param_read(const struct param *v, float *out,
                              struct mohs_error *err)
{
    if (v->buf)
        return buffer_read(v->buf, 0, out, (size_t)v->count * 4, err);
    if (!v->from) // params_set() found no memory
        return mohs_fail(err, MOHS_E_ARG, "parameter \"%s\" has no values",
                         v->name);
    return v->from->read(v->user, out, v->count, err);
}

mohs_status params_read(struct params *p, const char *name, float *out,
                        uint64_t count, struct mohs_error *err)
{
    size_t i = params_find(p, name);
    if (i == SIZE_MAX)
        return mohs_fail(err, MOHS_E_ARG, "no parameter \"%s\"", name);
    if (count != p->v[i].count)
        return mohs_fail(err, MOHS_E_ARG,
                         "parameter \"%s\" has %llu values, not %llu", name,
                         (unsigned long long)p->v[i].count,
                         (unsigned long long)count);
    return param_read(&p->v[i], out, err);
}

/* Fills `to` from where the values are. */
static mohs_status param_fill(const struct param *v, struct mohs_buffer *to,
                              struct mohs_error *err)
{
    void *x;
    RET_IF_ERR(buffer_map(to, (size_t)v->count * 4, &x, err));
    mohs_status st = param_read(v, x, err);
    mohs_status un = buffer_unmap(to, x, st < 0 ? NULL : err);
    return st < 0 ? st : un;
}

mohs_status params_floats(struct params *p, size_t i, struct mohs_buffer **out,
                          struct mohs_error *err)
{
    const struct param *v = &p->v[i];
    *out = v->buf;
    if (v->buf)
        return MOHS_OK;
    RET_IF_ERR(shared_buffer(p, v, (size_t)v->count * 4, &p->staging, err));
    RET_IF_ERR(param_fill(v, p->staging, err));
    *out = p->staging;
    return MOHS_OK;
}

mohs_status params_keep(struct params *p, size_t i, struct mohs_error *err)
{
    struct param *v = &p->v[i];
    struct mohs_buffer *buf = NULL;
    if (v->buf)
        return MOHS_OK;
    RET_IF_ERR(param_buffer(p, v, (size_t)v->count * 4, &buf, err));
    mohs_status st = param_fill(v, buf, err);
    if (st < 0)
        buffer_unref(buf);
    else
        v->buf = buf;
    return st;
}

size_t params_count(const struct params *p)
{
    return p->n;
}

const char *params_name(const struct params *p, size_t i)
{
    return i < p->n ? p->v[i].name : NULL;
}

uint32_t params_shape(const struct params *p, size_t i,
                      uint32_t dims[MOHS_DIMS_MAX])
{
    if (i >= p->n)
        return 0;
    if (dims)
        memcpy(dims, p->v[i].dims, sizeof p->v[i].dims);
    return p->v[i].n_dims;
}

struct mohs_buffer *params_buffer(struct params *p, size_t i)
{
    return i < p->n ? p->v[i].buf : NULL;
}

void params_touch(struct params *p, size_t i)
{
    if (i < p->n)
        p->v[i].generation++;
    p->version++;
}

uint64_t params_version(const struct params *p)
{
    return p ? p->version : 0;
}

/* Packs group i of the weight in `from` behind those before it. */
static mohs_status pack_group(struct params *p, const struct param *v,
                              struct mohs_buffer *from,
                              const struct pack_form *f, uint32_t i,
                              struct mohs_buffer *to, struct mohs_error *err)
{
    size_t at = i * (gemm_packed_bytes(p->c, f->n, f->k) / sizeof(float));
    if (f->taps.taps)
        return gemm_pack_taps(p->c, from, i * (size_t)(v->count / f->groups),
                              &f->taps, f->n, to, at, err);
    // stored [n, k] when transposed, [k, n] when not
    return gemm_pack_b(p->c, from, 0, f->b_trans ? f->k : f->n, f->b_trans,
                       f->n, f->k, to, at, err);
}

static mohs_status pack_from(struct params *p, const struct param *v,
                             const struct pack_form *f, struct mohs_buffer *from,
                             struct mohs_buffer *to, struct mohs_error *err)
{
    mohs_status st = MOHS_OK;
    for (uint32_t j = 0; j < f->groups && st >= 0; j++)
        st = pack_group(p, v, from, f, j, to, err);
    return st;
}

/* Packs the values where they lie, if they can be seen there: *seen. */
static mohs_status pack_seen(struct params *p, const struct param *v,
                             const struct pack_form *f, struct mohs_buffer *to,
                             bool *seen, struct mohs_error *err)
{
    struct mohs_buffer *from = NULL;
    const float *x = !v->buf && v->from && v->from->view ? v->from->view(v->user)
                                                         : NULL;
    *seen = false;
    if (x)
        RET_IF_ERR(buffer_over(p->c, x, (size_t)v->count * 4, &from, err));
    if (!from)
        return MOHS_OK;
    *seen = true;
    mohs_status st = pack_from(p, v, f, from, to, err);
    mohs_status end = compute_finish(p->c, st < 0 ? NULL : err);
    buffer_unref(from);
    v->from->leave(v->user);
    return st < 0 ? st : end;
}

static mohs_status pack_all(struct params *p, size_t i,
                            const struct pack_form *f, struct mohs_buffer *to,
                            struct mohs_error *err)
{
    struct mohs_buffer *from;
    bool seen;
    RET_IF_ERR(pack_seen(p, &p->v[i], f, to, &seen, err));
    if (seen)
        return MOHS_OK;
    RET_IF_ERR(params_floats(p, i, &from, err));
    return pack_from(p, &p->v[i], f, from, to, err);
}

static size_t form_bytes(const struct params *p, const struct pack_form *f)
{
    return gemm_packed_bytes(p->c, f->n, f->k) * f->groups;
}

static struct packed *packed_find(const struct param *v,
                                  const struct pack_form *f)
{
    struct packed *pk = v->packed;
    while (pk && memcmp(&pk->form, f, sizeof *f) != 0)
        pk = pk->next;
    return pk;
}

bool params_streamable(const struct params *p, size_t i)
{
    return p->v[i].from && !p->v[i].buf && !p->v[i].packed;
}

bool params_streams(const struct params *p, size_t i)
{
    return p->v[i].streamed;
}

void params_stream(struct params *p, size_t i)
{
    p->v[i].streamed = true;
}

uint64_t params_held_bytes(const struct params *p)
{
    uint64_t n = 0;
    for (size_t i = 0; i < p->n; i++) {
        n += p->v[i].buf ? p->v[i].count * 4 : 0;
        for (const struct packed *k = p->v[i].packed; k; k = k->next)
            n += form_bytes(p, &k->form);
    }
    return n;
}

mohs_status params_packed(struct params *p, size_t i, const struct pack_form *f,
                          bool stream, struct mohs_buffer **out,
                          struct mohs_error *err)
{
    struct param *v = &p->v[i];
    *out = NULL;
    size_t bytes = form_bytes(p, f);
    if (!bytes)
        return MOHS_OK;
    if (stream && params_streamable(p, i)) {
        RET_IF_ERR(shared_buffer(p, v, bytes, &p->passing, err));
        RET_IF_ERR(pack_all(p, i, f, p->passing, err));
        *out = p->passing;
        return MOHS_OK;
    }
    struct packed *pk = packed_find(v, f);
    if (!pk) {
        struct mohs_buffer *buf;
        RET_IF_ERR(param_buffer(p, v, bytes, &buf, err));
        pk = xcalloc(1, sizeof *pk);
        *pk = (struct packed){ v->packed, *f, 0, buf };
        v->packed = pk;
    }
    if (pk->generation != v->generation)
        RET_IF_ERR(pack_all(p, i, f, pk->buf, err));
    pk->generation = v->generation;
    *out = pk->buf;
    return MOHS_OK;
}
