/* SPDX-License-Identifier: MIT */
/*
 * Writes emoji-scenes: splits with captions, factors, depth, second views
 * with correspondences, class folders and held-out classes. Everything goes
 * to a temporary directory that is renamed at the end.
 */
#include "config.h"

#include "data/scenes.h"

#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <mohs/rng.h>

enum {
    SCENES_VERSION = 3,
    PER_CLASS = 5,
    PER_HELD_OUT = 10,
    GRID = 5,    /* points of an object along a side */
    PNG_LEVEL = 1
};

static const char CLDR[] = "/usr/share/unicode/cldr/common/annotations/en.xml";
static const char FONT[] = "/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf";

enum split { TRAIN, VAL, TEST, SPLITS };
static const char *const split_name[] = { "train", "val", "test" };

struct maker {
    struct scenes_options o;
    struct catalogue c;
    char *dir; /* temporary */
    struct pool *pool;
    enum split split;
    uint32_t n;
    char **captions; /* n * o.captions */
    struct str *factors, *points;
    struct hash128 *content;       /* of each picture and its depth */
    struct hash128 hash[SPLITS];   /* of each split: contents, captions */
    const uint32_t *kind;          /* class folders being made */
    const char *root;
    uint32_t per_class;
};

/* Plain write: the whole directory is renamed when it is complete. */
static mohs_status put(const char *dir, const char *name, const void *data, size_t n,
                       struct mohs_error *err)
{
    char *path = path_join(dir, name);
    FILE *f = fopen(path, "wb");
    mohs_status st = MOHS_OK;
    bool ok = f && fwrite(data, 1, n, f) == n;
    if (!ok)
        st = err_errno(err, "%s", path);
    if (f && fclose(f) && ok)
        st = err_errno(err, "%s", path);
    free(path);
    return st;
}

static mohs_status put_picture(const char *dir, const char *name, const struct image *im,
                               struct mohs_error *err)
{
    struct str s = { 0 };
    mohs_status st = image_encode_png_level(im, PNG_LEVEL, &s, err);
    if (st >= 0)
        st = put(dir, name, s.s, s.n, err);
    str_free(&s);
    return st;
}

/* ---- one picture of a split ---- */

/* Whether one sees object i at (x, y), in 1/16 px. */
static bool seen(const uint8_t *owner, uint32_t size, int32_t x, int32_t y, size_t i)
{
    int32_t w = (int32_t)size * 16;
    return x >= 0 && y >= 0 && x < w && y < w &&
           owner[(size_t)(y / 16) * size + (size_t)(x / 16)] == i;
}

/* Points of a grid on each object that are seen in both views. */
static void points_of(const struct scene *a, const struct scene *b,
                      const uint8_t *owner_a, const uint8_t *owner_b, const char *file,
                      const char *view, uint32_t size, struct str *out)
{
    bool first = true;
    str_add(out, "{\"file_name\": ");
    str_add_json(out, file);
    str_add(out, ", \"view\": ");
    str_add_json(out, view);
    str_add(out, ", \"points\": [");
    for (size_t i = 0; i < a->n; i++)
        for (int g = 0; g < GRID * GRID; g++) {
            // from the drawn edges, at sixths of the side, in 1/16 px
            const struct placed *p = &a->object[i], *q = &b->object[i];
            int32_t gx = (int32_t)p->size * 16 * (g % GRID + 1) / (GRID + 1);
            int32_t gy = (int32_t)p->size * 16 * (g / GRID + 1) / (GRID + 1);
            int32_t x0 = scene_edge(p->x, p->size) * 16 + gx;
            int32_t y0 = scene_edge(p->y, p->size) * 16 + gy;
            int32_t x1 = scene_edge(q->x, q->size) * 16 + gx;
            int32_t y1 = scene_edge(q->y, q->size) * 16 + gy;
            if (!seen(owner_a, size, x0, y0, i) || !seen(owner_b, size, x1, y1, i))
                continue;
            str_addf(out, "%s[%.4f, %.4f, %.4f, %.4f, %zu]", first ? "" : ", ", x0 / 16.0,
                     y0 / 16.0, x1 / 16.0, y1 / 16.0, i);
            first = false;
        }
    str_add(out, "]}");
}

static mohs_status second_view(struct maker *m, const struct scene *s, size_t i,
                               const char *file, const uint8_t *owner,
                               struct image *im, struct mohs_error *err)
{
    struct scene moved;
    size_t n = (size_t)m->o.size_px * m->o.size_px;
    uint8_t *owner_b = xmalloc(n);
    char view[48];
    int32_t most = (int32_t)m->o.size_px * 2; // an eighth of the side, 1/16 px
    int32_t dx = (int32_t)mohs_rng_below(s->seed, 3, 0, (uint32_t)(2 * most + 1)) - most;
    int32_t dy = (int32_t)mohs_rng_below(s->seed, 3, 1, (uint32_t)(most + 1)) - most / 2;
    scene_move(s, m->o.size_px, dx, dy, &moved);
    mohs_status st = scene_render(&m->c, &moved, m->o.size_px, im, NULL, owner_b, err);
    snprintf(view, sizeof view, "views/%06zu.png", i);
    if (st >= 0)
        st = put_picture(m->dir, view, im, err);
    if (st >= 0)
        points_of(s, &moved, owner, owner_b, file, view, m->o.size_px, &m->points[i]);
    free(owner_b);
    return st;
}

/* Of pixels, so that another zlib changes nothing. */
static struct hash128 content_hash(const struct image *im, const uint16_t *depth)
{
    size_t n = (size_t)im->width * im->height;
    struct hasher *h = hasher_new();
    hasher_bytes(h, im->rgb, 3 * n);
    for (size_t i = 0; i < n; i++) {
        uint8_t b[2] = { (uint8_t)depth[i], (uint8_t)(depth[i] >> 8) };
        hasher_bytes(h, b, 2);
    }
    return hasher_end(h);
}

static mohs_status one_scene(void *user, size_t i, struct mohs_error *err)
{
    struct maker *m = user;
    uint32_t px = m->o.size_px;
    struct scene s;
    char name[64];
    struct image im = { px, px, xmalloc((size_t)px * px * 3) };
    uint16_t *depth = xmalloc((size_t)px * px * sizeof *depth);
    uint8_t *owner = xmalloc((size_t)px * px);
    struct str png = { 0 };
    mohs_status st;
    uint64_t seed = mohs_rng_fork(m->o.seed, (uint64_t)m->split);
    scene_draw_random(&m->c, m->c.known, m->c.n_known, 0, px, seed, i, (int)m->split, &s);
    OUT_IF_ERR(scene_render(&m->c, &s, px, &im, depth, owner, err));
    m->content[i] = content_hash(&im, depth);
    snprintf(name, sizeof name, "%s/%06zu.png", split_name[m->split], i);
    OUT_IF_ERR(put_picture(m->dir, name, &im, err));
    OUT_IF_ERR(image_encode_png16(depth, px, px, &png, err));
    snprintf(name, sizeof name, "depth/%s/%06zu.png", split_name[m->split], i);
    OUT_IF_ERR(put(m->dir, name, png.s, png.n, err));
    scene_captions(&m->c, &s, m->o.captions, m->captions + i * m->o.captions);
    snprintf(name, sizeof name, "%06zu.png", i);
    scene_factors(&m->c, &s, name, &m->factors[i]);
    if (m->split == TEST)
        st = second_view(m, &s, i, name, owner, &im, err);
out:
    str_free(&png);
    free(im.rgb);
    free(depth);
    free(owner);
    return st;
}

/* ---- the files of a split ---- */

static struct hash128 split_hash(const struct maker *m)
{
    struct hasher *h = hasher_new();
    for (size_t i = 0; i < m->n; i++) {
        hasher_u64(h, m->content[i].hi);
        hasher_u64(h, m->content[i].lo);
    }
    for (size_t i = 0; i < (size_t)m->n * m->o.captions; i++)
        hasher_str(h, m->captions[i]);
    return hasher_end(h);
}

static mohs_status put_captions(struct maker *m, struct mohs_error *err)
{
    struct str s = { 0 };
    const char *split = split_name[m->split];
    char name[32];
    str_addf(&s, "{\"info\": {\"description\": \"emoji-scenes %s\", \"version\": \"%d\"},\n"
                 "\"images\": [", split, SCENES_VERSION);
    for (uint32_t i = 0; i < m->n; i++)
        str_addf(&s, "%s\n{\"id\": %u, \"file_name\": \"%06u.png\", \"width\": %u, "
                     "\"height\": %u, \"depth_file_name\": \"depth/%s/%06u.png\"}",
                 i ? "," : "", i, i, m->o.size_px, m->o.size_px, split, i);
    str_add(&s, "],\n\"annotations\": [");
    for (uint32_t i = 0; i < m->n; i++)
        for (uint32_t k = 0; k < m->o.captions; k++) {
            uint32_t id = i * m->o.captions + k;
            str_addf(&s, "%s\n{\"id\": %u, \"image_id\": %u, \"caption\": ", id ? "," : "",
                     id, i);
            str_add_json(&s, m->captions[id]);
            str_add(&s, "}");
        }
    str_add(&s, "]}\n");
    snprintf(name, sizeof name, "%s.json", split);
    mohs_status st = put(m->dir, name, s.s, s.n, err);
    str_free(&s);
    return st;
}

static mohs_status put_lines(struct maker *m, const char *name, const struct str *line,
                             struct mohs_error *err)
{
    struct str s = { 0 };
    str_add(&s, "");
    for (uint32_t i = 0; i < m->n; i++) {
        str_addn(&s, line[i].s, line[i].n);
        str_add(&s, "\n");
    }
    mohs_status st = put(m->dir, name, s.s, s.n, err);
    str_free(&s);
    return st;
}

static mohs_status make_dir(struct maker *m, const char *name, struct mohs_error *err)
{
    char *path = path_join(m->dir, name);
    mohs_status st = dir_make(path, err);
    free(path);
    return st;
}

static mohs_status make_split(struct maker *m, enum split split, uint32_t n,
                              struct mohs_error *err)
{
    char name[48];
    mohs_status st;
    m->split = split;
    m->n = n;
    size_t count = n ? n : 1;
    m->captions = xcalloc(count * m->o.captions, sizeof *m->captions);
    m->factors = xcalloc(count, sizeof *m->factors);
    m->points = xcalloc(count, sizeof *m->points);
    m->content = xcalloc(count, sizeof *m->content);
    snprintf(name, sizeof name, "depth/%s", split_name[split]);
    OUT_IF_ERR(make_dir(m, split_name[split], err));
    OUT_IF_ERR(make_dir(m, name, err));
    if (split == TEST)
        OUT_IF_ERR(make_dir(m, "views", err));
    OUT_IF_ERR(pool_run(m->pool, n, one_scene, m, err));
    OUT_IF_ERR(put_captions(m, err));
    m->hash[split] = split_hash(m);
    snprintf(name, sizeof name, "factors.%s.jsonl", split_name[split]);
    OUT_IF_ERR(put_lines(m, name, m->factors, err));
    if (split == TEST)
        st = put_lines(m, "correspondence.test.jsonl", m->points, err);
out:
    for (size_t i = 0; i < (size_t)n * m->o.captions; i++)
        free(m->captions[i]);
    for (uint32_t i = 0; i < n; i++) {
        str_free(&m->factors[i]);
        str_free(&m->points[i]);
    }
    free(m->captions);
    free(m->factors);
    free(m->points);
    free(m->content);
    return st;
}

/* ---- class folders ---- */

static mohs_status one_class(void *user, size_t at, struct mohs_error *err)
{
    struct maker *m = user;
    uint32_t px = m->o.size_px, kind = m->kind[at];
    struct image im = { px, px, xmalloc((size_t)px * px * 3) };
    char name[96];
    mohs_status st;
    snprintf(name, sizeof name, "%s/u%05x", m->root, m->c.v[kind].code_point);
    OUT_IF_ERR(make_dir(m, name, err));
    uint64_t seed = mohs_rng_fork(m->o.seed, SPLITS);
    for (uint32_t i = 0; i < m->per_class; i++) {
        struct scene s;
        scene_draw_random(&m->c, &kind, 1, 1, px, seed, (uint64_t)kind << 16 | i, -1, &s);
        OUT_IF_ERR(scene_render(&m->c, &s, px, &im, NULL, NULL, err));
        snprintf(name, sizeof name, "%s/u%05x/%02u.png", m->root,
                 m->c.v[kind].code_point, i);
        OUT_IF_ERR(put_picture(m->dir, name, &im, err));
    }
out:
    free(im.rgb);
    return st;
}

static int by_code_point(const void *a, const void *b)
{
    const struct object_class *x = *(const struct object_class *const *)a;
    const struct object_class *y = *(const struct object_class *const *)b;
    return x->code_point < y->code_point ? -1 : x->code_point > y->code_point;
}

/* Folders are named by code point, so byte order is code point order. */
static mohs_status make_classes(struct maker *m, const char *root,
                                const uint32_t *kind, size_t n, uint32_t count,
                                struct mohs_error *err)
{
    struct str names = { 0 };
    const struct object_class **order = xcalloc(n, sizeof *order);
    char file[64];
    m->root = root;
    m->kind = kind;
    m->per_class = count;
    mohs_status st = make_dir(m, root, err);
    for (size_t i = 0; i < n; i++)
        order[i] = &m->c.v[kind[i]];
    if (st >= 0)
        st = pool_run(m->pool, n, one_class, m, err);
    if (st >= 0) {
        qsort(order, n, sizeof *order, by_code_point);
        for (size_t i = 0; i < n; i++)
            str_addf(&names, "%s\n", order[i]->name.text);
        snprintf(file, sizeof file, "%s/classnames.txt", root);
        st = put(m->dir, file, names.s, names.n, err);
    }
    free(order);
    str_free(&names);
    return st;
}

/* ---- the whole set ---- */

/* The options, as the head of dataset_info.json; what follows depends on
 * them. */
static char *describe(const struct scenes_options *o)
{
    return xasprintf("{\"name\": \"emoji-scenes\", \"version\": %d, \"seed\": %llu, "
                     "\"size_px\": %u, \"train\": %u, \"val\": %u, \"test\": %u, "
                     "\"captions\": %u,", SCENES_VERSION, (unsigned long long)o->seed,
                     o->size_px, o->train, o->val, o->test, o->captions);
}

static mohs_status put_info(struct maker *m, const char *options, struct mohs_error *err)
{
    struct str s = { 0 };
    str_addf(&s, "%s\n \"classes\": %zu, \"held_out\": %zu, \"depth_unit\": "
                 "\"millimetre\",\n \"pictures\": \"Noto Color Emoji (OFL 1.1)\", "
                 "\"names\": \"Unicode CLDR\",\n \"content\": {",
             options, m->c.n_known, m->c.n_held_out);
    for (int i = 0; i < SPLITS; i++) {
        char hex[33];
        hash_hex(m->hash[i], hex);
        str_addf(&s, "%s\"%s\": \"%s\"", i ? ", " : "", split_name[i], hex);
    }
    str_add(&s, "}}\n");
    mohs_status st = put(m->dir, "dataset_info.json", s.s, s.n, err);
    str_free(&s);
    return st;
}

/* 1: this very set is there; 0: nothing is, or a set that may be replaced;
 * < 0: something else is. */
static mohs_status look(const struct scenes_options *o, const char *options,
                        struct mohs_error *err)
{
    static const char ours[] = "{\"name\": \"emoji-scenes\"";
    char *path = path_join(o->out, "dataset_info.json"), *have = NULL, **entry;
    size_t n;
    mohs_status st = 0;
    if (file_exists(path))
        (void)file_read(path, 1 << 16, &have, &n, NULL);
    free(path);
    bool is_ours = have && !strncmp(have, ours, strlen(ours));
    bool same = have && !strncmp(have, options, strlen(options));
    free(have);
    if (same)
        return 1;
    if (file_exists(o->out))
        return mohs_fail(err, MOHS_E_ARG, "%s: is a file", o->out);
    if (!dir_exists(o->out))
        return 0;
    RET_IF_ERR(dir_list(o->out, &entry, &n, err));
    strv_free(entry);
    if (n && !is_ours)
        st = mohs_fail(err, MOHS_E_ARG, "%s: holds something that is not emoji-scenes; "
                       "choose another directory", o->out);
    else if (n && !o->force)
        st = mohs_fail(err, MOHS_E_ARG, "%s: holds emoji-scenes with other options; "
                       "choose another directory, or --force", o->out);
    return st;
}

static int remove_one(const char *path, const struct stat *sb, int type, struct FTW *f)
{
    (void)sb;
    (void)type;
    (void)f;
    return remove(path);
}

static void remove_tree(const char *path)
{
    nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static mohs_status move_in_place(const struct maker *m, struct mohs_error *err)
{
    char *old = xasprintf("%s.old", m->dir);
    mohs_status st = MOHS_OK;
    bool there = dir_exists(m->o.out);
    if (there && rename(m->o.out, old))
        st = err_errno(err, "%s", m->o.out);
    if (st >= 0 && rename(m->dir, m->o.out)) {
        st = err_errno(err, "%s", m->o.out);
        if (there && rename(old, m->o.out))
            log_warn("%s: is now %s", m->o.out, old);
    }
    if (there && st >= 0)
        remove_tree(old);
    free(old);
    return st;
}

static mohs_status make_all(struct maker *m, const char *info, struct mohs_error *err)
{
    uint32_t count[SPLITS] = { m->o.train, m->o.val, m->o.test };
    for (int s = 0; s < SPLITS; s++) {
        RET_IF_ERR(make_split(m, (enum split)s, count[s], err));
        if (interrupted)
            return mohs_fail(err, MOHS_E_CANCELLED, "interrupted");
    }
    RET_IF_ERR(make_classes(m, "classes", m->c.known, m->c.n_known, PER_CLASS, err));
    RET_IF_ERR(make_classes(m, "zeroshot", m->c.held_out, m->c.n_held_out, PER_HELD_OUT,
                            err));
    return put_info(m, info, err);
}

static mohs_status make_set(const struct scenes_options *o, struct mohs_error *err)
{
    struct maker m = { .o = *o };
    double t0 = now_s();
    if (o->captions < CAPTIONS_MIN || o->captions > CAPTIONS_MAX)
        return mohs_fail(err, MOHS_E_ARG, "emoji-scenes: %u captions are outside %d..%d",
                         o->captions, CAPTIONS_MIN, CAPTIONS_MAX);
    if (o->size_px < 16 || o->size_px > 1024)
        return mohs_fail(err, MOHS_E_ARG, "emoji-scenes: size %u is outside 16..1024",
                         o->size_px);
    char *info = describe(o);
    mohs_status st = look(o, info, err);
    if (st != 0) {
        free(info);
        return st < 0 ? st : MOHS_OK;
    }
    m.dir = xasprintf("%s.%ld.tmp", o->out, (long)getpid());
    OUT_IF_ERR(catalogue_open(o->cldr ? o->cldr : CLDR, o->font ? o->font : FONT, &m.c,
                              err));
    OUT_IF_ERR(dir_make(m.dir, err));
    m.pool = pool_new(0);
    OUT_IF_ERR(make_all(&m, info, err));
    OUT_IF_ERR(move_in_place(&m, err));
    log_info("emoji-scenes: %u + %u + %u scenes of %zu classes, %zu more held out, in "
             "%.1f s", o->train, o->val, o->test, m.c.n_known, m.c.n_held_out,
             now_s() - t0);
out:
    if (st < 0 && dir_exists(m.dir))
        remove_tree(m.dir);
    pool_free(m.pool);
    catalogue_free(&m.c);
    free(m.dir);
    free(info);
    return st;
}

mohs_status data_emoji_scenes(const struct scenes_options *o, struct mohs_error *err)
{
    struct scenes_options own = *o;
    char *dir = xstrdup(o->out);
    for (size_t n = strlen(dir); n > 1 && dir[n - 1] == '/'; n--)
        dir[n - 1] = 0;
    own.out = dir;
    mohs_status st = *dir ? make_set(&own, err)
                          : mohs_fail(err, MOHS_E_ARG, "emoji-scenes: no directory named");
    free(dir);
    return st;
}
