/* SPDX-License-Identifier: MIT */
/*
 * Elementwise ops, with one or two operands, and pixel normalisation. One
 * kernel per number of operands; the function is a code (elementwise.cl
 * lists the same).
 */
#include "config.h"

#include <string.h>

#include "graph/graph_internal.h"

/* Function codes: 1..6 are MOHS_ACT_*. */
enum {
    F_SIGMOID = 7, F_SOFTPLUS, F_EXP, F_LOG, F_AFFINE, F_CLAMP, F_SQUARE,
    F_SQRT,
    G_ADD = 32, G_SUB, G_MUL, G_DIV, G_CLAMP,
    G_ACT = 64 /* + code: a * f'(b) */
};

static const struct {
    const char *name;
    int code;
} unary[] = {
    { "gelu", MOHS_ACT_GELU },   { "quick_gelu", MOHS_ACT_QUICK_GELU },
    { "silu", MOHS_ACT_SILU },   { "relu", MOHS_ACT_RELU },
    { "gelu_tanh", MOHS_ACT_GELU_TANH }, { "tanh", MOHS_ACT_TANH },
    { "sigmoid", F_SIGMOID },    { "softplus", F_SOFTPLUS },
    { "exp", F_EXP },            { "log", F_LOG },
    { "affine", F_AFFINE },      { "clamp", F_CLAMP },
    { "square", F_SQUARE },      { "sqrt", F_SQRT },
};
static const struct {
    const char *name;
    int code;
} binary[] = {
    { "add", G_ADD }, { "sub", G_SUB }, { "mul", G_MUL }, { "div", G_DIV },
    { "clamp_grad", G_CLAMP }, { "act_grad", G_ACT },
};

static int code_of(const struct node *nd)
{
    const char *name = nd->op->info.name;
    for (size_t i = 0; i < sizeof unary / sizeof unary[0]; i++)
        if (strcmp(unary[i].name, name) == 0)
            return unary[i].code;
    for (size_t i = 0; i < sizeof binary / sizeof binary[0]; i++)
        if (strcmp(binary[i].name, name) == 0)
            return binary[i].code;
    return 0;
}

/* ---- one operand ------------------------------------------------------ */

static mohs_status map1_shape(struct node *nd, struct mohs_error *err)
{
    nd->inplace = 1;
    return node_out_like(nd, 0, nd->in[0], err);
}

static mohs_status map1_run(struct graph *g, struct node *nd,
                            struct mohs_error *err)
{
    uint32_t n = (uint32_t)nd->in[0]->count;
    uint32_t n16 = (uint32_t)ceil_div(n, 16), share = share_for(g->c, n16, 16);
    return LAUNCH(g, K_ELEMENTWISE, "map1", ceil_div(n16, share), 1, err,
                  mohs_arg_buffer(nd->in[0]->buf),
                  mohs_arg_buffer(nd->out[0]->buf), mohs_arg_u32(n),
                  mohs_arg_u32(share), mohs_arg_i32(code_of(nd)),
                  mohs_arg_f32((float)nd->attr[0]),
                  mohs_arg_f32((float)nd->attr[1]));
}

static void act_grad_of(struct graph *g, struct node *nd, struct tensor *dy,
                        const bool *need, struct tensor **din)
{
    if (need[0])
        din[0] = graph_op(g, "act_grad", INS(dy, nd->in[0]),
                          ATTRS({ "act", code_of(nd) }));
}

static void exp_grad(struct graph *g, struct node *nd, struct tensor *dy,
                     const bool *need, struct tensor **din)
{
    if (need[0])
        din[0] = OP(g, "mul", dy, nd->out[0]);
}

static void log_grad(struct graph *g, struct node *nd, struct tensor *dy,
                     const bool *need, struct tensor **din)
{
    if (need[0])
        din[0] = OP(g, "div", dy, nd->in[0]);
}

static void affine_grad(struct graph *g, struct node *nd, struct tensor *dy,
                        const bool *need, struct tensor **din)
{
    if (need[0])
        din[0] = graph_op(g, "affine", INS(dy), ATTRS({ "mul", nd->attr[0] }));
}

static void clamp_grad(struct graph *g, struct node *nd, struct tensor *dy,
                       const bool *need, struct tensor **din)
{
    if (need[0])
        din[0] = graph_op(g, "clamp_grad", INS(dy, nd->in[0]),
                          ATTRS({ "lo", nd->attr[0] }, { "hi", nd->attr[1] }));
}

static void square_grad(struct graph *g, struct node *nd, struct tensor *dy,
                        const bool *need, struct tensor **din)
{
    struct tensor *x2;
    if (!need[0])
        return;
    x2 = graph_op(g, "affine", INS(nd->in[0]), ATTRS({ "mul", 2 }));
    din[0] = OP(g, "mul", dy, x2);
}

static void sqrt_grad(struct graph *g, struct node *nd, struct tensor *dy,
                      const bool *need, struct tensor **din)
{
    struct tensor *half;
    if (!need[0])
        return;
    half = graph_op(g, "affine", INS(dy), ATTRS({ "mul", 0.5 }));
    din[0] = OP(g, "div", half, nd->out[0]);
}

/* ---- two operands ----------------------------------------------------- */

/* b is a's shape, a's trailing dims (its first dim may be longer), or one
 * value. */
static mohs_status map2_shape(struct node *nd, struct mohs_error *err)
{
    const struct tensor *a = nd->in[0], *b = nd->in[1];
    bool ok = b->n_dims <= a->n_dims || b->count == 1;
    for (uint32_t i = 0; ok && b->count > 1 && i < b->n_dims; i++) {
        uint32_t da = a->dims[a->n_dims - b->n_dims + i];
        ok = b->dims[i] == da || (i == 0 && b->n_dims > 1 &&
                                  b->n_dims < a->n_dims && b->dims[i] > da);
    }
    char s[SHAPE_TEXT], t[SHAPE_TEXT];
    if (!ok)
        return mohs_fail(err, MOHS_E_ARG,
                         "b %s is neither the shape of a %s nor its trailing "
                         "dims",
                         shape_text(b, t), shape_text(a, s));
    nd->inplace = a->count == b->count ? 3 : 1;
    return node_out_like(nd, 0, a, err);
}

/* As map2_shape, and both shapes equal: gradients of one-operand ops. */
static mohs_status pair_shape(struct node *nd, struct mohs_error *err)
{
    char s[SHAPE_TEXT], t[SHAPE_TEXT];
    if (!same_shape(nd->in[0], nd->in[1]))
        return mohs_fail(err, MOHS_E_ARG, "shapes %s and %s differ",
                         shape_text(nd->in[0], s), shape_text(nd->in[1], t));
    return map2_shape(nd, err);
}

/* How many leading values of b are used, over and over. */
static uint32_t period(const struct tensor *a, const struct tensor *b)
{
    if (b->count == 1)
        return 1;
    return (uint32_t)dims_product(a, a->n_dims - b->n_dims, a->n_dims);
}

static mohs_status map2_run(struct graph *g, struct node *nd,
                            struct mohs_error *err)
{
    const struct tensor *a = nd->in[0], *b = nd->in[1];
    uint32_t n = (uint32_t)a->count;
    uint32_t n16 = (uint32_t)ceil_div(n, 16), share = share_for(g->c, n16, 16);
    int f = code_of(nd);
    if (f == G_ACT)
        f += (int)nd->attr[0];
    return LAUNCH(g, K_ELEMENTWISE, "map2", ceil_div(n16, share), 1, err,
                  mohs_arg_buffer(a->buf), mohs_arg_buffer(b->buf),
                  mohs_arg_buffer(nd->out[0]->buf), mohs_arg_u32(n),
                  mohs_arg_u32(period(a, b)), mohs_arg_u32(share),
                  mohs_arg_i32(f), mohs_arg_f32((float)nd->attr[0]),
                  mohs_arg_f32((float)nd->attr[1]));
}

struct tensor *unbroadcast(struct graph *g, struct tensor *dy, struct tensor *b)
{
    if (!dy || same_shape(dy, b))
        return dy;
    uint32_t keep = b->count == 1 ? 0 : b->n_dims;
    struct tensor *t = dy;
    if (keep < dy->n_dims)
        t = graph_op(g, "reduce", INS(dy),
                     ATTRS({ "from", 0 }, { "to", dy->n_dims - keep }));
    if (t && t->count < b->count)
        t = graph_op(g, "pad", INS(t),
                     ATTRS({ "axis", 0 }, { "before", 0 },
                           { "size", b->dims[0] }));
    return t && !same_shape(t, b) ? reshape_to(g, t, b->n_dims, b->dims) : t;
}

static void add_grad(struct graph *g, struct node *nd, struct tensor *dy,
                     const bool *need, struct tensor **din)
{
    if (need[0])
        din[0] = dy;
    if (need[1])
        din[1] = unbroadcast(g, dy, nd->in[1]);
}

static void sub_grad(struct graph *g, struct node *nd, struct tensor *dy,
                     const bool *need, struct tensor **din)
{
    struct tensor *t;
    if (need[0])
        din[0] = dy;
    if (!need[1])
        return;
    t = unbroadcast(g, dy, nd->in[1]);
    din[1] = graph_op(g, "affine", INS(t), ATTRS({ "mul", -1 }));
}

static void mul_grad(struct graph *g, struct node *nd, struct tensor *dy,
                     const bool *need, struct tensor **din)
{
    if (need[0])
        din[0] = OP(g, "mul", dy, nd->in[1]);
    if (need[1])
        din[1] = unbroadcast(g, OP(g, "mul", dy, nd->in[0]), nd->in[1]);
}

static void div_grad(struct graph *g, struct node *nd, struct tensor *dy,
                     const bool *need, struct tensor **din)
{
    struct tensor *da = OP(g, "div", dy, nd->in[1]), *t;
    if (need[0])
        din[0] = da;
    if (!need[1])
        return;
    t = OP(g, "mul", da, nd->out[0]);
    t = unbroadcast(g, t, nd->in[1]);
    din[1] = graph_op(g, "affine", INS(t), ATTRS({ "mul", -1 }));
}

/* ---- pixels ----------------------------------------------------------- */

static mohs_status pixels_shape(struct node *nd, struct mohs_error *err)
{
    const struct tensor *x = nd->in[0];
    char s[SHAPE_TEXT], t[SHAPE_TEXT], u[SHAPE_TEXT];
    if (x->n_dims != 4 || nd->in[1]->count != x->dims[1] ||
        nd->in[2]->count != x->dims[1])
        return mohs_fail(err, MOHS_E_ARG,
                         "x %s, mean %s, std %s: wanted [n, c, h, w], [c], [c]",
                         shape_text(x, s), shape_text(nd->in[1], t),
                         shape_text(nd->in[2], u));
    nd->inplace = 1;
    return node_out_like(nd, 0, x, err);
}

static mohs_status pixels_run(struct graph *g, struct node *nd,
                              struct mohs_error *err)
{
    const struct tensor *x = nd->in[0];
    uint32_t planes = x->dims[0] * x->dims[1], hw = x->dims[2] * x->dims[3];
    return LAUNCH(g, K_ELEMENTWISE, "normalize_planes", planes, 1, err,
                  mohs_arg_buffer(x->buf), mohs_arg_buffer(nd->in[1]->buf),
                  mohs_arg_buffer(nd->in[2]->buf),
                  mohs_arg_buffer(nd->out[0]->buf), mohs_arg_u32(planes),
                  mohs_arg_u32(x->dims[1]), mohs_arg_u32(hw),
                  mohs_arg_i32((int32_t)nd->attr[0]));
}

static void pixels_grad(struct graph *g, struct node *nd, struct tensor *dy,
                        const bool *need, struct tensor **din)
{
    if (need[1] || need[2])
        graph_fail(g, MOHS_E_UNSUPPORTED,
                   "normalize_pixels: no gradient by mean and std");
    if (need[0])
        din[0] = graph_op(g, "normalize_pixels",
                          INS(dy, nd->in[1], nd->in[2]),
                          ATTRS({ "shift", 0 }));
}

#define ACT(id, text)                                                       \
    { .info = { id, "x", "", text, true },                                  \
      .shape = map1_shape, .run = map1_run, .grad = act_grad_of }
#define MAP1(id, at, text, back)                                            \
    { .info = { id, "x", at, text, true },                                  \
      .shape = map1_shape, .run = map1_run, .grad = back }
#define MAP2(id, text, back)                                                \
    { .info = { id, "a, b", "", text, true },                               \
      .shape = map2_shape, .run = map2_run, .grad = back }

const struct op ops_map[] = {
    MAP2("add", "a + b; b may be a's trailing dims (its first dim longer: "
                "leading rows), or one value",
         add_grad),
    MAP2("sub", "a - b, b as for add", sub_grad),
    MAP2("mul", "a b, b as for add", mul_grad),
    MAP2("div", "a / b, b as for add", div_grad),
    ACT("gelu", "x/2 (1 + erf(x / sqrt 2))"),
    ACT("quick_gelu", "x sigmoid(1.702 x)"),
    ACT("silu", "x sigmoid(x)"),
    ACT("relu", "max(x, 0)"),
    ACT("gelu_tanh",
        "x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))"),
    ACT("tanh", "tanh x"),
    ACT("sigmoid", "1 / (1 + exp -x)"),
    ACT("softplus", "log(1 + exp x)"),
    MAP1("exp", "", "exp x", exp_grad),
    MAP1("log", "", "natural logarithm", log_grad),
    MAP1("affine", "mul=1, add=0", "mul x + add", affine_grad),
    MAP1("clamp", "lo=-1e30, hi=1e30", "min(max(x, lo), hi)", clamp_grad),
    MAP1("square", "", "x^2", square_grad),
    MAP1("sqrt", "", "square root", sqrt_grad),
    { .info = { "act_grad", "dy, x", "int act=1(1..8)",
                "dy f'(x), f by code: gelu, quick_gelu, silu, relu, gelu_tanh, "
                "tanh, sigmoid, softplus",
                false },
      .shape = pair_shape, .run = map2_run },
    { .info = { "clamp_grad", "dy, x", "lo=-1e30, hi=1e30",
                "dy where lo <= x <= hi, else 0", false },
      .shape = pair_shape, .run = map2_run },
    { .info = { "normalize_pixels", "x, mean, std", "int shift=1(0..1)",
                "(x - mean[c]) / std[c] over x [n, c, h, w], rounded like two "
                "float operations; shift 0: x / std[c]",
                true },
      .shape = pixels_shape, .run = pixels_run, .grad = pixels_grad },
    { .info = { NULL, NULL, NULL, NULL, false } },
};
