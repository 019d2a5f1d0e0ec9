/* SPDX-License-Identifier: MIT */
/* The checkpoint that model checks work on. */
#include "config.h"

#include "plugin/check_weights.h"

#include <stdlib.h>
#include <string.h>

enum { SPECS_MAX = 4096 };

static int32_t w_shape(const struct mohs_weights *w, const char *name,
                       uint32_t dims[5])
{
    for (size_t i = 0; i < w->n; i++)
        if (!strcmp(w->t[i].name, name)) {
            memcpy(dims, w->t[i].dims, w->t[i].n_dims * sizeof *dims);
            return (int32_t)w->t[i].n_dims;
        }
    return -1;
}

static mohs_status w_read(const struct mohs_weights *w, const char *name,
                          float *out, uint64_t count, struct mohs_error *err)
{
    for (size_t i = 0; i < w->n; i++)
        if (!strcmp(w->t[i].name, name)) {
            if (w->t[i].count != count)
                return mohs_fail(err, MOHS_E_ARG,
                                 "tensor %s has %llu elements, not %llu", name,
                                 (unsigned long long)w->t[i].count,
                                 (unsigned long long)count);
            memcpy(out, w->t[i].data, count * sizeof *out);
            return MOHS_OK;
        }
    return mohs_fail(err, MOHS_E_FORMAT, "no tensor %s", name);
}

static const json_t *w_at(const struct mohs_weights *w, const char *path)
{
    const json_t *j = w->config;
    while (j) {
        size_t n = strcspn(path, ".");
        char *key = xasprintf("%.*s", (int)n, path);
        int64_t index;
        j = json_is_array(j)
                ? str_to_i64(key, &index) && index >= 0
                      ? json_array_get(j, (size_t)index) : NULL
                : json_object_get(j, key);
        free(key);
        if (!path[n])
            return j;
        path += n + 1;
    }
    return NULL;
}

static int32_t w_number(const struct mohs_weights *w, const char *path,
                        double *out)
{
    const json_t *j = w_at(w, path);
    if (!j || json_is_null(j))
        return 0;
    if (!json_is_number(j))
        return -1;
    *out = json_number_value(j);
    return 1;
}

static int32_t w_string(const struct mohs_weights *w, const char *path,
                        const char **out)
{
    const json_t *j = w_at(w, path);
    if (!j || json_is_null(j))
        return 0;
    if (!json_is_string(j))
        return -1;
    *out = json_string_value(j);
    return 1;
}

static const char *w_name(const struct mohs_weights *w, uint32_t index)
{
    return index < w->n ? w->t[index].name : NULL;
}

static const char *w_path(const struct mohs_weights *w)
{
    (void)w;
    return "(check)";
}

static uint64_t spec_count(const struct mohs_weight_spec *s)
{
    uint64_t n = 1;
    for (uint32_t i = 0; i < s->n_dims; i++)
        n *= s->dims[i];
    return n;
}

/* This checkpoint has every parameter under its own name. */
static mohs_status w_fits(const struct mohs_weights *w,
                          const struct mohs_weight_spec *s,
                          struct mohs_error *err)
{
    uint32_t dims[5];
    int32_t n = w_shape(w, s->name, dims);
    if (n >= 0 && (uint32_t)n == s->n_dims &&
        !memcmp(dims, s->dims, s->n_dims * sizeof *dims))
        return MOHS_OK;
    return mohs_fail(err, MOHS_E_FORMAT, n < 0 ? "no tensor %s"
                     : "tensor %s has another shape", s->name);
}

static mohs_status w_read_param(const struct mohs_weights *w,
                                const struct mohs_weight_spec *s, float *out,
                                struct mohs_error *err)
{
    return w_read(w, s->name, out, spec_count(s), err);
}

const struct mohs_weights_api tiny_weights_api = {
    .size = sizeof tiny_weights_api,
    .shape = w_shape,
    .read = w_read,
    .config_number = w_number,
    .config_string = w_string,
    .name = w_name,
    .path = w_path,
    .fits = w_fits,
    .read_param = w_read_param,
};

/* One tower in the keys of transformers. */
static json_t *tiny_tower(bool text)
{
    json_t *o = json_pack("{s:i, s:i, s:i, s:i, s:s, s:f, s:i}", "hidden_size",
                          16, "intermediate_size", 32, "num_hidden_layers", 2,
                          "num_attention_heads", 2, "hidden_act", "quick_gelu",
                          "layer_norm_eps", 1e-5, "projection_dim", 12);
    json_t *own =
        text ? json_pack("{s:i, s:i, s:i, s:i, s:i}", "vocab_size", TINY_VOCAB,
                         "max_position_embeddings", TINY_CONTEXT,
                         "bos_token_id", TINY_VOCAB - 2, "eos_token_id",
                         TINY_VOCAB - 1, "pad_token_id", TINY_VOCAB - 1)
             : json_pack("{s:i, s:i, s:i, s:i, s:[i,i,i,i], s:[i,i,i,i]}",
                         "image_size", TINY_IMAGE, "patch_size", 8,
                         "num_channels", 3, "embedding_size", 16, "depths", 1,
                         1, 1, 1, "hidden_sizes", 16, 32, 48, 64);
    json_object_update(o, own);
    json_decref(own);
    return o;
}

/* Two towers; the keys of a model that is one image tower are on top. */
static json_t *tiny_config(const char *id)
{
    json_t *o = tiny_tower(false);
    json_object_set_new(o, "model_type", json_string(id));
    json_object_set_new(o, "logit_scale_init_value", json_real(2.6592));
    json_object_set_new(o, "vision_config", tiny_tower(false));
    json_object_set_new(o, "text_config", tiny_tower(true));
    return o;
}

void tiny_open(struct mohs_weights *w, const char *id)
{
    memset(w, 0, sizeof *w);
    w->config = tiny_config(id);
}

void tiny_close(struct mohs_weights *w)
{
    for (size_t i = 0; i < w->n; i++) {
        free(w->t[i].name);
        free(w->t[i].data);
    }
    free(w->t);
    json_decref(w->config);
}

mohs_status tiny_take(void *user, const struct mohs_weight_spec *s,
                      struct mohs_error *err)
{
    struct mohs_weights *w = user;
    uint32_t seen[MOHS_DIMS_MAX];
    if (!s->name || !*s->name || s->n_dims > MOHS_DIMS_MAX || w->n == SPECS_MAX)
        return mohs_fail(err, MOHS_E_PLUGIN,
                         "describe: parameter %zu has no name or %u dims", w->n,
                         s->n_dims);
    if (w_shape(w, s->name, seen) >= 0)
        return mohs_fail(err, MOHS_E_PLUGIN, "describe: %s is there twice",
                         s->name);
    struct tiny_tensor t = { .n_dims = s->n_dims, .count = 1 };
    for (uint32_t i = 0; i < s->n_dims; i++) {
        t.dims[i] = s->dims[i];
        t.count *= s->dims[i];
    }
    if (!t.count || t.count > 1 << 24)
        return mohs_fail(err, MOHS_E_PLUGIN, "describe: %s has %llu elements",
                         s->name, (unsigned long long)t.count);
    t.fixed = MOHS_HAS(struct mohs_weight_spec, s, fixed);
    t.name = xstrdup(s->name);
    t.data = xcalloc((size_t)t.count, sizeof *t.data);
    for (uint64_t i = 0; i < t.count; i++)
        t.data[i] = s->init == MOHS_INIT_CONSTANT
                        ? s->scale + 0.05f * mohs_rng_normal(3, w->n, i)
                        : (s->scale > 0.05f ? s->scale : 0.05f) *
                              mohs_rng_normal(3, w->n, i);
    w->t = xrealloc(w->t, (w->n + 1) * sizeof *w->t);
    w->t[w->n++] = t;
    return MOHS_OK;
}
