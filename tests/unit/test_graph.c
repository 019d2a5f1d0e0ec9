/* SPDX-License-Identifier: MIT */
/* The graph engine: running, gradients of whole models, stages, taps, errors,
 * and that docs/ops.md is the op table. */
#include "config.h"

#include <check.h>
#include <math.h>
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

/* ---- running ---------------------------------------------------------- */

START_TEST(rows_do_not_depend_on_the_batch)
{
    static const uint32_t sizes[] = { 1, 7, 64 };
    struct mohs_error e = MOHS_ERROR_INIT;
    float *image[3], *text[3], *grad[3];
    for (int s = 0; s < 3; s++) {
        struct gm m = gm_new(dev, par, sizes[s]);
        uint32_t dims[] = { sizes[s], GM_EMBED };
        struct tensor *seed = graph_input(m.g, "seed", MOHS_F32, 2, dims), *d;
        gm_loss(&m);
        gm_ok(graph_grad(m.g, m.image, seed, &m.pixels, 1, &d, &e), &e);
        graph_output(m.g, d);
        graph_output(m.g, m.image);
        graph_output(m.g, m.text);
        gm_ok(graph_plan(m.g, NULL, &e), &e);
        gm_write(&m);
        float *v = calloc(sizes[s] * GM_EMBED, sizeof *v);
        for (uint32_t i = 0; i < sizes[s] * GM_EMBED; i++)
            v[i] = (float)(i % 13) - 6;
        gm_ok(tensor_write(seed, v, &e), &e);
        free(v);
        gm_ok(graph_run(m.g, &e), &e);
        image[s] = gm_read(m.image);
        text[s] = gm_read(m.text);
        grad[s] = gm_read(d);
        graph_free(m.g);
    }
    for (int s = 0; s < 2; s++) {
        size_t bytes = sizes[s] * GM_EMBED * sizeof(float);
        ck_assert_mem_eq(image[s], image[2], bytes);
        ck_assert_mem_eq(text[s], text[2], bytes);
        bytes = sizes[s] * GM_PIXELS * sizeof(float);
        ck_assert_mem_eq(grad[s], grad[2], bytes);
    }
    double norm = 0;
    for (int i = 0; i < GM_EMBED; i++)
        norm += image[2][i] * image[2][i];
    ck_assert_double_eq_tol(norm, 1, 1e-5);
    for (int s = 0; s < 3; s++) {
        free(image[s]);
        free(text[s]);
        free(grad[s]);
    }
}
END_TEST

START_TEST(a_new_weight_is_seen)
{
    struct gm m = gm_new(dev, par, 3);
    struct mohs_error e = MOHS_ERROR_INIT;
    float *v = calloc(GM_EMBED * GM_WIDTH, sizeof *v);
    uint32_t dims[] = { GM_EMBED, GM_WIDTH };
    graph_output(m.g, gm_image(m.g, m.pixels));
    struct tensor *y = graph_find_tap(m.g, "image.embed");
    gm_ok(graph_plan(m.g, NULL, &e), &e);
    gm_write(&m);
    gm_ok(graph_run(m.g, &e), &e);
    float *first = gm_read(y);
    gm_ok(params_read(par, "image.proj", v, GM_EMBED * GM_WIDTH, &e), &e);
    for (int i = 0; i < GM_EMBED * GM_WIDTH; i++)
        v[i] = -v[i];
    gm_ok(params_set(par, "image.proj", 2, dims, v, &e), &e);
    gm_ok(graph_run(m.g, &e), &e);
    float *second = gm_read(y);
    for (int i = 0; i < 3 * GM_EMBED; i++)
        ck_assert_float_eq(first[i], -second[i]);
    free(first);
    free(second);
    free(v);
    graph_free(m.g);
}
END_TEST

/* ---- gradients -------------------------------------------------------- */

static double loss_at(struct gm *m)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    float v;
    gm_ok(graph_run(m->g, &e), &e);
    gm_ok(tensor_read(m->loss, &v, &e), &e);
    return v;
}

/* Along the gradient, a step of length h changes the loss by 2 h |g| between
 * both ends. Float losses near 2 carry 1e-7, h |g| is about 1e-2: 1e-3 is
 * generous. */
START_TEST(whole_model_gradient)
{
    static const char *const names[] = { "patch", "cls", "words", "image.pos" };
    struct tensor *grad[GM_WRT];
    struct gm m = gm_training(dev, par, 6, grad);
    struct mohs_error e = MOHS_ERROR_INIT;
    gm_ok(graph_plan(m.g, NULL, &e), &e);
    gm_write(&m);
    loss_at(&m);
    for (int i = 0; i < 4; i++) {
        uint32_t dims[MOHS_DIMS_MAX];
        size_t n = (size_t)tensor_count(grad[i]);
        uint32_t nd = params_shape(par, params_find(par, names[i]), dims);
        float *w = calloc(n, sizeof *w), *t = calloc(n, sizeof *t);
        loss_at(&m);
        float *g = gm_read(grad[i]);
        double norm = 0, ends[2];
        gm_ok(params_read(par, names[i], w, n, &e), &e);
        for (size_t j = 0; j < n; j++)
            norm += (double)g[j] * g[j];
        norm = sqrt(norm);
        ck_assert(norm > 1e-4);
        double h = 1e-2;
        for (int s = 0; s < 2; s++) {
            for (size_t j = 0; j < n; j++)
                t[j] = (float)(w[j] + (s ? h : -h) * g[j] / norm);
            gm_ok(params_set(par, names[i], nd, dims, t, &e), &e);
            ends[s] = loss_at(&m);
        }
        gm_ok(params_set(par, names[i], nd, dims, w, &e), &e);
        ck_assert_double_eq_tol((ends[1] - ends[0]) / (2 * h), norm,
                                5e-3 * norm + 1e-4);
        free(w);
        free(t);
        free(g);
    }
    graph_free(m.g);
}
END_TEST

/* y = x*x*3 + x + exp(x), x used four times. */
START_TEST(several_uses_add_up)
{
    struct graph *g = graph_new(dev, NULL);
    struct mohs_error e = MOHS_ERROR_INIT;
    uint32_t n = 21;
    struct tensor *x = graph_input(g, "x", MOHS_F32, 1, &n), *grad[3];
    struct tensor *y = graph_op(g, "affine", INS(OP(g, "mul", x, x)),
                                ATTRS({ "mul", 3 }));
    y = OP(g, "add", OP(g, "add", y, x), OP(g, "exp", x));
    struct tensor *wrt[] = { x, y, x };
    gm_ok(graph_grad(g, OP(g, "sum", y), NULL, wrt, 3, grad, &e), &e);
    ck_assert_ptr_eq(grad[0], grad[2]);
    graph_output(g, grad[0]);
    graph_output(g, grad[1]);
    gm_ok(graph_plan(g, NULL, &e), &e);
    float v[21];
    for (int i = 0; i < 21; i++)
        v[i] = (float)i / 10 - 1;
    gm_ok(tensor_write(x, v, &e), &e);
    gm_ok(graph_run(g, &e), &e);
    float *d = gm_read(grad[0]), *one = gm_read(grad[1]);
    for (int i = 0; i < 21; i++) {
        ck_assert_float_eq_tol(d[i], 6 * v[i] + 1 + expf(v[i]), 1e-5);
        ck_assert_float_eq(one[i], 1);
    }
    free(d);
    free(one);
    graph_free(g);
}
END_TEST

/* One weight in two layers and as residual: gemm adds into the sum. */
START_TEST(shared_weight_adds_up)
{
    struct graph *g = graph_new(dev, par);
    struct mohs_error e = MOHS_ERROR_INIT;
    enum { N = 3, W = GM_WIDTH };
    uint32_t xd[] = { N, W }, wd[] = { W, W };
    struct tensor *x = graph_input(g, "x", MOHS_F32, 2, xd);
    struct tensor *w = graph_weight(g, "image.0.q.w", 2, wd), *grad[2];
    struct tensor *y = OP(g, "linear", x, w, NULL, x);
    y = OP(g, "linear", y, w, NULL, y);
    struct tensor *wrt[] = { x, w };
    gm_ok(graph_grad(g, OP(g, "sum", y), NULL, wrt, 2, grad, &e), &e);
    graph_output(g, grad[0]);
    graph_output(g, grad[1]);
    uint32_t adds = 0;
    for (struct node *nd = g->nodes; nd; nd = nd->next)
        adds += strcmp(nd->op->info.name, "add") == 0;
    ck_assert_uint_eq(adds, 0);
    gm_ok(graph_plan(g, NULL, &e), &e);
    static float v[N * W], m[W * W];
    static double y1[N * W], d1[N * W], dw[W * W];
    for (int i = 0; i < N * W; i++)
        v[i] = (float)(i % 17) / 8 - 1;
    gm_ok(params_read(par, "image.0.q.w", m, W * W, &e), &e);
    gm_ok(tensor_write(x, v, &e), &e);
    gm_ok(graph_run(g, &e), &e);
    // y1 = x + x W^T; d1 = 1 + 1 W; dW = 1^T y1 + d1^T x; dx = d1 + d1 W
    for (int i = 0; i < N; i++)
        for (int j = 0; j < W; j++) {
            y1[i * W + j] = v[i * W + j];
            d1[i * W + j] = 1;
            for (int k = 0; k < W; k++) {
                y1[i * W + j] += v[i * W + k] * m[j * W + k];
                d1[i * W + j] += m[k * W + j];
            }
        }
    float *dx = gm_read(grad[0]), *gw = gm_read(grad[1]);
    for (int j = 0; j < W; j++)
        for (int k = 0; k < W; k++) {
            dw[j * W + k] = 0;
            for (int i = 0; i < N; i++)
                dw[j * W + k] += y1[i * W + k] + d1[i * W + j] * v[i * W + k];
            ck_assert_double_eq_tol(gw[j * W + k], dw[j * W + k], 1e-4);
        }
    for (int i = 0; i < N; i++)
        for (int j = 0; j < W; j++) {
            double want = d1[i * W + j];
            for (int k = 0; k < W; k++)
                want += d1[i * W + k] * m[k * W + j];
            ck_assert_double_eq_tol(dx[i * W + j], want, 1e-4);
        }
    free(dx);
    free(gw);
    graph_free(g);
}
END_TEST

/* Input gradients alone build no weight gradient. */
START_TEST(only_what_is_asked)
{
    struct gm m = gm_new(dev, par, 2);
    struct mohs_error e = MOHS_ERROR_INIT;
    struct tensor *image = gm_image(m.g, m.pixels), *grad[2], *seed;
    uint32_t dims[] = { 2, GM_EMBED };
    struct tensor *wrt[] = { m.pixels, m.tokens };
    seed = graph_input(m.g, "seed", MOHS_F32, 2, dims);
    gm_ok(graph_grad(m.g, image, seed, wrt, 2, grad, &e), &e);
    ck_assert_ptr_nonnull(grad[0]);
    ck_assert_ptr_null(grad[1]);
    graph_output(m.g, grad[0]);
    gm_ok(graph_plan(m.g, NULL, &e), &e);
    for (struct node *nd = m.g->nodes; nd; nd = nd->next) {
        ck_assert_str_ne(nd->op->info.name, "norm_param_grad");
        if (strcmp(nd->op->info.name, "matmul") == 0)
            ck_assert(nd->attr[0] == 0); // a_trans: a weight gradient
    }
    graph_free(m.g);
}
END_TEST

START_TEST(detach_stops)
{
    struct graph *g = graph_new(dev, NULL);
    struct mohs_error e = MOHS_ERROR_INIT;
    uint32_t n = 5;
    struct tensor *x = graph_input(g, "x", MOHS_F32, 1, &n), *grad;
    struct tensor *y = OP(g, "sum", OP(g, "mul", OP(g, "detach", x), x));
    gm_ok(graph_grad(g, y, NULL, &x, 1, &grad, &e), &e);
    graph_output(g, grad);
    gm_ok(graph_plan(g, NULL, &e), &e);
    float v[] = { 1, -2, 3, 0.5f, 7 };
    gm_ok(tensor_write(x, v, &e), &e);
    gm_ok(graph_run(g, &e), &e);
    float *d = gm_read(grad);
    ck_assert_mem_eq(d, v, sizeof v); // not 2 x
    free(d);
    graph_free(g);
}
END_TEST

/* ---- stages and taps -------------------------------------------------- */

START_TEST(two_stages)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    struct gm m = gm_new(dev, par, 4);
    struct tensor *image = gm_image(m.g, m.pixels), *grad;
    uint32_t dims[] = { 4, GM_EMBED };
    struct tensor *seed = graph_input(m.g, "seed", MOHS_F32, 2, dims);
    graph_output(m.g, image);
    gm_ok(graph_grad(m.g, image, seed, &m.pixels, 1, &grad, &e), &e);
    graph_stage(m.g, 1);
    graph_output(m.g, grad);
    gm_ok(graph_plan(m.g, NULL, &e), &e);
    gm_write(&m);
    gm_ok(graph_run_stage(m.g, 0, &e), &e);
    float *y = gm_read(image); // seed = 2 y: the gradient of sum y^2
    for (int i = 0; i < 4 * GM_EMBED; i++)
        y[i] = (float)(i % 7) - 3;
    gm_ok(tensor_write(seed, y, &e), &e);
    gm_ok(graph_run_stage(m.g, 1, &e), &e);
    float *two = gm_read(grad);

    struct gm k = gm_new(dev, par, 4);
    struct tensor *one = gm_image(k.g, k.pixels);
    struct tensor *s = graph_constant(k.g, 2, dims, y);
    one = OP(k.g, "sum", OP(k.g, "mul", one, s));
    gm_ok(graph_grad(k.g, one, NULL, &k.pixels, 1, &grad, &e), &e);
    graph_output(k.g, grad);
    gm_ok(graph_plan(k.g, NULL, &e), &e);
    gm_write(&k);
    gm_ok(graph_run(k.g, &e), &e);
    float *whole = gm_read(grad);
    double top = 0;
    for (int i = 0; i < 4 * GM_PIXELS; i++) {
        ck_assert_float_eq_tol(two[i], whole[i], 1e-6);
        top = fmax(top, fabs(two[i]));
    }
    ck_assert(top > 1e-3);
    free(y);
    free(two);
    free(whole);
    graph_free(m.g);
    graph_free(k.g);
}
END_TEST

static const char *const taps[] = { "image.patch", "image.block.0",
                                    "image.block.1", "image.embed" };
/* A zero delta changes nothing; its gradient is the tap's gradient; a delta
 * moves the output as the gradient says. */
START_TEST(perturbed_tap)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    struct gm m = gm_new(dev, par, 3), k = gm_new(dev, par, 3);
    graph_perturb(m.g, taps[_i]);
    gm_loss(&m);
    gm_loss(&k);
    struct tensor *delta = graph_find_delta(m.g, taps[_i]);
    struct tensor *tap = graph_find_tap(k.g, taps[_i]), *dd, *dt;
    ck_assert_ptr_nonnull(delta);
    ck_assert_ptr_null(graph_find_delta(k.g, taps[_i]));
    ck_assert(same_shape(delta, tap));
    gm_ok(graph_grad(m.g, m.loss, NULL, &delta, 1, &dd, &e), &e);
    gm_ok(graph_grad(k.g, k.loss, NULL, &tap, 1, &dt, &e), &e);
    graph_output(m.g, dd);
    graph_output(m.g, m.loss);
    graph_output(k.g, dt);
    graph_output(k.g, k.loss);
    gm_ok(graph_plan(m.g, NULL, &e), &e);
    gm_ok(graph_plan(k.g, NULL, &e), &e);
    gm_write(&m);
    gm_write(&k);
    double clean = loss_at(&k), zero = loss_at(&m), norm = 0;
    ck_assert_double_eq(clean, zero);
    float *a = gm_read(dd), *b = gm_read(dt);
    size_t n = (size_t)tensor_count(delta);
    ck_assert_mem_eq(a, b, n * 4);
    for (size_t i = 0; i < n; i++)
        norm += (double)a[i] * a[i];
    norm = sqrt(norm);
    ck_assert(norm > 1e-5);
    for (size_t i = 0; i < n; i++)
        b[i] = (float)(1e-2 * a[i] / norm);
    gm_ok(tensor_write(delta, b, &e), &e);
    ck_assert_double_eq_tol(loss_at(&m) - clean, 1e-2 * norm,
                            0.1 * 1e-2 * norm + 1e-6);
    free(a);
    free(b);
    graph_free(m.g);
    graph_free(k.g);
}
END_TEST

START_TEST(unknown_tap)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    struct gm m = gm_new(dev, par, 1);
    graph_perturb(m.g, "image.blok.0");
    graph_output(m.g, gm_image(m.g, m.pixels));
    ck_assert_int_eq(graph_plan(m.g, NULL, &e), MOHS_E_ARG);
    ck_assert_ptr_nonnull(strstr(e.text, "\"image.blok.0\" does not exist"));
    ck_assert_ptr_nonnull(strstr(e.text, "image.block.0"));
    graph_free(m.g);
}
END_TEST

/* ---- errors ----------------------------------------------------------- */

static const struct {
    const char *op, *attr;
    double value;
    uint32_t a[3], b[3]; /* shapes of two inputs, 0-terminated */
    const char *text;
} wrong[] = {
    { "linea", NULL, 0, { 2, 3 }, { 4, 3 },
      "unknown op \"linea\": did you mean \"linear\"?" },
    { "linear", NULL, 0, { 2, 3 }, { 4, 5 },
      "linear: x [2, 3] does not fit w [4, 5]" },
    { "linear", "akt", 1, { 2, 3 }, { 4, 3 },
      "linear: unknown attribute \"akt\"" },
    { "linear", "act", 9, { 2, 3 }, { 4, 3 },
      "linear: attribute act = 9 is outside 0..6" },
    { "linear", "act", 1.5, { 2, 3 }, { 4, 3 },
      "act = 1.5 is not a whole number" },
    { "linear", NULL, 0, { 2, 3 }, { 0 }, "linear: input \"w\" is missing" },
    { "matmul", NULL, 0, { 2, 3 }, { 4, 5 }, "inner sizes 3 and 4" },
    { "add", NULL, 0, { 2, 3 }, { 4 },
      "add: b [4] is neither the shape of a [2, 3]" },
    { "layer_norm", NULL, 0, { 2, 3 }, { 4 },
      "layer_norm: gain [4] does not fit x [2, 3]" },
    { "layer_norm", "eps", -1, { 2, 3 }, { 3 }, "eps = -1 is outside 0..1" },
    { "embedding", NULL, 0, { 2, 3 }, { 3, 3 },
      "embedding: input \"ids\" must be int32" },
    { "gelu", NULL, 0, { 2, 3 }, { 3 }, "input 1 is one too many" },
    { "patch_embed", NULL, 0, { 2, 3 }, { 3 },
      "patch_embed: x [2, 3] does not fit w [3]" },
    { "attention", NULL, 0, { 2, 3 }, { 3 },
      "attention: input \"v\" is missing" },
    { "slice", "axis", 2, { 2, 3 }, { 0 }, "slice: x [2, 3] has no axis 2" },
    { "prepend", NULL, 0, { 2, 3, 4 }, { 5 }, "prepend: x [2, 3, 4], cls [5]" },
};

static struct tensor *maybe(struct graph *g, const char *name,
                            const uint32_t *dims)
{
    uint32_t n = 0;
    while (n < 3 && dims[n])
        n++;
    return n ? graph_input(g, name, MOHS_F32, n, dims) : NULL;
}

START_TEST(wrong_calls)
{
    struct graph *g = graph_new(dev, par);
    struct mohs_error e = MOHS_ERROR_INIT;
    struct mohs_attr at = { wrong[_i].attr, wrong[_i].value };
    struct tensor *in[] = { maybe(g, "a", wrong[_i].a),
                            maybe(g, "b", wrong[_i].b) };
    ck_assert_ptr_null(graph_op(g, wrong[_i].op, in, 2, &at,
                                wrong[_i].attr ? 1 : 0));
    ck_assert_int_lt(graph_status(g, &e), 0);
    ck_assert_msg(strstr(e.text, wrong[_i].text) != NULL, "%s", e.text);
    // after an error nothing happens, and the first text stays
    ck_assert_ptr_null(graph_op(g, "gelu", in, 1, NULL, 0));
    ck_assert_ptr_null(maybe(g, "c", wrong[_i].a));
    ck_assert_uint_eq(graph_api.shape((struct mohs_graph *)(void *)g,
                                      (struct mohs_tensor *)(void *)in[0],
                                      NULL), 0);
    ck_assert_int_lt(graph_plan(g, NULL, &e), 0);
    ck_assert_msg(strstr(e.text, wrong[_i].text) != NULL, "%s", e.text);
    graph_free(g);
}
END_TEST

START_TEST(wrong_weights_and_reads)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    uint32_t dims[] = { 3, 4 };
    struct graph *g = graph_new(dev, par);
    ck_assert_ptr_null(graph_weight(g, "nose", 2, dims));
    graph_status(g, &e);
    ck_assert_str_eq(e.text, "weight \"nose\" is missing");
    graph_free(g);
    g = graph_new(dev, par);
    ck_assert_ptr_null(graph_weight(g, "cls", 2, dims));
    graph_status(g, &e);
    ck_assert_str_eq(e.text,
                     "weight \"cls\" has shape [36], the model needs [3, 4]");
    graph_free(g);

    g = graph_new(dev, par);
    struct tensor *x = graph_input(g, "x", MOHS_F32, 2, dims);
    struct tensor *y = OP(g, "gelu", x), *z = OP(g, "exp", y);
    float v[12] = { 0 };
    ck_assert_int_lt(tensor_write(x, v, &e), 0); // not planned
    ck_assert_int_lt(graph_run(g, &e), 0);
    ck_assert_ptr_nonnull(strstr(e.text, "not planned"));
    graph_output(g, z);
    gm_ok(graph_plan(g, NULL, &e), &e);
    ck_assert_int_lt(tensor_read(y, v, &e), 0);
    ck_assert_str_eq(e.text, "the result of \"gelu\" is not kept: mark it as "
                             "output");
    ck_assert_int_lt(tensor_write(y, v, &e), 0);
    ck_assert_ptr_null(OP(g, "gelu", x)); // planned already
    graph_free(g);

    ck_assert_int_lt(params_set(par, "cls", 2, dims, v, &e), 0);
    ck_assert_int_lt(params_read(par, "cls", v, 12, &e), 0);
    ck_assert_str_eq(e.text, "parameter \"cls\" has 36 values, not 12");
}
END_TEST

/* ---- NaN -------------------------------------------------------------- */

START_TEST(nan_is_named)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    struct graph *g = graph_new(dev, par);
    uint32_t n = 40;
    struct tensor *x = graph_input(g, "x", MOHS_F32, 1, &n);
    struct tensor *y = graph_tap(g, "here", OP(g, "tanh", x));
    y = OP(g, "exp", OP(g, "log", y));
    graph_output(g, y);
    gm_ok(graph_plan(g, NULL, &e), &e);
    float v[40];
    for (int i = 0; i < 40; i++)
        v[i] = 1;
    gm_ok(tensor_write(x, v, &e), &e);
    ck_assert_ptr_null(graph_find_nan(g, &e));
    v[37] = -1;
    gm_ok(tensor_write(x, v, &e), &e);
    ck_assert_str_eq(graph_find_nan(g, &e),
                     "node 1 (log) after tap \"here\", stage 0");
    setenv("MOHS_CHECK_NAN", "1", 1);
    ck_assert_int_eq(graph_run(g, &e), MOHS_E_NUMERIC);
    unsetenv("MOHS_CHECK_NAN");
    ck_assert_ptr_nonnull(strstr(e.text, "node 1 (log) after tap \"here\""));
    v[0] = NAN;
    gm_ok(tensor_write(x, v, &e), &e);
    ck_assert_str_eq(graph_find_nan(g, &e), "input \"x\"");
    graph_free(g);
}
END_TEST

/* ---- documentation ---------------------------------------------------- */

static void table(struct str *s, bool gradients)
{
    str_add(s, "\n| op | inputs | attributes | meaning |\n|---|---|---|---|\n");
    for (size_t i = 0; op_list(i); i++) {
        const struct op_info *o = op_list(i);
        if (o->differentiable == gradients)
            continue;
        str_addf(s, "| `%s` | %s | %s | ", o->name, o->inputs,
                 o->attributes[0] ? o->attributes : "");
        for (const char *p = o->formula; *p; p++) {
            if (*p == '|')
                str_add(s, "\\|");
            else
                str_addn(s, p, 1);
        }
        str_add(s, " |\n");
    }
}

START_TEST(ops_md_is_the_table)
{
    struct str s = { 0 };
    struct mohs_error e = MOHS_ERROR_INIT;
    char *data = NULL;
    size_t n;
    str_add(&s,
            "# Ops\n\n"
            "What a model can be made of (`mohs/ext/graph.h`). Tensors are "
            "float32, row-major,\nup to 5 dims; `int` inputs are int32; `?` "
            "may be left out; `name=default(lo..hi)`.\n"
            "`tests/unit/test_graph.c` keeps this page equal to the op table; "
            "run it with\n`MOHS_WRITE_DOCS=1` after a change.\n");
    table(&s, false);
    str_add(&s, "\n## Gradients\n\nNodes that `graph_grad` makes; most have no "
                "gradient of their own.\n");
    table(&s, true);
    if (getenv("MOHS_WRITE_DOCS"))
        gm_ok(file_write(SRCDIR "/docs/ops.md", s.s, s.n, &e), &e);
    gm_ok(file_read(SRCDIR "/docs/ops.md", 0, &data, &n, &e), &e);
    ck_assert_msg(n == s.n && memcmp(data, s.s, n) == 0,
                  "docs/ops.md is not the op table: run this test with "
                  "MOHS_WRITE_DOCS=1");
    free(data);
    str_free(&s);
}
END_TEST

int main(void)
{
    if (gm_no_device())
        return 77;
    Suite *s = suite_create("graph");
    TCase *t = tcase_create("graph");
    tcase_set_timeout(t, 120);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, rows_do_not_depend_on_the_batch);
    tcase_add_test(t, a_new_weight_is_seen);
    tcase_add_test(t, whole_model_gradient);
    tcase_add_test(t, several_uses_add_up);
    tcase_add_test(t, shared_weight_adds_up);
    tcase_add_test(t, only_what_is_asked);
    tcase_add_test(t, detach_stops);
    tcase_add_test(t, two_stages);
    tcase_add_loop_test(t, perturbed_tap, 0, 4);
    tcase_add_test(t, unknown_tap);
    tcase_add_loop_test(t, wrong_calls, 0,
                        sizeof wrong / sizeof wrong[0]);
    tcase_add_test(t, wrong_weights_and_reads);
    tcase_add_test(t, nan_is_named);
    tcase_add_test(t, ops_md_is_the_table);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
