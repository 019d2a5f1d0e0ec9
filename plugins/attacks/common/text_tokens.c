/* SPDX-License-Identifier: MIT */
/* Flips of single tokens, by their first-order gain. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <mohs/util.h>

#include "text_edits.h"

enum { ROOM = 1 << 16, /* bytes of a decoded text */
       TRIES = 16 };   /* flips looked at for each that is tried */

struct flip {
    uint32_t at;
    int32_t id;
    float gain;
};

struct work {
    const struct edits *e;
    uint32_t context, n_ids;
    uint8_t *flipped; /* n * context: positions that were flipped */
    float *gain;      /* context * n_ids, of one sample */
    int32_t *ids, *other, *again; /* context each */
    struct flip *best; /* TRIES * top_k */
    uint32_t *at;      /* n * top_k: positions of the trials */
    char *text;        /* ROOM */
    uint32_t round;    /* those done */
};

static void work_free(struct work *w)
{
    free(w->flipped);
    free(w->gain);
    free(w->ids);
    free(w->other);
    free(w->again);
    free(w->best);
    free(w->at);
    free(w->text);
}

static int work_make(struct work *w, const struct edits *e, const struct hunt *h)
{
    size_t n = h->v->n, c = h->t->context;
    *w = (struct work) { .e = e, .context = h->t->context, .n_ids = h->t->n_ids };
    w->flipped = calloc(n * c + 1, 1);
    w->gain = calloc(c * w->n_ids + 1, sizeof *w->gain);
    w->ids = calloc(c + 1, sizeof *w->ids);
    w->other = calloc(c + 1, sizeof *w->other);
    w->again = calloc(c + 1, sizeof *w->again);
    w->best = calloc((size_t)e->top_k * TRIES + 1, sizeof *w->best);
    w->at = calloc(n * e->top_k + 1, sizeof *w->at);
    w->text = malloc(ROOM);
    return w->flipped && w->gain && w->ids && w->other && w->again && w->best && w->at &&
           w->text;
}

/* The `most` flips of the highest gain, falling; equal ones in order of
 * position and id. Never the first token, the end or what was flipped. */
static uint32_t best_flips(const struct work *w, const uint8_t *flipped, uint32_t last,
                           struct flip *best, uint32_t most)
{
    uint32_t n = 0;
    for (uint32_t t = 1; t < last; t++)
        for (uint32_t id = 0; !flipped[t] && id < w->n_ids; id++) {
            float gain = w->gain[(size_t)t * w->n_ids + id];
            if ((int32_t)id == w->ids[t] || (int32_t)id == w->ids[0] ||
                (int32_t)id == w->ids[last] || !isfinite(gain) ||
                (n == most && gain <= best[n - 1].gain))
                continue;
            uint32_t at = n < most ? n++ : n - 1;
            for (; at > 0 && best[at - 1].gain < gain; at--)
                best[at] = best[at - 1];
            best[at] = (struct flip) { t, (int32_t)id, gain };
        }
    return n;
}

/* Whether the flipped tokens have a text that gives them; it is in w->text. */
static mohs_status spell(struct hunt *h, struct work *w, const struct flip *f,
                         uint32_t last, int *good, struct mohs_error *err)
{
    uint32_t end;
    memcpy(w->other, w->ids, w->context * sizeof *w->ids);
    w->other[f->at] = f->id;
    *good = h->t->decode(h->v, last, w->other, ROOM, w->text, NULL) >= 0;
    if (!*good)
        return MOHS_OK;
    mohs_status st = h->t->encode(h->v, w->text, w->again, &end, err);
    *good = st >= 0 && end == last &&
            !memcmp(w->again, w->other, ((size_t)last + 1) * sizeof *w->again);
    return st;
}

static mohs_status propose(struct hunt *h, uint32_t i, void *user, struct mohs_error *err)
{
    struct work *w = user;
    const uint8_t *flipped = w->flipped + (size_t)i * w->context;
    uint32_t last, tried = 0;
    mohs_status st = h->t->encode(h->v, hunt_text(h, i), w->ids, &last, err);
    if (st >= 0)
        st = h->t->flips(h->v, i, w->gain, err);
    uint32_t n = st < 0 ? 0 : best_flips(w, flipped, last, w->best, TRIES * w->e->top_k);
    for (uint32_t k = 0; st >= 0 && k < n && tried < w->e->top_k; k++) {
        int good;
        st = spell(h, w, &w->best[k], last, &good, err);
        if (st < 0 || !good)
            continue;
        w->at[(size_t)i * w->e->top_k + tried++] = w->best[k].at;
        st = hunt_try(h, i, w->text, strlen(w->text), err);
    }
    return st;
}

/* The gradients at the tokens of the texts as they are. */
static mohs_status gradients(struct hunt *h, uint32_t n, const uint32_t *active,
                             struct mohs_error *err)
{
    mohs_status st = MOHS_OK;
    for (uint32_t k = 0; st >= 0 && k < n; k++)
        st = h->t->set(h->v, active[k], hunt_text(h, active[k]), err);
    if (st >= 0)
        st = h->v->pass(h->v, n, active, h->aim.output, h->aim.fn, h->aim.user, NULL, 1,
                        err);
    return st;
}

mohs_status edit_tokens(const struct edits *e, struct hunt *h, struct mohs_error *err)
{
    struct mohs_site site = { .size = sizeof site };
    uint32_t n = h->v->n, *active = malloc(((size_t)n + 1) * sizeof *active), left;
    struct work w;
    mohs_status st = h->v->site(h->v, "text.token", &site, err);
    if (!work_make(&w, e, h) || !active)
        st = mohs_fail(err, MOHS_E_NOMEM, "%s: no memory for %u texts", h->what, n);
    if (st >= 0) {
        resume_part(&h->resume, &w.round, sizeof w.round);
        resume_part(&h->resume, w.flipped, (size_t)n * w.context);
        st = hunt_begin(h, err);
    }
    while (st >= 0 && w.round < e->most && (left = hunt_active(h, active))) {
        st = gradients(h, left, active, err);
        if (st >= 0)
            st = hunt_round(h, propose, &w, err);
        for (uint32_t i = 0; st >= 0 && i < n; i++) {
            h->done[i] |= h->took[i] < 0;
            if (!h->done[i])
                w.flipped[(size_t)i * w.context +
                          w.at[(size_t)i * e->top_k + (uint32_t)h->took[i]]] = 1;
        }
        w.round++;
        if (st >= 0)
            st = hunt_point(h, err);
    }
    resume_leave(&h->resume);
    work_free(&w);
    free(active);
    return st;
}
