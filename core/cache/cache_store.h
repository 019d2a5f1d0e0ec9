/* SPDX-License-Identifier: MIT */
/* The inside of a cache, shared by the files of this room only. */
#ifndef CORE_CACHE_STORE_H
#define CORE_CACHE_STORE_H

#include <pthread.h>

#include "cache/cache.h"
#include "cache/frame.h"

/*
 * A shard that is being written is called <time>-<host>-<pid>-<n>.open and
 * gets the suffix .shard when its writer is done. The time (16 hex digits,
 * ns) in front makes the order of names the order of age. An .open file whose
 * process is gone is taken over by whoever sees it.
 */
#define SHARD_DONE ".shard"
#define SHARD_OPEN ".open"

struct shard {
    char *name; /* without suffix */
    int fd;     /* -1: closed */
    bool live;  /* another process's, or a newer version's: left alone */
    bool gone;  /* removed by another process */
    uint64_t bytes, damaged;
};

/* Where a row is. */
struct row_ref {
    struct hash128 key;
    uint32_t frame; /* ROW_PENDING + i: in pending buffer i */
    uint32_t row;
};

enum {
    ROW_PENDING = 0xFFFFFFF0u,
    PENDING_MAX = 4,       /* row lengths being collected at a time */
    PENDING_BYTES = 1 << 18, /* a frame's rows */
    FD_MAX = 48
};

struct pending {
    uint32_t dim, n, cap;
    struct hash128 *key;
    float *row;
    uint32_t *ref; /* index into refs */
};

struct decoded {
    uint32_t frame;
    uint64_t used; /* clock */
    float *row;
};

struct cache {
    pthread_mutex_t lock;
    char *dir;
    struct frame_codec *codec;
    struct shard *shard;
    uint32_t n_shards, cap_shards;
    struct frame *frame;
    uint32_t n_frames, cap_frames;
    struct row_ref *ref;
    uint32_t n_refs, cap_refs;
    uint32_t *slot; /* open addressing: index into ref + 1, 0: free */
    uint64_t n_slots;
    struct pending pending[PENDING_MAX];
    int writer; /* fd, -1: none yet */
    uint32_t writer_shard;
    uint64_t writer_at;
    struct decoded lru[256];
    uint64_t lru_bytes, clock;
};

/* All of these are called with the lock held. */
mohs_status store_load(struct cache *c, struct mohs_error *err);
void store_unload(struct cache *c);
/* Writes the pending rows; with `finish` the writer's shard is closed and
 * renamed as well. */
mohs_status store_flush(struct cache *c, bool finish, struct mohs_error *err);
struct row_ref *store_find(struct cache *c, struct hash128 key);
/* A descriptor for reading, -1 when the file is gone. */
int store_shard_fd(struct cache *c, uint32_t shard);
/* Rows of a frame, borrowed until the next call. 1 found, 0 lost (reported
 * once), < 0 error. */
int32_t store_rows(struct cache *c, uint32_t frame, const float **row,
                   struct mohs_error *err);
/* "<dir>/<name><suffix>", fresh. */
char *store_path(const struct cache *c, const char *name, const char *suffix);
/* A fresh name with this time in front. */
char *store_name(uint64_t time_ns);
uint64_t store_time(const char *name); /* the time in a name */

#endif
