/* SPDX-License-Identifier: MIT */
/* Parquet files as pyarrow writes them (tests/golden/data.py): every codec,
 * page version, encoding and shape of column; and damaged ones. */
#include "config.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "data/data.h"
#include "data/parquet.h"

#define GOLDEN SRCDIR "/tests/golden/data/parquet/"
enum { ROWS = 11 };

#define ck_says(e, part) \
    ck_assert_msg(strstr((e).text, part) != NULL, "%s: %s", part, (e).text)

static struct dataset *read_set(const char *name, struct parquet_options o)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    struct dataset *d = NULL;
    char *path = xasprintf(GOLDEN "%s.parquet", name);
    o.path = path;
    ck_assert_msg(data_parquet(&o, &d, &e) >= 0, "%s", e.text);
    free(path);
    return d;
}

/* Picture k of data.py. */
static void picture_is(const struct dataset *d, size_t i, int k)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    struct image im;
    ck_assert_msg(data_picture(d, i, 0, &im, &e) >= 0, "%s", e.text);
    ck_assert(im.width == 8 && im.height == 8);
    const uint8_t want[3] = { (uint8_t)(37 * k), (uint8_t)(91 * k), (uint8_t)(5 * k) };
    ck_assert_mem_eq(im.rgb, want, 3);
    ck_assert_int_eq(im.rgb[(3 * 8 + k % 8) * 3], 255);
    image_free(&im);
}

static void pictures_are(const struct dataset *d)
{
    ck_assert_uint_eq(d->n_images, ROWS);
    for (int k = 0; k < ROWS; k++) // there and back: pages come and go
        picture_is(d, (size_t)k, k);
    for (int k = ROWS; k-- > 0;)
        picture_is(d, (size_t)k, k);
}

/* Codecs that share a table. */
static const char *const same_table[] = { "lz4", "brotli" };

START_TEST(other_codecs)
{
    struct dataset *d = read_set(same_table[_i], (struct parquet_options) { 0 });
    pictures_are(d);
    for (uint32_t k = 0; k < ROWS; k++)
        ck_assert_uint_eq(d->image[k].label, k % 3);
    dataset_free(d);
}
END_TEST

/* "abcabcabcabcabcabc" as a block of LZ4: 3 letters, then 10 from 3 back, then
 * the last 5 letters. Hadoop's frames give block and part sizes before it. */
#define BLOCK "\x36" "abc" "\3\0" "\x50" "bcabc"
#define SIZES(block, part) "\0\0\0" block "\0\0\0" part
enum { LZO = 3, LZ4 = 5, LZ4_RAW = 7, TEXT = 18 };

static const struct {
    int32_t codec;
    const char *in;
    size_t n;
    size_t times; /* the text in the result; 0: refused */
} unpacked[] = {
#define IN(s) s, sizeof(s) - 1
    { LZ4_RAW, IN(BLOCK), 1 },
    { LZ4, IN(BLOCK), 1 }, // as old writers had it
    { LZ4, IN(SIZES("\x12", "\xC") BLOCK), 1 },
    { LZ4, IN(SIZES("\x12", "\xC") BLOCK SIZES("\x12", "\xC") BLOCK), 2 },
    { LZ4, IN(SIZES("\x24", "\xC") BLOCK "\0\0\0\xC" BLOCK), 2 },
    { LZ4_RAW, IN(SIZES("\x12", "\xC") BLOCK), 0 },
    { LZ4, IN(SIZES("\x12", "\xD") BLOCK), 0 },
    { LZ4, IN(SIZES("\x12", "\xB") BLOCK), 0 },
    { LZ4, IN(SIZES("\x13", "\xC") BLOCK), 0 },
    { LZ4, IN("\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF"), 0 },
    { LZ4, IN("\0\0\0"), 0 },
    { LZ4, IN(""), 0 },
    { LZO, IN(BLOCK), 0 },
};

START_TEST(unpacks)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    struct parquet p = { .path = (char[]) { "x" } };
    size_t times = unpacked[_i].times ? unpacked[_i].times : 1;
    char out[2 * TEXT + 1] = { 0 };
    mohs_status st = parquet_unpack(&p, unpacked[_i].codec, unpacked[_i].in,
                                    unpacked[_i].n, out, TEXT * times, &e);
    if (!unpacked[_i].times) {
        ck_assert_int_eq(st, unpacked[_i].codec == LZO ? MOHS_E_UNSUPPORTED : MOHS_E_FORMAT);
        ck_says(e, unpacked[_i].codec == LZO ? "with LZO" : "its 18 bytes");
        return;
    }
    ck_assert_msg(st >= 0, "%s", e.text);
    for (size_t i = 0; i < TEXT * times; i++)
        ck_assert_int_eq(out[i], "abc"[i % 3]);
}
END_TEST

START_TEST(snappy_v1)
{
    struct dataset *d = read_set("snappy", (struct parquet_options) { 0 });
    pictures_are(d);
    ck_assert(d->n_texts == 0 && d->n_classes == 3);
    ck_assert_str_eq(d->classes[2], "caf\xc3\xa9");
    ck_assert_str_eq(d->image[4].id, "snappy/4");
    for (uint32_t k = 0; k < ROWS; k++)
        ck_assert_uint_eq(d->image[k].label, k % 3);
    dataset_free(d);
    d = read_set("snappy", (struct parquet_options) { .limit = 6, .label = "" });
    ck_assert(d->n_images == 6 && d->n_classes == 0 && d->image[5].label == UINT32_MAX);
    picture_is(d, 5, 5);
    dataset_free(d);
}
END_TEST

START_TEST(zstd_lists)
{
    struct dataset *d = read_set("zstd_v2", (struct parquet_options) { 0 });
    size_t at = 0;
    pictures_are(d);
    for (uint32_t k = 0; k < ROWS; k++)
        for (uint32_t j = 0; k % 5 && j < k % 4; j++, at++) {
            char want[32];
            snprintf(want, sizeof want, "caption %u.%u", k, j);
            ck_assert_uint_lt(at, d->n_texts);
            ck_assert_str_eq(d->text[at].text, want);
            ck_assert_uint_eq(d->text[at].image, k);
        }
    ck_assert_uint_eq(d->n_texts, at);
    dataset_free(d);
    d = read_set("zstd_v2", (struct parquet_options) { .captions_per_image = 1 });
    ck_assert_uint_eq(d->n_texts, 6);
    ck_assert_str_eq(d->text[1].text, "caption 2.0");
    dataset_free(d);
}
END_TEST

START_TEST(gzip_plain)
{
    struct dataset *d = read_set("gzip", (struct parquet_options) { 0 });
    pictures_are(d);
    ck_assert(d->n_texts == ROWS && d->n_classes == 3);
    ck_assert_str_eq(d->text[6].text, "text 2");
    ck_assert_str_eq(d->classes[0], "class 0");
    for (uint32_t k = 0; k < ROWS; k++)
        ck_assert_uint_eq(d->image[k].label, 2 - k % 3);
    dataset_free(d);
}
END_TEST

START_TEST(uncompressed_v2)
{
    struct dataset *d = read_set("none_v2", (struct parquet_options) { 0 });
    pictures_are(d); // found by its bytes, though its name is not usual
    ck_assert_str_eq(d->text[7].text, "text 3");
    ck_assert_uint_eq(d->image[7].label, 1);
    dataset_free(d);
}
END_TEST

START_TEST(required_columns)
{
    struct dataset *d = read_set("required", (struct parquet_options) { 0 });
    pictures_are(d);
    ck_assert_str_eq(d->text[10].text, "text 2");
    ck_assert_uint_eq(d->image[10].label, 1);
    dataset_free(d);
}
END_TEST

START_TEST(absent_picture)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    struct dataset *d = read_set("null", (struct parquet_options) { 0 });
    char *bytes;
    size_t n;
    picture_is(d, 0, 0);
    ck_assert_int_eq(data_bytes(d, 1, &bytes, &n, &e), MOHS_E_FORMAT);
    ck_says(e, "null.parquet: row null/1 has no picture");
    dataset_free(d);
}
END_TEST

static const struct {
    const char *name;
    struct parquet_options o;
    mohs_status status;
    const char *says;
} refused[] = {
    { "delta", { 0 }, MOHS_E_UNSUPPORTED, "column label: encoding 5" },
    { "snappy", { .image = "pic" }, MOHS_E_ARG,
      "no column \"pic\" for image; it has image.bytes, image.path, label" },
    { "snappy", { .text = "label" }, MOHS_E_ARG, "no column \"label\" for text" },
    { "nothing", { 0 }, MOHS_E_IO, "nothing.parquet" },
};

START_TEST(refuses)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    struct dataset *d;
    struct parquet_options o = refused[_i].o;
    char *path = xasprintf(GOLDEN "%s.parquet", refused[_i].name);
    o.path = path;
    ck_assert_int_eq(data_parquet(&o, &d, &e), refused[_i].status);
    ck_says(e, refused[_i].says);
    free(path);
}
END_TEST

START_TEST(folders)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    struct dataset *d;
    struct parquet_options o = { .path = GOLDEN, .split = "zstd_v2" };
    ck_assert_msg(data_parquet(&o, &d, &e) >= 0, "%s", e.text);
    ck_assert_uint_eq(d->n_images, ROWS);
    dataset_free(d);
    o.split = "zstd";
    ck_assert_int_eq(data_parquet(&o, &d, &e), MOHS_E_ARG);
    ck_says(e, "no .parquet files of split zstd");
}
END_TEST

/* ---- damage ---- */

/* Everything that is in a file; the first error. */
static mohs_status read_all(const char *data, size_t n, struct mohs_error *e)
{
    struct parquet *p;
    RET_IF_ERR(parquet_bytes(data, n, "x", &p, e));
    mohs_status st = MOHS_OK;
    for (size_t g = 0; g < p->n_groups && st >= 0; g++)
        for (size_t l = 0; l < p->n_leaves && st >= 0; l++) {
            struct parquet_page *page;
            struct parquet_values dict = { 0 }, v;
            size_t k;
            st = parquet_pages(p, g, l, &page, &k, e);
            for (size_t i = 0; st >= 0 && i < k; i++) {
                bool d = page[i].dictionary;
                st = parquet_read(p, g, l, &page[i], page[0].dictionary && !d ? &dict : NULL,
                                  d ? &dict : &v, e);
                if (st >= 0 && !d)
                    parquet_values_free(&v);
            }
            parquet_values_free(&dict);
            if (k)
                free(page);
        }
    parquet_close(p);
    return st;
}

/* Cut anywhere, it is refused; with any byte changed, nothing worse. */
START_TEST(damaged)
{
    static const char *const name[] = { "snappy", "zstd_v2", "gzip", "none_v2",
                                        "lz4", "brotli" };
    struct mohs_error e = MOHS_ERROR_INIT;
    char *path = xasprintf(GOLDEN "%s.parquet", name[_i]), *data;
    size_t n, bad = 0;
    ck_assert(file_read(path, 0, &data, &n, &e) >= 0);
    ck_assert_msg(read_all(data, n, &e) >= 0, "%s", e.text);
    for (size_t i = 0; i < n; i++) {
        ck_assert(read_all(data, i, &e) < 0);
        data[i] ^= 0x55;
        bad += read_all(data, n, &e) < 0;
        data[i] ^= 0x55;
    }
    ck_assert_uint_gt(bad, n / 10);
    free(data);
    free(path);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("parquet");
    TCase *t = tcase_create("parquet");
    suite_add_tcase(s, t);
    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, other_codecs, 0, (int)(sizeof same_table / sizeof *same_table));
    tcase_add_loop_test(t, unpacks, 0, (int)(sizeof unpacked / sizeof *unpacked));
    tcase_add_test(t, snappy_v1);
    tcase_add_test(t, zstd_lists);
    tcase_add_test(t, gzip_plain);
    tcase_add_test(t, uncompressed_v2);
    tcase_add_test(t, required_columns);
    tcase_add_test(t, absent_picture);
    tcase_add_loop_test(t, refuses, 0, (int)(sizeof refused / sizeof *refused));
    tcase_add_test(t, folders);
    tcase_add_loop_test(t, damaged, 0, 6);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int bad = srunner_ntests_failed(r);
    srunner_free(r);
    return bad != 0;
}
