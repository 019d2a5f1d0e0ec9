/* SPDX-License-Identifier: MIT */
/*
 * Gradient sign attacks on pixels: fgsm (Goodfellow et al. 2015), pgd (Madry
 * et al. 2018; Linf with sign steps, L2 with normalised gradients, L1 with
 * sparse ones, random start, restarts) and mi_fgsm (Dong et al. 2018). The threat model: pixels
 * in 0..1 at the model's size, after resizing, before normalisation.
 */
#include <stdlib.h>

#include <mohs/plugin.h>
#include <mohs/util.h>

#include "../common/ascent.h"
#include "../common/item.h"

struct params {
    float eps, alpha, decay;
    int32_t norm, steps, restarts, random_start, early_stop, loss;
};

struct pgd {
    struct params p;
    const char *id;
    double alpha; /* when p.alpha is 0, in units of eps */
    int momentum;
};

static mohs_status create(const struct pgd *kind, const void *params, void **self,
                          struct mohs_error *err)
{
    struct pgd *a = malloc(sizeof *a);
    if (!a)
        return mohs_fail(err, MOHS_E_NOMEM, "%s: no memory", kind->id);
    *a = *kind;
    a->p = *(const struct params *)params;
    mohs_status st = ascent_check(a->id, a->p.loss, a->p.random_start, a->p.early_stop,
                                  err);
    if (st < 0) {
        free(a);
        return st;
    }
    *self = a;
    return MOHS_OK;
}

static mohs_status create_pgd(const struct mohs_host *host, const void *params,
                              void **self, struct mohs_error *err)
{
    (void)host;
    return create(&(struct pgd) { .id = "pgd", .alpha = 2.5 }, params, self, err);
}

/* The fields that these two do not have as parameters. */
static mohs_status create_fgsm(const struct mohs_host *host, const void *params,
                               void **self, struct mohs_error *err)
{
    struct params p = *(const struct params *)params;
    (void)host;
    p.alpha = 0;
    p.steps = p.restarts = 1;
    p.random_start = p.early_stop = 0;
    return create(&(struct pgd) { .id = "fgsm", .alpha = 1 }, &p, self, err);
}

static mohs_status create_mi_fgsm(const struct mohs_host *host, const void *params,
                                  void **self, struct mohs_error *err)
{
    struct params p = *(const struct params *)params;
    (void)host;
    p.norm = BALL_LINF;
    p.restarts = 1;
    return create(&(struct pgd) { .id = "mi_fgsm", .alpha = 1, .momentum = 1 }, &p, self,
                  err);
}

static void destroy(void *self)
{
    free(self);
}

static mohs_status run(void *self, struct mohs_victim *victim, uint64_t seed,
                       struct mohs_error *err)
{
    static const char tap[][TAP_MAX] = { "pixels" };
    const struct pgd *g = self;
    const struct params *p = &g->p;
    struct ascent a = {
        .what = g->id,
        .s = { .norm = p->norm, .radius = RADIUS_ABSOLUTE, .per_sample = 1, .eps = p->eps },
        .loss = p->loss,
        .steps = (uint32_t)p->steps,
        .restarts = (uint32_t)p->restarts,
        .alpha = g->alpha / p->steps,
        .random_start = p->random_start,
        .early_stop = p->early_stop,
        .decay = g->momentum ? p->decay : -1,
        .seed = seed,
    };
    if (p->alpha > 0 && p->eps > 0)
        a.alpha = (double)p->alpha / p->eps;
    mohs_status st = sites_open(&a.s, victim, tap, 1, err);
    return st < 0 || p->eps == 0 ? st : ascent_run(&a, err);
}

static void passes(void *self, uint32_t n_candidates, uint64_t *forward,
                   uint64_t *backward)
{
    const struct params *p = &((const struct pgd *)self)->p;
    (void)n_candidates;
    ascent_passes((uint32_t)p->steps, (uint32_t)p->restarts, p->random_start, forward,
                  backward);
}

enum { FLAGS = MOHS_ATTACK_GRADIENT | MOHS_ATTACK_STOCHASTIC }; // fgsm: loss=targeted draws
ATTACK_OPS_COST(pgd, FLAGS, create_pgd, destroy, run, passes);
ATTACK_OPS_COST(fgsm, FLAGS, create_fgsm, destroy, run, passes);
ATTACK_OPS_COST(mi_fgsm, FLAGS, create_mi_fgsm, destroy, run, passes);

static const char *const norms[] = BALL_CHOICES_L1;
static const char *const losses[] = LOSS_CHOICES;
#define AT(f) offsetof(struct params, f)
#define EPS(def) \
    { "eps", "radius of the ball, pixels in 0..1", MOHS_P_FLOAT, AT(eps), def, 0, 1000, \
      NULL, NULL }
#define ALPHA(text) \
    { "alpha", "step, pixels in 0..1; 0: " text, MOHS_P_FLOAT, AT(alpha), 0, 0, 1000, \
      NULL, NULL }
#define NORM \
    { "norm", "of the ball", MOHS_P_CHOICE, AT(norm), BALL_LINF, 0, BALL_L1, norms, NULL }
#define STEPS { "steps", "gradient steps", MOHS_P_INT, AT(steps), 10, 1, 100000, NULL, NULL }
#define START(def) \
    { "random_start", "start at a uniform point of the ball", MOHS_P_BOOL, \
      AT(random_start), def, 0, 1, NULL, NULL }
#define STOP \
    { "early_stop", "a sample is done once a wrong candidate leads", MOHS_P_BOOL, \
      AT(early_stop), 0, 0, 1, NULL, NULL }
#define LOSS \
    { "loss", LOSS_DOC_RAW, MOHS_P_CHOICE, AT(loss), LOSS_CROSS_ENTROPY, 0, LOSS_RAW, \
      losses, NULL }

static const struct mohs_param pgd_params[] = {
    EPS(4.0 / 255), ALPHA("2.5 eps / steps"), NORM, STEPS,
    { "restarts", "independent random starts, the worst result counts", MOHS_P_INT,
      AT(restarts), 1, 1, 1000, NULL, NULL },
    START(1), STOP, LOSS,
};
static const char *const fgsm_losses[] = { "cross_entropy", "margin", "targeted", "dlr",
                                           NULL };
static const struct mohs_param fgsm_params[] = {
    EPS(4.0 / 255), NORM,
    { "loss", "what is increased, as of pgd", MOHS_P_CHOICE, AT(loss), LOSS_CROSS_ENTROPY,
      0, LOSS_DLR, fgsm_losses, NULL },
};
static const struct mohs_param mi_fgsm_params[] = {
    EPS(16.0 / 255), ALPHA("eps / steps"), STEPS,
    { "decay", "of the momentum", MOHS_P_FLOAT, AT(decay), 1, 0, 10, NULL, NULL },
    START(0), STOP, LOSS,
};

ATTACK_ITEM(fgsm, "one gradient step on pixels");
ATTACK_ITEM(mi_fgsm, "iterated sign steps on pixels with momentum, Linf");
ATTACK_ITEM(pgd, "projected gradient descent on pixels, Linf, L2 or L1");
ATTACK_PLUGIN("mohs.pgd", "PGD", &fgsm_item, &mi_fgsm_item, &pgd_item)
