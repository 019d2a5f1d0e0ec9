/* SPDX-License-Identifier: MIT */
/*
 * What several attacks in a row know of each sample: whether a wrong candidate
 * already leads, and the perturbation that did it; of a sample that still
 * stands, the perturbation that came nearest.
 */
#ifndef ATTACKS_STANDING_H
#define ATTACKS_STANDING_H

#include "loss.h"
#include "resume.h"
#include "sites.h"

struct standing {
    struct sites *s;
    float *kept[SITES_MAX];
    double *best;       /* margin (best wrong - best right) of kept */
    uint32_t *sample, n; /* those that stand */
    uint32_t *scratch;
    struct loss margin;
    int judged; /* delta 0 was */
    /* Where the attacks in a row are: which, its run, whether that has aimed; a target
     * of each sample, and the nearest that fools, for those that look for it. */
    uint32_t phase, run, aimed;
    uint32_t *target;
    double *least;
    float *nearest[SITES_MAX];
    struct resume resume;
};

/* Clean samples that are wrong already do not stand; delta 0 is kept. Opens a frame
 * of all that is here, which standing_free() closes. */
mohs_status standing_new(struct standing *t, struct sites *s, const char *what,
                         struct mohs_error *err);
void standing_free(struct standing *t);
/* Judges the deltas as they are of those that stand. Those whose budget is spent
 * do not stand any more. */
mohs_status standing_judge(struct standing *t, struct mohs_error *err);
/* All that is here is consistent: an attack that was killed goes on from here. */
mohs_status standing_point(struct standing *t, struct mohs_error *err);
/* What was kept, to the deltas. */
void standing_restore(struct standing *t);

#endif
