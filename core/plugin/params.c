/* SPDX-License-Identifier: MIT */
/*
 * Parameter structs of items: filled with defaults, set from text or
 * numbers, checked, printed and hashed, all by the item's own table.
 */
#include "config.h"

#include "plugin/plugin_impl.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

const struct mohs_param *item_param(const struct item *it, size_t i)
{
    const struct mohs_item *m = it->item;
    if (i >= m->n_params)
        return NULL;
    return (const void *)((const char *)m->params + i * m->param_stride);
}

bool param_is_string(const struct mohs_param *p)
{
    return p->type == MOHS_P_STRING || p->type == MOHS_P_PATHS;
}

static void *slot(void *params, const struct mohs_param *p)
{
    return (char *)params + p->offset;
}

static int32_t get_int(const struct mohs_param *p, const void *params)
{
    int32_t x;
    memcpy(&x, (const char *)params + p->offset, sizeof x);
    return x;
}

static float get_float(const struct mohs_param *p, const void *params)
{
    float x;
    memcpy(&x, (const char *)params + p->offset, sizeof x);
    return x;
}

static char *get_string(const struct mohs_param *p, const void *params)
{
    char *s;
    memcpy(&s, (const char *)params + p->offset, sizeof s);
    return s;
}

static struct mohs_ints get_ints(const struct mohs_param *p, const void *params)
{
    struct mohs_ints v;
    memcpy(&v, (const char *)params + p->offset, sizeof v);
    return v;
}

static void put_int(const struct mohs_param *p, void *params, int32_t x)
{
    memcpy(slot(params, p), &x, sizeof x);
}

static void put_string(const struct mohs_param *p, void *params, const char *s)
{
    char *copy = xstrdup(s);
    free(get_string(p, params));
    memcpy(slot(params, p), &copy, sizeof copy);
}

bool ints_parse(const char *text, struct mohs_ints *out)
{
    memset(out, 0, sizeof *out);
    text += strspn(text, " ");
    if (!*text)
        return true;
    for (;;) {
        char *end;
        long x = strtol(text, &end, 10);
        if (end == text || x < INT32_MIN || x > INT32_MAX ||
            out->n == MOHS_INTS_MAX)
            return false;
        out->v[out->n++] = (int32_t)x;
        text = end + strspn(end, " ");
        if (!*text)
            return true;
        if (*text++ != ',')
            return false;
    }
}

/* A number, or a quotient of two as attacks are written: "4/255". */
static bool number_parse(const char *text, double *out)
{
    const char *slash = strchr(text, '/');
    if (!slash)
        return str_to_double(text, out);
    char *top = xasprintf("%.*s", (int)(slash - text), text);
    double a, b;
    bool ok = str_to_double(top, &a) && str_to_double(slash + 1, &b) && b != 0;
    free(top);
    if (ok)
        *out = a / b;
    return ok && isfinite(*out);
}

/* ---- errors ---- */

static mohs_status unknown(const struct item *it, const char *name,
                           struct mohs_error *err)
{
    size_t n = it->item->n_params;
    const char **names = xmalloc((n + 1) * sizeof *names);
    for (size_t i = 0; i < n; i++)
        names[i] = item_param(it, i)->name;
    const char *near = str_nearest(name, names, n);
    free(names);
    if (near)
        return mohs_fail(err, MOHS_E_ARG,
                         "%s: no parameter '%.64s' (did you mean '%s'?)",
                         it->item->id, name, near);
    return mohs_fail(err, MOHS_E_ARG, "%s: no parameter '%.64s'%s",
                     it->item->id, name, n ? "" : " (it has none)");
}

static mohs_status find(const struct item *it, const char *name,
                        const struct mohs_param **out, struct mohs_error *err)
{
    for (size_t i = 0; (*out = item_param(it, i)); i++)
        if (!strcmp((*out)->name, name))
            return MOHS_OK;
    return unknown(it, name, err);
}

static mohs_status not_a(const struct item *it, const struct mohs_param *p,
                         const char *text, const char *what,
                         struct mohs_error *err)
{
    return mohs_fail(err, MOHS_E_ARG, "%s: %s: '%.64s' is not %s", it->item->id,
                     p->name, text, what);
}

static mohs_status bad_choice(const struct item *it, const struct mohs_param *p,
                              const char *text, struct mohs_error *err)
{
    struct str list = { 0 };
    size_t n = 0;
    for (; p->choices[n]; n++)
        str_addf(&list, "%s%s", n ? ", " : "", p->choices[n]);
    const char *near = str_nearest(text, p->choices, n);
    mohs_status st;
    if (near && n > 6)
        st = mohs_fail(err, MOHS_E_ARG,
                       "%s: %s: '%.64s' is no choice (did you mean '%s'?)",
                       it->item->id, p->name, text, near);
    else
        st = mohs_fail(err, MOHS_E_ARG, "%s: %s: '%.64s' is not one of %s",
                       it->item->id, p->name, text, list.s);
    str_free(&list);
    return st;
}

/* ---- setting ---- */

static mohs_status set_checked(const struct item *it,
                               const struct mohs_param *p, void *params,
                               double x, struct mohs_error *err)
{
    if (p->type == MOHS_P_INT && x != floor(x))
        return mohs_fail(err, MOHS_E_ARG, "%s: %s %.9g is not an integer",
                         it->item->id, p->name, x);
    if (!(x >= p->min && x <= p->max) ||
        (p->type == MOHS_P_INT && fabs(x) > INT32_MAX))
        return mohs_fail(err, MOHS_E_ARG, "%s: %s %.9g is outside %g..%g",
                         it->item->id, p->name, x, p->min, p->max);
    if (p->type == MOHS_P_INT) {
        put_int(p, params, (int32_t)x);
        return MOHS_OK;
    }
    float f = (float)x;
    if (isinf(f))
        return mohs_fail(err, MOHS_E_ARG, "%s: %s %.9g does not fit a float",
                         it->item->id, p->name, x);
    memcpy(slot(params, p), &f, sizeof f);
    return MOHS_OK;
}

static mohs_status set_bool(const struct item *it, const struct mohs_param *p,
                            void *params, const char *text,
                            struct mohs_error *err)
{
    static const char *const words[] = { "0",  "1",   "false", "true",
                                         "no", "yes", "off",   "on" };
    for (int i = 0; i < 8; i++)
        if (!strcasecmp(text, words[i])) {
            put_int(p, params, i & 1);
            return MOHS_OK;
        }
    return not_a(it, p, text, "true or false", err);
}

static mohs_status set_choice(const struct item *it, const struct mohs_param *p,
                              void *params, const char *text,
                              struct mohs_error *err)
{
    for (int32_t i = 0; p->choices[i]; i++)
        if (!strcmp(p->choices[i], text)) {
            put_int(p, params, i);
            return MOHS_OK;
        }
    return bad_choice(it, p, text, err);
}

static mohs_status set_ints(const struct item *it, const struct mohs_param *p,
                            void *params, const struct mohs_ints *v,
                            struct mohs_error *err)
{
    for (int32_t i = 0; i < v->n; i++)
        if (v->v[i] < p->min || v->v[i] > p->max)
            return mohs_fail(err, MOHS_E_ARG, "%s: %s %d is outside %g..%g",
                             it->item->id, p->name, v->v[i], p->min, p->max);
    memcpy(slot(params, p), v, sizeof *v);
    return MOHS_OK;
}

mohs_status item_param_set_text(const struct item *it, void *params,
                                const char *name, const char *text,
                                struct mohs_error *err)
{
    const struct mohs_param *p;
    double x;
    struct mohs_ints v;
    RET_IF_ERR(find(it, name, &p, err));
    switch (p->type) {
    case MOHS_P_INT:
    case MOHS_P_FLOAT:
        if (!number_parse(text, &x))
            return not_a(it, p, text, "a number", err);
        return set_checked(it, p, params, x, err);
    case MOHS_P_BOOL: return set_bool(it, p, params, text, err);
    case MOHS_P_CHOICE: return set_choice(it, p, params, text, err);
    case MOHS_P_INTS:
        if (!ints_parse(text, &v))
            return not_a(it, p, text, "a list of at most 16 integers", err);
        return set_ints(it, p, params, &v, err);
    default:
        if (!utf8_valid(text, strlen(text)))
            return mohs_fail(err, MOHS_E_ARG, "%s: %s is not valid UTF-8",
                             it->item->id, p->name);
        put_string(p, params, text);
        return MOHS_OK;
    }
}

mohs_status item_param_set_number(const struct item *it, void *params,
                                  const char *name, double x,
                                  struct mohs_error *err)
{
    const struct mohs_param *p;
    RET_IF_ERR(find(it, name, &p, err));
    if (p->type == MOHS_P_INT || p->type == MOHS_P_FLOAT)
        return set_checked(it, p, params, x, err);
    char text[40];
    snprintf(text, sizeof text, "%.17g", x);
    if (param_is_string(p))
        return not_a(it, p, text, "a text", err);
    return item_param_set_text(it, params, name, text, err);
}

const char *item_param_string(const struct item *it, const void *params,
                              const char *name)
{
    const struct mohs_param *p;
    for (size_t i = 0; (p = item_param(it, i)); i++)
        if (param_is_string(p) && !strcmp(p->name, name)) {
            const char *s;
            memcpy(&s, (const char *)params + p->offset, sizeof s);
            return s;
        }
    return NULL;
}

mohs_status item_param_set_ints(const struct item *it, void *params,
                                const char *name, const int32_t *v, size_t n,
                                struct mohs_error *err)
{
    const struct mohs_param *p;
    struct mohs_ints list = { 0 };
    RET_IF_ERR(find(it, name, &p, err));
    if (p->type != MOHS_P_INTS) {
        if (n == 1)
            return item_param_set_number(it, params, name, v[0], err);
        return mohs_fail(err, MOHS_E_ARG, "%s: %s takes one value, not %zu",
                         it->item->id, p->name, n);
    }
    if (n > MOHS_INTS_MAX)
        return mohs_fail(err, MOHS_E_ARG, "%s: %s: %zu values, at most %d",
                         it->item->id, p->name, n, MOHS_INTS_MAX);
    list.n = (int32_t)n;
    if (n)
        memcpy(list.v, v, n * sizeof *v);
    return set_ints(it, p, params, &list, err);
}

/* ---- the struct ---- */

static void set_default(const struct mohs_param *p, void *params)
{
    struct mohs_ints v;
    float f = (float)p->def;
    switch (p->type) {
    case MOHS_P_FLOAT: memcpy(slot(params, p), &f, sizeof f); break;
    case MOHS_P_STRING:
    case MOHS_P_PATHS:
        put_string(p, params, p->def_text ? p->def_text : "");
        break;
    case MOHS_P_INTS:
        // The table was checked when the plugin was loaded.
        ints_parse(p->def_text ? p->def_text : "", &v);
        memcpy(slot(params, p), &v, sizeof v);
        break;
    default: put_int(p, params, (int32_t)p->def); break;
    }
}

void *item_params_new(const struct item *it)
{
    void *params = xcalloc(1, it->item->params_size);
    const struct mohs_param *p;
    for (size_t i = 0; (p = item_param(it, i)); i++)
        set_default(p, params);
    return params;
}

void item_params_free(const struct item *it, void *params)
{
    const struct mohs_param *p;
    if (!params)
        return;
    for (size_t i = 0; (p = item_param(it, i)); i++)
        if (param_is_string(p))
            free(get_string(p, params));
    free(params);
}

/* ---- printing and hashing ---- */

/* The shortest decimal that reads back as the same float. */
static void add_float(struct str *out, float x)
{
    char text[40];
    for (int digits = 6; digits <= 9; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, (double)x);
        if (strtof(text, NULL) == x)
            break;
    }
    str_add(out, text);
}

static void add_ints(struct str *out, const struct mohs_ints *v)
{
    str_add(out, "");
    for (int32_t i = 0; i < v->n; i++)
        str_addf(out, "%s%d", i ? "," : "", v->v[i]);
}

void item_param_text(const struct mohs_param *p, const void *params,
                     struct str *out)
{
    struct mohs_ints v;
    switch (p->type) {
    case MOHS_P_FLOAT: add_float(out, get_float(p, params)); break;
    case MOHS_P_BOOL:
        str_add(out, get_int(p, params) ? "true" : "false");
        break;
    case MOHS_P_CHOICE: str_add(out, p->choices[get_int(p, params)]); break;
    case MOHS_P_STRING:
    case MOHS_P_PATHS: str_add(out, get_string(p, params)); break;
    case MOHS_P_INTS:
        v = get_ints(p, params);
        add_ints(out, &v);
        break;
    default: str_addf(out, "%d", get_int(p, params)); break;
    }
}

static bool is_default(const struct mohs_param *p, const void *params)
{
    struct mohs_ints v, d;
    switch (p->type) {
    case MOHS_P_FLOAT: return get_float(p, params) == (float)p->def;
    case MOHS_P_STRING:
    case MOHS_P_PATHS:
        return !strcmp(get_string(p, params), p->def_text ? p->def_text : "");
    case MOHS_P_INTS:
        v = get_ints(p, params);
        ints_parse(p->def_text ? p->def_text : "", &d);
        return v.n == d.n && !memcmp(v.v, d.v, (size_t)v.n * sizeof *v.v);
    default: return get_int(p, params) == (int32_t)p->def;
    }
}

void item_params_text(const struct item *it, const void *params, bool all,
                      struct str *out)
{
    const struct mohs_param *p;
    const char *sep = "";
    str_add(out, "");
    for (size_t i = 0; (p = item_param(it, i)); i++) {
        if (!all && is_default(p, params))
            continue;
        str_addf(out, "%s%s=", sep, p->name);
        struct str value = { 0 };
        item_param_text(p, params, &value);
        // Lists and odd strings are quoted, so that the line splits again.
        if (p->type == MOHS_P_INTS || strpbrk(value.s, ",=\" \n\t"))
            str_add_json(out, value.s);
        else
            str_add(out, value.s);
        str_free(&value);
        sep = ",";
    }
}

void item_params_hash(const struct item *it, const void *params,
                      struct hasher *h)
{
    const struct mohs_param *p;
    hasher_u64(h, it->item->n_params);
    for (size_t i = 0; (p = item_param(it, i)); i++) {
        hasher_str(h, p->name);
        hasher_u64(h, p->type);
        if (p->type == MOHS_P_FLOAT) {
            hasher_f64(h, (double)get_float(p, params));
        } else {
            struct str value = { 0 };
            item_param_text(p, params, &value);
            hasher_str(h, value.s);
            str_free(&value);
        }
        if (p->type == MOHS_P_PATHS)
            hasher_paths(h, get_string(p, params));
    }
}

bool item_files_hash(const struct item *it, const void *params, struct hash128 *out)
{
    const struct mohs_param *p;
    struct hasher *h = hasher_new();
    bool any = false;
    for (size_t i = 0; (p = item_param(it, i)); i++) {
        if (p->type != MOHS_P_PATHS || !*get_string(p, params))
            continue;
        hasher_str(h, p->name);
        hasher_paths(h, get_string(p, params));
        any = true;
    }
    *out = hasher_end(h);
    return any;
}
