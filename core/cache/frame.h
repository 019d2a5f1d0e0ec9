/* SPDX-License-Identifier: MIT */
/*
 * The format of a shard file, version 1 (all numbers little-endian):
 *
 *   shard   = header (64 bytes) frame*
 *   header  = "MOHSCACH" version:u32 64:u32 reserved[40] sum:u64
 *   frame   = head (64 bytes) keys (16 bytes a row) payload padding
 *   head    = "MOHF" version:u16 codec:u16 dim:u32 n_rows:u32 raw:u64
 *             packed:u64 keys_sum:u64 payload_sum:u64 reserved:u64 sum:u64
 *   payload = one zstd frame (with its own checksum) of n_rows * dim float32,
 *             byte-shuffled: all lowest bytes first, then the next ones
 *
 * Frames start at multiples of 64, so that a reader finds the next one behind
 * a damaged head. Sums are the low half of XXH3-128; the sum of a head covers
 * the bytes before it. Nothing is allocated from a head that does not add up.
 */
#ifndef CORE_CACHE_FRAME_H
#define CORE_CACHE_FRAME_H

#include "base/base.h"

enum {
    FRAME_HEAD = 64,
    FRAME_ALIGN = 64,
    FRAME_MAX_ROWS = 65536,
    FRAME_MAX_RAW = 1 << 30,
    FRAME_VERSION = 1
};

struct frame {
    uint64_t at; /* of its head, from the start of the file */
    uint64_t raw, packed;
    uint64_t keys_sum, payload_sum;
    uint32_t dim, n_rows;
    uint32_t shard; /* index, the cache's business */
    bool damaged;
};

/* Sizes on disk. */
uint64_t frame_payload_at(const struct frame *f);
uint64_t frame_end(const struct frame *f); /* padding included */

void frame_shard_header(uint8_t out[FRAME_HEAD]);

/* Reads a head; false when it is none or lies. `at` is left alone. */
bool frame_head_read(const uint8_t p[FRAME_HEAD], struct frame *f);
void frame_keys_read(const uint8_t *p, uint32_t n, struct hash128 *out);

/* Appends a whole frame (head, keys, payload, padding) to out. */
struct frame_codec;
struct frame_codec *frame_codec_new(void);
void frame_codec_free(struct frame_codec *c);
mohs_status frame_encode(struct frame_codec *c, const struct hash128 *key,
                         const float *row, uint32_t n_rows, uint32_t dim,
                         struct str *out, struct mohs_error *err);
/* payload[0..f->packed) into row[0..n_rows * dim). */
mohs_status frame_decode(struct frame_codec *c, const struct frame *f,
                         const uint8_t *payload, float *row,
                         struct mohs_error *err);

/* What a scan of a shard file found. */
struct shard_scan {
    uint64_t frames, rows, damaged;
    uint64_t tail_bytes; /* of an unfinished last frame */
};
/* Visits the frames of fd by their heads and keys; payloads are not read.
 * Damaged places are counted and skipped. MOHS_E_UNSUPPORTED when the file was
 * written by a newer version. */
mohs_status shard_scan(int fd,
                       void (*visit)(void *user, const struct frame *f,
                                     const struct hash128 *key),
                       void *user, struct shard_scan *out,
                       struct mohs_error *err);
/* pread that goes on after short reads; false at end of file or error. */
bool shard_pread(int fd, void *p, size_t n, uint64_t at);

#endif
