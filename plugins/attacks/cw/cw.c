/* SPDX-License-Identifier: MIT */
/*
 * Carlini and Wagner's L2 attack ("Towards Evaluating the Robustness of Neural
 * Networks", S&P 2017) on pixels in 0..1 at the model's size: Adam on w, where
 * x = (tanh w + 1) / 2, lowers |x - clean|^2 + c max(best right - best wrong,
 * -kappa). The smallest perturbation that fools counts; with binary_steps,
 * c is searched as in the paper: ten times more until a sample is fooled, then
 * halfway between what was too little and what was enough.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <mohs/plugin.h>
#include <mohs/util.h>

#include "../common/item.h"
#include "../common/loss.h"
#include "../common/resume.h"
#include "../common/sites.h"

struct params {
    float eps, c, kappa, lr;
    int32_t steps, binary_steps;
};

struct work {
    const struct params *p;
    struct sites s;
    struct loss loss;
    size_t floats;
    double *w, *m, *v;       /* n samples: the variable and Adam's moments */
    double *c, *low, *high;  /* a sample */
    double *least;           /* L2 norm of what is kept; INFINITY */
    uint8_t *hit;            /* fooled with this c */
    float *kept[SITES_MAX], *value;
    uint32_t *active, n_active; /* whose budget is not spent */
    int b, t, started;          /* the value of c, the step to come */
    struct resume resume;
};

/* A picture's exact 0 and 1 lie at infinity: a little inside. */
static double inverse(double x)
{
    double y = 2 * x - 1, most = 1 - 1e-6;
    return atanh(y > most ? most : y < -most ? -most : y);
}

static void start(struct work *w)
{
    size_t n = w->s.v->n * w->floats;
    const float *clean = w->s.site[0].clean;
    for (size_t k = 0; k < n; k++)
        w->w[k] = inverse((double)clean[k]);
    memset(w->m, 0, n * sizeof *w->m);
    memset(w->v, 0, n * sizeof *w->v);
    memset(w->hit, 0, w->s.v->n);
}

static void place(struct work *w, uint32_t i)
{
    const struct mohs_site *x = &w->s.site[0];
    const float *clean = x->clean + i * w->floats;
    float *delta = x->delta + i * w->floats;
    for (size_t k = 0; k < w->floats; k++) {
        float d = (float)((tanh(w->w[i * w->floats + k]) + 1) / 2 - clean[k]);
        while (d != 0 && (clean[k] + d > x->hi || clean[k] + d < x->lo))
            d = nextafterf(d, 0);
        delta[k] = d;
    }
}

static void judge(struct work *w, uint32_t i)
{
    if (!w->loss.fooled[i])
        return;
    double size = group_norm(w->s.site[0].delta + i * w->floats, w->floats);
    w->hit[i] = 1;
    if (size < w->least[i]) {
        w->least[i] = size;
        kept_store(&w->s, i, w->kept);
    }
}

/* Adam's step t, from 1; margin is best wrong minus best right. */
static void step(struct work *w, uint32_t i, double margin, int t)
{
    const struct mohs_site *x = &w->s.site[0];
    double one = 1 - pow(0.9, t), two = 1 - pow(0.999, t);
    int far = -margin > -(double)w->p->kappa;
    for (size_t k = i * w->floats; k < (i + 1) * w->floats; k++) {
        double y = tanh(w->w[k]);
        double g = 2 * (double)x->delta[k] - (far ? w->c[i] * x->grad[k] : 0);
        g *= (1 - y * y) / 2;
        w->m[k] = 0.9 * w->m[k] + 0.1 * g;
        w->v[k] = 0.999 * w->v[k] + 0.001 * g * g;
        w->w[k] -= (double)w->p->lr * (w->m[k] / one) / (sqrt(w->v[k] / two) + 1e-8);
    }
}

static void next_c(struct work *w)
{
    for (uint32_t i = 0; i < w->s.v->n; i++) {
        if (w->hit[i])
            w->high[i] = w->c[i];
        else
            w->low[i] = w->c[i];
        w->c[i] = w->high[i] < INFINITY ? (w->low[i] + w->high[i]) / 2 : 10 * w->c[i];
    }
}

static mohs_status search_step(struct work *w, struct mohs_error *err)
{
    uint32_t left = 0;
    for (uint32_t j = 0; j < w->n_active; j++)
        place(w, w->active[j]);
    mohs_status st =
        loss_pass(&w->loss, w->n_active, w->active, w->value, w->t < w->p->steps, err);
    for (uint32_t j = 0; st >= 0 && j < w->n_active; j++) {
        uint32_t i = w->active[j];
        if (loss_spent(&w->loss, i))
            continue;
        judge(w, i);
        if (w->t < w->p->steps)
            step(w, i, w->value[j], w->t + 1);
        w->active[left++] = i;
    }
    w->n_active = left;
    w->t++;
    return st < 0 ? st : resume_point(&w->resume, 0, NULL, err);
}

static mohs_status search(struct work *w, struct mohs_error *err)
{
    mohs_status st = MOHS_OK;
    for (; st >= 0 && w->b < w->p->binary_steps && w->n_active; w->b++) {
        if (!w->started) {
            start(w);
            w->started = 1;
            w->t = 0;
        }
        while (st >= 0 && w->t <= w->p->steps && w->n_active)
            st = search_step(w, err);
        next_c(w);
        w->started = 0;
    }
    return st;
}

static int32_t enter(struct work *w, struct mohs_error *err)
{
    struct resume *r = &w->resume;
    size_t n = w->s.v->n;
    double *const large[] = { w->w, w->m, w->v };
    double *const small[] = { w->c, w->low, w->high, w->least };
    resume_init(r, w->s.v);
    resume_part(r, &w->b, sizeof w->b);
    resume_part(r, &w->t, sizeof w->t);
    resume_part(r, &w->started, sizeof w->started);
    resume_part(r, &w->n_active, sizeof w->n_active);
    resume_part(r, w->active, n * sizeof *w->active);
    resume_part(r, w->hit, n);
    for (int k = 0; k < 4; k++)
        resume_part(r, small[k], n * sizeof(double));
    for (int k = 0; k < 3; k++)
        resume_rows(r, large[k], w->floats * sizeof(double));
    resume_kept(r, &w->s, w->kept);
    return resume_enter(r, "cw", err);
}

static mohs_status work_new(struct work *w, struct mohs_error *err)
{
    size_t n = (size_t)w->s.v->n + 1, all = n * w->floats;
    double **large[] = { &w->w, &w->m, &w->v };
    double **small[] = { &w->c, &w->low, &w->high, &w->least };
    int fine = 1;
    for (int k = 0; k < 3; k++)
        fine &= (*large[k] = calloc(all, sizeof(double))) != NULL;
    for (int k = 0; k < 4; k++)
        fine &= (*small[k] = malloc(n * sizeof(double))) != NULL;
    fine &= (w->hit = calloc(n, 1)) != NULL;
    fine &= (w->value = malloc(n * sizeof *w->value)) != NULL;
    fine &= (w->active = malloc(n * sizeof *w->active)) != NULL;
    if (!fine)
        return mohs_fail(err, MOHS_E_NOMEM, "cw: no memory for %u samples", w->s.v->n);
    for (uint32_t i = 0; i < w->s.v->n; i++) {
        w->active[w->n_active++] = i;
        w->c[i] = (double)w->p->c;
        w->low[i] = 0;
        w->high[i] = w->least[i] = INFINITY;
    }
    return kept_new(&w->s, w->kept, err);
}

static void work_free(struct work *w)
{
    loss_free(&w->loss);
    kept_free(w->kept);
    free(w->w);
    free(w->m);
    free(w->v);
    free(w->c);
    free(w->low);
    free(w->high);
    free(w->least);
    free(w->hit);
    free(w->value);
    free(w->active);
}

/* A clean sample that is wrong already keeps its zero. */
static mohs_status clean_wrong(struct work *w, struct mohs_error *err)
{
    mohs_status st = loss_pass(&w->loss, w->s.v->n, w->active, w->value, 0, err);
    for (uint32_t i = 0; st >= 0 && i < w->s.v->n; i++)
        if (w->loss.fooled[i])
            w->least[i] = 0;
    return st < 0 ? st : resume_point(&w->resume, 0, NULL, err);
}

static mohs_status run(void *self, struct mohs_victim *victim, uint64_t seed,
                       struct mohs_error *err)
{
    static const char tap[][TAP_MAX] = { "pixels" };
    const struct params *p = self;
    struct work w = { .p = p,
                      .s = { .norm = BALL_L2, .radius = RADIUS_ABSOLUTE, .per_sample = 1,
                             .eps = p->eps } };
    mohs_status st = sites_open(&w.s, victim, tap, 1, err);
    if (st < 0 || p->eps == 0)
        return st;
    w.floats = sites_floats(&w.s, 0);
    st = work_new(&w, err);
    if (st >= 0)
        st = loss_init(&w.loss, victim, LOSS_MARGIN, seed, "cw", err);
    if (st >= 0)
        st = enter(&w, err);
    if (st == 0)
        st = clean_wrong(&w, err);
    if (st >= 0)
        st = search(&w, err);
    resume_leave(&w.resume);
    for (uint32_t i = 0; st >= 0 && i < victim->n; i++) {
        float *delta = w.s.site[0].delta + i * w.floats;
        if (w.least[i] <= (double)p->eps)
            kept_restore(&w.s, i, w.kept);
        else
            memset(delta, 0, w.floats * sizeof *delta);
    }
    work_free(&w);
    return st;
}

static mohs_status create(const struct mohs_host *host, const void *params, void **self,
                          struct mohs_error *err)
{
    struct params *p = malloc(sizeof *p);
    (void)host;
    if (!p)
        return mohs_fail(err, MOHS_E_NOMEM, "cw: no memory");
    *p = *(const struct params *)params;
    *self = p;
    return MOHS_OK;
}

static void destroy(void *self)
{
    free(self);
}

static void passes(void *self, uint32_t n_candidates, uint64_t *forward,
                   uint64_t *backward)
{
    const struct params *p = self;
    uint64_t runs = (uint64_t)p->binary_steps, steps = (uint64_t)p->steps;
    (void)n_candidates;
    *forward = 1 + runs * (steps + 1);
    *backward = runs * steps;
}

#define AT(f) offsetof(struct params, f)
static const struct mohs_param cw_params[] = {
    { "eps", "L2 norm beyond which a perturbation does not count, pixels in 0..1",
      MOHS_P_FLOAT, AT(eps), 3, 0, 1000, NULL, NULL },
    { "c", "weight of the margin", MOHS_P_FLOAT, AT(c), 1, 1e-10, 1e10, NULL, NULL },
    { "kappa", "margin, in scores, beyond which no more is wanted", MOHS_P_FLOAT, AT(kappa),
      0, 0, 1000, NULL, NULL },
    { "lr", "Adam's learning rate", MOHS_P_FLOAT, AT(lr), 0.01, 0, 10, NULL, NULL },
    { "steps", "of Adam", MOHS_P_INT, AT(steps), 50, 1, 100000, NULL, NULL },
    { "binary_steps", "values of c that are tried", MOHS_P_INT, AT(binary_steps), 1, 1, 100,
      NULL, NULL },
};
ATTACK_OPS_COST(cw, MOHS_ATTACK_GRADIENT, create, destroy, run, passes);
ATTACK_ITEM(cw, "the smallest L2 perturbation on pixels, by Adam (Carlini and Wagner)");
ATTACK_PLUGIN("mohs.cw", "Carlini and Wagner", &cw_item)
