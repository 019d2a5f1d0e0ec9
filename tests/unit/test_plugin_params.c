/* SPDX-License-Identifier: MIT */
/* Parameter tables: judged when loaded, filled, set, printed, hashed. */
#include "config.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "plugin/plugin_impl.h"

struct params {
    int32_t n;
    float gain;
    int32_t flag, mode;
    const char *label;
    struct mohs_ints list;
    const char *files;
};

/* A row as a later ABI might have it: the stride skips what is new. */
struct wide_param {
    struct mohs_param p;
    double unknown[3];
};

static const char *const modes[] = { "linf", "l2", "l1", NULL };
static const struct wide_param table[] = {
    { { "n", "d", MOHS_P_INT, offsetof(struct params, n), 3, 1, 9, NULL, NULL },
      { 0 } },
    { { "gain", "d", MOHS_P_FLOAT, offsetof(struct params, gain), 0.1, 0, 2,
        NULL, NULL },
      { 0 } },
    { { "flag", "d", MOHS_P_BOOL, offsetof(struct params, flag), 1, 0, 0, NULL,
        NULL },
      { 0 } },
    { { "mode", "d", MOHS_P_CHOICE, offsetof(struct params, mode), 1, 0, 0,
        modes, NULL },
      { 0 } },
    { { "label", "d", MOHS_P_STRING, offsetof(struct params, label), 0, 0, 0,
        NULL, "plain" },
      { 0 } },
    { { "list", "d", MOHS_P_INTS, offsetof(struct params, list), 0, 1, 99, NULL,
        "1,5, 10" },
      { 0 } },
    { { "files", "d", MOHS_P_PATHS, offsetof(struct params, files), 0, 0, 0, NULL, NULL },
      { 0 } },
};

static mohs_status create(const struct mohs_host *host, const void *params,
                          void **self, struct mohs_error *err)
{
    (void)host;
    (void)params;
    (void)err;
    *self = NULL;
    return MOHS_OK;
}

static mohs_status apply(void *self, const struct mohs_images *in,
                         struct mohs_images *out, uint32_t severity,
                         uint64_t seed, struct mohs_error *err)
{
    (void)self;
    (void)in;
    (void)out;
    (void)severity;
    (void)seed;
    (void)err;
    return MOHS_OK;
}

static const struct mohs_corruption_ops ops = {
    .size = sizeof ops, .create = create, .destroy = free, .apply = apply
};
static const struct mohs_item thing = { .size = sizeof thing,
                                        .param_stride = sizeof *table,
                                        .kind = MOHS_KIND_CORRUPTION,
                                        .id = "thing",
                                        .summary = "a test",
                                        .params = &table[0].p,
                                        .n_params = 7,
                                        .params_size = sizeof(struct params),
                                        .ops = &ops };
static const struct item it = { .item = &thing };

static struct params *p;
static struct mohs_error err = MOHS_ERROR_INIT;

static void setup(void)
{
    p = item_params_new(&it);
}

static void teardown(void)
{
    item_params_free(&it, p);
}

START_TEST(defaults)
{
    ck_assert_int_eq(p->n, 3);
    ck_assert(p->gain == 0.1f);
    ck_assert_int_eq(p->flag, 1);
    ck_assert_int_eq(p->mode, 1);
    ck_assert_str_eq(p->label, "plain");
    ck_assert_int_eq(p->list.n, 3);
    ck_assert_int_eq(p->list.v[2], 10);
}
END_TEST

static const struct {
    const char *name, *text, *error; /* error NULL: accepted */
} sets[] = {
    { "n", "9", NULL },
    { "n", "4/2", NULL },
    { "n", "9.5", "thing: n 9.5 is not an integer" },
    { "n", "10", "thing: n 10 is outside 1..9" },
    { "n", "1e300", "thing: n 1e+300 is outside 1..9" },
    { "n", "", "thing: n: '' is not a number" },
    { "n", "3x", "thing: n: '3x' is not a number" },
    { "gain", "8/255", NULL },
    { "gain", "8/0", "thing: gain: '8/0' is not a number" },
    { "gain", "1/2/3", "thing: gain: '1/2/3' is not a number" },
    { "gain", "nan", "thing: gain: 'nan' is not a number" },
    { "gain", "-1e-9", "thing: gain -1e-09 is outside 0..2" },
    { "gain", "2", NULL },
    { "flag", "off", NULL },
    { "flag", "True", NULL },
    { "flag", "2", "thing: flag: '2' is not true or false" },
    { "mode", "l1", NULL },
    { "mode", "l3", "thing: mode: 'l3' is not one of linf, l2, l1" },
    { "label", "any, thing", NULL },
    { "label", "\xff", "thing: label is not valid UTF-8" },
    { "list", "", NULL },
    { "list", "7", NULL },
    { "list", "7,", "thing: list: '7,' is not a list of at most 16 integers" },
    { "list", "1,100", "thing: list 100 is outside 1..99" },
    { "list", "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17",
      "thing: list: '1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17' is not a list "
      "of at most 16 integers" },
    { "lst", "1", "thing: no parameter 'lst' (did you mean 'list'?)" },
    { "zzzzzzzzz", "1", "thing: no parameter 'zzzzzzzzz'" },
};

START_TEST(setting)
{
    mohs_status st =
        item_param_set_text(&it, p, sets[_i].name, sets[_i].text, &err);
    if (sets[_i].error) {
        ck_assert_int_eq(st, MOHS_E_ARG);
        ck_assert_str_eq(err.text, sets[_i].error);
    } else {
        ck_assert_msg(st == MOHS_OK, "%s", err.text);
    }
}
END_TEST

START_TEST(numbers)
{
    static const int32_t list[] = { 2, 4 };
    ck_assert_int_eq(item_param_set_text(&it, p, "gain", "8/255", &err),
                     MOHS_OK);
    ck_assert(p->gain == 8.0f / 255.0f);
    ck_assert_int_eq(item_param_set_number(&it, p, "n", 7, &err), MOHS_OK);
    ck_assert_int_eq(p->n, 7);
    ck_assert_int_lt(item_param_set_number(&it, p, "n", NAN, &err), 0);
    ck_assert_int_eq(item_param_set_number(&it, p, "flag", 0, &err), MOHS_OK);
    ck_assert_int_eq(p->flag, 0);
    ck_assert_int_lt(item_param_set_number(&it, p, "label", 1, &err), 0);
    ck_assert_int_lt(item_param_set_number(&it, p, "mode", 1, &err), 0);
    ck_assert_int_eq(item_param_set_ints(&it, p, "list", list, 2, &err),
                     MOHS_OK);
    ck_assert_int_eq(p->list.n, 2);
    ck_assert_int_eq(item_param_set_ints(&it, p, "n", list, 1, &err), MOHS_OK);
    ck_assert_int_eq(p->n, 2);
    ck_assert_int_lt(item_param_set_ints(&it, p, "n", list, 2, &err), 0);
    ck_assert_int_eq(item_param_set_number(&it, p, "list", 9, &err), MOHS_OK);
    ck_assert_int_eq(p->list.n, 1);
}
END_TEST

/* Reads back through set_text what params_text printed. */
START_TEST(printing)
{
    struct str all = { 0 }, some = { 0 };
    item_params_text(&it, p, true, &all);
    ck_assert_str_eq(all.s, "n=3,gain=0.1,flag=true,mode=l2,label=plain,"
                            "list=\"1,5,10\",files=");
    item_params_text(&it, p, false, &some);
    ck_assert_str_eq(some.s, "");
    item_param_set_text(&it, p, "gain", "1/3", &err);
    item_param_set_text(&it, p, "label", "a \"b\"", &err);
    item_params_text(&it, p, false, &some);
    ck_assert_str_eq(some.s, "gain=0.33333334,label=\"a \\\"b\\\"\"");
    ck_assert(strtof("0.33333334", NULL) == p->gain);
    str_free(&all);
    str_free(&some);
}
END_TEST

static struct hash128 hash(void)
{
    struct hasher *h = hasher_new();
    item_params_hash(&it, p, h);
    return hasher_end(h);
}

START_TEST(hashing)
{
    static const char *const change[][2] = {
        { "n", "4" },     { "gain", "0.2" },    { "flag", "0" },
        { "mode", "l1" }, { "label", "other" }, { "list", "1,5" },
    };
    struct hash128 first = hash(), again = hash();
    ck_assert_uint_eq(first.lo, again.lo);
    ck_assert_uint_eq(first.hi, again.hi);
    for (size_t i = 0; i < 6; i++) {
        struct hash128 before = hash();
        ck_assert_int_eq(
            item_param_set_text(&it, p, change[i][0], change[i][1], &err),
            MOHS_OK);
        ck_assert_uint_ne(hash().lo, before.lo);
    }
}
END_TEST

/* Of files that are named the content counts, not only the name. */
START_TEST(contents)
{
    struct hash128 one, two, files;
    ck_assert(!item_files_hash(&it, p, &files));
    ck_assert_int_eq(file_write("params.content", "one", 3, &err), MOHS_OK);
    ck_assert_int_eq(item_param_set_text(&it, p, "files", "params.content", &err), MOHS_OK);
    ck_assert_str_eq(item_param_string(&it, p, "files"), "params.content");
    ck_assert_int_eq(item_param_set_number(&it, p, "files", 3, &err), MOHS_E_ARG);
    ck_assert(item_files_hash(&it, p, &files));
    one = hash();
    ck_assert_uint_eq(hash().lo, one.lo);
    ck_assert_int_eq(file_write("params.content", "two", 3, &err), MOHS_OK);
    two = hash();
    ck_assert_uint_ne(two.lo, one.lo);
    struct hash128 other;
    ck_assert(item_files_hash(&it, p, &other));
    ck_assert_uint_ne(other.lo, files.lo);
    unlink("params.content");
    ck_assert_uint_ne(hash().lo, two.lo);
}
END_TEST

/* ---- tables that must not load ---- */

static struct mohs_param row;
static struct mohs_item bad;
static struct mohs_corruption_ops bad_ops;
static struct mohs_plugin plugin;
static const struct mohs_item *items[3];

static void healthy(void)
{
    bad = thing;
    bad_ops = ops;
    row = table[1].p;
    bad.ops = &bad_ops;
    bad.params = &row;
    bad.param_stride = sizeof row;
    bad.n_params = 1;
    items[0] = &bad;
    items[1] = items[2] = NULL;
    struct mohs_plugin fresh = { .size = sizeof fresh,
                                 .abi = MOHS_ABI,
                                 .id = "p",
                                 .name = "p",
                                 .version = "1",
                                 .license = "MIT",
                                 .items = items };
    plugin = fresh;
}

static const char *const none[] = { NULL };
static char long_id[80];

static void breaks(int how)
{
    switch (how) {
    case 0: row.offset = 2; break;
    case 1: row.offset = sizeof(struct params) - 2; break;
    case 2: row.offset = UINT32_MAX - 1; break;
    case 3: row.def = 3; break;
    case 4: row.def = NAN; break;
    case 5: row.min = 5; break;
    case 6: row.max = NAN; break;
    case 7: row.name = NULL; break;
    case 8: row.name = "Bad-Name"; break;
    case 9: row.doc = NULL; break;
    case 10: row.doc = "two\nlines"; break;
    case 11: row.type = 0; break;
    case 12: row.type = 99; break;
    case 13:
        row.type = MOHS_P_CHOICE;
        row.offset = 0;
        break;
    case 14:
        row.type = MOHS_P_CHOICE;
        row.choices = none;
        break;
    case 15:
        row.type = MOHS_P_CHOICE;
        row.choices = modes;
        row.def = 3;
        break;
    case 16:
        row.type = MOHS_P_INT;
        row.def = 0.5;
        break;
    case 17:
        row.type = MOHS_P_BOOL;
        row.def = 0.5;
        break;
    case 18:
        row.type = MOHS_P_INTS;
        row.offset = 32;
        row.def_text = "1,x";
        break;
    case 19:
        row.type = MOHS_P_INTS;
        row.offset = 32;
        row.def_text = "9";
        break;
    case 20: bad.params = NULL; break;
    case 21: bad.param_stride = 8; break;
    case 22: bad.params_size = 0; break;
    case 23: bad.size = 8; break;
    case 24: bad.kind = NULL; break;
    case 25: bad.kind = "mohs.corruption/9"; break;
    case 26: bad.id = NULL; break;
    case 27: bad.id = "9lives"; break;
    case 28: bad.id = ""; break;
    case 29: bad.id = long_id; break;
    case 30: bad.summary = NULL; break;
    case 31: bad.summary = "\xff\xfe"; break;
    case 32: bad.ops = NULL; break;
    case 33: bad_ops.size = 8; break;
    case 34: bad_ops.create = NULL; break;
    case 35: bad_ops.destroy = NULL; break;
    case 36: bad_ops.apply = NULL; break;
    case 37: bad_ops.flags = MOHS_CORRUPTION_TEXT; break;
    case 38: items[1] = &bad; break;
    case 39: plugin.items = NULL; break;
    case 40: items[0] = NULL; break;
    case 41: plugin.id = NULL; break;
    case 42: plugin.license = ""; break;
    case 43: plugin.size = offsetof(struct mohs_plugin, exit); break;
    case 44: bad.n_params = 100000; break;
    default: break;
    }
}

START_TEST(tables)
{
    memset(long_id, 'a', sizeof long_id - 1);
    healthy();
    ck_assert_msg(plugin_validate(&plugin, &err) == MOHS_OK, "%s", err.text);
    breaks(_i);
    err.text[0] = 0;
    ck_assert_int_lt(plugin_validate(&plugin, &err), 0);
    ck_assert_msg(err.text[0] && !strchr(err.text, '\n'), "%d: %s", _i,
                  err.text);
}
END_TEST

START_TEST(overlap)
{
    struct mohs_param two[2] = { table[0].p, table[1].p };
    healthy();
    bad.params = two;
    bad.n_params = 2;
    ck_assert_int_eq(plugin_validate(&plugin, &err), MOHS_OK);
    two[1].offset = two[0].offset;
    ck_assert_int_lt(plugin_validate(&plugin, &err), 0);
    ck_assert_ptr_nonnull(strstr(err.text, "overlap"));
    two[1].offset = table[1].p.offset;
    two[1].name = two[0].name;
    ck_assert_int_lt(plugin_validate(&plugin, &err), 0);
    ck_assert_ptr_nonnull(strstr(err.text, "twice"));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("plugin_params");
    TCase *t = tcase_create("params");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, defaults);
    tcase_add_loop_test(t, setting, 0, (int)(sizeof sets / sizeof *sets));
    tcase_add_test(t, numbers);
    tcase_add_test(t, printing);
    tcase_add_test(t, hashing);
    tcase_add_test(t, contents);
    tcase_add_loop_test(t, tables, 0, 45);
    tcase_add_test(t, overlap);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
