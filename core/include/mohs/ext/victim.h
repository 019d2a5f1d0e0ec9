/* SPDX-License-Identifier: MIT */
/*
 * "mohs.victim/1": what an attack attacks. The host binds a model, a batch
 * of samples and their targets; the attack reads clean activations, writes
 * perturbations and asks for losses and gradients. The victim hands out raw
 * outputs and takes back d loss / d output, so an attack owns its loss.
 *
 * A sample is an image (targets: the candidate texts) or a text (targets:
 * the candidate images). The candidates are fixed embeddings, so a sample's
 * outputs do not depend on the rest of the batch.
 */
#ifndef MOHS_EXT_VICTIM_H
#define MOHS_EXT_VICTIM_H

#include <mohs/error.h>

#define MOHS_EXT_VICTIM "mohs.victim/1"

enum {
    MOHS_OUT_SCORES = 0, /* logit_scale * cosine to each candidate + bias */
    MOHS_OUT_EMBED = 1   /* the L2-normalised embedding; a classifier's logits */
};

/* A place that can be perturbed. Arrays belong to the victim and live as
 * long as it does. tokens * width floats per sample, sample-major. */
struct mohs_site {
    uint32_t size;
    const char *tap;        /* "pixels", "image.patch", "text.token", ... */
    uint32_t tokens, width; /* pixels: 3 channels as tokens, height * width */
    float lo, hi;           /* allowed range of clean + delta (pixels: 0, 1);
                               -INFINITY, INFINITY at inner taps */
    const float *clean;     /* n * tokens * width: unperturbed activation */
    const uint8_t *mask;    /* NULL, or n * tokens: 0 marks padding tokens,
                               whose delta must stay zero */
    float *delta;           /* n * tokens * width, zero at first: the attack's
                               to write */
    float *grad;            /* n * tokens * width: written by pass() */
    uint32_t height;        /* pixels: rows of the picture, of width / height
                               columns; 0 elsewhere */
};

/*
 * Called once per micro-batch of a pass with the outputs of n samples:
 * out[i*m + j], sample[i] is the batch index. Must set loss[i]; when dout is
 * not NULL, also dout[i*m + j] = d loss[i] / d out[i*m + j].
 */
typedef mohs_status (*mohs_loss_fn)(void *user, uint32_t n,
                                    const uint32_t *sample, uint32_t m,
                                    const float *out, float *loss, float *dout,
                                    struct mohs_error *err);

struct mohs_victim {
    uint32_t size;
    uint32_t n;            /* samples in the batch */
    uint32_t n_candidates; /* columns of MOHS_OUT_SCORES */
    uint32_t dim;          /* columns of MOHS_OUT_EMBED */
    const uint64_t *key;   /* n stable item keys */
    /* Positives of sample i: candidate indices positive[first[i] ..
     * first[i+1]); at least one each. */
    const uint32_t *positive_first; /* n + 1 */
    const uint32_t *positive;
    const float *clean_embed; /* n * dim: embeddings without perturbation */
    void *ctx;
    /* Opens tap `tap` (computing clean activations on first use). Two calls
     * with one name give the same arrays. Unknown tap: MOHS_E_ARG, the text
     * lists what there is. [same thread as run] */
    mohs_status (*site)(struct mohs_victim *v, const char *tap,
                        struct mohs_site *out, struct mohs_error *err);
    /* Runs samples sample[0..n) with the current deltas of all open sites,
     * calls fn per micro-batch, stores fn's losses at loss[0..n) (may be
     * NULL), and, when `gradient` is set, fills grad of every open site for
     * these samples. [same thread as run] */
    mohs_status (*pass)(struct mohs_victim *v, uint32_t n,
                        const uint32_t *sample, uint32_t output,
                        mohs_loss_fn fn, void *user, float *loss,
                        int32_t gradient, struct mohs_error *err);
    /* Further powers over these samples, or NULL: "mohs.victim_text/1" when
     * they are texts, "mohs.victim_pair/1" when they are images that come
     * with their captions, "mohs.attack_state/1" where the host keeps what a
     * killed attack needs to go on. The table lives as long as the victim.
     * [same thread as run] */
    const void *(*get_extension)(struct mohs_victim *v, const char *id);
    /* NULL, or n: 1 where a sample's budget of passes or time is spent. From
     * then on it costs nothing and is passed as if its deltas were zero: the
     * clean outputs, no gradient. An attack does well to drop it and to count
     * the best it had. */
    const uint8_t *spent;
};

#endif
