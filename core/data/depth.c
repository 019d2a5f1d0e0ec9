/* SPDX-License-Identifier: MIT */
/*
 * Depth maps: grey PNG of 16 or 8 bits and NPY arrays, and finding the map
 * of a picture by its name.
 */
#include "config.h"

#include "data/data.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "data/dataset.h"
#include "data/npy.h"
#include "image/image.h"

enum { DEPTH_MAX_BYTES = 1 << 30 };

static mohs_status checked(const char *path, const float *d, size_t n,
                           struct mohs_error *err)
{
    for (size_t i = 0; i < n; i++)
        if (!(d[i] > 0) || !isfinite(d[i]))
            return mohs_fail(err, MOHS_E_FORMAT,
                             "%s: depth %g at pixel %zu is not finite and "
                             "above 0",
                             path, (double)d[i], i);
    return MOHS_OK;
}

static mohs_status room(const char *path, uint64_t w, uint64_t h, float **out,
                        struct mohs_error *err)
{
    if (!w || !h || w > UINT32_MAX || h > UINT32_MAX ||
        w > IMAGE_MAX_PIXELS / h)
        return mohs_fail(err, MOHS_E_FORMAT,
                         "%s: a depth map of %llu x %llu pixels", path,
                         (unsigned long long)w, (unsigned long long)h);
    *out = try_calloc((size_t)(w * h), sizeof **out, path, err);
    return *out ? MOHS_OK : MOHS_E_NOMEM;
}

/* ---- PNG ---- */

static mohs_status png16(const char *path, const char *data, size_t n,
                         uint32_t *w, uint32_t *h, float **out,
                         struct mohs_error *err)
{
    uint16_t *raw;
    RET_IF_ERR(image_decode_png16(data, n, path, w, h, &raw, err));
    mohs_status st = room(path, *w, *h, out, err);
    for (size_t i = 0; st >= 0 && i < (size_t)*w * *h; i++)
        (*out)[i] = (float)raw[i] / 1000.0f;
    free(raw);
    return st;
}

static mohs_status png8(const char *path, const char *data, size_t n,
                        uint32_t *w, uint32_t *h, float **out,
                        struct mohs_error *err)
{
    struct image im;
    RET_IF_ERR(image_decode(data, n, path, IMAGE_KEEP_ORIENTATION, &im, err));
    mohs_status st = room(path, im.width, im.height, out, err);
    *w = im.width;
    *h = im.height;
    for (size_t i = 0; st >= 0 && i < (size_t)*w * *h; i++)
        (*out)[i] = im.rgb[3 * i];
    image_free(&im);
    return st;
}

/* Bit depth and colour type stand at fixed places of a PNG's first chunk. */
static mohs_status read_png(const char *path, const char *data, size_t n,
                            uint32_t *w, uint32_t *h, float **out,
                            struct mohs_error *err)
{
    unsigned bits = n > 25 ? (uint8_t)data[24] : 0;
    unsigned kind = n > 25 ? (uint8_t)data[25] : 0;
    if (kind != 0)
        return mohs_fail(err, MOHS_E_FORMAT,
                         "%s: a depth map has one channel of grey, this has "
                         "%s",
                         path,
                         kind == 3   ? "a palette"
                         : kind == 4 ? "two channels"
                                     : "three or four");
    return (bits == 16 ? png16 : png8)(path, data, n, w, h, out, err);
}

/* ---- NPY ---- */

static mohs_status read_npy(const char *path, const char *data, size_t n,
                            uint32_t *w, uint32_t *h, float **out,
                            struct mohs_error *err)
{
    struct npy a;
    RET_IF_ERR(npy_parse(path, data, n, &a, err));
    // (h, w, 1) and (1, h, w) are maps too
    if (a.sides == 3 && a.side[2] == 1) {
        a.sides = 2;
    } else if (a.sides == 3 && a.side[0] == 1) {
        a.side[0] = a.side[1];
        a.side[1] = a.side[2];
        a.sides = 2;
    }
    if (a.sides != 2)
        return mohs_fail(err, MOHS_E_FORMAT,
                         "%s: a depth map has one channel (height x width), "
                         "this array has shape %s",
                         path, a.shape);
    RET_IF_ERR(room(path, a.side[1], a.side[0], out, err));
    for (uint64_t i = 0; i < a.count; i++)
        (*out)[i] = (float)npy_value(&a, i);
    *w = (uint32_t)a.side[1];
    *h = (uint32_t)a.side[0];
    return MOHS_OK;
}

mohs_status data_depth(const char *path, uint32_t *width, uint32_t *height,
                       float **out, struct mohs_error *err)
{
    char *data;
    size_t n;
    *out = NULL;
    RET_IF_ERR(file_read(path, DEPTH_MAX_BYTES, &data, &n, err));
    mohs_status st;
    if (npy_is(data, n))
        st = read_npy(path, data, n, width, height, out, err);
    else if (n >= 8 && !memcmp(data, "\x89PNG\r\n\x1a\n", 8))
        st = read_png(path, data, n, width, height, out, err);
    else
        st = mohs_fail(err, MOHS_E_FORMAT,
                       "%s: a depth map is a PNG or NPY file", path);
    if (st >= 0)
        st = checked(path, *out, (size_t)*width * *height, err);
    if (st < 0) {
        free(*out);
        *out = NULL;
    }
    free(data);
    return st;
}

/* ---- finding ---- */

/* Without its ending, the folders kept. */
static size_t trunk(const char *name)
{
    const char *slash = strrchr(name, '/'), *dot = strrchr(name, '.');
    return dot && dot > (slash ? slash + 1 : name) ? (size_t)(dot - name)
                                                   : strlen(name);
}

char *data_depth_in(const char *dir, const char *name)
{
    static const char *const ends[] = { "npy", "png" };
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        char *path = xasprintf("%s/%.*s.%s", dir, (int)trunk(name), name,
                               ends[i]);
        if (file_exists(path))
            return path;
        free(path);
    }
    return NULL;
}

mohs_status dataset_depth(struct dataset *d, const char *dir,
                          struct mohs_error *err)
{
    if (!dir_exists(dir))
        return mohs_fail(err, MOHS_E_IO, "%s: no such directory", dir);
    for (size_t i = 0; i < d->n_images; i++) {
        char *path = data_depth_in(dir, d->image[i].id);
        if (!path)
            path = data_depth_in(dir, path_base(d->image[i].id));
        if (!path)
            return mohs_fail(err, MOHS_E_IO,
                             "%s: no depth map (.npy or .png) for image %s",
                             dir, d->image[i].id);
        d->image[i].depth_path = arena_strdup(d->arena, path);
        free(path);
    }
    return MOHS_OK;
}
