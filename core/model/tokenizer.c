/* SPDX-License-Identifier: MIT */
/*
 * Texts into ids: added tokens of the raw text, the normalizer, added tokens
 * of the normalised text, words, merges; then begin, end and padding.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "model/tokenizer.h"
#include "model/weights.h"

#define MARK "\xE2\x96\x81" /* of a space */

void tokenizer_free(struct tokenizer *t)
{
    if (!t)
        return;
    for (size_t i = 0; i < t->n_added; i++) {
        free(t->added[i].name);
        free(t->added[i].match);
    }
    for (int32_t i = 0; t->readable && i < t->n_ids; i++)
        free(t->readable[i]);
    free(t->readable);
    free(t->added);
    free(t->order[0]);
    free(t->order[1]);
    normalizer_clear(&t->clean);
    normalizer_clear(&t->normal);
    pretokenizer_clear(&t->pre);
    token_model_clear(&t->model);
    free(t);
}

/* ---- making it ready ---------------------------------------------------- */

static int by_first_longest(const void *pa, const void *pb)
{
    const struct added *a = *(struct added *const *)pa;
    const struct added *b = *(struct added *const *)pb;
    unsigned char ca = (unsigned char)*a->match, cb = (unsigned char)*b->match;
    if (ca != cb)
        return ca < cb ? -1 : 1;
    if (a->n != b->n)
        return a->n > b->n ? -1 : 1;
    return a < b ? -1 : a > b; // of two alike the first written
}

static void sort_added(struct tokenizer *t, bool normalized)
{
    struct added **v = xcalloc(t->n_added, sizeof *v);
    size_t n = 0;
    for (size_t i = 0; i < t->n_added; i++)
        if (t->added[i].normalized == normalized && t->added[i].n &&
            !t->whole_words)
            v[n++] = &t->added[i];
    qsort(v, n, sizeof *v, by_first_longest);
    t->order[normalized] = v;
    uint32_t *first = t->first[normalized];
    for (size_t k = 0, c = 0; c < 257; c++) {
        while (k < n && (unsigned char)*v[k]->match < c)
            k++;
        first[c] = (uint32_t)k;
    }
}

/* Byte-level: the bytes that the characters stand for. */
static bool add_bytes(const char *token, size_t n, struct str *out)
{
    size_t start = out->n;
    for (size_t i = 0; i < n;) {
        uint32_t c;
        i += utf8_get(token + i, &c);
        int b = byte_of_char(c);
        if (b < 0) {
            out->n = start;
            return false;
        }
        str_addn(out, &(char) { (char)b }, 1);
    }
    return true;
}

/* U+2581 as the space it stands for, and <0xAB> as its byte. */
static void add_pieces(const char *token, size_t n, struct str *out)
{
    size_t m = sizeof MARK - 1;
    unsigned byte;
    if (n == 6 && sscanf(token, "<0x%2X>", &byte) == 1) {
        str_addn(out, &(char) { (char)byte }, 1);
        return;
    }
    for (size_t i = 0, k; i < n; i += k) {
        bool mark = n - i >= m && !memcmp(token + i, MARK, m);
        k = mark ? m : 1;
        str_addn(out, mark ? " " : token + i, 1);
    }
}

/* Appends the text that a token stands for, without the suffix of a word's
 * end. True when the suffix was there. */
static bool token_bytes(const struct tokenizer *t, const char *token,
                        struct str *out)
{
    const char *suffix = token_model_suffix(&t->model);
    size_t n = strlen(token), m = strlen(suffix);
    bool ends = m && n > m && !strcmp(token + n - m, suffix);
    n -= ends ? m : 0;
    if (!t->bytes || !add_bytes(token, n, out))
        add_pieces(token, n, out);
    return ends;
}

static char *readable(const struct tokenizer *t, const char *token)
{
    struct str raw = { 0 }, out = { 0 };
    str_add(&raw, "");
    token_bytes(t, token, &raw);
    bool lead = !t->bytes && raw.n > 1 && *raw.s == ' ';
    utf8_repair(raw.s + lead, raw.n - lead, &out);
    str_free(&raw);
    return out.s;
}

static bool has_bytes(const struct tokenizer *t)
{
    for (size_t i = 0; i < t->pre.n; i++)
        if (t->pre.step[i].kind == SPLIT_BYTES)
            return true;
    return false;
}

void tokenizer_finish(struct tokenizer *t)
{
    struct matcher *m = matcher_new();
    t->bytes = has_bytes(t);
    t->n_ids = t->model.vocab.n_ids;
    for (size_t i = 0; i < t->n_added; i++) {
        struct added *a = &t->added[i];
        struct str s = { 0 };
        str_add(&s, a->name);
        if (a->normalized)
            normalizer_run(&t->normal, m, &s);
        a->match = s.s;
        a->n = s.n;
        t->n_ids = a->id >= t->n_ids ? a->id + 1 : t->n_ids;
    }
    matcher_free(m);
    sort_added(t, false);
    sort_added(t, true);
    t->readable = xcalloc((size_t)t->n_ids, sizeof *t->readable);
    for (size_t i = 0; i < t->n_added; i++) {
        char **r = &t->readable[t->added[i].id];
        if (!*r)
            *r = xstrdup(t->added[i].name);
    }
    for (int32_t id = 0; id < t->model.vocab.n_ids; id++) {
        const char *token = vocab_token(&t->model.vocab, id);
        if (token && !t->readable[id])
            t->readable[id] = readable(t, token);
    }
}

/* ---- encoding ----------------------------------------------------------- */

struct run {
    const struct tokenizer *t;
    struct matcher *m;
    bool start; /* of the whole text */
    struct ids out;
};

/* The longest added token at s[0..n). */
static const struct added *added_at(const struct tokenizer *t, const char *s,
                                    size_t n, bool normalized)
{
    const uint32_t *first = &t->first[normalized][(unsigned char)*s];
    for (uint32_t i = first[0]; i < first[1]; i++) {
        const struct added *a = t->order[normalized][i];
        if (a->n <= n && !memcmp(a->match, s, a->n))
            return a;
    }
    return NULL;
}

static bool alone(const char *s, size_t n, size_t from, size_t to)
{
    return !is_word_before(s, from) && !is_word_at(s, n, to);
}

static bool is_blank(const struct tokenizer *t, uint32_t c)
{
    return t->mark ? is_python_space(c) : is_space(c);
}

static size_t spaces_before(const struct tokenizer *t, const char *s,
                            size_t from, size_t least)
{
    uint32_t c;
    while (from > least) {
        size_t k = utf8_back(s, from);
        utf8_get(s + k, &c);
        if (!is_blank(t, c))
            break;
        from = k;
    }
    return from;
}

static size_t spaces_behind(const struct tokenizer *t, const char *s, size_t n,
                            size_t to)
{
    uint32_t c;
    while (to < n) {
        size_t k = utf8_get(s + to, &c);
        if (!is_blank(t, c))
            break;
        to += k;
    }
    return to;
}

static void encode_word(void *user, const char *word, size_t n)
{
    struct run *r = user;
    for (size_t i = 0; r->t->whole_words && i < r->t->n_added; i++)
        if (strlen(r->t->added[i].name) == n &&
            !memcmp(r->t->added[i].name, word, n)) {
            ids_add(&r->out, &r->t->added[i].id, 1);
            return;
        }
    token_model_word(&r->t->model, word, n, &r->out);
}

static void encode_text(struct run *r, const char *s, size_t n, bool normalized);

/* What lies between added tokens. */
static void encode_between(struct run *r, const char *s, size_t n,
                           bool normalized)
{
    if (!n)
        return;
    if (normalized) {
        struct word_visit v = { encode_word, r };
        pretokenizer_run(&r->t->pre, r->m, s, n, r->start, &v);
        r->start = false;
        return;
    }
    struct str text = { 0 };
    str_addn(&text, s, n);
    normalizer_run(&r->t->normal, r->m, &text);
    encode_text(r, text.s, text.n, true);
    str_free(&text);
}

/* The mark before a text goes when nothing stands between it and a special
 * token. */
static void add_special(struct run *r, int32_t id)
{
    if (r->t->mark && r->out.n == 1 &&
        r->out.v[0] == vocab_id(&r->t->model.vocab, MARK, sizeof MARK - 1))
        r->out.n = 0;
    ids_add(&r->out, &id, 1);
    r->start = false;
}

static void encode_text(struct run *r, const char *s, size_t n, bool normalized)
{
    size_t done = 0;
    for (size_t i = 0; i < n;) {
        const struct added *a = added_at(r->t, s + i, n - i, normalized);
        if (!a) {
            i++;
            continue;
        }
        size_t from = i, to = i + a->n;
        i = to; // matches do not overlap, those that do not count included
        if (a->single_word && !alone(s, n, from, to))
            continue;
        if (a->lstrip)
            from = spaces_before(r->t, s, from, done);
        if (a->rstrip)
            to = spaces_behind(r->t, s, n, to);
        if (from > done)
            encode_between(r, s + done, from - done, normalized);
        add_special(r, a->id);
        done = to;
    }
    if (n > done)
        encode_between(r, s + done, n - done, normalized);
}

/* The text as the first added tokens are looked for in it. */
static void prepare(const struct tokenizer *t, struct matcher *m,
                    struct str *text)
{
    struct str out = { 0 };
    normalizer_run(&t->clean, m, text);
    if (!t->mark)
        return;
    str_add(&out, MARK);
    for (size_t i = 0, k; i < text->n; i += k) {
        bool mark = !strncmp(text->s + i, MARK, sizeof MARK - 1);
        k = mark ? sizeof MARK - 1 : 1;
        str_addn(&out, mark ? " " : text->s + i, 1);
    }
    str_free(text);
    *text = out;
}

mohs_status tokenizer_ids(const struct tokenizer *t, const char *text, size_t n,
                          int32_t **ids, size_t *count, struct mohs_error *err)
{
    struct run r = { .t = t, .start = true };
    struct str fixed = { 0 };
    if (n > TEXT_MAX)
        return mohs_fail(err, MOHS_E_ARG, "a text of %zu bytes, the limit is %d",
                         n, TEXT_MAX);
    r.m = matcher_new();
    utf8_repair(text, n, &fixed);
    prepare(t, r.m, &fixed);
    encode_text(&r, fixed.s, fixed.n, false);
    str_free(&fixed);
    matcher_free(r.m);
    for (size_t i = 0; t->blank >= 0 && i < r.out.n; i++)
        r.out.v[i] = r.out.v[i] == t->blank ? 0 : r.out.v[i];
    if (!r.out.v)
        r.out.v = xmalloc(sizeof *r.out.v);
    *ids = r.out.v;
    *count = r.out.n;
    return MOHS_OK;
}

/* The token that a text tower looks at among the k of a row. Of a BPE, as
 * CLIP models do, the first end token, should the text hold one too. */
static uint32_t last_of(const struct tokenizer *t, const int32_t *ids, uint32_t k)
{
    uint32_t last = k ? k - 1 : 0;
    for (uint32_t i = t->n_before;
         t->model.ops == &bpe_ops && t->n_after && i < last; i++)
        if (ids[i] == t->after[t->n_after - 1])
            return i;
    return last;
}

static void pad_row(const struct tokenizer *t, uint32_t context, uint32_t k,
                    int32_t *ids, uint32_t *last)
{
    uint32_t room = context - k;
    if (t->pad_left) {
        memmove(ids + room, ids, k * sizeof *ids);
        *last += room;
    }
    for (uint32_t i = 0; i < room; i++)
        ids[t->pad_left ? i : k + i] = t->pad;
}

mohs_status tokenizer_encode(const struct tokenizer *t, const char *text,
                             size_t n, uint32_t context, int32_t *ids,
                             uint32_t *last, struct mohs_error *err)
{
    int32_t *v;
    size_t count;
    uint32_t around = t->n_before + t->n_after, k = 0;
    if (!context || context < around)
        return mohs_fail(err, MOHS_E_ARG,
                         "a context of %u tokens, %u of them special", context,
                         around);
    RET_IF_ERR(tokenizer_ids(t, text, n, &v, &count, err));
    if (count > context - around)
        count = context - around;
    bool ended = t->end_once && count && t->n_after && v[count - 1] == t->after[0];
    for (uint32_t i = 0; i < t->n_before; i++)
        ids[k++] = t->before[i];
    for (size_t i = 0; i < count; i++)
        ids[k++] = v[i];
    for (uint32_t i = 0; i < t->n_after && !ended; i++)
        ids[k++] = t->after[i] == t->blank ? 0 : t->after[i];
    *last = last_of(t, ids, k);
    pad_row(t, context, k, ids, last);
    free(v);
    return MOHS_OK;
}

/* ---- looking ------------------------------------------------------------ */

const char *tokenizer_text(const struct tokenizer *t, int32_t id)
{
    return id >= 0 && id < t->n_ids && t->readable[id] ? t->readable[id] : "";
}

static bool is_special(const struct tokenizer *t, int32_t id)
{
    bool special = id == t->pad;
    for (uint32_t i = 0; i < t->n_before; i++)
        special |= id == t->before[i];
    for (uint32_t i = 0; i < t->n_after; i++)
        special |= id == t->after[i];
    return special;
}

void tokenizer_decode(const struct tokenizer *t, const int32_t *ids, size_t n,
                      struct str *out)
{
    struct str raw = { 0 };
    bool space = false;
    str_add(&raw, "");
    for (size_t i = 0; i < n; i++) {
        const char *token = vocab_token(&t->model.vocab, ids[i]);
        if (is_special(t, ids[i]) || !token)
            continue;
        if (t->model.ops == &wordpiece_ops) { // "##" goes on with a word
            space = raw.n && strncmp(token, "##", 2);
            token += space || !raw.n ? 0 : 2;
        }
        if (space)
            str_add(&raw, " ");
        space = token_bytes(t, token, &raw);
    }
    // byte-level tokens of other vocabularies carry the space before a word
    bool lead = raw.n && *raw.s == ' ';
    utf8_repair(raw.s + lead, raw.n - lead, out);
    str_free(&raw);
}

const char *tokenizer_kind(const struct tokenizer *t)
{
    return t->model.ops->type;
}

const char *tokenizer_profile(const struct tokenizer *t)
{
    return t->profile;
}

uint32_t tokenizer_context(const struct tokenizer *t)
{
    return t->context;
}

uint32_t tokenizer_size(const struct tokenizer *t)
{
    return (uint32_t)t->n_ids;
}

/* ---- finding the files -------------------------------------------------- */

mohs_status tokenizer_open(const struct mohs_weights *w, struct tokenizer **out,
                           struct mohs_error *err)
{
    const char *text = weights_tokenizer(w), *path = weights_path(w);
    if (!text)
        return mohs_fail(err, MOHS_E_IO,
                         "%s: no tokenizer: no tokenizer.json, no vocab.json "
                         "with merges.txt, none in the weights", path);
    return tokenizer_parse(text, strlen(text), path, out, err);
}
