/* SPDX-License-Identifier: MIT */
/*
 * Content-addressed float rows on disk: append-only shard files of zstd
 * frames over byte-shuffled rows, with checksums. A damaged frame is
 * reported, dropped and recomputed. Several processes may share a cache
 * (each writes shards of its own).
 */
#ifndef CORE_CACHE_H
#define CORE_CACHE_H

#include "base/base.h"

struct cache;

/* dir is made. Damaged shards are reported through the log, not fatal. */
mohs_status cache_open(const char *dir, struct cache **out, struct mohs_error *err);
void cache_close(struct cache *c); /* flushes */
/* Row for key into out[0..dim). 1 found, 0 missing, < 0 error. */
int32_t cache_get(struct cache *c, struct hash128 key, float *out, uint32_t dim,
                  struct mohs_error *err);
/* Rows are buffered and written in frames. */
mohs_status cache_put(struct cache *c, struct hash128 key, const float *row,
                      uint32_t dim, struct mohs_error *err);
/* Makes what was put durable. */
mohs_status cache_flush(struct cache *c, struct mohs_error *err);
/* A label for a group of keys ("images of scenes/test, gaussian_noise:3"),
 * stored for `why`: parts is a text of key=value lines. */
mohs_status cache_note(struct cache *c, struct hash128 group, const char *parts,
                       struct mohs_error *err);

struct cache_stat {
    uint64_t shards, frames, rows, file_bytes, raw_bytes, damaged_frames;
};
mohs_status cache_stat(struct cache *c, struct cache_stat *out,
                       struct mohs_error *err);
/* Reads and checks every frame; fills out->damaged_frames. */
mohs_status cache_verify(struct cache *c, struct cache_stat *out,
                         struct mohs_error *err);
/* Rewrites shards without damaged or duplicate rows and, oldest first, until
 * the cache is below max_bytes (0: no limit). */
mohs_status cache_gc(struct cache *c, uint64_t max_bytes, struct cache_stat *out,
                     struct mohs_error *err);
/* Prints to stdout how the two nearest notes differ from `parts`. */
mohs_status cache_why(struct cache *c, const char *parts, struct str *out,
                      struct mohs_error *err);

#endif
