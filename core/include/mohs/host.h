/* SPDX-License-Identifier: MIT */
/*
 * What a plugin gets from the program that loaded it. All powers are
 * queries: get_extension("mohs.compute/1") returns a table of functions or
 * NULL. An id carries its revision and never changes meaning.
 */
#ifndef MOHS_HOST_H
#define MOHS_HOST_H

#include <mohs/abi.h>

struct mohs_host {
    uint32_t size;
    uint32_t abi;        /* of the host */
    const char *version; /* "0.1.0" */
    void *ctx;           /* the host's own */
    /* The table for `id`, valid until the plugin's exit(), or NULL.
     * [any thread] */
    const void *(*get_extension)(const struct mohs_host *host, const char *id);
};

#endif
