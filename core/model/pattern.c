/* SPDX-License-Identifier: MIT */
/*
 * Patterns of tokenizer files, written for Oniguruma (Ruby syntax), run by
 * PCRE2. What the two read differently is spelled out before compiling: \s,
 * \w and \b; `^` and `$` are of lines. PCRE2 10.42 knows the characters of
 * Unicode 14.0; only newer ones can fall into other classes.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include <utf8proc.h>

#include "model/tokenizer.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

/* White_Space. PCRE2's own \s has U+180E too, which lost the property. */
#define SPACE_SET                                                        \
    "\\x09-\\x0d\\x20\\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}" \
    "\\x{2029}\\x{202f}\\x{205f}\\x{3000}"
#define NOT_SPACE_SET                                                       \
    "\\x00-\\x08\\x0e-\\x1f\\x21-\\x{84}\\x{86}-\\x{9f}\\x{a1}-\\x{167f}"    \
    "\\x{1681}-\\x{1fff}\\x{200b}-\\x{2027}\\x{202a}-\\x{202e}\\x{2030}-"    \
    "\\x{205e}\\x{2060}-\\x{2fff}\\x{3001}-\\x{10ffff}"
/* Oniguruma's \w: Alphabetic, marks, decimal digits, connectors; of Latin-1
 * also the other numbers. */
#define WORD_SET                                                          \
    "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\x{b2}\\x{b3}\\x{b9}\\x{bc}-\\x{be}"
#define WORD "[" WORD_SET "]"

/* Work of one match; patterns of strangers may be exponential. */
enum { MATCH_LIMIT = 2000000, HEAP_LIMIT_KIB = 65536 };

struct matcher {
    pcre2_match_data *data;
    pcre2_match_context *context;
};

struct matcher *matcher_new(void)
{
    struct matcher *m = xcalloc(1, sizeof *m);
    m->data = pcre2_match_data_create(1, NULL);
    m->context = pcre2_match_context_create(NULL);
    pcre2_set_match_limit(m->context, MATCH_LIMIT);
    pcre2_set_heap_limit(m->context, HEAP_LIMIT_KIB);
    return m;
}

void matcher_free(struct matcher *m)
{
    if (!m)
        return;
    pcre2_match_data_free(m->data);
    pcre2_match_context_free(m->context);
    free(m);
}

/* ---- from Oniguruma to PCRE2 ------------------------------------------- */

static mohs_status escape(char c, bool inside, struct str *out,
                          const char *name, struct mohs_error *err)
{
    switch (c) {
    case 's': str_add(out, inside ? SPACE_SET : "[" SPACE_SET "]"); break;
    case 'S': str_add(out, inside ? NOT_SPACE_SET : "[^" SPACE_SET "]"); break;
    case 'w': str_add(out, inside ? WORD_SET : WORD); break;
    case 'W':
        if (inside)
            return mohs_fail(err, MOHS_E_UNSUPPORTED,
                             "%s: a pattern with \\W in a class", name);
        str_add(out, "[^" WORD_SET "]");
        break;
    case 'h': str_add(out, inside ? "0-9a-fA-F" : "[0-9a-fA-F]"); break;
    case 'b':
        str_add(out, inside ? "\\b"
                            : "(?:(?<=" WORD ")(?!" WORD ")|(?<!" WORD
                              ")(?=" WORD "))");
        break;
    case 'B':
        if (inside)
            return mohs_fail(err, MOHS_E_UNSUPPORTED,
                             "%s: a pattern with \\B in a class", name);
        str_add(out, "(?:(?<=" WORD ")(?=" WORD ")|(?<!" WORD ")(?!" WORD "))");
        break;
    default: str_addf(out, "\\%c", c);
    }
    return MOHS_OK;
}

static mohs_status translate(const char *p, struct str *out, const char *name,
                             struct mohs_error *err)
{
    bool inside = false;
    const char *open = NULL;
    str_add(out, "");
    for (; *p; p++) {
        if (*p == '\\' && p[1]) {
            RET_IF_ERR(escape(*++p, inside, out, name, err));
            continue;
        }
        if (inside && p[0] == '[' && p[1] == ':') { // [:alpha:]
            const char *end = strstr(p, ":]");
            if (end) {
                str_addn(out, p, (size_t)(end + 2 - p));
                p = end + 1;
                continue;
            }
        }
        if (inside && (*p == '[' || (p[0] == '&' && p[1] == '&')))
            return mohs_fail(err, MOHS_E_UNSUPPORTED,
                             "%s: a pattern with a class inside a class", name);
        if (!inside && *p == '[') {
            inside = true;
            open = p + (p[1] == '^');
        } else if (inside && *p == ']' && p != open + 1) {
            inside = false;
        }
        str_addn(out, p, 1);
    }
    return MOHS_OK;
}

mohs_status pattern_regex(struct pattern *p, const char *re, const char *name,
                          struct mohs_error *err)
{
    int e;
    PCRE2_SIZE at;
    struct str s = { 0 };
    pcre2_compile_context *c = NULL;
    mohs_status st;
    OUT_IF_ERR(translate(re, &s, name, err));
    c = pcre2_compile_context_create(NULL);
    pcre2_set_newline(c, PCRE2_NEWLINE_LF);
    pcre2_set_max_pattern_length(c, 1 << 16);
    p->code = pcre2_compile((PCRE2_SPTR)s.s, s.n,
                            PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE |
                                PCRE2_NEVER_BACKSLASH_C, &e, &at, c);
    if (!p->code) {
        PCRE2_UCHAR text[120];
        pcre2_get_error_message(e, text, sizeof text);
        st = mohs_fail(err, MOHS_E_FORMAT, "%s: pattern \"%.80s\": %s", name, re,
                       (char *)text);
        goto out;
    }
    pcre2_jit_compile(p->code, PCRE2_JIT_COMPLETE);
out:
    pcre2_compile_context_free(c);
    str_free(&s);
    return st;
}

void pattern_literal(struct pattern *p, const char *s)
{
    p->literal = xstrdup(s);
    p->n_literal = strlen(s);
}

mohs_status pattern_parse(struct pattern *p, const json_t *j, const char *name,
                          struct mohs_error *err)
{
    const char *re = json_string_value(json_object_get(j, "Regex"));
    const char *text = json_string_value(json_object_get(j, "String"));
    if (re)
        return pattern_regex(p, re, name, err);
    if (!text)
        return mohs_fail(err, MOHS_E_FORMAT, "%s: a step without a pattern", name);
    pattern_literal(p, text);
    return MOHS_OK;
}

void pattern_clear(struct pattern *p)
{
    pcre2_code_free(p->code);
    free(p->literal);
    *p = (struct pattern) { 0 };
}

/* ---- matching ----------------------------------------------------------- */

static bool find_literal(const struct pattern *p, const char *s, size_t n,
                         size_t at, size_t *from, size_t *to)
{
    while (p->n_literal && n - at >= p->n_literal) {
        const char *hit = memchr(s + at, p->literal[0], n - at - p->n_literal + 1);
        if (!hit)
            return false;
        at = (size_t)(hit - s);
        if (!memcmp(hit, p->literal, p->n_literal)) {
            *from = at;
            *to = at + p->n_literal;
            return true;
        }
        at++;
    }
    return false;
}

static bool find_regex(const struct pattern *p, struct matcher *m, const char *s,
                       size_t n, size_t at, size_t *from, size_t *to)
{
    int k = pcre2_match(p->code, (PCRE2_SPTR)s, n, at, PCRE2_NO_UTF_CHECK,
                        m->data, m->context);
    if (k == PCRE2_ERROR_JIT_STACKLIMIT)
        k = pcre2_match(p->code, (PCRE2_SPTR)s, n, at,
                        PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, m->data, m->context);
    if (k < 0) // none, or past the limits: then as if there were none
        return false;
    PCRE2_SIZE *v = pcre2_get_ovector_pointer(m->data);
    *from = v[0];
    *to = v[1];
    return v[0] <= v[1];
}

static void spans_add(struct spans *a, size_t from, size_t to, bool match)
{
    if (a->n == a->cap) {
        a->cap = a->cap ? 2 * a->cap : 32;
        a->v = xrealloc(a->v, a->cap * sizeof *a->v);
    }
    a->v[a->n++] = (struct span) { from, to, match };
}

void pattern_spans(const struct pattern *p, struct matcher *m, const char *s,
                   size_t n, struct spans *out)
{
    size_t at = 0, done = 0, last = SIZE_MAX, from, to;
    out->n = 0;
    while (n && at <= n &&
           (p->code ? find_regex(p, m, s, n, at, &from, &to)
                    : find_literal(p, s, n, at, &from, &to))) {
        // An empty match behind the last match does not count.
        if (from == to && last == to) {
            uint32_t c;
            at += at < n ? utf8_get(s + at, &c) : 1;
            continue;
        }
        if (from > done)
            spans_add(out, done, from, false);
        spans_add(out, from, to, true);
        at = done = last = to;
    }
    if (n > done)
        spans_add(out, done, n, false);
}

/* ---- classes of single characters --------------------------------------- */

bool is_space(uint32_t c)
{
    return (c >= 9 && c <= 13) || c == 32 || c == 0x85 || c == 0xA0 ||
           c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 ||
           c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

/* Rust's \w, of added tokens that must be words of their own: Alphabetic,
 * marks, decimal digits, connectors, joiners. */
static bool is_word(uint32_t c)
{
    switch (utf8proc_category((utf8proc_int32_t)c)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_PC: return true;
    default: // letters in circles and squares, joiners
        return (c >= 0x24B6 && c <= 0x24E9) || (c >= 0x1F130 && c <= 0x1F149) ||
               (c >= 0x1F150 && c <= 0x1F169) ||
               (c >= 0x1F170 && c <= 0x1F189) || c == 0x200C || c == 0x200D;
    }
}

bool is_word_before(const char *s, size_t at)
{
    uint32_t c;
    if (!at)
        return false;
    utf8_get(s + utf8_back(s, at), &c);
    return is_word(c);
}

bool is_word_at(const char *s, size_t n, size_t at)
{
    uint32_t c;
    if (at >= n)
        return false;
    utf8_get(s + at, &c);
    return is_word(c);
}
