/* SPDX-License-Identifier: MIT */
/*
 * Snow of ImageNet-C: a field of normal draws enlarged, cut off below a
 * threshold and blurred along the fall, added to a whitened picture together
 * with itself turned by 180 degrees. Kernel and reference differ by at most 1,
 * except for the flake whose value is the threshold up to rounding.
 */
#include "config.h"

#include "snow.h"

static const unsigned char text[] = {
#include "strip.clh"
#include "philox.clh"
#include "bytes.clh"
#include "pixels.clh"
#include "snow.clh"
};

struct snow snow_of(const struct job *j)
{
    static const struct snow snow[3][5] = {
        { { .1, .3, 3, .5, 10, 4, .8 },
          { .2, .3, 2, .5, 12, 4, .7 },
          { .55, .3, 4, .9, 12, 8, .7 },
          { .55, .3, 4.5, .85, 12, 8, .65 },
          { .55, .3, 2.5, .85, 12, 12, .55 } },
        { { .1, .2, 1, .6, 8, 3, .8 },
          { .1, .2, 1, .5, 10, 4, .8 },
          { .15, .3, 1.75, .55, 10, 4, .7 },
          { .25, .3, 2.25, .6, 12, 6, .65 },
          { .3, .3, 1.25, .65, 14, 12, .6 } },
        { { .1, .2, 1, .6, 8, 3, .95 },
          { .1, .2, 1, .5, 10, 4, .9 },
          { .15, .3, 1.75, .55, 10, 4, .9 },
          { .25, .3, 2.25, .6, 12, 6, .85 },
          { .3, .3, 1.25, .65, 14, 12, .8 } },
    };
    return snow[make_of(j)][j->level];
}

struct snow_layer snow_layer_of(const struct job *j)
{
    struct snow c = snow_of(j);
    int w = (int)j->width, h = (int)j->height;
    struct snow_layer l = { zoom_of(w, c.zoom, j->profile),
                            zoom_of(h, c.zoom, j->profile), w, h };
    if (j->profile == IMAGECORRUPTIONS) {
        l.width = l.zx.size;
        l.height = l.zy.size;
    }
    return l;
}

void snow_taps(const struct job *j, uint32_t i, struct motion *m)
{
    struct snow c = snow_of(j);
    struct snow_layer l = snow_layer_of(j);
    motion_make(m, c.radius, c.sigma, motion_angle(j, i, -135), l.width,
                l.height, j->profile == IMAGECORRUPTIONS);
}

static void zoom_upload(struct job *j, int slot, const struct zoom_side *z,
                        int size)
{
    struct zoom_tap *tap = job_scratch(j, (size_t)size, sizeof *tap);
    for (int i = 0; i < size && tap; i++)
        tap[i] = zoom_tap(z, z->trim + i);
    job_upload(j, slot, tap, (size_t)size * sizeof *tap);
}

static void motion_upload(struct job *j, int steps, int weights)
{
    size_t n = (size_t)j->n * MOTION_MAX;
    int32_t *step = job_scratch(j, n, 2 * sizeof *step);
    float *weight = job_scratch(j, n, sizeof *weight);
    if (!weight)
        return;
    for (uint32_t i = 0; i < j->n; i++) {
        struct motion m;
        snow_taps(j, i, &m);
        for (int k = 0; k < MOTION_MAX; k++) {
            size_t at = (size_t)i * MOTION_MAX + (size_t)k;
            step[2 * at] = k < m.n ? m.dx[k] : 0;
            step[2 * at + 1] = k < m.n ? m.dy[k] : 0;
            weight[at] = k < m.n ? (float)m.weight[k] : 0;
        }
    }
    job_upload(j, steps, step, n * 2 * sizeof *step);
    job_upload(j, weights, weight, n * sizeof *weight);
}

static void device(struct job *j)
{
    enum { FIELD, LAYER, FLAKES, ACROSS, DOWN, STEPS, WEIGHTS };
    struct snow c = snow_of(j);
    struct snow_layer l = snow_layer_of(j);
    uint32_t w = (uint32_t)l.width, h = (uint32_t)l.height;
    size_t pixels = (size_t)j->n * j->pixels;
    struct mohs_buffer *field = job_buffer(j, FIELD, pixels * sizeof(float));
    struct mohs_buffer *layer = job_buffer(
        j, LAYER, (size_t)j->n * w * h * sizeof(float) + DEVICE_SLACK);
    struct mohs_buffer *flakes = job_buffer(j, FLAKES, pixels + DEVICE_SLACK);
    int scripts = j->profile != IMAGECORRUPTIONS;
    zoom_upload(j, ACROSS, &l.zx, l.width);
    zoom_upload(j, DOWN, &l.zy, l.height);
    motion_upload(j, STEPS, WEIGHTS);
    job_run(j, "field_normal", strips_of(j->pixels, 32), j->n, 1, BUF(field),
            BUF(j->keys), U64(mohs_rng_fork(j->seed, SNOW_FIELD)),
            U32(j->pixels));
    job_run(j, "snow_layer", h, j->n, 1, BUF(field), BUF(layer),
            BUF(job_slot(j, ACROSS)), BUF(job_slot(j, DOWN)), U32(j->width),
            U32(j->height), U32(w), F32((float)c.loc), F32((float)c.scale),
            F32((float)c.threshold), I32(scripts));
    job_run(j, "snow_fall", j->height, j->n, 1, BUF(layer), BUF(flakes),
            BUF(job_slot(j, STEPS)), BUF(job_slot(j, WEIGHTS)),
            I32(2 * c.radius + 1), I32(MOTION_MAX), U32(w), U32(h),
            U32(j->width), F32(scripts ? 0.5f / 257 : 0.5f));
    job_run(j, "snow_blend", strips_of(j->pixels, 16), j->n, 1, BUF(j->in),
            BUF(j->out), BUF(flakes), F32((float)c.keep), U32(j->pixels));
}

static const struct corruption snow_corruption = {
    .id = "snow",
    .source = text,
    .source_bytes = sizeof text,
    .device = device,
    .reference = snow_reference,
};
CORRUPTION_ITEM(snow, MOHS_CORRUPTION_STOCHASTIC, "falling snow (ImageNet-C)");
CORRUPTION_PLUGIN("mohs.snow", "Snow", &snow_item)
