/* SPDX-License-Identifier: MIT */
#include "text_rows.h"

#include <stdlib.h>
#include <string.h>

#include "../../common/wordnet.h"

/* An edit puts in a word of the dictionary at most; tokens are not bounded, but
 * seldom longer, and spelling them may put spaces between all of them. */
int text_rows_make(struct text_rows *r, const struct mohs_victim_text *t, uint32_t n,
                   uint32_t edits)
{
    size_t most = 0, rounds = edits < 64 ? edits : 64;
    for (uint32_t i = 0; i < n; i++) {
        size_t bytes = strlen(t->text[i]);
        most = bytes > most ? bytes : most;
    }
    *r = (struct text_rows) { .width = 2 + 2 * most + rounds * WORDNET_WORD, .n = n };
    r->row = calloc((size_t)n + 1, r->width);
    return r->row != NULL;
}

void text_rows_free(struct text_rows *r)
{
    free(r->row);
}

/* The first byte says whether a text follows. */
void text_rows_put(struct text_rows *r, uint32_t i, const char *text)
{
    char *row = r->row + i * r->width;
    size_t bytes = text ? strlen(text) + 1 : 0;
    if (bytes + 1 > r->width) {
        r->lost = 1;
        return;
    }
    memset(row, 0, r->width);
    row[0] = text != NULL;
    if (text)
        memcpy(row + 1, text, bytes);
}

const char *text_rows_get(const struct text_rows *r, uint32_t i)
{
    const char *row = r->row + i * r->width;
    return row[0] ? row + 1 : NULL;
}
