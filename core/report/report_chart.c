/* SPDX-License-Identifier: MIT */
/*
 * Charts as inline SVG. Colours, fonts and dashes come from the style sheet
 * (classes c0..c7, so that light, dark and print differ); every chart has a
 * title and a description, every mark a title with its numbers.
 */
#include "config.h"

#include "report/report_doc.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct frame {
    double x0, y0, w, h; /* of the plot, in SVG units */
    double xlo, xhi, ylo, yhi;
};

static double fx(const struct frame *f, double x)
{
    return f->x0 + (x - f->xlo) / (f->xhi - f->xlo) * f->w;
}

static double fy(const struct frame *f, double y)
{
    double t = (y - f->ylo) / (f->yhi - f->ylo);
    return f->y0 + f->h - (t < 0 ? 0 : t > 1 ? 1 : t) * f->h;
}

/* A round step that divides the range in about n. */
static double nice_step(double range, int n)
{
    double raw = range / n, p = pow(10, floor(log10(raw))), m = raw / p;
    return p * (m <= 1 ? 1 : m <= 2 ? 2 : m <= 2.5 ? 2.5 : m <= 5 ? 5 : 10);
}

static void nice_range(double *lo, double *hi, const char *unit)
{
    if (!(*hi > *lo)) {
        *hi = *lo + 1;
        if (*lo > 0)
            *lo = 0;
    }
    if (*lo >= 0 && *lo < 0.7 * *hi)
        *lo = 0;
    double step = nice_step(*hi - *lo, 4);
    *lo = floor(*lo / step + 1e-9) * step;
    *hi = ceil(*hi / step - 1e-9) * step;
    if (!strcmp(unit, "%") && *hi > 100)
        *hi = 100;
}

static void svg_open(struct doc *d, const char *class, int w, int h,
                     const char *title, const char *desc)
{
    int id = d->ids++;
    putf(d, "<svg class=\"%s\" viewBox=\"0 0 %d %d\" role=\"img\" "
            "aria-labelledby=\"t%d d%d\"><title id=\"t%d\">",
         class, w, h, id, id, id);
    put_text(d, title);
    putf(d, "</title><desc id=\"d%d\">", id);
    put_text(d, desc);
    put(d, "</desc>");
}

static void put_tick(struct doc *d, double x, double step)
{
    int digits = 0;
    for (double s = step; digits < 7 && fabs(s - round(s)) > 1e-6 * s; s *= 10)
        digits++;
    if (fabs(x) >= 1e6 || digits > 3)
        putf(d, "%.2g", x);
    else
        putf(d, "%.*f", digits, x);
}

static void y_grid(struct doc *d, const struct frame *f)
{
    double step = nice_step(f->yhi - f->ylo, 4);
    for (double y = f->ylo; y <= f->yhi + step * 1e-6; y += step) {
        putf(d, "<line class=\"grid\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" "
                "y2=\"%.1f\"/><text class=\"tick\" x=\"%.1f\" y=\"%.1f\" "
                "text-anchor=\"end\">",
             f->x0, f->x0 + f->w, fy(f, y), fy(f, y), f->x0 - 5, fy(f, y) + 3.5);
        put_tick(d, fabs(y) < step * 1e-6 ? 0 : y, step);
        put(d, "</text>");
    }
}

static void x_grid(struct doc *d, const struct frame *f, int n)
{
    double step = nice_step(f->xhi - f->xlo, n);
    for (double x = ceil(f->xlo / step - 1e-9) * step;
         x <= f->xhi + step * 1e-6; x += step) {
        putf(d, "<line class=\"grid\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" "
                "y2=\"%.1f\"/><text class=\"tick\" x=\"%.1f\" y=\"%.1f\" "
                "text-anchor=\"middle\">",
             fx(f, x), fx(f, x), f->y0, f->y0 + f->h, fx(f, x),
             f->y0 + f->h + 14);
        put_tick(d, fabs(x) < step * 1e-6 ? 0 : x, step);
        put(d, "</text>");
    }
}

/* Shape and dashes tell models apart without colour, and also those that
 * share a colour. */
static int shape_of(int model)
{
    return (model + model / N_COLOURS) % 4;
}

static void mark_shape(struct doc *d, int model, double x, double y, double r,
                       bool hollow)
{
    int colour = model % N_COLOURS;
    const char *fill = hollow ? "h" : "c";
    switch (shape_of(model)) {
    case 0:
        putf(d, "<circle class=\"mark %s%d\" cx=\"%.1f\" cy=\"%.1f\" r=\"%.1f\">",
             fill, colour, x, y, r);
        break;
    case 1:
        putf(d, "<path class=\"mark %s%d\" d=\"M%.1f %.1fh%.1fv%.1fh%.1fz\">",
             fill, colour, x - r * .9, y - r * .9, r * 1.8, r * 1.8, -r * 1.8);
        break;
    case 2:
        putf(d, "<path class=\"mark %s%d\" d=\"M%.1f %.1fL%.1f %.1fL%.1f %.1fz\">",
             fill, colour, x, y - r * 1.2, x + r * 1.1, y + r * .8, x - r * 1.1,
             y + r * .8);
        break;
    default:
        putf(d, "<path class=\"mark %s%d\" "
                "d=\"M%.1f %.1fL%.1f %.1fL%.1f %.1fL%.1f %.1fz\">",
             fill, colour, x, y - r * 1.3, x + r * 1.3, y, x, y + r * 1.3,
             x - r * 1.3, y);
    }
}

static void mark_end(struct doc *d, int model)
{
    put(d, shape_of(model) ? "</path>" : "</circle>");
}

static void put_interval(struct doc *d, const struct result_value *v)
{
    put_number(d, v->unit, v->value);
    if (isnan(v->low) || isnan(v->high))
        return;
    put(d, " [");
    put_number(d, v->unit, v->low);
    put(d, ", ");
    put_number(d, v->unit, v->high);
    put(d, "]");
}

static const char *model_name(const struct doc *d, int model)
{
    return *d->models.v[model] ? d->models.v[model] : "model";
}

void chart_legend(struct doc *d, const int *models, int n)
{
    if (n < 1 || (n == 1 && !*d->models.v[models[0]]))
        return;
    put(d, "<ul class=\"legend\">");
    for (int i = 0; i < n; i++) {
        int m = models[i];
        putf(d, "<li><svg class=\"key\" viewBox=\"0 0 28 12\" aria-hidden=\"true\">"
                "<path class=\"line l%d d%d\" d=\"M1 6H27\"/>",
             m % N_COLOURS, shape_of(m));
        mark_shape(d, m, 14, 6, 4, false);
        mark_end(d, m);
        put(d, "</svg>");
        put_text(d, model_name(d, m));
        put(d, "</li>");
    }
    put(d, "</ul>");
}

/* ---- corruption x severity ------------------------------------------- */

struct span {
    double lo, hi;
};

static void span_add(struct span *s, double x)
{
    if (isnan(x) || isinf(x))
        return;
    s->lo = !(s->lo <= x) ? x : s->lo;
    s->hi = !(s->hi >= x) ? x : s->hi;
}

/* Values, and intervals, of every cell of a block that `want` accepts. */
static struct span block_span(const struct doc *d, int block, const char *name,
                              bool attacked)
{
    struct span s = { NAN, NAN };
    for (size_t i = 0; i < d->n_cells; i++) {
        const struct doc_cell *c = &d->cell[i];
        bool clean = c->corruption == NONE && c->attack == NONE;
        bool other = attacked ? c->corruption != NONE : c->attack != NONE;
        if (c->block != block || (!clean && other))
            continue;
        for (size_t k = 0; k < c->c.n_values; k++) {
            if (strcmp(c->c.value[k].name, name))
                continue;
            span_add(&s, c->c.value[k].value);
            span_add(&s, c->c.value[k].low);
            span_add(&s, c->c.value[k].high);
        }
    }
    return s;
}

/* Point `s` of a curve: 0 is clean, 1.. the severities. */
static const struct result_value *curve_point(const struct doc *d, int block,
                                              int model, int corruption, int s,
                                              const char *name)
{
    const struct result_value *v =
        s ? doc_value(d, block, model, corruption, s - 1, NONE, name)
          : doc_value(d, block, model, NONE, NONE, NONE, name);
    return v && !isnan(v->value) ? v : NULL;
}

static void curve_band(struct doc *d, const struct frame *f,
                       const struct result_value **p, int n, int model,
                       bool faint)
{
    for (int from = 0; from < n;) {
        int to = from;
        while (to < n && p[to] && !isnan(p[to]->low) && !isnan(p[to]->high))
            to++;
        if (to - from > 1) {
            putf(d, "<path class=\"band%s c%d\" d=\"M", faint ? " faint" : "",
                 model % N_COLOURS);
            for (int i = from; i < to; i++)
                putf(d, "%.1f %.1f ", fx(f, i), fy(f, p[i]->high));
            for (int i = to; i-- > from;)
                putf(d, "%.1f %.1f ", fx(f, i), fy(f, p[i]->low));
            put(d, "z\"/>");
        }
        from = to + 1;
    }
}

static void curve_line(struct doc *d, const struct frame *f,
                       const struct result_value **p, int n, int model,
                       const struct block *b)
{
    bool pen = false;
    putf(d, "<path class=\"line l%d d%d\" d=\"", model % N_COLOURS,
         shape_of(model));
    for (int i = 0; i < n; i++) {
        if (p[i])
            putf(d, "%s%.1f %.1f", pen ? "L" : "M", fx(f, i), fy(f, p[i]->value));
        pen = p[i] != NULL;
    }
    put(d, "\"/>");
    for (int i = 0; i < n; i++) {
        if (!p[i])
            continue;
        mark_shape(d, model, fx(f, i), fy(f, p[i]->value), 3, false);
        put(d, "<title>");
        put_text(d, model_name(d, model));
        put(d, i ? ", severity " : ", clean");
        put_text(d, i ? b->severities.v[i - 1] : "");
        put(d, ": ");
        put_interval(d, p[i]);
        put(d, "</title>");
        mark_end(d, model);
    }
}

static void curve_panel(struct doc *d, int block, int value, int corruption,
                        const struct span *y)
{
    const struct block *b = &d->block[block];
    int n = b->severities.n + 1;
    struct frame f = { 34, 10, 216, 150, 0, n - 1, y->lo, y->hi };
    const struct result_value **p = xcalloc((size_t)n, sizeof *p);
    char *title = xasprintf("%s under %s by severity", b->values.v[value],
                            b->corruptions.v[corruption]);
    put(d, "<figure class=\"panel\"><figcaption>");
    put_label(d, b->corruptions.v[corruption]);
    put(d, "</figcaption>");
    svg_open(d, "chart", 260, 184, title,
             "One line a model; severity 0 is the clean input; the bands are "
             "95 % intervals. The numbers are in the table below.");
    y_grid(d, &f);
    for (int i = 0; i < n; i++) {
        putf(d, "<text class=\"tick\" x=\"%.1f\" y=\"%.1f\" "
                "text-anchor=\"middle\">", fx(&f, i), f.y0 + f.h + 15);
        put_text(d, i ? b->severities.v[i - 1] : "clean");
        put(d, "</text>");
    }
    for (int pass = 0; pass < 2; pass++) {
        for (int m = 0; m < b->n_models; m++) {
            for (int i = 0; i < n; i++)
                p[i] = curve_point(d, block, b->models[m], corruption, i,
                                   b->values.v[value]);
            if (pass)
                curve_line(d, &f, p, n, b->models[m], b);
            else
                curve_band(d, &f, p, n, b->models[m], b->n_models > 3);
        }
    }
    put(d, "</svg></figure>");
    free(title);
    free(p);
}

void chart_curves(struct doc *d, int block, int value)
{
    const struct block *b = &d->block[block];
    struct span y = block_span(d, block, b->values.v[value], false);
    if (!b->corruptions.n || isnan(y.lo))
        return;
    nice_range(&y.lo, &y.hi, b->value_of[value]->unit);
    put(d, "<div class=\"grid\">");
    for (int c = 0; c < b->corruptions.n; c++)
        curve_panel(d, block, value, c, &y);
    put(d, "</div>");
}

/* ---- attacks --------------------------------------------------------- */

static void whisker(struct doc *d, const struct frame *f,
                    const struct result_value *v, double y)
{
    if (isnan(v->low) || isnan(v->high))
        return;
    double a = fx(f, v->low), b = fx(f, v->high);
    putf(d, "<path class=\"whisker\" d=\"M%.1f %.1fH%.1fM%.1f %.1fv6M%.1f "
            "%.1fv6\"/>", a, y, b, a, y - 3, b, y - 3);
}

/* One bar; the tick beyond it is the clean value. */
static void attack_bar(struct doc *d, const struct frame *f, int block,
                       int value, int attack, int model, double y)
{
    const struct block *b = &d->block[block];
    const char *name = b->values.v[value];
    const struct result_value *clean, *v;
    clean = doc_value(d, block, model, NONE, NONE, NONE, name);
    v = attack == NONE ? clean
                       : doc_value(d, block, model, NONE, NONE, attack, name);
    if (!v || isnan(v->value))
        return;
    double x = fx(f, v->value), zero = fx(f, f->xlo);
    putf(d, "<rect class=\"bar c%d\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" "
            "height=\"12\"><title>", model % N_COLOURS, zero, y,
         x - zero > 0.5 ? x - zero : 0.5);
    put_text(d, model_name(d, model));
    put(d, ", ");
    put_text(d, attack == NONE ? "clean" : b->attacks.v[attack]);
    put(d, ": ");
    put_interval(d, v);
    put(d, "</title></rect>");
    whisker(d, f, v, y + 6);
    double end = x;
    if (!isnan(v->high) && fx(f, v->high) > end)
        end = fx(f, v->high);
    if (attack != NONE && clean && !isnan(clean->value)) {
        double c = fx(f, clean->value);
        putf(d, "<path class=\"ref\" d=\"M%.1f %.1fv14\"><title>clean: ", c,
             y - 1);
        put_interval(d, clean);
        put(d, "</title></path>");
        if (c > end && c < end + 34)
            end = c;
    }
    putf(d, "<text class=\"val\" x=\"%.1f\" y=\"%.1f\">", end + 6, y + 10);
    put_number(d, v->unit, v->value);
    put(d, "</text>");
}

void chart_attacks(struct doc *d, int block, int value)
{
    const struct block *b = &d->block[block];
    const struct result_value *v = b->value_of[value];
    struct span s = block_span(d, block, b->values.v[value], true);
    if (!b->attacks.n || isnan(s.lo))
        return;
    nice_range(&s.lo, &s.hi, v->unit);
    int group = 26 + 16 * b->n_models, h = (b->attacks.n + 1) * group + 34;
    struct frame f = { 14, 6, 460, h - 34, s.lo, s.hi, 0, 1 };
    char *title = xasprintf("%s, clean and attacked", b->values.v[value]);
    put(d, "<figure class=\"wide\"><figcaption>Attacks</figcaption>");
    svg_open(d, "chart", 540, h, title,
             "One bar a model; whiskers are 95 % intervals; the dashed mark is "
             "the model's clean value. The numbers are in the table below.");
    x_grid(d, &f, 5);
    for (int a = NONE; a < b->attacks.n; a++) {
        double y = f.y0 + (a + 1) * group;
        const char *name = a == NONE ? "clean" : b->attacks.v[a];
        char *cut = xasprintf("%.70s%s", name, strlen(name) > 70 ? "…" : "");
        putf(d, "<text class=\"name\" x=\"%.1f\" y=\"%.1f\">", f.x0, y + 14);
        put_label(d, utf8_valid(cut, strlen(cut)) ? cut : name);
        put(d, "</text>");
        free(cut);
        for (int m = 0; m < b->n_models; m++)
            attack_bar(d, &f, block, value, a, b->models[m], y + 20 + 16 * m);
    }
    put(d, "</svg></figure>");
    free(title);
}

/* ---- clean against robust -------------------------------------------- */

struct frontier_point {
    int model;
    const struct result_value *clean;
    double corrupted, attacked;
    int n_corrupted, attack;
};

static void frontier_mark(struct doc *d, const struct frame *f,
                          const struct frontier_point *p, double y,
                          const char *what, bool hollow)
{
    if (isnan(y))
        return;
    double cx = fx(f, p->clean->value), cy = fy(f, y);
    if (!isnan(p->clean->low) && !isnan(p->clean->high))
        putf(d, "<path class=\"whisker\" d=\"M%.1f %.1fH%.1f\"/>",
             fx(f, p->clean->low), cy, fx(f, p->clean->high));
    mark_shape(d, p->model, cx, cy, 6, hollow);
    put(d, "<title>");
    put_text(d, model_name(d, p->model));
    put(d, ": clean ");
    put_interval(d, p->clean);
    putf(d, ", %s ", what);
    put_number(d, p->clean->unit, y);
    put(d, "</title>");
    mark_end(d, p->model);
    bool left = cx > f->x0 + 0.6 * f->w;
    putf(d, "<text class=\"val\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">",
         cx + (left ? -11 : 11), cy - 8, left ? "end" : "start");
    put_text(d, model_name(d, p->model));
    put(d, "</text>");
}

/* The steps that no model is above of in both directions. */
static void frontier_steps(struct doc *d, const struct frame *f,
                           const struct frontier_point *p, int n)
{
    double x = f->xhi, best = f->ylo;
    bool any = false;
    if (n < 3)
        return;
    putf(d, "<path class=\"steps\" d=\"");
    for (;;) {
        int next = NONE;
        for (int i = 0; i < n; i++)
            if (p[i].clean->value <= x && p[i].corrupted > best &&
                (next == NONE || p[i].clean->value > p[next].clean->value))
                next = i;
        if (next == NONE)
            break;
        x = p[next].clean->value;
        putf(d, any ? "H%.1f" : "M%.1f", fx(f, x));
        putf(d, any ? "V%.1f" : " %.1f", fy(f, p[next].corrupted));
        best = p[next].corrupted;
        any = true;
    }
    put(d, any ? "\"/>" : "M0 0\"/>");
}

void chart_frontier(struct doc *d, int block, int value)
{
    const struct block *b = &d->block[block];
    const struct result_value *v = b->value_of[value];
    struct frontier_point *p = xcalloc((size_t)b->n_models + 1, sizeof *p);
    struct span xs = { NAN, NAN }, ys = { NAN, NAN };
    int n = 0;
    for (int i = 0; i < b->n_models && v->direction; i++) {
        struct frontier_point *q = &p[n];
        q->model = b->models[i];
        q->clean = doc_value(d, block, q->model, NONE, NONE, NONE, v->name);
        q->corrupted = doc_mean(d, block, q->model, NONE, v->name, &q->n_corrupted);
        q->attacked = doc_worst_attack(d, block, q->model, v, &q->attack);
        if (!q->clean || isnan(q->clean->value) ||
            (isnan(q->corrupted) && isnan(q->attacked)))
            continue;
        span_add(&xs, q->clean->value);
        span_add(&xs, q->clean->low);
        span_add(&xs, q->clean->high);
        span_add(&ys, q->corrupted);
        span_add(&ys, q->attacked);
        n++;
    }
    if (n) {
        struct frame f = { 44, 14, 380, 250, 0, 0, 0, 0 };
        double step = nice_step(xs.hi > xs.lo ? xs.hi - xs.lo : 1, 3);
        f.xlo = floor(xs.lo / step - 0.5) * step;
        f.xhi = ceil(xs.hi / step + 0.5) * step;
        nice_range(&ys.lo, &ys.hi, v->unit);
        f.ylo = ys.lo;
        f.yhi = ys.hi;
        char *title = xasprintf("%s: clean against robust", v->name);
        put(d, "<figure class=\"wide\"><figcaption>Clean against robust"
               "</figcaption>");
        svg_open(d, "chart", 440, 306, title,
                 "Across: the clean value with its interval. Up: the mean over "
                 "all corrupted cells (filled) and the worst attack (hollow).");
        y_grid(d, &f);
        x_grid(d, &f, 4);
        putf(d, "<text class=\"axis\" x=\"%.1f\" y=\"300\" text-anchor=\"middle\">"
                "clean</text>", f.x0 + f.w / 2);
        frontier_steps(d, &f, p, n);
        for (int i = 0; i < n; i++) {
            frontier_mark(d, &f, &p[i], p[i].corrupted, "mean corrupted", false);
            frontier_mark(d, &f, &p[i], p[i].attacked, "worst attack", true);
        }
        put(d, "</svg><p class=\"note\">Up: mean over corrupted cells (filled), "
               "worst attack (hollow). Across: clean. Whiskers are the 95 % "
               "intervals of the clean value.</p></figure>");
        free(title);
    }
    free(p);
}

/* ---- lines ----------------------------------------------------------- */

void chart_lines(struct doc *d, const char *title, const char *xlabel,
                 const struct series *s, size_t n)
{
    struct span xs = { NAN, NAN }, ys = { NAN, NAN };
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < s[i].n; k++) {
            span_add(&xs, s[i].x[k]);
            span_add(&ys, s[i].y[k]);
        }
    }
    if (isnan(xs.lo) || isnan(ys.lo))
        return;
    nice_range(&ys.lo, &ys.hi, "");
    if (!(xs.hi > xs.lo))
        xs.hi = xs.lo + 1;
    struct frame f = { 46, 12, 304, 150, xs.lo, xs.hi, ys.lo, ys.hi };
    put(d, "<figure class=\"panel\"><figcaption>");
    put_label(d, title);
    put(d, "</figcaption>");
    svg_open(d, "chart", 360, 200, title, "One line a cell.");
    y_grid(d, &f);
    x_grid(d, &f, 4);
    putf(d, "<text class=\"axis\" x=\"%.1f\" y=\"194\" text-anchor=\"middle\">",
         f.x0 + f.w / 2);
    put_text(d, xlabel);
    put(d, "</text>");
    for (size_t i = 0; i < n; i++) {
        enum { POINTS = 500 };
        size_t step = s[i].n / POINTS + 1;
        bool pen = false;
        putf(d, "<path class=\"line l%d d%d\" d=\"", s[i].colour % N_COLOURS,
             shape_of(s[i].colour));
        for (size_t k = 0; k < s[i].n; k += step) {
            bool ok = isfinite(s[i].x[k]) && isfinite(s[i].y[k]);
            if (ok)
                putf(d, "%s%.1f %.1f", pen ? "L" : "M", fx(&f, s[i].x[k]),
                     fy(&f, s[i].y[k]));
            pen = ok;
        }
        put(d, "\"><title>");
        put_text(d, s[i].name);
        put(d, "</title></path>");
    }
    put(d, "</svg></figure>");
}
