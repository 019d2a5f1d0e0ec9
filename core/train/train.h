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

enum train_loss { TRAIN_CLIP, /* symmetric InfoNCE (Radford et al. 2021) */
                  TRAIN_SIGMOID /* SigLIP (Zhai et al. 2023) */ };

enum train_adversary {
    ADVERSARY_NONE,
    ADVERSARY_GRADIENT, /* steps up the loss */
    ADVERSARY_NOISE     /* random, of the same norm: the control */
};

/*
 * Perturbations delta at taps, in a ball whose radius is eps times the size
 * of what is there: its L2 norm (BALL_L2) or its standard deviation
 * (BALL_LINF), per token or per sample. Objective, as in VILLA (Gan et al.
 * 2020): L(clean) + L(adversarial) + kl * symmetric KL between the two
 * similarity distributions, over rows and columns.
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
/* Hash over everything that decides the outcome. */
struct hash128 train_hash(const struct train_options *o);

/* One cosine schedule with linear warm-up: the rate at `step`. */
float train_rate(const struct train_options *o, uint32_t step);

#endif
