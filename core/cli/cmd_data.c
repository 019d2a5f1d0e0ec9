/* SPDX-License-Identifier: MIT */
/* mohs data: the default data set, and what a directory holds. */
#include "config.h"

#include "cli/cli.h"

#include <string.h>

#include "data/data.h"

enum { OPT_OUT = 256, OPT_SEED, OPT_SIZE, OPT_TRAIN, OPT_VAL, OPT_TEST, OPT_CAPTIONS,
       OPT_FONT, OPT_CLDR, OPT_FORCE, OPT_DECODE };

static const struct cli_option options[] = {
    { "out", OPT_OUT, "DIR", "where the data set goes" },
    { "seed", OPT_SEED, "N", "seed of the scenes (0)" },
    { "size", OPT_SIZE, "PX", "side of the pictures (64)" },
    { "train", OPT_TRAIN, "N", "training images (20000)" },
    { "val", OPT_VAL, "N", "validation images (1000)" },
    { "test", OPT_TEST, "N", "test images (1000)" },
    { "captions", OPT_CAPTIONS, "N", "captions per image, 5 to 8 (5)" },
    { "font", OPT_FONT, "FILE", "colour bitmap font (Debian's Noto Color Emoji)" },
    { "cldr", OPT_CLDR, "FILE", "annotations in English (Debian's unicode-cldr-core)" },
    { "force", OPT_FORCE, NULL, "replace another set" },
    { "decode", OPT_DECODE, "N", "check: pictures of each set to decode, or all (16)" },
    { NULL, 0, NULL, NULL },
};

static mohs_status count(struct cli *c, const char *name, const char *v, uint32_t most,
                         uint32_t *out, struct mohs_error *err)
{
    uint64_t x;
    RET_IF_ERR(opt_u64(c, name, v, 0, most, &x, err));
    *out = (uint32_t)x;
    return MOHS_OK;
}

static mohs_status read_decode(struct cli *c, const char *v, size_t *out,
                               struct mohs_error *err)
{
    uint64_t x = SIZE_MAX;
    if (strcmp(v, "all"))
        RET_IF_ERR(opt_u64(c, "decode", v, 0, UINT32_MAX, &x, err));
    *out = (size_t)x;
    return MOHS_OK;
}

static mohs_status read_option(struct cli *c, struct scenes_options *o, size_t *decode,
                               int code, const char *v, struct mohs_error *err)
{
    switch (code) {
    case OPT_OUT: o->out = v; return MOHS_OK;
    case OPT_SEED: return opt_u64(c, "seed", v, 0, UINT64_MAX, &o->seed, err);
    case OPT_SIZE: return count(c, "size", v, 1024, &o->size_px, err);
    case OPT_TRAIN: return count(c, "train", v, 10000000, &o->train, err);
    case OPT_VAL: return count(c, "val", v, 1000000, &o->val, err);
    case OPT_TEST: return count(c, "test", v, 1000000, &o->test, err);
    case OPT_CAPTIONS: return count(c, "captions", v, 8, &o->captions, err);
    case OPT_FONT: o->font = v; return MOHS_OK;
    case OPT_CLDR: o->cldr = v; return MOHS_OK;
    case OPT_DECODE: return read_decode(c, v, decode, err);
    default: o->force = true; return MOHS_OK;
    }
}

static mohs_status run(struct cli *c, struct mohs_error *err)
{
    struct scenes_options o = { .size_px = 64, .train = 20000, .val = 1000, .test = 1000,
                                .captions = 5 };
    const char *v;
    size_t decode = 16;
    int code;
    while ((code = opt_next(c, &v, err)) > 0)
        RET_IF_ERR(read_option(c, &o, &decode, code, v, err));
    if (code < 0)
        return code;
    RET_IF_ERR(opt_count(c, 1, 2, err));
    if (!strcmp(c->args[0], "check")) {
        RET_IF_ERR(opt_count(c, 2, 2, err));
        return data_check(c->args[1], decode, c->json, err);
    }
    if (strcmp(c->args[0], "emoji-scenes"))
        return opt_bad_word(c, c->args[0], err);
    RET_IF_ERR(opt_count(c, 1, 1, err));
    if (!o.out)
        return mohs_fail(err, MOHS_E_ARG, "data emoji-scenes: --out DIR is needed");
    return data_emoji_scenes(&o, err);
}

const struct cli_command command_data = {
    .name = "data",
    .summary = "make the default data set, or check one",
    .usage = "emoji-scenes --out DIR [options]\ncheck DIR [--decode N|all]",
    .options = options,
    .words = "emoji-scenes check",
    .details = "emoji-scenes renders pictures of objects with captions, factors, depth and\n"
               "second views from two Debian packages; equal options give equal bytes.\n"
               "check says what readers find in a directory and what is missing: COCO and\n"
               "Karpathy captions, CSV and TSV, Parquet, webdataset archives, class folders;\n"
               "it decodes some pictures of each.",
    .run = run,
};
