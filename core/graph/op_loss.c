/* SPDX-License-Identifier: MIT */
/* Training losses. */
#include "config.h"

#include <string.h>

#include "graph/graph_internal.h"

static struct tensor *targets(const struct node *nd, uint32_t i)
{
    return i < nd->n_in ? nd->in[i] : NULL;
}

/* out 0 = mean of rows[n] */
static mohs_status mean_rows(struct graph *g, const struct tensor *rows,
                             const struct tensor *out, struct mohs_error *err)
{
    uint32_t n = (uint32_t)rows->count;
    return LAUNCH(g, K_EMBED, "sum_rows", 1, 1, err, mohs_arg_buffer(rows->buf),
                  mohs_arg_buffer(out->buf), mohs_arg_u32(1), mohs_arg_u32(n),
                  mohs_arg_u32(n), mohs_arg_u32(1), mohs_arg_u32(1),
                  mohs_arg_f32((float)(1.0 / n)));
}

static mohs_status matrix_check(const struct tensor *x, struct mohs_error *err)
{
    char s[SHAPE_TEXT];
    if (x->n_dims != 2)
        return mohs_fail(err, MOHS_E_ARG, "x %s is not [n, m]",
                         shape_text(x, s));
    return MOHS_OK;
}

/* ---- cross entropy ---------------------------------------------------- */

static mohs_status cross_shape(struct node *nd, struct mohs_error *err)
{
    const struct tensor *x = nd->in[0], *t = targets(nd, 1);
    char a[SHAPE_TEXT], b[SHAPE_TEXT];
    RET_IF_ERR(matrix_check(x, err));
    if (t ? t->count != x->dims[0] : x->dims[0] > x->dims[1])
        return mohs_fail(err, MOHS_E_ARG,
                         "x %s, targets %s: wanted [n, m] and [n], or n <= m",
                         shape_text(x, a), shape_text(t, b));
    uint32_t one = 1, n = x->dims[0];
    RET_IF_ERR(node_out(nd, 0, MOHS_F32, 1, &one, err));
    RET_IF_ERR(node_out(nd, 1, MOHS_F32, 1, &n, err)); // log sum exp
    return node_out(nd, 2, MOHS_F32, 1, &n, err);      // loss of each row
}

static mohs_status cross_run(struct graph *g, struct node *nd,
                             struct mohs_error *err)
{
    const struct tensor *x = nd->in[0], *t = targets(nd, 1);
    uint32_t n = x->dims[0], m = x->dims[1], share = share_for(g->c, n, m);
    RET_IF_ERR(LAUNCH(g, K_LOSS, "cross_entropy_rows", ceil_div(n, share), 1,
                      err, mohs_arg_buffer(x->buf), arg_tensor(t, x),
                      mohs_arg_buffer(nd->out[1]->buf),
                      mohs_arg_buffer(nd->out[2]->buf), mohs_arg_u32(n),
                      mohs_arg_u32(m), mohs_arg_i32(t != NULL),
                      mohs_arg_u32(share)));
    return mean_rows(g, nd->out[2], nd->out[0], err);
}

static void cross_back(struct graph *g, struct node *nd, struct tensor *dy,
                       const bool *need, struct tensor **din)
{
    if (need[0])
        din[0] = OP(g, "cross_entropy_grad", dy, nd->in[0], nd->out[1],
                    targets(nd, 1));
}

static mohs_status cross_grad_shape(struct node *nd, struct mohs_error *err)
{
    const struct tensor *x = nd->in[1], *lse = nd->in[2], *t = targets(nd, 3);
    char a[SHAPE_TEXT], b[SHAPE_TEXT];
    RET_IF_ERR(matrix_check(x, err));
    if (nd->in[0]->count != 1 || lse->count != x->dims[0] ||
        (t && t->count != x->dims[0]))
        return mohs_fail(err, MOHS_E_ARG, "x %s does not fit lse %s",
                         shape_text(x, a), shape_text(lse, b));
    nd->inplace = 1u << 1;
    return node_out_like(nd, 0, x, err);
}

static mohs_status cross_grad_run(struct graph *g, struct node *nd,
                                  struct mohs_error *err)
{
    const struct tensor *x = nd->in[1], *t = targets(nd, 3);
    uint32_t n = x->dims[0], m = x->dims[1], share = share_for(g->c, n, m);
    return LAUNCH(g, K_LOSS, "cross_entropy_rows_grad", ceil_div(n, share), 1,
                  err, mohs_arg_buffer(nd->in[0]->buf), mohs_arg_buffer(x->buf),
                  mohs_arg_buffer(nd->in[2]->buf), arg_tensor(t, x),
                  mohs_arg_buffer(nd->out[0]->buf), mohs_arg_u32(n),
                  mohs_arg_u32(m), mohs_arg_i32(t != NULL),
                  mohs_arg_u32(share));
}

/* ---- pairwise sigmoid ------------------------------------------------- */

static mohs_status pairs_shape(struct node *nd, struct mohs_error *err)
{
    uint32_t one = 1;
    RET_IF_ERR(matrix_check(nd->in[0], err));
    RET_IF_ERR(node_out(nd, 0, MOHS_F32, 1, &one, err));
    return node_out(nd, 1, MOHS_F32, 1, &nd->in[0]->dims[0], err);
}

static mohs_status pairs_run(struct graph *g, struct node *nd,
                             struct mohs_error *err)
{
    const struct tensor *x = nd->in[0];
    uint32_t n = x->dims[0], m = x->dims[1], share = share_for(g->c, n, m);
    RET_IF_ERR(LAUNCH(g, K_LOSS, "sigmoid_rows", ceil_div(n, share), 1, err,
                      mohs_arg_buffer(x->buf), mohs_arg_buffer(nd->out[1]->buf),
                      mohs_arg_u32(n), mohs_arg_u32(m), mohs_arg_u32(share)));
    return mean_rows(g, nd->out[1], nd->out[0], err);
}

static void pairs_back(struct graph *g, struct node *nd, struct tensor *dy,
                       const bool *need, struct tensor **din)
{
    if (need[0])
        din[0] = OP(g, "sigmoid_pairs_grad", dy, nd->in[0]);
}

static mohs_status pairs_grad_shape(struct node *nd, struct mohs_error *err)
{
    RET_IF_ERR(matrix_check(nd->in[1], err));
    if (nd->in[0]->count != 1)
        return mohs_fail(err, MOHS_E_ARG, "dloss is not one value");
    nd->inplace = 1u << 1;
    return node_out_like(nd, 0, nd->in[1], err);
}

static mohs_status pairs_grad_run(struct graph *g, struct node *nd,
                                  struct mohs_error *err)
{
    const struct tensor *x = nd->in[1];
    uint32_t n = x->dims[0], m = x->dims[1], share = share_for(g->c, n, m);
    return LAUNCH(g, K_LOSS, "sigmoid_rows_grad", ceil_div(n, share), 1, err,
                  mohs_arg_buffer(nd->in[0]->buf), mohs_arg_buffer(x->buf),
                  mohs_arg_buffer(nd->out[0]->buf), mohs_arg_u32(n),
                  mohs_arg_u32(m), mohs_arg_u32(share));
}

/* ---- made of others --------------------------------------------------- */

/* scale image text^T, both [n, d]. */
static struct tensor *scores(struct graph *g, const char *op,
                             struct tensor *const *in)
{
    char a[SHAPE_TEXT], b[SHAPE_TEXT];
    if (in[0]->n_dims != 2 || !same_shape(in[0], in[1]) || in[2]->count != 1)
        return graph_fail(g, MOHS_E_ARG,
                          "%s: image %s, text %s: wanted [n, d] twice and one "
                          "scale",
                          op, shape_text(in[0], a), shape_text(in[1], b));
    struct tensor *s = graph_op(g, "matmul", INS(in[0], in[1]),
                                ATTRS({ "b_trans", 1 }));
    return OP(g, "mul", s, in[2]);
}

static struct tensor *contrastive(struct graph *g, struct tensor *const *in,
                                  uint32_t n_in, const double *attr)
{
    struct tensor *s = scores(g, "contrastive", in), *rows, *columns;
    (void)n_in;
    (void)attr;
    rows = OP(g, "cross_entropy", s);
    columns = OP(g, "cross_entropy", OP(g, "transpose", s));
    return graph_op(g, "affine", INS(OP(g, "add", rows, columns)),
                    ATTRS({ "mul", 0.5 }));
}

static struct tensor *siglip(struct graph *g, struct tensor *const *in,
                             uint32_t n_in, const double *attr)
{
    struct tensor *s = scores(g, "sigmoid_loss", in);
    (void)n_in;
    (void)attr;
    if (s && in[3]->count != 1)
        return graph_fail(g, MOHS_E_ARG, "sigmoid_loss: bias is not one value");
    return OP(g, "sigmoid_pairs", OP(g, "add", s, in[3]));
}

/* mean over rows of sum (p - q)(log p - log q) */
static struct tensor *symmetric_kl(struct graph *g, struct tensor *const *in,
                                   uint32_t n_in, const double *attr)
{
    char s[SHAPE_TEXT], t[SHAPE_TEXT];
    struct tensor *a, *b, *d;
    (void)n_in;
    (void)attr;
    if (!same_shape(in[0], in[1]))
        return graph_fail(g, MOHS_E_ARG,
                          "symmetric_kl: shapes %s and %s differ",
                          shape_text(in[0], s), shape_text(in[1], t));
    a = OP(g, "log_softmax", in[0]);
    b = OP(g, "log_softmax", in[1]);
    d = OP(g, "sub", OP(g, "exp", a), OP(g, "exp", b));
    d = OP(g, "mul", d, OP(g, "sub", a, b));
    return graph_op(g, "reduce", INS(d),
                    ATTRS({ "scale", 1.0 / dim_rows(in[0]) }));
}

const struct op ops_loss[] = {
    { .info = { "cross_entropy", "x, int targets?", "",
                "mean over rows of log sum exp x[i] - x[i, targets[i]] -> [1]; "
                "no targets: the diagonal", true },
      .shape = cross_shape, .run = cross_run, .grad = cross_back },
    { .info = { "sigmoid_pairs", "x", "",
                "mean over rows of sum_j softplus(-z x[i, j]) -> [1], z = 1 on "
                "the diagonal, else -1", true },
      .shape = pairs_shape, .run = pairs_run, .grad = pairs_back },
    { .info = { "contrastive", "image, text, scale", "",
                "symmetric InfoNCE of scale image text^T -> [1]; image, text "
                "[n, d] normalised, scale one value", true },
      .expand = contrastive },
    { .info = { "sigmoid_loss", "image, text, scale, bias", "",
                "sigmoid_pairs of scale image text^T + bias -> [1] (SigLIP)",
                true },
      .expand = siglip },
    { .info = { "symmetric_kl", "a, b", "",
                "mean over rows of KL(p|q) + KL(q|p), p and q the softmax of "
                "rows of a and b -> [1]", true },
      .expand = symmetric_kl },
    { .info = { "cross_entropy_grad", "dloss, x, lse, int targets?", "",
                "gradient of cross_entropy", false },
      .shape = cross_grad_shape, .run = cross_grad_run },
    { .info = { "sigmoid_pairs_grad", "dloss, x", "",
                "gradient of sigmoid_pairs", false },
      .shape = pairs_grad_shape, .run = pairs_grad_run },
    { .info = { NULL, NULL, NULL, NULL, false } },
};
