/* SPDX-License-Identifier: MIT */
/* Drawn parameters and references of the patterns of ImageNet-C-bar. */
#ifndef CORRUPTIONS_WAVES_H
#define CORRUPTIONS_WAVES_H

#include "../common/c_bar.h"

/* intensity * sin(fx x + fy y + phase); radians and pixels. */
struct grating {
    double fx, fy, phase;
};

/* Rings of `width` around (x, y), their radius waving with the angle. */
struct rings {
    double x, y, freq, amplitude, width;
};

struct plasma {
    double time, sharpness, scale;
    int iterations;
};

/* A turned grid of squares; every second one is grey where its draw is below
 * the fraction. cell[row * side + column], side at most BOARD. */
enum { BOARD = 40 };
struct board {
    double cos, sin, scale;
    uint32_t side;
    uint8_t cell[BOARD * BOARD];
};

/* Ken Perlin's: a permutation, and a unit vector for each number. */
enum { LATTICE = 256, OCTAVES = 5 };
struct lattice {
    float gradient[LATTICE][2];
    uint32_t at[LATTICE];
};

double grating_intensity(const struct job *j);
double rings_intensity(const struct job *j);
double plasma_intensity(const struct job *j);
double perlin_alpha(const struct job *j);
/* Lattice cells a pixel, at the first octave. */
double perlin_step(const struct job *j);
struct grating grating_draw(const struct job *j, uint32_t n);
struct rings rings_draw(const struct job *j, uint32_t n);
struct plasma plasma_draw(const struct job *j, uint32_t n);
void board_draw(const struct job *j, uint32_t n, struct board *b);
void lattice_draw(const struct job *j, uint32_t n, struct lattice *t);

void single_frequency_greyscale_reference(struct job *j, uint32_t n,
                                          uint8_t *out);
void cocentric_sine_waves_reference(struct job *j, uint32_t n, uint8_t *out);
void plasma_noise_reference(struct job *j, uint32_t n, uint8_t *out);
void perlin_noise_reference(struct job *j, uint32_t n, uint8_t *out);
void checkerboard_cutout_reference(struct job *j, uint32_t n, uint8_t *out);

#endif
