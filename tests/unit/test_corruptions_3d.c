/* SPDX-License-Identifier: MIT */
/*
 * The 3D common corruptions against their formulas in Python
 * (golden/corruptions_3d.py) with the same random draws; kernels against the
 * C references beside them; statistics of noise and bit errors that a wrong
 * constant would not pass; batches, and pictures without depth.
 */
#include "config.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compute/compute.h"
#include "plugin/registry.h"

#define REFERENCE "mohs.reference/1"

/* plugins/corruptions/common/corruption.h */
struct reference_api {
    uint32_t size;
    mohs_status (*apply)(void *self, const struct mohs_images *in,
                         struct mohs_images *out, uint32_t severity,
                         uint64_t seed, struct mohs_error *err);
};

enum { SEED = 2024, KEY = 77 };

static struct registry *reg;
static struct mohs_error err = MOHS_ERROR_INIT;

#define OK(expr) ck_assert_msg((expr) >= 0, "%s", err.text)

static void setup(void)
{
    static const char dir[] = BUILDDIR "/plugins/corruptions";
    const char *const dirs[] = { dir, NULL };
    struct registry_options o = { .plugin_dirs = dirs };
    log_threshold = LOG_ERROR;
    OK(registry_open(&o, &reg, &err));
}

static void teardown(void)
{
    registry_close(reg);
}

/* ---- instances ---- */

struct instance {
    const struct mohs_corruption_ops *ops;
    const struct reference_api *reference;
    void *self;
};

/* params: "name=value" or "-". */
static struct instance instance_new(const char *id, const char *params)
{
    struct instance in = { 0 };
    const struct item *it;
    const char *eq = strchr(params, '=');
    OK(registry_find(reg, MOHS_KIND_CORRUPTION, id, &it, &err));
    void *p = item_params_new(it);
    if (eq) {
        char *name = xasprintf("%.*s", (int)(eq - params), params);
        OK(item_param_set_text(it, p, name, eq + 1, &err));
        free(name);
    }
    in.ops = it->item->ops;
    OK(in.ops->create(registry_host(reg), p, &in.self, &err));
    item_params_free(it, p);
    in.reference = in.ops->get_extension(in.self, REFERENCE);
    return in;
}

static uint8_t *run(const struct instance *in, bool reference,
                    const uint8_t *rgb, const float *depth, uint32_t n,
                    uint32_t w, uint32_t h, const uint64_t *key,
                    uint32_t severity)
{
    size_t bytes = (size_t)n * w * h * 3;
    struct mohs_images from = {
        sizeof from, n, h, w, (uint8_t *)rgb, key, depth
    };
    struct mohs_images to = from;
    to.rgb = xmalloc(bytes);
    memset(to.rgb, 0xA5, bytes);
    if (reference)
        OK(in->reference->apply(in->self, &from, &to, severity, SEED, &err));
    else
        OK(in->ops->apply(in->self, &from, &to, severity, SEED, &err));
    scratch_reset();
    return to.rgb;
}

/* ---- pictures ---- */

/* As picture() of golden/corruptions.py: waves with noise, and flat patches. */
static uint8_t *picture(uint32_t w, uint32_t h)
{
    uint8_t *rgb = xmalloc((size_t)w * h * 3);
    for (uint32_t y = 0; y < h; y++)
        for (uint32_t x = 0; x < w; x++)
            for (uint32_t c = 0; c < 3; c++) {
                uint32_t i = (y * w + x) * 3 + c;
                uint32_t patch = (x / 9 * 7 + y / 7 * 5) % 11;
                int wave = abs((int)((x * (5 + c) + y * 3) % 255) - 127);
                rgb[i] = patch == 0   ? 255
                         : patch == 1 ? 0
                         : patch == 2 ? (uint8_t)(37 * (c + 2))
                                      : (uint8_t)((uint32_t)(wave * 7 / 4) +
                                                  mohs_rng_u32(1, 2, i) % 32);
            }
    return rgb;
}

/* As depth() of golden/corruptions_3d.py, in metres. */
static float *depth_map(uint32_t w, uint32_t h)
{
    float *d = xmalloc((size_t)w * h * sizeof *d);
    for (uint32_t y = 0; y < h; y++)
        for (uint32_t x = 0; x < w; x++) {
            int mm = (int)(2000 + 3000 * (h - y) / h + 3 * (x % 5));
            if ((x / 9 * 7 + y / 7 * 5) % 4 == 0)
                mm -= 900;
            d[y * w + x] = (float)mm / 1000;
        }
    return d;
}

static void compare(const char *what, const uint8_t *got, const uint8_t *want,
                    size_t n, int worst, double mean)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        int d = abs(got[i] - want[i]);
        ck_assert_msg(d <= worst, "%s: byte %zu is %d, not %d", what, i, got[i],
                      want[i]);
        sum += d;
    }
    ck_assert_msg(sum / (double)n <= mean, "%s: mean difference %g, allowed %g",
                  what, sum / (double)n, mean);
}

/* ---- against Python ---- */

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

static const struct allowed *allowed_of(const char *id)
{
    for (size_t i = 0; i < N_ITEMS; i++)
        if (!strcmp(allowed[i].id, id))
            return &allowed[i];
    ck_abort_msg("%s: not in the table", id);
    return NULL;
}

START_TEST(as_python)
{
    char *text, *data, id[64], params[256];
    size_t n, size, at = 0, cases = 0;
    unsigned severity, w, h;
    int used;
    OK(file_read(SRCDIR "/tests/golden/corruptions_3d.txt", 1 << 20, &text, &n,
                 &err));
    OK(file_read(SRCDIR "/tests/golden/corruptions_3d.bin", 1 << 20, &data,
                 &size, &err));
    for (const char *t = text; sscanf(t, " %63s %255s %u %u %u%n", id, params,
                                      &severity, &w, &h, &used) == 5;
         t += used, cases++) {
        const struct allowed *a = allowed_of(id);
        struct instance in = instance_new(id, params);
        uint64_t key = KEY;
        uint8_t *rgb = picture(w, h);
        float *depth = depth_map(w, h);
        size_t bytes = (size_t)w * h * 3;
        ck_assert(at + bytes <= size);
        for (int r = 0; r < 2; r++) {
            char what[400];
            snprintf(what, sizeof what, "%s of %s %s severity %u",
                     r ? "reference" : "kernel", id, params, severity);
            uint8_t *out =
                run(&in, r == 1, rgb, depth, 1, w, h, &key, severity);
            compare(what, out, (uint8_t *)data + at, bytes, a->python,
                    a->python_mean);
            free(out);
        }
        at += bytes;
        free(rgb);
        free(depth);
        in.ops->destroy(in.self);
    }
    ck_assert_uint_eq(at, size);
    ck_assert_uint_eq(cases, 45);
    free(text);
    free(data);
}
END_TEST

/* ---- kernels against references, at odd sizes ---- */

static const struct {
    uint32_t w, h;
} sizes[] = { { 1, 1 }, { 1, 7 }, { 6, 1 }, { 2, 2 }, { 19, 64 }, { 83, 61 } };

START_TEST(as_reference)
{
    for (size_t i = 0; i < N_ITEMS; i++) {
        struct instance in = instance_new(allowed[i].id, "-");
        for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
            uint32_t w = sizes[k].w, h = sizes[k].h;
            uint8_t *rgb = picture(w, h);
            float *depth = depth_map(w, h);
            uint64_t key = 5;
            char what[128];
            for (uint32_t s = 1; s <= 5; s += 2) {
                uint8_t *a = run(&in, false, rgb, depth, 1, w, h, &key, s);
                uint8_t *b = run(&in, true, rgb, depth, 1, w, h, &key, s);
                snprintf(what, sizeof what, "%s %ux%u severity %u",
                         allowed[i].id, w, h, s);
                compare(what, a, b, (size_t)w * h * 3, allowed[i].reference,
                        w * h < 100 ? 1 : 0.05);
                free(a);
                free(b);
            }
            free(rgb);
            free(depth);
        }
        in.ops->destroy(in.self);
    }
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
    enum { W = 23, H = 18, N = 4, PIXELS = W * H, BYTES = PIXELS * 3 };
    uint8_t *rgb = xmalloc(N * BYTES), *one = picture(W, H);
    float *depth = xmalloc(N * PIXELS * sizeof *depth), *d = depth_map(W, H);
    uint64_t key[N] = { 3, 1u << 31, UINT64_MAX, 3 };
    for (int i = 0; i < N; i++)
        for (int j = 0; j < BYTES; j++) {
            rgb[i * BYTES + j] = i % 3 ? (uint8_t)(255 - one[j]) : one[j];
            depth[i * PIXELS + j / 3] = i % 3 ? 9 - d[j / 3] : d[j / 3];
        }
    for (size_t i = 0; i < N_ITEMS; i++) {
        struct instance in = instance_new(allowed[i].id, "-");
        uint8_t *all = run(&in, false, rgb, depth, N, W, H, key, 3);
        for (int k = N - 1; k >= 0; k--) {
            uint8_t *out = run(&in, false, rgb + k * BYTES, depth + k * PIXELS,
                               1, W, H, key + k, 3);
            ck_assert_msg(!memcmp(out, all + k * BYTES, BYTES),
                          "%s: picture %d depends on its batch", allowed[i].id,
                          k);
            free(out);
        }
        ck_assert(!memcmp(all, all + 3 * BYTES, BYTES)); // same picture and key
        free(all);
        in.ops->destroy(in.self);
    }
    free(rgb);
    free(one);
    free(depth);
    free(d);
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

/* 0 to go on, else main's return value. */
static int need_device(void)
{
    struct device_report *r;
    size_t n;
    bool any = false;
    if (compute_probe(&r, &n, &err) >= 0) {
        for (size_t i = 0; i < n; i++)
            any |= r[i].usable;
        free(r);
    }
    const char *must = getenv("MOHS_REQUIRE_CL");
    return any ? 0 : must && *must == '1' ? EXIT_FAILURE : 77;
}

int main(void)
{
    int skip = need_device();
    if (skip)
        return skip;
    Suite *s = suite_create("corruptions_3d");
    TCase *t = tcase_create("corruptions_3d");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 120);
    tcase_add_test(t, as_python);
    tcase_add_test(t, as_reference);
    tcase_add_test(t, noise_moments);
    tcase_add_test(t, bit_rates);
    tcase_add_test(t, flat_and_constant);
    tcase_add_test(t, batches);
    tcase_add_test(t, bad_depth);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
