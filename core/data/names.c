/* SPDX-License-Identifier: MIT */
/* Tables of names: which index a name has, and labels that are names. */
#include "config.h"

#include "data/dataset.h"

#include <stdlib.h>
#include <string.h>

/* Open addressing, at most half full; slots hold index + 1. */
struct name_table {
    const char **name;
    size_t n, cap_names;
    uint32_t *slot;
    size_t slots; /* a power of two */
};

struct name_table *name_table_new(void)
{
    struct name_table *t = xcalloc(1, sizeof *t);
    t->slots = 1024;
    t->slot = xcalloc(t->slots, sizeof *t->slot);
    return t;
}

void name_table_free(struct name_table *t)
{
    if (!t)
        return;
    free(t->name);
    free(t->slot);
    free(t);
}

static uint32_t *slot_of(const struct name_table *t, const char *name)
{
    size_t at = (size_t)hash_str64(name) & (t->slots - 1);
    while (t->slot[at] && strcmp(t->name[t->slot[at] - 1], name))
        at = (at + 1) & (t->slots - 1);
    return &t->slot[at];
}

uint32_t name_table_find(const struct name_table *t, const char *name)
{
    return *slot_of(t, name) - 1; // UINT32_MAX of an empty one
}

uint32_t name_table_add(struct name_table *t, const char *name)
{
    if (t->n == t->cap_names) {
        t->cap_names = t->cap_names ? 2 * t->cap_names : 512;
        t->name = xrealloc(t->name, t->cap_names * sizeof *t->name);
    }
    if (2 * (t->n + 1) > t->slots) {
        t->slots *= 2;
        free(t->slot);
        t->slot = xcalloc(t->slots, sizeof *t->slot);
        for (size_t i = 0; i < t->n; i++)
            *slot_of(t, t->name[i]) = (uint32_t)i + 1;
    }
    t->name[t->n] = name;
    *slot_of(t, name) = (uint32_t)++t->n;
    return (uint32_t)t->n - 1;
}

/* ---- labels ---- */

struct label_names {
    struct arena *arena;
    struct name_table *table;
    bool numbers; /* so far */
};

struct label_names *label_names_new(void)
{
    struct label_names *l = xcalloc(1, sizeof *l);
    l->arena = arena_new();
    l->table = name_table_new();
    l->numbers = true;
    return l;
}

void label_names_free(struct label_names *l)
{
    if (!l)
        return;
    name_table_free(l->table);
    arena_free(l->arena);
    free(l);
}

static bool is_label(const char *s, uint32_t *out)
{
    int64_t x;
    if (!*s || s[strspn(s, "0123456789")] || !str_to_i64(s, &x) || x > UINT32_MAX / 2)
        return false;
    *out = (uint32_t)x;
    return true;
}

uint32_t label_names_take(struct label_names *l, const char *name)
{
    uint32_t i = name_table_find(l->table, name), number;
    if (i != UINT32_MAX)
        return i;
    l->numbers = l->numbers && is_label(name, &number);
    return name_table_add(l->table, arena_strdup(l->arena, name));
}

struct by_name {
    const char *name;
    uint32_t index;
};

static int name_order(const void *a, const void *b)
{
    return strcmp(((const struct by_name *)a)->name, ((const struct by_name *)b)->name);
}

mohs_status label_names_give(struct label_names *l, struct dataset *d, const char *file,
                             struct mohs_error *err)
{
    size_t n = l->table->n;
    uint32_t *to = xcalloc(n + 1, sizeof *to);
    mohs_status st = MOHS_OK;
    if (l->numbers) {
        for (size_t i = 0; i < n; i++)
            is_label(l->table->name[i], &to[i]);
    } else {
        struct by_name *v = xcalloc(n + 1, sizeof *v);
        for (size_t i = 0; i < n; i++)
            v[i] = (struct by_name) { l->table->name[i], (uint32_t)i };
        qsort(v, n, sizeof *v, name_order);
        d->classes = arena_alloc(d->arena, n * sizeof *d->classes);
        d->n_classes = n;
        for (size_t i = 0; i < n; i++) {
            d->classes[i] = arena_strdup(d->arena, v[i].name);
            to[v[i].index] = (uint32_t)i;
        }
        if (n && !*v[0].name)
            st = mohs_fail(err, MOHS_E_FORMAT, "%s: an empty label", file);
        free(v);
    }
    for (size_t i = 0; i < d->n_images; i++)
        if (d->image[i].label != UINT32_MAX)
            d->image[i].label = to[d->image[i].label];
    free(to);
    return st;
}
