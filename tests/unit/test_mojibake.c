/* SPDX-License-Identifier: MIT */
/*
 * Texts read in a wrong encoding, against ftfy (tests/golden/mojibake.py).
 *   test_mojibake --fix   mends the JSON strings of its lines
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>
#include <jansson.h>

#include "model/mojibake.h"
#include "model/tokenizer.h"

#define GOLDEN SRCDIR "/tests/golden/"

static struct str string_of(const json_t *j)
{
    struct str s = { 0 };
    str_addn(&s, json_string_value(j), json_string_length(j));
    return s;
}

START_TEST(test_golden)
{
    json_t *g = json_load_file(GOLDEN "mojibake.json", JSON_ALLOW_NUL, NULL);
    json_t *pair;
    size_t i;
    ck_assert_uint_gt(json_array_size(g), 150);
    json_array_foreach(g, i, pair) {
        struct str s = string_of(json_array_get(pair, 0));
        struct str want = string_of(json_array_get(pair, 1));
        clean_fix(&s);
        ck_assert_msg(s.n == want.n && !memcmp(s.s, want.s, s.n),
                      "text %zu: \"%s\" is not \"%s\"", i, s.s, want.s);
        str_free(&s);
        str_free(&want);
    }
    json_decref(g);
}
END_TEST

START_TEST(test_table)
{
    for (unsigned i = 1; i < n_mojibake_chars; i++)
        ck_assert_uint_lt(mojibake_chars[i - 1].c, mojibake_chars[i].c);
    for (int e = 0; e < MOJIBAKE_TABLES; e++) {
        unsigned seen[256] = { 0 };
        for (unsigned i = 0; i < n_mojibake_chars; i++)
            seen[mojibake_chars[i].byte[e]]++;
        for (int b = 0x80; b < 0x100; b++)
            ck_assert_msg(seen[b] == 1, "encoding %d: byte %02x", e, (unsigned)b);
    }
}
END_TEST

/* A name that was encoded wrongly ten times over comes back; the text doubles
 * each time, so that no depth or number of rounds is needed that is larger. */
START_TEST(test_layers)
{
    struct str s = { 0 };
    str_add(&s, "\xC3\xA9");
    for (int layer = 0; layer < 10; layer++) {
        struct str out = { 0 };
        for (size_t i = 0; i < s.n; i++) {
            char b[4];
            str_addn(&out, b, utf8_put(b, (uint8_t)s.s[i]));
        }
        str_free(&s);
        s = out;
    }
    ck_assert_uint_eq(s.n, 2 << 10);
    clean_encoding(&s);
    ck_assert_str_eq(s.s, "\xC3\xA9");
    str_free(&s);
}
END_TEST

/* What nothing is wrong with. */
static const char *const kept[] = {
    "", "a", "plain text", "caf\xC3\xA9", "\xC3\x85ngstr\xC3\xB6m",
    "\xE4\xBD\xA0\xE5\xA5\xBD", "\xD0\x9F\xD1\x80\xD0\xB8", "50\xE2\x82\xAC",
    "\xC2\xA9 2024", "\xF0\x9F\x98\x80", "na\xC3\xAFve \xE2\x80\x93 r\xC3\xA9sum\xC3\xA9",
};

START_TEST(test_kept)
{
    struct str s = { 0 };
    str_add(&s, kept[_i]);
    clean_encoding(&s);
    ck_assert_str_eq(s.s, kept[_i]);
    str_free(&s);
}
END_TEST

static int fix_by_hand(void)
{
    char *line = NULL;
    size_t cap = 0;
    while (getline(&line, &cap, stdin) >= 0) {
        json_t *j = json_loads(line, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
        struct str s = string_of(j);
        clean_fix(&s);
        json_t *out = json_stringn(s.s, s.n);
        json_dumpf(out, stdout, JSON_ENCODE_ANY | JSON_ENSURE_ASCII);
        putchar('\n');
        json_decref(out);
        json_decref(j);
        str_free(&s);
    }
    free(line);
    return EXIT_SUCCESS;
}

static Suite *suite(void)
{
    Suite *s = suite_create("mojibake");
    TCase *t = tcase_create("all");
    tcase_add_test(t, test_golden);
    tcase_add_test(t, test_table);
    tcase_add_test(t, test_layers);
    tcase_add_loop_test(t, test_kept, 0, sizeof kept / sizeof *kept);
    suite_add_tcase(s, t);
    return s;
}

int main(int argc, char **argv)
{
    if (argc == 2 && !strcmp(argv[1], "--fix"))
        return fix_by_hand();
    SRunner *r = srunner_create(suite());
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
