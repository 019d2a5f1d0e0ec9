/* SPDX-License-Identifier: MIT */
/*
 * The texts of the analytic victim: captions, a tokenizer that knows some
 * words and spells the others, and a row for each token. An embedding moves
 * by a linear map of the rows of its tokens, position by position.
 */
#include "config.h"

#include "plugin/check_words.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static const char *const captions[] = {
    "a small dog below a large red car", "the cat sits on a green chair",
    "two birds above the old house",     "a picture of a big yellow flower",
    "a man rides a horse near the lake", "some fruit on the kitchen table",
    "a little girl holds a blue ball",   "the train stops at the station",
    "an old boat on the quiet river",    "a woman reads a book in the park",
};
static const char *const known[] = {
    "a",     "an",   "the",   "some",  "two",   "on",    "in",   "of",    "at",
    "near",  "below", "above", "small", "large", "big",   "little", "old",  "red",
    "green", "blue", "yellow", "dog",  "cat",   "car",   "chair", "house", "flower",
    "man",   "woman", "girl",  "horse", "lake",  "fruit", "table", "ball",  "train",
    "boat",  "river", "book",  "park",  "picture",
};
enum { N_CAPTIONS = sizeof captions / sizeof *captions,
       N_KNOWN = sizeof known / sizeof *known,
       BEGIN = 0, END, WORDS, INNER = WORDS + N_KNOWN, FINAL = INNER + 26,
       OTHER = FINAL + 26, N_IDS };

const char *mock_caption(uint32_t i)
{
    return captions[i % N_CAPTIONS];
}

uint32_t mock_ids(void)
{
    return N_IDS;
}

struct tokens {
    int32_t *ids;
    uint32_t n;
};

/* One behind another, as long as the end still fits. */
static void put(struct tokens *t, int32_t id)
{
    if (t->n + 1 < MOCK_CONTEXT)
        t->ids[t->n++] = id;
}

static void put_word(struct tokens *t, const char *s, size_t n)
{
    for (int i = 0; i < N_KNOWN; i++)
        if (strlen(known[i]) == n && !memcmp(known[i], s, n)) {
            put(t, WORDS + i);
            return;
        }
    for (size_t i = 0; i < n; i++)
        put(t, (i + 1 < n ? INNER : FINAL) + s[i] - 'a');
}

void mock_encode(const char *text, int32_t ids[MOCK_CONTEXT], uint32_t *last)
{
    struct tokens t = { ids, 0 };
    put(&t, BEGIN);
    for (const char *s = text; *s;) {
        size_t n = 0;
        while (s[n] >= 'a' && s[n] <= 'z')
            n++;
        if (n)
            put_word(&t, s, n);
        else if (!isspace((unsigned char)*s))
            put(&t, OTHER);
        s += n ? n : 1;
    }
    *last = t.n;
    while (t.n < MOCK_CONTEXT)
        ids[t.n++] = END;
}

void mock_decode(const int32_t *ids, uint32_t n, struct str *out)
{
    bool space = false;
    str_add(out, "");
    for (uint32_t i = 0; i < n; i++) {
        int32_t id = ids[i];
        if (id <= END || id >= N_IDS)
            continue;
        if (space)
            str_add(out, " ");
        if (id < INNER)
            str_add(out, known[id - WORDS]);
        else
            str_addf(out, "%c", id == OTHER ? '?' : 'a' + (id - INNER) % 26);
        space = id < INNER || id >= FINAL;
    }
}

void mock_row(int32_t id, float row[MOCK_ROW])
{
    for (uint32_t k = 0; k < MOCK_ROW; k++)
        row[k] = mohs_rng_normal(61, (uint64_t)id, k);
}
