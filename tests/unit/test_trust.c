/* SPDX-License-Identifier: MIT */
/* Findings about attacked cells, each once good and once bad; the worst case
 * over attacks from samples. */
#include "config.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "results/trust.h"

static struct trust *trust;
static struct mohs_error err = MOHS_ERROR_INIT;

#define OK(expr) ck_assert_msg((expr) >= 0, "%s", err.text)

static void setup(void)
{
    trust = trust_new();
}

static void teardown(void)
{
    trust_free(trust);
}

/* What differs between the cells of these tests. */
struct with {
    const char *attack, *params; /* NULL: clean */
    double score, linf, l2, relative, out_of_range;
    const char *seed, *surrogate;
    double cut;
};

static void cell(struct with w)
{
    struct result_pair axis[5] = { { "model", "net" }, { "data", "d" },
                                   { "metric", "m" }, { "attack", w.attack },
                                   { "surrogate", w.surrogate } };
    struct result_pair provenance[] = { { "attack_params", w.params },
                                        { "seed", w.seed } };
    struct result_value v[] = {
        { .name = "i2t_r1", .unit = "%", .direction = 1, .value = w.score },
        { .name = "delta_linf_max", .value = w.linf },
        { .name = "delta_l2_mean", .value = w.l2 },
        { .name = "delta_relative_l2_max", .value = w.relative },
        { .name = "audit_out_of_range", .value = w.out_of_range },
        { .name = "audit_on_padding" }, { .name = "audit_non_finite" },
        { .name = "attack_cut", .value = w.cut },
    };
    struct result_cell c = { .axis = axis,
                             .n_axes = w.surrogate ? 5 : w.attack ? 4 : 3,
                             .provenance = provenance,
                             .n_provenance = w.seed ? 2 : w.attack ? 1 : 0, .value = v,
                             .n_values = w.attack ? 8 : 1 };
    OK(trust_take(trust, &c, &err));
}

/* The finding of a check; NULL without. There may be several: the first. */
static const struct trust_finding *found(const char *check)
{
    const struct trust_finding *f;
    size_t n;
    OK(trust_make(trust, NULL, &f, &n, &err));
    for (size_t i = 0; i < n; i++)
        if (!strcmp(f[i].check, check))
            return &f[i];
    return NULL;
}

static void good(const char *check, bool is)
{
    const struct trust_finding *f = found(check);
    ck_assert_msg(f != NULL, "no finding %s", check);
    ck_assert_msg(f->good == is, "%s: %s", check, f->text);
    ck_assert_str_eq(f->set, "data: d, metric: m");
    ck_assert_str_eq(f->model, "net");
}

START_TEST(nothing_attacked)
{
    const struct trust_finding *f;
    size_t n;
    cell((struct with) { .score = 80 });
    OK(trust_make(trust, NULL, &f, &n, &err));
    ck_assert_uint_eq(n, 0);
    ck_assert_int_eq(trust_make(trust, "top9", &f, &n, &err), MOHS_E_ARG);
    ck_assert_ptr_nonnull(strstr(err.text, "top9"));
}
END_TEST

START_TEST(audits)
{
    cell((struct with) { "pgd", "eps=0.5,norm=linf", 40, .linf = 0.5 });
    good("audit", true);
    good("ball", true);
    ck_assert_ptr_null(found("eps"));
    cell((struct with) { "apgd", "eps=0.5,norm=linf", 40, .linf = 0.5,
                         .out_of_range = 3 });
    good("audit", false);
    ck_assert_ptr_nonnull(strstr(found("audit")->text, "apgd (eps 0.5): 3 entries"));
}
END_TEST

START_TEST(balls)
{
    static const struct {
        struct with w;
        int good; /* -1: cannot be told */
    } t[] = {
        { { "pgd", "eps=0.1,norm=linf", 1, .linf = 0.1001 }, 0 },
        { { "pgd", "eps=2,norm=l2", 1, .linf = 9, .l2 = 1.9 }, 1 },
        { { "pgd", "eps=2,norm=l2", 1, .linf = 1, .l2 = 2.1 }, 0 },
        { { "cw", "eps=2", 1, .linf = 9, .l2 = 1 }, 1 },
        { { "feature_pgd", "eps=0.2,norm=l2,tap=\"image.patch\",per_sample=false", 1,
            .linf = 9, .relative = 0.19 }, 1 },
        { { "feature_pgd", "eps=0.2,norm=l2,tap=\"image.patch\",per_sample=false", 1,
            .relative = 0.21 }, 0 },
        { { "feature_pgd", "tap=\"image.patch,text.token\",norm=l2,eps=0.2,"
            "per_sample=false", 1, .linf = 9, .relative = 0.3 }, -1 },
        { { "feature_pgd", "eps=0.2,norm=l2,tap=\"image.patch\",per_sample=true", 1,
            .relative = 0.3 }, -1 },
    };
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        trust_free(trust);
        trust = trust_new();
        cell(t[i].w);
        const struct trust_finding *f = found("ball");
        ck_assert_msg(t[i].good < 0 ? !f : f && f->good == t[i].good, "case %zu: %s", i,
                      f ? f->text : "nothing");
    }
}
END_TEST

START_TEST(larger_eps)
{
    cell((struct with) { "pgd", "eps=0.1,norm=linf,steps=10", 60, .linf = 0.1 });
    cell((struct with) { "pgd", "eps=0.2,norm=linf,steps=10", 60.4, .linf = 0.1 });
    good("eps", true);
    // other parameters: not comparable
    cell((struct with) { "pgd", "eps=0.4,norm=linf,steps=1", 70, .linf = 0.1 });
    good("eps", true);
    cell((struct with) { "pgd", "eps=0.3,norm=linf,steps=10", 61, .linf = 0.1 });
    good("eps", false);
}
END_TEST

START_TEST(orders)
{
    static const struct {
        const char *strong, *weak, *check;
    } t[] = {
        { "pgd", "square", "gradient" },
        { "apgd", "fgsm", "steps" },
        { "autoattack", "fab", "ensemble" },
    };
    for (size_t i = 0; i < 3; i++) {
        trust_free(trust);
        trust = trust_new();
        cell((struct with) { t[i].strong, "eps=0.1,norm=linf", 40, .linf = 0.1 });
        cell((struct with) { t[i].weak, "eps=0.1,norm=l2", 10, .linf = 0 }); // another ball
        cell((struct with) { t[i].weak, "eps=0.2,norm=linf", 10, .linf = 0 });
        ck_assert_ptr_null(found(t[i].check));
        cell((struct with) { t[i].weak, "eps=0.1,norm=linf", 39.5, .linf = 0 });
        good(t[i].check, true);
        cell((struct with) { t[i].weak, "norm=linf,eps=0.1,more=1", 30, .linf = 0 });
        good(t[i].check, false);
        ck_assert_ptr_nonnull(strstr(found(t[i].check)->text, "30.0"));
    }
}
END_TEST

START_TEST(spread)
{
    struct with w = { "pgd", "eps=0.1,norm=linf,restarts=1", 40, .linf = 0.1, .seed = "0" };
    cell(w);
    ck_assert_ptr_null(found("seeds"));
    w.seed = "1";
    w.score = 41.5;
    cell(w);
    good("seeds", true);
    ck_assert_ptr_nonnull(strstr(found("seeds")->text, "40.0 to 41.5 over 2 seeds"));
    w.seed = "2";
    w.score = 38;
    cell(w);
    good("seeds", false);
    ck_assert_ptr_nonnull(strstr(found("seeds")->text, "38.0 to 41.5 over 3 seeds"));
    ck_assert_ptr_null(found("restarts"));
    cell((struct with) { "pgd", "eps=0.1,norm=linf,restarts=5", 37, .linf = 0.1,
                         .seed = "2" });
    good("restarts", true);
    ck_assert_ptr_nonnull(strstr(found("restarts")->text, "38.0 after 1 restarts, 37.0"));
    cell((struct with) { "pgd", "eps=0.1,norm=linf,restarts=5", 39, .linf = 0.1,
                         .seed = "2" });
    good("restarts", false);
}
END_TEST

/* An attack through a surrogate, or one that was cut, accuses nobody. */
START_TEST(weakened)
{
    cell((struct with) { "pgd", "eps=0.1,norm=linf", 60, .linf = 0.1, .surrogate = "x" });
    cell((struct with) { "square", "eps=0.1,norm=linf", 30, .linf = 0.1 });
    ck_assert_ptr_null(found("gradient"));
    cell((struct with) { "pgd", "eps=0.1,norm=linf,steps=9", 60, .linf = 0.1, .cut = 3 });
    ck_assert_ptr_null(found("gradient"));
    cell((struct with) { "pgd", "eps=0.1,norm=linf", 60, .linf = 0.1 });
    good("gradient", false);
}
END_TEST

/* ---- samples ---- */

static void put_cell(struct results *r, int64_t run, uint64_t hash, const char *attack,
                     const double *hits)
{
    static const char *const columns[] = { "hit@1", "reciprocal_rank" };
    static const uint32_t cluster[] = { 0, 1, 2, 3 };
    double value[8];
    struct result_pair axis[] = { { "model", "net" }, { "data", "d" }, { "metric", "m" },
                                  { "attack", attack } };
    struct result_pair provenance = { "attack_params", "eps=0.1,norm=linf" };
    for (int i = 0; i < 4; i++) {
        value[2 * i] = hits[i];
        value[2 * i + 1] = 0.5;
    }
    struct result_cell c = { .hash = { 1, hash }, .axis = axis, .n_axes = attack ? 4 : 3,
                             .provenance = &provenance, .n_provenance = attack ? 1 : 0,
                             .samples = { columns, 2, 4, value, cluster, NULL } };
    OK(results_put(r, run, &c, &err));
}

START_TEST(worst_case)
{
    static const double clean[] = { 1, 1, 1, 0 }, one[] = { 1, 0, 1, 0 },
                        two[] = { 0.5, 1, 1, 1 };
    char dir[] = "/tmp/mohs-trust-XXXXXX";
    ck_assert_ptr_nonnull(mkdtemp(dir));
    char *path = xasprintf("%s/r.db", dir);
    struct results *r;
    int64_t run;
    const struct trust_worst *w;
    size_t n;
    OK(results_open(path, &r, &err));
    OK(results_run(r, "t", "", "{}", 0, NULL, 0, &run, &err));
    put_cell(r, run, 1, NULL, clean);
    put_cell(r, run, 2, "pgd", one);
    OK(results_each(r, trust_take, trust, &err));
    OK(trust_worst(trust, r, &w, &n, &err));
    ck_assert_uint_eq(n, 0); // one attack is no worst case
    put_cell(r, run, 3, "square", two);
    OK(results_each(r, trust_take, trust, &err));
    OK(trust_worst(trust, r, &w, &n, &err));
    ck_assert_uint_eq(n, 1);
    ck_assert_str_eq(w->column, "hit@1");
    ck_assert_str_eq(w->norm, "linf");
    ck_assert_uint_eq(w->attacks, 2);
    ck_assert_double_eq_tol(w->clean, 75, 1e-9);
    ck_assert_double_eq_tol(w->single, 50, 1e-9);
    ck_assert_double_eq_tol(w->worst, 37.5, 1e-9);
    results_close(r);
    unlink(path);
    rmdir(dir);
    free(path);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("trust");
    TCase *t = tcase_create("trust");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, nothing_attacked);
    tcase_add_test(t, audits);
    tcase_add_test(t, balls);
    tcase_add_test(t, larger_eps);
    tcase_add_test(t, orders);
    tcase_add_test(t, spread);
    tcase_add_test(t, weakened);
    tcase_add_test(t, worst_case);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
