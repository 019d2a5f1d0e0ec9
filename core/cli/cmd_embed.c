/* SPDX-License-Identifier: MIT */
/* mohs embed: embeddings or tap activations of images and texts, as .npy. */
#include "config.h"

#include "cli/cli.h"

#include <stdlib.h>
#include <string.h>

#include "cli/inputs.h"
#include "cli/session.h"
#include "eval/encoder.h"

enum { OPT_MODEL = 256, OPT_IMAGES, OPT_TEXTS, OPT_OUT, OPT_TAP, OPT_RAW, OPT_PLUGIN,
       OPT_SET, OPT_MEMORY, OPT_BATCH, CHUNK = 64, SETTINGS_MAX = 32 };

static const struct cli_option options[] = {
    { "model", OPT_MODEL, "PATH", "checkpoint: a directory or a file of weights" },
    { "images", OPT_IMAGES, "PATH", "picture, folder, .tar, .parquet or list file; repeatable" },
    { "texts", OPT_TEXTS, "FILE", "texts, one a line" },
    { "out", OPT_OUT, "PREFIX", "writes PREFIX.image.npy and PREFIX.text.npy" },
    { "tap", OPT_TAP, "NAME", "activations at a tap instead of the embedding" },
    { "raw", OPT_RAW, NULL, "do not L2-normalise" },
    { "plugin", OPT_PLUGIN, "ID", "model plugin (default: the one that knows it)" },
    { "set", OPT_SET, "NAME=VALUE", "a parameter of the model plugin; repeatable" },
    { "memory", OPT_MEMORY, "SIZE", "device memory for one graph (1G)" },
    { "micro-batch", OPT_BATCH, "N", "samples on the device at once" },
    { NULL, 0, NULL, NULL },
};

struct embed {
    const char *model, *texts, *out, *tap, *plugin;
    const char *settings[SETTINGS_MAX + 1];
    size_t n_settings;
    bool raw;
    uint64_t memory, batch;
    struct inputs in;
};

/* What inputs_add() takes, or a file of paths. */
static mohs_status add_images(struct embed *e, const char *path, struct mohs_error *err)
{
    char **v;
    size_t n;
    if (input_known(path) || !file_exists(path) || dir_exists(path))
        return inputs_add(&e->in, path, false, err);
    RET_IF_ERR(session_lines(path, &v, &n, err));
    for (size_t i = 0; i < n; i++)
        if (*v[i])
            inputs_take(&e->in, xstrdup(v[i]));
    strv_free(v);
    return MOHS_OK;
}

/* NumPy's .npy version 1.0, float32, C order. */
static mohs_status write_npy(const char *prefix, const char *side, const float *x,
                             size_t rows, size_t columns, struct mohs_error *err)
{
    struct str s = { 0 };
    char head[128];
    int n = snprintf(head, sizeof head,
                     "{'descr': '<f4', 'fortran_order': False, 'shape': (%zu, %zu), }",
                     rows, columns);
    size_t total = (10 + (size_t)n + 1 + 63) / 64 * 64, len = total - 10;
    str_addn(&s, "\x93NUMPY\x01\x00", 8);
    char le[2] = { (char)len, (char)(len >> 8) };
    str_addn(&s, le, 2);
    str_add(&s, head);
    while (s.n + 1 < total)
        str_add(&s, " ");
    str_add(&s, "\n");
    str_addn(&s, (const char *)x, rows * columns * sizeof *x);
    char *path = xasprintf("%s.%s.npy", prefix, side);
    mohs_status st = file_write(path, s.s, s.n, err);
    if (st >= 0)
        printf("%s: %zu x %zu\n", path, rows, columns);
    free(path);
    str_free(&s);
    return st;
}

static mohs_status columns_of(struct encoder *enc, const struct embed *e, uint64_t *out,
                              struct mohs_error *err)
{
    *out = encoder_info(enc)->embed_dim;
    return e->tap ? encoder_tap_count(enc, e->tap, out, err) : MOHS_OK;
}

static mohs_status embed_images_file(struct encoder *enc, const struct embed *e,
                                     struct mohs_error *err)
{
    uint64_t columns;
    struct image px[CHUNK] = { { 0, 0, NULL } };
    const uint8_t *rgb[CHUNK];
    RET_IF_ERR(columns_of(enc, e, &columns, err));
    float *all = try_calloc(e->in.n, columns * sizeof *all, "embeddings", err);
    mohs_status st = all ? MOHS_OK : MOHS_E_NOMEM;
    progress_start("images", e->in.n);
    for (size_t i = 0; i < e->in.n && st >= 0; i += CHUNK) {
        uint32_t m = e->in.n - i < CHUNK ? (uint32_t)(e->in.n - i) : CHUNK, k;
        for (k = 0; k < m && st >= 0; k++) {
            struct image raw;
            st = input_read(&e->in.v[i + k], IMAGE_KEEP_ORIENTATION, &raw, err);
            if (st < 0)
                break;
            st = preprocess_pixels(encoder_preprocess(enc), &raw, &px[k], err);
            image_free(&raw);
            rgb[k] = px[k].rgb;
        }
        if (st >= 0)
            st = encoder_images(enc, m, rgb, e->raw, e->tap, all + i * columns, err);
        for (k = 0; k < m; k++)
            image_free(&px[k]);
        progress_set(i + m);
    }
    progress_end();
    if (st >= 0)
        st = write_npy(e->out, "image", all, e->in.n, columns, err);
    free(all);
    return st;
}

static mohs_status embed_texts_file(struct encoder *enc, const struct embed *e,
                                    struct mohs_error *err)
{
    uint64_t columns;
    char **text;
    size_t n;
    RET_IF_ERR(session_lines(e->texts, &text, &n, err));
    float *all = NULL;
    mohs_status st = columns_of(enc, e, &columns, err);
    if (st >= 0) {
        all = try_calloc(n, columns * sizeof *all, "embeddings", err);
        st = all ? encoder_texts(enc, (uint32_t)n, (const char *const *)text, e->raw,
                                 e->tap, all, err)
                 : MOHS_E_NOMEM;
    }
    if (st >= 0)
        st = write_npy(e->out, "text", all, n, columns, err);
    free(all);
    strv_free(text);
    return st;
}

static mohs_status read_options(struct cli *c, struct embed *e, struct mohs_error *err)
{
    const char *v;
    int code;
    while ((code = opt_next(c, &v, err)) > 0) {
        switch (code) {
        case OPT_MODEL: e->model = v; break;
        case OPT_IMAGES: RET_IF_ERR(add_images(e, v, err)); break;
        case OPT_TEXTS: e->texts = v; break;
        case OPT_OUT: e->out = v; break;
        case OPT_TAP: e->tap = v; break;
        case OPT_RAW: e->raw = true; break;
        case OPT_PLUGIN: e->plugin = v; break;
        case OPT_SET:
            if (e->n_settings == SETTINGS_MAX)
                return mohs_fail(err, MOHS_E_ARG, "more than %d --set", SETTINGS_MAX);
            e->settings[e->n_settings++] = v;
            break;
        case OPT_MEMORY: RET_IF_ERR(opt_bytes(c, "memory", v, &e->memory, err)); break;
        default: RET_IF_ERR(opt_u64(c, "micro-batch", v, 1, 65536, &e->batch, err));
        }
    }
    if (code < 0)
        return code;
    RET_IF_ERR(opt_count(c, 0, 0, err));
    if (!e->model || !e->out || (!e->in.n && !e->texts))
        return mohs_fail(err, MOHS_E_ARG,
                         "embed: --model, --out and --images or --texts are needed");
    return MOHS_OK;
}

static mohs_status run(struct cli *c, struct mohs_error *err)
{
    struct embed e = { .memory = (uint64_t)1 << 30 };
    struct registry *r;
    struct encoder *enc = NULL;
    mohs_status st;
    OUT_IF_ERR(read_options(c, &e, err));
    OUT_IF_ERR(cli_registry(c, &r, err));
    OUT_IF_ERR(encoder_open_with(r, e.plugin, e.model, e.settings, &enc, err));
    encoder_limits(enc, e.memory, (uint32_t)e.batch);
    bool text_tap = e.tap && !strncmp(e.tap, "text.", 5);
    if (e.in.n && !text_tap)
        OUT_IF_ERR(embed_images_file(enc, &e, err));
    if (e.texts && (!e.tap || text_tap))
        OUT_IF_ERR(embed_texts_file(enc, &e, err));
out:
    encoder_close(enc);
    inputs_free(&e.in);
    return st;
}

const struct cli_command command_embed = {
    .name = "embed",
    .summary = "embeddings of images and texts as .npy",
    .usage = "--model PATH [--images PATH]... [--texts FILE] --out PREFIX [options]",
    .options = options,
    .details = "Rows are float32 in input order, L2-normalised unless --raw. A tap gives\n"
               "its activations flattened, texts at the full context length. A classifier\n"
               "gives logits, its features at the tap image.embed; its texts are names of\n"
               "classes or their numbers, #0 and so on.",
    .run = run,
};
