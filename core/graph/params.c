/* SPDX-License-Identifier: MIT */
/* Named parameters on the device, and their packed forms for gemm. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "graph/graph_internal.h"

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
    struct mohs_buffer *buf;
    struct packed *packed;
};

struct params {
    struct compute *c;
    struct param *v;
    size_t n, cap;
};

struct params *params_new(struct compute *c)
{
    struct params *p = xcalloc(1, sizeof *p);
    p->c = c;
    return p;
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
    mohs_status st = buffer_new(p->c, (size_t)v.count * 4, &v.buf, err);
    if (st < 0)
        return err_prefix(err, st, "parameter \"%s\"", name);
    if (p->n == p->cap) {
        p->cap = p->cap ? 2 * p->cap : 64;
        p->v = xrealloc(p->v, p->cap * sizeof *p->v);
    }
    v.name = xstrdup(name);
    p->v[p->n] = v;
    *index = p->n++;
    return MOHS_OK;
}

mohs_status params_set(struct params *p, const char *name, uint32_t n_dims,
                       const uint32_t *dims, const float *data,
                       struct mohs_error *err)
{
    size_t i = params_find(p, name);
    if (i == SIZE_MAX) {
        RET_IF_ERR(param_add(p, name, n_dims, dims, &i, err));
    } else {
        struct param *v = &p->v[i];
        bool same = v->n_dims == n_dims;
        for (uint32_t d = 0; same && d < n_dims; d++)
            same = v->dims[d] == dims[d];
        if (!same)
            return mohs_fail(err, MOHS_E_ARG,
                             "parameter \"%s\": its shape is fixed", name);
    }
    RET_IF_ERR(buffer_write(p->v[i].buf, 0, data, (size_t)p->v[i].count * 4,
                            err));
    params_touch(p, i);
    return MOHS_OK;
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
    return buffer_read(p->v[i].buf, 0, out, (size_t)count * 4, err);
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
}

/* Packs group i of a weight behind those before it. */
static mohs_status pack_group(struct params *p, struct param *v,
                              const struct pack_form *f, uint32_t i,
                              struct mohs_buffer *to, struct mohs_error *err)
{
    size_t at = i * (gemm_packed_bytes(p->c, f->n, f->k) / sizeof(float));
    if (f->taps.taps)
        return gemm_pack_taps(p->c, v->buf, i * (size_t)(v->count / f->groups),
                              &f->taps, f->n, to, at, err);
    // stored [n, k] when transposed, [k, n] when not
    return gemm_pack_b(p->c, v->buf, 0, f->b_trans ? f->k : f->n, f->b_trans,
                       f->n, f->k, to, at, err);
}

mohs_status params_packed(struct params *p, size_t i, const struct pack_form *f,
                          struct mohs_buffer **out, struct mohs_error *err)
{
    struct param *v = &p->v[i];
    *out = NULL;
    size_t bytes = gemm_packed_bytes(p->c, f->n, f->k) * f->groups;
    if (!bytes)
        return MOHS_OK;
    struct packed *pk = v->packed;
    while (pk && memcmp(&pk->form, f, sizeof *f) != 0)
        pk = pk->next;
    if (!pk) {
        struct mohs_buffer *buf;
        RET_IF_ERR(buffer_new(p->c, bytes, &buf, err));
        pk = xcalloc(1, sizeof *pk);
        *pk = (struct packed){ v->packed, *f, 0, buf };
        v->packed = pk;
    }
    if (pk->generation != v->generation) {
        for (uint32_t j = 0; j < f->groups; j++)
            RET_IF_ERR(pack_group(p, v, f, j, pk->buf, err));
        pk->generation = v->generation;
    }
    *out = pk->buf;
    return MOHS_OK;
}
