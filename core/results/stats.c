/* SPDX-License-Identifier: MIT */
/* Intervals and tests for reported numbers. */
#include "config.h"

#include "results/results.h"

#include <math.h>
#include <stdlib.h>

#include <mohs/rng.h>

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Linear interpolation between order statistics (Hyndman and Fan's type 7,
 * NumPy's default). */
static double quantile(const double *sorted, size_t n, double q)
{
    double at = q * (double)(n - 1), base = floor(at);
    size_t i = (size_t)base;
    if (i + 1 >= n)
        return sorted[n - 1];
    return sorted[i] + (at - base) * (sorted[i + 1] - sorted[i]);
}

void stats_percentile(double *v, size_t n, double level, double *low,
                      double *high)
{
    size_t m = 0;
    for (size_t i = 0; i < n; i++)
        if (!isnan(v[i]))
            v[m++] = v[i];
    *low = *high = NAN;
    if (!m)
        return;
    qsort(v, m, sizeof *v, ascending);
    *low = quantile(v, m, 0.5 * (1 - level));
    *high = quantile(v, m, 1 - 0.5 * (1 - level));
}

void stats_resample(const uint32_t *cluster, uint32_t n_rows,
                    uint32_t n_clusters, uint64_t seed, uint64_t b,
                    uint32_t *scratch_clusters, uint32_t *weight)
{
    for (uint32_t i = 0; i < n_clusters; i++)
        scratch_clusters[i] = 0;
    // Four draws a block; the same numbers as mohs_rng_below(seed, b, i, n).
    for (uint32_t i = 0; i < n_clusters; i += 4) {
        struct mohs_u32x4 r = mohs_philox(seed, b, i >> 2);
        for (uint32_t k = 0; k < 4 && i + k < n_clusters; k++)
            scratch_clusters[(uint64_t)r.v[k] * n_clusters >> 32]++;
    }
    for (uint32_t i = 0; i < n_rows; i++)
        weight[i] = cluster[i] < n_clusters ? scratch_clusters[cluster[i]] : 0;
}

double stats_mcnemar(uint64_t b, uint64_t c)
{
    uint64_t n = b + c, k = b < c ? b : c;
    if (b == c)
        return 1; // also 0, 0
    // P(X <= k), X ~ B(n, 1/2), from its largest term downwards.
    double dn = (double)n, dk = (double)k;
    double log_term = lgamma(dn + 1) - lgamma(dk + 1) - lgamma(dn - dk + 1) -
                      dn * log(2.0);
    double sum = 1, term = 1;
    for (uint64_t i = k; i > 0 && term > 1e-18; i--) {
        term *= (double)i / (double)(n - i + 1);
        sum += term;
    }
    double p = 2 * exp(log_term + log(sum));
    return p < 1 ? p : 1;
}

/* z with P(|N(0,1)| <= z) = level, by bisection on erfc: exact to the last
 * bits and called a few times. */
static double two_sided_z(double level)
{
    double lo = 0, hi = 40;
    for (int i = 0; i < 200 && lo < hi; i++) {
        double mid = 0.5 * (lo + hi);
        if (mid == lo || mid == hi)
            break;
        if (erfc(mid / sqrt(2.0)) > 1 - level)
            lo = mid;
        else
            hi = mid;
    }
    return 0.5 * (lo + hi);
}

void stats_wilson(uint64_t hits, uint64_t n, double level, double *low,
                  double *high)
{
    *low = 0;
    *high = 1;
    if (!n)
        return;
    double z = two_sided_z(level), m = (double)n, p = (double)hits / m;
    double centre = (p + z * z / (2 * m)) / (1 + z * z / m);
    double half = z / (1 + z * z / m) *
                  sqrt(p * (1 - p) / m + z * z / (4 * m * m));
    *low = hits ? centre - half : 0;
    *high = hits < n ? centre + half : 1;
}
