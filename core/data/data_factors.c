/* SPDX-License-Identifier: MIT */
/* What images were annotated with: ImageNet-X's JSON lines. */
#include "config.h"

#include "data/data.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "data/class_list.h"
#include "data/dataset.h"

enum { MOST_FACTORS = 64, MOST_BYTES = 256 << 20 };

/* ---- images by file name ---- */

struct known {
    uint64_t hash;
    uint32_t image;
    bool whole; /* of the id, not only its last part */
};

struct names {
    const struct dataset *d;
    struct known *v;
    size_t n;
};

static int by_hash(const void *a, const void *b)
{
    const struct known *x = a, *y = b;
    if (x->hash != y->hash)
        return x->hash < y->hash ? -1 : 1;
    return x->image < y->image ? -1 : x->image > y->image;
}

static void names_make(struct names *k, const struct dataset *d)
{
    k->d = d;
    k->v = xcalloc(2 * d->n_images + 1, sizeof *k->v);
    for (uint32_t i = 0; i < d->n_images; i++) {
        const char *id = d->image[i].id, *base = path_base(id);
        k->v[k->n++] = (struct known) { d->image[i].key, i, true };
        if (base != id)
            k->v[k->n++] = (struct known) { hash_str64(base), i, false };
    }
    qsort(k->v, k->n, sizeof *k->v, by_hash);
}

enum { NO_IMAGE = -1, MANY_IMAGES = -2 };

/* The image of that name, or one of the above. */
static int64_t names_find(const struct names *k, const char *name)
{
    uint64_t hash = hash_str64(name);
    size_t low = 0, high = k->n;
    int64_t found = NO_IMAGE;
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (k->v[mid].hash < hash)
            low = mid + 1;
        else
            high = mid;
    }
    for (; low < k->n && k->v[low].hash == hash; low++) {
        const char *id = k->d->image[k->v[low].image].id;
        if (k->v[low].whole && !strcmp(id, name))
            return k->v[low].image;
        if (!k->v[low].whole && !strcmp(path_base(id), name))
            found = found == NO_IMAGE ? (int64_t)k->v[low].image : MANY_IMAGES;
    }
    return found;
}

/* ---- lines ---- */

struct reading {
    struct dataset *d;
    const char *path;
    struct names names;
    size_t found;
};

/* 0, 1, or -1 for what is no factor. */
static int factor_value(const json_t *v)
{
    if (json_is_boolean(v))
        return json_is_true(v);
    double x = json_is_number(v) ? json_number_value(v) : -1;
    return x == 0 ? 0 : x == 1 ? 1 : -1;
}

/* The factors are the keys of the first line that are 0 or 1. */
static mohs_status factor_names(struct reading *r, const json_t *o, uint32_t line,
                                struct mohs_error *err)
{
    struct dataset *d = r->d;
    const char *key;
    json_t *v;
    d->factors = arena_alloc(d->arena, MOST_FACTORS * sizeof *d->factors);
    json_object_foreach((json_t *)o, key, v) {
        if (!strcmp(key, "class") || factor_value(v) < 0)
            continue;
        if (d->n_factors == MOST_FACTORS)
            return mohs_fail(err, MOHS_E_FORMAT, "%s:%u: more than %d factors",
                             r->path, line, MOST_FACTORS);
        d->factors[d->n_factors++] = arena_strdup(d->arena, key);
    }
    if (!d->n_factors)
        return mohs_fail(err, MOHS_E_FORMAT, "%s:%u: no factors: no key is 0 or 1",
                         r->path, line);
    d->factor = try_calloc(d->n_images, d->n_factors, "factors", err);
    if (!d->factor)
        return MOHS_E_NOMEM;
    memset(d->factor, FACTOR_NONE, d->n_images * d->n_factors);
    return MOHS_OK;
}

static mohs_status read_factors(struct reading *r, const json_t *o, uint32_t line,
                                struct mohs_error *err)
{
    struct dataset *d = r->d;
    const char *name = json_string_value(json_object_get(o, "file_name"));
    if (!name)
        return mohs_fail(err, MOHS_E_FORMAT, "%s:%u: no file_name", r->path, line);
    if (!d->factors)
        RET_IF_ERR(factor_names(r, o, line, err));
    int64_t i = names_find(&r->names, name);
    if (i == NO_IMAGE)
        return MOHS_OK; // a subset of the images
    if (i == MANY_IMAGES)
        return mohs_fail(err, MOHS_E_FORMAT, "%s:%u: %.60s is the name of several "
                         "images", r->path, line, name);
    uint8_t *row = d->factor + (size_t)i * d->n_factors;
    if (*row != FACTOR_NONE)
        return mohs_fail(err, MOHS_E_FORMAT, "%s:%u: %.60s is there twice", r->path,
                         line, name);
    for (size_t f = 0; f < d->n_factors; f++) {
        int x = factor_value(json_object_get(o, d->factors[f]));
        if (x < 0)
            return mohs_fail(err, MOHS_E_FORMAT, "%s:%u: %s is neither 0 nor 1",
                             r->path, line, d->factors[f]);
        row[f] = (uint8_t)x;
    }
    r->found++;
    return MOHS_OK;
}

static mohs_status read_lines(struct reading *r, const char *text, size_t n,
                              struct mohs_error *err)
{
    struct arena *a = arena_new();
    struct text_lines l;
    mohs_status st = text_lines_parse(text, n, r->path, a, &l, err);
    for (size_t i = 0; st >= 0 && i < l.n; i++) {
        json_error_t je;
        json_t *o = json_loads(l.line[i], JSON_REJECT_DUPLICATES, &je);
        if (!json_is_object(o))
            st = mohs_fail(err, MOHS_E_FORMAT, "%s:%u: %s", r->path, l.number[i],
                           o ? "no JSON object" : je.text);
        else
            st = read_factors(r, o, l.number[i], err);
        json_decref(o);
    }
    arena_free(a);
    return st;
}

/* ---- prototypes ---- */

/* Field `at` of a CSV line without quotes, in place of the line. */
static char *csv_field(char *line, size_t at)
{
    for (; at && line; at--)
        line = (line = strchr(line, ',')) ? line + 1 : NULL;
    if (line)
        line[strcspn(line, ",")] = 0;
    return line;
}

static mohs_status leave_out(struct reading *r, const char *csv,
                             struct mohs_error *err)
{
    struct arena *a = arena_new();
    struct text_lines l;
    size_t column = 0;
    mohs_status st = text_lines_read(csv, a, &l, err);
    if (st >= 0) {
        char *s;
        do {
            char *head = arena_strdup(a, l.n ? l.line[0] : "");
            s = csv_field(head, column++);
        } while (s && strcmp(s, "file_name"));
        if (!s)
            st = mohs_fail(err, MOHS_E_FORMAT, "%s: no column file_name", csv);
        column--;
    }
    for (size_t i = 1; st >= 0 && i < l.n; i++) {
        char *name = csv_field((char *)l.line[i], column);
        int64_t k = name ? names_find(&r->names, name) : NO_IMAGE;
        if (!name)
            st = mohs_fail(err, MOHS_E_FORMAT, "%s:%u: too few columns", csv,
                           l.number[i]);
        if (k >= 0)
            memset(r->d->factor + (size_t)k * r->d->n_factors, FACTOR_NONE,
                   r->d->n_factors);
    }
    arena_free(a);
    return st;
}

mohs_status data_factors_parse(struct dataset *d, const char *text, size_t n,
                               const char *path, struct mohs_error *err)
{
    struct reading r = { .d = d, .path = path };
    if (d->factors)
        return mohs_fail(err, MOHS_E_ARG, "%s: %s has factors already", path, d->name);
    names_make(&r.names, d);
    mohs_status st = read_lines(&r, text, n, err);
    if (st >= 0 && !r.found)
        st = mohs_fail(err, MOHS_E_FORMAT, "%s: not one of the %zu images of %s is in it",
                       path, d->n_images, d->name);
    free(r.names.v);
    return st;
}

mohs_status dataset_factors(struct dataset *d, const char *jsonl,
                            const char *prototypes, struct mohs_error *err)
{
    struct reading r = { .d = d };
    char *text;
    size_t n;
    RET_IF_ERR(file_read(jsonl, MOST_BYTES, &text, &n, err));
    mohs_status st = data_factors_parse(d, text, n, jsonl, err);
    free(text);
    if (st >= 0 && prototypes) {
        names_make(&r.names, d);
        st = leave_out(&r, prototypes, err);
        free(r.names.v);
    }
    if (st < 0)
        return st;
    dataset_hash(d);
    return MOHS_OK;
}
