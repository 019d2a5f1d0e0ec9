/* SPDX-License-Identifier: MIT */
/*
 * preprocessor_config.json as the image processors of CLIP and SigLIP write
 * it: resize by the shorter edge or to a fixed size, centre crop, scale, mean
 * and deviation; or open_clip's preprocess_cfg. The pixels are those of
 * Pillow.
 */
#include "config.h"

#include "model/model.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

enum { SIDE_MAX = 65536 };

static const float CLIP_MEAN[3] = { 0.48145466f, 0.4578275f, 0.40821073f };
static const float CLIP_STD[3] = { 0.26862954f, 0.26130258f, 0.27577711f };

/* ---- the configuration -------------------------------------------------- */

/* The object being read and whose it is. */
struct reader {
    const json_t *o;
    const char *name;
    struct mohs_error *err;
};

static mohs_status bad(const struct reader *r, const char *field, const char *want)
{
    const json_t *v = json_object_get(r->o, field);
    char *text = json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT);
    mohs_status st = mohs_fail(r->err, MOHS_E_FORMAT,
                               "%s: preprocessor: %s is %.60s, not %s", r->name,
                               field, text ? text : "unreadable", want);
    free(text);
    return st;
}

/* The value of a field, NULL when it is absent or null. */
static const json_t *field(const struct reader *r, const char *name)
{
    const json_t *v = json_object_get(r->o, name);
    return json_is_null(v) ? NULL : v;
}

static mohs_status read_flag(const struct reader *r, const char *name, bool *out)
{
    const json_t *v = field(r, name);
    if (v && !json_is_boolean(v))
        return bad(r, name, "true or false");
    if (v)
        *out = json_is_true(v);
    return MOHS_OK;
}

/* A positive pixel count; 0 when v is none. */
static uint32_t pixels(const json_t *v)
{
    json_int_t x = json_is_integer(v) ? json_integer_value(v) : 0;
    return x > 0 && x <= SIDE_MAX ? (uint32_t)x : 0;
}

/* size: an integer or {shortest_edge}: the shorter edge; or {height, width}. */
static mohs_status read_size(const struct reader *r, struct preprocess *p)
{
    static const char want[] = "a pixel count, {shortest_edge} or {height, width}";
    const json_t *size = field(r, "size");
    if (!size)
        return MOHS_OK;
    const json_t *edge = json_is_object(size) ? json_object_get(size, "shortest_edge")
                                              : size;
    p->resize_shortest = edge ? pixels(edge) : 0;
    p->resize_height = edge ? 0 : pixels(json_object_get(size, "height"));
    p->resize_width = edge ? 0 : pixels(json_object_get(size, "width"));
    if (edge && json_is_object(size) && json_object_get(size, "longest_edge"))
        return bad(r, "size", want);
    return p->resize_shortest || (p->resize_height && p->resize_width)
               ? MOHS_OK : bad(r, "size", want);
}

/* crop_size: an integer or {height, width}; without it the model's size. */
static mohs_status read_crop(const struct reader *r, struct preprocess *p)
{
    const json_t *crop = field(r, "crop_size");
    RET_IF_ERR(read_flag(r, "do_center_crop", &p->center_crop));
    if (p->center_crop && crop) {
        bool one = json_is_integer(crop);
        p->height = pixels(one ? crop : json_object_get(crop, "height"));
        p->width = pixels(one ? crop : json_object_get(crop, "width"));
        if (!p->height || !p->width)
            return bad(r, "crop_size", "a pixel count or {height, width}");
    } else if (!p->center_crop && p->resize_height) {
        p->height = p->resize_height;
        p->width = p->resize_width;
    } else if (!p->center_crop && p->resize_shortest) {
        p->height = p->width = p->resize_shortest;
    }
    return MOHS_OK;
}

static mohs_status read_three(const struct reader *r, const char *name, float out[3])
{
    const json_t *v = field(r, name);
    if (!v)
        return MOHS_OK;
    if (!json_is_array(v) || json_array_size(v) != 3)
        return bad(r, name, "three numbers");
    for (size_t i = 0; i < 3; i++) {
        const json_t *x = json_array_get(v, i);
        if (!json_is_number(x))
            return bad(r, name, "three numbers");
        out[i] = (float)json_number_value(x);
    }
    return MOHS_OK;
}

static mohs_status read_filter(const struct reader *r, struct preprocess *p)
{
    // Pillow's numbers
    static const enum image_filter filters[] = {
        FILTER_NEAREST, FILTER_LANCZOS, FILTER_BILINEAR,
        FILTER_BICUBIC, FILTER_BOX,     FILTER_HAMMING,
    };
    const json_t *v = field(r, "resample");
    json_int_t x = json_is_integer(v) ? json_integer_value(v) : -1;
    if (!v)
        return MOHS_OK;
    if (x < 0 || x > 5)
        return bad(r, "resample", "a filter, 0 to 5");
    p->filter = filters[x];
    return MOHS_OK;
}

/* Scale, mean and deviation as (pixel / 255 - mean) / std: another factor f
 * is the usual one after dividing both by 255 f. */
static mohs_status read_norm(const struct reader *r, struct preprocess *p)
{
    const json_t *factor = field(r, "rescale_factor");
    bool normalize = true, rescale = true;
    double f = 1.0 / 255;
    RET_IF_ERR(read_flag(r, "do_normalize", &normalize));
    RET_IF_ERR(read_flag(r, "do_rescale", &rescale));
    RET_IF_ERR(read_three(r, "image_mean", p->mean));
    RET_IF_ERR(read_three(r, "image_std", p->std));
    if (rescale && factor)
        f = json_number_value(factor);
    if (rescale && factor && (!json_is_number(factor) || !(f > 0) || f > 1))
        return bad(r, "rescale_factor", "a number in (0, 1]");
    double scale = rescale ? 255 * f : 255;
    bool usual = fabs(scale - 1) < 1e-6;
    for (int i = 0; i < 3; i++) {
        if (!normalize) {
            p->mean[i] = 0;
            p->std[i] = 1;
        }
        if (!(p->std[i] > 0) || !isfinite(p->std[i]))
            return bad(r, "image_std", "three positive numbers");
        if (!isfinite(p->mean[i]))
            return bad(r, "image_mean", "three numbers");
        if (!usual) {
            p->mean[i] = (float)(p->mean[i] / scale);
            p->std[i] = (float)(p->std[i] / scale);
        }
    }
    return MOHS_OK;
}

/* SigLIP squashes to a square and knows no crop. */
static void siglip_defaults(const struct mohs_model_info *info, struct preprocess *p)
{
    p->resize_shortest = 0;
    p->resize_height = info->image_height;
    p->resize_width = info->image_width;
    p->center_crop = false;
    for (int i = 0; i < 3; i++)
        p->mean[i] = p->std[i] = 0.5f;
}

static mohs_status read_all(const struct reader *r, const struct mohs_model_info *info,
                            struct preprocess *p)
{
    const char *type = json_string_value(field(r, "image_processor_type"));
    bool resize = true;
    if (type && !strncmp(type, "Siglip", 6))
        siglip_defaults(info, p);
    RET_IF_ERR(read_size(r, p));
    RET_IF_ERR(read_flag(r, "do_resize", &resize));
    if (!resize)
        p->resize_shortest = p->resize_height = p->resize_width = 0;
    else if (p->resize_height && !field(r, "do_center_crop"))
        p->center_crop = false; // of a fixed size, cropped only on request
    RET_IF_ERR(read_crop(r, p));
    RET_IF_ERR(read_filter(r, p));
    return read_norm(r, p);
}

/* ---- open_clip ---------------------------------------------------------- */

/* open_clip's preprocess_cfg: {size, mode, mean, std, interpolation,
 * resize_mode, fill_color}, what its image_transform does when not training.
 * An absent size is the model's. */
static mohs_status read_open_clip(const struct reader *r,
                                  const struct mohs_model_info *info,
                                  struct preprocess *p)
{
    static const struct {
        const char *name;
        enum image_filter filter;
    } filters[] = { { "bicubic", FILTER_BICUBIC }, { "bilinear", FILTER_BILINEAR },
                    { "random", FILTER_BICUBIC } };
    const json_t *by = field(r, "interpolation"), *mode = field(r, "resize_mode");
    const char *s = by ? json_string_value(by) : "bicubic";
    size_t i = 0, n = sizeof filters / sizeof *filters;
    RET_IF_ERR(read_three(r, "mean", p->mean));
    RET_IF_ERR(read_three(r, "std", p->std));
    for (int k = 0; k < 3; k++)
        if (!(p->std[k] > 0) || !isfinite(p->std[k]) || !isfinite(p->mean[k]))
            return bad(r, "std", "three positive numbers");
    while (i < n && (!s || strcmp(s, filters[i].name)))
        i++;
    if (i == n)
        return bad(r, "interpolation", "bicubic or bilinear");
    p->filter = filters[i].filter;
    s = mode ? json_string_value(mode) : "shortest";
    if (s && !strcmp(s, "squash")) {
        p->resize_shortest = 0;
        p->resize_height = info->image_height;
        p->resize_width = info->image_width;
        p->center_crop = false;
    } else if (!s || strcmp(s, "shortest")) {
        return bad(r, "resize_mode", "shortest or squash");
    } else if (info->image_height != info->image_width) {
        return bad(r, "resize_mode", "squash, as the pictures are not square");
    }
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
    if (!name)
        name = "model";
    const json_t *of_clip = weights_object(w, "preprocess_cfg");
    if (!text && of_clip) {
        struct reader r = { of_clip, name, err };
        return read_open_clip(&r, info, out);
    }
    if (!text)
        return MOHS_OK;
    json_error_t je;
    json_t *o = json_loads(text, JSON_REJECT_DUPLICATES, &je);
    struct reader r = { o, name, err };
    mohs_status st = json_is_object(o)
                         ? read_all(&r, info, out)
                         : mohs_fail(err, MOHS_E_FORMAT, "%s: preprocessor: %s", name,
                                     o ? "not an object" : je.text);
    json_decref(o);
    if (st >= 0 && (out->height != info->image_height || out->width != info->image_width))
        st = mohs_fail(err, MOHS_E_FORMAT,
                       "%s: preprocessor makes %u x %u, the model takes %u x %u", name,
                       out->width, out->height, info->image_width, info->image_height);
    return st;
}

/* ---- pixels -------------------------------------------------------------- */

/* Size after resizing; the longer edge rounded down as the reference does. */
static void resized(const struct preprocess *p, const struct image *in, uint32_t *w,
                    uint32_t *h)
{
    uint64_t s = p->resize_shortest;
    *w = in->width;
    *h = in->height;
    if (s && in->width <= in->height) {
        uint64_t tall = s * in->height / in->width;
        *w = (uint32_t)s;
        *h = tall > UINT32_MAX ? UINT32_MAX : (uint32_t)tall;
    } else if (s) {
        uint64_t wide = s * in->width / in->height;
        *h = (uint32_t)s;
        *w = wide > UINT32_MAX ? UINT32_MAX : (uint32_t)wide;
    } else if (p->resize_height) {
        *w = p->resize_width;
        *h = p->resize_height;
    }
}

/* floor((size - crop) / 2), also when the crop is larger. */
static int32_t crop_start(uint32_t size, uint32_t crop)
{
    return size >= crop ? (int32_t)((size - crop) / 2)
                        : -(int32_t)((crop - size + 1) / 2);
}

mohs_status preprocess_pixels(const struct preprocess *p, const struct image *in,
                              struct image *out, struct mohs_error *err)
{
    struct image mid;
    uint32_t w, h;
    *out = (struct image) { 0 };
    resized(p, in, &w, &h);
    if ((w != p->width || h != p->height) && !p->center_crop)
        return mohs_fail(err, MOHS_E_ARG,
                         "preprocess: a picture of %u x %u becomes %u x %u, the model "
                         "takes %u x %u and nothing is cropped", in->width, in->height,
                         w, h, p->width, p->height);
    RET_IF_ERR(image_resize(in, w, h, p->filter, &mid, err));
    if (w == p->width && h == p->height) {
        *out = mid;
        return MOHS_OK;
    }
    mohs_status st = image_crop(&mid, crop_start(w, p->width), crop_start(h, p->height),
                                p->width, p->height, out, err);
    image_free(&mid);
    return st;
}

void preprocess_window(const struct preprocess *p, uint32_t width,
                       uint32_t height, uint32_t *w, uint32_t *h, int32_t *x0,
                       int32_t *y0)
{
    struct image in = { width, height, NULL };
    resized(p, &in, w, h);
    *x0 = crop_start(*w, p->width);
    *y0 = crop_start(*h, p->height);
}

struct hash128 preprocess_hash(const struct preprocess *p)
{
    struct hasher *h = hasher_new();
    hasher_str(h, p->profile);
    hasher_u64(h, p->height);
    hasher_u64(h, p->width);
    hasher_u64(h, p->resize_shortest);
    hasher_u64(h, p->resize_height);
    hasher_u64(h, p->resize_width);
    hasher_u64(h, p->filter);
    hasher_u64(h, p->center_crop);
    for (int i = 0; i < 3; i++) {
        hasher_f64(h, p->mean[i]);
        hasher_f64(h, p->std[i]);
    }
    return hasher_end(h);
}
