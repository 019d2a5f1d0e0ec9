/* SPDX-License-Identifier: MIT */
/* Motion blur in plain C and double precision. */
#include "config.h"

#include "motion_blur.h"

void motion_blur_reference(struct job *j, uint32_t n, uint8_t *out)
{
    const uint8_t *in = j->rgb + (size_t)n * j->values;
    int w = (int)j->width, h = (int)j->height;
    // ImageMagick rounds to 1/257 of a byte first
    double up = j->profile == IMAGECORRUPTIONS ? 0 : 0.5 / 257;
    struct motion m;
    motion_blur_taps(j, n, &m);
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w * 3; x++) {
            double s = 0;
            for (int i = 0; i < m.n; i++) {
                int px = clamp_index(x / 3 + m.dx[i], w);
                int py = clamp_index(y + m.dy[i], h);
                s += m.weight[i] * in[(py * w + px) * 3 + x % 3];
            }
            out[y * w * 3 + x] = (uint8_t)fmin(s + up, 255);
        }
}
