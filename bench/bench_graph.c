/* SPDX-License-Identifier: MIT */
/*
 * Times the graph engine on two workloads, random weights:
 *   bench_graph vit [batch [runs]]    ViT-B/32 image tower: images/s forward,
 *                                     and forward with the input gradient
 *   bench_graph train [batch [runs]]  one AdamW step of the default model
 *                                     (64 px, patch 8, width 192, 4+3 layers)
 * bench/bench_graph.py is the same in PyTorch. Medians over the runs.
 * MOHS_PROFILE=1 adds the time of every kind of op.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mohs/rng.h>

#include "graph/graph.h"
#include "graph/optim.h"

struct shape {
    uint32_t size, patch, width, heads, layers, embed, vocab, tokens;
};
static const struct shape vit_b32 = { 224, 32, 768, 12, 12, 512, 0, 0 };
static const struct shape small = { 64, 8, 192, 6, 4, 128, 600, 24 };
enum { SMALL_TEXT_LAYERS = 3 };

static struct compute *dev;
static struct params *par;
static struct mohs_error err = MOHS_ERROR_INIT;

static void ok(mohs_status st)
{
    if (st >= 0)
        return;
    fprintf(stderr, "bench_graph: %s\n", err.text);
    exit(1);
}

/* A random parameter, made on first use. */
static struct tensor *weight(struct graph *g, const char *name, uint32_t a,
                             uint32_t b, uint32_t patch)
{
    uint32_t dims[] = { a, b, patch, patch };
    uint32_t n_dims = patch ? 4 : b ? 2 : 1;
    uint64_t n = (uint64_t)a * (b ? b : 1) * (patch ? patch * patch : 1);
    bool gain = strstr(name, "ln") && str_ends(name, ".w"), have = false;
    for (size_t i = 0; i < params_count(par); i++)
        have |= strcmp(params_name(par, i), name) == 0;
    if (!have) {
        float *v = calloc((size_t)n, sizeof *v);
        for (uint64_t i = 0; i < n; i++)
            v[i] = (gain ? 1 : 0) +
                   0.02f * mohs_rng_normal(hash_str64(name), 0, i);
        ok(params_set(par, name, n_dims, dims, v, &err));
        free(v);
    }
    return graph_weight(g, name, n_dims, dims);
}

static struct tensor *op(struct graph *g, const char *name, struct tensor *a,
                         struct tensor *b, struct tensor *c, struct tensor *d,
                         const char *attr, double value)
{
    struct tensor *in[] = { a, b, c, d };
    uint32_t n = d ? 4 : c ? 3 : b ? 2 : 1;
    struct mohs_attr at = { attr, value };
    return graph_op(g, name, in, n, &at, attr ? 1 : 0);
}

static struct tensor *linear(struct graph *g, const char *name,
                             struct tensor *x, uint32_t n, uint32_t k,
                             struct tensor *residual, int act)
{
    char w[64], b[64];
    snprintf(w, sizeof w, "%s.w", name);
    snprintf(b, sizeof b, "%s.b", name);
    return op(g, "linear", x, weight(g, w, n, k, 0), weight(g, b, n, 0, 0),
              residual, "act", act);
}

static struct tensor *norm(struct graph *g, const char *name, struct tensor *x,
                           uint32_t k)
{
    char w[64], b[64];
    snprintf(w, sizeof w, "%s.w", name);
    snprintf(b, sizeof b, "%s.b", name);
    return op(g, "layer_norm", x, weight(g, w, k, 0, 0), weight(g, b, k, 0, 0),
              NULL, NULL, 0);
}

static struct tensor *block(struct graph *g, const char *tower, uint32_t i,
                            struct tensor *x, uint32_t w, uint32_t heads,
                            int mask)
{
    static const char *const part[] = { "ln1", "q", "k", "v", "o", "ln2", "f1",
                                        "f2" };
    char n[8][40];
    for (int j = 0; j < 8; j++)
        snprintf(n[j], sizeof n[j], "%s.%u.%s", tower, i, part[j]);
    struct tensor *h = norm(g, n[0], x, w);
    struct tensor *q = linear(g, n[1], h, w, w, NULL, 0);
    struct tensor *k = linear(g, n[2], h, w, w, NULL, 0);
    struct tensor *v = linear(g, n[3], h, w, w, NULL, 0);
    struct tensor *in[] = { q, k, v };
    struct mohs_attr at[] = { { "heads", heads }, { "mask", mask } };
    h = graph_op(g, "attention", in, 3, at, 2);
    x = linear(g, n[4], h, w, w, x, 0);
    h = linear(g, n[6], norm(g, n[5], x, w), 4 * w, w, NULL,
               MOHS_ACT_QUICK_GELU);
    return linear(g, n[7], h, w, 4 * w, x, 0);
}

static struct tensor *image(struct graph *g, const struct shape *s,
                            struct tensor *pixels)
{
    uint32_t t = (s->size / s->patch) * (s->size / s->patch) + 1;
    struct tensor *x = op(g, "patch_embed", pixels,
                          weight(g, "patch", s->width, 3, s->patch), NULL, NULL,
                          NULL, 0);
    x = op(g, "prepend", x, weight(g, "cls", s->width, 0, 0), NULL, NULL, NULL,
           0);
    x = op(g, "add", x, weight(g, "ipos", t, s->width, 0), NULL, NULL, NULL, 0);
    x = norm(g, "pre.ln", x, s->width);
    for (uint32_t i = 0; i < s->layers; i++)
        x = block(g, "i", i, x, s->width, s->heads, 0);
    x = op(g, "take", x, NULL, NULL, NULL, NULL, 0);
    x = norm(g, "post.ln", x, s->width);
    x = op(g, "linear", x, weight(g, "iproj", s->embed, s->width, 0), NULL,
           NULL, NULL, 0);
    return op(g, "l2_normalize", x, NULL, NULL, NULL, NULL, 0);
}

static struct tensor *text(struct graph *g, const struct shape *s,
                           struct tensor *tokens, struct tensor *last)
{
    struct tensor *x = op(g, "embedding", tokens,
                          weight(g, "words", s->vocab, s->width, 0), NULL, NULL,
                          NULL, 0);
    x = op(g, "add", x, weight(g, "tpos", s->tokens, s->width, 0), NULL, NULL,
           NULL, 0);
    for (uint32_t i = 0; i < SMALL_TEXT_LAYERS; i++)
        x = block(g, "t", i, x, s->width, s->heads, MOHS_MASK_CAUSAL);
    x = norm(g, "final.ln", x, s->width);
    x = op(g, "take", x, last, NULL, NULL, NULL, 0);
    x = op(g, "linear", x, weight(g, "tproj", s->embed, s->width, 0), NULL,
           NULL, NULL, 0);
    return op(g, "l2_normalize", x, NULL, NULL, NULL, NULL, 0);
}

static struct tensor *pixels_of(struct graph *g, const struct shape *s,
                                uint32_t n)
{
    uint32_t dims[] = { n, 3, s->size, s->size };
    return graph_input(g, "pixels", MOHS_F32, 4, dims);
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void write_noise(struct tensor *t)
{
    uint64_t n = tensor_count(t);
    float *v = calloc((size_t)n, sizeof *v);
    for (uint64_t i = 0; i < n; i++)
        v[i] = mohs_rng_uniform(1, 2, i) - 0.5f;
    ok(tensor_write(t, v, &err));
    free(v);
}

/* ---- ViT-B/32 --------------------------------------------------------- */

static void vit(uint32_t batch, int runs, bool gradient)
{
    double *s = calloc((size_t)runs, sizeof *s);
    struct graph *g = graph_new(dev, par);
    struct graph_cost cost;
    struct tensor *x = pixels_of(g, &vit_b32, batch), *y, *d, *seed = NULL;
    uint32_t dims[] = { batch, vit_b32.embed };
    y = image(g, &vit_b32, x);
    graph_output(g, y);
    if (gradient) {
        seed = graph_input(g, "seed", MOHS_F32, 2, dims);
        ok(graph_grad(g, y, seed, &x, 1, &d, &err));
        graph_output(g, d);
    }
    double p0 = now_s();
    ok(graph_plan(g, &cost, &err));
    double plan = now_s() - p0;
    write_noise(x);
    if (seed)
        write_noise(seed);
    for (int i = -1; i < runs; i++) { // the first builds kernels
        double t0 = now_s();
        ok(graph_run(g, &err));
        ok(compute_finish(dev, &err));
        s[i < 0 ? 0 : i] = now_s() - t0;
    }
    qsort(s, (size_t)runs, sizeof *s, ascending);
    double t = s[runs / 2];
    printf("vit-b/32 %-16s batch %u: %7.2f images/s, %6.1f GFLOP/s, arena %.1f "
           "MB, packed %.1f MB, planned in %.1f ms\n",
           gradient ? "forward+gradient" : "forward", batch, batch / t,
           cost.flops / t * 1e-9, (double)cost.arena_bytes * 1e-6,
           (double)cost.packed_bytes * 1e-6, plan * 1e3);
    graph_free(g);
    free(s);
}

/* ---- one training step ------------------------------------------------ */

struct slot {
    size_t param;
    uint32_t count, at;
    struct tensor *grad;
    struct mohs_buffer *m, *v;
};

static void step(struct graph *g, struct slot *slots, size_t n, uint32_t total,
                 struct mohs_buffer *part, struct mohs_buffer *clip)
{
    const struct adamw h = { 1e-3f, 0.9f, 0.98f, 1e-6f, 0.1f, 0.1f, 0.02f };
    ok(graph_run(g, &err));
    for (size_t i = 0; i < n; i++)
        ok(optim_sumsq(dev, tensor_buffer(slots[i].grad, NULL), slots[i].count,
                       part, slots[i].at, &err));
    ok(optim_clip(dev, part, total, 1, clip, &err));
    for (size_t i = 0; i < n; i++) {
        ok(optim_adamw(dev, params_buffer(par, slots[i].param),
                       tensor_buffer(slots[i].grad, NULL), slots[i].m,
                       slots[i].v, slots[i].count, &h, clip, &err));
        params_touch(par, slots[i].param);
    }
}

static struct slot *make_slots(struct graph *g, struct tensor *loss, size_t *n,
                               uint32_t *total)
{
    size_t k = params_count(par);
    struct slot *s = calloc(k, sizeof *s);
    struct tensor **wrt = calloc(k, sizeof(struct tensor *));
    struct tensor **grad = calloc(k, sizeof(struct tensor *));
    for (size_t i = 0; i < k; i++) {
        uint32_t dims[MOHS_DIMS_MAX];
        uint32_t nd = params_shape(par, i, dims);
        wrt[i] = graph_weight(g, params_name(par, i), nd, dims);
    }
    ok(graph_grad(g, loss, NULL, wrt, k, grad, &err));
    for (size_t i = 0; i < k; i++) {
        uint32_t c = (uint32_t)tensor_count(wrt[i]);
        s[i] = (struct slot){ i, c, *total, grad[i], NULL, NULL };
        *total += optim_sumsq_slots(c);
        ok(buffer_new(dev, c * 4, &s[i].m, &err));
        ok(buffer_new(dev, c * 4, &s[i].v, &err));
        ok(buffer_fill(s[i].m, 0, 0, c * 4, &err));
        ok(buffer_fill(s[i].v, 0, 0, c * 4, &err));
        graph_output(g, grad[i]);
    }
    free(wrt);
    free(grad);
    *n = k;
    return s;
}

static void train(uint32_t batch, int runs)
{
    double *s = calloc((size_t)runs, sizeof *s);
    struct graph *g = graph_new(dev, par);
    struct graph_cost cost;
    uint32_t td[] = { batch, small.tokens }, total = 0;
    size_t n;
    struct tensor *x = pixels_of(g, &small, batch);
    struct tensor *tokens = graph_input(g, "tokens", MOHS_I32, 2, td);
    struct tensor *last = graph_input(g, "last", MOHS_I32, 1, &batch);
    struct tensor *scale = weight(g, "scale", 1, 0, 0);
    scale = op(g, "exp", scale, NULL, NULL, NULL, NULL, 0);
    struct tensor *loss = op(g, "contrastive", image(g, &small, x),
                             text(g, &small, tokens, last), scale, NULL, NULL,
                             0);
    ok(graph_status(g, &err));
    struct slot *slots = make_slots(g, loss, &n, &total);
    graph_output(g, loss);
    ok(graph_plan(g, &cost, &err));
    struct mohs_buffer *part, *clip;
    ok(buffer_new(dev, total * 4, &part, &err));
    ok(buffer_new(dev, 8, &clip, &err));
    int32_t *ids = calloc((size_t)batch * small.tokens, sizeof *ids);
    for (uint32_t i = 0; i < batch * small.tokens; i++)
        ids[i] = (int32_t)mohs_rng_below(1, 2, i, small.vocab);
    ok(tensor_write(tokens, ids, &err));
    for (uint32_t i = 0; i < batch; i++)
        ids[i] = (int32_t)(8 + i % 12);
    ok(tensor_write(last, ids, &err));
    write_noise(x);
    for (int i = -1; i < runs; i++) {
        double t0 = now_s();
        step(g, slots, n, total, part, clip);
        ok(compute_finish(dev, &err));
        s[i < 0 ? 0 : i] = now_s() - t0;
    }
    qsort(s, (size_t)runs, sizeof *s, ascending);
    double t = s[runs / 2];
    printf("train step batch %u: %.3f s, %.1f GFLOP/s, %u nodes, arena %.1f "
           "MB\n",
           batch, t, cost.flops / t * 1e-9, cost.nodes,
           (double)cost.arena_bytes * 1e-6);
    for (size_t i = 0; i < n; i++) {
        buffer_unref(slots[i].m);
        buffer_unref(slots[i].v);
    }
    buffer_unref(part);
    buffer_unref(clip);
    graph_free(g);
    free(slots);
    free(ids);
    free(s);
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "vit";
    int batch = argc > 2 ? atoi(argv[2]) : 0;
    int runs = argc > 3 ? atoi(argv[3]) : 5;
    ok(compute_open(getenv("MOHS_DEVICE"), &dev, &err));
    par = params_new(dev);
    runs = runs > 0 ? runs : 1;
    if (strcmp(what, "train") == 0) {
        train(batch > 0 ? (uint32_t)batch : 256, runs);
    } else {
        vit(batch > 0 ? (uint32_t)batch : 32, runs, false);
        vit(batch > 0 ? (uint32_t)batch : 32, runs, true);
    }
    params_free(par);
    compute_close(dev);
    return 0;
}
