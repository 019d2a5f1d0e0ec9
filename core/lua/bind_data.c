/* SPDX-License-Identifier: MIT */
/* mohs.data.*, mohs.model: what cells are made of. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "lua/lua_state.h"

struct eval_data *check_data(lua_State *L, int i)
{
    return *(struct eval_data **)luaL_checkudata(L, i, DATA_META);
}

struct eval_model *check_model(lua_State *L, int i)
{
    return *(struct eval_model **)luaL_checkudata(L, i, MODEL_META);
}

int push_data(lua_State *L, struct dataset *d, const char *label)
{
    struct eval_data **u = lua_newuserdatauv(L, sizeof *u, 0);
    *u = eval_add_data(host_of(L)->eval, d, label);
    luaL_setmetatable(L, DATA_META);
    return 1;
}

void add_depth(lua_State *L, struct dataset *d, const char *depth)
{
    struct mohs_error err = MOHS_ERROR_INIT;
    if (!depth || dataset_depth(d, depth, &err) >= 0)
        return;
    dataset_free(d);
    raise(L, &err);
}

/* coco{images=, captions=, [depth=], [name=], [limit=],
 * [captions_per_image=]} -> data
 * [-1, +1, e] */
static int l_coco(lua_State *L)
{
    static const char *const known[] = { "images", "captions", "depth",
                                         "name", "limit",
                                         "captions_per_image", NULL };
    struct mohs_error err = MOHS_ERROR_INIT;
    struct dataset *d;
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    check_fields(L, 1, "data.coco", known);
    const char *images = field_string(L, 1, "images", NULL);
    const char *captions = field_string(L, 1, "captions", NULL);
    const char *name = field_string(L, 1, "name", NULL);
    double limit = field_number(L, 1, "limit", 0, 0, 1e12);
    double per = field_number(L, 1, "captions_per_image", 0, 0, 1e6);
    if (!images || !captions)
        return luaL_error(L, "data.coco: fields 'images' and 'captions' are needed");
    images = push_path(L, images, true);
    captions = push_path(L, captions, true);
    const char *depth = field_string(L, 1, "depth", NULL);
    if (depth)
        depth = push_path(L, depth, true);
    if (data_coco(images, captions, (uint32_t)per, (size_t)limit, &d, &err) < 0)
        return raise(L, &err);
    add_depth(L, d, depth);
    return push_data(L, d, name);
}

/* emoji_scenes{out=, [seed=], [size=], [train=], [val=], [test=],
 * [captions=]} -> out: renders the set unless it is there. [-1, +1, e] */
static int l_emoji_scenes(lua_State *L)
{
    static const char *const known[] = { "out", "seed", "size", "train", "val",
                                         "test", "captions", NULL };
    struct mohs_error err = MOHS_ERROR_INIT;
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    check_fields(L, 1, "data.emoji_scenes", known);
    struct scenes_options o = {
        .out = field_string(L, 1, "out", NULL),
        .seed = (uint64_t)field_number(L, 1, "seed", 0, 0, 9e15),
        .size_px = (uint32_t)field_number(L, 1, "size", 64, 16, 1024),
        .train = (uint32_t)field_number(L, 1, "train", 20000, 0, 1e7),
        .val = (uint32_t)field_number(L, 1, "val", 1000, 0, 1e6),
        .test = (uint32_t)field_number(L, 1, "test", 1000, 0, 1e6),
        .captions = (uint32_t)field_number(L, 1, "captions", 5, 5, 8),
    };
    if (!o.out)
        return luaL_error(L, "data.emoji_scenes: field 'out' is needed");
    if (data_emoji_scenes(&o, &err) < 0)
        return raise(L, &err);
    lua_pushstring(L, o.out);
    return 1;
}

/* tostring(data) and data.images, data.texts, data.classes, data.name */
static int data_index(lua_State *L)
{
    const struct dataset *d = eval_data_set(check_data(L, 1));
    const char *key = luaL_checkstring(L, 2);
    if (!strcmp(key, "images"))
        lua_pushinteger(L, (lua_Integer)d->n_images);
    else if (!strcmp(key, "texts"))
        lua_pushinteger(L, (lua_Integer)d->n_texts);
    else if (!strcmp(key, "classes"))
        lua_pushinteger(L, (lua_Integer)d->n_classes);
    else if (!strcmp(key, "name"))
        lua_pushstring(L, eval_data_label(check_data(L, 1)));
    else
        return luaL_error(L, "data has no field '%s'; it has images, texts, classes, name", key);
    return 1;
}

static int data_text(lua_State *L)
{
    const struct dataset *d = eval_data_set(check_data(L, 1));
    lua_pushfstring(L, "data %s (%d images, %d texts)", d->name, (int)d->n_images,
                    (int)d->n_texts);
    return 1;
}

enum { SETTINGS_MAX = 32 };

/* All other fields of the table at t as "name=value", anchored on the stack. */
static void push_settings(lua_State *L, int t, const char *settings[SETTINGS_MAX + 1])
{
    size_t n = 0;
    luaL_checkstack(L, SETTINGS_MAX + 8, "model");
    int names = lua_gettop(L) + 1;
    lua_pushnil(L);
    while (lua_next(L, t)) {
        if (lua_type(L, -2) != LUA_TSTRING || lua_istable(L, -1) ||
            lua_isfunction(L, -1))
            luaL_error(L, "model: fields are names with plain values");
        const char *key = lua_tostring(L, -2);
        if (strcmp(key, "weights") && strcmp(key, "label")) {
            if (n == SETTINGS_MAX)
                luaL_error(L, "model: more than %d parameters", SETTINGS_MAX);
            lua_pushfstring(L, "%s=%s", key, luaL_tolstring(L, -1, NULL));
            settings[n++] = lua_tostring(L, -1);
            lua_insert(L, names++);
            lua_pop(L, 1); // of luaL_tolstring
        }
        lua_pop(L, 1);
    }
    settings[n] = NULL;
}

/* model([id,] {weights=, [label=,] [parameter=..]}) -> model  [-2, +1, e] */
static int l_model(lua_State *L)
{
    const char *settings[SETTINGS_MAX + 1];
    struct mohs_error err = MOHS_ERROR_INIT;
    const char *id = NULL;
    if (lua_type(L, 1) == LUA_TSTRING) {
        lua_settop(L, 2);
        id = lua_tostring(L, 1);
    } else {
        lua_settop(L, 1);
        lua_pushnil(L);
        lua_insert(L, 1);
    }
    luaL_checktype(L, 2, LUA_TTABLE);
    push_settings(L, 2, settings);
    const char *weights = field_string(L, 2, "weights", NULL);
    const char *label = field_string(L, 2, "label", NULL);
    if (!weights) { // a field that was meant to be it says so first
        static const char *const known[] = { "weights", "label", NULL };
        check_fields(L, 2, "model", known);
        return luaL_error(L, "model: field 'weights' is needed");
    }
    weights = push_path(L, weights, true);
    struct eval_model **u = lua_newuserdatauv(L, sizeof *u, 0);
    if (eval_add_model(host_of(L)->eval, id, weights, label, settings, u,
                       &err) < 0)
        return raise(L, &err);
    luaL_setmetatable(L, MODEL_META);
    return 1;
}

static int model_index(lua_State *L)
{
    struct eval_model *m = check_model(L, 1);
    const struct mohs_model_info *info = encoder_info(eval_model_encoder(m));
    const char *key = luaL_checkstring(L, 2);
    if (!strcmp(key, "label"))
        lua_pushstring(L, eval_model_label(m));
    else if (!strcmp(key, "weights"))
        lua_pushstring(L, encoder_path(eval_model_encoder(m)));
    else if (!strcmp(key, "plugin"))
        lua_pushstring(L, encoder_item(eval_model_encoder(m))->item->id);
    else if (!strcmp(key, "embed_dim"))
        lua_pushinteger(L, info->embed_dim);
    else if (!strcmp(key, "image_size"))
        lua_pushinteger(L, info->image_width);
    else if (!strcmp(key, "classifier"))
        lua_pushboolean(L, encoder_is_classifier(eval_model_encoder(m)));
    else if (!strcmp(key, "taps")) {
        lua_newtable(L);
        for (int i = 0; info->taps && info->taps[i]; i++) {
            lua_pushstring(L, info->taps[i]);
            lua_rawseti(L, -2, i + 1);
        }
    } else {
        return luaL_error(L, "model has no field '%s'; it has label, weights, plugin, "
                             "embed_dim, image_size, classifier, taps", key);
    }
    return 1;
}

static int model_text(lua_State *L)
{
    lua_pushfstring(L, "model %s", eval_model_label(check_model(L, 1)));
    return 1;
}

void new_metatable(lua_State *L, const char *name, lua_CFunction index,
                   lua_CFunction text)
{
    luaL_newmetatable(L, name);
    lua_pushcfunction(L, index);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, text);
    lua_setfield(L, -2, "__tostring");
    lua_pushstring(L, name);
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 1);
}

void open_data(lua_State *L)
{
    static const luaL_Reg data[] = { { "coco", l_coco },
                                     { "emoji_scenes", l_emoji_scenes },
                                     { NULL, NULL } };
    static const luaL_Reg own[] = { { "model", l_model }, { NULL, NULL } };
    new_metatable(L, DATA_META, data_index, data_text);
    new_metatable(L, MODEL_META, model_index, model_text);
    luaL_setfuncs(L, own, 0);
    luaL_newlib(L, data);
    open_readers(L);
    open_class_data(L);
    lua_setfield(L, -2, "data");
    open_prompts(L);
}
