/* SPDX-License-Identifier: MIT */
/*
 * Tokens of words seen lately. Captions repeat few words, and a look-up costs
 * a tenth of the merges. Direct-mapped, in stripes with a lock each, so any
 * number of threads share it; what it holds never changes a result.
 */
#include "config.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "model/token_model.h"

enum { STRIPES = 16, LINES = 512, WORD_MAX = 48, IDS_MAX = 14 };

struct line {
    uint8_t n, n_ids; /* n 0: free */
    char word[WORD_MAX];
    int32_t ids[IDS_MAX];
};

struct stripe {
    pthread_mutex_t lock;
    struct line line[LINES];
};

struct word_cache {
    struct stripe stripe[STRIPES];
};

struct word_cache *word_cache_new(void)
{
    struct word_cache *c = xcalloc(1, sizeof *c);
    for (int i = 0; i < STRIPES; i++)
        pthread_mutex_init(&c->stripe[i].lock, NULL);
    return c;
}

void word_cache_free(struct word_cache *c)
{
    if (!c)
        return;
    for (int i = 0; i < STRIPES; i++)
        pthread_mutex_destroy(&c->stripe[i].lock);
    free(c);
}

static struct line *line_of(struct word_cache *c, const char *word, size_t n,
                            struct stripe **s)
{
    uint64_t h = hash_bytes(word, n).lo;
    *s = &c->stripe[h % STRIPES];
    return &(*s)->line[h / STRIPES % LINES];
}

bool word_cache_get(struct word_cache *c, const char *word, size_t n,
                   struct ids *out)
{
    struct stripe *s;
    if (!n || n > WORD_MAX)
        return false;
    const struct line *l = line_of(c, word, n, &s);
    pthread_mutex_lock(&s->lock);
    bool hit = l->n == n && !memcmp(l->word, word, n);
    if (hit)
        ids_add(out, l->ids, l->n_ids);
    pthread_mutex_unlock(&s->lock);
    return hit;
}

void word_cache_put(struct word_cache *c, const char *word, size_t n,
                   const int32_t *ids, size_t n_ids)
{
    struct stripe *s;
    if (!n || n > WORD_MAX || n_ids > IDS_MAX)
        return;
    struct line *l = line_of(c, word, n, &s);
    pthread_mutex_lock(&s->lock);
    l->n = (uint8_t)n;
    l->n_ids = (uint8_t)n_ids;
    memcpy(l->word, word, n);
    if (n_ids)
        memcpy(l->ids, ids, n_ids * sizeof *ids);
    pthread_mutex_unlock(&s->lock);
}
