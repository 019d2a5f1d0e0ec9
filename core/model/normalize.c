/* SPDX-License-Identifier: MIT */
/*
 * Texts before tokens: repair of UTF-8, normal forms, lower case, the steps
 * of a tokenizer's normalizer. Character data are utf8proc's.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include <utf8proc.h>

#include "model/charsmap.h"
#include "model/tokenizer.h"

/* ---- UTF-8 -------------------------------------------------------------- */

/* Bytes of the longest prefix of a character at p; *ok when it is whole. */
static size_t sequence(const unsigned char *p, size_t n, bool *ok)
{
    unsigned c = p[0], lo = 0x80, hi = 0xBF;
    size_t more = c >= 0xF0 ? 3 : c >= 0xE0 ? 2 : 1, i;
    *ok = c < 0x80;
    if (c < 0xC2 || c > 0xF4)
        return 1;
    if (c == 0xE0)
        lo = 0xA0;
    else if (c == 0xED)
        hi = 0x9F;
    else if (c == 0xF0)
        lo = 0x90;
    else if (c == 0xF4)
        hi = 0x8F;
    for (i = 1; i <= more && i < n; i++, lo = 0x80, hi = 0xBF)
        if (p[i] < lo || p[i] > hi)
            return i;
    *ok = i == more + 1;
    return i;
}

void utf8_repair(const char *s, size_t n, struct str *out)
{
    str_add(out, "");
    for (size_t i = 0, k; i < n; i += k) {
        bool ok;
        k = sequence((const unsigned char *)s + i, n - i, &ok);
        if (ok)
            str_addn(out, s + i, k);
        else
            str_add(out, "\xEF\xBF\xBD");
    }
}

size_t utf8_get(const char *s, uint32_t *c)
{
    const unsigned char *p = (const unsigned char *)s;
    if (p[0] < 0x80) {
        *c = p[0];
        return 1;
    }
    size_t more = p[0] >= 0xF0 ? 3 : p[0] >= 0xE0 ? 2 : 1;
    *c = p[0] & (0x3Fu >> more);
    for (size_t i = 1; i <= more; i++)
        *c = *c << 6 | (p[i] & 0x3Fu);
    return more + 1;
}

size_t utf8_back(const char *s, size_t at)
{
    do
        at--;
    while (at && ((unsigned char)s[at] & 0xC0) == 0x80);
    return at;
}

size_t utf8_put(char out[4], uint32_t c)
{
    return (size_t)utf8proc_encode_char((utf8proc_int32_t)c,
                                        (utf8proc_uint8_t *)out);
}

static void add_char(struct str *out, uint32_t c)
{
    char b[4];
    str_addn(out, b, utf8_put(b, c));
}

static bool all_ascii(const struct str *s)
{
    unsigned char any = 0;
    for (size_t i = 0; i < s->n; i++)
        any |= (unsigned char)s->s[i];
    return any < 0x80;
}

/* ---- normal forms ------------------------------------------------------- */

struct chars {
    utf8proc_int32_t *v;
    size_t n, cap;
};

static void decompose(const struct str *s, int options, struct chars *out)
{
    enum { ROOM = 32 }; // the longest decomposition has 18
    int bound = 0;
    for (size_t i = 0; i < s->n;) {
        uint32_t c;
        i += utf8_get(s->s + i, &c);
        if (out->cap - out->n < ROOM) {
            out->cap = 2 * out->cap + 64;
            out->v = xrealloc(out->v, out->cap * sizeof *out->v);
        }
        utf8proc_ssize_t k = utf8proc_decompose_char(
            (utf8proc_int32_t)c, out->v + out->n, ROOM, (utf8proc_option_t)options,
            &bound);
        if (k > 0 && k <= ROOM)
            out->n += (size_t)k;
    }
}

static int combining_class(utf8proc_int32_t c)
{
    return utf8proc_get_property(c)->combining_class;
}

/* Stable sort of a run of marks by class: counting, so that a text of
 * nothing but marks costs no more than another. */
static void order_run(utf8proc_int32_t *v, size_t n)
{
    if (n < 2)
        return;
    utf8proc_int32_t *copy = xmalloc(n * sizeof *copy);
    size_t start[257] = { 0 };
    memcpy(copy, v, n * sizeof *copy);
    for (size_t i = 0; i < n; i++)
        start[combining_class(copy[i]) + 1]++;
    for (int k = 1; k < 257; k++)
        start[k] += start[k - 1];
    for (size_t i = 0; i < n; i++)
        v[start[combining_class(copy[i])]++] = copy[i];
    free(copy);
}

static void order_marks(struct chars *a)
{
    for (size_t i = 0; i < a->n;) {
        size_t j = i;
        while (j < a->n && combining_class(a->v[j]))
            j++;
        order_run(a->v + i, j - i);
        i = j + 1;
    }
}

void normal_form(struct str *text, bool compat, bool compose)
{
    struct chars a = { 0 };
    if (!text->n || all_ascii(text))
        return;
    decompose(text, UTF8PROC_DECOMPOSE | (compat ? UTF8PROC_COMPAT : 0), &a);
    order_marks(&a);
    if (compose) {
        utf8proc_ssize_t k = utf8proc_normalize_utf32(
            a.v, (utf8proc_ssize_t)a.n, UTF8PROC_COMPOSE | UTF8PROC_STABLE);
        a.n = k > 0 ? (size_t)k : 0;
    }
    text->n = 0;
    str_add(text, "");
    for (size_t i = 0; i < a.n; i++)
        add_char(text, (uint32_t)a.v[i]);
    free(a.v);
}

/* ---- other steps -------------------------------------------------------- */

static void lower(struct str *text)
{
    struct str out = { 0 };
    if (all_ascii(text)) {
        for (size_t i = 0; i < text->n; i++)
            if (text->s[i] >= 'A' && text->s[i] <= 'Z')
                text->s[i] = (char)(text->s[i] + 32);
        return;
    }
    for (size_t i = 0; i < text->n;) {
        uint32_t c;
        i += utf8_get(text->s + i, &c);
        if (c == 0x130) // the one character whose lower case is two
            str_add(&out, "i\xCC\x87");
        else
            add_char(&out, (uint32_t)utf8proc_tolower((utf8proc_int32_t)c));
    }
    str_free(text);
    *text = out;
}

static void replace(const struct normal_step *s, struct matcher *m,
                    struct str *text)
{
    struct spans a = { 0 };
    pattern_spans(&s->pattern, m, text->s, text->n, &a);
    if (a.n > 1 || (a.n == 1 && a.v[0].match)) {
        struct str out = { 0 };
        str_add(&out, "");
        for (size_t i = 0; i < a.n; i++)
            if (a.v[i].match)
                str_add(&out, s->content);
            else
                str_addn(&out, text->s + a.v[i].from, a.v[i].to - a.v[i].from);
        str_free(text);
        *text = out;
    }
    free(a.v);
}

static void strip(const struct normal_step *s, struct str *text)
{
    size_t from = 0, to = text->n;
    uint32_t c;
    while (s->left && from < to) {
        size_t k = utf8_get(text->s + from, &c);
        if (!is_space(c))
            break;
        from += k;
    }
    while (s->right && from < to) {
        size_t k = utf8_back(text->s, to);
        utf8_get(text->s + k, &c);
        if (!is_space(c))
            break;
        to = k;
    }
    memmove(text->s, text->s + from, to - from);
    text->n = to - from;
    text->s[text->n] = 0;
}

static void strip_accents(struct str *text)
{
    struct str out = { 0 };
    str_add(&out, "");
    for (size_t i = 0, k; i < text->n; i += k) {
        uint32_t c;
        k = utf8_get(text->s + i, &c);
        utf8proc_category_t cat = utf8proc_category((utf8proc_int32_t)c);
        if (cat != UTF8PROC_CATEGORY_MN && cat != UTF8PROC_CATEGORY_MC &&
            cat != UTF8PROC_CATEGORY_ME)
            str_addn(&out, text->s + i, k);
    }
    str_free(text);
    *text = out;
}

static void prepend(const struct normal_step *s, struct str *text)
{
    struct str out = { 0 };
    if (!text->n)
        return;
    str_add(&out, s->content);
    str_addn(&out, text->s, text->n);
    str_free(text);
    *text = out;
}

/* Nmt: control characters go, other spaces become one, as SentencePiece's
 * "nmt" rules have it. */
static void nmt(struct str *text)
{
    struct str out = { 0 };
    str_add(&out, "");
    for (size_t i = 0, k; i < text->n; i += k) {
        uint32_t c;
        k = utf8_get(text->s + i, &c);
        if ((c >= 1 && c <= 8) || c == 0xB || (c >= 0xE && c <= 0x1F) ||
            c == 0x7F || c == 0x8F || c == 0x9F)
            continue;
        if (c == 9 || c == 0xA || c == 0xC || c == 0xD || c == 0x1680 ||
            (c >= 0x200B && c <= 0x200F) || c == 0x2028 || c == 0x2029 ||
            c == 0x2581 || c == 0xFEFF || c == 0xFFFD)
            str_add(&out, " ");
        else
            str_addn(&out, text->s + i, k);
    }
    str_free(text);
    *text = out;
}

/* ---- BERT's ------------------------------------------------------------- */

static bool is_chinese(uint32_t c)
{
    return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) ||
           (c >= 0x20000 && c <= 0x2A6DF) || (c >= 0x2A700 && c <= 0x2B73F) ||
           (c >= 0x2B740 && c <= 0x2B81F) || (c >= 0x2B920 && c <= 0x2CEAF) ||
           (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x2F800 && c <= 0x2FA1F);
}

/* The library's tables are those of Unicode 8.0: marks that came later, and
 * controls that were none, stay. */
static const uint32_t new_marks[][2] = {
    { 0x7FD, 0x7FD },     { 0x898, 0x8E1 },     { 0x9FE, 0x9FE },
    { 0xAFA, 0xAFF },     { 0xB55, 0xB55 },     { 0xC04, 0xC3C },
    { 0xD00, 0xD00 },     { 0xD3B, 0xD3C },     { 0xD81, 0xD81 },
    { 0xEBA, 0xEBA },     { 0xECE, 0xECE },     { 0x180F, 0x1886 },
    { 0x1ABF, 0x1ACE },   { 0x1DF6, 0x1DFB },   { 0xA82C, 0xA82C },
    { 0xA8C5, 0xA8C5 },   { 0xA8FF, 0xA8FF },   { 0xA9BD, 0xA9BD },
    { 0x10D24, 0x10F85 }, { 0x11070, 0x11074 }, { 0x110C2, 0x110C2 },
    { 0x111C9, 0x111C9 }, { 0x111CF, 0x111CF }, { 0x1123E, 0x11241 },
    { 0x1133B, 0x1133B }, { 0x11438, 0x1145E }, { 0x1182F, 0x13455 },
    { 0x16F4F, 0x16F4F }, { 0x16FE4, 0x16FE4 }, { 0x1CF00, 0x1CF46 },
    { 0x1E000, 0x1E4EF }, { 0x1E944, 0x1E94A },
};
static const uint32_t new_controls[][2] = {
    { 0x890, 0x891 }, { 0x8E2, 0x8E2 }, { 0x110CD, 0x110CD },
    { 0x13430, 0x1343F },
};

static bool is_in(const uint32_t (*range)[2], size_t n, uint32_t c)
{
    for (size_t i = 0; i < n; i++)
        if (c >= range[i][0] && c <= range[i][1])
            return true;
    return false;
}

/* Cc, Cf and Co, but not the spaces among them. */
static bool is_control(uint32_t c)
{
    utf8proc_category_t k = utf8proc_category((utf8proc_int32_t)c);
    return c != 9 && c != 0xA && c != 0xD &&
           (k == UTF8PROC_CATEGORY_CC || k == UTF8PROC_CATEGORY_CF ||
            k == UTF8PROC_CATEGORY_CO) &&
           !is_in(new_controls, sizeof new_controls / sizeof *new_controls, c);
}

static void bert_clean(const struct normal_step *s, struct str *text)
{
    struct str out = { 0 };
    str_add(&out, "");
    for (size_t i = 0, k; i < text->n; i += k) {
        uint32_t c;
        k = utf8_get(text->s + i, &c);
        if (s->clean && (!c || c == 0xFFFD || is_control(c)))
            continue;
        bool alone = s->chinese && is_chinese(c);
        str_add(&out, alone ? " " : "");
        if (s->clean && is_space(c))
            str_add(&out, " ");
        else
            str_addn(&out, text->s + i, k);
        str_add(&out, alone ? " " : "");
    }
    str_free(text);
    *text = out;
}

static bool is_nonspacing(uint32_t c)
{
    return c == 0x1734 ||
           (utf8proc_category((utf8proc_int32_t)c) == UTF8PROC_CATEGORY_MN &&
            !is_in(new_marks, sizeof new_marks / sizeof *new_marks, c));
}

/* After NFD; enclosing and spacing marks stay. */
static void drop_nonspacing(struct str *text)
{
    struct str out = { 0 };
    str_add(&out, "");
    for (size_t i = 0, k; i < text->n; i += k) {
        uint32_t c;
        k = utf8_get(text->s + i, &c);
        if (!is_nonspacing(c))
            str_addn(&out, text->s + i, k);
    }
    str_free(text);
    *text = out;
}

static void bert(const struct normal_step *s, struct str *text)
{
    if (s->clean || s->chinese)
        bert_clean(s, text);
    if (s->accents) {
        normal_form(text, false, false);
        drop_nonspacing(text);
    }
    if (s->lower)
        lower(text);
}

static void python_lower(const struct normal_step *s, struct matcher *m,
                         struct str *text)
{
    if (strstr(text->s, "\xCE\xA3")) // capital sigma
        replace(s, m, text);
    lower(text);
}

void normalizer_run(const struct normalizer *z, struct matcher *m,
                    struct str *text)
{
    for (size_t i = 0; i < z->n; i++) {
        const struct normal_step *s = &z->step[i];
        switch (s->kind) {
        case NORMAL_NFC: normal_form(text, false, true); break;
        case NORMAL_NFD: normal_form(text, false, false); break;
        case NORMAL_NFKC: normal_form(text, true, true); break;
        case NORMAL_NFKD: normal_form(text, true, false); break;
        case NORMAL_LOWER: lower(text); break;
        case NORMAL_REPLACE: replace(s, m, text); break;
        case NORMAL_STRIP: strip(s, text); break;
        case NORMAL_ACCENTS: strip_accents(text); break;
        case NORMAL_PREPEND: prepend(s, text); break;
        case NORMAL_PRECOMPILED: charsmap_clusters(s->charsmap, text); break;
        case NORMAL_NMT: nmt(text); break;
        case NORMAL_BERT: bert(s, text); break;
        case NORMAL_PYTHON_LOWER: python_lower(s, m, text); break;
        case NORMAL_CLEAN: s->run(text); break;
        }
    }
}

/* ---- from tokenizer.json ------------------------------------------------ */

static const struct {
    const char *type, *content; /* key of `content` */
    enum normal_kind kind;
} kinds[] = {
    { "NFC", NULL, NORMAL_NFC },
    { "NFD", NULL, NORMAL_NFD },
    { "NFKC", NULL, NORMAL_NFKC },
    { "NFKD", NULL, NORMAL_NFKD },
    { "Lowercase", NULL, NORMAL_LOWER },
    { "Replace", "content", NORMAL_REPLACE },
    { "Strip", NULL, NORMAL_STRIP },
    { "StripAccents", NULL, NORMAL_ACCENTS },
    { "Prepend", "prepend", NORMAL_PREPEND },
    { "Precompiled", NULL, NORMAL_PRECOMPILED },
    { "Nmt", NULL, NORMAL_NMT },
    { "BertNormalizer", NULL, NORMAL_BERT },
    // of mohs's own: what Python code does before such tokenizers
    { "PythonLower", NULL, NORMAL_PYTHON_LOWER },
    { "PythonWords", NULL, NORMAL_CLEAN },
    { "PythonStrip", NULL, NORMAL_CLEAN },
    { "RemovePunctuation", NULL, NORMAL_CLEAN },
    { "HtmlUnescape", NULL, NORMAL_CLEAN },
    { "FixText", NULL, NORMAL_CLEAN },
};

static const struct {
    const char *type;
    void (*run)(struct str *text);
} cleaners[] = {
    { "PythonWords", clean_words },
    { "PythonStrip", clean_strip },
    { "RemovePunctuation", clean_punctuation },
    { "HtmlUnescape", clean_html },
    { "FixText", clean_fix },
};

/* Lower case of a sigma at the end of a word (Unicode's Final_Sigma). */
static const char final_sigma[] =
    "(?!\\p{Case_Ignorable})\\p{Cased}\\p{Case_Ignorable}*+\\K\\x{3A3}"
    "(?!\\p{Case_Ignorable}*+\\p{Cased})";

static bool flag(const json_t *j, const char *key, bool absent)
{
    const json_t *v = json_object_get(j, key);
    return json_is_boolean(v) ? json_is_true(v) : absent;
}

static mohs_status read_special(struct normal_step *s, const char *type,
                                const json_t *j, const char *name,
                                struct mohs_error *err)
{
    switch (s->kind) {
    case NORMAL_PRECOMPILED:
        return charsmap_parse(
            json_string_value(json_object_get(j, "precompiled_charsmap")), name,
            &s->charsmap, err);
    case NORMAL_BERT:
        s->clean = flag(j, "clean_text", true);
        s->chinese = flag(j, "handle_chinese_chars", true);
        s->lower = flag(j, "lowercase", true);
        s->accents = flag(j, "strip_accents", s->lower);
        return MOHS_OK;
    case NORMAL_PYTHON_LOWER:
        s->content = xstrdup("\xCF\x82");
        return pattern_regex(&s->pattern, final_sigma, name, err);
    case NORMAL_CLEAN:
        for (size_t i = 0; i < sizeof cleaners / sizeof *cleaners; i++)
            if (!strcmp(cleaners[i].type, type))
                s->run = cleaners[i].run;
        return MOHS_OK;
    default: return MOHS_OK;
    }
}

static mohs_status add_step(struct normalizer *z, const json_t *j, size_t kind,
                            const char *name, struct mohs_error *err)
{
    if (z->n == STEPS_MAX)
        return mohs_fail(err, MOHS_E_UNSUPPORTED, "%s: more than %d normalizers",
                         name, STEPS_MAX);
    struct normal_step *s = &z->step[z->n++];
    s->kind = kinds[kind].kind;
    s->left = json_is_true(json_object_get(j, "strip_left"));
    s->right = json_is_true(json_object_get(j, "strip_right"));
    if (kinds[kind].content) {
        const char *c = json_string_value(json_object_get(j, kinds[kind].content));
        if (!c)
            return mohs_fail(err, MOHS_E_FORMAT, "%s: normalizer %s without \"%s\"",
                             name, kinds[kind].type, kinds[kind].content);
        s->content = xstrdup(c);
    }
    if (s->kind == NORMAL_REPLACE)
        return pattern_parse(&s->pattern, json_object_get(j, "pattern"), name, err);
    return read_special(s, kinds[kind].type, j, name, err);
}

mohs_status normalizer_parse(struct normalizer *z, const json_t *j,
                             const char *name, int depth, struct mohs_error *err)
{
    const char *type = json_string_value(json_object_get(j, "type"));
    const json_t *list = json_object_get(j, "normalizers");
    size_t i;
    json_t *v;
    if (!j || json_is_null(j))
        return MOHS_OK;
    if (!type || depth > NESTING_MAX)
        return mohs_fail(err, MOHS_E_FORMAT, "%s: normalizer %s", name,
                         type ? "nested too deep" : "without a type");
    if (!strcmp(type, "Sequence")) {
        if (!json_is_array(list))
            return mohs_fail(err, MOHS_E_FORMAT,
                             "%s: normalizer Sequence without a list", name);
        json_array_foreach((json_t *)list, i, v)
            RET_IF_ERR(normalizer_parse(z, v, name, depth + 1, err));
        return MOHS_OK;
    }
    for (i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (!strcmp(kinds[i].type, type))
            return add_step(z, j, i, name, err);
    return mohs_fail(err, MOHS_E_UNSUPPORTED, "%s: unknown normalizer \"%.40s\"",
                     name, type);
}

void normalizer_clear(struct normalizer *z)
{
    for (size_t i = 0; i < z->n; i++) {
        pattern_clear(&z->step[i].pattern);
        free(z->step[i].content);
        charsmap_free(z->step[i].charsmap);
    }
    z->n = 0;
}
