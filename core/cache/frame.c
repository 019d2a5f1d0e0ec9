/* SPDX-License-Identifier: MIT */
/* Encoding and decoding of frames, and the scan of a shard file. */
#include "config.h"

#include "cache/frame.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

static const uint8_t shard_magic[8] = "MOHSCACH";
static const uint8_t frame_magic[4] = "MOHF";
enum { CODEC_F32_SHUFFLE_ZSTD = 1, KEY_BYTES = 16, ZSTD_LEVEL = 1 };

static void put_le(uint8_t *p, uint64_t x, int n)
{
    for (int i = 0; i < n; i++)
        p[i] = (uint8_t)(x >> 8 * i);
}

static uint64_t get_le(const uint8_t *p, int n)
{
    uint64_t x = 0;
    for (int i = 0; i < n; i++)
        x |= (uint64_t)p[i] << 8 * i;
    return x;
}

static uint64_t sum64(const void *p, size_t n)
{
    return hash_bytes(p, n).lo;
}

uint64_t frame_payload_at(const struct frame *f)
{
    return f->at + FRAME_HEAD + (uint64_t)f->n_rows * KEY_BYTES;
}

uint64_t frame_end(const struct frame *f)
{
    uint64_t end = frame_payload_at(f) + f->packed;
    return (end + FRAME_ALIGN - 1) / FRAME_ALIGN * FRAME_ALIGN;
}

void frame_shard_header(uint8_t out[FRAME_HEAD])
{
    memset(out, 0, FRAME_HEAD);
    memcpy(out, shard_magic, sizeof shard_magic);
    put_le(out + 8, FRAME_VERSION, 4);
    put_le(out + 12, FRAME_HEAD, 4);
    put_le(out + 56, sum64(out, 56), 8);
}

/* Version of a shard header, 0 when it is damaged. */
static uint32_t shard_version(const uint8_t p[FRAME_HEAD])
{
    if (memcmp(p, shard_magic, sizeof shard_magic) ||
        get_le(p + 56, 8) != sum64(p, 56))
        return 0;
    return (uint32_t)get_le(p + 8, 4);
}

bool frame_head_read(const uint8_t p[FRAME_HEAD], struct frame *f)
{
    if (memcmp(p, frame_magic, sizeof frame_magic) ||
        get_le(p + 56, 8) != sum64(p, 56) || get_le(p + 4, 2) != FRAME_VERSION ||
        get_le(p + 6, 2) != CODEC_F32_SHUFFLE_ZSTD)
        return false;
    f->dim = (uint32_t)get_le(p + 8, 4);
    f->n_rows = (uint32_t)get_le(p + 12, 4);
    f->raw = get_le(p + 16, 8);
    f->packed = get_le(p + 24, 8);
    f->keys_sum = get_le(p + 32, 8);
    f->payload_sum = get_le(p + 40, 8);
    f->damaged = false;
    return f->dim && f->n_rows && f->n_rows <= FRAME_MAX_ROWS &&
           f->raw == (uint64_t)f->n_rows * f->dim * 4 &&
           f->raw <= FRAME_MAX_RAW && f->packed &&
           f->packed <= ZSTD_compressBound((size_t)f->raw);
}

void frame_keys_read(const uint8_t *p, uint32_t n, struct hash128 *out)
{
    for (uint32_t i = 0; i < n; i++, p += KEY_BYTES)
        out[i] = (struct hash128) { get_le(p, 8), get_le(p + 8, 8) };
}

/* ---- payloads -------------------------------------------------------- */

struct frame_codec {
    ZSTD_CCtx *pack;
    ZSTD_DCtx *unpack;
    uint8_t *plane; /* shuffled bytes */
    size_t cap;
};

struct frame_codec *frame_codec_new(void)
{
    return xcalloc(1, sizeof(struct frame_codec));
}

void frame_codec_free(struct frame_codec *c)
{
    if (!c)
        return;
    ZSTD_freeCCtx(c->pack);
    ZSTD_freeDCtx(c->unpack);
    free(c->plane);
    free(c);
}

static mohs_status plane_reserve(struct frame_codec *c, size_t n,
                                 struct mohs_error *err)
{
    if (n <= c->cap)
        return MOHS_OK;
    uint8_t *p = realloc(c->plane, n);
    if (!p)
        return mohs_fail(err, MOHS_E_NOMEM, "cache: no memory for a frame of "
                                            "%zu bytes", n);
    c->plane = p;
    c->cap = n;
    return MOHS_OK;
}

static void shuffle(const float *row, size_t n, uint8_t *p)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t u;
        memcpy(&u, &row[i], 4);
        p[i] = (uint8_t)u;
        p[n + i] = (uint8_t)(u >> 8);
        p[2 * n + i] = (uint8_t)(u >> 16);
        p[3 * n + i] = (uint8_t)(u >> 24);
    }
}

static void unshuffle(const uint8_t *p, size_t n, float *row)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t u = p[i] | (uint32_t)p[n + i] << 8 |
                     (uint32_t)p[2 * n + i] << 16 | (uint32_t)p[3 * n + i] << 24;
        memcpy(&row[i], &u, 4);
    }
}

mohs_status frame_encode(struct frame_codec *c, const struct hash128 *key,
                         const float *row, uint32_t n_rows, uint32_t dim,
                         struct str *out, struct mohs_error *err)
{
    size_t count = (size_t)n_rows * dim, raw = count * 4;
    size_t start = out->n, bound = ZSTD_compressBound(raw);
    size_t keys = (size_t)n_rows * KEY_BYTES;
    if (!c->pack && !(c->pack = ZSTD_createCCtx()))
        return mohs_fail(err, MOHS_E_NOMEM, "cache: no memory for zstd");
    RET_IF_ERR(plane_reserve(c, raw, err));
    shuffle(row, count, c->plane);
    // Growing a str keeps its first n bytes only, so claim the whole now.
    size_t want = start + FRAME_HEAD + keys + bound + FRAME_ALIGN + 1;
    if (out->cap < want) {
        char *p = realloc(out->s, want);
        if (!p)
            return mohs_fail(err, MOHS_E_NOMEM,
                             "cache: no memory for a frame of %zu bytes", raw);
        out->s = p;
        out->cap = want;
    }
    uint8_t *head = (uint8_t *)out->s + start, *k = head + FRAME_HEAD;
    for (uint32_t i = 0; i < n_rows; i++) {
        put_le(k + (size_t)i * KEY_BYTES, key[i].hi, 8);
        put_le(k + (size_t)i * KEY_BYTES + 8, key[i].lo, 8);
    }
    ZSTD_CCtx_setParameter(c->pack, ZSTD_c_compressionLevel, ZSTD_LEVEL);
    ZSTD_CCtx_setParameter(c->pack, ZSTD_c_checksumFlag, 1);
    size_t packed = ZSTD_compress2(c->pack, k + keys, bound, c->plane, raw);
    if (ZSTD_isError(packed))
        return mohs_fail(err, MOHS_E_NOMEM, "cache: zstd: %s",
                         ZSTD_getErrorName(packed));
    memset(head, 0, FRAME_HEAD);
    memcpy(head, frame_magic, sizeof frame_magic);
    put_le(head + 4, FRAME_VERSION, 2);
    put_le(head + 6, CODEC_F32_SHUFFLE_ZSTD, 2);
    put_le(head + 8, dim, 4);
    put_le(head + 12, n_rows, 4);
    put_le(head + 16, raw, 8);
    put_le(head + 24, packed, 8);
    put_le(head + 32, sum64(k, keys), 8);
    put_le(head + 40, sum64(k + keys, packed), 8);
    put_le(head + 56, sum64(head, 56), 8);
    size_t len = FRAME_HEAD + keys + packed;
    size_t pad = (FRAME_ALIGN - len % FRAME_ALIGN) % FRAME_ALIGN;
    memset(head + len, 0, pad + 1);
    out->n = start + len + pad;
    return MOHS_OK;
}

mohs_status frame_decode(struct frame_codec *c, const struct frame *f,
                         const uint8_t *payload, float *row,
                         struct mohs_error *err)
{
    if (sum64(payload, (size_t)f->packed) != f->payload_sum)
        return mohs_fail(err, MOHS_E_FORMAT, "checksum of the payload is wrong");
    if (ZSTD_getFrameContentSize(payload, (size_t)f->packed) != f->raw)
        return mohs_fail(err, MOHS_E_FORMAT, "size of the payload is wrong");
    if (!c->unpack && !(c->unpack = ZSTD_createDCtx()))
        return mohs_fail(err, MOHS_E_NOMEM, "cache: no memory for zstd");
    RET_IF_ERR(plane_reserve(c, (size_t)f->raw, err));
    size_t n = ZSTD_decompressDCtx(c->unpack, c->plane, (size_t)f->raw, payload,
                                   (size_t)f->packed);
    if (ZSTD_isError(n) || n != f->raw)
        return mohs_fail(err, MOHS_E_FORMAT, "zstd: %s",
                         ZSTD_isError(n) ? ZSTD_getErrorName(n) : "short frame");
    unshuffle(c->plane, (size_t)f->raw / 4, row);
    return MOHS_OK;
}

/* ---- scan ------------------------------------------------------------ */

bool shard_pread(int fd, void *p, size_t n, uint64_t at)
{
    uint8_t *q = p;
    while (n) {
        ssize_t got = pread(fd, q, n, (off_t)at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        q += got;
        n -= (size_t)got;
        at += (uint64_t)got;
    }
    return true;
}

/* Offset of the next head that adds up at or after `at`, or `size`. */
static uint64_t resync(int fd, uint64_t at, uint64_t size)
{
    enum { CHUNK = 1 << 16 };
    uint8_t *buf = xmalloc(CHUNK);
    uint64_t found = size;
    while (found == size && at + FRAME_HEAD <= size) {
        size_t n = size - at < CHUNK ? (size_t)(size - at) : CHUNK;
        n -= n % FRAME_ALIGN;
        if (!shard_pread(fd, buf, n, at))
            break;
        for (size_t i = 0; i < n; i += FRAME_ALIGN) {
            struct frame f = { 0 };
            if (frame_head_read(buf + i, &f)) {
                found = at + i;
                break;
            }
        }
        at += n;
    }
    free(buf);
    return found;
}

static bool all_zero(const uint8_t *p, size_t n)
{
    while (n && !*p) {
        p++;
        n--;
    }
    return !n;
}

struct scan_buf {
    uint8_t *raw;
    struct hash128 *key;
};

/* Head, and keys of the frame at f->at, in one read where they are short. */
static bool scan_frame(int fd, struct frame *f, struct scan_buf *b,
                       uint64_t size, bool *head_ok, bool *torn)
{
    enum { GUESS = 8192 };
    uint64_t left = size - f->at;
    size_t n = left < GUESS ? (size_t)left : GUESS;
    *head_ok = *torn = false;
    if (!shard_pread(fd, b->raw, n, f->at))
        return false;
    if (!frame_head_read(b->raw, f)) {
        // A file system that lost the last blocks leaves zeros.
        *torn = all_zero(b->raw, n);
        return false;
    }
    *head_ok = true;
    size_t keys = (size_t)f->n_rows * KEY_BYTES;
    if (frame_payload_at(f) + f->packed > size) {
        *torn = true;
        return false;
    }
    if (FRAME_HEAD + keys > n &&
        !shard_pread(fd, b->raw + n, FRAME_HEAD + keys - n, f->at + n))
        return false;
    if (sum64(b->raw + FRAME_HEAD, keys) != f->keys_sum)
        return false;
    frame_keys_read(b->raw + FRAME_HEAD, f->n_rows, b->key);
    return true;
}

mohs_status shard_scan(int fd,
                       void (*visit)(void *user, const struct frame *f,
                                     const struct hash128 *key),
                       void *user, struct shard_scan *out,
                       struct mohs_error *err)
{
    struct stat sb;
    *out = (struct shard_scan) { 0 };
    if (fstat(fd, &sb))
        return err_errno(err, "shard");
    uint64_t size = (uint64_t)sb.st_size, at = FRAME_HEAD;
    uint8_t head[FRAME_HEAD];
    if (size < FRAME_HEAD) {
        out->tail_bytes = size;
        return MOHS_OK;
    }
    if (!shard_pread(fd, head, sizeof head, 0))
        return err_errno(err, "shard");
    uint32_t version = shard_version(head);
    if (version > FRAME_VERSION)
        return mohs_fail(err, MOHS_E_UNSUPPORTED,
                         "written by a newer mohs (format %u)", version);
    out->damaged = !version;
    struct scan_buf b = {
        xmalloc(FRAME_HEAD + (size_t)FRAME_MAX_ROWS * KEY_BYTES),
        xmalloc((size_t)FRAME_MAX_ROWS * sizeof(struct hash128))
    };
    while (at < size) {
        struct frame f = { .at = at };
        bool head_ok, torn;
        if (size - at < FRAME_HEAD) {
            out->tail_bytes = size - at;
            break;
        }
        if (scan_frame(fd, &f, &b, size, &head_ok, &torn)) {
            out->frames++;
            out->rows += f.n_rows;
            visit(user, &f, b.key);
            at = frame_end(&f);
            continue;
        }
        // Behind a torn frame there may be more, written by a process that
        // went on after an error; normally there is nothing.
        uint64_t next = resync(fd, at + FRAME_ALIGN, size);
        if (head_ok && !torn)
            next = frame_end(&f) < size ? frame_end(&f) : size;
        if (torn && next == size)
            out->tail_bytes = size - at;
        else
            out->damaged++;
        at = next;
    }
    free(b.raw);
    free(b.key);
    return MOHS_OK;
}
