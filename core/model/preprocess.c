/* SPDX-License-Identifier: MIT */
/*
 * A picture's pixels as a model takes them: resize by the shorter edge, to a
 * fixed size or into one, and crop about the centre. preprocess_config.c
 * reads how.
 */
#include "config.h"

#include "model/model.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

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
    } else if (p->keep_shape) {
        double x = (double)in->width / p->resize_width;
        double y = (double)in->height / p->resize_height;
        double ratio = (p->keep_shape == 1) == (x < y) ? x : y;
        *w = (uint32_t)fmax(rint(in->width / ratio), 1);
        *h = (uint32_t)fmax(rint(in->height / ratio), 1);
    } else if (p->resize_height) {
        *w = p->resize_width;
        *h = p->resize_height;
    }
}

static int32_t crop_start(const struct preprocess *p, uint32_t size,
                          uint32_t crop)
{
    int32_t left = (int32_t)size - (int32_t)crop, half = left / 2;
    bool odd = left % 2;
    if (left < 0)
        return half - (p->crop == CROP_FLOOR && odd);
    return half + (p->crop == CROP_EVEN && odd && half % 2);
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
    RET_IF_ERR((strcmp(p->profile, "pil") ? image_resize_tensor : image_resize)(
        in, w, h, p->filter, &mid, err));
    if (w == p->width && h == p->height) {
        *out = mid;
        return MOHS_OK;
    }
    mohs_status st = image_crop_on(&mid, crop_start(p, w, p->width),
                                   crop_start(p, h, p->height), p->width,
                                   p->height, p->fill, out, err);
    image_free(&mid);
    return st;
}

void preprocess_window(const struct preprocess *p, uint32_t width,
                       uint32_t height, uint32_t *w, uint32_t *h, int32_t *x0,
                       int32_t *y0)
{
    struct image in = { width, height, NULL };
    resized(p, &in, w, h);
    *x0 = crop_start(p, *w, p->width);
    *y0 = crop_start(p, *h, p->height);
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
    // Later members, where they say anything: older hashes stay.
    if (p->keep_shape || p->crop || p->fill[0] || p->fill[1] || p->fill[2]) {
        hasher_u64(h, p->keep_shape);
        hasher_u64(h, p->crop);
        hasher_bytes(h, p->fill, sizeof p->fill);
    }
    return hasher_end(h);
}
