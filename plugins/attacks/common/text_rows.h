/* SPDX-License-Identifier: MIT */
/* Texts in rows of one size, which is how a state keeps them (resume.h). */
#ifndef ATTACKS_TEXT_ROWS_H
#define ATTACKS_TEXT_ROWS_H

#include <mohs/ext/victim_text.h>

struct text_rows {
    char *row;
    size_t width; /* bytes of a row */
    uint32_t n;
    int lost; /* a text was too long for its row: no row is to be believed */
};

/* Rows of the clean texts for so many edits of each; 0: no memory. */
int text_rows_make(struct text_rows *r, const struct mohs_victim_text *t, uint32_t n,
                   uint32_t edits);
void text_rows_free(struct text_rows *r);
void text_rows_put(struct text_rows *r, uint32_t i, const char *text); /* NULL: clean */
const char *text_rows_get(const struct text_rows *r, uint32_t i); /* NULL: clean */

#endif
