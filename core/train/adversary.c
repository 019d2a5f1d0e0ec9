/* SPDX-License-Identifier: MIT */
/* Perturbations at taps: random points and steps up the loss, in balls. */
#include "config.h"

#include <mohs/rng.h>

#include <stdlib.h>
#include <string.h>

#include "train/step.h"

enum { FOR_DELTA = 16 };

float adversary_eps(const struct train_options *o, uint32_t step)
{
    const struct train_attack *a = &o->attack;
    if (a->kind == ADVERSARY_NONE || step < a->start)
        return 0;
    if (a->kind == ADVERSARY_PLUGIN)
        return 1; // its own affair
    if (step - a->start >= a->ramp)
        return a->eps;
    return a->eps * (float)(step - a->start + 1) / (float)(a->ramp + 1);
}

static struct mohs_buffer *whole(struct tensor *t, struct mohs_error *err)
{
    size_t offset;
    struct mohs_buffer *b = tensor_buffer(t, &offset);
    if (b && !offset)
        return b;
    mohs_fail(err, MOHS_E_ARG, "train: a tensor without a buffer of its own");
    return NULL;
}

mohs_status adversary_new(const struct stepper *s, const struct step_graph *g,
                          struct adversary *a, struct mohs_error *err)
{
    const struct train_attack *at = &s->o->attack;
    uint32_t n = s->o->batch;
    memset(a, 0, sizeof *a);
    for (size_t i = 0; i < s->n_taps; i++) {
        uint32_t dims[MOHS_DIMS_MAX], k = tensor_shape(g->tap[i], dims);
        uint32_t tokens = 1, width = dims[k - 1];
        for (uint32_t j = 1; j + 1 < k; j++)
            tokens *= dims[j];
        if (!strcmp(s->tap[i], "pixels")) { // a picture is one token
            width *= tokens;
            tokens = 1;
        }
        a->text[i] = !strncmp(s->tap[i], "text.", 5);
        a->ball[i] = (struct ball) { .n = n, .tokens = tokens, .width = width,
                                     .norm = at->norm, .per_sample = at->per_sample };
        RET_IF_ERR(buffer_new(s->compute, (size_t)n * tokens * width * sizeof(float),
                              &a->clean[i], err));
    }
    RET_IF_ERR(buffer_new(s->compute, (size_t)n * s->context * sizeof(int32_t), &a->mask,
                          err));
    return buffer_new(s->compute, (size_t)n * sizeof(uint64_t), &a->keys, err);
}

void adversary_free(struct adversary *a)
{
    for (int i = 0; i < TAPS_MAX; i++)
        buffer_unref(a->clean[i]);
    buffer_unref(a->mask);
    buffer_unref(a->keys);
    memset(a, 0, sizeof *a);
}

static bool on_turn(const struct stepper *s, const struct adversary *a, size_t i,
                    uint32_t step)
{
    return !s->o->attack.alternate || a->text[i] == (step % 2 == 1);
}

/* The mask where tap i has one entry per text token. */
static struct mohs_buffer *mask_of(const struct stepper *s, const struct adversary *a,
                                   size_t i)
{
    bool per_token = a->text[i] && a->ball[i].tokens == s->context;
    return per_token ? a->mask : NULL;
}

mohs_status adversary_zero(const struct stepper *s, struct step_graph *g,
                           struct mohs_error *err)
{
    for (size_t i = 0; i < s->n_taps; i++) {
        size_t offset;
        struct mohs_buffer *d = tensor_buffer(g->delta[i], &offset);
        RET_IF_ERR(buffer_fill(d, offset, 0,
                               tensor_count(g->delta[i]) * sizeof(float), err));
    }
    return MOHS_OK;
}

static mohs_status keep_clean(const struct stepper *s, struct step_graph *g,
                              struct adversary *a, struct mohs_error *err)
{
    for (size_t i = 0; i < s->n_taps; i++) {
        size_t offset;
        struct mohs_buffer *x = tensor_buffer(g->tap[i], &offset);
        RET_IF_ERR(buffer_copy(x, offset, a->clean[i], 0, buffer_bytes(a->clean[i]),
                               err));
    }
    return MOHS_OK;
}

mohs_status adversary_randomise(const struct stepper *s, struct step_graph *g,
                                struct adversary *a, uint32_t step, bool surface,
                                struct mohs_error *err)
{
    for (size_t i = 0; i < s->n_taps; i++) {
        uint64_t seed = mohs_rng_fork(mohs_rng_fork(s->o->seed, FOR_DELTA + i), step);
        struct mohs_buffer *d = whole(g->delta[i], err);
        if (!d)
            return MOHS_E_ARG;
        if (on_turn(s, a, i, step))
            RET_IF_ERR(optim_random_delta(s->compute, &a->ball[i], d, a->clean[i],
                                          mask_of(s, a, i), seed, a->keys, surface, err));
    }
    return MOHS_OK;
}

mohs_status adversary_ascend(const struct stepper *s, struct step_graph *g,
                             struct step_graph *from, struct adversary *a,
                             uint32_t step, struct mohs_error *err)
{
    const struct train_attack *at = &s->o->attack;
    for (size_t i = 0; i < s->n_taps; i++) {
        float alpha = at->alpha > 0 ? at->alpha : 1.5f * at->eps / (float)at->steps;
        struct mohs_buffer *d = whole(g->delta[i], err);
        struct mohs_buffer *grad = whole(from->delta_grad[i], err);
        if (!d || !grad)
            return MOHS_E_ARG;
        // the step shrinks with the ball while eps ramps up
        alpha *= at->eps > 0 ? a->ball[i].eps / at->eps : 0;
        if (on_turn(s, a, i, step))
            RET_IF_ERR(optim_perturb_step(s->compute, &a->ball[i], d, grad, a->clean[i],
                                          mask_of(s, a, i), alpha, err));
    }
    return MOHS_OK;
}

mohs_status adversary_begin(const struct stepper *s, struct step_graph *g,
                            struct adversary *a, const struct batch *b,
                            uint32_t step, struct mohs_error *err)
{
    for (size_t i = 0; i < s->n_taps; i++)
        a->ball[i].eps = adversary_eps(s->o, step);
    RET_IF_ERR(buffer_write(a->mask, 0, b->mask, buffer_bytes(a->mask), err));
    RET_IF_ERR(buffer_write(a->keys, 0, b->key, buffer_bytes(a->keys), err));
    RET_IF_ERR(adversary_zero(s, g, err));
    RET_IF_ERR(graph_run(g->graph, err));
    return keep_clean(s, g, a, err);
}

mohs_status adversary_copy(const struct stepper *s, struct step_graph *from,
                           struct step_graph *to, enum step_kind kind,
                           struct mohs_error *err)
{
    for (size_t i = 0; i < s->n_taps; i++) {
        size_t x_at, y_at, bytes = tensor_count(from->delta[i]) * sizeof(float);
        struct mohs_buffer *x = tensor_buffer(from->delta[i], &x_at);
        struct mohs_buffer *y = tensor_buffer(to->delta[i], &y_at);
        if (kind == STEP_BOTH) { // the clean half has none
            RET_IF_ERR(buffer_fill(y, y_at, 0, bytes, err));
            y_at += bytes;
        }
        RET_IF_ERR(buffer_copy(x, x_at, y, y_at, bytes, err));
    }
    return MOHS_OK;
}
