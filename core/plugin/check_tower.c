/* SPDX-License-Identifier: MIT */
/* The tiny model of a check, and one of its towers as a graph. */
#include "config.h"

#include "plugin/check_tower.h"

#include <stdlib.h>
#include <string.h>

const struct registry_extension check_extensions[] = {
    { MOHS_EXT_WEIGHTS, &tiny_weights_api },
    { MOHS_EXT_GRAPH, &graph_api },
    { NULL, NULL },
};

/* ---- the model of one check ---- */

mohs_status model_create(struct check_run *c, const void *params, void **self,
                         struct mohs_error *err)
{
    const struct mohs_model_ops *ops = c->it->item->ops;
    return ops->create(c->host, params, c->user, self, err);
}

void model_destroy(struct check_run *c, void *self)
{
    const struct mohs_model_ops *ops = c->it->item->ops;
    ops->destroy(self);
    scratch_reset();
}

void model_close(struct check_run *c, struct model *m)
{
    if (m->in.params) {
        model_destroy(c, m->in.self);
        instance_free(c, &m->in);
    }
    params_free(m->params);
    tiny_close(&m->w);
}

static bool make(struct check_run *c, struct model *m, const char *what)
{
    const struct mohs_model_ops *ops = c->it->item->ops;
    struct mohs_error err = MOHS_ERROR_INIT;
    mohs_status st = instance_make(c, item_params_new(c->it), model_create,
                                   &m->in, &err);
    if (!check_status(c, what, st, &err))
        return false;
    m->info = ops->info(m->in.self);
    scratch_reset();
    return m->info || check_fail(c, "info: NULL");
}

bool model_again(struct check_run *c, struct model *m)
{
    model_destroy(c, m->in.self);
    instance_free(c, &m->in);
    return make(c, m, "create with parameters");
}

bool model_open(struct check_run *c, struct model *m)
{
    const struct mohs_model_ops *ops = c->it->item->ops;
    struct mohs_error err = MOHS_ERROR_INIT;
    memset(m, 0, sizeof *m);
    tiny_open(&m->w, c->it->item->id);
    c->user = &m->w;
    return make(c, m, "create") &&
           check_status(c, "describe",
                        ops->describe(m->in.self, tiny_take, &m->w, &err),
                        &err) &&
           model_again(c, m);
}

bool model_device(struct check_run *c, struct model *m)
{
    struct mohs_error err = MOHS_ERROR_INIT;
    if (!check_status(c, "device",
                      registry_compute(c->registry, &m->compute, &err), &err))
        return false;
    m->params = params_new(m->compute);
    for (size_t i = 0; i < m->w.n; i++) {
        const struct tiny_tensor *t = &m->w.t[i];
        // A scalar is read by create(); graphs have no such tensors.
        if (t->n_dims && !check_status(c, t->name,
                                       params_set(m->params, t->name, t->n_dims,
                                                  t->dims, t->data, &err),
                                       &err))
            return false;
    }
    return true;
}

/* ---- one tower as a graph ---- */

bool tower_build(struct check_run *c, struct model *m, uint32_t which,
                 uint32_t n, uint32_t context, const char *perturb,
                 struct tower *t)
{
    const struct mohs_model_ops *ops = c->it->item->ops;
    struct mohs_error err = MOHS_ERROR_INIT;
    struct mohs_tower_inputs in = { .size = sizeof in };
    struct mohs_tensor *out = NULL;
    uint32_t dims[MOHS_DIMS_MAX];
    memset(t, 0, sizeof *t);
    t->g = graph_new(m->compute, m->params);
    t->n = n;
    t->context = context;
    if (perturb)
        graph_perturb(t->g, perturb);
    if (which == MOHS_TOWER_IMAGE) {
        uint32_t shape[] = { n, 3, m->info->image_height,
                             m->info->image_width };
        t->pixels = graph_input(t->g, "pixels", MOHS_F32, 4, shape);
        in.pixels = (struct mohs_tensor *)t->pixels;
    } else {
        uint32_t shape[] = { n, context };
        t->tokens = graph_input(t->g, "tokens", MOHS_I32, 2, shape);
        t->last = graph_input(t->g, "last", MOHS_I32, 1, shape);
        in.tokens = (struct mohs_tensor *)t->tokens;
        in.last = (struct mohs_tensor *)t->last;
    }
    mohs_status st =
        ops->build(m->in.self, &graph_api, (struct mohs_graph *)t->g, which,
                   &in, &out, &err);
    scratch_reset();
    if (st >= 0)
        st = graph_status(t->g, &err);
    const char *name = which == MOHS_TOWER_IMAGE ? "image tower" : "text tower";
    if (!check_status(c, name, st, &err))
        return false;
    t->out = (struct tensor *)out;
    if (!out || tensor_shape(t->out, dims) != 2 || dims[0] != n ||
        dims[1] != m->info->embed_dim)
        return check_fail(c, "%s: the result is not [%u, %u]", name, n,
                          m->info->embed_dim);
    t->dim = dims[1];
    graph_output(t->g, t->out);
    return true;
}

/* Sample i of a batch is number which[i] of an endless series. */
bool tower_feed(struct check_run *c, struct tower *t,
                const uint32_t *which, const float *shift, double step)
{
    struct mohs_error err = MOHS_ERROR_INIT;
    mohs_status st;
    if (t->pixels) {
        size_t n = (size_t)tensor_count(t->pixels), one = n / t->n;
        float *x = xmalloc(n * sizeof *x);
        for (size_t i = 0; i < n; i++)
            x[i] = mohs_rng_normal(61, which[i / one], i % one) +
                   (shift ? (float)(step * (double)shift[i]) : 0);
        st = tensor_write(t->pixels, x, &err);
        free(x);
    } else {
        int32_t ids[CHECK_BATCH * TINY_CONTEXT], last[CHECK_BATCH];
        for (uint32_t i = 0; i < t->n; i++) {
            last[i] = (int32_t)(2 + (which[i] + 1) % 3);
            for (uint32_t k = 0; k < t->context; k++)
                ids[i * t->context + k] =
                    !k ? TINY_VOCAB - 2
                    : k >= (uint32_t)last[i]
                        ? TINY_VOCAB - 1
                        : (int32_t)mohs_rng_below(62, which[i], k,
                                                  TINY_VOCAB - 2);
        }
        st = tensor_write(t->tokens, ids, &err);
        if (st >= 0)
            st = tensor_write(t->last, last, &err);
    }
    return check_status(c, "input", st, &err);
}

bool tower_run(struct check_run *c, struct tower *t, float *out)
{
    struct mohs_error err = MOHS_ERROR_INIT;
    mohs_status st = graph_run(t->g, &err);
    if (st >= 0)
        st = tensor_read(t->out, out, &err);
    return check_status(c, "run", st, &err);
}

bool tower_plan(struct check_run *c, struct tower *t)
{
    struct mohs_error err = MOHS_ERROR_INIT;
    struct graph_cost cost;
    return check_status(c, "plan", graph_plan(t->g, &cost, &err), &err);
}
