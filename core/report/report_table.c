/* SPDX-License-Identifier: MIT */
/* Headline cards and tables. A cell of a table holds the number of every
 * value a reader can choose; the style sheet shows the chosen one. */
#include "config.h"

#include "report/report_doc.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *model_name(const struct doc *d, int model)
{
    return *d->models.v[model] ? d->models.v[model] : "model";
}

static void put_unit(struct doc *d, const char *unit)
{
    if (!strcmp(unit, "%")) {
        put(d, "<small> %</small>");
    } else if (*unit) {
        put(d, "<small> ");
        put_text(d, unit);
        put(d, "</small>");
    }
}

static void put_interval(struct doc *d, const struct result_value *v)
{
    if (isnan(v->low) || isnan(v->high))
        return;
    put(d, "<small class=\"ci\">[");
    put_number(d, v->unit, v->low);
    put(d, ", ");
    put_number(d, v->unit, v->high);
    put(d, "]</small>");
}

/* ---- cards ----------------------------------------------------------- */

/* "keeps 62 %" where that means something: rates and means, not ranks. */
static void put_kept(struct doc *d, const struct result_value *v, double clean,
                     double x)
{
    if (isnan(clean) || isnan(x) || !v->direction)
        return;
    put(d, "<span class=\"kept\">");
    if (v->direction > 0 && clean > 0) {
        putf(d, "keeps %.0f %%", 100 * x / clean);
    } else {
        put_signed(d, v->unit, x - clean);
        put(d, " to clean");
    }
    put(d, "</span>");
}

static void card_row(struct doc *d, const struct result_value *v, double clean,
                     double x, const char *what, const char *which)
{
    if (isnan(x))
        return;
    put(d, "<div><dt>");
    put(d, what);
    if (which) {
        put(d, " <small>");
        put_label(d, which);
        put(d, "</small>");
    }
    put(d, "</dt><dd><b>");
    put_number(d, v->unit, x);
    put_unit(d, v->unit);
    put(d, "</b>");
    put_kept(d, v, clean, x);
    put(d, "</dd></div>");
}

/* The corrupted cell that is worst, and its name. */
static double worst_corruption(const struct doc *d, int block, int model,
                               const struct result_value *v, const char **name)
{
    const struct block *b = &d->block[block];
    double worst = NAN;
    for (int c = 0; c < b->corruptions.n; c++) {
        for (int s = 0; s < b->severities.n; s++) {
            const struct result_value *x = doc_value(d, block, model, c, s, NONE,
                                                     v->name);
            if (!x || isnan(x->value))
                continue;
            if (!isnan(worst) && loss_of(v, worst, x->value) <= 0)
                continue;
            worst = x->value;
            *name = arena_printf(d->arena, "%s %s", b->corruptions.v[c],
                                 b->severities.v[s]);
        }
    }
    return worst;
}

static void card(struct doc *d, int block, int model, const struct result_value *v)
{
    const struct block *b = &d->block[block];
    const struct result_value *clean = doc_value(d, block, model, NONE, NONE,
                                                 NONE, v->name);
    double at = clean ? clean->value : NAN, x;
    int n, attack = NONE;
    const char *which = NULL;
    putf(d, "<article class=\"card k%d\"><h3>", model % N_COLOURS);
    put_text(d, model_name(d, model));
    put(d, "</h3>");
    if (clean && !isnan(at)) {
        put(d, "<p class=\"big\">");
        put_number(d, v->unit, at);
        put_unit(d, v->unit);
        put(d, "</p><p class=\"sub\">on clean inputs ");
        put_interval(d, clean);
        put(d, "</p>");
    }
    put(d, "<dl>");
    x = doc_mean(d, block, model, NONE, v->name, &n);
    char *what = xasprintf("corrupted <small>mean of %d</small>", n);
    card_row(d, v, at, x, what, NULL);
    free(what);
    x = worst_corruption(d, block, model, v, &which);
    card_row(d, v, at, v->direction ? x : NAN, "worst corruption", which);
    x = doc_worst_attack(d, block, model, v, &attack);
    card_row(d, v, at, v->direction ? x : NAN, "worst attack",
             attack == NONE ? NULL : b->attacks.v[attack]);
    put(d, "</dl></article>");
}

static void difference(struct doc *d, const struct result_value *v, double a,
                       double b, const char *what, int *n)
{
    if (isnan(a) || isnan(b))
        return;
    put(d, (*n)++ ? ", " : " ");
    put_signed(d, v->unit, b - a);
    putf(d, " %s", what);
}

/* Two models: what the second one gains and pays. */
static void put_twins(struct doc *d, int block, const struct result_value *v)
{
    const struct block *b = &d->block[block];
    int m0 = b->models[0], m1 = b->models[1], n = 0, count;
    const struct result_value *c0, *c1;
    c0 = doc_value(d, block, m0, NONE, NONE, NONE, v->name);
    c1 = doc_value(d, block, m1, NONE, NONE, NONE, v->name);
    put(d, "<p class=\"finding\"><strong>");
    put_text(d, model_name(d, m1));
    put(d, "</strong> against <strong>");
    put_text(d, model_name(d, m0));
    put(d, "</strong>:");
    difference(d, v, c0 ? c0->value : NAN, c1 ? c1->value : NAN, "clean", &n);
    difference(d, v, doc_mean(d, block, m0, NONE, v->name, &count),
               doc_mean(d, block, m1, NONE, v->name, &count),
               "corrupted (mean)", &n);
    for (int i = 0; i < b->attacks.n && i < 4; i++) {
        const struct result_value *x, *y;
        x = doc_value(d, block, m0, NONE, NONE, i, v->name);
        y = doc_value(d, block, m1, NONE, NONE, i, v->name);
        struct str s = { 0 };
        str_add(&s, "under ");
        str_add_html(&s, b->attacks.v[i]);
        difference(d, v, x ? x->value : NAN, y ? y->value : NAN, "", &n);
        if (x && y && !isnan(x->value) && !isnan(y->value))
            put(d, s.s);
        str_free(&s);
    }
    put(d, !strcmp(v->unit, "%") ? " (percentage points)." : ".");
    if (v->direction < 0)
        put(d, " Smaller is better.");
    put(d, "</p>");
}

void part_cards(struct doc *d, int block, int value)
{
    const struct block *b = &d->block[block];
    const struct result_value *v = b->value_of[value];
    put(d, "<div class=\"cards\">");
    for (int i = 0; i < b->n_models; i++)
        card(d, block, b->models[i], v);
    put(d, "</div>");
    if (b->n_models == 2)
        put_twins(d, block, v);
}

/* ---- tables of a block ------------------------------------------------ */

static void head_cell(struct doc *d, const char *text, const char *class)
{
    putf(d, "<th scope=\"col\"%s%s%s>", class ? " class=\"" : "",
         class ? class : "", class ? "\"" : "");
    put_label(d, text);
    put(d, "</th>");
}

/* The chosen number with its interval; tinted by the share of clean lost. */
static void number_cell(struct doc *d, int block, int model, int corruption,
                        int severity, int attack)
{
    const struct block *b = &d->block[block];
    put(d, "<td class=\"n\">");
    for (int k = 0; k < b->values.n; k++) {
        const char *name = b->values.v[k];
        const struct result_value *v = doc_value(d, block, model, corruption,
                                                 severity, attack, name);
        const struct result_value *clean = doc_value(d, block, model, NONE, NONE,
                                                     NONE, name);
        bool is_clean = corruption == NONE && attack == NONE;
        double lost = 0;
        if (v && clean && !is_clean && v->direction > 0 && clean->value > 0)
            lost = 1 - v->value / clean->value;
        lost = lost > 0 ? lost < 1 ? lost : 1 : 0; // also NaN
        putf(d, "<span class=\"v v%d\" style=\"--h:%.2f\" data-v=\"%.17g\">", k,
             lost, v && isfinite(v->value) ? v->value : -1e300);
        put_number(d, v ? v->unit : "", v ? v->value : NAN);
        if (v)
            put_interval(d, v);
        put(d, "</span>");
    }
    put(d, "</td>");
}

static void model_head(struct doc *d, int model)
{
    putf(d, "<th scope=\"row\" class=\"m k%d\">", model % N_COLOURS);
    put_text(d, model_name(d, model));
    put(d, "</th>");
}

static void mean_cell(struct doc *d, int block, int model, int corruption)
{
    const struct block *b = &d->block[block];
    put(d, "<td class=\"n\">");
    for (int k = 0; k < b->values.n; k++) {
        int n;
        double x = doc_mean(d, block, model, corruption, b->values.v[k], &n);
        putf(d, "<span class=\"v v%d\" data-v=\"%.17g\"><b>", k,
             isnan(x) ? -1e300 : x);
        put_number(d, b->value_of[k]->unit, x);
        put(d, "</b></span>");
    }
    put(d, "</td>");
}

/* corruption x model in rows, clean and severities in columns. */
static void severity_table(struct doc *d, int block)
{
    const struct block *b = &d->block[block];
    put(d, "<h3>By corruption and severity</h3><div class=\"scroll\">"
           "<table class=\"sort\"><thead><tr>");
    head_cell(d, "corruption", NULL);
    head_cell(d, "model", NULL);
    head_cell(d, "clean", "n");
    for (int s = 0; s < b->severities.n; s++)
        head_cell(d, *b->severities.v[s] ? b->severities.v[s] : "value", "n");
    head_cell(d, "mean", "n");
    put(d, "</tr></thead><tbody>");
    for (int c = 0; c < b->corruptions.n; c++) {
        for (int m = 0; m < b->n_models; m++) {
            put(d, "<tr><th scope=\"row\">");
            put_label(d, b->corruptions.v[c]);
            put(d, "</th>");
            model_head(d, b->models[m]);
            number_cell(d, block, b->models[m], NONE, NONE, NONE);
            for (int s = 0; s < b->severities.n; s++)
                number_cell(d, block, b->models[m], c, s, NONE);
            mean_cell(d, block, b->models[m], c);
            put(d, "</tr>");
        }
    }
    put(d, "</tbody></table></div>");
}

/* Conditions that are neither a corruption nor an attack alone. */
static bool combined(const struct doc_cell *c)
{
    return c->corruption != NONE && c->attack != NONE;
}

static void condition_rows(struct doc *d, int block, const char *label,
                           int corruption, int severity, int attack)
{
    const struct block *b = &d->block[block];
    put(d, "<tr><th scope=\"row\">");
    put_label(d, label);
    put(d, "</th>");
    for (int m = 0; m < b->n_models; m++)
        number_cell(d, block, b->models[m], corruption, severity, attack);
    put(d, "</tr>");
}

/* clean, attacks, and combinations in rows; models in columns. */
static void attack_table(struct doc *d, int block)
{
    const struct block *b = &d->block[block];
    struct labels seen = { 0 };
    put(d, "<h3>Clean and attacked</h3><div class=\"scroll\">"
           "<table class=\"sort\"><thead><tr>");
    head_cell(d, "condition", NULL);
    for (int m = 0; m < b->n_models; m++)
        head_cell(d, model_name(d, b->models[m]), "n");
    put(d, "</tr></thead><tbody>");
    condition_rows(d, block, "clean", NONE, NONE, NONE);
    for (int a = 0; a < b->attacks.n; a++)
        condition_rows(d, block, b->attacks.v[a], NONE, NONE, a);
    for (size_t i = 0; i < d->n_cells; i++) {
        const struct doc_cell *c = &d->cell[i];
        if (c->block != block || !combined(c))
            continue;
        const char *label = arena_printf(
            d->arena, "%s %s + %s", b->corruptions.v[c->corruption],
            c->severity == NONE ? "" : b->severities.v[c->severity],
            b->attacks.v[c->attack]);
        int before = seen.n;
        if (labels_add(&seen, d->arena, label) == before)
            condition_rows(d, block, label, c->corruption, c->severity, c->attack);
    }
    put(d, "</tbody></table></div>");
    free(seen.v);
}

static void extra_table(struct doc *d, int block)
{
    const struct block *b = &d->block[block];
    put(d, "<h3>Further values</h3><div class=\"scroll\"><table class=\"sort\">"
           "<thead><tr>");
    head_cell(d, "condition", NULL);
    head_cell(d, "model", NULL);
    for (int k = 0; k < b->extra.n; k++)
        head_cell(d, b->extra.v[k], "n");
    put(d, "</tr></thead><tbody>");
    for (size_t i = 0; i < d->n_cells; i++) {
        const struct doc_cell *c = &d->cell[i];
        bool any = false;
        for (int k = 0; c->block == block && k < b->extra.n; k++)
            any |= doc_value(d, block, c->model, c->corruption, c->severity,
                             c->attack, b->extra.v[k]) != NULL;
        if (!any)
            continue;
        put(d, "<tr><th scope=\"row\">");
        if (c->corruption != NONE)
            put_label(d, b->corruptions.v[c->corruption]);
        put(d, c->corruption != NONE ? " " : "");
        if (c->corruption != NONE && c->severity != NONE)
            put_text(d, b->severities.v[c->severity]);
        put(d, combined(c) ? " + " : "");
        if (c->attack != NONE)
            put_label(d, b->attacks.v[c->attack]);
        put(d, "</th>");
        model_head(d, c->model);
        for (int k = 0; k < b->extra.n; k++) {
            const struct result_value *v =
                doc_value(d, block, c->model, c->corruption, c->severity,
                          c->attack, b->extra.v[k]);
            putf(d, "<td class=\"n\" data-v=\"%.17g\">",
                 v && isfinite(v->value) ? v->value : -1e300);
            put_number(d, v ? v->unit : "", v ? v->value : NAN);
            if (v)
                put_interval(d, v);
            put(d, "</td>");
        }
        put(d, "</tr>");
    }
    put(d, "</tbody></table></div>");
}

/* ---- drops ----------------------------------------------------------- */

static void drop_cell(struct doc *d, int k, const struct result_value *v,
                      double clean, double x, bool relative)
{
    double drop = x - clean;
    if (relative)
        drop = clean != 0 ? 100 * drop / fabs(clean) : NAN;
    putf(d, "<span class=\"v v%d\" data-v=\"%.17g\">", k,
         isfinite(drop) ? drop : -1e300);
    put_signed(d, relative ? "%" : v->unit, drop);
    put(d, relative && isfinite(drop) ? " %</span>" : "</span>");
}

/* Row of the drop table; corruption or attack is NONE. */
static void drop_row(struct doc *d, int block, int model, int corruption,
                     int attack)
{
    const struct block *b = &d->block[block];
    put(d, "<tr><th scope=\"row\">");
    if (corruption != NONE)
        put_label(d, b->corruptions.v[corruption]);
    else if (attack != NONE)
        put_label(d, b->attacks.v[attack]);
    else
        put(d, "<b>all corruptions</b>");
    put(d, "</th>");
    model_head(d, model);
    for (int column = 0; column < 4; column++) {
        put(d, "<td class=\"n\">");
        for (int k = 0; k < b->values.n; k++) {
            const struct result_value *v = b->value_of[k], *c, *a;
            int n;
            c = doc_value(d, block, model, NONE, NONE, NONE, v->name);
            a = attack == NONE ? NULL
                               : doc_value(d, block, model, NONE, NONE, attack,
                                           v->name);
            double clean = c ? c->value : NAN;
            double x = attack == NONE
                           ? doc_mean(d, block, model, corruption, v->name, &n)
                           : a ? a->value : NAN;
            if (column >= 2) {
                drop_cell(d, k, v, clean, x, column == 3);
                continue;
            }
            double shown = column ? x : clean;
            putf(d, "<span class=\"v v%d\" data-v=\"%.17g\">", k,
                 isfinite(shown) ? shown : -1e300);
            put_number(d, v->unit, shown);
            put(d, "</span>");
        }
        put(d, "</td>");
    }
    put(d, "</tr>");
}

static void drop_table(struct doc *d, int block)
{
    const struct block *b = &d->block[block];
    put(d, "<h3>Change from clean</h3><div class=\"scroll\">"
           "<table class=\"sort\"><thead><tr>");
    head_cell(d, "condition", NULL);
    head_cell(d, "model", NULL);
    head_cell(d, "clean", "n");
    head_cell(d, "mean over severities", "n");
    head_cell(d, "absolute", "n");
    head_cell(d, "relative", "n");
    put(d, "</tr></thead><tbody>");
    for (int c = b->corruptions.n > 1 ? NONE : 0; c < b->corruptions.n; c++)
        for (int m = 0; m < b->n_models; m++)
            drop_row(d, block, b->models[m], c, NONE);
    for (int a = 0; a < b->attacks.n; a++)
        for (int m = 0; m < b->n_models; m++)
            drop_row(d, block, b->models[m], NONE, a);
    put(d, "</tbody></table></div>");
}

void part_tables(struct doc *d, int block)
{
    const struct block *b = &d->block[block];
    bool any = false;
    if (!b->values.n)
        return;
    for (size_t i = 0; i < d->n_cells; i++)
        any |= d->cell[i].block == block && combined(&d->cell[i]);
    put(d, "<h2>Numbers</h2>");
    if (b->corruptions.n)
        severity_table(d, block);
    if (b->attacks.n || any || !b->corruptions.n)
        attack_table(d, block);
    if (b->extra.n)
        extra_table(d, block);
    if (b->corruptions.n || b->attacks.n)
        drop_table(d, block);
}

/* ---- every cell, and where it came from ------------------------------- */

void part_all_cells(struct doc *d)
{
    struct labels axes = { 0 }, values = { 0 };
    for (size_t i = 0; i < d->n_cells; i++) {
        const struct result_cell *c = &d->cell[i].c;
        for (size_t k = 0; k < c->n_axes; k++)
            labels_add(&axes, d->arena, c->axis[k].key);
        for (size_t k = 0; k < c->n_values; k++)
            labels_add(&values, d->arena, c->value[k].name);
    }
    putf(d, "<section id=\"cells\"><h2>All cells</h2><details><summary>%zu cells "
            "with every axis and value</summary><div class=\"scroll\">"
            "<table class=\"sort filter\"><thead><tr>", d->n_cells);
    for (int k = 0; k < axes.n; k++)
        head_cell(d, axes.v[k], NULL);
    for (int k = 0; k < values.n; k++)
        head_cell(d, values.v[k], "n");
    head_cell(d, "seconds", "n");
    put(d, "</tr></thead><tbody>");
    for (size_t i = 0; i < d->n_cells; i++) {
        const struct result_cell *c = &d->cell[i].c;
        put(d, "<tr>");
        for (int k = 0; k < axes.n; k++) {
            const char *x = result_axis(c, axes.v[k]);
            put(d, "<td>");
            put_text(d, x ? x : "");
            put(d, "</td>");
        }
        for (int k = 0; k < values.n; k++) {
            const struct result_value *v = NULL;
            for (size_t j = 0; j < c->n_values && !v; j++)
                if (!strcmp(c->value[j].name, values.v[k]))
                    v = &c->value[j];
            if (!v || !isfinite(v->value)) {
                put(d, "<td class=\"n\" data-v=\"-1e300\">–</td>");
                continue;
            }
            putf(d, "<td class=\"n\" data-v=\"%.17g\">", v->value);
            putf(d, strcmp(v->unit, "%") ? "%.4g" : "%.2f", v->value);
            put_interval(d, v);
            put(d, "</td>");
        }
        putf(d, "<td class=\"n\" data-v=\"%.6g\">%.2f</td></tr>", c->seconds,
             c->seconds);
    }
    put(d, "</tbody></table></div></details></section>");
    free(axes.v);
    free(values.v);
}

static const char *provenance_of(const struct result_cell *c, const char *key)
{
    for (size_t i = 0; i < c->n_provenance; i++)
        if (!strcmp(c->provenance[i].key, key))
            return c->provenance[i].value;
    return NULL;
}

/* The value of key if all cells that have any provenance agree on it. */
static const char *shared_by_all(const struct doc *d, const char *key)
{
    const char *x = NULL;
    for (size_t i = 0; i < d->n_cells; i++) {
        const char *y = provenance_of(&d->cell[i].c, key);
        if (!d->cell[i].c.n_provenance)
            continue;
        if (!y || (x && strcmp(x, y)))
            return NULL;
        x = y;
    }
    return x;
}

void part_provenance(struct doc *d)
{
    struct labels same = { 0 }, vary = { 0 };
    for (size_t i = 0; i < d->n_cells; i++) {
        const struct result_cell *c = &d->cell[i].c;
        for (size_t k = 0; k < c->n_provenance; k++)
            labels_add(shared_by_all(d, c->provenance[k].key) ? &same : &vary,
                       d->arena, c->provenance[k].key);
    }
    put(d, "<section id=\"provenance\"><h2>Provenance</h2>");
    if (same.n) {
        put(d, "<h3>Shared by all cells</h3><div class=\"scroll\"><table><tbody>");
        for (int k = 0; k < same.n; k++) {
            put(d, "<tr><th scope=\"row\">");
            put_label(d, same.v[k]);
            put(d, "</th><td class=\"hash\">");
            put_text(d, shared_by_all(d, same.v[k]));
            put(d, "</td></tr>");
        }
        put(d, "</tbody></table></div>");
    }
    put(d, "<details><summary>Cell by cell</summary><div class=\"scroll\">"
           "<table class=\"sort filter\"><thead><tr>");
    head_cell(d, "cell", NULL);
    for (int k = 0; k < vary.n; k++)
        head_cell(d, vary.v[k], NULL);
    head_cell(d, "hash", NULL);
    put(d, "</tr></thead><tbody>");
    for (size_t i = 0; i < d->n_cells; i++) {
        const struct result_cell *c = &d->cell[i].c;
        char hex[33];
        hash_hex(c->hash, hex);
        put(d, "<tr><th scope=\"row\">");
        for (size_t k = 0; k < c->n_axes; k++) {
            put(d, k ? " · " : "");
            put_text(d, c->axis[k].value);
        }
        put(d, "</th>");
        for (int k = 0; k < vary.n; k++) {
            const char *x = provenance_of(c, vary.v[k]);
            put(d, "<td class=\"hash\">");
            put_text(d, x ? x : "");
            put(d, "</td>");
        }
        putf(d, "<td class=\"hash\">%s</td></tr>", hex);
    }
    put(d, "</tbody></table></div></details></section>");
    free(same.v);
    free(vary.v);
}
