/* SPDX-License-Identifier: MIT */
/* Counting, budgets, and the state extension of victims. */
#include "config.h"

#include "eval/guard.h"

#include <stdlib.h>
#include <string.h>

#include <mohs/ext/victim_text.h>

struct guard {
    struct mohs_victim pub;
    struct mohs_victim *inner;
    struct guard_options o;
    // what a killed process leaves to the next, one entry a sample
    uint32_t *forward, *backward;
    uint8_t *spent;
    double seconds; /* before this process */
    double began;
    double used;    /* all, at the last point */
    bool framed, resumed;
    uint64_t repeated;
    uint32_t *live, *dead; /* scratch: positions in a request */
    uint32_t *sample;
    float *loss;
    const struct mohs_victim_text *inner_text;
    struct mohs_victim_text text;
    struct mohs_site *site; /* those opened through this */
    size_t n_sites;
    struct guard *other; /* of the images' captions, or of the captions' images */
};

static struct guard *of(const struct mohs_victim *v)
{
    return v->ctx;
}

/* ---- budgets ---- */

static double used_s(const struct guard *g)
{
    return g->seconds + now_s() - g->began;
}

static bool is_spent(const struct guard *g, uint32_t i, bool late)
{
    uint64_t most = g->o.budget.max_queries;
    return g->spent[i] || late || (most && g->forward[i] >= most);
}

/* What the scores of a clean sample are. */
static void clean_scores(const struct guard *g, uint32_t i, float *out)
{
    uint32_t dim = g->pub.dim;
    const float *e = g->pub.clean_embed + (size_t)i * dim;
    for (uint32_t j = 0; j < g->pub.n_candidates; j++) {
        const float *c = g->o.candidate + (size_t)j * dim;
        double s = 0;
        for (uint32_t k = 0; k < dim; k++)
            s += (double)e[k] * c[k];
        out[j] = (float)(s * (double)g->o.scale + (double)g->o.bias);
    }
}

/* The pass of a sample whose budget is spent. */
static mohs_status clean_pass(struct guard *g, uint32_t i, uint32_t output,
                              mohs_loss_fn fn, void *user, float *loss, bool gradient,
                              struct mohs_error *err)
{
    bool scores = output == MOHS_OUT_SCORES;
    uint32_t m = scores ? g->pub.n_candidates : g->pub.dim;
    float *out = try_calloc(2 * (size_t)m, sizeof *out, "scores", err);
    if (!out)
        return MOHS_E_NOMEM;
    if (scores)
        clean_scores(g, i, out);
    else
        memcpy(out, g->pub.clean_embed + (size_t)i * m, m * sizeof *out);
    mohs_status st = fn(user, 1, &i, m, out, loss, gradient ? out + m : NULL, err);
    free(out);
    for (size_t k = 0; gradient && k < g->n_sites; k++) {
        const struct mohs_site *s = &g->site[k];
        size_t c = (size_t)s->tokens * s->width;
        memset(s->grad + i * c, 0, c * sizeof *s->grad);
    }
    return st;
}

/* Passes that begin; what is kept of them is known at the next point. */
static void tally(const struct guard *g, uint32_t n)
{
    if (g->o.state)
        state_tally_set(g->o.state, state_tally(g->o.state) + n);
}

static mohs_status live_pass(struct guard *g, uint32_t n, const uint32_t *sample,
                             uint32_t output, mohs_loss_fn fn, void *user, float *loss,
                             int32_t gradient, struct mohs_error *err)
{
    tally(g, n);
    RET_IF_ERR(g->inner->pass(g->inner, n, sample, output, fn, user, loss, gradient,
                              err));
    for (uint32_t j = 0; j < n; j++) {
        g->forward[sample[j]]++;
        g->backward[sample[j]] += gradient != 0;
    }
    return MOHS_OK;
}

static mohs_status pass(struct mohs_victim *v, uint32_t n, const uint32_t *sample,
                        uint32_t output, mohs_loss_fn fn, void *user, float *loss,
                        int32_t gradient, struct mohs_error *err)
{
    struct guard *g = of(v);
    uint32_t live = 0, dead = 0;
    bool late = g->o.budget.max_seconds > 0 && used_s(g) >= g->o.budget.max_seconds;
    if (!v->spent)
        return live_pass(g, n, sample, output, fn, user, loss, gradient, err);
    if (output > MOHS_OUT_EMBED || n > v->n)
        return mohs_fail(err, MOHS_E_ARG, "victim: output %u of %u samples", output, n);
    for (uint32_t j = 0; j < n; j++) {
        if (sample[j] >= v->n)
            return mohs_fail(err, MOHS_E_ARG, "victim: sample %u of %u", sample[j], v->n);
        if (is_spent(g, sample[j], late)) {
            g->spent[sample[j]] = 1;
            g->dead[dead++] = j;
        } else {
            g->sample[live] = sample[j];
            g->live[live++] = j;
        }
    }
    if (live)
        RET_IF_ERR(live_pass(g, live, g->sample, output, fn, user, g->loss, gradient,
                             err));
    for (uint32_t j = 0; loss && j < live; j++)
        loss[g->live[j]] = g->loss[j];
    for (uint32_t j = 0; j < dead; j++) {
        float one = 0;
        RET_IF_ERR(clean_pass(g, sample[g->dead[j]], output, fn, user, &one,
                              gradient != 0, err));
        if (loss)
            loss[g->dead[j]] = one;
    }
    return MOHS_OK;
}

static mohs_status site(struct mohs_victim *v, const char *tap, struct mohs_site *out,
                        struct mohs_error *err)
{
    struct guard *g = of(v);
    RET_IF_ERR(g->inner->site(g->inner, tap, out, err));
    for (size_t k = 0; k < g->n_sites; k++)
        if (g->site[k].grad == out->grad)
            return MOHS_OK;
    g->site = xrealloc(g->site, (g->n_sites + 1) * sizeof *g->site);
    g->site[g->n_sites++] = *out;
    return MOHS_OK;
}

/* ---- trials of other texts ---- */

static mohs_status trials(struct mohs_victim *v, uint32_t n, const uint32_t *sample,
                          const char *const *text, uint32_t output, mohs_loss_fn fn,
                          void *user, float *loss, struct mohs_error *err)
{
    struct guard *g = of(v);
    bool late = g->o.budget.max_seconds > 0 && used_s(g) >= g->o.budget.max_seconds;
    uint32_t *live = xcalloc(n + 1, sizeof *live), m = 0;
    const char **of_live = xcalloc(n + 1, sizeof *of_live);
    float *value = xcalloc(n + 1, sizeof *value), *out = loss ? loss : value;
    mohs_status st = MOHS_OK;
    for (uint32_t j = 0; st >= 0 && j < n; j++) {
        uint32_t i = sample[j];
        if (i >= v->n || output > MOHS_OUT_EMBED) {
            st = mohs_fail(err, MOHS_E_ARG, "victim: sample %u of %u, output %u", i, v->n,
                           output);
        } else if (v->spent && is_spent(g, i, late)) {
            g->spent[i] = 1;
            st = clean_pass(g, i, output, fn, user, &out[j], false, err);
        } else {
            g->forward[i]++;
            live[m] = i;
            of_live[m++] = text[j];
        }
    }
    if (st >= 0)
        tally(g, m);
    if (st >= 0 && m == n) {
        st = g->inner_text->pass(g->inner, n, sample, text, output, fn, user, loss, err);
    } else if (st >= 0 && m) {
        float *some = xcalloc(m, sizeof *some);
        st = g->inner_text->pass(g->inner, m, live, of_live, output, fn, user, some, err);
        for (uint32_t j = 0, k = 0; st >= 0 && k < m; j++)
            if (text[j] == of_live[k] && sample[j] == live[k])
                out[j] = some[k++];
        free(some);
    }
    free(live);
    free(of_live);
    free(value);
    return st;
}

static mohs_status set_text(struct mohs_victim *v, uint32_t sample, const char *text,
                            struct mohs_error *err)
{
    struct guard *g = of(v);
    return g->inner_text->set(g->inner, sample, text, err);
}

static mohs_status encode(struct mohs_victim *v, const char *text, int32_t *ids,
                          uint32_t *last, struct mohs_error *err)
{
    struct guard *g = of(v);
    return g->inner_text->encode(g->inner, text, ids, last, err);
}

static mohs_status decode(struct mohs_victim *v, uint32_t n, const int32_t *ids,
                          size_t room, char *out, struct mohs_error *err)
{
    struct guard *g = of(v);
    return g->inner_text->decode(g->inner, n, ids, room, out, err);
}

static mohs_status flips(struct mohs_victim *v, uint32_t sample, float *gain,
                         struct mohs_error *err)
{
    struct guard *g = of(v);
    return g->inner_text->flips(g->inner, sample, gain, err);
}

/* The inner table with functions that find the inner victim. */
static const struct mohs_victim_text *text_api(struct guard *g)
{
    g->inner_text = g->inner->get_extension(g->inner, MOHS_EXT_VICTIM_TEXT);
    if (!g->inner_text)
        return NULL;
    g->text = *g->inner_text;
    g->text.pass = trials;
    g->text.set = set_text;
    g->text.encode = encode;
    g->text.decode = decode;
    g->text.flips = flips;
    return &g->text;
}

/* ---- state ---- */

static int32_t enter(struct mohs_victim *v, const char *name,
                     const struct mohs_state_part *part, uint32_t n,
                     struct mohs_error *err)
{
    return state_enter(of(v)->o.state, name, part, n, err);
}

static void leave(struct mohs_victim *v)
{
    state_leave(of(v)->o.state);
}

static mohs_status point(struct mohs_victim *v, uint32_t n, const uint32_t *sample,
                         struct mohs_error *err)
{
    struct guard *g = of(v);
    g->used = used_s(g);
    if (g->other)
        g->other->used = used_s(g->other);
    return state_point(g->o.state, n, sample, err);
}

static const void *extension(struct mohs_victim *v, const char *id)
{
    static const struct mohs_attack_state_api state = { sizeof state, enter, leave,
                                                        point };
    struct guard *g = of(v);
    if (!strcmp(id, MOHS_EXT_ATTACK_STATE))
        return g->o.state ? &state : NULL;
    if (!MOHS_HAS(struct mohs_victim, g->inner, get_extension))
        return NULL;
    return strcmp(id, MOHS_EXT_VICTIM_TEXT) ? g->inner->get_extension(g->inner, id)
                                            : text_api(g);
}

enum { COUNTS = 4 };

static void counts_of(struct guard *g, struct mohs_state_part part[COUNTS])
{
    size_t n = g->pub.n;
    part[0] = (struct mohs_state_part) { g->forward, n * sizeof *g->forward, 0 };
    part[1] = (struct mohs_state_part) { g->backward, n * sizeof *g->backward, 0 };
    part[2] = (struct mohs_state_part) { g->spent, n, 0 };
    part[3] = (struct mohs_state_part) { &g->used, sizeof g->used, 0 };
}

static uint64_t passes_of(const struct guard *g)
{
    uint64_t n = 0;
    for (uint32_t i = 0; g && i < g->pub.n; i++)
        n += g->forward[i];
    return n;
}

/* The host's own frame, outside of the attack's. */
static mohs_status frame(struct guard *g, struct mohs_error *err)
{
    struct mohs_state_part part[2 * COUNTS];
    struct guard *also = g->o.also;
    counts_of(g, part);
    if (also)
        counts_of(also, part + COUNTS);
    int32_t st = state_enter(g->o.state, "host", part, also ? 2 * COUNTS : COUNTS, err);
    if (st < 0)
        return st;
    g->framed = true;
    g->resumed = st == 1;
    g->seconds = g->used;
    if (also) {
        also->seconds = also->used;
        also->o.state = g->o.state;
        also->other = g;
        g->other = also;
    }
    uint64_t kept = passes_of(g) + passes_of(also), done = state_tally(g->o.state);
    g->repeated = g->resumed && done > kept ? done - kept : 0;
    state_tally_set(g->o.state, kept);
    return MOHS_OK;
}

/* ---- life ---- */

mohs_status guard_new(struct mohs_victim *inner, const struct guard_options *o,
                      struct guard **out, struct mohs_error *err)
{
    struct guard *g = xcalloc(1, sizeof *g);
    size_t n = inner->n;
    g->inner = inner;
    g->o = *o;
    g->began = now_s();
    g->forward = xcalloc(n + 1, sizeof *g->forward);
    g->backward = xcalloc(n + 1, sizeof *g->backward);
    g->spent = xcalloc(n + 1, 1);
    g->live = xcalloc(n + 1, sizeof *g->live);
    g->dead = xcalloc(n + 1, sizeof *g->dead);
    g->sample = xcalloc(n + 1, sizeof *g->sample);
    g->loss = xcalloc(n + 1, sizeof *g->loss);
    g->pub = *inner;
    g->pub.size = sizeof g->pub;
    g->pub.ctx = g;
    g->pub.site = site;
    g->pub.pass = pass;
    g->pub.get_extension = extension;
    g->pub.spent = budget_any(&o->budget) ? g->spent : NULL;
    mohs_status st = o->state ? frame(g, err) : MOHS_OK;
    if (st < 0) {
        guard_free(g);
        return st;
    }
    *out = g;
    return MOHS_OK;
}

void guard_free(struct guard *g)
{
    if (!g)
        return;
    if (g->framed)
        state_leave(g->o.state);
    if (g->framed && g->other) { // has no state of its own
        g->other->o.state = NULL;
        g->other->other = NULL;
    }
    free(g->forward);
    free(g->backward);
    free(g->spent);
    free(g->live);
    free(g->dead);
    free(g->sample);
    free(g->loss);
    free(g->site);
    free(g);
}

struct mohs_victim *guard_victim(struct guard *g)
{
    return &g->pub;
}

struct guard_count guard_count(const struct guard *g, uint32_t i)
{
    return (struct guard_count) { g->forward[i], g->backward[i], g->spent[i] };
}

uint64_t guard_repeated(const struct guard *g)
{
    return g->repeated;
}

bool guard_resumed(const struct guard *g)
{
    return g->resumed;
}
