/* SPDX-License-Identifier: MIT */
/* Words for synonyms, the most important first. */
#include <stdlib.h>
#include <string.h>

#include <mohs/util.h>

#include "text_edits.h"

struct word {
    size_t lead, from, to; /* white space before it; the word: bytes of the text */
    char (*candidate)[WORDNET_WORD]; /* for its letters */
    uint32_t n_candidates;
    size_t letters_from, letters_to; /* within the word */
};

/* How far a sentence is; of a killed search it is kept. */
struct progress {
    uint32_t next, changed;
};

struct sentence {
    struct word *word;
    uint32_t n, n_order;   /* words; those with candidates */
    uint32_t *order;       /* n: words with candidates */
    uint32_t *as;          /* n: 0, or the candidate in a word's place and 1 */
    struct progress *at;
};

struct work {
    const struct edits *e;
    struct sentence *of; /* by sample */
    uint32_t *order, *as; /* of all words of all samples */
    struct progress *at;  /* by sample */
    uint32_t n_words, ordered;
};

static const char space[] = " \t\n\r\f\v";

static uint32_t count_words(const char *s)
{
    uint32_t n = 0;
    while (*(s += strspn(s, space))) {
        s += strcspn(s, space);
        n++;
    }
    return n;
}

/* Single words only: the budget is in words. */
static int find_candidates(const struct edits *e, const char *s, struct word *w)
{
    struct synonyms found;
    if (!synonyms_find(e->wordnet, s + w->from, w->to - w->from, e->senses, &found))
        return 1;
    w->candidate = malloc(found.n * sizeof *w->candidate);
    if (!w->candidate)
        return 0;
    for (size_t i = 0; i < found.n && w->n_candidates < e->top_k; i++)
        if (!strchr(found.word[i], ' '))
            memcpy(w->candidate[w->n_candidates++], found.word[i], WORDNET_WORD);
    w->letters_from = found.from;
    w->letters_to = found.to;
    return 1;
}

/* out->n, order, as and at are there. */
static int sentence_make(const struct edits *e, const char *s, struct sentence *out)
{
    out->word = calloc(out->n + 1, sizeof *out->word);
    if (!out->word)
        return 0;
    size_t at = 0;
    for (uint32_t k = 0; k < out->n; k++) {
        struct word *w = &out->word[k];
        w->lead = at;
        w->from = at + strspn(s + at, space);
        w->to = at = w->from + strcspn(s + w->from, space);
        if (!find_candidates(e, s, w))
            return 0;
        if (w->n_candidates)
            out->order[out->n_order++] = k;
    }
    return 1;
}

static int work_make(struct work *w, const struct edits *e, const struct hunt *h)
{
    uint32_t n = h->v->n, words = 0;
    *w = (struct work) { .e = e };
    w->of = calloc((size_t)n + 1, sizeof *w->of);
    w->at = calloc((size_t)n + 1, sizeof *w->at);
    for (uint32_t i = 0; w->of && i < n; i++)
        w->n_words += w->of[i].n = count_words(h->t->text[i]);
    w->order = calloc((size_t)w->n_words + 1, sizeof *w->order);
    w->as = calloc((size_t)w->n_words + 1, sizeof *w->as);
    if (!w->of || !w->at || !w->order || !w->as)
        return 0;
    for (uint32_t i = 0; i < n; i++) {
        struct sentence *x = &w->of[i];
        x->order = w->order + words;
        x->as = w->as + words;
        x->at = &w->at[i];
        words += x->n;
        if (!sentence_make(e, h->t->text[i], x))
            return 0;
    }
    return 1;
}

static void work_free(struct work *w, uint32_t n)
{
    for (uint32_t i = 0; w->of && i < n; i++) {
        for (uint32_t k = 0; w->of[i].word && k < w->of[i].n; k++)
            free(w->of[i].word[k].candidate);
        free(w->of[i].word);
    }
    free(w->of);
    free(w->at);
    free(w->order);
    free(w->as);
}

/* The text with what was replaced, and with word `at` left out or, when `as`
 * is not NULL, replaced by it; to be freed. */
static char *spell(const char *s, const struct sentence *x, uint32_t at, const char *as)
{
    size_t room = strlen(s) + 1;
    for (uint32_t k = 0; k < x->n; k++)
        room += WORDNET_WORD;
    char *out = malloc(room), *p = out;
    for (uint32_t k = 0; p && k < x->n; k++) {
        const struct word *w = &x->word[k];
        const char *put = k == at      ? as
                          : x->as[k] ? w->candidate[x->as[k] - 1]
                                     : NULL;
        size_t a = w->lead, b = w->to;
        if (k == at && !as)
            continue;
        if (put) {
            b = w->from + w->letters_from;
            memcpy(p, s + a, b - a);
            p += b - a;
            memcpy(p, put, strlen(put));
            p += strlen(put);
            a = w->from + w->letters_to;
            b = w->to;
        }
        memcpy(p, s + a, b - a);
        p += b - a;
    }
    if (p)
        *p = 0;
    return out;
}

static mohs_status try_spelling(struct hunt *h, uint32_t i, const struct sentence *x,
                                uint32_t at, const char *as, struct mohs_error *err)
{
    char *text = spell(h->t->text[i], x, at, as);
    mohs_status st = text ? hunt_try(h, i, text, strlen(text), err)
                          : mohs_fail(err, MOHS_E_NOMEM, "%s: no memory", h->what);
    free(text);
    return st;
}

static mohs_status leave_out(struct hunt *h, uint32_t i, void *user, struct mohs_error *err)
{
    const struct work *w = user;
    const struct sentence *x = &w->of[i];
    mohs_status st = MOHS_OK;
    for (uint32_t k = 0; st >= 0 && k < x->n_order; k++)
        st = try_spelling(h, i, x, x->order[k], NULL, err);
    return st;
}

static mohs_status replace_next(struct hunt *h, uint32_t i, void *user,
                                struct mohs_error *err)
{
    const struct work *w = user;
    const struct sentence *x = &w->of[i];
    uint32_t at = x->order[x->at->next];
    mohs_status st = MOHS_OK;
    for (uint32_t k = 0; st >= 0 && k < x->word[at].n_candidates; k++)
        st = try_spelling(h, i, x, at, x->word[at].candidate[k], err);
    return st;
}

static mohs_status order_words(struct hunt *h, struct work *w, struct mohs_error *err)
{
    mohs_status st = hunt_probe(h, leave_out, w, err);
    for (uint32_t i = 0; st >= 0 && i < h->v->n; i++) {
        struct sentence *x = &w->of[i];
        uint32_t *rank = malloc((x->n_order + 1) * sizeof *rank);
        if (!rank)
            return mohs_fail(err, MOHS_E_NOMEM, "%s: no memory", h->what);
        rank_falling(h->loss + h->first[i], x->n_order, rank);
        for (uint32_t k = 0; k < x->n_order; k++)
            rank[k] = x->order[rank[k]];
        memcpy(x->order, rank, x->n_order * sizeof *rank);
        free(rank);
        h->done[i] = !x->n_order;
    }
    w->ordered = 1;
    return st < 0 ? st : hunt_point(h, err);
}

static mohs_status replace_round(struct hunt *h, struct work *w, struct mohs_error *err)
{
    mohs_status st = hunt_round(h, replace_next, w, err);
    for (uint32_t i = 0; st >= 0 && i < h->v->n; i++) {
        struct sentence *x = &w->of[i];
        if (h->done[i])
            continue;
        uint32_t word = x->order[x->at->next++];
        if (h->took[i] >= 0) {
            x->as[word] = (uint32_t)h->took[i] + 1;
            x->at->changed++;
        }
        h->done[i] = x->at->next == x->n_order || x->at->changed == w->e->most;
    }
    return st < 0 ? st : hunt_point(h, err);
}

mohs_status edit_words(const struct edits *e, struct hunt *h, struct mohs_error *err)
{
    uint32_t n = h->v->n, *active = malloc(((size_t)n + 1) * sizeof *active);
    struct work w;
    mohs_status st = MOHS_OK;
    if (!work_make(&w, e, h) || !active)
        st = mohs_fail(err, MOHS_E_NOMEM, "%s: no memory for %u texts", h->what, n);
    resume_part(&h->resume, &w.ordered, sizeof w.ordered);
    resume_part(&h->resume, w.order, w.n_words * sizeof *w.order);
    resume_part(&h->resume, w.as, w.n_words * sizeof *w.as);
    resume_part(&h->resume, w.at, n * sizeof *w.at);
    if (st >= 0)
        st = hunt_begin(h, err);
    if (st >= 0 && !w.ordered)
        st = order_words(h, &w, err);
    while (st >= 0 && hunt_active(h, active))
        st = replace_round(h, &w, err);
    resume_leave(&h->resume);
    work_free(&w, n);
    free(active);
    return st;
}
