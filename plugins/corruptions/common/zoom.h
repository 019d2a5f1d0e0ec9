/* SPDX-License-Identifier: MIT */
/*
 * The "clipped zoom" along one side: the middle ceil(n / zoom) pixels
 * enlarged by scipy.ndimage.zoom of order 1 to round(that * zoom), of which
 * the scripts keep the middle n and the package the first n.
 */
#ifndef CORRUPTIONS_ZOOM_H
#define CORRUPTIONS_ZOOM_H

#include "corruption.h"

struct zoom_side {
    int first, count; /* pixels enlarged */
    int size;         /* what they become */
    int trim;         /* of that, left out in front */
};

/* From pixel `from` and the next; weights are 0 where SciPy's coordinate
 * falls out of the picture by rounding. */
struct zoom_tap {
    int32_t from;
    float w0, w1;
};

static inline struct zoom_side zoom_of(int n, double zoom, enum profile profile)
{
    struct zoom_side z = { .count = (int)ceil(n / zoom) };
    z.first = (n - z.count) / 2;
    z.size = (int)rint(z.count * zoom);
    z.trim = profile == IMAGECORRUPTIONS ? 0 : (z.size - n) / 2;
    return z;
}

/* Pixel i of the whole enlarged side. */
static inline struct zoom_tap zoom_tap(const struct zoom_side *z, int i)
{
    double step = z->size > 1 ? (double)(z->count - 1) / (z->size - 1) : 1;
    double at = i * step, whole = floor(at), t = at - whole;
    struct zoom_tap tap = { z->first + (int)whole, (float)(1 - t), (float)t };
    if (at > z->count - 1 || i >= z->size) {
        tap.from = z->first;
        tap.w0 = tap.w1 = 0;
    }
    return tap;
}

#endif
