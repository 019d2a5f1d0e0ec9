/* SPDX-License-Identifier: MIT */
/*
 * Ops over pictures [n, h, w, c] that treat each channel on its own: pooling
 * and depthwise convolution; and the two orders of dims.
 */
#include "config.h"

#include <string.h>

#include "graph/graph_internal.h"

static struct tensor *in_or_null(const struct node *nd, uint32_t i)
{
    return i < nd->n_in ? nd->in[i] : NULL;
}

/* The window that all these ops slide; from attributes k, stride, pad. */
struct slide {
    uint32_t k, stride, pad;
};

static struct slide slide_of(const struct node *nd)
{
    return (struct slide){ (uint32_t)nd->attr[0], (uint32_t)nd->attr[1],
                           (uint32_t)nd->attr[2] };
}

/* Shape of the result over x; 0 in a dim: there is none. */
static void slid(const struct tensor *x, struct slide s, uint32_t dims[4])
{
    for (int i = 0; i < 4; i++)
        dims[i] = x->n_dims == 4 ? x->dims[i] : 0;
    for (int i = 1; i < 3; i++) {
        uint64_t room = (uint64_t)dims[i] + 2ull * s.pad;
        dims[i] = dims[i] && room >= s.k ? (uint32_t)((room - s.k) / s.stride) + 1
                                         : 0;
    }
}

static mohs_status slide_shape(struct node *nd, struct mohs_error *err)
{
    const struct tensor *x = nd->in[0];
    struct slide s = slide_of(nd);
    uint32_t dims[4];
    char t[SHAPE_TEXT];
    slid(x, s, dims);
    if (!dims[1] || !dims[2] || s.pad >= s.k)
        return mohs_fail(err, MOHS_E_ARG,
                         "x %s is no [n, h, w, c] with room for %u x %u "
                         "(padding %u)",
                         shape_text(x, t), s.k, s.k, s.pad);
    return node_out(nd, 0, MOHS_F32, 4, dims, err);
}

/* Gradients by x: in[0] is dy; dx is shaped as `like`, or attributes h, w. */
static mohs_status slide_grad_shape(struct node *nd, const struct tensor *acc,
                                    uint32_t h, uint32_t w,
                                    struct mohs_error *err)
{
    const struct tensor *dy = nd->in[0];
    struct tensor x = { .n_dims = 4, .dims = { 0, h, w, dim_last(dy) } };
    uint32_t dims[4];
    char s[SHAPE_TEXT], t[SHAPE_TEXT];
    x.dims[0] = dy->dims[0];
    slid(&x, slide_of(nd), dims);
    if (dy->n_dims != 4 || memcmp(dims, dy->dims, sizeof dims) != 0)
        return mohs_fail(err, MOHS_E_ARG, "dy %s is no result over %s",
                         shape_text(dy, s), shape_text(&x, t));
    RET_IF_ERR(node_out(nd, 0, MOHS_F32, 4, x.dims, err));
    if (acc && !same_shape(acc, nd->out[0]))
        return mohs_fail(err, MOHS_E_ARG, "acc %s, the result is %s",
                         shape_text(acc, s), shape_text(nd->out[0], t));
    nd->inplace = 1u << 2;
    return MOHS_OK;
}

/* One item per row of `rows` and 16 channels. buf: as many as the kernel
 * wants; x and y give the sizes. */
static mohs_status slide_launch(struct graph *g, struct node *nd,
                                enum kernel_file file, const char *kernel,
                                const struct tensor *const buf[4],
                                const struct tensor *x, const struct tensor *y,
                                uint32_t rows, int32_t flags,
                                struct mohs_error *err)
{
    struct slide s = slide_of(nd);
    struct mohs_arg a[16];
    uint32_t n = 0;
    for (int i = 0; i < 4 && buf[i]; i++)
        a[n++] = mohs_arg_buffer(buf[i]->buf);
    const uint32_t v[] = { rows,       x->dims[1], x->dims[2], x->dims[3],
                           y->dims[1], y->dims[2], s.k,        s.stride,
                           s.pad };
    for (size_t i = 0; i < sizeof v / sizeof *v; i++)
        a[n++] = mohs_arg_u32(v[i]);
    a[n++] = mohs_arg_i32(flags);
    return graph_launch(g, file, kernel, rows, ceil_div(x->dims[3], 16), a, n,
                        err);
}

static uint32_t picture_rows(const struct tensor *t)
{
    return t->dims[0] * t->dims[1];
}

/* ---- pooling: k, stride, pad ------------------------------------------ */

static bool is_max(const struct node *nd)
{
    return strncmp(nd->op->info.name, "max", 3) == 0;
}

static mohs_status pooling_run(struct graph *g, struct node *nd,
                            struct mohs_error *err)
{
    const struct tensor *x = nd->in[0], *y = nd->out[0];
    return slide_launch(g, nd, K_POOL, "pool_rows",
                        (const struct tensor *const[4]){ x, y }, x, y,
                        picture_rows(y), is_max(nd), err);
}

static void pool_grad(struct graph *g, struct node *nd, struct tensor *dy,
                      const bool *need, struct tensor **din)
{
    struct tensor *x = nd->in[0];
    if (!need[0])
        return;
    if (is_max(nd))
        din[0] = graph_op(g, "max_pool2d_grad", INS(dy, x),
                          ATTRS({ "k", nd->attr[0] }, { "stride", nd->attr[1] },
                                { "pad", nd->attr[2] }));
    else
        din[0] = graph_op(g, "avg_pool2d_grad", INS(dy),
                          ATTRS({ "k", nd->attr[0] }, { "stride", nd->attr[1] },
                                { "pad", nd->attr[2] }, { "h", x->dims[1] },
                                { "w", x->dims[2] }));
}

static mohs_status max_grad_shape(struct node *nd, struct mohs_error *err)
{
    const struct tensor *x = nd->in[1];
    char s[SHAPE_TEXT];
    if (x->n_dims != 4)
        return mohs_fail(err, MOHS_E_ARG, "x %s is no [n, h, w, c]",
                         shape_text(x, s));
    return slide_grad_shape(nd, in_or_null(nd, 2), x->dims[1], x->dims[2], err);
}

static mohs_status avg_grad_shape(struct node *nd, struct mohs_error *err)
{
    RET_IF_ERR(slide_grad_shape(nd, in_or_null(nd, 1), (uint32_t)nd->attr[3],
                                (uint32_t)nd->attr[4], err));
    nd->inplace = 1u << 1;
    return MOHS_OK;
}

static mohs_status pool_grad_run(struct graph *g, struct node *nd,
                                 struct mohs_error *err)
{
    bool max = is_max(nd);
    const struct tensor *dy = nd->in[0], *dx = nd->out[0];
    const struct tensor *acc = in_or_null(nd, max ? 2 : 1);
    return slide_launch(g, nd, K_POOL, "pool_rows_grad",
                        (const struct tensor *const[4]){
                            dy, max ? nd->in[1] : dy, acc ? acc : dy, dx },
                        dx, dy, picture_rows(dx), (max ? 1 : 0) | (acc ? 2 : 0),
                        err);
}

static struct tensor *global_avg_pool(struct graph *g, struct tensor *const *in,
                                      uint32_t n_in, const double *attr)
{
    char s[SHAPE_TEXT];
    (void)n_in;
    (void)attr;
    if (in[0]->n_dims != 4)
        return graph_fail(g, MOHS_E_ARG,
                          "global_avg_pool: x %s is no [n, h, w, c]",
                          shape_text(in[0], s));
    return graph_op(g, "reduce", INS(in[0]),
                    ATTRS({ "from", 1 }, { "to", 3 },
                          { "scale", 1.0 / (in[0]->dims[1] * in[0]->dims[2]) }));
}

/* ---- depthwise: k, stride, pad; weights [k k, c] ---------------------- */

static mohs_status depth_check(const struct node *nd, const struct tensor *x,
                               const struct tensor *wt, struct mohs_error *err)
{
    uint32_t k = (uint32_t)nd->attr[0];
    char s[SHAPE_TEXT], t[SHAPE_TEXT];
    if (wt->n_dims != 2 || wt->dims[0] != k * k || wt->dims[1] != dim_last(x))
        return mohs_fail(err, MOHS_E_ARG,
                         "x %s does not fit weights %s, wanted [%u, %u]",
                         shape_text(x, s), shape_text(wt, t), k * k,
                         dim_last(x));
    return MOHS_OK;
}

static mohs_status depth_shape(struct node *nd, struct mohs_error *err)
{
    const struct tensor *b = in_or_null(nd, 2);
    char s[SHAPE_TEXT];
    RET_IF_ERR(slide_shape(nd, err));
    RET_IF_ERR(depth_check(nd, nd->in[0], nd->in[1], err));
    if (b && b->count != dim_last(nd->in[0]))
        return mohs_fail(err, MOHS_E_ARG, "b %s, wanted [%u]", shape_text(b, s),
                         dim_last(nd->in[0]));
    return MOHS_OK;
}

static mohs_status depth_run(struct graph *g, struct node *nd,
                             struct mohs_error *err)
{
    const struct tensor *x = nd->in[0], *y = nd->out[0];
    const struct tensor *b = in_or_null(nd, 2);
    return slide_launch(g, nd, K_CONV, "depthwise_rows",
                        (const struct tensor *const[4]){ x, nd->in[1],
                                                        b ? b : x, y },
                        x, y, picture_rows(y), b ? 1 : 0, err);
}

static double depth_flops(const struct node *nd)
{
    double taps = nd->attr[0] * nd->attr[0];
    return 2.0 * taps * (double)nd->out[0]->count;
}

static void depth_grad(struct graph *g, struct node *nd, struct tensor *dy,
                       const bool *need, struct tensor **din)
{
    struct tensor *x = nd->in[0];
    if (need[0])
        din[0] = graph_op(g, "depthwise_grad", INS(dy, nd->in[1]),
                          ATTRS({ "k", nd->attr[0] }, { "stride", nd->attr[1] },
                                { "pad", nd->attr[2] }, { "h", x->dims[1] },
                                { "w", x->dims[2] }));
    if (need[1])
        din[1] = graph_op(g, "depthwise_taps_grad", INS(dy, x),
                          ATTRS({ "k", nd->attr[0] }, { "stride", nd->attr[1] },
                                { "pad", nd->attr[2] }));
    if (need[2])
        din[2] = unbroadcast(g, dy, nd->in[2]);
}

static mohs_status depth_grad_shape(struct node *nd, struct mohs_error *err)
{
    RET_IF_ERR(depth_check(nd, nd->in[0], nd->in[1], err));
    return slide_grad_shape(nd, in_or_null(nd, 2), (uint32_t)nd->attr[3],
                            (uint32_t)nd->attr[4], err);
}

static mohs_status depth_grad_run(struct graph *g, struct node *nd,
                                  struct mohs_error *err)
{
    const struct tensor *dy = nd->in[0], *dx = nd->out[0];
    const struct tensor *acc = in_or_null(nd, 2);
    return slide_launch(g, nd, K_CONV, "depthwise_rows_grad",
                        (const struct tensor *const[4]){
                            dy, nd->in[1], acc ? acc : dy, dx },
                        dx, dy, picture_rows(dx), acc ? 1 : 0, err);
}

static mohs_status taps_grad_shape(struct node *nd, struct mohs_error *err)
{
    const struct tensor *dy = nd->in[0], *x = nd->in[1];
    uint32_t dims[4], k = (uint32_t)nd->attr[0];
    uint32_t out[] = { k * k, dim_last(x) };
    char s[SHAPE_TEXT], t[SHAPE_TEXT];
    slid(x, slide_of(nd), dims);
    if (dy->n_dims != 4 || memcmp(dims, dy->dims, sizeof dims) != 0)
        return mohs_fail(err, MOHS_E_ARG, "dy %s is no result over %s",
                         shape_text(dy, s), shape_text(x, t));
    return node_out(nd, 0, MOHS_F32, 2, out, err);
}

static mohs_status taps_grad_run(struct graph *g, struct node *nd,
                                 struct mohs_error *err)
{
    const struct tensor *dy = nd->in[0], *x = nd->in[1];
    struct slide s = slide_of(nd);
    return LAUNCH(g, K_CONV, "depthwise_taps_grad", s.k * s.k,
                  ceil_div(dim_last(x), 16), err, mohs_arg_buffer(dy->buf),
                  mohs_arg_buffer(x->buf), mohs_arg_buffer(nd->out[0]->buf),
                  mohs_arg_u32(x->dims[0]), mohs_arg_u32(x->dims[1]),
                  mohs_arg_u32(x->dims[2]), mohs_arg_u32(x->dims[3]),
                  mohs_arg_u32(dy->dims[1]), mohs_arg_u32(dy->dims[2]),
                  mohs_arg_u32(s.k), mohs_arg_u32(s.stride),
                  mohs_arg_u32(s.pad));
}

/* attr: stride, pad, act */
static struct tensor *depthwise(struct graph *g, struct tensor *const *in,
                                uint32_t n_in, const double *attr)
{
    struct tensor *w = in[1], *b = n_in > 2 ? in[2] : NULL;
    struct tensor *norm = n_in > 3 ? in[3] : NULL;
    char s[SHAPE_TEXT];
    if (w->n_dims != 4 || w->dims[1] != 1 || w->dims[2] != w->dims[3])
        return graph_fail(g, MOHS_E_ARG,
                          "depthwise_conv2d: w %s, wanted [c, 1, k, k]",
                          shape_text(w, s));
    if (norm && (b || norm->n_dims != 2 || norm->dims[0] != 2 ||
                 norm->dims[1] != w->dims[0]))
        return graph_fail(g, MOHS_E_ARG,
                          "depthwise_conv2d: norm %s, wanted [2, %u] and no b",
                          shape_text(norm, s), w->dims[0]);
    uint32_t flat[] = { w->dims[0], w->dims[2] * w->dims[3] };
    struct tensor *wt = OP(g, "transpose", reshape_to(g, w, 2, flat));
    for (int i = 0; norm && i < 2 && wt; i++) {
        struct tensor *row = graph_op(g, "slice", INS(norm),
                                      ATTRS({ "axis", 0 }, { "from", i },
                                            { "n", 1 }));
        row = row ? reshape_to(g, row, 1, flat) : NULL;
        if (i == 0)
            wt = OP(g, "mul", wt, row);
        else
            b = row;
    }
    struct tensor *y = graph_op(g, "depthwise", INS(in[0], wt, b),
                                ATTRS({ "k", w->dims[2] }, { "stride", attr[0] },
                                      { "pad", attr[1] }));
    static const char *const act[] = { NULL,   "gelu", "quick_gelu", "silu",
                                       "relu", "gelu_tanh", "tanh" };
    return attr[2] > 0 ? OP(g, act[(int)attr[2]], y) : y;
}

/* ---- order of dims ---------------------------------------------------- */

static bool to_last(const struct node *nd)
{
    return strcmp(nd->op->info.name, "channels_last") == 0;
}

static mohs_status order_shape(struct node *nd, struct mohs_error *err)
{
    const struct tensor *x = nd->in[0];
    char s[SHAPE_TEXT];
    if (x->n_dims != 4)
        return mohs_fail(err, MOHS_E_ARG, "x %s has not four dims",
                         shape_text(x, s));
    const uint32_t *d = x->dims;
    uint32_t last[] = { d[0], d[2], d[3], d[1] };
    uint32_t first[] = { d[0], d[3], d[1], d[2] };
    return node_out(nd, 0, MOHS_F32, 4, to_last(nd) ? last : first, err);
}

static mohs_status order_run(struct graph *g, struct node *nd,
                             struct mohs_error *err)
{
    const uint32_t *d = nd->in[0]->dims;
    uint32_t a = to_last(nd) ? d[1] : d[1] * d[2];
    uint32_t b = to_last(nd) ? d[2] * d[3] : d[3];
    return LAUNCH(g, K_POOL, "swap_dims", d[0] * ceil_div(b, 16), 1, err,
                  mohs_arg_buffer(nd->in[0]->buf),
                  mohs_arg_buffer(nd->out[0]->buf), mohs_arg_u32(d[0]),
                  mohs_arg_u32(a), mohs_arg_u32(b));
}

static void order_grad(struct graph *g, struct node *nd, struct tensor *dy,
                       const bool *need, struct tensor **din)
{
    if (need[0])
        din[0] = OP(g, to_last(nd) ? "channels_first" : "channels_last", dy);
}

#define SLIDE "int k=2(1..64), int stride=2(1..64), int pad=0(0..64)"
#define SLIDE_OF SLIDE ", int h=1(1..65536), int w=1(1..65536)"

const struct op ops_pool[] = {
    { .info = { "avg_pool2d", "x", SLIDE,
                "mean of k x k pixels, zeros around the picture counted; x "
                "[n, h, w, c] -> [n, h', w', c], h' = (h + 2 pad - k) / stride "
                "+ 1 rounded down",
                true },
      .shape = slide_shape, .run = pooling_run, .grad = pool_grad },
    { .info = { "max_pool2d", "x", SLIDE,
                "largest of k x k pixels, shapes as avg_pool2d", true },
      .shape = slide_shape, .run = pooling_run, .grad = pool_grad },
    { .info = { "avg_pool2d_grad", "dy, acc?", SLIDE_OF,
                "gradient of avg_pool2d, + acc", false },
      .shape = avg_grad_shape, .run = pool_grad_run, .acc = 1 },
    { .info = { "max_pool2d_grad", "dy, x, acc?", SLIDE,
                "gradient of max_pool2d (of the first largest), + acc", false },
      .shape = max_grad_shape, .run = pool_grad_run, .acc = 2 },
    { .info = { "global_avg_pool", "x", "", "x [n, h, w, c] -> [n, c]", true },
      .expand = global_avg_pool },
    { .info = { "depthwise_conv2d", "x, w, b?, norm?",
                "int stride=1(1..64), int pad=0(0..64), int act=0(0..6)",
                "act(conv(x, w) + b), or with norm as conv2d, each channel on "
                "its own; x [n, h, w, c], w [c, 1, k, k]",
                true },
      .expand = depthwise },
    { .info = { "depthwise", "x, w, b?", SLIDE,
                "the same with w [k k, c]", true },
      .shape = depth_shape, .run = depth_run, .grad = depth_grad,
      .flops = depth_flops },
    { .info = { "depthwise_grad", "dy, w, acc?", SLIDE_OF,
                "gradient of depthwise by x, + acc", false },
      .shape = depth_grad_shape, .run = depth_grad_run, .acc = 2,
      .flops = depth_flops },
    { .info = { "depthwise_taps_grad", "dy, x", SLIDE,
                "gradient of depthwise by w", false },
      .shape = taps_grad_shape, .run = taps_grad_run },
    { .info = { "channels_last", "x", "", "x [n, c, h, w] -> [n, h, w, c]",
                true },
      .shape = order_shape, .run = order_run, .grad = order_grad },
    { .info = { "channels_first", "x", "", "x [n, h, w, c] -> [n, c, h, w]",
                true },
      .shape = order_shape, .run = order_run, .grad = order_grad },
    { .info = { NULL, NULL, NULL, NULL, false } },
};
