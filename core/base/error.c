/* SPDX-License-Identifier: MIT */
/* Error text helpers and the mapping from status to exit code. */
#include "config.h"

#include "base/base.h"

#include <errno.h>
#include <string.h>

mohs_status err_prefix(struct mohs_error *err, mohs_status st, const char *fmt,
                       ...)
{
    if (!err)
        return st;
    char old[sizeof err->text], pre[sizeof err->text];
    memcpy(old, err->text, sizeof old);
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(pre, sizeof pre, fmt, ap);
    va_end(ap);
    err->status = st;
    size_t n = strlen(pre);
    memcpy(err->text, pre, n + 1);
    if (n + 3 < sizeof err->text)
        snprintf(err->text + n, sizeof err->text - n, ": %s", old);
    return st;
}

mohs_status err_errno(struct mohs_error *err, const char *fmt, ...)
{
    int e = errno;
    if (err) {
        va_list ap;
        err->status = MOHS_E_IO;
        err->native = e;
        va_start(ap, fmt);
        vsnprintf(err->text, sizeof err->text, fmt, ap);
        va_end(ap);
        size_t n = strlen(err->text);
        snprintf(err->text + n, sizeof err->text - n, ": %s", strerror(e));
    }
    return MOHS_E_IO;
}

const char *status_name(mohs_status st)
{
    static const char *const names[] = {
        "ok",        "bad argument", "out of memory", "input/output",
        "bad file",  "unsupported",  "device",        "interrupted",
        "plugin",    "not a number",
    };
    size_t i = st >= 0 ? 0 : (size_t)-(int64_t)st;
    return i < sizeof names / sizeof *names ? names[i] : "unknown";
}

int status_exit_code(mohs_status st)
{
    switch (st) {
    case MOHS_E_ARG: return 2;
    case MOHS_E_IO:
    case MOHS_E_FORMAT: return 3;
    case MOHS_E_DEVICE: return 4;
    case MOHS_E_PLUGIN: return 5;
    case MOHS_E_CANCELLED: return 130;
    default: return st >= 0 ? 0 : 1;
    }
}
