/* SPDX-License-Identifier: MIT */
/*
 * ImageNet-C-bar against its formulas in Python (golden/corruptions_c_bar.py)
 * with the same random draws; kernels against the C references beside them;
 * the power spectra of the coloured noises; batches.
 */
#include "config.h"

#include "corruption_test.h"

/*
 * Values are cut where NumPy's doubles are, so some come out one apart. A
 * pixel on a ring's rim, on a square's, on the threshold or on the line where
 * refraction sets in may fall on either side.
 */
static const struct {
    const char *id;
    double jumps;
} items[] = {
    { "single_frequency_greyscale", 0 }, { "cocentric_sine_waves", 2 },
    { "plasma_noise", 0 },               { "perlin_noise", 0 },
    { "checkerboard_cutout", 1 },        { "sparkles", 0 },
    { "inverse_sparkles", 0 },           { "blue_noise_sample", 1 },
    { "brownish_noise", 0 },             { "caustic_refraction", 2 },
};
enum { N_ITEMS = sizeof items / sizeof *items };

static struct difference allowed_of(const char *id, bool reference)
{
    for (size_t i = 0; i < N_ITEMS; i++)
        if (!strcmp(items[i].id, id))
            return (struct difference) { 1, reference ? 0.02 : 0.1,
                                         reference ? 0 : items[i].jumps };
    ck_abort_msg("%s: not in the table", id);
}

START_TEST(as_python)
{
    compare_golden("corruptions_c_bar", 75, allowed_of);
}
END_TEST

START_TEST(as_reference)
{
    for (size_t i = 0; i < N_ITEMS; i++)
        compare_sizes(items[i].id,
                      (struct difference) { 1, 0.1, items[i].jumps });
}
END_TEST

START_TEST(batches)
{
    for (size_t i = 0; i < N_ITEMS; i++)
        compare_batches(items[i].id);
}
END_TEST

/* ---- spectra ---- */

/* Power of channel 0 at frequency (f, 0). */
static double power_at(const uint8_t *rgb, uint32_t side, uint32_t f)
{
    double re = 0, im = 0;
    for (uint32_t i = 0; i < side * side; i++) {
        double t = 6.283185307 * f * (i % side) / side;
        re += rgb[3 * i] * cos(t);
        im += rgb[3 * i] * sin(t);
    }
    return re * re + im * im;
}

/* Brownish noise has power 1 / (f^2 + 1)^2: 169 times more at 2 than at 8;
 * one power of f more or less would be 700 or 40. Pixels sampled by blue
 * noise are spread evenly: less power where f is small (by half, as a
 * threshold below the median is mostly not linear; for white noise, as much).
 */
START_TEST(spectra)
{
    enum { SIDE = 96 };
    uint8_t *grey = xmalloc(SIDE * SIDE * 3);
    memset(grey, 128, SIDE * SIDE * 3);
    struct instance brown = instance_new("brownish_noise", "-");
    struct instance blue = instance_new("blue_noise_sample", "-");
    double low = 0, high = 0, blue_low = 0, blue_high = 0;
    for (uint64_t key = 0; key < 40; key++) {
        uint8_t *out = run(&brown, false, grey, NULL, 1, SIDE, SIDE, &key, 2);
        low += power_at(out, SIDE, 2);
        high += power_at(out, SIDE, 8);
        free(out);
        out = run(&blue, false, grey, NULL, 1, SIDE, SIDE, &key, 5);
        for (uint32_t f = 1; f <= 8; f++) {
            blue_low += power_at(out, SIDE, f);
            blue_high += power_at(out, SIDE, 39 + f);
        }
        free(out);
    }
    ck_assert_double_gt(low / high, 169 / 2.0);
    ck_assert_double_lt(low / high, 169 * 2.0);
    ck_assert_double_gt(blue_high / blue_low, 1.6);
    brown.ops->destroy(brown.self);
    blue.ops->destroy(blue.self);
    free(grey);
}
END_TEST

static void add(TCase *t)
{
    tcase_add_test(t, as_python);
    tcase_add_test(t, as_reference);
    tcase_add_test(t, batches);
    tcase_add_test(t, spectra);
}

int main(void)
{
    return corruption_main("corruptions_c_bar", add);
}
