/* SPDX-License-Identifier: MIT */
/* Shared by the binding files of this room. */
#ifndef CORE_LUA_STATE_H
#define CORE_LUA_STATE_H

#include <lauxlib.h>
#include <lua.h>

#include "lua/lua_host.h"

struct queued_report {
    char *out, *title;
    struct queued_report *next;
};

struct lua_host {
    lua_State *L;
    struct registry *registry;
    struct eval *eval;
    struct eval_options eo;
    struct lua_options o;
    char *recipe, *text;
    size_t heap;
    mohs_status status; /* of the failure being raised */
    struct queued_report *reports;
    bool args_declared;
    char **args; /* "key=value", owned */
    bool ran;
};

struct lua_host *host_of(lua_State *L);
/* Raises err's text with file:line in front and keeps its status. Nothing
 * may be owned by the caller. */
int raise(lua_State *L, struct mohs_error *err);
/* Field `name` of the table at `t`: fresh copies are the caller's to free
 * before anything can raise. Absent: def. */
const char *field_string(lua_State *L, int t, const char *name, const char *def);
double field_number(lua_State *L, int t, const char *name, double def,
                    double min, double max);
bool field_bool(lua_State *L, int t, const char *name, bool def);
/* Raises when the table at t has a key that is not in the NULL-terminated
 * list. */
void check_fields(lua_State *L, int t, const char *what,
                  const char *const *known);
/* Resolves a path argument; raises when `must` and nothing is there. The
 * string is anchored on the Lua stack (pushes one value). */
const char *push_path(lua_State *L, const char *path, bool must);

/* Registers functions into the table on top of the stack. */
void open_data(lua_State *L);
void open_readers(lua_State *L); /* into mohs.data */
void open_items(lua_State *L);
void open_cells(lua_State *L);
void open_train(lua_State *L);
/* Readers of class folders, into the table of readers on top. */
void open_class_data(lua_State *L);
void open_prompts(lua_State *L);
/* A metatable with __index and __tostring that scripts cannot see into. */
void new_metatable(lua_State *L, const char *name, lua_CFunction index,
                   lua_CFunction text);

/* Depth maps for d from folder `depth` of the script, if it is not NULL; d is
 * freed when that fails, and the error raised. */
void add_depth(lua_State *L, struct dataset *d, const char *depth);

#define MODEL_META "mohs.model"
#define DATA_META "mohs.data"
#define ITEM_META "mohs.item"
#define PROMPTS_META "mohs.prompts"

/* Gives d to the session and pushes it; label NULL: its name. */
int push_data(lua_State *L, struct dataset *d, const char *label);
/* The model or data at stack index i; raises when it is something else. */
struct eval_model *check_model(lua_State *L, int i);
struct eval_data *check_data(lua_State *L, int i);
struct eval_prompts *check_prompts(lua_State *L, int i);
/* Builds the parameters of the item table at index i, which must be of
 * `kind` ("corruption"); raises on mistakes. out->params is fresh. */
void check_item(lua_State *L, int i, const char *kind, struct eval_item *out);

#endif
