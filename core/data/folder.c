/* SPDX-License-Identifier: MIT */
/* Image folders: one subfolder per class. */
#include "config.h"

#include "data/data.h"

#include <stdlib.h>
#include <string.h>

#include "data/class_list.h"
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

/* ---- class folders ---- */

/* A folder with its place among the numbers, if it is named by one. */
struct entry {
    char *name;
    int64_t number;
    uint32_t label;
};

struct folders {
    struct entry *v;
    size_t n;
    bool numbered; /* all of them */
    int64_t most;  /* the largest number */
};

static void folders_free(struct folders *f)
{
    for (size_t i = 0; i < f->n; i++)
        free(f->v[i].name);
    free(f->v);
}

static bool is_number(const char *s, int64_t *out)
{
    return strspn(s, "0123456789") == strlen(s) && strlen(s) < 10 &&
           str_to_i64(s, out);
}

static int by_number(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    if (x->number != y->number)
        return x->number < y->number ? -1 : 1;
    return strcmp(x->name, y->name); // "01" and "1"
}

static mohs_status list_folders(const char *dir, struct folders *f,
                                struct mohs_error *err)
{
    char **entry;
    size_t n;
    RET_IF_ERR(dir_list(dir, &entry, &n, err));
    *f = (struct folders) { .v = xcalloc(n + 1, sizeof *f->v), .numbered = true };
    for (size_t i = 0; i < n; i++) {
        char *path = path_join(dir, entry[i]);
        // a picture is none; spares a look at each file of a flat folder
        if (!is_picture(entry[i]) && dir_exists(path)) {
            struct entry *x = &f->v[f->n++];
            x->name = xstrdup(entry[i]);
            f->numbered = f->numbered && is_number(x->name, &x->number);
            f->most = x->number > f->most ? x->number : f->most;
        }
        free(path);
    }
    strv_free(entry);
    if (f->n && f->numbered)
        qsort(f->v, f->n, sizeof *f->v, by_number);
    for (size_t i = 1; i < f->n; i++) // "1" and "01" name no places
        f->numbered = f->numbered && f->v[i].number != f->v[i - 1].number;
    return MOHS_OK;
}

/* ---- names ---- */

static void class_set(struct dataset *d, uint32_t *parent, size_t at,
                      const char *id, const char *name, size_t of_list)
{
    d->class_ids[at] = arena_strdup(d->arena, id);
    d->classes[at] = arena_strdup(d->arena, name);
    parent[at] = (uint32_t)of_list;
}

/* The place of a folder in the list; SIZE_MAX when it has none. */
static size_t list_place(const struct class_list *c, const struct folders *f,
                         size_t i)
{
    uint32_t at;
    if (c->id && (at = class_list_find(c, f->v[i].name)) != UINT32_MAX)
        return at;
    if (f->numbered && (size_t)f->most < c->n)
        return (size_t)f->v[i].number;
    return c->id || c->n != f->n ? SIZE_MAX : i;
}

static mohs_status names_from(struct dataset *d, struct folders *f,
                              const char *path, bool parent_classes,
                              struct mohs_error *err)
{
    struct class_list c;
    uint32_t *parent;
    mohs_status st;
    RET_IF_ERR(class_list_read(path, &c, err));
    size_t n = parent_classes ? c.n : f->n;
    d->classes = arena_alloc(d->arena, (n + 1) * sizeof *d->classes);
    d->class_ids = arena_alloc(d->arena, (n + 1) * sizeof *d->class_ids);
    d->class_parent = parent = arena_alloc(d->arena, (n + 1) * sizeof *parent);
    d->n_parent = c.n;
    for (size_t i = 0; parent_classes && i < n; i++)
        class_set(d, parent, i, c.id ? c.id[i] : "", c.name[i], i);
    for (size_t i = 0; i < f->n; i++) {
        size_t at = list_place(&c, f, i);
        if (at == SIZE_MAX && !c.id)
            st = mohs_fail(err, MOHS_E_FORMAT, "%s: %zu names for %zu class folders",
                           path, c.n, f->n);
        else if (at == SIZE_MAX)
            st = mohs_fail(err, MOHS_E_FORMAT, "%s: no class '%s', which is a folder "
                           "of %s", path, f->v[i].name, d->root);
        else
            st = MOHS_OK;
        if (st < 0)
            goto out;
        f->v[i].label = (uint32_t)(parent_classes ? at : i);
        class_set(d, parent, f->v[i].label, f->v[i].name, c.name[at], at);
    }
    d->n_classes = n;
    st = MOHS_OK;
out:
    class_list_free(&c);
    return st;
}

static mohs_status class_names(struct dataset *d, struct folders *f,
                               const struct folder_options *o,
                               struct mohs_error *err)
{
    char *own = path_join(o->dir, "classnames.txt");
    const char *path = o->classes ? o->classes : file_exists(own) ? own : NULL;
    mohs_status st = MOHS_OK;
    if (path) {
        st = names_from(d, f, path, o->parent, err);
    } else if (o->parent) {
        st = mohs_fail(err, MOHS_E_ARG, "%s: all classes of a list are wanted, and "
                       "there is no list", o->dir);
    } else {
        d->classes = arena_alloc(d->arena, (f->n + 1) * sizeof *d->classes);
        d->class_ids = d->classes;
        for (size_t i = 0; i < f->n; i++) {
            d->classes[i] = arena_strdup(d->arena, f->v[i].name);
            f->v[i].label = (uint32_t)i;
        }
        d->n_classes = f->n;
    }
    free(own);
    return st;
}

static mohs_status own_templates(struct dataset *d, struct mohs_error *err)
{
    static const char *const names[] = { "templates.txt",
                                         "zeroshot_classification_templates.txt" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char *path = path_join(d->root, names[i]);
        struct text_lines l = { 0 };
        mohs_status st = file_exists(path)
                             ? text_lines_read(path, d->arena, &l, err)
                             : MOHS_OK;
        free(path);
        RET_IF_ERR(st);
        if (l.n) {
            d->templates = l.line;
            d->n_templates = l.n;
            return MOHS_OK;
        }
    }
    return MOHS_OK;
}

/* ---- pictures ---- */

struct filling {
    struct dataset *d;
    const struct folder_options *o;
};

static void add_image(struct filling *w, const char *folder, const char *file,
                      uint32_t label)
{
    char *id = xasprintf("%s%s%s", folder, *folder ? "/" : "", file);
    dataset_add_image(w->d, id, id)->label = w->o->unlabelled ? UINT32_MAX : label;
    free(id);
}

static mohs_status add_folder(struct filling *w, const char *folder,
                              uint32_t label, struct mohs_error *err)
{
    const struct folder_options *o = w->o;
    char *path = *folder ? path_join(o->dir, folder) : xstrdup(o->dir), **file;
    size_t n, taken = 0;
    mohs_status st = dir_list(path, &file, &n, err);
    free(path);
    RET_IF_ERR(st);
    for (size_t i = 0; i < n; i++) {
        if ((o->limit && w->d->n_images == o->limit) ||
            (o->per_class && taken == o->per_class))
            break;
        if (!is_picture(file[i]))
            continue;
        add_image(w, folder, file[i], label);
        taken++;
    }
    strv_free(file);
    return MOHS_OK;
}

static mohs_status fill(struct filling *w, struct folders *f,
                        struct mohs_error *err)
{
    struct dataset *d = w->d;
    const struct folder_options *o = w->o;
    if (!o->unlabelled) {
        if (!f->n)
            return mohs_fail(err, MOHS_E_FORMAT, "%s: no class folders in it", o->dir);
        RET_IF_ERR(class_names(d, f, o, err));
        RET_IF_ERR(own_templates(d, err));
    } else {
        RET_IF_ERR(add_folder(w, "", UINT32_MAX, err));
    }
    for (size_t i = 0; i < f->n && (!o->limit || d->n_images < o->limit); i++)
        RET_IF_ERR(add_folder(w, f->v[i].name, f->v[i].label, err));
    if (!d->n_images)
        return mohs_fail(err, MOHS_E_FORMAT, "%s: no pictures in %s", o->dir,
                         o->unlabelled ? "it" : "its class folders");
    if (o->corruption) {
        d->corruption = arena_strdup(d->arena, o->corruption);
        d->severity = o->severity;
    }
    dataset_hash(d);
    return MOHS_OK;
}

mohs_status data_folder_open(const struct folder_options *o, struct dataset **out,
                             struct mohs_error *err)
{
    struct folders f;
    if (o->unlabelled && (o->classes || o->parent))
        return mohs_fail(err, MOHS_E_ARG, "%s: class names for pictures of no class",
                         o->dir);
    if (!o->corruption != !o->severity || o->severity > 5)
        return mohs_fail(err, MOHS_E_ARG, "%s: corruption %s at severity %u; a "
                         "corruption has severities 1..5", o->dir,
                         o->corruption ? o->corruption : "(none)", o->severity);
    RET_IF_ERR(list_folders(o->dir, &f, err));
    struct dataset *d = dataset_new(path_base(o->dir), o->dir);
    struct filling w = { d, o };
    mohs_status st = fill(&w, &f, err);
    folders_free(&f);
    if (st < 0) {
        dataset_free(d);
        return st;
    }
    *out = d;
    return MOHS_OK;
}

mohs_status data_folder(const char *dir, size_t limit, struct dataset **out,
                        struct mohs_error *err)
{
    struct folder_options o = { .dir = dir, .limit = limit };
    return data_folder_open(&o, out, err);
}

/* ---- corruption/severity/class ---- */

/* The severity that a folder is named by, or 0. */
static uint32_t severity_of(const char *name)
{
    return *name >= '1' && *name <= '5' && !name[1] ? (uint32_t)(*name - '0') : 0;
}

struct corrupted {
    struct arena *arena;
    struct corrupted_folder *v;
    size_t n;
};

static mohs_status find_corrupted(struct corrupted *c, const char *dir,
                                  const char *name, int deeper,
                                  struct mohs_error *err)
{
    struct folders f;
    mohs_status st = MOHS_OK;
    RET_IF_ERR(list_folders(dir, &f, err));
    bool any = false;
    for (size_t i = 0; i < f.n && *name; i++) {
        uint32_t s = severity_of(f.v[i].name);
        if (!s)
            continue;
        any = true;
        c->v = xrealloc(c->v, (c->n + 1) * sizeof *c->v);
        c->v[c->n++] = (struct corrupted_folder) {
            arena_strdup(c->arena, name),
            arena_printf(c->arena, "%s/%s", dir, f.v[i].name), s };
    }
    for (size_t i = 0; i < f.n && !any && deeper && st >= 0; i++) {
        char *path = path_join(dir, f.v[i].name);
        st = find_corrupted(c, path, f.v[i].name, deeper - 1, err);
        free(path);
    }
    folders_free(&f);
    return st;
}

mohs_status data_corrupted_folders(const char *dir, struct arena *a,
                                   struct corrupted_folder **out, size_t *n,
                                   struct mohs_error *err)
{
    struct corrupted c = { a, NULL, 0 };
    mohs_status st = find_corrupted(&c, dir, "", 2, err);
    if (st >= 0 && !c.n)
        st = mohs_fail(err, MOHS_E_FORMAT, "%s: no folders CORRUPTION/1 .. 5 in it",
                       dir);
    if (st >= 0) {
        *out = arena_alloc(a, c.n * sizeof **out);
        memcpy(*out, c.v, c.n * sizeof **out);
        *n = c.n;
    }
    free(c.v);
    return st;
}
