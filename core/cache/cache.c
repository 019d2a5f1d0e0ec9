/* SPDX-License-Identifier: MIT */
/*
 * The store: index in memory, rows from decoded frames, one writer shard per
 * process. No file is ever locked and none is changed after it was written,
 * so any number of processes may share the directory.
 */
#include "config.h"

#include "cache/cache.h"
#include "cache/cache_store.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { LRU_BYTES = 64 << 20, LRU_N = 256 };
/* Another machine's unfinished shard counts as abandoned after a day. */
enum { ABANDONED_S = 24 * 3600 };

/* ---- names ----------------------------------------------------------- */

char *store_path(const struct cache *c, const char *name, const char *suffix)
{
    size_t n = strlen(c->dir);
    return xasprintf("%s%s%s%s", c->dir, n && c->dir[n - 1] == '/' ? "" : "/",
                     name, suffix);
}

static uint32_t host_id(void)
{
    char host[256] = { 0 };
    gethostname(host, sizeof host - 1);
    return (uint32_t)hash_str64(host);
}

char *store_name(uint64_t time_ns)
{
    static uint32_t count;
    return xasprintf("%016" PRIx64 "-%08" PRIx32 "-%ld-%u", time_ns, host_id(),
                     (long)getpid(), __atomic_fetch_add(&count, 1,
                                                        __ATOMIC_RELAXED));
}

uint64_t store_time(const char *name)
{
    return strtoull(name, NULL, 16);
}

/* True when the process that writes this .open file may still run. */
static bool writer_lives(const char *name, time_t changed)
{
    uint32_t host;
    long pid;
    if (sscanf(name, "%*16[0-9a-f]-%8" SCNx32 "-%ld-", &host, &pid) != 2)
        return false;
    if (host == host_id())
        return pid > 0 && (!kill((pid_t)pid, 0) || errno == EPERM);
    return time(NULL) - changed < ABANDONED_S;
}

/* ---- index ----------------------------------------------------------- */

static uint64_t slot_of(const struct cache *c, struct hash128 key)
{
    uint64_t i = key.lo & (c->n_slots - 1);
    while (c->slot[i]) {
        const struct hash128 *k = &c->ref[c->slot[i] - 1].key;
        if (k->lo == key.lo && k->hi == key.hi)
            break;
        i = (i + 1) & (c->n_slots - 1);
    }
    return i;
}

struct row_ref *store_find(struct cache *c, struct hash128 key)
{
    if (!c->n_slots)
        return NULL;
    uint32_t s = c->slot[slot_of(c, key)];
    return s ? &c->ref[s - 1] : NULL;
}

static void index_grow(struct cache *c)
{
    free(c->slot);
    c->n_slots = c->n_slots ? 2 * c->n_slots : 1024;
    c->slot = xcalloc(c->n_slots, sizeof *c->slot);
    for (uint32_t i = 0; i < c->n_refs; i++)
        c->slot[slot_of(c, c->ref[i].key)] = i + 1;
}

/* The reference of key, made when missing; its place is the caller's to set. */
static uint32_t index_add(struct cache *c, struct hash128 key)
{
    if ((uint64_t)c->n_refs * 2 >= c->n_slots)
        index_grow(c);
    uint64_t s = slot_of(c, key);
    if (c->slot[s])
        return c->slot[s] - 1;
    if (c->n_refs == c->cap_refs) {
        c->cap_refs = c->cap_refs ? 2 * c->cap_refs : 1024;
        c->ref = xrealloc(c->ref, c->cap_refs * sizeof *c->ref);
    }
    c->ref[c->n_refs].key = key;
    c->slot[s] = ++c->n_refs;
    return c->n_refs - 1;
}

static bool ref_lost(const struct cache *c, const struct row_ref *r)
{
    return r->frame < ROW_PENDING && c->frame[r->frame].damaged;
}

static uint32_t frame_add(struct cache *c, const struct frame *f)
{
    if (c->n_frames == c->cap_frames) {
        c->cap_frames = c->cap_frames ? 2 * c->cap_frames : 64;
        c->frame = xrealloc(c->frame, c->cap_frames * sizeof *c->frame);
    }
    c->frame[c->n_frames] = *f;
    return c->n_frames++;
}

/* ---- loading --------------------------------------------------------- */

struct loading {
    struct cache *c;
    uint32_t shard;
};

static void load_frame(void *user, const struct frame *f,
                       const struct hash128 *key)
{
    struct loading *l = user;
    struct frame own = *f;
    own.shard = l->shard;
    uint32_t id = frame_add(l->c, &own);
    for (uint32_t i = 0; i < f->n_rows; i++) {
        // The latest copy wins: it was made because an older one was damaged.
        uint32_t r = index_add(l->c, key[i]);
        l->c->ref[r].frame = id;
        l->c->ref[r].row = i;
    }
}

static uint32_t shard_add(struct cache *c, char *name, int fd)
{
    if (c->n_shards == c->cap_shards) {
        c->cap_shards = c->cap_shards ? 2 * c->cap_shards : 16;
        c->shard = xrealloc(c->shard, c->cap_shards * sizeof *c->shard);
    }
    c->shard[c->n_shards] = (struct shard) { .name = name, .fd = fd };
    return c->n_shards++;
}

static void fds_trim(struct cache *c, uint32_t keep)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < c->n_shards; i++)
        n += c->shard[i].fd >= 0;
    for (uint32_t i = 0; i < c->n_shards && n > FD_MAX; i++) {
        if (i == keep || c->shard[i].fd < 0 || c->shard[i].fd == c->writer)
            continue;
        close(c->shard[i].fd);
        c->shard[i].fd = -1;
        n--;
    }
}

int store_shard_fd(struct cache *c, uint32_t shard)
{
    struct shard *s = &c->shard[shard];
    static const char *const suffix[] = { SHARD_OPEN, SHARD_DONE };
    for (int i = 0; s->fd < 0 && !s->gone && i < 2; i++) {
        char *path = store_path(c, s->name, suffix[i]);
        s->fd = open(path, O_RDONLY | O_CLOEXEC);
        free(path);
    }
    if (s->fd < 0)
        s->gone = true;
    else
        fds_trim(c, shard);
    return s->fd;
}

/* Scans one file into the index. An unreadable one is reported, not fatal. */
static void load_shard(struct cache *c, const char *file)
{
    bool open_name = str_ends(file, SHARD_OPEN);
    const char *suffix = open_name ? SHARD_OPEN : SHARD_DONE;
    char *name = xasprintf("%.*s", (int)(strlen(file) - strlen(suffix)), file);
    uint32_t i = shard_add(c, name, -1);
    int fd = store_shard_fd(c, i);
    struct stat sb;
    if (fd < 0 || fstat(fd, &sb))
        return;
    struct shard *s = &c->shard[i];
    s->bytes = (uint64_t)sb.st_size;
    s->live = open_name && writer_lives(file, sb.st_mtime);
    struct loading l = { c, i };
    struct shard_scan scan;
    struct mohs_error e = MOHS_ERROR_INIT;
    if (shard_scan(fd, load_frame, &l, &scan, &e) < 0) {
        log_warn("cache: %s: %s; left out", file, e.text);
        s->live = true; // not ours to touch
        return;
    }
    s->damaged = scan.damaged;
    if (scan.damaged)
        log_warn("cache: %s: %" PRIu64 " damaged frames; their rows are "
                 "computed again", file, scan.damaged);
    if (!open_name || s->live)
        return;
    char *from = store_path(c, name, SHARD_OPEN);
    char *to = store_path(c, name, SHARD_DONE);
    if (!rename(from, to) && scan.tail_bytes)
        log_info("cache: %s: an interrupted run left %" PRIu64 " bytes of an "
                 "unfinished frame; ignored", file, scan.tail_bytes);
    free(from);
    free(to);
}

mohs_status store_load(struct cache *c, struct mohs_error *err)
{
    char **file = NULL;
    size_t n;
    RET_IF_ERR(dir_list(c->dir, &file, &n, err));
    for (size_t i = 0; i < n; i++)
        if (str_ends(file[i], SHARD_OPEN) || str_ends(file[i], SHARD_DONE))
            load_shard(c, file[i]);
    strv_free(file);
    return MOHS_OK;
}

void store_unload(struct cache *c)
{
    for (uint32_t i = 0; i < c->n_shards; i++) {
        if (c->shard[i].fd >= 0)
            close(c->shard[i].fd);
        free(c->shard[i].name);
    }
    for (int i = 0; i < LRU_N; i++)
        free(c->lru[i].row);
    memset(c->lru, 0, sizeof c->lru);
    free(c->slot);
    c->slot = NULL;
    c->n_slots = c->lru_bytes = 0;
    c->n_shards = c->n_frames = c->n_refs = 0;
}

mohs_status cache_open(const char *dir, struct cache **out,
                       struct mohs_error *err)
{
    RET_IF_ERR(dir_make(dir, err));
    struct cache *c = xcalloc(1, sizeof *c);
    pthread_mutex_init(&c->lock, NULL);
    c->dir = xstrdup(dir);
    c->codec = frame_codec_new();
    c->writer = -1;
    mohs_status st = store_load(c, err);
    if (st < 0) {
        cache_close(c);
        return err_prefix(err, st, "cache");
    }
    *out = c;
    return MOHS_OK;
}

void cache_close(struct cache *c)
{
    if (!c)
        return;
    struct mohs_error e = MOHS_ERROR_INIT;
    if (store_flush(c, true, &e) < 0)
        log_warn("%s", e.text);
    store_unload(c);
    for (int i = 0; i < PENDING_MAX; i++) {
        free(c->pending[i].key);
        free(c->pending[i].row);
        free(c->pending[i].ref);
    }
    free(c->shard);
    free(c->frame);
    free(c->ref);
    frame_codec_free(c->codec);
    free(c->dir);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

/* ---- reading --------------------------------------------------------- */

static void lru_drop(struct cache *c, struct decoded *d)
{
    c->lru_bytes -= c->frame[d->frame].raw;
    free(d->row);
    d->row = NULL;
}

/* An empty place for a frame of `bytes`. */
static struct decoded *lru_place(struct cache *c, uint64_t bytes)
{
    for (;;) {
        struct decoded *empty = NULL, *old = NULL;
        for (int i = 0; i < LRU_N; i++) {
            struct decoded *d = &c->lru[i];
            if (!d->row)
                empty = d;
            else if (!old || d->used < old->used)
                old = d;
        }
        if (empty && (!old || c->lru_bytes + bytes <= LRU_BYTES))
            return empty;
        lru_drop(c, old);
    }
}

static int32_t frame_lost(struct cache *c, struct frame *f, const char *why)
{
    f->damaged = true;
    if (why) {
        c->shard[f->shard].damaged++;
        log_warn("cache: %s: frame at byte %" PRIu64 ": %s; its %" PRIu32
                 " rows are computed again", c->shard[f->shard].name, f->at,
                 why, f->n_rows);
    }
    return 0;
}

int32_t store_rows(struct cache *c, uint32_t frame, const float **row,
                   struct mohs_error *err)
{
    struct frame *f = &c->frame[frame];
    for (int i = 0; i < LRU_N; i++) {
        if (c->lru[i].row && c->lru[i].frame == frame) {
            c->lru[i].used = ++c->clock;
            *row = c->lru[i].row;
            return 1;
        }
    }
    if (f->damaged)
        return 0;
    int fd = store_shard_fd(c, f->shard);
    if (fd < 0) // collected by another process
        return frame_lost(c, f, NULL);
    uint8_t *packed = try_aligned((size_t)f->packed, "cache frame", err);
    float *rows = packed ? try_aligned((size_t)f->raw, "cache frame", err) : NULL;
    if (!rows) {
        free(packed);
        return MOHS_E_NOMEM;
    }
    struct mohs_error e = MOHS_ERROR_INIT;
    mohs_status st = MOHS_OK;
    if (!shard_pread(fd, packed, (size_t)f->packed, frame_payload_at(f)))
        st = mohs_fail(&e, MOHS_E_FORMAT, "could not be read");
    else
        st = frame_decode(c->codec, f, packed, rows, &e);
    free(packed);
    if (st < 0) {
        free(rows);
        if (st == MOHS_E_NOMEM)
            return mohs_fail(err, st, "%s", e.text);
        return frame_lost(c, f, e.text);
    }
    struct decoded *d = lru_place(c, f->raw);
    *d = (struct decoded) { frame, ++c->clock, rows };
    c->lru_bytes += f->raw;
    *row = rows;
    return 1;
}

static int32_t get_locked(struct cache *c, struct hash128 key, float *out,
                          uint32_t dim, struct mohs_error *err)
{
    const struct row_ref *r = store_find(c, key);
    if (!r)
        return 0;
    const float *rows;
    uint32_t have;
    if (r->frame >= ROW_PENDING) {
        const struct pending *p = &c->pending[r->frame - ROW_PENDING];
        rows = p->row;
        have = p->dim;
    } else {
        int32_t got = store_rows(c, r->frame, &rows, err);
        if (got <= 0)
            return got;
        have = c->frame[r->frame].dim;
    }
    if (have != dim) {
        char hex[33];
        hash_hex(key, hex);
        return mohs_fail(err, MOHS_E_ARG,
                         "cache: row %s has %" PRIu32 " numbers, not %" PRIu32,
                         hex, have, dim);
    }
    memcpy(out, rows + (size_t)r->row * dim, (size_t)dim * sizeof *out);
    return 1;
}

int32_t cache_get(struct cache *c, struct hash128 key, float *out, uint32_t dim,
                  struct mohs_error *err)
{
    pthread_mutex_lock(&c->lock);
    int32_t got = get_locked(c, key, out, dim, err);
    pthread_mutex_unlock(&c->lock);
    return got;
}

/* ---- writing --------------------------------------------------------- */

static mohs_status write_all(int fd, const void *data, size_t n, uint64_t at)
{
    const char *p = data;
    while (n) {
        ssize_t done = pwrite(fd, p, n, (off_t)at);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return MOHS_E_IO;
        p += done;
        n -= (size_t)done;
        at += (uint64_t)done;
    }
    return MOHS_OK;
}

static mohs_status writer_start(struct cache *c, struct mohs_error *err)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    char *name = store_name((uint64_t)t.tv_sec * 1000000000u +
                            (uint64_t)t.tv_nsec);
    char *path = store_path(c, name, SHARD_OPEN);
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    mohs_status st = MOHS_OK;
    if (fd < 0) {
        st = err_errno(err, "cache: %s", path);
    } else {
        uint8_t head[FRAME_HEAD];
        frame_shard_header(head);
        if (write_all(fd, head, sizeof head, 0) < 0) {
            st = err_errno(err, "cache: %s", path);
            unlink(path);
            close(fd);
        }
    }
    free(path);
    if (st < 0) {
        free(name);
        return st;
    }
    c->writer_shard = shard_add(c, name, fd);
    c->shard[c->writer_shard].bytes = FRAME_HEAD;
    c->writer = fd;
    c->writer_at = FRAME_HEAD;
    return MOHS_OK;
}

static mohs_status pending_write(struct cache *c, struct pending *p,
                                 struct mohs_error *err)
{
    struct str b = { 0 };
    mohs_status st = MOHS_OK;
    if (!p->n)
        return MOHS_OK;
    if (c->writer < 0)
        OUT_IF_ERR(writer_start(c, err));
    OUT_IF_ERR(frame_encode(c->codec, p->key, p->row, p->n, p->dim, &b, err));
    if (write_all(c->writer, b.s, b.n, c->writer_at) < 0) {
        st = err_errno(err, "cache: %s", c->dir);
        if (ftruncate(c->writer, (off_t)c->writer_at))
            log_debug("cache: %s: ftruncate failed", c->dir);
        goto out;
    }
    struct frame f = { .at = c->writer_at, .shard = c->writer_shard };
    if (!frame_head_read((const uint8_t *)b.s, &f)) {
        st = mohs_fail(err, MOHS_E_FORMAT, "cache: wrote a frame of %" PRIu32
                       " x %" PRIu32 " that does not add up", p->n, p->dim);
        goto out;
    }
    uint32_t id = frame_add(c, &f);
    for (uint32_t i = 0; i < p->n; i++)
        c->ref[p->ref[i]].frame = id;
    c->writer_at += b.n;
    c->shard[c->writer_shard].bytes = c->writer_at;
    p->n = 0;
out:
    str_free(&b);
    return st;
}

mohs_status store_flush(struct cache *c, bool finish, struct mohs_error *err)
{
    mohs_status st = MOHS_OK;
    for (int i = 0; i < PENDING_MAX && st >= 0; i++)
        st = pending_write(c, &c->pending[i], err);
    if (c->writer < 0)
        return st;
    if (fdatasync(c->writer) && st >= 0)
        st = err_errno(err, "cache: %s", c->dir);
    if (!finish)
        return st;
    struct shard *s = &c->shard[c->writer_shard];
    char *from = store_path(c, s->name, SHARD_OPEN);
    char *to = store_path(c, s->name, SHARD_DONE);
    // Gone when another process took us for dead: its rows are lost, no more.
    if (rename(from, to))
        log_debug("cache: %s: was taken over", from);
    free(from);
    free(to);
    c->writer = -1;
    return st;
}

mohs_status cache_flush(struct cache *c, struct mohs_error *err)
{
    pthread_mutex_lock(&c->lock);
    mohs_status st = store_flush(c, false, err);
    pthread_mutex_unlock(&c->lock);
    return st;
}

/* The buffer for rows of this length, emptied when it is full. */
static mohs_status pending_for(struct cache *c, uint32_t dim, uint32_t *which,
                               struct mohs_error *err)
{
    uint32_t i = 0, fullest = 0;
    for (; i < PENDING_MAX && c->pending[i].dim != dim; i++)
        if (c->pending[i].n > c->pending[fullest].n)
            fullest = i;
    if (i == PENDING_MAX)
        for (i = 0; i < PENDING_MAX && c->pending[i].n; i++)
            ;
    if (i == PENDING_MAX)
        i = fullest;
    struct pending *p = &c->pending[i];
    if (p->n && (p->dim != dim || p->n == p->cap))
        RET_IF_ERR(pending_write(c, p, err));
    *which = i;
    if (p->dim == dim)
        return MOHS_OK;
    uint64_t cap = PENDING_BYTES / ((uint64_t)dim * 4);
    cap = cap < 1 ? 1 : cap > FRAME_MAX_ROWS / 16 ? FRAME_MAX_ROWS / 16 : cap;
    float *row = try_aligned((size_t)cap * dim * sizeof *row, "cache rows", err);
    if (!row)
        return MOHS_E_NOMEM;
    free(p->row);
    p->row = row;
    p->key = xrealloc(p->key, (size_t)cap * sizeof *p->key);
    p->ref = xrealloc(p->ref, (size_t)cap * sizeof *p->ref);
    p->dim = dim;
    p->cap = (uint32_t)cap;
    return MOHS_OK;
}

static mohs_status put_locked(struct cache *c, struct hash128 key,
                              const float *row, uint32_t dim,
                              struct mohs_error *err)
{
    const struct row_ref *old = store_find(c, key);
    if (old && !ref_lost(c, old))
        return MOHS_OK;
    uint32_t which;
    RET_IF_ERR(pending_for(c, dim, &which, err));
    struct pending *p = &c->pending[which];
    uint32_t r = index_add(c, key);
    c->ref[r].frame = ROW_PENDING + which;
    c->ref[r].row = p->n;
    memcpy(p->row + (size_t)p->n * dim, row, (size_t)dim * sizeof *row);
    p->key[p->n] = key;
    p->ref[p->n++] = r;
    return p->n == p->cap ? pending_write(c, p, err) : MOHS_OK;
}

mohs_status cache_put(struct cache *c, struct hash128 key, const float *row,
                      uint32_t dim, struct mohs_error *err)
{
    if (!dim || dim > FRAME_MAX_RAW / 4)
        return mohs_fail(err, MOHS_E_ARG,
                         "cache: a row of %" PRIu32 " numbers", dim);
    pthread_mutex_lock(&c->lock);
    mohs_status st = put_locked(c, key, row, dim, err);
    pthread_mutex_unlock(&c->lock);
    return st;
}
