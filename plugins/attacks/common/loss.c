/* SPDX-License-Identifier: MIT */
/* The losses, in double over the outputs of one sample at a time. */
#include "loss.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <mohs/ext/victim_raw.h>
#include <mohs/rng.h>
#include <mohs/util.h>

enum { FOR_TARGET = 0x7A };

int loss_is_positive(const struct mohs_victim *v, uint32_t sample, uint32_t candidate)
{
    for (uint32_t p = v->positive_first[sample]; p < v->positive_first[sample + 1]; p++)
        if (v->positive[p] == candidate)
            return 1;
    return 0;
}

void loss_leaders(const struct mohs_victim *v, uint32_t sample, const float *score,
                  uint32_t *right, uint32_t *wrong)
{
    uint32_t m = v->n_candidates, first = v->positive_first[sample];
    *right = v->positive[first];
    *wrong = m;
    for (uint32_t p = first; p < v->positive_first[sample + 1]; p++)
        if (score[v->positive[p]] > score[*right])
            *right = v->positive[p];
    for (uint32_t j = 0; j < m; j++)
        if ((*wrong == m || score[j] > score[*wrong]) && !loss_is_positive(v, sample, j))
            *wrong = j;
}

/* Each writes the gradient into d (zeroed before) when it is not NULL. */

static double cross_entropy(const struct mohs_victim *v, uint32_t i, const float *z,
                            float *d)
{
    double top = -INFINITY, all = 0, own = 0, own_top = -INFINITY;
    uint32_t m = v->n_candidates, p0 = v->positive_first[i], p1 = v->positive_first[i + 1];
    for (uint32_t j = 0; j < m; j++)
        top = z[j] > top ? z[j] : top;
    for (uint32_t j = 0; j < m; j++)
        all += exp(z[j] - top);
    for (uint32_t p = p0; p < p1; p++)
        own_top = z[v->positive[p]] > own_top ? z[v->positive[p]] : own_top;
    for (uint32_t p = p0; p < p1; p++)
        own += exp(z[v->positive[p]] - own_top);
    for (uint32_t j = 0; d && j < m; j++)
        d[j] = (float)(exp(z[j] - top) / all);
    for (uint32_t p = p0; d && p < p1; p++) {
        uint32_t j = v->positive[p];
        double e = exp(z[j] - own_top) / own;
        d[j] = (float)(exp(z[j] - top) / all - e);
    }
    return top + log(all) - own_top - log(own);
}

static double difference(const float *z, uint32_t right, uint32_t wrong, uint32_t m,
                         float *d)
{
    if (wrong == m)
        return 0;
    if (d) {
        d[wrong] += 1;
        d[right] -= 1;
    }
    return (double)z[wrong] - z[right];
}

/* The four best candidates, m where there are fewer. */
static void best_four(const float *z, uint32_t m, uint32_t top[4])
{
    for (int k = 0; k < 4; k++)
        top[k] = m;
    for (uint32_t j = 0; j < m; j++) {
        uint32_t at = 4;
        while (at > 0 && (top[at - 1] == m || z[j] > z[top[at - 1]]))
            at--;
        for (uint32_t k = 3; k > at; k--)
            top[k] = top[k - 1];
        if (at < 4)
            top[at] = j;
    }
}

/* (wrong - best right) / (largest - third largest); towards a target, the mean
 * of third and fourth largest instead of the third (Croce & Hein 2020). */
static double dlr(const float *z, uint32_t right, uint32_t wrong, uint32_t m,
                  int targeted, float *d)
{
    uint32_t top[4];
    best_four(z, m, top);
    if (wrong == m || top[targeted ? 3 : 2] == m)
        return 0;
    double low = targeted ? 0.5 * ((double)z[top[2]] + z[top[3]]) : z[top[2]];
    double gap = (double)z[wrong] - z[right];
    double spread = z[top[0]] - low + 1e-12; // as AutoAttack has it
    if (d) {
        double back = gap / spread / spread;
        d[wrong] += (float)(1 / spread);
        d[right] -= (float)(1 / spread);
        d[top[0]] -= (float)back;
        d[top[2]] += (float)(targeted ? back / 2 : back);
        if (targeted)
            d[top[3]] += (float)(back / 2);
    }
    return gap / spread;
}

static double distance(const float *x, const float *clean, uint32_t m, float *d)
{
    double sum = 0;
    for (uint32_t j = 0; j < m; j++) {
        double e = (double)x[j] - clean[j];
        sum += e * e;
        if (d)
            d[j] = (float)(2 * e);
    }
    return sum;
}

mohs_status loss_on_outputs(void *user, uint32_t n, const uint32_t *sample, uint32_t m,
                            const float *out, float *loss, float *dout,
                            struct mohs_error *err)
{
    const struct loss *l = user;
    const struct mohs_victim *v = l->v;
    (void)err;
    if (dout)
        memset(dout, 0, (size_t)n * m * sizeof *dout);
    for (uint32_t k = 0; k < n; k++) {
        const float *z = out + (size_t)k * m;
        float *d = dout ? dout + (size_t)k * m : NULL;
        uint32_t i = sample[k], right, wrong;
        if (l->anchor) {
            loss[k] = (float)distance(z, l->anchor + (size_t)i * m, m, d);
            continue;
        }
        loss_leaders(v, i, z, &right, &wrong);
        l->fooled[i] = wrong < m && z[wrong] > z[right];
        loss[k] = (float)(l->kind == LOSS_CROSS_ENTROPY ? cross_entropy(v, i, z, d)
                          : l->kind == LOSS_MARGIN ? difference(z, right, wrong, m, d)
                          : l->kind == LOSS_DLR    ? dlr(z, right, wrong, m, 0, d)
                          : l->kind == LOSS_DLR_TARGETED
                              ? dlr(z, right, l->target[i], m, 1, d)
                              : difference(z, right, l->target[i], m, d));
    }
    return MOHS_OK;
}

/* A wrong candidate of each sample, uniformly. */
static void draw_targets(struct loss *l, uint64_t seed)
{
    const struct mohs_victim *v = l->v;
    uint32_t m = v->n_candidates;
    for (uint32_t i = 0; i < v->n; i++) {
        uint32_t wrong = 0, pick;
        for (uint32_t j = 0; j < m; j++)
            wrong += !loss_is_positive(v, i, j);
        l->target[i] = m;
        if (!wrong)
            continue;
        pick = mohs_rng_below(mohs_rng_fork(seed, FOR_TARGET), v->key[i], 0, wrong);
        for (uint32_t j = 0; l->target[i] == m; j++)
            if (!loss_is_positive(v, i, j) && !pick--)
                l->target[i] = j;
    }
}

mohs_status loss_init(struct loss *l, struct mohs_victim *v, int32_t kind, uint64_t seed,
                      const char *what, struct mohs_error *err)
{
    *l = (struct loss) { .v = v, .kind = kind };
    uint32_t least = kind == LOSS_DLR ? 3 : kind == LOSS_DLR_TARGETED ? 4 : 1;
    if (v->n_candidates < least)
        return mohs_fail(err, MOHS_E_ARG, "%s: dlr needs %u candidates, there are %u", what,
                         least, v->n_candidates);
    if (kind == LOSS_EMBEDDING)
        l->anchor = v->clean_embed;
    if (kind == LOSS_RAW) {
        const struct mohs_victim_raw *raw =
            MOHS_HAS(struct mohs_victim, v, get_extension) && v->get_extension
                ? v->get_extension(v, MOHS_EXT_VICTIM_RAW)
                : NULL;
        if (!raw)
            return mohs_fail(err, MOHS_E_UNSUPPORTED, "%s: no raw embeddings here", what);
        l->anchor = raw->clean;
    }
    l->target = calloc((size_t)v->n + 1, sizeof *l->target);
    l->fooled = calloc((size_t)v->n + 1, 1);
    if (!l->target || !l->fooled)
        return mohs_fail(err, MOHS_E_NOMEM, "%s: no memory for %u samples", what, v->n);
    if (kind == LOSS_TARGETED)
        draw_targets(l, seed);
    return MOHS_OK;
}

void loss_free(struct loss *l)
{
    free(l->target);
    free(l->fooled);
    l->target = NULL;
    l->fooled = NULL;
}

uint32_t loss_output(const struct loss *l)
{
    return l->kind == LOSS_RAW ? MOHS_OUT_RAW : l->anchor ? MOHS_OUT_EMBED : MOHS_OUT_SCORES;
}

mohs_status loss_pass(struct loss *l, uint32_t n, const uint32_t *sample, float *value,
                      int gradient, struct mohs_error *err)
{
    mohs_status st = l->v->pass(l->v, n, sample, loss_output(l), loss_on_outputs, l, value,
                                gradient, err);
    for (uint32_t k = 0; st >= 0 && k < n; k++)
        if (loss_spent(l, sample[k])) {
            l->fooled[sample[k]] = 0;
            value[k] = -INFINITY;
        }
    return st;
}

int loss_spent(const struct loss *l, uint32_t i)
{
    return MOHS_HAS(struct mohs_victim, l->v, spent) && l->v->spent && l->v->spent[i];
}

struct aim {
    struct loss *l;
    uint32_t rank;
};

static mohs_status on_scores(void *user, uint32_t n, const uint32_t *sample, uint32_t m,
                             const float *out, float *loss, float *dout,
                             struct mohs_error *err)
{
    const struct aim *a = user;
    (void)dout;
    (void)err;
    for (uint32_t k = 0; k < n; k++) {
        const float *z = out + (size_t)k * m;
        uint32_t i = sample[k], last = m;
        // a candidate is below `last` when it scores less, or the same and
        // comes later
        for (uint32_t r = 0; r <= a->rank; r++) {
            uint32_t best = m;
            for (uint32_t j = 0; j < m; j++) {
                int below = last == m || z[j] < z[last] || (z[j] == z[last] && j > last);
                if (below && (best == m || z[j] > z[best]) &&
                    !loss_is_positive(a->l->v, i, j))
                    best = j;
            }
            last = best;
            if (best == m)
                break;
        }
        a->l->target[i] = last;
        loss[k] = 0;
    }
    return MOHS_OK;
}

mohs_status loss_aim(struct loss *l, uint32_t rank, uint32_t n, const uint32_t *sample,
                     struct mohs_error *err)
{
    struct aim a = { l, rank };
    return l->v->pass(l->v, n, sample, MOHS_OUT_SCORES, on_scores, &a, NULL, 0, err);
}
