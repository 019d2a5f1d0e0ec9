/* SPDX-License-Identifier: MIT */
/* `mohs data check DIR`: what readers would find there, and what is missing. */
#include "config.h"

#include "data/data.h"

#include <stdlib.h>
#include <string.h>

#include "data/dataset.h"
#include "data/npy.h"

struct finding {
    const char *dir;
    size_t decode; /* pictures of a set that are tried */
    struct pool *pool;
    struct str text, json;
    size_t missing, undecodable, found, damaged;
};

/* ---- one set ---- */

enum { FAILS = 1, ABSENT };

/* What is there of a set's files. */
struct state {
    const struct dataset *d;
    size_t missing, tried, bad, step;
    const char *first; /* missing file */
    char *outcome;     /* of the pictures tried: 0 decodes, else enum */
    struct mohs_error err; /* of the first that fails */
    uint32_t least, most;  /* captions of an image */
    size_t labels;
};

static void note_missing(struct state *s, const char *path)
{
    if (file_exists(path))
        return;
    if (!s->missing++)
        s->first = path;
}

static void count_missing(struct state *s)
{
    const char *last = NULL;
    for (size_t i = 0; i < s->d->n_images; i++) {
        const struct data_image *im = &s->d->image[i];
        if (im->path != last) // an archive is asked for once
            note_missing(s, im->path);
        if (s->d->source || im->bytes)
            last = im->path;
        if (im->depth_path)
            note_missing(s, im->depth_path);
        s->labels += im->label != UINT32_MAX;
    }
}

static void count_captions(struct state *s)
{
    uint32_t *n = xcalloc(s->d->n_images + 1, sizeof *n);
    for (size_t t = 0; t < s->d->n_texts; t++)
        if (s->d->text[t].image < s->d->n_images)
            n[s->d->text[t].image]++;
    s->least = UINT32_MAX;
    for (size_t i = 0; i < s->d->n_images; i++) {
        s->least = n[i] < s->least ? n[i] : s->least;
        s->most = n[i] > s->most ? n[i] : s->most;
    }
    free(n);
}

static mohs_status try_picture(void *user, size_t i, struct mohs_error *err)
{
    struct state *s = user;
    size_t k = i * s->step;
    struct image im;
    if (!file_exists(s->d->image[k].path)) { // counted already
        s->outcome[i] = ABSENT;
        return MOHS_OK;
    }
    mohs_status st = data_picture(s->d, k, 0, &im, err);
    s->outcome[i] = st < 0 ? FAILS : 0;
    image_free(&im);
    return st;
}

/* Pictures evenly over the set. */
static void decode_some(struct finding *f, struct state *s)
{
    size_t n = s->d->n_images;
    if (!f->decode || !n)
        return;
    s->step = f->decode < n ? n / f->decode : 1;
    n = f->decode < n ? f->decode : n;
    s->outcome = xcalloc(n, sizeof *s->outcome);
    s->err = (struct mohs_error) MOHS_ERROR_INIT;
    pool_run(f->pool, n, try_picture, s, &s->err);
    for (size_t i = 0; i < n; i++) {
        s->tried += s->outcome[i] != ABSENT;
        s->bad += s->outcome[i] == FAILS;
    }
    free(s->outcome);
}

static void open_entry(struct finding *f, const char *kind, const char *name)
{
    str_add(&f->json, f->found + f->damaged ? ",\n    " : "\n    ");
    str_addf(&f->json, "{\"kind\": \"%s\", \"name\": ", kind);
    str_add_json(&f->json, name);
}

static void say_text(struct finding *f, const char *kind, const char *name,
                     const struct state *s, const char *hex)
{
    const struct dataset *d = s->d;
    struct str *t = &f->text;
    str_addf(t, "%-10s %-24s %8zu images %8zu texts %6zu classes  %.12s\n", kind, name,
             d->n_images, d->n_texts, d->n_classes, hex);
    if (d->n_texts && s->least == s->most)
        str_addf(t, "           captions of each image: %u\n", s->least);
    else if (d->n_texts)
        str_addf(t, "           captions of an image: %u to %u\n", s->least, s->most);
    if (s->labels && s->labels < d->n_images)
        str_addf(t, "           %zu images have no label\n", d->n_images - s->labels);
    if (s->labels && !d->n_classes)
        str_add(t, "           labels are numbers: the names of the classes are missing\n");
    if (s->missing)
        str_addf(t, "           %zu files missing, the first is %s\n", s->missing, s->first);
    if (s->bad)
        str_addf(t, "           %zu of %zu pictures tried do not decode: %s\n", s->bad,
                 s->tried, s->err.text);
    else if (s->tried)
        str_addf(t, "           %zu pictures tried\n", s->tried);
}

static void say_json(struct finding *f, const char *kind, const char *name,
                     const struct state *s, const char *hex)
{
    const struct dataset *d = s->d;
    struct str *t = &f->json;
    open_entry(f, kind, name);
    str_addf(t, ", \"images\": %zu, \"texts\": %zu, \"classes\": %zu, \"labels\": %zu",
             d->n_images, d->n_texts, d->n_classes, s->labels);
    if (d->n_texts)
        str_addf(t, ", \"captions_min\": %u, \"captions_max\": %u", s->least, s->most);
    str_addf(t, ", \"missing\": %zu, \"tried\": %zu, \"undecodable\": %zu", s->missing,
             s->tried, s->bad);
    if (s->first) {
        str_add(t, ", \"first_missing\": ");
        str_add_json(t, s->first);
    }
    if (s->bad) {
        str_add(t, ", \"picture_error\": ");
        str_add_json(t, s->err.text);
    }
    str_addf(t, ", \"hash\": \"%s\"}", hex);
}

/* Frees d. */
static void say(struct finding *f, const char *kind, const char *name, struct dataset *d)
{
    char hex[33];
    struct state s = { .d = d };
    hash_hex(d->hash, hex);
    count_missing(&s);
    count_captions(&s);
    decode_some(f, &s);
    say_text(f, kind, name, &s, hex);
    say_json(f, kind, name, &s, hex);
    f->found++;
    f->missing += s.missing;
    f->undecodable += s.bad;
    dataset_free(d);
}

static void say_damaged(struct finding *f, const char *kind, const char *name,
                        const struct mohs_error *err)
{
    str_addf(&f->text, "%-10s %-24s %s\n", kind, name, err->text);
    open_entry(f, kind, name);
    str_add(&f->json, ", \"error\": ");
    str_add_json(&f->json, err->text);
    str_add(&f->json, "}");
    f->damaged++;
}

/* ---- captions files ---- */

static char *below(const struct finding *f, const char *name)
{
    return strcmp(name, ".") ? path_join(f->dir, name) : xstrdup(f->dir);
}

/* The beginning of a file as text; NULL when it cannot be read. */
static char *beginning(const char *path)
{
    enum { MOST = 1 << 16 };
    FILE *f = fopen(path, "rb");
    if (!f)
        return NULL;
    char *s = xmalloc(MOST + 1);
    s[fread(s, 1, MOST, f)] = 0;
    fclose(f);
    return s;
}

/* The pictures of NAME.json: the folder NAME, one of the usual names, or the
 * directory itself. */
static char *pictures_of(const struct finding *f, const char *file)
{
    static const char *const usual[] = { "images", "flickr30k-images", "flickr30k_images",
                                         "Flicker8k_Dataset" };
    char *stem = path_stem(file), *path = below(f, stem);
    free(stem);
    for (size_t i = 0; !dir_exists(path) && i < sizeof usual / sizeof *usual; i++) {
        free(path);
        path = below(f, usual[i]);
    }
    if (!dir_exists(path)) {
        free(path);
        path = xstrdup(f->dir);
    }
    return path;
}

static void try_karpathy(struct finding *f, const char *file, const char *json,
                         const char *images)
{
    static const char *const split[] = { "train", "restval", "val", "test" };
    for (size_t i = 0; i < sizeof split / sizeof *split; i++) {
        struct karpathy_options o = { .images = images, .json = json, .split = split[i] };
        struct mohs_error err = MOHS_ERROR_INIT;
        struct dataset *d;
        char *name = xasprintf("%s %s", file, split[i]);
        mohs_status st = data_karpathy(&o, &d, &err);
        if (st >= 0)
            say(f, "karpathy", name, d);
        else if (st != MOHS_E_ARG) // not for want of that split
            say_damaged(f, "karpathy", file, &err);
        free(name);
        if (st < 0 && st != MOHS_E_ARG)
            return;
    }
}

static bool has(const char *text, const char *key)
{
    return text && strstr(text, key);
}

/* JSON files of other things are passed over. */
static void try_json(struct finding *f, const char *file)
{
    struct mohs_error err = MOHS_ERROR_INIT;
    struct dataset *d;
    char *json = below(f, file), *images = pictures_of(f, file), *head = beginning(json);
    if (has(head, "\"images\"") && has(head, "\"sentences\""))
        try_karpathy(f, file, json, images);
    else if (data_coco(images, json, 0, 0, &d, &err) >= 0)
        say(f, "captions", file, d);
    else if (has(head, "\"annotations\"") || has(head, "\"images\"") ||
             strcmp(images, f->dir))
        say_damaged(f, "captions", file, &err);
    free(head);
    free(json);
    free(images);
}

/* Tables without the usual columns are passed over. */
static void try_csv(struct finding *f, const char *file)
{
    struct mohs_error err = MOHS_ERROR_INIT;
    struct dataset *d;
    char *path = below(f, file);
    struct csv_options o = { .file = path, .header = true };
    mohs_status st = data_csv(&o, &d, &err);
    if (st >= 0)
        say(f, "csv", file, d);
    else if (st != MOHS_E_ARG)
        say_damaged(f, "csv", file, &err);
    free(path);
}

static void try_npy(struct finding *f, const char *file)
{
    struct mohs_error err = MOHS_ERROR_INIT;
    struct npy a;
    char *path = below(f, file), *data = NULL;
    size_t n;
    mohs_status st = file_read(path, INT32_MAX, &data, &n, &err);
    if (st >= 0)
        st = npy_is(data, n) ? npy_parse(path, data, n, &a, &err)
                             : mohs_fail(&err, MOHS_E_FORMAT, "%s: no NPY file", path);
    if (st < 0) {
        say_damaged(f, "array", file, &err);
    } else {
        str_addf(&f->text, "%-10s %-24s %s of %s\n", "array", file, a.shape, a.type);
        open_entry(f, "array", file);
        str_addf(&f->json, ", \"shape\": \"%s\", \"type\": \"%s\"}", a.shape, a.type);
        f->found++;
    }
    free(data);
    free(path);
}

/* ---- folders ---- */

static void try_classes(struct finding *f, const char *name)
{
    struct dataset *d;
    struct mohs_error err = MOHS_ERROR_INIT;
    char *path = below(f, name), *names = path_join(path, "classnames.txt");
    if (data_folder(path, 0, &d, &err) >= 0)
        say(f, "folder", name, d);
    else if (file_exists(names))
        say_damaged(f, "folder", name, &err);
    free(path);
    free(names);
}

/* How many entries of a folder end so. */
static size_t count_ends(char *const *entry, const char *end)
{
    size_t n = 0;
    for (; *entry; entry++)
        n += str_ends(*entry, end);
    return n;
}

static void try_archives(struct finding *f, const char *name)
{
    struct mohs_error err = MOHS_ERROR_INIT;
    struct dataset *d;
    struct webdataset_options o = { .dir = f->dir, .split = name };
    if (data_webdataset(&o, &d, &err) >= 0)
        say(f, "webdataset", name, d);
    else
        say_damaged(f, "webdataset", name, &err);
}

/* The Parquet files of a folder, a set for every name before '-' or '.'. */
static void try_parquet(struct finding *f, const char *folder, char *const *entry)
{
    char *last = NULL, *path = below(f, folder);
    for (; *entry; entry++) {
        if (!str_ends(*entry, ".parquet"))
            continue;
        char *split = xasprintf("%.*s", (int)strcspn(*entry, "-."), *entry);
        if (last && !strcmp(last, split)) {
            free(split);
            continue;
        }
        free(last);
        last = split;
        struct mohs_error err = MOHS_ERROR_INIT;
        struct dataset *d;
        char *name = strcmp(folder, ".") ? path_join(folder, split) : xstrdup(split);
        struct parquet_options o = { .path = path, .split = split };
        if (data_parquet(&o, &d, &err) >= 0)
            say(f, "parquet", name, d);
        else
            say_damaged(f, "parquet", name, &err);
        free(name);
    }
    free(last);
    free(path);
}

/* Archives, tables or class folders; "." is the directory itself. */
static void try_folder(struct finding *f, const char *name)
{
    char *path = below(f, name), **entry;
    size_t n;
    if (dir_list(path, &entry, &n, NULL) >= 0) {
        char *count = path_join(path, "nshards.txt");
        if (count_ends(entry, ".tar") || file_exists(count))
            try_archives(f, name);
        else if (count_ends(entry, ".parquet"))
            try_parquet(f, name, entry);
        else
            try_classes(f, name);
        free(count);
        strv_free(entry);
    }
    free(path);
}

/* ImageNet-C's layout, a set for every corruption and severity. */
static void try_corrupted(struct finding *f)
{
    struct arena *a = arena_new();
    struct corrupted_folder *c;
    size_t n;
    if (data_corrupted_folders(f->dir, a, &c, &n, NULL) < 0)
        n = 0;
    for (size_t i = 0; i < n; i++) {
        struct mohs_error err = MOHS_ERROR_INIT;
        struct dataset *d;
        struct folder_options o = { .dir = c[i].dir, .corruption = c[i].corruption,
                                    .severity = c[i].severity };
        const char *name = arena_printf(a, "%s/%u", c[i].corruption, c[i].severity);
        if (data_folder_open(&o, &d, &err) >= 0)
            say(f, "corrupted", name, d);
        else
            say_damaged(f, "corrupted", name, &err);
    }
    arena_free(a);
}

static mohs_status verdict(const struct finding *f, struct mohs_error *err)
{
    if (f->damaged)
        return mohs_fail(err, MOHS_E_FORMAT, "%s: %zu sets cannot be read", f->dir,
                         f->damaged);
    if (!f->found)
        return mohs_fail(err, MOHS_E_FORMAT,
                         "%s: no captions file, table, archives or class folders in it",
                         f->dir);
    if (f->missing)
        return mohs_fail(err, MOHS_E_FORMAT, "%s: %zu files are missing", f->dir, f->missing);
    if (f->undecodable)
        return mohs_fail(err, MOHS_E_FORMAT, "%s: %zu pictures do not decode", f->dir,
                         f->undecodable);
    return MOHS_OK;
}

mohs_status data_check(const char *dir, size_t decode, bool json, struct mohs_error *err)
{
    char **entry;
    size_t n;
    struct finding f = { .dir = dir, .decode = decode };
    RET_IF_ERR(dir_list(dir, &entry, &n, err));
    f.pool = pool_new(0);
    for (size_t i = 0; i < n; i++) {
        char *path = path_join(dir, entry[i]);
        if (str_ends(entry[i], ".json"))
            try_json(&f, entry[i]);
        else if (str_ends(entry[i], ".csv") || str_ends(entry[i], ".tsv"))
            try_csv(&f, entry[i]);
        else if (str_ends(entry[i], ".npy"))
            try_npy(&f, entry[i]);
        else if (dir_exists(path) && strcmp(entry[i], "depth"))
            try_folder(&f, entry[i]);
        free(path);
    }
    if (!f.found && !f.damaged)
        try_corrupted(&f);
    if ((!f.found && !f.damaged) || count_ends(entry, ".tar") || count_ends(entry, ".parquet"))
        try_folder(&f, ".");
    strv_free(entry);
    pool_free(f.pool);
    if (json)
        printf("{\n  \"version\": 1,\n  \"sets\": [%s\n  ]\n}\n", f.json.s ? f.json.s : "");
    else
        fputs(f.text.s ? f.text.s : "", stdout);
    mohs_status st = verdict(&f, err);
    str_free(&f.text);
    str_free(&f.json);
    return st;
}
