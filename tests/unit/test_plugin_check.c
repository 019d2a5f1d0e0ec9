/* SPDX-License-Identifier: MIT */
/* The conformance kit: broken items fail where they are broken and nowhere
 * else before; healthy ones pass; the analytic victim's gradient is right. */
#include "config.h"

#include <check.h>
#include <fcntl.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "plugin/check.h"

#define SO(name) BUILDDIR "/tests/plugins/" name "/.libs/" name ".so"

static json_t *verdicts;
static mohs_status status;

/* Runs the kit with stdout in a file. Plugins that crash are loud on stderr
 * under a sanitizer: not here. */
static void kit(const char *file)
{
    char path[] = "/tmp/mohs-kit-XXXXXX";
    int fd = mkstemp(path), old = dup(1), null = open("/dev/null", O_WRONLY);
    ck_assert_int_ge(fd, 0);
    fflush(stdout);
    fflush(stderr);
    int olderr = dup(2);
    dup2(null, 2);
    dup2(fd, 1);
    struct mohs_error err = MOHS_ERROR_INIT;
    status = plugin_check(file, NULL, true, &err);
    fflush(stdout);
    dup2(old, 1);
    dup2(olderr, 2);
    close(old);
    close(olderr);
    close(null);
    json_error_t je;
    lseek(fd, 0, SEEK_SET);
    verdicts = json_loadfd(fd, 0, &je);
    close(fd);
    unlink(path);
    ck_assert_msg(verdicts != NULL, "%s at %d", je.text, je.line);
}

/* The first failure of an item: its check, with the detail in *detail. */
static const char *first_failure(const char *item, const char **detail,
                                 size_t *checks)
{
    size_t i;
    json_t *v;
    const char *found = NULL;
    *checks = 0;
    json_array_foreach(json_object_get(verdicts, "checks"), i, v)
    {
        if (strcmp(json_string_value(json_object_get(v, "item")), item))
            continue;
        ++*checks;
        if (found || json_is_true(json_object_get(v, "ok")))
            continue;
        found = json_string_value(json_object_get(v, "check"));
        *detail = json_string_value(json_object_get(v, "detail"));
    }
    return found;
}

struct fault {
    const char *item, *check, *detail; /* check NULL: passes everything */
};
static const struct fault faults[] = {
    { "c_fine", NULL, NULL },
    { "c_overrun", "bounds", "outside its output" },
    { "c_overread", "bounds", "" },
    { "c_writes_input", "bounds", "" },
    { "c_random", "determinism", "two calls" },
    { "c_unwritten", "determinism", "never written" },
    { "c_remembers", "determinism", "two calls" },
    { "c_mixes", "batch", "picture 0 differs" },
    { "c_no_seed", "seed", "the seed changes nothing" },
    { "c_no_key", "seed", "different keys" },
    { "c_uses_seed", "seed", "without the stochastic flag" },
    { "c_crashes", "bounds", "" },
    { "c_crashes_late", "batch", "" },
    { "c_exits", "batch", "exit code 7" },
    { "c_hangs", "params", "no answer for 2 s" },
    { "c_mute", "sizes", "without a text" },
    { "c_no_depth", "depth", "works without" },
    { "c_shared", "threads", "disturb each other" },
    { "c_nothing", "severities", "no severity changes" },
    { "c_keeps_params", "bounds", "mode -" },
    { "t_invalid", "severities", "invalid UTF-8" },
    { "t_missing", "severities", "no put() for text 1" },
    { "t_twice", "severities", "put() twice for text 0" },
    { "t_edits", "severities", "unchanged, but edits is 1" },
    { "t_batch", "batch", "in a batch and alone" },
    { "m_fine", NULL, NULL },
    { "m_weights", "weights", "weighted rows and copied rows" },
    { "m_order", "order", "another order" },
    { "m_alloc", "values", "alloc() 0 times" },
    { "m_unwritten", "values", "did not write 'y'" },
    { "m_nan", "values", "x is nan" },
    { "a_fine", NULL, NULL },
    { "a_ball", "ball", "eps allows" },
    { "a_zero", "zero", "eps = 0 leaves" },
    { "a_range", "range", "outside 0..1" },
    { "a_loss", "loss", "lowers the victim's loss" },
    { "a_batch", "batch", "in a batch of 6 and alone" },
    { "a_seed", "seed", "without the stochastic flag" },
    { "a_nan", "range", "not finite" },
    { "x_fine", NULL, NULL },
    { "x_budget", "budget", "2 words, the budget is 1" },
    { "x_zero", "zero", "a budget of 0 edits leaves 6 texts changed" },
    { "x_batch", "batch", "in a batch of 6 and alone" },
    { "x_nothing", "range", "changes no text" },
};

static void compare(const struct fault *want, size_t n)
{
    ck_assert_int_eq(status, MOHS_E_PLUGIN);
    for (const struct fault *f = want; f < want + n; f++) {
        const char *detail = "";
        size_t checks;
        const char *check = first_failure(f->item, &detail, &checks);
        ck_assert_msg(checks > 0, "%s was not checked", f->item);
        if (!f->check) {
            ck_assert_msg(!check, "%s fails %s: %s", f->item, check, detail);
            ck_assert_uint_ge(checks, 7);
            continue;
        }
        ck_assert_msg(check && !strcmp(check, f->check),
                      "%s fails %s (%s), not %s", f->item,
                      check ? check : "nothing", detail, f->check);
        ck_assert_msg(strstr(detail, f->detail) != NULL, "%s: %s", f->item,
                      detail);
    }
    json_decref(verdicts);
}

START_TEST(faulty)
{
    setenv("MOHS_CHECK_TIMEOUT", "2", 1);
    kit(SO("faulty"));
    compare(faults, sizeof faults / sizeof *faults);
}
END_TEST

static const struct fault model_faults[] = {
    { "g_fine", NULL, NULL },
    { "g_shape", "rows", "the result is not [3, 12]" },
    { "g_twice", "params", "patch is there twice" },
    { "g_unused", "weights", "extra changes no embedding" },
    { "g_no_tap", "taps", "image.block.7 is named but not built" },
    { "g_constant", "rows", "different inputs give the same row" },
    { "g_missing", "rows", "ptach" },
    { "g_blind", "info", "probe" },
    { "g_unready", "info", "size is 0" },
};

/* Models need a device; the kit's children open their own. */
START_TEST(faulty_models)
{
    setenv("MOHS_CHECK_TIMEOUT", "60", 1);
    kit(SO("faulty_model"));
    compare(model_faults, sizeof model_faults / sizeof *model_faults);
}
END_TEST

static const struct fault metric_faults[] = {
    { "m_fine", NULL, NULL },
    { "m_silent", "values", "14 pairs, by mohs.pair_need/1 0" },
    { "m_again", "values", "asks for the scores of 14 pairs again" },
    { "m_stubborn", "pairs", "goes on after pair_scores() failed" },
    { "m_blind", "pairs", "change nothing" },
    { "m_requires", "pairs", "works without pair_scores()" },
    { "m_still", "pairs", "announces pairs and asks for none" },
};

START_TEST(faulty_metrics)
{
    kit(SO("faulty_metric"));
    compare(metric_faults, sizeof metric_faults / sizeof *metric_faults);
}
END_TEST

static const struct fault pair_faults[] = {
    { "p_fine", NULL, NULL },
    { "p_many", "pairs", "17 scores a pair" },
    { "p_match", "pairs", "match is score 2 of 2" },
    { "p_tap", "pairs", "image_tap 'text.token' is no tap of the image tower" },
    { "p_shape", "pairs", "the result is not [3, 2]" },
    { "p_blind", "pairs", "different images score the same" },
    { "p_deaf", "pairs", "different texts score the same" },
    { "p_tail", "pairs", "padding changes the scores of text" },
    { "p_unused", "pairs", "tail changes no score" },
    { "p_mix", "pairs", "scores otherwise in a batch and alone" },
};

START_TEST(faulty_pairs)
{
    setenv("MOHS_CHECK_TIMEOUT", "60", 1);
    kit(SO("faulty_pairs"));
    compare(pair_faults, sizeof pair_faults / sizeof *pair_faults);
}
END_TEST

START_TEST(on_device)
{
    size_t i;
    json_t *v;
    bool noted = false;
    kit(SO("device"));
    ck_assert_int_eq(status, MOHS_OK);
    json_array_foreach(json_object_get(verdicts, "checks"), i, v) noted |=
        strstr(json_string_value(json_object_get(v, "detail")),
               "uses the device") != NULL;
    ck_assert(noted);
    json_decref(verdicts);
}
END_TEST

static bool device_there(void)
{
    struct device_report *d = NULL;
    size_t n = 0, usable = 0;
    if (compute_probe(&d, &n, NULL) < 0)
        n = 0;
    for (size_t i = 0; i < n; i++)
        usable += d[i].usable;
    free(d);
    return usable || getenv("MOHS_REQUIRE_CL");
}

START_TEST(healthy)
{
    kit(SO("good"));
    ck_assert_int_eq(status, MOHS_OK);
    ck_assert_int_eq(json_integer_value(json_object_get(verdicts, "failed")),
                     0);
    ck_assert_int_ge(json_integer_value(json_object_get(verdicts, "passed")),
                     20);
    json_decref(verdicts);
}
END_TEST

/* All that the models of this tree promise. */
static const char *const models[] = { "blip", "clip", "convnext", "resnet", "siglip",
                                      "vit", "vitamin" };
enum { N_MODELS = sizeof models / sizeof *models };

START_TEST(shipped_models)
{
    size_t i;
    json_t *v;
    char path[512];
    setenv("MOHS_CHECK_TIMEOUT", "60", 1);
    snprintf(path, sizeof path, BUILDDIR "/plugins/models/%s/.libs/%s.so", models[_i],
             models[_i]);
    kit(path);
    json_array_foreach(json_object_get(verdicts, "checks"), i, v)
        ck_assert_msg(json_is_true(json_object_get(v, "ok")), "%s: %s: %s",
                      json_string_value(json_object_get(v, "item")),
                      json_string_value(json_object_get(v, "check")),
                      json_string_value(json_object_get(v, "detail")));
    ck_assert_int_eq(status, MOHS_OK);
    ck_assert_int_ge(json_integer_value(json_object_get(verdicts, "passed")), 9);
    json_decref(verdicts);
}
END_TEST

START_TEST(unloadable)
{
    kit(BUILDDIR "/tests/plugins/bad/.libs/bad_abi.so");
    ck_assert_int_eq(status, MOHS_E_PLUGIN);
    const char *detail = "";
    size_t checks;
    ck_assert_str_eq(first_failure("plugin", &detail, &checks), "load");
    ck_assert_ptr_nonnull(strstr(detail, "ABI 7.0"));
    ck_assert_uint_eq(checks, 1);
    json_decref(verdicts);
}
END_TEST

START_TEST(missing)
{
    struct mohs_error err = MOHS_ERROR_INIT;
    ck_assert_int_eq(plugin_check("/nonexistent.so", NULL, false, &err),
                     MOHS_E_IO);
    ck_assert_int_eq(plugin_check(BUILDDIR, NULL, false, &err), MOHS_E_IO);
}
END_TEST

/* ---- the analytic victim ---- */

static mohs_status square(void *user, uint32_t n, const uint32_t *sample,
                          uint32_t m, const float *out, float *loss,
                          float *dout, struct mohs_error *err)
{
    (void)user;
    (void)sample;
    (void)err;
    for (uint32_t i = 0; i < n; i++) {
        loss[i] = 0;
        for (uint32_t j = 0; j < m; j++) {
            float x = out[i * m + j], a = 0.3f + 0.1f * (float)j;
            loss[i] += (x - a) * (x - a);
            if (dout)
                dout[i * m + j] = 2 * (x - a);
        }
    }
    return MOHS_OK;
}

/* Loss of all samples at the deltas as they are. */
static double total(struct mohs_victim *v, uint32_t output, int gradient)
{
    uint32_t sample[3] = { 2, 0, 1 };
    float loss[3];
    struct mohs_error err = MOHS_ERROR_INIT;
    ck_assert_msg(
        v->pass(v, 3, sample, output, square, NULL, loss, gradient, &err) >= 0,
        "%s", err.text);
    return (double)loss[0] + (double)loss[1] + (double)loss[2];
}

static const char *const taps[] = { "pixels", "image.patch", "image.embed",
                                    "text.token" };

START_TEST(victim_gradient)
{
    int text = !strncmp(taps[_i], "text.", 5);
    struct mohs_victim *v = mock_new(text ? MOCK_TEXT : MOCK_IMAGE, 4, 3);
    struct mohs_site s = { .size = sizeof s };
    struct mohs_error err = MOHS_ERROR_INIT;
    ck_assert_int_eq(v->site(v, taps[_i], &s, &err), MOHS_OK);
    for (uint32_t output = 0; output < 2; output++) {
        total(v, output, 1);
        size_t n = (size_t)v->n * s.tokens * s.width;
        float *g = malloc(n * sizeof *g);
        ck_assert_ptr_nonnull(g);
        memcpy(g, s.grad, n * sizeof *g);
        for (size_t k = 0; k < n; k += 7) {
            double h = 1e-2, f[2];
            for (int side = 0; side < 2; side++) {
                s.delta[k] = (float)(side ? -h : h);
                f[side] = total(v, output, 0);
            }
            s.delta[k] = 0;
            double slope = (f[0] - f[1]) / (2 * h);
            ck_assert_msg(fabs(slope - (double)g[k]) <
                              2e-3 * (1 + fabs(slope)) * (output ? 1 : 12),
                          "%s[%zu]: %g, not %g", taps[_i], k, (double)g[k],
                          slope);
        }
        free(g);
    }
    mock_free(v);
}
END_TEST

START_TEST(victim_rules)
{
    struct mohs_victim *v = mock_new(MOCK_IMAGE, 0, 2);
    struct mohs_site a = { .size = sizeof a }, b = { .size = sizeof b };
    struct mohs_error err = MOHS_ERROR_INIT;
    uint32_t bad = 9;
    ck_assert_int_eq(v->site(v, "pixels", &a, &err), MOHS_OK);
    ck_assert_int_eq(v->site(v, "pixels", &b, &err), MOHS_OK);
    ck_assert_ptr_eq(a.delta, b.delta);
    ck_assert_int_eq(v->site(v, "text.token", &b, &err), MOHS_E_ARG);
    ck_assert_ptr_nonnull(strstr(err.text, "image.patch"));
    ck_assert_int_lt(v->pass(v, 1, &bad, 0, square, NULL, NULL, 0, &err), 0);
    mock_free(v);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("plugin_check");
    TCase *t = tcase_create("kit");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, faulty);
    tcase_add_test(t, faulty_metrics);
    if (device_there()) {
        tcase_add_test(t, faulty_models);
        tcase_add_test(t, faulty_pairs);
        tcase_add_test(t, on_device);
        tcase_add_loop_test(t, shipped_models, 0, N_MODELS);
    }
    tcase_add_test(t, healthy);
    tcase_add_test(t, unloadable);
    tcase_add_test(t, missing);
    tcase_add_loop_test(t, victim_gradient, 0, 4);
    tcase_add_test(t, victim_rules);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
