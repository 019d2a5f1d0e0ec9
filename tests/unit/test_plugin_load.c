/* SPDX-License-Identifier: MIT */
/* The loader and the registry: bad plugins, search, order, extensions. */
#include "config.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plugin/plugin_impl.h"

#define GOOD BUILDDIR "/tests/plugins/good/.libs/good.so"
#define BAD(name) BUILDDIR "/tests/plugins/bad/.libs/" name ".so"

static struct registry *reg;
static char dir[] = "/tmp/mohs-load-XXXXXX";

static void setup(void)
{
    log_threshold = LOG_ERROR + 1;
    setenv("XDG_DATA_HOME", "/nonexistent", 1);
    unsetenv("MOHS_PLUGIN_PATH");
}

static void open_dirs(const char *a, const char *b)
{
    const char *dirs[] = { a, b, NULL };
    struct registry_options o = { .plugin_dirs = dirs };
    struct mohs_error err = MOHS_ERROR_INIT;
    ck_assert_msg(registry_open(&o, &reg, &err) == MOHS_OK, "%s", err.text);
}

static const char *why(const char *file)
{
    const char *path, *text;
    for (size_t i = 0; registry_failure(reg, i, &path, &text); i++)
        if (!strcmp(path_base(path), file))
            return text;
    return NULL;
}

/* ---- one file ---- */

static const struct {
    const char *path, *want;
} rejects[] = {
    { BAD("bad_abi"), "built for plugin ABI 7.0, this program has 1.0" },
    { BAD("bad_entry"), "no entry point mohs_plugin_v1" },
    { BAD("bad_init"), "init: the moon is not full" },
    { BAD("bad_nothing"), "offers nothing for ABI 1.0" },
    { BAD("bad_null"), "test.t_bad: name is NULL" },
    { BAD("bad_short"), "plugin.size is 16, ABI 1.0 requires" },
    { BAD("bad_table"), "t_bad: parameter x: offset 4096 ends at 4100" },
    { BAD("bad_undefined"), "undefined symbol: nobody_defines_this" },
    { BAD("missing"), "cannot open: No such file" },
    { BUILDDIR, "not a regular file" },
    { BUILDDIR "/config.h", "not a shared object" },
};

START_TEST(rejected)
{
    struct mohs_error err = MOHS_ERROR_INIT;
    ck_assert_int_lt(registry_open_file(NULL, rejects[_i].path, &reg, &err), 0);
    ck_assert_msg(strstr(err.text, rejects[_i].want) != NULL, "got: %s",
                  err.text);
    ck_assert_ptr_null(strchr(err.text, '\n'));
    ck_assert_ptr_null(reg);
}
END_TEST

/* A file cut anywhere is a text, never a SIGBUS in the dynamic linker. */
START_TEST(truncated)
{
    char *data, path[64];
    size_t n;
    ck_assert_int_eq(file_read(GOOD, 0, &data, &n, NULL), MOHS_OK);
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/cut.so", dir);
    for (size_t keep = 0; keep < n; keep += keep < 1024 ? 13 : n / 61 + 1) {
        struct mohs_error err = MOHS_ERROR_INIT;
        ck_assert_int_eq(file_write(path, data, keep, NULL), MOHS_OK);
        ck_assert_int_lt(registry_open_file(NULL, path, &reg, &err), 0);
        ck_assert_msg(strstr(err.text, "truncated") != NULL, "%zu bytes: %s",
                      keep, err.text);
    }
    ck_assert_int_eq(file_write(path, data, n - 1, NULL), MOHS_OK);
    ck_assert_int_lt(registry_open_file(NULL, path, &reg, NULL), 0);
    unlink(path);
    rmdir(dir);
    free(data);
}
END_TEST

/* ---- a directory of everything ---- */

START_TEST(healthy_ones_survive)
{
    const struct item *it;
    struct mohs_error err = MOHS_ERROR_INIT;
    open_dirs(BUILDDIR "/tests/plugins/good", BUILDDIR "/tests/plugins/bad");
    ck_assert_int_eq(
        registry_find(reg, MOHS_KIND_CORRUPTION, "t_healthy", &it, &err),
        MOHS_OK);
    ck_assert_str_eq(it->plugin->id, "test.t_healthy");
    ck_assert_uint_eq(strlen(it->hash), 32);
    ck_assert_int_eq(
        registry_find(reg, MOHS_KIND_CORRUPTION, "t_gain", &it, &err), MOHS_OK);
    ck_assert_str_eq(it->plugin->id, "test.good");
    ck_assert_ptr_nonnull(strstr(why("duplicate.so"), "duplicate id"));
    ck_assert_ptr_nonnull(strstr(why("duplicate.so"), "good.so"));
    ck_assert_ptr_nonnull(strstr(why("bad_abi.so"), "ABI 7.0"));
    ck_assert_ptr_nonnull(strstr(why("bad_init.so"), "moon"));
    ck_assert_ptr_null(why("good.so"));
    ck_assert_ptr_null(why("healthy.so"));
    registry_close(reg);
}
END_TEST

START_TEST(ids_are_sorted)
{
    const struct item *it, *last = NULL;
    open_dirs(BUILDDIR "/tests/plugins/good", NULL);
    size_t n = 0;
    for (; (it = registry_item(reg, MOHS_KIND_CORRUPTION, n)); n++) {
        if (last)
            ck_assert_int_lt(strcmp(last->item->id, it->item->id), 0);
        last = it;
    }
    ck_assert_uint_ge(n, 3);
    ck_assert_ptr_null(registry_item(reg, "mohs.nothing/1", 0));
    registry_close(reg);
}
END_TEST

/* The same file by two ways is loaded once and is nobody's mistake. */
START_TEST(same_file_twice)
{
    const char *path, *text;
    open_dirs(BUILDDIR "/tests/plugins/good",
              BUILDDIR "/tests/plugins/good/.libs/good.so");
    for (size_t i = 0; registry_failure(reg, i, &path, &text); i++)
        ck_assert_msg(!strstr(path, "good.so"), "%s: %s", path, text);
    registry_close(reg);
}
END_TEST

START_TEST(environment_path)
{
    const struct item *it;
    struct mohs_error err = MOHS_ERROR_INIT;
    setenv("MOHS_PLUGIN_PATH",
           ":/nonexistent::" BUILDDIR "/tests/plugins/good:", 1);
    ck_assert_int_eq(chdir(BUILDDIR "/tests/plugins/bad/.libs"), 0);
    open_dirs(NULL, NULL);
    ck_assert_int_eq(
        registry_find(reg, MOHS_KIND_CORRUPTION, "t_twice", &it, &err),
        MOHS_OK);
    // Empty entries are not the working directory.
    ck_assert_int_eq(
        registry_find(reg, MOHS_KIND_CORRUPTION, "t_healthy", &it, &err),
        MOHS_E_PLUGIN);
    registry_close(reg);
}
END_TEST

START_TEST(missing_dir)
{
    const char *dirs[] = { "/nonexistent/plugins", NULL };
    struct registry_options o = { .plugin_dirs = dirs };
    struct mohs_error err = MOHS_ERROR_INIT;
    ck_assert_int_eq(registry_open(&o, &reg, &err), MOHS_E_IO);
    ck_assert_ptr_nonnull(strstr(err.text, "/nonexistent/plugins"));
}
END_TEST

START_TEST(finding)
{
    const struct item *it;
    struct mohs_error err = MOHS_ERROR_INIT;
    open_dirs(BUILDDIR "/tests/plugins/good", BUILDDIR "/tests/plugins/bad");
    ck_assert_int_eq(
        registry_find(reg, MOHS_KIND_CORRUPTION, "t_gian", &it, &err),
        MOHS_E_PLUGIN);
    ck_assert_str_eq(err.text,
                     "no corruption 't_gian' (did you mean 't_gain'?)");
    ck_assert_int_eq(
        registry_find(reg, MOHS_KIND_CORRUPTION, "bad_init", &it, &err),
        MOHS_E_PLUGIN);
    ck_assert_msg(strstr(err.text, "did not load: init: the moon") != NULL,
                  "%s", err.text);
    ck_assert_int_eq(registry_find(reg, "nonsense", "x", &it, &err),
                     MOHS_E_ARG);
    registry_close(reg);
}
END_TEST

START_TEST(words)
{
    ck_assert_str_eq(kind_word(MOHS_KIND_METRIC), "metric");
    ck_assert_str_eq(kind_from_word("attacks"), MOHS_KIND_ATTACK);
    ck_assert_str_eq(kind_from_word("model"), MOHS_KIND_MODEL);
    ck_assert_ptr_null(kind_from_word("modelss"));
    ck_assert_ptr_null(kind_from_word("mode"));
    ck_assert_ptr_null(kind_word("mohs.model/2"));
}
END_TEST

/* ---- the host ---- */

START_TEST(extensions)
{
    static const int table = 7;
    open_dirs(NULL, NULL);
    const struct mohs_host *h = registry_host(reg);
    ck_assert_uint_eq(h->abi, MOHS_ABI);
    const struct mohs_log_api *log = h->get_extension(h, MOHS_EXT_LOG);
    ck_assert_ptr_nonnull(log);
    ck_assert_uint_eq(log->size, sizeof *log);
    ck_assert_ptr_null(h->get_extension(h, "mohs.nothing/1"));
    ck_assert_ptr_null(h->get_extension(h, NULL));
    registry_extend(reg, "mohs.test/1", &table);
    ck_assert_ptr_eq(h->get_extension(h, "mohs.test/1"), &table);
    registry_close(reg);
}
END_TEST

START_TEST(scratch)
{
    open_dirs(NULL, NULL);
    const struct mohs_host *h = registry_host(reg);
    const struct mohs_scratch_api *s = h->get_extension(h, MOHS_EXT_SCRATCH);
    ck_assert_ptr_nonnull(s);
    for (int round = 0; round < 3; round++) {
        unsigned char *p[40];
        for (size_t i = 0; i < 40; i++) {
            p[i] = s->alloc(h, i * 1000);
            ck_assert_ptr_nonnull(p[i]);
            ck_assert_uint_eq((uintptr_t)p[i] % 64, 0);
            memset(p[i], (int)i, i * 1000);
        }
        size_t other = 0;
        for (size_t i = 0; i < 40; i++)
            for (size_t k = 0; k < i * 1000; k++)
                other += p[i][k] != i;
        ck_assert_uint_eq(other, 0);
        scratch_reset();
    }
    ck_assert_ptr_null(s->alloc(h, SIZE_MAX));
    scratch_reset();
    registry_close(reg);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("plugin_load");
    TCase *t = tcase_create("loader");
    tcase_add_checked_fixture(t, setup, NULL);
    tcase_add_loop_test(t, rejected, 0,
                        (int)(sizeof rejects / sizeof *rejects));
    tcase_add_test(t, truncated);
    tcase_add_test(t, healthy_ones_survive);
    tcase_add_test(t, ids_are_sorted);
    tcase_add_test(t, same_file_twice);
    tcase_add_test(t, missing_dir);
    tcase_add_test(t, finding);
    tcase_add_test(t, words);
    tcase_add_test(t, extensions);
    tcase_add_test(t, scratch);
    tcase_add_test(t, environment_path);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
