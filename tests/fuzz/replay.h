/* SPDX-License-Identifier: MIT */
/*
 * main() of a fuzz target in `make check`: runs the files named on the
 * command line, or those of tests/fuzz/corpus/<name> and mutations of them
 * from a fixed seed, MOHS_FUZZ_MUTATIONS of each when that is set. Nothing with
 * MOHS_LIBFUZZER: libFuzzer has its own.
 */
#ifndef TESTS_FUZZ_REPLAY_H
#define TESTS_FUZZ_REPLAY_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mohs/rng.h>

#include "base/base.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#ifdef MOHS_LIBFUZZER
#define FUZZ_MAIN(name) struct fuzz_no_main;
#else
enum { REPLAY_MUTATIONS = 100 };

static void replay_mutant(const char *data, size_t n, uint64_t seed)
{
    if (!n)
        return;
    char *p = xmalloc(n);
    memcpy(p, data, n);
    uint32_t edits = 1 + mohs_rng_below(seed, 0, 0, 5);
    for (uint32_t i = 1; i <= edits; i++) {
        uint32_t at = mohs_rng_below(seed, i, 0, (uint32_t)n);
        uint32_t v = mohs_rng_u32(seed, i, 1);
        if (v & 1)
            p[at] ^= (char)(1u << (v >> 8 & 7));
        else if (v & 2)
            p[at] = "0129{}[],:\"a-\\"[(v >> 8) % 14];
        else
            p[at] = (char)(v >> 8);
    }
    if (seed % 5 == 0) { // to its very size, for ASan
        n = mohs_rng_below(seed, 99, 0, (uint32_t)n);
        p = xrealloc(p, n ? n : 1);
    }
    LLVMFuzzerTestOneInput((const uint8_t *)p, n);
    free(p);
}

static int replay_file(const char *path, uint64_t mutations)
{
    char *data;
    size_t n;
    struct mohs_error e = MOHS_ERROR_INIT;
    if (file_read(path, 1 << 26, &data, &n, &e) < 0) {
        fprintf(stderr, "%s\n", e.text);
        return 1;
    }
    LLVMFuzzerTestOneInput((const uint8_t *)data, n);
    for (uint64_t k = 0; k < mutations; k++)
        replay_mutant(data, n, mohs_rng_fork(k, hash_str64(path_base(path))));
    free(data);
    return 0;
}

static uint64_t replay_mutations(void)
{
    const char *s = getenv("MOHS_FUZZ_MUTATIONS");
    int64_t n;
    return s && str_to_i64(s, &n) && n >= 0 ? (uint64_t)n : REPLAY_MUTATIONS;
}

/* All of a folder below tests, with mutations. */
static inline int replay_dir(const char *below)
{
    char *dir = path_join(SRCDIR "/tests", below), **v;
    size_t n;
    int bad = 0;
    struct mohs_error e = MOHS_ERROR_INIT;
    if (dir_list(dir, &v, &n, &e) < 0 || !n) {
        fprintf(stderr, "%s: nothing to replay\n", dir);
        return 1;
    }
    for (size_t i = 0; i < n; i++) {
        char *path = path_join(dir, v[i]);
        bad |= replay_file(path, replay_mutations());
        free(path);
    }
    strv_free(v);
    free(dir);
    return bad;
}

/* The files named on the command line; false when there are none. */
static inline bool replay_named(int argc, char **argv, int *bad)
{
    *bad = 0;
    for (int i = 1; i < argc; i++)
        *bad |= replay_file(argv[i], 0);
    return argc > 1;
}

#define FUZZ_MAIN(name)                                                        \
    int main(int argc, char **argv)                                            \
    {                                                                          \
        int bad;                                                               \
        return replay_named(argc, argv, &bad) ? bad                            \
                                              : replay_dir("fuzz/corpus/" name); \
    }
#endif
#endif
