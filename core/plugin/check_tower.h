/* SPDX-License-Identifier: MIT */
/*
 * What the checks of models stand on: a model of a tiny configuration with
 * random parameters, and its towers as graphs on the device. Functions that
 * return false have said why.
 */
#ifndef CORE_CHECK_TOWER_H
#define CORE_CHECK_TOWER_H

#include "graph/graph.h"
#include "plugin/check_weights.h"

enum { CHECK_BATCH = 3 };

struct model {
    struct mohs_weights w;
    struct instance in;
    const struct mohs_model_info *info;
    struct params *params;
    struct compute *compute;
};
/* Creates from the configuration alone, lists the parameters, and creates
 * again with them in the file, as training and evaluation do. */
bool model_open(struct check_run *c, struct model *m);
/* Creates once more, from what m->w holds by now. */
bool model_again(struct check_run *c, struct model *m);
/* Puts the parameters on the device. */
bool model_device(struct check_run *c, struct model *m);
/* Also of a model that did not open. */
void model_close(struct check_run *c, struct model *m);
/* create() of instance_make() and its counterpart. */
mohs_status model_create(struct check_run *c, const void *params, void **self,
                         struct mohs_error *err);
void model_destroy(struct check_run *c, void *self);

struct tower {
    struct graph *g;
    struct tensor *pixels, *tokens, *last, *out;
    uint32_t n, dim, context;
};
/* n samples; of texts, `context` tokens. perturb: a tap that takes a delta, or
 * NULL. t->g is to be freed in any case. */
bool tower_build(struct check_run *c, struct model *m, uint32_t which,
                 uint32_t n, uint32_t context, const char *perturb,
                 struct tower *t);
bool tower_plan(struct check_run *c, struct tower *t);
/* Sample i of a batch is number which[i] of an endless series, pixels moved by
 * step * shift where that is not NULL. */
bool tower_feed(struct check_run *c, struct tower *t, const uint32_t *which,
                const float *shift, double step);
/* out[n * dim] */
bool tower_run(struct check_run *c, struct tower *t, float *out);

#endif
