/* SPDX-License-Identifier: MIT */
/* The op table: finding ops, reading their grammar, listing them. */
#include "config.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "graph/graph_internal.h"

static const struct op *const families[] = { ops_dense, ops_conv, ops_pool,
                                             ops_attention, ops_norm, ops_map,
                                             ops_shape, ops_loss };
enum { N_FAMILIES = sizeof families / sizeof families[0] };

const struct op *op_find(const char *name)
{
    for (int f = 0; f < N_FAMILIES; f++)
        for (const struct op *o = families[f]; o->info.name; o++)
            if (strcmp(o->info.name, name) == 0)
                return o;
    return NULL;
}

const struct op_info *op_list(size_t i)
{
    for (int f = 0; f < N_FAMILIES; f++)
        for (const struct op *o = families[f]; o->info.name; o++)
            if (i-- == 0)
                return &o->info;
    return NULL;
}

uint32_t op_attrs(const struct op *op, struct attr_spec out[OP_ATTR_MAX])
{
    const char *s = op->info.attributes;
    uint32_t n = 0;
    while (*s && n < OP_ATTR_MAX) {
        struct attr_spec a = { .lo = -INFINITY, .hi = INFINITY };
        if (strncmp(s, "int ", 4) == 0) {
            a.integer = true;
            s += 4;
        }
        size_t len = strcspn(s, "=");
        if (len >= sizeof a.name)
            break;
        memcpy(a.name, s, len);
        char *end;
        a.def = strtod(s + len + 1, &end);
        if (*end == '(') {
            const char *dots = strstr(end, "..");
            a.lo = strtod(end + 1, NULL); // "0." and "0" are the same
            a.hi = strtod(dots + 2, &end);
            end++; // the closing bracket
        }
        out[n++] = a;
        s = end;
        while (*s == ',' || *s == ' ')
            s++;
    }
    return n;
}
