/* SPDX-License-Identifier: MIT */
/*
 * Glass blur of ImageNet-C: a Gaussian blur to bytes, pixels that take the
 * place of near ones, a Gaussian blur. The scripts mean to swap pixels, rows
 * and columns descending, but assign NumPy views, so that the pixel at hand
 * becomes a copy of its neighbour and the neighbour stays. Therefore a result
 * can be followed back pixel by pixel, without order: the neighbour had
 * changed before in the same turn, or had not.
 */
#include "config.h"

#include "glass_blur.h"

static const unsigned char text[] = {
#include "bytes.clh"
#include "separable.clh"
#include "strip.clh"
#include "philox.clh"
#include "glass_blur.clh"
};

struct glass glass_of(const struct job *j)
{
    static const struct glass glass[3][5] = {
        { { .7, 1, 2 },
          { .9, 2, 1 },
          { 1, 2, 3 },
          { 1.1, 3, 2 },
          { 1.5, 4, 2 } },
        { { .1, 1, 1 },
          { .5, 1, 1 },
          { .6, 1, 2 },
          { .7, 2, 1 },
          { .9, 2, 2 } },
        { { .05, 1, 1 },
          { .25, 1, 1 },
          { .4, 1, 1 },
          { .25, 1, 2 },
          { .4, 1, 2 } },
    };
    return glass[make_of(j)][j->level];
}

static void device(struct job *j)
{
    enum { SOFT, MIXED, LOOK, BLUR };
    struct glass g = glass_of(j);
    size_t bytes = (size_t)j->n * j->values + DEVICE_SLACK;
    struct mohs_buffer *soft = job_buffer(j, SOFT, bytes);
    struct mohs_buffer *mixed = job_buffer(j, MIXED, bytes);
    uint32_t draws = 2 * j->pixels * (uint32_t)g.turns;
    struct mohs_buffer *look = job_buffer(j, LOOK, (size_t)j->n * draws);
    struct blur b = blur_open(j, BLUR, g.sigma, 3);
    blur_bytes(j, &b, j->in, soft);
    job_run(j, "glass_draw", strips_of(draws, 64), j->n, 1, BUF(look),
            BUF(j->keys), U64(j->seed), I32(g.delta), U32(draws));
    job_run(j, "glass_mix", j->height, j->n, 1, BUF(soft), BUF(mixed),
            BUF(look), U32(j->width), I32(g.delta), I32(g.turns));
    blur_bytes(j, &b, mixed, j->out);
}

static const struct corruption glass_blur_corruption = {
    .id = "glass_blur",
    .source = text,
    .source_bytes = sizeof text,
    .device = device,
    .reference = glass_blur_reference,
};
CORRUPTION_ITEM(glass_blur, MOHS_CORRUPTION_STOCHASTIC,
                "seen through frosted glass: near pixels mixed (ImageNet-C)");
CORRUPTION_PLUGIN("mohs.glass_blur", "Glass blur", &glass_blur_item)
