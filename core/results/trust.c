/* SPDX-License-Identifier: MIT */
/* Cells to findings. */
#include "config.h"

#include "results/trust.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double slack = 1, slack_eps = 0.5, slack_spread = 2; /* points */

/* An attacked cell, or with attack NULL a clean one. */
struct look {
    const char *set, *model, *attack, *norm, *rest; /* rest: all but eps */
    const char *seed, *steady; /* steady: rest without restarts */
    bool pixels, per_token, weakened; /* by a surrogate, or cut by a budget */
    const char *budget; /* of edits of texts, NULL: they stay as they are */
    double eps, restarts, linf, l2, relative, faults;
    struct hash128 hash;
    const struct result_value *value;
    size_t n_values;
    double score; /* trust_make()'s */
};

struct trust {
    struct arena *arena;
    struct look *look;
    size_t n;
    struct trust_finding *found;
    size_t n_found;
    struct trust_worst *worst;
    size_t n_worst;
};

struct trust *trust_new(void)
{
    struct trust *t = xcalloc(1, sizeof *t);
    t->arena = arena_new();
    return t;
}

void trust_free(struct trust *t)
{
    if (!t)
        return;
    free(t->look);
    free(t->found);
    free(t->worst);
    arena_free(t->arena);
    free(t);
}

/* ---- cells ----------------------------------------------------------- */

static const char *provenance(const struct result_cell *c, const char *key)
{
    for (size_t i = 0; i < c->n_provenance; i++)
        if (!strcmp(c->provenance[i].key, key))
            return c->provenance[i].value;
    return NULL;
}

static double value_of(const struct look *l, const char *name)
{
    for (size_t i = 0; i < l->n_values; i++)
        if (!strcmp(l->value[i].name, name))
            return l->value[i].value;
    return NAN;
}

/* The value of `name` in "a=1,b=\"x,y\"", or NULL. */
static char *param(struct arena *a, const char *params, const char *name)
{
    size_t n = strlen(name);
    for (const char *p = params; p && *p;) {
        bool quoted = false;
        const char *end = p;
        for (; *end && (quoted || *end != ','); end++)
            quoted ^= *end == '"';
        if (!strncmp(p, name, n) && p[n] == '=') {
            const char *from = p + n + 1;
            size_t m = (size_t)(end - from);
            bool q = m >= 2 && *from == '"';
            return arena_printf(a, "%.*s", (int)(q ? m - 2 : m), from + q);
        }
        p = *end ? end + 1 : end;
    }
    return NULL;
}

/* All parameters but the number `name`. */
static char *without(struct arena *a, const char *params, const char *name)
{
    char *key = arena_printf(a, ",%s=", name);
    const char *at = params;
    if (strncmp(params, key + 1, strlen(key + 1))) {
        at = strstr(params, key);
        at = at ? at + 1 : NULL;
    }
    if (!at)
        return arena_strdup(a, params);
    const char *end = at + strcspn(at, ",");
    return arena_printf(a, "%.*s%s", (int)(at - params), params, *end ? end + 1 : end);
}

static char *set_of(struct arena *a, const struct result_cell *c)
{
    static const char *const keys[] = { "data", "metric", "prompt" };
    struct str s = { 0 };
    str_add(&s, "");
    for (size_t k = 0; k < sizeof keys / sizeof *keys; k++) {
        const char *v = result_axis(c, keys[k]);
        if (v)
            str_addf(&s, "%s%s: %s", s.n ? ", " : "", keys[k], v);
    }
    char *out = arena_strdup(a, s.s);
    str_free(&s);
    return out;
}

static bool same(const char *a, const char *b)
{
    return a == b || (a && b && !strcmp(a, b));
}

/* "1 words" and the like, NULL for an attack that edits no texts. */
static const char *budget_of(struct arena *a, const char *params)
{
    static const char *const own[] = { "max_words", "max_tokens", "max_chars" };
    const char *unit = param(a, params, "unit"), *most = param(a, params, "max_edits");
    if (unit && most)
        return arena_printf(a, "%s %s", most, unit);
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        if ((most = param(a, params, own[i])))
            return arena_printf(a, "%s %s", most, own[i] + 4);
    return NULL;
}

static void params_read(struct arena *a, struct look *l, const char *params)
{
    const char *eps = param(a, params, "eps"), *norm = param(a, params, "norm");
    const char *tap = param(a, params, "tap");
    const char *one = param(a, params, "per_sample");
    double x;
    l->eps = eps && str_to_double(eps, &x) ? x : NAN;
    // only cw has no choice of it
    l->norm = norm ? norm : !strcmp(l->attack, "cw") ? "l2" : "linf";
    l->rest = without(a, params, "eps");
    l->steady = without(a, l->rest, "restarts");
    const char *restarts = param(a, params, "restarts");
    l->restarts = restarts && str_to_double(restarts, &x) ? x : NAN;
    l->pixels = !tap;
    l->budget = budget_of(a, params);
    l->per_token = tap && !strchr(tap, ',') && one && (!strcmp(one, "false") ||
                                                       !strcmp(one, "0"));
}

mohs_status trust_take(void *user, const struct result_cell *c,
                       struct mohs_error *err)
{
    struct trust *t = user;
    const char *attack = result_axis(c, "attack"), *params;
    struct look l = { .hash = c->hash };
    (void)err;
    if (result_axis(c, "corruption") || !result_axis(c, "metric"))
        return MOHS_OK;
    l.set = set_of(t->arena, c);
    params = result_axis(c, "model");
    l.model = arena_strdup(t->arena, params ? params : "");
    l.value = c->value;
    l.n_values = c->n_values;
    if (attack) {
        l.attack = arena_strdup(t->arena, attack);
        const char *other = result_axis(c, "surrogate");
        params = provenance(c, "attack_params");
        params = params ? params : "";
        if (other)
            params = arena_printf(t->arena, "%s,surrogate=%s", params, other);
        params_read(t->arena, &l, params);
        params = provenance(c, "seed");
        l.seed = params ? arena_strdup(t->arena, params) : NULL;
        l.weakened = other || value_of(&l, "attack_cut") > 0;
        l.linf = value_of(&l, "delta_linf_max");
        l.l2 = value_of(&l, "delta_l2_mean");
        l.relative = value_of(&l, "delta_relative_l2_max");
        l.faults = value_of(&l, "audit_out_of_range") +
                   value_of(&l, "audit_on_padding") +
                   value_of(&l, "audit_non_finite");
        l.faults += l.budget ? value_of(&l, "audit_over_budget") : 0;
    }
    struct result_value *v =
        arena_alloc(t->arena, (c->n_values + 1) * sizeof *v);
    for (size_t i = 0; i < c->n_values; i++) {
        v[i] = c->value[i];
        v[i].name = arena_strdup(t->arena, c->value[i].name);
    }
    l.value = v;
    size_t i = 0;
    while (i < t->n &&
           !(same(t->look[i].set, l.set) && same(t->look[i].model, l.model) &&
             same(t->look[i].attack, l.attack) && same(t->look[i].rest, l.rest) &&
             same(t->look[i].seed, l.seed) && (!attack || t->look[i].eps == l.eps)))
        i++;
    if (i == t->n)
        t->look = xrealloc(t->look, ++t->n * sizeof *t->look);
    t->look[i] = l;
    return MOHS_OK;
}

/* ---- checks ---------------------------------------------------------- */

static bool one_model(const struct look *a, const struct look *b)
{
    return !strcmp(a->set, b->set) && !strcmp(a->model, b->model);
}

static bool one_ball(const struct look *a, const struct look *b)
{
    return one_model(a, b) && a->attack && b->attack && a->pixels && b->pixels &&
           same(a->budget, b->budget) && a->eps == b->eps && !strcmp(a->norm, b->norm);
}

static void finding(struct trust *t, const struct look *of, const char *check,
                    bool good, char *text)
{
    t->found = xrealloc(t->found, (t->n_found + 1) * sizeof *t->found);
    t->found[t->n_found++] =
        (struct trust_finding) { of->set, of->model, check, good, text };
}

static void check_audit(struct trust *t, const struct look *of)
{
    size_t n = 0, bad = 0;
    for (size_t i = 0; i < t->n; i++) {
        const struct look *l = &t->look[i];
        if (!l->attack || !one_model(l, of) || isnan(l->faults))
            continue;
        n++;
        if (l->faults > 0) {
            bad++;
            finding(t, of, "audit", false,
                    arena_printf(t->arena, "%s (eps %g): %g entries out of range, on "
                                 "padding or not finite, or texts over the budget", l->attack, l->eps, l->faults));
        }
    }
    if (n && !bad)
        finding(t, of, "audit", true,
                arena_printf(t->arena, "ranges, padding, finiteness and budgets hold in %zu "
                             "attacked cells", n));
}

/* The largest norm that was measured over eps; NAN where it is another norm. */
static double filled(const struct look *l)
{
    double x = l->per_token && !strcmp(l->norm, "l2") ? l->relative
               : !l->pixels                            ? NAN
               : !strcmp(l->norm, "linf")              ? l->linf
               : !strcmp(l->norm, "l2")                ? l->l2
                                                       : NAN;
    return l->eps > 0 ? x / l->eps : NAN;
}

static void check_ball(struct trust *t, const struct look *of)
{
    size_t n = 0, bad = 0;
    for (size_t i = 0; i < t->n; i++) {
        const struct look *l = &t->look[i];
        if (!l->attack || !one_model(l, of) || isnan(filled(l)))
            continue;
        n++;
        if (filled(l) > 1 + 1e-5) {
            bad++;
            finding(t, of, "ball", false,
                    arena_printf(t->arena, "%s (eps %g): a perturbation has %.4g times "
                                 "the radius", l->attack, l->eps, filled(l)));
        }
    }
    if (n && !bad)
        finding(t, of, "ball", true,
                arena_printf(t->arena, "no perturbation is larger than eps in %zu "
                             "attacked cells", n));
}

static void check_eps(struct trust *t, const struct look *of)
{
    size_t n = 0, bad = 0;
    for (size_t i = 0; i < t->n; i++)
        for (size_t k = 0; k < t->n; k++) {
            const struct look *a = &t->look[i], *b = &t->look[k];
            if (!a->attack || !b->attack || !one_model(a, of) || !one_model(b, of) ||
                strcmp(a->attack, b->attack) || strcmp(a->rest, b->rest) ||
                !same(a->seed, b->seed) || a->weakened || b->weakened || !(a->eps < b->eps) || isnan(a->score) || isnan(b->score))
                continue;
            n++;
            if (b->score > a->score + slack_eps) {
                bad++;
                finding(t, of, "eps", false,
                        arena_printf(t->arena, "%s: %.1f at eps %g, but %.1f at the "
                                     "larger %g", a->attack, a->score, a->eps,
                                     b->score, b->eps));
            }
        }
    if (n && !bad)
        finding(t, of, "eps", true,
                arena_printf(t->arena, "larger balls are no weaker in %zu pairs", n));
}

static bool in_list(const char *name, const char *const *list)
{
    for (; *list; list++)
        if (!strcmp(*list, name))
            return true;
    return false;
}

/* In every ball: the strongest of `strong` against the strongest of `weak`. */
static void check_order(struct trust *t, const struct look *of, const char *check,
                        const char *const *strong, const char *const *weak,
                        const char *good, const char *verdict)
{
    size_t n = 0, bad = 0;
    for (size_t i = 0; i < t->n; i++) {
        const struct look *w = &t->look[i], *best = NULL;
        if (!w->attack || !one_model(w, of) || !in_list(w->attack, weak) || w->weakened)
            continue;
        for (size_t k = 0; k < t->n; k++)
            if (one_ball(&t->look[k], w) && !t->look[k].weakened && in_list(t->look[k].attack, strong) &&
                (!best || t->look[k].score < best->score))
                best = &t->look[k];
        if (!best || isnan(best->score) || isnan(w->score))
            continue;
        n++;
        if (w->score < best->score - slack) {
            bad++;
            finding(t, of, check, false,
                    arena_printf(t->arena, "%s leaves %.1f, %s %.1f (%s, eps %g): %s",
                                 w->attack, w->score, best->attack, best->score,
                                 w->norm, w->eps, verdict));
        }
    }
    if (n && !bad)
        finding(t, of, check, true, arena_printf(t->arena, "%s in %zu cases", good, n));
}

/* One attack in one ball on one model; `steady`: whatever its restarts. */
static bool one_attack(const struct look *a, const struct look *b, bool steady)
{
    return one_model(a, b) && a->attack && b->attack && !strcmp(a->attack, b->attack) &&
           (a->eps == b->eps || (isnan(a->eps) && isnan(b->eps))) && !isnan(a->score) &&
           !isnan(b->score) &&
           (steady ? !strcmp(a->steady, b->steady) : !strcmp(a->rest, b->rest));
}

/* Cells that differ in nothing but the seed: how far apart they are. */
static void check_seeds(struct trust *t, const struct look *of)
{
    for (size_t i = 0; i < t->n; i++) {
        const struct look *l = &t->look[i];
        double least = l->score, most = l->score;
        uint32_t seeds = 1;
        bool first = one_model(l, of);
        for (size_t k = 0; k < t->n && first; k++) {
            const struct look *b = &t->look[k];
            if (k == i || !one_attack(l, b, false))
                continue;
            first = k > i;
            least = fmin(least, b->score);
            most = fmax(most, b->score);
            seeds++;
        }
        if (!first || seeds < 2)
            continue;
        bool good = most - least <= slack_spread;
        finding(t, of, "seeds", good,
                arena_printf(t->arena, "%s (eps %g): %.1f to %.1f over %u seeds%s", l->attack,
                             l->eps, least, most, seeds,
                             good ? "" : ": more restarts or steps are needed"));
    }
}

/* More random starts of one seed leave no more, and how much less. */
static void check_restarts(struct trust *t, const struct look *of)
{
    for (size_t i = 0; i < t->n; i++)
        for (size_t k = 0; k < t->n; k++) {
            const struct look *a = &t->look[i], *b = &t->look[k];
            if (!one_model(a, of) || !one_attack(a, b, true) || !same(a->seed, b->seed) ||
                !(a->restarts < b->restarts) || a->weakened || b->weakened)
                continue;
            bool good = b->score <= a->score + slack_eps;
            finding(t, of, "restarts", good,
                    arena_printf(t->arena, "%s (eps %g): %.1f after %g restarts, %.1f after "
                                 "%g%s", a->attack, a->eps, a->score, a->restarts, b->score,
                                 b->restarts, good ? "" : ": the worst does not count"));
        }
}

static const char *const one_step[] = { "fgsm", NULL };
static const char *const many_steps[] = { "pgd", "apgd", NULL };
static const char *const white_box[] = { "fgsm", "pgd", "mi_fgsm", "apgd", "fab", "cw",
                                         NULL };
static const char *const black_box[] = { "square", NULL };
static const char *const ensemble[] = { "autoattack", NULL };
static const char *const sets[] = { "sga", NULL };
static const char *const pairs[] = { "co_attack", "separate", NULL };
static const char *const members[] = { "apgd", "fab", "square", NULL };

static void check_model(struct trust *t, const struct look *of)
{
    check_audit(t, of);
    check_ball(t, of);
    check_eps(t, of);
    check_seeds(t, of);
    check_restarts(t, of);
    check_order(t, of, "gradient", white_box, black_box,
                "attacks with gradients are no weaker than Square",
                "gradients are masked, or the steps too few");
    check_order(t, of, "steps", many_steps, one_step,
                "many steps are no weaker than one",
                "gradients are masked, or alpha is wrong");
    check_order(t, of, "ensemble", ensemble, members,
                "autoattack is no weaker than a member",
                "a member with more steps or targets, or a fault");
    check_order(t, of, "joint", sets, pairs, "sga is no weaker than other joint attacks",
                "steps or scales do not suit the model");
}

mohs_status trust_make(struct trust *t, const char *value,
                       const struct trust_finding **out, size_t *n,
                       struct mohs_error *err)
{
    bool any = false;
    t->n_found = 0;
    for (size_t i = 0; i < t->n; i++) {
        struct look *l = &t->look[i];
        l->score = value_of(l, value ? value : "top1");
        if (!value && isnan(l->score))
            l->score = value_of(l, "i2t_r1");
        any |= !isnan(l->score);
    }
    if (value && !any)
        return mohs_fail(err, MOHS_E_ARG, "no cell has a value '%.64s'", value);
    for (size_t i = 0; i < t->n; i++) {
        bool first = t->look[i].attack != NULL;
        for (size_t k = 0; k < i && first; k++)
            first = !t->look[k].attack || !one_model(&t->look[k], &t->look[i]);
        if (first)
            check_model(t, &t->look[i]);
    }
    *out = t->found;
    *n = t->n_found;
    return MOHS_OK;
}

/* ---- the worst case -------------------------------------------------- */

/* The mean of a column in %, and of least[] where that is given. */
static double share(const struct result_samples *s, uint32_t column, double *least)
{
    double sum = 0;
    uint32_t n = 0;
    for (uint32_t r = 0; r < s->n_rows; r++) {
        double x = s->value[(size_t)r * s->n_columns + column];
        if (isnan(x))
            continue;
        if (least) {
            least[r] = fmin(least[r], x);
            x = least[r];
        }
        sum += x;
        n++;
    }
    return n ? 100 * sum / n : NAN;
}

static bool alike(const struct result_samples *a, const struct result_samples *b)
{
    bool is = a->n_rows == b->n_rows && a->n_columns == b->n_columns;
    for (uint32_t c = 0; is && c < a->n_columns; c++)
        is = !strcmp(a->columns[c], b->columns[c]);
    return is;
}

/* One column over the cells `of` ball[0..n), the first the clean one. */
static void worst_of(struct trust *t, const struct look *of,
                     const struct result_samples *s, size_t n, uint32_t column)
{
    double *least = xmalloc((s[0].n_rows + 1) * sizeof *least), single = INFINITY;
    double worst = NAN;
    for (uint32_t r = 0; r < s[0].n_rows; r++)
        least[r] = 1;
    for (size_t i = 0; i < n; i++) {
        worst = share(&s[i], column, least);
        if (i)
            single = fmin(single, share(&s[i], column, NULL));
    }
    t->worst = xrealloc(t->worst, (t->n_worst + 1) * sizeof *t->worst);
    t->worst[t->n_worst++] = (struct trust_worst) {
        .set = of->set, .model = of->model, .norm = of->norm,
        .column = arena_strdup(t->arena, s[0].columns[column]), .eps = of->eps,
        .clean = share(&s[0], column, NULL), .worst = worst, .single = single,
        .attacks = (uint32_t)n - 1,
    };
    free(least);
}

static mohs_status worst_in(struct trust *t, struct results *r, const struct look *clean,
                            const struct look *of, struct mohs_error *err)
{
    struct result_samples *s = xcalloc(t->n + 1, sizeof *s);
    size_t n = 0;
    mohs_status st = results_samples(r, clean->hash, &s[n++], err);
    for (size_t i = 0; i < t->n && st >= 0; i++)
        if (one_ball(&t->look[i], of)) {
            st = results_samples(r, t->look[i].hash, &s[n++], err);
            if (st >= 0 && !alike(&s[0], &s[n - 1]))
                results_samples_free(&s[--n]); // none stored
        }
    for (uint32_t c = 0; st >= 0 && n > 2 && c < s[0].n_columns; c++)
        if (result_is_hit(&s[0], c))
            worst_of(t, of, s, n, c);
    for (size_t i = 0; i < n; i++)
        results_samples_free(&s[i]);
    free(s);
    return st;
}

mohs_status trust_worst(struct trust *t, struct results *r,
                        const struct trust_worst **out, size_t *n,
                        struct mohs_error *err)
{
    t->n_worst = 0;
    for (size_t i = 0; i < t->n; i++) {
        const struct look *clean = NULL;
        bool first = t->look[i].attack && t->look[i].pixels && !t->look[i].budget;
        for (size_t k = 0; k < i && first; k++)
            first = !one_ball(&t->look[k], &t->look[i]);
        for (size_t k = 0; k < t->n && first; k++)
            if (!t->look[k].attack && one_model(&t->look[k], &t->look[i]))
                clean = &t->look[k];
        if (clean)
            RET_IF_ERR(worst_in(t, r, clean, &t->look[i], err));
    }
    *out = t->worst;
    *n = t->n_worst;
    return MOHS_OK;
}
