/* SPDX-License-Identifier: MIT */
/* An attack plugin as the adversary of training. */
#include "config.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <mohs/rng.h>

#include "train/trainer.h"

enum { FOR_PLUGIN = 64 };

static bool of_texts(const char *tap)
{
    return !strncmp(tap, "text.", 5);
}

static mohs_status check(const struct trainer *t, const struct mohs_attack_ops *ops,
                         struct mohs_error *err)
{
    const char *id = t->o->attack.plugin->item->id;
    bool text = of_texts(t->s.tap[0]);
    if (ops->flags & ~(uint32_t)(MOHS_ATTACK_GRADIENT | MOHS_ATTACK_STOCHASTIC))
        return mohs_fail(err, MOHS_E_UNSUPPORTED, "train: attack %s changes more than "
                         "what is at taps", id);
    for (size_t i = 1; i < t->s.n_taps; i++)
        if (of_texts(t->s.tap[i]) != text)
            return mohs_fail(err, MOHS_E_ARG, "train: attack %s: taps '%s' are of both "
                             "towers; in training it perturbs one", id, t->o->attack.taps);
    if (text && !train_pairs(t->o))
        return mohs_fail(err, MOHS_E_ARG, "train: attack %s: the loss does not depend on "
                         "tap %s", id, t->s.tap[0]);
    return MOHS_OK;
}

mohs_status plugin_attack_open(struct trainer *t, struct mohs_error *err)
{
    const struct train_attack *at = &t->o->attack;
    struct plugin_attack *p = &t->attack;
    if (at->kind != ADVERSARY_PLUGIN)
        return MOHS_OK;
    const struct mohs_attack_ops *ops = at->plugin->item->ops;
    RET_IF_ERR(check(t, ops, err));
    p->tower = of_texts(t->s.tap[0]) ? MOHS_TOWER_TEXT : MOHS_TOWER_IMAGE;
    p->positive = xcalloc(t->o->batch, sizeof *p->positive);
    RET_IF_ERR(batch_victim_new(&t->s, p->tower, &p->victim, err));
    if (train_pairs(t->o))
        RET_IF_ERR(batch_victim_new(&t->s, MOHS_TOWER_IMAGE + MOHS_TOWER_TEXT - p->tower,
                                    &p->other, err));
    mohs_status st = ops->create(registry_host(t->registry), at->params, &p->self, err);
    scratch_reset();
    return st;
}

void plugin_attack_free(struct trainer *t)
{
    struct plugin_attack *p = &t->attack;
    if (p->self)
        ((const struct mohs_attack_ops *)t->o->attack.plugin->item->ops)->destroy(p->self);
    batch_victim_free(p->victim);
    batch_victim_free(p->other);
    free(p->positive);
}

/* A learned number of the model as it is now; 0 where there is none. */
static float number(struct trainer *t, const char *name)
{
    float x = 0;
    return params_read(t->s.params, name, &x, 1, NULL) < 0 ? 0 : x;
}

/* The other side of the batch, the class prompts, or (FARE) the batch itself,
 * whose clean rows `own` are what a sample is to move away from. */
static mohs_status aim(struct trainer *t, const float *own, struct batch_targets *to,
                       struct mohs_error *err)
{
    struct plugin_attack *p = &t->attack;
    bool classes = t->o->loss == TRAIN_TECOA;
    *to = (struct batch_targets) { .candidate = own, .n_candidates = t->o->batch,
                                   .positive = p->positive, .scale = t->s.scale,
                                   .anchor = t->anchor.rows };
    for (uint32_t i = 0; i < t->o->batch; i++)
        p->positive[i] = classes ? (uint32_t)t->batch->label[i] : i;
    if (classes) {
        to->candidate = t->s.prompts;
        to->n_candidates = (uint32_t)t->o->data->n_classes;
    }
    if (!p->other)
        return MOHS_OK;
    to->scale = expf(number(t, "logit_scale"));
    to->bias = number(t, "logit_bias");
    return batch_victim_load(p->other, t->batch, false, &to->candidate, err);
}

mohs_status plugin_attack_run(struct trainer *t, struct step_graph *g,
                              enum step_kind kind, struct mohs_error *err)
{
    struct plugin_attack *p = &t->attack;
    struct batch_targets to;
    const float *own;
    uint64_t seed = mohs_rng_fork(mohs_rng_fork(t->o->seed, FOR_PLUGIN), t->step);
    RET_IF_ERR(batch_victim_load(p->victim, t->batch, false, &own, err));
    RET_IF_ERR(aim(t, own, &to, err));
    RET_IF_ERR(batch_victim_attack(p->victim, &to, t->o->attack.plugin->item->ops, p->self,
                                   seed, err));
    for (size_t i = 0; i < t->s.n_taps; i++) {
        size_t offset, bytes = tensor_count(g->delta[i]) * sizeof(float);
        struct mohs_buffer *b = tensor_buffer(g->delta[i], &offset);
        const float *delta = batch_victim_delta(p->victim, i);
        RET_IF_ERR(buffer_fill(b, offset, 0, bytes, err));
        if (kind == STEP_BOTH) {
            bytes /= 2;
            offset += bytes;
        }
        if (delta)
            RET_IF_ERR(buffer_write(b, offset, delta, bytes, err));
    }
    return MOHS_OK;
}
