/* SPDX-License-Identifier: MIT */
/* Attacks that learn from samples first. */
#include "config.h"

#include <mohs/attack.h>

#include "plugin/registry.h"

const void *attack_extension(const struct mohs_attack_ops *ops, void *self,
                             const char *id)
{
    return ops->get_extension ? ops->get_extension(self, id) : NULL;
}

mohs_status attack_fit_whole(const struct mohs_attack_ops *ops, void *self,
                             struct mohs_victim *v, uint64_t seed,
                             struct mohs_error *err)
{
    const struct mohs_attack_fit *f = attack_extension(ops, self, MOHS_EXT_ATTACK_FIT);
    if (!f)
        return MOHS_OK;
    RET_IF_ERR(f->begin(self, seed, err));
    for (uint32_t e = 0; e < f->epochs(self); e++)
        RET_IF_ERR(f->chunk(self, v, err));
    return MOHS_OK;
}
