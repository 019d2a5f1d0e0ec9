/* SPDX-License-Identifier: MIT */
/* Ops that move, pick, repeat or sum values. */
#include "config.h"

#include <string.h>

#include "graph/graph_internal.h"

/* Pieces of this many rows (columns sums) or values (row sums) are summed
 * first, then the pieces: the order depends on the length alone. */
enum { PIECE_ROWS = 64, PIECE_VALUES = 4096 };

static uint32_t attr_u32(const struct node *nd, int i)
{
    return (uint32_t)nd->attr[i];
}

/* Copies `outer` runs of `len` floats; strides and offsets in floats. */
static mohs_status copy_runs(struct graph *g, const struct tensor *src,
                             uint32_t src_stride, uint32_t src_off,
                             const struct tensor *dst, uint32_t dst_stride,
                             uint32_t dst_off, uint32_t outer, uint32_t len,
                             struct mohs_error *err)
{
    uint32_t pieces = (uint32_t)ceil_div(len, 4096);
    uint32_t share = pieces > 1 ? 1 : share_for(g->c, outer, len);
    return LAUNCH(g, K_EMBED, "copy_runs", ceil_div(outer, share), pieces, err,
                  mohs_arg_buffer(src->buf), mohs_arg_u32(src_stride),
                  mohs_arg_u32(src_off), mohs_arg_buffer(dst->buf),
                  mohs_arg_u32(dst_stride), mohs_arg_u32(dst_off),
                  mohs_arg_u32(outer), mohs_arg_u32(len), mohs_arg_u32(share));
}

static mohs_status zero(struct graph *g, const struct tensor *t,
                        struct mohs_error *err)
{
    return LAUNCH(g, K_EMBED, "fill_zero", ceil_div(t->count, 4096), 1, err,
                  mohs_arg_buffer(t->buf), mohs_arg_u32((uint32_t)t->count));
}

/* ---- reshape, transpose ----------------------------------------------- */

/* Attributes d0.. as a shape. */
static void dims_from(const struct node *nd, int first,
                      uint32_t dims[MOHS_DIMS_MAX], uint32_t *n,
                      uint64_t *count)
{
    *n = 0;
    *count = 1;
    for (int i = 0; i < MOHS_DIMS_MAX && nd->attr[first + i] > 0; i++) {
        dims[(*n)++] = attr_u32(nd, first + i);
        *count *= dims[i];
    }
}

static mohs_status reshape_shape(struct node *nd, struct mohs_error *err)
{
    uint32_t dims[MOHS_DIMS_MAX], n;
    uint64_t count;
    char s[SHAPE_TEXT];
    dims_from(nd, 0, dims, &n, &count);
    if (n == 0 || count != nd->in[0]->count)
        return mohs_fail(err, MOHS_E_ARG,
                         "x %s cannot be %llu values in %u dims",
                         shape_text(nd->in[0], s), (unsigned long long)count,
                         n);
    return node_out(nd, 0, nd->in[0]->dtype, n, dims, err);
}

static void reshape_grad(struct graph *g, struct node *nd, struct tensor *dy,
                         const bool *need, struct tensor **din)
{
    if (need[0])
        din[0] = reshape_to(g, dy, nd->in[0]->n_dims, nd->in[0]->dims);
}

static mohs_status detach_shape(struct node *nd, struct mohs_error *err)
{
    return node_out_like(nd, 0, nd->in[0], err);
}

static void detach_grad(struct graph *g, struct node *nd, struct tensor *dy,
                        const bool *need, struct tensor **din)
{
    (void)g;
    (void)nd;
    (void)dy;
    (void)need;
    din[0] = NULL;
}

static mohs_status transpose_shape(struct node *nd, struct mohs_error *err)
{
    const struct tensor *x = nd->in[0];
    char s[SHAPE_TEXT];
    if (x->n_dims != 2)
        return mohs_fail(err, MOHS_E_ARG, "x %s is not [m, n]",
                         shape_text(x, s));
    uint32_t dims[] = { x->dims[1], x->dims[0] };
    return node_out(nd, 0, MOHS_F32, 2, dims, err);
}

static mohs_status transpose_run(struct graph *g, struct node *nd,
                                 struct mohs_error *err)
{
    const struct tensor *x = nd->in[0];
    return LAUNCH(g, K_EMBED, "transpose_2d", ceil_div(x->dims[1], 16),
                  ceil_div(x->dims[0], 16), err, mohs_arg_buffer(x->buf),
                  mohs_arg_buffer(nd->out[0]->buf), mohs_arg_u32(x->dims[0]),
                  mohs_arg_u32(x->dims[1]));
}

static void transpose_grad(struct graph *g, struct node *nd, struct tensor *dy,
                           const bool *need, struct tensor **din)
{
    (void)nd;
    if (need[0])
        din[0] = OP(g, "transpose", dy);
}

/* ---- slice, pad, concat ----------------------------------------------- */

static mohs_status axis_check(const struct tensor *x, uint32_t axis,
                              struct mohs_error *err)
{
    char s[SHAPE_TEXT];
    if (axis >= x->n_dims)
        return mohs_fail(err, MOHS_E_ARG, "x %s has no axis %u",
                         shape_text(x, s), axis);
    return MOHS_OK;
}

static mohs_status slice_shape(struct node *nd, struct mohs_error *err)
{
    const struct tensor *x = nd->in[0];
    uint32_t axis = attr_u32(nd, 0), from = attr_u32(nd, 1);
    uint32_t n = attr_u32(nd, 2), dims[MOHS_DIMS_MAX];
    char s[SHAPE_TEXT];
    RET_IF_ERR(axis_check(x, axis, err));
    if (from >= x->dims[axis] || n > x->dims[axis] - from)
        return mohs_fail(err, MOHS_E_ARG,
                         "x %s: %u from %u on is outside axis %u",
                         shape_text(x, s), n, from, axis);
    memcpy(dims, x->dims, sizeof dims);
    dims[axis] = n;
    return node_out(nd, 0, MOHS_F32, x->n_dims, dims, err);
}

static mohs_status slice_run(struct graph *g, struct node *nd,
                             struct mohs_error *err)
{
    const struct tensor *x = nd->in[0];
    uint32_t axis = attr_u32(nd, 0);
    uint32_t outer = (uint32_t)dims_product(x, 0, axis);
    uint32_t inner = (uint32_t)dims_product(x, axis + 1, x->n_dims);
    uint32_t len = attr_u32(nd, 2) * inner;
    return copy_runs(g, x, x->dims[axis] * inner, attr_u32(nd, 1) * inner,
                     nd->out[0], len, 0, outer, len, err);
}

static void slice_grad(struct graph *g, struct node *nd, struct tensor *dy,
                       const bool *need, struct tensor **din)
{
    if (need[0])
        din[0] = graph_op(g, "pad", INS(dy),
                          ATTRS({ "axis", nd->attr[0] },
                                { "before", nd->attr[1] },
                                { "size", nd->in[0]->dims[attr_u32(nd, 0)] }));
}

static mohs_status pad_shape(struct node *nd, struct mohs_error *err)
{
    const struct tensor *x = nd->in[0];
    uint32_t axis = attr_u32(nd, 0), before = attr_u32(nd, 1);
    uint32_t size = attr_u32(nd, 2), dims[MOHS_DIMS_MAX];
    char s[SHAPE_TEXT];
    RET_IF_ERR(axis_check(x, axis, err));
    if ((uint64_t)before + x->dims[axis] > size)
        return mohs_fail(err, MOHS_E_ARG,
                         "x %s after %u does not fit size %u of axis %u",
                         shape_text(x, s), before, size, axis);
    memcpy(dims, x->dims, sizeof dims);
    dims[axis] = size;
    return node_out(nd, 0, MOHS_F32, x->n_dims, dims, err);
}

static mohs_status pad_run(struct graph *g, struct node *nd,
                           struct mohs_error *err)
{
    const struct tensor *x = nd->in[0];
    uint32_t axis = attr_u32(nd, 0);
    uint32_t outer = (uint32_t)dims_product(x, 0, axis);
    uint32_t inner = (uint32_t)dims_product(x, axis + 1, x->n_dims);
    uint32_t len = x->dims[axis] * inner;
    RET_IF_ERR(zero(g, nd->out[0], err));
    return copy_runs(g, x, len, 0, nd->out[0], attr_u32(nd, 2) * inner,
                     attr_u32(nd, 1) * inner, outer, len, err);
}

static struct tensor *cut(struct graph *g, struct tensor *dy, uint32_t axis,
                          uint32_t from, uint32_t n)
{
    return graph_op(g, "slice", INS(dy),
                    ATTRS({ "axis", axis }, { "from", from }, { "n", n }));
}

static void pad_grad(struct graph *g, struct node *nd, struct tensor *dy,
                     const bool *need, struct tensor **din)
{
    uint32_t axis = attr_u32(nd, 0);
    if (need[0])
        din[0] = cut(g, dy, axis, attr_u32(nd, 1), nd->in[0]->dims[axis]);
}

static mohs_status concat_shape(struct node *nd, struct mohs_error *err)
{
    const struct tensor *x = nd->in[0];
    uint32_t axis = attr_u32(nd, 0), dims[MOHS_DIMS_MAX];
    char s[SHAPE_TEXT], t[SHAPE_TEXT];
    RET_IF_ERR(axis_check(x, axis, err));
    memcpy(dims, x->dims, sizeof dims);
    for (uint32_t i = 1; i < nd->n_in; i++) {
        struct tensor y = *nd->in[i];
        if (y.n_dims > axis) {
            dims[axis] += y.dims[axis];
            y.dims[axis] = x->dims[axis];
        }
        if (!same_shape(x, &y))
            return mohs_fail(err, MOHS_E_ARG,
                             "%s and %s differ outside axis %u",
                             shape_text(x, s), shape_text(nd->in[i], t), axis);
    }
    return node_out(nd, 0, MOHS_F32, x->n_dims, dims, err);
}

static mohs_status concat_run(struct graph *g, struct node *nd,
                              struct mohs_error *err)
{
    const struct tensor *y = nd->out[0];
    uint32_t axis = attr_u32(nd, 0), at = 0;
    uint32_t outer = (uint32_t)dims_product(y, 0, axis);
    uint32_t inner = (uint32_t)dims_product(y, axis + 1, y->n_dims);
    for (uint32_t i = 0; i < nd->n_in; i++) {
        uint32_t len = nd->in[i]->dims[axis] * inner;
        RET_IF_ERR(copy_runs(g, nd->in[i], len, 0, y, y->dims[axis] * inner, at,
                             outer, len, err));
        at += len;
    }
    return MOHS_OK;
}

static void concat_grad(struct graph *g, struct node *nd, struct tensor *dy,
                        const bool *need, struct tensor **din)
{
    uint32_t axis = attr_u32(nd, 0), at = 0;
    for (uint32_t i = 0; i < nd->n_in; i++) {
        uint32_t n = nd->in[i]->dims[axis];
        if (need[i])
            din[i] = cut(g, dy, axis, at, n);
        at += n;
    }
}

/* ---- reduce, expand --------------------------------------------------- */

static uint32_t pieces_of(uint32_t mid, uint32_t inner)
{
    return (uint32_t)ceil_div(mid, inner == 1 ? PIECE_VALUES : PIECE_ROWS);
}

struct span {
    uint32_t outer, mid, inner;
};

static struct span span_of(const struct tensor *t, uint32_t from, uint32_t to)
{
    return (struct span){ (uint32_t)dims_product(t, 0, from),
                          (uint32_t)dims_product(t, from, to),
                          (uint32_t)dims_product(t, to, t->n_dims) };
}

static mohs_status reduce_shape(struct node *nd, struct mohs_error *err)
{
    const struct tensor *x = nd->in[0];
    uint32_t from = attr_u32(nd, 0), to = attr_u32(nd, 1), n = 0;
    uint32_t dims[MOHS_DIMS_MAX] = { 1 };
    char s[SHAPE_TEXT];
    if (to == 0)
        nd->attr[1] = to = x->n_dims;
    if (from >= to || to > x->n_dims)
        return mohs_fail(err, MOHS_E_ARG, "x %s has no dims %u..%u",
                         shape_text(x, s), from, to);
    for (uint32_t i = 0; i < x->n_dims; i++)
        if (i < from || i >= to)
            dims[n++] = x->dims[i];
    RET_IF_ERR(node_out(nd, 0, MOHS_F32, n ? n : 1, dims, err));
    struct span p = span_of(x, from, to);
    uint32_t pieces = pieces_of(p.mid, p.inner);
    if (pieces == 1)
        return MOHS_OK;
    uint32_t part[] = { p.outer, pieces, p.inner };
    return node_out(nd, 1, MOHS_F32, 3, part, err);
}

/* out[o, p, i] = scale * sum of piece p of x[o, :, i]. */
static mohs_status sum_pieces(struct graph *g, const struct tensor *x,
                              const struct tensor *out, struct span s,
                              uint32_t piece, float scale,
                              struct mohs_error *err)
{
    uint32_t pieces = (uint32_t)ceil_div(s.mid, piece);
    if (s.inner == 1) {
        uint32_t rows = s.outer * pieces;
        uint32_t share = share_for(g->c, rows, s.mid < piece ? s.mid : piece);
        return LAUNCH(g, K_EMBED, "sum_rows", ceil_div(rows, share), 1, err,
                      mohs_arg_buffer(x->buf), mohs_arg_buffer(out->buf),
                      mohs_arg_u32(s.outer), mohs_arg_u32(s.mid),
                      mohs_arg_u32(piece), mohs_arg_u32(pieces),
                      mohs_arg_u32(share), mohs_arg_f32(scale));
    }
    return LAUNCH(g, K_EMBED, "sum_columns", ceil_div(s.inner, 64),
                  (size_t)s.outer * pieces, err, mohs_arg_buffer(x->buf),
                  mohs_arg_buffer(out->buf), mohs_arg_u32(s.mid),
                  mohs_arg_u32(s.inner), mohs_arg_u32(piece),
                  mohs_arg_u32(pieces), mohs_arg_f32(scale));
}

static mohs_status reduce_run(struct graph *g, struct node *nd,
                              struct mohs_error *err)
{
    struct span s = span_of(nd->in[0], attr_u32(nd, 0), attr_u32(nd, 1));
    float scale = (float)nd->attr[2];
    uint32_t pieces = pieces_of(s.mid, s.inner);
    if (pieces == 1)
        return sum_pieces(g, nd->in[0], nd->out[0], s, s.mid, scale, err);
    RET_IF_ERR(sum_pieces(g, nd->in[0], nd->out[1], s,
                          s.inner == 1 ? PIECE_VALUES : PIECE_ROWS, 1.0f, err));
    s.mid = pieces;
    return sum_pieces(g, nd->out[1], nd->out[0], s, s.mid, scale, err);
}

static void expand_attrs(struct mohs_attr at[8], double from, double to,
                         double scale, const struct tensor *like)
{
    static const char *const names[] = { "d0", "d1", "d2", "d3", "d4" };
    at[0] = (struct mohs_attr){ "from", from };
    at[1] = (struct mohs_attr){ "to", to };
    at[2] = (struct mohs_attr){ "scale", scale };
    for (uint32_t i = 0; i < MOHS_DIMS_MAX; i++)
        at[3 + i] = (struct mohs_attr){ names[i], i < like->n_dims
                                                      ? like->dims[i]
                                                      : 0 };
}

static void reduce_grad(struct graph *g, struct node *nd, struct tensor *dy,
                        const bool *need, struct tensor **din)
{
    struct mohs_attr at[8];
    expand_attrs(at, nd->attr[0], nd->attr[1], nd->attr[2], nd->in[0]);
    if (need[0])
        din[0] = graph_op(g, "expand", INS(dy), at, 8);
}

static mohs_status expand_shape(struct node *nd, struct mohs_error *err)
{
    uint32_t from = attr_u32(nd, 0), to = attr_u32(nd, 1);
    struct tensor y = { .n_dims = 0 };
    uint64_t count;
    char s[SHAPE_TEXT], t[SHAPE_TEXT];
    dims_from(nd, 3, y.dims, &y.n_dims, &count);
    if (to == 0)
        nd->attr[1] = to = y.n_dims;
    if (from >= to || to > y.n_dims ||
        dims_product(&y, 0, from) * dims_product(&y, to, y.n_dims) !=
            nd->in[0]->count)
        return mohs_fail(err, MOHS_E_ARG,
                         "x %s repeated over dims %u..%u does not give %s",
                         shape_text(nd->in[0], s), from, to, shape_text(&y, t));
    return node_out(nd, 0, MOHS_F32, y.n_dims, y.dims, err);
}

static mohs_status expand_run(struct graph *g, struct node *nd,
                              struct mohs_error *err)
{
    const struct tensor *y = nd->out[0];
    struct span s = span_of(y, attr_u32(nd, 0), attr_u32(nd, 1));
    uint32_t n = (uint32_t)y->count, n16 = (uint32_t)ceil_div(n, 16);
    uint32_t share = share_for(g->c, n16, 16);
    return LAUNCH(g, K_EMBED, "expand_mid", ceil_div(n16, share), 1, err,
                  mohs_arg_buffer(nd->in[0]->buf), mohs_arg_buffer(y->buf),
                  mohs_arg_u32(n), mohs_arg_u32(s.mid), mohs_arg_u32(s.inner),
                  mohs_arg_u32(share), mohs_arg_f32((float)nd->attr[2]));
}

static void expand_grad(struct graph *g, struct node *nd, struct tensor *dy,
                        const bool *need, struct tensor **din)
{
    const struct tensor *x = nd->in[0];
    if (!need[0])
        return;
    struct tensor *t = graph_op(g, "reduce", INS(dy),
                                ATTRS({ "from", nd->attr[0] },
                                      { "to", nd->attr[1] },
                                      { "scale", nd->attr[2] }));
    din[0] = t && !same_shape(t, x) ? reshape_to(g, t, x->n_dims, x->dims) : t;
}

static struct tensor *sum_all(struct graph *g, struct tensor *const *in,
                              uint32_t n_in, const double *attr)
{
    (void)n_in;
    (void)attr;
    return OP(g, "reduce", in[0]);
}

static struct tensor *mean_all(struct graph *g, struct tensor *const *in,
                               uint32_t n_in, const double *attr)
{
    (void)n_in;
    (void)attr;
    return graph_op(g, "reduce", INS(in[0]),
                    ATTRS({ "scale", 1.0 / (double)in[0]->count }));
}

static struct tensor *mean_tokens(struct graph *g, struct tensor *const *in,
                                  uint32_t n_in, const double *attr)
{
    char s[SHAPE_TEXT];
    (void)n_in;
    (void)attr;
    if (in[0]->n_dims != 3)
        return graph_fail(g, MOHS_E_ARG, "mean_tokens: x %s is not [n, t, k]",
                          shape_text(in[0], s));
    return graph_op(g, "reduce", INS(in[0]),
                    ATTRS({ "from", 1 }, { "to", 2 },
                          { "scale", 1.0 / in[0]->dims[1] }));
}

/* ---- rows by index ---------------------------------------------------- */

static mohs_status take_shape(struct node *nd, struct mohs_error *err)
{
    const struct tensor *x = nd->in[0];
    const struct tensor *i = nd->n_in > 1 ? nd->in[1] : NULL;
    char s[SHAPE_TEXT], t[SHAPE_TEXT];
    if (x->n_dims != 3 || (i && i->count != x->dims[0]))
        return mohs_fail(err, MOHS_E_ARG,
                         "x %s, index %s: wanted [n, t, k] and [n]",
                         shape_text(x, s), shape_text(i, t));
    uint32_t dims[] = { x->dims[0], x->dims[2] };
    return node_out(nd, 0, MOHS_F32, 2, dims, err);
}

static mohs_status rows_launch(struct graph *g, const char *kernel,
                               const struct tensor *x,
                               const struct tensor *index,
                               const struct tensor *y, uint32_t rows,
                               uint32_t t, uint32_t k, struct mohs_error *err)
{
    uint32_t share = share_for(g->c, rows, k);
    return LAUNCH(g, K_EMBED, kernel, ceil_div(rows, share), 1, err,
                  mohs_arg_buffer(x->buf), arg_tensor(index, x),
                  mohs_arg_buffer(y->buf), mohs_arg_u32(rows), mohs_arg_u32(t),
                  mohs_arg_u32(k), mohs_arg_i32(index != NULL),
                  mohs_arg_u32(share));
}

static mohs_status take_run(struct graph *g, struct node *nd,
                            struct mohs_error *err)
{
    const struct tensor *x = nd->in[0];
    return rows_launch(g, "take_rows", x, nd->n_in > 1 ? nd->in[1] : NULL,
                       nd->out[0], x->dims[0], x->dims[1], x->dims[2], err);
}

static void take_grad(struct graph *g, struct node *nd, struct tensor *dy,
                      const bool *need, struct tensor **din)
{
    if (need[0])
        din[0] = graph_op(g, "put", INS(dy, nd->n_in > 1 ? nd->in[1] : NULL),
                          ATTRS({ "t", nd->in[0]->dims[1] }));
}

static mohs_status put_shape(struct node *nd, struct mohs_error *err)
{
    const struct tensor *x = nd->in[0];
    const struct tensor *i = nd->n_in > 1 ? nd->in[1] : NULL;
    char s[SHAPE_TEXT], t[SHAPE_TEXT];
    if (x->n_dims != 2 || (i && i->count != x->dims[0]))
        return mohs_fail(err, MOHS_E_ARG,
                         "x %s, index %s: wanted [n, k] and [n]",
                         shape_text(x, s), shape_text(i, t));
    uint32_t dims[] = { x->dims[0], attr_u32(nd, 0), x->dims[1] };
    return node_out(nd, 0, MOHS_F32, 3, dims, err);
}

static mohs_status put_run(struct graph *g, struct node *nd,
                           struct mohs_error *err)
{
    const struct tensor *x = nd->in[0];
    return rows_launch(g, "put_rows", x, nd->n_in > 1 ? nd->in[1] : NULL,
                       nd->out[0], x->dims[0], attr_u32(nd, 0), x->dims[1],
                       err);
}

static void put_grad(struct graph *g, struct node *nd, struct tensor *dy,
                     const bool *need, struct tensor **din)
{
    if (need[0])
        din[0] = OP(g, "take", dy, nd->n_in > 1 ? nd->in[1] : NULL);
}

static mohs_status embedding_shape(struct node *nd, struct mohs_error *err)
{
    const struct tensor *ids = nd->in[0], *table = nd->in[1];
    uint32_t dims[MOHS_DIMS_MAX];
    char s[SHAPE_TEXT], t[SHAPE_TEXT];
    if (table->n_dims != 2 || ids->n_dims >= MOHS_DIMS_MAX)
        return mohs_fail(err, MOHS_E_ARG,
                         "ids %s, table %s: wanted at most 4 dims and [v, k]",
                         shape_text(ids, s), shape_text(table, t));
    memcpy(dims, ids->dims, sizeof dims);
    dims[ids->n_dims] = table->dims[1];
    return node_out(nd, 0, MOHS_F32, ids->n_dims + 1, dims, err);
}

static mohs_status embedding_run(struct graph *g, struct node *nd,
                                 struct mohs_error *err)
{
    const struct tensor *ids = nd->in[0], *table = nd->in[1];
    return rows_launch(g, "gather_rows", table, ids, nd->out[0],
                       (uint32_t)ids->count, table->dims[0], table->dims[1],
                       err);
}

static void embedding_back(struct graph *g, struct node *nd, struct tensor *dy,
                           const bool *need, struct tensor **din)
{
    if (need[1])
        din[1] = graph_op(g, "embedding_grad", INS(dy, nd->in[0]),
                          ATTRS({ "v", nd->in[1]->dims[0] }));
}

static mohs_status embedding_grad_shape(struct node *nd, struct mohs_error *err)
{
    const struct tensor *dy = nd->in[0], *ids = nd->in[1];
    char s[SHAPE_TEXT], t[SHAPE_TEXT];
    if (dim_rows(dy) != ids->count)
        return mohs_fail(err, MOHS_E_ARG, "dy %s does not fit ids %s",
                         shape_text(dy, s), shape_text(ids, t));
    uint32_t dims[] = { attr_u32(nd, 0), dim_last(dy) };
    return node_out(nd, 0, MOHS_F32, 2, dims, err);
}

static mohs_status embedding_grad_run(struct graph *g, struct node *nd,
                                      struct mohs_error *err)
{
    const struct tensor *dy = nd->in[0], *ids = nd->in[1];
    uint32_t v = attr_u32(nd, 0), k = dim_last(dy);
    // each item owns a range of table rows and scans all ids for them
    uint32_t items = 16 * compute_device(g->c)->units;
    uint32_t share = (uint32_t)ceil_div(v, items);
    return LAUNCH(g, K_EMBED, "scatter_rows", ceil_div(v, share),
                  ceil_div(k, 256), err, mohs_arg_buffer(dy->buf),
                  mohs_arg_buffer(ids->buf), mohs_arg_buffer(nd->out[0]->buf),
                  mohs_arg_u32((uint32_t)ids->count), mohs_arg_u32(v),
                  mohs_arg_u32(k), mohs_arg_u32(share));
}

static void embedding_grad_back(struct graph *g, struct node *nd,
                                struct tensor *dy, const bool *need,
                                struct tensor **din)
{
    struct tensor *x = nd->in[0], *t;
    if (!need[0])
        return;
    t = OP(g, "embedding", nd->in[1], dy);
    din[0] = t && !same_shape(t, x) ? reshape_to(g, t, x->n_dims, x->dims) : t;
}

static mohs_status prepend_shape(struct node *nd, struct mohs_error *err)
{
    const struct tensor *x = nd->in[0], *cls = nd->in[1];
    char s[SHAPE_TEXT], t[SHAPE_TEXT];
    if (x->n_dims != 3 || cls->count != x->dims[2])
        return mohs_fail(err, MOHS_E_ARG,
                         "x %s, cls %s: wanted [n, t, k] and [k]",
                         shape_text(x, s), shape_text(cls, t));
    uint32_t dims[] = { x->dims[0], x->dims[1] + 1, x->dims[2] };
    return node_out(nd, 0, MOHS_F32, 3, dims, err);
}

static mohs_status prepend_run(struct graph *g, struct node *nd,
                               struct mohs_error *err)
{
    const struct tensor *x = nd->in[0], *y = nd->out[0];
    uint32_t n = x->dims[0], k = x->dims[2], len = x->dims[1] * k;
    RET_IF_ERR(copy_runs(g, nd->in[1], 0, 0, y, len + k, 0, n, k, err));
    return copy_runs(g, x, len, 0, y, len + k, k, n, len, err);
}

static void prepend_grad(struct graph *g, struct node *nd, struct tensor *dy,
                         const bool *need, struct tensor **din)
{
    struct tensor *cls = nd->in[1];
    if (need[0])
        din[0] = cut(g, dy, 1, 1, nd->in[0]->dims[1]);
    if (!need[1])
        return;
    struct tensor *t = graph_op(g, "reduce", INS(cut(g, dy, 1, 0, 1)),
                                ATTRS({ "from", 0 }, { "to", 2 }));
    din[1] = t && !same_shape(t, cls)
                 ? reshape_to(g, t, cls->n_dims, cls->dims)
                 : t;
}

#define DIMS "int d0=0(0..4294967295), int d1=0(0..4294967295), " \
             "int d2=0(0..4294967295), int d3=0(0..4294967295), " \
             "int d4=0(0..4294967295)"

const struct op ops_shape[] = {
    { .info = { "reshape", "x", DIMS,
                "the same values as [d0, d1, ..], up to the first 0; costs "
                "nothing", true },
      .shape = reshape_shape, .grad = reshape_grad, .view = true },
    { .info = { "detach", "x", "", "x, through which no gradient flows", true },
      .shape = detach_shape, .grad = detach_grad, .view = true },
    { .info = { "transpose", "x", "", "x [m, n] -> [n, m]", true },
      .shape = transpose_shape, .run = transpose_run, .grad = transpose_grad },
    { .info = { "slice", "x",
                "int axis=0(0..4), int from=0(0..4294967295), "
                "int n=1(1..4294967295)",
                "n entries of an axis", true },
      .shape = slice_shape, .run = slice_run, .grad = slice_grad },
    { .info = { "pad", "x",
                "int axis=0(0..4), int before=0(0..4294967295), "
                "int size=1(1..4294967295)",
                "x after `before` zeros and filled with zeros to `size` along "
                "an axis", true },
      .shape = pad_shape, .run = pad_run, .grad = pad_grad },
    { .info = { "concat", "x...", "int axis=0(0..4)",
                "up to 8 tensors one after another along an axis", true },
      .shape = concat_shape, .run = concat_run, .grad = concat_grad },
    { .info = { "reduce", "x", "int from=0(0..4), int to=0(0..5), scale=1",
                "scale times the sum over dims from .. to-1 (to 0: the last), "
                "always in the same order", true },
      .shape = reduce_shape, .run = reduce_run, .grad = reduce_grad },
    { .info = { "expand", "x",
                "int from=0(0..4), int to=0(0..5), scale=1, " DIMS,
                "scale x repeated over dims from .. to-1 of [d0, d1, ..]",
                true },
      .shape = expand_shape, .run = expand_run, .grad = expand_grad },
    { .info = { "sum", "x", "", "sum of all values -> [1]", true },
      .expand = sum_all },
    { .info = { "mean", "x", "", "mean of all values -> [1]", true },
      .expand = mean_all },
    { .info = { "mean_tokens", "x", "", "mean over t of x [n, t, k] -> [n, k]",
                true },
      .expand = mean_tokens },
    { .info = { "take", "x, int index?", "",
                "x[i, index[i], :] of x [n, t, k] -> [n, k]; no index: token "
                "0; an index outside gives NaN", true },
      .shape = take_shape, .run = take_run, .grad = take_grad },
    { .info = { "put", "x, int index?", "int t=1(1..4294967295)",
                "zeros [n, t, k] with row index[i] of sample i set to x[i]",
                true },
      .shape = put_shape, .run = put_run, .grad = put_grad },
    { .info = { "embedding", "int ids, table", "",
                "rows of table [v, k] -> [ids.., k]; an id outside gives NaN",
                true },
      .shape = embedding_shape, .run = embedding_run, .grad = embedding_back },
    { .info = { "embedding_grad", "dy, int ids", "int v=1(1..4294967295)",
                "[v, k]: row r is the sum of dy where ids is r, in order of "
                "ids", true },
      .shape = embedding_grad_shape, .run = embedding_grad_run,
      .grad = embedding_grad_back },
    { .info = { "prepend", "x, cls", "",
                "cls [k] before the tokens of x [n, t, k] -> [n, t+1, k]",
                true },
      .shape = prepend_shape, .run = prepend_run, .grad = prepend_grad },
    { .info = { NULL, NULL, NULL, NULL, false } },
};
