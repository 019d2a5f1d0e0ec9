/* SPDX-License-Identifier: MIT */
/*
 * Finds a checkpoint's parts: which file or shards hold the tensors, in which
 * format, and where its configuration, tokenizer and preprocessor are: in the
 * file's own metadata or beside it, as Hugging Face, open_clip and mohs lay
 * them out.
 */
#include "config.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "model/tokenizer.h"
#include "model/weights.h"

/* Texts beside the tensors: configurations are small, tokenizers are not. */
enum { CONFIG_MAX = 16 << 20 };

/* ---- one file ---------------------------------------------------------- */

static bool starts(const uint8_t *data, size_t n, const char *with, size_t m)
{
    return n >= m && !memcmp(data, with, m);
}

/* What people mistake for weights, with what to do about it. */
static mohs_status refuse_known(const uint8_t *data, size_t n, const char *path,
                                struct mohs_error *err)
{
    static const struct {
        const char *magic;
        size_t at, n;
        const char *what;
    } known[] = {
        { "\x80\x02", 0, 2,
          "saved by torch.save in the format of before PyTorch 1.6; convert it: "
          "torch.save(torch.load(f, map_location=\"cpu\", weights_only=True), f)" },
        { "ustar", 257, 5, "a tar archive, not weights" },
        { "version https://git-lfs", 0, 23,
          "a Git LFS pointer, not the file itself (git lfs pull)" },
        { "GGUF", 0, 4, "GGUF, not safetensors or a PyTorch archive" },
        { "\x89HDF", 0, 4, "HDF5, not safetensors or a PyTorch archive" },
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (n >= known[i].at && starts(data + known[i].at, n - known[i].at,
                                       known[i].magic, known[i].n))
            return mohs_fail(err, MOHS_E_UNSUPPORTED, "%s: %s", path,
                             known[i].what);
    return MOHS_OK;
}

static mohs_status parse(struct mohs_weights *w, const uint8_t *data, size_t n,
                         const char *path, struct mohs_error *err)
{
    w->n_files++;
    if (starts(data, n, "PK\3\4", 4))
        return torch_parse(w, data, n, path, err);
    RET_IF_ERR(refuse_known(data, n, path, err));
    w->format = "safetensors";
    return safetensors_parse(w, data, n, path, err);
}

mohs_status weights_map(struct mohs_weights *w, const char *path,
                        struct mohs_error *err)
{
    struct stat sb;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, "%s", path);
    mohs_status st = MOHS_OK;
    if (fstat(fd, &sb))
        st = err_errno(err, "%s", path);
    else if (!S_ISREG(sb.st_mode))
        st = mohs_fail(err, MOHS_E_IO, "%s: not a regular file", path);
    else if (sb.st_size < 8)
        st = mohs_fail(err, MOHS_E_FORMAT, "%s: %lld bytes are no weights", path,
                       (long long)sb.st_size);
    void *p = MAP_FAILED;
    if (st >= 0) {
        p = mmap(NULL, (size_t)sb.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (p == MAP_FAILED)
            st = err_errno(err, "%s", path);
    }
    close(fd);
    if (st < 0)
        return st;
    w->map = xrealloc(w->map, (w->n_maps + 1) * sizeof *w->map);
    w->map[w->n_maps++] = (struct wmap) { p, (size_t)sb.st_size };
    return parse(w, p, (size_t)sb.st_size, path, err);
}

/* ---- parts ------------------------------------------------------------- */

/* Reads `path` into *text when it exists and *text is still empty. */
static mohs_status part_from(const char *path, size_t max, char **text,
                             struct mohs_error *err)
{
    return *text || !file_exists(path) ? MOHS_OK
                                       : file_read(path, max, text, NULL, err);
}

static mohs_status part_from_dir(const char *dir, const char *name, size_t max,
                                 char **text, struct mohs_error *err)
{
    char *path = path_join(dir, name);
    mohs_status st = part_from(path, max, text, err);
    free(path);
    return st;
}

static void part_from_meta(const struct mohs_weights *w, const char *key,
                           char **text)
{
    const char *s = weights_meta(w, key);
    if (!*text && s)
        *text = xstrdup(s);
}

/* open_clip's {"model_cfg", "preprocess_cfg"}; its model files alone are the
 * former. */
static json_t *open_clip_shape(json_t *j)
{
    json_t *wrapped;
    if (!j || json_object_get(j, "model_cfg") || !json_object_get(j, "vision_cfg"))
        return j;
    wrapped = json_object();
    json_object_set_new(wrapped, "model_cfg", j);
    return wrapped;
}

/* Adds the configuration in `path`, if it is there, to what is known: a
 * repository may hold Hugging Face's and open_clip's, with different keys at
 * the top; of the same key the first counts. */
static mohs_status config_from(struct mohs_weights *w, const char *path,
                               struct mohs_error *err)
{
    char *text = NULL;
    json_t *j = NULL;
    RET_IF_ERR(part_from(path, CONFIG_MAX, &text, err));
    if (!text)
        return MOHS_OK;
    mohs_status st = weights_check_part(text, path, "configuration", &j, err);
    j = open_clip_shape(j);
    if (st < 0) {
        free(text);
        return st;
    }
    if (!w->config_json) {
        w->config_json = j;
        w->config = text;
        w->config_from = xstrdup(path);
        return MOHS_OK;
    }
    json_object_update_missing(w->config_json, j);
    json_decref(j);
    free(text);
    char *both = xasprintf("%s, %s", w->config_from, path_base(path));
    free(w->config_from);
    w->config_from = both;
    return MOHS_OK;
}

static mohs_status config_from_dir(struct mohs_weights *w, const char *dir,
                                   const char *name, struct mohs_error *err)
{
    char *path = path_join(dir, name);
    mohs_status st = config_from(w, path, err);
    free(path);
    return st;
}

static mohs_status config_from_meta(struct mohs_weights *w, struct mohs_error *err)
{
    const char *s = weights_meta(w, "config");
    if (!s || w->config_json)
        return MOHS_OK;
    RET_IF_ERR(weights_check_part(s, w->path, "config", &w->config_json, err));
    w->config = xstrdup(s);
    w->config_from = xasprintf("%s: metadata", w->path);
    return MOHS_OK;
}

/* `stem`: of a lone file; STEM.json beside it is its configuration. */
static mohs_status parts_from_dir(struct mohs_weights *w, const char *dir,
                                  const char *stem, struct mohs_error *err)
{
    if (stem && !w->config_json) {
        char *name = xasprintf("%s.json", stem);
        mohs_status st = config_from_dir(w, dir, name, err);
        free(name);
        RET_IF_ERR(st);
    }
    if (!w->config_json) {
        RET_IF_ERR(config_from_dir(w, dir, "config.json", err));
        RET_IF_ERR(config_from_dir(w, dir, "open_clip_config.json", err));
    }
    RET_IF_ERR(part_from_dir(dir, "preprocessor_config.json", CONFIG_MAX,
                             &w->preprocessor, err));
    return w->tokenizer ? MOHS_OK
                        : tokenizer_json_from_dir(dir, w->config_json, &w->tokenizer,
                                                  err);
}

/* ---- shards and directories -------------------------------------------- */

/* A file that an index names: beside it, never elsewhere. */
static bool is_plain_name(const char *s)
{
    return s && *s && *s != '.' && !strchr(s, '/');
}

static mohs_status check_index(const struct mohs_weights *w, const json_t *map,
                               const char *path, struct mohs_error *err)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)map, key, value) {
        if (!weights_find(w, key))
            return mohs_fail(err, MOHS_E_FORMAT,
                             "%s: tensor \"%s\" is not in \"%s\"", path, key,
                             json_string_value(value));
    }
    return MOHS_OK;
}

/* NAME.index.json: {"weight_map": {tensor: file}}. */
static mohs_status open_shards(struct mohs_weights *w, const char *dir,
                               const char *path, struct mohs_error *err)
{
    char *text = NULL;
    size_t n;
    json_t *index = NULL, *seen = json_object();
    const char *key;
    json_t *value;
    mohs_status st;
    OUT_IF_ERR(file_read(path, TOKENIZER_BYTES_MAX, &text, &n, err));
    index = json_text(text, n, path, err);
    st = index ? MOHS_OK : MOHS_E_FORMAT;
    json_t *map = json_object_get(index, "weight_map");
    if (st >= 0 && !json_is_object(map))
        st = mohs_fail(err, MOHS_E_FORMAT, "%s: no \"weight_map\"", path);
    if (st < 0)
        goto out;
    json_object_foreach(map, key, value) {
        const char *file = json_string_value(value);
        if (!is_plain_name(file)) {
            st = mohs_fail(err, MOHS_E_FORMAT,
                           "%s: tensor \"%s\": no plain file name", path, key);
            goto out;
        }
        if (json_object_get(seen, file))
            continue;
        json_object_set_new(seen, file, json_true());
        char *shard = path_join(dir, file);
        st = weights_map(w, shard, err);
        free(shard);
        if (st < 0)
            goto out;
    }
    st = check_index(w, map, path, err);
out:
    json_decref(index);
    json_decref(seen);
    free(text);
    return st;
}

/* In order of preference: the same weights, safer formats first. */
static const char *const usual[] = {
    "model.safetensors",
    "model.safetensors.index.json",
    "open_clip_model.safetensors",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
    "open_clip_pytorch_model.bin",
};

static bool is_weights_name(const char *s)
{
    static const char *const ends[] = { ".safetensors", ".bin", ".pt", ".pth",
                                        ".ckpt" };
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (str_ends(s, ends[i]))
            return true;
    return false;
}

/* The one file of weights in a directory without a usual name. */
static mohs_status find_lone(const char *dir, char **out, struct mohs_error *err)
{
    char **v;
    size_t n, found = 0;
    RET_IF_ERR(dir_list(dir, &v, &n, err));
    for (size_t i = 0; i < n; i++)
        if (is_weights_name(v[i]) && !found++)
            *out = path_join(dir, v[i]);
    strv_free(v);
    if (found == 1)
        return MOHS_OK;
    free(*out);
    *out = NULL;
    return mohs_fail(err, MOHS_E_IO,
                     found ? "%s: %zu files of weights and none is named "
                             "model.safetensors or pytorch_model.bin: name one"
                           : "%s: no model.safetensors, pytorch_model.bin, "
                             "index of shards or other weights in this directory",
                     dir, found);
}

static mohs_status map_dir(struct mohs_weights *w, const char *dir,
                           struct mohs_error *err)
{
    char *path = NULL;
    mohs_status st = MOHS_OK;
    bool index = false;
    for (size_t i = 0; i < sizeof usual / sizeof *usual && !path; i++) {
        path = path_join(dir, usual[i]);
        index = str_ends(path, ".json");
        if (!file_exists(path)) {
            free(path);
            path = NULL;
        }
    }
    if (!path) {
        index = false;
        st = find_lone(dir, &path, err);
    }
    if (st >= 0)
        st = index ? open_shards(w, dir, path, err) : weights_map(w, path, err);
    free(path);
    return st;
}

static mohs_status open_dir(struct mohs_weights *w, const char *dir,
                            struct mohs_error *err)
{
    RET_IF_ERR(map_dir(w, dir, err));
    RET_IF_ERR(parts_from_dir(w, dir, NULL, err));
    RET_IF_ERR(config_from_meta(w, err));
    part_from_meta(w, "tokenizer", &w->tokenizer);
    part_from_meta(w, "preprocessor", &w->preprocessor);
    return MOHS_OK;
}

static mohs_status open_file(struct mohs_weights *w, const char *path,
                             struct mohs_error *err)
{
    RET_IF_ERR(weights_map(w, path, err));
    RET_IF_ERR(config_from_meta(w, err));
    part_from_meta(w, "tokenizer", &w->tokenizer);
    part_from_meta(w, "preprocessor", &w->preprocessor);
    char *dir = path_dir(path), *stem = path_stem(path);
    mohs_status st = parts_from_dir(w, dir, stem, err);
    free(dir);
    free(stem);
    return st;
}

mohs_status weights_open(const char *path, struct mohs_weights **out,
                         struct mohs_error *err)
{
    struct mohs_weights *w = weights_blank(path);
    mohs_status st;
    OUT_IF_ERR(dir_exists(path) ? open_dir(w, path, err)
                                : open_file(w, path, err));
    weights_strip(w, "_orig_mod."); // torch.compile
    weights_strip(w, "module.");    // DataParallel
    *out = w;
    w = NULL;
out:
    weights_close(w);
    return st;
}
