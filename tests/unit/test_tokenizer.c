/* SPDX-License-Identifier: MIT */
/*
 * Tokens against the tokenizers library and transformers' CLIPTokenizer
 * (golden files by tests/golden/tokenizer.py): 10,000 texts in many scripts,
 * variants of tokenizer.json, hostile files, threads, training. With
 * arguments: `--ids FILE.json` prints tokens of the lines on stdin.
 */
#include "config.h"

#include <check.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <mohs/rng.h>

#include "model/model.h"

#define GOLDEN SRCDIR "/tests/golden/"

enum { TEXTS = 10000, MIXED = 150 };

static json_t *golden;
static struct tokenizer *clip;

static void ok(mohs_status st, const struct mohs_error *e)
{
    ck_assert_msg(st >= 0, "%s", e->text);
}

static json_t *load_json(const char *path)
{
    json_error_t je;
    json_t *j = json_load_file(path, JSON_ALLOW_NUL, &je);
    ck_assert_msg(j != NULL, "%s: %s", path, je.text);
    return j;
}

static void setup(void)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    golden = load_json(GOLDEN "tokenizer_golden.json");
    ok(tokenizer_load(GOLDEN "clip_bpe", &clip, &e), &e);
}

static void teardown(void)
{
    json_decref(golden);
    tokenizer_free(clip);
}

/* ---- golden texts ------------------------------------------------------ */

/* text_of() of tokenizer.py. */
static struct str text_of(const json_t *frags, uint64_t k)
{
    struct str b = { 0 };
    uint32_t n = mohs_rng_u32(11, k, 0) % 12 + 1;
    str_add(&b, "");
    for (uint32_t i = 0; i < n; i++) {
        uint32_t x = mohs_rng_u32(11, k, 1 + 2 * i);
        const json_t *f = json_array_get(frags, (x >> 4) % json_array_size(frags));
        str_addn(&b, json_string_value(f), json_string_length(f));
        if ((x & 15) < 9)
            str_add(&b, " ");
        uint32_t again = (x & 15) == 9 ? mohs_rng_u32(11, k, 2 + 2 * i) % 40 : 0;
        while (again--)
            str_addn(&b, json_string_value(f), json_string_length(f));
    }
    return b;
}

static uint32_t checksum(const int32_t *ids, size_t n)
{
    uint32_t h = 0x811C9DC5u;
    for (size_t i = 0; i < n; i++)
        for (int b = 0; b < 4; b++)
            h = (h ^ ((uint32_t)ids[i] >> 8 * b & 255)) * 0x01000193u;
    return h;
}

static void show(struct str *out, const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s[i];
        if (c < 32 || c == 127)
            str_addf(out, "\\x%02x", c);
        else
            str_addn(out, s + i, 1);
    }
}

START_TEST(test_texts)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    const json_t *frags = json_object_get(golden, "fragments");
    const json_t *sums = json_object_get(golden, "sums");
    unsigned bad = 0;
    struct str first = { 0 };
    ck_assert_uint_eq(json_array_size(sums), TEXTS);
    for (uint64_t k = 0; k < TEXTS; k++) {
        struct str t = text_of(frags, k);
        int32_t *ids;
        size_t n;
        ok(tokenizer_ids(clip, t.s, t.n, &ids, &n, &e), &e);
        if (checksum(ids, n) !=
            (uint32_t)json_integer_value(json_array_get(sums, k))) {
            if (!bad++) {
                str_addf(&first, "text %u: ", (unsigned)k);
                show(&first, t.s, t.n);
            }
        }
        free(ids);
        str_free(&t);
    }
    ck_assert_msg(!bad, "%u of %d texts differ; %s", bad, TEXTS, first.s);
}
END_TEST

/* With begin and end; and through tokenizer_encode, cut and padded. */
START_TEST(test_listed)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    enum { CONTEXT = 20 };
    size_t i;
    json_t *v;
    json_array_foreach(json_object_get(golden, "texts"), i, v) {
        const json_t *text = json_object_get(v, "text");
        const json_t *want = json_object_get(v, "ids");
        int32_t got[CONTEXT], *plain;
        uint32_t last;
        size_t n, total = json_array_size(want);
        ok(tokenizer_ids(clip, json_string_value(text), json_string_length(text),
                         &plain, &n, &e), &e);
        ck_assert_uint_eq(n + 2, total);
        for (size_t k = 0; k < n; k++)
            ck_assert_int_eq(plain[k],
                             json_integer_value(json_array_get(want, k + 1)));
        free(plain);
        ok(tokenizer_encode(clip, json_string_value(text),
                            json_string_length(text), CONTEXT, got, &last, &e),
           &e);
        size_t used = total < CONTEXT ? total : CONTEXT;
        int32_t eos = (int32_t)json_integer_value(json_array_get(want, total - 1));
        ck_assert_uint_eq(last, used - 1);
        for (size_t k = 0; k + 1 < used; k++)
            ck_assert_int_eq(got[k], json_integer_value(json_array_get(want, k)));
        for (size_t k = used - 1; k < CONTEXT; k++)
            ck_assert_int_eq(got[k], eos);
    }
    ck_assert_uint_gt(i, 100);
    int32_t two[2];
    uint32_t last;
    ck_assert_int_lt(tokenizer_encode(clip, "a", 1, 1, two, &last, &e), 0);
    ok(tokenizer_encode(clip, "a b", 3, 2, two, &last, &e), &e);
    ck_assert_uint_eq(last, 1);
    ck_assert_str_eq(tokenizer_text(clip, two[0]), "<|startoftext|>");
    ck_assert_str_eq(tokenizer_text(clip, two[1]), "<|endoftext|>");
}
END_TEST

/* ---- variants of tokenizer.json ---------------------------------------- */

/* The tokenizer.json of clip_bpe: the transformed files of the directory. */
static json_t *base_json(void)
{
    json_t *vocab = load_json(GOLDEN "clip_bpe/vocab.json");
    json_t *merges = json_array();
    char *text;
    size_t n;
    struct mohs_error e = MOHS_ERROR_INIT;
    ok(file_read(GOLDEN "clip_bpe/merges.txt", 0, &text, &n, &e), &e);
    for (char *p = text, *nl; (nl = strchr(p, '\n')); p = nl + 1) {
        *nl = 0;
        if (*p != '#' || p[1] == ' ')
            json_array_append_new(merges, json_string(p));
    }
    free(text);
    json_int_t bos = json_integer_value(json_object_get(vocab, "<|startoftext|>"));
    json_int_t eos = json_integer_value(json_object_get(vocab, "<|endoftext|>"));
    json_error_t je;
    json_t *j = json_pack_ex(
        &je, 0,
        "{s:[{s:I,s:s,s:b},{s:I,s:s,s:b}],"
        "s:{s:s,s:[{s:s},{s:s,s:{s:s},s:s},{s:s}]},"
        "s:{s:s,s:[{s:s,s:{s:s},s:s,s:b},{s:s,s:b}]},"
        "s:{s:s,s:[s,I],s:[s,I]},"
        "s:{s:s,s:s,s:s,s:o,s:o}}",
        "added_tokens", "id", bos, "content", "<|startoftext|>", "special", 1,
        "id", eos, "content", "<|endoftext|>", "special", 1,
        "normalizer", "type", "Sequence", "normalizers", "type", "NFC", "type",
        "Replace", "pattern", "Regex", "\\s+", "content", " ", "type",
        "Lowercase", "pre_tokenizer", "type", "Sequence", "pretokenizers",
        "type", "Split", "pattern", "Regex",
        "<\\|startoftext\\|>|<\\|endoftext\\|>|'s|'t|'re|'ve|'m|'ll|'d|"
        "[\\p{L}]+|[\\p{N}]|[^\\s\\p{L}\\p{N}]+",
        "behavior", "Removed", "invert", 1, "type", "ByteLevel",
        "add_prefix_space", 0, "post_processor", "type", "RobertaProcessing",
        "sep", "<|endoftext|>", eos, "cls", "<|startoftext|>", bos, "model",
        "type", "BPE", "unk_token", "<|endoftext|>", "end_of_word_suffix",
        "</w>", "vocab", vocab, "merges", merges);
    ck_assert_msg(j != NULL, "%s", je.text);
    return j;
}

static mohs_status parse_patched(const json_t *patch, struct tokenizer **out,
                                 struct mohs_error *e)
{
    json_t *j = base_json(), *top = json_copy((json_t *)patch);
    json_object_update(json_object_get(j, "model"), json_object_get(top, "model"));
    json_object_del(top, "model");
    json_object_update(j, top);
    char *text = json_dumps(j, JSON_COMPACT);
    mohs_status st = tokenizer_parse(text, strlen(text), "patched", out, e);
    free(text);
    json_decref(j);
    json_decref(top);
    return st;
}

/* ids with what the post-processor adds: encode with room to spare. */
static uint32_t full_sum(const struct tokenizer *t, const char *s, size_t n)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    int32_t *plain, *all;
    size_t count;
    uint32_t last;
    ok(tokenizer_ids(t, s, n, &plain, &count, &e), &e);
    free(plain);
    uint32_t context = (uint32_t)count + 8;
    all = xcalloc(context, sizeof *all);
    ok(tokenizer_encode(t, s, n, context, all, &last, &e), &e);
    bool empty = last == 0 && count == 0;
    uint32_t sum = checksum(all, empty ? 0 : last + 1);
    free(all);
    return sum;
}

START_TEST(test_variants)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    const json_t *frags = json_object_get(golden, "fragments");
    const json_t *mixed = json_object_get(golden, "mixed");
    struct str report = { 0 };
    size_t i;
    json_t *v;
    str_add(&report, "");
    json_array_foreach(json_object_get(golden, "variants"), i, v) {
        const char *name = json_string_value(json_object_get(v, "name"));
        const json_t *sums = json_object_get(v, "sums");
        struct tokenizer *t;
        if (parse_patched(json_object_get(v, "patch"), &t, &e) < 0) {
            str_addf(&report, "\n%s: %s", name, e.text);
            continue;
        }
        unsigned bad = 0;
        for (size_t k = 0; k < json_array_size(sums); k++) {
            struct str s = { 0 };
            const json_t *m = k < MIXED ? NULL : json_array_get(mixed, k - MIXED);
            if (m)
                str_add(&s, json_string_value(m));
            else
                s = text_of(frags, TEXTS + k);
            if (full_sum(t, s.s, s.n) !=
                    (uint32_t)json_integer_value(json_array_get(sums, k)) &&
                !bad++) {
                str_addf(&report, "\n%s: text %zu: ", name, k);
                show(&report, s.s, s.n);
            }
            str_free(&s);
        }
        if (bad)
            str_addf(&report, " (%u differ)", bad);
        tokenizer_free(t);
    }
    ck_assert_uint_gt(i, 30);
    ck_assert_msg(!report.n, "%s", report.s);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("tokenizer");
    TCase *t = tcase_create("all");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, test_texts);
    tcase_add_test(t, test_listed);
    tcase_add_test(t, test_variants);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    SRunner *r = srunner_create(suite());
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
