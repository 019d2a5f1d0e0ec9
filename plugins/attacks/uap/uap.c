/* SPDX-License-Identifier: MIT */
/*
 * One perturbation for all pictures (Moosavi-Dezfooli et al., "Universal
 * adversarial perturbations", CVPR 2017), learnt as X-Transfer does for CLIP
 * (Huang et al., ICML 2025): after each batch a step by the sign of the mean
 * gradient (l2: along it), back into the ball. The threat model: pixels in
 * 0..1 at the model's size, after resizing, before normalisation; where a
 * picture plus the perturbation leaves 0..1 it is cut, as in run().
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <mohs/ext/attack_cost.h>
#include <mohs/ext/attack_fit.h>
#include <mohs/plugin.h>
#include <mohs/rng.h>
#include <mohs/util.h>

#include "../common/item.h"
#include "../common/loss.h"
#include "../common/sites.h"

enum { FOR_START = 0x0A9 };

struct params {
    float eps, alpha;
    int32_t norm, loss, epochs, batch, samples;
};

struct uap {
    struct params p;
    uint64_t seed;
    int begun, fitted; /* fitted: delta is there */
    float *delta;      /* count floats of one picture */
    double *sum;
    uint32_t count;
};

static double alpha_of(const struct params *p)
{
    return p->alpha > 0 ? (double)p->alpha : (double)p->eps / 24;
}

/* ---- fitting ---- */

/* The ball alone: the range is that of each picture. */
static struct group ball_of(const struct uap *u, const float *grad)
{
    return (struct group) { u->delta, grad, u->delta, u->count, (double)u->p.eps,
                            -INFINITY, INFINITY };
}

static mohs_status size_set(struct uap *u, size_t count, struct mohs_error *err)
{
    if (u->delta && u->count == count)
        return MOHS_OK;
    if (u->delta)
        return mohs_fail(err, MOHS_E_ARG, "uap: pictures of %zu numbers after some of %u",
                         count, u->count);
    u->count = (uint32_t)count;
    u->delta = calloc(count + 1, sizeof *u->delta);
    u->sum = calloc(count + 1, sizeof *u->sum);
    if (!u->delta || !u->sum)
        return mohs_fail(err, MOHS_E_NOMEM, "uap: no memory for %zu numbers", count);
    return MOHS_OK;
}

/* The nearest to delta that keeps a picture in its range. */
static void apply(const struct uap *u, const struct mohs_site *x, uint32_t i)
{
    const float *clean = x->clean + (size_t)i * u->count;
    float *to = x->delta + (size_t)i * u->count;
    for (uint32_t k = 0; k < u->count; k++) {
        float d = u->delta[k];
        d = d > x->hi - clean[k] ? x->hi - clean[k] : d;
        d = d < x->lo - clean[k] ? x->lo - clean[k] : d;
        while (d != 0 && (clean[k] + d > x->hi || clean[k] + d < x->lo))
            d = nextafterf(d, 0);
        to[k] = d;
    }
}

/* The gradient ends where a picture is cut. */
static void gather(const struct uap *u, const struct mohs_site *x, uint32_t i)
{
    size_t at = (size_t)i * u->count;
    for (uint32_t k = 0; k < u->count; k++)
        if (x->delta[at + k] == u->delta[k])
            u->sum[k] += x->grad[at + k];
}

static mohs_status step(struct uap *u, struct mohs_victim *v, const struct mohs_site *x,
                        struct loss *l, struct mohs_error *err)
{
    uint32_t n = v->n, *all = malloc(((size_t)n + 1) * sizeof *all);
    float *value = malloc(((size_t)n + 1) * sizeof *value);
    float *mean = malloc(((size_t)u->count + 1) * sizeof *mean);
    mohs_status st = all && value && mean
                         ? MOHS_OK
                         : mohs_fail(err, MOHS_E_NOMEM, "uap: no memory for %u samples", n);
    for (uint32_t i = 0; st >= 0 && i < n; i++) {
        all[i] = i;
        apply(u, x, i);
    }
    if (st >= 0)
        st = loss_pass(l, n, all, value, 1, err);
    if (st >= 0) {
        memset(u->sum, 0, u->count * sizeof *u->sum);
        for (uint32_t i = 0; i < n; i++)
            gather(u, x, i);
        for (uint32_t k = 0; k < u->count; k++)
            mean[k] = (float)(u->sum[k] / n);
        struct group g = ball_of(u, mean);
        group_step(&g, u->p.norm, alpha_of(&u->p));
    }
    free(all);
    free(value);
    free(mean);
    return st;
}

static uint32_t fit_epochs(void *self)
{
    const struct uap *u = self;
    return u->p.eps > 0 ? (uint32_t)u->p.epochs : 0;
}

static uint32_t fit_batch(void *self)
{
    return (uint32_t)((const struct uap *)self)->p.batch;
}

static uint32_t fit_samples(void *self)
{
    return (uint32_t)((const struct uap *)self)->p.samples;
}

static mohs_status fit_begin(void *self, uint64_t seed, struct mohs_error *err)
{
    struct uap *u = self;
    (void)err;
    free(u->delta);
    free(u->sum);
    u->delta = NULL;
    u->sum = NULL;
    u->seed = seed;
    u->begun = 1;
    u->fitted = u->p.eps == 0;
    return MOHS_OK;
}

static mohs_status fit_chunk(void *self, struct mohs_victim *v, struct mohs_error *err)
{
    struct uap *u = self;
    struct mohs_site x = { .size = sizeof x };
    struct loss l = { 0 };
    mohs_status st = v->site(v, "pixels", &x, err);
    if (st < 0)
        return st;
    size_t count = (size_t)x.tokens * x.width;
    int first = !u->delta;
    st = size_set(u, count, err);
    if (st >= 0 && first) { // the distance to the clean embedding is flat at 0
        struct group g = ball_of(u, NULL);
        group_random(&g, u->p.norm, 0, mohs_rng_fork(u->seed, FOR_START), 0, 0);
    }
    if (st >= 0)
        st = loss_init(&l, v, u->p.loss, u->seed, "uap", err);
    if (st >= 0)
        st = step(u, v, &x, &l, err);
    loss_free(&l);
    memset(x.delta, 0, v->n * count * sizeof *x.delta);
    u->fitted = st >= 0;
    return st;
}

static mohs_status fit_state(void *self, const float **data, uint32_t *count,
                             struct mohs_error *err)
{
    struct uap *u = self;
    if (!u->fitted)
        return mohs_fail(err, MOHS_E_ARG, "uap: nothing was learnt");
    *data = u->delta;
    *count = u->delta ? u->count : 0;
    return MOHS_OK;
}

static mohs_status fit_restore(void *self, const float *data, uint32_t count,
                               struct mohs_error *err)
{
    struct uap *u = self;
    mohs_status st = count ? size_set(u, count, err) : MOHS_OK;
    if (st < 0)
        return st;
    if (count)
        memcpy(u->delta, data, count * sizeof *data);
    u->fitted = 1;
    return MOHS_OK;
}

/* ---- the attack ---- */

static mohs_status run(void *self, struct mohs_victim *v, uint64_t seed,
                       struct mohs_error *err)
{
    const struct uap *u = self;
    struct mohs_site x = { .size = sizeof x };
    mohs_status st = v->site(v, "pixels", &x, err);
    (void)seed;
    if (st < 0 || u->p.eps == 0)
        return st;
    if (!u->fitted)
        return mohs_fail(err, MOHS_E_ARG, "uap: the perturbation has not been learnt: the "
                         "host must serve " MOHS_EXT_ATTACK_FIT);
    if ((size_t)x.tokens * x.width != u->count)
        return mohs_fail(err, MOHS_E_ARG, "uap: learnt on pictures of %u numbers, not %zu",
                         u->count, (size_t)x.tokens * x.width);
    for (uint32_t i = 0; i < v->n; i++)
        apply(u, &x, i);
    return MOHS_OK;
}

static mohs_status create(const struct mohs_host *host, const void *params, void **self,
                          struct mohs_error *err)
{
    struct uap *u = calloc(1, sizeof *u);
    (void)host;
    if (!u)
        return mohs_fail(err, MOHS_E_NOMEM, "uap: no memory");
    u->p = *(const struct params *)params;
    *self = u;
    return MOHS_OK;
}

static void destroy(void *self)
{
    struct uap *u = self;
    free(u->delta);
    free(u->sum);
    free(u);
}

/* run() passes nothing. */
static void passes(void *self, uint32_t n_candidates, uint64_t *forward,
                   uint64_t *backward)
{
    (void)self;
    (void)n_candidates;
    *forward = *backward = 0;
}

static const void *extension(void *self, const char *id)
{
    static const struct mohs_attack_fit fit = {
        sizeof fit, fit_epochs, fit_batch, fit_samples, fit_begin, fit_chunk, fit_state,
        fit_restore };
    static const struct mohs_attack_cost cost = { sizeof cost, passes };
    (void)self;
    return !strcmp(id, MOHS_EXT_ATTACK_FIT)    ? (const void *)&fit
           : !strcmp(id, MOHS_EXT_ATTACK_COST) ? (const void *)&cost
                                               : NULL;
}

static const char *const norms[] = BALL_CHOICES;
static const char *const losses[] = { "cross_entropy", "margin", "targeted", "dlr",
                                      "embedding", NULL };
#define AT(f) offsetof(struct params, f)
static const struct mohs_param uap_params[] = {
    { "eps", "radius of the ball, pixels in 0..1", MOHS_P_FLOAT, AT(eps), 12.0 / 255, 0,
      1000, NULL, NULL },
    { "norm", "of the ball", MOHS_P_CHOICE, AT(norm), BALL_LINF, 0, 1, norms, NULL },
    { "alpha", "step of a batch, pixels in 0..1; 0: eps / 24", MOHS_P_FLOAT, AT(alpha), 0, 0,
      1000, NULL, NULL },
    { "loss", LOSS_DOC, MOHS_P_CHOICE, AT(loss), LOSS_EMBEDDING, 0, LOSS_EMBEDDING, losses,
      NULL },
    { "epochs", "passes over the fitting pictures", MOHS_P_INT, AT(epochs), 10, 1, 100000,
      NULL, NULL },
    { "batch", "pictures of a step", MOHS_P_INT, AT(batch), 128, 1, 65536, NULL, NULL },
    { "samples", "fitting pictures: the first so many; 0: all", MOHS_P_INT, AT(samples), 0,
      0, 100000000, NULL, NULL },
};
static const struct mohs_attack_ops uap_ops = {
    .size = sizeof uap_ops,
    .flags = MOHS_ATTACK_GRADIENT | MOHS_ATTACK_STOCHASTIC,
    .create = create,
    .destroy = destroy,
    .run = run,
    .get_extension = extension,
};
ATTACK_ITEM(uap, "one perturbation for all pictures, learnt from some, Linf or L2");
ATTACK_PLUGIN("mohs.uap", "Universal perturbation", &uap_item)
