/* SPDX-License-Identifier: MIT */
/* Optimizer and perturbation kernels against plain C in double. */
#include "config.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <mohs/rng.h>

#include "base/base.h"
#include "graph/optim.h"

static struct compute *dev;

static void ok(mohs_status st, const struct mohs_error *e)
{
    ck_assert_msg(st >= 0, "%s", e->text);
}

static void setup(void)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    ok(compute_open(getenv("MOHS_DEVICE"), &dev, &e), &e);
}

static void teardown(void)
{
    compute_close(dev);
}

static float *noise(size_t n, uint64_t seed, float scale)
{
    float *v = calloc(n, sizeof *v);
    for (size_t i = 0; i < n; i++)
        v[i] = scale * (2 * mohs_rng_uniform(seed, 1, i) - 1);
    return v;
}

static struct mohs_buffer *upload(const void *v, size_t bytes)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    struct mohs_buffer *b;
    ok(buffer_new(dev, bytes, &b, &e), &e);
    ok(buffer_write(b, 0, v, bytes, &e), &e);
    return b;
}

static void download(struct mohs_buffer *b, void *v, size_t bytes)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    ok(buffer_read(b, 0, v, bytes, &e), &e);
}

/* ---- AdamW ------------------------------------------------------------ */

static const uint32_t sizes[] = { 1, 15, 16, 4097, 9001 };

/* Three steps; the second with clipping. Values near 1: 4e-6 is some ulp. */
START_TEST(adamw_steps)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    uint32_t n = sizes[_i];
    size_t bytes = n * sizeof(float);
    float *p0 = noise(n, 1, 1), *got = calloc(n, sizeof *got);
    double *p = calloc(n, sizeof *p), *m = calloc(n, sizeof *m);
    double *v = calloc(n, sizeof *v);
    const float clip[2] = { 4, 0.25f };
    struct mohs_buffer *bp = upload(p0, bytes), *bc = upload(clip, sizeof clip);
    memset(got, 0, bytes);
    struct mohs_buffer *bm = upload(got, bytes), *bv = upload(got, bytes);
    for (uint32_t i = 0; i < n; i++)
        p[i] = p0[i];
    for (int step = 1; step <= 3; step++) {
        struct adamw h = { 0.01f, 0.9f, 0.98f, 1e-6f, 0.1f,
                           (float)(1 - pow(0.9f, step)),
                           (float)(1 - pow(0.98f, step)) };
        float *g = noise(n, 10 + (unsigned)step, 2);
        struct mohs_buffer *bg = upload(g, bytes);
        double scale = step == 2 ? 0.25 : 1;
        ok(optim_adamw(dev, bp, bg, bm, bv, n, &h, step == 2 ? bc : NULL, &e),
           &e);
        for (uint32_t i = 0; i < n; i++) {
            double x = g[i] * scale;
            m[i] = h.beta1 * m[i] + (1 - h.beta1) * x;
            v[i] = h.beta2 * v[i] + (1 - h.beta2) * x * x;
            p[i] -= h.lr * (m[i] / h.correction1 /
                                (sqrt(v[i] / h.correction2) + h.eps) +
                            h.decay * p[i]);
        }
        download(bp, got, bytes);
        for (uint32_t i = 0; i < n; i++)
            ck_assert_double_eq_tol(got[i], p[i], 4e-6);
        buffer_unref(bg);
        free(g);
    }
    buffer_unref(bp);
    buffer_unref(bc);
    buffer_unref(bm);
    buffer_unref(bv);
    free(p0);
    free(got);
    free(p);
    free(m);
    free(v);
}
END_TEST

/* ---- norm, clipping, averages ----------------------------------------- */

START_TEST(norm_and_clip)
{
    static const uint32_t lens[] = { 3, 65536, 200001 };
    struct mohs_error e = MOHS_ERROR_INIT;
    uint32_t slots = 0, at = 0;
    double sum = 0;
    float out[2];
    for (int i = 0; i < 3; i++)
        slots += optim_sumsq_slots(lens[i]);
    ck_assert_uint_eq(slots, 6);
    float *empty = calloc(slots, sizeof *empty);
    struct mohs_buffer *part = upload(empty, slots * sizeof *empty);
    struct mohs_buffer *res = upload(empty, sizeof out);
    for (int i = 0; i < 3; i++) {
        float *x = noise(lens[i], 20 + (unsigned)i, 1);
        struct mohs_buffer *b = upload(x, lens[i] * sizeof *x);
        for (uint32_t j = 0; j < lens[i]; j++)
            sum += (double)x[j] * x[j];
        ok(optim_sumsq(dev, b, lens[i], part, at, &e), &e);
        at += optim_sumsq_slots(lens[i]);
        compute_finish(dev, &e);
        buffer_unref(b);
        free(x);
    }
    double norm = sqrt(sum);
    ok(optim_clip(dev, part, slots, 1, res, &e), &e);
    download(res, out, sizeof out);
    ck_assert_double_eq_tol(out[0], norm, 1e-6 * norm);
    ck_assert_double_eq_tol(out[1], 1 / norm, 1e-6 / norm);
    ok(optim_clip(dev, part, slots, 1000, res, &e), &e);
    download(res, out, sizeof out);
    ck_assert_float_eq(out[1], 1);
    ok(optim_clip(dev, part, slots, 0, res, &e), &e);
    download(res, out, sizeof out);
    ck_assert_float_eq(out[1], 1);
    empty[2] = NAN;
    ok(buffer_write(part, 0, empty, slots * sizeof *empty, &e), &e);
    ok(optim_clip(dev, part, slots, 1, res, &e), &e);
    download(res, out, sizeof out);
    ck_assert(isnan(out[0]) && isnan(out[1]));
    buffer_unref(part);
    buffer_unref(res);
    free(empty);
}
END_TEST

START_TEST(averages)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    uint32_t n = sizes[_i];
    size_t bytes = n * sizeof(float);
    float *a = noise(n, 30, 1), *x = noise(n, 31, 1);
    float *got = calloc(n, sizeof *got);
    struct mohs_buffer *ba = upload(a, bytes), *bx = upload(x, bytes);
    ok(optim_ema(dev, ba, bx, n, 0.99f, &e), &e);
    download(ba, got, bytes);
    for (uint32_t i = 0; i < n; i++)
        ck_assert_double_eq_tol(got[i], 0.99 * a[i] + 0.01 * x[i], 2e-7);
    ok(optim_axpy(dev, ba, bx, n, -3, &e), &e);
    download(ba, got, bytes);
    for (uint32_t i = 0; i < n; i++)
        ck_assert_double_eq_tol(got[i], 0.99 * a[i] - 2.99 * x[i], 1e-6);
    buffer_unref(ba);
    buffer_unref(bx);
    free(a);
    free(x);
    free(got);
}
END_TEST

/* ---- balls ------------------------------------------------------------ */

enum { N = 3, TOK = 5, W = 21, ALL = N * TOK * W };

static const struct {
    int norm;
    bool per_sample, clean, mask;
} balls[] = {
    { BALL_L2, false, true, false },   { BALL_L2, false, true, true },
    { BALL_L2, true, true, true },     { BALL_L2, true, false, false },
    { BALL_LINF, false, true, false }, { BALL_LINF, true, true, true },
    { BALL_LINF, true, false, true },  { BALL_L2, false, false, true },
};
enum { N_BALLS = sizeof balls / sizeof balls[0] };

static const int32_t mask[N * TOK] = { 1, 1, 1, 0, 0, 1, 1, 1, 1, 1,
                                       1, 0, 0, 0, 0 };

static bool on(int which, int sample, int t)
{
    return !balls[which].mask || mask[sample * TOK + t];
}

/* Norm of the unmasked values of a group: L2, or largest. */
static double size_of(int which, const double *x, int sample, int t0, int t1,
                      bool linf)
{
    double s = 0;
    for (int t = t0; t < t1; t++)
        for (int i = 0; i < W && on(which, sample, t); i++) {
            double v = x[(sample * TOK + t) * W + i];
            s = linf ? fmax(s, fabs(v)) : s + v * v;
        }
    return linf ? s : sqrt(s);
}

static double unit(int which, const double *x, int sample, int t0, int t1)
{
    double sum = 0, sq = 0;
    int n = 0;
    if (!balls[which].clean)
        return 1;
    if (balls[which].norm == BALL_L2)
        return size_of(which, x, sample, t0, t1, false);
    for (int pass = 0; pass < 2; pass++)
        for (int t = t0; t < t1; t++)
            for (int i = 0; i < W && on(which, sample, t); i++) {
                double v = x[(sample * TOK + t) * W + i];
                sum += pass ? 0 : v;
                n += pass ? 0 : 1;
                sq += pass ? (v - sum / n) * (v - sum / n) : 0;
            }
    return n ? sqrt(sq / n) : 0;
}

static void ref_step(int which, double *d, const double *g, const double *x,
                     int sample, int t0, int t1, double eps, double alpha)
{
    bool linf = balls[which].norm == BALL_LINF;
    double u = unit(which, x, sample, t0, t1);
    double gn = size_of(which, g, sample, t0, t1, false), r = eps * u;
    for (int t = t0; t < t1; t++)
        for (int i = 0; i < W; i++) {
            int at = (sample * TOK + t) * W + i;
            double dir = linf ? (g[at] > 0) - (g[at] < 0)
                              : (gn > 0 ? g[at] / gn : 0);
            d[at] = on(which, sample, t) ? d[at] + alpha * u * dir : 0;
            if (linf)
                d[at] = fmin(fmax(d[at], -r), r);
        }
    double dn = size_of(which, d, sample, t0, t1, false);
    for (int t = t0; t < t1 && !linf && dn > r; t++)
        for (int i = 0; i < W; i++)
            d[(sample * TOK + t) * W + i] *= r / dn;
}

START_TEST(ball_steps)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    const float eps = 0.3f, alpha = 0.2f;
    struct ball b = { N, TOK, W, balls[_i].norm, balls[_i].per_sample, eps };
    float *x = noise(ALL, 40, 1.5f), *got = calloc(ALL, sizeof *got);
    double xd[ALL], d[ALL] = { 0 }, g[ALL];
    struct mohs_buffer *bx = upload(x, ALL * 4), *bd = upload(got, ALL * 4);
    struct mohs_buffer *bm = upload(mask, sizeof mask);
    for (int i = 0; i < ALL; i++)
        xd[i] = x[i];
    for (int step = 0; step < 3; step++) {
        float *gv = noise(ALL, 50 + (unsigned)step, 0.01f);
        if (step == 2) // a group without gradient must not become NaN
            memset(gv, 0, TOK * W * sizeof *gv);
        struct mohs_buffer *bg = upload(gv, ALL * 4);
        for (int i = 0; i < ALL; i++)
            g[i] = gv[i];
        ok(optim_perturb_step(dev, &b, bd, bg, balls[_i].clean ? bx : NULL,
                              balls[_i].mask ? bm : NULL, alpha, &e),
           &e);
        for (int s = 0; s < N; s++)
            for (int t = 0; t < (b.per_sample ? 1 : TOK); t++)
                ref_step(_i, d, g, xd, s, t, b.per_sample ? TOK : t + 1, eps,
                         alpha);
        download(bd, got, ALL * 4);
        for (int i = 0; i < ALL; i++)
            ck_assert_double_eq_tol(got[i], d[i], 3e-6);
        buffer_unref(bg);
        free(gv);
    }
    buffer_unref(bx);
    buffer_unref(bd);
    buffer_unref(bm);
    free(x);
    free(got);
}
END_TEST

/* Inside the ball, on its surface when asked, zero where masked, the same
 * whatever the batch, and not all alike. */
START_TEST(random_deltas)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    const float eps = 0.3f;
    const uint32_t keys[2 * N] = { 5, 0, 6, 1, 7, 2 };
    float *x = noise(ALL, 60, 1.5f), *got = calloc(ALL, sizeof *got);
    float alone[TOK * W];
    double xd[ALL], d[ALL], inner = 0;
    struct mohs_buffer *bx = upload(x, ALL * 4), *bd = upload(got, ALL * 4);
    struct mohs_buffer *bm = upload(mask, sizeof mask);
    struct mohs_buffer *bk = upload(keys, sizeof keys);
    struct mohs_buffer *clean = balls[_i].clean ? bx : NULL;
    struct mohs_buffer *masked = balls[_i].mask ? bm : NULL;
    bool linf = balls[_i].norm == BALL_LINF;
    for (int i = 0; i < ALL; i++)
        xd[i] = x[i];
    for (int surface = 0; surface < 2; surface++) {
        struct ball b = { N, TOK, W, balls[_i].norm, balls[_i].per_sample,
                          eps };
        ok(optim_random_delta(dev, &b, bd, clean, masked, 9, bk, surface, &e),
           &e);
        download(bd, got, ALL * 4);
        for (int i = 0; i < ALL; i++)
            d[i] = got[i];
        for (int s = 0; s < N; s++)
            for (int t = 0; t < (b.per_sample ? 1 : TOK); t++) {
                int t1 = b.per_sample ? TOK : t + 1;
                double r = eps * unit(_i, xd, s, t, t1);
                double len = size_of(_i, d, s, t, t1, linf);
                ck_assert_double_le(len, r * (1 + 1e-5));
                if (surface && on(_i, s, t))
                    ck_assert_double_ge(len, r * (1 - 1e-5));
                else if (!surface)
                    inner += len < r * (1 - 1e-5);
            }
        for (int i = 0; i < ALL; i++)
            if (!on(_i, i / (TOK * W), i / W % TOK))
                ck_assert_float_eq(got[i], 0);
        b.n = 1;
        ok(optim_random_delta(dev, &b, bd, clean, masked, 9, bk, surface, &e),
           &e);
        download(bd, alone, sizeof alone);
        ck_assert_mem_eq(alone, got, sizeof alone);
        ck_assert(memcmp(got, got + W, W * 4) != 0);
    }
    ck_assert(inner > 0);
    buffer_unref(bx);
    buffer_unref(bd);
    buffer_unref(bm);
    buffer_unref(bk);
    free(x);
    free(got);
}
END_TEST

int main(void)
{
    struct device_report *d = NULL;
    size_t n = 0, usable = 0;
    if (compute_probe(&d, &n, NULL) >= 0)
        for (size_t i = 0; i < n; i++)
            usable += d[i].usable;
    free(d);
    if (!usable && !getenv("MOHS_REQUIRE_CL"))
        return 77;
    Suite *s = suite_create("optim");
    TCase *t = tcase_create("optim");
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_loop_test(t, adamw_steps, 0, 5);
    tcase_add_test(t, norm_and_clip);
    tcase_add_loop_test(t, averages, 0, 5);
    tcase_add_loop_test(t, ball_steps, 0, N_BALLS);
    tcase_add_loop_test(t, random_deltas, 0, N_BALLS);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
