/* SPDX-License-Identifier: MIT */
/*
 * The noises of ImageNet-C, each value by itself: x + N(0, c), Poisson(x c)/c,
 * salt and pepper, x + x N(0, c). Draws belong to the byte's index, two words
 * for impulse noise. Shot and impulse noise are integers and the same
 * everywhere; the normals of kernel and reference differ by float rounding,
 * so bytes differ by at most 1.
 */
#include "config.h"

#include "noise.h"

static const unsigned char text[] = {
#include "strip.clh"
#include "philox.clh"
#include "noise.clh"
};

float noise_sigma(const struct job *j, int speckle)
{
    static const float gaussian[3][5] = {
        { .08f, .12f, .18f, .26f, .38f },
        { .04f, .08f, .12f, .15f, .18f },
        { .04f, .06f, .08f, .09f, .10f },
    };
    static const float speckled[3][5] = {
        { .15f, .2f, .35f, .45f, .6f },
        { .15f, .2f, .25f, .3f, .35f },
        { .06f, .1f, .12f, .16f, .2f },
    };
    return (speckle ? speckled : gaussian)[make_of(j)][j->level];
}

float impulse_amount(const struct job *j)
{
    static const float amount[3][5] = {
        { .03f, .06f, .09f, .17f, .27f },
        { .01f, .02f, .05f, .08f, .14f },
        { .01f, .02f, .03f, .05f, .07f },
    };
    return amount[make_of(j)][j->level];
}

uint32_t shot_rate(const struct job *j)
{
    static const uint16_t rate[3][5] = {
        { 60, 25, 12, 5, 3 },
        { 250, 100, 50, 30, 15 },
        { 500, 250, 100, 75, 50 },
    };
    return rate[make_of(j)][j->level];
}

/* Counts of Poisson(x rate / 255) by inversion: draw d of 2^32 has count k
 * when F(k - 1) <= d / 2^32 < F(k). */
static void shot_row(uint32_t rate, uint32_t x, struct shot_table *t)
{
    double lambda = (double)(x * rate) / 255, sum = 0;
    uint32_t *last = &t->last[0][0] + (size_t)x * rate, k = 0;
    for (k = 0; k < rate; k++) {
        double p = x ? exp(k * log(lambda) - lambda - lgamma(k + 1.0)) : k == 0;
        sum += p;
        double d = ceil(sum * 4294967296.0) - 1;
        last[k] = d < 0 ? 0 : d > 4294967295.0 ? UINT32_MAX : (uint32_t)d;
    }
    k = 0;
    for (uint32_t high = 0; high < 256; high++) {
        while (k < rate && last[k] < high << 24)
            k++;
        t->first[x][high] = (uint16_t)k;
    }
}

void shot_table_make(uint32_t rate, struct shot_table *t)
{
    t->levels = rate;
    for (uint32_t k = 0; k <= rate; k++)
        t->byte[k] = to_byte((double)k / rate);
    for (uint32_t x = 0; x < 256; x++)
        shot_row(rate, x, t);
}

static void normal_device(struct job *j, int speckle)
{
    job_run(j, "noise_normal", strips_of(j->values, 32), j->n, 1, BUF(j->in),
            BUF(j->out), BUF(j->keys), U64(j->seed),
            F32(noise_sigma(j, speckle)), U32(j->values), I32(speckle));
}

static void gaussian_device(struct job *j)
{
    normal_device(j, 0);
}

static void speckle_device(struct job *j)
{
    normal_device(j, 1);
}

static void impulse_device(struct job *j)
{
    job_run(j, "noise_impulse", strips_of(j->values, 32), j->n, 1, BUF(j->in),
            BUF(j->out), BUF(j->keys), U64(j->seed), F32(impulse_amount(j)),
            U32(j->values));
}

static void shot_device(struct job *j)
{
    enum { LAST, FIRST, BYTE };
    uint32_t rate = shot_rate(j);
    if (!job_has(j, BYTE, rate)) {
        struct shot_table *t = job_scratch(j, 1, sizeof *t);
        if (!t)
            return;
        shot_table_make(rate, t);
        job_keep(j, LAST, rate, t->last, 256 * rate * sizeof **t->last);
        job_keep(j, FIRST, rate, t->first, sizeof t->first);
        job_keep(j, BYTE, rate, t->byte, sizeof t->byte);
    }
    job_run(j, "noise_shot", strips_of(j->values, 64), j->n, 1, BUF(j->in),
            BUF(j->out), BUF(j->keys), U64(j->seed), BUF(job_slot(j, LAST)),
            BUF(job_slot(j, FIRST)), BUF(job_slot(j, BYTE)), U32(rate),
            U32(j->values));
}

#define NOISE(name, device_)                             \
    static const struct corruption name##_corruption = { \
        .id = #name,                                     \
        .source = text,                                  \
        .source_bytes = sizeof text,                     \
        .device = device_,                               \
        .reference = name##_reference,                   \
    }

NOISE(gaussian_noise, gaussian_device);
NOISE(shot_noise, shot_device);
NOISE(impulse_noise, impulse_device);
NOISE(speckle_noise, speckle_device);
CORRUPTION_ITEM(gaussian_noise, MOHS_CORRUPTION_STOCHASTIC,
                "additive Gaussian noise (ImageNet-C)");
CORRUPTION_ITEM(shot_noise, MOHS_CORRUPTION_STOCHASTIC,
                "photons counted: Poisson noise (ImageNet-C)");
CORRUPTION_ITEM(impulse_noise, MOHS_CORRUPTION_STOCHASTIC,
                "salt and pepper on single values (ImageNet-C)");
CORRUPTION_ITEM(speckle_noise, MOHS_CORRUPTION_STOCHASTIC,
                "multiplicative Gaussian noise (ImageNet-C, extra)");
CORRUPTION_PLUGIN("mohs.noise", "Noise", &gaussian_noise_item, &shot_noise_item,
                  &impulse_noise_item, &speckle_noise_item)
