/* SPDX-License-Identifier: MIT */
/*
 * Zoom blur of ImageNet-C: the mean of the picture and its clipped bilinear
 * zooms. One pass over the picture; kernel and reference round differently by
 * at most 1.
 */
#include "config.h"

#include "zoom_blur.h"

static const unsigned char text[] = {
#include "zoom_blur.clh"
};

int zoom_blur_zooms(const struct job *j, double zoom[ZOOMS_MAX])
{
    static const struct range {
        double stop, step;
    } range[2][5] = {
        { { 1.11, .01 },
          { 1.16, .01 },
          { 1.21, .02 },
          { 1.26, .02 },
          { 1.31, .03 } },
        { { 1.06, .01 },
          { 1.11, .01 },
          { 1.16, .01 },
          { 1.21, .01 },
          { 1.26, .01 } },
    };
    const struct range *r = &range[make_of(j) > 0][j->level];
    // as numpy.arange counts and steps
    int n = (int)ceil((r->stop - 1) / r->step);
    double step = (1 + r->step) - 1;
    for (int i = 0; i < n; i++)
        zoom[i] = 1 + i * step;
    return n;
}

static void taps_upload(struct job *j, int slot, const double *zoom, int n,
                        uint32_t size)
{
    size_t bytes = (size_t)n * size * sizeof(struct zoom_tap);
    struct zoom_tap *tap = job_scratch(j, (size_t)n * size, sizeof *tap);
    for (int k = 0; k < n && tap; k++) {
        struct zoom_side z = zoom_of((int)size, zoom[k], j->profile);
        for (uint32_t i = 0; i < size; i++)
            tap[(size_t)k * size + i] = zoom_tap(&z, z.trim + (int)i);
    }
    job_keep(j, slot, ((uint64_t)size << 8) + j->level + 1, tap, bytes);
}

/* What single precision makes of a flat area. */
static void flat_upload(struct job *j, int slot, int n)
{
    uint8_t flat[256];
    for (int v = 0; v < 256; v++) {
        float x = (float)(v / 255.0), sum = 0;
        for (int k = 0; k < n; k++)
            sum += x;
        x = (x + sum) / (float)(n + 1);
        x = (x > 1 ? 1 : x) * 255;
        flat[v] = (uint8_t)x;
    }
    job_keep(j, slot, j->level + 1, flat, sizeof flat);
}

static void device(struct job *j)
{
    enum { PACKED, ACROSS, DOWN, FLAT, SCRATCH, LINES = 8 };
    double zoom[ZOOMS_MAX];
    int n = zoom_blur_zooms(j, zoom);
    if (!job_has(j, ACROSS, ((uint64_t)j->width << 8) + j->level + 1))
        taps_upload(j, ACROSS, zoom, n, j->width);
    if (!job_has(j, DOWN, ((uint64_t)j->height << 8) + j->level + 1))
        taps_upload(j, DOWN, zoom, n, j->height);
    if (!job_has(j, FLAT, j->level + 1))
        flat_upload(j, FLAT, n);
    uint32_t pitch = (j->width * 4 + 31) / 16 * 16,
             strips = groups_of(j->height, LINES);
    struct mohs_buffer *packed =
        job_buffer(j, PACKED, (size_t)j->n * j->pixels * 4 + DEVICE_SLACK);
    struct mohs_buffer *scratch = job_buffer(
        j, SCRATCH, (size_t)j->n * strips * 2 * pitch * sizeof(float));
    job_run(j, "zoom_pack", (size_t)j->n * j->height, 1, 1, BUF(j->in),
            BUF(packed), U32(j->width));
    job_run(j, "zoom_blur", strips, j->n, 1, BUF(packed), BUF(j->out),
            BUF(job_slot(j, ACROSS)), BUF(job_slot(j, DOWN)),
            BUF(job_slot(j, FLAT)), BUF(scratch), U32(j->width), U32(j->height),
            U32(pitch), I32(LINES), I32(n));
}

static const struct corruption zoom_blur_corruption = {
    .id = "zoom_blur",
    .source = text,
    .source_bytes = sizeof text,
    .device = device,
    .reference = zoom_blur_reference,
};
CORRUPTION_ITEM(zoom_blur, 0,
                "moved towards the scene: mean of zooms (ImageNet-C)");
CORRUPTION_PLUGIN("mohs.zoom_blur", "Zoom blur", &zoom_blur_item)
