/* SPDX-License-Identifier: MIT */
/*
 * Text that was read in a wrong encoding: the characters that it is made of,
 * and the signs by which it is told. After ftfy 6.3 (Speer, Apache-2.0),
 * whose classes of characters and rules these are.
 */
#ifndef CORE_MOJIBAKE_H
#define CORE_MOJIBAKE_H

#include "base/base.h"

enum { MOJIBAKE_TABLES = 9 };

/* In the order of ftfy's attempts; latin-1 comes first and needs no table. */
enum encoding { ENC_LATIN_1, ENC_WINDOWS_1252, ENC_WINDOWS_1251,
                ENC_WINDOWS_1250, ENC_WINDOWS_1253, ENC_WINDOWS_1254,
                ENC_WINDOWS_1257, ENC_ISO_8859_2, ENC_MACROMAN, ENC_CP437,
                ENCODINGS };

enum sign {
    SIGN_COMMON = 1 << 0,
    SIGN_C1 = 1 << 1,
    SIGN_BAD = 1 << 2, /* hardly used but by accident */
    SIGN_LAW = 1 << 3,
    SIGN_CURRENCY = 1 << 4,
    SIGN_START = 1 << 5, /* punctuation that opens */
    SIGN_END = 1 << 6,
    SIGN_NUMERIC = 1 << 7,
    SIGN_KAOMOJI = 1 << 8,
    SIGN_UPPER = 1 << 9, /* accented */
    SIGN_LOWER = 1 << 10,
    SIGN_UPPER_COMMON = 1 << 11, /* Greek and Cyrillic */
    SIGN_LOWER_COMMON = 1 << 12,
    SIGN_BOX = 1 << 13,
    /* What the bytes of UTF-8 become in encodings like latin-1. */
    SIGN_FIRST_OF_2 = 1 << 14,
    SIGN_FIRST_OF_3 = 1 << 15,
    SIGN_FIRST_OF_4 = 1 << 16,
    SIGN_MORE = 1 << 17,
    SIGN_MORE_STRICT = 1 << 18, /* of these, what is no text by itself */
    /* Not in the table. */
    SIGN_A_TO_Z = 1 << 19, /* capitals */
    SIGN_a_TO_z = 1 << 20,
    SIGN_NO_LATIN = 1 << 21, /* neither of the two */
    SIGN_SPACE = 1 << 22,    /* str.isspace() */
    SIGN_WORD = 1 << 23,     /* \w of Python's re */
    SIGN_NO_NEWLINE = 1 << 24
};

struct mojibake_char {
    uint16_t c;
    uint8_t byte[MOJIBAKE_TABLES]; /* of c in encoding 1 + i, 0: not in it */
    uint32_t signs;
};
extern const struct mojibake_char mojibake_chars[];
extern const unsigned n_mojibake_chars;

/* A character of a text and what is known of it. */
struct letter {
    uint32_t c, signs;
    const struct mojibake_char *known; /* NULL: in no table */
};
struct letter letter_of(uint32_t c);
/* Whether a text has a sequence that is far likelier an accident than meant. */
bool mojibake_is_bad(const struct letter *text, size_t n);
/* Characters at text[at] that are UTF-8 read as something like latin-1, one
 * sequence behind the other; 0: none starts there. */
size_t mojibake_run(const struct letter *text, size_t n, size_t at);

#endif
