/* SPDX-License-Identifier: MIT */
/* Hashes of the content behind paths, each file read once as long as it does
 * not change. */
#include "config.h"

#include "base/base.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* A file that was read, by what stat() says of it. */
struct seen {
    struct stat sb;
    struct hash128 hash;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct seen *seen;
static size_t n_seen;

static bool same_file(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
           a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
           a->st_ctim.tv_sec == b->st_ctim.tv_sec &&
           a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

static bool read_hash(const char *path, struct hash128 *out)
{
    enum { PIECE = 1 << 20 };
    FILE *f = fopen(path, "rb");
    if (!f)
        return false;
    char *piece = xmalloc(PIECE);
    struct hasher *h = hasher_new();
    for (size_t n; (n = fread(piece, 1, PIECE, f)) > 0;)
        hasher_bytes(h, piece, n);
    bool ok = !ferror(f);
    *out = hasher_end(h);
    fclose(f);
    free(piece);
    return ok;
}

static bool file_hash(const char *path, const struct stat *sb, struct hash128 *out)
{
    pthread_mutex_lock(&lock);
    size_t i = 0;
    while (i < n_seen && !same_file(&seen[i].sb, sb))
        i++;
    bool ok = i < n_seen;
    if (ok)
        *out = seen[i].hash;
    else if ((ok = read_hash(path, out))) {
        seen = xrealloc(seen, (n_seen + 1) * sizeof *seen);
        seen[n_seen++] = (struct seen) { *sb, *out };
    }
    pthread_mutex_unlock(&lock);
    return ok;
}

/* What is no regular file, or cannot be read, counts as its name alone. */
static void add_file(struct hasher *h, const char *path)
{
    struct stat sb;
    struct hash128 x;
    hasher_str(h, path_base(path));
    if (stat(path, &sb) || !S_ISREG(sb.st_mode) || !file_hash(path, &sb, &x))
        return;
    hasher_u64(h, (uint64_t)sb.st_size);
    hasher_u64(h, x.hi);
    hasher_u64(h, x.lo);
}

static void add_path(struct hasher *h, const char *path)
{
    char **name = NULL;
    size_t n = 0;
    if (!dir_exists(path)) {
        add_file(h, path);
        return;
    }
    if (dir_list(path, &name, &n, NULL) < 0)
        return;
    hasher_u64(h, n);
    for (size_t i = 0; i < n; i++) {
        char *full = path_join(path, name[i]);
        add_file(h, full);
        free(full);
    }
    strv_free(name);
}

void hasher_paths(struct hasher *h, const char *paths)
{
    while (*paths) {
        size_t n = strcspn(paths, ":");
        char *one = xasprintf("%.*s", (int)n, paths);
        if (n)
            add_path(h, one);
        free(one);
        paths += n + (paths[n] == ':');
    }
}
