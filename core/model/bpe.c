/* SPDX-License-Identifier: MIT */
/*
 * Byte-pair encoding of words (Sennrich et al. 2016): the merge of lowest
 * rank first, the leftmost among equals, by a heap over a linked list, so a
 * long word costs n log n.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "model/tokenizer.h"

enum { MERGES_MAX = 1 << 22 };

struct merge {
    uint64_t pair; /* left << 32 | right, plus 1; 0: free */
    int32_t rank, id;
};

struct bpe {
    char *suffix, *prefix; /* of the last character; of all but the first */
    bool fuse_unk, byte_fallback, ignore_merges;
    int32_t unk; /* -1: unknown characters vanish */
    const struct vocab *vocab;
    struct merge *merges; /* open hash */
    size_t cap_merges;
};

static void bpe_free(void *self)
{
    struct bpe *b = self;
    if (!b)
        return;
    free(b->merges);
    free(b->suffix);
    free(b->prefix);
    free(b);
}

/* ---- tables ------------------------------------------------------------- */

static size_t power_above(size_t n)
{
    size_t cap = 64;
    while (cap < 2 * n)
        cap *= 2;
    return cap;
}

static const char *bpe_suffix(const void *self)
{
    return ((const struct bpe *)self)->suffix;
}

static uint64_t pair_key(int32_t l, int32_t r)
{
    return ((uint64_t)(uint32_t)l << 32 | (uint32_t)r) + 1;
}

static struct merge *merge_slot(const struct bpe *b, uint64_t pair)
{
    size_t i = (size_t)(pair * 0x9E3779B97F4A7C15u >> 32) & (b->cap_merges - 1);
    while (b->merges[i].pair && b->merges[i].pair != pair)
        i = (i + 1) & (b->cap_merges - 1);
    return &b->merges[i];
}

/* ---- from tokenizer.json ------------------------------------------------ */

/* Merge `rank` of left and right; of a pair listed twice the last counts. */
static bool add_merge(struct bpe *b, const char *l, size_t nl, const char *r,
                      size_t nr, int32_t rank)
{
    size_t skip = strlen(b->prefix);
    int32_t left = vocab_id(b->vocab, l, nl), right = vocab_id(b->vocab, r, nr);
    struct str joined = { 0 };
    if (left < 0 || right < 0 || nr < skip)
        return false;
    str_addn(&joined, l, nl);
    str_addn(&joined, r + skip, nr - skip);
    int32_t id = vocab_id(b->vocab, joined.s, joined.n);
    str_free(&joined);
    if (id < 0)
        return false;
    uint64_t pair = pair_key(left, right);
    *merge_slot(b, pair) = (struct merge) { pair, rank, id };
    return true;
}

static mohs_status parse_merges(struct bpe *b, const json_t *merges,
                                const char *name, struct mohs_error *err)
{
    size_t i;
    json_t *v;
    if (!json_is_array(merges) || json_array_size(merges) > MERGES_MAX)
        return mohs_fail(err, MOHS_E_FORMAT,
                         "%s: no list of merges of at most %d", name, MERGES_MAX);
    b->cap_merges = power_above(json_array_size(merges));
    b->merges = xcalloc(b->cap_merges, sizeof *b->merges);
    json_array_foreach((json_t *)merges, i, v) {
        const char *l = json_string_value(v), *r = NULL;
        size_t nl = 0, nr = 0;
        if (l) { // "a b"
            r = strchr(l, ' ');
            nl = r ? (size_t)(r++ - l) : 0;
        } else { // ["a", "b"]
            l = json_string_value(json_array_get(v, 0));
            r = json_string_value(json_array_get(v, 1));
            nl = l ? strlen(l) : 0;
        }
        nr = r ? strlen(r) : 0;
        if (!l || !r || !add_merge(b, l, nl, r, nr, (int32_t)i))
            return mohs_fail(err, MOHS_E_FORMAT,
                             "%s: merge %zu, \"%.*s\" with \"%.40s\": no tokens of "
                             "the vocabulary, or their union is none",
                             name, i, nl < 40 ? (int)nl : 40, l ? l : "",
                             r ? r : "");
    }
    return MOHS_OK;
}

static char *text_of(const json_t *m, const char *key)
{
    const char *s = json_string_value(json_object_get(m, key));
    return xstrdup(s ? s : "");
}

static mohs_status parse_options(struct bpe *b, const json_t *m,
                                 const char *name, struct mohs_error *err)
{
    const char *unk = json_string_value(json_object_get(m, "unk_token"));
    if (json_number_value(json_object_get(m, "dropout")) != 0)
        return mohs_fail(err, MOHS_E_UNSUPPORTED,
                         "%s: dropout: tokens would be random", name);
    b->suffix = text_of(m, "end_of_word_suffix");
    b->prefix = text_of(m, "continuing_subword_prefix");
    b->fuse_unk = json_is_true(json_object_get(m, "fuse_unk"));
    b->byte_fallback = json_is_true(json_object_get(m, "byte_fallback"));
    b->ignore_merges = json_is_true(json_object_get(m, "ignore_merges"));
    b->unk = unk ? vocab_id(b->vocab, unk, strlen(unk)) : -1;
    if (unk && b->unk < 0)
        return mohs_fail(err, MOHS_E_FORMAT,
                         "%s: unk_token \"%.40s\" is not in the vocabulary", name,
                         unk);
    return parse_merges(b, json_object_get(m, "merges"), name, err);
}

static mohs_status bpe_parse(const json_t *model, struct vocab *vocab,
                             void **self, const char *name,
                             struct mohs_error *err)
{
    struct bpe *b = *self = xcalloc(1, sizeof *b);
    RET_IF_ERR(vocab_parse(vocab, json_object_get(model, "vocab"), name, err));
    b->vocab = vocab;
    return parse_options(b, model, name, err);
}

/* ---- one word ----------------------------------------------------------- */

struct symbol {
    int32_t id, prev, next;
};

static void offer(const struct bpe *b, const struct symbol *s, int32_t at,
                  struct candidates *h)
{
    if (at < 0 || s[at].next < 0)
        return;
    int32_t r = s[s[at].next].id;
    const struct merge *m = merge_slot(b, pair_key(s[at].id, r));
    if (m->pair)
        candidates_push(h, (struct candidate) { m->rank, at, s[at].id, r, m->id });
}

/* The character *s of *n bytes with what its place in the word adds. */
static void with_place(const struct bpe *b, const char **s, size_t *n,
                       bool first, bool last, struct str *room)
{
    bool prefix = !first && *b->prefix, suffix = last && *b->suffix;
    if (!prefix && !suffix)
        return;
    room->n = 0;
    str_add(room, prefix ? b->prefix : "");
    str_addn(room, *s, *n);
    str_add(room, suffix ? b->suffix : "");
    *s = room->s;
    *n = room->n;
}

struct symbols {
    struct symbol *v;
    int32_t n;
    bool unknown; /* the last one is, and more may fuse with it */
};

static void symbol_add(struct symbols *s, int32_t id)
{
    s->v[s->n] = (struct symbol) { id, s->n - 1, s->n + 1 };
    s->n++;
    s->unknown = false;
}

/* A byte token for each byte; false when one is missing. */
static bool fall_back(const struct bpe *b, const char *s, size_t n,
                      struct symbols *out)
{
    if (!b->byte_fallback)
        return false;
    for (size_t i = 0; i < n; i++)
        if (vocab_byte(b->vocab, s[i]) < 0)
            return false;
    for (size_t i = 0; i < n; i++)
        symbol_add(out, vocab_byte(b->vocab, s[i]));
    return true;
}

static void add_unknown(const struct bpe *b, struct symbols *out)
{
    if (b->unk < 0 || (b->fuse_unk && out->unknown))
        return;
    symbol_add(out, b->unk);
    out->unknown = true;
}

static void first_symbols(const struct bpe *b, const char *word, size_t n,
                          struct symbols *out)
{
    struct str room = { 0 };
    for (size_t i = 0, k; i < n; i += k) {
        uint32_t c;
        const char *one = word + i;
        size_t len = k = utf8_get(one, &c);
        with_place(b, &one, &len, !i, i + k == n, &room);
        int32_t id = vocab_id(b->vocab, one, len);
        if (id >= 0)
            symbol_add(out, id);
        else if (!fall_back(b, one, len, out))
            add_unknown(b, out);
    }
    if (out->n)
        out->v[out->n - 1].next = -1;
    str_free(&room);
}

static void merge_all(const struct bpe *b, struct symbol *s, struct candidates *h)
{
    while (h->n) {
        struct candidate c = candidates_pop(h);
        struct symbol *l = &s[c.at];
        if (l->id != c.left || l->next < 0 || s[l->next].id != c.right)
            continue; // one of the two was merged meanwhile
        struct symbol *r = &s[l->next];
        l->id = c.id;
        l->next = r->next;
        r->id = -1;
        if (l->next >= 0)
            s[l->next].prev = c.at;
        offer(b, s, l->prev, h);
        offer(b, s, c.at, h);
    }
}

static void bpe_encode(const void *self, const struct vocab *vocab,
                       const char *word, size_t n, struct ids *out)
{
    const struct bpe *b = self;
    int32_t whole = b->ignore_merges ? vocab_id(vocab, word, n) : -1;
    if (whole >= 0) {
        ids_add(out, &whole, 1);
        return;
    }
    // At most one symbol a byte of the word, prefixes and suffix included.
    size_t most = n * (1 + strlen(b->prefix)) + strlen(b->suffix) + 1;
    struct symbols s = { xmalloc(most * sizeof *s.v), 0, false };
    struct candidates h = { NULL, 0 };
    first_symbols(b, word, n, &s);
    h.v = xmalloc((3 * (size_t)s.n + 3) * sizeof *h.v);
    for (int32_t i = 0; i + 1 < s.n; i++)
        offer(b, s.v, i, &h);
    merge_all(b, s.v, &h);
    for (int32_t i = s.n ? 0 : -1; i >= 0; i = s.v[i].next)
        ids_add(out, &s.v[i].id, 1);
    free(s.v);
    free(h.v);
}

const struct token_ops bpe_ops = {
    .type = "BPE",
    .parse = bpe_parse,
    .free = bpe_free,
    .encode = bpe_encode,
    .suffix = bpe_suffix,
};
