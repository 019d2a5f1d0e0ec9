/* SPDX-License-Identifier: MIT */
/*
 * Tokenizers of the kinds other than CLIP's: SentencePiece, Unigram,
 * WordPiece, open_clip's, against their reference programs (golden files by
 * tests/golden/token_kinds.py). With arguments, `--ids FILE|DIR CONTEXT` reads
 * JSON strings, one a line, and prints their ids: rows of CONTEXT tokens, or
 * for 0 the plain ones.
 */
#include "config.h"

#include <check.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "model/charsmap.h"
#include "model/tokenizer.h"

#define GOLDEN SRCDIR "/tests/golden/"

static void ok(mohs_status st, const struct mohs_error *e)
{
    ck_assert_msg(st >= 0, "%s", e->text);
}

static uint32_t checksum(const int32_t *ids, size_t n)
{
    uint32_t h = 0x811C9DC5;
    for (size_t i = 0; i < n; i++)
        for (int b = 0; b < 32; b += 8)
            h = (h ^ ((uint32_t)ids[i] >> b & 255)) * 0x01000193;
    return h;
}

static char *read_text(const char *path)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    char *text;
    ok(file_read(path, 0, &text, NULL, &e), &e);
    return text;
}

/* ---- golden ids --------------------------------------------------------- */

/* A copy of the T5 tokenizer as open_clip's HFTokenizer takes it. */
static void open_with_clean(const char *path, const char *clean,
                            struct tokenizer **t)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    char dir[] = "/tmp/mohs-tokenizers-XXXXXX";
    static const char *const files[] = { "tokenizer.json",
                                         "tokenizer_config.json",
                                         "open_clip_config.json" };
    ck_assert_ptr_nonnull(mkdtemp(dir));
    for (int i = 0; i < 3; i++) {
        char *from = path_join(path, files[i]), *to = path_join(dir, files[i]);
        char *text = i < 2 ? read_text(from)
                           : xasprintf("{\"model_cfg\":{\"text_cfg\":"
                                       "{\"hf_tokenizer_name\":\"x\","
                                       "\"context_length\":64,"
                                       "\"tokenizer_kwargs\":"
                                       "{\"clean\":\"%s\"}}}}", clean);
        ok(file_write(to, text, strlen(text), &e), &e);
        free(text);
        free(from);
        free(to);
    }
    mohs_status st = tokenizer_load(dir, t, &e);
    for (int i = 0; i < 3; i++) {
        char *file = path_join(dir, files[i]);
        unlink(file);
        free(file);
    }
    rmdir(dir);
    ok(st, &e);
    ck_assert_str_eq(tokenizer_profile(*t), "open_clip");
    ck_assert_uint_eq(tokenizer_context(*t), 64);
}

static void check_kind(const json_t *kind, const json_t *texts)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    struct tokenizer *t;
    size_t i, bad = 0;
    json_t *text;
    uint32_t last, context = (uint32_t)json_integer_value(
                       json_object_get(kind, "context"));
    const char *name = json_string_value(json_object_get(kind, "name"));
    const char *clean = json_string_value(json_object_get(kind, "clean"));
    char *path = xasprintf(GOLDEN "token_kinds/%s",
                           json_string_value(json_object_get(kind, "path")));
    if (clean)
        open_with_clean(path, clean, &t);
    else
        ok(tokenizer_load(path, &t, &e), &e);
    json_array_foreach(texts, i, text) {
        const char *s = json_string_value(text);
        size_t n = json_string_length(text), count = context;
        int32_t *ids;
        if (context) {
            ids = xcalloc(context, sizeof *ids);
            ok(tokenizer_encode(t, s, n, context, ids, &last, &e), &e);
        } else {
            ok(tokenizer_ids(t, s, n, &ids, &count, &e), &e);
        }
        bad += checksum(ids, count) !=
               (uint32_t)json_integer_value(
                   json_array_get(json_object_get(kind, "sums"), i));
        free(ids);
    }
    ck_assert_msg(!bad, "%s: %zu of %zu texts differ", name, bad,
                  json_array_size(texts));
    tokenizer_free(t);
    free(path);
}

START_TEST(test_golden)
{
    json_t *g = json_load_file(GOLDEN "token_kinds.json", JSON_ALLOW_NUL, NULL);
    ck_assert_uint_gt(json_array_size(json_object_get(g, "texts")), 300);
    size_t i;
    json_t *kind;
    json_array_foreach(json_object_get(g, "kinds"), i, kind)
        check_kind(kind, json_object_get(g, "texts"));
    json_decref(g);
}
END_TEST

/* What is said about each, and the length of a mask. */
static const struct {
    const char *path, *kind, *profile, *text;
    uint32_t context, size, asked, last, begin, end, pad;
} known[] = {
    { "siglip", "SentencePiece", "siglip", "the cat", 64, 380, 8, 2, 0, 1, 1 },
    { "t5", "Unigram", "transformers", "the cat", 64, 380, 8, 2, 0, 1, 1 },
    { "bert", "WordPiece", "transformers", "the a", 0, 600, 8, 3, 2, 3, 0 },
    { "siglip2", "BPE", "transformers", "a", 64, 622, 8, 1, 0, 621, 0 },
    { "open_clip", "BPE", "open_clip", "a a", 77, 512 + 599 + 2, 8, 3,
      512 + 599, 512 + 600, 0 },
};

START_TEST(test_known)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    struct tokenizer *t;
    int32_t ids[8];
    uint32_t last;
    char *path = xasprintf(GOLDEN "token_kinds/%s", known[_i].path);
    ok(tokenizer_load(path, &t, &e), &e);
    ck_assert_str_eq(tokenizer_kind(t), known[_i].kind);
    ck_assert_str_eq(tokenizer_profile(t), known[_i].profile);
    ck_assert_uint_eq(tokenizer_context(t), known[_i].context);
    ck_assert_uint_eq(tokenizer_size(t), known[_i].size);
    ok(tokenizer_encode(t, known[_i].text, strlen(known[_i].text),
                        known[_i].asked, ids, &last, &e), &e);
    ck_assert_uint_eq(ids[last], known[_i].end);
    for (uint32_t i = last + 1; i < known[_i].asked; i++)
        ck_assert_uint_eq(ids[i], known[_i].pad);
    if (known[_i].begin)
        ck_assert_uint_eq(ids[0], known[_i].begin);
    tokenizer_free(t);
    free(path);
}
END_TEST

/* ---- cleaning ----------------------------------------------------------- */

static const struct {
    void (*run)(struct str *);
    const char *in, *out;
} cleaned[] = {
    { clean_words, "\t a \xC2\xA0 b\x1C" "c\n", "a b c" },
    { clean_words, " ", "" },
    { clean_strip, "\x1F a b \xE3\x80\x80", "a b" },
    { clean_punctuation, "it's a_b (c)!~", "its ab c" },
    { clean_html, "&amp;lt; &eacute &notit; &#x80;&#233;&#0; &#xD800;",
      "&lt; \xC3\xA9 \xC2\xACit; \xE2\x82\xAC\xC3\xA9\xEF\xBF\xBD "
      "\xEF\xBF\xBD" },
    { clean_html, "a & b &; &#; &#x; &", "a & b &; &#; &#x; &" },
    { clean_html, "&#1;&#xFFFF;x", "x" },
    { clean_fix, "\xE2\x80\x9Cit\xE2\x80\x99s\xE2\x80\x9D", "\"it's\"" },
    { clean_fix, "\xEF\xAC\x81 \xEF\xBC\xA1 \xC5\x89", "fi A 'n" },
    { clean_fix, "\033[1;31mred\033[0m\x07", "red" },
    { clean_fix, "&NTILDE; &amp; &SZLIG; &nope;", "\xC3\x91 & SS &nope;" },
    { clean_fix, "a\r\nb\rc", "a\nb\nc" },
    { clean_fix, "<b> &amp;", "<b> &amp;" },
    { clean_fix, "&lt;b&gt; &amp;amp;", "<b> &" },
    { clean_fix, "e\xCC\x81 \xC2\x92", "\xC3\xA9 '" },
};

START_TEST(test_cleaned)
{
    struct str s = { 0 };
    str_add(&s, cleaned[_i].in);
    cleaned[_i].run(&s);
    ck_assert_str_eq(s.s, cleaned[_i].out);
    ck_assert_uint_eq(s.n, strlen(cleaned[_i].out));
    str_free(&s);
}
END_TEST

/* ---- bad files ---------------------------------------------------------- */

#define UNI "{\"model\":{\"type\":\"Unigram\","
#define WP "{\"model\":{\"type\":\"WordPiece\","

static const struct {
    const char *json, *says;
} refused[] = {
    { "{\"model\":{\"type\":\"WordLevel\"}}", "\"WordLevel\", not BPE" },
    { UNI "\"vocab\":[]}}", "vocabulary of 0 tokens" },
    { UNI "\"vocab\":[[\"a\",0]]}}", "unk_id is no piece" },
    { UNI "\"unk_id\":1,\"vocab\":[[\"a\",0]]}}", "unk_id is no piece" },
    { UNI "\"unk_id\":0,\"vocab\":[[\"a\",0],[1,2]]}}", "piece 1 of the" },
    { WP "\"vocab\":{\"a\":0}}}", "unk_token \"[UNK]\"" },
    { WP "\"max_input_chars_per_word\":1000000,\"vocab\":{\"[UNK]\":0}}}",
      "1000000" },
    { WP "\"vocab\":{\"a\":0,\"b\":0}}}", "one id, 0" },
    { "{\"model\":{\"type\":\"SentencePiece\"}}", "\"proto\" is not base64" },
    { "{\"model\":{\"type\":\"SentencePiece\",\"proto\":\"AAA\"}}",
      "not base64" },
    { "{\"model\":{\"type\":\"SentencePiece\",\"proto\":\"////\"}}",
      "not a SentencePiece model" },
    { "{\"model\":{\"type\":\"SentencePiece\",\"proto\":\"\"}}",
      "0 pieces" },
    { WP "\"vocab\":{\"[UNK]\":0}},\"normalizer\":{\"type\":\"Precompiled\","
      "\"precompiled_charsmap\":\"AAAA\"}}", "holds no array" },
    { WP "\"vocab\":{\"[UNK]\":0}},\"pre_tokenizer\":{\"type\":\"Metaspace\","
      "\"replacement\":\"ab\"}}", "replacement \"ab\"" },
    { WP "\"vocab\":{\"[UNK]\":0}},\"pre_tokenizer\":{\"type\":\"Metaspace\","
      "\"prepend_scheme\":\"last\"}}", "prepend_scheme \"last\"" },
    { WP "\"vocab\":{\"[UNK]\":0}},\"pre_tokenizer\":{\"type\":"
      "\"CharDelimiterSplit\",\"delimiter\":\"\"}}", "delimiter" },
    { WP "\"vocab\":{\"[UNK]\":0}},\"mohs\":{\"context\":-1}}", "context -1" },
};

START_TEST(test_refused)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    struct tokenizer *t = NULL;
    const char *json = refused[_i].json;
    ck_assert_int_lt(tokenizer_parse(json, strlen(json), "x", &t, &e), 0);
    ck_assert_msg(strstr(e.text, refused[_i].says) != NULL, "%s: %s", json,
                  e.text);
    ck_assert_ptr_null(t);
}
END_TEST

/* A model file cut anywhere is refused or, where a field ends, is another
 * model; nothing is read outside. */
START_TEST(test_cut_short)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    char *data, *json;
    size_t n;
    ok(file_read(GOLDEN "token_kinds/siglip/spiece.model", 0, &data, &n, &e), &e);
    for (size_t k = 0; k < n; k += k < 600 ? 1 : 97) {
        uint8_t *part = xmalloc(k + !k);
        memcpy(part, data, k);
        struct sp_text text = { .data = (char *)part, .n = k, .name = "x",
                                .mohs = "\"mohs\":{}" };
        struct tokenizer *t = NULL;
        mohs_status st = tokenizer_json_sentencepiece(&text, &json, &e);
        if (st >= 0) {
            if (tokenizer_parse(json, strlen(json), "x", &t, &e) >= 0)
                tokenizer_free(t);
            free(json);
        } else {
            ck_assert_int_eq(st, MOHS_E_FORMAT);
        }
        free(part);
    }
    free(data);
}
END_TEST

static void put32(uint8_t *p, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> 8 * i);
}

/* A root whose children lie in the second of two blocks, one leaf. */
START_TEST(test_damaged_charsmap)
{
    enum { UNITS = 512, BYTES = 4 + UNITS * 4 + 4 };
    struct mohs_error e = MOHS_ERROR_INIT;
    struct charsmap *m;
    uint8_t blob[BYTES] = { 0 };
    size_t bytes;
    put32(blob, UNITS * 4);
    put32(blob + 4, 256 << 10);                      // root: offset 256
    put32(blob + 4 + 4 * (256 ^ 'a'), 1 << 10 | 1 << 8 | 'a'); // leaf at ^ 1
    put32(blob + 4 + 4 * (256 ^ 'a' ^ 1), 0x80000000u);
    memcpy(blob + 4 + UNITS * 4, "bc", 3);
    ok(charsmap_new(blob, BYTES, "x", &m, &e), &e);
    ck_assert_str_eq(charsmap_find(m, "ab", 2, true, &bytes), "bc");
    ck_assert_uint_eq(bytes, 1);
    ck_assert_ptr_null(charsmap_find(m, "b", 1, true, &bytes));
    charsmap_free(m);
    put32(blob + 4 + 4 * (256 ^ 'a' ^ 1), 0x80000004u); // behind the texts
    ck_assert_int_lt(charsmap_new(blob, BYTES, "x", &m, &e), 0);
    put32(blob + 4 + 4 * (256 ^ 'a' ^ 1), 0x80000000u);
    put32(blob + 4, 512 << 10); // outside the array
    ck_assert_int_lt(charsmap_new(blob, BYTES, "x", &m, &e), 0);
    put32(blob + 4, 256 << 10);
    blob[BYTES - 1] = 'x'; // the texts do not end
    ck_assert_int_lt(charsmap_new(blob, BYTES, "x", &m, &e), 0);
    put32(blob, UNITS * 4 + 1024);
    ck_assert_int_lt(charsmap_new(blob, BYTES, "x", &m, &e), 0);
}
END_TEST

START_TEST(test_base64)
{
    static const char *const good[][2] = {
        { "", "" }, { "f", "Zg==" }, { "fo", "Zm8=" }, { "foo", "Zm9v" },
        { "foob", "Zm9vYg==" },
    };
    static const char *const bad[] = { "Z", "Zg=", "Zg=a", "Z===", "Z g=",
                                       "====" };
    uint8_t *p;
    size_t n;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct str b = { 0 };
        str_add(&b, "");
        str_add_base64(&b, good[i][0], strlen(good[i][0]));
        ck_assert_str_eq(b.s, good[i][1]);
        ck_assert(base64_decode(b.s, &p, &n));
        ck_assert_uint_eq(n, strlen(good[i][0]));
        ck_assert_int_eq(memcmp(p, good[i][0], n), 0);
        free(p);
        str_free(&b);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_msg(!base64_decode(bad[i], &p, &n), "%s", bad[i]);
}
END_TEST

/* ---- by hand ------------------------------------------------------------ */

static mohs_status print_ids(const struct tokenizer *t, const char *s, size_t n,
                             uint32_t context, struct mohs_error *err)
{
    int32_t *ids;
    uint32_t last;
    size_t count = context;
    if (context) {
        ids = xcalloc(context, sizeof *ids);
        RET_IF_ERR(tokenizer_encode(t, s, n, context, ids, &last, err));
    } else {
        RET_IF_ERR(tokenizer_ids(t, s, n, &ids, &count, err));
    }
    for (size_t i = 0; i < count; i++)
        printf("%d ", ids[i]);
    printf("\n");
    free(ids);
    return MOHS_OK;
}

static int ids_by_hand(const char *path, uint32_t context)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    struct tokenizer *t;
    char *line = NULL;
    size_t cap = 0;
    mohs_status st = tokenizer_load(path, &t, &e);
    if (st < 0) {
        fprintf(stderr, "%s\n", e.text);
        return EXIT_FAILURE;
    }
    while (st >= 0 && getline(&line, &cap, stdin) >= 0) {
        json_t *j = json_loads(line, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
        st = print_ids(t, json_string_value(j), json_string_length(j), context,
                       &e);
        json_decref(j);
    }
    if (st < 0)
        fprintf(stderr, "%s\n", e.text);
    tokenizer_free(t);
    free(line);
    return st < 0;
}

static Suite *suite(void)
{
    Suite *s = suite_create("tokenizers");
    TCase *t = tcase_create("all");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, test_golden);
    tcase_add_loop_test(t, test_known, 0, sizeof known / sizeof *known);
    tcase_add_loop_test(t, test_cleaned, 0, sizeof cleaned / sizeof *cleaned);
    tcase_add_loop_test(t, test_refused, 0, sizeof refused / sizeof *refused);
    tcase_add_test(t, test_cut_short);
    tcase_add_test(t, test_damaged_charsmap);
    tcase_add_test(t, test_base64);
    suite_add_tcase(s, t);
    return s;
}

int main(int argc, char **argv)
{
    if (argc == 4 && !strcmp(argv[1], "--ids"))
        return ids_by_hand(argv[2], (uint32_t)strtoul(argv[3], NULL, 10));
    SRunner *r = srunner_create(suite());
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
