/* SPDX-License-Identifier: MIT */
/* Token embeddings, read from the model by running every token through it. */
#include "config.h"

#include "eval/vocabulary.h"

#include <stdlib.h>
#include <string.h>

enum { SEQUENCES = 16 }; /* run at once */

/* Texts of `context` tokens: number `first` is 0 0 0 ..., the next 0 1 2 ...,
 * then what follows; ids past the end are 0. */
static void fill_ids(uint32_t first, uint32_t n, uint32_t context, uint32_t n_ids,
                     int32_t *ids, int32_t *last)
{
    for (uint32_t i = 0; i < n; i++) {
        last[i] = (int32_t)context - 1;
        for (uint32_t t = 0; t < context; t++) {
            uint64_t id = first + i ? (uint64_t)(first + i - 1) * context + t : 0;
            ids[(size_t)i * context + t] = id < n_ids ? (int32_t)id : 0;
        }
    }
}

/* Rows of sequence k, less those of sequence 0 at the same positions. */
static void keep_rows(struct vocabulary *v, uint32_t k, uint32_t context,
                      const float *x, const float *zero)
{
    for (uint32_t t = 0; t < context; t++) {
        uint64_t id = (uint64_t)(k - 1) * context + t;
        for (uint32_t j = 0; id < v->n && j < v->width; j++) {
            size_t at = (size_t)t * v->width + j;
            v->row[id * v->width + j] = x[at] - zero[at];
        }
    }
}

static mohs_status read_rows(struct encoder *e, struct vocabulary *v,
                             struct mohs_error *err)
{
    uint32_t context = encoder_info(e)->context_length;
    uint32_t all = 1 + (v->n + context - 1) / context;
    size_t one = (size_t)context * v->width;
    float *x = try_calloc(SEQUENCES, one * sizeof *x, "tokens", err);
    float *zero = try_calloc(one, sizeof *zero, "tokens", err);
    int32_t *ids = xcalloc((size_t)SEQUENCES * context, sizeof *ids);
    int32_t last[SEQUENCES];
    mohs_status st = x && zero ? MOHS_OK : MOHS_E_NOMEM;
    for (uint32_t i = 0; i < all && st >= 0; i += SEQUENCES) {
        uint32_t m = all - i < SEQUENCES ? all - i : SEQUENCES;
        fill_ids(i, m, context, v->n, ids, last);
        st = encoder_ids(e, m, ids, last, false, TAP_TOKEN, x, err);
        if (st >= 0 && !i)
            memcpy(zero, x, one * sizeof *x);
        for (uint32_t k = i ? 0 : 1; k < m && st >= 0; k++)
            keep_rows(v, i + k, context, x + k * one, zero);
    }
    free(x);
    free(zero);
    free(ids);
    return st;
}

mohs_status vocabulary_new(struct encoder *e, struct vocabulary **out,
                           struct mohs_error *err)
{
    const struct mohs_model_info *info = encoder_info(e);
    struct vocabulary *v = xcalloc(1, sizeof *v);
    uint64_t count;
    mohs_status st;
    if (!encoder_has_tap(e, TAP_TOKEN)) {
        st = mohs_fail(err, MOHS_E_UNSUPPORTED, "%s: the model has no tap " TAP_TOKEN,
                       encoder_path(e));
        goto out;
    }
    OUT_IF_ERR(encoder_tap_count(e, TAP_TOKEN, &count, err));
    if (count % info->context_length) {
        st = mohs_fail(err, MOHS_E_UNSUPPORTED,
                       "%s: tap " TAP_TOKEN " is not one row a token", encoder_path(e));
        goto out;
    }
    v->n = info->vocab_size;
    v->width = (uint32_t)(count / info->context_length);
    v->row = try_calloc(v->n, v->width * sizeof *v->row, "tokens", err);
    if (!v->row) {
        st = MOHS_E_NOMEM;
        goto out;
    }
    OUT_IF_ERR(read_rows(e, v, err));
    OUT_IF_ERR(registry_compute(encoder_registry(e), &v->compute, err));
    size_t bytes = (size_t)v->n * v->width * sizeof *v->row;
    OUT_IF_ERR(buffer_new(v->compute, bytes, &v->buffer, err));
    OUT_IF_ERR(buffer_write(v->buffer, 0, v->row, bytes, err));
    *out = v;
    return MOHS_OK;
out:
    vocabulary_free(v);
    return st;
}

void vocabulary_free(struct vocabulary *v)
{
    if (!v)
        return;
    buffer_unref(v->buffer);
    free(v->row);
    free(v);
}

mohs_status vocabulary_gains(const struct vocabulary *v, uint32_t tokens,
                             const int32_t *now, const float *grad, float *gain,
                             struct mohs_error *err)
{
    struct mohs_buffer *a = NULL, *c = NULL;
    size_t in = (size_t)tokens * v->width, out = (size_t)tokens * v->n;
    mohs_status st;
    OUT_IF_ERR(buffer_new(v->compute, in * sizeof *grad, &a, err));
    OUT_IF_ERR(buffer_new(v->compute, out * sizeof *gain, &c, err));
    OUT_IF_ERR(buffer_write(a, 0, grad, in * sizeof *grad, err));
    struct gemm g = { .m = tokens, .n = v->n, .k = v->width, .b_trans = true, .alpha = 1,
                      .a = a, .b = v->buffer, .c = c, .lda = v->width, .ldb = v->width,
                      .ldc = v->n };
    OUT_IF_ERR(gemm_run(v->compute, &g, err));
    OUT_IF_ERR(buffer_read(c, 0, gain, out * sizeof *gain, err));
    for (uint32_t t = 0; t < tokens; t++) {
        float *row = gain + (size_t)t * v->n, present = row[now[t]];
        for (uint32_t i = 0; i < v->n; i++)
            row[i] -= present;
    }
out:
    buffer_unref(a);
    buffer_unref(c);
    return st;
}
