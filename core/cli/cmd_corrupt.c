/* SPDX-License-Identifier: MIT */
/* mohs corrupt: pictures in, corrupted PNG files out; texts likewise. */
#include "config.h"

#include "cli/cli.h"
#include "cli/corrupt.h"
#include "cli/inputs.h"

#include <stdlib.h>
#include <string.h>

enum {
    OPT_PROFILE = 256,
    OPT_SEED,
    OPT_PARAM,
    OPT_WORKERS,
    OPT_DEPTH,
    JOBS_MAX = 512,
    WORKERS_MAX = 64
};

static const struct cli_option options[] = {
    { "corruption", 'c', "NAME[:SEVERITY],...",
      "what to apply (may be repeated)" },
    { "out", 'o', "DIR", "where the pictures go" },
    { "profile", OPT_PROFILE, "P", "whose constants (the parameter profile)" },
    { "seed", OPT_SEED, "N", "seed of the run (0)" },
    { "param", OPT_PARAM, "NAME=VALUE", "set a parameter (may be repeated)" },
    { "depth", OPT_DEPTH, "DIR|FILE",
      "depth maps, .npy or grey .png, named as the pictures are (may be "
      "repeated)" },
    { "workers", OPT_WORKERS, "N", "threads (one per processor)" },
    { 0 },
};

/* One corruption at some severities. */
struct job {
    const struct item *item;
    void *params;
    bool severity[6];
    void *self[WORKERS_MAX];
};

struct work {
    struct cli *c;
    struct registry *registry;
    const char *out, *profile;
    const char *name[JOBS_MAX], *param[JOBS_MAX], *depth[JOBS_MAX];
    size_t n_names, n_params, n_depth;
    uint64_t seed, workers;
    struct job job[JOBS_MAX];
    size_t n_jobs;
    unsigned n_selves; /* instances of each job, one a worker */
    bool texts;        /* the corruptions are of texts, the files too */
    struct inputs in;  /* pictures, or files of texts */
    struct mohs_error *fail; /* one an image; status 0: fine */
};

/* ---- the command line ---- */

static mohs_status read_options(struct cli *c, struct work *w,
                                struct mohs_error *err)
{
    const char *value;
    int o;
    while ((o = opt_next(c, &value, err)) > 0) {
        switch (o) {
        case 'c':
            if (w->n_names == JOBS_MAX)
                return mohs_fail(err, MOHS_E_ARG, "corrupt: too many -c");
            w->name[w->n_names++] = value;
            break;
        case 'o': w->out = value; break;
        case OPT_PROFILE: w->profile = value; break;
        case OPT_SEED:
            RET_IF_ERR(opt_u64(c, "seed", value, 0, UINT64_MAX, &w->seed, err));
            break;
        case OPT_WORKERS:
            RET_IF_ERR(
                opt_u64(c, "workers", value, 1, WORKERS_MAX, &w->workers, err));
            break;
        case OPT_DEPTH:
            if (w->n_depth == JOBS_MAX)
                return mohs_fail(err, MOHS_E_ARG, "corrupt: too many --depth");
            w->depth[w->n_depth++] = value;
            break;
        default:
            if (w->n_params == JOBS_MAX || !strchr(value, '='))
                return mohs_fail(err, MOHS_E_ARG,
                                 "corrupt: --param '%.64s' is not NAME=VALUE",
                                 value);
            w->param[w->n_params++] = value;
            break;
        }
    }
    if (o < 0)
        return MOHS_E_ARG;
    RET_IF_ERR(opt_count(c, 1, SIZE_MAX, err));
    if (!w->n_names)
        return mohs_fail(err, MOHS_E_ARG, "corrupt: -c NAME is missing");
    if (!w->out)
        return mohs_fail(err, MOHS_E_ARG, "corrupt: --out DIR is missing");
    return MOHS_OK;
}

/* "name" or "name:3" to a job; the same name again adds severities. */
static mohs_status add_job(struct work *w, const char *text,
                           struct mohs_error *err)
{
    const char *colon = strchr(text, ':');
    char *name = xasprintf("%.*s", (int)strcspn(text, ":"), text);
    const struct item *it;
    int64_t severity = 0;
    mohs_status st =
        registry_find(w->registry, MOHS_KIND_CORRUPTION, name, &it, err);
    free(name);
    RET_IF_ERR(st);
    const struct mohs_corruption_ops *ops = it->item->ops;
    if (colon &&
        (!str_to_i64(colon + 1, &severity) || severity < 1 || severity > 5))
        return mohs_fail(err, MOHS_E_ARG, "%s: severity '%.16s' is not 1..5",
                         it->item->id, colon + 1);
    bool texts = ops->flags & MOHS_CORRUPTION_TEXT;
    if (w->n_jobs && texts != w->texts)
        return mohs_fail(err, MOHS_E_ARG,
                         "corrupt: %s is of %s, %s of %s: one command each",
                         it->item->id, texts ? "texts" : "pictures",
                         w->job[0].item->item->id,
                         texts ? "pictures" : "texts");
    w->texts = texts;
    if ((ops->flags & MOHS_CORRUPTION_DEPTH) && !w->n_depth)
        return mohs_fail(err, MOHS_E_ARG,
                         "%s: needs depth maps: give --depth DIR|FILE",
                         it->item->id);
    size_t i = 0;
    while (i < w->n_jobs && w->job[i].item != it)
        i++;
    if (i == JOBS_MAX)
        return mohs_fail(err, MOHS_E_ARG, "corrupt: too many corruptions");
    if (i == w->n_jobs) {
        w->job[w->n_jobs].item = it;
        w->job[w->n_jobs++].params = item_params_new(it);
    }
    for (int64_t s = 1; s <= 5; s++)
        if (!severity || s == severity)
            w->job[i].severity[s] = true;
    return MOHS_OK;
}

static mohs_status add_jobs(struct work *w, struct mohs_error *err)
{
    for (size_t i = 0; i < w->n_names; i++) {
        char *list = xstrdup(w->name[i]), *save = NULL;
        mohs_status st = MOHS_OK;
        for (char *t = strtok_r(list, ",", &save); t && st >= 0;
             t = strtok_r(NULL, ",", &save))
            st = add_job(w, t, err);
        free(list);
        RET_IF_ERR(st);
    }
    if (!w->n_jobs)
        return mohs_fail(err, MOHS_E_ARG, "corrupt: -c names no corruption");
    return MOHS_OK;
}

static bool has_param(const struct item *it, const char *name)
{
    const struct mohs_param *p;
    for (size_t i = 0; (p = item_param(it, i)); i++)
        if (!strcmp(p->name, name))
            return true;
    return false;
}

/* Sets a parameter of every job that has it; at least one must. */
static mohs_status set_param(struct work *w, const char *name,
                             const char *value, struct mohs_error *err)
{
    size_t set = 0;
    for (size_t i = 0; i < w->n_jobs; i++) {
        struct job *j = &w->job[i];
        if (!has_param(j->item, name) &&
            (w->n_jobs > 1 || !strcmp(name, "profile")))
            continue;
        RET_IF_ERR(item_param_set_text(j->item, j->params, name, value, err));
        set++;
    }
    if (!set)
        return mohs_fail(
            err, MOHS_E_ARG,
            "corrupt: none of the corruptions has a parameter '%.64s'", name);
    return MOHS_OK;
}

static mohs_status set_params(struct work *w, struct mohs_error *err)
{
    if (w->profile)
        RET_IF_ERR(set_param(w, "profile", w->profile, err));
    for (size_t i = 0; i < w->n_params; i++) {
        const char *eq = strchr(w->param[i], '=');
        char *name = xasprintf("%.*s", (int)(eq - w->param[i]), w->param[i]);
        mohs_status st = set_param(w, name, eq + 1, err);
        free(name);
        RET_IF_ERR(st);
    }
    return MOHS_OK;
}

/* ---- pictures ---- */

static mohs_status add_inputs(struct work *w, struct mohs_error *err)
{
    for (size_t i = 0; i < w->c->n_args; i++)
        RET_IF_ERR(inputs_add(&w->in, w->c->args[i], w->texts, err));
    return inputs_differ(&w->in, "corrupt", err);
}

/* ---- instances ---- */

static mohs_status self_new(struct work *w, struct job *j, unsigned worker,
                            struct mohs_error *err)
{
    const struct mohs_corruption_ops *ops = j->item->item->ops;
    err->text[0] = 0;
    mohs_status st = ops->create(registry_host(w->registry), j->params,
                                 &j->self[worker], err);
    scratch_reset();
    if (st < 0 && !err->text[0])
        mohs_fail(err, st, "%s: create failed", j->item->item->id);
    return st;
}

/* One instance per job and worker. One that asks for the device stays on
 * the main thread, and so does everything else then. */
static mohs_status selves_new(struct work *w, struct mohs_error *err)
{
    unsigned want = (unsigned)w->workers;
    if (!want) {
        struct pool *p = pool_new(0);
        want = pool_size(p);
        pool_free(p);
    }
    if (want > w->in.n)
        want = (unsigned)w->in.n;
    registry_compute_asked(w->registry, true);
    for (unsigned k = 0; k < want; k++) {
        for (size_t i = 0; i < w->n_jobs; i++)
            RET_IF_ERR(self_new(w, &w->job[i], k, err));
        w->n_selves = k + 1;
        if (registry_compute_asked(w->registry, false))
            break;
    }
    return MOHS_OK;
}

static void work_free(struct work *w)
{
    for (size_t i = 0; i < w->n_jobs; i++) {
        struct job *j = &w->job[i];
        const struct mohs_corruption_ops *ops = j->item->item->ops;
        for (unsigned k = 0; k < WORKERS_MAX; k++)
            if (j->self[k])
                ops->destroy(j->self[k]);
        item_params_free(j->item, j->params);
    }
    inputs_free(&w->in);
    free(w->fail);
}

/* ---- depth ---- */

static bool needs_depth(const struct job *j)
{
    const struct mohs_corruption_ops *ops = j->item->item->ops;
    return ops->flags & MOHS_CORRUPTION_DEPTH;
}

/* The map of a picture among what --depth gave: a file of its stem, or the
 * one file given for the one picture; malloc'ed. */
static char *depth_path(const struct work *w, const char *image)
{
    char *stem = path_stem(image), *found = NULL;
    for (size_t i = 0; i < w->n_depth && !found; i++) {
        const char *from = w->depth[i];
        if (dir_exists(from)) {
            found = data_depth_in(from, path_base(image));
        } else {
            char *own = path_stem(from);
            if (!strcmp(own, stem) || (w->n_depth == 1 && w->in.n == 1))
                found = xstrdup(from);
            free(own);
        }
    }
    free(stem);
    return found;
}

/* The map over the upright picture, nearest values; NULL when no corruption
 * needs one. A map lies over the picture as stored and is turned with it. */
static mohs_status depth_over(const struct work *w, const struct input *in,
                              const struct image *im, float **out,
                              struct mohs_error *err)
{
    uint32_t dw, dh, pw, ph;
    unsigned turn;
    const char *image = in->name;
    bool need = false;
    float *d;
    *out = NULL;
    for (size_t k = 0; k < w->n_jobs; k++)
        need |= needs_depth(&w->job[k]);
    if (!need)
        return MOHS_OK;
    if (in->set && (in->set->source || in->set->image[in->index].bytes))
        return mohs_fail(err, MOHS_E_ARG,
                         "%s: depth maps are for pictures in files of their own",
                         image);
    char *path = depth_path(w, image);
    if (!path)
        return mohs_fail(err, MOHS_E_IO,
                         "%s: --depth has no map (.npy or .png) of that name",
                         image);
    mohs_status st = data_depth(path, &dw, &dh, &d, err);
    free(path);
    RET_IF_ERR(st);
    st = image_orientation(image, &turn, &pw, &ph, err);
    if (st >= 0)
        *out = try_calloc((size_t)im->width * im->height, sizeof **out, image,
                          err);
    for (uint32_t y = 0; *out && y < im->height; y++)
        for (uint32_t x = 0; x < im->width; x++) {
            uint32_t sx = x, sy = y;
            image_turned_from(turn, pw, ph, &sx, &sy);
            sx = (uint32_t)((2 * (uint64_t)sx + 1) * dw / (2 * (uint64_t)pw));
            sy = (uint32_t)((2 * (uint64_t)sy + 1) * dh / (2 * (uint64_t)ph));
            (*out)[(size_t)y * im->width + x] = d[(size_t)sy * dw + sx];
        }
    free(d);
    return st < 0 || *out ? st : MOHS_E_NOMEM;
}

/* ---- doing it ---- */

static char *out_path(const struct work *w, const struct input *in,
                      const struct job *j, uint32_t severity)
{
    char *stem = input_stem(in);
    char *path = xasprintf("%s/%s.%s.%u.%s", w->out, stem, j->item->item->id,
                           severity, w->texts ? "txt" : "png");
    free(stem);
    return path;
}

static mohs_status one_file(const struct work *w, const struct input *in,
                            const struct image *im, const float *depth,
                            const struct job *j, void *self, uint32_t severity,
                            struct mohs_error *err)
{
    const struct mohs_corruption_ops *ops = j->item->item->ops;
    uint64_t key = input_key(in);
    uint64_t seed = op_seed(w->seed, j->item->item->id, severity);
    struct image out = { im->width, im->height, NULL };
    out.rgb = try_calloc((size_t)im->width * im->height, 3, in->name, err);
    if (!out.rgb)
        return MOHS_E_NOMEM;
    struct mohs_images from = { sizeof from, 1,    im->height, im->width,
                                im->rgb,     &key, depth };
    struct mohs_images to = from;
    to.rgb = out.rgb;
    err->text[0] = 0;
    mohs_status st = ops->apply(self, &from, &to, severity, seed, err);
    scratch_reset();
    if (st < 0) {
        if (!err->text[0])
            mohs_fail(err, st, "%s failed", j->item->item->id);
        err_prefix(err, st, "%s", in->name);
    } else {
        char *file = out_path(w, in, j, severity);
        st = image_write_png(file, &out, err);
        free(file);
    }
    free(out.rgb);
    return st;
}

/* A file of texts, a text a line. */
static mohs_status one_texts(const struct work *w, size_t i, unsigned worker,
                             struct mohs_error *err)
{
    mohs_status st = MOHS_OK;
    for (size_t k = 0; k < w->n_jobs && st >= 0; k++)
        for (uint32_t s = 1; s <= 5 && st >= 0; s++) {
            const struct job *j = &w->job[k];
            if (!j->severity[s])
                continue;
            char *file = out_path(w, &w->in.v[i], j, s);
            st = corrupt_texts(w->in.v[i].name, file, j->item, j->self[worker], s,
                               op_seed(w->seed, j->item->item->id, s), err);
            free(file);
        }
    return st;
}

static mohs_status one_image(const struct work *w, size_t i, unsigned worker,
                             struct mohs_error *err)
{
    struct image im = { 0 };
    float *depth = NULL;
    const struct input *in = &w->in.v[i];
    mohs_status st = input_read(in, 0, &im, err);
    if (st >= 0)
        st = depth_over(w, in, &im, &depth, err);
    for (size_t k = 0; k < w->n_jobs && st >= 0; k++)
        for (uint32_t s = 1; s <= 5 && st >= 0; s++)
            if (w->job[k].severity[s])
                st = one_file(w, in, &im, depth, &w->job[k],
                              w->job[k].self[worker], s, err);
    free(depth);
    image_free(&im);
    return st;
}

/* Pictures worker, worker + n, ...: goes on behind a bad one. */
static mohs_status worker_run(void *user, size_t worker, struct mohs_error *err)
{
    struct work *w = user;
    for (size_t i = worker; i < w->in.n; i += w->n_selves) {
        if (interrupted)
            return mohs_fail(err, MOHS_E_CANCELLED, "interrupted");
        struct mohs_error e = MOHS_ERROR_INIT;
        if ((w->texts ? one_texts : one_image)(w, i, (unsigned)worker, &e) <
            0) {
            if (e.status >= 0) // an error record without its status
                e.status = MOHS_E_IO;
            w->fail[i] = e;
        }
    }
    return MOHS_OK;
}

static void print_files(const struct work *w)
{
    struct str b = { 0 };
    size_t n = 0;
    for (size_t i = 0; i < w->in.n; i++)
        for (size_t k = 0; k < w->n_jobs && w->fail[i].status >= 0; k++)
            for (uint32_t s = 1; s <= 5; s++) {
                if (!w->job[k].severity[s])
                    continue;
                const struct job *j = &w->job[k];
                char *path = out_path(w, &w->in.v[i], j, s);
                if (!w->c->json) {
                    str_addf(&b, "%s\n", path);
                } else {
                    str_add(&b, n++ ? ",\n {\"path\": " : "[\n {\"path\": ");
                    str_add_json(&b, path);
                    str_addf(&b, ", \"%s\": ", w->texts ? "texts" : "image");
                    str_add_json(&b, w->in.v[i].name);
                    str_addf(&b,
                             ", \"corruption\": \"%s\", \"severity\": %u, "
                             "\"seed\": %llu, \"params\": ",
                             j->item->item->id, s, (unsigned long long)w->seed);
                    struct str p = { 0 };
                    item_params_text(j->item, j->params, true, &p);
                    str_add_json(&b, p.s);
                    str_free(&p);
                    str_add(&b, "}");
                }
                free(path);
            }
    if (w->c->json)
        str_add(&b, n ? "\n]\n" : "[]\n");
    print_str(&b);
}

/* All failures but the first as they are; the first is the command's. */
static mohs_status failures(const struct work *w, struct mohs_error *err)
{
    const struct mohs_error *first = NULL;
    for (size_t i = 0; i < w->in.n; i++) {
        if (w->fail[i].status >= 0)
            continue;
        if (first)
            log_error("%s", w->fail[i].text);
        else
            first = &w->fail[i];
    }
    return first ? mohs_fail(err, first->status, "%s", first->text) : MOHS_OK;
}

static mohs_status corrupt(struct cli *c, struct work *w,
                           struct mohs_error *err)
{
    w->c = c;
    RET_IF_ERR(read_options(c, w, err));
    RET_IF_ERR(cli_registry(c, &w->registry, err));
    RET_IF_ERR(add_jobs(w, err));
    RET_IF_ERR(set_params(w, err));
    RET_IF_ERR(add_inputs(w, err));
    RET_IF_ERR(dir_make(w->out, err));
    RET_IF_ERR(selves_new(w, err));
    w->fail = xcalloc(w->in.n, sizeof *w->fail);
    mohs_status st;
    if (w->n_selves > 1) {
        struct pool *pool = pool_new(w->n_selves);
        st = pool_run(pool, w->n_selves, worker_run, w, err);
        pool_free(pool);
    } else {
        st = worker_run(w, 0, err);
    }
    RET_IF_ERR(st);
    print_files(w);
    return failures(w, err);
}

static mohs_status run(struct cli *c, struct mohs_error *err)
{
    struct work *w = xcalloc(1, sizeof *w);
    mohs_status st = corrupt(c, w, err);
    work_free(w);
    free(w);
    return st;
}

const struct cli_command command_corrupt = {
    .name = "corrupt",
    .summary = "corrupt pictures or texts and write the files",
    .usage =
        "FILE|DIR... -c NAME[:SEVERITY][,NAME...] --out DIR [--profile P] "
        "[--seed N] [--param NAME=VALUE] [--depth DIR|FILE]",
    .options = options,
    .details =
        "Writes DIR/<stem>.<name>.<severity>.png for every picture (PNG, JPEG, "
        "WebP; the EXIF orientation is applied), all five severities when none "
        "is "
        "given, and prints the paths. A FILE may also be a webdataset archive "
        "(.tar) or a Parquet file, a DIR may hold such or class folders; the "
        "stem is then the picture's id, '_' for '/'. What is random depends on "
        "the seed, the corruption, the severity and the picture's file name (in "
        "a set its id) only. Corruptions of "
        "depth take maps from --depth, a folder or files named as the pictures "
        "are: NPY arrays or grey PNG (16 bits: millimetres), larger is "
        "farther, over the picture as stored (EXIF turns both), resized to "
        "the nearest value. Corruptions of texts take text files, one UTF-8 "
        "text a line, and write DIR/<stem>.<name>.<severity>.txt, line for "
        "line; what is random depends on the number of the line, counted from "
        "0, instead of a file's name. A file that cannot be read is reported "
        "and the others are still done.",
    .run = run,
};
