/* SPDX-License-Identifier: MIT */
/*
 * The graphs of a step: gradients by parameters and by deltas against finite
 * differences for every loss, perturbations inside their balls, noise on
 * their surface, padding untouched.
 */
#include "config.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <mohs/rng.h>

#include "graph/optim.h"
#include "train/step.h"
#include "unit/train_tiny.h"

static struct tiny t;
static struct stepper s;
static struct mohs_weights *weights;
static void *item_params;
static const struct item *item;
static struct tokenizer *tok;
static struct preprocess pre;
static struct captions caps;
static struct pictures *pics;
static struct pool *pool;
static struct loader loader;
static struct batch batch;
static struct mohs_error err = MOHS_ERROR_INIT;

#define OK(expr) ck_assert_msg((expr) >= 0, "%s", err.text)

/* ---- a stepper without a trainer ---- */

static mohs_status set_param(void *user, const struct mohs_weight_spec *w,
                             struct mohs_error *e)
{
    uint64_t n = 1;
    (void)user;
    for (uint32_t i = 0; i < w->n_dims; i++)
        n *= w->dims[i];
    float *x = xcalloc((size_t)n, sizeof *x);
    mohs_status st = weights_api.read(weights, w->name, x, n, e);
    if (st >= 0)
        st = params_set(s.params, w->name, w->n_dims, w->dims, x, e);
    free(x);
    return st;
}

static void open_with(enum train_loss loss, const char *taps)
{
    t.o.loss = loss;
    t.o.attack.kind = taps ? ADVERSARY_GRADIENT : ADVERSARY_NONE;
    t.o.attack.taps = taps;
    s = (struct stepper) { .o = &t.o, .pre = &pre };
    OK(weights_open(tiny_init(&t, loss == TRAIN_SIGMOID), &weights, &err));
    OK(registry_find(t.registry, MOHS_KIND_MODEL, "clip", &item, &err));
    s.ops = item->item->ops;
    item_params = item_params_new(item);
    // the configuration is not in the file: from the options
    struct mohs_weights *config;
    char *text = xasprintf("{\"mohs_sigmoid_loss\":%s,%s",
                           loss == TRAIN_SIGMOID ? "true" : "false", t.o.config + 1);
    OK(weights_new(text, t.tokenizer, t.o.preprocessor, &config, &err));
    free(text);
    OK(s.ops->create(registry_host(t.registry), item_params, config, &s.model, &err));
    OK(preprocess_from(config, s.ops->info(s.model), &pre, &err));
    OK(registry_compute(t.registry, &s.compute, &err));
    s.params = params_new(s.compute);
    OK(s.ops->describe(s.model, set_param, NULL, &err));
    weights_close(config);
    OK(tokenizer_parse(t.tokenizer, strlen(t.tokenizer), "tiny", &tok, &err));
    pool = pool_new(1);
    OK(captions_new(t.data, TINY_IMAGES, true, tok, TINY_CONTEXT, pool, &caps, &err));
    OK(pictures_new(t.data, TINY_IMAGES, &pre, 1 << 20, pool, &pics, &err));
    s.context = caps.longest;
    OK(loader_init(&loader, &t.o, &pre, pics, &caps, s.context, pool, &err));
    OK(batch_alloc(&batch, TINY_BATCH, &pre, s.context, &err));
    OK(loader_fill(&loader, 1, &batch, &err));
    OK(stepper_taps(&s, &err));
}

static void setup(void)
{
    tiny_make(&t);
    tiny_open(&t);
}

static void teardown(void)
{
    batch_free(&batch);
    loader_free(&loader);
    captions_free(&caps);
    pictures_free(pics);
    pool_free(pool);
    tokenizer_free(tok);
    params_free(s.params);
    s.ops->destroy(s.model);
    item_params_free(item, item_params);
    weights_close(weights);
    tiny_remove(&t);
}

static float *host(struct mohs_buffer *b)
{
    float *x = xmalloc(buffer_bytes(b));
    OK(buffer_read(b, 0, x, buffer_bytes(b), &err));
    return x;
}

static double loss_of(struct step_graph *g)
{
    float x;
    OK(graph_run(g->graph, &err));
    OK(tensor_read(g->loss, &x, &err));
    return x;
}

/* ---- finite differences ---- */

/* (loss(x + h v) - loss(x - h v)) / 2h for v of length 1 over buffer b. */
static double slope(struct step_graph *g, struct mohs_buffer *b, int param,
                    const float *v, double h)
{
    size_t n = buffer_bytes(b) / sizeof(float);
    float *x = host(b), *y = xmalloc(buffer_bytes(b));
    double value[2];
    for (int side = 0; side < 2; side++) {
        for (size_t i = 0; i < n; i++)
            y[i] = (float)(x[i] + (side ? h : -h) * v[i]);
        OK(buffer_write(b, 0, y, n * sizeof *y, &err));
        if (param >= 0)
            params_touch(s.params, (size_t)param);
        value[side] = loss_of(g);
    }
    OK(buffer_write(b, 0, x, n * sizeof *x, &err));
    if (param >= 0)
        params_touch(s.params, (size_t)param);
    free(x);
    free(y);
    return (value[1] - value[0]) / (2 * h);
}

/* Along the gradient itself, where the slope is its length, and across it in
 * a random direction. */
static void check_slopes(struct step_graph *g, struct mohs_buffer *b, int param,
                         const float *grad, size_t n, const char *name, double h)
{
    double length = 0, dot = 0, norm = 0;
    float *v = xcalloc(n, sizeof *v);
    for (size_t i = 0; i < n; i++)
        length += (double)grad[i] * grad[i];
    length = sqrt(length);
    for (size_t i = 0; i < n; i++)
        v[i] = (float)(length > 0 ? grad[i] / length : 0);
    // a float loss of about 3 near 1e-6, so slopes near 1e-6 / h
    double have = slope(g, b, param, v, h);
    ck_assert_msg(fabs(have - length) < 1e-3 + 0.02 * length,
                  "%s: the gradient is %g long, the slope along it %g", name, length, have);
    for (size_t i = 0; i < n; i++) {
        v[i] = mohs_rng_normal(1, hash_str64(name), i);
        norm += (double)v[i] * v[i];
    }
    for (size_t i = 0; i < n; i++) {
        v[i] = (float)(v[i] / sqrt(norm));
        dot += (double)v[i] * grad[i];
    }
    have = slope(g, b, param, v, h);
    ck_assert_msg(fabs(have - dot) < 1e-3 + 0.02 * length,
                  "%s: slope %g across, not %g", name, have, dot);
    free(v);
}

static const struct {
    enum train_loss loss;
    enum step_kind kind;
    float kl;
} steps[] = { { TRAIN_CLIP, STEP_CLEAN, 0 }, { TRAIN_SIGMOID, STEP_CLEAN, 0 },
              { TRAIN_CLIP, STEP_FREE, 0 }, { TRAIN_CLIP, STEP_BOTH, 1.5f },
              { TRAIN_SIGMOID, STEP_BOTH, 1 } };

static void random_deltas(struct step_graph *g)
{
    for (size_t k = 0; k < s.n_taps; k++) {
        size_t n = (size_t)tensor_count(g->delta[k]);
        float *x = xcalloc(n, sizeof *x);
        for (size_t i = 0; i < n; i++)
            x[i] = 0.1f * mohs_rng_normal(6, k, i);
        OK(tensor_write(g->delta[k], x, &err));
        free(x);
    }
}

START_TEST(parameter_gradients)
{
    struct step_graph g;
    size_t live = 0;
    open_with(steps[_i].loss, "image.patch,text.block.0");
    t.o.attack.kl = steps[_i].kl;
    OK(step_graph_new(&s, s.params, steps[_i].kind, &g, &err));
    OK(step_graph_write(&s, &g, steps[_i].kind, &batch, NULL, &err));
    if (steps[_i].kind != STEP_CLEAN)
        random_deltas(&g);
    loss_of(&g);
    for (size_t i = 0; i < params_count(s.params); i++) {
        if (!g.grad[i])
            continue;
        size_t n = (size_t)tensor_count(g.grad[i]);
        float *grad = xcalloc(n, sizeof *grad);
        loss_of(&g);
        OK(tensor_read(g.grad[i], grad, &err));
        check_slopes(&g, params_buffer(s.params, i), (int)i, grad, n,
                     params_name(s.params, i), 0.01);
        free(grad);
        live++;
    }
    ck_assert_uint_eq(live, params_count(s.params));
    step_graph_free(&g);
}
END_TEST

START_TEST(delta_gradients)
{
    struct step_graph g;
    open_with(_i ? TRAIN_SIGMOID : TRAIN_CLIP,
              "image.patch,text.token,pixels,image.embed,text.block.1");
    enum step_kind kind = _i ? STEP_FREE : STEP_ASCENT;
    OK(step_graph_new(&s, s.params, kind, &g, &err));
    OK(step_graph_write(&s, &g, kind, &batch, NULL, &err));
    random_deltas(&g);
    for (size_t k = 0; k < s.n_taps; k++) {
        size_t n = (size_t)tensor_count(g.delta[k]), offset;
        float *grad = xcalloc(n, sizeof *grad);
        struct mohs_buffer *b = tensor_buffer(g.delta[k], &offset), *part;
        loss_of(&g);
        OK(tensor_read(g.delta_grad[k], grad, &err));
        OK(buffer_sub(b, offset, n * sizeof(float), &part, &err));
        check_slopes(&g, part, -1, grad, n, s.tap[k], 0.01);
        buffer_unref(part);
        free(grad);
    }
    step_graph_free(&g);
}
END_TEST

/* ---- perturbations ---- */

static double norm(const float *x, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)x[i] * x[i];
    return sqrt(sum);
}

/* Smallest and largest norm(delta) / norm(clean) over real tokens; padding
 * must be zero. */
static void shares(struct step_graph *g, struct adversary *a, size_t k, double *least,
                   double *most)
{
    uint32_t tokens = a->ball[k].tokens, width = a->ball[k].width;
    size_t n = (size_t)TINY_BATCH * tokens * width;
    float *d = xcalloc(n, sizeof *d), *x = host(a->clean[k]);
    OK(tensor_read(g->delta[k], d, &err));
    *least = INFINITY;
    *most = 0;
    for (uint32_t i = 0; i < TINY_BATCH * tokens; i++) {
        double share = norm(d + i * width, width) / norm(x + i * width, width);
        if (a->text[k] && tokens == s.context && !batch.mask[i]) {
            ck_assert(norm(d + i * width, width) == 0);
            continue;
        }
        *least = fmin(*least, share);
        *most = fmax(*most, share);
    }
    free(d);
    free(x);
}

static double climbed(struct step_graph *g, struct adversary *a, uint32_t step)
{
    OK(step_graph_write(&s, g, STEP_ASCENT, &batch, NULL, &err));
    OK(adversary_begin(&s, g, a, &batch, step, &err));
    for (uint32_t k = 0; k < t.o.attack.steps; k++) {
        OK(graph_run(g->graph, &err));
        OK(adversary_ascend(&s, g, g, a, step, &err));
    }
    return loss_of(g);
}

START_TEST(perturbations)
{
    struct step_graph g;
    struct adversary a;
    double least, most, before, after;
    open_with(TRAIN_CLIP, "image.patch,text.token");
    t.o.attack.eps = 0.2f;
    t.o.attack.steps = 3;
    OK(step_graph_new(&s, s.params, STEP_ASCENT, &g, &err));
    OK(adversary_new(&s, &g, &a, &err));
    OK(step_graph_write(&s, &g, STEP_ASCENT, &batch, NULL, &err));
    OK(adversary_begin(&s, &g, &a, &batch, 0, &err));
    before = loss_of(&g);
    after = climbed(&g, &a, 0);
    ck_assert_msg(after > before + 0.5, "loss %g to %g", before, after);
    for (size_t k = 0; k < s.n_taps; k++) {
        shares(&g, &a, k, &least, &most);
        ck_assert_msg(most < 0.2 * (1 + 1e-5) && most > 0.19, "%s: %g", s.tap[k], most);
    }
    // the control: as long everywhere, but blind
    OK(adversary_begin(&s, &g, &a, &batch, 0, &err));
    OK(adversary_randomise(&s, &g, &a, 0, true, &err));
    double blind = loss_of(&g);
    ck_assert_msg(fabs(blind - before) < 0.5 * (after - before), "noise: %g", blind);
    for (size_t k = 0; k < s.n_taps; k++) {
        shares(&g, &a, k, &least, &most);
        ck_assert_double_eq_tol(least, 0.2, 1e-5);
        ck_assert_double_eq_tol(most, 0.2, 1e-5);
    }
    // a random start is inside
    OK(adversary_randomise(&s, &g, &a, 1, false, &err));
    for (size_t k = 0; k < s.n_taps; k++) {
        shares(&g, &a, k, &least, &most);
        ck_assert(most < 0.2 * (1 + 1e-5) && least < most && least > 0);
    }
    // one side at a time
    t.o.attack.alternate = true;
    for (uint32_t step = 0; step < 2; step++) {
        climbed(&g, &a, step);
        for (size_t k = 0; k < s.n_taps; k++) {
            shares(&g, &a, k, &least, &most);
            ck_assert_int_eq(most > 0, k == step);
        }
    }
    adversary_free(&a);
    step_graph_free(&g);
}
END_TEST

START_TEST(ramp)
{
    struct train_options o = { .attack = { .kind = ADVERSARY_GRADIENT, .eps = 0.3f,
                                           .start = 10, .ramp = 2 } };
    const float want[] = { 0, 0.1f, 0.2f, 0.3f, 0.3f };
    for (uint32_t i = 0; i < 5; i++)
        ck_assert_float_eq_tol(adversary_eps(&o, 9 + i), want[i], 1e-6f);
    o.attack.kind = ADVERSARY_NONE;
    ck_assert_float_eq(adversary_eps(&o, 20), 0);
}
END_TEST

int main(void)
{
    int skip = tiny_need_device();
    if (skip)
        return skip;
    Suite *suite = suite_create("train_step");
    TCase *c = tcase_create("step"), *plain = tcase_create("plain");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_loop_test(c, parameter_gradients, 0, (int)(sizeof steps / sizeof *steps));
    tcase_add_loop_test(c, delta_gradients, 0, 2);
    tcase_add_test(c, perturbations);
    tcase_set_timeout(c, 300);
    tcase_add_test(plain, ramp);
    suite_add_tcase(suite, c);
    suite_add_tcase(suite, plain);
    SRunner *r = srunner_create(suite);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
