/* SPDX-License-Identifier: MIT */
/* mohs run: a recipe; mohs lua: the same state, interactively. */
#include "config.h"

#include "cli/cli.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "cli/session.h"
#include "lua/lua_host.h"
#include "results/results.h"

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
    case OPT_MEMORY: return opt_bytes(c, "memory", v, &e->memory_bytes, err);
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

/* Runs the recipe at `path` with these arguments (NULL-terminated). */
static mohs_status run_file(struct cli *c, struct run *r, const char *path,
                            const char *const *args, struct mohs_error *err)
{
    struct registry *reg;
    struct eval *e = NULL;
    struct lua_host *h = NULL;
    mohs_status st;
    default_paths(r, path);
    r->lua.args = args;
    r->lua.recipe = path;
    OUT_IF_ERR(cli_registry(c, &reg, err));
    OUT_IF_ERR(eval_open(reg, &r->eval, &e, err));
    OUT_IF_ERR(lua_host_new(reg, e, &r->eval, &r->lua, &h, err));
    st = lua_host_run(h, err);
out:
    lua_host_free(h);
    eval_close(e);
    return st;
}

static mohs_status run_recipe(struct cli *c, struct mohs_error *err)
{
    struct run r = { .results = NULL };
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
    const char **args = xcalloc(c->n_args, sizeof *args);
    for (size_t i = 1; i < c->n_args; i++)
        args[i - 1] = c->args[i];
    st = run_file(c, &r, path, args, err);
    free(args);
out:
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

/* ---- rerun ---- */

/* The last run of a results file. */
struct stored {
    char *name, *text, *args;
    uint64_t seed;
};

static mohs_status keep_run(void *user, const struct result_run *run,
                            struct mohs_error *err)
{
    struct stored *s = user;
    (void)err;
    if (!run->recipe_text || !*run->recipe_text)
        return MOHS_OK; // of cells that no recipe made
    free(s->name);
    free(s->text);
    free(s->args);
    s->name = xstrdup(run->recipe_name);
    s->text = xstrdup(run->recipe_text);
    s->args = xstrdup(run->args_json);
    s->seed = run->seed;
    return MOHS_OK;
}

/* {"key": "value"} as key=value words, followed by the extra ones. */
static mohs_status stored_args(const char *json, char **extra, size_t n_extra,
                               char ***out, struct mohs_error *err)
{
    const char *key;
    json_t *v, *root = json_loads(json, 0, NULL);
    if (!json_is_object(root)) {
        json_decref(root);
        return mohs_fail(err, MOHS_E_FORMAT, "the stored arguments are no JSON object");
    }
    char **a = xcalloc(json_object_size(root) + n_extra + 1, sizeof *a);
    size_t n = 0;
    json_object_foreach(root, key, v)
    {
        size_t len = strlen(key);
        bool given = false;
        for (size_t i = 0; i < n_extra; i++)
            given |= !strncmp(extra[i], key, len) && extra[i][len] == '=';
        if (!given && json_is_string(v))
            a[n++] = xasprintf("%s=%s", key, json_string_value(v));
    }
    for (size_t i = 0; i < n_extra; i++)
        a[n++] = xstrdup(extra[i]);
    json_decref(root);
    *out = a;
    return MOHS_OK;
}

static mohs_status run_stored(struct cli *c, struct run *r, const struct stored *s,
                              char **args, struct mohs_error *err)
{
    char dir[] = "/tmp/mohs-rerun-XXXXXX";
    if (!mkdtemp(dir))
        return err_errno(err, "%s", dir);
    char *path = path_join(dir, *s->name ? path_base(s->name) : "recipe.lua");
    mohs_status st = file_write(path, s->text, strlen(s->text), err);
    if (st >= 0)
        st = run_file(c, r, path, (const char *const *)args, err);
    unlink(path);
    rmdir(dir);
    free(path);
    return st;
}

static mohs_status rerun(struct cli *c, struct mohs_error *err)
{
    struct run r = { .results = NULL };
    struct stored s = { .name = NULL };
    struct results *db = NULL;
    char **args = NULL;
    mohs_status st;
    OUT_IF_ERR(read_options(c, &r, err));
    OUT_IF_ERR(opt_count(c, 1, SIZE_MAX, err));
    OUT_IF_ERR(results_open_readonly(c->args[0], &db, err));
    OUT_IF_ERR(results_each_run(db, keep_run, &s, err));
    results_close(db);
    db = NULL;
    if (!s.text) {
        st = mohs_fail(err, MOHS_E_FORMAT, "%s: no recipe is stored in it", c->args[0]);
        goto out;
    }
    OUT_IF_ERR(stored_args(s.args, c->args + 1, c->n_args - 1, &args, err));
    if (!r.results) {
        char *stem = path_stem(c->args[0]);
        r.results = xasprintf("%s.rerun.db", stem);
        free(stem);
    }
    if (!r.eval.seed)
        r.eval.seed = s.seed;
    st = run_stored(c, &r, &s, args, err);
out:
    results_close(db);
    strv_free(args);
    free(s.name);
    free(s.text);
    free(s.args);
    run_free(&r);
    return st;
}

const struct cli_command command_rerun = {
    .name = "rerun",
    .summary = "run again what a results file holds",
    .usage = "RESULTS [key=value ...] [options]",
    .options = options,
    .details = "Takes the stored recipe, its arguments and its seed; arguments given here\n"
               "replace stored ones. Results go to NAME.rerun.db unless --results says\n"
               "otherwise; `mohs results diff` then compares the two.",
    .run = rerun,
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
