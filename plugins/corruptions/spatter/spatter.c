/* SPDX-License-Identifier: MIT */
/*
 * Spatter of ImageNet-C: drops of water (severities 1 to 3) or mud (4, 5)
 * where a smooth random field is high. Water follows OpenCV step by step:
 * Canny edges of the drops, distance to them, box filter, histogram
 * equalisation, a slanting filter, box filter. The edges' hysteresis and the
 * distances are sequential: one work-item a picture. Kernel and reference
 * differ by 1, except where a value of the field is a threshold up to
 * rounding: then a drop may have another rim.
 */
#include "config.h"

#include "spatter.h"

static const unsigned char text[] = {
#include "bytes.clh"
#include "strip.clh"
#include "philox.clh"
#include "pixels.clh"
#include "separable.clh"
#include "spatter.clh"
};

struct spatter spatter_of(const struct job *j)
{
    static const struct spatter spatter[3][5] = {
        { { .65, .3, 4, .69, .6, 0 },
          { .65, .3, 3, .68, .6, 0 },
          { .65, .3, 2, .68, .5, 0 },
          { .65, .3, 1, .65, 1.5, 1 },
          { .67, .4, 1, .65, 1.5, 1 } },
        { { .62, .1, .7, .7, .6, 0 },
          { .65, .1, .8, .7, .6, 0 },
          { .65, .3, 1, .69, .6, 0 },
          { .65, .1, .7, .68, .6, 1 },
          { .65, .1, .5, .67, .6, 1 } },
        { { .62, .1, .7, .7, .5, 0 },
          { .65, .1, .8, .7, .5, 0 },
          { .65, .3, 1, .69, .5, 0 },
          { .65, .1, .7, .69, .6, 1 },
          { .65, .1, .5, .68, .6, 1 } },
    };
    return spatter[make_of(j)][j->level];
}

enum { FIELD, BLUR, BLUR2 = 4, DROPS = 7, EDGES, DISTANCE, LOOK, TABLE, SLOPE };

static void mud(struct job *j, const struct spatter *c,
                struct mohs_buffer *field)
{
    struct blur b = blur_open(j, BLUR2, c->weight, 1);
    uint32_t pixels = j->n * j->pixels;
    job_run(j, "spatter_mask", strips_of(pixels, 16), 1, 1, BUF(field),
            F32((float)c->loc), F32((float)c->scale), F32((float)c->threshold),
            U32(pixels));
    blur_floats(j, &b, field, field);
    job_run(j, "spatter_mud", strips_of(pixels, 16), 1, 1, BUF(j->in),
            BUF(j->out), BUF(field), U32(pixels));
}

static void water(struct job *j, const struct spatter *c,
                  struct mohs_buffer *field)
{
    uint32_t pixels = j->n * j->pixels, w = j->width, h = j->height;
    struct mohs_buffer *drops = job_buffer(j, DROPS, pixels);
    struct mohs_buffer *edges = job_buffer(j, EDGES, pixels);
    struct mohs_buffer *slope = job_buffer(j, SLOPE, pixels * sizeof(int32_t));
    struct mohs_buffer *look = job_buffer(j, LOOK, pixels);
    struct mohs_buffer *table = job_buffer(j, TABLE, (size_t)j->n * 256 + 4);
    struct mohs_buffer *distance = job_buffer(
        j, DISTANCE, (size_t)j->n * (w + 4) * (h + 4) * sizeof(int32_t));
    job_run(j, "spatter_drops", strips_of(pixels, 16), 1, 1, BUF(field),
            BUF(drops), F32((float)c->loc), F32((float)c->scale),
            F32((float)c->threshold), U32(pixels));
    job_run(j, "spatter_slope", h, j->n, 1, BUF(drops), BUF(slope), U32(w));
    job_run(j, "spatter_edges", h, j->n, 1, BUF(slope), BUF(edges), U32(w));
    // the stack of edge pixels lies where the slopes were
    job_run(j, "spatter_follow", j->n, 1, 1, BUF(edges), BUF(slope), U32(w),
            U32(h));
    job_run(j, "spatter_distance", j->n, 1, 1, BUF(edges), BUF(distance),
            U32(w), U32(h));
    job_run(j, "spatter_soften", h, j->n, 1, BUF(distance), BUF(look), U32(w));
    job_run(j, "spatter_equalise", j->n, 1, 1, BUF(look), BUF(table),
            U32(j->pixels));
    job_run(j, "spatter_slant", h, j->n, 1, BUF(look), BUF(table), BUF(edges),
            U32(w));
    job_run(j, "spatter_weigh", h, j->n, 1, BUF(edges), BUF(drops), BUF(field),
            U32(w));
    job_run(j, "spatter_most", j->n, 1, 1, BUF(field), BUF(slope),
            U32(j->pixels));
    job_run(j, "spatter_water", strips_of(j->pixels, 16), j->n, 1, BUF(j->in),
            BUF(j->out), BUF(field), BUF(slope), F32((float)c->weight),
            U32(j->pixels));
}

static void device(struct job *j)
{
    struct spatter c = spatter_of(j);
    size_t bytes = ((size_t)j->n * j->pixels + 16) * sizeof(float);
    struct mohs_buffer *field = job_buffer(j, FIELD, bytes);
    struct blur b = blur_open(j, BLUR, c.sigma, 1);
    job_run(j, "field_normal", strips_of(j->pixels, 32), j->n, 1, BUF(field),
            BUF(j->keys), U64(j->seed), U32(j->pixels));
    blur_floats(j, &b, field, field);
    if (c.mud)
        mud(j, &c, field);
    else
        water(j, &c, field);
}

static const struct corruption spatter_corruption = {
    .id = "spatter",
    .source = text,
    .source_bytes = sizeof text,
    .device = device,
    .reference = spatter_reference,
};
CORRUPTION_ITEM(spatter, MOHS_CORRUPTION_STOCHASTIC,
                "drops of water or mud on the lens (ImageNet-C, extra)");
CORRUPTION_PLUGIN("mohs.spatter", "Spatter", &spatter_item)
