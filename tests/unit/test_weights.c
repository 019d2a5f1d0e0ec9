/* SPDX-License-Identifier: MIT */
/* Checkpoints: what a safetensors file may claim, storage formats, the parts
 * beside the tensors, saving and hashing. */
#include "config.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <mohs/rng.h>

#include "model/weights.h"

static char dir[64];

static void setup(void)
{
    snprintf(dir, sizeof dir, "/tmp/mohs-weights-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
}

static void teardown(void)
{
    char **v;
    size_t n;
    if (dir_list(dir, &v, &n, NULL) >= 0) {
        for (size_t i = 0; i < n; i++) {
            char *p = path_join(dir, v[i]);
            unlink(p);
            free(p);
        }
        strv_free(v);
    }
    rmdir(dir);
}

static void ok(mohs_status st, const struct mohs_error *e)
{
    ck_assert_msg(st >= 0, "%s", e->text);
}

static char *put_file(const char *name, const void *data, size_t n)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    char *path = path_join(dir, name);
    ok(file_write(path, data, n, &e), &e);
    return path;
}

/* A file of this header and n bytes of data 0, 1, 2, .. */
static char *put_tensors(const char *name, const char *header, size_t n)
{
    struct str b = { 0 };
    uint64_t len = strlen(header);
    for (int i = 0; i < 8; i++) {
        char c = (char)(len >> 8 * i);
        str_addn(&b, &c, 1);
    }
    str_add(&b, header);
    for (size_t i = 0; i < n; i++) {
        char c = (char)i;
        str_addn(&b, &c, 1);
    }
    char *path = put_file(name, b.s, b.n);
    str_free(&b);
    return path;
}

/* ---- hostile headers -------------------------------------------------- */

#define T(dtype, shape, from, to)                                     \
    "{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":[" \
    #from "," #to "]}"

static const struct {
    const char *header;
    size_t n;
    const char *text; /* NULL: fine */
} headers[] = {
    { "{\"a\":" T("F32", "[2]", 0, 8) "}", 8, NULL },
    { "{\"a\":" T("F32", "[]", 0, 4) "}   ", 4, NULL },
    { "{\"a\":" T("F32", "[0,3]", 0, 0) ",\"b\":" T("U8", "[1]", 0, 1) "}", 1,
      NULL },
    { "{\"b\":" T("U8", "[1]", 4, 5) ",\"a\":" T("F16", "[2]", 0, 4) "}", 5,
      NULL },
    { "{}", 0, NULL },
    { "{}", 1, "1 bytes after the last tensor" },
    { "{\"a\":" T("F32", "[2]", 0, 8) "}", 7, "tensor \"a\" ends at byte 8 of 7" },
    { "{\"a\":" T("F32", "[2]", 0, 8) "}", 9, "1 bytes after the last tensor" },
    { "{\"a\":" T("F32", "[3]", 0, 8) "}", 8, "its shape and dtype say 12" },
    { "{\"a\":" T("F16", "[2]", 0, 8) "}", 8, "its shape and dtype say 4" },
    { "{\"a\":" T("F32", "[2]", 0, 8) ",\"b\":" T("F32", "[1]", 4, 8) "}", 8,
      "\"a\" and \"b\" overlap" },
    { "{\"a\":" T("F32", "[1]", 0, 4) ",\"b\":" T("F32", "[1]", 0, 4) "}", 4,
      "\"a\" and \"b\" overlap" },
    { "{\"a\":" T("F32", "[1]", 0, 4) ",\"b\":" T("F32", "[1]", 8, 12) "}", 12,
      "a hole of 4 bytes before tensor \"b\"" },
    { "{\"a\":" T("F32", "[1]", 4, 8) "}", 8, "a hole of 4 bytes" },
    { "{\"a\":" T("F32", "[1]", 0, 4) ",\"a\":" T("F32", "[1]", 4, 8) "}", 8,
      "duplicate object key" },
    { "{\"a\":" T("F32", "[4294967295,4294967295,4294967295]", 0, 8) "}", 8,
      "its size overflows" },
    { "{\"a\":" T("F32", "[4294967296]", 0, 8) "}", 8, "dim 0 is no size" },
    { "{\"a\":" T("F32", "[-1]", 0, 8) "}", 8, "dim 0 is no size" },
    { "{\"a\":" T("F32", "[1.5]", 0, 8) "}", 8, "dim 0 is no size" },
    { "{\"a\":" T("F32", "[1,1,1,1,1,2]", 0, 8) "}", 8, "6 dims" },
    { "{\"a\":" T("F32", "[2]", 8, 0) "}", 8, "bad data_offsets" },
    { "{\"a\":" T("F32", "[2]", -8, 0) "}", 8, "bad data_offsets" },
    { "{\"a\":" T("F32", "[2]", 0, 99999999999999999999) "}", 8, "integer" },
    { "{\"a\":" T("F31", "[2]", 0, 8) "}", 8, "unknown dtype \"F31\"" },
    { "{\"a\":{\"shape\":[2],\"data_offsets\":[0,8]}}", 8, "no dtype" },
    { "{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,8]}}", 8, "no shape" },
    { "{\"a\":{\"dtype\":\"F32\",\"shape\":[2]}}", 8, "bad data_offsets" },
    { "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0]}}", 8,
      "bad data_offsets" },
    { "{\"a\":7}", 0, "not a JSON object" },
    { "{\"__metadata__\":{\"k\":1}}", 0, "key \"k\" is not a string" },
    { "{\"__metadata__\":[]}", 0, "__metadata__ is no object" },
    { "{\"a\":", 0, "header: line 1" },
    { "{\"\xff\":1}", 0, "header: line 1" },
    { "[]", 0, "not a safetensors file" },
    { " {}", 0, "not a safetensors file" },
    { "{} x", 0, "header: line 1" },
};

START_TEST(test_header)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    struct mohs_weights *w = NULL;
    char *path = put_tensors("x.safetensors", headers[_i].header, headers[_i].n);
    mohs_status st = weights_open(path, &w, &e);
    if (headers[_i].text) {
        ck_assert_msg(st == MOHS_E_FORMAT || st == MOHS_E_UNSUPPORTED, "%s: %d",
                      headers[_i].header, st);
        ck_assert_msg(strstr(e.text, headers[_i].text) != NULL,
                      "\"%s\" lacks \"%s\"", e.text, headers[_i].text);
        ck_assert_ptr_nonnull(strstr(e.text, "x.safetensors"));
    } else {
        ok(st, &e);
    }
    weights_close(w);
    free(path);
}
END_TEST

START_TEST(test_not_a_file)
{
    static const struct {
        const char *bytes;
        size_t n;
        const char *text;
    } list[] = {
        { "", 0, "are no weights" },
        { "\2\0\0\0\0\0\0", 7, "are no weights" },
        { "\2\0\0\0\0\0\0\0", 8, "not a safetensors file" },
        { "\2\0\0\0\0\0\0\0{", 9, "not a safetensors file" },
        { "\xff\xff\xff\xff\xff\xff\xff\xff{}", 10, "not a safetensors file" },
        { "\0\0\0\0\0\0\0\0{}", 10, "not a safetensors file" },
        { "PK\3\4\24\0\0\0\0\0archive", 17, "bad zip archive" },
    };
    struct mohs_error e = MOHS_ERROR_INIT;
    struct mohs_weights *w = NULL;
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        char *path = put_file("y.safetensors", list[i].bytes, list[i].n);
        ck_assert_int_eq(weights_open(path, &w, &e), MOHS_E_FORMAT);
        ck_assert_msg(strstr(e.text, list[i].text) != NULL, "%s", e.text);
        unlink(path);
        free(path);
    }
    ck_assert_int_eq(weights_open("/nonexistent/z", &w, &e), MOHS_E_IO);
    ck_assert_ptr_nonnull(strstr(e.text, "/nonexistent/z"));
    ck_assert_int_eq(weights_open(dir, &w, &e), MOHS_E_IO);
    ck_assert_ptr_nonnull(strstr(e.text, "no model.safetensors"));
}
END_TEST

/* ---- storage formats --------------------------------------------------- */

/* IEEE half by arithmetic, to check the bit tricks against. */
static float half_value(uint16_t h)
{
    int exp = h >> 10 & 31, man = h & 1023;
    float m = exp == 31 ? (man ? NAN : INFINITY)
              : exp     ? ldexpf((float)(1024 + man), exp - 25)
                        : ldexpf((float)man, -24);
    return h & 0x8000 ? -m : m;
}

START_TEST(test_half_all)
{
    static uint16_t h[65536];
    static float f[65536];
    for (uint32_t i = 0; i < 65536; i++)
        h[i] = (uint16_t)i;
    // An odd start and length: no alignment is promised.
    half_to_float((const uint8_t *)h, f, 65536);
    float g[7];
    uint8_t odd[1 + 14];
    memcpy(odd + 1, h + 1000, 14);
    half_to_float(odd + 1, g, 7);
    ck_assert_mem_eq(g, f + 1000, sizeof g);
    for (uint32_t i = 0; i < 65536; i++) {
        float want = half_value((uint16_t)i);
        if (isnan(want)) {
            ck_assert(isnan(f[i]));
            ck_assert_uint_eq(half_from_float(f[i]) & 0x7E00, 0x7E00);
            continue;
        }
        ck_assert_mem_eq(&f[i], &want, 4);
        ck_assert_uint_eq(half_from_float(f[i]), i);
    }
}
END_TEST

START_TEST(test_half_rounding)
{
    static const struct {
        float x;
        uint16_t h;
    } list[] = {
        { 1.0f + 0x1p-11f, 0x3C00 },          // tie to even
        { 1.0f + 0x1.8p-10f, 0x3C02 },        // tie to even, upwards
        { 1.0f + 0x1.002p-11f, 0x3C01 },      // just above a tie
        { 65519.996f, 0x7BFF }, { 65520.0f, 0x7C00 }, { -1e30f, 0xFC00 },
        { 0x1p-25f, 0x0000 },   { 0x1.8p-24f, 0x0002 }, { 0x1.1p-25f, 0x0001 },
        { -0.0f, 0x8000 },      { 0x1.ff8p-15f, 0x03FF }, { 0x1.fffp-15f, 0x0400 },
    };
    for (size_t i = 0; i < sizeof list / sizeof *list; i++)
        ck_assert_msg(half_from_float(list[i].x) == list[i].h, "%a: %x, not %x",
                      (double)list[i].x, half_from_float(list[i].x), list[i].h);
}
END_TEST

START_TEST(test_dtypes)
{
    // 1.5 in each floating type, small integers in the others.
    static const uint8_t bytes[] = {
        0, 0, 0, 0, 0, 0, 0xF8, 0x3F, /* F64 */
        0, 0, 0xC0, 0x3F,             /* F32 */
        0xC0, 0x3F, 0x00, 0x3E,       /* BF16, F16 */
        0xFE, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, /* I64 -2 */
        7, 0, 0, 0x80,                /* U32 */
        1, 0xFF, 0x38,                /* BOOL, I8, F8 */
    };
    static const char head[] =
        "{\"d\":" T("F64", "[1]", 0, 8) ",\"f\":" T("F32", "[1]", 8, 12)
        ",\"b\":" T("BF16", "[1]", 12, 14) ",\"h\":" T("F16", "[1]", 14, 16)
        ",\"i\":" T("I64", "[1]", 16, 24) ",\"u\":" T("U32", "[1]", 24, 28)
        ",\"t\":" T("BOOL", "[1]", 28, 29) ",\"c\":" T("I8", "[1]", 29, 30)
        ",\"e\":" T("F8_E4M3", "[1]", 30, 31) "}";
    static const struct {
        const char *name;
        float x;
    } want[] = { { "d", 1.5f }, { "f", 1.5f }, { "b", 1.5f }, { "h", 1.5f },
                 { "i", -2 },   { "u", 2147483655.0f }, { "t", 1 }, { "c", -1 } };
    struct mohs_error e = MOHS_ERROR_INIT;
    struct mohs_weights *w;
    struct str b = { 0 };
    uint64_t len = sizeof head - 1;
    for (int i = 0; i < 8; i++)
        str_addn(&b, &(char) { (char)(len >> 8 * i) }, 1);
    str_add(&b, head);
    str_addn(&b, (const char *)bytes, sizeof bytes);
    char *path = put_file("d.safetensors", b.s, b.n);
    ok(weights_open(path, &w, &e), &e);
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        float x;
        ok(weights_api.read(w, want[i].name, &x, 1, &e), &e);
        ck_assert_float_eq(x, want[i].x);
    }
    float x[2];
    ck_assert_int_eq(weights_api.read(w, "e", x, 1, &e), MOHS_E_UNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(e.text, "tensor \"e\""));
    ck_assert_int_eq(weights_api.read(w, "f", x, 2, &e), MOHS_E_FORMAT);
    ck_assert_int_eq(weights_api.read(w, "zz", x, 1, &e), MOHS_E_FORMAT);
    ck_assert_str_eq(weights_api.name(w, 0), "d");
    ck_assert_str_eq(weights_api.name(w, 8), "e");
    ck_assert_ptr_null(weights_api.name(w, 9));
    ck_assert_int_eq(weights_api.shape(w, "zz", NULL), -1);
    weights_close(w);
    free(path);
    str_free(&b);
}
END_TEST

/* ---- saving, parts, hash ----------------------------------------------- */

static const char config_text[] =
    "{\"a\":{\"b\":3,\"s\":\"x\",\"l\":[4,5],\"n\":null,\"t\":true},\"r\":0.5}";

static struct mohs_weights *sample(float nudge)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    struct mohs_weights *w;
    float m[12], v[3] = { 1.0f / 3, -2.0f / 3, nudge };
    for (int i = 0; i < 12; i++)
        m[i] = mohs_rng_normal(1, 2, (uint64_t)i);
    ok(weights_new(config_text, "{\"model\":1}", NULL, &w, &e), &e);
    ok(weights_put(w, "z.matrix", 2, (uint32_t[]) { 4, 3 }, m, &e), &e);
    ok(weights_put(w, "a.vector", 1, (uint32_t[]) { 3 }, m, &e), &e);
    ok(weights_put(w, "a.vector", 1, (uint32_t[]) { 3 }, v, &e), &e);
    ok(weights_put(w, "scale", 0, NULL, v, &e), &e);
    return w;
}

static bool same_hash(struct hash128 a, struct hash128 b)
{
    return a.hi == b.hi && a.lo == b.lo;
}

START_TEST(test_save)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    struct mohs_weights *w = sample(5), *r, *h;
    char *path = path_join(dir, "s.safetensors");
    char *half = path_join(dir, "h.safetensors");
    static const char *const meta[] = { "step", "12", "note", "\"q\"\n", NULL };
    ok(weights_save(w, path, false, meta, &e), &e);
    ok(weights_save(w, half, true, NULL, &e), &e);
    ok(weights_open(path, &r, &e), &e);
    ok(weights_open(half, &h, &e), &e);
    ck_assert(same_hash(weights_hash(w), weights_hash(r)));
    ck_assert(!same_hash(weights_hash(w), weights_hash(h)));
    ck_assert_str_eq(weights_meta(r, "step"), "12");
    ck_assert_str_eq(weights_meta(r, "note"), "\"q\"\n");
    ck_assert_str_eq(weights_meta(r, "format"), "pt");
    ck_assert_ptr_null(weights_meta(h, "step"));
    ck_assert_str_eq(weights_config(r), config_text);
    ck_assert_str_eq(weights_tokenizer(r), "{\"model\":1}");
    ck_assert_ptr_null(weights_preprocessor(r));
    ck_assert_str_eq(weights_path(r), path);
    float a[12], b[12];
    uint32_t dims[5];
    ck_assert_int_eq(weights_api.shape(h, "z.matrix", dims), 2);
    ck_assert_uint_eq(dims[0], 4);
    ck_assert_int_eq(weights_api.shape(h, "scale", dims), 0);
    ok(weights_api.read(w, "z.matrix", a, 12, &e), &e);
    ok(weights_api.read(h, "z.matrix", b, 12, &e), &e);
    for (int i = 0; i < 12; i++) // half an ulp of a half
        ck_assert_float_le(fabsf(a[i] - b[i]), fabsf(a[i]) * 0x1p-11f);
    ok(weights_api.read(h, "a.vector", b, 3, &e), &e);
    ck_assert_float_eq(b[0], 1.0f / 3); // vectors stay whole
    ck_assert_float_eq(b[2], 5);

    // Saving what was opened gives the same bytes again.
    char *again = path_join(dir, "again.safetensors"), *x, *y;
    size_t nx, ny;
    ok(weights_save(h, again, true, NULL, &e), &e);
    ok(file_read(half, 0, &x, &nx, &e), &e);
    ok(file_read(again, 0, &y, &ny, &e), &e);
    ck_assert_uint_eq(nx, ny);
    ck_assert_mem_eq(x, y, nx);
    free(x);
    free(y);
    weights_close(w);
    weights_close(r);
    weights_close(h);
    free(path);
    free(half);
    free(again);
}
END_TEST

START_TEST(test_save_fails)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    struct mohs_weights *w = sample(0);
    ck_assert_int_eq(weights_save(w, "/nonexistent/d/f", false, NULL, &e),
                     MOHS_E_IO);
    ck_assert_ptr_nonnull(strstr(e.text, "/nonexistent/d/f"));
    // A value that half precision cannot hold: an error, and the old file
    // is still there.
    char *path = put_file("keep.safetensors", "old", 3), *data;
    size_t n;
    float big[2] = { 1, 1e6f };
    ok(weights_put(w, "big", 2, (uint32_t[]) { 1, 2 }, big, &e), &e);
    ck_assert_int_eq(weights_save(w, path, true, NULL, &e), MOHS_E_NUMERIC);
    ck_assert_ptr_nonnull(strstr(e.text, "\"big\": 1e+06"));
    ok(file_read(path, 0, &data, &n, &e), &e);
    ck_assert_str_eq(data, "old");
    free(data);
    ok(weights_save(w, path, false, NULL, &e), &e);
    char **v;
    ok(dir_list(dir, &v, &n, &e), &e);
    ck_assert_uint_eq(n, 1); // no temporary left
    strv_free(v);
    ck_assert_int_lt(weights_put(w, "x", 6, (uint32_t[6]) { 1 }, big, &e), 0);
    ck_assert_int_lt(weights_put(w, "\xff", 0, NULL, big, &e), 0);
    ck_assert_int_lt(weights_put(w, "__metadata__", 0, NULL, big, &e), 0);
    weights_close(w);
    free(path);
}
END_TEST

START_TEST(test_hash)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    struct mohs_weights *a = sample(1), *b = sample(1), *c = sample(2), *d;
    ck_assert(same_hash(weights_hash(a), weights_hash(b)));
    ck_assert(!same_hash(weights_hash(a), weights_hash(c)));
    // Order, layout of the configuration: no difference. Its values: yes.
    ok(weights_new("{\"r\":0.5, \"a\":{\"s\":\"x\",\"b\":3,\"l\":[4,5],"
                   "\"t\":true,\"n\":null}}", NULL, NULL, &d, &e), &e);
    static const char *const names[] = { "scale", "a.vector", "z.matrix" };
    for (int i = 0; i < 3; i++) {
        uint32_t dims[5];
        float v[12];
        int32_t n = weights_api.shape(a, names[i], dims);
        uint64_t count = n == 0 ? 1 : n == 1 ? 3 : 12;
        ok(weights_api.read(a, names[i], v, count, &e), &e);
        ok(weights_put(d, names[i], (uint32_t)n, dims, v, &e), &e);
    }
    ck_assert(same_hash(weights_hash(a), weights_hash(d)));
    float v[3] = { 0 };
    ok(weights_put(d, "a.vector", 1, (uint32_t[]) { 3 }, v, &e), &e);
    ck_assert(!same_hash(weights_hash(a), weights_hash(d)));
    weights_close(a);
    weights_close(b);
    weights_close(c);
    weights_close(d);
}
END_TEST

START_TEST(test_config)
{
    struct mohs_weights *w = sample(0);
    double x = 0;
    const char *s = NULL;
    ck_assert_int_eq(weights_api.config_number(w, "a.b", &x), 1);
    ck_assert_double_eq(x, 3);
    ck_assert_int_eq(weights_api.config_number(w, "r", &x), 1);
    ck_assert_double_eq(x, 0.5);
    ck_assert_int_eq(weights_api.config_number(w, "a.l.1", &x), 1);
    ck_assert_double_eq(x, 5);
    ck_assert_int_eq(weights_api.config_number(w, "a.l.2", &x), 0);
    ck_assert_int_eq(weights_api.config_number(w, "a.l.x", &x), 0);
    ck_assert_int_eq(weights_api.config_number(w, "a.s", &x), -1);
    ck_assert_int_eq(weights_api.config_number(w, "a.t", &x), 1);
    ck_assert_double_eq(x, 1); // true counts as one
    ck_assert_int_eq(weights_api.config_number(w, "a.n", &x), 0);
    ck_assert_int_eq(weights_api.config_number(w, "a.b.c", &x), 0);
    ck_assert_int_eq(weights_api.config_number(w, "", &x), 0);
    ck_assert_int_eq(weights_api.config_string(w, "a.s", &s), 1);
    ck_assert_str_eq(s, "x");
    ck_assert_int_eq(weights_api.config_string(w, "r", &s), -1);
    weights_close(w);
    struct mohs_error e = MOHS_ERROR_INIT;
    ck_assert_int_eq(weights_new("{", NULL, NULL, &w, &e), MOHS_E_FORMAT);
    ck_assert_ptr_nonnull(strstr(e.text, "config"));
    ck_assert_int_eq(weights_new("[1]", NULL, NULL, &w, &e), MOHS_E_FORMAT);
    ck_assert_int_eq(weights_new("{\"a\":1,\"a\":2}", NULL, NULL, &w, &e),
                     MOHS_E_FORMAT);
}
END_TEST

START_TEST(test_directory)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    struct mohs_weights *w;
    free(put_file("config.json", "{\"q\":1}", 7));
    free(put_file("preprocessor_config.json", "{\"p\":1}", 7));
    free(put_file("vocab.json",
                  "{\"a\":0,\"<|startoftext|>\":1,\"<|endoftext|>\":2}", 45));
    free(put_file("merges.txt", "#version: 0.2\n", 14));
    char *one = put_tensors("model.safetensors",
                            "{\"__metadata__\":{\"config\":\"{\\\"q\\\":2}\"},"
                            "\"a\":" T("F32", "[1]", 0, 4) "}", 4);
    double x;
    ok(weights_open(dir, &w, &e), &e);
    ck_assert_str_eq(weights_preprocessor(w), "{\"p\":1}");
    ck_assert_ptr_nonnull(strstr(weights_tokenizer(w), "\"merges\":[]"));
    ck_assert_int_eq(weights_api.config_number(w, "q", &x), 1);
    ck_assert_double_eq(x, 1); // in a directory config.json wins
    weights_close(w);
    ok(weights_open(one, &w, &e), &e);
    ck_assert_int_eq(weights_api.config_number(w, "q", &x), 1);
    ck_assert_double_eq(x, 2); // a lone file carries its own
    ck_assert_str_eq(weights_preprocessor(w), "{\"p\":1}");
    weights_close(w);
    free(put_file("merges.txt", "a b\nab\n", 7));
    ck_assert_int_eq(weights_open(dir, &w, &e), MOHS_E_FORMAT);
    ck_assert_ptr_nonnull(strstr(e.text, "line 2"));
    free(put_file("config.json", "{", 1));
    free(put_file("merges.txt", "", 0));
    ck_assert_int_eq(weights_open(dir, &w, &e), MOHS_E_FORMAT);
    ck_assert_ptr_nonnull(strstr(e.text, "config"));
    free(one);
}
END_TEST

START_TEST(test_shards)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    struct mohs_weights *w;
    static const char good[] =
        "{\"weight_map\":{\"a\":\"m-1.safetensors\",\"b\":\"m-2.safetensors\"}}";
    static const struct {
        const char *index, *text;
    } bad[] = {
        { "{\"weight_map\":{\"a\":\"m-1.safetensors\",\"c\":"
          "\"m-2.safetensors\"}}", "tensor \"c\" is not in" },
        { "{\"weight_map\":{\"a\":\"../m-1.safetensors\"}}", "plain file name" },
        { "{\"weight_map\":{\"a\":7}}", "plain file name" },
        { "{\"weight_map\":7}", "no \"weight_map\"" },
        { "{\"weight_map\":{\"a\":\"m-1.safetensors\",\"b\":"
          "\"m-3.safetensors\"}}", "is there twice" },
        { "{\"weight_map\":{\"a\":\"m-9.safetensors\"}}", "m-9.safetensors" },
    };
    free(put_tensors("m-1.safetensors", "{\"a\":" T("U8", "[2]", 0, 2) "}", 2));
    free(put_tensors("m-2.safetensors", "{\"b\":" T("U8", "[3]", 0, 3) "}", 3));
    free(put_tensors("m-3.safetensors", "{\"a\":" T("U8", "[3]", 0, 3) "}", 3));
    free(put_file("model.safetensors.index.json", good, sizeof good - 1));
    ok(weights_open(dir, &w, &e), &e);
    float x[3];
    ok(weights_api.read(w, "b", x, 3, &e), &e);
    ck_assert_float_eq(x[2], 2);
    weights_close(w);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        free(put_file("model.safetensors.index.json", bad[i].index,
                      strlen(bad[i].index)));
        ck_assert_int_lt(weights_open(dir, &w, &e), 0);
        ck_assert_msg(strstr(e.text, bad[i].text) != NULL, "%s", e.text);
    }
}
END_TEST

START_TEST(test_many)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    struct mohs_weights *w, *r;
    char name[32], *path = path_join(dir, "many.safetensors");
    ok(weights_new(NULL, NULL, NULL, &w, &e), &e);
    for (uint32_t i = 0; i < 3000; i++) {
        float x = (float)i;
        snprintf(name, sizeof name, "t.%u", i);
        ok(weights_put(w, name, 1, (uint32_t[]) { 1 }, &x, &e), &e);
    }
    ok(weights_save(w, path, true, NULL, &e), &e);
    ok(weights_open(path, &r, &e), &e);
    for (uint32_t i = 0; i < 3000; i++) {
        float x;
        snprintf(name, sizeof name, "t.%u", i);
        ok(weights_api.read(r, name, &x, 1, &e), &e);
        ck_assert_float_eq(x, (float)i);
    }
    weights_close(w);
    weights_close(r);
    free(path);
}
END_TEST

START_TEST(test_json_bombs)
{
    // configurations and indices that nest without end or name a key twice
    static const char *const files[] = { "config.json", "open_clip_config.json",
                                         "bomb.json" };
    struct mohs_error e = MOHS_ERROR_INIT;
    struct mohs_weights *w = NULL;
    float x = 1;
    ok(weights_new(NULL, NULL, NULL, &w, &e), &e);
    ok(weights_put(w, "a", 0, NULL, &x, &e), &e);
    char *path = path_join(dir, "bomb.safetensors");
    ok(weights_save(w, path, false, NULL, &e), &e);
    weights_close(w);
    struct str bomb = { 0 };
    str_add(&bomb, "{\"a\":");
    for (int i = 0; i < 200000; i++)
        str_add(&bomb, i % 2 ? "[" : "{\"a\":");
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char *name = put_file(files[i], bomb.s, bomb.n);
        ck_assert_int_eq(weights_open(path, &w, &e), MOHS_E_FORMAT);
        ck_assert_msg(strstr(e.text, files[i]) != NULL, "%s", e.text);
        unlink(name);
        free(name);
    }
    str_free(&bomb);
    static const char twice[] = "{\"vision_cfg\": 1, \"vision_cfg\": 2}";
    char *name = put_file("bomb.json", twice, sizeof twice - 1);
    ck_assert_int_eq(weights_open(path, &w, &e), MOHS_E_FORMAT);
    unlink(name);
    free(name);
    free(path);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("weights");
    TCase *t = tcase_create("all");
    tcase_add_test(t, test_json_bombs);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_loop_test(t, test_header, 0, sizeof headers / sizeof *headers);
    tcase_add_test(t, test_not_a_file);
    tcase_add_test(t, test_half_all);
    tcase_add_test(t, test_half_rounding);
    tcase_add_test(t, test_dtypes);
    tcase_add_test(t, test_save);
    tcase_add_test(t, test_save_fails);
    tcase_add_test(t, test_hash);
    tcase_add_test(t, test_config);
    tcase_add_test(t, test_directory);
    tcase_add_test(t, test_shards);
    tcase_add_test(t, test_many);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
