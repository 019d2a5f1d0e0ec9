/* SPDX-License-Identifier: MIT */
/*
 * Learns a CLIP-style byte-level BPE (Sennrich et al. 2016): the most
 * frequent pair is merged first, ties go to the bytewise smaller pair, so
 * one corpus has one result.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "model/tokenizer.h"

enum { BASE = 512, SPECIALS = 2 };

struct word {
    char *text;
    uint64_t count;
    int32_t *sym;
    size_t n;
};

struct trainer {
    struct word *word; /* open hash while counting, dense afterwards */
    size_t n, cap;
    char **token; /* by id */
    size_t n_tokens;
    struct str merges;
    size_t n_merges;
};

static void count_word(void *user, const char *s, size_t n)
{
    struct trainer *t = user;
    if (2 * (t->n + 1) > t->cap) {
        struct word *old = t->word;
        size_t k = t->cap;
        t->cap = k ? 2 * k : 4096;
        t->word = xcalloc(t->cap, sizeof *t->word);
        for (size_t i = 0; i < k; i++) {
            if (!old[i].text)
                continue;
            size_t j = hash_str64(old[i].text) & (t->cap - 1);
            while (t->word[j].text)
                j = (j + 1) & (t->cap - 1);
            t->word[j] = old[i];
        }
        free(old);
    }
    char *text = xasprintf("%.*s", (int)n, s);
    size_t i = hash_str64(text) & (t->cap - 1);
    while (t->word[i].text && strcmp(t->word[i].text, text))
        i = (i + 1) & (t->cap - 1);
    if (t->word[i].text) {
        free(text);
    } else {
        t->word[i].text = text;
        t->n++;
    }
    t->word[i].count++;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(((const struct word *)a)->text, ((const struct word *)b)->text);
}

static void pack_words(struct trainer *t)
{
    size_t k = 0;
    for (size_t i = 0; i < t->cap; i++)
        if (t->word[i].text)
            t->word[k++] = t->word[i];
    qsort(t->word, k, sizeof *t->word, by_text);
}

/* 256 bytes, then the same at the end of a word: CLIP's order. */
static void base_tokens(struct trainer *t, size_t size)
{
    t->token = xcalloc(size + BASE, sizeof *t->token);
    unsigned order[256], k = 0;
    for (unsigned b = 0; b < 256; b++)
        if ((b >= '!' && b <= '~') || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE)
            order[k++] = b;
    for (unsigned b = 0; b < 256; b++)
        if (!((b >= '!' && b <= '~') || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE))
            order[k++] = b;
    for (k = 0; k < 256; k++) {
        t->token[k] = xstrdup(byte_char((uint8_t)order[k]));
        t->token[256 + k] = xasprintf("%s</w>", byte_char((uint8_t)order[k]));
    }
    t->n_tokens = BASE;
}

static int32_t base_id(const struct trainer *t, const char *s, size_t n, bool last)
{
    for (int32_t i = 0; i < 256; i++)
        if (!strncmp(t->token[i], s, n) && !t->token[i][n])
            return last ? i + 256 : i;
    return 0;
}

static void split_words(struct trainer *t)
{
    for (size_t i = 0; i < t->n; i++) {
        struct word *w = &t->word[i];
        size_t len = strlen(w->text);
        w->sym = xcalloc(len, sizeof *w->sym);
        for (size_t at = 0; at < len;) {
            size_t k = 1;
            while (((unsigned char)w->text[at + k] & 0xC0) == 0x80)
                k++;
            w->sym[w->n++] = base_id(t, w->text + at, k, at + k == len);
            at += k;
        }
    }
}

struct pair {
    uint64_t key, count; /* key: left << 32 | right, plus 1 */
};

static uint64_t *pair_at(struct pair *table, size_t cap, int32_t l, int32_t r)
{
    uint64_t key = ((uint64_t)(uint32_t)l << 32 | (uint32_t)r) + 1;
    size_t i = (key * 0x9E3779B97F4A7C15u >> 24) & (cap - 1);
    while (table[i].key && table[i].key != key)
        i = (i + 1) & (cap - 1);
    table[i].key = key;
    return &table[i].count;
}

static bool smaller(const struct trainer *t, uint64_t a, uint64_t b)
{
    int c = strcmp(t->token[(a - 1) >> 32], t->token[(b - 1) >> 32]);
    if (!c)
        c = strcmp(t->token[(uint32_t)(a - 1)], t->token[(uint32_t)(b - 1)]);
    return c < 0;
}

/* The pair to merge next; count 0 when there is none worth it. */
static struct pair best_pair(const struct trainer *t)
{
    size_t total = 1024, cap = 1024;
    for (size_t i = 0; i < t->n; i++)
        total += t->word[i].n;
    while (cap < 2 * total)
        cap *= 2;
    struct pair *table = xcalloc(cap, sizeof *table), best = { 0, 0 };
    for (size_t i = 0; i < t->n; i++)
        for (size_t k = 0; k + 1 < t->word[i].n; k++)
            *pair_at(table, cap, t->word[i].sym[k], t->word[i].sym[k + 1]) +=
                t->word[i].count;
    for (size_t i = 0; i < cap; i++)
        if (table[i].count > best.count ||
            (table[i].count && table[i].count == best.count &&
             smaller(t, table[i].key, best.key)))
            best = table[i];
    free(table);
    return best;
}

static void apply(struct trainer *t, struct pair p)
{
    int32_t l = (int32_t)((p.key - 1) >> 32), r = (int32_t)(uint32_t)(p.key - 1);
    int32_t id = (int32_t)t->n_tokens;
    t->token[t->n_tokens++] = xasprintf("%s%s", t->token[l], t->token[r]);
    str_add(&t->merges, t->n_merges++ ? "," : "");
    char *line = xasprintf("%s %s", t->token[l], t->token[r]);
    str_add_json(&t->merges, line);
    free(line);
    for (size_t i = 0; i < t->n; i++) {
        struct word *w = &t->word[i];
        size_t k = 0;
        for (size_t j = 0; j < w->n; j++) {
            bool hit = j + 1 < w->n && w->sym[j] == l && w->sym[j + 1] == r;
            w->sym[k++] = hit ? id : w->sym[j];
            j += hit;
        }
        w->n = k;
    }
}

static char *to_json(const struct trainer *t)
{
    size_t n = t->n_tokens;
    struct str s = { 0 };
    static const char special[] =
        "{\"id\":%zu,\"content\":\"%s\",\"single_word\":false,\"lstrip\":false,"
        "\"rstrip\":false,\"normalized\":true,\"special\":true}";
    str_add(&s, "{\"version\":\"1.0\",\"truncation\":null,\"padding\":null,"
                "\"added_tokens\":[");
    char *a = xasprintf(special, n, "<|startoftext|>");
    char *b = xasprintf(special, n + 1, "<|endoftext|>");
    str_addf(&s, "%s,%s],", a, b);
    free(a);
    free(b);
    str_add(&s, "\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":"
                "\"NFC\"},{\"type\":\"Replace\",\"pattern\":{\"Regex\":\"\\\\s+\"},"
                "\"content\":\" \"},{\"type\":\"Lowercase\"}]},");
    str_add(&s, "\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":"
                "\"Split\",\"pattern\":{\"Regex\":");
    str_add_json(&s, CLIP_PATTERN);
    str_add(&s, "},\"behavior\":\"Removed\",\"invert\":true},{\"type\":\"ByteLevel\","
                "\"add_prefix_space\":false,\"trim_offsets\":true,\"use_regex\":true}]},");
    str_addf(&s, "\"post_processor\":{\"type\":\"RobertaProcessing\",\"sep\":["
                 "\"<|endoftext|>\",%zu],\"cls\":[\"<|startoftext|>\",%zu],"
                 "\"trim_offsets\":false,\"add_prefix_space\":false},", n + 1, n);
    str_add(&s, "\"decoder\":{\"type\":\"ByteLevel\",\"add_prefix_space\":true,"
                "\"trim_offsets\":true,\"use_regex\":true},\"model\":{\"type\":\"BPE\","
                "\"dropout\":null,\"unk_token\":\"<|endoftext|>\","
                "\"continuing_subword_prefix\":\"\",\"end_of_word_suffix\":\"</w>\","
                "\"fuse_unk\":false,\"byte_fallback\":false,\"vocab\":{");
    for (size_t i = 0; i < n; i++) {
        str_add(&s, i ? "," : "");
        str_add_json(&s, t->token[i]);
        str_addf(&s, ":%zu", i);
    }
    str_addf(&s, ",\"<|startoftext|>\":%zu,\"<|endoftext|>\":%zu},\"merges\":[%s]}}", n,
             n + 1, t->merges.s ? t->merges.s : "");
    return s.s;
}

mohs_status tokenizer_train(const char *const *texts, size_t n, uint32_t size,
                            char **json, struct mohs_error *err)
{
    struct trainer t = { 0 };
    if (size < BASE + SPECIALS || size > TOKENS_MAX)
        return mohs_fail(err, MOHS_E_ARG, "tokenizer: a vocabulary of %u; at least %d",
                         size, BASE + SPECIALS);
    struct tokenizer *rules = xcalloc(1, sizeof *rules);
    mohs_status st = tokenizer_clip_steps(rules, err);
    for (size_t i = 0; i < n && st >= 0; i++)
        tokenizer_words(rules, texts[i], strlen(texts[i]), count_word, &t);
    tokenizer_free(rules);
    if (st < 0)
        goto out;
    pack_words(&t);
    base_tokens(&t, size);
    split_words(&t);
    while (t.n_tokens + SPECIALS < size) {
        struct pair p = best_pair(&t);
        if (p.count < 2)
            break;
        apply(&t, p);
    }
    *json = to_json(&t);
out:
    for (size_t i = 0; i < t.n; i++) {
        free(t.word[i].text);
        free(t.word[i].sym);
    }
    for (size_t i = 0; i < t.n_tokens; i++)
        free(t.token[i]);
    free(t.word);
    free(t.token);
    str_free(&t.merges);
    return st;
}
