/* SPDX-License-Identifier: MIT */
/*
 * Fog of the 3D common corruptions: light is lost exponentially with depth d
 * in 0..1 (depth.h), t = exp(-alpha d), and air light, the picture's mean
 * value, takes its place: t x + (1 - t) mean(x). Fog needs depth with a scale,
 * so ImageNet's, which a map in any unit can have, is the default. Kernel and
 * reference differ by at most 1.
 */
#include "config.h"

#include "../common/depth.h"

static const unsigned char text[] = {
#include "strip.clh"
#include "pixels.clh"
#include "keep.clh"
#include "fog_3d.clh"
};

static double alpha_of(const struct job *j)
{
    static const double alpha[] = { 4, 8, 12, 16, 20 };
    return alpha[j->level];
}

static float air_of(const struct job *j, uint32_t n)
{
    const uint8_t *in = j->rgb + (size_t)n * j->values;
    uint64_t sum = 0;
    for (uint32_t i = 0; i < j->values; i++)
        sum += in[i];
    return (float)((double)sum / j->values);
}

static void device(struct job *j)
{
    enum { DEPTH, AIR };
    float *air = job_scratch(j, j->n, sizeof *air), *depth = depth_all(j);
    for (uint32_t i = 0; air && i < j->n; i++)
        air[i] = air_of(j, i);
    struct mohs_buffer *d = depth_upload(j, DEPTH, depth);
    struct mohs_buffer *b = job_upload(j, AIR, air, j->n * sizeof *air);
    job_run(j, "fog_3d", strips_of(j->pixels, 16), j->n, 1, BUF(j->in),
            BUF(j->out), BUF(d), BUF(b), F32((float)alpha_of(j)),
            U32(j->pixels));
}

static void reference(struct job *j, uint32_t n, uint8_t *out)
{
    const uint8_t *in = j->rgb + (size_t)n * j->values;
    float *depth = job_scratch(j, j->pixels, sizeof *depth);
    double air = air_of(j, n);
    if (!depth)
        return;
    depth_make(j, n, depth);
    for (uint32_t i = 0; i < j->values; i++) {
        double t = exp(-alpha_of(j) * depth[i / 3]);
        out[i] = keep_byte(t * in[i] + (1 - t) * air);
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
static const struct mohs_param fog_3d_params[] = { DEPTH_PARAM_SCALE(DEPTH_MIDAS) };
CORRUPTION_ITEM_OF(fog_3d, MOHS_CORRUPTION_DEPTH,
                   "fog that thickens with depth (3D common corruptions)",
                   fog_3d_params, struct depth_params);
CORRUPTION_PLUGIN("mohs.fog_3d", "Fog by depth", &fog_3d_item)
