/* SPDX-License-Identifier: MIT */
/*
 * Fog of ImageNet-C: a plasma made by the diamond-square algorithm on a torus
 * is added, and all scaled back to the picture's maximum. The draw of a map
 * cell is its index. Kernel and reference differ by at most 1.
 */
#include "config.h"

#include "fog.h"

static const unsigned char text[] = {
#include "strip.clh"
#include "philox.clh"
#include "pixels.clh"
#include "fog.clh"
};

struct fog fog_of(const struct job *j)
{
    static const struct fog fog[3][5] = {
        { { 1.5, 2 }, { 2, 2 }, { 2.5, 1.7 }, { 2.5, 1.5 }, { 3, 1.4 } },
        { { .4, 3 }, { .7, 3 }, { 1, 2.5 }, { 1.5, 2 }, { 2, 1.75 } },
        { { .2, 3 }, { .5, 3 }, { .75, 2.5 }, { 1, 2 }, { 1.5, 1.75 } },
    };
    return fog[make_of(j)][j->level];
}

uint32_t fog_side(const struct job *j)
{
    // the package counts the three channels as a side
    static const uint32_t least[N_PROFILES] = { 256, 4, 64, 32 };
    uint32_t side = least[j->profile];
    while (side < j->width || side < j->height)
        side *= 2;
    return side;
}

static void device(struct job *j)
{
    enum { FIELD, MAP, RANGE };
    struct fog c = fog_of(j);
    uint32_t side = fog_side(j), cells = side * side;
    double wibble = 100;
    size_t bytes = (size_t)j->n * cells * sizeof(float) + DEVICE_SLACK;
    struct mohs_buffer *field = job_buffer(j, FIELD, bytes);
    struct mohs_buffer *map = job_buffer(j, MAP, bytes);
    struct mohs_buffer *range = job_buffer(j, RANGE, j->n * 3 * sizeof(float));
    job_run(j, "field_uniform", strips_of(cells, 64), j->n, 1, BUF(field),
            BUF(j->keys), U64(j->seed), U32(cells));
    for (uint32_t step = side; step >= 2; step /= 2, wibble /= c.decay) {
        struct mohs_arg add = F32((float)(wibble * wibble));
        job_run(j, "fog_squares", side / step, j->n, 1, BUF(field), BUF(map),
                U32(side), U32(step), add);
        job_run(j, "fog_diamonds", side / step, j->n, 1, BUF(field), BUF(map),
                U32(side), U32(step), add);
    }
    job_run(j, "fog_range", j->n, 1, 1, BUF(map), BUF(j->in), BUF(range),
            U32(cells), U32(j->values));
    job_run(j, "fog_blend", j->height, j->n, 1, BUF(j->in), BUF(j->out),
            BUF(map), BUF(range), F32((float)c.density), U32(j->width),
            U32(side));
}

static const struct corruption fog_corruption = {
    .id = "fog",
    .source = text,
    .source_bytes = sizeof text,
    .device = device,
    .reference = fog_reference,
};
CORRUPTION_ITEM(fog, MOHS_CORRUPTION_STOCHASTIC,
                "fog: a plasma cloud (ImageNet-C)");
CORRUPTION_PLUGIN("mohs.fog", "Fog", &fog_item)
