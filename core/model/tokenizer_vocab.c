/* SPDX-License-Identifier: MIT */
/*
 * tokenizer.json texts around the tables of other files: CLIP's vocab.json
 * and merges.txt (and those that the trainer learns), the merges of
 * open_clip's SimpleTokenizer, BERT's vocab.txt, SentencePiece models.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "model/sentencepiece.h"
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

/* One line "a b" of a merges file. */
struct merge_line {
    char *left, *right;
};

/* "#version: 0.2", or the first line of bpe_simple_vocab_16e6.txt, which has
 * that at its end. */
static bool is_title(const char *s, size_t n, unsigned line)
{
    static const char mark[] = "#version";
    size_t m = sizeof mark - 1, last = line == 1 && n >= m ? n - m : 0;
    for (size_t i = 0; n >= m && i <= last; i++)
        if (!memcmp(s + i, mark, m))
            return true;
    return false;
}

/* The next pair from *p; false at the end, or with *st set. A title is
 * skipped. */
static bool next_merge(const char **p, const char *end, unsigned *line,
                       struct merge_line *m, const char *name, mohs_status *st,
                       struct mohs_error *err)
{
    while (*p < end) {
        const char *s = *p, *nl = memchr(s, '\n', (size_t)(end - s));
        size_t len = (size_t)((nl ? nl : end) - s);
        size_t keep = len && s[len - 1] == '\r' ? len - 1 : len;
        *p += len + 1;
        ++*line;
        if (!keep || is_title(s, keep, *line))
            continue;
        const char *space = memchr(s, ' ', keep);
        if (!space || space == s || space == s + keep - 1 ||
            memchr(space + 1, ' ', (size_t)(s + keep - space - 1)) ||
            memchr(s, 0, keep) || !utf8_valid(s, keep)) {
            *st = mohs_fail(err, MOHS_E_FORMAT, "%s: line %u: not two symbols",
                            name, *line);
            return false;
        }
        m->left = xasprintf("%.*s", (int)(space - s), s);
        m->right = xasprintf("%.*s", (int)(s + keep - space - 1), space + 1);
        return true;
    }
    return false;
}

static mohs_status add_merges(struct str *b, const char *text, size_t n,
                              const char *name, struct mohs_error *err)
{
    const char *p = text;
    struct merge_line m;
    mohs_status st = MOHS_OK;
    unsigned line = 0;
    for (bool first = true;
         next_merge(&p, text + n, &line, &m, name, &st, err); first = false) {
        tokenizer_json_merge(b, m.left, m.right, first);
        free(m.left);
        free(m.right);
    }
    return st;
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

mohs_status tokenizer_json_clip(const char *dir, char **out,
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

/* ---- open_clip's SimpleTokenizer ---------------------------------------- */

/* The 256 characters, then with the mark of a word's end. */
static void add_characters(struct str *b)
{
    for (unsigned i = 0; i < 512; i++) {
        char *t = xasprintf("%s%s", byte_char(byte_order(i % 256)),
                            i < 256 ? "" : "</w>");
        str_add(b, i ? "," : "");
        str_add_json(b, t);
        str_addf(b, ":%u", i);
        free(t);
    }
}

/* U+0345 is a letter where case does not count, as its capital is. */
static const char simple_words[] =
    "\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":"
    "\"Split\",\"pattern\":{\"Regex\":\"(?i)<start_of_text>|<end_of_text>|"
    "'s|'t|'re|'ve|'m|'ll|'d|[\\\\p{L}]+|[\\\\p{N}]|"
    "[^\\\\s\\\\p{L}\\\\p{N}\\\\x{345}]+\"},\"behavior\":\"Removed\","
    "\"invert\":true},{\"type\":\"ByteLevel\",\"add_prefix_space\":false,"
    "\"trim_offsets\":true,\"use_regex\":false}]},\n";

mohs_status tokenizer_json_simple(const char *merges, size_t n,
                                  const char *mohs, const char *name,
                                  char **out, struct mohs_error *err)
{
    enum { MERGES = 49152 - 256 - 2 }; // open_clip reads no more
    struct str vocab = { 0 }, list = { 0 }, b = { 0 };
    const char *p = merges;
    unsigned line = 0, id = 512;
    struct merge_line m;
    mohs_status st = MOHS_OK;
    add_characters(&vocab);
    while (id < 512 + MERGES &&
           next_merge(&p, merges + n, &line, &m, name, &st, err)) {
        char *joined = xasprintf("%s%s", m.left, m.right);
        tokenizer_json_merge(&list, m.left, m.right, id == 512);
        str_add(&vocab, ",");
        str_add_json(&vocab, joined);
        str_addf(&vocab, ":%u", id++);
        free(joined);
        free(m.left);
        free(m.right);
    }
    str_addf(&b, "{%s,\n\"added_tokens\":[", mohs);
    add_special(&b, "<start_of_text>", id);
    str_add(&b, ",");
    add_special(&b, "<end_of_text>", id + 1);
    str_addf(&b, "],\n%s\"post_processor\":{\"type\":\"RobertaProcessing\","
             "\"sep\":[\"<end_of_text>\",%u],\"cls\":[\"<start_of_text>\",%u]},\n"
             "\"padding\":{\"pad_id\":0},\n\"model\":{\"type\":\"BPE\","
             "\"end_of_word_suffix\":\"</w>\",\"vocab\":{", simple_words, id + 1,
             id);
    str_addn(&b, vocab.s, vocab.n);
    str_add(&b, "},\n\"merges\":[");
    str_add(&b, list.s ? list.s : "");
    str_add(&b, "]}}\n");
    str_free(&vocab);
    str_free(&list);
    if (st < 0)
        str_free(&b);
    else
        *out = b.s;
    return st;
}

/* ---- BERT's vocab.txt --------------------------------------------------- */

/* One token a line; of a token listed twice the last line counts. */
static mohs_status read_lines(struct vocab *v, const char *text, size_t n,
                              const char *name, struct mohs_error *err)
{
    size_t lines = 1;
    int64_t id = 0;
    for (size_t i = 0; i < n; i++)
        lines += text[i] == '\n';
    RET_IF_ERR(vocab_reserve(v, lines, name, err));
    for (const char *p = text, *end = text + n; p < end; id++) {
        const char *nl = memchr(p, '\n', (size_t)(end - p));
        size_t len = (size_t)((nl ? nl : end) - p);
        size_t keep = len && p[len - 1] == '\r' ? len - 1 : len;
        if (memchr(p, 0, keep) || !utf8_valid(p, keep))
            return mohs_fail(err, MOHS_E_FORMAT,
                             "%s: line %lld is not UTF-8 text", name,
                             (long long)id + 1);
        RET_IF_ERR(vocab_put(v, p, keep, id, name, err));
        p += len + 1;
    }
    return MOHS_OK;
}

static const char *bert_token(const json_t *config, const char *key,
                              const char *absent)
{
    const json_t *v = json_object_get(config, key);
    const char *s = json_string_value(
        json_is_object(v) ? json_object_get(v, "content") : v);
    return s ? s : absent;
}

static mohs_status add_bert_specials(struct str *b, const struct vocab *v,
                                     const json_t *config, const char *name,
                                     struct mohs_error *err)
{
    static const char *const keys[][2] = {
        { "cls_token", "[CLS]" }, { "sep_token", "[SEP]" },
        { "pad_token", "[PAD]" }, { "unk_token", "[UNK]" },
        { "mask_token", "[MASK]" },
    };
    int32_t id[5];
    const char *text[5];
    str_add(b, "\"added_tokens\":[");
    for (int i = 0, n = 0; i < 5; i++) {
        text[i] = bert_token(config, keys[i][0], keys[i][1]);
        id[i] = vocab_id(v, text[i], strlen(text[i]));
        if (id[i] < 0 && i != 4)
            return mohs_fail(err, MOHS_E_FORMAT,
                             "%s: no line \"%.40s\": not the vocabulary of a "
                             "BERT tokenizer", name, text[i]);
        if (id[i] < 0)
            continue;
        str_add(b, n++ ? "," : "");
        str_addf(b, "{\"id\":%d,\"normalized\":false,\"special\":true,"
                 "\"content\":", id[i]);
        str_add_json(b, text[i]);
        str_add(b, "}");
    }
    str_addf(b, "],\n\"post_processor\":{\"type\":\"BertProcessing\","
             "\"cls\":[\"\",%d],\"sep\":[\"\",%d]},\n\"padding\":{\"pad_id\":%d},\n"
             "\"model\":{\"type\":\"WordPiece\",\"unk_token\":", id[0], id[1],
             id[2]);
    str_add_json(b, text[3]);
    return MOHS_OK;
}

static bool config_flag(const json_t *config, const char *key, bool absent)
{
    const json_t *v = json_object_get(config, key);
    return json_is_boolean(v) ? json_is_true(v) : absent;
}

static mohs_status bert_text(struct str *b, const struct vocab *v,
                             const json_t *config, const char *name,
                             struct mohs_error *err)
{
    static const char *const yes_no[] = { "false", "true" };
    bool low = config_flag(config, "do_lower_case", true);
    bool first = true;
    str_addf(b, "{\"normalizer\":{\"type\":\"BertNormalizer\",\"clean_text\":true,"
             "\"handle_chinese_chars\":%s,\"strip_accents\":%s,\"lowercase\":%s},\n"
             "\"pre_tokenizer\":{\"type\":\"BertPreTokenizer\"},\n",
             yes_no[config_flag(config, "tokenize_chinese_chars", true)],
             yes_no[config_flag(config, "strip_accents", low)], yes_no[low]);
    RET_IF_ERR(add_bert_specials(b, v, config, name, err));
    str_add(b, ",\"vocab\":{");
    for (int32_t id = 0; id < v->n_ids; id++) {
        const char *t = vocab_token(v, id);
        if (vocab_id(v, t, strlen(t)) != id)
            continue;
        str_add(b, first ? "" : ",\n");
        str_add_json(b, t);
        str_addf(b, ":%d", id);
        first = false;
    }
    str_add(b, "}}}\n");
    return MOHS_OK;
}

mohs_status tokenizer_json_bert(const char *text, size_t n,
                                const json_t *config, const char *name,
                                char **out, struct mohs_error *err)
{
    struct vocab v = { 0 };
    struct str b = { 0 };
    mohs_status st = read_lines(&v, text, n, name, err);
    if (st >= 0)
        st = bert_text(&b, &v, config, name, err);
    vocab_clear(&v);
    if (st < 0)
        str_free(&b);
    else
        *out = b.s;
    return st;
}

/* ---- SentencePiece ------------------------------------------------------ */

static void add_sp_special(struct str *b, const struct sp_model *m, int32_t id)
{
    char *text = xasprintf("%.*s", (int)m->piece[id].n, m->piece[id].text);
    str_addf(b, "{\"id\":%d,\"lstrip\":true,\"rstrip\":true,"
             "\"normalized\":false,\"special\":true,\"content\":", id);
    str_add_json(b, text);
    str_add(b, "}");
    free(text);
}

static const char siglip_steps[] =
    "{\"type\":\"RemovePunctuation\"},{\"type\":\"PythonWords\"}";

mohs_status tokenizer_json_sentencepiece(const struct sp_text *t, char **out,
                                         struct mohs_error *err)
{
    struct sp_model m;
    struct str b = { 0 };
    RET_IF_ERR(sp_read(&m, t->data, t->n, t->name, err));
    int32_t eos = sp_control(&m, "</s>");
    eos = eos >= 0 ? eos : sp_control(&m, "<eos>");
    int32_t pad = sp_control(&m, "<pad>");
    str_addf(&b, "{%s,\n", t->mohs);
    if (t->siglip && eos >= 0) {
        str_add(&b, "\"added_tokens\":[");
        add_sp_special(&b, &m, eos);
        str_add(&b, ",");
        add_sp_special(&b, &m, m.unk);
        str_addf(&b, "],\n\"normalizer\":{\"type\":\"Sequence\","
                 "\"normalizers\":[%s%s]},\n",
                 t->lower ? "{\"type\":\"PythonLower\"}," : "", siglip_steps);
    }
    if (eos >= 0)
        str_addf(&b, "\"post_processor\":{\"type\":\"TemplateProcessing\","
                 "\"single\":[{\"Sequence\":{\"id\":\"A\"}},{\"SpecialToken\":"
                 "{\"id\":\"end\"}}],\"special_tokens\":{\"end\":{\"ids\":[%d]}}},\n",
                 eos);
    str_addf(&b, "\"padding\":{\"pad_id\":%d},\n",
             t->siglip ? eos : pad >= 0 ? pad : eos >= 0 ? eos : 0);
    str_addf(&b, "\"model\":{\"type\":\"SentencePiece\",\"unk_prefix\":%s,"
             "\"proto\":\"", t->siglip ? "true" : "false");
    str_add_base64(&b, t->data, t->n);
    str_add(&b, "\"}}\n");
    sp_clear(&m);
    if (t->siglip && eos < 0) {
        str_free(&b);
        return mohs_fail(err, MOHS_E_FORMAT, "%s: no piece \"</s>\"", t->name);
    }
    *out = b.s;
    return MOHS_OK;
}
