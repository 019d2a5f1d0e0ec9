/* SPDX-License-Identifier: MIT */
/* The parts of the emoji-scenes generator. */
#ifndef CORE_SCENES_H
#define CORE_SCENES_H

#include "data/data.h"
#include "image/image.h"

enum {
    OBJECTS_MAX = 3,
    GLYPH_PX = 136,
    CAPTIONS_MIN = 5,
    CAPTIONS_MAX = 8,
    SYNONYMS_MAX = 3
};

struct scene_group {
    const char *word;            /* "fruit": true of every member */
    const uint32_t *code_points; /* ends with 0 */
};
extern const struct scene_group scene_groups[]; /* ends with word NULL */

/* What to call an object; see scenes_words.c. */
struct scene_words {
    uint32_t code_point;
    const char *name;     /* NULL: CLDR's */
    const char *synonyms; /* separated by bars, or NULL */
};
extern const struct scene_words scene_words[]; /* ends with code point 0 */

/* A noun; bare ones ("jeans", "bacon") take no article. */
struct noun {
    const char *text; /* of a class: owned by the catalogue */
    bool bare;
};

/* One kind of object: its names, group and picture. */
struct object_class {
    uint32_t code_point;
    struct noun name; /* lower case */
    struct noun synonym[SYNONYMS_MAX];
    uint32_t n_synonyms;
    const char *word; /* of its group */
    bool held_out;    /* only in zeroshot/ */
    uint8_t *rgba;    /* GLYPH_PX * GLYPH_PX * 4, premultiplied, centred */
};

struct catalogue {
    struct object_class *v;
    size_t n;
    uint32_t *known, *held_out; /* indices */
    size_t n_known, n_held_out;
};
/* Names from the CLDR annotations, pictures from the colour font. */
mohs_status catalogue_open(const char *cldr, const char *font,
                           struct catalogue *out, struct mohs_error *err);
void catalogue_free(struct catalogue *c);

struct placed {
    uint32_t kind;    /* index in the catalogue */
    int32_t x, y;     /* centre, 1/16 px */
    uint32_t size;    /* of the square, px */
    int32_t rotation; /* degrees, multiple of 5 */
    bool large;
    uint32_t depth_mm;
};

enum relation { LEFT_OF, RIGHT_OF, ABOVE, BELOW, RELATIONS };
enum background { PLAIN, GRADIENT, STRIPES, CHECKS, BACKGROUNDS };
enum light { NORMAL_LIGHT, DIM_LIGHT, BRIGHT_LIGHT };

struct scene {
    uint64_t seed; /* of details that have no factor of their own */
    size_t n;
    struct placed object[OBJECTS_MAX];
    enum relation relation; /* of object 0 to object 1 */
    const char *corner;     /* of object 2 */
    uint32_t color;         /* index of the background's colour */
    enum background background;
    enum light light;
    int32_t occluded; /* index of the object behind a bar, or -1 */
};

extern const char *const scene_colors[];
enum { SCENE_COLORS = 9 };
const char *relation_text(enum relation r);
const char *background_text(enum background b);
const char *light_text(enum light l);

/* Draws a scene of n objects (0: a random number) from stream (seed, id) until
 * its combination belongs to `split` (-1: any). kinds: catalogue indices to
 * choose from. */
void scene_draw_random(const struct catalogue *c, const uint32_t *kinds,
                       size_t n_kinds, size_t n, uint32_t size_px, uint64_t seed,
                       uint64_t id, int split, struct scene *out);
/* The same scene from a camera moved sideways: nearer things move farther. */
void scene_move(const struct scene *s, uint32_t size_px, int32_t dx, int32_t dy,
                struct scene *out);
/* Left or top edge, px, of an object that is centred at c (1/16 px). */
int32_t scene_edge(int32_t c, uint32_t size);
/* Values of an owner map beside object indices. */
enum { OWNER_BACKGROUND = 255, OWNER_BAR = 254 };
/* Renders into im (size_px square), depth (millimetres) and owner (which
 * object one sees at a pixel); the maps may be NULL. */
mohs_status scene_render(const struct catalogue *c, const struct scene *s,
                         uint32_t size_px, struct image *im, uint16_t *depth,
                         uint8_t *owner, struct mohs_error *err);
/* n captions in different words; each true of the picture. Fresh strings. */
void scene_captions(const struct catalogue *c, const struct scene *s, uint32_t n,
                    char **out);
/* All factors as one JSON object without line end. */
void scene_factors(const struct catalogue *c, const struct scene *s,
                   const char *file, struct str *out);

#endif
