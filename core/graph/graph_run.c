/* SPDX-License-Identifier: MIT */
/* Allocating the arena, running stages, moving data, finding NaNs. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "graph/graph_internal.h"

static const char *const kernel_files[K_FILES] = {
    [K_ELEMENTWISE] = "elementwise", [K_NORM] = "norm", [K_EMBED] = "embed",
    [K_PATCH] = "patch",             [K_LOSS] = "loss", [K_CONV] = "conv",
    [K_POOL] = "pool",
};

/* ---- memory ----------------------------------------------------------- */

static void tensor_bind(struct graph *g, struct tensor *t)
{
    struct tensor *r = t->root;
    if (r->kind == T_WEIGHT)
        t->buf = params_buffer(g->params, r->param);
    else
        t->buf = r->st ? r->st->window : NULL;
}

mohs_status graph_allocate(struct graph *g, struct mohs_error *err)
{
    if (g->ready)
        return MOHS_OK;
    if (!g->planned)
        return mohs_fail(err, MOHS_E_ARG, "graph: not planned yet");
    for (uint32_t i = 0; i < g->n_segments; i++)
        if (!g->segment[i])
            RET_IF_ERR(buffer_new(g->c, (size_t)g->segment_bytes[i],
                                  &g->segment[i], err));
    for (uint32_t i = 0; i < g->n_storage; i++) {
        struct storage *s = g->storage[i];
        if (!s->window)
            RET_IF_ERR(buffer_sub(g->segment[s->segment], (size_t)s->offset,
                                  (size_t)s->bytes, &s->window, err));
    }
    stream_weights(g);
    for (struct tensor *t = g->tensors; t; t = t->next)
        if (t->kind == T_WEIGHT && t->floats)
            RET_IF_ERR(params_keep(g->params, t->param, err));
    for (struct tensor *t = g->tensors; t; t = t->next) {
        tensor_bind(g, t);
        if (t->kind == T_INPUT)
            RET_IF_ERR(buffer_fill(t->buf, 0, 0, (size_t)t->count * 4, err));
        if (t->kind == T_CONST && t->st)
            RET_IF_ERR(buffer_write(t->buf, 0, t->data, (size_t)t->count * 4,
                                    err));
    }
    g->ready = true;
    return MOHS_OK;
}

static void profile_report(const struct graph *g)
{
    double total = 0;
    struct str seen = { 0 };
    for (uint32_t i = 0; i < g->n_order; i++)
        total += g->op_seconds[i];
    for (uint32_t i = 0; i < g->n_order; i++) {
        const char *name = g->order[i]->op->info.name;
        double s = 0;
        uint32_t n = 0;
        bool first = true;
        for (uint32_t j = 0; j < g->n_order; j++)
            if (g->order[j]->op == g->order[i]->op) {
                first = first && j >= i;
                s += g->op_seconds[j];
                n++;
            }
        if (first)
            str_addf(&seen, "\n  %-24s %4u nodes %8.3f ms %5.1f %%", name, n,
                     1e3 * s / g->op_runs, 100 * s / total);
    }
    log_info("graph profile: %u runs, %.3f ms each%s", g->op_runs,
             1e3 * total / g->op_runs, seen.n ? seen.s : "");
    str_free(&seen);
}

void graph_free(struct graph *g)
{
    if (!g)
        return;
    if (g->op_seconds && g->op_runs)
        profile_report(g);
    free(g->op_seconds);
    for (uint32_t i = 0; i < g->n_storage; i++)
        buffer_unref(g->storage[i]->window);
    for (uint32_t i = 0; i < g->n_segments; i++)
        buffer_unref(g->segment[i]);
    buffer_unref(g->probe);
    arena_free(g->mem);
    free(g);
}

/* ---- launching -------------------------------------------------------- */

struct mohs_arg arg_tensor(const struct tensor *t, const struct tensor *other)
{
    return mohs_arg_buffer(t && t->buf ? t->buf : other->buf);
}

uint32_t share_for(const struct compute *c, uint64_t n, uint64_t cost)
{
    const struct mohs_device_info *d = compute_device(c);
    if (d->type != MOHS_DEVICE_CPU)
        return 1;
    uint64_t share = 4096 / (cost ? cost : 1);
    uint64_t most = n / (2 * (uint64_t)(d->units ? d->units : 1));
    if (share > most)
        share = most;
    return share ? (uint32_t)share : 1;
}

mohs_status graph_launch(struct graph *g, enum kernel_file file,
                         const char *kernel, size_t items, size_t items_y,
                         const struct mohs_arg *args, uint32_t n_args,
                         struct mohs_error *err)
{
    if (!g->program[file])
        RET_IF_ERR(program_core(g->c, kernel_files[file], "",
                                &g->program[file], err));
    bool cpu = compute_device(g->c)->type == MOHS_DEVICE_CPU;
    size_t local[2] = { cpu ? 1 : 64, 1 };
    size_t global[2] = { ceil_div(items, local[0]) * local[0], items_y };
    return kernel_run(g->c, g->program[file], kernel, 2, global, local, args,
                      n_args, err);
}

static mohs_status node_run(struct graph *g, struct node *nd,
                            struct mohs_error *err)
{
    uint64_t of = params_version(g->params) + 1;
    if (nd->op->view || (nd->fixed && nd->of == of))
        return MOHS_OK;
    mohs_status st = nd->op->run(g, nd, err);
    nd->of = st < 0 ? 0 : of;
    if (st < 0)
        err_prefix(err, st, "node %u (%s)", nd->id, nd->op->info.name);
    return st;
}

/* ---- NaN -------------------------------------------------------------- */

static mohs_status finite(struct graph *g, const struct tensor *t, bool *ok,
                          struct mohs_error *err)
{
    uint32_t bad = 0;
    *ok = true;
    if (!t || !t->buf || t->dtype != MOHS_F32)
        return MOHS_OK;
    if (!g->probe)
        RET_IF_ERR(buffer_new(g->c, 64, &g->probe, err));
    RET_IF_ERR(buffer_fill(g->probe, 0, 0, 64, err));
    uint32_t n = (uint32_t)t->count, share = share_for(g->c, n, 1);
    RET_IF_ERR(LAUNCH(g, K_ELEMENTWISE, "find_nonfinite", ceil_div(n, share), 1,
                      err, mohs_arg_buffer(t->buf), mohs_arg_u32(n),
                      mohs_arg_u32(share), mohs_arg_buffer(g->probe)));
    RET_IF_ERR(buffer_read(g->probe, 0, &bad, 4, err));
    *ok = bad == 0;
    return MOHS_OK;
}

/* A weight held packed is looked at in a copy. */
static mohs_status leaf_finite(struct graph *g, struct tensor *t, bool *ok,
                               struct mohs_error *err)
{
    if (t->kind != T_WEIGHT || t->buf)
        return finite(g, t, ok, err);
    RET_IF_ERR(params_floats(g->params, t->param, &t->buf, err));
    mohs_status st = finite(g, t, ok, err);
    t->buf = NULL;
    return st;
}

static const char *nan_leaf(struct graph *g, const struct tensor *t)
{
    g->nan_name = arena_printf(g->mem, "%s \"%s\"",
                               t->kind == T_WEIGHT  ? "weight"
                               : t->kind == T_INPUT ? "input"
                                                    : "constant",
                               t->name);
    return g->nan_name;
}

static mohs_status leaves_check(struct graph *g, const char **name,
                                struct mohs_error *err)
{
    for (struct tensor *t = g->tensors; t && !*name; t = t->next) {
        bool ok = true;
        if (t->kind != T_NODE && t->used)
            RET_IF_ERR(leaf_finite(g, t, &ok, err));
        if (!ok)
            *name = nan_leaf(g, t);
    }
    return MOHS_OK;
}

static mohs_status node_check(struct graph *g, const struct node *nd,
                              const char **name, struct mohs_error *err)
{
    for (uint32_t i = 0; i < nd->n_out && !*name && !nd->op->view; i++) {
        bool ok = true;
        // scratch that nothing reads may hold anything
        if (i == 0 || nd->out[i]->used)
            RET_IF_ERR(finite(g, nd->out[i], &ok, err));
        if (!ok)
            *name = g->nan_name = arena_printf(
                g->mem, "node %u (%s)%s%s%s, stage %u", nd->id,
                nd->op->info.name, nd->near ? " after tap \"" : "",
                nd->near ? nd->near : "", nd->near ? "\"" : "", nd->stage);
    }
    return MOHS_OK;
}

const char *graph_find_nan(struct graph *g, struct mohs_error *err)
{
    const char *name = NULL;
    if (graph_allocate(g, err) < 0 || leaves_check(g, &name, err) < 0)
        return NULL;
    for (uint32_t i = 0; i < g->n_order && !name; i++)
        if (node_run(g, g->order[i], err) < 0 ||
            node_check(g, g->order[i], &name, err) < 0)
            return NULL;
    return name;
}

/* ---- running ---------------------------------------------------------- */

static mohs_status run_checked(struct graph *g, struct node *nd,
                               struct mohs_error *err)
{
    const char *name = NULL;
    RET_IF_ERR(node_run(g, nd, err));
    RET_IF_ERR(node_check(g, nd, &name, err));
    if (name)
        return mohs_fail(err, MOHS_E_NUMERIC,
                         "the first NaN or infinity is made by %s", name);
    return MOHS_OK;
}

static mohs_status run_profiled(struct graph *g, uint32_t i,
                                struct mohs_error *err)
{
    if (!g->op_seconds)
        g->op_seconds = xcalloc(g->n_order + 1, sizeof *g->op_seconds);
    double t0 = now_s();
    RET_IF_ERR(node_run(g, g->order[i], err));
    RET_IF_ERR(compute_finish(g->c, err));
    g->op_seconds[i] += now_s() - t0;
    return MOHS_OK;
}

static bool env_on(const char *name)
{
    const char *s = getenv(name);
    return s && *s && strcmp(s, "0") != 0;
}

mohs_status graph_run_stage(struct graph *g, uint32_t stage,
                            struct mohs_error *err)
{
    bool check = env_on("MOHS_CHECK_NAN"), profile = env_on("MOHS_PROFILE");
    const char *name = NULL;
    RET_IF_ERR(graph_allocate(g, err));
    if (check) {
        RET_IF_ERR(leaves_check(g, &name, err));
        if (name)
            return mohs_fail(err, MOHS_E_NUMERIC, "%s holds a NaN or infinity",
                             name);
    }
    for (uint32_t i = 0; i < g->n_order; i++) {
        struct node *nd = g->order[i];
        if (nd->stage != stage)
            continue;
        if (check)
            RET_IF_ERR(run_checked(g, nd, err));
        else if (profile)
            RET_IF_ERR(run_profiled(g, i, err));
        else
            RET_IF_ERR(node_run(g, nd, err));
    }
    if (profile && stage + 1 == g->n_stages)
        g->op_runs++;
    return MOHS_OK;
}

mohs_status graph_run(struct graph *g, struct mohs_error *err)
{
    for (uint32_t s = 0; s < g->n_stages; s++)
        RET_IF_ERR(graph_run_stage(g, s, err));
    return MOHS_OK;
}

static const char *tensor_label(const struct tensor *t)
{
    return t->name ? t->name : t->node ? t->node->op->info.name : "tensor";
}

mohs_status tensor_write(struct tensor *t, const void *data,
                         struct mohs_error *err)
{
    if (t->kind != T_INPUT)
        return mohs_fail(err, MOHS_E_ARG, "\"%s\" is no input",
                         tensor_label(t));
    RET_IF_ERR(graph_allocate(t->g, err));
    return buffer_write(t->buf, 0, data, (size_t)t->count * 4, err);
}

mohs_status tensor_read(struct tensor *t, void *out, struct mohs_error *err)
{
    RET_IF_ERR(graph_allocate(t->g, err));
    if (t->root->kind == T_NODE && !t->output)
        return mohs_fail(err, MOHS_E_ARG,
                         "the result of \"%s\" is not kept: mark it as output",
                         tensor_label(t));
    if (!t->buf)
        return mohs_fail(err, MOHS_E_ARG, "\"%s\" is not used by any output",
                         tensor_label(t));
    return buffer_read(t->buf, 0, out, (size_t)t->count * 4, err);
}

struct mohs_buffer *tensor_buffer(struct tensor *t, size_t *offset)
{
    if (offset)
        *offset = 0;
    return t && graph_allocate(t->g, NULL) >= 0 ? t->buf : NULL;
}
