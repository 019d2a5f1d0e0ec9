/* SPDX-License-Identifier: MIT */
/*
 * Tokenizers of the byte-level BPE family: CLIP's vocab.json + merges.txt and
 * tokenizer.json, step by step as the tokenizers library does it: special
 * tokens, normaliser, splitter, bytes, merges, begin and end.
 */
#include "config.h"

#include "model/tokenizer.h"

#include <stdlib.h>
#include <string.h>

const char CLIP_PATTERN[] = "'s|'t|'re|'ve|'m|'ll|'d|[\\p{L}]+|[\\p{N}]|"
                            "[^\\s\\p{L}\\p{N}]+";
const char GPT2_PATTERN[] = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?"
                            "[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

void tokenizer_free(struct tokenizer *t)
{
    if (!t)
        return;
    for (size_t i = 0; i < t->n_normal; i++) {
        regex_free(t->normal[i].regex);
        free(t->normal[i].text);
        free(t->normal[i].find);
    }
    for (size_t i = 0; i < t->n_split; i++)
        regex_free(t->split[i].regex);
    for (size_t i = 0; i < t->n_special; i++)
        free(t->special[i].text);
    free(t->special);
    bpe_free(t->bpe);
    free(t);
}

/* ---- normalising ---- */

static void replace(const struct normal_step *s, const struct str *in, struct str *out)
{
    size_t at = 0, b, e;
    str_add(out, "");
    if (s->regex) {
        while (regex_next(s->regex, in->s, in->n, at, &b, &e)) {
            str_addn(out, in->s + at, b - at);
            str_add(out, s->text);
            at = e;
        }
    } else if (*s->find) {
        for (char *hit; (hit = strstr(in->s + at, s->find));) {
            str_addn(out, in->s + at, (size_t)(hit - in->s) - at);
            str_add(out, s->text);
            at = (size_t)(hit - in->s) + strlen(s->find);
        }
    }
    str_addn(out, in->s + at, in->n - at);
}

static void normalise(const struct tokenizer *t, const char *s, size_t n,
                      struct str *out)
{
    str_add(out, "");
    str_addn(out, s, n);
    for (size_t i = 0; i < t->n_normal; i++) {
        struct str next = { 0 };
        str_add(&next, "");
        switch (t->normal[i].kind) {
        case NORMAL_NFC: utf8_nfc(out->s, out->n, &next); break;
        case NORMAL_LOWER: utf8_lower(out->s, out->n, &next); break;
        case NORMAL_REPLACE: replace(&t->normal[i], out, &next); break;
        }
        str_free(out);
        *out = next;
    }
}

/* ---- splitting ---- */

struct word_visit {
    void (*fn)(void *user, const char *word, size_t n);
    void *user;
};

/* Applies splitters from step k on and hands out the pieces. */
static void visit_pieces(const struct tokenizer *t, size_t k, const char *s, size_t n,
                         const struct word_visit *v)
{
    if (!n)
        return;
    if (k == t->n_split) {
        struct str bytes = { 0 };
        if (t->byte_level)
            byte_level(s, n, &bytes);
        v->fn(v->user, t->byte_level ? bytes.s : s, t->byte_level ? bytes.n : n);
        str_free(&bytes);
        return;
    }
    const struct split_step *p = &t->split[k];
    size_t at = 0, b, e;
    while (regex_next(p->regex, s, n, at, &b, &e)) {
        if (!p->matches_only)
            visit_pieces(t, k + 1, s + at, b - at, v);
        if (!p->drop_matches)
            visit_pieces(t, k + 1, s + b, e - b, v);
        at = e;
    }
    if (!p->matches_only)
        visit_pieces(t, k + 1, s + at, n - at, v);
}

void tokenizer_words(const struct tokenizer *t, const char *text, size_t n,
                     void (*fn)(void *user, const char *word, size_t n), void *user)
{
    struct word_visit v = { fn, user };
    struct str fixed = { 0 }, norm = { 0 };
    utf8_repair(text, n, &fixed);
    normalise(t, fixed.s, fixed.n, &norm);
    visit_pieces(t, 0, norm.s, norm.n, &v);
    str_free(&fixed);
    str_free(&norm);
}

/* ---- special tokens ---- */

/* The longest special token of the given kind at s. */
static const struct special *special_at(const struct tokenizer *t, const char *s,
                                        size_t n, bool normalised)
{
    const struct special *best = NULL;
    for (size_t i = 0; i < t->n_special; i++) {
        const struct special *p = &t->special[i];
        if (p->normalised == normalised && p->n <= n && !memcmp(s, p->text, p->n) &&
            (!best || p->n > best->n))
            best = p;
    }
    return best;
}

struct encode {
    const struct tokenizer *t;
    struct ids *out;
};

static void encode_word(void *user, const char *word, size_t n)
{
    struct encode *e = user;
    bpe_word(e->t->bpe, word, n, e->t->unk, e->out);
}

static void text_ids(const struct tokenizer *t, const char *s, size_t n, bool raw,
                     struct ids *out);

static void plain_ids(const struct tokenizer *t, const char *s, size_t n, bool raw,
                      struct ids *out)
{
    if (!n)
        return;
    if (!raw) {
        struct encode e = { t, out };
        struct word_visit v = { encode_word, &e };
        visit_pieces(t, 0, s, n, &v);
        return;
    }
    struct str norm = { 0 };
    normalise(t, s, n, &norm);
    text_ids(t, norm.s, norm.n, false, out);
    str_free(&norm);
}

/* Special tokens of raw text, then of normalised text between them. */
static void text_ids(const struct tokenizer *t, const char *s, size_t n, bool raw,
                     struct ids *out)
{
    size_t start = 0;
    for (size_t i = 0; i < n;) {
        const struct special *p = special_at(t, s + i, n - i, !raw);
        if (!p) {
            i++;
            continue;
        }
        size_t end = i;
        while (p->lstrip && end > start && s[end - 1] == ' ')
            end--;
        plain_ids(t, s + start, end - start, raw, out);
        ids_add(out, p->id);
        i += p->n;
        while (p->rstrip && i < n && s[i] == ' ')
            i++;
        start = i;
    }
    plain_ids(t, s + start, n - start, raw, out);
}

mohs_status tokenizer_ids(const struct tokenizer *t, const char *text, size_t n,
                          int32_t **ids, size_t *count, struct mohs_error *err)
{
    struct ids out = { 0 };
    struct str fixed = { 0 };
    if (n > TEXT_MAX)
        return mohs_fail(err, MOHS_E_ARG, "text of %zu bytes, the limit is %d", n,
                         TEXT_MAX);
    utf8_repair(text, n, &fixed);
    text_ids(t, fixed.s, fixed.n, true, &out);
    str_free(&fixed);
    if (!out.v)
        out.v = xmalloc(sizeof *out.v);
    *ids = out.v;
    *count = out.n;
    return MOHS_OK;
}

mohs_status tokenizer_encode(const struct tokenizer *t, const char *text,
                             size_t n, uint32_t context, int32_t *ids,
                             uint32_t *last, struct mohs_error *err)
{
    int32_t *v;
    size_t count;
    if (context < 2)
        return mohs_fail(err, MOHS_E_ARG, "a context of %u tokens", context);
    RET_IF_ERR(tokenizer_ids(t, text, n, &v, &count, err));
    uint32_t k = 0;
    if (t->bos >= 0)
        ids[k++] = t->bos;
    uint32_t room = context - k - (t->eos >= 0);
    for (size_t i = 0; i < count && i < room; i++)
        ids[k++] = v[i];
    if (t->eos >= 0)
        ids[k++] = t->eos;
    *last = k ? k - 1 : 0;
    while (k < context)
        ids[k++] = t->pad;
    free(v);
    return MOHS_OK;
}

const char *tokenizer_text(const struct tokenizer *t, int32_t id)
{
    const char *s = bpe_token(t->bpe, id);
    for (size_t i = 0; !s && i < t->n_special; i++)
        if (t->special[i].id == id)
            s = t->special[i].text;
    return s ? s : "";
}

uint32_t tokenizer_size(const struct tokenizer *t)
{
    int32_t n = bpe_size(t->bpe);
    for (size_t i = 0; i < t->n_special; i++)
        n = t->special[i].id >= n ? t->special[i].id + 1 : n;
    return (uint32_t)n;
}

/* ---- finding the files ---- */

mohs_status tokenizer_open(const struct mohs_weights *w, struct tokenizer **out,
                           struct mohs_error *err)
{
    const char *text = weights_tokenizer(w);
    if (text)
        return tokenizer_parse(text, strlen(text), weights_path(w), out, err);
    return tokenizer_load(weights_dir(w), out, err);
}

mohs_status tokenizer_load(const char *path, struct tokenizer **out,
                           struct mohs_error *err)
{
    char *json = dir_exists(path) ? path_join(path, "tokenizer.json") : xstrdup(path);
    char *text = NULL;
    size_t n;
    mohs_status st;
    if (!file_exists(json) && dir_exists(path)) {
        st = tokenizer_from_vocab(path, out, err);
    } else {
        st = file_read(json, 256u << 20, &text, &n, err);
        if (st >= 0)
            st = tokenizer_parse(text, n, json, out, err);
    }
    free(text);
    free(json);
    return st;
}
