/* SPDX-License-Identifier: MIT */
/*
 * How pictures are made ready, from the files as published:
 * preprocessor_config.json of transformers' image processors (or of
 * torchvision's presets), open_clip's preprocess_cfg, timm's pretrained_cfg.
 */
#include "config.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/model.h"
#include "model/weights.h"

enum { SIDE_MAX = 65536 };

static const float mean_std[][2][3] = {
    { { 0.48145466f, 0.4578275f, 0.40821073f },
      { 0.26862954f, 0.26130258f, 0.27577711f } }, // OpenAI's
    { { 0.5f, 0.5f, 0.5f }, { 0.5f, 0.5f, 0.5f } },
    { { 0.485f, 0.456f, 0.406f }, { 0.229f, 0.224f, 0.225f } }, // ImageNet's
};
enum { NORM_CLIP, NORM_HALF, NORM_IMAGENET };

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

/* size: an integer or {shortest_edge}: the shorter edge; or {height, width}.
 * square: an integer is both. */
static mohs_status read_size(const struct reader *r, bool square,
                             struct preprocess *p)
{
    static const char want[] = "a pixel count, {shortest_edge} or {height, width}";
    const json_t *size = field(r, "size");
    if (!size)
        return MOHS_OK;
    const json_t *edge = json_is_object(size) ? json_object_get(size, "shortest_edge")
                                              : size;
    if (square && json_is_integer(size)) {
        p->resize_shortest = 0;
        p->resize_height = p->resize_width = pixels(size);
        return p->resize_height ? MOHS_OK : bad(r, "size", want);
    }
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

static mohs_status check_norm(const struct reader *r, const struct preprocess *p)
{
    for (int i = 0; i < 3; i++) {
        if (!(p->std[i] > 0) || !isfinite(p->std[i]))
            return bad(r, field(r, "std") ? "std" : "image_std",
                       "three positive numbers");
        if (!isfinite(p->mean[i]))
            return bad(r, field(r, "mean") ? "mean" : "image_mean",
                       "three numbers");
    }
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
        RET_IF_ERR(check_norm(r, p));
        if (!usual) {
            p->mean[i] = (float)(p->mean[i] / scale);
            p->std[i] = (float)(p->std[i] / scale);
        }
    }
    return MOHS_OK;
}

/* ---- transformers -------------------------------------------------------- */

/* What an image processor does when its file does not say. size 0: that of
 * the model. */
struct family {
    const char *type; /* how image_processor_type begins */
    bool square, crop, squash;
    uint32_t size;
    enum image_filter filter;
    int norm;
};
static const struct family families[] = {
    { "CLIP", false, true, false, 0, FILTER_BICUBIC, NORM_CLIP },
    { "Siglip", false, false, true, 0, FILTER_BICUBIC, NORM_HALF },
    { "Blip", true, false, true, 0, FILTER_BICUBIC, NORM_CLIP },
    { "ViT", true, false, true, 0, FILTER_BILINEAR, NORM_HALF },
    { "DeiT", true, true, true, 256, FILTER_BICUBIC, NORM_HALF },
    { "Bit", false, true, false, 0, FILTER_BICUBIC, NORM_CLIP },
    { "ConvNext", false, false, false, 0, FILTER_BICUBIC, NORM_HALF },
};

static const struct family *family_of(const struct reader *r)
{
    const json_t *v = field(r, "image_processor_type");
    const char *type = json_string_value(v ? v : field(r, "feature_extractor_type"));
    for (size_t i = 0; type && i < sizeof families / sizeof *families; i++)
        if (!strncmp(type, families[i].type, strlen(families[i].type)))
            return &families[i];
    return &families[0];
}

static void family_defaults(const struct family *f, struct preprocess *p)
{
    uint32_t size = f->size ? f->size : p->resize_shortest;
    p->filter = f->filter;
    p->center_crop = f->crop;
    memcpy(p->mean, mean_std[f->norm][0], sizeof p->mean);
    memcpy(p->std, mean_std[f->norm][1], sizeof p->std);
    if (!f->squash)
        return;
    p->resize_shortest = 0;
    p->resize_height = f->size ? size : p->height;
    p->resize_width = f->size ? size : p->width;
}

/* ConvNeXt: below 384 the picture is resized to size / crop_pct and cropped,
 * else squashed. */
static mohs_status read_convnext(const struct reader *r, struct preprocess *p)
{
    enum { WHOLE = 384 };
    const json_t *v = field(r, "crop_pct");
    double pct = v ? json_number_value(v) : 224.0 / 256;
    uint32_t side = p->resize_shortest;
    if (!side)
        return bad(r, "size", "{shortest_edge}");
    if (!(pct > 0) || pct > 1)
        return bad(r, "crop_pct", "a number in (0, 1]");
    p->height = p->width = side;
    p->center_crop = side < WHOLE;
    if (side < WHOLE) {
        p->resize_shortest = (uint32_t)(side / pct);
    } else {
        p->resize_shortest = 0;
        p->resize_height = p->resize_width = side;
    }
    return MOHS_OK;
}

/* The classes with "Fast", and "profile": "torchvision", take a picture as a
 * tensor of bytes. */
static mohs_status read_profile(const struct reader *r, struct preprocess *p)
{
    const char *type = json_string_value(field(r, "image_processor_type"));
    const char *profile = json_string_value(field(r, "profile"));
    if (!profile)
        profile = type && str_ends(type, "Fast") ? "torchvision" : "pil";
    if (strcmp(profile, "pil") && strcmp(profile, "torchvision"))
        return bad(r, "profile", "\"pil\" or \"torchvision\"");
    snprintf(p->profile, sizeof p->profile, "%s", profile);
    p->crop = strcmp(profile, "pil") ? CROP_TRUNC : CROP_FLOOR;
    return MOHS_OK;
}

static mohs_status read_processor(const struct reader *r, struct preprocess *p)
{
    const struct family *f = family_of(r);
    bool resize = true;
    family_defaults(f, p);
    RET_IF_ERR(read_profile(r, p));
    RET_IF_ERR(read_size(r, f->square, p));
    RET_IF_ERR(read_filter(r, p));
    RET_IF_ERR(read_flag(r, "do_resize", &resize));
    if (resize && !strcmp(f->type, "ConvNext")) {
        RET_IF_ERR(read_convnext(r, p));
        return read_norm(r, p);
    }
    if (!resize)
        p->resize_shortest = p->resize_height = p->resize_width = 0;
    else if (p->resize_height && !f->square && !field(r, "do_center_crop"))
        p->center_crop = false; // of a fixed size, cropped only on request
    RET_IF_ERR(read_crop(r, p));
    return read_norm(r, p);
}

/* ---- open_clip, timm, torchvision ----------------------------------------- */

static mohs_status read_named_filter(const struct reader *r, struct preprocess *p)
{
    static const struct {
        const char *name;
        enum image_filter filter;
    } names[] = {
        { "bicubic", FILTER_BICUBIC },   { "bilinear", FILTER_BILINEAR },
        { "lanczos", FILTER_LANCZOS },   { "nearest", FILTER_NEAREST },
        { "box", FILTER_BOX },           { "hamming", FILTER_HAMMING },
    };
    const json_t *v = field(r, "interpolation");
    const char *name = json_string_value(v);
    if (name && !strcmp(name, "random")) // in training only
        return MOHS_OK;
    for (size_t i = 0; name && i < sizeof names / sizeof *names; i++)
        if (!strcmp(names[i].name, name)) {
            p->filter = names[i].filter;
            return MOHS_OK;
        }
    return v ? bad(r, "interpolation", "the name of a filter") : MOHS_OK;
}

/* A side, [side] or [height, width]. */
static mohs_status read_sides(const struct reader *r, const char *name,
                              uint32_t *height, uint32_t *width)
{
    const json_t *v = field(r, name);
    size_t n = json_array_size(v);
    if (!v)
        return MOHS_OK;
    *height = pixels(n ? json_array_get(v, 0) : v);
    *width = n == 2 ? pixels(json_array_get(v, 1)) : *height;
    return *height && *width && n <= 2 ? MOHS_OK
                                       : bad(r, name, "a pixel count or two");
}

/* The shorter edge, or for a result that is no square the picture in its own
 * shape about it. */
static void cover(struct preprocess *p, uint32_t height, uint32_t width)
{
    p->resize_shortest = height == width ? height : 0;
    p->resize_height = height == width ? 0 : height;
    p->resize_width = height == width ? 0 : width;
    p->keep_shape = height == width ? 0 : 1;
}

static void squash(struct preprocess *p, uint32_t height, uint32_t width,
                   uint32_t keep_shape)
{
    p->resize_shortest = 0;
    p->resize_height = height;
    p->resize_width = width;
    p->keep_shape = keep_shape;
}

static mohs_status read_open_clip(const struct reader *r, struct preprocess *p)
{
    const json_t *v = field(r, "resize_mode"), *fill = field(r, "fill_color");
    const char *mode = v ? json_string_value(v) : "shortest";
    RET_IF_ERR(read_sides(r, "size", &p->height, &p->width));
    RET_IF_ERR(read_named_filter(r, p));
    RET_IF_ERR(read_three(r, "mean", p->mean));
    RET_IF_ERR(read_three(r, "std", p->std));
    p->crop = CROP_EVEN;
    cover(p, p->height, p->width);
    if (mode && !strcmp(mode, "squash")) {
        squash(p, p->height, p->width, 0);
        p->center_crop = false;
    } else if (mode && !strcmp(mode, "longest")) {
        squash(p, p->height, p->width, 2);
        json_int_t x = json_integer_value(fill);
        if (fill && (!json_is_integer(fill) || x < 0 || x > 255))
            return bad(r, "fill_color", "0 to 255");
        memset(p->fill, (int)x, sizeof p->fill);
    } else if (!mode || strcmp(mode, "shortest")) {
        return bad(r, "resize_mode", "shortest, squash or longest");
    } else if (p->keep_shape) {
        p->filter = FILTER_BICUBIC; // open_clip forgets it here
    }
    return check_norm(r, p);
}

static mohs_status read_timm(const struct reader *r, struct preprocess *p)
{
    const json_t *v = field(r, "crop_pct"), *size = field(r, "input_size");
    const char *mode = json_string_value(field(r, "crop_mode"));
    double pct = v ? json_number_value(v) : 0.875;
    if (!(pct > 0) || pct > 1)
        return bad(r, "crop_pct", "a number in (0, 1]");
    if (size) {
        p->height = pixels(json_array_get(size, 1));
        p->width = pixels(json_array_get(size, 2));
    }
    if (!p->height || !p->width)
        return bad(r, "input_size", "[3, height, width]");
    memcpy(p->mean, mean_std[NORM_IMAGENET][0], sizeof p->mean);
    memcpy(p->std, mean_std[NORM_IMAGENET][1], sizeof p->std);
    RET_IF_ERR(read_named_filter(r, p));
    RET_IF_ERR(read_three(r, "mean", p->mean));
    RET_IF_ERR(read_three(r, "std", p->std));
    p->crop = CROP_EVEN;
    uint32_t height = (uint32_t)floor(p->height / pct);
    uint32_t width = (uint32_t)floor(p->width / pct);
    if (mode && !strcmp(mode, "squash"))
        squash(p, height, width, 0);
    else if (mode && !strcmp(mode, "border"))
        squash(p, height, width, 2);
    else if (!mode || !strcmp(mode, "center"))
        cover(p, height, width);
    else
        return bad(r, "crop_mode", "center, squash or border");
    for (int i = 0; i < 3 && p->keep_shape == 2; i++)
        p->fill[i] = (uint8_t)fmin(fmax(rint(255 * (double)p->mean[i]), 0), 255);
    return check_norm(r, p);
}

/* torchvision.transforms._presets.ImageClassification. */
static mohs_status read_torchvision(const struct reader *r, struct preprocess *p)
{
    uint32_t height = 256, width = 256;
    p->filter = FILTER_BILINEAR;
    memcpy(p->mean, mean_std[NORM_IMAGENET][0], sizeof p->mean);
    memcpy(p->std, mean_std[NORM_IMAGENET][1], sizeof p->std);
    RET_IF_ERR(read_sides(r, "resize_size", &height, &width));
    RET_IF_ERR(read_sides(r, "crop_size", &p->height, &p->width));
    RET_IF_ERR(read_named_filter(r, p));
    RET_IF_ERR(read_three(r, "mean", p->mean));
    RET_IF_ERR(read_three(r, "std", p->std));
    p->crop = CROP_EVEN;
    if (height == width)
        cover(p, height, width);
    else
        squash(p, height, width, 0);
    return check_norm(r, p);
}

/* Whose configuration o is, and its reading. */
static mohs_status read_any(const json_t *o, const char *name,
                            struct preprocess *p, struct mohs_error *err)
{
    struct reader r = { o, name, err };
    const char *type = json_string_value(field(&r, "image_processor_type"));
    if (field(&r, "resize_mode") || field(&r, "fill_color"))
        return read_open_clip(&r, p);
    if (field(&r, "crop_mode") || field(&r, "input_size"))
        return read_timm(&r, p);
    if (type && !strcmp(type, "ImageClassification"))
        return read_torchvision(&r, p);
    return read_processor(&r, p);
}

/* The text of a preprocessor_config.json. */
static mohs_status read_text(const char *text, const char *name,
                             struct preprocess *p, struct mohs_error *err)
{
    json_error_t je;
    json_t *o = json_loads(text, JSON_REJECT_DUPLICATES, &je);
    mohs_status st = json_is_object(o)
                         ? read_any(o, name, p, err)
                         : mohs_fail(err, MOHS_E_FORMAT, "%s: preprocessor: %s",
                                     name, o ? "not an object" : je.text);
    json_decref(o);
    return st;
}

/* Within a model's configuration, which may be NULL; else the family's. */
static mohs_status read_model(const json_t *config, const char *family,
                              const char *name, struct preprocess *p,
                              struct mohs_error *err)
{
    const json_t *open_clip = json_object_get(config, "preprocess_cfg");
    const json_t *timm = json_object_get(config, "pretrained_cfg");
    struct reader r = { json_is_object(open_clip) ? open_clip : timm, name, err };
    if (json_is_object(open_clip))
        return read_open_clip(&r, p);
    if (json_is_object(timm))
        return read_timm(&r, p);
    p->assumed = true;
    if (family)
        return read_text(family, name, p, err);
    if (json_object_get(config, "vision_cfg") || json_object_get(config, "model_cfg"))
        p->crop = CROP_EVEN; // open_clip's, with its defaults
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
    family_defaults(&families[0], out);
    if (!name)
        name = "model";
    const char *family = MOHS_HAS(struct mohs_model_info, info, preprocessor)
                             ? info->preprocessor
                             : NULL;
    mohs_status st = text ? read_text(text, name, out, err)
                          : read_model(w->config_json, family, name, out, err);
    if (st >= 0 && (out->height != info->image_height || out->width != info->image_width))
        st = mohs_fail(err, MOHS_E_FORMAT,
                       "%s: preprocessor makes %u x %u, the model takes %u x %u", name,
                       out->width, out->height, info->image_width, info->image_height);
    return st;
}
