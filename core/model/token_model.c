/* SPDX-License-Identifier: MIT */
/* Finds the kind of a tokenizer's model, and remembers its words. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "model/token_model.h"

static const struct token_ops *const kinds[] = {
    &bpe_ops,
    &unigram_ops,
    &wordpiece_ops,
    &sentencepiece_ops,
};

void ids_add(struct ids *a, const int32_t *v, size_t n)
{
    if (a->n + n > a->cap) {
        a->cap = 2 * a->cap + n + 32;
        a->v = xrealloc(a->v, a->cap * sizeof *a->v);
    }
    if (n)
        memcpy(a->v + a->n, v, n * sizeof *v);
    a->n += n;
}

/* Files written before "type" have the parts only. */
static const char *type_of(const json_t *j)
{
    const char *type = json_string_value(json_object_get(j, "type"));
    if (type)
        return type;
    if (json_object_get(j, "merges"))
        return "BPE";
    if (json_is_array(json_object_get(j, "vocab")))
        return "Unigram";
    return json_object_get(j, "max_input_chars_per_word") ? "WordPiece" : "";
}

mohs_status token_model_parse(struct token_model *m, const json_t *j,
                              const char *name, struct mohs_error *err)
{
    const char *type = type_of(j);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (!strcmp(kinds[i]->type, type))
            m->ops = kinds[i];
    if (!m->ops)
        return mohs_fail(err, MOHS_E_UNSUPPORTED,
                         "%s: a tokenizer of type \"%.40s\", not BPE, Unigram, "
                         "WordPiece or SentencePiece", name, type);
    m->cache = word_cache_new();
    return m->ops->parse(j, &m->vocab, &m->self, name, err);
}

void token_model_clear(struct token_model *m)
{
    if (m->ops)
        m->ops->free(m->self);
    vocab_clear(&m->vocab);
    word_cache_free(m->cache);
}

void token_model_word(const struct token_model *m, const char *word, size_t n,
                      struct ids *out)
{
    size_t from = out->n;
    if (word_cache_get(m->cache, word, n, out))
        return;
    m->ops->encode(m->self, &m->vocab, word, n, out);
    if (out->n > from)
        word_cache_put(m->cache, word, n, out->v + from, out->n - from);
}

const char *token_model_suffix(const struct token_model *m)
{
    return m->ops->suffix ? m->ops->suffix(m->self) : "";
}
