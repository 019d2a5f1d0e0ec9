/* SPDX-License-Identifier: MIT */
/* The item of an attack `name` from its name##_params and name##_ops, whose
 * parameters are a struct params; and the entry point of a plugin. */
#ifndef ATTACKS_ITEM_H
#define ATTACKS_ITEM_H

#include <string.h>

#include <mohs/plugin.h>

#define ATTACK_ITEM(name, text) \
    static const struct mohs_item name##_item = { \
        .size = sizeof(struct mohs_item), \
        .param_stride = sizeof(struct mohs_param), \
        .kind = MOHS_KIND_ATTACK, \
        .id = #name, \
        .summary = text, \
        .params = name##_params, \
        .n_params = sizeof name##_params / sizeof *name##_params, \
        .params_size = sizeof(struct params), \
        .ops = &name##_ops, \
    }

#define ATTACK_OPS(name, flags_, create_, destroy_, run_) \
    static const struct mohs_attack_ops name##_ops = { \
        .size = sizeof name##_ops, \
        .flags = flags_, \
        .create = create_, \
        .destroy = destroy_, \
        .run = run_, \
    }

/* passes_: of mohs_attack_cost. */
#define ATTACK_OPS_COST(name, flags_, create_, destroy_, run_, passes_) \
    static const void *name##_extension(void *self, const char *id) \
    { \
        static const struct mohs_attack_cost cost = { sizeof cost, passes_ }; \
        (void)self; \
        return strcmp(id, MOHS_EXT_ATTACK_COST) ? NULL : &cost; \
    } \
    static const struct mohs_attack_ops name##_ops = { \
        .size = sizeof name##_ops, \
        .flags = flags_, \
        .create = create_, \
        .destroy = destroy_, \
        .run = run_, \
        .get_extension = name##_extension, \
    }

/* The rest are &name_item, ... */
#define ATTACK_PLUGIN(id_, text, ...) \
    static const struct mohs_item *const items[] = { __VA_ARGS__, NULL }; \
    static const struct mohs_plugin plugin = { \
        .size = sizeof plugin, \
        .abi = MOHS_ABI, \
        .id = id_, \
        .name = text, \
        .version = "1.0", \
        .license = "MIT", \
        .items = items, \
    }; \
    const struct mohs_plugin *mohs_plugin_v1(uint32_t host_abi) \
    { \
        (void)host_abi; \
        return &plugin; \
    }

#endif
