/* SPDX-License-Identifier: MIT */
/* Constants, the affine part and the reference of the elastic transform. */
#ifndef CORRUPTIONS_ELASTIC_H
#define CORRUPTIONS_ELASTIC_H

#include "../common/corruption.h"

struct elastic {
    double amount;           /* pixels per unit of the smoothed field */
    double sigma_x, sigma_y; /* of the smoothing */
    double span;             /* fields are uniform in -span..span */
    double jitter;           /* of the three points; 0: no affine map */
};

/* Forks of the seed for the fields; the points use the stream itself. */
enum { ELASTIC_ACROSS = 1, ELASTIC_DOWN = 2 };

struct elastic elastic_of(const struct job *j);
/* Where pixel (x, y) comes from: x' = m[0] x + m[1] y + m[2], y' = m[3] ... */
void elastic_affine(const struct job *j, uint32_t i, const struct elastic *c,
                    double m[6]);

/* Gaussian smoothing with half-sample mirroring, truncated at 3 sigma, folded
 * into a band: value i becomes the sum of weight[i * len + k] times value
 * first[i] + k. From job_scratch(); weight is NULL after a failure. */
struct band {
    uint32_t n, len;
    int32_t *first;
    double *weight;
};
struct band band_make(struct job *j, uint32_t n, double sigma);

void elastic_transform_reference(struct job *j, uint32_t n, uint8_t *out);

#endif
