/* SPDX-License-Identifier: MIT */
/* `mohs data check DIR`: what readers would find there. */
#include "config.h"

#include "data/data.h"

#include <stdlib.h>
#include <string.h>

#include "data/dataset.h"

struct finding {
    struct str text, json;
    size_t missing, found, damaged;
};

static void open_entry(struct finding *f, const char *kind, const char *name)
{
    str_add(&f->json, f->found + f->damaged ? ",\n    " : "\n    ");
    str_addf(&f->json, "{\"kind\": \"%s\", \"name\": ", kind);
    str_add_json(&f->json, name);
}

static void say(struct finding *f, const char *kind, const char *name,
                const struct dataset *d, size_t missing)
{
    char hex[33];
    hash_hex(d->hash, hex);
    str_addf(&f->text, "%-8s %-24s %8zu images %8zu texts %6zu classes  %.12s", kind, name,
             d->n_images, d->n_texts, d->n_classes, hex);
    if (missing)
        str_addf(&f->text, "  %zu files missing", missing);
    str_add(&f->text, "\n");
    open_entry(f, kind, name);
    str_addf(&f->json, ", \"images\": %zu, \"texts\": %zu, \"classes\": %zu, "
                       "\"missing\": %zu, \"hash\": \"%s\"}", d->n_images, d->n_texts,
             d->n_classes, missing, hex);
    f->found++;
    f->missing += missing;
}

static void say_damaged(struct finding *f, const char *kind, const char *name,
                        const struct mohs_error *err)
{
    str_addf(&f->text, "%-8s %-24s %s\n", kind, name, err->text);
    open_entry(f, kind, name);
    str_add(&f->json, ", \"error\": ");
    str_add_json(&f->json, err->text);
    str_add(&f->json, "}");
    f->damaged++;
}

static size_t missing_files(const struct dataset *d)
{
    size_t n = 0;
    for (size_t i = 0; i < d->n_images; i++) {
        n += !file_exists(d->image[i].path);
        n += d->image[i].depth_path && !file_exists(d->image[i].depth_path);
    }
    return n;
}

/* A captions file NAME.json goes with the folder NAME, else with DIR. Other
 * JSON files are passed over. */
static void try_captions(struct finding *f, const char *dir, const char *file)
{
    struct dataset *d;
    struct mohs_error err = MOHS_ERROR_INIT;
    char *json = path_join(dir, file), *stem = path_stem(file);
    char *images = path_join(dir, stem), *text = NULL;
    if (data_coco(dir_exists(images) ? images : dir, json, 0, 0, &d, &err) >= 0) {
        say(f, "captions", file, d, missing_files(d));
        dataset_free(d);
    } else if (dir_exists(images) || (file_read(json, 0, &text, NULL, NULL) >= 0 &&
                                      strstr(text, "\"annotations\""))) {
        say_damaged(f, "captions", file, &err);
    }
    free(text);
    free(json);
    free(stem);
    free(images);
}

static void try_folder(struct finding *f, const char *dir, const char *name)
{
    struct dataset *d;
    struct mohs_error err = MOHS_ERROR_INIT;
    char *path = *name ? path_join(dir, name) : xstrdup(dir);
    char *names = path_join(path, "classnames.txt");
    if (data_folder(path, 0, &d, &err) >= 0) {
        say(f, "folder", *name ? name : ".", d, 0);
        dataset_free(d);
    } else if (file_exists(names)) {
        say_damaged(f, "folder", *name ? name : ".", &err);
    }
    free(path);
    free(names);
}

mohs_status data_check(const char *dir, bool json, struct mohs_error *err)
{
    char **entry;
    size_t n;
    struct finding f = { .missing = 0 };
    RET_IF_ERR(dir_list(dir, &entry, &n, err));
    for (size_t i = 0; i < n; i++) {
        char *path = path_join(dir, entry[i]);
        if (str_ends(entry[i], ".json"))
            try_captions(&f, dir, entry[i]);
        else if (dir_exists(path) && strcmp(entry[i], "depth"))
            try_folder(&f, dir, entry[i]);
        free(path);
    }
    if (!f.found && !f.damaged)
        try_folder(&f, dir, "");
    strv_free(entry);
    if (json)
        printf("{\n  \"version\": 1,\n  \"sets\": [%s\n  ]\n}\n", f.json.s ? f.json.s : "");
    else
        fputs(f.text.s ? f.text.s : "", stdout);
    mohs_status st = MOHS_OK;
    if (f.damaged)
        st = mohs_fail(err, MOHS_E_FORMAT, "%s: %zu sets cannot be read", dir, f.damaged);
    else if (!f.found)
        st = mohs_fail(err, MOHS_E_FORMAT,
                       "%s: no captions file and no class folders in it", dir);
    else if (f.missing)
        st = mohs_fail(err, MOHS_E_FORMAT, "%s: %zu files are missing", dir, f.missing);
    str_free(&f.text);
    str_free(&f.json);
    return st;
}
