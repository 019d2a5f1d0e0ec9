/* SPDX-License-Identifier: MIT */
/* Finding devices without risking this process; see probe.c. */
#ifndef CORE_COMPUTE_PROBE_H
#define CORE_COMPUTE_PROBE_H

#include "compute/compute_impl.h"

#define PROBE_MAX 32 /* platforms, and devices of one platform */

struct probed {
    struct device_report r;
    uint32_t platform_index, device_index;
};

/* The devices of this machine. `deep` also compiles and runs a kernel on
 * each. The list is made once per process and kind, and borrowed. */
mohs_status probe_devices(bool deep, const struct probed **out, size_t *n,
                          struct mohs_error *err);

#endif
