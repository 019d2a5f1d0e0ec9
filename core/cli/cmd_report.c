/* SPDX-License-Identifier: MIT */
/* mohs report: a results file as one HTML page. */
#include "config.h"

#include "cli/cli.h"
#include "report/report.h"

enum { OPT_TITLE = 256 };

static const struct cli_option options[] = {
    { "out", 'o', "FILE", "the page to write" },
    { "title", OPT_TITLE, "TEXT", "its title (the recipe's name)" },
    { 0 },
};

static mohs_status run(struct cli *c, struct mohs_error *err)
{
    const char *value, *out = NULL, *title = NULL;
    int o;
    while ((o = opt_next(c, &value, err)) > 0) {
        if (o == 'o')
            out = value;
        else
            title = value;
    }
    if (o < 0)
        return MOHS_E_ARG;
    RET_IF_ERR(opt_count(c, 1, 1, err));
    if (!out)
        return mohs_fail(err, MOHS_E_ARG,
                         "report: --out REPORT.html is missing");
    RET_IF_ERR(report_write(c->args[0], out, title, err));
    log_info("report written to %s", out);
    return MOHS_OK;
}

const struct cli_command command_report = {
    .name = "report",
    .summary = "make one offline HTML page from a results file",
    .usage = "FILE --out REPORT.html [--title TEXT]",
    .options = options,
    .run = run,
};
