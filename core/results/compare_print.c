/* SPDX-License-Identifier: MIT */
/* What `mohs results compare` prints. */
#include "config.h"

#include "results/compare.h"
#include "results/results_store.h"

#include <string.h>

static void as_text(const struct compare_row *row, size_t n, const char *against,
                    struct str *b)
{
    static const char *const head[] = { "arm", "condition", "cells", "seeds", "score",
                                        "control", "difference", "95 %" };
    for (size_t i = 0, end; i < n; i = end) {
        struct text_table t;
        for (end = i; end < n && !strcmp(row[end].set, row[i].set);)
            end++;
        str_addf(b, "%s%s, against %s\n\n", i ? "\n" : "", row[i].set, against);
        table_init(&t, sizeof head / sizeof *head, 2);
        for (size_t k = 0; k < sizeof head / sizeof *head; k++)
            table_add(&t, "%s", head[k]);
        for (size_t k = i; k < end; k++) {
            table_add(&t, "%s", row[k].arm);
            table_add(&t, "%s", row[k].condition);
            table_add(&t, "%u", row[k].cells);
            table_add(&t, "%u", row[k].seeds);
            table_add(&t, "%.1f", row[k].mine);
            table_add(&t, "%.1f", row[k].control);
            table_add(&t, "%+.1f", row[k].difference);
            table_add(&t, "[%+.1f, %+.1f]", row[k].low, row[k].high);
        }
        table_end(&t, terminal_width(), b);
    }
}

static void as_json(const struct compare_row *row, size_t n, const char *against,
                    struct str *b)
{
    str_add(b, "[");
    for (size_t i = 0; i < n; i++) {
        str_add(b, i ? ",\n{" : "\n{");
        json_field_text(b, "set", row[i].set);
        json_field_text(b, "arm", row[i].arm);
        json_field_text(b, "against", against);
        json_field_text(b, "condition", row[i].condition);
        str_addf(b, ",\"cells\":%u,\"seeds\":%u", row[i].cells, row[i].seeds);
        json_field(b, "score", row[i].mine);
        json_field(b, "control", row[i].control);
        json_field(b, "difference", row[i].difference);
        json_field(b, "low", row[i].low);
        json_field(b, "high", row[i].high);
        str_add(b, "}");
    }
    str_add(b, "]\n");
}

mohs_status results_compared(const char *path, const struct compare_options *o,
                             mohs_status (*each)(void *user, const struct compare_row *row,
                                                 size_t n, struct mohs_error *err),
                             void *user, struct mohs_error *err)
{
    struct results *r = NULL;
    struct compare *c = compare_new();
    const struct compare_row *row = NULL;
    size_t n = 0;
    mohs_status st;
    OUT_IF_ERR(results_open_readonly(path, &r, err));
    OUT_IF_ERR(compare_make(c, r, o, &row, &n, err));
    st = each(user, row, n, err);
out:
    compare_free(c);
    results_close(r);
    return st;
}

struct printing {
    const char *against;
    bool json;
};

static mohs_status print_rows(void *user, const struct compare_row *row, size_t n,
                              struct mohs_error *err)
{
    const struct printing *p = user;
    struct str b = { 0 };
    str_add(&b, "");
    (p->json ? as_json : as_text)(row, n, p->against, &b);
    mohs_status st = print_out(&b, err);
    str_free(&b);
    return st;
}

mohs_status results_compare(const char *path, const struct compare_options *o,
                            bool json, struct mohs_error *err)
{
    struct printing p = { o->against, json };
    return results_compared(path, o, print_rows, &p, err);
}
