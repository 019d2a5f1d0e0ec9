/* SPDX-License-Identifier: MIT */
/*
 * The core's kernel files, embedded at build time. table.clh is made from
 * the list CORE_CL in local.mk; it includes each file's bytes as
 * kernel_<name> and defines KERNEL_FILES(X), one X(name) per file.
 */
#include "config.h"

#include "compute/compute_impl.h"

#include <string.h>

#include "compute/kernels/table.clh"

#define ENTRY(name) { #name, kernel_##name, sizeof kernel_##name },
static const struct {
    const char *name;
    const unsigned char *text;
    size_t n;
} files[] = { KERNEL_FILES(ENTRY) };

bool kernel_source(const char *name, const char **text, size_t *n)
{
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        if (!strcmp(files[i].name, name)) {
            *text = (const char *)files[i].text;
            *n = files[i].n;
            return true;
        }
    }
    return false;
}
