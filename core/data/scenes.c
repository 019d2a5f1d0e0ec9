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

enum { SCENES_VERSION = 1, PER_CLASS = 5, PER_HELD_OUT = 10, GRID = 3 };

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
    mohs_status st = image_encode_png(im, &s, err);
    if (st >= 0)
        st = put(dir, name, s.s, s.n, err);
    str_free(&s);
    return st;
}

/* ---- one picture of a split ---- */

static void points_of(const struct scene *a, const struct scene *b, const char *file,
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
            int32_t step = (int32_t)a->object[i].size * 4; // a quarter, 1/16 px
            int32_t gx = (g % GRID - 1) * step, gy = (g / GRID - 1) * step;
            int32_t x0 = a->object[i].x + gx, y0 = a->object[i].y + gy;
            int32_t x1 = b->object[i].x + gx, y1 = b->object[i].y + gy;
            int32_t w = (int32_t)size * 16;
            if (x0 < 0 || y0 < 0 || x1 < 0 || y1 < 0 || x0 >= w || y0 >= w || x1 >= w ||
                y1 >= w)
                continue;
            str_addf(out, "%s[%.4f, %.4f, %.4f, %.4f, %zu]", first ? "" : ", ", x0 / 16.0,
                     y0 / 16.0, x1 / 16.0, y1 / 16.0, i);
            first = false;
        }
    str_add(out, "]}");
}

static mohs_status second_view(struct maker *m, const struct scene *s, size_t i,
                               const char *file, struct image *im, uint16_t *depth,
                               struct mohs_error *err)
{
    struct scene moved;
    char view[48];
    int32_t most = (int32_t)m->o.size_px * 2; // an eighth of the side, 1/16 px
    int32_t dx = (int32_t)mohs_rng_below(s->seed, 3, 0, (uint32_t)(2 * most + 1)) - most;
    int32_t dy = (int32_t)mohs_rng_below(s->seed, 3, 1, (uint32_t)(most + 1)) - most / 2;
    scene_move(s, m->o.size_px, dx, dy, &moved);
    RET_IF_ERR(scene_render(&m->c, &moved, m->o.size_px, im, depth, err));
    snprintf(view, sizeof view, "views/%06zu.png", i);
    RET_IF_ERR(put_picture(m->dir, view, im, err));
    points_of(s, &moved, file, view, m->o.size_px, &m->points[i]);
    return MOHS_OK;
}

static mohs_status one_scene(void *user, size_t i, struct mohs_error *err)
{
    struct maker *m = user;
    uint32_t px = m->o.size_px;
    struct scene s;
    char name[64];
    struct image im = { px, px, xmalloc((size_t)px * px * 3) };
    uint16_t *depth = xmalloc((size_t)px * px * sizeof *depth);
    struct str png = { 0 };
    mohs_status st;
    uint64_t seed = mohs_rng_fork(m->o.seed, (uint64_t)m->split);
    scene_draw_random(&m->c, m->c.known, m->c.n_known, 0, px, seed, i, (int)m->split, &s);
    OUT_IF_ERR(scene_render(&m->c, &s, px, &im, depth, err));
    snprintf(name, sizeof name, "%s/%06zu.png", split_name[m->split], i);
    OUT_IF_ERR(put_picture(m->dir, name, &im, err));
    OUT_IF_ERR(image_encode_png16(depth, px, px, &png, err));
    snprintf(name, sizeof name, "depth/%s/%06zu.png", split_name[m->split], i);
    OUT_IF_ERR(put(m->dir, name, png.s, png.n, err));
    scene_captions(&m->c, &s, m->o.captions, m->captions + i * m->o.captions);
    snprintf(name, sizeof name, "%06zu.png", i);
    scene_factors(&m->c, &s, name, &m->factors[i]);
    if (m->split == TEST)
        st = second_view(m, &s, i, name, &im, depth, err);
out:
    str_free(&png);
    free(im.rgb);
    free(depth);
    return st;
}

/* ---- the files of a split ---- */

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
    snprintf(name, sizeof name, "depth/%s", split_name[split]);
    OUT_IF_ERR(make_dir(m, split_name[split], err));
    OUT_IF_ERR(make_dir(m, name, err));
    if (split == TEST)
        OUT_IF_ERR(make_dir(m, "views", err));
    OUT_IF_ERR(pool_run(m->pool, n, one_scene, m, err));
    OUT_IF_ERR(put_captions(m, err));
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
    return st;
}

/* ---- class folders ---- */

static mohs_status one_class(struct maker *m, const char *root, uint32_t kind,
                             uint32_t count, struct mohs_error *err)
{
    uint32_t px = m->o.size_px;
    struct image im = { px, px, xmalloc((size_t)px * px * 3) };
    uint16_t *depth = xmalloc((size_t)px * px * sizeof *depth);
    char name[96];
    mohs_status st;
    snprintf(name, sizeof name, "%s/u%05x", root, m->c.v[kind].code_point);
    OUT_IF_ERR(make_dir(m, name, err));
    uint64_t seed = mohs_rng_fork(m->o.seed, SPLITS);
    for (uint32_t i = 0; i < count && st >= 0; i++) {
        struct scene s;
        scene_draw_random(&m->c, &kind, 1, 1, px, seed, (uint64_t)kind << 16 | i, -1, &s);
        OUT_IF_ERR(scene_render(&m->c, &s, px, &im, depth, err));
        snprintf(name, sizeof name, "%s/u%05x/%02u.png", root, m->c.v[kind].code_point, i);
        st = put_picture(m->dir, name, &im, err);
    }
out:
    free(im.rgb);
    free(depth);
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
    mohs_status st = make_dir(m, root, err);
    for (size_t i = 0; i < n && st >= 0; i++) {
        order[i] = &m->c.v[kind[i]];
        st = one_class(m, root, kind[i], count, err);
    }
    if (st >= 0) {
        qsort(order, n, sizeof *order, by_code_point);
        for (size_t i = 0; i < n; i++)
            str_addf(&names, "%s\n", order[i]->name);
        snprintf(file, sizeof file, "%s/classnames.txt", root);
        st = put(m->dir, file, names.s, names.n, err);
    }
    free(order);
    str_free(&names);
    return st;
}

/* ---- the whole set ---- */

static char *describe(const struct scenes_options *o)
{
    return xasprintf("{\"name\": \"emoji-scenes\", \"version\": %d, \"seed\": %llu, "
                     "\"size_px\": %u, \"train\": %u, \"val\": %u, \"test\": %u, "
                     "\"captions\": %u, \"depth_unit\": \"millimetre\", "
                     "\"pictures\": \"Noto Color Emoji (OFL 1.1)\", "
                     "\"names\": \"Unicode CLDR\"}\n",
                     SCENES_VERSION, (unsigned long long)o->seed, o->size_px, o->train, o->val,
                     o->test, o->captions);
}

/* 1: this very set is there; 0: nothing is; < 0: something else is. */
static mohs_status look(const struct scenes_options *o, const char *info,
                        struct mohs_error *err)
{
    char *path = path_join(o->out, "dataset_info.json"), *have = NULL, **entry;
    size_t n;
    mohs_status st = 0;
    if (file_exists(path) && file_read(path, 1 << 16, &have, &n, NULL) >= 0 &&
        !strcmp(have, info)) {
        st = 1;
    } else if (dir_exists(o->out) && dir_list(o->out, &entry, &n, NULL) >= 0) {
        strv_free(entry);
        if (n && !o->force)
            st = mohs_fail(err, MOHS_E_ARG,
                           "%s: holds something else; another directory, or --force, "
                           "please", o->out);
    } else if (file_exists(o->out)) {
        st = mohs_fail(err, MOHS_E_ARG, "%s: is a file", o->out);
    }
    free(have);
    free(path);
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
    if (st >= 0 && rename(m->dir, m->o.out))
        st = err_errno(err, "%s", m->o.out);
    if (there && st >= 0)
        remove_tree(old);
    free(old);
    return st;
}

static mohs_status make_all(struct maker *m, const char *info, struct mohs_error *err)
{
    uint32_t count[SPLITS] = { m->o.train, m->o.val, m->o.test };
    for (int s = 0; s < SPLITS; s++) {
        RET_IF_ERR(make_split(m, s, count[s], err));
        if (interrupted)
            return mohs_fail(err, MOHS_E_CANCELLED, "interrupted");
    }
    RET_IF_ERR(make_classes(m, "classes", m->c.known, m->c.n_known, PER_CLASS, err));
    RET_IF_ERR(make_classes(m, "zeroshot", m->c.held_out, m->c.n_held_out, PER_HELD_OUT,
                            err));
    return put(m->dir, "dataset_info.json", info, strlen(info), err);
}

mohs_status data_emoji_scenes(const struct scenes_options *o, struct mohs_error *err)
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
