/* SPDX-License-Identifier: MIT */
/*
 * `mohs plugin new`: a plugin that works, to be changed. The texts lie in
 * skeleton/ and are compiled in.
 */
#include "config.h"

#include "plugin/plugin_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char
#include "plugin/skeleton/texts.h"

    static const struct {
    const char *kind, *macro, *summary, *source;
    size_t n;
} kinds[] = {
    { MOHS_KIND_MODEL, "MOHS_KIND_MODEL", "two towers of one attention block",
      model, sizeof model },
    { MOHS_KIND_CORRUPTION, "MOHS_KIND_CORRUPTION",
      "darker towards the corners", corruption, sizeof corruption },
    { MOHS_KIND_ATTACK, "MOHS_KIND_ATTACK",
      "one signed gradient step at the pixels", attack, sizeof attack },
    { MOHS_KIND_METRIC, "MOHS_KIND_METRIC", "margin of the right answer",
      metric, sizeof metric },
};

struct names {
    const char *name, *kind, *macro, *summary;
};

/* Appends text with every @WORD@ replaced. */
static void fill(struct str *out, const char *text, size_t n,
                 const struct names *v)
{
    const struct {
        const char *mark, *value;
    } marks[] = { { "@NAME@", v->name },
                  { "@KIND@", v->kind },
                  { "@KIND_MACRO@", v->macro },
                  { "@SUMMARY@", v->summary } };
    for (size_t i = 0; i < n;) {
        size_t k = 0, left = n - i;
        for (; k < sizeof marks / sizeof *marks; k++) {
            size_t m = strlen(marks[k].mark);
            if (left >= m && !memcmp(text + i, marks[k].mark, m)) {
                str_add(out, marks[k].value);
                i += m;
                break;
            }
        }
        if (k == sizeof marks / sizeof *marks)
            str_addn(out, text + i++, 1);
    }
}

static mohs_status put_file(const char *dir, const char *file, struct str *text,
                            struct mohs_error *err)
{
    char *path = path_join(dir, file);
    mohs_status st = file_write(path, text->s, text->n, err);
    free(path);
    str_free(text);
    return st;
}

static mohs_status name_check(const char *name, struct mohs_error *err)
{
    if (!id_valid(name))
        return mohs_fail(
            err, MOHS_E_ARG,
            "plugin new: name '%.64s' is not [a-z][a-z0-9_]* of at "
            "most 63 letters",
            name);
    return MOHS_OK;
}

mohs_status plugin_new(const char *kind, const char *name,
                       struct mohs_error *err)
{
    const char *id = kind_from_word(kind);
    size_t k = 0;
    if (!id)
        return mohs_fail(err, MOHS_E_ARG,
                         "plugin new: kind '%.64s' is not model, corruption, "
                         "attack or metric",
                         kind);
    RET_IF_ERR(name_check(name, err));
    while (strcmp(kinds[k].kind, id))
        k++;
    if (mkdir(name, 0777)) {
        if (errno == EEXIST)
            return mohs_fail(err, MOHS_E_IO,
                             "plugin new: %s is already there, nothing written",
                             name);
        return err_errno(err, "plugin new: cannot make %s", name);
    }
    struct names v = { name, kind_word(id), kinds[k].macro, kinds[k].summary };
    struct str source = { 0 }, make = { 0 }, text = { 0 };
    char *file = xasprintf("%s.c", name);
    fill(&source, kinds[k].source, kinds[k].n, &v);
    fill(&source, tail, sizeof tail, &v);
    fill(&make, makefile, sizeof makefile, &v);
    fill(&text, readme, sizeof readme, &v);
    mohs_status st = put_file(name, file, &source, err);
    mohs_status st2 = put_file(name, "Makefile", &make, st < 0 ? NULL : err);
    mohs_status st3 =
        put_file(name, "README.md", &text, st < 0 || st2 < 0 ? NULL : err);
    free(file);
    if (st < 0 || st2 < 0)
        return st < 0 ? st : st2;
    if (st3 >= 0)
        log_info("%s/%s.c, Makefile and README.md written; next: cd %s && make "
                 "check",
                 name, name, name);
    return st3;
}
