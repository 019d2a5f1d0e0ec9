/* SPDX-License-Identifier: MIT */
/*
 * Depth as the 3D common corruptions take it: a number in 0..1 that grows
 * with distance, made of maps in any unit.
 *
 * The published generator divides Taskonomy's maps (1/512 m) by 8000, that is
 * metres by 15.625, and sets what is not below 1 to the largest value that
 * is; for ImageNet it inverts MiDaS' 16-bit inverse depth, 1 / (m / 512),
 * and cuts at 0.5: nearest, 65535, is about 1/128. A map in any unit fits
 * neither, so by default the farthest point of the picture is 1.
 */
#ifndef CORRUPTIONS_DEPTH_H
#define CORRUPTIONS_DEPTH_H

#include "corruption.h"

enum depth_scale { DEPTH_PICTURE, DEPTH_METRES, DEPTH_MIDAS, N_DEPTH_SCALES };

struct depth_params {
    struct corruption_params common; /* unused, but what the host fills */
    int32_t scale;
};

static const char *const depth_scale_names[] = { "picture", "metres", "midas",
                                                 NULL };

#define DEPTH_PARAM_SCALE                                                  \
    { "scale",                                                             \
      "depth 1 is: the picture's farthest point; 15.625 m, as for "        \
      "Taskonomy; 128 times the nearest, cut at 0.5, as for ImageNet's "   \
      "MiDaS maps",                                                        \
      MOHS_P_CHOICE,                                                       \
      offsetof(struct depth_params, scale),                                \
      DEPTH_PICTURE,                                                       \
      0,                                                                   \
      N_DEPTH_SCALES - 1,                                                  \
      depth_scale_names,                                                   \
      NULL }

/* Normalised depth is min(depth * gain, cap). */
struct depth_range {
    float gain, cap;
};

static inline float depth_of(struct depth_range r, float depth)
{
    float d = depth * r.gain;
    return d < r.cap ? d : r.cap;
}

static inline void depth_ends(const struct job *j, uint32_t n, float *least,
                              float *most)
{
    const float *d = j->depth + (size_t)n * j->pixels;
    *least = *most = d[0];
    for (uint32_t i = 1; i < j->pixels; i++) {
        *least = d[i] < *least ? d[i] : *least;
        *most = d[i] > *most ? d[i] : *most;
    }
}

static inline struct depth_range depth_range_of(const struct job *j, uint32_t n)
{
    const float *d = j->depth + (size_t)n * j->pixels;
    const struct depth_params *p = j->self->own;
    float least, most;
    depth_ends(j, n, &least, &most);
    if (p->scale == DEPTH_PICTURE)
        return (struct depth_range) { 1 / most, 1 };
    if (p->scale == DEPTH_MIDAS)
        return (struct depth_range) { 1 / (128 * least), 0.5f };
    struct depth_range r = { 1 / 15.625f, 0 };
    for (uint32_t i = 0; i < j->pixels; i++)
        if (d[i] * r.gain < 1 && d[i] * r.gain > r.cap)
            r.cap = d[i] * r.gain;
    if (r.cap == 0)
        r.cap = 1;
    return r;
}

/* Keeps a copy of the parameters in self->own; free() closes. */
static inline mohs_status own_params(struct corruption_self *s,
                                     const void *params, size_t bytes,
                                     struct mohs_error *err)
{
    s->own = malloc(bytes);
    if (!s->own)
        return mohs_fail(err, MOHS_E_NOMEM, "%s: no memory", s->what->id);
    memcpy(s->own, params, bytes);
    return MOHS_OK;
}

static inline mohs_status depth_open(struct corruption_self *s,
                                     const void *params,
                                     struct mohs_error *err)
{
    return own_params(s, params, sizeof(struct depth_params), err);
}

static inline struct mohs_buffer *depth_upload(struct job *j, int slot)
{
    size_t bytes = (size_t)j->n * j->pixels * sizeof *j->depth;
    struct mohs_buffer *b = job_buffer(j, slot, bytes + DEVICE_SLACK);
    if (j->st >= 0)
        j->st = j->api->write(b, 0, j->depth, bytes, j->err);
    return b;
}

/* 0..255 cut to a byte; a whole number that lost a little to rounding stays:
 * single precision, the published generator's, would make it either. */
static inline uint8_t keep_byte(double v)
{
    v += 0.0009765625;
    return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
}

#endif
