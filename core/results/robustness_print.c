/* SPDX-License-Identifier: MIT */
/* What `mohs results robustness` prints. */
#include "config.h"

#include "results/results_store.h"
#include "results/robustness.h"

#include <math.h>
#include <string.h>

static void number(struct text_table *t, double x)
{
    if (isnan(x))
        table_add(t, "-");
    else
        table_add(t, "%.1f", x);
}

static void summary_table(const struct robustness_model *m, size_t n, struct str *b)
{
    static const char *const head[] = { "model", "clean", "corrupted", "drop", "mRR",
                                        "MMI", "mCE", "relative mCE", "over",
                                        "relative", "effective" };
    struct text_table t;
    table_init(&t, sizeof head / sizeof *head, 1);
    for (size_t i = 0; i < sizeof head / sizeof *head; i++)
        table_add(&t, "%s", head[i]);
    for (size_t i = 0; i < n; i++) {
        table_add(&t, "%s", m[i].model);
        number(&t, m[i].clean);
        number(&t, m[i].mean);
        number(&t, m[i].drop);
        number(&t, m[i].kept);
        number(&t, m[i].mmi);
        number(&t, m[i].mce);
        number(&t, m[i].relative_mce);
        table_add(&t, m[i].n_mce ? "%u" : "-", m[i].n_mce);
        number(&t, m[i].relative);
        number(&t, m[i].effective);
    }
    table_end(&t, terminal_width(), b);
}

static void corruption_table(const struct robustness_model *m, size_t n,
                             struct str *b)
{
    static const char *const head[] = { "corruption", "model", "1", "2", "3", "4",
                                        "5", "mean", "RR", "CE", "relative CE" };
    struct text_table t;
    table_init(&t, sizeof head / sizeof *head, 2);
    for (size_t i = 0; i < sizeof head / sizeof *head; i++)
        table_add(&t, "%s", head[i]);
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < m[i].n; k++) {
            const struct robustness_corruption *c = &m[i].corruption[k];
            table_add(&t, "%s", c->name);
            table_add(&t, "%s", m[i].model);
            for (int s = 0; s < SEVERITIES; s++)
                number(&t, c->score[s]);
            number(&t, c->mean);
            number(&t, c->kept);
            number(&t, c->ce);
            number(&t, c->relative_ce);
        }
    table_end(&t, terminal_width(), b);
}

static void as_json(const struct robustness_model *m, size_t n, struct str *b)
{
    str_add(b, "[");
    for (size_t i = 0; i < n; i++) {
        str_add(b, i ? ",\n{" : "{");
        json_field_text(b, "set", m[i].set);
        json_field_text(b, "model", m[i].model);
        json_field(b, "clean", m[i].clean);
        json_field(b, "corrupted", m[i].mean);
        json_field(b, "drop", m[i].drop);
        json_field(b, "mrr", m[i].kept);
        json_field(b, "mmi", m[i].mmi);
        json_field(b, "mce", m[i].mce);
        json_field(b, "relative_mce", m[i].relative_mce);
        str_addf(b, ",\"mce_over\":%u", m[i].n_mce);
        json_field(b, "relative", m[i].relative);
        json_field(b, "effective", m[i].effective);
        str_add(b, ",\"corruptions\":[");
        for (size_t k = 0; k < m[i].n; k++) {
            const struct robustness_corruption *c = &m[i].corruption[k];
            str_add(b, k ? ",{\"name\":" : "{\"name\":");
            str_add_json(b, c->name);
            str_add(b, ",\"score\":[");
            for (int s = 0; s < SEVERITIES; s++) {
                str_add(b, s ? "," : "");
                json_number(b, c->score[s]);
            }
            str_add(b, "]");
            json_field(b, "mean", c->mean);
            json_field(b, "rr", c->kept);
            json_field(b, "ce", c->ce);
            json_field(b, "relative_ce", c->relative_ce);
            str_add(b, "}");
        }
        str_add(b, "]}");
    }
    str_add(b, "]\n");
}

mohs_status results_robustness(const char *path,
                               const struct robustness_options *o, bool json,
                               struct mohs_error *err)
{
    struct results *r = NULL;
    struct robustness *rob = robustness_new();
    const struct robustness_model *m = NULL;
    struct str b = { 0 };
    size_t n = 0, end;
    mohs_status st;
    OUT_IF_ERR(results_open_readonly(path, &r, err));
    OUT_IF_ERR(results_each(r, robustness_take, rob, err));
    OUT_IF_ERR(robustness_make(rob, o, &m, &n, err));
    str_add(&b, "");
    if (json)
        as_json(m, n, &b);
    for (size_t i = 0; !json && i < n; i = end) {
        for (end = i + 1; end < n && !strcmp(m[end].set, m[i].set);)
            end++;
        str_addf(&b, "%s%s\n\n", i ? "\n" : "", m[i].set);
        summary_table(m + i, end - i, &b);
        str_add(&b, "\n");
        corruption_table(m + i, end - i, &b);
    }
    st = print_out(&b, err);
out:
    str_free(&b);
    robustness_free(rob);
    results_close(r);
    return st;
}
