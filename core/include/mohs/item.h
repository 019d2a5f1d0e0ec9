/* SPDX-License-Identifier: MIT */
/* What a plugin offers: items, and the one exported entry point. */
#ifndef MOHS_ITEM_H
#define MOHS_ITEM_H

#include <mohs/error.h>
#include <mohs/host.h>
#include <mohs/param.h>

MOHS_BEGIN_DECLS

#define MOHS_KIND_MODEL "mohs.model/1"           /* struct mohs_model_ops */
#define MOHS_KIND_CORRUPTION "mohs.corruption/1" /* struct mohs_corruption_ops */
#define MOHS_KIND_ATTACK "mohs.attack/1"         /* struct mohs_attack_ops */
#define MOHS_KIND_METRIC "mohs.metric/1"         /* struct mohs_metric_ops */

/* One model family, corruption, attack or metric. Static, immutable. */
struct mohs_item {
    uint32_t size;
    uint32_t param_stride; /* sizeof(struct mohs_param) in the plugin */
    const char *kind;      /* MOHS_KIND_* */
    const char *id;        /* [a-z][a-z0-9_]*, unique within its kind */
    const char *summary;   /* one line */
    const struct mohs_param *params; /* may be NULL when n_params is 0 */
    uint32_t n_params;
    uint32_t params_size; /* sizeof the item's parameter struct */
    const void *ops;      /* by kind */
};

/*
 * One shared object. The host calls, in this order: mohs_plugin_v1(),
 * compares `abi`'s major before anything else, init() if present, then uses
 * the items; exit() once before the program ends if init() succeeded.
 */
struct mohs_plugin {
    uint32_t size;
    uint32_t abi; /* MOHS_ABI as compiled into the plugin */
    const char *id, *name, *version, *license;
    const struct mohs_item *const *items; /* NULL-terminated */
    /* May be NULL. Keep `host` for later queries. [main] */
    mohs_status (*init)(const struct mohs_host *host, struct mohs_error *err);
    /* May be NULL. [main] */
    void (*exit)(void);
};

/* The only symbol a plugin exports. Must not do work. `host_abi` is the
 * host's MOHS_ABI. [main] */
MOHS_EXPORT const struct mohs_plugin *mohs_plugin_v1(uint32_t host_abi);

MOHS_END_DECLS
#endif
