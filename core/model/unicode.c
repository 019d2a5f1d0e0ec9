/* SPDX-License-Identifier: MIT */
/*
 * Text before tokens: repair, NFC and lower case through utf8proc, regular
 * expressions through PCRE2. utf8proc knows Unicode 15.0, PCRE2 10.42 knows
 * 14.0; only characters newer than that can differ from other programs.
 */
#include "config.h"

#include "model/bpe.h"

#include <stdlib.h>
#include <string.h>

#include <utf8proc.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

/* Length of the longest valid prefix of one sequence at p; *ok when it is a
 * whole character. */
static size_t sequence(const unsigned char *p, size_t n, bool *ok)
{
    unsigned c = p[0], lo = 0x80, hi = 0xBF;
    size_t need = c < 0x80 ? 0 : c >= 0xC2 && c <= 0xDF ? 1
                  : c >= 0xE0 && c <= 0xEF              ? 2
                  : c >= 0xF0 && c <= 0xF4              ? 3
                                                        : 9;
    *ok = false;
    if (need == 9)
        return 1;
    if (c == 0xE0)
        lo = 0xA0;
    else if (c == 0xED)
        hi = 0x9F;
    else if (c == 0xF0)
        lo = 0x90;
    else if (c == 0xF4)
        hi = 0x8F;
    size_t i = 1;
    for (; i <= need && i < n; i++, lo = 0x80, hi = 0xBF)
        if (p[i] < lo || p[i] > hi)
            return i;
    *ok = i == need + 1;
    return i;
}

void utf8_repair(const char *s, size_t n, struct str *out)
{
    str_add(out, "");
    for (size_t i = 0; i < n;) {
        bool ok;
        size_t k = sequence((const unsigned char *)s + i, n - i, &ok);
        if (ok)
            str_addn(out, s + i, k);
        else
            str_add(out, "\xEF\xBF\xBD");
        i += k;
    }
}

void utf8_nfc(const char *s, size_t n, struct str *out)
{
    utf8proc_uint8_t *r = NULL;
    utf8proc_ssize_t k = utf8proc_map((const utf8proc_uint8_t *)s, (utf8proc_ssize_t)n,
                                      &r, UTF8PROC_STABLE | UTF8PROC_COMPOSE);
    if (k >= 0)
        str_addn(out, (char *)r, (size_t)k);
    else
        str_addn(out, s, n);
    free(r);
}

void utf8_lower(const char *s, size_t n, struct str *out)
{
    str_add(out, "");
    for (size_t i = 0; i < n;) {
        utf8proc_int32_t c;
        utf8proc_uint8_t b[4];
        utf8proc_ssize_t k = utf8proc_iterate((const utf8proc_uint8_t *)s + i,
                                              (utf8proc_ssize_t)(n - i), &c);
        if (k <= 0) {
            str_addn(out, s + i++, 1);
            continue;
        }
        if (c == 0x130) // the one character whose lower case is two
            str_add(out, "i\xCC\x87");
        else
            str_addn(out, (char *)b, (size_t)utf8proc_encode_char(utf8proc_tolower(c), b));
        i += (size_t)k;
    }
}

/* ---- regular expressions ---- */

struct regex {
    pcre2_code *code;
    pcre2_match_data *match;
};

/* \s spelled out: PCRE2's own has U+180E, which lost the property. */
static void white_space(const char *p, struct str *out)
{
    static const char set[] = "\\t-\\r \\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}"
                              "\\x{2028}\\x{2029}\\x{202f}\\x{205f}\\x{3000}";
    bool inside = false;
    str_add(out, "");
    for (; *p; p++) {
        if (*p == '\\' && p[1]) {
            if (p[1] == 's')
                str_addf(out, inside ? "%s" : "[%s]", set);
            else if (p[1] == 'S' && !inside)
                str_addf(out, "[^%s]", set);
            else
                str_addn(out, p, 2);
            p++;
            continue;
        }
        if (*p == '[')
            inside = true;
        else if (*p == ']')
            inside = false;
        str_addn(out, p, 1);
    }
}

mohs_status regex_new(const char *pattern, const char *name, struct regex **out,
                      struct mohs_error *err)
{
    int e;
    PCRE2_SIZE at;
    struct str p = { 0 };
    white_space(pattern, &p);
    pcre2_code *code = pcre2_compile((PCRE2_SPTR)p.s, p.n, PCRE2_UTF | PCRE2_UCP, &e,
                                     &at, NULL);
    str_free(&p);
    if (!code) {
        PCRE2_UCHAR text[120];
        pcre2_get_error_message(e, text, sizeof text);
        return mohs_fail(err, MOHS_E_FORMAT, "%s: regular expression '%.60s': %s", name,
                         pattern, (char *)text);
    }
    pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);
    struct regex *r = xcalloc(1, sizeof *r);
    r->code = code;
    r->match = pcre2_match_data_create_from_pattern(code, NULL);
    *out = r;
    return MOHS_OK;
}

void regex_free(struct regex *r)
{
    if (!r)
        return;
    pcre2_match_data_free(r->match);
    pcre2_code_free(r->code);
    free(r);
}

bool regex_next(const struct regex *r, const char *s, size_t n, size_t from,
                size_t *begin, size_t *end)
{
    while (from <= n) {
        int k = pcre2_match(r->code, (PCRE2_SPTR)s, n, from, PCRE2_NO_UTF_CHECK,
                            r->match, NULL);
        if (k < 0)
            return false;
        PCRE2_SIZE *v = pcre2_get_ovector_pointer(r->match);
        if (v[1] > v[0]) {
            *begin = v[0];
            *end = v[1];
            return true;
        }
        from = v[1] + 1;
        while (from < n && ((unsigned char)s[from] & 0xC0) == 0x80)
            from++;
    }
    return false;
}
