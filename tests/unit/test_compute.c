/* SPDX-License-Identifier: MIT */
/* Devices, buffers, windows, programs and their disk cache, launches, and
 * the device's random numbers against the host's. */
#include "config.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <mohs/rng.h>

#include "compute/compute_impl.h"

static struct compute *c;
static struct mohs_error err = MOHS_ERROR_INIT;

#define OK(expr) \
    ck_assert_msg((expr) >= 0, "%s:%d: %s", __FILE__, __LINE__, err.text)

static void setup(void)
{
    OK(compute_open(getenv("MOHS_DEVICE"), &c, &err));
}

static void teardown(void)
{
    compute_close(c);
    c = NULL;
}

START_TEST(probe_list)
{
    struct device_report *r;
    size_t n;
    OK(compute_probe(&r, &n, &err));
    bool usable = false;
    for (size_t i = 0; i < n; i++) {
        usable |= r[i].usable;
        ck_assert(r[i].usable || *r[i].problem);
        ck_assert(*r[i].name);
    }
    ck_assert(usable);
    free(r);
}
END_TEST

START_TEST(open_choices)
{
    struct compute *d;
    ck_assert_int_eq(compute_open("no such device", &d, &err), MOHS_E_DEVICE);
    ck_assert_ptr_nonnull(strstr(err.text, "no such device"));
    ck_assert_int_eq(compute_open("99", &d, &err), MOHS_E_DEVICE);
    ck_assert_ptr_null(d);
    ck_assert_uint_eq(strlen(compute_fingerprint(c)), 32);
    ck_assert_uint_gt(compute_device(c)->units, 0);
    /* its own name finds it, whatever the case */
    char name[64];
    snprintf(name, sizeof name, "%.60s", compute_device(c)->name);
    for (char *s = name; *s; s++)
        *s = *s >= 'a' && *s <= 'z' ? (char)(*s - 32) : *s;
    OK(compute_open(name, &d, &err));
    ck_assert_str_eq(compute_fingerprint(d), compute_fingerprint(c));
    compute_close(d);
}
END_TEST

START_TEST(open_after_fork)
{
    pid_t pid = fork();
    if (!pid) {
        struct compute *d;
        alarm(20);
        bool good = compute_open(NULL, &d, &err) == MOHS_E_DEVICE &&
                    strstr(err.text, "fork");
        _exit(good ? 0 : 1);
    }
    int st;
    ck_assert_int_eq(waitpid(pid, &st, 0), pid);
    ck_assert(WIFEXITED(st) && WEXITSTATUS(st) == 0);
}
END_TEST

START_TEST(buffers)
{
    uint64_t now0, now, peak;
    compute_memory(c, &now0, NULL);
    struct mohs_buffer *a, *b, *w, *w2;
    OK(buffer_new(c, 4096, &a, &err));
    OK(buffer_new(c, 0, &b, &err));
    compute_memory(c, &now, &peak);
    ck_assert_uint_eq(now - now0, 4096);
    ck_assert_uint_ge(peak, now);
    uint32_t v[1024], got[1024];
    for (uint32_t i = 0; i < 1024; i++)
        v[i] = i * 7;
    OK(buffer_write(a, 0, v, sizeof v, &err));
    OK(buffer_sub(a, 512, 1024, &w, &err));
    OK(buffer_sub(w, 512, 128, &w2, &err));
    ck_assert_uint_eq(buffer_bytes(w), 1024);
    OK(buffer_read(w, 4, got, 16, &err));
    ck_assert_mem_eq(got, v + 129, 16);
    OK(buffer_read(w2, 0, got, 128, &err));
    ck_assert_mem_eq(got, v + 256, 128);
    /* a write through the window of the window is seen by the whole */
    OK(buffer_fill(w2, 4, 0xdeadbeef, 8, &err));
    OK(buffer_read(a, 1024, got, 16, &err));
    ck_assert_uint_eq(got[0], v[256]);
    ck_assert_uint_eq(got[1], 0xdeadbeef);
    ck_assert_uint_eq(got[2], 0xdeadbeef);
    ck_assert_uint_eq(got[3], v[259]);
    OK(buffer_copy(a, 1024, a, 0, 12, &err));
    OK(buffer_read(a, 0, got, 16, &err));
    ck_assert_uint_eq(got[1], 0xdeadbeef);
    ck_assert_uint_eq(got[3], v[3]);
    /* the window keeps the parent */
    buffer_unref(w2);
    buffer_unref(a);
    OK(buffer_read(w, 0, got, 4, &err));
    ck_assert_uint_eq(got[0], v[128]);
    compute_memory(c, &now, NULL);
    ck_assert_uint_eq(now - now0, 4096);
    buffer_unref(w);
    buffer_unref(b);
    buffer_unref(NULL);
    compute_memory(c, &now, NULL);
    ck_assert_uint_eq(now, now0);
}
END_TEST

START_TEST(buffer_faults)
{
    struct mohs_buffer *a, *w;
    char x[64] = { 0 };
    OK(buffer_new(c, 256, &a, &err));
    ck_assert_int_eq(buffer_write(a, 200, x, 57, &err), MOHS_E_ARG);
    ck_assert_int_eq(buffer_read(a, SIZE_MAX, x, 2, &err), MOHS_E_ARG);
    ck_assert_int_eq(buffer_fill(a, 2, 0, 4, &err), MOHS_E_ARG);
    ck_assert_int_eq(buffer_copy(a, 0, a, 255, 2, &err), MOHS_E_ARG);
    ck_assert_int_eq(buffer_sub(a, 64, 64, &w, &err), MOHS_E_ARG);
    ck_assert_int_eq(buffer_sub(a, 128, 129, &w, &err), MOHS_E_ARG);
    ck_assert_ptr_null(w);
    ck_assert_int_eq(buffer_new(c, SIZE_MAX / 2, &w, &err), MOHS_E_NOMEM);
    buffer_unref(a);
}
END_TEST

static const char *scale_src =
    "kernel void scale(global float *x, float f, uint n, local float *tmp)\n"
    "{ uint i = get_global_id(0); tmp[get_local_id(0)] = f;\n"
    "  if (i < n) x[i] *= tmp[get_local_id(0)] + OFFSET; }\n";

static void run_scale(const char *options, float want)
{
    struct mohs_program *p;
    struct mohs_buffer *b;
    float v[8] = { 0, 1, 2, 3, 4, 5, 6, 7 };
    OK(program_get(c, "scale test", scale_src, 0, options, &p, &err));
    OK(buffer_new(c, sizeof v, &b, &err));
    OK(buffer_write(b, 0, v, sizeof v, &err));
    struct mohs_arg args[] = { mohs_arg_buffer(b), mohs_arg_f32(2.0f),
                               mohs_arg_u32(6), mohs_arg_local(32) };
    size_t global = 8, local = 8;
    OK(kernel_run(c, p, "scale", 1, &global, &local, args, 4, &err));
    OK(compute_finish(c, &err));
    OK(buffer_read(b, 0, v, sizeof v, &err));
    ck_assert_float_eq(v[5], 5 * want);
    ck_assert_float_eq(v[6], 6);
    buffer_unref(b);
}

START_TEST(launch)
{
    run_scale("-DOFFSET=1", 3);
    run_scale("-DOFFSET=2", 4); /* other options are another program */
    struct mohs_program *p, *p2;
    OK(program_get(c, "scale test", scale_src, 0, "-DOFFSET=1", &p, &err));
    OK(program_get(c, "other name", scale_src, strlen(scale_src), "-DOFFSET=1",
                   &p2, &err));
    size_t one = 1;
    struct mohs_arg args[] = { mohs_arg_f32(1) };
    ck_assert_int_eq(kernel_run(c, p, "scale", 1, &one, NULL, args, 1, &err),
                     MOHS_E_ARG);
    ck_assert_ptr_nonnull(strstr(err.text, "scale test"));
    ck_assert_int_eq(kernel_run(c, p, "nothing", 1, &one, NULL, args, 1, &err),
                     MOHS_E_DEVICE);
    ck_assert_ptr_nonnull(strstr(err.text, "CL_INVALID_KERNEL_NAME"));
    struct mohs_arg bad[] = { mohs_arg_f32(1), mohs_arg_f32(1),
                              { MOHS_ARG_VALUE, 9, NULL, 0 },
                              mohs_arg_local(4) };
    ck_assert_int_lt(kernel_run(c, p, "scale", 1, &one, NULL, bad, 4, &err), 0);
    ck_assert_ptr_nonnull(strstr(err.text, "argument 0"));
    ck_assert_int_lt(program_core(c, "no_such_file", NULL, &p, &err), 0);
    ck_assert_ptr_nonnull(strstr(err.text, "no_such_file"));
}
END_TEST

START_TEST(broken_source)
{
    struct mohs_program *p;
    for (int i = 0; i < 2; i++) { /* a failed build is never stored */
        ck_assert_int_eq(program_get(c, "broken", "kernel void k(int) { x }", 0,
                                     NULL, &p, &err), MOHS_E_DEVICE);
        ck_assert_ptr_nonnull(strstr(err.text, "program broken"));
        ck_assert_ptr_nonnull(strstr(err.text, "CL_BUILD_PROGRAM_FAILURE"));
    }
    ck_assert_uint_eq(c->cache_stores, 0);
    ck_assert_uint_eq(c->cache_hits, 0);
}
END_TEST

/* The disk cache: stored, found by a new context, damaged in each part,
 * rebuilt. */
START_TEST(disk_cache)
{
    char options[64];
    snprintf(options, sizeof options, "-DOFFSET=1 -DUNIQUE=%d%ld", _i,
             (long)getpid());
    run_scale(options, 3);
    ck_assert_uint_eq(c->cache_stores, 1);
    struct hash128 key = c->programs->key;
    char *path = program_cache_path(key), *data;
    size_t n;
    OK(file_read(path, 0, &data, &n, &err));
    teardown();
    setup();
    run_scale(options, 3);
    ck_assert_uint_eq(c->cache_hits, 1);
    ck_assert_uint_eq(c->cache_stores, 0);
    ck_assert(c->programs->from_disk);
    teardown();
    /* damage it: magic, length, checksum, payload, cut short, empty */
    size_t at[] = { 0, 8, 16, n - 1 };
    size_t cut = _i < 4 ? n : _i == 4 ? n / 2 : 0;
    if (_i < 4)
        data[at[_i]] ^= 1;
    OK(file_write(path, data, cut, &err));
    setup();
    run_scale(options, 3);
    ck_assert_uint_eq(c->cache_hits, 0);
    ck_assert_uint_eq(c->cache_stores, 1);
    unlink(path);
    free(data);
    free(path);
}
END_TEST

static const char *rng_src =
    "kernel void draw(global uint *u, global float *f, ulong seed, ulong key)\n"
    "{ size_t i = get_global_id(0); ulong at = i * 0x123456789ul;\n"
    "  u[i * 4] = mohs_rng_u32(seed, key, i);\n"
    "  u[i * 4 + 1] = mohs_rng_below(seed, key, at, 1000003);\n"
    "  ulong s = mohs_rng_fork(seed, i); u[i * 4 + 2] = (uint)s;\n"
    "  u[i * 4 + 3] = (uint)(s >> 32);\n"
    "  f[i * 2] = mohs_rng_uniform(seed, key, at);\n"
    "  f[i * 2 + 1] = mohs_rng_normal(seed, key, i); }\n";

START_TEST(rng)
{
    enum { N = 20000 };
    uint64_t seed = 0x0123456789abcdefu, key = 0xfedcba9876543210u;
    struct mohs_program *p;
    struct mohs_buffer *bu, *bf;
    uint32_t *u = xmalloc(N * 4 * sizeof *u);
    float *f = xmalloc(N * 2 * sizeof *f);
    OK(program_get(c, "rng test", rng_src, 0, NULL, &p, &err));
    OK(buffer_new(c, N * 16, &bu, &err));
    OK(buffer_new(c, N * 8, &bf, &err));
    struct mohs_arg args[] = { mohs_arg_buffer(bu), mohs_arg_buffer(bf),
                               mohs_arg_u64(seed), mohs_arg_u64(key) };
    size_t global = N;
    OK(kernel_run(c, p, "draw", 1, &global, NULL, args, 4, &err));
    OK(buffer_read(bu, 0, u, N * 16, &err));
    OK(buffer_read(bf, 0, f, N * 8, &err));
    for (uint32_t i = 0; i < N; i++) {
        uint64_t at = i * 0x123456789u, s = mohs_rng_fork(seed, i);
        ck_assert_uint_eq(u[i * 4], mohs_rng_u32(seed, key, i));
        ck_assert_uint_eq(u[i * 4 + 1], mohs_rng_below(seed, key, at, 1000003));
        ck_assert_uint_eq(u[i * 4 + 2] | (uint64_t)u[i * 4 + 3] << 32, s);
        ck_assert(f[i * 2] == mohs_rng_uniform(seed, key, at));
        /* float against double Box-Muller: log(u) near u = 1 loses most */
        float z = mohs_rng_normal(seed, key, i);
        ck_assert_float_eq_tol(f[i * 2 + 1], z, 4e-6f + 1e-6f * fabsf(z));
    }
    buffer_unref(bu);
    buffer_unref(bf);
    free(u);
    free(f);
}
END_TEST

/* No contraction: a * b + c is two roundings in the core's kernels. */
START_TEST(no_contraction)
{
    static const char *src =
        "kernel void k(global float *x) { x[3] = x[0] * x[1] + x[2]; }\n";
    struct mohs_program *p;
    struct mohs_buffer *b;
    volatile float v[4] = { 1.0f + 0x1p-12f, 1.0f + 0x1p-12f, -1.0f, 0 };
    float got[4];
    volatile float prod = v[0] * v[1];
    OK(program_get(c, "contraction", src, 0, NULL, &p, &err));
    OK(buffer_new(c, sizeof got, &b, &err));
    for (int i = 0; i < 4; i++)
        got[i] = v[i];
    OK(buffer_write(b, 0, got, sizeof got, &err));
    struct mohs_arg args[] = { mohs_arg_buffer(b) };
    size_t one = 1;
    OK(kernel_run(c, p, "k", 1, &one, &one, args, 1, &err));
    OK(buffer_read(b, 0, got, sizeof got, &err));
    ck_assert_float_eq(got[3], prod + v[2]);
    ck_assert_float_ne(got[3], fmaf(v[0], v[1], v[2]));
    buffer_unref(b);
}
END_TEST

static struct compute *host_compute(const struct mohs_host *host)
{
    return host->ctx;
}

START_TEST(plugin_api)
{
    struct mohs_host host = { .size = sizeof host, .ctx = c };
    const struct mohs_compute_api *api = &compute_api;
    struct mohs_buffer *b;
    compute_of_host = NULL;
    ck_assert_int_eq(api->buffer_new(&host, 4, &b, &err), MOHS_E_DEVICE);
    ck_assert_ptr_null(api->device(&host));
    compute_of_host = host_compute;
    ck_assert_ptr_eq(api->device(&host), compute_device(c));
    OK(api->buffer_new(&host, 16, &b, &err));
    struct mohs_program *p;
    OK(api->program(&host, "rng test", rng_src, 0, NULL, &p, &err));
    OK(api->finish(&host, &err));
    api->buffer_unref(b);
    compute_of_host = NULL;
}
END_TEST

/* A buffer may outlive compute_close. */
START_TEST(late_buffer)
{
    struct compute *d;
    struct mohs_buffer *b;
    OK(compute_open(getenv("MOHS_DEVICE"), &d, &err));
    OK(buffer_new(d, 64, &b, &err));
    compute_close(d);
    buffer_unref(b);
}
END_TEST

static bool have_device(void)
{
    struct device_report *r;
    size_t n;
    bool any = false;
    if (compute_probe(&r, &n, &err) < 0)
        return false;
    for (size_t i = 0; i < n; i++)
        any |= r[i].usable;
    free(r);
    return any;
}

int main(void)
{
    if (!have_device()) {
        const char *must = getenv("MOHS_REQUIRE_CL");
        return must && *must == '1' ? EXIT_FAILURE : 77;
    }
    Suite *s = suite_create("compute");
    TCase *t = tcase_create("compute");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, probe_list);
    tcase_add_test(t, open_choices);
    tcase_add_test(t, open_after_fork);
    tcase_add_test(t, buffers);
    tcase_add_test(t, buffer_faults);
    tcase_add_test(t, launch);
    tcase_add_test(t, broken_source);
    tcase_add_loop_test(t, disk_cache, 0, 6);
    tcase_add_test(t, rng);
    tcase_add_test(t, no_contraction);
    tcase_add_test(t, plugin_api);
    tcase_add_test(t, late_buffer);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int f = srunner_ntests_failed(r);
    srunner_free(r);
    return f ? EXIT_FAILURE : EXIT_SUCCESS;
}
