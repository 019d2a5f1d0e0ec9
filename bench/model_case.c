/* SPDX-License-Identifier: MIT */
/*
 * Runs any model on given inputs and keeps its embeddings and gradients, for
 * bench/models.py to compare with the reference.
 *   model_case MODEL CASE.safetensors OUT.safetensors [PLUGIN]
 * CASE holds, for the towers wanted, pixels [n, 3, h, w] in 0..1, tokens
 * [n, t] and last [n]. OUT gets image.raw, image (normalised), text.raw and
 * text. With image.seed [n, dim] there is also image.grad: the gradient of
 * sum(image * image.seed) by pixels, and likewise with text.seed text.grad by
 * the tap text.token. With pair.rgb [n, h, w, 3] of 0..255 in the case it
 * also gets pairs [n, tokens, scores]: what a matching head makes of each of
 * these images with each of the texts.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "eval/encoder.h"
#include "eval/pairs.h"

static struct mohs_error err = MOHS_ERROR_INIT;

static void ok(mohs_status st)
{
    if (st >= 0)
        return;
    fprintf(stderr, "model_case: %s\n", err.text);
    exit(1);
}

static const struct registry_extension tables[] = {
    { MOHS_EXT_GRAPH, &graph_api },
    { MOHS_EXT_WEIGHTS, &weights_api },
    { NULL, NULL },
};

/* Tensor `name` of the case; integers as int32. */
static void *take(const struct mohs_weights *c, const char *name, bool ints,
                  uint32_t dims[MOHS_DIMS_MAX])
{
    int32_t n = weights_api.shape(c, name, dims);
    uint64_t count = 1;
    if (n < 0)
        ok(mohs_fail(&err, MOHS_E_FORMAT, "no %s in the case", name));
    for (int32_t i = 0; i < n; i++)
        count *= dims[i];
    float *x = xcalloc((size_t)count, sizeof *x);
    ok(weights_api.read(c, name, x, count, &err));
    for (uint64_t i = 0; ints && i < count; i++)
        memcpy(&x[i], &(int32_t) { (int32_t)x[i] }, sizeof *x);
    return x;
}

static void keep(struct mohs_weights *out, const char *side, const char *what,
                 struct tensor *t)
{
    uint32_t dims[MOHS_DIMS_MAX];
    char *name = xasprintf("%s%s", side, what);
    float *x = xcalloc((size_t)tensor_count(t), sizeof *x);
    ok(tensor_read(t, x, &err));
    ok(weights_put(out, name, tensor_shape(t, dims), dims, x, &err));
    free(x);
    free(name);
}

static void run(struct encoder *e, const struct mohs_weights *c,
                struct mohs_weights *out, uint32_t tower)
{
    bool image = tower == MOHS_TOWER_IMAGE;
    const char *side = image ? "image" : "text";
    const char *with = image ? "image.seed" : "text.seed";
    uint32_t in[MOHS_DIMS_MAX], sd[MOHS_DIMS_MAX], ld[MOHS_DIMS_MAX];
    void *x = take(c, image ? "pixels" : "tokens", !image, in);
    bool grads = weights_api.shape(c, with, NULL) >= 0;
    float *seed = grads ? take(c, with, false, sd) : NULL;
    struct tensor *s = NULL, *grad = NULL;
    struct tower_graph t;
    struct graph_cost cost;
    ok(encoder_tower(e, tower, in[0], image ? 0 : in[1], NULL, 0, &t, &err));
    struct tensor *at = image ? t.pixels : graph_find_tap(t.graph, "text.token");
    if (grads) {
        s = graph_input(t.graph, "seed", MOHS_F32, 2, sd);
        ok(graph_grad(t.graph, t.embed, s, &at, 1, &grad, &err));
        graph_output(t.graph, grad);
    }
    graph_output(t.graph, t.raw);
    graph_output(t.graph, t.embed);
    ok(graph_plan(t.graph, &cost, &err));
    ok(tensor_write(image ? t.pixels : t.tokens, x, &err));
    if (grads)
        ok(tensor_write(s, seed, &err));
    if (!image) {
        int32_t *last = take(c, "last", true, ld);
        ok(tensor_write(t.last, last, &err));
        free(last);
    }
    ok(graph_run(t.graph, &err));
    keep(out, side, ".raw", t.raw);
    keep(out, side, "", t.embed);
    if (grads)
        keep(out, side, ".grad", grad);
    graph_free(t.graph);
    free(seed);
    free(x);
}

static void run_pairs(struct encoder *e, const struct mohs_weights *c,
                      struct mohs_weights *out)
{
    uint32_t dims[MOHS_DIMS_MAX], td[MOHS_DIMS_MAX], ld[MOHS_DIMS_MAX];
    float *rgb = take(c, "pair.rgb", false, dims);
    int32_t *ids = take(c, "tokens", true, td), *last = take(c, "last", true, ld);
    size_t bytes = (size_t)dims[1] * dims[2] * dims[3];
    uint8_t *x = xcalloc(bytes, 1);
    const uint8_t *const image[] = { x };
    struct pairs *p;
    ok(pairs_open(e, td[0], &p, &err));
    uint32_t n_scores = pairs_info(e)->n_scores;
    float *side = xcalloc((size_t)pairs_image_count(p), sizeof *side);
    float *y = xcalloc((size_t)dims[0] * td[0] * n_scores, sizeof *y);
    for (uint32_t i = 0; i < dims[0]; i++) {
        for (size_t j = 0; j < bytes; j++)
            x[j] = (uint8_t)rgb[i * bytes + j];
        ok(pairs_images(p, 1, image, side, &err));
        ok(pairs_score(p, side, td[0], ids, last,
                       y + (size_t)i * td[0] * n_scores, &err));
    }
    pairs_close(p);
    ok(weights_put(out, "pairs", 3, (uint32_t[]) { dims[0], td[0], n_scores }, y,
                   &err));
    free(y);
    free(side);
    free(x);
    free(last);
    free(ids);
    free(rgb);
}

int main(int argc, char **argv)
{
    struct registry_options o = { .device = getenv("MOHS_DEVICE"),
                                  .extensions = tables };
    struct registry *r;
    struct encoder *e;
    struct mohs_weights *c, *out;
    if (argc < 4) {
        fprintf(stderr, "model_case MODEL CASE OUT [PLUGIN]\n");
        return 2;
    }
    ok(registry_open(&o, &r, &err));
    ok(weights_open(argv[2], &c, &err));
    ok(weights_new("{}", NULL, NULL, &out, &err));
    ok(encoder_open(r, argc > 4 ? argv[4] : NULL, argv[1], &e, &err));
    if (weights_api.shape(c, "pixels", NULL) >= 0)
        run(e, c, out, MOHS_TOWER_IMAGE);
    if (weights_api.shape(c, "tokens", NULL) >= 0)
        run(e, c, out, MOHS_TOWER_TEXT);
    if (weights_api.shape(c, "pair.rgb", NULL) >= 0)
        run_pairs(e, c, out);
    ok(weights_save(out, argv[3], false, NULL, &err));
    printf("%s %.9g %.9g %llu\n", encoder_item(e)->item->id,
           (double)encoder_info(e)->logit_scale,
           (double)encoder_info(e)->logit_bias,
           (unsigned long long)rss_peak_bytes());
    encoder_close(e);
    weights_close(c);
    weights_close(out);
    registry_close(r);
    return 0;
}
