/* SPDX-License-Identifier: MIT */
/* What the three ways to edit texts have in common around their search. */
#include "text_edits.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <mohs/util.h>

mohs_status edits_open(struct edits *e, const char *what, const char *dict,
                       const char *alphabet, struct mohs_error *err)
{
    char missing[512];
    for (const char *s = alphabet; e->unit == UNIT_CHARS && *s; s++)
        if (*s < ' ' || *s > '~')
            return mohs_fail(err, MOHS_E_ARG, "%s: alphabet '%.40s' holds more than "
                             "printable ASCII", what, alphabet);
    if (e->unit == UNIT_CHARS) {
        size_t n = strlen(alphabet);
        if (!n)
            return mohs_fail(err, MOHS_E_ARG, "%s: alphabet is empty", what);
        e->alphabet = malloc(n + 1);
        if (!e->alphabet)
            return mohs_fail(err, MOHS_E_NOMEM, "%s: no memory", what);
        memcpy(e->alphabet, alphabet, n + 1);
    }
    if (e->unit != UNIT_WORDS || !e->most)
        return MOHS_OK;
    e->wordnet = wordnet_open(dict, missing, sizeof missing);
    if (e->wordnet)
        return MOHS_OK;
    return mohs_fail(err, MOHS_E_IO, "%s: %s: %s (WordNet's files: Debian's wordnet-base, "
                     "or set dict)", what, missing, strerror(errno));
}

void edits_close(struct edits *e)
{
    if (e->wordnet)
        wordnet_close(e->wordnet);
    free(e->alphabet);
}

mohs_status edits_run(const struct edits *e, const char *what, struct mohs_victim *texts,
                      const struct aim *aim, int keep, struct text_rows *left,
                      struct mohs_error *err)
{
    struct hunt h;
    mohs_status st = hunt_open(&h, what, texts, aim, e->most, keep, err);
    if (st >= 0)
        st = !e->most                  ? hunt_begin(&h, err)
             : e->unit == UNIT_WORDS   ? edit_words(e, &h, err)
             : e->unit == UNIT_TOKENS ? edit_tokens(e, &h, err)
                                      : edit_chars(e, &h, err);
    if (st >= 0)
        st = hunt_finish(&h, err);
    for (uint32_t i = 0; left && st >= 0 && i < texts->n; i++)
        text_rows_put(left, i, h.now[i]);
    hunt_free(&h);
    return st;
}
