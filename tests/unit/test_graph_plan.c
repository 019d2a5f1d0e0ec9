/* SPDX-License-Identifier: MIT */
/* The planner: nothing alive is overwritten, memory is known before it is
 * taken, and the arena may come in pieces. */
#include "config.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "graph/graph_internal.h"
#include "unit/graph_model.h"

static struct compute *dev;
static struct params *par;

static void setup(void)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    gm_ok(compute_open(getenv("MOHS_DEVICE"), &dev, &e), &e);
    par = gm_params(dev);
}

static void teardown(void)
{
    params_free(par);
    compute_close(dev);
}

/* ---- planning --------------------------------------------------------- */

static uint64_t address(const struct tensor *t)
{
    return t->root->st->offset;
}

/* First and last position at which t's value must be in place. */
static void alive(const struct graph *g, const struct tensor *t, uint32_t *from,
                  uint32_t *to)
{
    *from = t->kind == T_NODE ? t->node->pos : 0;
    *to = t->kind != T_NODE || t->output ? UINT32_MAX : *from;
    for (uint32_t i = 0; i < g->n_order; i++)
        for (uint32_t j = 0; j < g->order[i]->n_in; j++)
            if (g->order[i]->in[j] == t && *to < i)
                *to = i;
}

/* b may lie where a lay: the node that reads a last and makes b may write
 * over it, at the very same place and size. */
static bool taken_over(const struct tensor *a, const struct tensor *b)
{
    const struct node *nd = b->node;
    if (!nd || b != nd->out[0] || address(a) != address(b) ||
        a->count != b->count)
        return false;
    if (nd->op->view)
        return nd->in[0] == a;
    for (uint32_t i = 0; i < nd->n_in; i++)
        if (nd->in[i] == a && (nd->inplace >> i & 1))
            return true;
    return false;
}

static void check_pair(const struct graph *g, const struct tensor *a,
                       const struct tensor *b)
{
    uint32_t fa, ta, fb, tb;
    const struct storage *x = a->root->st, *y = b->root->st;
    alive(g, a, &fa, &ta);
    alive(g, b, &fb, &tb);
    if (fa > tb || fb > ta || x->segment != y->segment || a->root == b->root)
        return;
    if (address(a) >= address(b) + 4 * b->count ||
        address(b) >= address(a) + 4 * a->count)
        return;
    bool meets = (ta == fb && taken_over(a, b)) ||
                 (tb == fa && taken_over(b, a));
    ck_assert_msg(meets, "%u..%u and %u..%u share bytes", fa, ta, fb, tb);
}

START_TEST(live_ranges_never_overlap)
{
    struct tensor *grad[GM_WRT];
    struct gm m = gm_training(dev, par, 5, grad);
    struct mohs_error e = MOHS_ERROR_INIT;
    struct graph_cost cost;
    uint64_t sum = 0, naive = 0, total = 0;
    gm_ok(graph_plan(m.g, &cost, &e), &e);
    for (struct tensor *a = m.g->tensors; a; a = a->next) {
        if (!a->root->st || (a->kind == T_NODE && !a->node->live))
            continue;
        naive += a->root == a ? 4 * a->count : 0;
        ck_assert_uint_eq(a->root->st->offset % 256, 0);
        ck_assert_uint_le(a->root->st->offset + 4 * a->count,
                          m.g->segment_bytes[a->root->st->segment]);
        for (struct tensor *b = a->next; b; b = b->next)
            if (b->root->st && (b->kind != T_NODE || b->node->live))
                check_pair(m.g, a, b);
    }
    for (uint32_t i = 0; i < m.g->n_segments; i++)
        total += m.g->segment_bytes[i];
    sum = cost.arena_bytes;
    ck_assert_uint_eq(sum, total);
    ck_assert_uint_lt(sum, naive * 3 / 4);
    ck_assert_uint_gt(cost.nodes, 60);
    ck_assert(cost.flops > 1e6);
    graph_free(m.g);
}
END_TEST

/* Reusing memory changes nothing: keep every tensor and compare bits. */
START_TEST(reuse_changes_no_bit)
{
    struct tensor *a[GM_WRT], *b[GM_WRT];
    struct gm m = gm_training(dev, par, 5, a), k = gm_training(dev, par, 5, b);
    struct mohs_error e = MOHS_ERROR_INIT;
    for (struct tensor *t = k.g->tensors; t; t = t->next)
        graph_output(k.g, t);
    gm_ok(graph_plan(m.g, NULL, &e), &e);
    gm_ok(graph_plan(k.g, NULL, &e), &e);
    for (int round = 0; round < 2; round++) {
        gm_write(&m);
        gm_write(&k);
        gm_ok(graph_run(m.g, &e), &e);
        gm_ok(graph_run(k.g, &e), &e);
    }
    for (int i = 0; i < GM_WRT; i++) {
        float *x = gm_read(a[i]), *y = gm_read(b[i]);
        ck_assert_mem_eq(x, y, (size_t)tensor_count(a[i]) * 4);
        free(x);
        free(y);
    }
    graph_free(m.g);
    graph_free(k.g);
}
END_TEST

START_TEST(known_peak_is_allocated)
{
    struct tensor *grad[GM_WRT];
    struct gm m = gm_training(dev, par, 16, grad);
    struct mohs_error e = MOHS_ERROR_INIT;
    struct graph_cost cost;
    uint64_t before, planned, bound, after;
    compute_memory(dev, &before, NULL);
    gm_ok(graph_plan(m.g, &cost, &e), &e);
    compute_memory(dev, &planned, NULL);
    ck_assert_uint_eq(before, planned);
    ck_assert_ptr_nonnull(tensor_buffer(m.loss, NULL));
    compute_memory(dev, &bound, NULL);
    ck_assert_uint_eq(bound - before, cost.arena_bytes);
    gm_write(&m);
    gm_ok(graph_run(m.g, &e), &e);
    compute_memory(dev, &after, NULL);
    ck_assert_uint_ge(after - bound, cost.packed_bytes);
    ck_assert_uint_le(after - bound, cost.packed_bytes + cost.scratch_bytes);
    graph_free(m.g);
}
END_TEST

/* Segments: with a small largest allocation the arena is cut, and the result
 * is the same. */
START_TEST(arena_in_segments)
{
    struct tensor *a[GM_WRT], *b[GM_WRT];
    struct gm m = gm_training(dev, par, 8, a), k = gm_training(dev, par, 8, b);
    struct mohs_error e = MOHS_ERROR_INIT;
    gm_ok(graph_plan(m.g, NULL, &e), &e);
    gm_write(&m);
    gm_ok(graph_run(m.g, &e), &e);
    struct mohs_device_info *d = (struct mohs_device_info *)(uintptr_t)
        compute_device(dev);
    uint64_t whole = d->max_alloc_bytes;
    d->max_alloc_bytes = 64 * 1024;
    gm_ok(graph_plan(k.g, NULL, &e), &e);
    d->max_alloc_bytes = whole;
    ck_assert_uint_gt(k.g->n_segments, 1);
    gm_write(&k);
    gm_ok(graph_run(k.g, &e), &e);
    for (int i = 0; i < GM_WRT; i++) {
        float *x = gm_read(a[i]), *y = gm_read(b[i]);
        ck_assert_mem_eq(x, y, (size_t)tensor_count(a[i]) * 4);
        free(x);
        free(y);
    }
    graph_free(m.g);
    graph_free(k.g);
}
END_TEST

START_TEST(too_large_for_the_device)
{
    struct gm m = gm_new(dev, par, 64);
    struct mohs_error e = MOHS_ERROR_INIT;
    graph_output(m.g, gm_loss(&m));
    struct mohs_device_info *d = (struct mohs_device_info *)(uintptr_t)
        compute_device(dev);
    uint64_t whole = d->max_alloc_bytes;
    d->max_alloc_bytes = 4096;
    ck_assert_int_eq(graph_plan(m.g, NULL, &e), MOHS_E_NOMEM);
    d->max_alloc_bytes = whole;
    ck_assert_ptr_nonnull(strstr(e.text, "at most 4096 bytes"));
    gm_ok(graph_plan(m.g, NULL, &e), &e); // a failed plan leaves no trace
    gm_write(&m);
    gm_ok(graph_run(m.g, &e), &e);
    graph_free(m.g);
}
END_TEST

int main(void)
{
    if (gm_no_device())
        return 77;
    Suite *s = suite_create("graph_plan");
    TCase *t = tcase_create("graph_plan");
    tcase_set_timeout(t, 120);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, live_ranges_never_overlap);
    tcase_add_test(t, reuse_changes_no_bit);
    tcase_add_test(t, known_peak_is_allocated);
    tcase_add_test(t, arena_in_segments);
    tcase_add_test(t, too_large_for_the_device);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
