/* SPDX-License-Identifier: MIT */
/*
 * "mohs.victim_text/1" over the shipped model: trials are what encoding the
 * text gives, gains of flips agree with finite differences of the loss along
 * the way from one token to the other, a text that was set is what passes see,
 * edits are counted.
 */
#include "config.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "eval/victim.h"
#include "eval/vocabulary.h"
#include "graph/graph.h"
#include "model/model.h"

enum { N = 3, M = 4 };
static const char *const texts[N] = {
    "a small tulip below a large leopard", "on red: a flame, grapes", "pasta and candy",
};
static const char *const others[M] = {
    "a small dog", "grapes below a large fire on a red background", "candy", "",
};

static struct registry *reg;
static struct encoder *enc;
static struct mohs_victim *v;
static const struct mohs_victim_text *t;
static float *candidate;
static struct mohs_error err = MOHS_ERROR_INIT;

#define OK(expr) ck_assert_msg((expr) >= 0, "%s", err.text)

static void setup(void)
{
    static const struct registry_extension tables[] = { { MOHS_EXT_GRAPH, &graph_api },
                                                        { MOHS_EXT_WEIGHTS, &weights_api },
                                                        { NULL, NULL } };
    static const uint64_t key[N] = { 1, 2, 3 };
    static const uint32_t first[N + 1] = { 0, 1, 2, 3 }, positive[N] = { 0, 1, 2 };
    struct registry_options o = { .device = getenv("MOHS_DEVICE"), .extensions = tables };
    OK(registry_open(&o, &reg, &err));
    OK(encoder_open(reg, NULL, SRCDIR "/share/scenes-clean.safetensors", &enc, &err));
    candidate = xcalloc(M * encoder_info(enc)->embed_dim, sizeof *candidate);
    // texts will do for candidates: they are only vectors
    OK(encoder_texts(enc, M, others, false, NULL, candidate, &err));
    struct victim_options vo = { .encoder = enc, .tower = MOHS_TOWER_TEXT, .n = N,
                                 .text = texts, .key = key, .candidate = candidate,
                                 .n_candidates = M, .positive_first = first,
                                 .positive = positive };
    OK(victim_new(&vo, &v, &err));
    t = v->get_extension(v, MOHS_EXT_VICTIM_TEXT);
    ck_assert_ptr_nonnull(t);
}

static void teardown(void)
{
    victim_free(v);
    free(candidate);
    encoder_close(enc);
    registry_close(reg);
}

/* Keeps outputs, in the order of the calls; the loss is output 0 minus 1. */
struct kept {
    float out[64 * 256];
    size_t n;
};

static mohs_status keep(void *user, uint32_t n, const uint32_t *sample, uint32_t m,
                        const float *out, float *loss, float *dout, struct mohs_error *e)
{
    struct kept *k = user;
    (void)sample;
    (void)e;
    for (uint32_t i = 0; i < n; i++) {
        if (k)
            memcpy(k->out + k->n, out + (size_t)i * m, m * sizeof *out);
        if (k)
            k->n += m;
        loss[i] = out[(size_t)i * m] - out[(size_t)i * m + 1];
        for (uint32_t j = 0; dout && j < m; j++)
            dout[(size_t)i * m + j] = j == 0 ? 1 : j == 1 ? -1.0f : 0;
    }
    return MOHS_OK;
}

START_TEST(trials_are_texts)
{
    static struct kept a, b;
    static const uint32_t sample[M] = { 2, 0, 0, 1 };
    uint32_t dim = v->dim;
    float loss[M];
    OK(t->pass(v, M, sample, others, MOHS_OUT_EMBED, keep, &a, loss, &err));
    ck_assert_uint_eq(a.n, (size_t)M * dim);
    ck_assert_mem_eq(a.out, candidate, a.n * sizeof(float));
    for (int i = 0; i < M; i++)
        ck_assert_float_eq(loss[i], a.out[i * dim] - a.out[i * dim + 1]);
    OK(t->pass(v, M, sample, others, MOHS_OUT_SCORES, keep, &b, NULL, &err));
    ck_assert_uint_eq(b.n, M * M);
    for (int i = 0; i < M; i++) // a text's score with itself
        ck_assert_double_eq_tol(b.out[i * M + i], encoder_info(enc)->logit_scale +
                                                      encoder_info(enc)->logit_bias, 1e-4);
    uint32_t wrong = N;
    ck_assert_int_eq(t->pass(v, 1, &wrong, others, MOHS_OUT_EMBED, keep, NULL, loss, &err),
                     MOHS_E_ARG);
    ck_assert_int_eq(t->pass(v, 1, sample, others, 7, keep, NULL, loss, &err), MOHS_E_ARG);
}
END_TEST

/* Loss of sample i's text with x added at text.token. */
static double loss_at(uint32_t i, const struct mohs_site *s, const float *x, double h)
{
    size_t n = (size_t)s->tokens * s->width;
    float loss;
    for (size_t k = 0; k < n; k++)
        s->delta[i * n + k] = (float)(h * (double)x[k]);
    OK(v->pass(v, 1, &i, MOHS_OUT_SCORES, keep, NULL, &loss, 0, &err));
    memset(s->delta + i * n, 0, n * sizeof(float));
    return loss;
}

START_TEST(gains_by_differences)
{
    static const int32_t to[] = { 40, 300, 700 };
    struct mohs_site s = { .size = sizeof s };
    uint32_t context = t->context, all[N] = { 0, 1, 2 }, last;
    size_t n;
    OK(t->set(v, 1, "a cricket on a yellow background", &err)); // of the present text
    OK(v->site(v, TAP_TOKEN, &s, &err));
    OK(v->pass(v, N, all, MOHS_OUT_SCORES, keep, NULL, NULL, 1, &err));
    n = (size_t)s.tokens * s.width;
    float *gain = xcalloc((size_t)context * t->n_ids, sizeof *gain);
    float *x = xcalloc(2 * n, sizeof *x), *d = xcalloc(n, sizeof *d);
    int32_t *ids = xcalloc(2 * context, sizeof *ids), at[2];
    for (uint32_t i = 0; i < N; i++) {
        OK(t->flips(v, i, gain, &err));
        OK(t->encode(v, victim_text(v, i), ids, &last, &err));
        for (uint32_t p = 1; p <= 3; p += 2)
            for (int c = 0; c < 3; c++) {
                memcpy(ids + context, ids, context * sizeof *ids);
                ids[context + p] = to[c];
                at[0] = at[1] = (int32_t)last;
                OK(encoder_ids(enc, 2, ids, at, false, TAP_TOKEN, x, &err));
                for (size_t k = 0; k < n; k++)
                    d[k] = x[n + k] - x[k];
                double h = 2e-3, want = (loss_at(i, &s, d, h) - loss_at(i, &s, d, -h)) /
                                        (2 * h);
                double got = gain[p * t->n_ids + (size_t)to[c]];
                // a difference of float scores of size 10 over 2 h
                ck_assert_msg(fabs(got - want) < 0.02 + 0.02 * fabs(want),
                              "text %u, token %u to %d: gain %g, differences %g", i, p,
                              to[c], got, want);
            }
        ck_assert_float_eq(gain[1 * t->n_ids + (size_t)ids[1]], 0);
        for (uint32_t id = 0; id < t->n_ids; id++)
            ck_assert_float_eq(gain[(size_t)(last + 1) * t->n_ids + id], 0);
    }
    free(gain);
    free(x);
    free(d);
    free(ids);
}
END_TEST

START_TEST(set_is_seen)
{
    static struct kept k;
    struct victim_audit u;
    uint32_t which = 0;
    const char *now = "a little tulip below a large leopard";
    float *row = xcalloc(v->dim, sizeof *row), *rows = xcalloc(N * v->dim, sizeof *rows);
    OK(t->set(v, 0, now, &err));
    ck_assert_str_eq(victim_text(v, 0), now);
    ck_assert_str_eq(victim_text(v, 1), texts[1]);
    OK(encoder_texts(enc, 1, &now, false, NULL, row, &err));
    OK(v->pass(v, 1, &which, MOHS_OUT_EMBED, keep, &k, NULL, 0, &err));
    OK(victim_embed(v, rows, &err));
    for (uint32_t j = 0; j < v->dim; j++) {
        ck_assert_double_eq_tol(k.out[j], row[j], 1e-6);
        ck_assert_double_eq_tol(rows[j], row[j], 1e-6);
        ck_assert_double_eq_tol(rows[v->dim + j], v->clean_embed[v->dim + j], 1e-6);
    }
    victim_audit(v, 0, &u);
    ck_assert_uint_eq(u.words, 1);
    ck_assert_uint_eq(u.chars, edits_chars(texts[0], now));
    ck_assert_uint_ge(u.tokens, 1);
    OK(t->set(v, 0, texts[0], &err));
    victim_audit(v, 0, &u);
    ck_assert_uint_eq(u.words + u.chars + u.tokens, 0);
    ck_assert_int_eq(t->set(v, N, now, &err), MOHS_E_ARG);
    ck_assert_int_eq(t->set(v, 0, "\xff", &err), MOHS_E_ARG);
    free(row);
    free(rows);
}
END_TEST

START_TEST(texts_and_tokens)
{
    int32_t *ids = xcalloc(t->context, sizeof *ids);
    uint32_t last;
    char text[64];
    OK(t->encode(v, texts[1], ids, &last, &err));
    OK(t->decode(v, t->context, ids, sizeof text, text, &err));
    ck_assert_str_eq(text, "on red : a flame , grapes");
    ck_assert_int_eq(t->decode(v, t->context, ids, strlen(text), text, &err), MOHS_E_ARG);
    ck_assert_ptr_null(v->get_extension(v, MOHS_EXT_VICTIM_PAIR));
    free(ids);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("victim_text");
    TCase *c = tcase_create("victim_text");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_set_timeout(c, 300);
    tcase_add_test(c, trials_are_texts);
    tcase_add_test(c, gains_by_differences);
    tcase_add_test(c, set_is_seen);
    tcase_add_test(c, texts_and_tokens);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
