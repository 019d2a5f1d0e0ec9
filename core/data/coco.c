/* SPDX-License-Identifier: MIT */
/* COCO captions JSON: images[] {id, file_name}, annotations[] {image_id,
 * caption}; an optional depth_file_name is relative to the captions file. */
#include "config.h"

#include "data/data.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "data/dataset.h"

struct id_index {
    json_int_t id;
    uint32_t image;
};

static int by_id(const void *a, const void *b)
{
    json_int_t x = ((const struct id_index *)a)->id, y = ((const struct id_index *)b)->id;
    return x < y ? -1 : x > y;
}

/* "FILE: images[3].file_name is ..., not ...". */
static mohs_status bad(const char *file, const char *list, size_t i, const char *field,
                       const json_t *v, const char *want, struct mohs_error *err)
{
    char *text = v ? json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
    mohs_status st = mohs_fail(err, MOHS_E_FORMAT, "%s: %s[%zu].%s is %.60s, not %s", file,
                               list, i, field, text ? text : "missing", want);
    free(text);
    return st;
}

static mohs_status read_image(struct dataset *d, const json_t *o, const char *file,
                              const char *dir, size_t i, struct mohs_error *err)
{
    static const char want[] = "a relative path without \"..\"";
    const json_t *v = json_object_get(o, "file_name");
    const json_t *w = json_object_get(o, "depth_file_name");
    const char *name = json_string_value(v), *depth = json_string_value(w);
    if (!name || !data_safe_name(name))
        return bad(file, "images", i, "file_name", v, want, err);
    if (w && !json_is_null(w) && (!depth || !data_safe_name(depth)))
        return bad(file, "images", i, "depth_file_name", w, want, err);
    struct data_image *im = &d->image[i];
    im->id = arena_strdup(d->arena, name);
    im->path = arena_printf(d->arena, "%s/%s", d->root, name);
    im->depth_path = depth ? arena_printf(d->arena, "%s/%s", dir, depth) : NULL;
    im->key = hash_str64(name);
    im->label = UINT32_MAX;
    return MOHS_OK;
}

/* All ids are indexed, also those beyond the limit, so that a caption of an
 * unknown image is found out. */
static mohs_status read_images(struct dataset *d, const json_t *root, const char *file,
                               const char *dir, size_t limit, struct id_index **index,
                               size_t *n_index, struct mohs_error *err)
{
    const json_t *list = json_object_get(root, "images");
    size_t all = json_array_size(list);
    if (!json_is_array(list) || !all)
        return mohs_fail(err, MOHS_E_FORMAT, "%s: images is no list or empty", file);
    if (all > UINT32_MAX / 2)
        return mohs_fail(err, MOHS_E_FORMAT, "%s: %zu images", file, all);
    size_t n = limit && limit < all ? limit : all;
    d->image = arena_alloc(d->arena, n * sizeof *d->image);
    *index = try_calloc(all, sizeof **index, file, err);
    if (!*index)
        return MOHS_E_NOMEM;
    for (size_t i = 0; i < all; i++) {
        const json_t *o = json_array_get(list, i), *id = json_object_get(o, "id");
        if (!json_is_integer(id))
            return bad(file, "images", i, "id", id, "an integer", err);
        if (i < n)
            RET_IF_ERR(read_image(d, o, file, dir, i, err));
        (*index)[i] = (struct id_index) { json_integer_value(id), (uint32_t)i };
    }
    d->n_images = n;
    *n_index = all;
    qsort(*index, all, sizeof **index, by_id);
    for (size_t i = 1; i < all; i++)
        if ((*index)[i].id == (*index)[i - 1].id)
            return mohs_fail(err, MOHS_E_FORMAT, "%s: images[%u].id %lld is used twice",
                             file, (*index)[i].image, (long long)(*index)[i].id);
    return MOHS_OK;
}

static mohs_status read_captions(struct dataset *d, const json_t *root, const char *file,
                                 const struct id_index *index, size_t n_index,
                                 uint32_t per_image, struct mohs_error *err)
{
    const json_t *list = json_object_get(root, "annotations");
    size_t n = json_array_size(list);
    mohs_status st = MOHS_OK;
    if (!json_is_array(list) || !n)
        return mohs_fail(err, MOHS_E_FORMAT, "%s: annotations is no list or empty", file);
    uint32_t *have = try_calloc(d->n_images, sizeof *have, file, err);
    if (!have)
        return MOHS_E_NOMEM;
    d->text = arena_alloc(d->arena, n * sizeof *d->text);
    for (size_t i = 0; i < n; i++) {
        const json_t *o = json_array_get(list, i), *id = json_object_get(o, "image_id");
        const json_t *caption = json_object_get(o, "caption");
        struct id_index want = { json_integer_value(id), 0 };
        const struct id_index *hit =
            json_is_integer(id) ? bsearch(&want, index, n_index, sizeof want, by_id) : NULL;
        if (!json_is_string(caption))
            st = bad(file, "annotations", i, "caption", caption, "a text", err);
        else if (!hit)
            st = bad(file, "annotations", i, "image_id", id, "the id of an image", err);
        if (st < 0)
            break;
        if (hit->image >= d->n_images || (per_image && have[hit->image] >= per_image))
            continue; // of an image beyond the limit, or one caption too many
        uint32_t k = have[hit->image]++;
        struct data_text *t = &d->text[d->n_texts++];
        t->text = arena_strdup(d->arena, json_string_value(caption));
        t->id = arena_printf(d->arena, "%s#%u", d->image[hit->image].id, k);
        t->key = hash_str64(t->id);
        t->image = hit->image;
    }
    if (st >= 0 && !d->n_texts)
        st = mohs_fail(err, MOHS_E_FORMAT, "%s: no caption belongs to an image", file);
    free(have);
    return st;
}

mohs_status data_coco(const char *images, const char *json,
                      uint32_t captions_per_image, size_t limit,
                      struct dataset **out, struct mohs_error *err)
{
    json_error_t je;
    struct id_index *index = NULL;
    json_t *root = NULL;
    char *text = NULL;
    size_t n, n_index = 0;
    char *stem = path_stem(json), *dir = path_dir(json);
    struct dataset *d = dataset_new(stem, images);
    free(stem);
    mohs_status st;
    OUT_IF_ERR(file_read(json, (size_t)4 << 30, &text, &n, err));
    root = json_loadb(text, n, 0, &je);
    free(text); // the tree alone is five times the text
    text = NULL;
    if (!root) {
        st = mohs_fail(err, MOHS_E_FORMAT, "%s:%d: %s", json, je.line, je.text);
        goto out;
    }
    OUT_IF_ERR(read_images(d, root, json, dir, limit, &index, &n_index, err));
    OUT_IF_ERR(read_captions(d, root, json, index, n_index, captions_per_image, err));
    dataset_hash(d);
    *out = d;
    d = NULL;
out:
    free(text);
    free(index);
    free(dir);
    json_decref(root);
    dataset_free(d);
    return st;
}
