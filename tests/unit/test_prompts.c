/* SPDX-License-Identifier: MIT */
/*
 * Files about classes: lists of names, ImageNet's folder layouts, factors,
 * and prompts of every kind; each on good and on bad files.
 */
#include "config.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "data/class_list.h"
#include "data/data.h"
#include "data/prompts.h"

static char *dir;
static struct mohs_error err = MOHS_ERROR_INIT;

#define OK(expr) ck_assert_msg((expr) >= 0, "%s", err.text)

static void setup(void)
{
    const char *tmp = getenv("TMPDIR");
    dir = xasprintf("%s/mohs-prompts-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(dir));
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

/* The path of a file below dir, in one of a few buffers. */
static const char *at(const char *name)
{
    static char buffer[32][512];
    static int turn;
    char *s = buffer[turn++ % 32];
    snprintf(s, sizeof *buffer, "%s/%s", dir, name);
    return s;
}

static const char *put(const char *name, const char *text)
{
    const char *path = at(name);
    char *folder = path_dir(path);
    OK(dir_make(folder, &err));
    OK(file_write(path, text, strlen(text), &err));
    free(folder);
    return path;
}

static void refused(mohs_status st, mohs_status want, const char *says)
{
    ck_assert_msg(st == want, "%d: %s", st, err.text);
    ck_assert_msg(strstr(err.text, says) != NULL, "'%s' is not in '%s'", says, err.text);
}

/* ---- class lists -------------------------------------------------------- */

static const struct {
    const char *file, *text, *id1, *name1;
    size_t n;
} lists[] = {
    { "a.txt", "\xef\xbb\xbf" "tench\r\n\n  great white shark \nhen\n", NULL,
      "great white shark", 3 },
    { "b.txt", "n01440764 tench, Tinca tinca\nn01484850 great white shark", "n01484850",
      "great white shark", 2 },
    { "c.txt", "dog\ta dog\ncat\ta cat\n", "cat", "a cat", 2 },
    { "d.json", "[\"tench\", \"hen\"]", NULL, "hen", 2 },
    { "e.json", "{\"n2\": \"tench\", \"n1\": \"hen\"}", "n1", "hen", 2 },
    { "f.json", "{\"1\": [\"n02\", \"hen\"], \"0\": [\"n09\", \"tench\"]}", "n02", "hen", 2 },
};

START_TEST(lists_read)
{
    struct class_list c;
    OK(class_list_read(put(lists[_i].file, lists[_i].text), &c, &err));
    ck_assert_uint_eq(c.n, lists[_i].n);
    ck_assert_str_eq(c.name[1], lists[_i].name1);
    if (lists[_i].id1) {
        ck_assert_str_eq(c.id[1], lists[_i].id1);
        ck_assert_uint_eq(class_list_find(&c, lists[_i].id1), 1);
        ck_assert_uint_eq(class_list_find(&c, "n3"), UINT32_MAX);
    } else {
        ck_assert_ptr_null(c.id);
    }
    class_list_free(&c);
}
END_TEST

static const struct {
    const char *file, *text, *says;
} bad_lists[] = {
    { "a.txt", "", "a.txt: no class names" },
    { "a.txt", "\xff\n", "a.txt: not a text in UTF-8" },
    { "a.txt", "n01440764 tench\nhen\n", "a.txt:2: 'hen' lacks a folder name" },
    { "a.txt", "hen\nn01440764 tench\n", "a.txt:2: 'n01440764 tench' has a folder" },
    { "a.txt", "a\tx\na\ty\n", "'a' is there twice" },
    { "a.json", "{", "a.json:1" },
    { "a.json", "3", "a.json" },
    { "a.json", "[]", "no class names" },
    { "a.json", "[\"\"]", "class 0 has an empty name" },
    { "a.json", "[1]", "neither a name nor" },
    { "a.json", "{\"0\": [\"n1\"]}", "entry 0" },
    { "a.json", "{\"7\": [\"n1\", \"x\"]}", "\"7\"" },
    { "a.json", "{\"0\": [\"n1\", \"x\"], \"00\": [\"n2\", \"y\"]}", "\"00\"" },
    { "a.json", "{\"-1\": [\"n1\", \"x\"]}", "\"-1\"" },
    { "a.json", "{\"1\": [\"n1\", \"x\"], \"b\": \"y\"}", "neither" },
};

START_TEST(lists_refused)
{
    struct class_list c;
    refused(class_list_read(put(bad_lists[_i].file, bad_lists[_i].text), &c, &err),
            MOHS_E_FORMAT, bad_lists[_i].says);
    ck_assert_ptr_null(c.arena);
}
END_TEST

/* ---- folders ------------------------------------------------------------ */

static struct dataset *open_folder(struct folder_options o, const char *name)
{
    struct dataset *d = NULL;
    o.dir = at(name);
    OK(data_folder_open(&o, &d, &err));
    return d;
}

static const char parents[] = "n01440764 tench\nn01443537 goldfish\nn01484850 shark\n"
                              "n01491361 tiger shark\n";

/* ImageNet-A, -R: some of the classes. */
START_TEST(folder_of_some_classes)
{
    put("set/n01484850/b.JPEG", "");
    put("set/n01484850/a.JPEG", "");
    put("set/n01440764/c.png", "");
    const char *map = put("map.txt", parents);
    struct dataset *d = open_folder((struct folder_options) { .classes = map }, "set");
    ck_assert_uint_eq(d->n_images, 3);
    ck_assert_uint_eq(d->n_classes, 2);
    ck_assert_str_eq(d->classes[1], "shark");
    ck_assert_str_eq(d->class_ids[1], "n01484850");
    ck_assert_uint_eq(d->class_parent[1], 2);
    ck_assert_uint_eq(d->n_parent, 4);
    ck_assert_str_eq(d->image[1].id, "n01484850/a.JPEG");
    ck_assert_uint_eq(d->image[1].label, 1);
    ck_assert(d->image[1].key == hash_str64("n01484850/a.JPEG"));
    ck_assert(str_ends(d->image[1].path, "/set/n01484850/a.JPEG"));
    dataset_free(d);
    d = open_folder((struct folder_options) { .classes = map, .parent = true }, "set");
    ck_assert_uint_eq(d->n_classes, 4);
    ck_assert_uint_eq(d->image[1].label, 2);
    ck_assert_str_eq(d->classes[3], "tiger shark");
    dataset_free(d);
    d = open_folder((struct folder_options) { .classes = map, .per_class = 1 }, "set");
    ck_assert_uint_eq(d->n_images, 2);
    dataset_free(d);
}
END_TEST

/* ImageNet-V2: folders 0 .. 999, whose byte order is another. */
START_TEST(folder_of_numbers)
{
    char names[256] = "";
    for (int i = 0; i < 12; i++) {
        char file[32];
        snprintf(file, sizeof file, "v2/%d/x.jpeg", i);
        if (i != 5)
            put(file, "");
        snprintf(file, sizeof file, "class %d\n", i);
        strcat(names, file);
    }
    struct dataset *d = open_folder((struct folder_options) {
        .classes = put("v2.txt", names) }, "v2");
    ck_assert_uint_eq(d->n_classes, 11);
    ck_assert_str_eq(d->classes[2], "class 2");
    ck_assert_str_eq(d->classes[10], "class 11");
    ck_assert_str_eq(d->image[9].id, "10/x.jpeg");
    ck_assert_uint_eq(d->class_parent[9], 10);
    dataset_free(d);
    put("v2/x/x.jpeg", ""); // no numbers any more
    struct folder_options o = { .dir = at("v2"), .classes = at("v2.txt") };
    ck_assert(data_folder_open(&o, &d, &err) >= 0); // but twelve for twelve
    ck_assert_str_eq(d->classes[2], "class 2");
    ck_assert_str_eq(d->class_ids[2], "10");
    dataset_free(d);
}
END_TEST

START_TEST(folder_refuses)
{
    struct dataset *d = NULL;
    put("set/n01484850/b.png", "");
    put("set/n02/b.png", "");
    struct folder_options o = { .dir = at("set"), .classes = put("map.txt", parents) };
    refused(data_folder_open(&o, &d, &err), MOHS_E_FORMAT, "map.txt: no class 'n02'");
    o.classes = put("three.txt", "a\nb\nc\n");
    refused(data_folder_open(&o, &d, &err), MOHS_E_FORMAT, "3 names for 2 class folders");
    o = (struct folder_options) { .dir = at("set"), .parent = true };
    refused(data_folder_open(&o, &d, &err), MOHS_E_ARG, "there is no list");
    o = (struct folder_options) { .dir = at("set"), .severity = 3 };
    refused(data_folder_open(&o, &d, &err), MOHS_E_ARG, "severity 3");
    o = (struct folder_options) { .dir = at("set"), .unlabelled = true,
                                  .classes = at("map.txt") };
    refused(data_folder_open(&o, &d, &err), MOHS_E_ARG, "of no class");
    ck_assert_ptr_null(d);
}
END_TEST

/* NINCO: pictures in folders; textures: in none. */
START_TEST(folder_without_labels)
{
    put("ood/frog/1.png", "");
    put("ood/2.png", "");
    struct dataset *d = open_folder((struct folder_options) { .unlabelled = true }, "ood");
    ck_assert_uint_eq(d->n_images, 2);
    ck_assert_uint_eq(d->n_classes, 0);
    ck_assert_str_eq(d->image[0].id, "2.png");
    ck_assert_str_eq(d->image[1].id, "frog/1.png");
    ck_assert_uint_eq(d->image[1].label, UINT32_MAX);
    dataset_free(d);
}
END_TEST

START_TEST(corrupted_layouts)
{
    struct arena *a = arena_new();
    struct corrupted_folder *c;
    size_t n;
    put("c/fog/1/n1/x.png", "");
    put("c/fog/5/n1/x.png", "");
    put("c/noise/shot_noise/2/n1/x.png", ""); // as some archives unpack
    put("c/readme/x.txt", "");
    OK(data_corrupted_folders(at("c"), a, &c, &n, &err));
    ck_assert_uint_eq(n, 3);
    ck_assert_str_eq(c[1].corruption, "fog");
    ck_assert_uint_eq(c[1].severity, 5);
    ck_assert_str_eq(c[2].corruption, "shot_noise");
    struct folder_options o = { .corruption = "fog", .severity = 1 };
    struct dataset *one = open_folder(o, "c/fog/1");
    o.severity = 5;
    struct dataset *five = open_folder(o, "c/fog/5");
    ck_assert(one->hash.lo != five->hash.lo); // with equal ids
    ck_assert_str_eq(one->corruption, "fog");
    dataset_free(one);
    dataset_free(five);
    refused(data_corrupted_folders(at("c/readme"), a, &c, &n, &err), MOHS_E_FORMAT,
            "no folders CORRUPTION/1");
    arena_free(a);
}
END_TEST

START_TEST(folder_templates)
{
    put("set/a/x.png", "");
    put("set/templates.txt", "a {c}.\n\nthe {c}\n");
    struct dataset *d = open_folder((struct folder_options) { 0 }, "set");
    ck_assert_uint_eq(d->n_templates, 2);
    ck_assert_str_eq(d->templates[1], "the {c}");
    struct prompt_source s = { .of_data = true };
    struct prompts *p;
    struct class_texts t;
    OK(prompts_open(&s, &p, &err));
    OK(prompts_fill(p, d, &t, &err));
    ck_assert_str_eq(t.text[1], "the a");
    class_texts_free(&t);
    d->n_templates = 0;
    refused(prompts_fill(p, d, &t, &err), MOHS_E_ARG, "no templates came with it");
    prompts_free(p);
    dataset_free(d);
}
END_TEST

/* ---- factors ------------------------------------------------------------ */

static struct dataset *factor_set(void)
{
    put("val/n1/v_1.JPEG", "");
    put("val/n1/v_2.JPEG", "");
    put("val/n2/v_3.JPEG", "");
    put("val/n2/v_4.JPEG", "");
    return open_folder((struct folder_options) { 0 }, "val");
}

static const char annotations[] =
    "{\"file_name\": \"v_3.JPEG\", \"class\": 1, \"pose\": 1, \"dark\": 0, \"why\": \"x\"}\n"
    "{\"file_name\": \"n1/v_1.JPEG\", \"class\": 0, \"dark\": 1.0, \"pose\": 0}\n"
    "{\"file_name\": \"v_2.JPEG\", \"class\": 0, \"dark\": true, \"pose\": 1}\n"
    "{\"file_name\": \"v_9.JPEG\", \"class\": 0, \"dark\": 0, \"pose\": 0}\n";

START_TEST(factors_read)
{
    struct dataset *d = factor_set();
    struct hash128 before = d->hash;
    OK(dataset_factors(d, put("x.jsonl", annotations),
                       put("p.csv", "i,file_name\n0,v_2.JPEG\n1,v_77.JPEG\n"), &err));
    static const uint8_t want[8] = { 0, 1, FACTOR_NONE, FACTOR_NONE,
                                     1, 0, FACTOR_NONE, FACTOR_NONE };
    ck_assert_uint_eq(d->n_factors, 2);
    ck_assert_str_eq(d->factors[0], "pose");
    ck_assert_str_eq(d->factors[1], "dark");
    ck_assert_mem_eq(d->factor, want, sizeof want);
    ck_assert(before.lo != d->hash.lo);
    refused(dataset_factors(d, at("x.jsonl"), NULL, &err), MOHS_E_ARG, "already");
    dataset_free(d);
}
END_TEST

static const struct {
    const char *text, *csv, *says;
} bad_factors[] = {
    { "", NULL, "not one of the 4 images" },
    { "{\"file_name\": \"v_9.JPEG\", \"pose\": 1}\n", NULL, "not one of the 4 images" },
    { "[1]\n", NULL, "x.jsonl:1: no JSON object" },
    { "{\"file_name\": \"v_1.JPEG\", \"pose\": 1}\n{\n", NULL, "x.jsonl:2" },
    { "{\"pose\": 1}\n", NULL, "x.jsonl:1: no file_name" },
    { "{\"file_name\": \"v_1.JPEG\"}\n", NULL, "no key is 0 or 1" },
    { "{\"file_name\": \"v_1.JPEG\", \"pose\": 1}\n"
      "{\"file_name\": \"v_2.JPEG\", \"pose\": 2}\n", NULL, "x.jsonl:2: pose is neither" },
    { "{\"file_name\": \"v_1.JPEG\", \"pose\": 1}\n"
      "{\"file_name\": \"v_1.JPEG\", \"pose\": 1}\n", NULL, "v_1.JPEG is there twice" },
    { "{\"file_name\": \"v_1.JPEG\", \"pose\": 1}\n", "a,b\n1,2\n", "no column file_name" },
    { "{\"file_name\": \"v_1.JPEG\", \"pose\": 1}\n", "a,file_name\n1\n", "p.csv:2" },
};

START_TEST(factors_refused)
{
    struct dataset *d = factor_set();
    const char *csv = bad_factors[_i].csv ? put("p.csv", bad_factors[_i].csv) : NULL;
    refused(dataset_factors(d, put("x.jsonl", bad_factors[_i].text), csv, &err),
            MOHS_E_FORMAT, bad_factors[_i].says);
    dataset_free(d);
}
END_TEST

START_TEST(factors_of_equal_names)
{
    struct dataset *d = factor_set();
    dataset_free(d);
    put("val/n2/v_1.JPEG", "");
    d = open_folder((struct folder_options) { 0 }, "val");
    refused(dataset_factors(d, put("x.jsonl", "{\"file_name\": \"v_1.JPEG\", \"a\": 1}\n"),
                            NULL, &err), MOHS_E_FORMAT, "the name of several images");
    dataset_free(d);
}
END_TEST

/* ---- prompts ------------------------------------------------------------ */

static const char *class_names[] = { "tench", "great_white shark", "hen" };
static const char *class_ids[] = { "n01", "n02", "n03" };
static struct dataset three = { .name = (char *)"three", .classes = class_names,
                                .class_ids = class_ids, .n_classes = 3 };

static struct class_texts filled(struct prompt_source s, enum prompt_merge merge)
{
    struct prompts *p;
    struct class_texts t;
    OK(prompts_open(&s, &p, &err));
    ck_assert_int_eq(prompts_merge(p), merge);
    ck_assert(*prompts_name(p));
    OK(prompts_fill(p, &three, &t, &err));
    prompts_free(p);
    ck_assert_uint_eq(t.first[0], 0);
    ck_assert_uint_eq(t.first[t.n_classes], t.n_texts);
    return t;
}

static void texts_are(struct class_texts *t, uint32_t class, const char *const *want)
{
    uint32_t n = 0;
    for (; want[n]; n++)
        ck_assert_str_eq(t->text[t->first[class] + n], want[n]);
    ck_assert_uint_eq(t->first[class + 1] - t->first[class], n);
}

START_TEST(templates)
{
    const char *const v[] = { "a {c}, {} and {x}", "{}" };
    struct class_texts t = filled((struct prompt_source) { .templates = v,
                                                           .n_templates = 2 },
                                  PROMPT_EMBED);
    texts_are(&t, 1, (const char *[]) { "a great white shark, great white shark and {x}",
                                        "great white shark", NULL });
    struct hash128 h = t.hash;
    class_texts_free(&t);
    t = filled((struct prompt_source) {
        .file = put("t.txt", "# two\na {c}, {} and {x}\r\n\n{c}\n") }, PROMPT_EMBED);
    ck_assert(t.hash.lo == h.lo); // the same texts
    class_texts_free(&t);
    t = filled((struct prompt_source) { .templates = v, .n_templates = 2, .merge = "max" },
               PROMPT_MAX);
    ck_assert(t.hash.lo != h.lo);
    class_texts_free(&t);
    t = filled((struct prompt_source) { .templates = v, .n_templates = 1,
                                        .classes = put("c.txt", "x\ny\nz\n") },
               PROMPT_EMBED);
    texts_are(&t, 2, (const char *[]) { "a z, z and {x}", NULL });
    class_texts_free(&t);
}
END_TEST

/* Keys are class names, names with blanks, or folder names. */
static const char notes[] = "{\"tench\": [\"round\", \"a fish\", \"used to eat\"],"
                            " \"great white shark\": [\"has teeth\", \"often seen\","
                            " \"may bite\", \"can swim\", \"typically grey\", \"\"],"
                            " \"n03\": [], \"more\": []}";

START_TEST(descriptors)
{
    struct class_texts t = filled((struct prompt_source) {
        .descriptors = put("d.json", notes) }, PROMPT_MEAN);
    texts_are(&t, 0, (const char *[]) { "A photo of a tench, which has round.",
                                        "A photo of a tench, which is a fish.",
                                        "A photo of a tench, which is used to eat.", NULL });
    texts_are(&t, 1, (const char *[]) {
        "A photo of a great white shark, which has teeth.",
        "A photo of a great white shark, which often seen.",
        "A photo of a great white shark, which may bite.",
        "A photo of a great white shark, which can swim.",
        "A photo of a great white shark, which typically grey.", NULL });
    texts_are(&t, 2, (const char *[]) { "A photo of a hen.", NULL });
    class_texts_free(&t);
}
END_TEST

START_TEST(sentences)
{
    struct class_texts t = filled((struct prompt_source) { .sentences = put(
        "s.json", "{\"tench\": [\"A fish.\", \"It swims.\"], \"hen\": [\"A bird.\"],"
                  " \"great_white shark\": [\"Teeth.\"]}") }, PROMPT_EMBED);
    texts_are(&t, 0, (const char *[]) { "A fish.", "It swims.", NULL });
    texts_are(&t, 1, (const char *[]) { "Teeth.", NULL });
    class_texts_free(&t);
}
END_TEST

/* As WaffleCLIP has it: of the form of the names, shared by all classes. */
START_TEST(random_words)
{
    struct prompt_source s = { .random = 400, .seed = 5,
                               .words = put("w.txt", "# x\nelephant\nzoo\n\xc3\xa9\xc3\xa9"
                                                     "clairage\n") };
    struct class_texts t = filled(s, PROMPT_MEAN);
    double letter[26] = { 0 }, word[3] = { 0 };
    ck_assert_uint_eq(t.n_texts, 3 * 800);
    for (int k = 0; k < 800; k++) {
        const char *hen = t.text[t.first[2] + k], *tench = t.text[t.first[0] + k];
        ck_assert(!strncmp(hen, "A photo of a hen, which ", 24));
        ck_assert_str_eq(hen + 16, tench + 18); // behind the name
        const char *noise = strchr(hen + 24, ' ') + 1;
        if (k % 2) {
            // lengths 5, 5, 3: 1 2/3 words, longest 4 1/3, so two groups of
            // (5 + 2 - 5 % 2) / 2 characters
            ck_assert_msg(strlen(noise) == 9 && !strncmp(noise + 3, ", ", 2), "%s", hen);
            for (int i = 0; i < 8; i++)
                if (noise[i] >= 'a')
                    letter[noise[i] - 'a']++;
        } else {
            // two words of (5 + 5 + 3) / 3 = 4 letters
            for (int w = 0; w < 2; w++) {
                int which = *noise == 'e' ? 0 : *noise == 'z' ? 1 : 2;
                static const char *const start[] = { "elep", "zoo",
                                                     "\xc3\xa9\xc3\xa9" "cl" };
                word[which]++;
                ck_assert_msg(!strncmp(noise, start[which], strlen(start[which])), "%s",
                              hen);
                noise += strlen(start[which]) + 1;
            }
        }
    }
    for (int i = 0; i < 26; i++) // 92 +- 5 standard deviations of 9.4
        ck_assert_msg(fabs(letter[i] - 2400 / 26.0) < 47, "%c: %g", 'a' + i, letter[i]);
    for (int i = 0; i < 3; i++) // 267 +- 5 of 13.3
        ck_assert_msg(fabs(word[i] - 800 / 3.0) < 67, "word %d: %g", i, word[i]);
    struct class_texts same = filled(s, PROMPT_MEAN), other;
    ck_assert(same.hash.lo == t.hash.lo);
    s.seed = 6;
    other = filled(s, PROMPT_MEAN);
    ck_assert(other.hash.lo != t.hash.lo);
    class_texts_free(&t);
    class_texts_free(&same);
    class_texts_free(&other);
}
END_TEST

START_TEST(sources_refused)
{
    const char *const v[] = { "a {c}", "no place" };
    const struct {
        struct prompt_source s;
        mohs_status want;
        const char *says;
    } bad[] = {
        { { 0 }, MOHS_E_ARG, "one of templates, file" },
        { { .templates = v, .n_templates = 1, .random = 3 }, MOHS_E_ARG, "only one of" },
        { { .templates = v, .n_templates = 1, .file = at("t.txt") }, MOHS_E_ARG,
          "only one of" },
        { { .templates = v, .n_templates = 2 }, MOHS_E_FORMAT, "templates:2: 'no place'" },
        { { .file = put("a.txt", "# x\n") }, MOHS_E_FORMAT, "a.txt: no templates" },
        { { .file = put("b.txt", "\n{c}\nx\n") }, MOHS_E_FORMAT, "b.txt:3: 'x'" },
        { { .file = at("none.txt") }, MOHS_E_IO, "none.txt" },
        { { .random = 3 }, MOHS_E_ARG, "need a file of words" },
        { { .random = 1001, .words = at("a.txt") }, MOHS_E_ARG, "1001" },
        { { .of_data = true, .words = at("a.txt") }, MOHS_E_ARG, "words without random" },
        { { .of_data = true, .merge = "sum" }, MOHS_E_ARG, "merge is 'sum'" },
        { { .sentences = put("c.json", "[]") }, MOHS_E_FORMAT, "c.json: no object" },
        { { .sentences = put("d.json", "{\"a\": \"b\"}") }, MOHS_E_FORMAT,
          "\"a\" is no list" },
        { { .sentences = put("e.json", "{\"a\": [\"x\", 1]}") }, MOHS_E_FORMAT,
          "\"a\"[1] is no text" },
        { { .sentences = put("f.json", "{\"a\": [") }, MOHS_E_FORMAT, "f.json:1" },
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct prompts *p = NULL;
        refused(prompts_open(&bad[i].s, &p, &err), bad[i].want, bad[i].says);
        ck_assert_ptr_null(p);
    }
}
END_TEST

START_TEST(fillings_refused)
{
    const char *const v[] = { "a {c}" };
    const struct {
        struct prompt_source s;
        const char *says;
    } bad[] = {
        { { .descriptors = put("d.json", "{\"tench\": [\"x\"]}") },
          "no class 'great_white shark'" },
        { { .sentences = put("s.json", "{\"tench\": []}") }, "'tench' has no sentences" },
        { { .templates = v, .n_templates = 1, .classes = put("c.txt", "a\nb\n") },
          "2 class names for the 3 classes of three" },
    };
    struct prompts *p;
    struct class_texts t;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        OK(prompts_open(&bad[i].s, &p, &err));
        mohs_status st = prompts_fill(p, &three, &t, &err);
        refused(st, st, bad[i].says);
        ck_assert(st < 0);
        prompts_free(p);
    }
    struct dataset none = { .name = (char *)"captions" };
    struct prompt_source s = { .templates = v, .n_templates = 1 };
    OK(prompts_open(&s, &p, &err));
    refused(prompts_fill(p, &none, &t, &err), MOHS_E_ARG, "captions: prompts need classes");
    prompts_free(p);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("prompts");
    TCase *t = tcase_create("prompts");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_loop_test(t, lists_read, 0, sizeof lists / sizeof *lists);
    tcase_add_loop_test(t, lists_refused, 0, sizeof bad_lists / sizeof *bad_lists);
    tcase_add_test(t, folder_of_some_classes);
    tcase_add_test(t, folder_of_numbers);
    tcase_add_test(t, folder_refuses);
    tcase_add_test(t, folder_without_labels);
    tcase_add_test(t, corrupted_layouts);
    tcase_add_test(t, folder_templates);
    tcase_add_test(t, factors_read);
    tcase_add_loop_test(t, factors_refused, 0, sizeof bad_factors / sizeof *bad_factors);
    tcase_add_test(t, factors_of_equal_names);
    tcase_add_test(t, templates);
    tcase_add_test(t, descriptors);
    tcase_add_test(t, sentences);
    tcase_add_test(t, random_words);
    tcase_add_test(t, sources_refused);
    tcase_add_test(t, fillings_refused);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
