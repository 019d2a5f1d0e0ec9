/* SPDX-License-Identifier: MIT */
/*
 * Contrastive training of dual encoders, clean or with adversaries at taps.
 * Everything random is drawn from Philox streams of the seed, so one seed
 * gives one checkpoint on one device, byte for byte, also when the run was
 * killed and resumed.
 */
#ifndef CORE_TRAIN_H
#define CORE_TRAIN_H

#include "base/base.h"
#include "data/data.h"
#include "plugin/registry.h"

enum train_loss {
    TRAIN_CLIP,    /* symmetric InfoNCE (Radford et al. 2021) */
    TRAIN_SIGMOID, /* SigLIP (Zhai et al. 2023) */
    /* Fine-tuning of the image tower alone: */
    TRAIN_TECOA,   /* cross entropy of pictures against the class prompts, whose
                      embeddings and temperature stay (Mao et al. 2023) */
    TRAIN_FARE     /* squared distance of the embedding, not normalised, from
                      that which the model at the start gives the clean picture
                      (Schlarmann et al. 2024) */
};

enum train_adversary {
    ADVERSARY_NONE,
    ADVERSARY_GRADIENT, /* steps up the loss */
    ADVERSARY_NOISE,    /* random, of the same norm: the control */
    ADVERSARY_PLUGIN    /* an attack plugin, on the batch as its victim */
};

/*
 * Perturbations delta at taps, in a ball whose radius is eps times the size
 * of what is there: its L2 norm (BALL_L2) or its standard deviation
 * (BALL_LINF), per token or per sample. Objective, as in VILLA (Gan et al.
 * 2020): clean * L(clean) + L(adversarial) + kl * symmetric KL between the two
 * similarity distributions, over rows and columns.
 *
 * A plugin has its own norm, eps, steps and loss; its candidates are the other
 * side of the batch (or the class prompts), its taps are of one tower, and
 * norm to random_start, average and ramp do not apply.
 */
struct train_attack {
    enum train_adversary kind;
    const char *taps; /* "image.patch,text.token" */
    int norm;         /* BALL_* of graph/optim.h */
    bool per_sample;
    float eps;        /* relative */
    float alpha;      /* step, relative; 0: 1.5 eps / steps */
    uint32_t steps;   /* K */
    float kl;         /* beta */
    bool random_start; /* uniform in the ball, else from zero */
    bool alternate;   /* image taps on even steps, text taps on odd ones */
    bool average;     /* FreeLB: the objective and its parameter gradients
                         averaged over the K perturbations on the way; else
                         taken at the last */
    uint32_t start, ramp; /* clean until `start`, eps grows over `ramp` */
    float clean;      /* weight of L(clean) once the adversary is there */
    const struct item *plugin; /* ADVERSARY_PLUGIN: a mohs.attack/1 item, */
    const void *params;        /* its parameters; both borrowed */
};

/* How far a run is; NaN where nothing was measured at this step. */
struct train_progress {
    uint32_t step, steps; /* done, in all */
    double loss;          /* the objective: with an adversary the sum */
    double loss_adversarial;
    double rate, gradient_norm, logit_scale;
    double val_i2t, val_t2i;
};

struct train_options {
    const char *model;        /* plugin id */
    const char *config;       /* JSON text for the model */
    const char *tokenizer;    /* tokenizer.json text */
    const char *preprocessor; /* preprocessor_config.json text, or NULL */
    const char *init;         /* checkpoint to start from, or NULL */
    const struct dataset *data, *validate; /* validate may be NULL */
    const char *out;          /* .safetensors; OUT.ckpt holds the state */
    bool f16;                 /* store matrices as half in `out` */

    uint32_t steps, batch, warmup;
    float lr, beta1, beta2, eps, decay;
    float clip_norm; /* 0: none */
    float ema;       /* decay of the averaged weights; 0: none */
    uint64_t seed;
    enum train_loss loss;
    const char *prompt; /* TECOA: "a photo of a {}" */
    float crop_min;  /* smallest share of the area kept by random crops; 1: no
                        crops */
    bool flip;       /* half of the pictures, when no caption says left or
                        right */
    uint32_t log_every, validate_every, checkpoint_every; /* 0: never */
    struct train_attack attack;

    /* These change nothing in the weights. */
    uint32_t fork;           /* runs equal but for an adversary that starts at
                                this step or later share their first `fork`
                                steps, kept beside `out`; 0: nothing shared */
    uint32_t validate_limit; /* first so many images; 0: all */
    uint64_t data_bytes;     /* decoded pictures are kept in memory up to this;
                                a larger set is decoded batch by batch */
    void (*progress)(void *user, const struct train_progress *p); /* or NULL */
    void *user;
};

void train_defaults(struct train_options *o);
/* Ranges and what goes together; no file is looked at. */
mohs_status train_check(const struct train_options *o, struct mohs_error *err);

struct train_result {
    uint32_t steps;    /* done by this call */
    double seconds;
    double loss;       /* of the last step */
    double val_i2t, val_t2i; /* R@1 in % on `validate`; NaN without */
    char *curve;       /* JSON {"x":[..],"y":{"loss":[..],..}}; free() */
    uint64_t peak_bytes;
};
/* Trains, or resumes from OUT.ckpt, or does nothing when `out` was made with
 * equal options (result->steps is 0). */
mohs_status train_run(struct registry *r, const struct train_options *o,
                      struct train_result *result, struct mohs_error *err);
/* True when the loss is one of pairs, which needs captions; else it is one of
 * the image tower alone. */
bool train_pairs(const struct train_options *o);
/* Hash over everything that decides the outcome. */
struct hash128 train_hash(const struct train_options *o);

/* One cosine schedule with linear warm-up: the rate at `step`. */
float train_rate(const struct train_options *o, uint32_t step);

#endif
