/* SPDX-License-Identifier: MIT */
/*
 * The directory of a zip archive in memory: where each member's bytes lie.
 * Members are found, never unpacked: what is stored can be mapped.
 */
#ifndef CORE_ZIP_H
#define CORE_ZIP_H

#include "base/base.h"

struct zip_member {
    char *name;
    uint64_t offset, bytes; /* of its data as stored */
    bool stored;            /* false: compressed */
};

struct zip {
    struct zip_member *v; /* by place in the archive */
    const struct zip_member **named; /* by name */
    size_t n;
};

bool zip_is(const uint8_t *data, size_t n);
/* Reads the central directory, zip64 too. Every member must lie inside the
 * archive and overlap no other, names must be unique and plain. `file` is
 * for messages. On failure *out is empty. */
mohs_status zip_open(const uint8_t *data, size_t n, const char *file,
                     struct zip *out, struct mohs_error *err);
void zip_close(struct zip *z);
/* The member of that name, or NULL. */
const struct zip_member *zip_find(const struct zip *z, const char *name);

#endif
