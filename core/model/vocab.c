/* SPDX-License-Identifier: MIT */
/* Tokens and their ids, both ways. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "model/token_model.h"

enum { TOKENS_MAX = 1 << 22, TOKEN_BYTES_MAX = 1 << 16 };

void vocab_clear(struct vocab *v)
{
    for (size_t i = 0; i < v->cap; i++)
        free(v->slot[i].token);
    free(v->slot);
    free(v->by_id);
    *v = (struct vocab) { 0 };
}

mohs_status vocab_reserve(struct vocab *v, size_t n, const char *name,
                          struct mohs_error *err)
{
    if (!n || n > TOKENS_MAX)
        return mohs_fail(err, MOHS_E_FORMAT,
                         "%s: a vocabulary of %zu tokens, not 1..%d", name, n,
                         TOKENS_MAX);
    v->cap = 64;
    while (v->cap < 2 * n)
        v->cap *= 2;
    v->slot = xcalloc(v->cap, sizeof *v->slot);
    return MOHS_OK;
}

static size_t slot_of(const struct vocab *v, const char *t, size_t n)
{
    size_t i = (size_t)hash_bytes(t, n).lo & (v->cap - 1);
    while (v->slot[i].token &&
           (v->slot[i].n != n || memcmp(v->slot[i].token, t, n)))
        i = (i + 1) & (v->cap - 1);
    return i;
}

int32_t vocab_id(const struct vocab *v, const char *token, size_t n)
{
    const struct vocab_slot *s = &v->slot[slot_of(v, token, n)];
    return s->token ? s->id : -1;
}

const char *vocab_token(const struct vocab *v, int32_t id)
{
    return id >= 0 && id < v->n_ids ? v->by_id[id] : NULL;
}

static void ids_grow(struct vocab *v, int32_t id)
{
    if (id >= v->cap_ids) {
        int32_t cap = v->cap_ids ? 2 * v->cap_ids : 1024;
        cap = cap > id ? cap : id + 1;
        v->by_id = xrealloc(v->by_id, (size_t)cap * sizeof *v->by_id);
        memset(v->by_id + v->cap_ids, 0,
               (size_t)(cap - v->cap_ids) * sizeof *v->by_id);
        v->cap_ids = cap;
    }
    v->n_ids = id >= v->n_ids ? id + 1 : v->n_ids;
}

mohs_status vocab_put(struct vocab *v, const char *token, size_t n, int64_t id,
                      const char *name, struct mohs_error *err)
{
    if (id < 0 || id >= TOKEN_ID_MAX || n > TOKEN_BYTES_MAX)
        return mohs_fail(err, MOHS_E_FORMAT,
                         "%s: token \"%.*s\": its id is not in 0..%d or its "
                         "text too long", name, n < 40 ? (int)n : 40, token,
                         TOKEN_ID_MAX - 1);
    if (vocab_token(v, (int32_t)id))
        return mohs_fail(err, MOHS_E_FORMAT,
                         "%s: tokens \"%.40s\" and \"%.*s\" have one id, %d",
                         name, v->by_id[id], n < 40 ? (int)n : 40, token,
                         (int)id);
    struct vocab_slot *s = &v->slot[slot_of(v, token, n)];
    if (!s->token) {
        s->token = xmalloc(n + 1);
        memcpy(s->token, token, n);
        s->token[n] = 0;
        s->n = (uint32_t)n;
    }
    s->id = (int32_t)id;
    ids_grow(v, (int32_t)id);
    v->by_id[id] = s->token;
    return MOHS_OK;
}

mohs_status vocab_parse(struct vocab *v, const json_t *object, const char *name,
                        struct mohs_error *err)
{
    const char *key;
    json_t *id;
    RET_IF_ERR(vocab_reserve(v, json_object_size(object), name, err));
    json_object_foreach((json_t *)object, key, id)
        RET_IF_ERR(vocab_put(v, key, strlen(key),
                             json_is_integer(id) ? json_integer_value(id) : -1,
                             name, err));
    return MOHS_OK;
}

int32_t vocab_byte(const struct vocab *v, char byte)
{
    char name[8];
    snprintf(name, sizeof name, "<0x%02X>", (unsigned char)byte);
    return vocab_id(v, name, 6);
}

bool vocab_bytes(const struct vocab *v, const char *s, size_t n,
                 struct ids *out)
{
    for (size_t i = 0; i < n; i++)
        if (vocab_byte(v, s[i]) < 0)
            return false;
    for (size_t i = 0; i < n; i++) {
        int32_t id = vocab_byte(v, s[i]);
        ids_add(out, &id, 1);
    }
    return true;
}
