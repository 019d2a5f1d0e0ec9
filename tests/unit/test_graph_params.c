/* SPDX-License-Identifier: MIT */
/* Declared parameters: read when a graph wants them, held once, in the form
 * that it reads, or streamed, and the same bits as parameters that were set. */
#include "config.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "graph/graph_internal.h"
#include "unit/graph_model.h"

static struct compute *dev;
static struct params *par, *declared;

/* Where the declared parameters come from: those that were set. */
static struct origin {
    const char *name;
    uint32_t reads;
    float poison; /* in place of the first value, when not 0 */
    bool broken;
    float *seen; /* while it is viewed */
    uint32_t views;
} origin[128];

static mohs_status from_set(void *user, float *out, uint64_t count,
                            struct mohs_error *err)
{
    struct origin *o = user;
    o->reads++;
    if (o->broken)
        return mohs_fail(err, MOHS_E_IO, "%s: unreadable", o->name);
    RET_IF_ERR(params_read(par, o->name, out, count, err));
    if (o->poison != 0)
        out[0] = o->poison;
    return MOHS_OK;
}

static const struct params_source copied = { .read = from_set };

/* A view that is gone when it is left. */
static const float *view_set(void *user)
{
    struct origin *o = user;
    struct mohs_error e = MOHS_ERROR_INIT;
    uint32_t dims[MOHS_DIMS_MAX];
    uint32_t n = params_shape(par, params_find(par, o->name), dims);
    uint64_t count = 1;
    for (uint32_t i = 0; i < n; i++)
        count *= dims[i];
    ck_assert_ptr_null(o->seen);
    o->views++;
    o->seen = malloc((size_t)count * sizeof *o->seen);
    gm_ok(params_read(par, o->name, o->seen, count, &e), &e);
    return o->seen;
}

static void leave_set(void *user)
{
    struct origin *o = user;
    ck_assert_ptr_nonnull(o->seen);
    free(o->seen);
    o->seen = NULL;
}

static const struct params_source viewed = { from_set, view_set, leave_set };

static void setup(void)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    gm_ok(compute_open(getenv("MOHS_DEVICE"), &dev, &e), &e);
    par = gm_params(dev);
    declared = params_new(dev);
    params_set_streaming(declared, 0);
    for (size_t i = 0; i < params_count(par); i++) {
        uint32_t dims[MOHS_DIMS_MAX], n = params_shape(par, i, dims);
        origin[i] = (struct origin) { .name = params_name(par, i) };
        gm_ok(params_declare(declared, origin[i].name, n, dims, &copied,
                             &origin[i], &e), &e);
    }
}

static void teardown(void)
{
    params_free(declared);
    params_free(par);
    compute_close(dev);
}

static struct origin *origin_of(const char *name)
{
    return &origin[params_find(par, name)];
}

static uint64_t memory(void)
{
    uint64_t now;
    compute_memory(dev, &now, NULL);
    return now;
}

static struct gm image_only(struct params *p)
{
    struct gm m = gm_new(dev, p, 3);
    struct mohs_error e = MOHS_ERROR_INIT;
    m.image = gm_image(m.g, m.pixels);
    graph_output(m.g, m.image);
    gm_ok(graph_plan(m.g, NULL, &e), &e);
    return m;
}

static void run_image(struct gm *m)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    float px[3 * GM_PIXELS];
    for (int i = 0; i < 3 * GM_PIXELS; i++)
        px[i] = sinf((float)i);
    gm_ok(tensor_write(m->pixels, px, &e), &e);
    gm_ok(graph_run(m->g, &e), &e);
}

static void same_output(struct tensor *a, struct tensor *b)
{
    float *x = gm_read(a), *y = gm_read(b);
    ck_assert_mem_eq(x, y, (size_t)tensor_count(a) * sizeof *x);
    free(x);
    free(y);
}

/* Values and gradients, those by weights among them. */
START_TEST(same_bits)
{
    struct tensor *a[GM_WRT], *b[GM_WRT];
    struct mohs_error e = MOHS_ERROR_INIT;
    struct gm m = gm_training(dev, par, 5, a);
    struct gm k = gm_training(dev, declared, 5, b);
    gm_ok(graph_plan(m.g, NULL, &e), &e);
    gm_ok(graph_plan(k.g, NULL, &e), &e);
    for (int round = 0; round < 2; round++) {
        gm_write(&m);
        gm_write(&k);
        gm_ok(graph_run(m.g, &e), &e);
        gm_ok(graph_run(k.g, &e), &e);
    }
    same_output(m.loss, k.loss);
    for (int i = 0; i < GM_WRT; i++)
        same_output(a[i], b[i]);
    graph_free(m.g);
    graph_free(k.g);
}
END_TEST

/* Nothing but what the tower reads, in the one form that it reads. */
START_TEST(held_once)
{
    uint64_t before = memory();
    struct graph_cost cost;
    struct gm k = image_only(declared);
    struct mohs_error e = MOHS_ERROR_INIT;
    uint64_t staging = 4 * GM_MLP * GM_WIDTH; // the largest matrix
    gm_ok(graph_plan(k.g, &cost, &e), &e);
    ck_assert_uint_eq(memory(), before);
    run_image(&k);
    uint64_t held = memory() - before - cost.arena_bytes;
    if (cost.packed_bytes) {
        ck_assert_uint_lt(cost.weight_bytes, 10000);
        ck_assert_ptr_null(params_buffer(
            declared, params_find(declared, "image.0.f1.w")));
    }
    ck_assert_uint_ge(held, cost.weight_bytes + cost.packed_bytes);
    uint64_t most = cost.weight_bytes + cost.packed_bytes +
                    cost.scratch_bytes + staging;
    ck_assert_uint_le(held, most);
    run_image(&k);
    for (size_t i = 0; i < params_count(par); i++)
        ck_assert_msg(origin[i].reads ==
                          (strncmp(origin[i].name, "image.", 6) == 0 ||
                           !strcmp(origin[i].name, "patch") ||
                           !strcmp(origin[i].name, "cls")),
                      "%s: read %u times", origin[i].name, origin[i].reads);
    graph_free(k.g);
}
END_TEST

/* A matrix may be wanted as it is later on, and be set at any time. */
START_TEST(other_forms_later)
{
    struct gm k = image_only(declared), m = image_only(par);
    struct mohs_error e = MOHS_ERROR_INIT;
    uint32_t dims[] = { GM_EMBED, GM_WIDTH };
    float *v = calloc(GM_EMBED * GM_WIDTH, sizeof *v);
    run_image(&k);
    struct graph *g = graph_new(dev, declared);
    struct tensor *w = graph_weight(g, "image.proj", 2, dims);
    graph_output(g, w);
    gm_ok(graph_plan(g, NULL, &e), &e);
    gm_ok(graph_run(g, &e), &e);
    float *x = gm_read(w);
    gm_ok(params_read(par, "image.proj", v, GM_EMBED * GM_WIDTH, &e), &e);
    ck_assert_mem_eq(x, v, GM_EMBED * GM_WIDTH * sizeof *v);
    free(x);
    graph_free(g);

    v[5] += 1;
    gm_ok(params_set(declared, "image.proj", 2, dims, v, &e), &e);
    gm_ok(params_set(par, "image.proj", 2, dims, v, &e), &e);
    run_image(&k);
    run_image(&m);
    same_output(k.image, m.image);
    free(v);
    graph_free(k.g);
    graph_free(m.g);
}
END_TEST

/* A reader that fails stops the run with its text; the next may do. */
START_TEST(reader_fails)
{
    static const char *const names[] = { "cls", "image.1.q.w" };
    for (int i = 0; i < 2; i++) {
        struct gm k = image_only(declared);
        struct mohs_error e = MOHS_ERROR_INIT;
        origin_of(names[i])->broken = true;
        mohs_status st = graph_run(k.g, &e);
        ck_assert_int_eq(st, MOHS_E_IO);
        ck_assert_ptr_nonnull(strstr(e.text, "unreadable"));
        origin_of(names[i])->broken = false;
        run_image(&k);
        graph_free(k.g);
        teardown();
        setup();
    }
}
END_TEST

/* A byte for so few operations: all that may be. */
#define ALL 1e-6

/* The same bits from weights that are packed for each product, and nothing of
 * them is held; a graph with gradients holds them, and gives them to all. */
START_TEST(streamed)
{
    struct tensor *a[GM_WRT], *b[GM_WRT];
    struct mohs_error e = MOHS_ERROR_INIT;
    struct graph_cost held, cost;
    struct gm m = image_only(par), k;
    params_set_streaming(declared, ALL);
    k = image_only(declared);
    gm_ok(graph_plan(m.g, &held, &e), &e);
    gm_ok(graph_plan(k.g, &cost, &e), &e);
    for (int round = 0; round < 3; round++) {
        run_image(&m);
        run_image(&k);
    }
    same_output(m.image, k.image);
    size_t one = params_find(declared, "image.1.f1.w");
    if (held.packed_bytes) {
        ck_assert(params_streams(declared, one));
        ck_assert(params_streamable(declared, one));
        ck_assert_uint_eq(origin[one].reads, 3);
        ck_assert_uint_lt(cost.packed_bytes, held.packed_bytes);
        ck_assert_uint_lt(params_held_bytes(declared),
                          params_held_bytes(par) - held.packed_bytes);
    }
    struct gm mg = gm_training(dev, par, 5, a), kg = gm_training(dev, declared, 5, b);
    gm_ok(graph_plan(mg.g, NULL, &e), &e);
    gm_ok(graph_plan(kg.g, NULL, &e), &e);
    for (int round = 0; round < 2; round++) {
        gm_write(&mg);
        gm_write(&kg);
        gm_ok(graph_run(mg.g, &e), &e);
        gm_ok(graph_run(kg.g, &e), &e);
        run_image(&k);
    }
    same_output(m.image, k.image);
    same_output(mg.loss, kg.loss);
    for (int i = 0; i < GM_WRT; i++)
        same_output(a[i], b[i]);
    if (held.packed_bytes) // forward and, from the same file, backward
        ck_assert_uint_eq(origin[one].reads, 3 + 2);
    graph_free(m.g);
    graph_free(k.g);
    graph_free(mg.g);
    graph_free(kg.g);
}
END_TEST

/* What one graph holds another uses; what one streams, all do; a new value is
 * seen, and one that was set is held. */
START_TEST(streamed_beside_held)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    const char *name = "image.1.f1.w";
    struct gm one = image_only(declared), m = image_only(par), two;
    size_t i = params_find(declared, name);
    uint32_t dims[MOHS_DIMS_MAX], n = params_shape(par, i, dims);
    size_t count = (size_t)dims[0] * dims[1];
    float *v = calloc(count, sizeof *v);
    run_image(&one);
    uint64_t held = params_held_bytes(declared);
    params_set_streaming(declared, ALL);
    two = image_only(declared);
    run_image(&two);
    run_image(&m);
    same_output(two.image, m.image);
    ck_assert_uint_eq(params_held_bytes(declared), held);
    ck_assert_uint_eq(origin[i].reads, 1);
    graph_free(one.g);
    graph_free(two.g);
    graph_free(m.g);
    teardown();

    setup();
    params_set_streaming(declared, ALL);
    two = image_only(declared);
    m = image_only(par);
    run_image(&two);
    params_set_streaming(declared, 0); // as a last, small batch might have it
    one = image_only(declared);
    run_image(&one);
    same_output(one.image, two.image);
    if (params_streams(declared, i))
        ck_assert_uint_eq(origin[i].reads, 2);
    gm_ok(params_read(par, name, v, count, &e), &e);
    v[7] += 1;
    gm_ok(params_set(par, name, n, dims, v, &e), &e); // where it is read from
    run_image(&m);
    gm_ok(params_declare(declared, name, n, dims, &copied, &origin[i], &e), &e);
    run_image(&one);
    same_output(one.image, m.image);
    v[7] += 1;
    gm_ok(params_set(par, name, n, dims, v, &e), &e);
    gm_ok(params_set(declared, name, n, dims, v, &e), &e);
    run_image(&m);
    run_image(&two);
    same_output(two.image, m.image);
    ck_assert(!params_streamable(declared, i));
    free(v);
    graph_free(one.g);
    graph_free(two.g);
    graph_free(m.g);
}
END_TEST

/* Values that lie in the host's memory are packed from there, without a copy,
 * streamed and held. */
START_TEST(packed_where_they_lie)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    struct gm m = image_only(par), k;
    for (size_t i = 0; i < params_count(par); i++) {
        uint32_t dims[MOHS_DIMS_MAX], n = params_shape(par, i, dims);
        gm_ok(params_declare(declared, origin[i].name, n, dims, &viewed,
                             &origin[i], &e), &e);
    }
    params_set_streaming(declared, _i ? ALL : 0);
    k = image_only(declared);
    run_image(&m);
    run_image(&k);
    run_image(&k);
    same_output(k.image, m.image);
    struct origin *w = origin_of("image.1.f1.w");
    if (compute_device(dev)->type == MOHS_DEVICE_CPU) {
        ck_assert_uint_eq(w->reads, 0);
        ck_assert_uint_eq(w->views, _i ? 2 : 1);
    }
    ck_assert_ptr_null(w->seen);
    graph_free(k.g);
    graph_free(m.g);
}
END_TEST

/* What passes is in the plan, and a graph that streams only because another does
 * plans no more than that one. */
START_TEST(streamed_as_planned)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    struct graph_cost cost, other;
    uint64_t before = memory();
    params_set_streaming(declared, ALL);
    struct gm k = image_only(declared), l;
    gm_ok(graph_plan(k.g, &cost, &e), &e);
    run_image(&k);
    uint64_t held = memory() - before - cost.arena_bytes;
    ck_assert_uint_ge(held, cost.weight_bytes + cost.packed_bytes);
    ck_assert_uint_le(held, cost.weight_bytes + cost.packed_bytes +
                                cost.scratch_bytes);
    params_set_streaming(declared, 0);
    l = image_only(declared);
    gm_ok(graph_plan(l.g, &other, &e), &e);
    ck_assert_uint_eq(other.packed_bytes, cost.packed_bytes);
    graph_free(k.g);
    graph_free(l.g);
}
END_TEST

static size_t n_streamed(void)
{
    size_t n = 0;
    for (size_t i = 0; i < params_count(declared); i++)
        n += params_streams(declared, i);
    return n;
}

/* A weight is held whose own product has too few rows to pay for its packing,
 * though the pass would have room for it, but for a pass with room for all. */
START_TEST(few_rows_are_held)
{
    enum { SIDE = GM_SIZE / GM_PATCH, ROWS = 3 * (SIDE * SIDE + 1) };
    struct mohs_error e = MOHS_ERROR_INIT;
    struct graph_cost cost;
    struct gm k = image_only(declared);
    gm_ok(graph_plan(k.g, &cost, &e), &e);
    graph_free(k.g);
    if (!cost.packed_bytes)
        return;
    // a weight has ROWS operations for two bytes at most; the last one three
    params_set_streaming(declared, _i ? 0.8 * cost.flops / (double)cost.packed_bytes
                                      : 2.5 * ROWS);
    k = image_only(declared);
    run_image(&k);
    ck_assert_int_eq(n_streamed() > 0, _i);
    ck_assert_int_eq(params_streams(declared, params_find(declared, "image.proj")),
                     _i);
    graph_free(k.g);
}
END_TEST

/* A reader that fails in the middle of a pass, and then does not. */
START_TEST(streamed_reader_fails)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    params_set_streaming(declared, ALL);
    struct gm k = image_only(declared), m = image_only(par);
    run_image(&k);
    if (params_streams(declared, params_find(declared, "image.1.q.w"))) {
        origin_of("image.1.q.w")->broken = true;
        ck_assert_int_eq(graph_run(k.g, &e), MOHS_E_IO);
        ck_assert_ptr_nonnull(strstr(e.text, "unreadable"));
        origin_of("image.1.q.w")->broken = false;
    }
    run_image(&k);
    run_image(&m);
    same_output(k.image, m.image);
    graph_free(k.g);
    graph_free(m.g);
}
END_TEST

START_TEST(nan_in_a_packed_weight)
{
    struct gm k = image_only(declared);
    struct mohs_error e = MOHS_ERROR_INIT;
    origin_of("image.1.f2.w")->poison = NAN;
    ck_assert_str_eq(graph_find_nan(k.g, &e), "weight \"image.1.f2.w\"");
    graph_free(k.g);
}
END_TEST

START_TEST(shape_is_fixed)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    uint32_t dims[] = { GM_WIDTH, 1 };
    ck_assert_int_eq(params_declare(declared, "cls", 2, dims, &copied,
                                    &origin[0], &e), MOHS_E_ARG);
    ck_assert_ptr_nonnull(strstr(e.text, "\"cls\": its shape is fixed"));
}
END_TEST

/* What is made of weights alone is made once, and again when one changes; the
 * arena keeps it from other tensors, those computed before it included. */
START_TEST(made_of_weights)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    const uint32_t dims[] = { 8, 16 };
    struct params *p = params_new(dev);
    float w[128], x[128], y[128];
    for (int i = 0; i < 128; i++) {
        w[i] = 2;
        x[i] = (float)i;
    }
    gm_ok(params_set(p, "w", 2, dims, w, &e), &e);
    struct graph *g = graph_new(dev, p);
    struct tensor *in = graph_input(g, "x", MOHS_F32, 2, dims);
    struct tensor *weight = graph_weight(g, "w", 2, dims);
    struct tensor *twice[] = { in, in }; // room that is free again afterwards
    struct mohs_attr half[] = { { "axis", 0 }, { "from", 8 }, { "n", 8 } };
    struct tensor *t = graph_op(g, "concat", twice, 2, half, 1);
    t = graph_op(g, "slice", &t, 1, half, 3);
    struct tensor *sum[] = { t, graph_op(g, "square", &weight, 1, NULL, 0) };
    t = graph_op(g, "add", sum, 2, NULL, 0);
    graph_output(g, t);
    gm_ok(graph_plan(g, NULL, &e), &e);
    gm_ok(tensor_write(in, x, &e), &e);
    for (int run = 0; run < 6; run++) {
        float square = run < 4 ? 4 : 9;
        if (run == 2) // behind the params' back
            gm_ok(buffer_fill(params_buffer(p, 0), 0, 0x40400000, sizeof w, &e),
                  &e);
        if (run == 4)
            params_touch(p, 0);
        gm_ok(graph_run(g, &e), &e);
        gm_ok(tensor_read(t, y, &e), &e);
        for (int i = 0; i < 128; i++)
            ck_assert_msg(y[i] == x[i] + square, "run %d, value %d: %g", run, i,
                          (double)y[i]);
    }
    graph_free(g);
    params_free(p);
}
END_TEST

int main(void)
{
    if (gm_no_device())
        return 77;
    Suite *s = suite_create("graph_params");
    TCase *t = tcase_create("graph_params");
    tcase_set_timeout(t, 120);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, same_bits);
    tcase_add_test(t, held_once);
    tcase_add_test(t, other_forms_later);
    tcase_add_test(t, reader_fails);
    tcase_add_test(t, streamed);
    tcase_add_test(t, streamed_beside_held);
    tcase_add_loop_test(t, packed_where_they_lie, 0, 2);
    tcase_add_test(t, streamed_as_planned);
    tcase_add_loop_test(t, few_rows_are_held, 0, 2);
    tcase_add_test(t, streamed_reader_fails);
    tcase_add_test(t, nan_in_a_packed_weight);
    tcase_add_test(t, shape_is_fixed);
    tcase_add_test(t, made_of_weights);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
