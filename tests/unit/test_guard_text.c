/* SPDX-License-Identifier: MIT */
/*
 * Attacks on texts and on pairs under guard: killed at any pass and resumed they
 * leave the same texts and pixels, have asked for the same passes, and repeat a
 * step at most. The victims are those of the plugin check.
 */
#include "config.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "eval/guard.h"
#include "plugin/check.h"
#include "plugin/registry.h"
#include "unit/attack_victim.h"

enum { SEED = 3, N = 5, TEXTS = 16, ROOM = 200, PIXELS = 3 * 64 };
#define DICT "dict=" SRCDIR "/tests/golden/wordnet"

static struct registry *reg;
static struct mohs_error err = MOHS_ERROR_INIT;
static char path[64];

#define OK(expr) ck_assert_msg((expr) >= 0, "%s", err.text)

static void setup(void)
{
    snprintf(path, sizeof path, "guard-text-%ld.state", (long)getpid());
    OK(av_registry(&reg, &err));
}

static void teardown(void)
{
    unlink(path);
    registry_close(reg);
}

static const struct {
    const char *id, *params;
    int side;
} attacks[] = {
    { "text_synonyms", "max_words=3 senses=9 " DICT, MOCK_TEXT },
    { "text_hotflip", "max_tokens=4 top_k=8", MOCK_TEXT },
    { "text_chars", "max_chars=3 positions=4", MOCK_TEXT },
    { "separate", "steps=3 max_edits=2 " DICT, MOCK_IMAGE },
    { "co_attack", "steps=3 unit=chars max_edits=2 positions=3", MOCK_IMAGE },
    { "co_attack", "steps=3 unit=tokens text_loss=image max_edits=2", MOCK_IMAGE },
    { "sga", "steps=3 scales=0.5,1.5 max_edits=2 " DICT, MOCK_IMAGE },
    { "sga", "steps=2 unit=tokens max_edits=2 scales=", MOCK_IMAGE },
};
enum { N_ATTACKS = sizeof attacks / sizeof *attacks };

/* ---- victims that die ---- */

/* A victim's own table with passes that are counted; one a side. */
static struct mortal {
    struct mohs_victim v;
    const struct mohs_victim *whole;
    struct mohs_victim_text text;
    struct mohs_victim_pair pair;
} sides[2];
static uint32_t passes, die_at;

static struct mortal *mortal_of(const struct mohs_victim *v)
{
    return &sides[v->ctx == sides[1].v.ctx];
}

static bool dies(struct mohs_error *e)
{
    if (++passes != die_at)
        return false;
    mohs_fail(e, MOHS_E_CANCELLED, "died");
    return true;
}

static mohs_status pass(struct mohs_victim *v, uint32_t n, const uint32_t *sample,
                        uint32_t output, mohs_loss_fn fn, void *user, float *loss,
                        int32_t gradient, struct mohs_error *e)
{
    if (dies(e))
        return MOHS_E_CANCELLED;
    return mortal_of(v)->whole->pass(v, n, sample, output, fn, user, loss, gradient, e);
}

static mohs_status trials(struct mohs_victim *v, uint32_t n, const uint32_t *sample,
                          const char *const *text, uint32_t output, mohs_loss_fn fn,
                          void *user, float *loss, struct mohs_error *e)
{
    const struct mohs_victim_text *t =
        mortal_of(v)->whole->get_extension(v, MOHS_EXT_VICTIM_TEXT);
    if (dies(e))
        return MOHS_E_CANCELLED;
    return t->pass(v, n, sample, text, output, fn, user, loss, e);
}

static const void *extension(struct mohs_victim *v, const char *id)
{
    struct mortal *m = mortal_of(v);
    const void *p = m->whole->get_extension(v, id);
    if (!p || !strcmp(id, MOHS_EXT_VICTIM_PAIR))
        return p ? &m->pair : NULL;
    m->text = *(const struct mohs_victim_text *)p;
    m->text.pass = trials;
    return &m->text;
}

static struct mohs_victim *mortal_new(int k, const struct mohs_victim *whole)
{
    sides[k].v = *whole;
    sides[k].whole = whole;
    sides[k].v.pass = pass;
    sides[k].v.get_extension = extension;
    return &sides[k].v;
}

/* ---- processes ---- */

struct run {
    char text[TEXTS][ROOM];
    float delta[N * PIXELS];
    uint32_t passes, forward;
    bool resumed, skipped;
};

static uint32_t counted(const struct guard *g, uint32_t n)
{
    uint32_t sum = 0;
    for (uint32_t i = 0; i < n; i++)
        sum += guard_count(g, i).forward + 1000 * guard_count(g, i).backward;
    return sum;
}

/* What is left; both arrays are all zero before. */
static void look(struct mohs_victim *whole, struct mohs_victim *texts, struct run *r)
{
    for (uint32_t i = 0; texts && i < texts->n; i++)
        snprintf(r->text[i], ROOM, "%s", mock_text(texts, i, false));
    const struct mohs_site *s = mock_site(whole, 0);
    if (s && !strcmp(s->tap, "pixels"))
        memcpy(r->delta, s->delta, sizeof r->delta);
}

/* What one process does: true when it came to its end. */
static bool process(int attack, const char *state, uint32_t dies_at, struct run *r)
{
    const struct mohs_attack_ops *ops;
    void *self;
    bool pair = attacks[attack].side == MOCK_IMAGE;
    struct mohs_victim *whole = mock_new(attacks[attack].side, 0, N), *texts = whole;
    struct mohs_victim *v = mortal_new(0, whole);
    struct guard *g, *captions = NULL;
    memset(r, 0, sizeof *r);
    OK(av_attack(reg, attacks[attack].id, attacks[attack].params, &ops, &self, &err));
    if (pair) {
        const struct mohs_victim_pair *p = whole->get_extension(whole, MOHS_EXT_VICTIM_PAIR);
        struct guard_options o = { .scale = 1 };
        texts = mock_captions(whole);
        ck_assert_uint_le(texts->n, TEXTS);
        OK(guard_new(mortal_new(1, texts), &o, &captions, &err));
        sides[0].pair = (struct mohs_victim_pair) { sizeof sides[0].pair,
                                                    guard_victim(captions), p->first };
    }
    struct state *s = state ? state_open(state, (struct hash128) { 1, 2 }) : NULL;
    struct guard_options o = { .scale = 1, .state = s, .also = captions };
    passes = 0;
    die_at = dies_at;
    OK(guard_new(v, &o, &g, &err));
    r->resumed = guard_resumed(g);
    mohs_status st = ops->run(self, guard_victim(g), SEED, &err);
    ck_assert_msg(st >= 0 || st == MOHS_E_CANCELLED, "%s", err.text);
    r->passes = passes;
    r->forward = counted(g, N) + (pair ? counted(captions, texts->n) : 0);
    r->skipped = s && state_cost_s(s) > 0.2; // then not every point is written
    look(whole, texts, r);
    guard_free(g);
    guard_free(captions);
    state_close(s, st >= 0);
    ops->destroy(self);
    mock_free(whole);
    return st >= 0;
}

START_TEST(killed)
{
    static struct run whole, part, clean;
    ck_assert(process(_i, NULL, 0, &whole));
    ck_assert_uint_gt(whole.passes, 3);
    ck_assert_msg(memcmp(whole.text, clean.text, sizeof clean.text), "nothing changed");
    for (uint32_t gap = 3; gap < whole.passes; gap += 1 + gap / 3) {
        uint32_t lives = 1, all = 0;
        bool skipped = false;
        unlink(path);
        while (!process(_i, path, gap, &part)) {
            all += part.passes;
            skipped |= part.skipped;
            ck_assert(part.resumed || lives == 1 || skipped);
            ck_assert_uint_lt(lives++, 3 * whole.passes);
        }
        all += part.passes;
        for (int k = 0; k < TEXTS; k++)
            ck_assert_str_eq(part.text[k], whole.text[k]);
        ck_assert_msg(!memcmp(part.delta, whole.delta, sizeof whole.delta),
                      "%s: killed every %u passes: other bits", attacks[_i].id, gap);
        ck_assert_uint_eq(part.forward, whole.forward);
        // the pass that died, and the gradient before trials of flips
        ck_assert_msg(skipped || all <= whole.passes + 2 * (lives - 1),
                      "%s: %u passes in %u lives, %u in one", attacks[_i].id, all, lives,
                      whole.passes);
        ck_assert(!file_exists(path));
    }
}
END_TEST

/* Keeping a state changes nothing. */
START_TEST(kept)
{
    static struct run whole, part;
    ck_assert(process(_i, NULL, 0, &whole));
    unlink(path);
    ck_assert(process(_i, path, 0, &part));
    ck_assert(!part.resumed);
    ck_assert_mem_eq(part.text, whole.text, sizeof whole.text);
    ck_assert_mem_eq(part.delta, whole.delta, sizeof whole.delta);
    ck_assert_uint_eq(part.passes, whole.passes);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("guard_text");
    TCase *t = tcase_create("guard_text");
    tcase_add_unchecked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 300);
    tcase_add_loop_test(t, killed, 0, N_ATTACKS);
    tcase_add_loop_test(t, kept, 0, N_ATTACKS);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
