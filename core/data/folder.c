/* SPDX-License-Identifier: MIT */
/* Image folders: one subfolder per class. */
#include "config.h"

#include "data/data.h"

#include <stdlib.h>
#include <string.h>

#include "data/dataset.h"

static bool is_picture(const char *s)
{
    static const char *const ends[] = { ".png", ".jpg", ".jpeg", ".webp", ".PNG", ".JPG",
                                        ".JPEG", ".WEBP" };
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (str_ends(s, ends[i]))
            return true;
    return false;
}

static void add_image(struct dataset *d, const char *folder, const char *file,
                      uint32_t label)
{
    char *id = xasprintf("%s/%s", folder, file);
    dataset_add_image(d, id, id)->label = label;
    free(id);
}

/* Names from classnames.txt, one a line in folder order. */
static mohs_status class_names(struct dataset *d, char **folder, size_t n,
                               struct mohs_error *err)
{
    char *path = path_join(d->root, "classnames.txt"), *text = NULL;
    mohs_status st = MOHS_OK;
    size_t k = 0, len;
    d->classes = arena_alloc(d->arena, (n ? n : 1) * sizeof *d->classes);
    if (!file_exists(path)) {
        for (; k < n; k++)
            d->classes[k] = arena_strdup(d->arena, folder[k]);
    } else {
        st = file_read(path, 64u << 20, &text, &len, err);
        for (char *p = text, *save = NULL; st >= 0; p = NULL) {
            char *line = strtok_r(p, "\r\n", &save);
            if (!line)
                break;
            if (k < n)
                d->classes[k] = arena_strdup(d->arena, line);
            k++;
        }
        if (st >= 0 && k != n)
            st = mohs_fail(err, MOHS_E_FORMAT, "%s: %zu names for %zu class folders", path,
                           k, n);
    }
    d->n_classes = n;
    free(text);
    free(path);
    return st;
}

mohs_status data_folder(const char *dir, size_t limit, struct dataset **out,
                        struct mohs_error *err)
{
    struct dataset *d = dataset_new(path_base(dir), dir);
    char **entry = NULL;
    size_t n = 0, k = 0;
    mohs_status st;
    OUT_IF_ERR(dir_list(dir, &entry, &n, err));
    for (size_t i = 0; i < n; i++) { // keep the folders
        char *path = path_join(dir, entry[i]);
        if (dir_exists(path)) {
            char *t = entry[k];
            entry[k++] = entry[i];
            entry[i] = t;
        }
        free(path);
    }
    if (!k) {
        st = mohs_fail(err, MOHS_E_FORMAT, "%s: no class folders in it", dir);
        goto out;
    }
    OUT_IF_ERR(class_names(d, entry, k, err));
    for (size_t i = 0; i < k; i++) {
        char *path = path_join(dir, entry[i]), **file;
        size_t files;
        st = dir_list(path, &file, &files, err);
        free(path);
        if (st < 0)
            goto out;
        for (size_t j = 0; j < files && (!limit || d->n_images < limit); j++)
            if (is_picture(file[j]))
                add_image(d, entry[i], file[j], (uint32_t)i);
        strv_free(file);
    }
    if (!d->n_images) {
        st = mohs_fail(err, MOHS_E_FORMAT, "%s: no pictures in its class folders", dir);
        goto out;
    }
    dataset_hash(d);
    *out = d;
    d = NULL;
out:
    strv_free(entry);
    dataset_free(d);
    return st;
}
