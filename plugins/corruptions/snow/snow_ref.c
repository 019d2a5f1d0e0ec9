/* SPDX-License-Identifier: MIT */
/* Snow in plain C and double precision. */
#include "config.h"

#include "snow.h"

static double fraction(const struct zoom_side *z, int i)
{
    double at = i * (z->size > 1 ? (double)(z->count - 1) / (z->size - 1) : 1);
    return at - floor(at);
}

/* Pixel (x, y) of the enlarged field. */
static double flake(const struct job *j, uint64_t key,
                    const struct snow_layer *l, int x, int y)
{
    struct snow c = snow_of(j);
    struct zoom_tap tx = zoom_tap(&l->zx, l->zx.trim + x);
    struct zoom_tap ty = zoom_tap(&l->zy, l->zy.trim + y);
    double u = fraction(&l->zx, l->zx.trim + x),
           v = fraction(&l->zy, l->zy.trim + y);
    double sum = 0;
    if (tx.w0 + tx.w1 == 0 || ty.w0 + ty.w1 == 0)
        return 0;
    for (int b = 0; b < 2; b++)
        for (int a = 0; a < 2; a++) {
            int px = clamp_index(tx.from + a, (int)j->width);
            int py = clamp_index(ty.from + b, (int)j->height);
            uint64_t at = (uint64_t)py * j->width + (uint64_t)px;
            double z =
                mohs_rng_normal(mohs_rng_fork(j->seed, SNOW_FIELD), key, at);
            sum += (a ? u : 1 - u) * (b ? v : 1 - v) * (c.loc + c.scale * z);
        }
    return sum;
}

static uint8_t *fallen(struct job *j, uint32_t n)
{
    struct snow c = snow_of(j);
    struct snow_layer l = snow_layer_of(j);
    int scripts = j->profile != IMAGECORRUPTIONS;
    struct motion m;
    double *layer =
        job_scratch(j, (size_t)l.width * (size_t)l.height, sizeof *layer);
    uint8_t *out = job_scratch(j, j->pixels, 1);
    if (!layer || !out)
        return NULL;
    for (int y = 0; y < l.height; y++)
        for (int x = 0; x < l.width; x++) {
            double s = flake(j, j->key[n], &l, x, y);
            s = s < c.threshold ? 0 : fmin(fmax(s, 0), 1);
            layer[y * l.width + x] = scripts ? floor(s * 255) : s * 255;
        }
    snow_taps(j, n, &m);
    for (int i = 0; i < (int)j->pixels; i++) {
        int x = i % (int)j->width, y = i / (int)j->width;
        double s = 0;
        for (int k = 0; k < m.n; k++)
            s += m.weight[k] *
                 layer[clamp_index(y + m.dy[k], l.height) * l.width +
                       clamp_index(x + m.dx[k], l.width)];
        out[i] = (uint8_t)fmin(scripts ? s + 0.5 / 257 : rint(s), 255);
    }
    return out;
}

void snow_reference(struct job *j, uint32_t n, uint8_t *out)
{
    const uint8_t *in = j->rgb + (size_t)n * j->values;
    double keep = snow_of(j).keep;
    uint8_t *f = fallen(j, n);
    for (uint32_t i = 0; f && i < j->pixels; i++) {
        const uint8_t *p = in + 3 * (size_t)i;
        double grey = (0.299 * p[0] + 0.587 * p[1] + 0.114 * p[2]) / 255;
        for (int k = 0; k < 3; k++) {
            double x = p[k] / 255.0;
            x = keep * x + (1 - keep) * fmax(x, grey * 1.5 + 0.5);
            out[3 * (size_t)i + (size_t)k] =
                to_byte(x + f[i] / 255.0 + f[j->pixels - 1 - i] / 255.0);
        }
    }
}
