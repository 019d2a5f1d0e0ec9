/* SPDX-License-Identifier: MIT */
/*
 * "mohs.victim/1" without a model: z = base + sum over open sites of
 * W (clean + delta) - W clean, embedding z / |z|, scores against fixed
 * candidates. Its gradient is exact, it costs nothing, and a sample's numbers
 * do not depend on the batch.
 */
#include "config.h"

#include "plugin/check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { DIM = 12, CANDIDATES = 9, SITES_MAX = 8, MICRO = 2, SCALE = 12 };

static const struct place {
    const char *tap;
    int side;
    uint32_t tokens, width;
    float lo, hi;
} places[] = {
    { "pixels", MOCK_IMAGE, 3, 64, 0, 1 },
    { "image.patch", MOCK_IMAGE, 4, 16, -INFINITY, INFINITY },
    { "image.block.0", MOCK_IMAGE, 5, 16, -INFINITY, INFINITY },
    { "image.embed", MOCK_IMAGE, 1, DIM, -INFINITY, INFINITY },
    { "text.token", MOCK_TEXT, 6, 16, -INFINITY, INFINITY },
    { "text.block.0", MOCK_TEXT, 6, 16, -INFINITY, INFINITY },
    { "text.embed", MOCK_TEXT, 1, DIM, -INFINITY, INFINITY },
};
enum { N_PLACES = sizeof places / sizeof *places };

struct mock {
    struct mohs_victim v; /* first: the pointer is handed out */
    int side;
    struct mohs_site site[SITES_MAX];
    float *map[SITES_MAX]; /* DIM * count */
    size_t n_sites;
    uint64_t *key;
    uint32_t *first, *positive;
    float *base;  /* n * DIM: z without perturbation */
    float *embed; /* n * DIM */
    float candidate[CANDIDATES * DIM];
};

static size_t count_of(const struct mohs_site *s)
{
    return (size_t)s->tokens * s->width;
}

static void normalise(float *v)
{
    double n = 0;
    for (int k = 0; k < DIM; k++)
        n += (double)v[k] * v[k];
    for (int k = 0; k < DIM; k++)
        v[k] = (float)(v[k] / sqrt(n));
}

/* ---- sites ---- */

static const struct place *place_find(const struct mock *m, const char *tap)
{
    for (size_t i = 0; i < N_PLACES; i++)
        if (places[i].side == m->side && !strcmp(places[i].tap, tap))
            return &places[i];
    return NULL;
}

static mohs_status no_place(const struct mock *m, const char *tap,
                            struct mohs_error *err)
{
    struct str list = { 0 };
    for (size_t i = 0; i < N_PLACES; i++)
        if (places[i].side == m->side)
            str_addf(&list, "%s%s", list.n ? ", " : "", places[i].tap);
    mohs_status st =
        mohs_fail(err, MOHS_E_ARG, "no tap '%.60s'; there are %s", tap, list.s);
    str_free(&list);
    return st;
}

static void site_fill(struct mock *m, const struct place *p, size_t slot)
{
    struct mohs_site *s = &m->site[slot];
    size_t n = (size_t)p->tokens * p->width, all = n * m->v.n;
    uint64_t which = (uint64_t)(p - places);
    float *clean = xcalloc(all, sizeof *clean);
    s->size = sizeof *s;
    s->tap = p->tap;
    s->tokens = p->tokens;
    s->width = p->width;
    s->lo = p->lo;
    s->hi = p->hi;
    for (size_t i = 0; i < m->v.n; i++)
        for (size_t k = 0; k < n; k++)
            clean[i * n + k] =
                p->lo == 0 ? 0.05f + 0.9f * mohs_rng_uniform(31, m->key[i], k)
                           : mohs_rng_normal(32 + which, m->key[i], k);
    s->clean = clean;
    s->delta = xcalloc(all, sizeof *s->delta);
    s->grad = xcalloc(all, sizeof *s->grad);
    if (p->side == MOCK_TEXT && p->tokens > 1) {
        uint8_t *mask = xcalloc((size_t)m->v.n * p->tokens, 1);
        for (size_t i = 0; i < m->v.n; i++)
            for (size_t t = 0; t < p->tokens; t++)
                mask[i * p->tokens + t] = t < 3 + m->key[i] % 4;
        s->mask = mask;
    }
    m->map[slot] = xcalloc(DIM * n, sizeof(float));
    for (size_t k = 0; k < DIM * n; k++)
        m->map[slot][k] =
            2 * mohs_rng_normal(50 + which, 0, k) / sqrtf((float)n);
}

static mohs_status site(struct mohs_victim *v, const char *tap,
                        struct mohs_site *out, struct mohs_error *err)
{
    struct mock *m = v->ctx;
    const struct place *p = tap ? place_find(m, tap) : NULL;
    if (!p)
        return no_place(m, tap ? tap : "(NULL)", err);
    size_t i = 0;
    while (i < m->n_sites && strcmp(m->site[i].tap, tap))
        i++;
    if (i == m->n_sites) {
        site_fill(m, p, i);
        m->n_sites++;
    }
    // A plugin of an older ABI has a shorter struct.
    uint32_t size =
        out->size && out->size < sizeof *out ? out->size : sizeof *out;
    memcpy(out, &m->site[i], size);
    out->size = size;
    return MOHS_OK;
}

/* ---- passes ---- */

static void embed_one(const struct mock *m, uint32_t i, float *z)
{
    memcpy(z, &m->base[(size_t)i * DIM], DIM * sizeof *z);
    for (size_t s = 0; s < m->n_sites; s++) {
        size_t n = count_of(&m->site[s]);
        const float *d = m->site[s].delta + i * n;
        for (size_t k = 0; k < DIM; k++) {
            float sum = 0;
            for (size_t j = 0; j < n; j++)
                sum = fmaf(m->map[s][k * n + j], d[j], sum);
            z[k] += sum;
        }
    }
}

static void outputs(const struct mock *m, uint32_t output, const float *z,
                    float *out)
{
    float e[DIM];
    memcpy(e, z, sizeof e);
    normalise(e);
    if (output == MOHS_OUT_EMBED) {
        memcpy(out, e, sizeof e);
        return;
    }
    for (size_t j = 0; j < CANDIDATES; j++) {
        float s = 0;
        for (size_t k = 0; k < DIM; k++)
            s = fmaf(e[k], m->candidate[j * DIM + k], s);
        out[j] = SCALE * s;
    }
}

/* d loss / d z from d loss / d output. */
static void back_to_z(const struct mock *m, uint32_t output, const float *z,
                      const float *dout, double *dz)
{
    double norm = 0, dot = 0, de[DIM] = { 0 };
    for (int k = 0; k < DIM; k++)
        norm += (double)z[k] * z[k];
    norm = sqrt(norm);
    for (int k = 0; k < DIM; k++) {
        if (output == MOHS_OUT_EMBED)
            de[k] = dout[k];
        for (int j = 0; output != MOHS_OUT_EMBED && j < CANDIDATES; j++)
            de[k] += SCALE * (double)dout[j] * m->candidate[j * DIM + k];
        dot += de[k] * z[k] / norm;
    }
    for (int k = 0; k < DIM; k++)
        dz[k] = (de[k] - dot * z[k] / norm) / norm;
}

static void back_to_sites(struct mock *m, uint32_t i, const double *dz)
{
    for (size_t s = 0; s < m->n_sites; s++) {
        size_t n = count_of(&m->site[s]);
        float *g = m->site[s].grad + i * n;
        for (size_t j = 0; j < n; j++) {
            double sum = 0;
            for (size_t k = 0; k < DIM; k++)
                sum += m->map[s][k * n + j] * dz[k];
            g[j] = (float)sum;
        }
    }
}

/* Up to MICRO samples through fn. */
static mohs_status micro(struct mock *m, uint32_t n, const uint32_t *sample,
                         uint32_t output, mohs_loss_fn fn, void *user,
                         float *loss, bool gradient, struct mohs_error *err)
{
    uint32_t columns = output == MOHS_OUT_EMBED ? DIM : CANDIDATES;
    float z[MICRO][DIM], out[MICRO * DIM], dout[MICRO * DIM] = { 0 };
    float got[MICRO];
    for (uint32_t i = 0; i < n; i++) {
        embed_one(m, sample[i], z[i]);
        outputs(m, output, z[i], &out[i * columns]);
        got[i] = NAN;
    }
    RET_IF_ERR(
        fn(user, n, sample, columns, out, got, gradient ? dout : NULL, err));
    for (uint32_t i = 0; i < n; i++) {
        if (isnan(got[i]))
            return mohs_fail(err, MOHS_E_NUMERIC,
                             "the loss of sample %u is NaN or was not set",
                             sample[i]);
        if (loss)
            loss[i] = got[i];
        double dz[DIM];
        if (gradient) {
            back_to_z(m, output, z[i], &dout[i * columns], dz);
            back_to_sites(m, sample[i], dz);
        }
    }
    return MOHS_OK;
}

static mohs_status pass(struct mohs_victim *v, uint32_t n,
                        const uint32_t *sample, uint32_t output,
                        mohs_loss_fn fn, void *user, float *loss,
                        int32_t gradient, struct mohs_error *err)
{
    struct mock *m = v->ctx;
    if (output != MOHS_OUT_SCORES && output != MOHS_OUT_EMBED)
        return mohs_fail(err, MOHS_E_ARG, "pass: output %u", output);
    for (uint32_t i = 0; i < n; i++)
        if (sample[i] >= v->n)
            return mohs_fail(err, MOHS_E_ARG, "pass: sample %u of %u",
                             sample[i], v->n);
    for (uint32_t i = 0; i < n; i += MICRO)
        RET_IF_ERR(micro(m, n - i < MICRO ? n - i : MICRO, sample + i, output,
                         fn, user, loss ? loss + i : NULL, gradient != 0, err));
    return MOHS_OK;
}

/* ---- making one ---- */

static void fill_samples(struct mock *m, uint32_t first)
{
    uint32_t n = m->v.n, at = 0;
    for (uint32_t j = 0; j < CANDIDATES; j++) {
        for (uint32_t k = 0; k < DIM; k++)
            m->candidate[j * DIM + k] = mohs_rng_normal(21, j, k);
        normalise(&m->candidate[j * DIM]);
    }
    for (uint32_t i = 0; i < n; i++) {
        uint32_t which = first + i, own = which % CANDIDATES;
        m->key[i] = 300 + which;
        m->first[i] = at;
        m->positive[at++] = own;
        // Every third sample has two captions that fit.
        if (which % 3 == 0)
            m->positive[at++] = (own + 4) % CANDIDATES;
        float *z = &m->base[(size_t)i * DIM];
        for (uint32_t k = 0; k < DIM; k++)
            z[k] = 2 * m->candidate[own * DIM + k] +
                   0.3f * mohs_rng_normal(22, which, k);
        memcpy(&m->embed[(size_t)i * DIM], z, DIM * sizeof *z);
        normalise(&m->embed[(size_t)i * DIM]);
    }
    m->first[n] = at;
}

struct mohs_victim *mock_new(int side, uint32_t first, uint32_t n)
{
    struct mock *m = xcalloc(1, sizeof *m);
    m->side = side;
    m->key = xcalloc(n, sizeof *m->key);
    m->first = xcalloc(n + 1, sizeof *m->first);
    m->positive = xcalloc(2 * n, sizeof *m->positive);
    m->base = xcalloc((size_t)n * DIM, sizeof *m->base);
    m->embed = xcalloc((size_t)n * DIM, sizeof *m->embed);
    m->v.size = sizeof m->v;
    m->v.n = n;
    m->v.n_candidates = CANDIDATES;
    m->v.dim = DIM;
    fill_samples(m, first);
    m->v.key = m->key;
    m->v.positive_first = m->first;
    m->v.positive = m->positive;
    m->v.clean_embed = m->embed;
    m->v.ctx = m;
    m->v.site = site;
    m->v.pass = pass;
    return &m->v;
}

void mock_free(struct mohs_victim *v)
{
    if (!v)
        return;
    struct mock *m = v->ctx;
    for (size_t i = 0; i < m->n_sites; i++) {
        free((float *)m->site[i].clean);
        free((uint8_t *)m->site[i].mask);
        free(m->site[i].delta);
        free(m->site[i].grad);
        free(m->map[i]);
    }
    free(m->key);
    free(m->first);
    free(m->positive);
    free(m->base);
    free(m->embed);
    free(m);
}

double mock_loss(struct mohs_victim *v)
{
    struct mock *m = v->ctx;
    double sum = 0;
    for (uint32_t i = 0; i < v->n; i++) {
        float z[DIM], score[CANDIDATES];
        double all = 0, good = 0;
        embed_one(m, i, z);
        outputs(m, MOHS_OUT_SCORES, z, score);
        for (int j = 0; j < CANDIDATES; j++)
            all += exp((double)score[j]);
        for (uint32_t p = m->first[i]; p < m->first[i + 1]; p++)
            good += exp((double)score[m->positive[p]]);
        sum -= log(good / all);
    }
    return sum / v->n;
}

const struct mohs_site *mock_site(struct mohs_victim *v, size_t i)
{
    struct mock *m = v->ctx;
    return i < m->n_sites ? &m->site[i] : NULL;
}
