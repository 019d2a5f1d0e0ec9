/* SPDX-License-Identifier: MIT */
/*
 * Contrast towards the mean of each channel, HSV value and HSV saturation of
 * ImageNet-C. Kernels and references round differently by at most 1: whole
 * results are common here, and NumPy's doubles cut some of them one down.
 */
#include "config.h"

#include "colour.h"

static const unsigned char text[] = {
#include "strip.clh"
#include "bytes.clh"
#include "pixels.clh"
#include "colour.clh"
};

double contrast_factor(const struct job *j)
{
    static const double factor[3][5] = {
        { .4, .3, .2, .1, .05 },
        { .4, .3, .2, .1, .05 },
        { .75, .5, .4, .3, .15 },
    };
    return factor[make_of(j)][j->level];
}

double brightness_offset(const struct job *j)
{
    static const double offset[3][5] = {
        { .1, .2, .3, .4, .5 },
        { .1, .2, .3, .4, .5 },
        { .05, .1, .15, .2, .3 },
    };
    return offset[make_of(j)][j->level];
}

struct saturation saturate_constants(const struct job *j)
{
    static const struct saturation s[3][5] = {
        { { .3, 0 }, { .1, 0 }, { 2, 0 }, { 5, .1 }, { 20, .2 } },
        { { .3, 0 }, { .1, 0 }, { 2, 0 }, { 5, .1 }, { 30, .2 } },
        { { .3, 0 }, { .1, 0 }, { 1.5, 0 }, { 2, .1 }, { 2.5, .2 } },
    };
    return s[make_of(j)][j->level];
}

static void contrast_device(struct job *j)
{
    enum { LINES, MEAN };
    struct mohs_buffer *lines =
        job_buffer(j, LINES, (size_t)j->n * j->height * 3 * sizeof(uint32_t));
    struct mohs_buffer *mean = job_buffer(j, MEAN, j->n * 3 * sizeof(float));
    job_run(j, "contrast_lines", j->height, j->n, 1, BUF(j->in), BUF(lines),
            U32(j->row));
    job_run(j, "contrast_mean", 3, j->n, 1, BUF(lines), BUF(mean),
            U32(j->height), U32(j->pixels));
    job_run(j, "contrast_apply", strips_of(j->values, 48), j->n, 1, BUF(j->in),
            BUF(j->out), BUF(mean), F32((float)contrast_factor(j)),
            U32(j->values));
}

/* flat[v]: what the largest channel becomes where it is whole, v. */
static void brightness_device(struct job *j)
{
    enum { FLAT };
    if (!job_has(j, FLAT, j->level + 1)) {
        uint8_t flat[256];
        for (int v = 0; v < 256; v++)
            flat[v] = (uint8_t)v;
        for (int v = 0; v < 256; v++) {
            double x = v / 255.0 + brightness_offset(j), whole = rint(x * 255);
            if (whole < 256 && fabs(x * 255 - whole) < 1e-9)
                flat[(int)whole] = to_byte(x);
        }
        job_keep(j, FLAT, j->level + 1, flat, sizeof flat);
    }
    job_run(j, "brightness", strips_of(j->pixels, 16), j->n, 1, BUF(j->in),
            BUF(j->out), BUF(job_slot(j, FLAT)),
            F32((float)(255 * brightness_offset(j))), U32(j->pixels));
}

static void saturate_device(struct job *j)
{
    struct saturation s = saturate_constants(j);
    job_run(j, "saturate", strips_of(j->pixels, 16), j->n, 1, BUF(j->in),
            BUF(j->out), F32((float)s.scale), F32((float)s.offset),
            U32(j->pixels));
}

#define COLOUR(name)                                     \
    static const struct corruption name##_corruption = { \
        .id = #name,                                     \
        .source = text,                                  \
        .source_bytes = sizeof text,                     \
        .device = name##_device,                         \
        .reference = name##_reference,                   \
    }

COLOUR(contrast);
COLOUR(brightness);
COLOUR(saturate);
CORRUPTION_ITEM(contrast, 0,
                "less contrast, towards the mean of each channel (ImageNet-C)");
CORRUPTION_ITEM(brightness, 0, "brighter: HSV value (ImageNet-C)");
CORRUPTION_ITEM(saturate, 0,
                "less or more colour: HSV saturation (ImageNet-C, extra)");
CORRUPTION_PLUGIN("mohs.colour", "Colour", &contrast_item, &brightness_item,
                  &saturate_item)
