/* SPDX-License-Identifier: MIT */
/*
 * Fuzz target: any bytes as a PyTorch archive; every tensor that is accepted
 * is read. Replays corpus/torch with mutations, see replay.h.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "fuzz/replay.h"
#include "model/weights.h"

static void read_all(const struct mohs_weights *w, const uint8_t *data, size_t n)
{
    for (size_t i = 0; i < w->n; i++) {
        const struct wtensor *t = &w->v[i];
        uint64_t bytes = t->count * dtype_table[t->dtype].bytes;
        // What was accepted lies inside the file, or is a copy of bounded size.
        if (t->own ? bytes > n + (2u << 20)
                   : t->data < data || t->data + bytes > data + n)
            abort();
        float *x = malloc((t->count + 1) * sizeof *x);
        if (x && weights_api.read(w, t->name, x, t->count, NULL) >= 0 &&
            t->count && x[t->count - 1] == 12345.678f)
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
        if (torch_parse(w, copy + 1, n, "fuzz", &e) >= 0) {
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

FUZZ_MAIN("torch")
