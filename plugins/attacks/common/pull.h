/* SPDX-License-Identifier: MIT */
/*
 * Losses against given embeddings, of L2-normalised embeddings e: what joint
 * attacks increase. A sum of terms; each with its own rows of references.
 */
#ifndef ATTACKS_PULL_H
#define ATTACKS_PULL_H

#include <mohs/attack.h>

enum {
    PULL_COSINE = 0, /* -<e, r> */
    PULL_KL          /* KL(softmax(r) || softmax(e)): 0 and flat at e = r */
};

struct pull_term {
    int kind;
    double weight;
    const float *ref;      /* rows of dim floats */
    const uint32_t *first; /* sample i's rows are first[i] .. first[i+1]; NULL:
                              row i */
};

enum { PULL_TERMS = 2 };
struct pull {
    struct pull_term term[PULL_TERMS];
    uint32_t n_terms;
};

/* A mohs_loss_fn of MOHS_OUT_EMBED; user is the pull. */
mohs_status pull_on_outputs(void *user, uint32_t n, const uint32_t *sample, uint32_t m,
                            const float *out, float *loss, float *dout,
                            struct mohs_error *err);

/* Embeddings of all samples as they are: rows[n * dim]. */
mohs_status embed_all(struct mohs_victim *v, float *rows, struct mohs_error *err);

#endif
