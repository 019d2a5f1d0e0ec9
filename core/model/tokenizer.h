/* SPDX-License-Identifier: MIT */
/*
 * The parts of a tokenizer in the order in which a text meets them: added
 * tokens, normalizer, pre-tokenizer, BPE, post-processor. The reference is
 * the behaviour of Hugging Face's `tokenizers` library.
 */
#ifndef CORE_TOKENIZER_H
#define CORE_TOKENIZER_H

#include <jansson.h>

#include "model/model.h"

#define TOKEN_BOS "<|startoftext|>"
#define TOKEN_EOS "<|endoftext|>"

enum {
    TEXT_MAX = 1 << 20,     /* bytes of one text */
    TOKENIZER_BYTES_MAX = 256 << 20, /* of a file */
    TOKEN_ID_MAX = 1 << 22, /* ids are below */
    STEPS_MAX = 32,         /* of a normalizer or pre-tokenizer */
    NESTING_MAX = 8,        /* of Sequences */
    SPECIALS_MAX = 16       /* before or after a text */
};

/* ---- patterns (pattern.c) ---------------------------------------------- */

struct pattern {
    void *code; /* pcre2_code, or NULL: plain text */
    char *literal;
    size_t n_literal;
};
/* What matching needs to write to: one for each thread or call. */
struct matcher;
struct matcher *matcher_new(void);
void matcher_free(struct matcher *m);

/* From Oniguruma's (Ruby) syntax, as tokenizer files have it. */
mohs_status pattern_regex(struct pattern *p, const char *re, const char *name,
                          struct mohs_error *err);
void pattern_literal(struct pattern *p, const char *s);
/* {"Regex": ..} or {"String": ..}. */
mohs_status pattern_parse(struct pattern *p, const json_t *j, const char *name,
                          struct mohs_error *err);
void pattern_clear(struct pattern *p);

/* Stretches of a text, matched and not, in order and without a gap; those
 * not matched are never empty. */
struct span {
    size_t from, to;
    bool match;
};
struct spans {
    struct span *v;
    size_t n, cap;
};
void pattern_spans(const struct pattern *p, struct matcher *m, const char *s,
                   size_t n, struct spans *out);
/* \w and \s of patterns hold for the character before or at s[at]. */
bool is_word_before(const char *s, size_t at);
bool is_word_at(const char *s, size_t n, size_t at);
bool is_space(uint32_t c);

/* ---- text (normalize.c) ------------------------------------------------ */

/* Invalid UTF-8 becomes U+FFFD, one for each maximal ill-formed part. */
void utf8_repair(const char *s, size_t n, struct str *out);
/* One character of valid UTF-8; returns its bytes. */
size_t utf8_get(const char *s, uint32_t *c);
/* Start of the character before s[at]; at > 0. */
size_t utf8_back(const char *s, size_t at);
size_t utf8_put(char out[4], uint32_t c);

enum normal_kind { NORMAL_NFC, NORMAL_NFD, NORMAL_NFKC, NORMAL_NFKD,
                   NORMAL_LOWER, NORMAL_REPLACE, NORMAL_STRIP, NORMAL_ACCENTS,
                   NORMAL_PREPEND };
struct normal_step {
    enum normal_kind kind;
    struct pattern pattern;
    char *content;
    bool left, right;
};
struct normalizer {
    struct normal_step step[STEPS_MAX];
    size_t n;
};
mohs_status normalizer_parse(struct normalizer *z, const json_t *j,
                             const char *name, int depth, struct mohs_error *err);
void normalizer_clear(struct normalizer *z);
/* Replaces *text, valid UTF-8, by its normal form. */
void normalizer_run(const struct normalizer *z, struct matcher *m,
                    struct str *text);

/* ---- words (pretokenize.c) --------------------------------------------- */

enum split_how { SPLIT_REMOVED, SPLIT_ISOLATED, SPLIT_PREVIOUS, SPLIT_NEXT,
                 SPLIT_CONTIGUOUS };
struct split_step {
    bool bytes; /* a ByteLevel; else a Split */
    struct pattern pattern;
    enum split_how how;
    bool invert;
    bool prefix_space, use_regex; /* ByteLevel */
};
struct pretokenizer {
    struct split_step step[STEPS_MAX];
    size_t n;
};
mohs_status pretokenizer_parse(struct pretokenizer *p, const json_t *j,
                               const char *name, int depth,
                               struct mohs_error *err);
void pretokenizer_clear(struct pretokenizer *p);
struct word_visit {
    void (*fn)(void *user, const char *word, size_t n);
    void *user;
};
/* Hands out the words of a text. */
void pretokenizer_run(const struct pretokenizer *p, struct matcher *m,
                      const char *s, size_t n, const struct word_visit *v);
/* The printable character of byte b (GPT-2's table), UTF-8; b-th in order of
 * the characters' vocabulary; and the byte of a character, or -1. */
const char *byte_char(uint8_t b);
uint8_t byte_order(unsigned i);
int byte_of_char(uint32_t c);

/* ---- byte-pair encoding (bpe.c) ---------------------------------------- */

struct bpe;
/* The "model" of a tokenizer.json. */
mohs_status bpe_parse(const json_t *model, const char *name, struct bpe **out,
                      struct mohs_error *err);
void bpe_free(struct bpe *b);
struct ids {
    int32_t *v;
    size_t n, cap;
};
void ids_add(struct ids *a, const int32_t *v, size_t n);
/* Appends the tokens of one word. [any thread] */
void bpe_word(const struct bpe *b, const char *word, size_t n, struct ids *out);
int32_t bpe_id(const struct bpe *b, const char *token, size_t n); /* -1: none */
const char *bpe_token(const struct bpe *b, int32_t id);          /* NULL: none */
int32_t bpe_size(const struct bpe *b); /* largest id + 1 */
const char *bpe_suffix(const struct bpe *b); /* of a word's end; "" */

/* Words and their tokens seen lately (bpe_cache.c). [any thread] */
struct bpe_cache;
struct bpe_cache *bpe_cache_new(void);
void bpe_cache_free(struct bpe_cache *c);
bool bpe_cache_get(struct bpe_cache *c, const char *word, size_t n,
                   struct ids *out);
void bpe_cache_put(struct bpe_cache *c, const char *word, size_t n,
                   const int32_t *ids, size_t n_ids);

/* ---- the whole (tokenizer.c, tokenizer_parse.c) ------------------------- */

struct added {
    char *name;  /* as written */
    char *match; /* as looked for: normalised when `normalized` */
    size_t n;
    int32_t id;
    bool single_word, lstrip, rstrip, normalized;
};

struct tokenizer {
    struct added *added;
    size_t n_added;
    /* Of raw and of normalised text: added tokens by first byte (index of
     * the first, and one behind the last), longest first. */
    struct added **order[2];
    uint32_t first[2][257];
    struct normalizer normal;
    struct pretokenizer pre;
    struct bpe *bpe;
    int32_t before[SPECIALS_MAX], after[SPECIALS_MAX];
    uint32_t n_before, n_after;
    int32_t pad;
    char **readable; /* by id */
    int32_t n_ids;
};

/* Sorts the added tokens into order and first; makes readable. */
void tokenizer_finish(struct tokenizer *t);

/* ---- texts of tokenizer.json (tokenizer_vocab.c) ----------------------- */

/* All of a CLIP tokenizer.json before its "vocab". */
void tokenizer_json_begin(struct str *b, uint32_t bos, uint32_t eos);
void tokenizer_json_merge(struct str *b, const char *left, const char *right,
                          bool first);
/* From DIR's vocab.json and merges.txt; *out is left alone without them. */
mohs_status tokenizer_json_from_dir(const char *dir, char **out,
                                    struct mohs_error *err);

#endif
