/* SPDX-License-Identifier: MIT */
/*
 * JPEG compression of ImageNet-C: encoded and decoded in memory. Runs on the
 * host: the codec is the definition.
 */
#include "config.h"

#include "../common/corruption.h"

static const int quality[3][5] = {
    { 25, 18, 15, 10, 7 },
    { 65, 58, 50, 40, 25 },
    { 80, 65, 58, 50, 40 },
};

static void picture(struct job *j, uint32_t i, uint8_t *out)
{
    j->st = jpeg_round_trip("jpeg_compression", j->rgb + (size_t)i * j->values,
                            out, j->width, j->height,
                            quality[make_of(j)][j->level], j->err);
}

static const struct corruption jpeg_compression_corruption = {
    .id = "jpeg_compression",
    .reference = picture,
};
CORRUPTION_ITEM(jpeg_compression, 0, "JPEG at low quality (ImageNet-C)");
CORRUPTION_PLUGIN("mohs.jpeg_compression", "JPEG compression",
                  &jpeg_compression_item)
