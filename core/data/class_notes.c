/* SPDX-License-Identifier: MIT */
/* What somebody, or a language model, wrote about each class: JSON objects
 * from class names to lists of texts, as CuPL and DCLIP publish them. */
#include "config.h"

#include "data/prompts.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

enum { MOST_CLASSES = 1 << 20, MOST_TEXTS = 1 << 22 };

struct note {
    const char *name;
    const char **text;
    size_t n;
};

struct class_notes {
    struct note *note; /* by name */
    size_t n, n_texts;
    struct arena *arena;
};

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct note *)a)->name, ((const struct note *)b)->name);
}

static mohs_status take_texts(struct class_notes *c, const char *path,
                              const char *name, const json_t *v,
                              struct mohs_error *err)
{
    struct note *note = &c->note[c->n++];
    size_t n = json_array_size(v);
    note->name = arena_strdup(c->arena, name);
    note->text = arena_alloc(c->arena, (n + 1) * sizeof *note->text);
    if (!json_is_array(v))
        return mohs_fail(err, MOHS_E_FORMAT, "%s: \"%.60s\" is no list of texts", path,
                         name);
    if ((c->n_texts += n) > MOST_TEXTS)
        return mohs_fail(err, MOHS_E_FORMAT, "%s: more than %d texts", path,
                         MOST_TEXTS);
    for (size_t i = 0; i < n; i++) {
        const char *s = json_string_value(json_array_get(v, i));
        if (!s)
            return mohs_fail(err, MOHS_E_FORMAT, "%s: \"%.60s\"[%zu] is no text", path,
                             name, i);
        if (*s)
            note->text[note->n++] = arena_strdup(c->arena, s);
    }
    return MOHS_OK;
}

mohs_status class_notes_parse(const char *text, size_t n, const char *path,
                              struct class_notes **out, struct mohs_error *err)
{
    json_error_t je;
    json_t *root = json_loadb(text, n, JSON_REJECT_DUPLICATES, &je), *v;
    const char *name;
    mohs_status st = MOHS_OK;
    if (!root)
        return mohs_fail(err, MOHS_E_FORMAT, "%s:%d: %s", path, je.line, je.text);
    struct class_notes *c = xcalloc(1, sizeof *c);
    size_t classes = json_object_size(root);
    c->arena = arena_new();
    if (!classes || classes > MOST_CLASSES)
        st = mohs_fail(err, MOHS_E_FORMAT,
                       "%s: no object from class names to lists of texts", path);
    else
        c->note = arena_alloc(c->arena, classes * sizeof *c->note);
    json_object_foreach(root, name, v)
        if (st >= 0)
            st = take_texts(c, path, name, v, err);
    json_decref(root);
    if (st < 0) {
        class_notes_free(c);
        return st;
    }
    qsort(c->note, c->n, sizeof *c->note, by_name);
    *out = c;
    return MOHS_OK;
}

void class_notes_free(struct class_notes *c)
{
    if (!c)
        return;
    arena_free(c->arena);
    free(c);
}

const char *const *class_notes_find(const struct class_notes *c,
                                    const char *const *names, size_t n_names,
                                    size_t *n)
{
    for (size_t i = 0; i < n_names; i++) {
        struct note key = { .name = names[i] };
        const struct note *found = bsearch(&key, c->note, c->n, sizeof key, by_name);
        if (!found)
            continue;
        *n = found->n;
        return found->text;
    }
    *n = 0;
    return NULL;
}
