/* SPDX-License-Identifier: MIT */
/*
 * Fuzz target: the files of tokenizers that are not JSON. The first byte says
 * which: 's' a SentencePiece model, 'v' a vocab.txt, 'm' a merges file; then
 * the file. The bytes are the text, too. See fuzz_safetensors.c for how it
 * runs.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "fuzz/replay.h"
#include "model/tokenizer.h"

enum { CONTEXT = 16 };

static mohs_status to_json(const char *s, size_t n, char **json,
                           struct mohs_error *err)
{
    struct sp_text sp = { .data = s + 1, .n = n - 1, .name = "fuzz",
                          .siglip = n & 1, .lower = true,
                          .mohs = n & 1 ? "\"mohs\":{\"mark\":true}"
                                        : "\"mohs\":{}" };
    switch (*s) {
    case 's': return tokenizer_json_sentencepiece(&sp, json, err);
    case 'v':
        return tokenizer_json_bert(s + 1, n - 1, NULL, "fuzz", json, err);
    default:
        return tokenizer_json_simple(s + 1, n - 1,
                                     "\"mohs\":{\"whole_words\":true}", "fuzz",
                                     json, err);
    }
}

static void encode(const struct tokenizer *t, const char *text, size_t n)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    int32_t *ids, some[CONTEXT];
    size_t count;
    uint32_t last;
    if (tokenizer_ids(t, text, n, &ids, &count, &e) < 0)
        abort();
    for (size_t i = 0; i < count; i++)
        if (ids[i] < 0 || (uint32_t)ids[i] >= tokenizer_size(t))
            abort();
    free(ids);
    if (tokenizer_encode(t, text, n, CONTEXT, some, &last, &e) >= 0 &&
        last >= CONTEXT)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    struct tokenizer *t = NULL;
    char *json = NULL;
    if (!n || n > 1 << 16)
        return 0;
    mohs_status st = to_json((const char *)data, n, &json, &e);
    if (st >= 0)
        st = tokenizer_parse(json, strlen(json), "fuzz", &t, &e);
    if (st < 0 && (!*e.text || t))
        abort(); // a refusal says why, and gives nothing
    if (st >= 0)
        encode(t, (const char *)data, n);
    tokenizer_free(t);
    free(json);
    return 0;
}

FUZZ_MAIN("token_files")
