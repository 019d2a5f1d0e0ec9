/* SPDX-License-Identifier: MIT */
/*
 * The 3D common corruptions against their formulas in Python
 * (golden/corruptions_3d.py) with the same random draws; kernels against the
 * C references beside them; statistics of noise and bit errors that a wrong
 * constant would not pass; batches, and pictures without depth.
 */
#include "config.h"

#include "corruption_test.h"

/*
 * What may differ from Python in bytes: at most, and on average. Where a
 * value is cut, single and double precision come out one apart; in camera
 * motion a point may then also lie 1/128 pixel apart in some frames.
 */
static const struct allowed {
    const char *id;
    int python;
    double python_mean;
    int reference; /* kernel against reference, at most */
} allowed[] = {
    { "near_focus", 1, 0.02, 1 },     { "far_focus", 1, 0.02, 1 },
    { "fog_3d", 1, 0.02, 1 },         { "xy_motion_blur", 4, 0.02, 1 },
    { "z_motion_blur", 4, 0.02, 1 },  { "flash", 1, 0.02, 1 },
    { "low_light", 1, 0.01, 1 },      { "iso_noise", 1, 0.01, 1 },
    { "color_quant", 0, 0, 0 },       { "bit_error", 0, 0, 0 },
};
enum { N_ITEMS = sizeof allowed / sizeof *allowed };

static struct difference allowed_of(const char *id, bool reference)
{
    (void)reference;
    for (size_t i = 0; i < N_ITEMS; i++)
        if (!strcmp(allowed[i].id, id))
            return (struct difference) { allowed[i].python,
                                         allowed[i].python_mean, 0 };
    ck_abort_msg("%s: not in the table", id);
}

START_TEST(as_python)
{
    compare_golden("corruptions_3d", 45, allowed_of);
}
END_TEST

START_TEST(as_reference)
{
    for (size_t i = 0; i < N_ITEMS; i++)
        compare_sizes(allowed[i].id,
                      (struct difference) { allowed[i].reference, 0.05, 0 });
}
END_TEST

/* ---- statistics ---- */

struct moments {
    double mean, sd;
};

/* Of bytes: Poisson(x rate) / rate cut at 1, plus N(0, sigma), cut. */
static struct moments sensor(double x, double rate, double sigma)
{
    double sum = 0, squares = 0, p = exp(-x * rate);
    for (int k = 0; k < 400; p *= x * rate / ++k)
        for (int b = 0; b < 256; b++) {
            double v = fmin(k / rate, 1), s = sigma * sqrt(2);
            double low = b ? erf((b / 255.0 - v) / s) : -1;
            double high = b < 255 ? erf(((b + 1) / 255.0 - v) / s) : 1;
            sum += p * (high - low) / 2 * b;
            squares += p * (high - low) / 2 * b * b;
        }
    return (struct moments) { sum, sqrt(squares - sum * sum) };
}

static struct moments measured(const uint8_t *v, size_t n)
{
    struct moments m = { 0, 0 };
    for (size_t i = 0; i < n; i++)
        m.mean += v[i] / (double)n;
    for (size_t i = 0; i < n; i++)
        m.sd += (v[i] - m.mean) * (v[i] - m.mean) / (double)n;
    m.sd = sqrt(m.sd);
    return m;
}

/* Five standard errors, those of a normal distribution. */
static bool agrees(struct moments got, struct moments want, size_t n)
{
    return fabs(got.mean - want.mean) < 5 * want.sd / sqrt((double)n) &&
           fabs(got.sd - want.sd) < 5 * want.sd / sqrt(2.0 * (double)n);
}

/* A grey, and two corner pixels of 0 and 255 that low light needs. */
START_TEST(noise_moments)
{
    static const double electrons[] = { .08, .12, .18, .26, .38 };
    static const double dim[] = { .6, .5, .4, .3, .2 };
    enum { SIDE = 300, GREY = 150, N = SIDE * SIDE * 3, SKIP = 6 };
    uint8_t *rgb = xmalloc(N);
    uint64_t key = 9;
    memset(rgb, GREY, N);
    memset(rgb, 0, 3);
    memset(rgb + 3, 255, 3);
    for (int low = 0; low < 2; low++) {
        struct instance in = instance_new(low ? "low_light" : "iso_noise", "-");
        for (uint32_t s = 1; s <= 5; s++) {
            uint8_t *out =
                run(&in, false, rgb, NULL, 1, SIDE, SIDE, &key, s);
            struct moments m = measured(out + SKIP, N - SKIP);
            double grey = GREY / 255.0, x = low ? dim[s - 1] * grey * grey
                                                : grey;
            double rate = low ? 120 : 25;
            double sigma = low ? .018 : .7 * electrons[s - 1];
            struct moments want = sensor(x, rate, sigma);
            ck_assert_msg(agrees(m, want, N), "%s %u: %g +- %g, not %g +- %g",
                          low ? "low_light" : "iso_noise", s, m.mean, m.sd,
                          want.mean, want.sd);
            // constants a twentieth off would be found out
            ck_assert(!agrees(m, sensor(x * 1.05, rate, sigma), N));
            ck_assert(low || !agrees(m, sensor(x, rate, sigma * 1.1), N));
            ck_assert(s > 3 || !agrees(m, sensor(x, rate * 1.1, sigma), N));
            free(out);
        }
        in.ops->destroy(in.self);
    }
    free(rgb);
}
END_TEST

/* Lines of blocks without damage, in 0..1. */
static double untouched(const struct instance *in, const uint8_t *whole,
                        const uint8_t *rgb, uint32_t severity)
{
    enum { SIDE = 64, KEYS = 500, ROW = SIDE * 3 };
    int same = 0;
    for (uint64_t key = 0; key < KEYS; key++) {
        uint8_t *out =
            run(in, false, rgb, NULL, 1, SIDE, SIDE, &key, severity);
        // rows at the rim of a line take colour from the next
        for (int line = 0; line < SIDE / 16; line++)
            same += !memcmp(out + (16 * line + 2) * ROW,
                            whole + (16 * line + 2) * ROW, 12 * ROW);
        free(out);
    }
    return same / (double)(KEYS * SIDE / 16);
}

/* With a rate r a byte, a line of n bytes stays whole with exp(-r n). */
START_TEST(bit_rates)
{
    uint8_t *rgb = picture(64, 64);
    uint64_t key = 0;
    struct instance none = instance_new("bit_error", "frames=0");
    struct instance in = instance_new("bit_error", "frames=20");
    uint8_t *whole = run(&none, false, rgb, NULL, 1, 64, 64, &key, 5);
    double first = log(untouched(&in, whole, rgb, 1));
    static const double ratio[] = { 1, 2, 10 / 3.0, 5, 10 };
    ck_assert_double_lt(first, -0.05);
    for (uint32_t s = 2; s <= 5; s++) {
        double r = log(untouched(&in, whole, rgb, s)) / first;
        ck_assert_msg(fabs(r / ratio[s - 1] - 1) < 0.25,
                      "severity %u: %g times severity 1's errors, not %g", s, r,
                      ratio[s - 1]);
    }
    free(rgb);
    free(whole);
    none.ops->destroy(none.self);
    in.ops->destroy(in.self);
}
END_TEST

/* ---- geometry ---- */

/* Whatever is blurred, moved or mixed with its mean: a constant picture keeps
 * its value, so no weights sum up to less than 1 and no hole is left black. */
START_TEST(flat_and_constant)
{
    enum { W = 40, H = 28, BYTES = W * H * 3 };
    uint8_t rgb[BYTES];
    float depth[W * H];
    uint64_t key = 3;
    memset(rgb, 117, sizeof rgb);
    for (int i = 0; i < W * H; i++)
        depth[i] = 1 + (float)(i % W) / W;
    static const char *const still[] = { "near_focus", "far_focus", "fog_3d",
                                         "xy_motion_blur", "z_motion_blur" };
    for (size_t k = 0; k < sizeof still / sizeof *still; k++) {
        struct instance in = instance_new(still[k], "-");
        for (uint32_t s = 1; s <= 5; s++) {
            uint8_t *out = run(&in, false, rgb, depth, 1, W, H, &key, s);
            ck_assert_msg(!memcmp(out, rgb, BYTES), "%s %u: a constant picture "
                          "changed", still[k], s);
            free(out);
        }
        in.ops->destroy(in.self);
    }
}
END_TEST

/* ---- batches and depth ---- */

START_TEST(batches)
{
    for (size_t i = 0; i < N_ITEMS; i++)
        compare_batches(allowed[i].id);
}
END_TEST

START_TEST(bad_depth)
{
    static const float bad[] = { 0, -1, NAN, INFINITY };
    uint8_t rgb[6] = { 1, 2, 3 }, out[6];
    float depth[2] = { 1, 1 };
    uint64_t key = 0;
    size_t seen = 0;
    struct mohs_images from = { sizeof from, 1, 1, 2, rgb, &key, NULL };
    struct mohs_images to = from;
    to.rgb = out;
    for (size_t i = 0; i < N_ITEMS; i++) {
        struct instance in = instance_new(allowed[i].id, "-");
        if (in.ops->flags & MOHS_CORRUPTION_DEPTH) {
            seen++;
            from.depth = NULL;
            ck_assert_int_eq(in.ops->apply(in.self, &from, &to, 1, 0, &err),
                             MOHS_E_ARG);
            ck_assert_ptr_nonnull(strstr(err.text, "needs depth"));
            ck_assert_ptr_nonnull(strstr(err.text, allowed[i].id));
            from.depth = depth;
            for (size_t k = 0; k < 4; k++) {
                depth[1] = bad[k];
                ck_assert_int_eq(in.ops->apply(in.self, &from, &to, 1, 0, &err),
                                 MOHS_E_ARG);
                ck_assert_ptr_nonnull(strstr(err.text, "pixel 1 is not"));
            }
        }
        in.ops->destroy(in.self);
    }
    ck_assert_uint_eq(seen, 6);
}
END_TEST

static void add(TCase *t)
{
    tcase_add_test(t, as_python);
    tcase_add_test(t, as_reference);
    tcase_add_test(t, noise_moments);
    tcase_add_test(t, bit_rates);
    tcase_add_test(t, flat_and_constant);
    tcase_add_test(t, batches);
    tcase_add_test(t, bad_depth);
}

int main(void)
{
    return corruption_main("corruptions_3d", add);
}
