/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "wordnet.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const part_names[WORDNET_PARTS] = { "noun", "verb", "adj",
                                                       "adv" };

static char *slurp(const char *path, size_t *n)
{
    enum { MOST = 1 << 28 };
    FILE *f = fopen(path, "rb");
    char *s = NULL;
    long size;
    if (!f)
        return NULL;
    if (!fseek(f, 0, SEEK_END) && (size = ftell(f)) >= 0 && size <= MOST &&
        !fseek(f, 0, SEEK_SET) && (s = malloc((size_t)size + 1))) {
        *n = fread(s, 1, (size_t)size, f);
        s[*n] = 0;
    }
    fclose(f);
    return s;
}

struct wordnet *wordnet_open(const char *dir, char missing[], size_t n_missing)
{
    struct wordnet *w = calloc(1, sizeof *w);
    for (int i = 0; w && i < WORDNET_PARTS; i++) {
        struct wordnet_part *p = &w->part[i];
        snprintf(missing, n_missing, "%s/index.%s", dir, part_names[i]);
        p->index = slurp(missing, &p->n_index);
        if (p->index) {
            snprintf(missing, n_missing, "%s/data.%s", dir, part_names[i]);
            p->data = slurp(missing, &p->n_data);
        }
        if (p->data) {
            snprintf(missing, n_missing, "%s/%s.exc", dir, part_names[i]);
            p->exc = slurp(missing, &p->n_exc);
        }
        if (!p->exc) {
            int e = errno;
            wordnet_close(w);
            errno = e;
            return NULL;
        }
    }
    return w;
}

void wordnet_close(struct wordnet *w)
{
    for (int i = 0; w && i < WORDNET_PARTS; i++) {
        free(w->part[i].index);
        free(w->part[i].data);
        free(w->part[i].exc);
    }
    free(w);
}

/* ---- lines ---- */

/* The next field of a line; fields end with a space, lines with \n. */
static int field(const char **s, const char *end, const char **at, size_t *n)
{
    while (*s < end && **s == ' ')
        ++*s;
    *at = *s;
    while (*s < end && **s != ' ' && **s != '\n')
        ++*s;
    *n = (size_t)(*s - *at);
    return *n > 0;
}

static int number(const char **s, const char *end, unsigned base,
                  unsigned long *out)
{
    const char *at;
    size_t n;
    unsigned long v = 0;
    if (!field(s, end, &at, &n) || n > 10)
        return 0;
    for (size_t i = 0; i < n; i++) {
        int c = at[i];
        unsigned d = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
                     : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10
                                            : 16;
        if (d >= base)
            return 0;
        v = v * base + d;
    }
    *out = v;
    return 1;
}

/* The line of `word` behind the word, by bisection: lines are sorted by
 * bytes, those of the licence start with a space. */
static const char *line_find(const char *s, size_t n_s, const char *word,
                             const char **line_end)
{
    size_t low = 0, high = n_s, n = strlen(word);
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        while (mid > low && s[mid - 1] != '\n')
            mid--;
        const char *line = s + mid, *end = s + n_s;
        const char *stop = memchr(line, '\n', (size_t)(end - line));
        stop = stop ? stop : end;
        const char *space = memchr(line, ' ', (size_t)(stop - line));
        size_t m = space ? (size_t)(space - line) : (size_t)(stop - line);
        int d = memcmp(word, line, n < m ? n : m);
        d = d ? d : (n > m) - (n < m);
        if (!d) {
            *line_end = stop;
            return line + m;
        }
        if (d < 0)
            high = mid;
        else
            low = (size_t)(stop - s) + (stop < end);
    }
    return NULL;
}

/* ---- synonyms ---- */

struct found {
    const char *word;
    char (*out)[WORDNET_WORD];
    size_t n, max;
};

static void found_add(struct found *f, const char *s, size_t n)
{
    const char *mark = memchr(s, '(', n); // "(a)" of an adjective
    n = mark ? (size_t)(mark - s) : n;
    if (!n || n >= WORDNET_WORD || f->n == f->max)
        return;
    char *to = f->out[f->n];
    for (size_t i = 0; i < n; i++) {
        if (s[i] < ' ' || s[i] > '~')
            return;
        to[i] = s[i] == '_' ? ' ' : s[i];
    }
    to[n] = 0;
    int same = 1;
    for (size_t i = 0; same && i <= n; i++)
        same = tolower((unsigned char)to[i]) == f->word[i];
    for (size_t i = 0; !same && i < f->n; i++)
        same = !strcmp(f->out[i], to);
    f->n += !same;
}

/* offset lex_filenum ss_type w_cnt word lex_id [word lex_id...] ... */
static void synset_words(const struct wordnet_part *p, unsigned long offset,
                         struct found *f)
{
    const char *s = p->data + (offset < p->n_data ? offset : p->n_data);
    const char *end = p->data + p->n_data, *at;
    unsigned long v, n_words;
    size_t n;
    if (!number(&s, end, 10, &v) || v != offset || !number(&s, end, 10, &v) ||
        !field(&s, end, &at, &n) || !number(&s, end, 16, &n_words))
        return;
    for (unsigned long i = 0; i < n_words; i++) {
        if (!field(&s, end, &at, &n) || !number(&s, end, 16, &v))
            return;
        found_add(f, at, n);
    }
}

struct entry {
    const char *s, *end; /* the offsets */
    unsigned long n_sets, tagged; /* meanings; those seen in the corpus */
};

/* lemma pos synset_cnt p_cnt [symbol...] sense_cnt tagsense_cnt offset... */
static int entry_of(const struct wordnet_part *p, const char *lemma,
                    struct entry *e)
{
    const char *at;
    unsigned long n_pointers, v;
    size_t n;
    e->s = line_find(p->index, p->n_index, lemma, &e->end);
    if (!e->s || !field(&e->s, e->end, &at, &n) ||
        !number(&e->s, e->end, 10, &e->n_sets) ||
        !number(&e->s, e->end, 10, &n_pointers))
        return 0;
    for (unsigned long i = 0; i < n_pointers; i++)
        if (!field(&e->s, e->end, &at, &n))
            return 0;
    return number(&e->s, e->end, 10, &v) &&
           number(&e->s, e->end, 10, &e->tagged);
}

static void lemma_senses(const struct wordnet_part *p, const char *lemma,
                         uint32_t senses, struct found *f)
{
    struct entry e;
    unsigned long offset;
    if (!entry_of(p, lemma, &e))
        return;
    for (unsigned long i = 0; i < e.n_sets && i < senses; i++)
        if (number(&e.s, e.end, 10, &offset))
            synset_words(p, offset, f);
}

/* A caption's "dog" is more likely the animal than the verb: the part of
 * speech with most tagged meanings, all if that one knows no synonym. */
static void word_senses(const struct wordnet *w, const char *word,
                        uint32_t senses, struct found *f)
{
    const struct wordnet_part *likely = NULL;
    unsigned long most = 0;
    struct entry e;
    for (int i = 0; i < WORDNET_PARTS; i++)
        if (entry_of(&w->part[i], word, &e) && (!likely || e.tagged > most)) {
            likely = &w->part[i];
            most = e.tagged;
        }
    if (likely)
        lemma_senses(likely, word, senses, f);
    for (int i = 0; !f->n && i < WORDNET_PARTS; i++)
        lemma_senses(&w->part[i], word, senses, f);
}

/* The endings that morphy(7WN) takes off, by part of speech. */
static const struct ending {
    int part;
    const char *from, *to;
} endings[] = {
    { 0, "s", "" },     { 0, "ses", "s" },  { 0, "xes", "x" },
    { 0, "zes", "z" },  { 0, "ches", "ch" }, { 0, "shes", "sh" },
    { 0, "men", "man" }, { 0, "ies", "y" },  { 1, "s", "" },
    { 1, "ies", "y" },  { 1, "es", "e" },   { 1, "es", "" },
    { 1, "ed", "e" },   { 1, "ed", "" },    { 1, "ing", "e" },
    { 1, "ing", "" },   { 2, "er", "" },    { 2, "est", "" },
    { 2, "er", "e" },   { 2, "est", "e" },
};

/* Of a base form; `word` itself is no synonym of it either. */
static void base_senses(const struct wordnet_part *p, const char *base,
                        uint32_t senses, struct found *f)
{
    const char *word = f->word;
    f->word = base;
    lemma_senses(p, base, senses, f);
    f->word = word;
}

/* inflected base... */
static void irregular_senses(const struct wordnet_part *p, const char *word,
                             uint32_t senses, struct found *f)
{
    char base[WORDNET_WORD];
    const char *end, *at, *s = line_find(p->exc, p->n_exc, word, &end);
    size_t n;
    while (s && field(&s, end, &at, &n)) {
        if (n >= sizeof base)
            continue;
        memcpy(base, at, n);
        base[n] = 0;
        base_senses(p, base, senses, f);
    }
}

size_t wordnet_synonyms(const struct wordnet *w, const char *word,
                        uint32_t senses, char out[][WORDNET_WORD], size_t max)
{
    struct found f = { word, out, 0, max };
    size_t n = strlen(word);
    if (!n || n >= WORDNET_WORD - 4)
        return 0;
    word_senses(w, word, senses, &f);
    for (int i = 0; !f.n && i < WORDNET_PARTS; i++)
        irregular_senses(&w->part[i], word, senses, &f);
    for (size_t i = 0; !f.n && i < sizeof endings / sizeof *endings; i++) {
        const struct ending *e = &endings[i];
        size_t m = strlen(e->from);
        char lemma[WORDNET_WORD];
        if (n <= m + 1 || strcmp(word + n - m, e->from))
            continue;
        snprintf(lemma, sizeof lemma, "%.*s%s", (int)(n - m), word, e->to);
        base_senses(&w->part[e->part], lemma, senses, &f);
    }
    return f.n;
}
