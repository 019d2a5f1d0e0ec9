/* SPDX-License-Identifier: MIT */
/*
 * Convolutions over pictures [n, h, w, c]. conv2d is a gemm whose left
 * operand is gathered from the picture, its gradient by the picture another;
 * the gradient by weights writes the windows out. Batch norm is folded into
 * scale and shift per channel. Depthwise convolutions are in op_pool.c.
 */
#include "config.h"

#include <string.h>

#include "graph/op_dense.h"

static struct tensor *in_or_null(const struct node *nd, uint32_t i)
{
    return i < nd->n_in ? nd->in[i] : NULL;
}

static uint32_t attr_u32(const struct node *nd, int i)
{
    return (uint32_t)nd->attr[i];
}

/* Result size of a window of k over `size` pixels; 0: it does not fit. */
static uint32_t slid(uint32_t size, uint32_t k, uint32_t stride, uint32_t pad)
{
    uint64_t room = (uint64_t)size + 2ull * pad;
    return room < k ? 0 : (uint32_t)((room - k) / stride) + 1;
}

/* ---- conv2d: attributes stride, pad, groups, act ---------------------- */

static mohs_status vectors_check(const struct node *nd, uint32_t out,
                                 struct mohs_error *err)
{
    const struct tensor *b = in_or_null(nd, 2), *norm = in_or_null(nd, 3);
    char s[SHAPE_TEXT];
    if (b && norm)
        return mohs_fail(err, MOHS_E_ARG, "b and norm are both given");
    if (b && b->count != out)
        return mohs_fail(err, MOHS_E_ARG, "b %s, wanted [%u]", shape_text(b, s),
                         out);
    if (norm && (norm->n_dims != 2 || norm->dims[0] != 2 ||
                 norm->dims[1] != out))
        return mohs_fail(err, MOHS_E_ARG, "norm %s, wanted [2, %u]",
                         shape_text(norm, s), out);
    return MOHS_OK;
}

static mohs_status conv_shape(struct node *nd, struct mohs_error *err)
{
    const struct tensor *x = nd->in[0], *w = nd->in[1];
    const struct tensor *r = in_or_null(nd, 4);
    uint32_t stride = attr_u32(nd, 0), pad = attr_u32(nd, 1);
    uint32_t groups = attr_u32(nd, 2);
    char s[SHAPE_TEXT], t[SHAPE_TEXT];
    if (x->n_dims != 4 || w->n_dims != 4 || x->dims[3] % groups ||
        w->dims[0] % groups || x->dims[3] / groups != w->dims[1])
        return mohs_fail(err, MOHS_E_ARG,
                         "x %s does not fit w %s in %u groups, wanted "
                         "[n, h, w, c] and [out, c / groups, kh, kw]",
                         shape_text(x, s), shape_text(w, t), groups);
    uint32_t dims[] = { x->dims[0], slid(x->dims[1], w->dims[2], stride, pad),
                        slid(x->dims[2], w->dims[3], stride, pad), w->dims[0] };
    if (!dims[1] || !dims[2] || pad >= w->dims[2] || pad >= w->dims[3])
        return mohs_fail(err, MOHS_E_ARG,
                         "x %s: no place for w %s with a padding of %u",
                         shape_text(x, s), shape_text(w, t), pad);
    RET_IF_ERR(vectors_check(nd, dims[3], err));
    RET_IF_ERR(node_out(nd, 0, MOHS_F32, 4, dims, err));
    if (r && !same_shape(r, nd->out[0]))
        return mohs_fail(err, MOHS_E_ARG, "residual %s, the result is %s",
                         shape_text(r, s), shape_text(nd->out[0], t));
    nd->inplace = 1u << 4;
    // the gradient of relu needs its result only
    if (nd->attr[3] == MOHS_ACT_NONE || nd->attr[3] == MOHS_ACT_RELU)
        return MOHS_OK;
    nd->optional = 1u << 1;
    return node_out_like(nd, 1, nd->out[0], err);
}

/* One tap, no step, no padding, no groups: rows of pixels are the matrix. */
static void as_matrix(struct gemm *gm, bool b_trans)
{
    memset(&gm->conv, 0, sizeof gm->conv);
    gm->b_trans = b_trans;
    gm->ldb = b_trans ? gm->k : gm->n;
}

static void forward_gemm(const struct node *nd, struct gemm *gm,
                         uint32_t *groups)
{
    const struct tensor *x = nd->in[0], *w = nd->in[1], *y = nd->out[0];
    uint32_t stride = attr_u32(nd, 0), pad = attr_u32(nd, 1);
    uint32_t c = w->dims[1], taps = w->dims[2] * w->dims[3];
    *groups = attr_u32(nd, 2);
    gm->m = dim_rows(y);
    gm->n = w->dims[0] / *groups;
    gm->k = taps * c;
    gm->lda = x->dims[3];
    gm->ldc = gm->ldr = gm->ldp = w->dims[0];
    gm->act = (int)nd->attr[3];
    gm->residual_first = true;
    gm->conv = (struct gemm_conv){
        w->dims[2], w->dims[3], x->dims[1], x->dims[2], y->dims[1], y->dims[2],
        stride,     1,          pad,        pad,
        { taps, c, taps * c, taps, 0, 0 } };
    if (taps == 1 && stride == 1 && pad == 0 && *groups == 1)
        as_matrix(gm, true);
}

/* The gradient by x: windows of dy, spread by the stride, times the weights
 * turned round. */
static void backward_gemm(const struct node *nd, struct gemm *gm,
                          uint32_t *groups)
{
    const struct tensor *dy = nd->in[0], *w = nd->in[1], *dx = nd->out[0];
    uint32_t stride = attr_u32(nd, 2), pad = attr_u32(nd, 3);
    *groups = attr_u32(nd, 4);
    uint32_t c = w->dims[0] / *groups, taps = w->dims[2] * w->dims[3];
    gm->m = dim_rows(dx);
    gm->n = w->dims[1];
    gm->k = taps * c;
    gm->lda = dy->dims[3];
    gm->ldc = gm->ldr = gm->ldp = dx->dims[3];
    gm->conv = (struct gemm_conv){
        w->dims[2], w->dims[3], dy->dims[1], dy->dims[2], dx->dims[1],
        dx->dims[2], 1, stride, w->dims[2] - 1 - pad, w->dims[3] - 1 - pad,
        { taps, c, taps, w->dims[1] * taps, 1, 0 } };
    if (taps == 1 && stride == 1 && *groups == 1)
        as_matrix(gm, false);
}

static mohs_status conv_run(struct graph *g, struct node *nd,
                            struct mohs_error *err);
static mohs_status conv_grad_run(struct graph *g, struct node *nd,
                                 struct mohs_error *err);

bool conv_gemm(const struct node *nd, struct gemm *gm, uint32_t *groups)
{
    bool forward = nd->op->run == conv_run;
    if (!forward && nd->op->run != conv_grad_run)
        return false;
    memset(gm, 0, sizeof *gm);
    gm->alpha = 1;
    (forward ? forward_gemm : backward_gemm)(nd, gm, groups);
    gm->conv.taps.winograd = gemm_winograd(nd->in[0]->g->c, gm);
    return true;
}

/* All groups of gm, whose operands are set for the first. */
static mohs_status run_groups(struct graph *g, const struct node *nd,
                              struct gemm *gm, uint32_t groups,
                              struct mohs_error *err)
{
    struct dense_pack pk;
    size_t packed = 0;
    if (dense_packs(nd, &pk)) {
        RET_IF_ERR(params_packed(g->params, pk.param, &pk.form, nd->streamed,
                                 &gm->b_packed, err));
        packed = gemm_packed_bytes(g->c, gm->n, gemm_packed_k(gm)) /
                 sizeof(float);
    }
    for (uint32_t i = 0; i < groups; i++) {
        RET_IF_ERR(gemm_run(g->c, gm, err));
        gm->a_off += gm->lda / groups;
        gm->b_off += nd->in[1]->count / groups;
        gm->b_packed_off += packed;
        gm->c_off += gm->n;
        gm->residual_off += gm->n;
        gm->pre_off += gm->n;
        gm->scale_off += gm->n;
        gm->bias_off += gm->n;
    }
    return MOHS_OK;
}

static mohs_status conv_run(struct graph *g, struct node *nd,
                            struct mohs_error *err)
{
    const struct tensor *b = in_or_null(nd, 2), *norm = in_or_null(nd, 3);
    const struct tensor *r = in_or_null(nd, 4);
    struct gemm gm;
    uint32_t groups;
    conv_gemm(nd, &gm, &groups);
    gm.a = nd->in[0]->buf;
    gm.b = nd->in[1]->buf;
    gm.c = nd->out[0]->buf;
    gm.scale = norm ? norm->buf : NULL;
    gm.bias = norm ? norm->buf : b ? b->buf : NULL;
    gm.bias_off = norm ? norm->dims[1] : 0;
    gm.pre = nd->n_out > 1 ? nd->out[1]->buf : NULL;
    gm.accumulate = r && r->buf == gm.c;
    gm.residual = r && !gm.accumulate ? r->buf : NULL;
    return run_groups(g, nd, &gm, groups, err);
}

static double conv_flops(const struct node *nd)
{
    struct gemm gm;
    uint32_t groups;
    conv_gemm(nd, &gm, &groups);
    return 2.0 * gm.m * gm.n * gm.k * groups;
}

/* Row 0 of norm [2, c], as [c]. */
static struct tensor *scale_of(struct graph *g, struct tensor *norm)
{
    struct tensor *s = graph_op(g, "slice", INS(norm),
                                ATTRS({ "axis", 0 }, { "from", 0 }, { "n", 1 }));
    return s ? reshape_to(g, s, 1, &norm->dims[1]) : NULL;
}

/* d loss / d norm: sums over pixels of d times the bare convolution, and of
 * d. */
static struct tensor *norm_grad_of(struct graph *g, struct node *nd,
                                   struct tensor *d)
{
    uint32_t row[] = { 1, dim_last(d) };
    struct tensor *bare = graph_op(g, "conv2d", nd->in, 2,
                                   ATTRS({ "stride", nd->attr[0] },
                                         { "pad", nd->attr[1] },
                                         { "groups", nd->attr[2] }));
    struct tensor *part[2] = { OP(g, "mul", d, bare), d };
    for (int i = 0; i < 2 && part[i]; i++) {
        part[i] = graph_op(g, "reduce", INS(part[i]),
                           ATTRS({ "from", 0 }, { "to", 3 }));
        part[i] = part[i] ? reshape_to(g, part[i], 2, row) : NULL;
    }
    return graph_op(g, "concat", part, 2, ATTRS({ "axis", 0 }));
}

static struct tensor *channels_of(struct graph *g, struct tensor *t,
                                  uint32_t group, uint32_t groups)
{
    uint32_t n = dim_last(t) / groups;
    return groups == 1 ? t
                       : graph_op(g, "slice", INS(t),
                                  ATTRS({ "axis", 3 }, { "from", group * n },
                                        { "n", n }));
}

/* d loss / d w: rows of dy times the windows of x, group by group. attr:
 * stride, pad, groups. */
static struct tensor *weight_grad(struct graph *g, struct tensor *x,
                                  struct tensor *dy, const struct tensor *w,
                                  const double *attr)
{
    struct tensor *all = NULL;
    const uint32_t *k = w->dims;
    uint32_t groups = (uint32_t)attr[2];
    for (uint32_t i = 0; i < groups; i++) {
        struct tensor *win = graph_op(
            g, "windows", INS(channels_of(g, x, i, groups)),
            ATTRS({ "kh", k[2] }, { "kw", k[3] }, { "stride", attr[0] },
                  { "pad", attr[1] }));
        struct tensor *d = graph_op(g, "matmul",
                                    INS(channels_of(g, dy, i, groups), win),
                                    ATTRS({ "a_trans", 1 }));
        all = all && d ? graph_op(g, "concat", INS(all, d), ATTRS({ "axis", 0 }))
                       : d;
    }
    uint32_t dims[] = { k[0], k[2], k[3], k[1] };
    return all ? OP(g, "channels_first", reshape_to(g, all, 4, dims)) : NULL;
}

static void conv_grad(struct graph *g, struct node *nd, struct tensor *dy,
                      const bool *need, struct tensor **din)
{
    struct tensor *x = nd->in[0], *w = nd->in[1], *norm = in_or_null(nd, 3);
    struct tensor *d = dy;
    if (nd->attr[3] != MOHS_ACT_NONE)
        d = graph_op(g, "act_grad",
                     INS(dy, nd->n_out > 1 ? nd->out[1] : nd->out[0]),
                     ATTRS({ "act", nd->attr[3] }));
    if (!d)
        return;
    if (need[2])
        din[2] = unbroadcast(g, d, nd->in[2]);
    if (need[3])
        din[3] = norm_grad_of(g, nd, d);
    if (need[4])
        din[4] = d;
    if (norm && (need[0] || need[1]))
        d = OP(g, "mul", d, scale_of(g, norm));
    if (need[0])
        din[0] = graph_op(g, "conv2d_grad", INS(d, w),
                          ATTRS({ "h", x->dims[1] }, { "w", x->dims[2] },
                                { "stride", nd->attr[0] },
                                { "pad", nd->attr[1] },
                                { "groups", nd->attr[2] }));
    if (need[1])
        din[1] = weight_grad(g, x, d, w, nd->attr);
}

/* ---- its gradient by x: attributes h, w, stride, pad, groups ---------- */

static mohs_status conv_grad_shape(struct node *nd, struct mohs_error *err)
{
    const struct tensor *dy = nd->in[0], *w = nd->in[1];
    const struct tensor *acc = in_or_null(nd, 2);
    uint32_t h = attr_u32(nd, 0), wd = attr_u32(nd, 1);
    uint32_t stride = attr_u32(nd, 2), pad = attr_u32(nd, 3);
    uint32_t groups = attr_u32(nd, 4);
    char s[SHAPE_TEXT], t[SHAPE_TEXT];
    if (dy->n_dims != 4 || w->n_dims != 4 || dy->dims[3] != w->dims[0] ||
        w->dims[0] % groups || pad >= w->dims[2] || pad >= w->dims[3] ||
        dy->dims[1] != slid(h, w->dims[2], stride, pad) ||
        dy->dims[2] != slid(wd, w->dims[3], stride, pad))
        return mohs_fail(err, MOHS_E_ARG,
                         "dy %s is no result of w %s over %u x %u pixels",
                         shape_text(dy, s), shape_text(w, t), h, wd);
    uint32_t dims[] = { dy->dims[0], h, wd, w->dims[1] * groups };
    RET_IF_ERR(node_out(nd, 0, MOHS_F32, 4, dims, err));
    if (acc && !same_shape(acc, nd->out[0]))
        return mohs_fail(err, MOHS_E_ARG, "acc %s, the result is %s",
                         shape_text(acc, s), shape_text(nd->out[0], t));
    nd->inplace = 1u << 2;
    return MOHS_OK;
}

static mohs_status conv_grad_run(struct graph *g, struct node *nd,
                                 struct mohs_error *err)
{
    const struct tensor *acc = in_or_null(nd, 2);
    struct gemm gm;
    uint32_t groups;
    conv_gemm(nd, &gm, &groups);
    gm.a = nd->in[0]->buf;
    gm.b = nd->in[1]->buf;
    gm.c = nd->out[0]->buf;
    gm.accumulate = acc && acc->buf == gm.c;
    gm.residual = acc && !gm.accumulate ? acc->buf : NULL;
    return run_groups(g, nd, &gm, groups, err);
}

/* Linear in both: by dy it is the convolution, by w the convolution's own. */
static void conv_grad_grad(struct graph *g, struct node *nd, struct tensor *d,
                           const bool *need, struct tensor **din)
{
    double stride = nd->attr[2], pad = nd->attr[3], groups = nd->attr[4];
    if (need[0])
        din[0] = graph_op(g, "conv2d", INS(d, nd->in[1]),
                          ATTRS({ "stride", stride }, { "pad", pad },
                                { "groups", groups }));
    if (need[1])
        din[1] = weight_grad(g, d, nd->in[0], nd->in[1], &nd->attr[2]);
    if (need[2])
        din[2] = d;
}

/* ---- its windows: attributes kh, kw, stride, pad ----------------------- */

static mohs_status windows_shape(struct node *nd, struct mohs_error *err)
{
    const struct tensor *x = nd->in[0];
    uint32_t kh = attr_u32(nd, 0), kw = attr_u32(nd, 1);
    uint32_t stride = attr_u32(nd, 2), pad = attr_u32(nd, 3);
    char s[SHAPE_TEXT];
    uint32_t dims[] = { x->dims[0], 0, 0, kh * kw * dim_last(x) };
    if (x->n_dims == 4) {
        dims[1] = slid(x->dims[1], kh, stride, pad);
        dims[2] = slid(x->dims[2], kw, stride, pad);
    }
    if (!dims[1] || !dims[2])
        return mohs_fail(err, MOHS_E_ARG,
                         "x %s is no [n, h, w, c] with room for %u x %u",
                         shape_text(x, s), kh, kw);
    return node_out(nd, 0, MOHS_F32, 4, dims, err);
}

static mohs_status windows_run(struct graph *g, struct node *nd,
                               struct mohs_error *err)
{
    const struct tensor *x = nd->in[0], *y = nd->out[0];
    return LAUNCH(g, K_CONV, "windows_gather", dim_rows(y), 1, err,
                  mohs_arg_buffer(x->buf), mohs_arg_buffer(y->buf),
                  mohs_arg_u32(dim_rows(y)), mohs_arg_u32(x->dims[1]),
                  mohs_arg_u32(x->dims[2]), mohs_arg_u32(x->dims[3]),
                  mohs_arg_u32(y->dims[1]), mohs_arg_u32(y->dims[2]),
                  mohs_arg_u32(attr_u32(nd, 0)), mohs_arg_u32(attr_u32(nd, 1)),
                  mohs_arg_u32(attr_u32(nd, 2)), mohs_arg_u32(attr_u32(nd, 3)));
}

/* ---- batch norm ------------------------------------------------------- */

static mohs_status fold_shape(struct node *nd, struct mohs_error *err)
{
    uint32_t dims[] = { 2, (uint32_t)nd->in[0]->count };
    char s[SHAPE_TEXT];
    for (uint32_t i = 1; i < nd->n_in; i++)
        if (nd->in[i] && nd->in[i]->count != dims[1])
            return mohs_fail(err, MOHS_E_ARG, "input %u is %s, not [%u]", i,
                             shape_text(nd->in[i], s), dims[1]);
    return node_out(nd, 0, MOHS_F32, 2, dims, err);
}

static mohs_status fold_run(struct graph *g, struct node *nd,
                            struct mohs_error *err)
{
    const struct tensor *mean = nd->in[0], *var = nd->in[1];
    const struct tensor *gain = in_or_null(nd, 2), *bias = in_or_null(nd, 3);
    return LAUNCH(g, K_CONV, "batch_norm_fold", ceil_div(mean->count, 256), 1,
                  err, mohs_arg_buffer(mean->buf), mohs_arg_buffer(var->buf),
                  arg_tensor(gain, mean), arg_tensor(bias, mean),
                  mohs_arg_buffer(nd->out[0]->buf),
                  mohs_arg_u32((uint32_t)mean->count),
                  mohs_arg_i32((gain ? 1 : 0) | (bias ? 2 : 0)),
                  mohs_arg_f32((float)nd->attr[0]));
}

/* Row i of t [2, c], shaped as `like`. */
static struct tensor *row_like(struct graph *g, struct tensor *t, uint32_t i,
                               const struct tensor *like)
{
    struct tensor *s = graph_op(g, "slice", INS(t),
                                ATTRS({ "axis", 0 }, { "from", i }, { "n", 1 }));
    return s ? reshape_to(g, s, like->n_dims, like->dims) : NULL;
}

/* With u = d scale - mean d shift and r = 1 / sqrt(var + eps): d gain = u r,
 * d var = -u gain r^3 / 2, d mean = -scale d shift, d bias = d shift. */
static void fold_grad(struct graph *g, struct node *nd, struct tensor *dy,
                      const bool *need, struct tensor **din)
{
    struct tensor *mean = nd->in[0];
    struct tensor *dshift = row_like(g, dy, 1, mean);
    struct tensor *scale = row_like(g, nd->out[0], 0, mean);
    struct tensor *bare = graph_op(g, "batch_norm_fold", nd->in, 2,
                                   ATTRS({ "eps", nd->attr[0] }));
    struct tensor *r = bare ? row_like(g, bare, 0, mean) : NULL;
    struct tensor *u = OP(g, "sub", row_like(g, dy, 0, mean),
                          OP(g, "mul", mean, dshift));
    if (need[0])
        din[0] = graph_op(g, "affine", INS(OP(g, "mul", scale, dshift)),
                          ATTRS({ "mul", -1 }));
    if (need[1])
        din[1] = graph_op(g, "affine",
                          INS(OP(g, "mul", OP(g, "mul", u, scale),
                                 OP(g, "square", r))),
                          ATTRS({ "mul", -0.5 }));
    if (need[2])
        din[2] = OP(g, "mul", u, r);
    if (need[3])
        din[3] = dshift;
}

#define CONV_ATTRS "int stride=1(1..64), int pad=0(0..64), " \
                   "int groups=1(1..65536)"
#define SIZE_ATTRS "int h=1(1..65536), int w=1(1..65536), "
#define KERNEL_ATTRS "int kh=1(1..64), int kw=1(1..64), "

const struct op ops_conv[] = {
    { .info = { "conv2d", "x, w, b?, norm?, residual?",
                CONV_ATTRS ", int act=0(0..6)",
                "act(conv(x, w) + b + residual), or act(conv(x, w) norm[0] + "
                "norm[1] + residual); x [n, h, w, c], w [out, c / groups, kh, "
                "kw], b [out], norm [2, out] -> [n, h', w', out], h' = (h + 2 "
                "pad - kh) / stride + 1 rounded down",
                true },
      .shape = conv_shape, .run = conv_run, .grad = conv_grad,
      .flops = conv_flops },
    { .info = { "conv2d_grad", "dy, w, acc?", SIZE_ATTRS CONV_ATTRS,
                "gradient of conv2d by x, + acc", false },
      .shape = conv_grad_shape, .run = conv_grad_run, .grad = conv_grad_grad,
      .flops = conv_flops, .acc = 2 },
    { .info = { "windows", "x",
                KERNEL_ATTRS "int stride=1(1..64), int pad=0(0..64)",
                "what conv2d multiplies: x [n, h, w, c] -> [n, h', w', kh kw c]",
                false },
      .shape = windows_shape, .run = windows_run },
    { .info = { "batch_norm_fold", "mean, var, gain?, bias?", "eps=1e-5(0..1)",
                "[2, c] for conv2d: gain / sqrt(var + eps), and bias - mean "
                "times that",
                true },
      .shape = fold_shape, .run = fold_run, .grad = fold_grad },
    { .info = { NULL, NULL, NULL, NULL, false } },
};
