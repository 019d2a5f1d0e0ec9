/* SPDX-License-Identifier: MIT */
/* Unigram models of tokenizer.json: [["token", score], ..]. */
#include "config.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/lattice.h"

#define UNKNOWN_PENALTY 10.0 /* below the rarest piece */

struct unigram {
    struct lattice lattice;
    bool byte_fallback;
};

static void unigram_free(void *self)
{
    struct unigram *u = self;
    if (!u)
        return;
    lattice_clear(&u->lattice);
    free(u);
}

/* The library reads "-9.2103" as 92103 / 10^4, which is not always the nearest
 * number, and between equal paths the last bit decides. x was read from its
 * shortest digits, which programs write. */
static double as_library(double x)
{
    char text[32], *end;
    int digits = 0;
    do
        snprintf(text, sizeof text, "%.*e", digits++, fabs(x));
    while (strtod(text, NULL) != fabs(x) && digits < 17);
    uint64_t whole = (uint64_t)(text[0] - '0');
    for (int i = 0; i < digits - 1; i++)
        whole = whole * 10 + (uint64_t)(text[2 + i] - '0');
    long power = strtol(strchr(text, 'e') + 1, &end, 10) - (digits - 1);
    if (power < -300 || power > 290)
        return x;
    double y = power < 0 ? (double)whole / pow(10, (double)-power)
                         : (double)whole * pow(10, (double)power);
    return copysign(y, x);
}

static mohs_status add_pieces(struct unigram *u, const json_t *list,
                              struct vocab *vocab, const char *name,
                              struct mohs_error *err)
{
    struct lattice *l = &u->lattice;
    double least = INFINITY;
    size_t i;
    json_t *v;
    l->score = xcalloc(json_array_size(list), sizeof *l->score);
    l->trie = trie_new();
    json_array_foreach((json_t *)list, i, v) {
        const char *token = json_string_value(json_array_get(v, 0));
        const json_t *score = json_array_get(v, 1);
        if (!token || !json_is_number(score))
            return mohs_fail(err, MOHS_E_FORMAT,
                             "%s: piece %zu of the vocabulary is no [text, score]",
                             name, i);
        l->score[i] = as_library(json_number_value(score));
        least = fmin(least, l->score[i]);
        RET_IF_ERR(vocab_put(vocab, token, strlen(token), (int64_t)i, name, err));
        trie_add(l->trie, token, strlen(token), (int32_t)i);
    }
    l->unk_score = least - UNKNOWN_PENALTY;
    return MOHS_OK;
}

static mohs_status unigram_parse(const json_t *model, struct vocab *vocab,
                                 void **self, const char *name,
                                 struct mohs_error *err)
{
    struct unigram *u = *self = xcalloc(1, sizeof *u);
    const json_t *list = json_object_get(model, "vocab");
    const json_t *unk = json_object_get(model, "unk_id");
    json_int_t id = json_is_integer(unk) ? json_integer_value(unk) : -1;
    u->byte_fallback = json_is_true(json_object_get(model, "byte_fallback"));
    RET_IF_ERR(vocab_reserve(vocab, json_array_size(list), name, err));
    if (id < 0 || (size_t)id >= json_array_size(list))
        return mohs_fail(err, MOHS_E_FORMAT,
                         "%s: unk_id is no piece of the vocabulary", name);
    u->lattice.unk = (int32_t)id;
    return add_pieces(u, list, vocab, name, err);
}

/* Unknown characters in a row are one token, or a token for each byte. */
static void unigram_encode(const void *self, const struct vocab *vocab,
                           const char *word, size_t n, struct ids *out)
{
    const struct unigram *u = self;
    size_t count;
    struct piece *p = lattice_best(&u->lattice, word, n, &count);
    for (size_t i = 0, k; i < count; i = k) {
        bool unknown = p[i].id == u->lattice.unk;
        for (k = i + 1; unknown && k < count && p[k].id == p[i].id; k++)
            ;
        const char *s = word + p[i].from;
        size_t len = p[k - 1].to - p[i].from;
        int32_t id = vocab_id(vocab, s, len);
        if (id < 0 && u->byte_fallback && vocab_bytes(vocab, s, len, out))
            continue;
        ids_add(out, id < 0 ? &u->lattice.unk : &id, 1);
    }
    free(p);
}

const struct token_ops unigram_ops = {
    .type = "Unigram",
    .parse = unigram_parse,
    .free = unigram_free,
    .encode = unigram_encode,
};
