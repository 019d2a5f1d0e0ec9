/* SPDX-License-Identifier: MIT */
/*
 * The clip plugin against transformers' CLIPModel: embeddings, the
 * contrastive loss and its gradients by pixels and taps, on small models
 * (golden files by tests/golden/clip.py), and what it says about weights
 * that do not fit. With arguments MODEL CASE.safetensors it compares a model
 * of any size and prints the differences.
 */
#include "config.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <mohs/rng.h>

#include "graph/graph.h"
#include "model/model.h"
#include "plugin/registry.h"

static struct registry *reg;
static const struct item *clip;
static const struct mohs_model_ops *ops;

static const struct registry_extension tables[] = {
    { MOHS_EXT_GRAPH, &graph_api },
    { MOHS_EXT_WEIGHTS, &weights_api },
    { NULL, NULL },
};

static mohs_status open_all(struct mohs_error *e)
{
    struct registry_options o = { .device = getenv("MOHS_DEVICE"),
                                  .extensions = tables };
    RET_IF_ERR(registry_open(&o, &reg, e));
    RET_IF_ERR(registry_find(reg, MOHS_KIND_MODEL, "clip", &clip, e));
    ops = clip->item->ops;
    return MOHS_OK;
}

static void close_all(void)
{
    registry_close(reg);
    reg = NULL;
}

static bool by_hand; /* no test runs: failures end the program */

static void ok(mohs_status st, const struct mohs_error *e)
{
    if (by_hand && st < 0) {
        fprintf(stderr, "%s\n", e->text);
        exit(EXIT_FAILURE);
    }
    if (!by_hand)
        ck_assert_msg(st >= 0, "%s", e->text);
}

static void setup(void)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    ok(open_all(&e), &e);
}

/* ---- a model and a case ----------------------------------------------- */

struct upload {
    const struct mohs_weights *w;
    struct params *p;
};

static uint64_t spec_count(const struct mohs_weight_spec *s)
{
    uint64_t n = 1;
    for (uint32_t i = 0; i < s->n_dims; i++)
        n *= s->dims[i];
    return n;
}

static mohs_status upload_one(void *user, const struct mohs_weight_spec *s,
                              struct mohs_error *err)
{
    struct upload *u = user;
    uint64_t n = spec_count(s);
    float *x = xcalloc((size_t)n, sizeof *x);
    mohs_status st = weights_read_param(u->w, s, x, err);
    if (st >= 0)
        st = params_set(u->p, s->name, s->n_dims, s->dims, x, err);
    free(x);
    return st;
}

/* Tensor `name` of a case, as floats or, `ints`, as int32. */
static void *case_read(const struct mohs_weights *c, const char *name, bool ints,
                       uint32_t dims[5], uint64_t *count)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    int32_t n = weights_api.shape(c, name, dims);
    ok(n < 0 ? mohs_fail(&e, MOHS_E_FORMAT, "no %s in the case", name) : 0, &e);
    *count = 1;
    for (int32_t i = 0; i < n; i++)
        *count *= dims[i];
    float *x = xcalloc((size_t)*count, sizeof *x);
    ok(weights_api.read(c, name, x, *count, &e), &e);
    for (uint64_t i = 0; ints && i < *count; i++)
        memcpy(&x[i], &(int32_t) { (int32_t)x[i] }, sizeof *x);
    return x;
}

/* Largest difference to tensor `name` of the case, absolute and as a part
 * of its largest value. */
struct gap {
    double abs, rel;
};

static struct gap compare(const struct mohs_weights *c, const char *name,
                          struct tensor *t)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    uint32_t dims[5];
    uint64_t n;
    struct gap g = { 0, 0 };
    double top = 0;
    float *want = case_read(c, name, false, dims, &n);
    ok(t && tensor_count(t) == n ? 0 : mohs_fail(&e, MOHS_E_FORMAT,
                                                 "%s: not that size", name), &e);
    float *have = xcalloc((size_t)n, sizeof *have);
    ok(tensor_read(t, have, &e), &e);
    for (uint64_t i = 0; i < n; i++) {
        double d = fabs((double)have[i] - (double)want[i]);
        g.abs = d > g.abs || isnan(d) ? d : g.abs;
        top = fabs((double)want[i]) > top ? fabs((double)want[i]) : top;
    }
    g.rel = g.abs / top;
    free(want);
    free(have);
    return g;
}

enum { N_GRAD = 5, TAP_NAME = 32 };

struct run {
    struct params *p;
    void *self;
    struct graph *g;
    struct tensor *image, *text, *loss, *grad[N_GRAD];
    char tap[N_GRAD][TAP_NAME]; /* "pixels": the input */
};

static struct tensor *normalised(struct run *r, uint32_t tower,
                                 const struct mohs_tower_inputs *in)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    struct mohs_tensor *raw = NULL;
    ok(ops->build(r->self, &graph_api, (struct mohs_graph *)(void *)r->g, tower,
                  in, &raw, &e), &e);
    struct tensor *t = (struct tensor *)(void *)raw;
    struct tensor *y = graph_op(r->g, "l2_normalize", &t, 1, NULL, 0);
    ok(graph_status(r->g, &e), &e);
    return y;
}

static struct tensor *logit_scale(struct run *r)
{
    uint32_t one[] = { 1 };
    struct tensor *s = graph_weight(r->g, "logit_scale", 0, one);
    return graph_op(r->g, "exp", &s, 1, NULL, 0);
}

/* Both towers and the contrastive loss on the inputs of a case; gradients at
 * the places of r->tap. */
static void run_case(struct run *r, const struct mohs_weights *c, int layers)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    uint32_t pd[5], td[5], ld[5];
    uint64_t n;
    float *pixels = case_read(c, "pixels", false, pd, &n);
    int32_t *tokens = case_read(c, "tokens", true, td, &n);
    int32_t *last = case_read(c, "last", true, ld, &n);
    static const char *const taps[] = { "pixels", "image.patch", "image.block.0",
                                        "text.token" };
    for (int i = 0; i < 4; i++)
        snprintf(r->tap[i], TAP_NAME, "%s", taps[i]);
    snprintf(r->tap[4], TAP_NAME, "text.block.%d", layers - 1);

    struct mohs_tower_inputs in = { .size = sizeof in };
    struct tensor *px = graph_input(r->g, "pixels", MOHS_F32, 4, pd);
    struct tensor *tk = graph_input(r->g, "tokens", MOHS_I32, 2, td);
    struct tensor *la = graph_input(r->g, "last", MOHS_I32, 1, ld);
    in.pixels = (struct mohs_tensor *)(void *)px;
    r->image = normalised(r, MOHS_TOWER_IMAGE, &in);
    in.pixels = NULL;
    in.tokens = (struct mohs_tensor *)(void *)tk;
    in.last = (struct mohs_tensor *)(void *)la;
    r->text = normalised(r, MOHS_TOWER_TEXT, &in);
    struct tensor *args[] = { r->image, r->text, logit_scale(r) };
    r->loss = graph_op(r->g, "contrastive", args, 3, NULL, 0);
    struct tensor *wrt[N_GRAD] = { px };
    for (int i = 1; i < N_GRAD; i++)
        wrt[i] = graph_find_tap(r->g, r->tap[i]);
    ok(graph_grad(r->g, r->loss, NULL, wrt, N_GRAD, r->grad, &e), &e);
    graph_output(r->g, r->image);
    graph_output(r->g, r->text);
    graph_output(r->g, r->loss);
    for (int i = 0; i < N_GRAD; i++)
        graph_output(r->g, r->grad[i]);
    struct graph_cost cost;
    ok(graph_plan(r->g, &cost, &e), &e);
    ok(tensor_write(px, pixels, &e), &e);
    ok(tensor_write(tk, tokens, &e), &e);
    ok(tensor_write(la, last, &e), &e);
    ok(graph_run(r->g, &e), &e);
    free(pixels);
    free(tokens);
    free(last);
}

static void open_run(struct run *r, const struct mohs_weights *w)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    struct compute *dev;
    memset(r, 0, sizeof *r);
    ok(registry_compute(reg, &dev, &e), &e);
    ok(ops->create(registry_host(reg), NULL, w, &r->self, &e), &e);
    r->p = params_new(dev);
    struct upload u = { w, r->p };
    ok(ops->describe(r->self, upload_one, &u, &e), &e);
    r->g = graph_new(dev, r->p);
}

static void close_run(struct run *r)
{
    graph_free(r->g);
    params_free(r->p);
    ops->destroy(r->self);
}

/* ---- golden ----------------------------------------------------------- */

struct names {
    char **v;
    size_t n;
    struct mohs_weights *w;
};

static mohs_status collect(void *user, const struct mohs_weight_spec *s,
                           struct mohs_error *err)
{
    struct names *k = user;
    (void)err;
    k->v = xrealloc(k->v, (k->n + 1) * sizeof *k->v);
    k->v[k->n++] = xstrdup(s->name);
    return MOHS_OK;
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* weight() of clip.py: `index` is the place among the sorted names. */
static mohs_status make_weight(void *user, const struct mohs_weight_spec *s,
                               struct mohs_error *err)
{
    struct names *k = user;
    const char *name = s->name;
    uint64_t n = spec_count(s);
    char **at = bsearch(&name, k->v, k->n, sizeof *k->v, by_bytes);
    float *x = xcalloc((size_t)n, sizeof *x), offset = 0, scale = 0.25f;
    if (!strcmp(name, "logit_scale")) {
        offset = 2;
        scale = 0;
    } else if (str_ends(name, "bias")) {
        scale = 0.125f;
    } else if (strstr(name, "norm")) {
        offset = 1;
    }
    for (uint64_t i = 0; i < n; i++)
        x[i] = offset + scale * (2 * mohs_rng_uniform(7, (uint64_t)(at - k->v), i)
                                 - 1);
    mohs_status st = weights_put(k->w, name, s->n_dims, s->dims, x, err);
    free(x);
    return st;
}

/* A checkpoint for the configuration in `config` with the formula's values. */
static struct mohs_weights *make_weights(const char *config)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    struct names k = { NULL, 0, NULL };
    void *self;
    ok(weights_new(config, NULL, NULL, &k.w, &e), &e);
    ok(ops->create(registry_host(reg), NULL, k.w, &self, &e), &e);
    ok(ops->describe(self, collect, &k, &e), &e);
    qsort(k.v, k.n, sizeof *k.v, by_bytes);
    ok(ops->describe(self, make_weight, &k, &e), &e);
    ops->destroy(self);
    for (size_t i = 0; i < k.n; i++)
        free(k.v[i]);
    free(k.v);
    return k.w;
}

static const char *const golden[] = { "clip_quick_gelu", "clip_gelu" };

/* The reference is in double precision: what is left is float rounding, a
 * few 1e-7 per operation on values of order one. */
#define EMBED_TOL 2e-6
#define GRAD_TOL 2e-5

START_TEST(test_golden)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    struct mohs_weights *c;
    struct run r;
    char *path = xasprintf("%s/tests/golden/%s.safetensors", SRCDIR, golden[_i]);
    ok(weights_open(path, &c, &e), &e);
    free(path);
    struct mohs_weights *w = make_weights(weights_config(c));
    open_run(&r, w);
    run_case(&r, c, 2);
    struct gap g = compare(c, "image", r.image);
    ck_assert_msg(g.abs <= EMBED_TOL, "image embeddings differ by %g", g.abs);
    g = compare(c, "text", r.text);
    ck_assert_msg(g.abs <= EMBED_TOL, "text embeddings differ by %g", g.abs);
    g = compare(c, "loss", r.loss);
    ck_assert_msg(g.rel <= EMBED_TOL, "the loss differs by %g", g.rel);
    for (int i = 0; i < N_GRAD; i++) {
        bool end = !strncmp(r.tap[i], "text.block", 10);
        char *name = xasprintf("grad.%s", end ? "text.block.last" : r.tap[i]);
        g = compare(c, name, r.grad[i]);
        ck_assert_msg(g.rel <= GRAD_TOL, "%s differs by %g", name, g.rel);
        free(name);
    }
    close_run(&r);
    weights_close(w);
    weights_close(c);
}
END_TEST

/* ---- configuration and weights that do not fit ------------------------ */

static const char small[] =
    "{\"model_type\":\"clip\",\"projection_dim\":8,\"text_config\":{"
    "\"hidden_size\":8,\"intermediate_size\":16,\"num_hidden_layers\":1,"
    "\"num_attention_heads\":2,\"max_position_embeddings\":5,\"vocab_size\":20},"
    "\"vision_config\":{\"hidden_size\":12,\"intermediate_size\":16,"
    "\"num_hidden_layers\":2,\"num_attention_heads\":3,\"image_size\":8,"
    "\"patch_size\":4}}";

START_TEST(test_info)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    struct mohs_weights *w = make_weights(small);
    void *self;
    static const char *const taps[] = { "image.patch", "image.block.0",
                                        "image.block.1", "image.embed",
                                        "text.token", "text.block.0",
                                        "text.embed" };
    ck_assert_int_gt(ops->probe(registry_host(reg), w), 50);
    ok(ops->create(registry_host(reg), NULL, w, &self, &e), &e);
    const struct mohs_model_info *i = ops->info(self);
    ck_assert_uint_eq(i->towers, MOHS_TOWER_IMAGE | MOHS_TOWER_TEXT);
    ck_assert_uint_eq(i->image_height, 8);
    ck_assert_uint_eq(i->context_length, 5);
    ck_assert_uint_eq(i->vocab_size, 20);
    ck_assert_uint_eq(i->embed_dim, 8);
    ck_assert_float_eq_tol(i->logit_scale, expf(2), 1e-5f);
    for (size_t k = 0; k < sizeof taps / sizeof *taps; k++)
        ck_assert_str_eq(i->taps[k], taps[k]);
    ck_assert_ptr_null(i->taps[7]);
    ops->destroy(self);
    weights_close(w);
}
END_TEST

/* What the plugin lists for training from nothing. */
struct listing {
    uint32_t n, with_decay;
    uint64_t count;
    bool scale, bias, no_decay_ok;
};

static mohs_status count_spec(void *user, const struct mohs_weight_spec *s,
                              struct mohs_error *err)
{
    struct listing *l = user;
    (void)err;
    l->n++;
    l->count += spec_count(s);
    l->with_decay += s->decay;
    l->scale |= !strcmp(s->name, "logit_scale") && s->n_dims == 0;
    l->bias |= !strcmp(s->name, "logit_bias") && s->n_dims == 0;
    if (s->decay && s->n_dims < 2)
        l->no_decay_ok = false;
    return MOHS_OK;
}

START_TEST(test_defaults)
{
    // No keys but the type: transformers' defaults, which are ViT-B/32.
    struct mohs_error e = MOHS_ERROR_INIT;
    struct mohs_weights *w;
    struct listing l = { .no_decay_ok = true };
    void *self;
    ok(weights_new("{\"model_type\":\"clip\"}", NULL, NULL, &w, &e), &e);
    ok(ops->create(registry_host(reg), NULL, w, &self, &e), &e);
    ok(ops->describe(self, count_spec, &l, &e), &e);
    ck_assert_uint_eq(l.count, 151277313);
    ck_assert_uint_eq(l.n, 398);
    ck_assert(l.scale && !l.bias && l.no_decay_ok);
    ck_assert_float_eq_tol(ops->info(self)->logit_scale, 14.285f, 0.01f);
    ops->destroy(self);
    weights_close(w);
}
END_TEST

static const struct {
    const char *from, *to, *text;
} misfits[] = {
    { "\"hidden_size\":12", "\"hidden_size\":13", "does not divide" },
    { "\"patch_size\":4", "\"patch_size\":3", "no multiple of patch_size" },
    { "\"patch_size\":4", "\"patch_size\":\"4\"", "is not a number" },
    { "\"patch_size\":4", "\"patch_size\":2", "patch_embedding" },
    { "\"hidden_size\":12", "\"hidden_size\":0", "out of range" },
    { "\"hidden_size\":12", "\"hidden_size\":12.5", "not an integer" },
    { "\"hidden_size\":12", "\"hidden_act\":\"swish9\"", "hidden_act" },
    { "\"num_hidden_layers\":2", "\"num_hidden_layers\":3", "no tensor" },
    { "\"vocab_size\":20", "\"vocab_size\":21", "[20x8]" },
    { "\"max_position_embeddings\":5", "\"max_position_embeddings\":1", "below 2" },
    { "\"projection_dim\":8", "\"projection_dim\":0", "projection_dim" },
    { "\"projection_dim\":8", "\"projection_dim\":9", "projection" },
    { "\"intermediate_size\":16,\"num_hidden_layers\":2",
      "\"intermediate_size\":17,\"num_hidden_layers\":2", "mlp.fc1" },
};

START_TEST(test_misfit)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    struct mohs_weights *good = make_weights(small), *bad;
    struct str config = { 0 };
    const char *at = strstr(small, misfits[_i].from), *name;
    void *self;
    ck_assert_ptr_nonnull(at);
    str_addn(&config, small, (size_t)(at - small));
    str_add(&config, misfits[_i].to);
    str_add(&config, at + strlen(misfits[_i].from));
    ok(weights_new(config.s, NULL, NULL, &bad, &e), &e);
    for (uint32_t i = 0; (name = weights_api.name(good, i)); i++) {
        uint32_t dims[5];
        uint64_t n;
        float *x = case_read(good, name, false, dims, &n);
        int32_t nd = weights_api.shape(good, name, dims);
        ok(weights_put(bad, name, (uint32_t)nd, dims, x, &e), &e);
        free(x);
    }
    mohs_status st = ops->create(registry_host(reg), NULL, bad, &self, &e);
    ck_assert_msg(st == MOHS_E_FORMAT, "%s: status %d", misfits[_i].to, st);
    ck_assert_msg(strstr(e.text, misfits[_i].text) != NULL, "%s", e.text);
    str_free(&config);
    weights_close(good);
    weights_close(bad);
}
END_TEST

/* ---- comparing by hand ------------------------------------------------ */

static int compare_case(const char *model, const char *file)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    struct mohs_weights *w, *c;
    struct run r;
    double layers = 12;
    by_hand = true;
    ok(open_all(&e), &e);
    ok(weights_open(model, &w, &e), &e);
    ok(weights_open(file, &c, &e), &e);
    weights_api.config_number(w, "text_config.num_hidden_layers", &layers);
    open_run(&r, w);
    run_case(&r, c, (int)layers);
    struct gap image = compare(c, "image", r.image);
    struct gap text = compare(c, "text", r.text);
    struct gap worst = { 0, 0 }, g = compare(c, "loss", r.loss);
    printf("image embeddings: %.3g\ntext embeddings: %.3g\nloss, relative: %.3g\n",
           image.abs, text.abs, g.rel);
    for (int i = 0; i < N_GRAD; i++) {
        bool end = !strncmp(r.tap[i], "text.block", 10);
        char *name = xasprintf("grad.%s", end ? "text.block.last" : r.tap[i]);
        g = compare(c, name, r.grad[i]);
        printf("%s, relative to its largest: %.3g\n", name, g.rel);
        worst = g.rel > worst.rel || isnan(g.rel) ? g : worst;
        free(name);
    }
    bool good = image.abs <= 1e-4 && text.abs <= 1e-4 && worst.rel <= 1e-3;
    printf("%s\n", good ? "within 1e-4 and 1e-3" : "TOO LARGE");
    close_run(&r);
    weights_close(w);
    weights_close(c);
    close_all();
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}

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

int main(int argc, char **argv)
{
    if (argc == 3)
        return compare_case(argv[1], argv[2]);
    if (no_device())
        return 77;
    Suite *s = suite_create("clip");
    TCase *t = tcase_create("all");
    tcase_add_checked_fixture(t, setup, close_all);
    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, test_golden, 0, 2);
    tcase_add_test(t, test_info);
    tcase_add_test(t, test_defaults);
    tcase_add_loop_test(t, test_misfit, 0, sizeof misfits / sizeof *misfits);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
