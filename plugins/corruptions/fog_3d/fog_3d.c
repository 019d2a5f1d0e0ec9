/* SPDX-License-Identifier: MIT */
/*
 * Fog of the 3D common corruptions: light is lost exponentially with depth d
 * in 0..1 (depth.h), t = exp(-alpha d), and air light, the picture's mean
 * value, takes its place: t x + (1 - t) mean(x). Kernel and reference differ
 * by at most 1.
 */
#include "config.h"

#include "../common/depth.h"

static const unsigned char text[] = {
#include "strip.clh"
#include "pixels.clh"
#include "keep.clh"
#include "fog_3d.clh"
};

/* What a picture's pixels share. */
struct air {
    float gain, cap, light;
};

static double alpha_of(const struct job *j)
{
    static const double alpha[] = { 4, 8, 12, 16, 20 };
    return alpha[j->level];
}

static struct air air_of(const struct job *j, uint32_t n)
{
    const uint8_t *in = j->rgb + (size_t)n * j->values;
    struct depth_range r = depth_range_of(j, n);
    uint64_t sum = 0;
    for (uint32_t i = 0; i < j->values; i++)
        sum += in[i];
    return (struct air) { r.gain, r.cap, (float)((double)sum / j->values) };
}

static void device(struct job *j)
{
    enum { DEPTH, AIR };
    struct air *air = job_scratch(j, j->n, sizeof *air);
    for (uint32_t i = 0; air && i < j->n; i++)
        air[i] = air_of(j, i);
    struct mohs_buffer *depth = depth_upload(j, DEPTH);
    struct mohs_buffer *b = job_upload(j, AIR, air, j->n * sizeof *air);
    job_run(j, "fog_3d", strips_of(j->pixels, 16), j->n, 1, BUF(j->in),
            BUF(j->out), BUF(depth), BUF(b), F32((float)alpha_of(j)),
            U32(j->pixels));
}

static void reference(struct job *j, uint32_t n, uint8_t *out)
{
    const uint8_t *in = j->rgb + (size_t)n * j->values;
    const float *depth = j->depth + (size_t)n * j->pixels;
    struct air a = air_of(j, n);
    struct depth_range r = { a.gain, a.cap };
    for (uint32_t i = 0; i < j->values; i++) {
        double t = exp(-alpha_of(j) * depth_of(r, depth[i / 3]));
        out[i] = keep_byte(t * in[i] + (1 - t) * a.light);
    }
}

static const struct corruption fog_3d_corruption = {
    .id = "fog_3d",
    .source = text,
    .source_bytes = sizeof text,
    .needs_depth = 1,
    .device = device,
    .reference = reference,
    .open = depth_open,
    .close = free,
};
static const struct mohs_param fog_3d_params[] = { DEPTH_PARAM_SCALE };
CORRUPTION_ITEM_OF(fog_3d, MOHS_CORRUPTION_DEPTH,
                   "fog that thickens with depth (3D common corruptions)",
                   fog_3d_params, struct depth_params);
CORRUPTION_PLUGIN("mohs.fog_3d", "Fog by depth", &fog_3d_item)
