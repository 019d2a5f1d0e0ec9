/* SPDX-License-Identifier: MIT */
/*
 * The metrics zeroshot and factors: rows and values against brute force
 * (golden/zeroshot.py), ties by the numbers, more images than one tile,
 * weights against repeated rows, factors by hand, and bad input.
 */
#include "config.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <mohs/metric.h>
#include <mohs/rng.h>

#include "golden/zeroshot.h"
#include "plugin/registry.h"

enum { N_GOLDEN = sizeof golden / sizeof *golden, VALUES = 5 };
/* label, predicted, then what golden rows have */
enum { LABEL, PREDICTED, HIT1, COLUMNS = 7 };

static struct registry *reg;
static const struct mohs_metric_ops *ops;
static void *self;
static struct mohs_error err = MOHS_ERROR_INIT;

#define OK(expr) ck_assert_msg((expr) >= 0, "%s", err.text)

static mohs_status open_with(const char *id, const char *param, const char *value)
{
    const struct item *it;
    OK(registry_find(reg, MOHS_KIND_METRIC, id, &it, &err));
    void *params = item_params_new(it);
    if (param)
        OK(item_param_set_text(it, params, param, value, &err));
    ops = it->item->ops;
    mohs_status st = ops->create(registry_host(reg), params, &self, &err);
    item_params_free(it, params);
    return st;
}

static void setup(void)
{
    struct registry_options o = { 0 };
    OK(registry_open_file(&o, BUILDDIR "/plugins/metrics/zeroshot/.libs/zeroshot.so",
                          &reg, &err));
    OK(open_with("zeroshot", NULL, NULL));
}

static void teardown(void)
{
    if (self)
        ops->destroy(self);
    registry_close(reg);
}

/* ---- a task ---- */

struct task {
    struct mohs_eval e;
    const float *table;
    float (*score)(uint32_t i, uint32_t t);
};

static mohs_status similarity(const struct mohs_eval *e, uint32_t i0, uint32_t i1,
                              uint32_t t0, uint32_t t1, float *out,
                              struct mohs_error *er)
{
    struct task *k = e->ctx;
    (void)er;
    for (uint32_t i = i0; i < i1; i++)
        for (uint32_t t = t0; t < t1; t++)
            *out++ = k->table ? k->table[(size_t)i * e->n_texts + t] : k->score(i, t);
    return MOHS_OK;
}

static mohs_status alloc(struct mohs_samples *s, uint32_t n_rows, uint32_t n_clusters,
                         struct mohs_error *er)
{
    (void)er;
    s->value = xcalloc((size_t)n_rows * s->n_columns, sizeof *s->value);
    s->cluster = xcalloc(n_rows, sizeof *s->cluster);
    s->n_rows = n_rows;
    s->n_clusters = n_clusters;
    return MOHS_OK;
}

static mohs_status measure(struct task *k, struct mohs_samples *s)
{
    k->e.size = sizeof k->e;
    k->e.ctx = k;
    k->e.similarity = similarity;
    *s = (struct mohs_samples) { .size = sizeof *s, .alloc = alloc };
    ops->columns(self, &s->n_columns);
    return ops->measure(self, &k->e, s, &err);
}

static void samples_free(struct mohs_samples *s)
{
    free(s->value);
    free(s->cluster);
}

static struct task task_of(const struct golden *g)
{
    return (struct task) { .e = { .n_images = g->n_images, .n_texts = g->n_classes,
                                  .label = g->labels,
                                  .logit_scale = GOLDEN_SCALE_X2 / 2.0f },
                           .table = g->scores };
}

static void near(double have, double want, const char *name, uint32_t at)
{
    // exponentials of float scores, in double on both sides
    ck_assert_msg((isnan(have) && isnan(want)) ||
                      fabs(have - want) <= 1e-9 * fmax(1, fabs(want)),
                  "%s: number %u is %.17g, not %.17g", name, at, have, want);
}

/* ---- zeroshot ---- */

START_TEST(names)
{
    static const char *const column[] = { "label", "predicted", "hit@1", "hit@5",
                                          "confidence", "probability", "margin" };
    static const char *const value[] = { "top1", "top5", "balanced_accuracy",
                                         "confidence", "margin" };
    uint32_t n;
    const char *const *c = ops->columns(self, &n);
    ck_assert_uint_eq(n, COLUMNS);
    for (uint32_t i = 0; i < n; i++)
        ck_assert_str_eq(c[i], column[i]);
    const struct mohs_value *v = ops->values(self, &n);
    ck_assert_uint_eq(n, VALUES);
    for (uint32_t i = 0; i < n; i++)
        ck_assert_str_eq(v[i].name, value[i]);
}
END_TEST

START_TEST(equals_brute_force)
{
    const struct golden *g = &golden[_i];
    struct task k = task_of(g);
    struct mohs_samples s;
    double out[VALUES];
    OK(measure(&k, &s));
    ck_assert_uint_eq(s.n_rows, g->n_images);
    ck_assert_uint_eq(s.n_clusters, g->n_images);
    for (uint32_t i = 0; i < g->n_images; i++) {
        const double *row = s.value + (size_t)i * COLUMNS;
        for (uint32_t c = 0; c < 5; c++)
            near(row[HIT1 + c], g->rows[i * 5 + c], g->name, i * 5 + c);
        uint32_t p = (uint32_t)row[PREDICTED];
        ck_assert(p < g->n_classes);
        for (uint32_t j = 0; j < g->n_classes; j++)
            ck_assert(g->scores[i * g->n_classes + j] <= g->scores[i * g->n_classes + p]);
        if (g->labels[i] == UINT32_MAX)
            ck_assert(isnan(row[LABEL]));
        else
            ck_assert(row[LABEL] == g->labels[i]);
    }
    OK(ops->summarise(self, &s, NULL, out, &err));
    for (uint32_t v = 0; v < VALUES; v++)
        near(out[v], g->values[v], g->name, v);
    samples_free(&s);
}
END_TEST

/* Every class is predicted for its share of images that cannot tell. */
START_TEST(ties_have_no_favourite)
{
    enum { IMAGES = 6000, CLASSES = 6 };
    uint32_t label[IMAGES] = { 0 };
    static float table[IMAGES * CLASSES];
    struct task k = { .e = { .n_images = IMAGES, .n_texts = CLASSES, .label = label },
                      .table = table };
    struct mohs_samples s;
    double n[CLASSES] = { 0 };
    for (int i = 0; i < IMAGES; i++)
        table[i * CLASSES + 2] = -1; // not tied
    OK(measure(&k, &s));
    for (int i = 0; i < IMAGES; i++)
        n[(int)s.value[i * COLUMNS + PREDICTED]]++;
    for (int j = 0; j < CLASSES; j++) // 1200 +- 5 standard deviations of 31
        ck_assert_msg(j == 2 ? n[j] == 0 : fabs(n[j] - 1200) < 155, "class %d: %g", j, n[j]);
    samples_free(&s);
}
END_TEST

static float several_tiles(uint32_t i, uint32_t t)
{
    return t == i % 3000 ? 1 : t == (i + 1) % 3000 ? 2 : 0;
}

START_TEST(several_tiles_are_one)
{
    enum { IMAGES = 5000 };
    static uint32_t label[IMAGES];
    struct task k = { .e = { .n_images = IMAGES, .n_texts = 3000, .label = label,
                             .logit_scale = 1 }, .score = several_tiles };
    struct mohs_samples s;
    double out[VALUES];
    for (uint32_t i = 0; i < IMAGES; i++)
        label[i] = i % 3000;
    OK(measure(&k, &s));
    OK(ops->summarise(self, &s, NULL, out, &err));
    near(out[0], 0, "top1", 0);
    near(out[1], 100, "top5", 1);
    near(out[4], -1, "margin", 4);
    for (uint32_t i = 0; i < IMAGES; i++)
        ck_assert(s.value[i * COLUMNS + PREDICTED] == (i + 1) % 3000);
    samples_free(&s);
}
END_TEST

START_TEST(weights_are_repetitions)
{
    const struct golden *g = &golden[2];
    struct task k = task_of(g);
    struct mohs_samples s, r;
    double a[VALUES], b[VALUES];
    uint32_t weight[25], rows = 0;
    OK(measure(&k, &s));
    for (uint32_t i = 0; i < s.n_rows; i++)
        rows += weight[i] = mohs_rng_below(3, i, 0, 4);
    r = s;
    r.value = xcalloc((size_t)rows * COLUMNS, sizeof *r.value);
    r.n_rows = 0;
    for (uint32_t i = 0; i < s.n_rows; i++)
        for (uint32_t w = 0; w < weight[i]; w++)
            memcpy(r.value + (size_t)r.n_rows++ * COLUMNS, s.value + (size_t)i * COLUMNS,
                   COLUMNS * sizeof *r.value);
    OK(ops->summarise(self, &s, weight, a, &err));
    OK(ops->summarise(self, &r, NULL, b, &err));
    for (uint32_t v = 0; v < VALUES; v++)
        near(a[v], b[v], "weights", v);
    free(r.value);
    samples_free(&s);
}
END_TEST

static void refuses(struct task *k, mohs_status want, const char *says)
{
    struct mohs_samples s;
    ck_assert_int_eq(measure(k, &s), want);
    ck_assert_msg(strstr(err.text, says) != NULL, "%s: %s", says, err.text);
    samples_free(&s);
}

START_TEST(bad_input)
{
    float table[6] = { 0 };
    uint32_t label[3] = { 0, 2, 0 };
    struct task k = { .e = { .n_images = 3, .n_texts = 2 }, .table = table };
    refuses(&k, MOHS_E_ARG, "zeroshot: the texts are no classes");
    k.e.label = label;
    refuses(&k, MOHS_E_ARG, "image 1 is of class 2 of 2");
    label[1] = 1;
    table[5] = NAN;
    refuses(&k, MOHS_E_NUMERIC, "similarities of image 2 are not numbers");
    ops->destroy(self);
    self = NULL;
    ck_assert_int_eq(open_with("zeroshot", "k", "5,10"), MOHS_E_ARG);
    ck_assert_str_eq(err.text, "zeroshot: k lacks 1");
}
END_TEST

/* ---- factors ---- */

/* Ten images, the first four right; image 9 left out. */
static const char *const factor_name[] = { "pose", "dark" };
static const uint8_t factor[20] = { 1, 0, 1, 0, 0, 1, 0, 1, 1, 0,
                                    1, 1, 0, 1, 0, 1, 0, 0, 255, 255 };

static struct task factor_task(uint32_t label[10], float table[30])
{
    for (uint32_t i = 0; i < 10; i++) {
        label[i] = i % 3;
        table[3 * i + (i < 4 ? i % 3 : (i + 1) % 3)] = 1;
    }
    return (struct task) { .e = { .n_images = 10, .n_texts = 3, .label = label,
                                  .n_factors = 2, .factor_name = factor_name,
                                  .factor = factor }, .table = table };
}

START_TEST(factors_by_hand)
{
    uint32_t label[10], n;
    float table[30] = { 0 };
    double out[8];
    struct mohs_samples s;
    struct task k = factor_task(label, table);
    ops->destroy(self);
    OK(open_with("factors", "names", "dark, pose,other"));
    const struct mohs_value *v = ops->values(self, &n);
    ck_assert_uint_eq(n, 8);
    ck_assert_str_eq(v[2].name, "accuracy_dark");
    ck_assert_str_eq(v[6].name, "error_ratio_pose");
    ck_assert_str_eq(ops->columns(self, &n)[3], "factor_dark");
    OK(measure(&k, &s));
    ck_assert_uint_eq(s.n_rows, 9);
    ck_assert_uint_eq(s.n_clusters, 10);
    OK(ops->summarise(self, &s, NULL, out, &err));
    // right of all 4 / 9; of dark (2 3 5 6 7) 2; of pose (0 1 4 5) 2
    near(out[0], 100 * 4 / 9.0, "average", 0);
    near(out[1], 40, "worst", 1);
    near(out[2], 40, "accuracy_dark", 2);
    near(out[3], 50, "accuracy_pose", 3);
    near(out[4], NAN, "accuracy_other", 4);
    near(out[5], 0.6 / (5 / 9.0), "error_ratio_dark", 5);
    near(out[6], 0.5 / (5 / 9.0), "error_ratio_pose", 6);
    near(out[7], NAN, "error_ratio_other", 7);
    samples_free(&s);
}
END_TEST

START_TEST(factors_refuse)
{
    uint32_t label[10];
    float table[30] = { 0 };
    struct task k = factor_task(label, table);
    ops->destroy(self);
    OK(open_with("factors", NULL, NULL));
    k.e.n_factors = 0;
    refuses(&k, MOHS_E_ARG, "factors: the data set has no factors");
    ops->destroy(self);
    OK(open_with("factors", "names", "style"));
    k = factor_task(label, table);
    refuses(&k, MOHS_E_ARG, "has 'pose' and others");
    ops->destroy(self);
    self = NULL;
    ck_assert_int_eq(open_with("factors", "names", " ,"), MOHS_E_ARG);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("zeroshot");
    TCase *t = tcase_create("zeroshot");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, names);
    tcase_add_loop_test(t, equals_brute_force, 0, N_GOLDEN);
    tcase_add_test(t, ties_have_no_favourite);
    tcase_add_test(t, several_tiles_are_one);
    tcase_add_test(t, weights_are_repetitions);
    tcase_add_test(t, bad_input);
    tcase_add_test(t, factors_by_hand);
    tcase_add_test(t, factors_refuse);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
