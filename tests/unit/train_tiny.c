/* SPDX-License-Identifier: MIT */
/* Pictures, captions, configuration and weights of the tiny model. */
#include "config.h"

#include "unit/train_tiny.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <mohs/rng.h>

#include "graph/graph.h"
#include "model/model.h"

static struct mohs_error err = MOHS_ERROR_INIT;

#define OK(expr) ck_assert_msg((expr) >= 0, "%s", err.text)

static const char config[] =
    "{\"model_type\":\"clip\",\"projection_dim\":8,"
    "\"vision_config\":{\"hidden_size\":16,\"intermediate_size\":24,"
    "\"num_hidden_layers\":2,\"num_attention_heads\":2,\"image_size\":16,"
    "\"patch_size\":4,\"hidden_act\":\"quick_gelu\",\"layer_norm_eps\":1e-5},"
    "\"text_config\":{\"hidden_size\":16,\"intermediate_size\":24,"
    "\"num_hidden_layers\":2,\"num_attention_heads\":2,"
    "\"max_position_embeddings\":12,\"vocab_size\":514,"
    "\"hidden_act\":\"quick_gelu\",\"layer_norm_eps\":1e-5,\"bos_token_id\":512,"
    "\"eos_token_id\":513,\"pad_token_id\":513}}";
static const char preprocessor[] =
    "{\"do_resize\":true,\"size\":{\"shortest_edge\":16},\"resample\":3,"
    "\"do_center_crop\":true,\"crop_size\":{\"height\":16,\"width\":16},"
    "\"image_mean\":[0.5,0.4,0.45],\"image_std\":[0.25,0.3,0.2]}";

static void make_picture(const char *path, uint32_t i)
{
    struct image im = { TINY_SIZE, TINY_SIZE, xmalloc(TINY_SIZE * TINY_SIZE * 3) };
    for (uint32_t p = 0; p < TINY_SIZE * TINY_SIZE; p++) {
        uint32_t side = p % TINY_SIZE / (1 + i % 5) % 2;
        for (uint32_t c = 0; c < 3; c++) {
            uint32_t base = mohs_rng_u32(41, i, side * 3 + c) >> 24;
            uint32_t noise = mohs_rng_u32(41, i, 6 + 3 * p + c) >> 27;
            im.rgb[3 * p + c] = (uint8_t)((base + noise) % 256);
        }
    }
    OK(image_write_png(path, &im, &err));
    image_free(&im);
}

/* Single letters: "q a x". */
static char *make_caption(struct arena *a, uint32_t i, uint32_t k)
{
    uint32_t n = 1 + mohs_rng_below(43, i, k, 8);
    char *s = arena_alloc(a, 2 * n);
    for (uint32_t j = 0; j < n; j++) {
        s[2 * j] = (char)('a' + mohs_rng_below(44, i, 16 * k + j, 26));
        s[2 * j + 1] = j + 1 < n ? ' ' : 0;
    }
    return s;
}

static struct dataset *make_data(struct tiny *t)
{
    struct dataset *d = xcalloc(1, sizeof *d);
    d->arena = arena_new();
    d->name = arena_strdup(d->arena, "tiny");
    d->n_images = TINY_IMAGES;
    d->n_texts = TINY_IMAGES * TINY_CAPTIONS;
    d->image = arena_alloc(d->arena, d->n_images * sizeof *d->image);
    d->text = arena_alloc(d->arena, d->n_texts * sizeof *d->text);
    for (uint32_t i = 0; i < TINY_IMAGES; i++) {
        char *path = arena_printf(d->arena, "%s/%u.png", t->dir, i);
        make_picture(path, i);
        d->image[i] = (struct data_image) { .id = path_base(path), .path = path,
                                            .key = 100 + i, .label = UINT32_MAX };
    }
    for (uint32_t k = 0; k < d->n_texts; k++) {
        uint32_t i = k % TINY_IMAGES; // captions of an image apart
        d->text[k] = (struct data_text) {
            .text = make_caption(d->arena, i, k / TINY_IMAGES), .id = "", .key = k,
            .image = i };
    }
    return d;
}

void tiny_make(struct tiny *t)
{
    memset(t, 0, sizeof *t);
    const char *tmp = getenv("TMPDIR");
    int n = snprintf(t->dir, sizeof t->dir, "%s/mohs_train.XXXXXX", tmp ? tmp : "/tmp");
    ck_assert_int_lt(n, (int)sizeof t->dir);
    ck_assert_ptr_nonnull(mkdtemp(t->dir));
    t->data = make_data(t);
    const char *text[] = { "a" };
    OK(tokenizer_train(text, 1, TINY_VOCAB, &t->tokenizer, &err)); // no merges
    log_threshold = LOG_WARN;
    train_defaults(&t->o);
    t->o.config = config;
    t->o.tokenizer = t->tokenizer;
    t->o.preprocessor = preprocessor;
    t->o.data = t->data;
    t->o.f16 = false;
    t->o.steps = 5;
    t->o.batch = TINY_BATCH;
    t->o.warmup = 2;
    t->o.ema = 0;
    t->o.log_every = 1;
    t->o.validate_every = 0;
    t->o.checkpoint_every = 0;
}

static const struct registry_extension tables[] = {
    { MOHS_EXT_GRAPH, &graph_api },
    { MOHS_EXT_WEIGHTS, &weights_api },
    { NULL, NULL },
};

void tiny_open(struct tiny *t)
{
    struct registry_options o = { .device = getenv("MOHS_DEVICE"), .extensions = tables };
    OK(registry_open(&o, &t->registry, &err));
}

void tiny_remove(struct tiny *t)
{
    char **name = NULL;
    size_t n = 0;
    registry_close(t->registry);
    OK(dir_list(t->dir, &name, &n, &err));
    for (size_t i = 0; i < n; i++) {
        char *p = path_join(t->dir, name[i]);
        unlink(p);
        free(p);
    }
    strv_free(name);
    rmdir(t->dir);
    dataset_free(t->data);
    free(t->tokenizer);
}

const char *tiny_path(struct tiny *t, const char *name)
{
    return arena_printf(t->data->arena, "%s/%s", t->dir, name);
}

/* ---- weights by formula ---- */

static uint64_t fnv(const char *s)
{
    uint64_t h = 0xCBF29CE484222325u;
    for (; *s; s++)
        h = (h ^ (unsigned char)*s) * 0x100000001B3u;
    return h;
}

float tiny_number(uint64_t seed, const char *name, uint64_t i)
{
    return 2 * mohs_rng_uniform(seed, fnv(name), i) - 1;
}

static mohs_status put_weight(void *user, const struct mohs_weight_spec *s,
                              struct mohs_error *e)
{
    uint64_t n = 1;
    bool bias = str_ends(s->name, "bias");
    bool gain = strstr(s->name, "norm") && str_ends(s->name, "weight");
    double offset = gain || str_ends(s->name, "running_var") ? 1 : 0;
    for (uint32_t i = 0; i < s->n_dims; i++)
        n *= s->dims[i];
    float *x = xcalloc((size_t)n, sizeof *x);
    for (uint64_t i = 0; i < n; i++)
        x[i] = !strcmp(s->name, "logit_scale")  ? 2
               : !strcmp(s->name, "logit_bias") ? -3
               : (float)(offset + (bias ? 0.125 : 0.25) *
                                      (double)tiny_number(21, s->name, i));
    mohs_status st = weights_put(user, s->name, s->n_dims, s->dims, x, e);
    free(x);
    return st;
}

const char *tiny_init_of(struct tiny *t, const char *id, const char *text)
{
    const char *path = tiny_path(t, "init.safetensors");
    struct mohs_weights *empty, *w;
    const struct item *it;
    void *model, *params;
    OK(weights_new(text, NULL, NULL, &empty, &err));
    OK(weights_new(text, NULL, NULL, &w, &err));
    OK(registry_find(t->registry, MOHS_KIND_MODEL, id, &it, &err));
    const struct mohs_model_ops *ops = it->item->ops;
    params = item_params_new(it);
    OK(ops->create(registry_host(t->registry), params, empty, &model, &err));
    OK(ops->describe(model, put_weight, w, &err));
    OK(weights_save(w, path, false, NULL, &err));
    ops->destroy(model);
    item_params_free(it, params);
    weights_close(empty);
    weights_close(w);
    return path;
}

const char *tiny_init(struct tiny *t, bool sigmoid)
{
    char *text = xasprintf("{\"mohs_sigmoid_loss\":%s,%s", sigmoid ? "true" : "false",
                           config + 1);
    const char *path = tiny_init_of(t, "clip", text);
    free(text);
    return path;
}

/* ---- runs ---- */

struct train_result tiny_train(struct tiny *t, const char *name)
{
    struct train_result r;
    t->o.out = tiny_path(t, name);
    OK(train_run(t->registry, &t->o, &r, &err));
    return r;
}

char *tiny_bytes(struct tiny *t, const char *name, size_t *n)
{
    char *data;
    OK(file_read(tiny_path(t, name), 0, &data, n, &err));
    return data;
}

int tiny_need_device(void)
{
    struct device_report *r;
    size_t n;
    bool any = false;
    if (compute_probe(&r, &n, &err) >= 0) {
        for (size_t i = 0; i < n; i++)
            any |= r[i].usable;
        free(r);
    }
    const char *must = getenv("MOHS_REQUIRE_CL");
    return any ? 0 : must && *must == '1' ? EXIT_FAILURE : 77;
}
