/* SPDX-License-Identifier: MIT */
/* Viterbi over all pieces that start at a character. */
#include "config.h"

#include <stdlib.h>

#include "model/lattice.h"
#include "model/tokenizer.h"

/* SentencePiece moves sums back to zero past this, or they lose digits. */
#define SUM_MAX 100000.0

struct node {
    double score;
    size_t from; /* SIZE_MAX: not reached */
    int32_t id;
};

void lattice_clear(struct lattice *l)
{
    trie_free(l->trie);
    free(l->score);
}

static double sum(const struct lattice *l, double a, double b)
{
    return l->single ? (double)(float)(a + b) : a + b;
}

static void reach(struct node *to, double score, size_t from, int32_t id)
{
    if (to->from == SIZE_MAX || score > to->score)
        *to = (struct node) { score, from, id };
}

/* Takes the score of best[at] off every node up to `last`. */
static void rebase(struct node *best, size_t at, size_t last)
{
    double offset = best[at].score;
    for (size_t i = at; i <= last; i++)
        if (i == at || best[i].from != SIZE_MAX)
            best[i].score = (double)(float)(best[i].score - offset);
}

static void search(const struct lattice *l, const char *s, size_t n,
                   struct node *best)
{
    size_t last = 0, step;
    for (size_t at = 0; at < n; at += step) {
        uint32_t c;
        bool single = false;
        int32_t node = 0;
        step = utf8_get(s + at, &c);
        if (l->single && (best[at].score < -SUM_MAX || best[at].score > SUM_MAX))
            rebase(best, at, last);
        double here = best[at].score;
        for (size_t k = at; k < n && (node = trie_step(l->trie, node, s[k])) >= 0;
             k++) {
            int32_t id = trie_value(l->trie, node);
            if (id < 0)
                continue;
            last = last > k + 1 ? last : k + 1;
            reach(&best[k + 1], sum(l, l->score[id], here), at, id);
            single |= k + 1 - at == step;
        }
        if (!single) {
            last = last > at + step ? last : at + step;
            reach(&best[at + step], sum(l, l->unk_score, here), at, l->unk);
        }
    }
}

struct piece *lattice_best(const struct lattice *l, const char *s, size_t n,
                           size_t *count)
{
    struct node *best = xmalloc((n + 1) * sizeof *best);
    size_t k = 0;
    for (size_t i = 0; i <= n; i++)
        best[i] = (struct node) { 0, SIZE_MAX, -1 };
    search(l, s, n, best);
    for (size_t at = n; at; at = best[at].from)
        k++;
    struct piece *out = xmalloc(k * sizeof *out);
    *count = k;
    for (size_t at = n; at; at = best[at].from)
        out[--k] = (struct piece) { best[at].from, at, best[at].id };
    free(best);
    return out;
}
