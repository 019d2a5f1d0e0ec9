/* SPDX-License-Identifier: MIT */
/*
 * The page: head, facts, one section per block of comparable cells, pictures,
 * training, all cells, provenance, recipe. Style and script are inline; the
 * content security policy forbids anything from outside.
 */
#include "config.h"

#include "report/report.h"
#include "report/report_doc.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char style[] = {
#include "report/report_css.inc"
    0
};
static const char script[] = {
#include "report/report_js.inc"
    0
};

/* ---- head ------------------------------------------------------------ */

static void page_open(struct doc *d, const char *title)
{
    put(d, "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"/>"
           "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src "
           "'none'; img-src data:; style-src 'unsafe-inline'; script-src "
           "'unsafe-inline'\"/><meta name=\"viewport\" "
           "content=\"width=device-width, initial-scale=1\"/>"
           "<meta name=\"color-scheme\" content=\"light dark\"/><title>");
    put_text(d, title);
    put(d, "</title><style>\n");
    put(d, style);
    // Which of the numbered alternatives shows, and which label is lit.
    for (int k = 0; k < MAX_PICKS; k++)
        putf(d, ".p%d:checked~.body .v%d{display:block}"
                ".p%d:checked~.values .i%d{background:var(--ink);"
                "color:var(--paper);border-color:var(--ink)}"
                ".p%d:focus-visible~.values .i%d{outline:3px solid var(--c0)}\n",
             k, k, k, k, k, k);
    put(d, "</style></head><body>");
}

/* The comment that a recipe starts with says what it is about. */
static void put_question(struct doc *d, const char *recipe)
{
    bool any = false;
    while (!strncmp(recipe, "--", 2)) {
        const char *line = recipe + 2;
        size_t n = strcspn(line, "\n");
        recipe = line + n + (line[n] == '\n');
        while (n && (*line == ' ' || *line == '-')) {
            line++;
            n--;
        }
        if (n > 4 && !strncmp(line, "SPDX", 4))
            continue;
        if (!n && any)
            break;
        char *text = xasprintf("%.*s", (int)n, line);
        put(d, any ? " " : "<p class=\"lead\">");
        put_text(d, text);
        free(text);
        any = true;
    }
    put(d, any ? "</p>" : "");
}

static void fact(struct doc *d, const char *key, const char *value)
{
    if (!value || !*value)
        return;
    put(d, "<div><dt>");
    put_label(d, key);
    put(d, "</dt><dd>");
    put_text(d, value);
    put(d, "</dd></div>");
}

MOHS_PRINTF(3, 4)
static void factf(struct doc *d, const char *key, const char *fmt, ...)
{
    char text[160];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    fact(d, key, text);
}

static void put_duration(struct doc *d, const char *key, double s)
{
    if (s >= 3600)
        factf(d, key, "%.0f h %02.0f min", floor(s / 3600),
              floor(fmod(s, 3600) / 60));
    else if (s >= 60)
        factf(d, key, "%.0f min %02.0f s", floor(s / 60), floor(fmod(s, 60)));
    else
        factf(d, key, "%.1f s", s);
}

/* The device of the first cell that names one. */
static const char *device_of(const struct doc *d)
{
    for (size_t i = 0; i < d->n_cells; i++) {
        const struct result_cell *c = &d->cell[i].c;
        for (size_t k = 0; k < c->n_provenance; k++)
            if (!strcmp(c->provenance[k].key, "device"))
                return c->provenance[k].value;
    }
    return NULL;
}

static void put_facts(struct doc *d)
{
    const struct result_run *r = d->n_runs ? &d->run[d->n_runs - 1] : NULL;
    double cells = 0;
    for (size_t i = 0; i < d->n_cells; i++)
        cells += d->cell[i].c.seconds;
    put(d, "<dl class=\"facts\">");
    if (r) {
        fact(d, "recipe", r->recipe_name);
        fact(d, "arguments", strcmp(r->args_json, "{}") ? r->args_json : "");
        factf(d, "seed", "%" PRIu64, r->seed);
        factf(d, "state", "%s%s", r->state,
              d->n_runs > 1 ? " (last run)" : "");
        fact(d, "started", r->started);
        put_duration(d, "duration", r->seconds);
        if (r->peak_bytes)
            factf(d, "peak memory", "%.0f MiB", (double)r->peak_bytes / 1048576);
        for (size_t i = 0; i < r->n_facts; i++)
            if (strcmp(r->facts[i].key, "shard") ||
                strcmp(r->facts[i].value, "0/1"))
                fact(d, r->facts[i].key, r->facts[i].value);
    }
    bool device = false;
    for (size_t i = 0; r && i < r->n_facts; i++)
        device |= !strcmp(r->facts[i].key, "device");
    if (!device)
        fact(d, "device", device_of(d));
    factf(d, "cells", "%zu", d->n_cells);
    put_duration(d, "computing", cells);
    put(d, "</dl>");
}

static void put_header(struct doc *d, const char *title)
{
    put(d, "<header><div class=\"top\"><h1>");
    put_text(d, title);
    put(d, "</h1><button type=\"button\" id=\"theme\" hidden=\"hidden\">"
           "Light / dark</button></div>");
    if (d->n_runs)
        put_question(d, d->run[d->n_runs - 1].recipe_text);
    put_facts(d);
    put(d, "</header><main>");
}

/* ---- blocks ---------------------------------------------------------- */

static void put_picks(struct doc *d, int block)
{
    const struct block *b = &d->block[block];
    for (int k = 0; k < b->values.n; k++) {
        putf(d, "<input type=\"radio\" class=\"pick p%d\" id=\"b%dv%d\" "
                "name=\"b%d\" aria-label=\"", k, block, k, block);
        put_text(d, b->values.v[k]);
        putf(d, "\"%s/>", k == b->first ? " checked=\"checked\"" : "");
    }
    put(d, "<div class=\"values\"><span>Value</span>");
    for (int k = 0; k < b->values.n; k++) {
        putf(d, "<label class=\"i%d\" for=\"b%dv%d\" title=\"", k, block, k);
        put_text(d, b->value_of[k]->doc);
        put(d, "\">");
        put_label(d, b->values.v[k]);
        put(d, "</label>");
    }
    put(d, "</div>");
}

/* What a chosen value is. */
static void put_doc(struct doc *d, const struct result_value *v)
{
    put(d, "<p class=\"note\"><b>");
    put_label(d, v->name);
    put(d, "</b>");
    if (*v->doc) {
        put(d, ": ");
        put_text(d, v->doc);
    }
    if (*v->unit) {
        put(d, ", in ");
        put_text(d, v->unit);
    }
    put(d, v->direction > 0 ? "; larger is better"
           : v->direction < 0 ? "; smaller is better" : "");
    put(d, ". Brackets and bands are 95 % intervals.</p>");
}

typedef void part(struct doc *d, int block, int value);

/* A part once for every value; the style sheet shows the chosen one. */
static void put_each(struct doc *d, int block, part *fn)
{
    const struct block *b = &d->block[block];
    for (int k = 0; k < b->values.n; k++) {
        putf(d, "<div class=\"v v%d\">", k);
        fn(d, block, k);
        put(d, "</div>");
    }
}

static void cards_of(struct doc *d, int block, int value)
{
    put_doc(d, d->block[block].value_of[value]);
    part_cards(d, block, value);
}

static void charts_of(struct doc *d, int block, int value)
{
    const struct block *b = &d->block[block];
    if (b->corruptions.n) {
        put(d, "<h2>Corruption and severity</h2>");
        chart_legend(d, b->models, b->n_models);
        chart_curves(d, block, value);
    }
    if (b->attacks.n || b->corruptions.n) {
        put(d, "<h2>Robustness</h2>");
        chart_legend(d, b->models, b->n_models);
        put(d, "<div class=\"two\">");
        chart_attacks(d, block, value);
        chart_frontier(d, block, value);
        put(d, "</div>");
    }
    if (b->corruptions.n)
        part_robustness(d, block, value);
    if (b->attacks.n)
        part_trust(d, block);
}

static void put_block(struct doc *d, int block)
{
    const struct block *b = &d->block[block];
    if (!b->values.n)
        return;
    putf(d, "<section class=\"block\" id=\"b%d\">", block);
    put(d, "<h2 class=\"what\">");
    put_text(d, b->name);
    put(d, "</h2>");
    put_picks(d, block);
    put(d, "<div class=\"body\">");
    put_each(d, block, cards_of);
    put_each(d, block, charts_of);
    part_tables(d, block);
    part_classes(d, block);
    put(d, "</div></section>");
}

/* ---- foot ------------------------------------------------------------ */

static void put_recipe(struct doc *d, const char *results)
{
    const struct result_run *r = d->n_runs ? &d->run[d->n_runs - 1] : NULL;
    put(d, "<section id=\"again\"><h2>Again</h2><p>The results file holds the "
           "recipe, its arguments and its seed:</p><pre>mohs rerun ");
    put_text(d, path_base(results));
    put(d, "\nmohs results show ");
    put_text(d, path_base(results));
    put(d, "\nmohs results diff ");
    put_text(d, path_base(results));
    put(d, " OTHER</pre>");
    if (d->n_runs > 1) {
        put(d, "<h3>Runs</h3><div class=\"scroll\"><table><thead><tr>"
               "<th scope=\"col\">recipe</th><th scope=\"col\">started</th>"
               "<th scope=\"col\">state</th><th scope=\"col\" class=\"n\">cells"
               "</th><th scope=\"col\" class=\"n\">seconds</th></tr></thead>"
               "<tbody>");
        for (size_t i = 0; i < d->n_runs; i++) {
            put(d, "<tr><td>");
            put_text(d, d->run[i].recipe_name);
            put(d, "</td><td>");
            put_text(d, d->run[i].started);
            put(d, "</td><td>");
            put_text(d, d->run[i].state);
            putf(d, "</td><td class=\"n\">%" PRIu64 "</td><td class=\"n\">%.1f"
                    "</td></tr>", d->run[i].n_cells, d->run[i].seconds);
        }
        put(d, "</tbody></table></div>");
    }
    if (r && *r->recipe_text) {
        put(d, "<details><summary>Recipe ");
        put_text(d, r->recipe_name);
        put(d, "</summary><pre class=\"code\">");
        put_text(d, r->recipe_text);
        put(d, "</pre></details>");
    }
    put(d, "</section>");
}

static void page_close(struct doc *d)
{
    put(d, "</main><footer><p>Written by mohs " PACKAGE_VERSION ". This page is "
           "one file and loads nothing.</p></footer><script>\n");
    put(d, script);
    put(d, "</script></body></html>\n");
}

static void write_page(struct doc *d, const char *results, const char *title)
{
    page_open(d, title);
    put_header(d, title);
    for (int b = 0; b < d->n_blocks; b++)
        put_block(d, b);
    if (d->more_blocks)
        putf(d, "<p class=\"note\">%d more cells are in the table of all cells "
                "only.</p>", d->more_blocks);
    if (!d->n_cells)
        put(d, "<p class=\"note\">The results file has no cells yet.</p>");
    part_gallery(d);
    part_texts(d);
    part_training(d);
    if (d->n_cells) {
        part_all_cells(d);
        part_provenance(d);
    }
    put_recipe(d, results);
    page_close(d);
}

mohs_status report_write(const char *results, const char *out, const char *title,
                         struct mohs_error *err)
{
    struct results *r = NULL;
    struct doc d = { 0 };
    char *stem = NULL;
    mohs_status st = MOHS_OK;
    RET_IF_ERR(results_open_readonly(results, &r, err));
    OUT_IF_ERR(doc_load(&d, r, err));
    const char *recipe = d.n_runs ? d.run[d.n_runs - 1].recipe_name : "";
    stem = path_stem(*recipe ? recipe : results);
    for (char *p = stem; *p; p++)
        if (*p == '_' || *p == '-')
            *p = ' ';
    write_page(&d, results, title && *title ? title : stem);
    st = file_write(out, d.out.s, d.out.n, err);
out:
    free(stem);
    doc_free(&d);
    results_close(r);
    return st;
}
