/* SPDX-License-Identifier: MIT */
/*
 * Gaussian blur as scipy.ndimage.gaussian_filter with mode "nearest" does it
 * on pixels in 0..1: for kernels through separable.cl (which needs bytes.cl
 * before it), and in double precision for references.
 */
#ifndef CORRUPTIONS_BLUR_H
#define CORRUPTIONS_BLUR_H

#include "corruption.h"

enum { BLUR_RADIUS_MAX = 64, BLUR_MARGIN = 7 };

/* Half a symmetric filter: w[0] in the middle, w[radius] at the ends. */
struct gauss {
    int radius;
    double w[BLUR_RADIUS_MAX + 1];
};

/* sigma * truncate < 64. */
static inline void gauss_make(struct gauss *g, double sigma, double truncate)
{
    g->radius = (int)(truncate * sigma + 0.5);
    double sum = 0;
    for (int i = -g->radius; i <= g->radius; i++)
        sum += exp(-0.5 / (sigma * sigma) * i * i);
    for (int i = 0; i <= g->radius; i++)
        g->w[i] = exp(-0.5 / (sigma * sigma) * i * i) / sum;
}

/* The order in which SciPy adds: middle, then pairs from the ends inwards. */
static inline double gauss_flat(const struct gauss *g, double v)
{
    double s = v * g->w[0];
    for (int i = g->radius; i > 0; i--)
        s += (v + v) * g->w[i];
    return s;
}

/* In place on n lines of `count` values, `step` apart, `line` apart. */
static inline void gauss_lines(const struct gauss *g, double *x, size_t n,
                               size_t line, int count, size_t step,
                               double *copy)
{
    for (size_t k = 0; k < n; k++) {
        double *p = x + k * line;
        for (int i = 0; i < count; i++)
            copy[i] = p[(size_t)i * step];
        for (int i = 0; i < count; i++) {
            double s = copy[i] * g->w[0];
            for (int d = g->radius; d > 0; d--)
                s += (copy[clamp_index(i - d, count)] +
                      copy[clamp_index(i + d, count)]) *
                     g->w[d];
            p[(size_t)i * step] = s;
        }
    }
}

/* height lines of width pixels of `channels` values, in place. */
static inline void gauss_reference(struct job *j, const struct gauss *g,
                                   double *x, uint32_t channels)
{
    uint32_t w = j->width, h = j->height;
    double *copy = job_scratch(j, w > h ? w : h, sizeof *copy);
    if (!copy)
        return;
    gauss_lines(g, x, (size_t)w * channels, 1, (int)h, (size_t)w * channels,
                copy);
    for (uint32_t y = 0; y < h; y++)
        gauss_lines(g, x + (size_t)y * w * channels, channels, 1, (int)w,
                    channels, copy);
}

/* Weights and the bytes of flat areas in slots of the job. */
struct blur {
    struct mohs_buffer *weight, *flat, *work;
    int radius, stride, row, pitch, pad;
};

/* Uses slots slot..slot+2. channels: 1 or 3 values a pixel. */
static inline struct blur blur_open(struct job *j, int slot, double sigma,
                                    int channels)
{
    struct gauss g;
    struct blur b = { .stride = channels, .row = (int)j->width * channels };
    gauss_make(&g, sigma, 4);
    b.radius = g.radius;
    b.pad = g.radius * channels;
    b.pitch = (b.row + 2 * b.pad + 31) / 16 * 16;
    b.work = job_buffer(j, slot,
                        ((size_t)j->n * j->height * (size_t)b.pitch + 64) *
                            sizeof(float));
    uint64_t tag = (uint64_t)(sigma * 1000) + 1;
    if (!job_has(j, slot + 1, tag)) {
        float w[2 * (BLUR_RADIUS_MAX + BLUR_MARGIN) + 1] = { 0 };
        uint8_t flat[256];
        for (int i = -g.radius; i <= g.radius; i++)
            w[g.radius + i + BLUR_MARGIN] = (float)g.w[abs(i)];
        for (int v = 0; v < 256; v++)
            flat[v] = to_byte(gauss_flat(&g, gauss_flat(&g, v / 255.0)));
        job_keep(j, slot + 1, tag, w, sizeof w);
        job_keep(j, slot + 2, tag, flat, sizeof flat);
    }
    b.weight = job_slot(j, slot + 1);
    b.flat = job_slot(j, slot + 2);
    return b;
}

static inline void blur_columns(struct job *j, const struct blur *b,
                                const char *kernel, struct mohs_buffer *in)
{
    job_run(j, kernel, groups_of((uint32_t)b->row, 16), groups_of(j->height, 8),
            j->n, BUF(in), BUF(b->work), BUF(b->weight), I32(b->radius),
            I32(b->row), U32(j->height), I32(b->pitch), I32(b->pad));
    if (b->pad)
        job_run(j, "blur_border", (size_t)j->n * j->height, 1, 1, BUF(b->work),
                I32(b->row), I32(b->stride), I32(b->pitch), I32(b->pad));
}

/* Bytes to bytes. */
static inline void blur_bytes(struct job *j, const struct blur *b,
                              struct mohs_buffer *in, struct mohs_buffer *out)
{
    blur_columns(j, b, "blur_columns_u8", in);
    job_run(j, "blur_rows_u8", (size_t)j->n * j->height, 1, 1, BUF(b->work),
            BUF(out), BUF(b->weight), BUF(b->flat), I32(b->radius),
            I32(b->stride), I32(b->row), I32(b->pitch));
}

/* Floats to floats; `in` may be `out`, both have DEVICE_SLACK. */
static inline void blur_floats(struct job *j, const struct blur *b,
                               struct mohs_buffer *in, struct mohs_buffer *out)
{
    blur_columns(j, b, "blur_columns_f32", in);
    job_run(j, "blur_rows_f32", (size_t)j->n * j->height, 1, 1, BUF(b->work),
            BUF(out), BUF(b->weight), I32(b->radius), I32(b->stride),
            I32(b->row), I32(b->pitch));
}

#endif
