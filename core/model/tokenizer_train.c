/* SPDX-License-Identifier: MIT */
/*
 * Learns a CLIP-style byte-level BPE (Sennrich et al. 2016): the most
 * frequent pair is merged first, of equals the one whose texts are smaller
 * byte by byte, so that one corpus has one result. Counts of pairs are kept
 * up to date: a merge costs what the words that hold it are long.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "model/tokenizer.h"

enum { BYTES = 256, BASE = 2 * BYTES, SPECIALS = 2 };

struct word {
    char *text;
    uint64_t count;
    int32_t *sym;
    uint32_t n;
};

/* A pair of symbols, how often it stands in the corpus, and the words that
 * hold or once held it. */
struct pair {
    int32_t left, right;
    int64_t count;
    uint32_t *word;
    uint32_t n_words, cap_words;
};

struct trainer {
    struct word *word; /* open hash while counting, then dense */
    size_t n, cap;
    char **token; /* by id */
    int32_t n_tokens;
    struct pair *pair;
    size_t n_pairs, cap_pairs;
    uint32_t *slot; /* open hash of pairs: index + 1 */
    size_t n_slots;
    uint32_t *heap; /* indices of pairs; entries may be stale */
    int64_t *heap_count;
    size_t n_heap, cap_heap;
    struct str merges;
};

/* ---- words -------------------------------------------------------------- */

static size_t word_slot(const struct trainer *t, const char *s)
{
    size_t i = (size_t)hash_str64(s) & (t->cap - 1);
    while (t->word[i].text && strcmp(t->word[i].text, s))
        i = (i + 1) & (t->cap - 1);
    return i;
}

static void count_word(void *user, const char *s, size_t n)
{
    struct trainer *t = user;
    if (2 * (t->n + 1) > t->cap) {
        struct word *old = t->word;
        size_t k = t->cap;
        t->cap = k ? 2 * k : 4096;
        t->word = xcalloc(t->cap, sizeof *t->word);
        for (size_t i = 0; i < k; i++)
            if (old[i].text)
                t->word[word_slot(t, old[i].text)] = old[i];
        free(old);
    }
    char *text = xasprintf("%.*s", (int)n, s);
    size_t i = word_slot(t, text);
    if (t->word[i].text)
        free(text);
    else
        t->word[i].text = text;
    t->n += !t->word[i].count;
    t->word[i].count++;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(((const struct word *)a)->text, ((const struct word *)b)->text);
}

/* Words in order, as symbols: bytes' characters, the last with "</w>". */
static void split_words(struct trainer *t)
{
    int32_t id_of[BYTES];
    for (int32_t i = 0; i < BYTES; i++)
        id_of[byte_order((unsigned)i)] = i;
    size_t k = 0;
    for (size_t i = 0; i < t->cap; i++)
        if (t->word[i].text)
            t->word[k++] = t->word[i];
    if (k)
        qsort(t->word, k, sizeof *t->word, by_text);
    for (size_t i = 0; i < t->n; i++) {
        struct word *w = &t->word[i];
        size_t len = strlen(w->text);
        w->sym = xcalloc(len, sizeof *w->sym);
        for (size_t at = 0; at < len;) {
            uint32_t c;
            at += utf8_get(w->text + at, &c);
            w->sym[w->n++] = id_of[byte_of_char(c)];
        }
        w->sym[w->n - 1] += BYTES;
    }
}

/* ---- pairs -------------------------------------------------------------- */

static size_t pair_slot(const struct trainer *t, int32_t l, int32_t r)
{
    uint64_t key = ((uint64_t)(uint32_t)l << 32 | (uint32_t)r) + 1;
    size_t i = (size_t)(key * 0x9E3779B97F4A7C15u >> 32) & (t->n_slots - 1);
    while (t->slot[i] && (t->pair[t->slot[i] - 1].left != l ||
                          t->pair[t->slot[i] - 1].right != r))
        i = (i + 1) & (t->n_slots - 1);
    return i;
}

static uint32_t pair_of(struct trainer *t, int32_t l, int32_t r)
{
    if (2 * (t->n_pairs + 1) > t->n_slots) {
        t->n_slots = t->n_slots ? 2 * t->n_slots : 4096;
        free(t->slot);
        t->slot = xcalloc(t->n_slots, sizeof *t->slot);
        for (size_t i = 0; i < t->n_pairs; i++)
            t->slot[pair_slot(t, t->pair[i].left, t->pair[i].right)] =
                (uint32_t)i + 1;
    }
    size_t s = pair_slot(t, l, r);
    if (!t->slot[s]) {
        if (t->n_pairs == t->cap_pairs) {
            t->cap_pairs = t->cap_pairs ? 2 * t->cap_pairs : 4096;
            t->pair = xrealloc(t->pair, t->cap_pairs * sizeof *t->pair);
        }
        t->pair[t->n_pairs] = (struct pair) { .left = l, .right = r };
        t->slot[s] = (uint32_t)++t->n_pairs;
    }
    return t->slot[s] - 1;
}

/* True when entry a (count ca) goes before entry b. */
static bool better(const struct trainer *t, uint32_t a, int64_t ca, uint32_t b,
                   int64_t cb)
{
    if (ca != cb)
        return ca > cb;
    const struct pair *x = &t->pair[a], *y = &t->pair[b];
    int c = strcmp(t->token[x->left], t->token[y->left]);
    if (!c)
        c = strcmp(t->token[x->right], t->token[y->right]);
    return c < 0;
}

static void heap_push(struct trainer *t, uint32_t p)
{
    if (t->n_heap == t->cap_heap) {
        t->cap_heap = t->cap_heap ? 2 * t->cap_heap : 4096;
        t->heap = xrealloc(t->heap, t->cap_heap * sizeof *t->heap);
        t->heap_count = xrealloc(t->heap_count,
                                 t->cap_heap * sizeof *t->heap_count);
    }
    int64_t c = t->pair[p].count;
    size_t i = t->n_heap++;
    for (; i; i = (i - 1) / 2) {
        size_t up = (i - 1) / 2;
        if (!better(t, p, c, t->heap[up], t->heap_count[up]))
            break;
        t->heap[i] = t->heap[up];
        t->heap_count[i] = t->heap_count[up];
    }
    t->heap[i] = p;
    t->heap_count[i] = c;
}

static void heap_drop_top(struct trainer *t)
{
    uint32_t p = t->heap[--t->n_heap];
    int64_t c = t->heap_count[t->n_heap];
    size_t i = 0;
    for (;;) {
        size_t k = 2 * i + 1;
        if (k >= t->n_heap)
            break;
        if (k + 1 < t->n_heap && better(t, t->heap[k + 1], t->heap_count[k + 1],
                                        t->heap[k], t->heap_count[k]))
            k++;
        if (!better(t, t->heap[k], t->heap_count[k], p, c))
            break;
        t->heap[i] = t->heap[k];
        t->heap_count[i] = t->heap_count[k];
        i = k;
    }
    t->heap[i] = p;
    t->heap_count[i] = c;
}

/* Adds `by` occurrences of every pair of word w, and notes the word. */
static void count_pairs(struct trainer *t, uint32_t w, int64_t by)
{
    const struct word *d = &t->word[w];
    for (uint32_t i = 0; i + 1 < d->n; i++) {
        uint32_t index = pair_of(t, d->sym[i], d->sym[i + 1]); // may move pairs
        struct pair *p = &t->pair[index];
        p->count += by;
        if (by < 0 || (p->n_words && p->word[p->n_words - 1] == w))
            continue;
        if (p->n_words == p->cap_words) {
            p->cap_words = p->cap_words ? 2 * p->cap_words : 4;
            p->word = xrealloc(p->word, p->cap_words * sizeof *p->word);
        }
        p->word[p->n_words++] = w;
    }
}

/* The pair to merge next, or -1 when none stands there twice. Entries whose
 * count has changed since are put back with the true one. */
static int64_t best_pair(struct trainer *t)
{
    while (t->n_heap) {
        uint32_t p = t->heap[0];
        bool stale = t->heap_count[0] != t->pair[p].count;
        if (!stale && t->pair[p].count < 2)
            return -1;
        heap_drop_top(t);
        if (!stale)
            return p;
        if (t->pair[p].count > 1)
            heap_push(t, p);
    }
    return -1;
}

static bool merge_in_word(struct word *w, int32_t l, int32_t r, int32_t id)
{
    uint32_t k = 0;
    for (uint32_t i = 0; i < w->n; i++) {
        bool hit = i + 1 < w->n && w->sym[i] == l && w->sym[i + 1] == r;
        w->sym[k++] = hit ? id : w->sym[i];
        i += hit;
    }
    bool any = k != w->n;
    w->n = k;
    return any;
}

static bool holds(const struct word *w, int32_t l, int32_t r)
{
    for (uint32_t i = 0; i + 1 < w->n; i++)
        if (w->sym[i] == l && w->sym[i + 1] == r)
            return true;
    return false;
}

static void apply(struct trainer *t, uint32_t index)
{
    int32_t l = t->pair[index].left, r = t->pair[index].right;
    int32_t id = t->n_tokens;
    uint32_t *words = t->pair[index].word, n = t->pair[index].n_words;
    size_t known = t->n_pairs;
    t->token[t->n_tokens++] = xasprintf("%s%s", t->token[l], t->token[r]);
    tokenizer_json_merge(&t->merges, t->token[l], t->token[r], id == BASE);
    t->pair[index].word = NULL; // nothing of it is left
    t->pair[index].n_words = t->pair[index].cap_words = 0;
    for (uint32_t i = 0; i < n; i++) {
        struct word *w = &t->word[words[i]];
        if (!holds(w, l, r))
            continue;
        count_pairs(t, words[i], -(int64_t)w->count);
        merge_in_word(w, l, r, id);
        count_pairs(t, words[i], (int64_t)w->count);
    }
    free(words);
    for (size_t p = known; p < t->n_pairs; p++)
        heap_push(t, (uint32_t)p);
}

/* ---- the whole ---------------------------------------------------------- */

/* 256 bytes, then the same at the end of a word: CLIP's order. */
static void base_tokens(struct trainer *t, uint32_t size)
{
    t->token = xcalloc(size, sizeof *t->token);
    for (unsigned i = 0; i < BYTES; i++) {
        const char *c = byte_char(byte_order(i));
        t->token[i] = xstrdup(c);
        t->token[BYTES + i] = xasprintf("%s</w>", c);
    }
    t->n_tokens = BASE;
}

static void learn(struct trainer *t, uint32_t size)
{
    for (uint32_t w = 0; w < t->n; w++)
        count_pairs(t, w, (int64_t)t->word[w].count);
    for (size_t p = 0; p < t->n_pairs; p++)
        heap_push(t, (uint32_t)p);
    int64_t p;
    while ((uint32_t)t->n_tokens + SPECIALS < size && (p = best_pair(t)) >= 0)
        apply(t, (uint32_t)p);
}

static char *to_json(const struct trainer *t)
{
    uint32_t n = (uint32_t)t->n_tokens;
    struct str s = { 0 };
    tokenizer_json_begin(&s, n, n + 1);
    str_add(&s, "\"vocab\":{");
    for (uint32_t i = 0; i < n; i++) {
        str_add_json(&s, t->token[i]);
        str_addf(&s, ":%u,\n", i);
    }
    str_addf(&s, "\"" TOKEN_BOS "\":%u,\n\"" TOKEN_EOS "\":%u},\n\"merges\":[", n,
             n + 1);
    str_add(&s, t->merges.s ? t->merges.s : "");
    str_add(&s, "]}}\n");
    return s.s;
}

static void trainer_clear(struct trainer *t)
{
    for (size_t i = 0; t->word && i < (t->token ? t->n : t->cap); i++) {
        free(t->word[i].text);
        free(t->word[i].sym);
    }
    for (int32_t i = 0; i < t->n_tokens; i++)
        free(t->token[i]);
    for (size_t i = 0; i < t->n_pairs; i++)
        free(t->pair[i].word);
    free(t->word);
    free(t->token);
    free(t->pair);
    free(t->slot);
    free(t->heap);
    free(t->heap_count);
    str_free(&t->merges);
}

/* CLIP's normalizer and pre-tokenizer: those of a tokenizer without merges. */
static mohs_status clip_rules(struct tokenizer **out, struct mohs_error *err)
{
    struct str s = { 0 };
    tokenizer_json_begin(&s, 0, 1);
    str_add(&s, "\"vocab\":{\"" TOKEN_BOS "\":0,\"" TOKEN_EOS "\":1},"
                "\"merges\":[]}}");
    mohs_status st = tokenizer_parse(s.s, s.n, "clip", out, err);
    str_free(&s);
    return st;
}

static void count_text(const struct tokenizer *rules, struct matcher *m,
                       const char *text, struct trainer *t)
{
    struct word_visit v = { count_word, t };
    struct str s = { 0 };
    utf8_repair(text, strlen(text), &s);
    normalizer_run(&rules->normal, m, &s);
    pretokenizer_run(&rules->pre, m, s.s, s.n, true, &v);
    str_free(&s);
}

mohs_status tokenizer_train(const char *const *texts, size_t n, uint32_t size,
                            char **json, struct mohs_error *err)
{
    struct trainer t = { 0 };
    struct tokenizer *rules;
    if (size < BASE + SPECIALS || size > TOKEN_ID_MAX)
        return mohs_fail(err, MOHS_E_ARG,
                         "tokenizer: a vocabulary of %u entries, not %d..%d", size,
                         BASE + SPECIALS, TOKEN_ID_MAX);
    for (size_t i = 0; i < n; i++)
        if (strlen(texts[i]) > TEXT_MAX)
            return mohs_fail(err, MOHS_E_ARG,
                             "tokenizer: text %zu has %zu bytes, the limit is %d",
                             i, strlen(texts[i]), TEXT_MAX);
    RET_IF_ERR(clip_rules(&rules, err));
    struct matcher *m = matcher_new();
    for (size_t i = 0; i < n; i++)
        count_text(rules, m, texts[i], &t);
    matcher_free(m);
    tokenizer_free(rules);
    base_tokens(&t, size);
    split_words(&t);
    learn(&t, size);
    *json = to_json(&t);
    trainer_clear(&t);
    return MOHS_OK;
}
