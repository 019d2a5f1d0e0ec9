/* SPDX-License-Identifier: MIT */
/*
 * Planning: which nodes run, in which order, and where each intermediate
 * lies. Storage is placed by size, largest first, at the tightest free gap
 * among those alive at the same time, so the peak is known exactly before
 * anything is allocated. The arena is cut in segments no larger than the
 * device's largest allocation.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "graph/graph_internal.h"
#include "graph/op_dense.h"

/* FIXED: most floats of results that are kept from run to run. */
enum { ALIGN = 512, SEGMENTS = 16, FIXED = 1 << 16 };

/* ---- what runs, and when ---------------------------------------------- */

static void need(struct node *nd, uint32_t stage)
{
    if (!nd->live || stage < nd->stage)
        nd->stage = stage;
    nd->live = true;
}

static void mark_live(struct graph *g, struct node **by_id)
{
    for (struct tensor *t = g->tensors; t; t = t->next) {
        if (!t->output)
            continue;
        t->used = true;
        t->root->used = true;
        t->root->last_use = UINT32_MAX;
        if (t->kind == T_NODE)
            need(t->node, t->stage);
    }
    for (uint32_t i = g->n_nodes; i-- > 0;) {
        const struct node *nd = by_id[i];
        for (uint32_t j = 0; nd->live && j < nd->n_in; j++)
            if (nd->in[j] && nd->in[j]->kind == T_NODE)
                need(nd->in[j]->node, nd->stage);
    }
}

static void order_nodes(struct graph *g)
{
    g->order = arena_alloc(g->mem, (g->n_nodes + 1) * sizeof *g->order);
    for (uint32_t s = 0; s < g->n_stages; s++)
        for (struct node *nd = g->nodes; nd; nd = nd->next)
            if (nd->live && nd->stage == s) {
                nd->pos = g->n_order;
                g->order[g->n_order++] = nd;
            }
    for (uint32_t i = 0; i < g->n_order; i++) {
        const struct node *nd = g->order[i];
        for (uint32_t j = 0; j < nd->n_in; j++) {
            struct tensor *t = nd->in[j];
            if (!t)
                continue;
            t->used = true;
            t->root->used = true;
            if (t->root->last_use < i)
                t->root->last_use = i;
        }
    }
}

/* Which weights are read as they are: all but the right sides of products
 * where the device packs those. */
static void mark_floats(struct graph *g)
{
    for (struct tensor *t = g->tensors; t; t = t->next)
        if (t->output)
            t->root->floats = true;
    for (uint32_t i = 0; i < g->n_order; i++) {
        const struct node *nd = g->order[i];
        struct dense_pack pk;
        bool packs = dense_packs(nd, &pk) &&
                     gemm_packed_bytes(g->c, pk.form.n, pk.form.k);
        for (uint32_t j = 0; j < nd->n_in && !nd->op->view; j++)
            if (nd->in[j] && !(packs && j == 1))
                nd->in[j]->root->floats = true;
    }
}

/* ---- storage ---------------------------------------------------------- */

static struct storage *storage_new(struct graph *g, const struct tensor *t,
                                   uint32_t first, uint32_t last)
{
    struct storage *s = arena_alloc(g->mem, sizeof *s);
    s->bytes = (t->count * 4 + ALIGN - 1) / ALIGN * ALIGN;
    s->first = first;
    s->last = last;
    g->storage[g->n_storage++] = s;
    return s;
}

/* The storage that out 0 of nd may take over, or NULL. */
static struct storage *inplace(const struct node *nd)
{
    const struct tensor *out = nd->out[0];
    for (uint32_t i = 0; i < nd->n_in; i++) {
        const struct tensor *in = nd->in[i];
        if (!(nd->inplace >> i & 1) || !in || in->count != out->count)
            continue;
        struct storage *s = in->root->kind == T_NODE ? in->root->st : NULL;
        if (!s || s->last != nd->pos)
            continue;
        bool alone = true;
        for (uint32_t j = 0; j < nd->n_in; j++)
            if (j != i && nd->in[j] && nd->in[j]->root->st == s)
                alone = false;
        if (alone)
            return s;
    }
    return NULL;
}

/* Batch norms folded, taps turned: made of weights, whatever the inputs. */
static bool is_fixed(const struct node *nd)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < nd->n_out; i++)
        n += nd->out[i]->count;
    for (uint32_t i = 0; i < nd->n_in; i++) {
        const struct tensor *r = nd->in[i] ? nd->in[i]->root : NULL;
        if (r && (r->kind == T_INPUT || (r->kind == T_NODE && !r->node->fixed)))
            return false;
    }
    return n <= FIXED && !nd->op->view;
}

static void place_outputs(struct graph *g, struct node *nd)
{
    nd->fixed = is_fixed(nd);
    nd->of = 0;
    for (uint32_t i = 0; i < nd->n_out; i++) {
        struct tensor *t = nd->out[i];
        if (t->root != t || ((nd->optional >> i & 1) && !t->used))
            continue;
        uint32_t last = t->last_use > nd->pos ? t->last_use : nd->pos;
        if (nd->fixed) {
            t->st = storage_new(g, t, 0, UINT32_MAX);
            continue;
        }
        t->st = i == 0 ? inplace(nd) : NULL;
        if (!t->st)
            t->st = storage_new(g, t, nd->pos, last);
        else if (last > t->st->last)
            t->st->last = last;
    }
}

static void make_storage(struct graph *g)
{
    uint32_t n = 0;
    for (struct tensor *t = g->tensors; t; t = t->next)
        n++;
    g->storage = arena_alloc(g->mem, (n + 1) * sizeof *g->storage);
    for (struct tensor *t = g->tensors; t; t = t->next)
        if (t->kind == T_INPUT || (t->kind == T_CONST && t->used))
            t->st = storage_new(g, t, 0, UINT32_MAX);
    for (uint32_t i = 0; i < g->n_order; i++)
        place_outputs(g, g->order[i]);
}

/* ---- placement -------------------------------------------------------- */

static int by_size(const void *a, const void *b)
{
    const struct storage *x = *(struct storage *const *)a;
    const struct storage *y = *(struct storage *const *)b;
    if (x->bytes != y->bytes)
        return x->bytes < y->bytes ? 1 : -1;
    if (x->first != y->first)
        return x->first < y->first ? -1 : 1;
    return x->last < y->last ? -1 : x->last > y->last;
}

static int by_offset(const void *a, const void *b)
{
    const struct storage *x = *(struct storage *const *)a;
    const struct storage *y = *(struct storage *const *)b;
    return x->offset < y->offset ? -1 : x->offset > y->offset;
}

/* The tightest gap of s->bytes below cap between the n storages of `busy`
 * (sorted by offset); UINT64_MAX when there is none. */
static uint64_t tightest(const struct storage *s, struct storage **busy,
                         uint32_t n, uint64_t cap)
{
    uint64_t end = 0, best = UINT64_MAX, best_gap = UINT64_MAX;
    for (uint32_t i = 0; i < n; i++) {
        uint64_t at = busy[i]->offset;
        if (at >= end + s->bytes && at - end < best_gap) {
            best_gap = at - end;
            best = end;
        }
        if (at + busy[i]->bytes > end)
            end = at + busy[i]->bytes;
    }
    return best != UINT64_MAX ? best : end + s->bytes <= cap ? end : best;
}

static mohs_status place(struct graph *g, struct storage *s, uint32_t placed,
                         struct storage **sorted, struct storage **busy,
                         uint64_t cap, struct mohs_error *err)
{
    for (uint32_t seg = 0; seg < SEGMENTS; seg++) {
        uint32_t n = 0;
        for (uint32_t i = 0; i < placed; i++) {
            struct storage *o = sorted[i];
            if (o->segment == seg && o->first <= s->last &&
                s->first <= o->last)
                busy[n++] = o;
        }
        qsort(busy, n, sizeof(struct storage *), by_offset);
        uint64_t at = tightest(s, busy, n, cap);
        if (at == UINT64_MAX)
            continue;
        s->segment = seg;
        s->offset = at;
        if (at + s->bytes > g->segment_bytes[seg])
            g->segment_bytes[seg] = at + s->bytes;
        if (seg >= g->n_segments)
            g->n_segments = seg + 1;
        return MOHS_OK;
    }
    return mohs_fail(err, MOHS_E_NOMEM,
                     "graph: a tensor of %llu bytes does not fit: the device "
                     "allocates at most %llu bytes at once",
                     (unsigned long long)s->bytes, (unsigned long long)cap);
}

static mohs_status place_all(struct graph *g, struct mohs_error *err)
{
    const struct mohs_device_info *d = compute_device(g->c);
    uint64_t cap = d->max_alloc_bytes / ALIGN * ALIGN;
    uint32_t n = g->n_storage;
    struct storage **sorted = xcalloc(2 * n + 1, sizeof(struct storage *));
    mohs_status st = MOHS_OK;
    if (n)
        memcpy(sorted, g->storage, n * sizeof(struct storage *));
    qsort(sorted, n, sizeof(struct storage *), by_size);
    for (uint32_t i = 0; i < n && st >= 0; i++)
        st = place(g, sorted[i], i, sorted, sorted + n, cap, err);
    free(sorted);
    return st;
}

/* ---- cost ------------------------------------------------------------- */

static void cost_node(struct graph *g, const struct node *nd)
{
    struct graph_cost *k = &g->cost;
    k->nodes++;
    if (nd->op->view)
        return;
    k->flops += nd->op->flops ? nd->op->flops(nd) : (double)nd->out[0]->count;
    for (uint32_t i = 0; i < nd->n_in; i++)
        k->bytes += nd->in[i] ? 4.0 * (double)nd->in[i]->count : 0;
    for (uint32_t i = 0; i < nd->n_out; i++)
        k->bytes += nd->out[i]->st ? 4.0 * (double)nd->out[i]->count : 0;
    struct gemm gm;
    uint64_t scratch = 0;
    if (dense_gemm(nd, &gm))
        scratch = gemm_scratch_bytes(g->c, &gm);
    else if (strcmp(nd->op->info.name, "attention_grad") == 0)
        scratch = nd->in[4]->count * 4; // as large as the log-sum-exp
    if (scratch > k->scratch_bytes)
        k->scratch_bytes = scratch;
}

/* Counts each packed form of a weight once; of those that pass by the largest,
 * with its values on their way. */
static void cost_packed(struct graph *g)
{
    uint64_t passing = 0;
    for (uint32_t i = 0; i < g->n_order; i++) {
        struct dense_pack a, b;
        bool seen = !dense_packs(g->order[i], &a);
        if (g->order[i]->streamed) {
            uint64_t n = gemm_packed_bytes(g->c, a.form.n, a.form.k) *
                             a.form.groups + 4 * g->order[i]->in[1]->count;
            passing = n > passing ? n : passing;
            continue;
        }
        for (uint32_t j = 0; j < i && !seen; j++)
            seen = dense_packs(g->order[j], &b) && a.param == b.param &&
                   memcmp(&a.form, &b.form, sizeof a.form) == 0;
        if (!seen)
            g->cost.packed_bytes +=
                gemm_packed_bytes(g->c, a.form.n, a.form.k) * a.form.groups;
    }
    g->cost.packed_bytes += passing;
}

static void cost_all(struct graph *g)
{
    for (uint32_t i = 0; i < g->n_segments; i++)
        g->cost.arena_bytes += g->segment_bytes[i];
    for (struct tensor *t = g->tensors; t; t = t->next)
        if (t->kind == T_WEIGHT && t->used &&
            (t->floats || params_buffer(g->params, t->param)))
            g->cost.weight_bytes += t->count * 4;
    for (uint32_t i = 0; i < g->n_order; i++)
        cost_node(g, g->order[i]);
    cost_packed(g);
}

static mohs_status taps_check(struct graph *g, struct mohs_error *err)
{
    struct str names = { 0 };
    for (struct tap *w = g->wanted; w; w = w->next) {
        if (w->delta)
            continue;
        for (struct tap *t = g->taps; t; t = t->next)
            str_addf(&names, "%s%s", names.n ? ", " : "", t->name);
        mohs_fail(err, MOHS_E_ARG, "tap \"%s\" does not exist (there are: %s)",
                  w->name, names.n ? names.s : "none");
        str_free(&names);
        return MOHS_E_ARG;
    }
    return MOHS_OK;
}

/* Forgets an attempt that failed. */
static void plan_reset(struct graph *g)
{
    for (struct tensor *t = g->tensors; t; t = t->next) {
        t->used = t->floats = false;
        t->last_use = 0;
        t->st = NULL;
    }
    for (struct node *nd = g->nodes; nd; nd = nd->next)
        nd->live = nd->streamed = false;
    memset(g->segment_bytes, 0, sizeof g->segment_bytes);
    memset(&g->cost, 0, sizeof g->cost);
    g->n_order = g->n_storage = g->n_segments = 0;
}

mohs_status graph_plan(struct graph *g, struct graph_cost *cost,
                       struct mohs_error *err)
{
    RET_IF_ERR(graph_status(g, err));
    RET_IF_ERR(taps_check(g, err));
    if (!g->planned) {
        struct node **by_id = xcalloc(g->n_nodes + 1, sizeof(struct node *));
        plan_reset(g);
        for (struct node *nd = g->nodes; nd; nd = nd->next)
            by_id[nd->id] = nd;
        mark_live(g, by_id);
        free(by_id);
        order_nodes(g);
        mark_floats(g);
        plan_streams(g);
        make_storage(g);
        RET_IF_ERR(place_all(g, err));
        cost_all(g);
        g->planned = true;
    }
    if (cost)
        *cost = g->cost;
    return MOHS_OK;
}
