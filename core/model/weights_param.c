/* SPDX-License-Identifier: MIT */
/*
 * Parameters as models describe them, found in checkpoints that name, fuse or
 * turn them otherwise: straight from the file's bytes to float32.
 */
#include "config.h"

#include <string.h>

#include "model/weights.h"

/* What the file must hold for a parameter. */
struct source {
    const char *name;
    uint32_t n_dims, dims[MOHS_DIMS_MAX];
    uint32_t first; /* row, after transposing */
    bool transposed;
};

static mohs_status source_of(const struct mohs_weight_spec *s, struct source *out,
                             struct mohs_error *err)
{
    bool grown = MOHS_COVERS(struct mohs_weight_spec, s, source_flags);
    *out = (struct source) { .name = s->name, .n_dims = s->n_dims };
    if (s->n_dims > MOHS_DIMS_MAX)
        return mohs_fail(err, MOHS_E_ARG, "parameter %s: %u dims", s->name,
                         s->n_dims);
    memcpy(out->dims, s->dims, sizeof out->dims);
    if (!grown)
        return MOHS_OK;
    if (s->source)
        out->name = s->source;
    out->first = s->source_first;
    out->transposed = (s->source_flags & MOHS_SOURCE_TRANSPOSED) != 0;
    uint32_t rows = s->source_rows ? s->source_rows : s->dims[0];
    if ((s->source_flags & ~MOHS_SOURCE_TRANSPOSED) ||
        (out->transposed && s->n_dims != 2) ||
        (s->n_dims && (uint64_t)s->source_first + s->dims[0] > rows))
        return mohs_fail(err, MOHS_E_ARG,
                         "parameter %s: rows %u.. of %u of %s, flags %u make no "
                         "sense", s->name, s->source_first, rows, out->name,
                         s->source_flags);
    if (s->n_dims)
        out->dims[0] = rows;
    if (out->transposed) {
        out->dims[0] = s->dims[1];
        out->dims[1] = rows;
    }
    return MOHS_OK;
}

/* The dims that are not one. */
static uint32_t squeezed(uint32_t n, const uint32_t *dims, uint32_t *out)
{
    uint32_t k = 0;
    for (uint32_t i = 0; i < n; i++)
        if (dims[i] != 1)
            out[k++] = dims[i];
    return k;
}

static bool same_shape(const struct wtensor *t, const struct source *s)
{
    uint32_t a[WEIGHTS_DIMS_MAX], b[MOHS_DIMS_MAX];
    uint32_t n = squeezed(t->n_dims, t->dims, a);
    return n == squeezed(s->n_dims, s->dims, b) && !memcmp(a, b, n * sizeof *a);
}

static void shape_text(uint32_t n, const uint32_t *dims, char out[64])
{
    size_t at = 0;
    out[0] = 0;
    for (uint32_t i = 0; i < n && at < 63; i++)
        at += (size_t)snprintf(out + at, 64 - at, "%s%u", i ? "x" : "", dims[i]);
}

static mohs_status find_source(const struct mohs_weights *w,
                               const struct mohs_weight_spec *spec,
                               struct source *s, const struct wtensor **out,
                               struct mohs_error *err)
{
    char have[64], want[64];
    RET_IF_ERR(source_of(spec, s, err));
    const struct wtensor *t = weights_find(w, s->name);
    if (!t)
        return mohs_fail(err, MOHS_E_FORMAT, "%s: no tensor %s", w->path, s->name);
    *out = t;
    mohs_status st = dtype_to_f32(t->dtype, t->data, NULL, 0, err); // its type
    if (st < 0)
        return err_prefix(err, st, "%s: tensor %s", w->path, s->name);
    if (same_shape(t, s))
        return MOHS_OK;
    shape_text(t->n_dims, t->dims, have);
    shape_text(s->n_dims, s->dims, want);
    return mohs_fail(err, MOHS_E_FORMAT,
                     "%s: tensor %s is [%s], the config says [%s]", w->path,
                     s->name, have, want);
}

mohs_status weights_fits(const struct mohs_weights *w,
                         const struct mohs_weight_spec *spec,
                         struct mohs_error *err)
{
    struct source s;
    const struct wtensor *t;
    return find_source(w, spec, &s, &t, err);
}

/* Column by column of the parameter, each a run of the stored matrix. */
static mohs_status read_transposed(const struct mohs_weights *w,
                                   const struct wtensor *t, const struct source *s,
                                   uint32_t rows, float *out,
                                   struct mohs_error *err)
{
    enum { RUN = 256 };
    float run[RUN];
    uint64_t columns = s->dims[0], stored = s->dims[1];
    uint32_t bytes = dtype_table[t->dtype].bytes;
    for (uint64_t j = 0; j < columns; j++)
        for (uint32_t i = 0; i < rows; i += RUN) {
            uint32_t n = rows - i < RUN ? rows - i : RUN;
            const uint8_t *at = t->data + (j * stored + s->first + i) * bytes;
            RET_IF_ERR(dtype_to_f32(t->dtype, at, run, n, err));
            for (uint32_t k = 0; k < n; k++)
                out[(i + k) * columns + j] = run[k];
        }
    weights_forget(w, t->data, (size_t)(t->count * bytes));
    return MOHS_OK;
}

/* Values of the parameter, and of one of its rows. */
static uint64_t count_of(const struct mohs_weight_spec *spec, uint64_t *row)
{
    *row = 1;
    for (uint32_t i = 1; i < spec->n_dims; i++)
        *row *= spec->dims[i];
    return spec->n_dims ? *row * spec->dims[0] : 1;
}

mohs_status weights_read_param(const struct mohs_weights *w,
                               const struct mohs_weight_spec *spec, float *out,
                               struct mohs_error *err)
{
    struct source s;
    const struct wtensor *t;
    RET_IF_ERR(find_source(w, spec, &s, &t, err));
    uint64_t row, count = count_of(spec, &row);
    mohs_status st =
        s.transposed
            ? read_transposed(w, t, &s, spec->dims[0], out, err)
            : weights_values(w, t, s.first * row, out, count, err);
    return st < 0 ? err_prefix(err, st, "%s: tensor %s", w->path, s.name) : st;
}

const float *weights_view_param(const struct mohs_weights *w,
                                const struct mohs_weight_spec *spec)
{
    struct source s;
    const struct wtensor *t;
    uint64_t row;
    if (find_source(w, spec, &s, &t, NULL) < 0 || s.transposed ||
        t->dtype != DT_F32)
        return NULL;
    count_of(spec, &row);
    const void *at = t->data + s.first * row * sizeof(float);
    return (uintptr_t)at % sizeof(float) ? NULL : at;
}

void weights_leave_param(const struct mohs_weights *w,
                         const struct mohs_weight_spec *spec)
{
    struct source s;
    const struct wtensor *t;
    uint64_t row, count = count_of(spec, &row);
    if (find_source(w, spec, &s, &t, NULL) < 0)
        return;
    size_t bytes = dtype_table[t->dtype].bytes;
    weights_forget(w, t->data + s.first * row * bytes, (size_t)count * bytes);
}
