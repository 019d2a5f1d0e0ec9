/* SPDX-License-Identifier: MIT */
/*
 * Camera motion of the 3D common corruptions: the picture's pixels are
 * points in space by their depth, the camera passes 60 positions, what it
 * sees is the mean of the first 20, 30, 40, 50, 60 frames (xy: sideways) or
 * 20, 25, 30, 35, 38 (z: towards the scene).
 *
 * As in the generator, which is the 3D Ken Burns effect on given depth: focal
 * length 1 picture, the move measured at the nearest depth of the picture's
 * middle, the draws in pixels of a picture of 512 (here: of the longer side),
 * points on depth edges dropped, nearest depth first, holes of the grid
 * closed, points spread bilinearly, what opens up behind an edge filled along
 * 16 directions from the farther side, frames cut to bytes.
 *
 * Otherwise: the generator's network that paints what the camera did not see
 * is not here. What lies beyond a border is the picture mirrored, with its
 * depth, and a hole that no direction encloses takes the nearest seen pixel
 * along any of them, at last the picture's own. Positions are rounded to
 * 1/128 pixel, which makes sums exact and the bytes the same on every device
 * whose division is; another may move a point by that much: kernel and
 * reference differ by at most 1. Constant areas keep their value (the
 * generator's weights + 1e-7 cut one off).
 */
#include "config.h"

#include "motion_3d.h"

static const unsigned char text[] = {
#include "motion_3d.clh"
};

static int32_t draw(const struct job *j, uint32_t n, uint32_t index,
                    int32_t low, uint32_t count)
{
    return low + (int32_t)mohs_rng_below(j->seed, j->key[n], index, count);
}

/* Nearest depth of the picture without a quarter on each side. */
static double nearest(const struct job *j, const float *depth)
{
    uint32_t x0 = j->width / 4, y0 = j->height / 4;
    float least = INFINITY;
    for (uint32_t y = y0; y < j->height - y0; y++)
        for (uint32_t x = x0; x < j->width - x0; x++) {
            float d = depth[(size_t)y * j->width + x];
            least = d < least ? d : least;
        }
    return least;
}

static int32_t margin(double reach, uint32_t side)
{
    int32_t most = (int32_t)side - 1;
    int32_t m = reach > 0 ? (int32_t)fmin(ceil(reach) + 1, most) : 0;
    return m;
}

void motion_path(const struct job *j, uint32_t n, int along,
                 struct path *p)
{
    static const uint32_t xy[] = { 20, 30, 40, 50, 60 };
    static const uint32_t zoom[] = { 20, 25, 30, 35, 38 };
    const float *depth = j->depth + (size_t)n * j->pixels;
    double px = (j->width > j->height ? j->width : j->height) / 512.0;
    double u, v, crop = 1, least, most;
    if (along) {
        u = draw(j, n, 0, -30, 60);
        v = draw(j, n, 1, -30, 60);
        crop = 0.5 + 0.1 * mohs_rng_uniform(j->seed, j->key[n], 2);
    } else {
        u = mohs_rng_below(j->seed, j->key[n], 0, 2) ? draw(j, n, 1, -75, 25)
                                                     : draw(j, n, 1, 50, 25);
        v = draw(j, n, 2, -75, 150);
    }
    float near, far;
    depth_ends(j, n, &near, &far);
    least = nearest(j, depth) / near;
    most = least * px; // how far the nearest points move for one pixel's draw
    p->frames = (along ? zoom : xy)[j->level];
    for (uint32_t k = 0; k < p->frames; k++) {
        double t = k / (double)(FRAMES_MAX - 1), at = 1 - t * (1 - crop);
        p->view[k] = (struct view) { (float)(-u * t * px * least * at),
                                     (float)(-v * t * px * least * at),
                                     (float)(least * (at - 1)), 0 };
    }
    double part = (p->frames - 1) / (double)(FRAMES_MAX - 1);
    p->left = margin(-u * part * most, j->width);
    p->right = margin(u * part * most, j->width);
    p->top = margin(-v * part * most, j->height);
    p->bottom = margin(v * part * most, j->height);
}

void motion_depth(const struct job *j, uint32_t n, float *z)
{
    const float *d = j->depth + (size_t)n * j->pixels;
    int w = (int)j->width, h = (int)j->height;
    float near, far;
    depth_ends(j, n, &near, &far);
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++) {
            const float *row = d + (size_t)y * j->width;
            const float *up = d + (size_t)clamp_index(y - 1, h) * j->width;
            const float *down = d + (size_t)clamp_index(y + 1, h) * j->width;
            float edge = 4 * near / row[x] - near / up[x] - near / down[x] -
                         near / row[clamp_index(x - 1, w)] -
                         near / row[clamp_index(x + 1, w)];
            z[y * w + x] = fabsf(edge) < 0.03f ? row[x] / near : 0;
        }
}

/* ---- on the device ---- */

/* A work-item renders frames slot, slot + slots, ... of a picture alone, so
 * that nothing depends on the order of threads. */
static uint32_t slots_of(const struct job *j, uint32_t frames)
{
    enum { ROOM = 1 << 28, EACH = 44 };
    int gpu = j->api->device(j->self->host)->type == MOHS_DEVICE_GPU;
    uint64_t fit = ROOM / ((uint64_t)EACH * j->pixels * j->n);
    uint64_t want = gpu ? frames : 8;
    want = want < frames ? want : frames;
    return fit < 1 ? 1 : fit < want ? (uint32_t)fit : (uint32_t)want;
}

static void device(struct job *j, int along)
{
    enum { DEPTH, PATH, NEAR, SURFACE, SEEN, BEHIND, SUM };
    size_t pixels = (size_t)j->n * j->pixels;
    float *z = job_scratch(j, pixels, sizeof *z);
    struct path *p = job_scratch(j, j->n, sizeof *p);
    if (!z || !p)
        return;
    memset(p, 0, j->n * sizeof *p);
    for (uint32_t i = 0; i < j->n; i++) {
        motion_depth(j, i, z + (size_t)i * j->pixels);
        motion_path(j, i, along, &p[i]);
    }
    uint32_t slots = slots_of(j, p->frames);
    size_t cells = pixels * slots;
    struct mohs_buffer *depth = job_upload(j, DEPTH, z, pixels * sizeof *z);
    struct mohs_buffer *path = job_upload(j, PATH, p, j->n * sizeof *p);
    struct mohs_buffer *near = job_buffer(j, NEAR, cells * sizeof(float));
    struct mohs_buffer *face = job_buffer(j, SURFACE, cells * sizeof(float));
    struct mohs_buffer *seen = job_buffer(j, SEEN, cells * 4 * sizeof(float));
    struct mohs_buffer *behind = job_buffer(j, BEHIND, cells * sizeof(float));
    struct mohs_buffer *sum = job_buffer(j, SUM, cells * 3 * sizeof(uint32_t));
    job_run(j, "motion_frames", slots, j->n, 1, BUF(j->in), BUF(depth),
            BUF(path), BUF(near), BUF(face), BUF(seen), BUF(behind), BUF(sum),
            I32((int32_t)j->width), I32((int32_t)j->height));
    job_run(j, "motion_mean", j->height, j->n, 1, BUF(sum), BUF(j->out),
            U32(slots), U32(p->frames), U32(j->row));
}

static void xy_device(struct job *j)
{
    device(j, 0);
}

static void z_device(struct job *j)
{
    device(j, 1);
}

#define MOTION(name, device_)                            \
    static const struct corruption name##_corruption = { \
        .id = #name,                                     \
        .source = text,                                  \
        .source_bytes = sizeof text,                     \
        .needs_depth = 1,                                \
        .device = device_,                               \
        .reference = name##_reference,                   \
    }

MOTION(xy_motion_blur, xy_device);
MOTION(z_motion_blur, z_device);
CORRUPTION_ITEM_PLAIN(xy_motion_blur,
                      MOHS_CORRUPTION_STOCHASTIC | MOHS_CORRUPTION_DEPTH,
                      "the camera moves sideways (3D common corruptions)");
CORRUPTION_ITEM_PLAIN(z_motion_blur,
                      MOHS_CORRUPTION_STOCHASTIC | MOHS_CORRUPTION_DEPTH,
                      "the camera moves forward (3D common corruptions)");
CORRUPTION_PLUGIN("mohs.motion_3d", "Camera motion", &xy_motion_blur_item,
                  &z_motion_blur_item)
