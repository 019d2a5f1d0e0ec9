/* SPDX-License-Identifier: MIT */
/*
 * webdataset tar shards, in CLIP-benchmark's layout or simply a folder of
 * archives. Members next to each other with the same name up to the first dot
 * of the last part are a sample, as in the Python package.
 */
#include "config.h"

#include "data/data.h"

#include <stdlib.h>
#include <string.h>

#include "data/class_list.h"
#include "data/dataset.h"
#include "data/json_pull.h"
#include "data/tar_index.h"

enum { SHARDS_MAX = 1000000 };

enum wanted { LABELS = 1, CAPTIONS = 2 };

struct shards {
    const struct webdataset_options *o;
    char **path; /* NULL-terminated, owned */
    size_t n;
    unsigned wanted;  /* of every sample; 0: what the first one has */
    struct dataset *d;
};

/* The members of one sample that matter; NULL: not there. */
struct sample {
    const char *archive;
    const char *key;
    size_t key_bytes;
    const struct tar_member *picture, *cls, *txt, *json;
    int rank; /* of the picture's kind */
};

/* ---- files around the shards ---- */

/* A small file beside the shards, trimmed; NULL when it is not there. */
static mohs_status read_note(const char *dir, const char *name, char **out,
                             struct mohs_error *err)
{
    char *path = path_join(dir, name);
    mohs_status st = MOHS_OK;
    size_t n = 0;
    *out = NULL;
    if (file_exists(path))
        st = file_read(path, 1 << 16, out, &n, err);
    while (st >= 0 && *out && n && strchr(" \t\r\n", (*out)[n - 1]))
        (*out)[--n] = 0;
    free(path);
    return st;
}

static mohs_status set_type(struct shards *s, struct mohs_error *err)
{
    char *type;
    mohs_status st = MOHS_OK;
    RET_IF_ERR(read_note(s->o->dir, "dataset_type.txt", &type, err));
    if (!type)
        return MOHS_OK;
    if (!strcmp(type, "retrieval"))
        s->wanted = CAPTIONS;
    else if (!strcmp(type, "classification"))
        s->wanted = LABELS;
    else
        st = mohs_fail(err, MOHS_E_UNSUPPORTED,
                       "%s/dataset_type.txt: \"%.40s\" is neither classification nor "
                       "retrieval", s->o->dir, type);
    free(type);
    return st;
}

/* The lines of a file that need not be there. */
static mohs_status read_lines(struct shards *s, const char *name, const char ***out,
                              size_t *n, struct mohs_error *err)
{
    struct text_lines lines = { 0 };
    char *path = path_join(s->o->dir, name);
    mohs_status st = MOHS_OK;
    if (file_exists(path))
        st = text_lines_read(path, s->d->arena, &lines, err);
    *out = lines.n ? lines.line : NULL;
    *n = lines.n;
    free(path);
    return st;
}

static mohs_status class_names(struct shards *s, struct mohs_error *err)
{
    struct dataset *d = s->d;
    RET_IF_ERR(read_lines(s, "classnames.txt", &d->classes, &d->n_classes, err));
    return read_lines(s, "zeroshot_classification_templates.txt", &d->templates,
                      &d->n_templates, err);
}

/* DIR/SPLIT/N.tar for N below the number in nshards.txt. */
static mohs_status numbered(struct shards *s, const char *dir, const char *count,
                            struct mohs_error *err)
{
    int64_t n;
    if (!str_to_i64(count, &n) || n < 1 || n > SHARDS_MAX)
        return mohs_fail(err, MOHS_E_FORMAT, "%s/nshards.txt: \"%.40s\" is no number of "
                         "shards in 1..%d", dir, count, SHARDS_MAX);
    s->path = xcalloc((size_t)n + 1, sizeof *s->path);
    for (; s->n < (size_t)n; s->n++) {
        s->path[s->n] = xasprintf("%s/%zu.tar", dir, s->n);
        if (!file_exists(s->path[s->n]))
            return mohs_fail(err, MOHS_E_IO, "%s: missing; nshards.txt says %lld shards",
                             s->path[s->n], (long long)n);
    }
    return MOHS_OK;
}

/* All archives of a folder, in byte order. */
static mohs_status listed(struct shards *s, const char *dir, struct mohs_error *err)
{
    char **entry;
    size_t n;
    RET_IF_ERR(dir_list(dir, &entry, &n, err));
    s->path = xcalloc(n + 1, sizeof *s->path);
    for (size_t i = 0; i < n; i++)
        if (str_ends(entry[i], ".tar"))
            s->path[s->n++] = path_join(dir, entry[i]);
        else if (strstr(entry[i], ".tar.") || str_ends(entry[i], ".tgz"))
            log_warn("%s/%s: passed over; archives must not be compressed", dir, entry[i]);
    strv_free(entry);
    if (!s->n)
        return mohs_fail(err, MOHS_E_FORMAT, "%s: no .tar files in it", dir);
    return MOHS_OK;
}

static mohs_status find_shards(struct shards *s, struct mohs_error *err)
{
    char *dir = path_join(s->o->dir, s->o->split), *count = NULL;
    if (str_ends(s->o->dir, ".tar") && !dir_exists(s->o->dir)) {
        s->path = xcalloc(2, sizeof *s->path);
        s->path[s->n++] = xstrdup(s->o->dir);
        free(dir);
        return MOHS_OK;
    }
    if (!dir_exists(dir)) { // archives without splits
        free(dir);
        dir = xstrdup(s->o->dir);
    }
    mohs_status st = read_note(dir, "nshards.txt", &count, err);
    if (st >= 0)
        st = count ? numbered(s, dir, count, err) : listed(s, dir, err);
    free(count);
    free(dir);
    return st;
}

/* ---- samples ---- */

static mohs_status odd(const struct sample *x, struct mohs_error *err, const char *what)
{
    return mohs_fail(err, MOHS_E_FORMAT, "%s: sample \"%.*s\" %s", x->archive,
                     (int)(x->key_bytes < 100 ? x->key_bytes : 100), x->key, what);
}

static mohs_status take_label(struct shards *s, const struct sample *x,
                              struct data_image *im, struct mohs_error *err)
{
    int64_t label;
    char text[24] = "";
    size_t n = strcspn(x->cls->text, " \t\r\n");
    if (n < sizeof text)
        memcpy(text, x->cls->text, n);
    if (x->cls->text[n + strspn(x->cls->text + n, " \t\r\n")])
        text[0] = 0;
    if (!str_to_i64(text, &label) || label < 0 || label > UINT32_MAX / 2)
        return odd(x, err, "has a .cls that is no class number");
    if (s->d->n_classes && (uint64_t)label >= s->d->n_classes)
        return mohs_fail(err, MOHS_E_FORMAT,
                         "%s: sample \"%.*s\" is of class %lld; classnames.txt has %zu names",
                         x->archive, (int)(x->key_bytes < 100 ? x->key_bytes : 100), x->key,
                         (long long)label, s->d->n_classes);
    im->label = (uint32_t)label;
    return MOHS_OK;
}

static void add_caption(struct shards *s, const char *text, uint32_t *k)
{
    uint32_t most = s->o->captions_per_image;
    if (!*text || (most && *k >= most))
        return;
    dataset_add_text(s->d, text, (uint32_t)s->d->n_images - 1, (*k)++);
}

/* A caption a line. */
static mohs_status text_captions(struct shards *s, const struct sample *x, uint32_t *k,
                                 struct mohs_error *err)
{
    char *text = xstrdup(x->txt->text), *save = NULL;
    mohs_status st = MOHS_OK;
    if (!utf8_valid(text, strlen(text)))
        st = odd(x, err, "has a .txt that is not UTF-8");
    for (char *p = text, *line; st >= 0 && (line = strtok_r(p, "\r\n", &save)); p = NULL)
        add_caption(s, line, k);
    free(text);
    return st;
}

/* {"caption": a text or a list of texts}, also under "captions". */
static mohs_status json_captions(struct shards *s, const struct sample *x, uint32_t *k,
                                 struct mohs_error *err)
{
    char *name = xasprintf("%s: %s", x->archive, x->json->name);
    struct json_pull *p = json_pull_bytes(x->json->text, strlen(x->json->text), name);
    int32_t t = json_pull_next(p, err), more = t;
    if (t >= 0 && t != PULL_OBJECT)
        t = odd(x, err, "has a .json that is no object");
    while (t >= 0 && (more = json_pull_key(p, err)) == 1) {
        bool mine = !strcmp(json_pull_text(p), "caption") ||
                    !strcmp(json_pull_text(p), "captions");
        t = json_pull_next(p, err);
        if (mine && t == PULL_TEXT) {
            add_caption(s, json_pull_text(p), k);
        } else if (mine && t == PULL_LIST) {
            while ((t = json_pull_next(p, err)) == PULL_TEXT)
                add_caption(s, json_pull_text(p), k);
            if (t >= 0 && t != PULL_LIST_END)
                t = odd(x, err, "has a caption that is no text");
        } else if (t >= 0) {
            t = json_pull_skip(p, t, err);
        }
    }
    json_pull_close(p);
    free(name);
    return t < 0 ? t : more < 0 ? more : MOHS_OK;
}

static mohs_status add_sample(struct shards *s, const struct sample *x,
                              struct mohs_error *err)
{
    uint32_t k = 0;
    if (!x->picture)
        return odd(x, err, "has no .webp, .png, .jpg or .jpeg");
    if (!x->picture->bytes)
        return odd(x, err, "has an empty picture");
    char *stem = path_stem(x->archive), *id = xasprintf("%s/%s", stem, x->picture->name);
    struct data_image *im = dataset_add_image(s->d, id, NULL);
    free(stem);
    free(id);
    im->path = x->archive;
    im->offset = x->picture->offset;
    im->bytes = x->picture->bytes;
    if (x->cls && s->wanted != CAPTIONS)
        RET_IF_ERR(take_label(s, x, im, err));
    if (x->txt && s->wanted != LABELS)
        RET_IF_ERR(text_captions(s, x, &k, err));
    else if (x->json && s->wanted != LABELS)
        RET_IF_ERR(json_captions(s, x, &k, err));
    if (!s->wanted)
        s->wanted = (x->cls ? LABELS : 0) | (k ? CAPTIONS : 0);
    if ((s->wanted & LABELS) && !x->cls)
        return odd(x, err, "has no .cls");
    if ((s->wanted & CAPTIONS) && !k)
        return odd(x, err, "has no caption in a .txt or .json");
    return MOHS_OK;
}

static bool same_word(const char *a, const char *b)
{
    for (; *a && *b; a++, b++)
        if ((*a | ('A' <= *a && *a <= 'Z' ? 32 : 0)) != *b)
            return false;
    return !*a && !*b;
}

static mohs_status join(struct sample *x, const struct tar_member *m, const char *ext,
                        struct mohs_error *err)
{
    static const char *const kind[] = { "webp", "png", "jpg", "jpeg" };
    const struct tar_member **at = same_word(ext, "cls")    ? &x->cls
                                   : same_word(ext, "txt")  ? &x->txt
                                   : same_word(ext, "json") ? &x->json
                                                            : NULL;
    for (int i = 0; i < 4; i++) // the first kind that a sample has, as CLIP-benchmark
        if (same_word(ext, kind[i]) && (!x->picture || i <= x->rank)) {
            if (x->picture && i == x->rank)
                return odd(x, err, "has two pictures of one kind");
            x->picture = m;
            x->rank = i;
        }
    if (at && *at)
        return odd(x, err, "has two files of one kind");
    if (at && m->text)
        *at = m;
    return MOHS_OK;
}

static mohs_status read_shard(struct shards *s, const char *archive,
                              struct mohs_error *err)
{
    struct tar_index *t;
    struct sample x = { 0 };
    size_t before = s->d->n_images;
    RET_IF_ERR(tar_index_open(archive, &t, err));
    mohs_status st = MOHS_OK;
    for (size_t i = 0; i < t->n && st >= 0; i++) {
        const char *name = t->member[i].name, *base = path_base(name);
        const char *dot = *base ? strchr(base + 1, '.') : NULL;
        bool meta = base == name && !strncmp(name, "__", 2) && str_ends(name, "__");
        if (!dot || *base == '.' || meta)
            continue; // of no sample
        size_t n = (size_t)(dot - name);
        if (!x.key || n != x.key_bytes || memcmp(x.key, name, n)) {
            if (x.key)
                st = add_sample(s, &x, err);
            x = (struct sample) { .archive = archive, .key = name, .key_bytes = n };
        }
        if (st >= 0)
            st = join(&x, &t->member[i], dot + 1, err);
        if (s->o->limit && s->d->n_images >= s->o->limit)
            break;
    }
    if (st >= 0 && x.key && !(s->o->limit && s->d->n_images >= s->o->limit))
        st = add_sample(s, &x, err);
    tar_index_free(t);
    if (st >= 0 && s->d->n_images == before)
        st = mohs_fail(err, MOHS_E_FORMAT, "%s: no samples in it", archive);
    return st;
}

mohs_status data_webdataset(const struct webdataset_options *given,
                            struct dataset **out, struct mohs_error *err)
{
    struct webdataset_options o = *given;
    o.split = o.split ? o.split : "test";
    struct shards s = { .o = &o, .d = dataset_new(path_base(o.dir), o.dir) };
    mohs_status st;
    s.d->split = arena_strdup(s.d->arena, o.split);
    OUT_IF_ERR(set_type(&s, err));
    OUT_IF_ERR(class_names(&s, err));
    OUT_IF_ERR(find_shards(&s, err));
    for (size_t i = 0; i < s.n && !(o.limit && s.d->n_images >= o.limit); i++)
        OUT_IF_ERR(read_shard(&s, arena_strdup(s.d->arena, s.path[i]), err));
    if (!(s.wanted & LABELS))
        s.d->n_classes = 0;
    dataset_hash(s.d);
    *out = s.d;
    s.d = NULL;
out:
    strv_free(s.path);
    dataset_free(s.d);
    return st;
}
