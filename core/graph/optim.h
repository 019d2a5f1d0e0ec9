/* SPDX-License-Identifier: MIT */
/*
 * Kernels that training and attacks run on parameters and perturbations:
 * AdamW, gradient norm and clipping, moving averages, and steps inside a
 * ball. All are enqueued; sums have one fixed order. Buffers hold float32.
 */
#ifndef CORE_OPTIM_H
#define CORE_OPTIM_H

#include "compute/compute.h"

/*
 * One AdamW update of `count` parameters with decoupled decay:
 *   g' = g * clip; m = beta1 m + (1-beta1) g'; v = beta2 v + (1-beta2) g'^2
 *   p -= lr * (m / correction1 / (sqrt(v / correction2) + eps) + decay * p)
 * with correction_i = 1 - beta_i^step.
 */
struct adamw {
    float lr, beta1, beta2, eps, decay, correction1, correction2;
};
/* clip: NULL, or the buffer that optim_clip wrote (its second float scales
 * the gradient). */
mohs_status optim_adamw(struct compute *c, struct mohs_buffer *param,
                        struct mohs_buffer *grad, struct mohs_buffer *m,
                        struct mohs_buffer *v, uint32_t count,
                        const struct adamw *h, struct mohs_buffer *clip,
                        struct mohs_error *err);

/* Number of floats optim_sumsq writes for `count` values. */
uint32_t optim_sumsq_slots(uint32_t count);
/* Sums of squares of x, piece by piece, into partial[at ..]. */
mohs_status optim_sumsq(struct compute *c, struct mohs_buffer *x,
                        uint32_t count, struct mohs_buffer *partial,
                        uint32_t at, struct mohs_error *err);
/* out[0] = norm = sqrt(sum of partial[0..n)), out[1] = min(1, max_norm /
 * norm), 1 when max_norm is 0, NaN when the norm is. */
mohs_status optim_clip(struct compute *c, struct mohs_buffer *partial,
                       uint32_t n, float max_norm, struct mohs_buffer *out,
                       struct mohs_error *err);

/* avg = decay avg + (1 - decay) x */
mohs_status optim_ema(struct compute *c, struct mohs_buffer *avg,
                      struct mohs_buffer *x, uint32_t count, float decay,
                      struct mohs_error *err);
/* y += a x */
mohs_status optim_axpy(struct compute *c, struct mohs_buffer *y,
                       struct mohs_buffer *x, uint32_t count, float a,
                       struct mohs_error *err);

enum { BALL_L2 = 0, BALL_LINF = 1 };
/*
 * Perturbations [n, tokens, width] of activations `clean`. A group is a
 * token, or a sample's unmasked tokens. Its radius is eps times the group's
 * L2 norm (BALL_L2) or standard deviation (BALL_LINF) in clean; eps itself
 * when clean is NULL. mask: int32 [n, tokens], 0 marks tokens whose delta
 * stays 0; NULL: none.
 */
struct ball {
    uint32_t n, tokens, width;
    int norm;        /* BALL_* */
    bool per_sample; /* else per token */
    float eps;
};
/* delta = project(delta + alpha * unit * direction), unit being the radius
 * per eps, direction g / |g|_2 or sign(g). */
mohs_status optim_perturb_step(struct compute *c, const struct ball *b,
                               struct mohs_buffer *delta,
                               struct mohs_buffer *grad,
                               struct mohs_buffer *clean,
                               struct mohs_buffer *mask, float alpha,
                               struct mohs_error *err);
/*
 * Random delta from stream (seed, keys[i]) of sample i; keys: n pairs of
 * uint32, low half first. surface false: uniform in the ball; true: of norm
 * exactly the radius (random direction, or random signs).
 */
mohs_status optim_random_delta(struct compute *c, const struct ball *b,
                               struct mohs_buffer *delta,
                               struct mohs_buffer *clean,
                               struct mohs_buffer *mask, uint64_t seed,
                               struct mohs_buffer *keys, bool surface,
                               struct mohs_error *err);

#endif
