/* SPDX-License-Identifier: MIT */
/*
 * Fuzz target: any bytes as an NPY array; every item of what is accepted is
 * read. See fuzz_safetensors.c for how it runs.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "data/npy.h"
#include "fuzz/replay.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    struct npy a;
    if (!npy_is(data, n))
        return 0;
    if (npy_parse("fuzz", data, n, &a, &e) < 0) {
        if (!*e.text)
            abort(); // a refusal says why
        return 0;
    }
    if (a.count > n || a.item < data || a.sides > NPY_SIDES)
        abort();
    double sum = 0;
    for (uint64_t i = 0; i < a.count; i++)
        sum += npy_value(&a, i);
    if (sum == 12345.678)
        putchar(0); // keeps the reads
    return 0;
}

FUZZ_MAIN("npy")
