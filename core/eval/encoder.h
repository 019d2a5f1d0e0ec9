/* SPDX-License-Identifier: MIT */
/*
 * A model ready to encode: weights, tokenizer, preprocessing and the graphs
 * that its plugin builds, one per tower, batch and text length, made on
 * first use. Every row of a result depends on its own input only, so
 * micro-batches of any size give the same bits.
 */
#ifndef CORE_ENCODER_H
#define CORE_ENCODER_H

#include "base/base.h"
#include "graph/graph.h"
#include "image/image.h"
#include "model/model.h"
#include "plugin/registry.h"

struct encoder;

/* Opens the checkpoint at `path` with model plugin `id`, or, when id is
 * NULL, with the plugin whose probe() is surest. No device is opened yet. */
mohs_status encoder_open(struct registry *r, const char *id, const char *path,
                         struct encoder **out, struct mohs_error *err);
/* The same with the plugin's parameters: NULL-terminated "name=value". */
mohs_status encoder_open_with(struct registry *r, const char *id,
                              const char *path, const char *const *settings,
                              struct encoder **out, struct mohs_error *err);
void encoder_close(struct encoder *e);

const struct mohs_model_info *encoder_info(const struct encoder *e);
const struct item *encoder_item(const struct encoder *e);
const struct preprocess *encoder_preprocess(const struct encoder *e);
const struct tokenizer *encoder_tokenizer(const struct encoder *e);
const char *encoder_path(const struct encoder *e);
/* Weights, plugin and configuration: the model's part of cache keys. */
struct hash128 encoder_hash(const struct encoder *e);
struct hash128 encoder_text_hash(const struct encoder *e);
bool encoder_has_tap(const struct encoder *e, const char *tap);
/* The taps as "a, b, c", for messages. */
void encoder_tap_names(const struct encoder *e, struct str *out);
/* The device and parameters, uploaded on first use. */
mohs_status encoder_params(struct encoder *e, struct params **out,
                           struct mohs_error *err);
struct registry *encoder_registry(struct encoder *e);
/* The model's extension `id`, or NULL; *self (self may be NULL) is what its
 * functions take. */
const void *encoder_extension(const struct encoder *e, const char *id, void **self);
/* Declares more parameters, after encoder_params() and once: those that
 * `describe` of the model lists. */
typedef mohs_status (*encoder_describe)(
    void *self,
    mohs_status (*put)(void *user, const struct mohs_weight_spec *,
                       struct mohs_error *),
    void *user, struct mohs_error *err);
mohs_status encoder_declare(struct encoder *e, encoder_describe describe,
                            struct mohs_error *err);

/* Device memory a graph may take and the largest micro-batch (0: choose).
 * Applies to graphs made afterwards. */
void encoder_limits(struct encoder *e, uint64_t memory_bytes,
                    uint32_t micro_batch);

/* Pixels of the model's size, 8 bit -> n * embed_dim floats; raw rows, or
 * L2-normalised (a classifier's logits are never). tap NULL: the embedding; else that tap's activations
 * (count floats each, from encoder_tap_count). */
mohs_status encoder_images(struct encoder *e, uint32_t n,
                           const uint8_t *const *rgb, bool raw, const char *tap,
                           float *out, struct mohs_error *err);
mohs_status encoder_texts(struct encoder *e, uint32_t n, const char *const *text,
                          bool raw, const char *tap, float *out,
                          struct mohs_error *err);
/* The same for texts that are token ids already; see encoder_tokens. */
mohs_status encoder_ids(struct encoder *e, uint32_t n, const int32_t *ids,
                        const int32_t *last, bool raw, const char *tap, float *out,
                        struct mohs_error *err);
/* The embeddings of all tokens, made on first use; see vocabulary.h. */
struct vocabulary;
mohs_status encoder_vocabulary(struct encoder *e, const struct vocabulary **out,
                               struct mohs_error *err);
/*
 * Classes in place of texts, for a model that is a classifier: row i is the
 * unit vector of output k, so that its product with an image's row is the
 * logit. Class i is the output whose name, or one of whose synonyms, name[i]
 * is, letters of either case; or, when the checkpoint has no names, output i
 * of as many. "#17" is output 17 of any model. encoder_texts() does the same
 * with texts, one at a time: names and numbers only.
 */
bool encoder_is_classifier(const struct encoder *e);
mohs_status encoder_classes(struct encoder *e, uint32_t n, const char *const *name,
                            float *out, struct mohs_error *err);
/* Name of output i; NULL when the model says nothing of it. */
const char *encoder_class_name(const struct encoder *e, uint32_t i);

/* Floats per sample at a tap; text taps at the full context length. */
mohs_status encoder_tap_count(struct encoder *e, const char *tap, uint64_t *out,
                              struct mohs_error *err);

/* Tokenizes n texts: ids[n * context], last[n]. */
mohs_status encoder_tokens(struct encoder *e, uint32_t n,
                           const char *const *text, int32_t *ids, int32_t *last,
                           struct mohs_error *err);

/* ---- for graphs of other files (victims) ---- */
struct tower_graph {
    struct graph *graph;
    struct tensor *pixels, *tokens, *last; /* inputs; NULL: other tower */
    struct tensor *raw;                    /* [n, dim] as the model gives it */
    struct tensor *embed;                  /* [n, dim], L2-normalised; a classifier's: raw */
    uint32_t n, context;
};
/* Builds one tower for a batch of n and texts of `context` tokens, with
 * deltas at the given taps ("pixels" included). Not planned yet. */
mohs_status encoder_tower(struct encoder *e, uint32_t tower, uint32_t n,
                          uint32_t context, const char *const *taps,
                          size_t n_taps, struct tower_graph *out,
                          struct mohs_error *err);
/* The micro-batch for `n` samples: the largest that `cost` keeps within the
 * memory limit, at most `n`. */
uint32_t encoder_micro_batch(struct encoder *e, uint32_t n,
                             mohs_status (*cost)(void *user, uint32_t batch,
                                                 uint64_t *bytes,
                                                 struct mohs_error *err),
                             void *user);

/* What running n samples of a tower takes, for --plan. */
mohs_status encoder_cost(struct encoder *e, uint32_t tower, uint32_t n,
                         struct graph_cost *out, uint32_t *batch,
                         struct mohs_error *err);

#endif
