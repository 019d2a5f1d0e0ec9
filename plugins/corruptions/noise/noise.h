/* SPDX-License-Identifier: MIT */
/* Constants of the noises and the Poisson table, for kernels and references. */
#ifndef CORRUPTIONS_NOISE_H
#define CORRUPTIONS_NOISE_H

#include "../common/corruption.h"

/* Counts of a shot noise picture are below `levels`; from there on a value
 * is white. last[x][k] is the largest 32-bit draw whose count is at most k
 * for byte x; first[x][d >> 24] is a count no larger than draw d's. */
enum { SHOT_LEVELS_MAX = 500 };
struct shot_table {
    uint32_t levels;
    uint8_t byte[SHOT_LEVELS_MAX + 1]; /* by count */
    uint16_t first[256][256];
    uint32_t last[256][SHOT_LEVELS_MAX]; /* stride: levels, packed */
};

float noise_sigma(const struct job *j, int speckle);
float impulse_amount(const struct job *j);
uint32_t shot_rate(const struct job *j);
void shot_table_make(uint32_t rate, struct shot_table *t);

void gaussian_noise_reference(struct job *j, uint32_t i, uint8_t *out);
void speckle_noise_reference(struct job *j, uint32_t i, uint8_t *out);
void impulse_noise_reference(struct job *j, uint32_t i, uint8_t *out);
void shot_noise_reference(struct job *j, uint32_t i, uint8_t *out);

#endif
