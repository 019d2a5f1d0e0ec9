/* SPDX-License-Identifier: MIT */
/* Crops and mirror images. */
#include "config.h"

#include "train/augment.h"

#include <ctype.h>
#include <math.h>
#include <string.h>
#include <strings.h>

#include <mohs/rng.h>

enum { FOR_CROP = 3, FOR_FLIP };

bool says_side(const char *text)
{
    for (const char *p = text; *p; p++) {
        bool inside = p > text && isalpha((unsigned char)p[-1]);
        if (!inside && (!strncasecmp(p, "left", 4) || !strncasecmp(p, "right", 5)))
            return true;
    }
    return false;
}

static mohs_status crop(struct image *im, float crop_min, uint64_t seed, uint64_t key,
                        uint64_t draw, struct mohs_error *err)
{
    struct image cut, out;
    float area = crop_min + (1 - crop_min) * mohs_rng_uniform(seed, key, 4 * draw);
    float side = sqrtf(area);
    uint32_t w = (uint32_t)lrintf(side * (float)im->width);
    uint32_t h = (uint32_t)lrintf(side * (float)im->height);
    if (w >= im->width && h >= im->height)
        return MOHS_OK;
    w = w ? w : 1;
    h = h ? h : 1;
    uint32_t x = mohs_rng_below(seed, key, 4 * draw + 1, im->width - w + 1);
    uint32_t y = mohs_rng_below(seed, key, 4 * draw + 2, im->height - h + 1);
    RET_IF_ERR(image_crop(im, (int32_t)x, (int32_t)y, w, h, &cut, err));
    mohs_status st = image_resize(&cut, im->width, im->height, FILTER_BICUBIC, &out, err);
    image_free(&cut);
    if (st < 0)
        return st;
    memcpy(im->rgb, out.rgb, (size_t)im->width * im->height * 3);
    image_free(&out);
    return MOHS_OK;
}

mohs_status augment(struct image *im, float crop_min, bool flip, uint64_t seed,
                    uint64_t key, uint32_t draw, struct mohs_error *err)
{
    if (crop_min < 1)
        RET_IF_ERR(crop(im, crop_min, mohs_rng_fork(seed, FOR_CROP), key, draw, err));
    if (flip && mohs_rng_u32(mohs_rng_fork(seed, FOR_FLIP), key, draw) & 1)
        image_flip(im);
    return MOHS_OK;
}
