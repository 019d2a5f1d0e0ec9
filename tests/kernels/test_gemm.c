/* SPDX-License-Identifier: MIT */
/*
 * Matrix products in every form (vector widths, tiled): the product equals
 * the fmaf chain in ascending k bit for bit, whatever the shape, the
 * transposition or the tile; convolutions; epilogues against double; packed operands;
 * faults.
 */
#include "config.h"

#include "unit/compute_test.h"

#include <mohs/ext/graph.h>

static const char *const forms[] = { "cpu16", "cpu8", "tiled" };
enum { N_FORMS = 3, GUARD = 7 };

static const uint32_t sizes[][3] = { /* m, n, k */
    { 1, 1, 1 },   { 1, 33, 17 },  { 12, 32, 16 }, { 13, 31, 15 },
    { 7, 64, 40 }, { 50, 96, 64 }, { 5, 3, 0 },    { 130, 257, 33 },
    { 3, 700, 9 }, { 61, 45, 600 }, { 25, 17, 1100 }, { 101, 520, 260 },
};
#define N_SIZES ((int)(sizeof sizes / sizeof *sizes))

static void setup_form(int i)
{
    setenv("MOHS_GEMM", forms[i], 1);
    setup();
}


static float at(const float *x, bool trans, uint32_t ld, uint32_t i, uint32_t j)
{
    return trans ? x[(size_t)j * ld + i] : x[(size_t)i * ld + j];
}

/* One problem: operands with guard space around, strides with gaps. */
struct problem {
    struct gemm g;
    float *a, *b, *c, *bias, *res;
    size_t c_count;
};

static size_t span(uint32_t rows, uint32_t ld)
{
    return GUARD + (size_t)rows * ld + GUARD;
}

static void make(struct problem *p, uint32_t m, uint32_t n, uint32_t k,
                 bool a_trans, bool b_trans)
{
    memset(p, 0, sizeof *p);
    p->g = (struct gemm){ .m = m, .n = n, .k = k, .a_trans = a_trans,
                          .b_trans = b_trans, .alpha = 1 };
    struct gemm *g = &p->g;
    uint32_t ra = a_trans ? k : m, rb = b_trans ? n : k;
    g->lda = (a_trans ? m : k) + 3;
    g->ldb = (b_trans ? k : n) + 2;
    g->ldc = n + 5;
    g->ldr = n + 1;
    g->ldp = n + 4;
    g->a_off = g->b_off = g->c_off = g->residual_off = GUARD;
    g->bias_off = 2;
    g->pre_off = 1;
    p->a = random_floats(span(ra, g->lda), 1);
    p->b = random_floats(span(rb, g->ldb), 2);
    p->c_count = span(m, g->ldc);
    p->c = random_floats(p->c_count, 3);
    p->bias = random_floats(n + 2, 4);
    p->res = random_floats(span(m, g->ldr), 5);
    g->a = device_copy(p->a, span(ra, g->lda) * 4);
    g->b = device_copy(p->b, span(rb, g->ldb) * 4);
    g->c = device_copy(p->c, p->c_count * 4);
}

static void drop(struct problem *p)
{
    buffer_unref(p->g.a);
    buffer_unref(p->g.b);
    buffer_unref(p->g.c);
    buffer_unref(p->g.bias);
    buffer_unref(p->g.residual);
    buffer_unref(p->g.pre);
    buffer_unref(p->g.b_packed);
    free(p->a), free(p->b), free(p->c), free(p->bias), free(p->res);
}

static float chain(const struct problem *p, uint32_t i, uint32_t j)
{
    const struct gemm *g = &p->g;
    float s = 0;
    for (uint32_t q = 0; q < g->k; q++)
        s = fmaf(at(p->a + GUARD, g->a_trans, g->lda, i, q),
                 at(p->b + GUARD, g->b_trans, g->ldb, q, j), s);
    return s;
}

/* Every element of C is the chain's, every other float is untouched. */
static void check_product(const struct problem *p)
{
    const struct gemm *g = &p->g;
    float *got = host_copy(g->c);
    for (size_t o = 0; o < p->c_count; o++) {
        size_t e = o - GUARD;
        if (o >= GUARD && e / g->ldc < g->m && e % g->ldc < g->n) {
            uint32_t i = (uint32_t)(e / g->ldc), j = (uint32_t)(e % g->ldc);
            float want = chain(p, i, j);
            ck_assert_msg(got[o] == want, "[%u,%u]: %a, not %a", i, j, got[o],
                          want);
        } else {
            ck_assert_msg(got[o] == p->c[o], "float %zu was overwritten", o);
        }
    }
    free(got);
}

START_TEST(product)
{
    setup_form(_i / N_SIZES);
    const uint32_t *s = sizes[_i % N_SIZES];
    for (int trans = 0; trans < 4; trans++) {
        struct problem p;
        make(&p, s[0], s[1], s[2], trans & 1, trans & 2);
        OK(gemm_run(c, &p.g, &err));
        check_product(&p);
        drop(&p);
    }
    teardown();
}
END_TEST

/* The same through operands packed once. */
START_TEST(packed)
{
    setup_form(_i / N_SIZES);
    const uint32_t *s = sizes[_i % N_SIZES];
    size_t bytes = gemm_packed_bytes(c, s[1], s[2]);
    for (int trans = 0; bytes && trans < 4; trans++) {
        struct problem p;
        make(&p, s[0], s[1], s[2], trans & 1, trans & 2);
        struct gemm *g = &p.g;
        OK(buffer_new(c, bytes + 12, &g->b_packed, &err));
        OK(gemm_pack_b(c, g->b, g->b_off, g->ldb, g->b_trans, s[1], s[2],
                       g->b_packed, 3, &err));
        g->b_packed_off = 3;
        buffer_unref(g->b);
        g->b = NULL;
        OK(gemm_run(c, g, &err));
        check_product(&p);
        drop(&p);
    }
    if (!bytes && s[2]) {
        struct mohs_buffer *b;
        OK(buffer_new(c, 64, &b, &err));
        ck_assert_int_eq(gemm_pack_b(c, b, 0, 4, false, 4, 4, b, 0, &err),
                         MOHS_E_UNSUPPORTED);
        buffer_unref(b);
    }
    teardown();
}
END_TEST

/* ---- convolutions ---- */

/* channels, distance of pixels, picture, kernel, stride, up, pad, columns */
static const struct shape {
    uint32_t c, ld, h, w, kh, kw, stride, up, pad, n;
} convs[] = {
    { 16, 16, 6, 5, 3, 3, 1, 1, 1, 17 }, { 3, 3, 9, 9, 7, 7, 2, 1, 3, 33 },
    { 5, 12, 4, 6, 3, 2, 1, 1, 1, 9 },   { 32, 32, 5, 5, 1, 1, 2, 1, 0, 40 },
    { 7, 7, 4, 3, 3, 3, 1, 2, 1, 20 },   { 200, 200, 5, 4, 3, 3, 1, 1, 1, 5 },
};
enum { N_CONVS = sizeof convs / sizeof *convs, PICTURES = 2 };

static uint32_t slid(uint32_t size, const struct shape *s, uint32_t k)
{
    return ((size - 1) * s->up + 1 + 2 * s->pad - k) / s->stride + 1;
}

/* Value q of the window of result row r, by the words of struct gemm_conv. */
static float window(const float *x, const struct gemm *g, uint32_t r, uint32_t q)
{
    const struct gemm_conv *v = &g->conv;
    uint32_t tap = q / v->taps.c, pos = r % (v->oh * v->ow);
    int y = (int)(pos / v->ow * v->stride + tap / v->kw) - (int)v->pad_y;
    int z = (int)(pos % v->ow * v->stride + tap % v->kw) - (int)v->pad_x;
    int up = (int)v->up;
    if (y < 0 || z < 0 || y % up || z % up || y / up >= (int)v->h ||
        z / up >= (int)v->w)
        return 0;
    size_t at = ((size_t)(r / (v->oh * v->ow)) * v->h + (size_t)(y / up)) * v->w;
    return x[(at + (size_t)(z / up)) * g->lda + q % v->taps.c];
}

static float tap(const float *w, const struct gemm_taps *t, uint32_t q, uint32_t j)
{
    uint32_t k = q / t->c;
    return w[(size_t)j * t->step_n + (size_t)(q % t->c) * t->step_c +
             (t->flip ? t->taps - 1 - k : k)];
}

/* A convolution gives the bits of the chain over its windows, packed and not;
 * both orders of the weights. */
static struct gemm describe(const struct shape *s, uint32_t flip)
{
    uint32_t taps = s->kh * s->kw, oh = slid(s->h, s, s->kh);
    uint32_t ow = slid(s->w, s, s->kw);
    return (struct gemm){
        .m = PICTURES * oh * ow, .n = s->n, .k = taps * s->c, .alpha = 1,
        .lda = s->ld, .ldc = s->n,
        .conv = { s->kh, s->kw, s->h, s->w, oh, ow, s->stride, s->up, s->pad,
                  s->pad,
                  { taps, s->c, flip ? taps : taps * s->c,
                    flip ? taps * s->n : taps, flip, 0 } } };
}

START_TEST(convolution)
{
    setup_form(_i / N_CONVS);
    const struct shape *s = &convs[_i % N_CONVS];
    struct gemm g = describe(s, 0);
    size_t nx = (size_t)PICTURES * s->h * s->w * s->ld;
    size_t nw = (size_t)s->n * g.k;
    float *x = random_floats(nx, 1), *w = random_floats(nw, 2);
    g.a = device_copy(x, nx * 4);
    OK(buffer_new(c, (size_t)g.m * g.n * 4, &g.c, &err));
    for (uint32_t flip = 0; flip < 2; flip++) {
        g.conv = describe(s, flip).conv;
        g.b = device_copy(w, nw * 4);
        size_t bytes = gemm_packed_bytes(c, g.n, g.k);
        if (flip && bytes) {
            OK(buffer_new(c, bytes, &g.b_packed, &err));
            OK(gemm_pack_taps(c, g.b, 0, &g.conv.taps, g.n, g.b_packed, 0, &err));
        }
        OK(gemm_run(c, &g, &err));
        float *got = host_copy(g.c);
        for (uint32_t i = 0; i < g.m * g.n; i++) {
            float want = 0;
            for (uint32_t q = 0; q < g.k; q++)
                want = fmaf(window(x, &g, i / g.n, q),
                            tap(w, &g.conv.taps, q, i % g.n), want);
            ck_assert_msg(got[i] == want, "value %u: %a, not %a", i, got[i], want);
        }
        free(got);
        buffer_unref(g.b);
    }
    g.conv.taps.taps++;
    ck_assert_int_eq(gemm_run(c, &g, &err), MOHS_E_ARG);
    buffer_unref(g.b_packed);
    buffer_unref(g.a);
    buffer_unref(g.c);
    free(x);
    free(w);
    teardown();
}
END_TEST

/* Channels that fill chunks and not, strips and columns likewise, every
 * border of a tile. */
static const struct shape tiled[] = {
    { 32, 32, 6, 5, 3, 3, 1, 1, 1, 33 },  { 48, 53, 1, 1, 3, 3, 1, 1, 1, 32 },
    { 64, 64, 3, 4, 3, 3, 1, 1, 0, 70 },  { 80, 96, 11, 9, 3, 3, 1, 1, 2, 160 },
    { 144, 144, 2, 7, 3, 3, 1, 1, 1, 48 },
};
enum { N_TILED = sizeof tiled / sizeof *tiled };

/* What `got` should be: sums in double; *top the largest. */
static double distance(const struct gemm *g, const float *x, const float *w,
                       const float *got, double *top)
{
    double worst = 0;
    *top = 0;
    for (uint32_t i = 0; i < g->m * g->n; i++) {
        double want = 0;
        for (uint32_t q = 0; q < g->k; q++)
            want += (double)window(x, g, i / g->n, q) *
                    (double)tap(w, &g->conv.taps, q, i % g->n);
        worst = fmax(worst, fabs((double)got[i] - want));
        *top = fmax(*top, fabs(want));
    }
    return worst;
}

/* Winograd beside the sums in double; a picture's bits are its own, packed or
 * not. */
START_TEST(winograd)
{
    setup_form(_i / N_TILED);
    const struct shape *s = &tiled[_i % N_TILED];
    struct gemm g = describe(s, (uint32_t)_i % 2);
    size_t nx = (size_t)PICTURES * s->h * s->w * s->ld;
    size_t nw = (size_t)s->n * g.k, nc = (size_t)g.m * g.n;
    float *x = random_floats(nx, 1), *w = random_floats(nw, 2);
    g.a = device_copy(x, nx * 4);
    g.b = device_copy(w, nw * 4);
    OK(buffer_new(c, nc * 4, &g.c, &err));
    bool can = gemm_winograd(c, &g);
    ck_assert(can == (gemm_packed_bytes(c, g.n, g.k) != 0));
    g.conv.taps.winograd = 1;
    if (can) {
        double top;
        OK(gemm_run(c, &g, &err));
        float *got = host_copy(g.c);
        double d = distance(&g, x, w, got, &top);
        ck_assert_msg(d <= 1e-6 * top, "off by %g, the largest is %g", d, top);
        OK(buffer_new(c, gemm_packed_bytes(c, g.n, gemm_packed_k(&g)),
                      &g.b_packed, &err));
        OK(gemm_pack_taps(c, g.b, 0, &g.conv.taps, g.n, g.b_packed, 0, &err));
        g.m /= PICTURES;
        g.a_off = nx / PICTURES;
        OK(gemm_run(c, &g, &err));
        float *alone = host_copy(g.c);
        ck_assert_mem_eq(alone, got + nc / PICTURES, nc / PICTURES * 4);
        buffer_unref(g.b_packed);
        free(alone);
        free(got);
        g.conv.stride = 2;
    }
    ck_assert_int_eq(gemm_run(c, &g, &err), MOHS_E_ARG);
    buffer_unref(g.a);
    buffer_unref(g.b);
    buffer_unref(g.c);
    free(x);
    free(w);
    teardown();
}
END_TEST

static double act_ref(int act, double x)
{
    switch (act) {
    case MOHS_ACT_GELU:
        return 0.5 * x * (1 + erf(x * sqrt(0.5)));
    case MOHS_ACT_QUICK_GELU:
        return x / (1 + exp(-1.702 * x));
    case MOHS_ACT_SILU:
        return x / (1 + exp(-x));
    case MOHS_ACT_RELU:
        return x > 0 ? x : 0;
    case MOHS_ACT_GELU_TANH:
        return 0.5 * x * (1 + tanh(sqrt(2 / 3.14159265358979323846) *
                                   (x + 0.044715 * x * x * x)));
    case MOHS_ACT_TANH:
        return tanh(x);
    default:
        return x;
    }
}

START_TEST(epilogue)
{
    enum { M = 29, N = 77, K = 50, ACTS = MOHS_ACT_TANH + 1 };
    setup_form(_i / ACTS);
    for (int f = 0; f < 16; f++) {
        struct problem p;
        make(&p, M, N, K, false, true);
        struct gemm *g = &p.g;
        g->act = _i % ACTS;
        g->alpha = 0.125f;
        g->bias = f & 1 ? device_copy(p.bias, (N + 2) * 4) : NULL;
        g->residual = f & 2 ? device_copy(p.res, span(M, g->ldr) * 4) : NULL;
        g->accumulate = f & 4;
        if (f & 8)
            OK(buffer_new(c, span(M, g->ldp) * 4, &g->pre, &err));
        OK(gemm_run(c, g, &err));
        float *got = host_copy(g->c), *pre = f & 8 ? host_copy(g->pre) : NULL;
        for (uint32_t i = 0; i < M; i++)
            for (uint32_t j = 0; j < N; j++) {
                size_t o = GUARD + (size_t)i * g->ldc + j;
                float y = chain(&p, i, j) * 0.125f;
                y += f & 1 ? p.bias[2 + j] : 0;
                if (pre)
                    ck_assert(pre[1 + (size_t)i * g->ldp + j] == y);
                double want = act_ref(g->act, y);
                want += f & 2 ? p.res[GUARD + (size_t)i * g->ldr + j] : 0;
                want += f & 4 ? p.c[o] : 0;
                /* activation 3e-7 relative, each sum half an ulp */
                ck_assert_float_eq_tol(got[o], want,
                                       2e-7 + 4e-7 * fabs(want) + 4e-7 * fabsf(y));
            }
        free(got);
        free(pre);
        drop(&p);
    }
    teardown();
}
END_TEST

/* Row 0 of m = 1, 7, 64, 333 rows has the same bits, whatever the tile. */
START_TEST(row_invariance)
{
    enum { N = 200, K = 1000 };
    static const uint32_t ms[] = { 1, 7, 64, 333 };
    setup_form(_i);
    float first[N];
    for (int x = 0; x < 4; x++) {
        struct problem p;
        make(&p, ms[x], N, K, false, true);
        p.g.act = MOHS_ACT_GELU;
        OK(gemm_run(c, &p.g, &err));
        float *got = host_copy(p.g.c);
        if (!x)
            memcpy(first, got + GUARD, sizeof first);
        ck_assert_mem_eq(first, got + GUARD, sizeof first);
        free(got);
        drop(&p);
    }
    teardown();
}
END_TEST

START_TEST(faults)
{
    setup_form(_i);
    struct problem p;
    make(&p, 8, 8, 8, false, false);
    struct gemm g = p.g;
    g.lda = 7;
    ck_assert_int_eq(gemm_run(c, &g, &err), MOHS_E_ARG);
    ck_assert_ptr_nonnull(strstr(err.text, "gemm: a: row stride 7"));
    g = p.g;
    g.b_off += 100;
    ck_assert_int_eq(gemm_run(c, &g, &err), MOHS_E_ARG);
    ck_assert_ptr_nonnull(strstr(err.text, "gemm: b:"));
    g = p.g;
    g.c = NULL;
    ck_assert_int_eq(gemm_run(c, &g, &err), MOHS_E_ARG);
    g = p.g;
    g.m = 0;
    OK(gemm_run(c, &g, &err));
    g = p.g;
    g.b_packed = p.g.a; /* too small */
    g.k = 1000;
    g.lda = 1000;
    g.m = 0;
    if (gemm_packed_bytes(c, 8, 1000))
        ck_assert_int_eq(gemm_run(c, &g, &err), MOHS_E_ARG);
    drop(&p);
    teardown();
}
END_TEST

int main(void)
{
    int no = need_device();
    if (no)
        return no;
    Suite *s = suite_create("gemm");
    TCase *t = tcase_create("gemm");
    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, product, 0, N_FORMS * N_SIZES);
    tcase_add_loop_test(t, packed, 0, N_FORMS * N_SIZES);
    tcase_add_loop_test(t, convolution, 0, N_FORMS * N_CONVS);
    tcase_add_loop_test(t, winograd, 0, N_FORMS * N_TILED);
    tcase_add_loop_test(t, epilogue, 0, N_FORMS * (MOHS_ACT_TANH + 1));
    tcase_add_loop_test(t, row_invariance, 0, N_FORMS);
    tcase_add_loop_test(t, faults, 0, N_FORMS);
    suite_add_tcase(s, t);
    return run_suite(s);
}
