/* SPDX-License-Identifier: MIT */
/* Dense ops: linear, matmul, one matmul per sample, and patch embedding. */
#include "config.h"

#include <string.h>

#include "graph/op_dense.h"

/* ---- shared with the planner ------------------------------------------ */

static bool is_linear(const struct node *nd);
static bool is_batch(const struct node *nd);

/* A sample [rows, cols] of a batch, or all of t with its leading dims as
 * rows. */
static uint32_t rows_of(const struct node *nd, const struct tensor *t)
{
    return is_batch(nd) ? t->dims[1] : dim_rows(t);
}

bool dense_gemm(const struct node *nd, struct gemm *gm)
{
    const struct tensor *a = nd->in[0], *b = nd->in[1];
    memset(gm, 0, sizeof *gm);
    if (is_linear(nd)) {
        gm->b_trans = true;
        gm->act = (int)nd->attr[0];
        gm->alpha = 1;
    } else if (is_batch(nd) || strcmp(nd->op->info.name, "matmul") == 0) {
        gm->a_trans = nd->attr[0] != 0;
        gm->b_trans = nd->attr[1] != 0;
        gm->alpha = (float)nd->attr[2];
    } else {
        uint32_t groups;
        return conv_gemm(nd, gm, &groups);
    }
    gm->m = gm->a_trans ? dim_last(a) : rows_of(nd, a);
    gm->k = gm->a_trans ? rows_of(nd, a) : dim_last(a);
    gm->n = gm->b_trans ? rows_of(nd, b) : dim_last(b);
    gm->lda = dim_last(a);
    gm->ldb = dim_last(b);
    gm->ldc = gm->ldr = gm->ldp = gm->n;
    return true;
}

bool dense_packs(const struct node *nd, struct dense_pack *out)
{
    struct gemm gm;
    uint32_t groups = 1;
    if (!dense_gemm(nd, &gm) || nd->in[1]->root->kind != T_WEIGHT ||
        is_batch(nd))
        return false;
    conv_gemm(nd, &gm, &groups);
    *out = (struct dense_pack){ nd->in[1]->root->param,
                                { gm.n, gemm_packed_k(&gm), gm.b_trans, groups,
                                  gm.conv.taps } };
    return true;
}

static mohs_status gemm_node(struct graph *g, struct node *nd,
                             const struct tensor *bias,
                             const struct tensor *residual,
                             const struct tensor *pre, struct mohs_error *err)
{
    struct gemm gm;
    struct dense_pack pk;
    dense_gemm(nd, &gm);
    gm.a = nd->in[0]->buf;
    gm.b = nd->in[1]->buf;
    gm.c = nd->out[0]->buf;
    gm.bias = bias ? bias->buf : NULL;
    gm.pre = pre ? pre->buf : NULL;
    gm.accumulate = residual && residual->buf == gm.c;
    gm.residual = residual && !gm.accumulate ? residual->buf : NULL;
    if (dense_packs(nd, &pk))
        RET_IF_ERR(params_packed(g->params, pk.param, &pk.form, nd->streamed,
                                 &gm.b_packed, err));
    return gemm_run(g->c, &gm, err);
}

static double gemm_flops(const struct node *nd)
{
    struct gemm gm;
    dense_gemm(nd, &gm);
    return 2.0 * gm.m * gm.n * gm.k;
}

/* ---- linear ----------------------------------------------------------- */

static mohs_status linear_shape(struct node *nd, struct mohs_error *err)
{
    const struct tensor *x = nd->in[0], *w = nd->in[1];
    const struct tensor *b = nd->n_in > 2 ? nd->in[2] : NULL;
    const struct tensor *r = nd->n_in > 3 ? nd->in[3] : NULL;
    char s[SHAPE_TEXT], t[SHAPE_TEXT];
    if (w->n_dims != 2 || dim_last(w) != dim_last(x))
        return mohs_fail(err, MOHS_E_ARG,
                         "x %s does not fit w %s, wanted [n, %u]",
                         shape_text(x, s), shape_text(w, t), dim_last(x));
    if (b && b->count != w->dims[0])
        return mohs_fail(err, MOHS_E_ARG, "b %s does not fit w %s, wanted [%u]",
                         shape_text(b, s), shape_text(w, t), w->dims[0]);
    uint32_t dims[MOHS_DIMS_MAX];
    memcpy(dims, x->dims, sizeof dims);
    dims[x->n_dims - 1] = w->dims[0];
    RET_IF_ERR(node_out(nd, 0, MOHS_F32, x->n_dims, dims, err));
    if (r && !same_shape(r, nd->out[0]))
        return mohs_fail(err, MOHS_E_ARG, "residual %s, the result is %s",
                         shape_text(r, s), shape_text(nd->out[0], t));
    if (nd->attr[0] != MOHS_ACT_NONE) {
        RET_IF_ERR(node_out_like(nd, 1, nd->out[0], err));
        nd->optional = 1u << 1;
    } else {
        nd->inplace = 1u << 3;
    }
    return MOHS_OK;
}

static mohs_status linear_run(struct graph *g, struct node *nd,
                              struct mohs_error *err)
{
    return gemm_node(g, nd, nd->n_in > 2 ? nd->in[2] : NULL,
                     nd->n_in > 3 ? nd->in[3] : NULL,
                     nd->n_out > 1 ? nd->out[1] : NULL, err);
}

static void linear_grad(struct graph *g, struct node *nd, struct tensor *dy,
                        const bool *need, struct tensor **din)
{
    struct tensor *x = nd->in[0], *w = nd->in[1];
    struct tensor *d = dy;
    if (nd->attr[0] != MOHS_ACT_NONE && (need[0] || need[1] || need[2]))
        d = graph_op(g, "act_grad", INS(dy, nd->out[1]),
                     ATTRS({ "act", nd->attr[0] }));
    if (need[0])
        din[0] = OP(g, "matmul", d, w);
    if (need[1])
        din[1] = graph_op(g, "matmul", INS(d, x), ATTRS({ "a_trans", 1 }));
    if (need[2])
        din[2] = unbroadcast(g, d, nd->in[2]);
    if (need[3])
        din[3] = dy;
}

/* ---- matmul ----------------------------------------------------------- */

static mohs_status matmul_shape(struct node *nd, struct mohs_error *err)
{
    const struct tensor *a = nd->in[0], *b = nd->in[1];
    const struct tensor *acc = nd->n_in > 2 ? nd->in[2] : NULL;
    bool at = nd->attr[0] != 0, bt = nd->attr[1] != 0;
    char s[SHAPE_TEXT], t[SHAPE_TEXT];
    uint32_t ka = at ? dim_rows(a) : dim_last(a);
    uint32_t kb = bt ? dim_last(b) : dim_rows(b);
    if (ka != kb)
        return mohs_fail(err, MOHS_E_ARG,
                         "a %s%s does not fit b %s%s: inner sizes %u and %u",
                         shape_text(a, s), at ? " transposed" : "",
                         shape_text(b, t), bt ? " transposed" : "", ka, kb);
    uint32_t dims[MOHS_DIMS_MAX], n_dims = a->n_dims;
    memcpy(dims, a->dims, sizeof dims);
    if (at) {
        n_dims = 2;
        dims[0] = dim_last(a);
    }
    if (n_dims == 1) {
        n_dims = 2;
        dims[0] = 1;
    }
    dims[n_dims - 1] = bt ? dim_rows(b) : dim_last(b);
    RET_IF_ERR(node_out(nd, 0, MOHS_F32, n_dims, dims, err));
    if (acc && !same_shape(acc, nd->out[0]))
        return mohs_fail(err, MOHS_E_ARG, "acc %s, the result is %s",
                         shape_text(acc, s), shape_text(nd->out[0], t));
    nd->inplace = 1u << 2;
    return MOHS_OK;
}

static mohs_status matmul_run(struct graph *g, struct node *nd,
                              struct mohs_error *err)
{
    return gemm_node(g, nd, NULL, nd->n_in > 2 ? nd->in[2] : NULL, NULL, err);
}

static struct tensor *product(struct graph *g, struct tensor *a, bool at,
                              struct tensor *b, bool bt, double alpha,
                              struct tensor *like)
{
    struct tensor *t = graph_op(g, "matmul", INS(a, b),
                                ATTRS({ "a_trans", at }, { "b_trans", bt },
                                      { "alpha", alpha }));
    return !t || same_shape(t, like)
               ? t
               : reshape_to(g, t, like->n_dims, like->dims);
}

static void matmul_grad(struct graph *g, struct node *nd, struct tensor *dy,
                        const bool *need, struct tensor **din)
{
    struct tensor *a = nd->in[0], *b = nd->in[1];
    bool at = nd->attr[0] != 0, bt = nd->attr[1] != 0;
    double alpha = nd->attr[2];
    if (need[0])
        din[0] = at ? product(g, b, bt, dy, true, alpha, a)
                    : product(g, dy, false, b, !bt, alpha, a);
    if (need[1])
        din[1] = bt ? product(g, dy, true, a, at, alpha, b)
                    : product(g, a, !at, dy, false, alpha, b);
    if (need[2])
        din[2] = dy;
}

static bool is_linear(const struct node *nd)
{
    return nd->op->run == linear_run;
}

/* ---- batch_matmul ----------------------------------------------------- */

static mohs_status batch_shape(struct node *nd, struct mohs_error *err)
{
    const struct tensor *a = nd->in[0], *b = nd->in[1];
    const struct tensor *acc = nd->n_in > 2 ? nd->in[2] : NULL;
    bool at = nd->attr[0] != 0, bt = nd->attr[1] != 0;
    char s[SHAPE_TEXT], t[SHAPE_TEXT];
    if (a->n_dims != 3 || b->n_dims != 3 || a->dims[0] != b->dims[0] ||
        a->dims[at ? 1 : 2] != b->dims[bt ? 2 : 1])
        return mohs_fail(err, MOHS_E_ARG,
                         "a %s%s does not fit b %s%s, wanted [n, m, k] and "
                         "[n, k, l]",
                         shape_text(a, s), at ? " transposed" : "",
                         shape_text(b, t), bt ? " transposed" : "");
    uint32_t dims[] = { a->dims[0], a->dims[at ? 2 : 1], b->dims[bt ? 1 : 2] };
    RET_IF_ERR(node_out(nd, 0, MOHS_F32, 3, dims, err));
    if (acc && !same_shape(acc, nd->out[0]))
        return mohs_fail(err, MOHS_E_ARG, "acc %s, the result is %s",
                         shape_text(acc, s), shape_text(nd->out[0], t));
    nd->inplace = 1u << 2;
    return MOHS_OK;
}

static mohs_status batch_run(struct graph *g, struct node *nd,
                             struct mohs_error *err)
{
    const struct tensor *a = nd->in[0], *b = nd->in[1];
    const struct tensor *acc = nd->n_in > 2 ? nd->in[2] : NULL;
    uint32_t n = a->dims[0];
    struct gemm gm;
    dense_gemm(nd, &gm);
    gm.a = a->buf;
    gm.b = b->buf;
    gm.c = nd->out[0]->buf;
    gm.accumulate = acc && acc->buf == gm.c;
    gm.residual = acc && !gm.accumulate ? acc->buf : NULL;
    for (uint32_t i = 0; i < n; i++) {
        RET_IF_ERR(gemm_run(g->c, &gm, err));
        gm.a_off += a->count / n;
        gm.b_off += b->count / n;
        gm.c_off += nd->out[0]->count / n;
        gm.residual_off = gm.c_off;
    }
    return MOHS_OK;
}

static double batch_flops(const struct node *nd)
{
    return gemm_flops(nd) * nd->in[0]->dims[0];
}

static struct tensor *each(struct graph *g, struct tensor *a, bool at,
                           struct tensor *b, bool bt, double alpha)
{
    return graph_op(g, "batch_matmul", INS(a, b),
                    ATTRS({ "a_trans", at }, { "b_trans", bt },
                          { "alpha", alpha }));
}

static void batch_grad(struct graph *g, struct node *nd, struct tensor *dy,
                       const bool *need, struct tensor **din)
{
    struct tensor *a = nd->in[0], *b = nd->in[1];
    bool at = nd->attr[0] != 0, bt = nd->attr[1] != 0;
    double alpha = nd->attr[2];
    if (need[0])
        din[0] = at ? each(g, b, bt, dy, true, alpha)
                    : each(g, dy, false, b, !bt, alpha);
    if (need[1])
        din[1] = bt ? each(g, dy, true, a, at, alpha)
                    : each(g, a, !at, dy, false, alpha);
    if (need[2])
        din[2] = dy;
}

static bool is_batch(const struct node *nd)
{
    return nd->op->run == batch_run;
}

/* ---- patches ---------------------------------------------------------- */

static mohs_status patches_shape(struct node *nd, struct mohs_error *err)
{
    const struct tensor *x = nd->in[0];
    uint32_t p = (uint32_t)nd->attr[0];
    char s[SHAPE_TEXT];
    if (x->n_dims != 4 || x->dims[2] % p || x->dims[3] % p)
        return mohs_fail(err, MOHS_E_ARG,
                         "x %s: wanted [n, c, h, w] with h and w multiples of "
                         "the patch size %u",
                         shape_text(x, s), p);
    uint32_t dims[] = { x->dims[0], x->dims[2] / p * (x->dims[3] / p),
                        x->dims[1] * p * p };
    return node_out(nd, 0, MOHS_F32, 3, dims, err);
}

/* Both directions: one work-item per row of patches of one channel. */
static mohs_status patches_launch(struct graph *g, const char *kernel,
                                  const struct tensor *img,
                                  const struct tensor *src,
                                  const struct tensor *dst, uint32_t p,
                                  struct mohs_error *err)
{
    uint32_t c = img->dims[1], h = img->dims[2], w = img->dims[3];
    return LAUNCH(g, K_PATCH, kernel, (size_t)img->dims[0] * (h / p), 1, err,
                  mohs_arg_buffer(src->buf), mohs_arg_buffer(dst->buf),
                  mohs_arg_u32(img->dims[0]), mohs_arg_u32(c), mohs_arg_u32(h),
                  mohs_arg_u32(w), mohs_arg_u32(p));
}

static mohs_status patches_run(struct graph *g, struct node *nd,
                               struct mohs_error *err)
{
    return patches_launch(g, "patches_split", nd->in[0], nd->in[0], nd->out[0],
                          (uint32_t)nd->attr[0], err);
}

static void patches_grad(struct graph *g, struct node *nd, struct tensor *dy,
                         const bool *need, struct tensor **din)
{
    const struct tensor *x = nd->in[0];
    if (need[0])
        din[0] = graph_op(g, "unpatches", INS(dy),
                          ATTRS({ "p", nd->attr[0] }, { "h", x->dims[2] },
                                { "w", x->dims[3] }));
}

static mohs_status unpatches_shape(struct node *nd, struct mohs_error *err)
{
    const struct tensor *x = nd->in[0];
    uint32_t p = (uint32_t)nd->attr[0], h = (uint32_t)nd->attr[1];
    uint32_t w = (uint32_t)nd->attr[2];
    char s[SHAPE_TEXT];
    if (x->n_dims != 3 || h % p || w % p || x->dims[1] != h / p * (w / p) ||
        x->dims[2] % (p * p))
        return mohs_fail(err, MOHS_E_ARG,
                         "x %s does not hold the patches of size %u of %u x %u",
                         shape_text(x, s), p, h, w);
    uint32_t dims[] = { x->dims[0], x->dims[2] / (p * p), h, w };
    return node_out(nd, 0, MOHS_F32, 4, dims, err);
}

static mohs_status unpatches_run(struct graph *g, struct node *nd,
                                 struct mohs_error *err)
{
    return patches_launch(g, "patches_join", nd->out[0], nd->in[0], nd->out[0],
                          (uint32_t)nd->attr[0], err);
}

static void unpatches_grad(struct graph *g, struct node *nd, struct tensor *dy,
                           const bool *need, struct tensor **din)
{
    if (need[0])
        din[0] = graph_op(g, "patches", INS(dy), ATTRS({ "p", nd->attr[0] }));
}

static struct tensor *patch_embed(struct graph *g, struct tensor *const *in,
                                  uint32_t n_in, const double *attr)
{
    struct tensor *x = in[0], *w = in[1];
    char s[SHAPE_TEXT], t[SHAPE_TEXT];
    (void)attr;
    if (x->n_dims != 4 || w->n_dims != 4 || x->dims[1] != w->dims[1] ||
        w->dims[2] != w->dims[3])
        return graph_fail(g, MOHS_E_ARG,
                          "patch_embed: x %s does not fit w %s, wanted "
                          "[n, c, h, w] and [width, c, p, p]",
                          shape_text(x, s), shape_text(w, t));
    uint32_t flat[] = { w->dims[0], (uint32_t)(w->count / w->dims[0]) };
    x = graph_op(g, "patches", INS(x), ATTRS({ "p", w->dims[2] }));
    return OP(g, "linear", x, reshape_to(g, w, 2, flat),
              n_in > 2 ? in[2] : NULL);
}

const struct op ops_dense[] = {
    { .info = { "linear", "x, w, b?, residual?", "int act=0(0..6)",
                "act(x w^T + b) + residual; x [..., k], w [n, k], b [n]",
                true },
      .shape = linear_shape, .run = linear_run, .grad = linear_grad,
      .flops = gemm_flops },
    { .info = { "matmul", "a, b, acc?",
                "int a_trans=0(0..1), int b_trans=0(0..1), alpha=1",
                "alpha op(a) op(b) + acc; leading dims count as rows", true },
      .shape = matmul_shape, .run = matmul_run, .grad = matmul_grad,
      .flops = gemm_flops, .acc = 2 },
    { .info = { "batch_matmul", "a, b, acc?",
                "int a_trans=0(0..1), int b_trans=0(0..1), alpha=1",
                "matmul sample by sample: a [n, m, k], b [n, k, l] -> [n, m, l]",
                true },
      .shape = batch_shape, .run = batch_run, .grad = batch_grad,
      .flops = batch_flops, .acc = 2 },
    { .info = { "patch_embed", "x, w, b?", "",
                "non-overlapping patches of x [n, c, h, w] times w [width, c, "
                "p, p] + b -> [n, (h/p)(w/p), width]",
                true },
      .expand = patch_embed },
    { .info = { "patches", "x", "int p=1(1..4096)",
                "x [n, c, h, w] cut in patches -> [n, (h/p)(w/p), c p p]",
                true },
      .shape = patches_shape, .run = patches_run, .grad = patches_grad },
    { .info = { "unpatches", "x",
                "int p=1(1..4096), int h=1(1..65536), int w=1(1..65536)",
                "inverse of patches", true },
      .shape = unpatches_shape, .run = unpatches_run, .grad = unpatches_grad },
    { .info = { NULL, NULL, NULL, NULL, false } },
};
