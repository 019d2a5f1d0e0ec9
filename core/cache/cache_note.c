/* SPDX-License-Identifier: MIT */
/* Notes say what a group of keys was made of, so that a miss explains itself:
 * one small text file per group under notes/. */
#include "config.h"

#include "cache/cache.h"
#include "cache/cache_store.h"

#include <stdlib.h>
#include <string.h>

enum { NOTE_MAX = 1 << 16, NEAREST = 2 };

mohs_status cache_note(struct cache *c, struct hash128 group, const char *parts,
                       struct mohs_error *err)
{
    char hex[33];
    mohs_status st = MOHS_OK;
    hash_hex(group, hex);
    char *dir = path_join(c->dir, "notes");
    char *path = xasprintf("%s/%s.txt", dir, hex);
    if (!file_exists(path)) {
        st = dir_make(dir, err);
        if (st >= 0)
            st = file_write(path, parts, strlen(parts), err);
    }
    free(path);
    free(dir);
    return st < 0 ? err_prefix(err, st, "cache note") : MOHS_OK;
}

struct part {
    const char *key, *value;
};
struct parts {
    char *text;
    struct part *v;
    size_t n;
};

static int by_key(const void *a, const void *b)
{
    return strcmp(((const struct part *)a)->key, ((const struct part *)b)->key);
}

static void parts_free(struct parts *p)
{
    free(p->text);
    free(p->v);
    *p = (struct parts) { 0 };
}

/* key=value lines, sorted by key. */
static struct parts parts_parse(const char *text)
{
    struct parts p = { .text = xstrdup(text) };
    for (char *line = p.text, *next; *line; line = next) {
        size_t n = strcspn(line, "\n");
        next = line + n + (line[n] == '\n');
        line[n] = 0;
        char *eq = strchr(line, '=');
        if (!eq)
            continue;
        *eq = 0;
        p.v = xrealloc(p.v, (p.n + 1) * sizeof *p.v);
        p.v[p.n++] = (struct part) { line, eq + 1 };
    }
    if (p.n)
        qsort(p.v, p.n, sizeof *p.v, by_key);
    return p;
}

/* Number of keys that differ; appends a line for each to out, if any. */
static size_t parts_diff(const struct parts *a, const struct parts *b,
                         struct str *out)
{
    size_t i = 0, j = 0, n = 0;
    while (i < a->n || j < b->n) {
        int o = i == a->n ? 1 : j == b->n ? -1
              : strcmp(a->v[i].key, b->v[j].key);
        const struct part *x = o <= 0 ? &a->v[i++] : NULL;
        const struct part *y = o >= 0 ? &b->v[j++] : NULL;
        if (x && y && !strcmp(x->value, y->value))
            continue;
        n++;
        if (out)
            str_addf(out, "  %s: %s here, %s in the cache\n",
                     x ? x->key : y->key, x ? x->value : "absent",
                     y ? y->value : "absent");
    }
    return n;
}

struct near {
    struct parts parts;
    size_t distance;
};

mohs_status cache_why(struct cache *c, const char *parts, struct str *out,
                      struct mohs_error *err)
{
    char *dir = path_join(c->dir, "notes"), **file = NULL;
    struct near best[NEAREST] = { { { 0 }, 0 } };
    struct parts want = parts_parse(parts);
    size_t n = 0, found = 0;
    mohs_status st = MOHS_OK;
    if (dir_exists(dir))
        OUT_IF_ERR(dir_list(dir, &file, &n, err));
    for (size_t i = 0; i < n; i++) {
        char *path = path_join(dir, file[i]), *text = NULL;
        struct mohs_error e = MOHS_ERROR_INIT;
        mohs_status got = str_ends(file[i], ".txt")
                              ? file_read(path, NOTE_MAX, &text, NULL, &e)
                              : MOHS_E_IO;
        free(path);
        if (got < 0)
            continue;
        struct near x = { parts_parse(text), 0 };
        free(text);
        x.distance = parts_diff(&want, &x.parts, NULL);
        for (size_t k = 0; k < NEAREST; k++) {
            if (k < found && best[k].distance <= x.distance)
                continue;
            struct near tmp = best[k];
            best[k] = x;
            x = tmp;
        }
        parts_free(&x.parts);
        found += found < NEAREST;
    }
    if (!found)
        str_add(out, "the cache has no notes\n");
    for (size_t k = 0; k < found; k++) {
        if (!best[k].distance) {
            str_add(out, "cached: an entry with exactly these parts exists\n");
            break;
        }
        str_addf(out, "nearest entry %zu differs in %zu of %zu parts:\n", k + 1,
                 best[k].distance, want.n);
        parts_diff(&want, &best[k].parts, out);
    }
out:
    for (size_t k = 0; k < NEAREST; k++)
        parts_free(&best[k].parts);
    parts_free(&want);
    strv_free(file);
    free(dir);
    return st;
}
