/* SPDX-License-Identifier: MIT */
/*
 * Counting, checking and rewriting. gc never touches a shard that a living
 * process writes; what it replaces it writes anew under a fresh name, renames
 * into place and only then removes the old files, so that a reader or another
 * gc sees every row at least once or, at worst, computes it again.
 */
#include "config.h"

#include "cache/cache.h"
#include "cache/cache_store.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    GC_SMALL = 4 << 20,       /* shards below are joined with neighbours */
    GC_TARGET = 64 << 20,     /* up to this size */
    GC_STALE_S = 24 * 3600,   /* a .tmp older than this was abandoned, */
    GC_STATE_S = 7 * GC_STALE_S /* and an attack's state untouched so long */
};

static void stat_locked(const struct cache *c, struct cache_stat *out)
{
    *out = (struct cache_stat) { 0 };
    out->rows = c->n_refs;
    for (uint32_t i = 0; i < c->n_shards; i++) {
        out->shards += !c->shard[i].gone;
        out->file_bytes += c->shard[i].gone ? 0 : c->shard[i].bytes;
        out->damaged_frames += c->shard[i].damaged;
    }
    for (uint32_t i = 0; i < c->n_frames; i++) {
        out->frames += !c->frame[i].damaged;
        out->raw_bytes += c->frame[i].damaged ? 0 : c->frame[i].raw;
    }
    for (uint32_t i = 0; i < c->n_refs; i++)
        if (c->ref[i].frame < ROW_PENDING && c->frame[c->ref[i].frame].damaged)
            out->rows--;
}

mohs_status cache_stat(struct cache *c, struct cache_stat *out,
                       struct mohs_error *err)
{
    pthread_mutex_lock(&c->lock);
    mohs_status st = store_flush(c, false, err);
    stat_locked(c, out);
    pthread_mutex_unlock(&c->lock);
    return st;
}

static mohs_status verify_locked(struct cache *c, struct mohs_error *err)
{
    for (uint32_t i = 0; i < c->n_frames; i++) {
        const float *row;
        if (interrupted)
            return mohs_fail(err, MOHS_E_CANCELLED, "cache: interrupted");
        int32_t got = store_rows(c, i, &row, err);
        if (got < 0)
            return got;
    }
    return MOHS_OK;
}

/* Forgets what is in memory and reads the directory again, so that damage
 * done since open is seen. */
static mohs_status reload(struct cache *c, struct mohs_error *err)
{
    RET_IF_ERR(store_flush(c, true, err));
    store_unload(c);
    return store_load(c, err);
}

mohs_status cache_verify(struct cache *c, struct cache_stat *out,
                         struct mohs_error *err)
{
    pthread_mutex_lock(&c->lock);
    mohs_status st = reload(c, err);
    if (st >= 0)
        st = verify_locked(c, err);
    stat_locked(c, out);
    pthread_mutex_unlock(&c->lock);
    return st;
}

/* ---- gc -------------------------------------------------------------- */

struct gc_frame {
    uint32_t live; /* rows that the index points at */
    bool dropped;
};
struct gc {
    struct cache *c;
    struct gc_frame *frame;
    uint8_t *rewrite; /* per shard */
    uint64_t total;   /* bytes that stay */
};

static uint64_t frame_bytes(const struct frame *f)
{
    return frame_end(f) - f->at;
}

/* Which frames go: the damaged, those without a live row, and the oldest
 * while there is too much. Shards and frames are in order of age. */
static void gc_plan(struct gc *g, uint64_t max_bytes)
{
    struct cache *c = g->c;
    for (uint32_t i = 0; i < c->n_refs; i++)
        if (c->ref[i].frame < ROW_PENDING)
            g->frame[c->ref[i].frame].live++;
    for (uint32_t i = 0; i < c->n_shards; i++) {
        const struct shard *s = &c->shard[i];
        g->rewrite[i] = !s->live && !s->gone &&
                        (s->damaged || s->bytes <= FRAME_HEAD);
    }
    for (uint32_t i = 0; i < c->n_frames; i++) {
        const struct frame *f = &c->frame[i];
        if (f->damaged || !g->frame[i].live)
            g->frame[i].dropped = true;
        else
            g->total += frame_bytes(f);
        if (g->frame[i].live != f->n_rows && !c->shard[f->shard].live)
            g->rewrite[f->shard] = 1;
    }
    for (uint32_t i = 0; max_bytes && i < c->n_frames && g->total > max_bytes;
         i++) {
        if (g->frame[i].dropped || c->shard[c->frame[i].shard].live)
            continue;
        g->frame[i].dropped = true;
        g->total -= frame_bytes(&c->frame[i]);
        g->rewrite[c->frame[i].shard] = 1;
    }
    // Small neighbours are joined, so that files do not pile up.
    for (uint32_t i = 1; i < c->n_shards; i++) {
        const struct shard *a = &c->shard[i - 1], *b = &c->shard[i];
        if (!a->live && !b->live && !a->gone && !b->gone &&
            a->bytes < GC_SMALL && b->bytes < GC_SMALL)
            g->rewrite[i - 1] = g->rewrite[i] = 1;
    }
}

struct gc_out {
    char *name, *tmp;
    int fd;
    uint64_t bytes;
    uint32_t first, last; /* shards replaced: [first, last] */
};

static mohs_status out_append(struct gc_out *o, const void *p, size_t n,
                              struct mohs_error *err)
{
    const char *q = p;
    while (n) {
        ssize_t done = write(o->fd, q, n);
        if (done <= 0)
            return err_errno(err, "cache: %s", o->tmp);
        q += done;
        n -= (size_t)done;
        o->bytes += (uint64_t)done;
    }
    return MOHS_OK;
}

static mohs_status out_start(struct gc *g, struct gc_out *o, uint32_t shard,
                             struct mohs_error *err)
{
    uint8_t head[FRAME_HEAD];
    o->name = store_name(store_time(g->c->shard[shard].name));
    o->tmp = store_path(g->c, o->name, ".tmp");
    o->bytes = 0;
    o->fd = open(o->tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (o->fd < 0)
        return err_errno(err, "cache: %s", o->tmp);
    frame_shard_header(head);
    return out_append(o, head, sizeof head, err);
}

static void out_drop(struct gc_out *o)
{
    if (o->fd >= 0) {
        close(o->fd);
        unlink(o->tmp);
    }
    free(o->name);
    free(o->tmp);
    *o = (struct gc_out) { .fd = -1 };
}

/* Puts the new shard in place and removes those it replaces. */
static mohs_status out_end(struct gc *g, struct gc_out *o, struct mohs_error *err)
{
    struct cache *c = g->c;
    char *path = store_path(c, o->name, SHARD_DONE);
    bool empty = o->bytes <= FRAME_HEAD;
    mohs_status st = MOHS_OK;
    if (!empty && (fsync(o->fd) || rename(o->tmp, path)))
        st = err_errno(err, "cache: %s", path);
    if (st >= 0 && !empty) {
        close(o->fd);
        o->fd = -1;
    }
    for (uint32_t i = o->first; st >= 0 && i <= o->last; i++) {
        if (!g->rewrite[i])
            continue;
        char *old = store_path(c, c->shard[i].name, SHARD_DONE);
        if (unlink(old))
            log_debug("cache: %s: already gone", old);
        free(old);
    }
    free(path);
    out_drop(o);
    return st;
}

/* Copies the live rows of a frame. */
static mohs_status copy_frame(struct gc *g, uint32_t id, struct gc_out *o,
                              struct mohs_error *err)
{
    struct cache *c = g->c;
    struct frame f = c->frame[id];
    const float *row;
    int32_t got = store_rows(c, id, &row, err);
    if (got <= 0)
        return got;
    size_t head = FRAME_HEAD + (size_t)f.n_rows * 16;
    uint8_t *raw = xmalloc(head);
    struct hash128 *key = xmalloc(f.n_rows * sizeof *key);
    struct str b = { 0 };
    float *keep = NULL;
    mohs_status st = MOHS_OK;
    if (!shard_pread(store_shard_fd(c, f.shard), raw, head, f.at))
        goto out; // gone meanwhile
    frame_keys_read(raw + FRAME_HEAD, f.n_rows, key);
    keep = try_aligned((size_t)f.raw, "cache frame", err);
    if (!keep) {
        st = MOHS_E_NOMEM;
        goto out;
    }
    uint32_t n = 0;
    for (uint32_t i = 0; i < f.n_rows; i++) {
        const struct row_ref *r = store_find(c, key[i]);
        if (!r || r->frame != id || r->row != i)
            continue;
        key[n] = key[i];
        memcpy(keep + (size_t)n++ * f.dim, row + (size_t)i * f.dim,
               (size_t)f.dim * sizeof *row);
    }
    OUT_IF_ERR(frame_encode(c->codec, key, keep, n, f.dim, &b, err));
    OUT_IF_ERR(out_append(o, b.s, b.n, err));
out:
    str_free(&b);
    free(keep);
    free(key);
    free(raw);
    return st;
}

static mohs_status gc_write(struct gc *g, struct mohs_error *err)
{
    struct cache *c = g->c;
    struct gc_out o = { .fd = -1 };
    mohs_status st = MOHS_OK;
    uint32_t id = 0;
    for (uint32_t i = 0; i < c->n_shards; i++) {
        if (!g->rewrite[i] && o.fd >= 0)
            OUT_IF_ERR(out_end(g, &o, err));
        if (g->rewrite[i] && o.fd < 0) {
            OUT_IF_ERR(out_start(g, &o, i, err));
            o.first = i;
        }
        for (; id < c->n_frames && c->frame[id].shard == i; id++)
            if (g->rewrite[i] && !g->frame[id].dropped)
                OUT_IF_ERR(copy_frame(g, id, &o, err));
        o.last = i;
        if (o.fd >= 0 && o.bytes > GC_TARGET)
            OUT_IF_ERR(out_end(g, &o, err));
    }
    if (o.fd >= 0)
        OUT_IF_ERR(out_end(g, &o, err));
out:
    out_drop(&o);
    return st;
}

static void remove_stale(const char *dir, const char *suffix, time_t age_s)
{
    char **file = NULL;
    size_t n;
    if (dir_list(dir, &file, &n, NULL) < 0)
        return;
    for (size_t i = 0; i < n; i++) {
        struct stat sb;
        char *path = str_ends(file[i], suffix) ? path_join(dir, file[i]) : NULL;
        if (path && !stat(path, &sb) && time(NULL) - sb.st_mtime > age_s)
            unlink(path);
        free(path);
    }
    strv_free(file);
}

static mohs_status gc_locked(struct cache *c, uint64_t max_bytes,
                             struct mohs_error *err)
{
    RET_IF_ERR(reload(c, err));
    RET_IF_ERR(verify_locked(c, err));
    struct gc g = { .c = c };
    g.frame = xcalloc((size_t)c->n_frames + 1, sizeof *g.frame);
    g.rewrite = xcalloc((size_t)c->n_shards + 1, 1);
    gc_plan(&g, max_bytes);
    mohs_status st = gc_write(&g, err);
    free(g.frame);
    free(g.rewrite);
    remove_stale(c->dir, ".tmp", GC_STALE_S);
    char *attacks = path_join(c->dir, "attacks");
    remove_stale(attacks, ".state", GC_STATE_S);
    free(attacks);
    RET_IF_ERR(st);
    return reload(c, err);
}

mohs_status cache_gc(struct cache *c, uint64_t max_bytes, struct cache_stat *out,
                     struct mohs_error *err)
{
    pthread_mutex_lock(&c->lock);
    mohs_status st = gc_locked(c, max_bytes, err);
    stat_locked(c, out);
    pthread_mutex_unlock(&c->lock);
    return st;
}
