/* SPDX-License-Identifier: MIT */
/* The patterns of ImageNet-C-bar in plain C and double precision. */
#include "config.h"

#include "waves.h"

static uint8_t cut(double v)
{
    return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
}

void single_frequency_greyscale_reference(struct job *j, uint32_t n,
                                          uint8_t *out)
{
    const uint8_t *in = j->rgb + (size_t)n * j->values;
    struct grating g = grating_draw(j, n);
    double intensity = grating_intensity(j);
    for (uint32_t i = 0; i < j->values; i++) {
        double x = i / 3 % j->width, y = i / j->row;
        out[i] = cut(in[i] + intensity * sin(x * g.fx + y * g.fy + g.phase));
    }
}

void cocentric_sine_waves_reference(struct job *j, uint32_t n, uint8_t *out)
{
    const uint8_t *in = j->rgb + (size_t)n * j->values;
    struct rings g = rings_draw(j, n);
    double intensity = rings_intensity(j);
    for (uint32_t i = 0; i < j->values; i++) {
        double x = i / 3 % j->width - g.x, y = i / j->row - g.y;
        double radius = sqrt(x * x + y * y) +
                        sin(atan2(x, y) * g.freq) * g.amplitude;
        double turn = radius / g.width;
        out[i] = cut(in[i] + intensity * (turn - floor(turn) - 0.5));
    }
}

void plasma_noise_reference(struct job *j, uint32_t n, uint8_t *out)
{
    const uint8_t *in = j->rgb + (size_t)n * j->values;
    struct plasma p = plasma_draw(j, n);
    double intensity = plasma_intensity(j), t = p.time;
    for (uint32_t i = 0; i < j->pixels; i++) {
        double x = i % j->width / p.scale, y = i / j->width / p.scale;
        double a = 1, b = 1, c = 1;
        for (int k = 0; k < p.iterations; k++) {
            double u = cos(y * a + t / b) / c, v = sin(x * a + t / b) / c;
            x += u - 0.3 * v;
            y += v + 0.3 * u;
            a *= 1.93;
            b *= 1.15;
            c *= 2.25 - p.sharpness;
        }
        double noise[3] = { sin(x - t), sin((x + y + sin(t)) * 0.5),
                            sin(y + t) };
        for (uint32_t k = 0; k < 3; k++)
            out[3 * i + k] = cut((1 - intensity / 255) * in[3 * i + k] +
                                 intensity * noise[k]);
    }
}

static double corner(const struct lattice *t, uint32_t row, uint32_t column,
                     double y, double x)
{
    const float *g = t->gradient[t->at[(t->at[row % LATTICE] + column) % LATTICE]];
    return y * (double)g[0] + x * (double)g[1];
}

static double perlin(const struct lattice *t, double y, double x)
{
    double fy = floor(y), fx = floor(x);
    uint32_t row = (uint32_t)fy, column = (uint32_t)fx % LATTICE;
    y -= fy;
    x -= fx;
    double sy = y * y * (3 - 2 * y), sx = x * x * (3 - 2 * x);
    uint32_t next = (column + 1) % LATTICE;
    double u = corner(t, row, column, y, x);
    double v = corner(t, row + 1, column, y - 1, x);
    double a = u + sy * (v - u);
    u = corner(t, row, next, y, x - 1);
    v = corner(t, row + 1, next, y - 1, x - 1);
    double b = u + sy * (v - u);
    return 1.5 * (a + sx * (b - a));
}

void perlin_noise_reference(struct job *j, uint32_t n, uint8_t *out)
{
    const uint8_t *in = j->rgb + (size_t)n * j->values;
    struct lattice *t = job_scratch(j, 1, sizeof *t);
    if (!t)
        return;
    lattice_draw(j, n, t);
    double alpha = perlin_alpha(j), step = perlin_step(j);
    for (uint32_t i = 0; i < j->pixels; i++) {
        double y = i / j->width * step, x = i % j->width * step, f = 0;
        for (int k = 0; k < OCTAVES; k++)
            f += fabs(perlin(t, ldexp(y, k), ldexp(x, k))) / ldexp(1, k);
        f = 0.5 * f + 0.5;
        f = f > 1 ? 1 : f;
        for (uint32_t c = 0; c < 3; c++)
            out[3 * i + c] =
                cut((1 - alpha) * in[3 * i + c] + 255 * alpha * f);
    }
}

static uint32_t cell_of(double v, uint32_t side)
{
    int i = (int)v % (int)side;
    return (uint32_t)(i < 0 ? i + (int)side : i);
}

void checkerboard_cutout_reference(struct job *j, uint32_t n, uint8_t *out)
{
    const uint8_t *in = j->rgb + (size_t)n * j->values;
    struct board b;
    board_draw(j, n, &b);
    for (uint32_t i = 0; i < j->pixels; i++) {
        double x = i % j->width, y = i / j->width;
        double u = (b.cos * y + b.sin * x) / b.scale;
        double v = (-b.sin * y + b.cos * x) / b.scale;
        int same = !(((int)floor(u) ^ (int)floor(v)) & 1);
        int grey = same &&
                   b.cell[cell_of(u, b.side) * b.side + cell_of(v, b.side)];
        for (uint32_t c = 0; c < 3; c++)
            out[3 * i + c] = grey ? 128 : in[3 * i + c];
    }
}
