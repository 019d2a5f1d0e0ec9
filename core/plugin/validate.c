/* SPDX-License-Identifier: MIT */
/*
 * Judges a plugin's tables before anything of it is used: sizes, strings,
 * ids, required functions and parameter rows. Nothing here trusts a field
 * that `size` does not cover.
 */
#include "config.h"

#include "plugin/plugin_impl.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* What version 1.0 of the ABI requires; later fields are optional. */
#define SIZE_1_0(type, last) \
    ((uint32_t)(offsetof(type, last) + sizeof(((type *)0)->last)))
enum { ITEMS_MAX = 4096, PARAMS_MAX = 256, LINE_MAX_BYTES = 400 };

static const struct {
    const char *kind, *word;
} kinds[KIND_COUNT] = {
    { MOHS_KIND_MODEL, "model" },
    { MOHS_KIND_CORRUPTION, "corruption" },
    { MOHS_KIND_ATTACK, "attack" },
    { MOHS_KIND_METRIC, "metric" },
};

int kind_index(const char *kind)
{
    for (int i = 0; i < KIND_COUNT; i++)
        if (!strcmp(kinds[i].kind, kind))
            return i;
    return -1;
}

const char *kind_name(int index)
{
    return kinds[index].kind;
}

const char *kind_word(const char *kind)
{
    int i = kind_index(kind);
    return i < 0 ? NULL : kinds[i].word;
}

const char *kind_from_word(const char *word)
{
    for (int i = 0; i < KIND_COUNT; i++) {
        size_t n = strlen(kinds[i].word);
        if (!strncmp(word, kinds[i].word, n) &&
            (!word[n] || !strcmp(word + n, "s")))
            return kinds[i].kind;
    }
    return NULL;
}

bool id_valid(const char *s)
{
    if (*s < 'a' || *s > 'z')
        return false;
    size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789_");
    return !s[n] && n < 64;
}

/* One printable line of UTF-8. */
static bool line_valid(const char *s)
{
    size_t n = strnlen(s, LINE_MAX_BYTES + 1);
    if (!n || n > LINE_MAX_BYTES || !utf8_valid(s, n))
        return false;
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)s[i] < ' ' || s[i] == 127)
            return false;
    return true;
}

static mohs_status line_check(const char *who, const char *field, const char *s,
                              struct mohs_error *err)
{
    if (!s)
        return mohs_fail(err, MOHS_E_PLUGIN, "%s: %s is NULL", who, field);
    if (!line_valid(s))
        return mohs_fail(err, MOHS_E_PLUGIN,
                         "%s: %s is not one line of 1 to %d bytes", who, field,
                         LINE_MAX_BYTES);
    return MOHS_OK;
}

static mohs_status size_check(const char *who, const char *what, uint32_t size,
                              uint32_t least, struct mohs_error *err)
{
    if (size >= least)
        return MOHS_OK;
    return mohs_fail(err, MOHS_E_PLUGIN,
                     "%s: %s.size is %u, ABI 1.0 requires %u", who, what, size,
                     least);
}

/* ---- operations by kind ---- */

#define NEED(ops, f)                                                       \
    do {                                                                   \
        if (!(ops)->f)                                                     \
            return mohs_fail(err, MOHS_E_PLUGIN, "%s: ops.%s is NULL", id, \
                             #f);                                          \
    } while (0)

static mohs_status model_ops(const char *id, const void *p,
                             struct mohs_error *err)
{
    const struct mohs_model_ops *o = p;
    RET_IF_ERR(size_check(id, "ops", o->size,
                          SIZE_1_0(struct mohs_model_ops, get_extension), err));
    NEED(o, probe);
    NEED(o, create);
    NEED(o, destroy);
    NEED(o, info);
    NEED(o, describe);
    NEED(o, build);
    return MOHS_OK;
}

static mohs_status corruption_ops(const char *id, const void *p,
                                  struct mohs_error *err)
{
    const struct mohs_corruption_ops *o = p;
    RET_IF_ERR(size_check(id, "ops", o->size,
                          SIZE_1_0(struct mohs_corruption_ops, get_extension),
                          err));
    NEED(o, create);
    NEED(o, destroy);
    if (o->flags & MOHS_CORRUPTION_TEXT)
        NEED(o, apply_text);
    else
        NEED(o, apply);
    return MOHS_OK;
}

static mohs_status attack_ops(const char *id, const void *p,
                              struct mohs_error *err)
{
    const struct mohs_attack_ops *o = p;
    RET_IF_ERR(size_check(id, "ops", o->size,
                          SIZE_1_0(struct mohs_attack_ops, get_extension),
                          err));
    NEED(o, create);
    NEED(o, destroy);
    NEED(o, run);
    return MOHS_OK;
}

static mohs_status metric_ops(const char *id, const void *p,
                              struct mohs_error *err)
{
    const struct mohs_metric_ops *o = p;
    RET_IF_ERR(size_check(id, "ops", o->size,
                          SIZE_1_0(struct mohs_metric_ops, get_extension),
                          err));
    NEED(o, create);
    NEED(o, destroy);
    NEED(o, columns);
    NEED(o, values);
    NEED(o, measure);
    NEED(o, summarise);
    return MOHS_OK;
}

static mohs_status ops_check(const struct mohs_item *it, int kind,
                             struct mohs_error *err)
{
    static mohs_status (*const check[KIND_COUNT])(const char *, const void *,
                                                  struct mohs_error *) = {
        model_ops, corruption_ops, attack_ops, metric_ops
    };
    if (!it->ops)
        return mohs_fail(err, MOHS_E_PLUGIN, "%s: ops is NULL", it->id);
    return check[kind](it->id, it->ops, err);
}

/* ---- parameter tables ---- */

static const struct {
    uint32_t size, align;
} types[] = {
    [MOHS_P_INT] = { sizeof(int32_t), _Alignof(int32_t) },
    [MOHS_P_FLOAT] = { sizeof(float), _Alignof(float) },
    [MOHS_P_BOOL] = { sizeof(int32_t), _Alignof(int32_t) },
    [MOHS_P_CHOICE] = { sizeof(int32_t), _Alignof(int32_t) },
    [MOHS_P_STRING] = { sizeof(char *), _Alignof(char *) },
    [MOHS_P_INTS] = { sizeof(struct mohs_ints), _Alignof(struct mohs_ints) },
    [MOHS_P_PATHS] = { sizeof(char *), _Alignof(char *) },
};

static mohs_status number_check(const char *who, const struct mohs_param *p,
                                struct mohs_error *err)
{
    if (isnan(p->min) || isnan(p->max) || p->min > p->max)
        return mohs_fail(err, MOHS_E_PLUGIN, "%s: range %g..%g is empty", who,
                         p->min, p->max);
    if (!isfinite(p->def) || p->def < p->min || p->def > p->max)
        return mohs_fail(err, MOHS_E_PLUGIN, "%s: default %g is outside %g..%g",
                         who, p->def, p->min, p->max);
    if (p->type == MOHS_P_INT &&
        (p->def != floor(p->def) || fabs(p->def) > INT32_MAX))
        return mohs_fail(err, MOHS_E_PLUGIN,
                         "%s: default %g is not a 32-bit integer", who, p->def);
    return MOHS_OK;
}

static mohs_status choice_check(const char *who, const struct mohs_param *p,
                                struct mohs_error *err)
{
    if (!p->choices || !p->choices[0])
        return mohs_fail(err, MOHS_E_PLUGIN, "%s: a choice without choices",
                         who);
    size_t n = 0;
    for (; p->choices[n]; n++)
        RET_IF_ERR(line_check(who, "a choice", p->choices[n], err));
    if (p->def != floor(p->def) || p->def < 0 || p->def >= (double)n)
        return mohs_fail(err, MOHS_E_PLUGIN,
                         "%s: default %g is not an index of its %zu choices",
                         who, p->def, n);
    return MOHS_OK;
}

static mohs_status ints_check(const char *who, const struct mohs_param *p,
                              struct mohs_error *err)
{
    struct mohs_ints v;
    if (isnan(p->min) || isnan(p->max) || p->min > p->max)
        return mohs_fail(err, MOHS_E_PLUGIN, "%s: range %g..%g is empty", who,
                         p->min, p->max);
    if (!ints_parse(p->def_text ? p->def_text : "", &v))
        return mohs_fail(err, MOHS_E_PLUGIN,
                         "%s: def_text '%.40s' is not a list of at most %d "
                         "integers",
                         who, p->def_text, MOHS_INTS_MAX);
    for (int32_t i = 0; i < v.n; i++)
        if (v.v[i] < p->min || v.v[i] > p->max)
            return mohs_fail(err, MOHS_E_PLUGIN,
                             "%s: default %d is outside %g..%g", who, v.v[i],
                             p->min, p->max);
    return MOHS_OK;
}

static mohs_status value_check(const char *who, const struct mohs_param *p,
                               struct mohs_error *err)
{
    switch (p->type) {
    case MOHS_P_INT:
    case MOHS_P_FLOAT: return number_check(who, p, err);
    case MOHS_P_CHOICE: return choice_check(who, p, err);
    case MOHS_P_INTS: return ints_check(who, p, err);
    case MOHS_P_BOOL:
        if (p->def != 0 && p->def != 1)
            return mohs_fail(err, MOHS_E_PLUGIN,
                             "%s: default %g is neither 0 nor 1", who, p->def);
        return MOHS_OK;
    default:
        if (p->def_text && !utf8_valid(p->def_text, strlen(p->def_text)))
            return mohs_fail(err, MOHS_E_PLUGIN, "%s: def_text is not UTF-8",
                             who);
        return MOHS_OK;
    }
}

static mohs_status param_check(const struct mohs_item *it,
                               const struct mohs_param *p, size_t index,
                               struct mohs_error *err)
{
    char who[160];
    if (!p->name || !id_valid(p->name))
        return mohs_fail(err, MOHS_E_PLUGIN,
                         "%s: parameter %zu has no valid name", it->id, index);
    snprintf(who, sizeof who, "%s: parameter %s", it->id, p->name);
    RET_IF_ERR(line_check(who, "doc", p->doc, err));
    if (!p->type || p->type >= sizeof types / sizeof *types)
        return mohs_fail(err, MOHS_E_PLUGIN, "%s: unknown type %u", who,
                         p->type);
    uint64_t end = (uint64_t)p->offset + types[p->type].size;
    if (end > it->params_size)
        return mohs_fail(err, MOHS_E_PLUGIN,
                         "%s: offset %u ends at %llu, behind params_size %u",
                         who, p->offset, (unsigned long long)end,
                         it->params_size);
    if (p->offset % types[p->type].align)
        return mohs_fail(err, MOHS_E_PLUGIN, "%s: offset %u is not aligned",
                         who, p->offset);
    return value_check(who, p, err);
}

/* No name twice, no byte of the struct in two rows. */
static mohs_status pair_check(const struct mohs_item *it,
                              const struct mohs_param *a,
                              const struct mohs_param *b,
                              struct mohs_error *err)
{
    if (!strcmp(a->name, b->name))
        return mohs_fail(err, MOHS_E_PLUGIN, "%s: parameter %s is there twice",
                         it->id, a->name);
    if (a->offset < b->offset + types[b->type].size &&
        b->offset < a->offset + types[a->type].size)
        return mohs_fail(err, MOHS_E_PLUGIN,
                         "%s: parameters %s and %s overlap in the struct",
                         it->id, a->name, b->name);
    return MOHS_OK;
}

static mohs_status params_check(const struct mohs_item *it,
                                struct mohs_error *err)
{
    if (!it->n_params)
        return MOHS_OK;
    if (!it->params || it->n_params > PARAMS_MAX)
        return mohs_fail(err, MOHS_E_PLUGIN, "%s: %u parameters, but %s",
                         it->id, it->n_params,
                         it->params ? "at most 256 are allowed" : "no table");
    if (it->param_stride < SIZE_1_0(struct mohs_param, def_text) ||
        it->param_stride % _Alignof(struct mohs_param))
        return mohs_fail(
            err, MOHS_E_PLUGIN, "%s: param_stride is %u, ABI 1.0 requires %u",
            it->id, it->param_stride, SIZE_1_0(struct mohs_param, def_text));
    struct item view = { .item = it };
    for (size_t i = 0; i < it->n_params; i++) {
        const struct mohs_param *p = item_param(&view, i);
        RET_IF_ERR(param_check(it, p, i, err));
        for (size_t j = 0; j < i; j++)
            RET_IF_ERR(pair_check(it, item_param(&view, j), p, err));
    }
    return MOHS_OK;
}

/* ---- items ---- */

static mohs_status item_check(const struct mohs_item *it, size_t index,
                              int *kind, struct mohs_error *err)
{
    char who[40];
    snprintf(who, sizeof who, "item %zu", index);
    RET_IF_ERR(size_check(who, "item", it->size,
                          SIZE_1_0(struct mohs_item, ops), err));
    RET_IF_ERR(line_check(who, "kind", it->kind, err));
    if (!it->id || !id_valid(it->id))
        return mohs_fail(err, MOHS_E_PLUGIN,
                         "%s: id '%.64s' is not [a-z][a-z0-9_]*", who,
                         it->id ? it->id : "(NULL)");
    *kind = kind_index(it->kind);
    if (*kind < 0)
        return MOHS_OK;
    RET_IF_ERR(line_check(it->id, "summary", it->summary, err));
    RET_IF_ERR(params_check(it, err));
    return ops_check(it, *kind, err);
}

static mohs_status items_check(const struct mohs_plugin *p,
                               struct mohs_error *err)
{
    size_t known = 0;
    if (!p->items || !p->items[0])
        return mohs_fail(err, MOHS_E_PLUGIN, "%s: offers no items", p->id);
    for (size_t i = 0; p->items[i]; i++) {
        int kind = -1;
        if (i >= ITEMS_MAX)
            return mohs_fail(err, MOHS_E_PLUGIN,
                             "%s: more than %d items, or no NULL at the end",
                             p->id, ITEMS_MAX);
        RET_IF_ERR(item_check(p->items[i], i, &kind, err));
        for (size_t j = 0; j < i; j++)
            if (!strcmp(p->items[i]->id, p->items[j]->id) &&
                !strcmp(p->items[i]->kind, p->items[j]->kind))
                return mohs_fail(err, MOHS_E_PLUGIN,
                                 "%s: item %s is there twice", p->id,
                                 p->items[i]->id);
        known += kind >= 0;
    }
    if (!known)
        return mohs_fail(err, MOHS_E_PLUGIN,
                         "%s: item %s has kind '%s', which this program does "
                         "not know",
                         p->id, p->items[0]->id, p->items[0]->kind);
    return MOHS_OK;
}

mohs_status plugin_validate(const struct mohs_plugin *p, struct mohs_error *err)
{
    RET_IF_ERR(size_check("plugin", "plugin", p->size,
                          SIZE_1_0(struct mohs_plugin, exit), err));
    RET_IF_ERR(line_check("plugin", "id", p->id, err));
    RET_IF_ERR(line_check(p->id, "name", p->name, err));
    RET_IF_ERR(line_check(p->id, "version", p->version, err));
    RET_IF_ERR(line_check(p->id, "license", p->license, err));
    return items_check(p, err);
}
