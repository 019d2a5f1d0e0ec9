/* SPDX-License-Identifier: MIT */
/* Items as text and as JSON; shared by list and info. */
#ifndef CORE_CLI_ITEMS_H
#define CORE_CLI_ITEMS_H

#include "plugin/registry.h"

/* Appends {"id", "kind", "summary", "params", "plugin", "path"}. */
void item_add_json(struct str *b, const struct item *it);
/* Appends the full description for people. */
void item_add_text(struct str *b, const struct item *it);
/* All items that have this id, in the order of kinds; at most 4. */
size_t items_named(struct registry *r, const char *id,
                   const struct item *out[4]);
/* Appends what a checkpoint file or directory is. */
mohs_status checkpoint_add(struct str *b, struct registry *r, const char *path,
                           bool json, struct mohs_error *err);
extern const char *const item_kinds[5]; /* NULL-terminated */

#endif
