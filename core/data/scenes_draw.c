/* SPDX-License-Identifier: MIT */
/*
 * Choosing a scene and rendering it. Every number comes from Philox, and all
 * arithmetic is on integers, so the bytes are the same everywhere.
 */
#include "config.h"

#include "data/scenes.h"

#include <stdlib.h>
#include <string.h>

#include <mohs/rng.h>

#include "image/resample.h"

enum {
    SPLIT_PARTS = 10,
    BACKGROUND_MM = 10000,
    NEAR_MM = 2000,
    FAR_MM = 5000,
    SHOWN = 2 /* the bar leaves at least 1 / SHOWN of what one saw */
};

const char *const scene_colors[] = { "red", "green", "blue", "yellow", "gray", "white",
                                     "black", "purple", "orange" };
static const uint8_t color_rgb[SCENE_COLORS][3] = {
    { 200, 40, 40 },   { 40, 150, 60 }, { 50, 80, 200 }, { 235, 215, 60 },
    { 128, 128, 128 }, { 240, 240, 240 }, { 20, 20, 20 }, { 130, 50, 150 },
    { 235, 130, 30 },
};

/* Which light leaves a colour its name: dim white is gray, bright black is
 * gray too, dim orange is brown. */
static const enum light lights[2] = { DIM_LIGHT, BRIGHT_LIGHT };
static const bool color_lit[SCENE_COLORS][2] = {
    { true, true }, { true, true }, { true, true }, { false, true },
    { false, false }, { false, false }, { false, false }, { true, true },
    { false, true },
};

/* Draws of one attempt, addressed by purpose. */
struct dice {
    uint64_t seed, id, at;
};

static uint32_t below(struct dice *d, uint32_t n)
{
    return mohs_rng_below(d->seed, d->id, d->at++, n);
}

static int32_t between(struct dice *d, int32_t lo, int32_t hi)
{
    return lo + (int32_t)below(d, (uint32_t)(hi - lo + 1));
}

/* Which split a combination of kinds, relation and colour belongs to: 1 in 10
 * to val (1), 1 in 10 to test (2), the rest to train (0). */
static int split_of(const struct scene *s)
{
    uint32_t a = s->object[0].kind, b = s->n > 1 ? s->object[1].kind : UINT32_MAX;
    enum relation r = s->relation;
    if (s->n > 1 && a > b) { // "a left of b" is "b right of a"
        static const enum relation inverse[] = { RIGHT_OF, LEFT_OF, BELOW, ABOVE };
        uint32_t t = a;
        a = b;
        b = t;
        r = inverse[r];
    }
    uint64_t h = mohs_rng_fork(mohs_rng_fork(mohs_rng_fork(a, b), s->n > 1 ? r : 0),
                               s->color);
    uint32_t part = (uint32_t)(h >> 33) % SPLIT_PARTS;
    return part == 0 ? 1 : part == 1 ? 2 : 0;
}

static void place(struct dice *d, struct placed *p, uint32_t size_px, int32_t x16,
                  int32_t y16, bool large)
{
    uint32_t lo = size_px * (large ? 46 : 30) / 100, hi = size_px * (large ? 56 : 38) / 100;
    int32_t jitter = (int32_t)size_px; // 1/16 of the side, in 1/16 px
    p->large = large;
    p->size = (uint32_t)between(d, (int32_t)lo, (int32_t)hi);
    p->x = x16 + between(d, -jitter, jitter);
    p->y = y16 + between(d, -jitter, jitter);
    p->rotation = 5 * between(d, -3, 3);
}

static void choose_objects(struct dice *d, const uint32_t *kinds, size_t n_kinds,
                           uint32_t size_px, struct scene *s)
{
    static const char *const corners[] = { "top left", "top right", "bottom left",
                                           "bottom right" };
    int32_t w = (int32_t)size_px * 16, a = w * 27 / 100, b = w * 73 / 100;
    bool first_large = below(d, 2);
    for (size_t i = 0; i < s->n; i++) {
        bool again = true;
        while (again) {
            s->object[i].kind = kinds[below(d, (uint32_t)n_kinds)];
            again = false;
            for (size_t k = 0; k < i; k++)
                again |= s->object[k].kind == s->object[i].kind;
        }
        s->object[i].depth_mm = (uint32_t)between(d, NEAR_MM, FAR_MM);
    }
    s->relation = below(d, RELATIONS);
    if (s->n == 1) {
        place(d, &s->object[0], size_px, w / 2, w / 2, true);
        return;
    }
    int32_t x0 = s->relation == LEFT_OF ? a : s->relation == RIGHT_OF ? b : w / 2;
    int32_t y0 = s->relation == ABOVE ? a : s->relation == BELOW ? b : w / 2;
    place(d, &s->object[0], size_px, x0, y0, first_large);
    place(d, &s->object[1], size_px, w - x0, w - y0, !first_large);
    if (s->n < 3)
        return;
    // the third sits in a corner that the other two leave free
    uint32_t c = below(d, 4);
    s->corner = corners[c];
    place(d, &s->object[2], size_px, c & 1 ? w * 85 / 100 : w * 15 / 100,
          c & 2 ? w * 85 / 100 : w * 15 / 100, false);
    s->object[2].size = size_px * 26 / 100;
}

void scene_move(const struct scene *s, uint32_t size_px, int32_t dx, int32_t dy,
                struct scene *out)
{
    (void)size_px;
    *out = *s;
    for (size_t i = 0; i < s->n; i++) {
        // parallax: the shift at distance z is shift * NEAR / z
        out->object[i].x += dx * NEAR_MM / (int32_t)s->object[i].depth_mm;
        out->object[i].y += dy * NEAR_MM / (int32_t)s->object[i].depth_mm;
    }
}

/* ---- rendering ---- */

static uint8_t cut(int32_t v)
{
    return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
}

static void background(const struct scene *s, uint32_t size, struct image *im)
{
    uint32_t step = size / 8 ? size / 8 : 1;
    int32_t base[3];
    for (int k = 0; k < 3; k++)
        base[k] = color_rgb[s->color][k] +
                  (int32_t)mohs_rng_below(s->seed, 1, (uint64_t)k, 25) - 12;
    uint32_t turn = mohs_rng_below(s->seed, 1, 3, 2);
    for (uint32_t y = 0; y < size; y++)
        for (uint32_t x = 0; x < size; x++) {
            int32_t add = 0, t = (int32_t)(turn ? x : y);
            if (s->background == GRADIENT)
                add = 30 - 60 * t / (int32_t)size;
            else if (s->background == STRIPES)
                add = (t / (int32_t)step) % 2 ? 22 : -22;
            else if (s->background == CHECKS)
                add = (x / step + y / step) % 2 ? 22 : -22;
            for (int k = 0; k < 3; k++)
                im->rgb[3 * ((size_t)y * size + x) + (size_t)k] = cut(base[k] + add);
        }
}

/* sin of 0, 5, 10, 15 degrees in 1/65536; cos likewise. */
static const int32_t sin16[] = { 0, 5712, 11380, 16962 };
static const int32_t cos16[] = { 65536, 65287, 64540, 63303 };

/* The glyph turned about its centre: inverse mapping, bilinear in 1/256. */
static void turn(const uint8_t *in, int32_t degrees, uint8_t *out)
{
    static const uint8_t clear[4] = { 0 };
    int32_t k = degrees < 0 ? -degrees / 5 : degrees / 5;
    if (!degrees) {
        memcpy(out, in, (size_t)GLYPH_PX * GLYPH_PX * 4);
        return;
    }
    int64_t s = degrees < 0 ? -sin16[k] : sin16[k], c = cos16[k];
    for (int32_t y = 0; y < GLYPH_PX; y++)
        for (int32_t x = 0; x < GLYPH_PX; x++, out += 4) {
            int64_t dx = 2 * x + 1 - GLYPH_PX, dy = 2 * y + 1 - GLYPH_PX; // half px
            int64_t u = (c * dx + s * dy) / 512 + (GLYPH_PX - 1) * 128; // 1/256 px
            int64_t v = (c * dy - s * dx) / 512 + (GLYPH_PX - 1) * 128;
            int32_t x0 = (int32_t)(u >> 8), y0 = (int32_t)(v >> 8);
            int32_t fx = (int32_t)(u & 255), fy = (int32_t)(v & 255);
            const uint8_t *p[4];
            for (int i = 0; i < 4; i++) {
                int32_t px = x0 + (i & 1), py = y0 + (i >> 1);
                bool inside = px >= 0 && py >= 0 && px < GLYPH_PX && py < GLYPH_PX;
                p[i] = inside ? in + 4 * (py * GLYPH_PX + px) : clear;
            }
            for (int ch = 0; ch < 4; ch++) {
                int32_t top = p[0][ch] * (256 - fx) + p[1][ch] * fx;
                int32_t low = p[2][ch] * (256 - fx) + p[3][ch] * fx;
                out[ch] = (uint8_t)((top * (256 - fy) + low * fy + (1 << 15)) >> 16);
            }
        }
}

int32_t scene_edge(int32_t c, uint32_t size)
{
    int32_t e = c - (int32_t)size * 8;
    return e >= 0 ? e / 16 : -((15 - e) / 16);
}

static mohs_status draw_object(const struct object_class *o, const struct placed *p,
                               uint32_t size, struct image *im, uint16_t *depth,
                               uint8_t *owner, uint8_t self,
                               struct mohs_error *err)
{
    uint8_t *turned = xmalloc((size_t)GLYPH_PX * GLYPH_PX * 4);
    uint8_t *small = xmalloc((size_t)p->size * p->size * 4);
    turn(o->rgba, p->rotation, turned);
    mohs_status st = resample(turned, GLYPH_PX, GLYPH_PX, 4, p->size, p->size,
                              FILTER_BILINEAR, small, err);
    int32_t x0 = scene_edge(p->x, p->size), y0 = scene_edge(p->y, p->size);
    for (int32_t y = 0; st >= 0 && y < (int32_t)p->size; y++)
        for (int32_t x = 0; x < (int32_t)p->size; x++) {
            int32_t px = x + x0, py = y + y0;
            if (px < 0 || py < 0 || px >= (int32_t)size || py >= (int32_t)size)
                continue;
            const uint8_t *q = small + 4 * ((size_t)y * p->size + (size_t)x);
            size_t at = (size_t)py * size + (size_t)px;
            for (int k = 0; k < 3; k++) {
                int32_t under = im->rgb[3 * at + (size_t)k];
                im->rgb[3 * at + (size_t)k] =
                    cut(q[k] + (under * (255 - q[3]) + 127) / 255);
            }
            if (q[3] >= 128 && depth)
                depth[at] = (uint16_t)p->depth_mm;
            if (q[3] >= 128 && owner)
                owner[at] = self;
        }
    free(turned);
    free(small);
    return st;
}

/* A narrow dark bar in front of one object: something is hidden, not all. */
static void draw_bar(const struct placed *p, uint32_t size, struct image *im,
                     uint16_t *depth, uint8_t *owner)
{
    int32_t half = (int32_t)p->size / 10 + 1, mid = p->x / 16;
    for (int32_t y = 0; y < (int32_t)size; y++)
        for (int32_t x = mid - half; x <= mid + half; x++) {
            if (x < 0 || x >= (int32_t)size)
                continue;
            size_t at = (size_t)y * size + (size_t)x;
            memset(im->rgb + 3 * at, 70, 3);
            if (depth)
                depth[at] = NEAR_MM / 2;
            if (owner)
                owner[at] = OWNER_BAR;
        }
}

static void lighten(enum light l, struct image *im)
{
    size_t n = (size_t)im->width * im->height * 3;
    for (size_t i = 0; l != NORMAL_LIGHT && i < n; i++)
        im->rgb[i] = l == DIM_LIGHT ? (uint8_t)(im->rgb[i] * 65 / 100)
                                    : cut(255 - (255 - im->rgb[i]) * 80 / 100);
}

mohs_status scene_render(const struct catalogue *c, const struct scene *s,
                         uint32_t size, struct image *im, uint16_t *depth,
                         uint8_t *owner, struct mohs_error *err)
{
    size_t order[OBJECTS_MAX] = { 0, 1, 2 };
    im->width = im->height = size;
    background(s, size, im);
    for (size_t i = 0; depth && i < (size_t)size * size; i++)
        depth[i] = BACKGROUND_MM;
    if (owner)
        memset(owner, OWNER_BACKGROUND, (size_t)size * size);
    // far things first
    for (size_t i = 1; i < s->n; i++)
        for (size_t k = i; k && s->object[order[k]].depth_mm >
                                    s->object[order[k - 1]].depth_mm; k--) {
            size_t t = order[k];
            order[k] = order[k - 1];
            order[k - 1] = t;
        }
    for (size_t i = 0; i < s->n; i++) {
        const struct placed *p = &s->object[order[i]];
        RET_IF_ERR(draw_object(&c->v[p->kind], p, size, im, depth, owner,
                               (uint8_t)order[i], err));
    }
    if (s->occluded >= 0)
        draw_bar(&s->object[s->occluded], size, im, depth, owner);
    lighten(s->light, im);
    return MOHS_OK;
}

/* ---- choosing, the last step ---- */

/* Whether the bar leaves less than SHOWN of some object to see: thin things
 * vanish behind it. */
static bool bar_hides(const struct catalogue *c, const struct scene *s, uint32_t size)
{
    size_t n = (size_t)size * size, with[OBJECTS_MAX] = { 0 }, without[OBJECTS_MAX] = { 0 };
    struct scene bare = *s;
    struct image im = { size, size, xmalloc(3 * n) };
    uint8_t *owner = xmalloc(n);
    bool hides = false;
    bare.occluded = -1;
    for (int pass = 0; pass < 2; pass++) {
        const struct scene *which = pass ? s : &bare;
        if (scene_render(c, which, size, &im, NULL, owner, NULL) < 0)
            hides = true;
        for (size_t i = 0; !hides && i < n; i++)
            if (owner[i] < OBJECTS_MAX)
                (pass ? with : without)[owner[i]]++;
    }
    for (size_t k = 0; k < s->n; k++)
        hides |= with[k] * SHOWN < without[k];
    free(owner);
    free(im.rgb);
    return hides;
}

void scene_draw_random(const struct catalogue *c, const uint32_t *kinds,
                       size_t n_kinds, size_t n, uint32_t size_px, uint64_t seed,
                       uint64_t id, int split, struct scene *s)
{
    for (uint64_t attempt = 0;; attempt++) {
        struct dice d = { mohs_rng_fork(seed, attempt), id, 0 };
        memset(s, 0, sizeof *s);
        s->seed = mohs_rng_fork(d.seed, id);
        uint32_t many = below(&d, 20);
        s->n = n ? n : many < 3 ? 1 : many < 17 ? 2 : 3;
        choose_objects(&d, kinds, n_kinds, size_px, s);
        s->color = below(&d, SCENE_COLORS);
        uint32_t b = below(&d, 10);
        s->background = b < 4 ? PLAIN : b < 6 ? GRADIENT : b < 8 ? STRIPES : CHECKS;
        uint32_t l = below(&d, 10);
        s->light = l < 2 && color_lit[s->color][l] ? lights[l] : NORMAL_LIGHT;
        s->occluded = below(&d, 10) == 0 ? (int32_t)below(&d, (uint32_t)s->n) : -1;
        if (split >= 0 && split_of(s) != split)
            continue;
        if (s->occluded >= 0 && bar_hides(c, s, size_px))
            s->occluded = -1;
        return;
    }
}
