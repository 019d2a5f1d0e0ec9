/* SPDX-License-Identifier: MIT */
/*
 * The tokenizer.json text of a CLIP byte-level BPE: around the tables that
 * vocab.json and merges.txt hold, and around those that the trainer learns.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "model/tokenizer.h"
#include "model/weights.h"

enum { VOCAB_BYTES_MAX = 128 << 20 };

static const char head_text[] =
    "\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"NFC\"},"
    "{\"type\":\"Replace\",\"pattern\":{\"Regex\":\"\\\\s+\"},"
    "\"content\":\" \"},{\"type\":\"Lowercase\"}]},\n"
    "\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":"
    "\"Split\",\"pattern\":{\"Regex\":\"<\\\\|startoftext\\\\|>|<\\\\|"
    "endoftext\\\\|>|'s|'t|'re|'ve|'m|'ll|'d|[\\\\p{L}]+|[\\\\p{N}]|"
    "[^\\\\s\\\\p{L}\\\\p{N}]+\"},\"behavior\":\"Removed\",\"invert\":true},"
    "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"trim_offsets\":true,"
    "\"use_regex\":true}]},\n";

static const char model_text[] =
    "\"decoder\":{\"type\":\"ByteLevel\",\"add_prefix_space\":true,"
    "\"trim_offsets\":true,\"use_regex\":true},\n"
    "\"model\":{\"type\":\"BPE\",\"dropout\":null,"
    "\"unk_token\":\"<|endoftext|>\",\"continuing_subword_prefix\":\"\","
    "\"end_of_word_suffix\":\"</w>\",\"fuse_unk\":false,"
    "\"byte_fallback\":false,\"ignore_merges\":false,\n";

static void add_special(struct str *b, const char *content, uint32_t id)
{
    str_addf(b, "{\"id\":%u,\"content\":\"%s\",\"single_word\":false,"
             "\"lstrip\":false,\"rstrip\":false,\"normalized\":false,"
             "\"special\":true}", id, content);
}

void tokenizer_json_begin(struct str *b, uint32_t bos, uint32_t eos)
{
    str_add(b, "{\"version\":\"1.0\",\"truncation\":null,\"padding\":null,\n"
            "\"added_tokens\":[");
    add_special(b, TOKEN_BOS, bos);
    str_add(b, ",");
    add_special(b, TOKEN_EOS, eos);
    str_add(b, "],\n");
    str_add(b, head_text);
    str_addf(b, "\"post_processor\":{\"type\":\"RobertaProcessing\","
             "\"sep\":[\"" TOKEN_EOS "\",%u],\"cls\":[\"" TOKEN_BOS "\",%u],"
             "\"trim_offsets\":false,\"add_prefix_space\":false},\n", eos, bos);
    str_add(b, model_text);
}

static mohs_status special_id(const json_t *vocab, const char *token,
                              const char *name, uint32_t *id,
                              struct mohs_error *err)
{
    const json_t *j = json_object_get(vocab, token);
    json_int_t x = json_integer_value(j);
    if (!json_is_integer(j) || x < 0 || x > INT32_MAX)
        return mohs_fail(err, MOHS_E_FORMAT,
                         "%s: no id for \"%s\": not the vocabulary of a CLIP "
                         "tokenizer",
                         name, token);
    *id = (uint32_t)x;
    return MOHS_OK;
}

/* Lines "a b" as JSON pairs; a "#version" line is skipped. */
static mohs_status add_merges(struct str *b, const char *text, size_t n,
                              const char *name, struct mohs_error *err)
{
    const char *p = text, *end = text + n;
    bool first = true;
    for (unsigned line = 1; p < end; line++) {
        const char *nl = memchr(p, '\n', (size_t)(end - p));
        size_t len = (size_t)((nl ? nl : end) - p);
        size_t keep = len && p[len - 1] == '\r' ? len - 1 : len;
        if (keep && !(keep >= 8 && !memcmp(p, "#version", 8))) {
            const char *space = memchr(p, ' ', keep);
            if (!space || space == p || space == p + keep - 1 ||
                memchr(space + 1, ' ', (size_t)(p + keep - space - 1)) ||
                memchr(p, 0, keep))
                return mohs_fail(err, MOHS_E_FORMAT,
                                 "%s: line %u: not two symbols", name, line);
            char *a = xasprintf("%.*s", (int)(space - p), p);
            char *c = xasprintf("%.*s", (int)(p + keep - space - 1), space + 1);
            tokenizer_json_merge(b, a, c, first);
            free(a);
            free(c);
            first = false;
        }
        p += len + 1;
    }
    return MOHS_OK;
}

void tokenizer_json_merge(struct str *b, const char *left, const char *right,
                          bool first)
{
    str_add(b, first ? "[" : ",\n[");
    str_add_json(b, left);
    str_add(b, ",");
    str_add_json(b, right);
    str_add(b, "]");
}

static mohs_status json_from_bpe(const char *vocab, size_t n_vocab,
                                 const char *merges, size_t n_merges,
                                 const char *name, char **out,
                                 struct mohs_error *err)
{
    struct str b = { 0 };
    uint32_t bos, eos;
    mohs_status st = MOHS_OK;
    json_t *j = json_text(vocab, n_vocab, name, err);
    if (!j)
        return MOHS_E_FORMAT;
    OUT_IF_ERR(special_id(j, TOKEN_BOS, name, &bos, err));
    OUT_IF_ERR(special_id(j, TOKEN_EOS, name, &eos, err));
    tokenizer_json_begin(&b, bos, eos);
    str_add(&b, "\"vocab\":");
    str_addn(&b, vocab, n_vocab);
    str_add(&b, ",\n\"merges\":[");
    OUT_IF_ERR(add_merges(&b, merges, n_merges, name, err));
    str_add(&b, "]}}\n");
    *out = b.s;
    b = (struct str) { 0 };
out:
    str_free(&b);
    json_decref(j);
    return st;
}

mohs_status tokenizer_json_from_dir(const char *dir, char **out,
                                    struct mohs_error *err)
{
    char *vpath = path_join(dir, "vocab.json");
    char *mpath = path_join(dir, "merges.txt"), *v = NULL, *m = NULL;
    size_t nv, nm;
    mohs_status st = MOHS_OK;
    if (!file_exists(vpath) || !file_exists(mpath))
        goto out;
    OUT_IF_ERR(file_read(vpath, VOCAB_BYTES_MAX, &v, &nv, err));
    OUT_IF_ERR(file_read(mpath, VOCAB_BYTES_MAX, &m, &nm, err));
    st = json_from_bpe(v, nv, m, nm, vpath, out, err);
out:
    free(vpath);
    free(mpath);
    free(v);
    free(m);
    return st;
}
