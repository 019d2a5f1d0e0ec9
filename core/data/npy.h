/* SPDX-License-Identifier: MIT */
/* NumPy's NPY arrays in row order, little-endian: f2, f4, f8, u1, u2, u4, i4,
 * i8. Format: numpy.lib.format, versions 1 to 3. */
#ifndef CORE_NPY_H
#define CORE_NPY_H

#include "base/base.h"

enum { NPY_SIDES = 4 };

struct npy {
    char type[3];             /* "f4" */
    char shape[48];           /* as in the file, for messages */
    int sides;                /* 0: a single number */
    uint64_t side[NPY_SIDES]; /* at most 2^32 - 1 each */
    uint64_t count;           /* of items; all are in the file */
    const uint8_t *item;      /* in the bytes given, any alignment */
};

bool npy_is(const void *data, size_t n);
mohs_status npy_parse(const char *path, const void *data, size_t n, struct npy *out,
                      struct mohs_error *err);
double npy_value(const struct npy *a, uint64_t i);
/* Whether the items are integers. */
bool npy_whole(const struct npy *a);

#endif
