/* SPDX-License-Identifier: MIT */
/* Class names and templates from text and JSON files. */
#include "config.h"

#include "data/class_list.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

enum { MOST_BYTES = 64 << 20, MOST_LINES = 1 << 20 };

/* ---- lines ---- */

mohs_status text_lines_parse(const char *text, size_t n, const char *path,
                             struct arena *a, struct text_lines *out,
                             struct mohs_error *err)
{
    size_t lines = 1;
    *out = (struct text_lines) { 0 };
    if (memchr(text, 0, n) || !utf8_valid(text, n))
        return mohs_fail(err, MOHS_E_FORMAT, "%s: not a text in UTF-8", path);
    if (n >= 3 && !memcmp(text, "\xef\xbb\xbf", 3)) {
        text += 3;
        n -= 3;
    }
    for (size_t i = 0; i < n; i++)
        lines += text[i] == '\n';
    if (lines > MOST_LINES)
        return mohs_fail(err, MOHS_E_FORMAT, "%s: more than %d lines", path,
                         MOST_LINES);
    out->line = arena_alloc(a, lines * sizeof *out->line);
    out->number = arena_alloc(a, lines * sizeof *out->number);
    for (size_t i = 0, at = 1; i < n; at++) {
        const char *s = text + i, *end = memchr(s, '\n', n - i);
        size_t len = end ? (size_t)(end - s) : n - i;
        i += len + 1;
        while (len && strchr(" \t\r", s[len - 1]))
            len--;
        while (len && strchr(" \t", *s)) {
            s++;
            len--;
        }
        if (!len)
            continue;
        out->line[out->n] = arena_printf(a, "%.*s", (int)len, s);
        out->number[out->n++] = (uint32_t)at;
    }
    return MOHS_OK;
}

mohs_status text_lines_read(const char *path, struct arena *a,
                            struct text_lines *out, struct mohs_error *err)
{
    char *text;
    size_t n;
    RET_IF_ERR(file_read(path, MOST_BYTES, &text, &n, err));
    mohs_status st = text_lines_parse(text, n, path, a, out, err);
    free(text);
    return st;
}

/* ---- lists ---- */

static void list_alloc(struct class_list *c, size_t n, bool ids)
{
    c->name = arena_alloc(c->arena, (n + 1) * sizeof *c->name);
    c->id = ids ? arena_alloc(c->arena, (n + 1) * sizeof *c->id) : NULL;
}

/* "n" and eight digits: a synset of WordNet. */
static bool is_wnid(const char *s, size_t n)
{
    if (n != 9 || *s != 'n')
        return false;
    for (size_t i = 1; i < n; i++)
        if (s[i] < '0' || s[i] > '9')
            return false;
    return true;
}

/* Length of the folder name that a line begins with; 0 for none. */
static size_t id_length(const char *line)
{
    const char *tab = strchr(line, '\t');
    size_t word = strcspn(line, " ");
    if (tab)
        return (size_t)(tab - line);
    return line[word] && is_wnid(line, word) ? word : 0;
}

static mohs_status parse_text(const char *text, size_t n, const char *path,
                              struct class_list *c, struct mohs_error *err)
{
    struct text_lines l;
    RET_IF_ERR(text_lines_parse(text, n, path, c->arena, &l, err));
    bool ids = l.n && id_length(l.line[0]);
    list_alloc(c, l.n, ids);
    for (size_t i = 0; i < l.n; i++) {
        size_t k = id_length(l.line[i]);
        if (!k != !ids)
            return mohs_fail(err, MOHS_E_FORMAT,
                             "%s:%u: '%.40s' %s a folder name in front, unlike "
                             "line %u", path, l.number[i], l.line[i],
                             k ? "has" : "lacks", l.number[0]);
        if (ids)
            c->id[i] = arena_printf(c->arena, "%.*s", (int)k, l.line[i]);
        const char *name = l.line[i] + k;
        name += strspn(name, " \t");
        c->name[i] = arena_strdup(c->arena, name);
    }
    c->n = l.n;
    return MOHS_OK;
}

static mohs_status bad_entry(const char *path, const char *key, size_t i,
                             struct mohs_error *err)
{
    return mohs_fail(err, MOHS_E_FORMAT,
                     "%s: entry %zu (\"%.40s\") is neither a name nor a pair of "
                     "folder name and name", path, i, key);
}

static mohs_status parse_pairs(const json_t *root, const char *path,
                               struct class_list *c, struct mohs_error *err)
{
    const char *key;
    json_t *v;
    size_t i = 0, n = json_object_size(root);
    list_alloc(c, n, true);
    json_object_foreach((json_t *)root, key, v) {
        const char *name = json_string_value(v);
        int64_t at = (int64_t)i;
        if (name) {
            c->id[i] = arena_strdup(c->arena, key);
        } else {
            const char *id = json_string_value(json_array_get(v, 0));
            name = json_string_value(json_array_get(v, 1));
            if (!id || !name || json_array_size(v) != 2 ||
                !str_to_i64(key, &at) || at < 0 || (size_t)at >= n || c->id[at])
                return bad_entry(path, key, i, err);
            c->id[at] = arena_strdup(c->arena, id);
        }
        c->name[at] = arena_strdup(c->arena, name);
        i++;
    }
    for (i = 0; i < n; i++) // strings and pairs mixed leave holes
        if (!c->name[i])
            return bad_entry(path, "", i, err);
    c->n = n;
    return MOHS_OK;
}

static mohs_status parse_array(const json_t *root, const char *path,
                               struct class_list *c, struct mohs_error *err)
{
    size_t n = json_array_size(root);
    list_alloc(c, n, false);
    for (size_t i = 0; i < n; i++) {
        const char *name = json_string_value(json_array_get(root, i));
        if (!name)
            return bad_entry(path, "", i, err);
        c->name[i] = arena_strdup(c->arena, name);
    }
    c->n = n;
    return MOHS_OK;
}

static mohs_status parse_json(const char *text, size_t n, const char *path,
                              struct class_list *c, struct mohs_error *err)
{
    json_error_t je;
    json_t *root = json_loadb(text, n, JSON_REJECT_DUPLICATES, &je);
    mohs_status st;
    if (!root)
        return mohs_fail(err, MOHS_E_FORMAT, "%s:%d: %s", path, je.line, je.text);
    if (json_array_size(root) > MOST_LINES || json_object_size(root) > MOST_LINES)
        st = mohs_fail(err, MOHS_E_FORMAT, "%s: more than %d classes", path,
                       MOST_LINES);
    else
        st = json_is_array(root) ? parse_array(root, path, c, err)
             : json_is_object(root)
                 ? parse_pairs(root, path, c, err)
                 : mohs_fail(err, MOHS_E_FORMAT, "%s: neither a list nor an "
                             "object", path);
    json_decref(root);
    return st;
}

/* ---- looking up ---- */

struct named {
    const char *id;
    uint32_t at;
};

static int by_id(const void *a, const void *b)
{
    return strcmp(((const struct named *)a)->id, ((const struct named *)b)->id);
}

static mohs_status index_ids(struct class_list *c, const char *path,
                             struct mohs_error *err)
{
    struct named *v = xcalloc(c->n + 1, sizeof *v);
    mohs_status st = MOHS_OK;
    for (size_t i = 0; i < c->n; i++)
        v[i] = (struct named) { c->id[i], (uint32_t)i };
    qsort(v, c->n, sizeof *v, by_id);
    c->by_id = arena_alloc(c->arena, (c->n + 1) * sizeof *c->by_id);
    for (size_t i = 0; i < c->n && st >= 0; i++) {
        c->by_id[i] = v[i].at;
        if (i && !strcmp(v[i].id, v[i - 1].id))
            st = mohs_fail(err, MOHS_E_FORMAT, "%s: folder name '%.40s' is there "
                           "twice", path, v[i].id);
    }
    free(v);
    return st;
}

uint32_t class_list_find(const struct class_list *c, const char *id)
{
    size_t low = 0, high = c->by_id ? c->n : 0;
    while (low < high) {
        size_t mid = (low + high) / 2;
        int d = strcmp(c->id[c->by_id[mid]], id);
        if (!d)
            return c->by_id[mid];
        if (d < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return UINT32_MAX;
}

mohs_status class_list_parse(const char *text, size_t n, bool json,
                             const char *path, struct class_list *out,
                             struct mohs_error *err)
{
    *out = (struct class_list) { .arena = arena_new() };
    mohs_status st = json ? parse_json(text, n, path, out, err)
                          : parse_text(text, n, path, out, err);
    if (st >= 0 && !out->n)
        st = mohs_fail(err, MOHS_E_FORMAT, "%s: no class names in it", path);
    for (size_t i = 0; i < out->n && st >= 0; i++)
        if (!*out->name[i] || (out->id && !*out->id[i]))
            st = mohs_fail(err, MOHS_E_FORMAT, "%s: class %zu has an empty name",
                           path, i);
    if (st >= 0 && out->id)
        st = index_ids(out, path, err);
    if (st < 0)
        class_list_free(out);
    return st;
}

mohs_status class_list_read(const char *path, struct class_list *out,
                            struct mohs_error *err)
{
    char *text;
    size_t n;
    *out = (struct class_list) { 0 };
    RET_IF_ERR(file_read(path, MOST_BYTES, &text, &n, err));
    mohs_status st = class_list_parse(text, n, str_ends(path, ".json"), path, out,
                                      err);
    free(text);
    return st;
}

void class_list_free(struct class_list *c)
{
    arena_free(c->arena);
    memset(c, 0, sizeof *c);
}
