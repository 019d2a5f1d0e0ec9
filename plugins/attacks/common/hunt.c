/* SPDX-License-Identifier: MIT */
/* Rounds of trials over all samples of a victim. */
#include "hunt.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <mohs/util.h>

static mohs_status no_memory(const struct hunt *h, struct mohs_error *err)
{
    return mohs_fail(err, MOHS_E_NOMEM, "%s: no memory for %u texts", h->what, h->v->n);
}

const char *hunt_text(const struct hunt *h, uint32_t i)
{
    return h->now[i] ? h->now[i] : h->t->text[i];
}

static void drop_trials(struct hunt *h)
{
    for (uint32_t k = 0; k < h->n_trials; k++)
        free(h->text[k]);
    h->n_trials = 0;
}

void hunt_free(struct hunt *h)
{
    resume_leave(&h->resume);
    text_rows_free(&h->rows);
    drop_trials(h);
    for (uint32_t i = 0; h->now && i < h->v->n; i++)
        free(h->now[i]);
    free(h->now);
    free(h->best);
    free(h->took);
    free(h->done);
    free(h->first);
    free(h->sample);
    free(h->text);
    free(h->loss);
}

static mohs_status propose_now(struct hunt *h, uint32_t i, void *user,
                               struct mohs_error *err)
{
    (void)user;
    return hunt_try(h, i, h->t->text[i], strlen(h->t->text[i]), err);
}

mohs_status hunt_open(struct hunt *h, const char *what, struct mohs_victim *v,
                      const struct aim *aim, uint32_t edits, int keep,
                      struct mohs_error *err)
{
    size_t n = v->n;
    *h = (struct hunt) { .what = what, .v = v, .aim = *aim };
    if (MOHS_HAS(struct mohs_victim, v, get_extension))
        h->t = v->get_extension(v, MOHS_EXT_VICTIM_TEXT);
    if (!h->t)
        return mohs_fail(err, MOHS_E_UNSUPPORTED, "%s: needs samples that are texts", what);
    h->now = calloc(n + 1, sizeof *h->now);
    h->best = calloc(n + 1, sizeof *h->best);
    h->took = calloc(n + 1, sizeof *h->took);
    h->done = calloc(n + 1, 1);
    h->first = calloc(n + 2, sizeof *h->first);
    if (!h->now || !h->best || !h->took || !h->done || !h->first)
        return no_memory(h, err);
    if (!keep)
        return MOHS_OK;
    resume_init(&h->resume, v);
    if (!text_rows_make(&h->rows, h->t, v->n, edits))
        return no_memory(h, err);
    resume_part(&h->resume, &h->begun, sizeof h->begun);
    resume_part(&h->resume, h->best, n * sizeof *h->best);
    resume_part(&h->resume, h->done, n);
    resume_rows(&h->resume, h->rows.row, h->rows.width);
    return MOHS_OK;
}

/* The texts of the rows, which were filled from a state. */
static mohs_status take_rows(struct hunt *h, struct mohs_error *err)
{
    for (uint32_t i = 0; i < h->v->n; i++) {
        const char *s = text_rows_get(&h->rows, i);
        size_t bytes = s ? strlen(s) + 1 : 0;
        if (!s)
            continue;
        h->now[i] = malloc(bytes);
        if (!h->now[i])
            return no_memory(h, err);
        memcpy(h->now[i], s, bytes);
    }
    return MOHS_OK;
}

mohs_status hunt_begin(struct hunt *h, struct mohs_error *err)
{
    int32_t st = resume_enter(&h->resume, "hunt", err);
    if (st == 1)
        st = take_rows(h, err);
    if (st < 0 || h->begun)
        return st;
    st = hunt_probe(h, propose_now, NULL, err);
    for (uint32_t i = 0; st >= 0 && i < h->v->n; i++)
        h->best[i] = h->loss[i];
    h->begun = 1;
    return st < 0 ? st : hunt_point(h, err);
}

mohs_status hunt_point(struct hunt *h, struct mohs_error *err)
{
    if (!h->resume.entered)
        return MOHS_OK;
    for (uint32_t i = 0; i < h->v->n; i++)
        text_rows_put(&h->rows, i, h->now[i]);
    return h->rows.lost ? MOHS_OK : resume_point(&h->resume, 0, NULL, err);
}

mohs_status hunt_finish(struct hunt *h, struct mohs_error *err)
{
    mohs_status st = MOHS_OK;
    for (uint32_t i = 0; st >= 0 && i < h->v->n; i++)
        st = h->t->set(h->v, i, hunt_text(h, i), err);
    return st;
}

/* ---- trials ---- */

static mohs_status grow(struct hunt *h, struct mohs_error *err)
{
    uint32_t room = h->room ? 2 * h->room : 256;
    uint32_t *sample = realloc(h->sample, room * sizeof *sample);
    h->sample = sample ? sample : h->sample;
    char **text = realloc(h->text, room * sizeof *text);
    h->text = text ? text : h->text;
    float *loss = realloc(h->loss, room * sizeof *loss);
    h->loss = loss ? loss : h->loss;
    if (!sample || !text || !loss)
        return no_memory(h, err);
    h->room = room;
    return MOHS_OK;
}

mohs_status hunt_try(struct hunt *h, uint32_t i, const char *s, size_t n,
                     struct mohs_error *err)
{
    mohs_status st = h->n_trials < h->room ? MOHS_OK : grow(h, err);
    char *copy = st < 0 ? NULL : malloc(n + 1);
    if (st >= 0 && !copy)
        st = no_memory(h, err);
    if (st < 0)
        return st;
    memcpy(copy, s, n);
    copy[n] = 0;
    h->sample[h->n_trials] = i;
    h->text[h->n_trials++] = copy;
    return MOHS_OK;
}

mohs_status hunt_probe(struct hunt *h, propose_fn propose, void *user,
                       struct mohs_error *err)
{
    mohs_status st = MOHS_OK;
    drop_trials(h);
    for (uint32_t i = 0; st >= 0 && i < h->v->n; i++) {
        h->first[i] = h->n_trials;
        h->done[i] |= MOHS_HAS(struct mohs_victim, h->v, spent) && h->v->spent[i];
        if (!h->done[i])
            st = propose(h, i, user, err);
        h->first[i + 1] = h->n_trials;
    }
    if (st < 0 || !h->n_trials)
        return st;
    return h->t->pass(h->v, h->n_trials, h->sample, (const char *const *)h->text,
                      h->aim.output, h->aim.fn, h->aim.user, h->loss, err);
}

mohs_status hunt_round(struct hunt *h, propose_fn propose, void *user,
                       struct mohs_error *err)
{
    mohs_status st = hunt_probe(h, propose, user, err);
    for (uint32_t i = 0; st >= 0 && i < h->v->n; i++) {
        h->took[i] = -1;
        for (uint32_t k = h->first[i]; k < h->first[i + 1]; k++)
            if (h->loss[k] > h->best[i]) {
                h->best[i] = h->loss[k];
                h->took[i] = (int32_t)(k - h->first[i]);
            }
        if (h->took[i] < 0)
            continue;
        char **text = &h->text[h->first[i] + (uint32_t)h->took[i]];
        free(h->now[i]);
        h->now[i] = *text;
        *text = NULL;
    }
    return st;
}

uint32_t hunt_active(const struct hunt *h, uint32_t *active)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < h->v->n; i++)
        if (!h->done[i])
            active[n++] = i;
    return n;
}

void rank_falling(const float *value, uint32_t n, uint32_t *order)
{
    for (uint32_t i = 0; i < n; i++) {
        uint32_t at = i;
        for (; at > 0 && value[order[at - 1]] < value[i]; at--)
            order[at] = order[at - 1];
        order[at] = i;
    }
}
