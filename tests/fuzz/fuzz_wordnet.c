/* SPDX-License-Identifier: MIT */
/*
 * Fuzz target: an index file of WordNet, a data file and a file of
 * exceptions, a NUL between; asked for every word of the index and for
 * inflected ones. See fuzz_safetensors.c for
 * how it runs.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "../../plugins/common/wordnet.h"
#include "fuzz/replay.h"

static void ask(const struct wordnet *w, const char *word)
{
    enum { MOST = 5 };
    char out[MOST][WORDNET_WORD];
    size_t n = wordnet_synonyms(w, word, 3, out, MOST);
    if (n > MOST)
        abort();
    for (size_t i = 0; i < n; i++)
        if (!*out[i] || strlen(out[i]) >= WORDNET_WORD ||
            !utf8_valid(out[i], strlen(out[i])) || !strcmp(out[i], word))
            abort();
}

/* What is before the next NUL, in memory of its size, so that a step over the
 * end is seen. */
static char *part(const uint8_t **data, size_t *left, size_t *n)
{
    const uint8_t *cut = *left ? memchr(*data, 0, *left) : NULL;
    *n = cut ? (size_t)(cut - *data) : *left;
    char *s = xmalloc(*n + 1);
    if (*n)
        memcpy(s, *data, *n);
    s[*n] = 0;
    *data += *n + (cut != NULL);
    *left -= *n + (cut != NULL);
    return s;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct wordnet w = { 0 };
    struct wordnet_part p;
    if (n > 1 << 16)
        return 0;
    p.index = part(&data, &n, &p.n_index);
    p.data = part(&data, &n, &p.n_data);
    p.exc = part(&data, &n, &p.n_exc);
    for (int i = 0; i < WORDNET_PARTS; i++)
        w.part[i] = p;
    static const char *const words[] = { "dog",   "puppies", "running",
                                         "bigger", "runs",   "a" };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        ask(&w, words[i]);
    char word[WORDNET_WORD];
    for (size_t i = 0; i < p.n_index; i++) {
        size_t k = strcspn(p.index + i, " \n");
        if ((i && p.index[i - 1] != '\n') || k >= sizeof word)
            continue;
        memcpy(word, p.index + i, k);
        word[k] = 0;
        ask(&w, word);
    }
    free(p.index);
    free(p.data);
    free(p.exc);
    return 0;
}

FUZZ_MAIN("wordnet")
