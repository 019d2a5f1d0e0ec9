/* SPDX-License-Identifier: MIT */
/* mohs attack: pictures attacked against the texts of a file. */
#include "config.h"

#include "cli/cli.h"

#include <stdlib.h>
#include <string.h>

#include "cli/inputs.h"
#include "cli/session.h"
#include "eval/guard.h"
#include "eval/victim.h"

enum { OPT_MODEL = 256, OPT_SURROGATE, OPT_TEXTS, OPT_OUT, OPT_SEED, OPT_PLUGIN, OPT_SET,
       SETTINGS_MAX = 32 };

static const struct cli_option options[] = {
    { "attack", 'a', "NAME", "the attack; its parameters follow as key=value" },
    { "model", OPT_MODEL, "PATH", "checkpoint: a directory or a file of weights" },
    { "surrogate", OPT_SURROGATE, "PATH", "checkpoint that the attack sees instead" },
    { "texts", OPT_TEXTS, "FILE", "candidate texts, one a line" },
    { "out", OPT_OUT, "DIR", "writes DIR/<stem>.<attack>.png" },
    { "seed", OPT_SEED, "N", "seed of random starts (0)" },
    { "plugin", OPT_PLUGIN, "ID", "model plugin (default: the one that knows it)" },
    { "set", OPT_SET, "NAME=VALUE", "a parameter of the model plugin; repeatable" },
    { NULL, 0, NULL, NULL },
};

struct job {
    const char *attack, *model, *surrogate, *texts, *out, *plugin;
    const char *settings[SETTINGS_MAX + 1];
    size_t n_settings;
    uint64_t seed;
    struct inputs in;
    uint32_t n;
    const struct item *item;
    void *params;
    struct budget budget;
    struct encoder *encoder;
    char **text;
    size_t n_texts;
    float *candidate, *clean, *after; /* texts; pictures before and after */
    float *own_clean, *own_after;      /* the pictures' own texts */
    struct image *pixels;
    const uint8_t **rgb;
    const char **own_text;
    uint64_t *key;
    uint32_t *first, *own, *each; /* positives: one a picture, one a text */
};

/* What is attacked, and what counts its passes; NULL: this side is not. */
struct side {
    struct mohs_victim *v;
    struct guard *guard;
};

static mohs_status read_options(struct cli *c, struct job *j, struct mohs_error *err)
{
    const char *v;
    int code;
    while ((code = opt_next(c, &v, err)) > 0) {
        switch (code) {
        case 'a': j->attack = v; break;
        case OPT_MODEL: j->model = v; break;
        case OPT_SURROGATE: j->surrogate = v; break;
        case OPT_TEXTS: j->texts = v; break;
        case OPT_OUT: j->out = v; break;
        case OPT_PLUGIN: j->plugin = v; break;
        case OPT_SET:
            if (j->n_settings == SETTINGS_MAX)
                return mohs_fail(err, MOHS_E_ARG, "more than %d --set", SETTINGS_MAX);
            j->settings[j->n_settings++] = v;
            break;
        default: RET_IF_ERR(opt_u64(c, "seed", v, 0, UINT64_MAX, &j->seed, err));
        }
    }
    if (code < 0)
        return code;
    if (!j->attack || !j->model || !j->texts || !j->out)
        return mohs_fail(err, MOHS_E_ARG,
                         "attack: -a NAME, --model, --texts and --out are needed");
    return MOHS_OK;
}

/* Arguments with '=' are parameters, the others pictures. */
static mohs_status read_args(struct cli *c, struct job *j, struct mohs_error *err)
{
    j->params = item_params_new(j->item);
    for (size_t i = 0; i < c->n_args; i++) {
        char *eq = file_exists(c->args[i]) ? NULL : strchr(c->args[i], '=');
        if (!eq) {
            RET_IF_ERR(inputs_add(&j->in, c->args[i], false, err));
            continue;
        }
        char *key = xasprintf("%.*s", (int)(eq - c->args[i]), c->args[i]);
        mohs_status st = budget_set_text(&j->budget, j->attack, key, eq + 1, err);
        if (st == 0)
            st = item_param_set_text(j->item, j->params, key, eq + 1, err);
        free(key);
        RET_IF_ERR(st);
    }
    j->n = (uint32_t)j->in.n;
    return j->n ? inputs_differ(&j->in, "attack", err)
                : mohs_fail(err, MOHS_E_ARG, "attack: no picture given");
}

static mohs_status load(struct job *j, struct mohs_error *err)
{
    uint32_t dim = encoder_info(j->encoder)->embed_dim;
    RET_IF_ERR(session_lines(j->texts, &j->text, &j->n_texts, err));
    if (!j->n_texts)
        return mohs_fail(err, MOHS_E_FORMAT, "%s: no texts", j->texts);
    j->candidate = try_calloc(j->n_texts, dim * sizeof(float), "texts", err);
    j->clean = try_calloc(j->n, dim * sizeof(float), "embeddings", err);
    j->after = try_calloc(j->n, dim * sizeof(float), "embeddings", err);
    j->pixels = try_calloc(j->n, sizeof *j->pixels, "pictures", err);
    j->first = xcalloc(j->n + 1, sizeof *j->first);
    j->own = xcalloc(j->n, sizeof *j->own);
    if (!j->candidate || !j->clean || !j->after || !j->pixels)
        return MOHS_E_NOMEM;
    RET_IF_ERR(encoder_texts(j->encoder, (uint32_t)j->n_texts,
                             (const char *const *)j->text, false, NULL, j->candidate,
                             err));
    for (uint32_t i = 0; i < j->n; i++) {
        struct image raw;
        RET_IF_ERR(input_read(&j->in.v[i], IMAGE_KEEP_ORIENTATION, &raw, err));
        mohs_status st = preprocess_pixels(encoder_preprocess(j->encoder), &raw,
                                           &j->pixels[i], err);
        image_free(&raw);
        if (st < 0)
            return err_prefix(err, st, "%s", j->in.v[i].name);
        j->first[i + 1] = i + 1;
    }
    return MOHS_OK;
}

/* The best text of embedding row i, and its cosine. */
static uint32_t best(const struct job *j, const float *rows, uint32_t i, double *cosine)
{
    uint32_t dim = encoder_info(j->encoder)->embed_dim, top = 0;
    *cosine = -2;
    for (size_t t = 0; t < j->n_texts; t++) {
        double s = 0;
        for (uint32_t k = 0; k < dim; k++)
            s += (double)rows[(size_t)i * dim + k] * j->candidate[t * dim + k];
        if (s > *cosine) {
            *cosine = s;
            top = (uint32_t)t;
        }
    }
    return top;
}

static mohs_status write_picture(const struct job *j, struct mohs_victim *v, uint32_t i,
                                 struct mohs_error *err)
{
    const struct mohs_site *s = NULL;
    for (size_t k = 0; (s = victim_site(v, k)) && strcmp(s->tap, "pixels"); k++)
        continue;
    if (!s)
        return MOHS_OK; // features were attacked: there is no picture of that
    const struct image *im = &j->pixels[i];
    size_t count = (size_t)im->width * im->height;
    struct image out = { im->width, im->height, xmalloc(count * 3) };
    for (size_t p = 0; p < count; p++)
        for (size_t c = 0; c < 3; c++) {
            size_t at = ((size_t)i * 3 + c) * s->width + p;
            float x = (s->clean[at] + s->delta[at]) * 255.0f + 0.5f;
            out.rgb[3 * p + c] = (uint8_t)(x < 0 ? 0 : x > 255 ? 255 : x);
        }
    char *stem = input_stem(&j->in.v[i]);
    char *path = xasprintf("%s/%s.%s.png", j->out, stem, j->attack);
    mohs_status st = image_write_png(path, &out, err);
    free(stem);
    free(path);
    image_free(&out);
    return st;
}

static bool edits_texts(const struct job *j)
{
    const struct mohs_attack_ops *ops = j->item->item->ops;
    return ops->flags & (MOHS_ATTACK_TEXT | MOHS_ATTACK_PAIR);
}

static bool only_texts(const struct job *j)
{
    const struct mohs_attack_ops *ops = j->item->item->ops;
    return ops->flags & MOHS_ATTACK_TEXT;
}

static double cosine(const struct job *j, const float *a, const float *b)
{
    double s = 0;
    for (uint32_t k = 0; k < encoder_info(j->encoder)->embed_dim; k++)
        s += (double)a[k] * b[k];
    return s;
}

/* What became of the own text of picture i, and of how well they match. */
static void say_text(const struct job *j, const struct side *texts, uint32_t i, bool json,
                     struct str *out)
{
    size_t at = (size_t)i * encoder_info(j->encoder)->embed_dim;
    double before = cosine(j, j->clean + at, j->own_clean + at);
    double after = cosine(j, j->after + at, j->own_after + at);
    struct victim_audit a;
    victim_audit(texts->v, i, &a);
    if (!json) {
        str_addf(out, "%s: own text \"%s\" -> \"%s\" (%.4f -> %.4f); %llu words, %llu "
                 "characters, %llu tokens changed\n", j->in.v[i].name, j->text[j->own[i]],
                 victim_text(texts->v, i), before, after, (unsigned long long)a.words,
                 (unsigned long long)a.chars, (unsigned long long)a.tokens);
        return;
    }
    str_add(out, ", \"attacked_own\": ");
    str_add_json(out, victim_text(texts->v, i));
    str_addf(out, ", \"own_cosine\": %.6f, \"attacked_own_cosine\": %.6f, \"words\": %llu, "
                  "\"characters\": %llu, \"tokens\": %llu", before, after,
             (unsigned long long)a.words, (unsigned long long)a.chars,
             (unsigned long long)a.tokens);
}

static void say_image(const struct job *j, const struct side *images, uint32_t i, bool json,
                      struct str *out)
{
    double before, after;
    struct victim_audit a;
    struct guard_count took = guard_count(images->guard, i);
    uint32_t was = best(j, j->clean, i, &before), is = best(j, j->after, i, &after);
    victim_audit(images->v, i, &a);
    if (!json) {
        str_addf(out, "%s: \"%s\" (%.4f) -> \"%s\" (%.4f); |delta| linf %.5f, l2 %.4f; "
                 "%u forward, %u backward%s%s\n",
                 j->in.v[i].name, j->text[was], before, j->text[is], after, a.linf, a.l2,
                 took.forward, took.backward, took.cut ? ", budget spent" : "",
                 is != j->own[i] ? "" : "; unmoved");
        return;
    }
    str_add(out, ", \"clean\": ");
    str_add_json(out, j->text[was]);
    str_add(out, ", \"attacked\": ");
    str_add_json(out, j->text[is]);
    str_addf(out, ", \"clean_cosine\": %.6f, \"attacked_cosine\": %.6f, \"linf\": %.8g, "
                  "\"l2\": %.8g, \"out_of_range\": %llu, \"forward\": %u, "
                  "\"backward\": %u, \"cut\": %s", before, after, a.linf, a.l2,
             (unsigned long long)a.out_of_range, took.forward, took.backward,
             took.cut ? "true" : "false");
}

static void say(const struct job *j, const struct side *images, const struct side *texts,
                uint32_t i, bool json, struct str *out)
{
    if (json) {
        str_add(out, i ? ",\n  {\"image\": " : "\n  {\"image\": ");
        str_add_json(out, j->in.v[i].name);
        str_add(out, ", \"own\": ");
        str_add_json(out, j->text[j->own[i]]);
    }
    if (images->v)
        say_image(j, images, i, json, out);
    if (texts->v)
        say_text(j, texts, i, json, out);
    if (json)
        str_add(out, "}");
}

/* A picture's own text: line i when there is one line a picture, else the one
 * it is nearest to. */
static mohs_status find_own(struct job *j, const uint8_t *const *rgb,
                            struct mohs_error *err)
{
    double unused;
    RET_IF_ERR(encoder_images(j->encoder, j->n, rgb, false, NULL, j->clean, err));
    for (uint32_t i = 0; i < j->n; i++)
        j->own[i] = j->n_texts == j->n ? i : best(j, j->clean, i, &unused);
    return MOHS_OK;
}

/* ---- the two sides ---- */

static mohs_status side_open(const struct job *j, struct victim_options *o,
                             struct side *out, struct mohs_error *err)
{
    const struct mohs_model_info *info = encoder_info(j->encoder);
    struct guard_options go = { .candidate = o->candidate, .scale = info->logit_scale,
                                .bias = info->logit_bias, .budget = j->budget };
    o->encoder = j->encoder;
    o->n = j->n;
    o->key = j->key;
    o->positive_first = j->first;
    o->attack = j->attack;
    RET_IF_ERR(victim_new(o, &out->v, err));
    return guard_new(out->v, &go, &out->guard, err);
}

static void side_close(struct side *s)
{
    guard_free(s->guard);
    victim_free(s->v);
}

/* The pictures' own texts; what they are matched with are the pictures. */
static mohs_status open_texts(const struct job *j, struct side *out, struct mohs_error *err)
{
    struct victim_options o = { .tower = MOHS_TOWER_TEXT, .text = j->own_text,
                                .candidate = j->clean, .n_candidates = j->n,
                                .positive = j->each };
    if (only_texts(j) && j->n < 2)
        return mohs_fail(err, MOHS_E_ARG, "attack: %s takes two pictures or more: what a "
                         "text can be matched with", j->attack);
    return side_open(j, &o, out, err);
}

static mohs_status open_images(const struct job *j, const struct mohs_victim_pair *pair,
                               struct side *out, struct mohs_error *err)
{
    struct victim_options o = { .tower = MOHS_TOWER_IMAGE, .rgb = j->rgb,
                                .candidate = j->candidate,
                                .n_candidates = (uint32_t)j->n_texts, .positive = j->own,
                                .pair = pair };
    return side_open(j, &o, out, err);
}

static mohs_status embed_after(struct job *j, const struct side *images,
                               const struct side *texts, struct mohs_error *err)
{
    size_t bytes = (size_t)j->n * encoder_info(j->encoder)->embed_dim * sizeof(float);
    if (images->v)
        RET_IF_ERR(victim_embed(images->v, j->after, err));
    else
        memcpy(j->after, j->clean, bytes);
    if (!texts->v)
        return MOHS_OK;
    memcpy(j->own_clean, texts->v->clean_embed, bytes);
    return victim_embed(texts->v, j->own_after, err);
}

static mohs_status prepare(struct job *j, struct mohs_error *err)
{
    uint32_t dim = encoder_info(j->encoder)->embed_dim;
    j->rgb = xcalloc(j->n, sizeof *j->rgb);
    j->key = xcalloc(j->n, sizeof *j->key);
    j->each = xcalloc(j->n, sizeof *j->each);
    j->own_text = xcalloc(j->n, sizeof *j->own_text);
    j->own_clean = try_calloc(j->n, dim * sizeof(float), "embeddings", err);
    j->own_after = try_calloc(j->n, dim * sizeof(float), "embeddings", err);
    if (!j->own_clean || !j->own_after)
        return MOHS_E_NOMEM;
    for (uint32_t i = 0; i < j->n; i++) {
        j->rgb[i] = j->pixels[i].rgb;
        j->key[i] = input_key(&j->in.v[i]);
        j->each[i] = i;
    }
    RET_IF_ERR(find_own(j, j->rgb, err));
    for (uint32_t i = 0; i < j->n; i++)
        j->own_text[i] = j->text[j->own[i]];
    return MOHS_OK;
}

/* Images, texts, or both. */
struct sides {
    struct side images, texts;
    struct mohs_victim_pair pair;
};

static mohs_status sides_open(const struct job *j, struct sides *s, struct mohs_error *err)
{
    s->pair.size = sizeof s->pair;
    s->pair.first = j->first;
    if (edits_texts(j)) {
        RET_IF_ERR(open_texts(j, &s->texts, err));
        s->pair.texts = guard_victim(s->texts.guard);
    }
    if (only_texts(j))
        return MOHS_OK;
    return open_images(j, s->texts.v ? &s->pair : NULL, &s->images, err);
}

static void sides_close(struct sides *s)
{
    side_close(&s->images);
    side_close(&s->texts);
}

/* An attack that learns does so from what it then attacks. */
static mohs_status strike(const struct job *j, struct sides *s, struct registry *r,
                          struct mohs_error *err)
{
    const struct mohs_attack_ops *ops = j->item->item->ops;
    const struct side *side = s->images.v ? &s->images : &s->texts;
    uint64_t seed = op_seed(j->seed, j->attack, 0);
    void *self = NULL;
    mohs_status st = ops->create(registry_host(r), j->params, &self, err);
    if (st >= 0)
        st = attack_fit_whole(ops, self, side->v, seed, err);
    if (st >= 0)
        st = ops->run(self, guard_victim(side->guard), seed, err);
    scratch_reset();
    if (self)
        ops->destroy(self);
    return st;
}

/* What was done before the surrogate, and what it took. */
static mohs_status hand_over(const struct job *from, struct sides *one, const struct job *to,
                             struct sides *two, struct mohs_error *err)
{
    struct side *of[][2] = { { &one->images, &two->images }, { &one->texts, &two->texts } };
    for (int k = 0; k < 2; k++) {
        if (!of[k][0]->v)
            continue;
        RET_IF_ERR(victim_transfer(from->encoder, of[k][0]->v, to->encoder, of[k][1]->v,
                                   k == 1, err));
        struct guard *g = of[k][0]->guard;
        of[k][0]->guard = of[k][1]->guard;
        of[k][1]->guard = g;
    }
    return MOHS_OK;
}

/* "threat_space" as "space ...". */
static void say_threat(const struct job *j, bool json, struct str *out)
{
    struct arena *a = arena_new();
    struct result_pair p[THREAT_MAX];
    struct eval_item it = { .item = j->item, .params = j->params };
    size_t n = threat_pairs(a, &it, encoder_preprocess(j->encoder), p);
    str_add(out, json ? ", \"threat\": {" : "threat model: ");
    for (size_t i = 0; i < n; i++) {
        const char *key = p[i].key + strlen("threat_");
        if (json) {
            str_addf(out, "%s\"%s\": ", i ? ", " : "", key);
            str_add_json(out, p[i].value);
        } else {
            str_addf(out, "%s%s %s", i ? "; " : "", key, p[i].value);
        }
    }
    str_add(out, json ? "}" : "\n");
    arena_free(a);
}

/* other: the surrogate's job, or NULL. */
static mohs_status attack(struct cli *c, struct job *j, struct job *other,
                          struct registry *r, struct mohs_error *err)
{
    struct sides own = { .pair = { 0 } }, seen = own;
    struct str out = { 0 }, threat = { 0 };
    mohs_status st;
    OUT_IF_ERR(prepare(j, err));
    OUT_IF_ERR(sides_open(j, &own, err));
    if (other) {
        OUT_IF_ERR(prepare(other, err));
        memcpy(other->own, j->own, j->n * sizeof *j->own);
        memcpy(other->own_text, j->own_text, j->n * sizeof *j->own_text);
        OUT_IF_ERR(sides_open(other, &seen, err));
    }
    OUT_IF_ERR(strike(j, other ? &seen : &own, r, err));
    if (other)
        OUT_IF_ERR(hand_over(other, &seen, j, &own, err));
    OUT_IF_ERR(embed_after(j, &own.images, &own.texts, err));
    OUT_IF_ERR(dir_make(j->out, err));
    say_threat(other ? other : j, c->json, &threat);
    for (uint32_t i = 0; i < j->n; i++) {
        if (own.images.v)
            OUT_IF_ERR(write_picture(j, own.images.v, i, err));
        say(j, &own.images, &own.texts, i, c->json, &out);
    }
    if (c->json)
        printf("{\"version\": 1, \"attack\": \"%s\"%s, \"images\": [%s\n]}\n", j->attack,
               threat.s, out.s);
    else
        printf("%s%s", threat.s, out.s);
out:
    str_free(&out);
    str_free(&threat);
    sides_close(&seen);
    sides_close(&own);
    return st;
}

/* What is of one model. */
static void job_free(struct job *j)
{
    for (uint32_t i = 0; j->pixels && i < j->n; i++)
        image_free(&j->pixels[i]);
    free(j->pixels);
    free(j->candidate);
    free(j->clean);
    free(j->after);
    free(j->first);
    free(j->own);
    free(j->each);
    free(j->rgb);
    free(j->key);
    free(j->own_text);
    free(j->own_clean);
    free(j->own_after);
    strv_free(j->text);
    encoder_close(j->encoder);
}

static mohs_status run(struct cli *c, struct mohs_error *err)
{
    struct job j = { .attack = NULL }, other = j;
    struct registry *r;
    mohs_status st;
    OUT_IF_ERR(read_options(c, &j, err));
    OUT_IF_ERR(cli_registry(c, &r, err));
    OUT_IF_ERR(registry_find(r, MOHS_KIND_ATTACK, j.attack, &j.item, err));
    OUT_IF_ERR(read_args(c, &j, err));
    other = j;
    OUT_IF_ERR(encoder_open_with(r, j.plugin, j.model, j.settings, &j.encoder, err));
    OUT_IF_ERR(load(&j, err));
    if (j.surrogate) {
        OUT_IF_ERR(encoder_open_with(r, j.plugin, j.surrogate, j.settings, &other.encoder,
                                     err));
        OUT_IF_ERR(load(&other, err));
    }
    st = attack(c, &j, j.surrogate ? &other : NULL, r, err);
out:
    job_free(&j);
    job_free(&other);
    inputs_free(&j.in);
    if (j.params)
        item_params_free(j.item, j.params);
    return st;
}

const struct cli_command command_attack = {
    .name = "attack",
    .summary = "attack pictures against a file of texts",
    .usage = "FILE|DIR... -a NAME [param=value ...] --model PATH --texts FILE --out DIR",
    .options = options,
    .details = "Pictures are files, folders, webdataset archives (.tar) and Parquet files, in\n"
               "this order; in a set the stem is the picture's id, '_' for '/'.\n"
               "With one text a picture, line i is what picture i shows; else the nearest\n"
               "text counts as true. Writes the attacked picture at the model's size where\n"
               "pixels are attacked, and prints the best text before and after. Attacks on\n"
               "texts change the texts that are the pictures' own, and print them.",
    .run = run,
};
