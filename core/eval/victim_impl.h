/* SPDX-License-Identifier: MIT */
/* A victim's inside: what victim.c (sites, passes) and victim_text.c (other
 * texts) share. */
#ifndef CORE_VICTIM_IMPL_H
#define CORE_VICTIM_IMPL_H

#include <mohs/ext/victim_raw.h>

#include "eval/victim.h"

enum { SITES_MAX = 16 };

/* The graph of the current sites, for one output and with or without
 * gradient. */
struct engine {
    struct tower_graph t;
    struct tensor *out, *seed;
    struct tensor *delta[SITES_MAX], *grad[SITES_MAX];
    uint32_t columns;
    uint32_t output;
    bool gradient;
    size_t n_sites;
};

struct victim {
    struct mohs_victim pub;
    struct victim_options o;
    struct mohs_site site[SITES_MAX];
    char *name[SITES_MAX];
    size_t n_sites;
    uint32_t context;
    int32_t *ids, *last; /* texts, as they are now */
    float *embed;
    struct engine engine;
    uint64_t forward, backward;
    struct mohs_victim_text text;
    struct mohs_victim_raw raw; /* clean NULL: not asked for yet */
    char **now; /* n; NULL: the clean text */
    struct mohs_buffer *candidate; /* of trials, on the device */
};

static inline struct victim *victim_of(const struct mohs_victim *v)
{
    return (struct victim *)v->ctx;
}

/* The table of "mohs.victim_text/1". */
const struct mohs_victim_text *victim_text_api(struct victim *v);
void victim_text_drop(struct victim *v);
/* The counts of edits; zero for a text that is as it was. */
void victim_text_audit(struct victim *v, uint32_t sample, struct victim_audit *out);

#endif
