/* SPDX-License-Identifier: MIT */
/*
 * Fuzz target: the JSON token stream against jansson, which must accept the
 * same texts, and both readers of captions. See fuzz_safetensors.c for how it
 * runs.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "data/data.h"
#include "data/json_pull.h"
#include "fuzz/replay.h"

enum { JANSSON_DEPTH = 500 }; /* well below both limits */

static bool stream(const uint8_t *data, size_t n, uint32_t *deepest)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    struct json_pull *p = json_pull_bytes((const char *)data, n, "fuzz");
    uint32_t depth = 0;
    int32_t t;
    *deepest = 0;
    while ((t = json_pull_next(p, &e)) > 0) {
        depth += t == PULL_LIST || t == PULL_OBJECT;
        depth -= t == PULL_LIST_END || t == PULL_OBJECT_END;
        *deepest = depth > *deepest ? depth : *deepest;
        if ((t == PULL_TEXT || t == PULL_KEY) && !utf8_valid(json_pull_text(p),
                                                             strlen(json_pull_text(p))))
            abort();
    }
    if (t < 0 && (!*e.text || strchr(e.text, '\n')))
        abort();
    json_pull_close(p);
    return t == PULL_END;
}

/* jansson turns numbers into values, so large ones are left out here. */
static bool has_large_number(const uint8_t *data, size_t n)
{
    size_t run = 0;
    for (size_t i = 0; i < n; i++) {
        run = strchr("0123456789.eE+-", data[i]) && data[i] ? run + 1 : 0;
        if (run > 15 || (run && (data[i] == 'e' || data[i] == 'E')))
            return true;
    }
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static char path[] = "/tmp/mohs-fuzz-captions-XXXXXX";
    static int fd = -1;
    json_error_t je;
    uint32_t depth;
    bool good = stream(data, n, &depth);
    json_t *tree = json_loadb((const char *)data, n, JSON_DECODE_ANY, &je);
    if (good != (tree != NULL) && depth < JANSSON_DEPTH && !has_large_number(data, n))
        abort();
    json_decref(tree);
    if (fd < 0)
        fd = mkstemp(path);
    if (fd < 0 || ftruncate(fd, 0) || pwrite(fd, data, n, 0) != (ssize_t)n)
        return 0;
    struct dataset *d;
    struct karpathy_options o = { .images = ".", .json = path };
    if (data_coco(".", path, 0, 0, &d, NULL) >= 0) {
        if (!good || !d->n_texts)
            abort();
        dataset_free(d);
    }
    if (data_karpathy(&o, &d, NULL) >= 0)
        dataset_free(d);
    unlink(path);
    close(fd);
    memcpy(strrchr(path, '-') + 1, "XXXXXX", 6);
    fd = -1;
    return 0;
}

FUZZ_MAIN("captions")
