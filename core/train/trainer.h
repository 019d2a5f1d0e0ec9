/* SPDX-License-Identifier: MIT */
/* The state of a training run, shared by its loop and its checkpoints. */
#ifndef CORE_TRAINER_H
#define CORE_TRAINER_H

#include "train/step.h"
#include "train/validate.h"

enum { CURVES = 7 };

struct curve {
    uint32_t *x;
    double *y[CURVES]; /* NaN: not measured at that step */
    size_t n, cap;
};

struct trainer {
    const struct train_options *o;
    struct registry *registry;
    struct stepper s;
    const struct item *item;
    void *item_params;
    struct mohs_weights *weights; /* configuration, names, and values in memory */
    struct tokenizer *tokenizer;
    struct preprocess pre;
    struct pool *pool;
    struct pictures *pictures;
    struct captions captions;
    struct loader loader;
    struct feeder *feeder;
    const struct batch *batch; /* of this step */
    struct holdout holdout;

    struct mohs_buffer **m, **v; /* AdamW moments */
    struct mohs_buffer **sum;    /* gradients summed over passes; NULLs when the
                                    graph's own are all there is */
    uint8_t *decays;
    struct params *average; /* EMA, or NULL */
    struct mohs_buffer *partial, *clip;

    struct step_graph clean, ascent, free, both; /* made on first use */
    struct adversary adversary;
    uint32_t step;
    struct curve curve;
};

extern const char *const curve_names[CURVES];
void curve_add(struct curve *c, uint32_t step, const double y[CURVES]);
char *curve_json(const struct curve *c);
void curve_free(struct curve *c);

/* True when the objective is a sum over passes: without a KL that couples
 * clean and perturbed pairs, or averaged over the steps on the way. */
bool trainer_sums(const struct train_options *o);
/* One step's passes with the adversary: leaves parameter gradients in t->sum
 * or *graph, and both losses. */
mohs_status hostile_pass(struct trainer *t, float *loss, float *adversarial,
                         struct step_graph **graph, struct mohs_error *err);

/* OUT.ckpt: everything the next step depends on. */
mohs_status checkpoint_save(struct trainer *t, struct mohs_error *err);
/* The same at step o->fork, for all runs that are equal until then. */
mohs_status checkpoint_fork(struct trainer *t, struct mohs_error *err);
/* 1 when a checkpoint was read, 0 when there is none. */
mohs_status checkpoint_load(struct trainer *t, struct mohs_error *err);
/* The finished weights (averaged ones when there are) as o->out. */
mohs_status checkpoint_finish(struct trainer *t, struct mohs_error *err);
/* True when o->out exists and was made with equal options. */
bool checkpoint_done(const struct train_options *o, char **curve);

#endif
