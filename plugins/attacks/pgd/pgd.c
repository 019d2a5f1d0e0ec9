/* SPDX-License-Identifier: MIT */
/*
 * Projected gradient descent on pixels (Madry et al. 2018): Linf with sign
 * steps, L2 with normalised gradients, random start, restarts. The threat
 * model: pixels in 0..1 at the model's size, before normalisation.
 */
#include <stdlib.h>

#include <mohs/plugin.h>

#include "../common/ascent.h"

struct params {
    float eps, alpha;
    int32_t norm, steps, restarts, random_start, loss;
};

static mohs_status create(const struct mohs_host *host, const void *params, void **self,
                          struct mohs_error *err)
{
    struct params *p = malloc(sizeof *p);
    (void)host;
    if (!p)
        return mohs_fail(err, MOHS_E_NOMEM, "pgd: no memory");
    *p = *(const struct params *)params;
    *self = p;
    return MOHS_OK;
}

static void destroy(void *self)
{
    free(self);
}

static uint32_t whole_picture(const struct ascent *a, const struct mohs_site *s)
{
    (void)a;
    return s->tokens;
}

static double radius(const struct ascent *a, const float *clean, size_t count)
{
    (void)clean;
    (void)count;
    return ((const struct params *)a->user)->eps;
}

static mohs_status run(void *self, struct mohs_victim *victim, uint64_t seed,
                       struct mohs_error *err)
{
    struct params *p = self;
    struct ascent a = {
        .v = victim,
        .n_sites = 1,
        .norm = p->norm,
        .loss = p->loss,
        .steps = (uint32_t)p->steps,
        .restarts = (uint32_t)p->restarts,
        .random_start = p->random_start,
        .seed = seed,
        .group_tokens = whole_picture,
        .radius = radius,
        .user = p,
    };
    a.alpha = p->alpha > 0 && p->eps > 0 ? (double)p->alpha / p->eps : 2.5 / p->steps;
    mohs_status st = victim->site(victim, "pixels", &a.site[0], err);
    return st < 0 || p->eps == 0 ? st : ascent_run(&a, err);
}

static const struct mohs_attack_ops ops = {
    .size = sizeof ops,
    .flags = MOHS_ATTACK_GRADIENT | MOHS_ATTACK_STOCHASTIC,
    .create = create,
    .destroy = destroy,
    .run = run,
};

static const char *const norms[] = BALL_CHOICES;
static const char *const losses[] = LOSS_CHOICES;
#define AT(f) offsetof(struct params, f)
static const struct mohs_param params[] = {
    { "eps", "radius of the ball, pixels in 0..1", MOHS_P_FLOAT, AT(eps), 4.0 / 255, 0, 1000,
      NULL, NULL },
    { "alpha", "step, pixels in 0..1; 0: 2.5 eps / steps", MOHS_P_FLOAT, AT(alpha), 0, 0,
      1000, NULL, NULL },
    { "norm", "of the ball", MOHS_P_CHOICE, AT(norm), BALL_LINF, 0, 1, norms, NULL },
    { "steps", "gradient steps", MOHS_P_INT, AT(steps), 10, 1, 100000, NULL, NULL },
    { "restarts", "independent starts, the worst result counts", MOHS_P_INT, AT(restarts), 1,
      1, 1000, NULL, NULL },
    { "random_start", "start at a uniform point of the ball", MOHS_P_BOOL, AT(random_start),
      1, 0, 1, NULL, NULL },
    { "loss", LOSS_DOC, MOHS_P_CHOICE, AT(loss), LOSS_CROSS_ENTROPY, 0, 2, losses, NULL },
};

static const struct mohs_item pgd = {
    .size = sizeof pgd,
    .param_stride = sizeof *params,
    .kind = MOHS_KIND_ATTACK,
    .id = "pgd",
    .summary = "projected gradient descent on pixels, Linf or L2",
    .params = params,
    .n_params = sizeof params / sizeof *params,
    .params_size = sizeof(struct params),
    .ops = &ops,
};

static const struct mohs_item *const items[] = { &pgd, NULL };
static const struct mohs_plugin plugin = {
    .size = sizeof plugin,
    .abi = MOHS_ABI,
    .id = "mohs.pgd",
    .name = "PGD",
    .version = "1.0",
    .license = "MIT",
    .items = items,
};

const struct mohs_plugin *mohs_plugin_v1(uint32_t host_abi)
{
    (void)host_abi;
    return &plugin;
}
