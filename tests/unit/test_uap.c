/* SPDX-License-Identifier: MIT */
/*
 * The universal perturbation: one for all pictures, in ball and range; a step
 * is by the sign of the mean gradient (finite differences); the same bits for
 * any micro-batch and after a restore; it moves pictures it never saw.
 */
#include "config.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "unit/attack_victim.h"

static struct registry *reg;
static struct mohs_error err = MOHS_ERROR_INIT;

#define OK(expr) ck_assert_msg((expr) >= 0, "%s", err.text)

static void setup(void)
{
    OK(av_registry(&reg, &err));
}

static void teardown(void)
{
    registry_close(reg);
}

/* Learns from the first n samples, micro of them at once; the state. */
static void *learn(const char *params, uint32_t n, uint32_t micro, float state[AV_PIXELS],
                   const struct mohs_attack_ops **ops)
{
    void *self;
    const float *data;
    uint32_t count;
    struct attack_victim *a = av_new(0, 0, n);
    a->micro_batch = micro;
    OK(av_attack(reg, "uap", params, ops, &self, &err));
    OK(attack_fit_whole(*ops, self, &a->v, 5, &err));
    const struct mohs_attack_fit *f = attack_extension(*ops, self, MOHS_EXT_ATTACK_FIT);
    OK(f->state(self, &data, &count, &err));
    ck_assert_uint_eq(count, AV_PIXELS);
    memcpy(state, data, count * sizeof *data);
    av_free(a);
    return self;
}

static double loss_of(const float *delta, uint32_t n)
{
    struct attack_victim *a = av_new(0, 0, n);
    struct mohs_site s;
    double sum = 0;
    OK(a->v.site(&a->v, "pixels", &s, &err));
    for (uint32_t i = 0; i < n; i++)
        for (int k = 0; k < AV_PIXELS; k++) {
            float x = s.clean[i * AV_PIXELS + k], y = x + delta[k];
            s.delta[i * AV_PIXELS + k] = (y < 0 ? 0 : y > 1 ? 1 : y) - x;
        }
    for (uint32_t i = 0; i < n; i++)
        sum += av_cross_entropy(a, i) / n;
    av_free(a);
    return sum;
}

START_TEST(by_sign_of_mean)
{
    const struct mohs_attack_ops *ops;
    float start[AV_PIXELS], after[AV_PIXELS], probe[AV_PIXELS];
    int checked = 0;
    // a step too small for floats of this size leaves the start
    void *self = learn("eps=0.1 alpha=1e-12 epochs=1 loss=cross_entropy", AV_N, 2, start, &ops);
    ops->destroy(self);
    self = learn("eps=0.1 alpha=0.01 epochs=1 loss=cross_entropy", AV_N, 2, after, &ops);
    ops->destroy(self);
    for (int k = 0; k < AV_PIXELS; k++) {
        memcpy(probe, start, sizeof probe);
        probe[k] = start[k] + 1e-3f;
        double up = loss_of(probe, AV_N);
        probe[k] = start[k] - 1e-3f;
        double slope = (up - loss_of(probe, AV_N)) / 2e-3;
        double moved = (double)after[k] - (double)start[k];
        double want = slope > 0 ? 0.01 : -0.01;
        ck_assert_double_le(fabs((double)after[k]), 0.1 + 1e-8);
        if (fabs(slope) < 1e-2 || fabs((double)start[k] + want) > 0.1)
            continue;
        ck_assert_double_eq_tol(moved, want, 1e-6);
        checked++;
    }
    ck_assert_int_gt(checked, AV_PIXELS / 2);
}
END_TEST

START_TEST(one_for_all)
{
    static const char *const params[] = { "eps=0.05", "eps=0.3 norm=l2 epochs=20",
                                          "eps=0.05 loss=margin epochs=20" };
    const struct mohs_attack_ops *ops;
    float one[AV_PIXELS], two[AV_PIXELS];
    void *self = learn(params[_i], 3, 1, one, &ops);
    void *other = learn(params[_i], 3, 3, two, &ops);
    ck_assert(!memcmp(one, two, sizeof one));
    ops->destroy(other);
    double most = _i == 1 ? 0.3 : 0.05, size = 0;
    for (int k = 0; k < AV_PIXELS; k++)
        size = _i == 1 ? hypot(size, (double)one[k]) : fmax(size, fabs((double)one[k]));
    ck_assert_double_le(size, most * (1 + 1e-6));
    ck_assert_double_gt(size, most / 3);
    // all samples, also those it did not learn from
    struct attack_victim *a = av_new(0, 0, AV_N);
    OK(ops->run(self, &a->v, 1, &err));
    for (uint32_t i = 0; i < AV_N; i++)
        for (int k = 0; k < AV_PIXELS; k++) {
            float x = a->site[0].clean[i * AV_PIXELS + k];
            float d = a->site[0].delta[i * AV_PIXELS + k];
            ck_assert(x + d >= 0 && x + d <= 1);
            double cut = fmin(1, fmax(0, (double)x + (double)one[k])) - (double)x;
            ck_assert_double_eq_tol((double)d, cut, 1e-6);
        }
    ck_assert_uint_eq(a->passes, 0);
    // what was learnt, in another process
    const struct mohs_attack_fit *f = attack_extension(ops, self, MOHS_EXT_ATTACK_FIT);
    void *again;
    struct attack_victim *b = av_new(0, 0, AV_N);
    OK(av_attack(reg, "uap", params[_i], &ops, &again, &err));
    OK(f->begin(again, 5, &err));
    OK(f->restore(again, one, AV_PIXELS, &err));
    OK(ops->run(again, &b->v, 1, &err));
    ck_assert(!memcmp(a->site[0].delta, b->site[0].delta,
                      AV_N * AV_PIXELS * sizeof *a->site[0].delta));
    ck_assert_int_eq(f->restore(again, one, AV_PIXELS - 1, &err), MOHS_E_ARG);
    ops->destroy(again);
    ops->destroy(self);
    av_free(a);
    av_free(b);
}
END_TEST

/* Learning pays, and without it there is no attack. */
START_TEST(stronger)
{
    const struct mohs_attack_ops *ops;
    float start[AV_PIXELS], learnt[AV_PIXELS], zero[AV_PIXELS] = { 0 };
    void *self = learn("eps=0.05 alpha=1e-12 epochs=1 loss=cross_entropy", AV_N, 2, start, &ops);
    ops->destroy(self);
    self = learn("eps=0.05 epochs=60 loss=cross_entropy", AV_N, 2, learnt, &ops);
    ops->destroy(self);
    ck_assert_double_gt(loss_of(learnt, AV_N), loss_of(zero, AV_N) + 0.1);
    ck_assert_double_gt(loss_of(learnt, AV_N), loss_of(start, AV_N) + 0.1);
    struct attack_victim *a = av_new(0, 0, 2);
    OK(av_attack(reg, "uap", "", &ops, &self, &err));
    ck_assert_int_eq(ops->run(self, &a->v, 1, &err), MOHS_E_ARG);
    ck_assert_msg(strstr(err.text, "not been learnt"), "%s", err.text);
    ops->destroy(self);
    OK(av_attack(reg, "uap", "eps=0", &ops, &self, &err));
    OK(ops->run(self, &a->v, 1, &err));
    ck_assert(a->site[0].delta[0] == 0);
    ops->destroy(self);
    av_free(a);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("uap");
    TCase *t = tcase_create("uap");
    tcase_add_unchecked_fixture(t, setup, teardown);
    tcase_add_test(t, by_sign_of_mean);
    tcase_add_loop_test(t, one_for_all, 0, 3);
    tcase_add_test(t, stronger);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
