/* SPDX-License-Identifier: MIT */
/* "mohs.scratch/1": memory that dies with the current call. */
#ifndef MOHS_EXT_SCRATCH_H
#define MOHS_EXT_SCRATCH_H

#include <mohs/host.h>

#define MOHS_EXT_SCRATCH "mohs.scratch/1"

struct mohs_scratch_api {
    uint32_t size;
    /* 64-byte aligned, not cleared, freed by the host after the plugin call
     * during which it was taken; NULL when there is no memory.
     * [any thread that the host called the plugin on] */
    void *(*alloc)(const struct mohs_host *host, size_t bytes);
};

#endif
