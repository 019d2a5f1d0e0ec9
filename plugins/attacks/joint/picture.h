/* SPDX-License-Identifier: MIT */
/*
 * The image side of joint attacks: sign steps on pixels against a pull, with
 * the picture also seen at other scales, each with noise of its own. What the
 * last step left is the result, as in the authors' code.
 */
#ifndef ATTACKS_PICTURE_H
#define ATTACKS_PICTURE_H

#include "../common/pull.h"
#include "../common/view.h"

enum { SCALES_MAX = 8 };

struct scales {
    double of[SCALES_MAX];
    uint32_t n;
};

struct picture_climb {
    const char *what;
    struct mohs_victim *v; /* of images */
    struct pull pull;
    double eps, alpha; /* pixels in 0..1 */
    uint32_t steps;
    int one_sided; /* starts in [0, eps], not [-eps, eps] */
    struct scales scales;
    double noise; /* standard deviation, at every scale but the picture's own */
    uint64_t seed;
    int keep; /* after a kill it goes on where it was */
};

/* "0.5,1.25": above 0, at most 4, up to SCALES_MAX; "" is none. */
mohs_status scales_read(const char *list, const char *what, struct scales *out,
                        struct mohs_error *err);
mohs_status picture_climb(const struct picture_climb *c, struct mohs_error *err);

#endif
