/* SPDX-License-Identifier: MIT */
/*
 * The sites an attack perturbs and the balls there. A group is what shares a
 * ball: a token, or all (unmasked) tokens of a sample.
 */
#ifndef ATTACKS_SITES_H
#define ATTACKS_SITES_H

#include <mohs/attack.h>

#include "ball.h"

enum { SITES_MAX = 8, TAP_MAX = 64 };

/* What the radius is measured in. */
enum { RADIUS_ABSOLUTE, /* eps itself */
       RADIUS_RELATIVE  /* eps times the group's L2 norm (l2) or standard
                           deviation (linf) in clean */ };

struct sites {
    struct mohs_victim *v;
    struct mohs_site site[SITES_MAX];
    uint32_t n;
    int norm, radius;
    int per_sample; /* one ball a sample, else one a token */
    double eps;
};

/* "a,b" into tap[]; the number of taps, or an error naming `what`. */
mohs_status taps_split(const char *list, char tap[SITES_MAX][TAP_MAX], uint32_t *n,
                       const char *what, struct mohs_error *err);
/* Opens taps; the ball fields are set before. */
mohs_status sites_open(struct sites *s, struct mohs_victim *v,
                       const char (*tap)[TAP_MAX], uint32_t n, struct mohs_error *err);
/* Floats of one sample at site k. */
size_t sites_floats(const struct sites *s, uint32_t k);
void sites_zero(struct sites *s);
/* Rows and columns of the picture at site "pixels"; as good as square, the
 * rows dividing the pixels, when the host does not say. */
void picture_size(const struct mohs_site *pixels, uint32_t *h, uint32_t *w);

/* Calls fn for every group of sample i at site k. `at`: index of the group's
 * first float within the sample. */
typedef void (*group_fn)(const struct sites *s, uint32_t k, uint32_t i,
                         const struct group *g, size_t at, void *user);
void sites_groups(const struct sites *s, uint32_t k, uint32_t i, group_fn fn, void *user);
/* Random points in (or on) the balls of sample i. */
void sites_random(const struct sites *s, uint32_t i, int surface, uint64_t seed);

/* Copies of all deltas: a fresh array per site, zeroed. */
mohs_status kept_new(const struct sites *s, float *kept[SITES_MAX], struct mohs_error *err);
void kept_free(float *kept[SITES_MAX]);
void kept_store(const struct sites *s, uint32_t i, float *const kept[SITES_MAX]);
void kept_restore(const struct sites *s, uint32_t i, float *const kept[SITES_MAX]);

#endif
