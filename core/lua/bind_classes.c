/* SPDX-License-Identifier: MIT */
/* mohs.data.folder, mohs.data.imagenet_c, mohs.prompts: classification. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "lua/lua_state.h"

enum { MOST_TEMPLATES = 10000 };

/* ---- class folders ---- */

/* What both readers take; strings live on the stack. */
struct folder_fields {
    struct folder_options o;
    const char *name, *depth, *factors, *prototypes, *only;
};

static const char *path_field(lua_State *L, const char *name)
{
    const char *s = field_string(L, 1, name, NULL);
    return s ? push_path(L, s, true) : NULL;
}

static void read_fields(lua_State *L, const char *what, struct folder_fields *f)
{
    f->o = (struct folder_options) {
        .dir = path_field(L, "dir"),
        .limit = (size_t)field_number(L, 1, "limit", 0, 0, 1e12),
        .per_class = (size_t)field_number(L, 1, "per_class", 0, 0, 1e12),
        .classes = path_field(L, "classes"),
        .parent = field_bool(L, 1, "all_classes", false),
        .unlabelled = field_bool(L, 1, "unlabelled", false),
        .corruption = field_string(L, 1, "corruption", NULL),
        .severity = (uint32_t)field_number(L, 1, "severity", 0, 0, 5),
    };
    f->name = field_string(L, 1, "name", NULL);
    f->only = field_string(L, 1, "only", NULL);
    f->depth = path_field(L, "depth");
    f->factors = path_field(L, "factors");
    f->prototypes = path_field(L, "prototypes");
    if (!f->o.dir)
        luaL_error(L, "%s: field 'dir' is needed", what);
    if (f->prototypes && !f->factors)
        luaL_error(L, "%s: 'prototypes' without 'factors'", what);
}

static int push_folder(lua_State *L, const struct folder_fields *f)
{
    struct mohs_error err = MOHS_ERROR_INIT;
    struct dataset *d;
    if (data_folder_open(&f->o, &d, &err) < 0)
        return raise(L, &err);
    if (f->factors && dataset_factors(d, f->factors, f->prototypes, &err) < 0) {
        dataset_free(d);
        return raise(L, &err);
    }
    add_depth(L, d, f->depth);
    return push_data(L, d, f->name);
}

/* folder{dir=, [classes=], [all_classes=], [unlabelled=], [corruption=,
 * severity=], [factors=], [prototypes=], [depth=], [name=], [limit=],
 * [per_class=]} -> data  [-1, +1, e] */
static int l_folder(lua_State *L)
{
    static const char *const known[] = {
        "dir", "classes", "all_classes", "unlabelled", "corruption", "severity",
        "factors", "prototypes", "depth", "name", "limit", "per_class", NULL };
    struct folder_fields f;
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    check_fields(L, 1, "data.folder", known);
    read_fields(L, "data.folder", &f);
    return push_folder(L, &f);
}

static bool in_list(const char *list, const char *name)
{
    size_t n = strlen(name);
    for (const char *s = list; *s; s += strspn(s, ", ")) {
        size_t k = strcspn(s, ", ");
        if (k == n && !strncmp(s, name, n))
            return true;
        s += k;
    }
    return false;
}

/* imagenet_c{dir=, [only=], and what folder takes of classes, name, limit,
 * per_class} -> array of data  [-1, +1, e] */
static int l_imagenet_c(lua_State *L)
{
    static const char *const known[] = { "dir", "only", "classes", "all_classes",
                                         "name", "limit", "per_class", NULL };
    struct mohs_error err = MOHS_ERROR_INIT;
    struct folder_fields f;
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    check_fields(L, 1, "data.imagenet_c", known);
    read_fields(L, "data.imagenet_c", &f);
    struct arena *a = arena_new();
    struct corrupted_folder *c;
    size_t n, taken = 0;
    if (data_corrupted_folders(f.o.dir, a, &c, &n, &err) < 0) {
        arena_free(a);
        return raise(L, &err);
    }
    // Lua's memory from here on: reading may raise
    struct corrupted_folder *mine = lua_newuserdatauv(L, n * sizeof *mine, 0);
    lua_newtable(L);
    int anchor = lua_gettop(L);
    for (size_t i = 0; i < n; i++) {
        mine[i] = c[i];
        lua_pushstring(L, c[i].corruption);
        mine[i].corruption = lua_tostring(L, -1);
        lua_rawseti(L, anchor, (lua_Integer)(2 * i + 1));
        lua_pushstring(L, c[i].dir);
        mine[i].dir = lua_tostring(L, -1);
        lua_rawseti(L, anchor, (lua_Integer)(2 * i + 2));
    }
    arena_free(a);
    if (!f.name)
        f.name = path_base(f.o.dir);
    lua_newtable(L);
    for (size_t i = 0; i < n; i++) {
        if (f.only && !in_list(f.only, mine[i].corruption))
            continue;
        f.o.dir = mine[i].dir;
        f.o.corruption = mine[i].corruption;
        f.o.severity = mine[i].severity;
        push_folder(L, &f);
        lua_rawseti(L, -2, (lua_Integer)++taken);
    }
    if (!taken)
        return luaL_error(L, "data.imagenet_c: none of '%s' is in %s", f.only,
                          field_string(L, 1, "dir", ""));
    return 1;
}

void open_class_data(lua_State *L)
{
    static const luaL_Reg readers[] = { { "folder", l_folder },
                                        { "imagenet_c", l_imagenet_c },
                                        { NULL, NULL } };
    luaL_setfuncs(L, readers, 0);
}

/* ---- prompts ---- */

struct eval_prompts *check_prompts(lua_State *L, int i)
{
    return *(struct eval_prompts **)luaL_checkudata(L, i, PROMPTS_META);
}

static int push_prompts(lua_State *L, const struct prompt_source *s)
{
    struct mohs_error err = MOHS_ERROR_INIT;
    struct eval_prompts **u = lua_newuserdatauv(L, sizeof *u, 0);
    struct prompts *p;
    if (prompts_open(s, &p, &err) < 0)
        return raise(L, &err);
    *u = eval_add_prompts(host_of(L)->eval, p);
    luaL_setmetatable(L, PROMPTS_META);
    return 1;
}

/* Strings of the array at field `templates`, in memory of Lua's. */
static const char *const *template_list(lua_State *L, size_t *n)
{
    *n = 0;
    if (lua_getfield(L, 1, "templates") == LUA_TNIL)
        return NULL;
    luaL_checktype(L, -1, LUA_TTABLE);
    size_t len = lua_rawlen(L, -1);
    if (!len || len > MOST_TEMPLATES)
        luaL_error(L, "prompts: 'templates' has %d entries, not 1 to %d", (int)len,
                   MOST_TEMPLATES);
    const char **v = lua_newuserdatauv(L, len * sizeof *v, 0);
    for (size_t i = 0; i < len; i++) {
        if (lua_rawgeti(L, -2, (lua_Integer)i + 1) != LUA_TSTRING)
            luaL_error(L, "prompts: templates[%d] is no string", (int)i + 1);
        v[i] = lua_tostring(L, -1); // the table keeps it alive
        lua_pop(L, 1);
    }
    *n = len;
    return v;
}

/* prompts("name"): the class name alone; "data": the templates that came with
 * the data; else a file of share/prompts. */
static int named_prompts(lua_State *L)
{
    static const char *const class_name[] = { "{c}" };
    const char *name = lua_tostring(L, 1);
    struct prompt_source s = { .name = name };
    if (!strcmp(name, "name")) {
        s.templates = class_name;
        s.n_templates = 1;
    } else if (!strcmp(name, "data")) {
        s.of_data = true;
    } else {
        lua_pushfstring(L, "share/prompts/%s.txt", name);
        s.file = strchr(name, '/') ? NULL
                                   : push_path(L, lua_tostring(L, -1), false);
        if (!s.file || !file_exists(s.file))
            return luaL_error(L, "prompts: no set '%s'; there are name, data, photo, "
                                 "photos, scenes, and tables (see scripts/lua/README.md)",
                              name);
    }
    return push_prompts(L, &s);
}

/* prompts("NAME" or {templates= | file= | sentences= | descriptors= |
 * random=, [words=], [seed=], [classes=], [merge=], [name=]}) -> prompts
 * [-1, +1, e] */
static int l_prompts(lua_State *L)
{
    static const char *const known[] = { "name", "templates", "file", "sentences",
                                         "descriptors", "random", "words", "seed",
                                         "classes", "merge", NULL };
    lua_settop(L, 1);
    if (lua_type(L, 1) == LUA_TSTRING)
        return named_prompts(L);
    luaL_checktype(L, 1, LUA_TTABLE);
    check_fields(L, 1, "prompts", known);
    struct prompt_source s = {
        .name = field_string(L, 1, "name", NULL),
        .file = path_field(L, "file"),
        .sentences = path_field(L, "sentences"),
        .descriptors = path_field(L, "descriptors"),
        .random = (uint32_t)field_number(L, 1, "random", 0, 1, 1000),
        .words = path_field(L, "words"),
        .seed = (uint64_t)field_number(L, 1, "seed", 0, 0, 9e15),
        .classes = path_field(L, "classes"),
        .merge = field_string(L, 1, "merge", NULL),
    };
    if (s.random && !s.words)
        s.words = push_path(L, "share/prompts/words.txt", true);
    s.templates = template_list(L, &s.n_templates);
    return push_prompts(L, &s);
}

/* prompts.name, .merge, .text */
static int prompts_index(lua_State *L)
{
    const struct prompts *p = eval_prompts_set(check_prompts(L, 1));
    const char *key = luaL_checkstring(L, 2);
    if (!strcmp(key, "name"))
        lua_pushstring(L, prompts_name(p));
    else if (!strcmp(key, "merge"))
        lua_pushstring(L, prompts_merge_name(p));
    else if (!strcmp(key, "text"))
        lua_pushstring(L, prompts_text(p));
    else
        return luaL_error(L, "prompts have no field '%s'; they have name, merge, text",
                          key);
    return 1;
}

static int prompts_tostring(lua_State *L)
{
    lua_pushfstring(L, "prompts %s",
                    prompts_name(eval_prompts_set(check_prompts(L, 1))));
    return 1;
}

void open_prompts(lua_State *L)
{
    static const luaL_Reg own[] = { { "prompts", l_prompts }, { NULL, NULL } };
    new_metatable(L, PROMPTS_META, prompts_index, prompts_tostring);
    luaL_setfuncs(L, own, 0);
}
