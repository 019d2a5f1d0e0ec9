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

/* A table that plugins find under an id; both outlive the registry. */
struct registry_extension {
    const char *id; /* NULL ends a list */
    const void *table;
};

/* What plugins reach through the host's extensions. The device is opened on
 * the first query that needs it, with `device`, which is copied. */
struct registry_options {
    const char *device;             /* for compute_open; NULL default */
    const char *const *plugin_dirs; /* --plugin-dir, NULL-terminated, or NULL */
    /* Tables of rooms above this one (mohs.graph/1, mohs.weights/1), there
     * before any plugin's init(); NULL: none. */
    const struct registry_extension *extensions;
};

/*
 * Scans the built-in directory (of the build tree when the program runs from
 * one, else the installed one), --plugin-dir, MOHS_PLUGIN_PATH (colons) and
 * XDG_DATA_HOME/mohs/plugins, three levels deep; never the working directory
 * by itself. A bad plugin gives one warning line and is skipped; of two items
 * with one id the first found stays, so a built-in always wins. Only a
 * --plugin-dir that does not exist is an error (it may be a file). [main]
 */
mohs_status registry_open(const struct registry_options *o,
                          struct registry **out, struct mohs_error *err);
/* Loads one file and nothing else; a bad plugin is an error. [main] */
mohs_status registry_open_file(const struct registry_options *o,
                               const char *path, struct registry **out,
                               struct mohs_error *err);
void registry_close(struct registry *r); /* NULL is fine */
struct mohs_host *registry_host(struct registry *r);
/* The device, opened on first use. */
mohs_status registry_compute(struct registry *r, struct compute **out,
                             struct mohs_error *err);
/* Offers or replaces a table after opening. At most 16. */
void registry_extend(struct registry *r, const char *id, const void *table);
/* True once a plugin has asked for mohs.compute/1 since the last call with
 * clear: an item that does so in create() must be run on the main thread. */
bool registry_compute_asked(struct registry *r, bool clear);

struct item {
    const struct mohs_item *item;
    const struct mohs_plugin *plugin;
    const char *path; /* of the shared object */
    const char *hash; /* of the shared object's bytes, hex */
};
/* i-th item of a kind (MOHS_KIND_*), in id order; NULL past the end. */
const struct item *registry_item(struct registry *r, const char *kind,
                                 size_t i);
/* By id; the error lists near names and, when a plugin that failed to load
 * has that file name, why. */
mohs_status registry_find(struct registry *r, const char *kind, const char *id,
                          const struct item **out, struct mohs_error *err);

/* What was searched and what did not load, in the order met; NULL (false)
 * past the end. */
const char *registry_dir(struct registry *r, size_t i);
bool registry_failure(struct registry *r, size_t i, const char **path,
                      const char **why);
size_t registry_plugin_count(struct registry *r);

/* "corruption" for MOHS_KIND_CORRUPTION and so on; NULL when unknown. */
const char *kind_word(const char *kind);
/* MOHS_KIND_* from "corruption" or "corruptions"; NULL when unknown. */
const char *kind_from_word(const char *word);

/* Where an installed path lies now: the configured one, moved along when the
 * program was (DESTDIR, a copied tree). Fresh. */
char *install_path(const char *configured);
/* The top of the build tree this program runs from, or NULL. Borrowed. */
const char *build_tree(void);

/* Directories that hold shipped files (recipes under scripts/lua/recipes,
 * share): MOHS_DATA_DIR, the source tree of a build tree, the installed one;
 * NULL past the end. Fresh. */
char *data_dir(size_t i);

/* The seed of an operation: the run's seed, the item's id and the severity
 * (0 for what has none). `mohs corrupt` and recipes share this definition. */
static inline uint64_t op_seed(uint64_t run_seed, const char *id,
                               uint32_t severity)
{
    return mohs_rng_fork(mohs_rng_fork(run_seed, hash_str64(id)), severity);
}

/* ---- parameters ---- */
/* i-th row of the item's table, by its own stride; NULL past the end. */
const struct mohs_param *item_param(const struct item *it, size_t i);
bool param_is_string(const struct mohs_param *p); /* holds a const char * */
/* A parameter struct filled with defaults. Free with item_params_free. */
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
/* The value of string parameter `name`, of params; NULL when there is none. */
const char *item_param_string(const struct item *it, const void *params,
                              const char *name);
/* Appends the value of parameter p as text that set_text takes back. */
void item_param_text(const struct mohs_param *p, const void *params,
                     struct str *out);
/* Appends "name=value,name=value" in table order: part of cache keys,
 * results and labels. all: also values equal to the default. */
void item_params_text(const struct item *it, const void *params, bool all,
                      struct str *out);
/* Names, types, values and the content of files that are named. */
void item_params_hash(const struct item *it, const void *params,
                      struct hasher *h);
/* Of the content of the files alone; false: it names none. */
bool item_files_hash(const struct item *it, const void *params,
                     struct hash128 *out);

/* ---- scratch ---- */
/* Frees what plugins took from mohs.scratch/1 on this thread since the last
 * call: called after every plugin call. */
void scratch_reset(void);

/* ---- attacks ---- */
/* What attack `self` offers under id; NULL. */
const void *attack_extension(const struct mohs_attack_ops *ops, void *self,
                             const char *id);
/* Lets an attack that learns from samples first (mohs.attack_fit/1) learn from
 * those of one victim; nothing for others. */
mohs_status attack_fit_whole(const struct mohs_attack_ops *ops, void *self,
                             struct mohs_victim *v, uint64_t seed,
                             struct mohs_error *err);

/* ---- tools ---- */
/* `mohs plugin check FILE`: prints a verdict per check to stdout, runs each
 * item in a child; MOHS_E_PLUGIN when one fails. */
mohs_status plugin_check(const char *path, const char *device, bool json,
                         struct mohs_error *err);
/* `mohs plugin new KIND NAME`: writes NAME/ with source, Makefile, README. */
mohs_status plugin_new(const char *kind, const char *name,
                       struct mohs_error *err);

#endif
