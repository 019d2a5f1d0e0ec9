/* SPDX-License-Identifier: MIT */
/*
 * The command line: one table of commands feeds dispatch, help, the manual
 * page and shell completion. A new subcommand is one file cmd_<name>.c that
 * defines command_<name>, a declaration below and one line in table.c.
 *
 * Data goes to stdout, talk to stderr. A command returns MOHS_OK, a positive
 * number for "ran, and the answer is no" (exit code 1), or a failed status,
 * which main() prints and turns into an exit code (0 ok, 1 failed check,
 * 2 usage, 3 bad input, 4 device, 5 missing plugin, 130 interrupted).
 */
#ifndef CORE_CLI_H
#define CORE_CLI_H

#include "base/base.h"
#include "plugin/registry.h"

struct cli;

/* One option of a command; a table ends with name NULL. */
struct cli_option {
    const char *name; /* long form without dashes */
    int code;         /* its letter, or 256 and up when it has none */
    const char *arg;  /* what its argument is called, NULL: it takes none */
    const char *help; /* one line */
};

struct cli_command {
    const char *name;
    const char *summary; /* one line, for the list of commands */
    const char *usage;   /* what follows the name; several lines: several forms */
    const struct cli_option *options; /* may be NULL */
    const char *words;   /* first words it takes, for completion, or NULL */
    const char *details; /* paragraphs for help and manual, or NULL */
    mohs_status (*run)(struct cli *c, struct mohs_error *err);
};

struct cli {
    const struct cli_command *command;
    /* Set by the global options, wherever they stood. */
    bool json;
    const char *device; /* --device, or MOHS_DEVICE, or NULL */
    const char **plugin_dirs; /* NULL-terminated, or NULL */
    size_t n_plugin_dirs;
    int verbose; /* -1 for -q */
    bool help, version;
    /* The command's own part of argv, word 0 its name; arguments that are no
     * options are args[0..n_args) once opt_next() has returned 0. */
    int argc;
    char **argv;
    char **args;
    size_t n_args;
    bool parsing;
    struct registry *registry; /* opened by cli_registry() */
};

/* The commands, in the order help shows them; NULL at the end. */
extern const struct cli_command *const cli_commands[];
extern const struct cli_option cli_global_options[];

/* Next option of the command: its code and, in *value, its argument; 0 when
 * all are read; < 0 after an unknown or incomplete one. Global options are
 * taken care of. */
int opt_next(struct cli *c, const char **value, struct mohs_error *err);
/* Reads options of a command that has none of its own, and checks the number
 * of its arguments. */
mohs_status opt_none(struct cli *c, size_t least, size_t most,
                     struct mohs_error *err);
/* Fails with the command's usage unless least <= n_args <= most. */
mohs_status opt_count(struct cli *c, size_t least, size_t most,
                      struct mohs_error *err);
/* Numbers given to options: "corrupt: --seed 'x' is not a whole number". */
mohs_status opt_u64(struct cli *c, const char *name, const char *value,
                    uint64_t least, uint64_t most, uint64_t *out,
                    struct mohs_error *err);
/* "512M", "2G" or plain bytes. */
mohs_status opt_bytes(struct cli *c, const char *name, const char *value,
                      uint64_t *out, struct mohs_error *err);
/* "plugin: unknown word 'chekc' (did you mean 'check'?)" from c->command's
 * words. */
mohs_status opt_bad_word(struct cli *c, const char *word, struct mohs_error *err);
const struct cli_command *cli_find(const char *name);

/* Help for one command, or for all when NULL, on f. */
void help_print(const struct cli_command *command, FILE *f);
/* The manual page (roff) and the completion for bash, on stdout. */
void help_man(void);
void help_bash(void);

/* The registry with the plugins of this run; closed by main(). */
mohs_status cli_registry(struct cli *c, struct registry **out,
                         struct mohs_error *err);
/* Takes b: writes it to stdout and frees it. */
void print_str(struct str *b);

extern const struct cli_command command_attack, command_cache, command_corrupt, command_data,
    command_devices, command_doctor, command_embed, command_help, command_info,
    command_list, command_lua, command_plugin, command_report, command_results,
    command_rerun, command_run;

#endif
