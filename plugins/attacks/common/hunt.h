/* SPDX-License-Identifier: MIT */
/*
 * Searching for a text that makes a loss larger: rounds in which every sample
 * tries some texts and takes the best that beats what it has. What the three
 * ways to edit a text (text_edits.h) share.
 */
#ifndef ATTACKS_HUNT_H
#define ATTACKS_HUNT_H

#include <mohs/attack.h>

#include "resume.h"
#include "text_rows.h"

/* The loss that is increased: of outputs of a pass over texts. */
struct aim {
    uint32_t output; /* MOHS_OUT_* */
    mohs_loss_fn fn;
    void *user;
};

struct hunt {
    const char *what; /* the attack's id, for errors */
    struct mohs_victim *v; /* its samples are texts */
    const struct mohs_victim_text *t;
    struct aim aim;
    char **now;   /* n: the text so far; NULL: the clean one */
    float *best;  /* n: its loss */
    int32_t *took; /* n: which trial of the last round was taken; -1: none */
    uint8_t *done; /* n: tries nothing any more; the search's to set */
    /* Trials of the last round: those of sample i are first[i] .. first[i+1]. */
    uint32_t *first, n_trials, room;
    uint32_t *sample;
    char **text;
    float *loss;
    // what a killed hunt leaves
    struct resume resume;
    struct text_rows rows; /* now */
    uint32_t begun;        /* best is known */
};

/* MOHS_E_UNSUPPORTED when the victim's texts cannot be replaced. keep: after a
 * kill it goes on where it was; edits: as many of a text at most. */
mohs_status hunt_open(struct hunt *h, const char *what, struct mohs_victim *v,
                      const struct aim *aim, uint32_t edits, int keep,
                      struct mohs_error *err);
/* The clean texts and their losses, or those that a killed hunt had. Before it
 * the search adds what it needs to go on: resume_part(&h->resume, ...). */
mohs_status hunt_begin(struct hunt *h, struct mohs_error *err);
/* All that was added is consistent. */
mohs_status hunt_point(struct hunt *h, struct mohs_error *err);
/* Hands the texts found to the victim. */
mohs_status hunt_finish(struct hunt *h, struct mohs_error *err);
void hunt_free(struct hunt *h);

const char *hunt_text(const struct hunt *h, uint32_t i);
/* From a propose function: one more trial, n bytes at s (copied). */
mohs_status hunt_try(struct hunt *h, uint32_t i, const char *s, size_t n,
                     struct mohs_error *err);
typedef mohs_status (*propose_fn)(struct hunt *h, uint32_t i, void *user,
                                  struct mohs_error *err);
/* Has every sample that is not done propose trials and fills loss. */
mohs_status hunt_probe(struct hunt *h, propose_fn propose, void *user,
                       struct mohs_error *err);
/* The same, and each sample takes its best trial, the first of equals, if that
 * is better than what it has. */
mohs_status hunt_round(struct hunt *h, propose_fn propose, void *user,
                       struct mohs_error *err);
/* Samples that are not done, in order: fills active[0..n), returns how many. */
uint32_t hunt_active(const struct hunt *h, uint32_t *active);

/* Indices 0 .. n - 1 by falling value, equal ones in order. */
void rank_falling(const float *value, uint32_t n, uint32_t *order);

#endif
