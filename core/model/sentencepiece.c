/* SPDX-License-Identifier: MIT */
/*
 * SentencePiece (Kudo and Richardson 2018): its own normal form and spaces,
 * then a unigram model or merges by score. In a tokenizer.json of mohs's it is
 * {"type": "SentencePiece", "proto": the model file in base64, "unk_prefix":
 * true for transformers' tokenizers, which encode "<unk>" and the text and
 * take the first tokens off again}.
 */
#include "config.h"

#include <float.h>
#include <stdlib.h>
#include <string.h>

#include "model/lattice.h"
#include "model/sentencepiece.h"
#include "model/tokenizer.h"

#define SPACE "\xE2\x96\x81" /* U+2581 stands for a space */

enum { UNKNOWN_PENALTY = 10, SPLITS_MAX = 100 };

struct sentencepiece {
    struct sp_model m;
    struct charsmap *charsmap;
    struct trie *user; /* texts that stay whole */
    struct lattice lattice;
    int32_t *rank; /* of BPE: by id, the best score first */
    bool unk_prefix;
    uint8_t *proto;
};

static void sentencepiece_free(void *self)
{
    struct sentencepiece *s = self;
    if (!s)
        return;
    sp_clear(&s->m);
    charsmap_free(s->charsmap);
    trie_free(s->user);
    lattice_clear(&s->lattice);
    free(s->rank);
    free(s->proto);
    free(s);
}

/* ---- loading ------------------------------------------------------------ */

static bool is_text(enum piece_type t)
{
    return t == PIECE_NORMAL || t == PIECE_USER_DEFINED || t == PIECE_UNUSED;
}

/* Texts of a kind are there once; control and byte pieces of a unigram model
 * live apart, and are found before texts. */
static mohs_status add_vocab(const struct sp_model *m, struct vocab *vocab,
                             bool texts, const char *name,
                             struct mohs_error *err)
{
    for (size_t i = 0; i < m->n; i++) {
        const struct sp_piece *p = &m->piece[i];
        if (is_text(p->type) != texts)
            continue;
        int32_t twin = vocab_id(vocab, p->text, p->n);
        if (twin >= 0 &&
            (m->kind == SP_BPE || is_text(m->piece[twin].type) == texts))
            return mohs_fail(err, MOHS_E_FORMAT,
                             "%s: pieces %d and %zu are both \"%.*s\"", name, twin,
                             i, p->n < 40 ? (int)p->n : 40, p->text);
        RET_IF_ERR(vocab_put(vocab, p->text, p->n, (int64_t)i, name, err));
    }
    return MOHS_OK;
}

static void add_scores(struct sentencepiece *s)
{
    struct lattice *l = &s->lattice;
    float least = FLT_MAX;
    *l = (struct lattice) { .trie = trie_new(), .unk = s->m.unk, .single = true };
    l->score = xcalloc(s->m.n, sizeof *l->score);
    for (size_t i = 0; i < s->m.n; i++) {
        const struct sp_piece *p = &s->m.piece[i];
        l->score[i] = p->type == PIECE_USER_DEFINED
                          ? (double)(float)(0.1 * (double)(p->n - 1))
                          : (double)p->score;
        if (p->type == PIECE_NORMAL && p->score < least)
            least = p->score;
        if (p->type == PIECE_NORMAL || p->type == PIECE_USER_DEFINED)
            trie_add(l->trie, p->text, p->n, (int32_t)i);
    }
    l->unk_score = least - UNKNOWN_PENALTY;
}

struct scored {
    float score;
    int32_t id;
};

static int by_score(const void *pa, const void *pb)
{
    const struct scored *a = pa, *b = pb;
    return a->score > b->score ? -1 : a->score < b->score;
}

/* Equal scores have one rank: the leftmost merge goes first. */
static void add_ranks(struct sentencepiece *s)
{
    struct scored *v = xcalloc(s->m.n, sizeof *v);
    s->rank = xcalloc(s->m.n, sizeof *s->rank);
    for (size_t i = 0; i < s->m.n; i++)
        v[i] = (struct scored) { s->m.piece[i].score, (int32_t)i };
    qsort(v, s->m.n, sizeof *v, by_score);
    for (size_t i = 0, k = 0; i < s->m.n; i++) {
        k = i && by_score(&v[i - 1], &v[i]) ? i : k;
        s->rank[v[i].id] = (int32_t)k;
    }
    free(v);
}

static mohs_status sentencepiece_parse(const json_t *model, struct vocab *vocab,
                                       void **self, const char *name,
                                       struct mohs_error *err)
{
    struct sentencepiece *s = *self = xcalloc(1, sizeof *s);
    const char *text = json_string_value(json_object_get(model, "proto"));
    size_t n;
    if (!text || !base64_decode(text, &s->proto, &n))
        return mohs_fail(err, MOHS_E_FORMAT, "%s: \"proto\" is not base64", name);
    RET_IF_ERR(sp_read(&s->m, s->proto, n, name, err));
    s->unk_prefix = json_is_true(json_object_get(model, "unk_prefix"));
    RET_IF_ERR(vocab_reserve(vocab, s->m.n, name, err));
    RET_IF_ERR(add_vocab(&s->m, vocab, true, name, err));
    RET_IF_ERR(add_vocab(&s->m, vocab, false, name, err));
    if (s->m.n_charsmap)
        RET_IF_ERR(charsmap_new(s->m.charsmap, s->m.n_charsmap, name,
                                &s->charsmap, err));
    s->user = trie_new();
    for (size_t i = 0; i < s->m.n; i++)
        if (s->m.piece[i].type == PIECE_USER_DEFINED)
            trie_add(s->user, s->m.piece[i].text, s->m.piece[i].n, (int32_t)i);
    if (s->m.kind == SP_UNIGRAM)
        add_scores(s);
    else
        add_ranks(s);
    return MOHS_OK;
}

/* ---- the normal form ---------------------------------------------------- */

/* The next *used bytes of in[0..n) and what they become. */
static const char *normal_prefix(const struct sentencepiece *s, const char *in,
                                 size_t n, size_t *used, size_t *len)
{
    uint32_t c;
    const char *to = NULL;
    *used = *len = trie_longest(s->user, in, n);
    if (*used)
        return in;
    if (s->charsmap)
        to = charsmap_find(s->charsmap, in, n, true, used);
    if (to) {
        *len = strlen(to);
        return to;
    }
    *used = *len = utf8_get(in, &c);
    return in;
}

static void add_escaped(const struct sentencepiece *s, const char *p, size_t n,
                        struct str *out)
{
    for (size_t i = 0; i < n; i++)
        if (p[i] == ' ')
            str_add(out, s->m.escape_spaces ? SPACE : " ");
        else
            str_addn(out, p + i, 1);
}

static bool ends_with(const struct str *s, const char *end)
{
    size_t n = strlen(end);
    return s->n >= n && !memcmp(s->s + s->n - n, end, n);
}

static void normalize(const struct sentencepiece *s, const char *in, size_t n,
                      struct str *out)
{
    const char *space = s->m.escape_spaces ? SPACE : " ", *p;
    bool trim = s->m.remove_extra_spaces, after = trim;
    size_t i = 0, used, len;
    str_add(out, "");
    for (; trim && i < n; i += used) {
        p = normal_prefix(s, in + i, n - i, &used, &len);
        if (len != 1 || *p != ' ')
            break;
    }
    if (i == n)
        return;
    if (s->m.dummy_prefix && !s->m.space_is_suffix)
        str_add(out, space);
    for (; i < n; i += used) {
        p = normal_prefix(s, in + i, n - i, &used, &len);
        for (; after && len && *p == ' '; p++, len--)
            ;
        if (len) {
            add_escaped(s, p, len, out);
            after = trim && p[len - 1] == ' ';
        }
    }
    while (trim && ends_with(out, space))
        out->n -= strlen(space);
    if (s->m.dummy_prefix && s->m.space_is_suffix)
        str_add(out, space);
    out->s[out->n] = 0;
}

/* ---- merges by score ---------------------------------------------------- */

struct sp_symbol {
    size_t from, n; /* n 0: merged away */
    int32_t prev, next;
    bool whole; /* never merged */
};

/* Where an unused piece came from: it is taken apart again. */
struct split {
    int32_t id;
    size_t left;
};

struct merging {
    const struct sentencepiece *s;
    const struct vocab *vocab;
    const char *text;
    struct sp_symbol *v;
    int32_t n;
    struct candidates heap;
    struct split *split;
    size_t n_split, cap_split;
};

/* The text piece with s[0..n), or -1. */
static int32_t text_id(const struct merging *g, const char *s, size_t n)
{
    int32_t id = vocab_id(g->vocab, s, n);
    return id >= 0 && is_text(g->s->m.piece[id].type) ? id : -1;
}

static void offer(struct merging *g, int32_t left, int32_t right)
{
    if (left < 0 || right < 0 || g->v[left].whole || g->v[right].whole)
        return;
    size_t n = g->v[left].n + g->v[right].n;
    int32_t id = text_id(g, g->text + g->v[left].from, n);
    if (id < 0)
        return;
    candidates_push(&g->heap, (struct candidate) { g->s->rank[id], left, right,
                                             (int32_t)n, id });
    if (g->s->m.piece[id].type != PIECE_UNUSED)
        return;
    if (g->n_split == g->cap_split) {
        g->cap_split = 2 * g->cap_split + 16;
        g->split = xrealloc(g->split, g->cap_split * sizeof *g->split);
    }
    g->split[g->n_split++] = (struct split) { id, g->v[left].n };
}

static void make_symbols(struct merging *g, size_t n)
{
    uint32_t c;
    g->v = xmalloc(n * sizeof *g->v);
    for (size_t i = 0; i < n;) {
        size_t k = trie_longest(g->s->user, g->text + i, n - i);
        bool whole = k != 0;
        k = whole ? k : utf8_get(g->text + i, &c);
        g->v[g->n] = (struct sp_symbol) { i, k, g->n - 1, g->n + 1, whole };
        g->n++;
        i += k;
    }
    g->v[g->n - 1].next = -1;
    g->heap.v = xmalloc((3 * (size_t)g->n + 3) * sizeof *g->heap.v);
}

static void merge_all(struct merging *g)
{
    for (int32_t i = 0; i + 1 < g->n; i++)
        offer(g, i, i + 1);
    while (g->heap.n) {
        struct candidate c = candidates_pop(&g->heap);
        struct sp_symbol *l = &g->v[c.at], *r = &g->v[c.left];
        if (!l->n || !r->n || l->n + r->n != (size_t)c.right)
            continue; // one of the two was merged meanwhile
        l->n += r->n;
        l->next = r->next;
        r->n = 0;
        if (l->next >= 0)
            g->v[l->next].prev = c.at;
        offer(g, l->prev, c.at);
        offer(g, c.at, l->next);
    }
}

struct pieces {
    struct piece *v;
    size_t n, cap;
};

static void add_piece(struct pieces *out, size_t from, size_t n, int32_t id)
{
    if (out->n == out->cap) {
        out->cap = 2 * out->cap + 32;
        out->v = xrealloc(out->v, out->cap * sizeof *out->v);
    }
    out->v[out->n++] = (struct piece) { from, from + n, id };
}

static void take_apart(const struct merging *g, size_t from, size_t n, int depth,
                       struct pieces *out)
{
    int32_t id = text_id(g, g->text + from, n);
    size_t i = g->n_split;
    if (id >= 0 && g->s->m.piece[id].type == PIECE_UNUSED && depth <= SPLITS_MAX) {
        while (i && g->split[i - 1].id != id)
            i--;
        if (i) {
            size_t left = g->split[i - 1].left;
            take_apart(g, from, left, depth + 1, out);
            take_apart(g, from + left, n - left, depth + 1, out);
            return;
        }
        id = -1;
    }
    add_piece(out, from, n, id < 0 ? g->s->m.unk : id);
}

static void encode_bpe(const struct sentencepiece *s, const struct vocab *vocab,
                       const struct str *text, struct pieces *out)
{
    struct merging g = { .s = s, .vocab = vocab, .text = text->s };
    make_symbols(&g, text->n);
    merge_all(&g);
    for (int32_t i = 0; i >= 0; i = g.v[i].next)
        take_apart(&g, g.v[i].from, g.v[i].n, 0, out);
    free(g.v);
    free(g.heap.v);
    free(g.split);
}

/* ---- tokens ------------------------------------------------------------- */

/* Unknown pieces in a row are one token, or a token for each byte. The
 * tokenizers of transformers look the texts of tokens up again. */
static void add_tokens(const struct sentencepiece *s, const struct vocab *vocab,
                       const char *text, const struct pieces *p, struct ids *out)
{
    for (size_t i = 0, k; i < p->n; i = k) {
        bool unknown = p->v[i].id == s->m.unk;
        for (k = i + 1; unknown && k < p->n && p->v[k].id == s->m.unk; k++)
            ;
        const char *at = text + p->v[i].from;
        size_t n = p->v[k - 1].to - p->v[i].from;
        int32_t id = p->v[i].id;
        if (unknown && s->m.byte_fallback && vocab_bytes(vocab, at, n, out))
            continue;
        if (unknown && s->unk_prefix && vocab_id(vocab, at, n) >= 0)
            id = vocab_id(vocab, at, n);
        ids_add(out, &id, 1);
    }
}

static void encode(const struct sentencepiece *s, const struct vocab *vocab,
                   const char *in, size_t n, struct ids *out)
{
    struct str text = { 0 };
    struct pieces p = { 0 };
    normalize(s, in, n, &text);
    if (text.n && s->m.kind == SP_BPE)
        encode_bpe(s, vocab, &text, &p);
    else if (text.n)
        p.v = lattice_best(&s->lattice, text.s, text.n, &p.n);
    add_tokens(s, vocab, text.s, &p, out);
    free(p.v);
    str_free(&text);
}

static void sentencepiece_encode(const void *self, const struct vocab *vocab,
                                 const char *word, size_t n, struct ids *out)
{
    const struct sentencepiece *s = self;
    const char *unk = vocab_token(vocab, s->m.unk);
    struct str both = { 0 };
    struct ids alone = { 0 }, all = { 0 };
    if (!s->unk_prefix) {
        encode(s, vocab, word, n, out);
        return;
    }
    str_add(&both, unk);
    str_addn(&both, word, n);
    encode(s, vocab, unk, strlen(unk), &alone);
    encode(s, vocab, both.s, both.n, &all);
    size_t skip = all.n >= alone.n ? alone.n : 0;
    ids_add(out, all.v + skip, all.n - skip);
    str_free(&both);
    free(alone.v);
    free(all.v);
}

const struct token_ops sentencepiece_ops = {
    .type = "SentencePiece",
    .parse = sentencepiece_parse,
    .free = sentencepiece_free,
    .encode = sentencepiece_encode,
};
