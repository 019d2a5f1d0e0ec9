/* SPDX-License-Identifier: MIT */
/* Finds the command, runs it, reports its failure, checks what was printed. */
#include "config.h"

#include "cli/cli.h"
#include "graph/graph.h"
#include "model/model.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void on_signal(int sig)
{
    (void)sig;
    // A second signal means it: do not wait for the loop to look.
    if (interrupted)
        _exit(130);
    interrupted = 1;
}

static void catch_signals(void)
{
    struct sigaction a;
    memset(&a, 0, sizeof a);
    sigemptyset(&a.sa_mask);
    a.sa_handler = on_signal;
    sigaction(SIGINT, &a, NULL);
    sigaction(SIGTERM, &a, NULL);
    // A closed pipe becomes a write error, which is reported.
    a.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &a, NULL);
}

mohs_status cli_registry(struct cli *c, struct registry **out,
                         struct mohs_error *err)
{
    static const struct registry_extension tables[] = {
        { MOHS_EXT_GRAPH, &graph_api },
        { MOHS_EXT_WEIGHTS, &weights_api },
        { NULL, NULL },
    };
    if (!c->registry) {
        struct registry_options o = {
            .device = c->device,
            .plugin_dirs = (const char *const *)c->plugin_dirs,
            .extensions = tables,
        };
        RET_IF_ERR(registry_open(&o, &c->registry, err));
    }
    *out = c->registry;
    return MOHS_OK;
}

void print_str(struct str *b)
{
    if (b->n)
        fwrite(b->s, 1, b->n, stdout);
    str_free(b);
}

const struct cli_command *cli_find(const char *name)
{
    for (size_t i = 0; cli_commands[i]; i++)
        if (!strcmp(cli_commands[i]->name, name))
            return cli_commands[i];
    return NULL;
}

static mohs_status unknown_command(const char *name, struct mohs_error *err)
{
    const char *names[64];
    size_t n = 0;
    for (; n < 64 && cli_commands[n]; n++)
        names[n] = cli_commands[n]->name;
    const char *near = str_nearest(name, names, n);
    if (near)
        return mohs_fail(err, MOHS_E_ARG,
                         "unknown command '%.64s' (did you mean '%s'?)", name,
                         near);
    return mohs_fail(err, MOHS_E_ARG,
                     "unknown command '%.64s'; `mohs help` lists them", name);
}

/* Global options before the command, then the command's name. */
static mohs_status find_command(struct cli *c, int argc, char **argv,
                                struct mohs_error *err)
{
    const char *value;
    c->argc = argc;
    c->argv = argv;
    int o = opt_next(c, &value, err);
    if (o < 0)
        return MOHS_E_ARG;
    if (c->help || c->version)
        return MOHS_OK;
    if (!c->n_args) {
        help_print(NULL, stderr);
        return mohs_fail(err, MOHS_E_ARG, "no command");
    }
    c->command = cli_find(c->args[0]);
    if (!c->command)
        return unknown_command(c->args[0], err);
    c->argc = (int)c->n_args;
    c->argv = c->args;
    c->parsing = false;
    return MOHS_OK;
}

static mohs_status run_command(struct cli *c, struct mohs_error *err)
{
    mohs_status st = c->help || c->version ? MOHS_OK : c->command->run(c, err);
    // These may also stand among the command's options, and end its parsing.
    if (c->version)
        printf("mohs %s (plugin ABI %u.%u)\n", PACKAGE_VERSION, MOHS_ABI_MAJOR,
               MOHS_ABI_MINOR);
    else if (c->help)
        help_print(c->command, stdout);
    else
        return st;
    return MOHS_OK;
}

/* Nothing printed may be lost silently. */
static mohs_status stdout_check(mohs_status st, struct mohs_error *err)
{
    errno = 0;
    bool bad = fflush(stdout) || ferror(stdout);
    int e = errno;
    if (!bad)
        return st;
    if (st < 0)
        return st;
    errno = e ? e : EIO;
    return err_errno(err, "standard output");
}

int main(int argc, char **argv)
{
    struct cli c = { .device = getenv("MOHS_DEVICE") };
    struct mohs_error err = MOHS_ERROR_INIT;
    if (c.device && !*c.device)
        c.device = NULL;
    catch_signals();
    mohs_status st = find_command(&c, argc, argv, &err);
    if (st >= 0)
        st = run_command(&c, &err);
    if (interrupted && st != MOHS_OK)
        st = mohs_fail(&err, MOHS_E_CANCELLED, "interrupted");
    st = stdout_check(st, &err);
    if (st < 0) {
        err.text[sizeof err.text - 1] = 0;
        log_error("%s", err.text[0] ? err.text : status_name(st));
    }
    registry_close(c.registry);
    free(c.plugin_dirs);
    return st > 0 ? 1 : status_exit_code(st);
}
