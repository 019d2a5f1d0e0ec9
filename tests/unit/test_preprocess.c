/* SPDX-License-Identifier: MIT */
/* Preprocessing against the image processors of transformers (golden hashes
 * of tests/golden/preprocess.py), defaults and refusals. */
#include "config.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/model.h"

struct golden_config {
    const char *json;
    uint32_t side;
};
struct golden_pixels {
    int config;
    const char *picture; /* WxH of the formula, or a file */
    double middle[3];    /* normalised */
    const char *sha;
};

#include "golden/preprocess.h"

struct golden_profile {
    char where; /* 'p': preprocessor_config.json, 'm': the model's */
    const char *json;
    uint32_t height, width, sums[50]; /* first bytes of a SHA-256 */
};

#include "golden/preprocess_profiles.h"

#define COUNT(a) ((int)(sizeof(a) / sizeof *(a)))

static struct image formula(uint32_t w, uint32_t h)
{
    struct image im = { w, h, xmalloc((size_t)w * h * 3) };
    for (uint32_t y = 0; y < h; y++)
        for (uint32_t x = 0; x < w; x++)
            for (uint32_t c = 0; c < 3; c++)
                im.rgb[((size_t)y * w + x) * 3 + c] =
                    (uint8_t)(x * (c + 2) + y * (5 - c) +
                              ((x / 8) ^ (y / 4)) * 24 + x * y / 16);
    return im;
}

static mohs_status from(const char *json, uint32_t side, struct preprocess *p,
                        struct mohs_error *e)
{
    struct mohs_weights *w = NULL;
    struct mohs_model_info info = { .image_height = side, .image_width = side };
    mohs_status st = weights_new("{}", NULL, json, &w, e);
    if (st >= 0)
        st = preprocess_from(w, &info, p, e);
    weights_close(w);
    return st;
}

static mohs_status from_open_clip(const char *cfg, struct preprocess *p,
                                  struct mohs_error *e)
{
    struct mohs_weights *w = NULL;
    struct mohs_model_info info = { .image_height = 8, .image_width = 8 };
    char *config = xasprintf("{\"preprocess_cfg\": %s}", cfg);
    mohs_status st = weights_new(config, NULL, NULL, &w, e);
    if (st >= 0)
        st = preprocess_from(w, &info, p, e);
    weights_close(w);
    free(config);
    return st;
}

START_TEST(open_clip)
{
    static const struct {
        const char *cfg, *text;
    } wrong[] = {
        { "{\"interpolation\": \"cubic\"}", "interpolation" },
        { "{\"interpolation\": 3}", "interpolation" },
        { "{\"resize_mode\": \"fit\"}", "resize_mode" },
        { "{\"resize_mode\": \"longest\", \"fill_color\": 256}", "fill_color" },
        { "{\"std\": [1, 0, 1]}", "std" },
        { "{\"mean\": [1, 0]}", "mean" },
    };
    struct mohs_error e = MOHS_ERROR_INIT;
    struct preprocess p;
    ck_assert_msg(from_open_clip("{\"size\": 8, \"mode\": \"RGB\", \"mean\": "
                                 "[0.5, 0.25, 0.75], \"std\": [1, 2, 4], "
                                 "\"resize_mode\": \"squash\", "
                                 "\"interpolation\": \"bilinear\"}", &p, &e) >= 0,
                  "%s", e.text);
    ck_assert_uint_eq(p.resize_height, 8);
    ck_assert(!p.center_crop && !p.resize_shortest);
    ck_assert_int_eq(p.filter, FILTER_BILINEAR);
    ck_assert_float_eq(p.mean[1], 0.25f);
    ck_assert_float_eq(p.std[2], 4);
    ck_assert_int_ge(from_open_clip("{}", &p, &e), 0);
    ck_assert_uint_eq(p.resize_shortest, 8);
    ck_assert(p.center_crop);
    ck_assert_int_eq(p.filter, FILTER_BICUBIC);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        ck_assert_int_eq(from_open_clip(wrong[i].cfg, &p, &e), MOHS_E_FORMAT);
        ck_assert_msg(strstr(e.text, wrong[i].text) != NULL, "%s", e.text);
    }
}
END_TEST

static struct image picture(const char *name)
{
    struct image im = { 0 };
    struct mohs_error e = MOHS_ERROR_INIT;
    unsigned w, h;
    if (sscanf(name, "%ux%u", &w, &h) == 2)
        return formula(w, h);
    char *path = xasprintf("%s/tests/golden/images/%s", SRCDIR, name);
    ck_assert_msg(image_read(path, IMAGE_KEEP_ORIENTATION, &im, &e) >= 0, "%s",
                  e.text);
    free(path);
    return im;
}

START_TEST(as_transformers)
{
    const struct golden_pixels *g = &golden_pixels[_i];
    const struct golden_config *c = &golden_config[g->config];
    struct mohs_error e = MOHS_ERROR_INIT;
    struct preprocess p;
    struct image in = picture(g->picture), out;
    char hex[65];
    ck_assert_msg(from(c->json, c->side, &p, &e) >= 0, "%s", e.text);
    ck_assert_msg(preprocess_pixels(&p, &in, &out, &e) >= 0, "%s", e.text);
    ck_assert(out.width == c->side && out.height == c->side);
    sha256_hex(out.rgb, (size_t)c->side * c->side * 3, hex);
    ck_assert_msg(!strcmp(hex, g->sha), "%s of %s differs", g->picture, c->json);
    // The reference works in float32: relative error of a few 2^-24.
    const uint8_t *mid = out.rgb + ((size_t)(c->side / 2) * c->side + c->side / 2) * 3;
    for (int k = 0; k < 3; k++) {
        double v = (mid[k] / 255.0 - p.mean[k]) / p.std[k];
        ck_assert_double_eq_tol(v, g->middle[k], 1e-5 * (1 + fabs(v)));
    }
    image_free(&in);
    image_free(&out);
}
END_TEST

/* 50 pictures of odd sizes through every published way. */
START_TEST(profiles)
{
    const struct golden_profile *g = &golden_profiles[_i];
    struct mohs_error e = MOHS_ERROR_INIT;
    struct mohs_weights *w = NULL;
    struct mohs_model_info info = { .image_height = g->height,
                                    .image_width = g->width };
    struct preprocess p;
    int bad = 0;
    bool model = g->where == 'm';
    ck_assert_msg(weights_new(model ? g->json : "{}", NULL, model ? NULL : g->json,
                              &w, &e) >= 0 &&
                      preprocess_from(w, &info, &p, &e) >= 0, "%s", e.text);
    weights_close(w);
    for (int i = 0; i < 50; i++) {
        struct image in = formula(profile_sizes[i][0], profile_sizes[i][1]), out;
        char hex[65];
        mohs_status st = preprocess_pixels(&p, &in, &out, &e);
        if (st >= 0)
            sha256_hex(out.rgb, (size_t)out.height * out.width * 3, hex);
        hex[8] = 0;
        bad += st < 0 ? g->sums[i] != 0
                      : strtoul(hex, NULL, 16) != g->sums[i];
        image_free(&in);
        image_free(&out);
    }
    ck_assert_msg(!bad, "%d of 50 pictures differ: %s", bad, g->json);
}
END_TEST

START_TEST(defaults_are_clips)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    struct preprocess p, q;
    ck_assert(from(NULL, 224, &p, &e) >= 0);
    ck_assert_str_eq(p.profile, "pil");
    ck_assert(p.height == 224 && p.width == 224 && p.resize_shortest == 224);
    ck_assert(p.filter == FILTER_BICUBIC && p.center_crop);
    ck_assert_float_eq(p.mean[0], 0.48145466f);
    ck_assert_float_eq(p.std[2], 0.27577711f);
    ck_assert(from("{}", 224, &q, &e) >= 0);
    struct hash128 a = preprocess_hash(&p), b = preprocess_hash(&q);
    ck_assert(a.hi == b.hi && a.lo == b.lo);
    ck_assert(from("{\"size\": 224, \"crop_size\": 224}", 224, &q, &e) >= 0);
    b = preprocess_hash(&q);
    ck_assert(a.hi == b.hi && a.lo == b.lo);
}
END_TEST

/* What the plugin says of its family holds where the file, preprocessor and
 * configuration, is silent. */
START_TEST(family)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    struct mohs_weights *w = NULL;
    struct preprocess p;
    struct mohs_model_info info = {
        .size = sizeof info, .image_height = 48, .image_width = 48,
        .preprocessor = "{\"crop_mode\": \"center\", \"crop_pct\": 0.75, "
                        "\"interpolation\": \"bilinear\"}",
    };
    static const struct {
        const char *config, *preprocessor;
        enum image_filter filter;
        uint32_t shortest;
        bool assumed;
    } c[] = {
        { "{}", NULL, FILTER_BILINEAR, 64, true },
        { "{\"vision_cfg\": {}}", NULL, FILTER_BILINEAR, 64, true },
        { "{\"preprocess_cfg\": {\"interpolation\": \"bicubic\"}}", NULL,
          FILTER_BICUBIC, 48, false },
        { "{\"pretrained_cfg\": {\"crop_pct\": 0.5}}", NULL, FILTER_BICUBIC,
          96, false },
        { "{}", "{}", FILTER_BICUBIC, 48, false },
    };
    for (int i = 0; i < COUNT(c); i++) {
        ck_assert(weights_new(c[i].config, NULL, c[i].preprocessor, &w, &e) >= 0);
        ck_assert_msg(preprocess_from(w, &info, &p, &e) >= 0, "%d: %s", i, e.text);
        ck_assert_msg(p.filter == c[i].filter && p.assumed == c[i].assumed &&
                          p.resize_shortest == c[i].shortest,
                      "%d: filter %d, %u, %d", i, (int)p.filter,
                      p.resize_shortest, p.assumed);
        weights_close(w);
    }
    ck_assert(weights_new("{}", NULL, NULL, &w, &e) >= 0);
    info.preprocessor = "[]";
    ck_assert_int_eq(preprocess_from(w, &info, &p, &e), MOHS_E_FORMAT);
    info.size = offsetof(struct mohs_model_info, preprocessor); // an older plugin
    ck_assert(preprocess_from(w, &info, &p, &e) >= 0);
    ck_assert_uint_eq(p.resize_shortest, 48);
    weights_close(w);
}
END_TEST

START_TEST(hash_sees_everything)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    struct preprocess p;
    ck_assert(from(NULL, 64, &p, &e) >= 0);
    struct hash128 h[9] = { preprocess_hash(&p) };
    for (int i = 1; i < 9; i++) {
        struct preprocess q = p;
        q.width += i == 1;
        q.height += i == 2;
        q.resize_shortest += i == 3;
        q.filter = i == 4 ? FILTER_BOX : q.filter;
        q.center_crop ^= i == 5;
        q.mean[2] += i == 6 ? 0.01f : 0;
        q.std[1] += i == 7 ? 0.01f : 0;
        q.resize_width += i == 8;
        h[i] = preprocess_hash(&q);
        for (int k = 0; k < i; k++)
            ck_assert(h[i].lo != h[k].lo || h[i].hi != h[k].hi);
    }
}
END_TEST

/* The field and its value are in the message. */
static const struct {
    const char *json, *says;
} refused[] = {
    { "[]", "preprocessor" },
    { "{\"size\": }", "preprocessor" },
    { "{\"size\": 0}", "size is 0" },
    { "{\"size\": -5}", "size is -5" },
    { "{\"size\": \"big\"}", "size is \"big\"" },
    { "{\"size\": {\"height\": 3}}", "size is {\"height\":3}" },
    { "{\"size\": {\"longest_edge\": 32}}", "size is" },
    { "{\"size\": {\"shortest_edge\": 32, \"longest_edge\": 64}}", "size is" },
    { "{\"size\": {\"shortest_edge\": 1e9}}", "size is" },
    { "{\"crop_size\": {\"height\": 32}}", "crop_size is" },
    { "{\"crop_size\": 33}", "makes 33 x 33, the model takes 32 x 32" },
    { "{\"do_center_crop\": 1}", "do_center_crop is 1" },
    { "{\"do_resize\": \"yes\"}", "do_resize is \"yes\"" },
    { "{\"resample\": 6}", "resample is 6" },
    { "{\"resample\": \"bicubic\"}", "resample is" },
    { "{\"image_mean\": [1, 2]}", "image_mean is [1,2]" },
    { "{\"image_mean\": [1, 2, null]}", "image_mean" },
    { "{\"image_std\": [1, 0, 1]}", "image_std is [1,0,1]" },
    { "{\"image_std\": [1e300, 1, 1]}", "image_std" },
    { "{\"rescale_factor\": 0}", "rescale_factor is 0" },
    { "{\"rescale_factor\": \"x\"}", "rescale_factor" },
    { "{\"size\": 32, \"size\": 64}", "preprocessor" },
};

START_TEST(refuses)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    struct preprocess p;
    ck_assert_int_eq(from(refused[_i].json, 32, &p, &e), MOHS_E_FORMAT);
    ck_assert_msg(strstr(e.text, refused[_i].says) != NULL, "%s: %s",
                  refused[_i].json, e.text);
}
END_TEST

/* Without a crop the picture must fit by itself. */
START_TEST(uncropped)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    struct preprocess p;
    struct image in = formula(50, 50), tall = formula(50, 60), out;
    ck_assert(from("{\"size\": 32, \"do_center_crop\": false}", 32, &p, &e) >= 0);
    ck_assert(preprocess_pixels(&p, &in, &out, &e) >= 0);
    image_free(&out);
    ck_assert_int_eq(preprocess_pixels(&p, &tall, &out, &e), MOHS_E_ARG);
    ck_assert_ptr_null(out.rgb);
    ck_assert_msg(strstr(e.text, "50 x 60 becomes 32 x 38") != NULL, "%s", e.text);
    image_free(&in);
    image_free(&tall);
}
END_TEST

/* One row of a thousand pixels would become enormous: an error, no crash. */
START_TEST(extreme_shapes)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    struct preprocess p;
    struct image in = formula(1, 60000), out;
    ck_assert(from(NULL, 224, &p, &e) >= 0);
    mohs_status st = preprocess_pixels(&p, &in, &out, &e);
    ck_assert_msg(st < 0 && e.text[0], "%d", st);
    image_free(&in);
}
END_TEST

/* A depth map over the picture: its pixels are where Pillow's nearest
 * neighbours are, cropped alike. */
static const struct {
    uint32_t shortest, fixed_w, fixed_h, side, w, h;
} windows[] = {
    { 24, 0, 0, 24, 37, 61 }, { 24, 0, 0, 20, 90, 41 }, { 0, 30, 26, 20, 37, 61 },
    { 0, 24, 24, 24, 9, 13 }, { 0, 0, 0, 24, 31, 40 },
};

START_TEST(window_is_the_pictures)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    struct preprocess p;
    struct image in = formula(windows[_i].w, windows[_i].h), out;
    uint32_t w, h;
    int32_t x0, y0;
    ck_assert(from(NULL, windows[_i].side, &p, &e) >= 0);
    p.filter = FILTER_NEAREST;
    p.resize_shortest = windows[_i].shortest;
    p.resize_width = windows[_i].fixed_w;
    p.resize_height = windows[_i].fixed_h;
    ck_assert_msg(preprocess_pixels(&p, &in, &out, &e) >= 0, "%s", e.text);
    preprocess_window(&p, in.width, in.height, &w, &h, &x0, &y0);
    for (uint32_t y = 0; y < p.height; y++)
        for (uint32_t x = 0; x < p.width; x++) {
            uint32_t cx = (2 * (x + (uint32_t)x0) + 1) * in.width / (2 * w);
            uint32_t cy = (2 * (y + (uint32_t)y0) + 1) * in.height / (2 * h);
            ck_assert_mem_eq(out.rgb + 3 * (y * p.width + x),
                             in.rgb + 3 * (cy * in.width + cx), 3);
        }
    image_free(&in);
    image_free(&out);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("preprocess");
    TCase *t = tcase_create("preprocess");
    tcase_add_test(t, open_clip);
    tcase_add_loop_test(t, as_transformers, 0, COUNT(golden_pixels));
    tcase_add_loop_test(t, profiles, 0, COUNT(golden_profiles));
    tcase_add_test(t, defaults_are_clips);
    tcase_add_test(t, family);
    tcase_add_test(t, hash_sees_everything);
    tcase_add_loop_test(t, refuses, 0, COUNT(refused));
    tcase_add_test(t, uncropped);
    tcase_add_test(t, extreme_shapes);
    tcase_add_loop_test(t, window_is_the_pictures, 0, COUNT(windows));
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
