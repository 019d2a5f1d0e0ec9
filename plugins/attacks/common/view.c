/* SPDX-License-Identifier: MIT */
/* Resizing as two sparse matrices, one an axis, and their transposes. */
#include "view.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The cubic convolution kernel of Keys (1981). */
static double cubic(double x)
{
    const double a = -0.75;
    x = fabs(x);
    return x <= 1 ? ((a + 2) * x - (a + 3)) * x * x + 1
           : x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
                   : 0;
}

static int axis_make(struct view_axis *a, uint32_t from, uint32_t to)
{
    a->from = from;
    a->to = to;
    a->at = calloc(to, sizeof *a->at);
    a->weight = calloc(to, sizeof *a->weight);
    if (!a->at || !a->weight)
        return 0;
    for (uint32_t i = 0; i < to; i++) {
        double centre = (i + 0.5) * from / to - 0.5, whole = floor(centre);
        for (int k = 0; k < 4; k++) {
            double at = whole + k - 1;
            a->weight[i][k] = (float)cubic(centre - at);
            a->at[i][k] = at < 0 ? 0 : at > from - 1 ? from - 1 : (uint32_t)at;
        }
    }
    return 1;
}

static void axis_free(struct view_axis *a)
{
    free(a->at);
    free(a->weight);
}

int view_make(struct view *v, uint32_t height, uint32_t width, double scale)
{
    uint32_t h = (uint32_t)(scale * height), w = (uint32_t)(scale * width);
    h = h ? h : 1;
    w = w ? w : 1;
    *v = (struct view) { .height = height, .width = width, .scaled_height = h,
                         .scaled_width = w };
    size_t most = (size_t)(h > height ? h : height) * (w > width ? w : width);
    v->half = malloc(most * sizeof *v->half);
    v->scaled = malloc(most * sizeof *v->scaled);
    v->back = malloc(most * sizeof *v->back);
    int ok = axis_make(&v->down[0], height, h) && axis_make(&v->down[1], width, w) &&
             axis_make(&v->up[0], h, height) && axis_make(&v->up[1], w, width);
    return ok && v->half && v->scaled && v->back;
}

void view_free(struct view *v)
{
    for (int i = 0; i < 2; i++) {
        axis_free(&v->down[i]);
        axis_free(&v->up[i]);
    }
    free(v->half);
    free(v->scaled);
    free(v->back);
}

size_t view_kept(const struct view *v)
{
    return (size_t)3 * v->scaled_height * v->scaled_width;
}

/* A plane of a[0].from rows and a[1].from columns to one of .to. */
static void resize(const struct view_axis a[2], const float *x, float *half, float *out)
{
    uint32_t from = a[1].from, w = a[1].to;
    for (uint32_t y = 0; y < a[0].from; y++)
        for (uint32_t i = 0; i < w; i++) {
            float s = 0;
            for (int k = 0; k < 4; k++)
                s += a[1].weight[i][k] * x[(size_t)y * from + a[1].at[i][k]];
            half[(size_t)y * w + i] = s;
        }
    for (uint32_t y = 0; y < a[0].to; y++)
        for (uint32_t i = 0; i < w; i++) {
            float s = 0;
            for (int k = 0; k < 4; k++)
                s += a[0].weight[y][k] * half[(size_t)a[0].at[y][k] * w + i];
            out[(size_t)y * w + i] = s;
        }
}

/* Its transpose: d of the result to d of the plane. */
static void resize_back(const struct view_axis a[2], const float *d, float *half, float *dx)
{
    uint32_t from = a[1].from, w = a[1].to;
    memset(half, 0, (size_t)a[0].from * w * sizeof *half);
    memset(dx, 0, (size_t)a[0].from * from * sizeof *dx);
    for (uint32_t y = 0; y < a[0].to; y++)
        for (int k = 0; k < 4; k++)
            for (uint32_t i = 0; i < w; i++)
                half[(size_t)a[0].at[y][k] * w + i] +=
                    a[0].weight[y][k] * d[(size_t)y * w + i];
    for (uint32_t y = 0; y < a[0].from; y++)
        for (uint32_t i = 0; i < w; i++)
            for (int k = 0; k < 4; k++)
                dx[(size_t)y * from + a[1].at[i][k]] +=
                    a[1].weight[i][k] * half[(size_t)y * w + i];
}

void view_apply(struct view *v, const float *x, float *out, float *kept)
{
    size_t plane = (size_t)v->height * v->width;
    size_t n = (size_t)v->scaled_height * v->scaled_width;
    for (size_t c = 0; c < 3; c++) {
        float *k = kept + c * n;
        resize(v->down, x + c * plane, v->half, k);
        for (size_t i = 0; i < n; i++)
            v->scaled[i] = fminf(fmaxf(k[i], 0), 1);
        resize(v->up, v->scaled, v->half, out + c * plane);
    }
}

void view_back(struct view *v, const float *kept, const float *dout, float *dx)
{
    size_t plane = (size_t)v->height * v->width;
    size_t n = (size_t)v->scaled_height * v->scaled_width;
    for (size_t c = 0; c < 3; c++) {
        resize_back(v->up, dout + c * plane, v->half, v->scaled);
        for (size_t i = 0; i < n; i++)
            if (kept[c * n + i] < 0 || kept[c * n + i] > 1)
                v->scaled[i] = 0;
        resize_back(v->down, v->scaled, v->half, v->back);
        for (size_t i = 0; i < plane; i++)
            dx[c * plane + i] += v->back[i];
    }
}
