/* SPDX-License-Identifier: MIT */
/*
 * Procedural ice: ridges and clouds of smooth noise, bent by more of it, and
 * crystals that are striped along a direction of their own, in the colours of
 * frosted windows. Five textures whose brightness, contrast and fineness
 * resemble those of the benchmark's photographs. Only + - * / and sqrt, so
 * the bytes are the same everywhere.
 */
#include "config.h"

#include "frost.h"

enum { SIDE = 384, CELLS = 12, GRID_MAX = 192 };

static const uint64_t ice_seed = 0x1CE;

static const struct look {
    float dark[3], light[3]; /* colours */
    float ridge, crystal, cloud;
    int coarse; /* cells of the coarsest noise along a side */
    float stripes;
} looks[] = {
    { { 8, 100, 122 }, { 118, 178, 192 }, .5f, .3f, .2f, 6, 5 },
    { { 146, 150, 160 }, { 238, 242, 250 }, .35f, .35f, .3f, 8, 6 },
    { { 140, 146, 160 }, { 236, 240, 246 }, .3f, .5f, .2f, 4, 8 },
    { { 60, 75, 87 }, { 200, 214, 226 }, .3f, .5f, .2f, 8, 11 },
    { { 0, 2, 14 }, { 212, 226, 238 }, .45f, .35f, .2f, 12, 9 },
};

static float draw(uint64_t stream, uint32_t i)
{
    return (float)(mohs_rng_fork(stream, i) >> 40) * (1.0f / 16777216);
}

static float smooth(float t)
{
    return t * t * (3 - 2 * t);
}

/* Adds `amount` times noise of n cells along a side, folded to ridges or not;
 * it repeats at the borders. */
static void noise_add(float *out, uint64_t stream, int n, float amount,
                      int ridges)
{
    for (int y = 0; y < SIDE; y++) {
        float fy = (float)(y * n) / SIDE;
        int y0 = (int)fy, y1 = (y0 + 1) % n;
        float v = smooth(fy - (float)y0);
        float line[GRID_MAX + 1];
        for (int x = 0; x < n; x++) {
            float a = draw(stream, (uint32_t)(y0 * n + x));
            float b = draw(stream, (uint32_t)(y1 * n + x));
            line[x] = a + (b - a) * v;
        }
        line[n] = line[0];
        for (int x = 0; x < SIDE; x++) {
            float fx = (float)(x * n) / SIDE;
            int x0 = (int)fx;
            float s =
                line[x0] + (line[x0 + 1] - line[x0]) * smooth(fx - (float)x0);
            if (ridges) {
                s = 1 - fabsf(2 * s - 1);
                s *= s;
            }
            out[y * SIDE + x] += amount * s;
        }
    }
}

static void octaves(float *out, uint64_t stream, int n, int ridges)
{
    float amount = 0.5f;
    memset(out, 0, SIDE * SIDE * sizeof *out);
    for (uint32_t k = 0; n <= GRID_MAX; n *= 2, amount *= 0.62f, k++)
        noise_add(out, mohs_rng_fork(stream, k), n, amount, ridges);
}

/* Each of CELLS x CELLS points owns what is nearest, striped its own way. */
static float crystal(uint64_t stream, float x, float y, float stripes)
{
    float best = 4, value = 0;
    int cx = (int)x, cy = (int)y;
    for (int k = 0; k < 9; k++) {
        int gx = cx + k % 3 - 1, gy = cy + k / 3 - 1;
        uint32_t id =
            (uint32_t)((gy + CELLS) % CELLS * CELLS + (gx + CELLS) % CELLS);
        float px = (float)gx + draw(stream, 4 * id) - x;
        float py = (float)gy + draw(stream, 4 * id + 1) - y;
        float d = px * px + py * py;
        if (d >= best)
            continue;
        float ux = draw(stream, 4 * id + 2) - 0.5f,
              uy = draw(stream, 4 * id + 3) - 0.5f;
        float length = sqrtf(ux * ux + uy * uy) + 1e-3f;
        float t = fabsf(ux * px + uy * py) / length * stripes + stripes;
        t -= (float)(int)t;
        best = d;
        value = 0.35f + 0.65f * (1 - fabsf(2 * t - 1)) - 0.3f * d;
    }
    return value;
}

static float sample(const float *p, float x, float y)
{
    int px = ((int)x % SIDE + SIDE) % SIDE, py = ((int)y % SIDE + SIDE) % SIDE;
    return p[py * SIDE + px];
}

static void paint(const struct look *l, uint64_t stream, const float *ridge,
                  const float *cloud, const float *bend, uint8_t *rgb)
{
    for (int i = 0; i < SIDE * SIDE; i++) {
        float x = (float)(i % SIDE), y = (float)(i / SIDE);
        float bx = 60 * (bend[i] - 0.6f),
              by = 60 * (sample(bend, y + 90, x) - 0.6f);
        float cx = (x + 0.3f * bx) * CELLS / SIDE + CELLS;
        float cy = (y + 0.3f * by) * CELLS / SIDE + CELLS;
        float s = l->ridge * sample(ridge, x + bx, y + by) +
                  l->cloud * cloud[i] +
                  l->crystal * crystal(stream, cx, cy, l->stripes);
        s = (s - 0.2f) * 1.5f;
        s = s < 0 ? 0 : s > 1 ? 1 : s;
        for (int c = 0; c < 3; c++)
            rgb[3 * i + c] =
                (uint8_t)(l->dark[c] + (l->light[c] - l->dark[c]) * s + 0.5f);
    }
}

mohs_status ice_grow(struct ice *ice, struct mohs_error *err)
{
    size_t n = SIDE * SIDE;
    float *field = malloc(3 * n * sizeof *field);
    mohs_status st = MOHS_OK;
    for (uint32_t i = 0; i < sizeof looks / sizeof *looks && st >= 0; i++) {
        uint64_t stream = mohs_rng_fork(ice_seed, i);
        struct texture *t = &ice->texture[i];
        t->width = t->height = SIDE;
        t->rgb = malloc(n * 3);
        if (!field || !t->rgb) {
            st = mohs_fail(err, MOHS_E_NOMEM, "frost: no memory");
            free(t->rgb);
            break;
        }
        octaves(field, mohs_rng_fork(stream, 1), looks[i].coarse, 1);
        octaves(field + n, mohs_rng_fork(stream, 2), 3, 0);
        octaves(field + 2 * n, mohs_rng_fork(stream, 3), 4, 0);
        paint(&looks[i], mohs_rng_fork(stream, 4), field, field + n,
              field + 2 * n, t->rgb);
        ice->n = i + 1;
    }
    ice->choice = ice->n;
    if (st < 0) {
        for (uint32_t i = 0; i < ice->n; i++)
            free(ice->texture[i].rgb);
        ice->n = 0;
    }
    free(field);
    return st;
}
