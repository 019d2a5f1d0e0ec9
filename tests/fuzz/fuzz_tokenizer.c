/* SPDX-License-Identifier: MIT */
/*
 * Fuzz target: a tokenizer.json, a NUL, then a text for it; without a NUL the
 * bytes are both. See fuzz_safetensors.c for how it runs.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "fuzz/replay.h"
#include "model/tokenizer.h"

enum { CONTEXT = 16 };

static void encode(const struct tokenizer *t, const char *text, size_t n)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    int32_t *ids, some[CONTEXT];
    size_t count;
    uint32_t last;
    if (tokenizer_ids(t, text, n, &ids, &count, &e) < 0)
        abort();
    for (size_t i = 0; i < count; i++)
        if (ids[i] < 0 || (uint32_t)ids[i] >= tokenizer_size(t) ||
            strlen(tokenizer_text(t, ids[i])) > (1 << 18))
            abort();
    free(ids);
    if (tokenizer_encode(t, text, n, CONTEXT, some, &last, &e) >= 0 &&
        last >= CONTEXT)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    const char *s = (const char *)data, *text = n ? memchr(s, 0, n) : NULL;
    size_t json = text ? (size_t)(text - s) : n;
    struct tokenizer *t = NULL;
    struct mohs_error e = MOHS_ERROR_INIT;
    text = text ? text + 1 : s;
    if (n > 1 << 16)
        return 0;
    if (tokenizer_parse(s, json, "fuzz", &t, &e) < 0) {
        if (!*e.text || t)
            abort(); // a refusal says why, and gives nothing
        return 0;
    }
    encode(t, text, n - (size_t)(text - s));
    tokenizer_free(t);
    return 0;
}

FUZZ_MAIN("tokenizer")
