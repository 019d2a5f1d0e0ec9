/* SPDX-License-Identifier: MIT */
/*
 * Caustic refraction of ImageNet-C-bar: the picture under rippled water. A
 * field of caustics (an old shader's), smoothed, is a surface; rays straight
 * down are bent by its slope at a ratio of 4, and its slope lights the
 * picture. Where the slope is small the script bends nothing at all, so the
 * displacement jumps by a few pixels there: a pixel on that line may fall on
 * either side; all others differ by at most 1 between kernel and reference.
 */
#include "config.h"

#include "caustics.h"

static const unsigned char text[] = {
#include "pixels.clh"
#include "caustics.clh"
};

static const double severity[] = { 2.35, 3.2, 4.9, 6.6, 9.15 };

struct water water_draw(const struct job *j, uint32_t n)
{
    return (struct water) { job_draw(j, n, 0, 0.5, 2),
                            job_draw(j, n, 1, 0.75, 1.25) * c_bar_side(j) };
}

double lens_scale(const struct job *j)
{
    return 0.5 * c_bar_side(j) * c_bar_level(j, severity, NULL);
}

double lighting(const struct job *j)
{
    return 2 * c_bar_level(j, severity, NULL);
}

void soft_taps(double tap[SOFT + 1])
{
    double sum = 0;
    for (int k = 0; k <= SOFT; k++) {
        tap[k] = exp(-0.5 * k * k);
        sum += k ? 2 * tap[k] : tap[k];
    }
    for (int k = 0; k <= SOFT; k++)
        tap[k] /= sum;
}

static void device(struct job *j)
{
    enum { PARAMS, FIELD, HALF, TAPS };
    float *p = job_scratch(j, 2 * (size_t)j->n, sizeof *p), taps[SOFT + 1];
    double tap[SOFT + 1];
    size_t bytes = ((size_t)j->n * j->pixels + 16) * sizeof(float);
    for (uint32_t n = 0; p && n < j->n; n++) {
        struct water w = water_draw(j, n);
        p[2 * n] = (float)w.time;
        p[2 * n + 1] = (float)(1 / w.size);
    }
    soft_taps(tap);
    for (int k = 0; k <= SOFT; k++)
        taps[k] = (float)tap[k];
    struct mohs_buffer *params =
        job_upload(j, PARAMS, p, 2 * (size_t)j->n * sizeof *p);
    struct mohs_buffer *field = job_buffer(j, FIELD, bytes);
    struct mohs_buffer *half = job_buffer(j, HALF, bytes);
    struct mohs_buffer *t = job_upload(j, TAPS, taps, sizeof taps);
    uint32_t w = j->width, h = j->height;
    job_run(j, "caustics", h, j->n, 1, BUF(params), BUF(field), U32(w));
    job_run(j, "soften_down", h, j->n, 1, BUF(field), BUF(half), BUF(t),
            U32(w));
    job_run(j, "soften_across", h, j->n, 1, BUF(half), BUF(field), BUF(t),
            U32(w));
    job_run(j, "refract", h, j->n, 1, BUF(j->in), BUF(j->out), BUF(field),
            F32((float)lens_scale(j)), F32((float)lighting(j)), U32(w));
}

static const struct corruption caustic_refraction_corruption = {
    .id = "caustic_refraction",
    .source = text,
    .source_bytes = sizeof text,
    .device = device,
    .reference = caustic_refraction_reference,
};
CORRUPTION_ITEM(caustic_refraction, MOHS_CORRUPTION_STOCHASTIC,
                "under rippled water (ImageNet-C-bar)");
CORRUPTION_PLUGIN("mohs.caustics", "Caustic refraction",
                  &caustic_refraction_item)
