/* SPDX-License-Identifier: MIT */
/* Caustic refraction in plain C and double precision. */
#include "config.h"

#include "caustics.h"

static double caustic(double y, double x, const struct water *w)
{
    const double period = 6.28318530718;
    double py = (y / w->size - floor(y / w->size)) * period - 250;
    double px = (x / w->size - floor(x / w->size)) * period - 250;
    double a = py, b = px, c = 1;
    for (int n = 0; n < CAUSTIC_STEPS; n++) {
        double t = w->time * (1 - 3.5 / (n + 1));
        double next_a = py + cos(t - a) + sin(t + b);
        b = px + sin(t - b) + cos(t + a);
        a = next_a;
        double u = py / (sin(a + t) / 0.005), v = px / (cos(b + t) / 0.005);
        c += 1 / sqrt(u * u + v * v);
    }
    c = 1.17 - pow(c / 5, 1.4);
    c = pow(fabs(c), 8);
    return c > 1 ? 1 : c;
}

static void soften(double *to, const double *from, const struct job *j,
                   const double *tap, int down)
{
    int w = (int)j->width, h = (int)j->height;
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++) {
            double sum = 0;
            for (int k = -SOFT; k <= SOFT; k++) {
                int a = down ? mirror_half(y + k, h) : y;
                int b = down ? x : mirror_half(x + k, w);
                sum += tap[abs(k)] * from[a * w + b];
            }
            to[y * w + x] = sum;
        }
}

static double at(const double *field, const struct job *j, int y, int x)
{
    int inside = y >= 0 && x >= 0 && y < (int)j->height && x < (int)j->width;
    return inside ? field[y * (int)j->width + x] : 0;
}

static double pixel(const struct job *j, const uint8_t *in, int y, int x,
                    uint32_t c)
{
    int inside = y >= 0 && x >= 0 && y < (int)j->height && x < (int)j->width;
    return inside ? (float)in[(y * (int)j->width + x) * 3 + (int)c] / 255.0f
                  : 0;
}

/* The part of a slope (down, across) that a ray straight down is bent by;
 * the script's rotations written out. */
static double bent(double down, double across)
{
    double square = down * down + across * across, z = 1 / sqrt(square + 1);
    if (z >= 1 - 1e-3)
        return 0;
    double sine2 = square * z * z;
    return z * (sqrt(1 - sine2 / 16) - z / 4);
}

void caustic_refraction_reference(struct job *j, uint32_t n, uint8_t *out)
{
    const uint8_t *in = j->rgb + (size_t)n * j->values;
    double *field = job_scratch(j, j->pixels, sizeof *field);
    double *half = job_scratch(j, j->pixels, sizeof *half);
    double tap[SOFT + 1];
    struct water w = water_draw(j, n);
    if (!field || !half)
        return;
    soft_taps(tap);
    for (uint32_t i = 0; i < j->pixels; i++)
        field[i] = caustic(i / j->width, i % j->width, &w);
    soften(half, field, j, tap, 1);
    soften(field, half, j, tap, 0);
    for (uint32_t i = 0; i < j->values; i++) {
        int y = (int)(i / j->row), x = (int)(i / 3 % j->width);
        double across = at(field, j, y, x + 1) - at(field, j, y, x - 1);
        double down = at(field, j, y + 1, x) - at(field, j, y - 1, x);
        double bend = bent(down, across) * lens_scale(j);
        double py = y + rint(down * bend * 1000) / 1000;
        double px = x + rint(across * bend * 1000) / 1000;
        int fy = (int)floor(py), fx = (int)floor(px);
        double v = py - fy, u = px - fx;
        double a = pixel(j, in, fy, fx, i % 3) * (1 - u) +
                   pixel(j, in, fy, fx + 1, i % 3) * u;
        double b = pixel(j, in, fy + 1, fx, i % 3) * (1 - u) +
                   pixel(j, in, fy + 1, fx + 1, i % 3) * u;
        out[i] =
            to_byte(a * (1 - v) + b * v + (down - across) * lighting(j));
    }
}
