/* SPDX-License-Identifier: MIT */
/*
 * Which weights a pass streams: packs again from where they are kept, just
 * before their product, instead of holding them. Packing costs a read and a
 * write of the weight, a product of m rows 2 m operations a value: with many
 * rows streaming costs nothing that can be measured, with few it is worth
 * only some. Each pass may stream a byte per params_streaming() operations, by
 * default about 4 % of its time; what has most operations a byte goes first. Where
 * that is not room for all, what has less than 1 / SHARE of those operations is
 * held: its own product would pay too much. A weight that one graph streams, all
 * do, so that a last small batch does not bring back what the large ones spared.
 * Graphs with gradients hold theirs: attacks run them over and over. Results are
 * the same bits.
 */
#include "config.h"

#include <stdlib.h>

#include "graph/graph_internal.h"
#include "graph/op_dense.h"

/* Streaming takes at most SHARE times as much of a product as of a pass. */
enum { SHARE = 4 };

/* A weight and its products in one pass. */
struct stream {
    size_t param;
    double flops, bytes;
    uint32_t order;
};

static int by_worth(const void *a, const void *b)
{
    const struct stream *x = a, *y = b;
    double p = x->flops * y->bytes, q = y->flops * x->bytes;
    return p != q ? (p < q) - (p > q)
                  : (x->order > y->order) - (x->order < y->order);
}

/* The form that node i packs a weight in which may be streamed. */
static bool may_stream(const struct graph *g, uint32_t i, struct dense_pack *pk)
{
    const struct node *nd = g->order[i];
    return !g->differentiated && dense_packs(nd, pk) && !nd->in[1]->root->floats &&
           gemm_packed_bytes(g->c, pk->form.n, pk->form.k) &&
           params_streamable(g->params, pk->param);
}

static double pack_bytes(const struct graph *g, const struct dense_pack *pk)
{
    return (double)gemm_packed_bytes(g->c, pk->form.n, pk->form.k) *
           pk->form.groups;
}

/* Sums what may be streamed by weight; s has room for every node. */
static uint32_t collect(const struct graph *g, struct stream *s)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < g->n_order; i++) {
        struct dense_pack pk;
        uint32_t j = 0;
        if (!may_stream(g, i, &pk))
            continue;
        while (j < n && s[j].param != pk.param)
            j++;
        if (j == n)
            s[n++] = (struct stream) { .param = pk.param, .order = i };
        s[j].flops += g->order[i]->op->flops(g->order[i]);
        s[j].bytes += pack_bytes(g, &pk);
    }
    return n;
}

void plan_streams(struct graph *g)
{
    struct stream *s = xcalloc(g->n_order + 1, sizeof *s);
    uint32_t n = collect(g, s);
    double room = 0, flops = params_streaming(g->params);
    for (uint32_t i = 0; i < g->n_order; i++) {
        const struct node *nd = g->order[i];
        if (nd->op->flops && flops > 0)
            room += nd->op->flops(nd) / flops;
    }
    qsort(s, n, sizeof *s, by_worth);
    double all = 0;
    for (uint32_t i = 0; i < n; i++)
        all += s[i].bytes;
    const bool scarce = all > room;
    for (uint32_t i = 0; i < n; i++) {
        bool fits = s[i].bytes <= room &&
                    (!scarce || s[i].flops * SHARE >= s[i].bytes * flops);
        room -= fits ? s[i].bytes : 0;
        for (uint32_t j = 0; j < g->n_order; j++) {
            struct dense_pack pk;
            if (may_stream(g, j, &pk) && pk.param == s[i].param)
                g->order[j]->streamed =
                    fits || params_streams(g->params, pk.param);
        }
    }
    free(s);
}

void stream_weights(const struct graph *g)
{
    for (uint32_t i = 0; i < g->n_order; i++) {
        struct dense_pack pk;
        if (g->order[i]->streamed && dense_packs(g->order[i], &pk))
            params_stream(g->params, pk.param);
    }
}
