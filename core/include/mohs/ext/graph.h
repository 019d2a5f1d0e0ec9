/* SPDX-License-Identifier: MIT */
/*
 * "mohs.graph/1": models describe their computation as a static graph. The
 * host plans it once, runs it many times, and derives gradients.
 *
 * Tensors are float32 (MOHS_F32) or int32 (MOHS_I32, indices only), up to 5
 * dims, row-major, shapes fixed when built. A graph keeps the first error:
 * after it every call returns NULL and does nothing, so a model builds
 * without checking and the host reports the error at the end.
 *
 * Ops are named; docs/ops.md lists each op's inputs, attributes and formula.
 * The wrappers below cover those that models need.
 */
#ifndef MOHS_EXT_GRAPH_H
#define MOHS_EXT_GRAPH_H

#include <mohs/error.h>
#include <mohs/host.h>

#define MOHS_EXT_GRAPH "mohs.graph/1"

struct mohs_graph;
struct mohs_tensor;

enum { MOHS_F32 = 0, MOHS_I32 = 1 };
enum { MOHS_ACT_NONE = 0, MOHS_ACT_GELU, MOHS_ACT_QUICK_GELU, MOHS_ACT_SILU,
       MOHS_ACT_RELU, MOHS_ACT_GELU_TANH, MOHS_ACT_TANH };
enum { MOHS_MASK_NONE = 0,
       MOHS_MASK_CAUSAL, /* keys up to the query */
       MOHS_MASK_LENGTH, /* the first lengths[n] keys */
       MOHS_MASK_LAST };  /* keys up to number lengths[n]: a text's `last` */
enum { MOHS_DIMS_MAX = 5 };

struct mohs_attr {
    const char *name;
    double value;
};

struct mohs_graph_api {
    uint32_t size;
    /* The parameter `name` of the model's weights with exactly this shape
     * (else the graph fails, naming both shapes). */
    struct mohs_tensor *(*weight)(struct mohs_graph *g, const char *name,
                                  uint32_t n_dims, const uint32_t *dims);
    /* Applies op `op`. Missing optional inputs are NULL. Attributes not
     * named take their defaults; an unknown one is an error. */
    struct mohs_tensor *(*op)(struct mohs_graph *g, const char *op,
                              struct mohs_tensor *const *in, uint32_t n_in,
                              const struct mohs_attr *attr, uint32_t n_attr);
    /* Names a place: returns what to use from here on (x, or x + delta when
     * the host perturbs this tap). */
    struct mohs_tensor *(*tap)(struct mohs_graph *g, const char *name,
                               struct mohs_tensor *x);
    /* Shape: returns the number of dims, fills dims (may be NULL). 0 after
     * an error. */
    uint32_t (*shape)(struct mohs_graph *g, const struct mohs_tensor *t,
                      uint32_t dims[MOHS_DIMS_MAX]);
    /* Records a failure of the model's own. */
    void (*fail)(struct mohs_graph *g, mohs_status st, const char *text);
};

/* y = act(x W^T + b) + residual. x [..., k], w [n, k], b [n] or NULL,
 * residual as y or NULL. */
static inline struct mohs_tensor *
mohs_linear(const struct mohs_graph_api *api, struct mohs_graph *g,
            struct mohs_tensor *x, struct mohs_tensor *w, struct mohs_tensor *b,
            struct mohs_tensor *residual, int act)
{
    struct mohs_tensor *in[] = { x, w, b, residual };
    struct mohs_attr at[] = { { "act", (double)act } };
    return api->op(g, "linear", in, 4, at, 1);
}

/* Layer norm over the last dim. x [..., k], gain [k], bias [k]. */
static inline struct mohs_tensor *
mohs_layer_norm(const struct mohs_graph_api *api, struct mohs_graph *g,
                struct mohs_tensor *x, struct mohs_tensor *gain,
                struct mohs_tensor *bias, double eps)
{
    struct mohs_tensor *in[] = { x, gain, bias };
    struct mohs_attr at[] = { { "eps", eps } };
    return api->op(g, "layer_norm", in, 3, at, 1);
}

/* Multi-head attention softmax(q k^T / sqrt(d)) v. q, k, v [n, t, heads * d],
 * result likewise. mask: MOHS_MASK_*; lengths [n] int32 for
 * MOHS_MASK_LENGTH and MOHS_MASK_LAST, else NULL. */
static inline struct mohs_tensor *
mohs_attention(const struct mohs_graph_api *api, struct mohs_graph *g,
               struct mohs_tensor *q, struct mohs_tensor *k,
               struct mohs_tensor *v, struct mohs_tensor *lengths, int heads,
               int mask)
{
    struct mohs_tensor *in[] = { q, k, v, lengths };
    struct mohs_attr at[] = { { "heads", (double)heads },
                              { "mask", (double)mask } };
    return api->op(g, "attention", in, 4, at, 2);
}

/* Non-overlapping patches to tokens: x [n, c, h, w], w [width, c, p, p],
 * b [width] or NULL -> [n, (h/p)*(w/p), width]. */
static inline struct mohs_tensor *
mohs_patch_embed(const struct mohs_graph_api *api, struct mohs_graph *g,
                 struct mohs_tensor *x, struct mohs_tensor *w,
                 struct mohs_tensor *b)
{
    struct mohs_tensor *in[] = { x, w, b };
    return api->op(g, "patch_embed", in, 3, NULL, 0);
}

/* Puts token cls [width] before x [n, t, width] -> [n, t+1, width]. */
static inline struct mohs_tensor *
mohs_prepend(const struct mohs_graph_api *api, struct mohs_graph *g,
             struct mohs_tensor *x, struct mohs_tensor *cls)
{
    struct mohs_tensor *in[] = { x, cls };
    return api->op(g, "prepend", in, 2, NULL, 0);
}

/* Rows of table [v, k] at ids (int32, any shape) -> [..., k]. */
static inline struct mohs_tensor *
mohs_embedding(const struct mohs_graph_api *api, struct mohs_graph *g,
               struct mohs_tensor *ids, struct mohs_tensor *table)
{
    struct mohs_tensor *in[] = { ids, table };
    return api->op(g, "embedding", in, 2, NULL, 0);
}

/* a + b; b has a's shape or a's trailing dims (broadcast over the front; b
 * may also be longer than a in its first dim, e.g. position tables, of which
 * the leading rows are used). */
static inline struct mohs_tensor *
mohs_add(const struct mohs_graph_api *api, struct mohs_graph *g,
         struct mohs_tensor *a, struct mohs_tensor *b)
{
    struct mohs_tensor *in[] = { a, b };
    return api->op(g, "add", in, 2, NULL, 0);
}

/* Token `index[i]` (int32 [n]) of sample i; index NULL: token 0.
 * x [n, t, k] -> [n, k]. */
static inline struct mohs_tensor *
mohs_take(const struct mohs_graph_api *api, struct mohs_graph *g,
          struct mohs_tensor *x, struct mohs_tensor *index)
{
    struct mohs_tensor *in[] = { x, index };
    return api->op(g, "take", in, 2, NULL, 0);
}

#endif
