/* SPDX-License-Identifier: MIT */
/* mohs run: a recipe; mohs lua: the same state, interactively. */
#include "config.h"

#include "cli/cli.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/session.h"
#include "lua/lua_host.h"

enum { OPT_RESULTS = 256, OPT_SEED, OPT_SHARD, OPT_PLAN, OPT_MEMORY, OPT_BATCH,
       OPT_WORKERS, OPT_CACHE, OPT_NO_CACHE, OPT_BOOTSTRAP, OPT_UNSAFE };

static const struct cli_option options[] = {
    { "results", OPT_RESULTS, "FILE", "results file (RECIPE.results.db)" },
    { "seed", OPT_SEED, "N", "seed of everything random (0)" },
    { "shard", OPT_SHARD, "I/N", "only every N-th cell from I on, or auto" },
    { "plan", OPT_PLAN, NULL, "print what would be done, and do nothing" },
    { "memory", OPT_MEMORY, "SIZE", "device memory for one graph (1G)" },
    { "micro-batch", OPT_BATCH, "N", "samples on the device at once" },
    { "workers", OPT_WORKERS, "N", "host threads (one per CPU)" },
    { "cache", OPT_CACHE, "DIR", "embedding cache ($XDG_CACHE_HOME/mohs/rows)" },
    { "no-cache", OPT_NO_CACHE, NULL, "compute everything again" },
    { "bootstrap", OPT_BOOTSTRAP, "N", "resamples behind an interval (1000)" },
    { "unsafe-lua", OPT_UNSAFE, NULL, "open io, os and package to the recipe" },
    { NULL, 0, NULL, NULL },
};

struct run {
    struct eval_options eval;
    struct lua_options lua;
    char *cache, *results;
    bool no_cache;
};

static mohs_status number(struct cli *c, const char *name, const char *v, uint32_t least,
                          uint32_t most, uint32_t *out, struct mohs_error *err)
{
    uint64_t x;
    RET_IF_ERR(opt_u64(c, name, v, least, most, &x, err));
    *out = (uint32_t)x;
    return MOHS_OK;
}

static mohs_status read_option(struct cli *c, struct run *r, int code, const char *v,
                               struct mohs_error *err)
{
    struct eval_options *e = &r->eval;
    switch (code) {
    case OPT_RESULTS: r->results = xstrdup(v); return MOHS_OK;
    case OPT_SEED: return opt_u64(c, "seed", v, 0, UINT64_MAX, &e->seed, err);
    case OPT_SHARD: return session_shard(v, &e->shard, &e->n_shards, err);
    case OPT_PLAN: r->lua.plan = true; return MOHS_OK;
    case OPT_MEMORY: return session_bytes(c, "memory", v, &e->memory_bytes, err);
    case OPT_BATCH: return number(c, "micro-batch", v, 1, 65536, &e->micro_batch, err);
    case OPT_WORKERS: return number(c, "workers", v, 1, 64, &e->workers, err);
    case OPT_CACHE: r->cache = xstrdup(v); return MOHS_OK;
    case OPT_NO_CACHE: r->no_cache = true; return MOHS_OK;
    case OPT_BOOTSTRAP: return number(c, "bootstrap", v, 0, 1000000, &e->bootstrap, err);
    default: r->lua.unsafe = true; return MOHS_OK;
    }
}

static mohs_status read_options(struct cli *c, struct run *r, struct mohs_error *err)
{
    const char *v;
    int code;
    r->eval.bootstrap = 1000;
    r->eval.thumbnails = 3;
    r->eval.n_shards = 1;
    while ((code = opt_next(c, &v, err)) > 0)
        RET_IF_ERR(read_option(c, r, code, v, err));
    r->lua.json = c->json;
    return code;
}

static void run_free(struct run *r)
{
    free(r->cache);
    free(r->results);
}

static void default_paths(struct run *r, const char *recipe)
{
    if (!r->results) {
        char *stem = recipe ? path_stem(recipe) : xstrdup("mohs");
        r->results = xasprintf("%s.results.db", stem);
        free(stem);
    }
    if (!r->cache)
        r->cache = path_join(cache_dir(), "rows");
    r->eval.results = r->results;
    r->eval.cache = r->no_cache ? NULL : r->cache;
}

static mohs_status run_recipe(struct cli *c, struct mohs_error *err)
{
    struct run r = { .results = NULL };
    struct registry *reg;
    struct eval *e = NULL;
    struct lua_host *h = NULL;
    char *path = NULL;
    mohs_status st;
    OUT_IF_ERR(read_options(c, &r, err));
    OUT_IF_ERR(opt_count(c, 1, SIZE_MAX, err));
    path = lua_find_recipe(c->args[0]);
    if (!path) {
        st = mohs_fail(err, MOHS_E_IO, "%s: no such recipe; see `mohs list recipes`",
                       c->args[0]);
        goto out;
    }
    default_paths(&r, path);
    OUT_IF_ERR(cli_registry(c, &reg, err));
    OUT_IF_ERR(eval_open(reg, &r.eval, &e, err));
    const char **args = xcalloc(c->n_args, sizeof *args);
    for (size_t i = 1; i < c->n_args; i++)
        args[i - 1] = c->args[i];
    r.lua.args = args;
    r.lua.recipe = path;
    st = lua_host_new(reg, e, &r.eval, &r.lua, &h, err);
    free(args);
    if (st >= 0)
        st = lua_host_run(h, err);
out:
    lua_host_free(h);
    eval_close(e);
    free(path);
    run_free(&r);
    return st;
}

const struct cli_command command_run = {
    .name = "run",
    .summary = "run a recipe",
    .usage = "RECIPE [key=value ...] [options]",
    .options = options,
    .details = "RECIPE is a Lua file or the name of a shipped one (`mohs list recipes`).\n"
               "A run that was killed goes on where it was; a second run computes\n"
               "nothing that the results file or the cache already has.",
    .run = run_recipe,
};

static mohs_status run_repl(struct cli *c, struct mohs_error *err)
{
    struct run r = { .results = NULL };
    struct registry *reg;
    struct eval *e = NULL;
    struct lua_host *h = NULL;
    char *line = NULL;
    size_t cap = 0;
    mohs_status st;
    OUT_IF_ERR(read_options(c, &r, err));
    OUT_IF_ERR(opt_count(c, 0, 0, err));
    default_paths(&r, NULL);
    OUT_IF_ERR(cli_registry(c, &reg, err));
    OUT_IF_ERR(eval_open(reg, &r.eval, &e, err));
    OUT_IF_ERR(lua_host_new(reg, e, &r.eval, &r.lua, &h, err));
    OUT_IF_ERR(lua_host_chunk(h, "mohs = require 'mohs'", err));
    bool live = isatty(0);
    for (;;) {
        if (live) {
            fputs("> ", stderr);
            fflush(stderr);
        }
        if (getline(&line, &cap, stdin) < 0)
            break;
        struct mohs_error one = MOHS_ERROR_INIT;
        st = lua_host_chunk(h, line, &one);
        if (st < 0 && !live) {
            *err = one;
            goto out;
        }
        if (st < 0)
            log_error("%s", one.text);
        fflush(stdout);
    }
    st = MOHS_OK;
out:
    free(line);
    lua_host_free(h);
    eval_close(e);
    run_free(&r);
    return st;
}

const struct cli_command command_lua = {
    .name = "lua",
    .summary = "an interactive recipe: Lua with mohs loaded",
    .usage = "[options]",
    .options = options,
    .details = "Reads lines from standard input; an expression prints its value.",
    .run = run_repl,
};
