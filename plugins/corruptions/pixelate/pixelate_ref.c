/* SPDX-License-Identifier: MIT */
/* Pixelate in plain C. */
#include "config.h"

#include "pixelate.h"

/* Value i of a side of which values lie `step` apart. */
static uint8_t boxed(const struct box *b, const uint8_t *p, size_t step,
                     uint32_t i)
{
    int64_t s = 1 << (BOX_BITS - 1);
    for (int k = 0; k < b->count[i]; k++)
        s += (int64_t)p[(size_t)(b->first[i] + k) * step] *
             b->weight[i * b->most + (uint32_t)k];
    s >>= BOX_BITS;
    return (uint8_t)(s > 255 ? 255 : s);
}

void pixelate_reference(struct job *j, uint32_t n, uint8_t *out)
{
    const uint8_t *in = j->rgb + (size_t)n * j->values;
    uint32_t w = pixelate_size(j, j->width), h = pixelate_size(j, j->height);
    struct box across = box_make(j, j->width, w),
               down = box_make(j, j->height, h);
    uint8_t *narrow = job_scratch(j, (size_t)w * 3, j->height);
    uint8_t *small = job_scratch(j, (size_t)w * 3, h);
    int32_t *px = job_scratch(j, j->width, sizeof *px);
    int32_t *py = job_scratch(j, j->height, sizeof *py);
    if (j->st < 0)
        return;
    for (uint32_t y = 0; y < j->height; y++)
        for (uint32_t x = 0; x < w * 3; x++)
            narrow[y * w * 3 + x] =
                boxed(&across, in + (size_t)y * j->row + x % 3, 3, x / 3);
    for (uint32_t y = 0; y < h; y++)
        for (uint32_t x = 0; x < w * 3; x++)
            small[y * w * 3 + x] = boxed(&down, narrow + x, (size_t)w * 3, y);
    pixelate_grow(j, w, j->width, px);
    pixelate_grow(j, h, j->height, py);
    for (uint32_t y = 0; y < j->height; y++)
        for (uint32_t x = 0; x < j->row; x++)
            out[y * j->row + x] =
                small[((uint32_t)py[y] * w + (uint32_t)px[x / 3]) * 3 + x % 3];
}
