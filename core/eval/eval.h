/* SPDX-License-Identifier: MIT */
/*
 * Where a recipe's work is scheduled: cells (model x data x corruption x
 * attack x metric) are collected, planned, and run once each; embeddings go
 * through the cache, values into the results file. A killed run resumes at
 * the cell it was in.
 */
#ifndef CORE_EVAL_H
#define CORE_EVAL_H

#include "base/base.h"
#include "data/data.h"
#include "data/prompts.h"
#include "eval/encoder.h"
#include "plugin/registry.h"
#include "results/results.h"

struct eval;

struct eval_options {
    const char *results;   /* file, made if missing */
    const char *cache;     /* directory; NULL: no cache */
    uint64_t seed;
    uint64_t memory_bytes; /* device memory for a graph; 0: 1 GiB */
    uint32_t micro_batch;  /* 0: from the budget */
    uint32_t workers;      /* decoding threads; 0: one per CPU */
    uint32_t shard, n_shards; /* cells shard, shard + n_shards, ...; 0, 1 */
    uint32_t bootstrap;    /* resamples; 0: no intervals */
    uint32_t thumbnails;   /* pictures kept per cell */
};

mohs_status eval_open(struct registry *r, const struct eval_options *o,
                      struct eval **out, struct mohs_error *err);
void eval_close(struct eval *e);

/* What any attack may use; 0: as much as it likes. */
struct budget {
    uint32_t max_queries; /* forward passes of a sample */
    double max_seconds;   /* of the attack on all of a cell's samples; results then
                             depend on the machine */
};
/* Sets the budget that `key` names, beside the attack's own parameters. 1: set;
 * 0: not the name of a budget; else an error that names the attack. */
int32_t budget_set(struct budget *b, const char *attack, const char *key, double x,
                   struct mohs_error *err);
int32_t budget_set_text(struct budget *b, const char *attack, const char *key,
                        const char *text, struct mohs_error *err);
bool budget_any(const struct budget *b);
/* Appends "max_queries=100,max_seconds=5" to a parameter text. */
void budget_text(const struct budget *b, struct str *out);

/* An item with its parameters; a corruption also has a severity, an attack a
 * budget. */
struct eval_item {
    const struct item *item;
    void *params; /* taken: freed with item_params_free */
    uint32_t severity;
    struct budget budget;
};

/* Named things a recipe makes; owned by the eval. */
struct eval_model;
struct eval_data;
struct eval_prompts;
/* label NULL: the file's stem. settings: as of encoder_open_with, or NULL.
 * Weights are opened now, nothing is run. */
mohs_status eval_add_model(struct eval *e, const char *id, const char *path,
                           const char *label, const char *const *settings,
                           struct eval_model **out, struct mohs_error *err);
/* Takes d. label NULL: its name. */
struct eval_data *eval_add_data(struct eval *e, struct dataset *d,
                                const char *label);
/* Takes p. */
struct eval_prompts *eval_add_prompts(struct eval *e, struct prompts *p);
const struct prompts *eval_prompts_set(const struct eval_prompts *p);
struct encoder *eval_model_encoder(struct eval_model *m);
const char *eval_model_label(const struct eval_model *m);
const struct dataset *eval_data_set(const struct eval_data *d);
const char *eval_data_label(const struct eval_data *d);

/*
 * Embeddings of a model that need not be here, scored without it: files
 * "FILE.npy", "FILE.safetensors" (the tensor named as the field, or the only
 * one) or "FILE.safetensors:TENSOR"; [n, dim] floats, normalised when read.
 * With labels the texts are the classes, and images are classified by the
 * nearest; else text t describes image owner[t], or texts of image 0, of
 * image 1, ... follow each other, equally many.
 */
struct embeddings_options {
    const char *image, *text;
    const char *owner; /* integers, one a text; or NULL */
    const char *label; /* integers, one an image, -1: of no class; or NULL */
    const char *model; /* what results call it; NULL: "embeddings" */
    float logit_scale, logit_bias;
};
mohs_status eval_embeddings(const struct embeddings_options *o, struct dataset **out,
                            struct mohs_error *err);

struct eval_cell {
    struct eval_model *model; /* NULL for data that are embeddings */
    struct eval_data *data;
    struct eval_item corruption; /* item NULL: clean */
    struct eval_item attack;     /* item NULL: none */
    struct eval_model *surrogate; /* NULL, or what the attack sees: its pixels or
                                     texts are then given to the model */
    struct eval_data *fit; /* what an attack learns from, if it learns; NULL: data */
    struct eval_item metric;
    const struct result_pair *extra; /* further axes, copied */
    size_t n_extra;
    /* Zero-shot classification: the texts are the prompts of the data set's
     * classes. NULL: the texts are the data set's. */
    struct eval_prompts *prompts;
};
/* Adds a cell; takes the params of its items, also on failure. A cell equal
 * to an earlier one is dropped. */
mohs_status eval_add(struct eval *e, const struct eval_cell *cell,
                     struct mohs_error *err);
size_t eval_count(const struct eval *e);

/* What an attack may do to whom, as pairs threat_*: the space, the norm and its
 * eps, budgets of edits, whether before or after resizing and normalisation, and
 * what it sees. The number of pairs. */
enum { THREAT_MAX = 12 };
size_t threat_pairs(struct arena *arena, const struct eval_item *attack,
                    const struct preprocess *p, struct result_pair out[THREAT_MAX]);

struct eval_run_info {
    const char *recipe_name, *recipe_text, *args_json;
};
/* Runs every cell that the results file lacks. Writes run and provenance. */
mohs_status eval_run(struct eval *e, const struct eval_run_info *info,
                     struct mohs_error *err);
/* Prints cells, passes, bytes and an estimate to stdout; runs nothing. */
mohs_status eval_plan(struct eval *e, bool json, struct mohs_error *err);
/* Visits the cells added to this eval with their stored results. */
mohs_status eval_each(struct eval *e,
                      mohs_status (*fn)(void *user,
                                        const struct result_cell *cell,
                                        struct mohs_error *err),
                      void *user, struct mohs_error *err);
/* Stores a cell that is not an evaluation (a training curve). */
mohs_status eval_store(struct eval *e, const struct result_cell *cell,
                       struct mohs_error *err);
const char *eval_results_path(const struct eval *e);

#endif
