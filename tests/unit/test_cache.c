/* SPDX-License-Identifier: MIT */
/* The embedding cache: round trips, damage, kills, sharing, collection. */
#include "config.h"

#include <check.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cache/cache.h"
#include "cache/frame.h"

static char *dir;

static void setup(void)
{
    const char *tmp = getenv("TMPDIR");
    dir = xasprintf("%s/mohs-cache-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    log_threshold = LOG_ERROR;
}

static void remove_tree(const char *path)
{
    char **v = NULL;
    size_t n = 0;
    if (dir_list(path, &v, &n, NULL) >= 0) {
        for (size_t i = 0; i < n; i++) {
            char *p = path_join(path, v[i]);
            if (dir_exists(p))
                remove_tree(p);
            else
                unlink(p);
            free(p);
        }
        strv_free(v);
    }
    rmdir(path);
}

static void teardown(void)
{
    remove_tree(dir);
    free(dir);
}

static struct cache *open_cache(void)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    struct cache *c = NULL;
    ck_assert_msg(cache_open(dir, &c, &e) >= 0, "%s", e.text);
    return c;
}

static struct hash128 key_of(uint32_t i)
{
    return hash_bytes(&i, sizeof i);
}

static void row_of(uint32_t i, uint32_t dim, float *row)
{
    for (uint32_t j = 0; j < dim; j++)
        row[j] = sinf((float)(i * 131 + j) * 0.37f);
}

static void put(struct cache *c, uint32_t from, uint32_t to, uint32_t dim)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    float *row = xmalloc(dim * sizeof *row);
    for (uint32_t i = from; i < to; i++) {
        row_of(i, dim, row);
        ck_assert_msg(cache_put(c, key_of(i), row, dim, &e) >= 0, "%s", e.text);
    }
    free(row);
}

/* Number of the rows [from, to) that are there; those are bit-identical. */
static uint32_t have(struct cache *c, uint32_t from, uint32_t to, uint32_t dim)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    float *row = xmalloc(dim * sizeof *row), *want = xmalloc(dim * sizeof *row);
    uint32_t n = 0;
    for (uint32_t i = from; i < to; i++) {
        int32_t got = cache_get(c, key_of(i), row, dim, &e);
        ck_assert_msg(got >= 0, "%s", e.text);
        row_of(i, dim, want);
        if (got)
            ck_assert_mem_eq(row, want, dim * sizeof *row);
        n += (uint32_t)got;
    }
    free(row);
    free(want);
    return n;
}

static char *only_shard(void)
{
    char **v, *found = NULL;
    ck_assert_int_ge(dir_list(dir, &v, NULL, NULL), 0);
    for (char **p = v; *p; p++) {
        if (!str_ends(*p, ".shard"))
            continue;
        ck_assert_ptr_null(found);
        found = path_join(dir, *p);
    }
    strv_free(v);
    ck_assert_ptr_nonnull(found);
    return found;
}

START_TEST(round_trip)
{
    struct cache *c = open_cache();
    struct cache_stat s;
    struct mohs_error e = MOHS_ERROR_INIT;
    put(c, 0, 2000, 192);
    put(c, 5000, 5003, 100000); // longer than a frame
    for (uint32_t i = 0; i < 60; i++) // more row lengths than buffers
        put(c, 10000 + i, 10001 + i, 1 + i % 6);
    ck_assert_uint_eq(have(c, 0, 2000, 192), 2000); // partly still pending
    ck_assert_uint_eq(have(c, 2000, 2100, 192), 0);
    float nan = NAN;
    put(c, 0, 10, 192); // again: no second copy
    ck_assert_int_ge(cache_put(c, key_of(20000), &nan, 1, &e), 0);
    cache_close(c);
    c = open_cache();
    ck_assert_uint_eq(have(c, 0, 2000, 192), 2000);
    ck_assert_uint_eq(have(c, 5000, 5003, 100000), 3);
    for (uint32_t i = 0; i < 60; i++)
        ck_assert_uint_eq(have(c, 10000 + i, 10001 + i, 1 + i % 6), 1);
    nan = 0;
    ck_assert_int_eq(cache_get(c, key_of(20000), &nan, 1, &e), 1);
    ck_assert(isnan(nan));
    ck_assert_int_eq(cache_get(c, key_of(20000), &nan, 2, &e), MOHS_E_ARG);
    ck_assert_ptr_nonnull(strstr(e.text, "has 1 numbers, not 2"));
    ck_assert_int_eq(cache_put(c, key_of(1), &nan, 0, &e), MOHS_E_ARG);
    ck_assert_int_ge(cache_verify(c, &s, &e), 0);
    ck_assert_uint_eq(s.rows, 2064);
    ck_assert_uint_eq(s.shards, 1);
    ck_assert_uint_eq(s.damaged_frames, 0);
    ck_assert_uint_lt(s.file_bytes, s.raw_bytes + s.rows * 16 + s.frames * 128 + 64);
    cache_close(c);
}
END_TEST

START_TEST(reading_makes_no_shard)
{
    struct cache *c = open_cache();
    struct cache_stat s;
    ck_assert_uint_eq(have(c, 0, 3, 4), 0);
    ck_assert_int_ge(cache_stat(c, &s, NULL), 0);
    ck_assert_uint_eq(s.shards, 0);
    cache_close(c);
}
END_TEST

/* Where to flip a byte: in the shard's head, a frame's head, keys, payload. */
static const struct {
    uint64_t at;
    uint32_t left_min, left_max; /* rows of 1000 that stay */
} damage[] = {
    { 3, 1000, 1000 },            { FRAME_HEAD + 1, 650, 750 },
    { FRAME_HEAD + 9, 650, 750 }, { FRAME_HEAD + 70, 650, 750 },
    { 200000, 650, 750 },
};
START_TEST(damaged)
{
    struct cache *c = open_cache();
    struct cache_stat s;
    struct mohs_error e = MOHS_ERROR_INIT;
    put(c, 0, 1000, 200);
    cache_close(c);
    char *path = only_shard(), byte;
    int fd = open(path, O_RDWR);
    ck_assert_int_eq(pread(fd, &byte, 1, (off_t)damage[_i].at), 1);
    byte ^= 0x40;
    ck_assert_int_eq(pwrite(fd, &byte, 1, (off_t)damage[_i].at), 1);
    close(fd);
    c = open_cache();
    uint32_t left = have(c, 0, 1000, 200);
    ck_assert_uint_ge(left, damage[_i].left_min);
    ck_assert_uint_le(left, damage[_i].left_max);
    ck_assert_int_ge(cache_verify(c, &s, &e), 0);
    ck_assert_uint_eq(s.damaged_frames, 1);
    put(c, 0, 1000, 200); // computed again
    ck_assert_uint_eq(have(c, 0, 1000, 200), 1000);
    ck_assert_int_ge(cache_gc(c, 0, &s, &e), 0);
    ck_assert_uint_eq(s.damaged_frames, 0);
    ck_assert_uint_eq(s.rows, 1000);
    ck_assert_uint_eq(have(c, 0, 1000, 200), 1000);
    cache_close(c);
    free(path);
}
END_TEST

START_TEST(truncated)
{
    struct cache *c = open_cache();
    put(c, 0, 1000, 200);
    cache_close(c);
    char *path = only_shard();
    struct stat sb;
    ck_assert_int_eq(stat(path, &sb), 0);
    uint32_t before = 1000;
    for (off_t n = sb.st_size; n > 0; n = n < 40 ? n - 1 : n * 4 / 5 - 3) {
        struct cache_stat s;
        ck_assert_int_eq(truncate(path, n), 0);
        c = open_cache();
        uint32_t left = have(c, 0, 1000, 200);
        ck_assert_uint_le(left, before);
        before = left;
        ck_assert_int_ge(cache_stat(c, &s, NULL), 0);
        ck_assert_uint_eq(s.damaged_frames, 0); // a torn tail is no damage
        cache_close(c);
    }
    ck_assert_uint_eq(before, 0);
    free(path);
}
END_TEST

START_TEST(killed_writer)
{
    int pipefd[2];
    ck_assert_int_eq(pipe(pipefd), 0);
    pid_t pid = fork();
    if (!pid) {
        struct cache *c = open_cache();
        put(c, 0, 3000, 200); // ends in the middle of a frame
        if (write(pipefd[1], "x", 1) != 1)
            _exit(1);
        pause();
        _exit(0);
    }
    char x;
    ck_assert_int_eq(read(pipefd[0], &x, 1), 1);
    struct cache *c = open_cache(); // shares with the living writer
    struct cache_stat s;
    uint32_t while_alive = have(c, 0, 3000, 200);
    ck_assert_uint_ge(while_alive, 2600);
    ck_assert_int_ge(cache_gc(c, 1, &s, NULL), 0); // leaves its shard alone
    ck_assert_uint_eq(s.shards, 1);
    ck_assert_uint_eq(have(c, 0, 3000, 200), while_alive);
    cache_close(c);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    c = open_cache();
    ck_assert_uint_eq(have(c, 0, 3000, 200), while_alive);
    cache_close(c);
    free(only_shard()); // taken over under its final name
    close(pipefd[0]);
    close(pipefd[1]);
}
END_TEST

START_TEST(gc_joins_and_limits)
{
    struct cache_stat s;
    struct cache *c, *other = open_cache();
    for (uint32_t i = 0; i < 60; i++) { // more shards than open files
        c = open_cache();
        put(c, i * 50, i * 50 + 50, 64);
        if (i == 30) // unseen by `other`: duplicates
            put(other, 0, 200, 64);
        cache_close(c);
    }
    cache_close(other);
    c = open_cache();
    ck_assert_uint_eq(have(c, 0, 3000, 64), 3000);
    other = open_cache();
    ck_assert_int_ge(cache_gc(c, 0, &s, NULL), 0);
    ck_assert_uint_eq(s.shards, 1);
    ck_assert_uint_eq(s.rows, 3000);
    ck_assert_uint_eq(s.raw_bytes, 3000u * 64 * 4);
    ck_assert_uint_eq(have(c, 0, 3000, 64), 3000);
    // A reader whose shards were removed misses, and nothing worse.
    ck_assert_uint_le(have(other, 0, 3000, 64), 3000);
    cache_close(other);
    ck_assert_int_ge(cache_gc(c, s.file_bytes / 2, &s, NULL), 0);
    ck_assert_uint_le(s.file_bytes, 3000u * 64 * 2);
    ck_assert_uint_ge(s.rows, 1000);
    ck_assert_uint_eq(have(c, 200, 300, 64), 0); // the oldest went
    ck_assert_uint_eq(have(c, 2950, 3000, 64), 50);
    ck_assert_uint_eq(have(c, 0, 200, 64), 200); // written again, at the end
    cache_close(c);
}
END_TEST

struct worker {
    struct cache *c;
    uint32_t from;
};
static void *work(void *p)
{
    const struct worker *w = p;
    float row[96];
    for (uint32_t i = w->from; i < w->from + 500; i++) {
        row_of(i, 96, row);
        if (cache_put(w->c, key_of(i), row, 96, NULL) < 0 ||
            cache_get(w->c, key_of(i - i % 3), row, 96, NULL) < 0)
            return p;
    }
    return NULL;
}

START_TEST(threads)
{
    struct cache *c = open_cache();
    struct worker w[4];
    pthread_t t[4];
    for (uint32_t i = 0; i < 4; i++) {
        w[i] = (struct worker) { c, i * 250 };
        ck_assert_int_eq(pthread_create(&t[i], NULL, work, &w[i]), 0);
    }
    for (uint32_t i = 0; i < 4; i++) {
        void *failed;
        pthread_join(t[i], &failed);
        ck_assert_ptr_null(failed);
    }
    ck_assert_uint_eq(have(c, 0, 1250, 96), 1250);
    cache_close(c);
}
END_TEST

START_TEST(newer_version_is_left_alone)
{
    char *path = path_join(dir, "0000000000000001-00000001-1-0.shard");
    uint8_t head[FRAME_HEAD + 10] = { 0 };
    frame_shard_header(head);
    head[8] = 99;
    uint64_t sum = hash_bytes(head, 56).lo;
    for (int i = 0; i < 8; i++)
        head[56 + i] = (uint8_t)(sum >> 8 * i);
    ck_assert_int_ge(file_write(path, head, sizeof head, NULL), 0);
    struct cache *c = open_cache();
    struct cache_stat s;
    put(c, 0, 10, 8);
    ck_assert_int_ge(cache_gc(c, 1, &s, NULL), 0);
    ck_assert(file_exists(path));
    ck_assert_uint_eq(have(c, 0, 10, 8), 0); // over the limit of one byte
    cache_close(c);
    free(path);
}
END_TEST

START_TEST(lying_heads)
{
    struct frame_codec *codec = frame_codec_new();
    struct str b = { 0 };
    float row[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };
    struct hash128 key[2] = { key_of(1), key_of(2) };
    ck_assert_int_ge(frame_encode(codec, key, row, 2, 4, &b, NULL), 0);
    ck_assert_uint_eq(b.n % FRAME_ALIGN, 0);
    struct frame f = { 0 };
    ck_assert(frame_head_read((const uint8_t *)b.s, &f));
    static const struct {
        int at, n;
        uint64_t value;
    } lie[] = {
        { 8, 4, 0 },           { 8, 4, 5 },       { 12, 4, 0 },
        { 12, 4, 0xFFFFFFFF }, { 16, 8, 1u << 31 }, { 24, 8, 0 },
        { 24, 8, 1u << 20 },   { 4, 2, 2 },       { 6, 2, 9 },
    };
    for (size_t i = 0; i < sizeof lie / sizeof lie[0]; i++) {
        uint8_t head[FRAME_HEAD];
        memcpy(head, b.s, sizeof head);
        for (int k = 0; k < lie[i].n; k++)
            head[lie[i].at + k] = (uint8_t)(lie[i].value >> 8 * k);
        uint64_t sum = hash_bytes(head, 56).lo; // the checksum agrees
        for (int k = 0; k < 8; k++)
            head[56 + k] = (uint8_t)(sum >> 8 * k);
        struct frame g = { 0 };
        ck_assert_msg(!frame_head_read(head, &g), "lie %zu believed", i);
    }
    float back[8];
    const uint8_t *payload = (const uint8_t *)b.s + frame_payload_at(&f);
    ck_assert_int_ge(frame_decode(codec, &f, payload, back, NULL), 0);
    ck_assert_mem_eq(back, row, sizeof row);
    f.raw /= 2;
    ck_assert_int_eq(frame_decode(codec, &f, payload, back, NULL), MOHS_E_FORMAT);
    str_free(&b);
    frame_codec_free(codec);
}
END_TEST

START_TEST(notes)
{
    struct cache *c = open_cache();
    struct str out = { 0 };
    ck_assert_int_ge(cache_why(c, "a=1\n", &out, NULL), 0);
    ck_assert_str_eq(out.s, "the cache has no notes\n");
    str_free(&out);
    cache_note(c, key_of(1), "model=clip\nseed=0\nsplit=test\n", NULL);
    cache_note(c, key_of(2), "model=clip\nseed=7\nsplit=val\n", NULL);
    cache_note(c, key_of(3), "model=siglip\nseed=7\nsplit=val\nx=1\n", NULL);
    cache_note(c, key_of(1), "written twice, first one stays\n", NULL);
    ck_assert_int_ge(cache_why(c, "split=test\nseed=1\nmodel=clip\n", &out, NULL), 0);
    ck_assert_str_eq(out.s,
                     "nearest entry 1 differs in 1 of 3 parts:\n"
                     "  seed: 1 here, 0 in the cache\n"
                     "nearest entry 2 differs in 2 of 3 parts:\n"
                     "  seed: 1 here, 7 in the cache\n"
                     "  split: test here, val in the cache\n");
    str_free(&out);
    ck_assert_int_ge(cache_why(c, "model=clip\nseed=7\nsplit=val", &out, NULL), 0);
    ck_assert_str_eq(out.s, "cached: an entry with exactly these parts exists\n");
    str_free(&out);
    cache_close(c);
}
END_TEST

START_TEST(bad_directory)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    struct cache *c = NULL;
    char *path = path_join(dir, "file");
    ck_assert_int_ge(file_write(path, "x", 1, NULL), 0);
    ck_assert_int_lt(cache_open(path, &c, &e), 0);
    ck_assert_ptr_null(c);
    ck_assert_ptr_nonnull(strstr(e.text, path));
    free(path);
    cache_close(NULL);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("cache");
    TCase *t = tcase_create("cache");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 30);
    tcase_add_test(t, round_trip);
    tcase_add_test(t, reading_makes_no_shard);
    tcase_add_loop_test(t, damaged, 0, sizeof damage / sizeof damage[0]);
    tcase_add_test(t, truncated);
    tcase_add_test(t, killed_writer);
    tcase_add_test(t, gc_joins_and_limits);
    tcase_add_test(t, threads);
    tcase_add_test(t, newer_version_is_left_alone);
    tcase_add_test(t, lying_heads);
    tcase_add_test(t, notes);
    tcase_add_test(t, bad_directory);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int bad = srunner_ntests_failed(r);
    srunner_free(r);
    return bad ? 1 : 0;
}
