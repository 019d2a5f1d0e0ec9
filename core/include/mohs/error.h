/* SPDX-License-Identifier: MIT */
/*
 * Status codes and the caller-owned error record.
 *
 * Every fallible function returns a mohs_status and takes a struct mohs_error
 * pointer, which may be NULL. On failure it holds one line: lower case, no
 * newline, naming the object and the value ("fog: density 12.5 is outside
 * 0..10"). On success its content is unspecified.
 */
#ifndef MOHS_ERROR_H
#define MOHS_ERROR_H

#include <mohs/abi.h>

/* >= 0 is success. The values never change. */
typedef int32_t mohs_status;

enum {
    MOHS_OK = 0,
    MOHS_E_ARG = -1,         /* the caller's argument or parameter is wrong */
    MOHS_E_NOMEM = -2,       /* out of memory, on the host or the device */
    MOHS_E_IO = -3,          /* a file could not be read or written */
    MOHS_E_FORMAT = -4,      /* a file is damaged or not what it claims */
    MOHS_E_UNSUPPORTED = -5, /* a power that this host or device lacks */
    MOHS_E_DEVICE = -6,      /* OpenCL failed; native holds the cl_int */
    MOHS_E_CANCELLED = -7,   /* interrupted by the user */
    MOHS_E_PLUGIN = -8,      /* a plugin is missing or broke its contract */
    MOHS_E_NUMERIC = -9      /* NaN or infinity where none may be */
};

struct mohs_error {
    uint32_t size; /* sizeof(struct mohs_error) of whoever allocated it */
    mohs_status status;
    int32_t native; /* errno, cl_int, ZSTD_ErrorCode, or 0 */
    char text[244];
};

#define MOHS_ERROR_INIT { sizeof(struct mohs_error), 0, 0, { 0 } }

#endif
