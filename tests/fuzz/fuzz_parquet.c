/* SPDX-License-Identifier: MIT */
/*
 * Fuzz target: a Parquet file, all its pages read. See fuzz_safetensors.c for
 * how it runs.
 */
#include "config.h"

#include <stdlib.h>

#include "data/parquet.h"
#include "fuzz/replay.h"

static uint64_t seen;

static void look(const struct parquet_leaf *f, const struct parquet_values *v)
{
    for (size_t i = 0; i < v->n_values; i++) {
        const struct parquet_value *x = &v->value[i];
        if (f->type != PARQUET_BYTES && x->s)
            abort();
        for (int64_t k = 0; x->s && k < x->x; k++)
            seen += (uint8_t)x->s[k];
    }
    for (size_t i = 0; i < v->n_levels; i++)
        if ((v->def && v->def[i] > f->max_def) || (v->rep && v->rep[i] > f->max_rep))
            abort();
}

static void read_column(const struct parquet *p, size_t g, size_t l, struct mohs_error *e)
{
    struct parquet_page *page;
    struct parquet_values dictionary = { 0 }, v;
    size_t n;
    if (parquet_pages(p, g, l, &page, &n, e) < 0)
        return;
    for (size_t i = 0; i < n; i++) {
        bool d = page[i].dictionary;
        struct parquet_values *to = d ? &dictionary : &v;
        const struct parquet_values *from = page[0].dictionary && !d ? &dictionary : NULL;
        if (page[i].plain_bytes > 1 << 24 || page[i].values > 1 << 20)
            break;
        if (parquet_read(p, g, l, &page[i], from, to, e) < 0)
            break;
        look(&p->leaf[l], to);
        if (!d)
            parquet_values_free(&v);
    }
    parquet_values_free(&dictionary);
    if (n)
        free(page);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    struct parquet *p;
    if (parquet_bytes(data, n, "fuzz", &p, &e) < 0) {
        if (!*e.text || strchr(e.text, '\n'))
            abort();
        return 0;
    }
    for (size_t g = 0; g < p->n_groups; g++)
        for (size_t l = 0; l < p->n_leaves; l++)
            read_column(p, g, l, &e);
    parquet_close(p);
    return 0;
}

FUZZ_MAIN("parquet")
