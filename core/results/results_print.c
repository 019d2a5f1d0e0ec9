/* SPDX-License-Identifier: MIT */
/* What `mohs results list|show|export` prints: text tables, JSON, CSV. */
#include "config.h"

#include "results/results.h"
#include "results/results_store.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* ---- pieces ---------------------------------------------------------- */

void json_number(struct str *b, double x)
{
    if (isfinite(x))
        str_addf(b, "%.17g", x);
    else
        str_add(b, "null");
}

static void json_key(struct str *b, const char *key)
{
    bool first = b->n && (b->s[b->n - 1] == '{');
    str_addf(b, "%s\"%s\":", first ? "" : ",", key);
}

void json_field(struct str *b, const char *key, double x)
{
    json_key(b, key);
    json_number(b, x);
}

void json_field_text(struct str *b, const char *key, const char *value)
{
    json_key(b, key);
    str_add_json(b, value);
}

void json_pairs(struct str *b, const struct result_pair *p, size_t n)
{
    str_add(b, "{");
    for (size_t i = 0; i < n; i++) {
        str_add(b, i ? "," : "");
        str_add_json(b, p[i].key);
        str_add(b, ":");
        str_add_json(b, p[i].value);
    }
    str_add(b, "}");
}

mohs_status print_out(const struct str *b, struct mohs_error *err)
{
    if ((b->n && fwrite(b->s, 1, b->n, stdout) != b->n) || fflush(stdout))
        return err_errno(err, "standard output");
    return MOHS_OK;
}

size_t terminal_width(void)
{
    struct winsize w;
    if (!isatty(STDOUT_FILENO) || ioctl(STDOUT_FILENO, TIOCGWINSZ, &w))
        return 0;
    return w.ws_col;
}

void table_init(struct text_table *t, size_t n_columns, size_t n_fixed)
{
    *t = (struct text_table) { .arena = arena_new(), .n_columns = n_columns,
                               .n_fixed = n_fixed };
}

void table_add(struct text_table *t, const char *fmt, ...)
{
    struct str b = { 0 };
    char small[512];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(small, sizeof small, fmt, ap);
    va_end(ap);
    str_addn(&b, small, n < (int)sizeof small ? (size_t)n : sizeof small - 1);
    for (size_t i = 0; i < b.n; i++) // a name may hold anything
        if ((unsigned char)b.s[i] < 0x20 || b.s[i] == 0x7f)
            b.s[i] = ' ';
    if (t->n == t->cap) {
        t->cap = t->cap ? 2 * t->cap : 64;
        t->cell = xrealloc(t->cell, t->cap * sizeof *t->cell);
    }
    t->cell[t->n++] = results_text(t->arena, b.s, b.n);
    str_free(&b);
}

static size_t text_width(const char *s)
{
    size_t n = 0;
    for (; *s; s++)
        n += ((unsigned char)*s & 0xC0) != 0x80;
    return n;
}

static bool numeric_column(const struct text_table *t, size_t c)
{
    for (size_t i = t->n_columns + c; i < t->n; i += t->n_columns) {
        const char *s = t->cell[i];
        if (*s && !strchr("+-0123456789", *s))
            return false;
    }
    return true;
}

static void table_block(const struct text_table *t, const size_t *width,
                        const size_t *column, size_t n, struct str *out)
{
    for (size_t row = 0; row * t->n_columns < t->n; row++) {
        size_t line = out->n;
        for (size_t k = 0; k < n; k++) {
            const char *s = t->cell[row * t->n_columns + column[k]];
            int pad = (int)(width[column[k]] - text_width(s));
            bool right = numeric_column(t, column[k]);
            str_addf(out, "%s%*s%s%*s", k ? "  " : "", right ? pad : 0, "", s,
                     right ? 0 : pad, "");
        }
        while (out->n > line && out->s[out->n - 1] == ' ')
            out->s[--out->n] = 0;
        str_add(out, "\n");
    }
}

void table_end(struct text_table *t, size_t width, struct str *out)
{
    size_t *w = xcalloc(t->n_columns + 1, sizeof *w), fixed = 0;
    size_t *col = xcalloc(t->n_columns + 1, sizeof *col);
    for (size_t i = 0; i < t->n; i++) {
        size_t k = text_width(t->cell[i]);
        if (k > w[i % t->n_columns])
            w[i % t->n_columns] = k;
    }
    for (size_t c = 0; c < t->n_fixed; c++) {
        col[c] = c;
        fixed += w[c] + 2;
    }
    for (size_t c = t->n_fixed; c < t->n_columns || c == t->n_fixed;) {
        size_t n = t->n_fixed, used = fixed;
        while (c < t->n_columns &&
               (n == t->n_fixed || !width || used + w[c] <= width)) {
            used += w[c] + 2;
            col[n++] = c++;
        }
        table_block(t, w, col, n, out);
        if (c >= t->n_columns)
            break;
        str_add(out, "\n");
    }
    free(w);
    free(col);
    free(t->cell);
    arena_free(t->arena);
    *t = (struct text_table) { 0 };
}

/* ---- list ------------------------------------------------------------ */

struct printing {
    struct str out;
    struct text_table table;
    bool first;
};

static mohs_status json_run(void *user, const struct result_run *x,
                            struct mohs_error *err)
{
    struct printing *p = user;
    struct str *b = &p->out;
    (void)err;
    str_addf(b, "%s\n{\"id\":%" PRId64 ",\"recipe\":", p->first ? "" : ",", x->id);
    p->first = false;
    str_add_json(b, x->recipe_name);
    str_add(b, ",\"args\":");
    str_add_json(b, x->args_json);
    // As text: JSON readers lose the low bits of 64-bit numbers.
    str_addf(b, ",\"seed\":\"%" PRIu64 "\",\"state\":", x->seed);
    str_add_json(b, x->state);
    str_add(b, ",\"started\":");
    str_add_json(b, x->started);
    str_addf(b, ",\"starts\":%" PRIu32 ",\"seconds\":", x->starts);
    json_number(b, x->seconds);
    str_addf(b, ",\"peak_bytes\":%" PRIu64 ",\"cells\":%" PRIu64 ",\"facts\":",
             x->peak_bytes, x->n_cells);
    json_pairs(b, x->facts, x->n_facts);
    str_add(b, "}");
    return MOHS_OK;
}

static mohs_status text_run(void *user, const struct result_run *x,
                            struct mohs_error *err)
{
    struct text_table *t = &((struct printing *)user)->table;
    (void)err;
    table_add(t, "%" PRId64, x->id);
    table_add(t, "%s", x->recipe_name);
    table_add(t, "%s", x->state);
    table_add(t, "%s", x->started);
    table_add(t, "%" PRIu64, x->seed);
    table_add(t, "%" PRIu64, x->n_cells);
    table_add(t, "%.1f", x->seconds);
    table_add(t, "%.0f", (double)x->peak_bytes / 1048576);
    table_add(t, "%s", strcmp(x->args_json, "{}") ? x->args_json : "");
    return MOHS_OK;
}

static void json_open(struct printing *p, const char *path)
{
    str_add(&p->out, "{\"format\":\"mohs-results/1\",\"file\":");
    str_add_json(&p->out, path);
}

static mohs_status json_runs(struct results *r, struct printing *p,
                             struct mohs_error *err)
{
    str_add(&p->out, ",\"runs\":[");
    p->first = true;
    RET_IF_ERR(results_each_run(r, json_run, p, err));
    str_add(&p->out, "]");
    return MOHS_OK;
}

mohs_status results_list(const char *path, bool json, struct mohs_error *err)
{
    struct results *r = NULL;
    struct printing p = { .first = true };
    mohs_status st = MOHS_OK;
    RET_IF_ERR(results_open_readonly(path, &r, err));
    if (json) {
        json_open(&p, path);
        OUT_IF_ERR(json_runs(r, &p, err));
        str_add(&p.out, "}\n");
    } else {
        static const char *const head[] = { "run",   "recipe", "state",
                                            "started", "seed", "cells",
                                            "seconds", "peak MiB", "arguments" };
        table_init(&p.table, 9, 2);
        for (int i = 0; i < 9; i++)
            table_add(&p.table, "%s", head[i]);
        st = results_each_run(r, text_run, &p, err);
        table_end(&p.table, terminal_width(), &p.out);
        if (st < 0)
            goto out;
    }
    st = print_out(&p.out, err);
out:
    str_free(&p.out);
    results_close(r);
    return st;
}

/* ---- cells as JSON --------------------------------------------------- */

static void json_cell(struct str *b, const struct result_cell *c, bool all)
{
    char hex[33];
    hash_hex(c->hash, hex);
    str_addf(b, "{\"hash\":\"%s\",\"axes\":", hex);
    json_pairs(b, c->axis, c->n_axes);
    str_add(b, ",\"seconds\":");
    json_number(b, c->seconds);
    str_add(b, ",\"values\":[");
    for (size_t i = 0; i < c->n_values; i++) {
        const struct result_value *v = &c->value[i];
        str_add(b, i ? ",{\"name\":" : "{\"name\":");
        str_add_json(b, v->name);
        str_add(b, ",\"value\":");
        json_number(b, v->value);
        str_add(b, ",\"low\":");
        json_number(b, v->low);
        str_add(b, ",\"high\":");
        json_number(b, v->high);
        str_add(b, ",\"unit\":");
        str_add_json(b, v->unit);
        str_addf(b, ",\"direction\":%" PRId32 "}", v->direction);
    }
    str_add(b, "]");
    if (all) {
        str_add(b, ",\"provenance\":");
        json_pairs(b, c->provenance, c->n_provenance);
        str_add(b, ",\"artefacts\":[");
        for (size_t i = 0; i < c->n_artefacts; i++) {
            str_add(b, i ? ",{\"name\":" : "{\"name\":");
            str_add_json(b, c->artefact[i].name);
            str_add(b, ",\"media_type\":");
            str_add_json(b, c->artefact[i].media_type);
            str_addf(b, ",\"bytes\":%zu}", c->artefact[i].n);
        }
        str_add(b, "]");
    }
    str_add(b, "}");
}

static mohs_status print_json(struct results *r, const char *path,
                              const struct cell_list *l, bool all,
                              struct mohs_error *err)
{
    struct printing p = { .first = true };
    mohs_status st = MOHS_OK;
    json_open(&p, path);
    if (all)
        OUT_IF_ERR(json_runs(r, &p, err));
    str_add(&p.out, ",\"cells\":[");
    for (size_t i = 0; i < l->n; i++) {
        str_add(&p.out, i ? ",\n" : "\n");
        json_cell(&p.out, &l->v[i], all);
    }
    str_add(&p.out, "]}\n");
    st = print_out(&p.out, err);
out:
    str_free(&p.out);
    return st;
}

/* ---- show ------------------------------------------------------------ */

/* Axis keys of some cells in order of first appearance. */
struct keys {
    const char **v;
    size_t n;
};

static void keys_add(struct keys *k, const char *key)
{
    for (size_t i = 0; i < k->n; i++)
        if (!strcmp(k->v[i], key))
            return;
    k->v = xrealloc(k->v, (k->n + 1) * sizeof *k->v);
    k->v[k->n++] = key;
}

static bool same_values(const struct result_cell *a, const struct result_cell *b)
{
    if (a->n_values != b->n_values)
        return false;
    for (size_t i = 0; i < a->n_values; i++)
        if (strcmp(a->value[i].name, b->value[i].name))
            return false;
    return true;
}

static void show_value(struct text_table *t, const struct result_value *v)
{
    const char *f = strcmp(v->unit, "%") ? "%.4g" : "%.2f";
    char x[40], lo[40], hi[40];
    if (isnan(v->value)) {
        table_add(t, "-");
        return;
    }
    snprintf(x, sizeof x, f, v->value);
    snprintf(lo, sizeof lo, f, v->low);
    snprintf(hi, sizeof hi, f, v->high);
    if (isnan(v->low) || isnan(v->high))
        table_add(t, "%s", x);
    else
        table_add(t, "%s [%s, %s]", x, lo, hi);
}

/* A table of the cells that have the same values as the first. */
static void show_group(const struct cell_list *l, bool *done, size_t first,
                       struct str *out)
{
    const struct result_cell *head = &l->v[first];
    struct keys all = { 0 }, vary = { 0 };
    struct text_table t;
    for (size_t i = first; i < l->n; i++)
        if (!done[i] && same_values(head, &l->v[i]))
            for (size_t k = 0; k < l->v[i].n_axes; k++)
                keys_add(&all, l->v[i].axis[k].key);
    for (size_t k = 0; k < all.n; k++) {
        const char *x = results_axis(head, all.v[k]);
        bool same = x != NULL;
        for (size_t i = first; i < l->n && same; i++) {
            const char *y = results_axis(&l->v[i], all.v[k]);
            if (!done[i] && same_values(head, &l->v[i]))
                same = y && !strcmp(x, y);
        }
        if (same)
            str_addf(out, "%s: %s\n", all.v[k], x);
        else
            keys_add(&vary, all.v[k]);
    }
    table_init(&t, vary.n + head->n_values, vary.n);
    for (size_t k = 0; k < vary.n; k++)
        table_add(&t, "%s", vary.v[k]);
    for (size_t k = 0; k < head->n_values; k++)
        table_add(&t, "%s%s%s", head->value[k].name,
                  *head->value[k].unit ? " " : "", head->value[k].unit);
    for (size_t i = first; i < l->n; i++) {
        if (done[i] || !same_values(head, &l->v[i]))
            continue;
        done[i] = true;
        for (size_t k = 0; k < vary.n; k++) {
            const char *x = results_axis(&l->v[i], vary.v[k]);
            table_add(&t, "%s", x ? x : "-");
        }
        for (size_t k = 0; k < l->v[i].n_values; k++)
            show_value(&t, &l->v[i].value[k]);
    }
    table_end(&t, terminal_width(), out);
    free(all.v);
    free(vary.v);
}

/* The threat models of the attacks, each once. */
static void show_threats(const struct cell_list *l, struct str *out)
{
    struct keys seen = { 0 };
    for (size_t i = 0; i < l->n; i++) {
        const struct result_cell *c = &l->v[i];
        const char *attack = results_axis(c, "attack"), *prefix = "threat_";
        struct str s = { 0 };
        for (size_t k = 0; attack && k < c->n_provenance; k++) {
            const struct result_pair *p = &c->provenance[k];
            if (!strncmp(p->key, prefix, strlen(prefix)))
                str_addf(&s, "%s %s %s", s.n ? ";" : "", p->key + strlen(prefix), p->value);
        }
        size_t before = seen.n;
        char *line = s.n ? xasprintf("threat model of %s:%s", attack, s.s) : NULL;
        str_free(&s);
        if (line)
            keys_add(&seen, line);
        if (seen.n == before) {
            free(line);
            continue;
        }
        str_addf(out, "%s%s\n", before ? "" : "\n", line);
    }
    for (size_t i = 0; i < seen.n; i++)
        free((void *)seen.v[i]);
    free(seen.v);
}

static mohs_status show_text(const struct cell_list *l, struct mohs_error *err)
{
    struct str out = { 0 };
    bool *done = xcalloc(l->n + 1, sizeof *done);
    for (size_t i = 0; i < l->n; i++) {
        if (done[i])
            continue;
        str_add(&out, out.n ? "\n" : "");
        show_group(l, done, i, &out);
    }
    show_threats(l, &out);
    if (!l->n)
        str_add(&out, "no cells\n");
    mohs_status st = print_out(&out, err);
    str_free(&out);
    free(done);
    return st;
}

/* ---- export ---------------------------------------------------------- */

static void csv_field(struct str *b, const char *s)
{
    if (!strpbrk(s, ",\"\r\n")) {
        str_add(b, s);
        return;
    }
    str_add(b, "\"");
    for (; *s; s++)
        str_addn(b, *s == '"' ? "\"\"" : s, *s == '"' ? 2 : 1);
    str_add(b, "\"");
}

static void csv_number(struct str *b, double x)
{
    str_add(b, ",");
    if (!isnan(x))
        str_addf(b, "%.17g", x);
}

/* One line a value: hash, every axis of the file, name, value, low, high,
 * unit, direction, seconds. */
static mohs_status print_csv(const struct cell_list *l, struct mohs_error *err)
{
    struct str b = { 0 };
    struct keys k = { 0 };
    for (size_t i = 0; i < l->n; i++)
        for (size_t j = 0; j < l->v[i].n_axes; j++)
            keys_add(&k, l->v[i].axis[j].key);
    str_add(&b, "cell");
    for (size_t j = 0; j < k.n; j++) {
        str_add(&b, ",");
        csv_field(&b, k.v[j]);
    }
    str_add(&b, ",name,value,low,high,unit,direction,seconds\n");
    for (size_t i = 0; i < l->n; i++) {
        const struct result_cell *c = &l->v[i];
        char hex[33];
        hash_hex(c->hash, hex);
        for (size_t v = 0; v < c->n_values; v++) {
            str_add(&b, hex);
            for (size_t j = 0; j < k.n; j++) {
                const char *x = results_axis(c, k.v[j]);
                str_add(&b, ",");
                csv_field(&b, x ? x : "");
            }
            str_add(&b, ",");
            csv_field(&b, c->value[v].name);
            csv_number(&b, c->value[v].value);
            csv_number(&b, c->value[v].low);
            csv_number(&b, c->value[v].high);
            str_add(&b, ",");
            csv_field(&b, c->value[v].unit);
            str_addf(&b, ",%" PRId32 ",%.6g\n", c->value[v].direction, c->seconds);
        }
    }
    mohs_status st = print_out(&b, err);
    free(k.v);
    str_free(&b);
    return st;
}

static mohs_status print_cells(const char *path, bool json, bool all,
                               struct mohs_error *err)
{
    struct results *r = NULL;
    struct cell_list l = { 0 };
    mohs_status st = MOHS_OK;
    RET_IF_ERR(results_open_readonly(path, &r, err));
    OUT_IF_ERR(results_load(r, &l, err));
    if (json)
        st = print_json(r, path, &l, all, err);
    else
        st = all ? print_csv(&l, err) : show_text(&l, err);
out:
    results_unload(&l);
    results_close(r);
    return st;
}

mohs_status results_show(const char *path, bool json, struct mohs_error *err)
{
    return print_cells(path, json, false, err);
}

mohs_status results_export(const char *path, bool json, struct mohs_error *err)
{
    return print_cells(path, json, true, err);
}
