/* SPDX-License-Identifier: MIT */
/*
 * Where the files in a tar archive lie, so that they can be read in place.
 * Headers are read and small texts kept; everything else is passed over.
 */
#ifndef CORE_TAR_INDEX_H
#define CORE_TAR_INDEX_H

#include "base/base.h"

struct tar_member {
    const char *name;       /* relative, no "..", no leading "./" */
    uint64_t offset, bytes; /* of its content in the archive */
    const char *text;       /* the content of a .cls, .txt or .json */
};

struct tar_index {
    struct tar_member *member; /* in the archive's order */
    size_t n, cap;
    struct arena *arena; /* owns names and texts */
};

/* Reads the headers of ustar, GNU and pax archives (POSIX.1-2017, "pax";
 * GNU tar manual, "Basic Tar Format"). Fails on links, devices, sparse files,
 * unsafe names and compressed archives: those cannot be read in place. */
mohs_status tar_scan(const char *path, struct tar_index **out,
                     struct mohs_error *err);
mohs_status tar_scan_bytes(const void *data, size_t n, const char *name,
                           struct tar_index **out, struct mohs_error *err);
/* The same through cache_dir()/index, where the index is kept as long as the
 * archive's size and time stay as they are. */
mohs_status tar_index_open(const char *path, struct tar_index **out,
                           struct mohs_error *err);
/* The stored form; NULL when it is damaged or of an archive of another size
 * or time (nanoseconds since 1970). */
void tar_index_pack(const struct tar_index *t, uint64_t size, uint64_t time,
                    struct str *out);
struct tar_index *tar_index_unpack(const void *data, size_t n, uint64_t size,
                                   uint64_t time);
struct tar_index *tar_index_new(void);
struct tar_member *tar_index_add(struct tar_index *t);
void tar_index_free(struct tar_index *t);

#endif
