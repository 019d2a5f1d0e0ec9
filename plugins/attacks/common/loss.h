/* SPDX-License-Identifier: MIT */
/* Losses that attacks climb: value and d loss / d output per sample. */
#ifndef ATTACKS_LOSS_H
#define ATTACKS_LOSS_H

#include <mohs/attack.h>

enum { LOSS_CROSS_ENTROPY = 0, LOSS_MARGIN, LOSS_TARGETED, LOSS_DLR, LOSS_EMBEDDING,
       LOSS_RAW, LOSS_DLR_TARGETED /* no choice of users: apgd's, towards target[] */ };
#define LOSS_CHOICES { "cross_entropy", "margin", "targeted", "dlr", "embedding", \
    "raw_embedding", NULL }
#define LOSS_DOC "what is increased: cross_entropy: -log of the softmax mass on the " \
    "positives; margin: best wrong minus best right score; targeted: a wrong one drawn " \
    "by the seed minus the best right; dlr: margin over the spread of the three " \
    "best (Croce & Hein 2020); embedding: squared distance from the clean embedding"
#define LOSS_DOC_RAW LOSS_DOC "; raw_embedding: the same, not normalised"

/* Losses that are no function of the scores. */
static inline int loss_is_distance(int32_t kind)
{
    return kind == LOSS_EMBEDDING || kind == LOSS_RAW;
}

struct loss {
    struct mohs_victim *v;
    int32_t kind;     /* LOSS_* */
    const float *anchor; /* what the distances are from: n * dim, or NULL */
    uint32_t *target; /* per sample; n_candidates: no wrong one to aim at */
    uint8_t *fooled;  /* per sample: the last pass had a wrong candidate above
                         all right ones (scores only) */
};

/* Draws targets from streams (seed, key of the sample). `what` names the
 * attack in errors. */
mohs_status loss_init(struct loss *l, struct mohs_victim *v, int32_t kind, uint64_t seed,
                      const char *what, struct mohs_error *err);
void loss_free(struct loss *l);
/* One pass over samples sample[0..n); value[k] is that of sample[k]. A sample
 * whose budget is spent is worth -INFINITY and not fooled: what was kept of it
 * stays. */
mohs_status loss_pass(struct loss *l, uint32_t n, const uint32_t *sample, float *value,
                      int gradient, struct mohs_error *err);
/* Whether sample i's budget is spent: an attack has no more to do there. */
int loss_spent(const struct loss *l, uint32_t i);

/* The same for passes of others, such as trials of texts: user is the loss. */
uint32_t loss_output(const struct loss *l);
mohs_status loss_on_outputs(void *user, uint32_t n, const uint32_t *sample, uint32_t m,
                            const float *out, float *loss, float *dout,
                            struct mohs_error *err);

/* Ranks the wrong candidates of samples sample[0..n) by their scores under the
 * deltas as they are, and writes the `rank`-th best (0: the best) to target,
 * n_candidates where there are not so many. */
mohs_status loss_aim(struct loss *l, uint32_t rank, uint32_t n, const uint32_t *sample,
                     struct mohs_error *err);

/* For attacks that look at scores themselves. */
int loss_is_positive(const struct mohs_victim *v, uint32_t sample, uint32_t candidate);
/* Index of the best right and, n_candidates when there is none, wrong one. */
void loss_leaders(const struct mohs_victim *v, uint32_t sample, const float *score,
                  uint32_t *right, uint32_t *wrong);

#endif
