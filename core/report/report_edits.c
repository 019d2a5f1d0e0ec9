/* SPDX-License-Identifier: MIT */
/*
 * Texts before and after an attack, from the artefacts named "texts:attacked"
 * (application/json: [{"clean":"..","attacked":"..","words":1,
 * "characters":2,"tokens":1}, ..]): the first changed ones of each cell.
 */
#include "config.h"

#include "report/report_doc.h"

#include <jansson.h>
#include <string.h>

enum { SHOWN = 6 };

static const char *text_of(const json_t *row, const char *key)
{
    const char *s = json_string_value(json_object_get(row, key));
    return s ? s : "";
}

static void put_row(struct doc *d, const json_t *row)
{
    static const char *const counts[] = { "words", "characters", "tokens" };
    put(d, "<tr><td>");
    put_text(d, text_of(row, "clean"));
    put(d, "</td><td>");
    put_text(d, text_of(row, "attacked"));
    put(d, "</td>");
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        putf(d, "<td class=\"num\">%g</td>",
             json_number_value(json_object_get(row, counts[i])));
    put(d, "</tr>");
}

static void put_cell(struct doc *d, const struct doc_cell *c, const json_t *rows)
{
    const char *attack = result_axis(&c->c, "attack"), *model = d->models.v[c->model];
    const char *params = result_axis(&c->c, "attack_params");
    size_t changed = 0, i;
    json_t *row;
    json_array_foreach(rows, i, row)
        changed += strcmp(text_of(row, "clean"), text_of(row, "attacked")) != 0;
    put(d, "<h3>");
    put_label(d, attack ? attack : "attack");
    putf(d, "%s", params ? " (" : "");
    put_text(d, params ? params : "");
    putf(d, "%s%s", params ? ")" : "", *model ? ", " : "");
    put_text(d, model);
    putf(d, "</h3><p class=\"note\">%zu of %zu texts changed%s</p>", changed,
         json_array_size(rows), changed > SHOWN ? "; the first are" : changed ? ":" : ".");
    if (!changed)
        return;
    put(d, "<div class=\"scroll\"><table><thead><tr><th>clean</th><th>attacked</th>"
           "<th>words</th><th>characters</th><th>tokens</th></tr></thead><tbody>");
    changed = 0;
    json_array_foreach(rows, i, row)
        if (changed < SHOWN && strcmp(text_of(row, "clean"), text_of(row, "attacked"))) {
            put_row(d, row);
            changed++;
        }
    put(d, "</tbody></table></div>");
}

void part_texts(struct doc *d)
{
    bool any = false;
    for (size_t i = 0; i < d->n_cells; i++)
        for (size_t k = 0; k < d->cell[i].c.n_artefacts; k++) {
            const struct result_artefact *f = &d->cell[i].c.artefact[k];
            if (strcmp(f->name, "texts:attacked") || !f->data)
                continue;
            json_t *rows = json_loadb(f->data, f->n, 0, NULL);
            if (json_is_array(rows)) {
                if (!any)
                    put(d, "<section id=\"texts\"><h2>Attacked texts</h2>");
                any = true;
                put_cell(d, &d->cell[i], rows);
            }
            json_decref(rows);
        }
    if (any)
        put(d, "</section>");
}
