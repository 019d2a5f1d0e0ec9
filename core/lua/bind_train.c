/* SPDX-License-Identifier: MIT */
/* mohs.train and mohs.tokenizer: making models in a recipe. */
#include "config.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "graph/optim.h"
#include "lua/lua_state.h"
#include "model/model.h"
#include "train/train.h"

enum { DEPTH_MAX = 16 };

/* ---- Lua values as JSON ---- */

static void add_value(lua_State *L, int i, struct str *out, int depth);

static bool is_array(lua_State *L, int t)
{
    return lua_rawlen(L, t) > 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Keys in byte order, so that one table has one text. */
static void add_object(lua_State *L, int t, struct str *out, int depth)
{
    const char *key[256];
    size_t n = 0;
    for (lua_pushnil(L); lua_next(L, t); lua_pop(L, 1))
        if (lua_type(L, -2) == LUA_TSTRING && n < 256)
            key[n++] = lua_tostring(L, -2);
    qsort(key, n, sizeof *key, by_name);
    str_add(out, "{");
    for (size_t i = 0; i < n; i++) {
        str_add(out, i ? "," : "");
        str_add_json(out, key[i]);
        str_add(out, ":");
        lua_getfield(L, t, key[i]);
        add_value(L, lua_gettop(L), out, depth + 1);
        lua_pop(L, 1);
    }
    str_add(out, "}");
}

static void add_value(lua_State *L, int i, struct str *out, int depth)
{
    switch (depth > DEPTH_MAX ? LUA_TNIL : lua_type(L, i)) {
    case LUA_TBOOLEAN: str_add(out, lua_toboolean(L, i) ? "true" : "false"); break;
    case LUA_TSTRING: str_add_json(out, lua_tostring(L, i)); break;
    case LUA_TNUMBER:
        if (lua_isinteger(L, i))
            str_addf(out, "%lld", (long long)lua_tointeger(L, i));
        else
            str_addf(out, "%.17g", lua_tonumber(L, i));
        break;
    case LUA_TTABLE:
        if (!is_array(L, i)) {
            add_object(L, i, out, depth);
            break;
        }
        str_add(out, "[");
        for (lua_Integer k = 1; k <= (lua_Integer)lua_rawlen(L, i); k++) {
            str_add(out, k > 1 ? "," : "");
            lua_rawgeti(L, i, k);
            add_value(L, lua_gettop(L), out, depth + 1);
            lua_pop(L, 1);
        }
        str_add(out, "]");
        break;
    default: str_add(out, "null");
    }
}

/* Pushes the JSON text of field `name`, a table or already a text; or nil. */
static const char *push_json(lua_State *L, int t, const char *name)
{
    int type = lua_getfield(L, t, name);
    if (type == LUA_TTABLE) {
        struct str s = { 0 };
        luaL_checkstack(L, 4 * DEPTH_MAX, "config");
        add_value(L, lua_gettop(L), &s, 0);
        lua_pushlstring(L, s.s, s.n);
        str_free(&s);
        lua_remove(L, -2);
    } else if (type != LUA_TSTRING && type != LUA_TNIL) {
        luaL_error(L, "train: '%s' must be a table or a JSON text", name);
    }
    return lua_tostring(L, -1);
}

/* ---- tokenizer ---- */

/* tokenizer{data=, [size=]} -> text, entries  [-1, +2, e]: learns a byte-level
 * BPE from the captions of a data set. */
static int l_tokenizer(lua_State *L)
{
    static const char *const known[] = { "data", "size", NULL };
    struct mohs_error err = MOHS_ERROR_INIT;
    char *json;
    struct tokenizer *t;
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    check_fields(L, 1, "tokenizer", known);
    uint32_t size = (uint32_t)field_number(L, 1, "size", 2048, 514, 1 << 20);
    lua_getfield(L, 1, "data");
    const struct dataset *d = eval_data_set(check_data(L, -1));
    const char **text = xcalloc(d->n_texts, sizeof *text);
    for (size_t i = 0; i < d->n_texts; i++)
        text[i] = d->text[i].text;
    mohs_status st = tokenizer_train(text, d->n_texts, size, &json, &err);
    free(text);
    if (st < 0)
        return raise(L, &err);
    st = tokenizer_parse(json, strlen(json), "tokenizer", &t, &err);
    uint32_t entries = st < 0 ? 0 : tokenizer_size(t);
    if (st >= 0)
        tokenizer_free(t);
    lua_pushstring(L, json);
    free(json);
    if (st < 0)
        return raise(L, &err);
    lua_pushinteger(L, entries);
    return 2;
}

/* ---- train ---- */

static enum train_adversary adversary_kind(lua_State *L, const char *s)
{
    if (!strcmp(s, "gradient"))
        return ADVERSARY_GRADIENT;
    if (!strcmp(s, "noise"))
        return ADVERSARY_NOISE;
    luaL_error(L, "adversary: kind '%s'; there are gradient and noise", s);
    return ADVERSARY_NONE;
}

/* adversary = { attack = mohs.attack(...) }: its taps are those that it names.
 * *item is the caller's to free. */
static void read_plugin(lua_State *L, int t, struct train_attack *a,
                        struct eval_item *item)
{
    static const char *const known[] = { "attack", "kl", "clean", "start", NULL };
    check_fields(L, t, "adversary", known);
    a->kl = (float)field_number(L, t, "kl", 0, 0, 1000);
    a->clean = (float)field_number(L, t, "clean", a->clean, 0, 1000);
    a->start = (uint32_t)field_number(L, t, "start", 0, 0, 1e9);
    lua_getfield(L, t, "attack");
    check_item(L, -1, "attack", item);
    lua_pop(L, 1);
    const char *tap = item_param_string(item->item, item->params, "tap");
    a->kind = ADVERSARY_PLUGIN;
    a->taps = tap ? tap : "pixels";
    a->plugin = item->item;
    a->params = item->params;
}

static void read_adversary(lua_State *L, int t, struct train_attack *a)
{
    static const char *const known[] = { "kind", "taps", "norm", "per_sample", "eps",
                                         "alpha", "steps", "kl", "random_start",
                                         "alternate", "average", "start", "ramp", "clean",
                                         NULL };
    check_fields(L, t, "adversary", known);
    a->kind = adversary_kind(L, field_string(L, t, "kind", "gradient"));
    a->taps = field_string(L, t, "taps", a->taps);
    const char *norm = field_string(L, t, "norm", "l2");
    if (strcmp(norm, "l2") && strcmp(norm, "linf"))
        luaL_error(L, "adversary: norm '%s'; there are l2 and linf", norm);
    a->norm = strcmp(norm, "l2") ? BALL_LINF : BALL_L2;
    a->per_sample = field_bool(L, t, "per_sample", false);
    a->eps = (float)field_number(L, t, "eps", a->eps, 0, 100);
    a->alpha = (float)field_number(L, t, "alpha", 0, 0, 100);
    a->steps = (uint32_t)field_number(L, t, "steps", 1, 1, 1000);
    a->kl = (float)field_number(L, t, "kl", 0, 0, 1000);
    a->random_start = field_bool(L, t, "random_start", false);
    a->alternate = field_bool(L, t, "alternate", false);
    a->clean = (float)field_number(L, t, "clean", a->clean, 0, 1000);
    a->average = field_bool(L, t, "average", false);
    a->start = (uint32_t)field_number(L, t, "start", 0, 0, 1e9);
    a->ramp = (uint32_t)field_number(L, t, "ramp", 0, 0, 1e9);
}

static enum train_loss loss_kind(lua_State *L, const char *s)
{
    static const char *const names[] = { "clip", "sigmoid", "tecoa", "fare" };
    for (int i = 0; i < (int)(sizeof names / sizeof *names); i++)
        if (!strcmp(s, names[i]))
            return (enum train_loss)i;
    luaL_error(L, "train: loss '%s'; there are clip, sigmoid, tecoa and fare", s);
    return TRAIN_CLIP;
}

static void read_numbers(lua_State *L, int t, struct train_options *o)
{
    o->steps = (uint32_t)field_number(L, t, "steps", o->steps, 1, 1e9);
    o->batch = (uint32_t)field_number(L, t, "batch", o->batch, 2, 65536);
    o->warmup = (uint32_t)field_number(L, t, "warmup", o->warmup, 0, 1e9);
    o->lr = (float)field_number(L, t, "lr", o->lr, 0, 10);
    o->beta1 = (float)field_number(L, t, "beta1", o->beta1, 0, 1);
    o->beta2 = (float)field_number(L, t, "beta2", o->beta2, 0, 1);
    o->eps = (float)field_number(L, t, "eps", o->eps, 0, 1);
    o->decay = (float)field_number(L, t, "weight_decay", o->decay, 0, 10);
    o->clip_norm = (float)field_number(L, t, "clip_norm", o->clip_norm, 0, 1e9);
    o->ema = (float)field_number(L, t, "ema", o->ema, 0, 1);
    o->crop_min = (float)field_number(L, t, "crop", o->crop_min, 0.05, 1);
    o->flip = field_bool(L, t, "flip", o->flip);
    o->f16 = field_bool(L, t, "f16", o->f16);
    o->seed = (uint64_t)field_number(L, t, "seed", (double)host_of(L)->eo.seed, 0, 9e15);
    o->log_every = (uint32_t)field_number(L, t, "log_every", o->log_every, 0, 1e9);
    o->validate_every =
        (uint32_t)field_number(L, t, "validate_every", o->validate_every, 0, 1e9);
    o->checkpoint_every =
        (uint32_t)field_number(L, t, "checkpoint_every", o->checkpoint_every, 0, 1e9);
    o->fork = (uint32_t)field_number(L, t, "fork", 0, 0, 1e9);
    o->loss = loss_kind(L, field_string(L, t, "loss", "clip"));
}

static mohs_status store_curve(struct lua_host *h, const struct train_options *o,
                               const struct train_result *res, const char *label,
                               struct mohs_error *err)
{
    char seed[24], steps[16], hex[33];
    hash_hex(train_hash(o), hex);
    snprintf(seed, sizeof seed, "%llu", (unsigned long long)o->seed);
    snprintf(steps, sizeof steps, "%u", o->steps);
    struct result_pair axis[] = { { "model", label }, { "data", o->data->name },
                                  { "metric", "training" } };
    struct result_pair prov[] = { { "train_hash", hex }, { "seed", seed },
                                  { "steps", steps }, { "mohs", PACKAGE_VERSION } };
    struct result_artefact art = { "curve:training", "application/json", res->curve,
                                   strlen(res->curve) };
    struct result_cell cell = { .hash = train_hash(o), .axis = axis, .n_axes = 3,
                                .provenance = prov, .n_provenance = 4,
                                .artefact = &art, .n_artefacts = 1,
                                .seconds = res->seconds };
    return eval_store(h->eval, &cell, err);
}

/* Pushes what the recipe leaves out and the checkpoint at o->init holds:
 * configuration, tokenizer, preprocessing. [-0, +3, e] */
static void push_parts(lua_State *L, struct train_options *o)
{
    struct mohs_error err = MOHS_ERROR_INIT;
    struct mohs_weights *w;
    if (weights_open(o->init, &w, &err) < 0)
        raise(L, &err);
    const char *part[] = { weights_config(w), weights_tokenizer(w),
                           weights_preprocessor(w) };
    const char **to[] = { &o->config, &o->tokenizer, &o->preprocessor };
    luaL_checkstack(L, 3, "train");
    for (int i = 0; i < 3; i++) {
        lua_pushstring(L, part[i]); // NULL: nil
        if (!*to[i])
            *to[i] = lua_tostring(L, -1);
    }
    weights_close(w);
}

/* train{...} -> path of the checkpoint  [-1, +1, e]: trains, resumes, or finds
 * it done. */
static int l_train(lua_State *L)
{
    static const char *const known[] = {
        "model", "config", "tokenizer", "preprocessor", "init", "data", "validate", "out",
        "f16", "steps", "batch", "warmup", "lr", "beta1", "beta2", "eps", "weight_decay",
        "clip_norm", "ema", "seed", "loss", "prompt", "crop", "flip", "log_every",
        "validate_every", "checkpoint_every", "fork", "adversary", "label", NULL };
    struct lua_host *h = host_of(L);
    struct mohs_error err = MOHS_ERROR_INIT;
    struct train_options o;
    struct train_result res;
    struct eval_item item = { 0 };
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    check_fields(L, 1, "train", known);
    train_defaults(&o);
    read_numbers(L, 1, &o);
    o.model = field_string(L, 1, "model", o.model);
    o.out = field_string(L, 1, "out", NULL);
    const char *label = field_string(L, 1, "label", NULL);
    o.prompt = field_string(L, 1, "prompt", o.prompt);
    o.config = push_json(L, 1, "config");
    o.tokenizer = push_json(L, 1, "tokenizer");
    o.preprocessor = push_json(L, 1, "preprocessor");
    if (lua_getfield(L, 1, "init") != LUA_TNIL) {
        o.init = push_path(L, luaL_checkstring(L, -1), true);
        push_parts(L, &o);
    }
    if (lua_getfield(L, 1, "data") == LUA_TNIL)
        return luaL_error(L, "train: field 'data' is needed");
    o.data = eval_data_set(check_data(L, -1));
    if (lua_getfield(L, 1, "validate") != LUA_TNIL)
        o.validate = eval_data_set(check_data(L, -1));
    if (!o.out)
        return luaL_error(L, "train: field 'out' is needed");
    int t = lua_gettop(L) + 1;
    int adversary = lua_getfield(L, 1, "adversary");
    if (adversary == LUA_TTABLE && lua_getfield(L, t, "attack") != LUA_TNIL)
        read_plugin(L, t, &o.attack, &item); // nothing raises from here on
    else if (adversary == LUA_TTABLE)
        read_adversary(L, t, &o.attack);
    else if (adversary != LUA_TNIL)
        return luaL_error(L, "train: 'adversary' must be a table");
    if (h->o.plan) {
        printf("train %s: %u steps of %u%s\n", o.out, o.steps, o.batch,
               o.attack.kind == ADVERSARY_NONE ? "" : ", adversarial");
    } else {
        mohs_status st = train_run(h->registry, &o, &res, &err);
        if (st < 0 && item.item)
            item_params_free(item.item, item.params);
        if (st < 0)
            return raise(L, &err);
        if (res.steps)
            log_info("%s: %u steps in %.0f s, %.2f s each; peak device memory %.1f MiB",
                     o.out, res.steps, res.seconds, res.seconds / res.steps,
                     (double)res.peak_bytes / (1 << 20));
        char *stem = path_stem(o.out);
        st = store_curve(h, &o, &res, label ? label : stem, &err);
        free(stem);
        free(res.curve);
        if (st < 0 && item.item)
            item_params_free(item.item, item.params);
        if (st < 0)
            return raise(L, &err);
    }
    if (item.item)
        item_params_free(item.item, item.params);
    lua_pushstring(L, o.out);
    return 1;
}

void open_train(lua_State *L)
{
    static const luaL_Reg own[] = { { "train", l_train }, { "tokenizer", l_tokenizer },
                                    { NULL, NULL } };
    luaL_setfuncs(L, own, 0);
}
