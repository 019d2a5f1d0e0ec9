/* SPDX-License-Identifier: MIT */
/* What check_victim.c needs of the texts of the analytic victim. */
#ifndef CORE_CHECK_WORDS_H
#define CORE_CHECK_WORDS_H

#include "plugin/check.h"

enum { MOCK_CONTEXT = 24, MOCK_ROW = 16 };

/* A caption for sample number i. */
const char *mock_caption(uint32_t i);
/* Number of token ids. */
uint32_t mock_ids(void);
/* Begin, tokens, end; the rest is end too. *last: the first end. */
void mock_encode(const char *text, int32_t ids[MOCK_CONTEXT], uint32_t *last);
/* Appends the text of ids, begin and end left out. */
void mock_decode(const int32_t *ids, uint32_t n, struct str *out);
/* The activation of a token, wherever it stands. */
void mock_row(int32_t id, float row[MOCK_ROW]);

#endif
