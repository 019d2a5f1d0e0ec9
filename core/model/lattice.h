/* SPDX-License-Identifier: MIT */
/* The best split of a text into pieces of a unigram language model (Kudo
 * 2018), as both SentencePiece and the tokenizers library search it. */
#ifndef CORE_LATTICE_H
#define CORE_LATTICE_H

#include "model/token_model.h"

struct lattice {
    struct trie *trie; /* of the pieces that may be chosen; owned */
    double *score;     /* log probability by id; owned */
    double unk_score;  /* of a character that is no piece */
    int32_t unk;
    bool single; /* sums in single precision, as SentencePiece has them */
};

struct piece {
    size_t from, to;
    int32_t id;
};

void lattice_clear(struct lattice *l);
/* The pieces of s[0..n), n > 0, in order; a fresh array of *count. */
struct piece *lattice_best(const struct lattice *l, const char *s, size_t n,
                           size_t *count);

#endif
