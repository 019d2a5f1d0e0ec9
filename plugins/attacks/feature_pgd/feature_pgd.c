/* SPDX-License-Identifier: MIT */
/*
 * Projected gradient ascent on features: a perturbation is added at a tap (or
 * several), in a ball relative to what is there, as VILLA and FreeLB perturb
 * embeddings (Gan et al. 2020, Zhu et al. 2020). L2: radius eps times the norm
 * of the token (or of all tokens of the sample); Linf: eps times its standard
 * deviation.
 */
#include <stdlib.h>

#include <mohs/plugin.h>

#include "../common/ascent.h"

enum { TAP_MAX = 64 };

struct params {
    const char *tap;
    float eps, alpha;
    int32_t norm, per_sample, steps, restarts, random_start, loss;
};

struct feature_pgd {
    struct params p;
    char taps[ASCENT_SITES][TAP_MAX];
    uint32_t n;
};

static mohs_status split_taps(struct feature_pgd *f, const char *s,
                              struct mohs_error *err)
{
    for (; *s; s += strspn(s, ", ")) {
        size_t n = strcspn(s, ", ");
        if (!n)
            continue;
        if (f->n == ASCENT_SITES || n >= TAP_MAX)
            return mohs_fail(err, MOHS_E_ARG, "feature_pgd: bad list of taps");
        memcpy(f->taps[f->n], s, n);
        f->taps[f->n++][n] = 0;
        s += n;
    }
    return f->n ? MOHS_OK : mohs_fail(err, MOHS_E_ARG, "feature_pgd: tap is empty");
}

static mohs_status create(const struct mohs_host *host, const void *params, void **self,
                          struct mohs_error *err)
{
    struct feature_pgd *f = calloc(1, sizeof *f);
    (void)host;
    if (!f)
        return mohs_fail(err, MOHS_E_NOMEM, "feature_pgd: no memory");
    f->p = *(const struct params *)params;
    mohs_status st = split_taps(f, f->p.tap, err);
    if (st < 0) {
        free(f);
        return st;
    }
    f->p.tap = NULL; // the host's string; the copies are ours
    *self = f;
    return MOHS_OK;
}

static void destroy(void *self)
{
    free(self);
}

static uint32_t group_tokens(const struct ascent *a, const struct mohs_site *s)
{
    return ((const struct feature_pgd *)a->user)->p.per_sample ? s->tokens : 1;
}

static double radius(const struct ascent *a, const float *clean, size_t count)
{
    const struct params *p = &((const struct feature_pgd *)a->user)->p;
    if (p->norm == BALL_L2)
        return p->eps * group_norm(clean, count);
    double sum = 0, square = 0;
    for (size_t i = 0; i < count; i++)
        sum += clean[i];
    sum /= (double)count;
    for (size_t i = 0; i < count; i++)
        square += (clean[i] - sum) * (clean[i] - sum);
    return p->eps * sqrt(square / (double)count);
}

static mohs_status run(void *self, struct mohs_victim *victim, uint64_t seed,
                       struct mohs_error *err)
{
    struct feature_pgd *f = self;
    struct ascent a = {
        .v = victim,
        .n_sites = f->n,
        .norm = f->p.norm,
        .loss = f->p.loss,
        .steps = (uint32_t)f->p.steps,
        .restarts = (uint32_t)f->p.restarts,
        .random_start = f->p.random_start,
        .seed = seed,
        .group_tokens = group_tokens,
        .radius = radius,
        .user = f,
    };
    a.alpha = f->p.alpha > 0 && f->p.eps > 0 ? (double)f->p.alpha / f->p.eps
                                             : 1.5 / f->p.steps;
    for (uint32_t i = 0; i < f->n; i++) {
        mohs_status st = victim->site(victim, f->taps[i], &a.site[i], err);
        if (st < 0)
            return st;
    }
    return f->p.eps == 0 ? MOHS_OK : ascent_run(&a, err);
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
    { "tap", "place(s) in the model, comma-separated: image.patch, text.token, "
      "image.block.0, ...", MOHS_P_STRING, AT(tap), 0, 0, 0, NULL, "image.patch" },
    { "eps", "radius relative to what is at the tap", MOHS_P_FLOAT, AT(eps), 0.1, 0, 1000,
      NULL, NULL },
    { "alpha", "step, relative as eps; 0: 1.5 eps / steps", MOHS_P_FLOAT, AT(alpha), 0, 0,
      1000, NULL, NULL },
    { "norm", "l2: of norms, linf: of standard deviations", MOHS_P_CHOICE, AT(norm), BALL_L2,
      0, 1, norms, NULL },
    { "per_sample", "one ball a sample instead of one a token", MOHS_P_BOOL, AT(per_sample),
      0, 0, 1, NULL, NULL },
    { "steps", "gradient steps", MOHS_P_INT, AT(steps), 10, 1, 100000, NULL, NULL },
    { "restarts", "independent starts, the worst result counts", MOHS_P_INT, AT(restarts), 1,
      1, 1000, NULL, NULL },
    { "random_start", "start at a random point of the ball", MOHS_P_BOOL, AT(random_start), 1,
      0, 1, NULL, NULL },
    { "loss", LOSS_DOC, MOHS_P_CHOICE, AT(loss), LOSS_CROSS_ENTROPY, 0, 2, losses, NULL },
};

static const struct mohs_item feature_pgd = {
    .size = sizeof feature_pgd,
    .param_stride = sizeof *params,
    .kind = MOHS_KIND_ATTACK,
    .id = "feature_pgd",
    .summary = "projected gradient ascent on features at any tap",
    .params = params,
    .n_params = sizeof params / sizeof *params,
    .params_size = sizeof(struct params),
    .ops = &ops,
};

static const struct mohs_item *const items[] = { &feature_pgd, NULL };
static const struct mohs_plugin plugin = {
    .size = sizeof plugin,
    .abi = MOHS_ABI,
    .id = "mohs.feature_pgd",
    .name = "Feature PGD",
    .version = "1.0",
    .license = "MIT",
    .items = items,
};

const struct mohs_plugin *mohs_plugin_v1(uint32_t host_abi)
{
    (void)host_abi;
    return &plugin;
}
