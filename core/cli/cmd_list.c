/* SPDX-License-Identifier: MIT */
/* mohs list: items of the plugins and shipped recipes. */
#include "config.h"

#include "cli/cli.h"
#include "cli/items.h"

#include <stdlib.h>
#include <string.h>

/* ---- recipes ---- */

/* The first comment line of a recipe, without its dashes. Fresh. */
static char *recipe_summary(const char *path)
{
    char *text, *line, *save = NULL, *found = NULL;
    size_t n;
    if (file_read(path, 1 << 20, &text, &n, NULL) < 0)
        return xstrdup("");
    for (line = strtok_r(text, "\n", &save); line && !found;
         line = strtok_r(NULL, "\n", &save)) {
        if (strncmp(line, "--", 2))
            break;
        line += strspn(line, "-[] \t");
        if (*line && strncmp(line, "SPDX", 4))
            found = xstrdup(line);
    }
    free(text);
    return found ? found : xstrdup("");
}

struct recipes {
    char **name, **path;
    size_t n;
};

static void recipes_add(struct recipes *r, const char *dir)
{
    char **file;
    size_t n;
    if (!dir_exists(dir) || dir_list(dir, &file, &n, NULL) < 0)
        return;
    for (size_t i = 0; i < n; i++) {
        if (!str_ends(file[i], ".lua"))
            continue;
        char *name = path_stem(file[i]);
        bool known = false;
        for (size_t j = 0; j < r->n && !known; j++)
            known = !strcmp(r->name[j], name);
        if (known) {
            free(name);
            continue;
        }
        r->name = xrealloc(r->name, (r->n + 1) * sizeof *r->name);
        r->path = xrealloc(r->path, (r->n + 1) * sizeof *r->path);
        r->name[r->n] = name;
        r->path[r->n++] = path_join(dir, file[i]);
    }
    strv_free(file);
}

static void recipes_find(struct recipes *r)
{
    char *base;
    for (size_t i = 0; (base = data_dir(i)); i++) {
        char *dir = path_join(base, "scripts/lua/recipes");
        recipes_add(r, dir);
        free(dir);
        free(base);
    }
}

static void recipes_free(struct recipes *r)
{
    for (size_t i = 0; i < r->n; i++) {
        free(r->name[i]);
        free(r->path[i]);
    }
    free(r->name);
    free(r->path);
}

/* ---- printing ---- */

static void list_recipes(bool json, bool title, size_t *count, struct str *b)
{
    struct recipes r = { 0 };
    recipes_find(&r);
    if (title && !json && r.n)
        str_add(b, "recipes\n");
    for (size_t i = 0; i < r.n; i++) {
        char *summary = recipe_summary(r.path[i]);
        if (json) {
            str_add(b, (*count)++ ? ",\n " : "\n ");
            str_add(b, "{\"id\": ");
            str_add_json(b, r.name[i]);
            str_add(b, ", \"kind\": \"recipe\", \"summary\": ");
            str_add_json(b, summary);
            str_add(b, ", \"params\": [], \"path\": ");
            str_add_json(b, r.path[i]);
            str_add(b, "}");
        } else {
            str_addf(b, "%s%-24s %s\n", title ? "  " : "", r.name[i], summary);
        }
        free(summary);
    }
    recipes_free(&r);
}

static void list_kind(struct registry *r, const char *kind, bool json,
                      bool title, size_t *count, struct str *b)
{
    const struct item *it;
    for (size_t i = 0; (it = registry_item(r, kind, i)); i++) {
        if (json) {
            str_add(b, (*count)++ ? ",\n " : "\n ");
            item_add_json(b, it);
            continue;
        }
        if (title && !i)
            str_addf(b, "%ss\n", kind_word(kind));
        str_addf(b, "%s%-24s %s\n", title ? "  " : "", it->item->id,
                 it->item->summary);
    }
}

static mohs_status run(struct cli *c, struct mohs_error *err)
{
    struct registry *r = NULL;
    RET_IF_ERR(opt_none(c, 0, 1, err));
    const char *word = c->n_args ? c->args[0] : NULL;
    const char *kind = word ? kind_from_word(word) : NULL;
    bool recipes = !word || !strcmp(word, "recipes") || !strcmp(word, "recipe");
    if (word && !kind && !recipes)
        return opt_bad_word(c, word, err);
    if (kind || !word)
        RET_IF_ERR(cli_registry(c, &r, err));
    struct str b = { 0 };
    size_t count = 0;
    str_add(&b, c->json ? "[" : "");
    if (r) {
        for (size_t k = 0; item_kinds[k]; k++)
            if (!kind || !strcmp(kind, item_kinds[k]))
                list_kind(r, item_kinds[k], c->json, !word, &count, &b);
    }
    if (recipes)
        list_recipes(c->json, !word, &count, &b);
    str_add(&b, c->json ? "\n]\n" : "");
    print_str(&b);
    return MOHS_OK;
}

const struct cli_command command_list = {
    .name = "list",
    .summary = "what there is: models, corruptions, attacks, metrics, recipes",
    .usage = "[models|corruptions|attacks|metrics|recipes] [--json]",
    .words = "models corruptions attacks metrics recipes",
    .details =
        "Lists the items that plugins offer, and the shipped recipes. With "
        "--json an array of objects with id, kind, summary and params (name, "
        "type, default, min, max, choices, doc).",
    .run = run,
};
