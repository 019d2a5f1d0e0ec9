/* SPDX-License-Identifier: MIT */
/* WordPiece (Schuster and Nakajima 2012, as BERT uses it): the longest token
 * first, then the longest that goes on; a word that does not come out is
 * unknown as a whole. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "model/tokenizer.h"

enum { CHARS_DEFAULT = 100, CHARS_MAX = 10000 };

struct wordpiece {
    char *prefix; /* of tokens within a word */
    int32_t unk;
    json_int_t chars_max; /* longer words are unknown */
};

static void wordpiece_free(void *self)
{
    struct wordpiece *w = self;
    if (!w)
        return;
    free(w->prefix);
    free(w);
}

static mohs_status wordpiece_parse(const json_t *model, struct vocab *vocab,
                                   void **self, const char *name,
                                   struct mohs_error *err)
{
    struct wordpiece *w = *self = xcalloc(1, sizeof *w);
    const char *prefix = json_string_value(
        json_object_get(model, "continuing_subword_prefix"));
    const char *unk = json_string_value(json_object_get(model, "unk_token"));
    const json_t *chars = json_object_get(model, "max_input_chars_per_word");
    w->prefix = xstrdup(prefix ? prefix : "##");
    w->chars_max = json_is_integer(chars) ? json_integer_value(chars)
                                          : CHARS_DEFAULT;
    if (w->chars_max < 0 || w->chars_max > CHARS_MAX)
        return mohs_fail(err, MOHS_E_UNSUPPORTED,
                         "%s: max_input_chars_per_word %lld is not in 0..%d", name,
                         (long long)w->chars_max, CHARS_MAX);
    RET_IF_ERR(vocab_parse(vocab, json_object_get(model, "vocab"), name, err));
    unk = unk ? unk : "[UNK]";
    w->unk = vocab_id(vocab, unk, strlen(unk));
    if (w->unk < 0)
        return mohs_fail(err, MOHS_E_FORMAT,
                         "%s: unk_token \"%.40s\" is not in the vocabulary", name,
                         unk);
    return MOHS_OK;
}

static bool too_long(const struct wordpiece *w, const char *s, size_t n)
{
    json_int_t chars = 0;
    for (size_t i = 0; i < n; i++)
        chars += ((unsigned char)s[i] & 0xC0) != 0x80;
    return chars > w->chars_max;
}

/* The longest token at s, which `prefix` comes before; 0 when there is none. */
static size_t longest(const struct vocab *vocab, const char *prefix,
                      const char *s, size_t n, int32_t *id)
{
    struct str room = { 0 };
    size_t before = strlen(prefix), k = n;
    str_add(&room, prefix);
    str_addn(&room, s, n);
    while (k && (*id = vocab_id(vocab, room.s, before + k)) < 0)
        k = utf8_back(s, k);
    str_free(&room);
    return k;
}

static void wordpiece_encode(const void *self, const struct vocab *vocab,
                             const char *word, size_t n, struct ids *out)
{
    const struct wordpiece *w = self;
    size_t from = out->n, k = 0;
    int32_t id;
    if (!too_long(w, word, n))
        for (size_t i = 0; i < n; i += k) {
            k = longest(vocab, i ? w->prefix : "", word + i, n - i, &id);
            if (!k)
                break;
            ids_add(out, &id, 1);
        }
    if (!k) {
        out->n = from;
        ids_add(out, &w->unk, 1);
    }
}

const struct token_ops wordpiece_ops = {
    .type = "WordPiece",
    .parse = wordpiece_parse,
    .free = wordpiece_free,
    .encode = wordpiece_encode,
};
