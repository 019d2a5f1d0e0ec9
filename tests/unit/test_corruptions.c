/* SPDX-License-Identifier: MIT */
/*
 * Corruptions against the Python references (golden/corruptions.py) with the
 * same random draws; kernels against the C references beside them; statistics
 * of the noise; batches and odd sizes.
 */
#include "config.h"

#include "corruption_test.h"

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

enum { N_ITEMS = sizeof allowed / sizeof *allowed };

static struct difference allowed_of(const char *id, bool reference)
{
    for (size_t i = 0; i < N_ITEMS; i++)
        if (!strcmp(allowed[i].id, id))
            return (struct difference) {
                allowed[i].worst,
                reference ? allowed[i].reference : allowed[i].kernel, 0
            };
    ck_abort_msg("%s: not in the table", id);
}

START_TEST(as_python)
{
    compare_golden("corruptions", 251, allowed_of);
}
END_TEST

START_TEST(as_reference)
{
    for (size_t i = 0; i < N_ITEMS; i++)
        compare_sizes(allowed[i].id,
                      (struct difference) { allowed[i].worst, 0.3, 0 });
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
        uint8_t *out = run(&in, false, rgb, NULL, 1, SIDE, SIDE, &key, s);
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
    for (size_t i = 0; i < N_ITEMS; i++)
        compare_batches(allowed[i].id);
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

static void add(TCase *t)
{
    tcase_add_test(t, as_python);
    tcase_add_test(t, as_reference);
    tcase_add_test(t, noise_moments);
    tcase_add_test(t, batches);
    tcase_add_test(t, bad_severity);
}

int main(void)
{
    return corruption_main("corruptions", add);
}
