/* SPDX-License-Identifier: MIT */
/*
 * Model families against the libraries that publish them: tiny checkpoints
 * with inputs, outputs and gradients inside, one per family and naming
 * scheme, made by tests/golden/families.py.
 */
#include "config.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <mohs/ext/pair_scores.h>

#include "graph/graph.h"
#include "model/model.h"
#include "plugin/registry.h"

static const struct {
    const char *file, *plugin;
} golden[] = {
    { "siglip", "siglip" },
    { "siglip_open_clip", "siglip" },
    { "siglip_tanh", "siglip" },
    { "clip_openai", "clip" },
    { "clip_open_clip", "clip" },
    { "clip_clipa", "clip" },
    { "clip_pools", "clip" },
    { "vit_timm", "vit" },
    { "vit_deit_distilled", "vit" },
    { "vit_deit3_registers", "vit" },
    { "vit_torchvision", "vit" },
    { "vit_transformers", "vit" },
    { "deit_transformers", "vit" },
    { "deit_teacher", "vit" },
    { "blip", "blip" },
    { "blip_original", "blip" },
    { "clip_resnet", "clip_resnet" },
    { "clip_convnext", "clip_convnext" },
    { "resnet_groups", "resnet" },
    { "resnet_basic", "resnet" },
    { "convnext_torchvision", "convnext" },
    { "convnext_v2", "convnext" },
    { "vitamin", "vitamin" },
    { "vitamin_xlarge", "vitamin" },
};

static const struct registry_extension tables[] = {
    { MOHS_EXT_GRAPH, &graph_api },
    { MOHS_EXT_WEIGHTS, &weights_api },
    { NULL, NULL },
};

static struct registry *reg;

static void ok(mohs_status st, const struct mohs_error *e)
{
    ck_assert_msg(st >= 0, "%s", e->text);
}

static void setup(void)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    struct registry_options o = { .device = getenv("MOHS_DEVICE"),
                                  .extensions = tables };
    ok(registry_open(&o, &reg, &e), &e);
}

static void teardown(void)
{
    registry_close(reg);
    reg = NULL;
}

/* ---- a checkpoint and its case ---- */

static struct mohs_weights *open_golden(const char *name)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    struct mohs_weights *w;
    char *path =
        xasprintf("%s/tests/golden/families/%s.safetensors", SRCDIR, name);
    ok(weights_open(path, &w, &e), &e);
    free(path);
    return w;
}

static const struct item *surest(const struct mohs_weights *w)
{
    const struct item *it, *best = NULL;
    int32_t top = 0;
    for (size_t i = 0; (it = registry_item(reg, MOHS_KIND_MODEL, i)); i++) {
        const struct mohs_model_ops *ops = it->item->ops;
        int32_t sure = ops->probe(registry_host(reg), w);
        if (sure > top) {
            top = sure;
            best = it;
        }
    }
    ck_assert_ptr_nonnull(best);
    return best;
}

/* case.NAME as floats or, `ints`, as int32. */
static void *take(const struct mohs_weights *w, const char *name, bool ints,
                  uint32_t dims[MOHS_DIMS_MAX], uint64_t *count)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    char *full = xasprintf("case.%s", name);
    int32_t n = weights_api.shape(w, full, dims);
    ck_assert_msg(n >= 0, "no %s", full);
    *count = 1;
    for (int32_t i = 0; i < n; i++)
        *count *= dims[i];
    float *x = xcalloc((size_t)*count, sizeof *x);
    ok(weights_api.read(w, full, x, *count, &e), &e);
    for (uint64_t i = 0; ints && i < *count; i++)
        memcpy(&x[i], &(int32_t) { (int32_t)x[i] }, sizeof *x);
    free(full);
    return x;
}

/* The largest difference to case.NAME, as a part of its largest value. */
static double gap(const struct mohs_weights *w, const char *name,
                  struct tensor *t)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    uint32_t dims[MOHS_DIMS_MAX];
    uint64_t n;
    double worst = 0, top = 0;
    float *want = take(w, name, false, dims, &n);
    ck_assert_msg(t && tensor_count(t) == n, "%s: %llu values", name,
                  t ? (unsigned long long)tensor_count(t) : 0);
    float *have = xcalloc((size_t)n, sizeof *have);
    ok(tensor_read(t, have, &e), &e);
    for (uint64_t i = 0; i < n; i++) {
        double d = fabs((double)have[i] - (double)want[i]);
        worst = d > worst || isnan(d) ? d : worst;
        top = fmax(top, fabs((double)want[i]));
    }
    free(have);
    free(want);
    ck_assert_msg(top > 1e-6, "%s is zero", name);
    return worst / top;
}

struct model {
    struct mohs_weights *w;
    const struct mohs_model_ops *ops;
    const struct mohs_model_info *info;
    void *self;
    struct params *p;
    struct compute *dev;
};

static mohs_status upload(void *user, const struct mohs_weight_spec *s,
                          struct mohs_error *err)
{
    struct model *m = user;
    uint64_t n = 1;
    for (uint32_t i = 0; i < s->n_dims; i++)
        n *= s->dims[i];
    float *x = xcalloc((size_t)n, sizeof *x);
    mohs_status st = weights_read_param(m->w, s, x, err);
    if (st >= 0)
        st = params_set(m->p, s->name, s->n_dims, s->dims, x, err);
    free(x);
    return st;
}

/* Takes w. */
static void model_of(struct model *m, struct mohs_weights *w, const char *plugin)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    memset(m, 0, sizeof *m);
    m->w = w;
    const struct item *it = surest(m->w);
    ck_assert_str_eq(it->item->id, plugin);
    m->ops = it->item->ops;
    ok(registry_compute(reg, &m->dev, &e), &e);
    ok(m->ops->create(registry_host(reg), NULL, m->w, &m->self, &e), &e);
    m->info = m->ops->info(m->self);
    m->p = params_new(m->dev);
    ok(m->ops->describe(m->self, upload, m, &e), &e);
}

static void model_open(struct model *m, const char *file, const char *plugin)
{
    model_of(m, open_golden(file), plugin);
}

static void model_close(struct model *m)
{
    params_free(m->p);
    m->ops->destroy(m->self);
    weights_close(m->w);
}

/* ---- one tower ---- */

/* The reference is in double precision: what is left is float rounding. */
#define EMBED_TOL 5e-6
#define GRAD_TOL 5e-5

struct run {
    struct graph *g;
    struct tensor *in, *last, *seed, *y, *grad;
};

/* `touched`: a tap to which a delta of zero is added, or NULL. */
static void build(const struct model *m, uint32_t tower, const char *touched,
                  struct run *r)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    struct mohs_tower_inputs in = { .size = sizeof in };
    struct mohs_tensor *raw = NULL;
    bool image = tower == MOHS_TOWER_IMAGE;
    uint32_t dims[MOHS_DIMS_MAX], rows, two[2];
    uint64_t n;
    r->g = graph_new(m->dev, m->p);
    if (touched)
        graph_perturb(r->g, touched);
    free(take(m->w, image ? "pixels" : "tokens", !image, dims, &n));
    rows = dims[0];
    if (image) {
        ck_assert_uint_eq(dims[2], m->info->image_height);
        r->in = graph_input(r->g, "pixels", MOHS_F32, 4, dims);
        in.pixels = (struct mohs_tensor *)(void *)r->in;
    } else {
        r->in = graph_input(r->g, "tokens", MOHS_I32, 2, dims);
        r->last = graph_input(r->g, "last", MOHS_I32, 1, dims);
        in.tokens = (struct mohs_tensor *)(void *)r->in;
        in.last = (struct mohs_tensor *)(void *)r->last;
    }
    ok(m->ops->build(m->self, &graph_api, (struct mohs_graph *)(void *)r->g,
                     tower, &in, &raw, &e),
       &e);
    ok(graph_status(r->g, &e), &e);
    r->y = (struct tensor *)(void *)raw;
    if (!(m->info->flags & MOHS_MODEL_CLASSIFIER))
        r->y = graph_op(r->g, "l2_normalize", &r->y, 1, NULL, 0);
    two[0] = rows;
    two[1] = m->info->embed_dim;
    r->seed = graph_input(r->g, "seed", MOHS_F32, 2, two);
    struct tensor *at = image ? r->in : graph_find_tap(r->g, "text.token");
    ok(graph_grad(r->g, r->y, r->seed, &at, 1, &r->grad, &e), &e);
    graph_output(r->g, r->y);
    graph_output(r->g, r->grad);
}

static void run(const struct model *m, uint32_t tower, struct run *r)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    bool image = tower == MOHS_TOWER_IMAGE;
    struct graph_cost cost;
    uint32_t dims[MOHS_DIMS_MAX];
    uint64_t n;
    void *in = take(m->w, image ? "pixels" : "tokens", !image, dims, &n);
    float *seed =
        take(m->w, image ? "image.seed" : "text.seed", false, dims, &n);
    ok(graph_plan(r->g, &cost, &e), &e);
    ok(tensor_write(r->in, in, &e), &e);
    ok(tensor_write(r->seed, seed, &e), &e);
    if (r->last) {
        int32_t *last = take(m->w, "last", true, dims, &n);
        ok(tensor_write(r->last, last, &e), &e);
        free(last);
    }
    ok(graph_run(r->g, &e), &e);
    free(in);
    free(seed);
}

static void compare(const struct model *m, uint32_t tower, const char *touched)
{
    const char *side = tower == MOHS_TOWER_IMAGE ? "image" : "text";
    struct run r = { 0 };
    char name[24];
    build(m, tower, touched, &r);
    run(m, tower, &r);
    double d = gap(m->w, side, r.y);
    ck_assert_msg(d <= EMBED_TOL, "%s differs by %g", side, d);
    snprintf(name, sizeof name, "%s.grad", side);
    d = gap(m->w, name, r.grad);
    ck_assert_msg(d <= GRAD_TOL, "%s differs by %g", name, d);
    graph_free(r.g);
}

START_TEST(test_golden)
{
    struct model m;
    model_open(&m, golden[_i].file, golden[_i].plugin);
    for (uint32_t t = MOHS_TOWER_IMAGE; t <= MOHS_TOWER_TEXT; t <<= 1)
        if (m.info->towers & t)
            compare(&m, t, NULL);
    model_close(&m);
}
END_TEST

/* At every tap: it is there, and a delta of zero changes nothing, though the
 * last block may then be built otherwise. */
START_TEST(test_taps)
{
    struct model m;
    model_open(&m, golden[_i].file, golden[_i].plugin);
    for (const char *const *t = m.info->taps; *t; t++) {
        bool image = !strncmp(*t, "image.", 6);
        compare(&m, image ? MOHS_TOWER_IMAGE : MOHS_TOWER_TEXT, *t);
    }
    model_close(&m);
}
END_TEST

/* ---- as mohs writes it ---- */

struct copying {
    const struct mohs_weights *from;
    struct mohs_weights *to;
};

static mohs_status copy_param(void *user, const struct mohs_weight_spec *s,
                              struct mohs_error *err)
{
    struct copying *c = user;
    uint64_t n = 1;
    for (uint32_t i = 0; i < s->n_dims; i++)
        n *= s->dims[i];
    float *x = xcalloc((size_t)n, sizeof *x);
    mohs_status st = weights_read_param(c->from, s, x, err);
    if (st >= 0)
        st = weights_put(c->to, s->name, s->n_dims, s->dims, x, err);
    free(x);
    return st;
}

/* Under the plugin's own names, with the configuration that it came with, as
 * training saves it: the same plugin reads it, and it is the same model. */
START_TEST(test_own_names)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    struct model m;
    struct copying c = { 0 };
    const char *name;
    model_open(&m, golden[_i].file, golden[_i].plugin);
    if (!(m.info->towers & MOHS_TOWER_TEXT)) { // it is not trained
        model_close(&m);
        return;
    }
    c.from = m.w;
    ok(weights_new(weights_config(m.w), NULL, NULL, &c.to, &e), &e);
    ok(m.ops->describe(m.self, copy_param, &c, &e), &e);
    for (uint32_t i = 0; (name = weights_api.name(m.w, i)); i++) {
        uint32_t dims[MOHS_DIMS_MAX];
        uint64_t n;
        if (strncmp(name, "case.", 5))
            continue;
        float *x = take(m.w, name + 5, false, dims, &n);
        ok(weights_put(c.to, name, (uint32_t)weights_api.shape(m.w, name, dims), dims, x, &e),
           &e);
        free(x);
    }
    model_close(&m);
    model_of(&m, c.to, golden[_i].plugin);
    for (uint32_t t = MOHS_TOWER_IMAGE; t <= MOHS_TOWER_TEXT; t <<= 1)
        if (m.info->towers & t)
            compare(&m, t, NULL);
    model_close(&m);
}
END_TEST

/* ---- pairs ---- */

static const struct {
    const char *file, *token, *want; /* token: parameter itm_token */
} pair_golden[] = {
    { "blip", "auto", "pairs.cls" },          { "blip", "enc", "pairs.enc" },
    { "blip_original", "auto", "pairs.enc" }, { "blip_original", "cls", "pairs.cls" },
};

static void pair_model_open(struct model *m, const char *file, const char *token)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    model_open(m, file, "blip");
    const struct item *it = surest(m->w);
    void *params = item_params_new(it);
    ok(item_param_set_text(it, params, "itm_token", token, &e), &e);
    m->ops->destroy(m->self);
    ok(m->ops->create(registry_host(reg), params, m->w, &m->self, &e), &e);
    item_params_free(it, params);
    m->info = m->ops->info(m->self);
}

/* What the tap holds for all images of the case. */
static float *images_of(const struct model *m, const char *tap,
                        uint32_t dims[MOHS_DIMS_MAX], uint32_t *n_dims)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    struct run r = { 0 };
    build(m, MOHS_TOWER_IMAGE, NULL, &r);
    struct tensor *t = graph_find_tap(r.g, tap);
    ck_assert_ptr_nonnull(t);
    graph_output(r.g, t);
    run(m, MOHS_TOWER_IMAGE, &r);
    *n_dims = tensor_shape(t, dims);
    float *x = xcalloc((size_t)tensor_count(t), sizeof *x);
    ok(tensor_read(t, x, &e), &e);
    graph_free(r.g);
    return x;
}

/* Logits of every image with every text of the case. */
static void pair_logits(const struct model *m, const struct mohs_pair_scores *p,
                        uint32_t *n_images, uint32_t *n_texts, float *out)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    const struct mohs_pair_info *info = p->info(m->self);
    uint32_t dims[MOHS_DIMS_MAX], two[MOHS_DIMS_MAX], n_dims;
    uint64_t n;
    struct graph_cost cost;
    float *state = images_of(m, info->image_tap, dims, &n_dims);
    int32_t *tokens = take(m->w, "tokens", true, two, &n);
    int32_t *last = take(m->w, "last", true, (uint32_t[MOHS_DIMS_MAX]) { 0 }, &n);
    *n_images = dims[0];
    *n_texts = two[0];
    dims[0] = 1;
    struct graph *g = graph_new(m->dev, m->p);
    struct tensor *in[] = { graph_input(g, "image", MOHS_F32, n_dims, dims),
                            graph_input(g, "tokens", MOHS_I32, 2, two),
                            graph_input(g, "last", MOHS_I32, 1, two) };
    struct mohs_pair_inputs pi = { sizeof pi, (struct mohs_tensor *)(void *)in[0],
                                   (struct mohs_tensor *)(void *)in[1],
                                   (struct mohs_tensor *)(void *)in[2] };
    struct mohs_tensor *y = NULL;
    ok(p->build(m->self, &graph_api, (struct mohs_graph *)(void *)g, &pi, &y, &e), &e);
    ok(graph_status(g, &e), &e);
    struct tensor *scores = (struct tensor *)(void *)y;
    graph_output(g, scores);
    ok(graph_plan(g, &cost, &e), &e);
    for (uint32_t i = 0; i < *n_images; i++) {
        ok(tensor_write(in[0], state + i * tensor_count(in[0]), &e), &e);
        ok(tensor_write(in[1], tokens, &e), &e);
        ok(tensor_write(in[2], last, &e), &e);
        ok(graph_run(g, &e), &e);
        ok(tensor_read(scores, out + i * tensor_count(scores), &e), &e);
    }
    graph_free(g);
    free(state);
    free(tokens);
    free(last);
}

/* The matching head against the reference's, each image with each text. */
START_TEST(test_pairs)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    struct model m;
    uint32_t ni, nt, dims[MOHS_DIMS_MAX];
    uint64_t n;
    float have[64];
    pair_model_open(&m, pair_golden[_i].file, pair_golden[_i].token);
    const struct mohs_pair_scores *p = m.ops->get_extension(m.self, MOHS_EXT_PAIR_SCORES);
    ck_assert(p && p->info(m.self));
    ck_assert_uint_eq(p->info(m.self)->n_scores, 2);
    ck_assert_uint_eq(p->info(m.self)->match, 1);
    ok(p->describe(m.self, upload, &m, &e), &e);
    pair_logits(&m, p, &ni, &nt, have);
    float *want = take(m.w, pair_golden[_i].want, false, dims, &n);
    ck_assert_uint_eq(n, 2 * ni * nt);
    for (uint64_t i = 0; i < n; i++)
        ck_assert_msg(fabsf(have[i] - want[i]) < 5e-6f, "logit %d is %g, not %g", (int)i,
                      (double)have[i], (double)want[i]);
    free(want);
    model_close(&m);
}
END_TEST

/* The weights of w but for tensor `skip`, without the case. */
static struct mohs_weights *copy_without(const struct mohs_weights *w,
                                         uint32_t skip)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    struct mohs_weights *out;
    const char *name;
    ok(weights_new(weights_config(w), NULL, NULL, &out, &e), &e);
    for (uint32_t i = 0; (name = weights_api.name(w, i)); i++) {
        uint32_t dims[MOHS_DIMS_MAX];
        uint64_t n = 1;
        int32_t nd = weights_api.shape(w, name, dims);
        if (i == skip || !strncmp(name, "case.", 5))
            continue;
        for (int32_t k = 0; k < nd; k++)
            n *= dims[k];
        float *x = xcalloc((size_t)n, sizeof *x);
        ok(weights_put(out, name, (uint32_t)nd, dims, x, &e), &e);
        free(x);
    }
    return out;
}

/* A file that lacks a tensor is told so. */
START_TEST(test_misfit)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    struct mohs_weights *w = open_golden(golden[_i].file), *bad;
    const struct mohs_model_ops *ops = surest(w)->item->ops;
    const char *name;
    void *self = NULL;
    size_t refused = 0, all = 0;
    for (uint32_t skip = 0; (name = weights_api.name(w, skip)); skip++) {
        if (!strncmp(name, "case.", 5))
            continue;
        bad = copy_without(w, skip);
        mohs_status st = ops->create(registry_host(reg), NULL, bad, &self, &e);
        if (st < 0) {
            ck_assert_int_eq(st, MOHS_E_FORMAT);
            ck_assert_uint_gt(strlen(e.text), 10);
            refused++;
        } else {
            ops->destroy(self);
        }
        all++;
        weights_close(bad);
    }
    // what nothing uses may be missing, and so may a whole part
    ck_assert_msg(refused * 10 >= all * 7, "%zu of %zu", refused, all);
    weights_close(w);
}
END_TEST

/* A part that a plugin does not know is refused, not left out. */
static const struct {
    const char *file, *tensor;
} stray[] = {
    { "siglip", "vision_model.encoder.layers.0.self_attn.q_norm.weight" },
    { "siglip", "text_model.final_layer_norm.extra" },
    { "siglip_open_clip", "visual.trunk.blocks.0.attn.q_norm.weight" },
    { "vit_timm", "blocks.1.attn.k_norm.weight" },
    { "vit_timm", "blocks.0.ls1.gamma" }, // one block's, no ls2
    { "vit_torchvision", "encoder.layers.encoder_layer_0.extra.weight" },
    { "vit_transformers", "vit.encoder.layer.0.lambda_1" },
    { "blip", "vision_model.encoder.layers.0.self_attn.q_bias" },
    { "blip", "text_encoder.embeddings.token_type_embeddings.weight" },
    { "blip_original", "visual_encoder.blocks.2.norm1.weight" },
    { "vitamin", "visual.trunk.blocks.0.attn.q_norm.weight" },
    { "vitamin", "visual.trunk.cls_token" },
};

START_TEST(test_stray)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    struct mohs_weights *w = open_golden(stray[_i].file);
    struct mohs_weights *more = copy_without(w, UINT32_MAX);
    const struct mohs_model_ops *ops = surest(w)->item->ops;
    uint32_t dims[] = { 12 };
    float x[12] = { 0 };
    void *self = NULL;
    mohs_status st = ops->create(registry_host(reg), NULL, more, &self, &e);
    ok(st, &e);
    ops->destroy(self);
    ok(weights_put(more, stray[_i].tensor, 1, dims, x, &e), &e);
    st = ops->create(registry_host(reg), NULL, more, &self, &e);
    ck_assert_int_eq(st, MOHS_E_FORMAT);
    ck_assert_msg(strstr(e.text, stray[_i].tensor) ||
                      strstr(e.text, "no tensor"),
                  "%s", e.text);
    weights_close(more);
    weights_close(w);
}
END_TEST

/* Without the head a model has two towers and says so; a head without its
 * cross-attention is no model. */
START_TEST(test_no_head)
{
    static const char *const parts[] = {
        "itm_head.weight", "text_encoder.encoder.layer.1.crossattention.self.key.weight"
    };
    struct mohs_error e = MOHS_ERROR_INIT;
    struct mohs_weights *w = open_golden("blip");
    const struct mohs_model_ops *ops = surest(w)->item->ops;
    const char *name;
    void *self = NULL;
    for (int k = 0; k < 2; k++) {
        uint32_t skip = 0;
        while ((name = weights_api.name(w, skip)) && strcmp(name, parts[k]))
            skip++;
        ck_assert_ptr_nonnull(name);
        struct mohs_weights *less = copy_without(w, skip);
        mohs_status st = ops->create(registry_host(reg), NULL, less, &self, &e);
        if (k) {
            ck_assert_int_eq(st, MOHS_E_FORMAT);
            ck_assert_ptr_nonnull(strstr(e.text, "crossattention"));
        } else {
            ok(st, &e);
            const struct mohs_pair_scores *p =
                ops->get_extension(self, MOHS_EXT_PAIR_SCORES);
            struct mohs_tensor *y;
            ck_assert(!p || !p->info(self));
            ck_assert_int_lt(p->build(self, &graph_api, NULL, NULL, &y, &e), 0);
            ops->destroy(self);
        }
        weights_close(less);
    }
    weights_close(w);
}
END_TEST

/* The tensors are those of a model that is read; the configuration says that
 * they are used otherwise. */
static const struct {
    const char *plugin, *config, *named;
} otherwise[] = {
    { "vit", "{\"architecture\": \"vit_base_patch16_rpn_224\"}", "architecture" },
    { "resnet", "{\"architecture\": \"resnetblur50\"}", "architecture" },
    { "resnet", "{\"architecture\": \"resnetaa50\"}", "architecture" },
    { "resnet", "{\"downsample_in_first_stage\": true}", "downsample" },
    { "resnet", "{\"downsample_in_bottleneck\": true}", "downsample" },
    { "convnext", "{\"hidden_act\": \"mish\"}", "hidden_act" },
};

START_TEST(test_otherwise)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    struct mohs_weights *w;
    const struct item *it;
    void *self = NULL;
    ok(registry_find(reg, MOHS_KIND_MODEL, otherwise[_i].plugin, &it, &e), &e);
    const struct mohs_model_ops *ops = it->item->ops;
    ok(weights_new(otherwise[_i].config, NULL, NULL, &w, &e), &e);
    ck_assert_int_eq(ops->create(registry_host(reg), NULL, w, &self, &e),
                     MOHS_E_FORMAT);
    ck_assert_ptr_nonnull(strstr(e.text, otherwise[_i].named));
    weights_close(w);
}
END_TEST

/* How pictures are made ready where the file does not say. */
static const struct {
    const char *file;
    enum image_filter filter;
    uint32_t shortest; /* 0: squashed */
    float mean;
} silent[] = {
    { "clip_openai", FILTER_BICUBIC, 8, 0.48145466f },
    { "siglip", FILTER_BICUBIC, 0, 0.5f },
    { "siglip_open_clip", FILTER_BICUBIC, 0, 0.5f },
    { "blip", FILTER_BICUBIC, 0, 0.48145466f },
    { "blip_original", FILTER_BICUBIC, 0, 0.48145466f },
    { "vit_torchvision", FILTER_BILINEAR, 9, 0.485f },
    { "vit_transformers", FILTER_BILINEAR, 0, 0.5f },
    { "resnet_basic", FILTER_BICUBIC, 18, 0.485f },
    { "convnext_torchvision", FILTER_BILINEAR, 33, 0.485f },
};

START_TEST(test_silent)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    struct preprocess p;
    void *self = NULL;
    struct mohs_weights *w = open_golden(silent[_i].file);
    const struct mohs_model_ops *ops = surest(w)->item->ops;
    ok(ops->create(registry_host(reg), NULL, w, &self, &e), &e);
    ok(preprocess_from(w, ops->info(self), &p, &e), &e);
    ck_assert_msg(p.filter == silent[_i].filter &&
                      p.resize_shortest == silent[_i].shortest &&
                      !p.resize_height == !!silent[_i].shortest,
                  "%s: filter %d, shorter edge %u", silent[_i].file,
                  (int)p.filter, p.resize_shortest);
    ck_assert_float_eq(p.mean[0], silent[_i].mean);
    ck_assert(p.assumed);
    ops->destroy(self);
    weights_close(w);
}
END_TEST

/* NaFlex takes pictures of any shape: said at once, not by a tensor. */
START_TEST(test_naflex)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    struct mohs_weights *w;
    void *self = NULL;
    ok(weights_new("{\"model_type\": \"siglip2\"}", NULL, NULL, &w, &e), &e);
    const struct mohs_model_ops *ops = surest(w)->item->ops;
    ck_assert_int_eq(ops->create(registry_host(reg), NULL, w, &self, &e), MOHS_E_FORMAT);
    ck_assert_msg(strstr(e.text, "siglip2, NaFlex") != NULL, "%s", e.text);
    weights_close(w);
}
END_TEST

static bool no_device(void)
{
    struct device_report *d = NULL;
    size_t n = 0, usable = 0;
    if (compute_probe(&d, &n, NULL) >= 0)
        for (size_t i = 0; i < n; i++)
            usable += d[i].usable;
    free(d);
    return !usable && !getenv("MOHS_REQUIRE_CL");
}

int main(void)
{
    enum { N = sizeof golden / sizeof *golden };
    if (no_device())
        return 77;
    Suite *s = suite_create("families");
    TCase *t = tcase_create("all");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, test_golden, 0, N);
    tcase_add_loop_test(t, test_taps, 0, N);
    tcase_add_loop_test(t, test_own_names, 0, N);
    tcase_add_loop_test(t, test_misfit, 0, N);
    tcase_add_loop_test(t, test_stray, 0, sizeof stray / sizeof *stray);
    tcase_add_loop_test(t, test_pairs, 0, sizeof pair_golden / sizeof *pair_golden);
    tcase_add_test(t, test_no_head);
    tcase_add_test(t, test_naflex);
    tcase_add_loop_test(t, test_otherwise, 0, sizeof otherwise / sizeof *otherwise);
    tcase_add_loop_test(t, test_silent, 0, sizeof silent / sizeof *silent);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
