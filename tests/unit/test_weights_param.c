/* SPDX-License-Identifier: MIT */
/*
 * Parameters read from checkpoints that fuse, turn or rename them, and what
 * is said when they do not fit.
 */
#include "config.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "model/model.h"

static struct mohs_weights *w;

/* Element i of a tensor is its index: what is read says where it was. */
static void put(const char *name, uint32_t n_dims, const uint32_t *dims)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    uint64_t n = 1;
    for (uint32_t i = 0; i < n_dims; i++)
        n *= dims[i];
    float *x = xcalloc((size_t)n, sizeof *x);
    for (uint64_t i = 0; i < n; i++)
        x[i] = (float)i;
    ck_assert_msg(weights_put(w, name, n_dims, dims, x, &e) >= 0, "%s", e.text);
    free(x);
}

static void setup(void)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    ck_assert_int_ge(weights_new("{}", NULL, NULL, &w, &e), 0);
    put("in_proj", 2, (uint32_t[]) { 6, 3 });
    put("in_bias", 1, (uint32_t[]) { 6 });
    put("proj", 2, (uint32_t[]) { 3, 400 });
    put("cls", 3, (uint32_t[]) { 1, 1, 5 });
    put("scale", 1, (uint32_t[]) { 1 });
}

static void teardown(void)
{
    weights_close(w);
}

static struct mohs_weight_spec spec(const char *source, uint32_t n, uint32_t d0,
                                    uint32_t d1)
{
    return (struct mohs_weight_spec) {
        .size = sizeof(struct mohs_weight_spec),
        .name = "parameter",
        .n_dims = n,
        .dims = { d0, d1 },
        .source = source,
    };
}

static void read_ok(const struct mohs_weight_spec *s, float *x)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    ck_assert_msg(weights_fits(w, s, &e) >= 0, "%s", e.text);
    ck_assert_msg(weights_read_param(w, s, x, &e) >= 0, "%s", e.text);
}

START_TEST(test_rows)
{
    float x[6];
    for (uint32_t part = 0; part < 3; part++) {
        struct mohs_weight_spec s = spec("in_proj", 2, 2, 3);
        s.source_rows = 6;
        s.source_first = 2 * part;
        read_ok(&s, x);
        for (uint32_t i = 0; i < 6; i++)
            ck_assert_float_eq(x[i], (float)(6 * part + i));
        s = spec("in_bias", 1, 2, 0);
        s.source_rows = 6;
        s.source_first = 2 * part;
        read_ok(&s, x);
        ck_assert_float_eq(x[1], (float)(2 * part + 1));
    }
}
END_TEST

START_TEST(test_transposed)
{
    float x[1200];
    struct mohs_weight_spec s = spec("proj", 2, 400, 3);
    s.source_flags = MOHS_SOURCE_TRANSPOSED;
    read_ok(&s, x);
    for (uint32_t i = 0; i < 400; i++)
        for (uint32_t j = 0; j < 3; j++)
            ck_assert_float_eq(x[3 * i + j], (float)(400 * j + i));
    s.dims[0] = 7; // rows 390..396 of the turned matrix
    s.source_rows = 400;
    s.source_first = 390;
    read_ok(&s, x);
    for (uint32_t i = 0; i < 7; i++)
        for (uint32_t j = 0; j < 3; j++)
            ck_assert_float_eq(x[3 * i + j], (float)(400 * j + 390 + i));
}
END_TEST

START_TEST(test_ones)
{
    float x[5];
    struct mohs_weight_spec s = spec("cls", 1, 5, 0);
    read_ok(&s, x);
    ck_assert_float_eq(x[4], 4);
    s = spec("scale", 0, 0, 0);
    read_ok(&s, x);
    s.name = "scale";
    s.size = offsetof(struct mohs_weight_spec, source); // an older plugin's
    s.source = (const char *)1;
    read_ok(&s, x);
}
END_TEST

static const struct {
    const char *source;
    uint32_t n, d0, d1, rows, first, flags;
    const char *text;
} wrong[] = {
    { "none", 1, 5, 0, 0, 0, 0, "no tensor none" },
    { NULL, 1, 5, 0, 0, 0, 0, "no tensor parameter" },
    { "in_proj", 2, 2, 3, 0, 0, 0, "in_proj is [6x3], the config says [2x3]" },
    { "in_proj", 2, 2, 3, 6, 5, 0, "make no sense" },
    { "in_proj", 2, 2, 3, 6, UINT32_MAX, 0, "make no sense" },
    { "in_proj", 2, 2, 3, 1, 0, 0, "make no sense" },
    { "in_proj", 2, 6, 3, 0, 0, 2, "make no sense" },
    { "in_bias", 1, 6, 0, 0, 0, MOHS_SOURCE_TRANSPOSED, "make no sense" },
    { "proj", 2, 3, 400, 0, 0, MOHS_SOURCE_TRANSPOSED, "proj is [3x400]" },
};

START_TEST(test_wrong)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    struct mohs_weight_spec s = spec(wrong[_i].source, wrong[_i].n, wrong[_i].d0,
                                     wrong[_i].d1);
    float x[1200];
    s.source_rows = wrong[_i].rows;
    s.source_first = wrong[_i].first;
    s.source_flags = wrong[_i].flags;
    ck_assert_int_lt(weights_fits(w, &s, &e), 0);
    ck_assert_msg(strstr(e.text, wrong[_i].text) != NULL, "%s", e.text);
    ck_assert_int_lt(weights_read_param(w, &s, x, &e), 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("weights_param");
    TCase *tc = tcase_create("param");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_rows);
    tcase_add_test(tc, test_transposed);
    tcase_add_test(tc, test_ones);
    tcase_add_loop_test(tc, test_wrong, 0, sizeof wrong / sizeof *wrong);
    suite_add_tcase(s, tc);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
