/* SPDX-License-Identifier: MIT */
/*
 * Pillow's resampler (src/libImaging/Resample.c, MIT-CMU), as an algorithm:
 * windowed filters with support scaled by the reduction, normalised in
 * double, rounded to 22 fractional bits, horizontal pass then vertical, each
 * rounded to 8 bits. Results are the same bytes.
 */
#include "config.h"

#include "image/resample.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "image/codec.h"

enum { BITS = 32 - 8 - 2 };

static double box(double x)
{
    return x > -0.5 && x <= 0.5 ? 1.0 : 0.0;
}

static double triangle(double x)
{
    x = fabs(x);
    return x < 1.0 ? 1.0 - x : 0.0;
}

static double cubic(double x)
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

static double lanczos(double x)
{
    return -3.0 <= x && x < 3.0 ? sinc(x) * sinc(x / 3) : 0.0;
}

static const struct {
    double (*f)(double);
    double support;
} filters[] = {
    [FILTER_BOX] = { box, 0.5 },
    [FILTER_BILINEAR] = { triangle, 1.0 },
    [FILTER_BICUBIC] = { cubic, 2.0 },
    [FILTER_LANCZOS] = { lanczos, 3.0 },
};

struct weights {
    int n;        /* weights kept per output position */
    int *first, *count;
    int32_t *w;
};

static void weights_free(struct weights *k)
{
    free(k->first);
    free(k->count);
    free(k->w);
}

static mohs_status weights_make(uint32_t in, uint32_t out, enum image_filter f,
                                struct weights *k, struct mohs_error *err)
{
    double scale = (double)in / out, grow = scale < 1.0 ? 1.0 : scale;
    double support = filters[f].support * grow, inverse = 1.0 / grow;
    k->n = (int)ceil(support) * 2 + 1;
    k->first = try_calloc(out, sizeof *k->first, "resize weights", err);
    k->count = try_calloc(out, sizeof *k->count, "resize weights", err);
    k->w = try_calloc((size_t)out * (size_t)k->n, sizeof *k->w, "resize weights", err);
    double *x = xcalloc((size_t)k->n, sizeof *x);
    if (!k->first || !k->count || !k->w) {
        free(x);
        return MOHS_E_NOMEM;
    }
    for (uint32_t i = 0; i < out; i++) {
        double center = (i + 0.5) * scale, sum = 0;
        int lo = (int)(center - support + 0.5), hi = (int)(center + support + 0.5);
        lo = lo < 0 ? 0 : lo;
        hi = hi > (int)in ? (int)in : hi;
        for (int j = 0; j < hi - lo; j++) {
            x[j] = filters[f].f((j + lo - center + 0.5) * inverse);
            sum += x[j];
        }
        for (int j = 0; j < hi - lo; j++) {
            double v = (sum != 0.0 ? x[j] / sum : x[j]) * (1 << BITS);
            k->w[(size_t)i * (size_t)k->n + (size_t)j] = (int32_t)(v < 0 ? v - 0.5 : v + 0.5);
        }
        k->first[i] = lo;
        k->count[i] = hi - lo;
    }
    free(x);
    return MOHS_OK;
}

static inline uint8_t cut(int32_t v)
{
    v >>= BITS;
    return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
}

static void horizontal(const uint8_t *in, uint32_t width, uint32_t rows,
                       uint32_t ch, uint32_t new_width, const struct weights *k,
                       uint8_t *out)
{
    for (uint32_t y = 0; y < rows; y++, in += (size_t)width * ch)
        for (uint32_t x = 0; x < new_width; x++, out += ch) {
            const int32_t *w = k->w + (size_t)x * (size_t)k->n;
            const uint8_t *p = in + (size_t)k->first[x] * ch;
            int32_t sum[4] = { 1 << (BITS - 1), 1 << (BITS - 1), 1 << (BITS - 1),
                               1 << (BITS - 1) };
            for (int j = 0; j < k->count[x]; j++, p += ch)
                for (uint32_t c = 0; c < ch; c++)
                    sum[c] += p[c] * w[j];
            for (uint32_t c = 0; c < ch; c++)
                out[c] = cut(sum[c]);
        }
}

static void vertical(const uint8_t *in, size_t stride, uint32_t new_height,
                     const struct weights *k, int32_t *sum, uint8_t *out)
{
    for (uint32_t y = 0; y < new_height; y++, out += stride) {
        const int32_t *w = k->w + (size_t)y * (size_t)k->n;
        for (size_t i = 0; i < stride; i++)
            sum[i] = 1 << (BITS - 1);
        for (int j = 0; j < k->count[y]; j++) {
            const uint8_t *p = in + (size_t)(k->first[y] + j) * stride;
            for (size_t i = 0; i < stride; i++)
                sum[i] += p[i] * w[j];
        }
        for (size_t i = 0; i < stride; i++)
            out[i] = cut(sum[i]);
    }
}

static void nearest(const uint8_t *in, uint32_t width, uint32_t height, uint32_t ch,
                    uint32_t new_width, uint32_t new_height, uint8_t *out)
{
    double sx = (double)width / new_width, sy = (double)height / new_height;
    for (uint32_t y = 0; y < new_height; y++)
        for (uint32_t x = 0; x < new_width; x++, out += ch) {
            uint32_t px = (uint32_t)((x + 0.5) * sx), py = (uint32_t)((y + 0.5) * sy);
            px = px < width ? px : width - 1;
            py = py < height ? py : height - 1;
            memcpy(out, in + ((size_t)py * width + px) * ch, ch);
        }
}

mohs_status resample(const uint8_t *in, uint32_t width, uint32_t height,
                     uint32_t ch, uint32_t new_width, uint32_t new_height,
                     enum image_filter filter, uint8_t *out,
                     struct mohs_error *err)
{
    struct weights kx = { 0 }, ky = { 0 };
    uint8_t *mid = NULL;
    int32_t *sum = NULL;
    mohs_status st = MOHS_OK;
    if (ch < 1 || ch > 4 || (unsigned)filter > FILTER_LANCZOS)
        return mohs_fail(err, MOHS_E_ARG, "resize: %u channels, filter %d", ch, filter);
    if (width == new_width && height == new_height) {
        memcpy(out, in, (size_t)width * height * ch);
        return MOHS_OK;
    }
    if (filter == FILTER_NEAREST) {
        nearest(in, width, height, ch, new_width, new_height, out);
        return MOHS_OK;
    }
    const uint8_t *rows = in;
    size_t stride = (size_t)new_width * ch;
    if (new_width != width) {
        OUT_IF_ERR(weights_make(width, new_width, filter, &kx, err));
        mid = try_calloc(height, stride, "resize", err);
        if (!mid) {
            st = MOHS_E_NOMEM;
            goto out;
        }
        horizontal(in, width, height, ch, new_width, &kx, mid);
        rows = mid;
    }
    if (new_height != height) {
        OUT_IF_ERR(weights_make(height, new_height, filter, &ky, err));
        sum = try_calloc(stride, sizeof *sum, "resize", err);
        if (!sum) {
            st = MOHS_E_NOMEM;
            goto out;
        }
        vertical(rows, stride, new_height, &ky, sum, out);
    } else {
        memcpy(out, rows, (size_t)height * stride);
    }
out:
    weights_free(&kx);
    weights_free(&ky);
    free(mid);
    free(sum);
    return st;
}

mohs_status image_resize(const struct image *in, uint32_t width, uint32_t height,
                         enum image_filter filter, struct image *out,
                         struct mohs_error *err)
{
    RET_IF_ERR(image_alloc(width, height, "resize", out, err));
    mohs_status st = resample(in->rgb, in->width, in->height, 3, width, height, filter,
                              out->rgb, err);
    if (st < 0)
        image_free(out);
    return st;
}
