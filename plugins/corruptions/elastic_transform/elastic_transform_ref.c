/* SPDX-License-Identifier: MIT */
/* The elastic transform in plain C and double precision. */
#include "config.h"

#include "elastic.h"

struct plane {
    const float *rgb;
    int width, height;
};

/* Bilinear, with either way of mirroring. */
static double sample(const struct plane *p, double x, double y, int c,
                     int (*mirror)(int, int))
{
    int fx = (int)floor(x), fy = (int)floor(y);
    double u = x - fx, v = y - fy, s = 0;
    for (int b = 0; b < 2; b++)
        for (int a = 0; a < 2; a++)
            s += (a ? u : 1 - u) * (b ? v : 1 - v) *
                 (double)p->rgb[(mirror(fy + b, p->height) * p->width +
                                 mirror(fx + a, p->width)) *
                                    3 +
                                c];
    return s;
}

static int edge101(int i, int n)
{
    return mirror101(i, n);
}

static int edge_half(int i, int n)
{
    return mirror_half(i, n);
}

static double *smoothed(struct job *j, uint32_t n, const struct elastic *c,
                        uint64_t fork)
{
    uint32_t w = j->width, h = j->height;
    double *field = job_scratch(j, j->pixels, sizeof *field);
    double *half = job_scratch(j, j->pixels, sizeof *half);
    struct band down = band_make(j, h, c->sigma_y),
                across = band_make(j, w, c->sigma_x);
    if (!field || !half || !down.weight || !across.weight)
        return NULL;
    for (uint32_t i = 0; i < j->pixels; i++) {
        double u = mohs_rng_uniform(mohs_rng_fork(j->seed, fork), j->key[n], i);
        field[i] = c->span * (2 * u - 1);
    }
    for (uint32_t i = 0; i < j->pixels; i++) {
        uint32_t x = i % w, y = i / w;
        half[i] = 0;
        for (uint32_t k = 0; k < down.len; k++)
            half[i] += down.weight[y * down.len + k] *
                       field[((uint32_t)down.first[y] + k) * w + x];
    }
    for (uint32_t i = 0; i < j->pixels; i++) {
        uint32_t x = i % w, y = i / w;
        field[i] = 0;
        for (uint32_t k = 0; k < across.len; k++)
            field[i] += across.weight[x * across.len + k] *
                        half[y * w + (uint32_t)across.first[x] + k];
        field[i] = (double)(float)(field[i] * c->amount);
    }
    return field;
}

void elastic_transform_reference(struct job *j, uint32_t n, uint8_t *out)
{
    const uint8_t *in = j->rgb + (size_t)n * j->values;
    struct elastic c = elastic_of(j);
    float *own = job_scratch(j, j->values, sizeof *own);
    float *warped = job_scratch(j, j->values, sizeof *warped);
    if (!own || !warped)
        return;
    for (uint32_t i = 0; i < j->values; i++)
        own[i] = (float)in[i] / 255.0f;
    struct plane from = { own, (int)j->width, (int)j->height };
    double m[6];
    elastic_affine(j, n, &c, m);
    for (uint32_t i = 0; i < j->values && c.jitter > 0; i++) {
        double x = i / 3 % j->width, y = i / j->row;
        warped[i] =
            (float)sample(&from, m[0] * x + m[1] * y + m[2],
                          m[3] * x + m[4] * y + m[5], (int)(i % 3), edge101);
    }
    if (c.jitter > 0)
        from.rgb = warped;
    double *dx = c.amount > 0 ? smoothed(j, n, &c, ELASTIC_ACROSS) : NULL;
    double *dy = c.amount > 0 ? smoothed(j, n, &c, ELASTIC_DOWN) : NULL;
    for (uint32_t i = 0; i < j->values && j->st >= 0; i++) {
        double x = i / 3 % j->width + (dx ? dx[i / 3] : 0);
        double y = i / j->row + (dy ? dy[i / 3] : 0);
        float s = (float)sample(&from, x, y, (int)(i % 3), edge_half);
        out[i] = (uint8_t)((s < 0 ? 0 : s > 1 ? 1 : s) * 255.0f);
    }
}
