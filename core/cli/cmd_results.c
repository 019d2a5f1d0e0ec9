/* SPDX-License-Identifier: MIT */
/* mohs results: reading, comparing and joining results files. */
#include "config.h"

#include "cli/cli.h"
#include "report/report.h"
#include "results/results.h"
#include "results/compare.h"
#include "results/robustness.h"
#include "results/trust.h"

#include <string.h>

enum { OPT_CSV = 256, OPT_VALUE, OPT_BASELINE, OPT_FIT, OPT_ONLY, OPT_AGAINST, OPT_BY,
       OPT_BOOTSTRAP, OPT_SVG };

static const struct cli_option options[] = {
    { "out", 'o', "FILE", "merge: the file to make" },
    { "csv", OPT_CSV, NULL, "export: CSV, which is the default" },
    { "value", OPT_VALUE, "NAME", "the score: top1, mean_recall (trust: i2t_r1)" },
    { "baseline", OPT_BASELINE, "MODEL",
      "robustness: a model of the file, or alexnet" },
    { "fit", OPT_FIT, "MODEL,...",
      "robustness: the models of the line for effective robustness" },
    { "only", OPT_ONLY, "NAME,...",
      "robustness: corruptions that count; common, all" },
    { "against", OPT_AGAINST, "ARM", "compare: the control" },
    { "by", OPT_BY, "AXIS", "compare: the axis that says which arm (arm)" },
    { "bootstrap", OPT_BOOTSTRAP, "N", "compare: resamples (1000)" },
    { "svg", OPT_SVG, "FILE", "compare: the summary rows as a plot" },
    { 0 },
};

struct plot {
    const char *against, *out;
};

static mohs_status draw(void *user, const struct compare_row *row, size_t n,
                        struct mohs_error *err)
{
    const struct plot *p = user;
    return report_forest(row, n, p->against, p->out, err);
}

static mohs_status each(struct cli *c,
                        mohs_status (*fn)(const char *path, bool json,
                                          struct mohs_error *err),
                        struct mohs_error *err)
{
    for (size_t i = 1; i < c->n_args; i++) {
        if (c->n_args > 2 && !c->json)
            printf("%s%s:\n", i > 1 ? "\n" : "", c->args[i]);
        RET_IF_ERR(fn(c->args[i], c->json, err));
    }
    return MOHS_OK;
}

static mohs_status merge(struct cli *c, const char *out, struct mohs_error *err)
{
    if (!out)
        return mohs_fail(err, MOHS_E_ARG,
                         "results merge: --out FILE is missing");
    RET_IF_ERR(results_merge(out, (const char *const *)c->args + 1,
                             c->n_args - 1, err));
    log_info("%s made from %zu files", out, c->n_args - 1);
    return MOHS_OK;
}

static mohs_status run(struct cli *c, struct mohs_error *err)
{
    const char *value, *out = NULL;
    struct robustness_options rob = { 0 };
    struct compare_options compare = { 0 };
    struct plot plot = { 0 };
    uint64_t resamples = 1000;
    bool csv = false;
    int o;
    while ((o = opt_next(c, &value, err)) > 0) {
        switch (o) {
        case 'o': out = value; break;
        case OPT_VALUE: rob.value = value; break;
        case OPT_BASELINE: rob.baseline = value; break;
        case OPT_FIT: rob.fit = value; break;
        case OPT_ONLY: rob.only = value; break;
        case OPT_AGAINST: compare.against = value; break;
        case OPT_SVG: plot.out = value; break;
        case OPT_BY: compare.by = value; break;
        case OPT_BOOTSTRAP:
            RET_IF_ERR(opt_u64(c, "bootstrap", value, 20, 1000000, &resamples, err));
            break;
        default: csv = true; break;
        }
    }
    if (o < 0)
        return MOHS_E_ARG;
    RET_IF_ERR(opt_count(c, 1, SIZE_MAX, err));
    const char *word = c->args[0];
    if (csv && c->json)
        return mohs_fail(err, MOHS_E_ARG, "results: --csv and --json together");
    if (!strcmp(word, "diff")) {
        RET_IF_ERR(opt_count(c, 3, 3, err));
        return results_diff(c->args[1], c->args[2], c->json, err);
    }
    if (!strcmp(word, "robustness")) {
        RET_IF_ERR(opt_count(c, 2, 2, err));
        return results_robustness(c->args[1], &rob, c->json, err);
    }
    if (!strcmp(word, "compare")) {
        RET_IF_ERR(opt_count(c, 2, 2, err));
        if (!compare.against)
            return mohs_fail(err, MOHS_E_ARG,
                             "results compare: --against ARM is missing");
        compare.bootstrap = (uint32_t)resamples;
        plot.against = compare.against;
        if (plot.out)
            return results_compared(c->args[1], &compare, draw, &plot, err);
        return results_compare(c->args[1], &compare, c->json, err);
    }
    if (!strcmp(word, "trust")) {
        RET_IF_ERR(opt_count(c, 2, 2, err));
        return results_trust(c->args[1], rob.value, c->json, err);
    }
    bool known = !strcmp(word, "list") || !strcmp(word, "show") ||
                 !strcmp(word, "export") || !strcmp(word, "merge");
    if (!known)
        return opt_bad_word(c, word, err);
    RET_IF_ERR(opt_count(c, 2, SIZE_MAX, err));
    if (!strcmp(word, "list"))
        return each(c, results_list, err);
    if (!strcmp(word, "show"))
        return each(c, results_show, err);
    if (!strcmp(word, "export"))
        return each(c, results_export, err);
    return merge(c, out, err);
}

const struct cli_command command_results = {
    .name = "results",
    .summary = "read, compare and join results files",
    .usage =
        "list|show|export FILE... [--json|--csv]\ndiff FILE FILE [--json]\n"
        "robustness FILE [--value NAME] [--baseline MODEL] [--fit MODEL,...] "
        "[--only NAME,...] [--json]\n"
        "trust FILE [--value NAME] [--json]\n"
        "compare FILE --against ARM [--by AXIS] [--bootstrap N] [--json | --svg FILE]\n"
        "merge FILE... --out FILE",
    .options = options,
    .words = "list show export diff robustness trust compare merge",
    .details =
        "`list` shows runs, `show` values with intervals, `export` all values "
        "as "
        "CSV or JSON. `diff` names what differs and the provenance that "
        "explains "
        "it (exit code 1 when something differs). `robustness` turns corrupted "
        "cells into drop, mRR, MMI, and against a baseline mCE, relative mCE, "
        "relative and effective robustness. `trust` says whether attacked cells "
        "can be believed (balls and ranges held, larger eps no weaker, no masked "
        "gradients, AutoAttack no weaker than its members; exit code 1 when "
        "not) and gives the worst case over attacks. `compare` sets the arms of an experiment "
        "against a control: differences of mean hits with intervals from a "
        "bootstrap over images and seeds, both paired; RR rows have what is kept of "
        "the clean score. `merge` joins the files of "
        "shards and refuses cells that contradict each other.",
    .run = run,
};
