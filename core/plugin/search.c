/* SPDX-License-Identifier: MIT */
/*
 * Where plugins lie: the built-in directory, --plugin-dir, MOHS_PLUGIN_PATH,
 * the user's data directory. A program run from its build tree takes that
 * tree's plugins for the built-in ones; an installed one that was moved
 * (DESTDIR, a copied prefix) finds its own beside itself.
 */
#include "config.h"

#include "plugin/plugin_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DEPTH_MAX = 3 }; /* plugins/<kind>/<item>/.libs */

/* Directory of the running program; "" when the system does not tell. */
static const char *program_dir(void)
{
    static char dir[4096];
    static bool known;
    if (!known) {
        ssize_t n = readlink("/proc/self/exe", dir, sizeof dir - 1);
        dir[n > 0 ? n : 0] = 0;
        char *slash = strrchr(dir, '/');
        if (slash)
            *slash = 0;
        known = true;
    }
    return dir;
}

const char *build_tree(void)
{
    static char top[4096];
    static bool known;
    if (known)
        return *top ? top : NULL;
    known = true;
    snprintf(top, sizeof top, "%s", program_dir());
    for (int up = 0; up < 4 && *top; up++) {
        char *status = path_join(top, "config.status");
        char *ours = path_join(top, "core/mohs-plugin.pc");
        bool here = file_exists(status) && file_exists(ours);
        free(status);
        free(ours);
        if (here)
            return top;
        char *slash = strrchr(top, '/');
        *(slash ? slash : top) = 0;
    }
    *top = 0;
    return NULL;
}

char *install_path(const char *configured)
{
    // <root><bindir>/mohs: what was configured lies under the same root.
    const char *dir = program_dir();
    if (str_ends(dir, BINDIR)) {
        size_t root = strlen(dir) - strlen(BINDIR);
        return xasprintf("%.*s%s", (int)root, dir, configured);
    }
    return xstrdup(configured);
}

static char *builtin_dir(void)
{
    const char *tree = build_tree();
    return tree ? path_join(tree, "plugins") : install_path(PLUGINDIR);
}

static void remember_dir(struct registry *r, const char *dir)
{
    r->dir = xrealloc(r->dir, (r->n_dirs + 1) * sizeof *r->dir);
    r->dir[r->n_dirs++] = xstrdup(dir);
}

static void scan(struct registry *r, const char *dir, int depth,
                 void (*fn)(struct registry *r, const char *path))
{
    char **name;
    size_t n;
    struct mohs_error err = MOHS_ERROR_INIT;
    if (dir_list(dir, &name, &n, &err) < 0) {
        log_debug("plugins: %s", err.text);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        char *path = path_join(dir, name[i]);
        bool hidden = name[i][0] == '.' && strcmp(name[i], ".libs");
        if (!hidden && dir_exists(path)) {
            if (depth < DEPTH_MAX)
                scan(r, path, depth + 1, fn);
        } else if (!hidden && str_ends(name[i], ".so")) {
            fn(r, path);
        }
        free(path);
    }
    strv_free(name);
}

static void scan_dir(struct registry *r, const char *dir,
                     void (*fn)(struct registry *r, const char *path))
{
    remember_dir(r, dir);
    if (dir_exists(dir))
        scan(r, dir, 0, fn);
}

static void scan_list(struct registry *r, const char *list,
                      void (*fn)(struct registry *r, const char *path))
{
    while (*list) {
        size_t n = strcspn(list, ":");
        // An empty entry would mean the working directory: left out.
        if (n) {
            char *dir = xasprintf("%.*s", (int)n, list);
            scan_dir(r, dir, fn);
            free(dir);
        }
        list += n + (list[n] == ':');
    }
}

static void scan_user(struct registry *r,
                      void (*fn)(struct registry *r, const char *path))
{
    const char *data = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
    char *dir = NULL;
    if (data && *data == '/')
        dir = path_join(data, "mohs/plugins");
    else if (home && *home == '/')
        dir = path_join(home, ".local/share/mohs/plugins");
    if (dir)
        scan_dir(r, dir, fn);
    free(dir);
}

mohs_status search_plugins(struct registry *r, const char *const *plugin_dirs,
                           void (*fn)(struct registry *r, const char *path),
                           struct mohs_error *err)
{
    char *builtin = builtin_dir();
    scan_dir(r, builtin, fn);
    free(builtin);
    for (size_t i = 0; plugin_dirs && plugin_dirs[i]; i++) {
        if (dir_exists(plugin_dirs[i])) {
            scan_dir(r, plugin_dirs[i], fn);
        } else if (file_exists(plugin_dirs[i])) {
            remember_dir(r, plugin_dirs[i]);
            fn(r, plugin_dirs[i]);
        } else {
            return mohs_fail(err, MOHS_E_IO,
                             "plugin directory %s: no such "
                             "directory",
                             plugin_dirs[i]);
        }
    }
    const char *list = getenv("MOHS_PLUGIN_PATH");
    if (list)
        scan_list(r, list, fn);
    scan_user(r, fn);
    return MOHS_OK;
}

char *data_dir(size_t i)
{
    const char *env = getenv("MOHS_DATA_DIR");
    if (env && *env && !i--)
        return xstrdup(env);
    if (build_tree() && !i--)
        return xstrdup(SOURCE_TREE);
    return i ? NULL : install_path(PKGDATADIR);
}
