/* SPDX-License-Identifier: MIT */
/* Fog in plain C and double precision. */
#include "config.h"

#include "fog.h"

struct plasma {
    const struct job *j;
    uint64_t key;
    uint32_t side;
    double *m, wibble;
};

static double *cell(const struct plasma *p, uint32_t x, uint32_t y)
{
    return p->m + (y & (p->side - 1)) * p->side + (x & (p->side - 1));
}

/* Sets (x, y) from four cells `d` away, on the axes or the diagonals. */
static void fill(const struct plasma *p, uint32_t x, uint32_t y, uint32_t d,
                 int axes)
{
    double u = mohs_rng_uniform(p->j->seed, p->key, (uint64_t)y * p->side + x);
    double four = axes ? *cell(p, x - d, y) + *cell(p, x + d, y) +
                             *cell(p, x, y - d) + *cell(p, x, y + d)
                       : *cell(p, x - d, y - d) + *cell(p, x + d, y - d) +
                             *cell(p, x - d, y + d) + *cell(p, x + d, y + d);
    *cell(p, x, y) = four / 4 + p->wibble * (p->wibble * (2 * u - 1));
}

static void plasma_fill(struct plasma *p, double decay)
{
    p->wibble = 100;
    p->m[0] = 0;
    for (uint32_t step = p->side; step >= 2; step /= 2, p->wibble /= decay) {
        uint32_t d = step / 2;
        for (uint32_t y = d; y < p->side; y += step)
            for (uint32_t x = d; x < p->side; x += step)
                fill(p, x, y, d, 0);
        for (uint32_t y = 0; y < p->side; y += step)
            for (uint32_t x = 0; x < p->side; x += step) {
                fill(p, x + d, y, d, 1);
                fill(p, x, y + d, d, 1);
            }
    }
}

void fog_reference(struct job *j, uint32_t n, uint8_t *out)
{
    const uint8_t *in = j->rgb + (size_t)n * j->values;
    struct fog c = fog_of(j);
    struct plasma p = { .j = j, .key = j->key[n], .side = fog_side(j) };
    size_t cells = (size_t)p.side * p.side;
    double low, high, top = 0;
    p.m = job_scratch(j, cells, sizeof *p.m);
    if (!p.m)
        return;
    plasma_fill(&p, c.decay);
    low = high = p.m[0];
    for (size_t i = 0; i < cells; i++) {
        low = fmin(low, p.m[i]);
        high = fmax(high, p.m[i]);
    }
    for (uint32_t i = 0; i < j->values; i++)
        top = fmax(top, in[i] / 255.0);
    for (uint32_t i = 0; i < j->values; i++) {
        double m = *cell(&p, i / 3 % j->width, i / j->row);
        double x = in[i] / 255.0 + c.density * ((m - low) / (high - low));
        out[i] = to_byte(x * top / (top + c.density));
    }
}
