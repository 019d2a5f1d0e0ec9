/* SPDX-License-Identifier: MIT */
/*
 * Pictures and training curves, from the artefacts of the cells.
 *
 * image/png, named "KIND:ITEM" (KIND: thumb, delta for a magnified
 * perturbation, ...): all pictures of an item stand together, ordered by
 * condition; equal pictures of several models are shown once.
 * application/json, named "curve:NAME": {"x":[...],"y":{"loss":[...], ...},
 * "xlabel":"step"}; curves of one name are drawn into one chart for each y.
 */
#include "config.h"

#include "report/report_doc.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_ITEMS = 12 };

struct picture {
    const struct doc_cell *cell;
    const struct result_artefact *file;
    const char *item, *group, *caption;
    struct hash128 hash;
    int order;
    size_t found;
    bool shared; /* the same for several models */
};

struct pictures {
    struct picture *v;
    size_t n;
    size_t left_out;
    struct labels items, groups; /* in the order of the file */
};

static bool is_png(const struct result_artefact *f)
{
    return f->n > 8 && !memcmp(f->data, "\x89PNG\r\n\x1a\n", 8);
}

static const char *kind_of(const char *name)
{
    if (!strncmp(name, "delta:", 6))
        return "perturbation, magnified";
    return NULL;
}

static void add_picture(struct doc *d, struct pictures *p,
                        const struct doc_cell *c,
                        const struct result_artefact *f)
{
    const char *colon = strchr(f->name, ':');
    const char *item = colon ? colon + 1 : f->name;
    const char *corruption = result_axis(&c->c, "corruption");
    const char *attack = result_axis(&c->c, "attack");
    const char *severity = result_axis(&c->c, "severity");
    const char *kind = kind_of(f->name);
    struct hash128 hash = hash_bytes(f->data, f->n);
    const char *group = attack ? attack : corruption ? corruption : "clean";
    if (attack && corruption)
        group = arena_printf(d->arena, "%s + %s", corruption, attack);
    for (size_t i = 0; i < p->n; i++) {
        struct picture *o = &p->v[i];
        if (o->hash.lo == hash.lo && o->hash.hi == hash.hi &&
            !strcmp(o->item, item) && !strcmp(o->group, group)) {
            o->shared |= o->cell->model != c->model;
            return;
        }
    }
    p->v = xrealloc(p->v, (p->n + 1) * sizeof *p->v);
    p->v[p->n] = (struct picture) {
        .found = p->n, .cell = c, .file = f, .item = item, .group = group, .hash = hash,
        .caption = kind ? kind : severity ? arena_printf(d->arena, "severity %s",
                                                         severity) : "",
        .order = attack ? 2 : corruption ? 1 : 0,
    };
    p->n++;
    labels_add(&p->items, d->arena, item);
    labels_add(&p->groups, d->arena, group);
}

static void find_pictures(struct doc *d, struct pictures *p)
{
    for (size_t i = 0; i < d->n_cells; i++) {
        const struct doc_cell *c = &d->cell[i];
        for (size_t k = 0; k < c->c.n_artefacts; k++) {
            const struct result_artefact *f = &c->c.artefact[k];
            if (strcmp(f->media_type, "image/png"))
                continue;
            if (!f->data || !is_png(f))
                p->left_out++;
            else
                add_picture(d, p, c, f);
        }
    }
}

/* By severity; models in their order; a perturbation behind its picture. */
static int by_condition(const void *a, const void *b)
{
    const struct picture *x = a, *y = b;
    double sx = 0, sy = 0;
    const char *tx = result_axis(&x->cell->c, "severity");
    const char *ty = result_axis(&y->cell->c, "severity");
    if (tx && ty && str_to_double(tx, &sx) && str_to_double(ty, &sy) && sx != sy)
        return sx < sy ? -1 : 1;
    if (x->cell->model != y->cell->model)
        return x->cell->model - y->cell->model;
    return (x->found > y->found) - (x->found < y->found);
}

static void put_picture(struct doc *d, const struct picture *p)
{
    const char *model = d->models.v[p->cell->model];
    bool named = *model && !p->shared && d->models.n > 1 && p->order == 2;
    put(d, "<figure class=\"thumb\"><img alt=\"");
    put_text(d, p->group);
    put(d, " ");
    put_text(d, p->caption);
    put(d, named ? ", model " : "");
    put_text(d, named ? model : "");
    put(d, "\" src=\"data:image/png;base64,");
    put_base64(d, p->file->data, p->file->n);
    put(d, "\"/><figcaption>");
    if (named) {
        putf(d, "<span class=\"m k%d\">", p->cell->model % N_COLOURS);
        put_text(d, model);
        put(d, "</span><br/>");
    }
    put_text(d, *p->caption ? p->caption : p->group);
    put(d, "</figcaption></figure>");
}

static void put_item(struct doc *d, const struct pictures *p, const char *item,
                     bool open)
{
    struct labels groups = { 0 };
    for (int order = 0; order < 3; order++)
        for (int g = 0; g < p->groups.n; g++)
            for (size_t i = 0; i < p->n; i++)
                if (p->v[i].order == order && !strcmp(p->v[i].item, item) &&
                    !strcmp(p->v[i].group, p->groups.v[g]))
                    labels_add(&groups, d->arena, p->v[i].group);
    putf(d, "<details%s><summary>", open ? " open=\"open\"" : "");
    put_text(d, item);
    put(d, "</summary><div class=\"strips\">");
    for (int g = 0; g < groups.n; g++) {
        put(d, "<div class=\"strip\"><h4>");
        put_label(d, groups.v[g]);
        put(d, "</h4><div class=\"thumbs\">");
        for (size_t i = 0; i < p->n; i++)
            if (!strcmp(p->v[i].item, item) && !strcmp(p->v[i].group, groups.v[g]))
                put_picture(d, &p->v[i]);
        put(d, "</div></div>");
    }
    put(d, "</div></details>");
    free(groups.v);
}

void part_gallery(struct doc *d)
{
    struct pictures p = { 0 };
    find_pictures(d, &p);
    if (p.n) {
        qsort(p.v, p.n, sizeof *p.v, by_condition);
        put(d, "<section id=\"pictures\"><h2>Inputs</h2><p class=\"note\">What the "
               "models saw: clean, corrupted by severity, attacked.</p>");
        for (int i = 0; i < p.items.n && i < MAX_ITEMS; i++)
            put_item(d, &p, p.items.v[i], i == 0);
        if (p.left_out || p.items.n > MAX_ITEMS)
            put(d, "<p class=\"note\">More pictures are in the results file.</p>");
        put(d, "</section>");
    }
    free(p.items.v);
    free(p.groups.v);
    free(p.v);
}

/* ---- training -------------------------------------------------------- */

struct curve {
    const struct doc_cell *cell;
    const char *name; /* without "curve:" */
    json_t *json;
};

static const char *curve_label(struct doc *d, const struct curve *c)
{
    const char *model = d->models.v[c->cell->model];
    if (*model)
        return model;
    struct str b = { 0 };
    for (size_t i = 0; i < c->cell->c.n_axes; i++)
        str_addf(&b, "%s%s", i ? " " : "", c->cell->c.axis[i].value);
    const char *s = arena_strdup(d->arena, b.n ? b.s : "training");
    str_free(&b);
    return s;
}

static double *numbers(struct doc *d, const json_t *j, size_t *n)
{
    *n = json_array_size(j);
    double *v = arena_alloc(d->arena, (*n + 1) * sizeof *v);
    for (size_t i = 0; i < *n; i++) {
        const json_t *x = json_array_get(j, i);
        v[i] = json_is_number(x) ? json_number_value(x) : NAN;
    }
    return v;
}

static void draw_curves(struct doc *d, const struct curve *c, size_t n,
                        const char *name, const char *y, const struct labels *who,
                        bool named)
{
    struct series *s = xcalloc(n + 1, sizeof *s);
    const char *xlabel = NULL;
    size_t m = 0;
    for (size_t i = 0; i < n; i++) {
        json_t *ys = json_object_get(json_object_get(c[i].json, "y"), y);
        if (strcmp(c[i].name, name) || !json_is_array(ys))
            continue;
        size_t nx, ny;
        s[m].x = numbers(d, json_object_get(c[i].json, "x"), &nx);
        s[m].y = numbers(d, ys, &ny);
        s[m].n = nx < ny ? nx : ny;
        s[m].name = curve_label(d, &c[i]);
        for (int k = 0; k < who->n; k++)
            if (!strcmp(who->v[k], s[m].name))
                s[m].colour = *d->models.v[c[i].cell->model] ? c[i].cell->model : k;
        m++;
        if (!xlabel)
            xlabel = json_string_value(json_object_get(c[i].json, "xlabel"));
    }
    char *title = named ? xasprintf("%s: %s", name, y) : xstrdup(y);
    chart_lines(d, title, xlabel ? xlabel : "step", s, m);
    free(title);
    free(s);
}

static void put_who(struct doc *d, const struct labels *who,
                    const struct curve *c, size_t n)
{
    put(d, "<ul class=\"legend\">");
    for (int k = 0; k < who->n; k++) {
        int colour = k;
        for (size_t i = 0; i < n; i++)
            if (!strcmp(curve_label(d, &c[i]), who->v[k]) &&
                *d->models.v[c[i].cell->model])
                colour = c[i].cell->model;
        putf(d, "<li><svg class=\"key\" viewBox=\"0 0 28 12\" aria-hidden=\"true\">"
                "<path class=\"line l%d d%d\" d=\"M1 6H27\"/></svg>",
             colour % N_COLOURS, (colour + colour / N_COLOURS) % 4);
        put_text(d, who->v[k]);
        put(d, "</li>");
    }
    put(d, "</ul>");
}

void part_training(struct doc *d)
{
    struct curve *c = NULL;
    struct labels names = { 0 }, who = { 0 };
    size_t n = 0;
    for (size_t i = 0; i < d->n_cells; i++) {
        const struct doc_cell *cell = &d->cell[i];
        for (size_t k = 0; k < cell->c.n_artefacts; k++) {
            const struct result_artefact *f = &cell->c.artefact[k];
            if (strncmp(f->name, "curve:", 6) || !f->data)
                continue;
            json_t *j = json_loadb(f->data, f->n, 0, NULL);
            if (!json_is_object(json_object_get(j, "y"))) {
                json_decref(j);
                continue;
            }
            c = xrealloc(c, (n + 1) * sizeof *c);
            c[n++] = (struct curve) { cell, f->name + 6, j };
            labels_add(&names, d->arena, f->name + 6);
            labels_add(&who, d->arena, curve_label(d, &c[n - 1]));
        }
    }
    if (n) {
        put(d, "<section id=\"training\"><h2>Training</h2>");
        put_who(d, &who, c, n);
        put(d, "<div class=\"grid three\">");
    }
    for (int k = 0; k < names.n; k++) {
        struct labels ys = { 0 };
        const char *y;
        json_t *v;
        for (size_t i = 0; i < n; i++)
            if (!strcmp(c[i].name, names.v[k]))
                json_object_foreach(json_object_get(c[i].json, "y"), y, v)
                    labels_add(&ys, d->arena, y);
        for (int i = 0; i < ys.n; i++)
            draw_curves(d, c, n, names.v[k], ys.v[i], &who, names.n > 1);
        free(ys.v);
    }
    if (n)
        put(d, "</div></section>");
    for (size_t i = 0; i < n; i++)
        json_decref(c[i].json);
    free(c);
    free(names.v);
    free(who.v);
}
