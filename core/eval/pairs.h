/* SPDX-License-Identifier: MIT */
/*
 * The matching head of a model (ext/pair_scores.h) at work: scores of an image
 * with its texts, in micro-batches of texts. A row depends on its own pair
 * only, whatever the batch.
 */
#ifndef CORE_EVAL_PAIRS_H
#define CORE_EVAL_PAIRS_H

#include <mohs/ext/pair_scores.h>

#include "eval/encoder.h"

/* What the model says of its pairs; NULL: it has no matching head. */
const struct mohs_pair_info *pairs_info(const struct encoder *e);

struct pairs;

/* texts: about how many an image has. No more than one at a time for an
 * encoder. MOHS_E_UNSUPPORTED when pairs_info() is NULL. */
mohs_status pairs_open(struct encoder *e, uint32_t texts, struct pairs **out,
                       struct mohs_error *err);
void pairs_close(struct pairs *p); /* NULL is fine */
/* Floats that an image leaves: image_tap of one image. */
uint64_t pairs_image_count(const struct pairs *p);
/* The images' side: n * pairs_image_count() floats, of pixels as for
 * encoder_images(). */
mohs_status pairs_images(struct pairs *p, uint32_t n, const uint8_t *const *rgb,
                         float *out, struct mohs_error *err);
/* Scores of one image with n texts, as encoder_tokens() gives them:
 * out[n * n_scores]. */
mohs_status pairs_score(struct pairs *p, const float *image, uint32_t n,
                        const int32_t *ids, const int32_t *last, float *out,
                        struct mohs_error *err);

/* What the work takes, for --plan: flops of a pair in texts of full length,
 * of an image, and device bytes. */
struct pairs_cost {
    double pair_flops, image_flops;
    uint64_t bytes;
};
mohs_status pairs_plan(struct encoder *e, uint32_t texts, struct pairs_cost *out,
                       struct mohs_error *err);

#endif
