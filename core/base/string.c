/* SPDX-License-Identifier: MIT */
/* The byte string, escaping, number parsing, UTF-8 validation. */
#include "config.h"

#include "base/base.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

void str_free(struct str *b)
{
    free(b->s);
    *b = (struct str) { 0 };
}

void str_addn(struct str *b, const char *s, size_t n)
{
    if (b->n + n + 1 > b->cap) {
        size_t cap = b->cap ? b->cap * 2 : 128;
        while (cap < b->n + n + 1)
            cap *= 2;
        b->s = xrealloc(b->s, cap);
        b->cap = cap;
    }
    if (n)
        memcpy(b->s + b->n, s, n);
    b->n += n;
    b->s[b->n] = 0;
}

void str_add(struct str *b, const char *s)
{
    str_addn(b, s, strlen(s));
}

void str_addf(struct str *b, const char *fmt, ...)
{
    char small[256];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(small, sizeof small, fmt, ap);
    va_end(ap);
    if ((size_t)n < sizeof small) {
        str_addn(b, small, (size_t)n);
        return;
    }
    char *big = xmalloc((size_t)n + 1);
    va_start(ap, fmt);
    vsnprintf(big, (size_t)n + 1, fmt, ap);
    va_end(ap);
    str_addn(b, big, (size_t)n);
    free(big);
}

void str_add_json(struct str *b, const char *s)
{
    str_add(b, "\"");
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;
        if (c == '"' || c == '\\')
            str_addf(b, "\\%c", c);
        else if (c == '\n')
            str_add(b, "\\n");
        else if (c == '\t')
            str_add(b, "\\t");
        else if (c < 0x20)
            str_addf(b, "\\u%04x", c);
        else
            str_addn(b, s, 1);
    }
    str_add(b, "\"");
}

void str_add_html(struct str *b, const char *s)
{
    for (; *s; s++) {
        switch (*s) {
        case '&': str_add(b, "&amp;"); break;
        case '<': str_add(b, "&lt;"); break;
        case '>': str_add(b, "&gt;"); break;
        case '"': str_add(b, "&quot;"); break;
        case '\'': str_add(b, "&#39;"); break;
        default: str_addn(b, s, 1);
        }
    }
}

bool str_ends(const char *s, const char *suffix)
{
    size_t n = strlen(s), m = strlen(suffix);
    return n >= m && !strcmp(s + n - m, suffix);
}

static unsigned edit_distance(const char *a, const char *b)
{
    enum { MAX = 64 };
    size_t n = strlen(a), m = strlen(b);
    if (n >= MAX || m >= MAX)
        return MAX;
    unsigned row[MAX + 1];
    for (size_t j = 0; j <= m; j++)
        row[j] = (unsigned)j;
    for (size_t i = 1; i <= n; i++) {
        unsigned diag = row[0];
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= m; j++) {
            unsigned sub = diag + (a[i - 1] != b[j - 1]);
            diag = row[j];
            unsigned best = row[j] < row[j - 1] ? row[j] + 1 : row[j - 1] + 1;
            row[j] = sub < best ? sub : best;
        }
    }
    return row[m];
}

const char *str_nearest(const char *s, const char *const *names, size_t n)
{
    const char *best = NULL;
    unsigned d = 4;
    for (size_t i = 0; i < n; i++) {
        unsigned e = edit_distance(s, names[i]);
        if (e < d) {
            d = e;
            best = names[i];
        }
    }
    return best;
}

bool str_to_double(const char *s, double *out)
{
    char *end;
    errno = 0;
    double x = strtod(s, &end);
    if (end == s || *end || errno == ERANGE || !isfinite(x))
        return false;
    *out = x;
    return true;
}

bool str_to_i64(const char *s, int64_t *out)
{
    char *end;
    errno = 0;
    long long x = strtoll(s, &end, 10);
    if (end == s || *end || errno == ERANGE)
        return false;
    *out = x;
    return true;
}

bool utf8_valid(const char *s, size_t n)
{
    const unsigned char *p = (const unsigned char *)s, *end = p + n;
    while (p < end) {
        unsigned c = *p++;
        if (c < 0x80)
            continue;
        unsigned more = c >= 0xF0 ? 3 : c >= 0xE0 ? 2 : 1;
        if (c < 0xC2 || c > 0xF4 || (size_t)(end - p) < more)
            return false;
        uint32_t cp = c & (0x3Fu >> more);
        for (unsigned i = 0; i < more; i++, p++) {
            if ((*p & 0xC0) != 0x80)
                return false;
            cp = cp << 6 | (*p & 0x3Fu);
        }
        if ((more == 2 && (cp < 0x800 || (cp >= 0xD800 && cp < 0xE000))) ||
            (more == 3 && (cp < 0x10000 || cp > 0x10FFFF)))
            return false;
    }
    return true;
}
