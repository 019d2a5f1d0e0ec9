/* SPDX-License-Identifier: MIT */
/* Static inline helpers for plugin authors; nothing here needs linking. */
#ifndef MOHS_UTIL_H
#define MOHS_UTIL_H

#include <stdarg.h>
#include <stdio.h>

#include <mohs/error.h>

/* Fills *err (may be NULL) and returns st: return mohs_fail(err, MOHS_E_ARG,
 * "fog: density %g is outside 0..10", d); */
MOHS_PRINTF(3, 4)
static inline mohs_status mohs_fail(struct mohs_error *err, mohs_status st,
                                    const char *fmt, ...)
{
    if (err) {
        va_list ap;
        err->status = st;
        err->native = 0;
        va_start(ap, fmt);
        vsnprintf(err->text, sizeof err->text, fmt, ap);
        va_end(ap);
    }
    return st;
}

#endif
