/* SPDX-License-Identifier: MIT */
/*
 * The graph engine: build once, plan once, run many times. A graph is built
 * from ops (one table entry each: shape rule, forward, gradient as nodes,
 * cost); grad() appends the backward pass; the plan places every
 * intermediate in one arena by lifetime, so peak memory is known before
 * running. Not thread-safe.
 */
#ifndef CORE_GRAPH_H
#define CORE_GRAPH_H

#include <mohs/ext/graph.h>

#include "compute/compute.h"

struct graph;  /* == struct mohs_graph of the public header */
struct tensor; /* == struct mohs_tensor */

/* A set of named parameters on a device, shared by many graphs. Shapes are
 * fixed when a name is first set; n_dims 0 is a single number, which graphs
 * see as [1]. Generation counters tell graphs when to repack. */
struct params;
struct params *params_new(struct compute *c);
/* How much of the declared parameters passes read and pack anew instead of
 * holding them: a byte for this many operations, 0 none. As $MOHS_STREAM says, or
 * 450. For graphs planned later. */
void params_set_streaming(struct params *p, double flops);
/* Bytes on the device: values and packed forms. */
uint64_t params_held_bytes(const struct params *p);
void params_free(struct params *p);
/* Creates or overwrites parameter `name` from host floats. */
mohs_status params_set(struct params *p, const char *name, uint32_t n_dims,
                       const uint32_t *dims, const float *data,
                       struct mohs_error *err);
/* Where the values of a parameter are. */
struct params_source {
    /* Copies all count = product of dims values to out. */
    mohs_status (*read)(void *user, float *out, uint64_t count,
                        struct mohs_error *err);
    /* May be NULL. The values where they lie in the host's memory, or NULL: they
     * must be read. They stay until leave, when they may go. */
    const float *(*view)(void *user);
    void (*leave)(void *user);
};
/* Creates or replaces a parameter whose values stay where they are: `from`
 * gives them when a graph first wants them, and again for every form that
 * they are packed in. On devices that pack, matrices that only products read
 * are held packed and in no other form, or streamed (graph_stream.c). `from` and `user` must outlive p. */
mohs_status params_declare(struct params *p, const char *name, uint32_t n_dims,
                           const uint32_t *dims,
                           const struct params_source *from, void *user, struct mohs_error *err);
mohs_status params_read(struct params *p, const char *name, float *out,
                        uint64_t count, struct mohs_error *err);
size_t params_count(const struct params *p);
const char *params_name(const struct params *p, size_t i);
uint32_t params_shape(const struct params *p, size_t i,
                      uint32_t dims[MOHS_DIMS_MAX]);
/* The device buffer of parameter i, NULL of a declared one that no graph
 * wanted as it is; and a note that its content changed. */
struct mohs_buffer *params_buffer(struct params *p, size_t i);
void params_touch(struct params *p, size_t i);
/* Grows whenever the content of any parameter changes; 0 of NULL. */
uint64_t params_version(const struct params *p);

struct graph *graph_new(struct compute *c, struct params *p);
void graph_free(struct graph *g);

/* ---- building ---- */
/* A tensor filled from the host before each run. */
struct tensor *graph_input(struct graph *g, const char *name, int dtype,
                           uint32_t n_dims, const uint32_t *dims);
struct tensor *graph_weight(struct graph *g, const char *name, uint32_t n_dims,
                            const uint32_t *dims);
struct tensor *graph_constant(struct graph *g, uint32_t n_dims,
                              const uint32_t *dims, const float *data);
struct tensor *graph_op(struct graph *g, const char *op,
                        struct tensor *const *in, uint32_t n_in,
                        const struct mohs_attr *attr, uint32_t n_attr);
/* Which taps add a delta: call before the model is built. The delta is an
 * input named "delta:<tap>" of the tap's shape. */
void graph_perturb(struct graph *g, const char *tap);
struct tensor *graph_tap(struct graph *g, const char *name, struct tensor *x);
/* The tensor a tap saw (before delta) and the delta input; NULL when there
 * is none. */
struct tensor *graph_find_tap(struct graph *g, const char *name);
struct tensor *graph_find_delta(struct graph *g, const char *name);
/* d loss / d wrt[i] for a scalar loss (or, with seed not NULL, the vector-
 * Jacobian product with `seed` of loss's shape). Appends nodes; only what
 * wrt needs. out[i] is NULL when loss does not depend on wrt[i]. */
mohs_status graph_grad(struct graph *g, struct tensor *loss,
                       struct tensor *seed, struct tensor *const *wrt, size_t n,
                       struct tensor **out, struct mohs_error *err);
/* Keeps t readable after a run. */
void graph_output(struct graph *g, struct tensor *t);
/* The first error met while building. */
mohs_status graph_status(const struct graph *g, struct mohs_error *err);
uint32_t tensor_shape(const struct tensor *t, uint32_t dims[MOHS_DIMS_MAX]);
uint64_t tensor_count(const struct tensor *t);
extern const struct mohs_graph_api graph_api;

/* ---- planning and running ---- */
struct graph_cost {
    uint64_t arena_bytes;   /* intermediates, inputs and outputs */
    uint64_t weight_bytes;  /* parameters used, once; not those that are held
                               in packed form only */
    uint64_t packed_bytes;  /* packed copies of weights, once per parameter
                               set, whatever the number of graphs; of those
                               that are streamed the largest */
    uint64_t scratch_bytes; /* most that one node borrows, once per device */
    double flops, bytes;    /* one run */
    uint32_t nodes;
};
/* Freezes the graph; nothing is allocated on the device yet. */
mohs_status graph_plan(struct graph *g, struct graph_cost *cost,
                       struct mohs_error *err);
/*
 * A graph may be split in stages run one after another with host work in
 * between (forward, then backward with a host-made seed): nodes needed only
 * by outputs of a later stage run then. graph_stage() opens stage s (0, 1,
 * ..) for the outputs marked from now on.
 */
void graph_stage(struct graph *g, uint32_t stage);
mohs_status graph_run_stage(struct graph *g, uint32_t stage,
                            struct mohs_error *err);
/* All stages. Enqueues; tensor_read waits. With MOHS_PROFILE=1 every node is
 * timed (and waited for); graph_free logs the sums per op. */
mohs_status graph_run(struct graph *g, struct mohs_error *err);
mohs_status tensor_write(struct tensor *t, const void *data,
                         struct mohs_error *err); /* inputs only */
mohs_status tensor_read(struct tensor *t, void *out, struct mohs_error *err);
/* Device storage of an input, output or weight, for kernels of other rooms
 * (optimizer, projections). Borrowed; offset in bytes. */
struct mohs_buffer *tensor_buffer(struct tensor *t, size_t *offset);
/* After each run in debug mode (MOHS_CHECK_NAN=1) or on demand: the name of
 * the first node holding a NaN or infinity, or NULL. */
const char *graph_find_nan(struct graph *g, struct mohs_error *err);

/* ---- the op table ---- */
struct op_info {
    const char *name, *inputs, *attributes, *formula; /* for docs/ops.md */
    bool differentiable;
};
/* i-th op of the table, NULL past the end. */
const struct op_info *op_list(size_t i);

#endif
