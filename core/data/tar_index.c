/* SPDX-License-Identifier: MIT */
/*
 * The index of an archive and its stored form: magic, size and time of the
 * archive, members, XXH3-128 of all before. Little-endian.
 */
#include "config.h"

#include "data/tar_index.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char magic[8] = "mohsTAR1";
enum { HEADER = 32, MEMBER = 24, HASH = 16 };
static const uint32_t no_text = UINT32_MAX;

struct tar_index *tar_index_new(void)
{
    struct tar_index *t = xcalloc(1, sizeof *t);
    t->arena = arena_new();
    return t;
}

struct tar_member *tar_index_add(struct tar_index *t)
{
    if (t->n == t->cap) {
        t->cap = t->cap ? 2 * t->cap : 256;
        t->member = xrealloc(t->member, t->cap * sizeof *t->member);
    }
    return &t->member[t->n++];
}

void tar_index_free(struct tar_index *t)
{
    if (!t)
        return;
    free(t->member);
    arena_free(t->arena);
    free(t);
}

/* ---- stored ---- */

static void put(struct str *out, uint64_t x, int bytes)
{
    char s[8];
    for (int i = 0; i < bytes; i++)
        s[i] = (char)(x >> 8 * i);
    str_addn(out, s, (size_t)bytes);
}

static uint64_t get(const uint8_t *p, int bytes)
{
    uint64_t x = 0;
    for (int i = 0; i < bytes; i++)
        x |= (uint64_t)p[i] << 8 * i;
    return x;
}

void tar_index_pack(const struct tar_index *t, uint64_t size, uint64_t time,
                    struct str *out)
{
    str_addn(out, magic, sizeof magic);
    put(out, size, 8);
    put(out, time, 8);
    put(out, t->n, 8);
    for (size_t i = 0; i < t->n; i++) {
        const struct tar_member *m = &t->member[i];
        size_t name = strlen(m->name), text = m->text ? strlen(m->text) : 0;
        put(out, m->offset, 8);
        put(out, m->bytes, 8);
        put(out, name, 4);
        put(out, m->text ? text : no_text, 4);
        str_addn(out, m->name, name + 1);
        if (m->text)
            str_addn(out, m->text, text + 1);
    }
    struct hash128 h = hash_bytes(out->s, out->n);
    put(out, h.hi, 8);
    put(out, h.lo, 8);
}

/* The text of n bytes and a NUL at *at. */
static const char *text_at(const uint8_t *p, size_t n, size_t *at, uint64_t len)
{
    if (len >= n - *at || p[*at + len] || memchr(p + *at, 0, (size_t)len))
        return NULL;
    const char *s = (const char *)p + *at;
    *at += (size_t)len + 1;
    return s;
}

static bool unpack_member(struct tar_index *t, const uint8_t *p, size_t n, size_t *at,
                          uint64_t size)
{
    if (n - *at < MEMBER)
        return false;
    const uint8_t *m = p + *at;
    struct tar_member x = { NULL, get(m, 8), get(m + 8, 8), NULL };
    uint64_t name = get(m + 16, 4), text = get(m + 20, 4);
    *at += MEMBER;
    if (x.offset > size || x.bytes > size - x.offset)
        return false;
    x.name = text_at(p, n, at, name);
    if (x.name && text != no_text)
        x.text = text_at(p, n, at, text);
    if (!x.name || (text != no_text && !x.text))
        return false;
    x.name = arena_strdup(t->arena, x.name);
    x.text = x.text ? arena_strdup(t->arena, x.text) : NULL;
    *tar_index_add(t) = x;
    return true;
}

struct tar_index *tar_index_unpack(const void *data, size_t n, uint64_t size,
                                   uint64_t time)
{
    const uint8_t *p = data;
    if (n < HEADER + HASH || memcmp(p, magic, sizeof magic) || get(p + 8, 8) != size ||
        get(p + 16, 8) != time)
        return NULL;
    n -= HASH;
    struct hash128 h = hash_bytes(p, n);
    if (h.hi != get(p + n, 8) || h.lo != get(p + n + 8, 8))
        return NULL;
    struct tar_index *t = tar_index_new();
    uint64_t members = get(p + 24, 8);
    size_t at = HEADER;
    for (uint64_t i = 0; i < members; i++)
        if (!unpack_member(t, p, n, &at, size)) {
            tar_index_free(t);
            return NULL;
        }
    return t;
}

/* ---- beside the cache ---- */

/* Fresh; the directory is made. */
static char *index_path(const char *tar)
{
    char name[33 + 4], *real = realpath(tar, NULL);
    const char *key = real ? real : tar;
    hash_hex(hash_bytes(key, strlen(key)), name);
    memcpy(name + 32, ".tar", 5);
    char *dir = path_join(cache_dir(), "index");
    dir_make(dir, NULL);
    char *path = path_join(dir, name);
    free(dir);
    free(real);
    return path;
}

mohs_status tar_index_open(const char *path, struct tar_index **out,
                           struct mohs_error *err)
{
    struct stat sb;
    if (stat(path, &sb))
        return err_errno(err, "%s", path);
    uint64_t size = (uint64_t)sb.st_size;
    uint64_t time = (uint64_t)sb.st_mtim.tv_sec * 1000000000u +
                    (uint64_t)sb.st_mtim.tv_nsec;
    char *stored = index_path(path), *data = NULL;
    size_t n = 0;
    mohs_status st = MOHS_OK;
    *out = NULL;
    if (file_exists(stored) && file_read(stored, 0, &data, &n, NULL) >= 0)
        *out = tar_index_unpack(data, n, size, time);
    free(data);
    if (!*out) {
        st = tar_scan(path, out, err);
        struct str s = { 0 };
        struct mohs_error e = MOHS_ERROR_INIT;
        if (st >= 0)
            tar_index_pack(*out, size, time, &s);
        if (st >= 0 && file_write(stored, s.s, s.n, &e) < 0)
            log_warn("%s; the archive is read again next time", e.text);
        str_free(&s);
    }
    free(stored);
    return st;
}
