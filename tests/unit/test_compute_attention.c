/* SPDX-License-Identifier: MIT */
/*
 * Fused attention, forward and backward, against a reference in double whose
 * own gradient is checked by finite differences; masks, padding and batch
 * must not change a row's bits.
 */
#include "config.h"

#include "unit/compute_test.h"

#include <mohs/ext/graph.h>

struct shape {
    uint32_t n, tq, tk, heads, d;
    int mask;
};

static const struct shape shapes[] = {
    { 2, 50, 50, 3, 64, MOHS_MASK_NONE },
    { 1, 7, 7, 2, 5, MOHS_MASK_NONE },
    { 3, 1, 1, 1, 1, MOHS_MASK_NONE },
    { 2, 77, 77, 2, 64, MOHS_MASK_CAUSAL },
    { 3, 33, 33, 2, 16, MOHS_MASK_CAUSAL },
    { 4, 20, 20, 2, 24, MOHS_MASK_LENGTH },
    { 2, 1, 65, 2, 48, MOHS_MASK_NONE },
    { 2, 10, 37, 3, 33, MOHS_MASK_LENGTH },
    { 4, 10, 37, 3, 33, MOHS_MASK_LAST },
    { 1, 200, 200, 1, 128, MOHS_MASK_NONE },
    { 1, 35, 35, 1, 200, MOHS_MASK_CAUSAL },
};
#define N_SHAPES ((int)(sizeof shapes / sizeof *shapes))

static uint32_t visible(const struct shape *s, const int32_t *len, uint32_t b,
                        uint32_t i)
{
    if (s->mask == MOHS_MASK_CAUSAL)
        return i + 1 < s->tk ? i + 1 : s->tk;
    if (s->mask == MOHS_MASK_LAST)
        return (uint32_t)len[b] + 1 < s->tk ? (uint32_t)len[b] + 1 : s->tk;
    return s->mask == MOHS_MASK_LENGTH ? (uint32_t)len[b] : s->tk;
}

/* One problem in host memory. q, k, v are slices of one matrix when tq == tk,
 * with `pad` unused floats per row. */
struct problem {
    struct shape s;
    uint32_t w, ld, ldo;
    size_t tokens_q, tokens_k;
    float *q, *k, *v, *dout;
    int32_t *len;
    double *out, *lse, *dq, *dk, *dv;
};

static void ref_sample(struct problem *p, uint32_t b, uint32_t h)
{
    const struct shape *s = &p->s;
    double *pr = xcalloc(s->tk, sizeof *pr), scale = 1 / sqrt(s->d);
    for (uint32_t i = 0; i < s->tq; i++) {
        size_t qi = ((size_t)b * s->tq + i) * p->w + h * s->d;
        uint32_t n = visible(s, p->len, b, i);
        double top = -INFINITY, sum = 0, delta = 0;
        for (uint32_t j = 0; j < n; j++) {
            size_t kj = ((size_t)b * s->tk + j) * p->w + h * s->d;
            pr[j] = 0;
            for (uint32_t e = 0; e < s->d; e++)
                pr[j] += (double)p->q[qi + e] * p->k[kj + e] * scale;
            top = fmax(top, pr[j]);
        }
        for (uint32_t j = 0; j < n; j++)
            sum += pr[j] = exp(pr[j] - top);
        p->lse[((size_t)b * s->heads + h) * s->tq + i] = n ? top + log(sum) : 0;
        for (uint32_t j = 0; j < n; j++) {
            size_t kj = ((size_t)b * s->tk + j) * p->w + h * s->d;
            pr[j] /= sum;
            for (uint32_t e = 0; e < s->d; e++)
                p->out[qi + e] += pr[j] * p->v[kj + e];
        }
        for (uint32_t e = 0; e < s->d; e++)
            delta += p->out[qi + e] * p->dout[qi + e];
        for (uint32_t j = 0; j < n; j++) {
            size_t kj = ((size_t)b * s->tk + j) * p->w + h * s->d;
            double dp = 0;
            for (uint32_t e = 0; e < s->d; e++)
                dp += (double)p->dout[qi + e] * p->v[kj + e];
            double ds = pr[j] * (dp - delta) * scale;
            for (uint32_t e = 0; e < s->d; e++) {
                p->dq[qi + e] += ds * p->k[kj + e];
                p->dk[kj + e] += ds * p->q[qi + e];
                p->dv[kj + e] += pr[j] * p->dout[qi + e];
            }
        }
    }
    free(pr);
}

static void reference(struct problem *p)
{
    size_t nq = p->tokens_q * p->w, nk = p->tokens_k * p->w;
    memset(p->out, 0, nq * sizeof(double));
    memset(p->dq, 0, nq * sizeof(double));
    memset(p->dk, 0, nk * sizeof(double));
    memset(p->dv, 0, nk * sizeof(double));
    for (uint32_t b = 0; b < p->s.n; b++)
        for (uint32_t h = 0; h < p->s.heads; h++)
            ref_sample(p, b, h);
}

static void problem_make(struct problem *p, const struct shape *s)
{
    memset(p, 0, sizeof *p);
    p->s = *s;
    p->w = s->heads * s->d;
    p->tokens_q = (size_t)s->n * s->tq;
    p->tokens_k = (size_t)s->n * s->tk;
    size_t nq = p->tokens_q * p->w, nk = p->tokens_k * p->w;
    p->q = random_floats(nq, 1);
    p->k = random_floats(nk, 2);
    p->v = random_floats(nk, 3);
    p->dout = random_floats(nq, 4);
    p->len = xcalloc(s->n, sizeof *p->len);
    for (uint32_t b = 0; b < s->n; b++) /* one empty, one whole */
        p->len[b] = b == 0 ? (int32_t)s->tk : b == 1 ? 0 : (int32_t)(b % s->tk);
    p->out = xcalloc(nq, sizeof(double));
    p->lse = xcalloc((size_t)s->n * s->heads * s->tq, sizeof(double));
    p->dq = xcalloc(nq, sizeof(double));
    p->dk = xcalloc(nk, sizeof(double));
    p->dv = xcalloc(nk, sizeof(double));
    reference(p);
}

static void problem_free(struct problem *p)
{
    free(p->q), free(p->k), free(p->v), free(p->dout), free(p->len);
    free(p->out), free(p->lse), free(p->dq), free(p->dk), free(p->dv);
}

/* Results on the device, dense. */
struct result {
    float *out, *lse, *dq, *dk, *dv;
};

static void result_free(struct result *r)
{
    free(r->out), free(r->lse), free(r->dq), free(r->dk), free(r->dv);
}

/* A buffer whose rows have stride ld and start at `off`, filled from dense
 * rows of w; the gaps hold NaN, which must never matter. */
static struct mohs_buffer *spread(const float *v, size_t rows, uint32_t w,
                                  size_t off, uint32_t ld)
{
    size_t n = off + rows * ld;
    float *x = xmalloc((n + 1) * sizeof *x);
    for (size_t i = 0; i < n; i++)
        x[i] = NAN;
    for (size_t i = 0; v && i < rows; i++)
        memcpy(x + off + i * ld, v + i * w, w * sizeof *x);
    struct mohs_buffer *b = device_copy(x, n * sizeof *x);
    free(x);
    return b;
}

static float *gather(struct mohs_buffer *b, size_t rows, uint32_t w, size_t off,
                     uint32_t ld)
{
    float *x = host_copy(b), *v = xmalloc((rows * w + 1) * sizeof *v);
    for (size_t i = 0; i < rows; i++)
        memcpy(v + i * w, x + off + i * ld, w * sizeof *v);
    free(x);
    return v;
}

static struct result run(const struct problem *p)
{
    const struct shape *s = &p->s;
    uint32_t w = p->w, lq = w + 3, lk = 2 * w + 16;
    size_t nq = p->tokens_q, nk = p->tokens_k;
    struct attention_grad g = {
        .fwd = { s->n, s->tq, s->tk, s->heads, s->d, s->mask,
                 1.0f / sqrtf((float)s->d), .lse_off = 2, .lengths_off = 1 },
    };
    float *kv = xmalloc(nk * 2 * w * sizeof *kv);
    for (size_t i = 0; i < nk; i++) {
        memcpy(kv + i * 2 * w, p->k + i * w, w * sizeof *kv);
        memcpy(kv + i * 2 * w + w, p->v + i * w, w * sizeof *kv);
    }
    struct attention *a = &g.fwd;
    struct mohs_buffer *bkv = spread(kv, nk, 2 * w, 5, lk);
    struct mohs_buffer *dkv = spread(NULL, nk, 2 * w, 5, lk);
    a->q = (struct attention_rows){ spread(p->q, nq, w, 1, lq), 1, lq };
    a->k = (struct attention_rows){ bkv, 5, lk };
    a->v = (struct attention_rows){ bkv, 5 + w, lk };
    a->out = (struct attention_rows){ spread(NULL, nq, w, 0, w), 0, w };
    g.dout = (struct attention_rows){ spread(p->dout, nq, w, 4, lq), 4, lq };
    g.dq = (struct attention_rows){ spread(NULL, nq, w, 7, lq), 7, lq };
    g.dk = (struct attention_rows){ dkv, 5, lk };
    g.dv = (struct attention_rows){ dkv, 5 + w, lk };
    size_t n_lse = (size_t)s->n * s->heads * s->tq;
    OK(buffer_new(c, (n_lse + 2) * 4, &a->lse, &err));
    int32_t *len = xcalloc(s->n + 1, sizeof *len);
    memcpy(len + 1, p->len, s->n * sizeof *len);
    a->lengths = device_copy(len, (s->n + 1) * sizeof *len);
    OK(attention_forward(c, a, &err));
    OK(attention_backward(c, &g, &err));
    struct result r;
    r.out = gather(a->out.buf, nq, w, 0, w);
    r.lse = gather(a->lse, 1, (uint32_t)n_lse, 2, 0);
    r.dq = gather(g.dq.buf, nq, w, 7, lq);
    r.dk = gather(dkv, nk, w, 5, lk);
    r.dv = gather(dkv, nk, w, 5 + w, lk);
    struct mohs_buffer *all[] = { a->q.buf, bkv, dkv, a->out.buf, g.dout.buf,
                                  g.dq.buf, a->lse, a->lengths };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        buffer_unref(all[i]);
    free(kv);
    free(len);
    return r;
}

static void setup_form(int i)
{
    static const char *const forms[] = { "lanes", "wide", "rows" };
    setenv("MOHS_ATTENTION", forms[i], 1);
    setup();
}

START_TEST(against_double)
{
    struct problem p;
    setup_form(_i / N_SHAPES);
    problem_make(&p, &shapes[_i % N_SHAPES]);
    struct result r = run(&p);
    size_t nq = p.tokens_q * p.w, nk = p.tokens_k * p.w;
    /* float sums of at most 200 terms: relative errors near 1e-6, squared */
    ck_assert_double_lt(nmse(r.out, p.out, nq), 1e-12);
    ck_assert_double_lt(nmse(r.lse, p.lse, (size_t)p.s.n * p.s.heads * p.s.tq),
                        1e-12);
    ck_assert_double_lt(nmse(r.dq, p.dq, nq), 1e-11);
    ck_assert_double_lt(nmse(r.dk, p.dk, nk), 1e-11);
    ck_assert_double_lt(nmse(r.dv, p.dv, nk), 1e-11);
    result_free(&r);
    problem_free(&p);
    teardown();
}
END_TEST

/* The reference's own gradient: d <dout, out> / dx by central differences. */
START_TEST(reference_gradient)
{
    struct problem p;
    struct shape s = { 2, 5, 6, 2, 3, _i };
    problem_make(&p, &s);
    p.len[1] = 3;
    reference(&p);
    float *in[] = { p.q, p.k, p.v };
    double *d[] = { p.dq, p.dk, p.dv }, h = 1.0 / 1024;
    size_t n[] = { p.tokens_q * p.w, p.tokens_k * p.w, p.tokens_k * p.w };
    for (int x = 0; x < 3; x++) {
        for (size_t i = 0; i < n[x]; i += 5) {
            float old = in[x][i];
            double f[2];
            for (int side = 0; side < 2; side++) {
                in[x][i] = old + (float)(side ? -h : h);
                reference(&p);
                f[side] = 0;
                for (size_t o = 0; o < n[0]; o++)
                    f[side] += p.out[o] * p.dout[o];
            }
            double up = old + (float)h, down = old - (float)h;
            in[x][i] = old;
            reference(&p);
            /* truncation of central differences: about h^2 */
            ck_assert_double_eq_tol(d[x][i], (f[0] - f[1]) / (up - down), 2e-5);
        }
    }
    problem_free(&p);
}
END_TEST

/* Sample 1 of 3 alone, and causal text in a longer frame: the same bits. */
START_TEST(invariance)
{
    setup_form(_i / 4);
    struct shape big = { 3, 77, 77, 2, 64, MOHS_MASK_CAUSAL }, cut = big;
    struct problem p, one;
    problem_make(&p, &big);
    cut.n = 1;
    cut.tq = cut.tk = 20 + (uint32_t)(_i % 4) * 9;
    problem_make(&one, &cut);
    size_t at = (size_t)big.tq * p.w, n = (size_t)cut.tq * p.w;
    memcpy(one.q, p.q + at, n * 4);
    memcpy(one.k, p.k + at, n * 4);
    memcpy(one.v, p.v + at, n * 4);
    memcpy(one.dout, p.dout + at, n * 4);
    /* no gradient flows from the rows that `one` does not have */
    memset(p.dout + at + n, 0, at * 4 - n * 4);
    struct result r = run(&p), r1 = run(&one);
    ck_assert_mem_eq(r1.out, r.out + at, n * 4);
    ck_assert_mem_eq(r1.dq, r.dq + at, n * 4);
    for (size_t i = 0; i < n; i++) { /* +0 and -0 are the same */
        ck_assert(r1.dk[i] == r.dk[at + i]);
        ck_assert(r1.dv[i] == r.dv[at + i]);
    }
    for (uint32_t h = 0; h < 2; h++)
        ck_assert_mem_eq(r1.lse + h * cut.tq, r.lse + (2 + h) * big.tq,
                         cut.tq * 4);
    result_free(&r);
    result_free(&r1);
    problem_free(&p);
    problem_free(&one);
    teardown();
}
END_TEST

START_TEST(faults)
{
    setup();
    struct mohs_buffer *b;
    OK(buffer_new(c, 4 * 4 * 8 * 4, &b, &err));
    struct attention_rows r = { b, 0, 8 };
    struct attention a = { 4, 4, 4, 2, 4, MOHS_MASK_NONE, 1, r, r, r, r,
                           NULL, NULL, 0, 0 };
    a.v.off = 1;
    ck_assert_int_eq(attention_forward(c, &a, &err), MOHS_E_ARG);
    ck_assert_ptr_nonnull(strstr(err.text, "attention: v:"));
    a.v = r;
    a.k.ld = 7;
    ck_assert_int_eq(attention_forward(c, &a, &err), MOHS_E_ARG);
    a.k = r;
    a.mask = MOHS_MASK_LENGTH;
    ck_assert_int_eq(attention_forward(c, &a, &err), MOHS_E_ARG);
    a.mask = MOHS_MASK_NONE;
    struct attention_grad g = { a, r, r, { 0 }, { 0 } };
    ck_assert_int_eq(attention_backward(c, &g, &err), MOHS_E_ARG);
    ck_assert_ptr_nonnull(strstr(err.text, "lse"));
    buffer_unref(b);
    teardown();
}
END_TEST

int main(void)
{
    int no = need_device();
    if (no)
        return no;
    Suite *s = suite_create("attention");
    TCase *t = tcase_create("attention");
    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, against_double, 0, 3 * N_SHAPES);
    tcase_add_loop_test(t, reference_gradient, MOHS_MASK_NONE,
                        MOHS_MASK_LAST + 1);
    tcase_add_loop_test(t, invariance, 0, 12);
    tcase_add_test(t, faults);
    suite_add_tcase(s, t);
    return run_suite(s);
}
