/* SPDX-License-Identifier: MIT */
/*
 * The memory of one attack at its last consistent point, in a file that a
 * killed process leaves behind (ext/attack_state.h says what attacks see).
 *
 * Each frame has two places in the file. A point writes those blocks of the
 * changed frames whose content the older place lacks, then one of two
 * headers that says which places belong together, with sums over all of it:
 * whatever the moment of death, one header is whole. Nothing is synced to the
 * disk: the page cache outlives a process, and the sums find what a power
 * cut took.
 */
#ifndef CORE_EVAL_STATE_H
#define CORE_EVAL_STATE_H

#include <mohs/ext/attack_state.h>

#include "base/base.h"

struct state;

/* The state at `path`, made when there is none or when its tag differs; NULL
 * when another process has it or it cannot be made: then nothing is kept. */
struct state *state_open(const char *path, struct hash128 tag);
/* done: the file is not needed any more. NULL is fine. */
void state_close(struct state *s, bool done);

/* As in mohs_attack_state_api. Frame 0 is written at every point. */
int32_t state_enter(struct state *s, const char *name,
                    const struct mohs_state_part *part, uint32_t n,
                    struct mohs_error *err);
void state_leave(struct state *s);
mohs_status state_point(struct state *s, uint32_t n, const uint32_t *sample,
                        struct mohs_error *err);

/* A number that is written at once and outlives what is not yet a point. */
uint64_t state_tally(const struct state *s);
void state_tally_set(struct state *s, uint64_t n);
/* Seconds spent on writing. */
double state_cost_s(const struct state *s);

#endif
