/* SPDX-License-Identifier: MIT */
/*
 * A training step under attack: find perturbations, then the gradients of
 * clean * L(clean) + L(adversarial) + kl * KL.
 *
 * Without the KL the two losses share nothing but the weights. Then one graph
 * of n pairs serves both: run at delta = 0 it gives the clean gradients and
 * the first direction of ascent for one price, run at the perturbation it
 * gives the others (as in FreeLB, Zhu et al. 2020). With the KL a graph of 2n
 * pairs holds the clean and the perturbed half.
 */
#include "config.h"

#include "train/trainer.h"

bool trainer_sums(const struct train_options *o)
{
    return o->attack.kind != ADVERSARY_NONE && (o->attack.kl <= 0 || o->attack.average);
}

struct pass {
    struct trainer *t;
    float loss, adversarial; /* sums so far */
};

/* t->sum += weight * gradients of g */
static mohs_status add_gradients(struct trainer *t, struct step_graph *g, float weight,
                                 struct mohs_error *err)
{
    for (size_t i = 0; i < params_count(t->s.params); i++) {
        size_t offset;
        if (!g->grad[i])
            continue;
        struct mohs_buffer *b = tensor_buffer(g->grad[i], &offset);
        if (offset)
            return mohs_fail(err, MOHS_E_ARG, "train: gradient without a buffer");
        RET_IF_ERR(optim_axpy(t->s.compute, t->sum[i], b,
                              (uint32_t)tensor_count(g->grad[i]), weight, err));
    }
    return MOHS_OK;
}

static mohs_status clear_sums(struct trainer *t, struct mohs_error *err)
{
    for (size_t i = 0; i < params_count(t->s.params); i++)
        RET_IF_ERR(buffer_fill(t->sum[i], 0, 0, buffer_bytes(t->sum[i]), err));
    return MOHS_OK;
}

static mohs_status need(struct trainer *t, struct step_graph *g, enum step_kind kind,
                        struct mohs_error *err)
{
    return g->graph ? MOHS_OK : step_graph_new(&t->s, t->s.params, kind, g, err);
}

/* The clean part of the objective from a run of g without deltas. */
static mohs_status take_clean(struct pass *p, struct step_graph *g, struct mohs_error *err)
{
    struct trainer *t = p->t;
    float x, share = t->o->attack.clean;
    if (!(share > 0))
        return MOHS_OK;
    RET_IF_ERR(add_gradients(t, g, share, err));
    RET_IF_ERR(tensor_read(g->loss, &x, err));
    p->loss += share * x;
    return MOHS_OK;
}

/* ---- with a KL: clean and perturbed pairs side by side ---- */

static mohs_status run_both(struct pass *p, float weight, struct mohs_error *err)
{
    struct trainer *t = p->t;
    float x;
    RET_IF_ERR(graph_run(t->both.graph, err));
    if (trainer_sums(t->o))
        RET_IF_ERR(add_gradients(t, &t->both, weight, err));
    RET_IF_ERR(tensor_read(t->both.loss, &x, err));
    p->loss += weight * x;
    RET_IF_ERR(tensor_read(t->both.loss_adversarial, &x, err));
    p->adversarial += weight * x;
    return MOHS_OK;
}

static mohs_status copy_and_run(struct pass *p, float weight, struct mohs_error *err)
{
    struct trainer *t = p->t;
    RET_IF_ERR(adversary_copy(&t->s, &t->ascent, &t->both, STEP_BOTH, err));
    return run_both(p, weight, err);
}

static mohs_status coupled(struct pass *p, struct mohs_error *err)
{
    struct trainer *t = p->t;
    const struct train_attack *at = &t->o->attack;
    struct step_graph *up = &t->ascent;
    RET_IF_ERR(need(t, &t->both, STEP_BOTH, err));
    RET_IF_ERR(trainer_load(t, &t->both, STEP_BOTH, err));
    if (at->kind == ADVERSARY_PLUGIN) {
        RET_IF_ERR(plugin_attack_run(t, &t->both, STEP_BOTH, err));
        return run_both(p, 1, err);
    }
    RET_IF_ERR(need(t, up, STEP_ASCENT, err));
    if (!t->adversary.mask)
        RET_IF_ERR(adversary_new(&t->s, up, &t->adversary, err));
    RET_IF_ERR(trainer_load(t, up, STEP_ASCENT, err));
    RET_IF_ERR(adversary_begin(&t->s, up, &t->adversary, t->batch, t->step, err));
    bool noise = at->kind == ADVERSARY_NOISE;
    if (noise || at->random_start)
        RET_IF_ERR(adversary_randomise(&t->s, up, &t->adversary, t->step, noise, err));
    if (noise)
        return copy_and_run(p, 1, err);
    for (uint32_t k = 0; k < at->steps; k++) {
        if (k || at->random_start)
            RET_IF_ERR(graph_run(up->graph, err));
        RET_IF_ERR(adversary_ascend(&t->s, up, up, &t->adversary, t->step, err));
        if (at->average)
            RET_IF_ERR(copy_and_run(p, 1 / (float)at->steps, err));
    }
    return at->average ? MOHS_OK : copy_and_run(p, 1, err);
}

/* ---- without: one graph, several times ---- */

static mohs_status run_free(struct pass *p, float weight, struct mohs_error *err)
{
    struct trainer *t = p->t;
    float x;
    RET_IF_ERR(graph_run(t->free.graph, err));
    RET_IF_ERR(add_gradients(t, &t->free, weight, err));
    RET_IF_ERR(tensor_read(t->free.loss, &x, err));
    p->loss += weight * x;
    p->adversarial += weight * x;
    return MOHS_OK;
}

/* The gradient by the deltas as they are in t->free, without that by the
 * parameters, which would cost more. */
static mohs_status look_up(struct trainer *t, bool *written, struct mohs_error *err)
{
    RET_IF_ERR(need(t, &t->ascent, STEP_ASCENT, err));
    if (!*written)
        RET_IF_ERR(trainer_load(t, &t->ascent, STEP_ASCENT, err));
    *written = true;
    RET_IF_ERR(adversary_copy(&t->s, &t->free, &t->ascent, STEP_ASCENT, err));
    return graph_run(t->ascent.graph, err);
}

static mohs_status under_plugin(struct pass *p, struct mohs_error *err)
{
    struct trainer *t = p->t;
    struct step_graph *g = &t->free;
    if (t->o->attack.clean > 0) {
        RET_IF_ERR(adversary_zero(&t->s, g, err));
        RET_IF_ERR(graph_run(g->graph, err));
        RET_IF_ERR(take_clean(p, g, err));
    }
    RET_IF_ERR(plugin_attack_run(t, g, STEP_FREE, err));
    return run_free(p, 1, err);
}

static mohs_status separate(struct pass *p, struct mohs_error *err)
{
    struct trainer *t = p->t;
    const struct train_attack *at = &t->o->attack;
    struct step_graph *g = &t->free;
    bool noise = at->kind == ADVERSARY_NOISE, written = false;
    RET_IF_ERR(need(t, g, STEP_FREE, err));
    RET_IF_ERR(trainer_load(t, g, STEP_FREE, err));
    if (at->kind == ADVERSARY_PLUGIN)
        return under_plugin(p, err);
    if (!t->adversary.mask)
        RET_IF_ERR(adversary_new(&t->s, g, &t->adversary, err));
    RET_IF_ERR(adversary_begin(&t->s, g, &t->adversary, t->batch, t->step, err));
    RET_IF_ERR(take_clean(p, g, err));
    if (noise || at->random_start)
        RET_IF_ERR(adversary_randomise(&t->s, g, &t->adversary, t->step, noise, err));
    for (uint32_t k = 0; !noise && k < at->steps; k++) {
        // g was last run at these deltas when they are zero, or when every
        // step takes its parameter gradients
        bool known = k ? at->average : !at->random_start;
        if (!known)
            RET_IF_ERR(look_up(t, &written, err));
        RET_IF_ERR(adversary_ascend(&t->s, g, known ? g : &t->ascent, &t->adversary,
                                    t->step, err));
        if (at->average)
            RET_IF_ERR(run_free(p, 1 / (float)at->steps, err));
    }
    return at->average && !noise ? MOHS_OK : run_free(p, 1, err);
}

mohs_status hostile_pass(struct trainer *t, float *loss, float *adversarial,
                         struct step_graph **graph, struct mohs_error *err)
{
    struct pass p = { t, 0, 0 };
    bool one = t->o->attack.kl <= 0;
    step_graph_free(&t->clean);
    *graph = one ? &t->free : &t->both;
    if (trainer_sums(t->o))
        RET_IF_ERR(clear_sums(t, err));
    RET_IF_ERR(one ? separate(&p, err) : coupled(&p, err));
    *loss = p.loss;
    *adversarial = p.adversarial;
    return MOHS_OK;
}
