/* SPDX-License-Identifier: MIT */
/*
 * ftfy.fix_encoding (Speer, ftfy 6.3): a text with the signs of a wrong
 * encoding is written in each of those that it may have been read in, and read
 * again as UTF-8; where that fails as a whole, its parts are.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "model/mojibake.h"
#include "model/tokenizer.h"

/* Each round and each level shortens the text, most by half. */
enum { ROUNDS_MAX = 64, DEPTH_MAX = 32, LOST = 0x1A };

struct letters {
    struct letter *v;
    size_t n;
};

static bool mend(struct str *text, int depth);

static bool letters_read(const struct str *text, struct letters *out)
{
    bool beyond_ascii = false;
    out->v = xmalloc((text->n + 1) * sizeof *out->v);
    out->n = 0;
    for (size_t i = 0; i < text->n;) {
        uint32_t c;
        i += utf8_get(text->s + i, &c);
        beyond_ascii |= c >= 0x80;
        out->v[out->n++] = letter_of(c);
    }
    return beyond_ascii;
}

static void add_letter(struct str *out, uint32_t c)
{
    char b[4];
    str_addn(out, b, utf8_put(b, c));
}

static void add_letters(struct str *out, const struct letter *l, size_t n)
{
    for (size_t i = 0; i < n; i++)
        add_letter(out, l[i].c);
}

/* Whether unassigned bytes are let through and lost ones are LOST. */
static bool is_sloppy(enum encoding e)
{
    return e >= ENC_WINDOWS_1252 && e <= ENC_WINDOWS_1257;
}

/* The text's bytes in an encoding; false: it has characters that e lacks. */
static bool encode(const struct letters *l, enum encoding e, struct str *out)
{
    out->n = 0;
    for (size_t i = 0; i < l->n; i++) {
        const struct letter *a = &l->v[i];
        uint32_t byte = a->c;
        if (a->c == LOST && is_sloppy(e))
            return false;
        if (a->c >= 0x80 && e != ENC_LATIN_1)
            byte = a->known ? a->known->byte[e - 1] : 0;
        if ((!byte && a->c) || byte > 0xFF)
            return false;
        str_addn(out, (const char[]) { (char)byte }, 1);
    }
    return true;
}

/* ---- bytes ----------------------------------------------------------- */

static bool is_more(uint8_t b)
{
    return b >= 0x80 && b <= 0xBF;
}

/* Second and third bytes between which a space stood for 0xA0, but for 0x85,
 * an ellipsis. */
static bool is_more_of_3(uint8_t b)
{
    return is_more(b) && b != 0x85 && b != 0xA0;
}

/* "Ã " alone is a word but where it begins one of these (Portuguese). */
static bool is_a_grave(const char *s, size_t n)
{
    static const char *const words[] = { " ", "quele", "quela", "quilo", "s " };
    if (n < 2 || memcmp(s, "\xC3 ", 2))
        return false;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        size_t k = strlen(words[i]);
        if (n - 2 >= k && !memcmp(s + 2, words[i], k))
            return false;
    }
    return true;
}

/* Bytes at s that are UTF-8 once their one space is 0xA0; 0: they are not. */
static size_t spaced(const uint8_t *s, size_t n)
{
    if (n >= 2 && *s && strchr("\xC2\xC3\xC5\xCE\xD0\xD9", *s) && s[1] == ' ')
        return 2;
    if (n >= 3 && *s >= 0xE0 && *s <= 0xE3 &&
        ((*s >= 0xE2 && s[1] == ' ' && is_more_of_3(s[2])) ||
         (is_more_of_3(s[1]) && s[2] == ' ')))
        return 3;
    if (n >= 4 && *s == 0xF0) {
        int spaces = 0, more = 0;
        for (int i = 1; i < 4; i++) {
            spaces += s[i] == ' ';
            more += is_more(s[i]);
        }
        return spaces == 1 && more == 2 ? 4 : 0;
    }
    return 0;
}

static void restore_a0(struct str *bytes)
{
    struct str out = { 0 };
    for (size_t i = 0; i < bytes->n; i++) {
        bool a = is_a_grave(bytes->s + i, bytes->n - i);
        str_addn(&out, a ? "\xC3\xA0" : bytes->s + i, a ? 2 : 1);
    }
    for (size_t i = 0, k; i < out.n; i += k ? k : 1) {
        k = spaced((const uint8_t *)out.s + i, out.n - i);
        for (size_t j = i; j < i + k; j++)
            out.s[j] = out.s[j] == ' ' ? (char)0xA0 : out.s[j];
    }
    str_free(bytes);
    *bytes = out;
}

/* Whether s[1..n) are continuations of which some were lost; "?" may stand
 * for one. */
static bool has_lost(const uint8_t *s, size_t n)
{
    size_t lost = 0, asked = 0;
    for (size_t i = 1; i < n; i++) {
        lost += s[i] == LOST;
        asked += s[i] == '?';
        if (s[i] != LOST && s[i] != '?' && !is_more(s[i]))
            return false;
    }
    return lost + asked && asked <= 1;
}

/* Two surrogates, three bytes each, that lost a last byte or both. */
static bool has_lost_pair(const uint8_t *s, size_t n)
{
    if (n < 6 || *s != 0xED || s[1] < 0xA0 || s[1] > 0xAF || s[3] != 0xED ||
        s[4] < 0xB0 || s[4] > 0xBF)
        return false;
    bool lost[2] = { s[2] == LOST || s[2] == '?', s[5] == LOST || s[5] == '?' };
    return (lost[0] || is_more(s[2])) && (lost[1] || is_more(s[5])) &&
           (lost[0] || lost[1]);
}

static size_t lossy(const uint8_t *s, size_t n)
{
    if (n >= 2 && ((*s >= 0xC2 && *s <= 0xDF && s[1] == LOST) ||
                   (*s >= 0xC2 && *s <= 0xC3 && s[1] == '?')))
        return 2;
    if (has_lost_pair(s, n))
        return 6;
    if (n >= 3 && *s >= 0xE0 && *s <= 0xEF && has_lost(s, 3))
        return 3;
    if (n >= 4 && *s >= 0xF0 && *s <= 0xF4 && has_lost(s, 4))
        return 4;
    return *s == LOST;
}

static void replace_lossy(struct str *bytes)
{
    struct str out = { 0 };
    for (size_t i = 0, k; i < bytes->n; i += k ? k : 1) {
        k = lossy((const uint8_t *)bytes->s + i, bytes->n - i);
        if (k)
            add_letter(&out, 0xFFFD);
        else
            str_addn(&out, bytes->s + i, 1);
    }
    str_free(bytes);
    *bytes = out;
}

/* Where a regular expression's $ holds. */
static bool is_end(const struct str *b, size_t i)
{
    return i == b->n || (i + 1 == b->n && b->s[i] == '\n');
}

/* Bytes that UTF-8 has not, but Java's 0 or the surrogates of CESU-8 begin
 * with; a truncated one may end the text, before a newline too. */
static bool is_variant(const struct str *b, size_t i)
{
    const uint8_t *s = (const uint8_t *)b->s;
    if (s[i] == 0xC0)
        return is_end(b, i + 1) || s[i + 1] == 0x80;
    return s[i] == 0xED &&
           (is_end(b, i + 1) || (s[i + 1] >= 0xA0 && s[i + 1] <= 0xBF &&
                                 (is_end(b, i + 2) || is_more(s[i + 2]))));
}

/* The variant at i, appended to out; its bytes, or 0. As ftfy does it, the
 * newline behind a truncated one is taken for its last byte. */
static size_t add_variant(struct str *out, const struct str *b, size_t i)
{
    const uint8_t *s = (const uint8_t *)b->s + i;
    size_t left = b->n - i;
    if (*s == 0xC0) {
        if (left < 2)
            return 0;
        str_addn(out, "", 1);
        return 2;
    }
    if (left < 6 || s[1] > 0xAF || !is_more(s[2]) || s[3] != 0xED ||
        s[4] < 0xB0 || s[4] > 0xBF || (!is_more(s[5]) && !is_end(b, i + 5)))
        return 0;
    add_letter(out, 0x10000u + ((s[1] & 0x0Fu) << 16 | (s[2] & 0x3Fu) << 10 |
                                (s[4] & 0x0Fu) << 6 | (s[5] & 0x3Fu)));
    return 6;
}

static bool decode(const struct str *b, struct str *out)
{
    size_t from = 0;
    out->n = 0;
    for (size_t i = 0, k; i < b->n; i += k) {
        k = 1;
        if (!is_variant(b, i))
            continue;
        if (!utf8_valid(b->s + from, i - from))
            return false;
        str_addn(out, b->s + from, i - from);
        k = add_variant(out, b, i);
        if (!k)
            return false;
        from = i + k;
    }
    str_addn(out, b->s + from, b->n - from);
    return utf8_valid(b->s + from, b->n - from);
}

/* ---- ways to mend ---------------------------------------------------- */

static bool as_utf8(const struct letters *l, enum encoding e, bool *possible,
                    struct str *out)
{
    struct str bytes = { 0 };
    bool done = false;
    str_add(&bytes, "");
    *possible = encode(l, e, &bytes);
    if (*possible) {
        if (e != ENC_MACROMAN) // its dash before a space would be taken for one
            restore_a0(&bytes);
        if (is_sloppy(e))
            replace_lossy(&bytes);
        done = decode(&bytes, out);
    }
    str_free(&bytes);
    return done;
}

/* Parts that are UTF-8 read in a wrong encoding, each by itself. */
static void in_parts(const struct letters *l, int depth, struct str *out)
{
    out->n = 0;
    for (size_t i = 0, k; i < l->n; i += k) {
        struct str part = { 0 };
        k = mojibake_run(l->v, l->n, i);
        bool bad = k && k < l->n && mojibake_is_bad(l->v + i, k);
        k += !k;
        add_letters(&part, l->v + i, k);
        if (bad && depth < DEPTH_MAX)
            for (int r = 0; r < ROUNDS_MAX && mend(&part, depth + 1); r++)
                ;
        str_addn(out, part.s, part.n);
        str_free(&part);
    }
}

/* C1 controls as windows-1252 has them; false when one has no place there and
 * `all` must. */
static bool without_c1(const struct letters *l, bool all, struct str *out)
{
    out->n = 0;
    for (size_t i = 0; i < l->n; i++) {
        uint32_t c = l->v[i].c, to = cp1252(c);
        if (all && c >= 0x80 && c < 0xA0 && c == to)
            return false;
        add_letter(out, to);
    }
    return true;
}

static bool differs(const struct str *a, const struct str *b)
{
    return a->n != b->n || memcmp(a->s, b->s, a->n);
}

/* The first way that does something; false: *out is of no use. */
static bool another(const struct str *text, const struct letters *l, int depth,
                    struct str *out)
{
    bool possible, latin_1 = false;
    for (int e = 0; e < ENCODINGS; e++) {
        if (as_utf8(l, (enum encoding)e, &possible, out))
            return differs(out, text);
        latin_1 |= e == ENC_LATIN_1 && possible;
    }
    in_parts(l, depth, out);
    if (differs(out, text))
        return true;
    if (latin_1 && without_c1(l, true, out) && differs(out, text))
        return true;
    without_c1(l, false, out);
    return differs(out, text);
}

/* One step; false: the text is left as it is. */
static bool mend(struct str *text, int depth)
{
    struct letters l;
    struct str out = { 0 };
    str_add(&out, "");
    bool changed = letters_read(text, &l) && mojibake_is_bad(l.v, l.n) &&
                   another(text, &l, depth, &out);
    free(l.v);
    if (changed) {
        str_free(text);
        *text = out;
    } else {
        str_free(&out);
    }
    return changed;
}

void clean_encoding(struct str *text)
{
    for (int r = 0; r < ROUNDS_MAX && mend(text, 0); r++)
        ;
}
