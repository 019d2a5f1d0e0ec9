/* SPDX-License-Identifier: MIT */
/* Budgets as parameters that every attack has. */
#include "config.h"

#include <limits.h>
#include <math.h>
#include <string.h>

#include "eval/eval.h"

int32_t budget_set(struct budget *b, const char *attack, const char *key, double x,
                   struct mohs_error *err)
{
    if (!strcmp(key, "max_queries")) {
        if (!(x >= 1 && x <= INT_MAX) || x != floor(x))
            return mohs_fail(err, MOHS_E_ARG,
                             "%s: max_queries %g is not an integer in 1..%d", attack, x,
                             INT_MAX);
        b->max_queries = (uint32_t)x;
        return 1;
    }
    if (strcmp(key, "max_seconds"))
        return 0;
    if (!(x > 0 && x <= 1e9))
        return mohs_fail(err, MOHS_E_ARG, "%s: max_seconds %g is outside 0..1e9", attack,
                         x);
    b->max_seconds = x;
    return 1;
}

int32_t budget_set_text(struct budget *b, const char *attack, const char *key,
                        const char *text, struct mohs_error *err)
{
    double x;
    if (strcmp(key, "max_queries") && strcmp(key, "max_seconds"))
        return 0;
    if (!str_to_double(text, &x))
        return mohs_fail(err, MOHS_E_ARG, "%s: %s: '%s' is not a number", attack, key,
                         text);
    return budget_set(b, attack, key, x, err);
}

bool budget_any(const struct budget *b)
{
    return b->max_queries || b->max_seconds > 0;
}

void budget_text(const struct budget *b, struct str *out)
{
    if (b->max_queries)
        str_addf(out, "%smax_queries=%u", out->n ? "," : "", b->max_queries);
    if (b->max_seconds > 0)
        str_addf(out, "%smax_seconds=%g", out->n ? "," : "", b->max_seconds);
}
