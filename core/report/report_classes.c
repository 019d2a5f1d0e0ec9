/* SPDX-License-Identifier: MIT */
/*
 * Classes of a block: how many of each were recognised on clean inputs and
 * what the others were taken for, from the cells' samples.
 */
#include "config.h"

#include "report/report_doc.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_ROWS = 200 };

/* What one model did to one class. */
struct tally {
    double images, hits;
    uint32_t wrong, taken; /* taken for class `wrong` so often */
};

struct classes {
    const char **name;
    size_t n;
    struct tally *tally; /* n_models * n */
    int n_models;
};

struct mistake {
    uint32_t label, predicted;
};

static int by_pair(const void *a, const void *b)
{
    const struct mistake *x = a, *y = b;
    if (x->label != y->label)
        return x->label < y->label ? -1 : 1;
    return x->predicted < y->predicted ? -1 : x->predicted > y->predicted;
}

static const struct result_artefact *names_of(const struct result_cell *c)
{
    for (size_t i = 0; i < c->n_artefacts; i++)
        if (!strcmp(c->artefact[i].name, "classes") && c->artefact[i].n)
            return &c->artefact[i];
    return NULL;
}

/* The clean cell of a model, or NULL. */
static const struct doc_cell *clean_cell(const struct doc *d, int block, int model)
{
    const struct doc_cell *found = NULL;
    for (size_t i = 0; i < d->n_cells; i++) {
        const struct doc_cell *c = &d->cell[i];
        if (c->block == block && c->model == model && c->corruption == NONE &&
            c->attack == NONE)
            found = c;
    }
    return found;
}

static void read_names(struct doc *d, struct classes *c,
                       const struct result_artefact *f)
{
    char *text = arena_alloc(d->arena, f->n + 1), *save = NULL;
    memcpy(text, f->data, f->n);
    for (char *p = strtok_r(text, "\n", &save); p; p = strtok_r(NULL, "\n", &save)) {
        c->name = xrealloc(c->name, (c->n + 1) * sizeof *c->name);
        c->name[c->n++] = p;
    }
}

static uint32_t column(const struct result_samples *s, const char *name)
{
    uint32_t c = 0;
    while (c < s->n_columns && strcmp(s->columns[c], name))
        c++;
    return c;
}

static void count_mistakes(struct tally *t, struct mistake *m, size_t n)
{
    qsort(m, n, sizeof *m, by_pair);
    for (size_t i = 0, k; i < n; i = k) {
        for (k = i; k < n && !by_pair(&m[i], &m[k]);)
            k++;
        struct tally *c = &t[m[i].label];
        if (k - i > c->taken) {
            c->taken = (uint32_t)(k - i);
            c->wrong = m[i].predicted;
        }
    }
}

static bool tally_samples(const struct classes *c, struct tally *t,
                          const struct result_samples *s)
{
    uint32_t label = column(s, "label"), predicted = column(s, "predicted");
    uint32_t hit = column(s, "hit@1");
    size_t wrong = 0;
    if (label == s->n_columns || predicted == s->n_columns)
        return false;
    struct mistake *m = xcalloc(s->n_rows + 1, sizeof *m);
    for (uint32_t r = 0; r < s->n_rows; r++) {
        const double *row = s->value + (size_t)r * s->n_columns;
        double l = row[label], p = row[predicted];
        if (!(l >= 0 && l < (double)c->n && p >= 0 && p < (double)c->n))
            continue;
        t[(size_t)l].images++;
        t[(size_t)l].hits += hit < s->n_columns && !isnan(row[hit]) ? row[hit] : l == p;
        if (l != p)
            m[wrong++] = (struct mistake) { (uint32_t)l, (uint32_t)p };
    }
    count_mistakes(t, m, wrong);
    free(m);
    return true;
}

/* Fills c from the clean cells of a block; false when there are none such. */
static bool read_block(struct doc *d, int block, struct classes *c)
{
    const struct block *b = &d->block[block];
    bool any = false;
    c->n_models = b->n_models;
    for (int i = 0; i < b->n_models; i++) {
        const struct doc_cell *cell = clean_cell(d, block, b->models[i]);
        const struct result_artefact *names = cell ? names_of(&cell->c) : NULL;
        struct result_samples s = { 0 };
        if (!names)
            continue;
        if (!c->n) {
            read_names(d, c, names);
            c->tally = xcalloc(c->n * (size_t)b->n_models + 1, sizeof *c->tally);
        }
        if (results_samples(d->source, cell->c.hash, &s, NULL) >= 0 && s.n_rows)
            any |= tally_samples(c, c->tally + (size_t)i * c->n, &s);
        results_samples_free(&s);
    }
    return any;
}

/* ---- the table ---- */

struct ranked {
    double accuracy;
    uint32_t at;
};

static int worst_first(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;
    if (x->accuracy != y->accuracy)
        return x->accuracy < y->accuracy ? -1 : 1;
    return x->at < y->at ? -1 : 1;
}

/* Classes with images, by their accuracy over the models. */
static struct ranked *rank_classes(const struct classes *c, size_t *n)
{
    struct ranked *r = xcalloc(c->n + 1, sizeof *r);
    *n = 0;
    for (uint32_t k = 0; k < c->n; k++) {
        double images = 0, hits = 0;
        for (int m = 0; m < c->n_models; m++) {
            images += c->tally[(size_t)m * c->n + k].images;
            hits += c->tally[(size_t)m * c->n + k].hits;
        }
        if (images > 0)
            r[(*n)++] = (struct ranked) { hits / images, k };
    }
    qsort(r, *n, sizeof *r, worst_first);
    return r;
}

static void model_cells(struct doc *d, const struct classes *c, const struct tally *t)
{
    if (!(t->images > 0)) {
        put(d, "<td class=\"n\" data-v=\"-1e300\">–</td><td></td>");
        return;
    }
    double x = 100 * t->hits / t->images;
    putf(d, "<td class=\"n\" data-v=\"%.17g\">", x);
    put_number(d, "%", x);
    put(d, "</td><td>");
    if (t->taken) {
        put_text(d, c->name[t->wrong]);
        putf(d, " <small>%u</small>", t->taken);
    }
    put(d, "</td>");
}

static void class_row(struct doc *d, const struct classes *c, uint32_t k)
{
    double images = 0;
    for (int m = 0; m < c->n_models; m++)
        images = fmax(images, c->tally[(size_t)m * c->n + k].images);
    put(d, "<tr><th scope=\"row\">");
    put_text(d, c->name[k]);
    putf(d, "</th><td class=\"n\">%.0f</td>", images);
    for (int m = 0; m < c->n_models; m++)
        model_cells(d, c, &c->tally[(size_t)m * c->n + k]);
    put(d, "</tr>");
}

static void class_head(struct doc *d, int block)
{
    const struct block *b = &d->block[block];
    put(d, "<div class=\"scroll\"><table class=\"sort filter\"><thead><tr>"
           "<th scope=\"col\">class</th><th scope=\"col\" class=\"n\">images</th>");
    for (int m = 0; m < b->n_models; m++) {
        put(d, "<th scope=\"col\" class=\"n\">");
        put_text(d, d->models.v[b->models[m]]);
        put(d, " %</th><th scope=\"col\">most often taken for</th>");
    }
    put(d, "</tr></thead><tbody>");
}

void part_classes(struct doc *d, int block)
{
    struct classes c = { 0 };
    if (read_block(d, block, &c)) {
        size_t n, never = 0, always = 0;
        struct ranked *r = rank_classes(&c, &n);
        for (size_t i = 0; i < n; i++) {
            never += r[i].accuracy == 0;
            always += r[i].accuracy == 1;
        }
        putf(d, "<h3>Classes</h3><p class=\"note\">Of %zu classes with images, on clean "
                "inputs and over the models, %zu were never recognised and %zu always.",
             n, never, always);
        if (n > MAX_ROWS)
            putf(d, " The %d worst are listed.", MAX_ROWS);
        put(d, "</p><details><summary>Class by class, the worst first</summary>");
        class_head(d, block);
        for (size_t i = 0; i < n && i < MAX_ROWS; i++)
            class_row(d, &c, r[i].at);
        put(d, "</tbody></table></div></details>");
        free(r);
    }
    free(c.name);
    free(c.tally);
}
