/* SPDX-License-Identifier: MIT */
/* Intervals and tests against SciPy and NumPy. */
#include "config.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>

#include <mohs/rng.h>

#include "golden/stats.h"
#include "results/results.h"

#define COUNT(a) ((int)(sizeof(a) / sizeof((a)[0])))

/* Both sides sum logarithms of factorials up to 1e5!: 1e-9 relative. */
START_TEST(mcnemar)
{
    double want = golden_mcnemar[_i].p;
    double got = stats_mcnemar(golden_mcnemar[_i].b, golden_mcnemar[_i].c);
    ck_assert_double_eq_tol(got, want, 1e-9 * want + 1e-300);
    ck_assert_double_eq(got, stats_mcnemar(golden_mcnemar[_i].c,
                                           golden_mcnemar[_i].b));
}
END_TEST

START_TEST(wilson)
{
    double low, high;
    stats_wilson(golden_wilson[_i].hits, golden_wilson[_i].n,
                 golden_wilson[_i].level, &low, &high);
    ck_assert_double_eq_tol(low, golden_wilson[_i].low, 1e-12);
    ck_assert_double_eq_tol(high, golden_wilson[_i].high, 1e-12);
}
END_TEST

START_TEST(percentile)
{
    unsigned n = golden_percentile[_i].n;
    double low, high, *v = calloc(n + 2, sizeof *v);
    uint64_t x = 12345;
    for (unsigned i = 0; i < n; i++) {
        x = (x * 1103515245u + 12345u) % (1u << 31);
        v[i] = (double)x / 2147483648.0;
    }
    v[n] = NAN; // left out
    stats_percentile(v, n + 1, golden_percentile[_i].level, &low, &high);
    ck_assert_double_eq_tol(low, golden_percentile[_i].low, 1e-14);
    ck_assert_double_eq_tol(high, golden_percentile[_i].high, 1e-14);
    free(v);
}
END_TEST

START_TEST(nothing)
{
    double low = 0, high = 0, v = NAN;
    stats_percentile(&v, 1, 0.95, &low, &high);
    ck_assert(isnan(low) && isnan(high));
    stats_percentile(&v, 0, 0.95, &low, &high);
    ck_assert(isnan(low) && isnan(high));
    stats_wilson(0, 0, 0.95, &low, &high);
    ck_assert(low == 0 && high == 1);
}
END_TEST

START_TEST(resample)
{
    enum { ROWS = 30, CLUSTERS = 10, RESAMPLES = 4000 };
    uint32_t cluster[ROWS], scratch[CLUSTERS], weight[ROWS], again[ROWS];
    double mean[CLUSTERS] = { 0 }, square[CLUSTERS] = { 0 };
    for (uint32_t i = 0; i < ROWS; i++)
        cluster[i] = i / 3;
    for (uint64_t b = 0; b < RESAMPLES; b++) {
        uint32_t total = 0, want[CLUSTERS] = { 0 };
        stats_resample(cluster, ROWS, CLUSTERS, 7, b, scratch, weight);
        for (uint32_t i = 0; i < CLUSTERS; i++)
            want[mohs_rng_below(7, b, i, CLUSTERS)]++;
        for (uint32_t i = 0; i < ROWS; i++) {
            ck_assert_uint_eq(weight[i], want[cluster[i]]);
            total += weight[i];
        }
        ck_assert_uint_eq(total, ROWS); // clusters of equal size
        for (uint32_t i = 0; i < CLUSTERS; i++) {
            mean[i] += want[i] / (double)RESAMPLES;
            square[i] += (double)want[i] * want[i] / RESAMPLES;
        }
    }
    // Multiplicities are binomial(10, 1/10): mean 1, variance 0.9. Five
    // standard errors of 4000 resamples.
    for (uint32_t i = 0; i < CLUSTERS; i++) {
        ck_assert_double_eq_tol(mean[i], 1, 0.075);
        ck_assert_double_eq_tol(square[i] - mean[i] * mean[i], 0.9, 0.12);
    }
    stats_resample(cluster, ROWS, CLUSTERS, 7, 3, scratch, weight);
    stats_resample(cluster, ROWS, CLUSTERS, 8, 3, scratch, again);
    ck_assert_mem_ne(weight, again, sizeof weight);
}
END_TEST

/* The interval of a mean covers the truth about as often as it says. */
START_TEST(coverage)
{
    enum { N = 60, RESAMPLES = 300, TRIALS = 300 };
    uint32_t cluster[N], scratch[N], weight[N];
    int covered = 0;
    for (uint32_t i = 0; i < N; i++)
        cluster[i] = i;
    for (uint64_t t = 0; t < TRIALS; t++) {
        double x[N], boot[RESAMPLES], low, high;
        for (uint32_t i = 0; i < N; i++)
            x[i] = mohs_rng_normal(99, t, i);
        for (uint32_t b = 0; b < RESAMPLES; b++) {
            double s = 0;
            stats_resample(cluster, N, N, t, b, scratch, weight);
            for (uint32_t i = 0; i < N; i++)
                s += weight[i] * x[i];
            boot[b] = s / N;
        }
        stats_percentile(boot, RESAMPLES, 0.95, &low, &high);
        covered += low <= 0 && 0 <= high;
    }
    // 95 % of 300 is 285, standard deviation 3.8; percentile intervals of 60
    // rows are a little short.
    ck_assert_int_ge(covered, 265);
    ck_assert_int_le(covered, 298);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("stats");
    TCase *t = tcase_create("stats");
    tcase_add_loop_test(t, mcnemar, 0, COUNT(golden_mcnemar));
    tcase_add_loop_test(t, wilson, 0, COUNT(golden_wilson));
    tcase_add_loop_test(t, percentile, 0, COUNT(golden_percentile));
    tcase_add_test(t, nothing);
    tcase_add_test(t, resample);
    tcase_add_test(t, coverage);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int bad = srunner_ntests_failed(r);
    srunner_free(r);
    return bad ? 1 : 0;
}
