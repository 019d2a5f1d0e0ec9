/* SPDX-License-Identifier: MIT */
/* mohs doctor: what works on this machine and what does not, and why. */
#include "config.h"

#include "cli/cli.h"
#include "cli/items.h"
#include "image/image.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { OPT_IMAGE = 256 };

static const struct cli_option options[] = {
    { "image", OPT_IMAGE, "FILE",
      "also decode FILE and print the decoders and its pixels' hash" },
    { 0 },
};

struct report {
    struct str text;
    bool json;
    size_t n, bad;
};

/* One line: ok, note (works without) or FAIL. */
enum verdict { FINE, NOTE, BAD };

MOHS_PRINTF(4, 5)
static void say(struct report *r, enum verdict v, const char *what,
                const char *fmt, ...)
{
    static const char *const word[] = { "ok", "note", "FAIL" };
    char detail[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(detail, sizeof detail, fmt, ap);
    va_end(ap);
    r->bad += v == BAD;
    if (r->json) {
        str_addf(&r->text,
                 "%s{\"verdict\": \"%s\", \"what\": ", r->n ? ",\n " : "\n ",
                 word[v]);
        str_add_json(&r->text, what);
        str_add(&r->text, ", \"detail\": ");
        str_add_json(&r->text, detail);
        str_add(&r->text, "}");
    } else {
        str_addf(&r->text, "%-4s  %-10s %s\n", word[v], what, detail);
    }
    r->n++;
}

static void check_devices(struct report *r)
{
    struct device_report *d = NULL;
    struct mohs_error err = MOHS_ERROR_INIT;
    size_t n = 0, usable = 0;
    if (compute_probe(&d, &n, &err) < 0) {
        say(r, BAD, "device", "%s", err.text);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        usable += d[i].usable;
        if (d[i].usable)
            say(r, FINE, "device", "%zu: %s (%s)", i, d[i].name, d[i].platform);
        else
            say(r, NOTE, "device", "%zu: %s (%s): %s", i, d[i].name,
                d[i].platform, d[i].problem);
    }
    free(d);
    if (!usable)
        say(r, BAD, "device",
            "no usable OpenCL device; on Debian install "
            "pocl-opencl-icd");
}

static void check_plugins(struct report *r, struct registry *reg)
{
    const char *dir, *path, *why;
    for (size_t i = 0; (dir = registry_dir(reg, i)); i++)
        say(r, FINE, "searched", "%s%s", dir,
            dir_exists(dir) || file_exists(dir) ? "" : " (is not there)");
    size_t items = 0;
    for (size_t k = 0; item_kinds[k]; k++)
        for (size_t i = 0; registry_item(reg, item_kinds[k], i); i++)
            items++;
    say(r, items ? FINE : BAD, "plugins", "%zu shared objects, %zu items",
        registry_plugin_count(reg), items);
    for (size_t i = 0; registry_failure(reg, i, &path, &why); i++)
        say(r, BAD, "plugin", "%s: %s", path, why);
}

static void check_cache(struct report *r)
{
    const char *dir = cache_dir();
    if (dir && !access(dir, W_OK | X_OK))
        say(r, FINE, "cache", "%s", dir);
    else
        say(r, BAD, "cache", "%s cannot be written to", dir ? dir : "(none)");
}

/* Where `program` is on PATH, or NULL. Fresh. */
static char *on_path(const char *program)
{
    const char *p = getenv("PATH");
    while (p && *p) {
        size_t n = strcspn(p, ":");
        char *dir = xasprintf("%.*s", (int)n, p),
             *file = path_join(dir, program);
        free(dir);
        if (n && !access(file, X_OK))
            return file;
        free(file);
        p += n + (p[n] == ':');
    }
    return NULL;
}

static void check_machine(struct report *r)
{
    say(r, FINE, "program", "mohs %s, plugin ABI %u.%u, %ld processors",
        PACKAGE_VERSION, MOHS_ABI_MAJOR, MOHS_ABI_MINOR,
        sysconf(_SC_NPROCESSORS_ONLN));
    char *ld = on_path("ld");
    say(r, ld ? FINE : NOTE, "linker", "%s",
        ld ? ld : "no ld on PATH: PoCL cannot build kernels (binutils)");
    free(ld);
    char *base;
    for (size_t i = 0; (base = data_dir(i)); i++) {
        bool there = dir_exists(base);
        say(r, there ? FINE : NOTE, "data", "%s%s", base,
            there ? "" : " (is not there)");
        free(base);
    }
}

/* Numbers that change with a JPEG library change here first. */
static void check_image(struct report *r, const char *path)
{
    struct image im = { 0 };
    struct mohs_error err = MOHS_ERROR_INIT;
    struct str versions = { 0 };
    char sha[65];
    image_versions(&versions);
    say(r, FINE, "decoders", "%s", versions.s);
    str_free(&versions);
    if (image_read(path, IMAGE_KEEP_ORIENTATION, &im, &err) < 0) {
        say(r, BAD, "image", "%s", err.text);
        return;
    }
    sha256_hex(im.rgb, (size_t)im.width * im.height * 3, sha);
    say(r, FINE, "image", "%s: %ux%u, sha256 of the RGB bytes %s", path,
        im.width, im.height, sha);
    image_free(&im);
}

static mohs_status run(struct cli *c, struct mohs_error *err)
{
    struct registry *reg;
    const char *value, *image = NULL;
    int o;
    while ((o = opt_next(c, &value, err)) > 0)
        image = value;
    if (o < 0)
        return MOHS_E_ARG;
    RET_IF_ERR(opt_count(c, 0, 0, err));
    RET_IF_ERR(cli_registry(c, &reg, err));
    struct report r = { .json = c->json };
    check_machine(&r);
    check_plugins(&r, reg);
    check_devices(&r);
    check_cache(&r);
    if (image)
        check_image(&r, image);
    if (r.json) {
        fputs("[", stdout);
        str_add(&r.text, "\n]\n");
    } else {
        str_addf(&r.text, "%zu problems\n", r.bad);
    }
    print_str(&r.text);
    return r.bad ? 1 : MOHS_OK;
}

const struct cli_command command_doctor = {
    .name = "doctor",
    .summary = "what works on this machine and what does not, and why",
    .usage = "[--image FILE] [--json]",
    .options = options,
    .details =
        "Looks at plugins, devices, directories and helpers. Exit code 1 "
        "when something is broken.",
    .run = run,
};
