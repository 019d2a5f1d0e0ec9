/* SPDX-License-Identifier: MIT */
/*
 * Fuzz target: any bytes as a safetensors file; every tensor that is
 * accepted is read, what is read is saved. With -fsanitize=fuzzer and
 * MOHS_LIBFUZZER a libFuzzer target; otherwise main() replays the files named
 * on the command line, or those of corpus/safetensors with mutations.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fuzz/replay.h"
#include "model/weights.h"

static void read_all(const struct mohs_weights *w, const uint8_t *data, size_t n)
{
    const char *name;
    for (uint32_t i = 0; (name = weights_api.name(w, i)); i++) {
        uint32_t dims[5];
        uint64_t count = 1;
        int32_t nd = weights_api.shape(w, name, dims);
        const struct wtensor *t = weights_find(w, name);
        for (int32_t k = 0; k < nd; k++)
            count *= dims[k];
        // What was accepted lies inside the file.
        if (nd < 0 || !t || t->count != count || count > n || t->data < data ||
            t->data + count * dtype_table[t->dtype].bytes > data + n)
            abort();
        float *x = malloc((count + 1) * sizeof *x);
        if (x && weights_api.read(w, name, x, count, NULL) >= 0 && count &&
            x[count - 1] == 12345.678f)
            putchar(0); // keeps the reads
        free(x);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct mohs_weights *w;
    struct mohs_error e = MOHS_ERROR_INIT;
    if (weights_new(NULL, NULL, NULL, &w, &e) < 0)
        abort();
    // At an odd address: nothing may depend on alignment.
    uint8_t *copy = malloc(n + 1);
    if (copy) {
        memcpy(copy + 1, data, n);
        if (safetensors_parse(w, copy + 1, n, "fuzz", &e) >= 0) {
            read_all(w, copy + 1, n);
            weights_hash(w);
        } else if (!*e.text || e.status >= 0) {
            abort(); // a refusal says why
        }
    }
    weights_close(w);
    free(copy);
    return 0;
}

FUZZ_MAIN("safetensors")
