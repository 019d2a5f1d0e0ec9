/* SPDX-License-Identifier: MIT */
/*
 * Attacks under guard: killed at any pass and resumed they give the same bits
 * and repeat one pass at most; a damaged state is no state; budgets of passes
 * and of time end any attack with the best it had.
 */
#include "config.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "eval/guard.h"
#include "plugin/registry.h"
#include "unit/attack_victim.h"

enum { SEED = 3, MOST = AV_N * AV_FLOATS };

static struct registry *reg;
static struct mohs_error err = MOHS_ERROR_INIT;
static char path[64];

#define OK(expr) ck_assert_msg((expr) >= 0, "%s", err.text)

static void setup(void)
{
    snprintf(path, sizeof path, "guard-%ld.state", (long)getpid());
    OK(av_registry(&reg, &err));
}

static void teardown(void)
{
    unlink(path);
    registry_close(reg);
}

static const struct {
    const char *id, *params;
} attacks[] = {
    { "pgd", "eps=0.01 steps=5 restarts=3" },
    { "pgd", "eps=0.02 steps=6 early_stop=1" },
    { "mi_fgsm", "eps=0.03 steps=4" },
    { "feature_pgd", "eps=0.1 steps=4 tap=image.patch,image.block.0" },
    { "apgd", "eps=0.01 steps=12 restarts=2" },
    { "apgd", "eps=0.01 steps=8 loss=dlr_targeted targets=3" },
    { "feature_apgd", "eps=0.1 steps=9" },
    { "fab", "eps=0.02 steps=4 targets=2 restarts=2" },
    { "square", "eps=0.01 queries=12 restarts=2" },
    { "cw", "eps=0.2 steps=5 binary_steps=3" },
    { "autoattack", "eps=0.002 steps=5 targets=2 queries=6" },
    { "autoattack", "eps=0.002 steps=4 targets=2 queries=4 version=plus" },
    { "autoattack", "eps=0.1 norm=l2 steps=5 targets=2 queries=6" },
    { "pgd", "eps=0.02 steps=6 loss=margin" },
    { "pgd", "eps=0.02 steps=6 loss=margin early_stop=1" },
};
enum { N_ATTACKS = sizeof attacks / sizeof *attacks };

static void *make(int i, const struct mohs_attack_ops **ops)
{
    void *self;
    OK(av_attack(reg, attacks[i].id, attacks[i].params, ops, &self, &err));
    return self;
}

/* What one process does: true when it came to its end. */
struct run {
    float delta[MOST];
    uint32_t passes;    /* asked of the victim, also the last one */
    uint64_t repeated;
    bool resumed;
    struct guard_count count[AV_N];
};

static bool process(int attack, const char *state, uint32_t die_at, struct budget b,
                    struct run *r)
{
    const struct mohs_attack_ops *ops;
    void *self = make(attack, &ops);
    struct attack_victim *a = av_new(0, 0, AV_N);
    struct state *s = state ? state_open(state, (struct hash128) { 1, 2 }) : NULL;
    struct guard_options o = { .candidate = a->candidate, .scale = AV_SCALE, .budget = b, .state = s };
    struct guard *g;
    a->die_at = die_at;
    OK(guard_new(&a->v, &o, &g, &err));
    r->resumed = guard_resumed(g);
    r->repeated = guard_repeated(g);
    mohs_status st = ops->run(self, guard_victim(g), SEED, &err);
    ck_assert_msg(st >= 0 || st == MOHS_E_CANCELLED, "%s", err.text);
    r->passes = a->passes;
    float *to = r->delta;
    for (int k = 0; k < AV_SITES; k++) {
        size_t n = AV_N * (size_t)a->site[k].tokens * a->site[k].width;
        memcpy(to, a->site[k].delta, n * sizeof *to);
        to += n;
    }
    for (uint32_t i = 0; i < AV_N; i++)
        r->count[i] = guard_count(g, i);
    guard_free(g);
    state_close(s, st >= 0);
    ops->destroy(self);
    av_free(a);
    return st >= 0;
}

static double margin_under(const struct run *r, uint32_t i)
{
    struct attack_victim *a = av_new(0, 0, AV_N);
    const float *from = r->delta;
    struct mohs_site unused;
    for (int k = 0; k < AV_SITES; k++) {
        size_t n = AV_N * (size_t)a->site[k].tokens * a->site[k].width;
        OK(a->v.site(&a->v, a->site[k].tap, &unused, &err));
        memcpy(a->site[k].delta, from, n * sizeof *from);
        from += n;
    }
    double m = av_margin(a, i);
    av_free(a);
    return m;
}

static const struct budget none;

START_TEST(killed)
{
    static struct run whole, part;
    ck_assert(process(_i, NULL, 0, none, &whole));
    ck_assert_uint_gt(whole.passes, 4);
    // dies every `gap` passes; each life but the last repeats one
    for (uint32_t gap = 2; gap < whole.passes; gap += 1 + gap / 4) {
        uint32_t lives = 1, passes = 0;
        unlink(path);
        while (!process(_i, path, gap, none, &part)) {
            passes += part.passes;
            ck_assert_uint_eq(part.resumed, lives > 1);
            ck_assert_uint_le(part.repeated, AV_N);
            ck_assert_uint_lt(lives++, 2 * whole.passes);
        }
        passes += part.passes;
        ck_assert_msg(!memcmp(part.delta, whole.delta, sizeof whole.delta),
                      "%s %s: killed every %u passes: other bits", attacks[_i].id,
                      attacks[_i].params, gap);
        ck_assert_uint_eq(passes, whole.passes + lives - 1);
        for (uint32_t i = 0; i < AV_N; i++) {
            ck_assert_uint_eq(part.count[i].forward, whole.count[i].forward);
            ck_assert_uint_eq(part.count[i].backward, whole.count[i].backward);
        }
        ck_assert(!file_exists(path));
    }
}
END_TEST

/* Flipped bytes, cut files: at worst a start from the beginning. */
START_TEST(damaged)
{
    static struct run whole, part;
    const int attack = N_ATTACKS - 5; // autoattack
    char *good;
    size_t n;
    unlink(path);
    ck_assert(process(attack, NULL, 0, none, &whole));
    ck_assert(!process(attack, path, 17, none, &part));
    OK(file_read(path, 0, &good, &n, &err));
    uint32_t anew = 0, x = 12345;
    for (int round = 0; round < 150; round++) {
        char *bad = xmalloc(n);
        size_t cut = n;
        memcpy(bad, good, n);
        x = x * 1664525u + 1013904223u;
        if (round % 5 == 4)
            cut = x % n;
        else // the headers more often than the rest
            bad[x % (round % 2 ? 16384 : n)] ^= (char)(1 + (x >> 24) % 255);
        OK(file_write(path, bad, cut, &err));
        ck_assert(process(attack, path, 0, none, &part));
        anew += !part.resumed;
        ck_assert_msg(!memcmp(part.delta, whole.delta, sizeof whole.delta),
                      "round %d: other bits", round);
        free(bad);
    }
    ck_assert_uint_gt(anew, 5);
    ck_assert_uint_lt(anew, 145); // one header or place is spare
    free(good);
}
END_TEST

/* Another attack's state, or one of other samples, is not taken. */
START_TEST(foreign)
{
    static struct run part, whole;
    unlink(path);
    ck_assert(!process(0, path, 4, none, &part));
    struct state *s = state_open(path, (struct hash128) { 1, 3 });
    ck_assert_ptr_nonnull(s);
    uint32_t x = 7;
    struct mohs_state_part p = { &x, sizeof x, 0 };
    ck_assert_int_eq(state_enter(s, "host", &p, 1, &err), 0);
    ck_assert_uint_eq(x, 7);
    // while one has it, another goes without
    ck_assert_ptr_null(state_open(path, (struct hash128) { 1, 3 }));
    state_leave(s);
    ck_assert_int_eq(state_point(s, 0, NULL, &err), MOHS_E_PLUGIN);
    state_close(s, true);
    // the tag is right but the attack does other things
    ck_assert(process(0, NULL, 0, none, &whole));
    ck_assert(!process(4, path, 9, none, &part));
    const struct mohs_attack_ops *ops;
    void *self = make(0, &ops);
    struct attack_victim *a = av_new(0, 0, AV_N);
    struct guard *g;
    s = state_open(path, (struct hash128) { 1, 2 });
    struct guard_options o = { .candidate = a->candidate, .scale = AV_SCALE, .state = s };
    OK(guard_new(&a->v, &o, &g, &err));
    ck_assert_int_eq(ops->run(self, guard_victim(g), SEED, &err), MOHS_E_PLUGIN);
    ck_assert_msg(strstr(err.text, "frame ascent where apgd was kept"), "%s", err.text);
    guard_free(g);
    state_close(s, true);
    ops->destroy(self);
    av_free(a);
}
END_TEST

/* ---- budgets ---- */

START_TEST(queries)
{
    static struct run whole, cut;
    uint32_t most = 0;
    ck_assert(process(_i, NULL, 0, none, &whole));
    for (uint32_t i = 0; i < AV_N; i++)
        most = whole.count[i].forward > most ? whole.count[i].forward : most;
    // as much as it needs changes nothing
    ck_assert(process(_i, NULL, 0, (struct budget) { most, 0 }, &cut));
    ck_assert(!memcmp(cut.delta, whole.delta, sizeof whole.delta));
    for (uint32_t i = 0; i < AV_N; i++)
        ck_assert_uint_eq(cut.count[i].cut, 0);
    for (uint32_t q = 1; q < most; q += 1 + q / 3) {
        uint32_t cuts = 0;
        ck_assert(process(_i, NULL, 0, (struct budget) { q, 0 }, &cut));
        for (uint32_t i = 0; i < AV_N; i++) {
            ck_assert_uint_le(cut.count[i].forward, q);
            ck_assert_uint_eq(cut.count[i].cut, whole.count[i].forward > q);
            cuts += cut.count[i].cut;
            for (size_t k = 0; k < AV_PIXELS; k++)
                ck_assert(isfinite(cut.delta[i * AV_PIXELS + k]));
        }
        ck_assert_uint_gt(cuts, 0);
    }
}
END_TEST

/* What the plan counts: never less than what is taken, and no more where nothing
 * ends early. */
START_TEST(bounds)
{
    static struct run whole;
    const struct mohs_attack_ops *ops;
    void *self = make(_i, &ops);
    const struct mohs_attack_cost *cost = attack_extension(ops, self, MOHS_EXT_ATTACK_COST);
    uint64_t forward, backward;
    ck_assert_ptr_nonnull(cost);
    cost->passes(self, AV_CANDIDATES, &forward, &backward);
    ck_assert(process(_i, NULL, 0, none, &whole));
    bool exact = !strstr(attacks[_i].params, "early_stop") && strcmp(attacks[_i].id, "fab") &&
                 strcmp(attacks[_i].id, "square") && strcmp(attacks[_i].id, "autoattack");
    for (uint32_t i = 0; i < AV_N; i++) {
        ck_assert_uint_le(whole.count[i].forward, forward);
        ck_assert_uint_le(whole.count[i].backward, backward);
        if (exact) {
            ck_assert_uint_eq(whole.count[i].forward, forward);
            ck_assert_uint_eq(whole.count[i].backward, backward);
        }
    }
    ops->destroy(self);
}
END_TEST

/* Without early stop every sample takes all steps; with it those until it is
 * fooled, and the outcome is the same. */
START_TEST(early_stop)
{
    static struct run all, stops, at;
    uint32_t steps = 6, saved = 0, theory = 0;
    const int full = N_ATTACKS - 2, stop = N_ATTACKS - 1;
    ck_assert(process(full, NULL, 0, none, &all));
    ck_assert(process(stop, NULL, 0, none, &stops));
    for (uint32_t i = 0; i < AV_N; i++) {
        // the first pass after which a budget of passes leaves a fooled sample
        uint32_t until = steps + 1;
        for (uint32_t q = steps; q >= 1; q--) {
            ck_assert(process(full, NULL, 0, (struct budget) { q, 0 }, &at));
            if (margin_under(&at, i) > 0)
                until = q;
        }
        ck_assert_uint_eq(stops.count[i].forward, until);
        ck_assert_int_eq(margin_under(&all, i) > 0, margin_under(&stops, i) > 0);
        saved += all.count[i].forward - stops.count[i].forward;
        theory += steps + 1 - until;
    }
    ck_assert_uint_eq(saved, theory);
    ck_assert_uint_gt(saved, 0);
}
END_TEST

/* PGD climbs: more passes, no lower loss; the best of those it had counts. */
START_TEST(best_so_far)
{
    static struct run cut;
    const int attack = 0;
    double before[AV_N];
    struct attack_victim *a = av_new(0, 0, AV_N);
    for (uint32_t i = 0; i < AV_N; i++)
        before[i] = -INFINITY;
    for (uint32_t q = 1; q <= 18; q++) {
        ck_assert(process(attack, NULL, 0, (struct budget) { q, 0 }, &cut));
        for (uint32_t i = 0; i < AV_N; i++) {
            struct mohs_site s;
            OK(a->v.site(&a->v, "pixels", &s, &err));
            memcpy(s.delta, cut.delta, AV_N * AV_PIXELS * sizeof *s.delta);
            double now = av_cross_entropy(a, i);
            ck_assert_msg(now > before[i] - 1e-6, "sample %u, %u passes: %g after %g", i, q,
                          now, before[i]);
            before[i] = now;
        }
    }
    av_free(a);
    ck_assert(isfinite(margin_under(&cut, 0)));
}
END_TEST

START_TEST(seconds)
{
    static struct run cut;
    ck_assert(process(_i, NULL, 0, (struct budget) { 0, 1e-9 }, &cut));
    for (uint32_t i = 0; i < AV_N; i++) {
        ck_assert_uint_eq(cut.count[i].forward, 0);
        ck_assert_uint_eq(cut.count[i].cut, 1);
    }
    ck_assert_uint_eq(cut.passes, 0);
    ck_assert(process(_i, NULL, 0, (struct budget) { 0, 1e6 }, &cut));
    ck_assert_uint_eq(cut.count[0].cut, 0);
}
END_TEST

/* Both: a killed attack keeps to the budget of passes. */
START_TEST(killed_in_budget)
{
    static struct run whole, part;
    struct budget b = { 9, 0 };
    ck_assert(process(_i, NULL, 0, b, &whole));
    unlink(path);
    uint32_t lives = 0;
    while (!process(_i, path, 4, b, &part))
        ck_assert_uint_lt(lives++, 50);
    ck_assert(!memcmp(part.delta, whole.delta, sizeof whole.delta));
    for (uint32_t i = 0; i < AV_N; i++) {
        ck_assert_uint_eq(part.count[i].forward, whole.count[i].forward);
        ck_assert_uint_eq(part.count[i].cut, whole.count[i].cut);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("guard");
    TCase *t = tcase_create("attacks");
    tcase_add_unchecked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, killed, 0, N_ATTACKS);
    tcase_add_test(t, damaged);
    tcase_add_test(t, foreign);
    tcase_add_loop_test(t, queries, 0, N_ATTACKS);
    tcase_add_loop_test(t, bounds, 0, N_ATTACKS);
    tcase_add_test(t, early_stop);
    tcase_add_test(t, best_so_far);
    tcase_add_loop_test(t, seconds, 0, N_ATTACKS);
    tcase_add_loop_test(t, killed_in_budget, 0, N_ATTACKS);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
