/* SPDX-License-Identifier: MIT */
/* Edits of whole words. */
#include "config.h"

#include "text.h"

#include "../../common/synonyms.h"

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

int synonym_edit(struct text *t, size_t i)
{
    const struct word *w = &t->word[i];
    struct synonyms found;
    if (!synonyms_find(t->wordnet, w->s, w->n, t->senses, &found))
        return 0;
    const char *s = found.word[text_below(t, (uint32_t)found.n)];
    size_t m = strlen(s), rest = w->n - found.to;
    char *all = malloc(found.from + m + rest + 1);
    if (!all) {
        t->no_memory = 1;
        return 0;
    }
    memcpy(all, w->s, found.from);
    memcpy(all + found.from, s, m);
    memcpy(all + found.from + m, w->s + found.to, rest);
    int done = word_set(t, i, all, found.from + m + rest);
    free(all);
    return done;
}
