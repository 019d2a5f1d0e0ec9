/* SPDX-License-Identifier: MIT */
/* mohs info: one item with its parameters, or what a checkpoint is. */
#include "config.h"

#include "cli/cli.h"
#include "cli/items.h"

#include <stdlib.h>
#include <string.h>

/* Names near `id` over all kinds. */
static mohs_status unknown(struct registry *r, const char *id,
                           struct mohs_error *err)
{
    const struct item *it;
    const char **name = NULL;
    size_t n = 0;
    for (size_t k = 0; item_kinds[k]; k++)
        for (size_t i = 0; (it = registry_item(r, item_kinds[k], i)); i++) {
            name = xrealloc(name, (n + 1) * sizeof *name);
            name[n++] = it->item->id;
        }
    const char *near = n ? str_nearest(id, name, n) : NULL;
    free(name);
    if (near)
        return mohs_fail(err, MOHS_E_PLUGIN,
                         "no item '%.64s' (did you mean '%s'?)", id, near);
    return mohs_fail(err, MOHS_E_PLUGIN,
                     "no item '%.64s'; `mohs list` shows what there is", id);
}

static mohs_status run(struct cli *c, struct mohs_error *err)
{
    struct registry *r;
    const struct item *found[4];
    RET_IF_ERR(opt_none(c, 1, 1, err));
    RET_IF_ERR(cli_registry(c, &r, err));
    const char *name = c->args[0];
    struct str b = { 0 };
    size_t n = items_named(r, name, found);
    if (!n && (file_exists(name) || dir_exists(name))) {
        mohs_status st = checkpoint_add(&b, r, name, c->json, err);
        print_str(&b);
        return st;
    }
    if (!n)
        return unknown(r, name, err);
    for (size_t i = 0; i < n; i++) {
        if (c->json) {
            str_add(&b, i ? ",\n " : "[\n ");
            item_add_json(&b, found[i]);
        } else {
            str_add(&b, i ? "\n" : "");
            item_add_text(&b, found[i]);
        }
    }
    str_add(&b, c->json ? "\n]\n" : "");
    print_str(&b);
    return MOHS_OK;
}

const struct cli_command command_info = {
    .name = "info",
    .summary = "one item with its parameters, or what a checkpoint holds",
    .usage = "NAME [--json]\nFILE|DIR [--json]",
    .run = run,
};
