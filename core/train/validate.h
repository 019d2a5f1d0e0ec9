/* SPDX-License-Identifier: MIT */
/* R@1 on held-out pairs while training goes on. */
#ifndef CORE_VALIDATE_H
#define CORE_VALIDATE_H

#include "train/pictures.h"
#include "train/step.h"

/* The first images of o->validate, each with its first caption. */
struct holdout {
    const struct dataset *data;
    size_t n;
    struct pictures *pictures;
    struct captions captions;
    struct step_graph graph; /* STEP_EMBED, made on first use */
    struct batch batch;
};
/* Does nothing without o->validate. */
mohs_status holdout_init(struct holdout *h, const struct train_options *o,
                         const struct preprocess *p, const struct tokenizer *t,
                         uint32_t context, struct pool *pool, struct mohs_error *err);
void holdout_free(struct holdout *h);
/* R@1 in % with parameters p. A collapsed model scores chance: of equal
 * similarities each is as likely the first. */
mohs_status holdout_measure(struct holdout *h, const struct stepper *s, struct params *p,
                            double *i2t, double *t2i, struct mohs_error *err);

#endif
