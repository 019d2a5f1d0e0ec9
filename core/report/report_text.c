/* SPDX-License-Identifier: MIT */
/* Escaped text, numbers and base64 into the page. */
#include "config.h"

#include "report/report_doc.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void put(struct doc *d, const char *s)
{
    str_add(&d->out, s);
}

void putf(struct doc *d, const char *fmt, ...)
{
    char small[1024];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(small, sizeof small, fmt, ap);
    va_end(ap);
    // Markup with numbers only, so this is a bug if it ever cuts.
    str_addn(&d->out, small, n < (int)sizeof small ? (size_t)n : sizeof small - 1);
}

/* Control characters are not allowed in HTML and mean nothing in it. */
void put_text(struct doc *d, const char *s)
{
    while (*s) {
        size_t n = 0;
        char part[256];
        while (*s && n + 1 < sizeof part) {
            unsigned char c = (unsigned char)*s++;
            part[n++] = c < 0x20 && c != '\n' && c != '\t' ? ' ' : (char)c;
        }
        part[n] = 0;
        str_add_html(&d->out, part);
    }
}

void put_label(struct doc *d, const char *s)
{
    char *copy = xstrdup(s);
    for (char *p = copy; *p && *p != '('; p++)
        if (*p == '_')
            *p = ' ';
    put_text(d, *copy ? copy : "(none)");
    free(copy);
}

const char *number_text(const char *unit, double x, char buf[32])
{
    double a = fabs(x);
    if (isnan(x))
        return "–";
    if (isinf(x))
        return x > 0 ? "∞" : "−∞";
    if (!strcmp(unit, "%"))
        snprintf(buf, 32, "%.1f", x);
    else if (a >= 1000 || x == floor(x))
        snprintf(buf, 32, a < 1e9 ? "%.0f" : "%.3g", x);
    else if (a >= 10)
        snprintf(buf, 32, "%.1f", x);
    else
        snprintf(buf, 32, "%.3g", x);
    return buf;
}

void put_number(struct doc *d, const char *unit, double x)
{
    char buf[32];
    put(d, number_text(unit, x, buf));
}

void put_signed(struct doc *d, const char *unit, double x)
{
    char buf[32];
    const char *s = number_text(unit, fabs(x), buf);
    if (isnan(x))
        put(d, s);
    else
        putf(d, "%s%s", x < 0 && strspn(s, "0.") != strlen(s) ? "−"
                        : x > 0 && strspn(s, "0.") != strlen(s) ? "+" : "",
             s);
}

void put_base64(struct doc *d, const void *data, size_t n)
{
    str_add_base64(&d->out, data, n);
}
