/* SPDX-License-Identifier: MIT */
/* Shared by the tests of the compute room: one device per checked fixture,
 * reproducible data, comparison against doubles. */
#ifndef TESTS_COMPUTE_TEST_H
#define TESTS_COMPUTE_TEST_H

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <mohs/rng.h>

#include "compute/compute_impl.h"

static struct compute *c;
static struct mohs_error err = MOHS_ERROR_INIT;

#define OK(expr) \
    ck_assert_msg((expr) >= 0, "%s:%d: %s", __FILE__, __LINE__, err.text)

static inline void setup(void)
{
    OK(compute_open(getenv("MOHS_DEVICE"), &c, &err));
}

static inline void teardown(void)
{
    compute_close(c);
    c = NULL;
}

/* n standard normal numbers of stream `key`. */
static inline float *random_floats(size_t n, uint64_t key)
{
    float *v = xmalloc((n ? n : 1) * sizeof *v);
    for (size_t i = 0; i < n; i++)
        v[i] = mohs_rng_normal(1, key, i);
    return v;
}

static inline struct mohs_buffer *device_copy(const void *v, size_t bytes)
{
    struct mohs_buffer *b;
    OK(buffer_new(c, bytes, &b, &err));
    OK(buffer_write(b, 0, v, bytes, &err));
    return b;
}

static inline float *host_copy(struct mohs_buffer *b)
{
    float *v = xmalloc(buffer_bytes(b) + 1);
    OK(buffer_read(b, 0, v, buffer_bytes(b), &err));
    return v;
}

/* Sum of squared differences over sum of squares. */
static inline double nmse(const float *got, const double *want, size_t n)
{
    double e = 0, s = 0;
    for (size_t i = 0; i < n; i++) {
        e += (got[i] - want[i]) * (got[i] - want[i]);
        s += want[i] * want[i];
    }
    return s > 0 ? e / s : e;
}

/* 0 to go on, else main's return value: no device is a skip unless
 * MOHS_REQUIRE_CL=1. */
static inline int need_device(void)
{
    struct device_report *r;
    size_t n;
    bool any = false;
    if (compute_probe(&r, &n, &err) >= 0) {
        for (size_t i = 0; i < n; i++)
            any |= r[i].usable;
        free(r);
    }
    const char *must = getenv("MOHS_REQUIRE_CL");
    return any ? 0 : must && *must == '1' ? EXIT_FAILURE : 77;
}

static inline int run_suite(Suite *s)
{
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int f = srunner_ntests_failed(r);
    srunner_free(r);
    return f ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif
