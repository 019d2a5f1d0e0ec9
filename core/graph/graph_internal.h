/* SPDX-License-Identifier: MIT */
/*
 * What the files of the graph room share: tensors, nodes, the op table entry
 * and the helpers that ops are written with. Nothing outside core/graph and
 * its tests includes this.
 */
#ifndef CORE_GRAPH_INTERNAL_H
#define CORE_GRAPH_INTERNAL_H

#include "graph/graph.h"

enum { OP_IN_MAX = 8, OP_OUT_MAX = 4, OP_ATTR_MAX = 10 };

struct node;
struct op;

/* One piece of the arena, shared by a tensor, its views and whatever is
 * computed in place. Lifetimes are positions in execution order. */
struct storage {
    uint64_t bytes;
    uint32_t first, last; /* inclusive; UINT32_MAX: kept after the run */
    uint32_t segment;     /* arena buffer, when the arena has several */
    uint64_t offset;
    struct mohs_buffer *window; /* of the arena, after allocation */
};

enum tensor_kind { T_INPUT, T_WEIGHT, T_CONST, T_NODE };

struct tensor {
    struct graph *g;
    struct tensor *next; /* all tensors of the graph, in creation order */
    enum tensor_kind kind;
    int dtype;
    uint32_t n_dims, dims[MOHS_DIMS_MAX];
    uint64_t count;
    const char *name;  /* inputs and weights */
    struct node *node; /* producer of a T_NODE */
    float *data;       /* host values of a T_CONST */
    size_t param;      /* index of a T_WEIGHT */
    bool floats;       /* of a T_WEIGHT: read as it is, not only packed */
    bool output;
    uint32_t stage; /* of an output */
    /* planning */
    struct storage *st; /* NULL: weight, or not needed */
    struct tensor *root; /* whose storage this shares; itself otherwise */
    uint32_t last_use;   /* position of the last reader */
    bool used;
    struct mohs_buffer *buf; /* after allocation; borrowed */
};

struct node {
    struct node *next; /* creation order */
    const struct op *op;
    uint32_t id;
    uint32_t n_in, n_out;
    struct tensor *in[OP_IN_MAX], *out[OP_OUT_MAX];
    double attr[OP_ATTR_MAX];
    const char *near; /* the last tap before this node, for messages */
    uint32_t inplace; /* bit i: out 0 may take the storage of in[i] */
    uint32_t optional; /* bit i: out i is made only when something reads it */
    /* planning */
    bool live;
    bool streamed; /* its weight is packed for this product alone */
    bool fixed;  /* small, and of weights alone: its results are kept */
    uint64_t of; /* params_version() + 1 that they are of; 0: none yet */
    uint32_t stage, pos;
};

struct attr_spec {
    char name[16];
    double def, lo, hi;
    bool integer;
};

/*
 * One op. `info.inputs` and `info.attributes` are also its grammar:
 * inputs "x, int ids, b?" (int: int32, ?: may be missing, ...: one or more),
 * attributes "int act=0(0..6), eps=1e-5".
 */
struct op {
    struct op_info info;
    /* Checks inputs and attributes, makes the outputs (out 0 is the result,
     * the others are what a gradient wants to reuse, or scratch). */
    mohs_status (*shape)(struct node *nd, struct mohs_error *err);
    /* Instead of shape: the op is made of others. */
    struct tensor *(*expand)(struct graph *g, struct tensor *const *in,
                             uint32_t n_in, const double *attr);
    mohs_status (*run)(struct graph *g, struct node *nd,
                       struct mohs_error *err);
    /* Builds d loss / d in[i] into din[i] where need[i], from dy =
     * d loss / d out 0. */
    void (*grad)(struct graph *g, struct node *nd, struct tensor *dy,
                 const bool *need, struct tensor **din);
    double (*flops)(const struct node *nd); /* NULL: one per element */
    int8_t acc; /* input added to the result as it is, so that gradients can
                   be summed there; 0: none (input 0 never is one) */
    bool view;  /* out 0 is in[0] under another shape */
};

extern const struct op ops_dense[], ops_conv[], ops_map[], ops_norm[],
    ops_pool[], ops_shape[], ops_attention[], ops_loss[];
const struct op *op_find(const char *name);
/* Parses info.attributes; returns their number. */
uint32_t op_attrs(const struct op *op, struct attr_spec out[OP_ATTR_MAX]);

struct tap {
    struct tap *next;
    const char *name;
    struct tensor *x, *delta;
};

enum kernel_file { K_ELEMENTWISE, K_NORM, K_EMBED, K_PATCH, K_LOSS, K_CONV,
                   K_POOL, K_FILES };

struct graph {
    struct compute *c;
    struct params *params;
    struct arena *mem;
    struct mohs_error err;
    struct tensor *tensors, **tensors_end;
    struct node *nodes, **nodes_end;
    uint32_t n_nodes;
    struct tap *taps;
    struct tap *wanted; /* perturbed taps */
    const char *near;
    uint32_t stage, n_stages;
    bool differentiated;
    /* planning */
    bool planned, ready;
    struct node **order; /* live nodes by (stage, creation) */
    uint32_t n_order;
    struct storage **storage;
    uint32_t n_storage;
    uint64_t segment_bytes[16];
    uint32_t n_segments;
    struct mohs_buffer *segment[16];
    struct graph_cost cost;
    struct mohs_program *program[K_FILES];
    struct mohs_buffer *probe; /* two words for the NaN check */
    const char *nan_name;
    double *op_seconds; /* MOHS_PROFILE: per node of order */
    uint32_t op_runs;
};

/* ---- building ---- */
/* Records the first error; returns NULL. */
MOHS_PRINTF(3, 4)
struct tensor *graph_fail(struct graph *g, mohs_status st, const char *fmt,
                          ...);
struct tensor *tensor_new(struct graph *g, enum tensor_kind kind, int dtype,
                          uint32_t n_dims, const uint32_t *dims);
/* Makes output i of a node (from shape()). */
mohs_status node_out(struct node *nd, uint32_t i, int dtype, uint32_t n_dims,
                     const uint32_t *dims, struct mohs_error *err);
/* Output i shaped as t. */
mohs_status node_out_like(struct node *nd, uint32_t i, const struct tensor *t,
                          struct mohs_error *err);
/* graph_op with in[] and attributes as lists; NULL inputs are missing. */
#define OP(g, name, ...)                                             \
    graph_op(g, name, (struct tensor *[]){ __VA_ARGS__ },            \
             (uint32_t)(sizeof((struct tensor *[]){ __VA_ARGS__ }) / \
                        sizeof(struct tensor *)),                    \
             NULL, 0)
#define INS(...) (struct tensor *[]){ __VA_ARGS__ }, \
    (uint32_t)(sizeof((struct tensor *[]){ __VA_ARGS__ }) / \
               sizeof(struct tensor *))
#define ATTRS(...) (struct mohs_attr[]){ __VA_ARGS__ }, \
    (uint32_t)(sizeof((struct mohs_attr[]){ __VA_ARGS__ }) / \
               sizeof(struct mohs_attr))
/* t under another shape of the same count. */
struct tensor *reshape_to(struct graph *g, struct tensor *t, uint32_t n_dims,
                          const uint32_t *dims);
/* Sums dy (shaped like a result with b broadcast over it) to b's shape. */
struct tensor *unbroadcast(struct graph *g, struct tensor *dy,
                           struct tensor *b);
/* "[2, 3, 4]" into buf; returns buf. */
enum { SHAPE_TEXT = 64 };
const char *shape_text(const struct tensor *t, char buf[SHAPE_TEXT]);
/* Product of dims[from .. to). */
uint64_t dims_product(const struct tensor *t, uint32_t from, uint32_t to);
static inline uint32_t dim_last(const struct tensor *t)
{
    return t->dims[t->n_dims - 1];
}
/* All but the last dim. */
static inline uint32_t dim_rows(const struct tensor *t)
{
    return (uint32_t)(t->count / dim_last(t));
}
bool same_shape(const struct tensor *a, const struct tensor *b);

/* ---- parameters ---- */
size_t params_find(const struct params *p, const char *name); /* SIZE_MAX */
/* A buffer with the values of parameter i: its own, or when it has none a copy
 * that is gone with the next call. Borrowed; work on it may be enqueued. */
mohs_status params_floats(struct params *p, size_t i, struct mohs_buffer **out,
                          struct mohs_error *err);
/* Gives parameter i a buffer of its own, see params_buffer(). */
mohs_status params_keep(struct params *p, size_t i, struct mohs_error *err);
/* How a weight is packed: as op(B) [k, n], or as the taps of a convolution,
 * `groups` of them one behind the other. Without padding: compared as bytes. */
struct pack_form {
    uint32_t n, k, b_trans, groups;
    struct gemm_taps taps;
};
/* Parameter i in that form, made or remade when the parameter changed; *out
 * NULL when the device does not pack. Borrowed; `stream`, where no form is held:
 * until the next call. */
mohs_status params_packed(struct params *p, size_t i, const struct pack_form *f,
                          bool stream, struct mohs_buffer **out,
                          struct mohs_error *err);

/* Whether parameter i may be streamed: packed for each product anew, from where
 * it is declared to be, as no form is held; whether a graph does, and that one
 * does. */
bool params_streamable(const struct params *p, size_t i);
bool params_streams(const struct params *p, size_t i);
void params_stream(struct params *p, size_t i);
/* Operations of a pass for each byte that it may stream; 0: none. */
double params_streaming(const struct params *p);
/* Marks the nodes of a planned graph whose weights are streamed; has them
 * streamed. */
void plan_streams(struct graph *g);
void stream_weights(const struct graph *g);

/* ---- running ---- */
mohs_status graph_allocate(struct graph *g, struct mohs_error *err);
/*
 * Runs `kernel` with `items` work-items. Elementwise and row kernels give
 * each item a contiguous share: items_for() splits n things of `cost` floats
 * each for this device and returns the share.
 */
mohs_status graph_launch(struct graph *g, enum kernel_file file,
                         const char *kernel, size_t items, size_t items_y,
                         const struct mohs_arg *args, uint32_t n_args,
                         struct mohs_error *err);
uint32_t share_for(const struct compute *c, uint64_t n, uint64_t cost);
static inline uint64_t ceil_div(uint64_t a, uint64_t b)
{
    return (a + b - 1) / b;
}
#define LAUNCH(g, file, kernel, nx, ny, err, ...)                         \
    graph_launch(g, file, kernel, nx, ny, (struct mohs_arg[]){ __VA_ARGS__ }, \
                 (uint32_t)(sizeof((struct mohs_arg[]){ __VA_ARGS__ }) /  \
                            sizeof(struct mohs_arg)),                     \
                 err)
/* t's buffer as an argument; any valid buffer when t is missing. */
struct mohs_arg arg_tensor(const struct tensor *t, const struct tensor *other);

#endif
