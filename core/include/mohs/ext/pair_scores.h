/* SPDX-License-Identifier: MIT */
/*
 * Models that look at an image and a text together: scores of given pairs.
 *
 * "mohs.pair_scores/1" is an extension of models with two towers that also
 * have a matching head (BLIP's ITM). The image side of a pair is what a tap of
 * the image tower holds, made once an image; the rest is a graph of one image
 * with many texts. Scores are raw logits, without a unit; a larger logit of
 * `match` means a better match.
 *
 * "mohs.pair_need/1" is an extension of metrics that ask for such scores
 * (pair_scores() of struct mohs_eval): how many, before anything is run.
 */
#ifndef MOHS_EXT_PAIR_SCORES_H
#define MOHS_EXT_PAIR_SCORES_H

#include <mohs/error.h>
#include <mohs/ext/graph.h>
#include <mohs/model.h>

#define MOHS_EXT_PAIR_SCORES "mohs.pair_scores/1"
#define MOHS_EXT_PAIR_NEED "mohs.pair_need/1"

enum { MOHS_PAIR_SCORES_MAX = 16 };

struct mohs_pair_info {
    uint32_t size;
    uint32_t n_scores; /* 1..MOHS_PAIR_SCORES_MAX logits a pair */
    uint32_t match;    /* which of them says that the two belong together */
    /* The tap of the image tower that build() takes, one of the model's taps;
     * borrowed until destroy(). */
    const char *image_tap;
};

/* Of one image and n texts. */
struct mohs_pair_inputs {
    uint32_t size;
    struct mohs_tensor *image;  /* f32 [1, ...]: image_tap of one image */
    struct mohs_tensor *tokens; /* i32 [n, t], t <= context_length */
    struct mohs_tensor *last;   /* i32 [n]: index of the end-of-text token */
};

struct mohs_pair_scores {
    uint32_t size;
    uint32_t flags; /* 0 */
    /* Valid until destroy(). NULL: these weights have no matching head, and
     * the model is one of two towers only. [any thread] */
    const struct mohs_pair_info *(*info)(void *self);
    /* Calls put() for the parameters that only build() below needs, beyond
     * those of the model's describe(); they are read on first use. Of weights
     * without a head: what one would have. [main] */
    mohs_status (*describe)(void *self,
                            mohs_status (*put)(void *user,
                                               const struct mohs_weight_spec *,
                                               struct mohs_error *),
                            void *user, struct mohs_error *err);
    /* Adds the pairs' scores to g: f32 [n, n_scores]. Each row depends on the
     * image and its own text only; with MOHS_MODEL_CAUSAL_TEXT not on tokens
     * after `last`. Fails like a model's build(). [main] */
    mohs_status (*build)(void *self, const struct mohs_graph_api *api,
                         struct mohs_graph *g, const struct mohs_pair_inputs *in,
                         struct mohs_tensor **out, struct mohs_error *err);
};

struct mohs_pair_need {
    uint32_t size;
    /* About how many pairs measure() asks for, of so many images and texts; 0:
     * none, and the model may be any. [any thread] */
    uint64_t (*pairs)(void *self, uint32_t n_images, uint32_t n_texts);
};

#endif
