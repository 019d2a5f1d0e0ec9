/* SPDX-License-Identifier: MIT */
/* Light in plain C and double precision. */
#include "config.h"

#include "light.h"

/* ---- flash ---- */

struct point {
    double x, y, z;
};

struct scene {
    const float *depth;
    double near, focal;
    int w, h;
};

/* In units of the nearest depth. */
static struct point point_of(const struct scene *s, int x, int y)
{
    x = clamp_index(x, s->w);
    y = clamp_index(y, s->h);
    double d = s->depth[(size_t)y * (size_t)s->w + (size_t)x] / s->near;
    return (struct point) { d * (x - (s->w - 1) / 2.0) / s->focal,
                            d * (y - (s->h - 1) / 2.0) / s->focal, d };
}

static struct point less(struct point a, struct point b)
{
    return (struct point) { a.x - b.x, a.y - b.y, a.z - b.z };
}

static double dot(struct point a, struct point b)
{
    return a.x * b.x + a.y * b.y + a.z * b.z;
}

static double shade(const struct scene *s, int x, int y, double falloff)
{
    struct point p = point_of(s, x, y);
    struct point a = less(point_of(s, x + 1, y), point_of(s, x - 1, y));
    struct point b = less(point_of(s, x, y + 1), point_of(s, x, y - 1));
    struct point n = { a.y * b.z - a.z * b.y, a.z * b.x - a.x * b.z,
                       a.x * b.y - a.y * b.x };
    double length = sqrt(dot(n, n)) * sqrt(dot(p, p));
    double facing = length > 0 ? fabs(dot(n, p)) / length : 1;
    return facing * pow(p.z, -falloff);
}

void flash_reference(struct job *j, uint32_t n, uint8_t *out)
{
    const uint8_t *in = j->rgb + (size_t)n * j->values;
    const struct flash_params *p = j->self->own;
    struct scene s = { j->depth + (size_t)n * j->pixels, 0,
                       j->width > j->height ? j->width : j->height,
                       (int)j->width, (int)j->height };
    float near, far;
    depth_ends(j, n, &near, &far);
    s.near = near;
    for (uint32_t i = 0; i < j->pixels; i++) {
        double r = shade(&s, (int)(i % j->width), (int)(i / j->width),
                         p->falloff);
        for (uint32_t c = 3 * i; c < 3 * i + 3; c++)
            out[c] = keep_byte(in[c] * (1 + r * flash_gain(j)));
    }
}

/* ---- noise ---- */

static void noise(struct job *j, uint32_t n, const uint32_t *last,
                  struct sensor s, uint8_t *out)
{
    const uint8_t *in = j->rgb + (size_t)n * j->values;
    uint64_t photons = photon_seed(j->seed), electrons = electron_seed(j->seed);
    for (uint32_t i = 0; i < j->values; i++) {
        uint32_t d = mohs_rng_u32(photons, j->key[n], i), k = 0;
        while (k < s.rate && d > last[(size_t)in[i] * s.rate + k])
            k++;
        double z = mohs_rng_normal(electrons, j->key[n], i);
        out[i] = to_byte((double)k / s.rate + (double)s.sigma * z);
    }
}

void iso_noise_reference(struct job *j, uint32_t n, uint8_t *out)
{
    struct sensor s = iso_noise_sensor(j);
    uint32_t *last = job_scratch(j, (size_t)256 * s.rate, sizeof *last);
    if (!last)
        return;
    iso_noise_table(j, last);
    noise(j, n, last, s, out);
}

void low_light_reference(struct job *j, uint32_t n, uint8_t *out)
{
    struct sensor s = low_light_sensor(j);
    uint32_t *last = job_scratch(j, (size_t)256 * s.rate, sizeof *last);
    uint8_t low, high;
    if (!last)
        return;
    value_range(j, n, &low, &high);
    low_light_table(j, low, high, last);
    noise(j, n, last, s, out);
}
