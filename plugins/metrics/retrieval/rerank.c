/* SPDX-License-Identifier: MIT */
/*
 * The second stage of ranking (Li et al. 2021, ALBEF; Li et al. 2022, BLIP):
 * the first k candidates of each query by similarity are ranked anew by the
 * model's matching head; all others stay below them, in their order.
 *
 * Candidates equal to number k are taken too: index order never decides. So
 * the similarities are made twice, first for the k-th largest of each query,
 * then for the pairs at or above it; their values do not depend on tiles.
 */
#include "retrieval.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- the k-th largest of each query ---- */

/* Min-heaps of the k largest so far. */
struct heaps {
    uint32_t k, *n;
    float *v; /* k a query */
};

static mohs_status heaps_new(struct heaps *h, uint32_t queries, uint32_t k,
                             struct mohs_error *err)
{
    h->k = k;
    h->n = calloc((size_t)queries + 1, sizeof *h->n);
    h->v = malloc(((size_t)queries * k + 1) * sizeof *h->v);
    return h->n && h->v ? MOHS_OK
                        : mohs_fail(err, MOHS_E_NOMEM,
                                    "retrieval: no memory for the first %u of %u queries", k,
                                    queries);
}

static void heaps_free(struct heaps *h)
{
    free(h->n);
    free(h->v);
}

static void sift_down(float *v, uint32_t n)
{
    for (uint32_t i = 0, j; (j = 2 * i + 1) < n; i = j) {
        j += j + 1 < n && v[j + 1] < v[j];
        if (v[i] <= v[j])
            break;
        float x = v[i];
        v[i] = v[j];
        v[j] = x;
    }
}

static void heap_add(struct heaps *h, uint32_t query, float x)
{
    float *v = h->v + (size_t)query * h->k;
    uint32_t n = h->n[query];
    if (n == h->k) {
        if (x <= v[0])
            return;
        v[0] = x;
        sift_down(v, n);
        return;
    }
    for (; n && v[(n - 1) / 2] > x; n = (n - 1) / 2)
        v[n] = v[(n - 1) / 2];
    v[n] = x;
    h->n[query]++;
}

static float threshold(const struct heaps *h, uint32_t query)
{
    return h->v[(size_t)query * h->k];
}

/* ---- pairs ---- */

enum { OF_IMAGE = 1, OF_TEXT = 2 }; /* whose first k a pair is among */

struct pairs {
    uint32_t *image, *text;
    float *score; /* the similarity, then what is ranked by */
    uint8_t *side;
    uint64_t n, cap;
};

static void pairs_free(struct pairs *p)
{
    free(p->image);
    free(p->text);
    free(p->score);
    free(p->side);
}

/* Old contents survive; old memory is freed by pairs_free() in any case. */
static int grow(void *at, uint64_t count, size_t size)
{
    void *old, *p;
    memcpy(&old, at, sizeof old);
    p = realloc(old, (size_t)count * size);
    if (p)
        memcpy(at, &p, sizeof p);
    return p != NULL;
}

static mohs_status pairs_add(struct pairs *p, uint32_t image, uint32_t text,
                             float score, uint8_t side, struct mohs_error *err)
{
    if (p->n == p->cap) {
        uint64_t cap = p->cap ? 2 * p->cap : 4096;
        if (!grow(&p->image, cap, sizeof *p->image) ||
            !grow(&p->text, cap, sizeof *p->text) ||
            !grow(&p->score, cap, sizeof *p->score) || !grow(&p->side, cap, 1))
            return mohs_fail(err, MOHS_E_NOMEM, "retrieval: no memory for %llu pairs",
                             (unsigned long long)cap);
        p->cap = cap;
    }
    p->image[p->n] = image;
    p->text[p->n] = text;
    p->score[p->n] = score;
    p->side[p->n++] = side;
    return MOHS_OK;
}

/* ---- both passes over the similarities ---- */

struct first {
    struct work *w;
    struct heaps image, text;
    struct pairs pairs;
};

/* Images without captions ask nothing. */
static int asks(const struct work *w, uint32_t image)
{
    return w->image.own[image] > 0;
}

static mohs_status note_row(struct first *f, uint32_t i, const float *row,
                            struct mohs_error *err)
{
    uint32_t nt = f->w->e->n_texts;
    (void)err;
    for (uint32_t t = 0; t < nt; t++) {
        heap_add(&f->text, t, row[t]);
        if (asks(f->w, i))
            heap_add(&f->image, i, row[t]);
    }
    return MOHS_OK;
}

static mohs_status take_row(struct first *f, uint32_t i, const float *row,
                            struct mohs_error *err)
{
    uint32_t nt = f->w->e->n_texts;
    float from = asks(f->w, i) ? threshold(&f->image, i) : INFINITY;
    for (uint32_t t = 0; t < nt; t++) {
        int side = (row[t] >= from ? OF_IMAGE : 0) |
                   (row[t] >= threshold(&f->text, t) ? OF_TEXT : 0);
        mohs_status st =
            side ? pairs_add(&f->pairs, i, t, row[t], (uint8_t)side, err) : MOHS_OK;
        if (st < 0)
            return st;
    }
    return MOHS_OK;
}

static mohs_status each_row(struct first *f,
                            mohs_status (*fn)(struct first *f, uint32_t i,
                                              const float *row, struct mohs_error *err),
                            struct mohs_error *err)
{
    struct work *w = f->w;
    uint32_t ni = w->e->n_images, nt = w->e->n_texts;
    mohs_status st = MOHS_OK;
    for (uint32_t i0 = 0; i0 < ni && st >= 0; i0 += w->rows) {
        uint32_t end = ni - i0 < w->rows ? ni : i0 + w->rows;
        st = w->e->similarity(w->e, i0, end, 0, nt, w->tile, err);
        for (uint32_t i = i0; i < end && st >= 0; i++)
            st = fn(f, i, w->tile + (size_t)(i - i0) * nt, err);
    }
    return st;
}

/* ---- ranking anew ---- */

/* What a pair is ranked by, from its logits and its similarity. The logit of
 * softmax's probability has its order, but is not rounded to 1. */
static float ranked_by(const struct retrieval *r, const struct mohs_eval *e,
                       const float *logit, float similarity)
{
    float match = logit[e->pair_match], most = -INFINITY;
    double sum = 0;
    if (r->rerank_by == RERANK_SUM)
        return match + similarity;
    if (r->rerank_by == RERANK_MATCH)
        return match;
    for (uint32_t k = 0; k < e->n_pair_scores; k++)
        most = k != e->pair_match && logit[k] > most ? logit[k] : most;
    for (uint32_t k = 0; k < e->n_pair_scores; k++)
        sum += k == e->pair_match ? 0 : exp((double)logit[k] - (double)most);
    return sum > 0 ? (float)((double)match - (double)most - log(sum)) : match;
}

static mohs_status score_all(struct first *f, struct mohs_error *err)
{
    const struct mohs_eval *e = f->w->e;
    struct pairs *p = &f->pairs;
    float *logit = malloc(((size_t)p->n * e->n_pair_scores + 1) * sizeof *logit);
    if (!logit)
        return mohs_fail(err, MOHS_E_NOMEM, "retrieval: no memory for %llu pairs",
                         (unsigned long long)p->n);
    mohs_status st = e->pair_scores(e, p->n, p->image, p->text, logit, err);
    for (uint64_t i = 0; i < p->n && st >= 0; i++) {
        p->score[i] = ranked_by(f->w->r, e, logit + i * e->n_pair_scores, p->score[i]);
        if (isnan(p->score[i]))
            st = mohs_fail(err, MOHS_E_NUMERIC,
                           "retrieval: the score of image %u with text %u is not a number",
                           p->image[i], p->text[i]);
    }
    free(logit);
    return st;
}

/* Counts of the queries of one side that have a positive among their pairs. */
static mohs_status count_anew(const struct work *w, const struct pairs *p, int side,
                              struct counts *c, uint32_t queries,
                              struct mohs_error *err)
{
    const uint32_t *query = side == OF_IMAGE ? p->image : p->text;
    float *best = malloc(((size_t)queries + 1) * sizeof *best);
    if (!best)
        return mohs_fail(err, MOHS_E_NOMEM, "retrieval: no memory for %u queries", queries);
    for (uint32_t q = 0; q < queries; q++)
        best[q] = -INFINITY;
    for (uint64_t i = 0; i < p->n; i++) {
        uint32_t q = query[i];
        if (!(p->side[i] & side) || w->e->owner[p->text[i]] != p->image[i])
            continue;
        best[q] = p->score[i] > best[q] ? p->score[i] : best[q];
        c->above[q] = c->equal[q] = c->own[q] = 0;
    }
    for (uint64_t i = 0; i < p->n; i++) {
        uint32_t q = query[i];
        if (!(p->side[i] & side) || best[q] == -INFINITY)
            continue;
        c->above[q] += p->score[i] > best[q];
        c->equal[q] += p->score[i] == best[q];
        c->own[q] += p->score[i] == best[q] && w->e->owner[p->text[i]] == p->image[i];
    }
    free(best);
    return MOHS_OK;
}

mohs_status rerank(struct work *w, struct mohs_error *err)
{
    const struct mohs_eval *e = w->e;
    uint32_t ni = e->n_images, nt = e->n_texts, k = w->r->rerank;
    struct first f = { .w = w };
    if (!MOHS_HAS(struct mohs_eval, e, pair_scores) || !e->pair_scores)
        return mohs_fail(err, MOHS_E_UNSUPPORTED,
                         "retrieval: rerank is %u, but the model has no matching head (%s)",
                         k, MOHS_EXT_PAIR_SCORES);
    mohs_status st = heaps_new(&f.image, ni, k < nt ? k : nt, err);
    if (st >= 0)
        st = heaps_new(&f.text, nt, k < ni ? k : ni, err);
    if (st >= 0)
        st = each_row(&f, note_row, err);
    if (st >= 0)
        st = each_row(&f, take_row, err);
    if (st >= 0)
        st = score_all(&f, err);
    if (st >= 0)
        st = count_anew(w, &f.pairs, OF_IMAGE, &w->image, ni, err);
    if (st >= 0)
        st = count_anew(w, &f.pairs, OF_TEXT, &w->text, nt, err);
    heaps_free(&f.image);
    heaps_free(&f.text);
    pairs_free(&f.pairs);
    return st;
}

uint64_t rerank_pairs(const struct retrieval *r, uint32_t n_images,
                      uint32_t n_texts)
{
    uint64_t k = r->rerank, ni = n_images, nt = n_texts;
    uint64_t n = ni * (k < nt ? k : nt) + nt * (k < ni ? k : ni);
    return n < ni * nt ? n : ni * nt; // a pair of both directions counts once
}
