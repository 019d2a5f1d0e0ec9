/* SPDX-License-Identifier: MIT */
/*
 * A model written down once. The same walk through its layers lists its
 * parameters (describe) or builds its graph: while it lists there is no
 * graph, every tensor is NULL and only the parameters' names and shapes are
 * told. A walk must therefore meet every parameter exactly once when it
 * lists, and may meet it again when it builds.
 */
#ifndef MODELS_NET_H
#define MODELS_NET_H

#include "common/config.h"

enum { NET_NAME = 160, NET_LAYERS_MAX = 128 };

struct net {
    const struct mohs_graph_api *api;
    struct mohs_graph *g; /* NULL: listing */
    mohs_status (*put)(void *user, const struct mohs_weight_spec *,
                       struct mohs_error *);
    void *user;
    struct mohs_error *err;
    mohs_status st;    /* of put() */
    const struct rename *map;
    char at[NET_NAME]; /* put before the names of parameters */
};

/* `tower` as in build(), or 0: the parameters that belong to none. */
typedef struct mohs_tensor *(*net_walk)(const void *model, struct net *n,
                                        uint32_t tower,
                                        const struct mohs_tower_inputs *in);

/* describe(): all of the model's parameters to put(). */
mohs_status net_list(net_walk walk, const void *model, uint32_t towers,
                     const struct rename *map,
                     mohs_status (*put)(void *user,
                                        const struct mohs_weight_spec *,
                                        struct mohs_error *),
                     void *user, struct mohs_error *err);
/* Every parameter must be in the file, where c->map says, with its shape. */
mohs_status net_check(net_walk walk, const void *model, uint32_t towers,
                      const struct config *c);
/* And every tensor of the file whose name starts with one of `prefixes`
 * (NULL-terminated) must be such a parameter: a part that the plugin does not
 * know would be left out of its numbers. Position ids do not matter. */
mohs_status net_check_whole(net_walk walk, const void *model, uint32_t towers,
                            const struct config *c,
                            const char *const *prefixes);
mohs_status net_build(net_walk walk, const void *model,
                      const struct mohs_graph_api *api, struct mohs_graph *g,
                      uint32_t tower, const struct mohs_tower_inputs *in,
                      struct mohs_tensor **out);

/* ---- parameters ---- */

/* Where the following names are: "vision_model.", "blocks.3.". */
MOHS_PRINTF(2, 3) void net_at(struct net *n, const char *format, ...);
#define DIMS(...)                                                  \
    (uint32_t)(sizeof((uint32_t[]) { __VA_ARGS__ }) / sizeof(uint32_t)), \
        (uint32_t[]) { __VA_ARGS__ }
/* Trained from N(0, std^2), or from `value`. */
struct mohs_tensor *net_normal(struct net *n, const char *name, float std,
                               uint32_t n_dims, const uint32_t *dims);
struct mohs_tensor *net_constant(struct net *n, const char *name, float value,
                                 uint32_t n_dims, const uint32_t *dims);

/* A statistic: read from checkpoints, `value` without one, never trained. */
struct mohs_tensor *net_fixed(struct net *n, const char *name, float value,
                              uint32_t n_dims, const uint32_t *dims);

/* ---- layers ---- */

struct mohs_tensor *net_op(struct net *n, const char *op,
                           struct mohs_tensor *const *in, uint32_t n_in,
                           const struct mohs_attr *attr, uint32_t n_attr);
/* Dim `axis` of x; 1 while listing. */
uint32_t net_dim(struct net *n, const struct mohs_tensor *x, uint32_t axis);
struct mohs_tensor *net_reshape(struct net *n, struct mohs_tensor *x,
                                uint32_t n_dims, const uint32_t *dims);
struct mohs_tensor *net_slice(struct net *n, struct mohs_tensor *x, int axis,
                              uint32_t from, uint32_t count);
struct mohs_tensor *net_add(struct net *n, struct mohs_tensor *a,
                            struct mohs_tensor *b);
struct mohs_tensor *net_mul(struct net *n, struct mohs_tensor *a,
                            struct mohs_tensor *b);
struct mohs_tensor *net_attention(struct net *n, struct mohs_tensor *q,
                                  struct mohs_tensor *k, struct mohs_tensor *v,
                                  struct mohs_tensor *lengths, uint32_t heads,
                                  int mask);
/* x + delta when the host perturbs the tap. */
struct mohs_tensor *net_tap(struct net *n, const char *name,
                            struct mohs_tensor *x);
/* Token `at` of x [n, t, w] -> [n, w]; negative: from the end. */
struct mohs_tensor *net_token(struct net *n, struct mohs_tensor *x, int at);
/* x [w] for every sample of like [n, ..] -> [n, 1, w]. */
struct mohs_tensor *net_repeat(struct net *n, struct mohs_tensor *x,
                               const struct mohs_tensor *like, uint32_t width);

/* Parameters NAME.weight and NAME.bias. */
struct linear {
    const char *name;
    uint32_t out, in;
    float std; /* 0: 1 / sqrt(in) */
    int no_bias, act;
    struct mohs_tensor *residual;
};
struct mohs_tensor *net_linear(struct net *n, struct mohs_tensor *x,
                               const struct linear *l);
struct mohs_tensor *net_norm(struct net *n, struct mohs_tensor *x,
                             const char *name, uint32_t width, double eps);
/* Attention of one query q [n, width] a sample to tokens x [n, t, in], of
 * which `key` and `value` are projections as net_linear's -> [n, width]. */
struct mohs_tensor *net_attention_pool(struct net *n, struct mohs_tensor *q,
                                       struct mohs_tensor *x, const char *key,
                                       const char *value, uint32_t width,
                                       uint32_t in, uint32_t heads);
/* Patches of pixels as tokens; rows and columns that fill no patch are left
 * out, as a strided convolution does. */
struct mohs_tensor *net_patches(struct net *n, struct mohs_tensor *pixels,
                                const char *name, uint32_t width,
                                uint32_t patch, int no_bias);
/* tokens [k, w] before the tokens of x [n, t, w]. */
struct mohs_tensor *net_prepend(struct net *n, struct mohs_tensor *x,
                                struct mohs_tensor *tokens);
/* Token ids to vectors. */
struct mohs_tensor *net_embedding(struct net *n, struct mohs_tensor *ids,
                                  const char *name, uint32_t vocab,
                                  uint32_t width);

/* ---- transformer blocks that normalise first ---- */

/* Names of a block's parts; NULL: not there. */
struct block_names {
    const char *norm1, *q, *k, *v, *out, *norm2, *fc1, *fc2;
    const char *scale1, *scale2; /* layer scale: gains of the branches */
    const char *gate, *norm_mlp; /* fc2(act(fc1(norm_mlp x)) gate(norm_mlp x)) */
};

struct tower {
    const char *at; /* "vision_model.encoder.layers." */
    const struct block_names *names;
    uint32_t width, mlp, layers, heads;
    int act, no_qkv_bias;
    double eps;
};

/* All blocks, each with tap SIDE.block.<i>. x [n, t, w] -> the same, or,
 * unless `token` is NET_ALL, that token [n, w] (negative: from the end).
 * What nobody reads is never computed: with one token the last block costs a
 * part of the others, as long as its tap is left alone. */
enum { NET_ALL = 1 << 30 };
struct mohs_tensor *net_blocks(struct net *n, struct mohs_tensor *x,
                               const struct tower *t, const char *side,
                               int mask, int token);

/* Checks what blocks need of a tower; `key` names the heads in messages. */
void tower_check(struct config *c, const struct tower *t, const char *key);

/* ---- names of taps ---- */

struct taps {
    char text[2 * NET_LAYERS_MAX + 8][24];
    const char *name[2 * NET_LAYERS_MAX + 9]; /* NULL-terminated */
    size_t n;
};
/* SIDE.FIRST, SIDE.block.<i>, SIDE.embed. */
void taps_add(struct taps *t, const char *side, const char *first,
              uint32_t layers);

#endif
