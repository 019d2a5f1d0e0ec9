/* SPDX-License-Identifier: MIT */
/*
 * The models of tokenizers: what turns one word into tokens. Each kind is a
 * small table of functions over a vocabulary that all of them share.
 */
#ifndef CORE_TOKEN_MODEL_H
#define CORE_TOKEN_MODEL_H

#include <jansson.h>

#include "base/base.h"

enum { TOKEN_ID_MAX = 1 << 22 /* ids are below */ };

/* ---- tokens by id and ids by token (vocab.c) ---------------------------- */

struct vocab_slot {
    char *token;
    uint32_t n;
    int32_t id;
};

struct vocab {
    struct vocab_slot *slot; /* open hash */
    size_t cap;
    const char **by_id;
    int32_t n_ids, cap_ids; /* largest id + 1 */
};

struct ids {
    int32_t *v;
    size_t n, cap;
};
void ids_add(struct ids *a, const int32_t *v, size_t n);

void vocab_clear(struct vocab *v);
/* Room for n tokens, before the first is put. */
mohs_status vocab_reserve(struct vocab *v, size_t n, const char *name,
                          struct mohs_error *err);
/* An id is given once; of a token put twice the last id is found. */
mohs_status vocab_put(struct vocab *v, const char *token, size_t n, int64_t id,
                      const char *name, struct mohs_error *err);
/* {"token": id, ..}. */
mohs_status vocab_parse(struct vocab *v, const json_t *object, const char *name,
                        struct mohs_error *err);
int32_t vocab_id(const struct vocab *v, const char *token, size_t n); /* -1 */
const char *vocab_token(const struct vocab *v, int32_t id); /* NULL: none */
/* The token <0xAB> of a byte, or -1. */
int32_t vocab_byte(const struct vocab *v, char byte);
/* Appends the tokens of n bytes; false, and nothing, when one is missing. */
bool vocab_bytes(const struct vocab *v, const char *s, size_t n,
                 struct ids *out);

/* ---- common prefixes (trie.c) ------------------------------------------- */

struct trie;
struct trie *trie_new(void);
void trie_free(struct trie *t);
/* n > 0; of a key added twice the last value counts. */
void trie_add(struct trie *t, const char *key, size_t n, int32_t value);
/* The node one byte further, or -1; the root is 0. */
int32_t trie_step(const struct trie *t, int32_t node, char byte);
int32_t trie_value(const struct trie *t, int32_t node); /* -1: none */
/* Bytes of the longest key that s starts with, or 0. */
size_t trie_longest(const struct trie *t, const char *s, size_t n);

/* ---- merges in order (merge_heap.c) -------------------------------------- */

struct candidate {
    int32_t rank, at, left, right, id;
};
struct candidates {
    struct candidate *v;
    size_t n;
};
/* v has room for one more. The lowest rank leaves first, the leftmost among
 * equals. */
void candidates_push(struct candidates *h, struct candidate c);
struct candidate candidates_pop(struct candidates *h);

/* ---- models -------------------------------------------------------------- */

struct token_ops {
    const char *type; /* of "model" in tokenizer.json */
    /* Fills in *self and *vocab; what it made is freed by the caller, also
     * after a failure. */
    mohs_status (*parse)(const json_t *model, struct vocab *vocab, void **self,
                         const char *name, struct mohs_error *err);
    void (*free)(void *self); /* NULL is fine */
    /* Appends the tokens of one word, valid UTF-8, n > 0. [any thread] */
    void (*encode)(const void *self, const struct vocab *vocab,
                   const char *word, size_t n, struct ids *out);
    const char *(*suffix)(const void *self); /* of a word's end; may be NULL */
};
extern const struct token_ops bpe_ops, unigram_ops, wordpiece_ops,
    sentencepiece_ops;

struct word_cache;
struct token_model {
    const struct token_ops *ops;
    void *self;
    struct vocab vocab;
    struct word_cache *cache;
};
/* The "model" of a tokenizer.json. */
mohs_status token_model_parse(struct token_model *m, const json_t *j,
                              const char *name, struct mohs_error *err);
void token_model_clear(struct token_model *m);
/* Appends the tokens of one word. [any thread] */
void token_model_word(const struct token_model *m, const char *word, size_t n,
                      struct ids *out);
const char *token_model_suffix(const struct token_model *m); /* "": none */

/* Words and their tokens seen lately (word_cache.c). [any thread] */
struct word_cache *word_cache_new(void);
void word_cache_free(struct word_cache *c);
bool word_cache_get(struct word_cache *c, const char *word, size_t n,
                    struct ids *out);
void word_cache_put(struct word_cache *c, const char *word, size_t n,
                    const int32_t *ids, size_t n_ids);

#endif
