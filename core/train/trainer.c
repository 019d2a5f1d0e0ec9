/* SPDX-License-Identifier: MIT */
/* The training loop: steps, AdamW, averages, and what they stand on. */
#include "config.h"

#include "train/trainer.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <mohs/rng.h>

enum { FOR_INIT = 32, SCALE_MAX = 100 };

/* ---- parameters ---- */

/* o->init: a checkpoint in any naming that the model's plugin reads. */
struct start {
    struct mohs_weights *weights; /* NULL: there is none */
    struct mohs_weight_spec *spec;
    size_t n, cap;
};

struct initialiser {
    struct trainer *t;
    struct start from;
    size_t n, cap;
};

static char *dup_name(const char *s)
{
    return s ? xstrdup(s) : NULL;
}

static mohs_status start_add(void *user, const struct mohs_weight_spec *spec,
                             struct mohs_error *err)
{
    struct start *s = user;
    (void)err;
    if (s->n == s->cap) {
        s->cap = s->cap ? 2 * s->cap : 64;
        s->spec = xrealloc(s->spec, s->cap * sizeof *s->spec);
    }
    struct mohs_weight_spec *k = &s->spec[s->n++];
    memset(k, 0, sizeof *k);
    memcpy(k, spec, spec->size < sizeof *k ? spec->size : sizeof *k);
    k->size = sizeof *k;
    k->name = dup_name(k->name);
    k->source = dup_name(k->source);
    return MOHS_OK;
}

/* Opens o->init and asks its plugin where the parameters are. */
static mohs_status start_open(struct trainer *t, struct start *s,
                              struct mohs_error *err)
{
    void *self = NULL;
    RET_IF_ERR(weights_open(t->o->init, &s->weights, err));
    RET_IF_ERR(t->s.ops->create(registry_host(t->registry), t->item_params,
                                s->weights, &self, err));
    mohs_status st = t->s.ops->describe(self, start_add, s, err);
    t->s.ops->destroy(self);
    return st;
}

static void start_close(struct start *s)
{
    for (size_t i = 0; i < s->n; i++) {
        free((char *)s->spec[i].name);
        free((char *)s->spec[i].source);
    }
    free(s->spec);
    weights_close(s->weights);
}

static const struct mohs_weight_spec *start_find(const struct start *s,
                                                 const char *name)
{
    for (size_t i = 0; i < s->n; i++)
        if (!strcmp(s->spec[i].name, name))
            return &s->spec[i];
    return NULL;
}

static bool same_dims(const struct mohs_weight_spec *a,
                      const struct mohs_weight_spec *b)
{
    return a->n_dims == b->n_dims &&
           !memcmp(a->dims, b->dims, a->n_dims * sizeof *a->dims);
}

/* SigLIP starts at a temperature of 1/10 (Zhai et al. 2023). */
static float constant(const struct trainer *t, const struct mohs_weight_spec *spec)
{
    bool siglip = t->o->loss == TRAIN_SIGMOID && !strcmp(spec->name, "logit_scale");
    return siglip ? logf(10) : spec->scale;
}

static mohs_status values(const struct initialiser *k, const struct mohs_weight_spec *spec,
                          float *x, uint64_t count, struct mohs_error *err)
{
    uint64_t seed = mohs_rng_fork(k->t->o->seed, FOR_INIT), key = hash_str64(spec->name);
    // a checkpoint of the other loss has no bias
    const struct mohs_weight_spec *at = start_find(&k->from, spec->name);
    bool own = !strcmp(spec->name, "logit_bias") && !at;
    if (k->from.weights && !own) {
        if (!at || !same_dims(at, spec))
            return mohs_fail(err, MOHS_E_FORMAT, "%s: %s %s", k->t->o->init,
                             at ? "another shape of" : "no parameter", spec->name);
        return weights_read_param(k->from.weights, at, x, err);
    }
    for (uint64_t i = 0; i < count; i++)
        x[i] = spec->init == MOHS_INIT_NORMAL
                   ? spec->scale * mohs_rng_normal(seed, key, i)
                   : constant(k->t, spec);
    return MOHS_OK;
}

static mohs_status init_one(void *user, const struct mohs_weight_spec *spec,
                            struct mohs_error *err)
{
    struct initialiser *k = user;
    struct trainer *t = k->t;
    uint64_t count = 1;
    for (uint32_t i = 0; i < spec->n_dims; i++)
        count *= spec->dims[i];
    bool fixed = MOHS_HAS(struct mohs_weight_spec, spec, fixed);
    if (fixed && !k->from.weights)
        return mohs_fail(err, MOHS_E_UNSUPPORTED,
                         "train: %s keeps statistics of its data (%s), which "
                         "training leaves as they are: give init, a checkpoint to "
                         "start from", t->o->model, spec->name);
    float *x = try_calloc(count, sizeof *x, spec->name, err);
    mohs_status st = x ? values(k, spec, x, count, err) : MOHS_E_NOMEM;
    if (st >= 0)
        st = params_set(t->s.params, spec->name, spec->n_dims, spec->dims, x, err);
    if (st >= 0 && t->frozen)
        st = params_set(t->frozen, spec->name, spec->n_dims, spec->dims, x, err);
    if (st >= 0 && t->average)
        st = params_set(t->average, spec->name, spec->n_dims, spec->dims, x, err);
    free(x);
    if (st < 0)
        return st;
    if (k->n == k->cap) {
        k->cap = k->cap ? 2 * k->cap : 64;
        t->decays = xrealloc(t->decays, k->cap);
        t->fixed = xrealloc(t->fixed, k->cap * sizeof *t->fixed);
    }
    t->fixed[k->n] = fixed;
    t->decays[k->n++] = spec->decay != 0;
    return MOHS_OK;
}

static mohs_status zeroed(struct compute *c, size_t bytes, struct mohs_buffer **out,
                          struct mohs_error *err)
{
    RET_IF_ERR(buffer_new(c, bytes, out, err));
    return buffer_fill(*out, 0, 0, bytes, err);
}

static mohs_status optimizer_new(struct trainer *t, struct mohs_error *err)
{
    struct params *p = t->s.params;
    size_t n = params_count(p);
    uint32_t slots = 0;
    t->m = xcalloc(n, sizeof *t->m);
    t->v = xcalloc(n, sizeof *t->v);
    t->sum = xcalloc(n, sizeof *t->sum);
    for (size_t i = 0; i < n; i++) {
        size_t bytes = buffer_bytes(params_buffer(p, i));
        RET_IF_ERR(zeroed(t->s.compute, bytes, &t->m[i], err));
        RET_IF_ERR(zeroed(t->s.compute, bytes, &t->v[i], err));
        if (trainer_sums(t->o))
            RET_IF_ERR(zeroed(t->s.compute, bytes, &t->sum[i], err));
        slots += optim_sumsq_slots((uint32_t)(bytes / sizeof(float)));
    }
    RET_IF_ERR(zeroed(t->s.compute, slots * sizeof(float), &t->partial, err));
    return zeroed(t->s.compute, 2 * sizeof(float), &t->clip, err);
}

/* The configuration with "mohs_sigmoid_loss" set when the loss asks for it:
 * it makes models carry a logit_bias. Fresh, or NULL. */
static char *config_text(const struct train_options *o, struct mohs_error *err)
{
    json_error_t je;
    json_t *root = json_loads(o->config, 0, &je);
    char *text = NULL;
    if (!json_is_object(root))
        mohs_fail(err, MOHS_E_ARG, "train: config is no JSON object: %.120s",
                  root ? "" : je.text);
    else if (o->loss != TRAIN_SIGMOID)
        text = xstrdup(o->config);
    else if (!json_object_set_new(root, "mohs_sigmoid_loss", json_true()))
        text = json_dumps(root, JSON_COMPACT);
    json_decref(root);
    return text;
}

static bool has_param(const struct trainer *t, const char *name)
{
    for (size_t i = 0; i < params_count(t->s.params); i++)
        if (!strcmp(params_name(t->s.params, i), name))
            return true;
    return false;
}

/* Many configurations leave sizes to the tensors, so a model that starts from a
 * checkpoint is made from that. One of the other loss has no bias: it gets its
 * place here, and its value as all do that the checkpoint lacks. */
static mohs_status open_init(struct trainer *t, const char *config,
                             struct mohs_error *err)
{
    uint32_t one = 1, dims[MOHS_DIMS_MAX];
    RET_IF_ERR(weights_open(t->o->init, &t->init, err));
    RET_IF_ERR(weights_set_config(t->init, config, err));
    if (t->o->loss != TRAIN_SIGMOID ||
        weights_api.shape(t->init, "logit_bias", dims) >= 0)
        return MOHS_OK;
    return weights_put(t->init, "logit_bias", 1, &one, &(float) { 0 }, err);
}

static mohs_status create_model(struct trainer *t, struct mohs_error *err)
{
    const struct train_options *o = t->o;
    char *text = config_text(o, err);
    if (!text)
        return MOHS_E_ARG;
    mohs_status st = weights_new(text, o->tokenizer, o->preprocessor, &t->weights, err);
    if (st >= 0 && o->init)
        st = open_init(t, text, err);
    free(text);
    RET_IF_ERR(st);
    RET_IF_ERR(registry_find(t->registry, MOHS_KIND_MODEL, o->model, &t->item, err));
    t->s.ops = t->item->item->ops;
    t->item_params = item_params_new(t->item);
    st = t->s.ops->create(registry_host(t->registry), t->item_params,
                          o->init ? t->init : t->weights, &t->s.model, err);
    scratch_reset();
    if (st < 0)
        t->s.model = NULL;
    return st;
}

static mohs_status open_model(struct trainer *t, struct mohs_error *err)
{
    const struct train_options *o = t->o;
    struct initialiser k = { .t = t };
    RET_IF_ERR(create_model(t, err));
    const struct mohs_model_info *info = t->s.ops->info(t->s.model);
    if (info->towers != (MOHS_TOWER_IMAGE | MOHS_TOWER_TEXT))
        return mohs_fail(err, MOHS_E_UNSUPPORTED, "train: %s has not both towers",
                         o->model);
    RET_IF_ERR(preprocess_from(t->weights, info, &t->pre, err));
    RET_IF_ERR(tokenizer_open(t->weights, &t->tokenizer, err));
    if (tokenizer_size(t->tokenizer) > info->vocab_size)
        return mohs_fail(err, MOHS_E_ARG,
                         "train: the tokenizer has %u entries, the model's vocab_size is %u",
                         tokenizer_size(t->tokenizer), info->vocab_size);
    RET_IF_ERR(registry_compute(t->registry, &t->s.compute, err));
    t->s.pre = &t->pre;
    t->s.params = params_new(t->s.compute);
    if (o->ema > 0)
        t->average = params_new(t->s.compute);
    if (o->loss == TRAIN_FARE)
        t->frozen = params_new(t->s.compute);
    mohs_status st = o->init ? start_open(t, &k.from, err) : MOHS_OK;
    if (st >= 0)
        st = t->s.ops->describe(t->s.model, init_one, &k, err);
    scratch_reset();
    start_close(&k.from);
    t->s.fixed = t->fixed;
    RET_IF_ERR(st);
    if (!has_param(t, "logit_scale") ||
        (o->loss == TRAIN_SIGMOID && !has_param(t, "logit_bias")))
        return mohs_fail(err, MOHS_E_UNSUPPORTED, "train: %s has no %s to learn", o->model,
                         has_param(t, "logit_scale") ? "logit_bias" : "logit_scale");
    return MOHS_OK;
}

/* Pictures, captions, and how many tokens a text needs. */
static mohs_status open_data(struct trainer *t, struct mohs_error *err)
{
    const struct train_options *o = t->o;
    const struct mohs_model_info *info = t->s.ops->info(t->s.model);
    uint32_t all = info->context_length;
    size_t n = o->data->n_images;
    t->pool = pool_new(0);
    RET_IF_ERR(captions_new(o->data, n, train_pairs(o), t->tokenizer, all, t->pool, &t->captions, err));
    RET_IF_ERR(holdout_init(&t->holdout, o, &t->pre, t->tokenizer, all, t->pool, err));
    t->s.context = all;
    if (train_pairs(o) && info->flags & MOHS_MODEL_CAUSAL_TEXT) {
        t->s.context = t->captions.longest;
        if (t->holdout.captions.longest > t->s.context)
            t->s.context = t->holdout.captions.longest;
    }
    return pictures_new(o->data, n, &t->pre, o->data_bytes, t->pool, &t->pictures, err);
}

static mohs_status open_feeder(struct trainer *t, struct mohs_error *err)
{
    RET_IF_ERR(loader_init(&t->loader, t->o, &t->pre, t->pictures, &t->captions,
                           t->s.context, t->pool, err));
    return feeder_new(&t->loader, t->step, &t->feeder, err);
}

/* ---- the update ---- */

static mohs_status grad_buffer(struct trainer *t, struct step_graph *g, size_t i,
                               struct mohs_buffer **out, struct mohs_error *err)
{
    size_t offset = 0;
    *out = NULL; // the loss does not depend on it: it stays as it is
    if (g->grad[i])
        *out = t->sum[i] ? t->sum[i] : tensor_buffer(g->grad[i], &offset);
    return offset ? mohs_fail(err, MOHS_E_ARG, "train: gradient without a buffer")
                  : MOHS_OK;
}

static mohs_status gradient_norm(struct trainer *t, struct step_graph *g, float *norm,
                                 struct mohs_error *err)
{
    uint32_t at = 0;
    for (size_t i = 0; i < params_count(t->s.params); i++) {
        struct mohs_buffer *b;
        RET_IF_ERR(grad_buffer(t, g, i, &b, err));
        if (!b)
            continue;
        uint32_t count = (uint32_t)(buffer_bytes(params_buffer(t->s.params, i)) /
                                    sizeof(float));
        RET_IF_ERR(optim_sumsq(t->s.compute, b, count, t->partial, at, err));
        at += optim_sumsq_slots(count);
    }
    RET_IF_ERR(optim_clip(t->s.compute, t->partial, at, t->o->clip_norm, t->clip, err));
    return buffer_read(t->clip, 0, norm, sizeof *norm, err);
}

/* exp(logit_scale) <= 100, as CLIP clips it. */
static mohs_status clamp_scale(struct trainer *t, double *scale, struct mohs_error *err)
{
    struct params *p = t->s.params;
    const float most = logf(SCALE_MAX);
    for (size_t i = 0; i < params_count(p); i++) {
        if (strcmp(params_name(p, i), "logit_scale"))
            continue;
        float x;
        RET_IF_ERR(buffer_read(params_buffer(p, i), 0, &x, sizeof x, err));
        if (x > most) {
            x = most;
            RET_IF_ERR(buffer_write(params_buffer(p, i), 0, &x, sizeof x, err));
            params_touch(p, i);
        }
        *scale = expf(x);
    }
    return MOHS_OK;
}

static mohs_status update(struct trainer *t, struct step_graph *g, struct mohs_error *err)
{
    const struct train_options *o = t->o;
    struct params *p = t->s.params;
    double k = t->step + 1.0;
    // the average forgets its start quickly at first
    float ema = fminf(o->ema, (1 + (float)t->step) / (10 + (float)t->step));
    for (size_t i = 0; i < params_count(p); i++) {
        struct mohs_buffer *b;
        RET_IF_ERR(grad_buffer(t, g, i, &b, err));
        if (!b)
            continue;
        struct adamw h = { .lr = train_rate(o, t->step), .beta1 = o->beta1,
                           .beta2 = o->beta2, .eps = o->eps,
                           .decay = t->decays[i] ? o->decay : 0,
                           .correction1 = (float)(1 - pow(o->beta1, k)),
                           .correction2 = (float)(1 - pow(o->beta2, k)) };
        uint32_t count = (uint32_t)(buffer_bytes(params_buffer(p, i)) / sizeof(float));
        RET_IF_ERR(optim_adamw(t->s.compute, params_buffer(p, i), b, t->m[i], t->v[i],
                               count, &h, t->clip, err));
        params_touch(p, i);
        if (t->average) {
            RET_IF_ERR(optim_ema(t->s.compute, params_buffer(t->average, i),
                                 params_buffer(p, i), count, ema, err));
            params_touch(t->average, i);
        }
    }
    return MOHS_OK;
}

/* ---- one step ---- */

static mohs_status check_finite(struct trainer *t, struct step_graph *g, float loss,
                                float norm, struct mohs_error *err)
{
    if (isfinite(loss) && isfinite(norm))
        return MOHS_OK;
    const char *where = graph_find_nan(g->graph, NULL);
    return mohs_fail(err, MOHS_E_NUMERIC, "train: step %u: %s is not finite%s%s", t->step,
                     isfinite(loss) ? "the gradient" : "the loss",
                     where ? ", first at " : "", where ? where : "");
}

static mohs_status clean_pass(struct trainer *t, float *loss, struct mohs_error *err)
{
    if (!t->clean.graph)
        RET_IF_ERR(step_graph_new(&t->s, t->s.params, STEP_CLEAN, &t->clean, err));
    RET_IF_ERR(trainer_load(t, &t->clean, STEP_CLEAN, err));
    RET_IF_ERR(graph_run(t->clean.graph, err));
    for (size_t i = 0; i < params_count(t->s.params); i++) {
        size_t offset;
        if (!t->sum[i] || !t->clean.grad[i])
            continue;
        struct mohs_buffer *g = tensor_buffer(t->clean.grad[i], &offset);
        RET_IF_ERR(buffer_copy(g, offset, t->sum[i], 0, buffer_bytes(t->sum[i]), err));
    }
    return tensor_read(t->clean.loss, loss, err);
}

static mohs_status one_step(struct trainer *t, double row[CURVES], struct mohs_error *err)
{
    bool hostile = t->o->attack.kind != ADVERSARY_NONE &&
                   adversary_eps(t->o, t->step) > 0;
    float loss = 0, adversarial = NAN, norm = 0;
    for (int i = 0; i < CURVES; i++)
        row[i] = NAN;
    RET_IF_ERR(feeder_next(t->feeder, &t->batch, err));
    RET_IF_ERR(anchor_next(t, err));
    struct step_graph *g = &t->clean;
    if (hostile)
        RET_IF_ERR(hostile_pass(t, &loss, &adversarial, &g, err));
    else
        RET_IF_ERR(clean_pass(t, &loss, err));
    RET_IF_ERR(gradient_norm(t, g, &norm, err));
    RET_IF_ERR(check_finite(t, g, loss, norm, err));
    RET_IF_ERR(update(t, g, err));
    RET_IF_ERR(clamp_scale(t, &row[4], err));
    row[0] = loss;
    row[1] = adversarial;
    row[2] = train_rate(t->o, t->step);
    row[3] = norm;
    return MOHS_OK;
}

/* ---- the loop ---- */

static bool due(uint32_t done, uint32_t every, uint32_t total)
{
    return every && (done % every == 0 || done == total);
}

static mohs_status validate(struct trainer *t, double row[CURVES], struct mohs_error *err)
{
    struct params *p = t->average ? t->average : t->s.params;
    RET_IF_ERR(holdout_measure(&t->holdout, &t->s, p, &row[5], &row[6], err));
    log_info("step %u: loss %.4f, validation R@1 %.1f %% i2t, %.1f %% t2i", t->step, row[0],
             row[5], row[6]);
    return MOHS_OK;
}

static void report(const struct trainer *t, const double row[CURVES])
{
    const struct train_options *o = t->o;
    progress_set(t->step);
    progress_note("loss %.4f", row[0]);
    if (o->progress)
        o->progress(o->user, &(struct train_progress) {
                                 t->step, o->steps, row[0], row[1], row[2], row[3], row[4],
                                 row[5], row[6] });
}

static mohs_status loop(struct trainer *t, struct train_result *res,
                        struct mohs_error *err)
{
    const struct train_options *o = t->o;
    double row[CURVES];
    while (t->step < o->steps) {
        RET_IF_ERR(one_step(t, row, err));
        t->step++;
        res->steps++;
        res->loss = row[0];
        bool val = o->validate && due(t->step, o->validate_every, o->steps);
        if (val) {
            RET_IF_ERR(validate(t, row, err));
            res->val_i2t = row[5];
            res->val_t2i = row[6];
        }
        if (val || due(t->step, o->log_every, o->steps))
            curve_add(&t->curve, t->step, row);
        if (due(t->step, o->checkpoint_every, o->steps) && t->step < o->steps)
            RET_IF_ERR(checkpoint_save(t, err));
        if (t->step == o->fork)
            RET_IF_ERR(checkpoint_fork(t, err));
        report(t, row);
        if (interrupted) {
            RET_IF_ERR(checkpoint_save(t, err));
            return mohs_fail(err, MOHS_E_CANCELLED,
                             "interrupted at step %u; run again to go on", t->step);
        }
    }
    return MOHS_OK;
}

static void close_all(struct trainer *t)
{
    size_t n = t->s.params ? params_count(t->s.params) : 0;
    feeder_free(t->feeder);
    loader_free(&t->loader);
    holdout_free(&t->holdout);
    step_graph_free(&t->clean);
    step_graph_free(&t->ascent);
    step_graph_free(&t->free);
    step_graph_free(&t->both);
    adversary_free(&t->adversary);
    plugin_attack_free(t);
    anchor_free(&t->anchor);
    for (size_t i = 0; i < n; i++) {
        buffer_unref(t->m ? t->m[i] : NULL);
        buffer_unref(t->v ? t->v[i] : NULL);
        buffer_unref(t->sum ? t->sum[i] : NULL);
    }
    free(t->m);
    free(t->v);
    free(t->sum);
    buffer_unref(t->partial);
    buffer_unref(t->clip);
    params_free(t->s.params);
    params_free(t->average);
    params_free(t->frozen);
    free(t->decays);
    free(t->fixed);
    pictures_free(t->pictures);
    captions_free(&t->captions);
    pool_free(t->pool);
    tokenizer_free(t->tokenizer);
    if (t->s.model)
        t->s.ops->destroy(t->s.model);
    if (t->item_params)
        item_params_free(t->item, t->item_params);
    weights_close(t->init);
    weights_close(t->weights);
    curve_free(&t->curve);
}

mohs_status train_run(struct registry *r, const struct train_options *o,
                      struct train_result *res, struct mohs_error *err)
{
    struct trainer t = { .o = o, .registry = r, .s.o = o };
    double t0 = now_s();
    uint64_t now;
    mohs_status st;
    *res = (struct train_result) { .loss = NAN, .val_i2t = NAN, .val_t2i = NAN };
    RET_IF_ERR(train_check(o, err));
    if (checkpoint_done(o, &res->curve))
        return MOHS_OK;
    char *dir = path_dir(o->out);
    st = dir_make(dir, err);
    free(dir);
    if (st < 0)
        return st;
    OUT_IF_ERR(open_model(&t, err));
    OUT_IF_ERR(stepper_taps(&t.s, err));
    OUT_IF_ERR(open_data(&t, err));
    OUT_IF_ERR(optimizer_new(&t, err));
    OUT_IF_ERR(anchor_open(&t, err));
    OUT_IF_ERR(plugin_attack_open(&t, err));
    OUT_IF_ERR(checkpoint_load(&t, err));
    if (st > 0)
        log_info("%s: resuming at step %u", o->out, t.step);
    OUT_IF_ERR(open_feeder(&t, err));
    progress_start("training", o->steps);
    st = loop(&t, res, err);
    progress_end();
    if (st >= 0)
        st = checkpoint_finish(&t, err);
    compute_memory(t.s.compute, &now, &res->peak_bytes);
    res->curve = curve_json(&t.curve);
    res->seconds = now_s() - t0;
out:
    close_all(&t);
    if (st < 0) {
        free(res->curve);
        res->curve = NULL;
    }
    return st < 0 ? st : MOHS_OK;
}
