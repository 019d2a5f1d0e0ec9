/* SPDX-License-Identifier: MIT */
/* The JSON token stream: a window of the file and a bit for each level. */
#include "config.h"

#include "data/json_pull.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    WINDOW = 1 << 16,
    DEPTH_MAX = 512,     /* lists and objects within each other */
    TEXT_MAX = 16 << 20, /* bytes of one text */
};

/* What may come next. */
enum state { AT_VALUE, AT_FIRST, AT_KEY, AT_COLON, AT_COMMA, AT_END };

struct json_pull {
    const char *name;
    char *path; /* name, when it is ours */
    int fd;     /* -1: bytes */
    char *window;
    const char *at, *end;
    uint64_t line;
    enum state state;
    uint32_t depth;
    uint8_t is_list[DEPTH_MAX];
    struct str text;
};

static struct json_pull *pull_new(const char *name)
{
    struct json_pull *p = xcalloc(1, sizeof *p);
    p->name = name;
    p->fd = -1;
    p->line = 1;
    str_add(&p->text, "");
    return p;
}

mohs_status json_pull_open(const char *path, struct json_pull **out,
                           struct mohs_error *err)
{
    struct stat sb;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, "%s", path);
    if (fstat(fd, &sb) || !S_ISREG(sb.st_mode)) {
        close(fd);
        return mohs_fail(err, MOHS_E_IO, "%s: not a regular file", path);
    }
    struct json_pull *p = pull_new(NULL);
    p->name = p->path = xstrdup(path);
    p->fd = fd;
    p->at = p->end = p->window = xmalloc(WINDOW);
    *out = p;
    return MOHS_OK;
}

struct json_pull *json_pull_bytes(const char *data, size_t n, const char *name)
{
    struct json_pull *p = pull_new(name);
    p->at = data;
    p->end = data + n;
    return p;
}

void json_pull_close(struct json_pull *p)
{
    if (!p)
        return;
    if (p->fd >= 0)
        close(p->fd);
    free(p->window);
    free(p->path);
    str_free(&p->text);
    free(p);
}

const char *json_pull_text(const struct json_pull *p)
{
    return p->text.s;
}

const char *json_pull_name(const struct json_pull *p)
{
    return p->name;
}

uint64_t json_pull_line(const struct json_pull *p)
{
    return p->line;
}

/* ---- bytes ---- */

enum { NO_MORE = -1 };

/* The next byte without taking it, NO_MORE at the end. */
static int peek(struct json_pull *p, mohs_status *st, struct mohs_error *err)
{
    if (p->at < p->end)
        return (uint8_t)*p->at;
    if (p->fd < 0)
        return NO_MORE;
    ssize_t n;
    do
        n = read(p->fd, p->window, WINDOW);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        *st = err_errno(err, "%s", p->name);
    if (n <= 0)
        return NO_MORE;
    p->at = p->window;
    p->end = p->window + n;
    return (uint8_t)*p->at;
}

MOHS_PRINTF(3, 4)
static mohs_status bad(const struct json_pull *p, struct mohs_error *err,
                       const char *fmt, ...)
{
    char what[160];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(what, sizeof what, fmt, ap);
    va_end(ap);
    return mohs_fail(err, MOHS_E_FORMAT, "%s:%llu: %s", p->name,
                     (unsigned long long)p->line, what);
}

static mohs_status unexpected(const struct json_pull *p, int c, const char *want,
                              struct mohs_error *err)
{
    if (c == NO_MORE)
        return bad(p, err, "the file ends, not %s", want);
    if (c < 0x20 || c >= 0x7f)
        return bad(p, err, "byte 0x%02x, not %s", (unsigned)c, want);
    return bad(p, err, "'%c', not %s", c, want);
}

/* First byte after white space; not taken. */
static int peek_token(struct json_pull *p, mohs_status *st, struct mohs_error *err)
{
    for (;;) {
        int c = peek(p, st, err);
        if (c == '\n')
            p->line++;
        else if (c != ' ' && c != '\t' && c != '\r')
            return c;
        p->at++;
    }
}

/* ---- texts and numbers ---- */

static mohs_status hex4(struct json_pull *p, uint32_t *out, struct mohs_error *err)
{
    mohs_status st = MOHS_OK;
    *out = 0;
    for (int i = 0; i < 4; i++) {
        int c = peek(p, &st, err);
        RET_IF_ERR(st);
        const char *digits = "0123456789abcdef0123456789ABCDEF";
        const char *d = c > 0 ? strchr(digits, c) : NULL;
        if (!d)
            return unexpected(p, c, "a hexadecimal digit", err);
        *out = *out << 4 | (uint32_t)((d - digits) & 15);
        p->at++;
    }
    return MOHS_OK;
}

static void add_code_point(struct json_pull *p, uint32_t u)
{
    char s[4];
    size_t n = u < 0x80 ? 1 : u < 0x800 ? 2 : u < 0x10000 ? 3 : 4;
    for (size_t i = n; i > 1; u >>= 6)
        s[--i] = (char)(0x80 | (u & 0x3f));
    s[0] = (char)(n == 1 ? u : (0xf00u >> n & 0xff) | u);
    str_addn(&p->text, s, n);
}

static mohs_status unicode_escape(struct json_pull *p, struct mohs_error *err)
{
    uint32_t u, low;
    mohs_status st = MOHS_OK;
    RET_IF_ERR(hex4(p, &u, err));
    if (u >= 0xd800 && u < 0xdc00) {
        for (const char *want = "\\u"; *want; want++) {
            int c = peek(p, &st, err);
            RET_IF_ERR(st);
            if (c != *want)
                return bad(p, err, "half of a surrogate pair");
            p->at++;
        }
        RET_IF_ERR(hex4(p, &low, err));
        if (low < 0xdc00 || low > 0xdfff)
            return bad(p, err, "half of a surrogate pair");
        u = 0x10000 + ((u - 0xd800) << 10) + (low - 0xdc00);
    } else if (u >= 0xdc00 && u < 0xe000) {
        return bad(p, err, "half of a surrogate pair");
    }
    if (!u)
        return bad(p, err, "a NUL in a text");
    add_code_point(p, u);
    return MOHS_OK;
}

static mohs_status escape(struct json_pull *p, struct mohs_error *err)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    mohs_status st = MOHS_OK;
    int c = peek(p, &st, err);
    RET_IF_ERR(st);
    const char *hit = c > 0 ? strchr(from, c) : NULL;
    if (!hit && c != 'u')
        return unexpected(p, c, "an escape", err);
    p->at++;
    if (!hit)
        return unicode_escape(p, err);
    str_addn(&p->text, &to[hit - from], 1);
    return MOHS_OK;
}

/* The window up to what ends or interrupts a text. */
static size_t plain_run(const struct json_pull *p)
{
    const char *s = p->at;
    while (s < p->end && (uint8_t)*s >= 0x20 && *s != '"' && *s != '\\')
        s++;
    return (size_t)(s - p->at);
}

static mohs_status read_text(struct json_pull *p, struct mohs_error *err)
{
    mohs_status st = MOHS_OK;
    p->at++; // the quote
    p->text.n = 0;
    p->text.s[0] = 0;
    for (;;) {
        int c = peek(p, &st, err);
        RET_IF_ERR(st);
        if (c == '"')
            break;
        if (c < 0x20)
            return unexpected(p, c, "the rest of a text", err);
        if (c == '\\') {
            p->at++;
            RET_IF_ERR(escape(p, err));
        } else {
            size_t n = plain_run(p);
            str_addn(&p->text, p->at, n);
            p->at += n;
        }
        if (p->text.n > TEXT_MAX)
            return bad(p, err, "a text of more than %d bytes", TEXT_MAX);
    }
    p->at++;
    if (!utf8_valid(p->text.s, p->text.n))
        return bad(p, err, "a text is not UTF-8");
    return MOHS_OK;
}

static mohs_status digits(struct json_pull *p, struct mohs_error *err)
{
    mohs_status st = MOHS_OK;
    size_t n = 0;
    for (;; n++) {
        int c = peek(p, &st, err);
        RET_IF_ERR(st);
        if (c < '0' || c > '9') {
            if (!n)
                return unexpected(p, c, "a digit", err);
            return MOHS_OK;
        }
        if (p->text.n > 1000)
            return bad(p, err, "a number of more than 1000 digits");
        str_addn(&p->text, p->at++, 1);
    }
}

/* Takes one byte of `set` if it comes next. */
static bool take(struct json_pull *p, const char *set, mohs_status *st,
                 struct mohs_error *err)
{
    int c = peek(p, st, err);
    if (c <= 0 || !strchr(set, c))
        return false;
    str_addn(&p->text, p->at++, 1);
    return true;
}

static mohs_status read_number(struct json_pull *p, struct mohs_error *err)
{
    mohs_status st = MOHS_OK;
    p->text.n = 0;
    take(p, "-", &st, err);
    if (st >= 0 && !take(p, "0", &st, err) && st >= 0)
        st = digits(p, err);
    if (st >= 0 && take(p, ".", &st, err))
        st = digits(p, err);
    if (st >= 0 && take(p, "eE", &st, err)) {
        take(p, "+-", &st, err);
        if (st >= 0)
            st = digits(p, err);
    }
    return st;
}

static int32_t read_word(struct json_pull *p, struct mohs_error *err)
{
    static const char *const word[] = { "true", "false", "null" };
    mohs_status st = MOHS_OK;
    for (int i = 0; i < 3; i++) {
        if (*p->at != word[i][0])
            continue;
        for (const char *w = word[i]; *w; w++, p->at++) {
            int c = peek(p, &st, err);
            RET_IF_ERR(st);
            if (c != *w)
                return unexpected(p, c, word[i], err);
        }
        return PULL_TRUE + i;
    }
    return unexpected(p, (uint8_t)*p->at, "a value", err);
}

/* ---- tokens ---- */

static void value_done(struct json_pull *p)
{
    p->state = p->depth ? AT_COMMA : AT_END;
}

static int32_t enter(struct json_pull *p, bool list, struct mohs_error *err)
{
    if (p->depth == DEPTH_MAX)
        return bad(p, err, "nested deeper than %d", DEPTH_MAX);
    p->is_list[p->depth++] = list;
    p->at++;
    p->state = AT_FIRST;
    return list ? PULL_LIST : PULL_OBJECT;
}

static int32_t leave(struct json_pull *p)
{
    bool list = p->is_list[--p->depth];
    p->at++;
    value_done(p);
    return list ? PULL_LIST_END : PULL_OBJECT_END;
}

static int32_t read_value(struct json_pull *p, int c, struct mohs_error *err)
{
    if (c == '{' || c == '[')
        return enter(p, c == '[', err);
    int32_t token;
    if (c == '"') {
        RET_IF_ERR(read_text(p, err));
        token = PULL_TEXT;
    } else if (c == '-' || (c >= '0' && c <= '9')) {
        RET_IF_ERR(read_number(p, err));
        token = PULL_NUMBER;
    } else if (c == NO_MORE) {
        return unexpected(p, c, "a value", err);
    } else {
        token = read_word(p, err);
    }
    value_done(p);
    return token;
}

static int32_t read_key(struct json_pull *p, int c, struct mohs_error *err)
{
    mohs_status st = MOHS_OK;
    if (c != '"')
        return unexpected(p, c, "a key", err);
    RET_IF_ERR(read_text(p, err));
    c = peek_token(p, &st, err);
    RET_IF_ERR(st);
    if (c != ':')
        return unexpected(p, c, "':'", err);
    p->at++;
    p->state = AT_VALUE;
    return PULL_KEY;
}

int32_t json_pull_next(struct json_pull *p, struct mohs_error *err)
{
    mohs_status st = MOHS_OK;
    int c = peek_token(p, &st, err);
    RET_IF_ERR(st);
    if (p->state == AT_END)
        return c == NO_MORE ? PULL_END : unexpected(p, c, "the end", err);
    if (p->state == AT_VALUE)
        return read_value(p, c, err);
    bool list = p->is_list[p->depth - 1];
    if (c == (list ? ']' : '}'))
        return leave(p);
    if (p->state == AT_COMMA) {
        if (c != ',')
            return unexpected(p, c, list ? "',' or ']'" : "',' or '}'", err);
        p->at++;
        c = peek_token(p, &st, err);
        RET_IF_ERR(st);
    }
    return list ? read_value(p, c, err) : read_key(p, c, err);
}

mohs_status json_pull_skip(struct json_pull *p, int32_t token,
                           struct mohs_error *err)
{
    if (token != PULL_LIST && token != PULL_OBJECT)
        return token < 0 ? token : MOHS_OK;
    uint32_t level = p->depth;
    while (token >= 0 && p->depth >= level)
        token = json_pull_next(p, err);
    return token < 0 ? token : MOHS_OK;
}

int32_t json_pull_key(struct json_pull *p, struct mohs_error *err)
{
    int32_t token = json_pull_next(p, err);
    return token < 0 ? token : token == PULL_KEY;
}

/* ---- single values ---- */

mohs_status json_pull_value(struct json_pull *p, struct json_value *v,
                            struct mohs_error *err)
{
    int32_t token = json_pull_next(p, err);
    if (token < 0)
        return token;
    v->there = true;
    v->token = (enum json_token)token;
    v->text.n = 0;
    if (token == PULL_TEXT || token == PULL_NUMBER)
        str_addn(&v->text, p->text.s, p->text.n);
    return json_pull_skip(p, token, err);
}

mohs_status json_pull_fields(struct json_pull *p, size_t n, const char *const *name,
                             struct json_value *v, struct mohs_error *err)
{
    int32_t more;
    for (size_t i = 0; i < n; i++)
        json_value_clear(&v[i]);
    while ((more = json_pull_key(p, err)) == 1) {
        size_t i = 0;
        while (i < n && (!name[i] || strcmp(name[i], p->text.s)))
            i++;
        if (i < n)
            RET_IF_ERR(json_pull_value(p, &v[i], err));
        else
            RET_IF_ERR(json_pull_skip(p, json_pull_next(p, err), err));
    }
    return more < 0 ? more : MOHS_OK;
}

void json_value_free(struct json_value *v)
{
    str_free(&v->text);
    v->there = false;
}

void json_value_clear(struct json_value *v)
{
    v->there = false;
}

bool json_value_integer(const struct json_value *v, int64_t *out)
{
    return v->there && v->token == PULL_NUMBER && str_to_i64(v->text.s, out);
}

const char *json_value_text(const struct json_value *v)
{
    return v->there && v->token == PULL_TEXT ? v->text.s : NULL;
}

/* `"a text"`, `1.5`, `null`, `a list`, `missing`. */
static void show(const struct json_value *v, struct str *out)
{
    static const char *const name[] = {
        [PULL_OBJECT] = "an object", [PULL_LIST] = "a list", [PULL_TRUE] = "true",
        [PULL_FALSE] = "false", [PULL_NULL] = "null", [PULL_NUMBER] = NULL,
    };
    if (!v->there)
        str_add(out, "missing");
    else if (v->token == PULL_TEXT)
        str_add_json(out, v->text.s);
    else
        str_add(out, v->token == PULL_NUMBER ? v->text.s : name[v->token]);
}

mohs_status json_value_refuse(const struct json_value *v, struct mohs_error *err,
                              const char *want, const char *where, ...)
{
    struct str is = { 0 };
    char text[160];
    va_list ap;
    va_start(ap, where);
    vsnprintf(text, sizeof text, where, ap);
    va_end(ap);
    show(v, &is);
    mohs_status st = mohs_fail(err, MOHS_E_FORMAT, "%s is %.60s, not %s", text, is.s, want);
    str_free(&is);
    return st;
}
