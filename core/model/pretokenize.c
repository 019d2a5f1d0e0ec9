/* SPDX-License-Identifier: MIT */
/*
 * Texts into words: the steps of a tokenizer's pre-tokenizer, and bytes as
 * printable characters (Radford et al. 2019, GPT-2).
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "model/tokenizer.h"

/* The \w of Whitespace is not that of other patterns: it is Rust's. */
#define WORD "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\x{200c}\\x{200d}"
static const char words_pattern[] = "[" WORD "]+|[^" WORD "\\s]+";
static const char gpt2_pattern[] =
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|"
    "\\s+(?!\\S)|\\s+";

/* ASCII's, symbols included, and those of Unicode 8.0, which the library
 * knows. */
static const char punctuation_pattern[] =
    "(?![\\x{61d}\\x{9fd}-\\x{a76}\\x{c77}-\\x{c84}\\x{1b7d}-\\x{1b7e}"
    "\\x{2e43}-\\x{2e5d}\\x{10ead}-\\x{10f89}\\x{1144b}-\\x{1145d}"
    "\\x{11660}-\\x{116b9}\\x{1183b}-\\x{11fff}\\x{12ff1}-\\x{12ff2}"
    "\\x{16e97}-\\x{16fe2}\\x{1e95e}-\\x{1e95f}])"
    "[!-/:-@\\x5b-`{-~\\p{P}\\x{166d}\\x{111c9}]";

/* ---- bytes as characters ------------------------------------------------ */

#define PAIR(b) { (char)(0xC0 | (b) >> 6), (char)(0x80 | ((b) & 0x3F)), 0 }
#define PAIR4(b) PAIR(b), PAIR((b) + 1), PAIR((b) + 2), PAIR((b) + 3)
#define PAIR16(b) PAIR4(b), PAIR4((b) + 4), PAIR4((b) + 8), PAIR4((b) + 12)
#define ONE(b) { (char)(b), 0, 0 }
#define ONE4(b) ONE(b), ONE((b) + 1), ONE((b) + 2), ONE((b) + 3)
#define ONE16(b) ONE4(b), ONE4((b) + 4), ONE4((b) + 8), ONE4((b) + 12)

/* Printable bytes stand for themselves, the 68 others for U+0100 and on. */
const char *byte_char(uint8_t b)
{
    static const char table[256][3] = {
        PAIR16(0x100), PAIR16(0x110), PAIR(0x120),
        ONE(0x21), ONE(0x22), ONE(0x23), ONE4(0x24), ONE4(0x28), ONE4(0x2C),
        ONE16(0x30), ONE16(0x40), ONE16(0x50), ONE16(0x60),
        ONE4(0x70), ONE4(0x74), ONE4(0x78), ONE(0x7C), ONE(0x7D), ONE(0x7E),
        PAIR(0x121), PAIR16(0x122), PAIR16(0x132), PAIR(0x142),
        PAIR(0xA1), PAIR(0xA2), PAIR(0xA3), PAIR4(0xA4), PAIR4(0xA8),
        PAIR(0xAC), PAIR(0x143), PAIR(0xAE), PAIR(0xAF),
        PAIR16(0xB0), PAIR16(0xC0), PAIR16(0xD0), PAIR16(0xE0), PAIR16(0xF0),
    };
    return table[b];
}

int byte_of_char(uint32_t c)
{
    if ((c >= 0x21 && c <= 0x7E) || (c >= 0xA1 && c <= 0xFF && c != 0xAD))
        return (int)c;
    if (c >= 0x100 && c <= 0x120)
        return (int)(c - 0x100);
    if (c >= 0x121 && c <= 0x142)
        return (int)(c - 0x121) + 0x7F;
    return c == 0x143 ? 0xAD : -1;
}

uint8_t byte_order(unsigned i)
{
    if (i < 94)
        return (uint8_t)(0x21 + i);
    if (i < 94 + 12)
        return (uint8_t)(0xA1 + i - 94);
    if (i < 188)
        return (uint8_t)(0xAE + i - 106);
    return (uint8_t)byte_of_char(0x100 + i - 188);
}

/* ---- running ------------------------------------------------------------ */

static void add_span(struct spans *a, struct span s)
{
    if (a->n == a->cap) {
        a->cap = a->cap ? 2 * a->cap : 32;
        a->v = xrealloc(a->v, a->cap * sizeof *a->v);
    }
    a->v[a->n++] = s;
}

static void reverse(struct spans *a)
{
    for (size_t i = 0, j = a->n; i + 1 < j; i++) {
        struct span s = a->v[i];
        a->v[i] = a->v[--j];
        a->v[j] = s;
    }
}

/* Joins matches to a neighbour, or runs of a kind, as `how` says; a match
 * here is a delimiter. */
static void join_spans(struct spans *a, enum split_how how)
{
    struct spans out = { 0 };
    bool before = false;
    if (how == SPLIT_NEXT)
        reverse(a);
    for (size_t i = 0; i < a->n; i++) {
        struct span s = a->v[i], *last = out.n ? &out.v[out.n - 1] : NULL;
        bool join = how == SPLIT_CONTIGUOUS ? s.match == before
                                            : s.match && !before;
        before = s.match;
        if (!join || !last)
            add_span(&out, s);
        else if (how == SPLIT_NEXT)
            last->from = s.from;
        else
            last->to = s.to;
    }
    if (how == SPLIT_NEXT)
        reverse(&out);
    free(a->v);
    *a = out;
}

static void visit(const struct pretokenizer *p, size_t step, struct matcher *m,
                  const char *s, size_t n, bool start,
                  const struct word_visit *v);

static void visit_bytes(const struct pretokenizer *p, size_t step,
                        struct matcher *m, const char *s, size_t n, bool start,
                        const struct word_visit *v)
{
    struct str out = { 0 };
    str_add(&out, "");
    for (size_t i = 0; i < n; i++)
        str_add(&out, byte_char((uint8_t)s[i]));
    visit(p, step + 1, m, out.s, out.n, start, v);
    str_free(&out);
}

static void visit_level(const struct pretokenizer *p, size_t k,
                        struct matcher *m, const char *s, size_t n, bool start,
                        const struct word_visit *v)
{
    const struct split_step *step = &p->step[k];
    struct spans a = { 0 };
    struct str spaced = { 0 };
    if (step->prefix_space && *s != ' ') {
        str_add(&spaced, " ");
        str_addn(&spaced, s, n);
        s = spaced.s;
        n = spaced.n;
    }
    if (step->use_regex)
        pattern_spans(&step->pattern, m, s, n, &a);
    else
        add_span(&a, (struct span) { 0, n, false });
    for (size_t i = 0; i < a.n; i++)
        if (a.v[i].to > a.v[i].from)
            visit_bytes(p, k, m, s + a.v[i].from, a.v[i].to - a.v[i].from,
                        start && !a.v[i].from, v);
    free(a.v);
    str_free(&spaced);
}

/* Spaces become marks, and a word is a mark with what follows. */
static void visit_meta(const struct pretokenizer *p, size_t k,
                       struct matcher *m, const char *s, size_t n, bool start,
                       const struct word_visit *v)
{
    const struct split_step *step = &p->step[k];
    size_t mark = strlen(step->mark), from = 0;
    struct str out = { 0 };
    bool marked = *s == ' ' || (n >= mark && !memcmp(s, step->mark, mark));
    if (!marked && (step->prefix == PREFIX_ALWAYS ||
                    (step->prefix == PREFIX_FIRST && start)))
        str_add(&out, step->mark);
    for (size_t i = 0; i < n; i++)
        if (s[i] == ' ')
            str_add(&out, step->mark);
        else
            str_addn(&out, s + i, 1);
    for (size_t i = 1; step->split && i + mark <= out.n; i++)
        if (!memcmp(out.s + i, step->mark, mark)) {
            visit(p, k + 1, m, out.s + from, i - from, start && !from, v);
            from = i;
        }
    visit(p, k + 1, m, out.s + from, out.n - from, start && !from, v);
    str_free(&out);
}

static void visit(const struct pretokenizer *p, size_t k, struct matcher *m,
                  const char *s, size_t n, bool start,
                  const struct word_visit *v)
{
    if (!n)
        return;
    if (k == p->n) {
        v->fn(v->user, s, n);
        return;
    }
    const struct split_step *step = &p->step[k];
    if (step->kind != SPLIT_PATTERN) {
        (step->kind == SPLIT_BYTES ? visit_level : visit_meta)(p, k, m, s, n,
                                                               start, v);
        return;
    }
    struct spans a = { 0 };
    pattern_spans(&step->pattern, m, s, n, &a);
    for (size_t i = 0; i < a.n; i++)
        a.v[i].match ^= step->invert;
    if (step->how != SPLIT_REMOVED && step->how != SPLIT_ISOLATED)
        join_spans(&a, step->how);
    for (size_t i = 0; i < a.n; i++)
        if (step->how != SPLIT_REMOVED || !a.v[i].match)
            visit(p, k + 1, m, s + a.v[i].from, a.v[i].to - a.v[i].from,
                  start && !a.v[i].from, v);
    free(a.v);
}

void pretokenizer_run(const struct pretokenizer *p, struct matcher *m,
                      const char *s, size_t n, bool start,
                      const struct word_visit *v)
{
    visit(p, 0, m, s, n, start, v);
}

/* ---- from tokenizer.json ------------------------------------------------ */

static bool flag(const json_t *j, const char *key, bool absent)
{
    const json_t *v = json_object_get(j, key);
    return json_is_boolean(v) ? json_is_true(v) : absent;
}

static mohs_status read_how(const json_t *j, enum split_how *how,
                            const char *name, struct mohs_error *err)
{
    static const char *const words[] = { "Removed", "Isolated",
                                         "MergedWithPrevious", "MergedWithNext",
                                         "Contiguous" };
    const char *s = json_string_value(json_object_get(j, "behavior"));
    for (size_t i = 0; s && i < sizeof words / sizeof *words; i++)
        if (!strcmp(words[i], s)) {
            *how = (enum split_how)i;
            return MOHS_OK;
        }
    return mohs_fail(err, MOHS_E_FORMAT, "%s: Split with behavior \"%.40s\"", name,
                     s ? s : "");
}

/* How a Punctuation says it, "Isolated" when it does not. */
static mohs_status read_how_or(const json_t *j, enum split_how *how,
                               const char *name, struct mohs_error *err)
{
    *how = SPLIT_ISOLATED;
    return json_object_get(j, "behavior") ? read_how(j, how, name, err)
                                          : MOHS_OK;
}

static bool one_char(const char *s)
{
    uint32_t c;
    return s && *s && utf8_get(s, &c) == strlen(s);
}

static mohs_status read_meta(struct split_step *s, const json_t *j,
                             const char *name, struct mohs_error *err)
{
    static const char *const schemes[] = { "always", "first", "never" };
    const char *mark = json_string_value(json_object_get(j, "replacement"));
    const char *when = json_string_value(json_object_get(j, "prepend_scheme"));
    mark = mark ? mark : "\xE2\x96\x81";
    s->kind = SPLIT_META;
    s->split = flag(j, "split", true);
    s->prefix = flag(j, "add_prefix_space", true) ? PREFIX_ALWAYS : PREFIX_NEVER;
    if (!one_char(mark))
        return mohs_fail(err, MOHS_E_FORMAT,
                         "%s: Metaspace: replacement \"%.40s\" is not one "
                         "character", name, mark);
    memcpy(s->mark, mark, strlen(mark) + 1);
    for (size_t i = 0; i < 3 && when; i++)
        if (!strcmp(schemes[i], when)) {
            s->prefix = (enum prefix_when)i;
            return MOHS_OK;
        }
    return when ? mohs_fail(err, MOHS_E_FORMAT,
                            "%s: Metaspace: prepend_scheme \"%.40s\"", name, when)
                : MOHS_OK;
}

static mohs_status read_step(struct split_step *s, const char *type,
                             const json_t *j, const char *name,
                             struct mohs_error *err)
{
    s->how = SPLIT_REMOVED;
    if (!strcmp(type, "Split")) {
        RET_IF_ERR(read_how(j, &s->how, name, err));
        s->invert = flag(j, "invert", false);
        return pattern_parse(&s->pattern, json_object_get(j, "pattern"), name, err);
    }
    if (!strcmp(type, "ByteLevel")) {
        s->kind = SPLIT_BYTES;
        s->prefix_space = flag(j, "add_prefix_space", true);
        s->use_regex = flag(j, "use_regex", true);
        return pattern_regex(&s->pattern, gpt2_pattern, name, err);
    }
    if (!strcmp(type, "Whitespace")) {
        s->invert = true;
        return pattern_regex(&s->pattern, words_pattern, name, err);
    }
    if (!strcmp(type, "WhitespaceSplit"))
        return pattern_regex(&s->pattern, "\\s", name, err);
    if (!strcmp(type, "Digits")) {
        s->how = flag(j, "individual_digits", false) ? SPLIT_ISOLATED
                                                     : SPLIT_CONTIGUOUS;
        return pattern_regex(&s->pattern, "\\p{N}", name, err);
    }
    if (!strcmp(type, "Metaspace"))
        return read_meta(s, j, name, err);
    if (!strcmp(type, "Punctuation")) {
        RET_IF_ERR(read_how_or(j, &s->how, name, err));
        return pattern_regex(&s->pattern, punctuation_pattern, name, err);
    }
    if (!strcmp(type, "CharDelimiterSplit")) {
        const char *c = json_string_value(json_object_get(j, "delimiter"));
        if (!one_char(c))
            return mohs_fail(err, MOHS_E_FORMAT,
                             "%s: CharDelimiterSplit: delimiter \"%.40s\" is not "
                             "one character", name, c ? c : "");
        pattern_literal(&s->pattern, c);
        return MOHS_OK;
    }
    return mohs_fail(err, MOHS_E_UNSUPPORTED, "%s: unknown pre-tokenizer \"%.40s\"",
                     name, type);
}

mohs_status pretokenizer_parse(struct pretokenizer *p, const json_t *j,
                               const char *name, int depth,
                               struct mohs_error *err)
{
    const char *type = json_string_value(json_object_get(j, "type"));
    const json_t *list = json_object_get(j, "pretokenizers");
    size_t i;
    json_t *v;
    if (!j || json_is_null(j))
        return MOHS_OK;
    if (!type || depth > NESTING_MAX)
        return mohs_fail(err, MOHS_E_FORMAT, "%s: pre-tokenizer %s", name,
                         type ? "nested too deep" : "without a type");
    if (!strcmp(type, "Sequence")) {
        if (!json_is_array(list))
            return mohs_fail(err, MOHS_E_FORMAT,
                             "%s: pre-tokenizer Sequence without a list", name);
        json_array_foreach((json_t *)list, i, v)
            RET_IF_ERR(pretokenizer_parse(p, v, name, depth + 1, err));
        return MOHS_OK;
    }
    if (!strcmp(type, "BertPreTokenizer")) { // two in one
        static const char *const parts[] = { "WhitespaceSplit", "Punctuation" };
        for (i = 0; i < 2 && p->n < STEPS_MAX; i++)
            RET_IF_ERR(read_step(&p->step[p->n++], parts[i], NULL, name, err));
        return MOHS_OK;
    }
    if (p->n == STEPS_MAX)
        return mohs_fail(err, MOHS_E_UNSUPPORTED,
                         "%s: more than %d pre-tokenizers", name, STEPS_MAX);
    return read_step(&p->step[p->n++], type, j, name, err);
}

void pretokenizer_clear(struct pretokenizer *p)
{
    for (size_t i = 0; i < p->n; i++)
        pattern_clear(&p->step[i].pattern);
    p->n = 0;
}
