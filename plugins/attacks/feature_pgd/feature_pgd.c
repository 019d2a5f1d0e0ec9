/* SPDX-License-Identifier: MIT */
/*
 * Perturbations of features, added at a tap (or several) in a ball relative
 * to what is there, as VILLA and FreeLB perturb embeddings (Gan et al. 2020,
 * Zhu et al. 2020): feature_pgd climbs the loss, feature_noise is the random
 * control of the same norm. L2: radius eps times the norm of the token (or
 * of all tokens of the sample); Linf: eps times its standard deviation.
 */
#include <stdlib.h>

#include <mohs/plugin.h>
#include <mohs/util.h>

#include "../common/ascent.h"
#include "../common/item.h"

struct params {
    const char *tap;
    float eps, alpha;
    int32_t norm, per_sample, steps, restarts, random_start, early_stop, loss;
};

struct feature {
    struct params p; /* but for tap: the host's string */
    char tap[SITES_MAX][TAP_MAX];
    uint32_t n;
};

static mohs_status create(const struct params *p, const char *what, void **self,
                          struct mohs_error *err)
{
    struct feature *f = calloc(1, sizeof *f);
    if (!f)
        return mohs_fail(err, MOHS_E_NOMEM, "%s: no memory", what);
    f->p = *p;
    f->p.tap = NULL;
    mohs_status st = taps_split(p->tap, f->tap, &f->n, what, err);
    if (st >= 0)
        st = ascent_check(what, p->loss, p->random_start, p->early_stop, err);
    if (st < 0) {
        free(f);
        return st;
    }
    *self = f;
    return MOHS_OK;
}

static mohs_status create_pgd(const struct mohs_host *host, const void *params,
                              void **self, struct mohs_error *err)
{
    (void)host;
    return create(params, "feature_pgd", self, err);
}

static mohs_status create_noise(const struct mohs_host *host, const void *params,
                                void **self, struct mohs_error *err)
{
    (void)host;
    return create(params, "feature_noise", self, err);
}

static void destroy(void *self)
{
    free(self);
}

static struct sites balls(const struct feature *f)
{
    return (struct sites) { .norm = f->p.norm, .radius = RADIUS_RELATIVE,
                            .per_sample = f->p.per_sample, .eps = f->p.eps };
}

static mohs_status run_pgd(void *self, struct mohs_victim *victim, uint64_t seed,
                           struct mohs_error *err)
{
    const struct feature *f = self;
    const struct params *p = &f->p;
    struct ascent a = {
        .what = "feature_pgd",
        .s = balls(f),
        .loss = p->loss,
        .steps = (uint32_t)p->steps,
        .restarts = (uint32_t)p->restarts,
        .alpha = 1.5 / p->steps,
        .random_start = p->random_start,
        .early_stop = p->early_stop,
        .decay = -1,
        .seed = seed,
    };
    if (p->alpha > 0 && p->eps > 0)
        a.alpha = (double)p->alpha / p->eps;
    mohs_status st = sites_open(&a.s, victim, f->tap, f->n, err);
    return st < 0 || p->eps == 0 ? st : ascent_run(&a, err);
}

static mohs_status run_noise(void *self, struct mohs_victim *victim, uint64_t seed,
                             struct mohs_error *err)
{
    const struct feature *f = self;
    struct sites s = balls(f);
    mohs_status st = sites_open(&s, victim, f->tap, f->n, err);
    for (uint32_t i = 0; st >= 0 && f->p.eps > 0 && i < victim->n; i++)
        sites_random(&s, i, 1, seed);
    return st;
}

static void passes(void *self, uint32_t n_candidates, uint64_t *forward,
                   uint64_t *backward)
{
    const struct params *p = &((const struct feature *)self)->p;
    (void)n_candidates;
    ascent_passes((uint32_t)p->steps, (uint32_t)p->restarts, p->random_start, forward,
                  backward);
}

static void no_passes(void *self, uint32_t n_candidates, uint64_t *forward,
                      uint64_t *backward)
{
    (void)self;
    (void)n_candidates;
    *forward = *backward = 0;
}

ATTACK_OPS_COST(feature_pgd, MOHS_ATTACK_GRADIENT | MOHS_ATTACK_STOCHASTIC, create_pgd, destroy,
           run_pgd, passes);
ATTACK_OPS_COST(feature_noise, MOHS_ATTACK_STOCHASTIC, create_noise, destroy, run_noise,
           no_passes);

static const char *const norms[] = BALL_CHOICES;
static const char *const losses[] = LOSS_CHOICES;
#define AT(f) offsetof(struct params, f)
#define BALL \
    { "tap", "place(s) in the model, comma-separated: image.patch, text.token, " \
      "image.block.0, ...", MOHS_P_STRING, AT(tap), 0, 0, 0, NULL, "image.patch" }, \
    { "eps", "radius relative to what is at the tap", MOHS_P_FLOAT, AT(eps), 0.1, 0, 1000, \
      NULL, NULL }, \
    { "norm", "l2: of norms, linf: of standard deviations", MOHS_P_CHOICE, AT(norm), \
      BALL_L2, 0, 1, norms, NULL }, \
    { "per_sample", "one ball a sample instead of one a token", MOHS_P_BOOL, \
      AT(per_sample), 0, 0, 1, NULL, NULL }

static const struct mohs_param feature_pgd_params[] = {
    BALL,
    { "alpha", "step, relative as eps; 0: 1.5 eps / steps", MOHS_P_FLOAT, AT(alpha), 0, 0,
      1000, NULL, NULL },
    { "steps", "gradient steps", MOHS_P_INT, AT(steps), 10, 1, 100000, NULL, NULL },
    { "restarts", "independent random starts, the worst result counts", MOHS_P_INT,
      AT(restarts), 1, 1, 1000, NULL, NULL },
    { "random_start", "start at a uniform point of the ball", MOHS_P_BOOL,
      AT(random_start), 1, 0, 1, NULL, NULL },
    { "early_stop", "a sample is done once a wrong candidate leads", MOHS_P_BOOL,
      AT(early_stop), 0, 0, 1, NULL, NULL },
    { "loss", LOSS_DOC_RAW, MOHS_P_CHOICE, AT(loss), LOSS_CROSS_ENTROPY, 0, LOSS_RAW,
      losses, NULL },
};
static const struct mohs_param feature_noise_params[] = { BALL };

ATTACK_ITEM(feature_noise, "random perturbation of features: the control of feature_pgd");
ATTACK_ITEM(feature_pgd, "projected gradient ascent on features at any tap");
ATTACK_PLUGIN("mohs.feature_pgd", "Feature PGD", &feature_noise_item, &feature_pgd_item)
