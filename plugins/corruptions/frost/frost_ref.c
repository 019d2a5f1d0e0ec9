/* SPDX-License-Identifier: MIT */
/* Frost in plain C and double precision. */
#include "config.h"

#include "frost.h"

/* Weights of `taps` texture pixels from floor(at) - (taps / 2 - 1) on. */
static void weights(double t, int taps, double *w)
{
    const double a = -0.75;
    if (taps == 2) {
        w[0] = 1 - t;
        w[1] = t;
        return;
    }
    double s = t + 1, u = 1 - t;
    w[0] = ((a * s - 5 * a) * s + 8 * a) * s - 4 * a;
    w[1] = ((a + 2) * t - (a + 3)) * t * t + 1;
    w[2] = ((a + 2) * u - (a + 3)) * u * u + 1;
    w[3] = 1 - w[0] - w[1] - w[2];
}

static double resampled(const struct texture *t, double x, double y, int taps,
                        int c)
{
    double wx[4], wy[4], s = 0;
    int px = (int)floor(x) - (taps / 2 - 1),
        py = (int)floor(y) - (taps / 2 - 1);
    weights(x - floor(x), taps, wx);
    weights(y - floor(y), taps, wy);
    for (int v = 0; v < taps; v++)
        for (int u = 0; u < taps; u++) {
            size_t at = (size_t)clamp_index(py + v, (int)t->height) * t->width +
                        (size_t)clamp_index(px + u, (int)t->width);
            s += wx[u] * wy[v] * t->rgb[3 * at + (size_t)c];
        }
    return fmin(fmax(floor(s + 0.5), 0), 255);
}

void frost_reference(struct job *j, uint32_t n, uint8_t *out)
{
    const uint8_t *in = j->rgb + (size_t)n * j->values;
    struct ice *ice = j->self->own;
    struct frost c = frost_of(j);
    if (!ice->n)
        j->st = ice_grow(ice, j->err);
    if (j->st < 0)
        return;
    struct piece p = frost_piece(j, ice, n);
    const struct texture *t = &ice->texture[p.texture];
    for (uint32_t i = 0; i < j->values; i++) {
        uint32_t x = p.left + i / 3 % j->width, y = p.top + i / j->row;
        double s = p.how == ICE_AS_IT_IS
                       ? t->rgb[3 * ((size_t)y * t->width + x) + i % 3]
                       : resampled(t, (x + 0.5) * p.step_x - 0.5,
                                   (y + 0.5) * p.step_y - 0.5,
                                   p.how == ICE_CUBIC ? 4 : 2, (int)(i % 3));
        s = c.picture * in[i] + c.ice * s;
        out[i] = (uint8_t)(s > 255 ? 255 : s);
    }
}
