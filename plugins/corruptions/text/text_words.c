/* SPDX-License-Identifier: MIT */
/* Edits of whole words. */
#include "config.h"

#include "text.h"
#include "wordnet.h"

/* A mark before the word, as a word of its own (AEDA: Karimi, Rossi and
 * Prati, "An Easier Data Augmentation Technique", EMNLP Findings 2021). */
int punctuation_edit(struct text *t, size_t i)
{
    static const char marks[] = ".;?:!,";
    const struct word *w = &t->word[i];
    char *s = malloc(w->n + 2);
    if (!s) {
        t->no_memory = 1;
        return 0;
    }
    s[0] = marks[text_below(t, 6)];
    s[1] = ' ';
    memcpy(s + 2, w->s, w->n);
    int done = word_set(t, i, s, w->n + 2);
    free(s);
    return done;
}

/* Never the last one (EDA's random deletion: Wei and Zou, EMNLP 2019). */
int word_drop_edit(struct text *t, size_t i)
{
    size_t left = 0;
    for (size_t k = 0; k < t->n_words; k++)
        left += t->word[k].s != NULL;
    if (left < 2)
        return 0;
    t->word[i].s = NULL;
    return 1;
}

static int same_word(const struct word *a, const struct word *b)
{
    return a->n == b->n && !memcmp(a->s, b->s, a->n);
}

/* With another place, whose word differs (EDA's random swap). */
int word_swap_edit(struct text *t, size_t i)
{
    uint32_t n = 0;
    for (size_t k = 0; k < t->n_words; k++)
        n += !same_word(&t->word[k], &t->word[i]);
    if (!n)
        return 0;
    uint32_t want = text_below(t, n);
    size_t k = 0;
    while (same_word(&t->word[k], &t->word[i]) || want--)
        k++;
    struct word a = t->word[i], *b = &t->word[k];
    t->word[i].s = b->s;
    t->word[i].n = b->n;
    t->word[i].own = b->own;
    b->s = a.s;
    b->n = a.n;
    b->own = a.own;
    return 1;
}

/* ---- synonyms ---- */

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

int synonym_edit(struct text *t, size_t i)
{
    enum { MOST = 32 };
    const struct word *w = &t->word[i];
    char lemma[WORDNET_WORD], found[MOST][WORDNET_WORD];
    size_t from = 0, to = w->n;
    while (from < to && !is_letter(w->s[from]))
        from++;
    while (to > from && !is_letter(w->s[to - 1]))
        to--;
    if (from == to || to - from >= sizeof lemma)
        return 0;
    for (size_t k = from; k < to; k++) {
        char c = w->s[k];
        if (!is_letter(c) && c != '-' && c != '\'')
            return 0;
        lemma[k - from] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
    }
    lemma[to - from] = 0;
    if (bsearch(lemma, grammar, sizeof grammar / sizeof *grammar,
                sizeof *grammar, by_text))
        return 0;
    size_t n = wordnet_synonyms(t->wordnet, lemma, t->senses, found, MOST);
    if (!n)
        return 0;
    char *s = found[text_below(t, (uint32_t)n)];
    if (w->s[from] <= 'Z' && s[0] >= 'a' && s[0] <= 'z')
        s[0] = (char)(s[0] - 'a' + 'A');
    size_t m = strlen(s);
    char *all = malloc(from + m + w->n - to + 1);
    if (!all) {
        t->no_memory = 1;
        return 0;
    }
    memcpy(all, w->s, from);
    memcpy(all + from, s, m);
    memcpy(all + from + m, w->s + to, w->n - to);
    int done = word_set(t, i, all, from + m + w->n - to);
    free(all);
    return done;
}
