/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "synonyms.h"

#include <stdlib.h>
#include <string.h>

/* Words of grammar; WordNet has other ideas of "a", "in" and "as". */
static const char *const grammar[] = {
    "a",     "about", "above", "after", "all",   "am",    "an",    "and",
    "any",   "are",   "as",    "at",    "be",    "been",  "being", "below",
    "but",   "by",    "can",   "could", "did",   "do",    "does",  "down",
    "for",   "from",  "had",   "has",   "have",  "he",    "her",   "hers",
    "him",   "his",   "how",   "i",     "if",    "in",    "into",  "is",
    "it",    "its",   "may",   "me",    "might", "must",  "my",    "no",
    "nor",   "not",   "of",    "off",   "on",    "onto",  "or",    "our",
    "out",   "over",  "shall", "she",   "should", "so",   "some",  "than",
    "that",  "the",   "their", "them",  "then",  "there", "these", "they",
    "this",  "those", "to",    "under", "up",    "us",    "was",   "we",
    "were",  "what",  "when",  "where", "which", "who",   "will",  "with",
    "would", "you",   "your",
};

static int by_text(const void *a, const void *b)
{
    return strcmp(a, *(const char *const *)b);
}

static int is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

size_t synonyms_find(const struct wordnet *w, const char *s, size_t n, uint32_t senses,
                     struct synonyms *out)
{
    char lemma[WORDNET_WORD];
    size_t from = 0, to = n;
    out->n = 0;
    while (from < to && !is_letter(s[from]))
        from++;
    while (to > from && !is_letter(s[to - 1]))
        to--;
    if (from == to || to - from >= sizeof lemma)
        return 0;
    for (size_t k = from; k < to; k++) {
        char c = s[k];
        if (!is_letter(c) && c != '-' && c != '\'')
            return 0;
        lemma[k - from] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
    }
    lemma[to - from] = 0;
    if (bsearch(lemma, grammar, sizeof grammar / sizeof *grammar,
                sizeof *grammar, by_text))
        return 0;
    out->from = from;
    out->to = to;
    out->n = wordnet_synonyms(w, lemma, senses, out->word, SYNONYMS_MAX);
    for (size_t i = 0; i < out->n; i++) {
        char *c = out->word[i];
        if (s[from] <= 'Z' && *c >= 'a' && *c <= 'z')
            *c = (char)(*c - 'a' + 'A');
    }
    return out->n;
}
