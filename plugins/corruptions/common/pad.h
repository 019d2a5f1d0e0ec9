/* SPDX-License-Identifier: MIT */
/* Bordered copies of the batch through pad.cl. */
#ifndef CORRUPTIONS_PAD_H
#define CORRUPTIONS_PAD_H

#include "corruption.h"

struct padded {
    struct mohs_buffer *bytes;
    uint32_t pitch, height;
};

/* n pictures of width x height pixels, to `slot`. */
static inline struct padded pad_pictures(struct job *j, int slot,
                                         struct mohs_buffer *in, uint32_t width,
                                         uint32_t height, uint32_t channels,
                                         uint32_t rx, uint32_t ry, int mirror)
{
    struct padded p = { .pitch = ((width + 2 * rx) * channels + 31) / 16 * 16,
                        .height = height + 2 * ry };
    p.bytes =
        job_buffer(j, slot, (size_t)j->n * p.pitch * p.height + DEVICE_SLACK);
    job_run(j, "pad_bytes", p.height, j->n, 1, BUF(in), BUF(p.bytes),
            U32(width), U32(height), U32(channels), U32(rx), U32(ry),
            U32(p.pitch), I32(mirror));
    return p;
}

#endif
