/* SPDX-License-Identifier: MIT */
/* The standard numbers of a block's corrupted cells, a table a value. */
#include "config.h"

#include "report/report_doc.h"
#include "results/robustness.h"

#include <math.h>
#include <string.h>

static const struct {
    const char *name, *title;
} column[] = {
    { "clean", "score on clean inputs" },
    { "corrupted", "mean score over corruptions and severities" },
    { "drop", "clean minus corrupted, in points" },
    { "mRR", "corrupted score in % of clean, mean over corruptions" },
    { "MMI", "multimodal impact: 100 - mRR" },
    { "mCE", "summed error in % of the baseline's, mean over corruptions" },
    { "relative mCE", "the same of the error that corruption adds" },
    { "relative", "corrupted score minus the baseline's, in points" },
};
enum { COLUMNS = sizeof column / sizeof *column };

static void head(struct doc *d)
{
    put(d, "<div class=\"scroll\"><table class=\"sort\"><thead><tr>"
           "<th scope=\"col\">model</th>");
    for (int i = 0; i < COLUMNS; i++) {
        put(d, "<th scope=\"col\" class=\"n\" title=\"");
        put_text(d, column[i].title);
        put(d, "\">");
        put_text(d, column[i].name);
        put(d, "</th>");
    }
    put(d, "</tr></thead><tbody>");
}

static void row(struct doc *d, int model, const struct robustness_model *m)
{
    const double x[COLUMNS] = { m->clean, m->mean, m->drop, m->kept,
                                m->mmi, m->mce, m->relative_mce, m->relative };
    putf(d, "<tr><th scope=\"row\" class=\"m k%d\">", model % N_COLOURS);
    put_text(d, *m->model ? m->model : "model");
    put(d, "</th>");
    for (int i = 0; i < COLUMNS; i++) {
        putf(d, "<td class=\"n\" data-v=\"%.17g\">", isnan(x[i]) ? -1e300 : x[i]);
        put_number(d, "%", x[i]);
        put(d, "</td>");
    }
    put(d, "</tr>");
}

void part_robustness(struct doc *d, int block, int value)
{
    const struct block *b = &d->block[block];
    struct robustness *r = robustness_new();
    struct mohs_error err = MOHS_ERROR_INIT;
    const struct robustness_model *m;
    const char *first = d->models.v[b->models[0]];
    struct robustness_options o = { .value = b->values.v[value],
                                    .baseline = b->n_models > 1 ? first : NULL };
    size_t n = 0;
    for (size_t i = 0; i < d->n_cells; i++)
        if (d->cell[i].block == block)
            robustness_take(r, &d->cell[i].c, &err);
    // Ranks and the like have no such numbers.
    if (robustness_make(r, &o, &m, &n, &err) >= 0 && n) {
        put(d, "<h3>Robustness to corruptions</h3>");
        head(d);
        for (size_t i = 0; i < n; i++)
            for (int k = 0; k < b->n_models; k++)
                if (!strcmp(d->models.v[b->models[k]], m[i].model))
                    row(d, b->models[k], &m[i]);
        putf(d, "</tbody></table></div><p class=\"note\">Over %u corruptions",
             (unsigned)(o.baseline ? m->n_mce : m->n));
        put(d, "; drop and relative in points, the rest in %");
        if (o.baseline) {
            put(d, "; mCE, relative mCE and relative against <b>");
            put_text(d, first);
            put(d, "</b>");
        }
        put(d, ".</p>");
    }
    robustness_free(r);
}
