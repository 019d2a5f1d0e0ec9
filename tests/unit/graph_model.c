/* SPDX-License-Identifier: MIT */
/* See graph_model.h. */
#include "config.h"

#include <check.h>
#include <stdlib.h>

#include <mohs/rng.h>

#include "graph/graph_internal.h"
#include "unit/graph_model.h"

void gm_ok(mohs_status st, const struct mohs_error *e)
{
    ck_assert_msg(st >= 0, "%s", e->text);
}

static void put(struct params *p, const char *name, float scale, float offset,
                uint32_t a, uint32_t b)
{
    uint32_t dims[] = { a, b }, n = b ? a * b : a;
    float *v = calloc(n, sizeof *v);
    struct mohs_error e = MOHS_ERROR_INIT;
    for (uint32_t i = 0; i < n; i++)
        v[i] = offset +
               scale * (2 * mohs_rng_uniform(hash_str64(name), 1, i) - 1);
    gm_ok(params_set(p, name, b ? 2 : 1, dims, v, &e), &e);
    free(v);
}

static void put_block(struct params *p, const char *tower, int i)
{
    static const struct {
        const char *name;
        uint32_t a, b;
        float scale, offset;
    } list[] = {
        { "ln1.w", GM_WIDTH, 0, 0.2f, 1 },  { "ln1.b", GM_WIDTH, 0, 0.1f, 0 },
        { "ln2.w", GM_WIDTH, 0, 0.2f, 1 },  { "ln2.b", GM_WIDTH, 0, 0.1f, 0 },
        { "q.w", GM_WIDTH, GM_WIDTH, 0.3f, 0 },
        { "q.b", GM_WIDTH, 0, 0.1f, 0 },
        { "k.w", GM_WIDTH, GM_WIDTH, 0.3f, 0 },
        { "v.w", GM_WIDTH, GM_WIDTH, 0.3f, 0 },
        { "v.b", GM_WIDTH, 0, 0.1f, 0 },
        { "o.w", GM_WIDTH, GM_WIDTH, 0.2f, 0 },
        { "o.b", GM_WIDTH, 0, 0.1f, 0 },
        { "f1.w", GM_MLP, GM_WIDTH, 0.2f, 0 }, { "f1.b", GM_MLP, 0, 0.1f, 0 },
        { "f2.w", GM_WIDTH, GM_MLP, 0.2f, 0 }, { "f2.b", GM_WIDTH, 0, 0.1f, 0 },
    };
    for (size_t j = 0; j < sizeof list / sizeof list[0]; j++) {
        char *name = xasprintf("%s.%d.%s", tower, i, list[j].name);
        put(p, name, list[j].scale, list[j].offset, list[j].a, list[j].b);
        free(name);
    }
}

struct params *gm_params(struct compute *c)
{
    struct params *p = params_new(c);
    struct mohs_error e = MOHS_ERROR_INIT;
    uint32_t dims[] = { GM_WIDTH, 3, GM_PATCH, GM_PATCH };
    enum { N = GM_WIDTH * 3 * GM_PATCH * GM_PATCH };
    static float v[N];
    for (uint32_t i = 0; i < N; i++)
        v[i] = 0.4f * mohs_rng_uniform(3, 4, i) - 0.2f;
    gm_ok(params_set(p, "patch", 4, dims, v, &e), &e);
    put(p, "cls", 0.5f, 0, GM_WIDTH, 0);
    put(p, "image.pos", 0.3f, 0, 10, GM_WIDTH);
    put(p, "image.proj", 0.2f, 0, GM_EMBED, GM_WIDTH);
    put(p, "words", 0.5f, 0, GM_WORDS, GM_WIDTH);
    put(p, "text.pos", 0.3f, 0, GM_TOKENS + 2, GM_WIDTH);
    put(p, "text.proj", 0.2f, 0, GM_EMBED, GM_WIDTH);
    put(p, "scale", 0, 1.5f, 1, 0);
    for (int i = 0; i < GM_BLOCKS; i++) {
        put_block(p, "image", i);
        put_block(p, "text", i);
    }
    return p;
}

static struct tensor *weight(struct graph *g, const char *tower, int i,
                             const char *name, uint32_t a, uint32_t b)
{
    uint32_t dims[] = { a, b };
    char *full = xasprintf("%s.%d.%s", tower, i, name);
    struct tensor *t = graph_weight(g, full, b ? 2 : 1, dims);
    free(full);
    return t;
}

#define M(t) ((struct mohs_tensor *)(void *)(t))
#define T(t) ((struct tensor *)(void *)(t))

/* Written with the public wrappers, as a model plugin does it. */
static struct tensor *block(struct graph *g, const char *tower, int i,
                            struct tensor *x, int mask)
{
    const struct mohs_graph_api *api = &graph_api;
    struct mohs_graph *mg = (struct mohs_graph *)(void *)g;
    enum { W = GM_WIDTH };
#define P(name, a, b) M(weight(g, tower, i, name, a, b))
    struct mohs_tensor *h = mohs_layer_norm(api, mg, M(x), P("ln1.w", W, 0),
                                            P("ln1.b", W, 0), 1e-5);
    struct mohs_tensor *q = mohs_linear(api, mg, h, P("q.w", W, W),
                                        P("q.b", W, 0), NULL, MOHS_ACT_NONE);
    struct mohs_tensor *k =
        mohs_linear(api, mg, h, P("k.w", W, W), NULL, NULL, MOHS_ACT_NONE);
    struct mohs_tensor *v = mohs_linear(api, mg, h, P("v.w", W, W),
                                        P("v.b", W, 0), NULL, MOHS_ACT_NONE);
    h = mohs_attention(api, mg, q, k, v, NULL, GM_HEADS, mask);
    struct mohs_tensor *y = mohs_linear(api, mg, h, P("o.w", W, W),
                                        P("o.b", W, 0), M(x), MOHS_ACT_NONE);
    h = mohs_layer_norm(api, mg, y, P("ln2.w", W, 0), P("ln2.b", W, 0), 1e-5);
    h = mohs_linear(api, mg, h, P("f1.w", GM_MLP, W), P("f1.b", GM_MLP, 0),
                    NULL, MOHS_ACT_QUICK_GELU);
    y = mohs_linear(api, mg, h, P("f2.w", W, GM_MLP), P("f2.b", W, 0), y,
                    MOHS_ACT_NONE);
#undef P
    char *tap = xasprintf("%s.block.%d", tower, i);
    y = api->tap(mg, tap, y);
    free(tap);
    return T(y);
}

static struct tensor *project(struct graph *g, const char *tower,
                              struct tensor *x)
{
    uint32_t dims[] = { GM_EMBED, GM_WIDTH };
    char *name = xasprintf("%s.proj", tower);
    struct tensor *in[] = { x, graph_weight(g, name, 2, dims) };
    x = graph_op(g, "linear", in, 2, NULL, 0);
    free(name);
    x = graph_op(g, "l2_normalize", &x, 1, NULL, 0);
    name = xasprintf("%s.embed", tower);
    x = graph_tap(g, name, x);
    free(name);
    return x;
}

static struct tensor *op2(struct graph *g, const char *op, struct tensor *a,
                          struct tensor *b)
{
    struct tensor *in[] = { a, b };
    return graph_op(g, op, in, 2, NULL, 0);
}

struct tensor *gm_image(struct graph *g, struct tensor *pixels)
{
    uint32_t wd[] = { GM_WIDTH, 3, GM_PATCH, GM_PATCH };
    uint32_t width = GM_WIDTH, pd[] = { 10, GM_WIDTH };
    struct tensor *x = op2(g, "patch_embed", pixels,
                           graph_weight(g, "patch", 4, wd));
    x = graph_tap(g, "image.patch", x);
    x = op2(g, "prepend", x, graph_weight(g, "cls", 1, &width));
    x = op2(g, "add", x, graph_weight(g, "image.pos", 2, pd));
    for (int i = 0; i < GM_BLOCKS; i++)
        x = block(g, "image", i, x, MOHS_MASK_NONE);
    return project(g, "image", graph_op(g, "take", &x, 1, NULL, 0));
}

struct tensor *gm_text(struct graph *g, struct tensor *tokens,
                       struct tensor *last)
{
    uint32_t vd[] = { GM_WORDS, GM_WIDTH }, pd[] = { GM_TOKENS + 2, GM_WIDTH };
    struct tensor *x = op2(g, "embedding", tokens,
                           graph_weight(g, "words", 2, vd));
    x = graph_tap(g, "text.token", x);
    x = op2(g, "add", x, graph_weight(g, "text.pos", 2, pd));
    for (int i = 0; i < GM_BLOCKS; i++)
        x = block(g, "text", i, x, MOHS_MASK_CAUSAL);
    return project(g, "text", op2(g, "take", x, last));
}

struct gm gm_new(struct compute *c, struct params *p, uint32_t n)
{
    struct gm m = { .g = graph_new(c, p) };
    uint32_t pd[] = { n, 3, GM_SIZE, GM_SIZE }, td[] = { n, GM_TOKENS };
    m.pixels = graph_input(m.g, "pixels", MOHS_F32, 4, pd);
    m.tokens = graph_input(m.g, "tokens", MOHS_I32, 2, td);
    m.last = graph_input(m.g, "last", MOHS_I32, 1, &n);
    return m;
}

struct tensor *gm_loss(struct gm *m)
{
    uint32_t one = 1;
    m->image = gm_image(m->g, m->pixels);
    m->text = gm_text(m->g, m->tokens, m->last);
    struct tensor *in[] = { m->image, m->text,
                            graph_weight(m->g, "scale", 1, &one) };
    m->loss = graph_op(m->g, "contrastive", in, 3, NULL, 0);
    return m->loss;
}

void gm_write(struct gm *m)
{
    uint32_t dims[MOHS_DIMS_MAX];
    struct mohs_error e = MOHS_ERROR_INIT;
    tensor_shape(m->pixels, dims);
    uint32_t n = dims[0];
    float *px = calloc((size_t)n * GM_PIXELS, sizeof *px);
    int32_t *tok = calloc((size_t)n * GM_TOKENS, sizeof *tok);
    int32_t *last = calloc(n, sizeof *last);
    for (uint32_t i = 0; i < n; i++) {
        for (uint32_t j = 0; j < GM_PIXELS; j++)
            px[i * GM_PIXELS + j] = 2 * mohs_rng_uniform(10, i, j) - 1;
        for (uint32_t j = 0; j < GM_TOKENS; j++)
            tok[i * GM_TOKENS + j] =
                (int32_t)mohs_rng_below(11, i, j, GM_WORDS);
        last[i] = (int32_t)mohs_rng_below(12, i, 0, GM_TOKENS);
    }
    gm_ok(tensor_write(m->pixels, px, &e), &e);
    gm_ok(tensor_write(m->tokens, tok, &e), &e);
    gm_ok(tensor_write(m->last, last, &e), &e);
    free(px);
    free(tok);
    free(last);
}

struct gm gm_training(struct compute *c, struct params *p, uint32_t n,
                      struct tensor *grad[GM_WRT])
{
    static const char *const names[] = { "patch", "cls", "words", "image.pos",
                                         "scale" };
    struct gm m = gm_new(c, p, n);
    struct mohs_error e = MOHS_ERROR_INIT;
    struct tensor *wrt[GM_WRT];
    gm_loss(&m);
    for (int i = 0; i < 5; i++) {
        uint32_t dims[MOHS_DIMS_MAX];
        size_t at = params_find(p, names[i]);
        uint32_t nd = params_shape(p, at, dims);
        wrt[i] = graph_weight(m.g, names[i], nd, dims);
    }
    wrt[5] = m.pixels;
    wrt[6] = graph_find_tap(m.g, "text.block.0");
    gm_ok(graph_grad(m.g, m.loss, NULL, wrt, GM_WRT, grad, &e), &e);
    graph_output(m.g, m.loss);
    for (int i = 0; i < GM_WRT; i++) {
        ck_assert_ptr_nonnull(grad[i]);
        graph_output(m.g, grad[i]);
    }
    return m;
}

float *gm_read(struct tensor *t)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    float *v = calloc((size_t)tensor_count(t), sizeof *v);
    gm_ok(tensor_read(t, v, &e), &e);
    return v;
}

bool gm_no_device(void)
{
    struct device_report *d = NULL;
    size_t n = 0, usable = 0;
    if (compute_probe(&d, &n, NULL) >= 0)
        for (size_t i = 0; i < n; i++)
            usable += d[i].usable;
    free(d);
    return !usable && !getenv("MOHS_REQUIRE_CL");
}
