/* SPDX-License-Identifier: MIT */
/*
 * The signs of text that was read in a wrong encoding: neighbours that people
 * do not write ("Ã©", "â€™"). The rules are those of ftfy 6.3's badness
 * heuristic (Speer, Apache-2.0), here as places that follow each other.
 */
#include "config.h"

#include <stdlib.h>
#include <uchar.h>

#include <utf8proc.h>

#include "model/mojibake.h"
#include "model/tokenizer.h"

enum { PLACES_MAX = 7 };

/* What may stand in a place: by kind, or one of these characters. */
struct place {
    uint32_t signs;
    const char16_t *chars;
};

#define ACCENTED (SIGN_LOWER | SIGN_UPPER)
#define AMOUNT (SIGN_CURRENCY | SIGN_NUMERIC)
#define ODD (ACCENTED | AMOUNT | SIGN_BOX | SIGN_START | SIGN_END | SIGN_LAW)
#define LATIN (SIGN_A_TO_Z | SIGN_a_TO_z)
/* Of the bytes of U+00A0 to U+00BF, what follows a lead byte. */
#define TAIL (SIGN_C1 | SIGN_BAD | SIGN_START | SIGN_END | SIGN_CURRENCY)
#define ARABIC_LEAD u"\u00D8\u00D9"
#define ARABIC_TAIL                                                            \
    {                                                                          \
        SIGN_COMMON | AMOUNT | SIGN_BAD | SIGN_START,                          \
            u"\u0178\u0160\u00AE\u00B0\u00B5\u00BB"                            \
    }
#define CYRILLIC_LEAD u"\u0412\u0413\u0420\u0421"
#define GREEK_LEAD u"\u0392\u0393\u039E\u039F"

static const struct place rules[][PLACES_MAX] = {
    { { .signs = SIGN_C1 } },
    { { .signs = ODD | SIGN_BAD }, { .signs = SIGN_BAD } },
    { { .signs = SIGN_BAD }, { .signs = ODD } },
    { { .signs = LATIN },
      { .signs = SIGN_LOWER_COMMON | SIGN_UPPER_COMMON },
      { .signs = SIGN_BAD } },
    { { .signs = SIGN_LOWER | SIGN_LOWER_COMMON | SIGN_BOX | SIGN_END | AMOUNT },
      { .signs = SIGN_UPPER } },
    { { .signs = SIGN_BOX | SIGN_END | AMOUNT }, { .signs = SIGN_LOWER } },
    { { .signs = SIGN_LOWER | SIGN_BOX | SIGN_END },
      { .signs = SIGN_CURRENCY } },
    { { .signs = SIGN_SPACE },
      { .signs = SIGN_UPPER },
      { .signs = SIGN_CURRENCY } },
    { { .signs = SIGN_UPPER | SIGN_BOX }, { .signs = SIGN_NUMERIC | SIGN_LAW } },
    { { .signs = ACCENTED | SIGN_BOX | SIGN_CURRENCY | SIGN_END },
      { .signs = SIGN_START },
      { .signs = SIGN_NUMERIC } },
    { { .signs = ACCENTED | AMOUNT | SIGN_BOX | SIGN_LAW },
      { .signs = SIGN_END },
      { .signs = SIGN_START } },
    { { .signs = AMOUNT | SIGN_BOX }, { .signs = SIGN_START } },
    { { .signs = SIGN_a_TO_z },
      { .signs = SIGN_UPPER },
      { .signs = SIGN_START | SIGN_CURRENCY } },
    { { .signs = SIGN_BOX }, { .signs = SIGN_KAOMOJI | SIGN_END } },
    { { .signs = ODD & ~(uint32_t)SIGN_BOX }, { .signs = SIGN_BOX } },
    { { .signs = ACCENTED },
      { .signs = SIGN_START | SIGN_END },
      { .signs = SIGN_WORD } },
    /* the ligature oe before what it does not stand before */
    { { .chars = u"\u0152\u0153" }, { .signs = SIGN_NO_LATIN } },
    { { .signs = SIGN_UPPER }, { .chars = u"\u00B0" } },
    /* windows-1252 */
    { { .chars = u"\u00C2\u00C3\u00CE\u00D0" },
      { SIGN_START | SIGN_END,
        u"\u20AC\u0153\u0160\u0161\u00A2\u00A3\u0178\u017E\u00A0\u00AD\u00AE"
        u"\u00A9\u00B0\u00B7\u00BB\u2013\u2014\u00B4" } },
    { { .chars = u"\u00D7" }, { .chars = u"\u00B2\u00B3" } },
    { { .chars = ARABIC_LEAD },
      ARABIC_TAIL,
      { .chars = ARABIC_LEAD },
      ARABIC_TAIL },
    { { .chars = u"\u00E0" },
      { .chars = u"\u00B2\u00B5\u00B9\u00BC\u00BD\u00BE" } },
    /* macroman */
    { { .chars = u"\u221A" },
      { .chars = u"\u00B1\u2202\u2020\u2260\u00AE\u2122\u00B4\u2264\u2265\u00A5"
                 u"\u00B5\u00F8" } },
    { { .chars = u"\u2248" }, { .chars = u"\u00B0\u00A2" } },
    { { .chars = u"\u201A" },
      { .chars = u"\u00C4" },
      { .chars = u"\u00EC\u00EE\u00EF\u00F2\u00F4\u00FA\u00F9\u00FB\u2020\u00B0"
                 u"\u00A2\u03C0" } },
    { { .chars = u"\u201A" },
      { .chars = u"\u00E2\u00F3" },
      { .chars = u"\u00E0\u00E4\u00B0\u00EA" } },
    /* windows-1251, also over windows-1252 */
    { { .chars = u"\u0432" }, { .chars = u"\u0402" } },
    { { .chars = CYRILLIC_LEAD },
      { TAIL, u"\u00B0\u00B5" },
      { .chars = CYRILLIC_LEAD } },
    { { .chars = u"\u0413" },
      { .chars = u"\u045E" },
      { .chars = u"\u0412" },
      { .chars = u"\u0402" },
      { .chars = u"\u0412" },
      { .signs = SIGN_NO_NEWLINE },
      { LATIN, u" " } },
    /* letters a with an accent, whose second byte is a space of some kind */
    { { .chars = u"\u00C3" }, { .chars = u"\u00A0\u00A1" } },
    { { .signs = SIGN_a_TO_z },
      { .chars = u"\u00C2\u00C3" },
      { .chars = u" " } },
    { { .signs = SIGN_a_TO_z },
      { .signs = SIGN_SPACE },
      { .chars = u"\u00C2\u00C3" },
      { .chars = u" " } },
    { { SIGN_a_TO_z | SIGN_END, u".,?!" },
      { .chars = u"\u00C2" },
      { SIGN_START | SIGN_END, u" " } },
    /* windows-1253 */
    { { .chars = u"\u03B2" },
      { .chars = u"\u20AC" },
      { .chars = u"\u2122\u00A0\u0386\u00AD\u00AE\u00B0" } },
    { { .chars = GREEK_LEAD }, { TAIL, u"\u00B0" }, { .chars = GREEK_LEAD } },
    /* windows-1257 */
    { { .chars = u"\u0101" }, { .chars = u"\u20AC" } },
};

static bool is_one_of(uint32_t c, const char16_t *chars)
{
    while (chars && *chars)
        if (c == *chars++)
            return true;
    return false;
}

static bool holds(const struct place *rule, const struct letter *text, size_t n)
{
    for (size_t i = 0; i < PLACES_MAX && (rule[i].signs || rule[i].chars); i++)
        if (i == n || (!(text[i].signs & rule[i].signs) &&
                       !is_one_of(text[i].c, rule[i].chars)))
            return false;
    return true;
}

bool mojibake_is_bad(const struct letter *text, size_t n)
{
    if (n > 1 && is_one_of(text->c, u"\u00C2\u00C3") && text[1].c == ' ')
        return true;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < sizeof rules / sizeof *rules; k++)
            if (holds(rules[k], text + i, n - i))
                return true;
    return false;
}

/* ---- characters ------------------------------------------------------ */

static bool is_python_word(uint32_t c)
{
    switch (utf8proc_category((utf8proc_int32_t)c)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO: return true;
    default: return c == '_';
    }
}

static int by_code(const void *key, const void *entry)
{
    uint32_t a = *(const uint32_t *)key;
    uint32_t b = ((const struct mojibake_char *)entry)->c;
    return a < b ? -1 : a > b;
}

struct letter letter_of(uint32_t c)
{
    struct letter l = { .c = c };
    l.known = bsearch(&c, mojibake_chars, n_mojibake_chars,
                      sizeof *mojibake_chars, by_code);
    l.signs = l.known ? l.known->signs : 0;
    l.signs |= c >= 'A' && c <= 'Z'   ? SIGN_A_TO_Z
               : c >= 'a' && c <= 'z' ? SIGN_a_TO_z
                                      : SIGN_NO_LATIN;
    l.signs |= is_python_space(c) ? SIGN_SPACE : 0;
    l.signs |= is_python_word(c) ? SIGN_WORD : 0;
    l.signs |= c != '\n' ? SIGN_NO_NEWLINE : 0;
    return l;
}

/* ---- UTF-8 among other text ------------------------------------------ */

static size_t sequence(const struct letter *text, size_t n)
{
    static const uint32_t first[] = { SIGN_FIRST_OF_2, SIGN_FIRST_OF_3,
                                      SIGN_FIRST_OF_4 };
    for (size_t more = 1; more <= 3; more++) {
        size_t i = 1;
        if (n <= more || !(text->signs & first[more - 1]))
            continue;
        while (i <= more && text[i].signs & SIGN_MORE)
            i++;
        if (i > more)
            return i;
    }
    return 0;
}

size_t mojibake_run(const struct letter *text, size_t n, size_t at)
{
    size_t end = at, k;
    if (at && text[at - 1].signs & SIGN_MORE_STRICT)
        return 0;
    while ((k = sequence(text + end, n - end)))
        end += k;
    return end - at;
}
