/* SPDX-License-Identifier: MIT */
/*
 * Times whole training steps of the default model (64 px, patch 8, width
 * 192, 4 + 3 layers, 128 dimensions) as mohs.train runs them: batches with
 * crops from decoded pictures, forward, backward, clipping, AdamW, average.
 *   train_step [batch [steps [clean | adversarial | noise]]]
 * bench/train_step.py is the same in PyTorch. Prints medians over the steps.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mohs/rng.h>

#include "graph/graph.h"
#include "graph/optim.h"
#include "model/model.h"
#include "train/train.h"

enum { SIZE = 64, CAPTIONS = 5, CONTEXT = 32, IMAGES = 1024 };

static struct mohs_error err = MOHS_ERROR_INIT;

static void ok(mohs_status st)
{
    if (st >= 0)
        return;
    fprintf(stderr, "train_step: %s\n", err.text);
    exit(1);
}

/* ---- pictures and captions of nothing in particular ---- */

static const char *const word[] = {
    "a", "red", "green", "small", "large", "cat", "dog", "boat", "tree", "house",
    "above", "below", "beside", "and", "the", "picture", "of", "blue", "old", "car" };

static void make_image(const char *path, uint32_t i)
{
    struct image im = { SIZE, SIZE, xmalloc(SIZE * SIZE * 3) };
    for (uint32_t k = 0; k < SIZE * SIZE * 3; k++)
        im.rgb[k] = (uint8_t)mohs_rng_u32(1, i, k / 48);
    ok(image_write_png(path, &im, &err));
    image_free(&im);
}

static struct dataset *make_data(const char *dir)
{
    struct dataset *d = xcalloc(1, sizeof *d);
    d->arena = arena_new();
    d->name = arena_strdup(d->arena, "bench");
    d->n_images = IMAGES;
    d->n_texts = IMAGES * CAPTIONS;
    d->image = arena_alloc(d->arena, d->n_images * sizeof *d->image);
    d->text = arena_alloc(d->arena, d->n_texts * sizeof *d->text);
    for (uint32_t i = 0; i < IMAGES; i++) {
        const char *path = arena_printf(d->arena, "%s/%u.png", dir, i);
        make_image(path, i);
        d->image[i] = (struct data_image) { .id = path, .path = path, .key = i };
    }
    for (uint32_t t = 0; t < d->n_texts; t++) {
        struct str s = { 0 };
        uint32_t n = 8 + mohs_rng_below(2, t, 0, 12);
        for (uint32_t k = 0; k < n; k++)
            str_addf(&s, "%s%s", k ? " " : "", word[mohs_rng_below(3, t, k, 20)]);
        d->text[t] = (struct data_text) { .text = arena_strdup(d->arena, s.s),
                                          .id = "", .key = t, .image = t / CAPTIONS };
        str_free(&s);
    }
    return d;
}

/* ---- the run ---- */

static const char config[] =
    "{\"model_type\":\"clip\",\"projection_dim\":128,\"vision_config\":{"
    "\"hidden_size\":192,\"intermediate_size\":768,\"num_hidden_layers\":4,"
    "\"num_attention_heads\":3,\"image_size\":64,\"patch_size\":8,"
    "\"hidden_act\":\"quick_gelu\",\"layer_norm_eps\":1e-5},\"text_config\":{"
    "\"hidden_size\":192,\"intermediate_size\":768,\"num_hidden_layers\":3,"
    "\"num_attention_heads\":3,\"max_position_embeddings\":32,\"vocab_size\":%u,"
    "\"hidden_act\":\"quick_gelu\",\"layer_norm_eps\":1e-5}}";

struct times {
    double *at;
    uint32_t n;
};

static void note(void *user, const struct train_progress *p)
{
    struct times *t = user;
    (void)p;
    t->at[t->n++] = now_s();
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double median_step(struct times *t)
{
    // the first two steps compile kernels and fill pools
    uint32_t n = t->n > 3 ? t->n - 3 : 0;
    double *d = xcalloc(n + 1, sizeof *d);
    for (uint32_t i = 0; i < n; i++)
        d[i] = t->at[i + 3] - t->at[i + 2];
    qsort(d, n, sizeof *d, by_value);
    double m = n ? d[n / 2] : 0;
    free(d);
    return m;
}

static const struct registry_extension tables[] = {
    { MOHS_EXT_GRAPH, &graph_api },
    { MOHS_EXT_WEIGHTS, &weights_api },
    { NULL, NULL },
};

int main(int argc, char **argv)
{
    char dir[] = "/tmp/train_step.XXXXXX", text[1024];
    uint32_t batch = argc > 1 ? (uint32_t)atoi(argv[1]) : 256;
    uint32_t steps = argc > 2 ? (uint32_t)atoi(argv[2]) : 10;
    const char *kind = argc > 3 ? argv[3] : "clean";
    struct registry_options ro = { .device = getenv("MOHS_DEVICE"), .extensions = tables };
    struct registry *r;
    struct train_options o;
    struct train_result res;
    struct times t = { xcalloc(steps + 8, sizeof(double)), 0 };
    struct tokenizer *tok;
    char *json;
    log_threshold = getenv("MOHS_PROFILE") ? LOG_INFO : LOG_WARN;
    if (!mkdtemp(dir))
        return 1;
    struct dataset *d = make_data(dir);
    const char **captions = xcalloc(d->n_texts, sizeof *captions);
    for (size_t i = 0; i < d->n_texts; i++)
        captions[i] = d->text[i].text;
    ok(tokenizer_train(captions, d->n_texts, 700, &json, &err));
    ok(tokenizer_parse(json, strlen(json), "tokenizer", &tok, &err));
    snprintf(text, sizeof text, config, tokenizer_size(tok));
    ok(registry_open(&ro, &r, &err));
    train_defaults(&o);
    o.config = text;
    o.tokenizer = json;
    o.preprocessor = "{\"size\":{\"shortest_edge\":64},\"crop_size\":{\"height\":64,"
                     "\"width\":64},\"resample\":3,\"do_center_crop\":true,"
                     "\"do_resize\":true,\"image_mean\":[0.5,0.5,0.5],"
                     "\"image_std\":[0.25,0.25,0.25]}";
    o.data = d;
    o.out = arena_printf(d->arena, "%s/out.safetensors", dir);
    o.steps = steps + 3;
    o.batch = batch;
    o.crop_min = 0.8f;
    o.checkpoint_every = 0;
    o.progress = note;
    o.user = &t;
    if (strcmp(kind, "clean"))
        o.attack.kind = strcmp(kind, "noise") ? ADVERSARY_GRADIENT : ADVERSARY_NOISE;
    ok(train_run(r, &o, &res, &err));
    printf("train step %s, batch %u: %.3f s, peak device memory %.0f MiB\n", kind, batch,
           median_step(&t), (double)res.peak_bytes / (1 << 20));
    free(res.curve);
    free(t.at);
    free(captions);
    free(json);
    tokenizer_free(tok);
    registry_close(r);
    size_t n;
    char **names;
    ok(dir_list(dir, &names, &n, &err));
    for (size_t i = 0; i < n; i++) {
        char *p = path_join(dir, names[i]);
        remove(p);
        free(p);
    }
    strv_free(names);
    remove(dir);
    dataset_free(d);
    return 0;
}
