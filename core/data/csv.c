/* SPDX-License-Identifier: MIT */
/* Rows of separated values, one at a time. */
#include "config.h"

#include "data/csv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    WINDOW = 1 << 16,
    ROW_MAX = 16 << 20, /* bytes */
    FIELDS_MAX = 10000,
    NO_MORE = -1,
};

struct csv {
    const char *name;
    char *path;
    FILE *f; /* NULL: bytes */
    char *window;
    const char *at, *end;
    char separator;
    bool quotes;
    uint64_t line, row_line;
    struct str row; /* fields, each with its NUL */
    size_t *start;  /* of each field in it */
    const char **field;
    size_t n, cap;
};

static struct csv *csv_new(const char *name, char separator, bool quotes)
{
    struct csv *c = xcalloc(1, sizeof *c);
    c->name = name;
    c->separator = separator;
    c->quotes = quotes;
    c->line = 1;
    return c;
}

static void pass_mark(struct csv *c)
{
    if (c->end - c->at >= 3 && !memcmp(c->at, "\xef\xbb\xbf", 3))
        c->at += 3;
}

mohs_status csv_open(const char *path, char separator, bool quotes, struct csv **out,
                     struct mohs_error *err)
{
    FILE *f = fopen(path, "rb");
    if (!f)
        return err_errno(err, "%s", path);
    struct csv *c = csv_new(NULL, separator, quotes);
    c->name = c->path = xstrdup(path);
    c->f = f;
    c->window = xmalloc(WINDOW);
    c->at = c->window;
    c->end = c->window + fread(c->window, 1, WINDOW, f);
    if (ferror(f)) { // a directory
        mohs_status st = err_errno(err, "%s", path);
        csv_close(c);
        return st;
    }
    pass_mark(c);
    *out = c;
    return MOHS_OK;
}

struct csv *csv_bytes(const char *data, size_t n, char separator, bool quotes,
                      const char *name)
{
    struct csv *c = csv_new(name, separator, quotes);
    c->at = data;
    c->end = data + n;
    pass_mark(c);
    return c;
}

void csv_close(struct csv *c)
{
    if (!c)
        return;
    if (c->f)
        fclose(c->f);
    free(c->path);
    free(c->window);
    free(c->start);
    free(c->field);
    str_free(&c->row);
    free(c);
}

uint64_t csv_line(const struct csv *c)
{
    return c->row_line;
}

/* ---- bytes ---- */

static int peek(struct csv *c)
{
    if (c->at == c->end && c->f) {
        c->at = c->window;
        c->end = c->window + fread(c->window, 1, WINDOW, c->f);
    }
    return c->at < c->end ? (uint8_t)*c->at : NO_MORE;
}

static mohs_status bad(const struct csv *c, const char *what, struct mohs_error *err)
{
    return mohs_fail(err, MOHS_E_FORMAT, "%s:%llu: %s", c->name,
                     (unsigned long long)c->line, what);
}

/* A line's end, if it comes next: LF, CRLF or CR. */
static bool pass_end(struct csv *c, int b)
{
    if (b != '\n' && b != '\r')
        return false;
    c->at++;
    if (b == '\r' && peek(c) == '\n')
        c->at++;
    c->line++;
    return true;
}

/* Appends bytes up to the first that `stops` names. */
static void add_run(struct csv *c, const char *stops, size_t n_stops)
{
    const char *s = c->at;
    while (s < c->end && !memchr(stops, *s, n_stops))
        s++;
    str_addn(&c->row, c->at, (size_t)(s - c->at));
    c->at = s;
}

/* ---- fields ---- */

static mohs_status read_quoted(struct csv *c, struct mohs_error *err)
{
    uint64_t began = c->line;
    c->at++;
    for (;;) {
        int b = peek(c);
        if (b == NO_MORE) {
            c->line = began;
            return bad(c, "a quote that does not end", err);
        }
        if (!b)
            return bad(c, "a NUL", err);
        if (c->row.n > ROW_MAX)
            return bad(c, "a row of more than 16 MiB", err);
        if (b == '"') {
            c->at++;
            if (peek(c) != '"')
                return MOHS_OK;
            c->at++;
            str_add(&c->row, "\"");
        } else if (b == '\n') {
            c->line++;
            c->at++;
            str_add(&c->row, "\n");
        } else {
            add_run(c, "\"\n", 3); // with the NUL
        }
    }
}

static mohs_status read_plain(struct csv *c, struct mohs_error *err)
{
    const char stops[] = { c->separator, '\r', '\n', 0 };
    for (;;) {
        int b = peek(c);
        if (!b)
            return bad(c, "a NUL", err);
        if (b == NO_MORE || memchr(stops, b, 3))
            return MOHS_OK;
        if (c->row.n > ROW_MAX)
            return bad(c, "a row of more than 16 MiB", err);
        add_run(c, stops, sizeof stops);
    }
}

static mohs_status read_field(struct csv *c, struct mohs_error *err)
{
    if (c->n == FIELDS_MAX)
        return bad(c, "a row of more than 10000 fields", err);
    if (c->n == c->cap) {
        c->cap = c->cap ? 2 * c->cap : 16;
        c->start = xrealloc(c->start, c->cap * sizeof *c->start);
        c->field = xrealloc(c->field, c->cap * sizeof *c->field);
    }
    size_t from = c->row.n;
    c->start[c->n++] = from;
    bool quoted = c->quotes && peek(c) == '"';
    RET_IF_ERR(quoted ? read_quoted(c, err) : read_plain(c, err));
    int b = peek(c);
    if (quoted && b != NO_MORE && b != c->separator && b != '\n' && b != '\r')
        return bad(c, "something behind a closing quote", err);
    if (!utf8_valid(c->row.s ? c->row.s + from : "", c->row.n - from))
        return bad(c, "not UTF-8", err);
    str_addn(&c->row, "", 1);
    return MOHS_OK;
}

int32_t csv_next(struct csv *c, const char *const **field, size_t *n,
                 struct mohs_error *err)
{
    int b;
    while ((b = peek(c)) != NO_MORE && pass_end(c, b))
        ; // empty lines
    if (b == NO_MORE)
        return 0;
    c->row_line = c->line;
    c->row.n = c->n = 0;
    do {
        RET_IF_ERR(read_field(c, err));
        b = peek(c);
    } while (b == c->separator && c->at++);
    pass_end(c, b);
    for (size_t i = 0; i < c->n; i++)
        c->field[i] = c->row.s + c->start[i];
    *field = c->field;
    *n = c->n;
    return 1;
}
