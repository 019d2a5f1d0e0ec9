/* SPDX-License-Identifier: MIT */
/*
 * Blue noise sample and brownish noise of ImageNet-C-bar: noise with a given
 * power at each frequency and random phases, made in Fourier space and
 * transformed back. The script's phases are symmetric, its even planes centred
 * and its odd ones half a bin off; so are ours.
 *
 * Only the real part of the transform is wanted, so half of the columns do:
 * X(f) + conj X(-f) is stored. The two passes are sums over every frequency,
 * two outputs at once (k and -k have the same products), 1.5 side^3
 * multiplications a plane, for any size; at 224 pixels that is 2 ms on two cores.
 *
 * Kernel and reference differ by float rounding, so bytes differ by at most
 * 1; for blue noise a value on the threshold may fall on either side.
 */
#include "config.h"

#include "spectral.h"

static const unsigned char text[] = {
#include "strip.clh"
#include "philox.clh"
#include "pixels.clh"
#include "spectral.clh"
};

static const double blue_severity[] = { .8, 1.6, 2.4, 4, 5.6 };
static const double blue_cifar[] = { .7, 1.4, 2.1, 3.5, 4.2 };
static const double brownish_severity[] = { 1, 2, 3, 4, 5 };
static const double brownish_cifar[] = { 2.5, 4, 5.5, 6.5, 7 };

double blue_threshold(const struct job *j)
{
    return 3 * c_bar_level(j, blue_severity, blue_cifar) - 2.5;
}

double brownish_intensity(const struct job *j)
{
    return 64 * c_bar_level(j, brownish_severity, brownish_cifar);
}

enum { PHASES, SPECTRUM, HALF, NOISE, SUMS, ROWS, COLUMNS };

/* cos and sin of 2 pi k / n. */
static struct mohs_buffer *circle(struct job *j, int slot, uint32_t n)
{
    if (!job_has(j, slot, n)) {
        float *t = job_scratch(j, 2 * (size_t)n, sizeof *t);
        for (uint32_t k = 0; t && k < n; k++) {
            double a = 2 * 3.14159265358979323846 * k / n;
            t[2 * k] = (float)cos(a);
            t[2 * k + 1] = (float)sin(a);
        }
        if (t)
            job_keep(j, slot, n, t, 2 * (size_t)n * sizeof *t);
    }
    return job_slot(j, slot);
}

/* `planes` of noise a picture, w columns of h values, and 2 sums a column. */
static void noise_planes(struct job *j, uint32_t planes, int blue)
{
    uint32_t w = j->width, h = j->height, half = w / 2 + 1;
    uint32_t draws = phases_of(w, h) * planes, n = j->n * planes;
    size_t complex = ((size_t)n * h * half + 16) * 2 * sizeof(float);
    struct mohs_buffer *phases = job_buffer(
        j, PHASES, ((size_t)j->n * draws + 1) * sizeof(float));
    struct mohs_buffer *spectrum = job_buffer(j, SPECTRUM, complex);
    struct mohs_buffer *columns = job_buffer(j, HALF, complex);
    struct mohs_buffer *noise =
        job_buffer(j, NOISE, (size_t)n * j->pixels * sizeof(float));
    struct mohs_buffer *sums =
        job_buffer(j, SUMS, (size_t)n * h * 2 * sizeof(float));
    struct mohs_buffer *down = circle(j, ROWS, h),
                       *across = circle(j, COLUMNS, w);
    if (draws)
        job_run(j, "field_uniform", strips_of(draws, 64), j->n, 1, BUF(phases),
                BUF(j->keys), U64(j->seed), U32(draws));
    job_run(j, "spectrum", h, planes, j->n, BUF(phases), BUF(spectrum),
            F32((float)c_bar_side(j)), I32(blue), U32(draws), U32(w));
    job_run(j, "transform_down", h / 2 + 1, n, 1, BUF(spectrum), BUF(columns),
            BUF(down), U32(half), U32(h));
    job_run(j, "transform_across", groups_of(h, 16), n, 1, BUF(columns),
            BUF(noise), BUF(across), U32(half), U32(w), U32(h));
    job_run(j, "moments", h, n, 1, BUF(noise), BUF(sums), U32(w));
}

static void blue_device(struct job *j)
{
    noise_planes(j, 1, 1);
    job_run(j, "sample", j->height, j->n, 1, BUF(j->in), BUF(j->out),
            BUF(job_slot(j, NOISE)), BUF(job_slot(j, SUMS)),
            F32((float)blue_threshold(j)), U32(j->width));
}

static void brownish_device(struct job *j)
{
    noise_planes(j, 3, 0);
    job_run(j, "add", j->height, j->n, 1, BUF(j->in), BUF(j->out),
            BUF(job_slot(j, NOISE)), BUF(job_slot(j, SUMS)),
            F32((float)brownish_intensity(j)), U32(j->width));
}

static const struct corruption blue_noise_sample_corruption = {
    .id = "blue_noise_sample",
    .source = text,
    .source_bytes = sizeof text,
    .device = blue_device,
    .reference = blue_noise_sample_reference,
};
static const struct corruption brownish_noise_corruption = {
    .id = "brownish_noise",
    .source = text,
    .source_bytes = sizeof text,
    .device = brownish_device,
    .reference = brownish_noise_reference,
};
CORRUPTION_ITEM(blue_noise_sample, MOHS_CORRUPTION_STOCHASTIC,
                "pixels left where blue noise is high (ImageNet-C-bar)");
CORRUPTION_ITEM(brownish_noise, MOHS_CORRUPTION_STOCHASTIC,
                "coloured clouds, power 1/f^2 (ImageNet-C-bar)");
CORRUPTION_PLUGIN("mohs.spectral", "Coloured noise", &blue_noise_sample_item,
                  &brownish_noise_item)
