/* SPDX-License-Identifier: MIT */
/*
 * Near and far focus of the 3D common corruptions. The depth's nine
 * quantiles q_k (k / 8) make nine layers, each the picture blurred by a
 * Gaussian of sigma A |q_k - q_f| / q_k, cut to an odd 3 sigma wide, the
 * border repeated. Near focus: f = 0, A = severity + 2; far focus: f = 7,
 * A = severity + 0.5. A pixel of depth d in q_k < d <= q_k+1 mixes these two
 * layers with weights 1 - t^2, t the distance to each in parts of the gap.
 *
 * The outer quantiles are moved out by 1e-4 as in the generator. Where that
 * leaves nothing above 1e-4 to divide by, 1e-4 is used, and sigma is at most
 * the picture's longer side. Kernel and reference differ by at most 1.
 */
#include "config.h"

#include "focus.h"

static const unsigned char text[] = {
#include "keep.clh"
#include "focus.clh"
};

static int by_value(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static void quantiles(struct job *j, const float *depth, struct focus *f)
{
    float *d = job_scratch(j, j->pixels, sizeof *d);
    if (!d)
        return;
    memcpy(d, depth, j->pixels * sizeof *d);
    qsort(d, j->pixels, sizeof *d, by_value);
    for (int k = 0; k < FOCUS_LAYERS; k++) {
        double at = k / 8.0 * (j->pixels - 1);
        uint32_t low = (uint32_t)at;
        uint32_t high = low + 1 < j->pixels ? low + 1 : low;
        f->value[k] = d[low] + (d[high] - d[low]) * (float)(at - low);
    }
    f->value[0] -= 1e-4f;
    f->value[FOCUS_LAYERS - 1] += 1e-4f;
}

void focus_plan(struct job *j, const float *depth, int far, struct focus *f)
{
    double most = j->width > j->height ? j->width : j->height;
    double aperture = j->level + 1 + (far ? 0.5 : 2);
    memset(f, 0, sizeof *f);
    quantiles(j, depth, f);
    for (int k = 0; k < FOCUS_LAYERS; k++) {
        double q = fmax(f->value[k], 1e-4), to = f->value[far ? 7 : 0];
        f->sigma[k] = fmin(aperture * fabs(q - to) / q, most);
        // below 0.1 the generator does not blur; a width of 1 is no blur
        f->reach[k] = f->sigma[k] < 0.1 ? 0 : (uint32_t)(f->sigma[k] * 3) / 2;
    }
}

void focus_weights(const struct focus *f, int layer, float *w)
{
    int reach = (int)f->reach[layer];
    double s = f->sigma[layer], sum = 0;
    for (int i = -reach; i <= reach; i++)
        sum += reach ? exp(-i * i / (2 * s * s)) : 1;
    for (int i = -reach; i <= reach; i++)
        w[i + reach] = (float)((reach ? exp(-i * i / (2 * s * s)) : 1) / sum);
}

static void picture(struct job *j, uint32_t n, int far, const float *from,
                    struct mohs_buffer *depth)
{
    enum { WEIGHT = 1, WORK, SUM };
    struct focus f;
    uint32_t pitch = groups_of(j->row, 16) * 16, taps = 0;
    focus_plan(j, from + (size_t)n * j->pixels, far, &f);
    for (int k = 0; k < FOCUS_LAYERS; k++)
        taps += 2 * f.reach[k] + 1;
    float *w = job_scratch(j, FOCUS_LAYERS + taps, sizeof *w);
    if (!w)
        return;
    memcpy(w, f.value, sizeof f.value);
    for (uint32_t k = 0, at = FOCUS_LAYERS; k < FOCUS_LAYERS;
         at += 2 * f.reach[k++] + 1)
        focus_weights(&f, (int)k, w + at);
    struct mohs_buffer *weight =
        job_upload(j, WEIGHT, w, (FOCUS_LAYERS + taps) * sizeof *w);
    struct mohs_buffer *work =
        job_buffer(j, WORK, ((size_t)pitch * j->height + 16) * sizeof *w);
    struct mohs_buffer *sum =
        job_buffer(j, SUM, ((size_t)j->values + 16) * sizeof *w);
    for (uint32_t k = 0, at = FOCUS_LAYERS; k < FOCUS_LAYERS;
         at += 2 * f.reach[k++] + 1) {
        job_run(j, "focus_columns", pitch / 16, j->height, 1, BUF(j->in),
                BUF(work), BUF(weight), U32(at), I32((int32_t)f.reach[k]),
                U32(j->row), I32((int32_t)j->height), U32(pitch), U32(n));
        job_run(j, "focus_rows", j->height, 1, 1, BUF(work), BUF(sum),
                BUF(weight), BUF(depth), U32(at), I32((int32_t)f.reach[k]), I32((int32_t)k),
                I32((int32_t)j->width), U32(pitch), U32(n));
    }
    job_run(j, "focus_store", j->height, 1, 1, BUF(sum), BUF(j->out),
            U32(j->row), U32(n));
}

static void device(struct job *j, int far)
{
    float *from = depth_all(j);
    struct mohs_buffer *depth = depth_upload(j, 0, from);
    for (uint32_t n = 0; n < j->n && j->st >= 0; n++)
        picture(j, n, far, from, depth);
}

static void near_device(struct job *j)
{
    device(j, 0);
}

static void far_device(struct job *j)
{
    device(j, 1);
}

#define FOCUS(name, device_)                             \
    static const struct corruption name##_corruption = { \
        .id = #name,                                     \
        .source = text,                                  \
        .source_bytes = sizeof text,                     \
        .needs_depth = 1,                                \
        .device = device_,                               \
        .reference = name##_reference,                   \
        .open = depth_open,                              \
        .close = free,                                   \
    }

FOCUS(near_focus, near_device);
FOCUS(far_focus, far_device);
static const struct mohs_param focus_params[] = { DEPTH_PARAM_SCALE(DEPTH_PICTURE) };
CORRUPTION_ITEM_OF(near_focus, MOHS_CORRUPTION_DEPTH,
                   "in focus nearby, blurred behind (3D common corruptions)",
                   focus_params, struct depth_params);
CORRUPTION_ITEM_OF(far_focus, MOHS_CORRUPTION_DEPTH,
                   "in focus far off, blurred nearby (3D common corruptions)",
                   focus_params, struct depth_params);
CORRUPTION_PLUGIN("mohs.focus", "Focus", &near_focus_item, &far_focus_item)
