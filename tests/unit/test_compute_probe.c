/* SPDX-License-Identifier: MIT */
/* A driver that crashes or hangs becomes a report, never our end. */
#include "config.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "compute/compute.h"

static struct mohs_error err = MOHS_ERROR_INIT;

static void use_broken(const char *how)
{
    char *so = xasprintf("%s/tests/unit/.libs/broken_icd.so\n", BUILDDIR);
    char *icd = xasprintf("%s/tests/unit/broken.%s.icd", BUILDDIR, how);
    ck_assert_int_ge(file_write(icd, so, strlen(so), &err), 0);
    setenv("OCL_ICD_VENDORS", icd, 1);
    setenv("BROKEN_ICD", how, 1);
    setenv("MOHS_PROBE_TIMEOUT", "1", 1);
    free(icd);
    free(so);
}

static void crash_or_hang(const char *how, const char *text)
{
    struct device_report *r;
    struct compute *c;
    size_t n;
    use_broken(how);
    double t0 = now_s();
    ck_assert_int_eq(compute_probe(&r, &n, &err), 0);
    ck_assert_double_lt(now_s() - t0, 10);
    ck_assert_uint_eq(n, 1);
    ck_assert(!r[0].usable);
    ck_assert_msg(strstr(r[0].problem, text) != NULL, "%s", r[0].problem);
    free(r);
    ck_assert_int_eq(compute_open(NULL, &c, &err), MOHS_E_DEVICE);
    ck_assert_msg(strstr(err.text, text) != NULL, "%s", err.text);
    ck_assert_ptr_null(c);
}

START_TEST(crash)
{
    crash_or_hang("crash", "crashed while being probed (signal 9)");
}
END_TEST

START_TEST(hang)
{
    crash_or_hang("hang", "did not answer within 1 s");
}
END_TEST

START_TEST(nothing_installed)
{
    struct device_report *r;
    struct compute *c;
    size_t n;
    setenv("OCL_ICD_VENDORS", "/nowhere/", 1);
    ck_assert_int_eq(compute_probe(&r, &n, &err), 0);
    ck_assert_uint_eq(n, 0);
    free(r);
    ck_assert_int_eq(compute_open("gpu", &c, &err), MOHS_E_DEVICE);
    ck_assert_msg(strstr(err.text, "pocl-opencl-icd") != NULL, "%s", err.text);
}
END_TEST

/* The list of devices is kept for the life of a process: one process per
 * case, whether Check forks or not. */
int main(int argc, char **argv)
{
    static const char *const cases[] = { "crash", "hang", "nothing" };
    int failed = 0;
    for (int i = 0; i < 3 && argc == 1; i++) {
        pid_t pid = fork();
        if (!pid) {
            execl(argv[0], argv[0], cases[i], (char *)NULL);
            _exit(127);
        }
        int st = 0;
        failed += waitpid(pid, &st, 0) != pid || st != 0;
    }
    if (argc == 1)
        return failed ? EXIT_FAILURE : EXIT_SUCCESS;
    Suite *s = suite_create(argv[1]);
    TCase *t = tcase_create(argv[1]);
    tcase_set_timeout(t, 20);
    if (!strcmp(argv[1], "crash"))
        tcase_add_test(t, crash);
    else if (!strcmp(argv[1], "hang"))
        tcase_add_test(t, hang);
    else
        tcase_add_test(t, nothing_installed);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
