/* SPDX-License-Identifier: MIT */
/* Victims whose model gives no gradients: asking for one is an error that
 * names the attack, the tap and the model; what asks for none goes on. */
#include "config.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "eval/victim.h"
#include "graph/graph.h"
#include "model/model.h"

enum { N = 2, M = 3 };
static const char *const texts[M] = { "a small tulip", "a leopard", "grapes on red" };

static struct registry *reg;
static struct mohs_error err = MOHS_ERROR_INIT;

#define OK(expr) ck_assert_msg((expr) >= 0, "%s", err.text)

static void setup(void)
{
    static const struct registry_extension tables[] = { { MOHS_EXT_GRAPH, &graph_api },
                                                        { MOHS_EXT_WEIGHTS, &weights_api },
                                                        { NULL, NULL } };
    static const char *const dirs[] = { BUILDDIR "/tests/plugins/blunt", NULL };
    struct registry_options o = { .device = getenv("MOHS_DEVICE"), .plugin_dirs = dirs,
                                  .extensions = tables };
    OK(registry_open(&o, &reg, &err));
}

static void teardown(void)
{
    registry_close(reg);
}

static mohs_status sum(void *user, uint32_t n, const uint32_t *sample, uint32_t m,
                       const float *out, float *loss, float *dout, struct mohs_error *e)
{
    (void)user;
    (void)sample;
    (void)e;
    for (uint32_t i = 0; i < n; i++) {
        loss[i] = 0;
        for (uint32_t j = 0; j < m; j++)
            loss[i] += out[(size_t)i * m + j];
        for (uint32_t j = 0; dout && j < m; j++)
            dout[(size_t)i * m + j] = 1;
    }
    return MOHS_OK;
}

static const struct kind {
    const char *without, *how, *why;
    bool image, text; /* which side has a gradient */
} kinds[] = {
    { "without=both", "how=op", "op \"windows\" has no gradient", false, false },
    { "without=both", "how=detach", "none flows there", false, false },
    { "without=image", "how=op", "op \"windows\" has no gradient", false, true },
    { "without=text", "how=detach", "none flows there", true, false },
    { "without=nothing", "how=op", "", true, true },
};

static void check_side(struct encoder *enc, const struct kind *k, uint32_t tower,
                       const float *candidate)
{
    static const uint64_t key[N] = { 1, 2 };
    static const uint32_t first[N + 1] = { 0, 1, 2 }, positive[N] = { 0, 1 };
    static const uint32_t all[N] = { 0, 1 };
    bool images = tower == MOHS_TOWER_IMAGE, has = images ? k->image : k->text;
    const char *tap = images ? "pixels" : "text.token";
    size_t px = (size_t)3 * encoder_info(enc)->image_height * encoder_info(enc)->image_width;
    uint8_t *rgb = xcalloc(px, 1);
    const uint8_t *rgbs[N] = { rgb, rgb };
    struct victim_options o = { .encoder = enc, .tower = tower, .n = N,
                                .rgb = images ? rgbs : NULL, .text = images ? NULL : texts,
                                .key = key, .candidate = candidate, .n_candidates = M,
                                .positive_first = first, .positive = positive,
                                .attack = "climber" };
    struct mohs_site s = { .size = sizeof s };
    struct graph_cost cost;
    struct mohs_victim *v;
    float before[N], after[N];
    for (size_t i = 0; i < px; i++)
        rgb[i] = (uint8_t)(i * 7);
    OK(victim_new(&o, &v, &err));
    OK(v->site(v, tap, &s, &err));
    OK(v->pass(v, N, all, MOHS_OUT_SCORES, sum, NULL, before, 0, &err));
    for (int twice = 0; twice < 2; twice++) {
        mohs_status st = v->pass(v, N, all, MOHS_OUT_SCORES, sum, NULL, after, 1, &err);
        ck_assert_int_eq(st, has ? MOHS_OK : MOHS_E_UNSUPPORTED);
    }
    if (!has) {
        char *says = xasprintf("climber: needs the gradient by %s, which %s does not give: "
                               "%s", tap, encoder_path(enc), k->why);
        ck_assert_str_eq(err.text, says);
        free(says);
    }
    // and goes on without
    OK(v->pass(v, N, all, MOHS_OUT_SCORES, sum, NULL, after, 0, &err));
    ck_assert_mem_eq(before, after, sizeof after);
    OK(victim_cost(&o, false, &tap, 1, &cost, &err));
    ck_assert_int_eq(victim_cost(&o, true, &tap, 1, &cost, &err),
                     has ? MOHS_OK : MOHS_E_UNSUPPORTED);
    victim_free(v);
    free(rgb);
}

START_TEST(said_and_survived)
{
    const struct kind *k = &kinds[_i];
    const char *const settings[] = { k->without, k->how, NULL };
    struct encoder *enc;
    OK(encoder_open_with(reg, "blunt", SRCDIR "/share/scenes-clean.safetensors", settings,
                         &enc, &err));
    float *candidate = xcalloc((size_t)M * encoder_info(enc)->embed_dim, sizeof *candidate);
    OK(encoder_texts(enc, M, texts, false, NULL, candidate, &err));
    check_side(enc, k, MOHS_TOWER_IMAGE, candidate);
    check_side(enc, k, MOHS_TOWER_TEXT, candidate);
    free(candidate);
    encoder_close(enc);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("victim_gradient");
    TCase *c = tcase_create("victim_gradient");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_set_timeout(c, 300);
    tcase_add_loop_test(c, said_and_survived, 0, sizeof kinds / sizeof *kinds);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
