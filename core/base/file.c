/* SPDX-License-Identifier: MIT */
/* Files, directories and paths; writes are atomic. */
#include "config.h"

#include "base/base.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

mohs_status file_read(const char *path, size_t max, char **data, size_t *n,
                      struct mohs_error *err)
{
    struct stat sb;
    FILE *f = fopen(path, "rb");
    char *buf = NULL;
    mohs_status st = MOHS_OK;
    if (!f)
        return err_errno(err, "%s", path);
    if (fstat(fileno(f), &sb)) {
        st = err_errno(err, "%s", path);
        goto out;
    }
    if (!S_ISREG(sb.st_mode)) {
        st = mohs_fail(err, MOHS_E_IO, "%s: not a regular file", path);
        goto out;
    }
    size_t len = (size_t)sb.st_size;
    if (max && len > max) {
        st = mohs_fail(err, MOHS_E_FORMAT, "%s: %zu bytes, the limit is %zu",
                       path, len, max);
        goto out;
    }
    buf = malloc(len + 1);
    if (!buf) {
        st = mohs_fail(err, MOHS_E_NOMEM, "%s: no memory for %zu bytes", path, len);
        goto out;
    }
    if (fread(buf, 1, len, f) != len) {
        st = mohs_fail(err, MOHS_E_IO, "%s: short read", path);
        goto out;
    }
    buf[len] = 0;
    *data = buf;
    buf = NULL;
    if (n)
        *n = len;
out:
    free(buf);
    fclose(f);
    return st;
}

mohs_status file_read_range(const char *path, uint64_t offset, size_t n,
                            char **data, struct mohs_error *err)
{
    char *buf = NULL;
    mohs_status st = MOHS_OK;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, "%s", path);
    if (n == SIZE_MAX || offset > INT64_MAX - n || !(buf = malloc(n + 1))) {
        st = mohs_fail(err, MOHS_E_NOMEM, "%s: no memory for %zu bytes", path, n);
        goto out;
    }
    for (size_t have = 0; have < n;) {
        ssize_t got = pread(fd, buf + have, n - have, (off_t)(offset + have));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            st = err_errno(err, "%s", path);
        else if (!got)
            st = mohs_fail(err, MOHS_E_FORMAT, "%s: ends before byte %llu", path,
                           (unsigned long long)(offset + n));
        if (got <= 0)
            goto out;
        have += (size_t)got;
    }
    buf[n] = 0;
    *data = buf;
    buf = NULL;
out:
    free(buf);
    close(fd);
    return st;
}

mohs_status file_write(const char *path, const void *data, size_t n,
                       struct mohs_error *err)
{
    char *tmp = xasprintf("%s.%ld.tmp", path, (long)getpid());
    mohs_status st = MOHS_OK;
    FILE *f = fopen(tmp, "wb");
    if (!f) {
        st = err_errno(err, "%s", path);
        free(tmp);
        return st;
    }
    bool ok = fwrite(data, 1, n, f) == n && !fflush(f) && !fsync(fileno(f));
    if (!ok)
        st = err_errno(err, "%s", path);
    if (fclose(f) && ok)
        st = err_errno(err, "%s", path);
    if (st >= 0 && rename(tmp, path))
        st = err_errno(err, "%s", path);
    if (st < 0)
        unlink(tmp);
    free(tmp);
    return st;
}

bool file_exists(const char *path)
{
    struct stat sb;
    return !stat(path, &sb) && S_ISREG(sb.st_mode);
}

bool dir_exists(const char *path)
{
    struct stat sb;
    return !stat(path, &sb) && S_ISDIR(sb.st_mode);
}

mohs_status dir_make(const char *path, struct mohs_error *err)
{
    char *p = xstrdup(path);
    mohs_status st = MOHS_OK;
    for (char *q = p + 1;; q++) {
        if (*q && *q != '/')
            continue;
        char c = *q;
        *q = 0;
        if (mkdir(p, 0777) && errno != EEXIST) {
            st = err_errno(err, "%s", p);
            break;
        }
        *q = c;
        if (!c)
            break;
    }
    if (st >= 0 && !dir_exists(path))
        st = mohs_fail(err, MOHS_E_IO, "%s: not a directory", path);
    free(p);
    return st;
}

const char *cache_dir(void)
{
    static char *dir;
    if (dir)
        return dir;
    const char *own = getenv("MOHS_CACHE_DIR"), *xdg = getenv("XDG_CACHE_HOME");
    const char *home = getenv("HOME");
    if (own && *own)
        dir = xstrdup(own);
    else if (xdg && *xdg)
        dir = path_join(xdg, "mohs");
    else if (home && *home)
        dir = path_join(home, ".cache/mohs");
    else
        dir = xasprintf("/tmp/mohs-%ld", (long)getuid());
    struct mohs_error err = MOHS_ERROR_INIT;
    if (dir_make(dir, &err) < 0)
        log_warn("cache directory: %s", err.text);
    return dir;
}

char *path_join(const char *a, const char *b)
{
    size_t n = strlen(a);
    return xasprintf("%s%s%s", a, n && a[n - 1] == '/' ? "" : "/", b);
}

const char *path_base(const char *path)
{
    const char *s = strrchr(path, '/');
    return s ? s + 1 : path;
}

char *path_stem(const char *path)
{
    char *s = xstrdup(path_base(path)), *dot = strrchr(s, '.');
    if (dot && dot != s)
        *dot = 0;
    return s;
}

char *path_dir(const char *path)
{
    const char *s = strrchr(path, '/');
    if (!s)
        return xstrdup(".");
    if (s == path)
        return xstrdup("/");
    return xasprintf("%.*s", (int)(s - path), path);
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

mohs_status dir_list(const char *path, char ***out, size_t *n,
                     struct mohs_error *err)
{
    DIR *d = opendir(path);
    if (!d)
        return err_errno(err, "%s", path);
    char **v = NULL;
    size_t len = 0, cap = 0;
    for (struct dirent *e; (e = readdir(d));) {
        if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
            continue;
        if (len + 2 > cap)
            v = xrealloc(v, (cap = cap ? 2 * cap : 16) * sizeof *v);
        v[len++] = xstrdup(e->d_name);
    }
    closedir(d);
    if (!v)
        v = xmalloc(sizeof *v);
    v[len] = NULL;
    qsort(v, len, sizeof *v, by_bytes);
    *out = v;
    if (n)
        *n = len;
    return MOHS_OK;
}

void strv_free(char **v)
{
    if (!v)
        return;
    for (char **p = v; *p; p++)
        free(*p);
    free(v);
}
