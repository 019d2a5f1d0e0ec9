/* SPDX-License-Identifier: MIT */
/*
 * Resampling, bit for bit as Pillow's Image.resize does it: separable
 * filters with support scaled by the reduction, weights in 22-bit fixed
 * point, each pass rounded to 8 bits. The algorithm and
 * its rounding rules follow Pillow's Resample.c and Geometry.c (Pillow,
 * MIT-CMU licence, by Jeffrey A. Clark and contributors; originally PIL by
 * Secret Labs AB and Fredrik Lundh).
 */
#include "config.h"

#include "image/resample.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "image/codec.h"

enum {
    PRECISION_BITS = 32 - 8 - 2,
    COLUMNS = 16 /* columns accumulated together in the vertical pass */
};

/* ---- filters ----------------------------------------------------------- */

static double weight_box(double x)
{
    return x > -0.5 && x <= 0.5 ? 1.0 : 0.0;
}

static double weight_bilinear(double x)
{
    x = fabs(x);
    return x < 1.0 ? 1.0 - x : 0.0;
}

/* Keys' cubic with a = -1/2. */
static double weight_bicubic(double x)
{
    const double a = -0.5;
    x = fabs(x);
    if (x < 1.0)
        return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
    if (x < 2.0)
        return (((x - 5) * x + 8) * x - 4) * a;
    return 0.0;
}

static double sinc(double x)
{
    if (x == 0.0)
        return 1.0;
    x *= 3.14159265358979323846;
    return sin(x) / x;
}

static double weight_lanczos(double x)
{
    return x >= -3.0 && x < 3.0 ? sinc(x) * sinc(x / 3) : 0.0;
}

static double weight_hamming(double x)
{
    x = fabs(x);
    if (x == 0.0)
        return 1.0;
    if (x >= 1.0)
        return 0.0;
    x *= 3.14159265358979323846;
    return sin(x) / x * (0.54 + 0.46 * cos(x));
}

const char *image_filter_name(enum image_filter filter)
{
    static const char *const names[] = { "nearest", "box",     "bilinear",
                                         "bicubic", "lanczos", "hamming" };
    return (unsigned)filter <= FILTER_HAMMING ? names[filter] : "";
}

static const struct {
    double (*weight)(double);
    double support;
} filters[] = {
    [FILTER_BOX] = { weight_box, 0.5 },
    [FILTER_BILINEAR] = { weight_bilinear, 1.0 },
    [FILTER_BICUBIC] = { weight_bicubic, 2.0 },
    [FILTER_LANCZOS] = { weight_lanczos, 3.0 },
    [FILTER_HAMMING] = { weight_hamming, 1.0 },
};

/* ---- coefficients ------------------------------------------------------ */

/* For each output position: first input position, number of taps, taps. */
struct taps {
    uint32_t width; /* taps per position, at most */
    unsigned bits;  /* behind the point of a tap */
    uint32_t *first, *count;
    int32_t *k;
};

static void taps_free(struct taps *t)
{
    free(t->first);
    free(t->count);
    free(t->k);
}

static int32_t to_fixed(double w, unsigned bits)
{
    return (int32_t)(w < 0 ? -0.5 + w * (1 << bits) : 0.5 + w * (1 << bits));
}

/* The most bits with which the largest weight still has 16, as Pillow-SIMD
 * and PyTorch choose them. */
static unsigned bits_of_16(double largest)
{
    unsigned bits = 0;
    while (bits < PRECISION_BITS &&
           (int32_t)(0.5 + largest * (1 << (bits + 1))) < 1 << 15)
        bits++;
    return bits;
}

/* The weights of every position, in double[out * width]. */
static void weigh(struct taps *t, uint32_t in, uint32_t out,
                  enum image_filter filter, double *weight)
{
    double scale = (double)in / out, fit = scale < 1.0 ? 1.0 : scale;
    double support = filters[filter].support * fit, step = 1.0 / fit;
    for (uint32_t x = 0; x < out; x++) {
        double *w = weight + (size_t)x * t->width;
        double center = (x + 0.5) * scale, sum = 0.0;
        double low = center - support + 0.5, high = center + support + 0.5;
        uint32_t lo = low < 0 ? 0 : (uint32_t)low;
        uint32_t hi = high > in ? in : (uint32_t)high;
        for (uint32_t i = lo; i < hi; i++) {
            w[i - lo] = filters[filter].weight((i - center + 0.5) * step);
            sum += w[i - lo];
        }
        t->first[x] = lo;
        t->count[x] = hi - lo;
        for (uint32_t i = 0; i < hi - lo; i++)
            w[i] = sum != 0.0 ? w[i] / sum : w[i];
    }
}

static mohs_status taps_make(struct taps *t, uint32_t in, uint32_t out,
                             enum image_filter filter, bool small,
                             struct mohs_error *err)
{
    double scale = (double)in / out, fit = scale < 1.0 ? 1.0 : scale;
    double largest = 0;
    t->width = (uint32_t)ceil(filters[filter].support * fit) * 2 + 1;
    size_t n = (size_t)out * t->width;
    t->first = try_calloc(out, sizeof *t->first, "resize", err);
    t->count = try_calloc(out, sizeof *t->count, "resize", err);
    t->k = try_calloc(n, sizeof *t->k, "resize", err);
    double *w = try_calloc(n, sizeof *w, "resize", err);
    if (!t->first || !t->count || !t->k || !w) {
        free(w);
        return MOHS_E_NOMEM;
    }
    weigh(t, in, out, filter, w);
    for (size_t i = 0; small && i < n; i++)
        largest = w[i] > largest ? w[i] : largest;
    t->bits = small ? bits_of_16(largest) : PRECISION_BITS;
    for (size_t i = 0; i < n; i++)
        t->k[i] = to_fixed(w[i], t->bits);
    free(w);
    return MOHS_OK;
}

/* ---- passes ------------------------------------------------------------ */

static inline uint8_t clip8(int32_t v, unsigned bits)
{
    v >>= bits;
    return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
}

static inline void row_horizontal(const uint8_t *in, const struct taps *t,
                                  uint32_t width, unsigned channels,
                                  uint8_t *out)
{
    int32_t half = 1 << t->bits >> 1;
    for (uint32_t x = 0; x < width; x++, out += channels) {
        const uint8_t *p = in + (size_t)t->first[x] * channels;
        const int32_t *k = t->k + (size_t)x * t->width;
        int32_t acc[4] = { half, half, half, half };
        for (uint32_t i = 0; i < t->count[x]; i++, p += channels)
            for (unsigned c = 0; c < channels; c++)
                acc[c] += p[c] * k[i];
        for (unsigned c = 0; c < channels; c++)
            out[c] = clip8(acc[c], t->bits);
    }
}

static void pass_horizontal(const uint8_t *in, uint32_t in_width,
                            uint32_t height, const struct taps *t,
                            uint32_t width, unsigned channels, uint8_t *out)
{
    for (uint32_t y = 0; y < height; y++) {
        const uint8_t *from = in + (size_t)y * in_width * channels;
        uint8_t *to = out + (size_t)y * width * channels;
        // Constant channel counts let the compiler unroll.
        if (channels == 3)
            row_horizontal(from, t, width, 3, to);
        else if (channels == 4)
            row_horizontal(from, t, width, 4, to);
        else
            row_horizontal(from, t, width, channels, to);
    }
}

/* One output row from rows that start at `in`; `row` is its length. */
static void row_vertical(const uint8_t *in, size_t row, const int32_t *k,
                         uint32_t n, unsigned bits, uint8_t *out)
{
    int32_t half = 1 << bits >> 1;
    size_t x = 0;
    for (; x + COLUMNS <= row; x += COLUMNS) {
        int32_t acc[COLUMNS];
        for (unsigned c = 0; c < COLUMNS; c++)
            acc[c] = half;
        const uint8_t *p = in + x;
        for (uint32_t i = 0; i < n; i++, p += row)
            for (unsigned c = 0; c < COLUMNS; c++)
                acc[c] += p[c] * k[i];
        for (unsigned c = 0; c < COLUMNS; c++)
            out[x + c] = clip8(acc[c], bits);
    }
    for (; x < row; x++) {
        int32_t acc = half;
        for (uint32_t i = 0; i < n; i++)
            acc += in[i * row + x] * k[i];
        out[x] = clip8(acc, bits);
    }
}

static void pass_vertical(const uint8_t *in, size_t row, const struct taps *t,
                          uint32_t height, uint8_t *out)
{
    for (uint32_t y = 0; y < height; y++)
        row_vertical(in + t->first[y] * row, row, t->k + (size_t)y * t->width,
                     t->count[y], t->bits, out + y * row);
}

/* Pillow walks source positions by adding the step, so its rounding is a
 * running sum's. */
static mohs_status nearest_index(uint32_t in, uint32_t out, uint32_t **index,
                                 struct mohs_error *err)
{
    double step = (double)in / out, at = step * 0.5;
    uint32_t *v = try_calloc(out, sizeof *v, "resize", err);
    if (!v)
        return MOHS_E_NOMEM;
    for (uint32_t x = 0; x < out; x++, at += step)
        v[x] = at >= in ? in - 1 : (uint32_t)at;
    *index = v;
    return MOHS_OK;
}

static mohs_status resize_nearest(const uint8_t *in, uint32_t in_width,
                                  uint32_t in_height, uint32_t channels,
                                  uint32_t width, uint32_t height, uint8_t *out,
                                  struct mohs_error *err)
{
    uint32_t *xs = NULL, *ys = NULL;
    mohs_status st = nearest_index(in_width, width, &xs, err);
    if (st >= 0)
        st = nearest_index(in_height, height, &ys, err);
    for (uint32_t y = 0; st >= 0 && y < height; y++) {
        const uint8_t *row = in + (size_t)ys[y] * in_width * channels;
        for (uint32_t x = 0; x < width; x++, out += channels)
            memcpy(out, row + (size_t)xs[x] * channels, channels);
    }
    free(xs);
    free(ys);
    return st;
}

/* Which pass goes first shows in the rounding between them. Pillow 13 takes
 * the rows first where they lose much more than the columns; until Pillow 12
 * the columns were always first. */
static bool rows_first(uint32_t in_width, uint32_t in_height, uint32_t width,
                       uint32_t height)
{
    return height < in_height && (int64_t)in_height - height >
                                     2 * ((int64_t)in_width - width);
}

static mohs_status resize_filtered(const uint8_t *in, uint32_t in_width,
                                   uint32_t in_height, uint32_t channels,
                                   uint32_t width, uint32_t height,
                                   enum image_filter filter, bool tensor,
                                   uint8_t *out, struct mohs_error *err)
{
    struct taps h = { 0 }, v = { 0 };
    uint8_t *mid = NULL;
    size_t row = (size_t)width * channels, in_row = (size_t)in_width * channels;
    bool across = width != in_width, down = height != in_height;
    bool down_first = !tensor && rows_first(in_width, in_height, width, height);
    mohs_status st = MOHS_OK;
    if (across)
        OUT_IF_ERR(taps_make(&h, in_width, width, filter, tensor, err));
    if (down)
        OUT_IF_ERR(taps_make(&v, in_height, height, filter, tensor, err));
    if (across && down) {
        mid = malloc(down_first ? in_row * height : row * in_height);
        if (!mid) {
            st = mohs_fail(err, MOHS_E_NOMEM, "resize: no memory for %u x %u",
                           width, in_height);
            goto out;
        }
    }
    if (across && down && down_first) {
        pass_vertical(in, in_row, &v, height, mid);
        pass_horizontal(mid, in_width, height, &h, width, channels, out);
    } else if (across && down) {
        pass_horizontal(in, in_width, in_height, &h, width, channels, mid);
        pass_vertical(mid, row, &v, height, out);
    } else if (across) {
        pass_horizontal(in, in_width, in_height, &h, width, channels, out);
    } else if (down) {
        pass_vertical(in, row, &v, height, out);
    } else {
        memcpy(out, in, row * height);
    }
out:
    free(mid);
    taps_free(&h);
    taps_free(&v);
    return st;
}

mohs_status resample(const uint8_t *in, uint32_t width, uint32_t height,
                     uint32_t channels, uint32_t new_width, uint32_t new_height,
                     enum image_filter filter, uint8_t *out,
                     struct mohs_error *err)
{
    // The picture between the two passes is new_width x height.
    if (!width || !height || !new_width || !new_height || !channels ||
        channels > 4 || (unsigned)filter > FILTER_HAMMING ||
        (uint64_t)new_width * new_height > IMAGE_MAX_PIXELS ||
        (uint64_t)new_width * height > IMAGE_MAX_PIXELS)
        return mohs_fail(err, MOHS_E_ARG,
                         "resize: from %u x %u to %u x %u, %u channels, "
                         "filter %d", width, height, new_width, new_height,
                         channels, (int)filter);
    if (filter == FILTER_NEAREST)
        return resize_nearest(in, width, height, channels, new_width,
                              new_height, out, err);
    return resize_filtered(in, width, height, channels, new_width, new_height,
                           filter, false, out, err);
}

mohs_status image_resize(const struct image *in, uint32_t width, uint32_t height,
                         enum image_filter filter, struct image *out,
                         struct mohs_error *err)
{
    RET_IF_ERR(image_alloc(out, width, height, "resize", err));
    mohs_status st = resample(in->rgb, in->width, in->height, 3, width, height,
                              filter, out->rgb, err);
    if (st < 0)
        image_free(out);
    return st;
}

mohs_status image_resize_tensor(const struct image *in, uint32_t width,
                                uint32_t height, enum image_filter filter,
                                struct image *out, struct mohs_error *err)
{
    *out = (struct image) { 0 };
    if (filter != FILTER_BILINEAR && filter != FILTER_BICUBIC &&
        filter != FILTER_LANCZOS)
        return mohs_fail(err, MOHS_E_UNSUPPORTED,
                         "resize: torchvision has no antialiased filter %d",
                         (int)filter);
    if ((uint64_t)width * in->height > IMAGE_MAX_PIXELS)
        return mohs_fail(err, MOHS_E_ARG, "resize: from %u x %u to %u x %u",
                         in->width, in->height, width, height);
    RET_IF_ERR(image_alloc(out, width, height, "resize", err));
    mohs_status st = resize_filtered(in->rgb, in->width, in->height, 3, width,
                                     height, filter, true, out->rgb, err);
    if (st < 0)
        image_free(out);
    return st;
}
