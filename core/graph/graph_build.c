/* SPDX-License-Identifier: MIT */
/* Building graphs: tensors, nodes, taps, and the public table. */
#include "config.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "graph/graph_internal.h"

/* ---- helpers ---------------------------------------------------------- */

struct tensor *graph_fail(struct graph *g, mohs_status st, const char *fmt, ...)
{
    if (g->err.status < 0)
        return NULL;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(g->err.text, sizeof g->err.text, fmt, ap);
    va_end(ap);
    g->err.status = st;
    return NULL;
}

const char *shape_text(const struct tensor *t, char buf[SHAPE_TEXT])
{
    if (!t)
        return "none";
    int n = snprintf(buf, SHAPE_TEXT, "[");
    for (uint32_t i = 0; i < t->n_dims && n < SHAPE_TEXT; i++)
        n += snprintf(buf + n, (size_t)(SHAPE_TEXT - n), i ? ", %u" : "%u",
                      t->dims[i]);
    if (n < SHAPE_TEXT - 1)
        snprintf(buf + n, (size_t)(SHAPE_TEXT - n), "]");
    return buf;
}

uint64_t dims_product(const struct tensor *t, uint32_t from, uint32_t to)
{
    uint64_t n = 1;
    for (uint32_t i = from; i < to && i < t->n_dims; i++)
        n *= t->dims[i];
    return n;
}

bool same_shape(const struct tensor *a, const struct tensor *b)
{
    if (a->n_dims != b->n_dims)
        return false;
    for (uint32_t i = 0; i < a->n_dims; i++)
        if (a->dims[i] != b->dims[i])
            return false;
    return true;
}

static mohs_status dims_check(uint32_t n_dims, const uint32_t *dims,
                              uint64_t *count, struct mohs_error *err)
{
    if (n_dims == 0 || n_dims > MOHS_DIMS_MAX)
        return mohs_fail(err, MOHS_E_ARG, "%u dims, not 1..%d", n_dims,
                         MOHS_DIMS_MAX);
    uint64_t n = 1;
    for (uint32_t i = 0; i < n_dims; i++) {
        if (dims[i] == 0)
            return mohs_fail(err, MOHS_E_ARG, "dim %u is 0", i);
        n *= dims[i];
        if (n > UINT32_MAX)
            return mohs_fail(err, MOHS_E_ARG,
                             "more than %u elements", UINT32_MAX);
    }
    *count = n;
    return MOHS_OK;
}

struct tensor *tensor_new(struct graph *g, enum tensor_kind kind, int dtype,
                          uint32_t n_dims, const uint32_t *dims)
{
    struct tensor *t = arena_alloc(g->mem, sizeof *t);
    t->g = g;
    t->kind = kind;
    t->dtype = dtype;
    t->n_dims = n_dims;
    memcpy(t->dims, dims, n_dims * sizeof *dims);
    t->count = dims_product(t, 0, n_dims);
    t->root = t;
    *g->tensors_end = t;
    g->tensors_end = &t->next;
    return t;
}

mohs_status node_out(struct node *nd, uint32_t i, int dtype, uint32_t n_dims,
                     const uint32_t *dims, struct mohs_error *err)
{
    uint64_t count;
    RET_IF_ERR(dims_check(n_dims, dims, &count, err));
    struct tensor *t = tensor_new(nd->in[0]->g, T_NODE, dtype, n_dims, dims);
    t->node = nd;
    nd->out[i] = t;
    if (i >= nd->n_out)
        nd->n_out = i + 1;
    return MOHS_OK;
}

mohs_status node_out_like(struct node *nd, uint32_t i, const struct tensor *t,
                          struct mohs_error *err)
{
    return node_out(nd, i, MOHS_F32, t->n_dims, t->dims, err);
}

/* ---- graphs ----------------------------------------------------------- */

struct graph *graph_new(struct compute *c, struct params *p)
{
    struct graph *g = xcalloc(1, sizeof *g);
    g->c = c;
    g->params = p;
    g->mem = arena_new();
    g->err.size = sizeof g->err;
    g->tensors_end = &g->tensors;
    g->nodes_end = &g->nodes;
    g->n_stages = 1;
    return g;
}

mohs_status graph_status(const struct graph *g, struct mohs_error *err)
{
    if (g->err.status < 0)
        return mohs_fail(err, g->err.status, "%s", g->err.text);
    return MOHS_OK;
}

/* True when building may go on. */
static bool building(struct graph *g, const char *what)
{
    if (g->planned)
        graph_fail(g, MOHS_E_ARG, "%s: the graph is planned already", what);
    return g->err.status >= 0;
}

static struct tensor *leaf_new(struct graph *g, enum tensor_kind kind,
                               const char *name, int dtype, uint32_t n_dims,
                               const uint32_t *dims)
{
    uint64_t count;
    struct mohs_error e = MOHS_ERROR_INIT;
    if (dtype != MOHS_F32 && dtype != MOHS_I32)
        return graph_fail(g, MOHS_E_ARG, "tensor \"%s\": unknown dtype %d",
                          name, dtype);
    if (dims_check(n_dims, dims, &count, &e) < 0)
        return graph_fail(g, e.status, "tensor \"%s\": %s", name, e.text);
    struct tensor *t = tensor_new(g, kind, dtype, n_dims, dims);
    t->name = arena_strdup(g->mem, name);
    return t;
}

struct tensor *graph_input(struct graph *g, const char *name, int dtype,
                           uint32_t n_dims, const uint32_t *dims)
{
    if (!building(g, name))
        return NULL;
    for (struct tensor *t = g->tensors; t; t = t->next)
        if (t->kind == T_INPUT && strcmp(t->name, name) == 0)
            return graph_fail(g, MOHS_E_ARG, "input \"%s\" exists already",
                              name);
    return leaf_new(g, T_INPUT, name, dtype, n_dims, dims);
}

struct tensor *graph_weight(struct graph *g, const char *name, uint32_t n_dims,
                            const uint32_t *dims)
{
    if (!building(g, name))
        return NULL;
    size_t i = params_find(g->params, name);
    if (i == SIZE_MAX)
        return graph_fail(g, MOHS_E_FORMAT, "weight \"%s\" is missing", name);
    struct tensor *t = g->tensors;
    while (t && (t->kind != T_WEIGHT || t->param != i))
        t = t->next;
    struct tensor want = { .n_dims = n_dims < 5 ? n_dims : 5 }, have = want;
    memcpy(want.dims, dims, want.n_dims * sizeof *dims);
    have.n_dims = params_shape(g->params, i, have.dims);
    if (!same_shape(&want, &have)) {
        char a[SHAPE_TEXT], b[SHAPE_TEXT];
        return graph_fail(g, MOHS_E_FORMAT,
                          "weight \"%s\" has shape %s, the model needs %s",
                          name, shape_text(&have, a), shape_text(&want, b));
    }
    if (!t) {
        // A parameter without dims, a number, is [1] in a graph.
        static const uint32_t one[] = { 1 };
        t = leaf_new(g, T_WEIGHT, name, MOHS_F32, n_dims ? n_dims : 1,
                     n_dims ? dims : one);
        if (t)
            t->param = i;
    }
    return t;
}

struct tensor *graph_constant(struct graph *g, uint32_t n_dims,
                              const uint32_t *dims, const float *data)
{
    if (!building(g, "constant"))
        return NULL;
    struct tensor *t = leaf_new(g, T_CONST, "constant", MOHS_F32, n_dims, dims);
    if (!t)
        return NULL;
    t->data = arena_alloc(g->mem, (size_t)t->count * sizeof *data);
    memcpy(t->data, data, (size_t)t->count * sizeof *data);
    return t;
}

/* ---- ops -------------------------------------------------------------- */

static struct tensor *op_unknown(struct graph *g, const char *name)
{
    const char *names[128];
    size_t n = 0;
    for (const struct op_info *o; n < 128 && (o = op_list(n)); n++)
        names[n] = o->name;
    const char *near = str_nearest(name, names, n);
    if (near)
        return graph_fail(g, MOHS_E_ARG,
                          "unknown op \"%s\": did you mean \"%s\"?", name,
                          near);
    return graph_fail(g, MOHS_E_ARG, "unknown op \"%s\"", name);
}

static mohs_status attrs_fill(const struct op *op, double *out,
                              const struct mohs_attr *attr, uint32_t n,
                              struct mohs_error *err)
{
    struct attr_spec spec[OP_ATTR_MAX];
    uint32_t n_spec = op_attrs(op, spec);
    for (uint32_t i = 0; i < n_spec; i++)
        out[i] = spec[i].def;
    for (uint32_t a = 0; a < n; a++) {
        uint32_t i = 0;
        while (i < n_spec && strcmp(spec[i].name, attr[a].name) != 0)
            i++;
        double v = attr[a].value;
        if (i == n_spec)
            return mohs_fail(err, MOHS_E_ARG,
                             "unknown attribute \"%s\" (there are: %s)",
                             attr[a].name,
                             n_spec ? op->info.attributes : "none");
        if (!(v >= spec[i].lo && v <= spec[i].hi))
            return mohs_fail(err, MOHS_E_ARG,
                             "attribute %s = %g is outside %g..%g",
                             spec[i].name, v, spec[i].lo, spec[i].hi);
        if (spec[i].integer && v != floor(v))
            return mohs_fail(err, MOHS_E_ARG,
                             "attribute %s = %g is not a whole number",
                             spec[i].name, v);
        out[i] = v;
    }
    return MOHS_OK;
}

/* Checks the inputs against the grammar in info.inputs. */
static mohs_status inputs_check(const struct graph *g, const struct op *op,
                                struct tensor *const *in, uint32_t n_in,
                                struct mohs_error *err)
{
    const char *s = op->info.inputs;
    uint32_t i = 0;
    bool many = false;
    while (*s) {
        bool ints = strncmp(s, "int ", 4) == 0;
        s += ints ? 4 : 0;
        int len = (int)strcspn(s, "?,.");
        bool optional = s[len] == '?';
        many = s[len] == '.';
        const struct tensor *t = i < n_in ? in[i] : NULL;
        if (!t && !optional)
            return mohs_fail(err, MOHS_E_ARG, "input \"%.*s\" is missing", len,
                             s);
        if (t && t->g != g)
            return mohs_fail(err, MOHS_E_ARG,
                             "input \"%.*s\" is of another graph", len, s);
        if (t && ints != (t->dtype == MOHS_I32))
            return mohs_fail(err, MOHS_E_ARG, "input \"%.*s\" must be %s", len,
                             s, ints ? "int32" : "float32");
        s += len;
        while (*s && (*s == '?' || *s == ',' || *s == '.' || *s == ' '))
            s++;
        i++;
    }
    for (; i < n_in && i < OP_IN_MAX; i++) {
        if (in[i] && (!many || in[i]->dtype != MOHS_F32 || in[i]->g != g))
            return mohs_fail(err, MOHS_E_ARG,
                             "input %u is one too many (there are: %s)", i,
                             op->info.inputs);
        if (!in[i] && many)
            return mohs_fail(err, MOHS_E_ARG, "input %u is missing", i);
    }
    if (n_in > OP_IN_MAX)
        return mohs_fail(err, MOHS_E_ARG, "%u inputs, at most %d", n_in,
                         OP_IN_MAX);
    return MOHS_OK;
}

struct tensor *graph_op(struct graph *g, const char *name,
                        struct tensor *const *in, uint32_t n_in,
                        const struct mohs_attr *attr, uint32_t n_attr)
{
    if (!building(g, name))
        return NULL;
    const struct op *op = op_find(name);
    if (!op)
        return op_unknown(g, name);
    struct mohs_error e = MOHS_ERROR_INIT;
    struct node *nd = arena_alloc(g->mem, sizeof *nd);
    if (inputs_check(g, op, in, n_in, &e) < 0 ||
        attrs_fill(op, nd->attr, attr, n_attr, &e) < 0)
        return graph_fail(g, e.status, "%s: %s", name, e.text);
    nd->op = op;
    nd->n_in = n_in;
    memcpy(nd->in, in, n_in * sizeof *in);
    if (op->expand)
        return op->expand(g, nd->in, n_in, nd->attr);
    nd->id = g->n_nodes;
    nd->near = g->near;
    if (op->shape(nd, &e) < 0)
        return graph_fail(g, e.status, "%s: %s", name, e.text);
    g->n_nodes++;
    *g->nodes_end = nd;
    g->nodes_end = &nd->next;
    if (op->view)
        nd->out[0]->root = nd->in[0]->root;
    return nd->out[0];
}

struct tensor *reshape_to(struct graph *g, struct tensor *t, uint32_t n_dims,
                          const uint32_t *dims)
{
    if (!t)
        return NULL;
    struct mohs_attr at[MOHS_DIMS_MAX];
    static const char *const names[] = { "d0", "d1", "d2", "d3", "d4" };
    for (uint32_t i = 0; i < n_dims; i++)
        at[i] = (struct mohs_attr){ names[i], dims[i] };
    return graph_op(g, "reshape", &t, 1, at, n_dims);
}

/* ---- taps ------------------------------------------------------------- */

static struct tap *tap_find(struct tap *list, const char *name)
{
    while (list && strcmp(list->name, name) != 0)
        list = list->next;
    return list;
}

void graph_perturb(struct graph *g, const char *tap)
{
    if (!building(g, tap) || tap_find(g->wanted, tap))
        return;
    struct tap *w = arena_alloc(g->mem, sizeof *w);
    w->name = arena_strdup(g->mem, tap);
    w->next = g->wanted;
    g->wanted = w;
}

struct tensor *graph_tap(struct graph *g, const char *name, struct tensor *x)
{
    if (!building(g, name))
        return NULL;
    if (!x)
        return graph_fail(g, MOHS_E_ARG, "tap \"%s\" has no tensor", name);
    struct tap *t = arena_alloc(g->mem, sizeof *t);
    t->name = arena_strdup(g->mem, name);
    t->x = x;
    t->next = g->taps;
    g->taps = t;
    g->near = t->name;
    struct tap *w = tap_find(g->wanted, name);
    if (!w)
        return x;
    if (!w->delta) {
        char *label = arena_printf(g->mem, "delta:%s", name);
        w->delta = graph_input(g, label, MOHS_F32, x->n_dims, x->dims);
    }
    t->delta = w->delta;
    return w->delta ? OP(g, "add", x, w->delta) : NULL;
}

struct tensor *graph_find_tap(struct graph *g, const char *name)
{
    struct tap *t = tap_find(g->taps, name);
    return t ? t->x : NULL;
}

struct tensor *graph_find_delta(struct graph *g, const char *name)
{
    struct tap *t = tap_find(g->wanted, name);
    return t ? t->delta : NULL;
}

/* ---- outputs and stages ----------------------------------------------- */

void graph_stage(struct graph *g, uint32_t stage)
{
    if (!building(g, "stage"))
        return;
    g->stage = stage;
    if (stage + 1 > g->n_stages)
        g->n_stages = stage + 1;
}

void graph_output(struct graph *g, struct tensor *t)
{
    if (!building(g, "output"))
        return;
    if (!t) {
        graph_fail(g, MOHS_E_ARG, "an output is no tensor");
        return;
    }
    if (!t->output || g->stage < t->stage)
        t->stage = g->stage;
    t->output = true;
}

uint32_t tensor_shape(const struct tensor *t, uint32_t dims[MOHS_DIMS_MAX])
{
    if (!t)
        return 0;
    if (dims)
        memcpy(dims, t->dims, sizeof t->dims);
    return t->n_dims;
}

uint64_t tensor_count(const struct tensor *t)
{
    return t ? t->count : 0;
}

/* ---- the public table ------------------------------------------------- */

static struct graph *inner(struct mohs_graph *g)
{
    return (struct graph *)(void *)g;
}

static struct mohs_tensor *outer(struct tensor *t)
{
    return (struct mohs_tensor *)(void *)t;
}

static struct mohs_tensor *api_weight(struct mohs_graph *g, const char *name,
                                      uint32_t n_dims, const uint32_t *dims)
{
    return outer(graph_weight(inner(g), name, n_dims, dims));
}

static struct mohs_tensor *api_op(struct mohs_graph *g, const char *op,
                                  struct mohs_tensor *const *in, uint32_t n_in,
                                  const struct mohs_attr *attr, uint32_t n_attr)
{
    struct tensor *t[OP_IN_MAX] = { NULL };
    for (uint32_t i = 0; i < n_in && i < OP_IN_MAX; i++)
        t[i] = (struct tensor *)(void *)in[i];
    return outer(graph_op(inner(g), op, t, n_in, attr, n_attr));
}

static struct mohs_tensor *api_tap(struct mohs_graph *g, const char *name,
                                   struct mohs_tensor *x)
{
    return outer(graph_tap(inner(g), name, (struct tensor *)(void *)x));
}

static uint32_t api_shape(struct mohs_graph *g, const struct mohs_tensor *t,
                          uint32_t dims[MOHS_DIMS_MAX])
{
    if (inner(g)->err.status < 0)
        return 0;
    return tensor_shape((const struct tensor *)(const void *)t, dims);
}

static void api_fail(struct mohs_graph *g, mohs_status st, const char *text)
{
    graph_fail(inner(g), st < 0 ? st : MOHS_E_PLUGIN, "%s", text);
}

const struct mohs_graph_api graph_api = {
    .size = sizeof graph_api,
    .weight = api_weight,
    .op = api_op,
    .tap = api_tap,
    .shape = api_shape,
    .fail = api_fail,
};
