/* SPDX-License-Identifier: MIT */
/* What the files of the plugin room share and nobody else sees. */
#ifndef CORE_PLUGIN_IMPL_H
#define CORE_PLUGIN_IMPL_H

#include <pthread.h>
#include <stdatomic.h>

#include "plugin/registry.h"

enum { KIND_COUNT = 4, EXTENSIONS_MAX = 16 };

/* One shared object that loaded. */
struct module {
    char *path;
    char hash[33];
    const struct mohs_plugin *plugin;
};

struct failure {
    char *path, *why;
};

struct registry {
    struct mohs_host host;
    struct module **module;
    size_t n_modules;
    struct item *item; /* by kind, then id */
    size_t n_items, first[KIND_COUNT + 1];
    struct failure *failure;
    size_t n_failures;
    char **dir;
    size_t n_dirs;
    char **seen; /* real paths, loaded or not */
    size_t n_seen;

    pthread_mutex_t lock; /* of what follows */
    char *device;
    struct compute *compute;
    bool compute_tried;
    atomic_bool compute_asked;
    struct mohs_error compute_error;
    bool loading; /* inside init(): queries must not open the device */
    struct registry_extension extension[EXTENSIONS_MAX];
    size_t n_extensions;
};

/* ---- loader.c ---- */
/* Gets libltdl going, once a process: plugins stay loaded to its end, and
 * lt_dlexit() would lose track of them. */
mohs_status loader_start(struct mohs_error *err);
/* Opens the shared object and returns its checked plugin; init() has not
 * been called. Never unloaded after success. */
mohs_status module_open(const char *path, const struct mohs_plugin **out,
                        struct mohs_error *err);

/* ---- validate.c ---- */
/* Index of a MOHS_KIND_*, or -1. */
int kind_index(const char *kind);
const char *kind_name(int index);
/* Everything the rules of item.h and param.h say about a plugin's tables. */
mohs_status plugin_validate(const struct mohs_plugin *p,
                            struct mohs_error *err);
/* True for [a-z][a-z0-9_]* of at most 63 bytes. */
bool id_valid(const char *s);

/* ---- params.c ---- */
/* "1,5,10" to integers; false when it is not such a list. */
bool ints_parse(const char *text, struct mohs_ints *out);

/* ---- search.c ---- */
/* Calls fn for every shared object under the search directories, in order;
 * fills r->dir. */
mohs_status search_plugins(struct registry *r, const char *const *plugin_dirs,
                           void (*fn)(struct registry *r, const char *path),
                           struct mohs_error *err);

/* ---- host.c ---- */
void host_init(struct registry *r);

#endif
