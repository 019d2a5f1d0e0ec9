/* SPDX-License-Identifier: MIT */
/* What may stand for a word of a text: WordNet's synonyms, in the word's own
 * case, for the part of it that is letters. */
#ifndef PLUGINS_SYNONYMS_H
#define PLUGINS_SYNONYMS_H

#include <stddef.h>
#include <stdint.h>

#include "wordnet.h"

enum { SYNONYMS_MAX = 32 };

struct synonyms {
    size_t from, to; /* the letters: bytes [from, to) of the word */
    size_t n;        /* most frequent meaning first */
    char word[SYNONYMS_MAX][WORDNET_WORD];
};

/* Synonyms of the n bytes at s, which hold no white space, by their first
 * `senses` meanings. None for words of grammar and for what is not letters
 * inside. Returns how many. */
size_t synonyms_find(const struct wordnet *w, const char *s, size_t n, uint32_t senses,
                     struct synonyms *out);

#endif
