/* SPDX-License-Identifier: MIT */
/* The coloured noises in plain C and double precision. */
#include "config.h"

#include "spectral.h"

static const double pi = 3.14159265358979323846;

/* Row a, column b of the plane before it is rolled. */
static double phase(const struct job *j, uint32_t n, uint32_t plane, uint32_t a,
                    uint32_t b)
{
    uint32_t w = j->width, h = j->height, half = w / 2;
    uint64_t first = (uint64_t)plane * phases_of(w, h);
    if (b >= w - half) {
        a = h - 1 - a;
        b = w - 1 - b;
    }
    if (b < half)
        return job_draw(j, n, first + (uint64_t)a * half + b, 0, 2 * pi);
    if (a == h - 1 - a)
        return 0;
    a = a < h / 2 ? a : h - 1 - a;
    return job_draw(j, n, first + (uint64_t)h * half + a, 0, 2 * pi);
}

static double power(const struct job *j, int blue, uint32_t a, uint32_t b)
{
    double side = c_bar_side(j);
    double y = (a - j->height / 2.0) * side / j->height;
    double x = (b - j->width / 2.0) * side / j->width;
    return blue ? sqrt(x * x + y * y) : 1 / (x * x + y * y + 1);
}

/* The real part of the plane's inverse transform, over its deviation. */
static double *noise_of(struct job *j, uint32_t n, uint32_t plane, int blue)
{
    uint32_t w = j->width, h = j->height;
    double *re = job_scratch(j, j->pixels, sizeof *re);
    double *im = job_scratch(j, j->pixels, sizeof *im);
    double *re2 = job_scratch(j, j->pixels, sizeof *re2);
    double *im2 = job_scratch(j, j->pixels, sizeof *im2);
    if (!re || !im || !re2 || !im2)
        return NULL;
    for (uint32_t i = 0; i < j->pixels; i++) {
        uint32_t a = i / w, b = i % w;
        double p = power(j, blue, a, b), t = phase(j, n, plane, a, b);
        uint32_t to = (a + h / 2) % h * w + (b + w / 2) % w;
        re[to] = p * cos(t);
        im[to] = p * sin(t);
    }
    for (uint32_t y = 0; y < h; y++)
        for (uint32_t b = 0; b < w; b++) {
            double r = 0, m = 0;
            for (uint32_t a = 0; a < h; a++) {
                double t = 2 * pi * (double)((uint64_t)a * y % h) / h;
                double c = cos(t), s = sin(t);
                r += re[a * w + b] * c - im[a * w + b] * s;
                m += re[a * w + b] * s + im[a * w + b] * c;
            }
            re2[y * w + b] = r;
            im2[y * w + b] = m;
        }
    double sum = 0, squares = 0;
    for (uint32_t i = 0; i < j->pixels; i++) {
        double v = 0;
        for (uint32_t b = 0; b < w; b++) {
            double t = 2 * pi * (double)((uint64_t)b * (i % w) % w) / w;
            v += re2[i / w * w + b] * cos(t) - im2[i / w * w + b] * sin(t);
        }
        re[i] = v;
        sum += v;
    }
    sum /= j->pixels;
    for (uint32_t i = 0; i < j->pixels; i++)
        squares += (re[i] - sum) * (re[i] - sum);
    double sd = sqrt(squares / j->pixels);
    for (uint32_t i = 0; i < j->pixels; i++)
        re[i] = sd > 0 ? re[i] / sd : 0;
    return re;
}

void blue_noise_sample_reference(struct job *j, uint32_t n, uint8_t *out)
{
    const uint8_t *in = j->rgb + (size_t)n * j->values;
    double *noise = noise_of(j, n, 0, 1);
    for (uint32_t i = 0; noise && i < j->values; i++)
        out[i] = noise[i / 3] > blue_threshold(j) ? in[i] : 0;
}

void brownish_noise_reference(struct job *j, uint32_t n, uint8_t *out)
{
    const uint8_t *in = j->rgb + (size_t)n * j->values;
    for (uint32_t c = 0; c < 3; c++) {
        double *noise = noise_of(j, n, c, 0);
        for (uint32_t i = 0; noise && i < j->pixels; i++) {
            double v = in[3 * i + c] + brownish_intensity(j) * noise[i];
            out[3 * i + c] = (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
        }
    }
}
