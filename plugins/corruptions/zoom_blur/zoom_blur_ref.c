/* SPDX-License-Identifier: MIT */
/* Zoom blur in plain C, in single precision like the scripts. */
#include "config.h"

#include "zoom_blur.h"

struct sampler {
    const uint8_t *in;
    int width, height;
};

/* The exact tap in double precision: weights of zoom_tap() are floats. */
static double weight1(const struct zoom_side *z, int i)
{
    double step = z->size > 1 ? (double)(z->count - 1) / (z->size - 1) : 1;
    return i * step - floor(i * step);
}

static float sample(const struct sampler *s, const struct zoom_side *zx,
                    const struct zoom_side *zy, int x, int y, int c)
{
    struct zoom_tap tx = zoom_tap(zx, zx->trim + x),
                    ty = zoom_tap(zy, zy->trim + y);
    double u = weight1(zx, zx->trim + x), v = weight1(zy, zy->trim + y),
           sum = 0;
    if (tx.w0 + tx.w1 == 0 || ty.w0 + ty.w1 == 0)
        return 0;
    for (int b = 0; b < 2; b++)
        for (int a = 0; a < 2; a++) {
            int px = clamp_index(tx.from + a, s->width);
            int py = clamp_index(ty.from + b, s->height);
            double w = (a ? u : 1 - u) * (b ? v : 1 - v);
            sum += w *
                   (double)(float)(s->in[(py * s->width + px) * 3 + c] / 255.0);
        }
    return (float)sum;
}

void zoom_blur_reference(struct job *j, uint32_t n, uint8_t *out)
{
    struct sampler s = { j->rgb + (size_t)n * j->values, (int)j->width,
                         (int)j->height };
    double zoom[ZOOMS_MAX];
    struct zoom_side zx[ZOOMS_MAX], zy[ZOOMS_MAX];
    int zooms = zoom_blur_zooms(j, zoom);
    for (int k = 0; k < zooms; k++) {
        zx[k] = zoom_of(s.width, zoom[k], j->profile);
        zy[k] = zoom_of(s.height, zoom[k], j->profile);
    }
    for (uint32_t i = 0; i < j->values; i++) {
        int x = (int)(i / 3 % j->width), y = (int)(i / j->row),
            c = (int)(i % 3);
        float sum = 0, own = (float)(s.in[i] / 255.0);
        for (int k = 0; k < zooms; k++)
            sum += sample(&s, &zx[k], &zy[k], x, y, c);
        own = (own + sum) / (float)(zooms + 1);
        own = (own < 0 ? 0 : own > 1 ? 1 : own) * 255;
        out[i] = (uint8_t)own;
    }
}
