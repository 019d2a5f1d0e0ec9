/* SPDX-License-Identifier: MIT */
/*
 * Reverse-mode differentiation. Gradients are nodes like any other, made by
 * each op's grad() for the inputs on a path to what was asked for, in reverse
 * order of creation; a tensor used several times gets the sum, added inside
 * the kernel that makes the last part where that kernel can add.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "graph/graph_internal.h"

struct grads {
    struct graph *g;
    struct tensor **of; /* gradient of out 0 of node i */
    bool *reach;        /* node i depends on what is asked for */
    struct tensor *const *wrt;
    struct tensor **wrt_grad;
    size_t n_wrt;
};

static bool wanted(const struct grads *s, const struct tensor *t)
{
    if (!t || t->dtype != MOHS_F32)
        return false;
    if (t->kind == T_NODE && t == t->node->out[0] && s->reach[t->node->id])
        return true;
    for (size_t i = 0; i < s->n_wrt; i++)
        if (s->wrt[i] == t)
            return true;
    return false;
}

/* Where the gradient of t is collected. */
static struct tensor **slot(struct grads *s, struct tensor *t)
{
    for (size_t i = 0; i < s->n_wrt; i++)
        if (s->wrt[i] == t)
            return &s->wrt_grad[i];
    return &s->of[t->node->id];
}

/* Makes the node behind `part` add `have`, when it can and `have` is there
 * before it runs. */
static bool absorb(struct tensor *have, struct tensor *part)
{
    struct node *nd = part->node;
    int acc = nd && part == nd->out[0] ? nd->op->acc : 0;
    if (!acc || !same_shape(have, part) ||
        (nd->n_in > (uint32_t)acc && nd->in[acc]) ||
        (have->kind == T_NODE && have->node->id >= nd->id))
        return false;
    nd->in[acc] = have;
    if (nd->n_in <= (uint32_t)acc)
        nd->n_in = (uint32_t)acc + 1;
    nd->inplace |= 1u << acc;
    return true;
}

/* have + part. Nodes from id `fresh` on were made just now for one of them
 * alone, so the other can be added there. */
static struct tensor *sum(struct graph *g, struct tensor *have,
                          struct tensor *part, uint32_t fresh)
{
    if (part->kind == T_NODE && part->node->id >= fresh && absorb(have, part))
        return part;
    if (have->kind == T_NODE && have->node->id >= fresh && absorb(part, have))
        return have;
    return OP(g, "add", have, part);
}

static void backward(struct grads *s, struct node *nd, struct tensor *dy)
{
    bool need[OP_IN_MAX] = { false };
    struct tensor *din[OP_IN_MAX] = { NULL };
    struct graph *g = s->g;
    if (!nd->op->grad) {
        graph_fail(g, MOHS_E_UNSUPPORTED, "op \"%s\" has no gradient",
                   nd->op->info.name);
        return;
    }
    for (uint32_t i = 0; i < nd->n_in; i++)
        need[i] = wanted(s, nd->in[i]);
    const char *near = g->near;
    g->near = nd->near;
    uint32_t before = g->n_nodes;
    nd->op->grad(g, nd, dy, need, din);
    for (uint32_t i = 0; i < nd->n_in && g->err.status >= 0; i++) {
        if (!need[i] || !din[i])
            continue;
        struct tensor **p = slot(s, nd->in[i]);
        *p = *p ? sum(g, *p, din[i], before) : din[i];
    }
    g->near = near;
}

/* Marks the nodes that depend on wrt. */
static void mark_reach(struct grads *s, uint32_t n_nodes)
{
    for (struct node *nd = s->g->nodes; nd && nd->id < n_nodes; nd = nd->next)
        for (uint32_t i = 0; i < nd->n_in; i++)
            s->reach[nd->id] |= wanted(s, nd->in[i]);
}

static struct tensor *seed_check(struct graph *g, struct tensor *loss,
                                 struct tensor *seed)
{
    char a[SHAPE_TEXT], b[SHAPE_TEXT];
    if (!loss)
        return graph_fail(g, MOHS_E_ARG, "gradient of no tensor");
    if (!seed) {
        if (loss->count != 1)
            return graph_fail(g, MOHS_E_ARG,
                              "gradient of shape %s needs a seed",
                              shape_text(loss, a));
        float one = 1;
        return graph_constant(g, loss->n_dims, loss->dims, &one);
    }
    if (!same_shape(loss, seed))
        return graph_fail(g, MOHS_E_ARG,
                          "gradient: the seed has shape %s, the tensor %s",
                          shape_text(seed, a), shape_text(loss, b));
    return seed;
}

mohs_status graph_grad(struct graph *g, struct tensor *loss,
                       struct tensor *seed, struct tensor *const *wrt, size_t n,
                       struct tensor **out, struct mohs_error *err)
{
    for (size_t i = 0; i < n; i++) {
        out[i] = NULL;
        if (!wrt[i])
            graph_fail(g, MOHS_E_ARG, "gradient by no tensor");
    }
    if (g->planned)
        graph_fail(g, MOHS_E_ARG, "gradient: the graph is planned already");
    RET_IF_ERR(graph_status(g, err));
    g->differentiated = true;
    seed = seed_check(g, loss, seed);
    RET_IF_ERR(graph_status(g, err));

    uint32_t n_nodes = g->n_nodes;
    struct node **by_id = xcalloc(n_nodes + 1, sizeof(struct node *));
    struct grads s = {
        .g = g, .wrt = wrt, .wrt_grad = out, .n_wrt = n,
        .of = xcalloc(n_nodes + 1, sizeof(struct tensor *)),
        .reach = xcalloc(n_nodes + 1, sizeof(bool)),
    };
    for (struct node *nd = g->nodes; nd; nd = nd->next)
        by_id[nd->id] = nd;
    mark_reach(&s, n_nodes);
    if (wanted(&s, loss))
        *slot(&s, loss) = seed;
    for (uint32_t i = n_nodes; i-- > 0 && g->err.status >= 0;) {
        struct tensor *dy = *slot(&s, by_id[i]->out[0]);
        if (dy && s.reach[i])
            backward(&s, by_id[i], dy);
    }
    for (size_t i = 0; i < n; i++) // the same tensor asked for twice
        for (size_t j = 0; j < i; j++)
            out[i] = wrt[i] == wrt[j] ? out[j] : out[i];
    free(by_id);
    free(s.of);
    free(s.reach);
    return graph_status(g, err);
}
