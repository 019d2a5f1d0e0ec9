/* SPDX-License-Identifier: MIT */
/* mohs plugin: a new plugin's files, and the conformance check. */
#include "config.h"

#include "cli/cli.h"

#include <string.h>

static mohs_status run(struct cli *c, struct mohs_error *err)
{
    RET_IF_ERR(opt_none(c, 1, 3, err));
    const char *word = c->args[0];
    if (!strcmp(word, "new")) {
        RET_IF_ERR(opt_count(c, 3, 3, err));
        return plugin_new(c->args[1], c->args[2], err);
    }
    if (!strcmp(word, "check")) {
        RET_IF_ERR(opt_count(c, 2, 2, err));
        mohs_status st = plugin_check(c->args[1], c->device, c->json, err);
        // A failed check is an answer, not a failure to answer.
        return st == MOHS_E_PLUGIN ? 1 : st;
    }
    return opt_bad_word(c, word, err);
}

const struct cli_command command_plugin = {
    .name = "plugin",
    .summary = "write a new plugin, check one",
    .usage = "new model|corruption|attack|metric NAME\ncheck FILE.so [--json]",
    .words = "new check",
    .details =
        "`plugin new` writes NAME/ with a source that works, a Makefile and a "
        "README. `plugin check` loads a shared object in child processes and "
        "runs every item through the checks of its kind (tables, parameters, "
        "determinism, batches, bounds, threads, gradients ...), one line per "
        "check; a plugin that crashes or hangs gets a verdict like any other.",
    .run = run,
};
