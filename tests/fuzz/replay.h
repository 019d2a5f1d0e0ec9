/* SPDX-License-Identifier: MIT */
/*
 * main() of a fuzz target in `make check`: runs the files named on the
 * command line, or those of tests/fuzz/corpus/<name> and mutations of them
 * from a fixed seed. Nothing with MOHS_LIBFUZZER: libFuzzer has its own.
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
    if (seed % 5 == 0)
        n = mohs_rng_below(seed, 99, 0, (uint32_t)n);
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

static int replay_main(int argc, char **argv, const char *name)
{
    int bad = 0;
    for (int i = 1; i < argc; i++)
        bad |= replay_file(argv[i], 0);
    if (argc > 1)
        return bad;
    char *dir = xasprintf("%s/tests/fuzz/corpus/%s", SRCDIR, name), **v;
    size_t n;
    struct mohs_error e = MOHS_ERROR_INIT;
    if (dir_list(dir, &v, &n, &e) < 0 || !n) {
        fprintf(stderr, "%s: nothing to replay\n", dir);
        return 1;
    }
    for (size_t i = 0; i < n; i++) {
        char *path = path_join(dir, v[i]);
        bad |= replay_file(path, REPLAY_MUTATIONS);
        free(path);
    }
    strv_free(v);
    free(dir);
    return bad;
}

#define FUZZ_MAIN(name)                       \
    int main(int argc, char **argv)           \
    {                                         \
        return replay_main(argc, argv, name); \
    }
#endif
#endif
