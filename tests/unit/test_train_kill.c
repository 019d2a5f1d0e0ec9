/* SPDX-License-Identifier: MIT */
/*
 * kill -9 in the middle of training, several times, then run to the end: the
 * file equals that of a run left alone, bit for bit. The victim is this very
 * program started again (a context made before a fork hangs PoCL's child).
 */
#include "config.h"

#include <check.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "unit/train_tiny.h"

extern char **environ;
static const char *self;

/* A run long enough to be shot at, adversarial in its second half. */
static void configure(struct tiny *t)
{
    struct train_options *o = &t->o;
    o->steps = 14;
    o->ema = 0.9f;
    o->crop_min = 0.7f;
    o->flip = true;
    o->f16 = true;
    o->checkpoint_every = 3;
    o->attack.kind = ADVERSARY_GRADIENT;
    o->attack.random_start = true;
    o->attack.steps = 2;
    o->attack.kl = 0.5f;
    o->attack.average = true;
    o->attack.start = 6;
    o->attack.ramp = 3;
}

static void die_at(void *user, const struct train_progress *p)
{
    if (p->step == *(const uint32_t *)user)
        raise(SIGKILL);
}

/* The victim: trains until it dies at step `at`; 0: to the end. */
static const char *out;
static uint32_t at, steps_done;

START_TEST(victim)
{
    struct tiny t;
    struct train_result r;
    struct mohs_error err = MOHS_ERROR_INIT;
    tiny_make(&t);
    tiny_open(&t);
    configure(&t);
    t.o.out = out;
    t.o.progress = die_at;
    t.o.user = &at;
    mohs_status st = train_run(t.registry, &t.o, &r, &err);
    ck_assert_msg(st >= 0, "%s", err.text);
    free(r.curve);
    steps_done = r.steps;
    tiny_remove(&t);
}
END_TEST

static int run_one(const TTest *test, enum fork_status forks)
{
    Suite *s = suite_create("train_kill");
    TCase *c = tcase_create("kill");
    tcase_add_test(c, test);
    tcase_set_timeout(c, 300);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_set_fork_status(r, forks);
    srunner_run_all(r, forks == CK_NOFORK ? CK_MINIMAL : CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed;
}

/* Exit status of a victim, or -1 when it was killed. */
static int start_victim(const char *file, uint32_t death)
{
    char number[16], *argv[] = { (char *)self, (char *)"victim", (char *)file, number,
                                 NULL };
    pid_t pid;
    int status;
    snprintf(number, sizeof number, "%u", death);
    ck_assert_int_eq(posix_spawn(&pid, self, NULL, NULL, argv, environ), 0);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    if (WIFSIGNALED(status)) {
        ck_assert_int_eq(WTERMSIG(status), SIGKILL);
        return -1;
    }
    ck_assert(WIFEXITED(status));
    return WEXITSTATUS(status);
}

/* The directories of the killed, with what is in them. */
static void clear(const char *dir)
{
    char **name = NULL;
    size_t n = 0;
    if (dir_list(dir, &name, &n, NULL) < 0)
        return;
    for (size_t i = 0; i < n; i++) {
        char *p = path_join(dir, name[i]);
        if (unlink(p))
            clear(p);
        free(p);
    }
    strv_free(name);
    rmdir(dir);
}

START_TEST(killed)
{
    static const uint32_t deaths[] = { 2, 4, 5, 9, 13 };
    char dir[] = "/tmp/mohs_kill.XXXXXX", *data[2];
    size_t n[2];
    struct mohs_error err = MOHS_ERROR_INIT;
    ck_assert_ptr_nonnull(mkdtemp(dir));
    setenv("TMPDIR", dir, 1);
    char *whole = path_join(dir, "whole.safetensors");
    char *parts = path_join(dir, "parts.safetensors");
    ck_assert_int_eq(start_victim(whole, 0), 14);
    for (size_t i = 0; i < sizeof deaths / sizeof *deaths; i++) {
        ck_assert_int_eq(start_victim(parts, deaths[i]), -1);
        ck_assert(!file_exists(parts));
    }
    ck_assert_int_eq(start_victim(parts, 0), 2); // from the checkpoint at 12
    ck_assert(file_read(whole, 0, &data[0], &n[0], &err) >= 0);
    ck_assert(file_read(parts, 0, &data[1], &n[1], &err) >= 0);
    ck_assert_uint_eq(n[0], n[1]);
    ck_assert_int_eq(memcmp(data[0], data[1], n[0]), 0);
    free(data[0]);
    free(data[1]);
    char *state = path_join(dir, "parts.safetensors.ckpt");
    ck_assert(!file_exists(state));
    free(state);
    clear(dir);
    ck_assert(!dir_exists(dir));
    free(whole);
    free(parts);
}
END_TEST

int main(int argc, char **argv)
{
    self = "/proc/self/exe";
    if (argc == 4 && !strcmp(argv[1], "victim")) {
        out = argv[2];
        at = (uint32_t)strtoul(argv[3], NULL, 10);
        return run_one(victim, CK_NOFORK) ? 99 : (int)steps_done;
    }
    int skip = tiny_need_device();
    if (skip)
        return skip;
    return run_one(killed, CK_FORK_GETENV) ? EXIT_FAILURE : EXIT_SUCCESS;
}
