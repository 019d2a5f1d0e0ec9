/* SPDX-License-Identifier: MIT */
/*
 * Fuzz target: separated values, the separator the first byte. What was read
 * is written with quotes and must read the same. See fuzz_safetensors.c for
 * how it runs.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "data/csv.h"
#include "fuzz/replay.h"

static void add_field(struct str *s, const char *field)
{
    str_add(s, "\"");
    for (; *field; field++) {
        if (*field == '"')
            str_add(s, "\"");
        str_addn(s, field, 1);
    }
    str_add(s, "\"");
}

/* All rows; again: what was written by the first time. */
static bool read_rows(const char *data, size_t n, char separator, struct str *out)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    struct csv *c = csv_bytes(data, n, separator, true, "fuzz");
    const char *const *field;
    size_t k;
    int32_t more;
    while ((more = csv_next(c, &field, &k, &e)) == 1)
        for (size_t i = 0; i < k; i++) {
            add_field(out, field[i]);
            str_addn(out, i + 1 < k ? &separator : "\n", 1);
        }
    csv_close(c);
    if (more < 0 && (!*e.text || strchr(e.text, '\n')))
        abort();
    return more == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct str a = { 0 }, b = { 0 };
    if (!n || data[0] > 126 || !data[0] || strchr("\"\r\n", data[0]))
        return 0;
    str_add(&a, "");
    str_add(&b, "");
    if (read_rows((const char *)data + 1, n - 1, (char)data[0], &a) &&
        (!read_rows(a.s, a.n, (char)data[0], &b) || strcmp(a.s, b.s)))
        abort();
    str_free(&a);
    str_free(&b);
    return 0;
}

FUZZ_MAIN("csv")
