/* SPDX-License-Identifier: MIT */
/*
 * Recipes: a sandboxed Lua 5.4 state whose module `mohs` makes models, data
 * and cells for one eval. Lua sees base, string, table, math, utf8 and
 * coroutine; memory is capped, SIGINT stops it.
 */
#ifndef CORE_LUA_HOST_H
#define CORE_LUA_HOST_H

#include "eval/eval.h"

struct lua_host;

struct lua_options {
    const char *recipe; /* path of the recipe, NULL: an interactive state */
    const char *const *args; /* "key=value", NULL-terminated, or NULL */
    bool plan;   /* queue everything, run nothing */
    bool json;   /* plan and tables as JSON */
    bool unsafe; /* opens io, os, package, debug as well */
    uint64_t memory_bytes; /* cap of the Lua heap; 0: 512 MiB */
};

/* e is borrowed and must outlive the host. */
mohs_status lua_host_new(struct registry *r, struct eval *e,
                         const struct eval_options *eo,
                         const struct lua_options *o, struct lua_host **out,
                         struct mohs_error *err);
void lua_host_free(struct lua_host *h);
/* Runs the recipe, then what it queued: cells, then reports (or prints the
 * plan). The error text starts with file:line. */
mohs_status lua_host_run(struct lua_host *h, struct mohs_error *err);
/* Runs one chunk of text; prints the values of an expression. For the REPL. */
mohs_status lua_host_chunk(struct lua_host *h, const char *text,
                           struct mohs_error *err);

/* Finds a file as recipes name it: as given, beside the recipe, in the
 * directories of data_dir(). Fresh, or NULL. */
char *lua_find(const char *recipe, const char *path);
/* A recipe by path or by bare name ("quickstart"). Fresh, or NULL. */
char *lua_find_recipe(const char *name);

#endif
