/* SPDX-License-Identifier: MIT */
/*
 * Corruptions of texts: that each edits as many words as its budget says and
 * as its name says; the draws' statistics; back-off; synonyms from a small
 * dictionary (golden/wordnet.py) and from damaged ones.
 */
#include "config.h"

#include <ctype.h>
#include <unistd.h>

#include "corruption_test.h"

#define DICT SRCDIR "/tests/golden/wordnet"

static const char *const ids[] = {
    "typo_keyboard", "typo_swap",   "typo_insert", "typo_delete", "homoglyph",
    "case_change",   "punctuation", "word_drop",   "word_swap",   "synonym",
};
enum { N_IDS = sizeof ids / sizeof *ids };

/* ---- calls ---- */

struct result {
    char *text;
    uint32_t edits;
};

static mohs_status put(struct mohs_text_sink *s, uint32_t i, const char *text,
                       uint32_t edits, struct mohs_error *e)
{
    struct result *r = s->ctx;
    (void)e;
    r[i].text = xstrdup(text);
    r[i].edits = edits;
    return MOHS_OK;
}

static void apply(const struct instance *in, const char *const *text,
                  const uint64_t *key, uint32_t n, uint32_t severity,
                  struct result *r)
{
    struct mohs_texts from = { sizeof from, n, text, key };
    struct mohs_text_sink to = { sizeof to, r, put };
    OK(in->ops->apply_text(in->self, &from, &to, severity, SEED, &err));
}

static struct result apply_one(const struct instance *in, const char *text,
                               uint64_t key, uint32_t severity)
{
    struct result r = { 0 };
    apply(in, &text, &key, 1, severity, &r);
    return r;
}

static struct instance text_new(const char *id, const char *params)
{
    char all[600];
    snprintf(all, sizeof all, "%s%s", params,
             strcmp(id, "synonym") ? "" : ",dict=" DICT);
    return instance_new(id, all);
}

/* ---- words ---- */

enum { WORDS_MAX = 64 };
struct words {
    char *copy, *word[WORDS_MAX];
    size_t n;
};

static struct words words_of(const char *text)
{
    struct words w = { .copy = xstrdup(text) };
    char *save = NULL;
    for (char *t = strtok_r(w.copy, " ", &save); t && w.n < WORDS_MAX;
         t = strtok_r(NULL, " ", &save))
        w.word[w.n++] = t;
    return w;
}

static size_t words_differ(const struct words *a, const struct words *b)
{
    size_t n = 0;
    for (size_t i = 0; i < a->n && i < b->n; i++)
        n += strcmp(a->word[i], b->word[i]) != 0;
    return n;
}

/* 20 different words that every corruption can edit. */
static const char caption[] =
    "photos photograph dogs hounds puppy whelp running sprint dashed playing "
    "frolic chased big large quick fast speedy quickly rapidly streak";

static const uint32_t budgets[] = { 1, 3, 4, 6, 7 }; // 20 * 0.07 s, rounded

START_TEST(budget)
{
    struct words was = words_of(caption);
    ck_assert_uint_eq(was.n, 20);
    for (size_t i = 0; i < N_IDS; i++) {
        struct instance in = text_new(ids[i], "-");
        struct instance two = text_new(ids[i], "edits=2");
        struct instance all = text_new(ids[i], "rate=1");
        for (uint32_t s = 1; s <= 5; s++)
            for (uint64_t key = 0; key < 20; key++) {
                struct result r = apply_one(&in, caption, key, s);
                struct words now = words_of(r.text);
                uint32_t n = budgets[s - 1];
                ck_assert_msg(r.edits == n, "%s %u: %u edits, not %u", ids[i],
                              s, r.edits, n);
                if (!strcmp(ids[i], "word_drop"))
                    ck_assert_uint_eq(now.n, 20 - n);
                else if (!strcmp(ids[i], "punctuation"))
                    ck_assert_uint_eq(now.n, 20 + n);
                else if (!strcmp(ids[i], "word_swap"))
                    ck_assert(words_differ(&was, &now) <= 2 * n);
                else
                    ck_assert_uint_eq(words_differ(&was, &now), n);
                free(now.copy);
                free(r.text);
            }
        struct result r = apply_one(&two, caption, 1, 5);
        ck_assert_uint_eq(r.edits, 2);
        free(r.text);
        r = apply_one(&all, caption, 1, 5);
        // one word is never dropped; the rest always can be edited
        ck_assert_msg(r.edits == (strcmp(ids[i], "word_drop") ? 20u : 19u),
                      "%s: %u edits: %s", ids[i], r.edits, r.text);
        free(r.text);
        in.ops->destroy(in.self);
        two.ops->destroy(two.self);
        all.ops->destroy(all.self);
    }
    free(was.copy);
}
END_TEST

/* ---- what an edit is ---- */

static bool is_permutation(const char *a, const char *b)
{
    int count[256] = { 0 };
    for (; *a; a++)
        count[(uint8_t)*a]++;
    for (; *b; b++)
        count[(uint8_t)*b]--;
    for (int i = 0; i < 256; i++)
        if (count[i])
            return false;
    return true;
}

/* Where a and b first differ. */
static size_t same_until(const char *a, const char *b)
{
    size_t i = 0;
    while (a[i] && a[i] == b[i])
        i++;
    return i;
}

START_TEST(typos)
{
    static const char word[] = "sprinted";
    size_t n = strlen(word);
    for (size_t i = 0; i < 4; i++) {
        struct instance in = text_new(ids[i], "-");
        for (uint64_t key = 0; key < 200; key++) {
            struct result r = apply_one(&in, word, key, 1);
            size_t at = same_until(word, r.text);
            ck_assert_uint_eq(r.edits, 1);
            switch (i) {
            case 0:
                ck_assert_uint_eq(strlen(r.text), n);
                ck_assert_str_eq(word + at + 1, r.text + at + 1);
                break;
            case 1:
                ck_assert(is_permutation(word, r.text));
                ck_assert(word[at] == r.text[at + 1]);
                ck_assert_str_eq(word + at + 2, r.text + at + 2);
                break;
            case 2:
                ck_assert_uint_eq(strlen(r.text), n + 1);
                ck_assert_str_eq(word + at, r.text + at + 1);
                break;
            default:
                ck_assert_uint_eq(strlen(r.text), n - 1);
                ck_assert_str_eq(word + at + 1, r.text + at);
            }
            free(r.text);
        }
        in.ops->destroy(in.self);
    }
}
END_TEST

/* "g" has six keys around it, each as likely. */
START_TEST(neighbours)
{
    enum { N = 6000 };
    struct instance in = text_new("typo_keyboard", "-");
    int count[256] = { 0 };
    for (uint64_t key = 0; key < N; key++) {
        struct result r = apply_one(&in, "g", key, 1);
        count[(uint8_t)r.text[0]]++;
        free(r.text);
    }
    double chi = 0;
    int sum = 0;
    for (const char *k = "tyfhvb"; *k; k++) {
        double d = count[(uint8_t)*k] - N / 6.0;
        chi += d * d / (N / 6.0);
        sum += count[(uint8_t)*k];
    }
    ck_assert_int_eq(sum, N);
    ck_assert_double_lt(chi, 20.5); // 5 degrees of freedom, 0.1 %
    in.ops->destroy(in.self);
}
END_TEST

/* Every word of a text is as likely to be edited. */
START_TEST(places)
{
    enum { N = 4000, WORDS = 8 };
    struct instance in = text_new("typo_delete", "edits=1");
    struct words was = words_of("alpha bravo charlie delta echo foxtrot golf hotel");
    int count[WORDS] = { 0 };
    for (uint64_t key = 0; key < N; key++) {
        struct result r = apply_one(
            &in, "alpha bravo charlie delta echo foxtrot golf hotel", key, 5);
        struct words now = words_of(r.text);
        for (int i = 0; i < WORDS; i++)
            count[i] += strcmp(was.word[i], now.word[i]) != 0;
        free(now.copy);
        free(r.text);
    }
    double chi = 0;
    for (int i = 0; i < WORDS; i++)
        chi += pow(count[i] - N / (double)WORDS, 2) / (N / (double)WORDS);
    ck_assert_double_lt(chi, 24.3); // 7 degrees of freedom, 0.1 %
    free(was.copy);
    in.ops->destroy(in.self);
}
END_TEST

START_TEST(case_and_glyphs)
{
    struct instance in = text_new("case_change", "-");
    struct result r = apply_one(&in, "stra\xc3\x9f\x65", 1, 1);
    ck_assert_str_eq(r.text, "STRA\xe1\xba\x9e\x45");
    free(r.text);
    r = apply_one(&in, "CAF\xc3\x89", 1, 1);
    ck_assert_str_eq(r.text, "caf\xc3\xa9");
    free(r.text);
    in.ops->destroy(in.self);
    in = text_new("homoglyph", "-");
    r = apply_one(&in, "o", 1, 1);
    ck_assert_str_eq(r.text, "\xd0\xbe");
    free(r.text);
    in.ops->destroy(in.self);
    // an accent stays with its letter
    in = text_new("typo_swap", "-");
    r = apply_one(&in, "e\xcc\x81x", 1, 1);
    ck_assert_str_eq(r.text, "xe\xcc\x81");
    free(r.text);
    in.ops->destroy(in.self);
}
END_TEST

/* White space stays where the words are. */
START_TEST(spaces)
{
    struct instance in = text_new("word_drop", "edits=1");
    for (uint64_t key = 0; key < 20; key++) {
        struct result r = apply_one(&in, "  one\ttwo \xc2\xa0three\r", key, 1);
        ck_assert(!strcmp(r.text, "  two \xc2\xa0three\r") ||
                  !strcmp(r.text, "  one \xc2\xa0three\r") ||
                  !strcmp(r.text, "  one\ttwo\r"));
        free(r.text);
    }
    in.ops->destroy(in.self);
}
END_TEST

START_TEST(back_off)
{
    static const struct {
        const char *id, *text;
    } none[] = {
        { "typo_keyboard", "\xd8\xb3\xd9\x84 ..." },
        { "typo_swap", "a b c" },
        { "typo_delete", "a b 1" },
        { "homoglyph", "12 34" },
        { "case_change", "12 34" },
        { "word_drop", "alone" },
        { "word_swap", "same same same" },
        { "synonym", "the of snow" },
    };
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        struct instance in = text_new(none[i].id, "-");
        struct instance typo = text_new(none[i].id, "backoff=typo");
        struct result r = apply_one(&in, none[i].text, 3, 5);
        ck_assert_str_eq(r.text, none[i].text);
        ck_assert_uint_eq(r.edits, 0);
        free(r.text);
        r = apply_one(&typo, none[i].text, 3, 5);
        ck_assert_msg(r.edits >= 1 && strcmp(r.text, none[i].text), "%s: '%s'",
                      none[i].id, r.text);
        free(r.text);
        in.ops->destroy(in.self);
        typo.ops->destroy(typo.self);
    }
    // the turn goes to the words that can be edited
    struct instance in = text_new("synonym", "-");
    for (uint64_t key = 0; key < 10; key++) {
        struct result r = apply_one(&in, "the of snow dog and 5", key, 1);
        ck_assert_str_eq(r.text, "the of snow hound and 5");
        ck_assert_uint_eq(r.edits, 1);
        free(r.text);
    }
    in.ops->destroy(in.self);
}
END_TEST

/* ---- synonyms ---- */

START_TEST(synonyms)
{
    static const struct {
        const char *word, *now; // now: each of its words is fine
    } cases[] = {
        { "dog", "hound" },          { "Dog,", "Hound," },
        { "\"photos\"", "\"photograph\"" }, { "puppies", "whelp" },
        { "run", "sprint dash" },    { "playing", "frolic" },
        { "large", "big" },          { "QUICKLY", "Rapidly" },
        { "honcho", "big_cheese" },
    };
    struct instance in = text_new("synonym", "-");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bool seen[3] = { false };
        struct words may = words_of(cases[i].now);
        for (uint64_t key = 0; key < 30; key++) {
            struct result r = apply_one(&in, cases[i].word, key, 1);
            for (char *s = r.text; *s; s++)
                *s = *s == ' ' ? '_' : *s;
            size_t k = 0;
            while (k < may.n && strcmp(may.word[k], r.text))
                k++;
            ck_assert_msg(k < may.n, "%s became %s", cases[i].word, r.text);
            seen[k] = true;
            free(r.text);
        }
        for (size_t k = 0; k < may.n; k++)
            ck_assert_msg(seen[k], "%s: never %s", cases[i].word, may.word[k]);
        free(may.copy);
    }
    in.ops->destroy(in.self);
}
END_TEST

START_TEST(no_dictionary)
{
    const struct item *it;
    void *self = NULL;
    OK(registry_find(reg, MOHS_KIND_CORRUPTION, "synonym", &it, &err));
    const struct mohs_corruption_ops *ops = it->item->ops;
    void *p = item_params_new(it);
    OK(item_param_set_text(it, p, "dict", "/nowhere", &err));
    ck_assert_int_eq(ops->create(registry_host(reg), p, &self, &err),
                     MOHS_E_IO);
    ck_assert_ptr_null(self);
    ck_assert_ptr_nonnull(strstr(err.text, "synonym: /nowhere/index.noun: "));
    ck_assert_ptr_nonnull(strstr(err.text, "wordnet-base"));
    item_params_free(it, p);
}
END_TEST

/* ---- determinism ---- */

START_TEST(batches)
{
    static const char *const text[] = { caption, "", "x", caption,
                                        "na\xc3\xafve caf\xc3\xa9 dog" };
    enum { N = 5 };
    uint64_t key[N] = { 7, 1, UINT64_MAX, 7, 9 };
    for (size_t i = 0; i < N_IDS; i++) {
        struct instance in = text_new(ids[i], "-");
        struct result all[N] = { 0 };
        apply(&in, text, key, N, 3, all);
        ck_assert_str_eq(all[0].text, all[3].text);
        for (uint32_t k = 0; k < N; k++) {
            struct result r = apply_one(&in, text[k], key[k], 3);
            ck_assert_str_eq(r.text, all[k].text);
            ck_assert_uint_eq(r.edits, all[k].edits);
            ck_assert(utf8_valid(r.text, strlen(r.text)));
            free(r.text);
        }
        struct result other = apply_one(&in, caption, 8, 3);
        ck_assert(strcmp(other.text, all[0].text));
        free(other.text);
        for (uint32_t k = 0; k < N; k++)
            free(all[k].text);
        in.ops->destroy(in.self);
    }
}
END_TEST

static void add(TCase *t)
{
    tcase_add_test(t, budget);
    tcase_add_test(t, typos);
    tcase_add_test(t, neighbours);
    tcase_add_test(t, places);
    tcase_add_test(t, case_and_glyphs);
    tcase_add_test(t, spaces);
    tcase_add_test(t, back_off);
    tcase_add_test(t, synonyms);
    tcase_add_test(t, no_dictionary);
    tcase_add_test(t, batches);
}

int main(void)
{
    return corruption_main("corruptions_text", add);
}
