/* SPDX-License-Identifier: MIT */
/*
 * SentencePiece's precompiled normal forms: a double-array trie (Aoe 1989, as
 * Darts-clone stores it) from byte strings to replacements.
 */
#ifndef CORE_CHARSMAP_H
#define CORE_CHARSMAP_H

#include "base/base.h"

struct charsmap;

/* Copies blob[0..n). Every place a search can reach is checked: nodes inside
 * the array, replacements that are short UTF-8 texts. */
mohs_status charsmap_new(const void *blob, size_t n, const char *name,
                         struct charsmap **out, struct mohs_error *err);
/* From base64, as tokenizer.json holds it. */
mohs_status charsmap_parse(const char *base64, const char *name,
                           struct charsmap **out, struct mohs_error *err);
void charsmap_free(struct charsmap *m);
/* The replacement of the longest (or of the shortest) key that s[0..n)
 * starts with, and the key's bytes; NULL when there is none. */
const char *charsmap_find(const struct charsmap *m, const char *s, size_t n,
                          bool longest, size_t *bytes);
/* As the tokenizers library applies it: to clusters of characters below six
 * bytes, where the shortest key stands for the whole, else to characters. */
void charsmap_clusters(const struct charsmap *m, struct str *text);

#endif
