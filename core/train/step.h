/* SPDX-License-Identifier: MIT */
/* The graphs of one training step and the perturbations at their taps. */
#ifndef CORE_STEP_H
#define CORE_STEP_H

#include "graph/graph.h"
#include "graph/optim.h"
#include "train/batch.h"

enum { TAPS_MAX = 8 };

/* What a graph of the step is for. */
enum step_kind {
    STEP_CLEAN,  /* batch n: loss and parameter gradients */
    STEP_ASCENT, /* batch n with deltas: loss and delta gradients */
    STEP_FREE,   /* batch n with deltas: loss, parameter and delta gradients */
    STEP_BOTH,   /* batch 2n, clean then perturbed: objective and parameter
                    gradients */
    STEP_EMBED   /* batch n: embeddings only */
};

/* Of images `pixels`, of texts `tokens` and `last`; NULL: no such tower. */
struct tower_inputs {
    struct tensor *pixels, *tokens, *last;
};

struct step_graph {
    struct graph *graph;
    struct tower_inputs in;
    struct tensor *image, *text; /* normalised embeddings; text NULL where the
                                    loss is of the image tower alone */
    struct tensor *raw;          /* of the images, as the model gives it */
    struct tensor *target;       /* input: labels [n] (TECOA), raw embeddings
                                    [n, dim] (FARE), NULL */
    struct tensor *loss, *loss_adversarial;
    struct tensor *delta[TAPS_MAX], *delta_grad[TAPS_MAX], *tap[TAPS_MAX];
    struct tensor **grad; /* per parameter; NULL where it has none */
    uint64_t arena_bytes;
};

struct stepper {
    const struct train_options *o;
    struct compute *compute;
    const struct mohs_model_ops *ops;
    void *model;
    const struct preprocess *pre;
    struct params *params;
    const bool *fixed; /* parameters that no gradient moves; NULL: none */
    uint32_t context; /* tokens per text: what the data needs, if the text
                         tower lets padding be cut, else all */
    char tap[TAPS_MAX][32];
    size_t n_taps;
    const float *prompts; /* TECOA: n_classes * dim, L2-normalised */
    float scale;          /* and the temperature they are compared at */
};

/* Inputs of the towers in the bits for m samples. */
void tower_inputs_new(const struct stepper *s, struct graph *g, uint32_t towers,
                      uint32_t m, struct tower_inputs *out);
/* Builds one tower: its embedding as the model gives it, and L2-normalised. */
mohs_status step_tower(const struct stepper *s, struct graph *g, uint32_t which,
                       const struct tower_inputs *x, struct tensor **raw,
                       struct tensor **embed, struct mohs_error *err);
/* Writes a batch of n to the inputs there are, twice over where they hold 2n. */
mohs_status tower_inputs_write(const struct stepper *s, const struct tower_inputs *x,
                               const struct batch *b, bool twice,
                               struct mohs_error *err);

/* Splits o->attack.taps and checks each against the model's. */
mohs_status stepper_taps(struct stepper *s, struct mohs_error *err);
mohs_status step_graph_new(const struct stepper *s, struct params *p,
                           enum step_kind kind, struct step_graph *out,
                           struct mohs_error *err);
void step_graph_free(struct step_graph *g);
/* Writes a batch of n, twice over for STEP_BOTH. anchor: what FARE's target
 * is, n * dim. */
mohs_status step_graph_write(const struct stepper *s, struct step_graph *g,
                             enum step_kind kind, const struct batch *b,
                             const float *anchor, struct mohs_error *err);

/* Device buffers of the perturbations. */
struct adversary {
    struct mohs_buffer *clean[TAPS_MAX]; /* activations without delta */
    struct mohs_buffer *mask, *keys;
    struct ball ball[TAPS_MAX];
    bool text[TAPS_MAX];
};
/* Shapes as in g, which has deltas. */
mohs_status adversary_new(const struct stepper *s, const struct step_graph *g,
                          struct adversary *a, struct mohs_error *err);
void adversary_free(struct adversary *a);
/* Deltas of zero. */
mohs_status adversary_zero(const struct stepper *s, struct step_graph *g,
                           struct mohs_error *err);
/* Runs g, whose batch is b, with deltas of zero and keeps what is at the taps:
 * the middle of this step's balls. */
mohs_status adversary_begin(const struct stepper *s, struct step_graph *g,
                            struct adversary *a, const struct batch *b,
                            uint32_t step, struct mohs_error *err);
/* Random deltas of g, inside the balls or on their surface. */
mohs_status adversary_randomise(const struct stepper *s, struct step_graph *g,
                                struct adversary *a, uint32_t step, bool surface,
                                struct mohs_error *err);
/* One step of the deltas of g along the gradients that `from` has. */
mohs_status adversary_ascend(const struct stepper *s, struct step_graph *g,
                             struct step_graph *from, struct adversary *a,
                             uint32_t step, struct mohs_error *err);
/* Copies the deltas of a batch of n: to another graph of n, or to the
 * perturbed half of one of 2n. */
mohs_status adversary_copy(const struct stepper *s, struct step_graph *from,
                           struct step_graph *to, enum step_kind kind,
                           struct mohs_error *err);
/* eps at `step`, after warm-up and ramp. */
float adversary_eps(const struct train_options *o, uint32_t step);

#endif
