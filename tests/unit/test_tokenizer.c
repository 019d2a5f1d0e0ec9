/* SPDX-License-Identifier: MIT */
/*
 * Tokens against the tokenizers library and transformers' CLIPTokenizer
 * (golden files by tests/golden/tokenizer.py): 10,000 texts in many scripts,
 * variants of tokenizer.json, hostile files, threads, training. With
 * arguments: `--train SIZE` makes a tokenizer.json from the lines on stdin,
 * `--check FILE` prints what `tokenizer.py --check FILE` does.
 */
#include "config.h"

#include <check.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <mohs/rng.h>

#include "model/tokenizer.h"

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
        size_t end = 1;
        while (end + 1 < used &&
               json_integer_value(json_array_get(want, end)) != eos)
            end++;
        ck_assert_uint_eq(last, end);
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
    uint32_t sum = checksum(all, count + t->n_before + t->n_after);
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
    str_free(&report);
}
END_TEST

/* ---- bytes that are no text -------------------------------------------- */

START_TEST(test_bad_utf8)
{
    // What Python's bytes.decode("utf-8", "replace") makes of them.
    static const struct {
        const char *bytes;
        size_t n;
        const char *text;
    } list[] = {
        { "\xff", 1, "\uFFFD" },
        { "a\xc3", 2, "a\uFFFD" },
        { "\xe2\x82", 2, "\uFFFD" },
        { "\xe2\x28\xa1", 3, "\uFFFD(\uFFFD" },
        { "\xf0\x9f\x98", 3, "\uFFFD" },
        { "\xf0\x9f\x98\xf0\x9f\x98\x80", 7, "\uFFFD\U0001F600" },
        { "\xed\xa0\x80", 3, "\uFFFD\uFFFD\uFFFD" },
        { "\xc0\xaf", 2, "\uFFFD\uFFFD" },
        { "\xf4\x90\x80\x80", 4, "\uFFFD\uFFFD\uFFFD\uFFFD" },
        { "\xf8\x88\x80\x80\x80", 5, "\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD" },
        { "\x80x\xbf", 3, "\uFFFDx\uFFFD" },
    };
    struct mohs_error e = MOHS_ERROR_INIT;
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        int32_t *a, *b;
        size_t n, m;
        ok(tokenizer_ids(clip, list[i].bytes, list[i].n, &a, &n, &e), &e);
        ok(tokenizer_ids(clip, list[i].text, strlen(list[i].text), &b, &m, &e), &e);
        ck_assert_msg(n == m && !memcmp(a, b, n * sizeof *a), "case %zu", i);
        free(a);
        free(b);
    }
}
END_TEST

/* Long texts end in time, and too long ones in an error. */
START_TEST(test_long)
{
    static const char *const unit[] = { "a", "ab ", "'s", "\u0301", "\U0001F44D",
                                        "\u0327\u0301", "!", " ", "\xff",
                                        "<|endoftext|>", "z9" };
    struct mohs_error e = MOHS_ERROR_INIT;
    enum { LONG = 1 << 20 };
    double start = now_s();
    for (size_t i = 0; i < sizeof unit / sizeof *unit; i++) {
        struct str s = { 0 };
        while (s.n + strlen(unit[i]) <= LONG)
            str_add(&s, unit[i]);
        int32_t *ids;
        size_t n;
        ok(tokenizer_ids(clip, s.s, s.n, &ids, &n, &e), &e);
        ck_assert(n > 0 || unit[i][0] == ' ');
        free(ids);
        str_add(&s, "0123456789");
        while (s.n <= LONG)
            str_add(&s, "-");
        ck_assert_int_eq(tokenizer_ids(clip, s.s, s.n, &ids, &n, &e), MOHS_E_ARG);
        str_free(&s);
    }
    ck_assert_double_lt(now_s() - start, 30); // seconds; quadratic would be days
}
END_TEST

/* An end token inside the text is where CLIP looks; the cut keeps an end. */
/* What was encoded comes back, in lower case and with single spaces. */
START_TEST(test_decode)
{
    static const struct {
        const char *text, *back;
    } cases[] = {
        { "A  Photo of two\tdogs", "a photo of two dogs" },
        { "cats, dogs!", "cats , dogs !" },
        { "na\xc3\xafve \xf0\x9f\x98\x80", "na\xc3\xafve \xf0\x9f\x98\x80" },
        { "", "" },
    };
    struct mohs_error e = MOHS_ERROR_INIT;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int32_t ids[77], again[77];
        uint32_t last, last_again;
        struct str s = { 0 };
        ok(tokenizer_encode(clip, cases[i].text, strlen(cases[i].text), 77, ids, &last, &e),
           &e);
        tokenizer_decode(clip, ids, 77, &s);
        ck_assert_str_eq(s.s, cases[i].back);
        ok(tokenizer_encode(clip, s.s, s.n, 77, again, &last_again, &e), &e);
        ck_assert_int_eq(memcmp(ids, again, sizeof ids), 0);
        str_free(&s);
    }
    // part of a character is no text; ids that are none are left out
    struct str s = { 0 };
    int32_t strange[] = { -1, 1 << 21, 49406, 49407 };
    tokenizer_decode(clip, strange, 4, &s);
    ck_assert_str_eq(s.s, "");
    str_free(&s);
}
END_TEST

START_TEST(test_end)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    int32_t ids[8];
    uint32_t last;
    static const char text[] = "a <|endoftext|> b c d e f g h i";
    ok(tokenizer_encode(clip, text, sizeof text - 1, 8, ids, &last, &e), &e);
    ck_assert_uint_eq(last, 2);
    ck_assert_str_eq(tokenizer_text(clip, ids[2]), "<|endoftext|>");
    ck_assert_str_eq(tokenizer_text(clip, ids[7]), "<|endoftext|>");
    ck_assert_str_eq(tokenizer_text(clip, ids[3]), "b");
    ok(tokenizer_encode(clip, "", 0, 8, ids, &last, &e), &e);
    ck_assert_uint_eq(last, 1);
    ck_assert_str_eq(tokenizer_text(clip, -1), "");
    ck_assert_str_eq(tokenizer_text(clip, 1 << 30), "");
    ck_assert_uint_eq(tokenizer_size(clip), 3000);
}
END_TEST

/* ---- hostile files ------------------------------------------------------ */

#define MODEL(rest) "{\"model\":{\"type\":\"BPE\"," rest "}}"
#define VOCAB "\"vocab\":{\"a\":0,\"b\":1,\"ab\":2},\"merges\":[\"a b\"]"
#define WITH(rest) "{\"model\":{\"type\":\"BPE\"," VOCAB "}," rest "}"

static const struct {
    const char *json, *text; /* NULL: fine */
} files[] = {
    { MODEL(VOCAB), NULL },
    { "{\"model\":{" VOCAB "}}", NULL }, // files of old have no type
    { "", "line 1" },
    { "[]", "not a JSON object" },
    { "{}", "not BPE" },
    { "{\"model\":7}", "not BPE" },
    { "{\"model\":{\"type\":\"WordLevel\"}}", "\"WordLevel\", not BPE" },
    { "{\"model\":{\"type\":\"BPE\"},\"model\":1}", "duplicate" },
    { MODEL("\"vocab\":{},\"merges\":[]"), "vocabulary of 0" },
    { MODEL("\"vocab\":[],\"merges\":[]"), "vocabulary of 0" },
    { MODEL("\"vocab\":{\"a\":0}"), "no list of merges" },
    { MODEL("\"vocab\":{\"a\":-1},\"merges\":[]"), "token \"a\"" },
    { MODEL("\"vocab\":{\"a\":1.5},\"merges\":[]"), "token \"a\"" },
    { MODEL("\"vocab\":{\"a\":4194304},\"merges\":[]"), "token \"a\"" },
    { MODEL("\"vocab\":{\"a\":99999999999},\"merges\":[]"), "token \"a\"" },
    { MODEL("\"vocab\":{\"a\":1,\"b\":1},\"merges\":[]"), "have one id, 1" },
    { MODEL("\"vocab\":{\"a\":0,\"a\":1},\"merges\":[]"), "duplicate" },
    { MODEL("\"vocab\":{\"a\":0,\"b\":1},\"merges\":[\"a b\"]"),
      "merge 0, \"a\" with \"b\"" },
    { MODEL("\"vocab\":{\"a\":0,\"ab\":1},\"merges\":[[\"a\",\"b\"]]"), "merge 0" },
    { MODEL("\"vocab\":{\"a\":0},\"merges\":[\"a\"]"), "merge 0" },
    { MODEL("\"vocab\":{\"a\":0},\"merges\":[7]"), "merge 0" },
    { MODEL("\"vocab\":{\"a\":0},\"merges\":[[\"a\"]]"), "merge 0" },
    { MODEL("\"unk_token\":\"u\"," VOCAB), "unk_token \"u\"" },
    { MODEL("\"dropout\":0.1," VOCAB), "dropout" },
    { MODEL("\"dropout\":0.0," VOCAB), NULL },
    { WITH("\"added_tokens\":[{\"id\":9}]"), "added token" },
    { WITH("\"added_tokens\":[{\"id\":-1,\"content\":\"x\"}]"), "added token \"x\"" },
    { WITH("\"added_tokens\":[{\"id\":4194304,\"content\":\"x\"}]"), "\"x\"" },
    { WITH("\"added_tokens\":[{\"id\":9,\"content\":\"\"}]"), NULL },
    { WITH("\"normalizer\":{\"type\":\"ByteLevel\"}"), "\"ByteLevel\"" },
    { WITH("\"normalizer\":{}"), "without a type" },
    { WITH("\"normalizer\":{\"type\":\"Replace\",\"content\":\"\"}"),
      "without a pattern" },
    { WITH("\"normalizer\":{\"type\":\"Replace\",\"pattern\":{\"Regex\":\"a\"}}"),
      "without \"content\"" },
    { WITH("\"normalizer\":{\"type\":\"Sequence\"}"), "without a list" },
    { WITH("\"pre_tokenizer\":{\"type\":\"UnicodeScripts\"}"),
      "\"UnicodeScripts\"" },
    { WITH("\"pre_tokenizer\":{\"type\":\"Split\",\"behavior\":\"Gone\"}"),
      "behavior \"Gone\"" },
    { WITH("\"pre_tokenizer\":{\"type\":\"Split\",\"behavior\":\"Removed\","
           "\"pattern\":{\"Regex\":\"(\"}}"), "pattern \"(\"" },
    { WITH("\"pre_tokenizer\":{\"type\":\"Split\",\"behavior\":\"Removed\","
           "\"pattern\":{\"Regex\":\"[a&&b]\"}}"), "class inside a class" },
    { WITH("\"pre_tokenizer\":{\"type\":\"Split\",\"behavior\":\"Removed\","
           "\"pattern\":{\"Regex\":\"[a[b]]\"}}"), "class inside a class" },
    { WITH("\"pre_tokenizer\":{\"type\":\"Split\",\"behavior\":\"Removed\","
           "\"pattern\":{\"Regex\":\"[]a[:alpha:]\\\\W]\"}}"), "\\W in a class" },
    { WITH("\"post_processor\":{\"type\":\"RobertaProcessing\"}"),
      "without an id" },
    { WITH("\"post_processor\":{\"type\":\"X\"}"), "unknown post-processor" },
    { WITH("\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[]}"),
      "a template with 0 texts" },
    { WITH("\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":["
           "{\"SpecialToken\":{\"id\":\"q\"}}]}"), "no ids for \"q\"" },
};

START_TEST(test_file)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    struct tokenizer *t = NULL;
    const char *json = files[_i].json;
    mohs_status st = tokenizer_parse(json, strlen(json), "x.json", &t, &e);
    if (!files[_i].text) {
        ok(st, &e);
    } else {
        ck_assert_msg(st == MOHS_E_FORMAT || st == MOHS_E_UNSUPPORTED, "%s: %d",
                      json, st);
        ck_assert_msg(strstr(e.text, files[_i].text) != NULL, "\"%s\" lacks \"%s\"",
                      e.text, files[_i].text);
        ck_assert_ptr_nonnull(strstr(e.text, "x.json"));
    }
    tokenizer_free(t);
}
END_TEST

START_TEST(test_deep)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    struct tokenizer *t = NULL;
    struct str s = { 0 };
    str_add(&s, "{\"model\":{\"type\":\"BPE\"," VOCAB "},\"normalizer\":");
    for (int i = 0; i < 500; i++)
        str_add(&s, "{\"type\":\"Sequence\",\"normalizers\":[");
    str_add(&s, "{\"type\":\"NFC\"}");
    for (int i = 0; i < 500; i++)
        str_add(&s, "]}");
    str_add(&s, "}");
    ck_assert_int_eq(tokenizer_parse(s.s, s.n, "x", &t, &e), MOHS_E_FORMAT);
    ck_assert_ptr_nonnull(strstr(e.text, "nested too deep"));
    str_free(&s);
    for (int i = 0; i < 100000; i++)
        str_add(&s, "[");
    ck_assert_int_eq(tokenizer_parse(s.s, s.n, "x", &t, &e), MOHS_E_FORMAT);
    str_free(&s);
    ck_assert_int_eq(tokenizer_load("/nonexistent/t.json", &t, &e), MOHS_E_IO);
    ck_assert_int_eq(tokenizer_load(SRCDIR "/tests/unit", &t, &e), MOHS_E_IO);
    ck_assert_ptr_nonnull(strstr(e.text, "no tokenizer.json"));
}
END_TEST

/* A pattern that would take for ever is given up, not followed. */
START_TEST(test_slow_pattern)
{
    static const char json[] =
        WITH("\"pre_tokenizer\":{\"type\":\"Split\",\"behavior\":\"Isolated\","
             "\"pattern\":{\"Regex\":\"(a+)+$\"}}");
    struct mohs_error e = MOHS_ERROR_INIT;
    struct tokenizer *t;
    char text[4001];
    int32_t *ids;
    size_t n;
    memset(text, 'a', 4000);
    text[4000] = 'b';
    ok(tokenizer_parse(json, sizeof json - 1, "x", &t, &e), &e);
    double start = now_s();
    ok(tokenizer_ids(t, text, sizeof text, &ids, &n, &e), &e);
    ck_assert_double_lt(now_s() - start, 20);
    free(ids);
    tokenizer_free(t);
}
END_TEST

/* ---- threads ------------------------------------------------------------ */

struct crew {
    const json_t *frags, *sums;
};

static mohs_status one_text(void *user, size_t i, struct mohs_error *err)
{
    const struct crew *c = user;
    uint64_t k = i % 2000; // every text on several threads
    struct str t = text_of(c->frags, k);
    int32_t *ids;
    size_t n;
    mohs_status st = tokenizer_ids(clip, t.s, t.n, &ids, &n, err);
    str_free(&t);
    if (st < 0)
        return st;
    bool same = checksum(ids, n) ==
                (uint32_t)json_integer_value(json_array_get(c->sums, k));
    free(ids);
    return same ? MOHS_OK
                : mohs_fail(err, MOHS_E_PLUGIN, "text %u differs", (unsigned)k);
}

START_TEST(test_threads)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    struct crew c = { json_object_get(golden, "fragments"),
                      json_object_get(golden, "sums") };
    struct pool *p = pool_new(4);
    ok(pool_run(p, 8000, one_text, &c, &e), &e);
    pool_free(p);
}
END_TEST

/* ---- training ----------------------------------------------------------- */

/* By hand: "low" 5, "lower" 2, "newest" 6, "widest" 3 (Sennrich et al.). */
START_TEST(test_train)
{
    static const char *const texts[] = {
        "low low low low low lower lower", "Newest newest NEWEST newest newest",
        "newest widest widest\twidest",
    };
    // The most frequent pair each time; of equals the smaller.
    static const char *const merges[] = {
        "[\"e\",\"s\"]", "[\"es\",\"t</w>\"]", "[\"l\",\"o\"]",
        "[\"e\",\"w\"]", "[\"ew\",\"est</w>\"]", "[\"n\",\"ewest</w>\"]",
        "[\"lo\",\"w</w>\"]",
    };
    struct mohs_error e = MOHS_ERROR_INIT;
    struct tokenizer *t;
    char *json, *again;
    ok(tokenizer_train(texts, 3, 514 + 7, &json, &e), &e);
    ok(tokenizer_train(texts, 3, 514 + 7, &again, &e), &e);
    ck_assert_str_eq(json, again);
    const char *at = strstr(json, "\"merges\":[");
    ck_assert_ptr_nonnull(at);
    at += strlen("\"merges\":[");
    for (size_t i = 0; i < sizeof merges / sizeof *merges; i++) {
        ck_assert_msg(!strncmp(at, merges[i], strlen(merges[i])), "%zu: %.40s", i,
                      at);
        at += strlen(merges[i]) + (i + 1 < sizeof merges / sizeof *merges ? 2 : 0);
    }
    ck_assert_int_eq(*at, ']');
    ok(tokenizer_parse(json, strlen(json), "trained", &t, &e), &e);
    ck_assert_uint_eq(tokenizer_size(t), 521);
    int32_t *ids;
    size_t n;
    ok(tokenizer_ids(t, "newest lowest", 13, &ids, &n, &e), &e);
    ck_assert_uint_eq(n, 4);
    ck_assert_int_eq(ids[0], 517);
    ck_assert_str_eq(tokenizer_text(t, ids[0]), "newest");
    ck_assert_str_eq(tokenizer_text(t, ids[1]), "lo");
    ck_assert_str_eq(tokenizer_text(t, ids[2]), "w");
    ck_assert_str_eq(tokenizer_text(t, ids[3]), "est");
    free(ids);
    tokenizer_free(t);
    free(json);
    free(again);
    // Nothing left to merge, and no texts at all.
    ok(tokenizer_train(texts, 3, 9000, &json, &e), &e);
    ok(tokenizer_parse(json, strlen(json), "trained", &t, &e), &e);
    ck_assert_uint_lt(tokenizer_size(t), 560);
    tokenizer_free(t);
    free(json);
    ok(tokenizer_train(NULL, 0, 514, &json, &e), &e);
    ok(tokenizer_parse(json, strlen(json), "trained", &t, &e), &e);
    ck_assert_uint_eq(tokenizer_size(t), 514);
    tokenizer_free(t);
    free(json);
    ck_assert_int_eq(tokenizer_train(texts, 3, 513, &json, &e), MOHS_E_ARG);
}
END_TEST

/* Against counting everything anew for each merge. */
struct naive {
    int32_t sym[64];
    int n;
};

static int naive_best(const struct naive *w, int n_words, char *const *name,
                      int32_t *l, int32_t *r)
{
    int best = 0;
    for (int a = 0; a < n_words; a++)
        for (int i = 0; i + 1 < w[a].n; i++) {
            int count = 0;
            int32_t x = w[a].sym[i], y = w[a].sym[i + 1];
            for (int b = 0; b < n_words; b++)
                for (int k = 0; k + 1 < w[b].n; k++)
                    count += w[b].sym[k] == x && w[b].sym[k + 1] == y;
            int c = strcmp(name[x], name[*l]);
            if (!c)
                c = strcmp(name[y], name[*r]);
            if (count > best || (count == best && c < 0)) {
                best = count;
                *l = x;
                *r = y;
            }
        }
    return best;
}

START_TEST(test_train_naive)
{
    enum { WORDS = 60, MERGES = 60 };
    static struct naive w[WORDS];
    static const char letters[] = "abc";
    struct mohs_error e = MOHS_ERROR_INIT;
    char *name[6 + MERGES], text[WORDS][16], *json;
    const char *texts[WORDS];
    struct str want = { 0 };
    int n_names = 6;
    for (int i = 0; i < 6; i++)
        name[i] = xasprintf("%c%s", letters[i % 3], i < 3 ? "" : "</w>");
    for (int k = 0; k < WORDS; k++) {
        w[k].n = 2 + (int)mohs_rng_below(5, (uint64_t)k, 0, 9);
        for (int i = 0; i < w[k].n; i++) {
            w[k].sym[i] = (int32_t)mohs_rng_below(5, (uint64_t)k, 1 + (uint64_t)i, 3);
            text[k][i] = letters[w[k].sym[i]];
        }
        text[k][w[k].n] = 0;
        w[k].sym[w[k].n - 1] += 3;
        texts[k] = text[k];
    }
    for (int32_t l = 0, r = 0; n_names < 6 + MERGES;) {
        if (naive_best(w, WORDS, name, &l, &r) < 2)
            break;
        for (int k = 0; k < WORDS; k++) {
            int n = 0;
            for (int i = 0; i < w[k].n; i++) {
                bool hit = i + 1 < w[k].n && w[k].sym[i] == l &&
                           w[k].sym[i + 1] == r;
                w[k].sym[n++] = hit ? n_names : w[k].sym[i];
                i += hit;
            }
            w[k].n = n;
        }
        str_addf(&want, "%s[\"%s\",\"%s\"]", want.n ? ",\n" : "", name[l], name[r]);
        name[n_names++] = xasprintf("%s%s", name[l], name[r]);
    }
    ck_assert_int_gt(n_names, 40);
    ok(tokenizer_train(texts, WORDS, 514 + MERGES, &json, &e), &e);
    const char *have = strstr(json, "\"merges\":[");
    ck_assert_ptr_nonnull(have);
    ck_assert_msg(!strncmp(have + 10, want.s, want.n), "%.400s\nnot\n%.400s", have,
                  want.s);
    for (int i = 0; i < n_names; i++)
        free(name[i]);
    free(json);
    str_free(&want);
}
END_TEST

/* ---- by hand ------------------------------------------------------------ */

/* Reads lines, trains on them, writes the tokenizer.json. */
static int train_by_hand(uint32_t size)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    char *line = NULL, *json, **v = NULL;
    size_t cap = 0, n = 0;
    while (getline(&line, &cap, stdin) >= 0) {
        v = xrealloc(v, (n + 1) * sizeof *v);
        v[n++] = xstrdup(line);
    }
    mohs_status st = tokenizer_train((const char *const *)v, n, size, &json, &e);
    if (st >= 0)
        fputs(json, stdout);
    else
        fprintf(stderr, "%s\n", e.text);
    return st < 0;
}

/* The number that tokenizer.py --check prints. */
static int check_by_hand(const char *path)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    struct tokenizer *t;
    uint32_t h = 0;
    if (tokenizer_load(path, &t, &e) < 0) {
        fprintf(stderr, "%s\n", e.text);
        return EXIT_FAILURE;
    }
    json_t *g = json_load_file(GOLDEN "tokenizer_golden.json", JSON_ALLOW_NUL, NULL);
    for (uint64_t k = 0; k < 1000; k++) {
        struct str s = text_of(json_object_get(g, "fragments"), k);
        int32_t *ids = xcalloc(1 << 16, sizeof *ids);
        uint32_t last = 0;
        size_t n = 0;
        int32_t *plain;
        if (tokenizer_ids(t, s.s, s.n, &plain, &n, &e) < 0 ||
            tokenizer_encode(t, s.s, s.n, (uint32_t)n + 2, ids, &last, &e) < 0)
            return EXIT_FAILURE;
        h = h * 31 + checksum(ids, n + 2);
        free(plain);
        free(ids);
        str_free(&s);
    }
    printf("%u\n", h);
    return EXIT_SUCCESS;
}

static Suite *suite(void)
{
    Suite *s = suite_create("tokenizer");
    TCase *t = tcase_create("all");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, test_texts);
    tcase_add_test(t, test_listed);
    tcase_add_test(t, test_variants);
    tcase_add_test(t, test_bad_utf8);
    tcase_add_test(t, test_long);
    tcase_add_test(t, test_decode);
    tcase_add_test(t, test_end);
    tcase_add_loop_test(t, test_file, 0, sizeof files / sizeof *files);
    tcase_add_test(t, test_deep);
    tcase_add_test(t, test_slow_pattern);
    tcase_add_test(t, test_threads);
    tcase_add_test(t, test_train);
    tcase_add_test(t, test_train_naive);
    suite_add_tcase(s, t);
    return s;
}

int main(int argc, char **argv)
{
    if (argc == 3 && !strcmp(argv[1], "--train"))
        return train_by_hand((uint32_t)strtoul(argv[2], NULL, 10));
    if (argc == 3 && !strcmp(argv[1], "--check"))
        return check_by_hand(argv[2]);
    SRunner *r = srunner_create(suite());
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
