/* SPDX-License-Identifier: MIT */
/* What the files of this room share; eval.h is its door. */
#ifndef CORE_SESSION_H
#define CORE_SESSION_H

#include "cache/cache.h"
#include "eval/eval.h"

struct eval_model {
    struct encoder *encoder;
    char *label;
    struct eval_model *next;
};

struct eval_data {
    struct dataset *set;
    char *label;
    struct hash128 *content; /* per image, of the file's bytes; made lazily */
    /* pictures at one model's size, kept when they are small */
    struct hash128 pixels_of;
    uint8_t **pixels;
    struct eval_data *next;
};

/* The prompts of one list of classes, and what models make of them. */
struct class_rows {
    struct hash128 model; /* encoder_text_hash() */
    float *row;
    struct class_rows *next;
};
struct class_set {
    struct class_texts texts;
    struct class_rows *rows;
    struct class_set *next;
};
/* Which data set has which. */
struct class_use {
    const struct dataset *of;
    struct class_set *set;
    struct class_use *next;
};
struct eval_prompts {
    struct prompts *prompts;
    struct class_set *sets;
    struct class_use *uses;
    struct eval_prompts *next;
};

struct cell {
    struct eval_cell spec;
    struct hash128 hash;
    char *corruption_params, *attack_params, *metric_params;
};

struct eval {
    struct registry *registry;
    struct eval_options o;
    char *results_path;
    struct results *results;
    struct cache *cache;
    struct pool *pool;
    struct eval_model *models;
    struct eval_data *data;
    struct eval_prompts *prompts;
    struct eval_prompts *outputs; /* of classifiers: class names; made lazily */
    struct cell *cell;
    size_t n_cells, cap_cells;
    struct arena *arena; /* extra axes */
    int64_t run;
    uint64_t cache_hits; /* rows that were not computed */
};

/* Pictures i0..i0+n of d at the model's size; rgb[j] is borrowed when
 * *owned is NULL, else *owned is one block to free. */
mohs_status data_pixels(struct eval *e, struct eval_data *d, struct encoder *enc,
                        const uint32_t *index, uint32_t n, const uint8_t **rgb,
                        uint8_t **owned, struct mohs_error *err);

/* d->content, made on first use. */
mohs_status data_content(struct eval *e, struct eval_data *d,
                         struct mohs_error *err);
/* Hashes of the depth maps that the cell's corruption sees; *out NULL when
 * it sees none, else the caller's to free. */
mohs_status depth_hashes(struct eval *e, const struct eval_cell *c,
                         struct hash128 **out, struct mohs_error *err);

/* Whether it changes texts; false for none. */
bool corrupts_text(const struct eval_item *corruption);

/* A corruption of images at work; close also what failed to open. */
struct corruptor {
    const struct mohs_corruption_ops *ops;
    void *self;
    uint32_t severity;
    uint64_t seed;
};
mohs_status corruptor_open(struct eval *e, const struct eval_item *it,
                           struct corruptor *c, struct mohs_error *err);
void corruptor_close(struct corruptor *c);
/* Replaces rgb[0..n) by corrupted copies in one fresh block. */
mohs_status corruptor_apply(struct corruptor *c, const struct eval_data *d,
                            const struct preprocess *p, const uint32_t *index,
                            uint32_t n, const uint8_t **rgb, uint8_t **block,
                            struct mohs_error *err);

/* A row of dim floats in the cache: 1 found, 0 not. */
int32_t row_lookup(struct eval *e, struct hash128 key, float *out, uint32_t dim,
                   struct mohs_error *err);
mohs_status row_keep(struct eval *e, struct hash128 key, const float *row,
                     uint32_t dim, struct mohs_error *err);
/* Keys of a cell's images as the model sees them, corrupted or not, the
 * caller's; *base is what all of them begin with. */
mohs_status image_keys(struct eval *e, const struct eval_cell *c,
                       struct hash128 **out, struct hash128 *base,
                       struct mohs_error *err);
/* Says in the cache what rows under `base` are of. */
void rows_note(struct eval *e, const struct eval_cell *c, const char *what,
               struct hash128 base);

/* The prompts of cells whose model is a classifier: names of its outputs. */
mohs_status class_outputs(struct eval *e, struct eval_prompts **out,
                          struct mohs_error *err);
/* Fills the prompts of a cell for its data set; once each. */
mohs_status classes_fill(struct eval *e, const struct eval_cell *c,
                         struct mohs_error *err);
void eval_prompts_free(struct eval_prompts *p);
/* Of a cell with prompts, after classes_fill(). */
const struct class_texts *class_texts_of(const struct eval_cell *c);
/* Rows on the text side of a cell: one a text, or a class; with PROMPT_MAX one
 * a prompt, of which a class has those that class_texts names. */
size_t cell_candidates(const struct eval_cell *c);
bool cell_has_wide_classes(const struct eval_cell *c); /* PROMPT_MAX */
/* The candidates that are right for image i, as [first, end). */
void cell_class_of(const struct eval_cell *c, size_t i, uint32_t *first,
                   uint32_t *end);

/* The cell's texts, or all its prompts, corrupted where the corruption is of
 * texts; free with strv_free(). */
mohs_status cell_texts(struct eval *e, const struct eval_cell *c, char ***out,
                       struct mohs_error *err);
/* Embedding rows of texts, through the cache. */
mohs_status text_rows(struct eval *e, const struct eval_cell *c, size_t n,
                      const char *const *text, float *out, struct mohs_error *err);
/* The rows on the text side of a cell with prompts; PROMPT_MEAN makes rows
 * shorter than 1, whose similarities are the means. */
mohs_status embed_classes(struct eval *e, const struct eval_cell *c, float *out,
                          struct mohs_error *err);

/* Embedding rows of a cell's images and texts, through the cache. */
mohs_status embed_images(struct eval *e, const struct eval_cell *c, float *out,
                         struct mohs_error *err);
mohs_status embed_texts(struct eval *e, const struct eval_cell *c, float *out,
                        struct mohs_error *err);

/* About how many scores of pairs the cell's metric asks for; 0: none. */
mohs_status cell_pairs(struct eval *e, const struct eval_cell *c, uint64_t *out,
                       struct mohs_error *err);
/* Whether the cell can have them, if it needs them. */
mohs_status check_pairs(struct eval *e, const struct eval_cell *c,
                        struct mohs_error *err);
/* Scores of the pairs image[k], text[k] of a cell, through the cache:
 * out[n * n_scores]; see pair_scores() of struct mohs_eval. */
mohs_status pair_rows(struct eval *e, const struct eval_cell *c, uint64_t n,
                      const uint32_t *image, const uint32_t *text, float *out,
                      struct mohs_error *err);

/* What an attack did to each sample; see victim_audit. OVER: 1 when there are
 * more edits than the attack may make; BYTES: of the text that was left; FORWARD,
 * BACKWARD and CUT: see guard_count. */
enum { AUDIT_LINF, AUDIT_L2, AUDIT_REL_L2, AUDIT_RANGE, AUDIT_PADDING,
       AUDIT_BAD, AUDIT_WORDS, AUDIT_CHARS, AUDIT_TOKENS, AUDIT_OVER,
       AUDIT_BYTES, AUDIT_FORWARD, AUDIT_BACKWARD, AUDIT_CUT, AUDIT_DIM };
/* Embeddings of all samples and rows of AUDIT_DIM; what is attacked is
 * written. */
struct attack_rows {
    const float *clean_image, *clean_text;
    float *image, *text, *image_audit, *text_audit;
};
/* Attacks the samples of one tower; an attack on pairs, given the images,
 * does both sides. */
mohs_status embed_attacked(struct eval *e, const struct eval_cell *c,
                           uint32_t tower, const struct attack_rows *r,
                           struct mohs_error *err);
/* Which towers the cell's attack touches: from its flags or its parameter
 * "tap". */
uint32_t attack_towers(const struct eval_item *attack);
/* Whether it takes images with their captions; whether it puts other texts in
 * the place of what is there. */
bool attacks_pairs(const struct eval_item *attack);
bool attacks_texts(const struct eval_item *attack);
/* What its budget of edits of a text counts, "words", "tokens" or "chars", and
 * the budget: max_words, max_tokens, max_chars, or max_edits in what the choice
 * `unit` says. NULL: there is none. */
const char *attack_budget(const struct eval_item *attack, int32_t *most);
/* Whether it surely asks for gradients at this tower's taps. */
bool attack_needs_gradient(const struct eval_item *attack, uint32_t tower);
/* The whole number parameter `name`, or def. */
int32_t attack_int(const struct eval_item *attack, const char *name, int32_t def);

/* The taps of one tower that the attack names, as a fresh comma list;
 * "pixels" for an attack on images that has no parameter "tap", "text.token"
 * for one that replaces texts. */
char *attack_taps(const struct eval_item *attack, uint32_t tower);
/* The attack's parameters with only this tower's taps; the caller's. */
mohs_status attack_side_params(const struct eval_item *attack, uint32_t tower,
                               void **out, struct mohs_error *err);
/* Samples that an attack works on at once. */
enum { ATTACK_CHUNK = 128 };

/* PNG of picture i as the model of the cell sees it; NULL when not to be
 * had. delta: the magnified perturbation instead. */
bool thumbnail(struct eval *e, const struct eval_cell *c, uint32_t i, bool delta,
               struct str *png);

/* JSON of clean and attacked texts with their edits, in data order; false when
 * the cell has none or they are not in the cache. */
bool attacked_texts(struct eval *e, const struct eval_cell *c, struct str *json);

/* A metric's values with intervals, and for attacks what they did. */
struct measured {
    struct result_value *value;
    size_t n_values;
    struct mohs_samples samples;
    const char *const *columns;
    uint32_t n_columns;
    void *self; /* keeps the names above alive */
    const struct mohs_metric_ops *ops;
    struct arena *arena;
};
mohs_status measure_cell(struct eval *e, const struct eval_cell *c,
                         struct measured *out, struct mohs_error *err);
void measured_free(struct measured *m);

/* Keeps the rate at which these cells were computed, for later estimates. */
void plan_learn(struct eval *e, const bool *computed, double seconds);

/* Frees what a cell owns. */
void cell_drop(struct cell *c);
/* Puts a computed cell into the results. */
mohs_status cell_store(struct eval *e, const struct cell *c, struct measured *m,
                       double seconds, struct mohs_error *err);
/* Floats of an embedding. */
uint32_t cell_dim(const struct eval_cell *c);
/* "contrast:3", "pgd", "clean". */
void cell_condition(const struct eval_cell *c, struct str *out);
struct hash128 eval_cell_hash(const struct eval *e, const struct eval_cell *c);
/* Of the other model and other data that a cell's attack needs. */
void attack_others_hash(struct hasher *h, const struct eval_cell *c);
/* Hash state of an item: plugin, version, id, parameters, severity. */
void item_hash(struct hasher *h, const struct eval_item *i);

#endif
