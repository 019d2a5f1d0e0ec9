/* SPDX-License-Identifier: MIT */
/*
 * Differences of arms from a control as one SVG file of its own: a point and
 * its 95 % interval a row, conditions one below the other. It follows the
 * reader's light or dark scheme.
 */
#include "config.h"

#include <math.h>
#include <string.h>

#include "report/report.h"

enum { WIDTH = 760, LEFT = 150, RIGHT = 150, ROW = 17, HEAD = 26, TOP = 34, FOOT = 40 };

static const char style[] =
    "<style>text{font:12px sans-serif;fill:#222}.h{font-weight:600}.n{fill:#666}"
    "line,path{stroke:#888}.ci{stroke:#1f6fb4;stroke-width:2}.sure{stroke:#c0392b;"
    "stroke-width:2}circle{fill:#1f6fb4}circle.sure{fill:#c0392b}.zero{stroke:#444}"
    ".bg{fill:#fff}@media(prefers-color-scheme:dark){text{fill:#ddd}.n{fill:#999}"
    ".bg{fill:#16181c}.zero{stroke:#bbb}.ci{stroke:#6db3f2}circle{fill:#6db3f2}"
    ".sure{stroke:#ff8a75}circle.sure{fill:#ff8a75}}</style>";

struct plot {
    const struct compare_row *row;
    size_t n;
    double lo, hi, step;
    struct str s;
    int y;
};

static void text(struct plot *p, double x, int y, const char *class, const char *anchor,
                 const char *what)
{
    str_addf(&p->s, "<text class=\"%s\" x=\"%.1f\" y=\"%d\" text-anchor=\"%s\">", class, x,
             y, anchor);
    for (; *what; what++)
        if (strchr("<>&", *what))
            str_addf(&p->s, "&#%d;", *what);
        else
            str_addf(&p->s, "%c", *what);
    str_add(&p->s, "</text>");
}

static double at(const struct plot *p, double x)
{
    return LEFT + (x - p->lo) / (p->hi - p->lo) * (WIDTH - LEFT - RIGHT);
}

static void range(struct plot *p)
{
    double lo = 0, hi = 0;
    for (size_t i = 0; i < p->n; i++) {
        lo = p->row[i].summary ? fmin(lo, p->row[i].low) : lo;
        hi = p->row[i].summary ? fmax(hi, p->row[i].high) : hi;
    }
    static const double steps[] = { 0.1, 0.2, 0.5, 1, 2, 5, 10, 20 };
    size_t k = 0;
    while (k + 1 < sizeof steps / sizeof *steps && (hi - lo) / steps[k] > 10)
        k++;
    p->step = steps[k];
    p->lo = floor(lo / p->step - 0.2) * p->step;
    p->hi = ceil(hi / p->step + 0.2) * p->step;
}

static void one(struct plot *p, const struct compare_row *r)
{
    const char *class = r->low > 0 || r->high < 0 ? "sure" : "ci";
    char number[80];
    snprintf(number, sizeof number, "%+.1f [%+.1f, %+.1f]", r->difference, r->low, r->high);
    text(p, LEFT - 10, p->y + 4, "", "end", r->arm);
    str_addf(&p->s,
             "<line class=\"%s\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\"/>"
             "<circle class=\"%s\" cx=\"%.1f\" cy=\"%d\" r=\"4\"><title>%.1f against %.1f"
             "</title></circle>",
             class, at(p, r->low), at(p, r->high), p->y, p->y, class,
             at(p, r->difference), p->y, r->mine, r->control);
    text(p, WIDTH - RIGHT + 12, p->y + 4, "n", "start", number);
    p->y += ROW;
}

static bool seen(const struct plot *p, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (p->row[k].summary && !strcmp(p->row[k].condition, p->row[i].condition) &&
            !strcmp(p->row[k].set, p->row[i].set))
            return true;
    return false;
}

static void conditions(struct plot *p)
{
    for (size_t i = 0; i < p->n; i++) {
        if (!p->row[i].summary || seen(p, i))
            continue;
        p->y += HEAD - ROW + 10;
        text(p, LEFT - 10, p->y, "h", "end", p->row[i].condition);
        p->y += ROW;
        for (size_t k = i; k < p->n; k++)
            if (p->row[k].summary && !strcmp(p->row[k].condition, p->row[i].condition) &&
                !strcmp(p->row[k].set, p->row[i].set))
                one(p, &p->row[k]);
    }
}

static void axis(struct plot *p, const char *against)
{
    int bottom = p->y + 6;
    char s[200];
    for (double x = p->lo; x < p->hi + p->step / 2; x += p->step) {
        bool zero = fabs(x) < p->step / 2;
        str_addf(&p->s,
                 "<line class=\"%s\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\" "
                 "stroke-opacity=\"%s\"/>",
                 zero ? "zero" : "", at(p, x), at(p, x), TOP, bottom, zero ? "1" : "0.25");
        snprintf(s, sizeof s, "%g", zero ? 0 : x);
        text(p, at(p, x), bottom + 16, "n", "middle", s);
    }
    snprintf(s, sizeof s, "points more than %.100s", against);
    text(p, at(p, 0), bottom + 32, "", "middle", s);
}

mohs_status report_forest(const struct compare_row *row, size_t n, const char *against,
                          const char *out, struct mohs_error *err)
{
    struct plot p = { .row = row, .n = n, .y = TOP };
    struct str page = { 0 };
    range(&p);
    conditions(&p);
    int bottom = p.y;
    axis(&p, against);
    str_addf(&page,
             "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" role=\"img\">"
             "<title>Differences with 95 %% intervals</title>%s"
             "<rect class=\"bg\" width=\"%d\" height=\"%d\"/>",
             WIDTH, bottom + FOOT + 6, style, WIDTH, bottom + FOOT + 6);
    str_add(&page, p.s.s ? p.s.s : "");
    str_add(&page, "</svg>\n");
    mohs_status st = file_write(out, page.s, page.n, err);
    str_free(&p.s);
    str_free(&page);
    return st;
}
