/* SPDX-License-Identifier: MIT */
/* Checks of attacks on the analytic victim of check_victim.c. */
#include "config.h"

#include "plugin/check_words.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { N = 6 };
static const uint64_t run_seed = 20240607;

static mohs_status create(struct check_run *c, const void *params, void **self,
                          struct mohs_error *err)
{
    const struct mohs_attack_ops *ops = c->it->item->ops;
    return ops->create(c->host, params, self, err);
}

static void destroy(struct check_run *c, void *self)
{
    const struct mohs_attack_ops *ops = c->it->item->ops;
    ops->destroy(self);
    scratch_reset();
}

/* ---- parameters ---- */

static const struct mohs_param *param_named(const struct check_run *c,
                                            const char *name)
{
    const struct mohs_param *p;
    for (size_t i = 0; (p = item_param(c->it, i)); i++)
        if (!strcmp(p->name, name))
            return p;
    return NULL;
}

/* The taps of a list that belong to one side, as the host splits them. */
static void keep_side(const struct check_run *c, void *params, int side)
{
    const struct mohs_param *p = param_named(c, "tap");
    if (!p || p->type != MOHS_P_STRING)
        return;
    char *list = xstrdup(p->def_text ? p->def_text : ""), *save = NULL;
    struct str kept = { 0 };
    for (char *t = strtok_r(list, ", ", &save); t;
         t = strtok_r(NULL, ", ", &save)) {
        bool text = !strncmp(t, "text.", 5);
        if (text == (side == MOCK_TEXT))
            str_addf(&kept, "%s%s", kept.n ? "," : "", t);
    }
    if (kept.n)
        item_param_set_text(c->it, params, p->name, kept.s, NULL);
    str_free(&kept);
    free(list);
}

static double eps_of(const struct check_run *c, const void *params)
{
    const struct mohs_param *p = param_named(c, "eps");
    float x = NAN;
    if (p && p->type == MOHS_P_FLOAT)
        memcpy(&x, (const char *)params + p->offset, sizeof x);
    return (double)x;
}

static uint32_t flags_of(const struct check_run *c)
{
    const struct mohs_attack_ops *ops = c->it->item->ops;
    return ops->flags;
}

static const char *const budgets[] = { "max_words", "max_tokens", "max_chars",
                                       "max_edits", NULL };

/* Allows no edits of texts. */
static mohs_status forbid_edits(const struct check_run *c, void *params,
                                struct mohs_error *err)
{
    for (const char *const *b = budgets; *b; b++)
        if (param_named(c, *b))
            RET_IF_ERR(item_param_set_number(c->it, params, *b, 0, err));
    return MOHS_OK;
}

/* ---- one run ---- */

struct attack {
    struct instance in;
    int side;
};

/* Makes an instance for a side, with eps set when eps is a number. */
static mohs_status attack_open(struct check_run *c, int side, double eps,
                               struct attack *a, struct mohs_error *err)
{
    void *params = item_params_new(c->it);
    keep_side(c, params, side);
    mohs_status st = MOHS_OK;
    a->side = side;
    if (!isnan(eps))
        st = param_named(c, "eps")
                 ? item_param_set_number(c->it, params, "eps", eps, err)
                 : MOHS_OK;
    if (st >= 0 && eps == 0)
        st = forbid_edits(c, params, err);
    if (st >= 0)
        return instance_make(c, params, create, &a->in, err);
    item_params_free(c->it, params);
    return st;
}

static void attack_close(struct check_run *c, struct attack *a)
{
    destroy(c, a->in.self);
    instance_free(c, &a->in);
}

static mohs_status attack_run(struct check_run *c, struct attack *a,
                              struct mohs_victim *v, uint64_t seed,
                              struct mohs_error *err)
{
    const struct mohs_attack_ops *ops = c->it->item->ops;
    mohs_status st = ops->run(a->in.self, v, seed, err);
    scratch_reset();
    return st;
}

/* An attack that learns first does so from all samples. */
static mohs_status attack_learn(struct check_run *c, struct attack *a, uint64_t seed,
                                struct mohs_error *err)
{
    struct mohs_victim *all = mock_new(a->side, 0, N);
    mohs_status st = attack_fit_whole(c->it->item->ops, a->in.self, all, seed, err);
    scratch_reset();
    mock_free(all);
    return st;
}

/* Runs the attack with eps (NAN: the default) on samples [first, first + n)
 * of a side. *v is the caller's. */
static mohs_status strike(struct check_run *c, int side, double eps,
                          uint32_t first, uint32_t n, uint64_t seed,
                          struct mohs_victim **v, struct mohs_error *err)
{
    struct attack a;
    *v = NULL;
    RET_IF_ERR(attack_open(c, side, eps, &a, err));
    mohs_status st = attack_learn(c, &a, seed, err);
    *v = mock_new(side, first, n);
    if (st >= 0)
        st = attack_run(c, &a, *v, seed, err);
    attack_close(c, &a);
    if (st < 0) {
        mock_free(*v);
        *v = NULL;
    }
    return st;
}

/* Images, or texts when the attack's taps are theirs; -1: neither. */
static int side_of(struct check_run *c)
{
    struct mohs_error err = MOHS_ERROR_INIT, other = MOHS_ERROR_INIT;
    struct mohs_victim *v;
    bool texts = flags_of(c) & MOHS_ATTACK_TEXT;
    if (!texts && strike(c, MOCK_IMAGE, NAN, 0, 1, run_seed, &v, &err) >= 0) {
        mock_free(v);
        return MOCK_IMAGE;
    }
    if (strike(c, MOCK_TEXT, NAN, 0, 1, run_seed, &v, &other) >= 0) {
        mock_free(v);
        return MOCK_TEXT;
    }
    const char *why = texts || (!err.text[0] && other.text[0]) ? other.text : err.text;
    check_fail(c, "run: %s", *why ? why : "failed without a text");
    return -1;
}

/* As strike(), and it has to work. */
static struct mohs_victim *must(struct check_run *c, int side, double eps,
                                uint32_t first, uint32_t n, uint64_t seed)
{
    struct mohs_victim *v;
    struct mohs_error err = MOHS_ERROR_INIT;
    mohs_status st = strike(c, side, eps, first, n, seed, &v, &err);
    check_status(c, "run", st, &err);
    return v;
}

static bool delta_same(struct mohs_victim *a, size_t ia, struct mohs_victim *b,
                       size_t ib)
{
    const struct mohs_site *x, *y;
    for (size_t s = 0; (x = mock_site(a, s)); s++) {
        size_t n = (size_t)x->tokens * x->width;
        y = mock_site(b, s);
        if (!y || strcmp(x->tap, y->tap) ||
            memcmp(x->delta + ia * n, y->delta + ib * n, n * sizeof(float)))
            return false;
    }
    return !mock_site(b, 0) == !mock_site(a, 0);
}

/* The texts of sample i, or of image i's captions; NULL where none are
 * replaced. */
static struct mohs_victim *texts_of(const struct check_run *c, struct mohs_victim *v,
                                    size_t i, uint32_t *from, uint32_t *to)
{
    uint32_t flags = flags_of(c);
    *from = (uint32_t)i;
    *to = *from + 1;
    if (flags & MOHS_ATTACK_PAIR) {
        *from = v->positive_first[i];
        *to = v->positive_first[i + 1];
        return mock_captions(v);
    }
    return flags & MOHS_ATTACK_TEXT ? v : NULL;
}

static bool text_same(const struct check_run *c, struct mohs_victim *a, size_t ia,
                      struct mohs_victim *b, size_t ib)
{
    uint32_t from, to, at, end;
    struct mohs_victim *x = texts_of(c, a, ia, &from, &to);
    struct mohs_victim *y = texts_of(c, b, ib, &at, &end);
    for (; x && y && from < to; from++, at++)
        if (strcmp(mock_text(x, from, false), mock_text(y, at, false)))
            return false;
    return !x == !y;
}

static bool sample_same(const struct check_run *c, struct mohs_victim *a, size_t ia,
                        struct mohs_victim *b, size_t ib)
{
    return delta_same(a, ia, b, ib) && text_same(c, a, ia, b, ib);
}

static bool all_same(const struct check_run *c, struct mohs_victim *a,
                     struct mohs_victim *b)
{
    for (size_t i = 0; i < a->n; i++)
        if (!sample_same(c, a, i, b, i))
            return false;
    return true;
}

/* ---- the checks ---- */

static bool run_params(struct check_run *c)
{
    return check_params(c, create, destroy);
}

static uint32_t changed_texts(const struct check_run *c, struct mohs_victim *v)
{
    uint32_t n = 0, from, to;
    for (size_t i = 0; i < v->n; i++) {
        struct mohs_victim *t = texts_of(c, v, i, &from, &to);
        for (; t && from < to; from++)
            n += strcmp(mock_text(t, from, false), mock_text(t, from, true)) != 0;
    }
    return n;
}

/* Finite, inside [lo, hi], nothing on padding; and something happened. */
static bool site_inside(struct check_run *c, const struct mohs_victim *v,
                        const struct mohs_site *s, double *most)
{
    size_t n = (size_t)s->tokens * s->width;
    for (size_t k = 0; k < n * v->n; k++) {
        double d = (double)s->delta[k], x = (double)s->clean[k] + d;
        if (!isfinite(d))
            return check_fail(c, "%s: delta %zu is not finite", s->tap, k);
        if (x < (double)s->lo - 1e-6 || x > (double)s->hi + 1e-6)
            return check_fail(c, "%s: clean + delta is %g, outside %g..%g",
                              s->tap, x, (double)s->lo, (double)s->hi);
        if (s->mask && !s->mask[k / s->width] && d != 0)
            return check_fail(c, "%s: perturbs a padding token", s->tap);
        if (fabs(d) > *most)
            *most = fabs(d);
    }
    return true;
}

static bool run_range(struct check_run *c)
{
    int side = side_of(c);
    if (side < 0)
        return false;
    struct mohs_victim *v = must(c, side, NAN, 0, N, run_seed);
    const struct mohs_site *s;
    double most = 0;
    bool ok = v != NULL;
    struct str taps = { 0 };
    for (size_t i = 0; ok && (s = mock_site(v, i)); i++) {
        ok = site_inside(c, v, s, &most);
        str_addf(&taps, " %s", s->tap);
    }
    uint32_t changed = ok ? changed_texts(c, v) : 0;
    bool texts = flags_of(c) & MOHS_ATTACK_TEXT;
    if (ok && !texts && most == 0)
        ok = check_fail(c, "perturbs nothing at its defaults");
    if (ok && (flags_of(c) & (MOHS_ATTACK_TEXT | MOHS_ATTACK_PAIR)) && !changed)
        ok = check_fail(c, "changes no text at its defaults");
    if (ok && texts)
        check_note(c, "%u texts changed", changed);
    else if (ok)
        check_note(c, "sites:%s, largest delta %.4g%s", taps.s ? taps.s : " none", most,
                   changed ? ", and texts" : "");
    str_free(&taps);
    mock_free(v);
    return ok;
}

static bool run_zero(struct check_run *c)
{
    const struct mohs_param *p = param_named(c, "eps");
    int side = side_of(c);
    if (side < 0)
        return false;
    bool edits = flags_of(c) & (MOHS_ATTACK_TEXT | MOHS_ATTACK_PAIR);
    if (!edits && (!p || p->type != MOHS_P_FLOAT))
        return check_note(c, "has no number eps");
    if (p && p->min > 0)
        return check_fail(c, "eps cannot be 0 (its least is %g)", p->min);
    struct mohs_victim *v = must(c, side, 0, 0, N, run_seed);
    const struct mohs_site *s;
    bool ok = v != NULL;
    for (size_t i = 0; ok && (s = mock_site(v, i)); i++)
        for (size_t k = 0; ok && k < (size_t)s->tokens * s->width * v->n; k++)
            if (s->delta[k] != 0)
                ok = check_fail(c, "eps = 0 leaves a delta of %g at %s",
                                (double)s->delta[k], s->tap);
    if (ok && changed_texts(c, v))
        ok = check_fail(c, "a budget of 0 edits leaves %u texts changed",
                        changed_texts(c, v));
    mock_free(v);
    return ok;
}

/* The choice of `norm` by name: "linf", "l2", "l1", or NULL. */
static const char *norm_of(const struct check_run *c)
{
    const struct mohs_param *p = param_named(c, "norm");
    return p && p->type == MOHS_P_CHOICE ? p->choices[(int)p->def] : NULL;
}

/* At pixels eps is absolute: max, Euclidean or sum norm of a sample. At inner
 * taps it is relative, so a sample's L2 norm is at most eps times its own. */
static bool sample_in_ball(struct check_run *c, const struct mohs_site *s,
                           size_t i, const char *norm, double eps)
{
    size_t n = (size_t)s->tokens * s->width;
    double top = 0, sum = 0, square = 0, clean = 0;
    for (size_t k = i * n; k < (i + 1) * n; k++) {
        double d = fabs((double)s->delta[k]);
        top = d > top ? d : top;
        sum += d;
        square += d * d;
        clean += (double)s->clean[k] * (double)s->clean[k];
    }
    bool pixels = !strcmp(s->tap, "pixels");
    double size, most = eps * (pixels ? 1 : sqrt(clean));
    if (!strcmp(norm, "l2"))
        size = sqrt(square);
    else if (pixels && !strcmp(norm, "linf"))
        size = top;
    else if (pixels && !strcmp(norm, "l1"))
        size = sum;
    else
        return true;
    if (size <= most * (1 + 1e-4) + 1e-6)
        return true;
    return check_fail(c, "%s: sample %zu has %s norm %.6g, eps allows %.6g",
                      s->tap, i, norm, size, most);
}

static bool run_ball(struct check_run *c)
{
    const char *norm = norm_of(c);
    int side = side_of(c);
    if (side < 0)
        return false;
    void *params = item_params_new(c->it);
    double eps = eps_of(c, params);
    item_params_free(c->it, params);
    if (!norm || isnan(eps))
        return check_note(c, "has no number eps with a choice norm");
    struct mohs_victim *v = must(c, side, NAN, 0, N, run_seed);
    const struct mohs_site *s;
    bool ok = v != NULL;
    for (size_t k = 0; ok && (s = mock_site(v, k)); k++)
        for (size_t i = 0; ok && i < N; i++)
            ok = sample_in_ball(c, s, i, norm, eps);
    mock_free(v);
    return ok && check_note(c, "%s, eps %.4g", norm, eps);
}

/* Edits of one text, in what parameter `unit` or the name of the budget says. */
static bool text_in_budget(struct check_run *c, const char *unit, double most,
                           const char *clean, const char *now)
{
    int32_t a[MOCK_CONTEXT], b[MOCK_CONTEXT];
    uint32_t last_a, last_b;
    size_t made;
    mock_encode(clean, a, &last_a);
    mock_encode(now, b, &last_b);
    made = !strcmp(unit, "words")    ? edits_words(clean, now)
           : !strcmp(unit, "tokens") ? edits_ids(a, last_a + 1, b, last_b + 1)
                                     : edits_chars(clean, now);
    if ((double)made <= most)
        return true;
    return check_fail(c, "\"%.60s\" became \"%.60s\": %zu %s, the budget is %g", clean,
                      now, made, unit, most);
}

static bool run_budget(struct check_run *c)
{
    const struct mohs_param *unit = param_named(c, "unit"), *p = NULL;
    const char *word = NULL;
    for (const char *const *b = budgets; *b && !p; b++)
        if ((p = param_named(c, *b)))
            word = *b + 4;
    if (!(flags_of(c) & (MOHS_ATTACK_TEXT | MOHS_ATTACK_PAIR)))
        return check_note(c, "replaces no texts");
    if (p && !strcmp(word, "edits"))
        word = unit && unit->type == MOHS_P_CHOICE ? unit->choices[(int)unit->def] : NULL;
    if (!p || p->type != MOHS_P_INT || !word)
        return check_fail(c, "has no whole number max_words, max_tokens, max_chars, or "
                          "max_edits with a choice unit");
    int side = side_of(c);
    struct mohs_victim *v = side < 0 ? NULL : must(c, side, NAN, 0, N, run_seed);
    bool ok = v != NULL;
    for (size_t i = 0; ok && i < N; i++) {
        uint32_t from, to;
        struct mohs_victim *t = texts_of(c, v, i, &from, &to);
        for (; ok && t && from < to; from++)
            ok = text_in_budget(c, word, p->def, mock_text(t, from, true),
                                mock_text(t, from, false));
    }
    mock_free(v);
    return ok && check_note(c, "%g %s", p->def, word);
}

/* One that follows gradients makes things worse for the victim. */
static bool run_loss(struct check_run *c)
{
    const struct mohs_attack_ops *ops = c->it->item->ops;
    int side = side_of(c);
    if (side < 0)
        return false;
    struct mohs_victim *clean = mock_new(side, 0, N);
    struct mohs_victim *v = must(c, side, NAN, 0, N, run_seed);
    bool ok = v != NULL;
    if (ok) {
        bool pair = flags_of(c) & MOHS_ATTACK_PAIR;
        double before = pair ? mock_distance(clean) : mock_loss(clean);
        double after = pair ? mock_distance(v) : mock_loss(v);
        if ((ops->flags & (MOHS_ATTACK_GRADIENT | MOHS_ATTACK_TEXT)) && after < before - 1e-6)
            ok = check_fail(c, "lowers the victim's loss from %.4f to %.4f",
                            before, after);
        else
            check_note(c, "victim's loss %.4f to %.4f", before, after);
    }
    mock_free(v);
    mock_free(clean);
    return ok;
}

static bool run_determinism(struct check_run *c)
{
    struct attack a;
    struct mohs_error err = MOHS_ERROR_INIT;
    int side = side_of(c);
    if (side < 0)
        return false;
    if (!check_status(c, "create", attack_open(c, side, NAN, &a, &err), &err))
        return false;
    struct mohs_victim *x = mock_new(side, 0, N), *y = mock_new(side, 0, N);
    struct mohs_victim *between = mock_new(side, 7, 2);
    struct mohs_victim *fresh = must(c, side, NAN, 0, N, run_seed);
    bool ok =
        fresh &&
        check_status(c, "fit", attack_learn(c, &a, run_seed, &err), &err) &&
        check_status(c, "run", attack_run(c, &a, x, run_seed, &err), &err) &&
        check_status(c, "run", attack_run(c, &a, between, 5, &err), &err) &&
        check_status(c, "run", attack_run(c, &a, y, run_seed, &err), &err);
    if (ok && !all_same(c, x, y))
        ok = check_fail(c, "two runs of one instance differ");
    if (ok && !all_same(c, x, fresh))
        ok = check_fail(c, "a used and a fresh instance differ");
    mock_free(x);
    mock_free(y);
    mock_free(between);
    mock_free(fresh);
    attack_close(c, &a);
    return ok;
}

static bool run_batch(struct check_run *c)
{
    int side = side_of(c);
    if (side < 0)
        return false;
    struct mohs_victim *all = must(c, side, NAN, 0, N, run_seed);
    bool ok = all != NULL;
    for (uint32_t i = 0; i < N && ok; i++) {
        struct mohs_victim *one = must(c, side, NAN, i, 1, run_seed);
        ok = one != NULL;
        if (ok && !sample_same(c, all, i, one, 0))
            ok = check_fail(c, "sample %u differs in a batch of %d and alone",
                            i, N);
        mock_free(one);
    }
    mock_free(all);
    return ok;
}

static bool run_seed_check(struct check_run *c)
{
    const struct mohs_attack_ops *ops = c->it->item->ops;
    bool random = ops->flags & MOHS_ATTACK_STOCHASTIC;
    int side = side_of(c);
    if (side < 0)
        return false;
    struct mohs_victim *a = must(c, side, NAN, 0, N, run_seed);
    struct mohs_victim *b = a ? must(c, side, NAN, 0, N, run_seed + 1) : NULL;
    bool ok = a && b;
    if (ok && !random && !all_same(c, a, b))
        ok = check_fail(c, "depends on the seed without the stochastic flag");
    else if (ok && random)
        check_note(c, "stochastic; another seed gives %s",
                   all_same(c, a, b) ? "the same deltas at these defaults"
                                  : "other deltas");
    mock_free(a);
    mock_free(b);
    return ok;
}

const struct check attack_checks[] = {
    { "params", run_params },
    { "range", run_range },
    { "zero", run_zero },
    { "ball", run_ball },
    { "budget", run_budget },
    { "loss", run_loss },
    { "determinism", run_determinism },
    { "batch", run_batch },
    { "seed", run_seed_check },
    { 0 },
};
