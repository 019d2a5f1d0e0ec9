/* SPDX-License-Identifier: MIT */
/* The results file: writing, kills, reading, printing, diff and merge. */
#include "config.h"

#include <check.h>
#include <fcntl.h>
#include <jansson.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <mohs/rng.h>

#include "results/results.h"

enum { ROWS = 200, COLUMNS = 3 };
static char *dir;

static void setup(void)
{
    const char *tmp = getenv("TMPDIR");
    dir = xasprintf("%s/mohs-results-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(dir));
}

static void teardown(void)
{
    char **v;
    ck_assert_int_ge(dir_list(dir, &v, NULL, NULL), 0);
    for (char **p = v; *p; p++) {
        char *path = path_join(dir, *p);
        unlink(path);
        free(path);
    }
    strv_free(v);
    rmdir(dir);
    free(dir);
}

#define OK(expr)                                    \
    do {                                            \
        struct mohs_error err = MOHS_ERROR_INIT;    \
        ck_assert_msg((expr) >= 0, "%s", err.text); \
    } while (0)

static const char *at(const char *name)
{
    static char buf[4][600];
    static int i;
    i = (i + 1) % 4;
    snprintf(buf[i], sizeof buf[i], "%s/%s", dir, name);
    return buf[i];
}

static int64_t start(struct results *r, const char *shard)
{
    int64_t run = 0;
    const struct result_pair fact[] = { { "version", "0.1.0" },
                                        { "device", "cpu \"x\"" },
                                        { "shard", shard } };
    OK(results_run(r, "demo.lua", "-- a recipe\n", "{\"scale\":\"smoke\"}",
                   UINT64_MAX, fact, shard ? 3 : 2, &run, &err));
    return run;
}

/* Cell i of a made-up experiment: all of it follows from (model, i, shift). */
static void put(struct results *r, int64_t run, const char *model, uint32_t i,
                double shift)
{
    char severity[8], weights[32], nan_doc[] = "may be missing";
    snprintf(severity, sizeof severity, "%u", i % 5 + 1);
    snprintf(weights, sizeof weights, "hash-of-%s", model);
    const char *corruption[] = { "fog", "jpeg, \"q\"", "contrast" };
    const struct result_pair axis[] = { { "model", model },
                                        { "corruption", corruption[i / 5 % 3] },
                                        { "severity", severity },
                                        { "metric", "retrieval" } };
    const struct result_pair prov[] = { { "weights.sha256", weights },
                                        { "split", "test" } };
    const char *const column[] = { "hit1", "rank", "nan" };
    double value[ROWS * COLUMNS], hits = 0;
    uint32_t cluster[ROWS];
    char name[ROWS][16];
    const char *id[ROWS];
    for (uint32_t k = 0; k < ROWS; k++) {
        double u = mohs_rng_uniform(1, i, k) + shift * mohs_rng_uniform(2, i, k);
        value[k * COLUMNS] = u > 0.6;
        value[k * COLUMNS + 1] = u * 10;
        value[k * COLUMNS + 2] = k % 2 ? NAN : -0.0;
        hits += value[k * COLUMNS];
        cluster[k] = k / 2;
        snprintf(name[k], sizeof name[k], "scenes/%u", k);
        id[k] = name[k];
    }
    const struct result_value v[] = {
        { "i2t_r1", "%", "recall at 1", 1, 100 * hits / ROWS, hits / ROWS, 99 },
        { "median_rank", "rank", "", -1, 1.0 / 3, NAN, NAN },
        { "undefined", "", nan_doc, 0, NAN, NAN, NAN },
    };
    const struct result_artefact art = { "clean", "image/png", "\x89PNG\0x", 6 };
    struct hasher *h = hasher_new();
    hasher_str(h, model);
    hasher_u64(h, i);
    struct result_cell c = {
        .hash = hasher_end(h), .axis = axis, .n_axes = 4, .provenance = prov,
        .n_provenance = 2, .value = v, .n_values = 3,
        .samples = { column, COLUMNS, ROWS, value, cluster, id },
        .artefact = &art, .n_artefacts = i == 0, .seconds = 0.25,
    };
    OK(results_put(r, run, &c, &err));
}

static struct hash128 hash_of(const char *model, uint32_t i)
{
    struct hasher *h = hasher_new();
    hasher_str(h, model);
    hasher_u64(h, i);
    return hasher_end(h);
}

static void make(const char *path, const char *model, uint32_t from,
                 uint32_t step, uint32_t n, double shift, const char *shard)
{
    struct results *r = NULL;
    OK(results_open(path, &r, &err));
    int64_t run = start(r, shard);
    for (uint32_t i = from; i < n; i += step)
        put(r, run, model, i, shift);
    OK(results_run_end(r, run, "done", 1.5, 1 << 20, &err));
    results_close(r);
}

/* Runs fn with standard output in a file; its text, fresh. */
static char *captured(mohs_status (*fn)(const char *, bool, struct mohs_error *),
                      const char *path, bool json)
{
    char *text = NULL;
    fflush(stdout);
    int old = dup(STDOUT_FILENO);
    int fd = open(at("captured"), O_RDWR | O_CREAT | O_TRUNC, 0600);
    dup2(fd, STDOUT_FILENO);
    struct mohs_error e = MOHS_ERROR_INIT;
    mohs_status st = fn(path, json, &e);
    fflush(stdout);
    dup2(old, STDOUT_FILENO);
    close(fd);
    close(old);
    ck_assert_msg(st >= 0, "%s", e.text);
    ck_assert_int_ge(file_read(at("captured"), 0, &text, NULL, NULL), 0);
    unlink(at("captured"));
    return text;
}

static char *diff_a, *diff_b;
static mohs_status diff_status;
static mohs_status diff(const char *unused, bool json, struct mohs_error *err)
{
    (void)unused;
    return diff_status = results_diff(diff_a, diff_b, json, err);
}

static mohs_status count(void *user, const struct result_cell *c,
                         struct mohs_error *err)
{
    (void)err;
    ck_assert_uint_eq(c->n_axes, 4);
    ck_assert_str_eq(c->axis[3].key, "metric");
    ck_assert_str_eq(c->provenance[1].value, "test");
    ck_assert_uint_eq(c->n_values, 3);
    ck_assert_str_eq(c->value[0].unit, "%");
    ck_assert_double_eq(c->value[1].value, 1.0 / 3);
    ck_assert(isnan(c->value[1].low) && isnan(c->value[2].value));
    ck_assert_int_eq(c->value[1].direction, -1);
    if (c->n_artefacts) {
        ck_assert_uint_eq(c->artefact[0].n, 6);
        ck_assert_mem_eq(c->artefact[0].data, "\x89PNG\0x", 6);
    }
    ++*(int *)user;
    return MOHS_OK;
}

static mohs_status check_run(void *user, const struct result_run *x,
                             struct mohs_error *err)
{
    (void)err;
    ck_assert_str_eq(x->recipe_text, "-- a recipe\n");
    ck_assert(x->seed == UINT64_MAX);
    ck_assert_str_eq(x->facts[1].value, "cpu \"x\"");
    ++*(int *)user;
    return MOHS_OK;
}

START_TEST(round_trip)
{
    struct results *r = NULL;
    make(at("r.db"), "clean", 0, 1, 20, 0, NULL);
    OK(results_open_readonly(at("r.db"), &r, &err));
    int n = 0, runs = 0;
    OK(results_each(r, count, &n, &err));
    ck_assert_int_eq(n, 20);
    OK(results_each_run(r, check_run, &runs, &err));
    ck_assert_int_eq(runs, 1);
    ck_assert(results_has(r, hash_of("clean", 3)));
    ck_assert(!results_has(r, hash_of("other", 3)));
    struct result_samples s;
    OK(results_samples(r, hash_of("clean", 3), &s, &err));
    ck_assert_uint_eq(s.n_rows, ROWS);
    ck_assert_uint_eq(s.n_columns, COLUMNS);
    ck_assert_str_eq(s.columns[1], "rank");
    for (uint32_t k = 0; k < ROWS; k++) {
        double u = mohs_rng_uniform(1, 3, k);
        char id[16];
        snprintf(id, sizeof id, "scenes/%u", k);
        ck_assert_double_eq(s.value[k * COLUMNS + 1], u * 10);
        ck_assert(k % 2 ? isnan(s.value[k * COLUMNS + 2])
                        : signbit(s.value[k * COLUMNS + 2]));
        ck_assert_uint_eq(s.cluster[k], k / 2);
        ck_assert_str_eq(s.row_id[k], id);
    }
    results_samples_free(&s);
    OK(results_samples(r, hash_of("other", 0), &s, &err));
    ck_assert_uint_eq(s.n_rows, 0);
    struct mohs_error e = MOHS_ERROR_INIT;
    ck_assert_int_eq(results_cell(r, hash_of("other", 0), count, &n, &e),
                     MOHS_E_ARG);
    results_close(r);
}
END_TEST

START_TEST(runs_continue_until_done)
{
    struct results *r = NULL;
    OK(results_open(at("r.db"), &r, &err));
    int64_t a = start(r, NULL), b = start(r, NULL), c = start(r, "1/2");
    ck_assert_int_eq(a, b);
    ck_assert_int_ne(a, c); // other facts
    put(r, a, "clean", 0, 0);
    put(r, a, "clean", 0, 0); // the same cell again
    OK(results_link(r, c, hash_of("clean", 0), &err));
    struct mohs_error e = MOHS_ERROR_INIT;
    ck_assert_int_eq(results_link(r, c, hash_of("clean", 1), &e), MOHS_E_ARG);
    OK(results_run_end(r, a, "done", 2, 100, &err));
    ck_assert_int_ne(start(r, NULL), a);
    results_close(r);
    char *s = captured(results_list, at("r.db"), true);
    json_t *j = json_loads(s, 0, NULL), *run = json_object_get(j, "runs");
    ck_assert_uint_eq(json_array_size(run), 3);
    run = json_array_get(run, 0);
    ck_assert_str_eq(json_string_value(json_object_get(run, "state")), "done");
    ck_assert_int_eq(json_integer_value(json_object_get(run, "starts")), 2);
    ck_assert_int_eq(json_integer_value(json_object_get(run, "cells")), 1);
    ck_assert_str_eq(json_string_value(json_object_get(run, "seed")),
                     "18446744073709551615");
    json_decref(j);
    free(s);
}
END_TEST

/* A process killed at a random moment leaves whole cells only. */
START_TEST(killed)
{
    make(at("r.db"), "clean", 0, 1, 1, 0, NULL);
    pid_t pid = fork();
    if (!pid) {
        struct results *r = NULL;
        if (results_open(at("r.db"), &r, NULL) < 0)
            _exit(1);
        int64_t run = start(r, NULL);
        for (uint32_t i = 1; i < 100000; i++)
            put(r, run, "clean", i, 0);
        _exit(0);
    }
    usleep(20000 + (useconds_t)_i * 17001);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    struct results *r = NULL;
    int n = 0;
    OK(results_open_readonly(at("r.db"), &r, &err));
    OK(results_each(r, count, &n, &err));
    struct result_samples s;
    OK(results_samples(r, hash_of("clean", (uint32_t)n - 1), &s, &err));
    ck_assert_uint_eq(s.n_rows, ROWS); // the last one is whole
    results_samples_free(&s);
    ck_assert(!results_has(r, hash_of("clean", (uint32_t)n)));
    results_close(r);
}
END_TEST

START_TEST(wrong_files)
{
    struct results *r = NULL;
    struct mohs_error e = MOHS_ERROR_INIT;
    ck_assert_int_eq(results_open_readonly(at("none.db"), &r, &e), MOHS_E_IO);
    ck_assert_ptr_nonnull(strstr(e.text, "none.db"));
    char junk[5000];
    memset(junk, 'x', sizeof junk);
    OK(file_write(at("junk.db"), junk, sizeof junk, &err));
    ck_assert_int_eq(results_open(at("junk.db"), &r, &e), MOHS_E_FORMAT);
    ck_assert_int_eq(results_show(at("junk.db"), false, &e), MOHS_E_FORMAT);
    // Somebody else's database, and one of the future.
    make(at("r.db"), "clean", 0, 1, 1, 0, NULL);
    char *data;
    size_t n;
    OK(file_read(at("r.db"), 0, &data, &n, &err));
    data[63] = 99; // user_version
    OK(file_write(at("new.db"), data, n, &err));
    ck_assert_int_eq(results_open(at("new.db"), &r, &e), MOHS_E_FORMAT);
    ck_assert_ptr_nonnull(strstr(e.text, "newer mohs (format 99"));
    data[63] = 1;
    data[71] ^= 1; // application_id
    OK(file_write(at("other.db"), data, n, &err));
    ck_assert_int_eq(results_open(at("other.db"), &r, &e), MOHS_E_FORMAT);
    ck_assert_ptr_nonnull(strstr(e.text, "not a results file"));
    free(data);
    ck_assert_int_lt(results_open(at("no/such/dir.db"), &r, &e), 0);
    ck_assert_ptr_null(r);
}
END_TEST

static mohs_status touch(void *user, const struct result_cell *c,
                         struct mohs_error *err)
{
    struct result_samples s;
    (void)err;
    if (results_samples(user, c->hash, &s, NULL) >= 0)
        results_samples_free(&s);
    return MOHS_OK;
}

/* Damaged anywhere, a file gives an error or some cells, never a crash. */
START_TEST(damaged)
{
    char *data;
    size_t n;
    make(at("r.db"), "clean", 0, 1, 6, 0, NULL);
    OK(file_read(at("r.db"), 0, &data, &n, &err));
    for (uint32_t k = 0; k < 150; k++) {
        char *copy = xmalloc(n);
        memcpy(copy, data, n);
        for (uint32_t b = 0; b < 8; b++)
            copy[100 + mohs_rng_below(5, k, b, (uint32_t)n - 100)] ^= (char)(1 << b);
        OK(file_write(at("d.db"), copy, n, &err));
        struct results *r = NULL;
        struct mohs_error e = MOHS_ERROR_INIT;
        if (results_open_readonly(at("d.db"), &r, &e) >= 0) {
            (void)results_each(r, touch, r, &e);
            results_close(r);
        }
        free(copy);
    }
    free(data);
}
END_TEST

START_TEST(printed)
{
    make(at("r.db"), "clean", 0, 1, 7, 0, NULL);
    char *s = captured(results_show, at("r.db"), false);
    ck_assert_ptr_nonnull(strstr(s, "model: clean\n"));
    ck_assert_ptr_nonnull(strstr(s, "\ncorruption  severity "));
    ck_assert_ptr_nonnull(strstr(s, "  0.3333          -\n"));
    free(s);
    s = captured(results_show, at("r.db"), true);
    json_t *j = json_loads(s, 0, NULL);
    ck_assert_str_eq(json_string_value(json_object_get(j, "format")),
                     "mohs-results/1");
    json_t *c = json_array_get(json_object_get(j, "cells"), 5);
    ck_assert_str_eq(json_string_value(json_object_get(
                         json_object_get(c, "axes"), "corruption")),
                     "jpeg, \"q\"");
    json_t *v = json_array_get(json_object_get(c, "values"), 2);
    ck_assert(json_is_null(json_object_get(v, "value")));
    json_decref(j);
    free(s);
    s = captured(results_list, at("r.db"), false);
    ck_assert_ptr_nonnull(strstr(s, "18446744073709551615"));
    ck_assert_ptr_nonnull(strstr(s, "demo.lua"));
    free(s);
}
END_TEST

START_TEST(exported)
{
    make(at("r.db"), "clean", 0, 1, 7, 0, NULL);
    char *s = captured(results_export, at("r.db"), false);
    int lines = 0;
    for (const char *p = s; *p; p++)
        lines += *p == '\n';
    ck_assert_int_eq(lines, 1 + 7 * 3);
    ck_assert_ptr_nonnull(strstr(s, "cell,model,corruption,severity,metric,name,"
                                    "value,low,high,unit,direction,seconds\n"));
    ck_assert_ptr_nonnull(strstr(s, ",clean,\"jpeg, \"\"q\"\"\",1,retrieval,"
                                    "median_rank,0.33333333333333331,,,rank,-1,"));
    free(s);
    s = captured(results_export, at("r.db"), true);
    json_t *j = json_loads(s, JSON_REJECT_DUPLICATES, NULL);
    json_t *c = json_array_get(json_object_get(j, "cells"), 0);
    ck_assert_str_eq(json_string_value(json_object_get(
                         json_object_get(c, "provenance"), "split")), "test");
    ck_assert_uint_eq(json_array_size(json_object_get(c, "artefacts")), 1);
    ck_assert_uint_eq(json_array_size(json_object_get(j, "runs")), 1);
    json_decref(j);
    free(s);
}
END_TEST

START_TEST(diffed)
{
    make(at("a.db"), "clean", 0, 1, 6, 0, NULL);
    make(at("b.db"), "robust", 0, 1, 5, 0.5, NULL);
    diff_a = xstrdup(at("a.db"));
    diff_b = xstrdup(diff_a);
    char *s = captured(diff, NULL, false);
    ck_assert_int_eq(diff_status, 0);
    ck_assert_ptr_nonnull(strstr(s, "6 pairs, 0 changed"));
    free(s);
    free(diff_b);
    diff_b = xstrdup(at("b.db"));
    s = captured(diff, NULL, false);
    ck_assert_int_eq(diff_status, 1);
    ck_assert_ptr_nonnull(strstr(s, "paired across model: clean -> robust"));
    ck_assert_ptr_nonnull(strstr(s, "weights.sha256: hash-of-clean -> "
                                    "hash-of-robust (5)"));
    ck_assert_ptr_nonnull(strstr(s, "only in A: corruption=jpeg"));
    ck_assert_ptr_nonnull(strstr(s, "5 pairs, 5 changed, 1 only in A, 0 only"));
    free(s);
    s = captured(diff, NULL, true);
    json_t *j = json_loads(s, 0, NULL);
    json_t *c = json_array_get(json_object_get(j, "cells"), 0);
    json_t *hit = json_array_get(json_object_get(c, "samples"), 0);
    double a = json_real_value(json_object_get(hit, "a"));
    double b = json_real_value(json_object_get(hit, "b"));
    double low = json_real_value(json_object_get(hit, "low"));
    double high = json_real_value(json_object_get(hit, "high"));
    json_int_t gained = json_integer_value(json_object_get(hit, "gained"));
    json_int_t lost = json_integer_value(json_object_get(hit, "lost"));
    ck_assert_double_eq_tol(b - a, (double)(gained - lost) / ROWS, 1e-12);
    ck_assert(low > 0 && low < b - a && b - a < high); // adding never loses
    ck_assert_int_eq(lost, 0);
    ck_assert_double_eq(json_real_value(json_object_get(hit, "mcnemar_p")),
                        stats_mcnemar(0, (uint64_t)gained));
    json_t *rank = json_array_get(json_object_get(c, "samples"), 1);
    ck_assert(json_is_null(json_object_get(rank, "mcnemar_p")));
    json_decref(j);
    free(s);
    free(diff_a);
    free(diff_b);
}
END_TEST

START_TEST(merged)
{
    make(at("whole.db"), "clean", 0, 1, 13, 0, NULL);
    make(at("s1.db"), "clean", 0, 3, 13, 0, "1/3");
    make(at("s2.db"), "clean", 1, 3, 13, 0, "2/3");
    make(at("s3.db"), "clean", 2, 3, 13, 0, "3/3");
    char *in[3] = { xstrdup(at("s3.db")), xstrdup(at("s1.db")),
                    xstrdup(at("s2.db")) };
    OK(results_merge(at("m.db"), (const char *const *)in, 3, &err));
    char *a = captured(results_export, at("whole.db"), false);
    char *b = captured(results_export, at("m.db"), false);
    ck_assert_str_eq(a, b); // order, axes and every value
    free(a);
    free(b);
    struct results *r = NULL;
    struct result_samples s;
    OK(results_open_readonly(at("m.db"), &r, &err));
    int runs = 0;
    OK(results_each_run(r, check_run, &runs, &err));
    ck_assert_int_eq(runs, 3);
    OK(results_samples(r, hash_of("clean", 12), &s, &err));
    ck_assert_uint_eq(s.n_rows, ROWS);
    results_samples_free(&s);
    results_close(r);
    // Merging into a file that is there replaces it; twice the same is fine.
    free(in[2]);
    in[2] = xstrdup(at("m.db"));
    OK(results_merge(at("m.db"), (const char *const *)in, 3, &err));
    b = captured(results_list, at("m.db"), true);
    json_t *j = json_loads(b, 0, NULL), *run = json_object_get(j, "runs");
    ck_assert_uint_eq(json_array_size(run), 5);
    ck_assert_int_eq(json_integer_value(json_object_get(
                         json_array_get(run, 0), "cells")), 4);
    json_decref(j);
    free(b);
    for (int i = 0; i < 3; i++)
        free(in[i]);
}
END_TEST

START_TEST(merge_refuses_conflicts)
{
    make(at("a.db"), "clean", 0, 1, 3, 0, NULL);
    make(at("b.db"), "clean", 2, 1, 5, 0.3, NULL);
    char *in[2] = { xstrdup(at("a.db")), xstrdup(at("b.db")) };
    OK(file_write(at("m.db"), "kept", 4, &err));
    struct mohs_error e = MOHS_ERROR_INIT;
    ck_assert_int_eq(results_merge(at("m.db"), (const char *const *)in, 2, &e),
                     MOHS_E_FORMAT);
    ck_assert_ptr_nonnull(strstr(e.text, "b.db: cell model=clean corruption=fog "
                                         "severity=3 metric=retrieval: i2t_r1"));
    char *text, **v;
    size_t n;
    OK(file_read(at("m.db"), 0, &text, &n, &err));
    ck_assert_str_eq(text, "kept"); // and nothing else was left behind
    OK(dir_list(dir, &v, &n, &err));
    ck_assert_uint_eq(n, 3);
    strv_free(v);
    free(text);
    free(in[0]);
    free(in[1]);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("results");
    TCase *t = tcase_create("results");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, round_trip);
    tcase_add_test(t, runs_continue_until_done);
    tcase_add_loop_test(t, killed, 0, 5);
    tcase_add_test(t, wrong_files);
    tcase_add_test(t, damaged);
    tcase_add_test(t, printed);
    tcase_add_test(t, exported);
    tcase_add_test(t, diffed);
    tcase_add_test(t, merged);
    tcase_add_test(t, merge_refuses_conflicts);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int bad = srunner_ntests_failed(r);
    srunner_free(r);
    return bad ? 1 : 0;
}
