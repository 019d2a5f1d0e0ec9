/* SPDX-License-Identifier: MIT */
/* The readers on good and bad files, and the scene generator: equal bytes,
 * captions that are true of the factors, disjoint splits, seen points. */
#include "config.h"

#include <check.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "data/data.h"
#include "data/scenes.h"
#include "image/image.h"

static char *dir;

static void setup(void)
{
    const char *tmp = getenv("TMPDIR");
    dir = xasprintf("%s/mohs-data-XXXXXX", tmp && *tmp ? tmp : "/tmp");
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

/* A file below dir, its folders made. */
static char *put(const char *name, const char *text)
{
    char *path = path_join(dir, name), *folder = path_dir(path);
    ck_assert(dir_make(folder, NULL) >= 0);
    ck_assert(file_write(path, text, strlen(text), NULL) >= 0);
    free(folder);
    return path;
}

static void put_away(const char *name, const char *text)
{
    free(put(name, text));
}

static bool same(struct hash128 a, struct hash128 b)
{
    return a.hi == b.hi && a.lo == b.lo;
}

/* ---- COCO captions ------------------------------------------------------ */

static const char coco[] =
    "{\"images\": [{\"id\": 9, \"file_name\": \"b/x.png\"},"
    " {\"id\": -3, \"file_name\": \"a.jpg\", \"depth_file_name\": \"d/a.png\"},"
    " {\"id\": 5, \"file_name\": \"c.webp\"}],"
    "\"annotations\": [{\"image_id\": -3, \"caption\": \"one\"},"
    " {\"image_id\": 9, \"caption\": \"two\"}, {\"image_id\": -3, \"caption\": \"three\"},"
    " {\"image_id\": 5, \"caption\": \"four \\u00e9\"},"
    " {\"image_id\": -3, \"caption\": \"five\"}]}";

static struct dataset *read_coco(uint32_t per, size_t limit)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    struct dataset *d = NULL;
    char *path = put("caps.json", coco);
    ck_assert_msg(data_coco("pics", path, per, limit, &d, &e) >= 0, "%s", e.text);
    free(path);
    return d;
}

START_TEST(coco_reads)
{
    struct dataset *d = read_coco(0, 0);
    ck_assert_uint_eq(d->n_images, 3);
    ck_assert_uint_eq(d->n_texts, 5);
    ck_assert_str_eq(d->image[0].id, "b/x.png");
    ck_assert_str_eq(d->image[0].path, "pics/b/x.png");
    ck_assert_ptr_null(d->image[0].depth_path);
    ck_assert_msg(str_ends(d->image[1].depth_path, "/d/a.png") &&
                      !strncmp(d->image[1].depth_path, dir, strlen(dir)),
                  "%s", d->image[1].depth_path);
    ck_assert(d->image[2].key == hash_str64("c.webp"));
    ck_assert_uint_eq(d->image[2].label, UINT32_MAX);
    ck_assert_str_eq(d->text[0].text, "one");
    ck_assert_uint_eq(d->text[0].image, 1);
    ck_assert_str_eq(d->text[4].id, "a.jpg#2");
    ck_assert_str_eq(d->text[3].text, "four \xc3\xa9");
    dataset_free(d);
}
END_TEST

START_TEST(coco_limits)
{
    struct dataset *all = read_coco(0, 0), *d = read_coco(2, 0);
    ck_assert_uint_eq(d->n_texts, 4); // the third of a.jpg is left out
    ck_assert(!same(all->hash, d->hash));
    dataset_free(d);
    d = read_coco(1, 2);
    ck_assert_uint_eq(d->n_images, 2);
    ck_assert_uint_eq(d->n_texts, 2);
    ck_assert_str_eq(d->text[1].text, "two");
    dataset_free(d);
    d = read_coco(0, 0);
    ck_assert(same(all->hash, d->hash));
    dataset_free(d);
    dataset_free(all);
}
END_TEST

static const struct {
    const char *json, *says;
} coco_bad[] = {
    { "", "bad.json" },
    { "[1", "bad.json:1" },
    { "{}", "images is no list" },
    { "{\"images\": []}", "images is no list" },
    { "{\"images\": [{\"id\": 1.5, \"file_name\": \"a\"}]}", "images[0].id is 1.5" },
    { "{\"images\": [{\"id\": 1}]}", "images[0].file_name is missing" },
    { "{\"images\": [{\"id\": 1, \"file_name\": 7}]}", "images[0].file_name is 7" },
    { "{\"images\": [{\"id\": 1, \"file_name\": \"../x\"}]}",
      "images[0].file_name is \"../x\"" },
    { "{\"images\": [{\"id\": 1, \"file_name\": \"a/../../x\"}]}", "file_name is" },
    { "{\"images\": [{\"id\": 1, \"file_name\": \"/etc/x\"}]}", "file_name is \"/etc/x\"" },
    { "{\"images\": [{\"id\": 1, \"file_name\": \"\"}]}", "file_name is" },
    { "{\"images\": [{\"id\": 1, \"file_name\": \"a\", \"depth_file_name\": \"../d\"}]}",
      "depth_file_name is" },
    { "{\"images\": [{\"id\": 1, \"file_name\": \"a\"}, {\"id\": 1, \"file_name\": \"b\"}]}",
      "id 1 is used twice" },
    { "{\"images\": [{\"id\": 1, \"file_name\": \"a\"}]}", "annotations is no list" },
    { "{\"images\": [{\"id\": 1, \"file_name\": \"a\"}], \"annotations\": [{}]}",
      "annotations[0].caption is missing" },
    { "{\"images\": [{\"id\": 1, \"file_name\": \"a\"}],"
      " \"annotations\": [{\"image_id\": 1, \"caption\": null}]}",
      "annotations[0].caption is null" },
    { "{\"images\": [{\"id\": 1, \"file_name\": \"a\"}],"
      " \"annotations\": [{\"image_id\": 2, \"caption\": \"x\"}]}",
      "annotations[0].image_id is 2" },
};

START_TEST(coco_refuses)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    struct dataset *d = NULL;
    char *path = put("bad.json", coco_bad[_i].json);
    ck_assert_int_eq(data_coco("pics", path, 0, 0, &d, &e), MOHS_E_FORMAT);
    ck_assert_ptr_null(d);
    ck_assert_msg(strstr(e.text, coco_bad[_i].says) && strstr(e.text, "bad.json"),
                  "%s: %s", coco_bad[_i].says, e.text);
    free(path);
}
END_TEST

/* ---- folders and depth -------------------------------------------------- */

START_TEST(folder_reads)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    struct dataset *d = NULL;
    put_away("f/zebra/2.png", "");
    put_away("f/zebra/10.JPG", "");
    put_away("f/ant/a.webp", "");
    put_away("f/ant/notes.txt", "");
    ck_assert_int_eq(data_folder(dir, 0, &d, &e), MOHS_E_FORMAT);
    char *path = path_join(dir, "f");
    ck_assert_msg(data_folder(path, 0, &d, &e) >= 0, "%s", e.text);
    ck_assert_uint_eq(d->n_images, 3);
    ck_assert_uint_eq(d->n_classes, 2);
    ck_assert_str_eq(d->classes[0], "ant");
    ck_assert_str_eq(d->image[0].id, "ant/a.webp");
    ck_assert_str_eq(d->image[1].id, "zebra/10.JPG");
    ck_assert_uint_eq(d->image[2].label, 1);
    dataset_free(d);
    ck_assert(data_folder(path, 2, &d, &e) >= 0);
    ck_assert_uint_eq(d->n_images, 2);
    dataset_free(d);
    put_away("f/classnames.txt", "an ant\r\na zebra\n");
    ck_assert(data_folder(path, 0, &d, &e) >= 0);
    ck_assert_str_eq(d->classes[0], "an ant");
    ck_assert_str_eq(d->classes[1], "a zebra");
    dataset_free(d);
    put_away("f/classnames.txt", "one\ntwo\nthree\n");
    ck_assert_int_eq(data_folder(path, 0, &d, &e), MOHS_E_FORMAT);
    ck_assert_msg(strstr(e.text, "3 names for 2") != NULL, "%s", e.text);
    free(path);
}
END_TEST

START_TEST(depth_reads)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    uint16_t mm[6] = { 1, 500, 1000, 2500, 65535, 7 };
    uint32_t w = 0, h = 0;
    float *m = NULL;
    struct str s = { 0 };
    char *path = path_join(dir, "d.png");
    ck_assert(image_encode_png16(mm, 3, 2, &s, &e) >= 0);
    ck_assert(file_write(path, s.s, s.n, &e) >= 0);
    ck_assert_msg(data_depth(path, &w, &h, &m, &e) >= 0, "%s", e.text);
    ck_assert(w == 3 && h == 2);
    for (int i = 0; i < 6; i++)
        ck_assert_float_eq(m[i], (float)mm[i] / 1000.0f);
    free(m);
    mm[4] = 0;
    s.n = 0;
    ck_assert(image_encode_png16(mm, 3, 2, &s, &e) >= 0);
    ck_assert(file_write(path, s.s, s.n, &e) >= 0);
    ck_assert_int_eq(data_depth(path, &w, &h, &m, &e), MOHS_E_FORMAT);
    ck_assert_msg(strstr(e.text, "pixel 4") != NULL, "%s", e.text);
    free(path);
    str_free(&s);
}
END_TEST

/* ---- emoji-scenes -------------------------------------------------------- */

static bool have_packages(void)
{
    return file_exists("/usr/share/unicode/cldr/common/annotations/en.xml") &&
           file_exists("/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf");
}

static struct scenes_options small(const char *out, uint64_t seed)
{
    return (struct scenes_options) { .out = out, .seed = seed, .size_px = 32, .train = 60,
                                     .val = 10, .test = 20, .captions = 6 };
}

static char *make(const char *name, uint64_t seed)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    char *out = path_join(dir, name);
    struct scenes_options o = small(out, seed);
    ck_assert_msg(data_emoji_scenes(&o, &e) >= 0, "%s", e.text);
    return out;
}

/* Hash over the names and bytes of everything below a directory. */
static void hash_tree(struct hasher *h, const char *path)
{
    char **v;
    size_t n;
    ck_assert(dir_list(path, &v, &n, NULL) >= 0);
    for (size_t i = 0; i < n; i++) {
        char *p = path_join(path, v[i]), *data;
        size_t len;
        hasher_str(h, v[i]);
        if (dir_exists(p)) {
            hash_tree(h, p);
        } else {
            ck_assert(file_read(p, 0, &data, &len, NULL) >= 0);
            hasher_bytes(h, data, len);
            free(data);
        }
        free(p);
    }
    strv_free(v);
}

static struct hash128 tree(const char *path)
{
    struct hasher *h = hasher_new();
    hash_tree(h, path);
    return hasher_end(h);
}

/* Everything in place, and the readers read it. */
static void read_back(const char *a)
{
    static const char *const folders[] = { "classes", "zeroshot" };
    struct mohs_error e = MOHS_ERROR_INIT;
    struct dataset *d = NULL;
    char *images = path_join(a, "test"), *json = path_join(a, "test.json");
    ck_assert_msg(data_coco(images, json, 0, 0, &d, &e) >= 0, "%s", e.text);
    ck_assert_uint_eq(d->n_images, 20);
    ck_assert_uint_eq(d->n_texts, 120);
    for (size_t i = 0; i < d->n_images; i++) {
        struct image im;
        uint32_t w, h;
        float *m;
        ck_assert_msg(image_read(d->image[i].path, 0, &im, &e) >= 0, "%s", e.text);
        ck_assert(im.width == 32 && im.height == 32);
        image_free(&im);
        ck_assert_msg(data_depth(d->image[i].depth_path, &w, &h, &m, &e) >= 0, "%s", e.text);
        ck_assert(w == 32 && h == 32);
        free(m);
    }
    dataset_free(d);
    for (int i = 0; i < 2; i++) {
        char *f = path_join(a, folders[i]);
        ck_assert_msg(data_folder(f, 0, &d, &e) >= 0, "%s", e.text);
        ck_assert(d->n_classes > (i ? 30u : 300u));
        dataset_free(d);
        free(f);
    }
    free(images);
    free(json);
}

/* Made, made again, left alone, replaced only when asked. */
START_TEST(scenes_life)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    if (!have_packages())
        return;
    char *a = make("a", 7), *b = make("b//", 7);
    struct hash128 first = tree(a);
    ck_assert(same(first, tree(b)));
    free(make("a", 7)); // there already
    ck_assert(same(first, tree(a)));
    read_back(a);
    struct scenes_options o = small(a, 9);
    ck_assert_int_eq(data_emoji_scenes(&o, &e), MOHS_E_ARG);
    ck_assert(same(first, tree(a)));
    o.force = true;
    ck_assert_msg(data_emoji_scenes(&o, &e) >= 0, "%s", e.text);
    ck_assert(!same(first, tree(a)));
    free(a);
    free(b);
}
END_TEST

START_TEST(scenes_spares_others)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    char *other = put("other/precious.txt", "x"), *folder = path_dir(other);
    struct scenes_options o = small(folder, 1);
    o.force = true;
    ck_assert_int_eq(data_emoji_scenes(&o, &e), MOHS_E_ARG);
    ck_assert(file_exists(other));
    o.out = other;
    ck_assert_int_eq(data_emoji_scenes(&o, &e), MOHS_E_ARG);
    ck_assert(file_exists(other));
    free(folder);
    free(other);
}
END_TEST

START_TEST(scenes_options_checked)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    char *out = path_join(dir, "x");
    struct scenes_options o = small(out, 0);
    o.captions = 4;
    ck_assert_int_eq(data_emoji_scenes(&o, &e), MOHS_E_ARG);
    o.captions = 5;
    o.size_px = 15;
    ck_assert_int_eq(data_emoji_scenes(&o, &e), MOHS_E_ARG);
    o.size_px = 32;
    o.cldr = "/nonexistent/en.xml";
    ck_assert(data_emoji_scenes(&o, &e) < 0);
    ck_assert_msg(strstr(e.text, "/nonexistent/en.xml") != NULL, "%s", e.text);
    ck_assert(!dir_exists(out));
    o.out = "";
    ck_assert_int_eq(data_emoji_scenes(&o, &e), MOHS_E_ARG);
    free(out);
}
END_TEST

/* ---- what the generator promises, without files ------------------------- */

static struct catalogue cat;

static void open_catalogue(void)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    log_threshold = LOG_ERROR;
    if (have_packages())
        ck_assert_msg(catalogue_open("/usr/share/unicode/cldr/common/annotations/en.xml",
                                     "/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf",
                                     &cat, &e) >= 0, "%s", e.text);
}

static void close_catalogue(void)
{
    if (cat.n)
        catalogue_free(&cat);
}

START_TEST(names_are_distinct)
{
    size_t synonyms = 0, left_out = 0;
    for (size_t i = 0; i < cat.n; i++) {
        if (!*cat.v[i].name.text) {
            left_out++;
            continue;
        }
        for (size_t k = 0; k < i; k++) {
            ck_assert_str_ne(cat.v[i].name.text, cat.v[k].name.text);
            ck_assert(cat.v[i].code_point != cat.v[k].code_point);
        }
        for (uint32_t s = 0; s < cat.v[i].n_synonyms; s++) {
            size_t shared = 0;
            for (size_t k = 0; k < cat.n; k++) {
                for (uint32_t t = 0; t < cat.v[k].n_synonyms; t++)
                    shared += !strcmp(cat.v[k].synonym[t].text, cat.v[i].synonym[s].text);
                ck_assert_str_ne(cat.v[k].name.text, cat.v[i].synonym[s].text);
            }
            ck_assert_msg(shared <= 3, "%s", cat.v[i].synonym[s].text);
            synonyms++;
        }
    }
    ck_assert(cat.n == 0 || (cat.n > 350 && synonyms > 150));
    ck_assert_uint_eq(cat.n_known + cat.n_held_out + left_out, cat.n);
}
END_TEST

/* Trained checkpoints rely on what is held out: these may not move. */
START_TEST(held_out_stay)
{
    static const uint32_t some[] = { 0x1F330, 0x1F340, 0x1F34B, 0x1F354, 0x1F363, 0x1FAB5 };
    size_t found = 0;
    for (size_t i = 0; i < cat.n_held_out; i++)
        for (size_t k = 0; k < sizeof some / sizeof *some; k++)
            found += cat.v[cat.held_out[i]].code_point == some[k];
    ck_assert_uint_eq(found, cat.n ? sizeof some / sizeof *some : 0);
    ck_assert(cat.n == 0 || (cat.n_known == 365 && cat.n_held_out == 39));
}
END_TEST

/* What tells a scene of another: kinds, relation and colour, the order of
 * the two not counting. */
static uint64_t combination(const struct scene *s)
{
    static const enum relation inverse[] = { RIGHT_OF, LEFT_OF, BELOW, ABOVE };
    uint64_t a = s->object[0].kind, b = s->n > 1 ? s->object[1].kind : 0xFFFF;
    uint64_t r = s->n > 1 ? s->relation : 0;
    if (s->n > 1 && a > b) {
        uint64_t t = a;
        a = b;
        b = t;
        r = inverse[r];
    }
    return a << 32 | b << 16 | r << 8 | s->color;
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

START_TEST(splits_are_disjoint)
{
    enum { N = 4000 };
    static uint64_t train[N];
    if (!cat.n)
        return;
    // few kinds, so that combinations repeat
    for (uint64_t i = 0; i < N; i++) {
        struct scene s;
        scene_draw_random(&cat, cat.known, 12, 0, 64, 1, i, 0, &s);
        train[i] = combination(&s);
    }
    qsort(train, N, sizeof *train, by_value);
    for (int split = 1; split <= 2; split++)
        for (uint64_t i = 0; i < N; i++) {
            struct scene s;
            scene_draw_random(&cat, cat.known, 12, 0, 64, 2, i, split, &s);
            uint64_t c = combination(&s);
            ck_assert_ptr_null(bsearch(&c, train, N, sizeof c, by_value));
        }
}
END_TEST

/* Captions name only what is there: the background's colour, the relation or
 * its inverse in the right order, sizes, light. */
static bool calls(const struct object_class *o, const char *from, const char *to)
{
    for (uint32_t k = 0; k <= o->n_synonyms; k++) {
        const char *name = k ? o->synonym[k - 1].text : o->name.text;
        const char *at = strstr(from, name);
        if (at && (!to || at + strlen(name) <= to))
            return true;
    }
    return false;
}

static void check_caption(const struct scene *s, const char *t)
{
    static const char *const relations[] = { "to the left of", "to the right of", " above ",
                                             " below " };
    static const enum relation inverse[] = { RIGHT_OF, LEFT_OF, BELOW, ABOVE };
    const struct object_class *a = &cat.v[s->object[0].kind];
    const struct object_class *b = &cat.v[s->object[s->n > 1].kind];
    ck_assert_msg(!strstr(t, " a a ") && !strstr(t, "  ") && !strstr(t, " a o"), "%s", t);
    ck_assert_msg(!strstr(t, " in dim light") || s->light == DIM_LIGHT, "%s", t);
    ck_assert_msg(!strstr(t, " in bright light") || s->light == BRIGHT_LIGHT, "%s", t);
    const char *bg = strstr(t, " background");
    for (uint32_t c = 0; bg && c < SCENE_COLORS; c++) {
        size_t n = strlen(scene_colors[c]);
        if ((size_t)(bg - t) >= n && !strncmp(bg - n, scene_colors[c], n))
            ck_assert_msg(c == s->color, "%s", t);
    }
    for (uint32_t r = 0; r < RELATIONS; r++) {
        const char *at = strstr(t, relations[r]);
        if (!at)
            continue;
        ck_assert_msg(s->n > 1, "%s", t);
        bool forth = r == (uint32_t)s->relation;
        ck_assert_msg(forth || r == (uint32_t)inverse[s->relation], "%s", t);
        ck_assert_msg(calls(forth ? a : b, t, at) && calls(forth ? b : a, at, NULL), "%s", t);
    }
}

START_TEST(captions_are_true)
{
    if (!cat.n)
        return;
    for (uint64_t i = 0; i < 1500; i++) {
        struct scene s;
        char *t[CAPTIONS_MAX];
        scene_draw_random(&cat, cat.known, cat.n_known, 0, 64, 5, i, -1, &s);
        if (s.n > 1) { // drawn where it is said to be
            int32_t dx = s.object[0].x - s.object[1].x, dy = s.object[0].y - s.object[1].y;
            ck_assert(s.relation == LEFT_OF    ? dx < 0
                      : s.relation == RIGHT_OF ? dx > 0
                      : s.relation == ABOVE    ? dy < 0
                                               : dy > 0);
            ck_assert(s.object[0].large != s.object[1].large);
            ck_assert((s.object[0].size > s.object[1].size) == s.object[0].large);
        }
        scene_captions(&cat, &s, CAPTIONS_MAX, t);
        for (int k = 0; k < CAPTIONS_MAX; k++) {
            check_caption(&s, t[k]);
            for (int m = 0; m < k && k < CAPTIONS_MIN; m++)
                ck_assert_str_ne(t[k], t[m]);
        }
        for (int k = 0; k < CAPTIONS_MAX; k++)
            free(t[k]);
    }
}
END_TEST

/* Maps agree with each other and with the picture's parts. */
START_TEST(render_maps)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    enum { PX = 64, N = PX * PX };
    static uint8_t rgb[3 * N], owner[N];
    static uint16_t depth[N];
    struct image im = { PX, PX, rgb };
    if (!cat.n)
        return;
    for (uint64_t i = 0; i < 200; i++) {
        struct scene s;
        size_t seen[OBJECTS_MAX] = { 0 };
        scene_draw_random(&cat, cat.known, cat.n_known, 0, PX, 6, i, -1, &s);
        ck_assert(scene_render(&cat, &s, PX, &im, depth, owner, &e) >= 0);
        for (int k = 0; k < N; k++) {
            if (owner[k] < OBJECTS_MAX) {
                ck_assert_uint_lt(owner[k], s.n);
                ck_assert_uint_eq(depth[k], s.object[owner[k]].depth_mm);
                seen[owner[k]]++;
            } else {
                ck_assert(owner[k] == OWNER_BACKGROUND ||
                          (owner[k] == OWNER_BAR && s.occluded >= 0));
                ck_assert((owner[k] == OWNER_BAR) ==
                          (depth[k] < s.object[0].depth_mm && depth[k] < 1500));
            }
        }
        for (size_t k = 0; k < s.n; k++)
            ck_assert_msg(seen[k] > 8, "object %zu of scene %d shows %zu pixels", k, (int)i,
                          seen[k]);
    }
}
END_TEST

static void quiet_check(const char *path, bool json, mohs_status want, const char *says)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    char *out = path_join(dir, "stdout.txt"), *text;
    fflush(stdout);
    int keep = dup(1);
    ck_assert_ptr_nonnull(freopen(out, "w", stdout));
    mohs_status st = data_check(path, 4, json, &e);
    fflush(stdout);
    dup2(keep, 1);
    close(keep);
    ck_assert_int_eq(st, want);
    ck_assert(file_read(out, 0, &text, NULL, NULL) >= 0);
    ck_assert_msg(strstr(text, says) != NULL, "%s", text);
    if (json) {
        json_t *o = json_loads(text, 0, NULL);
        ck_assert_msg(json_is_array(json_object_get(o, "sets")), "%s", text);
        json_decref(o);
    }
    free(text);
    free(out);
}

START_TEST(check_says)
{
    if (!have_packages())
        return;
    char *a = make("a", 1), *gone = path_join(a, "val/000003.png");
    quiet_check(a, true, MOHS_OK, "\"zeroshot\", \"images\"");
    quiet_check(a, false, MOHS_OK, "captions   test.json");
    unlink(gone);
    quiet_check(a, true, MOHS_E_FORMAT, "\"missing\": 1");
    put_away("a/val/000003.png", "no picture");
    put_away("a/val/000000.png", "no picture"); // always tried
    quiet_check(a, true, MOHS_E_FORMAT, "\"undecodable\": 1");
    quiet_check(a, false, MOHS_E_FORMAT, "val/000000.png: not a JPEG, PNG or WebP picture");
    put_away("a/train.json", "{\"images\": [");
    quiet_check(a, true, MOHS_E_FORMAT, "\"error\"");
    put_away("empty/x.txt", "");
    char *empty = path_join(dir, "empty");
    quiet_check(empty, true, MOHS_E_FORMAT, "\"sets\": [");
    free(empty);
    free(gone);
    free(a);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("data");
    TCase *t = tcase_create("readers");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, coco_reads);
    tcase_add_test(t, coco_limits);
    tcase_add_loop_test(t, coco_refuses, 0, sizeof coco_bad / sizeof *coco_bad);
    tcase_add_test(t, folder_reads);
    tcase_add_test(t, depth_reads);
    suite_add_tcase(s, t);
    t = tcase_create("emoji-scenes");
    tcase_set_timeout(t, 120);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, scenes_life);
    tcase_add_test(t, scenes_spares_others);
    tcase_add_test(t, scenes_options_checked);
    tcase_add_test(t, check_says);
    suite_add_tcase(s, t);
    t = tcase_create("generator");
    tcase_set_timeout(t, 60);
    tcase_add_unchecked_fixture(t, open_catalogue, close_catalogue);
    tcase_add_test(t, names_are_distinct);
    tcase_add_test(t, held_out_stay);
    tcase_add_test(t, splits_are_disjoint);
    tcase_add_test(t, captions_are_true);
    tcase_add_test(t, render_maps);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
