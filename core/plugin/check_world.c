/* SPDX-License-Identifier: MIT */
/* The world of metrics' checks: embeddings about classes, scores at random. */
#include "config.h"

#include "plugin/check_world.h"

#include <math.h>
#include <string.h>

static const char *const factor_names[N_FACTORS] = { "pose", "background", "smaller" };

static mohs_status similarity(const struct mohs_eval *e, uint32_t i0,
                              uint32_t i1, uint32_t t0, uint32_t t1, float *out,
                              struct mohs_error *err)
{
    if (i0 > i1 || i1 > e->n_images || t0 > t1 || t1 > e->n_texts)
        return mohs_fail(err, MOHS_E_ARG,
                         "similarity: tile %u..%u x %u..%u of %u x %u", i0, i1,
                         t0, t1, e->n_images, e->n_texts);
    for (uint32_t i = i0; i < i1; i++)
        for (uint32_t t = t0; t < t1; t++) {
            float s = 0;
            for (uint32_t k = 0; k < e->dim; k++)
                s = fmaf(e->image[i * e->dim + k], e->text[t * e->dim + k], s);
            out[(size_t)(i - i0) * (t1 - t0) + t - t0] = s;
        }
    return MOHS_OK;
}

/* Of pairs of the series, whatever their numbers here. */
static mohs_status pair_scores(const struct mohs_eval *e, uint64_t n,
                               const uint32_t *image, const uint32_t *text,
                               float *out, struct mohs_error *err)
{
    struct world *w = e->ctx;
    for (uint64_t k = 0; k < n; k++) {
        if (image[k] >= e->n_images || text[k] >= e->n_texts)
            return mohs_fail(err, MOHS_E_ARG, "pair_scores: pair %u, %u of %u x %u",
                             image[k], text[k], e->n_images, e->n_texts);
        if (w->asked == w->most)
            return mohs_fail(err, MOHS_E_DEVICE, "pair_scores: the head is lost");
        uint32_t i = (image[k] + w->turn) % N_IMAGES;
        uint32_t t = (text[k] + 2 * w->turn) % N_TEXTS;
        bool *seen = &w->seen[image[k] * N_TEXTS + text[k]];
        w->twice += *seen;
        *seen = true;
        w->asked++;
        for (uint32_t s = 0; s < N_PAIR_SCORES; s++)
            out[k * N_PAIR_SCORES + s] =
                3 * mohs_rng_normal(12 + w->key, i * N_TEXTS + t, s);
    }
    return MOHS_OK;
}

static void draw(float *v, const float *near, float spread, uint64_t key)
{
    double norm = 0;
    for (uint32_t k = 0; k < DIM; k++) {
        v[k] = (near ? near[k] : 0) + spread * mohs_rng_normal(11, key, k);
        norm += (double)v[k] * v[k];
    }
    for (uint32_t k = 0; k < DIM; k++)
        v[k] = (float)(v[k] / sqrt(norm));
}

void world_make(struct world *w, int task, uint32_t turn)
{
    float classes[N_CLASSES * DIM];
    memset(w, 0, sizeof *w);
    w->e.size = sizeof w->e;
    w->e.n_images = N_IMAGES;
    w->e.dim = DIM;
    w->e.image = w->image;
    w->e.text = w->text;
    w->e.logit_scale = 20;
    w->e.similarity = similarity;
    w->e.ctx = w;
    w->turn = turn;
    w->most = UINT64_MAX;
    for (uint32_t k = 0; k < N_CLASSES; k++)
        draw(&classes[k * DIM], NULL, 1, 900 + k);
    for (uint32_t i = 0; i < N_IMAGES; i++) {
        uint32_t src = (i + turn) % N_IMAGES;
        float *v = &w->image[i * DIM];
        w->label[i] = src % N_CLASSES;
        for (uint32_t f = 0; f < N_FACTORS; f++)
            w->factor[i * N_FACTORS + f] = src % 6 == 5 ? 255 : src % (f + 2) == 0;
        draw(v, &classes[w->label[i] * DIM], task == CLASSES ? 0.35f : 0.6f,
             src);
        for (uint32_t t = 0; t < 2; t++) {
            w->owner[2 * i + t] = i;
            draw(&w->text[(2 * i + t) * DIM], v, 0.25f, 100 + 2 * src + t);
        }
    }
    if (task == CLASSES) {
        memcpy(w->text, classes, sizeof classes);
        w->e.n_texts = N_CLASSES;
        w->e.label = w->label;
        w->e.n_factors = N_FACTORS;
        w->e.factor_name = factor_names;
        w->e.factor = w->factor;
    } else {
        w->e.n_texts = N_TEXTS;
        w->e.owner = w->owner;
        w->e.n_pair_scores = N_PAIR_SCORES;
        w->e.pair_match = PAIR_MATCH;
        w->e.pair_scores = pair_scores;
    }
}
