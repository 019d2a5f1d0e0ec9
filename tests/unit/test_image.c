/* SPDX-License-Identifier: MIT */
/* Decoding, resampling and writing against golden hashes made with Pillow
 * (tests/golden/image.py), and damaged input. */
#include "config.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "image/image.h"
#include "image/resample.h"

struct golden_file {
    const char *name;
    uint32_t width, height;
    const char *sha;
};
struct golden_resize {
    int filter;
    uint32_t width, height, to_width, to_height;
    const char *sha;
};
struct golden_jpeg {
    int quality;
    uint32_t width, height;
    const char *sha;
};

#include "golden/image.h"

#define COUNT(a) ((int)(sizeof(a) / sizeof *(a)))

/* The formula of image.py. */
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

static char *golden_path(const char *name)
{
    return xasprintf("%s/tests/golden/images/%s", SRCDIR, name);
}

static void same_pixels(const struct image *im, uint32_t w, uint32_t h,
                        const char *sha, const char *what)
{
    char hex[65];
    ck_assert_msg(im->width == w && im->height == h, "%s: %u x %u", what,
                  im->width, im->height);
    sha256_hex(im->rgb, (size_t)w * h * 3, hex);
    ck_assert_msg(!strcmp(hex, sha), "%s: pixels differ", what);
}

static void check_file(const struct golden_file *g, unsigned flags)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    struct image im;
    char *path = golden_path(g->name);
    ck_assert_msg(image_read(path, flags, &im, &e) >= 0, "%s", e.text);
    same_pixels(&im, g->width, g->height, g->sha, g->name);
    image_free(&im);
    free(path);
}

START_TEST(decode_as_pillow)
{
    check_file(&golden_decode[_i], IMAGE_KEEP_ORIENTATION);
}
END_TEST

/* Every upright pixel is the stored one that image_turned_from() names. */
START_TEST(turned_from)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    struct image up, as;
    unsigned o;
    uint32_t w, h;
    char *path = xasprintf(SRCDIR "/tests/golden/images/exif%d.jpg", _i);
    ck_assert_msg(image_read(path, 0, &up, &e) >= 0, "%s", e.text);
    ck_assert(image_read(path, IMAGE_KEEP_ORIENTATION, &as, &e) >= 0);
    ck_assert_msg(image_orientation(path, &o, &w, &h, &e) >= 0, "%s", e.text);
    ck_assert_uint_eq(o, (unsigned)_i);
    ck_assert(w == as.width && h == as.height);
    for (uint32_t y = 0; y < up.height; y++)
        for (uint32_t x = 0; x < up.width; x++) {
            uint32_t sx = x, sy = y;
            image_turned_from(o, w, h, &sx, &sy);
            ck_assert_mem_eq(up.rgb + 3 * ((size_t)y * up.width + x),
                             as.rgb + 3 * ((size_t)sy * w + sx), 3);
        }
    image_free(&up);
    image_free(&as);
    free(path);
}
END_TEST

START_TEST(orientation_as_pillow)
{
    check_file(&golden_upright[_i], 0);
}
END_TEST

START_TEST(resize_as_pillow)
{
    const struct golden_resize *g = &golden_resize[_i];
    struct mohs_error e = MOHS_ERROR_INIT;
    struct image in = formula(g->width, g->height), out;
    ck_assert_msg(image_resize(&in, g->to_width, g->to_height,
                               (enum image_filter)g->filter, &out, &e) >= 0,
                  "%s", e.text);
    char *what = xasprintf("filter %d, %u x %u to %u x %u", g->filter, g->width,
                           g->height, g->to_width, g->to_height);
    same_pixels(&out, g->to_width, g->to_height, g->sha, what);
    free(what);
    image_free(&in);
    image_free(&out);
}
END_TEST

START_TEST(jpeg_bytes_as_pillow)
{
    const struct golden_jpeg *g = &golden_jpeg[_i];
    struct mohs_error e = MOHS_ERROR_INIT;
    struct image im = formula(g->width, g->height);
    struct str s = { 0 };
    char hex[65];
    ck_assert_msg(image_encode_jpeg(&im, g->quality, &s, &e) >= 0, "%s", e.text);
    sha256_hex(s.s, s.n, hex);
    ck_assert_str_eq(hex, g->sha);
    str_free(&s);
    image_free(&im);
}
END_TEST

/* Every channel is resampled by itself: a grey plane gives the RGB result,
 * and a fourth channel does not disturb the others. */
START_TEST(channels_are_independent)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    struct image in = formula(45, 31), want;
    uint32_t w = 17, h = 40;
    size_t n = (size_t)in.width * in.height, m = (size_t)w * h;
    ck_assert(image_resize(&in, w, h, FILTER_BICUBIC, &want, &e) >= 0);
    for (uint32_t ch = 1; ch <= 4; ch++) {
        uint8_t *p = xcalloc(n, ch), *q = xcalloc(m, ch);
        for (size_t i = 0; i < n; i++)
            for (uint32_t c = 0; c < ch; c++)
                p[i * ch + c] = c < 3 ? in.rgb[3 * i + c] : (uint8_t)(i * 7);
        ck_assert(resample(p, in.width, in.height, ch, w, h, FILTER_BICUBIC, q,
                           &e) >= 0);
        for (size_t i = 0; i < m; i++)
            for (uint32_t c = 0; c < ch && c < 3; c++)
                ck_assert_uint_eq(q[i * ch + c], want.rgb[3 * i + c]);
        free(p);
        free(q);
    }
    image_free(&in);
    image_free(&want);
}
END_TEST

START_TEST(resize_refuses)
{
    static const uint32_t bad[][2] = { { 0, 5 }, { 5, 0 }, { 20000, 20000 },
                                       { UINT32_MAX, UINT32_MAX } };
    struct mohs_error e = MOHS_ERROR_INIT;
    struct image in = formula(4, 4), out;
    for (int i = 0; i < COUNT(bad); i++) {
        ck_assert(image_resize(&in, bad[i][0], bad[i][1], FILTER_BOX, &out, &e) <
                  0);
        ck_assert_ptr_null(out.rgb);
    }
    image_free(&in);
}
END_TEST

/* Cuts at every length: an error with the name in it, or (a picture whose
 * tail says nothing) all of the pixels; never anything in between. */
START_TEST(truncation)
{
    const struct golden_file *g = &golden_decode[_i];
    char *path = golden_path(g->name), *data;
    size_t n;
    ck_assert(file_read(path, 0, &data, &n, NULL) >= 0);
    for (size_t cut = 0; cut < n; cut += 1 + n / 97) {
        struct mohs_error e = MOHS_ERROR_INIT;
        struct image im;
        uint8_t *copy = xmalloc(cut + 1); // for ASan: the very end
        memcpy(copy, data, cut);
        mohs_status st = image_decode(copy, cut, g->name,
                                      IMAGE_KEEP_ORIENTATION, &im, &e);
        if (st >= 0) {
            ck_assert_msg(cut > n / 2, "%s cut to %zu", g->name, cut);
            same_pixels(&im, g->width, g->height, g->sha, g->name);
        } else {
            ck_assert_ptr_null(im.rgb);
            ck_assert_msg(strstr(e.text, g->name) != NULL, "%s", e.text);
        }
        image_free(&im);
        free(copy);
    }
    free(data);
    free(path);
}
END_TEST

START_TEST(bombs_are_refused)
{
    // PNG headers: above the limit; below it, but not in so few bytes.
    static const struct {
        uint8_t side[4], crc[4];
        const char *says;
    } bomb[] = {
        { { 0, 0, 0x80, 0 }, { 0x4b, 0x1e, 0x34, 0x28 }, "exceeds the limit" },
        { { 0, 0, 0x2e, 0xe0 }, { 0xde, 0x27, 0x1b, 0xa6 }, "cannot hold" },
    };
    uint8_t head[] = {
        0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n', 0, 0, 0, 13, 'I', 'H', 'D',
        'R', 0, 0, 0, 0, 0, 0, 0, 0, 8, 2, 0, 0, 0, 0, 0, 0, 0,
        0, 0, 0, 2, 'I', 'D', 'A', 'T', 0x78, 0x9c,
    };
    struct mohs_error e = MOHS_ERROR_INIT;
    struct image im;
    for (int i = 0; i < COUNT(bomb); i++) {
        memcpy(head + 16, bomb[i].side, 4);
        memcpy(head + 20, bomb[i].side, 4);
        memcpy(head + 29, bomb[i].crc, 4);
        ck_assert(image_decode(head, sizeof head, "bomb.png", 0, &im, &e) < 0);
        ck_assert_ptr_null(im.rgb);
        ck_assert_msg(strstr(e.text, bomb[i].says) != NULL, "%s", e.text);
    }
    static const char text[] = "GIF89a is not read";
    ck_assert_int_eq(image_decode(text, sizeof text, "a.gif", 0, &im, &e),
                     MOHS_E_FORMAT);
    ck_assert_msg(strstr(e.text, "a.gif") != NULL, "%s", e.text);
    ck_assert_int_eq(image_decode("", 0, "empty", 0, &im, &e), MOHS_E_FORMAT);
    ck_assert_int_eq(image_read("/nonexistent/x.png", 0, &im, &e), MOHS_E_IO);
}
END_TEST

START_TEST(png_round_trip)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    struct image im = formula(61, 47), back;
    struct str a = { 0 }, b = { 0 };
    ck_assert(image_encode_png(&im, &a, &e) >= 0);
    ck_assert(image_encode_png(&im, &b, &e) >= 0);
    ck_assert_uint_eq(a.n, b.n);
    ck_assert_mem_eq(a.s, b.s, a.n);
    for (int level = 0; level <= 9; level++) {
        str_free(&b);
        ck_assert(image_encode_png_level(&im, level, &b, &e) >= 0);
        ck_assert(image_decode(b.s, b.n, "x", 0, &back, &e) >= 0);
        ck_assert_mem_eq(back.rgb, im.rgb, 61 * 47 * 3);
        image_free(&back);
    }
    ck_assert(image_encode_png_level(&im, 10, &b, &e) == MOHS_E_ARG);
    str_free(&a);
    str_free(&b);
    image_free(&im);
}
END_TEST

START_TEST(png_file)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    char dir[] = "/tmp/mohs-image-XXXXXX";
    ck_assert_ptr_nonnull(mkdtemp(dir));
    char *path = path_join(dir, "a.png"), *none = path_join(dir, "no/a.png");
    struct image im = formula(9, 5), back;
    ck_assert_msg(image_write_png(path, &im, &e) >= 0, "%s", e.text);
    ck_assert(image_read(path, 0, &back, &e) >= 0);
    ck_assert_mem_eq(back.rgb, im.rgb, 9 * 5 * 3);
    ck_assert_int_eq(image_write_png(none, &im, &e), MOHS_E_IO);
    unlink(path);
    rmdir(dir);
    free(path);
    free(none);
    image_free(&im);
    image_free(&back);
}
END_TEST

START_TEST(png16_round_trip)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    uint16_t v[6 * 5], *back = NULL;
    uint32_t w = 0, h = 0;
    struct str s = { 0 };
    for (int i = 0; i < 30; i++)
        v[i] = (uint16_t)(i * 2251 + 17);
    ck_assert(image_encode_png16(v, 6, 5, &s, &e) >= 0);
    ck_assert(image_decode_png16(s.s, s.n, "d", &w, &h, &back, &e) >= 0);
    ck_assert(w == 6 && h == 5);
    ck_assert_mem_eq(back, v, sizeof v);
    free(back);
    for (size_t cut = 0; cut + 12 < s.n; cut++) {
        ck_assert(image_decode_png16(s.s, cut, "d", &w, &h, &back, &e) < 0);
        ck_assert_ptr_null(back);
    }
    s.n = 0;
    struct image im = formula(6, 5);
    ck_assert(image_encode_png(&im, &s, &e) >= 0);
    ck_assert_int_eq(image_decode_png16(s.s, s.n, "rgb.png", &w, &h, &back, &e),
                     MOHS_E_FORMAT);
    ck_assert_msg(strstr(e.text, "rgb.png") != NULL, "%s", e.text);
    image_free(&im);
    str_free(&s);
}
END_TEST

START_TEST(jpeg_quality_range)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    struct image im = formula(8, 8);
    struct str s = { 0 };
    ck_assert_int_eq(image_encode_jpeg(&im, 0, &s, &e), MOHS_E_ARG);
    ck_assert_int_eq(image_encode_jpeg(&im, 101, &s, &e), MOHS_E_ARG);
    ck_assert_uint_eq(s.n, 0);
    image_free(&im);
    str_free(&s);
}
END_TEST

/* Against reading pixel by pixel, with windows inside, over and beyond. */
START_TEST(crop_windows)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    struct image im = formula(7, 5), out;
    for (int32_t x = -9; x < 9; x++)
        for (int32_t y = -7; y < 7; y++) {
            ck_assert(image_crop(&im, x, y, 4, 8, &out, &e) >= 0);
            for (int32_t j = 0; j < 8; j++)
                for (int32_t i = 0; i < 4; i++)
                    for (int c = 0; c < 3; c++) {
                        int32_t sx = x + i, sy = y + j;
                        bool in = sx >= 0 && sy >= 0 && sx < 7 && sy < 5;
                        int want = in ? im.rgb[(sy * 7 + sx) * 3 + c] : 0;
                        ck_assert_int_eq(out.rgb[(j * 4 + i) * 3 + c], want);
                    }
            image_free(&out);
        }
    ck_assert(image_crop(&im, 0, 0, 0, 3, &out, &e) < 0);
    image_free(&im);
}
END_TEST

START_TEST(flip_rows)
{
    for (uint32_t w = 1; w < 5; w++) {
        struct image im = formula(w, 3), was = formula(w, 3);
        image_flip(&im);
        for (uint32_t y = 0; y < 3; y++)
            for (uint32_t x = 0; x < w; x++)
                ck_assert_mem_eq(im.rgb + (y * w + x) * 3,
                                 was.rgb + (y * w + w - 1 - x) * 3, 3);
        image_free(&im);
        image_free(&was);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("image");
    TCase *t = tcase_create("golden");
    tcase_add_loop_test(t, decode_as_pillow, 0, COUNT(golden_decode));
    tcase_add_loop_test(t, turned_from, 1, 9);
    tcase_add_loop_test(t, orientation_as_pillow, 0, COUNT(golden_upright));
    tcase_add_loop_test(t, resize_as_pillow, 0, COUNT(golden_resize));
    tcase_add_loop_test(t, jpeg_bytes_as_pillow, 0, COUNT(golden_jpeg));
    suite_add_tcase(s, t);
    t = tcase_create("damage");
    tcase_add_loop_test(t, truncation, 0, COUNT(golden_decode));
    tcase_add_test(t, bombs_are_refused);
    tcase_add_test(t, resize_refuses);
    tcase_add_test(t, jpeg_quality_range);
    suite_add_tcase(s, t);
    t = tcase_create("rest");
    tcase_add_test(t, channels_are_independent);
    tcase_add_test(t, png_round_trip);
    tcase_add_test(t, png_file);
    tcase_add_test(t, png16_round_trip);
    tcase_add_test(t, crop_windows);
    tcase_add_test(t, flip_rows);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
