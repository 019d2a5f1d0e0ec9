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
    // cut, not overrun: the prefix comes whole, the old text as far as it fits
    struct str s = { 0 };
    str_addf(&s, "%s: %s", pre, old);
    size_t n = s.n < sizeof err->text ? s.n : sizeof err->text - 1;
    memcpy(err->text, s.s, n);
    err->text[n] = 0;
    str_free(&s);
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
        mohs_status st = MOHS_E_IO;
        char text[sizeof err->text];
        memcpy(text, err->text, sizeof text);
        mohs_fail(err, st, "%s", strerror(e));
        err_prefix(err, st, "%s", text);
        err->native = e;
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
