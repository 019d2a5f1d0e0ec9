/* SPDX-License-Identifier: MIT */
/* What `mohs results trust` prints. */
#include "config.h"

#include "results/results_store.h"
#include "results/trust.h"

#include <string.h>

static bool new_head(const char *set, const char *model, const char **was,
                     const char **was_model)
{
    bool is = !*was || strcmp(*was, set) || strcmp(*was_model, model);
    *was = set;
    *was_model = model;
    return is;
}

static void as_text(const struct trust_finding *f, size_t n,
                    const struct trust_worst *w, size_t n_worst, struct str *b)
{
    const char *set = NULL, *model = NULL;
    for (size_t i = 0; i < n; i++) {
        if (new_head(f[i].set, f[i].model, &set, &model))
            str_addf(b, "%s%s, %s\n", i ? "\n" : "", f[i].model, f[i].set);
        str_addf(b, "  %-4s  %-9s %s\n", f[i].good ? "ok" : "FAIL", f[i].check,
                 f[i].text);
    }
    if (!n)
        str_add(b, "no attacked cells\n");
    if (!n_worst)
        return;
    str_add(b, "\nThe worst of all attacks on pixels, for each sample:\n\n");
    struct text_table t;
    static const char *const head[] = { "model", "samples", "norm", "eps", "attacks",
                                        "clean", "best attack", "worst case" };
    table_init(&t, sizeof head / sizeof *head, 3);
    for (size_t i = 0; i < sizeof head / sizeof *head; i++)
        table_add(&t, "%s", head[i]);
    for (size_t i = 0; i < n_worst; i++) {
        table_add(&t, "%s", w[i].model);
        table_add(&t, "%s", w[i].column);
        table_add(&t, "%s", w[i].norm);
        table_add(&t, "%.4g", w[i].eps);
        table_add(&t, "%u", w[i].attacks);
        table_add(&t, "%.1f", w[i].clean);
        table_add(&t, "%.1f", w[i].single);
        table_add(&t, "%.1f", w[i].worst);
    }
    table_end(&t, terminal_width(), b);
}

static void as_json(const struct trust_finding *f, size_t n,
                    const struct trust_worst *w, size_t n_worst, struct str *b)
{
    str_add(b, "{\"findings\":[");
    for (size_t i = 0; i < n; i++) {
        str_add(b, i ? ",\n{" : "\n{");
        json_field_text(b, "set", f[i].set);
        json_field_text(b, "model", f[i].model);
        json_field_text(b, "check", f[i].check);
        str_addf(b, ",\"good\":%s", f[i].good ? "true" : "false");
        json_field_text(b, "text", f[i].text);
        str_add(b, "}");
    }
    str_add(b, "],\"worst\":[");
    for (size_t i = 0; i < n_worst; i++) {
        str_add(b, i ? ",\n{" : "\n{");
        json_field_text(b, "set", w[i].set);
        json_field_text(b, "model", w[i].model);
        json_field_text(b, "column", w[i].column);
        json_field_text(b, "norm", w[i].norm);
        json_field(b, "eps", w[i].eps);
        str_addf(b, ",\"attacks\":%u", w[i].attacks);
        json_field(b, "clean", w[i].clean);
        json_field(b, "single", w[i].single);
        json_field(b, "worst", w[i].worst);
        str_add(b, "}");
    }
    str_add(b, "]}\n");
}

mohs_status results_trust(const char *path, const char *value, bool json,
                          struct mohs_error *err)
{
    struct results *r = NULL;
    struct trust *t = trust_new();
    const struct trust_finding *f = NULL;
    const struct trust_worst *w = NULL;
    struct str b = { 0 };
    size_t n = 0, n_worst = 0;
    bool bad = false;
    mohs_status st;
    OUT_IF_ERR(results_open_readonly(path, &r, err));
    OUT_IF_ERR(results_each(r, trust_take, t, err));
    OUT_IF_ERR(trust_make(t, value, &f, &n, err));
    OUT_IF_ERR(trust_worst(t, r, &w, &n_worst, err));
    str_add(&b, "");
    (json ? as_json : as_text)(f, n, w, n_worst, &b);
    st = print_out(&b, err);
    for (size_t i = 0; i < n; i++)
        bad |= !f[i].good;
    if (st >= 0 && bad)
        st = 1;
out:
    str_free(&b);
    trust_free(t);
    results_close(r);
    return st;
}
