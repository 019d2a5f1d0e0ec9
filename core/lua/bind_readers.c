/* SPDX-License-Identifier: MIT */
/* mohs.data.*: the readers of files that others wrote. */
#include "config.h"

#include <string.h>

#include "lua/lua_state.h"

/* Path field `name` of the table at 1, which must be there if `must`; the
 * string stays on the stack. */
static const char *field_path(lua_State *L, const char *what, const char *name, bool must)
{
    const char *s = field_string(L, 1, name, NULL);
    if (!s && must)
        luaL_error(L, "%s: field '%s' is needed", what, name);
    return s ? push_path(L, s, true) : NULL;
}

static void begin(lua_State *L, const char *what, const char *const *known)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    check_fields(L, 1, what, known);
}

static size_t field_limit(lua_State *L)
{
    return (size_t)field_number(L, 1, "limit", 0, 0, 1e12);
}

static uint32_t field_captions(lua_State *L)
{
    return (uint32_t)field_number(L, 1, "captions_per_image", 0, 0, 1e6);
}

/* karpathy{images=, captions=, [split=], [name=], [limit=],
 * [captions_per_image=]} -> data  [-1, +1, e] */
static int l_karpathy(lua_State *L)
{
    static const char *const known[] = { "images", "captions", "split", "name", "limit",
                                         "captions_per_image", NULL };
    struct mohs_error err = MOHS_ERROR_INIT;
    struct dataset *d;
    begin(L, "data.karpathy", known);
    const char *name = field_string(L, 1, "name", NULL);
    struct karpathy_options o = {
        .images = field_path(L, "data.karpathy", "images", true),
        .json = field_path(L, "data.karpathy", "captions", true),
        .split = field_string(L, 1, "split", NULL),
        .captions_per_image = field_captions(L),
        .limit = field_limit(L),
    };
    if (data_karpathy(&o, &d, &err) < 0)
        return raise(L, &err);
    return push_data(L, d, name);
}

/* csv{file=, [images=], [separator=], [header=], [quotes=], [image=], [text=],
 * [label=], [name=], [limit=], [captions_per_image=]} -> data  [-1, +1, e] */
static int l_csv(lua_State *L)
{
    static const char *const known[] = { "file", "images", "separator", "header", "quotes",
                                         "image", "text", "label", "name", "limit",
                                         "captions_per_image", NULL };
    struct mohs_error err = MOHS_ERROR_INIT;
    struct dataset *d;
    begin(L, "data.csv", known);
    const char *name = field_string(L, 1, "name", NULL);
    const char *separator = field_string(L, 1, "separator", NULL);
    if (separator && (strlen(separator) != 1 || strchr("\"\r\n", *separator) ||
                      (unsigned char)*separator > 126))
        return luaL_error(L, "data.csv: 'separator' is one character, such as \",\"");
    struct csv_options o = {
        .file = field_path(L, "data.csv", "file", true),
        .images = field_path(L, "data.csv", "images", false),
        .separator = separator ? *separator : 0,
        .header = field_bool(L, 1, "header", true),
        .no_quotes = !field_bool(L, 1, "quotes", true),
        .image = field_string(L, 1, "image", NULL),
        .text = field_string(L, 1, "text", NULL),
        .label = field_string(L, 1, "label", NULL),
        .captions_per_image = field_captions(L),
        .limit = field_limit(L),
    };
    if (data_csv(&o, &d, &err) < 0)
        return raise(L, &err);
    return push_data(L, d, name);
}

/* parquet{path=, [split=], [image=], [text=], [label=], [name=], [limit=],
 * [captions_per_image=]} -> data  [-1, +1, e] */
static int l_parquet(lua_State *L)
{
    static const char *const known[] = { "path", "split", "image", "text", "label", "name",
                                         "limit", "captions_per_image", NULL };
    struct mohs_error err = MOHS_ERROR_INIT;
    struct dataset *d;
    begin(L, "data.parquet", known);
    const char *name = field_string(L, 1, "name", NULL);
    struct parquet_options o = {
        .path = field_path(L, "data.parquet", "path", true),
        .split = field_string(L, 1, "split", NULL),
        .image = field_string(L, 1, "image", NULL),
        .text = field_string(L, 1, "text", NULL),
        .label = field_string(L, 1, "label", NULL),
        .captions_per_image = field_captions(L),
        .limit = field_limit(L),
    };
    if (data_parquet(&o, &d, &err) < 0)
        return raise(L, &err);
    return push_data(L, d, name);
}

/* embeddings{image=, text=, [owner=], [label=], [model=], [name=],
 * [logit_scale=], [logit_bias=]} -> data  [-1, +1, e] */
static int l_embeddings(lua_State *L)
{
    static const char *const known[] = { "image", "text", "owner", "label", "model", "name",
                                         "logit_scale", "logit_bias", NULL };
    static const char *const file[] = { "image", "text", "owner", "label" };
    struct mohs_error err = MOHS_ERROR_INIT;
    struct dataset *d;
    const char *path[4];
    begin(L, "data.embeddings", known);
    for (int i = 0; i < 4; i++) { // FILE:TENSOR is no path, so none is asked for
        path[i] = field_string(L, 1, file[i], NULL);
        if (!path[i] && i < 2)
            return luaL_error(L, "data.embeddings: field '%s' is needed", file[i]);
        if (path[i])
            path[i] = push_path(L, path[i], false);
    }
    const char *name = field_string(L, 1, "name", NULL);
    struct embeddings_options o = {
        .image = path[0],
        .text = path[1],
        .owner = path[2],
        .label = path[3],
        .model = field_string(L, 1, "model", NULL),
        .logit_scale = (float)field_number(L, 1, "logit_scale", 100, 0, 1e6),
        .logit_bias = (float)field_number(L, 1, "logit_bias", 0, -1e6, 1e6),
    };
    if (eval_embeddings(&o, &d, &err) < 0)
        return raise(L, &err);
    return push_data(L, d, name);
}

/* webdataset{dir=, [split=], [name=], [limit=], [captions_per_image=]} -> data
 * [-1, +1, e] */
static int l_webdataset(lua_State *L)
{
    static const char *const known[] = { "dir", "split", "name", "limit",
                                         "captions_per_image", NULL };
    struct mohs_error err = MOHS_ERROR_INIT;
    struct dataset *d;
    begin(L, "data.webdataset", known);
    const char *name = field_string(L, 1, "name", NULL);
    struct webdataset_options o = {
        .dir = field_path(L, "data.webdataset", "dir", true),
        .split = field_string(L, 1, "split", NULL),
        .captions_per_image = field_captions(L),
        .limit = field_limit(L),
    };
    if (data_webdataset(&o, &d, &err) < 0)
        return raise(L, &err);
    return push_data(L, d, name);
}

void open_readers(lua_State *L)
{
    static const luaL_Reg own[] = {
        { "csv", l_csv },
        { "embeddings", l_embeddings },
        { "karpathy", l_karpathy },
        { "parquet", l_parquet },
        { "webdataset", l_webdataset },
        { NULL, NULL },
    };
    luaL_setfuncs(L, own, 0);
}
