/* SPDX-License-Identifier: MIT */
/*
 * The retrieval metric: rows and values against brute force in exact
 * fractions (golden/retrieval.py), invariance to order, weights against
 * repeated rows, a matrix larger than one tile, and bad input.
 */
#include "config.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <mohs/ext/pair_scores.h>
#include <mohs/metric.h>
#include <mohs/rng.h>

#include "golden/retrieval.h"
#include "plugin/registry.h"

enum { N_GOLDEN = sizeof golden / sizeof *golden, COLUMNS = 10, VALUES = 11 };

static struct registry *reg;
static const struct mohs_metric_ops *ops;
static void *self;
static struct mohs_error err = MOHS_ERROR_INIT;

#define OK(expr) ck_assert_msg((expr) >= 0, "%s", err.text)

/* rerank NULL: none. */
static void open_for(const char *k, const char *rerank, const char *by)
{
    const struct item *it;
    OK(registry_find(reg, MOHS_KIND_METRIC, "retrieval", &it, &err));
    void *params = item_params_new(it);
    OK(item_param_set_text(it, params, "k", k, &err));
    if (rerank) {
        OK(item_param_set_text(it, params, "rerank", rerank, &err));
        OK(item_param_set_text(it, params, "rerank_by", by, &err));
    }
    ops = it->item->ops;
    OK(ops->create(registry_host(reg), params, &self, &err));
    item_params_free(it, params);
}

static void open_with(const char *k)
{
    open_for(k, NULL, NULL);
}

static void setup(void)
{
    struct registry_options o = { 0 };
    OK(registry_open_file(&o, BUILDDIR "/plugins/metrics/retrieval/.libs/retrieval.so",
                          &reg, &err));
    open_with("1,5,10");
}

static void teardown(void)
{
    ops->destroy(self);
    registry_close(reg);
}

/* ---- a task: scores by formula or by table ---- */

struct task {
    struct mohs_eval e;
    const float *table;
    float (*score)(uint32_t i, uint32_t t);
    uint32_t calls;
    uint64_t asked; /* similarities */
    uint64_t pairs; /* of which scores were asked for */
};

static mohs_status similarity(const struct mohs_eval *e, uint32_t i0, uint32_t i1,
                              uint32_t t0, uint32_t t1, float *out,
                              struct mohs_error *er)
{
    struct task *k = e->ctx;
    (void)er;
    k->calls++;
    k->asked += (uint64_t)(i1 - i0) * (t1 - t0);
    for (uint32_t i = i0; i < i1; i++)
        for (uint32_t t = t0; t < t1; t++)
            *out++ = k->table ? k->table[(size_t)i * e->n_texts + t] : k->score(i, t);
    return MOHS_OK;
}

static mohs_status alloc(struct mohs_samples *s, uint32_t n_rows, uint32_t n_clusters,
                         struct mohs_error *er)
{
    (void)er;
    ck_assert_ptr_null(s->value);
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
    return (struct task) { .e = { .n_images = g->n_images, .n_texts = g->n_texts,
                                  .owner = g->owner },
                           .table = g->scores };
}

static void near(double have, double want, const char *name, const char *what)
{
    // sums of up to 30 fractions in double
    ck_assert_msg(fabs(have - want) <= 1e-12 * fmax(1, fabs(want)),
                  "%s: %s is %.17g, not %.17g", name, what, have, want);
}

/* ---- tests ---- */

START_TEST(names)
{
    static const char *const column[] = {
        "i2t_rank", "i2t_reciprocal_rank", "i2t_hit@1", "i2t_hit@5", "i2t_hit@10",
        "t2i_rank", "t2i_reciprocal_rank", "t2i_hit@1", "t2i_hit@5", "t2i_hit@10" };
    static const char *const value[] = {
        "i2t_r1", "i2t_r5", "i2t_r10", "t2i_r1", "t2i_r5", "t2i_r10", "mean_recall",
        "i2t_mrr", "t2i_mrr", "i2t_median_rank", "t2i_median_rank" };
    uint32_t n;
    const char *const *c = ops->columns(self, &n);
    ck_assert_uint_eq(n, COLUMNS);
    for (uint32_t i = 0; i < n; i++)
        ck_assert_str_eq(c[i], column[i]);
    const struct mohs_value *v = ops->values(self, &n);
    ck_assert_uint_eq(n, VALUES);
    for (uint32_t i = 0; i < n; i++)
        ck_assert_str_eq(v[i].name, value[i]);
    ck_assert_str_eq(v[0].unit, "%");
    ck_assert_int_eq(v[9].direction, -1);
}
END_TEST

START_TEST(golden_rows)
{
    const struct golden *g = &golden[_i];
    struct task k = task_of(g);
    struct mohs_samples s;
    double v[VALUES];
    OK(measure(&k, &s));
    ck_assert_uint_eq(s.n_rows, g->queries + g->n_texts);
    ck_assert_uint_eq(s.n_clusters, g->n_images);
    for (uint32_t r = 0; r < s.n_rows; r++) {
        uint32_t from = r < g->queries ? 0 : COLUMNS / 2;
        const double *row = s.value + (size_t)r * COLUMNS;
        for (uint32_t c = 0; c < COLUMNS / 2; c++) {
            near(row[from + c], g->rows[r * COLUMNS / 2 + c], g->name, "a row");
            ck_assert(isnan(row[(from + COLUMNS / 2) % COLUMNS + c]));
        }
        if (r >= g->queries)
            ck_assert_uint_eq(s.cluster[r], g->owner[r - g->queries]);
    }
    OK(ops->summarise(self, &s, NULL, v, &err));
    for (int i = 0; i < VALUES; i++)
        near(v[i], g->values[i], g->name, "a value");
    samples_free(&s);
}
END_TEST

/* Images and texts in another order: the same values. */
START_TEST(order_does_not_matter)
{
    const struct golden *g = &golden[_i];
    struct task k = task_of(g);
    struct mohs_samples a, b;
    double va[VALUES], vb[VALUES];
    uint32_t ni = g->n_images, nt = g->n_texts;
    float *scores = xcalloc((size_t)ni * nt, sizeof *scores);
    uint32_t *owner = xcalloc(nt, sizeof *owner);
    for (uint32_t t = 0; t < nt; t++) {
        owner[nt - 1 - t] = ni - 1 - g->owner[t];
        for (uint32_t i = 0; i < ni; i++)
            scores[(size_t)(ni - 1 - i) * nt + nt - 1 - t] = g->scores[(size_t)i * nt + t];
    }
    OK(measure(&k, &a));
    k.table = scores;
    k.e.owner = owner;
    OK(measure(&k, &b));
    OK(ops->summarise(self, &a, NULL, va, &err));
    OK(ops->summarise(self, &b, NULL, vb, &err));
    for (int i = 0; i < VALUES; i++)
        near(vb[i], va[i], g->name, "a value");
    samples_free(&a);
    samples_free(&b);
    free(scores);
    free(owner);
}
END_TEST

/* A row of weight w counts as w rows; clusters keep their captions. */
START_TEST(weights_are_repeats)
{
    const struct golden *g = &golden[_i];
    struct task k = task_of(g);
    struct mohs_samples s, many;
    double a[VALUES], b[VALUES];
    OK(measure(&k, &s));
    uint32_t *weight = xcalloc(s.n_rows, sizeof *weight), total = 0, at = 0;
    for (uint32_t r = 0; r < s.n_rows; r++) {
        weight[r] = mohs_rng_below(3, s.cluster[r], 0, 4);
        total += weight[r];
    }
    many = (struct mohs_samples) { .size = sizeof many, .n_columns = s.n_columns };
    OK(alloc(&many, total, s.n_clusters, &err));
    for (uint32_t r = 0; r < s.n_rows; r++)
        for (uint32_t w = 0; w < weight[r]; w++)
            memcpy(many.value + (size_t)at++ * COLUMNS, s.value + (size_t)r * COLUMNS,
                   COLUMNS * sizeof *s.value);
    OK(ops->summarise(self, &s, weight, a, &err));
    OK(ops->summarise(self, &many, NULL, b, &err));
    for (int i = 0; i < VALUES; i++) {
        ck_assert_int_eq(isnan(a[i]), isnan(b[i]));
        if (!isnan(a[i]))
            near(a[i], b[i], g->name, "a weighted value");
    }
    samples_free(&s);
    samples_free(&many);
    free(weight);
}
END_TEST

/* ---- many rows ---- */

enum { MANY = 1500, CAPTIONS = 5 };

static uint32_t many_owner[MANY * CAPTIONS];

static float hashed(uint32_t i, uint32_t t)
{
    // 4096 levels: some ties
    float noise = (float)(mohs_rng_u32(5, i, t) >> 20);
    return noise + (many_owner[t] == i ? 1500 : 0);
}

/* Captions of an image together, or far from each other. */
START_TEST(several_tiles)
{
    uint32_t *owner = many_owner;
    struct task k = { .e = { .n_images = MANY, .n_texts = MANY * CAPTIONS,
                             .owner = owner },
                      .score = hashed };
    struct mohs_samples s;
    double v[VALUES], hits = 0;
    for (uint32_t t = 0; t < MANY * CAPTIONS; t++)
        owner[t] = _i ? t * 7919 % MANY : t / CAPTIONS;
    OK(measure(&k, &s));
    ck_assert_uint_gt(k.calls, 2); // or this tests nothing
    if (!_i) // each similarity once, those of positives twice
        ck_assert_uint_lt(k.asked, (uint64_t)MANY * MANY * CAPTIONS * 11 / 10);
    // text to image: one positive, so hit@1 is 1 / (1 + ties) if none is above
    for (uint32_t t = 0; t < MANY * CAPTIONS; t += 37) {
        float own = hashed(owner[t], t);
        uint32_t above = 0, equal = 0;
        for (uint32_t i = 0; i < MANY; i++) {
            above += hashed(i, t) > own;
            equal += hashed(i, t) == own;
        }
        const double *row = s.value + (size_t)(MANY + t) * COLUMNS + COLUMNS / 2;
        near(row[0], above + (equal + 1) / 2.0, "several tiles", "rank");
        near(row[2], above ? 0 : 1.0 / equal, "several tiles", "hit@1");
        hits += row[2];
    }
    ck_assert(hits > 1);
    OK(ops->summarise(self, &s, NULL, v, &err));
    ck_assert(v[0] > 0 && v[0] < 100 && v[0] <= v[1] && v[1] <= v[2]);
    near(v[6], (v[0] + v[1] + v[2] + v[3] + v[4] + v[5]) / 6, "several tiles", "mean");
    // bootstrap-like use stays cheap: 100 resamples of 9,000 rows
    uint32_t *weight = xcalloc(s.n_rows, sizeof *weight);
    double t0 = now_s();
    for (uint32_t b = 0; b < 100; b++) {
        for (uint32_t r = 0; r < s.n_rows; r++)
            weight[r] = mohs_rng_below(b, s.cluster[r], 0, 3);
        OK(ops->summarise(self, &s, weight, v, &err));
    }
    ck_assert_msg(now_s() - t0 < 5, "100 summaries took %.2f s", now_s() - t0);
    free(weight);
    samples_free(&s);
}
END_TEST

START_TEST(other_cut_offs)
{
    ops->destroy(self);
    open_with("3,1000000");
    struct task k = task_of(&golden[0]);
    struct mohs_samples s;
    double v[MOHS_INTS_MAX];
    uint32_t n;
    OK(measure(&k, &s));
    ck_assert_str_eq(ops->values(self, &n)[1].name, "i2t_r1000000");
    ck_assert_uint_eq(n, 9);
    OK(ops->summarise(self, &s, NULL, v, &err));
    near(v[1], 100, "k above n", "recall");
    near(v[3], 100, "k above n", "recall");
    samples_free(&s);
}
END_TEST

/* ---- ranked anew ---- */

/* Logits of no match and match, some of them equal. */
static void logits(uint32_t i, uint32_t t, float out[2])
{
    for (uint32_t k = 0; k < 2; k++)
        out[k] = (float)mohs_rng_below(31 + k, i, t, 9) - 4;
}

static mohs_status pair_scores(const struct mohs_eval *e, uint64_t n, const uint32_t *image,
                               const uint32_t *text, float *out, struct mohs_error *er)
{
    struct task *k = e->ctx;
    (void)er;
    k->pairs += n;
    for (uint64_t i = 0; i < n; i++) {
        ck_assert(image[i] < e->n_images && text[i] < e->n_texts);
        // each pair once, image by image
        ck_assert(!i || image[i] > image[i - 1] ||
                  (image[i] == image[i - 1] && text[i] > text[i - 1]));
        logits(image[i], text[i], out + 2 * i);
    }
    return MOHS_OK;
}

static float score_of(const struct task *k, uint32_t i, uint32_t t)
{
    return k->table ? k->table[(size_t)i * k->e.n_texts + t] : k->score(i, t);
}

enum { SUM, MATCH, PROBABILITY };
static const char *const by_names[] = { "sum", "match", "probability" };

/* Expected rank of the first positive of a query, by comparing everything with
 * everything. NaN: it has none. */
static double rank_by_force(const struct task *k, int t2i, uint32_t q, uint32_t first,
                            int by)
{
    uint32_t n = t2i ? k->e.n_images : k->e.n_texts, above = 0, equal = 0, own = 0;
    double *key = xcalloc(n, sizeof *key), best = -INFINITY;
    float *sim = xcalloc(n, sizeof *sim), l[2];
    for (uint32_t c = 0; c < n; c++)
        sim[c] = score_of(k, t2i ? c : q, t2i ? q : c);
    for (uint32_t c = 0; c < n; c++) {
        uint32_t i = t2i ? c : q, t = t2i ? q : c, before = 0;
        float s = sim[c];
        for (uint32_t o = 0; o < n; o++)
            before += sim[o] > s;
        logits(i, t, l);
        key[c] = before >= first ? (double)s
                 : by == SUM     ? 1e6 + (double)(l[1] + s)
                 : by == MATCH   ? 1e6 + (double)l[1]
                                 : 1e6 + (double)l[1] - (double)l[0];
        if (k->e.owner[t] == i)
            best = fmax(best, key[c]);
    }
    for (uint32_t c = 0; c < n; c++) {
        above += key[c] > best;
        equal += key[c] == best;
        own += key[c] == best && k->e.owner[t2i ? q : c] == (t2i ? c : q);
    }
    free(key);
    free(sim);
    return best == -INFINITY ? NAN : above + (equal + 1.0) / (own + 1.0);
}

static void check_ranks(const struct task *k, const struct mohs_samples *s, uint32_t first,
                        int by, uint32_t step, const char *name)
{
    uint32_t row = 0;
    for (uint32_t i = 0; i < k->e.n_images; i++) {
        bool asks = false;
        for (uint32_t t = 0; t < k->e.n_texts && !asks; t++)
            asks = k->e.owner[t] == i;
        if (asks && !(row % step))
            near(s->value[(size_t)row * COLUMNS], rank_by_force(k, 0, i, first, by), name,
                 "rank of an image");
        row += asks;
    }
    for (uint32_t t = 0; t < k->e.n_texts; t += step)
        near(s->value[(size_t)(row + t) * COLUMNS + COLUMNS / 2],
             rank_by_force(k, 1, t, first, by), name, "rank of a text");
}

START_TEST(reranked)
{
    static const char *const first[] = { "1", "2", "5", "1000000" };
    const struct golden *g = &golden[_i];
    for (int by = SUM; by <= PROBABILITY; by++)
        for (int f = 0; f < 4; f++) {
            struct task k = task_of(g);
            struct mohs_samples s;
            ops->destroy(self);
            open_for("1,5,10", first[f], by_names[by]);
            k.e.n_pair_scores = 2;
            k.e.pair_match = 1;
            k.e.pair_scores = pair_scores;
            OK(measure(&k, &s));
            check_ranks(&k, &s, (uint32_t)atoi(first[f]), by, 1, g->name);
            samples_free(&s);
        }
}
END_TEST

/* What is said beforehand is what is asked for, but for ties. */
START_TEST(reranked_tiles)
{
    struct task k = { .e = { .n_images = MANY, .n_texts = MANY * CAPTIONS,
                             .owner = many_owner, .n_pair_scores = 2, .pair_match = 1,
                             .pair_scores = pair_scores },
                      .score = hashed };
    struct mohs_samples s;
    for (uint32_t t = 0; t < MANY * CAPTIONS; t++)
        many_owner[t] = t * 7919 % MANY;
    ops->destroy(self);
    open_for("1,5,10", "7", "sum");
    const struct mohs_pair_need *need = ops->get_extension(self, MOHS_EXT_PAIR_NEED);
    uint64_t most = need->pairs(self, MANY, MANY * CAPTIONS);
    ck_assert_uint_eq(most, 7 * MANY * (1 + CAPTIONS));
    ck_assert_uint_eq(need->pairs(self, 2, 3), 6);
    OK(measure(&k, &s));
    ck_assert_uint_gt(k.pairs, most / 2);
    ck_assert_uint_lt(k.pairs, most + most / 10);
    check_ranks(&k, &s, 7, SUM, 499, "several tiles");
    samples_free(&s);
}
END_TEST

/* ---- bad input ---- */

static void fails(struct task *k, mohs_status want, const char *text)
{
    struct mohs_samples s;
    ck_assert_int_eq(measure(k, &s), want);
    ck_assert_msg(strstr(err.text, text) != NULL, "'%s' lacks '%s'", err.text, text);
    samples_free(&s);
}

static mohs_status no_scores(const struct mohs_eval *e, uint64_t n, const uint32_t *image,
                             const uint32_t *text, float *out, struct mohs_error *er)
{
    (void)e;
    (void)image;
    (void)text;
    (void)er;
    for (uint64_t i = 0; i < n; i++)
        out[i] = NAN;
    return MOHS_OK;
}

START_TEST(bad_input)
{
    float bad[] = { 1, 2, NAN, 4 };
    uint32_t owner[] = { 0, 1 }, outside[] = { 0, 2 };
    struct task k = { .e = { .n_images = 2, .n_texts = 2, .owner = owner },
                      .table = bad };
    fails(&k, MOHS_E_NUMERIC, "image 1");
    bad[2] = 3;
    bad[3] = NAN;
    fails(&k, MOHS_E_NUMERIC, "image 1 and its text 1");
    k.e.owner = outside;
    fails(&k, MOHS_E_ARG, "text 1 belongs to image 2 of 2");
    k.e.owner = NULL;
    fails(&k, MOHS_E_ARG, "no images");
    k.e.owner = owner;
    ops->destroy(self);
    open_for("1", "2", "sum");
    bad[3] = 4;
    fails(&k, MOHS_E_UNSUPPORTED, "rerank is 2, but the model has no matching head");
    k.e.n_pair_scores = 1;
    k.e.pair_scores = no_scores;
    fails(&k, MOHS_E_NUMERIC, "the score of image 0 with text 0");
    k.e.n_texts = 0;
    fails(&k, MOHS_E_ARG, "0 texts");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("retrieval");
    TCase *t = tcase_create("retrieval");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, names);
    tcase_add_loop_test(t, golden_rows, 0, N_GOLDEN);
    tcase_add_loop_test(t, order_does_not_matter, 0, N_GOLDEN);
    tcase_add_loop_test(t, weights_are_repeats, 0, N_GOLDEN);
    tcase_add_loop_test(t, several_tiles, 0, 2);
    tcase_add_test(t, other_cut_offs);
    tcase_add_loop_test(t, reranked, 0, N_GOLDEN);
    tcase_add_test(t, reranked_tiles);
    tcase_add_test(t, bad_input);
    tcase_set_timeout(t, 60);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
