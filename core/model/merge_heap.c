/* SPDX-License-Identifier: MIT */
/* Merges that wait: a binary heap by rank, then place. */
#include "config.h"

#include "model/token_model.h"

static bool before(const struct candidate *a, const struct candidate *b)
{
    return a->rank != b->rank ? a->rank < b->rank : a->at < b->at;
}

void candidates_push(struct candidates *h, struct candidate c)
{
    size_t i = h->n++;
    for (; i && before(&c, &h->v[(i - 1) / 2]); i = (i - 1) / 2)
        h->v[i] = h->v[(i - 1) / 2];
    h->v[i] = c;
}

struct candidate candidates_pop(struct candidates *h)
{
    struct candidate top = h->v[0], c = h->v[--h->n];
    size_t i = 0;
    for (;;) {
        size_t k = 2 * i + 1;
        if (k >= h->n)
            break;
        if (k + 1 < h->n && before(&h->v[k + 1], &h->v[k]))
            k++;
        if (!before(&h->v[k], &c))
            break;
        h->v[i] = h->v[k];
        i = k;
    }
    h->v[i] = c;
    return top;
}
