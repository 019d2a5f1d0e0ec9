/* SPDX-License-Identifier: MIT */
/* The model of attack_victim.h, its passes and gradients. */
#include "config.h"

#include "unit/attack_victim.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <mohs/rng.h>

#include "base/base.h"

static const char *const taps[AV_SITES] = { "pixels", "image.patch", "image.block.0" };
static const uint32_t tokens_of[AV_SITES] = { 3, AV_TOKENS, AV_TOKENS };
static const uint32_t width_of[AV_SITES] = { AV_PIXELS / 3, AV_WIDTH, AV_WIDTH };
static const double scale = AV_SCALE;

/* Positives: one, two, all but one, one, two. */
static const uint32_t positive_first[AV_N + 1] = { 0, 1, 3, 9, 10, 12 };
static const uint32_t positive[] = { 2, 0, 5, 0, 1, 2, 4, 5, 6, 6, 3, 1 };

/* Uniform numbers in (-1, 1), exact in float. */
static double number(uint64_t key, uint32_t i)
{
    return 2 * (double)mohs_rng_uniform(11, key, i) - 1;
}

static double weight_a(uint32_t i, uint32_t j)
{
    return 0.8 * number(1, i * AV_PIXELS + j);
}

static double weight_b(uint32_t i, uint32_t j)
{
    return number(2, i * AV_HIDDEN + j);
}

static void candidate(uint32_t j, double c[AV_DIM])
{
    double s = 0;
    for (uint32_t k = 0; k < AV_DIM; k++) {
        c[k] = number(3, j * AV_DIM + k);
        s += c[k] * c[k];
    }
    for (uint32_t k = 0; k < AV_DIM; k++)
        c[k] /= sqrt(s);
}

static uint32_t floats_of(int k)
{
    return tokens_of[k] * width_of[k];
}

/* ---- forward and backward of one sample ---- */

struct state {
    double x[AV_PIXELS], h[AV_HIDDEN], u[AV_HIDDEN], e[AV_DIM], length;
};

static int on(const struct attack_victim *a, uint32_t i, uint32_t hidden)
{
    const uint8_t *m = a->site[1].mask;
    return !m || m[i * AV_TOKENS + hidden / AV_WIDTH];
}

static double delta(const struct attack_victim *a, int k, uint32_t i, uint32_t j)
{
    return a->open[k] ? (double)a->site[k].delta[i * floats_of(k) + j] : 0;
}

static void forward(const struct attack_victim *a, uint32_t i, struct state *s)
{
    for (uint32_t j = 0; j < AV_PIXELS; j++)
        s->x[j] = (double)a->site[0].clean[i * AV_PIXELS + j] + delta(a, 0, i, j);
    for (uint32_t h = 0; h < AV_HIDDEN; h++) {
        s->h[h] = delta(a, 1, i, h);
        for (uint32_t j = 0; j < AV_PIXELS; j++)
            s->h[h] += weight_a(h, j) * s->x[j];
        s->u[h] = tanh(s->h[h]) + delta(a, 2, i, h);
    }
    double sum = 0;
    for (uint32_t k = 0; k < AV_DIM; k++) {
        s->e[k] = 0;
        for (uint32_t h = 0; h < AV_HIDDEN; h++)
            s->e[k] += on(a, i, h) ? weight_b(k, h) * s->u[h] : 0;
        sum += s->e[k] * s->e[k];
    }
    s->length = sqrt(sum);
    for (uint32_t k = 0; k < AV_DIM; k++)
        s->e[k] /= s->length;
}

static void scores(const struct state *s, double *z)
{
    for (uint32_t j = 0; j < AV_CANDIDATES; j++) {
        double c[AV_DIM];
        candidate(j, c);
        z[j] = 0;
        for (uint32_t k = 0; k < AV_DIM; k++)
            z[j] += scale * s->e[k] * c[k];
    }
}

static void put_grad(struct attack_victim *a, int k, uint32_t i, uint32_t j, double g)
{
    if (a->open[k])
        a->site[k].grad[i * floats_of(k) + j] = (float)g;
}

/* From d loss / d embedding (normalised). */
static void backward(struct attack_victim *a, uint32_t i, const struct state *s,
                     const double *de)
{
    double dot = 0, dx[AV_PIXELS] = { 0 };
    for (uint32_t k = 0; k < AV_DIM; k++)
        dot += de[k] * s->e[k];
    for (uint32_t h = 0; h < AV_HIDDEN; h++) {
        double du = 0, t = tanh(s->h[h]);
        for (uint32_t k = 0; on(a, i, h) && k < AV_DIM; k++)
            du += weight_b(k, h) * (de[k] - dot * s->e[k]) / s->length;
        double dh = du * (1 - t * t);
        put_grad(a, 2, i, h, du);
        put_grad(a, 1, i, h, dh);
        for (uint32_t j = 0; j < AV_PIXELS; j++)
            dx[j] += dh * weight_a(h, j);
    }
    for (uint32_t j = 0; j < AV_PIXELS; j++)
        put_grad(a, 0, i, j, dx[j]);
}

/* ---- the victim ---- */

static mohs_status micro(struct attack_victim *a, uint32_t n, const uint32_t *sample,
                         uint32_t output, mohs_loss_fn fn, void *user, float *loss,
                         int gradient, struct mohs_error *err)
{
    uint32_t m = output == MOHS_OUT_EMBED ? AV_DIM : AV_CANDIDATES;
    float *out = xcalloc((size_t)n * m, sizeof *out);
    float *dout = xcalloc((size_t)n * m, sizeof *dout);
    struct state *s = xcalloc(n, sizeof *s);
    for (uint32_t q = 0; q < n; q++) {
        double z[AV_CANDIDATES];
        forward(a, sample[q], &s[q]);
        scores(&s[q], z);
        for (uint32_t j = 0; j < m; j++)
            out[q * m + j] = (float)(output == MOHS_OUT_EMBED ? s[q].e[j] : z[j]);
        for (uint32_t j = 0; j < m; j++)
            dout[q * m + j] = NAN; // to be set by fn
    }
    mohs_status st = fn(user, n, sample, m, out, loss, gradient ? dout : NULL, err);
    for (uint32_t q = 0; st >= 0 && gradient && q < n; q++) {
        double de[AV_DIM] = { 0 }, c[AV_DIM];
        for (uint32_t j = 0; j < m; j++) {
            if (output == MOHS_OUT_EMBED)
                de[j] = dout[q * m + j];
            else
                candidate(j, c);
            for (uint32_t k = 0; output == MOHS_OUT_SCORES && k < AV_DIM; k++)
                de[k] += scale * c[k] * (double)dout[q * m + j];
        }
        backward(a, sample[q], &s[q], de);
    }
    free(out);
    free(dout);
    free(s);
    return st;
}

static mohs_status pass(struct mohs_victim *v, uint32_t n, const uint32_t *sample,
                        uint32_t output, mohs_loss_fn fn, void *user, float *loss,
                        int32_t gradient, struct mohs_error *err)
{
    struct attack_victim *a = v->ctx;
    float room[AV_N];
    a->passes++;
    a->samples += n;
    if (a->passes == a->die_at)
        return mohs_fail(err, MOHS_E_CANCELLED, "died");
    for (uint32_t i = 0; i < n; i += a->micro_batch) {
        uint32_t b = n - i < a->micro_batch ? n - i : a->micro_batch;
        mohs_status st = micro(a, b, sample + i, output, fn, user,
                               loss ? loss + i : room, gradient, err);
        if (st < 0)
            return st;
    }
    return MOHS_OK;
}

static mohs_status site(struct mohs_victim *v, const char *tap, struct mohs_site *out,
                        struct mohs_error *err)
{
    struct attack_victim *a = v->ctx;
    for (int k = 0; k < AV_SITES; k++)
        if (!strcmp(taps[k], tap)) {
            a->open[k] = 1;
            *out = a->site[k];
            return MOHS_OK;
        }
    return mohs_fail(err, MOHS_E_ARG, "no tap '%s'; the model has pixels, image.patch, "
                     "image.block.0", tap);
}

static void fill_clean(struct attack_victim *a, uint32_t first, uint8_t *mask)
{
    uint32_t n = a->v.n;
    for (int k = 0; k < AV_SITES; k++) {
        float *clean = xcalloc((size_t)n * floats_of(k), sizeof *clean);
        a->site[k] = (struct mohs_site) {
            .size = sizeof a->site[k], .tap = taps[k], .tokens = tokens_of[k],
            .width = width_of[k], .lo = k ? -INFINITY : 0, .hi = k ? INFINITY : 1,
            .clean = clean, .mask = k ? mask : NULL,
            .delta = xcalloc((size_t)n * floats_of(k), sizeof *clean),
            .grad = xcalloc((size_t)n * floats_of(k), sizeof *clean) };
    }
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t j = 0; j < AV_PIXELS; j++) // some at the ends of the range
            ((float *)a->site[0].clean)[i * AV_PIXELS + j] =
                (float)fmin(1, fmax(0, 0.5 + 0.6 * number(4, (first + i) * AV_PIXELS + j)));
    for (uint32_t i = 0; i < n; i++) {
        struct state s;
        forward(a, i, &s);
        for (uint32_t h = 0; h < AV_HIDDEN; h++) {
            ((float *)a->site[1].clean)[i * AV_HIDDEN + h] = (float)s.h[h];
            ((float *)a->site[2].clean)[i * AV_HIDDEN + h] = (float)s.u[h];
        }
        for (uint32_t k = 0; k < AV_DIM; k++)
            ((float *)a->v.clean_embed)[i * AV_DIM + k] = (float)s.e[k];
    }
}

mohs_status av_registry(struct registry **out, struct mohs_error *err)
{
    static const char dir[] = BUILDDIR "/plugins/attacks";
    const char *const dirs[] = { dir, NULL };
    struct registry_options o = { .plugin_dirs = dirs };
    log_threshold = LOG_ERROR; // models here miss the host's graph tables
    return registry_open(&o, out, err);
}

mohs_status av_attack(struct registry *r, const char *id, const char *text,
                      const struct mohs_attack_ops **ops, void **self,
                      struct mohs_error *err)
{
    const struct item *it;
    char name[64], value[128];
    RET_IF_ERR(registry_find(r, MOHS_KIND_ATTACK, id, &it, err));
    void *params = item_params_new(it);
    mohs_status st = MOHS_OK;
    for (int n; st >= 0 && sscanf(text, " %63[^=]=%127s%n", name, value, &n) == 2; text += n)
        st = item_param_set_text(it, params, name, value, err);
    *ops = it->item->ops;
    *self = NULL;
    if (st >= 0)
        st = (*ops)->create(registry_host(r), params, self, err);
    item_params_free(it, params);
    return st;
}

struct attack_victim *av_new(int masked, uint32_t first, uint32_t n)
{
    struct attack_victim *a = xcalloc(1, sizeof *a);
    uint64_t *key = xcalloc(n, sizeof *key);
    uint32_t *from = xcalloc(n + 1, sizeof *from);
    uint8_t *mask = masked ? xcalloc(n, AV_TOKENS) : NULL;
    for (uint32_t i = 0; i < n; i++) {
        key[i] = 1000 + first + i;
        for (uint32_t t = 0; masked && t < AV_TOKENS; t++)
            mask[i * AV_TOKENS + t] = t < 2 + (first + i) % 3;
    }
    for (uint32_t i = 0; i <= n; i++)
        from[i] = positive_first[first + i];
    a->micro_batch = 2;
    a->v = (struct mohs_victim) {
        .size = sizeof a->v, .n = n, .n_candidates = AV_CANDIDATES, .dim = AV_DIM,
        .key = key, .positive_first = from, .positive = positive,
        .clean_embed = xcalloc((size_t)n * AV_DIM, sizeof(float)), .ctx = a,
        .site = site, .pass = pass };
    fill_clean(a, first, mask);
    for (uint32_t j = 0; j < AV_CANDIDATES; j++) {
        double c[AV_DIM];
        candidate(j, c);
        for (uint32_t k = 0; k < AV_DIM; k++)
            a->candidate[j * AV_DIM + k] = (float)c[k];
    }
    return a;
}

void av_free(struct attack_victim *a)
{
    free((void *)a->site[1].mask);
    for (int k = 0; k < AV_SITES; k++) {
        free((void *)a->site[k].clean);
        free(a->site[k].delta);
        free(a->site[k].grad);
    }
    free((void *)a->v.key);
    free((void *)a->v.positive_first);
    free((void *)a->v.clean_embed);
    free(a);
}

void av_scores(struct attack_victim *a, uint32_t i, double score[AV_CANDIDATES])
{
    struct state s;
    forward(a, i, &s);
    scores(&s, score);
}

static int right(const struct attack_victim *a, uint32_t i, uint32_t j)
{
    for (uint32_t p = a->v.positive_first[i]; p < a->v.positive_first[i + 1]; p++)
        if (a->v.positive[p] == j)
            return 1;
    return 0;
}

double av_cross_entropy(struct attack_victim *a, uint32_t i)
{
    double z[AV_CANDIDATES], all = 0, own = 0;
    av_scores(a, i, z);
    for (uint32_t j = 0; j < AV_CANDIDATES; j++) {
        all += exp(z[j]);
        own += right(a, i, j) ? exp(z[j]) : 0;
    }
    return log(all / own);
}

double av_margin(struct attack_victim *a, uint32_t i)
{
    double z[AV_CANDIDATES], best[2] = { -INFINITY, -INFINITY };
    av_scores(a, i, z);
    for (uint32_t j = 0; j < AV_CANDIDATES; j++)
        best[right(a, i, j)] = fmax(best[right(a, i, j)], z[j]);
    return best[0] - best[1];
}
