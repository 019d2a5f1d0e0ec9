/* SPDX-License-Identifier: MIT */
/* Constants, tables and references of flash, low light and ISO noise. */
#ifndef CORRUPTIONS_LIGHT_H
#define CORRUPTIONS_LIGHT_H

#include "../common/depth.h"

struct flash_params {
    struct corruption_params common; /* unused, but what the host fills */
    float falloff;
};

/* Photons, then electrons: x becomes Poisson(x rate) / rate, cut at 1, plus
 * N(0, sigma). */
struct sensor {
    uint32_t rate;
    float sigma;
};

/* Counts k < rate of a picture's values: last[x * rate + k] is the largest
 * 32-bit draw whose count is at most k for byte x. */
enum { RATE_MAX = 120 };

double flash_gain(const struct job *j);
struct sensor iso_noise_sensor(const struct job *j);
struct sensor low_light_sensor(const struct job *j);
void iso_noise_table(const struct job *j, uint32_t *last);
/* Of a picture whose values span low..high. */
void low_light_table(const struct job *j, uint8_t low, uint8_t high,
                     uint32_t *last);
void value_range(const struct job *j, uint32_t n, uint8_t *low, uint8_t *high);

/* The seeds of the two streams, both with the picture's key. */
static inline uint64_t photon_seed(uint64_t seed)
{
    return mohs_rng_fork(seed, 0);
}

static inline uint64_t electron_seed(uint64_t seed)
{
    return mohs_rng_fork(seed, 1);
}

void flash_reference(struct job *j, uint32_t n, uint8_t *out);
void iso_noise_reference(struct job *j, uint32_t n, uint8_t *out);
void low_light_reference(struct job *j, uint32_t n, uint8_t *out);

#endif
