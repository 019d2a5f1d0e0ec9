/* SPDX-License-Identifier: MIT */
/*
 * A data set from Parquet files as Hugging Face's datasets package writes
 * them: pictures are image.bytes, captions texts or lists of texts, labels
 * integers whose names lie in the file's notes. Texts and labels are read at
 * once; pictures page by page when they are asked for.
 */
#include "config.h"

#include "data/data.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "data/dataset.h"
#include "data/json_pull.h"
#include "data/parquet.h"

enum { NO_LEAF = -1, SLOTS = 3 };

/* A page of pictures. */
struct stretch {
    uint64_t first, rows; /* of all files */
    uint32_t file, group;
    struct parquet_page page, dictionary;
    bool has_dictionary;
};

/* A decoded one. */
struct slot {
    size_t stretch; /* SIZE_MAX: empty */
    uint64_t used;
    struct parquet_values values, dictionary;
};

struct pages {
    struct data_source base;
    struct parquet **file;
    size_t *leaf; /* of the pictures in each file */
    size_t n_files;
    struct stretch *stretch;
    size_t n, cap;
    pthread_mutex_t lock;
    struct slot slot[SLOTS];
    uint64_t clock;
};

/* ---- pictures, when they are asked for ---- */

static void slot_clear(struct slot *s)
{
    parquet_values_free(&s->values);
    parquet_values_free(&s->dictionary);
    s->stretch = SIZE_MAX;
}

static void pages_close(struct data_source *base)
{
    struct pages *p = (struct pages *)base;
    for (int i = 0; i < SLOTS; i++)
        slot_clear(&p->slot[i]);
    for (size_t i = 0; i < p->n_files; i++)
        parquet_close(p->file[i]);
    pthread_mutex_destroy(&p->lock);
    free(p->file);
    free(p->leaf);
    free(p->stretch);
    free(p);
}

static size_t stretch_of(const struct pages *p, uint64_t row)
{
    size_t low = 0, high = p->n;
    while (high - low > 1) {
        size_t mid = (low + high) / 2;
        if (p->stretch[mid].first <= row)
            low = mid;
        else
            high = mid;
    }
    return low;
}

/* The decoded page, in place of the one not used for longest. */
static mohs_status page_get(struct pages *p, size_t k, struct slot **out,
                            struct mohs_error *err)
{
    const struct stretch *t = &p->stretch[k];
    struct parquet *f = p->file[t->file];
    struct slot *s = &p->slot[0];
    for (int i = 0; i < SLOTS; i++) {
        if (p->slot[i].stretch == k) {
            s = &p->slot[i];
            break;
        }
        if (p->slot[i].used < s->used)
            s = &p->slot[i];
    }
    s->used = ++p->clock;
    *out = s;
    if (s->stretch == k)
        return MOHS_OK;
    slot_clear(s);
    size_t leaf = p->leaf[t->file];
    if (t->has_dictionary)
        RET_IF_ERR(parquet_read(f, t->group, leaf, &t->dictionary, NULL, &s->dictionary, err));
    RET_IF_ERR(parquet_read(f, t->group, leaf, &t->page,
                            t->has_dictionary ? &s->dictionary : NULL, &s->values, err));
    s->stretch = k;
    return MOHS_OK;
}

static mohs_status copy_row(const struct pages *p, const struct slot *s,
                            const struct data_image *im, char **bytes, size_t *n,
                            struct mohs_error *err)
{
    const struct stretch *t = &p->stretch[s->stretch];
    const struct parquet_leaf *f = &p->file[t->file]->leaf[p->leaf[t->file]];
    size_t row = (size_t)(im->offset - t->first), at = row;
    if (s->values.def) {
        at = 0;
        for (size_t i = 0; i < row; i++)
            at += s->values.def[i] == f->max_def;
        if (s->values.def[row] != f->max_def)
            return mohs_fail(err, MOHS_E_FORMAT, "%s: row %s has no picture", im->path, im->id);
    }
    const struct parquet_value *v = &s->values.value[at];
    *n = (size_t)v->x;
    *bytes = malloc(*n + 1);
    if (!*bytes)
        return mohs_fail(err, MOHS_E_NOMEM, "%s: no memory for %zu bytes", im->id, *n);
    memcpy(*bytes, v->s, *n);
    (*bytes)[*n] = 0;
    return MOHS_OK;
}

static mohs_status pages_read(struct data_source *base, const struct data_image *im,
                              char **bytes, size_t *n, struct mohs_error *err)
{
    struct pages *p = (struct pages *)base;
    struct slot *s;
    pthread_mutex_lock(&p->lock);
    mohs_status st = page_get(p, stretch_of(p, im->offset), &s, err);
    if (st >= 0)
        st = copy_row(p, s, im, bytes, n, err);
    pthread_mutex_unlock(&p->lock);
    return st;
}

/* ---- columns ---- */

struct reading {
    const struct parquet_options *o;
    struct dataset *d;
    struct pages *pages;
    struct label_names *labels; /* of labels that are texts */
    bool numbers;               /* labels are integers */
    const char *label;          /* the column's name */
    long image_leaf, text_leaf, label_leaf; /* of the file at hand */
};

static bool is_picture(const struct parquet_leaf *f)
{
    return f->type == PARQUET_BYTES && !f->max_rep &&
           (str_ends(f->path, ".bytes") || !strcmp(f->path, f->top));
}

static bool is_text(const struct parquet_leaf *f)
{
    return f->type == PARQUET_BYTES && f->max_rep <= 1 && !str_ends(f->path, ".bytes") &&
           !str_ends(f->path, ".path");
}

static bool is_label(const struct parquet_leaf *f)
{
    return !f->max_rep && (f->type == PARQUET_BYTES || f->type == PARQUET_INT32 ||
                           f->type == PARQUET_INT64);
}

/* The column called `wanted`, or the first of the usual names there is. */
static mohs_status find_leaf(const struct parquet *f, const char *option, const char *wanted,
                             const char *const *usual, bool (*fits)(const struct parquet_leaf *),
                             long *out, struct mohs_error *err)
{
    *out = NO_LEAF;
    if (wanted && !*wanted)
        return MOHS_OK;
    for (size_t k = 0; wanted ? k < 1 : usual[k] != NULL; k++)
        for (size_t i = 0; i < f->n_leaves && *out < 0; i++)
            if (!strcmp(f->leaf[i].top, wanted ? wanted : usual[k]) && fits(&f->leaf[i]))
                *out = (long)i;
    if (*out >= 0 || !wanted)
        return MOHS_OK;
    struct str has = { 0 };
    str_add(&has, "");
    for (size_t i = 0; i < f->n_leaves && has.n < 100; i++)
        str_addf(&has, "%s%.40s", i ? ", " : "", f->leaf[i].path);
    mohs_status st = mohs_fail(err, MOHS_E_ARG, "%s: no column \"%s\" for %s; it has %.110s",
                               f->path, wanted, option, has.s);
    str_free(&has);
    return st;
}

static mohs_status find_leaves(struct reading *r, const struct parquet *f,
                               struct mohs_error *err)
{
    static const char *const image[] = { "image", "img", "jpg", "png", "webp", "jpeg", NULL };
    static const char *const text[] = { "caption", "captions", "text", "sentences", "raw",
                                        "title", "txt", NULL };
    static const char *const label[] = { "label", "labels", "cls", "fine_label", NULL };
    RET_IF_ERR(find_leaf(f, "image", r->o->image, image, is_picture, &r->image_leaf, err));
    for (size_t i = 0; !r->o->image && r->image_leaf < 0 && i < f->n_leaves; i++)
        if (is_picture(&f->leaf[i]) && str_ends(f->leaf[i].path, ".bytes"))
            r->image_leaf = (long)i;
    if (r->image_leaf < 0)
        return mohs_fail(err, MOHS_E_FORMAT, "%s: no column of pictures (image.bytes)",
                         f->path);
    RET_IF_ERR(find_leaf(f, "text", r->o->text, text, is_text, &r->text_leaf, err));
    RET_IF_ERR(find_leaf(f, "label", r->o->label, label, is_label, &r->label_leaf, err));
    if (r->label_leaf == r->text_leaf)
        r->label_leaf = NO_LEAF;
    if (r->label_leaf >= 0 && !r->label)
        r->label = arena_strdup(r->d->arena, f->leaf[r->label_leaf].top);
    return MOHS_OK;
}

/* ---- rows ---- */

/* Pictures of a row group: where their pages lie. */
static mohs_status add_pictures(struct reading *r, const struct parquet *f, uint32_t file,
                                uint32_t group, uint64_t first, struct mohs_error *err)
{
    struct pages *p = r->pages;
    struct parquet_page *page;
    size_t n;
    uint64_t row = 0, rows = f->group[group].rows;
    if (f->group[group].chunk[r->image_leaf].values != rows)
        return mohs_fail(err, MOHS_E_FORMAT, "%s: row group %u has not %llu pictures", f->path,
                         group, (unsigned long long)rows);
    RET_IF_ERR(parquet_pages(f, group, (size_t)r->image_leaf, &page, &n, err));
    for (size_t i = 0; i < n; i++) {
        if (page[i].dictionary)
            continue;
        if (p->n == p->cap) {
            p->cap = p->cap ? 2 * p->cap : 64;
            p->stretch = xrealloc(p->stretch, p->cap * sizeof *p->stretch);
        }
        struct stretch *s = &p->stretch[p->n++];
        *s = (struct stretch) { .first = first + row, .rows = page[i].values, .file = file,
                                .group = group, .page = page[i],
                                .has_dictionary = page[0].dictionary };
        s->dictionary = page[0];
        row += page[i].values;
    }
    free(page);
    char *stem = path_stem(f->path);
    const char *path = arena_strdup(r->d->arena, f->path);
    for (uint64_t i = 0; i < rows && !(r->o->limit && r->d->n_images >= r->o->limit); i++) {
        char id[300];
        snprintf(id, sizeof id, "%.255s/%llu", stem, (unsigned long long)(first + i));
        struct data_image *im = dataset_add_image(r->d, id, NULL);
        im->path = path;
        im->offset = first + i;
    }
    free(stem);
    return MOHS_OK;
}

/* Where the values of a row group go. */
struct target {
    struct reading *r;
    const struct parquet *f;
    size_t first; /* image of the group's first row */
    uint64_t row; /* rows begun */
    uint32_t k;   /* captions of the row so far */
};

static mohs_status bad_row(const struct target *t, const char *what, struct mohs_error *err)
{
    return mohs_fail(err, MOHS_E_FORMAT, "%s: row %s: %s", t->f->path,
                     t->r->d->image[t->first + t->row - 1].id, what);
}

static char *text_of(const struct parquet_value *v)
{
    size_t n = (size_t)v->x;
    if (memchr(v->s, 0, n) || !utf8_valid(v->s, n))
        return NULL;
    return xasprintf("%.*s", (int)n, v->s);
}

static mohs_status take_text(struct target *t, const struct parquet_value *v,
                             struct mohs_error *err)
{
    char *s = text_of(v);
    if (!s)
        return bad_row(t, "a caption is not UTF-8", err);
    uint32_t most = t->r->o->captions_per_image;
    if (*s && (!most || t->k < most))
        dataset_add_text(t->r->d, s, (uint32_t)(t->first + t->row - 1), t->k++);
    free(s);
    return MOHS_OK;
}

static mohs_status take_label(struct target *t, const struct parquet_value *v,
                              struct mohs_error *err)
{
    struct data_image *im = &t->r->d->image[t->first + t->row - 1];
    if (!v->s) {
        t->r->numbers = true;
        if (v->x < -1 || v->x > UINT32_MAX / 2)
            return bad_row(t, "a label that is no class number", err);
        im->label = v->x < 0 ? UINT32_MAX : (uint32_t)v->x; // -1: of no known class
        return MOHS_OK;
    }
    char *s = text_of(v);
    if (!s)
        return bad_row(t, "a label is not UTF-8", err);
    im->label = label_names_take(t->r->labels, s);
    free(s);
    return MOHS_OK;
}

/* Gives each value of a page to fn; rows beyond the limit are passed over. */
static mohs_status each_value(struct target *t, const struct parquet_leaf *f,
                              const struct parquet_values *v, uint64_t rows,
                              mohs_status (*fn)(struct target *, const struct parquet_value *,
                                                struct mohs_error *),
                              struct mohs_error *err)
{
    size_t at = 0;
    for (size_t i = 0; i < v->n_levels; i++) {
        if (!v->rep || !v->rep[i]) {
            t->row++;
            t->k = 0;
        }
        if (t->row > rows || !t->row)
            return mohs_fail(err, MOHS_E_FORMAT, "%s: column %.60s: more rows than the "
                             "footer says", t->f->path, f->path);
        bool there = !v->def || v->def[i] == f->max_def;
        if (there && t->first + t->row - 1 < t->r->d->n_images)
            RET_IF_ERR(fn(t, &v->value[at], err));
        at += there;
    }
    return MOHS_OK;
}

static mohs_status read_column(struct reading *r, const struct parquet *f, size_t group,
                               long leaf, size_t first,
                               mohs_status (*fn)(struct target *, const struct parquet_value *,
                                                 struct mohs_error *),
                               struct mohs_error *err)
{
    struct target t = { r, f, first, 0, 0 };
    struct parquet_values dictionary = { 0 }, v;
    struct parquet_page *page;
    size_t n;
    uint64_t rows = f->group[group].rows;
    if (leaf < 0)
        return MOHS_OK;
    RET_IF_ERR(parquet_pages(f, group, (size_t)leaf, &page, &n, err));
    mohs_status st = MOHS_OK;
    for (size_t i = 0; i < n && st >= 0; i++) {
        if (page[i].dictionary) {
            st = parquet_read(f, group, (size_t)leaf, &page[i], NULL, &dictionary, err);
            continue;
        }
        st = parquet_read(f, group, (size_t)leaf, &page[i],
                          page[0].dictionary ? &dictionary : NULL, &v, err);
        if (st < 0)
            break;
        st = each_value(&t, &f->leaf[leaf], &v, rows, fn, err);
        parquet_values_free(&v);
    }
    if (st >= 0 && t.row != rows)
        st = mohs_fail(err, MOHS_E_FORMAT, "%s: column %.60s: fewer rows than the footer says",
                       f->path, f->leaf[leaf].path);
    parquet_values_free(&dictionary);
    free(page);
    return st;
}

static mohs_status read_file(struct reading *r, const char *path, uint64_t *row,
                             struct mohs_error *err)
{
    struct pages *p = r->pages;
    struct parquet *f;
    RET_IF_ERR(parquet_open(path, &f, err));
    uint32_t file = (uint32_t)p->n_files++;
    p->file[file] = f;
    RET_IF_ERR(find_leaves(r, f, err));
    p->leaf[file] = (size_t)r->image_leaf;
    for (uint32_t g = 0; g < f->n_groups && !(r->o->limit && r->d->n_images >= r->o->limit);
         g++) {
        size_t first = r->d->n_images;
        if (f->group[g].rows > UINT32_MAX / 2 - first)
            return mohs_fail(err, MOHS_E_FORMAT, "%s: more than %u pictures", path,
                             UINT32_MAX / 2);
        RET_IF_ERR(add_pictures(r, f, file, g, *row, err));
        RET_IF_ERR(read_column(r, f, g, r->text_leaf, first, take_text, err));
        RET_IF_ERR(read_column(r, f, g, r->label_leaf, first, take_label, err));
        *row += f->group[g].rows;
    }
    return MOHS_OK;
}

/* ---- names of classes ---- */

/* Moves to the value of `key` in the object that comes next: 1, or 0. */
static int32_t descend(struct json_pull *p, const char *key)
{
    int32_t more;
    if (json_pull_next(p, NULL) != PULL_OBJECT)
        return 0;
    while ((more = json_pull_key(p, NULL)) == 1) {
        if (!strcmp(json_pull_text(p), key))
            return 1;
        if (json_pull_skip(p, json_pull_next(p, NULL), NULL) < 0)
            return 0;
    }
    return 0;
}

/* info.features.LABEL.names of the notes; without them there are no names. */
static void class_names(struct reading *r, const struct parquet *f)
{
    struct dataset *d = r->d;
    size_t cap = 0;
    if (!f->huggingface || !r->numbers)
        return;
    struct json_pull *p = json_pull_bytes(f->huggingface, strlen(f->huggingface), f->path);
    if (descend(p, "info") && descend(p, "features") && descend(p, r->label) &&
        descend(p, "names") && json_pull_next(p, NULL) == PULL_LIST)
        while (json_pull_next(p, NULL) == PULL_TEXT) {
            d->classes = dataset_grow(d, d->classes, d->n_classes, &cap, sizeof *d->classes);
            d->classes[d->n_classes++] = arena_strdup(d->arena, json_pull_text(p));
        }
    json_pull_close(p);
}

static mohs_status finish(struct reading *r, struct mohs_error *err)
{
    struct dataset *d = r->d;
    if (!d->n_images)
        return mohs_fail(err, MOHS_E_FORMAT, "%s: no rows in it", r->o->path);
    class_names(r, r->pages->file[0]);
    for (size_t i = 0; d->n_classes && i < d->n_images; i++)
        if (d->image[i].label != UINT32_MAX && d->image[i].label >= d->n_classes)
            return mohs_fail(err, MOHS_E_FORMAT, "%s: row %s is of class %u of %zu",
                             d->image[i].path, d->image[i].id, d->image[i].label,
                             d->n_classes);
    return r->label && !r->numbers ? label_names_give(r->labels, d, r->o->path, err) : MOHS_OK;
}

/* ---- files ---- */

/* One file, or those of a folder whose names begin with the split. */
static mohs_status find_files(const struct parquet_options *o, char ***out, size_t *n,
                              struct mohs_error *err)
{
    if (!dir_exists(o->path)) {
        *out = xcalloc(2, sizeof **out);
        (*out)[0] = xstrdup(o->path);
        *n = 1;
        return MOHS_OK;
    }
    RET_IF_ERR(dir_list(o->path, out, n, err));
    size_t k = 0, len = o->split ? strlen(o->split) : 0;
    for (size_t i = 0; i < *n; i++) {
        char *name = (*out)[i];
        bool mine = str_ends(name, ".parquet") &&
                    (!len || (!strncmp(name, o->split, len) &&
                              (name[len] == '-' || name[len] == '.')));
        if (mine)
            (*out)[k++] = path_join(o->path, name);
        free(name);
    }
    (*out)[k] = NULL;
    *n = k;
    if (k)
        return MOHS_OK;
    strv_free(*out);
    return mohs_fail(err, MOHS_E_ARG, "%s: no .parquet files%s%s in it", o->path,
                     len ? " of split " : "", len ? o->split : "");
}

mohs_status data_parquet(const struct parquet_options *o, struct dataset **out,
                         struct mohs_error *err)
{
    char **file;
    size_t n;
    uint64_t row = 0;
    RET_IF_ERR(find_files(o, &file, &n, err));
    char *stem = path_stem(o->path);
    struct pages *p = xcalloc(1, sizeof *p);
    struct reading r = { .o = o, .d = dataset_new(stem, o->path), .pages = p,
                         .labels = label_names_new() };
    free(stem);
    p->base = (struct data_source) { pages_read, pages_close };
    p->file = xcalloc(n, sizeof *p->file);
    p->leaf = xcalloc(n, sizeof *p->leaf);
    pthread_mutex_init(&p->lock, NULL);
    for (int i = 0; i < SLOTS; i++)
        p->slot[i].stretch = SIZE_MAX;
    r.d->source = &p->base;
    if (o->split)
        r.d->split = arena_strdup(r.d->arena, o->split);
    mohs_status st = MOHS_OK;
    for (size_t i = 0; i < n && st >= 0; i++)
        st = read_file(&r, file[i], &row, err);
    if (st >= 0)
        st = finish(&r, err);
    strv_free(file);
    label_names_free(r.labels);
    if (st < 0) {
        dataset_free(r.d);
        return st;
    }
    dataset_hash(r.d);
    *out = r.d;
    return MOHS_OK;
}
