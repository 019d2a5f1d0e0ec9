/* SPDX-License-Identifier: MIT */
/*
 * Zip archives (PKWARE APPNOTE 6.3) as torch.save writes them: the central
 * directory is believed only as far as the bytes bear it out.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "model/zip.h"

enum {
    END_BYTES = 22,
    END64_BYTES = 56,
    LOCATOR_BYTES = 20,
    ENTRY_BYTES = 46,
    LOCAL_BYTES = 30,
    COMMENT_MAX = 65535,
    MEMBERS_MAX = 1 << 20,
    NAME_MAX_BYTES = 4096
};

static const uint32_t SIG_LOCAL = 0x04034b50, SIG_ENTRY = 0x02014b50,
                      SIG_END = 0x06054b50, SIG_END64 = 0x06064b50,
                      SIG_LOCATOR = 0x07064b50;

static uint16_t le16(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

static uint32_t le32(const uint8_t *p)
{
    return (uint32_t)le16(p) | (uint32_t)le16(p + 2) << 16;
}

static uint64_t le64(const uint8_t *p)
{
    return (uint64_t)le32(p) | (uint64_t)le32(p + 4) << 32;
}

struct reader {
    const uint8_t *data;
    uint64_t n;
    const char *file;
    struct mohs_error *err;
};

static mohs_status bad(const struct reader *r, const char *what)
{
    return mohs_fail(r->err, MOHS_E_FORMAT, "%s: bad zip archive: %s", r->file,
                     what);
}

bool zip_is(const uint8_t *data, size_t n)
{
    return n >= 4 && le32(data) == SIG_LOCAL;
}

struct directory {
    uint64_t at, bytes, count;
};

/* The end record says where the directory is, unless its fields are full:
 * then the zip64 record before it does. */
static mohs_status find_directory(const struct reader *r, struct directory *d)
{
    uint64_t at = r->n < END_BYTES ? 0 : r->n - END_BYTES;
    uint64_t least = at > COMMENT_MAX ? at - COMMENT_MAX : 0;
    if (r->n < END_BYTES)
        return bad(r, "too short");
    while (le32(r->data + at) != SIG_END ||
           at + END_BYTES + le16(r->data + at + 20) != r->n) {
        if (at == least)
            return bad(r, "no end record (is the file cut off?)");
        at--;
    }
    const uint8_t *p = r->data + at;
    *d = (struct directory) { le32(p + 16), le32(p + 12), le16(p + 10) };
    if (at < LOCATOR_BYTES || le32(p - LOCATOR_BYTES) != SIG_LOCATOR)
        return MOHS_OK;
    uint64_t end = le64(p - LOCATOR_BYTES + 8);
    if (at < END64_BYTES + LOCATOR_BYTES ||
        end > at - LOCATOR_BYTES - END64_BYTES ||
        le32(r->data + end) != SIG_END64)
        return bad(r, "no zip64 end record where its locator says");
    p = r->data + end;
    *d = (struct directory) { le64(p + 48), le64(p + 40), le64(p + 32) };
    return MOHS_OK;
}

/* Fields of an entry that are full are in its zip64 extra field, in this
 * order. */
static mohs_status read_zip64(const struct reader *r, const uint8_t *extra,
                              uint32_t n, uint64_t *const field[3])
{
    bool full[3];
    bool any = false;
    for (int i = 0; i < 3; i++)
        any |= full[i] = *field[i] == UINT32_MAX;
    if (!any)
        return MOHS_OK;
    for (uint32_t at = 0; at + 4 <= n;) {
        uint32_t id = le16(extra + at), bytes = le16(extra + at + 2);
        at += 4;
        if (bytes > n - at)
            break;
        if (id != 1) {
            at += bytes;
            continue;
        }
        for (int i = 0; i < 3; i++)
            if (full[i]) {
                if (bytes < 8)
                    return bad(r, "short zip64 field");
                *field[i] = le64(extra + at);
                at += 8;
                bytes -= 8;
            }
        return MOHS_OK;
    }
    return bad(r, "no zip64 field where one is needed");
}

static mohs_status check_name(const struct reader *r, const char *s, uint32_t n)
{
    if (!n || n > NAME_MAX_BYTES || memchr(s, 0, n) || !utf8_valid(s, n))
        return bad(r, "a member has no proper name");
    return MOHS_OK;
}

/* Where the member's data starts, from its local header. */
static mohs_status locate(const struct reader *r, uint64_t local, uint64_t limit,
                          struct zip_member *m)
{
    if (local > limit || limit - local < LOCAL_BYTES ||
        le32(r->data + local) != SIG_LOCAL)
        return mohs_fail(r->err, MOHS_E_FORMAT,
                         "%s: bad zip archive: no header of %.100s at byte %llu",
                         r->file, m->name, (unsigned long long)local);
    uint64_t skip = LOCAL_BYTES + (uint64_t)le16(r->data + local + 26) +
                    le16(r->data + local + 28);
    if (skip > limit - local || m->bytes > limit - local - skip)
        return mohs_fail(r->err, MOHS_E_FORMAT,
                         "%s: bad zip archive: %.100s of %llu bytes ends behind "
                         "byte %llu",
                         r->file, m->name, (unsigned long long)m->bytes,
                         (unsigned long long)limit);
    m->offset = local + skip;
    return MOHS_OK;
}

/* One entry of the directory at p, of which `room` bytes are left. */
static mohs_status read_entry(const struct reader *r, const uint8_t *p,
                              uint64_t room, uint64_t limit, uint64_t *used,
                              struct zip_member *m)
{
    if (room < ENTRY_BYTES || le32(p) != SIG_ENTRY)
        return bad(r, "the directory is cut off");
    uint32_t name = le16(p + 28), extra = le16(p + 30), comment = le16(p + 32);
    *used = (uint64_t)ENTRY_BYTES + name + extra + comment;
    if (*used > room)
        return bad(r, "the directory is cut off");
    uint64_t bytes = le32(p + 20), plain = le32(p + 24), local = le32(p + 42);
    uint64_t *const field[3] = { &plain, &bytes, &local };
    RET_IF_ERR(check_name(r, (const char *)p + ENTRY_BYTES, name));
    RET_IF_ERR(read_zip64(r, p + ENTRY_BYTES + name, extra, field));
    m->name = xasprintf("%.*s", (int)name, (const char *)p + ENTRY_BYTES);
    m->bytes = bytes;
    m->stored = le16(p + 10) == 0;
    if (le16(p + 8) & 1)
        return bad(r, "a member is encrypted");
    if (m->stored && plain != bytes)
        return mohs_fail(r->err, MOHS_E_FORMAT,
                         "%s: bad zip archive: %.100s is stored in %llu bytes "
                         "but has %llu",
                         r->file, m->name, (unsigned long long)bytes,
                         (unsigned long long)plain);
    return locate(r, local, limit, m);
}

static int by_offset(const void *a, const void *b)
{
    const struct zip_member *ma = a, *mb = b;
    if (ma->offset != mb->offset)
        return ma->offset < mb->offset ? -1 : 1;
    return ma->bytes < mb->bytes ? -1 : ma->bytes > mb->bytes;
}

static int by_name(const void *a, const void *b)
{
    const struct zip_member *const *ma = a, *const *mb = b;
    return strcmp((*ma)->name, (*mb)->name);
}

static mohs_status check_members(const struct reader *r, struct zip *z)
{
    qsort(z->v, z->n, sizeof *z->v, by_offset);
    for (size_t i = 1; i < z->n; i++)
        if (z->v[i].offset < z->v[i - 1].offset + z->v[i - 1].bytes)
            return mohs_fail(r->err, MOHS_E_FORMAT,
                             "%s: bad zip archive: %.80s and %.80s overlap",
                             r->file, z->v[i - 1].name, z->v[i].name);
    z->named = xcalloc(z->n + 1, sizeof *z->named);
    for (size_t i = 0; i < z->n; i++)
        z->named[i] = &z->v[i];
    qsort(z->named, z->n, sizeof *z->named, by_name);
    for (size_t i = 1; i < z->n; i++)
        if (!strcmp(z->named[i - 1]->name, z->named[i]->name))
            return mohs_fail(r->err, MOHS_E_FORMAT,
                             "%s: bad zip archive: %.100s is there twice",
                             r->file, z->named[i]->name);
    return MOHS_OK;
}

mohs_status zip_open(const uint8_t *data, size_t n, const char *file,
                     struct zip *out, struct mohs_error *err)
{
    struct reader r = { data, n, file, err };
    struct directory d = { 0, 0, 0 };
    struct zip z = { NULL, NULL, 0 };
    mohs_status st;
    *out = z;
    RET_IF_ERR(find_directory(&r, &d));
    if (d.at > n || d.bytes > n - d.at || d.count > d.bytes / ENTRY_BYTES ||
        d.count > MEMBERS_MAX)
        return bad(&r, "the directory is not inside the file");
    z.v = try_calloc((size_t)d.count + 1, sizeof *z.v, file, err);
    if (!z.v)
        return MOHS_E_NOMEM;
    uint64_t at = 0, used = 0;
    for (uint64_t i = 0; i < d.count; i++, at += used)
        OUT_IF_ERR(read_entry(&r, data + d.at + at, d.bytes - at, d.at, &used,
                              &z.v[z.n++]));
    OUT_IF_ERR(check_members(&r, &z));
    *out = z;
    return MOHS_OK;
out:
    zip_close(&z);
    return st;
}

void zip_close(struct zip *z)
{
    for (size_t i = 0; i < z->n; i++)
        free(z->v[i].name);
    free(z->v);
    free(z->named);
    *z = (struct zip) { NULL, NULL, 0 };
}

static int name_is(const void *key, const void *member)
{
    const struct zip_member *const *m = member;
    return strcmp(key, (*m)->name);
}

const struct zip_member *zip_find(const struct zip *z, const char *name)
{
    const struct zip_member **m =
        z->n ? bsearch(name, z->named, z->n, sizeof *z->named, name_is) : NULL;
    return m ? *m : NULL;
}
