/* SPDX-License-Identifier: MIT */
/* mohs.cell, mohs.run, mohs.report: queueing work and reading its values. */
#include "config.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lua/lua_state.h"
#include "results/robustness.h"

enum { EXTRA_MAX = 8 };

static void drop(struct eval_item *i)
{
    if (i->params)
        item_params_free(i->item, i->params);
    i->params = NULL;
}

/* Optional item field `kind` of the table at 1, validated without keeping
 * anything. */
static bool has_item(lua_State *L, const char *kind)
{
    struct eval_item it;
    bool there = lua_getfield(L, 1, kind) != LUA_TNIL;
    if (there) {
        check_item(L, -1, kind, &it);
        drop(&it);
    }
    lua_pop(L, 1);
    return there;
}

static void take_item(lua_State *L, const char *kind, struct eval_item *out)
{
    lua_getfield(L, 1, kind);
    check_item(L, -1, kind, out); // cannot raise: has_item() passed
    lua_pop(L, 1);
}

static int by_key(const void *a, const void *b)
{
    return strcmp(((const struct result_pair *)a)->key,
                  ((const struct result_pair *)b)->key);
}

/* In byte order of the keys: Lua's own order changes from process to process,
 * and a cell's hash with it. */
static size_t extra_axes(lua_State *L, struct result_pair *out)
{
    size_t n = 0;
    if (lua_getfield(L, 1, "axes") == LUA_TNIL) {
        lua_pop(L, 1);
        return 0;
    }
    luaL_checktype(L, -1, LUA_TTABLE);
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING || lua_type(L, -1) != LUA_TSTRING)
            luaL_error(L, "cell: 'axes' maps strings to strings");
        if (n == EXTRA_MAX)
            luaL_error(L, "cell: more than %d extra axes", EXTRA_MAX);
        out[n++] = (struct result_pair) { lua_tostring(L, -2), lua_tostring(L, -1) };
    }
    qsort(out, n, sizeof *out, by_key);
    lua_pop(L, 1);
    return n;
}

/* cell{[model=,] data=, metric=, [prompts=], [corruption=], [attack=, [surrogate=],
 * [fit=]], [axes=]}
 * [-1, +0, e] */
static int l_cell(lua_State *L)
{
    static const char *const known[] = { "model", "data", "metric", "prompts",
                                         "corruption", "attack", "surrogate", "fit",
                                         "axes", NULL };
    struct mohs_error err = MOHS_ERROR_INIT;
    struct result_pair extra[EXTRA_MAX];
    struct eval_cell c = { 0 };
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    check_fields(L, 1, "cell", known);
    if (lua_getfield(L, 1, "model") != LUA_TNIL)
        c.model = check_model(L, -1);
    if (lua_getfield(L, 1, "data") == LUA_TNIL)
        return luaL_error(L, "cell: field 'data' is needed");
    c.data = check_data(L, -1);
    if (!c.model && !eval_data_set(c.data)->embeddings)
        return luaL_error(L, "cell: field 'model' is needed");
    if (lua_getfield(L, 1, "prompts") != LUA_TNIL)
        c.prompts = check_prompts(L, -1);
    if (lua_getfield(L, 1, "surrogate") != LUA_TNIL)
        c.surrogate = check_model(L, -1);
    if (lua_getfield(L, 1, "fit") != LUA_TNIL)
        c.fit = check_data(L, -1);
    lua_settop(L, 1);
    c.extra = extra;
    c.n_extra = extra_axes(L, extra);
    bool corruption = has_item(L, "corruption"), attack = has_item(L, "attack");
    if (!has_item(L, "metric"))
        return luaL_error(L, "cell: field 'metric' is needed");
    take_item(L, "metric", &c.metric);
    if (corruption)
        take_item(L, "corruption", &c.corruption);
    if (attack)
        take_item(L, "attack", &c.attack);
    if (eval_add(host_of(L)->eval, &c, &err) < 0)
        return raise(L, &err);
    return 0;
}

static mohs_status push_cell(void *user, const struct result_cell *c,
                             struct mohs_error *err)
{
    lua_State *L = user;
    (void)err;
    if (!lua_checkstack(L, 8))
        return MOHS_E_NOMEM;
    lua_newtable(L);
    for (size_t i = 0; i < c->n_axes; i++) {
        lua_pushstring(L, c->axis[i].value);
        lua_setfield(L, -2, c->axis[i].key);
    }
    lua_createtable(L, 0, (int)c->n_values);
    for (size_t i = 0; i < c->n_values; i++) {
        const struct result_value *v = &c->value[i];
        lua_createtable(L, 0, 4);
        lua_pushnumber(L, v->value);
        lua_setfield(L, -2, "value");
        if (!isnan(v->low)) {
            lua_pushnumber(L, v->low);
            lua_setfield(L, -2, "low");
            lua_pushnumber(L, v->high);
            lua_setfield(L, -2, "high");
        }
        lua_pushstring(L, v->unit ? v->unit : "");
        lua_setfield(L, -2, "unit");
        lua_setfield(L, -2, v->name);
    }
    lua_setfield(L, -2, "values");
    lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
    return MOHS_OK;
}

/* run() -> array of {model=, data=, ..., values={name={value,low,high}}}
 * [-0, +1, e]: runs what was queued; under --plan an empty array. */
static int l_run(lua_State *L)
{
    struct lua_host *h = host_of(L);
    struct mohs_error err = MOHS_ERROR_INIT;
    lua_settop(L, 0);
    lua_newtable(L);
    if (h->o.plan)
        return 1;
    struct str args = { 0 };
    str_add(&args, "{");
    for (char **a = h->args; *a; a++) {
        size_t n = strcspn(*a, "=");
        char *key = xasprintf("%.*s", (int)n, *a);
        str_add(&args, args.n > 1 ? "," : "");
        str_add_json(&args, key);
        str_add(&args, ":");
        str_add_json(&args, *a + n + 1);
        free(key);
    }
    str_add(&args, "}");
    struct eval_run_info info = { h->recipe ? path_base(h->recipe) : "interactive",
                                  h->text ? h->text : "", args.s };
    mohs_status st = eval_run(h->eval, &info, &err);
    str_free(&args);
    h->ran = true;
    if (st < 0)
        return raise(L, &err);
    // only tables of our own making from here on: pushing may raise for
    // memory, and results_each() holds a statement that closes with the file
    if (eval_each(h->eval, push_cell, L, &err) < 0)
        return raise(L, &err);
    return 1;
}

static void number_field(lua_State *L, const char *key, double x)
{
    if (isnan(x))
        return;
    lua_pushnumber(L, x);
    lua_setfield(L, -2, key);
}

static void push_robustness(lua_State *L, const struct robustness_model *m)
{
    lua_createtable(L, 0, 12);
    lua_pushstring(L, m->set);
    lua_setfield(L, -2, "set");
    lua_pushstring(L, m->model);
    lua_setfield(L, -2, "model");
    number_field(L, "clean", m->clean);
    number_field(L, "corrupted", m->mean);
    number_field(L, "drop", m->drop);
    number_field(L, "mrr", m->kept);
    number_field(L, "mmi", m->mmi);
    number_field(L, "mce", m->mce);
    number_field(L, "relative_mce", m->relative_mce);
    number_field(L, "relative", m->relative);
    number_field(L, "effective", m->effective);
    lua_createtable(L, 0, (int)m->n);
    for (size_t i = 0; i < m->n; i++) {
        const struct robustness_corruption *c = &m->corruption[i];
        lua_createtable(L, SEVERITIES, 4);
        for (int s = 0; s < SEVERITIES; s++) {
            lua_pushnumber(L, c->score[s]);
            lua_rawseti(L, -2, s + 1);
        }
        number_field(L, "mean", c->mean);
        number_field(L, "rr", c->kept);
        number_field(L, "ce", c->ce);
        number_field(L, "relative_ce", c->relative_ce);
        lua_setfield(L, -2, c->name);
    }
    lua_setfield(L, -2, "corruptions");
}

static int collect_robustness(lua_State *L)
{
    const struct robustness_model *m = lua_touserdata(L, 1);
    size_t n = (size_t)lua_tointeger(L, 2);
    lua_createtable(L, (int)n, 0);
    for (size_t i = 0; i < n; i++) {
        push_robustness(L, &m[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return 1;
}

/* robustness{[value=], [baseline=], [fit=], [only=]} -> array  [-1, +1, e]:
 * of the cells of this recipe that are done. */
static int l_robustness(lua_State *L)
{
    static const char *const known[] = { "value", "baseline", "fit", "only", NULL };
    struct mohs_error err = MOHS_ERROR_INIT;
    const struct robustness_model *m = NULL;
    size_t n = 0;
    if (lua_isnoneornil(L, 1)) {
        lua_settop(L, 0);
        lua_newtable(L);
    }
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    check_fields(L, 1, "robustness", known);
    struct robustness_options o = {
        field_string(L, 1, "value", NULL), field_string(L, 1, "baseline", NULL),
        field_string(L, 1, "fit", NULL), field_string(L, 1, "only", NULL),
    };
    if (host_of(L)->o.plan || !host_of(L)->ran) {
        lua_newtable(L);
        return 1;
    }
    struct robustness *r = robustness_new();
    mohs_status st = eval_each(host_of(L)->eval, robustness_take, r, &err);
    if (st >= 0)
        st = robustness_make(r, &o, &m, &n, &err);
    int failed = LUA_OK;
    if (st >= 0) { // protected: Lua may run out of memory, r must not leak
        lua_pushcfunction(L, collect_robustness);
        lua_pushlightuserdata(L, (void *)m);
        lua_pushinteger(L, (lua_Integer)n);
        failed = lua_pcall(L, 2, 1, 0);
    }
    robustness_free(r);
    if (st < 0)
        return raise(L, &err);
    return failed ? lua_error(L) : 1;
}

/* report{out=, [title=]}  [-1, +0, e]: written when the recipe has ended. */
static int l_report(lua_State *L)
{
    static const char *const known[] = { "out", "title", NULL };
    struct lua_host *h = host_of(L);
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    check_fields(L, 1, "report", known);
    const char *out = field_string(L, 1, "out", NULL);
    const char *title = field_string(L, 1, "title", NULL);
    if (!out)
        return luaL_error(L, "report: field 'out' is needed");
    struct queued_report *q = xcalloc(1, sizeof *q), **at = &h->reports;
    q->out = xstrdup(out);
    q->title = title ? xstrdup(title) : NULL;
    while (*at)
        at = &(*at)->next;
    *at = q;
    return 0;
}

/* planning() -> boolean  [-0, +1, -] */
static int l_planning(lua_State *L)
{
    lua_pushboolean(L, host_of(L)->o.plan);
    return 1;
}

/* results_path() -> string  [-0, +1, e] */
static int l_results_path(lua_State *L)
{
    lua_pushstring(L, eval_results_path(host_of(L)->eval));
    return 1;
}

void open_cells(lua_State *L)
{
    static const luaL_Reg own[] = {
        { "cell", l_cell },         { "run", l_run },
        { "report", l_report },     { "robustness", l_robustness },
        { "planning", l_planning },
        { "results_path", l_results_path }, { NULL, NULL },
    };
    luaL_setfuncs(L, own, 0);
}
