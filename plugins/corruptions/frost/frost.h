/* SPDX-License-Identifier: MIT */
/* Ice textures, where a picture's piece of one lies, and the reference. */
#ifndef CORRUPTIONS_FROST_H
#define CORRUPTIONS_FROST_H

#include "../common/corruption.h"

enum { TEXTURES_MAX = 64 };

struct texture {
    uint32_t width, height;
    uint8_t *rgb;
};

/* Textures of one instance. Procedural ones are made on first use. */
struct ice {
    uint32_t n, choice; /* how many, of how many one is drawn */
    struct texture texture[TEXTURES_MAX];
};

/* Five textures of ice, always the same. */
mohs_status ice_grow(struct ice *ice, struct mohs_error *err);
/* Files and folders parted by colons: PNG and JPEG. */
mohs_status ice_read(const char *paths, struct ice *ice,
                     struct mohs_error *err);
void ice_free(struct ice *ice);

enum resampling { ICE_AS_IT_IS, ICE_LINEAR, ICE_CUBIC };

/* The piece of a texture for one picture: pixel (x, y) is the texture,
 * resampled as OpenCV does by `step` pixels each, at (left + x, top + y). */
struct piece {
    uint32_t texture, left, top;
    enum resampling how;
    double step_x, step_y;
};

struct frost {
    double picture, ice;
};

struct frost frost_of(const struct job *j);
struct piece frost_piece(const struct job *j, const struct ice *ice,
                         uint32_t i);
void frost_reference(struct job *j, uint32_t n, uint8_t *out);

#endif
