/* SPDX-License-Identifier: MIT */
/*
 * "mohs.victim/1" without a model: z = base + sum over open sites of
 * W (clean + delta) - W clean, embedding z / |z|, scores against fixed
 * candidates. Its gradient is exact, it costs nothing, and a sample's numbers
 * do not depend on the batch. Texts move z by W (tokens - clean tokens), W of
 * the tap text.token; images have captions.
 */
#include "config.h"

#include "plugin/check_words.h"

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
    { "text.token", MOCK_TEXT, MOCK_CONTEXT, MOCK_ROW, -INFINITY, INFINITY },
    { "text.block.0", MOCK_TEXT, 6, 16, -INFINITY, INFINITY },
    { "text.embed", MOCK_TEXT, 1, DIM, -INFINITY, INFINITY },
};
enum { N_PLACES = sizeof places / sizeof *places, TOKEN_PLACE = 4,
       TOKEN_FLOATS = MOCK_CONTEXT * MOCK_ROW };

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
    const char **text;   /* n clean ones; sides of texts only */
    char **now;          /* n: what was set, or NULL */
    float *token_map;    /* DIM * TOKEN_FLOATS */
    struct mohs_victim_text text_api;
    struct mohs_victim_pair pair;
    struct mock *captions; /* of images, once asked for */
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

/* The map of place p: DIM * n. */
static float *map_new(size_t p, size_t n)
{
    float *map = xcalloc(DIM * n, sizeof *map);
    for (size_t k = 0; k < DIM * n; k++)
        map[k] = 2 * mohs_rng_normal(50 + p, 0, k) / sqrtf((float)n);
    return map;
}

/* Rows of a text's tokens, zero behind its end. */
static void token_rows(const char *text, float out[TOKEN_FLOATS])
{
    int32_t ids[MOCK_CONTEXT];
    uint32_t last;
    mock_encode(text, ids, &last);
    memset(out, 0, TOKEN_FLOATS * sizeof *out);
    for (uint32_t t = 0; t <= last; t++)
        mock_row(ids[t], out + (size_t)t * MOCK_ROW);
}

static void token_site(const struct mock *m, float *clean, uint8_t *mask)
{
    for (size_t i = 0; i < m->v.n; i++) {
        int32_t ids[MOCK_CONTEXT];
        uint32_t last;
        mock_encode(m->text[i], ids, &last);
        token_rows(m->text[i], clean + i * TOKEN_FLOATS);
        for (uint32_t t = 0; t < MOCK_CONTEXT; t++)
            mask[i * MOCK_CONTEXT + t] = t <= last;
    }
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
    s->height = p == places ? 8 : 0;
    s->delta = xcalloc(all, sizeof *s->delta);
    s->grad = xcalloc(all, sizeof *s->grad);
    if (p->side == MOCK_TEXT && p->tokens > 1) {
        uint8_t *mask = xcalloc((size_t)m->v.n * p->tokens, 1);
        for (size_t i = 0; i < m->v.n; i++)
            for (size_t t = 0; t < p->tokens; t++)
                mask[i * p->tokens + t] = t < 3 + m->key[i] % 4;
        if (which == TOKEN_PLACE)
            token_site(m, clean, mask);
        s->mask = mask;
    }
    m->map[slot] = map_new(which, n);
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

/* The base of sample i, moved by another text in the place of its own. */
static void embed_text(const struct mock *m, uint32_t i, const char *text, float *z)
{
    float clean[TOKEN_FLOATS], now[TOKEN_FLOATS];
    memcpy(z, &m->base[(size_t)i * DIM], DIM * sizeof *z);
    if (!text || !strcmp(text, m->text[i]))
        return;
    token_rows(m->text[i], clean);
    token_rows(text, now);
    for (size_t k = 0; k < DIM; k++) {
        float sum = 0;
        for (size_t j = 0; j < TOKEN_FLOATS; j++)
            sum = fmaf(m->token_map[k * TOKEN_FLOATS + j], now[j] - clean[j], sum);
        z[k] += sum;
    }
}

static void embed_one(const struct mock *m, uint32_t i, float *z)
{
    embed_text(m, i, m->now ? m->now[i] : NULL, z);
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

/* ---- other texts ---- */

static mohs_status no_sample(const struct mohs_victim *v, const char *what,
                             uint32_t sample, struct mohs_error *err)
{
    return mohs_fail(err, MOHS_E_ARG, "%s: sample %u of %u", what, sample, v->n);
}

static mohs_status trials(struct mohs_victim *v, uint32_t n, const uint32_t *sample,
                          const char *const *text, uint32_t output, mohs_loss_fn fn,
                          void *user, float *loss, struct mohs_error *err)
{
    struct mock *m = v->ctx;
    uint32_t columns = output == MOHS_OUT_EMBED ? DIM : CANDIDATES;
    if (output != MOHS_OUT_SCORES && output != MOHS_OUT_EMBED)
        return mohs_fail(err, MOHS_E_ARG, "pass: output %u", output);
    for (uint32_t i = 0; i < n; i += MICRO) {
        uint32_t few = n - i < MICRO ? n - i : MICRO;
        float z[DIM], out[MICRO * DIM], got[MICRO] = { 0 };
        for (uint32_t k = 0; k < few; k++) {
            if (sample[i + k] >= v->n)
                return no_sample(v, "pass", sample[i + k], err);
            if (!utf8_valid(text[i + k], strlen(text[i + k])))
                return mohs_fail(err, MOHS_E_ARG, "pass: a trial is invalid UTF-8");
            embed_text(m, sample[i + k], text[i + k], z);
            outputs(m, output, z, &out[k * columns]);
        }
        RET_IF_ERR(fn(user, few, sample + i, columns, out, got, NULL, err));
        if (loss)
            memcpy(loss + i, got, few * sizeof *loss);
    }
    return MOHS_OK;
}

static mohs_status set_text(struct mohs_victim *v, uint32_t sample, const char *text,
                            struct mohs_error *err)
{
    struct mock *m = v->ctx;
    if (sample >= v->n)
        return no_sample(v, "set", sample, err);
    char *copy = xstrdup(text); // it may be the one that is there
    free(m->now[sample]);
    m->now[sample] = copy;
    return MOHS_OK;
}

static mohs_status encode(struct mohs_victim *v, const char *text, int32_t *ids,
                          uint32_t *last, struct mohs_error *err)
{
    (void)v;
    (void)err;
    mock_encode(text, ids, last);
    return MOHS_OK;
}

static mohs_status decode(struct mohs_victim *v, uint32_t n, const int32_t *ids,
                          size_t room, char *out, struct mohs_error *err)
{
    struct str s = { 0 };
    (void)v;
    mock_decode(ids, n, &s);
    mohs_status st = s.n < room ? MOHS_OK : mohs_fail(err, MOHS_E_ARG, "decode: no room");
    if (st >= 0)
        memcpy(out, s.s, s.n + 1);
    str_free(&s);
    return st;
}

static mohs_status flips(struct mohs_victim *v, uint32_t sample, float *gain,
                         struct mohs_error *err)
{
    struct mock *m = v->ctx;
    const float *grad = NULL;
    int32_t ids[MOCK_CONTEXT];
    uint32_t last, n = mock_ids();
    if (sample >= v->n)
        return no_sample(v, "flips", sample, err);
    for (size_t s = 0; s < m->n_sites; s++)
        if (!strcmp(m->site[s].tap, "text.token"))
            grad = m->site[s].grad + (size_t)sample * TOKEN_FLOATS;
    if (!grad)
        return mohs_fail(err, MOHS_E_ARG, "flips: text.token is not open");
    mock_encode(m->now[sample] ? m->now[sample] : m->text[sample], ids, &last);
    for (uint32_t t = 0; t < MOCK_CONTEXT; t++) {
        float now[MOCK_ROW], row[MOCK_ROW];
        mock_row(ids[t], now);
        for (uint32_t id = 0; id < n; id++) {
            double sum = 0;
            mock_row((int32_t)id, row);
            for (uint32_t k = 0; k < MOCK_ROW; k++)
                sum += (double)grad[t * MOCK_ROW + k] * (row[k] - now[k]);
            gain[t * n + id] = t <= last ? (float)sum : 0;
        }
    }
    return MOHS_OK;
}

static struct mock *mock_make(int side, uint32_t n);

/* The captions of the images: one for each candidate that fits. */
static const struct mohs_victim_pair *pair_of(struct mock *m)
{
    if (m->captions)
        return &m->pair;
    struct mock *t = mock_make(MOCK_TEXT, m->first[m->v.n]);
    for (uint32_t i = 0, j = 0; i < m->v.n; i++)
        for (uint32_t p = m->first[i]; p < m->first[i + 1]; p++, j++) {
            t->key[j] = 10 * m->key[i] + (p - m->first[i]);
            t->text[j] = mock_caption((uint32_t)t->key[j]);
            t->first[j + 1] = j + 1;
            t->positive[j] = m->positive[p];
            float *z = &t->base[(size_t)j * DIM];
            for (uint32_t k = 0; k < DIM; k++)
                z[k] = m->embed[(size_t)i * DIM + k] +
                       0.2f * mohs_rng_normal(23, t->key[j], k);
            memcpy(&t->embed[(size_t)j * DIM], z, DIM * sizeof *z);
            normalise(&t->embed[(size_t)j * DIM]);
        }
    m->captions = t;
    m->pair = (struct mohs_victim_pair) { sizeof m->pair, &t->v, m->first };
    return &m->pair;
}

static const void *get_extension(struct mohs_victim *v, const char *id)
{
    struct mock *m = v->ctx;
    if (m->side == MOCK_IMAGE && !strcmp(id, MOHS_EXT_VICTIM_PAIR))
        return pair_of(m);
    if (m->side != MOCK_TEXT || strcmp(id, MOHS_EXT_VICTIM_TEXT))
        return NULL;
    m->text_api = (struct mohs_victim_text) {
        .size = sizeof m->text_api,
        .context = MOCK_CONTEXT,
        .n_ids = mock_ids(),
        .text = m->text,
        .pass = trials,
        .set = set_text,
        .encode = encode,
        .decode = decode,
        .flips = flips,
    };
    return &m->text_api;
}

/* ---- making one ---- */

static void fill_samples(struct mock *m, uint32_t first)
{
    uint32_t n = m->v.n, at = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t which = first + i, own = which % CANDIDATES;
        m->key[i] = 300 + which;
        if (m->text)
            m->text[i] = mock_caption(which);
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

static struct mock *mock_make(int side, uint32_t n)
{
    struct mock *m = xcalloc(1, sizeof *m);
    m->side = side;
    m->key = xcalloc(n, sizeof *m->key);
    m->first = xcalloc(n + 1, sizeof *m->first);
    m->positive = xcalloc(2 * n, sizeof *m->positive);
    m->base = xcalloc((size_t)n * DIM, sizeof *m->base);
    m->embed = xcalloc((size_t)n * DIM, sizeof *m->embed);
    if (side == MOCK_TEXT) {
        m->text = xcalloc(n, sizeof *m->text);
        m->now = xcalloc(n, sizeof *m->now);
        m->token_map = map_new(TOKEN_PLACE, TOKEN_FLOATS);
    }
    for (uint32_t j = 0; j < CANDIDATES; j++) {
        for (uint32_t k = 0; k < DIM; k++)
            m->candidate[j * DIM + k] = mohs_rng_normal(21, j, k);
        normalise(&m->candidate[j * DIM]);
    }
    m->v = (struct mohs_victim) {
        .size = sizeof m->v,
        .n = n,
        .n_candidates = CANDIDATES,
        .dim = DIM,
        .key = m->key,
        .positive_first = m->first,
        .positive = m->positive,
        .clean_embed = m->embed,
        .ctx = m,
        .site = site,
        .pass = pass,
        .get_extension = get_extension,
    };
    return m;
}

struct mohs_victim *mock_new(int side, uint32_t first, uint32_t n)
{
    struct mock *m = mock_make(side, n);
    fill_samples(m, first);
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
    for (uint32_t i = 0; m->now && i < m->v.n; i++)
        free(m->now[i]);
    free(m->now);
    free(m->text);
    free(m->token_map);
    free(m->base);
    free(m->embed);
    if (m->captions)
        mock_free(&m->captions->v);
    free(m);
}

struct mohs_victim *mock_captions(struct mohs_victim *v)
{
    struct mock *m = v->ctx;
    return m->captions ? &m->captions->v : NULL;
}

const char *mock_text(struct mohs_victim *v, uint32_t i, bool clean)
{
    struct mock *m = v->ctx;
    return !clean && m->now[i] ? m->now[i] : m->text[i];
}

double mock_distance(struct mohs_victim *v)
{
    struct mock *m = v->ctx;
    const struct mohs_victim_pair *p = pair_of(m);
    double sum = 0;
    for (uint32_t i = 0; i < v->n; i++) {
        float image[DIM], text[DIM];
        embed_one(m, i, image);
        normalise(image);
        for (uint32_t t = p->first[i]; t < p->first[i + 1]; t++) {
            embed_one(m->captions, t, text);
            normalise(text);
            for (int k = 0; k < DIM; k++)
                sum -= (double)image[k] * text[k];
        }
    }
    return sum / p->first[v->n];
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
