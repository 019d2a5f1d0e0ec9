/* SPDX-License-Identifier: MIT */
/*
 * Attacks on a small model with known gradients: step for step as
 * PyTorch does them (golden/attacks.py), balls and ranges, eps = 0, more eps
 * is worse, independence of batch and order, early stop, noise of exact norm,
 * losses against finite differences, bad parameters.
 */
#include "config.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "golden/attacks.h"
#include "plugin/registry.h"
#include "unit/attack_victim.h"

enum { N_GOLDEN = sizeof golden / sizeof *golden, SEED = 3 };

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

/* ---- running ---- */

static mohs_status make(const char *id, const char *text, const struct mohs_attack_ops **ops,
                        void **self)
{
    return av_attack(reg, id, text, ops, self, &err);
}

static void run(const char *id, const char *text, struct attack_victim *a, uint64_t seed)
{
    const struct mohs_attack_ops *ops;
    void *self;
    OK(make(id, text, &ops, &self));
    OK(ops->run(self, &a->v, seed, &err));
    ops->destroy(self);
}

static size_t floats(const struct mohs_site *s)
{
    return (size_t)s->tokens * s->width;
}

static double norm(const float *x, size_t n)
{
    double s = 0;
    for (size_t i = 0; i < n; i++)
        s += (double)x[i] * x[i];
    return sqrt(s);
}

/* ---- against PyTorch ---- */

START_TEST(step_for_step)
{
    const struct golden *g = &golden[_i];
    struct attack_victim *a = av_new(g->masked, 0, AV_N);
    const double *want = g->delta;
    run(g->item, g->params, a, SEED);
    for (int k = 0; k < AV_SITES; k++) {
        if (!strstr(g->taps, a->site[k].tap))
            continue;
        for (size_t j = 0; j < AV_N * floats(&a->site[k]); j++, want++)
            // floats of outputs and gradients of magnitude 1
            ck_assert_msg(fabs(a->site[k].delta[j] - *want) < 2e-6,
                          "%s %s: delta %zu at %s is %.9g, not %.9g", g->item, g->params, j,
                          a->site[k].tap, a->site[k].delta[j], *want);
    }
    bool ce = !strstr(g->params, "loss") && strcmp(g->item, "fab") && strcmp(g->item, "cw");
    for (uint32_t i = 0; ce && i < AV_N; i++)
        ck_assert_double_eq_tol(av_cross_entropy(a, i), g->loss[i], 1e-5);
    av_free(a);
}
END_TEST

/* ---- balls ---- */

static const struct ball_case {
    const char *item, *params;
    double eps;
    int l2, relative, per_sample; /* l2 2: l1 */
} balls[] = {
    { "pgd", "eps=0.03 restarts=3", 0.03, 0, 0, 1 },
    { "pgd", "eps=0.6 norm=l2 alpha=0.3", 0.6, 1, 0, 1 },
    { "pgd", "eps=1.5 norm=l1 alpha=1", 1.5, 2, 0, 1 },
    { "pgd", "eps=5 loss=embedding", 5, 0, 0, 1 }, // the range binds
    { "mi_fgsm", "random_start=1", 16.0 / 255, 0, 0, 1 },
    { "fgsm", "eps=0.2 norm=l2", 0.2, 1, 0, 1 },
    { "feature_pgd", "eps=0.3", 0.3, 1, 1, 0 },
    { "feature_pgd", "eps=0.3 norm=linf alpha=0.2", 0.3, 0, 1, 0 },
    { "feature_pgd", "eps=0.3 per_sample=1 restarts=2", 0.3, 1, 1, 1 },
    { "apgd", "eps=0.03 steps=12", 0.03, 0, 0, 1 },
    { "apgd", "eps=0.6 norm=l2 steps=12 loss=dlr", 0.6, 1, 0, 1 },
    { "apgd", "eps=0.6 norm=l2 steps=12 loss=embedding", 0.6, 1, 0, 1 },
    { "feature_apgd", "eps=0.3 steps=12", 0.3, 1, 1, 0 },
    { "feature_apgd", "eps=0.2 norm=linf per_sample=1 steps=12", 0.2, 0, 1, 1 },
    { "square", "eps=0.2 queries=60", 0.2, 0, 0, 1 },
    { "square", "eps=0.6 norm=l2 queries=60", 0.6, 1, 0, 1 },
    { "autoattack", "eps=0.03 steps=12 queries=30", 0.03, 0, 0, 1 },
    { "autoattack", "eps=0.3 norm=l2 steps=12 queries=30", 0.3, 1, 0, 1 },
    { "feature_noise", "eps=0.3", 0.3, 1, 1, 0 },
    { "feature_noise", "eps=0.2 norm=linf per_sample=1", 0.2, 0, 1, 1 },
};

/* Share of the radius that the group uses; fails the test above 1. */
static double used(const struct ball_case *b, const struct mohs_site *s, size_t at, size_t n)
{
    double size = 0, unit = 1, mean = 0, var = 0;
    for (size_t j = at; j < at + n; j++)
        mean += s->clean[j] / (double)n;
    for (size_t j = at; j < at + n; j++) {
        var += (s->clean[j] - mean) * (s->clean[j] - mean) / (double)n;
        size = fmax(size, fabs((double)s->delta[j]));
        ck_assert(s->clean[j] + s->delta[j] >= s->lo && s->clean[j] + s->delta[j] <= s->hi);
    }
    if (b->l2 == 1)
        size = norm(s->delta + at, n);
    for (size_t j = at; b->l2 == 2 && j < at + n; j++)
        size = (j == at ? 0 : size) + fabs((double)s->delta[j]);
    if (b->relative)
        unit = b->l2 ? norm(s->clean + at, n) : sqrt(var);
    // eps is a float in the plugin; nothing else is forgiven
    ck_assert_msg(size <= (double)(float)b->eps * unit * (1 + 1e-12), "%s %s: %.9g of %.9g",
                  b->item, b->params, size, b->eps * unit);
    return size / (b->eps * unit);
}

START_TEST(inside_the_ball)
{
    const struct ball_case *b = &balls[_i];
    struct attack_victim *a = av_new(b->relative, 0, AV_N);
    const struct mohs_site *s = &a->site[b->relative];
    double most = 0;
    run(b->item, b->params, a, 8);
    for (uint32_t i = 0; i < AV_N; i++)
        for (uint32_t t = 0; t < s->tokens; t += b->per_sample ? s->tokens : 1) {
            uint32_t n = b->per_sample ? s->tokens : 1;
            size_t at = (i * s->tokens + t) * s->width;
            for (; s->mask && n && !s->mask[i * s->tokens + t + n - 1]; n--)
                for (uint32_t w = 0; w < s->width; w++)
                    ck_assert(s->delta[at + (n - 1) * s->width + w] == 0);
            if (n)
                most = fmax(most, used(b, s, at, n * s->width));
        }
    ck_assert_msg(most > (b->eps == 5 ? 0.1 : 0.9), "only %g of the ball is used", most);
    av_free(a);
}
END_TEST

START_TEST(noise_has_the_norm)
{
    struct attack_victim *a = av_new(0, 0, AV_N), *b = av_new(0, 0, AV_N);
    run("feature_noise", "eps=0.25", a, 1);
    run("feature_noise", "eps=0.25", b, 2);
    ck_assert_uint_eq(a->passes, 0); // blind
    for (uint32_t g = 0; g < AV_N * AV_TOKENS; g++) {
        const struct mohs_site *s = &a->site[1];
        double want = 0.25 * norm(s->clean + g * AV_WIDTH, AV_WIDTH);
        ck_assert_double_eq_tol(norm(s->delta + g * AV_WIDTH, AV_WIDTH), want, 1e-6 * want);
        ck_assert(memcmp(s->delta + g * AV_WIDTH, b->site[1].delta + g * AV_WIDTH,
                         AV_WIDTH * sizeof(float)));
    }
    av_free(a);
    av_free(b);
}
END_TEST

static const char *const all[][2] = {
    { "fgsm", "" }, { "pgd", "" }, { "pgd", "norm=l2 restarts=2" },
    { "pgd", "norm=l1 eps=2 restarts=2" }, { "mi_fgsm", "" },
    { "feature_pgd", "" }, { "feature_pgd", "norm=linf tap=image.block.0,image.patch" },
    { "apgd", "steps=20" }, { "apgd", "norm=l2 steps=20 restarts=2 early_stop=1" },
    { "apgd", "loss=dlr_targeted targets=2 steps=12 eps=0.1" },
    { "feature_apgd", "steps=15 tap=image.block.0,image.patch" },
    { "fab", "steps=10 eps=0.3 restarts=2 targets=2" }, { "fab", "steps=10 eps=2 norm=l2" },
    { "cw", "steps=20 binary_steps=2" }, { "square", "queries=40" }, { "square", "queries=40 norm=l2 eps=0.4" },
    { "autoattack", "steps=12 queries=20 eps=0.06" },
    { "feature_noise", "" },
};

START_TEST(no_eps_no_delta)
{
    struct attack_victim *a = av_new(0, 0, AV_N);
    char text[128];
    snprintf(text, sizeof text, "%s eps=0", all[_i][1]);
    run(all[_i][0], text, a, 5);
    for (int k = 0; k < AV_SITES; k++)
        for (size_t j = 0; j < AV_N * floats(&a->site[k]); j++)
            ck_assert(a->site[k].delta[j] == 0 && !signbit(a->site[k].delta[j]));
    av_free(a);
}
END_TEST

/* A sample's result is its own: in other company and in other micro-batches
 * the same bits. */
START_TEST(batch_does_not_matter)
{
    struct attack_victim *a = av_new(1, 0, AV_N), *one = av_new(1, 3, 1);
    run(all[_i][0], all[_i][1], a, 6);
    run(all[_i][0], all[_i][1], one, 6);
    struct attack_victim *b = av_new(1, 0, AV_N);
    b->micro_batch = 3;
    run(all[_i][0], all[_i][1], b, 6);
    for (int k = 0; k < AV_SITES; k++) {
        size_t n = floats(&a->site[k]);
        ck_assert_mem_eq(a->site[k].delta, b->site[k].delta, AV_N * n * sizeof(float));
        ck_assert_mem_eq(a->site[k].delta + 3 * n, one->site[k].delta, n * sizeof(float));
    }
    av_free(a);
    av_free(b);
    av_free(one);
}
END_TEST

/* ---- strength ---- */

static double mean_loss(const char *id, const char *text)
{
    struct attack_victim *a = av_new(0, 0, AV_N);
    double sum = 0;
    run(id, text, a, 4);
    for (uint32_t i = 0; i < AV_N; i++)
        sum += av_cross_entropy(a, i) / AV_N;
    av_free(a);
    return sum;
}

START_TEST(stronger)
{
    static const char *const rising[][4] = {
        { "pgd", "eps=0", "eps=0.02", "eps=0.05" },
        { "pgd", "eps=0 norm=l2", "eps=0.2 norm=l2", "eps=0.6 norm=l2" },
        { "pgd", "eps=0 norm=l1", "eps=0.5 norm=l1", "eps=2 norm=l1" },
        { "mi_fgsm", "eps=0", "eps=0.02", "eps=0.05" },
        { "fgsm", "eps=0", "eps=0.005", "eps=0.02" },
        { "feature_pgd", "eps=0", "eps=0.05", "eps=0.2" },
        { "feature_pgd", "eps=0.2 steps=1 random_start=0", "eps=0.2 steps=5 random_start=0",
          "eps=0.2 steps=40 random_start=0 alpha=0.02" },
        { "apgd", "eps=0 steps=20", "eps=0.02 steps=20", "eps=0.05 steps=20" },
        { "feature_apgd", "eps=0 steps=20", "eps=0.05 steps=20", "eps=0.2 steps=20" },
        { "square", "eps=0", "eps=0.02 queries=100", "eps=0.05 queries=100" },
        { "square", "eps=0 norm=l2", "eps=0.1 norm=l2 queries=100",
          "eps=0.4 norm=l2 queries=100" },
    };
    const char *const *r = rising[_i];
    double x = mean_loss(r[0], r[1]), y = mean_loss(r[0], r[2]), z = mean_loss(r[0], r[3]);
    ck_assert_msg(x < y && y < z, "%s: %g, %g, %g", r[0], x, y, z);
}
END_TEST

START_TEST(restarts_never_hurt)
{
    for (uint64_t seed = 0; seed < 5; seed++) {
        struct attack_victim *a = av_new(0, 0, AV_N), *b = av_new(0, 0, AV_N);
        run("pgd", "eps=0.1 steps=2 restarts=1", a, seed);
        run("pgd", "eps=0.1 steps=2 restarts=5", b, seed);
        for (uint32_t i = 0; i < AV_N; i++)
            ck_assert(av_cross_entropy(b, i) >= av_cross_entropy(a, i) - 1e-6);
        av_free(a);
        av_free(b);
    }
}
END_TEST

START_TEST(early_stop)
{
    struct attack_victim *a = av_new(0, 0, AV_N), *b = av_new(0, 0, AV_N);
    uint32_t fooled = 0;
    run("pgd", "eps=0.08 steps=20", a, 4);
    run("pgd", "eps=0.08 steps=20 early_stop=1", b, 4);
    for (uint32_t i = 0; i < AV_N; i++) {
        if (av_margin(a, i) > 1e-6)
            ck_assert(av_margin(b, i) > 0);
        fooled += av_margin(b, i) > 0;
    }
    ck_assert_uint_gt(fooled, 0);
    ck_assert_uint_lt(b->samples, a->samples); // work was saved
    // a sample that is wrong when clean is left alone
    struct attack_victim *c = av_new(0, 0, AV_N);
    uint32_t wrong = AV_N;
    for (uint32_t i = 0; i < AV_N; i++)
        wrong = av_margin(c, i) > 0 ? i : wrong;
    ck_assert_uint_lt(wrong, AV_N);
    run("pgd", "eps=0.08 random_start=0 early_stop=1", c, 4);
    ck_assert(norm(c->site[0].delta + wrong * AV_PIXELS, AV_PIXELS) == 0);
    av_free(a);
    av_free(b);
    av_free(c);
}
END_TEST

/* A victim that is right about every sample: its first choice is the right
 * one. */
static struct attack_victim *right_new(uint32_t first, uint32_t n)
{
    struct attack_victim *a = av_new(0, first, n);
    static uint32_t choice[AV_N]; // by place in AV_N: alike for all victims
    uint32_t *place = (uint32_t *)a->v.positive_first;
    for (uint32_t i = 0; i < n; i++) {
        double score[AV_CANDIDATES];
        av_scores(a, i, score);
        uint32_t best = 0;
        for (uint32_t j = 1; j < AV_CANDIDATES; j++)
            best = score[j] > score[best] ? j : best;
        choice[first + i] = best;
    }
    for (uint32_t i = 0; i <= n; i++)
        place[i] = i;
    a->v.positive = choice + first;
    return a;
}

/* Samples that a wrong candidate leads, over seeds. */
static uint32_t fooled_by(const char *id, const char *text)
{
    uint32_t n = 0;
    for (uint64_t seed = 0; seed < 1; seed++) {
        struct attack_victim *a = right_new(0, AV_N);
        run(id, text, a, seed);
        for (uint32_t i = 0; i < AV_N; i++)
            n += av_margin(a, i) > 0;
        av_free(a);
    }
    return n;
}

/* AutoAttack is no weaker than a member at any size, and somewhere stronger
 * than the weakest. */
START_TEST(worst_of_all)
{
    static const char *const members[][2] = {
        { "apgd", "steps=12" }, { "apgd", "steps=12 loss=dlr_targeted" },
        { "fab", "steps=12" },  { "square", "queries=40" },
    };
    uint32_t gain = 0;
    for (int norm = 0; norm < 2; norm++)
        for (int k = 1; k <= 5; k += 2) {
            char text[160];
            double eps = (norm ? 0.08 : 0.015) * k;
            const char *l2 = norm ? "norm=l2" : "";
            snprintf(text, sizeof text, "steps=12 queries=40 eps=%g %s", eps, l2);
            uint32_t all_fooled = fooled_by("autoattack", text);
            for (size_t m = 0; m < sizeof members / sizeof *members; m++) {
                snprintf(text, sizeof text, "%s eps=%g %s", members[m][1], eps, l2);
                uint32_t one = fooled_by(members[m][0], text);
                ck_assert_msg(all_fooled >= one, "eps %g: autoattack %u, %s %u", eps,
                              all_fooled, members[m][0], one);
                gain += all_fooled - one;
            }
        }
    ck_assert_uint_gt(gain, 0);
}
END_TEST

/* With equal steps APGD finds at least PGD's loss, and more on average. */
START_TEST(apgd_beats_pgd)
{
    static const char *const eps[] = { "0.02", "0.05", "0.1" };
    double gain = 0;
    for (size_t k = 0; k < 3; k++) {
        char text[64];
        snprintf(text, sizeof text, "eps=%s steps=40", eps[k]);
        double a = mean_loss("apgd", text), p = mean_loss("pgd", text);
        ck_assert_msg(a > p - 2e-3, "eps %s: apgd %g, pgd %g", eps[k], a, p);
        gain += a - p;
    }
    ck_assert_double_gt(gain, 0);
}
END_TEST

/* FAB's perturbation is about the boundary's distance: it fools, and a ball of
 * 0.9 of it holds nothing that PGD finds. */
START_TEST(fab_is_minimal)
{
    struct attack_victim *a = right_new(0, AV_N);
    run("fab", "eps=0.5 steps=60 targets=6", a, 1);
    uint32_t checked = 0;
    for (uint32_t i = 0; i < AV_N; i++) {
        double size = 0;
        for (int j = 0; j < AV_PIXELS; j++)
            size = fmax(size, fabs((double)a->site[0].delta[i * AV_PIXELS + j]));
        if (size == 0)
            continue;
        ck_assert_double_gt(av_margin(a, i), 0);
        struct attack_victim *b = right_new(i, 1);
        char text[128];
        snprintf(text, sizeof text, "eps=%.9g steps=100 restarts=3 loss=margin alpha=%.9g",
                 0.9 * size, 0.02 * size);
        run("pgd", text, b, 3);
        ck_assert_msg(av_margin(b, 0) <= 0, "sample %u: size %g is not minimal", i, size);
        av_free(b);
        checked++;
    }
    ck_assert_uint_ge(checked, 4);
    av_free(a);
}
END_TEST

/* ---- bad parameters ---- */

START_TEST(bad_parameters)
{
    static const char *const bad[][3] = {
        { "pgd", "loss=embedding random_start=0", "it needs random_start" },
        { "pgd", "loss=embedding early_stop=1", "early_stop needs a loss on scores" },
        { "pgd", "eps=-1", "eps" },
        { "pgd", "stpes=3", "did you mean 'steps'" },
        { "fgsm", "loss=embedding", "loss" },
        { "feature_pgd", "tap=,", "tap is empty" },
        { "apgd", "loss=embedding early_stop=1", "early_stop needs a loss on scores" },
        { "feature_apgd", "tap=,", "tap is empty" },
        { "apgd", "eps=-0.1", "eps" },
        { "autoattack", "version=rand", "standard, plus, clip" },
        { "square", "p=0", "p" },
        { "feature_pgd", "tap=image.patch,image.patch", "twice" },
        { "feature_noise", "tap=a,b,c,d,e,f,g,h,i", "more than 8 taps" },
    };
    const struct mohs_attack_ops *ops;
    void *self;
    ck_assert_int_eq(make(bad[_i][0], bad[_i][1], &ops, &self), MOHS_E_ARG);
    ck_assert_msg(strstr(err.text, bad[_i][2]) != NULL, "'%s' lacks '%s'", err.text,
                  bad[_i][2]);
}
END_TEST

START_TEST(unknown_tap)
{
    const struct mohs_attack_ops *ops;
    void *self;
    struct attack_victim *a = av_new(0, 0, AV_N);
    OK(make("feature_pgd", "tap=image.patch,image.block.9", &ops, &self));
    ck_assert_int_eq(ops->run(self, &a->v, 1, &err), MOHS_E_ARG);
    ck_assert_ptr_nonnull(strstr(err.text, "image.block.9"));
    ops->destroy(self);
    av_free(a);
}
END_TEST

#define COUNT(a) ((int)(sizeof(a) / sizeof *(a)))

int main(void)
{
    Suite *s = suite_create("attacks");
    TCase *t = tcase_create("attacks");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_loop_test(t, step_for_step, 0, N_GOLDEN);
    tcase_add_loop_test(t, inside_the_ball, 0, COUNT(balls));
    tcase_add_test(t, noise_has_the_norm);
    tcase_add_loop_test(t, no_eps_no_delta, 0, COUNT(all));
    tcase_add_loop_test(t, batch_does_not_matter, 0, COUNT(all));
    tcase_add_loop_test(t, stronger, 0, 11);
    tcase_add_test(t, worst_of_all);
    tcase_add_test(t, apgd_beats_pgd);
    tcase_add_test(t, fab_is_minimal);
    tcase_add_test(t, restarts_never_hurt);
    tcase_add_test(t, early_stop);
    tcase_add_loop_test(t, bad_parameters, 0, 13);
    tcase_add_test(t, unknown_tap);
    tcase_set_timeout(t, 60);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
