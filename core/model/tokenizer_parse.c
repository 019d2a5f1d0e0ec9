/* SPDX-License-Identifier: MIT */
/* The top of a tokenizer.json: added tokens, post-processor, padding. The
 * parts are read beside what runs them. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "model/tokenizer.h"

enum { ADDED_MAX = 1 << 16 };

static mohs_status add_token(struct tokenizer *t, const json_t *j,
                             const char *name, struct mohs_error *err)
{
    const char *text = json_string_value(json_object_get(j, "content"));
    const json_t *id = json_object_get(j, "id");
    json_int_t x = json_is_integer(id) ? json_integer_value(id) : -1;
    if (!text || x < 0 || x >= TOKEN_ID_MAX)
        return mohs_fail(err, MOHS_E_FORMAT,
                         "%s: added token \"%.40s\" without text or with an id "
                         "not in 0..%d", name, text ? text : "", TOKEN_ID_MAX - 1);
    int32_t known = vocab_id(&t->model.vocab, text, strlen(text));
    t->added[t->n_added++] = (struct added) {
        .name = xstrdup(text),
        .id = known >= 0 ? known : (int32_t)x, // as the library does
        .single_word = json_is_true(json_object_get(j, "single_word")),
        .lstrip = json_is_true(json_object_get(j, "lstrip")),
        .rstrip = json_is_true(json_object_get(j, "rstrip")),
        .normalized = json_is_true(json_object_get(j, "normalized")),
    };
    return MOHS_OK;
}

static mohs_status parse_added(struct tokenizer *t, const json_t *list,
                               const char *name, struct mohs_error *err)
{
    size_t i, n = json_array_size(list);
    json_t *v;
    if (n > ADDED_MAX)
        return mohs_fail(err, MOHS_E_UNSUPPORTED, "%s: more than %d added tokens",
                         name, ADDED_MAX);
    t->added = xcalloc(n, sizeof *t->added);
    json_array_foreach((json_t *)list, i, v)
        RET_IF_ERR(add_token(t, v, name, err));
    return MOHS_OK;
}

/* ---- post-processor ----------------------------------------------------- */

static mohs_status add_special(struct tokenizer *t, bool after, const json_t *id,
                               const char *name, struct mohs_error *err)
{
    uint32_t *n = after ? &t->n_after : &t->n_before;
    int32_t *v = after ? t->after : t->before;
    if (!json_is_integer(id) || json_integer_value(id) < 0 ||
        json_integer_value(id) >= TOKEN_ID_MAX)
        return mohs_fail(err, MOHS_E_FORMAT,
                         "%s: post-processor: a token without an id in 0..%d",
                         name, TOKEN_ID_MAX - 1);
    if (*n == SPECIALS_MAX)
        return mohs_fail(err, MOHS_E_UNSUPPORTED,
                         "%s: post-processor: more than %d tokens on a side",
                         name, SPECIALS_MAX);
    v[(*n)++] = (int32_t)json_integer_value(id);
    return MOHS_OK;
}

/* "single" of a TemplateProcessing. */
static mohs_status parse_template(struct tokenizer *t, const json_t *j,
                                  const char *name, struct mohs_error *err)
{
    const json_t *table = json_object_get(j, "special_tokens");
    size_t i, k, texts = 0;
    json_t *v, *id;
    json_array_foreach(json_object_get(j, "single"), i, v) {
        const json_t *s = json_object_get(v, "SpecialToken");
        const char *key = json_string_value(json_object_get(s, "id"));
        const json_t *ids = json_object_get(
            key ? json_object_get(table, key) : NULL, "ids");
        if (json_object_get(v, "Sequence")) {
            texts++;
            continue;
        }
        if (!json_is_array(ids))
            return mohs_fail(err, MOHS_E_FORMAT,
                             "%s: post-processor: no ids for \"%.40s\"", name,
                             key ? key : "");
        json_array_foreach((json_t *)ids, k, id)
            RET_IF_ERR(add_special(t, texts != 0, id, name, err));
    }
    return texts == 1 ? MOHS_OK
                      : mohs_fail(err, MOHS_E_UNSUPPORTED,
                                  "%s: post-processor: a template with %zu texts",
                                  name, texts);
}

static mohs_status parse_post(struct tokenizer *t, const json_t *j,
                              const char *name, int depth, struct mohs_error *err)
{
    const char *type = json_string_value(json_object_get(j, "type"));
    size_t i;
    json_t *v;
    if (!j || json_is_null(j))
        return MOHS_OK;
    if (!type || depth > NESTING_MAX)
        return mohs_fail(err, MOHS_E_FORMAT, "%s: post-processor %s", name,
                         type ? "nested too deep" : "without a type");
    if (!strcmp(type, "Sequence")) {
        json_array_foreach(json_object_get(j, "processors"), i, v)
            RET_IF_ERR(parse_post(t, v, name, depth + 1, err));
        return MOHS_OK;
    }
    if (!strcmp(type, "ByteLevel")) // changes offsets only
        return MOHS_OK;
    if (t->n_before || t->n_after)
        return mohs_fail(err, MOHS_E_UNSUPPORTED,
                         "%s: two post-processors that add tokens", name);
    if (!strcmp(type, "TemplateProcessing"))
        return parse_template(t, j, name, err);
    if (strcmp(type, "RobertaProcessing") && strcmp(type, "BertProcessing"))
        return mohs_fail(err, MOHS_E_UNSUPPORTED,
                         "%s: unknown post-processor \"%.40s\"", name, type);
    RET_IF_ERR(add_special(t, false, json_array_get(json_object_get(j, "cls"), 1),
                           name, err));
    return add_special(t, true, json_array_get(json_object_get(j, "sep"), 1), name,
                       err);
}

static int32_t find_token(const struct tokenizer *t, const char *text)
{
    for (size_t i = 0; i < t->n_added; i++)
        if (!strcmp(t->added[i].name, text))
            return t->added[i].id;
    return vocab_id(&t->model.vocab, text, strlen(text));
}

/* What fills up a context: the file's own choice, or the end token, as
 * CLIP's tokenizer does. */
static void choose_pad(struct tokenizer *t, const json_t *root)
{
    const json_t *id = json_object_get(json_object_get(root, "padding"), "pad_id");
    const char *side = json_string_value(
        json_object_get(json_object_get(root, "padding"), "direction"));
    json_int_t x = json_integer_value(id);
    if (json_is_integer(id) && x >= 0 && x < TOKEN_ID_MAX)
        t->pad = (int32_t)x;
    else
        t->pad = t->n_after ? t->after[t->n_after - 1] : 0;
    t->pad_left = side && !strcmp(side, "Left");
    x = json_integer_value(
        json_object_get(json_object_get(root, "truncation"), "max_length"));
    t->context = x > 0 && x < TOKEN_ID_MAX ? (uint32_t)x : 0;
}

/* A token that the member names; *id is left alone when it names none of
 * the vocabulary (transformers adds such a padding token, which no model
 * knows). */
static void named_token(const struct tokenizer *t, const json_t *mohs,
                        const char *key, int32_t *id)
{
    const char *text = json_string_value(json_object_get(mohs, key));
    int32_t found = text ? find_token(t, text) : -1;
    *id = found >= 0 ? found : *id;
}

/* The member "mohs", after everything else. */
static mohs_status parse_own(struct tokenizer *t, const json_t *o,
                             const char *name, struct mohs_error *err)
{
    const char *profile = json_string_value(json_object_get(o, "profile"));
    json_int_t context = json_integer_value(json_object_get(o, "context"));
    snprintf(t->profile, sizeof t->profile, "%.31s",
             profile ? profile : "transformers");
    if (context < 0 || context >= TOKEN_ID_MAX)
        return mohs_fail(err, MOHS_E_FORMAT, "%s: context %lld is not in 0..%d",
                         name, (long long)context, TOKEN_ID_MAX - 1);
    t->context = context ? (uint32_t)context : t->context;
    t->pad_left |= json_is_true(json_object_get(o, "pad_left"));
    t->whole_words = json_is_true(json_object_get(o, "whole_words"));
    t->mark = json_is_true(json_object_get(o, "mark"));
    t->end_once = json_is_true(json_object_get(o, "end_once"));
    named_token(t, o, "pad_token", &t->pad);
    named_token(t, o, "blank_token", &t->blank);
    return normalizer_parse(&t->clean, json_object_get(o, "clean"), name, 0, err);
}

static mohs_status parse_root(struct tokenizer *t, const json_t *root,
                              const char *name, struct mohs_error *err)
{
    RET_IF_ERR(token_model_parse(&t->model, json_object_get(root, "model"),
                                 name, err));
    RET_IF_ERR(parse_added(t, json_object_get(root, "added_tokens"), name, err));
    const json_t *own = json_object_get(root, "mohs");
    RET_IF_ERR(normalizer_parse(&t->normal, json_object_get(own, "before"), name,
                                0, err));
    RET_IF_ERR(normalizer_parse(&t->normal, json_object_get(root, "normalizer"),
                                name, 0, err));
    RET_IF_ERR(pretokenizer_parse(&t->pre, json_object_get(root, "pre_tokenizer"),
                                  name, 0, err));
    RET_IF_ERR(parse_post(t, json_object_get(root, "post_processor"), name, 0,
                          err));
    choose_pad(t, root);
    RET_IF_ERR(parse_own(t, own, name, err));
    tokenizer_finish(t);
    return MOHS_OK;
}

mohs_status tokenizer_parse(const char *json, size_t n, const char *name,
                            struct tokenizer **out, struct mohs_error *err)
{
    json_error_t je;
    char *what = xasprintf("%s: tokenizer", name);
    struct tokenizer *t = xcalloc(1, sizeof *t);
    t->blank = -1;
    json_t *root = json_loadb(json, n, JSON_REJECT_DUPLICATES, &je);
    mohs_status st;
    if (!root)
        st = mohs_fail(err, MOHS_E_FORMAT, "%s: line %d: %s", what, je.line,
                       je.text);
    else if (!json_is_object(root))
        st = mohs_fail(err, MOHS_E_FORMAT, "%s: not a JSON object", what);
    else
        st = parse_root(t, root, what, err);
    if (st >= 0) {
        *out = t;
        t = NULL;
    }
    tokenizer_free(t);
    json_decref(root);
    free(what);
    return st;
}
