/* SPDX-License-Identifier: MIT */
/*
 * Fuzz target: tar headers, and the stored index of what was found; also the
 * input itself as a stored index, its hash put right. See fuzz_safetensors.c
 * for how it runs.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "data/dataset.h"
#include "data/tar_index.h"
#include "fuzz/replay.h"

enum { TIME = 7 };

static void check(const struct tar_index *t, uint64_t size)
{
    for (size_t i = 0; i < t->n; i++) {
        const struct tar_member *m = &t->member[i];
        if (m->offset > size || m->bytes > size - m->offset)
            abort();
        if (m->text && strlen(m->text) > m->bytes)
            abort();
    }
}

static void round_trip(const struct tar_index *t, uint64_t size)
{
    struct str s = { 0 };
    tar_index_pack(t, size, TIME, &s);
    struct tar_index *u = tar_index_unpack(s.s, s.n, size, TIME);
    if (!u || u->n != t->n)
        abort();
    for (size_t i = 0; i < t->n; i++)
        if (strcmp(u->member[i].name, t->member[i].name) ||
            !u->member[i].text != !t->member[i].text)
            abort();
    tar_index_free(u);
    str_free(&s);
}

/* As an index of an archive of this size and time. */
static void as_index(const uint8_t *data, size_t n, uint64_t size)
{
    if (n < 48)
        return;
    char *p = xmalloc(n);
    memcpy(p, data, n);
    memcpy(p, "mohsTAR1", 8);
    for (int i = 0; i < 8; i++) {
        p[8 + i] = (char)(size >> 8 * i);
        p[16 + i] = i ? 0 : TIME;
    }
    struct hash128 h = hash_bytes(p, n - 16);
    for (int i = 0; i < 8; i++) {
        p[n - 16 + (size_t)i] = (char)(h.hi >> 8 * i);
        p[n - 8 + (size_t)i] = (char)(h.lo >> 8 * i);
    }
    struct tar_index *t = tar_index_unpack(p, n, size, TIME);
    if (t)
        for (size_t i = 0; i < t->n; i++)
            if (t->member[i].offset > size || t->member[i].bytes > size - t->member[i].offset)
                abort();
    tar_index_free(t);
    free(p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    struct tar_index *t;
    if (tar_scan_bytes(data, n, "fuzz", &t, &e) >= 0) {
        check(t, n);
        for (size_t i = 0; i < t->n; i++)
            if (!data_safe_name(t->member[i].name))
                abort();
        round_trip(t, n);
        tar_index_free(t);
    } else if (!*e.text || strchr(e.text, '\n')) {
        abort();
    }
    as_index(data, n, 1 << 20);
    return 0;
}

FUZZ_MAIN("tar")
