/* SPDX-License-Identifier: MIT */
/*
 * Karpathy and Fei-Fei's splits of Flickr8k, Flickr30k and COCO: images[]
 * {filename, [filepath], split, sentences[].raw}.
 */
#include "config.h"

#include "data/data.h"

#include <stdlib.h>
#include <string.h>

#include "data/dataset.h"
#include "data/json_pull.h"

enum { SPLITS_MAX = 16 };

struct karpathy {
    const struct karpathy_options *o;
    struct dataset *d;
    struct json_pull *p;
    size_t n; /* images of all splits so far */
    struct json_value filename, filepath, split, raw;
    struct str sentences; /* of one image, each with its NUL */
    size_t n_sentences;
    int flat; /* files lie without their filepath; -1: not known yet */
    struct {
        char name[40];
        size_t n;
    } seen[SPLITS_MAX];
    size_t n_seen;
};

static mohs_status bad(const struct karpathy *k, const char *field,
                       const struct json_value *v, const char *want,
                       struct mohs_error *err)
{
    return json_value_refuse(v, err, want, "%s: images[%zu].%s", k->o->json, k->n, field);
}

/* sentences[], whose "raw" are kept. */
static mohs_status read_sentences(struct karpathy *k, struct mohs_error *err)
{
    static const char *const name[] = { "raw" };
    int32_t t = json_pull_next(k->p, err);
    RET_IF_ERR(t);
    if (t != PULL_LIST)
        return mohs_fail(err, MOHS_E_FORMAT, "%s: images[%zu].sentences is no list",
                         k->o->json, k->n);
    k->sentences.n = k->n_sentences = 0;
    while ((t = json_pull_next(k->p, err)) == PULL_OBJECT) {
        RET_IF_ERR(json_pull_fields(k->p, 1, name, &k->raw, err));
        const char *raw = json_value_text(&k->raw);
        if (!raw)
            return json_value_refuse(&k->raw, err, "a text",
                                     "%s: images[%zu].sentences[%zu].raw", k->o->json, k->n,
                                     k->n_sentences);
        str_addn(&k->sentences, raw, strlen(raw) + 1);
        k->n_sentences++;
    }
    RET_IF_ERR(t);
    if (t != PULL_LIST_END)
        return mohs_fail(err, MOHS_E_FORMAT, "%s: images[%zu].sentences[%zu] is no object",
                         k->o->json, k->n, k->n_sentences);
    return MOHS_OK;
}

static void count_split(struct karpathy *k, const char *split)
{
    for (size_t i = 0; i < k->n_seen; i++)
        if (!strncmp(k->seen[i].name, split, sizeof k->seen[i].name - 1)) {
            k->seen[i].n++;
            return;
        }
    if (k->n_seen == SPLITS_MAX)
        return;
    snprintf(k->seen[k->n_seen].name, sizeof k->seen->name, "%s", split);
    k->seen[k->n_seen++].n = 1;
}

/* Whether the files lie in one folder although the splits' JSON names the
 * folders that COCO is distributed in. */
static bool lies_flat(const struct karpathy *k, const char *folder, const char *file)
{
    char *deep = xasprintf("%s/%s/%s", k->o->images, folder, file);
    char *flat = path_join(k->o->images, file);
    bool yes = !file_exists(deep) && file_exists(flat);
    free(deep);
    free(flat);
    return yes;
}

static mohs_status add_image(struct karpathy *k, struct mohs_error *err)
{
    static const char want[] = "a relative path without \"..\"";
    const char *split = json_value_text(&k->split);
    const char *file = json_value_text(&k->filename);
    const char *folder = json_value_text(&k->filepath);
    if (!split)
        return bad(k, "split", &k->split, "a text", err);
    count_split(k, split);
    if (strcmp(split, k->o->split) || (k->o->limit && k->d->n_images >= k->o->limit))
        return MOHS_OK;
    if (!file || !data_safe_name(file))
        return bad(k, "filename", &k->filename, want, err);
    if (k->filepath.there && (!folder || (*folder && !data_safe_name(folder))))
        return bad(k, "filepath", &k->filepath, want, err);
    if (!k->n_sentences)
        return mohs_fail(err, MOHS_E_FORMAT, "%s: images[%zu] has no sentences", k->o->json,
                         k->n);
    if (k->flat < 0)
        k->flat = folder && *folder && lies_flat(k, folder, file);
    char *name = folder && *folder ? path_join(folder, file) : xstrdup(file);
    dataset_add_image(k->d, name, k->flat ? file : name);
    free(name);
    const char *s = k->sentences.s;
    for (uint32_t i = 0; i < k->n_sentences; i++, s += strlen(s) + 1)
        if (!k->o->captions_per_image || i < k->o->captions_per_image)
            dataset_add_text(k->d, s, (uint32_t)k->d->n_images - 1, i);
    return MOHS_OK;
}

static mohs_status read_image(struct karpathy *k, struct mohs_error *err)
{
    int32_t more;
    json_value_clear(&k->filename);
    json_value_clear(&k->filepath);
    json_value_clear(&k->split);
    k->n_sentences = 0;
    while ((more = json_pull_key(k->p, err)) == 1) {
        const char *key = json_pull_text(k->p);
        struct json_value *v = !strcmp(key, "filename")   ? &k->filename
                               : !strcmp(key, "filepath") ? &k->filepath
                               : !strcmp(key, "split")    ? &k->split
                                                          : NULL;
        if (v)
            RET_IF_ERR(json_pull_value(k->p, v, err));
        else if (!strcmp(key, "sentences"))
            RET_IF_ERR(read_sentences(k, err));
        else
            RET_IF_ERR(json_pull_skip(k->p, json_pull_next(k->p, err), err));
    }
    RET_IF_ERR(more);
    RET_IF_ERR(add_image(k, err));
    k->n++;
    return MOHS_OK;
}

static mohs_status read_images(struct karpathy *k, struct mohs_error *err)
{
    int32_t t = json_pull_next(k->p, err);
    RET_IF_ERR(t);
    if (t != PULL_LIST)
        return mohs_fail(err, MOHS_E_FORMAT, "%s: images is no list or empty", k->o->json);
    while ((t = json_pull_next(k->p, err)) == PULL_OBJECT)
        RET_IF_ERR(read_image(k, err));
    RET_IF_ERR(t);
    return t == PULL_LIST_END ? MOHS_OK
                              : mohs_fail(err, MOHS_E_FORMAT, "%s: images[%zu] is no object",
                                          k->o->json, k->n);
}

static mohs_status no_images(const struct karpathy *k, struct mohs_error *err)
{
    struct str has = { 0 };
    str_add(&has, "");
    for (size_t i = 0; i < k->n_seen; i++)
        str_addf(&has, "%s%s (%zu)", i ? ", " : "", k->seen[i].name, k->seen[i].n);
    mohs_status st =
        mohs_fail(err, k->n ? MOHS_E_ARG : MOHS_E_FORMAT,
                  "%s: no images of split \"%s\"; it has %s", k->o->json, k->o->split,
                  k->n ? has.s : "none");
    str_free(&has);
    return st;
}

static mohs_status read_file(struct karpathy *k, struct mohs_error *err)
{
    int32_t t = json_pull_next(k->p, err), more;
    RET_IF_ERR(t);
    if (t != PULL_OBJECT)
        return mohs_fail(err, MOHS_E_FORMAT, "%s:1: no object", k->o->json);
    while ((more = json_pull_key(k->p, err)) == 1) {
        if (!strcmp(json_pull_text(k->p), "images"))
            RET_IF_ERR(read_images(k, err));
        else
            RET_IF_ERR(json_pull_skip(k->p, json_pull_next(k->p, err), err));
    }
    RET_IF_ERR(more);
    t = json_pull_next(k->p, err); // what follows is an error
    RET_IF_ERR(t);
    return k->d->n_images ? MOHS_OK : no_images(k, err);
}

mohs_status data_karpathy(const struct karpathy_options *given, struct dataset **out,
                          struct mohs_error *err)
{
    struct karpathy_options o = *given;
    o.split = o.split ? o.split : "test";
    char *stem = path_stem(o.json);
    struct karpathy k = { .o = &o, .d = dataset_new(stem, o.images), .flat = -1 };
    k.d->split = arena_strdup(k.d->arena, o.split);
    mohs_status st = json_pull_open(o.json, &k.p, err);
    if (st >= 0)
        st = read_file(&k, err);
    json_pull_close(k.p);
    json_value_free(&k.filename);
    json_value_free(&k.filepath);
    json_value_free(&k.split);
    json_value_free(&k.raw);
    str_free(&k.sentences);
    free(stem);
    if (st < 0) {
        dataset_free(k.d);
        return st;
    }
    dataset_hash(k.d);
    *out = k.d;
    return MOHS_OK;
}
