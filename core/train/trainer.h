/* SPDX-License-Identifier: MIT */
/* The state of a training run, shared by its loop and its checkpoints. */
#ifndef CORE_TRAINER_H
#define CORE_TRAINER_H

#include "train/batch_victim.h"
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
    struct mohs_weights *init; /* of the checkpoint that it starts from, or NULL */
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
    bool *fixed; /* statistics of a network, see mohs_weight_spec */
    struct params *average; /* EMA, or NULL */
    struct params *frozen;  /* FARE: those at the start */
    struct mohs_buffer *partial, *clip;

    struct step_graph clean, ascent, free, both; /* made on first use */
    struct adversary adversary;
    struct plugin_attack {
        void *self;
        uint32_t tower;
        struct batch_victim *victim, *other; /* of that tower, of the other one */
        uint32_t *positive;                  /* of each sample */
    } attack;
    struct anchor {
        struct stepper s;      /* the model at the start */
        struct batch_victim *model;
        float *prompts;        /* TECOA: n_classes * dim */
        const float *rows;     /* FARE: of this batch, n * dim */
    } anchor;
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

/* What fine-tuning holds on to: opened before a checkpoint is read, and, once
 * a batch is there, made for it. Nothing for losses of pairs. */
mohs_status anchor_open(struct trainer *t, struct mohs_error *err);
mohs_status anchor_next(struct trainer *t, struct mohs_error *err);
void anchor_free(struct anchor *a);
/* The batch and its target into a graph. */
mohs_status trainer_load(struct trainer *t, struct step_graph *g, enum step_kind kind,
                         struct mohs_error *err);

/* ADVERSARY_PLUGIN: perturbations of this batch into the deltas of g, in the
 * second half for STEP_BOTH. */
mohs_status plugin_attack_open(struct trainer *t, struct mohs_error *err);
mohs_status plugin_attack_run(struct trainer *t, struct step_graph *g,
                              enum step_kind kind, struct mohs_error *err);
void plugin_attack_free(struct trainer *t);

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
