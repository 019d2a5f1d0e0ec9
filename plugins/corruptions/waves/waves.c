/* SPDX-License-Identifier: MIT */
/*
 * The patterns of ImageNet-C-bar: single frequency greyscale, cocentric sine
 * waves (the authors' spelling), plasma noise, Perlin noise and checkerboard
 * cutout. Draws belong to the picture, not to the pixel: a few parameters,
 * and from draw TABLE_DRAWS on the board's cells or Perlin's lattice.
 *
 * Kernel and reference differ by float rounding, so bytes differ by at most
 * 1; where a pattern jumps (the rim of a ring, of a square) a pixel may fall
 * on either side.
 */
#include "config.h"

#include "waves.h"

static const unsigned char text[] = {
#include "pixels.clh"
#include "waves.clh"
};

enum { TABLE_DRAWS = 16 };

static const double pi = 3.14159265358979323846;

/* ---- constants ---- */

double grating_intensity(const struct job *j)
{
    static const double severity[] = { 1, 1.5, 2, 4.5, 5 };
    return 196 * c_bar_level(j, severity, NULL);
}

double rings_intensity(const struct job *j)
{
    static const double severity[] = { 3, 5, 8, 9, 10 };
    return 128 * c_bar_level(j, severity, NULL);
}

double plasma_intensity(const struct job *j)
{
    static const double severity[] = { 4.75, 7, 8.5, 9.25, 10 };
    return 64 * c_bar_level(j, severity, NULL);
}

double perlin_alpha(const struct job *j)
{
    static const double severity[] = { 4.6, 5.2, 5.8, 7.6, 8.8 };
    return 0.5 * c_bar_level(j, severity, NULL);
}

double perlin_step(const struct job *j)
{
    return 7 / c_bar_side(j); // the script's 1 / (32 side / 224)
}

static double board_fraction(const struct job *j)
{
    static const double severity[] = { 2, 3, 4, 5, 6 };
    static const double cifar[] = { 1, 2, 3, 4, 5 };
    return c_bar_level(j, severity, cifar);
}

/* ---- draws ---- */

struct grating grating_draw(const struct job *j, uint32_t n)
{
    double a = job_draw(j, n, 0, -pi, pi);
    double b = job_draw(j, n, 1, -fabs(a), fabs(a));
    int swap = job_draw(j, n, 2, 0, 1) < 0.5;
    return (struct grating) { swap ? b : a, swap ? a : b,
                              job_draw(j, n, 3, 0, 2 * pi) };
}

struct rings rings_draw(const struct job *j, uint32_t n)
{
    double tenth = c_bar_side(j) / 10;
    return (struct rings) { .x = job_draw(j, n, 0, 0, j->width),
                            .y = job_draw(j, n, 1, 0, j->height),
                            .freq = job_draw(j, n, 2, 0, 10),
                            .amplitude = job_draw(j, n, 3, 0, tenth),
                            .width = job_draw(j, n, 4, 0, tenth) };
}

struct plasma plasma_draw(const struct job *j, uint32_t n)
{
    double time = job_draw(j, n, 0, 0, 6 * pi);
    int iterations = 4 + (int)mohs_rng_below(j->seed, j->key[n], 1, 3);
    double sharpness = job_draw(j, n, 2, 0.5, 1);
    double scale = job_draw(j, n, 3, 0.075, 0.2) * c_bar_side(j);
    return (struct plasma) { time, sharpness, scale, iterations };
}

void board_draw(const struct job *j, uint32_t n, struct board *b)
{
    double angle = job_draw(j, n, 0, 0, 2 * pi), side = c_bar_side(j);
    b->cos = cos(angle);
    b->sin = sin(angle);
    b->scale = fmax(job_draw(j, n, 1, 0.1, 0.25) * side, 1);
    b->side = (uint32_t)(4 * side / b->scale);
    for (uint32_t i = 0; i < b->side * b->side; i++)
        b->cell[i] =
            job_draw(j, n, TABLE_DRAWS + i, 0, 1) < board_fraction(j);
}

void lattice_draw(const struct job *j, uint32_t n, struct lattice *t)
{
    for (uint32_t i = 0; i < LATTICE; i++) {
        double g[2];
        for (uint32_t k = 0; k < 2; k++)
            g[k] = (int)(mohs_rng_u32(j->seed, j->key[n],
                                      TABLE_DRAWS + 2 * i + k) %
                         (2 * LATTICE)) -
                   LATTICE;
        // the script makes nothing of (0, 0): a picture with black spots
        double length = fmax(sqrt(g[0] * g[0] + g[1] * g[1]), 1);
        for (uint32_t k = 0; k < 2; k++)
            t->gradient[i][k] = (float)(g[k] / length);
        t->at[i] = i;
    }
    for (uint32_t i = LATTICE; i-- > 0;) {
        uint32_t at = mohs_rng_u32(j->seed, j->key[n],
                                   TABLE_DRAWS + 2 * LATTICE + i) %
                      LATTICE;
        uint32_t was = t->at[i];
        t->at[i] = t->at[at];
        t->at[at] = was;
    }
}

/* ---- device ---- */

enum { PARAMS, TABLE };

/* A rotation of 2 pi as 2^32: sums of rotations wrap around by themselves. */
static uint32_t rotation(double radians)
{
    double turns = radians / (2 * pi);
    return (uint32_t)((turns - floor(turns)) * 4294967295.0 + 0.5);
}

static void grating_device(struct job *j)
{
    uint32_t *p = job_scratch(j, 3 * (size_t)j->n, sizeof *p);
    for (uint32_t n = 0; p && n < j->n; n++) {
        struct grating g = grating_draw(j, n);
        p[3 * n] = rotation(g.fx);
        p[3 * n + 1] = rotation(g.fy);
        p[3 * n + 2] = rotation(g.phase);
    }
    struct mohs_buffer *b =
        job_upload(j, PARAMS, p, 3 * (size_t)j->n * sizeof *p);
    job_run(j, "grating", j->height, j->n, 1, BUF(j->in), BUF(j->out), BUF(b),
            F32((float)grating_intensity(j)), U32(j->width));
}

static void rings_device(struct job *j)
{
    float *p = job_scratch(j, 5 * (size_t)j->n, sizeof *p);
    for (uint32_t n = 0; p && n < j->n; n++) {
        struct rings g = rings_draw(j, n);
        double v[] = { g.x, g.y, g.freq, g.amplitude, g.width };
        for (uint32_t k = 0; k < 5; k++)
            p[5 * n + k] = (float)v[k];
    }
    struct mohs_buffer *b =
        job_upload(j, PARAMS, p, 5 * (size_t)j->n * sizeof *p);
    job_run(j, "rings", j->height, j->n, 1, BUF(j->in), BUF(j->out), BUF(b),
            F32((float)rings_intensity(j)), U32(j->width));
}

static void plasma_device(struct job *j)
{
    float *p = job_scratch(j, 4 * (size_t)j->n, sizeof *p);
    for (uint32_t n = 0; p && n < j->n; n++) {
        struct plasma g = plasma_draw(j, n);
        double v[] = { g.time, g.iterations, 2.25 - g.sharpness, g.scale };
        for (uint32_t k = 0; k < 4; k++)
            p[4 * n + k] = (float)v[k];
    }
    struct mohs_buffer *b =
        job_upload(j, PARAMS, p, 4 * (size_t)j->n * sizeof *p);
    job_run(j, "plasma", j->height, j->n, 1, BUF(j->in), BUF(j->out), BUF(b),
            F32((float)plasma_intensity(j)), U32(j->width));
}

static void perlin_device(struct job *j)
{
    struct lattice *t = job_scratch(j, j->n, sizeof *t);
    for (uint32_t n = 0; t && n < j->n; n++)
        lattice_draw(j, n, t + n);
    struct mohs_buffer *b = job_upload(j, TABLE, t, j->n * sizeof *t);
    job_run(j, "perlin", j->height, j->n, 1, BUF(j->in), BUF(j->out), BUF(b),
            F32((float)perlin_step(j)), F32((float)perlin_alpha(j)),
            U32(j->width));
}

static void board_device(struct job *j)
{
    float *p = job_scratch(j, 4 * (size_t)j->n, sizeof *p);
    uint8_t *cells = job_scratch(j, (size_t)j->n * BOARD, BOARD);
    struct board *g = job_scratch(j, 1, sizeof *g);
    for (uint32_t n = 0; p && cells && g && n < j->n; n++) {
        board_draw(j, n, g);
        double v[] = { g->cos / g->scale, g->sin / g->scale, g->side, 0 };
        for (uint32_t k = 0; k < 4; k++)
            p[4 * n + k] = (float)v[k];
        memcpy(cells + (size_t)n * BOARD * BOARD, g->cell, sizeof g->cell);
    }
    struct mohs_buffer *b =
        job_upload(j, PARAMS, p, 4 * (size_t)j->n * sizeof *p);
    struct mohs_buffer *c =
        job_upload(j, TABLE, cells, (size_t)j->n * BOARD * BOARD);
    job_run(j, "board", j->height, j->n, 1, BUF(j->in), BUF(j->out), BUF(b),
            BUF(c), U32(BOARD * BOARD), U32(j->width));
}

#define PATTERN(name, device_)                           \
    static const struct corruption name##_corruption = { \
        .id = #name,                                     \
        .source = text,                                  \
        .source_bytes = sizeof text,                     \
        .device = device_,                               \
        .reference = name##_reference,                   \
    }

PATTERN(single_frequency_greyscale, grating_device);
PATTERN(cocentric_sine_waves, rings_device);
PATTERN(plasma_noise, plasma_device);
PATTERN(perlin_noise, perlin_device);
PATTERN(checkerboard_cutout, board_device);
CORRUPTION_ITEM(single_frequency_greyscale, MOHS_CORRUPTION_STOCHASTIC,
                "a sine wave added (ImageNet-C-bar)");
CORRUPTION_ITEM(cocentric_sine_waves, MOHS_CORRUPTION_STOCHASTIC,
                "waving rings added (ImageNet-C-bar)");
CORRUPTION_ITEM(plasma_noise, MOHS_CORRUPTION_STOCHASTIC,
                "coloured swirls mixed in (ImageNet-C-bar)");
CORRUPTION_ITEM(perlin_noise, MOHS_CORRUPTION_STOCHASTIC,
                "Perlin turbulence mixed in (ImageNet-C-bar)");
CORRUPTION_ITEM(checkerboard_cutout, MOHS_CORRUPTION_STOCHASTIC,
                "squares of a turned checkerboard greyed (ImageNet-C-bar)");
CORRUPTION_PLUGIN("mohs.waves", "Patterns of ImageNet-C-bar",
                  &single_frequency_greyscale_item, &cocentric_sine_waves_item,
                  &plasma_noise_item, &perlin_noise_item,
                  &checkerboard_cutout_item)
