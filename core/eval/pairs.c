/* SPDX-License-Identifier: MIT */
/* Graphs of an image with texts, one kept per length of text; see pairs.h. */
#include "config.h"

#include "eval/pairs.h"

#include <stdlib.h>
#include <string.h>

enum { LENGTHS = 8, STEP = 8 };

struct pair_graph {
    struct graph *graph; /* NULL: not made yet */
    struct tensor *image, *tokens, *last, *out;
};

struct pairs {
    struct encoder *e;
    const struct mohs_pair_scores *ops;
    const struct mohs_pair_info *info;
    void *self;
    struct params *params;
    uint32_t n_dims, dims[MOHS_DIMS_MAX]; /* of image_tap, batch 1 */
    uint64_t count;
    uint32_t context, step; /* texts are run at multiples of step */
    uint32_t batch;         /* texts at once */
    struct pair_graph graph[LENGTHS];
    double image_flops;
};

static const struct mohs_pair_scores *ops_of(const struct encoder *e, void **self)
{
    return encoder_extension(e, MOHS_EXT_PAIR_SCORES, self);
}

const struct mohs_pair_info *pairs_info(const struct encoder *e)
{
    void *self;
    const struct mohs_pair_scores *ops = ops_of(e, &self);
    return ops ? ops->info(self) : NULL;
}

/* ---- graphs ---- */

static uint32_t length_of(const struct pairs *p, uint32_t i)
{
    uint32_t t = (i + 1) * p->step;
    return t < p->context ? t : p->context;
}

static mohs_status make_graph(struct pairs *p, uint32_t batch, uint32_t length,
                              struct pair_graph *out, struct graph_cost *cost,
                              struct mohs_error *err)
{
    uint32_t two[] = { batch, length }, dims[MOHS_DIMS_MAX];
    struct pair_graph k = { 0 };
    struct mohs_tensor *scores = NULL;
    mohs_status st;
    struct compute *dev;
    RET_IF_ERR(registry_compute(encoder_registry(p->e), &dev, err));
    k.graph = graph_new(dev, p->params);
    k.image = graph_input(k.graph, "image", MOHS_F32, p->n_dims, p->dims);
    k.tokens = graph_input(k.graph, "tokens", MOHS_I32, 2, two);
    k.last = graph_input(k.graph, "last", MOHS_I32, 1, two);
    struct mohs_pair_inputs in = { sizeof in, (struct mohs_tensor *)k.image,
                                   (struct mohs_tensor *)k.tokens,
                                   (struct mohs_tensor *)k.last };
    OUT_IF_ERR(p->ops->build(p->self, &graph_api, (struct mohs_graph *)k.graph, &in,
                             &scores, err));
    OUT_IF_ERR(graph_status(k.graph, err));
    k.out = (struct tensor *)scores;
    if (!k.out || tensor_shape(k.out, dims) != 2 || dims[0] != batch ||
        dims[1] != p->info->n_scores) {
        st = mohs_fail(err, MOHS_E_PLUGIN, "pair scores are not [%u, %u]", batch,
                       p->info->n_scores);
        goto out;
    }
    graph_output(k.graph, k.out);
    OUT_IF_ERR(graph_plan(k.graph, cost, err));
    *out = k;
    k.graph = NULL;
out:
    scratch_reset();
    graph_free(k.graph);
    return st < 0 ? err_prefix(err, st, "%s", encoder_path(p->e)) : st;
}

/* Device bytes of the graphs of all lengths. */
static mohs_status graph_bytes(void *user, uint32_t batch, uint64_t *bytes,
                               struct mohs_error *err)
{
    struct pairs *p = user;
    struct pair_graph k;
    struct graph_cost cost;
    RET_IF_ERR(make_graph(p, batch, p->context, &k, &cost, err));
    graph_free(k.graph);
    *bytes = cost.arena_bytes * ((p->context + p->step - 1) / p->step);
    return MOHS_OK;
}

/* The shape of image_tap, from the tower that has it. */
static mohs_status image_shape(struct pairs *p, struct mohs_error *err)
{
    struct tower_graph t;
    struct graph_cost cost;
    RET_IF_ERR(encoder_tower(p->e, MOHS_TOWER_IMAGE, 1, 0, NULL, 0, &t, err));
    struct tensor *tap = graph_find_tap(t.graph, p->info->image_tap);
    mohs_status st = tap ? MOHS_OK
                         : mohs_fail(err, MOHS_E_PLUGIN, "%s: no tap '%s' for pairs",
                                     encoder_path(p->e), p->info->image_tap);
    if (tap) {
        graph_output(t.graph, tap);
        st = graph_plan(t.graph, &cost, err);
        p->n_dims = tensor_shape(tap, p->dims);
        p->count = tensor_count(tap);
        p->image_flops = st >= 0 ? cost.flops : 0;
    }
    graph_free(t.graph);
    return st;
}

mohs_status pairs_open(struct encoder *e, uint32_t texts, struct pairs **out,
                       struct mohs_error *err)
{
    const struct mohs_model_info *info = encoder_info(e);
    const struct mohs_pair_info *pi = pairs_info(e);
    if (!pi)
        return mohs_fail(err, MOHS_E_UNSUPPORTED,
                         "%s: the model has no matching head (%s)", encoder_path(e),
                         MOHS_EXT_PAIR_SCORES);
    if (!pi->n_scores || pi->n_scores > MOHS_PAIR_SCORES_MAX || pi->match >= pi->n_scores)
        return mohs_fail(err, MOHS_E_PLUGIN, "%s: pair score %u of %u", encoder_path(e),
                         pi->match, pi->n_scores);
    struct pairs *p = xcalloc(1, sizeof *p);
    mohs_status st;
    p->e = e;
    p->info = pi;
    p->ops = ops_of(e, &p->self);
    p->context = info->context_length;
    p->step = (p->context + LENGTHS - 1) / LENGTHS;
    p->step = p->step < STEP ? STEP : p->step;
    if (!(info->flags & MOHS_MODEL_CAUSAL_TEXT))
        p->step = p->context;
    OUT_IF_ERR(encoder_params(e, &p->params, err));
    OUT_IF_ERR(encoder_declare(e, p->ops->describe, err));
    OUT_IF_ERR(image_shape(p, err));
    p->batch = encoder_micro_batch(e, texts, graph_bytes, p);
    *out = p;
    return MOHS_OK;
out:
    pairs_close(p);
    return st;
}

void pairs_close(struct pairs *p)
{
    if (!p)
        return;
    for (int i = 0; i < LENGTHS; i++)
        graph_free(p->graph[i].graph);
    free(p);
}

uint64_t pairs_image_count(const struct pairs *p)
{
    return p->count;
}

mohs_status pairs_images(struct pairs *p, uint32_t n, const uint8_t *const *rgb,
                         float *out, struct mohs_error *err)
{
    return encoder_images(p->e, n, rgb, true, p->info->image_tap, out, err);
}

/* ---- running ---- */

/* Texts which[0..n), at most a batch, of the length that k is made for. */
static mohs_status run_batch(struct pairs *p, struct pair_graph *k, uint32_t length,
                             const float *image, const uint32_t *which, uint32_t n,
                             const int32_t *ids, const int32_t *last, float *out,
                             struct mohs_error *err)
{
    uint32_t wide = p->info->n_scores;
    int32_t *in = xcalloc((size_t)p->batch * length, sizeof *in);
    int32_t *at = xcalloc(p->batch, sizeof *at);
    float *rows = xcalloc((size_t)p->batch * wide, sizeof *rows);
    mohs_status st;
    for (uint32_t j = 0; j < n; j++) {
        memcpy(in + (size_t)j * length, ids + (size_t)which[j] * p->context,
               length * sizeof *in);
        at[j] = last[which[j]];
    }
    // an input may be overwritten once nothing reads it any more
    OUT_IF_ERR(tensor_write(k->image, image, err));
    OUT_IF_ERR(tensor_write(k->tokens, in, err));
    OUT_IF_ERR(tensor_write(k->last, at, err));
    OUT_IF_ERR(graph_run(k->graph, err));
    OUT_IF_ERR(tensor_read(k->out, rows, err));
    for (uint32_t j = 0; j < n; j++)
        memcpy(out + (size_t)which[j] * wide, rows + (size_t)j * wide,
               wide * sizeof *rows);
    if (interrupted)
        st = mohs_fail(err, MOHS_E_CANCELLED, "interrupted");
out:
    free(in);
    free(at);
    free(rows);
    return st;
}

mohs_status pairs_score(struct pairs *p, const float *image, uint32_t n,
                        const int32_t *ids, const int32_t *last, float *out,
                        struct mohs_error *err)
{
    uint32_t *which = xcalloc((size_t)n + 1, sizeof *which);
    mohs_status st = MOHS_OK;
    for (uint32_t i = 0; i * p->step < p->context && st >= 0; i++) {
        uint32_t count = 0, length = length_of(p, i);
        struct pair_graph *k = &p->graph[i];
        struct graph_cost cost;
        for (uint32_t t = 0; t < n; t++) {
            uint32_t place = (uint32_t)last[t] / p->step;
            if (place == i || p->step >= p->context)
                which[count++] = t;
        }
        if (count && !k->graph)
            st = make_graph(p, p->batch, length, k, &cost, err);
        for (uint32_t t = 0; t < count && st >= 0; t += p->batch) {
            uint32_t m = count - t < p->batch ? count - t : p->batch;
            st = run_batch(p, k, length, image, which + t, m, ids, last, out, err);
        }
    }
    free(which);
    return st;
}

mohs_status pairs_plan(struct encoder *e, uint32_t texts, struct pairs_cost *out,
                       struct mohs_error *err)
{
    struct pairs *p;
    struct pair_graph k;
    struct graph_cost cost;
    RET_IF_ERR(pairs_open(e, texts, &p, err));
    mohs_status st = make_graph(p, p->batch, p->context, &k, &cost, err);
    if (st >= 0) {
        *out = (struct pairs_cost) { cost.flops / p->batch, p->image_flops,
                                     cost.arena_bytes + cost.packed_bytes +
                                         cost.scratch_bytes };
        graph_free(k.graph);
    }
    pairs_close(p);
    return st;
}
