/* SPDX-License-Identifier: MIT */
/*
 * Texts taken apart into words and characters, and the edits of one word.
 * A word is what stands between white space; a character is a grapheme
 * cluster (Unicode Standard Annex 29), so that no edit tears an accent from
 * its letter. Draws of a text are taken one after the other from its stream.
 */
#ifndef CORRUPTIONS_TEXT_H
#define CORRUPTIONS_TEXT_H

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <mohs/plugin.h>

struct word {
    const char *lead; /* the white space before it, n_lead bytes */
    size_t n_lead;
    const char *s; /* n bytes; NULL: dropped */
    size_t n;
    char *own; /* free(): what s points to after an edit */
};

struct text {
    struct word *word;
    size_t n_words;
    const char *tail; /* white space behind the last word */
    uint64_t seed, key, next; /* the stream, and its next draw */
    const struct wordnet *wordnet;
    uint32_t senses;
    int no_memory;
};

/* Edits word i; 0 when there is nothing to edit. A word is edited once. */
typedef int edit_fn(struct text *t, size_t i);

/* A draw in [0, n). */
uint32_t text_below(struct text *t, uint32_t n);
/* Word i becomes the n bytes at s. 1, or 0 without memory. */
int word_set(struct text *t, size_t i, const char *s, size_t n);

edit_fn typo_keyboard_edit, typo_swap_edit, typo_insert_edit, typo_delete_edit,
    homoglyph_edit, case_change_edit, punctuation_edit, word_drop_edit,
    word_swap_edit, synonym_edit;

#endif
