/* SPDX-License-Identifier: MIT */
/*
 * Auto-PGD at pixels (apgd) and at any taps (feature_apgd); see
 * common/apgd.h. The threat model of apgd: pixels in 0..1 at the model's size,
 * after resizing, before normalisation.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <mohs/plugin.h>
#include <mohs/rng.h>
#include <mohs/util.h>

#include "../common/apgd.h"
#include "../common/item.h"
#include "../common/resume.h"

struct params {
    float eps, rho;
    int32_t norm, steps, restarts, targets, early_stop, loss;
    int32_t per_sample;
    const char *tap;
};

struct attack {
    const char *id;
    struct params p;
    int radius;
    char tap[SITES_MAX][TAP_MAX];
    uint32_t n_taps;
};

static mohs_status create(const struct attack *kind, const void *params, void **self,
                          struct mohs_error *err)
{
    struct attack *a = malloc(sizeof *a);
    if (!a)
        return mohs_fail(err, MOHS_E_NOMEM, "%s: no memory", kind->id);
    *a = *kind;
    a->p = *(const struct params *)params;
    mohs_status st = MOHS_OK;
    if (loss_is_distance(a->p.loss) && a->p.early_stop)
        st = mohs_fail(err, MOHS_E_ARG, "%s: early_stop needs a loss on scores, not "
                       "embedding", a->id);
    if (st >= 0 && !a->n_taps)
        st = taps_split(a->p.tap, a->tap, &a->n_taps, a->id, err);
    a->p.tap = NULL;
    if (st < 0) {
        free(a);
        return st;
    }
    *self = a;
    return MOHS_OK;
}

static mohs_status create_apgd(const struct mohs_host *host, const void *params,
                               void **self, struct mohs_error *err)
{
    struct params p = *(const struct params *)params;
    (void)host;
    p.per_sample = 1;
    return create(&(struct attack) { .id = "apgd", .radius = RADIUS_ABSOLUTE,
                                     .tap = { "pixels" }, .n_taps = 1 },
                  &p, self, err);
}

static mohs_status create_feature(const struct mohs_host *host, const void *params,
                                  void **self, struct mohs_error *err)
{
    (void)host;
    return create(&(struct attack) { .id = "feature_apgd", .radius = RADIUS_RELATIVE },
                  params, self, err);
}

static void destroy(void *self)
{
    free(self);
}

struct best {
    float *kept[SITES_MAX];
    double *loss, *now;
    uint8_t *fooled, *fooled_now;
    uint32_t *active, n;
    uint32_t run, aimed; /* the run to come, whether its targets are known */
    struct resume resume;
};

/* Keeps what the last run made of the active samples. */
static void merge(struct best *b, const struct attack *a, const struct sites *s,
                  const struct loss *loss)
{
    uint32_t left = 0;
    for (uint32_t j = 0; j < b->n; j++) {
        uint32_t i = b->active[j];
        if (b->fooled_now[i] > b->fooled[i] ||
            (b->fooled_now[i] == b->fooled[i] && b->now[i] > b->loss[i])) {
            b->loss[i] = b->now[i];
            b->fooled[i] = b->fooled_now[i];
            kept_store(s, i, b->kept);
        }
        if (!loss_spent(loss, i) && (!a->p.early_stop || !b->fooled[i]))
            b->active[left++] = i;
    }
    b->n = left;
}

static int32_t enter(struct best *b, const struct attack *a, const struct sites *s,
                     struct loss *loss, struct mohs_error *err)
{
    struct resume *r = &b->resume;
    uint32_t n = s->v->n;
    resume_init(r, s->v);
    resume_part(r, &b->run, sizeof b->run);
    resume_part(r, &b->aimed, sizeof b->aimed);
    resume_part(r, &b->n, sizeof b->n);
    resume_part(r, b->active, n * sizeof *b->active);
    resume_part(r, b->loss, n * sizeof *b->loss);
    resume_part(r, b->fooled, n);
    resume_part(r, loss->target, n * sizeof *loss->target);
    resume_kept(r, s, b->kept);
    return resume_enter(r, a->id, err);
}

static mohs_status runs(const struct attack *a, struct sites *s, struct loss *loss,
                        struct best *b, uint64_t seed, struct mohs_error *err)
{
    int targeted = a->p.loss == LOSS_DLR_TARGETED;
    uint32_t targets = targeted ? (uint32_t)a->p.targets : 1;
    mohs_status st = enter(b, a, s, loss, err);
    while (st >= 0 && b->run < (uint32_t)a->p.restarts * targets && b->n) {
        if (targeted && !b->aimed) {
            sites_zero(s);
            st = loss_aim(loss, b->run % targets, b->n, b->active, err);
            b->aimed = 1;
            if (st >= 0)
                st = resume_point(&b->resume, 0, NULL, err);
        }
        struct apgd run = { a->id, s, loss, (uint32_t)a->p.steps, b->run,
                            (double)a->p.rho, a->p.early_stop, seed };
        if (st >= 0)
            st = apgd_run(&run, b->n, b->active, b->now, b->fooled_now, err);
        if (st < 0)
            break;
        merge(b, a, s, loss);
        b->run++;
        b->aimed = 0;
    }
    resume_leave(&b->resume);
    return st;
}

static mohs_status run(void *self, struct mohs_victim *victim, uint64_t seed,
                       struct mohs_error *err)
{
    const struct attack *a = self;
    struct sites s = { .norm = a->p.norm, .radius = a->radius,
                       .per_sample = a->p.per_sample, .eps = a->p.eps };
    struct loss loss = { 0 };
    struct best b = { .n = victim->n };
    mohs_status st = sites_open(&s, victim, (const char(*)[TAP_MAX])a->tap, a->n_taps, err);
    if (st < 0 || a->p.eps == 0)
        return st;
    size_t n = (size_t)victim->n + 1;
    b.loss = malloc(n * sizeof *b.loss);
    b.now = calloc(n, sizeof *b.now);
    b.fooled = calloc(n, 1);
    b.fooled_now = calloc(n, 1);
    b.active = malloc(n * sizeof *b.active);
    if (!b.loss || !b.now || !b.fooled || !b.fooled_now || !b.active)
        st = mohs_fail(err, MOHS_E_NOMEM, "%s: no memory for %u samples", a->id, victim->n);
    for (uint32_t i = 0; st >= 0 && i < victim->n; i++) {
        b.active[i] = i;
        b.loss[i] = -INFINITY;
    }
    if (st >= 0)
        st = kept_new(&s, b.kept, err);
    if (st >= 0)
        st = loss_init(&loss, victim, a->p.loss, seed, a->id, err);
    if (st >= 0)
        st = runs(a, &s, &loss, &b, seed, err);
    for (uint32_t i = 0; st >= 0 && i < victim->n; i++)
        kept_restore(&s, i, b.kept);
    kept_free(b.kept);
    loss_free(&loss);
    free(b.loss);
    free(b.now);
    free(b.fooled);
    free(b.fooled_now);
    free(b.active);
    return st;
}

static void passes(void *self, uint32_t n_candidates, uint64_t *forward,
                   uint64_t *backward)
{
    const struct params *p = &((const struct attack *)self)->p;
    uint64_t targeted = p->loss == LOSS_DLR_TARGETED, steps = (uint64_t)p->steps;
    uint64_t runs = (uint64_t)p->restarts * (targeted ? (uint64_t)p->targets : 1);
    (void)n_candidates;
    *forward = runs * (steps + 1 + targeted);
    *backward = runs * steps;
}

static const char *const norms[] = BALL_CHOICES;
static const char *const losses[] = { "cross_entropy", "margin", "targeted", "dlr",
                                      "embedding", "raw_embedding", "dlr_targeted", NULL };
#define AT(f) offsetof(struct params, f)
#define COMMON(eps_, eps_doc, norm_) \
    { "eps", eps_doc, MOHS_P_FLOAT, AT(eps), eps_, 0, 1000, NULL, NULL }, \
    { "norm", "of the ball", MOHS_P_CHOICE, AT(norm), norm_, 0, 1, norms, NULL }, \
    { "steps", "gradient steps", MOHS_P_INT, AT(steps), 100, 1, 100000, NULL, NULL }, \
    { "restarts", "independent random starts, the worst result counts", MOHS_P_INT, \
      AT(restarts), 1, 1, 1000, NULL, NULL }, \
    { "rho", "the step is halved when the loss rose in fewer than this share of steps", \
      MOHS_P_FLOAT, AT(rho), 0.75, 0, 1, NULL, NULL }, \
    { "loss", LOSS_DOC_RAW "; dlr_targeted: towards the best wrong ones", \
      MOHS_P_CHOICE, AT(loss), LOSS_CROSS_ENTROPY, 0, LOSS_DLR_TARGETED, losses, NULL }, \
    { "targets", "of dlr_targeted: how many wrong candidates", MOHS_P_INT, AT(targets), 9, \
      1, 100000, NULL, NULL }, \
    { "early_stop", "a sample is done once a wrong candidate leads", MOHS_P_BOOL, \
      AT(early_stop), 0, 0, 1, NULL, NULL }

static const struct mohs_param apgd_params[] = {
    COMMON(4.0 / 255, "radius of the ball, pixels in 0..1", BALL_LINF),
};
static const struct mohs_param feature_apgd_params[] = {
    COMMON(0.1, "radius of the ball, relative: times the L2 norm (l2) or the standard "
           "deviation (linf) of what is there", BALL_L2),
    { "tap", "where, or several parted by commas", MOHS_P_STRING, AT(tap), 0, 0, 0, NULL,
      "image.patch" },
    { "per_sample", "one ball a sample, else one a token", MOHS_P_BOOL, AT(per_sample), 0,
      0, 1, NULL, NULL },
};

enum { FLAGS = MOHS_ATTACK_GRADIENT | MOHS_ATTACK_STOCHASTIC };
ATTACK_OPS_COST(apgd, FLAGS, create_apgd, destroy, run, passes);
ATTACK_OPS_COST(feature_apgd, FLAGS, create_feature, destroy, run, passes);
ATTACK_ITEM(apgd, "Auto-PGD on pixels, Linf or L2");
ATTACK_ITEM(feature_apgd, "Auto-PGD on inner features, at any taps");
ATTACK_PLUGIN("mohs.apgd", "Auto-PGD", &apgd_item, &feature_apgd_item)
