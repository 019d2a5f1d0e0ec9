/* SPDX-License-Identifier: MIT */
/*
 * Fuzz target: a text that may have been read in a wrong encoding, for
 * clean_fix. See fuzz_safetensors.c for how it runs.
 */
#include "config.h"

#include <stdlib.h>

#include "fuzz/replay.h"
#include "model/tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct str text = { 0 };
    if (n > 1 << 16)
        return 0;
    utf8_repair((const char *)data, n, &text);
    clean_fix(&text);
    if (!utf8_valid(text.s, text.n) || text.s[text.n])
        abort();
    str_free(&text);
    return 0;
}

FUZZ_MAIN("mojibake")
