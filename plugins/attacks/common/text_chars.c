/* SPDX-License-Identifier: MIT */
/* Edits of single characters, at the places that matter most. */
#include <stdlib.h>
#include <string.h>

#include <mohs/util.h>

#include "text_edits.h"

/*
 * Places of a text of m characters: 2k is before character k, 2k + 1 is
 * character k, 2m is the end (Charmer's expanded text).
 */
struct work {
    const struct edits *e;
    uint32_t *place; /* n * positions: the best ones of each sample */
    uint32_t *n_places;
    uint32_t round, placed; /* rounds done; the places of the next are known */
};

static size_t char_bytes(const char *s)
{
    size_t n = 1;
    while (((unsigned char)s[n] & 0xC0) == 0x80)
        n++;
    return n;
}

static uint32_t count_chars(const char *s)
{
    uint32_t m = 0;
    for (; *s; s += char_bytes(s))
        m++;
    return m;
}

/* Bytes [from, to) of a place; empty for one between characters. */
static void place_bytes(const char *s, uint32_t place, size_t *from, size_t *to)
{
    const char *p = s;
    for (uint32_t k = 0; k < place / 2; k++)
        p += char_bytes(p);
    *from = (size_t)(p - s);
    *to = *from + (place % 2 ? char_bytes(p) : 0);
}

/* Tries the text with bytes [from, to) replaced. */
static mohs_status try_splice(struct hunt *h, uint32_t i, size_t from, size_t to,
                              const char *put, size_t n_put, struct mohs_error *err)
{
    const char *s = hunt_text(h, i);
    size_t n = strlen(s), tail = n - to;
    char *text = malloc(n + n_put + 1);
    if (!text)
        return mohs_fail(err, MOHS_E_NOMEM, "%s: no memory", h->what);
    memcpy(text, s, from);
    memcpy(text + from, put, n_put);
    memcpy(text + from + n_put, s + to, tail);
    mohs_status st = hunt_try(h, i, text, from + n_put + tail, err);
    free(text);
    return st;
}

static mohs_status probe_places(struct hunt *h, uint32_t i, void *user,
                                struct mohs_error *err)
{
    const char *s = hunt_text(h, i);
    uint32_t places = 2 * count_chars(s) + 1;
    mohs_status st = MOHS_OK;
    (void)user;
    for (uint32_t p = 0; st >= 0 && p < places; p++) {
        size_t from, to;
        place_bytes(s, p, &from, &to);
        st = try_splice(h, i, from, to, " ", 1, err);
    }
    return st;
}

static mohs_status edit_at(struct hunt *h, const struct work *w, uint32_t i, uint32_t place,
                           struct mohs_error *err)
{
    const char *s = hunt_text(h, i);
    size_t from, to;
    mohs_status st = MOHS_OK;
    place_bytes(s, place, &from, &to);
    for (const char *c = w->e->alphabet; st >= 0 && *c; c++)
        if (to != from + 1 || s[from] != *c)
            st = try_splice(h, i, from, to, c, 1, err);
    if (st < 0 || from == to)
        return st;
    if (strlen(s) > to - from)
        st = try_splice(h, i, from, to, "", 0, err);
    size_t next = s[to] ? char_bytes(s + to) : 0;
    if (st < 0 || !next || (next == to - from && !memcmp(s + from, s + to, next)))
        return st;
    char two[16];
    if (next + to - from > sizeof two)
        return MOHS_OK;
    memcpy(two, s + to, next);
    memcpy(two + next, s + from, to - from);
    return try_splice(h, i, from, to + next, two, next + to - from, err);
}

static mohs_status edit_places(struct hunt *h, uint32_t i, void *user,
                               struct mohs_error *err)
{
    const struct work *w = user;
    mohs_status st = MOHS_OK;
    for (uint32_t k = 0; st >= 0 && k < w->n_places[i]; k++)
        st = edit_at(h, w, i, w->place[(size_t)i * w->e->positions + k], err);
    return st;
}

static mohs_status find_places(struct hunt *h, struct work *w, struct mohs_error *err)
{
    mohs_status st = hunt_probe(h, probe_places, NULL, err);
    for (uint32_t i = 0; st >= 0 && i < h->v->n; i++) {
        uint32_t n = h->first[i + 1] - h->first[i];
        uint32_t *rank = malloc(((size_t)n + 1) * sizeof *rank);
        if (!rank)
            return mohs_fail(err, MOHS_E_NOMEM, "%s: no memory", h->what);
        rank_falling(h->loss + h->first[i], n, rank);
        w->n_places[i] = n < w->e->positions ? n : w->e->positions;
        memcpy(w->place + (size_t)i * w->e->positions, rank,
               w->n_places[i] * sizeof *rank);
        free(rank);
    }
    w->placed = 1;
    return st < 0 ? st : hunt_point(h, err);
}

static mohs_status edit_round(struct hunt *h, struct work *w, struct mohs_error *err)
{
    mohs_status st = hunt_round(h, edit_places, w, err);
    for (uint32_t i = 0; st >= 0 && i < h->v->n; i++)
        h->done[i] |= h->took[i] < 0;
    w->placed = 0;
    w->round++;
    return st < 0 ? st : hunt_point(h, err);
}

mohs_status edit_chars(const struct edits *e, struct hunt *h, struct mohs_error *err)
{
    size_t n = h->v->n;
    struct work w = { .e = e,
                      .place = calloc(n * e->positions + 1, sizeof *w.place),
                      .n_places = calloc(n + 1, sizeof *w.n_places) };
    mohs_status st = MOHS_OK;
    if (!w.place || !w.n_places)
        st = mohs_fail(err, MOHS_E_NOMEM, "%s: no memory for %u texts", h->what, h->v->n);
    resume_part(&h->resume, &w.round, sizeof w.round);
    resume_part(&h->resume, &w.placed, sizeof w.placed);
    resume_part(&h->resume, w.place, n * e->positions * sizeof *w.place);
    resume_part(&h->resume, w.n_places, n * sizeof *w.n_places);
    if (st >= 0)
        st = hunt_begin(h, err);
    while (st >= 0 && w.round < e->most)
        st = w.placed ? edit_round(h, &w, err) : find_places(h, &w, err);
    resume_leave(&h->resume);
    free(w.place);
    free(w.n_places);
    return st;
}
