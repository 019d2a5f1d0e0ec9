/* SPDX-License-Identifier: MIT */
/* Multi-head attention and its gradient, and attention of one query. */
#include "config.h"

#include <math.h>

#include "graph/graph_internal.h"

enum { HEADS, MASK, HEAD_MAX = 256 };

/* q, k, v and lengths fit; shared by forward and gradient. */
static mohs_status fit(const struct node *nd, const struct tensor *lengths,
                       struct mohs_error *err)
{
    const struct tensor *q = nd->in[0], *k = nd->in[1], *v = nd->in[2];
    uint32_t heads = (uint32_t)nd->attr[HEADS], mask = (uint32_t)nd->attr[MASK];
    char s[SHAPE_TEXT], t[SHAPE_TEXT], u[SHAPE_TEXT];
    if (q->n_dims != 3 || k->n_dims != 3 || !same_shape(k, v) ||
        q->dims[0] != k->dims[0] || q->dims[2] != k->dims[2])
        return mohs_fail(err, MOHS_E_ARG,
                         "q %s, k %s, v %s: wanted [n, t, w], [n, s, w] twice",
                         shape_text(q, s), shape_text(k, t), shape_text(v, u));
    if (q->dims[2] % heads || q->dims[2] / heads > HEAD_MAX)
        return mohs_fail(err, MOHS_E_ARG,
                         "q %s: %u heads do not divide the width into at most "
                         "%d each",
                         shape_text(q, s), heads, HEAD_MAX);
    if (mask == MOHS_MASK_CAUSAL && q->dims[1] != k->dims[1])
        return mohs_fail(err, MOHS_E_ARG,
                         "q %s, k %s: a causal mask needs as many keys as "
                         "queries",
                         shape_text(q, s), shape_text(k, t));
    if ((mask == MOHS_MASK_LENGTH || mask == MOHS_MASK_LAST) &&
        (!lengths || lengths->count != q->dims[0]))
        return mohs_fail(err, MOHS_E_ARG, "lengths %s: wanted [%u]",
                         shape_text(lengths, s), q->dims[0]);
    return MOHS_OK;
}

static mohs_status attention_shape(struct node *nd, struct mohs_error *err)
{
    const struct tensor *q = nd->in[0];
    RET_IF_ERR(fit(nd, nd->n_in > 3 ? nd->in[3] : NULL, err));
    RET_IF_ERR(node_out_like(nd, 0, q, err));
    uint32_t dims[] = { q->dims[0], (uint32_t)nd->attr[HEADS], q->dims[1] };
    nd->optional = 1u << 1; // log sum exp of every row
    return node_out(nd, 1, MOHS_F32, 3, dims, err);
}

static struct attention_rows rows(const struct tensor *t)
{
    return (struct attention_rows){ t->buf, 0, dim_last(t) };
}

static struct attention describe(const struct node *nd,
                                 const struct tensor *out,
                                 const struct tensor *lse,
                                 const struct tensor *lengths)
{
    const struct tensor *q = nd->in[0], *k = nd->in[1], *v = nd->in[2];
    uint32_t heads = (uint32_t)nd->attr[HEADS], d = dim_last(q) / heads;
    return (struct attention){
        .n = q->dims[0], .tq = q->dims[1], .tk = k->dims[1], .heads = heads,
        .d = d, .mask = (int)nd->attr[MASK],
        .scale = (float)(1.0 / sqrt((double)d)),
        .q = rows(q), .k = rows(k), .v = rows(v), .out = rows(out),
        .lse = lse->buf, .lengths = lengths ? lengths->buf : NULL,
    };
}

static mohs_status attention_run(struct graph *g, struct node *nd,
                                 struct mohs_error *err)
{
    struct attention a = describe(nd, nd->out[0], nd->out[1],
                                  nd->n_in > 3 ? nd->in[3] : NULL);
    return attention_forward(g->c, &a, err);
}

static void attention_back(struct graph *g, struct node *nd, struct tensor *dy,
                           const bool *need, struct tensor **din)
{
    struct tensor *len = nd->n_in > 3 ? nd->in[3] : NULL;
    struct tensor *t = graph_op(g, "attention_grad",
                                INS(nd->in[0], nd->in[1], nd->in[2],
                                    nd->out[0], nd->out[1], dy, len),
                                ATTRS({ "heads", nd->attr[HEADS] },
                                      { "mask", nd->attr[MASK] }));
    for (int i = 0; t && i < 3; i++)
        din[i] = need[i] ? t->node->out[i] : NULL;
}

static mohs_status attention_grad_shape(struct node *nd, struct mohs_error *err)
{
    RET_IF_ERR(fit(nd, nd->n_in > 6 ? nd->in[6] : NULL, err));
    RET_IF_ERR(node_out_like(nd, 0, nd->in[0], err));
    RET_IF_ERR(node_out_like(nd, 1, nd->in[1], err));
    return node_out_like(nd, 2, nd->in[2], err);
}

static mohs_status attention_grad_run(struct graph *g, struct node *nd,
                                      struct mohs_error *err)
{
    struct attention_grad a = {
        .fwd = describe(nd, nd->in[3], nd->in[4],
                        nd->n_in > 6 ? nd->in[6] : NULL),
        .dout = rows(nd->in[5]),
        .dq = rows(nd->out[0]),
        .dk = rows(nd->out[1]),
        .dv = rows(nd->out[2]),
    };
    return attention_backward(g->c, &a, err);
}

static double products(const struct node *nd, double n)
{
    const struct tensor *q = nd->in[0], *k = nd->in[1];
    double pairs = (double)q->count * k->dims[1];
    return n * 2 * pairs * (nd->attr[MASK] == MOHS_MASK_CAUSAL ? 0.5 : 1.0);
}

static double attention_flops(const struct node *nd)
{
    return products(nd, 2);
}

static double attention_grad_flops(const struct node *nd)
{
    return products(nd, 5);
}

/* ---- one query a sample ------------------------------------------------ */

static bool pool_fits(struct graph *g, struct tensor *const *in,
                      uint32_t heads)
{
    const struct tensor *q = in[0], *x = in[1], *wk = in[2], *wv = in[3];
    char s[SHAPE_TEXT], t[SHAPE_TEXT], u[SHAPE_TEXT];
    if (q->n_dims != 2 || x->n_dims != 3 || wk->n_dims != 2 ||
        q->dims[0] != x->dims[0] || q->dims[1] != wk->dims[0] ||
        x->dims[2] != wk->dims[1] || !same_shape(wk, wv))
        return graph_fail(g, MOHS_E_ARG,
                          "attention_pool: q %s, x %s, wk %s: wanted [n, w], "
                         "[n, t, c] and [w, c], and wv as wk",
                         shape_text(q, s), shape_text(x, t), shape_text(wk, u));
    if (q->dims[1] % heads)
        return graph_fail(g, MOHS_E_ARG,
                          "attention_pool: %u heads do not divide q %s", heads,
                         shape_text(q, s));
    return true;
}

/* A head's scores q (Wk x)^T are (q Wk) x^T, and Wv of weighted tokens is what
 * weighting all Wv x gives: no token is projected. The heads are the groups
 * of two convolutions over one pixel. */
static struct tensor *attention_pool(struct graph *g, struct tensor *const *in,
                                     uint32_t n_in, const double *attr)
{
    struct tensor *q = in[0], *x = in[1];
    uint32_t heads = (uint32_t)attr[HEADS];
    if (!pool_fits(g, in, heads))
        return NULL;
    uint32_t n = q->dims[0], w = q->dims[1], c = x->dims[2];
    uint32_t taps[] = { w, c, 1, 1 }, pixel[] = { n, 1, 1, w };
    uint32_t rows[] = { n, heads, c }, wide[] = { n, 1, 1, heads * c };
    uint32_t flat[] = { n, w };
    q = graph_op(g, "conv2d_grad",
                 INS(reshape_to(g, q, 4, pixel), reshape_to(g, in[2], 4, taps)),
                 ATTRS({ "groups", heads }));
    q = q ? reshape_to(g, q, 3, rows) : NULL;
    struct tensor *y = graph_op(g, "batch_matmul", INS(q, x),
                                ATTRS({ "b_trans", 1 },
                                      { "alpha", 1 / sqrt((double)w / heads) }));
    y = OP(g, "batch_matmul", OP(g, "softmax", y), x);
    y = y ? reshape_to(g, y, 4, wide) : NULL;
    y = graph_op(g, "conv2d",
                 INS(y, reshape_to(g, in[3], 4, taps), n_in > 4 ? in[4] : NULL),
                 ATTRS({ "groups", heads }));
    return y ? reshape_to(g, y, 2, flat) : NULL;
}

#define ATTENTION_ATTRS "int heads=1(1..65536), int mask=0(0..3)"

const struct op ops_attention[] = {
    { .info = { "attention", "q, k, v, int lengths?", ATTENTION_ATTRS,
                "softmax(q k^T / sqrt d) v per head; q [n, t, heads d], k and "
                "v [n, s, heads d]; mask 1: keys up to the query, 2: the first "
                "lengths[n] keys, 3: keys up to number lengths[n]", true },
      .shape = attention_shape, .run = attention_run, .grad = attention_back,
      .flops = attention_flops },
    { .info = { "attention_pool", "q, x, wk, wv, bv?",
                "int heads=1(1..65536)",
                "attention of one query a sample to keys x wk^T and values x "
                "wv^T + bv without computing those; q [n, w], x [n, t, c], wk "
                "and wv [w, c], bv [w] -> [n, w]; a bias of the keys would "
                "change nothing",
                true },
      .expand = attention_pool },
    { .info = { "attention_grad", "q, k, v, y, lse, dy, int lengths?",
                ATTENTION_ATTRS, "gradients of attention by q, k and v",
                false },
      .shape = attention_grad_shape, .run = attention_grad_run,
      .flops = attention_grad_flops },
    { .info = { NULL, NULL, NULL, NULL, false } },
};
