/* SPDX-License-Identifier: MIT */
/*
 * "mohs.victim_raw/1": embeddings as the model gives them, not normalised.
 * Asked of a victim (mohs_victim.get_extension); where it is there, pass()
 * also takes the output MOHS_OUT_RAW.
 */
#ifndef MOHS_EXT_VICTIM_RAW_H
#define MOHS_EXT_VICTIM_RAW_H

#include <mohs/ext/victim.h>

#define MOHS_EXT_VICTIM_RAW "mohs.victim_raw/1"

enum { MOHS_OUT_RAW = 2 /* dim columns */ };

struct mohs_victim_raw {
    uint32_t size;
    /* n * dim: of the samples without perturbation; in training with FARE's
     * loss, of the model at the start. Lives as long as the victim. */
    const float *clean;
};

#endif
