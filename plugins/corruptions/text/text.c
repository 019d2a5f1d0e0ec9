/* SPDX-License-Identifier: MIT */
/*
 * Corruptions of texts: slips of the keyboard, look-alike letters, case,
 * punctuation, words dropped, swapped or replaced by synonyms.
 *
 * The budget: at severity s, s * rate of a text's words are edited (rounded,
 * at least one, at most `edits` if that is not 0), each once. Words are tried
 * in random order; one that cannot be edited (a number without synonyms, a
 * letter that cannot be left out) leaves its turn to the next. rate is 0.07
 * by default, so that severity 5 edits 35 % of the words, the strongest level
 * of Qiu et al., "Benchmarking Robustness of Multimodal Image-Text Models
 * under Distribution Shift" (DMLR 2024). A text of which no word can be
 * edited stays as it is, or gets a typo (backoff).
 */
#include "config.h"

#include "text.h"
#include "../../common/wordnet.h"

#include <errno.h>

enum backoff { KEEP, TYPO };

struct text_params {
    float rate;
    int32_t edits, backoff;
};

struct synonym_params {
    struct text_params common;
    const char *dict;
    int32_t senses;
};

struct text_self {
    const char *id;
    edit_fn *edit;
    struct text_params params;
    struct wordnet *wordnet;
    uint32_t senses;
};

/* ---- texts ---- */

uint32_t text_below(struct text *t, uint32_t n)
{
    return mohs_rng_below(t->seed, t->key, t->next++, n);
}

int word_set(struct text *t, size_t i, const char *s, size_t n)
{
    struct word *w = &t->word[i];
    char *own = malloc(n + 1);
    if (!own) {
        t->no_memory = 1;
        return 0;
    }
    memcpy(own, s, n);
    own[n] = 0;
    free(w->own);
    w->own = own;
    w->s = own;
    w->n = n;
    return 1;
}

/* Bytes of the white space at s, 0 if there is none. */
static size_t space_at(const char *s)
{
    static const char *const wide[] = { "\xc2\xa0", "\xe2\x80\x89",
                                        "\xe2\x80\xaf", "\xe3\x80\x80" };
    if (*s == ' ' || (*s >= '\t' && *s <= '\r'))
        return 1;
    for (size_t i = 0; i < sizeof wide / sizeof *wide; i++)
        if (!strncmp(s, wide[i], strlen(wide[i])))
            return strlen(wide[i]);
    return 0;
}

static int text_split(struct text *t, const char *s)
{
    size_t room = strlen(s) / 2 + 1, k;
    t->word = calloc(room, sizeof *t->word);
    if (!t->word)
        return 0;
    for (;;) {
        const char *lead = s;
        while ((k = space_at(s)))
            s += k;
        if (!*s) {
            t->tail = lead;
            return 1;
        }
        struct word *w = &t->word[t->n_words++];
        w->lead = lead;
        w->n_lead = (size_t)(s - lead);
        w->s = s;
        while (*s && !space_at(s))
            s++;
        w->n = (size_t)(s - w->s);
    }
}

/* A dropped word takes its white space along, the first one that behind it. */
static char *text_join(const struct text *t)
{
    size_t n = strlen(t->tail) + 1;
    for (size_t i = 0; i < t->n_words; i++)
        n += t->word[i].n_lead + t->word[i].n;
    char *all = malloc(n), *p = all;
    int any = 0;
    for (size_t i = 0; all && i < t->n_words; i++) {
        const struct word *w = &t->word[i];
        if (!w->s)
            continue;
        const struct word *lead = any ? w : t->word;
        memcpy(p, lead->lead, lead->n_lead);
        p += lead->n_lead;
        memcpy(p, w->s, w->n);
        p += w->n;
        any = 1;
    }
    if (all)
        memcpy(p, t->tail, strlen(t->tail) + 1);
    return all;
}

static void text_free(struct text *t)
{
    for (size_t i = 0; i < t->n_words; i++)
        free(t->word[i].own);
    free(t->word);
}

/* ---- the budget ---- */

static uint32_t budget(const struct text_self *s, size_t words,
                       uint32_t severity)
{
    double n = floor((double)s->params.rate * severity * (double)words + 0.5);
    uint32_t most = s->params.edits > 0 ? (uint32_t)s->params.edits : UINT32_MAX;
    uint32_t want = n < 1 ? 1 : n > (double)words ? (uint32_t)words : (uint32_t)n;
    return want < most ? want : most;
}

/* Edits in random order of the words; how many there were. */
static uint32_t edit_words(struct text *t, edit_fn *edit, uint32_t want)
{
    size_t *order = malloc(t->n_words * sizeof *order + 1);
    uint32_t done = 0;
    if (!order) {
        t->no_memory = 1;
        return 0;
    }
    for (size_t i = 0; i < t->n_words; i++)
        order[i] = i;
    for (size_t i = 0; i < t->n_words && done < want && !t->no_memory; i++) {
        size_t k = i + text_below(t, (uint32_t)(t->n_words - i));
        size_t at = order[k];
        order[k] = order[i];
        done += (uint32_t)edit(t, at);
    }
    free(order);
    return done;
}

static mohs_status one_text(const struct text_self *s, const char *in,
                            uint32_t index, uint32_t severity, uint64_t seed,
                            uint64_t key, struct mohs_text_sink *out,
                            struct mohs_error *err)
{
    struct text t = { .seed = seed,
                      .key = key,
                      .wordnet = s->wordnet,
                      .senses = s->senses };
    mohs_status st = MOHS_E_NOMEM;
    char *all = NULL;
    uint32_t edits = 0;
    if (text_split(&t, in)) {
        uint32_t want = budget(s, t.n_words, severity);
        edits = edit_words(&t, s->edit, want);
        if (!edits && s->params.backoff == TYPO)
            edits = edit_words(&t, typo_insert_edit, want);
        all = t.no_memory ? NULL : text_join(&t);
    }
    if (all && edits && !strcmp(all, in)) // swapped back
        edits = 0;
    if (all)
        st = out->put(out, index, all, edits, err);
    else
        mohs_fail(err, st, "%s: no memory", s->id);
    free(all);
    text_free(&t);
    return st;
}

/* ---- items ---- */

static mohs_status text_apply(void *self, const struct mohs_texts *in,
                              struct mohs_text_sink *out, uint32_t severity,
                              uint64_t seed, struct mohs_error *err)
{
    const struct text_self *s = self;
    mohs_status st = MOHS_OK;
    if (severity < 1 || severity > 5)
        return mohs_fail(err, MOHS_E_ARG, "%s: severity %u is outside 1..5",
                         s->id, severity);
    for (uint32_t i = 0; i < in->n && st >= 0; i++)
        st = one_text(s, in->text[i], i, severity, seed, in->key[i], out, err);
    return st;
}

static mohs_status text_create(const char *id, edit_fn *edit,
                               const struct text_params *p, void **out,
                               struct mohs_error *err)
{
    struct text_self *s = calloc(1, sizeof *s);
    if (!s)
        return mohs_fail(err, MOHS_E_NOMEM, "%s: no memory", id);
    s->id = id;
    s->edit = edit;
    s->params = *p;
    *out = s;
    return MOHS_OK;
}

static void text_destroy(void *self)
{
    struct text_self *s = self;
    if (s)
        wordnet_close(s->wordnet);
    free(s);
}

static mohs_status synonym_open(struct text_self *s,
                                const struct synonym_params *p,
                                struct mohs_error *err)
{
    char missing[512];
    s->senses = (uint32_t)p->senses;
    s->wordnet = wordnet_open(p->dict, missing, sizeof missing);
    if (s->wordnet)
        return MOHS_OK;
    return mohs_fail(err, MOHS_E_IO,
                     "synonym: %s: %s (WordNet's files: Debian's wordnet-base, "
                     "or set dict)",
                     missing, strerror(errno));
}

static const char *const backoff_names[] = { "keep", "typo", NULL };

#define TEXT_PARAMS(type, common)                                            \
    { "rate",                                                                \
      "share of a text's words that is edited, times the severity",          \
      MOHS_P_FLOAT,                                                          \
      offsetof(type, common rate),                                           \
      0.07,                                                                  \
      0,                                                                     \
      1,                                                                     \
      NULL,                                                                  \
      NULL },                                                                \
        { "edits",                                                           \
          "edit at most so many words (0: as rate says)",                    \
          MOHS_P_INT,                                                        \
          offsetof(type, common edits),                                      \
          0,                                                                 \
          0,                                                                 \
          1000000,                                                           \
          NULL,                                                              \
          NULL },                                                            \
    {                                                                        \
        "backoff", "a text of which no word can be edited stays or gets a typo", \
            MOHS_P_CHOICE, offsetof(type, common backoff), KEEP, KEEP, TYPO, \
            backoff_names, NULL                                              \
    }

static const struct mohs_param text_params[] = { TEXT_PARAMS(
    struct text_params, ) };

#define TEXT_ITEM_OF(name, text, table, type)                                \
    static const struct mohs_corruption_ops name##_ops = {                   \
        .size = sizeof name##_ops,                                           \
        .flags = MOHS_CORRUPTION_TEXT | MOHS_CORRUPTION_STOCHASTIC,          \
        .create = name##_create,                                             \
        .destroy = text_destroy,                                             \
        .apply_text = text_apply,                                            \
    };                                                                       \
    static const struct mohs_item name##_item = {                            \
        .size = sizeof name##_item,                                          \
        .param_stride = sizeof(struct mohs_param),                           \
        .kind = MOHS_KIND_CORRUPTION,                                        \
        .id = #name,                                                         \
        .summary = text,                                                     \
        .params = table,                                                     \
        .n_params = sizeof table / sizeof *table,                            \
        .params_size = sizeof(type),                                         \
        .ops = &name##_ops,                                                  \
    }

#define TEXT_ITEM(name, text)                                                \
    static mohs_status name##_create(const struct mohs_host *host,           \
                                     const void *params, void **self,        \
                                     struct mohs_error *err)                 \
    {                                                                        \
        (void)host;                                                          \
        return text_create(#name, name##_edit, params, self, err);           \
    }                                                                        \
    TEXT_ITEM_OF(name, text, text_params, struct text_params)

TEXT_ITEM(typo_keyboard, "a neighbouring key struck instead (texts)");
TEXT_ITEM(typo_swap, "two letters in the wrong order (texts)");
TEXT_ITEM(typo_insert, "a neighbouring key struck too (texts)");
TEXT_ITEM(typo_delete, "a letter left out (texts)");
TEXT_ITEM(homoglyph, "a letter of another script that looks the same (texts)");
TEXT_ITEM(case_change, "words in capitals, or no longer (texts)");
TEXT_ITEM(punctuation, "punctuation marks between words (texts)");
TEXT_ITEM(word_drop, "words left out (texts)");
TEXT_ITEM(word_swap, "words in each other's place (texts)");

static const struct mohs_param synonym_params[] = {
    TEXT_PARAMS(struct synonym_params, common.),
    { "dict", "directory of WordNet's index.* and data.* files", MOHS_P_PATHS,
      offsetof(struct synonym_params, dict), 0, 0, 0, NULL,
      "/usr/share/wordnet" },
    { "senses", "how many meanings of a word count, most frequent first",
      MOHS_P_INT, offsetof(struct synonym_params, senses), 1, 1, 100, NULL,
      NULL },
};

static mohs_status synonym_create(const struct mohs_host *host,
                                  const void *params, void **self,
                                  struct mohs_error *err)
{
    const struct synonym_params *p = params;
    void *s = NULL;
    (void)host;
    mohs_status st = text_create("synonym", synonym_edit, &p->common, &s, err);
    if (st >= 0)
        st = synonym_open(s, p, err);
    if (st >= 0)
        *self = s;
    else
        text_destroy(s);
    return st;
}
TEXT_ITEM_OF(synonym, "words replaced by WordNet's synonyms (texts)",
             synonym_params, struct synonym_params);

static const struct mohs_item *const items[] = {
    &typo_keyboard_item, &typo_swap_item,   &typo_insert_item,
    &typo_delete_item,   &homoglyph_item,   &case_change_item,
    &punctuation_item,   &word_drop_item,   &word_swap_item,
    &synonym_item,       NULL,
};
static const struct mohs_plugin plugin = {
    .size = sizeof plugin,
    .abi = MOHS_ABI,
    .id = "mohs.text",
    .name = "Corruptions of texts",
    .version = "1.0",
    .license = "MIT",
    .items = items,
};

const struct mohs_plugin *mohs_plugin_v1(uint32_t host_abi)
{
    (void)host_abi;
    return &plugin;
}
