/* SPDX-License-Identifier: MIT */
/*
 * Corruptions, attacks and metrics in Lua: a table {kind, id, params,
 * severity} that is checked against the item's parameter table when made.
 */
#include "config.h"

#include <string.h>

#include "lua/lua_state.h"

static const char *kind_id(lua_State *L, const char *kind)
{
    if (!strcmp(kind, "corruption"))
        return MOHS_KIND_CORRUPTION;
    if (!strcmp(kind, "attack"))
        return MOHS_KIND_ATTACK;
    if (!strcmp(kind, "metric"))
        return MOHS_KIND_METRIC;
    if (!strcmp(kind, "model"))
        return MOHS_KIND_MODEL;
    luaL_error(L, "no kind of item '%s'; there are model, corruption, attack and "
                  "metric", kind);
    return NULL;
}

static mohs_status set_ints(lua_State *L, const struct item *it, void *params,
                            const char *key, struct mohs_error *err)
{
    int32_t v[MOHS_INTS_MAX + 1];
    size_t n = 0;
    lua_Integer len = (lua_Integer)lua_rawlen(L, -1);
    for (lua_Integer i = 1; i <= len && n <= MOHS_INTS_MAX; i++) {
        int ok;
        lua_rawgeti(L, -1, i);
        lua_Integer x = lua_tointegerx(L, -1, &ok);
        lua_pop(L, 1);
        if (!ok || x < INT32_MIN || x > INT32_MAX)
            return mohs_fail(err, MOHS_E_ARG, "%s: %s[%d] is not an integer",
                             it->item->id, key, (int)i);
        v[n++] = (int32_t)x;
    }
    return item_param_set_ints(it, params, key, v, n, err);
}

/* Sets parameter `key` from the value on top of the stack. */
static mohs_status set_param(lua_State *L, const struct item *it, void *params,
                             const char *key, struct mohs_error *err)
{
    switch (lua_type(L, -1)) {
    case LUA_TNUMBER:
        return item_param_set_number(it, params, key, lua_tonumber(L, -1), err);
    case LUA_TBOOLEAN:
        return item_param_set_number(it, params, key, lua_toboolean(L, -1), err);
    case LUA_TSTRING:
        return item_param_set_text(it, params, key, lua_tostring(L, -1), err);
    case LUA_TTABLE: return set_ints(L, it, params, key, err);
    default:
        return mohs_fail(err, MOHS_E_ARG, "%s: parameter '%s' cannot be a %s",
                         it->item->id, key, luaL_typename(L, -1));
    }
}

/* A budget from the value on top of the stack: 1; 0 when `key` is none. */
static int32_t set_budget(lua_State *L, const struct item *it, struct budget *b,
                          const char *key, struct mohs_error *err)
{
    if (strcmp(it->item->kind, MOHS_KIND_ATTACK))
        return 0;
    if (lua_type(L, -1) == LUA_TNUMBER)
        return budget_set(b, it->item->id, key, lua_tonumber(L, -1), err);
    if (lua_type(L, -1) == LUA_TSTRING)
        return budget_set_text(b, it->item->id, key, lua_tostring(L, -1), err);
    return 0;
}

/* Parameters from the table at index t (nil: defaults), and an attack's budget. */
static mohs_status params_from(lua_State *L, int t, const struct item *it,
                               void **out, struct budget *budget,
                               struct mohs_error *err)
{
    void *p = item_params_new(it);
    mohs_status st = MOHS_OK;
    if (lua_istable(L, t)) {
        lua_pushnil(L);
        while (st >= 0 && lua_next(L, t)) {
            if (lua_type(L, -2) == LUA_TSTRING) {
                const char *key = lua_tostring(L, -2);
                st = set_budget(L, it, budget, key, err);
                if (st == 0)
                    st = set_param(L, it, p, key, err);
            } else {
                st = mohs_fail(err, MOHS_E_ARG, "%s: takes named parameters",
                               it->item->id);
            }
            lua_pop(L, 1);
        }
        if (st < 0)
            lua_settop(L, lua_gettop(L) - 1); // the key
    }
    if (st < 0) {
        item_params_free(it, p);
        return st;
    }
    *out = p;
    return MOHS_OK;
}

void check_item(lua_State *L, int i, const char *kind, struct eval_item *out)
{
    struct mohs_error err = MOHS_ERROR_INIT;
    const struct item *it;
    memset(out, 0, sizeof *out);
    i = lua_absindex(L, i);
    if (!lua_istable(L, i) || !lua_getmetatable(L, i) ||
        (luaL_getmetatable(L, ITEM_META), !lua_rawequal(L, -1, -2)))
        luaL_error(L, "field '%s' must come from mohs.%s(...)", kind, kind);
    lua_pop(L, 2);
    const char *is = field_string(L, i, "kind", "");
    const char *id = field_string(L, i, "id", "");
    if (strcmp(is, kind))
        luaL_error(L, "field '%s' is the %s '%s'", kind, is, id);
    if (registry_find(host_of(L)->registry, kind_id(L, kind), id, &it, &err) < 0)
        raise(L, &err);
    uint32_t severity = (uint32_t)field_number(L, i, "severity", 0, 0, 5);
    lua_getfield(L, i, "params");
    mohs_status st = params_from(L, lua_gettop(L), it, &out->params, &out->budget,
                                 &err);
    lua_pop(L, 1);
    if (st < 0)
        raise(L, &err);
    out->item = it;
    out->severity = severity;
}

/* item(kind, id, params)  [-3, +1, e]: checks and makes an item table. */
static int l_item(lua_State *L)
{
    struct mohs_error err = MOHS_ERROR_INIT;
    const char *kind = luaL_checkstring(L, 1), *id = luaL_checkstring(L, 2);
    const struct item *it;
    void *params = NULL;
    lua_settop(L, 3);
    if (!lua_isnoneornil(L, 3))
        luaL_checktype(L, 3, LUA_TTABLE);
    if (registry_find(host_of(L)->registry, kind_id(L, kind), id, &it, &err) < 0)
        return raise(L, &err);
    struct budget unused = { 0 };
    if (params_from(L, 3, it, &params, &unused, &err) < 0)
        return raise(L, &err);
    item_params_free(it, params);
    lua_createtable(L, 0, 4);
    lua_pushvalue(L, 1);
    lua_setfield(L, 4, "kind");
    lua_pushvalue(L, 2);
    lua_setfield(L, 4, "id");
    if (lua_isnil(L, 3))
        lua_newtable(L);
    else
        lua_pushvalue(L, 3);
    lua_setfield(L, 4, "params");
    luaL_setmetatable(L, ITEM_META);
    return 1;
}

static void push_param(lua_State *L, const struct mohs_param *p)
{
    static const char *const types[] = { "", "int", "float", "bool", "choice",
                                         "string", "ints", "paths" };
    lua_createtable(L, 0, 6);
    lua_pushstring(L, p->name);
    lua_setfield(L, -2, "name");
    lua_pushstring(L, p->doc ? p->doc : "");
    lua_setfield(L, -2, "doc");
    lua_pushstring(L, p->type <= MOHS_P_PATHS ? types[p->type] : "");
    lua_setfield(L, -2, "type");
    if (param_is_string(p) || p->type == MOHS_P_INTS)
        lua_pushstring(L, p->def_text ? p->def_text : "");
    else if (p->type == MOHS_P_CHOICE)
        lua_pushstring(L, p->choices[(int)p->def]);
    else
        lua_pushnumber(L, p->def);
    lua_setfield(L, -2, "default");
}

/* list(kind) -> array of {id, summary, params}  [-1, +1, e] */
static int l_list(lua_State *L)
{
    const char *kind = kind_id(L, luaL_checkstring(L, 1));
    const struct item *it;
    lua_newtable(L);
    for (size_t i = 0; (it = registry_item(host_of(L)->registry, kind, i)); i++) {
        lua_createtable(L, 0, 3);
        lua_pushstring(L, it->item->id);
        lua_setfield(L, -2, "id");
        lua_pushstring(L, it->item->summary);
        lua_setfield(L, -2, "summary");
        lua_newtable(L);
        for (uint32_t k = 0; k < it->item->n_params; k++) {
            const char *p = (const char *)it->item->params +
                            (size_t)k * it->item->param_stride;
            push_param(L, (const struct mohs_param *)p);
            lua_rawseti(L, -2, (lua_Integer)k + 1);
        }
        lua_setfield(L, -2, "params");
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return 1;
}

void open_items(lua_State *L)
{
    static const luaL_Reg own[] = { { "item", l_item }, { "list", l_list },
                                    { NULL, NULL } };
    luaL_newmetatable(L, ITEM_META);
    lua_pop(L, 1);
    luaL_setfuncs(L, own, 0);
    luaL_getmetatable(L, ITEM_META);
    lua_setfield(L, -2, "item_meta");
}
