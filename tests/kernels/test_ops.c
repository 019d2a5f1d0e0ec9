/* SPDX-License-Identifier: MIT */
/*
 * Every op against its double reference, forward and gradient. Gradients are
 * vector-Jacobian products with a random seed, compared with central
 * differences of the reference in double (step 1e-5: error about 1e-10), so
 * the tolerance is that of float kernels alone.
 */
#include "config.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <mohs/rng.h>

#include "graph/graph_internal.h"
#include "kernels/ops_ref.h"

/* Inputs: "f:3,5" normal-ish floats in -1.5..1.5, "p:" positive 0.5..2, "s:"
 * small -0.1..0.1, "i9:" integers below 9, "l9:" lengths 1..9, "-" missing.
 * Attributes: "act=1 eps=1e-5". tol: largest difference over the largest
 * value, forward; gradients get 4 x as much. 0: 2e-6. */
static const struct {
    const char *op, *in, *attr;
    double tol;
} cases[] = {
    { "linear", "f:7,33 f:19,33 f:19", "", 0 },
    { "linear", "f:2,5,16 f:48,16 - f:2,5,48", "act=1", 0 },
    { "linear", "f:1,1 f:1,1", "act=2", 0 },
    { "linear", "f:3,20 f:17,20 f:17", "act=3", 0 },
    { "linear", "f:3,20 f:17,20 f:17", "act=4", 0 },
    { "linear", "f:3,20 f:17,20 f:17", "act=5", 0 },
    { "linear", "f:3,20 f:17,20 f:17 f:3,17", "act=6", 0 },
    { "matmul", "f:5,7 f:7,3", "", 0 },
    { "matmul", "f:7,5 f:7,3", "a_trans=1", 0 },
    { "matmul", "f:5,7 f:3,7", "b_trans=1 alpha=0.5", 0 },
    { "matmul", "f:7,5 f:3,7 f:5,3", "a_trans=1 b_trans=1 alpha=2", 0 },
    { "matmul", "f:2,3,17 f:17,18", "", 0 },
    { "batch_matmul", "f:3,5,7 f:3,7,19 f:3,5,19", "alpha=0.5", 0 },
    { "batch_matmul", "f:2,7,5 f:2,7,3", "a_trans=1", 0 },
    { "batch_matmul", "f:2,5,17 f:2,3,17", "b_trans=1", 0 },
    { "batch_matmul", "f:1,7,5 f:1,3,7", "a_trans=1 b_trans=1", 0 },
    { "patch_embed", "f:2,3,8,12 f:9,3,4,4 f:9", "", 0 },
    { "patch_embed", "f:1,1,3,6 f:5,1,3,3", "", 0 },
    { "patches", "f:2,3,4,6", "p=2", 0 },
    { "unpatches", "f:2,6,12", "p=2 h=4 w=6", 0 },
    { "layer_norm", "f:5,37 p:37 f:37", "", 0 },
    { "layer_norm", "f:2,3,16", "eps=1e-3", 0 },
    { "layer_norm", "f:131,70 p:70 f:70", "", 0 },
    { "rms_norm", "f:5,37 p:37", "", 0 },
    { "rms_norm", "f:2,130", "", 0 },
    { "l2_normalize", "f:6,21", "", 0 },
    { "softmax", "f:5,19", "", 0 },
    { "softmax", "f:2,2,16", "", 0 },
    { "log_softmax", "f:5,35", "", 0 },
    { "add", "f:3,5,7 f:3,5,7", "", 0 },
    { "add", "f:3,5,7 f:9,7", "", 0 },
    { "add", "f:2,4,16 f:16", "", 0 },
    { "add", "f:4,5 f:1", "", 0 },
    { "sub", "f:3,5,7 f:5,7", "", 0 },
    { "sub", "f:33 f:33", "", 0 },
    { "mul", "f:3,5,7 f:7", "", 0 },
    { "mul", "f:5,33 f:1", "", 0 },
    { "div", "f:3,17 p:3,17", "", 0 },
    { "div", "f:3,17 p:17", "", 0 },
    { "gelu", "f:3,17", "", 0 },
    { "quick_gelu", "f:3,17", "", 0 },
    { "silu", "f:3,17", "", 0 },
    { "relu", "f:3,17", "", 0 },
    { "gelu_tanh", "f:3,17", "", 0 },
    { "tanh", "f:3,17", "", 0 },
    { "sigmoid", "f:3,17", "", 0 },
    { "softplus", "f:3,17", "", 0 },
    { "exp", "f:3,17", "", 0 },
    { "log", "p:3,17", "", 0 },
    { "affine", "f:3,17", "mul=-2.5 add=0.75", 0 },
    { "clamp", "f:3,17", "lo=-0.5 hi=0.9", 0 },
    { "square", "f:3,17", "", 0 },
    { "sqrt", "p:3,17", "", 0 },
    { "reshape", "f:3,4,5", "d0=6 d1=10", 0 },
    { "transpose", "f:17,35", "", 0 },
    { "slice", "f:3,9,5", "axis=1 from=2 n=4", 0 },
    { "slice", "f:9,5", "axis=0 from=8 n=1", 0 },
    { "pad", "f:3,4,5", "axis=1 before=2 size=9", 0 },
    { "concat", "f:2,3,5 f:2,1,5 f:2,4,5", "axis=1", 0 },
    { "concat", "f:2,3 f:2,18", "axis=1", 0 },
    { "reduce", "f:3,7,20", "from=1 to=2 scale=0.5", 0 },
    { "reduce", "f:150,70", "from=0 to=1", 0 },
    { "reduce", "f:3,200", "from=1 to=2", 0 },
    { "expand", "f:3,5", "from=1 to=2 scale=0.5 d0=3 d1=4 d2=5", 0 },
    { "expand", "f:1", "d0=3 d1=7", 0 },
    { "sum", "f:5,9000", "", 2e-5 },
    { "mean", "f:3,7,5", "", 0 },
    { "mean_tokens", "f:3,7,20", "", 0 },
    { "take", "f:4,5,18 i5:4", "", 0 },
    { "take", "f:4,5,18", "", 0 },
    { "put", "f:4,18 i5:4", "t=5", 0 },
    { "embedding", "i11:3,7 f:11,20", "", 0 },
    { "embedding", "i3:40 f:3,300", "", 0 },
    { "embedding_grad", "f:9,18 i4:9", "v=5", 0 },
    { "prepend", "f:3,4,18 f:18", "", 0 },
    { "normalize_pixels", "f:2,3,5,7 f:3 p:3", "", 0 },
    { "cross_entropy", "f:6,37 i37:6", "", 0 },
    { "cross_entropy", "f:20,20", "", 0 },
    { "sigmoid_pairs", "f:20,20", "", 0 },
    { "contrastive", "f:9,18 f:9,18 p:1", "", 0 },
    { "sigmoid_loss", "f:9,18 f:9,18 p:1 f:1", "", 0 },
    { "attention", "f:2,5,24 f:2,5,24 f:2,5,24", "heads=3", 0 },
    { "attention", "f:2,7,32 f:2,7,32 f:2,7,32", "heads=2 mask=1", 0 },
    { "attention", "f:3,6,16 f:3,6,16 f:3,6,16 l6:3", "heads=1 mask=2", 0 },
    { "attention", "f:3,6,16 f:3,6,16 f:3,6,16 i6:3", "heads=1 mask=3", 0 },
    { "attention", "f:2,3,40 f:2,18,40 f:2,18,40", "heads=2", 0 },
    { "attention_pool", "f:2,24 f:2,5,36 f:24,36 f:24,36 f:24", "heads=3", 0 },
    { "attention_pool", "f:1,20 f:1,7,20 f:20,20 f:20,20", "heads=1", 0 },
    { "symmetric_kl", "f:5,21 f:5,21", "", 0 },
    { "conv2d", "f:2,5,6,7 f:9,7,1,1 f:9", "", 0 },
    { "conv2d", "f:2,6,5,3 f:5,3,3,3 f:5", "pad=1", 0 },
    { "conv2d", "f:1,9,8,16 f:17,16,3,3 - f:2,17 f:1,5,4,17",
      "stride=2 pad=1 act=1", 0 },
    { "conv2d", "f:1,5,5,16 f:33,16,3,3 - p:2,33", "pad=1 act=4", 0 },
    { "conv2d", "f:1,11,13,3 f:18,3,7,7", "stride=2 pad=3", 0 },
    { "conv2d", "f:1,6,7,4 f:5,4,2,3", "stride=2", 0 },
    { "conv2d", "f:1,7,7,20 f:6,20,1,1", "stride=2", 0 },
    { "conv2d", "f:2,5,5,8 f:12,2,3,3 f:12 - f:2,5,5,12",
      "pad=1 groups=4 act=3", 0 },
    { "conv2d", "f:1,4,4,36 f:4,18,1,1 - f:2,4", "groups=2", 0 },
    { "conv2d", "f:1,3,3,70 f:3,70,3,3", "pad=1", 0 },
    // Winograd, both ways: odd and even sizes, paddings, strips, columns
    { "conv2d", "f:2,5,7,32 f:33,32,3,3 f:33", "pad=1 act=4", 0 },
    { "conv2d", "f:1,4,6,48 f:32,48,3,3 - f:2,32 f:1,4,6,32", "pad=1", 0 },
    { "conv2d", "f:1,3,3,80 f:64,80,3,3", "", 0 },
    { "conv2d", "f:1,1,2,32 f:32,32,3,3", "pad=2", 0 },
    { "conv2d", "f:1,3,2,64 f:96,32,3,3", "pad=1 groups=2 act=1", 0 },
    { "batch_norm_fold", "f:19 p:19 f:19 f:19", "", 0 },
    { "batch_norm_fold", "f:5 p:5", "eps=1e-3", 0 },
    { "depthwise_conv2d", "f:2,9,11,18 f:18,1,7,7 f:18", "pad=3", 0 },
    { "depthwise_conv2d", "f:1,7,16,16 f:16,1,3,3 - f:2,16",
      "stride=2 pad=1 act=1", 0 },
    { "depthwise_conv2d", "f:1,4,4,5 f:5,1,2,2", "stride=2", 0 },
    { "max_pool2d", "f:2,7,8,18", "k=3 stride=2 pad=1", 0 },
    { "avg_pool2d", "f:2,6,9,18", "k=3 stride=3", 0 },
    { "avg_pool2d", "f:1,5,7,4", "k=3 stride=2 pad=1", 0 },
    { "global_avg_pool", "f:2,5,6,19", "", 0 },
    { "channels_last", "f:2,18,5,7", "", 0 },
    { "channels_first", "f:2,5,7,35", "", 0 },
};
enum { N_CASES = sizeof cases / sizeof cases[0], TEXT = 200 };

static struct compute *dev;

static void setup(void)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    ck_assert_msg(compute_open(getenv("MOHS_DEVICE"), &dev, &e) >= 0, "%s",
                  e.text);
}

static void teardown(void)
{
    compute_close(dev);
}

/* ---- a case, parsed --------------------------------------------------- */

struct call {
    struct ref_call ref;
    struct ref_array out;
    char kind[REF_IN_MAX];
    char text[TEXT];
    const char *attr_name[8];
    double attr[8];
    struct tensor *in[REF_IN_MAX], *y, *seed, *grad[REF_IN_MAX];
    struct graph *g;
    double *seed_v;
};

static double draw(char kind, uint32_t limit, uint64_t seed, uint64_t i)
{
    double u = mohs_rng_uniform(seed, 7, i);
    switch (kind) {
    case 'p':
        return (float)(0.5 + 1.5 * u);
    case 's':
        return (float)(0.2 * u - 0.1);
    case 'i':
        return floor(u * limit);
    case 'l':
        return 1 + floor(u * limit);
    default:
        return (float)(3 * u - 1.5);
    }
}

static void parse_input(struct call *c, uint32_t i, const char *s,
                        uint64_t seed)
{
    struct ref_array *a = &c->ref.in[i];
    char *end;
    c->kind[i] = *s;
    if (*s == '-')
        return;
    uint32_t limit = (uint32_t)strtoul(s + 1, &end, 10);
    a->n = 1;
    while (*end == ':' || *end == ',') {
        a->dims[a->n_dims] = (uint32_t)strtoul(end + 1, &end, 10);
        a->n *= a->dims[a->n_dims++];
    }
    a->v = calloc(a->n, sizeof *a->v);
    for (size_t j = 0; j < a->n; j++)
        a->v[j] = draw(*s, limit, seed + i, j);
}

static void parse(struct call *c, int which)
{
    char *save;
    memset(c, 0, sizeof *c);
    snprintf(c->text, TEXT, "%s", cases[which].in);
    for (char *s = strtok_r(c->text, " ", &save); s;
         s = strtok_r(NULL, " ", &save))
        parse_input(c, c->ref.n_in++, s, 100u * (unsigned)which);
    snprintf(c->text, TEXT, "%s", cases[which].attr);
    for (char *s = strtok_r(c->text, " ", &save); s;
         s = strtok_r(NULL, " ", &save)) {
        char *eq = strchr(s, '=');
        *eq = 0;
        c->attr_name[c->ref.n_attr] = s;
        c->attr[c->ref.n_attr++] = strtod(eq + 1, NULL);
    }
    c->ref.attr_name = c->attr_name;
    c->ref.attr = c->attr;
    c->ref.out = &c->out;
}

static bool integers(char kind)
{
    return kind == 'i' || kind == 'l';
}

/* Builds op, seed and gradients by all float inputs. */
static void build(struct call *c, int which)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    struct mohs_attr at[8];
    struct tensor *wrt[REF_IN_MAX], *grads[REF_IN_MAX];
    size_t n = 0;
    c->g = graph_new(dev, NULL);
    for (uint32_t i = 0; i < c->ref.n_in; i++) {
        char name[] = { 'x', (char)('0' + i), 0 };
        const struct ref_array *a = &c->ref.in[i];
        if (a->v)
            c->in[i] = graph_input(c->g, name,
                                   integers(c->kind[i]) ? MOHS_I32 : MOHS_F32,
                                   a->n_dims, a->dims);
        if (a->v && !integers(c->kind[i]))
            wrt[n++] = c->in[i];
    }
    for (uint32_t i = 0; i < c->ref.n_attr; i++)
        at[i] = (struct mohs_attr){ c->attr_name[i], c->attr[i] };
    c->y = graph_op(c->g, cases[which].op, c->in, c->ref.n_in, at,
                    c->ref.n_attr);
    ck_assert_msg(graph_status(c->g, &e) >= 0, "%s", e.text);
    graph_output(c->g, c->y);
    c->out.n_dims = tensor_shape(c->y, c->out.dims);
    c->out.n = (size_t)tensor_count(c->y);
    c->seed = graph_input(c->g, "seed", MOHS_F32, c->out.n_dims, c->out.dims);
    // pixels have no gradient by mean and std: ask for x alone
    n = strcmp(cases[which].op, "normalize_pixels") == 0 ? 1 : n;
    ck_assert_msg(graph_grad(c->g, c->y, c->seed, wrt, n, grads, &e) >= 0, "%s",
                  e.text);
    n = 0;
    for (uint32_t i = 0; i < c->ref.n_in; i++) {
        if (!c->in[i] || integers(c->kind[i]) ||
            (i > 0 && strcmp(cases[which].op, "normalize_pixels") == 0))
            continue;
        c->grad[i] = grads[n++];
        ck_assert_ptr_nonnull(c->grad[i]);
        graph_output(c->g, c->grad[i]);
    }
    ck_assert_msg(graph_plan(c->g, NULL, &e) >= 0, "%s", e.text);
}

static void write_input(struct tensor *t, const double *v, size_t n, bool ints)
{
    union {
        float f;
        int32_t i;
    } *w = calloc(n, sizeof *w);
    struct mohs_error e = MOHS_ERROR_INIT;
    for (size_t i = 0; i < n; i++) {
        if (ints)
            w[i].i = (int32_t)v[i];
        else
            w[i].f = (float)v[i];
    }
    ck_assert_msg(tensor_write(t, w, &e) >= 0, "%s", e.text);
    free(w);
}

static void run(struct call *c, int which)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    c->seed_v = calloc(c->out.n, sizeof *c->seed_v);
    for (size_t i = 0; i < c->out.n; i++)
        c->seed_v[i] = draw('f', 0, 5000u + (unsigned)which, i);
    for (uint32_t i = 0; i < c->ref.n_in; i++)
        if (c->in[i])
            write_input(c->in[i], c->ref.in[i].v, c->ref.in[i].n,
                        integers(c->kind[i]));
    write_input(c->seed, c->seed_v, c->out.n, false);
    ck_assert_msg(graph_run(c->g, &e) >= 0, "%s", e.text);
}

static void finish(struct call *c)
{
    for (uint32_t i = 0; i < c->ref.n_in; i++)
        free(c->ref.in[i].v);
    free(c->out.v);
    free(c->seed_v);
    graph_free(c->g);
}

/* ---- comparing -------------------------------------------------------- */

static void compare(struct tensor *t, const double *want, double tol,
                    const char *what, int which)
{
    size_t n = (size_t)tensor_count(t);
    float *got = calloc(n, sizeof *got);
    struct mohs_error e = MOHS_ERROR_INIT;
    double top = 1e-6, worst = 0;
    ck_assert_msg(tensor_read(t, got, &e) >= 0, "%s", e.text);
    for (size_t i = 0; i < n; i++)
        top = fmax(top, fabs(want[i]));
    for (size_t i = 0; i < n; i++) {
        double d = fabs((double)got[i] - want[i]);
        worst = d > worst || isnan(d) ? d : worst;
        ck_assert_msg(d <= tol * top,
                      "case %d, %s (%s; %s), %s, element %zu: %.9g, reference "
                      "%.9g",
                      which, cases[which].op, cases[which].in,
                      cases[which].attr, what, i, got[i], want[i]);
    }
    free(got);
}

/* sum(seed * op(in)) */
static double objective(struct call *c, ref_fn ref)
{
    double s = 0;
    ref(&c->ref);
    for (size_t i = 0; i < c->out.n; i++)
        s += c->seed_v[i] * c->out.v[i];
    return s;
}

static void check_gradient(struct call *c, ref_fn ref, uint32_t i, double tol,
                           int which)
{
    struct ref_array *a = &c->ref.in[i];
    double *want = calloc(a->n, sizeof *want);
    const double h = 1e-5;
    char what[32];
    // long inputs: the reference is linear in them, one step each is cheap
    // enough up to here
    for (size_t j = 0; j < a->n; j++) {
        double x = a->v[j];
        a->v[j] = x + h;
        double up = objective(c, ref);
        a->v[j] = x - h;
        double down = objective(c, ref);
        a->v[j] = x;
        want[j] = (up - down) / (2 * h);
    }
    snprintf(what, sizeof what, "gradient %u", i);
    compare(c->grad[i], want, tol, what, which);
    free(want);
}

START_TEST(op_matches_reference)
{
    struct call c;
    double tol = cases[_i].tol > 0 ? cases[_i].tol : 2e-6;
    ref_fn ref = ref_find(cases[_i].op);
    ck_assert_msg(ref != NULL, "no reference for %s", cases[_i].op);
    parse(&c, _i);
    build(&c, _i);
    run(&c, _i);
    c.out.v = calloc(c.out.n, sizeof *c.out.v);
    ref(&c.ref);
    compare(c.y, c.out.v, tol, "forward", _i);
    for (uint32_t i = 0; i < c.ref.n_in; i++)
        if (c.grad[i] && c.ref.in[i].n <= 10000)
            check_gradient(&c, ref, i, 4 * tol, _i);
    finish(&c);
}
END_TEST

/* Every op of the table is in a case above, or is a node of the gradient of
 * one. */
START_TEST(every_op_is_covered)
{
    bool seen[128] = { false };
    for (int i = 0; i < N_CASES; i++) {
        struct call c;
        parse(&c, i);
        build(&c, i);
        for (const struct node *nd = c.g->nodes; nd; nd = nd->next)
            for (size_t k = 0; op_list(k); k++)
                seen[k] |= strcmp(op_list(k)->name, nd->op->info.name) == 0 ||
                           strcmp(op_list(k)->name, cases[i].op) == 0;
        finish(&c);
    }
    for (size_t k = 0; op_list(k); k++)
        ck_assert_msg(seen[k] || strcmp(op_list(k)->name, "detach") == 0,
                      "op %s has no case", op_list(k)->name);
}
END_TEST

/* normalize_pixels gives the very bits of (x - mean) / std in float. */
START_TEST(pixels_are_exact)
{
    enum { N = 2, HW = 37 * 41 };
    struct graph *g = graph_new(dev, NULL);
    uint32_t dims[] = { N, 3, 37, 41 }, three = 3;
    const float mean[] = { 0.48145466f, 0.4578275f, 0.40821073f };
    const float std[] = { 0.26862954f, 0.26130258f, 0.27577711f };
    struct tensor *x = graph_input(g, "pixels", MOHS_F32, 4, dims);
    struct tensor *y = graph_op(
        g, "normalize_pixels",
        INS(x, graph_constant(g, 1, &three, mean),
            graph_constant(g, 1, &three, std)),
        NULL, 0);
    static float v[N * 3 * HW], got[N * 3 * HW];
    struct mohs_error e = MOHS_ERROR_INIT;
    for (size_t i = 0; i < sizeof v / sizeof v[0]; i++)
        v[i] = (float)mohs_rng_below(1, 2, i, 256) / 255.0f;
    graph_output(g, y);
    ck_assert_msg(graph_plan(g, NULL, &e) >= 0, "%s", e.text);
    ck_assert_msg(tensor_write(x, v, &e) >= 0, "%s", e.text);
    ck_assert_msg(graph_run(g, &e) >= 0, "%s", e.text);
    ck_assert_msg(tensor_read(y, got, &e) >= 0, "%s", e.text);
    for (size_t i = 0; i < sizeof v / sizeof v[0]; i++) {
        size_t c = i / HW % 3;
        volatile float d = v[i] - mean[c];
        float want = d / std[c];
        ck_assert_msg(memcmp(&want, &got[i], 4) == 0, "%zu: %a not %a", i,
                      (double)got[i], (double)want);
    }
    graph_free(g);
}
END_TEST

int main(void)
{
    struct device_report *d = NULL;
    size_t n = 0, usable = 0;
    if (compute_probe(&d, &n, NULL) >= 0)
        for (size_t i = 0; i < n; i++)
            usable += d[i].usable;
    free(d);
    if (!usable && !getenv("MOHS_REQUIRE_CL"))
        return 77;
    Suite *s = suite_create("ops");
    TCase *t = tcase_create("ops");
    tcase_set_timeout(t, 120);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_loop_test(t, op_matches_reference, 0, N_CASES);
    tcase_add_test(t, every_op_is_covered);
    tcase_add_test(t, pixels_are_exact);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
