/* SPDX-License-Identifier: MIT */
/* The table of items: loads what the search finds, keeps what failed. */
#include "config.h"

#include "plugin/plugin_impl.h"

#include <stdlib.h>
#include <string.h>

/* ---- loading ---- */

static void failure_add(struct registry *r, const char *path, const char *why)
{
    r->failure = xrealloc(r->failure, (r->n_failures + 1) * sizeof *r->failure);
    r->failure[r->n_failures].path = xstrdup(path);
    r->failure[r->n_failures++].why = xstrdup(why);
}

static bool seen_before(struct registry *r, const char *real)
{
    for (size_t i = 0; i < r->n_seen; i++)
        if (!strcmp(r->seen[i], real))
            return true;
    r->seen = xrealloc(r->seen, (r->n_seen + 1) * sizeof *r->seen);
    r->seen[r->n_seen++] = xstrdup(real);
    return false;
}

static const struct item *item_by_id(struct registry *r, const char *kind,
                                     const char *id)
{
    for (size_t i = 0; i < r->n_items; i++)
        if (!strcmp(r->item[i].item->id, id) &&
            !strcmp(r->item[i].item->kind, kind))
            return &r->item[i];
    return NULL;
}

/* Adds the items of m that nobody had before; says which were not. */
static void items_add(struct registry *r, const struct module *m)
{
    for (size_t i = 0; m->plugin->items[i]; i++) {
        const struct mohs_item *it = m->plugin->items[i];
        if (kind_index(it->kind) < 0) {
            log_warn("plugin %s: item %s has unknown kind '%s', skipped",
                     m->path, it->id, it->kind);
            continue;
        }
        const struct item *first = item_by_id(r, it->kind, it->id);
        if (first) {
            struct str why = { 0 };
            str_addf(&why, "duplicate id: %s %s is already provided by %s",
                     kind_word(it->kind), it->id, first->path);
            log_warn("plugin %s: %s; skipped", m->path, why.s);
            failure_add(r, m->path, why.s);
            str_free(&why);
            continue;
        }
        r->item = xrealloc(r->item, (r->n_items + 1) * sizeof *r->item);
        struct item *slot = &r->item[r->n_items++];
        slot->item = it;
        slot->plugin = m->plugin;
        slot->path = m->path;
        slot->hash = m->hash;
    }
}

static mohs_status hash_file(const char *path, char out[33],
                             struct mohs_error *err)
{
    char *data;
    size_t n;
    RET_IF_ERR(file_read(path, 0, &data, &n, err));
    hash_hex(hash_bytes(data, n), out);
    free(data);
    return MOHS_OK;
}

static mohs_status plugin_start(struct registry *r, const struct mohs_plugin *p,
                                struct mohs_error *err)
{
    if (!p->init)
        return MOHS_OK;
    err->text[0] = 0;
    r->loading = true;
    mohs_status st = p->init(&r->host, err);
    r->loading = false;
    scratch_reset();
    if (st >= 0)
        return MOHS_OK;
    err->text[sizeof err->text - 1] = 0;
    if (!err->text[0])
        return mohs_fail(err, st, "init failed without a reason (%s)",
                         status_name(st));
    return err_prefix(err, st, "init");
}

/* Loads one file; *err never NULL. */
static mohs_status module_add(struct registry *r, const char *path,
                              struct mohs_error *err)
{
    const struct mohs_plugin *p = NULL;
    char hash[33];
    RET_IF_ERR(module_open(path, &p, err));
    for (size_t i = 0; i < r->n_modules; i++)
        if (!strcmp(r->module[i]->plugin->id, p->id))
            return mohs_fail(
                err, MOHS_E_PLUGIN,
                "duplicate id: plugin %s is already loaded from %s", p->id,
                r->module[i]->path);
    RET_IF_ERR(hash_file(path, hash, err));
    RET_IF_ERR(plugin_start(r, p, err));
    struct module *m = xcalloc(1, sizeof *m);
    m->path = xstrdup(path);
    m->plugin = p;
    memcpy(m->hash, hash, sizeof hash);
    r->module = xrealloc(r->module, (r->n_modules + 1) * sizeof *r->module);
    r->module[r->n_modules++] = m;
    items_add(r, m);
    return MOHS_OK;
}

static void module_try(struct registry *r, const char *path)
{
    char *real = realpath(path, NULL);
    bool old = seen_before(r, real ? real : path);
    free(real);
    if (old)
        return;
    struct mohs_error err = MOHS_ERROR_INIT;
    if (module_add(r, path, &err) < 0) {
        log_warn("plugin %s: %s; skipped", path, err.text);
        failure_add(r, path, err.text);
    }
}

static int item_order(const void *a, const void *b)
{
    const struct item *x = a, *y = b;
    int kx = kind_index(x->item->kind), ky = kind_index(y->item->kind);
    return kx != ky ? kx - ky : strcmp(x->item->id, y->item->id);
}

static void items_sort(struct registry *r)
{
    if (r->n_items)
        qsort(r->item, r->n_items, sizeof *r->item, item_order);
    size_t i = 0;
    for (int k = 0; k < KIND_COUNT; k++) {
        r->first[k] = i;
        while (i < r->n_items && kind_index(r->item[i].item->kind) == k)
            i++;
    }
    r->first[KIND_COUNT] = i;
}

/* ---- opening and closing ---- */

static mohs_status registry_new(const struct registry_options *o,
                                struct registry **out, struct mohs_error *err)
{
    RET_IF_ERR(loader_start(err));
    struct registry *r = xcalloc(1, sizeof *r);
    pthread_mutex_init(&r->lock, NULL);
    if (o && o->device)
        r->device = xstrdup(o->device);
    host_init(r);
    for (size_t i = 0; o && o->extensions && o->extensions[i].id; i++)
        registry_extend(r, o->extensions[i].id, o->extensions[i].table);
    *out = r;
    return MOHS_OK;
}

mohs_status registry_open(const struct registry_options *o,
                          struct registry **out, struct mohs_error *err)
{
    struct registry *r;
    *out = NULL;
    RET_IF_ERR(registry_new(o, &r, err));
    mohs_status st =
        search_plugins(r, o ? o->plugin_dirs : NULL, module_try, err);
    if (st < 0) {
        registry_close(r);
        return st;
    }
    items_sort(r);
    *out = r;
    return MOHS_OK;
}

mohs_status registry_open_file(const struct registry_options *o,
                               const char *path, struct registry **out,
                               struct mohs_error *err)
{
    struct registry *r;
    struct mohs_error e = MOHS_ERROR_INIT;
    *out = NULL;
    RET_IF_ERR(registry_new(o, &r, err));
    mohs_status st = module_add(r, path, &e);
    if (st < 0) {
        registry_close(r);
        return mohs_fail(err, st, "%s", e.text);
    }
    items_sort(r);
    *out = r;
    return MOHS_OK;
}

static void strings_free(char **v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(v[i]);
    free(v);
}

void registry_close(struct registry *r)
{
    if (!r)
        return;
    for (size_t i = r->n_modules; i-- > 0;) {
        struct module *m = r->module[i];
        if (m->plugin->exit)
            m->plugin->exit();
        free(m->path);
        free(m);
    }
    scratch_reset();
    for (size_t i = 0; i < r->n_failures; i++) {
        free(r->failure[i].path);
        free(r->failure[i].why);
    }
    strings_free(r->dir, r->n_dirs);
    strings_free(r->seen, r->n_seen);
    if (r->compute)
        compute_close(r->compute);
    pthread_mutex_destroy(&r->lock);
    free(r->module);
    free(r->item);
    free(r->failure);
    free(r->device);
    free(r);
}

/* ---- looking up ---- */

const struct item *registry_item(struct registry *r, const char *kind, size_t i)
{
    int k = kind_index(kind);
    if (k < 0 || i >= r->first[k + 1] - r->first[k])
        return NULL;
    return &r->item[r->first[k] + i];
}

const char *registry_dir(struct registry *r, size_t i)
{
    return i < r->n_dirs ? r->dir[i] : NULL;
}

bool registry_failure(struct registry *r, size_t i, const char **path,
                      const char **why)
{
    if (i >= r->n_failures)
        return false;
    *path = r->failure[i].path;
    *why = r->failure[i].why;
    return true;
}

size_t registry_plugin_count(struct registry *r)
{
    return r->n_modules;
}

/* "; plugin PATH did not load: WHY" when a failed file has the name `id`. */
static void add_failure(struct registry *r, const char *id, struct str *out)
{
    for (size_t i = 0; i < r->n_failures; i++) {
        char *stem = path_stem(r->failure[i].path);
        bool same = !strcmp(stem, id);
        free(stem);
        if (same) {
            str_addf(out, "; plugin %s did not load: %s", r->failure[i].path,
                     r->failure[i].why);
            return;
        }
    }
}

static const char *nearest(struct registry *r, int kind, const char *id)
{
    size_t n = r->first[kind + 1] - r->first[kind];
    const char **name = xmalloc((n + 1) * sizeof *name);
    for (size_t i = 0; i < n; i++)
        name[i] = r->item[r->first[kind] + i].item->id;
    const char *near = str_nearest(id, name, n);
    free(name);
    return near;
}

mohs_status registry_find(struct registry *r, const char *kind, const char *id,
                          const struct item **out, struct mohs_error *err)
{
    int k = kind_index(kind);
    if (k < 0)
        return mohs_fail(err, MOHS_E_ARG, "unknown kind of item '%s'", kind);
    const struct item *it;
    for (size_t i = 0; (it = registry_item(r, kind, i)); i++)
        if (!strcmp(it->item->id, id)) {
            *out = it;
            return MOHS_OK;
        }
    struct str text = { 0 };
    str_addf(&text, "no %s '%.64s'", kind_word(kind), id);
    const char *near = nearest(r, k, id);
    if (near)
        str_addf(&text, " (did you mean '%s'?)", near);
    add_failure(r, id, &text);
    if (!near && !r->n_items)
        str_add(&text, "; no plugin was found: see `mohs doctor`");
    mohs_status st = mohs_fail(err, MOHS_E_PLUGIN, "%s", text.s);
    str_free(&text);
    return st;
}
