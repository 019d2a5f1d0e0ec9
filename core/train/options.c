/* SPDX-License-Identifier: MIT */
/* Defaults, checks, the schedule, and the hash of training options. */
#include "config.h"

#include "train/train.h"

#include <math.h>
#include <string.h>

#include "graph/optim.h"

void train_defaults(struct train_options *o)
{
    *o = (struct train_options) {
        .model = "clip", .f16 = true, .steps = 1000, .batch = 256, .warmup = 100,
        .lr = 1e-3f, .beta1 = 0.9f, .beta2 = 0.98f, .eps = 1e-6f, .decay = 0.1f,
        .clip_norm = 1, .ema = 0.995f, .crop_min = 1, .log_every = 20,
        .validate_every = 250, .checkpoint_every = 100,
        .attack = { .kind = ADVERSARY_NONE, .taps = "image.patch,text.token",
                    .norm = BALL_L2, .eps = 0.1f, .steps = 1, .clean = 1 },
        .prompt = "This is a photo of a {}",
        .validate_limit = 1000, .data_bytes = (uint64_t)2 << 30,
    };
}

static mohs_status number(double x, double lo, double hi, const char *name,
                          struct mohs_error *err)
{
    if (x >= lo && x <= hi)
        return MOHS_OK;
    return mohs_fail(err, MOHS_E_ARG, "train: %s %g is outside %g..%g", name, x, lo, hi);
}

static mohs_status check_attack(const struct train_attack *a, struct mohs_error *err)
{
    if (a->kind == ADVERSARY_NONE)
        return MOHS_OK;
    RET_IF_ERR(number(a->clean, 0, 1000, "adversary clean", err));
    if (a->kind == ADVERSARY_PLUGIN) {
        if (a->average || a->ramp)
            return mohs_fail(err, MOHS_E_ARG, "train: '%s' is not for attack %s",
                             a->average ? "average" : "ramp", a->plugin->item->id);
        return number(a->kl, 0, 1000, "adversary kl", err);
    }
    if (a->kind != ADVERSARY_GRADIENT && a->kind != ADVERSARY_NOISE)
        return mohs_fail(err, MOHS_E_ARG, "train: there is no adversary kind %d",
                         (int)a->kind);
    if (a->norm != BALL_L2 && a->norm != BALL_LINF)
        return mohs_fail(err, MOHS_E_ARG, "train: there is no adversary norm %d", a->norm);
    RET_IF_ERR(number(a->eps, 0, 100, "adversary eps", err));
    RET_IF_ERR(number(a->alpha, 0, 100, "adversary alpha", err));
    RET_IF_ERR(number(a->steps, 1, 1000, "adversary steps", err));
    return number(a->kl, 0, 1000, "adversary kl", err);
}

bool train_pairs(const struct train_options *o)
{
    return o->loss == TRAIN_CLIP || o->loss == TRAIN_SIGMOID;
}

/* What fine-tuning the image tower needs. */
static mohs_status check_fine_tuning(const struct train_options *o,
                                     struct mohs_error *err)
{
    const char *loss = o->loss == TRAIN_TECOA ? "tecoa" : "fare";
    if (train_pairs(o))
        return MOHS_OK;
    if (!o->init)
        return mohs_fail(err, MOHS_E_ARG, "train: loss %s needs 'init', a trained model",
                         loss);
    if (o->attack.kind != ADVERSARY_NONE && o->attack.kl > 0)
        return mohs_fail(err, MOHS_E_ARG, "train: loss %s has no kl", loss);
    if (o->loss == TRAIN_FARE)
        return MOHS_OK;
    if (!o->prompt || !strstr(o->prompt, "{}"))
        return mohs_fail(err, MOHS_E_ARG, "train: prompt '%s' has no {} for the class",
                         o->prompt ? o->prompt : "");
    if (!o->data->n_classes)
        return mohs_fail(err, MOHS_E_ARG, "train: loss tecoa needs classes; %s has none",
                         o->data->name);
    for (size_t i = 0; i < o->data->n_images; i++)
        if (o->data->image[i].label >= o->data->n_classes)
            return mohs_fail(err, MOHS_E_ARG, "train: image %s of %s has no class",
                             o->data->image[i].id, o->data->name);
    return MOHS_OK;
}

mohs_status train_check(const struct train_options *o, struct mohs_error *err)
{
    const struct {
        const void *p;
        const char *name;
    } need[] = { { o->model, "model" }, { o->config, "config" },
                 { o->tokenizer, "tokenizer" }, { o->data, "data" }, { o->out, "out" } };
    for (size_t i = 0; i < sizeof need / sizeof *need; i++)
        if (!need[i].p)
            return mohs_fail(err, MOHS_E_ARG, "train: field '%s' is needed", need[i].name);
    if (!str_ends(o->out, ".safetensors"))
        return mohs_fail(err, MOHS_E_ARG, "train: out '%s' must end in .safetensors", o->out);
    if ((unsigned)o->loss > TRAIN_FARE)
        return mohs_fail(err, MOHS_E_ARG, "train: there is no loss %d", (int)o->loss);
    RET_IF_ERR(number(o->steps, 1, 1e9, "steps", err));
    RET_IF_ERR(number(o->batch, 2, 65536, "batch", err));
    RET_IF_ERR(number(o->lr, 0, 10, "lr", err));
    RET_IF_ERR(number(o->beta1, 0, 0.99999, "beta1", err));
    RET_IF_ERR(number(o->beta2, 0, 0.999999, "beta2", err));
    RET_IF_ERR(number(o->eps, 1e-12, 1, "eps", err));
    RET_IF_ERR(number(o->decay, 0, 10, "weight decay", err));
    RET_IF_ERR(number(o->clip_norm, 0, 1e9, "clip_norm", err));
    RET_IF_ERR(number(o->ema, 0, 0.999999, "ema", err));
    RET_IF_ERR(number(o->crop_min, 0.05, 1, "crop", err));
    if (o->data->n_images < o->batch)
        return mohs_fail(err, MOHS_E_ARG, "train: %zu images in %s, a batch of %u",
                         o->data->n_images, o->data->name, o->batch);
    if (o->validate && !o->validate->n_images)
        return mohs_fail(err, MOHS_E_ARG, "train: %s has no images to validate with",
                         o->validate->name);
    if (o->fork && o->attack.kind != ADVERSARY_NONE && o->attack.start < o->fork)
        return mohs_fail(err, MOHS_E_ARG, "train: an adversary from step %u on cannot share "
                         "the first %u steps (fork)", o->attack.start, o->fork);
    RET_IF_ERR(check_fine_tuning(o, err));
    return check_attack(&o->attack, err);
}

float train_rate(const struct train_options *o, uint32_t step)
{
    if (step < o->warmup)
        return o->lr * (float)(step + 1) / (float)o->warmup;
    double t = (double)(step - o->warmup) / (o->steps > o->warmup ? o->steps - o->warmup : 1);
    return (float)(o->lr * 0.5 * (1 + cos(3.14159265358979323846 * (t < 1 ? t : 1))));
}

struct hash128 train_hash(const struct train_options *o)
{
    const struct train_attack *a = &o->attack;
    struct hasher *h = hasher_new();
    char init[65] = "";
    if (o->init) // what it holds, not where it lies
        sha256_file(o->init, init, NULL);
    const char *text[] = { "train/2", o->model, o->config, o->tokenizer,
                           o->preprocessor, init };
    for (size_t i = 0; i < sizeof text / sizeof *text; i++)
        hasher_str(h, text[i] ? text[i] : "");
    hasher_u64(h, o->data->hash.hi);
    hasher_u64(h, o->data->hash.lo);
    uint64_t whole[] = { o->f16, o->steps, o->batch, o->warmup, o->seed, o->loss, o->flip,
                         a->kind };
    double real[] = { o->lr, o->beta1, o->beta2, o->eps, o->decay, o->clip_norm, o->ema,
                      o->crop_min };
    for (size_t i = 0; i < sizeof whole / sizeof *whole; i++)
        hasher_u64(h, whole[i]);
    for (size_t i = 0; i < sizeof real / sizeof *real; i++)
        hasher_f64(h, real[i]);
    if (a->kind != ADVERSARY_NONE) {
        uint64_t aw[] = { (uint64_t)a->norm, a->per_sample, a->steps, a->random_start,
                          a->alternate, a->average, a->start, a->ramp };
        double ar[] = { a->eps, a->alpha, a->kl };
        hasher_str(h, a->taps ? a->taps : "");
        for (size_t i = 0; i < sizeof aw / sizeof *aw; i++)
            hasher_u64(h, aw[i]);
        for (size_t i = 0; i < sizeof ar / sizeof *ar; i++)
            hasher_f64(h, ar[i]);
        if (a->clean != 1)
            hasher_f64(h, a->clean);
    }
    if (a->kind == ADVERSARY_PLUGIN) {
        hasher_str(h, a->plugin->plugin->id);
        hasher_str(h, a->plugin->plugin->version);
        hasher_str(h, a->plugin->item->id);
        item_params_hash(a->plugin, a->params, h);
    }
    if (o->loss == TRAIN_TECOA)
        hasher_str(h, o->prompt);
    return hasher_end(h);
}
