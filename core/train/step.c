/* SPDX-License-Identifier: MIT */
/* Builds the graphs of a step: towers, losses, and gradients as asked for. */
#include "config.h"

#include "train/step.h"

#include <stdlib.h>
#include <string.h>

static struct tensor *op(struct graph *g, const char *name, struct tensor *a,
                         struct tensor *b, struct tensor *c)
{
    struct tensor *in[] = { a, b, c };
    return graph_op(g, name, in, c ? 3 : b ? 2 : 1, NULL, 0);
}

/* ---- taps ---- */

static bool model_has(const struct stepper *s, const char *tap)
{
    if (!strcmp(tap, "pixels"))
        return true;
    for (const char *const *t = s->ops->info(s->model)->taps; t && *t; t++)
        if (!strcmp(*t, tap))
            return true;
    return false;
}

mohs_status stepper_taps(struct stepper *s, struct mohs_error *err)
{
    const char *p = s->o->attack.taps ? s->o->attack.taps : "";
    s->n_taps = 0;
    if (s->o->attack.kind == ADVERSARY_NONE)
        return MOHS_OK;
    while (*(p += strspn(p, ", "))) {
        size_t n = strcspn(p, ", ");
        if (s->n_taps == TAPS_MAX || n >= sizeof s->tap[0])
            return mohs_fail(err, MOHS_E_ARG, "train: bad list of taps '%s'",
                             s->o->attack.taps);
        memcpy(s->tap[s->n_taps], p, n);
        s->tap[s->n_taps][n] = 0;
        if (!model_has(s, s->tap[s->n_taps])) {
            struct str names = { 0 };
            str_add(&names, "pixels");
            for (const char *const *t = s->ops->info(s->model)->taps; t && *t; t++)
                str_addf(&names, ", %s", *t);
            mohs_fail(err, MOHS_E_ARG, "train: no tap '%s'; the model has %s",
                      s->tap[s->n_taps], names.s);
            str_free(&names);
            return MOHS_E_ARG;
        }
        s->n_taps++;
        p += n;
    }
    return s->n_taps ? MOHS_OK
                     : mohs_fail(err, MOHS_E_ARG, "train: an adversary without taps");
}

/* ---- graphs ---- */

void tower_inputs_new(const struct stepper *s, struct graph *g, uint32_t towers,
                      uint32_t m, struct tower_inputs *out)
{
    const struct mohs_model_info *info = s->ops->info(s->model);
    uint32_t px[] = { m, 3, info->image_height, info->image_width };
    uint32_t tk[] = { m, s->context };
    *out = (struct tower_inputs) { NULL, NULL, NULL };
    if (towers & MOHS_TOWER_IMAGE)
        out->pixels = graph_input(g, "pixels", MOHS_F32, 4, px);
    if (towers & MOHS_TOWER_TEXT) {
        out->tokens = graph_input(g, "tokens", MOHS_I32, 2, tk);
        out->last = graph_input(g, "last", MOHS_I32, 1, tk);
    }
}

mohs_status step_tower(const struct stepper *s, struct graph *g, uint32_t which,
                       const struct tower_inputs *x, struct tensor **raw,
                       struct tensor **embed, struct mohs_error *err)
{
    struct mohs_tower_inputs in = { .size = sizeof in };
    uint32_t three[] = { 3 };
    struct mohs_tensor *y = NULL;
    if (which == MOHS_TOWER_IMAGE)
        in.pixels = (struct mohs_tensor *)op(
            g, "normalize_pixels", graph_tap(g, "pixels", x->pixels),
            graph_constant(g, 1, three, s->pre->mean),
            graph_constant(g, 1, three, s->pre->std));
    in.tokens = (struct mohs_tensor *)x->tokens;
    in.last = (struct mohs_tensor *)x->last;
    mohs_status st = s->ops->build(s->model, &graph_api, (struct mohs_graph *)g, which,
                                   &in, &y, err);
    scratch_reset();
    if (st < 0)
        return st;
    *raw = (struct tensor *)y;
    *embed = op(g, "l2_normalize", *raw, NULL, NULL);
    return st;
}

/* A learned scalar of the model, or NULL when it has none. */
static struct tensor *scalar(const struct stepper *s, struct graph *g, const char *name)
{
    for (size_t i = 0; i < params_count(s->params); i++)
        if (!strcmp(params_name(s->params, i), name)) {
            uint32_t dims[MOHS_DIMS_MAX], n = params_shape(s->params, i, dims);
            return graph_weight(g, name, n, dims);
        }
    return NULL;
}

static struct tensor *pair_loss(const struct stepper *s, struct graph *g,
                                struct tensor *image, struct tensor *text)
{
    struct tensor *scale = op(g, "exp", scalar(s, g, "logit_scale"), NULL, NULL);
    if (s->o->loss == TRAIN_CLIP)
        return op(g, "contrastive", image, text, scale);
    struct tensor *in[] = { image, text, scale, scalar(s, g, "logit_bias") };
    return graph_op(g, "sigmoid_loss", in, 4, NULL, 0);
}

/* The losses of the image tower alone; makes g->target. */
static struct tensor *image_loss(const struct stepper *s, struct step_graph *g,
                                 uint32_t m)
{
    struct graph *gr = g->graph;
    uint32_t dim = s->ops->info(s->model)->embed_dim;
    uint32_t rows[] = { m, dim }, table[] = { (uint32_t)s->o->data->n_classes, dim };
    if (s->o->loss == TRAIN_FARE) {
        struct mohs_attr mean[] = { { "mul", 1.0 / m } };
        g->target = graph_input(gr, "anchor", MOHS_F32, 2, rows);
        struct tensor *d = op(gr, "sub", g->raw, g->target, NULL);
        d = op(gr, "sum", op(gr, "square", d, NULL, NULL), NULL, NULL);
        return graph_op(gr, "affine", &d, 1, mean, 1);
    }
    struct mohs_attr scale[] = { { "mul", s->scale } };
    struct tensor *z = op(gr, "linear", g->image,
                          graph_constant(gr, 2, table, s->prompts), NULL);
    g->target = graph_input(gr, "label", MOHS_I32, 1, rows);
    return op(gr, "cross_entropy", graph_op(gr, "affine", &z, 1, scale, 1), g->target,
              NULL);
}

static struct tensor *half(struct graph *g, struct tensor *x, uint32_t n, uint32_t from)
{
    struct mohs_attr a[] = { { "axis", 0 }, { "from", from }, { "n", n } };
    return graph_op(g, "slice", &x, 1, a, 3);
}

static struct tensor *similarity(const struct stepper *s, struct graph *g,
                                 struct tensor *image, struct tensor *text)
{
    struct tensor *in[] = { image, text };
    struct mohs_attr a[] = { { "b_trans", 1 } };
    struct tensor *scale = op(g, "exp", scalar(s, g, "logit_scale"), NULL, NULL);
    return op(g, "mul", graph_op(g, "matmul", in, 2, a, 1), scale, NULL);
}

/* clean L(clean) + L(adversarial) + beta KL over the two halves of a 2n batch. */
static struct tensor *objective(const struct stepper *s, struct step_graph *g,
                                uint32_t n)
{
    struct graph *gr = g->graph;
    struct tensor *i0 = half(gr, g->image, n, 0), *i1 = half(gr, g->image, n, n);
    struct tensor *t0 = half(gr, g->text, n, 0), *t1 = half(gr, g->text, n, n);
    g->loss_adversarial = pair_loss(s, gr, i1, t1);
    struct mohs_attr share[] = { { "mul", s->o->attack.clean } };
    struct tensor *clean = pair_loss(s, gr, i0, t0);
    if (s->o->attack.clean != 1)
        clean = graph_op(gr, "affine", &clean, 1, share, 1);
    struct tensor *sum = op(gr, "add", clean, g->loss_adversarial, NULL);
    if (s->o->attack.kl <= 0)
        return sum;
    struct tensor *a = similarity(s, gr, i0, t0), *b = similarity(s, gr, i1, t1);
    struct tensor *rows = op(gr, "symmetric_kl", a, b, NULL);
    struct tensor *columns = op(gr, "symmetric_kl", op(gr, "transpose", a, NULL, NULL),
                                op(gr, "transpose", b, NULL, NULL), NULL);
    struct tensor *kl = op(gr, "add", rows, columns, NULL);
    struct mohs_attr w[] = { { "mul", 0.5 * s->o->attack.kl } };
    return op(gr, "add", sum, graph_op(gr, "affine", &kl, 1, w, 1), NULL);
}

/* Gradients of the loss by parameters, by deltas, or by both at once. */
static mohs_status gradients(const struct stepper *s, struct step_graph *g,
                             struct params *p, bool by_params, bool by_deltas,
                             struct mohs_error *err)
{
    size_t n = by_params ? params_count(p) : 0, m = by_deltas ? s->n_taps : 0;
    struct tensor **w = xcalloc(n + m + 1, sizeof *w);
    struct tensor **d = xcalloc(n + m + 1, sizeof *d);
    for (size_t i = 0; i < n; i++) {
        uint32_t dims[MOHS_DIMS_MAX], k = params_shape(p, i, dims);
        w[i] = graph_weight(g->graph, params_name(p, i), k, dims);
    }
    for (size_t i = 0; i < m; i++)
        w[n + i] = g->delta[i];
    mohs_status st = graph_grad(g->graph, g->loss, NULL, w, n + m, d, err);
    for (size_t i = 0; i < n; i++)
        if (s->fixed && s->fixed[i])
            d[i] = NULL;
    for (size_t i = 0; st >= 0 && i < n + m; i++)
        if (d[i])
            graph_output(g->graph, d[i]);
    for (size_t i = 0; st >= 0 && i < m; i++) {
        g->delta_grad[i] = d[n + i];
        graph_output(g->graph, g->tap[i]);
        if (!d[n + i])
            st = mohs_fail(err, MOHS_E_ARG, "train: the loss does not depend on tap %s",
                           s->tap[i]);
    }
    if (by_params)
        g->grad = d; // the deltas' at the end are not looked at
    else
        free(d);
    free(w);
    return st;
}

mohs_status step_graph_new(const struct stepper *s, struct params *p,
                           enum step_kind kind, struct step_graph *out,
                           struct mohs_error *err)
{
    uint32_t n = s->o->batch, m = kind == STEP_BOTH ? 2 * n : n;
    struct step_graph g = { .graph = graph_new(s->compute, p) };
    bool perturbed = kind != STEP_CLEAN && kind != STEP_EMBED;
    bool climbs = kind == STEP_ASCENT ||
                  (kind == STEP_FREE && s->o->attack.kind != ADVERSARY_PLUGIN);
    bool texts = kind == STEP_EMBED || train_pairs(s->o);
    struct tensor *raw;
    mohs_status st;
    for (size_t i = 0; perturbed && i < s->n_taps; i++)
        graph_perturb(g.graph, s->tap[i]);
    tower_inputs_new(s, g.graph, MOHS_TOWER_IMAGE | (texts ? MOHS_TOWER_TEXT : 0), m,
                     &g.in);
    OUT_IF_ERR(step_tower(s, g.graph, MOHS_TOWER_IMAGE, &g.in, &g.raw, &g.image, err));
    if (texts)
        OUT_IF_ERR(step_tower(s, g.graph, MOHS_TOWER_TEXT, &g.in, &raw, &g.text, err));
    for (size_t i = 0; perturbed && i < s->n_taps; i++) {
        g.delta[i] = graph_find_delta(g.graph, s->tap[i]);
        g.tap[i] = graph_find_tap(g.graph, s->tap[i]);
        if (!g.delta[i]) {
            st = mohs_fail(err, MOHS_E_ARG, "train: the loss does not depend on tap %s",
                           s->tap[i]);
            goto out;
        }
    }
    if (kind == STEP_EMBED) {
        graph_output(g.graph, g.image);
        graph_output(g.graph, g.text);
        graph_output(g.graph, g.raw);
    } else {
        g.loss = kind == STEP_BOTH ? objective(s, &g, n)
                 : texts           ? pair_loss(s, g.graph, g.image, g.text)
                                   : image_loss(s, &g, m);
        OUT_IF_ERR(graph_status(g.graph, err));
        graph_output(g.graph, g.loss);
        if (kind == STEP_BOTH)
            graph_output(g.graph, g.loss_adversarial);
        OUT_IF_ERR(gradients(s, &g, p, kind != STEP_ASCENT, climbs, err));
    }
    OUT_IF_ERR(graph_status(g.graph, err));
    struct graph_cost cost;
    OUT_IF_ERR(graph_plan(g.graph, &cost, err));
    g.arena_bytes = cost.arena_bytes;
    *out = g;
    return MOHS_OK;
out:
    step_graph_free(&g);
    return st;
}

void step_graph_free(struct step_graph *g)
{
    graph_free(g->graph);
    free(g->grad);
    memset(g, 0, sizeof *g);
}

/* Writes x [n, ...] into t, twice when t holds 2n. */
static mohs_status write_twice(struct tensor *t, const void *x, size_t bytes, bool twice,
                               struct mohs_error *err)
{
    size_t offset;
    struct mohs_buffer *b = tensor_buffer(t, &offset);
    if (!b)
        return mohs_fail(err, MOHS_E_ARG, "train: an input has no storage");
    RET_IF_ERR(buffer_write(b, offset, x, bytes, err));
    return twice ? buffer_write(b, offset + bytes, x, bytes, err) : MOHS_OK;
}

mohs_status tower_inputs_write(const struct stepper *s, const struct tower_inputs *x,
                               const struct batch *b, bool twice, struct mohs_error *err)
{
    const struct mohs_model_info *info = s->ops->info(s->model);
    size_t n = s->o->batch;
    size_t px = n * 3 * info->image_height * info->image_width * sizeof(float);
    size_t tk = n * s->context * sizeof(int32_t);
    if (x->pixels)
        RET_IF_ERR(write_twice(x->pixels, b->pixels, px, twice, err));
    if (!x->tokens)
        return MOHS_OK;
    RET_IF_ERR(write_twice(x->tokens, b->tokens, tk, twice, err));
    return write_twice(x->last, b->last, n * sizeof(int32_t), twice, err);
}

mohs_status step_graph_write(const struct stepper *s, struct step_graph *g,
                             enum step_kind kind, const struct batch *b,
                             const float *anchor, struct mohs_error *err)
{
    RET_IF_ERR(tower_inputs_write(s, &g->in, b, kind == STEP_BOTH, err));
    if (!g->target)
        return MOHS_OK;
    return tensor_write(g->target, anchor ? (const void *)anchor : b->label, err);
}
