/* SPDX-License-Identifier: MIT */
/* The inside of struct tokenizer, for the files that read and train it. */
#ifndef CORE_TOKENIZER_H
#define CORE_TOKENIZER_H

#include "model/bpe.h"
#include "model/model.h"
#include "model/weights.h"

enum { STEPS_MAX = 8, TEXT_MAX = 1 << 24, TOKENS_MAX = 1 << 22 };

enum normal_kind { NORMAL_NFC, NORMAL_LOWER, NORMAL_REPLACE };

struct normal_step {
    enum normal_kind kind;
    struct regex *regex; /* or find */
    char *find, *text;
};

struct split_step {
    struct regex *regex;
    bool matches_only; /* text between matches is dropped */
    bool drop_matches;
};

struct special {
    char *text;
    size_t n;
    int32_t id;
    bool normalised, lstrip, rstrip;
};

struct tokenizer {
    struct bpe *bpe;
    struct normal_step normal[STEPS_MAX];
    size_t n_normal;
    struct split_step split[STEPS_MAX];
    size_t n_split;
    struct special *special;
    size_t n_special;
    bool byte_level;
    int32_t bos, eos, pad, unk; /* -1: none */
};

extern const char CLIP_PATTERN[], GPT2_PATTERN[];

/* CLIP's rules with DIR/vocab.json and DIR/merges.txt. */
mohs_status tokenizer_from_vocab(const char *dir, struct tokenizer **out,
                                 struct mohs_error *err);
/* CLIP's normaliser and splitter into t. */
mohs_status tokenizer_clip_steps(struct tokenizer *t, struct mohs_error *err);
/* Words of a text after normalising and splitting, as byte-level UTF-8. */
void tokenizer_words(const struct tokenizer *t, const char *text, size_t n,
                     void (*fn)(void *user, const char *word, size_t n), void *user);

#endif
