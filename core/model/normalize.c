/* SPDX-License-Identifier: MIT */
/*
 * Texts before tokens: repair of UTF-8, normal forms, lower case, the steps
 * of a tokenizer's normalizer. Character data are utf8proc's.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include <utf8proc.h>

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

static void normal_form(struct str *text, bool compat, bool compose)
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
};

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
    return MOHS_OK;
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
    }
    z->n = 0;
}
