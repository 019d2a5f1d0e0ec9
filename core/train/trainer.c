/* SPDX-License-Identifier: MIT */
/* The training loop: batches, steps, AdamW, averages, validation. */
#include "config.h"

#include "train/trainer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <mohs/rng.h>

enum { FOR_INIT = 32, SCALE_MAX = 100 };

void train_defaults(struct train_options *o)
{
    *o = (struct train_options) {
        .model = "clip", .f16 = true, .steps = 1000, .batch = 256, .warmup = 100,
        .lr = 1e-3f, .beta1 = 0.9f, .beta2 = 0.98f, .eps = 1e-6f, .decay = 0.1f,
        .clip_norm = 1, .ema = 0.995f, .crop_min = 1, .log_every = 20,
        .validate_every = 250, .checkpoint_every = 100,
        .attack = { .kind = ADVERSARY_NONE, .taps = "image.patch,text.token",
                    .norm = BALL_L2, .eps = 0.1f, .steps = 1 },
    };
}

float train_rate(const struct train_options *o, uint32_t step)
{
    if (step < o->warmup)
        return o->lr * (float)(step + 1) / (float)o->warmup;
    double t = (double)(step - o->warmup) / (o->steps > o->warmup ? o->steps - o->warmup : 1);
    return (float)(o->lr * 0.5 * (1 + cos(3.14159265358979323846 * (t < 1 ? t : 1))));
}

/* ---- options ---- */

static mohs_status number(double x, double lo, double hi, const char *name,
                          struct mohs_error *err)
{
    if (x >= lo && x <= hi)
        return MOHS_OK;
    return mohs_fail(err, MOHS_E_ARG, "train: %s %g is outside %g..%g", name, x, lo, hi);
}

static mohs_status check(const struct train_options *o, struct mohs_error *err)
{
    const struct train_attack *a = &o->attack;
    if (!o->model || !o->config || !o->tokenizer || !o->data || !o->out)
        return mohs_fail(err, MOHS_E_ARG,
                         "train: model, config, tokenizer, data and out are needed");
    RET_IF_ERR(number(o->steps, 1, 1e9, "steps", err));
    RET_IF_ERR(number(o->batch, 2, 65536, "batch", err));
    RET_IF_ERR(number(o->lr, 0, 10, "lr", err));
    RET_IF_ERR(number(o->beta1, 0, 0.99999, "beta1", err));
    RET_IF_ERR(number(o->beta2, 0, 0.99999999, "beta2", err));
    RET_IF_ERR(number(o->eps, 1e-12, 1, "eps", err));
    RET_IF_ERR(number(o->decay, 0, 10, "weight decay", err));
    RET_IF_ERR(number(o->clip_norm, 0, 1e9, "clip_norm", err));
    RET_IF_ERR(number(o->ema, 0, 0.999999, "ema", err));
    RET_IF_ERR(number(o->crop_min, 0.05, 1, "crop", err));
    if (o->data->n_images < o->batch)
        return mohs_fail(err, MOHS_E_ARG, "train: %zu images in %s, a batch of %u",
                         o->data->n_images, o->data->name, o->batch);
    if (a->kind == ADVERSARY_NONE)
        return MOHS_OK;
    RET_IF_ERR(number(a->eps, 0, 100, "adversary eps", err));
    RET_IF_ERR(number(a->alpha, 0, 100, "adversary alpha", err));
    RET_IF_ERR(number(a->steps, 1, 1000, "adversary steps", err));
    return number(a->kl, 0, 1000, "adversary kl", err);
}

/* ---- parameters ---- */

struct initialiser {
    struct trainer *t;
    struct mohs_weights *from; /* o->init, or NULL */
    size_t n, cap;
};

static mohs_status init_one(void *user, const struct mohs_weight_spec *spec,
                            struct mohs_error *err)
{
    struct initialiser *k = user;
    struct trainer *t = k->t;
    uint64_t count = 1, seed = mohs_rng_fork(t->o->seed, FOR_INIT);
    uint64_t key = hash_str64(spec->name);
    for (uint32_t i = 0; i < spec->n_dims; i++)
        count *= spec->dims[i];
    float *x = try_calloc(count, sizeof *x, spec->name, err);
    mohs_status st = x ? MOHS_OK : MOHS_E_NOMEM;
    if (x && k->from)
        st = weights_api.read(k->from, spec->name, x, count, err);
    else if (x)
        for (uint64_t i = 0; i < count; i++)
            x[i] = spec->init == MOHS_INIT_NORMAL
                       ? spec->scale * mohs_rng_normal(seed, key, i)
                       : spec->scale;
    if (st >= 0)
        st = params_set(t->s.params, spec->name, spec->n_dims, spec->dims, x, err);
    if (st >= 0 && t->average)
        st = params_set(t->average, spec->name, spec->n_dims, spec->dims, x, err);
    free(x);
    if (st < 0)
        return st;
    if (k->n == k->cap) {
        k->cap = k->cap ? 2 * k->cap : 64;
        t->decays = xrealloc(t->decays, k->cap);
    }
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
        if (t->o->attack.average && t->o->attack.kind != ADVERSARY_NONE)
            RET_IF_ERR(zeroed(t->s.compute, bytes, &t->sum[i], err));
        slots += optim_sumsq_slots((uint32_t)(bytes / sizeof(float)));
    }
    RET_IF_ERR(zeroed(t->s.compute, slots * sizeof(float), &t->partial, err));
    return zeroed(t->s.compute, 2 * sizeof(float), &t->clip, err);
}

static mohs_status open_model(struct trainer *t, struct mohs_error *err)
{
    const struct train_options *o = t->o;
    struct initialiser k = { .t = t };
    RET_IF_ERR(weights_new(o->config, o->tokenizer, o->preprocessor, &t->weights, err));
    RET_IF_ERR(registry_find(t->registry, MOHS_KIND_MODEL, o->model, &t->item, err));
    t->s.ops = t->item->item->ops;
    t->item_params = item_params_new(t->item);
    mohs_status st = t->s.ops->create(registry_host(t->registry), t->item_params,
                                      t->weights, &t->s.model, err);
    scratch_reset();
    if (st < 0) {
        t->s.model = NULL;
        return st;
    }
    const struct mohs_model_info *info = t->s.ops->info(t->s.model);
    if (info->towers != (MOHS_TOWER_IMAGE | MOHS_TOWER_TEXT))
        return mohs_fail(err, MOHS_E_UNSUPPORTED, "train: %s has not both towers",
                         o->model);
    RET_IF_ERR(preprocess_from(t->weights, info, &t->pre, err));
    RET_IF_ERR(tokenizer_open(t->weights, &t->tokenizer, err));
    RET_IF_ERR(registry_compute(t->registry, &t->s.compute, err));
    t->s.pre = &t->pre;
    t->s.params = params_new(t->s.compute);
    if (o->ema > 0)
        t->average = params_new(t->s.compute);
    if (o->init)
        RET_IF_ERR(weights_open(o->init, &k.from, err));
    st = t->s.ops->describe(t->s.model, init_one, &k, err);
    scratch_reset();
    weights_close(k.from);
    return st;
}

/* ---- the update ---- */

static mohs_status grad_buffer(struct trainer *t, struct step_graph *g, size_t i,
                               struct mohs_buffer **out, struct mohs_error *err)
{
    size_t offset = 0;
    *out = t->sum[i] ? t->sum[i] : g->grad[i] ? tensor_buffer(g->grad[i], &offset) : NULL;
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

struct accumulate {
    struct trainer *t;
    float loss, adversarial;
};

/* FreeLB: adds the parameter gradients of this ascent, over K. */
static mohs_status accumulate(void *user, struct mohs_error *err)
{
    struct accumulate *a = user;
    struct trainer *t = a->t;
    float k = t->o->attack.kind == ADVERSARY_NOISE ? 1 : (float)t->o->attack.steps, x;
    RET_IF_ERR(adversary_hand_over(&t->s, &t->ascent, &t->both, err));
    RET_IF_ERR(graph_run(t->both.graph, err));
    for (size_t i = 0; i < params_count(t->s.params); i++) {
        size_t offset;
        if (!t->both.grad[i])
            continue;
        struct mohs_buffer *g = tensor_buffer(t->both.grad[i], &offset);
        RET_IF_ERR(optim_axpy(t->s.compute, t->sum[i], g,
                              (uint32_t)tensor_count(t->both.grad[i]), 1 / k, err));
    }
    RET_IF_ERR(tensor_read(t->both.loss, &x, err));
    a->loss += x / k;
    RET_IF_ERR(tensor_read(t->both.loss_adversarial, &x, err));
    a->adversarial += x / k;
    return MOHS_OK;
}

static mohs_status adversarial_pass(struct trainer *t, float *loss, float *adversarial,
                                    struct mohs_error *err)
{
    struct accumulate a = { t, 0, 0 };
    bool average = t->o->attack.average;
    if (!t->both.graph) {
        step_graph_free(&t->clean);
        RET_IF_ERR(step_graph_new(&t->s, t->s.params, STEP_ASCENT, &t->ascent, err));
        RET_IF_ERR(step_graph_new(&t->s, t->s.params, STEP_BOTH, &t->both, err));
        RET_IF_ERR(adversary_new(&t->s, &t->ascent, &t->adversary, err));
    }
    RET_IF_ERR(step_graph_write(&t->s, &t->both, STEP_BOTH, &t->batch, err));
    for (size_t i = 0; average && i < params_count(t->s.params); i++)
        RET_IF_ERR(buffer_fill(t->sum[i], 0, 0, buffer_bytes(t->sum[i]), err));
    RET_IF_ERR(adversary_run(&t->s, &t->ascent, &t->adversary, &t->batch, t->step,
                             average ? accumulate : NULL, &a, err));
    if (average) {
        *loss = a.loss;
        *adversarial = a.adversarial;
        return MOHS_OK;
    }
    RET_IF_ERR(adversary_hand_over(&t->s, &t->ascent, &t->both, err));
    RET_IF_ERR(graph_run(t->both.graph, err));
    RET_IF_ERR(tensor_read(t->both.loss, loss, err));
    return tensor_read(t->both.loss_adversarial, adversarial, err);
}

static mohs_status clean_pass(struct trainer *t, float *loss, struct mohs_error *err)
{
    if (!t->clean.graph)
        RET_IF_ERR(step_graph_new(&t->s, t->s.params, STEP_CLEAN, &t->clean, err));
    RET_IF_ERR(step_graph_write(&t->s, &t->clean, STEP_CLEAN, &t->batch, err));
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
    loader_fill(t->loader, t->step, &t->batch);
    if (hostile)
        RET_IF_ERR(adversarial_pass(t, &loss, &adversarial, err));
    else
        RET_IF_ERR(clean_pass(t, &loss, err));
    struct step_graph *g = hostile ? &t->both : &t->clean;
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

/* ---- validation ---- */

static mohs_status embed_pairs(struct trainer *t, size_t n, float *image, float *text,
                               struct mohs_error *err)
{
    const struct dataset *d = t->o->validate;
    const struct mohs_model_info *info = t->s.ops->info(t->s.model);
    uint32_t context = info->context_length, dim = info->embed_dim, b = t->o->batch;
    uint32_t pixels = info->image_height * info->image_width;
    struct batch batch = { 0 };
    float *room = xcalloc((size_t)b * dim, sizeof *room);
    uint32_t *caption = xcalloc(d->n_images, sizeof *caption);
    mohs_status st;
    for (size_t i = d->n_texts; i-- > 0;)
        caption[d->text[i].image] = (uint32_t)i;
    OUT_IF_ERR(batch_alloc(&batch, b, &t->pre, context, err));
    for (size_t i = 0; i < n; i += b) {
        uint32_t m = n - i < b ? (uint32_t)(n - i) : b, last;
        for (uint32_t k = 0; k < m; k++) {
            struct image raw, im;
            const char *s = d->text[caption[i + k]].text;
            OUT_IF_ERR(image_read(d->image[i + k].path, IMAGE_KEEP_ORIENTATION, &raw,
                                  err));
            st = preprocess_pixels(&t->pre, &raw, &im, err);
            image_free(&raw);
            if (st < 0)
                goto out;
            planes(im.rgb, pixels, batch.pixels + (size_t)k * 3 * pixels);
            image_free(&im);
            OUT_IF_ERR(tokenizer_encode(t->tokenizer, s, strlen(s), context,
                                        batch.tokens + (size_t)k * context, &last, err));
            batch.last[k] = (int32_t)last;
        }
        OUT_IF_ERR(step_graph_write(&t->s, &t->embed, STEP_EMBED, &batch, err));
        OUT_IF_ERR(graph_run(t->embed.graph, err));
        OUT_IF_ERR(tensor_read(t->embed.image, room, err));
        memcpy(image + i * dim, room, (size_t)m * dim * sizeof *room);
        OUT_IF_ERR(tensor_read(t->embed.text, room, err));
        memcpy(text + i * dim, room, (size_t)m * dim * sizeof *room);
    }
    st = MOHS_OK;
out:
    batch_free(&batch);
    free(room);
    free(caption);
    return st;
}

/* Share of rows of a whose own row of b is the nearest; ties count half. */
static double recall(const float *a, const float *b, size_t n, uint32_t dim)
{
    double hits = 0;
    for (size_t i = 0; i < n; i++) {
        double own = 0;
        size_t above = 0, equal = 0;
        for (uint32_t k = 0; k < dim; k++)
            own += (double)a[i * dim + k] * b[i * dim + k];
        for (size_t j = 0; j < n; j++) {
            double x = 0;
            if (j == i)
                continue;
            for (uint32_t k = 0; k < dim; k++)
                x += (double)a[i * dim + k] * b[j * dim + k];
            above += x > own;
            equal += x == own;
        }
        hits += above ? 0 : 1.0 / (double)(equal + 1);
    }
    return 100 * hits / (double)n;
}

mohs_status trainer_validate(struct trainer *t, double *i2t, double *t2i,
                             struct mohs_error *err)
{
    size_t n = t->o->validate->n_images;
    uint32_t dim = t->s.ops->info(t->s.model)->embed_dim;
    if (!t->embed.graph)
        RET_IF_ERR(step_graph_new(&t->s, t->average ? t->average : t->s.params,
                                  STEP_EMBED, &t->embed, err));
    float *image = try_calloc(n, dim * sizeof *image, "validation", err);
    float *text = try_calloc(n, dim * sizeof *text, "validation", err);
    mohs_status st = image && text ? embed_pairs(t, n, image, text, err) : MOHS_E_NOMEM;
    if (st >= 0) {
        *i2t = recall(image, text, n, dim);
        *t2i = recall(text, image, n, dim);
    }
    free(image);
    free(text);
    return st;
}

/* ---- the loop ---- */

static bool due(uint32_t done, uint32_t every, uint32_t total)
{
    return every && (done % every == 0 || done == total);
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
        bool validate = o->validate && due(t->step, o->validate_every, o->steps);
        if (validate) {
            RET_IF_ERR(trainer_validate(t, &row[5], &row[6], err));
            res->val_i2t = row[5];
            res->val_t2i = row[6];
            log_info("step %u: loss %.4f, validation R@1 %.1f %% i2t, %.1f %% t2i",
                     t->step, row[0], row[5], row[6]);
        }
        if (validate || due(t->step, o->log_every, o->steps))
            curve_add(&t->curve, t->step, row);
        if (due(t->step, o->checkpoint_every, o->steps) && t->step < o->steps)
            RET_IF_ERR(checkpoint_save(t, err));
        progress_set(t->step);
        progress_note("loss %.4f", row[0]);
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
    step_graph_free(&t->clean);
    step_graph_free(&t->ascent);
    step_graph_free(&t->both);
    step_graph_free(&t->embed);
    adversary_free(&t->adversary);
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
    free(t->decays);
    batch_free(&t->batch);
    loader_free(t->loader);
    pool_free(t->pool);
    tokenizer_free(t->tokenizer);
    if (t->s.model)
        t->s.ops->destroy(t->s.model);
    if (t->item_params)
        item_params_free(t->item, t->item_params);
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
    RET_IF_ERR(check(o, err));
    if (checkpoint_done(o, &res->curve))
        return MOHS_OK;
    char *dir = path_dir(o->out);
    st = dir_make(dir, err);
    free(dir);
    if (st < 0)
        return st;
    OUT_IF_ERR(open_model(&t, err));
    OUT_IF_ERR(stepper_taps(&t.s, err));
    OUT_IF_ERR(optimizer_new(&t, err));
    OUT_IF_ERR(checkpoint_load(&t, err));
    if (st > 0)
        log_info("%s: resuming at step %u", o->out, t.step);
    t.pool = pool_new(0);
    uint32_t context = t.s.ops->info(t.s.model)->context_length;
    OUT_IF_ERR(loader_new(o, &t.pre, t.tokenizer, context, t.pool, &t.loader, err));
    OUT_IF_ERR(batch_alloc(&t.batch, o->batch, &t.pre, context, err));
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
