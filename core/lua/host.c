/* SPDX-License-Identifier: MIT */
/* The Lua state: sandbox, memory cap, interruption, recipes and their end. */
#include "config.h"

#include "lua/lua_host.h"

#include <stdlib.h>
#include <string.h>

#include <lualib.h>

#include "lua/lua_state.h"
#include "report/report.h"

enum { HOOK_COUNT = 100000 };

static const unsigned char prelude[] = {
#include "prelude.luah"
};

struct lua_host *host_of(lua_State *L)
{
    return *(struct lua_host **)lua_getextraspace(L);
}

int raise(lua_State *L, struct mohs_error *err)
{
    host_of(L)->status = err->status < 0 ? err->status : MOHS_E_ARG;
    return luaL_error(L, "%s", err->text);
}

static void *allocate(void *ud, void *p, size_t old, size_t n)
{
    struct lua_host *h = ud;
    if (!p)
        old = 0;
    if (!n) {
        h->heap -= old;
        free(p);
        return NULL;
    }
    if (n > old && h->heap + (n - old) > h->o.memory_bytes)
        return NULL;
    void *q = realloc(p, n);
    if (q)
        h->heap += n - old;
    return q;
}

static void on_count(lua_State *L, lua_Debug *ar)
{
    (void)ar;
    if (interrupted) {
        host_of(L)->status = MOHS_E_CANCELLED;
        luaL_error(L, "interrupted");
    }
}

/* ---- files ---- */

static char *try_under(const char *dir, const char *path)
{
    if (!dir || !*dir)
        return NULL;
    char *p = path_join(dir, path);
    if (file_exists(p) || dir_exists(p))
        return p;
    free(p);
    return NULL;
}

char *lua_find(const char *recipe, const char *path)
{
    if (file_exists(path) || dir_exists(path))
        return xstrdup(path);
    if (*path == '/')
        return NULL;
    char *found = NULL, *dir;
    if (recipe) {
        dir = path_dir(recipe);
        found = try_under(dir, path);
        free(dir);
    }
    for (size_t i = 0; !found && (dir = data_dir(i)); i++) {
        found = try_under(dir, path);
        free(dir);
    }
    return found;
}

char *lua_find_recipe(const char *name)
{
    char *p = lua_find(NULL, name);
    if (p && file_exists(p))
        return p;
    free(p);
    if (strchr(name, '/'))
        return NULL;
    char *rel = xasprintf("scripts/lua/recipes/%s%s", name,
                          str_ends(name, ".lua") ? "" : ".lua");
    p = lua_find(NULL, rel);
    free(rel);
    return p;
}

const char *push_path(lua_State *L, const char *path, bool must)
{
    char *found = lua_find(host_of(L)->recipe, path);
    if (!found && must) {
        host_of(L)->status = MOHS_E_IO;
        luaL_error(L, "%s: no such file or directory", path);
    }
    lua_pushstring(L, found ? found : path);
    free(found);
    return lua_tostring(L, -1);
}

/* ---- table fields ---- */

const char *field_string(lua_State *L, int t, const char *name, const char *def)
{
    int type = lua_getfield(L, t, name);
    if (type == LUA_TNIL) {
        lua_pop(L, 1);
        return def;
    }
    if (type != LUA_TSTRING)
        luaL_error(L, "field '%s' must be a string, not a %s", name,
                   lua_typename(L, type));
    const char *s = lua_tostring(L, -1);
    lua_pop(L, 1); // the table keeps it alive
    return s;
}

double field_number(lua_State *L, int t, const char *name, double def,
                    double min, double max)
{
    int type = lua_getfield(L, t, name);
    double x = type == LUA_TNIL ? def : lua_tonumber(L, -1);
    if (type != LUA_TNIL && type != LUA_TNUMBER)
        luaL_error(L, "field '%s' must be a number, not a %s", name,
                   lua_typename(L, type));
    if (type != LUA_TNIL && !(x >= min && x <= max))
        luaL_error(L, "field '%s' is %f, outside %f..%f", name, x, min, max);
    lua_pop(L, 1);
    return x;
}

bool field_bool(lua_State *L, int t, const char *name, bool def)
{
    int type = lua_getfield(L, t, name);
    bool x = type == LUA_TNIL ? def : lua_toboolean(L, -1);
    if (type != LUA_TNIL && type != LUA_TBOOLEAN)
        luaL_error(L, "field '%s' must be true or false, not a %s", name,
                   lua_typename(L, type));
    lua_pop(L, 1);
    return x;
}

void check_fields(lua_State *L, int t, const char *what,
                  const char *const *known)
{
    size_t n = 0;
    while (known[n])
        n++;
    for (lua_pushnil(L); lua_next(L, t); lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING)
            luaL_error(L, "%s: takes named fields only", what);
        const char *key = lua_tostring(L, -2);
        size_t i = 0;
        while (i < n && strcmp(known[i], key))
            i++;
        if (i == n) {
            const char *near = str_nearest(key, known, n);
            luaL_error(L, "%s: no field '%s'%s%s%s", what, key,
                       near ? " (did you mean '" : "", near ? near : "",
                       near ? "'?)" : "");
        }
    }
}

/* ---- mohs.args ---- */

static const char *given(struct lua_host *h, const char *key)
{
    size_t n = strlen(key);
    for (char **a = h->args; a && *a; a++)
        if (!strncmp(*a, key, n) && (*a)[n] == '=')
            return *a + n + 1;
    return NULL;
}

static void check_given(lua_State *L, struct lua_host *h)
{
    for (char **a = h->args; a && *a; a++) {
        size_t n = strcspn(*a, "=");
        lua_pushlstring(L, *a, n);
        lua_pushvalue(L, -1);
        if (lua_rawget(L, 1) == LUA_TNIL) {
            struct str names = { 0 };
            for (lua_pushnil(L); lua_next(L, 1); lua_pop(L, 1))
                if (lua_type(L, -2) == LUA_TSTRING)
                    str_addf(&names, "%s%s", names.n ? ", " : "", lua_tostring(L, -2));
            lua_pushstring(L, names.s ? names.s : "none");
            str_free(&names);
            host_of(L)->status = MOHS_E_ARG;
            luaL_error(L, "the recipe has no argument '%s'; it has: %s",
                       lua_tostring(L, -3), lua_tostring(L, -1));
        }
        lua_pop(L, 2);
    }
}

/* args(defaults) -> table  [-0, +1, e]: the recipe's arguments, each of the
 * type of its default. */
static int l_args(lua_State *L)
{
    struct lua_host *h = host_of(L);
    luaL_checktype(L, 1, LUA_TTABLE);
    h->args_declared = true;
    check_given(L, h);
    lua_newtable(L);
    for (lua_pushnil(L); lua_next(L, 1); lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING)
            return luaL_error(L, "args: takes named fields only");
        const char *key = lua_tostring(L, -2), *text = given(h, key);
        double x;
        int type = lua_type(L, -1);
        if (!text) {
            lua_pushvalue(L, -1);
        } else if (type == LUA_TNUMBER) {
            if (!str_to_double(text, &x))
                return luaL_error(L, "argument %s: '%s' is not a number", key, text);
            if (lua_isinteger(L, -1) && x == (double)(lua_Integer)x)
                lua_pushinteger(L, (lua_Integer)x);
            else
                lua_pushnumber(L, x);
        } else if (type == LUA_TBOOLEAN) {
            bool yes = !strcmp(text, "true") || !strcmp(text, "1");
            if (!yes && strcmp(text, "false") && strcmp(text, "0"))
                return luaL_error(L, "argument %s: '%s' is not true or false", key,
                                  text);
            lua_pushboolean(L, yes);
        } else {
            lua_pushstring(L, text);
        }
        lua_setfield(L, 2, key);
    }
    lua_settop(L, 2);
    return 1;
}

/* print(...)  [-n, +0, e]: to stdout, tab-separated, as Lua's own. */
static int l_print(lua_State *L)
{
    int n = lua_gettop(L);
    for (int i = 1; i <= n; i++) {
        size_t len;
        const char *s = luaL_tolstring(L, i, &len);
        if (i > 1)
            fputc('\t', stdout);
        fwrite(s, 1, len, stdout);
        lua_pop(L, 1);
    }
    fputc('\n', stdout);
    return 0;
}

/* log(text)  [-1, +0, e]: a line on stderr. */
static int l_log(lua_State *L)
{
    log_info("%s", luaL_checkstring(L, 1));
    return 0;
}

/* ---- the sandbox ---- */

static void open_safe(lua_State *L, bool unsafe)
{
    static const luaL_Reg libs[] = {
        { LUA_GNAME, luaopen_base },        { LUA_STRLIBNAME, luaopen_string },
        { LUA_TABLIBNAME, luaopen_table },  { LUA_MATHLIBNAME, luaopen_math },
        { LUA_UTF8LIBNAME, luaopen_utf8 },  { LUA_COLIBNAME, luaopen_coroutine },
    };
    static const char *const closed[] = { "load", "loadfile", "dofile",
                                          "collectgarbage" };
    if (unsafe) {
        luaL_openlibs(L);
    } else {
        for (size_t i = 0; i < sizeof libs / sizeof *libs; i++) {
            luaL_requiref(L, libs[i].name, libs[i].func, 1);
            lua_pop(L, 1);
        }
        for (size_t i = 0; i < sizeof closed / sizeof *closed; i++) {
            lua_pushnil(L);
            lua_setglobal(L, closed[i]);
        }
        // math.random would make results depend on the clock
        lua_getglobal(L, "math");
        lua_pushnil(L);
        lua_setfield(L, -2, "randomseed");
        lua_pushnil(L);
        lua_setfield(L, -2, "random");
        lua_pop(L, 1);
    }
    lua_pushcfunction(L, l_print);
    lua_setglobal(L, "print");
}

/* Loads lib NAME.lua: beside the recipe, then scripts/lua/lib. */
static int load_library(lua_State *L, const char *name)
{
    struct lua_host *h = host_of(L);
    if (strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") != strlen(name))
        return luaL_error(L, "require: bad module name '%s'", name);
    char *dir = path_dir(h->recipe ? h->recipe : "./x");
    char *own = xasprintf("%s/%s.lua", dir, name);
    char *rel = xasprintf("scripts/lua/lib/%s.lua", name);
    char *found = file_exists(own) ? xstrdup(own) : lua_find(NULL, rel);
    char *text = NULL;
    size_t n = 0;
    struct mohs_error err = MOHS_ERROR_INIT;
    if (found)
        file_read(found, 1 << 24, &text, &n, &err);
    int st = text ? luaL_loadbufferx(L, text, n, name, "t") : LUA_ERRERR;
    free(dir);
    free(own);
    free(rel);
    free(text);
    if (!found)
        return luaL_error(L, "require: no module '%s'", name);
    free(found);
    if (!text)
        return raise(L, &err);
    if (st != LUA_OK)
        return lua_error(L);
    lua_call(L, 0, 1);
    return 1;
}

/* require(name)  [-1, +1, e] */
static int l_require(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1);
    lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    if (lua_getfield(L, -1, name) != LUA_TNIL)
        return 1;
    lua_pop(L, 1);
    load_library(L, name);
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        lua_pushboolean(L, 1);
    }
    lua_pushvalue(L, -1);
    lua_setfield(L, 2, name);
    return 1;
}

/* The module: C functions, then the prelude adds the rest in Lua. */
static int open_mohs(lua_State *L)
{
    lua_newtable(L);
    lua_pushstring(L, PACKAGE_VERSION);
    lua_setfield(L, -2, "version");
    lua_pushstring(L, "1.0");
    lua_setfield(L, -2, "api");
    static const luaL_Reg own[] = { { "args", l_args }, { "log", l_log },
                                    { NULL, NULL } };
    luaL_setfuncs(L, own, 0);
    open_items(L);
    open_data(L);
    open_cells(L);
    open_train(L);
    if (luaL_loadbufferx(L, (const char *)prelude, sizeof prelude, "=prelude", "t"))
        return lua_error(L);
    lua_pushvalue(L, -2);
    lua_call(L, 1, 0);
    lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    lua_pushvalue(L, -2);
    lua_setfield(L, -2, "mohs");
    lua_pop(L, 2);
    if (!host_of(L)->o.unsafe) {
        lua_pushcfunction(L, l_require);
        lua_setglobal(L, "require");
    }
    return 0;
}

/* ---- life ---- */

/* Calls what is on the stack with a traceback; on failure fills err. */
static mohs_status call(struct lua_host *h, int n_args, int n_results,
                        struct mohs_error *err)
{
    h->status = MOHS_OK;
    int rc = lua_pcall(h->L, n_args, n_results, 0);
    if (rc == LUA_OK)
        return MOHS_OK;
    mohs_status st = rc == LUA_ERRMEM ? MOHS_E_NOMEM
                     : h->status < 0  ? h->status
                                      : MOHS_E_FORMAT;
    const char *text = luaL_tolstring(h->L, -1, NULL);
    mohs_fail(err, st, "%s", text);
    lua_pop(h->L, 2);
    return st;
}

static char **copy_args(const char *const *args)
{
    size_t n = 0;
    while (args && args[n])
        n++;
    char **v = xcalloc(n + 1, sizeof *v);
    for (size_t i = 0; i < n; i++)
        v[i] = xstrdup(args[i]);
    return v;
}

mohs_status lua_host_new(struct registry *r, struct eval *e,
                         const struct eval_options *eo,
                         const struct lua_options *o, struct lua_host **out,
                         struct mohs_error *err)
{
    struct lua_host *h = xcalloc(1, sizeof *h);
    mohs_status st = MOHS_OK;
    h->registry = r;
    h->eval = e;
    h->eo = *eo;
    h->o = *o;
    if (!h->o.memory_bytes)
        h->o.memory_bytes = 512u << 20;
    h->args = copy_args(o->args);
    h->recipe = o->recipe ? xstrdup(o->recipe) : NULL;
    for (char **a = h->args; *a; a++)
        if (!strchr(*a, '=')) {
            st = mohs_fail(err, MOHS_E_ARG, "argument '%s' is not key=value", *a);
            goto out;
        }
    if (h->recipe)
        OUT_IF_ERR(file_read(h->recipe, 1 << 24, &h->text, NULL, err));
    h->L = lua_newstate(allocate, h);
    if (!h->L) {
        st = mohs_fail(err, MOHS_E_NOMEM, "no memory for a Lua state");
        goto out;
    }
    *(struct lua_host **)lua_getextraspace(h->L) = h;
    open_safe(h->L, o->unsafe);
    lua_sethook(h->L, on_count, LUA_MASKCOUNT, HOOK_COUNT);
    lua_pushcfunction(h->L, open_mohs);
    OUT_IF_ERR(call(h, 0, 0, err));
    *out = h;
    return MOHS_OK;
out:
    lua_host_free(h);
    return st;
}

void lua_host_free(struct lua_host *h)
{
    if (!h)
        return;
    if (h->L)
        lua_close(h->L);
    for (struct queued_report *q = h->reports, *next; q; q = next) {
        next = q->next;
        free(q->out);
        free(q->title);
        free(q);
    }
    strv_free(h->args);
    free(h->recipe);
    free(h->text);
    free(h);
}

static mohs_status write_reports(struct lua_host *h, struct mohs_error *err)
{
    for (struct queued_report *q = h->reports; q; q = q->next) {
        RET_IF_ERR(report_write(eval_results_path(h->eval), q->out, q->title, err));
        printf("report: %s\n", q->out);
    }
    return MOHS_OK;
}

static mohs_status undeclared_args(struct lua_host *h, struct mohs_error *err)
{
    if (h->args_declared || !*h->args)
        return MOHS_OK;
    return mohs_fail(err, MOHS_E_ARG, "%s: the recipe takes no arguments, '%s' given",
                     h->recipe, *h->args);
}

mohs_status lua_host_run(struct lua_host *h, struct mohs_error *err)
{
    char *chunk = xasprintf("@%s", h->recipe);
    int rc = luaL_loadbufferx(h->L, h->text, strlen(h->text), chunk, "t");
    free(chunk);
    if (rc != LUA_OK) {
        mohs_fail(err, MOHS_E_FORMAT, "%s", lua_tostring(h->L, -1));
        lua_pop(h->L, 1);
        return MOHS_E_FORMAT;
    }
    RET_IF_ERR(call(h, 0, 0, err));
    RET_IF_ERR(undeclared_args(h, err));
    if (h->o.plan)
        return eval_plan(h->eval, h->o.json, err);
    if (eval_count(h->eval) && !h->ran) {
        // what mohs.run() does, for recipes that do not call it
        lua_getfield(h->L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
        lua_getfield(h->L, -1, "mohs");
        lua_getfield(h->L, -1, "run");
        lua_remove(h->L, -2);
        lua_remove(h->L, -2);
        RET_IF_ERR(call(h, 0, 0, err));
    }
    return write_reports(h, err);
}

mohs_status lua_host_chunk(struct lua_host *h, const char *text,
                           struct mohs_error *err)
{
    char *expr = xasprintf("return %s", text);
    int rc = luaL_loadbufferx(h->L, expr, strlen(expr), "=stdin", "t");
    free(expr);
    if (rc != LUA_OK) {
        lua_pop(h->L, 1);
        rc = luaL_loadbufferx(h->L, text, strlen(text), "=stdin", "t");
    }
    if (rc != LUA_OK) {
        mohs_fail(err, MOHS_E_FORMAT, "%s", lua_tostring(h->L, -1));
        lua_pop(h->L, 1);
        return MOHS_E_FORMAT;
    }
    RET_IF_ERR(call(h, 0, LUA_MULTRET, err));
    int n = lua_gettop(h->L);
    if (n) {
        lua_pushcfunction(h->L, l_print);
        lua_insert(h->L, 1);
        RET_IF_ERR(call(h, n, 0, err));
    }
    return MOHS_OK;
}
