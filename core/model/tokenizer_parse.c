/* SPDX-License-Identifier: MIT */
/* tokenizer.json, and vocab.json with merges.txt, into a tokenizer. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "model/tokenizer.h"

static const char *text_of(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));
    return s ? s : "";
}

/* A pattern {"Regex": "..."} or {"String": "..."}. */
static const char *pattern_of(const json_t *o, bool *regex)
{
    const json_t *p = json_object_get(o, "pattern");
    const char *r = json_string_value(json_object_get(p, "Regex"));
    *regex = r != NULL;
    return r ? r : json_string_value(json_object_get(p, "String"));
}

/* A literal as a regular expression. */
static char *quoted(const char *s)
{
    struct str q = { 0 };
    str_add(&q, "");
    for (; *s; s++) {
        if (strchr("\\^$.|?*+()[]{}", *s))
            str_add(&q, "\\");
        str_addn(&q, s, 1);
    }
    return q.s;
}

static mohs_status add_normal(struct tokenizer *t, enum normal_kind kind,
                              const json_t *o, const char *name,
                              struct mohs_error *err)
{
    bool regex = false;
    if (t->n_normal == STEPS_MAX)
        return mohs_fail(err, MOHS_E_FORMAT, "%s: more than %d normalizers", name,
                         STEPS_MAX);
    struct normal_step *s = &t->normal[t->n_normal];
    memset(s, 0, sizeof *s);
    s->kind = kind;
    if (kind == NORMAL_REPLACE) {
        const char *p = pattern_of(o, &regex);
        if (!p)
            return mohs_fail(err, MOHS_E_FORMAT, "%s: Replace without a pattern", name);
        if (regex)
            RET_IF_ERR(regex_new(p, name, &s->regex, err));
        s->find = xstrdup(p);
        s->text = xstrdup(text_of(o, "content"));
    }
    t->n_normal++;
    return MOHS_OK;
}

static mohs_status add_split(struct tokenizer *t, const char *pattern,
                             bool matches_only, bool drop, const char *name,
                             struct mohs_error *err)
{
    if (t->n_split == STEPS_MAX)
        return mohs_fail(err, MOHS_E_FORMAT, "%s: more than %d pre-tokenizers", name,
                         STEPS_MAX);
    struct split_step *s = &t->split[t->n_split];
    RET_IF_ERR(regex_new(pattern, name, &s->regex, err));
    s->matches_only = matches_only;
    s->drop_matches = drop;
    t->n_split++;
    return MOHS_OK;
}

static mohs_status parse_normalizer(struct tokenizer *t, const json_t *o,
                                    const char *name, struct mohs_error *err)
{
    const char *type = text_of(o, "type");
    size_t i;
    json_t *v;
    if (!o || json_is_null(o))
        return MOHS_OK;
    if (!strcmp(type, "Sequence")) {
        json_array_foreach(json_object_get(o, "normalizers"), i, v)
        {
            if (!strcmp(text_of(v, "type"), "Sequence"))
                return mohs_fail(err, MOHS_E_FORMAT, "%s: nested normalizers", name);
            RET_IF_ERR(parse_normalizer(t, v, name, err));
        }
        return MOHS_OK;
    }
    if (!strcmp(type, "NFC"))
        return add_normal(t, NORMAL_NFC, o, name, err);
    if (!strcmp(type, "Lowercase"))
        return add_normal(t, NORMAL_LOWER, o, name, err);
    if (!strcmp(type, "Replace"))
        return add_normal(t, NORMAL_REPLACE, o, name, err);
    return mohs_fail(err, MOHS_E_UNSUPPORTED, "%s: normalizer '%s'", name, type);
}

static mohs_status parse_split(struct tokenizer *t, const json_t *o,
                               const char *name, struct mohs_error *err)
{
    bool regex;
    const char *p = pattern_of(o, &regex), *how = text_of(o, "behavior");
    bool invert = json_is_true(json_object_get(o, "invert"));
    bool removed = !strcmp(how, "Removed");
    if (!p || (!removed && strcmp(how, "Isolated")))
        return mohs_fail(err, MOHS_E_UNSUPPORTED, "%s: Split with behaviour '%s'", name,
                         how);
    char *lit = regex ? NULL : quoted(p);
    mohs_status st = add_split(t, regex ? p : lit, removed && invert,
                               removed && !invert, name, err);
    free(lit);
    return st;
}

static mohs_status parse_pre(struct tokenizer *t, const json_t *o, const char *name,
                             struct mohs_error *err)
{
    const char *type = text_of(o, "type");
    size_t i;
    json_t *v;
    if (!o || json_is_null(o))
        return MOHS_OK;
    if (!strcmp(type, "Sequence")) {
        json_array_foreach(json_object_get(o, "pretokenizers"), i, v)
        {
            if (!strcmp(text_of(v, "type"), "Sequence"))
                return mohs_fail(err, MOHS_E_FORMAT, "%s: nested pre-tokenizers", name);
            RET_IF_ERR(parse_pre(t, v, name, err));
        }
        return MOHS_OK;
    }
    if (!strcmp(type, "Split"))
        return parse_split(t, o, name, err);
    if (!strcmp(type, "ByteLevel")) {
        const json_t *use = json_object_get(o, "use_regex");
        if (json_is_true(json_object_get(o, "add_prefix_space")))
            return mohs_fail(err, MOHS_E_UNSUPPORTED, "%s: add_prefix_space", name);
        t->byte_level = true;
        return use && json_is_false(use)
                   ? MOHS_OK
                   : add_split(t, GPT2_PATTERN, false, false, name, err);
    }
    return mohs_fail(err, MOHS_E_UNSUPPORTED, "%s: pre-tokenizer '%s'", name, type);
}

static mohs_status add_special(struct tokenizer *t, const json_t *o, const char *name,
                               struct mohs_error *err)
{
    const char *text = text_of(o, "content");
    const json_t *id = json_object_get(o, "id");
    if (!*text || !json_is_integer(id) || json_integer_value(id) < 0 ||
        json_integer_value(id) > TOKENS_MAX)
        return mohs_fail(err, MOHS_E_FORMAT, "%s: bad added token '%.40s'", name, text);
    if (json_is_true(json_object_get(o, "single_word")))
        return mohs_fail(err, MOHS_E_UNSUPPORTED, "%s: single_word token '%.40s'", name,
                         text);
    t->special = xrealloc(t->special, (t->n_special + 1) * sizeof *t->special);
    t->special[t->n_special++] = (struct special) {
        .text = xstrdup(text),
        .n = strlen(text),
        .id = (int32_t)json_integer_value(id),
        .normalised = json_is_true(json_object_get(o, "normalized")),
        .lstrip = json_is_true(json_object_get(o, "lstrip")),
        .rstrip = json_is_true(json_object_get(o, "rstrip")),
    };
    return MOHS_OK;
}

static mohs_status parse_vocab(struct tokenizer *t, const json_t *vocab,
                               const char *name, struct mohs_error *err)
{
    const char *key;
    json_t *v;
    if (!json_is_object(vocab))
        return mohs_fail(err, MOHS_E_FORMAT, "%s: no vocabulary", name);
    json_object_foreach((json_t *)vocab, key, v)
    {
        json_int_t id = json_is_integer(v) ? json_integer_value(v) : -1;
        if (id < 0 || id > TOKENS_MAX || !bpe_add(t->bpe, key, (int32_t)id))
            return mohs_fail(err, MOHS_E_FORMAT, "%s: bad id of token '%.40s'", name,
                             key);
    }
    return MOHS_OK;
}

static mohs_status add_merge_line(struct tokenizer *t, const char *line, size_t n,
                                  size_t i, const char *name, struct mohs_error *err)
{
    const char *space = memchr(line, ' ', n);
    char *l = NULL, *r = NULL;
    bool ok = false;
    if (space) {
        l = xasprintf("%.*s", (int)(space - line), line);
        r = xasprintf("%.*s", (int)(line + n - space - 1), space + 1);
        ok = bpe_merge(t->bpe, l, r);
    }
    free(l);
    free(r);
    return ok ? MOHS_OK
              : mohs_fail(err, MOHS_E_FORMAT,
                          "%s: merge %zu '%.*s' is not of known tokens", name, i,
                          (int)(n < 60 ? n : 60), line);
}

static mohs_status parse_merges(struct tokenizer *t, const json_t *merges,
                                const char *name, struct mohs_error *err)
{
    size_t i;
    json_t *v;
    if (!json_is_array(merges))
        return mohs_fail(err, MOHS_E_FORMAT, "%s: no merges", name);
    json_array_foreach((json_t *)merges, i, v)
    {
        if (json_is_string(v)) {
            RET_IF_ERR(add_merge_line(t, json_string_value(v), json_string_length(v), i,
                                      name, err));
            continue;
        }
        const char *l = json_string_value(json_array_get(v, 0));
        const char *r = json_string_value(json_array_get(v, 1));
        if (!l || !r || !bpe_merge(t->bpe, l, r))
            return mohs_fail(err, MOHS_E_FORMAT, "%s: merge %zu is not of known tokens",
                             name, i);
    }
    return MOHS_OK;
}

static mohs_status parse_model(struct tokenizer *t, const json_t *m, const char *name,
                               struct mohs_error *err)
{
    const char *type = text_of(m, "type");
    const char *unk = json_string_value(json_object_get(m, "unk_token"));
    if (strcmp(type, "BPE") && (*type || !json_object_get(m, "merges")))
        return mohs_fail(err, MOHS_E_UNSUPPORTED, "%s: tokenizer model '%s'", name, type);
    if (*text_of(m, "continuing_subword_prefix"))
        return mohs_fail(err, MOHS_E_UNSUPPORTED, "%s: continuing_subword_prefix", name);
    t->bpe = bpe_new(text_of(m, "end_of_word_suffix"));
    RET_IF_ERR(parse_vocab(t, json_object_get(m, "vocab"), name, err));
    RET_IF_ERR(parse_merges(t, json_object_get(m, "merges"), name, err));
    t->unk = unk ? bpe_id(t->bpe, unk, strlen(unk)) : -1;
    return MOHS_OK;
}

static int32_t pair_id(const json_t *pair)
{
    const json_t *id = json_array_get(pair, 1);
    return json_is_integer(id) ? (int32_t)json_integer_value(id) : -1;
}

static int32_t special_id(const struct tokenizer *t, const char *text)
{
    for (size_t i = 0; i < t->n_special; i++)
        if (!strcmp(t->special[i].text, text))
            return t->special[i].id;
    return bpe_id(t->bpe, text, strlen(text));
}

/* "single" of a TemplateProcessing: one special before and after $A. */
static mohs_status parse_template(struct tokenizer *t, const json_t *o,
                                  const char *name, struct mohs_error *err)
{
    size_t i;
    json_t *v;
    bool after = false;
    json_array_foreach(json_object_get(o, "single"), i, v)
    {
        const json_t *s = json_object_get(v, "SpecialToken");
        if (json_object_get(v, "Sequence"))
            after = true;
        else if (!s || (after ? t->eos : t->bos) >= 0)
            return mohs_fail(err, MOHS_E_UNSUPPORTED, "%s: post-processor template",
                             name);
        else if (after)
            t->eos = special_id(t, text_of(s, "id"));
        else
            t->bos = special_id(t, text_of(s, "id"));
    }
    return MOHS_OK;
}

static mohs_status parse_post(struct tokenizer *t, const json_t *o, const char *name,
                              struct mohs_error *err)
{
    const char *type = text_of(o, "type");
    if (!o || json_is_null(o) || !strcmp(type, "ByteLevel"))
        return MOHS_OK;
    if (!strcmp(type, "RobertaProcessing") || !strcmp(type, "BertProcessing")) {
        t->bos = pair_id(json_object_get(o, "cls"));
        t->eos = pair_id(json_object_get(o, "sep"));
        return MOHS_OK;
    }
    if (!strcmp(type, "TemplateProcessing"))
        return parse_template(t, o, name, err);
    return mohs_fail(err, MOHS_E_UNSUPPORTED, "%s: post-processor '%s'", name, type);
}

static void choose_pad(struct tokenizer *t, const json_t *root)
{
    const json_t *id = json_object_get(json_object_get(root, "padding"), "pad_id");
    t->pad = json_is_integer(id) ? (int32_t)json_integer_value(id)
             : t->eos >= 0       ? t->eos
                                 : 0;
}

static struct tokenizer *blank(void)
{
    struct tokenizer *t = xcalloc(1, sizeof *t);
    t->bos = t->eos = t->unk = -1;
    return t;
}

mohs_status tokenizer_parse(const char *json, size_t n, const char *name,
                            struct tokenizer **out, struct mohs_error *err)
{
    json_error_t je;
    struct tokenizer *t = blank();
    size_t i;
    json_t *v, *root = json_loadb(json, n, JSON_REJECT_DUPLICATES, &je);
    mohs_status st = MOHS_OK;
    if (!json_is_object(root)) {
        st = mohs_fail(err, MOHS_E_FORMAT, "%s: tokenizer: %s", name,
                       root ? "not an object" : je.text);
        goto out;
    }
    OUT_IF_ERR(parse_model(t, json_object_get(root, "model"), name, err));
    json_array_foreach(json_object_get(root, "added_tokens"), i, v)
        OUT_IF_ERR(add_special(t, v, name, err));
    OUT_IF_ERR(parse_normalizer(t, json_object_get(root, "normalizer"), name, err));
    OUT_IF_ERR(parse_pre(t, json_object_get(root, "pre_tokenizer"), name, err));
    OUT_IF_ERR(parse_post(t, json_object_get(root, "post_processor"), name, err));
    choose_pad(t, root);
    *out = t;
    t = NULL;
out:
    tokenizer_free(t);
    json_decref(root);
    return st;
}

/* ---- CLIP's own files ---- */

mohs_status tokenizer_clip_steps(struct tokenizer *t, struct mohs_error *err)
{
    json_t *space = json_pack("{s:{s:s}, s:s}", "pattern", "Regex", "\\s+", "content",
                              " ");
    mohs_status st = add_normal(t, NORMAL_NFC, NULL, "clip", err);
    if (st >= 0)
        st = add_normal(t, NORMAL_REPLACE, space, "clip", err);
    json_decref(space);
    if (st >= 0)
        st = add_normal(t, NORMAL_LOWER, NULL, "clip", err);
    t->byte_level = true;
    return st < 0 ? st : add_split(t, CLIP_PATTERN, true, false, "clip", err);
}

static mohs_status read_merges(struct tokenizer *t, const char *path,
                               struct mohs_error *err)
{
    char *text;
    size_t n, rank = 0;
    RET_IF_ERR(file_read(path, 64u << 20, &text, &n, err));
    mohs_status st = MOHS_OK;
    for (char *p = text; *p && st >= 0;) {
        size_t len = strcspn(p, "\n"), cut = len;
        while (cut && (p[cut - 1] == '\r' || p[cut - 1] == ' '))
            cut--;
        if (cut && strncmp(p, "#version", 8))
            st = add_merge_line(t, p, cut, rank++, path, err);
        p += len + (p[len] == '\n');
    }
    free(text);
    return st;
}

static void clip_special(struct tokenizer *t, const char *text, int32_t *id)
{
    *id = bpe_id(t->bpe, text, strlen(text));
    if (*id < 0)
        return;
    t->special = xrealloc(t->special, (t->n_special + 1) * sizeof *t->special);
    t->special[t->n_special++] = (struct special) { .text = xstrdup(text),
                                                    .n = strlen(text), .id = *id,
                                                    .normalised = true };
}

mohs_status tokenizer_from_vocab(const char *dir, struct tokenizer **out,
                                 struct mohs_error *err)
{
    char *vocab = path_join(dir, "vocab.json"), *merges = path_join(dir, "merges.txt");
    struct tokenizer *t = blank();
    char *text = NULL;
    size_t n;
    json_t *root = NULL;
    json_error_t je;
    mohs_status st;
    if (!file_exists(vocab) || !file_exists(merges)) {
        st = mohs_fail(err, MOHS_E_IO,
                       "%s: no tokenizer.json and no vocab.json with merges.txt", dir);
        goto out;
    }
    OUT_IF_ERR(file_read(vocab, 64u << 20, &text, &n, err));
    root = json_loadb(text, n, JSON_REJECT_DUPLICATES, &je);
    if (!root) {
        st = mohs_fail(err, MOHS_E_FORMAT, "%s: %s", vocab, je.text);
        goto out;
    }
    t->bpe = bpe_new("</w>");
    OUT_IF_ERR(parse_vocab(t, root, vocab, err));
    OUT_IF_ERR(read_merges(t, merges, err));
    OUT_IF_ERR(tokenizer_clip_steps(t, err));
    clip_special(t, "<|startoftext|>", &t->bos);
    clip_special(t, "<|endoftext|>", &t->eos);
    if (t->bos < 0 || t->eos < 0) {
        st = mohs_fail(err, MOHS_E_FORMAT, "%s: no <|startoftext|> or <|endoftext|>",
                       vocab);
        goto out;
    }
    t->unk = t->pad = t->eos;
    *out = t;
    t = NULL;
out:
    tokenizer_free(t);
    json_decref(root);
    free(text);
    free(vocab);
    free(merges);
    return st;
}
