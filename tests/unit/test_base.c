/* SPDX-License-Identifier: MIT */
/* The ground floor: errors, strings, hashes, files, Philox, threads. */
#include "config.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <mohs/rng.h>

#include "base/base.h"

START_TEST(errors)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    ck_assert_int_eq(mohs_fail(&e, MOHS_E_ARG, "x %d", 3), MOHS_E_ARG);
    ck_assert_str_eq(e.text, "x 3");
    err_prefix(&e, MOHS_E_IO, "%s", "file");
    ck_assert_str_eq(e.text, "file: x 3");
    ck_assert_int_eq(mohs_fail(NULL, MOHS_E_IO, "nobody listens"), MOHS_E_IO);
    ck_assert_int_eq(status_exit_code(MOHS_E_FORMAT), 3);
    char big[400];
    memset(big, 'a', sizeof big - 1);
    big[sizeof big - 1] = 0;
    err_prefix(&e, MOHS_E_IO, "%s", big);
    ck_assert_uint_lt(strlen(e.text), sizeof e.text);
}
END_TEST

static const struct {
    const char *s;
    bool ok;
} utf8[] = {
    { "plain", true },       { "\xc3\xa9", true },      { "\xf0\x9f\x98\x80", true },
    { "\xc0\x80", false },   { "\xed\xa0\x80", false }, { "\xf4\x90\x80\x80", false },
    { "\xe2\x82", false },   { "\xff", false },         { "", true },
};
START_TEST(utf8_cases)
{
    ck_assert_int_eq(utf8_valid(utf8[_i].s, strlen(utf8[_i].s)), utf8[_i].ok);
}
END_TEST

START_TEST(strings)
{
    struct str b = { 0 };
    str_add_json(&b, "a\"\\\n\x01");
    ck_assert_str_eq(b.s, "\"a\\\"\\\\\\n\\u0001\"");
    str_free(&b);
    str_add_html(&b, "<a & 'b'>");
    ck_assert_str_eq(b.s, "&lt;a &amp; &#39;b&#39;&gt;");
    str_free(&b);
    const char *const names[] = { "gaussian_noise", "contrast" };
    ck_assert_str_eq(str_nearest("gausian_noise", names, 2), "gaussian_noise");
    ck_assert_ptr_null(str_nearest("zzz", names, 2));
    double x;
    ck_assert(str_to_double("1e-3", &x) && x == 1e-3);
    ck_assert(!str_to_double("1x", &x) && !str_to_double("", &x) &&
              !str_to_double("nan", &x));
}
END_TEST

/* Known answers of Random123 1.14 (kat_vectors: philox 4x32 10). */
static const struct edit_case {
    const char *a, *b;
    size_t words, chars;
} edits[] = {
    { "", "", 0, 0 },
    { "a red cat", "a red cat", 0, 0 },
    { "a red cat", "a crimson cat", 1, 6 },
    { "a red cat", " a  red cat ", 0, 3 },
    { "ca", "abc", 1, 2 }, // one exchange and an insertion between
    { "kitten", "sitting", 1, 3 },
    { "dog", "", 1, 3 },
    { "the dogs bark", "the dog barks", 2, 2 },
    { "acb", "abc", 1, 1 },
    { "na\xc3\xafve", "naive", 1, 1 },
    { "\xf0\x9f\x98\x80\xf0\x9f\x98\x81", "\xf0\x9f\x98\x81\xf0\x9f\x98\x80", 1, 1 },
    { "one two three", "three one two", 2, 11 },
};

/* By definition of the distance without exchanges. */
static size_t slow_distance(const int32_t *a, size_t n, const int32_t *b, size_t m)
{
    if (!n || !m)
        return n + m;
    size_t x = slow_distance(a + 1, n - 1, b + 1, m - 1) + (*a != *b);
    size_t y = slow_distance(a + 1, n - 1, b, m) + 1;
    size_t z = slow_distance(a, n, b + 1, m - 1) + 1;
    x = y < x ? y : x;
    return z < x ? z : x;
}

START_TEST(edit_distances)
{
    for (size_t i = 0; i < sizeof edits / sizeof *edits; i++) {
        const struct edit_case *e = &edits[i];
        ck_assert_uint_eq(edits_words(e->a, e->b), e->words);
        ck_assert_uint_eq(edits_words(e->b, e->a), e->words);
        ck_assert_msg(edits_chars(e->a, e->b) == e->chars, "%s, %s: %zu", e->a, e->b,
                      edits_chars(e->a, e->b));
        ck_assert_uint_eq(edits_chars(e->b, e->a), e->chars);
    }
    for (uint64_t k = 0; k < 60; k++) {
        int32_t a[7], b[7];
        size_t n = mohs_rng_below(5, k, 100, 8), m = mohs_rng_below(5, k, 101, 8);
        for (uint64_t i = 0; i < 7; i++) {
            a[i] = (int32_t)mohs_rng_below(5, k, i, 3);
            b[i] = (int32_t)mohs_rng_below(5, k, 50 + i, 3);
        }
        ck_assert_uint_eq(edits_ids(a, n, b, m), slow_distance(a, n, b, m));
    }
    // a table of this size is not made
    char *x = xcalloc(1, 100001), *y = xcalloc(1, 100001);
    memset(x, 'x', 100000);
    memset(y, 'y', 90000);
    ck_assert_uint_eq(edits_chars(x, y), 100000);
    free(x);
    free(y);
}
END_TEST

START_TEST(philox_known_answers)
{
    struct mohs_u32x4 a = mohs_philox(0, 0, 0);
    ck_assert_uint_eq(a.v[0], 0x6627e8d5u);
    ck_assert_uint_eq(a.v[1], 0xe169c58du);
    ck_assert_uint_eq(a.v[2], 0xbc57ac4cu);
    ck_assert_uint_eq(a.v[3], 0x9b00dbd8u);
    struct mohs_u32x4 b = mohs_philox(0x299f31d0a4093822u, 0x0370734413198a2eu,
                                      0x85a308d3243f6a88u);
    ck_assert_uint_eq(b.v[0], 0xd16cfe09u);
    ck_assert_uint_eq(b.v[1], 0x94fdccebu);
    ck_assert_uint_eq(b.v[2], 0x5001e420u);
    ck_assert_uint_eq(b.v[3], 0x24126ea1u);
}
END_TEST

START_TEST(normal_moments)
{
    enum { N = 200000 };
    double s = 0, q = 0, k = 0;
    for (int i = 0; i < N; i++) {
        double x = mohs_rng_normal(7, 9, (uint64_t)i);
        s += x;
        q += x * x;
        k += x * x * x * x;
    }
    /* four standard errors: 1/sqrt(N), sqrt(2/N), sqrt(96/N) */
    ck_assert_double_lt(fabs(s / N), 4 * 0.00224);
    ck_assert_double_lt(fabs(q / N - 1), 4 * 0.00317);
    ck_assert_double_lt(fabs(k / N - 3), 4 * 0.0220);
}
END_TEST

START_TEST(files)
{
    char dir[] = "/tmp/mohs-base-XXXXXX";
    ck_assert_ptr_nonnull(mkdtemp(dir));
    char *deep = path_join(dir, "a/b/c"), *f = path_join(deep, "x.bin");
    struct mohs_error e = MOHS_ERROR_INIT;
    ck_assert_int_eq(dir_make(deep, &e), 0);
    ck_assert_int_eq(file_write(f, "hello", 5, &e), 0);
    char *data;
    size_t n;
    ck_assert_int_eq(file_read(f, 0, &data, &n, &e), 0);
    ck_assert_uint_eq(n, 5);
    ck_assert_str_eq(data, "hello");
    free(data);
    ck_assert_int_eq(file_read(f, 4, &data, &n, &e), MOHS_E_FORMAT);
    ck_assert_int_eq(file_read(deep, 0, &data, &n, &e), MOHS_E_IO);
    ck_assert_int_eq(file_write("/nonexistent/x", "a", 1, &e), MOHS_E_IO);
    char hex[65];
    ck_assert_int_eq(sha256_file(f, hex, &e), 0);
    ck_assert_str_eq(hex, "2cf24dba5fb0a30e26e83b2ac5b9e29e"
                          "1b161e5c1fa7425e73043362938b9824");
    char **v;
    ck_assert_int_eq(dir_list(deep, &v, &n, &e), 0);
    ck_assert_uint_eq(n, 1); /* no temporary left behind */
    strv_free(v);
    unlink(f);
    free(f);
    free(deep);
}
END_TEST

static mohs_status square(void *user, size_t i, struct mohs_error *err)
{
    if (i == 30 || i == 70)
        return mohs_fail(err, MOHS_E_ARG, "item %zu", i);
    ((size_t *)user)[i] = i * i;
    return MOHS_OK;
}

static struct hash128 content(const char *paths)
{
    struct hasher *h = hasher_new();
    hasher_paths(h, paths);
    return hasher_end(h);
}

static bool same(struct hash128 a, struct hash128 b)
{
    return a.hi == b.hi && a.lo == b.lo;
}

START_TEST(contents)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    char dir[] = "/tmp/mohs-content-XXXXXX";
    ck_assert_ptr_nonnull(mkdtemp(dir));
    char *a = path_join(dir, "a"), *b = path_join(dir, "b");
    char *both = xasprintf("%s:%s", a, b), *sub = path_join(dir, "sub");
    ck_assert_int_eq(file_write(a, "one", 3, &e), 0);
    ck_assert_int_eq(file_write(b, "two", 3, &e), 0);
    struct hash128 whole = content(dir), pair = content(both), one = content(a);
    ck_assert(same(content(dir), whole) && same(content(both), pair));
    ck_assert(!same(whole, pair) && !same(pair, one) && !same(content(b), one));
    ck_assert(same(content(":"), content("")));
    // another content of the same size
    ck_assert_int_eq(file_write(a, "eno", 3, &e), 0);
    ck_assert(!same(content(dir), whole) && !same(content(both), pair));
    ck_assert(!same(content(a), one));
    ck_assert_int_eq(file_write(a, "one", 3, &e), 0);
    ck_assert(same(content(dir), whole) && same(content(a), one));
    // another name, one more, one less; what lies below does not count
    ck_assert_int_eq(dir_make(sub, &e), 0);
    struct hash128 with = content(dir);
    char *deep = path_join(sub, "c");
    ck_assert_int_eq(file_write(deep, "x", 1, &e), 0);
    ck_assert(same(content(dir), with));
    unlink(deep);
    rmdir(sub);
    ck_assert(same(content(dir), whole));
    unlink(b);
    struct hash128 less = content(dir);
    ck_assert(!same(less, whole) && !same(content(both), pair));
    ck_assert_int_eq(rename(a, b), 0);
    ck_assert(!same(content(dir), less));
    unlink(b);
    rmdir(dir);
    free(a);
    free(b);
    free(both);
    free(sub);
    free(deep);
}
END_TEST

START_TEST(threads)
{
    struct pool *p = pool_new(3);
    size_t v[100] = { 0 };
    struct mohs_error e = MOHS_ERROR_INIT;
    ck_assert_int_eq(pool_run(p, 100, square, v, &e), MOHS_E_ARG);
    ck_assert_str_eq(e.text, "item 30"); /* the lowest, whatever the order */
    ck_assert_uint_eq(v[99], 99 * 99);
    ck_assert_int_eq(pool_run(p, 20, square, v, &e), 0);
    ck_assert_int_eq(pool_run(p, 0, square, v, &e), 0);
    pool_free(p);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("base");
    TCase *t = tcase_create("base");
    tcase_add_test(t, errors);
    tcase_add_loop_test(t, utf8_cases, 0, (int)(sizeof utf8 / sizeof *utf8));
    tcase_add_test(t, strings);
    tcase_add_test(t, edit_distances);
    tcase_add_test(t, philox_known_answers);
    tcase_add_test(t, normal_moments);
    tcase_add_test(t, files);
    tcase_add_test(t, contents);
    tcase_add_test(t, threads);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int f = srunner_ntests_failed(r);
    srunner_free(r);
    return f ? EXIT_FAILURE : EXIT_SUCCESS;
}
