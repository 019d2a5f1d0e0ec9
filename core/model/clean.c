/* SPDX-License-Identifier: MIT */
/*
 * What Python programs do to a text before its tokenizer: str.split and
 * str.strip, string.punctuation taken out, html.unescape. See fix_text.c for
 * ftfy's part.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "model/html_entities.h"
#include "model/tokenizer.h"

enum { NAME_MAX_BYTES = 32 }; /* html.unescape looks no further */

/* str.isspace(): White_Space and the four separators. */
bool is_python_space(uint32_t c)
{
    return is_space(c) || (c >= 0x1C && c <= 0x1F);
}

void clean_words(struct str *text)
{
    struct str out = { 0 };
    bool space = false;
    str_add(&out, "");
    for (size_t i = 0, k; i < text->n; i += k) {
        uint32_t c;
        k = utf8_get(text->s + i, &c);
        if (is_python_space(c)) {
            space = out.n != 0;
            continue;
        }
        str_add(&out, space ? " " : "");
        str_addn(&out, text->s + i, k);
        space = false;
    }
    str_free(text);
    *text = out;
}

void clean_strip(struct str *text)
{
    size_t from = 0, to = text->n, k;
    uint32_t c;
    for (; from < to; from += k) {
        k = utf8_get(text->s + from, &c);
        if (!is_python_space(c))
            break;
    }
    for (; from < to; to = k) {
        k = utf8_back(text->s, to);
        utf8_get(text->s + k, &c);
        if (!is_python_space(c))
            break;
    }
    memmove(text->s, text->s + from, to - from);
    text->n = to - from;
    text->s[text->n] = 0;
}

void clean_punctuation(struct str *text)
{
    size_t k = 0;
    for (size_t i = 0; i < text->n; i++) {
        unsigned char c = (unsigned char)text->s[i];
        if (c < 0x21 || (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
            (c >= 'a' && c <= 'z') || c >= 0x7F)
            text->s[k++] = text->s[i];
    }
    text->n = k;
    text->s[k] = 0;
}

/* ---- html.unescape ------------------------------------------------------ */

static void add_char(struct str *out, uint32_t c)
{
    char b[4];
    str_addn(out, b, utf8_put(b, c));
}

uint32_t cp1252(uint32_t c)
{
    static const uint16_t table[32] = {
        0x20AC, 0x81,   0x201A, 0x192,  0x201E, 0x2026, 0x2020, 0x2021,
        0x2C6,  0x2030, 0x160,  0x2039, 0x152,  0x8D,   0x17D,  0x8F,
        0x90,   0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2013, 0x2014,
        0x2DC,  0x2122, 0x161,  0x203A, 0x153,  0x9D,   0x17E,  0x178,
    };
    return c >= 0x80 && c < 0xA0 ? table[c - 0x80] : c;
}

/* Numbers that HTML reads as windows-1252, and others that are no characters
 * (html._invalid_charrefs and html._invalid_codepoints). */
static void add_number(struct str *out, uint32_t c)
{
    if (!c || (c >= 0xD800 && c <= 0xDFFF) || c > 0x10FFFF)
        add_char(out, 0xFFFD);
    else if (!((c >= 1 && c <= 8) || c == 0xB || (c >= 0xE && c <= 0x1F) ||
               c == 0x7F || (c >= 0xFDD0 && c <= 0xFDEF) ||
               (c & 0xFFFE) == 0xFFFE))
        add_char(out, cp1252(c));
}

/* "#123;" or "#x7b;" at s; its bytes, or 0. */
static size_t number(const char *s, size_t n, struct str *out)
{
    bool hex = n > 1 && (s[1] == 'x' || s[1] == 'X');
    uint32_t c = 0;
    size_t from = hex ? 2 : 1, i = from;
    for (; i < n; i++) {
        char d = s[i];
        uint32_t v = d >= '0' && d <= '9' ? (uint32_t)(d - '0')
                     : hex && d >= 'a' && d <= 'f' ? (uint32_t)(d - 'a' + 10)
                     : hex && d >= 'A' && d <= 'F' ? (uint32_t)(d - 'A' + 10)
                                                   : 99;
        if (v == 99)
            break;
        c = c > 0x10FFFF ? c : c * (hex ? 16 : 10) + v;
    }
    if (i == from)
        return 0;
    add_number(out, c);
    return i < n && s[i] == ';' ? i + 1 : i;
}

static int by_name(const void *key, const void *entry)
{
    const struct str *k = key;
    const char *name = *(const char *const *)entry;
    int d = strncmp(k->s, name, k->n);
    return d ? d : name[k->n] ? -1 : 0;
}

const char *html_entity(const char *name, size_t n)
{
    struct str key = { (char *)name, n, 0 };
    const char *const *e = bsearch(&key, html_entities, HTML_ENTITIES,
                                   sizeof *html_entities, by_name);
    return e ? *e + n + 1 : NULL;
}

/* A name at s, the whole or the longest start of it that may end without a
 * semicolon; its bytes, or 0. */
static size_t named(const char *s, size_t n, struct str *out)
{
    size_t len = 0, chars = 0;
    for (uint32_t c; len < n && chars < NAME_MAX_BYTES; chars++) {
        if (strchr("\t\n\f <&#;", s[len]) && s[len])
            break;
        len += utf8_get(s + len, &c);
    }
    if (!len)
        return 0;
    len += len < n && s[len] == ';';
    for (size_t k = len; k > 1; k--) {
        const char *to = html_entity(s, k);
        if (!to)
            continue;
        str_add(out, to);
        return k;
    }
    return 0;
}

void clean_html(struct str *text)
{
    struct str out = { 0 };
    if (!memchr(text->s, '&', text->n))
        return;
    str_add(&out, "");
    for (size_t i = 0; i < text->n;) {
        const char *s = text->s + i + 1;
        size_t left = text->n - i - 1, k = 0;
        if (text->s[i] == '&' && left)
            k = *s == '#' ? number(s, left, &out) : named(s, left, &out);
        if (!k)
            str_addn(&out, text->s + i, 1);
        i += k + 1;
    }
    str_free(text);
    *text = out;
}
