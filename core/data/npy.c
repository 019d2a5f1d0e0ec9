/* SPDX-License-Identifier: MIT */
/* NPY: a header that is a Python dictionary as text, and the items. */
#include "config.h"

#include "data/npy.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const types[] = { "f2", "f4", "f8", "u1", "u2", "u4", "i4", "i8" };

bool npy_is(const void *data, size_t n)
{
    return n >= 8 && !memcmp(data, "\x93NUMPY", 6);
}

/* The value behind 'key'. */
static const char *value_of(const char *head, const char *key)
{
    const char *p = strstr(head, key);
    p = p ? strchr(p, ':') : NULL;
    return p ? p + 1 + strspn(p + 1, " ") : "";
}

static bool read_shape(const char *p, struct npy *a)
{
    if (*p++ != '(')
        return false;
    a->count = 1;
    for (a->sides = 0; a->sides < NPY_SIDES; a->sides++) {
        char *end;
        p += strspn(p, " ,");
        if (*p < '0' || *p > '9')
            break;
        uint64_t side = strtoull(p, &end, 10);
        if (side > UINT32_MAX || (side && a->count > (UINT64_C(1) << 60) / side))
            return false;
        a->side[a->sides] = side;
        a->count *= side;
        p = end;
    }
    p += strspn(p, " ,");
    return *p == ')';
}

static bool read_type(const char *p, struct npy *a)
{
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (p[0] == '\'' && (p[1] == '<' || p[1] == '|') && !strncmp(p + 2, types[i], 2) &&
            p[4] == '\'') {
            memcpy(a->type, types[i], 3);
            return true;
        }
    return false;
}

static mohs_status read_head(const char *path, const char *head, struct npy *a,
                             struct mohs_error *err)
{
    const char *descr = value_of(head, "'descr'"), *shape = value_of(head, "'shape'");
    if (!read_type(descr, a))
        return mohs_fail(err, MOHS_E_FORMAT,
                         "%s: NPY type %.12s is not little-endian f2, f4, f8, u1, u2, u4, "
                         "i4 or i8", path, descr);
    if (strncmp(value_of(head, "'fortran_order'"), "False", 5))
        return mohs_fail(err, MOHS_E_FORMAT,
                         "%s: an NPY array in column order; save it in row order", path);
    if (!read_shape(shape, a))
        return mohs_fail(err, MOHS_E_FORMAT, "%s: no shape in the NPY header", path);
    snprintf(a->shape, sizeof a->shape, "%.*s", (int)strcspn(shape, ")") + 1, shape);
    return MOHS_OK;
}

mohs_status npy_parse(const char *path, const void *data, size_t n, struct npy *out,
                      struct mohs_error *err)
{
    const uint8_t *p = data;
    size_t lead = n > 8 && p[6] == 1 ? 10 : 12, length = 0;
    for (size_t i = 8; i < lead && n >= lead; i++)
        length |= (size_t)p[i] << 8 * (i - 8);
    if (n < lead || length > n - lead)
        return mohs_fail(err, MOHS_E_FORMAT, "%s: the NPY header is cut off", path);
    char *head = xasprintf("%.*s", (int)(length < 4096 ? length : 4096),
                           (const char *)data + lead);
    *out = (struct npy) { .item = p + lead + length };
    mohs_status st = read_head(path, head, out, err);
    free(head);
    if (st >= 0 && (n - lead - length) / (size_t)(out->type[1] - '0') < out->count)
        st = mohs_fail(err, MOHS_E_FORMAT, "%s: the NPY data is cut off", path);
    return st;
}

bool npy_whole(const struct npy *a)
{
    return a->type[0] != 'f';
}

static double half(uint64_t v)
{
    int e = (int)(v >> 10 & 31), m = (int)(v & 1023);
    double x = e == 31 ? (m ? NAN : INFINITY) : e ? ldexp(1024 + m, e - 25) : ldexp(m, -24);
    return v >> 15 ? -x : x;
}

double npy_value(const struct npy *a, uint64_t i)
{
    int bytes = a->type[1] - '0';
    const uint8_t *p = a->item + i * (uint64_t)bytes;
    uint64_t v = 0;
    float f;
    double d;
    for (int k = 0; k < bytes; k++)
        v |= (uint64_t)p[k] << 8 * k;
    if (a->type[0] == 'u')
        return (double)v;
    if (a->type[0] == 'i')
        return bytes == 4 ? (double)(int32_t)v : (double)(int64_t)v;
    if (bytes == 2)
        return half(v);
    if (bytes == 4) {
        memcpy(&f, p, sizeof f);
        return (double)f;
    }
    memcpy(&d, p, sizeof d);
    return d;
}
