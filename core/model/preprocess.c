/* SPDX-License-Identifier: MIT */
/*
 * preprocessor_config.json as CLIPImageProcessor writes it: resize by the
 * shorter edge (or to a fixed size), centre crop, mean and deviation. The
 * pixels are those of Pillow.
 */
#include "config.h"

#include "model/model.h"

#include <string.h>

#include <jansson.h>

static const float CLIP_MEAN[3] = { 0.48145466f, 0.4578275f, 0.40821073f };
static const float CLIP_STD[3] = { 0.26862954f, 0.26130258f, 0.27577711f };

static mohs_status bad(const char *name, const char *field, struct mohs_error *err)
{
    return mohs_fail(err, MOHS_E_FORMAT, "%s: preprocessor: bad '%s'", name, field);
}

/* A positive pixel count; 0 when v is none. */
static uint32_t pixels(const json_t *v)
{
    json_int_t x = json_is_integer(v) ? json_integer_value(v) : 0;
    return x > 0 && x <= 65536 ? (uint32_t)x : 0;
}

/* size: an integer, {shortest_edge}, or {height, width}. */
static mohs_status read_size(const json_t *o, const char *name,
                             struct preprocess *p, struct mohs_error *err)
{
    const json_t *size = json_object_get(o, "size");
    if (!size || json_is_null(size))
        return MOHS_OK;
    if (json_is_integer(size)) {
        p->resize_shortest = pixels(size);
        return p->resize_shortest ? MOHS_OK : bad(name, "size", err);
    }
    const json_t *edge = json_object_get(size, "shortest_edge");
    if (edge) {
        p->resize_shortest = pixels(edge);
        return p->resize_shortest ? MOHS_OK : bad(name, "size.shortest_edge", err);
    }
    p->height = pixels(json_object_get(size, "height"));
    p->width = pixels(json_object_get(size, "width"));
    p->resize_shortest = 0;
    p->center_crop = false;
    return p->height && p->width ? MOHS_OK : bad(name, "size", err);
}

static mohs_status read_crop(const json_t *o, const char *name,
                             struct preprocess *p, struct mohs_error *err)
{
    const json_t *crop = json_object_get(o, "crop_size");
    const json_t *on = json_object_get(o, "do_center_crop");
    if (on && !json_is_null(on))
        p->center_crop = json_is_true(on) && p->resize_shortest;
    if (!crop || json_is_null(crop) || !p->center_crop)
        return MOHS_OK;
    bool one = json_is_integer(crop);
    p->height = pixels(one ? crop : json_object_get(crop, "height"));
    p->width = pixels(one ? crop : json_object_get(crop, "width"));
    return p->height && p->width ? MOHS_OK : bad(name, "crop_size", err);
}

static mohs_status read_three(const json_t *o, const char *field, const char *name,
                              float out[3], struct mohs_error *err)
{
    const json_t *v = json_object_get(o, field);
    if (!v || json_is_null(v))
        return MOHS_OK;
    if (!json_is_array(v) || json_array_size(v) != 3)
        return bad(name, field, err);
    for (size_t i = 0; i < 3; i++) {
        const json_t *x = json_array_get(v, i);
        if (!json_is_number(x))
            return bad(name, field, err);
        out[i] = (float)json_number_value(x);
    }
    return MOHS_OK;
}

static mohs_status read_filter(const json_t *o, const char *name,
                               struct preprocess *p, struct mohs_error *err)
{
    static const enum image_filter of_pil[] = { FILTER_NEAREST, FILTER_LANCZOS,
                                                FILTER_BILINEAR, FILTER_BICUBIC,
                                                FILTER_BOX };
    const json_t *v = json_object_get(o, "resample");
    if (!v || json_is_null(v))
        return MOHS_OK;
    json_int_t x = json_is_integer(v) ? json_integer_value(v) : -1;
    if (x < 0 || x > 4)
        return bad(name, "resample", err);
    p->filter = of_pil[x];
    return MOHS_OK;
}

static mohs_status read_all(const json_t *o, const char *name,
                            struct preprocess *p, struct mohs_error *err)
{
    const json_t *rescale = json_object_get(o, "rescale_factor");
    double f = json_number_value(rescale);
    if (json_is_number(rescale) && (f < 0.99 / 255 || f > 1.01 / 255))
        return bad(name, "rescale_factor", err);
    RET_IF_ERR(read_size(o, name, p, err));
    RET_IF_ERR(read_crop(o, name, p, err));
    RET_IF_ERR(read_filter(o, name, p, err));
    RET_IF_ERR(read_three(o, "image_mean", name, p->mean, err));
    RET_IF_ERR(read_three(o, "image_std", name, p->std, err));
    for (int i = 0; i < 3; i++)
        if (!(p->std[i] > 0))
            return bad(name, "image_std", err);
    return MOHS_OK;
}

mohs_status preprocess_from(const struct mohs_weights *w,
                            const struct mohs_model_info *info,
                            struct preprocess *out, struct mohs_error *err)
{
    const char *text = weights_preprocessor(w), *name = weights_path(w);
    memset(out, 0, sizeof *out);
    memcpy(out->profile, "pil", 4);
    out->height = info->image_height;
    out->width = info->image_width;
    out->resize_shortest = info->image_height < info->image_width ? info->image_height
                                                                  : info->image_width;
    out->filter = FILTER_BICUBIC;
    out->center_crop = true;
    memcpy(out->mean, CLIP_MEAN, sizeof out->mean);
    memcpy(out->std, CLIP_STD, sizeof out->std);
    if (!text)
        return MOHS_OK;
    json_error_t je;
    json_t *o = json_loads(text, JSON_REJECT_DUPLICATES, &je);
    mohs_status st = json_is_object(o)
                         ? read_all(o, name, out, err)
                         : mohs_fail(err, MOHS_E_FORMAT, "%s: preprocessor: %s", name,
                                     o ? "not an object" : je.text);
    json_decref(o);
    if (st >= 0 && (out->height != info->image_height || out->width != info->image_width))
        st = mohs_fail(err, MOHS_E_FORMAT,
                       "%s: preprocessor makes %ux%u, the model takes %ux%u", name,
                       out->width, out->height, info->image_width, info->image_height);
    return st;
}

/* Size after resizing the shorter edge, rounded down as the reference does. */
static void resized(const struct preprocess *p, const struct image *in, uint32_t *w,
                    uint32_t *h)
{
    uint64_t s = p->resize_shortest;
    if (!s) {
        *w = p->width;
        *h = p->height;
    } else if (in->width <= in->height) {
        *w = (uint32_t)s;
        *h = (uint32_t)(s * in->height / in->width);
    } else {
        *h = (uint32_t)s;
        *w = (uint32_t)(s * in->width / in->height);
    }
}

mohs_status preprocess_pixels(const struct preprocess *p, const struct image *in,
                              struct image *out, struct mohs_error *err)
{
    struct image mid;
    uint32_t w, h;
    resized(p, in, &w, &h);
    if (!p->center_crop && (w != p->width || h != p->height)) {
        w = p->width;
        h = p->height;
    }
    RET_IF_ERR(image_resize(in, w, h, p->filter, &mid, err));
    if (w == p->width && h == p->height) {
        *out = mid;
        return MOHS_OK;
    }
    // floor((size - crop) / 2), also when the crop is larger
    int32_t dx = (int32_t)w - (int32_t)p->width, dy = (int32_t)h - (int32_t)p->height;
    int32_t x = dx >= 0 ? dx / 2 : -((1 - dx) / 2), y = dy >= 0 ? dy / 2 : -((1 - dy) / 2);
    mohs_status st = image_crop(&mid, x, y, p->width, p->height, out, err);
    image_free(&mid);
    return st;
}

struct hash128 preprocess_hash(const struct preprocess *p)
{
    struct hasher *h = hasher_new();
    hasher_str(h, p->profile);
    hasher_u64(h, p->height);
    hasher_u64(h, p->width);
    hasher_u64(h, p->resize_shortest);
    hasher_u64(h, p->filter);
    hasher_u64(h, p->center_crop);
    for (int i = 0; i < 3; i++) {
        hasher_f64(h, p->mean[i]);
        hasher_f64(h, p->std[i]);
    }
    return hasher_end(h);
}
