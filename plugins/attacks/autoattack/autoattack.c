/* SPDX-License-Identifier: MIT */
/*
 * AutoAttack (Croce and Hein, ICML 2020) and its members fab and square, at
 * pixels in 0..1 at the model's size, after resizing, before normalisation.
 *
 * standard: APGD on cross entropy, APGD on the DLR loss towards each of 9
 * wrong candidates, FAB towards the same, Square; each on the samples that
 * still stand. clip: the first two, as the papers on robust CLIP models have
 * it. plus: 5 restarts, APGD on the untargeted DLR loss too; the authors' plus
 * also has an untargeted FAB, which this has not. With fewer than 4
 * candidates the DLR loss means nothing and its members are left out.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <mohs/plugin.h>
#include <mohs/rng.h>
#include <mohs/util.h>

#include "../common/apgd.h"
#include "../common/fab.h"
#include "../common/item.h"
#include "../common/square.h"
#include "../common/standing.h"

enum version { STANDARD, PLUS, CLIP };

struct params {
    float eps, p;
    int32_t norm, version, steps, targets, queries, restarts;
};

struct attack {
    const char *id;
    struct params p;
    mohs_status (*run)(const struct attack *a, struct standing *t, uint64_t seed,
                       struct mohs_error *err);
};

/* Forks of the seed, one a member. */
enum { APGD_CE = 1, APGD_DLR, APGD_T, FAB_T, SQUARE };

/* ---- members: runs, each with what came before kept (standing_point) ---- */

/* The `rank`-th wrong candidate of those that stand, once a run. */
static mohs_status aim(struct standing *t, struct loss *loss, uint32_t rank,
                       struct mohs_error *err)
{
    size_t bytes = t->s->v->n * sizeof *t->target;
    if (t->aimed) {
        memcpy(loss->target, t->target, bytes);
        return MOHS_OK;
    }
    sites_zero(t->s);
    mohs_status st = loss_aim(loss, rank, t->n, t->sample, err);
    if (st < 0)
        return st;
    memcpy(t->target, loss->target, bytes);
    t->aimed = 1;
    return standing_point(t, err);
}

static mohs_status run_done(struct standing *t, int judged, struct mohs_error *err)
{
    mohs_status st = judged ? standing_judge(t, err) : MOHS_OK;
    t->run++;
    t->aimed = 0;
    return st < 0 ? st : standing_point(t, err);
}

static mohs_status apgd(const struct attack *a, struct standing *t, int32_t kind,
                        uint32_t restarts, uint64_t seed, struct mohs_error *err)
{
    int targeted = kind == LOSS_DLR_TARGETED;
    uint32_t n = t->s->v->n, targets = targeted ? (uint32_t)a->p.targets : 1;
    struct loss loss = { 0 };
    double *best = calloc((size_t)n + 1, sizeof *best);
    uint8_t *fooled = calloc((size_t)n + 1, 1);
    mohs_status st = best && fooled ? loss_init(&loss, t->s->v, kind, seed, a->id, err)
                                    : mohs_fail(err, MOHS_E_NOMEM,
                                                "%s: no memory for %u samples", a->id, n);
    while (st >= 0 && t->run < restarts * targets && t->n) {
        struct apgd run = { a->id, t->s, &loss, (uint32_t)a->p.steps, t->run, 0.75, 1,
                            seed };
        if (targeted)
            st = aim(t, &loss, t->run % targets, err);
        else
            sites_zero(t->s);
        if (st >= 0)
            st = apgd_run(&run, t->n, t->sample, best, fooled, err);
        if (st >= 0)
            st = run_done(t, 1, err);
    }
    loss_free(&loss);
    free(best);
    free(fooled);
    return st;
}

/* What FAB found beyond the ball does not count. */
static void cut_to_ball(const struct standing *t, const double *size, double eps)
{
    size_t floats = sites_floats(t->s, 0);
    for (uint32_t j = 0; j < t->n; j++) {
        const struct mohs_site *x = &t->s->site[0];
        uint32_t i = t->sample[j];
        struct group g = { x->delta + i * floats, x->grad + i * floats,
                           x->clean + i * floats, floats, eps, x->lo, x->hi };
        if (!(size[i] <= eps))
            memset(g.delta, 0, floats * sizeof *g.delta);
        else
            group_project(&g, t->s->norm); // rounding to floats
    }
}

/* Towards one wrong candidate of each sample that stands, size[] and deltas of
 * those for which there is none: INFINITY and zero. */
static mohs_status fab_towards(const struct attack *a, struct standing *t,
                               struct loss *loss, uint64_t seed, double *size,
                               struct mohs_error *err)
{
    uint32_t targets = (uint32_t)a->p.targets, aimed = 0;
    mohs_status st = aim(t, loss, t->run % targets, err);
    sites_zero(t->s);
    for (uint32_t j = 0; st >= 0 && j < t->n; j++) {
        size[t->sample[j]] = INFINITY;
        if (loss->target[t->sample[j]] < t->s->v->n_candidates)
            t->scratch[aimed++] = t->sample[j];
    }
    struct fab f = { a->id, t->s, loss, (uint32_t)a->p.steps, t->run / targets, 0.1, 1.05,
                     0.9, seed };
    return st < 0 || !aimed ? st : fab_run(&f, aimed, t->scratch, size, err);
}

/* What a run found, if it is nearer; the nearest to the deltas. */
static void nearer(struct standing *t, const double *size)
{
    for (uint32_t j = 0; j < t->n; j++) {
        uint32_t i = t->sample[j];
        if (size[i] < t->least[i]) {
            t->least[i] = size[i];
            kept_store(t->s, i, t->nearest);
        }
        kept_restore(t->s, i, t->nearest);
    }
}

/* The least of all targets and restarts (`least`), or the first within eps. */
static mohs_status fab(const struct attack *a, struct standing *t, uint32_t restarts,
                       int least, uint64_t seed, struct mohs_error *err)
{
    uint32_t n = t->s->v->n, runs = restarts * (uint32_t)a->p.targets;
    struct loss loss = { 0 };
    double *size = calloc((size_t)n + 1, sizeof *size);
    mohs_status st = size ? loss_init(&loss, t->s->v, LOSS_TARGETED, seed, a->id, err)
                          : mohs_fail(err, MOHS_E_NOMEM, "%s: no memory for %u samples",
                                      a->id, n);
    for (uint32_t i = 0; !t->run && !t->aimed && i < n; i++)
        t->least[i] = INFINITY;
    while (st >= 0 && t->run < runs && t->n) {
        int judged = !least || t->run + 1 == runs;
        st = fab_towards(a, t, &loss, seed, size, err);
        if (st < 0)
            break;
        nearer(t, size);
        if (judged)
            cut_to_ball(t, t->least, (double)a->p.eps);
        st = run_done(t, judged, err);
    }
    loss_free(&loss);
    free(size);
    return st;
}

static mohs_status square(const struct attack *a, struct standing *t, uint32_t restarts,
                          uint64_t seed, struct mohs_error *err)
{
    uint32_t n = t->s->v->n;
    double *best = calloc((size_t)n + 1, sizeof *best);
    mohs_status st = best ? MOHS_OK
                          : mohs_fail(err, MOHS_E_NOMEM, "%s: no memory for %u samples",
                                      a->id, n);
    while (st >= 0 && t->run < restarts && t->n) {
        struct square run = { a->id, t->s, &t->margin, (uint32_t)a->p.queries, t->run,
                              (double)a->p.p, seed };
        st = square_run(&run, t->n, t->sample, best, err);
        if (st >= 0)
            st = run_done(t, 1, err);
    }
    free(best);
    return st;
}

/* ---- items ---- */

static mohs_status member(const struct attack *a, struct standing *t, uint32_t which,
                          uint64_t seed, struct mohs_error *err)
{
    uint32_t restarts = a->p.version == PLUS ? 5 : 1;
    int dlr = t->s->v->n_candidates >= 4;
    seed = mohs_rng_fork(seed, which);
    switch (which) {
    case APGD_CE: return apgd(a, t, LOSS_CROSS_ENTROPY, restarts, seed, err);
    case APGD_DLR:
        return a->p.version == PLUS && dlr ? apgd(a, t, LOSS_DLR, restarts, seed, err)
                                           : MOHS_OK;
    case APGD_T: return dlr ? apgd(a, t, LOSS_DLR_TARGETED, 1, seed, err) : MOHS_OK;
    case FAB_T:
        return a->p.version != CLIP ? fab(a, t, restarts, 0, seed, err) : MOHS_OK;
    default: return a->p.version != CLIP ? square(a, t, 1, seed, err) : MOHS_OK;
    }
}

static mohs_status autoattack_run(const struct attack *a, struct standing *t, uint64_t seed,
                                  struct mohs_error *err)
{
    mohs_status st = MOHS_OK;
    while (st >= 0 && t->phase < SQUARE) {
        st = member(a, t, t->phase + 1, seed, err);
        t->phase++;
        t->run = 0;
    }
    return st;
}

static mohs_status fab_item_run(const struct attack *a, struct standing *t, uint64_t seed,
                                struct mohs_error *err)
{
    return fab(a, t, (uint32_t)a->p.restarts, 1, mohs_rng_fork(seed, FAB_T), err);
}

static mohs_status square_item_run(const struct attack *a, struct standing *t,
                                   uint64_t seed, struct mohs_error *err)
{
    return square(a, t, (uint32_t)a->p.restarts, mohs_rng_fork(seed, SQUARE), err);
}

static mohs_status create(const struct attack *kind, const void *params, void **self,
                          struct mohs_error *err)
{
    struct attack *a = malloc(sizeof *a);
    if (!a)
        return mohs_fail(err, MOHS_E_NOMEM, "%s: no memory", kind->id);
    *a = *kind;
    a->p = *(const struct params *)params;
    *self = a;
    return MOHS_OK;
}

static void destroy(void *self)
{
    free(self);
}

static mohs_status run(void *self, struct mohs_victim *victim, uint64_t seed,
                       struct mohs_error *err)
{
    static const char tap[][TAP_MAX] = { "pixels" };
    const struct attack *a = self;
    struct sites s = { .norm = a->p.norm, .radius = RADIUS_ABSOLUTE, .per_sample = 1,
                       .eps = a->p.eps };
    struct standing t = { 0 };
    mohs_status st = sites_open(&s, victim, tap, 1, err);
    if (st < 0 || a->p.eps == 0)
        return st;
    st = standing_new(&t, &s, a->id, err);
    if (st >= 0)
        st = a->run(a, &t, seed, err);
    if (st >= 0)
        standing_restore(&t);
    standing_free(&t);
    return st;
}

/* A run of each member, with its aim and its judgement. */
static void add_apgd(const struct params *p, uint64_t runs, uint64_t aims, uint64_t *forward,
                     uint64_t *backward)
{
    *forward += runs * ((uint64_t)p->steps + 2) + aims;
    *backward += runs * (uint64_t)p->steps;
}

static void add_fab(const struct params *p, uint64_t runs, uint64_t judged,
                    uint64_t *forward, uint64_t *backward)
{
    *forward += runs * (2 * (uint64_t)p->steps + 1) + judged;
    *backward += runs * (uint64_t)p->steps;
}

static void autoattack_passes(void *self, uint32_t n_candidates, uint64_t *forward,
                              uint64_t *backward)
{
    const struct params *p = &((const struct attack *)self)->p;
    uint64_t restarts = p->version == PLUS ? 5 : 1, targets = (uint64_t)p->targets;
    int dlr = n_candidates >= 4;
    *forward = 1;
    *backward = 0;
    add_apgd(p, restarts, 0, forward, backward);
    if (dlr && p->version == PLUS)
        add_apgd(p, restarts, 0, forward, backward);
    if (dlr)
        add_apgd(p, targets, targets, forward, backward);
    if (p->version == CLIP)
        return;
    add_fab(p, restarts * targets, restarts * targets, forward, backward);
    *forward += (uint64_t)p->queries + 1;
}

static void fab_passes(void *self, uint32_t n_candidates, uint64_t *forward,
                       uint64_t *backward)
{
    const struct params *p = &((const struct attack *)self)->p;
    (void)n_candidates;
    *forward = 1;
    *backward = 0;
    add_fab(p, (uint64_t)p->restarts * (uint64_t)p->targets, 1, forward, backward);
}

static void square_passes(void *self, uint32_t n_candidates, uint64_t *forward,
                          uint64_t *backward)
{
    const struct params *p = &((const struct attack *)self)->p;
    (void)n_candidates;
    *forward = 1 + (uint64_t)p->restarts * ((uint64_t)p->queries + 1);
    *backward = 0;
}

static const char *const norms[] = BALL_CHOICES;
static const char *const versions[] = { "standard", "plus", "clip", NULL };
#define AT(f) offsetof(struct params, f)
#define BALL \
    { "eps", "radius of the ball, pixels in 0..1", MOHS_P_FLOAT, AT(eps), 4.0 / 255, 0, \
      1000, NULL, NULL }, \
    { "norm", "of the ball", MOHS_P_CHOICE, AT(norm), BALL_LINF, 0, 1, norms, NULL }
#define STEPS \
    { "steps", "gradient steps of a run", MOHS_P_INT, AT(steps), 100, 1, 100000, NULL, NULL }
#define TARGETS \
    { "targets", "how many wrong candidates are aimed at, best first", MOHS_P_INT, \
      AT(targets), 9, 1, 100000, NULL, NULL }
#define QUERIES \
    { "queries", "passes of Square", MOHS_P_INT, AT(queries), 5000, 1, 10000000, NULL, NULL }, \
    { "p", "share of the pixels in a square at first", MOHS_P_FLOAT, AT(p), 0.8, 0.0001, 1, \
      NULL, NULL }
#define RESTARTS \
    { "restarts", "independent starts on what still stands", MOHS_P_INT, AT(restarts), 1, \
      1, 1000, NULL, NULL }

static const struct mohs_param autoattack_params[] = {
    BALL,
    { "version", "standard: APGD-CE, APGD-T, FAB-T, Square; plus: more restarts and "
      "APGD-DLR; clip: APGD-CE, APGD-T", MOHS_P_CHOICE, AT(version), STANDARD, STANDARD,
      CLIP, versions, NULL },
    STEPS, TARGETS, QUERIES,
};
static const struct mohs_param fab_params[] = { BALL, STEPS, TARGETS, RESTARTS };
static const struct mohs_param square_params[] = { BALL, QUERIES, RESTARTS };

#define ITEM(name, text, flags_, run_) \
    static mohs_status name##_create(const struct mohs_host *host, const void *params, \
                                     void **self, struct mohs_error *err) \
    { \
        (void)host; \
        return create(&(struct attack) { .id = #name, .run = run_ }, params, self, err); \
    } \
    ATTACK_OPS_COST(name, flags_, name##_create, destroy, run, name##_passes); \
    ATTACK_ITEM(name, text)
ITEM(autoattack, "AutoAttack on pixels: the worst of four attacks, Linf or L2",
     MOHS_ATTACK_GRADIENT | MOHS_ATTACK_STOCHASTIC, autoattack_run);
ITEM(fab, "the nearest decision boundary on pixels, Linf or L2",
     MOHS_ATTACK_GRADIENT | MOHS_ATTACK_STOCHASTIC, fab_item_run);
ITEM(square, "random squares on pixels, without gradients, Linf or L2",
     MOHS_ATTACK_STOCHASTIC, square_item_run);

ATTACK_PLUGIN("mohs.autoattack", "AutoAttack", &autoattack_item, &fab_item, &square_item)
