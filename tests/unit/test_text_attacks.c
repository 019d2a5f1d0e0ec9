/* SPDX-License-Identifier: MIT */
/*
 * Attacks on texts beside Python (golden/text_attacks.py), on the shipped model:
 * first-order gains of flipping tokens agree with autograd in double to 1e-4 of
 * the largest, and the searches find the same texts.
 */
#include "config.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "eval/victim.h"
#include "eval/vocabulary.h"
#include "golden/text_attacks.h"
#include "graph/graph.h"
#include "model/model.h"

enum { N_GAINS = sizeof gain_golden / sizeof *gain_golden,
       N_SEARCHES = sizeof search_golden / sizeof *search_golden };

static struct registry *reg;
static struct encoder *enc;
static float *candidate;
static struct mohs_error err = MOHS_ERROR_INIT;

#define OK(expr) ck_assert_msg((expr) >= 0, "%s", err.text)

static void setup(void)
{
    static const struct registry_extension tables[] = { { MOHS_EXT_GRAPH, &graph_api },
                                                        { MOHS_EXT_WEIGHTS, &weights_api },
                                                        { NULL, NULL } };
    struct registry_options o = { .device = getenv("MOHS_DEVICE"), .extensions = tables };
    OK(registry_open(&o, &reg, &err));
    OK(encoder_open(reg, NULL, SRCDIR "/share/scenes-clean.safetensors", &enc, &err));
    candidate = xcalloc(TA_CANDIDATES * encoder_info(enc)->embed_dim, sizeof *candidate);
    OK(encoder_texts(enc, TA_CANDIDATES, ta_candidates, false, NULL, candidate, &err));
}

static void teardown(void)
{
    free(candidate);
    encoder_close(enc);
    registry_close(reg);
}

static struct mohs_victim *victim_of_texts(const char *const *texts)
{
    static const uint64_t key[TA_TEXTS] = { 1, 2, 3 };
    static const uint32_t first[TA_TEXTS + 1] = { 0, 1, 2, 3 };
    struct victim_options o = { .encoder = enc, .tower = MOHS_TOWER_TEXT, .n = TA_TEXTS,
                                .text = texts, .key = key, .candidate = candidate,
                                .n_candidates = TA_CANDIDATES, .positive_first = first,
                                .positive = ta_right };
    struct mohs_victim *v;
    OK(victim_new(&o, &v, &err));
    return v;
}

static mohs_status cross_entropy(void *user, uint32_t n, const uint32_t *sample, uint32_t m,
                                 const float *out, float *loss, float *dout,
                                 struct mohs_error *e)
{
    (void)user;
    (void)e;
    for (uint32_t i = 0; i < n; i++, out += m, dout = dout ? dout + m : NULL) {
        double sum = 0;
        uint32_t right = ta_right[sample[i]];
        for (uint32_t j = 0; j < m; j++)
            sum += exp((double)out[j]);
        loss[i] = (float)(log(sum) - (double)out[right]);
        for (uint32_t j = 0; dout && j < m; j++)
            dout[j] = (float)(exp((double)out[j]) / sum - (j == right));
    }
    return MOHS_OK;
}

START_TEST(gains)
{
    static const uint32_t all[TA_TEXTS] = { 0, 1, 2 };
    struct mohs_victim *v = victim_of_texts(flip_texts);
    const struct mohs_victim_text *t = v->get_extension(v, MOHS_EXT_VICTIM_TEXT);
    struct mohs_site s = { .size = sizeof s };
    float *gain = xcalloc((size_t)t->context * t->n_ids, sizeof *gain);
    double worst = 0;
    OK(v->site(v, TAP_TOKEN, &s, &err));
    OK(v->pass(v, TA_TEXTS, all, MOHS_OUT_SCORES, cross_entropy, NULL, NULL, 1, &err));
    for (int k = 0, of = -1; k < N_GAINS; k++) {
        const struct gain_golden *g = &gain_golden[k];
        if (g->text != of)
            OK(t->flips(v, (uint32_t)(of = g->text), gain, &err));
        double got = gain[(size_t)g->at * t->n_ids + (size_t)g->id];
        worst = fmax(worst, fabs(got - g->gain) / g->scale);
        ck_assert_msg(fabs(got - g->gain) < 1e-4 * g->scale,
                      "%s: token %d to %d: gain %.7g, autograd %.7g of %.7g",
                      flip_texts[g->text], g->at, g->id, got, g->gain, g->scale);
    }
    printf("gains: %d flips within %.1e of the largest\n", N_GAINS, worst);
    free(gain);
    victim_free(v);
}
END_TEST

/* "name=value name=value" of attack `id`, run on the victim. */
static void strike(const char *id, const char *text, struct mohs_victim *v)
{
    const struct item *it;
    const struct mohs_attack_ops *ops;
    void *self;
    char name[64], value[512];
    OK(registry_find(reg, MOHS_KIND_ATTACK, id, &it, &err));
    void *params = item_params_new(it);
    for (int n; sscanf(text, " %63[^=]=%511s%n", name, value, &n) == 2; text += n)
        OK(item_param_set_text(it, params, name, value, &err));
    if (!strcmp(id, "text_synonyms"))
        OK(item_param_set_text(it, params, "dict", SRCDIR "/tests/golden/wordnet", &err));
    ops = it->item->ops;
    OK(ops->create(registry_host(reg), params, &self, &err));
    OK(ops->run(self, v, 0, &err));
    ops->destroy(self);
    item_params_free(it, params);
}

/* What was found is the same text; of a flip, whose spelling is the
 * tokenizer's, the same tokens. */
START_TEST(searches)
{
    const struct search_golden *g = &search_golden[_i];
    struct mohs_victim *v = victim_of_texts(g->words ? word_texts : flip_texts);
    const struct mohs_victim_text *t = v->get_extension(v, MOHS_EXT_VICTIM_TEXT);
    uint32_t i = (uint32_t)g->text, last[2];
    float loss;
    int32_t *ids = xcalloc(2 * (size_t)t->context, sizeof *ids);
    OK(t->pass(v, 1, &i, &t->text[i], MOHS_OUT_SCORES, cross_entropy, NULL, &loss, &err));
    ck_assert_double_eq_tol(loss, g->before, 1e-4);
    strike(g->attack, g->params, v);
    const char *found = victim_text(v, i);
    OK(t->encode(v, g->result, ids, &last[0], &err));
    OK(t->encode(v, found, ids + t->context, &last[1], &err));
    ck_assert_msg(last[0] == last[1] &&
                      !memcmp(ids, ids + t->context, t->context * sizeof *ids),
                  "%s: \"%s\", not \"%s\"", g->attack, found, g->result);
    if (strcmp(g->attack, "text_hotflip"))
        ck_assert_str_eq(found, g->result);
    OK(v->pass(v, 1, &i, MOHS_OUT_SCORES, cross_entropy, NULL, &loss, 0, &err));
    // floats of scores up to 14 beside doubles
    ck_assert_double_eq_tol(loss, g->after, 1e-4);
    free(ids);
    victim_free(v);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("text_attacks");
    TCase *c = tcase_create("text_attacks");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_set_timeout(c, 300);
    tcase_add_test(c, gains);
    tcase_add_loop_test(c, searches, 0, N_SEARCHES);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
