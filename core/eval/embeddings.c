/* SPDX-License-Identifier: MIT */
/*
 * Embeddings that somebody brings instead of pictures and texts: NPY arrays or
 * tensors of safetensors files, with what belongs to what.
 */
#include "config.h"

#include "eval/eval.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "data/dataset.h"
#include "data/npy.h"
#include "model/model.h"

enum { NPY_MAX_BYTES = INT32_MAX };

/* An array of a file as floats or, with whole, as integers below 2^24. */
struct array {
    float *v; /* rows * dim */
    uint64_t rows, dim;
    char *name; /* for messages */
};

static void array_free(struct array *a)
{
    free(a->v);
    free(a->name);
}

static mohs_status shaped(struct array *a, int sides, const uint64_t *side, int want,
                          struct mohs_error *err)
{
    if (sides != want)
        return mohs_fail(err, MOHS_E_FORMAT, "%s: %d dimensions, not %d", a->name, sides,
                         want);
    a->rows = side[0];
    a->dim = want == 2 ? side[1] : 1;
    if (!a->rows || !a->dim || a->rows > UINT32_MAX / 2 || a->dim > 1 << 20)
        return mohs_fail(err, MOHS_E_FORMAT, "%s: %llu x %llu", a->name,
                         (unsigned long long)a->rows, (unsigned long long)a->dim);
    a->v = try_calloc((size_t)a->rows, (size_t)a->dim * sizeof *a->v, a->name, err);
    return a->v ? MOHS_OK : MOHS_E_NOMEM;
}

static mohs_status read_npy(const char *path, int want, struct array *a,
                            struct mohs_error *err)
{
    char *data;
    size_t n;
    struct npy npy;
    RET_IF_ERR(file_read(path, NPY_MAX_BYTES, &data, &n, err));
    mohs_status st = npy_is(data, n)
                         ? npy_parse(path, data, n, &npy, err)
                         : mohs_fail(err, MOHS_E_FORMAT, "%s: no NPY file", path);
    a->name = xstrdup(path);
    if (st >= 0 && (want == 1) != npy_whole(&npy))
        st = mohs_fail(err, MOHS_E_FORMAT, "%s: type %s, not %s", path, npy.type,
                       want == 1 ? "integers" : "floats");
    if (st >= 0)
        st = shaped(a, npy.sides, npy.side, want, err);
    for (uint64_t i = 0; st >= 0 && i < npy.count; i++)
        a->v[i] = (float)npy_value(&npy, i);
    free(data);
    return st;
}

/* The tensor called `tensor`, or the only one there is. */
static mohs_status read_tensor(const char *path, const char *tensor, int want,
                               struct array *a, struct mohs_error *err)
{
    struct mohs_weights *w;
    uint32_t dims[5];
    uint64_t side[5] = { 0 };
    RET_IF_ERR(weights_open(path, &w, err));
    int32_t sides = weights_api.shape(w, tensor, dims);
    const char *only = weights_api.name(w, 0);
    if (sides < 0 && only && !weights_api.name(w, 1))
        sides = weights_api.shape(w, tensor = only, dims);
    a->name = xasprintf("%s: tensor \"%.60s\"", path, tensor);
    mohs_status st = sides < 0 ? mohs_fail(err, MOHS_E_FORMAT, "%s: no tensor \"%s\"", path,
                                           tensor)
                               : MOHS_OK;
    for (int i = 0; i < sides; i++)
        side[i] = dims[i];
    if (st >= 0)
        st = shaped(a, sides, side, want, err);
    if (st >= 0)
        st = weights_api.read(w, tensor, a->v, a->rows * a->dim, err);
    weights_close(w);
    return st;
}

/* "FILE.npy", "FILE.safetensors" or "FILE.safetensors:TENSOR". */
static mohs_status read_array(const char *spec, const char *usual, int want,
                              struct array *a, struct mohs_error *err)
{
    const char *colon = strrchr(spec, ':');
    char *path = xstrdup(spec);
    const char *tensor = usual;
    if (colon && !file_exists(spec)) {
        path[colon - spec] = 0;
        tensor = colon + 1;
    }
    mohs_status st = str_ends(path, ".npy") ? read_npy(path, want, a, err)
                                            : read_tensor(path, tensor, want, a, err);
    free(path);
    return st;
}

static mohs_status normalise(struct array *a, struct mohs_error *err)
{
    for (uint64_t r = 0; r < a->rows; r++) {
        float *row = a->v + r * a->dim;
        double sum = 0;
        for (uint64_t k = 0; k < a->dim; k++)
            sum += (double)row[k] * (double)row[k];
        if (!(sum > 0) || !isfinite(sum))
            return mohs_fail(err, MOHS_E_NUMERIC, "%s: row %llu is %s", a->name,
                             (unsigned long long)r, sum == 0 ? "zero" : "not finite");
        double scale = 1 / sqrt(sum);
        for (uint64_t k = 0; k < a->dim; k++)
            row[k] = (float)((double)row[k] * scale);
    }
    return MOHS_OK;
}

/* n integers in [least, below). */
static mohs_status check_indices(const struct array *a, uint64_t n, double least,
                                 uint64_t below, const char *of, struct mohs_error *err)
{
    if (a->rows != n)
        return mohs_fail(err, MOHS_E_FORMAT, "%s: %llu numbers for %llu %s", a->name,
                         (unsigned long long)a->rows, (unsigned long long)n, of);
    for (uint64_t i = 0; i < n; i++) {
        double x = (double)a->v[i];
        if (!(x >= least) || x >= (double)below || x != floor(x) || x >= 1 << 24)
            return mohs_fail(err, MOHS_E_FORMAT, "%s: number %llu is %g, not in %g..%llu",
                             a->name, (unsigned long long)i, x, least,
                             (unsigned long long)below - 1);
    }
    return MOHS_OK;
}

/* ---- the set ---- */

static void add_rows(struct dataset *d, const struct array *image, const struct array *text)
{
    char id[24];
    for (uint64_t i = 0; i < image->rows; i++) {
        snprintf(id, sizeof id, "%llu", (unsigned long long)i);
        dataset_add_image(d, id, NULL);
    }
    for (uint64_t t = 0; t < text->rows; t++)
        dataset_add_text(d, "", 0, (uint32_t)t);
}

/* Texts are classes: images have labels. */
static mohs_status set_labels(struct dataset *d, const struct array *label,
                              struct mohs_error *err)
{
    RET_IF_ERR(check_indices(label, d->n_images, -1, d->n_texts, "images", err));
    for (size_t i = 0; i < d->n_images; i++)
        d->image[i].label = label->v[i] < 0 ? UINT32_MAX : (uint32_t)label->v[i];
    for (size_t t = 0; t < d->n_texts; t++)
        d->text[t].image = UINT32_MAX;
    return MOHS_OK;
}

/* Texts describe images: as owner says, or the same number each in turn. */
static mohs_status set_owners(struct dataset *d, const struct array *owner,
                              struct mohs_error *err)
{
    if (owner->v)
        RET_IF_ERR(check_indices(owner, d->n_texts, 0, d->n_images, "texts", err));
    else if (d->n_texts % d->n_images)
        return mohs_fail(err, MOHS_E_ARG, "embeddings: %zu texts of %zu images need an "
                         "owner for each text", d->n_texts, d->n_images);
    size_t each = d->n_texts / d->n_images;
    for (size_t t = 0; t < d->n_texts; t++)
        d->text[t].image = (uint32_t)(owner->v ? (size_t)owner->v[t] : t / each);
    return MOHS_OK;
}

static void swap_texts(struct dataset *d, struct array *a, float *room, uint32_t i, uint32_t k)
{
    size_t bytes = a->dim * sizeof *room;
    float *x = a->v + i * a->dim, *y = a->v + k * a->dim;
    struct data_text t = d->text[i];
    d->text[i] = d->text[k];
    d->text[k] = t;
    memcpy(room, x, bytes);
    memcpy(x, y, bytes);
    memcpy(y, room, bytes);
}

/* Puts the texts of an image beside each other, as readers of captions have
 * them: metrics then find them in narrow tiles. Ids and order within an image
 * stay. */
static mohs_status group_texts(struct dataset *d, struct array *a, struct mohs_error *err)
{
    uint32_t *next = try_calloc(d->n_images + 1, sizeof *next, "texts", err);
    uint32_t *to = try_calloc(d->n_texts, sizeof *to, "texts", err);
    float *room = try_calloc(a->dim, sizeof *room, "texts", err);
    bool there = next && to && room;
    for (size_t t = 0; there && t < d->n_texts; t++)
        next[d->text[t].image + 1]++;
    for (size_t i = 1; there && i < d->n_images; i++)
        next[i] += next[i - 1];
    for (size_t t = 0; there && t < d->n_texts; t++)
        to[t] = next[d->text[t].image]++;
    for (uint32_t t = 0; there && t < d->n_texts; t++)
        while (to[t] != t) { // every swap brings a row home
            uint32_t home = to[t];
            swap_texts(d, a, room, t, home);
            to[t] = to[home];
            to[home] = home;
        }
    free(next);
    free(to);
    free(room);
    return there ? MOHS_OK : MOHS_E_NOMEM;
}

static void hash_rows(struct dataset *d)
{
    struct data_embeddings *e = d->embeddings;
    struct hasher *h = hasher_new();
    hasher_bytes(h, e->image, d->n_images * e->dim * sizeof *e->image);
    hasher_bytes(h, e->text, d->n_texts * e->dim * sizeof *e->text);
    e->hash = hasher_end(h);
    dataset_hash(d);
    h = hasher_new();
    hasher_u64(h, d->hash.hi);
    hasher_u64(h, d->hash.lo);
    hasher_u64(h, e->hash.hi);
    hasher_u64(h, e->hash.lo);
    d->hash = hasher_end(h);
}

static mohs_status fill(struct dataset *d, const struct embeddings_options *o,
                        struct array v[4], struct mohs_error *err)
{
    struct array *image = &v[0], *text = &v[1], *owner = &v[2], *label = &v[3];
    RET_IF_ERR(read_array(o->image, "image", 2, image, err));
    RET_IF_ERR(read_array(o->text, "text", 2, text, err));
    if (o->owner)
        RET_IF_ERR(read_array(o->owner, "owner", 1, owner, err));
    if (o->label)
        RET_IF_ERR(read_array(o->label, "label", 1, label, err));
    if (image->dim != text->dim)
        return mohs_fail(err, MOHS_E_FORMAT, "%s: rows of %llu, %s has %llu", text->name,
                         (unsigned long long)text->dim, image->name,
                         (unsigned long long)image->dim);
    RET_IF_ERR(normalise(image, err));
    RET_IF_ERR(normalise(text, err));
    add_rows(d, image, text);
    RET_IF_ERR(o->label ? set_labels(d, label, err) : set_owners(d, owner, err));
    if (owner->v)
        RET_IF_ERR(group_texts(d, text, err));
    struct data_embeddings *e = d->embeddings = xcalloc(1, sizeof *e);
    *e = (struct data_embeddings) { .dim = (uint32_t)image->dim,
                                    .model = arena_strdup(d->arena, o->model ? o->model
                                                                            : "embeddings"),
                                    .classes = o->label != NULL,
                                    .logit_scale = o->logit_scale,
                                    .logit_bias = o->logit_bias,
                                    .image = image->v, .text = text->v };
    image->v = text->v = NULL; // taken
    hash_rows(d);
    return MOHS_OK;
}

mohs_status eval_embeddings(const struct embeddings_options *o, struct dataset **out,
                            struct mohs_error *err)
{
    struct array v[4] = { 0 };
    char *stem = path_stem(o->image);
    struct dataset *d = dataset_new(stem, o->image);
    free(stem);
    mohs_status st = MOHS_OK;
    if (o->owner && o->label)
        st = mohs_fail(err, MOHS_E_ARG,
                       "embeddings: owners of texts and labels of images exclude each other");
    if (st >= 0)
        st = fill(d, o, v, err);
    for (int i = 0; i < 4; i++)
        array_free(&v[i]);
    if (st < 0)
        dataset_free(d);
    else
        *out = d;
    return st;
}
