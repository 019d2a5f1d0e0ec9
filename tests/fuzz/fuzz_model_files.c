/* SPDX-License-Identifier: MIT */
/*
 * Fuzz target: the JSON beside weights. The first byte says which: 'p' a
 * preprocessor_config.json, 'c' a model's configuration, as far as it says how
 * pictures are made ready, 't' a tokenizer_config.json beside a vocab.txt, 'i'
 * an index of shards. A picture goes through what was accepted. See
 * fuzz_safetensors.c for how it runs.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fuzz/replay.h"
#include "model/tokenizer.h"

enum { SIDE = 8, EDGE_MOST = 512 };

static void picture(const struct preprocess *p)
{
    uint8_t rgb[SIDE * (SIDE + 3) * 3];
    struct mohs_error e = MOHS_ERROR_INIT;
    const struct image in = { SIDE, SIDE + 3, rgb };
    struct image out;
    memset(rgb, 7, sizeof rgb);
    if (p->resize_shortest > EDGE_MOST || p->resize_height > EDGE_MOST ||
        p->resize_width > EDGE_MOST)
        return;
    if (preprocess_pixels(p, &in, &out, &e) < 0) {
        if (!*e.text)
            abort();
        return;
    }
    if (out.width != p->width || out.height != p->height)
        abort();
    image_free(&out);
}

static void preprocessor(const char *config, const char *text)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    struct mohs_weights *w;
    struct mohs_model_info info = { .size = sizeof info, .image_height = SIDE,
                                    .image_width = SIDE };
    struct preprocess p;
    if (weights_new(config, NULL, text, &w, &e) < 0) {
        if (!*e.text)
            abort();
        return;
    }
    mohs_status st = preprocess_from(w, &info, &p, &e);
    if (st < 0 && !*e.text)
        abort(); // a refusal says why
    if (st >= 0)
        picture(&p);
    weights_close(w);
}

static void remove_part(const char *dir, const char *name)
{
    char *path = path_join(dir, name);
    unlink(path);
    free(path);
}

static void write_part(const char *dir, const char *name, const char *s, size_t n)
{
    char *path = path_join(dir, name);
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(s, 1, n, f) != n || fclose(f))
        abort();
    free(path);
}

static void directory(const char *name, const char *s, size_t n, bool tokenizer)
{
    static const char vocab[] = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n##b\n";
    static const char weights[] = "\x35\0\0\0\0\0\0\0"
        "{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]}}xy";
    struct mohs_error e = MOHS_ERROR_INIT;
    char *dir = xstrdup("/tmp/mohs-fuzz-XXXXXX");
    if (!mkdtemp(dir))
        abort();
    write_part(dir, name, s, n);
    if (tokenizer) {
        struct tokenizer *t = NULL;
        write_part(dir, "vocab.txt", vocab, sizeof vocab - 1);
        if (tokenizer_load(dir, &t, &e) < 0 && (!*e.text || t))
            abort();
        tokenizer_free(t);
        remove_part(dir, "vocab.txt");
    } else {
        struct mohs_weights *w = NULL;
        write_part(dir, "a.safetensors", weights, sizeof weights - 1);
        mohs_status st = weights_open(dir, &w, &e);
        if (st < 0 && !*e.text)
            abort();
        weights_close(st < 0 ? NULL : w);
        remove_part(dir, "a.safetensors");
    }
    remove_part(dir, name);
    rmdir(dir);
    free(dir);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (!n || n > 1 << 16)
        return 0;
    char *text = xasprintf("%.*s", (int)n - 1, (const char *)data + 1);
    switch (*data) {
    case 't': directory("tokenizer_config.json", text, strlen(text), true); break;
    case 'i':
        directory("model.safetensors.index.json", text, strlen(text), false);
        break;
    case 'c': preprocessor(text, NULL); break;
    default: preprocessor("{}", text);
    }
    free(text);
    return 0;
}

FUZZ_MAIN("model_files")
