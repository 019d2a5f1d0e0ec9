/* SPDX-License-Identifier: MIT */
/*
 * Byte-pair encoding: lowest-ranked merge first, leftmost among equals, with
 * a heap over a linked list, so long words cost n log n.
 */
#include "config.h"

#include "model/bpe.h"

#include <stdlib.h>
#include <string.h>

struct entry {
    char *token;
    int32_t id;
};

struct merge {
    uint64_t pair; /* left << 32 | right, plus 1; 0: empty */
    int32_t rank, id;
};

struct bpe {
    char *suffix;
    struct entry *vocab; /* open hash */
    size_t n_vocab, cap_vocab;
    const char **by_id;
    int32_t n_ids;
    struct merge *merges; /* open hash */
    size_t n_merges, cap_merges;
};

struct bpe *bpe_new(const char *suffix)
{
    struct bpe *b = xcalloc(1, sizeof *b);
    b->suffix = xstrdup(suffix);
    return b;
}

void bpe_free(struct bpe *b)
{
    if (!b)
        return;
    for (size_t i = 0; i < b->cap_vocab; i++)
        free(b->vocab[i].token);
    free(b->vocab);
    free(b->by_id);
    free(b->merges);
    free(b->suffix);
    free(b);
}

static size_t token_slot(const struct bpe *b, const char *t, size_t n)
{
    struct hash128 h = hash_bytes(t, n);
    size_t i = h.lo & (b->cap_vocab - 1);
    while (b->vocab[i].token &&
           (strncmp(b->vocab[i].token, t, n) || b->vocab[i].token[n]))
        i = (i + 1) & (b->cap_vocab - 1);
    return i;
}

static void vocab_grow(struct bpe *b)
{
    struct entry *old = b->vocab;
    size_t n = b->cap_vocab;
    b->cap_vocab = n ? 2 * n : 1024;
    b->vocab = xcalloc(b->cap_vocab, sizeof *b->vocab);
    for (size_t i = 0; i < n; i++)
        if (old[i].token)
            b->vocab[token_slot(b, old[i].token, strlen(old[i].token))] = old[i];
    free(old);
}

bool bpe_add(struct bpe *b, const char *token, int32_t id)
{
    if (2 * (b->n_vocab + 1) > b->cap_vocab)
        vocab_grow(b);
    size_t i = token_slot(b, token, strlen(token));
    if (b->vocab[i].token || id < 0 || (id < b->n_ids && b->by_id[id]))
        return false;
    b->vocab[i] = (struct entry) { xstrdup(token), id };
    b->n_vocab++;
    if (id >= b->n_ids) {
        int32_t n = id + 1 > 2 * b->n_ids ? id + 1 : 2 * b->n_ids;
        b->by_id = xrealloc(b->by_id, (size_t)n * sizeof *b->by_id);
        memset(b->by_id + b->n_ids, 0, (size_t)(n - b->n_ids) * sizeof *b->by_id);
        b->n_ids = n;
    }
    b->by_id[id] = b->vocab[i].token;
    return true;
}

int32_t bpe_id(const struct bpe *b, const char *token, size_t n)
{
    if (!b->cap_vocab)
        return -1;
    const struct entry *e = &b->vocab[token_slot(b, token, n)];
    return e->token ? e->id : -1;
}

const char *bpe_token(const struct bpe *b, int32_t id)
{
    return id >= 0 && id < b->n_ids ? b->by_id[id] : NULL;
}

int32_t bpe_size(const struct bpe *b)
{
    int32_t n = b->n_ids;
    while (n && !b->by_id[n - 1])
        n--;
    return n;
}

static uint64_t pair_key(int32_t l, int32_t r)
{
    return ((uint64_t)(uint32_t)l << 32 | (uint32_t)r) + 1;
}

static size_t merge_slot(const struct bpe *b, uint64_t pair)
{
    size_t i = (pair * 0x9E3779B97F4A7C15u >> 20) & (b->cap_merges - 1);
    while (b->merges[i].pair && b->merges[i].pair != pair)
        i = (i + 1) & (b->cap_merges - 1);
    return i;
}

bool bpe_merge(struct bpe *b, const char *left, const char *right)
{
    int32_t l = bpe_id(b, left, strlen(left)), r = bpe_id(b, right, strlen(right));
    char *joined = xasprintf("%s%s", left, right);
    int32_t id = bpe_id(b, joined, strlen(joined));
    free(joined);
    if (l < 0 || r < 0 || id < 0)
        return false;
    if (2 * (b->n_merges + 1) > b->cap_merges) {
        struct merge *old = b->merges;
        size_t n = b->cap_merges;
        b->cap_merges = n ? 2 * n : 1024;
        b->merges = xcalloc(b->cap_merges, sizeof *b->merges);
        for (size_t i = 0; i < n; i++)
            if (old[i].pair)
                b->merges[merge_slot(b, old[i].pair)] = old[i];
        free(old);
    }
    size_t i = merge_slot(b, pair_key(l, r));
    // a pair listed twice takes its last rank, as a dictionary would
    if (!b->merges[i].pair || b->merges[i].pair == pair_key(l, r))
        b->merges[i] = (struct merge) { pair_key(l, r), (int32_t)b->n_merges, id };
    b->n_merges++;
    return true;
}

static const struct merge *merge_of(const struct bpe *b, int32_t l, int32_t r)
{
    if (!b->cap_merges)
        return NULL;
    const struct merge *m = &b->merges[merge_slot(b, pair_key(l, r))];
    return m->pair ? m : NULL;
}

void ids_add(struct ids *a, int32_t id)
{
    if (a->n == a->cap) {
        a->cap = a->cap ? 2 * a->cap : 64;
        a->v = xrealloc(a->v, a->cap * sizeof *a->v);
    }
    a->v[a->n++] = id;
}

/* ---- one word ---- */

struct symbol {
    int32_t id, prev, next; /* id -1: merged away */
};

struct candidate {
    int32_t rank, at, left, right, id;
};

struct heap {
    struct candidate *v;
    size_t n;
};

static bool before(const struct candidate *a, const struct candidate *b)
{
    return a->rank != b->rank ? a->rank < b->rank : a->at < b->at;
}

static void heap_push(struct heap *h, struct candidate c)
{
    size_t i = h->n++;
    for (; i && before(&c, &h->v[(i - 1) / 2]); i = (i - 1) / 2)
        h->v[i] = h->v[(i - 1) / 2];
    h->v[i] = c;
}

static struct candidate heap_pop(struct heap *h)
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

static void offer(const struct bpe *b, const struct symbol *s, int32_t at,
                  struct heap *h)
{
    if (at < 0 || s[at].next < 0)
        return;
    const struct merge *m = merge_of(b, s[at].id, s[s[at].next].id);
    if (m)
        heap_push(h, (struct candidate) { m->rank, at, s[at].id, s[s[at].next].id,
                                          m->id });
}

static int32_t split(const struct bpe *b, const char *word, size_t n, int32_t unk,
                     struct symbol *s)
{
    int32_t k = 0;
    struct str last = { 0 };
    for (size_t i = 0; i < n;) {
        size_t len = 1;
        while (i + len < n && ((unsigned char)word[i + len] & 0xC0) == 0x80)
            len++;
        int32_t id;
        if (i + len == n && *b->suffix) {
            str_addn(&last, word + i, len);
            str_add(&last, b->suffix);
            id = bpe_id(b, last.s, last.n);
        } else {
            id = bpe_id(b, word + i, len);
        }
        if (id < 0)
            id = unk;
        if (id >= 0) {
            s[k] = (struct symbol) { id, k - 1, k + 1 };
            k++;
        }
        i += len;
    }
    if (k)
        s[k - 1].next = -1;
    str_free(&last);
    return k;
}

void bpe_word(const struct bpe *b, const char *word, size_t n, int32_t unk,
              struct ids *out)
{
    struct symbol *s = xmalloc((n + 1) * sizeof *s);
    struct heap h = { xmalloc((3 * n + 3) * sizeof *h.v), 0 };
    int32_t k = split(b, word, n, unk, s);
    for (int32_t i = 0; i + 1 < k; i++)
        offer(b, s, i, &h);
    while (h.n) {
        struct candidate c = heap_pop(&h);
        struct symbol *l = &s[c.at];
        if (l->id != c.left || l->next < 0 || s[l->next].id != c.right)
            continue; // one of the two was merged meanwhile
        struct symbol *r = &s[l->next];
        l->id = c.id;
        l->next = r->next;
        r->id = -1;
        if (l->next >= 0)
            s[l->next].prev = c.at;
        offer(b, s, l->prev, &h);
        offer(b, s, c.at, &h);
    }
    for (int32_t i = k ? 0 : -1; i >= 0; i = s[i].next)
        ids_add(out, s[i].id);
    free(s);
    free(h.v);
}

/* ---- bytes as characters ---- */

const char *byte_char(uint8_t byte)
{
    static char table[256][3];
    static bool made;
    if (!made) {
        unsigned next = 256;
        for (unsigned b = 0; b < 256; b++) {
            bool plain = (b >= '!' && b <= '~') || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE;
            unsigned c = plain ? b : next++;
            if (c < 0x80) {
                table[b][0] = (char)c;
            } else {
                table[b][0] = (char)(0xC0 | c >> 6);
                table[b][1] = (char)(0x80 | (c & 0x3F));
            }
        }
        made = true;
    }
    return table[byte];
}

void byte_level(const char *s, size_t n, struct str *out)
{
    str_add(out, "");
    for (size_t i = 0; i < n; i++)
        str_add(out, byte_char((uint8_t)s[i]));
}
