/* SPDX-License-Identifier: MIT */
/*
 * Corruptions against the Python references (golden/corruptions.py) with the
 * same random draws; kernels against the C references beside them; statistics
 * of the noise; batches and odd sizes.
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
    const struct reference_api *reference; /* NULL: the host's code is all */
    void *self;
};

/* params: "name=value,name=value" or "-"; @ is the golden directory. */
static struct instance instance_new(const char *id, const char *params)
{
    struct instance in = { 0 };
    const struct item *it;
    char *all = NULL, *save = NULL;
    OK(registry_find(reg, MOHS_KIND_CORRUPTION, id, &it, &err));
    void *p = item_params_new(it);
    for (; *params; params++) { // @ spelled out
        char one[] = { *params, 0 };
        const char *add =
            *params == '@' ? SRCDIR "/tests/golden/corruptions_ice" : one;
        char *next = xasprintf("%s%s", all ? all : "", add);
        free(all);
        all = next;
    }
    for (char *t = strtok_r(all, ",", &save); t;
         t = strtok_r(NULL, ",", &save)) {
        char *value = strchr(t, '=');
        if (!value)
            continue;
        *value = 0;
        OK(item_param_set_text(it, p, t, value + 1, &err));
    }
    free(all);
    in.ops = it->item->ops;
    OK(in.ops->create(registry_host(reg), p, &in.self, &err));
    item_params_free(it, p);
    if (in.ops->get_extension)
        in.reference = in.ops->get_extension(in.self, REFERENCE);
    return in;
}

static uint8_t *run(const struct instance *in, bool reference,
                    const uint8_t *rgb, uint32_t n, uint32_t w, uint32_t h,
                    const uint64_t *key, uint32_t severity)
{
    size_t bytes = (size_t)n * w * h * 3;
    struct mohs_images from = {
        sizeof from, n, h, w, (uint8_t *)rgb, key, NULL
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
 * What may differ from Python, in bytes: at most, and on average over the
 * picture. NumPy cuts doubles where kernels cut floats, so whole results come
 * out one apart; what is integer is exact.
 */
static const struct allowed {
    const char *id;
    int worst;
    double kernel, reference;
} allowed[] = {
    { "gaussian_noise", 1, 0.002, 0.0005 },
    { "shot_noise", 0, 0, 0 },
    { "impulse_noise", 0, 0, 0 },
    { "speckle_noise", 1, 0.002, 0.0005 },
    { "gaussian_blur", 1, 0.05, 0.002 },
    { "defocus_blur", 1, 0.2, 0.2 },
    { "glass_blur", 1, 0.1, 0.002 },
    { "motion_blur", 1, 0.1, 0.1 },
    { "zoom_blur", 1, 0.02, 0.002 },
    { "snow", 1, 0.1, 0.1 },
    { "frost", 1, 0.1, 0.08 },
    { "fog", 1, 0.005, 0.002 },
    { "brightness", 1, 0.2, 0.002 },
    { "saturate", 1, 0.25, 0.002 }, // 2 x the saturation is whole everywhere
    { "contrast", 1, 0.01, 0.002 },
    // a drop's rim hangs on a threshold: one pixel may be another
    { "spatter", 64, 0.05, 0.05 },
    // OpenCV's warp in single precision; four samples of four samples
    { "elastic_transform", 2, 0.2, 0.2 },
    { "pixelate", 0, 0, 0 },
    { "jpeg_compression", 0, 0, 0 },
};

/* NULL: not one of ImageNet-C's, and another test's. */
static const struct allowed *allowed_of(const char *id)
{
    for (size_t i = 0; i < sizeof allowed / sizeof *allowed; i++)
        if (!strcmp(allowed[i].id, id))
            return &allowed[i];
    return NULL;
}

START_TEST(as_python)
{
    char *text, *data, id[64], params[256];
    size_t n, size, at = 0, cases = 0;
    unsigned severity, w, h;
    int used;
    OK(file_read(SRCDIR "/tests/golden/corruptions.txt", 1 << 20, &text, &n,
                 &err));
    OK(file_read(SRCDIR "/tests/golden/corruptions.bin", 1 << 22, &data, &size,
                 &err));
    for (const char *t = text; sscanf(t, " %63s %255s %u %u %u%n", id, params,
                                      &severity, &w, &h, &used) == 5;
         t += used, cases++) {
        const struct allowed *a = allowed_of(id);
        ck_assert_msg(a != NULL, "%s: not in the table", id);
        struct instance in = instance_new(id, params);
        uint64_t key = KEY;
        uint8_t *rgb = picture(w, h);
        size_t bytes = (size_t)w * h * 3;
        ck_assert(at + bytes <= size);
        for (int r = 0; r < 2; r++) {
            char what[400];
            snprintf(what, sizeof what, "%s of %s %s severity %u",
                     r ? "reference" : "kernel", id, params, severity);
            uint8_t *out = run(&in, r == 1, rgb, 1, w, h, &key, severity);
            compare(what, out, (uint8_t *)data + at, bytes, a->worst,
                    r ? a->reference : a->kernel);
            free(out);
        }
        at += bytes;
        free(rgb);
        in.ops->destroy(in.self);
    }
    ck_assert_uint_eq(at, size);
    ck_assert_uint_eq(cases, 251);
    free(text);
    free(data);
}
END_TEST

/* ---- kernels against references, at odd sizes ---- */

static const struct {
    uint32_t w, h;
} sizes[] = { { 1, 1 }, { 1, 7 }, { 6, 1 }, { 2, 2 }, { 19, 64 }, { 131, 97 } };

START_TEST(as_reference)
{
    const struct item *it;
    size_t checked = 0;
    for (size_t i = 0; (it = registry_item(reg, MOHS_KIND_CORRUPTION, i));
         i++) {
        if (!allowed_of(it->item->id))
            continue;
        struct instance in = instance_new(it->item->id, "-");
        for (size_t k = 0; k < sizeof sizes / sizeof *sizes && in.reference;
             k++) {
            uint32_t w = sizes[k].w, h = sizes[k].h;
            uint8_t *rgb = picture(w, h);
            uint64_t key = 5;
            char what[128];
            for (uint32_t s = 1; s <= 5; s += 2) {
                uint8_t *a = run(&in, false, rgb, 1, w, h, &key, s);
                uint8_t *b = run(&in, true, rgb, 1, w, h, &key, s);
                snprintf(what, sizeof what, "%s %ux%u severity %u",
                         it->item->id, w, h, s);
                compare(what, a, b, (size_t)w * h * 3,
                        allowed_of(it->item->id)->worst, w * h < 100 ? 1 : 0.3);
                checked++;
                free(a);
                free(b);
            }
            free(rgb);
        }
        in.ops->destroy(in.self);
    }
    ck_assert_uint_eq(checked, 19 * 6 * 3);
}
END_TEST

/* ---- statistics ---- */

/* Mean and variance of what the noise adds to a grey that clips seldom. */
START_TEST(noise_moments)
{
    static const double sigma[] = { .08, .12, .18, .26, .38 };
    enum { SIDE = 160, GREY = 128 };
    struct instance in = instance_new("gaussian_noise", "-");
    uint8_t *rgb = xmalloc(SIDE * SIDE * 3);
    memset(rgb, GREY, SIDE * SIDE * 3);
    uint64_t key = 9;
    for (uint32_t s = 1; s <= 2; s++) { // above, clipping decides
        uint8_t *out = run(&in, false, rgb, 1, SIDE, SIDE, &key, s);
        double n = SIDE * SIDE * 3, mean = 0, var = 0;
        for (int i = 0; i < SIDE * SIDE * 3; i++)
            mean += out[i] / n;
        for (int i = 0; i < SIDE * SIDE * 3; i++)
            var += (out[i] - mean) * (out[i] - mean) / n;
        double sd = sigma[s - 1] * 255;
        // bytes are cut, not rounded: half a step down; five standard errors
        ck_assert_double_eq_tol(mean, GREY - 0.5, 5 * sd / sqrt(n));
        ck_assert_double_eq_tol(sqrt(var), sd, 5 * sd / sqrt(2 * n));
        free(out);
    }
    free(rgb);
    in.ops->destroy(in.self);
}
END_TEST

/* ---- batches ---- */

START_TEST(batches)
{
    enum { W = 23, H = 18, N = 4, BYTES = W * H * 3 };
    const struct item *it;
    uint8_t *rgb = xmalloc(N * BYTES), *one = picture(W, H);
    uint64_t key[N] = { 3, 1u << 31, UINT64_MAX, 3 };
    for (int i = 0; i < N; i++)
        for (int j = 0; j < BYTES; j++)
            rgb[i * BYTES + j] = i % 3 ? (uint8_t)(255 - one[j]) : one[j];
    for (size_t i = 0; (it = registry_item(reg, MOHS_KIND_CORRUPTION, i));
         i++) {
        if (!allowed_of(it->item->id))
            continue;
        struct instance in = instance_new(it->item->id, "-");
        uint8_t *all = run(&in, false, rgb, N, W, H, key, 3);
        for (int k = N - 1; k >= 0; k--) {
            uint8_t *out =
                run(&in, false, rgb + k * BYTES, 1, W, H, key + k, 3);
            ck_assert_msg(!memcmp(out, all + k * BYTES, BYTES),
                          "%s: picture %d depends on its batch", it->item->id,
                          k);
            free(out);
        }
        ck_assert(!memcmp(all, all + 3 * BYTES, BYTES)); // same picture and key
        free(all);
        in.ops->destroy(in.self);
    }
    free(rgb);
    free(one);
}
END_TEST

START_TEST(bad_severity)
{
    const struct item *it;
    uint8_t rgb[3] = { 1, 2, 3 }, out[3];
    uint64_t key = 0;
    struct mohs_images from = { sizeof from, 1, 1, 1, rgb, &key, NULL },
                       to = from;
    to.rgb = out;
    for (size_t i = 0; (it = registry_item(reg, MOHS_KIND_CORRUPTION, i));
         i++) {
        struct instance in = instance_new(it->item->id, "-");
        for (uint32_t s = 0; s <= 6 && !(in.ops->flags & MOHS_CORRUPTION_TEXT);
             s += 6) {
            ck_assert_int_eq(in.ops->apply(in.self, &from, &to, s, 0, &err),
                             MOHS_E_ARG);
            ck_assert_ptr_nonnull(strstr(err.text, it->item->id));
        }
        in.ops->destroy(in.self);
    }
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
    Suite *s = suite_create("corruptions");
    TCase *t = tcase_create("corruptions");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 120);
    tcase_add_test(t, as_python);
    tcase_add_test(t, as_reference);
    tcase_add_test(t, noise_moments);
    tcase_add_test(t, batches);
    tcase_add_test(t, bad_severity);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
