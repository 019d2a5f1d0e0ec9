/* SPDX-License-Identifier: MIT */
/* A tower of the step's model with its taps open to an attack plugin. */
#include "config.h"

#include "train/batch_victim.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The tower, and the way back from one of its outputs. */
struct engine {
    struct graph *graph;
    struct tower_inputs in;
    struct tensor *out, *seed;
    struct tensor *delta[TAPS_MAX], *grad[TAPS_MAX], *tap[TAPS_MAX];
};

struct batch_victim {
    struct mohs_victim pub;
    struct mohs_victim_raw own; /* clean NULL: not asked for yet */
    const struct stepper *s;
    uint32_t tower, n, dim;
    bool mine[TAPS_MAX]; /* taps of this tower */
    struct engine engine[2]; /* of the embedding normalised, and as it is */
    struct mohs_site site[TAPS_MAX];
    bool open[TAPS_MAX];
    const struct batch *batch;
    const struct batch_targets *to;
    uint8_t *mask;
    uint32_t *first;        /* n + 1: one positive each */
    float *embed, *raw;     /* clean: n * dim */
    float *out, *dout;      /* n * dim: of the last run */
};

static struct batch_victim *of(struct mohs_victim *pub)
{
    return pub->ctx;
}

/* ---- the tower ---- */

static mohs_status engine_new(const struct batch_victim *v, bool raw, struct engine *out,
                              struct mohs_error *err)
{
    const struct stepper *s = v->s;
    struct engine g = { .graph = graph_new(s->compute, s->params) };
    struct tensor *own, *unit, *delta[TAPS_MAX], *grad[TAPS_MAX];
    struct graph_cost cost;
    uint32_t dims[] = { v->n, v->dim };
    size_t n = 0;
    mohs_status st;
    for (size_t i = 0; i < s->n_taps; i++)
        if (v->mine[i])
            graph_perturb(g.graph, s->tap[i]);
    tower_inputs_new(s, g.graph, v->tower, v->n, &g.in);
    OUT_IF_ERR(step_tower(s, g.graph, v->tower, &g.in, &own, &unit, err));
    g.out = raw ? own : unit;
    graph_stage(g.graph, 0);
    graph_output(g.graph, g.out);
    for (size_t i = 0; i < s->n_taps; i++) {
        if (!v->mine[i])
            continue;
        g.tap[i] = graph_find_tap(g.graph, s->tap[i]);
        g.delta[i] = graph_find_delta(g.graph, s->tap[i]);
        graph_output(g.graph, g.tap[i]);
        delta[n++] = g.delta[i];
    }
    if (n) {
        graph_stage(g.graph, 1);
        g.seed = graph_input(g.graph, "seed", MOHS_F32, 2, dims);
        OUT_IF_ERR(graph_grad(g.graph, g.out, g.seed, delta, n, grad, err));
        for (size_t i = 0, k = 0; i < s->n_taps; i++)
            if (v->mine[i] && (g.grad[i] = grad[k++]))
                graph_output(g.graph, g.grad[i]);
    }
    OUT_IF_ERR(graph_status(g.graph, err));
    OUT_IF_ERR(graph_plan(g.graph, &cost, err));
    *out = g;
    return MOHS_OK;
out:
    graph_free(g.graph);
    return st;
}

/* The engine of an output, made on first use and holding the batch. */
static mohs_status engine_ready(struct batch_victim *v, bool raw, struct engine **out,
                                struct mohs_error *err)
{
    *out = &v->engine[raw];
    if (!(*out)->graph)
        RET_IF_ERR(engine_new(v, raw, *out, err));
    return tower_inputs_write(v->s, &(*out)->in, v->batch, false, err);
}

/* Forward with the deltas as they are; taps that are not open have none. */
static mohs_status forward(struct batch_victim *v, struct engine *g, struct mohs_error *err)
{
    for (size_t i = 0; i < v->s->n_taps; i++) {
        size_t offset, bytes;
        if (!v->mine[i])
            continue;
        bytes = (size_t)tensor_count(g->delta[i]) * sizeof(float);
        if (v->open[i]) {
            RET_IF_ERR(tensor_write(g->delta[i], v->site[i].delta, err));
            continue;
        }
        struct mohs_buffer *b = tensor_buffer(g->delta[i], &offset);
        RET_IF_ERR(buffer_fill(b, offset, 0, bytes, err));
    }
    RET_IF_ERR(graph_run_stage(g->graph, 0, err));
    return tensor_read(g->out, v->out, err);
}

/* Gradients of sample[0..n) at the open sites from v->dout. */
static mohs_status backward(struct batch_victim *v, struct engine *g, uint32_t n,
                            const uint32_t *sample, struct mohs_error *err)
{
    RET_IF_ERR(tensor_write(g->seed, v->dout, err));
    RET_IF_ERR(graph_run_stage(g->graph, 1, err));
    for (size_t i = 0; i < v->s->n_taps; i++) {
        const struct mohs_site *s = &v->site[i];
        size_t c = (size_t)s->tokens * s->width;
        if (!v->open[i])
            continue;
        float *all = try_calloc(v->n, c * sizeof *all, "a gradient", err);
        mohs_status st = all ? MOHS_OK : MOHS_E_NOMEM;
        if (st >= 0 && g->grad[i])
            st = tensor_read(g->grad[i], all, err);
        for (uint32_t k = 0; st >= 0 && k < n; k++)
            memcpy(s->grad + sample[k] * c, all + sample[k] * c, c * sizeof *all);
        free(all);
        RET_IF_ERR(st);
    }
    return MOHS_OK;
}

/* ---- the interface ---- */

static mohs_status site_new(struct batch_victim *v, size_t i, struct mohs_error *err)
{
    struct mohs_site *s = &v->site[i];
    struct engine *g = &v->engine[0];
    uint32_t dims[MOHS_DIMS_MAX], k = tensor_shape(g->tap[i], dims);
    bool pixels = !strcmp(v->s->tap[i], "pixels");
    *s = (struct mohs_site) { .size = sizeof *s, .tap = v->s->tap[i], .tokens = 1,
                              .width = dims[k - 1], .lo = -INFINITY, .hi = INFINITY };
    for (uint32_t j = 1; j + 1 < k; j++)
        s->tokens *= dims[j];
    if (pixels) { // three channels of rows of pixels
        s->tokens = dims[1];
        s->width = dims[2] * dims[3];
        s->height = dims[2];
        s->lo = 0;
        s->hi = 1;
    }
    size_t bytes = (size_t)s->tokens * s->width * sizeof(float);
    float *clean = try_calloc(v->n, bytes, s->tap, err);
    s->clean = clean;
    s->delta = try_calloc(v->n, bytes, s->tap, err);
    s->grad = try_calloc(v->n, bytes, s->tap, err);
    if (v->tower == MOHS_TOWER_TEXT && s->tokens == v->s->context)
        s->mask = v->mask;
    return clean && s->delta && s->grad ? MOHS_OK : MOHS_E_NOMEM;
}

static mohs_status site_open(struct mohs_victim *pub, const char *tap,
                             struct mohs_site *out, struct mohs_error *err)
{
    struct batch_victim *v = of(pub);
    struct engine *g;
    size_t i = 0;
    while (i < v->s->n_taps && (!v->mine[i] || strcmp(v->s->tap[i], tap)))
        i++;
    if (i == v->s->n_taps)
        return mohs_fail(err, MOHS_E_ARG, "train: the attack opens tap '%s', which its "
                         "parameter 'tap' does not name", tap);
    if (!v->open[i]) {
        RET_IF_ERR(engine_ready(v, false, &g, err));
        RET_IF_ERR(site_new(v, i, err));
        // clean is what the tap sees with no delta before it
        RET_IF_ERR(forward(v, g, err));
        RET_IF_ERR(tensor_read(g->tap[i], (float *)v->site[i].clean, err));
        v->open[i] = true;
    }
    *out = v->site[i];
    return MOHS_OK;
}

/* scores = scale * out candidate^T + bias of sample[0..n) */
static void scores(const struct batch_victim *v, uint32_t n, const uint32_t *sample,
                   float *z)
{
    const struct batch_targets *t = v->to;
    for (uint32_t k = 0; k < n; k++)
        for (uint32_t j = 0; j < t->n_candidates; j++) {
            const float *x = v->out + (size_t)sample[k] * v->dim;
            const float *c = t->candidate + (size_t)j * v->dim;
            double sum = 0;
            for (uint32_t d = 0; d < v->dim; d++)
                sum += (double)x[d] * c[d];
            z[(size_t)k * t->n_candidates + j] = (float)(t->scale * sum + t->bias);
        }
}

/* Rows of v->dout from gradients by scores (or by the rows themselves). */
static void rows_back(struct batch_victim *v, uint32_t n, const uint32_t *sample,
                      bool by_scores, const float *dz)
{
    const struct batch_targets *t = v->to;
    memset(v->dout, 0, (size_t)v->n * v->dim * sizeof *v->dout);
    for (uint32_t k = 0; k < n; k++) {
        float *to = v->dout + (size_t)sample[k] * v->dim;
        if (!by_scores) {
            memcpy(to, dz + (size_t)k * v->dim, v->dim * sizeof *to);
            continue;
        }
        for (uint32_t j = 0; j < t->n_candidates; j++) {
            float w = t->scale * dz[(size_t)k * t->n_candidates + j];
            const float *c = t->candidate + (size_t)j * v->dim;
            for (uint32_t d = 0; w != 0 && d < v->dim; d++)
                to[d] += w * c[d];
        }
    }
}

static mohs_status pass(struct mohs_victim *pub, uint32_t n, const uint32_t *sample,
                        uint32_t output, mohs_loss_fn fn, void *user, float *loss,
                        int32_t gradient, struct mohs_error *err)
{
    struct batch_victim *v = of(pub);
    struct engine *g;
    bool by_scores = output == MOHS_OUT_SCORES;
    uint32_t m = by_scores ? v->to->n_candidates : v->dim;
    if (output > MOHS_OUT_RAW)
        return mohs_fail(err, MOHS_E_ARG, "train: a victim has no output %u", output);
    for (uint32_t k = 0; k < n; k++)
        if (sample[k] >= v->n)
            return mohs_fail(err, MOHS_E_ARG, "train: sample %u of %u", sample[k], v->n);
    float *z = try_calloc((size_t)n * m, sizeof *z, "scores", err);
    float *dz = try_calloc((size_t)n * m, sizeof *dz, "scores", err);
    float *value = xcalloc(n ? n : 1, sizeof *value);
    mohs_status st = z && dz ? MOHS_OK : MOHS_E_NOMEM;
    if (st < 0)
        goto out;
    OUT_IF_ERR(engine_ready(v, output == MOHS_OUT_RAW, &g, err));
    OUT_IF_ERR(forward(v, g, err));
    if (by_scores)
        scores(v, n, sample, z);
    for (uint32_t k = 0; !by_scores && k < n; k++)
        memcpy(z + (size_t)k * m, v->out + (size_t)sample[k] * m, m * sizeof *z);
    OUT_IF_ERR(fn(user, n, sample, m, z, value, gradient ? dz : NULL, err));
    if (loss)
        memcpy(loss, value, n * sizeof *loss);
    if (gradient && g->seed) {
        rows_back(v, n, sample, by_scores, dz);
        OUT_IF_ERR(backward(v, g, n, sample, err));
    }
    st = MOHS_OK;
out:
    free(z);
    free(dz);
    free(value);
    return st;
}

/* ---- life ---- */

mohs_status batch_victim_new(const struct stepper *s, uint32_t tower,
                             struct batch_victim **out, struct mohs_error *err)
{
    struct batch_victim *v = xcalloc(1, sizeof *v);
    uint32_t dim = s->ops->info(s->model)->embed_dim, n = s->o->batch;
    *out = v;
    v->s = s;
    v->tower = tower;
    v->n = n;
    v->dim = dim;
    for (size_t i = 0; i < s->n_taps; i++)
        v->mine[i] = !strncmp(s->tap[i], "text.", 5) == (tower == MOHS_TOWER_TEXT);
    v->mask = xcalloc((size_t)n * (s->context ? s->context : 1), 1);
    v->first = xcalloc(n + 1, sizeof *v->first);
    for (uint32_t i = 0; i <= n; i++)
        v->first[i] = i;
    float **row[] = { &v->embed, &v->raw, &v->out, &v->dout };
    for (size_t k = 0; k < sizeof row / sizeof *row; k++)
        if (!(*row[k] = try_calloc(n, dim * sizeof(float), "embeddings", err)))
            return MOHS_E_NOMEM;
    return MOHS_OK;
}

static void sites_drop(struct batch_victim *v)
{
    for (size_t i = 0; i < TAPS_MAX; i++) {
        free((float *)v->site[i].clean);
        free(v->site[i].delta);
        free(v->site[i].grad);
        v->site[i] = (struct mohs_site) { .size = sizeof v->site[i] };
        v->open[i] = false;
    }
}

void batch_victim_free(struct batch_victim *v)
{
    if (!v)
        return;
    sites_drop(v);
    graph_free(v->engine[0].graph);
    graph_free(v->engine[1].graph);
    free(v->mask);
    free(v->first);
    free(v->embed);
    free(v->raw);
    free(v->out);
    free(v->dout);
    free(v);
}

static mohs_status clean_rows(struct batch_victim *v, bool raw, float *to,
                              struct mohs_error *err)
{
    struct engine *g;
    RET_IF_ERR(engine_ready(v, raw, &g, err));
    RET_IF_ERR(forward(v, g, err));
    memcpy(to, v->out, (size_t)v->n * v->dim * sizeof *to);
    return MOHS_OK;
}

/* Only "mohs.victim_raw/1". */
static const void *get_extension(struct mohs_victim *pub, const char *id)
{
    struct batch_victim *v = of(pub);
    if (strcmp(id, MOHS_EXT_VICTIM_RAW))
        return NULL;
    if (!v->own.clean && clean_rows(v, true, v->raw, NULL) >= 0)
        v->own.clean = v->raw;
    return v->own.clean ? &v->own : NULL;
}

mohs_status batch_victim_load(struct batch_victim *v, const struct batch *b, bool raw,
                              const float **rows, struct mohs_error *err)
{
    float *to = raw ? v->raw : v->embed;
    sites_drop(v);
    v->batch = b;
    for (size_t i = 0; i < (size_t)v->n * v->s->context; i++)
        v->mask[i] = b->mask[i] != 0;
    *rows = to;
    return clean_rows(v, raw, to, err);
}

mohs_status batch_victim_attack(struct batch_victim *v, const struct batch_targets *t,
                                const struct mohs_attack_ops *ops, void *self,
                                uint64_t seed, struct mohs_error *err)
{
    v->to = t;
    v->own = (struct mohs_victim_raw) { sizeof v->own, t->anchor };
    v->pub = (struct mohs_victim) {
        .size = sizeof v->pub,
        .n = v->n,
        .n_candidates = t->n_candidates,
        .dim = v->dim,
        .key = v->batch->key,
        .positive_first = v->first,
        .positive = t->positive,
        .clean_embed = v->embed,
        .ctx = v,
        .site = site_open,
        .pass = pass,
        .get_extension = get_extension,
    };
    mohs_status st = ops->run(self, &v->pub, seed, err);
    scratch_reset();
    return st;
}

const float *batch_victim_delta(const struct batch_victim *v, size_t i)
{
    return v->open[i] ? v->site[i].delta : NULL;
}
