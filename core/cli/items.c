/* SPDX-License-Identifier: MIT */
/* How items and their parameter tables are shown. */
#include "config.h"

#include "cli/items.h"

#include <math.h>
#include <string.h>

const char *const item_kinds[5] = { MOHS_KIND_MODEL, MOHS_KIND_CORRUPTION,
                                    MOHS_KIND_ATTACK, MOHS_KIND_METRIC, NULL };

static const char *type_name(uint32_t type)
{
    static const char *const names[] = { "",       "int",    "float", "bool",
                                         "choice", "string", "ints", "paths" };
    return names[type];
}

/* %.17g where needed, shorter where that reads back; infinities: null. */
static void add_number(struct str *b, double x)
{
    if (!isfinite(x)) {
        str_add(b, "null");
        return;
    }
    char text[40];
    double back;
    for (int digits = 6; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, x);
        if (str_to_double(text, &back) && back == x)
            break;
    }
    str_add(b, text);
}

static void add_default(struct str *b, const struct mohs_param *p)
{
    const char *text = p->def_text ? p->def_text : "";
    switch (p->type) {
    case MOHS_P_BOOL: str_add(b, p->def != 0 ? "true" : "false"); break;
    case MOHS_P_CHOICE: str_add_json(b, p->choices[(int)p->def]); break;
    case MOHS_P_STRING:
    case MOHS_P_PATHS: str_add_json(b, text); break;
    case MOHS_P_INTS: str_addf(b, "[%s]", text); break;
    default: add_number(b, p->def); break;
    }
}

static bool has_range(const struct mohs_param *p)
{
    return p->type == MOHS_P_INT || p->type == MOHS_P_FLOAT ||
           p->type == MOHS_P_INTS;
}

static void add_param_json(struct str *b, const struct mohs_param *p)
{
    str_add(b, "{\"name\": ");
    str_add_json(b, p->name);
    str_addf(b, ", \"type\": \"%s\", \"default\": ", type_name(p->type));
    add_default(b, p);
    if (has_range(p)) {
        str_add(b, ", \"min\": ");
        add_number(b, p->min);
        str_add(b, ", \"max\": ");
        add_number(b, p->max);
    }
    if (p->type == MOHS_P_CHOICE) {
        str_add(b, ", \"choices\": [");
        for (size_t i = 0; p->choices[i]; i++) {
            str_add(b, i ? ", " : "");
            str_add_json(b, p->choices[i]);
        }
        str_add(b, "]");
    }
    str_add(b, ", \"doc\": ");
    str_add_json(b, p->doc);
    str_add(b, "}");
}

void item_add_json(struct str *b, const struct item *it)
{
    const struct mohs_param *p;
    str_add(b, "{\"id\": ");
    str_add_json(b, it->item->id);
    str_addf(b, ", \"kind\": \"%s\", \"summary\": ", kind_word(it->item->kind));
    str_add_json(b, it->item->summary);
    str_add(b, ", \"params\": [");
    for (size_t i = 0; (p = item_param(it, i)); i++) {
        str_add(b, i ? ", " : "");
        add_param_json(b, p);
    }
    str_add(b, "], \"plugin\": ");
    str_add_json(b, it->plugin->id);
    str_add(b, ", \"version\": ");
    str_add_json(b, it->plugin->version);
    str_add(b, ", \"license\": ");
    str_add_json(b, it->plugin->license);
    str_add(b, ", \"path\": ");
    str_add_json(b, it->path);
    str_addf(b, ", \"hash\": \"%s\"}", it->hash);
}

static void add_values(struct str *b, const struct mohs_param *p)
{
    if (p->type == MOHS_P_CHOICE) {
        str_add(b, "one of ");
        for (size_t i = 0; p->choices[i]; i++)
            str_addf(b, "%s%s", i ? ", " : "", p->choices[i]);
    } else if (p->type == MOHS_P_BOOL) {
        str_add(b, "true or false");
    } else if (param_is_string(p)) {
        str_add(b, p->type == MOHS_P_PATHS ? "files and directories" : "text");
    } else {
        str_add(b, p->type == MOHS_P_INTS  ? "integers "
                   : p->type == MOHS_P_INT ? "integer "
                                           : "number ");
        str_addf(b, "%g..%g", p->min, p->max);
    }
}

static void add_traits(struct str *b, const struct item *it)
{
    const char *kind = it->item->kind;
    if (!strcmp(kind, MOHS_KIND_CORRUPTION)) {
        const struct mohs_corruption_ops *o = it->item->ops;
        str_addf(b, "  of %s, severity 1..5, %s%s\n",
                 o->flags & MOHS_CORRUPTION_TEXT ? "texts" : "images",
                 o->flags & MOHS_CORRUPTION_STOCHASTIC
                     ? "random by seed and item"
                     : "no randomness",
                 o->flags & MOHS_CORRUPTION_DEPTH ? ", needs depth" : "");
    } else if (!strcmp(kind, MOHS_KIND_ATTACK)) {
        const struct mohs_attack_ops *o = it->item->ops;
        str_addf(b, "  %s, %s\n",
                 o->flags & MOHS_ATTACK_GRADIENT ? "needs gradients"
                                                 : "needs outputs only",
                 o->flags & MOHS_ATTACK_STOCHASTIC ? "random by seed and item"
                                                   : "no randomness");
    }
}

void item_add_text(struct str *b, const struct item *it)
{
    const struct mohs_param *p;
    str_addf(b, "%s %s: %s\n", kind_word(it->item->kind), it->item->id,
             it->item->summary);
    add_traits(b, it);
    for (size_t i = 0; (p = item_param(it, i)); i++) {
        struct str def = { 0 };
        add_default(&def, p);
        str_addf(b, "\n  %s = %s  (", p->name, def.s);
        str_free(&def);
        add_values(b, p);
        str_addf(b, ")\n      %s\n", p->doc);
    }
    str_addf(b, "\n  plugin %s %s (%s), %s\n  %s\n", it->plugin->id,
             it->plugin->version, it->plugin->name, it->plugin->license,
             it->path);
}

size_t items_named(struct registry *r, const char *id,
                   const struct item *out[4])
{
    size_t n = 0;
    const struct item *it;
    for (size_t k = 0; item_kinds[k]; k++)
        for (size_t i = 0; (it = registry_item(r, item_kinds[k], i)); i++)
            if (!strcmp(it->item->id, id))
                out[n++] = it;
    return n;
}
