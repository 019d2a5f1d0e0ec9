/* SPDX-License-Identifier: MIT */
/* Arguments to pictures: files, folders, and the readers of data sets. */
#include "config.h"

#include "cli/inputs.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool ends_as(const char *name, const char *const *ends)
{
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot && ends[i]; i++)
        if (!strcasecmp(dot, ends[i]))
            return true;
    return false;
}

static bool is_file_of(const char *name, bool texts)
{
    static const char *const pictures[] = { ".png", ".jpg", ".jpeg", ".webp", NULL };
    static const char *const lines[] = { ".txt", NULL };
    return ends_as(name, texts ? lines : pictures);
}

bool input_known(const char *path)
{
    static const char *const sets[] = { ".tar", ".parquet", NULL };
    return is_file_of(path, false) || ends_as(path, sets);
}

static struct input *add(struct inputs *in)
{
    in->v = xrealloc(in->v, (in->n + 1) * sizeof *in->v);
    struct input *x = &in->v[in->n++];
    *x = (struct input) { .name = NULL };
    return x;
}

void inputs_take(struct inputs *in, char *path)
{
    add(in)->name = path;
}

/* ---- sets ---- */

static void take_set(struct inputs *in, struct dataset *d)
{
    in->set = xrealloc(in->set, (in->n_sets + 1) * sizeof *in->set);
    in->set[in->n_sets++] = d;
    for (size_t i = 0; i < d->n_images; i++)
        *add(in) = (struct input) { data_picture_name(d, i), d, i };
}

static mohs_status open_tables(const char *path, struct dataset **out,
                               struct mohs_error *err)
{
    return data_parquet(&(struct parquet_options) { .path = path, .text = "", .label = "" },
                        out, err);
}

static mohs_status open_archives(const char *dir, struct dataset **out,
                                 struct mohs_error *err)
{
    return data_webdataset(&(struct webdataset_options) { .dir = dir }, out, err);
}

static size_t count_ends(char *const *name, const char *end)
{
    size_t n = 0;
    for (; name && *name; name++)
        n += str_ends(*name, end);
    return n;
}

/* Archives of a folder, or of its split. */
static bool has_archives(const char *dir, char *const *entry)
{
    char *split = path_join(dir, "test"), **v = NULL;
    bool some = count_ends(entry, ".tar");
    if (!some && dir_exists(split) && dir_list(split, &v, NULL, NULL) >= 0)
        some = count_ends(v, ".tar");
    strv_free(v);
    free(split);
    return some;
}

static mohs_status open_folder(const char *dir, char *const *entry, struct dataset **out,
                               struct mohs_error *err)
{
    if (count_ends(entry, ".parquet"))
        return open_tables(dir, out, err);
    if (has_archives(dir, entry))
        return open_archives(dir, out, err);
    return data_folder(dir, 0, out, err);
}

static mohs_status add_folder(struct inputs *in, const char *dir, bool texts,
                              struct mohs_error *err)
{
    char **entry;
    size_t n, before = in->n;
    struct dataset *d;
    RET_IF_ERR(dir_list(dir, &entry, &n, err));
    for (size_t i = 0; i < n; i++)
        if (is_file_of(entry[i], texts))
            inputs_take(in, path_join(dir, entry[i]));
    mohs_status st = MOHS_OK;
    if (in->n == before && texts) {
        st = mohs_fail(err, MOHS_E_IO, "%s: no .txt files", dir);
    } else if (in->n == before) {
        st = open_folder(dir, entry, &d, err);
        if (st >= 0)
            take_set(in, d);
    }
    strv_free(entry);
    return st;
}

mohs_status inputs_add(struct inputs *in, const char *path, bool texts,
                       struct mohs_error *err)
{
    struct dataset *d;
    if (dir_exists(path))
        return add_folder(in, path, texts, err);
    if (texts || !input_known(path) || is_file_of(path, false)) {
        inputs_take(in, xstrdup(path));
        return MOHS_OK;
    }
    RET_IF_ERR((strcasecmp(strrchr(path, '.'), ".tar") ? open_tables : open_archives)(
        path, &d, err));
    take_set(in, d);
    return MOHS_OK;
}

void inputs_free(struct inputs *in)
{
    for (size_t i = 0; i < in->n; i++)
        free(in->v[i].name);
    for (size_t i = 0; i < in->n_sets; i++)
        dataset_free(in->set[i]);
    free(in->v);
    free(in->set);
    *in = (struct inputs) { .n = 0 };
}

/* ---- one picture ---- */

char *input_stem(const struct input *x)
{
    if (!x->set)
        return path_stem(x->name);
    char *stem = xstrdup(x->set->image[x->index].id);
    char *dot = strrchr(path_base(stem), '.');
    if (dot && dot != path_base(stem))
        *dot = 0;
    for (char *p = stem; *p; p++)
        if (*p == '/')
            *p = '_';
    return stem;
}

uint64_t input_key(const struct input *x)
{
    return x->set ? x->set->image[x->index].key : hash_str64(path_base(x->name));
}

mohs_status input_read(const struct input *x, unsigned flags, struct image *out,
                       struct mohs_error *err)
{
    return x->set ? data_picture(x->set, x->index, flags, out, err)
                  : image_read(x->name, flags, out, err);
}

/* ---- names of what is written ---- */

struct stem {
    char *text;
    const char *name;
};

static int by_text(const void *a, const void *b)
{
    return strcmp(((const struct stem *)a)->text, ((const struct stem *)b)->text);
}

mohs_status inputs_differ(const struct inputs *in, const char *who,
                          struct mohs_error *err)
{
    struct stem *v = xcalloc(in->n + 1, sizeof *v);
    mohs_status st = MOHS_OK;
    for (size_t i = 0; i < in->n; i++)
        v[i] = (struct stem) { input_stem(&in->v[i]), in->v[i].name };
    qsort(v, in->n, sizeof *v, by_text);
    for (size_t i = 1; i < in->n && st >= 0; i++)
        if (!by_text(&v[i - 1], &v[i]))
            st = mohs_fail(err, MOHS_E_ARG,
                           "%s: %.80s and %.80s would write the same files", who,
                           v[i - 1].name, v[i].name);
    for (size_t i = 0; i < in->n; i++)
        free(v[i].text);
    free(v);
    return st;
}
