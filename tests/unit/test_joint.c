/* SPDX-License-Identifier: MIT */
/*
 * Attacks on texts and on pairs. The image side of pairs step for step as
 * PyTorch does it, views at other scales with their gradients
 * (golden/joint.py); on the victim of the plugin check: searches against brute
 * force, budgets, nothing at budget 0 and eps 0, bad parameters.
 */
#include "config.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../../plugins/attacks/common/view.h"
#include "../../plugins/common/synonyms.h"
#include "golden/joint.h"
#include "plugin/check_words.h"
#include "unit/attack_victim.h"

#define DICT SRCDIR "/tests/golden/wordnet"

enum { N_GOLDEN = sizeof joint_golden / sizeof *joint_golden,
       N_VIEWS = sizeof view_golden / sizeof *view_golden, SEED = 3, TEXTS = 6 };

static struct registry *reg;
static struct mohs_error err = MOHS_ERROR_INIT;

#define OK(expr) ck_assert_msg((expr) >= 0, "%s", err.text)

static void setup(void)
{
    static const char dir[] = BUILDDIR "/plugins/attacks";
    const char *const dirs[] = { dir, NULL };
    struct registry_options o = { .plugin_dirs = dirs };
    log_threshold = LOG_ERROR; // models here miss the host's graph tables
    OK(registry_open(&o, &reg, &err));
}

static void teardown(void)
{
    registry_close(reg);
}

static mohs_status make(const char *id, const char *text,
                        const struct mohs_attack_ops **ops, void **self)
{
    const struct item *it;
    char name[64], value[128];
    RET_IF_ERR(registry_find(reg, MOHS_KIND_ATTACK, id, &it, &err));
    void *params = item_params_new(it);
    mohs_status st = MOHS_OK;
    for (int n; st >= 0 && sscanf(text, " %63[^=]=%127s%n", name, value, &n) == 2; text += n)
        st = item_param_set_text(it, params, name, value, &err);
    *ops = it->item->ops;
    *self = NULL;
    if (st >= 0)
        st = (*ops)->create(registry_host(reg), params, self, &err);
    item_params_free(it, params);
    return st;
}

static mohs_status strike(const char *id, const char *text, struct mohs_victim *v)
{
    const struct mohs_attack_ops *ops;
    void *self;
    RET_IF_ERR(make(id, text, &ops, &self));
    mohs_status st = ops->run(self, v, SEED, &err);
    ops->destroy(self);
    return st;
}

/* ---- views ---- */

/* Uniform numbers in (-1, 1), as golden/attacks.py has them. */
static float number(uint64_t key, uint32_t i)
{
    return (float)(2 * (double)mohs_rng_uniform(11, key, i) - 1);
}

START_TEST(views)
{
    const struct view_golden *g = &view_golden[_i];
    float x[90], d[90], y[90], dx[90] = { 0 };
    struct view v;
    ck_assert(view_make(&v, 5, 6, g->scale));
    float *kept = xcalloc(view_kept(&v), sizeof *kept);
    for (uint32_t i = 0; i < 90; i++) {
        x[i] = number(8, i) * 0.8f + 0.5f;
        d[i] = number(9, i);
    }
    view_apply(&v, x, y, kept);
    view_back(&v, kept, d, dx);
    for (int i = 0; i < 90; i++) {
        ck_assert_double_eq_tol(y[i], g->out[i], 1e-6);
        ck_assert_double_eq_tol(dx[i], g->grad[i], 2e-6);
    }
    free(kept);
    view_free(&v);
}
END_TEST

/* ---- images with captions that stay as they are ---- */

/* Caption j of the images is candidate positive[j], whatever its text. */
struct captions {
    struct mohs_victim v;
    struct mohs_victim_text text;
    struct mohs_victim_pair pair;
    const char *words[2 * AV_N + 8];
    float embed[(2 * AV_N + 8) * AV_DIM];
};

static mohs_status caption_pass(struct mohs_victim *v, uint32_t n, const uint32_t *sample,
                                const char *const *text, uint32_t output, mohs_loss_fn fn,
                                void *user, float *loss, struct mohs_error *e)
{
    struct captions *c = v->ctx;
    (void)text;
    ck_assert_uint_eq(output, MOHS_OUT_EMBED);
    for (uint32_t i = 0; i < n; i++) {
        float one;
        RET_IF_ERR(fn(user, 1, sample + i, AV_DIM, c->embed + sample[i] * AV_DIM, &one,
                      NULL, e));
        if (loss)
            loss[i] = one;
    }
    return MOHS_OK;
}

static mohs_status plain_pass(struct mohs_victim *v, uint32_t n, const uint32_t *sample,
                              uint32_t output, mohs_loss_fn fn, void *user, float *loss,
                              int32_t gradient, struct mohs_error *e)
{
    ck_assert(!gradient);
    return caption_pass(v, n, sample, NULL, output, fn, user, loss, e);
}

static mohs_status keep_set(struct mohs_victim *v, uint32_t sample, const char *text,
                            struct mohs_error *e)
{
    struct captions *c = v->ctx;
    (void)e;
    ck_assert_str_eq(text, c->words[sample]);
    return MOHS_OK;
}

static const void *caption_extension(struct mohs_victim *v, const char *id)
{
    struct captions *c = v->ctx;
    return strcmp(id, MOHS_EXT_VICTIM_TEXT) ? NULL : &c->text;
}

static struct captions captions;

static const void *pair_extension(struct mohs_victim *v, const char *id)
{
    (void)v;
    return strcmp(id, MOHS_EXT_VICTIM_PAIR) ? NULL : &captions.pair;
}

static struct attack_victim *pair_new(void)
{
    struct attack_victim *a = av_new(0, 0, AV_N);
    struct captions *c = &captions;
    uint32_t n = a->v.positive_first[AV_N];
    memset(c, 0, sizeof *c);
    for (uint32_t j = 0; j < n; j++) {
        c->words[j] = "a caption";
        memcpy(c->embed + j * AV_DIM, a->candidate + a->v.positive[j] * AV_DIM,
               AV_DIM * sizeof(float));
    }
    c->text = (struct mohs_victim_text) { .size = sizeof c->text, .text = c->words,
                                          .pass = caption_pass, .set = keep_set };
    c->v = (struct mohs_victim) { .size = sizeof c->v, .n = n, .dim = AV_DIM, .ctx = c,
                                  .clean_embed = c->embed, .pass = plain_pass,
                                  .get_extension = caption_extension };
    c->pair = (struct mohs_victim_pair) { sizeof c->pair, &c->v, a->v.positive_first };
    a->v.get_extension = pair_extension;
    return a;
}

START_TEST(step_for_step)
{
    const struct joint_golden *g = &joint_golden[_i];
    struct attack_victim *a = pair_new();
    char text[160];
    snprintf(text, sizeof text, "%s max_edits=0", g->params);
    OK(strike(g->item, text, &a->v));
    for (int j = 0; j < AV_N * AV_PIXELS; j++)
        // floats of outputs and gradients of magnitude 1
        ck_assert_msg(fabs(a->site[0].delta[j] - g->delta[j]) < 2e-6,
                      "%s: delta %d is %.9g, not %.9g", g->item, j, a->site[0].delta[j],
                      g->delta[j]);
    av_free(a);
}
END_TEST

/* Draws of noise are a sample's own: nothing hangs on the batch. */
START_TEST(noise_by_key)
{
    struct attack_victim *a = pair_new(), *b;
    OK(strike("sga", "eps=0.05 steps=3 noise=0.2 max_edits=0", &a->v));
    float *first = xcalloc(AV_N * AV_PIXELS, sizeof *first);
    memcpy(first, a->site[0].delta, AV_N * AV_PIXELS * sizeof *first);
    av_free(a);
    b = pair_new();
    b->micro_batch = 1;
    OK(strike("sga", "eps=0.05 steps=3 noise=0.2 max_edits=0", &b->v));
    ck_assert_mem_eq(first, b->site[0].delta, AV_N * AV_PIXELS * sizeof *first);
    av_free(b);
    b = pair_new();
    OK(strike("sga", "eps=0.05 steps=3 noise=0 max_edits=0", &b->v));
    ck_assert_mem_ne(first, b->site[0].delta, AV_N * AV_PIXELS * sizeof *first);
    av_free(b);
    free(first);
}
END_TEST

/* ---- searches against brute force ---- */

/* Cross-entropy of a text in the place of sample i's. */
static double loss_of(struct mohs_victim *v, uint32_t i, const char *text)
{
    const struct mohs_victim_text *t = v->get_extension(v, MOHS_EXT_VICTIM_TEXT);
    char *was = xstrdup(mock_text(v, i, false));
    struct mohs_victim *one = v;
    double all;
    OK(t->set(one, i, text, &err));
    all = mock_loss(one) * v->n;
    OK(t->set(one, i, was, &err));
    all -= mock_loss(one) * v->n;
    free(was);
    return all; // what it adds
}

static char *splice(const char *s, size_t from, size_t to, const char *put)
{
    return xasprintf("%.*s%s%s", (int)from, s, put, s + to);
}

static void better(struct mohs_victim *v, uint32_t i, char *text, double *best)
{
    *best = fmax(*best, loss_of(v, i, text));
    free(text);
}

START_TEST(chars_brute)
{
    struct mohs_victim *v = mock_new(MOCK_TEXT, 0, TEXTS), *w = mock_new(MOCK_TEXT, 0, TEXTS);
    OK(strike("text_chars", "positions=1000 alphabet=abcxyz", v));
    for (uint32_t i = 0; i < 2; i++) {
        const char *s = mock_text(w, i, true);
        size_t n = strlen(s);
        double best = 0;
        for (size_t k = 0; k <= n; k++) {
            for (const char *c = "abcxyz"; *c; c++) {
                char put[2] = { *c, 0 };
                better(w, i, splice(s, k, k, put), &best);
                if (k < n)
                    better(w, i, splice(s, k, k + 1, put), &best);
            }
            if (k < n)
                better(w, i, splice(s, k, k + 1, ""), &best);
            char two[3] = { k + 1 < n ? s[k + 1] : 0, s[k], 0 };
            if (k + 1 < n)
                better(w, i, splice(s, k, k + 2, two), &best);
        }
        ck_assert_double_eq_tol(loss_of(w, i, mock_text(v, i, false)), best, 1e-5);
        ck_assert_uint_eq(edits_chars(s, mock_text(v, i, false)), 1);
    }
    mock_free(v);
    mock_free(w);
}
END_TEST

/* All flips that give their own tokens; with so many tried, the best is found. */
START_TEST(tokens_brute)
{
    struct mohs_victim *v = mock_new(MOCK_TEXT, 0, TEXTS), *w = mock_new(MOCK_TEXT, 0, TEXTS);
    OK(strike("text_hotflip", "top_k=1000", v));
    for (uint32_t i = 0; i < 3; i++) {
        int32_t ids[MOCK_CONTEXT], again[MOCK_CONTEXT];
        uint32_t last, end;
        double best = 0;
        mock_encode(mock_text(w, i, true), ids, &last);
        for (uint32_t t = 1; t < last; t++)
            for (int32_t id = 2; id < (int32_t)mock_ids(); id++) {
                int32_t was = ids[t];
                struct str s = { 0 };
                ids[t] = id;
                mock_decode(ids, last, &s);
                mock_encode(s.s, again, &end);
                if (!memcmp(ids, again, sizeof ids))
                    best = fmax(best, loss_of(w, i, s.s));
                str_free(&s);
                ids[t] = was;
            }
        ck_assert_double_eq_tol(loss_of(w, i, mock_text(v, i, false)), best, 1e-5);
        mock_encode(mock_text(v, i, false), again, &end);
        ck_assert_uint_eq(edits_ids(ids, last + 1, again, end + 1), 1);
    }
    mock_free(v);
    mock_free(w);
}
END_TEST

/* BERT-Attack's search for one word: in the order of what leaving each out
 * gains, the first word with a candidate that helps, its best one. */
static char *words_slow(struct mohs_victim *w, uint32_t i, const struct wordnet *net)
{
    const char *s = mock_text(w, i, true);
    struct slow {
        size_t from, to;
        double gain;
        struct synonyms with;
    } *word = xcalloc(32, sizeof *word);
    size_t n = 0;
    char *best = xstrdup(s);
    for (size_t at = 0; s[at];) {
        struct slow *x = &word[n];
        x->from = at + strspn(s + at, " ");
        x->to = at = x->from + strcspn(s + x->from, " ");
        if (!synonyms_find(net, s + x->from, x->to - x->from, 9, &x->with))
            continue;
        char *out = splice(s, x->from ? x->from - 1 : 0, x->to, "");
        x->gain = loss_of(w, i, out);
        free(out);
        n++;
    }
    for (size_t left = n; left; left--) {
        struct slow *x = word;
        for (size_t k = 0; k < n; k++)
            if (word[k].gain > x->gain)
                x = &word[k];
        double most = 0;
        for (size_t k = 0; k < x->with.n; k++) {
            char *out = splice(s, x->from, x->to, x->with.word[k]);
            double gain = strchr(x->with.word[k], ' ') ? 0 : loss_of(w, i, out);
            if (gain > most) {
                most = gain;
                free(best);
                best = xstrdup(out);
            }
            free(out);
        }
        if (most > 0)
            break;
        x->gain = -INFINITY;
    }
    free(word);
    return best;
}

START_TEST(words_brute)
{
    enum { MANY = 10 };
    struct mohs_victim *v = mock_new(MOCK_TEXT, 0, MANY), *w = mock_new(MOCK_TEXT, 0, MANY);
    char missing[512];
    struct wordnet *net = wordnet_open(DICT, missing, sizeof missing);
    int changed = 0;
    ck_assert_msg(net != NULL, "%s", missing);
    OK(strike("text_synonyms", "senses=9 top_k=99 dict=" DICT, v));
    for (uint32_t i = 0; i < MANY; i++) {
        char *want = words_slow(w, i, net);
        ck_assert_str_eq(mock_text(v, i, false), want);
        changed += strcmp(want, mock_text(v, i, true)) != 0;
        free(want);
    }
    ck_assert_int_ge(changed, 2);
    wordnet_close(net);
    mock_free(v);
    mock_free(w);
}
END_TEST

static double total_loss(const char *id, const char *params)
{
    struct mohs_victim *v = mock_new(MOCK_TEXT, 0, TEXTS);
    OK(strike(id, params, v));
    double x = mock_loss(v);
    mock_free(v);
    return x;
}

START_TEST(larger_budgets)
{
    ck_assert_double_ge(total_loss("text_chars", "max_chars=3"),
                        total_loss("text_chars", "max_chars=1"));
    ck_assert_double_ge(total_loss("text_chars", "max_chars=1"),
                        total_loss("text_chars", "max_chars=0"));
    ck_assert_double_ge(total_loss("text_hotflip", "max_tokens=3"),
                        total_loss("text_hotflip", "max_tokens=1") - 1e-6);
    ck_assert_double_gt(total_loss("text_hotflip", "max_tokens=1"),
                        total_loss("text_hotflip", "max_tokens=0"));
    ck_assert_double_ge(total_loss("text_synonyms", "max_words=2 senses=9 dict=" DICT),
                        total_loss("text_synonyms", "max_words=1 senses=9 dict=" DICT));
    // the dictionary is not even opened
    ck_assert_double_eq(total_loss("text_synonyms", "max_words=0 dict=/nowhere"),
                        total_loss("text_hotflip", "max_tokens=0"));
}
END_TEST

/* ---- bad parameters ---- */

static const struct bad {
    const char *item, *params, *says;
} bad[] = {
    { "sga", "eps=-0.1", "eps" },
    { "sga", "steps=0", "steps" },
    { "sga", "scales=0.5,x", "scales '0.5,x'" },
    { "sga", "scales=0", "above 0" },
    { "sga", "scales=9", "at most 4" },
    { "sga", "scales=1,1,1,1,1,1,1,1,1", "more than 8" },
    { "sga", "noise=-1", "noise" },
    { "sga", "text_loss=text", "no parameter 'text_loss'" },
    { "sga", "dict=/nowhere", "/nowhere/index.noun" },
    { "co_attack", "unit=tokens", "text_loss image" },
    { "co_attack", "unit=letters", "letters" },
    { "co_attack", "max_edits=-1", "max_edits" },
    { "separate", "unit=chars alphabet=\xc3\xa9", "printable ASCII" },
    { "text_synonyms", "max_words=-1", "max_words" },
    { "text_synonyms", "dict=/nowhere", "wordnet-base" },
    { "text_synonyms", "top_k=0", "top_k" },
    { "text_hotflip", "loss=embedding", "flat" },
    { "text_chars", "positions=0", "positions" },
    { "text_chars", "max_words=1", "no parameter" },
};

START_TEST(bad_params)
{
    const struct mohs_attack_ops *ops;
    void *self;
    const struct bad *b = &bad[_i];
    ck_assert_msg(make(b->item, b->params, &ops, &self) < 0, "%s %s works", b->item,
                  b->params);
    ck_assert_msg(strstr(err.text, b->says) != NULL, "%s %s: %s", b->item, b->params,
                  err.text);
}
END_TEST

START_TEST(wrong_victims)
{
    struct attack_victim *a = av_new(0, 0, AV_N);
    ck_assert_int_eq(strike("sga", "max_edits=0", &a->v), MOHS_E_UNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(err.text, "captions"));
    ck_assert_int_eq(strike("text_chars", "", &a->v), MOHS_E_UNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(err.text, "texts"));
    av_free(a);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("joint");
    TCase *t = tcase_create("joint");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 300);
    tcase_add_loop_test(t, views, 0, N_VIEWS);
    tcase_add_loop_test(t, step_for_step, 0, N_GOLDEN);
    tcase_add_test(t, noise_by_key);
    tcase_add_test(t, chars_brute);
    tcase_add_test(t, tokens_brute);
    tcase_add_test(t, words_brute);
    tcase_add_test(t, larger_budgets);
    tcase_add_loop_test(t, bad_params, 0, sizeof bad / sizeof *bad);
    tcase_add_test(t, wrong_victims);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
