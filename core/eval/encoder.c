/* SPDX-License-Identifier: MIT */
/* Opens a checkpoint with its plugin and runs its towers in micro-batches. */
#include "config.h"

#include "eval/encoder.h"
#include "eval/vocabulary.h"

#include <stdlib.h>
#include <string.h>

#include <mohs/ext/classifier.h>

#include "eval/classes.h"

enum { DEFAULT_BATCH = 64, TEXT_STEP = 8 };

/* The one graph kept per tower. */
struct kept {
    struct tower_graph t;
    char *tap; /* NULL: embedding */
    struct tensor *out;
    uint64_t out_count; /* floats per sample of `out` */
};

struct encoder {
    struct registry *registry;
    const struct item *item;
    const struct mohs_model_ops *ops;
    void *params_struct, *self;
    struct mohs_weights *weights;
    struct tokenizer *tokenizer;
    struct preprocess pre;
    char *path;
    struct hash128 hash, text_hash;
    struct compute *compute;
    struct params *params;
    struct arena *sources; /* of the parameters */
    uint64_t memory_bytes;
    uint32_t micro_batch;
    struct kept image, text;
    struct vocabulary *vocabulary;
    encoder_describe more; /* whose parameters were declared last */
};

static mohs_status find_plugin(struct encoder *e, const char *id,
                               struct mohs_error *err)
{
    if (id)
        return registry_find(e->registry, MOHS_KIND_MODEL, id, &e->item, err);
    int32_t best = 0;
    const struct item *it;
    for (size_t i = 0; (it = registry_item(e->registry, MOHS_KIND_MODEL, i)); i++) {
        const struct mohs_model_ops *ops = it->item->ops;
        int32_t sure = ops->probe(registry_host(e->registry), e->weights);
        scratch_reset();
        if (sure > best) {
            best = sure;
            e->item = it;
        }
    }
    if (!e->item)
        return mohs_fail(err, MOHS_E_UNSUPPORTED,
                         "%s: no model plugin recognises these weights", e->path);
    return MOHS_OK;
}

static void set_hashes(struct encoder *e)
{
    struct hash128 w = weights_hash(e->weights);
    struct hasher *h = hasher_new();
    hasher_str(h, "encoder/1");
    hasher_u64(h, w.hi);
    hasher_u64(h, w.lo);
    hasher_str(h, e->item->plugin->id);
    hasher_str(h, e->item->plugin->version);
    hasher_str(h, e->item->item->id);
    item_params_hash(e->item, e->params_struct, h);
    e->hash = hasher_end(h);
    const char *tok = weights_tokenizer(e->weights);
    h = hasher_new();
    hasher_u64(h, e->hash.hi);
    hasher_u64(h, e->hash.lo);
    hasher_str(h, tok ? tok : "");
    e->text_hash = hasher_end(h);
}

/* The plugin's parameters, from "name=value". */
static mohs_status set_params(struct encoder *e, const char *const *settings,
                              struct mohs_error *err)
{
    e->params_struct = item_params_new(e->item);
    for (; settings && *settings; settings++) {
        const char *eq = strchr(*settings, '=');
        if (!eq)
            return mohs_fail(err, MOHS_E_ARG, "%s: '%.80s' is not NAME=VALUE",
                             e->item->item->id, *settings);
        char *name = xasprintf("%.*s", (int)(eq - *settings), *settings);
        mohs_status st = item_param_set_text(e->item, e->params_struct, name,
                                             eq + 1, err);
        free(name);
        RET_IF_ERR(st);
    }
    return MOHS_OK;
}

/* A checkpoint without a tokenizer still encodes pictures. */
static mohs_status open_tokenizer(struct encoder *e, struct mohs_error *err)
{
    return weights_tokenizer(e->weights)
               ? tokenizer_open(e->weights, &e->tokenizer, err) : MOHS_OK;
}

mohs_status encoder_open(struct registry *r, const char *id, const char *path,
                         struct encoder **out, struct mohs_error *err)
{
    return encoder_open_with(r, id, path, NULL, out, err);
}

mohs_status encoder_open_with(struct registry *r, const char *id,
                              const char *path, const char *const *settings,
                              struct encoder **out, struct mohs_error *err)
{
    struct encoder *e = xcalloc(1, sizeof *e);
    mohs_status st;
    e->registry = r;
    e->path = xstrdup(path);
    OUT_IF_ERR(weights_open(path, &e->weights, err));
    OUT_IF_ERR(find_plugin(e, id, err));
    e->ops = e->item->item->ops;
    OUT_IF_ERR(set_params(e, settings, err));
    st = e->ops->create(registry_host(r), e->params_struct, e->weights, &e->self,
                        err);
    scratch_reset();
    if (st < 0) {
        e->self = NULL;
        goto out;
    }
    const struct mohs_model_info *info = e->ops->info(e->self);
    if (info->towers & MOHS_TOWER_IMAGE)
        OUT_IF_ERR(preprocess_from(e->weights, info, &e->pre, err));
    if (info->towers & MOHS_TOWER_TEXT)
        OUT_IF_ERR(open_tokenizer(e, err));
    set_hashes(e);
    *out = e;
    e = NULL;
out:
    encoder_close(e);
    return st;
}

static void kept_drop(struct kept *k)
{
    graph_free(k->t.graph);
    free(k->tap);
    memset(k, 0, sizeof *k);
}

static void params_drop(struct encoder *e)
{
    params_free(e->params);
    arena_free(e->sources);
    e->params = NULL;
    e->sources = NULL;
}

void encoder_close(struct encoder *e)
{
    if (!e)
        return;
    kept_drop(&e->image);
    kept_drop(&e->text);
    vocabulary_free(e->vocabulary);
    params_drop(e);
    tokenizer_free(e->tokenizer);
    if (e->self)
        e->ops->destroy(e->self);
    if (e->params_struct)
        item_params_free(e->item, e->params_struct);
    weights_close(e->weights);
    free(e->path);
    free(e);
}

const struct mohs_model_info *encoder_info(const struct encoder *e)
{
    return e->ops->info(e->self);
}

const struct item *encoder_item(const struct encoder *e)
{
    return e->item;
}

const struct preprocess *encoder_preprocess(const struct encoder *e)
{
    return &e->pre;
}

const struct tokenizer *encoder_tokenizer(const struct encoder *e)
{
    return e->tokenizer;
}

const char *encoder_path(const struct encoder *e)
{
    return e->path;
}

bool encoder_is_classifier(const struct encoder *e)
{
    return encoder_info(e)->flags & MOHS_MODEL_CLASSIFIER;
}

const void *encoder_extension(const struct encoder *e, const char *id, void **self)
{
    if (self)
        *self = e->self;
    return e->ops->get_extension ? e->ops->get_extension(e->self, id) : NULL;
}

const char *encoder_class_name(const struct encoder *e, uint32_t i)
{
    const struct mohs_classifier *c = encoder_extension(e, MOHS_EXT_CLASSIFIER, NULL);
    return c && i < encoder_info(e)->embed_dim ? c->class_name(e->self, i) : NULL;
}

struct hash128 encoder_hash(const struct encoder *e)
{
    return e->hash;
}

struct hash128 encoder_text_hash(const struct encoder *e)
{
    return e->text_hash;
}

struct registry *encoder_registry(struct encoder *e)
{
    return e->registry;
}

bool encoder_has_tap(const struct encoder *e, const char *tap)
{
    for (const char *const *t = encoder_info(e)->taps; t && *t; t++)
        if (!strcmp(*t, tap))
            return true;
    return !strcmp(tap, "pixels");
}

void encoder_tap_names(const struct encoder *e, struct str *out)
{
    str_add(out, "pixels");
    for (const char *const *t = encoder_info(e)->taps; t && *t; t++)
        str_addf(out, ", %s", *t);
}

void encoder_limits(struct encoder *e, uint64_t memory_bytes,
                    uint32_t micro_batch)
{
    e->memory_bytes = memory_bytes;
    e->micro_batch = micro_batch;
}

/* Where a parameter is read from, when a tower first needs it. */
struct source {
    const struct mohs_weights *weights;
    struct mohs_weight_spec spec;
};

static mohs_status source_read(void *user, float *out, uint64_t count,
                               struct mohs_error *err)
{
    const struct source *s = user;
    (void)count;
    return weights_read_param(s->weights, &s->spec, out, err);
}

static const float *source_view(void *user)
{
    const struct source *s = user;
    return weights_view_param(s->weights, &s->spec);
}

static void source_leave(void *user)
{
    const struct source *s = user;
    weights_leave_param(s->weights, &s->spec);
}

static const struct params_source from_weights = { source_read, source_view,
                                                   source_leave };

static mohs_status declare_one(void *user, const struct mohs_weight_spec *spec,
                               struct mohs_error *err)
{
    struct encoder *e = user;
    struct source *s = arena_alloc(e->sources, sizeof *s);
    size_t known = spec->size < sizeof s->spec ? spec->size : sizeof s->spec;
    RET_IF_ERR(weights_fits(e->weights, spec, err));
    s->weights = e->weights;
    memcpy(&s->spec, spec, known);
    s->spec.size = (uint32_t)known;
    s->spec.name = arena_strdup(e->sources, spec->name);
    if (s->spec.source)
        s->spec.source = arena_strdup(e->sources, s->spec.source);
    return params_declare(e->params, s->spec.name, spec->n_dims, spec->dims,
                          &from_weights, s, err);
}

mohs_status encoder_declare(struct encoder *e, encoder_describe describe,
                            struct mohs_error *err)
{
    if (e->more == describe)
        return MOHS_OK;
    mohs_status st = describe(e->self, declare_one, e, err);
    scratch_reset();
    if (st < 0)
        return err_prefix(err, st, "%s", e->path);
    e->more = describe;
    return MOHS_OK;
}

mohs_status encoder_params(struct encoder *e, struct params **out,
                           struct mohs_error *err)
{
    if (!e->params) {
        RET_IF_ERR(registry_compute(e->registry, &e->compute, err));
        e->params = params_new(e->compute);
        e->sources = arena_new();
        mohs_status st = encoder_declare(e, e->ops->describe, err);
        if (st < 0) {
            params_drop(e);
            return st;
        }
    }
    *out = e->params;
    return MOHS_OK;
}

/* ---- building a tower ---- */

static struct tensor *normalised_pixels(struct encoder *e, struct tower_graph *t)
{
    const struct preprocess *p = &e->pre;
    uint32_t three[] = { 3 };
    struct tensor *x = graph_tap(t->graph, "pixels", t->pixels);
    struct tensor *in[] = { x, graph_constant(t->graph, 1, three, p->mean),
                            graph_constant(t->graph, 1, three, p->std) };
    return graph_op(t->graph, "normalize_pixels", in, 3, NULL, 0);
}

mohs_status encoder_tower(struct encoder *e, uint32_t tower, uint32_t n,
                          uint32_t context, const char *const *taps,
                          size_t n_taps, struct tower_graph *out,
                          struct mohs_error *err)
{
    const struct mohs_model_info *info = encoder_info(e);
    struct tower_graph t = { .n = n, .context = context };
    struct params *p;
    mohs_status st;
    if (!(info->towers & tower))
        return mohs_fail(err, MOHS_E_UNSUPPORTED, "%s: the model has no %s tower",
                         e->path, tower == MOHS_TOWER_IMAGE ? "image" : "text");
    RET_IF_ERR(encoder_params(e, &p, err));
    t.graph = graph_new(e->compute, p);
    for (size_t i = 0; i < n_taps; i++)
        graph_perturb(t.graph, taps[i]);

    struct mohs_tower_inputs in = { .size = sizeof in };
    if (tower == MOHS_TOWER_IMAGE) {
        uint32_t dims[] = { n, 3, info->image_height, info->image_width };
        t.pixels = graph_input(t.graph, "pixels", MOHS_F32, 4, dims);
        in.pixels = (struct mohs_tensor *)normalised_pixels(e, &t);
    } else {
        uint32_t dims[] = { n, context };
        t.tokens = graph_input(t.graph, "tokens", MOHS_I32, 2, dims);
        t.last = graph_input(t.graph, "last", MOHS_I32, 1, dims);
        in.tokens = (struct mohs_tensor *)t.tokens;
        in.last = (struct mohs_tensor *)t.last;
    }
    struct mohs_tensor *raw = NULL;
    OUT_IF_ERR(e->ops->build(e->self, &graph_api, (struct mohs_graph *)t.graph,
                             tower, &in, &raw, err));
    t.raw = (struct tensor *)raw;
    t.embed = encoder_is_classifier(e)
                  ? t.raw
                  : graph_op(t.graph, "l2_normalize", &t.raw, 1, NULL, 0);
    OUT_IF_ERR(graph_status(t.graph, err));
    *out = t;
    t.graph = NULL;
out:
    scratch_reset();
    graph_free(t.graph);
    return st < 0 ? err_prefix(err, st, "%s", e->path) : st;
}

uint32_t encoder_micro_batch(struct encoder *e, uint32_t n,
                             mohs_status (*cost)(void *user, uint32_t batch,
                                                 uint64_t *bytes,
                                                 struct mohs_error *err),
                             void *user)
{
    if (e->micro_batch)
        return e->micro_batch;
    uint32_t b = DEFAULT_BATCH;
    while (b / 2 >= n && b > 1)
        b /= 2;
    while (b > 1) {
        uint64_t bytes = 0;
        if (cost(user, b, &bytes, NULL) < 0 || bytes <= e->memory_bytes ||
            !e->memory_bytes)
            break;
        b /= 2;
    }
    return b;
}

/* ---- running ---- */

struct want {
    struct encoder *e;
    uint32_t tower, context;
    const char *tap;
    bool raw;
};

static mohs_status make_graph(const struct want *w, uint32_t batch,
                              struct kept *k, struct graph_cost *cost,
                              struct mohs_error *err)
{
    struct kept n = { 0 };
    RET_IF_ERR(encoder_tower(w->e, w->tower, batch, w->context, NULL, 0, &n.t,
                             err));
    n.out = w->tap ? graph_find_tap(n.t.graph, w->tap) : w->raw ? n.t.raw : n.t.embed;
    if (!n.out) {
        struct str names = { 0 };
        encoder_tap_names(w->e, &names);
        mohs_fail(err, MOHS_E_ARG, "%s: no tap '%s' here; there are %s",
                  w->e->path, w->tap, names.s);
        str_free(&names);
        graph_free(n.t.graph);
        return MOHS_E_ARG;
    }
    graph_output(n.t.graph, n.out);
    mohs_status st = graph_plan(n.t.graph, cost, err);
    if (st < 0) {
        graph_free(n.t.graph);
        return st;
    }
    n.out_count = tensor_count(n.out) / batch;
    n.tap = w->tap ? xstrdup(w->tap) : NULL;
    *k = n;
    return MOHS_OK;
}

static mohs_status graph_bytes(void *user, uint32_t batch, uint64_t *bytes,
                               struct mohs_error *err)
{
    struct kept k;
    struct graph_cost cost;
    RET_IF_ERR(make_graph(user, batch, &k, &cost, err));
    kept_drop(&k);
    *bytes = cost.arena_bytes;
    return MOHS_OK;
}

/* The kept graph of w's tower for about n samples, remade when it differs. */
static mohs_status tower_ready(const struct want *w, uint32_t n,
                               struct kept **out, struct mohs_error *err)
{
    struct kept *k = w->tower == MOHS_TOWER_IMAGE ? &w->e->image : &w->e->text;
    uint32_t batch = encoder_micro_batch(w->e, n, graph_bytes, (void *)w);
    bool same_tap = k->tap ? w->tap && !strcmp(k->tap, w->tap)
                           : !w->tap && k->out == (w->raw ? k->t.raw : k->t.embed);
    if (!k->t.graph || k->t.n != batch || k->t.context != w->context || !same_tap) {
        kept_drop(k);
        struct graph_cost cost;
        RET_IF_ERR(make_graph(w, batch, k, &cost, err));
    }
    *out = k;
    return MOHS_OK;
}

/* HWC bytes to CHW floats in 0..1. */
static void to_planes(const uint8_t *rgb, uint32_t pixels, float *out)
{
    for (uint32_t c = 0; c < 3; c++)
        for (uint32_t i = 0; i < pixels; i++)
            out[(size_t)c * pixels + i] = (float)rgb[3 * (size_t)i + c] / 255.0f;
}

/* Reads the first n samples of k's output into out. */
static mohs_status fetch(struct kept *k, uint32_t n, float *out,
                         struct mohs_error *err)
{
    if (n == k->t.n)
        return tensor_read(k->out, out, err);
    float *all = try_calloc(k->t.n * k->out_count, sizeof *all, "a batch", err);
    if (!all)
        return MOHS_E_NOMEM;
    mohs_status st = tensor_read(k->out, all, err);
    if (st >= 0)
        memcpy(out, all, n * k->out_count * sizeof *all);
    free(all);
    return st;
}

mohs_status encoder_images(struct encoder *e, uint32_t n,
                           const uint8_t *const *rgb, bool raw, const char *tap,
                           float *out, struct mohs_error *err)
{
    struct want w = { e, MOHS_TOWER_IMAGE, 0, tap, raw };
    struct kept *k;
    if (!n)
        return MOHS_OK;
    RET_IF_ERR(tower_ready(&w, n, &k, err));
    uint32_t pixels = encoder_info(e)->image_height * encoder_info(e)->image_width;
    float *in = try_calloc((size_t)k->t.n * 3, pixels * sizeof *in, "pixels", err);
    if (!in)
        return MOHS_E_NOMEM;
    mohs_status st = MOHS_OK;
    for (uint32_t i = 0; i < n && st >= 0; i += k->t.n) {
        uint32_t m = n - i < k->t.n ? n - i : k->t.n;
        for (uint32_t j = 0; j < m; j++)
            to_planes(rgb[i + j], pixels, in + (size_t)j * 3 * pixels);
        st = tensor_write(k->t.pixels, in, err);
        if (st >= 0)
            st = graph_run(k->t.graph, err);
        if (st >= 0)
            st = fetch(k, m, out + (size_t)i * k->out_count, err);
        if (st >= 0 && interrupted)
            st = mohs_fail(err, MOHS_E_CANCELLED, "interrupted");
    }
    free(in);
    return st;
}

mohs_status encoder_tokens(struct encoder *e, uint32_t n,
                           const char *const *text, int32_t *ids, int32_t *last,
                           struct mohs_error *err)
{
    uint32_t context = encoder_info(e)->context_length;
    if (!e->tokenizer)
        return mohs_fail(err, MOHS_E_UNSUPPORTED,
                         encoder_info(e)->towers & MOHS_TOWER_TEXT
                             ? "%s: no tokenizer is beside it (tokenizer.json, or "
                               "vocab.json and merges.txt)"
                             : "%s: the model has no text tower",
                         e->path);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t at;
        RET_IF_ERR(tokenizer_encode(e->tokenizer, text[i], strlen(text[i]), context,
                                    ids + (size_t)i * context, &at, err));
        last[i] = (int32_t)at;
    }
    return MOHS_OK;
}

static uint32_t bucket(int32_t last, uint32_t context)
{
    uint32_t t = ((uint32_t)last + TEXT_STEP) / TEXT_STEP * TEXT_STEP;
    return t < context ? t : context;
}

/* Texts whose bucket is w->context (whole: all), in micro-batches. */
static mohs_status run_bucket(const struct want *w, uint32_t n, uint32_t context,
                              const int32_t *ids, const int32_t *last,
                              bool whole, float *out, struct mohs_error *err)
{
    uint32_t count = 0;
    uint32_t *which = xcalloc(n, sizeof *which);
    for (uint32_t i = 0; i < n; i++)
        if (whole || bucket(last[i], context) == w->context)
            which[count++] = i;
    struct kept *k;
    int32_t *in = NULL, *at = NULL;
    float *rows = NULL;
    mohs_status st = MOHS_OK;
    if (!count)
        goto out;
    OUT_IF_ERR(tower_ready(w, count, &k, err));
    in = xcalloc((size_t)k->t.n * w->context, sizeof *in);
    at = xcalloc(k->t.n, sizeof *at);
    rows = try_calloc(k->t.n * k->out_count, sizeof *rows, "a batch", err);
    if (!rows) {
        st = MOHS_E_NOMEM;
        goto out;
    }
    for (uint32_t i = 0; i < count; i += k->t.n) {
        uint32_t m = count - i < k->t.n ? count - i : k->t.n;
        for (uint32_t j = 0; j < m; j++) {
            memcpy(in + (size_t)j * w->context, ids + (size_t)which[i + j] * context,
                   w->context * sizeof *in);
            at[j] = last[which[i + j]];
        }
        OUT_IF_ERR(tensor_write(k->t.tokens, in, err));
        OUT_IF_ERR(tensor_write(k->t.last, at, err));
        OUT_IF_ERR(graph_run(k->t.graph, err));
        OUT_IF_ERR(fetch(k, m, rows, err));
        for (uint32_t j = 0; j < m; j++)
            memcpy(out + (size_t)which[i + j] * k->out_count, rows + j * k->out_count,
                   k->out_count * sizeof *rows);
        if (interrupted) {
            st = mohs_fail(err, MOHS_E_CANCELLED, "interrupted");
            goto out;
        }
    }
out:
    free(which);
    free(in);
    free(at);
    free(rows);
    return st;
}

mohs_status encoder_ids(struct encoder *e, uint32_t n, const int32_t *ids,
                        const int32_t *last, bool raw, const char *tap, float *out,
                        struct mohs_error *err)
{
    uint32_t context = encoder_info(e)->context_length;
    mohs_status st = MOHS_OK;
    // causal text towers give the same bits whatever the padding, so short
    // texts are run short; a tap is read at full length
    bool whole = tap || !(encoder_info(e)->flags & MOHS_MODEL_CAUSAL_TEXT);
    for (uint32_t t = whole ? context : TEXT_STEP; st >= 0;) {
        struct want w = { e, MOHS_TOWER_TEXT, t < context ? t : context, tap, raw };
        st = run_bucket(&w, n, context, ids, last, whole, out, err);
        if (t >= context)
            break;
        t += TEXT_STEP;
    }
    return st;
}

mohs_status encoder_texts(struct encoder *e, uint32_t n, const char *const *text,
                          bool raw, const char *tap, float *out,
                          struct mohs_error *err)
{
    uint32_t context = encoder_info(e)->context_length;
    if (!n)
        return MOHS_OK;
    if (encoder_is_classifier(e) && !tap)
        return classes_of_texts(e, n, text, out, err);
    int32_t *ids = try_calloc((size_t)n * context, sizeof *ids, "tokens", err);
    int32_t *last = xcalloc(n, sizeof *last);
    mohs_status st = ids ? encoder_tokens(e, n, text, ids, last, err) : MOHS_E_NOMEM;
    if (st >= 0)
        st = encoder_ids(e, n, ids, last, raw, tap, out, err);
    free(ids);
    free(last);
    return st;
}

mohs_status encoder_tap_count(struct encoder *e, const char *tap, uint64_t *out,
                              struct mohs_error *err)
{
    bool text = !strncmp(tap, "text.", 5);
    struct want w = { e, text ? MOHS_TOWER_TEXT : MOHS_TOWER_IMAGE,
                      text ? encoder_info(e)->context_length : 0, tap, false };
    struct kept k;
    struct graph_cost cost;
    RET_IF_ERR(make_graph(&w, 1, &k, &cost, err));
    *out = k.out_count;
    kept_drop(&k);
    return MOHS_OK;
}

mohs_status encoder_vocabulary(struct encoder *e, const struct vocabulary **out,
                               struct mohs_error *err)
{
    if (!e->vocabulary)
        RET_IF_ERR(vocabulary_new(e, &e->vocabulary, err));
    *out = e->vocabulary;
    return MOHS_OK;
}

mohs_status encoder_cost(struct encoder *e, uint32_t tower, uint32_t n,
                         struct graph_cost *out, uint32_t *batch,
                         struct mohs_error *err)
{
    struct want w = { e, tower,
                      tower == MOHS_TOWER_TEXT ? encoder_info(e)->context_length : 0,
                      NULL, false };
    struct kept k;
    *batch = encoder_micro_batch(e, n, graph_bytes, &w);
    RET_IF_ERR(make_graph(&w, *batch, &k, out, err));
    kept_drop(&k);
    return MOHS_OK;
}
