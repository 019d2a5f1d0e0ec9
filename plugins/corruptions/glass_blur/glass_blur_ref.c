/* SPDX-License-Identifier: MIT */
/* Glass blur in plain C, pixel after pixel as the script does it. */
#include "config.h"

#include "glass_blur.h"

static void soften(struct job *j, const struct gauss *g, double *x, uint8_t *p)
{
    for (uint32_t i = 0; i < j->values; i++)
        x[i] = p[i] / 255.0;
    gauss_reference(j, g, x, 3);
    for (uint32_t i = 0; i < j->values; i++)
        p[i] = to_byte(x[i]);
}

static void mix(struct job *j, uint64_t key, int turn, int delta, uint8_t *p)
{
    int w = (int)j->width, h = (int)j->height;
    for (int y = h - delta; y > delta; y--)
        for (int x = w - delta; x > delta; x--) {
            uint64_t at =
                (((uint64_t)turn * j->height + (uint64_t)y) * j->width +
                 (uint64_t)x) *
                2;
            uint32_t span = 2 * (uint32_t)delta;
            int dx = (int)mohs_rng_below(j->seed, key, at, span) - delta;
            int dy = (int)mohs_rng_below(j->seed, key, at + 1, span) - delta;
            memmove(p + 3 * (y * w + x), p + 3 * ((y + dy) * w + x + dx), 3);
        }
}

void glass_blur_reference(struct job *j, uint32_t n, uint8_t *out)
{
    struct glass c = glass_of(j);
    struct gauss g;
    double *x = job_scratch(j, j->values, sizeof *x);
    if (!x)
        return;
    memcpy(out, j->rgb + (size_t)n * j->values, j->values);
    gauss_make(&g, c.sigma, 4);
    soften(j, &g, x, out);
    for (int t = 0; t < c.turns; t++)
        mix(j, j->key[n], t, c.delta, out);
    soften(j, &g, x, out);
}
