/* SPDX-License-Identifier: MIT */
/* Edits of the characters of one word. */
#include "config.h"

#include "text.h"

#include <utf8proc.h>

/* The characters of a word: byte i of at[] is where character i starts. */
enum { CHARACTERS_MAX = 256 };
struct characters {
    const char *s;
    size_t n, at[CHARACTERS_MAX + 1];
};

/* Code point at s and its length. Texts are valid UTF-8. */
static utf8proc_int32_t code_point(const char *s, size_t n, size_t *length)
{
    utf8proc_int32_t c = 0;
    utf8proc_ssize_t k = utf8proc_iterate((const utf8proc_uint8_t *)s,
                                          (utf8proc_ssize_t)n, &c);
    *length = k > 0 ? (size_t)k : 1;
    return k > 0 ? c : 0xFFFD;
}

/* A word of more than CHARACTERS_MAX ends in one long character. */
static void characters_of(const struct word *w, struct characters *c)
{
    utf8proc_int32_t state = 0, before = 0;
    c->s = w->s;
    c->n = 0;
    for (size_t i = 0, k; i < w->n; i += k) {
        utf8proc_int32_t now = code_point(w->s + i, w->n - i, &k);
        if (!i || (utf8proc_grapheme_break_stateful(before, now, &state) &&
                   c->n < CHARACTERS_MAX))
            c->at[c->n++] = i;
        before = now;
    }
    c->at[c->n] = w->n;
}

static size_t length_of(const struct characters *c, size_t i)
{
    return c->at[i + 1] - c->at[i];
}

/* One code point that is a letter or a digit, and what combines with it. */
static int is_typed(const struct characters *c, size_t i)
{
    size_t k;
    utf8proc_category_t g =
        utf8proc_category(code_point(c->s + c->at[i], length_of(c, i), &k));
    return (g >= UTF8PROC_CATEGORY_LU && g <= UTF8PROC_CATEGORY_LO) ||
           g == UTF8PROC_CATEGORY_ND;
}

/* A draw among the characters that can(); CHARACTERS_MAX if there is none. */
static size_t choose(struct text *t, const struct characters *c,
                     int (*can)(const struct characters *c, size_t i))
{
    uint32_t n = 0;
    for (size_t i = 0; i < c->n; i++)
        n += can(c, i) != 0;
    if (!n)
        return CHARACTERS_MAX;
    uint32_t want = text_below(t, n);
    for (size_t i = 0;; i++)
        if (can(c, i) && !want--)
            return i;
}

/* Characters from..to of a word become the n bytes at s. */
static int replace(struct text *t, size_t w, const struct characters *c,
                   size_t from, size_t to, const char *s, size_t n)
{
    size_t before = c->at[from], after = c->at[c->n] - c->at[to];
    char *all = malloc(before + n + after + 1);
    if (!all) {
        t->no_memory = 1;
        return 0;
    }
    memcpy(all, c->s, before);
    memcpy(all + before, s, n);
    memcpy(all + before + n, c->s + c->at[to], after);
    int done = word_set(t, w, all, before + n + after);
    free(all);
    return done;
}

/* ---- keyboard ---- */

/* The keys of a US keyboard around each letter and digit. */
static const struct {
    char key;
    const char *near;
} keys[] = {
    { 'q', "12wa" },   { 'w', "23qeas" },   { 'e', "34wrsd" },
    { 'r', "45etdf" }, { 't', "56ryfg" },   { 'y', "67tugh" },
    { 'u', "78yihj" }, { 'i', "89uojk" },   { 'o', "90ipkl" },
    { 'p', "0ol" },    { 'a', "qwsz" },     { 's', "weadzx" },
    { 'd', "ersfxc" }, { 'f', "rtdgcv" },   { 'g', "tyfhvb" },
    { 'h', "yugjbn" }, { 'j', "uihknm" },   { 'k', "iojlm" },
    { 'l', "opk" },    { 'z', "asx" },      { 'x', "sdzc" },
    { 'c', "dfxv" },   { 'v', "fgcb" },     { 'b', "ghvn" },
    { 'n', "hjbm" },   { 'm', "jkn" },      { '1', "2q" },
    { '2', "13qw" },   { '3', "24we" },     { '4', "35er" },
    { '5', "46rt" },   { '6', "57ty" },     { '7', "68yu" },
    { '8', "79ui" },   { '9', "80io" },     { '0', "9op" },
};

static const char *near_key(const struct characters *c, size_t i)
{
    char k = c->s[c->at[i]];
    k = k >= 'A' && k <= 'Z' ? (char)(k - 'A' + 'a') : k;
    for (size_t n = 0; n < sizeof keys / sizeof *keys; n++)
        if (keys[n].key == k && length_of(c, i) == 1)
            return keys[n].near;
    return NULL;
}

static int can_slip(const struct characters *c, size_t i)
{
    return near_key(c, i) != NULL;
}

/* A key beside character i's, in its case. */
static char slip(struct text *t, const struct characters *c, size_t i)
{
    const char *near = near_key(c, i);
    char to = near[text_below(t, (uint32_t)strlen(near))], was = c->s[c->at[i]];
    int upper = was >= 'A' && was <= 'Z' && to >= 'a' && to <= 'z';
    return upper ? (char)(to - 'a' + 'A') : to;
}

int typo_keyboard_edit(struct text *t, size_t w)
{
    struct characters c;
    characters_of(&t->word[w], &c);
    size_t i = choose(t, &c, can_slip);
    if (i == CHARACTERS_MAX)
        return 0;
    char key = slip(t, &c, i);
    return replace(t, w, &c, i, i + 1, &key, 1);
}

/* ---- swap, insert, delete ---- */

static int can_swap(const struct characters *c, size_t i)
{
    return i + 1 < c->n && is_typed(c, i) && is_typed(c, i + 1) &&
           (length_of(c, i) != length_of(c, i + 1) ||
            memcmp(c->s + c->at[i], c->s + c->at[i + 1], length_of(c, i)));
}

int typo_swap_edit(struct text *t, size_t w)
{
    struct characters c;
    characters_of(&t->word[w], &c);
    size_t i = choose(t, &c, can_swap);
    if (i == CHARACTERS_MAX)
        return 0;
    size_t first = length_of(&c, i), second = length_of(&c, i + 1);
    char *s = malloc(first + second);
    if (!s) {
        t->no_memory = 1;
        return 0;
    }
    memcpy(s, c.s + c.at[i + 1], second);
    memcpy(s + second, c.s + c.at[i], first);
    int done = replace(t, w, &c, i, i + 2, s, first + second);
    free(s);
    return done;
}

static int can_insert(const struct characters *c, size_t i)
{
    return is_typed(c, i);
}

/* A key beside, typed too; where there is no such key, the same one twice. */
int typo_insert_edit(struct text *t, size_t w)
{
    struct characters c;
    characters_of(&t->word[w], &c);
    size_t i = choose(t, &c, can_insert);
    if (i == CHARACTERS_MAX)
        return 0;
    size_t at = i + text_below(t, 2); // before or behind
    if (!can_slip(&c, i))
        return replace(t, w, &c, at, at, c.s + c.at[i], length_of(&c, i));
    char key = slip(t, &c, i);
    return replace(t, w, &c, at, at, &key, 1);
}

static int can_delete(const struct characters *c, size_t i)
{
    return c->n > 1 && is_typed(c, i);
}

int typo_delete_edit(struct text *t, size_t w)
{
    struct characters c;
    characters_of(&t->word[w], &c);
    size_t i = choose(t, &c, can_delete);
    return i == CHARACTERS_MAX ? 0 : replace(t, w, &c, i, i + 1, "", 0);
}

/* ---- look-alikes ---- */

/* Letters of other scripts that Unicode Technical Standard 39 calls
 * confusable with an ASCII letter; letters without a good one are not here. */
static const struct {
    char letter;
    const char *alike;
} glyphs[] = {
    { 'a', "\xd0\xb0" }, { 'c', "\xd1\x81" }, { 'd', "\xd4\x81" },
    { 'e', "\xd0\xb5" }, { 'g', "\xc9\xa1" }, { 'h', "\xd2\xbb" },
    { 'i', "\xd1\x96" }, { 'j', "\xd1\x98" }, { 'l', "\xd3\x8f" },
    { 'n', "\xd5\xb8" }, { 'o', "\xd0\xbe" }, { 'p', "\xd1\x80" },
    { 'q', "\xd4\x9b" }, { 'r', "\xd0\xb3" }, { 's', "\xd1\x95" },
    { 'u', "\xd5\xbd" }, { 'v', "\xd1\xb5" }, { 'w', "\xd1\xa1" },
    { 'x', "\xd1\x85" }, { 'y', "\xd1\x83" }, { 'z', "\xe1\xb4\xa2" },
    { 'A', "\xd0\x90" }, { 'B', "\xd0\x92" }, { 'C', "\xd0\xa1" },
    { 'E', "\xd0\x95" }, { 'H', "\xd0\x9d" }, { 'I', "\xd0\x86" },
    { 'J', "\xd0\x88" }, { 'K', "\xd0\x9a" }, { 'M', "\xd0\x9c" },
    { 'N', "\xce\x9d" }, { 'O', "\xd0\x9e" }, { 'P', "\xd0\xa0" },
    { 'S', "\xd0\x85" }, { 'T', "\xd0\xa2" }, { 'X', "\xd0\xa5" },
    { 'Y', "\xce\xa5" }, { 'Z', "\xce\x96" },
};

static const char *alike(const struct characters *c, size_t i)
{
    for (size_t n = 0; n < sizeof glyphs / sizeof *glyphs; n++)
        if (glyphs[n].letter == c->s[c->at[i]] && length_of(c, i) == 1)
            return glyphs[n].alike;
    return NULL;
}

static int can_look_alike(const struct characters *c, size_t i)
{
    return alike(c, i) != NULL;
}

int homoglyph_edit(struct text *t, size_t w)
{
    struct characters c;
    characters_of(&t->word[w], &c);
    size_t i = choose(t, &c, can_look_alike);
    if (i == CHARACTERS_MAX)
        return 0;
    const char *s = alike(&c, i);
    return replace(t, w, &c, i, i + 1, s, strlen(s));
}

/* ---- case ---- */

/* A word with a small letter to capitals, one of capitals to small ones. */
int case_change_edit(struct text *t, size_t w)
{
    const struct word *from = &t->word[w];
    char *to = malloc(4 * from->n + 1);
    int small = 0;
    size_t n = 0, k;
    for (size_t i = 0; i < from->n; i += k) {
        utf8proc_int32_t c = code_point(from->s + i, from->n - i, &k);
        small |= utf8proc_toupper(c) != c;
    }
    for (size_t i = 0; to && i < from->n; i += k) {
        utf8proc_int32_t c = code_point(from->s + i, from->n - i, &k);
        c = small ? utf8proc_toupper(c) : utf8proc_tolower(c);
        n += (size_t)utf8proc_encode_char(c, (utf8proc_uint8_t *)to + n);
    }
    if (!to)
        t->no_memory = 1;
    int differs = to && (n != from->n || memcmp(to, from->s, n));
    differs = differs && word_set(t, w, to, n);
    free(to);
    return differs;
}
