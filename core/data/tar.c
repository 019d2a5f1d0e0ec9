/* SPDX-License-Identifier: MIT */
/* Tar headers: names, sizes and offsets of the regular files. */
#include "config.h"

#include "data/tar_index.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "data/dataset.h"

enum {
    BLOCK = 512,
    WINDOW = 8192,
    NAME_MAX_BYTES = 1 << 16, /* GNU long names and pax headers */
    TEXT_MAX_BYTES = 1 << 20, /* captions and labels of one sample */
};

struct tar {
    const char *name;
    int fd;              /* -1: bytes */
    const uint8_t *data; /* of the window, or all */
    uint8_t *window;
    uint64_t size, start; /* of the archive; of the window in it */
    size_t have;
    struct tar_index *index;
    struct str long_name; /* from the last GNU or pax header; n 0: none */
    uint64_t long_size;   /* UINT64_MAX: none */
};

static mohs_status cut(const struct tar *t, uint64_t at, struct mohs_error *err)
{
    return mohs_fail(err, MOHS_E_FORMAT, "%s: the archive ends before byte %llu",
                     t->name, (unsigned long long)at);
}

/* n bytes from `at` on, borrowed until the next call; n <= WINDOW. */
static mohs_status bytes_at(struct tar *t, uint64_t at, size_t n,
                            const uint8_t **out, struct mohs_error *err)
{
    if (at > t->size || t->size - at < n)
        return cut(t, at + n, err);
    if (at >= t->start && at - t->start <= t->have && t->have - (at - t->start) >= n) {
        *out = t->data + (at - t->start);
        return MOHS_OK;
    }
    t->start = at;
    for (t->have = 0; t->have < n;) {
        ssize_t got = pread(t->fd, t->window + t->have, WINDOW - t->have,
                            (off_t)(at + t->have));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_errno(err, "%s", t->name);
        if (!got)
            return cut(t, at + n, err);
        t->have += (size_t)got;
    }
    *out = t->window;
    return MOHS_OK;
}

/* A longer piece, fresh, with a NUL behind it. */
static mohs_status copy_at(struct tar *t, uint64_t at, uint64_t n, size_t max,
                           const char *what, char **out, struct mohs_error *err)
{
    if (n > max)
        return mohs_fail(err, MOHS_E_FORMAT, "%s: %s: %llu bytes, the limit is %zu",
                         t->name, what, (unsigned long long)n, max);
    char *s = xmalloc((size_t)n + 1);
    for (size_t k = 0; k < n;) {
        const uint8_t *p;
        size_t m = n - k < WINDOW ? (size_t)n - k : WINDOW;
        mohs_status st = bytes_at(t, at + k, m, &p, err);
        if (st < 0) {
            free(s);
            return st;
        }
        memcpy(s + k, p, m);
        k += m;
    }
    s[n] = 0;
    if (strlen(s) != n) {
        size_t used = strlen(s);
        while (used < n && !s[used])
            used++;
        if (used < n) { // padding alone is no fault
            free(s);
            return mohs_fail(err, MOHS_E_FORMAT, "%s: %s: a NUL in a text", t->name, what);
        }
    }
    *out = s;
    return MOHS_OK;
}

/* ---- fields ---- */

/* Octal, or base 256 when the first bit is set. */
static bool number(const uint8_t *p, size_t n, uint64_t *out)
{
    uint64_t v = 0;
    size_t i = 0;
    if (*p & 0x80) {
        v = *p & 0x7f;
        for (i = 1; i < n; i++) {
            if (v >> 55)
                return false;
            v = v << 8 | p[i];
        }
        *out = v;
        return true;
    }
    while (i < n && p[i] == ' ')
        i++;
    for (; i < n && p[i] >= '0' && p[i] <= '7'; i++) {
        if (v >> 60)
            return false;
        v = v << 3 | (uint64_t)(p[i] - '0');
    }
    *out = v;
    return i == n || p[i] == ' ' || !p[i];
}

/* The sum of the header's bytes, its own field counted as spaces; some old
 * writers summed signed ones. */
static bool checksum_fits(const uint8_t *h)
{
    uint64_t want;
    int64_t plain = 0, with_sign = 0;
    for (int i = 0; i < BLOCK; i++) {
        uint8_t b = i >= 148 && i < 156 ? ' ' : h[i];
        plain += b;
        with_sign += (int8_t)b;
    }
    return number(h + 148, 8, &want) &&
           ((int64_t)want == plain || (int64_t)want == with_sign);
}

static bool all_zero(const uint8_t *h)
{
    for (int i = 0; i < BLOCK; i++)
        if (h[i])
            return false;
    return true;
}

/* ---- names ---- */

static void header_name(const uint8_t *h, struct str *out)
{
    const char *name = (const char *)h, *prefix = (const char *)h + 345;
    out->n = 0;
    // GNU's own header ("ustar ", with a space) has other things there
    if (!memcmp(h + 257, "ustar", 6) && *prefix) {
        str_addn(out, prefix, strnlen(prefix, 155));
        str_add(out, "/");
    }
    str_addn(out, name, strnlen(name, 100));
}

/* "LENGTH KEY=VALUE\n" records. */
static mohs_status read_pax(struct tar *t, const char *s, size_t n,
                            struct mohs_error *err)
{
    for (size_t i = 0; i < n;) {
        char *end;
        errno = 0;
        unsigned long len = s[i] >= '0' && s[i] <= '9' ? strtoul(s + i, &end, 10) : 0;
        const char *key = len ? end + 1 : NULL;
        if (!key || *end != ' ' || len > n - i || s[i + len - 1] != '\n')
            return mohs_fail(err, MOHS_E_FORMAT, "%s: a damaged pax header", t->name);
        const char *stop = s + i + len - 1;
        const char *is = key < stop ? memchr(key, '=', (size_t)(stop - key)) : NULL;
        if (!is)
            return mohs_fail(err, MOHS_E_FORMAT, "%s: a damaged pax header", t->name);
        if (is - key == 4 && !memcmp(key, "path", 4)) {
            t->long_name.n = 0;
            str_addn(&t->long_name, is + 1, (size_t)(stop - is - 1));
        } else if (is - key == 4 && !memcmp(key, "size", 4)) {
            t->long_size = strtoull(is + 1, &end, 10);
            if (end != stop || errno || t->long_size > INT64_MAX)
                return mohs_fail(err, MOHS_E_FORMAT, "%s: a damaged pax header", t->name);
        } else if (is - key > 10 && !memcmp(key, "GNU.sparse", 10)) {
            return mohs_fail(err, MOHS_E_UNSUPPORTED,
                             "%s: a sparse file cannot be read in place", t->name);
        }
        i += len;
    }
    return MOHS_OK;
}

static mohs_status read_extended(struct tar *t, char type, uint64_t at, uint64_t n,
                                 struct mohs_error *err)
{
    char *s = NULL;
    RET_IF_ERR(copy_at(t, at, n, NAME_MAX_BYTES, "a long name", &s, err));
    mohs_status st = MOHS_OK;
    if (type == 'x') {
        st = read_pax(t, s, (size_t)n, err);
    } else {
        t->long_name.n = 0;
        str_add(&t->long_name, s);
    }
    free(s);
    return st;
}

/* ---- members ---- */

static bool is_text(const char *name)
{
    static const char *const ends[] = { ".cls", ".txt", ".json" };
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (str_ends(name, ends[i]))
            return true;
    return false;
}

static mohs_status add_file(struct tar *t, const char *name, uint64_t at, uint64_t n,
                            struct mohs_error *err)
{
    while (name[0] == '.' && name[1] == '/')
        name += 2 + (name[2] == '/');
    if (!data_safe_name(name))
        return mohs_fail(err, MOHS_E_FORMAT,
                         "%s: member \"%.100s\" is no relative path without \"..\"",
                         t->name, name);
    if (!utf8_valid(name, strlen(name)))
        return mohs_fail(err, MOHS_E_FORMAT, "%s: a name at byte %llu is not UTF-8",
                         t->name, (unsigned long long)at);
    char *text = NULL;
    if (is_text(name))
        RET_IF_ERR(copy_at(t, at, n, TEXT_MAX_BYTES, name, &text, err));
    struct tar_member *m = tar_index_add(t->index);
    *m = (struct tar_member) { arena_strdup(t->index->arena, name), at, n, NULL };
    if (text)
        m->text = arena_strdup(t->index->arena, text);
    free(text);
    return MOHS_OK;
}

static mohs_status refuse(const struct tar *t, const char *name, char type,
                          struct mohs_error *err)
{
    const char *what = type == '1' || type == '2' ? "a link"
                       : type >= '3' && type <= '6' ? "a device or pipe"
                       : type == 'S'                ? "a sparse file"
                                                    : NULL;
    if (what)
        return mohs_fail(err, MOHS_E_FORMAT, "%s: member \"%.100s\" is %s, not a file",
                         t->name, name, what);
    return mohs_fail(err, MOHS_E_FORMAT, "%s: member \"%.100s\" is of unknown type 0x%02x",
                     t->name, name, (uint8_t)type);
}

static mohs_status read_member(struct tar *t, const uint8_t *h, uint64_t at,
                               uint64_t *next, struct mohs_error *err)
{
    char type = (char)h[156];
    uint64_t size;
    bool extended = type == 'x' || type == 'g' || type == 'L' || type == 'K';
    if (!checksum_fits(h) || !number(h + 124, 12, &size) || size > INT64_MAX)
        return mohs_fail(err, MOHS_E_FORMAT, "%s: no tar header at byte %llu", t->name,
                         (unsigned long long)at);
    struct str name = { 0 };
    if (t->long_name.n && !extended)
        str_addn(&name, t->long_name.s, t->long_name.n);
    else
        header_name(h, &name);
    if (t->long_size != UINT64_MAX && !extended)
        size = t->long_size;
    at += BLOCK;
    mohs_status st = MOHS_OK;
    if (at > t->size || size > t->size - at)
        st = mohs_fail(err, MOHS_E_FORMAT, "%s: the archive ends within \"%.100s\"",
                       t->name, name.s);
    else if (type == 'x' || type == 'L')
        st = read_extended(t, type, at, size, err);
    else if ((type == '0' || type == '7' || !type) && !str_ends(name.s, "/"))
        st = add_file(t, name.s, at, size, err);
    else if (!extended && type && !strchr("057V", type))
        st = refuse(t, name.s, type, err);
    if (!extended) {
        t->long_name.n = 0;
        t->long_size = UINT64_MAX;
    }
    *next = at + size + (BLOCK - size % BLOCK) % BLOCK;
    str_free(&name);
    return st;
}

/* ---- archives ---- */

static mohs_status refuse_compressed(struct tar *t, struct mohs_error *err)
{
    static const struct {
        const char *magic, *name, *tool;
    } known[] = {
        { "\x1f\x8b", "gzip", "gunzip" },
        { "\x28\xb5\x2f\xfd", "zstd", "unzstd" },
        { "BZh", "bzip2", "bunzip2" },
        { "\xfd" "7zXZ", "xz", "unxz" },
    };
    const uint8_t *p;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        size_t n = strlen(known[i].magic);
        if (t->size < n)
            continue;
        RET_IF_ERR(bytes_at(t, 0, n, &p, err));
        if (!memcmp(p, known[i].magic, n))
            return mohs_fail(err, MOHS_E_UNSUPPORTED,
                             "%s: compressed with %s; files in it cannot be read in "
                             "place: unpack the archive with %s first",
                             t->name, known[i].name, known[i].tool);
    }
    return MOHS_OK;
}

static mohs_status scan(struct tar *t, struct mohs_error *err)
{
    uint64_t at = 0;
    RET_IF_ERR(refuse_compressed(t, err));
    while (at < t->size) {
        const uint8_t *h;
        uint8_t header[BLOCK];
        RET_IF_ERR(bytes_at(t, at, BLOCK, &h, err));
        if (all_zero(h))
            return MOHS_OK;
        memcpy(header, h, BLOCK); // the window moves on
        RET_IF_ERR(read_member(t, header, at, &at, err));
    }
    return at ? MOHS_OK : mohs_fail(err, MOHS_E_FORMAT, "%s: an empty file", t->name);
}

static mohs_status scan_all(struct tar *t, struct tar_index **out,
                            struct mohs_error *err)
{
    t->index = tar_index_new();
    t->long_size = UINT64_MAX;
    mohs_status st = scan(t, err);
    str_free(&t->long_name);
    if (st >= 0)
        *out = t->index;
    else
        tar_index_free(t->index);
    return st;
}

mohs_status tar_scan_bytes(const void *data, size_t n, const char *name,
                           struct tar_index **out, struct mohs_error *err)
{
    struct tar t = { .name = name, .fd = -1, .data = data, .size = n, .have = n };
    return scan_all(&t, out, err);
}

mohs_status tar_scan(const char *path, struct tar_index **out,
                     struct mohs_error *err)
{
    struct stat sb;
    struct tar t = { .name = path };
    t.fd = open(path, O_RDONLY | O_CLOEXEC);
    if (t.fd < 0)
        return err_errno(err, "%s", path);
    mohs_status st = MOHS_OK;
    if (fstat(t.fd, &sb) || !S_ISREG(sb.st_mode)) {
        st = mohs_fail(err, MOHS_E_IO, "%s: not a regular file", path);
    } else {
        t.size = (uint64_t)sb.st_size;
        t.data = t.window = xmalloc(WINDOW);
        st = scan_all(&t, out, err);
        free(t.window);
    }
    close(t.fd);
    return st;
}
