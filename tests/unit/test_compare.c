/* SPDX-License-Identifier: MIT */
/* Arms against a control: means, pairing by condition and seed, and intervals
 * that pairing makes narrow and seeds make wide. */
#include "config.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <mohs/rng.h>

#include "results/compare.h"

enum { IMAGES = 200, COLUMNS = 3 };

static struct mohs_error err = MOHS_ERROR_INIT;
static char dir[64], *path;
static struct results *res;
static struct compare *compare;
static int64_t run;
static uint64_t hash;

#define OK(expr) ck_assert_msg((expr) >= 0, "%s", err.text)

static void setup(void)
{
    snprintf(dir, sizeof dir, "/tmp/mohs-compare-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    path = xasprintf("%s/r.db", dir);
    OK(results_open(path, &res, &err));
    OK(results_run(res, "t", "", "{}", 0, NULL, 0, &run, &err));
    compare = compare_new();
    hash = 0;
}

static void teardown(void)
{
    compare_free(compare);
    results_close(res);
    unlink(path);
    rmdir(dir);
    free(path);
}

/* A cell whose query i hits when its difficulty, common to all cells of
 * `stream`, is below `rate`; a second hit column has every other query. */
static void cell(const char *arm, const char *seed, const char *corruption,
                 const char *severity, const char *attack, double rate, uint64_t stream)
{
    static const char *const columns[COLUMNS] = { "hit@1", "hit@5", "reciprocal_rank" };
    double *value = xmalloc(IMAGES * COLUMNS * sizeof *value);
    uint32_t *cluster = xmalloc(IMAGES * sizeof *cluster);
    struct result_pair axis[8] = { { "model", arm }, { "data", "d" }, { "metric", "m" } };
    size_t n = 3;
    if (seed) {
        axis[n++] = (struct result_pair) { "arm", arm };
        axis[n++] = (struct result_pair) { "seed", seed };
    }
    if (corruption) {
        axis[n++] = (struct result_pair) { "corruption", corruption };
        axis[n++] = (struct result_pair) { "severity", severity };
    }
    if (attack)
        axis[n++] = (struct result_pair) { "attack", attack };
    for (uint32_t i = 0; i < IMAGES; i++) {
        double u = (i + 0.5) / IMAGES; // an even spread, shuffled by the stream
        if (stream)
            u = mohs_rng_uniform(stream, 0, i);
        cluster[i] = i;
        value[COLUMNS * i] = u < rate;
        value[COLUMNS * i + 1] = i % 2 ? (double)(u < rate) : NAN;
        value[COLUMNS * i + 2] = 0.3;
    }
    struct result_cell c = { .hash = { 7, ++hash }, .axis = axis, .n_axes = n,
                             .samples = { columns, COLUMNS, IMAGES, value, cluster,
                                          NULL } };
    OK(results_put(res, run, &c, &err));
    free(value);
    free(cluster);
}

static const struct compare_row *rows;
static size_t n_rows;

static void make(const char *against)
{
    struct compare_options o = { .against = against, .bootstrap = 400 };
    OK(compare_make(compare, res, &o, &rows, &n_rows, &err));
}

static const struct compare_row *row(const char *arm, const char *condition)
{
    for (size_t i = 0; i < n_rows; i++)
        if (!strcmp(rows[i].arm, arm) && !strcmp(rows[i].condition, condition))
            return &rows[i];
    ck_abort_msg("no row %s, %s", arm, condition);
}

START_TEST(one_seed)
{
    cell("control", "1", NULL, NULL, NULL, 0.8, 0);
    cell("control", "1", "fog", "1", NULL, 0.6, 0);
    cell("control", "1", "fog", "5", NULL, 0.4, 0);
    cell("control", "1", "snow", "1", NULL, 0.5, 0);
    cell("control", "1", NULL, NULL, "pgd", 0.2, 0);
    cell("new", "1", NULL, NULL, NULL, 0.7, 0);
    cell("new", "1", "fog", "1", NULL, 0.65, 0);
    cell("new", "1", "fog", "5", NULL, 0.5, 0);
    cell("new", "1", NULL, NULL, "pgd", 0.5, 0);
    cell("new", "1", NULL, NULL, "fgsm", 0.6, 0); // the control lacks it
    cell("other", NULL, NULL, NULL, NULL, 0.1, 0); // no arm
    make("control");
    // clean, corruptions, what is kept under them, attacks, fog, pgd
    ck_assert_uint_eq(n_rows, 6);
    const struct compare_row *rr = row("new", "RR corruptions");
    ck_assert_double_eq_tol(rr->mine, 50 * (0.65 + 0.5) / 0.7, 1e-9);
    ck_assert_double_eq_tol(rr->control, 50 * (0.6 + 0.4) / 0.8, 1e-9);
    ck_assert(rr->summary && !row("new", "fog")->summary);
    ck_assert_double_gt(rr->low, 5); // 19.6 with a standard error of about 4
    ck_assert_double_lt(rr->high, 35);
    ck_assert_double_eq_tol(row("new", "clean")->difference, -10, 1e-9);
    ck_assert_double_eq_tol(row("new", "clean")->mine, 70, 1e-9);
    ck_assert_double_eq_tol(row("new", "clean")->control, 80, 1e-9);
    ck_assert_double_eq_tol(row("new", "fog")->difference, 7.5, 1e-9);
    ck_assert_double_eq_tol(row("new", "corruptions")->difference, 7.5, 1e-9);
    ck_assert_uint_eq(row("new", "corruptions")->cells, 2); // not snow
    ck_assert_double_eq_tol(row("new", "attacks")->difference, 30, 1e-9);
    ck_assert_uint_eq(row("new", "pgd")->seeds, 1);
    ck_assert_str_eq(rows[0].set, "d, m");
    // 10 % of 200 pictures changed: a standard error of about 2.1 points in
    // hit@1 and 3 in hit@5, which has half of the queries and shares them
    double width = row("new", "clean")->high - row("new", "clean")->low;
    ck_assert_double_gt(width, 7);
    ck_assert_double_lt(width, 13);
}
END_TEST

/* Equal rates on equal pictures differ in nothing; on independent pictures
 * the interval is as wide as that of a difference of two rates. */
START_TEST(pairing)
{
    cell("control", "1", NULL, NULL, NULL, 0.5, 1);
    cell("same", "1", NULL, NULL, NULL, 0.5, 1);
    cell("free", "1", NULL, NULL, NULL, 0.5, 2);
    make("control");
    ck_assert(row("same", "clean")->difference == 0);
    ck_assert(row("same", "clean")->low == 0 && row("same", "clean")->high == 0);
    double width = row("free", "clean")->high - row("free", "clean")->low;
    ck_assert_double_gt(width, 15);
    ck_assert_double_lt(width, 32);
}
END_TEST

/* Seeds that disagree make the interval wide though pictures do not. */
START_TEST(seeds)
{
    static const char *const names[] = { "1", "2", "3" };
    static const double gain[] = { 0, 0.1, 0.2 };
    for (int i = 0; i < 3; i++) {
        cell("control", names[i], NULL, NULL, NULL, 0.5, 0);
        cell("steady", names[i], NULL, NULL, NULL, 0.6, 0);
        cell("moody", names[i], NULL, NULL, NULL, 0.5 + gain[i], 0);
    }
    cell("moody", "9", NULL, NULL, NULL, 0.9, 0); // the control has no seed 9
    make("control");
    const struct compare_row *a = row("steady", "clean"), *b = row("moody", "clean");
    ck_assert_uint_eq(b->seeds, 3);
    ck_assert_double_eq_tol(a->difference, 10, 1e-9);
    ck_assert_double_eq_tol(b->difference, 10, 1e-9);
    ck_assert_double_gt(b->high - b->low, 1.4 * (a->high - a->low));
}
END_TEST

START_TEST(mistakes)
{
    struct compare_options o = { .against = "x" };
    cell("a", NULL, NULL, NULL, NULL, 0.5, 0);
    ck_assert_int_eq(compare_make(compare, res, &o, &rows, &n_rows, &err), MOHS_E_ARG);
    ck_assert_ptr_nonnull(strstr(err.text, "no cell has an axis 'arm'"));
    o.by = "model";
    ck_assert_int_eq(compare_make(compare, res, &o, &rows, &n_rows, &err), MOHS_E_ARG);
    ck_assert_ptr_nonnull(strstr(err.text, "no cell has model 'x'"));
    compare_free(compare);
    compare = compare_new();
    o.against = "a";
    ck_assert_int_eq(compare_make(compare, res, &o, &rows, &n_rows, &err), MOHS_E_ARG);
    ck_assert_ptr_nonnull(strstr(err.text, "nothing to compare"));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("compare");
    TCase *t = tcase_create("compare");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, one_seed);
    tcase_add_test(t, pairing);
    tcase_add_test(t, seeds);
    tcase_add_test(t, mistakes);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
