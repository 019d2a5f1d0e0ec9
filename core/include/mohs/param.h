/* SPDX-License-Identifier: MIT */
/*
 * Parameter tables. An item declares each parameter once; the host checks
 * ranges, fills the item's own struct through `offset`, and derives Lua
 * arguments, `mohs info`, documentation and cache keys from the same table.
 */
#ifndef MOHS_PARAM_H
#define MOHS_PARAM_H

#include <mohs/abi.h>

enum {
    MOHS_P_INT = 1, /* int32_t */
    MOHS_P_FLOAT,   /* float */
    MOHS_P_BOOL,    /* int32_t, 0 or 1 */
    MOHS_P_CHOICE,  /* int32_t, index into choices */
    MOHS_P_STRING,  /* const char *, never NULL, owned by the host, lives as
                       long as the instance */
    MOHS_P_INTS,    /* struct mohs_ints: a short list of integers; min and
                       max bound each element, default from def_text "1,5" */
    MOHS_P_PATHS        /* as MOHS_P_STRING: files and directories, parted by
                           colons, that the item reads. Cache keys and results
                           count their content (of a directory: of the files
                           directly in it). */
};

#define MOHS_INTS_MAX 16
struct mohs_ints {
    int32_t n, v[MOHS_INTS_MAX];
};

struct mohs_param {
    const char *name; /* [a-z][a-z0-9_]* */
    const char *doc;  /* one line: meaning, unit, source */
    uint32_t type;    /* MOHS_P_* */
    uint32_t offset;  /* offsetof() in the item's parameter struct */
    double def, min, max;       /* numbers; choice: def is the index */
    const char *const *choices; /* MOHS_P_CHOICE: NULL-terminated */
    const char *def_text;       /* MOHS_P_STRING, _PATHS and _INTS */
};

#endif
