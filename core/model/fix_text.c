/* SPDX-License-Identifier: MIT */
/*
 * ftfy.fix_text (Speer, ftfy 6), which open_clip's tokenizers call first: HTML
 * references, wrong encodings (mojibake.c), C1 controls, Latin ligatures, full
 * and half width, curly quotes, line ends, terminal escapes, control
 * characters, NFC; over and over until nothing changes.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include <utf8proc.h>

#include "model/html_entities.h"
#include "model/tokenizer.h"

enum { ENTITY_MAX = 24, ROUNDS_MAX = 64, PART_MAX = 1000000 };

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* ---- HTML, where no "<" tells that it is meant -------------------------- */

/* Upper case of a named character, as str.upper() has it. */
static void add_upper(struct str *out, const char *text)
{
    static const char *const many[][2] = {
        { "\xC3\x9F", "SS" },        { "\xC5\x89", "\xCA\xBC" "N" },
        { "\xC7\xB0", "J\xCC\x8C" }, { "\xEF\xAC\x80", "FF" },
        { "\xEF\xAC\x81", "FI" },    { "\xEF\xAC\x82", "FL" },
        { "\xEF\xAC\x83", "FFI" },   { "\xEF\xAC\x84", "FFL" },
    };
    for (size_t i = 0; i < sizeof many / sizeof *many; i++)
        if (!strcmp(many[i][0], text)) {
            str_add(out, many[i][1]);
            return;
        }
    for (uint32_t c; *text;) {
        char b[4];
        text += utf8_get(text, &c);
        str_addn(out, b, utf8_put(b, (uint32_t)utf8proc_toupper(
                                         (utf8proc_int32_t)c)));
    }
}

/* "NTILDE;": a name in capitals that HTML does not read in any way. */
static bool add_shouted(struct str *out, const char *name, size_t n)
{
    char low[ENTITY_MAX + 2];
    for (size_t i = 0; i < n; i++) {
        if (name[i] >= 'a' && name[i] <= 'z')
            return false;
        low[i] = (char)(name[i] >= 'A' && name[i] <= 'Z' ? name[i] + 32
                                                         : name[i]);
    }
    for (size_t k = 2; k < n; k++)
        if (html_entity(name, k))
            return false;
    const char *to = html_entity(low, n);
    if (to)
        add_upper(out, to);
    return to;
}

/* A reference "&name;" or "&#1;" at s, with its semicolon; its bytes, or 0. */
static size_t reference(const char *s, size_t n, struct str *out)
{
    size_t number = n > 1 && s[1] == '#', i = 1 + number;
    while (i < n && i <= ENTITY_MAX + number && (is_digit(s[i]) || is_letter(s[i])))
        i++;
    if (i == 1 + number || i == n || s[i] != ';')
        return 0;
    const char *to = number ? NULL : html_entity(s + 1, i);
    if (to) {
        str_add(out, to);
        return i + 1;
    }
    if (!number)
        return add_shouted(out, s + 1, i) ? i + 1 : 0;
    struct str one = { 0 };
    str_addn(&one, s, i + 1);
    clean_html(&one);
    bool whole = !strchr(one.s, ';');
    if (whole)
        str_addn(out, one.s, one.n);
    str_free(&one);
    return whole ? i + 1 : 0;
}

static void unescape(struct str *text)
{
    struct str out = { 0 };
    str_add(&out, "");
    for (size_t i = 0; i < text->n;) {
        size_t k = text->s[i] == '&' ? reference(text->s + i, text->n - i, &out)
                                     : 0;
        if (!k)
            str_addn(&out, text->s + i, 1);
        i += k ? k : 1;
    }
    str_free(text);
    *text = out;
}

/* ---- single characters -------------------------------------------------- */

static const struct {
    uint32_t c;
    const char *to;
} ligatures[] = {
    { 0x132, "IJ" },           { 0x133, "ij" },  { 0x149, "\xCA\xBC" "n" },
    { 0x1F1, "DZ" },           { 0x1F2, "Dz" },  { 0x1F3, "dz" },
    { 0x1C4, "D\xC5\xBD" },    { 0x1C5, "D\xC5\xBE" },
    { 0x1C6, "d\xC5\xBE" },    { 0x1C7, "LJ" },  { 0x1C8, "Lj" },
    { 0x1C9, "lj" },           { 0x1CA, "NJ" },  { 0x1CB, "Nj" },
    { 0x1CC, "nj" },           { 0xFB00, "ff" }, { 0xFB01, "fi" },
    { 0xFB02, "fl" },          { 0xFB03, "ffi" },
    { 0xFB04, "ffl" },         { 0xFB05, "\xC5\xBF" "t" },
    { 0xFB06, "st" },
};

static bool add_ligature(struct str *out, uint32_t c)
{
    for (size_t i = 0; i < sizeof ligatures / sizeof *ligatures; i++)
        if (ligatures[i].c == c) {
            str_add(out, ligatures[i].to);
            return true;
        }
    return false;
}

/* Full and half width forms become those of NFKC. */
static bool add_wide(struct str *out, uint32_t c)
{
    struct str one = { 0 };
    char b[4];
    if (c == 0x3000) {
        str_add(out, " ");
        return true;
    }
    if (c <= 0xFF00 || c >= 0xFFF0)
        return false;
    str_addn(&one, b, utf8_put(b, c));
    normal_form(&one, true, true);
    str_addn(out, one.s, one.n);
    str_free(&one);
    return true;
}

static bool add_other(struct str *out, uint32_t c)
{
    if (c == 0x2BC || (c >= 0x2018 && c <= 0x201B))
        str_add(out, "'");
    else if (c >= 0x201C && c <= 0x201F)
        str_add(out, "\"");
    else if (c == '\r' || c == 0x2028 || c == 0x2029)
        str_add(out, "\n");
    else
        return false;
    return true;
}

static void replace_characters(struct str *text)
{
    struct str out = { 0 };
    uint32_t c;
    str_add(&out, "");
    for (size_t i = 0, k; i < text->n; i += k) {
        k = utf8_get(text->s + i, &c);
        if (c == '\r' && i + 1 < text->n && text->s[i + 1] == '\n')
            continue;
        if (c >= 0x80 && c < 0xA0) {
            char b[4];
            c = cp1252(c);
            if (!add_other(&out, c))
                str_addn(&out, b, utf8_put(b, c));
        } else if (c == 0x149) { // its apostrophe is a quote
            str_add(&out, "'n");
        } else if (!add_ligature(&out, c) && !add_wide(&out, c) &&
                   !add_other(&out, c)) {
            str_addn(&out, text->s + i, k);
        }
    }
    str_free(text);
    *text = out;
}

/* ---- what is taken out --------------------------------------------------- */

/* "\033[1;31m" at s; its bytes, or 0. Digits of any script count. */
static size_t terminal_escape(const char *s, size_t n)
{
    size_t i = 2, k;
    uint32_t c;
    if (n < 3 || s[0] != '\033' || s[1] != '[')
        return 0;
    for (; i < n; i += k) {
        k = utf8_get(s + i, &c);
        if (c != ';' && utf8proc_category((utf8proc_int32_t)c) !=
                            UTF8PROC_CATEGORY_ND)
            break;
    }
    return i < n && is_letter(s[i]) ? i + 1 : 0;
}

static bool is_unwanted(uint32_t c)
{
    return c <= 8 || c == 0xB || (c >= 0xE && c <= 0x1F) || c == 0x7F ||
           (c >= 0x206A && c <= 0x206F) || c == 0xFEFF ||
           (c >= 0xFFF9 && c <= 0xFFFC);
}

static void take_out(struct str *text)
{
    size_t to = 0;
    for (size_t i = 0, k; i < text->n; i += k) {
        uint32_t c;
        k = terminal_escape(text->s + i, text->n - i);
        if (k)
            continue;
        k = utf8_get(text->s + i, &c);
        if (is_unwanted(c))
            continue;
        memmove(text->s + to, text->s + i, k);
        to += k;
    }
    text->n = to;
    text->s[to] = 0;
}

static bool same(const struct str *a, const struct str *b)
{
    return a->n == b->n && !memcmp(a->s, b->s, a->n);
}

static void fix_line(struct str *line, bool html)
{
    struct str before = { 0 };
    for (int round = 0; round < ROUNDS_MAX; round++) {
        before.n = 0;
        str_addn(&before, line->s, line->n);
        if (html)
            unescape(line);
        clean_encoding(line);
        replace_characters(line);
        take_out(line);
        normal_form(line, false, true);
        if (same(&before, line))
            break;
    }
    str_free(&before);
}

/* Bytes of the line at s, or of PART_MAX characters. */
static size_t part(const char *s, size_t n)
{
    size_t i = 0;
    uint32_t c = 0;
    for (int k = 0; i < n && c != '\n' && k < PART_MAX; k++)
        i += utf8_get(s + i, &c);
    return i;
}

void clean_fix(struct str *text)
{
    struct str out = { 0 };
    bool html = true;
    str_add(&out, "");
    for (size_t i = 0, n; i < text->n; i += n) {
        struct str line = { 0 };
        n = part(text->s + i, text->n - i);
        str_addn(&line, text->s + i, n);
        html = html && !memchr(line.s, '<', n);
        fix_line(&line, html);
        str_addn(&out, line.s, line.n);
        str_free(&line);
    }
    str_free(text);
    *text = out;
}
