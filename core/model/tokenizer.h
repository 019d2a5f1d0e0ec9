/* SPDX-License-Identifier: MIT */
/*
 * The parts of a tokenizer in the order in which a text meets them: added
 * tokens, normalizer, pre-tokenizer, model, post-processor. The reference is
 * the behaviour of Hugging Face's `tokenizers` library.
 */
#ifndef CORE_TOKENIZER_H
#define CORE_TOKENIZER_H

#include <jansson.h>

#include "model/model.h"
#include "model/token_model.h"

#define TOKEN_BOS "<|startoftext|>"
#define TOKEN_EOS "<|endoftext|>"

enum {
    TEXT_MAX = 1 << 20,     /* bytes of one text */
    TOKENIZER_BYTES_MAX = 256 << 20, /* of a file */
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
                   NORMAL_PREPEND, NORMAL_PRECOMPILED, NORMAL_NMT, NORMAL_BERT,
                   NORMAL_PYTHON_LOWER, NORMAL_CLEAN };
struct normal_step {
    enum normal_kind kind;
    struct pattern pattern;
    char *content;
    bool left, right;
    struct charsmap *charsmap;
    bool clean, chinese, accents, lower; /* of BERT's */
    void (*run)(struct str *text);       /* of a cleaner */
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

/* What Python programs do to a text before its tokenizer (clean.c). */
void clean_words(struct str *text);       /* " ".join(text.split()) */
void clean_strip(struct str *text);       /* text.strip() */
void clean_punctuation(struct str *text); /* without string.punctuation */
void clean_html(struct str *text);        /* html.unescape(text) */
/* ftfy.fix_text(text) (fix_text.c), and its ftfy.fix_encoding (mojibake.c). */
void clean_fix(struct str *text);
void clean_encoding(struct str *text);
bool is_python_space(uint32_t c); /* str.isspace() */
/* A C1 control as windows-1252 has it; other characters stay. */
uint32_t cp1252(uint32_t c);
/* Unicode's normal form (normalize.c). */
void normal_form(struct str *text, bool compat, bool compose);

/* ---- words (pretokenize.c) --------------------------------------------- */

enum split_how { SPLIT_REMOVED, SPLIT_ISOLATED, SPLIT_PREVIOUS, SPLIT_NEXT,
                 SPLIT_CONTIGUOUS };
enum split_kind { SPLIT_PATTERN, SPLIT_BYTES, SPLIT_META };
enum prefix_when { PREFIX_ALWAYS, PREFIX_FIRST, PREFIX_NEVER };
struct split_step {
    enum split_kind kind;
    struct pattern pattern;
    enum split_how how;
    bool invert;
    bool prefix_space, use_regex; /* ByteLevel */
    char mark[5];                 /* Metaspace: what a space becomes */
    enum prefix_when prefix;
    bool split;
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
/* Hands out the words of a text; `start`: nothing came before it. */
void pretokenizer_run(const struct pretokenizer *p, struct matcher *m,
                      const char *s, size_t n, bool start,
                      const struct word_visit *v);
/* The printable character of byte b (GPT-2's table), UTF-8; b-th in order of
 * the characters' vocabulary; and the byte of a character, or -1. */
const char *byte_char(uint8_t b);
uint8_t byte_order(unsigned i);
int byte_of_char(uint32_t c);

/* ---- the whole (tokenizer.c, tokenizer_parse.c) ------------------------- */

struct added {
    char *name;  /* as written */
    char *match; /* as looked for: normalised when `normalized` */
    size_t n;
    int32_t id;
    bool single_word, lstrip, rstrip, normalized;
};

/*
 * Besides what the library knows, a tokenizer.json may have a member "mohs":
 *   profile      name, for reports
 *   context      tokens of a text, 0: the model says
 *   pad_token    what fills up a context
 *   pad_left     before the text, not behind it
 *   blank_token  becomes id 0 (open_clip's strip_sep_token)
 *   clean        a normalizer for the text before anything else sees it
 *   before       a normalizer before the file's own
 *   whole_words  added tokens are found among words, not in the text
 *   mark         U+2581 becomes a space, and one comes before the text
 *   end_once     no end token behind a text that ends with one
 */
struct tokenizer {
    char profile[32];
    uint32_t context;
    int32_t blank; /* -1: none */
    bool pad_left, whole_words, mark, end_once;
    bool bytes; /* its characters stand for bytes */
    struct normalizer clean;
    struct added *added;
    size_t n_added;
    /* Of raw and of normalised text: added tokens by first byte (index of
     * the first, and one behind the last), longest first. */
    struct added **order[2];
    uint32_t first[2][257];
    struct normalizer normal;
    struct pretokenizer pre;
    struct token_model model;
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
mohs_status tokenizer_json_clip(const char *dir, char **out,
                                struct mohs_error *err);
/* open_clip's SimpleTokenizer: the text of its merges file. `mohs`: the
 * member "mohs" that goes in. */
mohs_status tokenizer_json_simple(const char *merges, size_t n,
                                  const char *mohs, const char *name,
                                  char **out, struct mohs_error *err);
/* The text of a vocab.txt; config: tokenizer_config.json, or NULL. */
mohs_status tokenizer_json_bert(const char *text, size_t n,
                                const json_t *config, const char *name,
                                char **out, struct mohs_error *err);
struct sp_text {
    const char *data; /* a SentencePiece model */
    size_t n;
    const char *name, *mohs;
    bool siglip, lower; /* as transformers' SiglipTokenizer does */
};
mohs_status tokenizer_json_sentencepiece(const struct sp_text *t, char **out,
                                         struct mohs_error *err);
/* From whatever tokenizer files DIR has (tokenizer_files.c); *out is left
 * alone without any. model: its configuration, NULL: look in DIR. */
mohs_status tokenizer_json_from_dir(const char *dir, const json_t *model,
                                    char **out, struct mohs_error *err);

#endif
