/* SPDX-License-Identifier: MIT */
/* Parquet's footer: schema, row groups, where columns lie. */
#include "config.h"

#include "data/parquet.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    FOOTER_MAX = 256 << 20,
    LEVELS_MAX = 64, /* of the schema's tree */
};

mohs_status parquet_fetch(const struct parquet *p, uint64_t offset, size_t n, char **out,
                          struct mohs_error *err)
{
    if (offset > p->size || n > p->size - offset)
        return mohs_fail(err, MOHS_E_FORMAT, "%s: ends before byte %llu", p->path,
                         (unsigned long long)(offset + n));
    if (p->fd >= 0)
        return file_read_range(p->path, offset, n, out, err);
    *out = xmalloc(n + 1);
    memcpy(*out, p->data + offset, n);
    return MOHS_OK;
}

static mohs_status damaged(const struct parquet *p, const char *what,
                           struct mohs_error *err)
{
    return mohs_fail(err, MOHS_E_FORMAT, "%s: damaged footer: %s", p->path, what);
}

static const char *copied(struct parquet *p, const char *s, size_t n)
{
    char *out = arena_alloc(p->arena, n + 1);
    memcpy(out, s, n);
    return out;
}

/* ---- schema ---- */

struct element {
    int32_t type, repetition, children;
    const char *name;
    size_t n_name;
};

static void read_element(struct thrift *t, struct element *e)
{
    int32_t id = 0;
    uint8_t type;
    *e = (struct element) { .type = -1, .name = "" };
    while (thrift_field(t, &id, &type))
        switch (id) {
        case 1: e->type = (int32_t)thrift_int(t, type); break;
        case 3: e->repetition = (int32_t)thrift_int(t, type); break;
        case 4: e->name = thrift_bytes(t, type, &e->n_name); break;
        case 5: e->children = (int32_t)thrift_int(t, type); break;
        default: thrift_skip(t, type);
        }
}

/* A level of the tree while it is walked. */
struct level {
    int32_t left; /* children to come */
    uint32_t def, rep;
    size_t path; /* length of the path so far */
};

static mohs_status add_leaf(struct parquet *p, const struct element *e,
                            const struct level *l, const struct str *path,
                            struct mohs_error *err)
{
    if (strlen(path->s) != path->n || !utf8_valid(path->s, path->n))
        return damaged(p, "the name of a column", err);
    struct parquet_leaf *f = &p->leaf[p->n_leaves++];
    f->path = copied(p, path->s, path->n);
    f->top = copied(p, path->s, strcspn(path->s, "."));
    f->type = e->type;
    f->max_def = l->def;
    f->max_rep = l->rep;
    return MOHS_OK;
}

/* The tree lies in depth-first order; the first element is its root. */
static mohs_status read_schema(struct parquet *p, struct thrift *t, uint8_t type,
                               struct mohs_error *err)
{
    uint8_t element;
    size_t n = thrift_list(t, type, &element);
    struct level stack[LEVELS_MAX];
    int top = -1;
    struct element e;
    struct str path = { 0 };
    mohs_status st = MOHS_OK;
    if (element != THRIFT_STRUCT || !n || p->leaf)
        return damaged(p, "schema", err);
    p->leaf = arena_alloc(p->arena, n * sizeof *p->leaf);
    str_add(&path, "");
    for (size_t i = 0; i < n && st >= 0; i++) {
        read_element(t, &e);
        struct level l = { e.children, 0, 0, 0 };
        if (i) {
            l.def = stack[top].def + (e.repetition != 0);
            l.rep = stack[top].rep + (e.repetition == 2);
            path.n = stack[top].path;
            if (path.n)
                str_add(&path, ".");
            str_addn(&path, e.name, e.n_name);
            l.path = path.n;
            stack[top].left--;
        }
        if (t->bad || e.repetition < 0 || e.repetition > 2 || e.children < 0 ||
            (i ? l.path == 0 : e.children == 0) || path.n > 4096)
            st = damaged(p, "schema", err);
        else if (e.children && top + 1 == LEVELS_MAX)
            st = damaged(p, "schema of too many levels", err);
        else if (e.children)
            stack[++top] = l;
        else
            st = add_leaf(p, &e, &l, &path, err);
        while (top >= 0 && !stack[top].left)
            top--;
        if (st >= 0 && (top < 0) != (i == n - 1))
            st = damaged(p, "schema", err);
    }
    str_free(&path);
    return st;
}

/* ---- row groups ---- */

static void read_column_meta(struct thrift *t, struct parquet_chunk *c, int32_t *ptype)
{
    int32_t id = 0;
    uint8_t type;
    int64_t data = 0, dictionary = 0, values = 0, bytes = 0;
    while (thrift_field(t, &id, &type))
        switch (id) {
        case 1: *ptype = (int32_t)thrift_int(t, type); break;
        case 4: c->codec = (int32_t)thrift_int(t, type); break;
        case 5: values = thrift_int(t, type); break;
        case 7: bytes = thrift_int(t, type); break;
        case 9: data = thrift_int(t, type); break;
        case 11: dictionary = thrift_int(t, type); break;
        default: thrift_skip(t, type);
        }
    if (data < 0 || dictionary < 0 || values < 0 || bytes < 0)
        t->bad = true;
    c->values = (uint64_t)values;
    c->bytes = (uint64_t)bytes;
    c->offset = (uint64_t)(dictionary > 0 && dictionary < data ? dictionary : data);
}

static mohs_status read_chunk(struct parquet *p, struct thrift *t, size_t leaf,
                              struct parquet_chunk *c, struct mohs_error *err)
{
    int32_t id = 0, ptype = -1;
    uint8_t type;
    bool elsewhere = false;
    while (thrift_field(t, &id, &type)) {
        if (id == 1)
            elsewhere = true;
        if (id == 3 && type == THRIFT_STRUCT)
            read_column_meta(t, c, &ptype);
        else
            thrift_skip(t, type);
    }
    if (elsewhere)
        return mohs_fail(err, MOHS_E_UNSUPPORTED, "%s: column %s lies in another file",
                         p->path, p->leaf[leaf].path);
    if (t->bad || ptype != p->leaf[leaf].type || c->offset > p->size ||
        c->bytes > p->size - c->offset)
        return damaged(p, p->leaf[leaf].path, err);
    return MOHS_OK;
}

static mohs_status read_group(struct parquet *p, struct thrift *t, struct parquet_group *g,
                              struct mohs_error *err)
{
    int32_t id = 0;
    uint8_t type, element;
    int64_t rows = -1;
    while (thrift_field(t, &id, &type))
        if (id == 1) {
            size_t n = thrift_list(t, type, &element);
            if (n != p->n_leaves || element != THRIFT_STRUCT || g->chunk)
                return damaged(p, "columns of a row group", err);
            g->chunk = arena_alloc(p->arena, n * sizeof *g->chunk);
            for (size_t i = 0; i < n; i++)
                RET_IF_ERR(read_chunk(p, t, i, &g->chunk[i], err));
        } else if (id == 3) {
            rows = thrift_int(t, type);
        } else {
            thrift_skip(t, type);
        }
    // a row takes at least a bit, so a picture's row group is no larger
    if (t->bad || rows < 0 || !g->chunk || (uint64_t)rows > UINT32_MAX / 2)
        return damaged(p, "a row group", err);
    g->rows = (uint64_t)rows;
    p->rows += g->rows;
    return MOHS_OK;
}

static mohs_status read_groups(struct parquet *p, struct thrift *t, uint8_t type,
                               struct mohs_error *err)
{
    uint8_t element;
    size_t n = thrift_list(t, type, &element);
    if (!p->leaf || p->group || (n && element != THRIFT_STRUCT))
        return damaged(p, "row groups", err);
    p->group = arena_alloc(p->arena, (n + 1) * sizeof *p->group);
    for (; p->n_groups < n; p->n_groups++)
        RET_IF_ERR(read_group(p, t, &p->group[p->n_groups], err));
    return MOHS_OK;
}

static void read_note(struct parquet *p, struct thrift *t)
{
    int32_t id = 0;
    uint8_t type;
    const char *key = "", *value = "";
    size_t n_key = 0, n_value = 0;
    while (thrift_field(t, &id, &type))
        if (id == 1)
            key = thrift_bytes(t, type, &n_key);
        else if (id == 2)
            value = thrift_bytes(t, type, &n_value);
        else
            thrift_skip(t, type);
    if (!t->bad && n_key == 11 && !memcmp(key, "huggingface", 11))
        p->huggingface = copied(p, value, n_value);
}

static mohs_status read_footer(struct parquet *p, struct thrift *t, struct mohs_error *err)
{
    int32_t id = 0;
    uint8_t type, element;
    while (thrift_field(t, &id, &type))
        if (id == 2) {
            RET_IF_ERR(read_schema(p, t, type, err));
        } else if (id == 4) {
            RET_IF_ERR(read_groups(p, t, type, err));
        } else if (id == 5) {
            size_t n = thrift_list(t, type, &element);
            for (size_t i = 0; i < n && !t->bad; i++)
                read_note(p, t);
        } else {
            thrift_skip(t, type);
        }
    return t->bad || !p->group ? damaged(p, "it ends early", err) : MOHS_OK;
}

/* ---- files ---- */

static mohs_status read_file(struct parquet *p, struct mohs_error *err)
{
    char *tail = NULL, *footer = NULL, *head = NULL;
    mohs_status st;
    if (p->size < 12)
        return mohs_fail(err, MOHS_E_FORMAT, "%s: not a Parquet file", p->path);
    OUT_IF_ERR(parquet_fetch(p, 0, 4, &head, err));
    OUT_IF_ERR(parquet_fetch(p, p->size - 8, 8, &tail, err));
    if (memcmp(head, "PAR1", 4) || memcmp(tail + 4, "PAR1", 4)) {
        st = mohs_fail(err, MOHS_E_FORMAT, "%s: not a Parquet file, or cut short",
                       p->path);
        goto out;
    }
    uint32_t n = 0;
    for (int i = 3; i >= 0; i--)
        n = n << 8 | (uint8_t)tail[i];
    if (n > p->size - 12 || n > FOOTER_MAX) {
        st = damaged(p, "its length", err);
        goto out;
    }
    OUT_IF_ERR(parquet_fetch(p, p->size - 8 - n, n, &footer, err));
    struct thrift t = { (const uint8_t *)footer, (const uint8_t *)footer + n, false };
    st = read_footer(p, &t, err);
out:
    free(head);
    free(tail);
    free(footer);
    return st;
}

static mohs_status opened(struct parquet *p, struct parquet **out, struct mohs_error *err)
{
    mohs_status st = read_file(p, err);
    if (st < 0)
        parquet_close(p);
    else
        *out = p;
    return st;
}

mohs_status parquet_open(const char *path, struct parquet **out, struct mohs_error *err)
{
    struct stat sb;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, "%s", path);
    if (fstat(fd, &sb) || !S_ISREG(sb.st_mode)) {
        close(fd);
        return mohs_fail(err, MOHS_E_IO, "%s: not a regular file", path);
    }
    struct parquet *p = xcalloc(1, sizeof *p);
    p->path = xstrdup(path);
    p->fd = fd;
    p->size = (uint64_t)sb.st_size;
    p->arena = arena_new();
    return opened(p, out, err);
}

mohs_status parquet_bytes(const void *data, size_t n, const char *name,
                          struct parquet **out, struct mohs_error *err)
{
    struct parquet *p = xcalloc(1, sizeof *p);
    p->path = xstrdup(name);
    p->fd = -1;
    p->data = data;
    p->size = n;
    p->arena = arena_new();
    return opened(p, out, err);
}

void parquet_close(struct parquet *p)
{
    if (!p)
        return;
    if (p->fd >= 0)
        close(p->fd);
    arena_free(p->arena);
    free(p->path);
    free(p);
}
