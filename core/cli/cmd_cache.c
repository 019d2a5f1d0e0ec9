/* SPDX-License-Identifier: MIT */
/* mohs cache: how large, how healthy, smaller, and why something missed. */
#include "config.h"

#include "cache/cache.h"
#include "cli/cli.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { OPT_DIR = 256, OPT_MAX };

static const struct cli_option options[] = {
    { "dir", OPT_DIR, "DIR", "the cache ($XDG_CACHE_HOME/mohs/rows)" },
    { "max-bytes", OPT_MAX, "SIZE",
      "gc: drop the oldest rows above SIZE (2G)" },
    { 0 },
};

struct request {
    const char *dir;
    uint64_t max_bytes;
    bool json;
};

static void print_stat(const struct request *r, const struct cache_stat *s)
{
    double ratio =
        s->file_bytes ? (double)s->raw_bytes / (double)s->file_bytes : 0;
    unsigned long long v[] = { s->shards,     s->frames,    s->rows,
                               s->file_bytes, s->raw_bytes, s->damaged_frames };
    if (r->json) {
        struct str b = { 0 };
        str_add(&b, "{\"dir\": ");
        str_add_json(&b, r->dir);
        str_addf(&b,
                 ", \"shards\": %llu, \"frames\": %llu, \"rows\": %llu, "
                 "\"file_bytes\": %llu, \"raw_bytes\": %llu, "
                 "\"damaged_frames\": %llu}\n",
                 v[0], v[1], v[2], v[3], v[4], v[5]);
        print_str(&b);
        return;
    }
    printf("%s\n  %llu rows in %llu frames of %llu shards\n"
           "  %.1f MB on disk, %.1f MB raw (%.2f x)\n  %llu damaged frames\n",
           r->dir, v[2], v[1], v[0], (double)v[3] / 1e6, (double)v[4] / 1e6,
           ratio, v[5]);
}

/* "k=v" words to lines. */
static mohs_status why(struct cli *c, struct cache *cache,
                       struct mohs_error *err)
{
    struct str parts = { 0 }, out = { 0 };
    mohs_status st = MOHS_OK;
    str_add(&parts, "");
    for (size_t i = 1; i < c->n_args && st >= 0; i++) {
        if (!strchr(c->args[i], '='))
            st = mohs_fail(err, MOHS_E_ARG,
                           "cache why: '%.64s' is not KEY=VALUE", c->args[i]);
        str_addf(&parts, "%s\n", c->args[i]);
    }
    if (st >= 0)
        st = cache_why(cache, parts.s, &out, err);
    if (st >= 0 && c->json) {
        struct str j = { 0 };
        str_add(&j, "{\"text\": ");
        str_add_json(&j, out.s ? out.s : "");
        str_add(&j, "}\n");
        print_str(&j);
    } else if (st >= 0) {
        fputs(out.s ? out.s : "", stdout);
    }
    str_free(&parts);
    str_free(&out);
    return st;
}

static mohs_status act(struct cli *c, const struct request *r,
                       struct cache *cache, struct mohs_error *err)
{
    struct cache_stat s = { 0 };
    const char *word = c->args[0];
    if (!strcmp(word, "why"))
        return why(c, cache, err);
    if (!strcmp(word, "verify"))
        RET_IF_ERR(cache_verify(cache, &s, err));
    else if (!strcmp(word, "gc"))
        RET_IF_ERR(cache_gc(cache, r->max_bytes, &s, err));
    else
        RET_IF_ERR(cache_stat(cache, &s, err));
    print_stat(r, &s);
    return !strcmp(word, "verify") && s.damaged_frames ? 1 : MOHS_OK;
}

static mohs_status run(struct cli *c, struct mohs_error *err)
{
    struct request r = { 0 };
    const char *value;
    int o;
    while ((o = opt_next(c, &value, err)) > 0) {
        if (o == OPT_DIR)
            r.dir = value;
        else
            RET_IF_ERR(opt_bytes(c, "max-bytes", value, &r.max_bytes, err));
    }
    if (o < 0)
        return MOHS_E_ARG;
    RET_IF_ERR(opt_count(c, 1, 64, err));
    const char *word = c->args[0];
    if (strcmp(word, "stat") && strcmp(word, "verify") && strcmp(word, "gc") &&
        strcmp(word, "why"))
        return opt_bad_word(c, word, err);
    if (strcmp(word, "why"))
        RET_IF_ERR(opt_count(c, 1, 1, err));
    r.json = c->json;
    if (r.dir && !dir_exists(r.dir))
        return mohs_fail(err, MOHS_E_IO, "cache: no directory %s", r.dir);
    char *own = r.dir ? NULL : path_join(cache_dir(), "rows");
    if (own)
        r.dir = own;
    struct cache *cache;
    mohs_status st = cache_open(r.dir, &cache, err);
    if (st >= 0) {
        st = act(c, &r, cache, err);
        cache_close(cache);
    }
    free(own);
    return st;
}

const struct cli_command command_cache = {
    .name = "cache",
    .summary = "the store of computed embeddings: size, health, clean-up",
    .usage =
        "stat|verify [--dir DIR] [--json]\ngc [--max-bytes SIZE] [--dir DIR]\n"
        "why [KEY=VALUE ...] [--dir DIR]",
    .options = options,
    .words = "stat verify gc why",
    .details = "`stat` counts, `verify` reads and checks every frame (exit "
               "code 1 when "
               "some are damaged), `gc` rewrites shards without damaged and "
               "double rows "
               "and, with --max-bytes, drops the oldest. `why` says which "
               "stored entries "
               "are nearest to the given parts and in what they differ.",
    .run = run,
};
