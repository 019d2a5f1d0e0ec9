/* SPDX-License-Identifier: MIT */
/*
 * Files that users bring about classes: lists of names, templates, and what
 * somebody wrote about each class.
 */
#ifndef CORE_CLASS_LIST_H
#define CORE_CLASS_LIST_H

#include "base/base.h"

/* Classes in label order. Read from
 *   text: a name a line; or, on every line, a folder name and the class name
 *     behind a tab, or a WordNet id ("n01440764") and the name behind a space;
 *   JSON: ["tench", ...], {"n01440764": "tench", ...} or the class index of
 *     Keras and torchvision, {"0": ["n01440764", "tench"], ...}.
 */
struct class_list {
    size_t n;
    const char **name;
    const char **id;     /* folder names, or NULL */
    uint32_t *by_id;     /* classes in the order of their ids, or NULL */
    struct arena *arena; /* owns all */
};
/* At most 64 MiB and a million classes; ids are unique. */
mohs_status class_list_read(const char *path, struct class_list *out,
                            struct mohs_error *err);
/* The same of a text; `path` names it in errors. json: whether it is. */
mohs_status class_list_parse(const char *text, size_t n, bool json,
                             const char *path, struct class_list *out,
                             struct mohs_error *err);
void class_list_free(struct class_list *c);
/* The class with this folder name, or UINT32_MAX. */
uint32_t class_list_find(const struct class_list *c, const char *id);

/* Lines of a text file that are not empty, without their ends and blanks
 * around them; lines[n] and number[n] (from 1) in the arena. */
struct text_lines {
    size_t n;
    const char **line;
    uint32_t *number;
};
mohs_status text_lines_read(const char *path, struct arena *a,
                            struct text_lines *out, struct mohs_error *err);
mohs_status text_lines_parse(const char *text, size_t n, const char *path,
                             struct arena *a, struct text_lines *out,
                             struct mohs_error *err);

#endif
