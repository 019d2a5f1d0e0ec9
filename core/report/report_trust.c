/* SPDX-License-Identifier: MIT */
/* Whether a block's attacked cells can be believed, as a list. */
#include "config.h"

#include "report/report_doc.h"
#include "results/trust.h"

void part_trust(struct doc *d, int block)
{
    struct trust *t = trust_new();
    struct mohs_error err = MOHS_ERROR_INIT;
    const struct trust_finding *f;
    size_t n = 0;
    for (size_t i = 0; i < d->n_cells; i++)
        if (d->cell[i].block == block)
            trust_take(t, &d->cell[i].c, &err);
    if (trust_make(t, NULL, &f, &n, &err) >= 0 && n) {
        put(d, "<h3>Can the attacks be believed?</h3><div class=\"scroll\"><table>"
               "<thead><tr><th scope=\"col\">model</th><th scope=\"col\">check</th>"
               "<th scope=\"col\">found</th></tr></thead><tbody>");
        for (size_t i = 0; i < n; i++) {
            put(d, "<tr><th scope=\"row\">");
            put_text(d, f[i].model);
            put(d, "</th><td>");
            put_text(d, f[i].check);
            put(d, f[i].good ? "</td><td>" : "</td><td><b>fails:</b> ");
            put_text(d, f[i].text);
            put(d, "</td></tr>");
        }
        put(d, "</tbody></table></div><p class=\"note\">Differences below a point "
               "are no finding; <code>mohs results trust</code> also gives the worst "
               "case over attacks.</p>");
    }
    trust_free(t);
}
