/* SPDX-License-Identifier: MIT */
/*
 * Motion blur of ImageNet-C at an angle of -45 to 45 degrees. Both
 * ImageMagick 6, by its way from 16 bits to 8, and the package cut their
 * results. Kernel and reference round differently by at most 1.
 */
#include "config.h"

#include "../common/pad.h"
#include "motion_blur.h"

static const unsigned char text[] = {
#include "bytes.clh"
#include "pad.clh"
#include "motion_blur.clh"
};

static const struct shake {
    int radius;
    double sigma;
} shakes[3][5] = {
    { { 10, 3 }, { 15, 5 }, { 15, 8 }, { 15, 12 }, { 20, 15 } },
    { { 10, 1 }, { 10, 1.5 }, { 10, 2 }, { 10, 2.5 }, { 12, 3 } },
    { { 6, 1 }, { 6, 1.5 }, { 6, 2 }, { 8, 2 }, { 9, 2.5 } },
};

void motion_blur_taps(const struct job *j, uint32_t i, struct motion *m)
{
    const struct shake *s = &shakes[make_of(j)][j->level];
    motion_make(m, s->radius, s->sigma, motion_angle(j, i, -45), (int)j->width,
                (int)j->height, j->profile == IMAGECORRUPTIONS);
}

/* What a flat area of each value becomes. */
static void upload_flat(struct job *j, int slot)
{
    struct motion m;
    uint8_t flat[256];
    motion_blur_taps(j, 0, &m);
    for (int v = 0; v < 256; v++) {
        double s = 0;
        for (int i = 0; i < m.width; i++)
            s += m.weight[i] * v;
        // in 16 bits ImageMagick rounds, so flat areas stay
        flat[v] =
            j->profile == IMAGECORRUPTIONS ? (uint8_t)fmin(s, 255) : (uint8_t)v;
    }
    job_keep(j, slot, j->level + 1, flat, sizeof flat);
}

static void device(struct job *j)
{
    enum { WORK, STEPS, WEIGHT, FLAT };
    int32_t *step = job_scratch(j, (size_t)j->n * MOTION_MAX, sizeof *step);
    float *weight = job_scratch(j, (size_t)j->n * MOTION_MAX, sizeof *weight);
    if (!weight)
        return;
    uint32_t reach = 2 * (uint32_t)shakes[make_of(j)][j->level].radius;
    struct padded p =
        pad_pictures(j, WORK, j->in, j->width, j->height, 3, reach, reach, 0);
    memset(weight, 0, (size_t)j->n * MOTION_MAX * sizeof *weight);
    for (uint32_t i = 0; i < j->n; i++) {
        struct motion m;
        motion_blur_taps(j, i, &m);
        for (int k = 0; k < MOTION_MAX; k++) {
            int at = k < m.n ? k : 0;
            step[i * MOTION_MAX + (uint32_t)k] =
                m.dy[at] * (int32_t)p.pitch + 3 * m.dx[at];
            weight[i * MOTION_MAX + (uint32_t)k] =
                k < m.n ? (float)m.weight[k] : 0;
        }
    }
    if (!job_has(j, FLAT, j->level + 1))
        upload_flat(j, FLAT);
    size_t bytes = (size_t)j->n * MOTION_MAX * sizeof(float);
    struct mohs_buffer *steps = job_upload(j, STEPS, step, bytes);
    struct mohs_buffer *weights = job_upload(j, WEIGHT, weight, bytes);
    job_run(j, "motion_blur", j->height, j->n, 1, BUF(p.bytes), BUF(j->out),
            BUF(steps), BUF(weights), BUF(job_slot(j, FLAT)), U32(reach + 1),
            U32(MOTION_MAX), U32(j->row), U32(p.pitch), U32(p.height));
}

static const struct corruption motion_blur_corruption = {
    .id = "motion_blur",
    .source = text,
    .source_bytes = sizeof text,
    .device = device,
    .reference = motion_blur_reference,
};
CORRUPTION_ITEM(motion_blur, MOHS_CORRUPTION_STOCHASTIC,
                "camera moved along a line (ImageNet-C)");
CORRUPTION_PLUGIN("mohs.motion_blur", "Motion blur", &motion_blur_item)
