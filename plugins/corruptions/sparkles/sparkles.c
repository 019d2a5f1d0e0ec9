/* SPDX-License-Identifier: MIT */
/*
 * Sparkles and inverse sparkles of ImageNet-C-bar: five bright stars with
 * rays of random lengths over the picture, or the picture seen through one
 * star in white. Draws: SPARKLE_DRAWS for each star, its centre and number of
 * rays first; then normals for the lengths, from an even draw.
 *
 * Kernel and reference differ by float rounding, so bytes differ by at most 1.
 */
#include "config.h"

#include "sparkles.h"

static const unsigned char text[] = {
#include "pixels.clh"
#include "sparkles.clh"
};

enum { SPARKLE_DRAWS = 512, LENGTHS = 4 };

double inverse_fall(const struct job *j)
{
    static const double severity[] = { 1, 2, 4, 9, 10 };
    static const double cifar[] = { 1, 1.5, 2.5, 4.5, 5 };
    return 65 * c_bar_level(j, severity, cifar) / 50;
}

/* 50..199 rays, of N(radius, radius / 4), at least `shortest`. */
static void rays_draw(const struct job *j, uint32_t n, uint32_t first,
                      double radius, double shortest, struct sparkle *s)
{
    s->rays = 50 + mohs_rng_below(j->seed, j->key[n], first + 2, 150);
    for (uint32_t i = 0; i < s->rays; i++) {
        double z = mohs_rng_normal(j->seed, j->key[n],
                                   (first + LENGTHS) / 2 + i);
        s->length[i] = (float)fmax(radius + 0.25 * radius * z, shortest);
    }
    s->length[s->rays] = s->length[0];
    s->length[s->rays + 1] = s->length[1];
}

void sparkle_draw(const struct job *j, uint32_t n, uint32_t which,
                  struct sparkle *s)
{
    static const double severity[] = { 1, 2, 3, 5, 6 };
    static const double cifar[] = { .7, 3.5, 5.6, 6.3, 7 };
    uint32_t first = which * SPARKLE_DRAWS;
    s->y = (float)job_draw(j, n, first, 0, j->height);
    s->x = (float)job_draw(j, n, first + 1, 0, j->width);
    rays_draw(j, n, first,
              0.1 * c_bar_level(j, severity, cifar) * c_bar_side(j), 1, s);
}

void inverse_draw(const struct job *j, uint32_t n, struct sparkle *s)
{
    s->y = (float)job_draw(j, n, 0, 0.25 * j->height, 0.75 * j->height);
    s->x = (float)job_draw(j, n, 1, 0.25 * j->width, 0.75 * j->width);
    // only squares of lengths count
    rays_draw(j, n, 0, 0.25 * c_bar_side(j), -INFINITY, s);
}

static void sparkles_device(struct job *j)
{
    struct sparkle *s = job_scratch(j, (size_t)j->n * N_SPARKLES, sizeof *s);
    for (uint32_t i = 0; s && i < j->n * N_SPARKLES; i++)
        sparkle_draw(j, i / N_SPARKLES, i % N_SPARKLES, s + i);
    struct mohs_buffer *b =
        job_upload(j, 0, s, (size_t)j->n * N_SPARKLES * sizeof *s);
    job_run(j, "sparkles", j->height, j->n, 1, BUF(j->in), BUF(j->out), BUF(b),
            U32(j->width));
}

static void inverse_device(struct job *j)
{
    struct sparkle *s = job_scratch(j, j->n, sizeof *s);
    for (uint32_t i = 0; s && i < j->n; i++)
        inverse_draw(j, i, s + i);
    struct mohs_buffer *b = job_upload(j, 0, s, j->n * sizeof *s);
    job_run(j, "inverse_sparkles", j->height, j->n, 1, BUF(j->in), BUF(j->out),
            BUF(b), F32((float)inverse_fall(j)), U32(j->width));
}

static const struct corruption sparkles_corruption = {
    .id = "sparkles",
    .source = text,
    .source_bytes = sizeof text,
    .device = sparkles_device,
    .reference = sparkles_reference,
};
static const struct corruption inverse_sparkles_corruption = {
    .id = "inverse_sparkles",
    .source = text,
    .source_bytes = sizeof text,
    .device = inverse_device,
    .reference = inverse_sparkles_reference,
};
CORRUPTION_ITEM(sparkles, MOHS_CORRUPTION_STOCHASTIC,
                "five white stars (ImageNet-C-bar)");
CORRUPTION_ITEM(inverse_sparkles, MOHS_CORRUPTION_STOCHASTIC,
                "white but for one star (ImageNet-C-bar)");
CORRUPTION_PLUGIN("mohs.sparkles", "Sparkles", &sparkles_item,
                  &inverse_sparkles_item)
