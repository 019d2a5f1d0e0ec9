/* SPDX-License-Identifier: MIT */
/*
 * PyTorch archives against the same tensors as safetensors (files by
 * tests/golden/torch_files.py), and archives and pickles that mean harm: one error
 * that says what, nothing executed.
 */
#include "config.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "model/weights.h"

static char dir[64];

static void setup(void)
{
    snprintf(dir, sizeof dir, "/tmp/mohs-torch-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
}

static void teardown(void)
{
    char *cmd = xasprintf("rm -rf %s", dir);
    ck_assert_int_eq(system(cmd), 0);
    free(cmd);
}

/* ---- golden ----------------------------------------------------------- */

static struct mohs_weights *open_golden(const char *name)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    struct mohs_weights *w = NULL;
    char *path = xasprintf("%s/tests/golden/torch/%s", SRCDIR, name);
    ck_assert_msg(weights_open(path, &w, &e) >= 0, "%s", e.text);
    free(path);
    return w;
}

static const struct {
    const char *file, *same, *format;
} golden[] = {
    { "plain.pt", "plain.safetensors", "PyTorch" },
    { "protocol4.pt", "plain.safetensors", "PyTorch" },
    { "nested.pth", "plain.safetensors", "PyTorch" },
    { "sharded", "plain.safetensors", "PyTorch" },
    { "script.pt", "script.safetensors", "TorchScript" },
    { "module.pt", "module.safetensors", "PyTorch" },
};

START_TEST(test_golden)
{
    struct mohs_weights *a = open_golden(golden[_i].file);
    struct mohs_weights *b = open_golden(golden[_i].same);
    ck_assert_str_eq(a->format, golden[_i].format);
    ck_assert_uint_eq(a->n, b->n);
    for (size_t i = 0; i < b->n; i++) {
        const struct wtensor *want = &b->v[i], *t = weights_find(a, want->name);
        ck_assert_msg(t != NULL, "no %s", want->name);
        ck_assert_int_eq(t->dtype, want->dtype);
        ck_assert_uint_eq(t->n_dims, want->n_dims);
        ck_assert_mem_eq(t->dims, want->dims, sizeof *t->dims * t->n_dims);
        ck_assert_mem_eq(t->data, want->data,
                         t->count * dtype_table[t->dtype].bytes);
    }
    struct hash128 x = weights_hash(a), y = weights_hash(b);
    ck_assert(x.hi == y.hi && x.lo == y.lo);
    weights_close(a);
    weights_close(b);
}
END_TEST

START_TEST(test_mapped)
{
    // what lies in one piece is not copied
    struct mohs_weights *w = open_golden("plain.pt");
    ck_assert_ptr_null(weights_find(w, "a.weight")->own);
    ck_assert_ptr_null(weights_find(w, "rows")->own);
    ck_assert_ptr_nonnull(weights_find(w, "turned")->own);
    weights_close(w);
}
END_TEST

START_TEST(test_legacy)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    struct mohs_weights *w;
    ck_assert_int_eq(weights_open(SRCDIR "/tests/golden/torch/legacy.pt", &w, &e),
                     MOHS_E_UNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(e.text, "torch.save(torch.load("));
}
END_TEST

/* ---- archives made here ------------------------------------------------ */

struct member {
    const char *name;
    const void *data;
    uint32_t n;
};

static void put16(struct str *b, uint32_t x)
{
    char c[] = { (char)x, (char)(x >> 8) };
    str_addn(b, c, 2);
}

static void put32(struct str *b, uint32_t x)
{
    put16(b, x & 0xFFFF);
    put16(b, x >> 16);
}

static void put64(struct str *b, uint64_t x)
{
    put32(b, (uint32_t)x);
    put32(b, (uint32_t)(x >> 32));
}

enum { LIE_NONE, LIE_ZIP64, LIE_OVERLAP, LIE_LONG, LIE_LOCAL, LIE_COUNT,
       LIE_AT, LIE_PLAIN, LIE_ENCRYPTED, LIE_ZIP64_SHORT };

/* An archive of stored members; `lie` is told about the last one. */
static void make_zip(struct str *b, const struct member *m, size_t n, int lie)
{
    uint32_t at[8];
    struct str d = { 0 };
    for (size_t i = 0; i < n; i++) {
        at[i] = (uint32_t)b->n;
        put32(b, 0x04034b50);
        put16(b, 0);
        put32(b, 0);
        put32(b, 0);
        put32(b, 0);
        put32(b, m[i].n);
        put32(b, m[i].n);
        put16(b, (uint32_t)strlen(m[i].name));
        put16(b, 0);
        str_add(b, m[i].name);
        str_addn(b, m[i].data, m[i].n);
    }
    for (size_t i = 0; i < n; i++) {
        bool last = i + 1 == n, z64 = last && (lie == LIE_ZIP64 ||
                                               lie == LIE_ZIP64_SHORT);
        uint32_t bytes = last && lie == LIE_LONG ? 1 << 20 : m[i].n;
        put32(&d, 0x02014b50);
        put32(&d, 0);
        put16(&d, last && lie == LIE_ENCRYPTED);
        put16(&d, 0);
        put32(&d, 0);
        put32(&d, 0);
        put32(&d, z64 ? UINT32_MAX : bytes);
        put32(&d, z64 ? UINT32_MAX : last && lie == LIE_PLAIN ? 1 << 30 : bytes);
        put16(&d, (uint32_t)strlen(m[i].name));
        put16(&d, z64 ? 28 : 0);
        put32(&d, 0);
        put32(&d, 0);
        put16(&d, 0);
        put32(&d, z64 ? UINT32_MAX
                      : last && lie == LIE_OVERLAP ? at[0]
                      : at[i] + (last && lie == LIE_LOCAL));
        str_add(&d, m[i].name);
        if (z64) {
            put16(&d, 1);
            put16(&d, lie == LIE_ZIP64 ? 24 : 4);
            put64(&d, m[i].n);
            put64(&d, m[i].n);
            put64(&d, at[i]);
        }
    }
    uint32_t from = (uint32_t)b->n;
    str_addn(b, d.s, d.n);
    put32(b, 0x06054b50);
    put32(b, 0);
    put16(b, (uint32_t)n + (lie == LIE_COUNT));
    put16(b, (uint32_t)n + (lie == LIE_COUNT));
    put32(b, (uint32_t)d.n);
    put32(b, lie == LIE_AT ? UINT32_MAX - 1 : from);
    put16(b, 0);
    str_free(&d);
}

static mohs_status open_bytes(const struct str *b, struct mohs_weights **w,
                              struct mohs_error *e)
{
    char *path = path_join(dir, "x.pt");
    ck_assert_int_ge(file_write(path, b->s, b->n, e), 0);
    mohs_status st = weights_open(path, w, e);
    free(path);
    return st;
}

/* {"w": tensor of floats}: storage key "0", offset, size, stride. */
#define TENSOR(offset, size, stride)                                     \
    "\x80\x02}X\1\0\0\0w" "ctorch._utils\n_rebuild_tensor_v2\n"          \
    "((X\7\0\0\0storage" "ctorch\nFloatStorage\nX\1\0\0\0" "0"           \
    "X\3\0\0\0cpuK\4tQ" offset size stride "\x89" "N" "tRs."
#define OF(text) text, sizeof(text) - 1

static const struct {
    int lie;
    const char *text; /* NULL: it must load */
} zips[] = {
    { LIE_NONE, NULL },
    { LIE_ZIP64, NULL },
    { LIE_ZIP64_SHORT, "short zip64" },
    { LIE_OVERLAP, "overlap" },
    { LIE_LONG, "ends behind" },
    { LIE_LOCAL, "no header of" },
    { LIE_COUNT, "directory" },
    { LIE_AT, "directory is not inside" },
    { LIE_PLAIN, "is stored in 16 bytes but has 1073741824" },
    { LIE_ENCRYPTED, "encrypted" },
};

START_TEST(test_zip)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    struct mohs_weights *w = NULL;
    struct str b = { 0 };
    static const char pkl[] = TENSOR("K\0", "K\2K\2\x86", "K\2K\1\x86");
    const float x[] = { 1, 2, 3, 4 };
    const struct member m[] = { { "a/data.pkl", OF(pkl) },
                                { "a/version", OF("3\n") },
                                { "a/data/0", x, sizeof x } };
    make_zip(&b, m, 3, zips[_i].lie);
    mohs_status st = open_bytes(&b, &w, &e);
    if (zips[_i].text) {
        ck_assert_int_lt(st, 0);
        ck_assert_msg(strstr(e.text, zips[_i].text) != NULL, "%s", e.text);
    } else {
        ck_assert_msg(st >= 0, "%s", e.text);
        ck_assert_mem_eq(weights_find(w, "w")->data, x, sizeof x);
        weights_close(w);
    }
    // cut off anywhere
    for (size_t n = 0; !_i && n < b.n; n++) {
        ck_assert_int_ge(weights_new(NULL, NULL, NULL, &w, &e), 0);
        ck_assert_int_lt(torch_parse(w, (const uint8_t *)b.s, n, "x", &e), 0);
        weights_close(w);
    }
    str_free(&b);
}
END_TEST

static const struct {
    const char *pickle;
    size_t n;
    const char *text;
} pickles[] = {
    { OF("\x80\x02" "cos\nsystem\nX\2\0\0\0ls\x85R."), "names os.system" },
    { OF("\x80\x02" "cposix\nsystem\n."), "names posix.system" },
    { OF("\x80\x02" "cbuiltins\neval\n."), "names builtins.eval" },
    { OF("\x80\x02" "c__builtin__\nexec\n."), "names __builtin__.exec" },
    { OF("\x80\x02" "csubprocess\nPopen\n."), "names subprocess.Popen" },
    { OF("\x80\x04\x8c\2os\x8c\6system\x93."), "names os.system" },
    { OF("\x80\x02" "ctorch.hub\nload\n."), "names torch.hub.load" },
    { OF("\x80\x02" "ctorch._utils\n_rebuild_tensor_v2.\n__globals__\n."), "names" },
    { OF("\x80\x02" "cbuiltins\ngetattr\n."), "names builtins.getattr" },
    { OF("(S'ls'\nios\nsystem\n."), "opcode 0x53" },
    { OF("\x80\x02" "(Vx\nios\nsystem\n."), "opcode 0x56" },
    { OF("\x80\x02" "(ios\nsystem\n."), "opcode 0x69" },
    { OF("\x80\x02\x82\1."), "opcode 0x82" },
    { OF("\x80\x02}"), "cut off" },
    { OF("\x80\x02X\xff\xff\xff\xff" "a."), "cut off" },
    { OF("\x80\x02\x8d\xff\xff\xff\xff\xff\xff\xff\xff."), "cut off" },
    { OF("\x80\x02" "cos"), "cut off" },
    { OF("\x80\x02" "0."), "stack is empty" },
    { OF("\x80\x02(K\1\x85."), "more or less" },
    { OF("\x80\x02(K\1u."), "stack is empty" },
    { OF("\x80\x02}(K\1u."), "key without" },
    { OF("\x80\x02K\1(K\1K\2u."), "holds none" },
    { OF("\x80\x02K\1K\2\x85R."), "no name" },
    { OF("\x80\x02K\1K\2b."), "plain value" },
    { OF("\x80\x02h\5."), "never written" },
    { OF("\x80\x02]r\xff\xff\xff\xff."), "memo too far" },
    { OF("\x80\x02]."), "no tensors" },
    { OF("\x80\x02K\1."), "no tensors" },
    // an index past the storage, in every way it can be said
    { OF(TENSOR("K\1", "K\4\x85", "K\1\x85")), "does not fit" },
    { OF(TENSOR("K\0", "K\5\x85", "K\1\x85")), "does not fit" },
    { OF(TENSOR("K\0", "K\2K\2\x86", "K\3K\1\x86")), "does not fit" },
    { OF(TENSOR("J\xff\xff\xff\xff", "K\2\x85", "K\1\x85")), "no offset" },
    { OF(TENSOR("\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f", "K\2\x85", "K\1\x85")),
      "no offset" },
    { OF(TENSOR("K\0", "K\2\x85", "\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f\x85")),
      "does not fit" },
    { OF(TENSOR("K\0", "J\xff\xff\xff\xff\x85", "K\1\x85")), "size or stride" },
    { OF(TENSOR("K\0", "\x8a\x05\xff\xff\xff\xff\x0f\x85", "K\1\x85")),
      "size or stride" },
    { OF(TENSOR("K\0", "J\0\0\0\x7fJ\0\0\0\x7fJ\0\0\0\x7f\x87",
                "K\0K\0K\0\x87")), "overflows" },
    // an expanded view of gigabytes
    { OF(TENSOR("K\0", "J\0\0\0\x7f\x85", "K\0\x85")), "larger than the file" },
    { OF(TENSOR("K\0", "K\2\x85", "K\1K\1\x86")), "no shape" },
    { OF(TENSOR("K\0", "(K\1K\1K\1K\1K\1K\1t", "(K\1K\1K\1K\1K\1K\1t")), "6 dims" },
    { OF("\x80\x02}X\1\0\0\0w" "ctorch._utils\n_rebuild_tensor_v2\nK\1\x85Rs."),
      "no storage" },
    { OF("\x80\x02}X\1\0\0\0w" "ctorch._utils\n_rebuild_tensor_v2\n)Rs."),
      "no storage" },
};

START_TEST(test_pickle)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    struct mohs_weights *w = NULL;
    struct str b = { 0 };
    const struct member m[] = {
        { "a/data.pkl", pickles[_i].pickle, (uint32_t)pickles[_i].n },
        { "a/data/0", (const float[4]) { 0 }, 16 },
    };
    make_zip(&b, m, 2, LIE_NONE);
    ck_assert_int_lt(open_bytes(&b, &w, &e), 0);
    ck_assert_msg(strstr(e.text, pickles[_i].text) != NULL, "%s", e.text);
    ck_assert_ptr_nonnull(strstr(e.text, "x.pt"));
    str_free(&b);
}
END_TEST

static const struct {
    struct member m[3];
    size_t n;
    const char *text;
} archives[] = {
    { { { "a/version", OF("3\n") } }, 1, "without data.pkl" },
    { { { "a/data.pkl", OF(".") }, { "b/data.pkl", OF(".") } }, 2,
      "a/data.pkl and b/data.pkl" },
    { { { "a/data.pkl", OF("\x80\x02}.") }, { "a/data.pkl", OF("\x80\x02}.") } },
      2, "there twice" },
    { { { "a/data.pkl", OF(TENSOR("K\0", "K\1\x85", "K\1\x85")) } }, 1,
      "no member a/data/0" },
    { { { "a/data.pkl", OF(TENSOR("K\0", "K\1\x85", "K\1\x85")) },
        { "a/data/0", OF("abcd") },
        { "a/byteorder", OF("big") } }, 3, "big-endian" },
};

START_TEST(test_archive)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    struct mohs_weights *w = NULL;
    struct str b = { 0 };
    make_zip(&b, archives[_i].m, archives[_i].n, LIE_NONE);
    ck_assert_int_lt(open_bytes(&b, &w, &e), 0);
    ck_assert_msg(strstr(e.text, archives[_i].text) != NULL, "%s", e.text);
    str_free(&b);
}
END_TEST

START_TEST(test_twice)
{
    // two tensors of one name: an error, not the last
    struct mohs_error e = MOHS_ERROR_INIT;
    struct mohs_weights *w = NULL;
    struct str b = { 0 };
    static const char pkl[] =
        "\x80\x02}(X\1\0\0\0w" "ctorch._utils\n_rebuild_tensor_v2\n"
        "((X\7\0\0\0storage" "ctorch\nFloatStorage\nX\1\0\0\0" "0"
        "X\3\0\0\0cpuK\4tQK\0K\1\x85K\1\x85\x89NtRq\1X\1\0\0\0wh\1u.";
    const struct member m[] = { { "a/data.pkl", OF(pkl) },
                                { "a/data/0", (const float[4]) { 0 }, 16 } };
    make_zip(&b, m, 2, LIE_NONE);
    ck_assert_int_lt(open_bytes(&b, &w, &e), 0);
    ck_assert_msg(strstr(e.text, "there twice") != NULL, "%s", e.text);
    str_free(&b);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("torch_file");
    TCase *tc = tcase_create("all");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, test_golden, 0, sizeof golden / sizeof *golden);
    tcase_add_test(tc, test_mapped);
    tcase_add_test(tc, test_legacy);
    tcase_add_loop_test(tc, test_zip, 0, sizeof zips / sizeof *zips);
    tcase_add_loop_test(tc, test_pickle, 0, sizeof pickles / sizeof *pickles);
    tcase_add_loop_test(tc, test_archive, 0, sizeof archives / sizeof *archives);
    tcase_add_test(tc, test_twice);
    suite_add_tcase(s, tc);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
