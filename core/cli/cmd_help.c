/* SPDX-License-Identifier: MIT */
/* Help, the manual page and shell completion, all from the command table. */
#include "config.h"

#include "cli/cli.h"

#include <string.h>

enum { WIDTH = 79, OPT_MAN = 256, OPT_BASH };

/* Text wrapped to WIDTH; blank lines part paragraphs, lines that start with
 * a space stay as they are. */
static void wrap(FILE *f, const char *text, int indent)
{
    while (*text) {
        size_t line = strcspn(text, "\n");
        if (!line || *text == ' ') {
            fprintf(f, "%*s%.*s\n", line ? indent : 0, "", (int)line, text);
            text += line + (text[line] == '\n');
            continue;
        }
        int column = 0;
        const char *end = text + line;
        while (text < end) {
            int word = (int)strcspn(text, " \n");
            if (column && column + 1 + word > WIDTH) {
                fputc('\n', f);
                column = 0;
            }
            column += column ? fprintf(f, " %.*s", word, text)
                             : fprintf(f, "%*s%.*s", indent, "", word, text);
            text += word;
            text += strspn(text, " ");
        }
        fputc('\n', f);
        text += *text == '\n';
    }
}

static void print_option(FILE *f, const struct cli_option *o)
{
    char left[80];
    int n = o->code < 256 ? snprintf(left, sizeof left, "-%c, ", o->code)
                          : snprintf(left, sizeof left, "    ");
    snprintf(left + n, sizeof left - (size_t)n, "--%s%s%s", o->name,
             o->arg ? " " : "", o->arg ? o->arg : "");
    if (strlen(left) > 24)
        fprintf(f, "  %s\n  %-24s  %s\n", left, "", o->help);
    else
        fprintf(f, "  %-24s  %s\n", left, o->help);
}

static void print_usage(FILE *f, const struct cli_command *c)
{
    const char *lead = "usage:";
    for (const char *u = c->usage;; lead = "      ") {
        size_t n = strcspn(u, "\n");
        fprintf(f, "%s mohs %s%s%.*s\n", lead, c->name, n ? " " : "", (int)n,
                u);
        if (!u[n])
            break;
        u += n + 1;
    }
}

static void print_all(FILE *f)
{
    fputs("usage: mohs [options] COMMAND [arguments]\n\n"
          "Evaluates and trains vision-language models under corruptions and "
          "attacks.\n\ncommands:\n",
          f);
    for (size_t i = 0; cli_commands[i]; i++)
        fprintf(f, "  %-10s %s\n", cli_commands[i]->name,
                cli_commands[i]->summary);
    fputs("\noptions (before or after the command):\n", f);
    for (const struct cli_option *o = cli_global_options; o->name; o++)
        print_option(f, o);
    fputs("\n`mohs help COMMAND` says more.\n", f);
}

void help_print(const struct cli_command *c, FILE *f)
{
    if (!c) {
        print_all(f);
        return;
    }
    print_usage(f, c);
    fprintf(f, "\n%s.\n", c->summary);
    if (c->options) {
        fputs("\noptions:\n", f);
        for (const struct cli_option *o = c->options; o->name; o++)
            print_option(f, o);
    }
    if (c->details) {
        fputc('\n', f);
        wrap(f, c->details, 0);
    }
}

/* ---- the manual page ---- */

/* Text with what roff would take for commands made harmless. */
static void roff(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        bool start = !i || s[i - 1] == '\n';
        if (start && (s[i] == '.' || s[i] == '\''))
            fputs("\\&", stdout);
        if (s[i] == '\\')
            fputs("\\e", stdout);
        else if (s[i] == '-')
            fputs("\\-", stdout);
        else
            putchar(s[i]);
    }
}

static void roff_line(const char *s)
{
    roff(s, strlen(s));
    putchar('\n');
}

static void roff_option(const struct cli_option *o)
{
    fputs(".TP\n.B ", stdout);
    if (o->code < 256)
        printf("\\-%c, ", o->code);
    fputs("\\-\\-", stdout);
    roff(o->name, strlen(o->name));
    printf("%s%s\n", o->arg ? " " : "", o->arg ? o->arg : "");
    roff_line(o->help);
}

static void roff_details(const char *text)
{
    bool literal = false;
    puts(".PP");
    while (*text) {
        size_t n = strcspn(text, "\n");
        bool want = *text == ' ';
        if (want != literal)
            puts(want ? ".nf" : ".fi");
        literal = want;
        if (!n) {
            puts(".PP");
        } else {
            roff(text, n);
            putchar('\n');
        }
        text += n + (text[n] == '\n');
    }
    if (literal)
        puts(".fi");
}

static void roff_command(const struct cli_command *c)
{
    printf(".SS %s\n", c->name);
    for (const char *u = c->usage;;) {
        size_t n = strcspn(u, "\n");
        printf(".B mohs %s%s", c->name, n ? " " : "");
        roff(u, n);
        putchar('\n');
        if (!u[n])
            break;
        puts(".br");
        u += n + 1;
    }
    puts(".PP");
    roff(c->summary, strlen(c->summary));
    puts(".");
    for (const struct cli_option *o = c->options; o && o->name; o++)
        roff_option(o);
    if (c->details)
        roff_details(c->details);
}

void help_man(void)
{
    printf(".TH MOHS 1 \"\" \"mohs %s\" \"User Commands\"\n", PACKAGE_VERSION);
    puts(".SH NAME\nmohs \\- a scratch test for vision\\-language models\n"
         ".SH SYNOPSIS\n.B mohs\n[options] COMMAND [arguments]\n"
         ".SH DESCRIPTION\nEvaluates and trains CLIP\\-style models under "
         "corruptions and attacks, at pixels and at inner features, and keeps "
         "every number with what made it.\n.SH OPTIONS");
    for (const struct cli_option *o = cli_global_options; o->name; o++)
        roff_option(o);
    puts(".SH COMMANDS");
    for (size_t i = 0; cli_commands[i]; i++)
        roff_command(cli_commands[i]);
    puts(
        ".SH EXIT STATUS\n.TP\n0\nsuccess\n.TP\n1\na check failed, or values "
        "differ\n.TP\n2\nwrong usage\n.TP\n3\nbad input, or output that could "
        "not be written\n.TP\n4\nno usable device\n.TP\n5\na plugin or item is "
        "missing\n.TP\n130\ninterrupted");
    puts(
        ".SH ENVIRONMENT\n.TP\n.B MOHS_PLUGIN_PATH\ndirectories with plugins, "
        "parted by colons\n.TP\n.B MOHS_DEVICE\ndefault of \\-\\-device\n.TP\n"
        ".B MOHS_STREAM\noperations for each byte of weights that a pass reads "
        "again instead of holding it (default 450; 0 holds all)\n.TP\n"
        ".B MOHS_CACHE_DIR\ncache of embeddings and compiled programs "
        "(default $XDG_CACHE_HOME/mohs)\n.TP\n.B MOHS_DATA_DIR\nwhere shipped "
        "recipes and checkpoints lie\n.TP\n.B MOHS_CHECK_TIMEOUT\nseconds that "
        "one check of `mohs plugin check` may take (default 60)");
}

/* ---- completion for bash ---- */

static void bash_options(const struct cli_option *o)
{
    for (; o && o->name; o++)
        printf(" --%s", o->name);
}

void help_bash(void)
{
    puts("# bash completion for mohs, made from its command table\n"
         "_mohs()\n{\n    local cur=${COMP_WORDS[COMP_CWORD]} cmd= i words=\n"
         "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
         "        case ${COMP_WORDS[i]} in\n"
         "        --device|--plugin-dir) ((i++)) ;;\n"
         "        -*) ;;\n        *) cmd=${COMP_WORDS[i]}; break ;;\n"
         "        esac\n    done\n    case $cmd in");
    for (size_t i = 0; cli_commands[i]; i++) {
        const struct cli_command *c = cli_commands[i];
        printf("    %s) words=\"%s", c->name, c->words ? c->words : "");
        bash_options(c->options);
        puts("\" ;;");
    }
    fputs("    '') words=\"", stdout);
    for (size_t i = 0; cli_commands[i]; i++)
        printf("%s%s", i ? " " : "", cli_commands[i]->name);
    puts("\" ;;\n    esac");
    fputs("    words=\"$words", stdout);
    bash_options(cli_global_options);
    puts("\"\n    COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n}\n"
         "complete -o default -F _mohs mohs");
}

/* ---- the command ---- */

static const struct cli_option options[] = {
    { "man", OPT_MAN, NULL, "print the manual page (roff)" },
    { "completion", OPT_BASH, "SHELL", "print completion for SHELL (bash)" },
    { 0 },
};

static mohs_status run(struct cli *c, struct mohs_error *err)
{
    const char *value;
    bool man = false, bash = false;
    int o;
    while ((o = opt_next(c, &value, err)) > 0) {
        man |= o == OPT_MAN;
        bash |= o == OPT_BASH;
        if (o == OPT_BASH && strcmp(value, "bash"))
            return mohs_fail(err, MOHS_E_ARG,
                             "help: no completion for '%.64s', only for bash",
                             value);
    }
    if (o < 0)
        return MOHS_E_ARG;
    RET_IF_ERR(opt_count(c, 0, 1, err));
    if (man) {
        help_man();
    } else if (bash) {
        help_bash();
    } else {
        const struct cli_command *which = NULL;
        if (c->n_args && !(which = cli_find(c->args[0])))
            return mohs_fail(err, MOHS_E_ARG, "help: no command '%.64s'",
                             c->args[0]);
        help_print(which, stdout);
    }
    return MOHS_OK;
}

const struct cli_command command_help = {
    .name = "help",
    .summary = "help for a command",
    .usage = "[COMMAND]\n--man | --completion bash",
    .options = options,
    .run = run,
};
