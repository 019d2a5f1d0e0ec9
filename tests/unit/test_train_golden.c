/* SPDX-License-Identifier: MIT */
/*
 * Training step by step against PyTorch (golden/train.py): objective,
 * adversarial loss and gradient norm of every step, and how far every weight
 * went in the end; CLIP and SigLIP loss, averaged weights, VILLA and FreeLB
 * at several taps.
 */
#include "config.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "golden/train.h"
#include "graph/optim.h"
#include "model/model.h"
#include "unit/train_tiny.h"

enum { N_ARMS = sizeof arms / sizeof *arms };

static struct tiny t;
static struct mohs_error err = MOHS_ERROR_INIT;
static void *attack_params;

#define OK(expr) ck_assert_msg((expr) >= 0, "%s", err.text)

static void setup(void)
{
    tiny_make(&t);
    tiny_open(&t);
    attack_params = NULL;
}

static void teardown(void)
{
    if (attack_params)
        item_params_free(t.o.attack.plugin, attack_params);
    tiny_remove(&t);
}

/* Fine-tuning under pgd: three classes, labels by turns. */
static void fine_tune(enum train_loss loss)
{
    static const char *classes[] = { "q", "x", "z" };
    static const char *const param[][2] = { { "norm", "l2" }, { "eps", "0.8" },
                                            { "steps", "3" }, { "random_start", "0" } };
    const struct item *pgd;
    OK(registry_find(t.registry, MOHS_KIND_ATTACK, "pgd", &pgd, &err));
    void *params = item_params_new(pgd);
    for (size_t i = 0; i < sizeof param / sizeof *param; i++)
        OK(item_param_set_text(pgd, params, param[i][0], param[i][1], &err));
    t.o.loss = loss;
    t.o.prompt = "a {}";
    t.o.attack.kind = ADVERSARY_PLUGIN;
    t.o.attack.taps = "pixels";
    t.o.attack.plugin = pgd;
    t.o.attack.params = attack_params = params;
    t.o.attack.clean = loss == TRAIN_TECOA ? 0.5f : 0;
    t.data->classes = classes;
    t.data->n_classes = 3;
    for (uint32_t i = 0; i < TINY_IMAGES; i++)
        t.data->image[i].label = i % 3;
}

/* The options of each arm, as train.py's ARMS. */
static void configure(const char *arm)
{
    struct train_options *o = &t.o;
    struct train_attack *a = &o->attack;
    o->lr = 0.02f;
    o->beta1 = 0.8f;
    o->beta2 = 0.95f;
    o->eps = 1e-4f;
    o->decay = 0.1f;
    o->clip_norm = 0.5f;
    o->seed = 5;
    if (!strcmp(arm, "clean"))
        o->ema = 0.9f;
    if (!strcmp(arm, "sigmoid") || !strcmp(arm, "sample"))
        o->loss = TRAIN_SIGMOID;
    if (!strcmp(arm, "clean") || !strcmp(arm, "sigmoid"))
        return;
    if (!strcmp(arm, "tecoa") || !strcmp(arm, "fare")) {
        fine_tune(strcmp(arm, "fare") ? TRAIN_TECOA : TRAIN_FARE);
        return;
    }
    a->kind = ADVERSARY_GRADIENT;
    a->taps = "image.patch,text.token";
    if (!strcmp(arm, "villa")) {
        a->steps = 2;
        a->eps = 0.2f;
        a->kl = 1.5f;
        a->start = 1;
        a->ramp = 2;
        return;
    }
    o->lr = 0.01f;
    if (!strcmp(arm, "freelb")) {
        a->steps = 2;
        a->eps = 0.3f;
        a->norm = BALL_LINF;
        a->per_sample = a->average = true;
    } else if (!strcmp(arm, "average")) {
        a->steps = a->start = 2;
        a->eps = 0.15f;
        a->kl = 0.7f;
        a->average = true;
    } else if (!strcmp(arm, "sample")) {
        a->taps = "image.block.0,text.embed";
        a->eps = 0.15f;
        a->per_sample = true;
    } else {
        ck_assert_str_eq(arm, "alternate");
        a->steps = 3;
        a->start = a->ramp = 1;
        a->alternate = true;
    }
}

struct seen {
    const struct arm *arm;
    uint32_t n;
};

/* Float steps drift from double ones by rounding, more with every step. */
static void near(double have, double want, double tol, const char *arm, const char *what,
                 uint32_t step)
{
    ck_assert_msg(isnan(have) == isnan(want) &&
                      !(fabs(have - want) > tol * fmax(1, fabs(want))),
                  "%s: %s at step %u is %.9g, not %.9g", arm, what, step, have, want);
}

static void compare_step(void *user, const struct train_progress *p)
{
    struct seen *s = user;
    const struct arm *a = s->arm;
    uint32_t i = s->n++;
    ck_assert_uint_eq(p->step, i + 1);
    near(p->loss, a->loss[i], 2e-4, a->name, "loss", i);
    near(p->loss_adversarial, a->adversarial[i], 2e-4, a->name, "adversarial loss", i);
    near(p->gradient_norm, a->norm[i], 2e-3, a->name, "gradient norm", i);
}

static float *read_weight(const struct mohs_weights *w, const char *name, uint64_t *n)
{
    uint32_t dims[MOHS_DIMS_MAX];
    int32_t k = weights_api.shape(w, name, dims);
    ck_assert_msg(k >= 0, "no weight %s", name);
    *n = 1;
    for (int32_t i = 0; i < k; i++)
        *n *= dims[i];
    float *x = xcalloc((size_t)*n, sizeof *x);
    OK(weights_api.read(w, name, x, *n, &err));
    return x;
}

static void compare_weight(const struct arm *a, const struct change *c,
                           const struct mohs_weights *from, const struct mohs_weights *to)
{
    uint64_t n, m;
    float *x = read_weight(from, c->name, &n), *y = read_weight(to, c->name, &m);
    double sum = 0, product = 0, length = 0;
    ck_assert_uint_eq(n, m);
    for (uint64_t i = 0; i < n; i++) {
        double d = (double)y[i] - x[i], r = tiny_number(31, c->name, i);
        sum += d * d;
        product += d * r;
        length += r * r;
    }
    // shares of the largest the product could be
    double most = fmax(c->norm, 1e-4), tol = 5e-3;
    ck_assert_msg(fabs(sqrt(sum) - c->norm) < tol * most, "%s: %s went %.8g, not %.8g",
                  a->name, c->name, sqrt(sum), c->norm);
    ck_assert_msg(fabs(product - c->product) < tol * most * sqrt(length),
                  "%s: %s went the other way: %.8g, not %.8g", a->name, c->name, product,
                  c->product);
    free(x);
    free(y);
}

START_TEST(step_by_step)
{
    const struct arm *a = &arms[_i];
    struct seen seen = { a, 0 };
    struct mohs_weights *from, *to;
    configure(a->name);
    t.o.init = tiny_init(&t, t.o.loss == TRAIN_SIGMOID);
    t.o.progress = compare_step;
    t.o.user = &seen;
    struct train_result r = tiny_train(&t, "out.safetensors");
    ck_assert_uint_eq(seen.n, G_STEPS);
    OK(weights_open(t.o.init, &from, &err));
    OK(weights_open(t.o.out, &to, &err));
    for (int i = 0; i < a->n_changes; i++)
        compare_weight(a, &a->change[i], from, to);
    weights_close(from);
    weights_close(to);
    free(r.curve);
}
END_TEST

int main(void)
{
    int skip = tiny_need_device();
    if (skip)
        return skip;
    Suite *s = suite_create("train_golden");
    TCase *c = tcase_create("golden");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_loop_test(c, step_by_step, 0, N_ARMS);
    tcase_set_timeout(c, 300);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
