/* SPDX-License-Identifier: MIT */
/*
 * The conformance kit's inside. A child process loads the plugin, runs the
 * checks of one item in order and tells its parent through a pipe; the
 * parent (check.c) turns a crash or a silence into the verdict of the check
 * that was running.
 */
#ifndef CORE_CHECK_H
#define CORE_CHECK_H

#include "plugin/registry.h"

/* What a check sees. */
struct check_run {
    struct registry *registry;
    const struct mohs_host *host;
    const struct item *it;
    void *user;       /* a kind's own, for its create_fn */
    char detail[400]; /* one line about the result; empty is fine */
};

struct check {
    const char *name;
    /* False: failed, and detail says why. */
    bool (*run)(struct check_run *c);
};

/* The checks by kind; each ends with name NULL. */
extern const struct check attack_checks[], corruption_checks[], metric_checks[],
    model_checks[], text_checks[];
/* What models' checks and metrics' say of pairs (ext/pair_scores.h). */
bool check_model_pairs(struct check_run *c);
/* mohs.graph/1 and the mohs.weights/1 of the model checks. */
extern const struct registry_extension check_extensions[];

/* Sets the detail; returns false and true. */
MOHS_PRINTF(2, 3)
bool check_fail(struct check_run *c, const char *fmt, ...);
MOHS_PRINTF(2, 3)
bool check_note(struct check_run *c, const char *fmt, ...);
/* False with a detail unless st is a success. "what: text". */
bool check_status(struct check_run *c, const char *what, mohs_status st,
                  const struct mohs_error *err);
/* A failure must come with one line of text. */
bool check_refusal(struct check_run *c, const char *what, mohs_status st,
                   const struct mohs_error *err);

/* An instance of the item. The struct that create() saw is overwritten as
 * soon as it returns, so that one who keeps a pointer to it is found out. */
struct instance {
    void *self, *params, *seen;
};
typedef mohs_status (*create_fn)(struct check_run *c, const void *params,
                                 void **self, struct mohs_error *err);
/* Takes params, also when it fails. */
mohs_status instance_make(struct check_run *c, void *params, create_fn create,
                          struct instance *out, struct mohs_error *err);
/* Frees what instance_make() holds, params included; self is destroyed. */
void instance_free(struct check_run *c, struct instance *in);
/* Tries create() with every parameter at its ends and choices; each must
 * work or be refused with a text. Takes nothing. */
bool check_params(struct check_run *c, create_fn create,
                  void (*destroy)(struct check_run *c, void *self));

/* ---- the analytic victim (check_victim.c) ---- */
enum { MOCK_IMAGE, MOCK_TEXT };
/* n samples from number `first` on: embeddings are the normalised sum of a
 * fixed vector and linear maps of the sites. NULL without memory. */
struct mohs_victim *mock_new(int side, uint32_t first, uint32_t n);
void mock_free(struct mohs_victim *v);
/* Mean cross-entropy of the positives under the deltas as they are. */
double mock_loss(struct mohs_victim *v);
/* Images and their captions, once these were asked for; NULL before. */
struct mohs_victim *mock_captions(struct mohs_victim *v);
/* Minus the mean cosine of images and their captions, as both are. */
double mock_distance(struct mohs_victim *v);
/* The text of a sample that is one, as it is or as it was. */
const char *mock_text(struct mohs_victim *v, uint32_t i, bool clean);
/* Opened sites; NULL past the end. */
const struct mohs_site *mock_site(struct mohs_victim *v, size_t i);

#endif
