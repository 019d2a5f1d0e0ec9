/* SPDX-License-Identifier: MIT */
/*
 * Pixelate of ImageNet-C: Pillow's BOX filter down, then up by BOX (scripts)
 * or NEAREST (package). Pillow's arithmetic is integer: along lines first,
 * rounded to bytes, then down columns (Pillow 13 turns that around where the
 * height loses more than twice what the width does; differences are 1), so
 * kernel and reference agree exactly.
 */
#include "config.h"

#include "pixelate.h"

static const unsigned char text[] = {
#include "bytes.clh"
#include "pixelate.clh"
};

uint32_t pixelate_size(const struct job *j, uint32_t size)
{
    static const double factor[3][5] = {
        { .6, .5, .4, .3, .25 },
        { .9, .8, .7, .6, .5 },
        { .95, .9, .85, .75, .65 },
    };
    uint32_t small = (uint32_t)(size * factor[make_of(j)][j->level]);
    return small ? small : 1;
}

static int32_t box_row(double centre, double scale, double support,
                       uint32_t from, int32_t *first, int32_t *weight)
{
    double w[64], sum = 0;
    int low = (int)(centre - support + 0.5),
        high = (int)(centre + support + 0.5), n = 0;
    low = low < 0 ? 0 : low;
    high = high > (int)from ? (int)from : high;
    for (int x = low; x < high && n < 64; x++, n++) {
        double at = (x - centre + 0.5) / scale;
        sum += w[n] = at > -0.5 && at <= 0.5;
    }
    for (int k = 0; k < n; k++)
        weight[k] =
            (int32_t)(0.5 + (sum > 0 ? w[k] / sum : w[k]) * (1 << BOX_BITS));
    *first = low;
    return n;
}

struct box box_make(struct job *j, uint32_t from, uint32_t to)
{
    struct box b = { .from = from, .to = to };
    double scale = (double)from / to, filter = scale < 1 ? 1 : scale;
    b.most = (uint32_t)ceil(0.5 * filter) * 2 + 1;
    b.first = job_scratch(j, to, sizeof *b.first);
    b.count = job_scratch(j, to, sizeof *b.count);
    b.weight = job_scratch(j, (size_t)to * b.most, sizeof *b.weight);
    if (!b.weight || !b.count || !b.first)
        return (struct box) { 0 };
    memset(b.weight, 0, (size_t)to * b.most * sizeof *b.weight);
    for (uint32_t i = 0; i < to; i++)
        b.count[i] = box_row((i + 0.5) * scale, filter, 0.5 * filter, from,
                             b.first + i, b.weight + (size_t)i * b.most);
    return b;
}

/* Enlarging by BOX takes one pixel whole: the one whose weight is not 0. */
static int32_t box_pick(double centre, uint32_t from)
{
    int32_t first, weight[8];
    int32_t n = box_row(centre, 1, 0.5, from, &first, weight);
    for (int32_t k = 0; k < n; k++)
        if (weight[k])
            return first + k;
    return first;
}

void pixelate_grow(const struct job *j, uint32_t small, uint32_t size,
                   int32_t *at)
{
    double scale = (double)small / size, near = 0.5 * scale;
    // Pillow's NEAREST adds up its position
    for (uint32_t i = 0; i < size; i++, near += scale)
        at[i] = j->profile == IMAGECORRUPTIONS
                    ? clamp_index((int)near, (int)small)
                    : box_pick((i + 0.5) * scale, small);
}

static void box_upload(struct job *j, int slot, const struct box *b)
{
    if (!b->first)
        return;
    job_upload(j, slot, b->first, b->to * sizeof *b->first);
    job_upload(j, slot + 1, b->count, b->to * sizeof *b->count);
    job_upload(j, slot + 2, b->weight,
               (size_t)b->to * b->most * sizeof *b->weight);
}

static void grow_upload(struct job *j, int slot, uint32_t small, uint32_t size)
{
    int32_t *at = job_scratch(j, size, sizeof *at);
    if (!at)
        return;
    pixelate_grow(j, small, size, at);
    job_upload(j, slot, at, size * sizeof *at);
}

static void device(struct job *j)
{
    enum { ACROSS, DOWN = 3, GROW = 6, NARROW = 8, SMALL };
    uint32_t w = pixelate_size(j, j->width), h = pixelate_size(j, j->height);
    struct box across = box_make(j, j->width, w),
               down = box_make(j, j->height, h);
    box_upload(j, ACROSS, &across);
    box_upload(j, DOWN, &down);
    grow_upload(j, GROW, w, j->width);
    grow_upload(j, GROW + 1, h, j->height);
    struct mohs_buffer *narrow =
        job_buffer(j, NARROW, (size_t)j->n * j->height * w * 3 + DEVICE_SLACK);
    struct mohs_buffer *small = job_buffer(j, SMALL, (size_t)j->n * h * w * 3);
    job_run(j, "box_across", (size_t)j->n * j->height, 1, 1, BUF(j->in),
            BUF(narrow), BUF(job_slot(j, ACROSS)), BUF(job_slot(j, ACROSS + 1)),
            BUF(job_slot(j, ACROSS + 2)), U32(across.most), U32(j->row),
            U32(w));
    job_run(j, "box_down", h, j->n, 1, BUF(narrow), BUF(small),
            BUF(job_slot(j, DOWN)), BUF(job_slot(j, DOWN + 1)),
            BUF(job_slot(j, DOWN + 2)), U32(down.most), U32(j->height),
            U32(w * 3));
    job_run(j, "box_grow", j->height, j->n, 1, BUF(small), BUF(j->out),
            BUF(job_slot(j, GROW)), BUF(job_slot(j, GROW + 1)), U32(w), U32(h),
            U32(j->width));
}

static const struct corruption pixelate_corruption = {
    .id = "pixelate",
    .source = text,
    .source_bytes = sizeof text,
    .device = device,
    .reference = pixelate_reference,
};
CORRUPTION_ITEM(pixelate, 0, "large square pixels (ImageNet-C)");
CORRUPTION_PLUGIN("mohs.pixelate", "Pixelate", &pixelate_item)
