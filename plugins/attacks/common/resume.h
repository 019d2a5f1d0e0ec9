/* SPDX-License-Identifier: MIT */
/*
 * What an attack does so that it can go on after its process was killed:
 * mohs/ext/attack_state.h, or nothing where the host keeps nothing.
 */
#ifndef ATTACKS_RESUME_H
#define ATTACKS_RESUME_H

#include <mohs/ext/attack_state.h>

#include "sites.h"

struct resume {
    const struct mohs_attack_state_api *api; /* NULL: nothing is kept */
    struct mohs_victim *v;
    struct mohs_state_part part[MOHS_STATE_PARTS];
    uint32_t n;
    int entered;
};

void resume_init(struct resume *r, struct mohs_victim *v);
/* What the frame's work consists of; all before resume_enter(). */
void resume_part(struct resume *r, void *data, size_t bytes);
void resume_rows(struct resume *r, void *data, size_t row_bytes); /* one a sample */
void resume_kept(struct resume *r, const struct sites *s, float *const kept[SITES_MAX]);
void resume_deltas(struct resume *r, const struct sites *s);

/* 1: filled, go on; 0: start. */
int32_t resume_enter(struct resume *r, const char *name, struct mohs_error *err);
/* sample NULL: rows of any sample may have changed. */
mohs_status resume_point(struct resume *r, uint32_t n, const uint32_t *sample,
                         struct mohs_error *err);
void resume_leave(struct resume *r); /* also when it was never entered */

#endif
