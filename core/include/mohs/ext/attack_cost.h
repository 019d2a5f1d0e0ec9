/* SPDX-License-Identifier: MIT */
/*
 * "mohs.attack_cost/1": what an attack takes at most, for `mohs run --plan`.
 * From mohs_attack_ops.get_extension(self, id).
 */
#ifndef MOHS_EXT_ATTACK_COST_H
#define MOHS_EXT_ATTACK_COST_H

#include <stdint.h>

#define MOHS_EXT_ATTACK_COST "mohs.attack_cost/1"

struct mohs_attack_cost {
    uint32_t size;
    /* Upper bounds of passes a sample, of a victim with so many candidates:
     * what run() takes when nothing ends early. [any thread] */
    void (*passes)(void *self, uint32_t n_candidates, uint64_t *forward,
                   uint64_t *backward);
};

#endif
