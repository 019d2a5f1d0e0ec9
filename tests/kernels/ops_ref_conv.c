/* SPDX-License-Identifier: MIT */
/* The ops over pictures in double; see ops_ref.h. */
#include "config.h"

#include <math.h>
#include <string.h>

#include "kernels/ops_ref.h"

static const double *value(const struct ref_call *c, uint32_t i)
{
    return i < c->n_in ? c->in[i].v : NULL;
}

/* Pixel (i, y, x) of [n, h, w, c]; NULL outside. */
static const double *pixel(const struct ref_array *a, size_t i, long y, long x)
{
    long h = a->dims[1], w = a->dims[2];
    if (y < 0 || x < 0 || y >= h || x >= w)
        return NULL;
    return a->v + ((i * (size_t)h + (size_t)y) * (size_t)w + (size_t)x) *
                      a->dims[3];
}

/* Calls fn for every value of the result [n, h, w, c]; y, x: the corner of
 * its window. */
static void each_window(const struct ref_call *c, double stride, double pad,
                        double (*fn)(const struct ref_call *c, size_t i, long y,
                                     long x, size_t ch))
{
    const uint32_t *d = c->out->dims;
    double *v = c->out->v;
    for (size_t i = 0; i < d[0]; i++)
        for (size_t y = 0; y < d[1]; y++)
            for (size_t x = 0; x < d[2]; x++)
                for (size_t ch = 0; ch < d[3]; ch++)
                    *v++ = fn(c, i, (long)(y * (size_t)stride) - (long)pad,
                              (long)(x * (size_t)stride) - (long)pad, ch);
}

static double conv_at(const struct ref_call *c, size_t i, long y, long x,
                      size_t ch)
{
    const struct ref_array *w = &c->in[1];
    size_t per = w->dims[1], groups = (size_t)ref_attr(c, "groups", 1);
    size_t first = ch / (w->dims[0] / groups) * per;
    double s = 0;
    for (size_t q = 0; q < per; q++)
        for (uint32_t a = 0; a < w->dims[2]; a++)
            for (uint32_t b = 0; b < w->dims[3]; b++) {
                const double *p = pixel(&c->in[0], i, y + a, x + b);
                if (p)
                    s += p[first + q] *
                         w->v[((ch * per + q) * w->dims[2] + a) * w->dims[3] + b];
            }
    return s;
}

/* + b, or times and + norm; + residual; activation. */
static void finish(const struct ref_call *c)
{
    const double *b = value(c, 2), *norm = value(c, 3), *r = value(c, 4);
    size_t k = c->out->dims[3];
    for (size_t i = 0; i < c->out->n; i++) {
        double s = c->out->v[i];
        s = norm ? s * norm[i % k] + norm[k + i % k] : b ? s + b[i % k] : s;
        c->out->v[i] = ref_act((int)ref_attr(c, "act", 0), r ? s + r[i] : s);
    }
}

static void r_conv2d(const struct ref_call *c)
{
    each_window(c, ref_attr(c, "stride", 1), ref_attr(c, "pad", 0), conv_at);
    finish(c);
}

static double depth_at(const struct ref_call *c, size_t i, long y, long x,
                       size_t ch)
{
    const struct ref_array *w = &c->in[1];
    double s = 0;
    for (uint32_t a = 0; a < w->dims[2]; a++)
        for (uint32_t b = 0; b < w->dims[3]; b++) {
            const double *p = pixel(&c->in[0], i, y + a, x + b);
            if (p)
                s += p[ch] * w->v[(ch * w->dims[2] + a) * w->dims[3] + b];
        }
    return s;
}

static void r_depthwise(const struct ref_call *c)
{
    each_window(c, ref_attr(c, "stride", 1), ref_attr(c, "pad", 0), depth_at);
    finish(c);
}

static double pool_at(const struct ref_call *c, size_t i, long y, long x,
                      size_t ch, int max)
{
    long k = (long)ref_attr(c, "k", 2);
    double s = max ? -INFINITY : 0;
    for (long a = 0; a < k; a++)
        for (long b = 0; b < k; b++) {
            const double *p = pixel(&c->in[0], i, y + a, x + b);
            if (p)
                s = max ? fmax(s, p[ch]) : s + p[ch];
        }
    return max ? s : s / (double)(k * k);
}

static double max_at(const struct ref_call *c, size_t i, long y, long x,
                     size_t ch)
{
    return pool_at(c, i, y, x, ch, 1);
}

static double avg_at(const struct ref_call *c, size_t i, long y, long x,
                     size_t ch)
{
    return pool_at(c, i, y, x, ch, 0);
}

static void r_max_pool(const struct ref_call *c)
{
    each_window(c, ref_attr(c, "stride", 2), ref_attr(c, "pad", 0), max_at);
}

static void r_avg_pool(const struct ref_call *c)
{
    each_window(c, ref_attr(c, "stride", 2), ref_attr(c, "pad", 0), avg_at);
}

static void r_global_pool(const struct ref_call *c)
{
    const uint32_t *d = c->in[0].dims;
    size_t hw = (size_t)d[1] * d[2];
    for (size_t i = 0; i < c->out->n; i++) {
        double s = 0;
        for (size_t p = 0; p < hw; p++)
            s += c->in[0].v[(i / d[3] * hw + p) * d[3] + i % d[3]];
        c->out->v[i] = s / (double)hw;
    }
}

static void r_fold(const struct ref_call *c)
{
    const double *mean = c->in[0].v, *var = c->in[1].v;
    const double *gain = value(c, 2), *bias = value(c, 3);
    size_t n = c->in[0].n;
    for (size_t i = 0; i < n; i++) {
        double s = (gain ? gain[i] : 1) / sqrt(var[i] + ref_attr(c, "eps", 1e-5));
        c->out->v[i] = s;
        c->out->v[n + i] = (bias ? bias[i] : 0) - mean[i] * s;
    }
}

/* [n, a, b] to [n, b, a]. */
static void swap(const struct ref_call *c, size_t a, size_t b)
{
    for (size_t i = 0; i < c->in[0].n; i++) {
        size_t s = i / (a * b), p = i / b % a, q = i % b;
        c->out->v[(s * b + q) * a + p] = c->in[0].v[i];
    }
}

static void r_channels_last(const struct ref_call *c)
{
    const uint32_t *d = c->in[0].dims;
    swap(c, d[1], (size_t)d[2] * d[3]);
}

static void r_channels_first(const struct ref_call *c)
{
    const uint32_t *d = c->in[0].dims;
    swap(c, (size_t)d[1] * d[2], d[3]);
}

static const struct {
    const char *name;
    ref_fn fn;
} table[] = {
    { "conv2d", r_conv2d },
    { "depthwise_conv2d", r_depthwise },
    { "max_pool2d", r_max_pool },
    { "avg_pool2d", r_avg_pool },
    { "global_avg_pool", r_global_pool },
    { "batch_norm_fold", r_fold },
    { "channels_last", r_channels_last },
    { "channels_first", r_channels_first },
};

ref_fn ref_find_conv(const char *name)
{
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (strcmp(table[i].name, name) == 0)
            return table[i].fn;
    return NULL;
}
