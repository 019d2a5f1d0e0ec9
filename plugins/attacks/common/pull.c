/* SPDX-License-Identifier: MIT */
/* The terms, in double over one embedding at a time. */
#include "pull.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <mohs/util.h>

static double log_sum(const float *x, uint32_t m)
{
    double top = -INFINITY, sum = 0;
    for (uint32_t k = 0; k < m; k++)
        top = x[k] > top ? x[k] : top;
    for (uint32_t k = 0; k < m; k++)
        sum += exp(x[k] - top);
    return top + log(sum);
}

/* Adds weight * d term / d e to d, when that is not NULL. */
static double add_term(const struct pull_term *t, const float *e, const float *r,
                       uint32_t m, float *d)
{
    double sum = 0, of_e, of_r;
    if (t->kind == PULL_COSINE) {
        for (uint32_t k = 0; k < m; k++) {
            sum -= (double)e[k] * r[k];
            if (d)
                d[k] -= (float)(t->weight * r[k]);
        }
        return t->weight * sum;
    }
    of_e = log_sum(e, m);
    of_r = log_sum(r, m);
    for (uint32_t k = 0; k < m; k++) {
        double log_p = r[k] - of_r, log_q = e[k] - of_e;
        sum += exp(log_p) * (log_p - log_q);
        if (d)
            d[k] += (float)(t->weight * (exp(log_q) - exp(log_p)));
    }
    return t->weight * sum;
}

mohs_status pull_on_outputs(void *user, uint32_t n, const uint32_t *sample, uint32_t m,
                            const float *out, float *loss, float *dout,
                            struct mohs_error *err)
{
    const struct pull *p = user;
    (void)err;
    if (dout)
        memset(dout, 0, (size_t)n * m * sizeof *dout);
    for (uint32_t k = 0; k < n; k++) {
        double sum = 0;
        for (uint32_t j = 0; j < p->n_terms; j++) {
            const struct pull_term *t = &p->term[j];
            uint32_t i = sample[k], from = t->first ? t->first[i] : i;
            uint32_t to = t->first ? t->first[i + 1] : i + 1;
            for (uint32_t r = from; r < to; r++)
                sum += add_term(t, out + (size_t)k * m, t->ref + (size_t)r * m, m,
                                dout ? dout + (size_t)k * m : NULL);
        }
        loss[k] = (float)sum;
    }
    return MOHS_OK;
}

static mohs_status keep_rows(void *user, uint32_t n, const uint32_t *sample, uint32_t m,
                             const float *out, float *loss, float *dout,
                             struct mohs_error *err)
{
    float *rows = user;
    (void)dout;
    (void)err;
    for (uint32_t k = 0; k < n; k++) {
        memcpy(rows + (size_t)sample[k] * m, out + (size_t)k * m, m * sizeof *out);
        loss[k] = 0;
    }
    return MOHS_OK;
}

mohs_status embed_all(struct mohs_victim *v, float *rows, struct mohs_error *err)
{
    uint32_t *all = malloc(((size_t)v->n + 1) * sizeof *all);
    if (!all)
        return mohs_fail(err, MOHS_E_NOMEM, "attack: no memory for %u samples", v->n);
    for (uint32_t i = 0; i < v->n; i++)
        all[i] = i;
    mohs_status st = v->pass(v, v->n, all, MOHS_OUT_EMBED, keep_rows, rows, NULL, 0, err);
    free(all);
    return st;
}
