/* SPDX-License-Identifier: MIT */
/* What all readers share: making a data set and reading its pictures. */
#include "config.h"

#include "data/dataset.h"

#include <stdlib.h>
#include <string.h>

enum { PICTURE_MAX_BYTES = 1 << 30 };

struct dataset *dataset_new(const char *name, const char *root)
{
    struct dataset *d = xcalloc(1, sizeof *d);
    d->arena = arena_new();
    d->name = arena_strdup(d->arena, name);
    d->split = arena_strdup(d->arena, name);
    d->root = arena_strdup(d->arena, root);
    return d;
}

void dataset_free(struct dataset *d)
{
    if (!d)
        return;
    if (d->source)
        d->source->close(d->source);
    if (d->embeddings) {
        free(d->embeddings->image);
        free(d->embeddings->text);
        free(d->embeddings);
    }
    arena_free(d->arena);
    free(d->factor);
    free(d);
}

void *dataset_grow(struct dataset *d, void *v, size_t n, size_t *cap, size_t size)
{
    if (n < *cap)
        return v;
    *cap = *cap ? 2 * *cap : 1024; // arenas do not grow in place
    void *to = arena_alloc(d->arena, *cap * size);
    return n ? memcpy(to, v, n * size) : to;
}

struct data_image *dataset_add_image(struct dataset *d, const char *id,
                                     const char *path)
{
    d->image = dataset_grow(d, d->image, d->n_images, &d->cap_images, sizeof *d->image);
    struct data_image *im = &d->image[d->n_images++];
    *im = (struct data_image) { .key = hash_str64(id), .label = UINT32_MAX };
    if (path)
        im->path = arena_printf(d->arena, "%s/%s", d->root, path);
    // one text for both where the id is the path
    im->id = path && !strcmp(id, path) ? im->path + strlen(d->root) + 1
                                       : arena_strdup(d->arena, id);
    return im;
}

struct data_text *dataset_add_text(struct dataset *d, const char *text,
                                   uint32_t image, uint32_t k)
{
    d->text = dataset_grow(d, d->text, d->n_texts, &d->cap_texts, sizeof *d->text);
    struct data_text *t = &d->text[d->n_texts++];
    t->text = arena_strdup(d->arena, text);
    t->id = arena_printf(d->arena, "%s#%u", d->image[image].id, k);
    t->key = hash_str64(t->id);
    t->image = image;
    return t;
}

void dataset_hash(struct dataset *d)
{
    struct hasher *h = hasher_new();
    hasher_u64(h, d->n_images);
    for (size_t i = 0; i < d->n_images; i++) {
        hasher_str(h, d->image[i].id);
        hasher_u64(h, d->image[i].label);
    }
    hasher_u64(h, d->n_texts);
    for (size_t i = 0; i < d->n_texts; i++) {
        hasher_str(h, d->text[i].text);
        hasher_u64(h, d->text[i].image);
    }
    for (size_t i = 0; i < d->n_classes; i++)
        hasher_str(h, d->classes[i]);
    // what most sets lack leaves their hashes alone
    if (d->corruption) {
        hasher_str(h, d->corruption);
        hasher_u64(h, d->severity);
    }
    for (size_t i = 0; i < d->n_factors; i++)
        hasher_str(h, d->factors[i]);
    if (d->n_factors)
        hasher_bytes(h, d->factor, d->n_images * d->n_factors);
    d->hash = hasher_end(h);
}

bool data_safe_name(const char *s)
{
    if (!*s || *s == '/')
        return false;
    for (const char *p = s; *p;) {
        size_t n = strcspn(p, "/");
        if (n == 2 && p[0] == '.' && p[1] == '.')
            return false;
        p += n + (p[n] == '/');
    }
    return true;
}

/* ---- pictures ---- */

char *data_picture_name(const struct dataset *d, size_t i)
{
    const struct data_image *im = &d->image[i];
    if (d->source || im->bytes)
        return xasprintf("%s: %s", im->path, im->id);
    return xstrdup(im->path);
}

mohs_status data_bytes(const struct dataset *d, size_t i, char **bytes, size_t *n,
                       struct mohs_error *err)
{
    const struct data_image *im = &d->image[i];
    if (d->embeddings)
        return mohs_fail(err, MOHS_E_ARG, "%s: embeddings, no pictures", d->name);
    if (d->source)
        return d->source->read(d->source, im, bytes, n, err);
    if (!im->bytes)
        return file_read(im->path, PICTURE_MAX_BYTES, bytes, n, err);
    if (im->bytes > PICTURE_MAX_BYTES)
        return mohs_fail(err, MOHS_E_FORMAT, "%s: %s: %llu bytes, the limit is %d",
                         im->path, im->id, (unsigned long long)im->bytes,
                         PICTURE_MAX_BYTES);
    *n = (size_t)im->bytes;
    return file_read_range(im->path, im->offset, *n, bytes, err);
}

mohs_status data_picture(const struct dataset *d, size_t i, unsigned flags,
                         struct image *out, struct mohs_error *err)
{
    char *bytes;
    size_t n;
    *out = (struct image) { 0 };
    RET_IF_ERR(data_bytes(d, i, &bytes, &n, err));
    char *name = data_picture_name(d, i);
    mohs_status st = image_decode(bytes, n, name, flags, out, err);
    free(name);
    free(bytes);
    return st;
}
