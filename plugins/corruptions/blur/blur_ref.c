/* SPDX-License-Identifier: MIT */
/* The blurs in plain C and double precision. */
#include "config.h"

#include "blur_items.h"

void gaussian_blur_reference(struct job *j, uint32_t n, uint8_t *out)
{
    const uint8_t *in = j->rgb + (size_t)n * j->values;
    struct gauss g;
    double *x = job_scratch(j, j->values, sizeof *x);
    if (!x)
        return;
    gauss_make(&g, gaussian_blur_sigma(j), 4);
    for (uint32_t i = 0; i < j->values; i++)
        x[i] = in[i] / 255.0;
    gauss_reference(j, &g, x, 3);
    for (uint32_t i = 0; i < j->values; i++)
        out[i] = to_byte(x[i]);
}

void defocus_blur_reference(struct job *j, uint32_t n, uint8_t *out)
{
    const uint8_t *in = j->rgb + (size_t)n * j->values;
    int w = (int)j->width, h = (int)j->height, side;
    struct disk d;
    disk_make(j, &d);
    side = 2 * d.half + 1;
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w * 3; x++) {
            double s = 0;
            for (int v = 0; v < side; v++)
                for (int u = 0; u < side; u++) {
                    int px = mirror101(x / 3 + u - d.half, w);
                    int py = mirror101(y + v - d.half, h);
                    s += (double)d.weight[v * side + u] *
                         (in[(py * w + px) * 3 + x % 3] / 255.0);
                }
            out[y * w * 3 + x] = to_byte(s);
        }
}
