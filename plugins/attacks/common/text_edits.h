/* SPDX-License-Identifier: MIT */
/*
 * Three ways to edit a text against a loss. Each leaves, for every sample of
 * the victim, the text it found, or the clean one where nothing was better.
 *
 * words: BERT-Attack's search (Li et al., EMNLP 2020) with WordNet's synonyms
 * for candidates: words in the order of what leaving each out gains, each
 * replaced by the best of its candidates, until so many have changed.
 * tokens: HotFlip (Ebrahimi et al., ACL 2018): the flips of the highest
 * first-order gain over all positions and the vocabulary, those whose text
 * gives these very tokens tried, the best taken; again from there.
 * chars: Charmer's and LEAF's search (Abad Rocamora et al., ICML 2024 and
 * NeurIPS 2025): places in the order of what a space there gains; at the best
 * ones every insertion, replacement, removal and exchange of neighbours.
 */
#ifndef ATTACKS_TEXT_EDITS_H
#define ATTACKS_TEXT_EDITS_H

#include "../../common/synonyms.h"
#include "hunt.h"

enum { UNIT_WORDS = 0, UNIT_TOKENS, UNIT_CHARS };
#define UNIT_CHOICES { "words", "tokens", "chars", NULL }
#define ALPHABET "abcdefghijklmnopqrstuvwxyz"

struct edits {
    int32_t unit;   /* UNIT_* */
    uint32_t most;  /* edits of a text; 0: leaves all as they are */
    uint32_t top_k; /* candidates tried for a word, or flips */
    uint32_t positions; /* chars: places where all edits are tried */
    uint32_t senses;    /* words: meanings of a word that count */
    char *alphabet;     /* chars: single bytes, owned */
    struct wordnet *wordnet; /* words: owned; NULL otherwise */
};

/* Opens the dictionary where one is needed and checks the alphabet. */
mohs_status edits_open(struct edits *e, const char *what, const char *dict,
                       const char *alphabet, struct mohs_error *err);
void edits_close(struct edits *e);
/* keep: a killed search goes on where it was. left, or NULL: rows for the texts
 * that are found. */
mohs_status edits_run(const struct edits *e, const char *what, struct mohs_victim *texts,
                      const struct aim *aim, int keep, struct text_rows *left,
                      struct mohs_error *err);

/* Its parts. */
mohs_status edit_words(const struct edits *e, struct hunt *h, struct mohs_error *err);
mohs_status edit_tokens(const struct edits *e, struct hunt *h, struct mohs_error *err);
mohs_status edit_chars(const struct edits *e, struct hunt *h, struct mohs_error *err);

#endif
