/* SPDX-License-Identifier: MIT */
/*
 * Training runs of a tiny model: it learns, one seed gives one file, killed
 * runs go on where they were, finished ones are found, numbers that are not
 * finite are caught by name, and bad options are refused.
 */
#include "config.h"

#include <check.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "graph/optim.h"
#include "model/model.h"
#include "unit/train_tiny.h"

static struct tiny t;
static struct mohs_error err = MOHS_ERROR_INIT;

#define OK(expr) ck_assert_msg((expr) >= 0, "%s", err.text)

static void setup(void)
{
    tiny_make(&t);
    tiny_open(&t);
}

static void teardown(void)
{
    tiny_remove(&t);
}

static void same_file(const char *a, const char *b, bool same)
{
    size_t n, m;
    char *x = tiny_bytes(&t, a, &n), *y = tiny_bytes(&t, b, &m);
    ck_assert_msg((n == m && !memcmp(x, y, n)) == same, "%s and %s are %s", a, b,
                  same ? "different" : "the same");
    free(x);
    free(y);
}

static void adversary(uint32_t start)
{
    t.o.attack.kind = ADVERSARY_GRADIENT;
    t.o.attack.steps = 2;
    t.o.attack.kl = 1;
    t.o.attack.random_start = true;
    t.o.attack.start = start;
    t.o.attack.ramp = 2;
}

/* Trains t.o; how many steps that took. */
static uint32_t steps_of(const char *name)
{
    struct train_result r = tiny_train(&t, name);
    free(r.curve);
    return r.steps;
}

static void stop_at_3(void *user, const struct train_progress *p)
{
    (void)user;
    interrupted = p->step == 3;
}

/* The first value of a tensor. */
static mohs_status first_of(const struct mohs_weights *w, const char *name, float *out)
{
    uint32_t dims[MOHS_DIMS_MAX];
    int32_t n = weights_api.shape(w, name, dims);
    size_t count = 1;
    for (int32_t i = 0; i < n; i++)
        count *= dims[i];
    float *x = xcalloc(count, sizeof *x);
    mohs_status st = weights_api.read(w, name, x, count, &err);
    *out = x[0];
    free(x);
    return st;
}

/* ---- the schedule ---- */

START_TEST(schedule)
{
    struct train_options o = { .steps = 100, .warmup = 10, .lr = 0.5f };
    ck_assert_float_eq_tol(train_rate(&o, 0), 0.05f, 1e-7);
    ck_assert_float_eq_tol(train_rate(&o, 9), 0.5f, 1e-7);
    ck_assert_float_eq_tol(train_rate(&o, 10), 0.5f, 1e-7);
    ck_assert_float_eq_tol(train_rate(&o, 55), 0.25f, 1e-6);
    for (uint32_t s = 11; s < 100; s++)
        ck_assert(train_rate(&o, s) < train_rate(&o, s - 1));
    ck_assert(train_rate(&o, 99) > 0 && train_rate(&o, 99) < 0.001f);
    o.warmup = 200; // never gets to the top
    ck_assert_float_eq_tol(train_rate(&o, 99), 0.25f, 1e-6);
}
END_TEST

/* ---- learning ---- */

static double number_at(const char *json, const char *name, size_t i)
{
    json_t *root = json_loads(json, 0, NULL);
    json_t *y = json_object_get(json_object_get(root, "y"), name);
    ck_assert_msg(json_is_array(y), "no curve '%s'", name);
    if (i == SIZE_MAX)
        i = json_array_size(y) - 1;
    json_t *v = json_array_get(y, i);
    double x = json_is_number(v) ? json_number_value(v) : NAN;
    json_decref(root);
    return x;
}

/* Two losses, clean and with adversaries: from chance to knowing the set. */
START_TEST(learns)
{
    t.o.loss = _i % 2 ? TRAIN_SIGMOID : TRAIN_CLIP;
    t.o.steps = 80;
    t.o.batch = 24;
    t.o.lr = 0.01f;
    t.o.warmup = 8;
    t.o.ema = _i < 2 ? 0.8f : 0;
    t.o.validate = t.data;
    t.o.validate_every = 40;
    if (_i >= 2)
        adversary(20);
    struct train_result r = tiny_train(&t, "out.safetensors");
    double first = number_at(r.curve, "loss", 0), last = number_at(r.curve, "loss", SIZE_MAX);
    ck_assert_uint_eq(r.steps, 80);
    ck_assert_double_eq_tol(r.loss, last, 1e-5 * fabs(last));
    ck_assert_msg(last < (_i < 2 ? 0.35 : 0.9) * first, "loss %g to %g", first, last);
    ck_assert_msg(r.val_i2t > 70 && r.val_t2i > 70, "R@1 %g, %g", r.val_i2t, r.val_t2i);
    ck_assert_double_eq_tol(number_at(r.curve, "validation i2t R@1", SIZE_MAX), r.val_i2t,
                            1e-6); // written with nine digits
    ck_assert(isnan(number_at(r.curve, "validation i2t R@1", 3)));
    ck_assert(number_at(r.curve, "validation i2t R@1", 39) > 4.2); // chance
    ck_assert_int_eq(isnan(number_at(r.curve, "adversarial loss", 19)), 1);
    ck_assert_int_eq(isnan(number_at(r.curve, "adversarial loss", 20)), _i < 2);
    ck_assert(r.peak_bytes > 0 && r.seconds > 0);
    free(r.curve);
}
END_TEST

/* ---- one seed, one file ---- */

static void options_of(int arm)
{
    t.o.crop_min = 0.6f;
    t.o.flip = true;
    t.o.ema = 0.9f;
    t.o.steps = 7;
    t.o.f16 = arm == 1;
    if (arm == 1)
        adversary(2);
    if (arm == 2) {
        adversary(0);
        t.o.attack.kind = ADVERSARY_NOISE;
        t.o.attack.average = true;
    }
}

START_TEST(deterministic)
{
    options_of(_i);
    free(tiny_train(&t, "a.safetensors").curve);
    t.o.data_bytes = 0; // decoded on demand: nothing changes
    t.o.validate = t.data;
    t.o.validate_every = 0;
    free(tiny_train(&t, "b.safetensors").curve);
    same_file("a.safetensors", "b.safetensors", true);
    t.o.seed = 1;
    free(tiny_train(&t, "c.safetensors").curve);
    same_file("a.safetensors", "c.safetensors", false);
}
END_TEST

static void stop_at(void *user, const struct train_progress *p)
{
    if (p->step == *(const uint32_t *)user)
        interrupted = 1;
}

/* Stopped after every number of steps in turn, in the middle of an epoch,
 * before, at and after the adversary's start. */
START_TEST(goes_on)
{
    options_of(_i);
    free(tiny_train(&t, "whole.safetensors").curve);
    uint32_t stop;
    struct train_result r;
    t.o.progress = stop_at;
    t.o.user = &stop;
    t.o.out = tiny_path(&t, "parts.safetensors");
    for (stop = 1; stop < 7; stop += 1 + stop % 2) {
        ck_assert_int_eq(train_run(t.registry, &t.o, &r, &err), MOHS_E_CANCELLED);
        ck_assert_ptr_nonnull(strstr(err.text, "run again"));
        ck_assert_ptr_null(r.curve);
        ck_assert(file_exists(tiny_path(&t, "parts.safetensors.ckpt")));
        ck_assert(!file_exists(t.o.out));
        interrupted = 0;
    }
    stop = 0;
    OK(train_run(t.registry, &t.o, &r, &err));
    ck_assert_uint_lt(r.steps, 7); // it did not start anew
    free(r.curve);
    same_file("whole.safetensors", "parts.safetensors", true);
    ck_assert(!file_exists(tiny_path(&t, "parts.safetensors.ckpt")));
}
END_TEST

START_TEST(finished_is_found)
{
    struct train_result a = tiny_train(&t, "a.safetensors");
    struct train_result b = tiny_train(&t, "a.safetensors");
    ck_assert_uint_eq(a.steps, 5);
    ck_assert_uint_eq(b.steps, 0);
    ck_assert_str_eq(a.curve, b.curve);
    free(a.curve);
    free(b.curve);
    t.o.lr *= 2;
    b = tiny_train(&t, "a.safetensors");
    ck_assert_uint_eq(b.steps, 5);
    free(b.curve);
}
END_TEST

/* A checkpoint of other options is not gone on from. */
/* ---- fine-tuning under a plugin ---- */

static void *attack_params;

static void fine_tune(enum train_loss loss, const char *id, const char *const param[][2])
{
    OK(registry_find(t.registry, MOHS_KIND_ATTACK, id, &t.o.attack.plugin, &err));
    attack_params = item_params_new(t.o.attack.plugin);
    for (; (*param)[0]; param++)
        OK(item_param_set_text(t.o.attack.plugin, attack_params, (*param)[0], (*param)[1],
                               &err));
    t.o.attack.kind = ADVERSARY_PLUGIN;
    t.o.attack.params = attack_params;
    t.o.attack.taps = "pixels";
    t.o.attack.clean = 0;
    t.o.loss = loss;
    t.o.init = tiny_init(&t, false);
}

/* FARE with its own distance: random starts, checkpoints on the way, the text
 * tower as it was; killed and resumed runs end in the same bytes. */
START_TEST(fare)
{
    static const char *const param[][2] = { { "loss", "raw_embedding" }, { "eps", "0.1" },
                                            { "steps", "2" }, { NULL, NULL } };
    fine_tune(TRAIN_FARE, "pgd", param);
    struct train_result whole = tiny_train(&t, "whole.safetensors");
    ck_assert_msg(whole.loss > 0.01, "the adversary moves embeddings by %g only",
                  whole.loss);
    free(whole.curve);
    t.o.checkpoint_every = 2;
    t.o.progress = stop_at_3;
    t.o.out = tiny_path(&t, "halves.safetensors");
    struct train_result r;
    ck_assert_int_eq(train_run(t.registry, &t.o, &r, &err), MOHS_E_CANCELLED);
    interrupted = 0;
    t.o.progress = NULL;
    ck_assert_uint_eq(steps_of("halves.safetensors"), 2);
    same_file("whole.safetensors", "halves.safetensors", true);
    struct mohs_weights *from, *to;
    OK(weights_open(t.o.init, &from, &err));
    OK(weights_open(t.o.out, &to, &err));
    for (uint32_t i = 0; weights_api.name(to, i); i++) {
        const char *name = weights_api.name(to, i);
        bool text = !strncmp(name, "text", 4) || !strcmp(name, "logit_scale");
        float a, b;
        OK(first_of(from, name, &a));
        OK(first_of(to, name, &b));
        ck_assert_msg((a == b) == text || strstr(name, "k_proj.bias"), "%s: %g, %g", name,
                      a, b);
    }
    weights_close(from);
    weights_close(to);
    item_params_free(t.o.attack.plugin, attack_params);
}
END_TEST

/* What does not go together is refused in one line. */
START_TEST(bad_fine_tuning)
{
    static const char *const none[][2] = { { NULL, NULL } };
    static const char *const both[][2] = { { "tap", "image.patch,text.token" },
                                           { NULL, NULL } };
    struct train_result r;
    const char *want = NULL;
    fine_tune(TRAIN_FARE, _i == 3 ? "feature_pgd" : "pgd", _i == 3 ? both : none);
    switch (_i) {
    case 0: t.o.init = NULL, want = "needs 'init'"; break;
    case 1: t.o.loss = TRAIN_TECOA, want = "needs classes"; break;
    case 2: t.o.attack.kl = 1, want = "has no kl"; break;
    case 3: t.o.attack.taps = "image.patch,text.token", want = "of both towers"; break;
    case 4: t.o.attack.taps = "text.token", want = "does not depend on tap"; break;
    case 5: t.o.attack.ramp = 3, want = "'ramp' is not for attack"; break;
    case 6: t.o.loss = TRAIN_TECOA, t.o.prompt = "a photo", want = "has no {}"; break;
    }
    t.o.out = tiny_path(&t, "bad.safetensors");
    ck_assert_int_lt(train_run(t.registry, &t.o, &r, &err), 0);
    ck_assert_msg(strstr(err.text, want) != NULL, "%s", err.text);
    ck_assert(!file_exists(t.o.out));
    item_params_free(t.o.attack.plugin, attack_params);
}
END_TEST

/* Runs that differ in their adversary only share what comes before it. */
START_TEST(forks)
{
    adversary(3);
    ck_assert_uint_eq(steps_of("alone.safetensors"), 5);
    struct train_attack attack = t.o.attack;
    t.o.fork = 3;
    t.o.attack.kind = ADVERSARY_NONE;
    ck_assert_uint_eq(steps_of("clean.safetensors"), 5);
    t.o.attack = attack;
    ck_assert_uint_eq(steps_of("forked.safetensors"), 2);
    same_file("alone.safetensors", "forked.safetensors", true);
    same_file("alone.safetensors", "clean.safetensors", false);
    t.o.seed++; // shares nothing
    ck_assert_uint_eq(steps_of("other.safetensors"), 5);
    t.o.attack.start = 2;
    t.o.out = tiny_path(&t, "late.safetensors");
    struct train_result r;
    ck_assert_int_eq(train_run(t.registry, &t.o, &r, &err), MOHS_E_ARG);
    ck_assert_ptr_nonnull(strstr(err.text, "(fork)"));
}
END_TEST

START_TEST(other_checkpoints)
{
    uint32_t stop = 2;
    struct train_result r;
    t.o.progress = stop_at;
    t.o.user = &stop;
    t.o.out = tiny_path(&t, "a.safetensors");
    log_threshold = LOG_ERROR;
    ck_assert_int_eq(train_run(t.registry, &t.o, &r, &err), MOHS_E_CANCELLED);
    interrupted = 0;
    stop = 0;
    t.o.seed = 3;
    OK(train_run(t.registry, &t.o, &r, &err));
    ck_assert_uint_eq(r.steps, 5);
    free(r.curve);
    // a damaged one is not thrown away silently
    OK(file_write(tiny_path(&t, "b.safetensors.ckpt"), "nonsense", 8, &err));
    t.o.out = tiny_path(&t, "b.safetensors");
    ck_assert_int_lt(train_run(t.registry, &t.o, &r, &err), 0);
    ck_assert_ptr_nonnull(strstr(err.text, "b.safetensors.ckpt is damaged; remove it"));
}
END_TEST

/* ---- what is stored ---- */

START_TEST(stored)
{
    struct mohs_weights *w;
    struct tokenizer *k;
    size_t half, full;
    t.o.f16 = true;
    t.o.seed = 12;
    free(tiny_train(&t, "half.safetensors").curve);
    t.o.f16 = false;
    free(tiny_train(&t, "full.safetensors").curve);
    free(tiny_bytes(&t, "half.safetensors", &half));
    free(tiny_bytes(&t, "full.safetensors", &full));
    ck_assert_uint_lt(half, full * 3 / 4); // configuration and tokenizer stay
    OK(weights_open(tiny_path(&t, "half.safetensors"), &w, &err));
    OK(tokenizer_open(w, &k, &err));
    ck_assert_uint_eq(tokenizer_size(k), TINY_VOCAB);
    ck_assert_str_eq(weights_meta(w, "seed"), "12");
    ck_assert_ptr_nonnull(weights_config(w));
    ck_assert_ptr_nonnull(weights_preprocessor(w));
    ck_assert(isfinite(number_at(weights_meta(w, "curve"), "loss", 4)));
    tokenizer_free(k);
    weights_close(w);
}
END_TEST

/* exp(logit_scale) never passes 100. */
START_TEST(scale_is_clamped)
{
    struct mohs_weights *w;
    const char *init = tiny_init(&t, false);
    float x = 6;
    OK(weights_open(init, &w, &err));
    OK(weights_put(w, "logit_scale", 0, NULL, &x, &err));
    OK(weights_save(w, tiny_path(&t, "hot.safetensors"), false, NULL, &err));
    weights_close(w);
    t.o.init = tiny_path(&t, "hot.safetensors");
    t.o.steps = 1;
    struct train_result r = tiny_train(&t, "out.safetensors");
    ck_assert_double_eq_tol(number_at(r.curve, "logit scale", 0), 100, 1e-3);
    OK(weights_open(t.o.out, &w, &err));
    OK(weights_api.read(w, "logit_scale", &x, 1, &err));
    ck_assert_float_eq_tol(x, logf(100), 1e-5f);
    weights_close(w);
    free(r.curve);
}
END_TEST

/* ---- statistics ---- */

static const char resnet[] =
    "{\"model_type\":\"clip_resnet\",\"vision_config\":{\"image_size\":32,"
    "\"embedding_size\":8,\"depths\":[1,1,1,1],\"hidden_sizes\":[16,16,32,64],"
    "\"projection_dim\":8},\"text_config\":{\"hidden_size\":16,"
    "\"intermediate_size\":24,\"num_hidden_layers\":1,\"num_attention_heads\":2,"
    "\"max_position_embeddings\":12,\"vocab_size\":514}}";

static void same_values(const struct mohs_weights *a, const struct mohs_weights *b,
                        const char *name, bool same)
{
    uint32_t dims[MOHS_DIMS_MAX];
    int32_t n = weights_api.shape(a, name, dims);
    ck_assert_msg(n == 1 && dims[0] <= 64, "%s has %d dims", name, n);
    float x[64], y[64];
    OK(weights_api.read(a, name, x, dims[0], &err));
    OK(weights_api.read(b, name, y, dims[0], &err));
    ck_assert_msg(!memcmp(x, y, dims[0] * sizeof *x) == same, "%s %s", name,
                  same ? "moved" : "stayed");
}

/* Batch norm runs at its running statistics: they stay, gains and shifts are
 * trained; without a checkpoint there are none. */
START_TEST(statistics_stay)
{
    struct mohs_weights *a, *b;
    struct train_result r;
    t.o.model = "clip_resnet";
    t.o.config = resnet;
    t.o.preprocessor = "{\"size\":{\"shortest_edge\":32},\"crop_size\":32}";
    t.o.ema = 0.9f;
    t.o.out = tiny_path(&t, "bn.safetensors");
    ck_assert_int_eq(train_run(t.registry, &t.o, &r, &err), MOHS_E_UNSUPPORTED);
    ck_assert_msg(strstr(err.text, "visual.bn1.running_mean") && strstr(err.text, "give init"),
                  "%s", err.text);
    t.o.init = tiny_init_of(&t, "clip_resnet", resnet);
    r = tiny_train(&t, "bn.safetensors");
    free(r.curve);
    OK(weights_open(t.o.init, &a, &err));
    OK(weights_open(t.o.out, &b, &err));
    same_values(a, b, "visual.bn1.running_mean", true);
    same_values(a, b, "visual.layer3.0.bn2.running_var", true);
    same_values(a, b, "visual.bn1.weight", false);
    same_values(a, b, "visual.layer3.0.bn2.bias", false);
    weights_close(a);
    weights_close(b);
    t.o.init = t.o.out; // what was written can be trained on
    r = tiny_train(&t, "more.safetensors");
    free(r.curve);
}
END_TEST

/* ---- open_clip's configurations ---- */

#define OPEN_CLIP(vision)                                                        \
    "{\"model_cfg\":{\"embed_dim\":8,\"vision_cfg\":{\"image_size\":32," vision      \
    "},\"text_cfg\":{\"context_length\":12,\"vocab_size\":514,\"width\":16,"        \
    "\"heads\":2,\"layers\":1}}}"
#define OURS(id, vision)                                                         \
    "{\"model_type\":\"" id "\",\"projection_dim\":8,\"vision_config\":{"          \
    "\"image_size\":32,\"projection_dim\":8," vision "},\"text_config\":{"         \
    "\"hidden_size\":16,\"intermediate_size\":64,\"num_hidden_layers\":1,"         \
    "\"num_attention_heads\":2,\"max_position_embeddings\":12,"                  \
    "\"vocab_size\":514}}"

static const struct {
    const char *model, *ours, *open_clip;
} published[] = {
    { "clip_convnext",
      OURS("clip_convnext", "\"depths\":[1,1,1,1],\"hidden_sizes\":[8,8,16,16]"),
      OPEN_CLIP("\"timm_model_name\":\"convnext_base\",\"timm_proj\":\"linear\"") },
    { "clip",
      OURS("clip", "\"hidden_size\":16,\"intermediate_size\":64,"
                   "\"num_hidden_layers\":1,\"num_attention_heads\":2,"
                   "\"patch_size\":8,\"hidden_act\":\"gelu\""),
      OPEN_CLIP("\"width\":16,\"layers\":1,\"patch_size\":8,\"head_width\":8") },
};

static int32_t sure_of(const char *model, const struct mohs_weights *w)
{
    const struct item *it;
    OK(registry_find(t.registry, MOHS_KIND_MODEL, model, &it, &err));
    const struct mohs_model_ops *ops = it->item->ops;
    return ops->probe(registry_host(t.registry), w);
}

/* Trained on from a file with open_clip's configuration, which leaves sizes to
 * the tensors, then from what that wrote: each goes on where the other was. */
START_TEST(goes_on_from_its_own)
{
    struct mohs_weights *w;
    double first = 0;
    const char *id = published[_i].model, *cfg = published[_i].open_clip;
    const char *file[] = { tiny_init_of(&t, id, published[_i].ours), "a.safetensors",
                           "b.safetensors" };
    t.o.model = id;
    t.o.preprocessor = "{\"size\":{\"shortest_edge\":32},\"crop_size\":32}";
    t.o.init = file[0];
    t.o.config = cfg;
    t.o.lr = 0.003f;
    t.o.batch = 24;
    for (int k = 1; k < 3; k++) {
        struct train_result r = tiny_train(&t, file[k]);
        double loss = number_at(r.curve, "loss", 0);
        ck_assert_msg(isfinite(loss) && (k == 1 || loss < first - 0.1), "loss %g to %g",
                      first, loss);
        first = loss;
        free(r.curve);
        OK(weights_open(t.o.out, &w, &err));
        ck_assert_str_eq(weights_config(w), cfg);
        ck_assert_int_ge(sure_of(id, w), 50);
        weights_close(w);
        t.o.init = tiny_path(&t, file[k]);
        t.o.seed++;
    }
}
END_TEST

/* ---- numbers that are not finite ---- */

START_TEST(nan_is_named)
{
    static const struct {
        const char *weight, *place;
        bool hostile;
    } cases[] = {
        { "text_model.encoder.layers.1.mlp.fc1.weight", "train: step 0: the loss", false },
        { "vision_model.encoder.layers.0.layer_norm1.bias", "train: step 0: the loss", true },
    };
    struct mohs_weights *w;
    struct train_result r;
    const char *init = tiny_init(&t, false), *name = cases[_i].weight;
    uint32_t dims[MOHS_DIMS_MAX];
    OK(weights_open(init, &w, &err));
    int32_t n = weights_api.shape(w, name, dims);
    uint64_t count = dims[0] * (n > 1 ? dims[1] : 1);
    float *x = xcalloc((size_t)count, sizeof *x);
    OK(weights_api.read(w, name, x, count, &err));
    x[1] = NAN;
    OK(weights_put(w, name, (uint32_t)n, dims, x, &err));
    OK(weights_save(w, tiny_path(&t, "nan.safetensors"), false, NULL, &err));
    weights_close(w);
    free(x);
    t.o.init = tiny_path(&t, "nan.safetensors");
    t.o.out = tiny_path(&t, "out.safetensors");
    if (cases[_i].hostile)
        adversary(0);
    ck_assert_int_eq(train_run(t.registry, &t.o, &r, &err), MOHS_E_NUMERIC);
    ck_assert_msg(strstr(err.text, cases[_i].place) == err.text, "%s", err.text);
    const char *first = strstr(err.text, "first at ");
    ck_assert_msg(first && strlen(first) > strlen("first at "), "%s", err.text);
    ck_assert(!file_exists(t.o.out));
}
END_TEST

/* A rate that blows up is stopped before it spoils a checkpoint. */
START_TEST(divergence)
{
    struct train_result r;
    t.o.lr = 10;
    t.o.clip_norm = 0;
    t.o.decay = 10; // p *= 1 - 100 a step
    t.o.steps = 60;
    t.o.warmup = 0;
    t.o.checkpoint_every = 1;
    t.o.out = tiny_path(&t, "out.safetensors");
    ck_assert_int_eq(train_run(t.registry, &t.o, &r, &err), MOHS_E_NUMERIC);
    ck_assert_ptr_nonnull(strstr(err.text, "is not finite"));
    struct mohs_weights *w;
    OK(weights_open(tiny_path(&t, "out.safetensors.ckpt"), &w, &err));
    weights_close(w);
}
END_TEST

/* ---- bad options ---- */

static void set_bad(int i)
{
    static const char *const config[] = { "[]", "{", "{\"model_type\":\"clip\"}" };
    struct train_options *o = &t.o;
    switch (i) {
    case 0: o->steps = 0; break;
    case 1: o->batch = 1; break;
    case 2: o->batch = 25; break;
    case 3: o->lr = NAN; break;
    case 4: o->beta2 = 1; break;
    case 5: o->ema = 1; break;
    case 6: o->crop_min = 0; break;
    case 7: o->config = NULL; break;
    case 8: o->out = "model.bin"; break;
    case 9: o->model = "clop"; break;
    case 10: o->config = config[0]; break;
    case 11: o->config = config[1]; break;
    case 12: adversary(0), o->attack.taps = "image.patch,text.tokens"; break;
    case 13: adversary(0), o->attack.taps = ""; break;
    case 14: adversary(0), o->attack.steps = 0; break;
    case 15: adversary(0), o->attack.eps = -1; break;
    case 16: adversary(0), o->attack.norm = 7; break;
    case 17: o->loss = (enum train_loss)9; break;
    case 18: o->init = "/nowhere/at.safetensors"; break;
    case 19: o->tokenizer = "{}"; break;
    }
}

static const char *const complaints[] = {
    "train: steps 0 is outside", "train: batch 1 is outside",
    "train: 24 images in tiny, a batch of 25", "train: lr nan", "train: beta2 1 is outside",
    "train: ema 1 is outside", "train: crop 0 is outside", "train: field 'config' is needed",
    "out 'model.bin' must end in .safetensors", "clop", "config is no JSON object",
    "config is no JSON object", "no tap 'text.tokens'; the model has pixels, image.patch",
    "adversary without taps", "adversary steps 0", "adversary eps -1",
    "no adversary norm 7", "no loss 9", "/nowhere/at.safetensors", "tokenizer",
};

START_TEST(bad_options)
{
    struct train_result r;
    t.o.out = tiny_path(&t, "out.safetensors");
    set_bad(_i);
    ck_assert_int_lt(train_run(t.registry, &t.o, &r, &err), 0);
    ck_assert_msg(strstr(err.text, complaints[_i]) != NULL, "'%s' lacks '%s'", err.text,
                  complaints[_i]);
    ck_assert_ptr_null(r.curve);
}
END_TEST

int main(void)
{
    int skip = tiny_need_device();
    if (skip)
        return skip;
    Suite *s = suite_create("train");
    TCase *c = tcase_create("train");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, schedule);
    tcase_add_loop_test(c, learns, 0, 4);
    tcase_add_loop_test(c, deterministic, 0, 3);
    tcase_add_loop_test(c, goes_on, 0, 3);
    tcase_add_test(c, finished_is_found);
    tcase_add_test(c, forks);
    tcase_add_test(c, fare);
    tcase_add_loop_test(c, bad_fine_tuning, 0, 7);
    tcase_add_test(c, other_checkpoints);
    tcase_add_test(c, stored);
    tcase_add_test(c, scale_is_clamped);
    tcase_add_test(c, statistics_stay);
    tcase_add_loop_test(c, goes_on_from_its_own, 0, sizeof published / sizeof *published);
    tcase_add_loop_test(c, nan_is_named, 0, 2);
    tcase_add_test(c, divergence);
    tcase_add_loop_test(c, bad_options, 0, 20);
    tcase_set_timeout(c, 300);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
