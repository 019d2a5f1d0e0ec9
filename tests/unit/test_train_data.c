/* SPDX-License-Identifier: MIT */
/*
 * What a training step is fed: pictures in memory or decoded on demand,
 * captions per image, crops and mirror images, batches by the seed, and the
 * thread that makes them ahead. No device.
 */
#include "config.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "train/augment.h"
#include "train/batch.h"
#include "unit/train_tiny.h"

static struct tiny t;
static struct tokenizer *tok;
static struct preprocess pre;
static struct captions caps;
static struct pictures *pics;
static struct pool *pool;
static struct loader loader;
static struct mohs_error err = MOHS_ERROR_INIT;

#define OK(expr) ck_assert_msg((expr) >= 0, "%s", err.text)

static void setup(void)
{
    struct mohs_model_info info = { .size = sizeof info, .image_height = TINY_SIZE,
                                    .image_width = TINY_SIZE };
    struct mohs_weights *w;
    tiny_make(&t);
    t.o.seed = 9;
    OK(weights_new(t.o.config, t.tokenizer, t.o.preprocessor, &w, &err));
    OK(preprocess_from(w, &info, &pre, &err));
    weights_close(w);
    OK(tokenizer_parse(t.tokenizer, strlen(t.tokenizer), "tiny", &tok, &err));
    pool = pool_new(2);
    OK(captions_new(t.data, TINY_IMAGES, true, tok, TINY_CONTEXT, pool, &caps, &err));
    OK(pictures_new(t.data, TINY_IMAGES, &pre, 1 << 20, pool, &pics, &err));
    OK(loader_init(&loader, &t.o, &pre, pics, &caps, caps.longest, pool, &err));
}

static void teardown(void)
{
    loader_free(&loader);
    captions_free(&caps);
    pictures_free(pics);
    pool_free(pool);
    tokenizer_free(tok);
    tiny_remove(&t);
}

/* ---- pictures and captions ---- */

START_TEST(on_demand_is_the_same)
{
    struct pictures *lazy;
    uint8_t a[TINY_SIZE * TINY_SIZE * 3], b[sizeof a];
    OK(pictures_new(t.data, TINY_IMAGES, &pre, TINY_IMAGES * sizeof a - 1, pool, &lazy,
                    &err));
    ck_assert(pictures_in_memory(pics) && !pictures_in_memory(lazy));
    for (size_t i = 0; i < TINY_IMAGES; i++) {
        OK(pictures_get(pics, i, a, &err));
        OK(pictures_get(lazy, i, b, &err));
        ck_assert_mem_eq(a, b, sizeof a);
    }
    pictures_free(lazy);
}
END_TEST

START_TEST(planes_of_bytes)
{
    const uint8_t rgb[] = { 0, 51, 255, 102, 153, 204 };
    const float want[] = { 0, 0.4f, 0.2f, 0.6f, 1, 0.8f };
    float out[6];
    planes(rgb, 2, out);
    for (int i = 0; i < 6; i++)
        ck_assert_float_eq(out[i], want[i]);
}
END_TEST

START_TEST(captions_by_image)
{
    uint32_t longest = 0;
    for (uint32_t i = 0; i < TINY_IMAGES; i++) {
        ck_assert_uint_eq(caps.first[i + 1] - caps.first[i], TINY_CAPTIONS);
        for (uint32_t k = caps.first[i]; k < caps.first[i + 1]; k++) {
            const struct data_text *x = &t.data->text[caps.text[k]];
            const int32_t *ids = caps.ids + (size_t)caps.text[k] * TINY_CONTEXT;
            uint32_t n = (uint32_t)(strlen(x->text) + 1) / 2;
            ck_assert_uint_eq(x->image, i);
            ck_assert_int_eq(ids[0], TINY_VOCAB - 2);
            for (uint32_t j = 0; j < n; j++)
                ck_assert_int_eq(ids[1 + j], 256 + x->text[2 * j] - 33);
            ck_assert_int_eq(ids[1 + n], TINY_VOCAB - 1);
            ck_assert_int_eq(caps.last[caps.text[k]], (int32_t)n + 1);
            longest = n + 2 > longest ? n + 2 : longest;
        }
    }
    ck_assert_uint_eq(caps.longest, longest);
    ck_assert_uint_lt(longest, TINY_CONTEXT);
}
END_TEST

START_TEST(every_image_needs_a_caption)
{
    struct captions c;
    for (size_t k = 0; k < t.data->n_texts; k++)
        if (t.data->text[k].image == 7)
            t.data->text[k].image = UINT32_MAX; // a class prompt
    ck_assert_int_eq(captions_new(t.data, TINY_IMAGES, true, tok, TINY_CONTEXT, pool, &c, &err),
                     MOHS_E_ARG);
    ck_assert_str_eq(err.text, "tiny: image 7.png has no caption");
    captions_free(&c);
    OK(captions_new(t.data, 7, true, tok, TINY_CONTEXT, pool, &c, &err)); // without it
    captions_free(&c);
}
END_TEST

START_TEST(missing_picture)
{
    struct pictures *p;
    struct batch b = { 0 };
    unlink(t.data->image[3].path);
    ck_assert_int_eq(pictures_new(t.data, TINY_IMAGES, &pre, 1 << 20, pool, &p, &err),
                     MOHS_E_IO);
    ck_assert_ptr_nonnull(strstr(err.text, "3.png"));
    pictures_free(p);
    // the same while feeding
    OK(pictures_new(t.data, TINY_IMAGES, &pre, 0, pool, &p, &err));
    loader.pictures = p;
    struct feeder *f;
    const struct batch *got;
    mohs_status st = MOHS_OK;
    OK(feeder_new(&loader, 0, &f, &err));
    uint32_t good = 0;
    while (good < 3 && (st = feeder_next(f, &got, &err)) >= 0)
        good++;
    ck_assert_int_eq(st, MOHS_E_IO); // one of the epoch's three batches has it
    ck_assert_ptr_nonnull(strstr(err.text, "3.png"));
    // those before it came through
    OK(batch_alloc(&b, TINY_BATCH, &pre, loader.context, &err));
    feeder_free(f);
    for (uint32_t s = 0; s < good; s++)
        OK(loader_fill(&loader, s, &b, &err));
    ck_assert_int_lt(loader_fill(&loader, good, &b, &err), 0);
    batch_free(&b);
    pictures_free(p);
}
END_TEST

/* ---- augmentation ---- */

START_TEST(sides)
{
    static const struct {
        const char *text;
        bool sided;
    } cases[] = {
        { "a cat left of a dog", true }, { "Right of the boat, a tree", true },
        { "the leftmost star", true },   { "a right-hand glove", true },
        { "a bright copyright sign", false }, { "a cleft", false },
        { "nothing here", false },       { "", false },
        { "(left)", true },              { "top\tleft", true },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        ck_assert_msg(says_side(cases[i].text) == cases[i].sided, "'%s'", cases[i].text);
}
END_TEST

static struct image ramp(uint32_t w, uint32_t h)
{
    struct image im = { w, h, xmalloc((size_t)w * h * 3) };
    for (uint32_t i = 0; i < w * h; i++) {
        im.rgb[3 * i] = (uint8_t)(i % w * 255 / (w - 1));
        im.rgb[3 * i + 1] = (uint8_t)(i / w * 255 / (h - 1));
        im.rgb[3 * i + 2] = 90;
    }
    return im;
}

/* What is left of the ramps after a crop says how large the window was. */
START_TEST(crops)
{
    double least = 1, mean = 0;
    enum { DRAWS = 400 };
    for (uint32_t d = 0; d < DRAWS; d++) {
        struct image im = ramp(40, 24);
        OK(augment(&im, 0.25f, false, 3, 77, d, &err));
        const uint8_t *last = im.rgb + (size_t)3 * (40 * 24 - 1);
        double w = (last[0] - im.rgb[0]) / 255.0, h = (last[1] - im.rgb[1]) / 255.0;
        ck_assert_double_eq_tol(w, h, 0.1); // keeps the shape
        ck_assert_int_eq(im.rgb[2], 90);
        least = fmin(least, w * h);
        mean += w * h / DRAWS;
        image_free(&im);
    }
    // areas are uniform in 0.25 .. 1; the ramp's ends lose a little
    ck_assert_double_eq_tol(mean, 0.625, 0.06);
    ck_assert_double_eq_tol(least, 0.25, 0.06);
}
END_TEST

START_TEST(mirrors)
{
    uint32_t flipped = 0;
    for (uint32_t d = 0; d < 400; d++) {
        struct image im = ramp(16, 16), still = ramp(16, 16);
        OK(augment(&im, 1, true, 3, 5, d, &err));
        OK(augment(&still, 1, false, 3, 5, d, &err));
        ck_assert_uint_eq(still.rgb[0], 0);
        flipped += im.rgb[0] == 255;
        image_free(&im);
        image_free(&still);
    }
    ck_assert(flipped > 150 && flipped < 250); // 5 sigma around 200
}
END_TEST

START_TEST(same_draw_same_bytes)
{
    struct image a = ramp(20, 30), b = ramp(20, 30), c = ramp(20, 30);
    size_t n = 20 * 30 * 3;
    OK(augment(&a, 0.3f, true, 4, 5, 6, &err));
    OK(augment(&b, 0.3f, true, 4, 5, 6, &err));
    OK(augment(&c, 0.3f, true, 4, 5, 7, &err));
    ck_assert_mem_eq(a.rgb, b.rgb, n);
    ck_assert(memcmp(a.rgb, c.rgb, n) != 0);
    image_free(&a);
    image_free(&b);
    image_free(&c);
}
END_TEST

/* ---- batches ---- */

/* Every image once an epoch, in another order the next time, with captions of
 * its own, all of them in the long run. */
START_TEST(epochs)
{
    struct batch b = { 0 };
    uint32_t seen[TINY_IMAGES] = { 0 }, first[2] = { 0 };
    bool used[TINY_IMAGES * TINY_CAPTIONS] = { false };
    OK(batch_alloc(&b, TINY_BATCH, &pre, loader.context, &err));
    for (uint32_t s = 0; s < 3 * 40; s++) {
        OK(loader_fill(&loader, s, &b, &err));
        for (uint32_t i = 0; i < TINY_BATCH; i++) {
            uint32_t item = (uint32_t)b.key[i] - 100, found = 0;
            seen[item]++;
            first[s / 3 % 2] = first[s / 3 % 2] * 31 + item;
            for (uint32_t k = caps.first[item]; k < caps.first[item + 1]; k++) {
                uint32_t x = caps.text[k];
                if (memcmp(caps.ids + (size_t)x * TINY_CONTEXT,
                           b.tokens + (size_t)i * loader.context,
                           loader.context * sizeof *b.tokens))
                    continue;
                used[x] = true;
                found++;
            }
            ck_assert_uint_gt(found, 0);
            for (uint32_t k = 0; k < loader.context; k++)
                ck_assert_int_eq(b.mask[i * loader.context + k], (int32_t)k <= b.last[i]);
        }
        for (uint32_t i = 0; s % 3 == 2 && i < TINY_IMAGES; i++)
            ck_assert_uint_eq(seen[i], s / 3 + 1);
        if (s == 5)
            ck_assert_uint_ne(first[0], first[1]);
    }
    for (uint32_t k = 0; k < TINY_IMAGES * TINY_CAPTIONS; k++)
        ck_assert(used[k]);
    batch_free(&b);
}
END_TEST

static void same_batch(const struct batch *a, const struct batch *b)
{
    size_t px = (size_t)TINY_BATCH * 3 * TINY_SIZE * TINY_SIZE * sizeof(float);
    size_t tk = TINY_BATCH * loader.context * sizeof(int32_t);
    ck_assert_mem_eq(a->pixels, b->pixels, px);
    ck_assert_mem_eq(a->tokens, b->tokens, tk);
    ck_assert_mem_eq(a->mask, b->mask, tk);
    ck_assert_mem_eq(a->last, b->last, TINY_BATCH * sizeof(int32_t));
    ck_assert_mem_eq(a->key, b->key, TINY_BATCH * sizeof(uint64_t));
}

/* A batch is a function of the step: made ahead, from the middle, by one
 * thread. */
START_TEST(feeding)
{
    struct batch b = { 0 };
    struct loader other;
    struct pool *one = pool_new(1);
    struct feeder *f;
    t.o.crop_min = 0.4f;
    t.o.flip = true;
    t.o.steps = 20;
    OK(loader_init(&other, &t.o, &pre, pics, &caps, loader.context, one, &err));
    OK(batch_alloc(&b, TINY_BATCH, &pre, loader.context, &err));
    for (uint32_t from = 0; from < 20; from += 13) {
        OK(feeder_new(&loader, from, &f, &err));
        for (uint32_t s = from; s < 20; s++) {
            const struct batch *got;
            OK(feeder_next(f, &got, &err));
            OK(loader_fill(&other, s, &b, &err));
            same_batch(got, &b);
        }
        feeder_free(f);
    }
    OK(feeder_new(&loader, 0, &f, &err)); // stopped while it works
    feeder_free(f);
    batch_free(&b);
    loader_free(&other);
    pool_free(one);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("train_data");
    TCase *c = tcase_create("data");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, on_demand_is_the_same);
    tcase_add_test(c, planes_of_bytes);
    tcase_add_test(c, captions_by_image);
    tcase_add_test(c, every_image_needs_a_caption);
    tcase_add_test(c, missing_picture);
    tcase_add_test(c, sides);
    tcase_add_test(c, crops);
    tcase_add_test(c, mirrors);
    tcase_add_test(c, same_draw_same_bytes);
    tcase_add_test(c, epochs);
    tcase_add_test(c, feeding);
    tcase_set_timeout(c, 120);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
