/* SPDX-License-Identifier: MIT */
/*
 * State on disk: a safetensors file with parameters, moments and averages in
 * full precision, the step and the options' hash in its metadata. Written
 * whole and renamed, so a killed run finds the last good one.
 */
#include "config.h"

#include <jansson.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "train/trainer.h"

const char *const curve_names[CURVES] = { "loss", "adversarial loss", "learning rate",
                                          "gradient norm", "logit scale",
                                          "validation i2t R@1",
                                          "validation t2i R@1" };

/* ---- the training curve ---- */

void curve_add(struct curve *c, uint32_t step, const double y[CURVES])
{
    if (c->n == c->cap) {
        c->cap = c->cap ? 2 * c->cap : 64;
        c->x = xrealloc(c->x, c->cap * sizeof *c->x);
        for (int k = 0; k < CURVES; k++)
            c->y[k] = xrealloc(c->y[k], c->cap * sizeof *c->y[k]);
    }
    c->x[c->n] = step;
    for (int k = 0; k < CURVES; k++)
        c->y[k][c->n] = y[k];
    c->n++;
}

char *curve_json(const struct curve *c)
{
    struct str s = { 0 };
    str_add(&s, "{\"xlabel\":\"step\",\"x\":[");
    for (size_t i = 0; i < c->n; i++)
        str_addf(&s, "%s%u", i ? "," : "", c->x[i]);
    str_add(&s, "],\"y\":{");
    for (int k = 0; k < CURVES; k++) {
        str_addf(&s, "%s\"%s\":[", k ? "," : "", curve_names[k]);
        for (size_t i = 0; i < c->n; i++)
            if (isfinite(c->y[k][i]))
                str_addf(&s, "%s%.9g", i ? "," : "", c->y[k][i]);
            else
                str_add(&s, i ? ",null" : "null");
        str_add(&s, "]");
    }
    str_add(&s, "}}");
    return s.s;
}

static void curve_parse(struct curve *c, const char *text)
{
    json_t *root = text ? json_loads(text, 0, NULL) : NULL, *x, *y;
    x = json_object_get(root, "x");
    y = json_object_get(root, "y");
    for (size_t i = 0; i < json_array_size(x); i++) {
        double row[CURVES];
        for (int k = 0; k < CURVES; k++) {
            const json_t *v = json_array_get(json_object_get(y, curve_names[k]), i);
            row[k] = json_is_number(v) ? json_number_value(v) : NAN;
        }
        curve_add(c, (uint32_t)json_integer_value(json_array_get(x, i)), row);
    }
    json_decref(root);
}

void curve_free(struct curve *c)
{
    free(c->x);
    for (int k = 0; k < CURVES; k++)
        free(c->y[k]);
    memset(c, 0, sizeof *c);
}

/* ---- where a run stands ---- */

static char *state_path(const struct train_options *o)
{
    return xasprintf("%s.ckpt", o->out);
}

/* What runs with equal options but for the adversary share until o->fork. */
static struct hash128 fork_hash(const struct train_options *o)
{
    struct train_options clean = *o;
    clean.attack.kind = ADVERSARY_NONE;
    return train_hash(&clean);
}

static char *fork_path(const struct train_options *o)
{
    char hex[33], *dir = path_dir(o->out);
    hash_hex(fork_hash(o), hex);
    char *path = xasprintf("%s/%s-%u.fork", dir, hex, o->fork);
    free(dir);
    return path;
}

bool checkpoint_done(const struct train_options *o, char **curve)
{
    struct mohs_weights *w = NULL;
    char want[33];
    hash_hex(train_hash(o), want);
    if (!file_exists(o->out) || weights_open(o->out, &w, NULL) < 0)
        return false;
    const char *have = weights_meta(w, "train_hash"), *c = weights_meta(w, "curve");
    bool done = have && !strcmp(have, want);
    if (done)
        *curve = xstrdup(c ? c : "{\"xlabel\":\"step\",\"x\":[],\"y\":{}}");
    weights_close(w);
    return done;
}

/* ---- saving ---- */

static mohs_status put_buffer(struct mohs_weights *w, const struct params *p, size_t i,
                              char tag, struct mohs_buffer *b, float *room,
                              struct mohs_error *err)
{
    uint32_t dims[MOHS_DIMS_MAX], n = params_shape(p, i, dims);
    RET_IF_ERR(buffer_read(b, 0, room, buffer_bytes(b), err));
    char *name = xasprintf("%c/%s", tag, params_name(p, i));
    mohs_status st = weights_put(w, name, n, dims, room, err);
    free(name);
    return st;
}

static size_t widest(const struct params *p)
{
    size_t most = 1;
    for (size_t i = 0; i < params_count(p); i++) {
        uint32_t dims[MOHS_DIMS_MAX], n = params_shape(p, i, dims);
        size_t c = 1;
        for (uint32_t k = 0; k < n; k++)
            c *= dims[k];
        most = c > most ? c : most;
    }
    return most;
}

static mohs_status save_state(struct trainer *t, const char *path, struct hash128 of,
                              struct mohs_error *err)
{
    struct params *p = t->s.params;
    struct mohs_weights *w = NULL;
    float *room = try_calloc(widest(p), sizeof *room, "a checkpoint", err);
    char hash[33], step[16], *curve = curve_json(&t->curve);
    mohs_status st = room ? weights_new("{}", NULL, NULL, &w, err) : MOHS_E_NOMEM;
    for (size_t i = 0; st >= 0 && i < params_count(p); i++) {
        st = put_buffer(w, p, i, 'p', params_buffer(p, i), room, err);
        if (st >= 0)
            st = put_buffer(w, p, i, 'm', t->m[i], room, err);
        if (st >= 0)
            st = put_buffer(w, p, i, 'v', t->v[i], room, err);
        if (st >= 0 && t->average)
            st = put_buffer(w, p, i, 'e', params_buffer(t->average, i), room, err);
    }
    hash_hex(of, hash);
    snprintf(step, sizeof step, "%u", t->step);
    const char *meta[] = { "train_hash", hash, "step", step, "curve", curve, NULL, NULL };
    if (st >= 0)
        st = weights_save(w, path, false, meta, err);
    weights_close(w);
    free(room);
    free(curve);
    return st;
}

mohs_status checkpoint_save(struct trainer *t, struct mohs_error *err)
{
    char *path = state_path(t->o);
    mohs_status st = save_state(t, path, train_hash(t->o), err);
    free(path);
    return st;
}

mohs_status checkpoint_fork(struct trainer *t, struct mohs_error *err)
{
    char *path = fork_path(t->o);
    mohs_status st = save_state(t, path, fork_hash(t->o), err);
    free(path);
    return st;
}

static mohs_status get_buffer(const struct mohs_weights *w, const struct params *p,
                              size_t i, char tag, struct mohs_buffer *b, float *room,
                              struct mohs_error *err)
{
    char *name = xasprintf("%c/%s", tag, params_name(p, i));
    mohs_status st = weights_api.read(w, name, room, buffer_bytes(b) / sizeof *room, err);
    free(name);
    return st < 0 ? st : buffer_write(b, 0, room, buffer_bytes(b), err);
}

static mohs_status load_state(struct trainer *t, const char *path, struct hash128 of,
                              struct mohs_error *err)
{
    struct params *p = t->s.params;
    struct mohs_weights *w = NULL;
    float *room = NULL;
    char want[33];
    int64_t step = 0;
    mohs_status st = MOHS_OK;
    if (!file_exists(path))
        goto out;
    st = weights_open(path, &w, err);
    if (st < 0) {
        err_prefix(err, st, "%s is damaged; remove it to start anew", path);
        goto out;
    }
    hash_hex(of, want);
    const char *have = weights_meta(w, "train_hash"), *at = weights_meta(w, "step");
    if (!have || strcmp(have, want) || !at || !str_to_i64(at, &step) || step < 0 ||
        step > t->o->steps) {
        log_warn("%s: of a run with other options; starting anew", path);
        goto out;
    }
    room = try_calloc(widest(p), sizeof *room, "a checkpoint", err);
    st = room ? MOHS_OK : MOHS_E_NOMEM;
    for (size_t i = 0; st >= 0 && i < params_count(p); i++) {
        st = get_buffer(w, p, i, 'p', params_buffer(p, i), room, err);
        params_touch(p, i);
        if (st >= 0)
            st = get_buffer(w, p, i, 'm', t->m[i], room, err);
        if (st >= 0)
            st = get_buffer(w, p, i, 'v', t->v[i], room, err);
        if (st >= 0 && t->average) {
            st = get_buffer(w, p, i, 'e', params_buffer(t->average, i), room, err);
            params_touch(t->average, i);
        }
    }
    if (st >= 0) {
        t->step = (uint32_t)step;
        curve_parse(&t->curve, weights_meta(w, "curve"));
        st = 1;
    }
out:
    weights_close(w);
    free(room);
    return st;
}

mohs_status checkpoint_load(struct trainer *t, struct mohs_error *err)
{
    char *path = state_path(t->o);
    mohs_status st = load_state(t, path, train_hash(t->o), err);
    free(path);
    if (st || !t->o->fork)
        return st;
    path = fork_path(t->o);
    st = load_state(t, path, fork_hash(t->o), err);
    free(path);
    return st;
}

mohs_status checkpoint_finish(struct trainer *t, struct mohs_error *err)
{
    struct params *p = t->average ? t->average : t->s.params;
    float *room = try_calloc(widest(p), sizeof *room, "a checkpoint", err);
    char hash[33], seed[24], *curve = curve_json(&t->curve), *path = state_path(t->o);
    mohs_status st = room ? MOHS_OK : MOHS_E_NOMEM;
    for (size_t i = 0; st >= 0 && i < params_count(p); i++) {
        uint32_t dims[MOHS_DIMS_MAX], n = params_shape(p, i, dims);
        struct mohs_buffer *b = params_buffer(p, i);
        st = buffer_read(b, 0, room, buffer_bytes(b), err);
        if (st >= 0)
            st = weights_put(t->weights, params_name(p, i), n, dims, room, err);
    }
    hash_hex(train_hash(t->o), hash);
    snprintf(seed, sizeof seed, "%llu", (unsigned long long)t->o->seed);
    const char *meta[] = { "train_hash", hash, "seed", seed, "made_by",
                           "mohs " PACKAGE_VERSION, "curve", curve, NULL, NULL };
    if (st >= 0)
        st = weights_save(t->weights, t->o->out, t->o->f16, meta, err);
    if (st >= 0)
        unlink(path);
    free(room);
    free(curve);
    free(path);
    return st;
}
