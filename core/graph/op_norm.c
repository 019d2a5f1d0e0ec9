/* SPDX-License-Identifier: MIT */
/* Ops over rows (the last dim): norms and softmax. */
#include "config.h"

#include <string.h>

#include "graph/graph_internal.h"

enum { PIECE_ROWS = 64 }; /* as in op_shape.c: first level of column sums */

static struct tensor *in_or_null(const struct node *nd, uint32_t i)
{
    return i < nd->n_in ? nd->in[i] : NULL;
}

static mohs_status vector_check(const struct tensor *v, const char *what,
                                const struct tensor *x, struct mohs_error *err)
{
    char s[SHAPE_TEXT], t[SHAPE_TEXT];
    if (v && v->count != dim_last(x))
        return mohs_fail(err, MOHS_E_ARG,
                         "%s %s does not fit x %s, wanted [%u]", what,
                         shape_text(v, s), shape_text(x, t), dim_last(x));
    return MOHS_OK;
}

/* ---- layer norm and rms norm ------------------------------------------ */

static bool is_rms(const struct node *nd)
{
    return strncmp(nd->op->info.name, "rms", 3) == 0;
}

static mohs_status norm_shape(struct node *nd, struct mohs_error *err)
{
    const struct tensor *x = nd->in[0];
    RET_IF_ERR(vector_check(in_or_null(nd, 1), "gain", x, err));
    RET_IF_ERR(vector_check(in_or_null(nd, 2), "bias", x, err));
    RET_IF_ERR(node_out_like(nd, 0, x, err));
    // mean and 1 / deviation of every row, for the gradient
    uint32_t dims[] = { dim_rows(x), 2 };
    nd->optional = 1u << 1;
    nd->inplace = 1;
    return node_out(nd, 1, MOHS_F32, 2, dims, err);
}

static mohs_status norm_run(struct graph *g, struct node *nd,
                            struct mohs_error *err)
{
    const struct tensor *x = nd->in[0], *gain = in_or_null(nd, 1);
    const struct tensor *bias = in_or_null(nd, 2), *stats = nd->out[1];
    uint32_t rows = dim_rows(x), k = dim_last(x);
    uint32_t share = share_for(g->c, rows, k);
    int32_t flags = (gain ? 1 : 0) | (bias ? 2 : 0) | (stats->buf ? 4 : 0) |
                    (is_rms(nd) ? 8 : 0);
    return LAUNCH(g, K_NORM, "norm_rows", ceil_div(rows, share), 1, err,
                  mohs_arg_buffer(x->buf), arg_tensor(gain, x),
                  arg_tensor(bias, x), mohs_arg_buffer(nd->out[0]->buf),
                  arg_tensor(stats, nd->out[0]), mohs_arg_u32(rows),
                  mohs_arg_u32(k), mohs_arg_u32(share), mohs_arg_i32(flags),
                  mohs_arg_f32((float)nd->attr[0]));
}

static void norm_grad(struct graph *g, struct node *nd, struct tensor *dy,
                      const bool *need, struct tensor **din)
{
    struct tensor *x = nd->in[0], *gain = in_or_null(nd, 1);
    struct tensor *bias = in_or_null(nd, 2), *stats = nd->out[1], *p;
    bool rms = is_rms(nd);
    if (need[0])
        din[0] = graph_op(g, "norm_grad", INS(dy, x, stats, gain),
                          ATTRS({ "rms", rms }));
    if (!need[1] && !need[2])
        return;
    p = graph_op(g, "norm_param_grad", INS(dy, x, stats),
                 ATTRS({ "rms", rms }));
    if (!p)
        return;
    if (need[1])
        din[1] = reshape_to(g, p, gain->n_dims, gain->dims);
    if (need[2])
        din[2] = reshape_to(g, p->node->out[1], bias->n_dims, bias->dims);
}

static mohs_status norm_grad_shape(struct node *nd, struct mohs_error *err)
{
    const struct tensor *dy = nd->in[0], *x = nd->in[1], *stats = nd->in[2];
    const struct tensor *acc = in_or_null(nd, 4);
    char s[SHAPE_TEXT], t[SHAPE_TEXT];
    if (!same_shape(dy, x) || stats->count != 2 * dim_rows(x) ||
        (acc && !same_shape(acc, x)))
        return mohs_fail(err, MOHS_E_ARG, "dy %s does not fit x %s",
                         shape_text(dy, s), shape_text(x, t));
    RET_IF_ERR(vector_check(in_or_null(nd, 3), "gain", x, err));
    nd->inplace = 1 | (1u << 4);
    return node_out_like(nd, 0, x, err);
}

static mohs_status norm_grad_run(struct graph *g, struct node *nd,
                                 struct mohs_error *err)
{
    const struct tensor *dy = nd->in[0], *x = nd->in[1], *stats = nd->in[2];
    const struct tensor *gain = in_or_null(nd, 3), *acc = in_or_null(nd, 4);
    uint32_t rows = dim_rows(x), k = dim_last(x);
    uint32_t share = share_for(g->c, rows, k);
    int32_t flags = (gain ? 1 : 0) | (acc ? 2 : 0) | (nd->attr[0] ? 8 : 0);
    return LAUNCH(g, K_NORM, "norm_rows_grad", ceil_div(rows, share), 1, err,
                  mohs_arg_buffer(dy->buf), mohs_arg_buffer(x->buf),
                  mohs_arg_buffer(stats->buf), arg_tensor(gain, x),
                  arg_tensor(acc, x), mohs_arg_buffer(nd->out[0]->buf),
                  mohs_arg_u32(rows), mohs_arg_u32(k), mohs_arg_u32(share),
                  mohs_arg_i32(flags));
}

static mohs_status norm_param_shape(struct node *nd, struct mohs_error *err)
{
    const struct tensor *dy = nd->in[0], *x = nd->in[1], *stats = nd->in[2];
    uint32_t k = dim_last(x), rows = dim_rows(x);
    char s[SHAPE_TEXT], t[SHAPE_TEXT];
    if (!same_shape(dy, x) || stats->count != 2 * rows)
        return mohs_fail(err, MOHS_E_ARG, "dy %s does not fit x %s",
                         shape_text(dy, s), shape_text(x, t));
    uint32_t part[] = { 2, (uint32_t)ceil_div(rows, PIECE_ROWS), k };
    RET_IF_ERR(node_out(nd, 0, MOHS_F32, 1, &k, err));
    RET_IF_ERR(node_out(nd, 1, MOHS_F32, 1, &k, err));
    return node_out(nd, 2, MOHS_F32, 3, part, err);
}

static mohs_status norm_param_run(struct graph *g, struct node *nd,
                                  struct mohs_error *err)
{
    const struct tensor *dy = nd->in[0], *x = nd->in[1], *stats = nd->in[2];
    const struct tensor *part = nd->out[2];
    uint32_t rows = dim_rows(x), k = dim_last(x), pieces = part->dims[1];
    RET_IF_ERR(LAUNCH(g, K_NORM, "norm_params_grad", ceil_div(k, 64), pieces,
                      err, mohs_arg_buffer(dy->buf), mohs_arg_buffer(x->buf),
                      mohs_arg_buffer(stats->buf), mohs_arg_buffer(part->buf),
                      mohs_arg_u32(rows), mohs_arg_u32(k),
                      mohs_arg_u32(PIECE_ROWS)));
    return LAUNCH(g, K_NORM, "norm_params_sum", ceil_div(k, 64), 2, err,
                  mohs_arg_buffer(part->buf), mohs_arg_buffer(nd->out[0]->buf),
                  mohs_arg_buffer(nd->out[1]->buf), mohs_arg_u32(pieces),
                  mohs_arg_u32(k));
}

/* ---- rows alone: l2 normalise, softmax -------------------------------- */

/* Kernel and gradient op of each. */
static const struct {
    const char *name, *kernel, *grad;
    bool of_output; /* the gradient reads y, not x */
} row_ops[] = {
    { "l2_normalize", "l2_rows", "l2_normalize_grad", false },
    { "softmax", "softmax_rows", "softmax_grad", true },
    { "log_softmax", "log_softmax_rows", "log_softmax_grad", true },
    { "l2_normalize_grad", "l2_rows_grad", NULL, false },
    { "softmax_grad", "softmax_rows_grad", NULL, false },
    { "log_softmax_grad", "log_softmax_rows_grad", NULL, false },
};

static int row_op(const struct node *nd)
{
    int i = 0;
    while (strcmp(row_ops[i].name, nd->op->info.name) != 0)
        i++;
    return i;
}

static mohs_status row_shape(struct node *nd, struct mohs_error *err)
{
    nd->inplace = 1;
    return node_out_like(nd, 0, nd->in[0], err);
}

static mohs_status row_grad_shape(struct node *nd, struct mohs_error *err)
{
    char s[SHAPE_TEXT], t[SHAPE_TEXT];
    if (!same_shape(nd->in[0], nd->in[1]))
        return mohs_fail(err, MOHS_E_ARG, "shapes %s and %s differ",
                         shape_text(nd->in[0], s), shape_text(nd->in[1], t));
    return row_shape(nd, err);
}

static mohs_status row_run(struct graph *g, struct node *nd,
                           struct mohs_error *err)
{
    const struct tensor *x = nd->in[0];
    uint32_t rows = dim_rows(x), k = dim_last(x);
    uint32_t share = share_for(g->c, rows, k);
    return LAUNCH(g, K_NORM, row_ops[row_op(nd)].kernel, ceil_div(rows, share),
                  1, err, mohs_arg_buffer(x->buf),
                  arg_tensor(in_or_null(nd, 1), x),
                  mohs_arg_buffer(nd->out[0]->buf), mohs_arg_u32(rows),
                  mohs_arg_u32(k), mohs_arg_u32(share),
                  mohs_arg_f32((float)nd->attr[0]));
}

static void row_grad(struct graph *g, struct node *nd, struct tensor *dy,
                     const bool *need, struct tensor **din)
{
    int i = row_op(nd);
    struct mohs_attr eps = { "eps", nd->attr[0] };
    if (need[0])
        din[0] = graph_op(g, row_ops[i].grad,
                          INS(dy, row_ops[i].of_output ? nd->out[0]
                                                       : nd->in[0]),
                          &eps, row_ops[i].of_output ? 0 : 1);
}

static double norm_flops(const struct node *nd)
{
    return 8.0 * (double)nd->out[0]->count;
}

const struct op ops_norm[] = {
    { .info = { "layer_norm", "x, gain?, bias?", "eps=1e-5(0..1)",
                "(x - mean) / sqrt(var + eps) gain + bias over the last dim, "
                "var with 1/k", true },
      .shape = norm_shape, .run = norm_run, .grad = norm_grad,
      .flops = norm_flops },
    { .info = { "rms_norm", "x, gain?", "eps=1e-6(0..1)",
                "x / sqrt(mean(x^2) + eps) gain over the last dim", true },
      .shape = norm_shape, .run = norm_run, .grad = norm_grad,
      .flops = norm_flops },
    { .info = { "norm_grad", "dy, x, stats, gain?, acc?", "int rms=0(0..1)",
                "gradient of layer_norm or rms_norm by x, + acc", false },
      .shape = norm_grad_shape, .run = norm_grad_run, .acc = 4,
      .flops = norm_flops },
    { .info = { "norm_param_grad", "dy, x, stats", "int rms=0(0..1)",
                "gradients of layer_norm or rms_norm by gain and bias", false },
      .shape = norm_param_shape, .run = norm_param_run },
    { .info = { "l2_normalize", "x", "eps=1e-12(0..1)",
                "x / max(|x|, eps) over the last dim", true },
      .shape = row_shape, .run = row_run, .grad = row_grad },
    { .info = { "softmax", "x", "", "exp x / sum exp x over the last dim",
                true },
      .shape = row_shape, .run = row_run, .grad = row_grad },
    { .info = { "log_softmax", "x", "", "x - log sum exp x over the last dim",
                true },
      .shape = row_shape, .run = row_run, .grad = row_grad },
    { .info = { "l2_normalize_grad", "dy, x", "eps=1e-12(0..1)",
                "gradient of l2_normalize", false },
      .shape = row_grad_shape, .run = row_run },
    { .info = { "softmax_grad", "dy, y", "", "y (dy - sum(dy y))", false },
      .shape = row_grad_shape, .run = row_run },
    { .info = { "log_softmax_grad", "dy, y", "", "dy - exp(y) sum(dy)", false },
      .shape = row_grad_shape, .run = row_run },
    { .info = { NULL, NULL, NULL, NULL, false } },
};
