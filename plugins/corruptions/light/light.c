/* SPDX-License-Identifier: MIT */
/*
 * Light of the 3D common corruptions.
 *
 * flash: x (1 + r / c). The generator takes r from a network's reshading
 * image: what a single light at the camera makes of a white scene. Here it is
 * drawn from the depth map: |cos| of the angle between surface and view,
 * times (nearest / depth)^falloff, normals from central differences, a
 * pinhole camera whose focal length is the longer side. 1 is the default:
 * between no falloff, which hides the scene, and a bare bulb's 2.
 *
 * low_light: c ((x - min) / (max - min))^2, then the sensor's noise; a
 * picture of one value becomes black. iso_noise: the noise of a sensor at a
 * high ISO number. Values are cut to bytes once, at the end.
 *
 * Photon counts are integers and the same everywhere; the rest of kernel and
 * reference differs by float rounding, so bytes differ by at most 1.
 */
#include "config.h"

#include "light.h"

static const unsigned char text[] = {
#include "strip.clh"
#include "philox.clh"
#include "light.clh"
};

double flash_gain(const struct job *j)
{
    static const double c[] = { 2.4, 1.4, .9, .6, .4 };
    return 1 / c[j->level];
}

struct sensor iso_noise_sensor(const struct job *j)
{
    static const double c[] = { .08, .12, .18, .26, .38 };
    return (struct sensor) { 25, (float)(0.7 * c[j->level]) };
}

struct sensor low_light_sensor(const struct job *j)
{
    (void)j; // severity 3 of the noise at every severity
    return (struct sensor) { RATE_MAX, (float)(0.1 * .18) };
}

/* ---- tables ---- */

/* By inversion: draw d of 2^32 has count k when F(k - 1) <= d / 2^32 < F(k).
 * mean is at most 72, so that exp(-mean) is far from underflow. */
static void poisson_row(double mean, uint32_t rate, uint32_t *last)
{
    double p = exp(-mean), sum = 0;
    for (uint32_t k = 0; k < rate; k++) {
        sum += p;
        p *= mean / (k + 1);
        double d = ceil(sum * 4294967296.0) - 1;
        last[k] = d < 0 ? 0 : d > 4294967295.0 ? UINT32_MAX : (uint32_t)d;
    }
}

void iso_noise_table(const struct job *j, uint32_t *last)
{
    uint32_t rate = iso_noise_sensor(j).rate;
    for (uint32_t x = 0; x < 256; x++)
        poisson_row(x / 255.0 * rate, rate, last + (size_t)x * rate);
}

void low_light_table(const struct job *j, uint8_t low, uint8_t high,
                     uint32_t *last)
{
    static const double c[] = { .6, .5, .4, .3, .2 };
    uint32_t rate = low_light_sensor(j).rate;
    for (uint32_t x = 0; x < 256; x++) {
        uint32_t in = x < low ? low : x > high ? high : x;
        double part = high > low ? (in - low) / (double)(high - low) : 0;
        poisson_row(c[j->level] * part * part * rate, rate,
                    last + (size_t)x * rate);
    }
}

void value_range(const struct job *j, uint32_t n, uint8_t *low, uint8_t *high)
{
    const uint8_t *in = j->rgb + (size_t)n * j->values;
    *low = *high = in[0];
    for (uint32_t i = 1; i < j->values; i++) {
        *low = in[i] < *low ? in[i] : *low;
        *high = in[i] > *high ? in[i] : *high;
    }
}

/* ---- on the device ---- */

enum { SLOT_LAST, SLOT_WHICH, SLOT_DEPTH, SLOT_NEAR };

static void noise(struct job *j, struct sensor s)
{
    job_run(j, "light_noise", strips_of(j->values, 64), j->n, 1, BUF(j->in),
            BUF(j->out), BUF(j->keys), U64(photon_seed(j->seed)),
            U64(electron_seed(j->seed)), BUF(job_slot(j, SLOT_LAST)),
            BUF(job_slot(j, SLOT_WHICH)), U32(s.rate), F32(s.sigma),
            U32(j->values));
}

static void iso_noise_device(struct job *j)
{
    struct sensor s = iso_noise_sensor(j);
    uint32_t *which = job_scratch(j, j->n, sizeof *which);
    uint32_t last[256 * 25];
    if (!which)
        return;
    memset(which, 0, j->n * sizeof *which);
    if (!job_has(j, SLOT_LAST, s.rate)) {
        iso_noise_table(j, last);
        job_keep(j, SLOT_LAST, s.rate, last, sizeof last);
    }
    job_upload(j, SLOT_WHICH, which, j->n * sizeof *which);
    noise(j, s);
}

/* Pictures of the same range share a table. */
static void low_light_device(struct job *j)
{
    struct sensor s = low_light_sensor(j);
    size_t each = (size_t)256 * s.rate;
    uint32_t *which = job_scratch(j, j->n, sizeof *which), n = 0;
    uint8_t(*range)[2] = job_scratch(j, j->n, sizeof *range);
    for (uint32_t i = 0; range && which && i < j->n; i++) {
        uint8_t low, high;
        value_range(j, i, &low, &high);
        for (which[i] = 0; which[i] < n; which[i]++)
            if (range[which[i]][0] == low && range[which[i]][1] == high)
                break;
        range[which[i]][0] = low;
        range[which[i]][1] = high;
        n += which[i] == n;
    }
    uint32_t *last = job_scratch(j, n * each, sizeof *last);
    for (uint32_t i = 0; last && i < n; i++)
        low_light_table(j, range[i][0], range[i][1], last + i * each);
    job_upload(j, SLOT_LAST, last, n * each * sizeof *last);
    job_upload(j, SLOT_WHICH, which, j->n * sizeof *which);
    noise(j, s);
}

static void flash_device(struct job *j)
{
    const struct flash_params *p = j->self->own;
    float *near = job_scratch(j, j->n, sizeof *near), far;
    for (uint32_t i = 0; near && i < j->n; i++)
        depth_ends(j, i, &near[i], &far);
    struct mohs_buffer *depth = depth_upload(j, SLOT_DEPTH, j->depth);
    struct mohs_buffer *b = job_upload(j, SLOT_NEAR, near,
                                       j->n * sizeof *near);
    job_run(j, "light_flash", j->height, j->n, 1, BUF(j->in), BUF(j->out),
            BUF(depth), BUF(b), F32((float)flash_gain(j)),
            F32(p->falloff), I32((int32_t)j->width),
            I32((int32_t)j->height));
}

/* ---- items ---- */

static mohs_status flash_open(struct corruption_self *s, const void *params,
                              struct mohs_error *err)
{
    return own_params(s, params, sizeof(struct flash_params), err);
}

static const struct corruption flash_corruption = {
    .id = "flash",
    .source = text,
    .source_bytes = sizeof text,
    .needs_depth = 1,
    .device = flash_device,
    .reference = flash_reference,
    .open = flash_open,
    .close = free,
};
static const struct corruption low_light_corruption = {
    .id = "low_light",
    .source = text,
    .source_bytes = sizeof text,
    .device = low_light_device,
    .reference = low_light_reference,
};
static const struct corruption iso_noise_corruption = {
    .id = "iso_noise",
    .source = text,
    .source_bytes = sizeof text,
    .device = iso_noise_device,
    .reference = iso_noise_reference,
};
static const struct mohs_param flash_params[] = {
    { "falloff", "how light fades: with 1 / depth^falloff", MOHS_P_FLOAT,
      offsetof(struct flash_params, falloff), 1, 0, 4, NULL, NULL },
};
CORRUPTION_ITEM_OF(flash, MOHS_CORRUPTION_DEPTH,
                   "a flash at the camera (3D common corruptions)",
                   flash_params, struct flash_params);
CORRUPTION_ITEM_PLAIN(low_light, MOHS_CORRUPTION_STOCHASTIC,
                      "few photons (3D common corruptions)");
CORRUPTION_ITEM_PLAIN(iso_noise, MOHS_CORRUPTION_STOCHASTIC,
                      "a sensor at a high ISO number (3D common corruptions)");
CORRUPTION_PLUGIN("mohs.light", "Light", &flash_item, &low_light_item,
                  &iso_noise_item)
