/* SPDX-License-Identifier: MIT */
/* "mohs.log/1": messages through the host. */
#ifndef MOHS_EXT_LOG_H
#define MOHS_EXT_LOG_H

#include <mohs/host.h>

#define MOHS_EXT_LOG "mohs.log/1"

enum { MOHS_LOG_DEBUG = 0, MOHS_LOG_INFO, MOHS_LOG_WARN, MOHS_LOG_ERROR };

struct mohs_log_api {
    uint32_t size;
    /* One line, no newline at its end. [any thread] */
    void (*message)(const struct mohs_host *host, int32_t level,
                    const char *text);
};

#endif
