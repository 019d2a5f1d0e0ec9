/* SPDX-License-Identifier: MIT */
/*
 * Depth as the 3D common corruptions take it: a number above 0, at most 1,
 * that grows with distance, made of maps in any unit, one of three ways.
 *
 * picture: the farthest point of the picture is 1. Blur depends on ratios of
 *   depths only, so this is the choice where ratios are right.
 * metres: as the published generator takes Taskonomy's maps (1/512 m, divided
 *   by 8000): metres by 15.625, what is not below 1 becomes the largest value
 *   that is.
 * midas: as it takes MiDaS' maps for ImageNet. These are inverse depth
 *   stretched to 0..65535, m; d = 1 / (m / 512 + 1e-6), at most 0.5. Here m is
 *   made of the map, so a unit does not matter: the nearest point is 1 / 128,
 *   the farthest 0.5.
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

#define DEPTH_PARAM_SCALE(def)                                              \
    { "scale",                                                              \
      "depth 1 is: the picture's farthest point; 15.625 metres; or inverse " \
      "depth is stretched as MiDaS' maps are",                              \
      MOHS_P_CHOICE,                                                        \
      offsetof(struct depth_params, scale),                                 \
      def,                                                                  \
      0,                                                                    \
      N_DEPTH_SCALES - 1,                                                   \
      depth_scale_names,                                                    \
      NULL }

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

static inline void depth_in_metres(float *d, uint32_t n)
{
    float most = 0;
    for (uint32_t i = 0; i < n; i++) {
        d[i] /= 15.625f;
        most = d[i] < 1 && d[i] > most ? d[i] : most;
    }
    for (uint32_t i = 0; i < n; i++)
        d[i] = d[i] < 1 ? d[i] : most > 0 ? most : 1;
}

static inline void depth_as_midas(float *d, uint32_t n, double least,
                                  double most)
{
    double span = 1 / least - 1 / most;
    for (uint32_t i = 0; i < n; i++) {
        double part = span > 0 ? (1 / (double)d[i] - 1 / most) / span : 0;
        double m = part * 65535;
        d[i] = (float)fmin(1 / (m / 512 + 1e-6), 0.5);
    }
}

/* Of picture n, normalised, to `out`: for kernel and reference alike. */
static inline void depth_make(const struct job *j, uint32_t n, float *out)
{
    const struct depth_params *p = j->self->own;
    float least, most;
    memcpy(out, j->depth + (size_t)n * j->pixels, j->pixels * sizeof *out);
    depth_ends(j, n, &least, &most);
    if (p->scale == DEPTH_METRES)
        depth_in_metres(out, j->pixels);
    else if (p->scale == DEPTH_MIDAS)
        depth_as_midas(out, j->pixels, least, most);
    else
        for (uint32_t i = 0; i < j->pixels; i++)
            out[i] /= most;
}

/* All of the job's; NULL after a failure. */
static inline float *depth_all(struct job *j)
{
    float *d = job_scratch(j, (size_t)j->n * j->pixels, sizeof *d);
    for (uint32_t i = 0; d && i < j->n; i++)
        depth_make(j, i, d + (size_t)i * j->pixels);
    return d;
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

static inline struct mohs_buffer *depth_upload(struct job *j, int slot,
                                               const float *depth)
{
    size_t bytes = (size_t)j->n * j->pixels * sizeof *depth;
    struct mohs_buffer *b = job_buffer(j, slot, bytes + DEVICE_SLACK);
    if (j->st >= 0)
        j->st = j->api->write(b, 0, depth, bytes, j->err);
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
