/* SPDX-License-Identifier: MIT */
/* Option parsing by getopt_long from the tables of the commands. */
#include "config.h"

#include "cli/cli.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

enum {
    OPTIONS_MAX = 48,
    GLOBAL_BASE = 1000,
    OPT_PLUGIN_DIR = 1000,
    OPT_JSON,
    OPT_DEVICE,
    OPT_VERSION
};

const struct cli_option cli_global_options[] = {
    { "help", 'h', NULL, "show help and exit" },
    { "version", OPT_VERSION, NULL, "show the version and exit" },
    { "plugin-dir", OPT_PLUGIN_DIR, "DIR",
      "look for plugins there too (may be repeated)" },
    { "device", OPT_DEVICE, "D",
      "OpenCL device: cpu, gpu, accelerator, an index or part of a name" },
    { "json", OPT_JSON, NULL, "print JSON where a command prints data" },
    { "quiet", 'q', NULL, "only warnings and errors on stderr" },
    { "verbose", 'v', NULL, "more on stderr" },
    { 0 },
};

struct parser {
    struct option longs[OPTIONS_MAX + 1];
    const char *names[OPTIONS_MAX];
    char shorts[2 * OPTIONS_MAX + 8];
    size_t n;
};

static struct parser parser;

static void add_options(struct parser *p, const struct cli_option *o)
{
    size_t s = strlen(p->shorts);
    for (; o && o->name && p->n < OPTIONS_MAX; o++) {
        p->longs[p->n].name = o->name;
        p->longs[p->n].has_arg = o->arg ? required_argument : no_argument;
        p->longs[p->n].flag = NULL;
        p->longs[p->n].val = o->code;
        p->names[p->n++] = o->name;
        if (o->code < 256) {
            p->shorts[s++] = (char)o->code;
            if (o->arg)
                p->shorts[s++] = ':';
        }
    }
    p->shorts[s] = 0;
}

static void start(struct cli *c)
{
    memset(&parser, 0, sizeof parser);
    // Before the command: stop at its name. ':' tells a missing argument.
    snprintf(parser.shorts, sizeof parser.shorts, c->command ? ":" : "+:");
    if (c->command)
        add_options(&parser, c->command->options);
    add_options(&parser, cli_global_options);
    optind = 0;
    opterr = 0;
    c->parsing = true;
}

static const char *who(const struct cli *c)
{
    return c->command ? c->command->name : "mohs";
}

static int unknown(struct cli *c, struct mohs_error *err)
{
    const char *word = c->argv[optind - 1];
    if (optopt && optopt < 256) {
        mohs_fail(err, MOHS_E_ARG, "%s: unknown option -%c", who(c), optopt);
        return -1;
    }
    if (optopt) {
        mohs_fail(err, MOHS_E_ARG, "%s: option '%.64s' takes no argument",
                  who(c), word);
        return -1;
    }
    char *name = xasprintf("%.*s", (int)strcspn(word + 2, "="), word + 2);
    const char *near = str_nearest(name, parser.names, parser.n);
    if (near)
        mohs_fail(err, MOHS_E_ARG,
                  "%s: unknown option '--%.64s' (did you mean '--%s'?)", who(c),
                  name, near);
    else
        mohs_fail(err, MOHS_E_ARG,
                  "%s: unknown option '--%.64s'; `mohs help%s%s` lists them",
                  who(c), name, c->command ? " " : "",
                  c->command ? c->command->name : "");
    free(name);
    return -1;
}

static void take_global(struct cli *c, int code)
{
    switch (code) {
    case 'h': c->help = true; break;
    case OPT_VERSION: c->version = true; break;
    case OPT_JSON: c->json = true; break;
    case OPT_DEVICE: c->device = optarg; break;
    case 'q':
        c->verbose = -1;
        log_threshold = LOG_WARN;
        break;
    case 'v':
        c->verbose++;
        log_threshold = LOG_DEBUG;
        break;
    default:
        c->plugin_dirs = xrealloc(c->plugin_dirs, (c->n_plugin_dirs + 2) *
                                                      sizeof *c->plugin_dirs);
        c->plugin_dirs[c->n_plugin_dirs++] = optarg;
        c->plugin_dirs[c->n_plugin_dirs] = NULL;
    }
}

int opt_next(struct cli *c, const char **value, struct mohs_error *err)
{
    if (!c->parsing)
        start(c);
    for (;;) {
        int o =
            getopt_long(c->argc, c->argv, parser.shorts, parser.longs, NULL);
        if (o == -1)
            break;
        if (o == '?')
            return unknown(c, err);
        if (o == ':') {
            mohs_fail(err, MOHS_E_ARG, "%s: option '%.64s' needs an argument",
                      who(c), c->argv[optind - 1]);
            return -1;
        }
        *value = optarg;
        if (o < GLOBAL_BASE && o != 'h' && o != 'q' && o != 'v')
            return o;
        take_global(c, o);
        if ((c->help || c->version) && c->command)
            return -1; // main() prints what was asked for instead
    }
    c->args = c->argv + optind;
    c->n_args = (size_t)(c->argc - optind);
    return 0;
}

static const char *first_line(const char *usage, int *n)
{
    *n = (int)strcspn(usage, "\n");
    return usage;
}

mohs_status opt_count(struct cli *c, size_t least, size_t most,
                      struct mohs_error *err)
{
    if (c->n_args >= least && c->n_args <= most)
        return MOHS_OK;
    int n;
    const char *usage = first_line(c->command->usage, &n);
    if (c->n_args > most)
        return mohs_fail(err, MOHS_E_ARG,
                         "%s: unexpected '%.64s'; usage: mohs %s %.*s", who(c),
                         c->args[most], c->command->name, n, usage);
    return mohs_fail(err, MOHS_E_ARG,
                     "%s: something is missing; usage: mohs %s %.*s", who(c),
                     c->command->name, n, usage);
}

mohs_status opt_none(struct cli *c, size_t least, size_t most,
                     struct mohs_error *err)
{
    const char *value;
    if (opt_next(c, &value, err))
        return MOHS_E_ARG;
    return opt_count(c, least, most, err);
}

mohs_status opt_u64(struct cli *c, const char *name, const char *value,
                    uint64_t least, uint64_t most, uint64_t *out,
                    struct mohs_error *err)
{
    char *end;
    // strtoull takes signs and blanks; a count has neither.
    bool ok = *value >= '0' && *value <= '9' && strlen(value) <= 20;
    unsigned long long x = ok ? strtoull(value, &end, 10) : 0;
    if (!ok || *end)
        return mohs_fail(err, MOHS_E_ARG,
                         "%s: --%s '%.64s' is not a whole number", who(c), name,
                         value);
    if (x < least || x > most)
        return mohs_fail(err, MOHS_E_ARG, "%s: --%s %s is outside %llu..%llu",
                         who(c), name, value, (unsigned long long)least,
                         (unsigned long long)most);
    *out = x;
    return MOHS_OK;
}

mohs_status opt_bytes(struct cli *c, const char *name, const char *value,
                      uint64_t *out, struct mohs_error *err)
{
    static const char units[] = "KMGT";
    char *end;
    double x = *value >= '0' && *value <= '9' ? strtod(value, &end) : -1;
    if (x >= 0 && *end) {
        const char *u = strchr(units, *end);
        for (const char *p = units; u && p <= u; p++)
            x *= 1024;
        end += u != NULL;
    }
    if (!(x >= 1 && x < 1e18) || *end)
        return mohs_fail(err, MOHS_E_ARG,
                         "%s: --%s '%.64s' is not a size such as 512M", who(c),
                         name, value);
    *out = (uint64_t)x;
    return MOHS_OK;
}

mohs_status opt_bad_word(struct cli *c, const char *word,
                         struct mohs_error *err)
{
    const char *names[32];
    size_t n = 0;
    char *copy = xstrdup(c->command->words), *save = NULL;
    for (char *w = strtok_r(copy, " ", &save); w && n < 32;
         w = strtok_r(NULL, " ", &save))
        names[n++] = w;
    const char *near = str_nearest(word, names, n);
    mohs_status st;
    if (near)
        st = mohs_fail(err, MOHS_E_ARG,
                       "%s: unknown '%.64s' (did you mean '%s'?)", who(c), word,
                       near);
    else
        st = mohs_fail(err, MOHS_E_ARG, "%s: unknown '%.64s', not one of: %s",
                       who(c), word, c->command->words);
    free(copy);
    return st;
}
