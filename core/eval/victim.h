/* SPDX-License-Identifier: MIT */
/*
 * "mohs.victim/1" over an encoder: images (or texts) as samples, the fixed
 * embeddings of the other modality as candidates. Texts can be replaced
 * ("mohs.victim_text/1"); images may come with their captions
 * ("mohs.victim_pair/1").
 */
#ifndef CORE_VICTIM_H
#define CORE_VICTIM_H

#include <mohs/ext/victim.h>
#include <mohs/ext/victim_pair.h>
#include <mohs/ext/victim_text.h>

#include "eval/encoder.h"

struct victim_options {
    struct encoder *encoder;
    uint32_t tower; /* of the samples */
    uint32_t n;
    const uint8_t *const *rgb; /* n pictures of the model's size, or NULL */
    const char *const *text;   /* n texts, or NULL */
    const uint64_t *key;
    const float *clean;        /* n * dim, the samples' embeddings; NULL: passed */
    const float *candidate;    /* n_candidates * dim, L2-normalised */
    uint32_t n_candidates;
    const uint32_t *positive_first, *positive;
    const struct mohs_victim_pair *pair; /* NULL, or the images' captions */
    const char *attack; /* who asks, for errors; NULL: nobody */
};

/* Borrowed arrays must outlive the victim. */
mohs_status victim_new(const struct victim_options *o, struct mohs_victim **out,
                       struct mohs_error *err);
void victim_free(struct mohs_victim *v);
/* Embeddings of all samples under the deltas as they are: n * dim. */
mohs_status victim_embed(struct mohs_victim *v, float *out,
                         struct mohs_error *err);
/* Forward and backward passes so far, in samples. */
void victim_passes(const struct mohs_victim *v, uint64_t *forward,
                   uint64_t *backward);

/* What the audit of one attacked sample says, over all open sites. */
struct victim_audit {
    double linf, l2;
    double rel_l2;      /* largest over tokens: norm(delta) / norm(clean) */
    uint64_t out_of_range; /* entries of clean + delta outside [lo, hi] */
    uint64_t on_padding;   /* non-zero entries at masked tokens */
    uint64_t non_finite;
    uint64_t words, chars, tokens; /* edits of a text, see base.h */
};
void victim_audit(struct mohs_victim *v, uint32_t sample,
                  struct victim_audit *out);
/* The sample's text as it is now; samples are texts. Borrowed. */
const char *victim_text(const struct mohs_victim *v, uint32_t sample);
/* What one micro-batch of an attack takes; of o: the encoder, the tower, n,
 * n_candidates and the attack. taps: "pixels" or others. MOHS_E_UNSUPPORTED
 * when there is no gradient and one is asked for. */
mohs_status victim_cost(const struct victim_options *o, bool gradient,
                        const char *const *taps, size_t n_taps,
                        struct graph_cost *out, struct mohs_error *err);
/* Open sites, in the order they were opened; NULL past the end. */
const struct mohs_site *victim_site(struct mohs_victim *v, size_t i);

/* How the pixels of one model are those of another: the same; the same part of
 * a picture at another size; or another part, which is refused. */
enum geometry { GEOMETRY_SAME, GEOMETRY_RESAMPLED, GEOMETRY_OTHER };
enum geometry geometry_of(const struct preprocess *a, const struct preprocess *b);
const char *geometry_name(enum geometry g);

/* Gives the texts or the pixels of one victim's samples to another's; other taps
 * and GEOMETRY_OTHER are an error. */
mohs_status victim_transfer(const struct encoder *from_model, struct mohs_victim *from,
                            const struct encoder *to_model, struct mohs_victim *to,
                            bool texts, struct mohs_error *err);

#endif
