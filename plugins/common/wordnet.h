/* SPDX-License-Identifier: MIT */
/*
 * WordNet's database files (wndb(5WN)): index.noun, data.noun, noun.exc and
 * so on, as in Debian's wordnet-base. The files are a stranger's: nothing in them is
 * believed.
 */
#ifndef PLUGINS_WORDNET_H
#define PLUGINS_WORDNET_H

#include <stddef.h>
#include <stdint.h>

enum { WORDNET_PARTS = 4, WORDNET_WORD = 64 };

struct wordnet {
    struct wordnet_part {
        char *index, *data, *exc; /* NUL behind the end */
        size_t n_index, n_data, n_exc;
    } part[WORDNET_PARTS];
};

/* NULL and errno, and the file that could not be read in `missing`. */
struct wordnet *wordnet_open(const char *dir, char missing[], size_t n_missing);
void wordnet_close(struct wordnet *w);

/* Up to `max` different words that share one of the first `senses` meanings
 * of `word` (lower case, ASCII) in some part of speech, without itself; with
 * spaces for underscores. Returns how many. */
size_t wordnet_synonyms(const struct wordnet *w, const char *word,
                        uint32_t senses, char out[][WORDNET_WORD], size_t max);

#endif
