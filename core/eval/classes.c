/* SPDX-License-Identifier: MIT */
/*
 * A classifier serves where a text tower would: the row of a class is the
 * unit vector of its output, and the product with an image's logits is the
 * logit of that class. Here names of classes find their outputs.
 */
#include "config.h"

#include "eval/classes.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Whether `name` is one of the synonyms in `list` ("tench, Tinca tinca"). */
static bool is_synonym(const char *list, const char *name)
{
    size_t len = strlen(name);
    for (const char *s = list;; s++) {
        s += strspn(s, " ");
        size_t n = strcspn(s, ",");
        if (n == len && !strncasecmp(s, name, len))
            return true;
        s += n;
        if (!*s)
            return false;
    }
}

/* "#17" is 17. */
static bool is_number(const char *name, uint32_t *out)
{
    char *end;
    if (name[0] != '#' || name[1] < '0' || name[1] > '9')
        return false;
    unsigned long x = strtoul(name + 1, &end, 10);
    *out = x < UINT32_MAX ? (uint32_t)x : UINT32_MAX;
    return !*end;
}

/* A whole name wins over a synonym, which two outputs may share. */
static mohs_status find_output(const struct encoder *e, const char *name,
                               uint32_t *out, struct mohs_error *err)
{
    uint32_t n = encoder_info(e)->embed_dim, found = UINT32_MAX, times = 0;
    if (is_number(name, out)) {
        if (*out < n)
            return MOHS_OK;
        return mohs_fail(err, MOHS_E_ARG, "%s: class %s is not below %u",
                         encoder_path(e), name, n);
    }
    for (uint32_t i = 0; i < n; i++) {
        const char *have = encoder_class_name(e, i);
        if (!have)
            continue;
        if (!strcasecmp(have, name)) {
            *out = i;
            return MOHS_OK;
        }
        if (is_synonym(have, name)) {
            found = i;
            times++;
        }
    }
    *out = found;
    if (times == 1)
        return MOHS_OK;
    if (times)
        return mohs_fail(err, MOHS_E_ARG,
                         "%s: '%.64s' names %u of the classifier's outputs",
                         encoder_path(e), name, times);
    return mohs_fail(err, MOHS_E_ARG,
                     "%s: no output of the classifier is called '%.64s' (#0 to "
                     "#%u are its numbers)",
                     encoder_path(e), name, n - 1);
}

static void unit_row(const struct encoder *e, uint32_t i, uint32_t output,
                     float *out)
{
    uint32_t dim = encoder_info(e)->embed_dim;
    memset(out + (size_t)i * dim, 0, dim * sizeof *out);
    out[(size_t)i * dim + output] = 1;
}

mohs_status classes_of_texts(struct encoder *e, uint32_t n,
                             const char *const *text, float *out,
                             struct mohs_error *err)
{
    for (uint32_t i = 0; i < n; i++) {
        uint32_t k;
        RET_IF_ERR(find_output(e, text[i], &k, err));
        unit_row(e, i, k, out);
    }
    return MOHS_OK;
}

mohs_status encoder_classes(struct encoder *e, uint32_t n, const char *const *name,
                            float *out, struct mohs_error *err)
{
    uint32_t dim = encoder_info(e)->embed_dim, k;
    if (encoder_class_name(e, 0) || (n && is_number(name[0], &k)))
        return classes_of_texts(e, n, name, out, err);
    if (n != dim)
        return mohs_fail(err, MOHS_E_ARG,
                         "%s: %u classes, but the classifier has %u outputs "
                         "without names: name them #0 to #%u",
                         encoder_path(e), n, dim, dim - 1);
    for (uint32_t i = 0; i < n; i++)
        unit_row(e, i, i, out);
    return MOHS_OK;
}
