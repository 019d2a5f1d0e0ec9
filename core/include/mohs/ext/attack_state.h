/* SPDX-License-Identifier: MIT */
/*
 * "mohs.attack_state/1": what lets an attack go on where a killed process
 * was. Asked of a victim: victim->get_extension(victim, id); NULL where the
 * host keeps nothing, and the attack then just runs.
 *
 * An attack names the memory its work consists of, in frames that follow its
 * calls, and says after each step that this memory is consistent:
 *
 *     enter(v, "climb", part, n)   1: the parts were filled by the host; the
 *     for (; t < steps; t++) {        loop goes on at the t that it finds
 *         ...
 *         point(v, 0, NULL)        after t has moved on
 *     }
 *     leave(v)
 *
 * The same calls in the same order follow a resumption as went before it, so
 * an outer frame's counters lead back to the inner frame. While an inner
 * frame is open the parts of the outer ones stay as they are. Entering a
 * frame is itself a point of the outer ones: what comes up to there is not
 * done again. What was passed since the last point is.
 */
#ifndef MOHS_EXT_ATTACK_STATE_H
#define MOHS_EXT_ATTACK_STATE_H

#include <mohs/ext/victim.h>

#define MOHS_EXT_ATTACK_STATE "mohs.attack_state/1"

enum { MOHS_STATE_FRAMES = 8, MOHS_STATE_PARTS = 64 };

struct mohs_state_part {
    void *data;       /* stays in place until leave() */
    size_t bytes;     /* the same in every run of the attack on these samples */
    size_t row_bytes; /* > 0: one row a sample of the batch, see point() */
};

struct mohs_attack_state_api {
    uint32_t size;
    /* Opens a frame inside the last one. `part` is copied. 1: filled from
     * what was kept; 0: start afresh, the parts are untouched. At most
     * MOHS_STATE_FRAMES deep, MOHS_STATE_PARTS each.
     * [same thread as run, as all of these] */
    int32_t (*enter)(struct mohs_victim *v, const char *name,
                     const struct mohs_state_part *part, uint32_t n,
                     struct mohs_error *err);
    /* The last frame ends; in every case, errors included. */
    void (*leave)(struct mohs_victim *v);
    /* The parts of the last frame are consistent. Of parts with rows only
     * those of sample[0..n) have changed since its last point; NULL: any. */
    mohs_status (*point)(struct mohs_victim *v, uint32_t n,
                         const uint32_t *sample, struct mohs_error *err);
};

#endif
