/* SPDX-License-Identifier: MIT */
/* Sparkles in plain C and double precision. */
#include "config.h"

#include "sparkles.h"

/* How bright the sparkle is at (x, y), 0..1. */
static double light(const struct sparkle *s, double x, double y, double fall)
{
    double dx = x - (double)s->x, dy = y - (double)s->y;
    double turn = (atan2(dx, dy) / 3.14159265358979323846 + 1) / 2 * s->rays;
    int i = (int)turn;
    double f = turn - i, a = s->length[i], b = s->length[i + 1];
    double length = a + f * (b - a);
    double g = pow(length * length / (dx * dx + dy * dy + 1e-4), fall);
    f -= 0.5;
    g *= 1 - f * f;
    return g < 0 ? 0 : g > 1 ? 1 : g;
}

void sparkles_reference(struct job *j, uint32_t n, uint8_t *out)
{
    const uint8_t *in = j->rgb + (size_t)n * j->values;
    struct sparkle s[N_SPARKLES];
    for (uint32_t k = 0; k < N_SPARKLES; k++)
        sparkle_draw(j, n, k, s + k);
    for (uint32_t i = 0; i < j->pixels; i++) {
        double left = 1;
        for (uint32_t k = 0; k < N_SPARKLES; k++)
            left *= 1 - light(s + k, i % j->width, i / j->width, 1);
        for (uint32_t c = 0; c < 3; c++)
            out[3 * i + c] = (uint8_t)(255 - left * (255 - in[3 * i + c]));
    }
}

void inverse_sparkles_reference(struct job *j, uint32_t n, uint8_t *out)
{
    const uint8_t *in = j->rgb + (size_t)n * j->values;
    double fall = inverse_fall(j);
    struct sparkle s;
    inverse_draw(j, n, &s);
    for (uint32_t i = 0; i < j->pixels; i++) {
        double left = light(&s, i % j->width, i / j->width, fall);
        for (uint32_t c = 0; c < 3; c++)
            out[3 * i + c] = (uint8_t)(255 - left * (255 - in[3 * i + c]));
    }
}
