/* SPDX-License-Identifier: MIT */
/*
 * The functions that common.cl gives every kernel: errors against double as
 * stated there, the same bits for float and float16, special values,
 * derivatives by finite differences, and transpose16.
 */
#include "config.h"

#include "unit/compute_test.h"

#include <mohs/ext/graph.h>

static const char *src_text =
    "kernel __attribute__((reqd_work_group_size(1, 1, 1)))\n"
    "void run(global const float *x, global float *y, uint n, int what,\n"
    "         int act)\n"
    "{\n"
    "    size_t i = get_global_id(0) * 16;\n"
    "    float16 v = vload16(0, x + i), w = v;\n"
    "    float t[16], u[16];\n"
    "    vstore16(v, 0, t);\n"
    "    v = what == 0 ? exp16(v) : what == 1 ? erf16(v) : what == 2 ?\n"
    "        tanh16(v) : what == 3 ? act16(act, v) : act_grad16(act, v);\n"
    "    vstore16(v, 0, y + i);\n"
    "    for (int j = 0; j < 16; j++)\n"
    "        y[n + i + j] = what == 0 ? exp1(t[j]) : what == 1 ? erf1(t[j]) :\n"
    "            what == 2 ? tanh1(t[j]) : what == 3 ? act1(act, t[j]) :\n"
    "            act_grad1(act, t[j]);\n"
    "}\n"
    "kernel __attribute__((reqd_work_group_size(1, 1, 1)))\n"
    "void turn(global const float *x, global float *y)\n"
    "{\n"
    "    float16 r[16];\n"
    "    for (int i = 0; i < 16; i++)\n"
    "        r[i] = vload16(i, x);\n"
    "    transpose16(r);\n"
    "    for (int i = 0; i < 16; i++)\n"
    "        vstore16(r[i], i, y);\n"
    "}\n";

enum { EXP, ERF, TANH, ACT, ACT_GRAD };

/* The program: common.cl in front, as program_core does. */
static struct mohs_program *program(void)
{
    const char *common;
    size_t n;
    struct mohs_program *p;
    struct str s = { 0 };
    ck_assert(kernel_source("common", &common, &n));
    str_addn(&s, common, n);
    str_add(&s, src_text);
    OK(program_get(c, "math test", s.s, s.n, NULL, &p, &err));
    str_free(&s);
    return p;
}

/* f of n values (a multiple of 16), float16 form; checks that the float form
 * has the same bits. */
static float *eval(const float *x, uint32_t n, int what, int act)
{
    struct mohs_buffer *bx = device_copy(x, n * 4), *by;
    OK(buffer_new(c, n * 8, &by, &err));
    struct mohs_arg args[] = { mohs_arg_buffer(bx), mohs_arg_buffer(by),
                               mohs_arg_u32(n), mohs_arg_i32(what),
                               mohs_arg_i32(act) };
    size_t global = n / 16;
    OK(kernel_run(c, program(), "run", 1, &global, NULL, args, 5, &err));
    float *y = host_copy(by);
    for (uint32_t i = 0; i < n; i++)
        ck_assert_msg(y[i] == y[n + i] || (y[i] != y[i] && y[n + i] != y[n + i]),
                      "what %d act %d at %a: %a and %a", what, act, x[i], y[i],
                      y[n + i]);
    buffer_unref(bx);
    buffer_unref(by);
    return y;
}

static double ref(int what, double x)
{
    return what == EXP ? exp(x) : what == ERF ? erf(x) : tanh(x);
}

START_TEST(errors)
{
    static const struct {
        float from, to;
        double bound;
    } range[] = { { -87.3f, 88.7f, 1.5e-7 }, { -5, 5, 1.2e-7 }, { -10, 10, 2.5e-7 } };
    enum { N = 1 << 16 };
    float *x = xmalloc(N * sizeof *x);
    for (uint32_t i = 0; i < N; i++) {
        float u = mohs_rng_uniform(1, 7, i);
        x[i] = range[_i].from + u * (range[_i].to - range[_i].from);
        if (i % 4 == 0) /* also tiny ones */
            x[i] *= ldexpf(1, -(int)(i / 4 % 60));
    }
    float *y = eval(x, N, _i, 0);
    double worst = 0;
    for (uint32_t i = 0; i < N; i++) {
        double w = ref(_i, x[i]);
        worst = fmax(worst, fabs(y[i] - w) / fabs(w));
    }
    ck_assert_double_lt(worst, range[_i].bound);
    free(x);
    free(y);
}
END_TEST

START_TEST(special_values)
{
    static const float x[16] = { 0.0f, -0.0f, INFINITY, -INFINITY, NAN, 88.8f,
                                 -87.4f, -200, 1e30f, -1e30f, 1e-30f, 4, -4, 1,
                                 -1, 88.7f };
    float *e = eval(x, 16, EXP, 0), *f = eval(x, 16, ERF, 0);
    float *t = eval(x, 16, TANH, 0), *r = eval(x, 16, ACT, MOHS_ACT_RELU);
    ck_assert(e[0] == 1 && e[1] == 1 && isinf(e[2]) && e[3] == 0);
    ck_assert(isnan(e[4]) && isinf(e[5]) && e[6] == 0 && e[7] == 0);
    ck_assert(isinf(e[8]) && e[9] == 0 && e[10] == 1 && isfinite(e[15]));
    for (int o = 0; o < 2; o++) {
        float *y = o ? t : f;
        ck_assert(y[0] == 0 && y[1] == 0 && signbit(y[1]));
        ck_assert(y[2] == 1 && y[3] == -1 && isnan(y[4]));
        ck_assert(y[8] == 1 && y[9] == -1 && y[10] >= 1e-30f && y[10] < 2e-30f);
        ck_assert(y[11] == -y[12] && y[13] == -y[14]);
    }
    ck_assert(isnan(r[4]) && r[3] == 0 && r[11] == 4); /* NaN is not hidden */
    free(e), free(f), free(t), free(r);
}
END_TEST

/* act_grad against central differences of act in double steps. */
START_TEST(derivatives)
{
    enum { N = 512 };
    const float h = 1.0f / 64;
    float x[N], up[N], down[N];
    for (int i = 0; i < N; i++) {
        x[i] = -6 + 12 * (i + 0.5f) / N;
        up[i] = x[i] + h;
        down[i] = x[i] - h;
    }
    float *g = eval(x, N, ACT_GRAD, _i), *a = eval(up, N, ACT, _i);
    float *b = eval(down, N, ACT, _i);
    for (int i = 0; i < N; i++) {
        if (_i == MOHS_ACT_RELU && fabsf(x[i]) < h)
            continue; /* the kink */
        /* h^2 f''' / 6 < 1.2e-4 for all of them, rounding 6e-7 / 2h */
        ck_assert_float_eq_tol(g[i], (a[i] - b[i]) / (up[i] - down[i]), 2e-4);
    }
    free(g), free(a), free(b);
}
END_TEST

START_TEST(transpose)
{
    float x[256];
    for (int i = 0; i < 256; i++)
        x[i] = (float)i;
    struct mohs_buffer *bx = device_copy(x, sizeof x), *by;
    OK(buffer_new(c, sizeof x, &by, &err));
    struct mohs_arg args[] = { mohs_arg_buffer(bx), mohs_arg_buffer(by) };
    size_t one = 1;
    OK(kernel_run(c, program(), "turn", 1, &one, NULL, args, 2, &err));
    float *y = host_copy(by);
    for (int i = 0; i < 256; i++)
        ck_assert(y[i] == (float)(i % 16 * 16 + i / 16));
    free(y);
    buffer_unref(bx);
    buffer_unref(by);
}
END_TEST

int main(void)
{
    int no = need_device();
    if (no)
        return no;
    Suite *s = suite_create("compute math");
    TCase *t = tcase_create("math");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, errors, EXP, TANH + 1);
    tcase_add_test(t, special_values);
    tcase_add_loop_test(t, derivatives, 0, MOHS_ACT_TANH + 1);
    tcase_add_test(t, transpose);
    suite_add_tcase(s, t);
    return run_suite(s);
}
