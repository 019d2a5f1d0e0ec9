/* SPDX-License-Identifier: MIT */
/*
 * A data set from a table of picture files with captions or labels, as
 * open_clip trains on and Hugging Face's metadata.csv.
 */
#include "config.h"

#include "data/data.h"

#include <stdlib.h>
#include <string.h>

#include "data/csv.h"
#include "data/dataset.h"

enum { NO_COLUMN = -1 };

struct reading {
    const struct csv_options *o;
    struct csv *c;
    struct dataset *d;
    char separator;
    long image, text, label; /* columns */
    struct name_table *images;
    uint32_t *have; /* captions of each image so far */
    size_t cap;
    struct label_names *labels;
};

/* ---- columns ---- */

/* `wanted`: a name, or a number from 1; NULL: the first of `usual` that there
 * is. */
static mohs_status find_column(const struct reading *r, const char *const *field, size_t n,
                               const char *option, const char *wanted,
                               const char *const *usual, bool must, long *out,
                               struct mohs_error *err)
{
    int64_t number;
    *out = NO_COLUMN;
    if (wanted && !*wanted)
        return MOHS_OK;
    for (size_t k = 0; r->o->header && (wanted ? k < 1 : usual[k] != NULL); k++)
        for (size_t i = 0; i < n && *out < 0; i++)
            if (!strcmp(field[i], wanted ? wanted : usual[k]))
                *out = (long)i;
    if (*out < 0 && wanted && str_to_i64(wanted, &number) && number >= 1 &&
        (size_t)number <= n)
        *out = (long)number - 1;
    if (*out >= 0 || (!must && !wanted))
        return MOHS_OK;
    struct str has = { 0 };
    str_add(&has, "");
    for (size_t i = 0; i < n && has.n < 100; i++)
        str_addf(&has, "%s%.40s", i ? ", " : "", field[i]);
    mohs_status st;
    if (r->o->header)
        st = mohs_fail(err, MOHS_E_ARG, "%s: no column \"%s\" for %s; it has %.110s",
                       r->o->file, wanted ? wanted : usual[0], option, has.s);
    else
        st = mohs_fail(err, MOHS_E_ARG, "%s: %s is \"%s\", no column in 1..%zu", r->o->file,
                       option, wanted ? wanted : "", n);
    str_free(&has);
    return st;
}

static mohs_status find_columns(struct reading *r, const char *const *field, size_t n,
                                struct mohs_error *err)
{
    static const char *const image[] = { "filepath", "file_name", "image", "path", NULL };
    static const char *const text[] = { "title", "caption", "text", NULL };
    static const char *const label[] = { "label", "class", NULL };
    const struct csv_options *o = r->o;
    bool head = o->header;
    RET_IF_ERR(find_column(r, field, n, "image", o->image || head ? o->image : "1", image,
                           true, &r->image, err));
    RET_IF_ERR(find_column(r, field, n, "label", o->label, label, false, &r->label, err));
    // a caption is what one expects, unless there are labels
    const char *second = o->text || head || o->label ? o->text : "2";
    return find_column(r, field, n, "text", second, text, r->label < 0, &r->text, err);
}

/* ---- rows ---- */

static mohs_status bad_row(const struct reading *r, struct mohs_error *err, const char *what)
{
    return mohs_fail(err, MOHS_E_FORMAT, "%s:%llu: %s", r->o->file,
                     (unsigned long long)csv_line(r->c), what);
}

/* The picture of a row: an earlier one of that name, or a new one. */
static mohs_status image_of(struct reading *r, const char *name, uint32_t *out,
                            bool *fresh, struct mohs_error *err)
{
    if (!data_safe_name(name))
        return mohs_fail(err, MOHS_E_FORMAT,
                         "%s:%llu: \"%.100s\" is no path below the folder of pictures",
                         r->o->file, (unsigned long long)csv_line(r->c), name);
    *out = name_table_find(r->images, name);
    *fresh = *out == UINT32_MAX;
    if (!*fresh)
        return MOHS_OK;
    if (r->o->limit && r->d->n_images >= r->o->limit)
        return 1;
    *out = (uint32_t)r->d->n_images;
    if (*out == r->cap) {
        r->cap = r->cap ? 2 * r->cap : 1024;
        r->have = xrealloc(r->have, r->cap * sizeof *r->have);
    }
    r->have[*out] = 0;
    name_table_add(r->images, dataset_add_image(r->d, name, name)->id);
    return MOHS_OK;
}

static mohs_status read_row(struct reading *r, const char *const *field, size_t n,
                            struct mohs_error *err)
{
    uint32_t i = 0;
    bool fresh = false;
    long last = r->image > r->text ? r->image : r->text;
    if ((size_t)(r->label > last ? r->label : last) >= n)
        return mohs_fail(err, MOHS_E_FORMAT, "%s:%llu: %zu fields, the columns need %ld",
                         r->o->file, (unsigned long long)csv_line(r->c), n,
                         (r->label > last ? r->label : last) + 1);
    mohs_status st = image_of(r, field[r->image], &i, &fresh, err);
    if (st)
        return st < 0 ? st : MOHS_OK;
    if (r->label >= 0) {
        uint32_t label = label_names_take(r->labels, field[r->label]);
        if (!fresh && r->d->image[i].label != label)
            return bad_row(r, err, "a second label of the same picture");
        r->d->image[i].label = label;
    }
    if (r->text >= 0) {
        if (!*field[r->text])
            return bad_row(r, err, "an empty caption");
        if (!r->o->captions_per_image || r->have[i] < r->o->captions_per_image)
            dataset_add_text(r->d, field[r->text], i, r->have[i]++);
    }
    return MOHS_OK;
}

static mohs_status read_rows(struct reading *r, struct mohs_error *err)
{
    const char *const *field;
    size_t n;
    int32_t more = csv_next(r->c, &field, &n, err);
    if (more == 0)
        return mohs_fail(err, MOHS_E_FORMAT, "%s: no rows in it", r->o->file);
    RET_IF_ERR(more);
    RET_IF_ERR(find_columns(r, field, n, err));
    if (!r->o->header)
        RET_IF_ERR(read_row(r, field, n, err));
    while ((more = csv_next(r->c, &field, &n, err)) == 1)
        RET_IF_ERR(read_row(r, field, n, err));
    RET_IF_ERR(more);
    if (!r->d->n_images)
        return mohs_fail(err, MOHS_E_FORMAT, "%s: no rows in it", r->o->file);
    return r->label >= 0 ? label_names_give(r->labels, r->d, r->o->file, err) : MOHS_OK;
}

/* A tab if the first line has one, else a comma. */
static mohs_status guess_separator(struct reading *r, struct mohs_error *err)
{
    char line[4096];
    FILE *f = r->separator ? NULL : fopen(r->o->file, "rb");
    if (r->separator)
        return MOHS_OK;
    if (!f)
        return err_errno(err, "%s", r->o->file);
    r->separator = fgets(line, sizeof line, f) && strchr(line, '\t') ? '\t' : ',';
    fclose(f);
    return MOHS_OK;
}

mohs_status data_csv(const struct csv_options *o, struct dataset **out,
                     struct mohs_error *err)
{
    char *stem = path_stem(o->file), *dir = path_dir(o->file);
    struct reading r = { .o = o, .separator = o->separator,
                         .d = dataset_new(stem, o->images ? o->images : dir),
                         .images = name_table_new(), .labels = label_names_new() };
    mohs_status st;
    OUT_IF_ERR(guess_separator(&r, err));
    OUT_IF_ERR(csv_open(o->file, r.separator, !o->no_quotes, &r.c, err));
    OUT_IF_ERR(read_rows(&r, err));
    dataset_hash(r.d);
    *out = r.d;
    r.d = NULL;
out:
    csv_close(r.c);
    name_table_free(r.images);
    label_names_free(r.labels);
    free(r.have);
    free(stem);
    free(dir);
    dataset_free(r.d);
    return st;
}
