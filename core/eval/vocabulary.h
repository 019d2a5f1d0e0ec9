/* SPDX-License-Identifier: MIT */
/*
 * What every token of an encoder's vocabulary is at the tap "text.token",
 * less what token 0 is there: differences of two rows are the change that
 * putting one token for another makes, whatever the position, in a model that
 * adds positions to tokens.
 */
#ifndef CORE_VOCABULARY_H
#define CORE_VOCABULARY_H

#include "eval/encoder.h"

#define TAP_TOKEN "text.token"

struct vocabulary {
    struct compute *compute;
    uint32_t n, width;
    float *row;                /* n * width */
    struct mohs_buffer *buffer; /* the same */
};

/* Of e, which must outlive it; encoder_vocabulary() keeps one. */
mohs_status vocabulary_new(struct encoder *e, struct vocabulary **out,
                           struct mohs_error *err);
void vocabulary_free(struct vocabulary *v);
/* gain[t * n + id] = <grad[t], row(id) - row(now[t])> for t < tokens; grad has
 * `width` floats a token. */
mohs_status vocabulary_gains(const struct vocabulary *v, uint32_t tokens,
                             const int32_t *now, const float *grad, float *gain,
                             struct mohs_error *err);

#endif
