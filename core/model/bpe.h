/* SPDX-License-Identifier: MIT */
/* Byte-pair encoding of one word, and what normalises and splits text. */
#ifndef CORE_BPE_H
#define CORE_BPE_H

#include "base/base.h"

/* ---- vocabulary and merges ---- */

struct bpe;
struct bpe *bpe_new(const char *suffix); /* "</w>" or "" */
void bpe_free(struct bpe *b);
/* False when the token or the id is there already. */
bool bpe_add(struct bpe *b, const char *token, int32_t id);
/* The next merge in order of rank; false when a part or the result is
 * unknown. */
bool bpe_merge(struct bpe *b, const char *left, const char *right);
int32_t bpe_id(const struct bpe *b, const char *token, size_t n); /* -1: none */
const char *bpe_token(const struct bpe *b, int32_t id);          /* NULL: none */
int32_t bpe_size(const struct bpe *b); /* largest id + 1 */
/* Ids of one word given as UTF-8 of byte-level characters; appended to ids.
 * Characters without an id become `unk`, or vanish when unk < 0. */
struct ids {
    int32_t *v;
    size_t n, cap;
};
void ids_add(struct ids *a, int32_t id);
void bpe_word(const struct bpe *b, const char *word, size_t n, int32_t unk,
              struct ids *out);

/* The printable character of byte b (GPT-2's table), as UTF-8. */
const char *byte_char(uint8_t b);
/* Bytes of s as such characters. */
void byte_level(const char *s, size_t n, struct str *out);

/* ---- text ---- */

/* Invalid bytes become U+FFFD as Python's "replace" does. */
void utf8_repair(const char *s, size_t n, struct str *out);
void utf8_nfc(const char *s, size_t n, struct str *out);
void utf8_lower(const char *s, size_t n, struct str *out);

struct regex;
/* PCRE2 with Unicode properties; \s means White_Space as elsewhere. */
mohs_status regex_new(const char *pattern, const char *name, struct regex **out,
                      struct mohs_error *err);
void regex_free(struct regex *r);
/* Next match at or after `from`; false when none. Empty matches are
 * skipped. */
bool regex_next(const struct regex *r, const char *s, size_t n, size_t from,
                size_t *begin, size_t *end);

#endif
