/* SPDX-License-Identifier: MIT */
/* Models: dual encoders described as graphs (ext/graph.h). */
#ifndef MOHS_MODEL_H
#define MOHS_MODEL_H

#include <mohs/error.h>
#include <mohs/ext/graph.h>
#include <mohs/ext/weights.h>
#include <mohs/host.h>

enum { MOHS_TOWER_IMAGE = 1, MOHS_TOWER_TEXT = 2 };

enum {
    /* The text embedding does not depend on tokens after `last`, so the host
     * may cut padding away. */
    MOHS_MODEL_CAUSAL_TEXT = 1u,
    /* The image tower ends in logits over embed_dim classes, and there is no
     * text tower. The host neither normalises nor scales them: whatever
     * compares images with classes takes the logit of the class. logit_scale
     * is 1, logit_bias 0, and the features before the head are the tap
     * image.embed. Names of the classes: ext/classifier.h. */
    MOHS_MODEL_CLASSIFIER = 2u
};

struct mohs_model_info {
    uint32_t size;
    uint32_t flags;  /* MOHS_MODEL_* */
    uint32_t towers; /* MOHS_TOWER_* bits */
    uint32_t image_height, image_width;
    uint32_t context_length, vocab_size;
    uint32_t embed_dim;
    float logit_scale; /* already exponentiated */
    float logit_bias;
    const char *const *taps; /* NULL-terminated, in graph order */
    /* How pictures of this family are made ready where neither the files nor
     * their configuration say: the JSON of a preprocessor_config.json
     * (transformers', timm's pretrained_cfg or torchvision's presets), whose
     * sizes may be left out. NULL: as CLIP's. */
    const char *preprocessor;
};

enum { MOHS_INIT_NORMAL = 0, /* N(0, scale^2) */
       MOHS_INIT_CONSTANT    /* scale everywhere */ };

enum {
    /* The matrix is stored [dims[1], dims[0]]. */
    MOHS_SOURCE_TRANSPOSED = 1u
};

/*
 * One trainable parameter as describe() lists it. `name` is what build() asks
 * the graph for and what training writes. Published checkpoints that name or
 * pack it otherwise are read through source and its companions: the host then
 * takes rows [source_first, source_first + dims[0]) of the tensor `source`,
 * which has source_rows rows (after transposing), straight from the file. So
 * one plugin reads every naming scheme, and fused matrices cost no copy.
 * Dims of size one that the file has and the parameter lacks, or the other
 * way round, do not matter.
 */
struct mohs_weight_spec {
    uint32_t size;
    const char *name;
    uint32_t n_dims, dims[MOHS_DIMS_MAX];
    uint32_t init; /* MOHS_INIT_* */
    float scale;
    uint32_t decay;      /* 1: weight decay applies */
    const char *source;  /* tensor in the checkpoint; NULL: `name` */
    uint32_t source_rows;  /* 0: as dims[0], all of them */
    uint32_t source_first; /* the first row taken */
    uint32_t source_flags; /* MOHS_SOURCE_* */
    uint32_t fixed;        /* 1: a statistic, which gradients do not move */
};

/* Inputs of a tower; tensors not of that tower are NULL. */
struct mohs_tower_inputs {
    uint32_t size;
    struct mohs_tensor *pixels; /* f32 [n, 3, h, w], normalised */
    struct mohs_tensor *tokens; /* i32 [n, t], t <= context_length */
    struct mohs_tensor *last;   /* i32 [n]: index of the end-of-text token */
};

struct mohs_model_ops {
    uint32_t size;
    uint32_t flags; /* 0 */
    /* How sure the plugin is that it reads these weights: 0 no .. 100. Only
     * looks at the configuration and names. [main] */
    int32_t (*probe)(const struct mohs_host *host, const struct mohs_weights *w);
    /* Reads the configuration; checks it. `w` outlives self. [main] */
    mohs_status (*create)(const struct mohs_host *host, const void *params,
                          const struct mohs_weights *w, void **self,
                          struct mohs_error *err);
    void (*destroy)(void *self);
    const struct mohs_model_info *(*info)(void *self);
    /* Calls put() for every parameter: how a model is trained from nothing,
     * and what a checkpoint must hold. */
    mohs_status (*describe)(void *self,
                            mohs_status (*put)(void *user,
                                               const struct mohs_weight_spec *,
                                               struct mohs_error *),
                            void *user, struct mohs_error *err);
    /* Adds one tower to g and returns its projected embedding [n, embed_dim],
     * not normalised, or a classifier's logits. Marks its taps. [main] */
    mohs_status (*build)(void *self, const struct mohs_graph_api *api,
                         struct mohs_graph *g, uint32_t tower,
                         const struct mohs_tower_inputs *in,
                         struct mohs_tensor **out, struct mohs_error *err);
    /* May be NULL. "mohs.classifier/1", "mohs.pair_scores/1". */
    const void *(*get_extension)(void *self, const char *id);
};

#endif
