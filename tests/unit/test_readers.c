/* SPDX-License-Identifier: MIT */
/* Readers of files that others wrote, against what their own packages read
 * (tests/golden/data.py), and on files that are damaged or hostile. */
#include "config.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "data/csv.h"
#include "data/data.h"
#include "data/json_pull.h"
#include "data/tar_index.h"

#define GOLDEN SRCDIR "/tests/golden/data/"

static char *dir;

static void setup(void)
{
    const char *tmp = getenv("TMPDIR");
    dir = xasprintf("%s/mohs-readers-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    setenv("MOHS_CACHE_DIR", dir, 1);
    log_threshold = LOG_ERROR;
}

static void remove_tree(const char *path)
{
    char **v = NULL;
    size_t n = 0;
    if (dir_list(path, &v, &n, NULL) >= 0) {
        for (size_t i = 0; i < n; i++) {
            char *p = path_join(path, v[i]);
            if (dir_exists(p))
                remove_tree(p);
            else
                unlink(p);
            free(p);
        }
        strv_free(v);
    }
    rmdir(path);
}

static void teardown(void)
{
    remove_tree(dir);
    free(dir);
}

static char *put_bytes(const char *name, const void *data, size_t n)
{
    char *path = path_join(dir, name), *folder = path_dir(path);
    ck_assert(dir_make(folder, NULL) >= 0);
    ck_assert(file_write(path, data, n, NULL) >= 0);
    free(folder);
    return path;
}

static char *put(const char *name, const char *text)
{
    return put_bytes(name, text, strlen(text));
}

#define ck_says(e, part) \
    ck_assert_msg(strstr((e).text, part) != NULL, "%s: %s", part, (e).text)

/* ---- JSON tokens --------------------------------------------------------- */

/* All tokens of a text, a letter each, texts and numbers behind it. */
static char *tokens(const char *json, struct mohs_error *e)
{
    static const char letter[] = ".{}[]ktn+-0";
    struct json_pull *p = json_pull_bytes(json, strlen(json), "j");
    struct str s = { 0 };
    int32_t t;
    str_add(&s, "");
    while ((t = json_pull_next(p, e)) > 0) {
        str_addn(&s, &letter[t], 1);
        if (t >= PULL_KEY && t <= PULL_NUMBER)
            str_addf(&s, "<%s>", json_pull_text(p));
    }
    json_pull_close(p);
    if (t == 0)
        return s.s;
    str_free(&s);
    return NULL;
}

static const struct {
    const char *json, *tokens; /* or what the error says */
    bool good;
} json_cases[] = {
    { "{}", "{}", true },
    { " [1, -2.5e+3 ,\n\"a\\n\\u00e9\\ud83d\\ude00\\/\"] ",
      "[n<1>n<-2.5e+3>t<a\n\xc3\xa9\xf0\x9f\x98\x80/>]", true },
    { "{\"a\":{\"b\":[true,false,null,[]]},\"c\":0}",
      "{k<a>{k<b>[+-0[]]}k<c>n<0>}", true },
    { "\"\xe7\x8c\xab\"", "t<\xe7\x8c\xab>", true },
    { "", "j:1: the file ends, not a value", false },
    { "[1,]", "']', not a value", false },
    { "[1 2]", "'2', not ',' or ']'", false },
    { "{\"a\" 1}", "'1', not ':'", false },
    { "{1:2}", "'1', not a key", false },
    { "{\"a\":1,}", "'}', not a key", false },
    { "[]\n\n]", "j:3: ']', not the end", false },
    { "01", "not the end", false },
    { "-", "not a digit", false },
    { "1.", "not a digit", false },
    { "tru ", "not true", false },
    { "\"\\x\"", "not an escape", false },
    { "\"\\ud800\"", "surrogate", false },
    { "\"\\udc00\"", "surrogate", false },
    { "\"\\u0000\"", "a NUL", false },
    { "\"\xff\"", "not UTF-8", false },
    { "\"a\nb\"", "byte 0x0a", false },
    { "\"abc", "the file ends", false },
};

START_TEST(json_tokens)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    char *s = tokens(json_cases[_i].json, &e);
    if (json_cases[_i].good) {
        ck_assert_msg(s != NULL, "%s", e.text);
        ck_assert_str_eq(s, json_cases[_i].tokens);
    } else {
        ck_assert_msg(s == NULL, "%s", s);
        ck_says(e, json_cases[_i].tokens);
    }
    free(s);
}
END_TEST

START_TEST(json_bomb)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    char *deep = xmalloc(100001);
    memset(deep, '[', 100000);
    deep[100000] = 0;
    ck_assert_ptr_null(tokens(deep, &e));
    ck_says(e, "nested deeper than 512");
    free(deep);
}
END_TEST

/* A token may lie over the end of a window; the file is much longer. */
START_TEST(json_windows)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    struct str s = { 0 };
    str_add(&s, "[");
    for (int i = 0; i < 30000; i++)
        str_addf(&s, "%s\"\\u00e9 text %d\"", i ? ", " : "", i);
    str_add(&s, "]");
    char *path = put("long.json", s.s), want[32];
    struct json_pull *p;
    ck_assert(json_pull_open(path, &p, &e) >= 0);
    ck_assert_int_eq(json_pull_next(p, &e), PULL_LIST);
    for (int i = 0; i < 30000; i++) {
        ck_assert_int_eq(json_pull_next(p, &e), PULL_TEXT);
        snprintf(want, sizeof want, "\xc3\xa9 text %d", i);
        ck_assert_str_eq(json_pull_text(p), want);
    }
    ck_assert_int_eq(json_pull_next(p, &e), PULL_LIST_END);
    ck_assert_int_eq(json_pull_next(p, &e), PULL_END);
    json_pull_close(p);
    free(path);
    str_free(&s);
}
END_TEST

/* ---- Karpathy's splits ---------------------------------------------------- */

static const char karpathy[] =
    "{\"images\": ["
    "{\"filepath\": \"val2014\", \"sentids\": [1, 2], \"filename\": \"b.jpg\", \"imgid\": 0,"
    " \"split\": \"test\", \"sentences\": [{\"tokens\": [\"a\"], \"raw\": \"One.\","
    " \"imgid\": 0, \"sentid\": 1}, {\"raw\": \"Two.\"}], \"cocoid\": 7},"
    "{\"sentences\": [{\"raw\": \"Three.\"}], \"split\": \"train\", \"filename\": \"c.jpg\"},"
    "{\"sentences\": [{\"raw\": \"Four.\"}], \"split\": \"test\", \"filename\": \"d.jpg\"}],"
    " \"dataset\": \"x\"}";

START_TEST(karpathy_reads)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    struct dataset *d;
    char *json = put("k.json", karpathy), *pics = path_join(dir, "pics");
    struct karpathy_options o = { .images = pics, .json = json };
    ck_assert_msg(data_karpathy(&o, &d, &e) >= 0, "%s", e.text);
    ck_assert_uint_eq(d->n_images, 2);
    ck_assert_uint_eq(d->n_texts, 3);
    ck_assert_str_eq(d->image[0].id, "val2014/b.jpg");
    ck_assert(str_ends(d->image[0].path, "/pics/val2014/b.jpg"));
    ck_assert(str_ends(d->image[1].path, "/pics/d.jpg"));
    ck_assert_str_eq(d->text[1].text, "Two.");
    ck_assert_str_eq(d->text[1].id, "val2014/b.jpg#1");
    ck_assert_uint_eq(d->text[2].image, 1);
    ck_assert_str_eq(d->split, "test");
    struct hash128 all = d->hash;
    dataset_free(d);
    free(put("pics/b.jpg", "")); // files without their folders
    ck_assert(data_karpathy(&o, &d, &e) >= 0);
    ck_assert(str_ends(d->image[0].path, "/pics/b.jpg"));
    ck_assert(d->hash.hi == all.hi);
    dataset_free(d);
    o.captions_per_image = o.limit = 1;
    ck_assert(data_karpathy(&o, &d, &e) >= 0);
    ck_assert(d->n_images == 1 && d->n_texts == 1);
    dataset_free(d);
    o.split = "restval";
    ck_assert_int_eq(data_karpathy(&o, &d, &e), MOHS_E_ARG);
    ck_says(e, "it has test (2), train (1)");
    free(json);
    free(pics);
}
END_TEST

static const struct {
    const char *json, *says;
} karpathy_bad[] = {
    { "[]", "no object" },
    { "{\"images\": {}}", "images is no list" },
    { "{}", "it has none" },
    { "{\"images\": [3]}", "images[0] is no object" },
    { "{\"images\": [{\"filename\": \"a\"}]}", "images[0].split is missing, not a text" },
    { "{\"images\": [{\"split\": \"test\", \"filename\": \"../a\"}]}",
      "images[0].filename is \"../a\"" },
    { "{\"images\": [{\"split\": \"test\", \"filename\": \"a\", \"filepath\": \"/etc\"}]}",
      "images[0].filepath is \"/etc\"" },
    { "{\"images\": [{\"split\": \"test\", \"filename\": \"a\"}]}", "has no sentences" },
    { "{\"images\": [{\"sentences\": [{\"raw\": 1}]}]}",
      "images[0].sentences[0].raw is 1, not a text" },
    { "{\"images\": [{\"sentences\": [{\"raw\": \"x\"}, 1]}]}",
      "images[0].sentences[1] is no object" },
    { "{\"images\": [{\"sentences\": 4}]}", "images[0].sentences is no list" },
};

START_TEST(karpathy_refuses)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    struct dataset *d;
    char *json = put("bad.json", karpathy_bad[_i].json);
    struct karpathy_options o = { .images = dir, .json = json };
    ck_assert_int_eq(data_karpathy(&o, &d, &e), MOHS_E_FORMAT);
    ck_says(e, karpathy_bad[_i].says);
    ck_says(e, "bad.json");
    free(json);
}
END_TEST

/* ---- CSV ------------------------------------------------------------------ */

static const struct {
    const char *csv;
    char separator;
    const char *rows; /* fields end with '|', rows with '/'; or the error */
    bool good;
} csv_cases[] = {
    { "a,b\nc,d\n", ',', "a|b|/c|d|/", true },
    { "\xef\xbb\xbf" "a\tb\r\n\r\nc\td", '\t', "a|b|/c|d|/", true },
    { "\"a,\"\"x\"\"\nb\",c\r\n", ',', "a,\"x\"\nb|c|/", true },
    { "a \"b\",c\"\n", ',', "a \"b\"|c\"|/", true },
    { ",\n\"\",x", ',', "||/|x|/", true },
    { "a;b\rc;", ';', "a|b|/c||/", true },
    { "\n\n", ',', "", true },
    { "a\n\"b", ',', "x:2: a quote that does not end", false },
    { "\"a\"b", ',', "x:1: something behind a closing quote", false },
    { "a,b\n\xff", ',', "x:2: not UTF-8", false },
};

START_TEST(csv_rows)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    struct csv *c = csv_bytes(csv_cases[_i].csv, strlen(csv_cases[_i].csv),
                              csv_cases[_i].separator, true, "x");
    struct str s = { 0 };
    const char *const *field;
    size_t n;
    int32_t more;
    str_add(&s, "");
    while ((more = csv_next(c, &field, &n, &e)) == 1) {
        for (size_t i = 0; i < n; i++)
            str_addf(&s, "%s|", field[i]);
        str_add(&s, "/");
    }
    ck_assert_int_eq(more == 0, csv_cases[_i].good);
    if (more == 0)
        ck_assert_str_eq(s.s, csv_cases[_i].rows);
    else
        ck_says(e, csv_cases[_i].rows);
    str_free(&s);
    csv_close(c);
}
END_TEST

START_TEST(csv_nul)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    const char *const *field;
    size_t n;
    struct csv *c = csv_bytes("a,b\0c", 5, ',', true, "x");
    ck_assert_int_eq(csv_next(c, &field, &n, &e), MOHS_E_FORMAT);
    ck_says(e, "x:1: a NUL");
    csv_close(c);
    c = csv_bytes("a,\"b\0c\"", 7, ',', true, "x");
    ck_assert_int_eq(csv_next(c, &field, &n, &e), MOHS_E_FORMAT);
    csv_close(c);
}
END_TEST

static struct dataset *read_csv(const char *text, struct csv_options o)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    struct dataset *d = NULL;
    char *path = put("t.csv", text);
    o.file = path;
    ck_assert_msg(data_csv(&o, &d, &e) >= 0, "%s", e.text);
    free(path);
    return d;
}

START_TEST(csv_captions)
{
    struct dataset *d = read_csv("title\tfilepath\nOne, two\tb/x.jpg\nThree\ta.jpg\n"
                                 "Four\tb/x.jpg\n",
                                 (struct csv_options) { .header = true, .images = "pics" });
    ck_assert(d->n_images == 2 && d->n_texts == 3 && d->n_classes == 0);
    ck_assert_str_eq(d->image[0].path, "pics/b/x.jpg");
    ck_assert_str_eq(d->text[0].text, "One, two");
    ck_assert_uint_eq(d->text[2].image, 0);
    ck_assert_str_eq(d->text[2].id, "b/x.jpg#1");
    dataset_free(d);
    d = read_csv("x.jpg;a \"dog\"\nx.jpg;b\ny.jpg;c\n",
                 (struct csv_options) { .separator = ';', .limit = 1,
                                        .captions_per_image = 1 });
    ck_assert(d->n_images == 1 && d->n_texts == 1);
    ck_assert(str_ends(d->image[0].path, "/x.jpg"));
    ck_assert_str_eq(d->text[0].text, "a \"dog\"");
    dataset_free(d);
}
END_TEST

START_TEST(csv_labels)
{
    struct dataset *d = read_csv("file_name,label\na.png,zebra\nb.png,ant\nc.png,zebra\n",
                                 (struct csv_options) { .header = true });
    ck_assert(d->n_images == 3 && d->n_texts == 0 && d->n_classes == 2);
    ck_assert_str_eq(d->classes[0], "ant");
    ck_assert(d->image[0].label == 1 && d->image[1].label == 0 && d->image[2].label == 1);
    dataset_free(d);
    d = read_csv("image,class,caption\na.png,7,x\nb.png,2,y\n",
                 (struct csv_options) { .header = true });
    ck_assert(d->n_texts == 2 && d->n_classes == 0);
    ck_assert(d->image[0].label == 7 && d->image[1].label == 2);
    dataset_free(d);
    d = read_csv("5,a.png\n", (struct csv_options) { .image = "2", .label = "1" });
    ck_assert(d->n_texts == 0 && d->image[0].label == 5);
    dataset_free(d);
}
END_TEST

static const struct {
    const char *csv, *says;
    mohs_status status;
    const char *image;
} csv_bad[] = {
    { "", "no rows", MOHS_E_FORMAT, NULL },
    { "filepath,title\n", "no rows", MOHS_E_FORMAT, NULL },
    { "a,b\nx,y\n", "no column \"filepath\" for image; it has a, b", MOHS_E_ARG, NULL },
    { "a,title\nx,y\n", "no column \"pic\" for image", MOHS_E_ARG, "pic" },
    { "filepath,b\nx,y\n", "no column \"title\" for text", MOHS_E_ARG, NULL },
    { "filepath,title\nx.jpg\n", "t.csv:2: 1 fields, the columns need 2", MOHS_E_FORMAT, NULL },
    { "filepath,title\n/etc/x,y\n", "t.csv:2: \"/etc/x\" is no path below", MOHS_E_FORMAT, NULL },
    { "filepath,title\n../x,y\n", "is no path below", MOHS_E_FORMAT, NULL },
    { "filepath,title\nx,\n", "t.csv:2: an empty caption", MOHS_E_FORMAT, NULL },
    { "filepath,label\nx,1\nx,2\n", "t.csv:3: a second label", MOHS_E_FORMAT, NULL },
    { "filepath,label\nx,a\ny,\n", "an empty label", MOHS_E_FORMAT, NULL },
};

START_TEST(csv_refuses)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    struct dataset *d;
    char *path = put("t.csv", csv_bad[_i].csv);
    struct csv_options o = { .file = path, .header = true, .image = csv_bad[_i].image };
    ck_assert_int_eq(data_csv(&o, &d, &e), csv_bad[_i].status);
    ck_says(e, csv_bad[_i].says);
    free(path);
}
END_TEST

/* ---- tar ------------------------------------------------------------------ */

static void check_member(const struct tar_index *t, size_t i, const char *line)
{
    unsigned long long offset, bytes;
    int at;
    ck_assert_int_eq(sscanf(line, "%*s %llu %llu %n", &offset, &bytes, &at), 2);
    const char *name = line + at;
    name += 2 * !strncmp(name, "./", 2);
    ck_assert_uint_lt(i, t->n);
    ck_assert_str_eq(t->member[i].name, name);
    ck_assert_uint_eq(t->member[i].offset, offset);
    ck_assert_uint_eq(t->member[i].bytes, bytes);
    if (str_ends(name, ".cls"))
        ck_assert_str_eq(t->member[i].text, "7");
    else
        ck_assert_ptr_null(t->member[i].text);
}

/* Names, offsets and sizes as Python's tarfile has them. */
START_TEST(tar_dialects)
{
    static const char *const dialect[] = { "ustar", "gnu", "pax" };
    struct mohs_error e = MOHS_ERROR_INIT;
    char *path = xasprintf(GOLDEN "%s.tar", dialect[_i]), *text, *save = NULL;
    struct tar_index *t;
    size_t n = 0;
    ck_assert(file_read(GOLDEN "tars.txt", 0, &text, NULL, &e) >= 0);
    ck_assert_msg(tar_scan(path, &t, &e) >= 0, "%s", e.text);
    for (char *p = text, *line; (line = strtok_r(p, "\n", &save)); p = NULL)
        if (!strncmp(line, dialect[_i], strlen(dialect[_i])))
            check_member(t, n++, line);
    ck_assert_uint_eq(t->n, n);
    struct str s = { 0 };
    tar_index_pack(t, 10240, 5, &s);
    ck_assert_ptr_null(tar_index_unpack(s.s, s.n, 10240, 6));
    ck_assert_ptr_null(tar_index_unpack(s.s, s.n, 10241, 5));
    ck_assert_ptr_null(tar_index_unpack(s.s, s.n - 1, 10240, 5));
    struct tar_index *u = tar_index_unpack(s.s, s.n, 10240, 5);
    ck_assert_ptr_nonnull(u);
    ck_assert_uint_eq(u->n, n);
    for (size_t i = 0; i < n; i++)
        ck_assert(!strcmp(u->member[i].name, t->member[i].name) &&
                  u->member[i].offset == t->member[i].offset &&
                  u->member[i].bytes == t->member[i].bytes &&
                  !u->member[i].text == !t->member[i].text);
    s.s[40] ^= 1;
    ck_assert_ptr_null(tar_index_unpack(s.s, s.n, 10240, 5));
    str_free(&s);
    tar_index_free(t);
    tar_index_free(u);
    free(text);
    free(path);
}
END_TEST

/* A header as old tar wrote it. */
static void add_header(struct str *s, const char *name, char type, const char *size)
{
    char h[512] = { 0 };
    unsigned sum = 0;
    snprintf(h, 100, "%s", name);
    snprintf(h + 124, 12, "%s", size);
    h[156] = type;
    memset(h + 148, ' ', 8);
    for (int i = 0; i < 512; i++)
        sum += (unsigned char)h[i];
    snprintf(h + 148, 8, "%06o", sum);
    str_addn(s, h, sizeof h);
}

static const struct {
    const char *name;
    char type;
    const char *size, *says;
} tar_bad[] = {
    { "../../etc/passwd", '0', "0", "member \"../../etc/passwd\" is no relative path" },
    { "/etc/passwd", '0', "0", "member \"/etc/passwd\" is no relative path" },
    { "a/../b", '0', "0", "is no relative path" },
    { "a.jpg", '2', "0", "\"a.jpg\" is a link, not a file" },
    { "a.jpg", '1', "0", "is a link" },
    { "a.jpg", '3', "0", "is a device or pipe" },
    { "a.jpg", 'S', "0", "is a sparse file" },
    { "a.jpg", 'Z', "0", "of unknown type 0x5a" },
    { "a.jpg", '0', "1", "the archive ends within \"a.jpg\"" },
    { "a.jpg", '0', "77777777777", "the archive ends within" },
    { "a.jpg", '0', "9", "no tar header at byte 0" },
    { "a.jpg", 'L', "77777777777", "the archive ends within" },
    { "a\xff.jpg", '0', "0", "is not UTF-8" },
};

START_TEST(tar_refuses)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    struct str s = { 0 };
    struct tar_index *t;
    add_header(&s, tar_bad[_i].name, tar_bad[_i].type, tar_bad[_i].size);
    char *path = put_bytes("bad.tar", s.s, s.n);
    ck_assert_int_eq(tar_scan(path, &t, &e), MOHS_E_FORMAT);
    ck_says(e, tar_bad[_i].says);
    ck_says(e, "bad.tar: ");
    free(path);
    str_free(&s);
}
END_TEST

START_TEST(tar_damage)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    struct tar_index *t;
    static const struct {
        const char *bytes;
        size_t n;
        const char *says;
    } v[] = {
        { "\x1f\x8b\x08xxxx", 7, "compressed with gzip" },
        { "\x28\xb5\x2f\xfdxx", 6, "compressed with zstd" },
        { "", 0, "an empty file" },
        { "hello", 5, "ends before byte 512" },
    };
    for (size_t i = 0; i < sizeof v / sizeof *v; i++) {
        ck_assert(tar_scan_bytes(v[i].bytes, v[i].n, "x.tar", &t, &e) < 0);
        ck_says(e, v[i].says);
    }
    struct str s = { 0 };
    add_header(&s, "a.txt", '0', "2");
    str_addn(&s, "a\0", 2);
    ck_assert(tar_scan_bytes(s.s, s.n, "x.tar", &t, &e) >= 0); // padding
    tar_index_free(t);
    s.n -= 2;
    str_addn(&s, "\0a", 2);
    ck_assert(tar_scan_bytes(s.s, s.n, "x.tar", &t, &e) < 0);
    ck_says(e, "a.txt: a NUL");
    s.n -= 3;
    ck_assert(tar_scan_bytes(s.s, s.n, "x.tar", &t, &e) < 0); // half a header
    str_free(&s);
}
END_TEST

/* ---- webdataset ------------------------------------------------------------ */

static void colour_is(const struct dataset *d, size_t i, int k, int tolerance)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    struct image im;
    const int want[3] = { 37 * k % 256, 91 * k % 256, 5 * k % 256 };
    ck_assert_msg(data_picture(d, i, 0, &im, &e) >= 0, "%s", e.text);
    ck_assert(im.width == 8 && im.height == 8);
    for (int c = 0; c < 3; c++)
        ck_assert_int_le(abs(im.rgb[c] - want[c]), tolerance);
    image_free(&im);
}

START_TEST(webdataset_classes)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    struct webdataset_options o = { .dir = GOLDEN "wds_classes" };
    struct dataset *d;
    for (int again = 0; again < 2; again++) { // from the archive, from its index
        ck_assert_msg(data_webdataset(&o, &d, &e) >= 0, "%s", e.text);
        ck_assert(d->n_images == 5 && d->n_texts == 0 && d->n_classes == 3);
        ck_assert_str_eq(d->classes[1], "green thing");
        ck_assert_uint_eq(d->n_templates, 1);
        ck_assert_str_eq(d->templates[0], "a photo of a {c}.");
        ck_assert_str_eq(d->image[0].id, "0/s0000.webp");
        ck_assert_str_eq(d->image[3].id, "1/s0003.jpeg");
        for (size_t i = 0; i < 5; i++) {
            ck_assert_uint_eq(d->image[i].label, i % 3);
            colour_is(d, i, (int)i, i == 1 || i == 4 ? 0 : 40);
        }
        char *name = data_picture_name(d, 3);
        ck_assert_msg(str_ends(name, "test/1.tar: 1/s0003.jpeg"), "%s", name);
        free(name);
        dataset_free(d);
    }
    o.limit = 4;
    ck_assert(data_webdataset(&o, &d, &e) >= 0);
    ck_assert_uint_eq(d->n_images, 4);
    dataset_free(d);
}
END_TEST

START_TEST(webdataset_captions)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    struct webdataset_options o = { .dir = GOLDEN "wds_captions" };
    struct dataset *d;
    ck_assert_msg(data_webdataset(&o, &d, &e) >= 0, "%s", e.text);
    ck_assert(d->n_images == 3 && d->n_texts == 5 && d->n_classes == 0);
    ck_assert_str_eq(d->image[2].id, "0/b/001.png");
    ck_assert_str_eq(d->text[1].text, "and a caf\xc3\xa9");
    ck_assert_str_eq(d->text[2].text, "a second picture");
    ck_assert_str_eq(d->text[4].text, "twice");
    ck_assert_uint_eq(d->text[4].image, 2);
    colour_is(d, 1, 2, 0);
    dataset_free(d);
    o.captions_per_image = 1;
    ck_assert(data_webdataset(&o, &d, &e) >= 0);
    ck_assert_uint_eq(d->n_texts, 3);
    dataset_free(d);
}
END_TEST

static void add_file(struct str *s, const char *name, const char *text)
{
    char size[16];
    snprintf(size, sizeof size, "%o", (unsigned)strlen(text));
    add_header(s, name, '0', size);
    str_add(s, text);
    while (s->n % 512)
        str_addn(s, "", 1);
}

static const struct {
    const char *file[6]; /* name, text, ... */
    const char *type, *classes, *says;
} wds_bad[] = {
    { { "a.cls", "1", "b.jpg", "x" }, "", "", "sample \"a\" has no .webp" },
    { { "a.jpg", "x" }, "classification", "", "sample \"a\" has no .cls" },
    { { "a.jpg", "x", "a.cls", "1", "b.jpg", "x" }, "", "", "sample \"b\" has no .cls" },
    { { "a.jpg", "x", "a.cls", "dog" }, "", "", "a .cls that is no class number" },
    { { "a.jpg", "x", "a.cls", "-1" }, "", "", "a .cls that is no class number" },
    { { "a.jpg", "x", "a.cls", "3" }, "", "p\nq\n", "is of class 3; classnames.txt has 2" },
    { { "a.jpg", "x" }, "retrieval", "", "has no caption" },
    { { "a.jpg", "x", "a.txt", "\n" }, "retrieval", "", "has no caption" },
    { { "a.jpg", "x", "a.txt", "\xff" }, "", "", "not UTF-8" },
    { { "a.jpg", "x", "a.json", "{\"caption\": [1]}" }, "", "", "a caption that is no text" },
    { { "a.jpg", "x", "a.json", "[" }, "", "", "a .json that is no object" },
    { { "a.jpg", "x", "a.JPG", "x" }, "", "", "two pictures of one kind" },
    { { "a.jpg", "" }, "", "", "an empty picture" },
    { { "README", "x" }, "", "", "no samples in it" },
    { { "a.jpg", "x" }, "multilabel", "", "neither classification nor retrieval" },
};

START_TEST(webdataset_refuses)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    struct dataset *d;
    struct str s = { 0 };
    for (int i = 0; i < 6 && wds_bad[_i].file[i]; i += 2)
        add_file(&s, wds_bad[_i].file[i], wds_bad[_i].file[i + 1]);
    free(put_bytes("test/0.tar", s.s, s.n));
    if (*wds_bad[_i].type)
        free(put("dataset_type.txt", wds_bad[_i].type));
    if (*wds_bad[_i].classes)
        free(put("classnames.txt", wds_bad[_i].classes));
    struct webdataset_options o = { .dir = dir };
    ck_assert(data_webdataset(&o, &d, &e) < 0);
    ck_says(e, wds_bad[_i].says);
    str_free(&s);
}
END_TEST

START_TEST(webdataset_shards)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    struct dataset *d;
    struct str s = { 0 };
    struct webdataset_options o = { .dir = dir };
    add_file(&s, "a.jpg", "x");
    free(put("test/nshards.txt", "2"));
    free(put_bytes("test/0.tar", s.s, s.n));
    ck_assert_int_eq(data_webdataset(&o, &d, &e), MOHS_E_IO);
    ck_says(e, "test/1.tar: missing; nshards.txt says 2 shards");
    free(put("test/nshards.txt", "two"));
    ck_assert_int_eq(data_webdataset(&o, &d, &e), MOHS_E_FORMAT);
    ck_says(e, "\"two\" is no number of shards");
    // changed under an index that was kept: read again
    free(put("test/nshards.txt", "1"));
    ck_assert_msg(data_webdataset(&o, &d, &e) >= 0, "%s", e.text);
    ck_assert_uint_eq(d->n_images, 1);
    dataset_free(d);
    add_file(&s, "b.jpg", "y");
    free(put_bytes("test/0.tar", s.s, s.n));
    ck_assert(data_webdataset(&o, &d, &e) >= 0);
    ck_assert_uint_eq(d->n_images, 2);
    // cut after it was indexed: the picture cannot be read, and it says so
    char *bytes, *path = path_join(dir, "test/0.tar");
    size_t n;
    ck_assert_int_eq(truncate(path, 1536), 0);
    ck_assert_int_eq(data_bytes(d, 1, &bytes, &n, &e), MOHS_E_FORMAT);
    ck_says(e, "test/0.tar: ends before byte");
    ck_assert(data_bytes(d, 0, &bytes, &n, &e) >= 0);
    ck_assert(n == 1 && *bytes == 'x');
    free(bytes);
    free(path);
    dataset_free(d);
    str_free(&s);
}
END_TEST

#define COUNT(v) (int)(sizeof(v) / sizeof *(v))

static TCase *json_and_csv(void)
{
    TCase *t = tcase_create("json, csv");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_loop_test(t, json_tokens, 0, COUNT(json_cases));
    tcase_add_test(t, json_bomb);
    tcase_add_test(t, json_windows);
    tcase_add_test(t, karpathy_reads);
    tcase_add_loop_test(t, karpathy_refuses, 0, COUNT(karpathy_bad));
    tcase_add_loop_test(t, csv_rows, 0, COUNT(csv_cases));
    tcase_add_test(t, csv_nul);
    tcase_add_test(t, csv_captions);
    tcase_add_test(t, csv_labels);
    tcase_add_loop_test(t, csv_refuses, 0, COUNT(csv_bad));
    return t;
}

static TCase *archives(void)
{
    TCase *t = tcase_create("archives");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_loop_test(t, tar_dialects, 0, 3);
    tcase_add_loop_test(t, tar_refuses, 0, COUNT(tar_bad));
    tcase_add_test(t, tar_damage);
    tcase_add_test(t, webdataset_classes);
    tcase_add_test(t, webdataset_captions);
    tcase_add_loop_test(t, webdataset_refuses, 0, COUNT(wds_bad));
    tcase_add_test(t, webdataset_shards);
    return t;
}

int main(void)
{
    Suite *s = suite_create("readers");
    suite_add_tcase(s, json_and_csv());
    suite_add_tcase(s, archives());
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int bad = srunner_ntests_failed(r);
    srunner_free(r);
    return bad != 0;
}
