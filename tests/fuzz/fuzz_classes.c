/* SPDX-License-Identifier: MIT */
/*
 * Fuzz target: what users bring about classes. The first byte says what the
 * rest is: a class list as text or JSON, factors of images, or texts by class.
 * See fuzz_safetensors.c for how it runs.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "data/class_list.h"
#include "data/dataset.h"
#include "data/prompts.h"
#include "fuzz/replay.h"

static void list(const char *s, size_t n, bool json)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    struct class_list c;
    if (class_list_parse(s, n, json, "fuzz", &c, &e) < 0) {
        if (!*e.text || c.arena)
            abort(); // a refusal says why, and gives nothing
        return;
    }
    for (size_t i = 0; i < c.n; i++)
        if (!*c.name[i] || (c.id && class_list_find(&c, c.id[i]) != i))
            abort();
    class_list_free(&c);
}

static void notes(const char *s, size_t n)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    struct class_notes *c = NULL;
    const char *const names[] = { "tench", "hen", "" };
    size_t k;
    if (class_notes_parse(s, n, "fuzz", &c, &e) < 0) {
        if (!*e.text || c)
            abort();
        return;
    }
    const char *const *t = class_notes_find(c, names, 3, &k);
    for (size_t i = 0; t && i < k; i++)
        if (!*t[i])
            abort();
    class_notes_free(c);
}

static void factors(const char *s, size_t n)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    struct dataset *d = dataset_new("fuzz", "fuzz");
    struct data_image image[3] = { { .id = "a/x" }, { .id = "b/y" }, { .id = "b/x" } };
    d->image = image;
    d->n_images = 3;
    for (int i = 0; i < 3; i++)
        image[i].key = hash_str64(image[i].id);
    if (data_factors_parse(d, s, n, "fuzz", &e) < 0 && !*e.text)
        abort();
    for (size_t i = 0; d->factor && i < 3 * d->n_factors; i++)
        if (d->factor[i] > 1 && d->factor[i] != FACTOR_NONE)
            abort();
    dataset_free(d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (!n || n > 1 << 16)
        return 0;
    const char *s = (const char *)data + 1;
    if (*data == 't' || *data == 'j')
        list(s, n - 1, *data == 'j');
    else if (*data == 'f')
        factors(s, n - 1);
    else
        notes(s, n - 1);
    return 0;
}

FUZZ_MAIN("classes")
