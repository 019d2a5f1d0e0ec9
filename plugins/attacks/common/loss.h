/* SPDX-License-Identifier: MIT */
/* Losses that attacks climb, as mohs_loss_fn: value and d loss / d output. */
#ifndef ATTACKS_LOSS_H
#define ATTACKS_LOSS_H

#include <math.h>

#include <mohs/attack.h>

enum { LOSS_CROSS_ENTROPY = 0, LOSS_MARGIN, LOSS_EMBEDDING };
#define LOSS_CHOICES { "cross_entropy", "margin", "embedding", NULL }
#define LOSS_DOC "what is increased: cross_entropy over the candidates, margin " \
    "of the best wrong candidate, distance from the clean embedding"

static inline int loss_is_positive(const struct mohs_victim *v, uint32_t sample,
                                   uint32_t candidate)
{
    for (uint32_t p = v->positive_first[sample]; p < v->positive_first[sample + 1]; p++)
        if (v->positive[p] == candidate)
            return 1;
    return 0;
}

/* -log of the softmax mass on the positives. */
static inline mohs_status loss_cross_entropy(void *user, uint32_t n,
                                             const uint32_t *sample, uint32_t m,
                                             const float *out, float *loss, float *dout,
                                             struct mohs_error *err)
{
    const struct mohs_victim *v = user;
    (void)err;
    for (uint32_t i = 0; i < n; i++) {
        const float *z = out + (size_t)i * m;
        double top = -INFINITY, all = 0, own = 0, own_top = -INFINITY;
        uint32_t p0 = v->positive_first[sample[i]], p1 = v->positive_first[sample[i] + 1];
        for (uint32_t j = 0; j < m; j++)
            top = z[j] > top ? z[j] : top;
        for (uint32_t j = 0; j < m; j++)
            all += exp(z[j] - top);
        for (uint32_t p = p0; p < p1; p++)
            own_top = z[v->positive[p]] > own_top ? z[v->positive[p]] : own_top;
        for (uint32_t p = p0; p < p1; p++)
            own += exp(z[v->positive[p]] - own_top);
        loss[i] = (float)(top + log(all) - own_top - log(own));
        if (!dout)
            continue;
        float *d = dout + (size_t)i * m;
        for (uint32_t j = 0; j < m; j++)
            d[j] = (float)(exp(z[j] - top) / all);
        for (uint32_t p = p0; p < p1; p++)
            d[v->positive[p]] -= (float)(exp(z[v->positive[p]] - own_top) / own);
    }
    return MOHS_OK;
}

/* Best wrong candidate minus best right one (Carlini & Wagner 2017). */
static inline mohs_status loss_margin(void *user, uint32_t n, const uint32_t *sample,
                                      uint32_t m, const float *out, float *loss,
                                      float *dout, struct mohs_error *err)
{
    const struct mohs_victim *v = user;
    (void)err;
    for (uint32_t i = 0; i < n; i++) {
        const float *z = out + (size_t)i * m;
        uint32_t right = v->positive[v->positive_first[sample[i]]], wrong = m;
        for (uint32_t p = v->positive_first[sample[i]];
             p < v->positive_first[sample[i] + 1]; p++)
            if (z[v->positive[p]] > z[right])
                right = v->positive[p];
        for (uint32_t j = 0; j < m; j++)
            if ((wrong == m || z[j] > z[wrong]) && !loss_is_positive(v, sample[i], j))
                wrong = j;
        loss[i] = wrong == m ? 0 : z[wrong] - z[right];
        if (!dout)
            continue;
        for (uint32_t j = 0; j < m; j++)
            dout[(size_t)i * m + j] = 0;
        if (wrong < m) {
            dout[(size_t)i * m + wrong] = 1;
            dout[(size_t)i * m + right] = -1;
        }
    }
    return MOHS_OK;
}

/* Squared distance from the clean embedding (FARE: Schlarmann et al. 2024). */
static inline mohs_status loss_embedding(void *user, uint32_t n, const uint32_t *sample,
                                         uint32_t m, const float *out, float *loss,
                                         float *dout, struct mohs_error *err)
{
    const struct mohs_victim *v = user;
    (void)err;
    for (uint32_t i = 0; i < n; i++) {
        const float *x = out + (size_t)i * m, *c = v->clean_embed + (size_t)sample[i] * m;
        double sum = 0;
        for (uint32_t j = 0; j < m; j++) {
            double d = (double)x[j] - c[j];
            sum += d * d;
            if (dout)
                dout[(size_t)i * m + j] = (float)(2 * d);
        }
        loss[i] = (float)sum;
    }
    return MOHS_OK;
}

static inline mohs_loss_fn loss_function(int32_t kind)
{
    return kind == LOSS_CROSS_ENTROPY ? loss_cross_entropy
           : kind == LOSS_MARGIN      ? loss_margin
                                      : loss_embedding;
}

static inline uint32_t loss_output(int32_t kind)
{
    return kind == LOSS_EMBEDDING ? MOHS_OUT_EMBED : MOHS_OUT_SCORES;
}

#endif
