/* SPDX-License-Identifier: MIT */
/* COCO captions JSON: images[] {id, file_name}, annotations[] {image_id,
 * caption}; an optional depth_file_name is relative to the captions file. */
#include "config.h"

#include "data/data.h"

#include <stdlib.h>
#include <string.h>

#include "data/dataset.h"
#include "data/json_pull.h"

struct id_index {
    int64_t id;
    uint32_t image;
};

/* A caption that came before its image; its text is in the arena. */
struct early {
    int64_t image;
    const char *text;
};

struct coco {
    struct dataset *d;
    struct json_pull *p;
    const char *file, *dir; /* the captions file and its folder */
    uint32_t per_image;
    size_t limit;
    struct id_index *index; /* by id, once images are read */
    size_t n_index, cap_index;
    uint32_t *have; /* captions of each image so far */
    struct early *early;
    size_t n_early, cap_early, n_annotations;
    bool images, annotations; /* seen */
};

static int by_id(const void *a, const void *b)
{
    int64_t x = ((const struct id_index *)a)->id, y = ((const struct id_index *)b)->id;
    return x < y ? -1 : x > y;
}

static mohs_status bad(const struct coco *c, const char *list, size_t i,
                       const char *field, const struct json_value *v,
                       const char *want, struct mohs_error *err)
{
    return json_value_refuse(v, err, want, "%s: %s[%zu].%s", c->file, list, i, field);
}

/* ---- images ---- */

enum { IMAGE_FIELDS = 3, CAPTION_FIELDS = 2 };

static mohs_status add_image(struct coco *c, const struct json_value *id,
                             const struct json_value *file,
                             const struct json_value *map, struct mohs_error *err)
{
    static const char want[] = "a relative path without \"..\"";
    struct dataset *d = c->d;
    size_t i = c->n_index;
    int64_t number;
    if (!json_value_integer(id, &number))
        return bad(c, "images", i, "id", id, "an integer", err);
    if (i == UINT32_MAX / 2)
        return mohs_fail(err, MOHS_E_FORMAT, "%s: more than %zu images", c->file, i);
    if (i == c->cap_index) {
        c->cap_index = c->cap_index ? 2 * c->cap_index : 1024;
        c->index = xrealloc(c->index, c->cap_index * sizeof *c->index);
    }
    c->index[c->n_index++] = (struct id_index) { number, (uint32_t)i };
    if (c->limit && i >= c->limit)
        return MOHS_OK; // indexed, so that captions of unknown images are found
    const char *name = json_value_text(file), *depth = json_value_text(map);
    if (!name || !data_safe_name(name))
        return bad(c, "images", i, "file_name", file, want, err);
    if (map->there && map->token != PULL_NULL && (!depth || !data_safe_name(depth)))
        return bad(c, "images", i, "depth_file_name", map, want, err);
    struct data_image *im = dataset_add_image(d, name, name);
    if (depth)
        im->depth_path = arena_printf(d->arena, "%s/%s", c->dir, depth);
    return MOHS_OK;
}

static mohs_status take_caption(struct coco *c, size_t i, int64_t image,
                                const char *text, struct mohs_error *err)
{
    struct id_index want = { image, 0 };
    const struct id_index *hit =
        bsearch(&want, c->index, c->n_index, sizeof want, by_id);
    if (!hit)
        return mohs_fail(err, MOHS_E_FORMAT,
                         "%s: annotations[%zu].image_id is %lld, not the id of an image",
                         c->file, i, (long long)image);
    if (hit->image >= c->d->n_images ||
        (c->per_image && c->have[hit->image] >= c->per_image))
        return MOHS_OK; // of an image beyond the limit, or one caption too many
    dataset_add_text(c->d, text, hit->image, c->have[hit->image]++);
    return MOHS_OK;
}

static mohs_status images_done(struct coco *c, struct mohs_error *err)
{
    c->images = true;
    if (!c->n_index)
        return mohs_fail(err, MOHS_E_FORMAT, "%s: images is no list or empty", c->file);
    qsort(c->index, c->n_index, sizeof *c->index, by_id);
    for (size_t i = 1; i < c->n_index; i++)
        if (c->index[i].id == c->index[i - 1].id)
            return mohs_fail(err, MOHS_E_FORMAT, "%s: images[%u].id %lld is used twice",
                             c->file, c->index[i].image, (long long)c->index[i].id);
    c->have = try_calloc(c->d->n_images, sizeof *c->have, c->file, err);
    if (!c->have)
        return MOHS_E_NOMEM;
    for (size_t i = 0; i < c->n_early; i++)
        RET_IF_ERR(take_caption(c, i, c->early[i].image, c->early[i].text, err));
    free(c->early);
    c->early = NULL;
    return MOHS_OK;
}

/* ---- annotations ---- */

static mohs_status add_caption(struct coco *c, const struct json_value *id,
                               const struct json_value *caption,
                               const struct json_value *unused, struct mohs_error *err)
{
    const char *text = json_value_text(caption);
    size_t i = c->n_annotations++;
    int64_t image;
    (void)unused;
    if (!text)
        return bad(c, "annotations", i, "caption", caption, "a text", err);
    if (!json_value_integer(id, &image))
        return bad(c, "annotations", i, "image_id", id, "the id of an image", err);
    if (c->images)
        return take_caption(c, i, image, text, err);
    if (c->n_early == c->cap_early) {
        c->cap_early = c->cap_early ? 2 * c->cap_early : 1024;
        c->early = xrealloc(c->early, c->cap_early * sizeof *c->early);
    }
    c->early[c->n_early++] = (struct early) { image, arena_strdup(c->d->arena, text) };
    return MOHS_OK;
}

/* ---- the file ---- */

/* The list of objects that comes next: `each` gets the fields `name` of every
 * one. */
static mohs_status read_list(struct coco *c, const char *what,
                             const char *const name[IMAGE_FIELDS],
                             mohs_status (*each)(struct coco *, const struct json_value *,
                                                 const struct json_value *,
                                                 const struct json_value *,
                                                 struct mohs_error *),
                             struct mohs_error *err)
{
    struct json_value v[IMAGE_FIELDS] = { 0 };
    int32_t t = json_pull_next(c->p, err);
    if (t >= 0 && t != PULL_LIST)
        t = mohs_fail(err, MOHS_E_FORMAT, "%s: %s is no list or empty", c->file, what);
    for (size_t i = 0; t >= 0; i++) {
        t = json_pull_next(c->p, err);
        if (t == PULL_LIST_END)
            break;
        if (t >= 0 && t != PULL_OBJECT)
            t = mohs_fail(err, MOHS_E_FORMAT, "%s: %s[%zu] is no object", c->file, what, i);
        if (t >= 0)
            t = json_pull_fields(c->p, IMAGE_FIELDS, name, v, err);
        if (t >= 0)
            t = each(c, &v[0], &v[1], &v[2], err);
    }
    for (int i = 0; i < IMAGE_FIELDS; i++)
        json_value_free(&v[i]);
    return t < 0 ? t : MOHS_OK;
}

static mohs_status read_file(struct coco *c, struct mohs_error *err)
{
    static const char *const image[] = { "id", "file_name", "depth_file_name" };
    static const char *const caption[] = { "image_id", "caption", NULL };
    int32_t t = json_pull_next(c->p, err), more;
    RET_IF_ERR(t);
    if (t != PULL_OBJECT)
        return mohs_fail(err, MOHS_E_FORMAT, "%s:1: no object", c->file);
    while ((more = json_pull_key(c->p, err)) == 1) {
        const char *key = json_pull_text(c->p);
        bool images = !strcmp(key, "images"), texts = !strcmp(key, "annotations");
        if ((images && c->images) || (texts && c->annotations))
            return mohs_fail(err, MOHS_E_FORMAT, "%s: %s is there twice", c->file, key);
        if (images) {
            RET_IF_ERR(read_list(c, "images", image, add_image, err));
            RET_IF_ERR(images_done(c, err));
        } else if (texts) {
            RET_IF_ERR(read_list(c, "annotations", caption, add_caption, err));
            c->annotations = true;
        } else {
            RET_IF_ERR(json_pull_skip(c->p, json_pull_next(c->p, err), err));
        }
    }
    RET_IF_ERR(more);
    t = json_pull_next(c->p, err); // what follows is an error
    RET_IF_ERR(t);
    if (!c->images)
        return mohs_fail(err, MOHS_E_FORMAT, "%s: images is no list or empty", c->file);
    if (!c->n_annotations)
        return mohs_fail(err, MOHS_E_FORMAT, "%s: annotations is no list or empty",
                         c->file);
    if (!c->d->n_texts)
        return mohs_fail(err, MOHS_E_FORMAT, "%s: no caption belongs to an image", c->file);
    return MOHS_OK;
}

mohs_status data_coco(const char *images, const char *json,
                      uint32_t captions_per_image, size_t limit,
                      struct dataset **out, struct mohs_error *err)
{
    char *stem = path_stem(json), *dir = path_dir(json);
    struct coco c = { .d = dataset_new(stem, images), .file = json, .dir = dir,
                      .per_image = captions_per_image, .limit = limit };
    mohs_status st = json_pull_open(json, &c.p, err);
    if (st >= 0)
        st = read_file(&c, err);
    json_pull_close(c.p);
    free(c.index);
    free(c.have);
    free(c.early);
    free(stem);
    free(dir);
    if (st < 0) {
        dataset_free(c.d);
        return st;
    }
    dataset_hash(c.d);
    *out = c.d;
    return MOHS_OK;
}
