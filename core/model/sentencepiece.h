/* SPDX-License-Identifier: MIT */
/* A SentencePiece model as its file (spiece.model, tokenizer.model) has it. */
#ifndef CORE_SENTENCEPIECE_H
#define CORE_SENTENCEPIECE_H

#include "model/charsmap.h"
#include "model/token_model.h"

enum piece_type { PIECE_NORMAL = 1, PIECE_UNKNOWN, PIECE_CONTROL,
                  PIECE_USER_DEFINED, PIECE_UNUSED, PIECE_BYTE };

struct sp_piece {
    const char *text; /* in the file's bytes, not terminated */
    size_t n;
    float score;
    enum piece_type type;
};

struct sp_model {
    struct sp_piece *piece;
    size_t n, cap;
    enum { SP_UNIGRAM = 1, SP_BPE } kind;
    bool byte_fallback, space_is_suffix;
    bool dummy_prefix, remove_extra_spaces, escape_spaces;
    const uint8_t *charsmap;
    size_t n_charsmap;
    int32_t unk; /* -1: none */
    int32_t bos, eos, pad;
};

/* Reads the protocol buffer data[0..n), which must outlive *m, and checks
 * what SentencePiece checks when it loads a model. */
mohs_status sp_read(struct sp_model *m, const void *data, size_t n,
                    const char *name, struct mohs_error *err);
void sp_clear(struct sp_model *m);
/* The id of a control piece of that text, or -1. */
int32_t sp_control(const struct sp_model *m, const char *text);

#endif
