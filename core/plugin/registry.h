/* SPDX-License-Identifier: MIT */
/*
 * Loading plugins (libltdl lives here only), the table of items, parameter
 * tables, the host that plugins see, and the conformance checker.
 */
#ifndef CORE_REGISTRY_H
#define CORE_REGISTRY_H

#include <mohs/plugin.h>

#include "base/base.h"
#include "compute/compute.h"

struct registry;

/* What plugins reach through the host's extensions. compute may be NULL and
 * set later: it is opened on the first query that needs it, with `device`. */
struct registry_options {
    const char *device;          /* for compute_open; NULL default */
    const char *const *plugin_dirs; /* --plugin-dir, NULL-terminated, or NULL */
};

/* Scans --plugin-dir, MOHS_PLUGIN_PATH, XDG_DATA_HOME/mohs/plugins, then the
 * installed plugin directory. A bad plugin gives one warning line and is
 * skipped. */
mohs_status registry_open(const struct registry_options *o,
                          struct registry **out, struct mohs_error *err);
void registry_close(struct registry *r);
struct mohs_host *registry_host(struct registry *r);
/* The device, opened on first use. */
mohs_status registry_compute(struct registry *r, struct compute **out,
                             struct mohs_error *err);

struct item {
    const struct mohs_item *item;
    const struct mohs_plugin *plugin;
    const char *path;  /* of the shared object */
    const char *hash;  /* of the shared object's bytes, hex */
};
/* i-th item of a kind (MOHS_KIND_*), in id order; NULL past the end. */
const struct item *registry_item(struct registry *r, const char *kind, size_t i);
/* By id; the error lists near names and, when a plugin that failed to load
 * has that file name, why. */
mohs_status registry_find(struct registry *r, const char *kind, const char *id,
                          const struct item **out, struct mohs_error *err);

/* ---- parameters ---- */
/* A parameter struct filled with defaults. Free with params_struct_free. */
void *item_params_new(const struct item *it);
void item_params_free(const struct item *it, void *params);
/* Sets one value from text ("4/255" is a valid number) or a number, checked
 * against the table: "gaussian_noise: no parameter 'sgima' (did you mean
 * 'sigma'?)". */
mohs_status item_param_set_text(const struct item *it, void *params,
                                const char *name, const char *text,
                                struct mohs_error *err);
mohs_status item_param_set_number(const struct item *it, void *params,
                                  const char *name, double x,
                                  struct mohs_error *err);
mohs_status item_param_set_ints(const struct item *it, void *params,
                                const char *name, const int32_t *v, size_t n,
                                struct mohs_error *err);
/* Appends "name=value,name=value" in table order: part of cache keys,
 * results and labels. all: also values equal to the default. */
void item_params_text(const struct item *it, const void *params, bool all,
                      struct str *out);
void item_params_hash(const struct item *it, const void *params,
                      struct hasher *h);

/* ---- scratch ---- */
/* Frees what plugins took from mohs.scratch/1 on this thread since the last
 * call: called after every plugin call. */
void scratch_reset(void);

/* ---- tools ---- */
/* `mohs plugin check FILE`: prints a verdict per check to stdout, runs each
 * item in a child; MOHS_E_PLUGIN when one fails. */
mohs_status plugin_check(const char *path, const char *device, bool json,
                         struct mohs_error *err);
/* `mohs plugin new KIND NAME`: writes NAME/ with source, Makefile, README. */
mohs_status plugin_new(const char *kind, const char *name, struct mohs_error *err);

#endif
